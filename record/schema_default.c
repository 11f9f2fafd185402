/* record/schema_default.c -- whether a JSON value is a default for a type.
 *
 * A union's default is of its first branch. In the default of a record a member may be missing if its field
 * has a default of its own; that one is checked where it stands, so the walk ends with the JSON value even
 * for types that contain themselves. */
#include "record/schema_private.h"

/* Shows the start of a value in an error. */
static int not_a(struct leat_error *err, json_t *value, const char *what)
{
    char text[60];
    const size_t len = json_dumpb(value, text, sizeof text, JSON_ENCODE_ANY | JSON_COMPACT);
    return leat__error(
        err, LEAT_ESCHEMA, "%.*s is not %s", (int)(len < sizeof text ? len : sizeof text), text, what);
}

/* Whether the UTF-8 text has code points 0 .. 255 only: the way bytes are written; *len their number. */
static bool is_latin(json_t *value, size_t *len)
{
    const char *text = json_string_value(value);
    const size_t size = json_string_length(value);
    size_t n = 0;
    for (size_t i = 0; i < size; i++, n++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 0x80)
            continue;
        if (c != 0xc2 && c != 0xc3)
            return false;
        i++; /* valid UTF-8: one more byte follows */
    }
    *len = n;
    return true;
}

static int check_bytes(const struct leat_schema_node *node, json_t *value, struct leat_error *err)
{
    size_t len;
    if (!json_is_string(value) || !is_latin(value, &len))
        return not_a(err, value, "bytes (a string of the characters 0 to 255)");
    if (node->kind == LEAT_KIND_FIXED && len != node->fixed_size)
        return leat__error(
            err, LEAT_ESCHEMA, "%zu bytes; fixed %s has %u", len, node->name, node->fixed_size);
    return 0;
}

static int check_enum(const struct leat_schema_node *node, json_t *value, struct leat_error *err)
{
    const char *text = json_string_value(value);
    for (uint32_t i = 0; text && i < node->symbols_count; i++)
        if (strcmp(node->symbols[i], text) == 0)
            return 0;
    return not_a(err, value, "a symbol of its enum");
}

static int check_array(const struct leat_schema_node *node, json_t *value, struct leat_error *err)
{
    if (!json_is_array(value))
        return not_a(err, value, "an array");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const int code = leat__schema_check_default(node->item, json_array_get(value, i), err);
        if (code < 0) {
            (void)leat__error_prefix(err, "item %zu", i + 1);
            return code;
        }
    }
    return 0;
}

static int check_map(const struct leat_schema_node *node, json_t *value, struct leat_error *err)
{
    if (!json_is_object(value))
        return not_a(err, value, "an object");
    const char *key;
    json_t *item;
    json_object_foreach(value, key, item)
    {
        const int code = leat__schema_check_default(node->item, item, err);
        if (code < 0) {
            (void)leat__error_prefix(err, "key \"%s\"", key);
            return code;
        }
    }
    return 0;
}

static int check_record(const struct leat_schema_node *node, json_t *value, struct leat_error *err)
{
    if (!json_is_object(value))
        return not_a(err, value, "an object");
    for (uint32_t i = 0; i < node->fields_count; i++) {
        const struct leat_schema_field *field = &node->fields[i];
        json_t *member = json_object_get(value, field->name);
        if (!member && !field->has_default)
            return leat__error(err, LEAT_ESCHEMA, "member \"%s\" is missing", field->name);
        const int code = member ? leat__schema_check_default(field->node, member, err) : 0;
        if (code < 0) {
            (void)leat__error_prefix(err, "member \"%s\"", field->name);
            return code;
        }
    }
    return 0;
}

static int check_int(json_t *value, struct leat_error *err)
{
    const json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < INT32_MIN || n > INT32_MAX)
        return not_a(err, value, "an int");
    return 0;
}

int leat__schema_check_default(const struct leat_schema_node *node, json_t *value, struct leat_error *err)
{
    switch (node->kind) {
    case LEAT_KIND_NULL:
        return json_is_null(value) ? 0 : not_a(err, value, "null");
    case LEAT_KIND_BOOLEAN:
        return json_is_boolean(value) ? 0 : not_a(err, value, "a boolean");
    case LEAT_KIND_INT:
        return check_int(value, err);
    case LEAT_KIND_LONG:
        return json_is_integer(value) ? 0 : not_a(err, value, "a long");
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        return json_is_number(value) ? 0 : not_a(err, value, "a number");
    case LEAT_KIND_STRING:
        return json_is_string(value) ? 0 : not_a(err, value, "a string");
    case LEAT_KIND_BYTES:
    case LEAT_KIND_FIXED:
        return check_bytes(node, value, err);
    case LEAT_KIND_ENUM:
        return check_enum(node, value, err);
    case LEAT_KIND_ARRAY:
        return check_array(node, value, err);
    case LEAT_KIND_MAP:
        return check_map(node, value, err);
    case LEAT_KIND_RECORD:
        return check_record(node, value, err);
    default:
        if (node->branches_count == 0)
            return leat__error(err, LEAT_ESCHEMA, "a union without branches has no values");
        return leat__schema_check_default(node->branches[0], value, err);
    }
}
