/* tests/differential/generate.c -- one plan for each seed. What is interesting is likely: sizes that do not divide,
 * offsets, negative times, times near the ends, few keys and many, nulls, equal times, gaps just of a session's
 * length, late records and those that bridge. */
#include "tests/differential/draws.h"
#include "tests/differential/words.h"
#include <stdlib.h>
#include <string.h>

/* What the numbers of a plan have in common. */
struct scale {
    int64_t unit; /* microseconds that a small number means */
    int64_t gap; /* of sessions, if there are any: rows are often just that far apart */
    int64_t keys;
};

/* ---- nodes ---- */

static int64_t span(struct draws *d, const struct scale *scale, int64_t most)
{
    const int64_t whole = between(d, 1, most) * scale->unit;
    return scale->unit > 1 && one_in(d, 3) ? whole + between(d, 0, scale->unit - 1) : whole;
}

static void draw_sizes(struct draws *d, const struct scale *scale, struct plan_node *node)
{
    node->size = ONE_OF(d, 1, 2, 7, 30, 100, 300) * scale->unit;
    node->offset = one_in(d, 2) ? between(d, -300, 300) * scale->unit : 0;
    switch ((enum leat_window_kind)node->window) {
    case LEAT_WINDOW_HOPPING:
        node->slide = one_in(d, 3) ? node->size : 1 + below(d, node->size);
        if (node->size / node->slide > 50)
            node->slide = node->size / 50 + 1;
        if (one_in(d, 8)) {
            node->slide = node->size + span(d, scale, 20);
            node->gaps = 1;
        }
        break;
    case LEAT_WINDOW_CUMULATING:
        node->step = span(d, scale, 20);
        node->size = node->step * between(d, 1, 12);
        break;
    case LEAT_WINDOW_CALENDAR:
        node->size = node->offset = 0;
        node->unit = between(d, LEAT_DAY, LEAT_YEAR);
        node->zone = below(d, 3);
        break;
    case LEAT_WINDOW_SESSION:
        node->size = node->offset = 0;
        node->gap = scale->gap;
        node->gap_of_row = one_in(d, 4);
        break;
    case LEAT_WINDOW_COUNT:
        node->size = node->offset = 0;
        node->count = between(d, 1, 6);
        node->every = one_in(d, 2) ? between(d, 1, 8) : 0;
        break;
    case LEAT_WINDOW_SLIDING:
        node->offset = 0;
        node->size = one_in(d, 2) ? scale->gap : node->size;
        break;
    case LEAT_WINDOW_GLOBAL:
        node->size = node->offset = 0;
        break;
    case LEAT_WINDOW_TUMBLING:
        break;
    }
}

static void draw_triggers(struct draws *d, const struct scale *scale, struct plan_node *node)
{
    size_t count = 0;
    if (node->window == LEAT_WINDOW_COUNT || (node->window != LEAT_WINDOW_GLOBAL && !one_in(d, 3)))
        return;
    node->triggers[count++].kind = LEAT_TRIGGER_WATERMARK;
    while (count < PLAN_TRIGGERS_MAX && (count == 1 || one_in(d, 2))) {
        struct plan_trigger *trigger = &node->triggers[count++];
        trigger->kind = ONE_OF(d, LEAT_TRIGGER_COUNT, LEAT_TRIGGER_COUNT, LEAT_TRIGGER_COUNT,
            LEAT_TRIGGER_EVENT_TIME, LEAT_TRIGGER_PROCESSING_TIME, LEAT_TRIGGER_USER);
        trigger->n = trigger->kind == LEAT_TRIGGER_EVENT_TIME ? span(d, scale, 40)
            : trigger->kind == LEAT_TRIGGER_PROCESSING_TIME   ? ONE_OF(d, 1000, 7000, 50000)
                                                              : between(d, 1, 5);
        trigger->late = node->lateness > 0 && trigger->kind != LEAT_TRIGGER_USER && one_in(d, 3);
        for (size_t i = 0; i + 1 < count; i++)
            if (node->triggers[i].kind == trigger->kind && node->triggers[i].late == trigger->late)
                *trigger = (struct plan_trigger){ 0 };
        if (!trigger->kind)
            return;
    }
}

static bool can_take_back(int64_t kind)
{
    return kind != LEAT_AGGREGATE_USER && kind != LEAT_AGGREGATE_APPROX_COUNT_DISTINCT;
}

/* `changes`: only those that can take records back. */
static void draw_aggs(struct draws *d, struct plan_node *node, bool changes)
{
    size_t count = (size_t)between(d, 1, 4);
    for (size_t a = 0; a < count; a++) {
        struct plan_agg *agg = &node->aggs[a];
        do {
            agg->kind = one_in(d, 2) ? ONE_OF(d, LEAT_AGGREGATE_COUNT, LEAT_AGGREGATE_SUM, LEAT_AGGREGATE_MIN,
                                           LEAT_AGGREGATE_MAX, LEAT_AGGREGATE_AVG)
                                     : between(d, LEAT_AGGREGATE_COUNT, LEAT_AGGREGATE_HISTOGRAM);
            agg->of = agg->kind == LEAT_AGGREGATE_COUNT && one_in(d, 2) ? 0 : between(d, PLAN_V, PLAN_GAP);
            agg->by = between(d, PLAN_V, PLAN_GAP);
            agg->n = between(d, 0, 4);
            agg->q = ONE_OF(d, 0, 50, 90, 100);
        } while (!column_of(node, a) || (changes && !can_take_back(agg->kind)));
        if (agg->kind != LEAT_AGGREGATE_USER && one_in(d, 4))
            agg->where = between(d, 1, CONDITIONS - 1);
    }
}

static void draw_aggregate(struct draws *d, const struct scale *scale, struct plan_node *node)
{
    node->kind = PLAN_AGGREGATE;
    node->keys = between(d, PLAN_BY_K1, PLAN_BY_BOTH);
    node->window = one_in(d, 4) ? LEAT_WINDOW_TUMBLING : between(d, LEAT_WINDOW_TUMBLING, LEAT_WINDOW_GLOBAL);
    if (node->window == LEAT_WINDOW_CALENDAR && scale->unit < 1000000)
        node->window = LEAT_WINDOW_TUMBLING;
    draw_sizes(d, scale, node);
    if (node->window != LEAT_WINDOW_COUNT && node->window != LEAT_WINDOW_GLOBAL)
        node->lateness = ONE_OF(d, 0, 0, 0, 1, 30, 300, 100000) * (one_in(d, 2) ? 1 : scale->unit);
    if (node->lateness == 100000 * scale->unit)
        node->lateness = INT64_MAX;
    if (node->window != LEAT_WINDOW_COUNT)
        node->accumulation = ONE_OF(d, 0, 0, LEAT_ACCUMULATING, LEAT_DISCARDING, LEAT_RETRACTING);
    draw_triggers(d, scale, node);
    draw_aggs(d, node, false);
    const bool from_parts = node->window == LEAT_WINDOW_SLIDING || node->window == LEAT_WINDOW_SESSION;
    for (size_t a = 0; from_parts && a < PLAN_AGGS_MAX; a++)
        if (node->aggs[a].kind == LEAT_AGGREGATE_USER)
            node->aggs[a].n = 0; /* the one that can be merged */
}

static void draw_group(struct draws *d, struct plan_node *node, bool changes)
{
    node->kind = PLAN_GROUP;
    node->keys = between(d, PLAN_BY_K1, PLAN_BY_BOTH);
    node->count = one_in(d, 4) ? between(d, 1, 20) : 0;
    draw_aggs(d, node, changes);
}

static void draw_top(struct draws *d, const struct scale *scale, struct plan_node *node)
{
    node->keys = between(d, PLAN_BY_K1, PLAN_BY_BOTH);
    if (one_in(d, 3)) {
        node->kind = PLAN_DEDUPLICATE;
        node->expr = below(d, 4);
        node->size = one_in(d, 6) ? INT64_MAX : span(d, scale, 60);
        return;
    }
    node->kind = one_in(d, 2) ? PLAN_TOP : PLAN_WINDOW_TOP;
    if (node->kind == PLAN_WINDOW_TOP) {
        node->window = between(d, LEAT_WINDOW_TUMBLING, LEAT_WINDOW_CUMULATING);
        draw_sizes(d, scale, node);
    }
    node->expr = between(d, PLAN_V, PLAN_K1);
    node->count = between(d, 1, 5);
    node->every = below(d, 2);
    node->unit = below(d, 2);
}

/* A node that keeps nothing, or little. */
static void draw_small(struct draws *d, const struct scale *scale, struct plan_node *node, int64_t streams)
{
    node->in = below(d, streams);
    node->kind = ONE_OF(d, PLAN_FILTER, PLAN_FILTER, PLAN_MAP, PLAN_MAP, PLAN_BRANCH, PLAN_UNION, PLAN_JOIN,
        PLAN_ALARM, PLAN_TALLY);
    node->expr = between(d, 1, node->kind == PLAN_MAP ? MAPS - 1 : CONDITIONS - 1);
    node->keys = between(d, PLAN_BY_K1, PLAN_BY_BOTH);
    node->in2 = below(d, streams);
    if (node->kind == PLAN_JOIN) {
        node->before = between(d, -20, 60) * scale->unit;
        node->after = -node->before + ONE_OF(d, 1, 10, 60) * scale->unit;
        if (node->before == 0 && node->after == 0)
            node->after = 1;
        node->lateness = ONE_OF(d, 0, 0, 0, 5, 100) * scale->unit;
    }
    if (node->kind == PLAN_ALARM)
        node->size = between(d, 0, 50) * scale->unit;
}

/* ---- joins, tables, patterns, requests ---- */

/* `tabled`: the right side is a table of the same key. */
static void draw_join(struct draws *d, const struct scale *scale, struct plan_node *node, bool tabled)
{
    node->form = one_in(d, 3) ? between(d, PLAN_RENAMED, PLAN_FORMS - 1) : PLAN_SAME;
    node->outer = between(d, 0, LEAT_JOIN_FULL);
    node->where = one_in(d, 3) ? between(d, 1, JOIN_CONDITIONS - 1) : 0;
    node->merge = below(d, 2);
    if (node->kind == PLAN_JOIN) {
        node->before = between(d, -20, 60) * scale->unit;
        node->after = -node->before + ONE_OF(d, 0, 1, 10, 60) * scale->unit;
        if (node->before == 0 && node->after == 0)
            node->after = 1;
        node->lateness = ONE_OF(d, 0, 0, 0, 5, 100) * scale->unit;
    } else if (node->kind == PLAN_ASOF_JOIN) {
        node->outer = between(d, 0, LEAT_JOIN_LEFT);
        node->expr = ONE_OF(d, 0, LEAT_ASOF_FORWARD, LEAT_ASOF_FORWARD, LEAT_ASOF_NEAREST, LEAT_ASOF_NEAREST);
        node->size = ONE_OF(d, 0, 1, 5, 30, 100) * scale->unit;
        if (node->expr <= LEAT_ASOF_BACKWARD && one_in(d, 2)) {
            node->size = INT64_MAX;
            node->where = 0; /* refused: it would need all that there ever were */
        }
        node->lateness = ONE_OF(d, 0, 0, 0, 5, 100) * scale->unit;
    } else if (node->kind == PLAN_TABLE_JOIN) {
        node->form = tabled ? PLAN_SAME : node->form;
        node->outer = between(d, 0, LEAT_JOIN_LEFT);
        node->expr = between(d, 0, LEAT_AS_OF_ARRIVAL);
        node->size = node->expr == LEAT_AS_OF_ARRIVAL ? 0 : ONE_OF(d, 0, 1, 20, 100) * scale->unit;
        node->every = one_in(d, 4);
    }
}

static void draw_join_window(struct draws *d, const struct scale *scale, struct plan_node *node)
{
    node->window = between(d, LEAT_WINDOW_TUMBLING, LEAT_WINDOW_SESSION);
    if (node->window == LEAT_WINDOW_CALENDAR && scale->unit < 1000000)
        node->window = LEAT_WINDOW_TUMBLING;
    draw_sizes(d, scale, node);
    node->gap_of_row = 0;
}

static void draw_cogroup(struct draws *d, struct plan_node *node)
{
    static const int64_t of[] = { 0, PLAN_V, PLAN_D, PLAN_S, PLAN_V };
    static const int64_t kinds[] = { LEAT_AGGREGATE_COUNT, LEAT_AGGREGATE_SUM, LEAT_AGGREGATE_SUM,
        LEAT_AGGREGATE_MIN, LEAT_AGGREGATE_MAX };
    const int64_t first = below(d, 5), count = between(d, 1, 4);
    for (int64_t a = 0; a < count; a++)
        node->aggs[a] = (struct plan_agg){ .kind = kinds[(first + a) % 5], .of = of[(first + a) % 5] };
    node->form = one_in(d, 3) ? PLAN_RENAMED : PLAN_SAME;
}

static void draw_pattern(struct draws *d, const struct scale *scale, struct plan_node *node)
{
    const int64_t steps = between(d, 1, 3);
    for (int64_t i = 0; i < steps; i++)
        node->aggs[i] = (struct plan_agg){ .kind = LEAT_AGGREGATE_COUNT,
            .where = below(d, CONDITIONS),
            .n = i > 0 ? between(d, 0, LEAT_FOLLOWED_BY_ANY) : 0 };
    node->expr = between(d, 0, LEAT_SKIP_PAST_LAST);
    node->size = one_in(d, 8) ? 0 : ONE_OF(d, 1, 5, 20, 100) * scale->unit;
}

static struct plan_node *add_node(struct plan *plan)
{
    return &plan->nodes[plan->nodes_count++];
}

static void draw_nodes(struct draws *d, const struct scale *scale, struct plan *plan)
{
    const int64_t small = ONE_OF(d, 0, 0, 1, 1, 2, 3);
    for (int64_t i = 0; i < small; i++) {
        const int64_t made = (int64_t)plan_streams_count(plan);
        draw_small(d, scale, add_node(plan), made);
        if (plan->nodes[plan->nodes_count - 1].kind == PLAN_BRANCH && one_in(d, 2))
            *add_node(plan) = (struct plan_node){ .kind = PLAN_OTHERWISE, .in = made };
    }
    if (small > 0 && one_in(d, 6))
        return;
    const int64_t streams = (int64_t)plan_streams_count(plan);
    struct plan_node *node = add_node(plan);
    if (one_in(d, 8))
        draw_group(d, node, false);
    else if (one_in(d, 7))
        draw_top(d, scale, node);
    else
        draw_aggregate(d, scale, node);
    node->in = one_in(d, 3) ? below(d, streams) : streams - 1;
    if (!plan_gives_results(plan, (size_t)streams) ||
        !one_in(d, plan_gives_changes(plan, (size_t)streams) ? 2 : 8))
        return;
    *add_node(plan) = (struct plan_node){ .kind = PLAN_AGAIN, .in = streams };
    if (one_in(d, 3))
        *add_node(plan) = (struct plan_node){
            .kind = one_in(d, 2) ? PLAN_FILTER : PLAN_MAP, .in = streams + 1, .expr = between(d, 1, 3)
        };
    const int64_t last = (int64_t)plan_streams_count(plan) - 1;
    node = add_node(plan);
    const bool changes = plan_gives_changes(plan, (size_t)last);
    if (changes || one_in(d, 3))
        draw_group(d, node, changes);
    else
        draw_aggregate(d, scale, node);
    node->in = last;
}

/* Every third plan is about what is less common: joins of all kinds, tables, patterns, requests. */
static bool is_special(uint64_t seed)
{
    return seed % 3 == 0;
}

/* A table of a plain stream. */
static int64_t add_table(struct draws *d, struct plan *plan, int64_t in, int64_t keys)
{
    struct plan_node *node = add_node(plan);
    *node = (struct plan_node){ .kind = PLAN_UPSERT, .in = in, .keys = keys, .expr = below(d, 4) };
    if (one_in(d, 4))
        *node = (struct plan_node){
            .kind = PLAN_DEDUPLICATE, .in = in, .keys = keys, .expr = one_in(d, 2) ? 1 : 3, .size = INT64_MAX
        };
    return (int64_t)plan_streams_count(plan) - 1;
}

static void draw_two(struct draws *d, const struct scale *scale, struct plan *plan)
{
    const int64_t made = (int64_t)plan_streams_count(plan);
    const int64_t in = one_in(d, 8) ? 0 : below(d, made), keys = between(d, PLAN_BY_K1, PLAN_BY_BOTH);
    int64_t in2 = one_in(d, 5) ? in : (in + 1) % made, in1 = in;
    const int64_t kind = ONE_OF(d, PLAN_JOIN, PLAN_JOIN, PLAN_ASOF_JOIN, PLAN_ASOF_JOIN, PLAN_WINDOW_JOIN,
        PLAN_WINDOW_JOIN, PLAN_TABLE_JOIN, PLAN_TABLE_JOIN, PLAN_JOIN_TABLES, PLAN_JOIN_TABLES, PLAN_COGROUP);
    if ((kind == PLAN_TABLE_JOIN && !one_in(d, 4)) || (kind == PLAN_JOIN_TABLES && one_in(d, 2)))
        in2 = add_table(d, plan, in2, keys);
    if (kind == PLAN_JOIN_TABLES && one_in(d, 3))
        in1 = add_table(d, plan, in, keys);
    struct plan_node *node = add_node(plan);
    *node = (struct plan_node){ .kind = kind, .in = in1, .in2 = in2, .keys = keys };
    draw_join(d, scale, node, plan_gives_changes(plan, (size_t)in2));
    if (kind == PLAN_WINDOW_JOIN || kind == PLAN_COGROUP)
        draw_join_window(d, scale, node);
    if (kind == PLAN_COGROUP)
        draw_cogroup(d, node);
}

static void draw_one(struct draws *d, const struct scale *scale, struct plan *plan)
{
    const int64_t in = below(d, (int64_t)plan_streams_count(plan));
    struct plan_node *node = add_node(plan);
    *node = (struct plan_node){ .kind = ONE_OF(d, PLAN_PATTERN, PLAN_PATTERN, PLAN_ASYNC, PLAN_TALLY,
                                    PLAN_AGGREGATE, PLAN_AGGREGATE, PLAN_UPSERT),
        .in = in,
        .keys = between(d, PLAN_BY_K1, PLAN_BY_BOTH),
        .expr = below(d, 4) };
    if (node->kind == PLAN_PATTERN)
        draw_pattern(d, scale, node);
    if (node->kind == PLAN_TALLY) {
        node->unit = below(d, 2);
        node->size = node->unit ? ONE_OF(d, 1000, 8000, 60000) : ONE_OF(d, 1, 10, 40) * scale->unit;
    }
    if (node->kind != PLAN_AGGREGATE)
        return;
    draw_aggregate(d, scale, node);
    node->in = in;
    if (node->window == LEAT_WINDOW_SESSION && one_in(d, 2)) {
        node->max_length = ONE_OF(d, 1, 20, 50) * scale->unit;
        node->gap_of_row = 0;
    }
    if (node->window <= LEAT_WINDOW_SLIDING && one_in(d, 3)) {
        memset(node->triggers, 0, sizeof node->triggers);
        node->triggers[0].kind = LEAT_TRIGGER_WATERMARK;
        node->triggers[1] = (struct plan_trigger){ .kind = LEAT_TRIGGER_USER, .n = between(d, 1, 4) };
    }
}

static void draw_special(struct draws *d, const struct scale *scale, struct plan *plan)
{
    if (one_in(d, 4))
        draw_small(d, scale, add_node(plan), (int64_t)plan->sources_count);
    if (one_in(d, 3))
        draw_one(d, scale, plan);
    else
        draw_two(d, scale, plan);
    const int64_t last = (int64_t)plan_streams_count(plan) - 1;
    if (!one_in(d, 4) || plan->nodes_count + 2 > PLAN_NODES_MAX)
        return;
    if (plan_gives_results(plan, (size_t)last)) {
        *add_node(plan) = (struct plan_node){ .kind = PLAN_AGAIN, .in = last };
        return;
    }
    struct plan_node *node = add_node(plan);
    if (plan_gives_changes(plan, (size_t)last))
        draw_group(d, node, true);
    else
        draw_aggregate(d, scale, node);
    node->in = last;
}

/* ---- rows ---- */

/* How event times of a split go. */
struct times {
    int64_t now, step_max, disorder, late, late_one_in, null_one_in;
};

static int64_t add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static struct plan_row draw_row(struct draws *d, const struct scale *scale, struct times *times)
{
    const int64_t ahead = one_in(d, 4) ? scale->gap : between(d, 0, times->step_max) * scale->unit;
    times->now = add(times->now, ahead);
    int64_t at = add(times->now, -between(d, 0, times->disorder) * scale->unit);
    if (one_in(d, times->late_one_in))
        at = add(at, one_in(d, 3) ? -scale->gap : -between(d, 0, times->late) * scale->unit);
    struct plan_row row = {
        .k1 = one_in(d, 3) ? 1 : below(d, scale->keys) - 1,
        .k2 = below(d, scale->keys < PLAN_TEXTS ? scale->keys : PLAN_TEXTS),
        .v = one_in(d, 3) ? between(d, -3, 3) : between(d, -100, 100),
        .d = between(d, -20, 20),
        .s = below(d, PLAN_TEXTS),
        .b = below(d, 2),
        .gap = one_in(d, 3) ? scale->gap : between(d, 1, 40) * scale->unit,
        .at = at,
    };
    for (int bit = 0; bit < 6; bit++)
        row.nulls |= one_in(d, times->null_one_in) ? (int64_t)1 << bit : 0;
    row.nulls |= one_in(d, 60) ? PLAN_NULL_AT : 0;
    return row;
}

/* `first_too`: also near the first time, not only near the last. */
static struct times draw_times(struct draws *d, const struct scale *scale, bool first_too)
{
    struct times times = {
        .now = between(d, -500, 500) * scale->unit,
        .step_max = ONE_OF(d, 0, 1, 3, 10, 40),
        .disorder = ONE_OF(d, 0, 0, 0, 5, 30, 100),
        .late = ONE_OF(d, 50, 200, 1000),
        .late_one_in = ONE_OF(d, 2, 5, 20, 1000),
        .null_one_in = ONE_OF(d, 4, 20, 1000),
    };
    if (scale->unit > 1000000)
        times.now += INT64_C(1600000000000000); /* 2020: what calendars are about */
    else if (one_in(d, 40))
        times.now = first_too && one_in(d, 2) ? INT64_MIN + below(d, 50) : INT64_MAX - below(d, 400);
    return times;
}

static void draw_rows(struct draws *d, const struct scale *scale, struct plan *plan)
{
    struct times times[PLAN_SOURCES_MAX][PLAN_SPLITS_MAX];
    const bool kit = plan->run.mode == PLAN_KIT, alike = one_in(d, 2);
    plan->rows_count = (size_t)(one_in(d, 8) ? between(d, 100, 400) : between(d, 1, 60));
    plan->rows = calloc(plan->rows_count, sizeof *plan->rows);
    if (!plan->rows)
        abort();
    bool first_too =
        true; /* windows that begin before the first time are not told apart by their cut starts */
    for (size_t i = 0; i < plan->nodes_count; i++)
        first_too = first_too && plan->nodes[i].window != LEAT_WINDOW_HOPPING;
    bool dense = false; /* equal times, and two that are as far away, are what as-of joins are about */
    for (size_t i = 0; i < plan->nodes_count; i++)
        dense = dense || plan->nodes[i].kind == PLAN_ASOF_JOIN;
    const struct times all = draw_times(d, scale, first_too);
    for (size_t s = 0; s < PLAN_SOURCES_MAX; s++)
        for (size_t p = 0; p < PLAN_SPLITS_MAX; p++) {
            times[s][p] = alike ? all : draw_times(d, scale, first_too);
            times[s][p].step_max = dense && times[s][p].step_max > 1 ? 1 : times[s][p].step_max;
        }
    bool ended[PLAN_SOURCES_MAX] = { false };
    for (size_t i = 0; i < plan->rows_count; i++) {
        const int64_t source = below(d, (int64_t)plan->sources_count);
        const int64_t split = below(d, plan->sources[source].splits);
        struct plan_row *row = &plan->rows[i];
        if (kit && (ended[source] || one_in(d, 20)))
            *row = (struct plan_row){ .step = PLAN_ADVANCE, .at = ONE_OF(d, 1, 999, 1000, 8000, 60000) };
        else if (kit && one_in(d, 40))
            *row = (struct plan_row){ .step = PLAN_LIFT,
                .at = add(times[source][split].now, between(d, -50, 50) * scale->unit) };
        else if (kit && one_in(d, 200))
            *row = (struct plan_row){ .step = PLAN_END };
        else
            *row = draw_row(d, scale, &times[source][split]);
        row->source = source;
        row->split = row->step == PLAN_ROW ? split : 0;
        ended[source] = ended[source] || row->step == PLAN_END;
    }
}

/* ---- how it runs ---- */

static void draw_run(struct draws *d, struct plan *plan)
{
    struct plan_run *run = &plan->run;
    const int64_t mode = below(d, 100);
    run->mode = mode < 45 ? PLAN_KIT : mode < 96 ? PLAN_SIMULATION : PLAN_THREADS;
    run->seed = below(d, 1000000);
    run->parallelism = between(d, 1, 4);
    run->batch = ONE_OF(d, 1, 7, 64, 1024);
    if (run->mode == PLAN_KIT)
        return;
    run->channel = ONE_OF(d, 0, 2, 4);
    run->budget = ONE_OF(d, 0, 0, 0, 1, 4096, 1 << 20);
    if (one_in(d, 2))
        run->checkpoint_every = ONE_OF(d, 1, 3, 10, 50);
}

static void draw_crashes(struct draws *d, struct plan *plan)
{
    struct plan_run *run = &plan->run;
    const int64_t rows = (int64_t)plan->rows_count;
    if (!run->checkpoint_every)
        return;
    if (one_in(d, 2))
        run->crash_behind = between(d, 1, 4);
    else
        run->crash_at = one_in(d, 3) ? 0 : between(d, 1, rows);
    run->crash_again = one_in(d, 3) ? between(d, 1, rows) : 0;
    run->stop_at = one_in(d, 2) ? between(d, 1, rows) : 0;
    if (run->stop_at)
        run->parallelism2 = between(d, 1, 5);
}

/* Some windows get a user's trigger whatever they had: sessions, where what it has counted has to be merged, and windows
 * that end at each record, where late ones come into those that have fired. The numbers are drawn apart. */
static void draw_user_triggers(struct plan *plan, const struct scale *scale, uint64_t seed)
{
    struct draws d = { .seed = seed ^ UINT64_C(0x7269676765727321) };
    for (size_t i = 0; i < plan->nodes_count; i++) {
        struct plan_node *node = &plan->nodes[i];
        const bool sliding = node->window == LEAT_WINDOW_SLIDING;
        const bool shaped = node->window == LEAT_WINDOW_SESSION || sliding;
        if (node->kind != PLAN_AGGREGATE || !shaped || !one_in(&d, sliding ? 2 : 4))
            continue;
        memset(node->triggers, 0, sizeof node->triggers);
        node->triggers[0].kind = LEAT_TRIGGER_WATERMARK;
        node->triggers[1] = (struct plan_trigger){ .kind = LEAT_TRIGGER_USER, .n = between(&d, 2, 4) };
        if (sliding || one_in(&d, 2))
            node->lateness = ONE_OF(&d, 10, 100, 1000) * scale->unit;
        if (node->lateness > 0 &&
            one_in(&d, 2)) /* else a late record gives a pane, whatever the trigger says */
            node->triggers[2] =
                (struct plan_trigger){ .kind = LEAT_TRIGGER_COUNT, .n = between(&d, 3, 9), .late = 1 };
    }
}

struct plan *plan_generate(uint64_t seed)
{
    struct draws d = { .seed = seed };
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        abort();
    struct scale scale = { .unit = ONE_OF(&d, 1, 1, 1, 1000, INT64_C(3600000000)),
        .keys = ONE_OF(&d, 1, 2, 3, 8, 40) };
    scale.gap = ONE_OF(&d, 1, 5, 10, 25) * scale.unit;
    draw_run(&d, plan);
    plan->sources_count =
        is_special(seed) ? (size_t)ONE_OF(&d, 1, 2, 2, 2, 2, 3) : (size_t)ONE_OF(&d, 1, 1, 1, 2, 2, 3);
    for (size_t i = 0; i < plan->sources_count; i++) {
        plan->sources[i].splits = ONE_OF(&d, 1, 1, 1, 2, 3, 4);
        plan->sources[i].ooo = ONE_OF(&d, 0, 0, 5, 30, 200) * scale.unit;
    }
    if (is_special(seed))
        draw_special(&d, &scale, plan);
    else
        draw_nodes(&d, &scale, plan);
    draw_rows(&d, &scale, plan);
    draw_crashes(&d, plan);
    plan_draw_silences(plan, seed);
    draw_user_triggers(plan, &scale, seed);
    return plan;
}
