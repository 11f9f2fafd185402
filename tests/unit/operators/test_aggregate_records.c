/* tests/unit/operators/test_aggregate_records.c -- users' aggregates whose accumulators are records, in every family of
 * windows: beside the engine's own aggregates over the same records, with which they must agree in every row that comes out,
 * whatever is spilled, lost and restored on the way; and in later versions, with another schema. */
#include "base/alloc.h"
#include "notebook.h"
#include "notebook_later.h"
#include "notebook_told.h"
#include "tests/support/aggregate_fixture.h"
#include "tests/support/unit.h"
#include <leat/change.h>
#include <leat/group_aggregate.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the aggregate ---- */

static void put_page(struct leat_ctx *ctx, struct notebook *book, const struct page *page)
{
    struct page *pages = leat_alloc(ctx, (book->pages.count + 1) * sizeof *pages);
    assert_non_null(pages);
    if (book->pages.count)
        memcpy(pages, book->pages.items, book->pages.count * sizeof *pages);
    pages[book->pages.count] = *page;
    book->pages = (struct leat_array){ pages, book->pages.count + 1 };
}

static void put_word(struct leat_ctx *ctx, struct notebook *book, struct leat_sv word, int64_t times)
{
    const size_t count = book->words.count;
    struct notebook_words_entry *words = leat_alloc(ctx, (count + 1) * sizeof *words);
    size_t at = 0;
    assert_non_null(words);
    if (count)
        memcpy(words, book->words.entries, count * sizeof *words);
    while (at < count && !leat_sv_eq(words[at].key, word))
        at++;
    if (at == count)
        words[at] = (struct notebook_words_entry){ word, 0 };
    words[at].value += times;
    book->words = (struct leat_map){ words, at == count ? count + 1 : count };
}

static void offer(struct notebook *book, struct leat_sv text)
{
    if (book->has_greatest && leat_sv_cmp(text, book->greatest) <= 0)
        return;
    book->has_greatest = true;
    book->greatest = text; /* as it is shown: copying is the engine's */
}

static void notes__create(struct leat_ctx *ctx, void *accumulator)
{
    struct notebook *book = accumulator;
    book->mood = MOOD_GOOD;
    put_page(ctx, book, &(struct page){ .text = leat_printf(ctx, "%d", 0), .has_at = false });
}

static void notes__add(struct leat_ctx *ctx, const struct agg_event *e, struct notebook *book)
{
    assert_int_equal(book->mood, MOOD_GOOD);
    book->count++;
    book->total += e->v;
    offer(book, e->s);
    put_page(ctx, book,
        &(struct page){ .text = leat_printf(ctx, "%lld", (long long)e->v), .has_at = true, .at = e->ts });
    put_word(ctx, book, leat_printf(ctx, "w%lld", (long long)(e->v & 3)), 1);
    if (e->v == 666) {
        book->mood = 77; /* what is refused must leave nothing behind */
        leat_fail(ctx, "no such number");
    }
    if (e->v == 667)
        book->mood = 5; /* Avro can not say it */
}

static void notes__retract(struct leat_ctx *ctx, const struct agg_event *e, struct notebook *book)
{
    const struct leat_array old = book->pages;
    bool is_gone = false;
    book->count--;
    book->total -= e->v;
    book->pages = (struct leat_array){ NULL, 0 };
    book->has_greatest = false; /* it is not known; the test does not look */
    for (size_t i = 0; i < old.count; i++) {
        const struct page *page = notebook_pages_at(old, i);
        const bool is_it = !is_gone && page->has_at && page->at == e->ts;
        is_gone |= is_it;
        if (!is_it)
            put_page(ctx, book, page);
    }
    put_word(ctx, book, leat_printf(ctx, "w%lld", (long long)(e->v & 3)), -1);
}

static void notes__merge(struct leat_ctx *ctx, struct notebook *into, const struct notebook *from)
{
    into->count += from->count;
    into->total += from->total;
    offer(into, from->greatest);
    for (size_t i = 1; i < from->pages.count; i++) /* the first is from create */
        put_page(ctx, into, notebook_pages_at(from->pages, i));
    for (size_t i = 0; i < from->words.count; i++)
        put_word(ctx, into, notebook_words_at(from->words, i)->key, notebook_words_at(from->words, i)->value);
}

/* Its parts must agree with each other. */
static const char *fault_of(const struct notebook *book)
{
    int64_t sum = 0, words = 0;
    for (size_t i = 0; i < book->pages.count; i++) {
        const struct page *page = notebook_pages_at(book->pages, i);
        char text[32];
        (void)snprintf(text, sizeof text, "%.*s", (int)page->text.len, page->text.data);
        sum += strtoll(text, NULL, 10);
        if (page->has_at != (i > 0))
            return "times of pages";
    }
    for (size_t i = 0; i < book->words.count; i++)
        words += notebook_words_at(book->words, i)->value;
    return sum != book->total                          ? "texts of pages"
        : book->pages.count != (size_t)book->count + 1 ? "count of pages"
        : words != book->count                         ? "words"
        : book->mood != MOOD_GOOD                      ? "mood"
                                                       : "ok";
}

static void notes__result(struct leat_ctx *ctx, const struct notebook *book, struct notebook_told *told)
{
    told->has_count = told->has_sum = told->has_text = true;
    told->count = book->count;
    told->sum = book->total;
    told->has_greatest = book->has_greatest;
    told->greatest = book->greatest; /* shows the accumulator */
    told->text = leat_printf(ctx, "%s", fault_of(book));
}
LEAT_DEFINE_RETRACTABLE_RECORD_AGGREGATE(notes, agg_event, notebook, notebook_told);

static struct leat_aggregate_fn notes_created(void)
{
    struct leat_aggregate_fn fn = notes_aggregate;
    fn.create = notes__create;
    return fn;
}

/* ---- running ---- */

static void start(struct agg_setup *s, const char *words, const struct leat_aggregate_fn *fn, uint64_t budget)
{
    const struct harness_opts opts = { .with_store = true, .budget_bytes = budget, .batch_rows = 64 };
    memset(s, 0, sizeof *s);
    agg_event_type = *agg_type_of(s, RECORD("event", AGG_EVENT_FIELDS));
    s->t = leat_topology_new("test");
    leat_stream *in = harness_source(s->t, "in", &agg_event_type, "ts");
    s->h = harness_new(agg_declare(in, words, &notebook_told_type, fn), &opts);
}

static void put(struct leat_batch *batch, int64_t k, int64_t v, int64_t ts)
{
    char *text = leat__batch_alloc(batch, 24, 1);
    assert_non_null(text);
    (void)snprintf(text, 24, "%06lld of %lld", (long long)v, (long long)k);
    agg_put(batch,
        &(struct agg_event){
            .has_k = true, .k = k, .has_v = true, .v = v, .has_s = true, .s = leat_sv_of(text), .ts = ts });
}

static int put_one(struct harness *h, int64_t k, int64_t v, int64_t ts)
{
    struct leat_batch *batch = harness_rows(h, 0);
    put(batch, k, v, ts);
    return harness_batch(h, 0, batch);
}

static uint32_t check_rows(const struct harness *h, const char *words)
{
    uint32_t rows = 0;
    for (uint32_t i = 0; i < h->outs_count; i++) {
        const struct leat_batch *batch = h->outs[i].batch;
        for (uint32_t r = 0; h->outs[i].port == 0 && r < batch->count; r++, rows++) {
            const struct notebook_told *t = (const void *)leat_batch_at(batch, r);
            char line[512];
            (void)leat_record_print(t, batch->type, line, sizeof line);
            FAIL_UNLESS(t->count == t->n && t->sum == t->total, "%s: %s", words, line);
            FAIL_UNLESS(leat_sv_eq(t->greatest, t->smax), "%s: %s", words, line);
            FAIL_UNLESS(leat_sv_eq(t->text, LEAT_SV("ok")), "%s: %s", words, line);
        }
    }
    return rows;
}

/* Random rows, watermarks, moments of the clock, checkpoints, crashes. */
static uint32_t run_random(const char *words, const struct leat_aggregate_fn *fn, uint64_t budget)
{
    struct agg_setup s;
    int64_t front = 0, w = LEAT_TIME_MIN;
    uint32_t rows = 0;
    start(&s, words, fn, budget);
    for (uint32_t i = 0; i < 60; i++) {
        struct leat_batch *batch = harness_rows(s.h, 0);
        const uint32_t count = 1 + agg_below(20);
        for (uint32_t r = 0; r < count; r++) {
            front += agg_below(3);
            const int64_t late = agg_below(8) == 0 ? 20 : 6;
            const int64_t ts = front - agg_below((uint32_t)late);
            put(batch, agg_below(4), agg_below(600), ts <= w ? w + 1 : ts);
        }
        assert_int_equal(harness_batch(s.h, 0, batch), 0);
        if (agg_below(3) == 0 && front - 8 > w)
            assert_int_equal(harness_watermark(s.h, 0, w = front - 8), 0);
        if (agg_below(4) == 0)
            assert_int_equal(harness_advance(s.h, 5), 0);
        if (agg_below(10) == 0) {
            rows += check_rows(s.h, words);
            harness_forget_outs(s.h);
            FAIL_UNLESS(harness_crash(s.h, NULL) == 0, "%s: %s", words, s.h->error.message);
        }
    }
    assert_int_equal(harness_end(s.h, 0), 0);
    rows += check_rows(s.h, words);
    agg_release(&s);
    return rows;
}

static const char *const families[] = {
    "size=20",
    "size=20,lateness=15",
    "size=20,lateness=15,count=3,retracting",
    "size=20,count=3,discarding",
    "size=20,slide=10", /* slices, whose values are put together */
    "size=20,slide=5,lateness=10",
    "size=20,slide=5,count=4",
    "size=20,step=5",
    "day=UTC",
    "global,count=5",
    "gap=2",
    "gap=2,lateness=20,retracting,count=3",
    "gap=2,max=10",
    "size=10,sliding",
    "size=10,sliding,lateness=5,retracting",
    "size=10,sliding,lateness=5,count=2,event=5,clock=7,retracting",
    "last=4,every=2",
    "last=3,every=3",
};

static void test_records__given_every_family__when_spilled_and_restored__then_they_agree_with_the_engines_own(
    void **state)
{
    const struct leat_aggregate_fn created = notes_created();
    (void)state;
    agg_seed();
    for (uint32_t i = 0; i < COUNT_OF(families); i++) {
        FAIL_UNLESS(run_random(families[i], &created, 0) >= 4, "%s", families[i]);
        FAIL_UNLESS(run_random(families[i], &created, 1) >= 4, "%s", families[i]);
    }
}

/* ---- refusals ---- */

static void test_records__given_rows_that_are_refused__when_skipped__then_accumulators_are_as_before_them(
    void **state)
{
    static const char *const words[] = { "size=100,skip", "size=100,slide=50,skip", "gap=50,skip",
        "size=100,sliding,skip", "last=7,every=7,skip", "global,count=7,skip" };
    const struct leat_aggregate_fn created = notes_created();
    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(words); i++) {
        struct agg_setup s;
        start(&s, words[i], &created, i & 1);
        struct leat_batch *batch = harness_rows(s.h, 0);
        for (int64_t r = 0; r < 10; r++)
            put(batch, 1, r == 3 ? 666 : r == 5 ? 667 : r == 0 ? 666 : r, 10 + r);
        assert_int_equal(harness_batch(s.h, 0, batch), 0);
        assert_int_equal(harness_end(s.h, 0), 0);
        FAIL_UNLESS(check_rows(s.h, words[i]) > 0, "%s", words[i]);
        const uint64_t windows = strstr(words[i], "slide") ? 2 : 1; /* each has refused them */
        FAIL_UNLESS(s.h->counters.dropped_records == 3 * windows, "%s: %llu", words[i],
            (unsigned long long)s.h->counters.dropped_records);
        agg_release(&s);
    }
}

static void test_records__given_what_avro_can_not_say__when_the_policy_is_to_fail__then_the_field_is_named(
    void **state)
{
    const struct leat_aggregate_fn created = notes_created();
    struct agg_setup s;
    (void)state;
    start(&s, "size=100", &created, 0);
    assert_int_equal(put_one(s.h, 1, 667, 5), LEAT_EUSER);
    FAIL_UNLESS(strstr(s.h->error.message, "aggs[3] notes: its accumulator can not be kept"), "%s",
        s.h->error.message);
    FAIL_UNLESS(strstr(s.h->error.message, "mood"), "%s", s.h->error.message);
    agg_release(&s);
}

/* ---- groups ---- */

static void put_change(struct harness *h, int64_t v, int64_t ts, enum leat_change change)
{
    struct leat_batch *batch = harness_rows(h, 0);
    put(batch, 1, v, ts);
    leat__batch_set_change(batch, 0, (uint8_t)change);
    FAIL_UNLESS(harness_batch(h, 0, batch) == 0, "%s", h->error.message);
}

static leat_stream *as_changes(leat_stream *in)
{
    in->node->outputs[in->port].changes = true;
    return in;
}

static void check_last(const struct harness *h, const char *want)
{
    const struct leat_batch *batch = h->outs[h->outs_count - 1].batch;
    char line[512];
    (void)leat_record_print(leat_batch_at(batch, batch->count - 1), batch->type, line, sizeof line);
    assert_string_equal(line, want);
}

static void test_records__given_a_group_of_changes__when_rows_are_taken_back__then_they_leave_the_accumulator(
    void **state)
{
    const struct leat_aggregate_fn created = notes_created();
    struct agg_setup s;
    (void)state;
    for (uint64_t budget = 0; budget < 2; budget++) {
        memset(&s, 0, sizeof s);
        agg_event_type = *agg_type_of(&s, RECORD("event", AGG_EVENT_FIELDS));
        s.t = leat_topology_new("test");
        leat_stream *in = as_changes(harness_source(s.t, "in", &agg_event_type, "ts"));
        s.h = harness_new(leat_group_aggregate(leat_group_by(in, "keyed", "k"), "totals",
                              &(struct leat_group_aggregate_opts){
                                  .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "total"), LEAT_USER(&created) },
                                  .out = &notebook_told_type }),
            &(struct harness_opts){ .with_store = true, .budget_bytes = budget });
        put_change(s.h, 10, 1, LEAT_INSERT);
        put_change(s.h, 11, 2, LEAT_INSERT);
        put_change(s.h, 13, 3, LEAT_INSERT);
        put_change(s.h, 11, 2, LEAT_UPDATE_BEFORE);
        assert_int_equal(harness_crash(s.h, NULL), 0);
        put_change(s.h, 14, 2, LEAT_UPDATE_AFTER);
        put_change(s.h, 10, 1, LEAT_DELETE);
        check_last(s.h,
            "{\"k\":1,\"n\":2,\"total\":27,\"smax\":null,\"count\":2,\"sum\":27,\"greatest\":null,\"text\":"
            "\"ok\"}");
        agg_release(&s);
    }
}

/* ---- later versions ---- */

static void later__accumulate(struct leat_ctx *ctx, const struct leat_batch *batch, const uint32_t *rows,
    uint32_t count, void *const *accumulators)
{
    (void)ctx;
    for (uint32_t i = 0; i < count; i++) {
        const struct agg_event *e = (const void *)leat_batch_at(batch, rows[i]);
        struct notebook_later *book = accumulators[i];
        book->count++;
        book->total += e->v;
    }
}

static void later__merge(struct leat_ctx *ctx, void *into_any, const void *from_any)
{
    struct notebook_later *into = into_any;
    const struct notebook_later *from = from_any;
    into->count += from->count;
    into->total += from->total;
    if (from->pages.count < 2) /* the first is from create */
        return;
    struct page_later *pages = leat_alloc(ctx, (into->pages.count + from->pages.count) * sizeof *pages);
    assert_non_null(pages);
    memcpy(pages, into->pages.items, into->pages.count * sizeof *pages);
    memcpy(pages + into->pages.count, notebook_later_pages_at(from->pages, 1),
        (from->pages.count - 1) * sizeof *pages);
    into->pages = (struct leat_array){ pages, into->pages.count + from->pages.count - 1 };
}

static void later__result(struct leat_ctx *ctx, const void *accumulator, void *out)
{
    const struct notebook_later *book = accumulator;
    struct notebook_told *told = out;
    told->has_text = true;
    told->text = leat_printf(ctx, "%.*s: %lld, %lld, pages", (int)book->owner.len, book->owner.data,
        (long long)book->count, (long long)book->total);
    for (size_t i = 0; i < book->pages.count; i++) {
        const struct leat_sv text = notebook_later_pages_at(book->pages, i)->text;
        told->text =
            leat_printf(ctx, "%.*s %.*s", (int)told->text.len, told->text.data, (int)text.len, text.data);
    }
}

static const struct leat_aggregate_fn later_notes = { sizeof later_notes, "notes", &agg_event_type,
    &notebook_told_type, sizeof(struct notebook_later), later__accumulate, later__merge, later__result, NULL,
    &notebook_later_type, NULL };

/* Interrupted with one aggregate, going on with another: the code. */
static int change_aggregate(struct agg_setup *s, const char *words, const struct leat_aggregate_fn *fn,
    const struct leat_aggregate_fn *later, leat_topology **t)
{
    start(s, words, fn, 0);
    assert_int_equal(put_one(s->h, 1, 40, 5), 0);
    assert_int_equal(put_one(s->h, 1, 2, 6), 0);
    *t = leat_topology_new("later");
    return harness_crash(s->h,
        agg_declare(harness_source(*t, "in", &agg_event_type, "ts"), words, &notebook_told_type, later));
}

static void test_records__given_another_schema_that_resolves__when_restored__then_accumulators_go_on_in_it(
    void **state)
{
    static const char *const words[] = { "size=20", "size=20,slide=10", "size=20,count=2,retracting", "gap=5",
        "gap=5,count=5,retracting", "size=5,sliding", "size=5,sliding,count=9,retracting", "last=3,every=3" };
    const struct leat_aggregate_fn created = notes_created();
    (void)state;
    for (uint32_t i = 0; i < COUNT_OF(words); i++) {
        struct agg_setup s;
        leat_topology *t;
        const int code = change_aggregate(&s, words[i], &created, &later_notes, &t);
        FAIL_UNLESS(code == 0, "%s: %s", words[i], s.h->error.message);
        assert_int_equal(put_one(s.h, 1, 8, 7), 0);
        assert_int_equal(harness_crash(s.h, NULL), 0);
        assert_int_equal(harness_end(s.h, 0), 0);
        struct leat_strbuf text = { 0 };
        agg_print_outs(s.h, &text);
        FAIL_UNLESS(text.data && strstr(text.data, "nobody: 3, 50, pages 0 40 2"), "%s: %s", words[i],
            text.data ? text.data : "nothing");
        leat__strbuf_release(&text);
        agg_release(&s);
        leat_topology_free(t);
    }
}

static void
test_records__given_an_accumulator_that_does_not_resolve__when_restored__then_it_is_refused_by_name(
    void **state)
{
    const struct leat_aggregate_fn created = notes_created();
    struct leat_aggregate_fn other = later_notes, plain = later_notes;
    struct agg_setup s;
    leat_topology *t;
    (void)state;
    other.accumulator_type = &notebook_told_type;
    other.accumulator_size = sizeof(struct notebook_told);
    assert_int_equal(change_aggregate(&s, "size=20", &created, &other, &t), LEAT_ESCHEMA);
    FAIL_UNLESS(
        strstr(s.h->error.message, "state of \"totals\", table \"windows\": the accumulator of notes"), "%s",
        s.h->error.message);
    agg_release(&s);
    leat_topology_free(t);
    plain.accumulator_type = NULL;
    assert_int_equal(change_aggregate(&s, "size=20", &created, &plain, &t), LEAT_ESCHEMA);
    FAIL_UNLESS(strstr(s.h->error.message, "user notes of a record") &&
            strstr(s.h->error.message, "user notes of 72 bytes"),
        "%s", s.h->error.message);
    agg_release(&s);
    leat_topology_free(t);
}

/* ---- plain bytes that are begun ---- */

struct low {
    int64_t least, count;
};

static void low__create(struct leat_ctx *ctx, void *accumulator)
{
    (void)ctx;
    ((struct low *)accumulator)->least = INT64_MAX;
}

static void low__add(struct leat_ctx *ctx, const struct agg_event *e, struct low *low)
{
    (void)ctx;
    low->least = e->v < low->least ? e->v : low->least;
    low->count++;
}

static void low__merge(struct leat_ctx *ctx, struct low *into, const struct low *from)
{
    (void)ctx;
    into->least = from->least < into->least ? from->least : into->least;
    into->count += from->count;
}

static void low__result(struct leat_ctx *ctx, const struct low *low, struct notebook_told *told)
{
    (void)ctx;
    told->has_count = told->has_sum = true;
    told->sum = low->least;
    told->count = low->count;
}
LEAT_DEFINE_AGGREGATE(low, agg_event, low, notebook_told);

static void test_bytes__given_a_create__when_rows_come_or_none_counts__then_each_accumulator_is_begun(
    void **state)
{
    static const char *const words[] = { "size=20", "size=20,slide=10", "gap=5", "size=20,sliding",
        "last=2,every=2" };
    struct leat_aggregate_fn fn = low_aggregate;
    (void)state;
    fn.create = low__create;
    for (uint32_t i = 0; i < 2 * COUNT_OF(words); i++) {
        struct agg_setup s;
        start(&s, words[i / 2], &fn, i & 1);
        assert_int_equal(put_one(s.h, 1, 40, 5), 0);
        assert_int_equal(harness_crash(s.h, NULL), 0);
        assert_int_equal(put_one(s.h, 1, 42, 8), 0);
        assert_int_equal(harness_end(s.h, 0), 0);
        struct leat_strbuf text = { 0 };
        agg_print_outs(s.h, &text);
        FAIL_UNLESS(text.data && strstr(text.data, "\"count\":2,\"sum\":40"), "%s: %s", words[i / 2],
            text.data ? text.data : "nothing");
        leat__strbuf_release(&text);
        agg_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_records__given_every_family__when_spilled_and_restored__then_they_agree_with_the_engines_own),
        cmocka_unit_test(
            test_records__given_rows_that_are_refused__when_skipped__then_accumulators_are_as_before_them),
        cmocka_unit_test(
            test_records__given_what_avro_can_not_say__when_the_policy_is_to_fail__then_the_field_is_named),
        cmocka_unit_test(
            test_records__given_a_group_of_changes__when_rows_are_taken_back__then_they_leave_the_accumulator),
        cmocka_unit_test(
            test_records__given_another_schema_that_resolves__when_restored__then_accumulators_go_on_in_it),
        cmocka_unit_test(
            test_records__given_an_accumulator_that_does_not_resolve__when_restored__then_it_is_refused_by_name),
        cmocka_unit_test(
            test_bytes__given_a_create__when_rows_come_or_none_counts__then_each_accumulator_is_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
