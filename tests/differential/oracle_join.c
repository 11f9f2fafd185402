/* tests/differential/oracle_join.c -- interval joins (semantics 28 to 32) and process functions (41). */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

/* ---- joins ---- */

static bool has_null_key(int64_t keys, const struct diff_row *row)
{
    return ((keys & PLAN_BY_K1) && !row->has_k1) || ((keys & PLAN_BY_K2) && !row->has_k2);
}

/* The rows of a side that may join, late ones into their sink. */
static size_t take_side(struct oracle *o, const struct plan_node *node, const struct stream *in,
    struct oracle_sink *late, const struct event **kept)
{
    size_t count = 0;
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind != EVENT_ROW || has_null_key(node->keys, event->record))
            continue;
        if (event->w >= cut((wide)event->at + node->lateness)) /* on time: NO_WATERMARK is below all */
            oracle_sink_add(late, event->record, event->at, 0);
        else
            kept[count++] = event;
    }
    (void)o;
    return count;
}

static void pair(struct oracle *o, size_t stream, const struct event *l, const struct event *r)
{
    const struct diff_row *left = l->record, *right = r->record;
    struct diff_row *made = oracle_alloc(o, sizeof *made);
    const int64_t later = l->at > r->at ? l->at : r->at;
    *made = *left;
    made->has_d = right->has_d;
    made->d = right->d;
    made->has_s = right->has_s;
    made->s = right->s;
    made->has_at = right->has_at;
    made->at = right->at;
    oracle_push(&o->streams[stream],
        &(struct event){ .kind = EVENT_ROW,
            .record = made,
            .at = o->mistake == MISTAKE_JOIN_TIME_IS_LEFT ? l->at : later,
            .w = NO_WATERMARK });
}

void oracle_join(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *left = &o->streams[node->in], *right = &o->streams[node->in2];
    struct stream *out = &o->streams[stream];
    struct oracle_sink *late_left = oracle_sink(o, "late-left", stream, false);
    struct oracle_sink *late_right = oracle_sink(o, "late-right", stream, false);
    const struct event **lefts = malloc((left->count + 1) * sizeof *lefts);
    const struct event **rights = malloc((right->count + 1) * sizeof *rights);
    if (!lefts || !rights)
        abort();
    const size_t lefts_count = take_side(o, node, left, late_left, lefts);
    const size_t rights_count = take_side(o, node, right, late_right, rights);
    const wide before = (wide)node->before - (o->mistake == MISTAKE_JOIN_BEFORE_EXCLUSIVE);
    for (size_t l = 0; l < lefts_count; l++)
        for (size_t r = 0; r < rights_count; r++)
            if (lefts[l]->at - before <= rights[r]->at && rights[r]->at <= (wide)lefts[l]->at + node->after &&
                same_key(o, node->keys, lefts[l]->record, rights[r]->record))
                pair(o, stream, lefts[l], rights[r]);
    free(lefts);
    free(rights);
    oracle_push(out, &(struct event){ .kind = EVENT_WATERMARK, .step = o->plan->rows_count, .w = INT64_MAX });
    out->unsure = left->unsure || right->unsure || left->behind || right->behind;
    out->behind = node->lateness > 0;
    out->sources = left->sources | right->sources;
    if (out->unsure)
        late_left->level = late_right->level = ORACLE_NOTHING;
}

/* ---- process functions ---- */

struct alarm {
    const struct diff_row *key;
    int64_t at;
    bool gone;
};

struct alarms {
    struct oracle *o;
    const struct plan_node *node;
    struct stream *out;
    struct alarm *at;
    size_t count;
    wide w, before; /* watermark, and the one before it */
};

static void ring(struct alarms *alarms, struct alarm *alarm, const struct event *cause)
{
    struct diff_row *row = oracle_alloc(alarms->o, sizeof *row);
    *row = (struct diff_row){ .has_v = true, .v = alarm->at % 1000, .gap = 5 };
    row->has_k1 = alarms->node->keys & PLAN_BY_K1;
    row->k1 = row->has_k1 && alarm->key->has_k1 ? alarm->key->k1 : 0;
    row->has_k2 = alarms->node->keys & PLAN_BY_K2;
    row->k2 = alarm->key->has_k2 && row->has_k2 ? alarm->key->k2 : (struct leat_sv){ 0 };
    alarm->gone = true;
    oracle_emit(alarms->out, cause, row, alarm->at, alarms->before);
}

static void set_alarm(struct alarms *alarms, const struct event *event)
{
    const int64_t at = cut((wide)event->at + alarms->node->size);
    struct alarm *alarm = NULL;
    for (size_t i = 0; i < alarms->count && !alarm; i++)
        if (!alarms->at[i].gone && alarms->at[i].at == at &&
            same_key(alarms->o, alarms->node->keys, alarms->at[i].key, event->record))
            alarm = &alarms->at[i];
    if (!alarm) {
        alarm = &alarms->at[alarms->count++];
        *alarm = (struct alarm){ .key = event->record, .at = at };
    }
    if (at <= alarms->w)
        ring(alarms, alarm, event);
}

static void run_alarms(
    struct oracle *o, const struct plan_node *node, const struct stream *in, struct stream *out)
{
    struct alarms alarms = { .o = o, .node = node, .out = out, .w = NO_WATERMARK, .before = NO_WATERMARK };
    alarms.at = calloc(in->count + 1, sizeof *alarms.at);
    if (!alarms.at)
        abort();
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind == EVENT_ROW) {
            alarms.before = alarms.w;
            set_alarm(&alarms, event);
            if (event->w > NO_WATERMARK && !in->one_lane && !(o->paced && in->in_order))
                out->unsure = true; /* was its alarm over already? */
        } else if (event->kind == EVENT_WATERMARK) {
            alarms.before = alarms.w;
            alarms.w = event->w;
            for (size_t a = 0; a < alarms.count; a++)
                if (!alarms.at[a].gone && alarms.at[a].at <= event->w)
                    ring(&alarms, &alarms.at[a], event);
            oracle_push(out, event);
        } else {
            oracle_push(out, event);
        }
    }
    free(alarms.at);
}

static void run_tally(
    struct oracle *o, const struct plan_node *node, const struct stream *in, struct stream *out)
{
    for (size_t i = 0; i < in->count; i++) {
        struct event event = in->events[i];
        if (event.kind == EVENT_ROW) {
            int64_t count = 1;
            for (size_t k = 0; k < i; k++)
                count += in->events[k].kind == EVENT_ROW &&
                    same_key(o, node->keys, in->events[k].record, event.record);
            struct diff_row *row = oracle_alloc(o, sizeof *row);
            *row = *(const struct diff_row *)event.record;
            row->has_v = true;
            row->v = count;
            event.record = row;
        }
        oracle_push(out, &event);
    }
}

void oracle_process(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    out->sources = in->sources;
    out->unsure = in->unsure || in->behind || (node->kind == PLAN_TALLY && !in->in_order);
    if (node->kind == PLAN_ALARM)
        run_alarms(o, node, in, out);
    else
        run_tally(o, node, in, out);
}
