/* tests/integration/test_window_triggers.c -- windows with every trigger in whole jobs. Which panes there are depends
 * on clocks and on how splits interleave; what they come to does not. So panes are folded: in accumulating mode the
 * last one of a window and key counts, in discarding mode their sum, in retracting mode what is not taken back; and
 * all must be what windows without triggers give: on any number of workers, when the job is cancelled and goes on
 * from a checkpoint on another number of them, and when next to nothing fits into memory. */
#include "event.h"
#include "pane_row.h"
#include "runtime/tree.h"
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <dirent.h>
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT 12000
#define KEYS 40

/* ---- the job ---- */

enum { RETRACTING, DISCARDING, ACCUMULATING, COUNTS, OUTS };
static const char *const out_names[OUTS] = { "retracting", "discarding", "accumulating", "counts" };

static struct {
    char root[64], out[96], checkpoints[96];
    bool plain; /* no triggers */
    uint64_t rate_per_s;
    uint64_t cancel_at, seen; /* atomic */
    leat_job *running; /* atomic */
} place;

static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    e->key = (int64_t)leat_random_below(seed, index, 0, KEYS);
    e->name = LEAT_SV("a name");
    e->value = (int64_t)leat_random_below(seed, index, 1, 1000);
    e->at = (int64_t)index * 10 - (int64_t)leat_random_below(seed, index, 2, 400);
}
LEAT_DEFINE_GENERATOR(make_event, event);

static void watch(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    (void)e;
    leat_job *job = __atomic_load_n(&place.running, __ATOMIC_ACQUIRE);
    const uint64_t n = job ? __atomic_add_fetch(&place.seen, 1, __ATOMIC_RELAXED) : 0;
    if (place.cancel_at && n == place.cancel_at)
        leat_job_cancel(job);
    if (place.cancel_at && n > place.cancel_at)
        (void)usleep(500); /* the end must not come before the cancel */
}
LEAT_DEFINE_PEEK(watch, event);

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
    if (place.plain && i != COUNTS) {
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
    leat_file_sink(
        panes, out_names[i], &(struct leat_file_sink_opts){ .path = path, .format = LEAT_FORMAT_JSON });
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("panes");
    leat_stream *events = leat_generator_source(t, "events",
        &(struct leat_generator_source_opts){ .fn = &make_event_generator,
            .seed = 7,
            .count = COUNT,
            .splits = 3,
            .rate_per_s = place.rate_per_s,
            .event_time = "at",
            .max_out_of_orderness_us = place.plain ? 500 : 100 }); /* else some are late */
    leat_keyed_stream *keyed = leat_group_by(leat_peek(events, "watch", &watch_peek), "by-key", "key");
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

static void begin_place(void)
{
    const char *tmp = getenv("TMPDIR");
    memset(&place, 0, sizeof place);
    (void)snprintf(place.root, sizeof place.root, "%.40s/leat-panes-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(place.root));
    (void)snprintf(place.out, sizeof place.out, "%s/out", place.root);
    (void)snprintf(place.checkpoints, sizeof place.checkpoints, "%s/checkpoints", place.root);
}

static void end_place(void)
{
    struct leat_error err = { 0 };
    FAIL_UNLESS(leat__tree_remove(leat__env_posix(), place.root, NULL, &err) == 0, "%s", err.message);
}

static enum leat_job_state run(const struct leat_job_opts *opts, uint64_t cancel_at)
{
    struct leat_error err = { 0 };
    leat_job *job = NULL;
    leat_topology *t = declare();
    place.seen = 0;
    place.cancel_at = cancel_at;
    FAIL_UNLESS(leat_job_new(t, opts, &job, &err) == 0, "%s", err.message);
    __atomic_store_n(&place.running, job, __ATOMIC_RELEASE);
    assert_true(leat_job_run(job) <= 0);
    __atomic_store_n(&place.running, NULL, __ATOMIC_RELEASE);
    const enum leat_job_state state = leat_job_state(job);
    FAIL_UNLESS(state == LEAT_JOB_FINISHED || state == LEAT_JOB_CANCELLED, "state %d: %s", (int)state,
        leat_job_error(job)->message);
    leat_job_free(job);
    leat_topology_free(t);
    return state;
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
    bool adds;
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

static void fold_file(struct fold *fold, uint32_t out, const char *path)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    FAIL_UNLESS(file, "%s can not be read", path);
    while (fgets(line, sizeof line, file))
        fold_line(fold, out, line);
    (void)fclose(file);
}

static void read_out(uint32_t out, struct lines *lines)
{
    char dir[160];
    struct fold fold = { 0 };
    struct dirent *entry;
    (void)snprintf(dir, sizeof dir, "%s/%s", place.out, out_names[out]);
    DIR *handle = opendir(dir);
    assert_non_null(handle);
    while ((entry = readdir(handle)) != NULL) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            fold_file(&fold, out, path);
    }
    (void)closedir(handle);
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
    begin_place();
    place.plain = true;
    assert_int_equal(run(&(struct leat_job_opts){ .parallelism = 1 }, 0), LEAT_JOB_FINISHED);
    read_all(want);
    assert_true(want->count > 1000);
    end_place();
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
        begin_place();
        (void)snprintf(what, sizeof what, "%u workers, batches of %u", shapes[i][0], shapes[i][1]);
        assert_int_equal(
            run(&(struct leat_job_opts){ .parallelism = shapes[i][0], .batch_rows = shapes[i][1] }, 0),
            LEAT_JOB_FINISHED);
        expect_output(what, &want);
        end_place();
    }
    lines_clear(&want);
}

static struct leat_job_opts durable(uint32_t parallelism, uint64_t budget_bytes)
{
    return (struct leat_job_opts){ .parallelism = parallelism,
        .batch_rows = 64,
        .checkpoint_dir = place.checkpoints,
        .checkpoint_interval_us = 1000,
        .state_budget_bytes = budget_bytes,
        .restart = { .never = true } };
}

/* Cancelled twice, on other numbers of workers each time. */
static void interrupt(
    const char *what, const uint32_t parallelisms[3], uint64_t budget_bytes, struct lines *want)
{
    begin_place();
    place.rate_per_s = 50000;
    for (uint32_t i = 0; i < 3; i++) {
        const struct leat_job_opts opts = durable(parallelisms[i], budget_bytes);
        const enum leat_job_state state = run(&opts, i < 2 ? COUNT / 3 : 0);
        if (i == 0)
            assert_int_equal(state, LEAT_JOB_CANCELLED);
        if (state == LEAT_JOB_FINISHED)
            break;
    }
    expect_output(what, want);
    end_place();
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
