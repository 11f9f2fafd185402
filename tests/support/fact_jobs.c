/* tests/support/fact_jobs.c -- see fact_jobs.h. */
#include "tests/support/fact_jobs.h"

leat_stream *fact_source(leat_topology *t, const char *name, const struct fact_window_opts *opts,
    const struct scenario_io *io, int source)
{
    return leat_memory_source(t, name,
        &(struct leat_memory_source_opts){ .type = &fact_type,
            .rows = io->rows[source],
            .count = io->counts[source],
            .splits = io->splits,
            .event_time = "at",
            .max_out_of_orderness_us = opts->out_of_orderness_us,
            .idle_timeout_us = opts->idle_timeout_us,
            .max_ahead_us = opts->max_ahead_us,
            .on_error = opts->on_error });
}

leat_stream *fact_totals(
    leat_windowed_stream *windows, const char *name, const char *rows_of, const char *sum_of)
{
    struct leat_aggregate_opts opts = {
        .aggs = { LEAT_COUNT("rows"), LEAT_SUM(sum_of, "sum") },
        .out = &fact_total_type,
    };
    if (rows_of)
        opts.aggs[0] = (struct leat_aggregate)LEAT_COUNT_OF(rows_of, "rows");
    return leat_aggregate(windows, name, &opts);
}

leat_topology *fact_window_job(const void *fact_window_opts, const struct scenario_io *io)
{
    const struct fact_window_opts *opts = fact_window_opts;
    leat_topology *t = leat_topology_new("fact-windows");
    leat_stream *facts = fact_source(t, "facts", opts, io, 0);
    if (opts->where)
        facts = leat_filter_expr(facts, "some", opts->where);
    struct leat_window_opts window = opts->window;
    window.kind = window.kind ? window.kind : LEAT_WINDOW_TUMBLING;
    leat_windowed_stream *windows = leat_window(leat_group_by(facts, "by-key", "key"), "windows", &window);
    leat_stream *totals = fact_totals(windows, "totals", NULL, "value");
    leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    if (!opts->late_not_taken)
        leat_memory_sink(
            leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = io->sinks[1] });
    return t;
}

const struct scenario_rig fact_window_rig = {
    .declare = fact_window_job,
    .sources = { "facts" },
    .sinks = { { "out", scenario_print_total, NULL }, { "late", scenario_print_fact, "late " } },
    .watched = "totals",
};

const struct scenario_rig fact_session_rig = {
    .declare = fact_window_job,
    .sources = { "facts" },
    .sinks = { { "out", scenario_print_session, NULL }, { "late", scenario_print_fact, "late " } },
    .watched = "totals",
};

leat_topology *fact_join_job(const void *fact_join_opts, const struct scenario_io *io)
{
    const struct fact_join_opts *opts = fact_join_opts;
    const struct fact_window_opts source = {
        .out_of_orderness_us = opts->out_of_orderness_us,
        .idle_timeout_us = opts->idle_timeout_us,
        .on_error = opts->on_error,
    };
    leat_topology *t = leat_topology_new("fact-join");
    leat_stream *left = fact_source(t, "left", &source, io, 0);
    leat_stream *right = fact_source(t, "right", &source, io, 1);
    leat_stream *pairs = leat_join(left, right, "pairs",
        &(struct leat_join_opts){ .left_key = "key",
            .within_us = opts->within_us,
            .before_us = opts->before_us,
            .after_us = opts->after_us,
            .allowed_lateness_us = opts->allowed_lateness_us,
            .where = opts->where,
            .out = &fact_pair_type,
            .fields = { { "left.key", "key" }, { "left.value", "left" }, { "right.value", "right" } } });
    leat_memory_sink(pairs, "out", &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    leat_memory_sink(
        leat_late_left(pairs), "late-left", &(struct leat_memory_sink_opts){ .into = io->sinks[1] });
    leat_memory_sink(
        leat_late_right(pairs), "late-right", &(struct leat_memory_sink_opts){ .into = io->sinks[2] });
    return t;
}

const struct scenario_rig fact_join_rig = {
    .declare = fact_join_job,
    .sources = { "left", "right" },
    .sinks = {
        { "out", scenario_print_pair, NULL },
        { "late-left", scenario_print_fact, "lateL " },
        { "late-right", scenario_print_fact, "lateR " },
    },
    .watched = "pairs",
};
