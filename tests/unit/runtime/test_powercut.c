/* tests/unit/runtime/test_powercut.c -- the power goes before each change that a job makes to its disk; what is left
 * then, in many of the forms that a disk may have, is gone on with: what comes out is what comes out of a run that
 * nothing disturbs, in part files, in a single file and in an outside system, and nothing is left over
 * (docs/recovery.md rows 5-16, 32). LEAT_TEST_SEEDS=n has n images a cut. */
#include "fact.h"
#include "fact_total.h"
#include "runtime/job_private.h"
#include "tests/support/connector_harness.h"
#include "tests/support/ledger_sink.h"
#include "tests/support/powercut.h"
#include "tests/support/unit.h"
#include <leat/aggregate.h>
#include <leat/file.h>
#include <leat/filter.h>
#include <leat/generator.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 60u
#define LEDGER "outside/ledger"

enum variant { VARIANT_ROWS, VARIANT_OVERWRITE, VARIANT_WINDOWS, VARIANTS_COUNT };

/* ---- jobs ---- */

static void generate_orders(
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
    generate_orders };

static void generate_facts(
    struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out)
{
    (void)ctx;
    for (uint32_t i = 0; i < out->count; i++) {
        struct fact *fact = leat_batch_at(out, i);
        const uint64_t index = index_first + i * step;
        *fact = (struct fact){ .has_key = true,
            .key = (int64_t)leat_random_below(seed, index, 0, 7),
            .has_value = true,
            .value = (int64_t)index,
            .has_at = true,
            .at = (int64_t)index * 1000 };
    }
}
static struct leat_generator_fn make_fact = { sizeof(struct leat_generator_fn), "make_fact", NULL,
    generate_facts };

/* Rows at 1000 a second, so that checkpoints come in between, to three sinks. */
static void declare_rows(leat_topology *t, bool overwrites)
{
    make_order.out = harness_order_type();
    leat_stream *in = leat_generator_source(t, "in",
        &(struct leat_generator_source_opts){
            .fn = &make_order, .count = ROWS, .rate_per_s = 1000, .splits = 2 });
    leat_file_sink(in, "parts",
        &(struct leat_file_sink_opts){ .path = "out",
            .format = LEAT_FORMAT_JSON,
            .overwrite = overwrites,
            .part_bytes_max = overwrites ? 150 : 0 });
    leat_file_sink(in, "one", &(struct leat_file_sink_opts){ .path = "one.jsonl", .overwrite = overwrites });
    if (!overwrites)
        ledger_sink(in, "ledger", &(struct ledger_sink_opts){ .path = LEDGER });
    else /* epochs without rows: nobody syncs the directory for them by the way */
        leat_file_sink(leat_filter_expr(in, "some", "id < 15"), "few",
            &(struct leat_file_sink_opts){ .path = "few", .format = LEAT_FORMAT_JSON });
}

/* Keyed windows: state that must be gone on with, too. */
static void declare_windows(leat_topology *t)
{
    make_fact.out = &fact_type;
    leat_stream *facts = leat_generator_source(t, "facts",
        &(struct leat_generator_source_opts){
            .fn = &make_fact, .count = ROWS, .rate_per_s = 1000, .splits = 2, .event_time = "at" });
    leat_windowed_stream *windows = leat_window(leat_group_by(facts, "by-key", "key"), "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 8000 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("rows"), LEAT_SUM("value", "sum") }, .out = &fact_total_type });
    leat_file_sink(
        totals, "parts", &(struct leat_file_sink_opts){ .path = "out", .format = LEAT_FORMAT_JSON });
    leat_file_sink(totals, "one", &(struct leat_file_sink_opts){ .path = "one.jsonl" });
    ledger_sink(totals, "ledger", &(struct ledger_sink_opts){ .path = LEDGER });
}

static leat_topology *declare(enum variant variant)
{
    leat_topology *t = leat_topology_new("cut");
    if (variant == VARIANT_WINDOWS)
        declare_windows(t);
    else
        declare_rows(t, variant == VARIANT_OVERWRITE);
    FAIL_UNLESS(leat_topology_errors_count(t) == 0, "%s", leat_topology_error(t, 0)->message);
    return t;
}

/* One process: runs until it has ended or the power is off. */
static int run_with(struct leat_env *disk, enum variant variant, uint64_t seed, uint32_t parallelism,
    const struct leat_restart_opts *restart, struct leat_error *err)
{
    leat_topology *t = declare(variant);
    leat_job *job;
    const struct leat_job_opts opts = {
        .parallelism = parallelism,
        .batch_rows = 4,
        .simulate = true,
        .seed = seed,
        .checkpoint_dir = "checkpoints",
        .checkpoint_interval_us = LEAT_MILLIS(12),
        .restart = *restart,
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

static int run(
    struct leat_env *disk, enum variant variant, uint64_t seed, uint32_t parallelism, struct leat_error *err)
{
    return run_with(disk, variant, seed, parallelism, &(struct leat_restart_opts){ .never = true }, err);
}

/* ---- what comes out ---- */

/* Adds lines with their place before them. */
static void add_lines(struct leat_strbuf *out, const char *place, const char *text, size_t size)
{
    const char *end = text + size;
    for (const char *at = text; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        FAIL_UNLESS(line_end, "%s: a line without an end: %.*s", place, (int)(end - at), at);
        leat__strbuf_printf(out, "%s ", place);
        leat__strbuf_add(out, at, (size_t)(line_end + 1 - at));
        at = line_end + 1;
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *sort_text(struct leat_strbuf *text)
{
    struct leat_strbuf sorted = { 0 };
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++)
        count += text->data[i] == '\n';
    char **lines = calloc(count + 1, sizeof *lines), *rest = text->data;
    for (size_t i = 0; i < count; i++)
        lines[i] = strsep(&rest, "\n");
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        leat__strbuf_str(&sorted, lines[i]);
        leat__strbuf_char(&sorted, '\n');
    }
    free(lines);
    leat__strbuf_release(text);
    char *copy = strdup(sorted.data ? sorted.data : "");
    leat__strbuf_release(&sorted);
    return copy;
}

/* Scratch of the job's own, which the next job removes: there only if a call failed that should have done so. */
static bool is_scratch(const char *path)
{
    return strstr(path, "/spool/") || strstr(path, ".tmp");
}

/* All that is visible, as sorted lines; fails when something is left over. The caller frees. */
static char *collect(struct leat_env *disk, const char *what, bool allows_scratch)
{
    struct leat_strbuf out = { 0 };
    struct ledger_view view;
    struct leat_error err = { 0 };
    char *list = powercut_list(disk), *rest = list;
    for (char *path = strsep(&rest, "\n"); path && *path; path = strsep(&rest, "\n")) {
        size_t size;
        const char *text = powercut_get(disk, path, &size);
        FAIL_UNLESS(!strstr(path, ".inprogress") && (allows_scratch || !is_scratch(path)),
            "%s: %s is left over", what, path);
        if (strncmp(path, "out/", 4) == 0)
            add_lines(&out, "out", text, size);
        if (strncmp(path, "few/", 4) == 0)
            add_lines(&out, "few", text, size);
        if (strcmp(path, "one.jsonl") == 0)
            add_lines(&out, "one", text, size);
    }
    free(list);
    FAIL_UNLESS(ledger_read(disk, LEDGER, &view, &err) == 0, "%s", err.message);
    assert_int_equal(view.order_breaks, 0);
    add_lines(&out, "ledger", view.values.data, view.values.len);
    ledger_view_release(&view);
    return sort_text(&out);
}

/* A disk with what an earlier job has left. */
static struct leat_env *new_disk(enum variant variant)
{
    static const char *const old[] = { "out/part-0-0.jsonl", "out/part-1-9.jsonl", "out/part-7-0.csv",
        "one.jsonl" };
    struct leat_env *disk = powercut_new(1);
    struct leat_error err = { 0 };
    leat_fd fd;
    assert_int_equal(disk->fs_mkdir(disk, "outside", &err), 0);
    assert_int_equal(disk->fs_mkdir(disk, "out", &err), 0);
    for (size_t i = 0; variant == VARIANT_OVERWRITE && i < COUNT_OF(old); i++) {
        assert_int_equal(disk->fs_open(disk, old[i], LEAT_OPEN_CREATE, &fd, &err), 0);
        assert_int_equal(disk->fs_write(disk, fd, "old\n", 4, &err), 0);
        assert_int_equal(disk->fs_sync(disk, fd, &err), 0);
        disk->fs_close(disk, fd);
    }
    assert_int_equal(disk->fs_sync_dir(disk, "out", &err), 0);
    assert_int_equal(disk->fs_sync_dir(disk, ".", &err), 0);
    return disk;
}

/* What an undisturbed run gives; made once. */
static const char *expected(enum variant variant)
{
    static char *texts[VARIANTS_COUNT];
    struct leat_error err = { 0 };
    if (texts[variant])
        return texts[variant];
    struct leat_env *disk = new_disk(variant);
    FAIL_UNLESS(run(disk, variant, 1, 2, &err) == 0, "%s", err.message);
    texts[variant] = collect(disk, "undisturbed", false);
    FAIL_UNLESS(
        run(disk, variant, 1, 2, &err) == 0, "%s", err.message); /* it has finished: nothing happens */
    char *again = collect(disk, "once more", false);
    assert_string_equal(texts[variant], again);
    free(again);
    assert_int_equal(powercut_open_count(disk), 0);
    powercut_free(disk);
    return texts[variant];
}

static void expect_all(struct leat_env *disk, enum variant variant, const char *what, bool allows_scratch)
{
    char *got = collect(disk, what, allows_scratch);
    FAIL_UNLESS(strcmp(got, expected(variant)) == 0, "%s: got\n%swant\n%s", what, got, expected(variant));
    free(got);
}

static uint64_t seeds_count(void)
{
    const char *text = getenv("LEAT_TEST_SEEDS");
    return text ? strtoull(text, NULL, 10) : 3;
}

/* ---- the disk itself ---- */

static void write_file(struct leat_env *disk, const char *path, const char *text, bool syncs)
{
    struct leat_error err = { 0 };
    leat_fd fd;
    assert_int_equal(disk->fs_open(disk, path, LEAT_OPEN_CREATE, &fd, &err), 0);
    assert_int_equal(disk->fs_write(disk, fd, text, strlen(text), &err), 0);
    if (syncs)
        assert_int_equal(disk->fs_sync(disk, fd, &err), 0);
    disk->fs_close(disk, fd);
}

/* In how many of 64 images the file has all its bytes; *names: in how many it is there at all. */
static unsigned count_images(struct leat_env *disk, const char *path, size_t want, unsigned *names)
{
    unsigned whole = 0;
    *names = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        size_t size;
        struct leat_env *image = powercut_crash(disk, seed);
        *names += powercut_get(image, path, &size) != NULL;
        whole += size == want;
        powercut_free(image);
    }
    return whole;
}

static void test_powercut__given_changes_without_a_sync__when_cut__then_each_may_be_gone_and_no_other(
    void **state)
{
    (void)state;
    struct leat_env *disk = powercut_new(1);
    struct leat_error err = { 0 };
    unsigned names;
    assert_int_equal(disk->fs_mkdir(disk, "d", &err), 0);
    assert_int_equal(disk->fs_sync_dir(disk, ".", &err), 0);
    write_file(disk, "d/a", "0123456789", true); /* its bytes, not its name */
    assert_in_range(count_images(disk, "d/a", 10, &names), 16, 56);
    assert_in_range(names, 16, 56);
    assert_int_equal(disk->fs_sync_dir(disk, "d", &err), 0);
    assert_int_equal(count_images(disk, "d/a", 10, &names), 64);
    write_file(disk, "d/b", "0123456789", false); /* its name, not its bytes */
    assert_int_equal(disk->fs_sync_dir(disk, "d", &err), 0);
    assert_in_range(count_images(disk, "d/b", 10, &names), 16, 56);
    assert_int_equal(names, 64);
    assert_int_equal(disk->fs_rename(disk, "d/a", "d/c", &err), 0);
    assert_in_range(count_images(disk, "d/c", 10, &names), 16, 56);
    const unsigned renamed = names;
    assert_int_equal(count_images(disk, "d/a", 10, &names), 64 - renamed); /* one of the two, always */
    assert_int_equal(disk->fs_unlink(disk, "d/c", &err), 0);
    (void)count_images(disk, "d/c", 10, &names);
    assert_in_range(names, 1, 40);
    powercut_off(disk);
    assert_int_equal(disk->fs_unlink(disk, "d/b", &err), LEAT_EIO);
    powercut_free(disk);
}

/* ---- the loops ---- */

/* Keys in windows that have any row. */
static size_t panes_count(void)
{
    bool has_rows[ROWS][7] = { 0 };
    size_t count = 0;
    for (uint64_t i = 0; i < ROWS; i++) {
        bool *has = &has_rows[i * 1000 / 8000][leat_random_below(0, i, 0, 7)];
        count += !*has;
        *has = true;
    }
    return count;
}

static void test_powercut__given_no_cut__when_run__then_every_row_is_everywhere_once(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS_COUNT; variant++) {
        const char *text = expected((enum variant)variant);
        size_t lines = 0;
        for (const char *c = text; *c; c++)
            lines += *c == '\n';
        if (variant == VARIANT_WINDOWS)
            assert_int_equal(lines, 3 * panes_count());
        else
            assert_int_equal(lines, variant == VARIANT_OVERWRITE ? 2 * ROWS + 15 : 3 * ROWS);
        assert_null(strstr(text, "old"));
    }
}

/* Cuts at change `n`, then starts on image `seed` with as many workers; false when the job ends before. */
static bool cut_and_go_on(enum variant variant, uint64_t n, uint64_t seed, uint32_t before, uint32_t after)
{
    char what[96];
    struct leat_env *disk = new_disk(variant);
    struct leat_error err = { 0 };
    (void)snprintf(what, sizeof what, "variant %d, cut %llu, seed %llu, %u to %u workers", (int)variant,
        (unsigned long long)n, (unsigned long long)seed, before, after);
    powercut_off_at(disk, powercut_changes_count(disk) + n);
    const int code = run(disk, variant, 1 + seed % 3, before, &err);
    const bool was_cut = powercut_is_off(disk);
    FAIL_UNLESS(was_cut || code == 0, "%s: %s", what, err.message);
    assert_int_equal(powercut_open_count(disk), 0);
    struct leat_env *image = powercut_crash(disk, seed);
    powercut_free(disk);
    FAIL_UNLESS(run(image, variant, 2 + seed % 3, after, &err) == 0, "%s: %s", what, err.message);
    expect_all(image, variant, what, false);
    powercut_free(image);
    return was_cut;
}

/* The simulation has one thread: the thread sanitizer has nothing to see here, and makes it slow. */
#ifdef __SANITIZE_THREAD__
#define CUT_EVERY 7
#else
#define CUT_EVERY 1
#endif

static void cut_everywhere(enum variant variant)
{
    uint64_t n = 1;
    bool was_cut = true;
    for (; was_cut; n += CUT_EVERY)
        for (uint64_t seed = 0; seed < seeds_count(); seed++)
            was_cut = cut_and_go_on(variant, n, seed + (seed > 1 ? seeds_count() * n : 0), 2, 2);
    print_message("%llu changes\n", (unsigned long long)n - CUT_EVERY);
    assert_in_range(n, 100, 5000);
}

static void test_powercut__given_a_cut_before_each_change__when_gone_on__then_every_row_once(void **state)
{
    (void)state;
    cut_everywhere(VARIANT_ROWS);
}

static void test_powercut__given_old_files_to_replace__when_cut_and_gone_on__then_only_new_rows_once(
    void **state)
{
    (void)state;
    cut_everywhere(VARIANT_OVERWRITE);
}

static void test_powercut__given_keyed_windows__when_cut_and_gone_on__then_the_same_totals_once(void **state)
{
    (void)state;
    cut_everywhere(VARIANT_WINDOWS);
}

static void test_powercut__given_a_cut__when_gone_on_with_other_workers__then_the_same_once(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS_COUNT; variant++) {
        bool was_cut = true;
        for (uint64_t n = 5; was_cut; n += 11)
            was_cut = cut_and_go_on(
                (enum variant)variant, n, 7 * n, (uint32_t)(1 + n % 3), (uint32_t)(1 + n / 3 % 3));
    }
}

/* The power goes again while the job recovers. */
static void cut_twice(enum variant variant, uint64_t n, uint64_t k)
{
    char what[96];
    struct leat_env *disk = new_disk(variant);
    struct leat_error err = { 0 };
    (void)snprintf(what, sizeof what, "variant %d, cuts %llu and %llu", (int)variant, (unsigned long long)n,
        (unsigned long long)k);
    powercut_off_at(disk, n);
    (void)run(disk, variant, 1, 2, &err);
    struct leat_env *second = powercut_crash(disk, n + k);
    powercut_off_at(second, k);
    (void)run(second, variant, 2, 2, &err);
    struct leat_env *third = powercut_crash(second, n * k);
    FAIL_UNLESS(run(third, variant, 3, 2, &err) == 0, "%s: %s", what, err.message);
    expect_all(third, variant, what, false);
    powercut_free(disk);
    powercut_free(second);
    powercut_free(third);
}

static void test_powercut__given_cuts_during_recovery__when_gone_on__then_the_same_once(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS_COUNT; variant++)
        for (uint64_t n = 60; n < 400; n += 148 / seeds_count())
            for (uint64_t k = 1; k < 80; k += 12 / (seeds_count() < 12 ? seeds_count() : 12))
                cut_twice((enum variant)variant, n, k);
}

/* No cut, but a call that fails once: the job goes on by itself, or ends with an error and a new one goes on. */
static bool fail_and_go_on(enum variant variant, uint64_t n, int code)
{
    char what[96];
    struct leat_env *disk = new_disk(variant);
    struct leat_error err = { 0 };
    const struct leat_restart_opts restart = { .attempts_max = 3, .backoff_us = 1000 };
    const uint64_t before = powercut_changes_count(disk);
    (void)snprintf(what, sizeof what, "variant %d, failing %llu", (int)variant, (unsigned long long)n);
    powercut_fail_at(disk, before + n, code);
    const int result = run_with(disk, variant, 1, 2, &restart, &err);
    const bool was_reached = powercut_changes_count(disk) >= before + n;
    FAIL_UNLESS(was_reached || result == 0, "%s: %s", what, err.message);
    assert_int_equal(powercut_open_count(disk), 0);
    powercut_fail_at(disk, 0, 0);
    if (result < 0)
        FAIL_UNLESS(run(disk, variant, 2, 2, &err) == 0, "%s: %s", what, err.message);
    expect_all(disk, variant, what, true);
    powercut_free(disk);
    return was_reached;
}

static void test_powercut__given_each_change_failing_once__when_gone_on__then_the_same_once(void **state)
{
    (void)state;
    for (int variant = 0; variant < VARIANTS_COUNT; variant++) {
        bool was_reached = true;
        for (uint64_t n = 1; was_reached; n++)
            was_reached = fail_and_go_on((enum variant)variant, n, n % 2 ? LEAT_EIO : LEAT_ENOSPC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_powercut__given_changes_without_a_sync__when_cut__then_each_may_be_gone_and_no_other),
        cmocka_unit_test(test_powercut__given_no_cut__when_run__then_every_row_is_everywhere_once),
        cmocka_unit_test(test_powercut__given_a_cut_before_each_change__when_gone_on__then_every_row_once),
        cmocka_unit_test(
            test_powercut__given_old_files_to_replace__when_cut_and_gone_on__then_only_new_rows_once),
        cmocka_unit_test(test_powercut__given_keyed_windows__when_cut_and_gone_on__then_the_same_totals_once),
        cmocka_unit_test(test_powercut__given_a_cut__when_gone_on_with_other_workers__then_the_same_once),
        cmocka_unit_test(test_powercut__given_cuts_during_recovery__when_gone_on__then_the_same_once),
        cmocka_unit_test(test_powercut__given_each_change_failing_once__when_gone_on__then_the_same_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
