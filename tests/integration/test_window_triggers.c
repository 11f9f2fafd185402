/* tests/integration/test_window_triggers.c -- windows with every trigger in whole jobs. Which panes there are depends
 * on clocks and on how splits interleave; what they come to does not. So panes are folded: in accumulating mode the
 * last one of a window and key counts, in discarding mode their sum, in retracting mode what is not taken back; and
 * all must be what windows without triggers give: on any number of workers, when the job is cancelled and goes on
 * from a checkpoint on another number of them, and when next to nothing fits into memory. */
#include "pane_row.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 12000
#define KEYS 40

/* ---- the job ---- */

enum { RETRACTING, DISCARDING, ACCUMULATING, COUNTS, OUTS };
static const char *const out_names[OUTS] = { "retracting", "discarding", "accumulating", "counts" };

static const struct place_events events = { .seed = 7,
    .count = COUNT,
    .keys = KEYS,
    .splits = 3,
    .disorder_us = 400,
    .out_of_orderness_us = 100 },
                                 in_time = { .seed = 7,
                                     .count = COUNT,
                                     .keys = KEYS,
                                     .splits = 3,
                                     .disorder_us = 400,
                                     .out_of_orderness_us = 500 };

static bool plain; /* no triggers, and none is late */

/* Fires at every fourth record, and some time behind each fifth, by both clocks. */
struct seen {
    int64_t records;
};

static enum leat_fire steady__on_record(
    struct leat_ctx *ctx, const struct event *event, const struct leat_bounds *window, struct seen *seen)
{
    (void)window;
    seen->records++;
    if (seen->records % 5 == 0) {
        leat_timer_set(ctx, LEAT_EVENT_TIME, event->at + 300);
        leat_timer_set(ctx, LEAT_PROCESSING_TIME, leat_ctx_now_us(ctx) + 100);
    }
    return seen->records % 4 == 0 ? LEAT_FIRE : LEAT_CONTINUE;
}

static enum leat_fire steady__on_timer(struct leat_ctx *ctx, int64_t us, enum leat_time_kind kind,
    const struct leat_bounds *window, struct seen *seen)
{
    (void)ctx;
    (void)us;
    (void)kind;
    (void)window;
    return seen->records % 2 ? LEAT_FIRE : LEAT_CONTINUE;
}

static void steady__merge(struct leat_ctx *ctx, struct seen *into, const struct seen *from)
{
    (void)ctx;
    into->records += from->records;
}
LEAT_DEFINE_TRIGGER(steady, event, seen);

static void declare_out(leat_keyed_stream *keyed, uint32_t i, struct leat_window_opts window)
{
    char path[160], node[64];
    (void)snprintf(path, sizeof path, "%s/%s", place.out, out_names[i]);
    (void)snprintf(node, sizeof node, "%s-windows", out_names[i]);
    if (plain && i != COUNTS) {
        memset(window.triggers, 0, sizeof window.triggers);
        window.accumulation = LEAT_ACCUMULATING;
    }
    leat_windowed_stream *windows = leat_window(keyed, node, &window);
    (void)snprintf(node, sizeof node, "%s-panes", out_names[i]);
    leat_stream *panes = leat_aggregate(windows, node,
        &(struct leat_aggregate_opts){
            .out = &pane_row_type, .aggs = { LEAT_COUNT("n"), LEAT_SUM("value", "total") } });
    (void)snprintf(node, sizeof node, "%s-changes", out_names[i]);
    if (leat_stream_changes(panes))
        panes = leat_changelog(panes, node, &(struct leat_changelog_opts){ .field = "change" });
    place_sink(panes, out_names[i], path);
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("panes");
    leat_keyed_stream *keyed =
        leat_group_by(place_source(t, "events", plain ? &in_time : &events), "by-key", "key");
    declare_out(keyed, RETRACTING,
        (struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING,
            .size_us = 2000,
            .slide_us = 700,
            .allowed_lateness_us = 1000,
            .accumulation = LEAT_RETRACTING,
            .triggers = { LEAT_ON_COUNT(5), LEAT_EVERY_EVENT_TIME(300), LEAT_EVERY_PROCESSING_TIME(2000),
                LEAT_ON_WATERMARK } });
    declare_out(keyed, DISCARDING,
        (struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
            .size_us = 3000,
            .allowed_lateness_us = 1000,
            .accumulation = LEAT_DISCARDING,
            .triggers = { LEAT_ON_TRIGGER(&steady_trigger), LEAT_LATE_ON_COUNT(2), LEAT_ON_WATERMARK } });
    declare_out(keyed, ACCUMULATING,
        (struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING,
            .size_us = 2500,
            .slide_us = 1000,
            .allowed_lateness_us = 1000,
            .triggers = { LEAT_EVERY_PROCESSING_TIME(1000), LEAT_LATE_EVERY_EVENT_TIME(400),
                LEAT_LATE_EVERY_PROCESSING_TIME(5000), LEAT_ON_WATERMARK } });
    declare_out(keyed, COUNTS,
        (struct leat_window_opts){
            .kind = LEAT_WINDOW_COUNT, .count = 7, .triggers = { LEAT_ON_WATERMARK } });
    return t;
}

/* ---- what the panes come to ---- */

/* Of a window (COUNTS: of all of them) and key. */
struct folded {
    long long key, start, n, total, index;
    int rows; /* panes that are not taken back */
};

struct fold {
    struct folded *all;
    uint32_t count, capacity;
    uint32_t out;
};

static struct folded *find(struct fold *fold, long long key, long long start)
{
    for (uint32_t i = fold->count; i-- > 0;)
        if (fold->all[i].key == key && fold->all[i].start == start)
            return &fold->all[i];
    if (fold->count == fold->capacity) {
        fold->capacity = fold->capacity ? 2 * fold->capacity : 256;
        fold->all = realloc(fold->all, fold->capacity * sizeof *fold->all);
        assert_non_null(fold->all);
    }
    fold->all[fold->count] = (struct folded){ .key = key, .start = start, .index = -1 };
    return &fold->all[fold->count++];
}

static void fold_line(struct fold *fold, uint32_t out, const char *line)
{
    struct folded row;
    long long pane;
    char change[32] = "";
    const int read = sscanf(line,
        "{\"key\":%lld,\"window_start\":%lld,\"pane\":%lld,\"pane_index\":%lld,\"n\":%lld,\"total\":%lld,"
        "\"change\":%31s",
        &row.key, &row.start, &pane, &row.index, &row.n, &row.total, change);
    FAIL_UNLESS(read == 7, "%s", line);
    struct folded *of = find(fold, row.key, out == COUNTS ? 0 : row.start);
    const int sign = strstr(change, "before") ? -1 : 1;
    if (out == ACCUMULATING) {
        FAIL_UNLESS(row.index != of->index, "twice: %s", line);
        if (row.index < of->index)
            return;
        of->n = of->total = of->rows = 0;
        of->index = row.index;
    }
    of->n += sign * row.n;
    of->total += sign * row.total;
    of->rows += sign;
}

static void take_line(void *arg, const char *line)
{
    struct fold *fold = arg;
    fold_line(fold, fold->out, line);
}

static void read_out(uint32_t out, struct lines *lines)
{
    char dir[160];
    struct fold fold = { .out = out };
    (void)snprintf(dir, sizeof dir, "%s/%s", place.out, out_names[out]);
    place_read(dir, take_line, &fold);
    for (uint32_t i = 0; i < fold.count; i++) {
        const struct folded *of = &fold.all[i];
        FAIL_UNLESS(out != RETRACTING || of->rows == 1, "key %lld of %lld: %d panes stand", of->key,
            of->start, of->rows);
        lines_add(lines, "%s key %lld window %lld: %lld, %lld", out_names[out], of->key, of->start, of->n,
            of->total);
    }
    free(fold.all);
}

static void read_all(struct lines *lines)
{
    for (uint32_t out = 0; out < OUTS; out++)
        read_out(out, lines);
}

/* Of one worker, without triggers, interruption, or late records. */
static void run_expected(struct lines *want)
{
    place_begin("panes");
    plain = true;
    assert_int_equal(place_run(declare(), &(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    plain = false;
    read_all(want);
    assert_true(want->count > 1000);
    place_end();
}

static void expect_output(const char *what, struct lines *want)
{
    struct lines got = { 0 };
    read_all(&got);
    lines_expect(what, want, &got);
    lines_clear(&got);
}

/* ---- tests ---- */

static void test_panes__given_any_number_of_workers_and_size_of_batches__then_they_come_to_the_same(
    void **state)
{
    static const uint32_t shapes[][2] = { { 1, 1 }, { 2, 7 }, { 3, 1024 } };
    struct lines want = { 0 };
    (void)state;
    run_expected(&want);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        char what[64];
        place_begin("panes");
        (void)snprintf(what, sizeof what, "%u workers, batches of %u", shapes[i][0], shapes[i][1]);
        const struct leat_job_opts opts = { .parallelism = shapes[i][0], .batch_rows = shapes[i][1] };
        assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
        expect_output(what, &want);
        place_end();
    }
    lines_clear(&want);
}

/* Cancelled twice, on other numbers of workers each time. */
static void interrupt(
    const char *what, const uint32_t parallelisms[3], uint64_t budget_bytes, struct lines *want)
{
    place_begin("panes");
    place_interrupt(declare, parallelisms, budget_bytes, COUNT / 3);
    expect_output(what, want);
    place_end();
}

static void test_panes__given_cancels_and_other_numbers_of_workers__then_they_come_to_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 1, 3, 2 }, { 4, 1, 3 } };
    struct lines want = { 0 };
    (void)state;
    run_expected(&want);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char what[64];
        (void)snprintf(what, sizeof what, "%u, %u, %u workers", rows[i][0], rows[i][1], rows[i][2]);
        interrupt(what, rows[i], 0, &want);
    }
    lines_clear(&want);
}

static void test_panes__given_next_to_no_memory_and_cancels__then_they_come_to_the_same(void **state)
{
    static const uint32_t rows[3] = { 3, 2, 4 };
    struct lines want = { 0 };
    (void)state;
    run_expected(&want);
    interrupt("spilling", rows, 100000, &want);
    lines_clear(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_panes__given_any_number_of_workers_and_size_of_batches__then_they_come_to_the_same),
        cmocka_unit_test(test_panes__given_cancels_and_other_numbers_of_workers__then_they_come_to_the_same),
        cmocka_unit_test(test_panes__given_next_to_no_memory_and_cancels__then_they_come_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
