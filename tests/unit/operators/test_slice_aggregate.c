/* tests/unit/operators/test_slice_aggregate.c -- windows that are put together from slices: the same output as
 * window by window, over random windows, records and crashes; its rules at their bounds as text
 * (tests/operators/slice_aggregate/); nodes by number; work per call, and memory. */
#include "base/alloc.h"
#include "base/hash.h"
#include "operators/slice_aggregate_private.h"
#include "state/state.h"
#include "tests/support/aggregate_fixture.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- case files ---- */

/* Never fires, but only windows by themselves have it. */
#define BY_WINDOWS ",count=4611686018427387904"

static leat_stream *declare(const struct case_setup *setup, const char *more, const struct leat_op_class *op)
{
    char words[256];
    const struct leat_type *out = case_type(setup, "result");
    agg_event_type = *case_type(setup, "event");
    (void)snprintf(words, sizeof words, "%s%s", setup->file->operator_name, more);
    leat_stream *stream = agg_declare(setup->inputs[0], words, out, NULL);
    assert_ptr_equal(stream->node->op, op);
    return stream;
}

static leat_stream *declare_case(const struct case_setup *setup)
{
    return declare(setup, "", &leat__slice_aggregate_class);
}

static leat_stream *declare_by_windows(const struct case_setup *setup)
{
    return declare(setup, BY_WINDOWS, &leat__window_aggregate_class);
}

/* Each file twice: both operators say the same. */
static void run_file(void **path)
{
    static const char *const names[] = { "size=12,slide=4", "size=20,slide=8,offset=3", "size=12,step=4",
        "size=12,slide=4,lateness=5", "size=20,slide=8,lateness=6", "size=12,step=4,lateness=5",
        "size=9223372036854775807,slide=4611686018427387904" };
    struct case_operator operators[COUNT_OF(names)];
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        operators[i] = (struct case_operator){ names[i], declare_case };
    case_run_file(*path, operators, COUNT_OF(operators));
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        operators[i].declare = declare_by_windows;
    case_run_file(*path, operators, COUNT_OF(operators));
}

/* ---- random runs: slices, and window by window ---- */

#define STEPS 500u
/* A record, or a watermark. */
struct step {
    bool is_watermark;
    int64_t w; /* or the mark of a record; LEAT_TIME_MIN: none */
    struct agg_event event;
    char text[8];
};

struct plan {
    char words[128];
    bool has_tree; /* by its aggregates */
    struct step steps[STEPS];
};
static struct plan plan;

static void make_steps(int64_t scale)
{
    int64_t w = LEAT_TIME_MIN;
    int64_t front = agg_below(2) ? -200 * scale : (int64_t)agg_below(1000);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct step *step = &plan.steps[i];
        memset(step, 0, sizeof *step);
        step->w = LEAT_TIME_MIN;
        front += agg_below(4) * scale + (agg_below(60) == 0 ? 100 * scale : 0);
        if (agg_below(10) == 0 && front - 8 > w) {
            step->is_watermark = true;
            w = step->w = front - 8;
            continue;
        }
        struct agg_event *event = &step->event;
        event->ts = front - (int64_t)agg_below(agg_below(8) == 0 ? 60 : 12) * scale;
        if (event->ts <= w)
            step->w = w + (int64_t)agg_below(6) * scale;
        event->has_k = event->has_v = event->has_s = true;
        event->k = agg_below(5);
        event->has_v = agg_below(6) != 0;
        event->v = (int64_t)agg_below(2000) - 1000;
        (void)snprintf(step->text, sizeof step->text, "%u", agg_below(5000));
        event->s = leat_sv_of(step->text);
    }
}

static void make_plan(void)
{
    char kind[64], lateness[32] = "";
    const int64_t step = 8 + agg_below(12);
    const int64_t scale = 1 + agg_below(8);
    if (agg_below(3))
        (void)snprintf(
            kind, sizeof kind, "size=%" PRIi64 ",slide=%" PRIi64, step + 1 + agg_below(12 * 16), step);
    else
        (void)snprintf(kind, sizeof kind, "size=%" PRIi64 ",step=%" PRIi64, step * (2 + agg_below(9)), step);
    if (agg_below(2))
        (void)snprintf(lateness, sizeof lateness, ",lateness=%u", 1 + agg_below(60));
    (void)snprintf(
        plan.words, sizeof plan.words, "%s,offset=%d%s,ordered", kind, (int)agg_below(50) - 25, lateness);
    plan.has_tree = agg_below(2);
    make_steps(scale);
}

#define PANES \
    FIELD("k", OR_NULL("\"long\"")) \
    "," FIELD("window_start", "\"long\"") "," FIELD("window_end", "\"long\"") "," FIELD("pane", \
        "{\"type\":\"enum\",\"name\":\"p\",\"symbols\":[\"EARLY\",\"LATE\",\"ON_TIME\"]}") "," FIELD("pane_" \
                                                                                                     "inde" \
                                                                                                     "x", \
        "\"int\"") "," FIELD("n", "\"long\"") "," FIELD("values", "\"long\"") "," FIELD("total", \
        OR_NULL("\"long\"")) "," FIELD("mean", OR_NULL("\"double\""))
#define EXTREMES "," FIELD("lowest", OR_NULL("\"long\"")) "," FIELD("smax", OR_NULL("\"string\""))

/* `crashes`: with a store that spills, and from time to time a checkpoint that another instance goes on from. */
static void run_plan(uint32_t batch_rows, bool by_windows, bool crashes, struct leat_strbuf *text)
{
    struct agg_setup s;
    char words[256];
    struct leat_batch *batch = NULL;
    int64_t mark = LEAT_TIME_MIN;
    (void)snprintf(words, sizeof words, "%s%s", plan.words, by_windows ? BY_WINDOWS : "");
    agg_start(&s, words, plan.has_tree ? PANES EXTREMES : PANES,
        &(struct harness_opts){ .batch_rows = batch_rows,
            .with_store = crashes,
            .budget_bytes = crashes ? 1 + agg_below(30000) : 0 });
    assert_ptr_equal(
        s.h->node->op, by_windows ? &leat__window_aggregate_class : &leat__slice_aggregate_class);
    for (uint32_t i = 0; i <= STEPS; i++) {
        const struct step *step = i < STEPS ? &plan.steps[i] : NULL;
        if (batch && (!step || step->is_watermark || step->w != mark || batch->count == batch->capacity)) {
            assert_int_equal(harness_batch(s.h, 0, batch), 0);
            batch = NULL;
        }
        if (crashes && !batch && agg_below(4) == 0)
            assert_int_equal(harness_crash(s.h, NULL), 0);
        if (step && step->is_watermark)
            assert_int_equal(harness_watermark(s.h, 0, step->w), 0);
        if (!step || step->is_watermark)
            continue;
        if (!batch) {
            batch = harness_rows(s.h, 0);
            mark = batch->late_wm_us = step->w;
            batch->late = step->w != LEAT_TIME_MIN;
        }
        agg_put(batch, &step->event);
    }
    assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
    leat__strbuf_printf(text, "late %llu\n", (unsigned long long)s.h->counters.late_records);
    assert_int_equal(s.h->rows_count[1], s.h->counters.late_records);
    for (uint32_t i = 0; i < s.h->outs_count; i++) /* the late output is compared by its number of rows */
        if (s.h->outs[i].port == 1)
            s.h->outs[i].batch->count = 0;
    assert_int_equal(s.h->counters.state_keys, 0);
    agg_print_outs(s.h, text);
    agg_release(&s);
}

static void test_random_run__given_slices_or_windows_by_themselves__then_the_same_comes_out(void **unused)
{
    (void)unused;
    const uint32_t sizes[] = { 1, 7, 1024 };
    agg_seed();
    for (uint32_t round = 0; round < 40; round++) {
        struct leat_strbuf want = { 0 };
        make_plan();
        run_plan(1024, true, false, &want);
        for (uint32_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
            struct leat_strbuf got = { 0 };
            run_plan(sizes[i % COUNT_OF(sizes)], false, i >= COUNT_OF(sizes), &got);
            if (strcmp(want.data, got.data) != 0)
                fail_msg("%s, %s, batches of %u%s:\nwindows by themselves\n%s\nslices\n%s", plan.words,
                    plan.has_tree ? "tree" : "running", sizes[i % COUNT_OF(sizes)],
                    i >= COUNT_OF(sizes) ? ", crashes" : "", want.data, got.data);
            leat__strbuf_release(&got);
        }
        leat__strbuf_release(&want);
    }
}

/* ---- nodes ---- */

static void test_nodes__given_all_of_a_tree__then_numbers_are_unique_and_in_order(void **unused)
{
    (void)unused;
    for (uint32_t level = 0; level < 6; level++)
        for (int64_t j = -40; j < 40; j++) {
            const int64_t number = leat__node_number(level, j);
            assert_int_equal(leat__node_level(number), level);
            assert_int_equal(leat__node_j(number), j);
            /* Parents stand between their children. */
            assert_true(level == 0 || leat__node_number(level - 1, 2 * j) < number);
            assert_true(level == 0 || leat__node_number(level - 1, 2 * j + 1) > number);
        }
    for (uint32_t level = 0; level < 5; level++)
        for (int64_t number = -100; number < 100; number++) {
            int64_t want = number;
            while (want == -1 || leat__node_level(want) != level) /* no node has that number */
                want++;
            assert_int_equal(leat__node_of_level_from(level, number), want);
        }
}

/* ---- work per call, memory ---- */

static void put(struct agg_setup *s, struct leat_batch **batch, int64_t k, int64_t ts)
{
    if (*batch && (*batch)->count == (*batch)->capacity) {
        assert_int_equal(harness_batch(s->h, 0, *batch), 0);
        *batch = NULL;
    }
    if (!*batch)
        *batch = harness_rows(s->h, 0);
    agg_put(*batch, &(struct agg_event){ .has_k = true, .k = k, .has_v = true, .v = k, .ts = ts });
}

static void many_keys(const char *words, const char *fields)
{
    enum { KEYS = 50000 };
    struct agg_setup s;
    struct leat_batch *batch = NULL;
    agg_start(&s, words, fields, &(struct harness_opts){ .discard = true });
    for (int64_t k = 0; k < KEYS; k++)
        put(&s, &batch, k, k % 12);
    assert_int_equal(harness_batch(s.h, 0, batch), 0);
    const uint64_t steps = s.h->steps_count;
    assert_int_equal(
        harness_watermark(s.h, 0, LEAT_TIME_MAX), 0); /* the harness counts batches of each call */
    assert_true(s.h->steps_count - steps > 5 * (KEYS / 8192));
    assert_int_equal(s.h->rows_count[0], 3 * KEYS);
    assert_int_equal(s.h->counters.state_keys, 0);
    agg_release(&s);
}

static void test_firing__given_windows_of_many_keys__then_in_steps_and_each_key_once(void **unused)
{
    (void)unused;
    many_keys("size=12,slide=4", PANES);
    many_keys("size=12,slide=4", PANES EXTREMES);
}

static void test_late_windows__given_many_that_go_at_once__then_in_steps(void **unused)
{
    enum { SLICES = 2000, DROPS_PER_CALL = 128 };
    struct agg_setup s;
    (void)unused;
    agg_start(
        &s, "size=12,slide=4,lateness=100000", PANES EXTREMES, &(struct harness_opts){ .discard = true });
    for (int64_t i = 0; i < SLICES; i++) {
        struct leat_batch *batch = NULL;
        put(&s, &batch, 1, 4 * i);
        assert_int_equal(harness_batch(s.h, 0, batch), 0);
    }
    assert_int_equal(harness_watermark(s.h, 0, 4 * SLICES + 20), 0); /* all have fired, and are kept */
    const uint64_t steps = s.h->steps_count;
    const uint64_t rows = s.h->rows_count[0];
    assert_true(s.h->counters.state_keys > SLICES);
    assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
    assert_true(s.h->steps_count - steps >= SLICES / DROPS_PER_CALL);
    assert_int_equal(s.h->rows_count[0], rows);
    assert_int_equal(s.h->counters.state_keys, 0);
    agg_release(&s);
}

static void test_steady_state__given_windows_that_come_and_go__then_nothing_is_allocated_per_record(
    void **unused)
{
    (void)unused;
    const char *const fields[] = { PANES, PANES "," FIELD("lowest", OR_NULL("\"long\"")) };
    for (uint32_t f = 0; f < COUNT_OF(fields); f++) {
        struct agg_setup s;
        uint64_t before = 0;
        agg_start(&s, "size=96,slide=8", fields[f], &(struct harness_opts){ .discard = true });
        for (int64_t round = 0; round < 400; round++) {
            struct leat_batch *batch = NULL;
            for (int64_t k = 0; k < 200; k++)
                put(&s, &batch, k, round * 8 + k % 8);
            assert_int_equal(harness_batch(s.h, 0, batch), 0);
            assert_int_equal(harness_watermark(s.h, 0, round * 8), 0);
            if (round == 200)
                before = leat__alloc_calls();
        }
        assert_true(
            leat__alloc_calls() - before <= f * 2 * 200); /* a tree's nodes come and go: tables of some */
        agg_release(&s);
    }
}

static void add_file_tests(struct CMUnitTest *tests, const glob_t *files)
{
    for (size_t i = 0; i < files->gl_pathc; i++)
        tests[i] = (struct CMUnitTest){
            .name = files->gl_pathv[i], .test_func = run_file, .initial_state = files->gl_pathv[i]
        };
}

/* ---- parts of different watermarks ---- */

struct part {
    char bytes[1 + sizeof(int64_t)];
};

static struct part part_at(int64_t fired_us)
{
    struct part part = { { 1 } };
    memcpy(part.bytes + 1, &fired_us, sizeof fired_us);
    return part;
}

/* A subtask of so many goes on from these parts; then rows at 5 and 25 of one key, and watermarks 7 and 100. */
static int go_on_from(const int64_t *fired, uint32_t count, uint32_t subtask, uint32_t parallelism,
    struct leat_strbuf *text, char *message, size_t size)
{
    struct agg_setup s;
    struct part parts[8];
    struct leat_sv views[8];
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = part_at(fired[i]);
        views[i] = (struct leat_sv){ parts[i].bytes, sizeof parts[i].bytes };
    }
    agg_start(&s, "size=20,slide=10", FIELD("window_start", "\"long\"") "," FIELD("n", "\"long\""), NULL);
    s.h->ctx.subtask = subtask;
    s.h->ctx.parallelism = parallelism;
    const int code = s.h->node->op->restore(s.h->op, &s.h->ctx, views, count);
    (void)snprintf(message, size, "%s", s.h->error.message);
    if (code == 0) {
        struct leat_batch *batch = harness_rows(s.h, 0);
        agg_put(batch, &(struct agg_event){ .has_k = true, .k = 1, .ts = 5 });
        agg_put(batch, &(struct agg_event){ .has_k = true, .k = 1, .ts = 25 });
        assert_int_equal(harness_batch(s.h, 0, batch), 0);
        assert_int_equal(harness_watermark(s.h, 0, 7), 0);
        assert_int_equal(harness_watermark(s.h, 0, 100), 0);
        agg_print_outs(s.h, text);
    }
    agg_release(&s);
    return code;
}

static void test_restore__given_parts_of_different_watermarks__then_each_subtask_goes_on_from_its_own(
    void **unused)
{
    (void)unused;
    const int64_t two[] = { LEAT_TIME_MIN, 19 };
    const int64_t three[] = { 3, 3, 29 };
    static const char all[] = "0 {\"window_start\":-10,\"n\":1} @9\n0 {\"window_start\":0,\"n\":1} @19\n"
                              "0 {\"window_start\":10,\"n\":1} @29\n0 {\"window_start\":20,\"n\":1} @39\n";
    static const char late[] = "1 {\"k\":1,\"v\":null,\"d\":null,\"s\":null,\"ts\":5} @5\n"
                               "0 {\"window_start\":10,\"n\":1} @29\n0 {\"window_start\":20,\"n\":1} @39\n";
    const struct {
        const int64_t *fired;
        uint32_t count, subtask, parallelism;
        const char *outs;
    } cases[] = {
        { two, 2, 0, 2, all },
        { two, 2, 1, 2, late }, /* its own; 5 is late there, although no watermark has come yet */
        { two, 2, 1, 4, all },
        { two, 2, 2, 4, late },
        { two, 2, 3, 4, late }, /* keys are divided */
        { two, 2, 0, 1, late }, /* keys come together, and this one was with the second */
        { two, 2, 1, 3, late },
        { three, 3, 0, 2, all }, /* of those that agree */
        { three, 3, 1, 2, all },
        { three, 3, 0, 3, all },
        { three, 3, 1, 3, all },
    };
    for (uint32_t i = 0; i < COUNT_OF(cases); i++) {
        struct leat_strbuf text = { 0 };
        char message[1024];
        const int code = go_on_from(cases[i].fired, cases[i].count, cases[i].subtask, cases[i].parallelism,
            &text, message, sizeof message);
        FAIL_UNLESS(code == 0 && strcmp(text.data, cases[i].outs) == 0, "case %u: %d %s\n%s", i, code,
            message, text.data);
        leat__strbuf_release(&text);
    }
}

/* ---- keys of different watermarks that come together ---- */

#define OLD_SUBTASKS 3u
#define KEYS 12u
#define ROWS 160u

/* Rows in the order of time, each above the watermarks before it. */
static struct moment {
    int64_t k, ts;
    int64_t w; /* told behind it, or LEAT_TIME_MIN */
} moments[ROWS];

static void make_moments(void)
{
    int64_t front = 0, w = LEAT_TIME_MIN;
    for (uint32_t i = 0; i < ROWS; i++) {
        front += agg_below(4);
        const int64_t ts = front - agg_below(6);
        moments[i] = (struct moment){ agg_below(KEYS), ts <= w ? w + 1 : ts, LEAT_TIME_MIN };
        if (agg_below(5) == 0 && front - 6 > w)
            moments[i].w = w = front - 6;
    }
}

/* The group of the key of the only row. */
static uint32_t group_of(struct harness *h, struct leat_batch *batch)
{
    const struct leat_sv *keys;
    assert_int_equal(leat__key_eval(h->node->inputs[0].key, h->keys, &h->ctx.user, batch, &keys), 0);
    leat__key_hash(keys, batch);
    return leat__key_group(batch->key_hash[0], leat__state_key_groups(h->state));
}

/* Moments from .. to-1 to one of so many subtasks, watermarks up to `most`. */
static void put_moments(
    struct harness *h, uint32_t from, uint32_t to, uint32_t subtask, uint32_t parallelism, int64_t most)
{
    for (uint32_t i = from; i < to; i++) {
        const struct moment *m = &moments[i];
        struct leat_batch *batch = harness_rows(h, 0);
        agg_put(batch, &(struct agg_event){ .has_k = true, .k = m->k, .has_v = true, .v = i, .ts = m->ts });
        if (leat__key_group_owner(group_of(h, batch), 128, parallelism) == subtask)
            FAIL_UNLESS(harness_batch(h, 0, batch) == 0, "%s", h->error.message);
        else
            leat__batch_release(batch);
        if (m->w != LEAT_TIME_MIN && m->w <= most)
            FAIL_UNLESS(harness_watermark(h, 0, m->w) == 0, "%s", h->error.message);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines sorted, each once. `twice`: how many were there again. */
static void sort_lines(struct leat_strbuf *text, uint32_t *twice)
{
    char *lines[8192], *rest = NULL;
    uint32_t count = 0;
    struct leat_strbuf sorted = { 0 };
    leat__strbuf_str(text, "");
    for (char *line = strtok_r(text->data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_true(count < COUNT_OF(lines));
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, by_text);
    *twice = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i && strcmp(lines[i], lines[i - 1]) == 0)
            ++*twice;
        else
            leat__strbuf_printf(&sorted, "%s\n", lines[i]);
    leat__strbuf_release(text);
    *text = sorted;
}

static void start_one(struct agg_setup *s, const char *words, bool has_extremes)
{
    agg_start(s, words, has_extremes ? PANES EXTREMES : PANES, &(struct harness_opts){ .with_store = true });
    assert_ptr_equal(s->h->node->op, &leat__slice_aggregate_class);
}

/* What comes out of so many subtasks behind the old ones, which have stopped at different watermarks; one of the new ones is
 * interrupted once more. */
static void run_rescaled(
    const char *words, bool has_extremes, uint32_t parallelism, uint32_t half, struct leat_strbuf *text)
{
    struct agg_setup old[OLD_SUBTASKS], new[4];
    struct harness *from[OLD_SUBTASKS];
    for (uint32_t i = 0; i < OLD_SUBTASKS; i++) {
        start_one(&old[i], words, has_extremes);
        from[i] = old[i].h;
        put_moments(from[i], 0, half, i, OLD_SUBTASKS,
            agg_below(3) ? moments[agg_below(half)].ts - 6 : LEAT_TIME_MIN);
        harness_barrier(from[i]);
        harness_lose(from[i]);
        agg_print_outs(from[i], text);
    }
    for (uint32_t i = 0; i < parallelism; i++) {
        start_one(&new[i], words, has_extremes);
        FAIL_UNLESS(harness_rescale(new[i].h, i, parallelism, from, OLD_SUBTASKS) == 0, "%s: %s", words,
            new[i].h->error.message);
        const uint32_t stop = half + agg_below(ROWS - half);
        const struct harness *h = new[i].h;
        put_moments(new[i].h, half, stop, i, parallelism, LEAT_TIME_MAX);
        if (parallelism == 1 && agg_below(2)) /* with what is known of groups in the snapshot */
            FAIL_UNLESS(harness_crash(new[i].h, NULL) == 0, "%s", new[i].h->error.message);
        put_moments(new[i].h, stop, ROWS, i, parallelism, LEAT_TIME_MAX);
        assert_int_equal(harness_watermark(new[i].h, 0, LEAT_TIME_MAX), 0);
        assert_int_equal(h->counters.state_keys, 0);
        agg_print_outs(h, text);
        agg_release(&new[i]);
    }
    for (uint32_t i = 0; i < OLD_SUBTASKS; i++)
        agg_release(&old[i]);
}

static void
test_restore__given_keys_of_different_watermarks__when_they_come_together__then_windows_are_as_ever(
    void **unused)
{
    static const struct {
        const char *words;
        bool has_extremes;
    } kinds[] = { { "size=20,slide=5", false }, { "size=20,slide=5", true }, { "size=20,slide=8", false },
        { "size=24,step=6", false }, { "size=24,step=6", true }, { "size=20,slide=5,lateness=9", false },
        { "size=24,step=6,lateness=12", true } };
    (void)unused;
    agg_seed();
    for (uint32_t round = 0; round < 8 * COUNT_OF(kinds); round++) {
        const char *words = kinds[round % COUNT_OF(kinds)].words;
        const bool has_extremes = kinds[round % COUNT_OF(kinds)].has_extremes;
        const uint32_t half = 20 + agg_below(ROWS - 60), parallelism = 1 + round % 2;
        struct leat_strbuf want = { 0 }, got = { 0 };
        struct agg_setup s;
        uint32_t twice;
        make_moments();
        start_one(&s, words, has_extremes);
        put_moments(s.h, 0, ROWS, 0, 1, LEAT_TIME_MAX);
        assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
        agg_print_outs(s.h, &want);
        agg_release(&s);
        sort_lines(&want, &twice);
        assert_int_equal(twice, 0);
        run_rescaled(words, has_extremes, parallelism, half, &got);
        sort_lines(&got, &twice);
        FAIL_UNLESS(strcmp(want.data, got.data) == 0, "%s, 3 to %u subtasks at %u:\nwant\n%s\ngot\n%s", words,
            parallelism, half, want.data, got.data);
        FAIL_UNLESS(twice == 0 || strstr(words, "lateness"), "%s: %u rows twice", words, twice);
        leat__strbuf_release(&want);
        leat__strbuf_release(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_restore__given_keys_of_different_watermarks__when_they_come_together__then_windows_are_as_ever),
        cmocka_unit_test(
            test_restore__given_parts_of_different_watermarks__then_each_subtask_goes_on_from_its_own),
        cmocka_unit_test(test_nodes__given_all_of_a_tree__then_numbers_are_unique_and_in_order),
        cmocka_unit_test(test_random_run__given_slices_or_windows_by_themselves__then_the_same_comes_out),
        cmocka_unit_test(test_firing__given_windows_of_many_keys__then_in_steps_and_each_key_once),
        cmocka_unit_test(test_late_windows__given_many_that_go_at_once__then_in_steps),
        cmocka_unit_test(
            test_steady_state__given_windows_that_come_and_go__then_nothing_is_allocated_per_record),
    };
    struct CMUnitTest file_tests[64];
    glob_t files = { 0 };
    int failed = 0;
    if (glob("tests/operators/slice_aggregate/*.case", 0, NULL, &files) == 0) {
        assert_true(files.gl_pathc <= COUNT_OF(file_tests));
        add_file_tests(file_tests, &files);
        failed += _cmocka_run_group_tests("cases", file_tests, files.gl_pathc, NULL, NULL);
        globfree(&files);
    }
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
