/* operators/aggregate_class_private.h -- what each family of aggregates gives: a table of functions over its
 * accumulators, and what they share.
 *
 * Accumulators are plain bytes in a value, aligned to 8, zero before anything was seen. What they keep beside it
 * are blobs: runs of bytes without addresses in them, so that encoding, copying and forgetting are the same for
 * all families (aggregate_accumulate.c, aggregate_codec.c). A family that reads structure out of its blobs
 * checks it when they are decoded. */
#ifndef LEAT_OPERATORS_AGGREGATE_CLASS_PRIVATE_H
#define LEAT_OPERATORS_AGGREGATE_CLASS_PRIVATE_H
#include "base/arena.h"
#include "operators/aggregate_private.h"
#include <math.h>

#define LEAT__AGG_BLOBS_MAX 2u
/* Of all blobs of an accumulator: what a record may have, since it may become one. */
#define LEAT__AGG_BYTES_MAX LEAT_RECORD_BYTES_MAX

/* How often a value can have come or been taken back, for what was decoded: sums of these can not overflow. */
#define LEAT__AGG_TIMES_MAX (INT64_C(1) << 45)
static inline bool leat__agg_is_times(int64_t times)
{
    return times <= LEAT__AGG_TIMES_MAX && times >= -LEAT__AGG_TIMES_MAX;
}

struct leat__agg_blob {
    char *data;
    uint32_t capacity;
    uint32_t len_plus_1; /* 0: none yet, which an empty one is not */
};

/* Where a result goes. */
struct leat__agg_show {
    const struct leat__aggregate_spec *spec;
    struct leat_batch *out;
    void *row;
};

struct leat__agg_class {
    const char *name; /* in the format of tables: it never changes */
    const char *tag; /* behind it, where a name alone would be ambiguous; or NULL */
    int (*add)(const struct leat__agg_pass *pass, const struct leat__agg *agg);
    int (*retract)(const struct leat__agg_pass *pass, const struct leat__agg *agg); /* NULL: it can not */
    /* Both aligned; blobs of `into` grow in mem. */
    int (*combine)(
        const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from);
    void (*subtract)(const struct leat__agg *agg, void *into, const void *from); /* NULL: not exactly */
    int (*result)(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show);
    /* Whether the blobs of a decoded accumulator hold what they should. NULL: any bytes do. */
    bool (*check)(const struct leat__agg *agg, const void *accumulator);
    uint32_t blobs_count;
    uint32_t blobs[LEAT__AGG_BLOBS_MAX]; /* their offsets in the accumulator */
    uint32_t
        derived_count; /* so many blobs, the last ones, can be made from the others: they are not saved */
    bool is_of_class; /* values of several classes: the format says which */
    /* Of a copy of an accumulator that has lost its blobs: makes it one that shows the result that the accumulator
     * shows, and is good for nothing else. NULL: results need the blobs. */
    void (*shown)(const struct leat__agg *agg, void *accumulator);
};

/* Family, size and what it gives, by kind, classes and options of `agg`; false when the class of `of` does not fit.
 * Where spec->takes_changes or subtracts, the accumulator tells by itself whether there are values. */
typedef bool leat__agg_choose_fn(struct leat__agg *agg, const struct leat__aggregate_spec *spec);
leat__agg_choose_fn leat__agg_choose_number, leat__agg_choose_text, leat__agg_choose_moments,
    leat__agg_choose_bits, leat__agg_choose_histogram, leat__agg_choose_pick, leat__agg_choose_set,
    leat__agg_choose_list, leat__agg_choose_tree, leat__agg_choose_hll, leat__agg_choose_quantile,
    leat__agg_choose_trace;

/* Makes one set of those that count the same distinct values under several conditions: see struct leat__agg. */
void leat__agg_share_sets(struct leat_node *node, struct leat__aggregate_spec *spec);

static inline bool leat__agg_set_family(
    struct leat__agg *agg, const struct leat__agg_class *family, size_t size, enum leat__agg_gives gives)
{
    agg->family = family;
    agg->size = (uint32_t)size;
    agg->gives = gives;
    return true;
}

/* ---- blobs ---- */

static inline uint32_t leat__blob_len(const struct leat__agg_blob *blob)
{
    return blob->len_plus_1 ? blob->len_plus_1 - 1 : 0;
}

static inline struct leat_sv leat__blob_sv(const struct leat__agg_blob *blob)
{
    return (struct leat_sv){ blob->data, leat__blob_len(blob) };
}

static inline struct leat__agg_blob *leat__blob_at(const struct leat__agg *agg, void *accumulator, uint32_t b)
{
    return (struct leat__agg_blob *)(void *)((unsigned char *)accumulator + agg->family->blobs[b]);
}

/* Room for `len` bytes in all; what is there is kept. 0, LEAT_ENOMEM, LEAT_ESTATE, LEAT_ELIMIT. */
LEAT_NODISCARD int leat__blob_reserve(
    const struct leat__agg_memory *mem, struct leat__agg_blob *blob, size_t len);
/* Makes the blob these bytes, which may not be its own. */
LEAT_NODISCARD int leat__blob_set(
    const struct leat__agg_memory *mem, struct leat__agg_blob *blob, struct leat_sv bytes);
/* Gives the memory up. */
void leat__blob_forget(const struct leat__agg_memory *mem, struct leat__agg_blob *blob);

/* ---- rows ---- */

/* For each row of the pass that has a value: `acc_` is its accumulator, `in_` its value. Returns from the
 * function only by what `...` says. */
#define EACH_VALUE(pass_, agg_, value_type_, acc_type_, in_, acc_, ...) \
    do { \
        const struct leat__column_view view_ = (pass_)->views[(agg_)->column]; \
        const uint32_t offset_ = (agg_)->offset; \
        const uint64_t bit_ = (agg_)->present_bit; \
        for (uint32_t i_ = 0; i_ < (pass_)->count; i_++) { \
            const uint32_t row_ = (pass_)->rows[i_]; \
            if (view_.nulls && view_.nulls[row_]) \
                continue; \
            value_type_ in_; \
            memcpy(&in_, view_.base + row_ * view_.stride, sizeof in_); \
            unsigned char *value_ = (pass_)->values[i_]; \
            if (bit_) \
                *(uint64_t *)(void *)value_ |= bit_; \
            acc_type_ *acc_ = (acc_type_ *)(void *)(value_ + offset_); \
            __VA_ARGS__ \
        } \
    } while (0)

/* As EACH_VALUE, of a value of any class: `in_` is a struct leat__value. A failing statement sets `code_`. */
#define EACH_ANY(pass_, agg_, acc_type_, in_, acc_, code_, ...) \
    do { \
        const struct leat__column_view *view_ = &(pass_)->views[(agg_)->column]; \
        for (uint32_t i_ = 0; i_ < (pass_)->count; i_++) { \
            const uint32_t row_ = (pass_)->rows[i_]; \
            if (view_->nulls && view_->nulls[row_]) \
                continue; \
            const struct leat__value in_ = leat__value_read((agg_)->of_class, view_, row_); \
            acc_type_ *acc_ = (acc_type_ *)(void *)((pass_)->values[i_] + (agg_)->offset); \
            int code_ = 0; \
            __VA_ARGS__ \
            if (code_ < 0) { \
                *(pass_)->bad = row_; \
                return code_; \
            } \
        } \
    } while (0)

/* ---- numbers in the order of their values, as unsigned ones ---- */

#define LEAT__SIGN (UINT64_C(1) << 63)
#define LEAT__NAN_CODE UINT64_MAX

static inline uint64_t leat__int_code(int64_t value)
{
    return (uint64_t)value ^ LEAT__SIGN;
}

static inline int64_t leat__int_of_code(uint64_t code)
{
    return (int64_t)(code ^ LEAT__SIGN);
}

/* NaN is last, -0.0 before 0.0. */
static inline uint64_t leat__float_code(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return LEAT__NAN_CODE;
    return bits & LEAT__SIGN ? ~bits : bits ^ LEAT__SIGN;
}

static inline double leat__float_of_code(uint64_t code)
{
    const uint64_t bits = code & LEAT__SIGN ? code ^ LEAT__SIGN : ~code;
    double value;
    memcpy(&value, &bits, sizeof value);
    return code == LEAT__NAN_CODE ? (double)NAN : value;
}

/* ---- values of any class ---- */

/* A string, or the code of a number, a time or a boolean. */
struct leat__value {
    uint64_t code;
    struct leat_sv text;
};

static inline struct leat__value leat__value_read(
    enum leat_value_class value_class, const struct leat__column_view *view, uint32_t row)
{
    const unsigned char *at = view->base + row * view->stride;
    struct leat__value value = { 0, { NULL, 0 } };
    if (value_class == LEAT_VALUE_STRING) {
        memcpy(&value.text, at, sizeof value.text);
    } else if (value_class == LEAT_VALUE_FLOAT) {
        double real;
        memcpy(&real, at, sizeof real);
        value.code = leat__float_code(real);
    } else {
        int64_t integer;
        memcpy(&integer, at, sizeof integer);
        value.code = leat__int_code(integer);
    }
    return value;
}

static inline int leat__value_cmp(
    enum leat_value_class value_class, struct leat__value a, struct leat__value b)
{
    if (value_class == LEAT_VALUE_STRING)
        return leat_sv_cmp(a.text, b.text);
    return a.code < b.code ? -1 : a.code > b.code;
}

/* Sets a field of `row`, which may be an array's item. 0 or LEAT_ENOMEM. */
LEAT_NODISCARD int leat__value_show(const struct leat__out_field *field, enum leat_value_class value_class,
    struct leat__value value, struct leat_batch *out, void *row);
/* Sets the field of the aggregate to an array of `count` zeroed items, and *items to the first; agg->item says
 * how to set one, each agg->out.type->item->size apart. 0 or LEAT_ENOMEM. */
LEAT_NODISCARD int leat__array_show(
    const struct leat__agg *agg, const struct leat__agg_show *show, size_t count, unsigned char **items);
#endif
