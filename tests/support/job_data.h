/* tests/support/job_data.h -- data and naive answers for tests of whole jobs. */
#ifndef LEAT_TESTS_JOB_DATA_H
#define LEAT_TESTS_JOB_DATA_H
#include "event.h"
#include "event_pair.h"
#include "event_total.h"
#include <leat/leat.h>

/* What runs a job: threads or the simulation, with how many workers, rows a batch and batches a channel. */
struct job_shape {
    const char *name;
    struct leat_job_opts opts;
};
extern const struct job_shape job_shapes[];
extern const size_t job_shapes_count;

struct job_data_opts {
    uint32_t count;
    uint32_t keys;
    uint64_t seed;
    int64_t step_us; /* between neighbours in event time */
    int64_t disorder_us; /* a row is up to this much older than its place */
    uint32_t late_one_in; /* one in this many is older by up to late_us more; 0: none */
    int64_t late_us;
};
/* `count` events whose names are static text. Freed with free. */
struct event *job_data_events(const struct job_data_opts *opts);

/* The rows of a collector as text lines, sorted: what tests compare. Freed with job_data_free. */
char **job_data_lines(const leat_collector *collector, const struct leat_type *type, size_t *count);
/* The same in the order in which they arrived. */
char **job_data_unsorted_lines(const leat_collector *collector, const struct leat_type *type, size_t *count);
void job_data_free(char **lines, size_t count);
/* Fails the test at the first line that differs. `what` names the case. */
void job_data_compare(const char *what, char **expected, size_t expected_count, char **got, size_t got_count);
/* Runs the topology in the shape; fails the test unless the job finishes. Frees the topology. */
void job_data_run(const struct job_shape *shape, leat_topology *t);

/* Tumbling counts and sums by definition, for one split read in order, allowed lateness 0: sorted lines. */
char **job_data_totals(const struct event *events, uint32_t count, int64_t out_of_orderness_us,
    int64_t size_us, size_t *lines_count);
/* Interval join by definition (lateness as above, each side by its own watermark): sorted lines. */
char **job_data_pairs(const struct event *left, uint32_t left_count, const struct event *right,
    uint32_t right_count, int64_t out_of_orderness_us, int64_t within_us, size_t *lines_count);
#endif
