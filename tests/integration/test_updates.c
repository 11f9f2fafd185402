/* tests/integration/test_updates.c -- streams of changes in whole jobs: what they come to is the same on any number
 * of workers, when the job is cancelled and goes on from a checkpoint on another number of them, and when next to
 * nothing fits into memory.
 *
 * Events are counted by key; keys are counted by how many events they have, so that each event moves a key from one
 * count to the next: both halves of an update, to two workers. The changes in the files of both are added up: what
 * is left must be the naive result. */
#include "change_spread.h"
#include "change_total.h"
#include "event.h"
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
#define KEYS 150
#define SEED 11

static struct {
    char root[64], totals[96], spread[96], checkpoints[96];
    uint64_t rate_per_s, mini_batch_rows;
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

static void write_changes(leat_stream *stream, const char *name, const char *path)
{
    leat_file_sink(stream, name,
        &(struct leat_file_sink_opts){ .path = path, .format = LEAT_FORMAT_JSON, .op_field = "op" });
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("updates");
    leat_stream *events = leat_generator_source(t, "events",
        &(struct leat_generator_source_opts){ .fn = &make_event_generator,
            .seed = SEED,
            .count = COUNT,
            .splits = 4,
            .rate_per_s = place.rate_per_s,
            .event_time = "at",
            .max_out_of_orderness_us = 400 });
    leat_stream *totals = leat_group_aggregate(
        leat_group_by(leat_peek(events, "watch", &watch_peek), "by-key", "key"), "count-events",
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") },
            .out = &change_total_type,
            .mini_batch_rows = place.mini_batch_rows });
    write_changes(totals, "totals", place.totals);
    leat_stream *spread = leat_group_aggregate(leat_group_by(totals, "by-events", "events"), "count-keys",
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("keys"), LEAT_SUM("value", "value") },
            .out = &change_spread_type,
            .mini_batch_rows = place.mini_batch_rows });
    write_changes(spread, "spread", place.spread);
    return t;
}

static void begin_place(void)
{
    const char *tmp = getenv("TMPDIR");
    memset(&place, 0, sizeof place);
    (void)snprintf(place.root, sizeof place.root, "%.40s/leat-updates-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(place.root));
    (void)snprintf(place.totals, sizeof place.totals, "%s/totals", place.root);
    (void)snprintf(place.spread, sizeof place.spread, "%s/spread", place.root);
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

/* ---- what the changes come to ---- */

/* Records that were given, and those that were taken back. */
struct changes {
    struct lines given, taken;
};

static void read_file(const char *path, struct changes *changes)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    FAIL_UNLESS(file, "%s can not be read", path);
    while (fgets(line, sizeof line, file)) {
        char *op = strstr(line, ",\"op\":\"");
        FAIL_UNLESS(op != NULL, "no change in %s", line);
        *op = '\0';
        op += strlen(",\"op\":\"");
        const bool back = strncmp(op, "delete", 6) == 0 || strncmp(op, "update_before", 13) == 0;
        FAIL_UNLESS(back || strncmp(op, "insert", 6) == 0 || strncmp(op, "update_after", 12) == 0, "%s", op);
        lines_add(back ? &changes->taken : &changes->given, "%s}", line);
    }
    (void)fclose(file);
}

static void read_output(const char *dir, struct changes *changes)
{
    DIR *handle = opendir(dir);
    struct dirent *entry;
    FAIL_UNLESS(handle != NULL, "%s is not there", dir);
    while ((entry = readdir(handle)) != NULL) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            read_file(path, changes);
    }
    (void)closedir(handle);
}

/* Given and not taken back; each that was taken back was given. */
static void check_final(const char *what, const char *dir, struct lines *want)
{
    struct changes changes = { { 0 }, { 0 } };
    struct lines left = { 0 };
    read_output(dir, &changes);
    lines_sort(&changes.given);
    lines_sort(&changes.taken);
    size_t t = 0;
    for (size_t g = 0; g < changes.given.count; g++) {
        if (t < changes.taken.count && strcmp(changes.given.at[g], changes.taken.at[t]) == 0)
            t++;
        else
            lines_add(&left, "%s", changes.given.at[g]);
    }
    FAIL_UNLESS(t == changes.taken.count, "%s: %s was taken back and not given", what, changes.taken.at[t]);
    lines_expect(what, want, &left);
    lines_clear(&left);
    lines_clear(&changes.given);
    lines_clear(&changes.taken);
}

static void expect_all(const char *what)
{
    static int64_t events[KEYS], values[KEYS], keys_of[COUNT + 1], values_of[COUNT + 1];
    struct lines totals = { 0 }, spread = { 0 };
    memset(events, 0, sizeof events);
    memset(values, 0, sizeof values);
    memset(keys_of, 0, sizeof keys_of);
    memset(values_of, 0, sizeof values_of);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct event e;
        make_event(NULL, SEED, i, &e);
        events[e.key]++;
        values[e.key] += e.value;
    }
    for (int key = 0; key < KEYS; key++) {
        lines_add(&totals, "{\"key\":%d,\"events\":%lld,\"value\":%lld}", key, (long long)events[key],
            (long long)values[key]);
        keys_of[events[key]]++;
        values_of[events[key]] += values[key];
    }
    for (int n = 1; n <= COUNT; n++)
        if (keys_of[n])
            lines_add(&spread, "{\"events\":%d,\"keys\":%lld,\"value\":%lld}", n, (long long)keys_of[n],
                (long long)values_of[n]);
    check_final(what, place.totals, &totals);
    check_final(what, place.spread, &spread);
    lines_clear(&totals);
    lines_clear(&spread);
}

/* ---- tests ---- */

static void test_updates__given_any_number_of_workers_and_size_of_batches__then_they_come_to_the_same(
    void **state)
{
    static const uint32_t shapes[][3] = { { 1, 1024, 0 }, { 1, 1, 0 }, { 2, 7, 0 }, { 3, 1024, 0 },
        { 2, 64, 100 }, { 3, 1024, 5000 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        char what[96];
        begin_place();
        place.mini_batch_rows = shapes[i][2];
        (void)snprintf(what, sizeof what, "%u workers, batches of %u, folded by %u", shapes[i][0],
            shapes[i][1], shapes[i][2]);
        assert_int_equal(
            run(&(struct leat_job_opts){ .parallelism = shapes[i][0], .batch_rows = shapes[i][1] }, 0),
            LEAT_JOB_FINISHED);
        expect_all(what);
        end_place();
    }
}

/* Cancelled twice, on other numbers of workers each time. */
static void interrupt(const uint32_t parallelisms[3], uint64_t budget_bytes, uint64_t mini_batch_rows)
{
    char what[96];
    begin_place();
    place.rate_per_s = 50000;
    place.mini_batch_rows = mini_batch_rows;
    (void)snprintf(what, sizeof what, "%u, %u, %u workers, budget %llu, folded by %llu", parallelisms[0],
        parallelisms[1], parallelisms[2], (unsigned long long)budget_bytes,
        (unsigned long long)mini_batch_rows);
    for (uint32_t i = 0; i < 3; i++) {
        const struct leat_job_opts opts = { .parallelism = parallelisms[i],
            .batch_rows = 64,
            .checkpoint_dir = place.checkpoints,
            .checkpoint_interval_us = 1000,
            .state_budget_bytes = budget_bytes,
            .restart = { .never = true } };
        const enum leat_job_state state = run(&opts, i < 2 ? COUNT / 3 : 0);
        if (i == 0)
            assert_int_equal(state, LEAT_JOB_CANCELLED);
        if (state == LEAT_JOB_FINISHED)
            break;
    }
    expect_all(what);
    end_place();
}

static void test_updates__given_cancels_and_other_numbers_of_workers__then_they_come_to_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 1, 3, 2 }, { 4, 1, 3 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        interrupt(rows[i], 0, 0);
        interrupt(rows[i], 0, 200);
    }
}

static void test_updates__given_next_to_no_memory_and_cancels__then_they_come_to_the_same(void **state)
{
    static const uint32_t rows[][3] = { { 1, 1, 1 }, { 3, 2, 4 } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        interrupt(rows[i], 100000, 0);
        interrupt(rows[i], 100000, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_updates__given_any_number_of_workers_and_size_of_batches__then_they_come_to_the_same),
        cmocka_unit_test(
            test_updates__given_cancels_and_other_numbers_of_workers__then_they_come_to_the_same),
        cmocka_unit_test(test_updates__given_next_to_no_memory_and_cancels__then_they_come_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
