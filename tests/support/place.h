/* tests/support/place.h -- a place on disk for whole jobs over generated events: its directories, the source, runs that
 * are cancelled or killed at some record and go on with another number of workers, and the lines that were written.
 *
 * There is one place at a time, as callbacks have no argument of their own. A job that is interrupted is slow enough
 * to have checkpoints behind it. */
#ifndef LEAT_TESTS_SUPPORT_PLACE_H
#define LEAT_TESTS_SUPPORT_PLACE_H
#include "event.h"
#include "tests/support/lines.h"
#include <leat/leat.h>

struct place {
    char root[64], out[96], checkpoints[96];
    uint64_t rate_per_s; /* of all sources; 0: as fast as possible */
    uint64_t cancel_at, seen; /* atomic: records that have passed place_watch */
    leat_job *running; /* atomic */
};
extern struct place place;

void place_begin(const char *word);
/* Removes everything on disk. */
void place_end(void);
/* ROOT/NAME, good until the fourth call from now. */
const char *place_path(const char *name);

/* ---- events ---- */

struct place_events {
    uint64_t seed, count, keys;
    uint32_t splits;
    int64_t disorder_us; /* less than this behind their place: ten microseconds for each index */
    int64_t out_of_orderness_us;
};
/* Event `index`. */
void place_event(const struct place_events *events, uint64_t index, struct event *e);
/* A source of them, counted by what cancels jobs. At most four in a process, each with its own `events`, which are
 * borrowed. */
leat_stream *place_source(leat_topology *t, const char *name, const struct place_events *events);
/* Into files of lines below `path`; changes with the field "op". */
void place_sink(leat_stream *stream, const char *name, const char *path);

/* ---- runs ---- */

/* Runs the job, with LEAT_JOB_FINISHED or LEAT_JOB_CANCELLED, at the n-th record that passes (0: not). Frees `t`. */
enum leat_job_state place_run(leat_topology *t, const struct leat_job_opts *opts, uint64_t cancel_at);
/* Checkpoints each millisecond, small batches. */
struct leat_job_opts place_durable(uint32_t parallelism, uint64_t budget_bytes);
/* Runs it to its end, cancelled twice on the way, on so many workers each time. */
void place_interrupt(leat_topology *(*declare)(void), const uint32_t parallelisms[3], uint64_t budget_bytes,
    uint64_t cancel_at);
/* Runs it in a process of its own that is killed after `us`; whether it had ended by itself before. */
bool place_kill(leat_topology *(*declare)(void), const struct leat_job_opts *opts, uint32_t us);

/* ---- what came out ---- */

/* Calls `take` with each line, without its end, of the files in a directory that can be seen. */
void place_read(const char *dir, void (*take)(void *arg, const char *line), void *arg);
void place_lines(const char *dir, struct lines *lines);
/* Of changes: what was given and not taken back. Fails the test where something was taken back that was not given. */
void place_net(const char *what, const char *dir, struct lines *lines);
/* Fails the test unless the lines in place.out are those. */
void place_expect(const char *what, struct lines *want);
#endif
