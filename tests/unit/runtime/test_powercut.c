/* tests/unit/runtime/test_powercut.c -- the power goes before each change that a job makes to its disk; what is left
 * then, in many of the forms that a disk may have, is gone on with: every row is there once, in part files, in a
 * single file and in an outside system, and nothing is left over (docs/recovery.md rows 5-16, 32). */
#include "runtime/job_private.h"
#include "tests/support/connector_harness.h"
#include "tests/support/ledger_sink.h"
#include "tests/support/powercut.h"
#include "tests/support/unit.h"
#include <leat/file.h>
#include <leat/generator.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 60u
#define LEDGER "outside/ledger"

static void generate(
    struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out)
{
    (void)seed;
    for (uint32_t i = 0; i < out->count; i++) {
        struct order *order = leat_batch_at(out, i);
        ctx->row = i;
        order->id = (int64_t)(index_first + i * step);
        order->name = leat_printf(ctx, "name-%lld", (long long)order->id);
    }
}
static struct leat_generator_fn make_order = { sizeof(struct leat_generator_fn), "make_order", NULL,
    generate };

/* Rows at 1000 a second, so that checkpoints come in between, to three sinks. */
static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("cut");
    make_order.out = harness_order_type();
    leat_stream *in = leat_generator_source(t, "in",
        &(struct leat_generator_source_opts){
            .fn = &make_order, .count = ROWS, .rate_per_s = 1000, .splits = 2 });
    leat_file_sink(in, "parts", &(struct leat_file_sink_opts){ .path = "out", .format = LEAT_FORMAT_JSON });
    leat_file_sink(in, "one", &(struct leat_file_sink_opts){ .path = "one.jsonl" });
    ledger_sink(in, "ledger", &(struct ledger_sink_opts){ .path = LEDGER });
    FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
    return t;
}

/* One process: runs until it has ended or the power is off. */
static int run(struct leat_env *disk, uint64_t seed, uint32_t parallelism, struct leat_error *err)
{
    leat_topology *t = declare();
    leat_job *job;
    const struct leat_job_opts opts = {
        .parallelism = parallelism,
        .batch_rows = 4,
        .simulate = true,
        .seed = seed,
        .checkpoint_dir = "checkpoints",
        .checkpoint_interval_us = LEAT_MILLIS(12),
        .checkpoint_failures_tolerated = 0,
        .restart = { .never = true },
    };
    FAIL_UNLESS(leat_job_new(t, &opts, &job, err) == 0, "%s", err->message);
    powercut_attach(job->sim_env, disk);
    const int code = leat_job_run(job);
    *err = *leat_job_error(job);
    leat_job_free(job);
    leat_topology_free(t);
    ledger_forget_producers();
    return code;
}

/* ---- what must be there ---- */

/* Counts the ids in lines of JSON. */
static void count_ids(const char *text, size_t size, uint32_t counts[ROWS])
{
    const char *end = text + size;
    for (const char *at = text; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        long long id = -1;
        FAIL_UNLESS(line_end, "a line without an end: %.*s", (int)(end - at), at);
        FAIL_UNLESS(sscanf(at, "{\"id\":%lld", &id) == 1 && id >= 0 && id < ROWS, "%.40s", at);
        counts[id]++;
        at = line_end + 1;
    }
}

static void expect_each_once(const char *what, const char *place, const uint32_t counts[ROWS], uint32_t times)
{
    for (uint32_t i = 0; i < ROWS; i++)
        FAIL_UNLESS(counts[i] == times, "%s: row %u is there %u times in %s", what, i, counts[i], place);
}

static void check_files(struct leat_env *disk, const char *what)
{
    uint32_t parts[ROWS] = { 0 }, one[ROWS] = { 0 };
    char *list = powercut_list(disk), *rest = list;
    for (char *path = strsep(&rest, "\n"); path && *path; path = strsep(&rest, "\n")) {
        size_t size;
        const char *text = powercut_get(disk, path, &size);
        FAIL_UNLESS(!strstr(path, ".inprogress") && !strstr(path, "/spool/") && !strstr(path, ".tmp"),
            "%s: %s is left over", what, path);
        if (strncmp(path, "out/", 4) == 0)
            count_ids(text, size, parts);
        if (strcmp(path, "one.jsonl") == 0)
            count_ids(text, size, one);
    }
    free(list);
    expect_each_once(what, "out", parts, 1);
    expect_each_once(what, "one.jsonl", one, 1);
}

static void check_ledger(struct leat_env *disk, const char *what)
{
    struct ledger_view view;
    struct leat_error err = { 0 };
    uint32_t counts[ROWS] = { 0 };
    FAIL_UNLESS(ledger_read(disk, LEDGER, &view, &err) == 0, "%s", err.message);
    count_ids(view.values.data ? view.values.data : "", view.values.len, counts);
    expect_each_once(what, "the ledger", counts, 1);
    assert_int_equal(view.order_breaks, 0);
    ledger_view_release(&view);
}

static struct leat_env *new_disk(void)
{
    struct leat_env *disk = powercut_new(1);
    struct leat_error err = { 0 };
    assert_int_equal(disk->fs_mkdir(disk, "outside", &err), 0);
    assert_int_equal(disk->fs_sync_dir(disk, ".", &err), 0);
    return disk;
}

/* ---- the loops ---- */

static void test_powercut__given_no_cut__when_run_and_run_again__then_every_row_once(void **state)
{
    (void)state;
    struct leat_env *disk = new_disk();
    struct leat_error err = { 0 };
    FAIL_UNLESS(run(disk, 1, 2, &err) == 0, "%s", err.message);
    check_files(disk, "first");
    check_ledger(disk, "first");
    FAIL_UNLESS(run(disk, 1, 2, &err) == 0, "%s", err.message); /* it has finished */
    check_files(disk, "second");
    check_ledger(disk, "second");
    assert_int_equal(powercut_open_count(disk), 0);
    powercut_free(disk);
}

/* Cuts at change `n`, then starts on image `seed` with as many workers; false when the job ends before. */
static bool cut_and_go_on(uint64_t n, uint64_t seed, uint32_t before, uint32_t after)
{
    char what[96];
    struct leat_env *disk = new_disk();
    struct leat_error err = { 0 };
    (void)snprintf(what, sizeof what, "cut %llu, seed %llu, %u to %u workers", (unsigned long long)n,
        (unsigned long long)seed, before, after);
    powercut_off_at(disk, powercut_changes_count(disk) + n);
    const int code = run(disk, 1 + seed % 3, before, &err);
    const bool was_cut = powercut_is_off(disk);
    FAIL_UNLESS(was_cut || code == 0, "%s: %s", what, err.message);
    struct leat_env *image = powercut_crash(disk, seed);
    powercut_free(disk);
    FAIL_UNLESS(run(image, 2 + seed % 3, after, &err) == 0, "%s: %s", what, err.message);
    check_files(image, what);
    check_ledger(image, what);
    powercut_free(image);
    return was_cut;
}

static void test_powercut__given_a_cut_before_each_change__when_gone_on_with_any_image__then_every_row_once(
    void **state)
{
    (void)state;
    uint64_t n = 1;
    bool was_cut = true;
    for (; was_cut; n++)
        for (uint64_t seed = 0; seed < 5; seed++)
            was_cut = cut_and_go_on(n, seed + (seed > 1 ? 5 * n : 0), 2, 2);
    print_message("%llu changes\n", (unsigned long long)n - 1);
    assert_in_range(n, 100, 5000);
}

static void test_powercut__given_a_cut__when_gone_on_with_other_workers__then_every_row_once(void **state)
{
    (void)state;
    bool was_cut = true;
    for (uint64_t n = 5; was_cut; n += 11)
        was_cut = cut_and_go_on(n, 7 * n, (uint32_t)(1 + n % 3), (uint32_t)(1 + n / 3 % 3));
}

/* The power goes again while the job recovers. */
static void test_powercut__given_cuts_during_recovery__when_gone_on__then_every_row_once(void **state)
{
    (void)state;
    for (uint64_t n = 60; n < 400; n += 37) {
        for (uint64_t k = 1; k < 60; k += 4) {
            char what[96];
            struct leat_env *disk = new_disk();
            struct leat_error err = { 0 };
            (void)snprintf(
                what, sizeof what, "cuts %llu and %llu", (unsigned long long)n, (unsigned long long)k);
            powercut_off_at(disk, n);
            (void)run(disk, 1, 2, &err);
            struct leat_env *second = powercut_crash(disk, n + k);
            powercut_off_at(second, k);
            (void)run(second, 2, 2, &err);
            struct leat_env *third = powercut_crash(second, n * k);
            FAIL_UNLESS(run(third, 3, 2, &err) == 0, "%s: %s", what, err.message);
            check_files(third, what);
            check_ledger(third, what);
            powercut_free(disk);
            powercut_free(second);
            powercut_free(third);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powercut__given_no_cut__when_run_and_run_again__then_every_row_once),
        cmocka_unit_test(
            test_powercut__given_a_cut_before_each_change__when_gone_on_with_any_image__then_every_row_once),
        cmocka_unit_test(test_powercut__given_a_cut__when_gone_on_with_other_workers__then_every_row_once),
        cmocka_unit_test(test_powercut__given_cuts_during_recovery__when_gone_on__then_every_row_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
