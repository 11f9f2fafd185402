/* tests/support/scenario.c -- see scenario.h. A script is parsed as it runs: one cursor, a mistake in it
 * fails the test. */
#include "tests/support/scenario.h"
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHAT_BYTES = 512, TEXT_BYTES = 256, ROWS_MAX = 256, NEAR_THE_END = 1000000 };

const struct scenario_shape scenario_shapes[SCENARIO_SHAPES] = {
    { 1, 1024 },
    { 1, 1 },
    { 1, 7 },
    { 2, 1 },
    { 2, 7 },
    { 2, 1024 },
    { 3, 1 },
    { 3, 7 },
    { 3, 1024 },
};

/* Printing. */

static const char *print_time(char *text, size_t size, int64_t us)
{
    if (us == LEAT_TIME_MIN)
        snprintf(text, size, "min");
    else if (us == LEAT_TIME_MAX)
        snprintf(text, size, "max");
    else if (us < LEAT_TIME_MIN + NEAR_THE_END)
        snprintf(text, size, "min+%" PRIi64, us - LEAT_TIME_MIN);
    else if (us > LEAT_TIME_MAX - NEAR_THE_END)
        snprintf(text, size, "max-%" PRIi64, LEAT_TIME_MAX - us);
    else
        snprintf(text, size, "%" PRIi64, us);
    return text;
}

static const char *print_optional(char *text, size_t size, bool has, int64_t value)
{
    snprintf(text, size, "-");
    return has ? print_time(text, size, value) : text;
}

void scenario_print_fact(const void *record, int64_t event_us, char *text, size_t size)
{
    const struct fact *fact = record;
    char key[32], value[32], at[32], event[40] = "";
    if (!fact->has_at || fact->at != event_us)
        snprintf(event, sizeof event, " but event time %" PRIi64, event_us);
    snprintf(text, size, "%s:%s@%s%s", print_optional(key, sizeof key, fact->has_key, fact->key),
        print_optional(value, sizeof value, fact->has_value, fact->value),
        print_optional(at, sizeof at, fact->has_at, fact->at), event);
}

static void print_total(
    const struct fact_total *total, int64_t event_us, int64_t want_us, char *text, size_t size)
{
    char key[32], start[32], end[32], sum[32], event[40] = "";
    if (event_us != want_us)
        snprintf(event, sizeof event, " but event time %" PRIi64, event_us);
    const char panes[] = "?EOL";
    snprintf(text, size, "%s[%s..%s)%" PRIi64 "=%s %c%" PRIi32 "%s",
        print_optional(key, sizeof key, total->has_key, total->key),
        print_time(start, sizeof start, total->window_start), print_time(end, sizeof end, total->window_end),
        total->rows, print_optional(sum, sizeof sum, total->has_sum, total->sum),
        panes[total->pane >= 1 && total->pane <= 3 ? total->pane : 0], total->pane_index, event);
}

void scenario_print_total(const void *record, int64_t event_us, char *text, size_t size)
{
    const struct fact_total *total = record;
    print_total(total, event_us, total->window_end - 1, text, size);
}

void scenario_print_session(const void *record, int64_t event_us, char *text, size_t size)
{
    const struct fact_total *total = record;
    print_total(total, event_us, total->window_end, text, size);
}

void scenario_print_pair(const void *record, int64_t event_us, char *text, size_t size)
{
    const struct fact_pair *pair = record;
    char key[32], left[32], right[32], at[32];
    snprintf(text, size, "%s %s+%s@%s", print_optional(key, sizeof key, pair->has_key, pair->key),
        print_optional(left, sizeof left, pair->has_left, pair->left),
        print_optional(right, sizeof right, pair->has_right, pair->right),
        print_time(at, sizeof at, event_us));
}

/* Parsing. */

static bool take_char(const char **at, char c)
{
    while (**at == ' ')
        (*at)++;
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool take_word(const char **at, const char *word)
{
    while (**at == ' ')
        (*at)++;
    const size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static int64_t take_number(const char **at)
{
    while (**at == ' ')
        (*at)++;
    int64_t from = 0;
    if (take_word(at, "min"))
        from = LEAT_TIME_MIN;
    else if (take_word(at, "max"))
        from = LEAT_TIME_MAX;
    if (from != 0 && **at != '+' && **at != '-')
        return from;
    char *end;
    const int64_t number = strtoll(*at, &end, 10);
    FAIL_UNLESS(end != *at, "a number expected at \"%s\"", *at);
    *at = end;
    return from + number;
}

static bool take_optional(const char **at, int64_t *value)
{
    while (**at == ' ')
        (*at)++;
    if ((*at)[0] == '-' && !isdigit((unsigned char)(*at)[1])) {
        (*at)++;
        return false;
    }
    *value = take_number(at);
    return true;
}

enum action { ACTION_ROW, ACTION_WATERMARK, ACTION_END, ACTION_ADVANCE };

struct step {
    enum action action;
    int source; /* -1: all */
    uint32_t split;
    int64_t number;
    struct fact fact;
};

static int take_source(const char **at)
{
    if (take_char(at, 'L'))
        return 0;
    return take_char(at, 'R') ? 1 : -1;
}

static void take_fact(const char **at, struct step *step)
{
    step->source = step->source < 0 ? 0 : step->source;
    step->fact.has_key = take_optional(at, &step->fact.key);
    step->fact.has_value = true;
    step->fact.value = 1;
    if (take_char(at, ':'))
        step->fact.has_value = take_optional(at, &step->fact.value);
    FAIL_UNLESS(take_char(at, '@'), "@ expected at \"%s\"", *at);
    step->fact.has_at = take_optional(at, &step->fact.at);
    if (take_char(at, '/'))
        step->split = (uint32_t)take_number(at);
}

/* The action; the cursor then stands at '>', ';' or the end. */
static struct step take_step(const char **at)
{
    struct step step = { .action = ACTION_ROW };
    if (take_word(at, "wm"))
        step.action = ACTION_WATERMARK;
    else if (take_word(at, "end"))
        step.action = ACTION_END;
    else if (take_word(at, "adv"))
        step.action = ACTION_ADVANCE;
    step.source = take_source(at);
    if (step.action == ACTION_ROW)
        take_fact(at, &step);
    else if (take_char(at, '='))
        step.number = take_number(at);
    while (**at == ' ')
        (*at)++;
    FAIL_UNLESS(**at == '\0' || **at == ';' || **at == '>', "end of the step expected at \"%s\"", *at);
    return step;
}

/* One expected result, as text without blanks around it. */
static bool take_result(const char **at, char *text, size_t size)
{
    while (**at == ' ' || **at == ',' || **at == '>')
        (*at)++;
    size_t len = strcspn(*at, ",;");
    const char *from = *at;
    *at += len;
    while (len > 0 && from[len - 1] == ' ')
        len--;
    FAIL_UNLESS(len < size, "a result too long at \"%s\"", from);
    memcpy(text, from, len);
    text[len] = '\0';
    return len > 0;
}

/* In the kit. */

static void print_sink_row(
    const struct scenario_sink *sink, const void *record, int64_t event_us, struct lines *lines)
{
    char text[TEXT_BYTES];
    sink->print(record, event_us, text, sizeof text);
    lines_add(lines, "%s%s", sink->word ? sink->word : "", text);
}

static void do_step(leat_test *test, const struct scenario_rig *rig, const struct step *step)
{
    const char *source = step->source < 0 ? NULL : rig->sources[step->source];
    switch (step->action) {
    case ACTION_ROW:
        leat_test_pipe_to(test, source, step->split, &step->fact);
        break;
    case ACTION_WATERMARK:
        leat_test_watermark(test, source ? source : rig->sources[0], step->number);
        break;
    case ACTION_END:
        leat_test_end(test, source);
        break;
    case ACTION_ADVANCE:
        leat_test_advance(test, step->number);
        break;
    }
}

/* Whether the result is about the watched node, and then adds what is expected and what is true. */
static bool expect_of_node(leat_test *test, const struct scenario_rig *rig, const char *result,
    struct lines *expected, struct lines *got)
{
    char text[32];
    if (strncmp(result, "w=", 2) == 0)
        lines_add(got, "w=%s", print_time(text, sizeof text, leat_test_node_watermark(test, rig->watched)));
    else if (strncmp(result, "late=", 5) == 0)
        lines_add(got, "late=%" PRIu64, leat_test_late(test, rig->watched));
    else if (strncmp(result, "dropped=", 8) == 0)
        lines_add(got, "dropped=%" PRIu64, leat_test_dropped(test, rig->watched));
    else
        return false;
    lines_add(expected, "%s", result);
    return true;
}

static void check_step(const char *what, leat_test *test, const struct scenario_rig *rig, const char **at)
{
    const struct leat_error *error = leat_test_error(test);
    FAIL_UNLESS(error->code == 0, "%s: %s", what, error->message);
    struct lines expected = { 0 }, got = { 0 };
    for (const struct scenario_sink *sink = rig->sinks; sink < rig->sinks + SCENARIO_SINKS_MAX && sink->name;
         sink++) {
        const void *record;
        while ((record = leat_test_read(test, sink->name)))
            print_sink_row(sink, record, leat_test_event_us(test, sink->name), &got);
    }
    char text[TEXT_BYTES];
    while (**at != '\0' && **at != ';' && take_result(at, text, sizeof text))
        if (!expect_of_node(test, rig, text, &expected, &got))
            lines_add(&expected, "%s", text);
    lines_expect(what, &expected, &got);
    lines_clear(&expected);
    lines_clear(&got);
}

static leat_topology *declare(
    const struct scenario_rig *rig, const struct scenario *scenario, const struct scenario_io *io)
{
    leat_topology *t = rig->declare(scenario->opts, io);
    if (leat_check(t) < 0)
        fail_msg("%s: %s", scenario->name, leat_topology_error(t, 0)->message);
    return t;
}

static void run_in_kit(
    const struct scenario_rig *rig, const struct scenario *scenario, const struct scenario_shape *shape)
{
    const struct scenario_io io = { .rows = { (const struct fact *)"", (const struct fact *)"" } };
    leat_topology *t = declare(rig, scenario, &io);
    leat_test *test = leat_test_new(t,
        &(struct leat_test_opts){ .parallelism = shape->parallelism,
            .batch_rows = shape->batch_rows,
            .splits = scenario->splits,
            .wall_us = scenario->wall_us });
    assert_non_null(test);
    const char *at = scenario->script;
    while (*at != '\0') {
        const char *from = at;
        const struct step step = take_step(&at);
        do_step(test, rig, &step);
        char what[WHAT_BYTES];
        snprintf(what, sizeof what, "%s (parallelism %u, batches of %u), at \"%.*s\"", scenario->name,
            shape->parallelism, shape->batch_rows, (int)strcspn(from, ";"), from);
        check_step(what, test, rig, &at);
        take_char(&at, ';');
        while (*at == ' ')
            at++;
    }
    leat_test_free(test);
    leat_topology_free(t);
}

/* As a job. */

struct job_case {
    struct fact rows[SCENARIO_SOURCES_MAX][ROWS_MAX];
    uint64_t counts[SCENARIO_SOURCES_MAX];
    struct lines expected;
};

/* Whether the scenario is rows and then the end; collects both sides of it. */
static bool make_job_case(const struct scenario *scenario, struct job_case *job)
{
    bool ended = false;
    for (const char *at = scenario->script; *at != '\0'; take_char(&at, ';')) {
        const struct step step = take_step(&at);
        if (ended || step.split != 0 || (step.action == ACTION_END && step.source >= 0))
            return false;
        if (step.action != ACTION_ROW && step.action != ACTION_END)
            return false;
        ended = step.action == ACTION_END;
        if (!ended) {
            FAIL_UNLESS(job->counts[step.source] < ROWS_MAX, "%s: too many rows", scenario->name);
            job->rows[step.source][job->counts[step.source]++] = step.fact;
        }
        char text[TEXT_BYTES];
        while (*at != '\0' && *at != ';' && take_result(&at, text, sizeof text))
            if (strncmp(text, "w=", 2) != 0 && strncmp(text, "late=", 5) != 0 &&
                strncmp(text, "dropped=", 8) != 0)
                lines_add(&job->expected, "%s", text);
    }
    return ended;
}

static void run_as_job(const struct scenario_rig *rig, const struct scenario *scenario, struct job_case *job,
    const struct scenario_shape *shape, bool simulate)
{
    struct scenario_io io = { .counts = { job->counts[0], job->counts[1] } };
    for (int i = 0; i < SCENARIO_SOURCES_MAX; i++)
        io.rows[i] = job->rows[i];
    for (int i = 0; i < SCENARIO_SINKS_MAX && rig->sinks[i].name; i++)
        io.sinks[i] = leat_collector_new();
    leat_topology *t = declare(rig, scenario, &io);
    struct leat_error error = { 0 };
    char what[WHAT_BYTES];
    snprintf(what, sizeof what, "%s (%s, parallelism %u, batches of %u)", scenario->name,
        simulate ? "simulated job" : "job with threads", shape->parallelism, shape->batch_rows);
    const int code = leat_run(t,
        &(struct leat_job_opts){ .parallelism = shape->parallelism,
            .batch_rows = shape->batch_rows,
            .simulate = simulate,
            .seed = shape->parallelism * 100 + shape->batch_rows },
        &error);
    FAIL_UNLESS(code == 0, "%s: %s", what, error.message);
    leat_topology_free(t);
    struct lines got = { 0 };
    for (int i = 0; i < SCENARIO_SINKS_MAX && rig->sinks[i].name; i++) {
        for (uint64_t row = 0; row < leat_collector_count(io.sinks[i]); row++)
            print_sink_row(&rig->sinks[i], leat_collector_record(io.sinks[i], row),
                leat_collector_event_us(io.sinks[i], row), &got);
        leat_collector_free(io.sinks[i]);
    }
    lines_expect(what, &job->expected, &got);
    lines_clear(&got);
}

void scenario_run(const struct scenario_rig *rig, const struct scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t s = 0; s < SCENARIO_SHAPES; s++)
            run_in_kit(rig, &scenarios[i], &scenario_shapes[s]);
        struct job_case *job = calloc(1, sizeof *job);
        assert_non_null(job);
        if (scenarios[i].splits <= 1 && scenarios[i].wall_us == 0 && make_job_case(&scenarios[i], job))
            for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
                run_as_job(rig, &scenarios[i], job, &scenario_shapes[s], true);
                if (scenario_shapes[s].parallelism > 1 && scenario_shapes[s].batch_rows == 7)
                    run_as_job(rig, &scenarios[i], job, &scenario_shapes[s], false);
            }
        lines_clear(&job->expected);
        free(job);
    }
}
