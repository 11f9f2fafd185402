/* tests/differential/oracle_process.c -- process functions (semantics 41, 42). */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

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

/* How many records of a key there were since it was forgotten last. */
struct tally {
    const struct diff_row *key;
    int64_t count, written_us;
};

/* What a time to live goes by. A late record is seen at the watermark that it is behind. */
static int64_t now_of(const struct plan_node *node, const struct event *event, int64_t clock_us)
{
    if (node->unit)
        return clock_us;
    return event->w > event->at ? cut(event->w) : event->at;
}

static int64_t add_to(struct tally *tally, const struct plan_node *node, int64_t now_us)
{
    const bool gone = node->size > 0 && now_us >= (wide)tally->written_us + node->size;
    if (gone)
        tally->count = 0;
    if (gone || now_us > tally->written_us) /* an earlier record does not shorten its life */
        tally->written_us = now_us;
    return ++tally->count;
}

static void run_tally(
    struct oracle *o, const struct plan_node *node, const struct stream *in, struct stream *out)
{
    struct tally *tallies = calloc(in->count + 1, sizeof *tallies);
    int64_t clock_us = ORACLE_WALL_US;
    size_t keys = 0;
    if (!tallies)
        abort();
    for (size_t i = 0; i < in->count; i++) {
        struct event event = in->events[i];
        if (event.kind == EVENT_CLOCK)
            clock_us = event.at;
        if (event.kind == EVENT_ROW) {
            size_t k = 0;
            while (k < keys && !same_key(o, node->keys, tallies[k].key, event.record))
                k++;
            if (k == keys)
                tallies[keys++] = (struct tally){ .key = event.record, .written_us = INT64_MIN };
            struct diff_row *row = oracle_alloc(o, sizeof *row);
            *row = *(const struct diff_row *)event.record;
            row->has_v = true;
            row->v = add_to(&tallies[k], node, now_of(node, &event, clock_us));
            event.record = row;
        }
        oracle_push(out, &event);
    }
    free(tallies);
}

void oracle_process(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    out->sources = in->sources;
    out->unsure = in->unsure || in->behind || (node->kind == PLAN_TALLY && !in->in_order) ||
        (node->kind == PLAN_TALLY && node->size > 0 && (node->unit ? !o->paced : !in->one_lane));
    if (node->kind == PLAN_ALARM)
        run_alarms(o, node, in, out);
    else
        run_tally(o, node, in, out);
}
