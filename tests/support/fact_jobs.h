/* tests/support/fact_jobs.h -- the topologies over facts that scenarios and random tests run. */
#ifndef LEAT_TESTS_SUPPORT_FACT_JOBS_H
#define LEAT_TESTS_SUPPORT_FACT_JOBS_H
#include "tests/support/scenario.h"

/* facts -> (filter) -> by key -> windows -> totals -> out; what is late -> late. */
struct fact_window_opts {
    int64_t out_of_orderness_us, idle_timeout_us, max_ahead_us;
    enum leat_policy on_error;
    const char *where; /* NULL: no filter */
    bool late_not_taken; /* nobody consumes the late records */
    struct leat_window_opts window; /* kind 0: tumbling */
};
leat_topology *fact_window_job(const void *fact_window_opts, const struct scenario_io *io);
extern const struct scenario_rig fact_window_rig, fact_session_rig; /* the second for sessions */

/* left, right -> pairs -> out; what is late -> late-left and late-right. Pairs have equal keys. */
struct fact_join_opts {
    int64_t out_of_orderness_us, idle_timeout_us;
    enum leat_policy on_error;
    int64_t within_us, before_us, after_us, allowed_lateness_us;
    const char *where;
};
leat_topology *fact_join_job(const void *fact_join_opts, const struct scenario_io *io);
extern const struct scenario_rig fact_join_rig;

/* The parts, for other topologies: a source of facts, and totals over windows of a stream with key and value.
 */
leat_stream *fact_source(leat_topology *t, const char *name, const struct fact_window_opts *opts,
    const struct scenario_io *io, int source);
leat_stream *fact_totals(
    leat_windowed_stream *windows, const char *name, const char *rows_of, const char *sum_of);
#endif
