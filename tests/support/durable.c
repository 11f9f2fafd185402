/* tests/support/durable.c -- see the header. */
#include "tests/support/durable.h"
#include "base/alloc.h"
#include "runtime/checkpoint_store.h"
#include "runtime/tree.h"
#include "tests/support/unit.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What generators and callbacks look at: they have no argument of their own. */
static struct durable *watched;

static void make(uint64_t seed, uint64_t index, struct event *e)
{
    const bool is_late = leat_random_below(seed, index, 3, 40) == 0;
    e->key = (int64_t)leat_random_below(seed, index, 0, 50);
    e->name = LEAT_SV("a name that is longer than a few bytes");
    e->value = (int64_t)leat_random_below(seed, index, 1, 1000);
    e->at = (int64_t)index * 10 - (int64_t)leat_random_below(seed, index, 2, is_late ? 5000 : 400);
}

static void make_left(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    make(seed, index, e);
}
LEAT_DEFINE_GENERATOR(make_left, event);

static void make_right(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    make(seed + 1000, index, e);
}
LEAT_DEFINE_GENERATOR(make_right, event);

static void watch(struct leat_ctx *ctx, const struct event *e)
{
    (void)e;
    const uint64_t n = __atomic_add_fetch(&watched->records_seen, 1, __ATOMIC_RELAXED);
    if (watched->on_record)
        watched->on_record(watched->on_record_arg, ctx, n);
}
LEAT_DEFINE_PEEK(watch, event);

static void pair_up(
    struct leat_ctx *ctx, const struct event *left, const struct event *right, struct event_pair *out)
{
    (void)ctx;
    out->key = left->key;
    out->left_value = left->value;
    out->right_value = right->value;
    out->name = right->name;
}
LEAT_DEFINE_JOIN(pair_up, event, event, event_pair);

void durable_init(struct durable *d, uint64_t seed, uint64_t count)
{
    const char *tmp = getenv("TMPDIR");
    *d = (struct durable){ .seed = seed, .count = count, .splits = 4 };
    (void)snprintf(d->root, 200, "%s/leat-durable-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(d->root));
    (void)snprintf(d->checkpoints, sizeof d->checkpoints, "%.200s/checkpoints", d->root);
    (void)snprintf(d->job, sizeof d->job, "%.200s/checkpoints/durable", d->root);
    (void)snprintf(d->totals, sizeof d->totals, "%.200s/totals", d->root);
    (void)snprintf(d->pairs, sizeof d->pairs, "%.200s/pairs", d->root);
}

void durable_release(struct durable *d)
{
    struct leat_error err = { 0 };
    FAIL_UNLESS(leat__tree_remove(leat__env_posix(), d->root, NULL, &err) == 0, "%s", err.message);
}

leat_topology *durable_topology(struct durable *d)
{
    leat_topology *t = leat_topology_new("durable");
    struct leat_generator_source_opts opts = { .fn = &make_left_generator,
        .seed = d->seed,
        .count = d->count,
        .splits = d->splits,
        .rate_per_s = d->rate_per_s,
        .event_time = "at",
        .max_out_of_orderness_us = 500 };
    leat_stream *left = leat_peek(leat_generator_source(t, "left", &opts), "watch", &watch_peek);
    opts.fn = &make_right_generator;
    leat_stream *right = leat_generator_source(t, "right", &opts);
    leat_windowed_stream *windows = leat_window(leat_group_by(left, "by-key", "key"), "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 2000 });
    leat_stream *totals = leat_aggregate(windows, "total",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
    leat_file_sink(
        totals, "totals", &(struct leat_file_sink_opts){ .path = d->totals, .format = LEAT_FORMAT_JSON });
    leat_stream *pairs = leat_join(left, right, "pair",
        &(struct leat_join_opts){ .left_key = "key", .within_us = 300, .merge = &pair_up_join });
    leat_file_sink(
        pairs, "pairs", &(struct leat_file_sink_opts){ .path = d->pairs, .format = LEAT_FORMAT_JSON });
    return t;
}

leat_topology *durable_watch(struct durable *d)
{
    watched = d;
    d->records_seen = 0;
    return durable_topology(d);
}

struct leat_job_opts durable_opts(const struct durable *d, uint32_t parallelism)
{
    return (struct leat_job_opts){ .parallelism = parallelism,
        .batch_rows = 64,
        .checkpoint_dir = d->checkpoints,
        .checkpoint_interval_us = 1000,
        .restart = { .never = true } };
}

enum leat_job_state durable_run(struct durable *d, const struct leat_job_opts *opts, struct leat_error *err,
    struct leat_checkpoint_metrics *metrics)
{
    struct leat_error local = { 0 };
    leat_job *job = NULL;
    enum leat_job_state state = LEAT_JOB_FAILED;
    leat_topology *t = durable_watch(d);
    err = err ? err : &local;
    if (leat_job_new(t, opts, &job, err) == 0) {
        __atomic_store_n(&d->running, job, __ATOMIC_RELEASE);
        assert_true(leat_job_run(job) <= 0);
        state = leat_job_state(job);
        *err = *leat_job_error(job);
        if (metrics)
            *metrics = leat_job_progress(job)->checkpoints;
        __atomic_store_n(&d->running, NULL, __ATOMIC_RELEASE);
        leat_job_free(job);
    }
    leat_topology_free(t);
    return state;
}

/* ---- output ---- */

static void read_lines(const char *path, const char *word, struct lines *lines)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    FAIL_UNLESS(file, "%s can not be read", path);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        lines_add(lines, "%s %s", word, line);
    }
    (void)fclose(file);
}

static void read_dir(const char *dir, const char *word, struct lines *lines)
{
    DIR *handle = opendir(dir);
    struct dirent *entry;
    if (!handle)
        return; /* nothing was written yet */
    while ((entry = readdir(handle)) != NULL) {
        char path[2 * DURABLE_PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        read_lines(path, word, lines);
    }
    (void)closedir(handle);
}

void durable_lines(const struct durable *d, struct lines *lines)
{
    read_dir(d->totals, "total", lines);
    read_dir(d->pairs, "pair", lines);
}

void durable_expected(const struct durable *d, struct lines *lines)
{
    struct durable other;
    struct leat_error err = { 0 };
    durable_init(&other, d->seed, d->count);
    other.splits = d->splits;
    FAIL_UNLESS(
        durable_run(&other, &(struct leat_job_opts){ .parallelism = 1 }, &err, NULL) == LEAT_JOB_FINISHED,
        "%s", err.message);
    durable_lines(&other, lines);
    assert_true(lines->count > 0);
    durable_release(&other);
}

void durable_expect(const char *what, const struct durable *d, struct lines *expected)
{
    struct lines got = { 0 };
    durable_lines(d, &got);
    lines_expect(what, expected, &got);
    lines_clear(&got);
}

/* ---- what is on disk ---- */

uint32_t durable_checkpoints(const struct durable *d, uint64_t *newest)
{
    const struct leat_checkpoint_store_class *local = &leat__checkpoint_store_local;
    struct leat_checkpoint_store *store;
    struct leat_error err = { 0 };
    uint64_t *ids = NULL;
    uint32_t count = 0;
    FAIL_UNLESS(
        local->open(leat__env_posix(), d->checkpoints, "durable", &store, &err) == 0, "%s", err.message);
    FAIL_UNLESS(local->list(store, &ids, &count, &err) == 0, "%s", err.message);
    if (newest)
        *newest = count ? ids[count - 1] : 0;
    leat__free(ids);
    local->close(store);
    return count;
}

bool durable_exists(const char *format, ...)
{
    char path[1024];
    struct stat st;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(path, sizeof path, format, args);
    va_end(args);
    return stat(path, &st) == 0;
}

void durable_damage(const char *path)
{
    struct stat st;
    FILE *file = fopen(path, "r+");
    FAIL_UNLESS(file && fstat(fileno(file), &st) == 0 && st.st_size > 0, "%s can not be damaged", path);
    assert_int_equal(fseek(file, st.st_size / 2, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, st.st_size / 2, SEEK_SET), 0);
    assert_true(fputc(byte ^ 4, file) != EOF);
    assert_int_equal(fclose(file), 0);
}

void durable_log(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text)
{
    struct durable_log *log = arg;
    const size_t used = strlen(log->text);
    (void)level;
    (void)subject;
    (void)node;
    (void)snprintf(log->text + used, sizeof log->text - used, "%s\n", text);
}
