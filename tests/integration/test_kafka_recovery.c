/* tests/integration/test_kafka_recovery.c -- jobs that read Kafka and are interrupted: nothing is lost, nothing comes twice, also when
 * partitions come meanwhile; what can not be gone on from is an error that says why. */
#include "base/env.h"
#include "runtime/tree.h"
#include "tests/support/kafka_rows.h"
#include "tests/support/unit.h"
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct leat_kafka_source_opts endless(struct kafka *k, const char *topics)
{
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topics);
    opts.bounded = false;
    opts.discover_us = LEAT_MILLIS(30);
    return opts;
}

static void run(
    struct kafka_rows_job *job, const struct leat_kafka_source_opts *opts, uint32_t parallelism, int wanted)
{
    struct leat_error err = { 0 };
    const int result = kafka_rows_job_run(job, opts, parallelism, &err);
    FAIL_UNLESS(result == wanted, "%d, not %d: %s", result, wanted, err.message);
}

static void run_to_error(
    struct kafka_rows_job *job, const struct leat_kafka_source_opts *opts, const char *text)
{
    struct leat_error err = { 0 };
    const int result = kafka_rows_job_run(job, opts, 1, &err);
    FAIL_UNLESS(result == LEAT_EDATA && strstr(err.message, text), "%d: %s", result, err.message);
}

/* ---- going on ---- */

struct world {
    struct kafka *k;
    const char *topic;
    struct lines wanted;
};

/* Partitions come while the job runs, with rows that were there before it knows of them. */
static void grow_at_50(void *arg, uint64_t n)
{
    struct world *w = arg;
    if (n != 50)
        return;
    kafka_topic_grow(w->k, w->topic, 5);
    kafka_rows_put(w->k, w->topic, 3, 3000, 3030);
    kafka_rows_put(w->k, w->topic, 4, 4000, 4030);
    kafka_rows_want(&w->wanted, w->topic, 3, 0, 3000, 3030);
    kafka_rows_want(&w->wanted, w->topic, 4, 0, 4000, 4030);
}

/* A hundred more rows in each of the first three partitions. */
static void more(struct world *w, int64_t offset)
{
    for (int32_t p = 0; p < 3; p++) {
        const int64_t from = p * 10000 + offset;
        kafka_rows_put(w->k, w->topic, p, from, from + 100);
        kafka_rows_want(&w->wanted, w->topic, p, offset, from, from + 100);
    }
}

static void test_recovery__given_stops_cancels_and_new_partitions__then_each_message_comes_once(void **state)
{
    struct world w = { *state, kafka_name(*state, "goes-on"), { 0 } };
    struct kafka_rows_job job;
    kafka_rows_job_new(&job);
    kafka_topic_create(w.k, w.topic, 3, NULL);
    const struct leat_kafka_source_opts opts = endless(w.k, w.topic);
    more(&w, 0);
    job.stop_after = 40;
    run(&job, &opts, 1, 0);
    more(&w, 100);
    job.on_row = grow_at_50;
    job.arg = &w;
    job.stop_after = 200; /* so that some are of the new partitions */
    run(&job, &opts, 3, 0);
    assert_int_equal(w.wanted.count, 660);
    more(&w, 200);
    job.on_row = NULL;
    job.cancels = true;
    job.stop_after = 30;
    run(&job, &opts, 2, LEAT_ECANCELLED);
    kafka_topic_grow(w.k, w.topic, 6); /* while it is down */
    kafka_rows_put(w.k, w.topic, 5, 5000, 5050);
    kafka_rows_want(&w.wanted, w.topic, 5, 0, 5000, 5050);
    job.cancels = false;
    job.stop_after = w.wanted.count - job.out.committed.count;
    run(&job, &opts, 4, 0);
    kafka_rows_expect("goes on", &w.wanted, &job.out.committed);
    kafka_rows_job_free(&job);
}

/* "Latest" is the moment when the job began, and no later one. */
static void test_recovery__given_latest__then_what_comes_while_the_job_is_down_is_read(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "latest");
    struct kafka_rows_job job;
    struct lines wanted = { 0 };
    kafka_rows_job_new(&job);
    kafka_topic_create(k, topic, 2, NULL);
    kafka_rows_put(k, topic, 0, 0, 10);
    struct leat_kafka_source_opts opts = endless(k, topic);
    opts.start = LEAT_KAFKA_LATEST;
    opts.bounded = true; /* ends at once: as many checkpoints as one */
    run(&job, &opts, 1, 0);
    assert_int_equal(job.out.committed.count, 0);
    kafka_rows_job_free(&job);

    kafka_rows_job_new(&job);
    opts.bounded = false;
    job.out.commits = 0;
    opts.start = LEAT_KAFKA_OFFSETS;
    char offsets[128];
    (void)snprintf(offsets, sizeof offsets, "%s/0:9 %s/1:end", topic, topic);
    opts.start_offsets = offsets;
    job.stop_after = 1;
    run(&job, &opts, 1, 0);
    kafka_rows_put(k, topic, 0, 10, 15);
    kafka_rows_put(k, topic, 1, 20, 25);
    job.stop_after = 10;
    run(&job, &opts, 2, 0);
    kafka_rows_want(&wanted, topic, 0, 9, 9, 15);
    kafka_rows_want(&wanted, topic, 1, 0, 20, 25);
    kafka_rows_expect("latest", &wanted, &job.out.committed);
    kafka_rows_job_free(&job);
}

static void test_recovery__given_a_bounded_job_that_was_stopped__then_it_ends_where_it_was_to_end(
    void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "bounded");
    struct kafka_rows_job job;
    struct lines wanted = { 0 };
    kafka_rows_job_new(&job);
    kafka_topic_create(k, topic, 1, NULL);
    kafka_rows_put(k, topic, 0, 0, 200);
    const struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);
    job.stop_after = 50;
    run(&job, &opts, 1, 0);
    kafka_rows_put(k, topic, 0, 200, 210);
    kafka_topic_grow(k, topic, 2);
    kafka_rows_put(k, topic, 1, 300, 310);
    job.stop_after = 0;
    run(&job, &opts, 2, 0);
    kafka_rows_want(&wanted, topic, 0, 0, 0, 200);
    kafka_rows_expect("bounded", &wanted, &job.out.committed);
    kafka_rows_job_free(&job);
}

/* ---- publishing ---- */

static void test_recovery__given_a_group__then_it_has_the_offsets_behind_checkpoints(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "published"), *group = kafka_name(k, "watchers");
    struct kafka_rows_job job;
    char metadata[64];
    kafka_rows_job_new(&job);
    kafka_topic_create(k, topic, 2, NULL);
    kafka_rows_put(k, topic, 0, 0, 40);
    kafka_rows_put(k, topic, 1, 100, 103);
    struct leat_kafka_source_opts opts = kafka_rows_opts(k, topic);
    opts.group = group;
    run(&job, &opts, 2, 0);
    assert_int_equal(job.out.committed.count, 43);
    assert_int_equal(kafka_committed(k, group, topic, 0, metadata, sizeof metadata), 40);
    FAIL_UNLESS(strncmp(metadata, "leat checkpoint ", 16) == 0, "%s", metadata);
    assert_int_equal(kafka_committed(k, group, topic, 1, NULL, 0), 3);
    kafka_rows_job_free(&job);

    struct lines wanted = { 0 }, got = { 0 };
    kafka_rows_put(k, topic, 1, 103, 106);
    opts.start = LEAT_KAFKA_GROUP;
    kafka_rows_read(&opts, 1, &got);
    kafka_rows_want(&wanted, topic, 1, 3, 103, 106);
    kafka_rows_expect("from the group", &wanted, &got);
}

/* ---- what is gone ---- */

/* A job that has read the first 40 rows, and would read on. */
static struct leat_kafka_source_opts stopped_at_40(
    struct kafka *k, const char *topic, struct kafka_rows_job *job)
{
    kafka_rows_job_new(job);
    kafka_topic_create(k, topic, 1, NULL);
    kafka_rows_put(k, topic, 0, 0, 40);
    const struct leat_kafka_source_opts opts = endless(k, topic);
    job->stop_after = 40;
    run(job, &opts, 1, 0);
    assert_int_equal(job->out.committed.count, 40);
    return opts;
}

static void test_recovery__given_retention_behind_the_position__then_it_is_an_error(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "expired");
    struct kafka_rows_job job;
    struct lines wanted = { 0 };
    const struct leat_kafka_source_opts opts = stopped_at_40(k, topic, &job);
    kafka_rows_put(k, topic, 0, 40, 100);
    kafka_truncate(k, topic, 0, 40); /* just what was read: nothing is missed */
    job.stop_after = 10;
    run(&job, &opts, 1, 0);
    const size_t read = job.out.committed.count;
    kafka_rows_want(&wanted, topic, 0, 0, 0, (int64_t)read);
    lines_expect("nothing missed", &wanted, &job.out.committed);
    kafka_rows_put(k, topic, 0, 100, 120);
    kafka_truncate(k, topic, 0, (int64_t)read + 5);
    char text[128];
    (void)snprintf(text, sizeof text, "partition 0: offsets %zu to %zu were deleted before they were read",
        read, read + 4);
    run_to_error(&job, &opts, text);
    assert_int_equal(job.out.committed.count, read);
    lines_clear(&wanted);
    kafka_rows_job_free(&job);
}

static void test_recovery__given_a_topic_that_was_made_anew__then_it_is_an_error(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "anew");
    struct kafka_rows_job job;
    const struct leat_kafka_source_opts opts = stopped_at_40(k, topic, &job);
    kafka_topic_delete(k, topic);
    kafka_topic_create(k, topic, 1, NULL);
    kafka_rows_put(k, topic, 0, 1000, 1010);
    run_to_error(&job, &opts, "ends at offset 10, and was read to 40 before");
    kafka_rows_put(k, topic, 0, 1010, 1100);
    run_to_error(&job, &opts, "the message at offset 39 is another one than was read there");
    assert_int_equal(job.out.committed.count, 40);
    kafka_rows_job_free(&job);
}

static void test_recovery__given_a_topic_that_is_gone__then_it_is_an_error(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "gone");
    struct kafka_rows_job job;
    struct leat_error err = { 0 };
    const struct leat_kafka_source_opts opts = stopped_at_40(k, topic, &job);
    kafka_topic_delete(k, topic);
    assert_int_equal(kafka_rows_job_run(&job, &opts, 1, &err), LEAT_ENOTFOUND);
    FAIL_UNLESS(strstr(err.message, topic) && strstr(err.message, "create the topic"), "%s", err.message);
    kafka_rows_job_free(&job);
}

/* ---- kills ---- */

/* A child of fork that starts threads is beyond the thread sanitizer's guarantees. */
#ifdef __SANITIZE_THREAD__
#define NEEDS_FORK SKIP_BECAUSE("the thread sanitizer does not follow a child of fork that starts threads")
#else
#define NEEDS_FORK (void)0
#endif

static void crawl(struct leat_ctx *ctx, const struct leat_batch *batch)
{
    (void)ctx;
    (void)usleep(batch->count * 300);
}

static const struct leat_peek_fn crawl_peek = { sizeof crawl_peek, "crawl", &kafka_row_type, crawl };

static int run_to_files(struct kafka *k, const char *topic, const char *root, uint32_t parallelism)
{
    char out[128], checkpoints[128];
    struct leat_error err = { 0 };
    const struct leat_kafka_source_opts source = kafka_rows_opts(k, topic);
    (void)snprintf(out, sizeof out, "%s/out", root);
    (void)snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", root);
    leat_topology *t = leat_topology_new("killed");
    leat_file_sink(leat_peek(leat_kafka_source(t, "in", &source), "crawls", &crawl_peek), "out",
        &(struct leat_file_sink_opts){ .path = out, .format = LEAT_FORMAT_JSON });
    const int result = leat_run(t,
        &(struct leat_job_opts){ .parallelism = parallelism,
            .batch_rows = 8,
            .checkpoint_dir = checkpoints,
            .checkpoint_interval_us = 5000,
            .checkpoint_min_pause_us = 1 },
        &err);
    if (result < 0)
        (void)fprintf(stderr, "child: %s\n", err.message);
    leat_topology_free(t);
    return result;
}

/* Whether it came to its end before. */
static bool run_and_kill(
    struct kafka *k, const char *topic, const char *root, uint32_t parallelism, uint32_t us)
{
    int status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run_to_files(k, topic, root, parallelism) == 0 ? 0 : 1);
    (void)usleep(us);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static int64_t member(const char *line, const char *name)
{
    const char *at = strstr(line, name);
    FAIL_UNLESS(at, "no %s in %s", name, line);
    return strtoll(at + strlen(name), NULL, 10);
}

static int add_file(void *arg, const char *path, bool is_dir)
{
    char line[1024];
    FILE *file = is_dir ? NULL : fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        lines_add(arg, "%lld@%lld %lld", (long long)member(line, "\"part\":"),
            (long long)member(line, "\"off\":"), (long long)member(line, "\"id\":"));
    if (file)
        (void)fclose(file);
    return 0;
}

static void test_recovery__given_kills_at_any_moment__then_files_have_each_message_once(void **state)
{
    struct kafka *k = *state;
    const char *topic = kafka_name(k, "killed");
    struct lines wanted = { 0 }, got = { 0 };
    struct leat_error err = { 0 };
    char root[] = "/tmp/leat-kafka-killed-XXXXXX", pattern[128];
    uint32_t kills = 0;
    NEEDS_FORK;
    assert_non_null(mkdtemp(root));
    kafka_topic_create(k, topic, 4, NULL);
    for (int32_t p = 0; p < 4; p++) {
        kafka_rows_put(k, topic, p, p * 1000, p * 1000 + 400);
        for (int i = 0; i < 400; i++)
            lines_add(&wanted, "%d@%d %d", (int)p, i, (int)p * 1000 + i);
    }
    while (kills < 12 && !run_and_kill(k, topic, root, 1 + kills % 3, 60000 + 37000 * (kills % 5)))
        kills++;
    assert_true(kills > 0);
    assert_int_equal(run_to_files(k, topic, root, 2), 0);
    (void)snprintf(pattern, sizeof pattern, "%s/out/part-*", root);
    assert_int_equal(leat__env_posix()->fs_glob(leat__env_posix(), pattern, add_file, &got, &err), 0);
    kafka_rows_expect("killed", &wanted, &got);
    assert_int_equal(leat__tree_remove(leat__env_posix(), root, NULL, &err), 0);
}

/* ---- brokers that go and come ---- */

static void refuse_at_50(void *arg, uint64_t n)
{
    struct world *w = arg;
    if (n == 50) {
        (void)kafka_command(w->k, "refuse on");
        (void)usleep(200000);
        (void)kafka_command(w->k, "refuse off");
    }
}

static void test_recovery__given_a_broker_that_is_away_for_a_while__then_the_job_reads_on(void **state)
{
    struct world w = { *state, kafka_name(*state, "away"), { 0 } };
    struct kafka_rows_job job;
    if (kafka_kind_wanted() == KAFKA_REAL)
        SKIP_BECAUSE("a real broker goes and comes in tests/kafka/real/run");
    kafka_rows_job_new(&job);
    kafka_topic_create(w.k, w.topic, 2, NULL);
    kafka_rows_put(w.k, w.topic, 0, 0, 500);
    kafka_rows_put(w.k, w.topic, 1, 1000, 1500);
    kafka_rows_want(&w.wanted, w.topic, 0, 0, 0, 500);
    kafka_rows_want(&w.wanted, w.topic, 1, 0, 1000, 1500);
    struct leat_kafka_source_opts opts = kafka_rows_opts(w.k, w.topic);
    opts.cluster.properties =
        "fetch.wait.max.ms=20\nfetch.message.max.bytes=1000\nqueued.max.messages.kbytes=1\n"
        "reconnect.backoff.ms=10\nreconnect.backoff.max.ms=50\nfetch.error.backoff.ms=10";
    job.on_row = refuse_at_50;
    job.arg = &w;
    run(&job, &opts, 1, 0);
    kafka_rows_expect("away", &w.wanted, &job.out.committed);
    assert_int_equal(job.restarts, 0);
    kafka_rows_job_free(&job);
}

/* ---- main ---- */

static int start_broker(void **state)
{
    *state = kafka_start(kafka_kind_wanted());
    return 0;
}

static int stop_broker(void **state)
{
    kafka_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovery__given_stops_cancels_and_new_partitions__then_each_message_comes_once),
        cmocka_unit_test(test_recovery__given_latest__then_what_comes_while_the_job_is_down_is_read),
        cmocka_unit_test(
            test_recovery__given_a_bounded_job_that_was_stopped__then_it_ends_where_it_was_to_end),
        cmocka_unit_test(test_recovery__given_a_group__then_it_has_the_offsets_behind_checkpoints),
        cmocka_unit_test(test_recovery__given_retention_behind_the_position__then_it_is_an_error),
        cmocka_unit_test(test_recovery__given_a_topic_that_was_made_anew__then_it_is_an_error),
        cmocka_unit_test(test_recovery__given_a_topic_that_is_gone__then_it_is_an_error),
        cmocka_unit_test(test_recovery__given_kills_at_any_moment__then_files_have_each_message_once),
        cmocka_unit_test(test_recovery__given_a_broker_that_is_away_for_a_while__then_the_job_reads_on),
    };
    return cmocka_run_group_tests(tests, start_broker, stop_broker);
}
