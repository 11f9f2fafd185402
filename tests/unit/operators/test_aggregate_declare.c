/* tests/unit/operators/test_aggregate_declare.c -- group by, windows and aggregates as they are declared:
 * what plans are told, and every mistake. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/unit.h"
#include <stdio.h>

/* ---- callbacks' keys, and what a plan is told ---- */

struct by_name {
    struct leat_sv parity;
    int64_t n;
};

static struct leat_sv parity(struct leat_ctx *ctx, const struct agg_event *event)
{
    if (event->v == 13)
        leat_fail(ctx, "unlucky");
    return leat_printf(ctx, "%s", event->v % 2 ? "odd" : "even");
}
LEAT_DEFINE_KEY(parity, agg_event);

static void test_group_by_fn__given_a_key_made_in_memory_of_the_context__then_shown_by_its_name(void **unused)
{
    (void)unused;
    struct agg_setup s = { 0 };
    agg_event_type = *agg_type_of(&s, RECORD("event", AGG_EVENT_FIELDS));
    const struct leat_type *out =
        agg_type_of(&s, RECORD("by_name", FIELD("parity", "\"string\"") "," FIELD("n", "\"long\"")));
    s.t = leat_topology_new("test");
    leat_windowed_stream *windows =
        leat_window(leat_group_by_fn(harness_source(s.t, "in", &agg_event_type, "ts"), "keyed", &parity_key),
            "windows", &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") }, .out = out, .ordered = true });
    assert_null(totals->node->outputs[0].partitioned_by);
    s.h = harness_new(leat_on_error(totals, LEAT_SKIP), NULL);
    struct leat_batch *batch = harness_rows(s.h, 0);
    for (int64_t v = 0; v < 15; v++)
        agg_put(batch, &(struct agg_event){ .v = v, .ts = 1 });
    assert_int_equal(harness_batch(s.h, 0, batch), 0);
    assert_int_equal(harness_watermark(s.h, 0, 9), 0);
    struct leat_strbuf text = { 0 };
    agg_print_outs(s.h, &text);
    assert_string_equal(text.data, "0 {\"parity\":\"even\",\"n\":8} @9\n0 {\"parity\":\"odd\",\"n\":6} @9\n");
    assert_int_equal(
        s.h->counters.dropped_records, s.h->counters.dropped_records ? s.h->counters.dropped_records : 0);
    leat__strbuf_release(&text);
    agg_release(&s);
}

static void test_partitioning__given_the_keys_in_the_output__then_it_says_so_unless_null_may_be_among_them(
    void **unused)
{
    (void)unused;
    static const struct {
        const char *key, *fields, *want;
    } rows[] = {
        { "i", FIELD("i", "\"int\""), "i" },
        { "i", FIELD("i", "\"long\""), "i" },
        { "at.s", FIELD("s", "\"string\""), "s" },
        { "i, at.s", FIELD("s", "\"string\"") "," FIELD("i", "\"int\""), "i, s" },
        { "i, at.s", FIELD("s", "\"string\""), NULL },
        { "i", FIELD("i", OR_NULL("\"int\"")), NULL },
        { "l", FIELD("l", OR_NULL("\"long\"")), NULL },
        { "i", FIELD("other", OR_NULL("\"int\"")), NULL },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct agg_setup s = { 0 };
        char schema[400];
        (void)snprintf(schema, sizeof schema, RECORD("out", "%s," FIELD("n", "\"long\"")), rows[i].fields);
        const struct leat_type *in = agg_type_of(&s,
            RECORD("in",
                FIELD("i", "\"int\"") "," FIELD("l", OR_NULL("\"long\"")) "," FIELD(
                    "at", RECORD("place", FIELD("s", "\"string\""))) "," FIELD("ts", "\"long\"")));
        s.t = leat_topology_new("test");
        leat_windowed_stream *windows =
            leat_window(leat_group_by(harness_source(s.t, "in", in, "ts"), "keyed", rows[i].key), "windows",
                &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
        leat_stream *stream = leat_aggregate(windows, "totals",
            &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") }, .out = agg_type_of(&s, schema) });
        FAIL_UNLESS(leat_topology_errors_count(s.t) == 0, "%s", leat_topology_error(s.t, 0)->message);
        const char *got = stream->node->outputs[0].partitioned_by;
        FAIL_UNLESS(
            rows[i].want ? got && strcmp(got, rows[i].want) == 0 : !got, "row %u: %s", i, got ? got : "none");
        agg_release(&s);
    }
}

static void test_declaration__given_all_options__then_nodes_say_what_they_do(void **unused)
{
    (void)unused;
    struct agg_setup s = { 0 };
    agg_event_type = *agg_type_of(&s, RECORD("event", AGG_EVENT_FIELDS));
    const struct leat_type *out =
        agg_type_of(&s, RECORD("out", FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\""))));
    s.t = leat_topology_new("test");
    leat_keyed_stream *keyed =
        leat_group_by(harness_source(s.t, "in", &agg_event_type, "ts"), "keyed", "k,  s");
    leat_windowed_stream *windows = leat_window(keyed, "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_MINUTES(5),
            .offset_us = -LEAT_MINUTES(4),
            .allowed_lateness_us = LEAT_SECONDS(90),
            .accumulation = LEAT_DISCARDING,
            .triggers = { LEAT_ON_COUNT(1000), LEAT_ON_WATERMARK } });
    leat_stream *late = leat_late_records(windows);
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "total") }, .out = out });
    assert_string_equal(keyed->virtual_node->detail, "k, s");
    assert_string_equal(windows->virtual_node->detail,
        "tumbling 5m, offset 1m, lateness 1m 30s, early every 1000 records, discarding");
    assert_string_equal(totals->node->detail, "count, sum(v)");
    assert_ptr_equal(totals->node->inputs[0].via, windows->virtual_node);
    assert_int_equal(totals->node->inputs[0].partitioning, LEAT_HASH);
    assert_ptr_equal(late->node, totals->node);
    assert_int_equal(totals->node->late_ports[0], late->port);
    assert_ptr_equal(leat_stream_type(late), leat_stream_type(&keyed->in));
    assert_ptr_equal(leat_late_records(windows), late);
    agg_release(&s);
}

static void test_late_records__given_asked_for_after_the_aggregate__then_its_output(void **unused)
{
    (void)unused;
    struct agg_setup s = { 0 };
    agg_event_type = *agg_type_of(&s, RECORD("event", AGG_EVENT_FIELDS));
    const struct leat_type *out = agg_type_of(&s, RECORD("out", FIELD("n", "\"long\"")));
    s.t = leat_topology_new("test");
    leat_windowed_stream *windows =
        leat_window(leat_group_by(harness_source(s.t, "in", &agg_event_type, "ts"), "keyed", "k"), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    leat_stream *totals = leat_aggregate(
        windows, "totals", &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") }, .out = out });
    assert_int_equal(totals->node->late_ports[0], -1);
    leat_stream *late = leat_late_records(windows);
    assert_ptr_equal(late->node, totals->node);
    assert_int_equal(totals->node->late_ports[0], late->port);
    agg_release(&s);
}

/* ---- mistakes ---- */

#define KEYED(t_) leat_group_by(harness_source(t_, "in", &agg_event_type, "ts"), "keyed", "k")
#define TEN .kind = LEAT_WINDOW_TUMBLING, .size_us = 10

struct mistake {
    const char *name;
    struct leat_window_opts window;
    struct leat_aggregate_opts aggregate; /* out: NULL, see fields */
    const char *fields; /* of the output; NULL: { n: long } */
    const char *want[3]; /* in the message of the i-th error; all errors are here */
};

static void ignore_rows(struct leat_ctx *ctx, const struct leat_batch *batch, const uint32_t *rows,
    uint32_t count, void *const *accumulators)
{
    (void)ctx, (void)batch, (void)rows, (void)count, (void)accumulators;
}
static void ignore_result(struct leat_ctx *ctx, const void *accumulator, void *out)
{
    (void)ctx, (void)accumulator, (void)out;
}
static struct leat_type other_type;
static struct leat_aggregate_fn no_callbacks;
static const struct leat_aggregate_fn other_input = { .size = sizeof(struct leat_aggregate_fn),
    .name = "other",
    .in = &other_type,
    .out = NULL,
    .accumulator_size = 8,
    .accumulate = ignore_rows,
    .result = ignore_result };

static const double falling[] = { 1, 1 };

#define KIND(kind_, ...) \
    { TEN }, \
    { \
        .aggs = { { .kind = LEAT_AGGREGATE_##kind_, .as = "n", __VA_ARGS__ } } \
    }
#define OF_LONGS FIELD("n", "{\"type\":\"array\",\"items\":\"long\"}")

static const struct mistake mistakes[] = {
    { "condition of a number", KIND(COUNT, .where = "v + 1"), NULL,
        { "aggs[0].where: v + 1 is an integer, and a condition is a boolean" } },
    { "condition of what is not there", KIND(COUNT, .where = "vv > 1"), NULL, { "aggs[0].where: " } },
    { "sum under a condition to what can not be null", KIND(SUM, .of = "ts", .where = "v > 1"), NULL,
        { "aggs[0]: over no values the result is null, and `where` may leave none" } },
    { "min_by without by", KIND(MIN_BY, .of = "v"), FIELD("n", OR_NULL("\"long\"")),
        { "aggs[0]: `by` is missing: the field or expression that min_by chooses by" } },
    { "by of another", KIND(SUM, .of = "v", .by = "d"), FIELD("n", OR_NULL("\"long\"")),
        { "aggs[0]: `by` is for min_by and max_by, and this is sum" } },
    { "by null", KIND(MAX_BY, .of = "v", .by = "null"), FIELD("n", OR_NULL("\"long\"")),
        { "aggs[0].by: null is always null" } },
    { "top of none", KIND(TOP_N, .of = "v"), OF_LONGS, { "aggs[0]: `n` is missing: how many values top_n" } },
    { "top of too many", KIND(TOP_N, .of = "v", .n = 1000000), OF_LONGS, { "`n` is 1000000; 262144 are" } },
    { "n of another", KIND(COLLECT_SET, .of = "v", .n = 1), OF_LONGS,
        { "`n` is for top_n, bottom_n, collect_list and trace_links, and this is collect_set" } },
    { "traces of numbers", KIND(TRACE_LINKS, .of = "v"), OF_LONGS,
        { "v is an integer, and trace_links is for strings" } },
    { "too many traces", KIND(TRACE_LINKS, .of = "s", .n = 65), OF_LONGS, { "`n` is 65; 64 are the limit" } },
    { "list to a long", KIND(COLLECT_LIST, .of = "v"), NULL,
        { "field \"n\" of result is of type long, and the result is an array of the values" } },
    { "list of strings to longs", KIND(COLLECT_LIST, .of = "s"), OF_LONGS,
        { "the result is an array of values of another type" } },
    { "join of numbers", KIND(STRING_JOIN, .of = "v"), FIELD("n", OR_NULL("\"string\"")),
        { "v is an integer, and string_join is for strings" } },
    { "separator of another", KIND(COUNT, .of = "v", .separator = ";"), NULL,
        { "`separator` is for string_join, and this is count" } },
    { "quantile of a string", KIND(APPROX_QUANTILE, .of = "s", .q = 0.5), FIELD("n", OR_NULL("\"double\"")),
        { "s is a string, and approx_quantile is for numbers" } },
    { "quantile beyond 1", KIND(APPROX_QUANTILE, .of = "v", .q = 99), FIELD("n", OR_NULL("\"double\"")),
        { "`q` is 99; it is from 0" } },
    { "error too small", KIND(APPROX_QUANTILE, .of = "v", .q = 1, .error = 1e-9),
        FIELD("n", OR_NULL("\"double\"")),
        { "`error` is 1e-09; of approx_quantile it is from 0.0005 to 0.5" } },
    { "error of another", KIND(COUNT_DISTINCT, .of = "v", .error = 0.1), NULL,
        { "`error` is for approximate aggregates, and this is count_distinct" } },
    { "bits of doubles", KIND(BIT_AND, .of = "d"), FIELD("n", OR_NULL("\"long\"")),
        { "d is a floating-point number, and bit_and is for integers" } },
    { "every of numbers", KIND(BOOL_AND, .of = "v"), FIELD("n", OR_NULL("\"boolean\"")),
        { "v is an integer, and bool_and is for booleans" } },
    { "histogram without bounds", KIND(HISTOGRAM, .of = "v"), OF_LONGS,
        { "`bounds` are missing or too many" } },
    { "histogram of bounds that do not rise",
        KIND(HISTOGRAM, .of = "v", .bounds = falling, .bounds_count = 2), OF_LONGS,
        { "`bounds` must rise: bounds[1] is 1, not above the one before" } },
    { "variance of a sample to what can not be null", KIND(VAR_SAMP, .of = "ts"), FIELD("n", "\"double\""),
        { "over fewer than two values the result is null" } },
    { "bounds of another", KIND(COUNT, .bounds = falling, .bounds_count = 2), NULL,
        { "`bounds` are for histogram" } },
    { "no kind", { .size_us = 10 }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "window \"windows\": kind: not set: give LEAT_WINDOW_TUMBLING" } },
    { "another kind", { .kind = 9, .size_us = 10 }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "kind: 9 is no kind of window" } },
    { "no size", { .kind = LEAT_WINDOW_TUMBLING }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "size_us: 0s is no size" } },
    { "negative size and lateness",
        { .kind = LEAT_WINDOW_TUMBLING, .size_us = -1, .allowed_lateness_us = -2 },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "size_us: -1us", "allowed_lateness_us: -2us is negative" } },
    { "accumulation", { TEN, .accumulation = 7 }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "accumulation: 7 is none of" } },
    { "count alone", { TEN, .triggers = { LEAT_ON_COUNT(5) } }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "triggers: LEAT_ON_COUNT alone would never give" } },
    { "count of none", { TEN, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(0) } },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "triggers[1]: LEAT_ON_COUNT(0) would never fire" } },
    { "twice", { TEN, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(1), LEAT_ON_COUNT(2) } },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "triggers[2]: of the same kind as triggers[1]" } },
    { "another trigger", { TEN, .triggers = { { 8, 0 }, LEAT_ON_WATERMARK } },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "triggers[0]: 8 is no trigger" } },
    { "no aggregates", { TEN }, { .ordered = true }, FIELD("n", OR_NULL("\"long\"")),
        { "aggregate \"totals\": aggs: none given" } },
    { "another aggregate", { TEN }, { .aggs = { { 77, NULL, "n", NULL } } }, FIELD("n", OR_NULL("\"long\"")),
        { "aggs[0]: 77 is no aggregate" } },
    { "overflow", { TEN }, { .aggs = { LEAT_COUNT("n") }, .on_overflow = 4 }, NULL,
        { "on_overflow: 4 is none of" } },
    { "unknown input field", { TEN }, { .aggs = { LEAT_COUNT("n"), LEAT_SUM("vv", "total") } },
        FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")), { "aggs[1]: " } },
    { "unknown output field", { TEN }, { .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "totl") } },
        FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")),
        { "aggs[1]: no field \"totl\" in result (n, total); did you mean \"total\"?" } },
    { "no as", { TEN }, { .aggs = { { LEAT_AGGREGATE_COUNT, NULL, NULL, NULL } } },
        FIELD("n", OR_NULL("\"long\"")), { "aggs[0]: `as` is missing" } },
    { "no of", { TEN }, { .aggs = { { LEAT_AGGREGATE_SUM, NULL, "n", NULL } } }, NULL,
        { "aggs[0]: `of` is missing" } },
    { "as twice", { TEN }, { .aggs = { LEAT_COUNT("n"), LEAT_COUNT_OF("v", "n") } }, NULL,
        { "aggs[1]: aggs[0] is \"n\" already" } },
    { "sum of strings", { TEN }, { .aggs = { LEAT_SUM("s", "n") } }, NULL,
        { "aggs[0]: s is a string, and sum is for numbers" } },
    { "avg of a comparison", { TEN }, { .aggs = { LEAT_AVG("v > 1", "n") } }, NULL,
        { "aggs[0]: v > 1 is a boolean, and avg is for numbers" } },
    { "min of a comparison", { TEN }, { .aggs = { LEAT_MIN("v > 1", "n") } }, NULL,
        { "min is for numbers, timestamps and strings" } },
    { "max of null", { TEN }, { .aggs = { LEAT_MAX("null", "n") } }, NULL, { "null is always null" } },
    { "count to a double", { TEN }, { .aggs = { LEAT_COUNT("n") } }, FIELD("n", "\"double\""),
        { "aggs[0]: field \"n\" of result is of type double, and the result is a long" } },
    { "count to a timestamp", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"),
        { "and the result is a long" } },
    { "avg to a long", { TEN }, { .aggs = { LEAT_AVG("v", "n") } }, NULL, { "and the result is a double" } },
    { "min of strings to a long", { TEN }, { .aggs = { LEAT_MIN("s", "n") } }, NULL,
        { "and the result is string" } },
    { "min of longs to an int", { TEN }, { .aggs = { LEAT_MIN("v", "n") } }, FIELD("n", OR_NULL("\"int\"")),
        { "is of type int, and the result is long" } },
    { "sum of nulls to a long", { TEN }, { .aggs = { LEAT_SUM("v", "n") } }, NULL,
        { "aggs[0]: over no values the result is null, which v can have because it is nullable; field \"n\" "
          "of result can"
          " not be null" } },
    { "nothing fills it", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("region", "\"string\""),
        { "out: nothing fills field \"region\" of result" } },
    { "key of another type", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("k", "\"string\""),
        { "out: field \"k\" has the name of the key k, which is of type long, but is of type string" } },
    { "key that may be null", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("k", "\"long\""),
        { "out: field \"k\" can not be null, but the key k can" } },
    { "pane of another type", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("pane", "\"long\""),
        { "out: field \"pane\" is of type long; to show the window's it must be an int" } },
    { "pane without a symbol", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD(
            "pane", "{\"type\":\"enum\",\"name\":\"p\",\"symbols\":[\"EARLY\",\"LATE\"]}"),
        { "symbols EARLY, ON_TIME and LATE" } },
    { "pane index of another type", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("pane_index", "\"string\""), { "it must be an int or a long" } },
    { "window start as a date", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("window_start", "{\"type\":\"int\",\"logicalType\":\"date\"}"),
        { "field \"window_start\" is of type int" } },
    { "no callbacks", { TEN }, { .aggs = { LEAT_USER(&no_callbacks) } }, NULL,
        { "aggs[0]: missing: the aggregate that" } },
    { "callback of another record", { TEN }, { .aggs = { LEAT_USER(&other_input) } }, NULL,
        { "aggs[0]: other takes other_record", "aggs[0]: other makes no record, and .out is result" } },
    { "three at once", { TEN }, { .aggs = { LEAT_SUM("s", "n"), LEAT_COUNT("m"), LEAT_COUNT(NULL) } }, NULL,
        { "aggs[0]: s is", "aggs[1]: no field \"m\"", "aggs[2]: `as`" } },
};

static void check_mistake(const struct mistake *m)
{
    struct agg_setup s = { 0 };
    char schema[600];
    uint32_t wanted = 0;
    while (wanted < COUNT_OF(m->want) && m->want[wanted])
        wanted++;
    agg_event_type = *agg_type_of(&s, RECORD("event", AGG_EVENT_FIELDS));
    other_type = *agg_type_of(&s, RECORD("other_record", FIELD("x", "\"int\"")));
    (void)snprintf(
        schema, sizeof schema, RECORD("result", "%s"), m->fields ? m->fields : FIELD("n", "\"long\""));
    struct leat_aggregate_opts opts = m->aggregate;
    opts.out = agg_type_of(&s, schema);
    s.t = leat_topology_new("test");
    leat_stream *stream = leat_aggregate(leat_window(KEYED(s.t), "windows", &m->window), "totals", &opts);
    assert_null(stream->node);
    for (uint32_t i = 0; i < wanted; i++) {
        const struct leat_topology_error *error = leat_topology_error(s.t, i);
        FAIL_UNLESS(error && strstr(error->message, m->want[i]), "%s: error %u: %s", m->name, i,
            error ? error->message : "none");
    }
    FAIL_UNLESS(leat_topology_errors_count(s.t) == wanted, "%s: also %s", m->name,
        leat_topology_error(s.t, wanted) ? leat_topology_error(s.t, wanted)->message : "?");
    agg_release(&s);
}

static void test_mistakes__given_each__then_told_once_with_its_place(void **unused)
{
    (void)unused;
    for (uint32_t i = 0; i < COUNT_OF(mistakes); i++)
        check_mistake(&mistakes[i]);
}

static void test_mistakes__given_no_options_and_no_time__then_told(void **unused)
{
    (void)unused;
    struct agg_setup s = { 0 };
    agg_event_type = *agg_type_of(&s, RECORD("event", AGG_EVENT_FIELDS));
    s.t = leat_topology_new("test");
    leat_stream *timeless = harness_source(s.t, "in", &agg_event_type, NULL);
    leat_keyed_stream *keyed = leat_group_by(timeless, "keyed", "k");
    (void)leat_group_by(timeless, "no-fields", NULL);
    (void)leat_group_by(timeless, "no-such-field", "kk");
    (void)leat_group_by_fn(timeless, "no-fn", NULL);
    (void)leat_window(keyed, "no-window-opts", NULL);
    leat_windowed_stream *windows = leat_window(
        keyed, "windows", &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    (void)leat_aggregate(windows, "no-opts", NULL);
    (void)leat_aggregate(windows, "no-time", &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") } });
    static const char *const want[] = { "group by \"no-fields\": fields: missing", "no field \"kk\"",
        "group by \"no-fn\": fn: missing", "window \"no-window-opts\": no options given",
        "aggregate \"no-opts\": no options given", "has no event time",
        "aggregate \"no-time\": out: missing" };
    for (uint32_t i = 0; i < COUNT_OF(want); i++) {
        const struct leat_topology_error *error = leat_topology_error(s.t, i);
        FAIL_UNLESS(
            error && strstr(error->message, want[i]), "error %u: %s", i, error ? error->message : "none");
    }
    assert_int_equal(leat_topology_errors_count(s.t), COUNT_OF(want));
    agg_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_by_fn__given_a_key_made_in_memory_of_the_context__then_shown_by_its_name),
        cmocka_unit_test(
            test_partitioning__given_the_keys_in_the_output__then_it_says_so_unless_null_may_be_among_them),
        cmocka_unit_test(test_declaration__given_all_options__then_nodes_say_what_they_do),
        cmocka_unit_test(test_late_records__given_asked_for_after_the_aggregate__then_its_output),
        cmocka_unit_test(test_mistakes__given_each__then_told_once_with_its_place),
        cmocka_unit_test(test_mistakes__given_no_options_and_no_time__then_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
