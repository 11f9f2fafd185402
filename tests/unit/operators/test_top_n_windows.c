/* tests/unit/operators/test_top_n_windows.c -- the first records of windows of every kind, with every trigger: pane by pane
 * they must be those whose values LEAT_AGGREGATE_TOP_N gives over the same windows; folded, where panes are
 * retracted. Spilled, and interrupted on the way. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/unit.h"
#include <leat/change.h>
#include <leat/top_n.h>
#include <stdio.h>
#include <stdlib.h>

#define BEST 3u
#define STEPS 90u
#define LINES_MAX 4096u

#define WINDOW FIELD("window_start", "\"long\"") "," FIELD("window_end", "\"long\"")
#define PANE "," FIELD("pane", "\"int\"") "," FIELD("pane_index", "\"long\"")

/* Both outputs begin like this. */
struct row {
    bool has_k;
    int64_t k, window_start, window_end;
    int64_t rank, v; /* of records */
};
struct panes_row {
    struct row row;
    int32_t pane;
    int64_t pane_index;
};
#define ROW_FIELDS \
    FIELD("k", OR_NULL("\"long\"")) "," WINDOW "," FIELD("rank", "\"long\"") "," FIELD("v", "\"long\"")
struct best_row {
    bool has_k;
    int64_t k, window_start, window_end;
    struct leat_array best;
    int32_t pane;
    int64_t pane_index;
};
#define BEST_FIELDS \
    FIELD("k", OR_NULL("\"long\"")) \
    "," WINDOW "," FIELD("best", "{\"type\":\"array\",\"items\":\"long\"}") PANE

/* The input: v can not be null, so that records have it as they are. */
struct event {
    bool has_k;
    int64_t k, v, ts;
};
#define EVENT_FIELDS FIELD("k", OR_NULL("\"long\"")) "," FIELD("v", "\"long\"") "," FIELD("ts", "\"long\"")

static struct step {
    bool is_watermark;
    int64_t w; /* or the mark of a late record; LEAT_TIME_MIN: none */
    struct event event;
    int64_t clock;
} steps[STEPS];

static void make_steps(bool late)
{
    int64_t front = 0, w = LEAT_TIME_MIN;
    for (uint32_t i = 0; i < STEPS; i++) {
        struct step *step = &steps[i];
        *step = (struct step){ .w = LEAT_TIME_MIN, .clock = agg_below(6) ? 0 : 5 };
        front += agg_below(4);
        if (agg_below(6) == 0 && front - 6 > w) {
            step->is_watermark = true;
            step->w = w = front - 6;
            continue;
        }
        int64_t ts = front - agg_below(8);
        if (ts <= w && late)
            step->w = w;
        else if (ts <= w)
            ts = w + 1;
        step->event =
            (struct event){ .has_k = true, .k = agg_below(3), .v = (int64_t)(i * 37 % 101), .ts = ts };
    }
}

/* ---- a trigger of one's own ---- */

struct seen {
    int64_t records;
};

static enum leat_fire on_record(
    struct leat_ctx *ctx, const void *record, const struct leat_bounds *window, void *state)
{
    const struct event *event = record;
    struct seen *seen = state;
    (void)window;
    if (++seen->records % 3 == 0)
        leat_timer_set(ctx, LEAT_EVENT_TIME, event->ts + 4);
    return seen->records % 2 ? LEAT_CONTINUE : LEAT_FIRE;
}

static enum leat_fire on_timer(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind time,
    const struct leat_bounds *window, void *state)
{
    (void)ctx;
    (void)time_us;
    (void)time;
    (void)window;
    return ((const struct seen *)state)->records % 2 ? LEAT_FIRE : LEAT_CONTINUE;
}

static void merge(struct leat_ctx *ctx, void *into, const void *from)
{
    (void)ctx;
    ((struct seen *)into)->records += ((const struct seen *)from)->records;
}

/* Its input is of the type that each setup makes. */
static struct leat_trigger_fn trigger = { .size = sizeof trigger,
    .name = "trigger",
    .state_size = sizeof(struct seen),
    .on_record = on_record,
    .on_timer = on_timer,
    .merge = merge };

/* ---- the two sides ---- */

struct kind {
    const char *words;
    const char *by;
    bool descending, shows_panes, late;
};

static leat_stream *declare_top(const struct kind *kind, leat_stream *in, const struct leat_type *out)
{
    return leat_window_top_n(agg_windows(in, kind->words, &trigger), "best",
        &(struct leat_top_n_opts){
            .n = BEST, .by = kind->by, .descending = kind->descending, .rank = "rank", .out = out });
}

/* The greatest v, which `by` and `descending` must come to. */
static leat_stream *declare_values(const struct kind *kind, leat_stream *in, const struct leat_type *out)
{
    return leat_aggregate(agg_windows(in, kind->words, &trigger), "best",
        &(struct leat_aggregate_opts){
            .aggs = { { .kind = LEAT_AGGREGATE_TOP_N, .of = "v", .n = BEST, .as = "best" } }, .out = out });
}

static void start(struct agg_setup *s, const struct kind *kind, bool of_values, uint64_t budget)
{
    char schema[1024];
    memset(s, 0, sizeof *s);
    const struct leat_type *event = agg_type_of(s, RECORD("event", EVENT_FIELDS));
    (void)snprintf(schema, sizeof schema, RECORD("result", "%s%s"), of_values ? BEST_FIELDS : ROW_FIELDS,
        of_values || !kind->shows_panes ? "" : PANE);
    const struct leat_type *out = agg_type_of(s, schema);
    trigger.in = event;
    s->t = leat_topology_new("test");
    leat_stream *in = harness_source(s->t, "in", event, "ts");
    s->h = harness_new(of_values ? declare_values(kind, in, out) : declare_top(kind, in, out),
        &(struct harness_opts){
            .with_store = true, .budget_bytes = budget, .batch_rows = 1 + (uint32_t)(budget ? 6 : 63) });
}

static void run_steps(struct harness *h, bool crashes)
{
    for (uint32_t i = 0; i < STEPS; i++) {
        const struct step *step = &steps[i];
        if (step->is_watermark) {
            FAIL_UNLESS(harness_watermark(h, 0, step->w) == 0, "%s", h->error.message);
        } else {
            struct leat_batch *batch = harness_rows(h, 0);
            batch->event_us[0] = step->event.ts;
            batch->late = step->w != LEAT_TIME_MIN;
            batch->late_wm_us = step->w;
            *(struct event *)leat__batch_push(batch) = step->event;
            FAIL_UNLESS(harness_batch(h, 0, batch) == 0, "%s", h->error.message);
        }
        if (step->clock)
            FAIL_UNLESS(harness_advance(h, step->clock) == 0, "%s", h->error.message);
        if (crashes && i % 11 == 10)
            FAIL_UNLESS(harness_crash(h, NULL) == 0, "%s", h->error.message);
    }
    FAIL_UNLESS(harness_end(h, 0) == 0, "%s", h->error.message);
}

/* ---- lines ---- */

struct lines {
    char *text[LINES_MAX];
    uint32_t count;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_line(struct lines *lines, const char *text)
{
    assert_true(lines->count < LINES_MAX);
    lines->text[lines->count++] = strdup(text);
}

static void take_line(struct lines *lines, const char *text)
{
    for (uint32_t i = 0; i < lines->count; i++)
        if (strcmp(lines->text[i], text) == 0) {
            free(lines->text[i]);
            lines->text[i] = lines->text[--lines->count];
            return;
        }
    fail_msg("taken back, and never given: %s", text);
}

static void put_line(struct lines *lines, uint8_t change, const char *text)
{
    if (change == LEAT_DELETE || change == LEAT_UPDATE_BEFORE)
        take_line(lines, text);
    else
        add_line(lines, text);
}

/* A line for each record: its window, place and value. Panes: "-" where they are not told. */
static void read_records(const struct harness *h, const struct kind *kind, struct lines *lines)
{
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t r = 0; r < h->outs[i].batch->count; r++) {
            const struct leat_batch *batch = h->outs[i].batch;
            const struct panes_row *p = (const void *)leat_batch_at(batch, r);
            const struct row *row = &p->row;
            char text[160];
            int len = snprintf(text, sizeof text, "%lld %lld..%lld #%lld %lld", (long long)row->k,
                (long long)row->window_start, (long long)row->window_end, (long long)row->rank,
                (long long)row->v);
            if (kind->shows_panes)
                (void)snprintf(text + len, sizeof text - (size_t)len, " pane %d %lld", p->pane,
                    (long long)p->pane_index);
            put_line(lines, leat__batch_change(batch, r), text);
        }
}

static void read_values(const struct harness *h, const struct kind *kind, struct lines *lines)
{
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t r = 0; r < h->outs[i].batch->count; r++) {
            const struct leat_batch *batch = h->outs[i].batch;
            const struct best_row *row = (const void *)leat_batch_at(batch, r);
            for (size_t v = 0; v < row->best.count; v++) {
                char text[160];
                int len = snprintf(text, sizeof text, "%lld %lld..%lld #%zu %lld", (long long)row->k,
                    (long long)row->window_start, (long long)row->window_end, v + 1,
                    (long long)((const int64_t *)row->best.items)[v]);
                if (kind->shows_panes)
                    (void)snprintf(text + len, sizeof text - (size_t)len, " pane %d %lld", row->pane,
                        (long long)row->pane_index);
                put_line(lines, leat__batch_change(batch, r), text);
            }
        }
}

static void check_same(const struct kind *kind, struct lines *want, struct lines *got)
{
    qsort(want->text, want->count, sizeof want->text[0], by_text);
    qsort(got->text, got->count, sizeof got->text[0], by_text);
    for (uint32_t i = 0; i < want->count || i < got->count; i++) {
        const char *w = i < want->count ? want->text[i] : "nothing";
        const char *g = i < got->count ? got->text[i] : "nothing";
        FAIL_UNLESS(strcmp(w, g) == 0, "%s by %s, line %u of %u: want %s, got %s", kind->words, kind->by, i,
            want->count, w, g);
    }
    FAIL_UNLESS(want->count > 6, "%s: %u lines", kind->words, want->count);
}

static void free_lines(struct lines *lines)
{
    for (uint32_t i = 0; i < lines->count; i++)
        free(lines->text[i]);
    lines->count = 0;
}

static void run_kind(const struct kind *kind, uint64_t budget, bool crashes)
{
    static struct lines want, got;
    struct agg_setup s;
    make_steps(kind->late);
    start(&s, kind, true, 0);
    run_steps(s.h, false);
    read_values(s.h, kind, &want);
    agg_release(&s);
    start(&s, kind, false, budget);
    run_steps(s.h, crashes);
    read_records(s.h, kind, &got);
    agg_release(&s);
    check_same(kind, &want, &got);
    free_lines(&want);
    free_lines(&got);
}

static void
test_window_top_n__given_every_window_and_trigger__then_panes_have_the_records_of_the_first_values(
    void **state)
{
    static const struct kind kinds[] = {
        { "size=10", "v", true, false, false }, /* lists */
        { "size=10", "0 - v", false, true, false },
        { "size=20,slide=10", "v * 2 + 1", true, false, true },
        { "size=20,step=5", "cast(v as double)", true, false, false },
        { "size=10,lateness=8", "v", true, true, true },
        { "size=10,lateness=8,discarding", "v", true, true, true },
        { "size=10,lateness=8,retracting", "v", true, true, true },
        { "size=10,lateness=8,retracting", "v", true, false, true },
        { "size=20,slide=10,lateness=8", "v", true, true, true },
        { "size=10,count=2,event=3", "v", true, true, false },
        { "size=10,clock=5,retracting", "0 - v", false, false, false },
        { "gap=2", "v", true, false, false },
        { "gap=2", "0 - v", false, true, true },
        { "gap=2,lateness=10", "v", true, true, true },
        { "gap=2,lateness=10,retracting", "v", true, false, true },
        { "gap=2,lateness=10,retracting,count=2", "v", true, true, true },
        { "gap=2,max=8,lateness=6,discarding", "v", true, true, true },
        { "size=6,sliding", "v", true, false, false },
        { "size=6,sliding,lateness=5,retracting", "v", true, false, true },
        { "last=4,every=2", "v", true, false, false },
        { "global,count=5", "v", true, true, false },
        { "size=10,trigger", "v", true, true, false },
        { "size=10,trigger,lateness=8,discarding", "v", true, true, true },
        { "size=10,trigger,retracting", "0 - v", false, false, false },
        { "size=20,slide=10,trigger,lateness=8", "v", true, true, true },
        { "gap=2,trigger,lateness=10", "v", true, true, true },
        { "size=6,sliding,trigger", "v", true, true, false },
        { "global,trigger", "v", true, true, false },
    };
    (void)state;
    agg_seed();
    for (uint32_t round = 0; round < 2 * COUNT_OF(kinds); round++)
        run_kind(&kinds[round / 2], round % 2, round % 2 == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_window_top_n__given_every_window_and_trigger__then_panes_have_the_records_of_the_first_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
