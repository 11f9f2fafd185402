/* tests/integration/test_pre_aggregate.c -- rows that are combined before the exchange: results, late records and
 * counters are those of rows that are not, whatever the windows, workers and batches; and it is seen that they were
 * combined, and where they are not, why. */
#include "event.h"
#include "event_count.h"
#include "event_mix.h"
#include "tests/support/job_data.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT 3000u
#define DISORDER 300

/* ---- an aggregate that knows the order of arrival ---- */

struct trace {
    uint64_t hash, power; /* power: 31 to the number of records, less 1, so that none is zero */
};

static void trace__add(struct leat_ctx *ctx, const struct event *e, struct trace *trace)
{
    (void)ctx;
    trace->hash = trace->hash * 31 + (uint64_t)e->value + 1;
    trace->power = (trace->power + 1) * 31 - 1;
}

static void trace__merge(struct leat_ctx *ctx, struct trace *into, const struct trace *from)
{
    (void)ctx;
    into->hash = into->hash * (from->power + 1) + from->hash;
    into->power = (into->power + 1) * (from->power + 1) - 1;
}

static void trace__result(struct leat_ctx *ctx, const struct trace *trace, struct event_mix *out)
{
    (void)ctx;
    out->trace = (int64_t)(trace->hash >> 1);
}
LEAT_DEFINE_AGGREGATE(trace, event, trace, event_mix);

/* ---- jobs ---- */

struct input {
    const struct event *events;
    uint32_t count;
    const struct leat_window_opts *window; /* NULL: mini-batches of a group aggregate */
    enum leat_pre_aggregate asked; /* of the aggregate */
    enum leat_policy policy;
    const char *sum, *mean; /* NULL: value; nothing */
    bool takes_late, without_callbacks;
    int64_t idle_timeout_us;
};

struct output {
    char **lines, **late;
    size_t lines_count, late_count;
    struct leat_node_metrics metrics; /* of the aggregate */
};

static leat_topology *declare(const struct input *in, leat_collector *into, leat_collector *late)
{
    leat_topology *t = leat_topology_new("combined");
    leat_stream *events = leat_memory_source(t, "in",
        &(struct leat_memory_source_opts){ .type = &event_type,
            .rows = in->events,
            .count = in->count,
            .event_time = "at",
            .idle_timeout_us = in->idle_timeout_us,
            .max_out_of_orderness_us = DISORDER });
    leat_keyed_stream *keyed = leat_group_by(events, "by-key", "key");
    const char *sum = in->sum ? in->sum : "value";
    leat_stream *out;
    if (in->window) {
        const struct leat_aggregate user = LEAT_USER(&trace_aggregate), constant = LEAT_COUNT("trace");
        const struct leat_aggregate trace = in->without_callbacks ? constant : user;
        leat_windowed_stream *windows = leat_window(keyed, "windows", in->window);
        out = leat_aggregate(windows, "mix",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("events"), LEAT_SUM(sum, "value"), LEAT_COUNT_DISTINCT("name", "names"),
                    LEAT_MIN("name", "least"), LEAT_LAST("name", "latest"), trace },
                .out = &event_mix_type,
                .pre_aggregate = in->asked });
        if (in->takes_late)
            leat_memory_sink(
                leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = late });
    } else {
        out = leat_group_aggregate(keyed, "mix",
            &(struct leat_group_aggregate_opts){
                .aggs = { LEAT_COUNT("events"), LEAT_SUM(sum, "value"),
                    { .kind = in->mean ? LEAT_AGGREGATE_AVG : 0, .of = in->mean, .as = "mean" } },
                .out = &event_count_type,
                .mini_batch_rows = UINT64_MAX,
                .pre_aggregate = in->asked });
    }
    if (in->policy)
        leat_on_error(out, in->policy);
    leat_memory_sink(out, "out", &(struct leat_memory_sink_opts){ .into = into });
    return t;
}

static struct output run(const struct input *in, const struct leat_job_opts *opts)
{
    struct output output = { 0 };
    struct leat_error err = { 0 };
    leat_job *job = NULL;
    leat_collector *into = leat_collector_new(), *late = leat_collector_new();
    leat_topology *t = declare(in, into, late);
    FAIL_UNLESS(leat_job_new(t, opts, &job, &err) == 0, "%s", err.message);
    FAIL_UNLESS(leat_job_run(job) == 0, "%s", leat_job_error(job)->message);
    const struct leat_progress *progress = leat_job_progress(job);
    for (size_t i = 0; i < progress->nodes_count; i++)
        if (strcmp(progress->nodes[i].name, "mix") == 0)
            output.metrics = progress->nodes[i];
    output.lines =
        job_data_lines(into, in->window ? &event_mix_type : &event_count_type, &output.lines_count);
    output.late = job_data_lines(late, &event_type, &output.late_count);
    leat_job_free(job);
    leat_topology_free(t);
    leat_collector_free(into);
    leat_collector_free(late);
    return output;
}

static void free_output(struct output *output)
{
    job_data_free(output->lines, output->lines_count);
    job_data_free(output->late, output->late_count);
}

static struct event *events_of(uint32_t count, uint32_t keys, uint32_t late_one_in)
{
    return job_data_events(&(struct job_data_opts){ .count = count,
        .keys = keys,
        .seed = 5,
        .step_us = 40,
        .disorder_us = DISORDER,
        .late_one_in = late_one_in,
        .late_us = 3000 });
}

static void compare(const char *what, const struct output *plain, const struct output *combined)
{
    job_data_compare(what, plain->lines, plain->lines_count, combined->lines, combined->lines_count);
    job_data_compare(what, plain->late, plain->late_count, combined->late, combined->late_count);
    FAIL_UNLESS(plain->metrics.records_in == combined->metrics.records_in, "%s: %llu records in, not %llu",
        what, (unsigned long long)combined->metrics.records_in,
        (unsigned long long)plain->metrics.records_in);
    FAIL_UNLESS(plain->metrics.late_records == combined->metrics.late_records &&
            plain->metrics.dropped_records == combined->metrics.dropped_records &&
            plain->metrics.unassigned_records == combined->metrics.unassigned_records,
        "%s: late, dropped or unassigned records", what);
    FAIL_UNLESS(plain->metrics.partials_in == 0 && plain->metrics.combined_records == 0,
        "%s: combined although switched off", what);
}

/* Shapes of the simulation, whose schedules are the same each time. */
static void compare_shapes(const char *what, const struct input *in)
{
    static const uint32_t shapes[][2] = { { 2, 1024 }, { 2, 7 }, { 3, 64 }, { 5, 1 } };
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        struct leat_job_opts opts = { .parallelism = shapes[i][0],
            .batch_rows = shapes[i][1],
            .channel_batches = 2,
            .simulate = true,
            .seed = i };
        char name[128];
        (void)snprintf(name, sizeof name, "%s, %u workers, batches of %u", what, shapes[i][0], shapes[i][1]);
        opts.pre_aggregate = LEAT_PRE_AGGREGATE_NEVER;
        struct output plain = run(in, &opts);
        opts.pre_aggregate = LEAT_PRE_AGGREGATE_ALWAYS;
        struct output combined = run(in, &opts);
        compare(name, &plain, &combined);
        const struct leat_node_metrics *m = &combined.metrics;
        FAIL_UNLESS(m->combined_records > COUNT / 2 && m->partials_in <= m->combined_records,
            "%s: %llu records combined into %llu", name, (unsigned long long)m->combined_records,
            (unsigned long long)m->partials_in);
        if (shapes[i][1] == 1024)
            FAIL_UNLESS(m->partials_in * 4 < m->combined_records * 3, "%s: %llu partials of %llu records",
                name, (unsigned long long)m->partials_in, (unsigned long long)m->combined_records);
        free_output(&plain);
        free_output(&combined);
    }
}

static void test_pre_aggregate__given_any_windows__when_rows_are_combined__then_results_are_the_same(
    void **state)
{
    static const struct {
        const char *name;
        struct leat_window_opts window;
        bool without_callbacks;
    } rows[] = {
        { "tumbling", { .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 } },
        { "hopping", { .kind = LEAT_WINDOW_HOPPING, .size_us = 5000, .slide_us = 1500 } },
        { "hopping with gaps",
            { .kind = LEAT_WINDOW_HOPPING, .size_us = 1000, .slide_us = 1500, .allow_gaps = true } },
        { "cumulating", { .kind = LEAT_WINDOW_CUMULATING, .size_us = 9000, .step_us = 3000 } },
        { "a day", { .kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY, .zone = "UTC" } },
        { "tumbling, late panes",
            { .kind = LEAT_WINDOW_TUMBLING, .size_us = 2000, .allowed_lateness_us = 1500 } },
        { "hopping, late panes",
            { .kind = LEAT_WINDOW_HOPPING, .size_us = 4000, .slide_us = 2000, .allowed_lateness_us = 1500 } },
        { "discarded panes",
            { .kind = LEAT_WINDOW_HOPPING,
                .size_us = 4000,
                .slide_us = 2000,
                .allowed_lateness_us = 1500,
                .accumulation = LEAT_DISCARDING },
            .without_callbacks = true },
    };
    struct event *events = events_of(COUNT, 7, 20);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        compare_shapes(rows[i].name,
            &(struct input){ .events = events,
                .count = COUNT,
                .window = &rows[i].window,
                .takes_late = true,
                .without_callbacks = rows[i].without_callbacks });
    free(events);
}

static void test_pre_aggregate__given_rows_that_are_refused__then_they_meet_the_policy_of_the_aggregate(
    void **state)
{
    static const struct leat_window_opts window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 };
    struct event *events = events_of(COUNT, 7, 20);
    (void)state;
    for (uint32_t i = 100; i < COUNT; i += 1000)
        events[i].value = INT64_MAX;
    struct input in = { .events = events,
        .count = COUNT,
        .window = &window,
        .sum = "value + 1",
        .without_callbacks = true,
        .policy = LEAT_SKIP };
    const struct leat_job_opts never = {
        .parallelism = 2, .simulate = true, .pre_aggregate = LEAT_PRE_AGGREGATE_NEVER
    };
    const struct leat_job_opts always = {
        .parallelism = 2, .batch_rows = 64, .simulate = true, .pre_aggregate = LEAT_PRE_AGGREGATE_ALWAYS
    };
    struct output plain = run(&in, &never), combined = run(&in, &always);
    assert_int_equal(plain.metrics.dropped_records, 3);
    assert_true(combined.metrics.combined_records > COUNT / 2);
    compare("refused rows", &plain, &combined);
    free_output(&plain);
    free_output(&combined);
    free(events);
}

static void
test_pre_aggregate__given_keys_that_come_once__when_left_to_itself__then_rows_soon_pass_as_they_are(
    void **state)
{
    static const struct leat_window_opts window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_HOURS(1) };
    enum { MANY = 40000 };
    struct event *once = events_of(MANY, 1000000000, 0), *often = events_of(MANY, 3, 0);
    (void)state;
    const struct leat_job_opts opts = { .parallelism = 2, .simulate = true };
    struct input in = { .events = once, .count = MANY, .window = &window };
    struct output passed = run(&in, &opts);
    in.asked = LEAT_PRE_AGGREGATE_NEVER;
    struct output plain = run(&in, &opts);
    compare("keys that come once", &plain, &passed);
    assert_in_range(passed.metrics.combined_records, 1, MANY / 2);
    in = (struct input){ .events = often, .count = MANY, .window = &window };
    struct output combined = run(&in, &opts);
    assert_in_range(combined.metrics.combined_records, MANY * 3 / 4, MANY);
    assert_true(combined.metrics.partials_in * 20 < combined.metrics.combined_records);
    free_output(&passed);
    free_output(&plain);
    free_output(&combined);
    free(once);
    free(often);
}

/* ---- where not ---- */

static void expect_in_plan(const char *what, const struct input *in, uint32_t parallelism, const char *words)
{
    char *text = NULL;
    leat_collector *into = leat_collector_new(), *late = leat_collector_new();
    leat_topology *t = declare(in, into, late);
    FAIL_UNLESS(leat_check(t) == 0, "%s: %s", what, leat_topology_error(t, 0)->message);
    assert_int_equal(leat_describe(t, LEAT_DESCRIBE_TEXT, parallelism, &text), 0);
    FAIL_UNLESS(words ? strstr(text, words) != NULL : strstr(text, "pre-aggregated") == NULL,
        "%s: no \"%s\" in\n%s", what, words ? words : "(nothing)", text);
    leat_free(text);
    leat_topology_free(t);
    leat_collector_free(into);
    leat_collector_free(late);
}

static void test_pre_aggregate__given_a_plan__then_it_says_whether_and_why_not(void **state)
{
    static const struct leat_window_opts tumbling = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000 };
    static const struct leat_window_opts counted = { .kind = LEAT_WINDOW_TUMBLING,
        .size_us = 1000,
        .triggers = { LEAT_ON_COUNT(3) },
        .discard_remainder = true };
    static const struct leat_window_opts session = { .kind = LEAT_WINDOW_SESSION, .gap_us = 1000 };
    static const struct leat_window_opts late = {
        .kind = LEAT_WINDOW_TUMBLING, .size_us = 1000, .allowed_lateness_us = 10
    };
    static const struct leat_window_opts apart = { .kind = LEAT_WINDOW_HOPPING,
        .size_us = 4000,
        .slide_us = 2000,
        .allowed_lateness_us = 1500,
        .accumulation = LEAT_DISCARDING };
    const struct {
        const char *name;
        struct input in;
        uint32_t parallelism;
        const char *words;
    } rows[] = {
        { "one worker", { .window = &tumbling }, 1, NULL },
        { "two workers", { .window = &tumbling }, 2, "HASH(key), pre-aggregated\n" },
        { "mini-batches", { .window = NULL }, 2, "HASH(key), pre-aggregated\n" },
        { "never", { .window = &tumbling, .asked = LEAT_PRE_AGGREGATE_NEVER }, 2,
            "not pre-aggregated: switched off" },
        { "a trigger", { .window = &counted }, 2, "not pre-aggregated: its triggers look at single records" },
        { "a callback that sees the order", { .window = &apart }, 2,
            "not pre-aggregated: a callback may depend on the order of records" },
        { "sessions", { .window = &session }, 2, NULL },
        { "sums of doubles", { .window = NULL, .mean = "cast(value as double)" }, 2,
            "not pre-aggregated: the last digits of sums of doubles" },
        { "sums of doubles, asked for",
            { .window = NULL, .mean = "cast(value as double)", .asked = LEAT_PRE_AGGREGATE_ALWAYS }, 2,
            "HASH(key), pre-aggregated\n" },
        { "callbacks that may refuse", { .window = &tumbling, .policy = LEAT_SKIP }, 2,
            "not pre-aggregated: a callback may refuse single records" },
        { "idle", { .window = &tumbling, .idle_timeout_us = 1000 }, 2, "HASH(key), pre-aggregated\n" },
        { "idle, and late records are told",
            { .window = &tumbling, .idle_timeout_us = 1000, .takes_late = true }, 2,
            "not pre-aggregated: records may come late without notice" },
        { "idle, and late panes", { .window = &late, .idle_timeout_us = 1000 }, 2,
            "not pre-aggregated: records may come late without notice" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_in_plan(rows[i].name, &rows[i].in, rows[i].parallelism, rows[i].words);
}

static void test_pre_aggregate__given_always_where_it_can_not_be__when_declared__then_the_error_says_why(
    void **state)
{
    static const struct leat_window_opts session = { .kind = LEAT_WINDOW_SESSION, .gap_us = 1000 };
    const struct input in = { .window = &session, .asked = LEAT_PRE_AGGREGATE_ALWAYS };
    leat_collector *into = leat_collector_new();
    leat_topology *t = declare(&in, into, into);
    (void)state;
    assert_int_equal(leat_check(t), LEAT_EDECLARE);
    assert_string_equal(leat_topology_error(t, 0)->message,
        "aggregate \"mix\": pre_aggregate: LEAT_PRE_AGGREGATE_ALWAYS can not be: its windows depend on "
        "single "
        "records; leave it out");
    leat_topology_free(t);
    leat_collector_free(into);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_pre_aggregate__given_any_windows__when_rows_are_combined__then_results_are_the_same),
        cmocka_unit_test(
            test_pre_aggregate__given_rows_that_are_refused__then_they_meet_the_policy_of_the_aggregate),
        cmocka_unit_test(
            test_pre_aggregate__given_keys_that_come_once__when_left_to_itself__then_rows_soon_pass_as_they_are),
        cmocka_unit_test(test_pre_aggregate__given_a_plan__then_it_says_whether_and_why_not),
        cmocka_unit_test(
            test_pre_aggregate__given_always_where_it_can_not_be__when_declared__then_the_error_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
