/* tests/differential/oracle_idle.c -- inputs that fall silent (semantics 2, 3, 4 and 6): in the kit, whose clock
 * the plan moves.
 *
 * A source has a lane for each subtask, which merges the splits that are dealt to it; a lane says its watermark,
 * that it is idle, that it has ended. Without an exchange lanes stay apart; a keyed operator merges them to one for
 * each of its inputs, and then its inputs. What a merge does not count depends on where it stands, so the same
 * parts may come to another watermark over lanes than all at once: the order of merging is that of the engine.
 *
 * Where several parts say something in one step, nobody says who comes first: if that makes a difference, all that
 * follows is unsure. */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

#define UNSAID ((wide)INT64_MIN) /* a watermark at the first time says nothing */

/* ---- merging ---- */

enum { PARTS_MAX = 8 };
struct part {
    wide w;
    bool idle, ended, counts;
};

struct merge {
    const struct oracle *o;
    struct part parts[PARTS_MAX];
    size_t count;
    struct part all; /* w, idle, ended of the whole */
};

static struct merge merge_of(const struct oracle *o, size_t count)
{
    struct merge merge = { .o = o, .count = count, .all = { .w = UNSAID } };
    for (size_t i = 0; i < count; i++)
        merge.parts[i] = (struct part){ .w = UNSAID, .counts = true };
    return merge;
}

/* Rule 4: who was idle counts again at the watermark of the whole; of nobody who counts, nothing follows; of only
 * idle ones, the newest. */
static void merge_again(struct merge *merge)
{
    wide least = (wide)INT64_MAX, most = UNSAID;
    bool any_counts = false, any_awake = false, all_ended = true;
    for (size_t i = 0; i < merge->count; i++) {
        struct part *part = &merge->parts[i];
        if (part->ended)
            continue;
        all_ended = false;
        part->counts = !part->idle &&
            (part->counts || part->w >= merge->all.w || merge->o->mistake == MISTAKE_IDLE_COUNTS_AT_ONCE);
        any_awake = any_awake || !part->idle;
        most = part->w > most ? part->w : most;
        if (!part->counts && merge->o->mistake != MISTAKE_IDLE_HOLDS_BACK)
            continue;
        any_counts = true;
        least = part->w < least ? part->w : least;
    }
    const bool is_last = !any_awake && merge->o->mistake != MISTAKE_IDLE_KEEPS_LEAST;
    const wide w = all_ended ? INT64_MAX : any_counts ? least : is_last ? most : UNSAID;
    merge->all.w = w > merge->all.w ? w : merge->all.w;
    merge->all.ended = all_ended;
    merge->all.idle = !all_ended && !any_awake;
}

/* A watermark wakes; then it may say that it is idle. */
static void merge_say(struct merge *merge, size_t i, const struct part *said)
{
    struct part *part = &merge->parts[i];
    if (part->ended)
        return;
    if (said->ended) {
        *part = (struct part){ .w = INT64_MAX, .ended = true };
        merge_again(merge);
        return;
    }
    if (said->w > part->w || part->idle != said->idle) {
        part->w = said->w > part->w ? said->w : part->w;
        part->idle = false;
        merge_again(merge);
    }
    part->idle = said->idle;
    merge_again(merge);
}

static bool same_part(const struct part *a, const struct part *b)
{
    return a->w == b->w && a->idle == b->idle && a->ended == b->ended && a->counts == b->counts;
}

static bool same_merge(const struct merge *a, const struct merge *b)
{
    for (size_t i = 0; i < a->count; i++)
        if (!same_part(&a->parts[i], &b->parts[i]))
            return false;
    return same_part(&a->all, &b->all);
}

/* What the whole has to say, if it is something new. */
static void push_said(
    struct stream *out, const struct merge *merge, struct part *said, size_t step, int64_t lane)
{
    if (same_part(said, &merge->all))
        return;
    *said = merge->all;
    oracle_push(out,
        &(struct event){ .kind = EVENT_WATERMARK,
            .step = step,
            .w = said->w == UNSAID ? NO_WATERMARK : said->w,
            .idle = said->idle,
            .ended = said->ended,
            .lane = lane });
}

static struct part said_by(const struct event *event)
{
    return (struct part){
        .w = event->w < UNSAID ? UNSAID : event->w, .idle = event->idle, .ended = event->ended
    };
}

/* ---- sources ---- */

struct lane {
    struct merge merge; /* of the splits that are dealt to it */
    struct part said;
};

struct splits {
    const struct plan_source *source;
    struct lane lanes[PLAN_LANES_MAX];
    int64_t lanes_count, count;
    int64_t awake_us[PLAN_SPLITS_MAX]; /* when they gave something last */
    wide w[PLAN_SPLITS_MAX];
    bool ended;
};

static void say(struct splits *splits, int64_t split, const struct part *said)
{
    merge_say(&splits->lanes[split % splits->lanes_count].merge, (size_t)(split / splits->lanes_count), said);
}

static void say_split(struct splits *splits, int64_t split, bool idle)
{
    say(splits, split, &(struct part){ .w = splits->w[split], .idle = idle });
}

static bool is_silent(const struct oracle *o, const struct splits *splits, int64_t split, int64_t clock_us)
{
    const int64_t silent_us = clock_us - splits->awake_us[split];
    return silent_us >= splits->source->idle + (o->mistake == MISTAKE_IDLE_ONE_LATER);
}

/* Those that are silent for too long; in which order is left open. */
static void find_silent(struct oracle *o, struct stream *stream, struct splits *splits, int64_t clock_us)
{
    struct splits other = *splits;
    if (splits->source->idle == 0 || splits->ended)
        return;
    for (int64_t i = 0; i < splits->count; i++)
        if (is_silent(o, splits, i, clock_us))
            say_split(splits, i, true);
    for (int64_t i = splits->count; i-- > 0;)
        if (is_silent(o, &other, i, clock_us))
            say_split(&other, i, true);
    for (int64_t i = 0; i < splits->lanes_count; i++)
        stream->unsure = stream->unsure || !same_merge(&splits->lanes[i].merge, &other.lanes[i].merge);
}

static void end_all(struct stream *stream, struct splits *splits)
{
    for (int64_t i = 0; i < splits->count; i++)
        say(splits, i, &(struct part){ .ended = true });
    splits->ended = true;
    if (splits->count > 1)
        stream->unsure = true; /* what is said between the first end and the last */
}

static void take_row(struct oracle *o, struct stream *stream, struct splits *splits, size_t step)
{
    const struct plan_row *row = &o->plan->rows[step];
    wide *w = &splits->w[row->split];
    if (!(row->nulls & PLAN_NULL_AT)) {
        oracle_push(stream,
            &(struct event){ .kind = EVENT_ROW,
                .step = step,
                .record = oracle_make_row(o, row),
                .at = row->at,
                .w = row->at <= *w && *w > UNSAID ? *w : NO_WATERMARK });
        const wide spoken = cut((wide)row->at - splits->source->ooo - 1);
        *w = spoken > *w ? spoken : *w;
    }
    say_split(splits, row->split, false); /* one without a time is a sign of life, too */
}

static void say_lanes(struct stream *stream, struct splits *splits, size_t step)
{
    for (int64_t i = 0; i < splits->lanes_count; i++)
        push_said(stream, &splits->lanes[i].merge, &splits->lanes[i].said, step, i);
}

static void step_source(
    struct oracle *o, struct stream *stream, struct splits *splits, size_t step, int64_t clock_us)
{
    const struct plan_row *row = &o->plan->rows[step];
    if (&o->plan->sources[row->source] != splits->source || splits->ended || row->step == PLAN_ADVANCE) {
        /* nothing of its own */
    } else if (row->step == PLAN_ROW) {
        take_row(o, stream, splits, step);
        splits->awake_us[row->split] = clock_us;
    } else if (row->step == PLAN_END) {
        end_all(stream, splits);
    } else {
        for (int64_t i = 0; i < splits->count; i++)
            if (row->at > splits->w[i]) {
                splits->w[i] = row->at;
                say_split(splits, i, false);
            }
    }
    say_lanes(stream, splits, step);
    find_silent(o, stream, splits, clock_us);
    say_lanes(stream, splits, step);
}

void oracle_idle_source(struct oracle *o, size_t source, int64_t splits_count)
{
    struct stream *stream = &o->streams[source];
    struct splits splits = {
        .source = &o->plan->sources[source], .lanes_count = o->plan->run.parallelism, .count = splits_count
    };
    int64_t clock_us = ORACLE_WALL_US;
    for (int64_t i = 0; i < splits.lanes_count; i++) {
        const int64_t dealt = (splits.count - i + splits.lanes_count - 1) / splits.lanes_count;
        splits.lanes[i].merge = merge_of(o, (size_t)(i < splits.count ? dealt : 0));
        splits.lanes[i].said = splits.lanes[i].merge.all;
        merge_again(&splits.lanes[i].merge); /* without any split it has ended */
    }
    for (int64_t i = 0; i < PLAN_SPLITS_MAX; i++) {
        splits.w[i] = UNSAID;
        splits.awake_us[i] = clock_us;
    }
    stream->lanes = splits.lanes_count;
    say_lanes(stream, &splits, 0);
    for (size_t i = 0; i < o->plan->rows_count; i++) {
        clock_us += o->plan->rows[i].step == PLAN_ADVANCE ? o->plan->rows[i].at : 0;
        step_source(o, stream, &splits, i, clock_us);
        if (o->plan->rows[i].step == PLAN_ADVANCE)
            oracle_push(stream, &(struct event){ .kind = EVENT_CLOCK, .step = i, .at = clock_us });
    }
    if (!splits.ended)
        for (int64_t i = 0; i < splits.count; i++)
            say(&splits, i, &(struct part){ .ended = true });
    say_lanes(stream, &splits, o->plan->rows_count);
}

/* ---- inputs ---- */

/* Streams of which the rows of a step, and then what follows from them, come to one merge for each lane. */
struct walk {
    struct oracle *o;
    const struct stream *ins[2];
    size_t ins_count, from[2], to[2]; /* of the step */
    bool gathers; /* lanes of one input to one */
    struct merge lanes[PLAN_LANES_MAX];
    struct part said[PLAN_LANES_MAX];
    size_t lanes_count;
    bool judges; /* rows are behind their own input, too */
    wide own[2]; /* what the inputs have said */
};

static struct walk walk_of(struct oracle *o, const struct stream *const *ins, size_t count, bool gathers)
{
    struct walk walk = { .o = o, .ins_count = count, .gathers = gathers, .lanes_count = 1 };
    size_t parts = count;
    for (size_t i = 0; i < count; i++) {
        walk.ins[i] = ins[i];
        walk.own[i] = UNSAID;
        if (!gathers && ins[i]->lanes > (int64_t)walk.lanes_count)
            walk.lanes_count = (size_t)ins[i]->lanes;
    }
    if (gathers)
        parts = ins[0]->lanes > 0 ? (size_t)ins[0]->lanes : 1;
    for (size_t i = 0; i < walk.lanes_count; i++) {
        walk.lanes[i] = merge_of(o, parts);
        walk.said[i] = walk.lanes[i].all;
    }
    return walk;
}

/* A stream of one lane says the same in all. */
static void walk_hear(struct walk *walk, size_t input, const struct event *event, struct stream *out)
{
    const struct part said = said_by(event);
    const bool everywhere = walk->ins[input]->lanes <= 1;
    walk->own[input] = said.w > walk->own[input] ? said.w : walk->own[input];
    for (size_t lane = 0; lane < walk->lanes_count; lane++) {
        if (!walk->gathers && !everywhere && (size_t)event->lane != lane)
            continue;
        merge_say(&walk->lanes[lane], walk->gathers ? (size_t)event->lane : input, &said);
        if (out)
            push_said(out, &walk->lanes[lane], &walk->said[lane], event->step, (int64_t)lane);
    }
}

/* What a row is judged by: its split, or its input, or what both inputs have come to, where that is ahead because
 * this one was idle. */
static wide judged_by(const struct walk *walk, size_t input, const struct event *row)
{
    const wide all = walk->o->mistake == MISTAKE_IDLE_LATE_BY_OWN ? UNSAID : walk->lanes[0].all.w;
    const wide w = all > walk->own[input] ? all : walk->own[input];
    if (!walk->judges || row->at > w || w == UNSAID)
        return row->w;
    return w > row->w ? w : row->w;
}

/* The events of a step, those of input `first` first. What rows are judged by goes to `judged`. */
static void walk_step(struct walk *walk, size_t first, struct stream *out, wide *judged[2])
{
    for (size_t k = 0; k < walk->ins_count; k++) {
        const size_t input = k == 0 ? first : 1 - first;
        for (size_t i = walk->from[input]; i < walk->to[input]; i++) {
            struct event event = walk->ins[input]->events[i];
            if (event.kind == EVENT_WATERMARK)
                walk_hear(walk, input, &event, out);
            if (event.kind != EVENT_ROW)
                continue;
            judged[input][i] = judged_by(walk, input, &event);
            if (out)
                oracle_push(out, &event);
        }
    }
}

/* Whether another order of the inputs, or of an input's lanes, would come to the same. `again` has room. */
static bool is_ambiguous(
    const struct walk *before, const struct walk *after, wide *const judged[2], wide *again[2])
{
    struct walk other = *before;
    bool differs = false;
    if (before->gathers) {
        for (size_t lane = before->lanes[0].count; lane-- > 0;)
            for (size_t i = before->from[0]; i < before->to[0]; i++)
                if (before->ins[0]->events[i].kind == EVENT_WATERMARK &&
                    before->ins[0]->events[i].lane == (int64_t)lane)
                    walk_hear(&other, 0, &before->ins[0]->events[i], NULL);
    } else {
        walk_step(&other, 1, NULL, again);
        for (int k = 0; k < 2; k++)
            for (size_t i = before->from[k]; i < before->to[k]; i++)
                differs =
                    differs || (before->ins[k]->events[i].kind == EVENT_ROW && again[k][i] != judged[k][i]);
    }
    for (size_t i = 0; i < before->lanes_count; i++)
        differs = differs || !same_merge(&other.lanes[i], &after->lanes[i]);
    return differs;
}

/* The events of a step; what the clock shows, or NULL. */
static const struct event *find_step(struct walk *walk, size_t step)
{
    const struct event *clock = NULL;
    for (size_t i = 0; i < walk->ins_count; i++) {
        const struct stream *in = walk->ins[i];
        size_t *to = &walk->to[i];
        for (walk->from[i] = *to; *to < in->count && in->events[*to].step == step; (*to)++)
            clock = in->events[*to].kind == EVENT_CLOCK ? &in->events[*to] : clock;
    }
    return clock;
}

/* All steps, into `out` or not. True: it was the schedule's to say what comes out. */
static bool walk_all(struct walk *walk, struct stream *out, wide *judged[2])
{
    const size_t steps = walk->o->plan->rows_count;
    const bool is_one = walk->ins_count == 1 && walk->lanes[0].count == 1;
    bool unsure = false;
    wide *again[2];
    for (size_t i = 0; i < walk->ins_count; i++) {
        judged[i] = oracle_alloc(walk->o, (walk->ins[i]->count + 1) * sizeof(wide));
        again[i] = oracle_alloc(walk->o, (walk->ins[i]->count + 1) * sizeof(wide));
    }
    for (size_t step = 0; step <= steps; step++) {
        const struct event *clock = find_step(walk, step);
        const struct walk before = *walk;
        walk_step(walk, 0, out, judged);
        if (step < steps && !is_one && !unsure)
            unsure = is_ambiguous(&before, walk, judged, again);
        if (clock && out)
            oracle_push(out, clock);
    }
    return unsure;
}

void oracle_idle_unite(struct oracle *o, const struct stream *const ins[2], struct stream *out)
{
    wide *judged[2];
    struct walk walk = walk_of(o, ins, 2, false);
    out->unsure = walk_all(&walk, out, judged) || out->unsure;
    out->lanes = (int64_t)walk.lanes_count;
}

/* The lanes of an input, in one. */
static struct stream gathered(struct oracle *o, const struct stream *in)
{
    wide *judged[2];
    struct stream made = *in;
    struct walk walk = walk_of(o, &in, 1, true);
    made.events = NULL;
    made.count = made.capacity = 0;
    made.lanes = 1;
    made.unsure = walk_all(&walk, &made, judged) || made.unsure;
    return made;
}

void oracle_hear(struct oracle *o, struct stream *const ins[2], size_t count, bool judges)
{
    struct stream sides[2];
    const struct stream *const both[2] = { &sides[0], &sides[1] };
    wide *judged[2];
    for (size_t i = 0; i < count; i++)
        sides[i] = gathered(o, ins[i]);
    struct walk walk = walk_of(o, both, count, false);
    walk.judges = judges;
    const bool unsure = walk_all(&walk, NULL, judged);
    for (size_t i = 0; i < count; i++) {
        for (size_t e = 0; e < sides[i].count; e++)
            if (sides[i].events[e].kind == EVENT_ROW)
                sides[i].events[e].w = judged[i][e];
        sides[i].unsure = sides[i].unsure || unsure;
    }
    for (size_t i = 0; i < count; i++)
        if (i == 0 || ins[1] != ins[0])
            *ins[i] = sides[i];
        else
            free(sides[i].events); /* a stream with itself: both are judged alike */
}
