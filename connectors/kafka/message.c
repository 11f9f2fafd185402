/* connectors/kafka/message.c -- layouts: which field of a record is in which part of a message. */
#include "connectors/kafka/message_private.h"
#include "record/csv.h"
#include "topology/declare.h"

struct maker {
    const struct leat_kafka_layout_opts *opts;
    const struct leat_type *type;
    struct leat_arena *arena;
    struct leat_kafka_layout *layout;
    bool *in_value, *in_key; /* one per field of the record */
    struct leat_error *err;
};

static int find_field(struct maker *m, const char *option, const char *name, uint32_t *index)
{
    struct leat_place place;
    struct leat_error found = { 0 };
    for (uint32_t i = 0; i < m->type->fields_count; i++)
        if (strcmp(m->type->fields[i].name, name) == 0) {
            *index = i;
            return 0;
        }
    if (leat_record_find(m->type, name, &place, &found) == 0) /* a path into one */
        return leat__error(m->err, LEAT_EDECLARE,
            "%s: \"%s\" must be a field of %s itself, not of a record in it", option, name, m->type->name);
    return leat__error(m->err, LEAT_EDECLARE, "%s: %s", option, found.message);
}

/* ---- meta ---- */

#define BIT(kind_) (1u << (kind_))
#define TEXTS (BIT(LEAT_KIND_STRING) | BIT(LEAT_KIND_BYTES))

static const struct meta_kind {
    const char *option;
    size_t offset; /* of the name in struct leat_kafka_meta */
    uint32_t kinds;
    const char *expected;
} meta_kinds[LEAT_KAFKA_META_COUNT] = {
#define META(name_) "meta." #name_, offsetof(struct leat_kafka_meta, name_)
    [LEAT_KAFKA_META_TOPIC] = { META(topic), BIT(LEAT_KIND_STRING), "a string" },
    [LEAT_KAFKA_META_PARTITION] = { META(partition), BIT(LEAT_KIND_INT), "an int" },
    [LEAT_KAFKA_META_OFFSET] = { META(offset), BIT(LEAT_KIND_LONG), "a long" },
    [LEAT_KAFKA_META_TIMESTAMP] = { META(timestamp), BIT(LEAT_KIND_LONG),
        "a long, best with a timestamp's logical type" },
    [LEAT_KAFKA_META_HEADERS] = { META(headers), BIT(LEAT_KIND_ARRAY) | BIT(LEAT_KIND_MAP),
        "an array of records with a string and bytes or a string, or a map of bytes or strings" },
    [LEAT_KAFKA_META_KEY] = { META(key), TEXTS, "a string or bytes" },
    [LEAT_KAFKA_META_TOMBSTONE] = { META(tombstone), BIT(LEAT_KIND_BOOLEAN), "a boolean that is never null" },
    [LEAT_KAFKA_META_TRACEPARENT] = { META(traceparent), BIT(LEAT_KIND_STRING), "a string" },
    [LEAT_KAFKA_META_TRACESTATE] = { META(tracestate), BIT(LEAT_KIND_STRING), "a string" },
    [LEAT_KAFKA_META_TRACE_LINKS] = { META(trace_links), BIT(LEAT_KIND_STRING) | BIT(LEAT_KIND_ARRAY),
        "an array of strings, or a string" },
#undef META
};

static bool is_text(const struct leat_type *type)
{
    return type && (type->kind == LEAT_KIND_STRING || type->kind == LEAT_KIND_BYTES);
}

/* Items { name, value } in this order, the value perhaps null; or a map. */
static bool set_headers(struct leat_kafka_layout *layout, const struct leat_type *type)
{
    const struct leat_type *item = type->item;
    if (type->kind == LEAT_KIND_MAP) {
        layout->headers_are_map = true;
        return is_text(item) || (item->kind == LEAT_KIND_OPTIONAL && is_text(item->item));
    }
    if (item->kind != LEAT_KIND_RECORD || item->fields_count != 2)
        return false;
    layout->header_name = &item->fields[0];
    layout->header_value = &item->fields[1];
    return layout->header_name->type->kind == LEAT_KIND_STRING &&
        layout->header_name->has_offset == LEAT_NOT_NULLABLE && is_text(layout->header_value->type);
}

static int set_meta_field(struct maker *m, uint32_t which, const char *name)
{
    const struct meta_kind *kind = &meta_kinds[which];
    struct leat_kafka_meta_place *place = &m->layout->meta[which];
    uint32_t index;
    LEAT_TRY(find_field(m, kind->option, name, &index));
    const struct leat_field *field = &m->type->fields[index];
    bool fits = (BIT(field->type->kind) & kind->kinds) != 0;
    if (fits && which == LEAT_KAFKA_META_TIMESTAMP)
        fits = leat__time_unit(field->type, &m->layout->timestamp_to_us);
    if (fits && which == LEAT_KAFKA_META_HEADERS)
        fits = set_headers(m->layout, field->type);
    if (fits && which == LEAT_KAFKA_META_TOMBSTONE)
        fits = field->has_offset == LEAT_NOT_NULLABLE;
    if (fits && which == LEAT_KAFKA_META_TRACE_LINKS && field->type->kind == LEAT_KIND_ARRAY)
        fits = field->type->item->kind == LEAT_KIND_STRING;
    if (!fits)
        return leat__error(
            m->err, LEAT_EDECLARE, "%s: field \"%s\" must be %s", kind->option, name, kind->expected);
    if (!m->in_value[index])
        return leat__error(m->err, LEAT_EDECLARE, "%s: field \"%s\" is named twice", kind->option, name);
    m->layout->has_trace |= which >= LEAT_KAFKA_META_TRACEPARENT;
    place->is_set = true;
    place->field = field;
    m->in_value[index] = false;
    return 0;
}

static int set_meta(struct maker *m)
{
    for (uint32_t i = 0; i < LEAT_KAFKA_META_COUNT; i++) {
        const char *name;
        memcpy((void *)&name, (const char *)&m->opts->meta + meta_kinds[i].offset, sizeof name);
        if (name)
            LEAT_TRY(set_meta_field(m, i, name));
    }
    if (m->opts->meta.tracestate && !m->opts->meta.traceparent)
        return leat__error(m->err, LEAT_EDECLARE, "meta.tracestate: means nothing without meta.traceparent");
    if (m->opts->writing && m->opts->meta.offset)
        return leat__error(m->err, LEAT_EDECLARE, "meta.offset: the brokers give offsets: leave it out");
    if (!m->opts->writing && m->opts->meta.trace_links)
        return leat__error(m->err, LEAT_EDECLARE,
            "meta.trace_links: only of sinks; a source has the header in meta.headers");
    return 0;
}

/* ---- key ---- */

static int set_key_fields(struct maker *m)
{
    const char *text = m->opts->key.fields;
    if (!text)
        return 0;
    if (m->opts->meta.key)
        return leat__error(
            m->err, LEAT_EDECLARE, "key.fields: the key is the field of meta.key already: name one of them");
    while (*text) {
        char name[256];
        text += strspn(text, " ,");
        const size_t len = strcspn(text, " ,");
        uint32_t index;
        if (len == 0)
            break;
        if (len >= sizeof name)
            return leat__error(
                m->err, LEAT_ELIMIT, "key.fields: a name has at most %zu bytes", sizeof name - 1);
        memcpy(name, text, len);
        name[len] = '\0';
        text += len;
        LEAT_TRY(find_field(m, "key.fields", name, &index));
        if (m->in_key[index] || !m->in_value[index])
            return leat__error(m->err, LEAT_EDECLARE, "key.fields: field \"%s\" is named twice", name);
        m->in_key[index] = true;
    }
    for (uint32_t i = 0; i < m->type->fields_count; i++)
        if (m->in_key[i] && m->opts->key.only)
            m->in_value[i] = false;
    return 0;
}

/* ---- formats ---- */

static bool is_avro(enum leat_format format)
{
    return format == LEAT_FORMAT_AVRO_BINARY || format == LEAT_FORMAT_AVRO_SINGLE ||
        format == LEAT_FORMAT_AVRO_REGISTRY;
}

static bool is_known(enum leat_format format)
{
    return is_avro(format) || format == LEAT_FORMAT_JSON || format == LEAT_FORMAT_JSON_AVRO ||
        format == LEAT_FORMAT_CSV || format == LEAT_FORMAT_RAW;
}

static int set_raw(struct maker *m, const char *option, struct leat_kafka_part *part)
{
    static const uint32_t kinds = TEXTS | BIT(LEAT_KIND_INT) | BIT(LEAT_KIND_LONG) | BIT(LEAT_KIND_DOUBLE);
    if (part->type->fields_count != 1)
        return leat__error(m->err, LEAT_EDECLARE,
            "%s: LEAT_FORMAT_RAW is one field as it is, but there are %u: take another format", option,
            part->type->fields_count);
    part->raw = &part->type->fields[0];
    if (!(BIT(part->raw->type->kind) & kinds))
        return leat__error(m->err, LEAT_EDECLARE,
            "%s: LEAT_FORMAT_RAW takes a string, bytes, an int, a long or a double, and field \"%s\" is none",
            option, part->raw->name);
    return 0;
}

static int set_part(struct maker *m, const char *option, const bool *wanted, const char *suffix,
    enum leat_format format, struct leat_kafka_part *part)
{
    if (!is_known(format))
        return leat__error(m->err, LEAT_EDECLARE,
            "%s: %s: take LEAT_FORMAT_JSON, _JSON_AVRO, _CSV, _AVRO_BINARY, _AVRO_SINGLE, _AVRO_REGISTRY or "
            "_RAW",
            option, format == 0 ? "missing" : "not a format of messages");
    part->format = format;
    if (leat__type_part(m->type, wanted, suffix, m->arena, &part->type, m->err) < 0)
        return leat__error_prefix(m->err, "%s", option);
    if (part->type->fields_count == 0 && format != LEAT_FORMAT_RAW)
        return leat__error(m->err, LEAT_EDECLARE, "%s: no field of %s is left for it", option, m->type->name);
    if (format == LEAT_FORMAT_RAW)
        return set_raw(m, option, part);
    if (format == LEAT_FORMAT_CSV && leat__csv_check(part->type, m->err) < 0)
        return leat__error_prefix(m->err, "%s", option);
    return 0;
}

static int set_formats(struct maker *m)
{
    const struct leat_kafka_layout_opts *o = m->opts;
    LEAT_TRY(set_part(m, "format", m->in_value, NULL, o->format, &m->layout->value));
    if (o->key.fields)
        LEAT_TRY(set_part(m, "key.format", m->in_key, "_key", o->key.format ? o->key.format : LEAT_FORMAT_RAW,
            &m->layout->key));
    else if (o->key.format || o->key.only)
        return leat__error(m->err, LEAT_EDECLARE, "key.fields: missing: which fields are the key?");
    if (o->separator && o->format != LEAT_FORMAT_CSV && o->key.format != LEAT_FORMAT_CSV)
        return leat__error(m->err, LEAT_EDECLARE, "separator: only CSV has one");
    if (o->value_schema && o->format != LEAT_FORMAT_AVRO_BINARY)
        return leat__error(m->err, LEAT_EDECLARE,
            "value_schema: only of LEAT_FORMAT_AVRO_BINARY: other formats say themselves what they were "
            "written with");
    m->layout->separator = o->separator ? o->separator : ',';
    m->layout->key_only = o->key.only;
    return 0;
}

static int check_written_schema(struct maker *m)
{
    struct leat_schema *schema;
    if (!m->opts->value_schema)
        return 0;
    if (leat__schema_parse(m->opts->value_schema, strlen(m->opts->value_schema), &schema, m->err) < 0)
        return leat__error_prefix(m->err, "value_schema");
    leat__schema_free(schema);
    m->layout->written_schema = leat__arena_str(m->arena, m->opts->value_schema);
    return m->layout->written_schema ? 0 : leat__error(m->err, LEAT_ENOMEM, "out of memory for a schema");
}

int leat__kafka_layout_new(const struct leat_kafka_layout_opts *opts, struct leat_arena *arena,
    const struct leat_kafka_layout **layout, struct leat_error *err)
{
    const uint32_t fields = opts->type->fields_count;
    struct maker m = { .opts = opts, .type = opts->type, .arena = arena, .err = err };
    *layout = NULL;
    m.layout = leat__arena_alloc(arena, sizeof *m.layout);
    m.in_value = leat__arena_array(arena, fields + 1, sizeof *m.in_value);
    m.in_key = leat__arena_array(arena, fields + 1, sizeof *m.in_key);
    if (!m.layout || !m.in_value || !m.in_key)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a layout of messages");
    memset(m.in_value, true, fields);
    m.layout->type = opts->type;
    m.layout->topic = opts->topic;
    LEAT_TRY(set_meta(&m));
    LEAT_TRY(set_key_fields(&m));
    LEAT_TRY(set_formats(&m));
    LEAT_TRY(check_written_schema(&m));
    *layout = m.layout;
    return 0;
}

const char *leat__kafka_value_schema(const struct leat_kafka_layout *layout)
{
    return layout->value.type->schema;
}

const char *leat__kafka_key_schema(const struct leat_kafka_layout *layout)
{
    return layout->key.type && is_avro(layout->key.format) ? layout->key.type->schema : NULL;
}
