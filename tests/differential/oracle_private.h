/* tests/differential/oracle_private.h -- the inside of the oracle: streams as lists of events.
 *
 * A stream is what an operator sees: records, watermarks and moves of the clock, in the order of the input's steps.
 * What one step brings to an operator comes all at once, records before the watermark. */
#ifndef LEAT_TESTS_DIFFERENTIAL_ORACLE_PRIVATE_H
#define LEAT_TESTS_DIFFERENTIAL_ORACLE_PRIVATE_H
#include "tests/differential/oracle.h"

typedef __int128 wide;

#define ORACLE_WALL_US INT64_C(1577836800000000) /* what the kit's clock shows first */

/* Below the first instant: nothing has been said. */
#define NO_WATERMARK ((wide)INT64_MIN - 1)

enum event_kind { EVENT_ROW = 1, EVENT_WATERMARK, EVENT_CLOCK };
struct event {
    enum event_kind kind;
    size_t step;
    const void *record;
    int64_t at; /* ROW: event time; CLOCK: what it shows */
    wide w; /* WATERMARK: it; ROW: that of its split if it is behind it, else NO_WATERMARK */
    int change;
    /* WATERMARK, where splits may be idle: */
    bool idle, ended;
    int64_t lane;
};

struct stream {
    struct event *events;
    size_t count, capacity;
    bool in_order; /* rows of a key come in this order, whatever the schedule */
    int64_t order_keys; /* in_order is true of these keys alone, by which rows have been parted; 0: of any */
    bool one_lane; /* of a single split: its watermark is the operator's */
    bool unsure; /* what is in it depends on timing */
    bool behind; /* rows may come behind a watermark that only the schedule knows */
    uint32_t sources; /* bits: where rows come from */
    int64_t lanes; /* subtasks whose watermarks are apart; 0, 1: they say the same, or only one is there */
    bool blurred; /* of its events the steps are not known */
};

struct oracle {
    const struct plan *plan;
    enum oracle_mistake mistake;
    bool paced; /* the watermark is told after each row: the kit */
    bool idles; /* splits may be idle */
    struct stream streams[PLAN_STREAMS_MAX];
    struct oracle_answer *answer;
    struct chunk {
        struct chunk *next;
        max_align_t data[];
    } * chunks;
};

void *oracle_alloc(struct oracle *o, size_t size); /* zeroed; lives as long as the answer */
void oracle_push(struct stream *stream, const struct event *event);
/* A row caused by `event`; `w` is the operator's watermark. */
void oracle_emit(struct stream *stream, const struct event *event, const void *record, int64_t at, wide w);
struct oracle_sink *oracle_sink(struct oracle *o, const char *word, size_t stream, bool results);
void oracle_sink_add(struct oracle_sink *sink, const void *record, int64_t event_us, int change);
/* All rows of a stream into its sink. */
void oracle_sink_stream(struct oracle *o, struct oracle_sink *sink, const struct stream *stream);

int64_t cut(wide time);
wide floor_mod(wide a, wide b);
bool same_key(const struct oracle *o, int64_t keys, const struct diff_row *a, const struct diff_row *b);

/* The aggregates of a node over rows, in the order in which they came. */
void oracle_fold(struct oracle *o, const struct plan_node *node, const struct event *const *rows,
    size_t count, struct diff_out *out);
/* Whether a result may depend on the order in which rows of one time came. */
bool oracle_is_order_bound(const struct plan_node *node);

void oracle_interval_join(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_asof_join(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_window_join(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_upsert(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_table_join(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_join_tables(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_cogroup(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_pattern(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_group(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_deduplicate(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_top(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_window_top(struct oracle *o, const struct plan_node *node, size_t stream);
bool same_row(const struct diff_row *a, const struct diff_row *b);
void oracle_process(struct oracle *o, const struct plan_node *node, size_t stream);
void oracle_aggregate(struct oracle *o, const struct plan_node *node, size_t stream);
/* Of another input than the node's; `late`: where late records go, or NULL. */
void oracle_aggregate_of(struct oracle *o, const struct plan_node *node, size_t stream,
    const struct stream *in, struct oracle_sink *late);
/* Both inputs, step by step; the watermark is the lower one. */
void oracle_unite(struct oracle *o, const struct stream *const ins[2], struct stream *out);

/* oracle_idle.c, where splits may be idle. */
void oracle_idle_source(struct oracle *o, size_t source, int64_t splits_count);
/* What the inputs of a keyed node hear: one lane each, and rows with the watermark that they are behind. `judges`: an
 * input's own one counts, too. The events are the caller's to free. */
void oracle_hear(struct oracle *o, struct stream *const ins[2], size_t count, bool judges);
/* Both inputs, lane by lane. */
void oracle_idle_unite(struct oracle *o, const struct stream *const ins[2], struct stream *out);
const struct diff_row *oracle_make_row(struct oracle *o, const struct plan_row *row);

/* The key of a row on a side of a join. */
struct join_key {
    bool is_null;
    int64_t number;
    struct leat_sv text;
};
struct join_key join_key_of(const struct plan_node *node, const struct diff_row *row, bool is_right);
bool join_keys_are_equal(const struct join_key *a, const struct join_key *b);
/* Whether the two make a pair as far as keys and condition go. */
bool join_matches(const struct plan_node *node, const struct diff_row *left, const struct diff_row *right);
bool join_keeps(const struct plan_node *node, bool is_right);
/* The result of a pair, of which one may be NULL. */
const struct diff_row *join_result(
    struct oracle *o, const struct diff_row *left, const struct diff_row *right);

/* Windows, and what has become of them. */
enum { WINDOW_LASTS_MAX = 16 };
struct window {
    const struct diff_row *key; /* any row of the key */
    wide start, end; /* not cut */
    const struct event **rows;
    size_t count, capacity;
    size_t fired_count; /* rows that the last pane knew */
    size_t asked_count; /* rows that a user's trigger was asked about */
    size_t triggered_count; /* rows at the last firing, for count triggers */
    int32_t panes;
    bool on_time, gone;
    const struct diff_out *last[WINDOW_LASTS_MAX]; /* panes: of sessions that have become one, several */
    size_t lasts;
    int64_t due_us; /* of the clock; 0: none */
};

struct windows {
    struct oracle *o;
    const struct plan_node *node;
    struct window **at;
    size_t count, capacity;
    wide w, before; /* the watermark, and the one before it */
    int64_t clock_us;
    struct stream *out;
    enum oracle_level level;
    bool unsure; /* a record at the last time: its window ends where it begins */
};
struct window *windows_add(struct windows *ws, const struct diff_row *key, wide start, wide end);
/* Puts a row into its windows, of kinds where its time alone says which. False: too late for all of them. */
bool windows_take(struct windows *ws, const struct event *row);
void window_add_row(struct window *window, const struct event *row);
/* Rule 18, with w that of the operator or the row's, whichever is larger. */
wide window_last(const struct windows *ws, wide end);
bool window_is_dropped(const struct windows *ws, wide end, wide w);
/* A row was added: the panes that follow from it. */
void window_after_row(struct windows *ws, struct window *window, const struct event *row);
void windows_pass(struct windows *ws, const struct event *event);
void windows_clock(struct windows *ws, const struct event *event);
void window_fire(struct windows *ws, struct window *window, enum leat_pane pane, const struct event *event);
const struct plan_trigger *trigger_of(const struct plan_node *node, int64_t kind, bool late);
/* The windows of a time, for all kinds where it alone says which. */
size_t oracle_assign(
    struct oracle *o, const struct plan_node *node, int64_t at, wide (*bounds)[2], size_t max);

/* Kinds whose windows depend on the other records: each takes one row. False: too late. */
bool oracle_session_row(struct windows *ws, const struct event *row);
bool oracle_sliding_row(struct windows *ws, const struct event *row);
bool oracle_count_row(struct windows *ws, const struct event *row);
#endif
