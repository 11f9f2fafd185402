/* tests/differential/oracle.c -- see oracle.h: sources, and the operators that keep nothing. */
#include "tests/differential/oracle_private.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

void *oracle_alloc(struct oracle *o, size_t size)
{
    struct chunk *chunk = calloc(1, sizeof *chunk + size);
    if (!chunk)
        abort();
    chunk->next = o->chunks;
    o->chunks = chunk;
    return chunk->data;
}

void oracle_push(struct stream *stream, const struct event *event)
{
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? 2 * stream->capacity : 64;
        stream->events = realloc(stream->events, stream->capacity * sizeof *stream->events);
        if (!stream->events)
            abort();
    }
    stream->events[stream->count++] = *event;
}

void oracle_emit(struct stream *stream, const struct event *event, const void *record, int64_t at, wide w)
{
    struct event out = {
        .kind = EVENT_ROW, .step = event->step, .record = record, .at = at, .w = NO_WATERMARK
    };
    if (at <= w) {
        out.w = w;
        stream->behind = true;
    }
    oracle_push(stream, &out);
}

struct oracle_sink *oracle_sink(struct oracle *o, const char *word, size_t stream, bool results)
{
    if (o->answer->count == ORACLE_SINKS_MAX)
        abort();
    struct oracle_sink *sink = &o->answer->sinks[o->answer->count++];
    (void)snprintf(sink->name, sizeof sink->name, "%s%zu", word, stream);
    sink->level = ORACLE_EXACT;
    sink->results = results;
    sink->changes = strcmp(word, "out") == 0 && plan_gives_changes(o->plan, stream);
    return sink;
}

void oracle_sink_add(struct oracle_sink *sink, const void *record, int64_t event_us, int change)
{
    if (sink->count == sink->capacity) {
        sink->capacity = sink->capacity ? 2 * sink->capacity : 64;
        sink->rows = realloc(sink->rows, sink->capacity * sizeof *sink->rows);
        if (!sink->rows)
            abort();
    }
    sink->rows[sink->count++] = (struct oracle_row){ record, event_us, change, 0 };
}

void oracle_sink_stream(struct oracle *o, struct oracle_sink *sink, const struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct event *event = &stream->events[i];
        const void *record = event->record;
        if (event->kind != EVENT_ROW)
            continue;
        if (sink->changes && sink->results) {
            struct diff_out *out = oracle_alloc(o, sizeof *out);
            *out = *(const struct diff_out *)record;
            out->has_change = true;
            out->change = event->change;
            record = out;
        } else if (sink->changes) {
            struct diff_row *row = oracle_alloc(o, sizeof *row);
            *row = *(const struct diff_row *)record;
            row->has_change = true;
            row->change = event->change;
            record = row;
        }
        oracle_sink_add(sink, record, event->at, event->change);
        sink->rows[sink->count - 1].step = event->step;
    }
    if (stream->unsure)
        sink->level = ORACLE_NOTHING;
}

/* ---- arithmetic and keys ---- */

int64_t cut(wide time)
{
    if (time < INT64_MIN)
        return INT64_MIN;
    return time > INT64_MAX ? INT64_MAX : (int64_t)time;
}

wide floor_mod(wide a, wide b)
{
    const wide rest = a % b;
    return rest < 0 ? rest + b : rest;
}

bool same_key(const struct oracle *o, int64_t keys, const struct diff_row *a, const struct diff_row *b)
{
    const bool zero = o->mistake == MISTAKE_NULL_KEY_IS_ZERO;
    const int64_t x = a->has_k1 ? a->k1 : 0, y = b->has_k1 ? b->k1 : 0;
    if ((keys & PLAN_BY_K1) && (x != y || (!zero && a->has_k1 != b->has_k1)))
        return false;
    if ((keys & PLAN_BY_K2) && a->has_k2 != b->has_k2)
        return false;
    return !(keys & PLAN_BY_K2) || !a->has_k2 || leat_sv_eq(a->k2, b->k2);
}

/* ---- sources ---- */

static struct leat_sv text_of(int64_t index)
{
    struct leat_sv text;
    text.data = plan_text(index, &text.len);
    return text;
}

const struct diff_row *oracle_make_row(struct oracle *o, const struct plan_row *row)
{
    struct diff_row *made = oracle_alloc(o, sizeof *made);
    *made = (struct diff_row){
        .has_k1 = !(row->nulls & PLAN_NULL_K1),
        .k1 = row->nulls & PLAN_NULL_K1 ? 0 : row->k1,
        .has_k2 = !(row->nulls & PLAN_NULL_K2),
        .k2 = text_of(row->k2),
        .has_v = !(row->nulls & PLAN_NULL_V),
        .v = row->v,
        .has_d = !(row->nulls & PLAN_NULL_D),
        .d = (double)row->d / 4,
        .has_s = !(row->nulls & PLAN_NULL_S),
        .s = text_of(row->s),
        .has_b = !(row->nulls & PLAN_NULL_B),
        .b = row->b != 0,
        .gap = row->gap > 0 ? row->gap : 1,
        .has_at = true,
        .at = row->at,
    };
    return made;
}

/* Splits of a source, and what all of them have said. */
struct splits {
    wide w[PLAN_SPLITS_MAX];
    int64_t count;
    wide told;
    bool ended;
};

static void tell(struct stream *stream, struct splits *splits, size_t step)
{
    wide least = splits->w[0];
    for (int64_t i = 1; i < splits->count; i++)
        least = splits->w[i] < least ? splits->w[i] : least;
    if (least <= splits->told || least == INT64_MIN) /* LEAT_TIME_MIN is that of nobody who has spoken */
        return;
    splits->told = least;
    oracle_push(stream, &(struct event){ .kind = EVENT_WATERMARK, .step = step, .w = least });
}

static void source_step(struct oracle *o, size_t source, struct splits *splits, size_t step)
{
    const struct plan_row *row = &o->plan->rows[step];
    struct stream *stream = &o->streams[source];
    if (row->source != (int64_t)source || splits->ended || (!o->paced && row->step != PLAN_ROW))
        return;
    if (row->step == PLAN_LIFT || row->step == PLAN_END) {
        for (int64_t i = 0; i < splits->count; i++)
            if (row->step == PLAN_END || row->at > splits->w[i])
                splits->w[i] = row->step == PLAN_END ? INT64_MAX : row->at;
        splits->ended = row->step == PLAN_END;
    } else if (row->step == PLAN_ROW && !(row->nulls & PLAN_NULL_AT)) {
        wide *w = &splits->w[row->split];
        oracle_push(stream,
            &(struct event){ .kind = EVENT_ROW,
                .step = step,
                .record = oracle_make_row(o, row),
                .at = row->at,
                .w = row->at <= *w && *w > INT64_MIN ? *w : NO_WATERMARK });
        const wide spoken = cut((wide)row->at - o->plan->sources[source].ooo - 1);
        *w = spoken > *w ? spoken : *w;
    }
    tell(stream, splits, step);
}

/* In the kit all sources have as many splits; those without records say nothing until the end. */
static int64_t splits_of(const struct oracle *o, size_t source)
{
    int64_t count = o->plan->sources[source].splits;
    for (size_t i = 0; o->paced && i < o->plan->sources_count; i++)
        count = o->plan->sources[i].splits > count ? o->plan->sources[i].splits : count;
    return count;
}

static void run_source(struct oracle *o, size_t source)
{
    struct stream *stream = &o->streams[source];
    struct splits splits = { .count = splits_of(o, source), .told = NO_WATERMARK };
    int64_t clock_us = ORACLE_WALL_US;
    for (int64_t i = 0; i < PLAN_SPLITS_MAX; i++)
        splits.w[i] = NO_WATERMARK;
    stream->one_lane = splits.count == 1;
    stream->in_order = o->paced || splits.count == 1;
    stream->sources = 1u << source;
    if (o->idles) {
        oracle_idle_source(o, source, splits.count);
        return;
    }
    for (size_t i = 0; i < o->plan->rows_count; i++) {
        source_step(o, source, &splits, i);
        if (o->plan->rows[i].step != PLAN_ADVANCE || !o->paced)
            continue;
        clock_us += o->plan->rows[i].at;
        oracle_push(stream, &(struct event){ .kind = EVENT_CLOCK, .step = i, .at = clock_us });
    }
    if (!splits.ended)
        oracle_push(
            stream, &(struct event){ .kind = EVENT_WATERMARK, .step = o->plan->rows_count, .w = INT64_MAX });
}

/* ---- operators that keep nothing ---- */

static struct stream *input(struct oracle *o, int64_t stream)
{
    return &o->streams[stream];
}

static void inherit(struct stream *to, const struct stream *from)
{
    to->in_order = from->in_order;
    to->order_keys = from->order_keys;
    to->one_lane = from->one_lane;
    to->unsure = from->unsure;
    to->behind = from->behind;
    to->sources = from->sources;
    to->lanes = from->lanes;
}

static void run_filter(struct oracle *o, const struct plan_node *node, size_t stream, bool wanted)
{
    const struct stream *in = input(o, node->in);
    int64_t expr = node->expr;
    if (node->kind == PLAN_OTHERWISE) {
        const struct plan_node *branch = &o->plan->nodes[node->in - (int64_t)o->plan->sources_count];
        in = input(o, branch->in);
        expr = branch->expr;
    }
    inherit(&o->streams[stream], in);
    for (size_t i = 0; i < in->count; i++)
        if (in->events[i].kind != EVENT_ROW ||
            conditions[expr % CONDITIONS].holds(in->events[i].record) == wanted)
            oracle_push(&o->streams[stream], &in->events[i]);
}

/* The copies of a row, of which `copy` is which. */
static const struct diff_row *mapped(struct oracle *o, int64_t map, const struct diff_row *row, int copy)
{
    struct diff_row *made = oracle_alloc(o, sizeof *made);
    *made = *row;
    if (map == 1 || map == 0)
        made->v += made->has_v;
    if (map == 2)
        made->k1 = -row->k1;
    if (map == 3) {
        made->has_s = row->has_k2;
        made->s = row->k2;
        made->has_k2 = row->has_s;
        made->k2 = row->s;
    }
    if (map == 4)
        made->v += copy;
    return made;
}

static void run_map(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = input(o, node->in);
    const int64_t map = node->expr % MAPS;
    inherit(&o->streams[stream], in);
    if (in->order_keys && (map == 2 || map == 3)) /* there are other keys in it now */
        o->streams[stream].in_order = false;
    for (size_t i = 0; i < in->count; i++) {
        struct event event = in->events[i];
        const struct diff_row *row = event.record;
        const int copies = event.kind != EVENT_ROW || map != 4 ? 1 : !row->has_b ? 0 : row->b ? 2 : 1;
        for (int copy = 0; copy < copies; copy++) {
            if (event.kind == EVENT_ROW)
                event.record = mapped(o, map, row, copy);
            oracle_push(&o->streams[stream], &event);
        }
    }
}

static void run_again(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = input(o, node->in);
    inherit(&o->streams[stream], in);
    for (size_t i = 0; i < in->count; i++) {
        struct event event = in->events[i];
        if (event.kind == EVENT_ROW) {
            const struct diff_out *out = event.record;
            struct diff_row *row = oracle_alloc(o, sizeof *row);
            *row = (struct diff_row){ .has_k1 = out->has_k1,
                .k1 = out->k1,
                .has_k2 = out->has_k2,
                .k2 = out->k2,
                .has_v = out->has_l0,
                .v = out->l0,
                .has_d = out->has_d0,
                .d = out->d0,
                .has_s = out->has_s0,
                .s = out->s0,
                .has_b = out->has_b0,
                .b = out->b0,
                .gap = 5,
                .has_at = out->has_window_end,
                .at = out->window_end };
            event.record = row;
        }
        oracle_push(&o->streams[stream], &event);
    }
}

void oracle_unite(struct oracle *o, const struct stream *const ins[2], struct stream *out)
{
    size_t at[2] = { 0, 0 };
    wide w[2] = { NO_WATERMARK, NO_WATERMARK }, told = NO_WATERMARK;
    inherit(out, ins[0]);
    out->sources |= ins[1]->sources;
    out->in_order = o->paced && ins[0]->in_order && ins[1]->in_order && !(ins[0]->sources & ins[1]->sources);
    out->one_lane = false;
    out->unsure = ins[0]->unsure || ins[1]->unsure;
    out->behind = ins[0]->behind || ins[1]->behind;
    if (o->idles) {
        oracle_idle_unite(o, ins, out);
        return;
    }
    for (size_t step = 0; step <= o->plan->rows_count; step++) {
        const struct event *clock = NULL;
        for (int i = 0; i < 2; i++)
            for (; at[i] < ins[i]->count && ins[i]->events[at[i]].step == step; at[i]++) {
                const struct event *event = &ins[i]->events[at[i]];
                if (event->kind == EVENT_WATERMARK)
                    w[i] = event->w;
                else if (event->kind == EVENT_CLOCK)
                    clock = event;
                else
                    oracle_push(out, event);
            }
        const wide least = w[0] < w[1] ? w[0] : w[1];
        if (least > told)
            oracle_push(out, &(struct event){ .kind = EVENT_WATERMARK, .step = step, .w = least });
        told = least > told ? least : told;
        if (clock)
            oracle_push(out, clock);
    }
}

static void run_union(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *const ins[2] = { input(o, node->in), input(o, node->in2) };
    oracle_unite(o, ins, &o->streams[stream]);
}

/* As the service of declare_pattern.c answers: one is added to v, nothing comes of those whose b is false. */
static void run_async(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = input(o, node->in);
    struct stream *out = &o->streams[stream];
    inherit(out, in);
    out->in_order = in->in_order && (!node->expr || o->paced);
    out->one_lane = in->one_lane && out->in_order; /* of late records each gives a pane, in their order */
    for (size_t i = 0; i < in->count; i++) {
        struct event event = in->events[i];
        const struct diff_row *row = event.record;
        if (event.kind == EVENT_ROW && row->has_b && !row->b)
            continue;
        if (event.kind == EVENT_ROW)
            event.record = mapped(o, 1, row, 0);
        oracle_push(out, &event);
    }
}

/* long: a case for each kind */
static void run_kind(struct oracle *o, const struct plan_node *node, size_t stream)
{
    switch ((enum plan_kind)node->kind) {
    case PLAN_FILTER:
    case PLAN_BRANCH:
        run_filter(o, node, stream, true);
        break;
    case PLAN_OTHERWISE:
        run_filter(o, node, stream, false);
        break;
    case PLAN_MAP:
        run_map(o, node, stream);
        break;
    case PLAN_UNION:
        run_union(o, node, stream);
        break;
    case PLAN_JOIN:
        oracle_interval_join(o, node, stream);
        break;
    case PLAN_AGGREGATE:
        oracle_aggregate(o, node, stream);
        break;
    case PLAN_GROUP:
        oracle_group(o, node, stream);
        break;
    case PLAN_ALARM:
    case PLAN_TALLY:
        oracle_process(o, node, stream);
        break;
    case PLAN_AGAIN:
        run_again(o, node, stream);
        break;
    case PLAN_DEDUPLICATE:
        oracle_deduplicate(o, node, stream);
        break;
    case PLAN_TOP:
        oracle_top(o, node, stream);
        break;
    case PLAN_WINDOW_TOP:
        oracle_window_top(o, node, stream);
        break;
    case PLAN_ASOF_JOIN:
        oracle_asof_join(o, node, stream);
        break;
    case PLAN_WINDOW_JOIN:
        oracle_window_join(o, node, stream);
        break;
    case PLAN_UPSERT:
        oracle_upsert(o, node, stream);
        break;
    case PLAN_TABLE_JOIN:
        oracle_table_join(o, node, stream);
        break;
    case PLAN_JOIN_TABLES:
        oracle_join_tables(o, node, stream);
        break;
    case PLAN_COGROUP:
        oracle_cogroup(o, node, stream);
        break;
    case PLAN_PATTERN:
        oracle_pattern(o, node, stream);
        break;
    case PLAN_ASYNC:
        run_async(o, node, stream);
        break;
    case PLAN_KINDS:
        break;
    }
}

/* Whether rows of the node's keys come in the order of the stream. */
static bool is_in_order_for(const struct plan_node *node, const struct stream *in, bool is_right)
{
    const bool other = is_right && node->form != PLAN_SAME;
    return in->in_order && (!in->order_keys || (!other && (in->order_keys & node->keys) == in->order_keys));
}

/* Whose results are put together from all there is, at no step. */
static bool blurs(const struct plan_node *node)
{
    return (plan_has_two_inputs(node) && node->kind != PLAN_UNION && node->kind != PLAN_COGROUP) ||
        node->kind == PLAN_PATTERN || node->kind == PLAN_TOP;
}

/* As run_kind, where inputs may be idle. */
static void run_hearing(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const size_t count = plan_has_two_inputs(node) ? 2 : 1;
    struct stream *ins[2] = { input(o, node->in), input(o, count == 2 ? node->in2 : node->in) };
    const struct stream were[2] = { *ins[0], *ins[1] };
    const bool blurred = were[0].blurred || were[1].blurred;
    if (plan_is_keyed(node)) {
        if (node->kind == PLAN_TABLE_JOIN && node->every && were[0].lanes > 1)
            ins[0]->unsure = true; /* each subtask has its own rows of the stream, and its own time */
        oracle_hear(o, ins, count, node->kind != PLAN_COGROUP);
    }
    for (size_t i = 0; i < count; i++)
        ins[i]->unsure = ins[i]->unsure || (blurred && count == 2);
    run_kind(o, node, stream);
    for (size_t i = 0; i < count; i++) {
        if (plan_is_keyed(node) && (i == 0 || ins[1] != ins[0]))
            free(ins[i]->events);
        *ins[i] = were[i];
    }
}

static void run_node(struct oracle *o, size_t i)
{
    const struct plan_node *node = &o->plan->nodes[i];
    const size_t stream = o->plan->sources_count + i;
    struct stream *ins[2] = { input(o, node->in),
        input(o, plan_has_two_inputs(node) ? node->in2 : node->in) };
    const bool was_in_order[2] = { ins[0]->in_order, ins[1]->in_order };
    for (int side = 1; side >= 0 && plan_is_keyed(node); side--)
        ins[side]->in_order = is_in_order_for(node, ins[side], side && plan_has_two_inputs(node));
    o->streams[stream].blurred = ins[0]->blurred || ins[1]->blurred || blurs(node);
    if (o->idles)
        run_hearing(o, node, stream);
    else
        run_kind(o, node, stream);
    for (int side = 0; side < 2; side++)
        ins[side]->in_order = was_in_order[side];
    if (plan_has_own_sink(node) || plan_is_read(o->plan, stream))
        return;
    struct oracle_sink *sink = oracle_sink(o, "out", stream, plan_gives_results(o->plan, stream));
    oracle_sink_stream(o, sink, &o->streams[stream]);
    if (sink->changes && sink->level == ORACLE_EXACT)
        sink->level = ORACLE_FINAL;
    sink->stepwise = sink->level == ORACLE_EXACT && o->paced && !o->streams[stream].blurred;
}

struct oracle_answer *oracle_ask(const struct plan *plan, enum oracle_mistake mistake)
{
    struct oracle o = {
        .plan = plan, .mistake = mistake, .paced = plan->run.mode == PLAN_KIT, .idles = plan_idles(plan)
    };
    o.answer = calloc(1, sizeof *o.answer);
    if (!o.answer)
        abort();
    for (size_t i = 0; i < plan->sources_count; i++) {
        run_source(&o, i);
        if (!plan_is_read(plan, i))
            oracle_sink_stream(&o, oracle_sink(&o, "out", i, false), &o.streams[i]);
    }
    for (size_t i = 0; i < plan->nodes_count; i++)
        run_node(&o, i);
    for (size_t i = 0; i < PLAN_STREAMS_MAX; i++)
        free(o.streams[i].events);
    o.answer->memory = o.chunks;
    return o.answer;
}

void oracle_free(struct oracle_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        free(answer->sinks[i].rows);
    for (struct chunk *chunk = answer->memory, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(answer);
}
