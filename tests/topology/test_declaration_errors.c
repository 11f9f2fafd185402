/* tests/topology/test_declaration_errors.c -- every wrong thing that the public API can be told while
 * declaring, and the message for it, in tests/golden/declaration_errors.txt.
 *
 * Each case has a topology of its own with good sources (a good consumer for each), makes one mistake, and
 * checks. Its paragraph of the golden is its title and all errors: code and message. A case without an error
 * fails: it is no mistake then. Types are made from schemas here: nothing runs, so no struct is needed. */
#include "base/limits.h"
#include "base/strbuf.h"
#include "record/schema.h"
#include "tests/support/golden.h"
#include "tests/support/unit.h"
#include <leat/leat.h>
#include <stdlib.h>
#include <string.h>

static const char order_schema[] =
    "{\"type\":\"record\",\"name\":\"order\",\"fields\":["
    "{\"name\":\"order_id\",\"type\":\"long\"},{\"name\":\"customer\",\"type\":\"string\"},"
    "{\"name\":\"status\",\"type\":{\"type\":\"enum\",\"name\":\"status\",\"symbols\":[\"PENDING\",\"PAID\"]}"
    "},"
    "{\"name\":\"total\",\"type\":\"long\"},{\"name\":\"price\",\"type\":\"double\"},"
    "{\"name\":\"discount\",\"type\":[\"null\",\"long\"]},{\"name\":\"note\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
    "{\"name\":\"address\",\"type\":{\"type\":\"record\",\"name\":\"address\",\"fields\":["
    "{\"name\":\"city\",\"type\":\"string\"},{\"name\":\"customer\",\"type\":\"string\"}]}},"
    "{\"name\":\"ordered_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}]}";
static const char payment_schema[] =
    "{\"type\":\"record\",\"name\":\"payment\",\"fields\":["
    "{\"name\":\"order_id\",\"type\":\"long\"},{\"name\":\"code\",\"type\":\"string\"},"
    "{\"name\":\"amount\",\"type\":\"long\"},"
    "{\"name\":\"paid_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}}]}";
static const char total_schema[] =
    "{\"type\":\"record\",\"name\":\"total\",\"fields\":["
    "{\"name\":\"customer\",\"type\":\"string\"},{\"name\":\"orders\",\"type\":\"long\"},"
    "{\"name\":\"total\",\"type\":[\"null\",\"long\"]},"
    "{\"name\":\"window_start\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"pane\",\"type\":\"int\"}]}";
static const char misfit_schema[] = /* a total whose fields have the wrong types */
    "{\"type\":\"record\",\"name\":\"misfit\",\"fields\":["
    "{\"name\":\"customer\",\"type\":\"long\"},{\"name\":\"orders\",\"type\":\"string\"},"
    "{\"name\":\"note\",\"type\":\"string\"},{\"name\":\"average\",\"type\":[\"null\",\"long\"]},"
    "{\"name\":\"status\",\"type\":{\"type\":\"enum\",\"name\":\"some\",\"symbols\":[\"PAID\"]}},"
    "{\"name\":\"window_start\",\"type\":\"string\"},{\"name\":\"window_end\",\"type\":\"int\"},"
    "{\"name\":\"pane\",\"type\":\"long\"},{\"name\":\"pane_index\",\"type\":\"double\"}]}";
static const char nested_schema[] =
    "{\"type\":\"record\",\"name\":\"nested\",\"fields\":[{\"name\":\"items\",\"type\":{\"type\":\"array\","
    "\"items\":\"long\"}}]}";

static const char half_schema[] =
    "{\"type\":\"record\",\"name\":\"half\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
    "{\"name\":\"at\",\"type\":\"long\"},"
    "{\"name\":\"data\",\"type\":{\"type\":\"fixed\",\"name\":\"data\",\"size\":40000}}]}";
struct world {
    struct leat_arena arena;
    const struct leat_type *order, *payment, *total, *misfit, *nested;
    const struct leat_type *half; /* rows of 40,000 bytes */
    struct leat_type broken, broken_total,
        bare; /* an order and a total with another layout; no schema text */
    struct leat_field broken_fields[16], broken_total_fields[16];
    struct leat_filter_fn is_paid, is_refund; /* of orders, of payments */
    struct leat_map_fn to_payment, to_nothing;
    struct leat_flat_map_fn split, split_payment;
    struct leat_peek_fn show_payment;
    struct leat_key_fn domain, payment_key;
    struct leat_join_fn pair, swapped;
    struct leat_aggregate_fn spread, payment_spread, huge;
    struct leat_generator_fn make_order;
    struct leat_strbuf text; /* of the golden */
    uint32_t unnoticed_count; /* cases without an error */
    leat_topology *t;
    leat_stream *orders, *payments, *timeless; /* orders without event time */
    leat_keyed_stream *by_customer;
    leat_windowed_stream *windows;
};

/* ---- callbacks that are never called ---- */

static void keep_rows(struct leat_ctx *ctx, struct leat_batch *batch)
{
    (void)ctx;
    (void)batch;
}

static void see_rows(struct leat_ctx *ctx, const struct leat_batch *batch)
{
    (void)ctx;
    (void)batch;
}

static void map_rows(struct leat_ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    (void)ctx;
    (void)in;
    (void)out;
}

static void split_row(struct leat_ctx *ctx, const void *record, struct leat_out *out)
{
    (void)ctx;
    (void)record;
    (void)out;
}

static void make_keys(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys)
{
    (void)ctx;
    (void)batch;
    (void)keys;
}

static void merge_pairs(struct leat_ctx *ctx, const void *const *left, const void *const *right,
    uint32_t count, struct leat_batch *out)
{
    (void)ctx;
    (void)left;
    (void)right;
    (void)count;
    (void)out;
}

static void accumulate(struct leat_ctx *ctx, const struct leat_batch *batch, const uint32_t *rows,
    uint32_t count, void *const *accumulators)
{
    (void)ctx;
    (void)batch;
    (void)rows;
    (void)count;
    (void)accumulators;
}

static void write_result(struct leat_ctx *ctx, const void *accumulator, void *out)
{
    (void)ctx;
    (void)accumulator;
    (void)out;
}

static void generate(
    struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out)
{
    (void)ctx;
    (void)seed;
    (void)index_first;
    (void)step;
    (void)out;
}

/* ---- the world ---- */

static const struct leat_type *type_of(struct world *w, const char *text)
{
    struct leat_schema *schema;
    const struct leat_type *type = NULL;
    struct leat_error err = { 0 };
    int code = leat__schema_parse(text, strlen(text), &schema, &err);
    if (code == 0)
        code = leat__schema_type(schema, &w->arena, &type, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    struct leat_type *copy = leat__arena_copy(&w->arena, type, sizeof *type);
    copy->schema = text; /* outlives the schema */
    leat__schema_free(schema);
    return copy;
}

static void make_types(struct world *w)
{
    w->order = type_of(w, order_schema);
    w->payment = type_of(w, payment_schema);
    w->total = type_of(w, total_schema);
    w->misfit = type_of(w, misfit_schema);
    w->nested = type_of(w, nested_schema);
    w->half = type_of(w, half_schema);
    w->broken_total = *w->total;
    memcpy(
        w->broken_total_fields, w->total->fields, w->total->fields_count * sizeof w->broken_total_fields[0]);
    w->broken_total_fields[1].offset += 8;
    w->broken_total.fields = w->broken_total_fields;
    w->broken = w->bare = *w->order;
    memcpy(w->broken_fields, w->order->fields, w->order->fields_count * sizeof w->broken_fields[0]);
    w->broken_fields[4].offset += 8;
    w->broken.fields = w->broken_fields;
    w->bare.schema = NULL;
}

static void make_functions(struct world *w)
{
    w->is_paid = (struct leat_filter_fn){ sizeof w->is_paid, "is_paid", w->order, keep_rows };
    w->is_refund = (struct leat_filter_fn){ sizeof w->is_refund, "is_refund", w->payment, keep_rows };
    w->to_payment =
        (struct leat_map_fn){ sizeof w->to_payment, "to_payment", w->order, w->payment, map_rows };
    w->to_nothing = (struct leat_map_fn){ sizeof w->to_nothing, "to_nothing", w->order, NULL, map_rows };
    w->split = (struct leat_flat_map_fn){ sizeof w->split, "split", w->order, w->order, split_row };
    w->split_payment = (struct leat_flat_map_fn){ sizeof w->split_payment, "split_payment", w->payment,
        w->payment, split_row };
    w->show_payment = (struct leat_peek_fn){ sizeof w->show_payment, "show_payment", w->payment, see_rows };
    w->domain = (struct leat_key_fn){ sizeof w->domain, "domain", w->order, make_keys };
    w->payment_key = (struct leat_key_fn){ sizeof w->payment_key, "payment_key", w->payment, make_keys };
    w->pair = (struct leat_join_fn){ sizeof w->pair, "pair", w->order, w->payment, w->payment, merge_pairs };
    w->swapped =
        (struct leat_join_fn){ sizeof w->swapped, "swapped", w->payment, w->order, w->payment, merge_pairs };
    w->spread = (struct leat_aggregate_fn){ sizeof w->spread, "spread", w->order, w->total, 16, accumulate,
        NULL, write_result };
    w->payment_spread = (struct leat_aggregate_fn){ sizeof w->payment_spread, "payment_spread", w->payment,
        w->payment, 16, accumulate, NULL, write_result };
    w->huge = (struct leat_aggregate_fn){ sizeof w->huge, "huge", w->order, w->total, LEAT_ROW_BYTES_MAX + 1,
        accumulate, NULL, write_result };
    w->make_order = (struct leat_generator_fn){ sizeof w->make_order, "make_order", w->order, generate };
}

static void begin(struct world *w)
{
    w->t = leat_topology_new("shop");
    w->orders = leat_memory_source(
        w->t, "orders", &(struct leat_memory_source_opts){ .type = w->order, .event_time = "ordered_at" });
    w->payments = leat_memory_source(
        w->t, "payments", &(struct leat_memory_source_opts){ .type = w->payment, .event_time = "paid_at" });
    w->timeless = leat_memory_source(w->t, "timeless", &(struct leat_memory_source_opts){ .type = w->order });
    w->by_customer = leat_group_by(w->orders, "by-customer", "customer");
    w->windows = leat_window(w->by_customer, "w5m",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MINUTES(5) });
    leat_stream *totals = leat_aggregate(w->windows, "totals",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("orders") }, .out = w->total });
    leat_memory_sink(totals, "totals-out", &(struct leat_memory_sink_opts){ 0 });
    leat_memory_sink(w->orders, "orders-out", &(struct leat_memory_sink_opts){ 0 });
    leat_memory_sink(w->payments, "payments-out", &(struct leat_memory_sink_opts){ 0 });
    leat_memory_sink(w->timeless, "timeless-out", &(struct leat_memory_sink_opts){ 0 });
    FAIL_UNLESS(leat_check(w->t) == 0, "%s", leat_topology_error(w->t, 0)->message);
}

/* Writes the paragraph of a topology with a mistake. */
static void report(struct world *w, const char *title, leat_topology *t)
{
    const int code = leat_check(t);
    const size_t count = leat_topology_errors_count(t);
    leat__strbuf_printf(&w->text, "%s\n", title);
    w->unnoticed_count += code == 0;
    if (code == 0)
        print_message("no error: %s\n", title);
    for (size_t i = 0; i < count; i++) {
        const struct leat_topology_error *error = leat_topology_error(t, i);
        FAIL_UNLESS(
            strstr(error->message, error->node) != NULL && strstr(error->message, error->option) != NULL,
            "%s: %s", title, error->message);
        leat__strbuf_printf(&w->text, "  %s %s\n", leat_error_name(error->code), error->message);
    }
    leat__strbuf_char(&w->text, '\n');
}

static void end(struct world *w, const char *title)
{
    report(w, title, w->t);
    leat_topology_free(w->t);
}

/* One case: the statement makes one mistake in a topology that is right. */
#define WRONG(title_, ...) \
    do { \
        begin(w); \
        (void)(__VA_ARGS__); \
        end(w, title_); \
    } while (0)
/* The same with an option struct; o_ is its pointer in the call. */
#define OPTS(type_, ...) (&(struct type_){ __VA_ARGS__ })
/* Options of newer headers: a tail that is not zero. */
#define NEWER(type_) \
    struct { \
        struct type_ opts; \
        int64_t unknown; \
    }

/* ---- the cases ---- */

static void heading(struct world *w, const char *title)
{
    leat__strbuf_printf(&w->text, "## %s\n\n", title);
}

static void topologies(struct world *w)
{
    static const char *const names[][2] = { { "a topology without a name", "" },
        { "a topology with a bad name", "My Shop" }, { "a topology with a name of nothing good", "!" },
        { "a topology with a long name",
            "a-name-that-has-more-bytes-than-the-sixty-three-that-a-name-may-have" } };
    heading(w, "Topologies and names");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        leat_topology *t = leat_topology_new(names[i][1]);
        leat_memory_sink(leat_memory_source(t, "in", OPTS(leat_memory_source_opts, .type = w->order)), "out",
            OPTS(leat_memory_sink_opts, 0));
        report(w, names[i][0], t);
        leat_topology_free(t);
    }
    leat_topology *t = leat_topology_new("shop");
    report(w, "nothing declared", t);
    leat_stream *in = leat_memory_source(t, "in", OPTS(leat_memory_source_opts, .type = w->order));
    report(w, "no sink", t);
    leat_memory_sink(in, "out", OPTS(leat_memory_sink_opts, 0));
    leat_filter_expr(in, "paid", "status == 'PAID'");
    report(w, "a stream that nobody consumes", t);
    leat_topology_free(t);
    WRONG("a node without a name", leat_filter_expr(w->orders, NULL, "true"));
    WRONG("a node with an empty name", leat_filter_expr(w->orders, "", "true"));
    WRONG("a node with a bad name", leat_filter_expr(w->orders, "Paid orders", "true"));
    WRONG("a node with a long name",
        leat_filter_expr(
            w->orders, "a-name-that-has-more-bytes-than-the-sixty-three-that-a-name-may-have", "true"));
    WRONG("a name twice", leat_filter_expr(w->orders, "payments", "true"));
    WRONG("a group that nothing uses", leat_group_by(w->orders, "g", "customer"));
    WRONG("a window that nothing uses",
        leat_window(w->by_customer, "w", OPTS(leat_window_opts, .kind = LEAT_WINDOW_TUMBLING, .size_us = 1)));
}

static void streams(struct world *w)
{
    heading(w, "Streams, policies, dead letters");
    WRONG("no policy", leat_on_error(w->orders, (enum leat_policy)0));
    WRONG("a policy that does not exist", leat_on_error(w->orders, (enum leat_policy)4));
    WRONG("dead letters by policy that nobody consumes", leat_on_error(w->orders, LEAT_DEAD_LETTER));
    WRONG("dead letters that nobody consumes", leat_dead_letters(w->orders));
    begin(w);
    leat_memory_sink(leat_dead_letters(w->orders), "dead", OPTS(leat_memory_sink_opts, 0));
    leat_on_error(w->orders, LEAT_SKIP);
    end(w, "dead letters consumed, and then skipped");
    begin(w);
    leat_topology *other = leat_topology_new("other");
    leat_stream *foreign =
        leat_memory_source(other, "foreign", OPTS(leat_memory_source_opts, .type = w->order));
    leat_union((leat_stream *[]){ w->orders, foreign }, 2, "u");
    end(w, "a stream of another topology");
    leat_topology_free(other);
    begin(w);
    leat_branch(w->orders, "b",
        OPTS(leat_branch_opts,
            .cases = { { "c0", "true", NULL }, { "c1", "true", NULL }, { "c2", "true", NULL },
                { "c3", "true", NULL }, { "c4", "true", NULL }, { "c5", "true", NULL },
                { "c6", "true", NULL }, { "c7", "true", NULL }, { "c8", "true", NULL },
                { "c9", "true", NULL }, { "c10", "true", NULL }, { "c11", "true", NULL },
                { "c12", "true", NULL }, { "c13", "true", NULL } },
            .otherwise = "rest"));
    end(w, "a branch whose outputs nobody consumes");
}

#define MEMORY(...) leat_memory_source(w->t, "m", OPTS(leat_memory_source_opts, __VA_ARGS__))

static void source_options(struct world *w)
{
    struct leat_type too_large = *w->order;
    too_large.size = LEAT_ROW_BYTES_MAX + 8;
    heading(w, "What all sources have in common");
    WRONG("no type", MEMORY(.event_time = "ordered_at"));
    WRONG("a type that is no record", MEMORY(.type = w->order->fields[0].type));
    WRONG("a type that was compiled with another layout", MEMORY(.type = &w->broken));
    WRONG("a record that is too large", MEMORY(.type = &too_large));
    WRONG("a type without schema", MEMORY(.type = &w->bare));
    WRONG("an event time that does not exist", MEMORY(.type = w->order, .event_time = "orderd_at"));
    WRONG("an event time in a record that does not exist",
        MEMORY(.type = w->order, .event_time = "adress.city"));
    WRONG(
        "an event time below something that is no record", MEMORY(.type = w->order, .event_time = "total.x"));
    WRONG("an empty event time", MEMORY(.type = w->order, .event_time = ""));
    WRONG("an event time that is a string", MEMORY(.type = w->order, .event_time = "customer"));
    WRONG("an event time that is a double", MEMORY(.type = w->order, .event_time = "price"));
    WRONG("an event time that is an array", MEMORY(.type = w->order, .event_time = "tags"));
    WRONG("an event time that is a record", MEMORY(.type = w->order, .event_time = "address"));
    WRONG("negative durations",
        MEMORY(.type = w->order, .event_time = "ordered_at", .max_out_of_orderness_us = -1,
            .idle_timeout_us = -LEAT_SECONDS(1), .max_ahead_us = INT64_MIN));
    WRONG("durations without event time",
        MEMORY(.type = w->order, .max_out_of_orderness_us = 1, .idle_timeout_us = 1, .max_ahead_us = 1));
    WRONG("a policy that does not exist", MEMORY(.type = w->order, .on_error = (enum leat_policy) - 1));
    WRONG("a policy of dead letters that nobody consumes",
        MEMORY(.type = w->order, .on_error = LEAT_DEAD_LETTER));
}

static void memory(struct world *w)
{
    static const char rows[1024];
    NEWER(leat_memory_source_opts) source = { .opts.type = w->order, .unknown = 1 };
    NEWER(leat_memory_sink_opts) sink = { .unknown = 1 };
    leat_collector *collector = leat_collector_new();
    heading(w, "Memory");
    WRONG("memory source: no options", leat_memory_source(w->t, "m", NULL));
    WRONG("memory source: options of newer headers",
        leat_memory_source_sized(w->t, "m", &source.opts, sizeof source));
    WRONG("memory source: rows and Avro", MEMORY(.type = w->order, .rows = rows, .avro = rows));
    WRONG("memory source: a count without rows", MEMORY(.type = w->order, .count = 3));
    WRONG("memory source: bytes without Avro", MEMORY(.type = w->order, .avro_bytes = 3));
    WRONG("memory source: Avro with a count",
        MEMORY(.type = w->order, .avro = rows, .avro_bytes = 3, .count = 2));
    WRONG("memory source: Avro in splits",
        MEMORY(.type = w->order, .avro = rows, .avro_bytes = 3, .splits = 2));
    WRONG("memory source: too many splits",
        MEMORY(.type = w->order, .rows = rows, .count = 1, .splits = UINT32_MAX));
    begin(w);
    leat_memory_sink(w->orders, "s", NULL);
    end(w, "memory sink: no options");
    begin(w);
    leat_memory_sink_sized(w->orders, "s", &sink.opts, sizeof sink);
    end(w, "memory sink: options of newer headers");
    begin(w);
    leat_memory_sink(w->orders, "s", OPTS(leat_memory_sink_opts, .into = collector, .encode = true));
    end(w, "memory sink: kept and dropped");
    begin(w);
    leat_memory_sink(w->payments, "s", OPTS(leat_memory_sink_opts, .into = collector));
    leat_memory_sink(w->orders, "s2", OPTS(leat_memory_sink_opts, .into = collector));
    end(w, "memory sink: a collector of another type");
    leat_collector_free(collector);
}

#define GENERATOR(...) leat_generator_source(w->t, "g", OPTS(leat_generator_source_opts, __VA_ARGS__))

static void generators(struct world *w)
{
    NEWER(leat_generator_source_opts) newer = { .opts.fn = &w->make_order, .unknown = 1 };
    struct leat_generator_fn typeless = w->make_order;
    typeless.out = NULL;
    heading(w, "Generator");
    WRONG("no options", leat_generator_source(w->t, "g", NULL));
    WRONG("options of newer headers", leat_generator_source_sized(w->t, "g", &newer.opts, sizeof newer));
    WRONG("no function", GENERATOR(.count = 1));
    WRONG("a function without a type", GENERATOR(.fn = &typeless));
    WRONG("a rate beyond reason", GENERATOR(.fn = &w->make_order, .rate_per_s = UINT64_MAX));
    WRONG("too many splits", GENERATOR(.fn = &w->make_order, .splits = UINT32_MAX));
    WRONG("a bad event time", GENERATOR(.fn = &w->make_order, .event_time = "ordered"));
}

#define FILES(...) leat_file_source(w->t, "f", OPTS(leat_file_source_opts, __VA_ARGS__))

static void file_sources(struct world *w)
{
    NEWER(leat_file_source_opts) newer = { .opts = { .path = "a.avro", .type = w->order }, .unknown = 1 };
    heading(w, "File source");
    WRONG("no options", leat_file_source(w->t, "f", NULL));
    WRONG("options of newer headers", leat_file_source_sized(w->t, "f", &newer.opts, sizeof newer));
    WRONG("nothing but options", FILES(.path = NULL));
    WRONG("an empty path", FILES(.path = "", .type = w->order));
    WRONG("no type", FILES(.path = "a.avro"));
    WRONG("a type that was compiled with another layout", FILES(.path = "a.avro", .type = &w->broken));
    WRONG("an ending that says nothing", FILES(.path = "a.dat", .type = w->order));
    WRONG("the standard input without a format", FILES(.path = "-", .type = w->order));
    WRONG("Avro from the standard input", FILES(.path = "-", .type = w->order, .format = LEAT_FORMAT_AVRO));
    WRONG("a format that does not exist",
        FILES(.path = "a.avro", .type = w->order, .format = (enum leat_format)9));
    WRONG("nested fields in CSV", FILES(.path = "a.csv", .type = w->order));
    WRONG("an array in CSV", FILES(.path = "a.csv", .type = w->nested));
    WRONG("a separator without CSV", FILES(.path = "a.jsonl", .type = w->order, .separator = ';'));
    WRONG("a quote as separator", FILES(.path = "a.csv", .type = w->payment, .separator = '"'));
    WRONG("CSV in ranges", FILES(.path = "a.csv", .type = w->payment, .split_bytes = 4096));
    WRONG("a bad event time", FILES(.path = "a.avro", .type = w->order, .event_time = "ordered_on"));
}

#define SINK(in_, ...) leat_file_sink(in_, "f", OPTS(leat_file_sink_opts, __VA_ARGS__))
/* As WRONG, for declarations that give nothing. */
#define WRONG_SINK(title_, ...) \
    do { \
        begin(w); \
        __VA_ARGS__; \
        end(w, title_); \
    } while (0)

static void file_sinks(struct world *w)
{
    NEWER(leat_file_sink_opts) newer = { .opts = { .path = "a.avro" }, .unknown = 1 };
    char path[8192];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    heading(w, "File sink");
    WRONG_SINK("no options", leat_file_sink(w->orders, "f", NULL));
    WRONG_SINK("options of newer headers", leat_file_sink_sized(w->orders, "f", &newer.opts, sizeof newer));
    WRONG_SINK("no path", SINK(w->orders, .overwrite = true));
    WRONG_SINK("an empty path", SINK(w->orders, .path = ""));
    WRONG_SINK("a path that is too long", SINK(w->orders, .path = path));
    WRONG_SINK("a format that does not exist", SINK(w->orders, .path = "out", .format = (enum leat_format)9));
    WRONG_SINK("a codec that does not exist", SINK(w->orders, .path = "out", .codec = "zstd"));
    WRONG_SINK("a codec that nearly exists", SINK(w->orders, .path = "out", .codec = "snapy"));
    WRONG_SINK("a codec without Avro", SINK(w->orders, .path = "out.jsonl", .codec = "snappy"));
    WRONG_SINK("a separator without CSV", SINK(w->orders, .path = "out.jsonl", .separator = ';'));
    WRONG_SINK("a line end as separator", SINK(w->payments, .path = "out.csv", .separator = '\n'));
    WRONG_SINK("nested fields in CSV", SINK(w->orders, .path = "out.csv"));
    WRONG_SINK("parts of a single file", SINK(w->orders, .path = "out.avro", .part_bytes_max = 1));
    WRONG_SINK("parts of the standard output",
        SINK(w->orders, .path = "-", .format = LEAT_FORMAT_JSON, .part_bytes_max = 1));
    begin(w);
    SINK(w->orders, .path = "out.avro");
    leat_file_sink(w->payments, "f2", OPTS(leat_file_sink_opts, .path = "./out.avro"));
    end(w, "two sinks into one file");
    begin(w);
    SINK(w->orders, .path = "-", .format = LEAT_FORMAT_AVRO);
    leat_file_sink(w->payments, "f2", OPTS(leat_file_sink_opts, .path = "-", .format = LEAT_FORMAT_CSV));
    end(w, "two sinks into the standard output");
}

static void filters(struct world *w)
{
    struct leat_filter_fn typeless = w->is_paid;
    typeless.in = NULL;
    heading(w, "Filter");
    WRONG("no predicate", leat_filter(w->orders, "f", NULL));
    WRONG("a predicate of other records", leat_filter(w->orders, "f", &w->is_refund));
    WRONG("a predicate without a type", leat_filter(w->orders, "f", &typeless));
    WRONG("no expression", leat_filter_expr(w->orders, "f", NULL));
    WRONG("an empty expression", leat_filter_expr(w->orders, "f", ""));
    WRONG("an expression that is no condition", leat_filter_expr(w->orders, "f", "total + 1"));
    WRONG("an unknown field", leat_filter_expr(w->orders, "f", "totl >= 1000"));
    WRONG("a number against a string", leat_filter_expr(w->orders, "f", "customer >= 1000"));
    WRONG("an unknown symbol", leat_filter_expr(w->orders, "f", "status == 'PAYED'"));
    WRONG("an unfinished expression", leat_filter_expr(w->orders, "f", "total >= "));
    WRONG("an unfinished string", leat_filter_expr(w->orders, "f", "customer == 'x"));
    WRONG("an unknown function", leat_filter_expr(w->orders, "f", "lenght(customer) > 3"));
}

#define BRANCH(...) leat_branch(w->orders, "b", OPTS(leat_branch_opts, __VA_ARGS__))

static void branches(struct world *w)
{
    NEWER(leat_branch_opts) newer = { .opts.cases = { { "paid", "true", NULL } }, .unknown = 1 };
    heading(w, "Branch");
    WRONG("no options", leat_branch(w->orders, "b", NULL));
    WRONG("options of newer headers", leat_branch_sized(w->orders, "b", &newer.opts, sizeof newer));
    WRONG("no case", BRANCH(.otherwise = "rest"));
    WRONG("a case without a condition", BRANCH(.cases = { { "paid", NULL, NULL } }));
    WRONG("a case with two conditions", BRANCH(.cases = { { "paid", "true", &w->is_paid } }));
    WRONG("a case without a name", BRANCH(.cases = { { NULL, "true", NULL } }));
    WRONG("a case behind one without a name",
        BRANCH(.cases = { { "paid", "true", NULL }, { NULL, "true", NULL }, { "rest", "true", NULL } }));
    WRONG("two cases of one name", BRANCH(.cases = { { "paid", "true", NULL }, { "paid", "false", NULL } }));
    WRONG("the rest with the name of a case",
        BRANCH(.cases = { { "paid", "true", NULL } }, .otherwise = "paid"));
    WRONG("a case with a bad name", BRANCH(.cases = { { "Paid!", "true", NULL } }));
    WRONG("the rest with a bad name", BRANCH(.cases = { { "paid", "true", NULL } }, .otherwise = "The rest"));
    WRONG(
        "a bad expression", BRANCH(.cases = { { "ok", "true", NULL }, { "paid", "sttus == 'PAID'", NULL } }));
    WRONG("a case that is no condition", BRANCH(.cases = { { "paid", "total", NULL } }));
    WRONG("a predicate of other records", BRANCH(.cases = { { "paid", NULL, &w->is_refund } }));
    begin(w);
    leat_stream *dead = leat_dead_letters(BRANCH(.cases = { { "dead-letters", "true", NULL } }));
    leat_memory_sink(dead, "dead", OPTS(leat_memory_sink_opts, 0));
    end(w, "a case with the name of the engine's output");
    begin(w);
    leat_stream *b = BRANCH(.cases = { { "paid", "true", NULL }, { "late", "true", NULL } });
    leat_memory_sink(b, "paid-out", OPTS(leat_memory_sink_opts, 0));
    leat_branch_output(b, "payed");
    leat_branch_output(b, NULL);
    end(w, "cases that do not exist");
}

static void maps(struct world *w)
{
    heading(w, "Map, peek, union");
    WRONG("map: no function", leat_map(w->orders, "m", NULL));
    WRONG("map: a function of other records", leat_map(w->payments, "m", &w->to_payment));
    WRONG("map: a function that makes nothing", leat_map(w->orders, "m", &w->to_nothing));
    WRONG("peek: no function", leat_peek(w->orders, "p", NULL));
    WRONG("peek: a function of other records", leat_peek(w->orders, "p", &w->show_payment));
    WRONG("union: one stream", leat_union((leat_stream *[]){ w->orders }, 1, "u"));
    leat_stream *many[17];
    begin(w);
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = w->orders;
    leat_union(many, COUNT_OF(many), "u");
    end(w, "union: too many streams");
    WRONG(
        "union: other records", leat_union((leat_stream *[]){ w->orders, w->timeless, w->payments }, 3, "u"));
}

#define FLAT_MAP(...) leat_flat_map(w->orders, "m", OPTS(leat_flat_map_opts, __VA_ARGS__))

static void flat_maps(struct world *w)
{
    NEWER(leat_flat_map_opts) newer = { .opts.fn = &w->split, .unknown = 1 };
    heading(w, "Flat map");
    WRONG("no options", leat_flat_map(w->orders, "m", NULL));
    WRONG("options of newer headers", leat_flat_map_sized(w->orders, "m", &newer.opts, sizeof newer));
    WRONG("no function", FLAT_MAP(.sides = { { "refunds", w->payment } }));
    WRONG("a function of other records", FLAT_MAP(.fn = &w->split_payment));
    WRONG("a side output without a type", FLAT_MAP(.fn = &w->split, .sides = { { "refunds", NULL } }));
    WRONG(
        "a side output with a wrong type", FLAT_MAP(.fn = &w->split, .sides = { { "refunds", &w->broken } }));
    WRONG("a side output without a name", FLAT_MAP(.fn = &w->split, .sides = { { NULL, w->payment } }));
    WRONG("a side output with a bad name", FLAT_MAP(.fn = &w->split, .sides = { { "Refunds", w->payment } }));
    WRONG("two side outputs of one name",
        FLAT_MAP(.fn = &w->split, .sides = { { "refunds", w->payment }, { "refunds", w->order } }));
    begin(w);
    leat_stream *m = FLAT_MAP(.fn = &w->split, .sides = { { "refunds", w->payment } });
    leat_memory_sink(m, "out", OPTS(leat_memory_sink_opts, 0));
    leat_side_output(m, "refund");
    leat_side_output(w->orders, "refunds");
    leat_branch_output(m, "refund");
    end(w, "side outputs that do not exist");
}

#define PROJECT(...) leat_project(w->orders, "p", OPTS(leat_project_opts, __VA_ARGS__))

static void projections(struct world *w)
{
    NEWER(leat_project_opts) newer = { .opts.fields = { { "total", NULL } }, .unknown = 1 };
    heading(w, "Project");
    WRONG("no options", leat_project(w->orders, "p", NULL));
    WRONG("options of newer headers", leat_project_sized(w->orders, "p", &newer.opts, sizeof newer));
    WRONG("nothing to fill", PROJECT(.out = NULL));
    WRONG("an unknown field", PROJECT(.fields = { { "order_id", NULL }, { "totl", NULL } }));
    WRONG("an expression without a name", PROJECT(.fields = { { "total * 2", NULL } }));
    WRONG("a bad name", PROJECT(.fields = { { "total * 2", "the double" } }));
    WRONG("a name twice", PROJECT(.fields = { { "total", NULL }, { "order_id", "total" } }));
    WRONG("a name without an expression", PROJECT(.fields = { { NULL, "total" } }));
    WRONG("a bad expression", PROJECT(.fields = { { "total +", "x" } }));
    WRONG("always null", PROJECT(.fields = { { "null", "x" } }));
    WRONG("an output field that does not exist",
        PROJECT(.out = w->payment,
            .fields = { { "total", "amout" }, { "customer", "code" }, { "order_id", NULL },
                { "ordered_at", "paid_at" } }));
    WRONG("an output field that nothing fills", PROJECT(.out = w->payment));
    WRONG("an output field of another class",
        PROJECT(.out = w->payment,
            .fields = { { "customer", "amount" }, { "total", "code" }, { "price", "order_id" },
                { "ordered_at", "paid_at" } }));
    WRONG("null into a field that can not be null",
        PROJECT(.out = w->payment,
            .fields = { { "discount", "amount" }, { "note", "code" }, { "discount + 1", "order_id" },
                { "ordered_at", "paid_at" } }));
    WRONG("an output with another layout", PROJECT(.out = &w->broken));
    WRONG("an output that is no record", PROJECT(.out = w->order->fields[0].type));
}

static void keys(struct world *w)
{
    struct leat_key_fn typeless = w->domain;
    typeless.in = NULL;
    heading(w, "Group by");
    WRONG("no fields", leat_group_by(w->orders, "g", NULL));
    WRONG("empty fields", leat_group_by(w->orders, "g", ""));
    WRONG("an unknown field", leat_group_by(w->orders, "g", "custommer"));
    WRONG("an unknown second field", leat_group_by(w->orders, "g", "customer, adress.city"));
    WRONG("a comma too many", leat_group_by(w->orders, "g", "customer,"));
    WRONG("an array", leat_group_by(w->orders, "g", "tags"));
    WRONG("a record", leat_group_by(w->orders, "g", "address"));
    WRONG("too many fields",
        leat_group_by(w->orders, "g",
            "order_id,customer,status,total,price,discount,note,ordered_at,address.city,address.customer,"
            "order_id,customer,"
            "status,total,price,discount,note"));
    WRONG("an expression of an unknown field", leat_group_by(w->orders, "g", "order_id, lower(custommer)"));
    WRONG("an expression of the wrong class", leat_group_by(w->orders, "g", "lower(total)"));
    WRONG("an expression that is the same for all", leat_group_by(w->orders, "g", "'customer'"));
    WRONG("an expression that does not end", leat_group_by(w->orders, "g", "lower(customer, order_id"));
    WRONG("two words", leat_group_by(w->orders, "g", "order_id, customer total"));
    WRONG("no name", leat_group_by(w->orders, "g", "lower(customer) as"));
    WRONG("a name twice", leat_group_by(w->orders, "g", "lower(customer) as name, upper(customer) as name"));
    WRONG("no function", leat_group_by_fn(w->orders, "g", NULL));
    WRONG("a function of other records", leat_group_by_fn(w->orders, "g", &w->payment_key));
    WRONG("a function without a type", leat_group_by_fn(w->orders, "g", &typeless));
}

#define WINDOW(...) leat_window(w->by_customer, "w", OPTS(leat_window_opts, __VA_ARGS__))
#define TUMBLING .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MINUTES(5)

static void windows(struct world *w)
{
    NEWER(leat_window_opts) newer = { .opts = { TUMBLING }, .unknown = 1 };
    heading(w, "Window and late records");
    WRONG("no options", leat_window(w->by_customer, "w", NULL));
    WRONG("options of newer headers", leat_window_sized(w->by_customer, "w", &newer.opts, sizeof newer));
    WRONG("no kind, no size", WINDOW(.offset_us = 1));
    WRONG("a kind that does not exist", WINDOW(.kind = (enum leat_window_kind)9, .size_us = 1));
    WRONG("a negative size", WINDOW(.kind = LEAT_WINDOW_TUMBLING, .size_us = -LEAT_MINUTES(5)));
    WRONG("negative lateness", WINDOW(TUMBLING, .allowed_lateness_us = -LEAT_SECONDS(1)));
    WRONG("an accumulation that does not exist", WINDOW(TUMBLING, .accumulation = (enum leat_accumulation)9));
    WRONG(
        "a trigger that does not exist", WINDOW(TUMBLING, .triggers = { { (enum leat_trigger_kind)9, 0 } }));
    WRONG("a count alone", WINDOW(TUMBLING, .triggers = { LEAT_ON_COUNT(10) }));
    WRONG("a count of zero", WINDOW(TUMBLING, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(0) }));
    WRONG("a trigger twice",
        WINDOW(TUMBLING, .triggers = { LEAT_ON_COUNT(5), LEAT_ON_COUNT(6), LEAT_ON_WATERMARK }));
    WRONG("a trigger behind an empty one",
        WINDOW(TUMBLING, .triggers = { LEAT_ON_WATERMARK, { 0 }, LEAT_ON_COUNT(6) }));
    begin(w);
    leat_windowed_stream *window = WINDOW(TUMBLING);
    leat_memory_sink(leat_late_records(window), "late", OPTS(leat_memory_sink_opts, 0));
    leat_memory_sink(leat_aggregate(window, "a",
                         OPTS(leat_aggregate_opts, .aggs = { LEAT_COUNT("orders") }, .out = w->total)),
        "a-out", OPTS(leat_memory_sink_opts, 0));
    end(w, "late records consumed before the aggregate is there");
}

#define HOPPING .kind = LEAT_WINDOW_HOPPING, .size_us = LEAT_MINUTES(10)
#define CUMULATING .kind = LEAT_WINDOW_CUMULATING, .size_us = LEAT_HOURS(1)
#define SESSION .kind = LEAT_WINDOW_SESSION
#define GLOBAL .kind = LEAT_WINDOW_GLOBAL

static void window_kinds(struct world *w)
{
    heading(w, "Kinds of windows");
    WRONG("hopping without sizes", WINDOW(.kind = LEAT_WINDOW_HOPPING));
    WRONG("hopping with gaps", WINDOW(HOPPING, .slide_us = LEAT_MINUTES(11)));
    WRONG("a step that does not divide", WINDOW(CUMULATING, .step_us = LEAT_MINUTES(7)));
    WRONG("no step", WINDOW(CUMULATING));
    WRONG("a calendar without a unit", WINDOW(.kind = LEAT_WINDOW_CALENDAR));
    WRONG("a unit that does not exist",
        WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = (enum leat_calendar_unit)5));
    WRONG("a zone that is misspelt",
        WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY, .zone = "Europe/Belin"));
    WRONG("a zone that leads out of the folder",
        WINDOW(.kind = LEAT_WINDOW_CALENDAR, .unit = LEAT_DAY, .zone = "../../../etc/passwd"));
    WRONG("a session without a gap", WINDOW(SESSION));
    WRONG("a session with two gaps", WINDOW(SESSION, .gap_us = 1, .gap = "amount"));
    WRONG("a gap of a field that is not there", WINDOW(SESSION, .gap = "amonut"));
    WRONG("a gap that is no integer", WINDOW(SESSION, .gap = "customer"));
    WRONG("a negative length", WINDOW(SESSION, .gap_us = 1, .max_length_us = -1));
    WRONG("sliding without a size", WINDOW(.kind = LEAT_WINDOW_SLIDING));
    WRONG("a count window without a count", WINDOW(.kind = LEAT_WINDOW_COUNT));
    WRONG("options of other kinds",
        WINDOW(TUMBLING, .slide_us = 1, .step_us = 1, .unit = LEAT_DAY, .zone = "UTC", .gap_us = 1,
            .max_length_us = 1, .count = 1, .every = 1, .allow_gaps = true));
    WRONG("a size and lateness of the global window",
        WINDOW(GLOBAL, .size_us = 1, .offset_us = 1, .allowed_lateness_us = 1,
            .triggers = { LEAT_ON_WATERMARK }));
}

static const struct leat_trigger_fn nameless_trigger = { .size = sizeof nameless_trigger };
static enum leat_fire on_any_record(
    struct leat_ctx *ctx, const void *record, const struct leat_bounds *window, void *state)
{
    (void)ctx, (void)record, (void)window, (void)state;
    return LEAT_FIRE;
}

static void window_triggers(struct world *w)
{
    const struct leat_trigger_fn mergeless_trigger = { .size = sizeof mergeless_trigger,
        .name = "mergeless",
        .in = w->payment,
        .state_size = 1u << 20,
        .on_record = on_any_record };
    heading(w, "Triggers");
    WRONG("periods of zero",
        WINDOW(TUMBLING,
            .triggers = { LEAT_ON_WATERMARK, LEAT_EVERY_EVENT_TIME(0), LEAT_EVERY_PROCESSING_TIME(-1) }));
    WRONG("a period alone", WINDOW(TUMBLING, .triggers = { LEAT_EVERY_EVENT_TIME(1) }));
    WRONG(
        "late ones alone", WINDOW(TUMBLING, .allowed_lateness_us = 1, .triggers = { LEAT_LATE_ON_COUNT(2) }));
    WRONG("late ones without lateness",
        WINDOW(TUMBLING, .triggers = { LEAT_ON_WATERMARK, LEAT_LATE_ON_COUNT(2) }));
    WRONG("a watermark marked late",
        WINDOW(TUMBLING, .triggers = { { LEAT_TRIGGER_WATERMARK, 0, NULL, true } }));
    WRONG("the rest discarded that there is not",
        WINDOW(TUMBLING, .discard_remainder = true, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(2) }));
    WRONG("a trigger that is not there",
        WINDOW(TUMBLING, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_TRIGGER(NULL) }));
    WRONG("a trigger without name and callback",
        WINDOW(TUMBLING, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_TRIGGER(&nameless_trigger) }));
    WRONG("a trigger for other records, too large, without merge",
        WINDOW(SESSION, .gap_us = 1, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_TRIGGER(&mergeless_trigger) }));
    WRONG("the global window without triggers", WINDOW(GLOBAL));
    WRONG("a count window with others",
        WINDOW(.kind = LEAT_WINDOW_COUNT, .count = 5, .discard_remainder = true,
            .triggers = { LEAT_ON_WATERMARK, LEAT_EVERY_EVENT_TIME(1) }));
}

#define AGGREGATE(...) leat_aggregate(w->windows, "a", OPTS(leat_aggregate_opts, __VA_ARGS__))
#define COUNTED .aggs = { LEAT_COUNT("orders") }

static void aggregates(struct world *w)
{
    NEWER(leat_aggregate_opts) newer = { .opts = { COUNTED, .out = w->total }, .unknown = 1 };
    heading(w, "Aggregate");
    WRONG("no options", leat_aggregate(w->windows, "a", NULL));
    WRONG("options of newer headers", leat_aggregate_sized(w->windows, "a", &newer.opts, sizeof newer));
    WRONG("no output type", AGGREGATE(COUNTED));
    WRONG("an output type that is no record", AGGREGATE(COUNTED, .out = w->order->fields[0].type));
    WRONG("an output type with another layout", AGGREGATE(COUNTED, .out = &w->broken_total));
    WRONG("nothing to compute", AGGREGATE(.out = w->total));
    WRONG("an aggregate behind an empty one",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), { 0 }, LEAT_SUM("total", "total") }, .out = w->total));
    WRONG("an aggregate that does not exist",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), { (enum leat_aggregate_kind)99, "total", "total", NULL } },
            .out = w->total));
    WRONG("an unknown field",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM("totl", "total") }, .out = w->total));
    WRONG("a bad expression",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM("total *", "total") }, .out = w->total));
    WRONG("no field to sum",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM(NULL, "total") }, .out = w->total));
    WRONG("no field for the result",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM("total", NULL) }, .out = w->total));
    WRONG("an unknown output field", AGGREGATE(.aggs = { LEAT_COUNT("order") }, .out = w->total));
    WRONG("an output field twice",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM("total", "orders") }, .out = w->total));
    WRONG("a sum of strings",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM("customer", "total") }, .out = w->total));
    WRONG("the average of an array",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_AVG("tags", "total") }, .out = w->total));
    WRONG("the least of conditions",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_MIN("total > 1", "total") }, .out = w->total));
    WRONG("a double into a long",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_SUM("price", "total") }, .out = w->total));
    WRONG("null into a field that can not be null",
        AGGREGATE(.aggs = { LEAT_SUM("discount", "orders") }, .out = w->total));
    WRONG("fields that nothing fills", AGGREGATE(.aggs = { LEAT_COUNT("total") }, .out = w->total));
    WRONG("every field of the wrong type",
        AGGREGATE(.aggs = { LEAT_COUNT("orders"), LEAT_AVG("total", "average") }, .out = w->misfit));
    begin(w);
    leat_keyed_stream *unnamed = leat_group_by(w->orders, "lower", "lower(customer)");
    leat_aggregate(leat_window(unnamed, "lower-windows", OPTS(leat_window_opts, TUMBLING)), "a",
        OPTS(leat_aggregate_opts, COUNTED, .out = w->total));
    end(w, "a field for an expression that has no name");
    begin(w);
    leat_keyed_stream *numbers = leat_group_by(w->orders, "numbers", "order_id % 7 as customer");
    leat_aggregate(leat_window(numbers, "numbers-windows", OPTS(leat_window_opts, TUMBLING)), "a",
        OPTS(leat_aggregate_opts, COUNTED, .out = w->total));
    end(w, "an expression of another type than its field");
    WRONG("an overflow that does not exist",
        AGGREGATE(COUNTED, .out = w->total, .on_overflow = (enum leat_on_overflow)9));
    begin(w);
    leat_keyed_stream *keyed = leat_group_by(w->orders, "g", "status, note, customer, address.customer");
    leat_aggregate(WINDOW(.kind = LEAT_WINDOW_TUMBLING, .size_us = 1), "unused",
        OPTS(leat_aggregate_opts, COUNTED, .out = w->total));
    leat_aggregate(leat_window(keyed, "w2", OPTS(leat_window_opts, TUMBLING)), "a",
        OPTS(leat_aggregate_opts, COUNTED, .out = w->misfit));
    end(w, "keys that do not fit the fields of their names");
    begin(w);
    leat_aggregate(
        leat_window(leat_group_by(w->timeless, "g", "customer"), "w", OPTS(leat_window_opts, TUMBLING)), "a",
        OPTS(leat_aggregate_opts, COUNTED, .out = w->total));
    end(w, "no event time");
}

static void user_aggregates(struct world *w)
{
    struct leat_aggregate_fn empty = w->spread, typeless = w->spread;
    empty.accumulate = NULL;
    typeless.in = typeless.out = NULL;
    heading(w, "User's aggregates");
    WRONG("no function", AGGREGATE(.aggs = { LEAT_USER(NULL) }, .out = w->total));
    WRONG("a function that does not accumulate", AGGREGATE(.aggs = { LEAT_USER(&empty) }, .out = w->total));
    WRONG(
        "a function of other records", AGGREGATE(.aggs = { LEAT_USER(&w->payment_spread) }, .out = w->total));
    WRONG("a function without types", AGGREGATE(.aggs = { LEAT_USER(&typeless) }, .out = w->total));
    WRONG("an accumulator that is too large", AGGREGATE(.aggs = { LEAT_USER(&w->huge) }, .out = w->total));
    struct leat_aggregate_fn no_record = w->spread, no_schema = w->spread, other_size = w->spread;
    struct leat_type bare = *w->payment;
    bare.schema = NULL;
    no_record.accumulator_type = w->payment->fields[0].type;
    no_schema.accumulator_type = &bare;
    other_size.accumulator_type = w->payment;
    WRONG("an accumulator that is no record", AGGREGATE(.aggs = { LEAT_USER(&no_record) }, .out = w->total));
    WRONG("an accumulator whose record has no schema",
        AGGREGATE(.aggs = { LEAT_USER(&no_schema) }, .out = w->total));
    WRONG("an accumulator that is another struct than its type says",
        AGGREGATE(.aggs = { LEAT_USER(&other_size) }, .out = w->total));
    WRONG("a user's aggregate with options of others",
        AGGREGATE(.aggs = { { .kind = LEAT_AGGREGATE_USER,
                      .fn = &w->spread,
                      .of = "total",
                      .n = 3,
                      .by = "note" } },
            .out = w->total));
}

#define JOIN(...) leat_join(w->orders, w->payments, "j", OPTS(leat_join_opts, __VA_ARGS__))
#define BY_ID .left_key = "order_id"
#define NEAR .within_us = LEAT_MINUTES(5)

static void joins(struct world *w)
{
    NEWER(leat_join_opts) newer = { .opts = { BY_ID, NEAR, .merge = &w->pair }, .unknown = 1 };
    heading(w, "Join");
    WRONG("no options", leat_join(w->orders, w->payments, "j", NULL));
    WRONG(
        "options of newer headers", leat_join_sized(w->orders, w->payments, "j", &newer.opts, sizeof newer));
    WRONG("nothing said", JOIN(.where = NULL));
    WRONG("no left key", JOIN(NEAR, .right_key = "order_id", .merge = &w->pair));
    WRONG(
        "an unknown left key", JOIN(NEAR, .left_key = "orderid", .right_key = "order_id", .merge = &w->pair));
    WRONG("an unknown right key", JOIN(NEAR, BY_ID, .right_key = "orderid", .merge = &w->pair));
    WRONG("a key that only the left side has", JOIN(NEAR, .left_key = "customer", .merge = &w->pair));
    WRONG("keys of other classes",
        JOIN(NEAR, .left_key = "customer", .right_key = "order_id", .merge = &w->pair));
    WRONG("keys with other units",
        JOIN(NEAR, .left_key = "ordered_at", .right_key = "paid_at", .merge = &w->pair));
    WRONG("keys of other lengths", JOIN(NEAR, BY_ID, .right_key = "order_id, code", .merge = &w->pair));
    WRONG("a key that is an array", JOIN(NEAR, .left_key = "tags", .right_key = "code", .merge = &w->pair));
    WRONG("a key that is an expression of another class",
        JOIN(NEAR, .left_key = "floor(price)", .right_key = "order_id", .merge = &w->pair));
    WRONG("a key with a name",
        JOIN(NEAR, .left_key = "order_id % 2 as rest", .right_key = "order_id % 2", .merge = &w->pair));
    WRONG("a key by which results are known that they do not have",
        JOIN(NEAR, BY_ID, .merge = &w->pair, .key_as = "lower(custommer)"));
    WRONG("no interval", JOIN(BY_ID, .merge = &w->pair));
    WRONG("a negative interval", JOIN(BY_ID, .within_us = -1, .merge = &w->pair));
    WRONG("two kinds of interval", JOIN(BY_ID, NEAR, .before_us = 1, .merge = &w->pair));
    WRONG("an interval that is empty",
        JOIN(BY_ID, .before_us = -LEAT_SECONDS(2), .after_us = LEAT_SECONDS(1), .merge = &w->pair));
    WRONG("negative lateness", JOIN(BY_ID, NEAR, .allowed_lateness_us = -LEAT_SECONDS(1), .merge = &w->pair));
    WRONG("a condition that is none", JOIN(BY_ID, NEAR, .where = "left.total", .merge = &w->pair));
    WRONG(
        "a condition with an unknown field", JOIN(BY_ID, NEAR, .where = "left.totl > 1", .merge = &w->pair));
    WRONG(
        "a condition with an ambiguous field", JOIN(BY_ID, NEAR, .where = "order_id > 1", .merge = &w->pair));
    WRONG("no result", JOIN(BY_ID, NEAR));
    WRONG("two kinds of result", JOIN(BY_ID, NEAR, .merge = &w->pair, .out = w->payment));
    WRONG("a function and fields",
        JOIN(BY_ID, NEAR, .merge = &w->pair, .fields = { { "left.total", "amount" } }));
    WRONG("fields without an output type", JOIN(BY_ID, NEAR, .fields = { { "left.total", "amount" } }));
    WRONG("a function of other records", JOIN(BY_ID, NEAR, .merge = &w->swapped));
    WRONG("output fields that nothing fills", JOIN(BY_ID, NEAR, .out = w->total));
    WRONG("a field that is ambiguous",
        JOIN(BY_ID, NEAR, .out = w->payment, .fields = { { "order_id", NULL } }));
    WRONG("an unknown field", JOIN(BY_ID, NEAR, .out = w->payment, .fields = { { "left.totl", "amount" } }));
    WRONG("no event time on one side",
        leat_join(w->orders, w->timeless, "j", OPTS(leat_join_opts, BY_ID, NEAR, .out = w->order)));
    begin(w);
    leat_stream *halves = leat_memory_source(
        w->t, "halves", OPTS(leat_memory_source_opts, .type = w->half, .event_time = "at"));
    leat_join(halves, halves, "j", OPTS(leat_join_opts, .left_key = "id", NEAR, .out = w->half));
    end(w, "two records that are too large together");
    WRONG("late records of what is no join", leat_late_left(w->orders), leat_late_right(w->orders));
}

/* A job with wrong options over a topology that is right. */
static void wrong_job(struct world *w, const char *title, const struct leat_job_opts *opts, size_t size)
{
    leat_job *job = NULL;
    struct leat_error err = { 0 };
    begin(w);
    const int code = leat_job_new_sized(w->t, opts, size, &job, &err);
    w->unnoticed_count += code == 0;
    if (code == 0)
        print_message("no error: %s\n", title);
    leat__strbuf_printf(&w->text, "%s\n  %s %s\n\n", title, leat_error_name(code), err.message);
    leat_job_free(job);
    leat_topology_free(w->t);
}

static void jobs(struct world *w)
{
    NEWER(leat_job_opts) newer = { .unknown = 1 };
    heading(w, "Job");
    wrong_job(w, "options of newer headers", &newer.opts, sizeof newer);
    wrong_job(w, "too many workers", OPTS(leat_job_opts, .parallelism = 257), sizeof(struct leat_job_opts));
    wrong_job(w, "too many key groups", OPTS(leat_job_opts, .max_parallelism = 32769),
        sizeof(struct leat_job_opts));
    wrong_job(w, "more workers than key groups", OPTS(leat_job_opts, .parallelism = 9, .max_parallelism = 8),
        sizeof(struct leat_job_opts));
    wrong_job(w, "batches that are too large", OPTS(leat_job_opts, .batch_rows = 65537),
        sizeof(struct leat_job_opts));
    wrong_job(w, "channels that are too long", OPTS(leat_job_opts, .channel_batches = UINT32_MAX),
        sizeof(struct leat_job_opts));
    wrong_job(w, "a log level that does not exist", OPTS(leat_job_opts, .log_level = (enum leat_log_level)9),
        sizeof(struct leat_job_opts));
    wrong_job(w, "a negative interval of progress", OPTS(leat_job_opts, .progress_interval_us = -1),
        sizeof(struct leat_job_opts));
}

static void test_errors__given_every_wrong_declaration__when_checked__then_the_messages_are_the_golden_ones(
    void **state)
{
    struct world *w = calloc(1, sizeof *w);
    (void)state;
    assert_non_null(w);
    make_types(w);
    make_functions(w);
    leat__strbuf_str(&w->text,
        "Every mistake of a declaration and what is said about it; made by "
        "tests/topology/test_declaration_errors.c.\n\n");
    static void (*const groups[])(struct world *) = { topologies, streams, source_options, memory, generators,
        file_sources, file_sinks, filters, branches, maps, flat_maps, projections, keys, windows,
        window_kinds, window_triggers, aggregates, user_aggregates, joins, jobs };
    for (size_t i = 0; i < COUNT_OF(groups); i++)
        groups[i](w);
    assert_false(w->text.failed);
    w->text.data[w->text.len - 1] = '\0'; /* no empty line at the end */
    golden_check("declaration_errors.txt", w->text.data);
    assert_int_equal(w->unnoticed_count, 0);
    leat__strbuf_release(&w->text);
    leat__arena_release(&w->arena);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_errors__given_every_wrong_declaration__when_checked__then_the_messages_are_the_golden_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
