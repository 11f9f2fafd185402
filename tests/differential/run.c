/* tests/differential/run.c -- see run.h.
 *
 * In the kit the steps of the plan are piped one by one. As a job, a source has the rows of its splits in equal runs,
 * with rows without a time, which are skipped, behind the shorter ones. The records that pass the sources are
 * counted: at some of them a checkpoint is asked for, the job is cancelled (what it leaves behind is what a crash
 * leaves, but for the process), or stopped to go on with another parallelism. */
#include "tests/differential/run.h"
#include "base/env.h"
#include "runtime/tree.h"
#include "tests/differential/declare.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run_world {
    struct run_io io;
    leat_topology *t[4]; /* all that ran */
    size_t topologies;
    leat_test *test;
    char root[128]; /* directory of checkpoints; empty: none */
};

/* ---- rows ---- */

static struct diff_row row_of(const struct plan_row *row)
{
    struct diff_row made = {
        .has_k1 = !(row->nulls & PLAN_NULL_K1),
        .k1 = row->k1,
        .has_k2 = !(row->nulls & PLAN_NULL_K2),
        .has_v = !(row->nulls & PLAN_NULL_V),
        .v = row->v,
        .has_d = !(row->nulls & PLAN_NULL_D),
        .d = (double)row->d / 4,
        .has_s = !(row->nulls & PLAN_NULL_S),
        .has_b = !(row->nulls & PLAN_NULL_B),
        .b = row->b != 0,
        .gap = row->gap > 0 ? row->gap : 1,
        .has_at = !(row->nulls & PLAN_NULL_AT),
        .at = row->at,
    };
    made.k2.data = plan_text(row->k2, &made.k2.len);
    made.s.data = plan_text(row->s, &made.s.len);
    return made;
}

static void fill_source(const struct plan *plan, size_t source, struct run_io *io)
{
    const size_t splits = (size_t)plan->sources[source].splits;
    size_t counts[PLAN_SPLITS_MAX] = { 0 }, longest = 0;
    for (size_t i = 0; i < plan->rows_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        if (row->step == PLAN_ROW && row->source == (int64_t)source && ++counts[row->split] > longest)
            longest = counts[row->split];
    }
    io->counts[source] = longest * splits;
    io->rows[source] = calloc(longest * splits + 1, sizeof *io->rows[source]);
    if (!io->rows[source])
        abort();
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < plan->rows_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        if (row->step == PLAN_ROW && row->source == (int64_t)source)
            io->rows[source][(size_t)row->split * longest + counts[row->split]++] = row_of(row);
    }
}

/* ---- results ---- */

static struct run_sink *add_sink(struct run_outcome *outcome, const char *name)
{
    struct run_sink *sink = &outcome->sinks[outcome->sinks_count++];
    (void)snprintf(sink->name, sizeof sink->name, "%s", name);
    return sink;
}

static void add_row(struct run_sink *sink, const struct oracle_row *row)
{
    if (sink->count == sink->capacity) {
        sink->capacity = sink->capacity ? 2 * sink->capacity : 64;
        sink->rows = realloc(sink->rows, sink->capacity * sizeof *sink->rows);
        if (!sink->rows)
            abort();
    }
    sink->rows[sink->count++] = *row;
}

static void fail(struct run_outcome *outcome, enum run_result result, int code, const char *text)
{
    outcome->result = result;
    outcome->code = code;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", text);
}

static leat_topology *declare(const struct plan *plan, struct run_world *world, struct run_outcome *outcome)
{
    leat_topology *t = world->t[world->topologies++] = declare_plan(plan, &world->io);
    if (leat_check(t) < 0) {
        const struct leat_topology_error *error = leat_topology_error(t, 0);
        fail(outcome, RUN_REFUSED, error->code, error->message);
        return NULL;
    }
    return t;
}

/* ---- the kit ---- */

static void pipe_step(leat_test *test, const struct plan_row *row, bool *ended)
{
    char source[24];
    (void)snprintf(source, sizeof source, "s%d", (int)row->source);
    const struct diff_row record = row_of(row);
    if (row->step == PLAN_ADVANCE)
        leat_test_advance(test, row->at);
    else if (ended[row->source])
        return;
    else if (row->step == PLAN_LIFT)
        leat_test_watermark(test, source, row->at);
    else if (row->step == PLAN_END)
        leat_test_end(test, source);
    else
        leat_test_pipe_to(test, source, (uint32_t)row->split, &record);
    ended[row->source] = ended[row->source] || row->step == PLAN_END;
}

static void count_late(leat_test *test, struct run_sink *sink)
{
    char node[24];
    if (strncmp(sink->name, "late", 4) != 0 || sink->name[4] == '-')
        return;
    (void)snprintf(node, sizeof node, "n%s", sink->name + 4);
    sink->late_count = leat_test_late(test, node);
    sink->has_late_count = true;
}

static void read_sinks(leat_test *test, struct run_outcome *outcome, size_t step)
{
    for (size_t i = 0; i < outcome->sinks_count; i++) {
        struct run_sink *sink = &outcome->sinks[i];
        const void *record;
        while ((record = leat_test_read(test, sink->name))) {
            const struct oracle_row row = {
                .record = record, .event_us = leat_test_event_us(test, sink->name), .step = step
            };
            add_row(sink, &row);
        }
    }
}

static void run_kit(const struct plan *plan, struct run_world *world, struct run_outcome *outcome)
{
    bool ended[PLAN_SOURCES_MAX] = { false };
    int64_t splits = 1;
    leat_topology *t = declare(plan, world, outcome);
    if (!t)
        return;
    for (size_t i = 0; i < plan->sources_count; i++)
        splits = plan->sources[i].splits > splits ? plan->sources[i].splits : splits;
    leat_test *test = world->test = leat_test_new(t,
        &(struct leat_test_opts){ .parallelism = (uint32_t)plan->run.parallelism,
            .batch_rows = (uint32_t)plan->run.batch,
            .splits = (uint32_t)splits,
            .seed = (uint64_t)plan->run.seed });
    for (size_t i = 0; i < world->io.sinks_count; i++)
        (void)add_sink(outcome, world->io.sinks[i].name);
    for (size_t i = 0; i < plan->rows_count; i++) {
        pipe_step(test, &plan->rows[i], ended);
        read_sinks(test, outcome, i);
    }
    leat_test_end(test, NULL);
    read_sinks(test, outcome, plan->rows_count);
    for (size_t i = 0; i < outcome->sinks_count; i++)
        count_late(test, &outcome->sinks[i]);
    if (leat_test_error(test)->code != 0)
        fail(outcome, RUN_FAILED, leat_test_error(test)->code, leat_test_error(test)->message);
}

/* ---- jobs ---- */

/* What happens at which of the records that are seen. One job runs at a time; with threads the counter is shared. */
static struct {
    leat_job *job;
    uint64_t seen; /* atomic */
    uint64_t checkpoint_every, cancel_at, stop_at;
    uint64_t cancel_behind, complete; /* checkpoints */
    uint64_t refused; /* checkpoints: the job is about to end */
} watch;

static bool passes(uint64_t before, uint64_t after, uint64_t at)
{
    return at > before && at <= after;
}

static void on_complete(void *arg, uint64_t id, const struct leat_error *error)
{
    (void)arg;
    (void)id;
    if (!error || error->code == 0)
        watch.complete++;
    if (watch.cancel_behind && watch.complete == watch.cancel_behind)
        leat_job_cancel(watch.job);
}

static void on_seen(uint32_t rows)
{
    struct leat_error ignored = { 0 };
    const uint64_t before = __atomic_fetch_add(&watch.seen, rows, __ATOMIC_RELAXED), after = before + rows;
    if (watch.checkpoint_every && before / watch.checkpoint_every != after / watch.checkpoint_every)
        watch.refused += leat_job_checkpoint(watch.job, NULL, on_complete, NULL, &ignored) < 0;
    if (passes(before, after, watch.cancel_at))
        leat_job_cancel(watch.job);
    if (passes(before, after, watch.stop_at))
        leat_job_stop(watch.job);
}

static void make_root(struct run_world *world)
{
    const char *tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    (void)snprintf(world->root, sizeof world->root, "%s/leat-differential-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(world->root))
        abort();
}

static struct leat_job_opts job_opts(
    const struct plan *plan, const struct run_world *world, int64_t parallelism)
{
    struct leat_job_opts opts = { .parallelism = (uint32_t)parallelism,
        .batch_rows = (uint32_t)plan->run.batch,
        .channel_batches = (uint32_t)plan->run.channel,
        .state_budget_bytes = (uint64_t)plan->run.budget,
        .simulate = plan->run.mode == PLAN_SIMULATION,
        .seed = (uint64_t)plan->run.seed,
        .restart = { .never = true } };
    if (!getenv("LEAT_PRE_AGGREGATE")) /* results must not depend on it, nor restoring */
        opts.pre_aggregate = (enum leat_pre_aggregate)((plan->run.seed + parallelism) % 4);
    if (plan->run.checkpoint_every)
        opts.checkpoint_dir = world->root;
    else if (plan->run.budget)
        opts.state_dir = world->root;
    return opts;
}

/* One run of the job; what it ended as. */
static enum leat_job_state run_once(const struct plan *plan, struct run_world *world,
    struct run_outcome *outcome, int64_t parallelism, int64_t cancel_at, int64_t cancel_behind,
    int64_t stop_at)
{
    struct leat_error err = { 0 };
    leat_topology *t = declare(plan, world, outcome);
    const struct leat_job_opts opts = job_opts(plan, world, parallelism);
    leat_job *job = NULL;
    if (!t)
        return LEAT_JOB_FAILED;
    if (leat_job_new(t, &opts, &job, &err) < 0) {
        fail(outcome, RUN_FAILED, err.code, err.message);
        return LEAT_JOB_FAILED;
    }
    watch.job = job;
    watch.seen = watch.complete = 0;
    watch.cancel_behind = (uint64_t)cancel_behind;
    watch.checkpoint_every = (uint64_t)plan->run.checkpoint_every;
    watch.cancel_at = (uint64_t)cancel_at;
    watch.stop_at = (uint64_t)stop_at;
    declare_seen = on_seen;
    const int code = leat_job_run(job);
    declare_seen = NULL;
    const enum leat_job_state state = leat_job_state(job);
    if (code < 0 && state == LEAT_JOB_FAILED)
        fail(outcome, RUN_FAILED, leat_job_error(job)->code, leat_job_error(job)->message);
    outcome->restores += leat_job_progress(job)->checkpoints.restored_id > 0;
    leat_job_free(job);
    return state;
}

static void run_job(const struct plan *plan, struct run_world *world, struct run_outcome *outcome)
{
    enum leat_job_state state = LEAT_JOB_CANCELLED;
    const struct plan_run *run = &plan->run;
    const bool durable = run->checkpoint_every > 0;
    int64_t parallelism = run->parallelism;
    for (size_t i = 0; i < plan->sources_count; i++)
        fill_source(plan, i, &world->io);
    if (durable || run->budget)
        make_root(world);
    const int64_t crashes[2] = { run->crash_at, run->crash_again };
    for (int i = 0; i < 2 && durable && state == LEAT_JOB_CANCELLED; i++)
        if (crashes[i] > 0 || (i == 0 && run->crash_behind > 0))
            state =
                run_once(plan, world, outcome, parallelism, crashes[i], i == 0 ? run->crash_behind : 0, 0);
    if (durable && run->stop_at > 0 && state == LEAT_JOB_CANCELLED) {
        state = run_once(plan, world, outcome, parallelism, 0, 0, run->stop_at);
        parallelism = run->parallelism2 > 0 ? run->parallelism2 : parallelism;
    }
    if (state == LEAT_JOB_CANCELLED || state == LEAT_JOB_STOPPED)
        state = run_once(plan, world, outcome, parallelism, 0, 0, 0);
    if (state != LEAT_JOB_FINISHED && outcome->result == RUN_DONE)
        fail(outcome, RUN_FAILED, LEAT_EIO, "the job has not finished");
    for (size_t i = 0; outcome->result == RUN_DONE && i < world->io.sinks_count; i++) {
        const leat_collector *from = world->io.sinks[i].into;
        struct run_sink *sink = add_sink(outcome, world->io.sinks[i].name);
        for (uint64_t r = 0; r < leat_collector_count(from); r++) {
            const struct oracle_row row = { .record = leat_collector_record(from, r),
                .event_us = leat_collector_event_us(from, r) };
            add_row(sink, &row);
        }
    }
}

struct run_outcome *run_plan(const struct plan *plan)
{
    struct run_outcome *outcome = calloc(1, sizeof *outcome);
    struct run_world *world = calloc(1, sizeof *world);
    if (!outcome || !world)
        abort();
    outcome->world = world;
    outcome->result = RUN_DONE;
    world->io.is_kit = plan->run.mode == PLAN_KIT;
    if (world->io.is_kit) {
        static struct diff_row nothing;
        for (size_t i = 0; i < plan->sources_count; i++)
            world->io.rows[i] = &nothing;
        run_kit(plan, world, outcome);
    } else {
        run_job(plan, world, outcome);
    }
    return outcome;
}

void run_free(struct run_outcome *outcome)
{
    struct run_world *world = outcome->world;
    struct leat_error ignored = { 0 };
    leat_test_free(world->test);
    for (size_t i = 0; i < world->topologies; i++)
        leat_topology_free(world->t[i]);
    for (size_t i = 0; i < world->io.sinks_count; i++)
        leat_collector_free(world->io.sinks[i].into);
    for (size_t i = 0; !world->io.is_kit && i < PLAN_SOURCES_MAX; i++)
        free(world->io.rows[i]);
    if (*world->root && leat__tree_remove(leat__env_posix(), world->root, NULL, &ignored) < 0)
        (void)fprintf(stderr, "%s\n", ignored.message);
    for (size_t i = 0; i < outcome->sinks_count; i++)
        free(outcome->sinks[i].rows);
    free(world);
    free(outcome);
}
