/* tests/integration/test_evolution.c -- a changed topology goes on from a checkpoint (semantics 47): nodes that
 * were added, dropped, renamed, or have become another kind; records with another schema; and what the preview
 * says of each. */
#include "base/alloc.h"
#include "event_later.h"
#include "runtime/checkpoint_store.h"
#include "runtime/recovery.h"
#include "tests/support/durable.h"
#include "tests/support/job_data.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COUNT 4000

/* A topology: what it has and how its nodes are called. */
struct shape {
    const char *total; /* name of the aggregate; NULL: a filter of that name instead, "total" */
    bool is_filtered; /* a filter before it */
    bool has_extra; /* a second aggregate with a sink of its own */
    bool has_later; /* the join's left side has the later schema */
    const char *key; /* of the aggregates; NULL: "key" */
};
static const struct shape plain = { .total = "total" };

static leat_job *running;
static uint64_t seen, stop_at;

static void make_event(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct event *e)
{
    (void)ctx;
    e->key = (int64_t)leat_random_below(seed, index, 0, 20);
    e->name = LEAT_SV("made");
    e->value = (int64_t)index;
    e->at = (int64_t)index * 10;
}
LEAT_DEFINE_GENERATOR(make_event, event);

static void watch(struct leat_ctx *ctx, const struct event *e)
{
    (void)ctx;
    (void)e;
    const uint64_t n = __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
    if (n == stop_at)
        leat_job_stop(running);
    if (stop_at && n > stop_at)
        (void)usleep(500); /* the end must not come before the stop */
}
LEAT_DEFINE_PEEK(watch, event);

static void to_later(struct leat_ctx *ctx, const struct event *in, struct event_later *out)
{
    (void)ctx;
    *out = (struct event_later){
        .key = in->key, .extra = 7, .value = in->value, .name = in->name, .at = in->at
    };
}
LEAT_DEFINE_MAP(to_later, event, event_later);

static void pair_up(
    struct leat_ctx *ctx, const struct event *left, const struct event *right, struct event_pair *out)
{
    (void)ctx;
    *out = (struct event_pair){
        .key = left->key, .left_value = left->value, .right_value = right->value, .name = right->name
    };
}
LEAT_DEFINE_JOIN(pair_up, event, event, event_pair);

static void pair_later(
    struct leat_ctx *ctx, const struct event_later *left, const struct event *right, struct event_pair *out)
{
    (void)ctx;
    *out = (struct event_pair){ .key = left->key,
        .left_value = left->value + (left->extra - 7) * 1000000,
        .right_value = right->value,
        .name = right->name };
}
LEAT_DEFINE_JOIN(pair_later, event_later, event, event_pair);

static leat_stream *totals_of(leat_stream *in, const char *name, const struct shape *shape)
{
    char by[64], windows[64];
    (void)snprintf(by, sizeof by, "by-%s", name);
    (void)snprintf(windows, sizeof windows, "windows-%s", name);
    return leat_aggregate(leat_window(leat_group_by(in, by, shape->key ? shape->key : "key"), windows,
                              &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 }),
        name,
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("events"), LEAT_SUM("value", "value") }, .out = &event_total_type });
}

static void declare_join(leat_stream *in, const struct shape *shape, leat_collector *into)
{
    struct leat_join_opts opts = { .left_key = "key", .before_us = 500, .after_us = 0 };
    leat_stream *left = in;
    if (shape->has_later) {
        left = leat_map(in, "later", &to_later_map);
        opts.merge = &pair_later_join;
    } else {
        opts.merge = &pair_up_join;
    }
    leat_memory_sink(
        leat_join(left, in, "pair", &opts), "pairs", &(struct leat_memory_sink_opts){ .into = into });
}

struct run {
    leat_collector *totals, *pairs, *extra;
};

static leat_topology *topology(const struct shape *shape, const struct run *run)
{
    leat_topology *t = leat_topology_new("durable");
    leat_stream *in = leat_peek(leat_generator_source(t, "in",
                                    &(struct leat_generator_source_opts){ .fn = &make_event_generator,
                                        .count = COUNT,
                                        .seed = 1,
                                        .rate_per_s = 40000,
                                        .event_time = "at" }),
        "watch", &watch_peek);
    declare_join(in, shape, run->pairs);
    if (shape->is_filtered)
        in = leat_filter_expr(in, "all", "value >= 0");
    if (shape->total)
        leat_memory_sink(totals_of(in, shape->total, shape), "out",
            &(struct leat_memory_sink_opts){ .into = run->totals });
    else
        leat_memory_sink(
            leat_filter_expr(in, "total", "value >= 0"), "out", &(struct leat_memory_sink_opts){ 0 });
    if (shape->has_extra)
        leat_memory_sink(totals_of(in, "extra", shape), "extra-out",
            &(struct leat_memory_sink_opts){ .into = run->extra });
    return t;
}

static enum leat_job_state run_shape(const struct durable *d, const struct shape *shape,
    const struct run *run, const struct leat_restore_opts *restore, uint64_t stop, struct leat_error *err)
{
    struct leat_job_opts opts = durable_opts(d, 2);
    leat_topology *t = topology(shape, run);
    opts.checkpoint_interval_us = 0;
    opts.batch_rows = 32; /* a batch that was read goes through before the job stops */
    if (restore)
        opts.restore = *restore;
    *err = (struct leat_error){ 0 };
    seen = 0;
    stop_at = stop;
    FAIL_UNLESS(leat_job_new(t, &opts, &running, err) == 0, "%s", err->message);
    assert_true(leat_job_run(running) <= 0);
    const enum leat_job_state state = leat_job_state(running);
    *err = *leat_job_error(running);
    leat_job_free(running);
    leat_topology_free(t);
    return state;
}

static struct run run_new(void)
{
    return (struct run){ leat_collector_new(), leat_collector_new(), leat_collector_new() };
}

static void run_free(struct run *run)
{
    leat_collector_free(run->totals);
    leat_collector_free(run->pairs);
    leat_collector_free(run->extra);
}

/* Stops the first shape in the middle. */
static void begin(struct durable *d, struct run *run, const struct shape *shape)
{
    struct leat_error err;
    durable_init(d, 1, COUNT);
    *run = run_new();
    FAIL_UNLESS(run_shape(d, shape, run, NULL, COUNT / 2, &err) == LEAT_JOB_STOPPED, "%s", err.message);
}

static void end(struct durable *d, struct run *run)
{
    run_free(run);
    durable_release(d);
}

static void compare(const char *what, leat_collector *got, leat_collector *want, const struct leat_type *type)
{
    size_t got_count, want_count;
    char **got_lines = job_data_lines(got, type, &got_count);
    char **want_lines = job_data_lines(want, type, &want_count);
    job_data_compare(what, want_lines, want_count, got_lines, got_count);
    job_data_free(got_lines, got_count);
    job_data_free(want_lines, want_count);
}

/* Both runs together gave what one run gives. */
static void expect_all(const struct run *got)
{
    struct durable d;
    struct leat_error err;
    struct run want = run_new();
    durable_init(&d, 1, COUNT);
    FAIL_UNLESS(run_shape(&d, &plain, &want, NULL, 0, &err) == LEAT_JOB_FINISHED, "%s", err.message);
    compare("totals", got->totals, want.totals, &event_total_type);
    compare("pairs", got->pairs, want.pairs, &event_pair_type);
    end(&d, &want);
}

static void expect_refused(const struct durable *d, const struct shape *shape, const struct run *run,
    const struct leat_restore_opts *restore, const char *says, const char *says_too)
{
    struct leat_error err;
    const enum leat_job_state state = run_shape(d, shape, run, restore, 0, &err);
    FAIL_UNLESS(state == LEAT_JOB_FAILED, "state %d", (int)state);
    FAIL_UNLESS(strstr(err.message, says) && strstr(err.message, says_too), "\"%s\" does not say %s and %s",
        err.message, says, says_too);
}

static void expect_finished(const struct durable *d, const struct shape *shape, const struct run *run,
    const struct leat_restore_opts *restore)
{
    struct leat_error err;
    FAIL_UNLESS(run_shape(d, shape, run, restore, 0, &err) == LEAT_JOB_FINISHED, "%s", err.message);
}

static void test_evolution__given_a_new_stateless_node__then_it_is_taken_in(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    begin(&d, &run, &plain);
    expect_finished(&d, &(struct shape){ .total = "total", .is_filtered = true }, &run, NULL);
    expect_all(&run);
    end(&d, &run);
}

static void test_evolution__given_a_dropped_stateless_node__then_nobody_minds(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    begin(&d, &run, &(struct shape){ .total = "total", .is_filtered = true });
    expect_finished(&d, &plain, &run, NULL);
    expect_all(&run);
    end(&d, &run);
}

static void test_evolution__given_a_new_stateful_node__then_it_must_be_allowed(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    const struct shape more = { .total = "total", .has_extra = true };
    begin(&d, &run, &plain);
    expect_refused(&d, &more, &run, NULL, "\"extra\"", "restore.allow_new_state");
    expect_finished(&d, &more, &run, &(struct leat_restore_opts){ .allow_new_state = true });
    expect_all(&run);
    assert_true(leat_collector_count(run.extra) > 0);
    assert_true(leat_collector_count(run.extra) < leat_collector_count(run.totals));
    end(&d, &run);
}

static void test_evolution__given_a_dropped_stateful_node__then_it_must_be_allowed(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    begin(&d, &run, &(struct shape){ .total = "total", .has_extra = true });
    expect_refused(&d, &plain, &run, NULL, "\"extra\"", "restore.allow_dropped_state");
    expect_finished(&d, &plain, &run, &(struct leat_restore_opts){ .allow_dropped_state = true });
    expect_all(&run);
    end(&d, &run);
}

static void test_evolution__given_a_dropped_node__when_it_comes_back__then_it_begins_empty(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    struct leat_error err;
    const struct shape more = { .total = "total", .has_extra = true };
    begin(&d, &run, &more);
    const struct leat_restore_opts dropped = { .allow_dropped_state = true };
    FAIL_UNLESS(run_shape(&d, &plain, &run, &dropped, 500, &err) == LEAT_JOB_STOPPED, "%s", err.message);
    expect_refused(&d, &more, &run, NULL, "\"extra\"", "restore.allow_new_state");
    const uint64_t before = leat_collector_count(run.extra);
    expect_finished(&d, &more, &run, &(struct leat_restore_opts){ .allow_new_state = true });
    expect_all(&run);
    assert_true(leat_collector_count(run.extra) > before);
    end(&d, &run);
}

static void test_evolution__given_a_renamed_node__then_an_option_says_so(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    const struct shape renamed = { .total = "total-per-key" };
    begin(&d, &run, &plain);
    expect_refused(&d, &renamed, &run, NULL, "\"total-per-key\"", "restore.renamed");
    expect_finished(&d, &renamed, &run, &(struct leat_restore_opts){ .renamed = "total=total-per-key" });
    expect_all(&run);
    end(&d, &run);
}

static void test_evolution__given_a_node_of_another_kind__then_it_is_refused(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    begin(&d, &run, &plain);
    expect_refused(&d, &(struct shape){ 0 }, &run, NULL, "\"total\"", "another name");
    end(&d, &run);
}

static void test_evolution__given_another_key__then_it_is_refused_unless_it_is_only_spelled_otherwise(
    void **state)
{
    (void)state;
    static const struct {
        const char *key, *says;
    } rows[] = {
        { "key", "its key was (key % 5) long when it was saved and is key long now" },
        { "key % 6 as key", "its key was (key % 5) long when it was saved and is (key % 6) long now" },
        { "cast(key % 5 as string) as name, key", "its key was (key % 5) long when it was saved" },
    };
    struct durable d;
    struct run run;
    struct leat_error err;
    begin(&d, &run, &(struct shape){ .total = "total", .key = "key % 5 as key" });
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_refused(&d, &(struct shape){ .total = "total", .key = rows[i].key }, &run, NULL,
            "state of \"total\"", rows[i].says);
    expect_finished(&d, &(struct shape){ .total = "total", .key = " key%5 AS key" }, &run, NULL);
    struct durable whole;
    struct run want = run_new();
    durable_init(&whole, 1, COUNT);
    FAIL_UNLESS(run_shape(&whole, &(struct shape){ .total = "total", .key = "key % 5 as key" }, &want, NULL,
                    0, &err) == LEAT_JOB_FINISHED,
        "%s", err.message);
    compare("totals", run.totals, want.totals, &event_total_type);
    end(&whole, &want);
    end(&d, &run);
}

static void test_evolution__given_renames_that_can_not_be__then_each_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *renamed, *says;
    } rows[] = {
        { "total", "old-name=new-name" },
        { "=total", "old-name=new-name" },
        { "total=", "old-name=new-name" },
        { "totl=total-per-key", "no node \"totl\"; it has \"total\"" },
        { "total=nothing", "no node \"nothing\"" },
        { "total=total-per-key,pair=total-per-key", "same node" },
        { "total=total-per-key,total=pair", "same node" },
    };
    struct durable d;
    struct run run;
    begin(&d, &run, &plain);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_refused(&d, &(struct shape){ .total = "total-per-key" }, &run,
            &(struct leat_restore_opts){ .renamed = rows[i].renamed }, rows[i].says, "restore.renamed");
    end(&d, &run);
}

static void test_evolution__given_rows_of_an_earlier_schema__then_they_are_resolved(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    begin(&d, &run, &plain);
    expect_finished(&d, &(struct shape){ .total = "total", .has_later = true }, &run, NULL);
    expect_all(&run);
    end(&d, &run);
}

/* ---- preview ---- */

static void preview(const struct durable *d, const struct shape *shape, const struct run *run,
    const struct leat_restore_opts *restore, struct leat_strbuf *out)
{
    const struct leat_checkpoint_store_class *local = &leat__checkpoint_store_local;
    struct leat_checkpoint_store *store;
    struct leat_manifest manifest;
    struct leat_error err = { 0 };
    struct leat_plan *plan;
    uint64_t id;
    (void)durable_checkpoints(d, &id);
    leat__strbuf_clear(out);
    leat_topology *t = topology(shape, run);
    FAIL_UNLESS(leat__plan_new(t, 3, 128, &plan, &err) == 0, "%s", err.message);
    assert_int_equal(local->open(leat__env_posix(), d->job, NULL, &store, &err), 0);
    assert_int_equal(local->read_manifest(store, id, &manifest, &err), 0);
    FAIL_UNLESS(leat__restore_preview(plan, &manifest, restore, out, &err) == 0, "%s", err.message);
    leat__manifest_release(&manifest);
    local->close(store);
    leat__plan_free(plan);
    leat_topology_free(t);
}

static void expect_says(const struct leat_strbuf *text, const char *says)
{
    FAIL_UNLESS(strstr(text->data, says), "\"%s\" is not in:\n%s", says, text->data);
}

static void test_preview__given_changes__then_it_says_what_becomes_of_each_node(void **state)
{
    (void)state;
    struct durable d;
    struct run run;
    struct leat_strbuf text = { 0 };
    begin(&d, &run, &(struct shape){ .total = "total", .has_extra = true });
    preview(&d, &(struct shape){ .total = "total-2", .is_filtered = true, .has_later = true }, &run,
        &(struct leat_restore_opts){ .renamed = "total=total-2" }, &text);
    expect_says(&text, "of \"durable\": 2 workers, now 3; 128 key groups");
    expect_says(&text, "kept      generator source \"in\", 1 splits");
    expect_says(&text, "renamed   aggregate \"total-2\", was \"total\"");
    expect_says(&text, "migrated  join \"pair\"");
    expect_says(&text, "new       filter \"all\", without state");
    expect_says(&text, "refused   aggregate \"extra\"");
    expect_says(&text, "restore.allow_dropped_state");
    preview(&d, &plain, &run, &(struct leat_restore_opts){ .allow_dropped_state = true }, &text);
    expect_says(&text, "kept      join \"pair\"");
    expect_says(&text, "dropped   aggregate \"extra\"");
    expect_says(&text, "kept      aggregate \"total\"");
    leat__strbuf_release(&text);
    end(&d, &run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evolution__given_a_new_stateless_node__then_it_is_taken_in),
        cmocka_unit_test(test_evolution__given_a_dropped_stateless_node__then_nobody_minds),
        cmocka_unit_test(test_evolution__given_a_new_stateful_node__then_it_must_be_allowed),
        cmocka_unit_test(test_evolution__given_a_dropped_stateful_node__then_it_must_be_allowed),
        cmocka_unit_test(test_evolution__given_a_dropped_node__when_it_comes_back__then_it_begins_empty),
        cmocka_unit_test(test_evolution__given_a_renamed_node__then_an_option_says_so),
        cmocka_unit_test(test_evolution__given_a_node_of_another_kind__then_it_is_refused),
        cmocka_unit_test(
            test_evolution__given_another_key__then_it_is_refused_unless_it_is_only_spelled_otherwise),
        cmocka_unit_test(test_evolution__given_renames_that_can_not_be__then_each_says_why),
        cmocka_unit_test(test_evolution__given_rows_of_an_earlier_schema__then_they_are_resolved),
        cmocka_unit_test(test_preview__given_changes__then_it_says_what_becomes_of_each_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
