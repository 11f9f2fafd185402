/* tests/support/place.c -- see place.h. */
#include "tests/support/place.h"
#include "runtime/tree.h"
#include "tests/support/unit.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place place;

void place_begin(const char *word)
{
    const char *tmp = getenv("TMPDIR");
    memset(&place, 0, sizeof place);
    (void)snprintf(place.root, sizeof place.root, "%.36s/leat-%.12s-XXXXXX", tmp ? tmp : "/tmp", word);
    assert_non_null(mkdtemp(place.root));
    (void)snprintf(place.out, sizeof place.out, "%s/out", place.root);
    (void)snprintf(place.checkpoints, sizeof place.checkpoints, "%s/checkpoints", place.root);
}

void place_end(void)
{
    struct leat_error err = { 0 };
    FAIL_UNLESS(leat__tree_remove(leat__env_posix(), place.root, NULL, &err) == 0, "%s", err.message);
}

const char *place_path(const char *name)
{
    static char paths[4][128];
    static uint32_t next;
    char *path = paths[next++ % COUNT_OF(paths)];
    (void)snprintf(path, sizeof paths[0], "%s/%s", place.root, name);
    return path;
}

/* ---- events ---- */

void place_event(const struct place_events *events, uint64_t index, struct event *e)
{
    e->key = (int64_t)leat_random_below(events->seed, index, 0, events->keys);
    e->name = LEAT_SV("a name that is longer than a few bytes");
    e->value = (int64_t)leat_random_below(events->seed, index, 1, 1000);
    e->at = (int64_t)index * 10 -
        (int64_t)leat_random_below(events->seed, index, 2, (uint64_t)events->disorder_us);
}

static const struct place_events *known[4];

/* Generators know nothing but their seed: which of the sources it is. */
static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    place_event(known[seed], index, e);
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

leat_stream *place_source(leat_topology *t, const char *name, const struct place_events *events)
{
    uint64_t which = 0;
    char node[64];
    while (which < COUNT_OF(known) && known[which] && known[which] != events)
        which++;
    assert_true(which < COUNT_OF(known));
    known[which] = events;
    (void)snprintf(node, sizeof node, "watch-%s", name);
    return leat_peek(leat_generator_source(t, name,
                         &(struct leat_generator_source_opts){ .fn = &make_event_generator,
                             .seed = which,
                             .count = events->count,
                             .splits = events->splits,
                             .rate_per_s = place.rate_per_s,
                             .event_time = "at",
                             .max_out_of_orderness_us = events->out_of_orderness_us }),
        node, &watch_peek);
}

void place_sink(leat_stream *stream, const char *name, const char *path)
{
    leat_file_sink(stream, name,
        &(struct leat_file_sink_opts){ .path = path,
            .format = LEAT_FORMAT_JSON,
            .op_field = leat_stream_changes(stream) ? "op" : NULL });
}

/* ---- runs ---- */

enum leat_job_state place_run(leat_topology *t, const struct leat_job_opts *opts, uint64_t cancel_at)
{
    struct leat_error err = { 0 };
    leat_job *job = NULL;
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

struct leat_job_opts place_durable(uint32_t parallelism, uint64_t budget_bytes)
{
    return (struct leat_job_opts){ .parallelism = parallelism,
        .batch_rows = 64,
        .checkpoint_dir = place.checkpoints,
        .checkpoint_interval_us = 1000,
        .state_budget_bytes = budget_bytes,
        .pre_aggregate = parallelism % 2 ? LEAT_PRE_AGGREGATE_NEVER : LEAT_PRE_AGGREGATE_ALWAYS,
        .restart = { .never = true } };
}

void place_interrupt(leat_topology *(*declare)(void), const uint32_t parallelisms[3], uint64_t budget_bytes,
    uint64_t cancel_at)
{
    place.rate_per_s = 50000;
    for (uint32_t i = 0; i < 3; i++) {
        const struct leat_job_opts opts = place_durable(parallelisms[i], budget_bytes);
        const enum leat_job_state state = place_run(declare(), &opts, i < 2 ? cancel_at : 0);
        if (i == 0)
            assert_int_equal(state, LEAT_JOB_CANCELLED);
        if (state == LEAT_JOB_FINISHED)
            break;
    }
}

bool place_kill(leat_topology *(*declare)(void), const struct leat_job_opts *opts, uint32_t us)
{
    int status;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct leat_error err = { 0 };
        leat_topology *t = declare();
        const int code = leat_run(t, opts, &err);
        if (code != 0)
            (void)fprintf(stderr, "child: %s\n", err.message);
        _exit(code == 0 ? 0 : 1);
    }
    (void)usleep(us);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

/* ---- what came out ---- */

static void read_file(const char *path, void (*take)(void *arg, const char *line), void *arg)
{
    char line[1024];
    FILE *file = fopen(path, "r");
    FAIL_UNLESS(file, "%s can not be read", path);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        take(arg, line);
    }
    (void)fclose(file);
}

void place_read(const char *dir, void (*take)(void *arg, const char *line), void *arg)
{
    DIR *handle = opendir(dir);
    struct dirent *entry;
    FAIL_UNLESS(handle != NULL, "%s is not there", dir);
    while ((entry = readdir(handle)) != NULL) {
        char path[512];
        (void)snprintf(path, sizeof path, "%.200s/%.256s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            read_file(path, take, arg);
    }
    (void)closedir(handle);
}

static void take_line(void *arg, const char *line)
{
    lines_add(arg, "%s", line);
}

void place_lines(const char *dir, struct lines *lines)
{
    place_read(dir, take_line, lines);
}

/* Records that were given, and those that were taken back. */
struct changes {
    struct lines given, taken;
};

static void take_change(void *arg, const char *line)
{
    static const char word[] = ",\"op\":\"";
    struct changes *changes = arg;
    const char *at = strstr(line, word);
    FAIL_UNLESS(at != NULL, "no change in %s", line);
    const char *op = at + sizeof word - 1;
    const bool back = strncmp(op, "delete", 6) == 0 || strncmp(op, "update_before", 13) == 0;
    FAIL_UNLESS(back || strncmp(op, "insert", 6) == 0 || strncmp(op, "update_after", 12) == 0, "%s", op);
    lines_add(back ? &changes->taken : &changes->given, "%.*s}", (int)(at - line), line);
}

void place_net(const char *what, const char *dir, struct lines *lines)
{
    struct changes changes = { { 0 }, { 0 } };
    place_read(dir, take_change, &changes);
    lines_sort(&changes.given);
    lines_sort(&changes.taken);
    size_t t = 0;
    for (size_t g = 0; g < changes.given.count; g++) {
        if (t < changes.taken.count && strcmp(changes.given.at[g], changes.taken.at[t]) == 0)
            t++;
        else
            lines_add(lines, "%s", changes.given.at[g]);
    }
    FAIL_UNLESS(t == changes.taken.count, "%s: %s was taken back and not given", what, changes.taken.at[t]);
    lines_clear(&changes.given);
    lines_clear(&changes.taken);
}

void place_expect(const char *what, struct lines *want)
{
    struct lines got = { 0 };
    place_lines(place.out, &got);
    lines_expect(what, want, &got);
    lines_clear(&got);
}
