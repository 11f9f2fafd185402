/* include/leat/aggregate.h -- one result per window and key. */
#ifndef LEAT_AGGREGATE_H
#define LEAT_AGGREGATE_H
#include <leat/window.h>

enum leat_aggregate_kind {
    LEAT_AGGREGATE_COUNT = 1,
    LEAT_AGGREGATE_SUM,
    LEAT_AGGREGATE_MIN,
    LEAT_AGGREGATE_MAX,
    LEAT_AGGREGATE_AVG,
    LEAT_AGGREGATE_USER,
    /* Numbers, to a double; population: over n, sample: over n - 1 (null below two values). */
    LEAT_AGGREGATE_VAR_POP,
    LEAT_AGGREGATE_VAR_SAMP,
    LEAT_AGGREGATE_STDDEV_POP,
    LEAT_AGGREGATE_STDDEV_SAMP,
    /* The value with the least, with the greatest event time; ties: the first, the last to arrive. */
    LEAT_AGGREGATE_FIRST,
    LEAT_AGGREGATE_LAST,
    /* `of` where `by` is least, greatest; ties: earlier event time, then arrival. Rows where `by` is null do
     * not count; `of` may be null. */
    LEAT_AGGREGATE_MIN_BY,
    LEAT_AGGREGATE_MAX_BY,
    LEAT_AGGREGATE_COUNT_DISTINCT, /* exact: keeps each value */
    LEAT_AGGREGATE_APPROX_COUNT_DISTINCT, /* HyperLogLog; `error`: standard error, 0: 0.01 */
    LEAT_AGGREGATE_APPROX_QUANTILE, /* DDSketch; `q` in 0 .. 1; `error`: of the value, relative, 0: 0.01 */
    LEAT_AGGREGATE_TOP_N, /* array of the `n` greatest values of `of`, greatest first */
    LEAT_AGGREGATE_BOTTOM_N, /* of the least, least first */
    LEAT_AGGREGATE_COLLECT_LIST, /* array: in order of event time, ties: of arrival; `n`: at most, 0: no limit */
    LEAT_AGGREGATE_COLLECT_SET, /* array: each once, in rising order */
    LEAT_AGGREGATE_STRING_JOIN, /* strings in the order of COLLECT_LIST, `separator` between them */
    LEAT_AGGREGATE_BIT_AND, /* integers */
    LEAT_AGGREGATE_BIT_OR,
    LEAT_AGGREGATE_BIT_XOR,
    LEAT_AGGREGATE_BOOL_AND, /* booleans: every */
    LEAT_AGGREGATE_BOOL_OR, /* any */
    LEAT_AGGREGATE_HISTOGRAM, /* array of long: values below bounds[0], in [bounds[i-1], bounds[i]), from the last on */
    LEAT_AGGREGATE_TRACE_LINKS, /* strings: array of up to `n` (0: 8) different traceparents of those that are sampled */
};

enum leat_on_overflow { LEAT_OVERFLOW_FAIL = 1 /* default */, LEAT_OVERFLOW_SATURATE, LEAT_OVERFLOW_WRAP };

/* A user's aggregate, made by LEAT_DEFINE_AGGREGATE or its siblings. Its accumulator is one of
 *   plain bytes (accumulator_type NULL): a struct without pointers. The engine copies its bytes, writes them to
 *     disk as they are, and gives them to a later version of the program that has an aggregate of this name and
 *     size.
 *   a record that leat gen makes, with strings, arrays, maps, fields that can be null: its Avro form is what is
 *     kept, so that a later version may have another schema, which must resolve. A callback gets the struct, and
 *     may let it show what leat_alloc, leat_copy and leat_printf of its ctx give, the input record, or what it
 *     showed before; the engine copies all of it behind the callback. What is kept is read and written once per
 *     accumulator and up to 256 records: large accumulators cost accordingly.
 * Zeroed is the empty accumulator, unless there is a `create`. */
struct leat_aggregate_fn {
    size_t size;
    const char *name;
    const struct leat_type *in, *out;
    uint32_t accumulator_size;
    void (*accumulate)(struct leat_ctx *ctx, const struct leat_batch *batch, const uint32_t *rows,
        uint32_t count, void *const *accumulators); /* rows[i] into accumulators[i] */
    /* NULL: not mergeable. What `from` has seen came after `into`. Called on any thread, at any time, also beside
     * other callbacks: it looks at nothing but the two, and of ctx it uses leat_fail alone, and, for records,
     * leat_alloc and what is made of it. One that has seen nothing may be left out: merging it changes nothing. */
    void (*merge)(struct leat_ctx *ctx, void *into, const void *from);
    void (*result)(
        struct leat_ctx *ctx, const void *accumulator, void *out); /* sets its fields of the output record */
    /* NULL: input that takes records back (leat/change.h) is refused. Takes rows[i] out of accumulators[i];
     * every one was accumulated before. */
    void (*retract)(struct leat_ctx *ctx, const struct leat_batch *batch, const uint32_t *rows,
        uint32_t count, void *const *accumulators);
    const struct leat_type *accumulator_type; /* NULL: plain bytes */
    /* NULL: zeroed is empty. Fills a zeroed accumulator before the first record; its ctx is like that of merge. */
    void (*create)(struct leat_ctx *ctx, void *accumulator);
};

struct leat_aggregate {
    enum leat_aggregate_kind kind;
    const char *of; /* field path or expression; NULL for count(*) */
    const char *as; /* field of the output record */
    const struct leat_aggregate_fn *fn; /* USER */
    const char *where; /* a condition: only records for which it holds count; NULL: all */
    const char *by; /* MIN_BY, MAX_BY */
    uint64_t n; /* TOP_N, BOTTOM_N, COLLECT_LIST, TRACE_LINKS */
    double q; /* APPROX_QUANTILE */
    double error; /* APPROX_* */
    const char *separator; /* STRING_JOIN; NULL: "," */
    const double *bounds; /* HISTOGRAM: rising; copied when declared */
    uint32_t bounds_count;
};
/* For what needs more, write the fields:
 *   { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "price", .q = 0.99, .as = "p99", .where = "price > 0" } */
/* clang-format off */
#define LEAT__AGG(kind_, of_, as_, where_) \
    { (kind_), (of_), (as_), NULL, (where_), NULL, 0, 0, 0, NULL, NULL, 0 }
/* count(*): long. */
#define LEAT_COUNT(as_) LEAT__AGG(LEAT_AGGREGATE_COUNT, NULL, as_, NULL)
/* Values that are not null: long. */
#define LEAT_COUNT_OF(of_, as_) LEAT__AGG(LEAT_AGGREGATE_COUNT, of_, as_, NULL)
/* Integers: exact, to a long; floats: compensated, to a double. Null over no values. */
#define LEAT_SUM(of_, as_) LEAT__AGG(LEAT_AGGREGATE_SUM, of_, as_, NULL)
/* Numbers, timestamps (NaN last) and strings (bytewise). */
#define LEAT_MIN(of_, as_) LEAT__AGG(LEAT_AGGREGATE_MIN, of_, as_, NULL)
#define LEAT_MAX(of_, as_) LEAT__AGG(LEAT_AGGREGATE_MAX, of_, as_, NULL)
/* To a double, from exact sum and count. */
#define LEAT_AVG(of_, as_) LEAT__AGG(LEAT_AGGREGATE_AVG, of_, as_, NULL)
/* Only of records that satisfy a condition. */
#define LEAT_COUNT_WHERE(where_, as_) LEAT__AGG(LEAT_AGGREGATE_COUNT, NULL, as_, where_)
#define LEAT_SUM_WHERE(of_, where_, as_) LEAT__AGG(LEAT_AGGREGATE_SUM, of_, as_, where_)
#define LEAT_MIN_WHERE(of_, where_, as_) LEAT__AGG(LEAT_AGGREGATE_MIN, of_, as_, where_)
#define LEAT_MAX_WHERE(of_, where_, as_) LEAT__AGG(LEAT_AGGREGATE_MAX, of_, as_, where_)
#define LEAT_AVG_WHERE(of_, where_, as_) LEAT__AGG(LEAT_AGGREGATE_AVG, of_, as_, where_)
#define LEAT_FIRST(of_, as_) LEAT__AGG(LEAT_AGGREGATE_FIRST, of_, as_, NULL)
#define LEAT_LAST(of_, as_) LEAT__AGG(LEAT_AGGREGATE_LAST, of_, as_, NULL)
#define LEAT_COUNT_DISTINCT(of_, as_) LEAT__AGG(LEAT_AGGREGATE_COUNT_DISTINCT, of_, as_, NULL)
/* A sample of the traces that a result comes from (docs/guide/kafka.md): an array of strings. */
#define LEAT_TRACE_LINKS(of_, as_) LEAT__AGG(LEAT_AGGREGATE_TRACE_LINKS, of_, as_, NULL)
#define LEAT_USER(fn_) \
    { LEAT_AGGREGATE_USER, NULL, NULL, (fn_), NULL, NULL, 0, 0, 0, NULL, NULL, 0 }
/* clang-format on */

struct leat_aggregate_opts {
    struct leat_aggregate aggs[32]; /* up to the first without a kind; at least one */
    /* The output record. Its fields are filled from: aggs; the key's fields of the same name; and, where they
     * exist and no aggregate has the name: window_start, window_end (long, timestamps in their unit), pane
     * (int: enum leat_pane, or an enum with the symbols EARLY, ON_TIME, LATE), pane_index (int or long, from
     * 0). Others must be nullable. The output is a stream of changes (leat/change.h) if the windows are
     * LEAT_RETRACTING. */
    const struct leat_type *out;
    enum leat_on_overflow on_overflow; /* of integer sums */
    bool ordered; /* rows of a firing in key order, at a price; else free */
    /* ALWAYS: a mistake where it can not be, and sums of doubles are combined, too, whose last digits then depend
     * on the number of workers. */
    enum leat_pre_aggregate pre_aggregate;
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_aggregate_sized(
    leat_windowed_stream *in, const char *name, const struct leat_aggregate_opts *opts, size_t size);
static inline leat_stream *leat_aggregate(
    leat_windowed_stream *in, const char *name, const struct leat_aggregate_opts *opts)
{
    return leat_aggregate_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS

/* clang-format off */
#define LEAT__DEFINE_ADD(fn_, in_, accumulator_, name_, call_) \
    static void name_(struct leat_ctx *ctx, const struct leat_batch *batch, const uint32_t *rows, \
        uint32_t count, void *const *accumulators) \
    { \
        for (uint32_t i = 0; i < count; i++) { \
            ctx->row = rows[i]; \
            call_(ctx, (const struct in_ *)leat_batch_at(batch, rows[i]), \
                (struct accumulator_ *)accumulators[i]); \
        } \
    }
#define LEAT__DEFINE_AGGREGATE(fn_, in_, accumulator_, out_, retract_, type_) \
    LEAT__DEFINE_ADD(fn_, in_, accumulator_, fn_##__accumulate, fn_##__add) \
    static void fn_##__merge_any(struct leat_ctx *ctx, void *into, const void *from) \
    { \
        fn_##__merge(ctx, (struct accumulator_ *)into, (const struct accumulator_ *)from); \
    } \
    static void fn_##__result_any(struct leat_ctx *ctx, const void *accumulator, void *out) \
    { \
        fn_##__result(ctx, (const struct accumulator_ *)accumulator, (struct out_ *)out); \
    } \
    static const struct leat_aggregate_fn fn_##_aggregate = { sizeof(struct leat_aggregate_fn), #fn_, \
        &in_##_type, &out_##_type, sizeof(struct accumulator_), fn_##__accumulate, fn_##__merge_any, \
        fn_##__result_any, retract_, type_, NULL }
/* clang-format on */

/* After, for `struct order`, `struct spread` (the accumulator) and `struct result` (the output record),
 *   static void fn__add(struct leat_ctx *, const struct order *, struct spread *);
 *   static void fn__merge(struct leat_ctx *, struct spread *into, const struct spread *from);
 *   static void fn__result(struct leat_ctx *, const struct spread *, struct result *);
 * defines fn_aggregate for LEAT_USER(&fn_aggregate). */
#define LEAT_DEFINE_AGGREGATE(fn_, in_, accumulator_, out_) \
    LEAT__DEFINE_AGGREGATE(fn_, in_, accumulator_, out_, NULL, NULL)

/* The same of an aggregate that takes records back, each of which was added before, with also
 *   static void fn__retract(struct leat_ctx *, const struct order *, struct spread *); */
#define LEAT_DEFINE_RETRACTABLE_AGGREGATE(fn_, in_, accumulator_, out_) \
    LEAT__DEFINE_ADD(fn_, in_, accumulator_, fn_##__take_back, fn_##__retract) \
    LEAT__DEFINE_AGGREGATE(fn_, in_, accumulator_, out_, fn_##__take_back, NULL)

/* The same two with a record as the accumulator, whose type is `accumulator_##_type`. */
#define LEAT_DEFINE_RECORD_AGGREGATE(fn_, in_, accumulator_, out_) \
    LEAT__DEFINE_AGGREGATE(fn_, in_, accumulator_, out_, NULL, &accumulator_##_type)
#define LEAT_DEFINE_RETRACTABLE_RECORD_AGGREGATE(fn_, in_, accumulator_, out_) \
    LEAT__DEFINE_ADD(fn_, in_, accumulator_, fn_##__take_back, fn_##__retract) \
    LEAT__DEFINE_AGGREGATE(fn_, in_, accumulator_, out_, fn_##__take_back, &accumulator_##_type)
#endif
