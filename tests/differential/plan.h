/* tests/differential/plan.h -- a plan: a topology, its input and how it is run, as plain numbers.
 *
 * Everything is an int64_t, so that one table of names and offsets (plan_text.c) prints, reads and shrinks all of
 * it: zero is always "not there" or the default, and is not printed. Nothing here knows the engine.
 *
 * Streams have numbers: the sources' from 0 on, then one for each node in order. A node reads streams with lower
 * numbers. What nobody reads goes to a sink "out<stream>"; late records go to sinks of their own. */
#ifndef LEAT_TESTS_DIFFERENTIAL_PLAN_H
#define LEAT_TESTS_DIFFERENTIAL_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLAN_LANES_MAX = 8, /* subtasks, where splits may be idle */
    PLAN_SOURCES_MAX = 3,
    PLAN_SPLITS_MAX = 4,
    PLAN_NODES_MAX = 12,
    PLAN_STREAMS_MAX = PLAN_SOURCES_MAX + PLAN_NODES_MAX,
    PLAN_TRIGGERS_MAX = 4,
    PLAN_AGGS_MAX = 6,
    PLAN_WINDOWS_MAX = 2000, /* that a row is in */
    PLAN_TEXTS = 12, /* of the strings that rows may have */
};

/* A step of the input, in order of arrival. */
enum plan_step { PLAN_ROW = 0, PLAN_ADVANCE, PLAN_LIFT, PLAN_END };
enum plan_null {
    PLAN_NULL_K1 = 1,
    PLAN_NULL_K2 = 2,
    PLAN_NULL_V = 4,
    PLAN_NULL_D = 8,
    PLAN_NULL_S = 16,
    PLAN_NULL_B = 32,
    PLAN_NULL_AT = 64
};
struct plan_row {
    int64_t step;
    int64_t source, split;
    int64_t nulls; /* enum plan_null */
    int64_t k1, k2, v, d, s, b, gap; /* k2, s: of plan_text; d: in quarters */
    int64_t at; /* ADVANCE: by how much; LIFT: to what */
};

struct plan_source {
    int64_t splits; /* at least 1 */
    int64_t ooo;
    int64_t idle; /* a split is, behind so much of the kit's clock without a record; 0: never */
};

enum plan_kind {
    PLAN_FILTER = 1, /* expr */
    PLAN_BRANCH, /* expr: the first output has what satisfies it */
    PLAN_OTHERWISE, /* of the branch `in`: the other output */
    PLAN_MAP, /* expr: what it does */
    PLAN_UNION, /* in, in2 */
    PLAN_JOIN, /* in, in2, keys, form, outer, where, merge, before, after, lateness */
    PLAN_AGGREGATE, /* keys, the window, the triggers, the aggregates */
    PLAN_ALARM, /* a process function: a timer for each record, `size` after it */
    PLAN_TALLY, /* a process function: numbers the records of a key; size: time to live, unit: by the clock */
    PLAN_AGAIN, /* makes rows of the results of an aggregate */
    PLAN_GROUP, /* keys, the aggregates, count: rows of a mini-batch; a stream of changes */
    PLAN_DEDUPLICATE, /* keys, size: within, expr: 1 keeps the last, 2 by event time */
    PLAN_TOP, /* keys, count, expr: enum plan_field, every: descending, unit: with a rank */
    PLAN_WINDOW_TOP, /* the same in windows */
    PLAN_WINDOW_JOIN, /* in, in2, keys, form, outer, where, merge, the window */
    PLAN_UPSERT, /* keys, expr: 1 by event time, 2 deletes where v is null */
    PLAN_TABLE_JOIN, /* in, in2: the table, keys, form, outer, where, merge, expr: enum leat_as_of, size: retention,
                        every: broadcast */
    PLAN_JOIN_TABLES, /* in, in2, keys, form, outer, where, merge */
    PLAN_PATTERN, /* keys, count: steps, expr: skip, size: within, steps: conditions and contiguities */
    PLAN_ASYNC, /* expr: unordered */
    PLAN_COGROUP, /* in, in2, keys, form, the window, the aggregates: of v of the first, of d and s of the second */
    PLAN_ASOF_JOIN, /* in, in2, keys, form, outer, where, merge, expr: direction, size: tolerance, lateness */
    PLAN_KINDS,
};

/* Grouping: by which fields. */
enum plan_keys { PLAN_BY_K1 = 1, PLAN_BY_K2, PLAN_BY_BOTH };

/* What the keys of the two sides of a join are. */
enum plan_form {
    PLAN_SAME = 0, /* k1, k2 on both sides */
    PLAN_RENAMED, /* k1 = v, k2 = s */
    PLAN_EXPRESSIONS, /* k1 + 1 = v, k2 = s */
    PLAN_FORMS,
};

struct plan_trigger {
    int64_t kind, n, late; /* enum leat_trigger_kind */
};

struct plan_agg {
    int64_t kind; /* enum leat_aggregate_kind */
    int64_t of; /* enum plan_field; 0: of none */
    int64_t where; /* a condition, as of filters; 0: none */
    int64_t by; /* enum plan_field */
    int64_t n;
    int64_t q; /* percent */
};
enum plan_field { PLAN_V = 1, PLAN_D, PLAN_S, PLAN_B, PLAN_K1, PLAN_GAP };

struct plan_node {
    int64_t kind, in, in2;
    int64_t expr, keys;
    int64_t before, after; /* JOIN */
    int64_t form, outer, where,
        merge; /* joins: enum plan_form, enum leat_join_kind, of words.c, by a callback */
    int64_t window, size, slide, step, offset, lateness, accumulation; /* enum leat_window_kind ... */
    int64_t unit, zone; /* CALENDAR */
    int64_t gap, gap_of_row, max_length; /* SESSION */
    int64_t count, every; /* COUNT */
    int64_t gaps, discard_remainder;
    struct plan_trigger triggers[PLAN_TRIGGERS_MAX];
    struct plan_agg aggs[PLAN_AGGS_MAX];
};

enum plan_mode { PLAN_SIMULATION = 0, PLAN_KIT, PLAN_THREADS };
struct plan_run {
    int64_t mode, seed;
    int64_t parallelism, batch, channel, budget;
    int64_t checkpoint_every; /* records seen; 0: no checkpoints at all */
    int64_t crash_behind; /* so many complete checkpoints; 0: never */
    int64_t crash_at, crash_again; /* records seen; 0: never */
    int64_t stop_at; /* a savepoint there, then `parallelism2` goes on */
    int64_t parallelism2;
};

struct plan {
    struct plan_run run;
    struct plan_source sources[PLAN_SOURCES_MAX];
    size_t sources_count;
    struct plan_node nodes[PLAN_NODES_MAX];
    size_t nodes_count;
    struct plan_row *rows; /* owned */
    size_t rows_count;
};

void plan_free(struct plan *plan);
struct plan *plan_copy(const struct plan *plan);
/* The strings of rows: with prefixes of each other, beyond ASCII, empty, with a NUL byte. */
const char *plan_text(int64_t index, size_t *len);
/* Whether stream numbers, kinds and counts can be run at all. */
bool plan_is_sound(const struct plan *plan);
/* Whether a stream's records are results of an aggregate (DiffOut), not rows (DiffRow). */
bool plan_gives_results(const struct plan *plan, size_t stream);
/* Whether its records are changes. */
bool plan_gives_changes(const struct plan *plan, size_t stream);
bool plan_is_read(const struct plan *plan, size_t stream);
/* Whether its results go to a sink whether they are read or not. */
bool plan_has_own_sink(const struct plan_node *node);
bool plan_has_two_inputs(const struct plan_node *node);
/* Whether rows go to the worker that owns their key. */
bool plan_is_keyed(const struct plan_node *node);
size_t plan_streams_count(const struct plan *plan);

/* The plan as text, malloc'd; and back. NULL for text that is no plan, with the line at fault in *line. */
char *plan_print(const struct plan *plan);
struct plan *plan_parse(const char *text, int *line);

/* The smallest plan found for which `differs` still says so. Frees `plan`. */
struct plan *plan_shrink(struct plan *plan, bool (*differs)(const struct plan *plan));

/* One plan for each seed. */
struct plan *plan_generate(uint64_t seed);
/* Part of it: some plans of the kit become such where splits fall silent for a while, or end. */
void plan_draw_silences(struct plan *plan, uint64_t seed);
/* Whether splits may be idle: then the oracle has to know about lanes. */
bool plan_idles(const struct plan *plan);

/* For shrinking: the names and places of all numbers of a part. */
struct plan_number {
    const char *name;
    size_t offset;
};
struct plan_numbers {
    const struct plan_number *at;
    size_t count;
};
extern const struct plan_numbers plan_row_numbers, plan_source_numbers, plan_node_numbers, plan_run_numbers,
    plan_trigger_numbers, plan_agg_numbers;
#endif
