/* tests/integration/test_cogroup.c -- what goes behind a cogroup, in whole jobs on disk: windows and group
 * aggregates with accumulators that are records, a process function that keeps one, a pattern over both sides;
 * and the same accumulators over an exchange that combines rows. On any number of workers, cancelled and gone on
 * with on others, with next to no memory: what comes out is what plain loops over the events make of them. */
#include "event_both.h"
#include "event_pair.h"
#include "notebook.h"
#include "notebook_told.h"
#include "tests/support/place.h"
#include "tests/support/unit.h"
#include <leat/cogroup.h>
#include <leat/group_aggregate.h>
#include <leat/leat.h>
#include <leat/pattern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 24
#define SIZE_US 4000
#define SLIDE_US 2000
#define WITHIN_US 1500
#define PAGES_MAX 3

static const struct place_events left_events = {
    .seed = 5, .count = 1800, .keys = KEYS, .splits = 3, .disorder_us = 400, .out_of_orderness_us = 500
};
static const struct place_events right_events = {
    .seed = 9, .count = 1200, .keys = KEYS, .splits = 2, .disorder_us = 300, .out_of_orderness_us = 300
};

/* ---- an accumulator that is a record ---- */

/* Of the pages that there would be, a few: how many tells whether merging lost any. */
static void put_page(struct leat_ctx *ctx, struct notebook *book, const struct page *page)
{
    const size_t count = book->pages.count;
    if (count == PAGES_MAX)
        return;
    struct page *pages = leat_alloc(ctx, (count + 1) * sizeof *pages);
    assert_non_null(pages);
    if (count)
        memcpy(pages, book->pages.items, count * sizeof *pages);
    pages[count] = *page;
    book->pages = (struct leat_array){ pages, count + 1 };
}

static void offer(struct notebook *book, struct leat_sv text)
{
    if (book->has_greatest && leat_sv_cmp(text, book->greatest) <= 0)
        return;
    book->has_greatest = true;
    book->greatest = text;
}

static void take(struct leat_ctx *ctx, struct notebook *book, const struct event *e)
{
    const struct page page = {
        .text = leat_printf(ctx, "%03lld", (long long)e->value), .has_at = true, .at = e->at
    };
    book->count++;
    book->total += e->value;
    offer(book, page.text);
    put_page(ctx, book, &page);
}

static void join(struct leat_ctx *ctx, struct notebook *into, const struct notebook *from)
{
    into->count += from->count;
    into->total += from->total;
    if (from->has_greatest)
        offer(into, from->greatest);
    for (size_t i = 0; i < from->pages.count; i++)
        put_page(ctx, into, notebook_pages_at(from->pages, i));
}

static void tell(struct leat_ctx *ctx, const struct notebook *book, struct notebook_told *told)
{
    told->has_count = told->has_sum = told->has_text = true;
    told->count = book->count;
    told->sum = book->total;
    told->has_greatest = book->has_greatest;
    told->greatest = book->greatest;
    told->text = leat_printf(ctx, "%zu pages", book->pages.count);
}

static void both__add(struct leat_ctx *ctx, const struct event_both *both, struct notebook *book)
{
    assert_true(both->has_left != both->has_right);
    take(ctx, book, both->has_left ? &both->left : &both->right);
}
static void both__merge(struct leat_ctx *ctx, struct notebook *into, const struct notebook *from)
{
    join(ctx, into, from);
}
static void both__result(struct leat_ctx *ctx, const struct notebook *book, struct notebook_told *told)
{
    tell(ctx, book, told);
}
LEAT_DEFINE_RECORD_AGGREGATE(both, event_both, notebook, notebook_told);

static void one__add(struct leat_ctx *ctx, const struct event *e, struct notebook *book)
{
    take(ctx, book, e);
}
static void one__merge(struct leat_ctx *ctx, struct notebook *into, const struct notebook *from)
{
    join(ctx, into, from);
}
static void one__result(struct leat_ctx *ctx, const struct notebook *book, struct notebook_told *told)
{
    tell(ctx, book, told);
}
LEAT_DEFINE_RECORD_AGGREGATE(one, event, notebook, notebook_told);

/* ---- the job ---- */

enum { BOOK, LATEST };

/* All that there is of a key, at the end of time. */
static void on_both(struct leat_ctx *ctx, const struct event_both *both)
{
    leat_aggregate_add(ctx, BOOK, both);
    struct event_both *latest = leat_state(ctx, LATEST); /* only to be kept */
    *latest = *both;
    leat_timer_set(ctx, LEAT_EVENT_TIME, LEAT_TIME_MAX);
}
static void on_end(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    struct notebook_told *told = leat_out(ctx);
    const struct event_both *latest = leat_state_find(ctx, LATEST);
    assert_int_equal(time_us, LEAT_TIME_MAX);
    assert_int_equal(kind, LEAT_EVENT_TIME);
    leat_aggregate_result(ctx, BOOK, told);
    told->has_k = true;
    told->k = latest ? latest->k : -1;
    told->n = leat_key_i64(ctx, 0) == told->k ? told->count : -1;
    told->has_total = true;
    told->total = told->sum;
}
LEAT_DEFINE_PROCESS(all_of, event_both, on_both, on_end);

static const struct leat_aggregate totals[] = { LEAT_COUNT("n"),
    LEAT_SUM("coalesce(left.value, 0) + coalesce(right.value, 0)", "total"), LEAT_USER(&both_aggregate) };

static void declare_aggregates(leat_keyed_stream *both, leat_stream *left)
{
    place_sink(
        leat_aggregate(leat_window(both, "windows",
                           &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = SIZE_US }),
            "window-books",
            &(struct leat_aggregate_opts){
                .aggs = { totals[0], totals[1], totals[2] }, .out = &notebook_told_type }),
        "windows-out", place_path("windows"));
    place_sink(leat_group_aggregate(both, "group-books",
                   &(struct leat_group_aggregate_opts){
                       .aggs = { totals[0], totals[1], totals[2] }, .out = &notebook_told_type }),
        "groups-out", place_path("groups"));
    place_sink(
        leat_aggregate(leat_window(leat_group_by(left, "by-k", "key + 0 as k"), "hops",
                           &(struct leat_window_opts){
                               .kind = LEAT_WINDOW_HOPPING, .size_us = SIZE_US, .slide_us = SLIDE_US }),
            "hop-books",
            &(struct leat_aggregate_opts){
                .aggs = { LEAT_COUNT("n"), LEAT_SUM("value", "total"), LEAT_USER(&one_aggregate) },
                .out = &notebook_told_type }),
        "hops-out", place_path("hops"));
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("cogroup");
    leat_stream *left = place_source(t, "left", &left_events);
    leat_keyed_stream *both = leat_cogroup(t, "both",
        &(struct leat_cogroup_opts){ .inputs = { { left, "left", "key + 0 as k" },
                                         { place_source(t, "right", &right_events), "right", "key" } } });
    declare_aggregates(both, left);
    place_sink(
        leat_process(both, "all",
            &(struct leat_process_opts){ .fn = &all_of_process,
                .state = { LEAT_AGGREGATE("book", &both_aggregate), LEAT_VALUE("latest", &event_both_type) },
                .out = &notebook_told_type }),
        "all-out", place_path("all"));
    /* Each low one on the left, with the first high one on the right that is later. */
    place_sink(
        leat_pattern(both, "rises",
            &(struct leat_pattern_opts){
                .steps = { { .name = "low", .where = "left.value < 300" },
                    { .name = "high", .where = "right.value > 600 and right.at > low.left.at" } },
                .within_us = WITHIN_US,
                .match = { .out = &event_pair_type,
                    .fields = { { "k", "key" }, { "coalesce(epoch_micros(low.left.at), -1)", "left_value" },
                        { "coalesce(epoch_micros(right.at), -1)", "right_value" },
                        { "'rise'", "name" } } } }),
        "rises-out", place_path("rises"));
    return t;
}

/* ---- what must come out ---- */

struct sums {
    int64_t count, total, greatest;
};

static void add_to(struct sums *sums, const struct event *e)
{
    sums->count++;
    sums->total += e->value;
    if (e->value > sums->greatest)
        sums->greatest = e->value;
}

static void expect_sums(struct lines *want, int64_t k, const struct sums *sums)
{
    if (sums->count)
        lines_add(want,
            "{\"k\":%lld,\"n\":%lld,\"total\":%lld,\"smax\":null,\"count\":%lld,\"sum\":%lld,"
            "\"greatest\":\"%03lld\",\"text\":\"%d pages\"}",
            (long long)k, (long long)sums->count, (long long)sums->total, (long long)sums->count,
            (long long)sums->total, (long long)sums->greatest,
            sums->count < PAGES_MAX ? (int)sums->count : PAGES_MAX);
}

/* Of windows of that size and slide; of the left events, and those of the right if there are any. */
static void expect_windows(struct lines *want, const struct place_events *right, int64_t slide_us)
{
    const int64_t ends = (int64_t)left_events.count * 10 + SIZE_US;
    for (int64_t start = -SIZE_US; start < ends; start += slide_us) {
        struct sums sums[KEYS] = { { 0 } };
        for (uint64_t i = 0; i < left_events.count + (right ? right->count : 0); i++) {
            struct event e;
            place_event(i < left_events.count ? &left_events : right,
                i < left_events.count ? i : i - left_events.count, &e);
            if (e.at >= start && e.at < start + SIZE_US)
                add_to(&sums[e.key], &e);
        }
        for (int64_t k = 0; k < KEYS; k++)
            expect_sums(want, k, &sums[k]);
    }
}

static void expect_all_of(struct lines *want)
{
    struct sums sums[KEYS] = { { 0 } };
    struct event e;
    for (uint64_t i = 0; i < left_events.count; i++) {
        place_event(&left_events, i, &e);
        add_to(&sums[e.key], &e);
    }
    for (uint64_t i = 0; i < right_events.count; i++) {
        place_event(&right_events, i, &e);
        add_to(&sums[e.key], &e);
    }
    for (int64_t k = 0; k < KEYS; k++)
        expect_sums(want, k, &sums[k]);
}

static void expect_rises(struct lines *want)
{
    for (uint64_t i = 0; i < left_events.count; i++) {
        struct event low, high;
        int64_t first = LEAT_TIME_MAX;
        place_event(&left_events, i, &low);
        for (uint64_t j = 0; low.value < 300 && j < right_events.count; j++) {
            place_event(&right_events, j, &high);
            if (high.key == low.key && high.value > 600 && high.at > low.at && high.at < first)
                first = high.at;
        }
        if (first < low.at + WITHIN_US)
            lines_add(want, "{\"key\":%lld,\"left_value\":%lld,\"right_value\":%lld,\"name\":\"rise\"}",
                (long long)low.key, (long long)low.at, (long long)first);
    }
    assert_true(want->count > 100);
}

static struct {
    struct lines windows, hops, all, rises;
} want;

static void make_expected(void)
{
    if (want.all.count)
        return; /* once is enough */
    expect_windows(&want.windows, &right_events, SIZE_US);
    expect_windows(&want.hops, NULL, SLIDE_US);
    expect_all_of(&want.all);
    expect_rises(&want.rises);
}

static void check(const char *what, const char *name, struct lines *lines, bool changes)
{
    struct lines got = { 0 };
    char label[128];
    (void)snprintf(label, sizeof label, "%s: %s", what, name);
    if (changes)
        place_net(label, place_path(name), &got);
    else
        place_lines(place_path(name), &got);
    lines_expect(label, lines, &got);
    lines_clear(&got);
}

static void check_all(const char *what)
{
    make_expected();
    check(what, "windows", &want.windows, false);
    check(what, "hops", &want.hops, false);
    check(what, "groups", &want.all, true);
    check(what, "all", &want.all, false);
    check(what, "rises", &want.rises, false);
}

/* ---- tests ---- */

static void test_cogroup__given_a_plan__then_records_are_combined_before_the_exchange(void **state)
{
    char *text = NULL;
    (void)state;
    place_begin("cogroup");
    leat_topology *t = declare();
    FAIL_UNLESS(leat_check(t) == 0, "%s", leat_topology_error(t, 0)->message);
    assert_int_equal(leat_describe(t, LEAT_DESCRIBE_TEXT, 2, &text), 0);
    FAIL_UNLESS(strstr(text, "pre-aggregated\n") && !strstr(text, "not pre-aggregated"), "%s", text);
    leat_free(text);
    leat_topology_free(t);
    place_end();
}

static void test_cogroup__given_any_number_of_workers_and_size_of_batches__then_what_loops_make(void **state)
{
    static const uint32_t shapes[][2] = { { 2, 7 }, { 1, 1024 }, { 3, 1 }, { 10, 64 } };
    (void)state;
    for (size_t i = 0; i < rows_to_run(COUNT_OF(shapes), 2); i++) {
        char what[64];
        place_begin("cogroup");
        (void)snprintf(what, sizeof what, "%u workers, batches of %u", shapes[i][0], shapes[i][1]);
        const struct leat_job_opts opts = { .parallelism = shapes[i][0],
            .batch_rows = shapes[i][1],
            .pre_aggregate = shapes[i][0] % 2 ? LEAT_PRE_AGGREGATE_NEVER : LEAT_PRE_AGGREGATE_ALWAYS };
        assert_int_equal(place_run(declare(), &opts, 0), LEAT_JOB_FINISHED);
        check_all(what);
        place_end();
    }
}

/* Cancelled twice, on other numbers of workers each time, and next to nothing fits into memory. */
static void test_cogroup__given_cancels_and_other_numbers_of_workers__then_what_loops_make(void **state)
{
    (void)state;
    place_begin("cogroup");
    place_interrupt(
        declare, (const uint32_t[]){ 2, 3, 1 }, 100000, (left_events.count + right_events.count) / 3);
    check_all("interrupted");
    place_end();
}

static int release(void **state)
{
    (void)state;
    lines_clear(&want.windows);
    lines_clear(&want.hops);
    lines_clear(&want.all);
    lines_clear(&want.rises);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cogroup__given_a_plan__then_records_are_combined_before_the_exchange),
        cmocka_unit_test(test_cogroup__given_any_number_of_workers_and_size_of_batches__then_what_loops_make),
        cmocka_unit_test(test_cogroup__given_cancels_and_other_numbers_of_workers__then_what_loops_make),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
