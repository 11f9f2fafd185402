/* include/leat/process.h -- process functions: your own operator over a keyed stream, with state, timers and
 * side outputs.
 *
 * One callback sees each record, another each timer that goes off. Both work on the state of one key: that of
 * the record, or that with which the timer was set.
 *
 *   enum { SESSION };                                   // the states, in the order of .state below
 *
 *   static void on_click(struct leat_ctx *ctx, const struct click *click)
 *   {
 *       struct session *s = leat_state(ctx, SESSION);   // this user's; zeroed when there was none
 *       s->clicks++;
 *       leat_timer_delete(ctx, LEAT_EVENT_TIME, s->ends_at);
 *       s->ends_at = leat_ctx_event_us(ctx) + LEAT_MINUTES(30);
 *       leat_timer_set(ctx, LEAT_EVENT_TIME, s->ends_at);
 *   }
 *
 *   static void on_silence(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
 *   {
 *       const struct session *s = leat_state_find(ctx, SESSION);
 *       struct visit *visit = leat_out(ctx);            // a row of the output
 *       visit->clicks = s->clicks;
 *       leat_state_clear(ctx, SESSION);
 *   }
 *   LEAT_DEFINE_PROCESS(visits, click, on_click, on_silence);
 *
 *   leat_stream *out = leat_process(by_user, "visits", &(struct leat_process_opts){
 *       .fn = &visits_process,
 *       .state = { LEAT_VALUE("session", &session_type) },
 *       .out = &visit_type });
 *
 * What a callback sees and does. It works on copies: what it has changed takes effect when it returns, all of
 * it, and nothing of it if it refuses its record with leat_fail. Pointers that these functions give are good
 * until the callback returns. None of them is ever NULL where it says nothing else: when memory runs out, or
 * the state asked for does not exist, the callback gets memory that is thrown away, and the job fails.
 *
 * Which state. `state` is the index in leat_process_opts.state. Its name is its identity across restarts, as
 * a node's is. Records are saved in Avro: a later version of the job may have another version of the schema
 * that resolves by Avro's rules.
 *
 * Time. A record is seen when it comes, whether it is late or not. An event-time timer goes off when the
 * watermark reaches it: no record that is not late comes with that time or an earlier one any more, but
 * records with later times may have come before. One that is set at or behind the watermark goes off as soon
 * as the callback has returned. At the end of the input the watermark is LEAT_TIME_MAX and all event-time
 * timers go off; a callback that always sets the next one must stop there (leat_ctx_watermark_us). A
 * processing-time timer goes off when the wall clock reaches it, at once after a restart if it is overdue;
 * those that are left when the input has ended are forgotten. Timers go off in the order of their times, at
 * equal times in that of the keys. */
#ifndef LEAT_PROCESS_H
#define LEAT_PROCESS_H
#include <leat/aggregate.h>
#include <leat/map.h>
#include <leat/timer.h>

/* The callbacks of a process function; made by LEAT_DEFINE_PROCESS. */
struct leat_process_fn {
    size_t size;
    const char *name;
    const struct leat_type *in;
    void (*on_record)(struct leat_ctx *ctx, const void *record);
    void (*on_timer)(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind); /* NULL: no timers */
};

/* When a value that was written at time t is gone: at t + us. By event time, time is that of the record or
 * timer that the callback is about (a late record is seen at the watermark that it is behind), so that running
 * again gives the same; by processing time it is the wall clock. What is gone is never seen again; its memory
 * is freed a little later. */
struct leat_ttl {
    int64_t us; /* 0: never */
    enum leat_time_kind time; /* default: LEAT_EVENT_TIME */
    bool on_read; /* reading counts as writing */
};

/* One state of each key: exactly one of value, list, map, aggregate. */
struct leat_keyed_state {
    const char *name; /* [a-z0-9._-], unique in the node */
    const struct leat_type *value; /* a record */
    const struct leat_type *list; /* records, in the order in which they were added */
    const struct leat_type *map; /* records by key, in the order of the keys */
    enum leat_kind map_key; /* of `map`: BOOLEAN, INT, LONG, FLOAT, DOUBLE, STRING or BYTES */
    const struct leat_aggregate_fn
        *aggregate; /* an accumulator: plain bytes, or a record (leat/aggregate.h) */
    struct leat_ttl ttl; /* of the value, of each row of a list, of each entry of a map, of the accumulator */
};
/* clang-format off */
#define LEAT_VALUE(name_, type_) { (name_), (type_), NULL, NULL, (enum leat_kind)0, NULL, { 0, (enum leat_time_kind)0, false } }
#define LEAT_LIST(name_, type_) { (name_), NULL, (type_), NULL, (enum leat_kind)0, NULL, { 0, (enum leat_time_kind)0, false } }
#define LEAT_MAP(name_, key_, type_) { (name_), NULL, NULL, (type_), (key_), NULL, { 0, (enum leat_time_kind)0, false } }
#define LEAT_AGGREGATE(name_, fn_) { (name_), NULL, NULL, NULL, (enum leat_kind)0, (fn_), { 0, (enum leat_time_kind)0, false } }
/* clang-format on */

struct leat_process_opts {
    const struct leat_process_fn *fn;
    struct leat_keyed_state state[16]; /* up to the first without a name */
    const struct leat_type *out; /* the output record */
    struct leat_side sides[8]; /* more outputs, taken with leat_side_output */
};

LEAT_BEGIN_DECLS

LEAT_API leat_stream *leat_process_sized(
    leat_keyed_stream *in, const char *name, const struct leat_process_opts *opts, size_t size);
static inline leat_stream *leat_process(
    leat_keyed_stream *in, const char *name, const struct leat_process_opts *opts)
{
    return leat_process_sized(in, name, opts, sizeof *opts);
}

/* ---- in callbacks: state ---- */

/* A value: to read and write, made zeroed where there is none; to read, NULL where there is none. */
LEAT_API void *leat_state(struct leat_ctx *ctx, uint32_t state);
LEAT_API const void *leat_state_find(struct leat_ctx *ctx, uint32_t state);
/* Forgets what this key has in the state, of whichever kind. */
LEAT_API void leat_state_clear(struct leat_ctx *ctx, uint32_t state);

/* A list: adds a copy of the record; how many there are; the record behind one that this function gave, the
 * first one for NULL, NULL behind the last:
 *   for (const struct order *o = NULL; (o = leat_list_next(ctx, ORDERS, o)) != NULL;) */
LEAT_API void leat_list_add(struct leat_ctx *ctx, uint32_t state, const void *record);
LEAT_API size_t leat_list_count(struct leat_ctx *ctx, uint32_t state);
LEAT_API const void *leat_list_next(struct leat_ctx *ctx, uint32_t state, const void *record);

/* A map. `key` points to a key as it is in C: int64_t for LONG, struct leat_sv for STRING, and so on.
 * Put: the record to write, zeroed where there was none. Get: NULL where there is none. */
LEAT_API void *leat_map_put(struct leat_ctx *ctx, uint32_t state, const void *key);
LEAT_API const void *leat_map_get(struct leat_ctx *ctx, uint32_t state, const void *key);
LEAT_API void leat_map_remove(struct leat_ctx *ctx, uint32_t state, const void *key);
LEAT_API size_t leat_map_count(struct leat_ctx *ctx, uint32_t state);
/* The entries in the order of their keys (strings bytewise):
 *   for (struct leat_map_item item = { 0 }; leat_map_next(ctx, STOCK, &item);)
 * The map may be changed on the way; what was put behind the item will be seen. `value` is good until the
 * next call. */
struct leat_map_item {
    union {
        bool boolean;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        struct leat_sv sv;
    } key;
    const void *value;
    struct leat_sv place; /* the engine's */
};
LEAT_API bool leat_map_next(struct leat_ctx *ctx, uint32_t state, struct leat_map_item *item);

/* An aggregate: adds a record of its input type; sets the fields of its result in `out`, false where nothing
 * was added. */
LEAT_API void leat_aggregate_add(struct leat_ctx *ctx, uint32_t state, const void *record);
LEAT_API bool leat_aggregate_result(struct leat_ctx *ctx, uint32_t state, void *out);

/* ---- output ---- */

/* A new zeroed row of the output, or of the i-th side output. Its views may show whatever the callback can
 * see. Its event time is that of the record or of the timer; of a processing-time timer, the moment after
 * the watermark. */
LEAT_API void *leat_out(struct leat_ctx *ctx);
LEAT_API void *leat_out_to(struct leat_ctx *ctx, uint32_t side);
/* Another event time for the row made last. At or behind the watermark the row is late for what follows. */
LEAT_API void leat_out_at(struct leat_ctx *ctx, int64_t event_us);

/* ---- the key ---- */

/* The i-th part of the key, a field or an expression: of integers, dates and times; of strings, bytes, enums (the
 * symbol). 0 or empty when it is null, or of another kind. */
LEAT_API int64_t leat_key_i64(struct leat_ctx *ctx, uint32_t field);
LEAT_API struct leat_sv leat_key_sv(struct leat_ctx *ctx, uint32_t field);

LEAT_END_DECLS

/* After `static void on_click(struct leat_ctx *, const struct click *)` and, where there are timers, `static
 * void on_silence(struct leat_ctx *, int64_t time_us, enum leat_time_kind kind)` (else NULL): defines
 * name_process. */
#define LEAT_DEFINE_PROCESS(name_, in_, on_record_, on_timer_) \
    static void name_##__on_record(struct leat_ctx *ctx, const void *record) \
    { \
        on_record_(ctx, (const struct in_ *)record); \
    } \
    static const struct leat_process_fn name_##_process = { sizeof(struct leat_process_fn), #name_, \
        &in_##_type, name_##__on_record, (on_timer_) }
#endif
