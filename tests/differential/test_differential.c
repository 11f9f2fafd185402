/* tests/differential/test_differential.c -- random plans in the engine and in the oracle: both must say the same.
 *
 * LEAT_SEED is the first seed (1), LEAT_ROUNDS how many (500; with LEAT_SEED: 1). LEAT_PLAN runs the plan in a file
 * instead, and shows all of it; LEAT_MISTAKES=1 looks for the oracle's mistakes in such plans, too; LEAT_SHOW=1 only
 * prints the plans; LEAT_SLOW=n names those that take n milliseconds.
 * What differs is made small and written below $TMPDIR as a plan that can be put into tests/differential/found/, where
 * every run replays it. When the engine stops the process the seed is told. */
#include "base/env.h"
#include "tests/differential/run.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 500, REASONS_MAX = 64 };

/* Why plans were refused, and how many for each reason. */
static struct {
    char text[96];
    uint64_t count;
} reasons[REASONS_MAX];
static size_t reasons_count;
static uint64_t plans_run, plans_refused, plans_restored, plans_idle;
static uint64_t sinks_exact, sinks_final, sinks_nothing,
    sinks_idle; /* _idle: compared, where splits fall silent */
#define KEPT UINT64_MAX /* instead of a seed: a plan of found/ */
static uint64_t mistake_seed[MISTAKES]; /* that has shown it; 0: none */

static void note_refused(const char *text)
{
    const char *after = strstr(text, "\": ");
    char reason[sizeof reasons[0].text];
    (void)snprintf(reason, sizeof reason, "%.90s", after ? after + 3 : text);
    size_t i = 0;
    while (i < reasons_count && strcmp(reasons[i].text, reason) != 0)
        i++;
    if (i == reasons_count && reasons_count < REASONS_MAX)
        memcpy(reasons[reasons_count++].text, reason, sizeof reason);
    if (i < REASONS_MAX)
        reasons[i].count++;
    plans_refused++;
}

/* Other plans than the suite's were asked for. */
static bool is_asked(void)
{
    return getenv("LEAT_SEED") || getenv("LEAT_ROUNDS") || getenv("LEAT_PLAN");
}

/* Other plans are asked about mistakes only with LEAT_MISTAKES. */
static bool looks_for_mistakes(void)
{
    return !is_asked() || getenv("LEAT_MISTAKES");
}

static void look_for_mistakes(const struct plan *plan, const struct run_outcome *outcome, uint64_t seed)
{
    for (int mistake = ORACLE_RIGHT + 1; mistake < MISTAKES; mistake++) {
        if (mistake_seed[mistake])
            continue;
        struct oracle_answer *answer = oracle_ask(plan, (enum oracle_mistake)mistake);
        char *text = compare_outcome(plan, answer, outcome);
        if (text)
            mistake_seed[mistake] = seed;
        free(text);
        oracle_free(answer);
    }
}

static void count_levels(const struct plan *plan, const struct oracle_answer *answer)
{
    plans_idle += plan_idles(plan);
    for (size_t i = 0; i < answer->count; i++) {
        sinks_idle += plan_idles(plan) && answer->sinks[i].level > ORACLE_NOTHING;
        sinks_exact += answer->sinks[i].level == ORACLE_EXACT;
        sinks_final += answer->sinks[i].level == ORACLE_FINAL;
        sinks_nothing += answer->sinks[i].level == ORACLE_NOTHING;
    }
}

/* The differences, malloc'd, or NULL. With a seed it is counted, and used to look for mistakes. */
static char *differences(const struct plan *plan, uint64_t seed)
{
    struct run_outcome *outcome = run_plan(plan);
    char *text = NULL;
    if (outcome->result != RUN_REFUSED) {
        struct oracle_answer *answer = oracle_ask(plan, ORACLE_RIGHT);
        text = compare_outcome(plan, answer, outcome);
        if (seed) {
            plans_run++;
            plans_restored += outcome->restores > 0;
            count_levels(plan, answer);
            if (!text && looks_for_mistakes())
                look_for_mistakes(plan, outcome, seed);
        }
        oracle_free(answer);
    } else if (seed) {
        note_refused(outcome->text);
    }
    run_free(outcome);
    return text;
}

static bool differs(const struct plan *plan)
{
    char *text = differences(plan, 0);
    free(text);
    return text != NULL;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- plans that were found ---- */

static struct plan *read_plan(const char *path)
{
    FILE *file = fopen(path, "r");
    int line;
    if (!file)
        fail_msg("%s: can not be read", path);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    const size_t len = fread(text, 1, (1 << 20) - 1, file);
    assert_true(len < (1 << 20) - 1);
    (void)fclose(file);
    struct plan *plan = plan_parse(text, &line);
    FAIL_UNLESS(plan, "%s: line %d is no part of a plan", path, line);
    free(text);
    return plan;
}

static int replay(void *arg, const char *path, bool is_dir)
{
    int *failures = arg;
    (void)is_dir;
    struct plan *plan = read_plan(path);
    struct run_outcome *outcome = run_plan(plan);
    struct oracle_answer *answer = oracle_ask(plan, ORACLE_RIGHT);
    char *text = outcome->result == RUN_REFUSED ? NULL : compare_outcome(plan, answer, outcome);
    if (text || outcome->result == RUN_REFUSED) {
        print_error("%s:\n%s", path, text ? text : outcome->text);
        (*failures)++;
    } else if (looks_for_mistakes()) {
        look_for_mistakes(plan, outcome, KEPT);
    }
    free(text);
    oracle_free(answer);
    run_free(outcome);
    plan_free(plan);
    return 0;
}

static void test_differential__given_plans_that_have_differed__then_they_do_no_more(void **state)
{
    (void)state;
    struct leat_env *env = leat__env_posix();
    struct leat_error err = { 0 };
    int failures = 0;
    const char *path = getenv("LEAT_PLAN");
    if (path)
        (void)replay(&failures, path, false);
    else
        (void)env->fs_glob(env, "tests/differential/found/*.plan", replay, &failures, &err);
    assert_int_equal(failures, 0);
}

/* ---- random plans ---- */

static uint64_t running_seed;

/* The engine has found a bug of its own, or has one that it has not. */
static void tell_seed(int sig)
{
    (void)fprintf(stderr, "the process has stopped in seed %" PRIu64 "\n", running_seed);
    (void)signal(sig, SIG_DFL);
    (void)raise(sig);
}

static void print_plan(const struct plan *plan)
{
    char *text = plan_print(plan);
    (void)fputs(text, stdout);
    free(text);
}

/* As differences(), with the time it takes. */
static char *run_seed(const struct plan *plan, uint64_t seed)
{
    const uint64_t slow_ms = number_from("LEAT_SLOW", UINT64_MAX);
    struct leat_env *env = leat__env_posix();
    const int64_t before = env->mono_ns(env);
    running_seed = seed;
    char *text = differences(plan, seed);
    const uint64_t took_ms = (uint64_t)(env->mono_ns(env) - before) / 1000000;
    if (took_ms >= slow_ms)
        print_message("seed %" PRIu64 ": %" PRIu64 " ms\n", seed, took_ms);
    return text;
}

static void write_plan(const char *text, uint64_t seed)
{
    char path[256];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/leat-%" PRIu64 ".plan", tmp ? tmp : "/tmp", seed);
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    (void)fputs(text, file);
    (void)fclose(file);
    print_error("written to %s\n", path);
}

static void report(struct plan *plan, uint64_t seed, const char *text)
{
    print_error("seed %" PRIu64 " (LEAT_SEED=%" PRIu64 " replays it):\n%s", seed, seed, text);
    plan = plan_shrink(plan, differs);
    char *shrunk = plan_print(plan), *now = differences(plan, 0);
    print_error(
        "made small:\n%s%s", shrunk, now ? now : "  and does not differ any more: it depends on timing\n");
    write_plan(shrunk, seed);
    free(shrunk);
    free(now);
    plan_free(plan);
}

static void show_progress(uint64_t done, uint64_t rounds, uint64_t failures)
{
    if (rounds <= ROUNDS || done % 1000 != 0)
        return;
    print_message("%" PRIu64 " of %" PRIu64 " plans, %" PRIu64 " differ\n", done, rounds, failures);
    (void)fflush(stdout);
}

static void test_differential__given_random_plans__then_the_engine_says_what_the_oracle_says(void **state)
{
    (void)state;
    const uint64_t first = number_from("LEAT_SEED", 1);
    const uint64_t rounds = number_from("LEAT_ROUNDS", getenv("LEAT_SEED") ? 1 : ROUNDS);
    const uint64_t failures_max = number_from("LEAT_FAILURES", 3);
    uint64_t failures = 0;
    for (uint64_t i = 0; i < rounds && failures < failures_max && !getenv("LEAT_PLAN"); i++) {
        struct plan *plan = plan_generate(first + i);
        if (getenv("LEAT_SHOW"))
            print_plan(plan);
        char *text = getenv("LEAT_SHOW") ? NULL : run_seed(plan, first + i);
        show_progress(i, rounds, failures);
        if (!text) {
            plan_free(plan);
            continue;
        }
        failures++;
        report(plan, first + i, text);
        free(text);
    }
    print_message("%" PRIu64 " plans run (%" PRIu64 " of them with a restore), %" PRIu64
                  " skipped; sinks: %" PRIu64 " exact, %" PRIu64 " by their end, %" PRIu64 " not compared\n",
        plans_run, plans_restored, plans_refused, sinks_exact, sinks_final, sinks_nothing);
    print_message("splits fall silent in %" PRIu64 " of them, %" PRIu64 " sinks of which were compared\n",
        plans_idle, sinks_idle);
    for (size_t i = 0; i < reasons_count; i++)
        print_message("skipped %" PRIu64 ": %s\n", reasons[i].count, reasons[i].text);
    assert_int_equal(failures, 0);
}

static void test_differential__given_an_oracle_with_a_mistake__then_it_is_found(void **state)
{
    (void)state;
    int found = 0;
    if (!looks_for_mistakes())
        SKIP_BECAUSE("other plans than the suite's were asked for");
    for (int mistake = ORACLE_RIGHT + 1; mistake < MISTAKES; mistake++) {
        found += mistake_seed[mistake] > 0;
        if (mistake_seed[mistake] == KEPT)
            print_message("mistake %d: shown by a plan that is kept\n", mistake);
        else if (mistake_seed[mistake])
            print_message("mistake %d: shown by plan %" PRIu64 "\n", mistake, mistake_seed[mistake]);
        else
            print_message("mistake %d: not shown\n", mistake);
    }
    assert_int_equal(found, MISTAKES - 1);
}

static void test_plan__given_its_text__when_read__then_it_is_the_same_plan(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct plan *plan = plan_generate(seed);
        char *text = plan_print(plan);
        int line;
        assert_true(plan_is_sound(plan));
        struct plan *again = plan_parse(text, &line);
        FAIL_UNLESS(again, "seed %" PRIu64 ": line %d of\n%s", seed, line, text);
        char *text_again = plan_print(again);
        assert_string_equal(text, text_again);
        free(text);
        free(text_again);
        plan_free(plan);
        plan_free(again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan__given_its_text__when_read__then_it_is_the_same_plan),
        cmocka_unit_test(test_differential__given_random_plans__then_the_engine_says_what_the_oracle_says),
        cmocka_unit_test(test_differential__given_plans_that_have_differed__then_they_do_no_more),
        cmocka_unit_test(test_differential__given_an_oracle_with_a_mistake__then_it_is_found),
    };
    (void)signal(SIGABRT, tell_seed);
    (void)signal(SIGSEGV, tell_seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
