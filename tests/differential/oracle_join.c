/* tests/differential/oracle_join.c -- joins of streams (semantics 28 to 32): all rows of one side against all of the
 * other. */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

/* ---- keys and results ---- */

struct join_key join_key_of(const struct plan_node *node, const struct diff_row *row, bool is_right)
{
    const bool other = is_right && node->form != PLAN_SAME;
    struct join_key key = { 0 };
    if (node->keys & PLAN_BY_K1) {
        key.is_null = other ? !row->has_v : !row->has_k1;
        key.number = (other ? row->v : row->k1) + (node->form == PLAN_EXPRESSIONS && !is_right);
    }
    if (node->keys & PLAN_BY_K2) {
        key.is_null = key.is_null || (other ? !row->has_s : !row->has_k2);
        key.text = other ? row->s : row->k2;
    }
    return key;
}

bool join_keys_are_equal(const struct join_key *a, const struct join_key *b)
{
    return !a->is_null && !b->is_null && a->number == b->number && leat_sv_eq(a->text, b->text);
}

bool join_matches(const struct plan_node *node, const struct diff_row *left, const struct diff_row *right)
{
    const struct join_key l = join_key_of(node, left, false), r = join_key_of(node, right, true);
    return join_keys_are_equal(&l, &r) && join_conditions[node->where % JOIN_CONDITIONS].holds(left, right);
}

bool join_keeps(const struct plan_node *node, bool is_right)
{
    return node->outer == LEAT_JOIN_FULL || node->outer == (is_right ? LEAT_JOIN_RIGHT : LEAT_JOIN_LEFT);
}

const struct diff_row *join_result(
    struct oracle *o, const struct diff_row *left, const struct diff_row *right)
{
    struct diff_row *made = oracle_alloc(o, sizeof *made);
    if (left)
        *made = *left;
    made->has_d = right && right->has_d;
    made->d = made->has_d ? right->d : 0;
    made->has_s = right && right->has_s;
    made->s = made->has_s ? right->s : (struct leat_sv){ 0 };
    made->gap = left ? left->gap : right->gap;
    made->has_at = right && right->has_at;
    made->at = made->has_at ? right->at : 0;
    return made;
}

/* ---- both sides ---- */

struct row {
    const struct event *event;
    bool matched;
};

struct join {
    struct oracle *o;
    const struct plan_node *node;
    const struct stream *in[2];
    struct oracle_sink *late[2];
    struct stream *out;
    struct row *rows[2];
    size_t counts[2];
};

static void give(struct join *join, const struct event *left, const struct event *right, int64_t at)
{
    oracle_push(join->out,
        &(struct event){ .kind = EVENT_ROW,
            .record = join_result(join->o, left ? left->record : NULL, right ? right->record : NULL),
            .at = at,
            .w = NO_WATERMARK });
}

/* A row without a partner, if its side is kept. */
static void give_alone(struct join *join, const struct event *event, bool is_right)
{
    if (join_keeps(join->node, is_right))
        give(join, is_right ? NULL : event, is_right ? event : NULL, event->at);
}

/* The rows of a side that may join; late ones into their sink. */
static void take_side(struct join *join, bool is_right)
{
    const struct stream *in = join->in[is_right];
    join->rows[is_right] = calloc(in->count + 1, sizeof *join->rows[0]);
    if (!join->rows[is_right])
        abort();
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind != EVENT_ROW)
            continue;
        const bool is_null = join_key_of(join->node, event->record, is_right).is_null;
        if (is_null && !join_keeps(join->node, is_right))
            continue;
        if (event->w >= cut((wide)event->at + join->node->lateness)) /* NO_WATERMARK is below all */
            oracle_sink_add(join->late[is_right], event->record, event->at, 0);
        else if (is_null)
            give_alone(join, event, is_right);
        else
            join->rows[is_right][join->counts[is_right]++].event = event;
    }
}

static struct join begin(struct oracle *o, const struct plan_node *node, size_t stream)
{
    struct join join = { .o = o, .node = node, .out = &o->streams[stream] };
    join.in[0] = &o->streams[node->in];
    join.in[1] = &o->streams[node->in2];
    join.late[0] = oracle_sink(o, "late-left", stream, false);
    join.late[1] = oracle_sink(o, "late-right", stream, false);
    join.out->sources = join.in[0]->sources | join.in[1]->sources;
    join.out->unsure = join.in[0]->unsure || join.in[1]->unsure || join.in[0]->behind || join.in[1]->behind;
    join.out->behind = node->lateness > 0;
    return join;
}

static void end(struct join *join)
{
    for (int side = 0; side < 2; side++) {
        free(join->rows[side]);
        if (join->out->unsure)
            join->late[side]->level = ORACLE_NOTHING;
    }
    oracle_push(join->out,
        &(struct event){ .kind = EVENT_WATERMARK, .step = join->o->plan->rows_count, .w = INT64_MAX });
}

/* Whether the two make a pair as far as keys and condition go. */
static bool pairs(const struct join *join, const struct event *left, const struct event *right)
{
    if (left == right && join->o->mistake == MISTAKE_SELF_JOIN_WITHOUT_ITSELF)
        return false;
    return join_matches(join->node, left->record, right->record);
}

static void give_unmatched(struct join *join, bool is_right)
{
    for (size_t i = 0; i < join->counts[is_right]; i++)
        if (!join->rows[is_right][i].matched || join->o->mistake == MISTAKE_OUTER_ALWAYS)
            give_alone(join, join->rows[is_right][i].event, is_right);
}

/* ---- near times ---- */

static bool is_near(const struct join *join, const struct event *left, const struct event *right)
{
    const wide before = (wide)join->node->before - (join->o->mistake == MISTAKE_JOIN_BEFORE_EXCLUSIVE);
    return left->at - before <= right->at && right->at <= (wide)left->at + join->node->after;
}

void oracle_interval_join(struct oracle *o, const struct plan_node *node, size_t stream)
{
    struct join join = begin(o, node, stream);
    take_side(&join, false);
    take_side(&join, true);
    for (size_t l = 0; l < join.counts[0]; l++)
        for (size_t r = 0; r < join.counts[1]; r++) {
            struct row *left = &join.rows[0][l], *right = &join.rows[1][r];
            if (!is_near(&join, left->event, right->event) || !pairs(&join, left->event, right->event))
                continue;
            const int64_t later = left->event->at > right->event->at ? left->event->at : right->event->at;
            left->matched = right->matched = true;
            give(&join, left->event, right->event,
                o->mistake == MISTAKE_JOIN_TIME_IS_LEFT ? left->event->at : later);
        }
    give_unmatched(&join, false);
    give_unmatched(&join, true);
    end(&join);
}

/* ---- the nearest ---- */

static wide distance(const struct event *left, const struct event *right)
{
    const wide apart = (wide)right->at - left->at;
    return apart < 0 ? -apart : apart;
}

static bool may_be_taken(const struct join *join, const struct event *left, const struct event *right)
{
    const int64_t direction = join->node->expr ? join->node->expr : LEAT_ASOF_BACKWARD;
    if ((right->at > left->at && direction == LEAT_ASOF_BACKWARD) ||
        (right->at < left->at && direction == LEAT_ASOF_FORWARD) ||
        (right->at == left->at && join->o->mistake == MISTAKE_ASOF_WITHOUT_EQUAL))
        return false;
    return (join->node->size == INT64_MAX || distance(left, right) <= join->node->size) &&
        pairs(join, left, right);
}

/* Whether `right`, which came later, is taken instead of `best`. */
static bool is_nearer(
    const struct join *join, const struct event *left, const struct event *right, const struct event *best)
{
    const wide far = distance(left, right), best_far = distance(left, best);
    if (far != best_far)
        return far < best_far;
    if (right->at != best->at)
        return (right->at < best->at) != (join->o->mistake == MISTAKE_ASOF_LATER_OF_TWO);
    return join->o->mistake != MISTAKE_ASOF_FIRST_OF_EQUALS;
}

/* Whether another one of that time would do as well, and the schedule says which of them comes last. */
static bool is_tied(const struct join *join, const struct event *left, const struct event *best)
{
    for (size_t r = 0; r < join->counts[1] && !join->in[1]->in_order; r++) {
        const struct event *right = join->rows[1][r].event;
        if (right->at == best->at && may_be_taken(join, left, right) &&
            !same_row(right->record, best->record))
            return true;
    }
    return false;
}

void oracle_asof_join(struct oracle *o, const struct plan_node *node, size_t stream)
{
    struct join join = begin(o, node, stream);
    take_side(&join, false);
    take_side(&join, true);
    for (size_t l = 0; l < join.counts[0]; l++) {
        const struct event *left = join.rows[0][l].event, *best = NULL;
        for (size_t r = 0; r < join.counts[1]; r++) {
            const struct event *right = join.rows[1][r].event;
            if (may_be_taken(&join, left, right) && (!best || is_nearer(&join, left, right, best)))
                best = right;
        }
        if (best)
            give(&join, left, best, left->at);
        else
            give_alone(&join, left, false);
        if (best && is_tied(&join, left, best))
            join.out->unsure = true;
    }
    end(&join);
}

/* ---- the same window ---- */

/* A row in one of its windows. */
struct place {
    const struct event *event;
    struct join_key key;
    wide start, end;
    bool is_right, matched;
};

struct places {
    struct place *at;
    size_t count, capacity;
};

static void add_place(struct places *places, const struct place *place)
{
    if (places->count == places->capacity) {
        places->capacity = places->capacity ? 2 * places->capacity : 64;
        places->at = realloc(places->at, places->capacity * sizeof *places->at);
        if (!places->at)
            abort();
    }
    places->at[places->count++] = *place;
}

static void give_place(struct join *join, const struct place *left, const struct place *right)
{
    const struct place *any = left ? left : right;
    const struct diff_row *l = left ? left->event->record : NULL, *r = right ? right->event->record : NULL;
    struct diff_out *out = oracle_alloc(join->o, sizeof *out);
    *out = (struct diff_out){ .has_k1 = l && l->has_k1,
        .k1 = l && l->has_k1 ? l->k1 : 0,
        .has_k2 = l && l->has_k2,
        .has_l0 = l && l->has_v,
        .l0 = l && l->has_v ? l->v : 0,
        .has_l1 = r && r->has_v,
        .l1 = r && r->has_v ? r->v : 0,
        .has_s0 = r && r->has_s,
        .has_d0 = l && l->has_d,
        .d0 = l && l->has_d ? l->d : 0,
        .has_window_start = true,
        .window_start = cut(any->start),
        .has_window_end = true,
        .window_end = cut(any->end) };
    if (out->has_k2)
        out->k2 = l->k2;
    if (out->has_s0)
        out->s0 = r->s;
    const struct windows ws = { .o = join->o, .node = join->node };
    oracle_push(join->out,
        &(struct event){ .kind = EVENT_ROW,
            .record = out,
            .at = (int64_t)window_last(&ws, out->window_end),
            .w = NO_WATERMARK });
}

/* The windows of a row that are not over for it; false: there were some, and all of them are. */
static bool place_row(struct join *join, struct places *places, const struct event *event, bool is_right)
{
    static wide bounds[PLAN_WINDOWS_MAX + 1][2];
    const struct windows ws = { .o = join->o, .node = join->node };
    struct place place = {
        .event = event, .key = join_key_of(join->node, event->record, is_right), .is_right = is_right
    };
    size_t count = 1, taken = 0;
    if (join->node->window == LEAT_WINDOW_SESSION) {
        bounds[0][0] = event->at;
        bounds[0][1] = (wide)event->at + join->node->gap;
    } else {
        count = oracle_assign(join->o, join->node, event->at, bounds, PLAN_WINDOWS_MAX + 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (window_is_dropped(&ws, bounds[i][1], event->w))
            continue;
        taken++;
        place.start = bounds[i][0];
        place.end = bounds[i][1];
        add_place(places, &place);
    }
    return count == 0 || taken > 0;
}

/* Sessions of both sides together: bounds grow until none does any more. */
static void grow_sessions(struct places *places)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < places->count; i++)
            for (size_t k = 0; k < places->count; k++) {
                struct place *a = &places->at[i];
                const struct place *b = &places->at[k];
                if (!join_keys_are_equal(&a->key, &b->key) || a->start > b->end || b->start > a->end ||
                    (a->start <= b->start && a->end >= b->end))
                    continue;
                a->start = b->start < a->start ? b->start : a->start;
                a->end = b->end > a->end ? b->end : a->end;
                more = true;
            }
    }
}

static void pair_places(struct join *join, struct places *places)
{
    for (size_t l = 0; l < places->count; l++)
        for (size_t r = 0; r < places->count; r++) {
            struct place *left = &places->at[l], *right = &places->at[r];
            if (left->is_right || !right->is_right || left->start != right->start ||
                left->end != right->end || !pairs(join, left->event, right->event))
                continue;
            left->matched = right->matched = true;
            give_place(join, left, right);
        }
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = &places->at[i];
        if (join_keeps(join->node, place->is_right) &&
            (!place->matched || join->o->mistake == MISTAKE_OUTER_ALWAYS))
            give_place(join, place->is_right ? NULL : place, place->is_right ? place : NULL);
    }
}

void oracle_window_join(struct oracle *o, const struct plan_node *node, size_t stream)
{
    struct join join = begin(o, node, stream);
    struct places places = { 0 };
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < join.in[side]->count; i++) {
            const struct event *event = &join.in[side]->events[i];
            if (event->kind != EVENT_ROW)
                continue;
            if (join_key_of(node, event->record, side).is_null && !join_keeps(node, side))
                continue;
            if (!place_row(&join, &places, event, side))
                oracle_sink_add(join.late[side], event->record, event->at, 0);
            if (event->w > NO_WATERMARK && node->window == LEAT_WINDOW_SESSION)
                join.out->unsure = true; /* which sessions were over when it came */
            if (event->at == INT64_MAX)
                join.out->unsure = true; /* its window ends where it begins */
        }
    if (node->window == LEAT_WINDOW_SESSION)
        grow_sessions(&places);
    pair_places(&join, &places);
    free(places.at);
    end(&join);
}
