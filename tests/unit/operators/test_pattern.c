/* tests/unit/operators/test_pattern.c -- pattern detection: as text (tests/operators/pattern/), and random
 * patterns against their definition. */
#include "base/alloc.h"
#include "record/copy.h"
#include "tests/support/cases.h"
#include "tests/support/pattern_script.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- case files: the operator's name is the pattern, with _ for blanks ---- */

static void script_of(const char *name, char *text)
{
    for (; *name; name++)
        *text++ = *name == '_' ? ' ' : *name;
    *text = '\0';
}

static leat_stream *declare_case(const struct case_setup *setup)
{
    char text[PATTERN_SCRIPT_BYTES];
    script_of(setup->file->operator_name, text);
    return pattern_script_declare(setup->inputs[0], text);
}

/* Fields made by expressions. */
static leat_stream *declare_fields(const struct case_setup *setup)
{
    return leat_pattern(leat_group_by(setup->inputs[0], "by-k", "k"), "pattern",
        &(struct leat_pattern_opts){ .steps = { { .name = "low", .where = "v < 10" },
                                         { .name = "rise",
                                             .where = "v > previous.v and v > 2 * low.v",
                                             .times_min = 1,
                                             .times_max = LEAT_UNBOUNDED },
                                         { .name = "fall", .where = "v < rise.v" } },
            .within_us = 100,
            .skip = LEAT_SKIP_PAST_LAST,
            .match = { .out = case_type(setup, "found"),
                .fields = { { "low.v", "low" }, { "rise.v", "high" }, { "rise_count", "rises" },
                    { "match_start", "since" }, { "match_end", "until" }, { "low.k || '!'", "text" } } } });
}

static void run_file(void **path)
{
    char *name = NULL;
    size_t size = 0;
    FILE *file = fopen(*path, "r");
    assert_non_null(file);
    while (getline(&name, &size, file) > 0 && strncmp(name, "operator ", 9) != 0)
        ;
    (void)fclose(file);
    name[strcspn(name, "\n")] = '\0';
    const bool fields = strcmp(name + 9, "fields") == 0;
    const struct case_operator op = { name + 9, fields ? declare_fields : declare_case };
    case_run_file(*path, &op, 1);
    free(name);
}

/* ---- random patterns against the definition ---- */

enum { ROWS_MAX = 14, MATCHES_MAX = 20000 };

struct oracle {
    const struct pattern_script *script;
    int64_t v[ROWS_MAX], ts[ROWS_MAX];
    uint32_t count;
    int at[ROWS_MAX]; /* rows taken so far, */
    uint32_t step[ROWS_MAX]; /* and for which step */
    uint32_t taken;
    char **told;
    uint32_t told_count;
};

static uint64_t next_random(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 33;
}

/* Conditions of random patterns are "v == n". */
static bool fits(const struct oracle *o, const char *condition, int row)
{
    return !condition || strtoll(strstr(condition, "== ") + 3, NULL, 10) == o->v[row];
}

static bool forbidden(const struct oracle *o, uint32_t from_step, uint32_t to_step, int from, int row)
{
    for (uint32_t s = from_step + 1; s < to_step; s++) {
        const struct leat_pattern_step *step = &o->script->opts.steps[s];
        if (!step->not_)
            continue;
        const int last = step->contiguity == LEAT_NEXT ? from + 1 : row;
        for (int i = from + 1; i <= last && i <= row; i++)
            if (fits(o, step->where, i))
                return true;
    }
    return false;
}

static void tell_match(struct oracle *o, int64_t at)
{
    char text[512] = "";
    size_t len = 0;
    for (uint32_t step = 0; step < o->script->steps_count; step++)
        for (uint32_t i = 0; i < o->taken; i++)
            if (o->step[i] == step)
                len += (size_t)snprintf(text + len, sizeof text - len, "%s%c%lld", len ? " " : "",
                    (char)('a' + step), (long long)o->v[o->at[i]]);
    (void)snprintf(text + len, sizeof text - len, " @%lld", (long long)at);
    if (o->told_count < MATCHES_MAX)
        o->told[o->told_count++] = strdup(text);
}

/* Whether an edge to `target` (the step itself: once more) may take `row`, the first that it can for what is
 * not ANY; `from` was taken last. Greedy edges are looked at by the caller. */
static bool may_take(
    const struct oracle *o, uint32_t from_step, uint32_t target, bool repeat, int from, int row)
{
    const struct leat_pattern_step *step = &o->script->opts.steps[target];
    const enum leat_contiguity contiguity = repeat ? step->inner : step->contiguity;
    if (!fits(o, step->where, row) || (!repeat && forbidden(o, from_step, target, from, row)))
        return false;
    for (int i = from + 1; repeat && step->until && i <= row; i++)
        if (fits(o, step->until, i))
            return false;
    if (contiguity == LEAT_NEXT)
        return row == from + 1;
    for (int i = from + 1; contiguity != LEAT_FOLLOWED_BY_ANY && i < row; i++)
        if (fits(o, step->where, i) && (repeat || !forbidden(o, from_step, target, from, i)))
            return false; /* that one was taken */
    return true;
}

static void go_on(struct oracle *o, uint32_t step, uint32_t count);

static void take(struct oracle *o, uint32_t step, uint32_t count, int row)
{
    o->at[o->taken] = row;
    o->step[o->taken++] = step;
    go_on(o, step, count);
    o->taken--;
}

static uint32_t times_max(const struct leat_pattern_step *step)
{
    return step->times_min || step->times_max ? step->times_max : 1;
}
static uint32_t times_min(const struct leat_pattern_step *step)
{
    return step->times_min ? step->times_min : 1;
}

/* The match is there when all steps behind are optional, or must not come (and then at the end of its time). */
static void end_here(struct oracle *o, uint32_t step, int from, bool at_end)
{
    const struct leat_pattern_opts *p = &o->script->opts;
    bool waits = false;
    for (uint32_t s = step + 1; s < o->script->steps_count; s++) {
        if (!p->steps[s].optional && !p->steps[s].not_)
            return;
        waits |= p->steps[s].not_;
    }
    const int64_t start = o->ts[o->at[0]];
    int last = from;
    if (waits != at_end)
        return;
    while (waits && last + 1 < (int)o->count && o->ts[last + 1] < start + p->within_us)
        last++;
    if (waits && forbidden(o, step, o->script->steps_count, from, last))
        return;
    tell_match(o, waits ? start + p->within_us - 1 : o->ts[from]);
}

static void go_on(struct oracle *o, uint32_t step, uint32_t count)
{
    const struct leat_pattern_opts *p = &o->script->opts;
    const int from = o->at[o->taken - 1];
    const int64_t start = o->ts[o->at[0]];
    const bool enough = count >= times_min(&p->steps[step]);
    if (enough)
        end_here(o, step, from, false);
    for (int row = from + 1; row < (int)o->count; row++) {
        if (p->within_us && o->ts[row] >= start + p->within_us)
            break;
        if (count < times_max(&p->steps[step]) && may_take(o, step, step, true, from, row)) {
            take(o, step, count + 1, row);
            if (p->steps[step].greedy)
                return;
        }
        for (uint32_t t = step + 1; enough && t < o->script->steps_count; t++) {
            if (p->steps[t].not_)
                continue;
            if (may_take(o, step, t, false, from, row)) {
                take(o, t, 1, row);
                if (p->steps[t].greedy)
                    return;
            }
            if (!p->steps[t].optional)
                break;
        }
    }
    if (enough)
        end_here(o, step, from, true); /* and nothing greedy has taken it away */
}

static void search(struct oracle *o)
{
    for (int row = 0; row < (int)o->count; row++)
        for (uint32_t s = 0; s < o->script->steps_count; s++) {
            if (o->script->opts.steps[s].not_)
                continue;
            if (fits(o, o->script->opts.steps[s].where, row))
                take(o, s, 1, row);
            if (!o->script->opts.steps[s].optional)
                break;
        }
}

static const char *pick(uint64_t *random, const char *const *of, uint32_t count)
{
    return of[next_random(random) % count];
}

/* A pattern whose meaning the oracle's words can say: no skipping. */
static void random_pattern(uint64_t *random, char *text, size_t size)
{
    static const char *const contiguities[] = { "", "next ", "any ", "" };
    static const char *const times[] = { "", "", " times 1 0", " times 2 2", " times 1 3", " times 2 0" };
    static const char *const inners[] = { "", " inner next", " inner any" };
    const uint32_t steps = 1 + (uint32_t)next_random(random) % 4;
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t s = 0; s < steps; s++) {
        const bool is_not = s > 0 && next_random(random) % 5 == 0;
        const bool last = s == steps - 1;
        const char *contiguity = is_not && last ? "" : pick(random, contiguities, 4);
        if (is_not) {
            len += (size_t)snprintf(text + len, size - len, "%snot %c: v == %d;", contiguity, (char)('a' + s),
                (int)(next_random(random) % 3));
            continue;
        }
        const char *t = pick(random, times, 6);
        const bool many = *t != '\0';
        const bool optional = next_random(random) % 4 == 0;
        len += (size_t)snprintf(text + len, size - len, "%s%s%s%c%s%s%s: v == %d;", contiguity,
            optional ? "opt " : "", (many || optional) && next_random(random) % 4 == 0 ? "greedy " : "",
            (char)('a' + s), t, many ? pick(random, inners, 3) : "",
            many && next_random(random) % 6 == 0 ? " until-v 9" : "", (int)(next_random(random) % 3));
    }
    (void)snprintf(text + len, size - len, "within %d;", 4 + (int)(next_random(random) % 20));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void push_row(struct harness *h, struct leat_batch *batch, int64_t v, int64_t ts)
{
    struct pattern_row row = { .k = LEAT_SV("key"), .v = v, .ts = ts };
    struct leat_copier *copier;
    (void)h;
    assert_int_equal(leat__copier_new(&pattern_row_type, &copier), 0);
    batch->event_us[batch->count] = ts;
    assert_int_equal(leat__copy_push(copier, batch, &row), 0);
    leat__copier_free(copier);
}

/* What the engine finds: rows in some order within their watermark, which comes now and then. */
static void run_engine(
    const struct oracle *o, const char *text, uint64_t seed, char **told, uint32_t *told_count)
{
    uint64_t random = seed;
    uint32_t order[ROWS_MAX];
    const bool with_store = next_random(&random) % 2;
    const struct harness_opts opts = { .with_store = with_store, .budget_bytes = with_store };
    leat_topology *t = leat_topology_new("pattern");
    struct harness *h =
        harness_new(pattern_script_declare(harness_source(t, "in", &pattern_row_type, "ts"), text), &opts);
    for (uint32_t i = 0; i < o->count; i++)
        order[i] = i;
    uint32_t done = 0; /* rows before it are behind the watermark */
    while (done < o->count) {
        const uint32_t some = 1 + (uint32_t)next_random(&random) % (o->count - done);
        struct leat_batch *batch = harness_rows(h, 0);
        for (uint32_t i = 0; i < some; i++) { /* shuffled, but rows of equal times */
            const uint32_t k = done + i + (uint32_t)next_random(&random) % (some - i);
            bool free = true;
            for (uint32_t m = done + i; m <= k; m++)
                free &= m == k || o->ts[order[m]] != o->ts[order[k]];
            const uint32_t chosen = free ? k : done + i, row = order[chosen];
            memmove(&order[done + i + 1], &order[done + i], (chosen - done - i) * sizeof *order);
            order[done + i] = row;
            push_row(h, batch, o->v[row], o->ts[row]);
        }
        FAIL_UNLESS(harness_batch(h, 0, batch) == 0, "%s", h->error.message);
        done += some;
        if (done < o->count && o->ts[done] - 1 > o->ts[done - 1] - 1 && o->ts[done] > o->ts[done - 1])
            assert_int_equal(harness_watermark(h, 0, o->ts[done] - 1), 0);
        else if (done < o->count) { /* rows of one time are on both sides: no watermark between */
            continue;
        }
    }
    FAIL_UNLESS(harness_end(h, 0) == 0, "%s: %s", text, h->error.message);
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t r = 0; h->outs[i].port == 0 && r < h->outs[i].batch->count; r++) {
            const struct pattern_told *row = leat_batch_at(h->outs[i].batch, r);
            char *line = NULL;
            assert_true(asprintf(&line, "%.*s @%lld", (int)row->what.len, row->what.data,
                            (long long)h->outs[i].batch->event_us[r]) > 0);
            if (*told_count < MATCHES_MAX)
                told[(*told_count)++] = line;
        }
    harness_free(h);
    leat_topology_free(t);
}

static void free_told(char **told, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(told[i]);
    free(told);
}

static void compare_one(uint64_t seed)
{
    uint64_t random = seed;
    char text[PATTERN_SCRIPT_BYTES];
    struct pattern_script script;
    struct oracle o = { .script = &script, .told = calloc(MATCHES_MAX, sizeof(char *)) };
    char **told = calloc(MATCHES_MAX, sizeof *told);
    uint32_t told_count = 0;
    random_pattern(&random, text, sizeof text);
    pattern_script_parse(&script, text);
    o.count = 1 + (uint32_t)next_random(&random) % ROWS_MAX;
    for (uint32_t i = 0; i < o.count; i++) {
        o.ts[i] = (i ? o.ts[i - 1] : 10) + (int64_t)(next_random(&random) % 4);
        o.v[i] = next_random(&random) % 8 ? (int64_t)(next_random(&random) % 3) : 9;
    }
    search(&o);
    run_engine(&o, text, seed * 7 + 1, told, &told_count);
    qsort(o.told, o.told_count, sizeof *o.told, by_text);
    qsort(told, told_count, sizeof *told, by_text);
    for (uint32_t i = 0; i < o.told_count || i < told_count; i++) {
        const char *want = i < o.told_count ? o.told[i] : "nothing more",
                   *got = i < told_count ? told[i] : "nothing more";
        if (strcmp(want, got) == 0)
            continue;
        for (uint32_t r = 0; r < o.count; r++)
            print_error("  row %lld @%lld\n", (long long)o.v[r], (long long)o.ts[r]);
        fail_msg("seed %llu: %s: match %u of %u, %u: wanted %s, got %s", (unsigned long long)seed, text, i,
            o.told_count, told_count, want, got);
    }
    free_told(o.told, o.told_count);
    free_told(told, told_count);
}

static void test_patterns__given_any__then_matches_are_what_their_definition_says(void **unused)
{
    const char *rounds = getenv("LEAT_ROUNDS"), *seed = getenv("LEAT_SEED");
    const uint64_t count = rounds ? strtoull(rounds, NULL, 10) : 600,
                   first = seed ? strtoull(seed, NULL, 10) : 1;
    (void)unused;
    for (uint64_t i = 0; i < count; i++)
        compare_one(first + i);
}

/* ---- frequencies are patterns ---- */

static void test_frequency__given_any__then_as_the_pattern_that_takes_so_many(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed < 200; seed++) {
        uint64_t random = seed;
        struct oracle o = { .count = ROWS_MAX };
        char **told[2], pattern[128], frequency[128];
        uint32_t counts[2] = { 0, 0 };
        const int n = 1 + (int)(next_random(&random) % 4), within = 1 + (int)(next_random(&random) % 12);
        const bool overlapping = next_random(&random) % 2;
        for (uint32_t i = 0; i < o.count; i++) {
            o.ts[i] = (i ? o.ts[i - 1] : 10) + (int64_t)(next_random(&random) % 4);
            o.v[i] = (int64_t)(next_random(&random) % 2);
        }
        (void)snprintf(pattern, sizeof pattern, "a times %d %d: v == 1; within %d; skip %s", n, n, within,
            overlapping ? "next" : "past");
        (void)snprintf(frequency, sizeof frequency, "frequency %d%s; a: v == 1; within %d", n,
            overlapping ? " overlapping" : "", within);
        for (uint32_t i = 0; i < 2; i++) {
            told[i] = calloc(MATCHES_MAX, sizeof *told[i]);
            run_engine(&o, i ? frequency : pattern, seed + i, told[i], &counts[i]);
        }
        FAIL_UNLESS(counts[0] == counts[1], "seed %llu: %s: %u, not %u", (unsigned long long)seed, frequency,
            counts[1], counts[0]);
        for (uint32_t i = 0; i < counts[0]; i++)
            FAIL_UNLESS(strcmp(told[0][i], told[1][i]) == 0, "%s, not %s", told[1][i], told[0][i]);
        free_told(told[0], counts[0]);
        free_told(told[1], counts[1]);
    }
}

/* ---- wrong declarations ---- */

static void test_declaration__given_a_mistake__then_it_is_told(void **unused)
{
    static const struct {
        const char *text, *want;
    } mistakes[] = {
        { "within 5", "steps: none given" },
        { "A: v == 1", "steps[0].name: \"A\" is no name of a step" },
        { "v: v == 1", "steps[0].name: pattern_row has a field \"v\"" },
        { "previous: v == 1", "\"previous\" is the record that was taken last" },
        { "a: v == 1; a: v == 2", "steps[1].name: the name \"a\" is taken by steps[0]" },
        { "a: v + 1", " v + 1 is no condition: it must be true or false" },
        { "a: w == 1", "no field \"w\"" },
        { "a: v == 1; b: v > c.v", "steps[1].where: " },
        { "a times 3 2: v == 1", "times_max 2 is less than times_min 3" },
        { "not a: v == 1; b: v == 2", "steps[0].not_: a pattern begins with a record" },
        { "a: v == 1; not b: v == 2", "it would never be known that it has not: set .within_us" },
        { "a: v == 1; next not b: v == 2; within 5", "contiguity LEAT_NEXT is not for it" },
        { "a: v == 1; not opt b: v == 2; c", "\"b\" is a step with `not_` and takes no record" },
        { "greedy a: v == 1", "`greedy` is for steps with times, or optional ones" },
        { "a until-v 9: v == 1", "`until` ends the taking of more records, and \"a\" takes one" },
        { "a: v == 1; skip first", "skip_to: missing" },
        { "a: v == 1; skip past a", "skip_to: given, but .skip is neither" },
        { "a: v == 1; skip first z", "skip_to: \"z\" is no step that takes a record" },
        { "a: v == 1; timed-out", "timed_out: nothing is timed out: set .within_us" },
    };
    (void)unused;
    for (uint32_t i = 0; i < COUNT_OF(mistakes); i++) {
        leat_topology *t = leat_topology_new("wrong");
        (void)pattern_script_declare(harness_source(t, "in", &pattern_row_type, "ts"), mistakes[i].text);
        FAIL_UNLESS(leat_topology_errors_count(t) > 0, "%s: no error", mistakes[i].text);
        const char *message = leat_topology_error(t, 0)->message;
        FAIL_UNLESS(strstr(message, mistakes[i].want) && strstr(message, "pattern \"pattern\""),
            "%s: %s, not: %s", mistakes[i].text, message, mistakes[i].want);
        leat_topology_free(t);
    }
}

static void test_runs__given_too_many__then_the_job_fails_naming_key_and_remedy(void **unused)
{
    (void)unused;
    leat_topology *t = leat_topology_new("many");
    struct harness *h = harness_new(pattern_script_declare(harness_source(t, "in", &pattern_row_type, "ts"),
                                        "a: v == 1; any b: v == 2; runs 5"),
        NULL);
    struct leat_batch *batch = harness_rows(h, 0);
    for (int64_t i = 0; i < 6; i++)
        push_row(h, batch, 1, i);
    assert_int_equal(harness_batch(h, 0, batch), 0);
    assert_int_equal(harness_watermark(h, 0, 100), LEAT_ELIMIT);
    FAIL_UNLESS(
        strstr(h->error.message, "k \"key\" has more than 5 runs") && strstr(h->error.message, ".within_us"),
        "%s", h->error.message);
    harness_free(h);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequency__given_any__then_as_the_pattern_that_takes_so_many),
        cmocka_unit_test(test_declaration__given_a_mistake__then_it_is_told),
        cmocka_unit_test(test_runs__given_too_many__then_the_job_fails_naming_key_and_remedy),
        cmocka_unit_test(test_patterns__given_any__then_matches_are_what_their_definition_says),
    };
    struct CMUnitTest files[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/pattern/*.case", 0, NULL, &found) != 0) {
        print_error("there are no case files; run me at the top of the project\n");
        return 1;
    }
    for (; count < found.gl_pathc && count < COUNT_OF(files); count++)
        files[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("cases", files, count, NULL, NULL);
    globfree(&found);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
