/* tests/unit/operators/test_window_aggregate.c -- the operator: its rules at their bounds as text
 * (tests/operators/window_aggregate/), a random run against a naive model, size and memory. */
#include "base/alloc.h"
#include "state/state.h"
#include "tests/support/aggregate_fixture.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- case files ---- */

/* The output of cases with a user's aggregate. */
struct result {
    bool has_k;
    int64_t k;
    int64_t n;
    int64_t low, high;
    struct leat_sv text;
};
static struct leat_type result_type;

struct range {
    int64_t low, high;
    bool any;
};

static void range__add(struct leat_ctx *ctx, const struct agg_event *event, struct range *range)
{
    if (!range->any || event->v < range->low)
        range->low = event->v;
    if (!range->any || event->v > range->high)
        range->high = event->v;
    range->any = true; /* also what a refused record leaves behind must go */
    if (event->v < 0)
        leat_fail(ctx, "negative value %lld at %lld", (long long)event->v, (long long)leat_ctx_event_us(ctx));
}
static void range__merge(struct leat_ctx *ctx, struct range *into, const struct range *from)
{
    (void)ctx;
    *into = *from;
}
static void range__result(struct leat_ctx *ctx, const struct range *range, struct result *result)
{
    result->low = range->low;
    result->high = range->high;
    if (range->high == 66)
        leat_fail(ctx, "too high");
    result->text = leat_printf(
        ctx, "%lld: %lld..%lld", (long long)result->k, (long long)range->low, (long long)range->high);
}
LEAT_DEFINE_AGGREGATE(range, agg_event, range, result);

static leat_stream *declare_case(const struct case_setup *setup)
{
    const struct leat_type *out = case_type(setup, "result");
    agg_event_type = *case_type(setup, "event");
    assert_int_equal(agg_event_type.size, sizeof(struct agg_event));
    result_type = *out;
    const bool is_user = strstr(setup->file->operator_name, "user") != NULL;
    if (is_user)
        assert_int_equal(out->size, sizeof(struct result));
    return agg_declare(setup->inputs[0], setup->file->operator_name, out, is_user ? &range_aggregate : NULL);
}

static void run_file(void **path)
{
    static const char *const names[] = { "size=10", "size=9223372036854775807", "size=10,offset=3",
        "size=10,offset=-7", "size=10,offset=13", "size=10,lateness=5", "size=10,offset=7,lateness=5",
        "size=10,lateness=never", "size=10,lateness=5,count=2,discarding", "size=10,count=3",
        "size=10,count=1,discarding", "size=10,saturate", "size=10,wrap", "size=10,ordered",
        "size=10,ordered,by=s+k", "size=10,skip", "size=10,count=2,skip,user", "size=10,count=2,user" };
    struct case_operator operators[COUNT_OF(names)];
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        operators[i] = (struct case_operator){ names[i], declare_case };
    case_run_file(*path, operators, COUNT_OF(operators));
}

/* ---- random runs against a naive model ---- */

#define STEPS 600u

/* A record, or a watermark. */
struct step {
    bool is_watermark;
    int64_t w; /* or the mark of a record; LEAT_TIME_MIN: none */
    struct agg_event event;
    char text[8];
};

struct plan {
    int64_t size, offset, lateness;
    uint64_t count;
    bool discarding;
    struct step steps[STEPS];
};
static struct plan plan;

static void make_steps(void)
{
    int64_t w = LEAT_TIME_MIN;
    int64_t front = agg_below(2) ? -200 : (int64_t)agg_below(1000);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct step *step = &plan.steps[i];
        memset(step, 0, sizeof *step);
        step->w = LEAT_TIME_MIN;
        front += agg_below(4);
        if (agg_below(12) == 0 && front - 8 > w) {
            step->is_watermark = true;
            w = step->w = front - 8;
            continue;
        }
        struct agg_event *event = &step->event;
        event->ts = front - agg_below(agg_below(8) == 0 ? 60 : 12);
        if (event->ts <= w)
            step->w = w + agg_below(6);
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
    plan.size = agg_below(20) + 1;
    plan.offset = (int64_t)agg_below(50) - 25;
    plan.lateness = agg_below(2) ? agg_below(40) : 0;
    plan.count = agg_below(2) ? agg_below(4) + 1 : 0;
    plan.discarding = agg_below(2);
    make_steps();
}

struct naive {
    int64_t start, k, since, panes, n, values, total, lowest;
    char longest[8]; /* the largest text */
    bool fired;
};
static struct naive naive[STEPS];
static uint32_t naive_count;

static int64_t naive_start(int64_t ts)
{
    int64_t into = (ts - plan.offset) % plan.size;
    return ts - (into < 0 ? into + plan.size : into);
}

static void naive_forget(struct naive *n)
{
    n->n = n->values = n->total = n->lowest = 0;
    n->longest[0] = '\0';
}

static void naive_pane(struct naive *n, const char *pane, int64_t late, struct leat_strbuf *text)
{
    char total[32] = "null", lowest[32] = "null";
    if (n->since == 0 && plan.discarding)
        return;
    if (n->values) {
        (void)snprintf(total, sizeof total, "%" PRIi64, n->total);
        (void)snprintf(lowest, sizeof lowest, "%" PRIi64, n->lowest);
    }
    leat__strbuf_printf(text,
        "0 {\"k\":%" PRIi64 ",\"window_start\":%" PRIi64 ",\"pane\":\"%s\",\"pane_index\":%" PRIi64
        ",\"n\":%" PRIi64 ",\"total\":%s,\"lowest\":%s,\"smax\":\"%s\"} @%" PRIi64,
        n->k, n->start, pane, n->panes, n->n, total, lowest, n->longest, n->start + plan.size - 1);
    if (late != LEAT_TIME_MIN)
        leat__strbuf_printf(text, " late %" PRIi64, late);
    leat__strbuf_char(text, '\n');
    n->panes++;
    n->since = 0;
    if (plan.discarding)
        naive_forget(n);
}

static struct naive *naive_find(int64_t start, int64_t k)
{
    for (uint32_t i = 0; i < naive_count; i++)
        if (naive[i].start == start && naive[i].k == k)
            return &naive[i];
    naive[naive_count] = (struct naive){ .start = start, .k = k };
    return &naive[naive_count++];
}

static void naive_record(const struct step *step, int64_t w, struct leat_strbuf *text, uint64_t *late)
{
    const struct agg_event *event = &step->event;
    const int64_t start_us = naive_start(event->ts);
    const int64_t last = start_us + plan.size - 1;
    if (last + plan.lateness <= (step->w > w ? step->w : w)) {
        ++*late;
        return;
    }
    struct naive *n = naive_find(start_us, event->k);
    n->since++;
    n->n++;
    if (event->has_v) {
        n->total += event->v;
        n->lowest = n->values == 0 || event->v < n->lowest ? event->v : n->lowest;
        n->values++;
    }
    if (n->longest[0] == '\0' || strcmp(step->text, n->longest) > 0)
        memcpy(n->longest, step->text, sizeof n->longest);
    if (last <= w)
        naive_pane(n, "LATE", w, text);
    else if (plan.count && n->since >= (int64_t)plan.count)
        naive_pane(n, "EARLY", LEAT_TIME_MIN, text);
}

static int by_start_and_key(const void *left, const void *right)
{
    const struct naive *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->k < b->k ? -1 : a->k > b->k;
}

static void naive_watermark(int64_t w, struct leat_strbuf *text)
{
    uint32_t kept = 0;
    qsort(naive, naive_count, sizeof *naive, by_start_and_key);
    for (uint32_t i = 0; i < naive_count; i++) {
        const int64_t last = naive[i].start + plan.size - 1;
        if (last <= w && !naive[i].fired) {
            naive_pane(&naive[i], "ON_TIME", LEAT_TIME_MIN, text);
        }
        naive[i].fired |= last <= w;
        if (last + plan.lateness > w)
            naive[kept++] = naive[i];
    }
    naive_count = kept;
}

/* What must come out of the main output, and how many records are late. */
static void run_naive(struct leat_strbuf *text, uint64_t *late)
{
    int64_t w = LEAT_TIME_MIN;
    naive_count = 0;
    *late = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        const struct step *step = &plan.steps[i];
        if (step->is_watermark) {
            w = step->w;
            naive_watermark(w, text);
            continue;
        }
        const uint32_t before = naive_count;
        naive_record(step, w, text, late);
        if (naive_count > before && naive[before].start + plan.size - 1 <= w)
            naive[before].fired = true; /* its on-time pane was empty */
    }
    naive_watermark(LEAT_TIME_MAX / 2, text);
}

/* `crashes`: with a store that spills, and from time to time a checkpoint that another instance goes on from. */
static void run_plan(uint32_t batch_rows, bool crashes, struct leat_strbuf *text, uint64_t *late)
{
    struct agg_setup s;
    char words[160];
    struct leat_batch *batch = NULL;
    int64_t mark = LEAT_TIME_MIN;
    (void)snprintf(words, sizeof words,
        "size=%" PRIi64 ",offset=%" PRIi64 ",lateness=%" PRIi64 "%s%s,ordered", plan.size, plan.offset,
        plan.lateness,
        plan.count == 1       ? ",count=1"
            : plan.count == 2 ? ",count=2"
            : plan.count == 3 ? ",count=3"
            : plan.count == 4 ? ",count=4"
                              : "",
        plan.discarding ? ",discarding" : "");
    agg_start(&s, words,
        FIELD("k", OR_NULL("\"long\"")) "," FIELD("window_start", "\"long\"") "," FIELD("pane",
            "{\"type\":\"enum\",\"name\":\"p\",\"symbols\":[\"EARLY\",\"LATE\",\"ON_TIME\"]}") "," FIELD("pan"
                                                                                                         "e_"
                                                                                                         "ind"
                                                                                                         "ex",
            "\"int\"") "," FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")) "," FIELD("lowest",
            OR_NULL("\"long\"")) "," FIELD("smax", OR_NULL("\"string\"")),
        &(struct harness_opts){ .batch_rows = batch_rows,
            .with_store = crashes,
            .budget_bytes = crashes ? 1 + agg_below(30000) : 0 });
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
    *late = s.h->counters.late_records;
    assert_int_equal(s.h->rows_count[1], *late);
    for (uint32_t i = 0; i < s.h->outs_count; i++) /* the late output is compared by its number of rows */
        if (s.h->outs[i].port == 1)
            s.h->outs[i].batch->count = 0;
    assert_int_equal(s.h->counters.state_keys, 0);
    agg_print_outs(s.h, text);
    agg_release(&s);
}

static void test_random_run__given_a_naive_model__then_equal_for_every_size_of_batches(void **unused)
{
    (void)unused;
    const uint32_t sizes[] = { 1, 7, 1024 };
    agg_seed();
    for (uint32_t round = 0; round < 120; round++) {
        struct leat_strbuf want = { 0 };
        uint64_t want_late, late;
        make_plan();
        run_naive(&want, &want_late);
        for (uint32_t i = 0; i < 2 * COUNT_OF(sizes); i++) {
            const bool crashes = i >= COUNT_OF(sizes);
            const uint32_t rows = sizes[i % COUNT_OF(sizes)];
            struct leat_strbuf got = { 0 };
            run_plan(rows, crashes, &got, &late);
            if (strcmp(got.data ? got.data : "", want.data ? want.data : "") != 0)
                fail_msg("round %u, batches of %u%s, size %d offset %d lateness %d count %d %s\n--- "
                         "want\n%s--- got\n%s",
                    round, rows, crashes ? ", crashes" : "", (int)plan.size, (int)plan.offset,
                    (int)plan.lateness, (int)plan.count, plan.discarding ? "discarding" : "", want.data,
                    got.data);
            assert_int_equal(late, want_late);
            leat__strbuf_release(&got);
        }
        leat__strbuf_release(&want);
    }
}

/* ---- size, memory ---- */

#define COUNT_FIELDS \
    FIELD("k", OR_NULL("\"long\"")) "," FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\""))

static void put_keys(struct harness *h, uint32_t keys, int64_t ts)
{
    for (uint32_t k = 0; k < keys;) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (; k < keys && batch->count < batch->capacity; k++)
            agg_put(batch, &(struct agg_event){ .has_k = true, .k = k, .has_v = true, .v = k, .ts = ts });
        assert_int_equal(harness_batch(h, 0, batch), 0);
    }
}

static void test_firing__given_a_window_of_many_keys__then_in_steps_and_each_key_once(void **unused)
{
    (void)unused;
    struct agg_setup s;
    enum { KEYS = 50000 };
    static uint8_t seen[KEYS];
    agg_start(&s, "size=10", COUNT_FIELDS, NULL);
    memset(seen, 0, sizeof seen);
    put_keys(s.h, KEYS, 5);
    assert_int_equal(s.h->counters.state_keys, KEYS);
    assert_int_equal(harness_watermark(s.h, 0, 9), 0);
    FAIL_UNLESS(s.h->steps_count > 5, "%d steps", (int)s.h->steps_count); /* the harness bounds each */
    assert_int_equal(s.h->rows_count[0], KEYS);
    for (uint32_t i = 0; i < s.h->outs_count; i++)
        for (uint32_t r = 0; r < s.h->outs[i].batch->count; r++) {
            const int64_t k = ((const struct agg_event *)leat_batch_at(s.h->outs[i].batch, r))->k;
            assert_true(k >= 0 && k < KEYS && !seen[k]);
            seen[k] = 1;
        }
    assert_int_equal(s.h->counters.state_keys, 0);
    assert_int_equal(leat__state_bytes(s.h->state), 0);
    agg_release(&s);
}

static void test_firing__given_each_record_fires_into_large_rows__then_in_steps(void **unused)
{
    (void)unused;
    struct agg_setup s;
    agg_start(&s, "size=10,count=1",
        COUNT_FIELDS "," FIELD("pad", OR_NULL("{\"type\":\"fixed\",\"name\":\"pad\",\"size\":60000}")),
        &(struct harness_opts){ .discard = true });
    put_keys(s.h, 3000, 5);
    assert_int_equal(s.h->rows_count[0], 3000);
    FAIL_UNLESS(s.h->steps_count > 100, "%d steps", (int)s.h->steps_count);
    agg_release(&s);
}

static void test_steady_state__given_windows_that_come_and_go__then_nothing_is_allocated(void **unused)
{
    (void)unused;
    const char *const words[] = { "size=10", "size=10,ordered", "size=10,lateness=10,count=3",
        "size=10,discarding" };
    for (uint32_t i = 0; i < COUNT_OF(words); i++) {
        struct agg_setup s;
        uint64_t calls = 0;
        agg_start(&s, words[i], COUNT_FIELDS "," FIELD("lowest", OR_NULL("\"long\"")),
            &(struct harness_opts){ .discard = true });
        for (int64_t w = 0; w < 60; w++) {
            if (w == 30)
                calls = leat__alloc_calls();
            put_keys(s.h, 3000, w * 10 + 5);
            put_keys(s.h, 2000, w * 10 + 15);
            assert_int_equal(harness_watermark(s.h, 0, w * 10 + 9), 0);
        }
        FAIL_UNLESS(
            leat__alloc_calls() == calls, "%s: %d allocations", words[i], (int)(leat__alloc_calls() - calls));
        agg_release(&s);
    }
}

static void test_budget__given_too_little__then_the_error_names_node_and_option(void **unused)
{
    (void)unused;
    struct agg_setup s;
    agg_start(&s, "size=10", COUNT_FIELDS, &(struct harness_opts){ .budget_bytes = 65536 });
    int code = 0;
    for (int64_t k = 0; code == 0 && k < 100000; k += 500) {
        struct leat_batch *batch = harness_rows(s.h, 0);
        for (int64_t i = k; i < k + 500; i++)
            agg_put(batch, &(struct agg_event){ .has_k = true, .k = i, .ts = 5 });
        code = harness_batch(s.h, 0, batch);
    }
    assert_int_equal(code, LEAT_ESTATE);
    FAIL_UNLESS(strstr(s.h->error.message, "node \"totals\" subtask 0: ") == s.h->error.message &&
            strstr(s.h->error.message, "state_budget_bytes"),
        "%s", s.h->error.message);
    agg_release(&s);
}

static struct leat_batch *batch_for_memory(struct agg_setup *s)
{
    struct leat_batch *batch = harness_rows(s->h, 0);
    for (int64_t i = 0; i < 200; i++)
        agg_put(batch,
            &(struct agg_event){ .has_k = true,
                .k = i % 70,
                .has_v = i % 3,
                .v = i,
                .has_s = true,
                .s = { "text", 4 },
                .ts = i });
    return batch;
}

static void run_for_memory(struct agg_setup *s, struct leat_batch *batch)
{
    (void)harness_batch(s->h, 0, batch);
    (void)harness_watermark(s->h, 0, 150);
    (void)harness_watermark(s->h, 0, LEAT_TIME_MAX);
}

static void test_memory__given_any_allocation_fails__then_an_error_and_no_leak(void **unused)
{
    (void)unused;
    uint32_t failures = 0;
    for (uint64_t n = 1;; n++) {
        struct agg_setup s;
        const int64_t live = leat__alloc_live();
        agg_start(&s, "size=10,count=5,lateness=5",
            COUNT_FIELDS
            "," FIELD("smin", OR_NULL("\"string\"")) "," FIELD("double_total", OR_NULL("\"long\"")),
            &(struct harness_opts){ .batch_rows = 256 });
        struct leat_batch *batch = batch_for_memory(&s);
        leat__alloc_fail_at(n);
        run_for_memory(&s, batch);
        const bool failed = s.h->code < 0;
        leat__alloc_fail_at(0);
        FAIL_UNLESS(!failed || s.h->code == LEAT_ENOMEM || s.h->code == LEAT_ESTATE, "allocation %d: %s",
            (int)n, s.h->error.message);
        agg_release(&s);
        assert_int_equal(leat__alloc_live(), live);
        failures += failed;
        if (!failed)
            break;
        assert_true(n < 1000);
    }
    assert_true(failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_run__given_a_naive_model__then_equal_for_every_size_of_batches),
        cmocka_unit_test(test_firing__given_a_window_of_many_keys__then_in_steps_and_each_key_once),
        cmocka_unit_test(test_firing__given_each_record_fires_into_large_rows__then_in_steps),
        cmocka_unit_test(test_steady_state__given_windows_that_come_and_go__then_nothing_is_allocated),
        cmocka_unit_test(test_budget__given_too_little__then_the_error_names_node_and_option),
        cmocka_unit_test(test_memory__given_any_allocation_fails__then_an_error_and_no_leak),
    };
    struct CMUnitTest files[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/window_aggregate/*.case", 0, NULL, &found) != 0) {
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
