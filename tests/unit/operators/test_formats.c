/* tests/unit/operators/test_formats.c -- what operators have saved, byte by byte: tests/golden/formats/<name>.txt has the
 * formats of the tables, their entries, what the operator knows beside them, and what comes out behind that.
 *
 * The bytes of this build must be those of the file, and this build must go on from those of the file. Whoever changes
 * the layout of state changes the format text of its table too, or reads both: LEAT_UPDATE_GOLDEN=1 writes
 * what came out. */
#include "notebook.h"
#include "notebook_told.h"
#include <leat/async.h>
#include <leat/deduplicate.h>
#include <leat/group_aggregate.h>
#include <leat/pattern.h>
#include <leat/process.h>
#include <leat/table.h>
#include <leat/top_n.h>
#include "tests/support/aggregate_fixture.h"
#include "tests/support/golden.h"
#include "tests/support/memory_env.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define RUN_SUFFIX ".run" /* of the files of the store in memory */

#define RESULT \
    FIELD("k", OR_NULL("\"long\"")) \
    "," FIELD("window_end", "\"long\"") "," FIELD("pane_index", "\"int\"") "," FIELD( \
        "n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")) "," FIELD("dsum", \
        OR_NULL("\"double\"")) "," FIELD("smax", OR_NULL("\"string\""))

typedef leat_stream *declare_fn(leat_keyed_stream *in);
typedef leat_stream *declare_plain_fn(leat_stream *in);
typedef leat_stream *declare_two_fn(leat_stream *in, leat_stream *other);

static leat_stream *declare_first(leat_keyed_stream *in)
{
    return leat_deduplicate(in, "once", &(struct leat_deduplicate_opts){ .within_us = 10 });
}
static leat_stream *declare_last(leat_keyed_stream *in)
{
    return leat_deduplicate(
        in, "once", &(struct leat_deduplicate_opts){ .within_us = 10, .keep = LEAT_KEEP_LAST });
}
static leat_stream *declare_top(leat_keyed_stream *in)
{
    return leat_top_n(in, "best", &(struct leat_top_n_opts){ .n = 2, .by = "v", .descending = true });
}
static leat_stream *declare_top_of_window(leat_keyed_stream *in)
{
    leat_windowed_stream *windows =
        leat_window(in, "windows", &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 20 });
    return leat_window_top_n(windows, "best", &(struct leat_top_n_opts){ .n = 2, .by = "v" });
}

static leat_stream *declare_top_of_sessions(leat_keyed_stream *in)
{
    leat_windowed_stream *windows = leat_window(in, "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION,
            .gap_us = 5,
            .allowed_lateness_us = 20,
            .accumulation = LEAT_RETRACTING });
    return leat_window_top_n(windows, "best", &(struct leat_top_n_opts){ .n = 2, .by = "0 - v" });
}

/* What a pattern knows of a key. */
static leat_stream *declare_pattern(leat_keyed_stream *in)
{
    return leat_pattern(in, "rise",
        &(struct leat_pattern_opts){
            .steps = { { .name = "low" }, { .name = "high", .where = "v > low.v + 2" } },
            .within_us = 12,
            .match = {
                .out = &agg_event_type, .fields = { { "low.v", "v" }, { "k", "k" }, { "ts", "ts" } } } });
}

/* An accumulator that is a record. */
static void book__add(struct leat_ctx *ctx, const struct agg_event *e, struct notebook *book)
{
    struct page *page = leat_alloc(ctx, sizeof *page);
    assert_non_null(page);
    *page = (struct page){ .text = e->s, .has_at = true, .at = e->ts };
    book->count++;
    book->total += e->v;
    book->has_greatest = true;
    book->greatest = e->s;
    book->pages = (struct leat_array){ page, 1 };
}
static void book__merge(struct leat_ctx *ctx, struct notebook *into, const struct notebook *from)
{
    (void)ctx;
    into->count += from->count;
    into->total += from->total;
    into->greatest = from->greatest;
    into->pages = from->pages;
}
static void book__result(struct leat_ctx *ctx, const struct notebook *book, struct notebook_told *told)
{
    (void)ctx;
    told->n = book->count;
    told->has_sum = told->has_text = true;
    told->sum = book->total;
    told->text = notebook_pages_at(book->pages, 0)->text;
}
LEAT_DEFINE_RECORD_AGGREGATE(book, agg_event, notebook, notebook_told);

static leat_stream *declare_records(leat_keyed_stream *in)
{
    leat_windowed_stream *windows = leat_window(in, "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 5, .allowed_lateness_us = 20 });
    return leat_aggregate(windows, "books",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_USER(&book_aggregate) }, .out = &notebook_told_type });
}

/* A user's trigger: what it knows, and a timer. */
struct seen {
    int64_t records;
};

static enum leat_fire third__on_record(
    struct leat_ctx *ctx, const struct agg_event *event, const struct leat_bounds *window, struct seen *seen)
{
    (void)window;
    leat_timer_set(ctx, LEAT_EVENT_TIME, event->ts + 9);
    return ++seen->records % 3 ? LEAT_CONTINUE : LEAT_FIRE;
}
static enum leat_fire third__on_timer(struct leat_ctx *ctx, int64_t us, enum leat_time_kind kind,
    const struct leat_bounds *window, struct seen *seen)
{
    (void)ctx;
    (void)us;
    (void)kind;
    (void)window;
    seen->records++;
    return LEAT_FIRE;
}
static void third__merge(struct leat_ctx *ctx, struct seen *into, const struct seen *from)
{
    (void)ctx;
    into->records += from->records;
}
LEAT_DEFINE_TRIGGER(third, agg_event, seen);

static leat_stream *declare_triggered(leat_keyed_stream *in, struct leat_window_opts windows)
{
    windows.triggers[0] = (struct leat_trigger)LEAT_ON_TRIGGER(&third_trigger);
    windows.triggers[1] = (struct leat_trigger)LEAT_ON_WATERMARK;
    return leat_aggregate(leat_window(in, "windows", &windows), "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("n"), LEAT_MAX("s", "smax") }, .out = &notebook_told_type });
}
static leat_stream *declare_triggered_windows(leat_keyed_stream *in)
{
    return declare_triggered(in, (struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 20 });
}
static leat_stream *declare_triggered_sessions(leat_keyed_stream *in)
{
    return declare_triggered(in, (struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION, .gap_us = 5 });
}
static leat_stream *declare_triggered_sliding(leat_keyed_stream *in)
{
    return declare_triggered(in, (struct leat_window_opts){ .kind = LEAT_WINDOW_SLIDING, .size_us = 10 });
}

static leat_stream *declare_group(leat_keyed_stream *in)
{
    return leat_group_aggregate(in, "totals",
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "total"),
                                                 LEAT_MAX("s", "smax"), LEAT_USER(&book_aggregate) },
            .ttl = { .us = 15 },
            .out = &notebook_told_type });
}

static leat_stream *declare_group_folded(leat_keyed_stream *in)
{
    return leat_group_aggregate(in, "totals",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "total"), LEAT_USER(&book_aggregate) },
            .mini_batch_rows = 1000,
            .out = &notebook_told_type });
}
static leat_stream *declare_frequency(leat_keyed_stream *in)
{
    return leat_frequency(in, "often",
        &(struct leat_frequency_opts){ .count = 3, .within_us = 20, .match = { .out = &agg_event_type } });
}

/* A process function with each kind of state, and timers. */
enum { LATEST, ALL, BY_VALUE, BOOK };

static void keep__on_record(struct leat_ctx *ctx, const void *record)
{
    const struct agg_event *e = record;
    *(struct agg_event *)leat_state(ctx, LATEST) = *e;
    leat_list_add(ctx, ALL, e);
    *(struct agg_event *)leat_map_put(ctx, BY_VALUE, &e->v) = *e;
    leat_aggregate_add(ctx, BOOK, e);
    leat_timer_set(ctx, LEAT_EVENT_TIME, e->ts + 15);
    leat_timer_set(ctx, LEAT_PROCESSING_TIME, e->ts + 1000);
}
static void keep__on_timer(struct leat_ctx *ctx, int64_t us, enum leat_time_kind kind)
{
    struct notebook_told *told = leat_out(ctx);
    const struct agg_event *latest = leat_state_find(ctx, LATEST);
    leat_aggregate_result(ctx, BOOK, told);
    told->has_k = true;
    told->k = leat_key_i64(ctx, 0);
    told->has_total = told->has_smax = told->has_count = true;
    told->total = kind == LEAT_EVENT_TIME ? us : -us;
    told->smax = latest ? latest->s : LEAT_SV("none");
    told->count = (int64_t)(leat_list_count(ctx, ALL) * 100 + leat_map_count(ctx, BY_VALUE));
}

static leat_stream *declare_process(leat_keyed_stream *in)
{
    static const struct leat_process_fn fn = { sizeof fn, "keep", &agg_event_type, keep__on_record,
        keep__on_timer };
    return leat_process(in, "keeper",
        &(struct leat_process_opts){ .fn = &fn,
            .state = { LEAT_VALUE("latest", &agg_event_type), LEAT_LIST("all", &agg_event_type),
                { .name = "by-value",
                    .map = &agg_event_type,
                    .map_key = LEAT_KIND_LONG,
                    .ttl = { .us = 20 } },
                LEAT_AGGREGATE("book", &book_aggregate) },
            .out = &notebook_told_type });
}

static leat_stream *declare_upsert(leat_stream *in)
{
    return leat_upsert(
        in, "rows", &(struct leat_upsert_opts){ .key = "k", .by_event_time = true, .ttl = { .us = 15 } });
}

/* Requests: who asks before the barrier gets no answer in time. */
static struct leat_request *asked[32];
static uint32_t asked_count;
static bool answers;

static void ask__begin(struct leat_ctx *ctx, const void *record, struct leat_request *request, void *arg)
{
    const struct agg_event *e = record;
    (void)ctx;
    (void)arg;
    if (answers || e->v % 4 == 0)
        leat_request_complete(
            request, &(struct agg_event){ .has_k = true, .k = e->k, .ts = e->ts, .has_v = true, .v = -e->v });
    else
        asked[asked_count++] = request;
}

static leat_stream *declare_requests(leat_stream *in)
{
    static const struct leat_async_fn fn = { sizeof fn, "ask", &agg_event_type, &agg_event_type, ask__begin };
    return leat_async(in, "ask", &(struct leat_async_opts){ .fn = &fn });
}

/* Both sides of joins. */
#define PAIRS \
    .out = &agg_event_type, \
    .fields = { { "left.k", "k" }, { "left.v", "v" }, { "left.d", "d" }, { "right.s", "s" }, \
        { "coalesce(left.ts, right.ts, 0)", "ts" } }

static leat_stream *declare_interval(leat_stream *left, leat_stream *right)
{
    return leat_join(
        left, right, "pairs", &(struct leat_join_opts){ .left_key = "k", .within_us = 9, PAIRS });
}
static leat_stream *declare_outer(leat_stream *left, leat_stream *right)
{
    return leat_join(left, right, "pairs",
        &(struct leat_join_opts){ .left_key = "k", .within_us = 9, .kind = LEAT_JOIN_FULL, PAIRS });
}
static leat_stream *declare_window_join(leat_stream *left, leat_stream *right)
{
    return leat_window_join(left, right, "pairs",
        &(struct leat_window_join_opts){ .left_key = "k",
            .window = { .kind = LEAT_WINDOW_HOPPING, .size_us = 20, .slide_us = 10 },
            .kind = LEAT_JOIN_LEFT,
            PAIRS });
}
static leat_stream *declare_session_join(leat_stream *left, leat_stream *right)
{
    return leat_window_join(left, right, "pairs",
        &(struct leat_window_join_opts){ .left_key = "k",
            .window = { .kind = LEAT_WINDOW_SESSION, .gap_us = 5 },
            .kind = LEAT_JOIN_FULL,
            PAIRS });
}
static leat_stream *declare_asof(leat_stream *left, leat_stream *right)
{
    return leat_asof_join(left, right, "pairs",
        &(struct leat_asof_join_opts){
            .left_key = "k", .direction = LEAT_ASOF_NEAREST, .tolerance_us = 9, PAIRS });
}
static leat_stream *declare_tables(leat_stream *left, leat_stream *right)
{
    return leat_join_tables(left, right, "pairs",
        &(struct leat_join_tables_opts){ .left_key = "k", .kind = LEAT_JOIN_FULL, PAIRS });
}
static leat_stream *declare_table(leat_stream *left, leat_stream *right)
{
    return leat_table_join(left, right, "pairs",
        &(struct leat_table_join_opts){ .left_key = "k", .retention_us = 10, .kind = LEAT_JOIN_LEFT, PAIRS });
}
static leat_stream *declare_everywhere(leat_stream *left, leat_stream *right)
{
    return leat_table_join(left, right, "pairs",
        &(struct leat_table_join_opts){
            .left_key = "k", .as_of = LEAT_AS_OF_ARRIVAL, .broadcast = true, .kind = LEAT_JOIN_LEFT, PAIRS });
}

struct format {
    const char *name;
    const char *words; /* of the fixture, or */
    declare_fn *declare; /* or */
    declare_plain_fn *declare_plain; /* or */
    declare_two_fn *declare_two;
};

static const struct format formats[] = {
    { "tumbling", .words = "size=20,lateness=5" },
    { "tumbling_triggers", .words = "size=20,lateness=5,count=2,event=5,clock=7,retracting" },
    { "hopping_running", .words = "size=20,slide=10" },
    { "hopping_tree", .words = "size=20,slide=5,lateness=10" },
    { "cumulating", .words = "size=20,step=5" },
    { "global", .words = "global,count=3" },
    { "calendar", .words = "day=Europe/Berlin,lateness=5" },
    { "sessions", .words = "gap=5,lateness=20" },
    { "sessions_triggers", .words = "gap=5,lateness=20,count=3,event=5,clock=7,retracting" },
    { "sliding", .words = "size=10,sliding,lateness=5" },
    { "sliding_retracting", .words = "size=10,sliding,lateness=5,retracting" },
    { "sliding_triggers", .words = "size=10,sliding,lateness=5,count=2,event=5,clock=7,retracting" },
    { "count_windows", .words = "last=4,every=2" },
    { "deduplicate_first", .declare = declare_first },
    { "deduplicate_last", .declare = declare_last },
    { "top_n", .declare = declare_top },
    { "top_n_of_window", .declare = declare_top_of_window },
    { "top_n_of_sessions", .declare = declare_top_of_sessions },
    { "pattern", .declare = declare_pattern },
    { "user_trigger", .declare = declare_triggered_windows },
    { "user_trigger_sessions", .declare = declare_triggered_sessions },
    { "user_trigger_sliding", .declare = declare_triggered_sliding },
    { "records_in_sessions", .declare = declare_records },
    { "group_aggregate", .declare = declare_group },
    { "group_aggregate_folded", .declare = declare_group_folded },
    { "frequency", .declare = declare_frequency },
    { "process", .declare = declare_process },
    { "upsert", .declare_plain = declare_upsert },
    { "requests", .declare_plain = declare_requests },
    { "join_interval", .declare_two = declare_interval },
    { "join_outer", .declare_two = declare_outer },
    { "join_window", .declare_two = declare_window_join },
    { "join_session", .declare_two = declare_session_join },
    { "join_asof", .declare_two = declare_asof },
    { "join_tables", .declare_two = declare_tables },
    { "table_join", .declare_two = declare_table },
    { "table_join_everywhere", .declare_two = declare_everywhere },
};

/* ---- running ---- */

static void start(struct agg_setup *s, const struct format *format)
{
    const struct harness_opts opts = { .with_store = true };
    if (format->words) {
        agg_start(s, format->words, RESULT, &opts);
        return;
    }
    memset(s, 0, sizeof *s);
    agg_event_type = *agg_type_of(s, RECORD("event", AGG_EVENT_FIELDS));
    s->t = leat_topology_new("test");
    leat_stream *in = harness_source(s->t, "in", &agg_event_type, "ts");
    leat_stream *stream = format->declare ? format->declare(leat_group_by(in, "keyed", "k"))
        : format->declare_plain
        ? format->declare_plain(in)
        : format->declare_two(in, harness_source(s->t, "other", &agg_event_type, "ts"));
    s->h = harness_new(stream, &opts);
}

/* Rows of value 2, 3 mod 4 go into the second input, where there is one. */
static void put(struct harness *h, int64_t k, int64_t v, int64_t ts)
{
    const uint32_t input = h->node->inputs_count > 1 && v % 4 >= 2;
    static char texts[64][32]; /* which live as long as any batch */
    char *text = texts[v];
    struct leat_batch *batch = harness_rows(h, input);
    (void)snprintf(text, sizeof texts[0], "text number %d", (int)v);
    agg_put(batch,
        &(struct agg_event){ .has_k = true,
            .k = k,
            .has_v = true,
            .v = v,
            .has_d = true,
            .d = 0.5 * (double)v,
            .has_s = true,
            .s = leat_sv_of(text),
            .ts = ts });
    batch->key_hash[0] = 0; /* where no key is: requests save it */
    assert_int_equal(harness_batch(h, input, batch), 0);
}

static void tell(struct harness *h, int64_t w)
{
    for (uint32_t i = 0; i < h->node->inputs_count; i++)
        assert_int_equal(harness_watermark(h, i, w), 0);
}

/* Up to the barrier, and behind it. */
static void run_before(struct harness *h)
{
    static const int64_t times[] = { 1, 3, 4, 9, 11, 12, 18, 23, 22, 31 };
    for (uint32_t i = 0; i < COUNT_OF(times); i++) {
        put(h, 1 + i % 2, 10 + i, times[i]);
        if (i == 4)
            tell(h, 10);
    }
    tell(h, 21);
}

static void run_behind(struct harness *h)
{
    put(h, 1, 50, 33);
    put(h, 2, 51, 27);
    put(h, 3, 52, 34);
    if (h->node->inputs_count > 1)
        put(h, 2, 53, 35);
    tell(h, LEAT_TIME_MAX);
}

/* ---- texts ---- */

static void add_hex(struct leat_strbuf *out, const char *what, const void *bytes, size_t len)
{
    leat__strbuf_printf(out, "%s %zu\n", what, len);
    for (size_t i = 0; i < len; i++)
        leat__strbuf_printf(out, "%02x%s", ((const unsigned char *)bytes)[i], i % 48 == 47 ? "\n" : "");
    leat__strbuf_str(out, len % 48 ? "\n" : "");
}

/* The only file of the checkpoint; NULL: an operator without tables has none. */
static const char *store_path(const struct harness *h, char *path, size_t size)
{
    size_t len;
    for (uint32_t number = 0; number < 100; number++) {
        (void)snprintf(path, size, "%s/%06u" RUN_SUFFIX, h->mark.dir, number);
        if (memory_env_get(h->files, path, &len))
            return path;
    }
    FAIL_UNLESS(h->mark.tables_count == 0, "no file in %s", h->mark.dir);
    return NULL;
}

static void add_saved(struct leat_strbuf *out, struct harness *h)
{
    char path[64];
    size_t len = 0;
    for (uint32_t i = 0; i < h->mark.tables_count; i++) {
        const struct leat_table_info *t = &h->mark.tables[i];
        leat__strbuf_printf(out, "table %s %s, key %s, route %s, prefix %u, entries %llu\n  %s\n  %s\n",
            t->name, t->kind, t->key, t->route, t->prefix, (unsigned long long)t->entries,
            t->format ? t->format : "-", t->schema ? t->schema : "-");
    }
    add_hex(out, "operator", h->mark.part.data, h->mark.part.len);
    if (!store_path(h, path, sizeof path))
        return;
    const void *bytes = memory_env_get(h->files, path, &len);
    assert_non_null(bytes);
    add_hex(out, "entries", bytes, len);
}

/* The bytes behind a line that begins with `what`. */
static size_t read_hex(const char *text, const char *what, char *bytes, size_t max)
{
    char head[32];
    (void)snprintf(head, sizeof head, "\n%s ", what);
    const char *at = strstr(text, head);
    assert_non_null(at);
    char *end;
    const size_t len = strtoul(at + strlen(head), &end, 10);
    assert_true(len <= max);
    for (size_t i = 0; i < len; i++) {
        char digits[3] = { 0 };
        while (*end == '\n')
            end++;
        digits[0] = *end++;
        digits[1] = *end++;
        bytes[i] = (char)strtoul(digits, NULL, 16);
    }
    return len;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    FAIL_UNLESS(file != NULL, "no %s: LEAT_UPDATE_GOLDEN=1 writes it", path);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    (void)fclose(file);
    return text;
}

/* Puts what the file says in the place of what this build has saved. */
static void take_saved(struct harness *h, const char *text)
{
    static char bytes[1 << 18];
    char path[64];
    size_t len = read_hex(text, "operator", bytes, sizeof bytes);
    leat__strbuf_clear(&h->mark.part);
    leat__strbuf_add(&h->mark.part, bytes, len);
    if (!store_path(h, path, sizeof path))
        return;
    len = read_hex(text, "entries", bytes, sizeof bytes);
    memory_env_put(h->files, path, bytes, len);
}

/* ---- tests ---- */

static void test_format__given_what_was_saved__then_the_bytes_are_the_same_and_it_goes_on(void **state)
{
    const struct format *format = *state;
    char name[64], path[128];
    struct agg_setup s;
    struct leat_strbuf text = { 0 };
    answers = false;
    (void)snprintf(name, sizeof name, "formats/%s.txt", format->name);
    (void)snprintf(path, sizeof path, "tests/golden/%s", name);
    leat__strbuf_printf(&text, "%s\n", format->name);
    start(&s, format);
    run_before(s.h);
    harness_barrier(s.h);
    harness_lose(s.h);
    while (asked_count) /* nobody waits any more */
        leat_request_complete(asked[--asked_count], NULL);
    add_saved(&text, s.h);
    if (!getenv("LEAT_UPDATE_GOLDEN")) {
        char *golden = read_file(path);
        take_saved(s.h, golden);
        free(golden);
    }
    harness_forget_outs(s.h);
    answers = true;
    FAIL_UNLESS(harness_restore(s.h) == 0, "%s", s.h->error.message);
    assert_int_equal(harness_advance(s.h, 0), 0); /* what is due at once */
    run_behind(s.h);
    leat__strbuf_str(&text, "behind it\n");
    agg_print_outs(s.h, &text);
    golden_check(name, text.data);
    leat__strbuf_release(&text);
    agg_release(&s);
}

int main(void)
{
    static struct CMUnitTest tests[COUNT_OF(formats)];
    for (uint32_t i = 0; i < COUNT_OF(formats); i++)
        tests[i] = (struct CMUnitTest){ formats[i].name,
            test_format__given_what_was_saved__then_the_bytes_are_the_same_and_it_goes_on, NULL, NULL,
            (void *)(uintptr_t)&formats[i] };
    return _cmocka_run_group_tests("formats", tests, COUNT_OF(formats), NULL, NULL);
}
