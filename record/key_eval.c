/* record/key_eval.c -- keys: rows to bytes whose order is that of the values.
 *
 *   one long or int, never null   each key is 8 bytes of the scratch, swapped and with the sign flipped
 *   one string, never null        each key is the view in the row
 *   fields                        measure: the most bytes that this batch's keys can take, reserved once
 *                                 write: part behind part, so that keys can point at their bytes at once
 *   fields and expressions        the expressions of the whole batch, then as fields; one string or number alone as
 *                                 above. If a row fails: row by row, so that the bad ones are known
 *   a callback                    fills the views itself
 *
 * A string in a composite: 0x00 becomes 0x00 0xFF and 0x00 0x00 ends it. The end sorts before any
 * continuation, so a prefix comes first, and no string can be taken for the beginning of another with its
 * neighbour. A scratch belongs to one thread; what expressions need is made when it first meets their key. */
#include "record/key_private.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include <endian.h>
#include <math.h>

#define SIGN_BIT (UINT64_C(1) << 63)
#define NAN_BITS UINT64_C(0x7ff8000000000000)
#define NULL_MARK 0x00
#define VALUE_MARK 0x01

static const struct leat_sv null_key = { NULL, 0 }, bad_key = { NULL, 1 };

/* The expressions of a key, and what they gave of the batch. */
struct exprs {
    struct exprs *next;
    const struct leat_key *key;
    struct leat_expr_scratch *scratches[LEAT_KEY_FIELDS_MAX];
    struct leat_vector values[LEAT_KEY_FIELDS_MAX];
};

struct leat_key_scratch {
    struct leat_sv *keys;
    uint32_t keys_capacity;
    unsigned char *bytes;
    size_t bytes_capacity;
    struct exprs *exprs; /* by key */
    uint32_t bad_rows;
};

/* ---- scratch ---- */

int leat__key_scratch_new(struct leat_key_scratch **scratch)
{
    *scratch = leat__calloc(1, sizeof **scratch);
    return *scratch ? 0 : LEAT_ENOMEM;
}

void leat__key_scratch_free(struct leat_key_scratch *scratch)
{
    if (!scratch)
        return;
    while (scratch->exprs) {
        struct exprs *exprs = scratch->exprs;
        scratch->exprs = exprs->next;
        for (uint32_t k = 0; k < LEAT_KEY_FIELDS_MAX; k++)
            leat__expr_scratch_free(exprs->scratches[k]);
        leat__free(exprs);
    }
    leat__free(scratch->keys);
    leat__free(scratch->bytes);
    leat__free(scratch);
}

uint32_t leat__key_bad_rows(const struct leat_key_scratch *scratch)
{
    return scratch->bad_rows;
}

static int reserve_keys(struct leat_key_scratch *s, uint32_t count)
{
    if (count <= s->keys_capacity)
        return 0;
    leat__free(s->keys);
    s->keys_capacity = 0;
    s->keys = leat__malloc(count * sizeof *s->keys);
    if (!s->keys)
        return LEAT_ENOMEM;
    s->keys_capacity = count;
    return 0;
}

static int reserve_bytes(struct leat_key_scratch *s, size_t bytes)
{
    if (bytes <= s->bytes_capacity)
        return 0;
    const size_t capacity = bytes > 2 * s->bytes_capacity ? bytes : 2 * s->bytes_capacity;
    leat__free(s->bytes);
    s->bytes_capacity = 0;
    s->bytes = leat__malloc(capacity);
    if (!s->bytes)
        return LEAT_ENOMEM;
    s->bytes_capacity = capacity;
    return 0;
}

/* What the key's expressions need; NULL when out of memory. */
static struct exprs *exprs_of(struct leat_key_scratch *s, const struct leat_key *key)
{
    struct exprs *exprs = s->exprs;
    while (exprs && exprs->key != key)
        exprs = exprs->next;
    if (exprs)
        return exprs;
    exprs = leat__calloc(1, sizeof *exprs);
    if (!exprs)
        return NULL;
    exprs->key = key;
    exprs->next = s->exprs;
    s->exprs = exprs;
    for (uint32_t k = 0; k < key->parts_count; k++) {
        if (key->parts[k].expr && leat__expr_scratch_new(key->parts[k].expr, &exprs->scratches[k]) < 0) {
            exprs->key = NULL; /* nobody's: the next one makes all of it */
            return NULL;
        }
    }
    return exprs;
}

/* ---- fields ---- */

static unsigned char *put_integer(unsigned char *to, int64_t value)
{
    const uint64_t bits = htobe64((uint64_t)value ^ SIGN_BIT);
    return (unsigned char *)memcpy(to, &bits, sizeof bits) + sizeof bits;
}

/* Negative numbers upside down, others behind them: the order of the bits is that of the values. */
static unsigned char *put_float(unsigned char *to, double value)
{
    const double plain = value + 0.0; /* -0.0 + 0.0 is 0.0 */
    uint64_t bits = NAN_BITS;
    if (!isnan(value))
        memcpy(&bits, &plain, sizeof bits);
    bits = htobe64(bits & SIGN_BIT ? ~bits : bits | SIGN_BIT);
    return (unsigned char *)memcpy(to, &bits, sizeof bits) + sizeof bits;
}

static unsigned char *put_string(unsigned char *to, struct leat_sv value)
{
    while (value.len > 0) {
        const char *zero = memchr(value.data, 0, value.len);
        const size_t len = zero ? (size_t)(zero - value.data) + 1 : value.len;
        memcpy(to, value.data, len);
        to += len;
        if (zero)
            *to++ = 0xff;
        value = (struct leat_sv){ value.data + len, value.len - len };
    }
    *to++ = 0;
    *to++ = 0;
    return to;
}

/* The string of a part. Data is NULL for an enum's number without a symbol. */
static struct leat_sv string_at(const struct leat__key_field *part, const unsigned char *row)
{
    const unsigned char *at = row + part->place.offset;
    struct leat_sv value = { (const char *)at, part->type->size };
    if (part->symbols) {
        const uint32_t symbol = *(const uint32_t *)(const void *)at;
        return symbol < part->type->symbols_count ? part->symbols[symbol] : (struct leat_sv){ NULL, 0 };
    }
    if (part->type->kind != LEAT_KIND_FIXED)
        memcpy(&value, at, sizeof value);
    return value.data ? value : LEAT_SV("");
}

static double float_at(const struct leat__key_field *part, const unsigned char *row)
{
    const void *at = row + part->place.offset;
    return part->type->kind == LEAT_KIND_FLOAT ? (double)*(const float *)at : *(const double *)at;
}

static int64_t integer_at(const struct leat__key_field *part, const unsigned char *row)
{
    const void *at = row + part->place.offset;
    return part->type->kind == LEAT_KIND_INT ? *(const int32_t *)at : *(const int64_t *)at;
}

/* Adds the most bytes that a field can take in all keys. */
static int measure_field(const struct leat__key_field *part, const struct leat_batch *batch, size_t *bytes)
{
    *bytes += batch->count * (part->key_class == LEAT__KEY_STRING ? (size_t)3 : (size_t)9);
    if (part->key_class != LEAT__KEY_STRING)
        return 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const unsigned char *row = leat_batch_at(batch, i);
        if (part->is_nullable && leat_record_is_null(row, &part->place))
            continue;
        const struct leat_sv value = string_at(part, row);
        if (!value.data)
            return LEAT_EDATA;
        *bytes += 2 * value.len;
    }
    return 0;
}

static int measure(const struct leat_key *key, const struct leat_batch *batch, size_t *bytes)
{
    *bytes = 0;
    for (uint32_t k = 0; k < key->parts_count; k++)
        LEAT_TRY(measure_field(&key->parts[k], batch, bytes));
    return 0;
}

static unsigned char *put_text(struct leat_sv value, bool alone, unsigned char *to)
{
    if (!alone)
        return put_string(to, value);
    return value.len ? (unsigned char *)memcpy(to, value.data, value.len) + value.len : to;
}

static unsigned char *put_part(
    const struct leat__key_field *part, bool alone, const unsigned char *row, unsigned char *to)
{
    switch (part->key_class) {
    case LEAT__KEY_BOOLEAN:
        *to++ = row[part->place.offset] != 0;
        return to;
    case LEAT__KEY_INTEGER:
        return put_integer(to, integer_at(part, row));
    case LEAT__KEY_FLOAT:
        return put_float(to, float_at(part, row));
    default:
        return put_text(string_at(part, row), alone, to);
    }
}

/* The key of one row at `to`; gives its end, NULL for a null key. */
static unsigned char *put_row(const struct leat_key *key, const unsigned char *row, unsigned char *to)
{
    for (uint32_t k = 0; k < key->parts_count; k++) {
        const struct leat__key_field *part = &key->parts[k];
        const bool is_null = part->is_nullable && leat_record_is_null(row, &part->place);
        if (is_null && !part->is_marked)
            return NULL;
        if (part->is_marked)
            *to++ = is_null ? NULL_MARK : VALUE_MARK;
        if (!is_null)
            to = put_part(part, key->parts_count == 1, row, to);
    }
    return to;
}

static int eval_fields(const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    size_t bytes;
    LEAT_TRY(measure(key, batch, &bytes));
    LEAT_TRY(reserve_bytes(s, bytes));
    unsigned char *at = s->bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        unsigned char *end = put_row(key, leat_batch_at(batch, i), at);
        s->keys[i] = end ? (struct leat_sv){ (const char *)at, (size_t)(end - at) } : null_key;
        at = end ? end : at;
    }
    LEAT_ASSERT(at <= s->bytes + s->bytes_capacity);
    return 0;
}

static int eval_integers(
    const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    const unsigned char *row = batch->rows + key->parts[0].place.offset;
    const bool is_int = key->shape == LEAT__KEY_OF_INT;
    const uint32_t count = batch->count;
    const size_t stride = batch->stride;
    LEAT_TRY(reserve_bytes(s, (size_t)count * 8));
    unsigned char *at = s->bytes;
    struct leat_sv *keys = s->keys;
    for (uint32_t i = 0; i < count; i++, row += stride) {
        const void *from = row;
        keys[i] = (struct leat_sv){ (const char *)at, 8 };
        at = put_integer(at, is_int ? *(const int32_t *)from : *(const int64_t *)from);
    }
    return 0;
}

static void eval_strings(
    const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    const unsigned char *row = batch->rows + key->parts[0].place.offset;
    for (uint32_t i = 0; i < batch->count; i++, row += batch->stride) {
        const struct leat_sv value = *(const struct leat_sv *)(const void *)row;
        s->keys[i] =
            (struct leat_sv){ value.data ? value.data : "", value.len }; /* NULL would be a null key */
    }
}

/* ---- expressions ---- */

static bool is_null_at(const struct leat_vector *values, uint32_t i)
{
    return values->is_null && values->is_null[i];
}

static int eval_values(
    const struct leat_key *key, struct exprs *exprs, const struct leat_batch *batch, struct leat_error *err)
{
    for (uint32_t k = 0; k < key->parts_count; k++)
        if (key->parts[k].expr)
            LEAT_TRY(leat__expr_eval(
                key->parts[k].expr, exprs->scratches[k], batch, &exprs->values[k], NULL, err));
    return 0;
}

static int measure_values(
    const struct leat_key *key, const struct exprs *exprs, const struct leat_batch *batch, size_t *bytes)
{
    *bytes = 0;
    for (uint32_t k = 0; k < key->parts_count; k++) {
        const struct leat__key_field *part = &key->parts[k];
        const struct leat_vector *values = &exprs->values[k];
        if (!part->expr) {
            LEAT_TRY(measure_field(part, batch, bytes));
            continue;
        }
        *bytes += batch->count * (part->key_class == LEAT__KEY_STRING ? (size_t)3 : (size_t)9);
        for (uint32_t i = 0; part->key_class == LEAT__KEY_STRING && i < batch->count; i++)
            *bytes += is_null_at(values, i) ? 0 : 2 * values->strings[i].len;
    }
    return 0;
}

static unsigned char *put_value(const struct leat__key_field *part, const struct leat_vector *values,
    uint32_t i, bool alone, unsigned char *to)
{
    switch (part->key_class) {
    case LEAT__KEY_BOOLEAN:
        *to++ = values->booleans && values->booleans[i];
        return to;
    case LEAT__KEY_INTEGER:
        return put_integer(to, values->integers[i]);
    case LEAT__KEY_FLOAT:
        return put_float(to, values->floats[i]);
    default:
        return put_text(values->strings[i], alone, to);
    }
}

/* As put_row, where some parts are expressions. */
static unsigned char *put_values(const struct leat_key *key, const struct exprs *exprs,
    const struct leat_batch *batch, uint32_t i, unsigned char *to)
{
    const unsigned char *row = leat_batch_at(batch, i);
    const bool alone = key->parts_count == 1;
    for (uint32_t k = 0; k < key->parts_count; k++) {
        const struct leat__key_field *part = &key->parts[k];
        const bool is_null = part->expr ? is_null_at(&exprs->values[k], i)
                                        : part->is_nullable && leat_record_is_null(row, &part->place);
        if (is_null && !part->is_marked)
            return NULL;
        if (part->is_marked)
            *to++ = is_null ? NULL_MARK : VALUE_MARK;
        if (is_null)
            continue;
        to = part->expr ? put_value(part, &exprs->values[k], i, alone, to) : put_part(part, alone, row, to);
    }
    return to;
}

/* One value, never null: as of one field. Whether it is such a key. */
static int put_alone(const struct leat_key *key, struct leat_key_scratch *s, const struct exprs *exprs,
    uint32_t count, bool *done)
{
    const struct leat__key_field *part = &key->parts[0];
    const struct leat_vector *values = &exprs->values[0];
    *done = key->parts_count == 1 && !part->is_nullable &&
        (part->key_class == LEAT__KEY_INTEGER || part->key_class == LEAT__KEY_STRING);
    if (!*done)
        return 0;
    if (part->key_class == LEAT__KEY_STRING) {
        for (uint32_t i = 0; i < count; i++) {
            const struct leat_sv value = values->strings[i];
            s->keys[i] = (struct leat_sv){ value.data ? value.data : "", value.len };
        }
        return 0;
    }
    LEAT_TRY(reserve_bytes(s, (size_t)count * 8));
    unsigned char *at = s->bytes;
    for (uint32_t i = 0; i < count; i++) {
        s->keys[i] = (struct leat_sv){ (const char *)at, 8 };
        at = put_integer(at, values->integers[i]);
    }
    return 0;
}

static bool is_of_row(int code)
{
    return code == LEAT_EOVERFLOW || code == LEAT_EDATA || code == LEAT_ELIMIT;
}

static struct leat_batch view_of(const struct leat_batch *batch, uint32_t row)
{
    struct leat_batch view = *batch;
    view.rows = (unsigned char *)batch->rows + (size_t)row * batch->stride;
    view.count = view.capacity = 1;
    return view;
}

/* Room behind the first `used` bytes, which stay. */
static int reserve_more(struct leat_key_scratch *s, size_t used, size_t bytes)
{
    if (used + bytes <= s->bytes_capacity)
        return 0;
    unsigned char *grown = leat__realloc(s->bytes, 2 * (used + bytes));
    if (!grown)
        return LEAT_ENOMEM;
    s->bytes = grown;
    s->bytes_capacity = 2 * (used + bytes);
    return 0;
}

/* Appends the key of one row. LEAT_EDATA and the like: the row is bad. */
static int append_key(const struct leat_key *key, struct leat_key_scratch *s, struct exprs *exprs,
    const struct leat_batch *row, size_t *used, struct leat_sv *made)
{
    size_t bytes;
    struct leat_error err = { 0 };
    LEAT_TRY(eval_values(key, exprs, row, &err));
    LEAT_TRY(measure_values(key, exprs, row, &bytes));
    LEAT_TRY(reserve_more(s, *used, bytes));
    unsigned char *from = s->bytes + *used;
    const unsigned char *end = put_values(key, exprs, row, 0, from);
    *made = end ? (struct leat_sv){ "", (size_t)(end - from) } : null_key; /* where: once all are there */
    *used += made->len;
    return 0;
}

static int eval_each_row(const struct leat_key *key, struct leat_key_scratch *s, struct exprs *exprs,
    const struct leat_batch *batch)
{
    size_t used = 0;
    LEAT_TRY(reserve_bytes(s, 1));
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct leat_batch row = view_of(batch, i);
        const int code = append_key(key, s, exprs, &row, &used, &s->keys[i]);
        if (code < 0 && !is_of_row(code))
            return code;
        if (code < 0) {
            s->keys[i] = bad_key;
            s->bad_rows++;
        }
    }
    const unsigned char *at = s->bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!s->keys[i].data)
            continue;
        s->keys[i].data = (const char *)at;
        at += s->keys[i].len;
    }
    return 0;
}

static int eval_exprs(const struct leat_key *key, struct leat_key_scratch *s, const struct leat_batch *batch)
{
    struct leat_error err = { 0 };
    struct exprs *exprs = exprs_of(s, key);
    bool done;
    size_t bytes;
    if (!exprs)
        return LEAT_ENOMEM;
    const int code = eval_values(key, exprs, batch, &err);
    if (code < 0)
        return is_of_row(code) ? eval_each_row(key, s, exprs, batch) : code;
    LEAT_TRY(put_alone(key, s, exprs, batch->count, &done));
    if (done)
        return 0;
    LEAT_TRY(measure_values(key, exprs, batch, &bytes));
    LEAT_TRY(reserve_bytes(s, bytes));
    unsigned char *at = s->bytes;
    for (uint32_t i = 0; i < batch->count; i++) {
        unsigned char *end = put_values(key, exprs, batch, i, at);
        s->keys[i] = end ? (struct leat_sv){ (const char *)at, (size_t)(end - at) } : null_key;
        at = end ? end : at;
    }
    LEAT_ASSERT(at <= s->bytes + s->bytes_capacity);
    return 0;
}

int leat__key_explain(const struct leat_key *key, struct leat_key_scratch *scratch,
    const struct leat_batch *batch, uint32_t row, struct leat_error *err)
{
    static const char place[] = "row 0, ";
    struct leat_error told = { 0 };
    const struct leat_batch view = view_of(batch, row);
    struct exprs *exprs = exprs_of(scratch, key);
    const int code = exprs ? eval_values(key, exprs, &view, &told) : LEAT_ENOMEM;
    if (code == 0)
        return leat__error(err, LEAT_EDATA, "key %s", key->text); /* whoever asks knows better */
    const bool has_place = strncmp(told.message, place, sizeof place - 1) == 0;
    return leat__error(err, code, "key %s: %s", key->text, told.message + (has_place ? sizeof place - 1 : 0));
}

/* ---- a batch ---- */

int leat__key_eval(const struct leat_key *key, struct leat_key_scratch *scratch, struct leat_ctx *ctx,
    const struct leat_batch *batch, const struct leat_sv **keys)
{
    int code = 0;
    LEAT_TRY(reserve_keys(scratch, batch->capacity > batch->count ? batch->capacity : batch->count));
    *keys = scratch->keys;
    scratch->bad_rows = 0;
    switch (key->shape) {
    case LEAT__KEY_OF_LONG:
    case LEAT__KEY_OF_INT:
        code = eval_integers(key, scratch, batch);
        break;
    case LEAT__KEY_OF_STRING:
        eval_strings(key, scratch, batch);
        break;
    case LEAT__KEY_OF_CALLBACK:
        key->fn(ctx, batch, scratch->keys);
        break;
    case LEAT__KEY_OF_FIELDS:
        code = eval_fields(key, scratch, batch);
        break;
    case LEAT__KEY_OF_EXPRS:
        code = eval_exprs(key, scratch, batch);
        break;
    }
    return code;
}

void leat__key_hash(const struct leat_sv *keys, struct leat_batch *batch)
{
    leat__hash_all(keys, batch->count, batch->key_hash);
}
