/* record/schema_text.c -- the words of Avro, logical types, and the parsing canonical form.
 *
 * The canonical form keeps name, type, fields, symbols, items, values and size, in this order, with full
 * names and no white space; a named type is written out the first time and is its name afterwards. */
#include "base/alloc.h"
#include "record/schema_private.h"

const char *leat__kind_name(enum leat_kind kind)
{
    static const char *const words[] = {
        [LEAT_KIND_NULL] = "null",
        [LEAT_KIND_BOOLEAN] = "boolean",
        [LEAT_KIND_INT] = "int",
        [LEAT_KIND_LONG] = "long",
        [LEAT_KIND_FLOAT] = "float",
        [LEAT_KIND_DOUBLE] = "double",
        [LEAT_KIND_BYTES] = "bytes",
        [LEAT_KIND_STRING] = "string",
        [LEAT_KIND_FIXED] = "fixed",
        [LEAT_KIND_ENUM] = "enum",
        [LEAT_KIND_RECORD] = "record",
        [LEAT_KIND_ARRAY] = "array",
        [LEAT_KIND_MAP] = "map",
        [LEAT_KIND_UNION] = "union",
        [LEAT_KIND_OPTIONAL] = "union",
    };
    return words[kind];
}

/* The kinds that a logical type may annotate; fixed_size 0: any size. */
static const struct logical_row {
    const char *word;
    enum leat_logical logical;
    enum leat_kind kind;
    uint32_t fixed_size;
} logical_rows[] = {
    { "decimal", LEAT_LOGICAL_DECIMAL, LEAT_KIND_BYTES, 0 },
    { "decimal", LEAT_LOGICAL_DECIMAL, LEAT_KIND_FIXED, 0 },
    { "uuid", LEAT_LOGICAL_UUID, LEAT_KIND_STRING, 0 },
    { "uuid", LEAT_LOGICAL_UUID, LEAT_KIND_FIXED, 16 },
    { "date", LEAT_LOGICAL_DATE, LEAT_KIND_INT, 0 },
    { "time-millis", LEAT_LOGICAL_TIME_MILLIS, LEAT_KIND_INT, 0 },
    { "time-micros", LEAT_LOGICAL_TIME_MICROS, LEAT_KIND_LONG, 0 },
    { "timestamp-millis", LEAT_LOGICAL_TIMESTAMP_MILLIS, LEAT_KIND_LONG, 0 },
    { "timestamp-micros", LEAT_LOGICAL_TIMESTAMP_MICROS, LEAT_KIND_LONG, 0 },
    { "timestamp-nanos", LEAT_LOGICAL_TIMESTAMP_NANOS, LEAT_KIND_LONG, 0 },
    { "local-timestamp-millis", LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS, LEAT_KIND_LONG, 0 },
    { "local-timestamp-micros", LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS, LEAT_KIND_LONG, 0 },
    { "local-timestamp-nanos", LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS, LEAT_KIND_LONG, 0 },
    { "duration", LEAT_LOGICAL_DURATION, LEAT_KIND_FIXED, 12 },
};
#define LOGICAL_ROWS_COUNT (sizeof logical_rows / sizeof logical_rows[0])

int leat__logical_unit(enum leat_logical logical)
{
    switch (logical) {
    case LEAT_LOGICAL_DATE:
        return 1;
    case LEAT_LOGICAL_TIME_MILLIS:
        return 2;
    case LEAT_LOGICAL_TIME_MICROS:
        return 3;
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        return 4;
    case LEAT_LOGICAL_TIMESTAMP_MICROS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS:
        return 5;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        return 6;
    default:
        return 0;
    }
}

const char *leat__logical_name(enum leat_logical logical)
{
    for (size_t i = 0; i < LOGICAL_ROWS_COUNT; i++)
        if (logical_rows[i].logical == logical)
            return logical_rows[i].word;
    return NULL;
}

int32_t leat__decimal_digits_max(uint32_t size)
{
    /* floor(log10(2^(8 size - 1) - 1)): the power of two is never a power of ten, so the -1 changes nothing.
     */
    const double digits = (8.0 * size - 1.0) * 0.30102999566398119521;
    return size == 0 ? 0 : digits < INT32_MAX ? (int32_t)digits : INT32_MAX;
}

static bool set_decimal(struct leat_schema_node *node, const json_t *json)
{
    const json_t *precision = json_object_get(json, "precision"), *scale = json_object_get(json, "scale");
    if (!json_is_integer(precision) || (scale && !json_is_integer(scale)))
        return false;
    const json_int_t digits = json_integer_value(precision);
    const json_int_t behind = json_integer_value(scale); /* 0 when missing */
    if (digits < 1 || digits > INT32_MAX || behind < 0 || behind > digits)
        return false;
    if (node->kind == LEAT_KIND_FIXED && digits > leat__decimal_digits_max(node->fixed_size))
        return false;
    node->precision = (int32_t)digits;
    node->scale = (int32_t)behind;
    return true;
}

void leat__schema_logical(struct leat_schema_node *node, const json_t *json)
{
    const char *word = json_string_value(json_object_get(json, "logicalType"));
    for (size_t i = 0; word && i < LOGICAL_ROWS_COUNT; i++) {
        const struct logical_row *row = &logical_rows[i];
        if (row->kind != node->kind || strcmp(row->word, word) != 0)
            continue;
        if (row->fixed_size && row->fixed_size != node->fixed_size)
            continue;
        if (row->logical != LEAT_LOGICAL_DECIMAL || set_decimal(node, json))
            node->logical = row->logical;
        return;
    }
}

/* ---- canonical form ---- */

struct canonical {
    struct leat_strbuf *out;
    bool *written; /* by node id: a named type that was written out */
};

static void write_node(struct canonical *c, const struct leat_schema_node *node);

static void write_text(struct canonical *c, const char *before, const char *text)
{
    leat__strbuf_str(c->out, before);
    leat__strbuf_char(c->out, '"');
    leat__strbuf_str(c->out, text); /* names only: nothing to escape */
    leat__strbuf_char(c->out, '"');
}

static void write_record(struct canonical *c, const struct leat_schema_node *node)
{
    leat__strbuf_str(c->out, ",\"type\":\"record\",\"fields\":[");
    for (uint32_t i = 0; i < node->fields_count; i++) {
        write_text(c, i ? ",{\"name\":" : "{\"name\":", node->fields[i].name);
        leat__strbuf_str(c->out, ",\"type\":");
        write_node(c, node->fields[i].node);
        leat__strbuf_char(c->out, '}');
    }
    leat__strbuf_str(c->out, "]}");
}

static void write_named(struct canonical *c, const struct leat_schema_node *node)
{
    if (c->written[node->id]) {
        write_text(c, "", node->name);
        return;
    }
    c->written[node->id] = true;
    write_text(c, "{\"name\":", node->name);
    if (node->kind == LEAT_KIND_RECORD) {
        write_record(c, node);
    } else if (node->kind == LEAT_KIND_ENUM) {
        leat__strbuf_str(c->out, ",\"type\":\"enum\",\"symbols\":[");
        for (uint32_t i = 0; i < node->symbols_count; i++)
            write_text(c, i ? "," : "", node->symbols[i]);
        leat__strbuf_str(c->out, "]}");
    } else {
        leat__strbuf_printf(c->out, ",\"type\":\"fixed\",\"size\":%u}", node->fixed_size);
    }
}

static void write_node(struct canonical *c, const struct leat_schema_node *node)
{
    switch (node->kind) {
    case LEAT_KIND_RECORD:
    case LEAT_KIND_ENUM:
    case LEAT_KIND_FIXED:
        write_named(c, node);
        break;
    case LEAT_KIND_UNION:
        leat__strbuf_char(c->out, '[');
        for (uint32_t i = 0; i < node->branches_count; i++) {
            if (i)
                leat__strbuf_char(c->out, ',');
            write_node(c, node->branches[i]);
        }
        leat__strbuf_char(c->out, ']');
        break;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        leat__strbuf_str(c->out,
            node->kind == LEAT_KIND_ARRAY ? "{\"type\":\"array\",\"items\":"
                                          : "{\"type\":\"map\",\"values\":");
        write_node(c, node->item);
        leat__strbuf_char(c->out, '}');
        break;
    default:
        write_text(c, "", node->name);
    }
}

void leat__schema_canonical(const struct leat_schema *schema, struct leat_strbuf *out)
{
    struct canonical c = { .out = out, .written = leat__calloc(schema->nodes_count, sizeof(bool)) };
    if (!c.written) {
        out->failed = true;
        return;
    }
    write_node(&c, schema->root);
    leat__free(c.written);
}
