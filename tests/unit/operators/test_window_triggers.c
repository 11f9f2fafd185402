/* tests/unit/operators/test_window_triggers.c -- triggers and panes of windows (semantics 21-27) and windows by
 * count, as text: tests/operators/window_triggers/, sliding_triggers/, session_triggers/, count_aggregate/. The operator line of a file is the fixture's words; the word `trigger` is the
 * one below, which does what a record's text says. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- a trigger ---- */

struct told {
    int64_t records;
    int64_t timers;
};

/* One word of a record's text: fire, purge, both, third (fires each third record), et 5, pt 5 (timers), -et 5,
 * -pt 5 (deletes them), refuse, wrong. */
static uint32_t obey(struct leat_ctx *ctx, const char *word, struct told *told)
{
    const bool is_delete = *word == '-';
    const char *timer = word + is_delete;
    if (strncmp(timer, "et ", 3) == 0 || strncmp(timer, "pt ", 3) == 0) {
        const enum leat_time_kind kind = *timer == 'e' ? LEAT_EVENT_TIME : LEAT_PROCESSING_TIME;
        const int64_t us = strtoll(timer + 3, NULL, 10);
        if (is_delete)
            leat_timer_delete(ctx, kind, us);
        else
            leat_timer_set(ctx, kind, us);
        return LEAT_CONTINUE;
    }
    if (strcmp(word, "refuse") == 0)
        leat_fail(ctx, "refused the record");
    if (strcmp(word, "third") == 0)
        return told->records % 3 == 0 ? LEAT_FIRE : LEAT_CONTINUE;
    if (strcmp(word, "wrong") == 0)
        return 7;
    if (strcmp(word, "fire") == 0)
        return LEAT_FIRE;
    if (strcmp(word, "purge") == 0)
        return LEAT_PURGE;
    return strcmp(word, "both") == 0 ? LEAT_FIRE_AND_PURGE : LEAT_CONTINUE;
}

static enum leat_fire obeying__on_record(
    struct leat_ctx *ctx, const struct agg_event *event, const struct leat_bounds *window, struct told *told)
{
    char text[128];
    char *rest = NULL;
    uint32_t fire = 0;
    assert_true(event->ts >= window->start_us && event->ts < window->end_us);
    told->records++;
    (void)snprintf(text, sizeof text, "%.*s", event->has_s ? (int)event->s.len : 0, event->s.data);
    for (char *word = strtok_r(text, ";", &rest); word; word = strtok_r(NULL, ";", &rest))
        fire |= obey(ctx, word, told);
    return (enum leat_fire)fire;
}

/* Times that end in 5 purge as well, those in 7 set another one, those in 66 are refused; all others fire, as the
 * last one of all does. */
static enum leat_fire obeying__on_timer(struct leat_ctx *ctx, int64_t us, enum leat_time_kind kind,
    const struct leat_bounds *window, struct told *told)
{
    assert_true(window->end_us > window->start_us);
    told->timers++;
    if (us == LEAT_TIME_MAX)
        return LEAT_FIRE;
    if (us % 10 == 5)
        return LEAT_FIRE_AND_PURGE;
    if (us % 10 == 7)
        leat_timer_set(ctx, kind, us + 1);
    if (us % 100 == 66) {
        leat_timer_set(ctx, kind, us + 100);
        leat_fail(ctx, "refused the timer");
    }
    return us % 10 == 7 ? LEAT_CONTINUE : LEAT_FIRE;
}

/* Sets a timer for seven records, and refuses nine. */
static void obeying__merge(struct leat_ctx *ctx, struct told *into, const struct told *from)
{
    into->records += from->records;
    if (into->records == 7)
        leat_timer_set(ctx, LEAT_EVENT_TIME, 25);
    if (into->records == 9)
        leat_fail(ctx, "refused nine");
    into->timers += from->timers;
}
LEAT_DEFINE_TRIGGER(obeying, agg_event, told);

/* ---- files ---- */

static leat_stream *declare_case(const struct case_setup *setup)
{
    agg_event_type = *case_type(setup, "event");
    assert_int_equal(agg_event_type.size, sizeof(struct agg_event));
    return agg_declare_triggered(
        setup->inputs[0], setup->file->operator_name, case_type(setup, "result"), NULL, &obeying_trigger);
}

static void run_file(void **path)
{
    char line[256] = "";
    FILE *file = fopen(*path, "r");
    assert_non_null(file);
    while (strncmp(line, "operator ", 9) != 0)
        assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    line[strcspn(line, "\n")] = 0;
    const struct case_operator operator_of_file = { line + 9, declare_case };
    case_run_file(*path, &operator_of_file, 1);
}

static int run_files(const char *pattern)
{
    glob_t found = { 0 };
    if (glob(pattern, 0, NULL, &found) != 0) {
        (void)fprintf(stderr, "no case files: run from the top of the repository\n");
        return 1;
    }
    struct CMUnitTest *tests = calloc(found.gl_pathc, sizeof *tests);
    for (size_t i = 0; tests && i < found.gl_pathc; i++)
        tests[i] = (struct CMUnitTest){ found.gl_pathv[i], run_file, NULL, NULL, found.gl_pathv[i] };
    const int failed = tests ? _cmocka_run_group_tests("files", tests, found.gl_pathc, NULL, NULL) : 1;
    globfree(&found);
    free(tests);
    return failed;
}

int main(void)
{
    return run_files("tests/operators/window_triggers/*.case") +
        run_files("tests/operators/sliding_triggers/*.case") +
        run_files("tests/operators/session_triggers/*.case") +
        run_files("tests/operators/count_aggregate/*.case");
}
