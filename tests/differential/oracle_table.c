/* tests/differential/oracle_table.c -- tables (semantics 33, 34) and cogroups: what is so now, in a list. */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

static void give(
    struct stream *out, const struct event *cause, const struct diff_row *record, enum leat_change change)
{
    oracle_push(out,
        &(struct event){ .kind = EVENT_ROW,
            .step = cause->step,
            .record = record,
            .at = cause->at,
            .w = cause->w,
            .change = change });
    out->behind = out->behind || cause->w > NO_WATERMARK;
}

static bool is_back(const struct event *event)
{
    return event->change == LEAT_UPDATE_BEFORE || event->change == LEAT_DELETE;
}

static bool same_time_too(const struct diff_row *a, const struct diff_row *b)
{
    return same_row(a, b) && a->has_at == b->has_at && (!a->has_at || a->at == b->at);
}

/* ---- a plain stream as a table ---- */

struct entry {
    const struct diff_row *key, *row; /* row: NULL where it is deleted */
    int64_t at; /* of the row, or of what has deleted it */
    wide w; /* that it was judged by */
};

static void put(struct oracle *o, const struct plan_node *node, struct stream *out, struct oracle_sink *late,
    struct entry *entry, const struct event *event, wide w)
{
    const struct diff_row *row = event->record;
    const bool deletes = (node->expr & 2) && !row->has_v;
    (void)o;
    if ((node->expr & 1) && event->at < entry->at) {
        if (!entry->row && (w >= entry->at || entry->w >= entry->at))
            out->unsure = true; /* whether it is known still that it was deleted */
        oracle_sink_add(late, row, event->at, 0);
        return;
    }
    entry->at = event->at;
    entry->w = w;
    if (entry->row && (deletes || !same_time_too(entry->row, row)))
        give(out, event, entry->row, deletes ? LEAT_DELETE : LEAT_UPDATE_BEFORE);
    if (!deletes && !(entry->row && same_time_too(entry->row, row)))
        give(out, event, row, entry->row ? LEAT_UPDATE_AFTER : LEAT_INSERT);
    entry->row = deletes ? NULL : row;
}

void oracle_upsert(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    struct oracle_sink *late = oracle_sink(o, "late", stream, false);
    struct entry *entries = calloc(in->count + 1, sizeof *entries);
    size_t count = 0;
    wide w = NO_WATERMARK;
    if (!entries)
        abort();
    out->sources = in->sources;
    out->unsure = in->unsure || in->behind || !in->in_order;
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        size_t k = 0;
        if (event->kind != EVENT_ROW) {
            oracle_push(out, event);
            w = event->kind == EVENT_WATERMARK ? event->w : w;
            continue;
        }
        while (k < count && !same_key(o, node->keys, entries[k].key, event->record))
            k++;
        if (k == count)
            entries[count++] = (struct entry){ .key = event->record, .at = INT64_MIN, .w = NO_WATERMARK };
        put(o, node, out, late, &entries[k], event, event->w > w ? event->w : w);
    }
    free(entries);
    out->in_order = in->in_order && !out->unsure;
    out->order_keys = o->paced ? 0 : node->keys;
    out->one_lane = in->one_lane;
    if (out->unsure)
        late->level = ORACLE_NOTHING;
}

/* ---- a stream with a table ---- */

/* What the table says at a time: the changes up to it, one after the other. */
static const struct event *version_at(const struct oracle *o, const struct plan_node *node,
    const struct stream *table, const struct diff_row *row, int64_t at)
{
    const struct event *version = NULL;
    const struct join_key key = join_key_of(node, row, false);
    for (size_t i = 0; i < table->count; i++) {
        const struct event *event = &table->events[i];
        if (event->kind != EVENT_ROW || (event->at > at && o->mistake != MISTAKE_TABLE_NEWEST))
            continue;
        const struct join_key other = join_key_of(node, event->record, true);
        if (!join_keys_are_equal(&key, &other))
            continue;
        version = is_back(event) ? NULL : event;
    }
    return version;
}

static void give_told(struct oracle *o, const struct plan_node *node, struct stream *out,
    const struct event *event, const struct event *version)
{
    const struct diff_row *row = event->record, *told = version ? version->record : NULL;
    if (told && !join_conditions[node->where % JOIN_CONDITIONS].holds(row, told))
        told = NULL;
    if (told || node->outer == LEAT_JOIN_LEFT)
        give(out, event, join_result(o, row, told), LEAT_INSERT);
}

/* Whether the times of a table's changes only rise, and none is late: else what it was at a time is no question. */
static bool has_history(const struct stream *table)
{
    int64_t at = INT64_MIN;
    for (size_t i = 0; i < table->count; i++)
        if (table->events[i].kind == EVENT_ROW) {
            if (table->events[i].at < at || table->events[i].w > NO_WATERMARK)
                return false;
            at = table->events[i].at;
        }
    return true;
}

static void tell_by_time(struct oracle *o, const struct plan_node *node, const struct stream *in,
    const struct stream *table, struct stream *out, struct oracle_sink *late)
{
    out->unsure = out->unsure || !has_history(table);
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind != EVENT_ROW)
            continue;
        const bool is_null = join_key_of(node, event->record, false).is_null;
        if (event->w >= cut((wide)event->at + node->size))
            oracle_sink_add(late, event->record, event->at, 0);
        else
            give_told(
                o, node, out, event, is_null ? NULL : version_at(o, node, table, event->record, event->at));
    }
}

/* What came in steps before that of the record. */
static void tell_by_arrival(struct oracle *o, const struct plan_node *node, const struct stream *in,
    const struct stream *table, struct stream *out)
{
    out->unsure = out->unsure || !o->paced || !in->in_order || (in->sources & table->sources);
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        const struct event *version = NULL;
        if (event->kind != EVENT_ROW)
            continue;
        for (size_t k = 0; k < table->count && table->events[k].step < event->step; k++) {
            const struct event *change = &table->events[k];
            const struct join_key key = join_key_of(node, event->record, false);
            if (change->kind != EVENT_ROW)
                continue;
            const struct join_key other = join_key_of(node, change->record, true);
            if (join_keys_are_equal(&key, &other))
                version = is_back(change) ? NULL : change;
        }
        give_told(o, node, out, event, version);
    }
}

void oracle_table_join(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in], *table = &o->streams[node->in2];
    struct stream *out = &o->streams[stream];
    struct oracle_sink *late = oracle_sink(o, "late-left", stream, false);
    out->sources = in->sources | table->sources;
    out->unsure = in->unsure || in->behind || table->unsure || table->behind || !table->in_order;
    if (node->expr == LEAT_AS_OF_ARRIVAL)
        tell_by_arrival(o, node, in, table, out);
    else
        tell_by_time(o, node, in, table, out, late);
    out->behind = true;
    oracle_push(out, &(struct event){ .kind = EVENT_WATERMARK, .step = o->plan->rows_count, .w = INT64_MAX });
    if (out->unsure)
        late->level = ORACLE_NOTHING;
}

/* ---- two tables ---- */

struct bag_of_rows {
    const struct diff_row **rows;
    size_t count;
};

struct tables {
    struct oracle *o;
    const struct plan_node *node;
    struct stream *out;
    struct bag_of_rows sides[2];
};

static void bag_add(struct bag_of_rows *bag, const struct diff_row *row)
{
    bag->rows = realloc(bag->rows, (bag->count + 1) * sizeof(const struct diff_row *));
    if (!bag->rows)
        abort();
    bag->rows[bag->count++] = row;
}

/* The row, or one that shows the same; false where there is none. */
static bool bag_take(struct bag_of_rows *bag, const struct diff_row *row)
{
    for (size_t i = bag->count; i-- > 0;)
        if (same_time_too(bag->rows[i], row)) {
            memmove(bag->rows + i, bag->rows + i + 1, (bag->count - i - 1) * sizeof(const struct diff_row *));
            bag->count--;
            return true;
        }
    return false;
}

/* How many rows of the other side make a pair with that one. */
static size_t partners_of(const struct tables *t, const struct diff_row *row, bool is_right)
{
    const struct bag_of_rows *others = &t->sides[!is_right];
    size_t count = 0;
    for (size_t i = 0; i < others->count; i++)
        count += join_matches(t->node, is_right ? others->rows[i] : row, is_right ? row : others->rows[i]);
    return count;
}

static void give_alone(
    struct tables *t, const struct event *cause, const struct diff_row *row, bool is_right, bool is_there)
{
    if (join_keeps(t->node, is_right))
        give(t->out, cause, join_result(t->o, is_right ? NULL : row, is_right ? row : NULL),
            is_there ? LEAT_INSERT : LEAT_DELETE);
}

/* The pairs of a row that comes or goes, and what is alone by that, or no more. */
static void change_pairs(struct tables *t, const struct event *event, bool is_right, bool comes)
{
    const struct diff_row *row = event->record;
    const struct bag_of_rows *others = &t->sides[!is_right];
    const bool always = t->o->mistake == MISTAKE_OUTER_ALWAYS;
    size_t partners = 0;
    for (size_t i = 0; i < others->count; i++) {
        const struct diff_row *other = others->rows[i];
        const struct diff_row *left = is_right ? other : row, *right = is_right ? row : other;
        if (!join_matches(t->node, left, right))
            continue;
        partners++;
        give(t->out, event, join_result(t->o, left, right), comes ? LEAT_INSERT : LEAT_DELETE);
        if (!always && join_keeps(t->node, !is_right) && partners_of(t, other, !is_right) == (comes ? 1 : 0))
            give_alone(t, event, other, !is_right, !comes);
    }
    if (partners == 0 || always)
        give_alone(t, event, row, is_right, comes);
}

static void change(struct tables *t, const struct event *event, bool is_right)
{
    const bool comes = !is_back(event);
    if (join_key_of(t->node, event->record, is_right).is_null) {
        give_alone(t, event, event->record, is_right, comes);
        return;
    }
    if (comes)
        bag_add(&t->sides[is_right], event->record);
    else if (!bag_take(&t->sides[is_right], event->record))
        return;
    change_pairs(t, event, is_right, comes);
}

void oracle_join_tables(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *const in[2] = { &o->streams[node->in], &o->streams[node->in2] };
    struct tables t = { .o = o, .node = node, .out = &o->streams[stream] };
    size_t at[2] = { 0, 0 };
    for (size_t step = 0; step <= o->plan->rows_count; step++)
        for (int side = 0; side < 2; side++)
            for (; at[side] < in[side]->count && in[side]->events[at[side]].step == step; at[side]++)
                if (in[side]->events[at[side]].kind == EVENT_ROW)
                    change(&t, &in[side]->events[at[side]], side);
    free(t.sides[0].rows);
    free(t.sides[1].rows);
    t.out->sources = in[0]->sources | in[1]->sources;
    t.out->unsure = in[0]->unsure || in[1]->unsure;
    struct oracle_sink *sink = oracle_sink(o, "out", stream, false);
    oracle_sink_stream(o, sink, t.out);
    sink->stepwise = o->paced && in[0]->in_order && in[1]->in_order && !(in[0]->sources & in[1]->sources);
    sink->timeless = true; /* the time is that of whichever came last */
    if (sink->level == ORACLE_EXACT && sink->changes)
        sink->level = ORACLE_FINAL;
    t.out->unsure = t.out->unsure || !sink->stepwise;
    t.out->behind = true;
    oracle_push(
        t.out, &(struct event){ .kind = EVENT_WATERMARK, .step = o->plan->rows_count, .w = INT64_MAX });
}

/* ---- cogroups ---- */

/* The side's records as those that an aggregate of plain rows takes: what belongs to the other side is null. */
static void take_side(struct oracle *o, const struct plan_node *node, const struct stream *in,
    struct stream *out, bool is_right)
{
    *out = (struct stream){ .in_order = in->in_order,
        .one_lane = in->one_lane,
        .unsure = in->unsure,
        .behind = in->behind,
        .sources = in->sources };
    for (size_t i = 0; i < in->count; i++) {
        struct event event = in->events[i];
        const struct diff_row *row = event.record;
        if (event.kind == EVENT_ROW && is_right && o->mistake == MISTAKE_COGROUP_FIRST_SIDE)
            continue;
        if (event.kind == EVENT_ROW) {
            const struct join_key key = join_key_of(node, row, is_right);
            struct diff_row *made = oracle_alloc(o, sizeof *made);
            const bool other = is_right && node->form != PLAN_SAME;
            *made = (struct diff_row){ .has_k1 = other ? row->has_v : row->has_k1,
                .k1 = key.number,
                .has_k2 = other ? row->has_s : row->has_k2,
                .k2 = key.text,
                .has_v = !is_right && row->has_v,
                .v = row->v,
                .has_d = is_right && row->has_d,
                .d = row->d,
                .has_s = is_right && row->has_s,
                .s = row->s,
                .gap = row->gap };
            event.record = made;
        }
        oracle_push(out, &event);
    }
}

void oracle_cogroup(struct oracle *o, const struct plan_node *node, size_t stream)
{
    struct stream sides[2], both = { 0 };
    const struct stream *const ins[2] = { &sides[0], &sides[1] };
    take_side(o, node, &o->streams[node->in], &sides[0], false);
    take_side(o, node, &o->streams[node->in2], &sides[1], true);
    oracle_unite(o, ins, &both);
    oracle_aggregate_of(o, node, stream, &both, NULL);
    free(sides[0].events);
    free(sides[1].events);
    free(both.events);
}
