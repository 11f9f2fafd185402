/* tests/support/durable.h -- a place on disk with a job that has checkpoints: for tests of crashes, savepoints,
 * rescaling. The job has windows and a join over generated events, and writes files; what it gives is compared
 * with what a run without checkpoints gives. */
#ifndef LEAT_TESTS_SUPPORT_DURABLE_H
#define LEAT_TESTS_SUPPORT_DURABLE_H
#include "event.h"
#include "event_pair.h"
#include "event_total.h"
#include "tests/support/lines.h"
#include <leat/leat.h>

#define DURABLE_PATH_MAX 256

struct durable {
    char root[DURABLE_PATH_MAX];
    char checkpoints[DURABLE_PATH_MAX]; /* root/checkpoints: checkpoint_dir */
    char job[DURABLE_PATH_MAX]; /* root/checkpoints/durable */
    char totals[DURABLE_PATH_MAX], pairs[DURABLE_PATH_MAX]; /* the output directories */
    uint64_t seed; /* of the data */
    uint64_t count; /* of events on each of two sides */
    uint32_t splits;
    uint64_t rate_per_s; /* 0: as fast as possible */
    /* Called for each record of the left side, from workers' threads; may be NULL. */
    void (*on_record)(void *arg, struct leat_ctx *ctx, uint64_t n); /* n: how many so far, from 1 */
    void *on_record_arg;
    uint64_t cancel_at; /* for on_record functions */
    uint64_t records_seen; /* atomic */
    leat_job *running; /* atomic: while durable_run runs it */
};
void durable_init(struct durable *d, uint64_t seed, uint64_t count);
/* Removes everything on disk. */
void durable_release(struct durable *d);

/* Declares the job. `d` lives as long as the topology. */
leat_topology *durable_topology(struct durable *d);
/* The same for a run of the test's own: its records are counted from 0, and watched. */
leat_topology *durable_watch(struct durable *d);
/* Options for it: threads, checkpoints every millisecond, no restarts. */
struct leat_job_opts durable_opts(const struct durable *d, uint32_t parallelism);
/* Runs it once; the state it ended in. */
enum leat_job_state durable_run(struct durable *d, const struct leat_job_opts *opts, struct leat_error *err,
    struct leat_checkpoint_metrics *metrics);
/* The lines of all files that are visible in the output. */
void durable_lines(const struct durable *d, struct lines *lines);
/* What the job must give: from a run without checkpoints, somewhere else. */
void durable_expected(const struct durable *d, struct lines *lines);
/* Fails the test unless the output is just that. */
void durable_expect(const char *what, const struct durable *d, struct lines *expected);

/* How many complete checkpoints are there, and the id of the newest. */
uint32_t durable_checkpoints(const struct durable *d, uint64_t *newest);
bool durable_exists(const char *format, ...) LEAT_PRINTF(1, 2);
/* Flips a bit in the middle of a file. */
void durable_damage(const char *path);
/* A log that keeps its lines. */
struct durable_log {
    char text[16384];
};
void durable_log(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text);
#endif
