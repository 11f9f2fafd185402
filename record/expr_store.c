/* record/expr_store.c -- expressions: writing values into fields.
 *
 *   class      fits
 *   boolean    boolean
 *   integer    int (range checked), long, float, double; not a timestamp: the unit would be a guess
 *   float      float, double
 *   string     string, bytes, enum (one of its symbols), fixed (of its length)
 *   timestamp  timestamp-millis, -micros, -nanos, local ones, date: cut to the unit, toward the past
 *   null       whatever is nullable
 *
 * Nullable records on the way to the field become present. */
#include "record/expr_private.h"
#include <math.h>
#include <stdio.h>

#define DAY_US INT64_C(86400000000)

static bool is_timestamp(const struct leat_type *type)
{
    return type->logical >= LEAT_LOGICAL_TIMESTAMP_MILLIS &&
        type->logical <= LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS;
}

static bool fits(enum leat_value_class value_class, const struct leat_type *to)
{
    if (to->logical == LEAT_LOGICAL_DECIMAL)
        return false;
    switch (value_class) {
    case LEAT_VALUE_NULL:
        return true;
    case LEAT_VALUE_BOOL:
        return to->kind == LEAT_KIND_BOOLEAN;
    case LEAT_VALUE_INT:
        return (to->kind == LEAT_KIND_INT && to->logical != LEAT_LOGICAL_DATE) ||
            (to->kind == LEAT_KIND_LONG && !is_timestamp(to)) || to->kind == LEAT_KIND_FLOAT ||
            to->kind == LEAT_KIND_DOUBLE;
    case LEAT_VALUE_FLOAT:
        return to->kind == LEAT_KIND_FLOAT || to->kind == LEAT_KIND_DOUBLE;
    case LEAT_VALUE_STRING:
        return to->kind == LEAT_KIND_STRING || to->kind == LEAT_KIND_BYTES || to->kind == LEAT_KIND_ENUM ||
            to->kind == LEAT_KIND_FIXED;
    case LEAT_VALUE_TIMESTAMP:
        return is_timestamp(to) || to->logical == LEAT_LOGICAL_DATE;
    }
    return false;
}

static const char *remedy_for(enum leat_value_class value_class, const struct leat_type *to)
{
    if (to->logical == LEAT_LOGICAL_DECIMAL)
        return "; expressions do not make decimals";
    if (value_class == LEAT_VALUE_INT && (is_timestamp(to) || to->logical == LEAT_LOGICAL_DATE))
        return "; timestamp_millis(...) or timestamp_micros(...) says the unit";
    if (value_class == LEAT_VALUE_TIMESTAMP && (to->kind == LEAT_KIND_LONG || to->kind == LEAT_KIND_INT))
        return "; epoch_millis(...) or epoch_micros(...) says the unit";
    if (to->kind == LEAT_KIND_INT || to->kind == LEAT_KIND_LONG)
        return "; write cast(... as long)";
    if (to->kind == LEAT_KIND_DOUBLE || to->kind == LEAT_KIND_FLOAT)
        return "; write cast(... as double)";
    if (to->kind == LEAT_KIND_STRING)
        return "; write cast(... as string)";
    return "";
}

int leat__expr_store_new(const struct leat_expr *expr, const struct leat_type *to, const char *field,
    struct leat_expr_store *store, struct leat_error *err)
{
    struct leat_error unseen = { 0 };
    struct leat_error *why = err ? err : &unseen;
    const enum leat_value_class value_class = expr->program.value_class;
    if (leat_record_find(to, field, &store->place, why) != 0) {
        why->code = LEAT_EEXPR;
        return LEAT_EEXPR;
    }
    store->value_class = value_class;
    const struct leat_type *type = store->place.type;
    if (!fits(value_class, type))
        return leat__error(why, LEAT_EEXPR, "\"%s\" gives %s, which does not fit field %s of type %s%s",
            leat__expr_text(expr), leat__expr_class_name(value_class), field, type->name,
            remedy_for(value_class, type));
    if (expr->program.is_nullable && store->place.has_offset == LEAT_NOT_NULLABLE)
        return leat__error(why, LEAT_EEXPR,
            "\"%s\" may be null, field %s of type %s can not; write coalesce(..., a default)",
            leat__expr_text(expr), field, type->name);
    return 0;
}

/* ---- values ---- */

struct target {
    const struct leat_expr_store *store;
    const struct leat_vector *vector;
    struct leat_error *err;
    uint32_t symbol; /* the one found last */
};

static int fail_value(const struct target *t, uint32_t i, const char *value, const char *what)
{
    return leat__error(t->err, LEAT_EDATA, "row %u: %s does not fit %s", i, value, what);
}

static int fail_integer(const struct target *t, uint32_t i, int64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    return fail_value(t, i, text, t->store->place.type->name);
}

static int fail_string(const struct target *t, uint32_t i, struct leat_sv value)
{
    char text[64];
    (void)snprintf(text, sizeof text, "'%.*s%s'", (int)(value.len < 48 ? value.len : 48),
        value.len ? value.data : "", value.len < 48 ? "" : "...");
    return fail_value(t, i, text, t->store->place.type->name);
}

/* Microseconds in the unit of the field. */
static int put_timestamp(const struct target *t, uint32_t i, int64_t us, void *at)
{
    int64_t value = us;
    switch (t->store->place.type->logical) {
    case LEAT_LOGICAL_DATE:
        value = us / DAY_US - (us % DAY_US < 0);
        *(int32_t *)at = (int32_t)value; /* 64 bits of microseconds are less than 2^27 days */
        return 0;
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        value = us / 1000 - (us % 1000 < 0);
        break;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        if (__builtin_mul_overflow(us, INT64_C(1000), &value))
            return leat__error(t->err, LEAT_EDATA,
                "row %u: the timestamp %lld us is beyond the nanoseconds of 64 bits", i, (long long)us);
        break;
    default:
        break;
    }
    *(int64_t *)at = value;
    return 0;
}

static int put_integer(const struct target *t, uint32_t i, int64_t value, void *at)
{
    switch (t->store->place.type->kind) {
    case LEAT_KIND_INT:
        if (value != (int32_t)value)
            return fail_integer(t, i, value);
        *(int32_t *)at = (int32_t)value;
        return 0;
    case LEAT_KIND_FLOAT:
        *(float *)at = (float)value;
        return 0;
    case LEAT_KIND_DOUBLE:
        *(double *)at = (double)value;
        return 0;
    default:
        *(int64_t *)at = value;
        return 0;
    }
}

static int put_float(const struct target *t, uint32_t i, double value, void *at)
{
    if (t->store->place.type->kind == LEAT_KIND_DOUBLE) {
        *(double *)at = value;
        return 0;
    }
    if (isfinite(value) && fabs(value) > 3.4028235677973366e38) { /* would round to infinity */
        char text[32];
        (void)snprintf(text, sizeof text, "%g", value);
        return fail_value(t, i, text, "float");
    }
    *(float *)at = (float)value;
    return 0;
}

static int put_symbol(struct target *t, uint32_t i, struct leat_sv value, void *at)
{
    const struct leat_type *type = t->store->place.type;
    for (uint32_t k = 0; k < type->symbols_count; k++) {
        const uint32_t symbol = (t->symbol + k) % type->symbols_count; /* runs of one symbol are usual */
        if (leat_sv_eq(value, leat_sv_of(type->symbols[symbol]))) {
            t->symbol = symbol;
            *(int32_t *)at = (int32_t)symbol;
            return 0;
        }
    }
    return fail_string(t, i, value);
}

static int put_string(struct target *t, uint32_t i, struct leat_sv value, void *at)
{
    const struct leat_type *type = t->store->place.type;
    switch (type->kind) {
    case LEAT_KIND_ENUM:
        return put_symbol(t, i, value, at);
    case LEAT_KIND_FIXED:
        if (value.len != type->size)
            return fail_string(t, i, value);
        memcpy(at, value.data, value.len);
        return 0;
    default:
        *(struct leat_sv *)at = value;
        return 0;
    }
}

static int put(struct target *t, uint32_t i, void *at)
{
    switch (t->store->value_class) {
    case LEAT_VALUE_BOOL:
        *(bool *)at = t->vector->booleans[i] != 0;
        return 0;
    case LEAT_VALUE_INT:
        return put_integer(t, i, t->vector->integers[i], at);
    case LEAT_VALUE_FLOAT:
        return put_float(t, i, t->vector->floats[i], at);
    case LEAT_VALUE_STRING:
        return put_string(t, i, t->vector->strings[i], at);
    default:
        return put_timestamp(t, i, t->vector->integers[i], at);
    }
}

/* The common case: eight or sixteen bytes as they are, never null, no record on the way. */
static bool store_plain(
    const struct leat_expr_store *store, const struct leat_vector *vector, struct leat_batch *to)
{
    const struct leat_place *place = &store->place;
    if (place->has_offset != LEAT_NOT_NULLABLE || place->outer_has[0] != LEAT_NOT_NULLABLE)
        return false;
    unsigned char *at = to->rows + place->offset;
    if (store->value_class == LEAT_VALUE_INT && place->type->kind == LEAT_KIND_LONG) {
        for (uint32_t i = 0; i < vector->count; i++, at += to->stride)
            *(int64_t *)(void *)at = vector->integers[i];
        return true;
    }
    if (store->value_class != LEAT_VALUE_STRING ||
        (place->type->kind != LEAT_KIND_STRING && place->type->kind != LEAT_KIND_BYTES))
        return false;
    for (uint32_t i = 0; i < vector->count; i++, at += to->stride)
        *(struct leat_sv *)(void *)at = vector->strings[i];
    return true;
}

int leat__expr_store(const struct leat_expr_store *store, const struct leat_vector *vector,
    struct leat_batch *to, uint32_t *bad_row, struct leat_error *err)
{
    struct target target = { store, vector, err, 0 };
    const struct leat_place *place = &store->place;
    LEAT_ASSERT(vector->count <= to->count && vector->value_class == store->value_class);
    if (!vector->is_null && store_plain(store, vector, to))
        return 0;
    for (uint32_t i = 0; i < vector->count; i++) {
        unsigned char *row = leat_batch_at(to, i);
        const bool is_null = vector->is_null && vector->is_null[i];
        LEAT_ASSERT(!is_null || place->has_offset != LEAT_NOT_NULLABLE);
        for (uint32_t k = 0; k < 4 && place->outer_has[k] != LEAT_NOT_NULLABLE; k++)
            row[place->outer_has[k]] = 1;
        if (place->has_offset != LEAT_NOT_NULLABLE)
            row[place->has_offset] = !is_null;
        const int code = is_null ? 0 : put(&target, i, row + place->offset);
        if (code != 0) {
            if (bad_row)
                *bad_row = i;
            return code;
        }
    }
    return 0;
}
