/* tests/fuzz/fuzz_aggregate.c -- accumulators as they are saved, damaged: refused, or good enough to be shown,
 * added to, combined and saved again.
 *
 *   input   which spec (plain, of changes); how many rows; a byte of each; then, as often as there is: where, and
 *           what is xored to the saved bytes there. */
#include "base/alloc.h"
#include "operators/aggregate_private.h"
#include "record/schema.h"
#include "tests/fuzz/fuzz.h"
#include "topology/declare.h"
#include "topology/source.h"
#include <string.h>

#define ROWS_MAX 64u
#define LONGS "{\"type\":\"array\",\"items\":\"long\"}"
#define STRINGS "{\"type\":\"array\",\"items\":\"string\"}"
#define FIELD(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"
#define NULLABLE(type_) "[\"null\",\"" type_ "\"]"

static const char in_schema[] = "{\"type\":\"record\",\"name\":\"event\",\"fields\":[" FIELD(
    "v", NULLABLE("long")) "," FIELD("d", NULLABLE("double")) "," FIELD("s", NULLABLE("string")) "]}";
static const char out_schema[] = "{\"type\":\"record\",\"name\":\"result\",\"fields\":[" FIELD("n",
    "\"long\"") "," FIELD("total", NULLABLE("long")) "," FIELD("smin", NULLABLE("string")) "," FIELD("first",
    NULLABLE("long")) "," FIELD("min_by", NULLABLE("string")) "," FIELD("by_text",
    NULLABLE("long")) "," FIELD("distinct", "\"long\"") "," FIELD("about", "\"long\"") "," FIELD("median",
    NULLABLE("double")) "," FIELD("top", LONGS) "," FIELD("list", STRINGS) "," FIELD("set",
    STRINGS) "," FIELD("join", NULLABLE("string")) "," FIELD("var", NULLABLE("double")) "," FIELD("bits",
    NULLABLE("long")) "," FIELD("histogram", LONGS) "]}";
static const double bounds[] = { 0, 100 };

static const struct leat_aggregate aggs[] = {
    LEAT_COUNT("n"),
    LEAT_SUM("v", "total"),
    LEAT_MIN("s", "smin"),
    LEAT_FIRST("v", "first"),
    { .kind = LEAT_AGGREGATE_MIN_BY, .of = "s", .by = "v", .as = "min_by" },
    { .kind = LEAT_AGGREGATE_MAX_BY, .of = "v", .by = "s", .as = "by_text" },
    LEAT_COUNT_DISTINCT("v", "distinct"),
    { .kind = LEAT_AGGREGATE_APPROX_COUNT_DISTINCT, .of = "s", .error = 0.26, .as = "about" },
    { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "d", .q = 0.5, .as = "median" },
    { .kind = LEAT_AGGREGATE_TOP_N, .of = "v", .n = 3, .as = "top" },
    { .kind = LEAT_AGGREGATE_COLLECT_LIST, .of = "s", .as = "list" },
    { .kind = LEAT_AGGREGATE_COLLECT_SET, .of = "s", .as = "set" },
    { .kind = LEAT_AGGREGATE_STRING_JOIN, .of = "s", .as = "join" },
    { .kind = LEAT_AGGREGATE_VAR_POP, .of = "v", .as = "var" },
    { .kind = LEAT_AGGREGATE_BIT_AND, .of = "v", .as = "bits" },
    { .kind = LEAT_AGGREGATE_HISTOGRAM, .of = "d", .bounds = bounds, .bounds_count = 2, .as = "histogram" },
};
#define AGGS (sizeof aggs / sizeof aggs[0])

static const struct leat_source_class source_class = { .kind = "fuzz" };

/* Made once, and reachable for ever. */
static struct {
    struct leat_arena arena;
    struct leat_schema *schemas[2];
    leat_topology *t;
    struct leat_node *node;
    struct leat__aggregate_spec *specs[2];
} fixed;

static const struct leat_type *type_of(uint32_t i, const char *schema)
{
    const struct leat_type *type = NULL;
    struct leat_error err = { 0 };
    FUZZ_CHECK(leat__schema_parse(schema, strlen(schema), &fixed.schemas[i], &err) == 0);
    FUZZ_CHECK(leat__schema_type(fixed.schemas[i], &fixed.arena, &type, &err) == 0);
    return type;
}

static void prepare(void)
{
    if (fixed.t)
        return;
    const struct leat_type *in = type_of(0, in_schema), *out = type_of(1, out_schema);
    fixed.t = leat_topology_new("fuzz");
    fixed.node = leat__declare(fixed.t, "events", LEAT_NODE_SOURCE, source_class.kind);
    fixed.node->source = &source_class;
    for (uint32_t i = 0; i < 2; i++) {
        struct leat__aggregate_spec *spec = fixed.specs[i] = leat__spec(fixed.node, sizeof *spec);
        FUZZ_CHECK(spec != NULL);
        spec->in = in;
        spec->out = out;
        spec->on_overflow = LEAT_OVERFLOW_WRAP;
        spec->takes_changes = i == 1;
        leat__aggs_declare(fixed.node, spec, aggs, AGGS);
    }
    FUZZ_CHECK(leat_topology_errors_count(fixed.t) == 0);
}

struct world {
    const struct leat__aggregate_spec *spec;
    struct leat_arena arena;
    struct leat__agg_memory mem;
    struct leat__ctx ctx;
    struct leat_error err;
    struct leat_pool *pool;
};

static void add_rows(struct world *w, unsigned char *value, const uint8_t *bytes, uint32_t count)
{
    int64_t v[ROWS_MAX], times[ROWS_MAX];
    double d[ROWS_MAX];
    struct leat_sv s[ROWS_MAX];
    uint32_t rows[ROWS_MAX];
    unsigned char *values[ROWS_MAX];
    struct leat__column_view views[3 * AGGS];
    struct leat_batch batch = { .event_us = times };
    for (uint32_t i = 0; i < count; i++) {
        v[i] = bytes[i] - 100;
        d[i] = bytes[i] * 1.5 - 200;
        s[i] = (struct leat_sv){ &"aabaacbcdefghijklmnopqrstuvwxyzabc"[bytes[i] % 16], bytes[i] % 19 };
        times[i] = bytes[i] / 7;
        rows[i] = i;
        values[i] = value;
    }
    for (uint32_t c = 0; c < w->spec->columns_count; c++) {
        const char *text = w->spec->columns[c].text;
        views[c] = *text == 's' ? (struct leat__column_view){ (const unsigned char *)s, sizeof s[0], NULL }
            : *text == 'd'      ? (struct leat__column_view){ (const unsigned char *)d, sizeof d[0], NULL }
                                : (struct leat__column_view){ (const unsigned char *)v, sizeof v[0], NULL };
    }
    const struct leat__agg_pass pass = { .spec = w->spec,
        .ctx = &w->ctx,
        .mem = w->mem,
        .batch = &batch,
        .views = views,
        .rows = rows,
        .values = values,
        .count = count };
    const int code = leat__agg_add(&pass);
    FUZZ_CHECK(code == 0 || code == LEAT_ELIMIT);
}

static unsigned char *new_value(struct world *w)
{
    unsigned char *value = leat__arena_alloc(&w->arena, w->spec->values_size);
    FUZZ_CHECK(value != NULL);
    return value;
}

static void show(struct world *w, const unsigned char *value)
{
    struct leat_batch *out;
    FUZZ_CHECK(leat__batch_get(w->pool, w->spec->out, &out) == 0);
    void *row = leat__batch_push(out);
    for (uint32_t a = 0; a < w->spec->aggs_count; a++)
        FUZZ_CHECK(leat__agg_result(w->spec, &w->spec->aggs[a], value, out, row) == 0);
    leat__batch_release(out);
}

/* What was taken for good must serve for everything. */
static void use(struct world *w, unsigned char *value, const uint8_t *rows, uint32_t count)
{
    struct leat_strbuf bytes = { 0 };
    unsigned char *other = new_value(w), *again = new_value(w);
    size_t used;
    show(w, value);
    FUZZ_CHECK(leat__agg_copy_values(w->spec, &w->mem, other, value) == 0);
    add_rows(w, value, rows, count);
    const int code = leat__agg_combine_values(w->spec, fixed.node, &w->mem, value, other, &w->err);
    FUZZ_CHECK(code == 0 || code == LEAT_ELIMIT);
    show(w, value);
    FUZZ_CHECK(leat__agg_encode_values(w->spec, value, &bytes) == 0);
    /* Twice what was just within a limit may be beyond it. */
    const int code_again = leat__agg_decode_values(w->spec, &w->mem, bytes.data, bytes.len, again, &used);
    FUZZ_CHECK(
        code_again == LEAT_EDATA || code_again == LEAT_ELIMIT || (code_again == 0 && used == bytes.len));
    leat__strbuf_release(&bytes);
}

static void run(struct world *w, const uint8_t *data, size_t size)
{
    const uint32_t count = data[1] % ROWS_MAX < size - 2 ? data[1] % ROWS_MAX : (uint32_t)(size - 2);
    const uint8_t *rows = data + 2, *end = data + size;
    unsigned char *value = new_value(w), *back = new_value(w);
    struct leat_strbuf bytes = { 0 };
    size_t used;
    add_rows(w, value, rows, count);
    FUZZ_CHECK(leat__agg_encode_values(w->spec, value, &bytes) == 0);
    for (const uint8_t *at = rows + count; end - at >= 3; at += 3)
        bytes.data[(at[0] * 256u + at[1]) % bytes.len] ^= (char)at[2];
    const int code = leat__agg_decode_values(w->spec, &w->mem, bytes.data, bytes.len, back, &used);
    FUZZ_CHECK(code == 0 || code == LEAT_EDATA);
    if (code == 0)
        use(w, back, rows, count);
    leat__strbuf_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    const int64_t live = leat__alloc_live();
    struct world w = { .spec = fixed.specs[size ? data[0] % 2 : 0] };
    w.mem.arena = &w.arena;
    w.ctx.node = fixed.node;
    w.ctx.error = &w.err;
    FUZZ_CHECK(leat__pool_new(4, &w.pool) == 0);
    if (size > 2)
        run(&w, data, size);
    leat__pool_free(w.pool);
    leat__arena_release(&w.arena);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
