/* record/type_access.c -- the second door to records: fields by path, values widened, a line of JSON.
 *
 * Printing is for people and logs: it never fails on bad data (an enum index without a symbol is printed as
 * its number), unlike the encoders. */
#include "base/error.h"
#include "base/near.h"
#include "record/number_text.h"
#include "record/schema_private.h"
#include <math.h>
#include <stdio.h>

#define OUTER_MAX (sizeof((struct leat_place *)0)->outer_has / sizeof(uint32_t))
#define NEAR_CANDIDATES_MAX 256u

static const unsigned char *bytes_at(const void *record, uint32_t offset)
{
    return (const unsigned char *)record + offset;
}

static bool has_at(const void *record, uint32_t offset)
{
    return *bytes_at(record, offset) != 0;
}

/* ---- places ---- */

static const struct leat_field *find_field(const struct leat_type *type, const char *name, size_t len)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strncmp(type->fields[i].name, name, len) == 0 && type->fields[i].name[len] == '\0')
            return &type->fields[i];
    return NULL;
}

static int no_field(const struct leat_type *type, const char *name, size_t len, struct leat_error *err)
{
    const char *candidates[NEAR_CANDIDATES_MAX];
    char word[128];
    struct leat_strbuf list = { 0 };
    uint32_t n = 0;
    (void)snprintf(word, sizeof word, "%.*s", (int)(len < 127 ? len : 127), name);
    for (; n < type->fields_count && n < NEAR_CANDIDATES_MAX; n++) {
        candidates[n] = type->fields[n].name;
        if (list.len < LEAT_ERROR_MESSAGE_MAX / 2)
            leat__strbuf_printf(&list, "%s%s", n ? ", " : "", candidates[n]);
    }
    const int near = leat__near(word, candidates, n);
    const char *fields = list.data ? list.data : "";
    if (near >= 0)
        (void)leat__error(err, LEAT_ENOTFOUND, "no field \"%s\" in %s (%s); did you mean \"%s\"?", word,
            type->name, fields, candidates[near]);
    else
        (void)leat__error(err, LEAT_ENOTFOUND, "no field \"%s\" in %s (%s)", word, type->name, fields);
    leat__strbuf_release(&list);
    return LEAT_ENOTFOUND;
}

/* One more nullable record on the way. */
static int add_outer(
    struct leat_place *place, uint32_t *outer_count, const char *path, struct leat_error *err)
{
    if (place->has_offset == LEAT_NOT_NULLABLE)
        return 0;
    if (*outer_count == OUTER_MAX)
        return leat__error(err, LEAT_ELIMIT, "\"%s\" passes more than %zu nullable records", path, OUTER_MAX);
    place->outer_has[(*outer_count)++] = place->has_offset;
    return 0;
}

int leat_record_find(
    const struct leat_type *type, const char *path, struct leat_place *place, struct leat_error *err)
{
    const char *step = path;
    uint32_t outer_count = 0;
    struct leat_place at = { .type = type, .has_offset = LEAT_NOT_NULLABLE };
    for (size_t i = 0; i < OUTER_MAX; i++)
        at.outer_has[i] = LEAT_NOT_NULLABLE;
    for (;;) {
        const size_t len = strcspn(step, ".");
        if (at.type->kind != LEAT_KIND_RECORD)
            return leat__error(err, LEAT_ENOTFOUND, "no field \"%s\": %.*s is of type %s, not a record", path,
                step == path ? 8 : (int)(step - path - 1), step == path ? "the type" : path, at.type->name);
        const struct leat_field *field = find_field(at.type, step, len);
        if (!field)
            return no_field(at.type, step, len, err);
        LEAT_TRY(add_outer(&at, &outer_count, path, err));
        at.has_offset =
            field->has_offset == LEAT_NOT_NULLABLE ? LEAT_NOT_NULLABLE : at.offset + field->has_offset;
        at.offset += field->offset;
        at.type = field->type;
        if (step[len] == '\0')
            break;
        step += len + 1;
    }
    *place = at;
    return 0;
}

bool leat_record_is_null(const void *record, const struct leat_place *place)
{
    for (size_t i = 0; i < OUTER_MAX && place->outer_has[i] != LEAT_NOT_NULLABLE; i++)
        if (!has_at(record, place->outer_has[i]))
            return true;
    if (place->has_offset != LEAT_NOT_NULLABLE && !has_at(record, place->has_offset))
        return true;
    if (place->type->kind == LEAT_KIND_UNION) {
        const int32_t tag = *(const int32_t *)(const void *)bytes_at(record, place->offset);
        return tag >= 0 && (uint32_t)tag < place->type->fields_count &&
            place->type->fields[tag].type->kind == LEAT_KIND_NULL;
    }
    return place->type->kind == LEAT_KIND_NULL;
}

int leat_record_get_i64(const void *record, const struct leat_place *place, int64_t *value)
{
    const void *at = bytes_at(record, place->offset);
    if (leat_record_is_null(record, place))
        return LEAT_EINVAL;
    switch (place->type->kind) {
    case LEAT_KIND_BOOLEAN:
        *value = has_at(record, place->offset);
        return 0;
    case LEAT_KIND_INT:
    case LEAT_KIND_ENUM:
        *value = *(const int32_t *)at;
        return 0;
    case LEAT_KIND_LONG:
        *value = *(const int64_t *)at;
        return 0;
    default:
        return LEAT_EINVAL;
    }
}

int leat_record_get_f64(const void *record, const struct leat_place *place, double *value)
{
    const void *at = bytes_at(record, place->offset);
    if (leat_record_is_null(record, place))
        return LEAT_EINVAL;
    switch (place->type->kind) {
    case LEAT_KIND_INT:
        *value = *(const int32_t *)at;
        return 0;
    case LEAT_KIND_LONG:
        *value = (double)*(const int64_t *)at;
        return 0;
    case LEAT_KIND_FLOAT:
        *value = (double)*(const float *)at;
        return 0;
    case LEAT_KIND_DOUBLE:
        *value = *(const double *)at;
        return 0;
    default:
        return LEAT_EINVAL;
    }
}

/* The symbol of an enum value, or NULL. */
static const char *symbol_of(const struct leat_type *type, int32_t index)
{
    return index >= 0 && (uint32_t)index < type->symbols_count ? type->symbols[index] : NULL;
}

int leat_record_get_sv(const void *record, const struct leat_place *place, struct leat_sv *value)
{
    const void *at = bytes_at(record, place->offset);
    const char *symbol;
    if (leat_record_is_null(record, place))
        return LEAT_EINVAL;
    switch (place->type->kind) {
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        *value = *(const struct leat_sv *)at;
        return 0;
    case LEAT_KIND_FIXED:
        *value = (struct leat_sv){ at, place->type->size };
        return 0;
    case LEAT_KIND_ENUM:
        symbol = symbol_of(place->type, *(const int32_t *)at);
        if (symbol)
            *value = leat_sv_of(symbol);
        return symbol ? 0 : LEAT_EINVAL;
    default:
        return LEAT_EINVAL;
    }
}

/* ---- a line of JSON ---- */

static void print_value(struct leat_strbuf *out, const struct leat_type *type, const void *at);

/* As the JSON encoder writes numbers; JSON has no NaN or infinity. */
static void print_double(struct leat_strbuf *out, double value, bool is_float)
{
    char text[LEAT_DOUBLE_TEXT_MAX];
    if (!isfinite(value))
        leat__strbuf_str(out, "null");
    else
        leat__strbuf_add(
            out, text, is_float ? leat__float_print((float)value, text) : leat__double_print(value, text));
}

static void print_record(struct leat_strbuf *out, const struct leat_type *type, const void *at)
{
    leat__strbuf_char(out, '{');
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        leat__strbuf_printf(out, "%s\"%s\":", i ? "," : "", field->name);
        if (field->has_offset != LEAT_NOT_NULLABLE && !has_at(at, field->has_offset))
            leat__strbuf_str(out, "null");
        else
            print_value(out, field->type, bytes_at(at, field->offset));
    }
    leat__strbuf_char(out, '}');
}

/* Items of arrays, entries of maps. */
static void print_items(struct leat_strbuf *out, const struct leat_type *type, const void *at)
{
    const bool is_map = type->kind == LEAT_KIND_MAP;
    const void *items =
        is_map ? ((const struct leat_map *)at)->entries : ((const struct leat_array *)at)->items;
    const size_t count =
        is_map ? ((const struct leat_map *)at)->count : ((const struct leat_array *)at)->count;
    leat__strbuf_char(out, is_map ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        const unsigned char *item = (const unsigned char *)items + i * type->entry_size;
        if (i)
            leat__strbuf_char(out, ',');
        if (is_map) {
            const struct leat_sv *key = (const struct leat_sv *)(const void *)item;
            leat__strbuf_json(out, key->data, key->len);
            leat__strbuf_char(out, ':');
        }
        print_value(out, type->item, item + (is_map ? type->value_offset : 0));
    }
    leat__strbuf_char(out, is_map ? '}' : ']');
}

static void print_enum(struct leat_strbuf *out, const struct leat_type *type, int32_t index)
{
    const char *symbol = symbol_of(type, index);
    if (symbol)
        leat__strbuf_printf(out, "\"%s\"", symbol);
    else
        leat__strbuf_printf(out, "%d", index);
}

static void print_union(struct leat_strbuf *out, const struct leat_type *type, const void *at)
{
    const int32_t tag = *(const int32_t *)at;
    if (tag >= 0 && (uint32_t)tag < type->fields_count)
        print_value(out, type->fields[tag].type, bytes_at(at, type->fields[tag].offset));
    else
        leat__strbuf_printf(out, "\"bad union tag %d\"", tag);
}

static void print_value(struct leat_strbuf *out, const struct leat_type *type, const void *at)
{
    const struct leat_sv *text = at;
    switch (type->kind) {
    case LEAT_KIND_NULL:
        leat__strbuf_str(out, "null");
        return;
    case LEAT_KIND_BOOLEAN:
        leat__strbuf_str(out, has_at(at, 0) ? "true" : "false");
        return;
    case LEAT_KIND_INT:
        leat__strbuf_printf(out, "%d", *(const int32_t *)at);
        return;
    case LEAT_KIND_LONG:
        leat__strbuf_printf(out, "%lld", (long long)*(const int64_t *)at);
        return;
    case LEAT_KIND_FLOAT:
        print_double(out, (double)*(const float *)at, true);
        return;
    case LEAT_KIND_DOUBLE:
        print_double(out, *(const double *)at, false);
        return;
    case LEAT_KIND_BYTES:
    case LEAT_KIND_STRING:
        leat__strbuf_json(out, text->data, text->len);
        return;
    case LEAT_KIND_FIXED:
        leat__strbuf_json(out, at, type->size);
        return;
    case LEAT_KIND_ENUM:
        print_enum(out, type, *(const int32_t *)at);
        return;
    case LEAT_KIND_RECORD:
        print_record(out, type, at);
        return;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        print_items(out, type, at);
        return;
    case LEAT_KIND_OPTIONAL:
        if (has_at(at, 0))
            print_value(out, type->item, bytes_at(at, type->value_offset));
        else
            leat__strbuf_str(out, "null");
        return;
    case LEAT_KIND_UNION:
        print_union(out, type, at);
        return;
    }
}

size_t leat_record_print(const void *record, const struct leat_type *type, char *text, size_t size)
{
    struct leat_strbuf out = { 0 };
    print_value(&out, type, record);
    const size_t len = out.failed || !out.data ? 0 : out.len;
    if (size) {
        const size_t shown = len < size ? len : size - 1;
        if (shown)
            memcpy(text, out.data, shown);
        text[shown] = '\0';
    }
    leat__strbuf_release(&out);
    return len;
}
