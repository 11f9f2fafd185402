/* tests/integration/test_semantics_random.c -- random rows through windows and joins, against the page of
 * semantics taken literally (tests/support/fact_model.c).
 *
 * Each seed draws the rows of a few splits (disorder, rows far too late, equal times, nulls, rows without a
 * time), the options of a topology, and how it runs: in the kit with the splits interleaved at random, as a
 * simulated job, and as a job with threads. LEAT_SEED runs one seed, LEAT_ROUNDS that many from there on
 * (200). A failure names the seed. */
#include "tests/support/fact_model.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 200, KEYS_MAX = 6, WHAT_BYTES = 256 };

/* Random numbers of one seed, one after the other. */
struct draws {
    uint64_t seed, count;
};

static int64_t below(struct draws *draws, int64_t n)
{
    return (int64_t)leat_random_below(draws->seed, draws->count++, 0, (uint64_t)n);
}

static int64_t between(struct draws *draws, int64_t first, int64_t last)
{
    return first + below(draws, last - first + 1);
}

static int64_t one_of(struct draws *draws, const int64_t *values, size_t count)
{
    return values[below(draws, (int64_t)count)];
}
#define ONE_OF(draws_, ...) \
    one_of(draws_, (const int64_t[]){ __VA_ARGS__ }, COUNT_OF(((const int64_t[]){ __VA_ARGS__ })))

/* How event times of an input go. */
struct times {
    int64_t step_max, disorder, late, late_one_in, null_one_in;
};

static struct times draw_times(struct draws *draws)
{
    return (struct times){
        .step_max = ONE_OF(draws, 0, 1, 3, 10, 40),
        .disorder = ONE_OF(draws, 0, 0, 5, 30, 100),
        .late = ONE_OF(draws, 50, 200, 1000),
        .late_one_in = ONE_OF(draws, 2, 5, 20, 1000),
        .null_one_in = ONE_OF(draws, 4, 20, 1000),
    };
}

static struct fact draw_fact(struct draws *draws, const struct times *times, int64_t keys, int64_t now)
{
    int64_t at = now - between(draws, 0, times->disorder);
    if (below(draws, times->late_one_in) == 0)
        at -= between(draws, 0, times->late);
    return (struct fact){
        .has_key = below(draws, 10) > 0,
        .key = below(draws, keys) - 1,
        .has_value = below(draws, times->null_one_in) > 0,
        .value = between(draws, -100, 100),
        .has_at = below(draws, 30) > 0,
        .at = at,
    };
}

static struct fact_input draw_input(struct draws *draws, uint32_t splits, uint32_t rows_max)
{
    struct fact_input input = { .splits = splits,
        .count = splits * (uint32_t)between(draws, 1, rows_max / splits) };
    input.rows = calloc(input.count, sizeof *input.rows);
    assert_non_null(input.rows);
    const struct times times = draw_times(draws);
    const int64_t keys = between(draws, 1, KEYS_MAX);
    int64_t now = 0;
    for (uint32_t i = 0; i < input.count; i++) {
        if (i % (input.count / splits) == 0)
            now = between(draws, -500, 500);
        now += between(draws, 0, times.step_max);
        input.rows[i] = draw_fact(draws, &times, keys, now);
    }
    return input;
}

/* How a round runs. */
struct run {
    const char *name;
    bool kit, simulate;
    struct scenario_shape shape;
};

static struct run draw_run(struct draws *draws, int mode)
{
    static const char *const names[] = { "kit", "simulation", "threads" };
    const struct run run = { names[mode], mode == 0, mode == 1,
        scenario_shapes[below(draws, SCENARIO_SHAPES)] };
    return run;
}

static void name_run(
    char *what, const struct draws *draws, const char *kind, const struct run *run, uint32_t splits)
{
    snprintf(what, WHAT_BYTES,
        "%s, %s, parallelism %u, batches of %u, %u splits; LEAT_SEED=%" PRIu64 " replays it", kind, run->name,
        run->shape.parallelism, run->shape.batch_rows, splits, draws->seed);
}

/* What came out: of the kit's queues or of collectors, alike. */
struct rows {
    const void **at;
    int64_t *event_us;
    size_t count, capacity;
};

static void add_row(struct rows *rows, const void *record, int64_t event_us)
{
    if (rows->count == rows->capacity) {
        rows->capacity = rows->capacity ? rows->capacity * 2 : 64;
        rows->at = realloc(rows->at, rows->capacity * sizeof *rows->at);
        rows->event_us = realloc(rows->event_us, rows->capacity * sizeof *rows->event_us);
        assert_non_null(rows->at);
        assert_non_null(rows->event_us);
    }
    rows->at[rows->count] = record;
    rows->event_us[rows->count++] = event_us;
}

/* A topology that ran, and what its sinks got. Valid until finish. */
struct outcome {
    struct rows sinks[SCENARIO_SINKS_MAX];
    leat_topology *t;
    leat_test *test;
    leat_collector *collectors[SCENARIO_SINKS_MAX];
};

static void finish(struct outcome *outcome)
{
    leat_test_free(outcome->test);
    leat_topology_free(outcome->t);
    for (int i = 0; i < SCENARIO_SINKS_MAX; i++) {
        leat_collector_free(outcome->collectors[i]);
        free(outcome->sinks[i].at);
        free(outcome->sinks[i].event_us);
    }
}

/* Pipes the rows of all sources and splits, each in its order, interleaved at random. */
static void pipe_inputs(struct draws *draws, leat_test *test, const struct scenario_rig *rig,
    const struct fact_input *inputs, size_t inputs_count)
{
    uint32_t next[SCENARIO_SOURCES_MAX * 8] = { 0 };
    const uint32_t splits = inputs[0].splits;
    uint64_t left = 0;
    for (size_t i = 0; i < inputs_count; i++)
        left += inputs[i].count;
    while (left > 0) {
        const uint32_t lane = (uint32_t)below(draws, (int64_t)(inputs_count * splits));
        const struct fact_input *input = &inputs[lane / splits];
        const uint32_t run = input->count / splits;
        for (int64_t burst = below(draws, 5); burst >= 0 && next[lane] < run; burst--, left--)
            leat_test_pipe_to(test, rig->sources[lane / splits], lane % splits,
                &input->rows[lane % splits * run + next[lane]++]);
    }
    leat_test_end(test, NULL);
}

static struct outcome run_kit(struct draws *draws, const char *what, const struct run *run,
    const struct scenario_rig *rig, const void *opts, const struct fact_input *inputs, size_t inputs_count)
{
    struct outcome outcome = { 0 };
    const struct scenario_io io = { .rows = { (const struct fact *)"", (const struct fact *)"" } };
    outcome.t = rig->declare(opts, &io);
    outcome.test = leat_test_new(outcome.t,
        &(struct leat_test_opts){ .parallelism = run->shape.parallelism,
            .batch_rows = run->shape.batch_rows,
            .splits = inputs[0].splits,
            .seed = draws->seed });
    pipe_inputs(draws, outcome.test, rig, inputs, inputs_count);
    FAIL_UNLESS(
        leat_test_error(outcome.test)->code == 0, "%s: %s", what, leat_test_error(outcome.test)->message);
    for (int i = 0; i < SCENARIO_SINKS_MAX && rig->sinks[i].name; i++) {
        const void *record;
        while ((record = leat_test_read(outcome.test, rig->sinks[i].name)))
            add_row(&outcome.sinks[i], record, leat_test_event_us(outcome.test, rig->sinks[i].name));
    }
    return outcome;
}

static struct outcome run_job(struct draws *draws, const char *what, const struct run *run,
    const struct scenario_rig *rig, const void *opts, const struct fact_input *inputs, size_t inputs_count)
{
    struct outcome outcome = { 0 };
    struct scenario_io io = { .splits = inputs[0].splits };
    for (size_t i = 0; i < inputs_count; i++) {
        io.rows[i] = inputs[i].rows;
        io.counts[i] = inputs[i].count;
    }
    for (int i = 0; i < SCENARIO_SINKS_MAX && rig->sinks[i].name; i++)
        io.sinks[i] = outcome.collectors[i] = leat_collector_new();
    outcome.t = rig->declare(opts, &io);
    struct leat_error error = { 0 };
    const int code = leat_run(outcome.t,
        &(struct leat_job_opts){ .parallelism = run->shape.parallelism,
            .batch_rows = run->shape.batch_rows,
            .channel_batches = (uint32_t)ONE_OF(draws, 0, 2, 4),
            .simulate = run->simulate,
            .seed = draws->seed },
        &error);
    FAIL_UNLESS(code == 0, "%s: %s", what, error.message);
    for (int i = 0; i < SCENARIO_SINKS_MAX && rig->sinks[i].name; i++)
        for (uint64_t row = 0; row < leat_collector_count(io.sinks[i]); row++)
            add_row(&outcome.sinks[i], leat_collector_record(io.sinks[i], row),
                leat_collector_event_us(io.sinks[i], row));
    return outcome;
}

static struct outcome run_rig(struct draws *draws, const char *what, const struct run *run,
    const struct scenario_rig *rig, const void *opts, const struct fact_input *inputs, size_t inputs_count)
{
    return run->kit ? run_kit(draws, what, run, rig, opts, inputs, inputs_count)
                    : run_job(draws, what, run, rig, opts, inputs, inputs_count);
}

static void print_sink(
    const struct scenario_sink *sink, const struct rows *rows, bool with_null_keys, struct lines *lines)
{
    for (size_t i = 0; i < rows->count; i++) {
        char text[256];
        sink->print(rows->at[i], rows->event_us[i], text, sizeof text);
        if (with_null_keys || text[0] != '-' || text[1] != ':')
            lines_add(lines, "%s%s", sink->word ? sink->word : "", text);
    }
}

/* Windows. */

static struct fact_window_opts draw_window(struct draws *draws)
{
    struct fact_window_opts opts = {
        .out_of_orderness_us = ONE_OF(draws, 0, 0, 5, 30, 200),
        .on_error = LEAT_SKIP,
        .window = {
            .kind = LEAT_WINDOW_TUMBLING,
            .size_us = ONE_OF(draws, 1, 2, 7, 30, 100, 300),
            .offset_us = between(draws, -300, 300),
            .allowed_lateness_us = ONE_OF(draws, 0, 0, 1, 30, 300, INT64_MAX),
            .accumulation = (enum leat_accumulation)ONE_OF(draws, 0, LEAT_ACCUMULATING, LEAT_DISCARDING),
        },
    };
    if (below(draws, 2) == 0)
        opts.where = "value is null or value > -50";
    return opts;
}

static bool keep_some(const struct fact *fact)
{
    return !fact->has_value || fact->value > -50;
}

static void check_windows(const char *what, const struct fact_window_opts *opts,
    const struct fact_input *input, const struct outcome *outcome)
{
    struct lines expected = { 0 }, got = { 0 };
    const fact_keep keep = opts->where ? keep_some : NULL;
    fact_model_windows(opts, input, keep, &expected, &expected);
    fact_model_collapse(what, opts->window.accumulation,
        (const struct fact_total *const *)outcome->sinks[0].at, outcome->sinks[0].count, &got);
    print_sink(&fact_window_rig.sinks[1], &outcome->sinks[1], true, &got);
    lines_expect(what, &expected, &got);
    lines_clear(&expected);
    lines_clear(&got);
    const bool one_pane = opts->window.allowed_lateness_us == 0 && opts->window.triggers[0].kind == 0;
    for (size_t i = 0; one_pane && i < outcome->sinks[0].count; i++)
        FAIL_UNLESS(((const struct fact_total *)outcome->sinks[0].at[i])->pane == LEAT_PANE_ON_TIME,
            "%s: a pane that is not on time", what);
    if (input->splits > 1) /* whether a late row finds its window fired is then a matter of timing */
        return;
    struct lines unused = { 0 };
    fact_model_panes(opts, input, keep, &expected, &unused);
    print_sink(&fact_window_rig.sinks[0], &outcome->sinks[0], true, &got);
    lines_expect(what, &expected, &got);
    lines_clear(&unused);
    lines_clear(&expected);
    lines_clear(&got);
}

static void round_of_windows(uint64_t seed)
{
    for (int mode = 0; mode < 3; mode++) {
        struct draws draws = { .seed = seed };
        struct fact_window_opts opts = draw_window(&draws);
        const uint32_t splits = (uint32_t)ONE_OF(&draws, 1, 1, 2, 3, 5);
        if (below(&draws, 3) == 0) {
            opts.window.triggers[0] = (struct leat_trigger)LEAT_ON_WATERMARK;
            opts.window.triggers[1] = (struct leat_trigger)LEAT_ON_COUNT((uint64_t)below(&draws, 4) + 1);
        }
        const struct fact_input input = draw_input(&draws, splits, 300);
        draws.count += (uint64_t)mode * 100000; /* other choices, same rows */
        const struct run run = draw_run(&draws, mode);
        char what[WHAT_BYTES];
        name_run(what, &draws, "windows", &run, splits);
        struct outcome outcome = run_rig(&draws, what, &run, &fact_window_rig, &opts, &input, 1);
        check_windows(what, &opts, &input, &outcome);
        finish(&outcome);
        free(input.rows);
    }
}

/* Joins. */

static struct fact_join_opts draw_join(struct draws *draws)
{
    struct fact_join_opts opts = {
        .out_of_orderness_us = ONE_OF(draws, 0, 0, 5, 30, 200),
        .on_error = LEAT_SKIP,
        .allowed_lateness_us = ONE_OF(draws, 0, 0, 1, 30, 300, INT64_MAX),
    };
    if (below(draws, 3) == 0) {
        opts.within_us = ONE_OF(draws, 1, 5, 30, 200);
        return opts;
    }
    opts.before_us = between(draws, -60, 100);
    opts.after_us = -opts.before_us + ONE_OF(draws, 0, 1, 10, 100);
    if (opts.before_us == 0 && opts.after_us == 0)
        opts.after_us = 1; /* nothing given is refused */
    return opts;
}

static void check_join(const char *what, const struct fact_join_opts *opts, const struct fact_input *inputs,
    const struct outcome *outcome)
{
    struct lines expected = { 0 }, got = { 0 };
    size_t count;
    struct fact_match *pairs = fact_model_pairs(opts, &inputs[0], &inputs[1], &count, &expected);
    for (size_t i = 0; i < count; i++) {
        const struct fact_pair pair = {
            .has_key = true,
            .key = pairs[i].left->key,
            .has_left = pairs[i].left->has_value,
            .left = pairs[i].left->value,
            .has_right = pairs[i].right->has_value,
            .right = pairs[i].right->value,
        };
        char text[256];
        scenario_print_pair(&pair, pairs[i].at, text, sizeof text);
        lines_add(&expected, "%s", text);
    }
    for (int i = 0; i < SCENARIO_SINKS_MAX; i++)
        print_sink(&fact_join_rig.sinks[i], &outcome->sinks[i], false, &got);
    lines_expect(what, &expected, &got);
    lines_clear(&expected);
    lines_clear(&got);
    free(pairs);
}

static void round_of_joins(uint64_t seed)
{
    for (int mode = 0; mode < 3; mode++) {
        struct draws draws = { .seed = seed };
        const struct fact_join_opts opts = draw_join(&draws);
        const uint32_t splits = (uint32_t)ONE_OF(&draws, 1, 1, 2, 3);
        const struct fact_input inputs[] = { draw_input(&draws, splits, 120),
            draw_input(&draws, splits, 120) };
        draws.count += (uint64_t)mode * 100000;
        const struct run run = draw_run(&draws, mode);
        char what[WHAT_BYTES];
        name_run(what, &draws, "join", &run, splits);
        struct outcome outcome = run_rig(&draws, what, &run, &fact_join_rig, &opts, inputs, 2);
        check_join(what, &opts, inputs, &outcome);
        finish(&outcome);
        free(inputs[0].rows);
        free(inputs[1].rows);
    }
}

/* A join and a window behind it: whatever the join gives is in the window. */

static const struct leat_window_opts *window_behind; /* of the round that runs */

static leat_topology *join_window_job(const void *fact_join_opts, const struct scenario_io *io)
{
    const struct fact_join_opts *opts = fact_join_opts;
    const struct fact_window_opts source = { .out_of_orderness_us = opts->out_of_orderness_us,
        .on_error = LEAT_SKIP };
    leat_topology *t = leat_topology_new("join-window");
    leat_stream *pairs =
        leat_join(fact_source(t, "left", &source, io, 0), fact_source(t, "right", &source, io, 1), "pairs",
            &(struct leat_join_opts){ .left_key = "key",
                .within_us = opts->within_us,
                .before_us = opts->before_us,
                .after_us = opts->after_us,
                .allowed_lateness_us = opts->allowed_lateness_us,
                .out = &fact_pair_type,
                .fields = { { "left.key", "key" }, { "left.value", "left" }, { "right.value", "right" } } });
    leat_windowed_stream *windows =
        leat_window(leat_group_by(pairs, "by-key", "key"), "windows", window_behind);
    leat_memory_sink(fact_totals(windows, "totals", NULL, "right"), "out",
        &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    leat_memory_sink(
        leat_late_records(windows), "late", &(struct leat_memory_sink_opts){ .into = io->sinks[1] });
    return t;
}

static const struct scenario_rig join_window_rig = {
    .declare = join_window_job,
    .sources = { "left", "right" },
    .sinks = { { "out", scenario_print_total, NULL }, { "late", scenario_print_pair, "late " } },
    .watched = "totals",
};

static void check_join_window(const char *what, const struct fact_join_opts *opts,
    const struct fact_input *inputs, const struct outcome *outcome)
{
    struct lines expected = { 0 }, got = { 0 }, unused = { 0 };
    size_t count;
    struct fact_match *pairs = fact_model_pairs(opts, &inputs[0], &inputs[1], &count, &unused);
    /* The window sees a pair as a row in order, of a stream in which nothing is late. */
    struct fact *rows = calloc(count + 1, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct fact){
            .has_key = true,
            .key = pairs[i].left->key,
            .has_value = pairs[i].right->has_value,
            .value = pairs[i].right->value,
            .has_at = true,
            .at = pairs[i].at,
        };
    const struct fact_window_opts windows = { .out_of_orderness_us = INT64_MAX, .window = *window_behind };
    fact_model_windows(
        &windows, &(struct fact_input){ rows, (uint32_t)count, 1 }, NULL, &expected, &expected);
    fact_model_collapse(what, windows.window.accumulation,
        (const struct fact_total *const *)outcome->sinks[0].at, outcome->sinks[0].count, &got);
    print_sink(&join_window_rig.sinks[1], &outcome->sinks[1], true, &got);
    lines_expect(what, &expected, &got);
    lines_clear(&expected);
    lines_clear(&got);
    lines_clear(&unused);
    free(rows);
    free(pairs);
}

static void round_of_joins_and_windows(uint64_t seed)
{
    for (int mode = 0; mode < 3; mode++) {
        struct draws draws = { .seed = seed };
        const struct fact_join_opts opts = draw_join(&draws);
        struct leat_window_opts window = draw_window(&draws).window;
        if (window.allowed_lateness_us < opts.allowed_lateness_us)
            window.allowed_lateness_us = opts.allowed_lateness_us;
        window_behind = &window;
        const uint32_t splits = (uint32_t)ONE_OF(&draws, 1, 1, 2);
        const struct fact_input inputs[] = { draw_input(&draws, splits, 80), draw_input(&draws, splits, 80) };
        draws.count += (uint64_t)mode * 100000;
        const struct run run = draw_run(&draws, mode);
        char what[WHAT_BYTES];
        name_run(what, &draws, "join and window", &run, splits);
        struct outcome outcome = run_rig(&draws, what, &run, &join_window_rig, &opts, inputs, 2);
        check_join_window(what, &opts, inputs, &outcome);
        finish(&outcome);
        free(inputs[0].rows);
        free(inputs[1].rows);
    }
}

/* Rounds. */

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void run_rounds(void (*round)(uint64_t seed))
{
    const uint64_t first = number_from("LEAT_SEED", 1);
    const uint64_t rounds = number_from("LEAT_ROUNDS", getenv("LEAT_SEED") ? 1 : ROUNDS);
    for (uint64_t seed = first; seed < first + rounds; seed++)
        round(seed);
}

static void test_windows__given_random_rows__then_they_give_what_the_page_says(void **state)
{
    (void)state;
    run_rounds(round_of_windows);
}

static void test_joins__given_random_rows__then_they_give_what_the_page_says(void **state)
{
    (void)state;
    run_rounds(round_of_joins);
}

static void test_windows__given_pairs_of_a_join__then_all_of_them_are_counted(void **state)
{
    (void)state;
    run_rounds(round_of_joins_and_windows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows__given_random_rows__then_they_give_what_the_page_says),
        cmocka_unit_test(test_joins__given_random_rows__then_they_give_what_the_page_says),
        cmocka_unit_test(test_windows__given_pairs_of_a_join__then_all_of_them_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
