/* tests/unit/operators/test_aggregate_families.c -- every kind of aggregate against a naive computation: rows in any
 * grouping, combined, copied, saved and read back, taken back, in memory of a table and of an arena. */
#include "base/alloc.h"
#include "operators/aggregate_private.h"
#include "tests/support/aggregate_fixture.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS_MAX 600u
#define LONGS "{\"type\":\"array\",\"items\":\"long\"}"
#define STRINGS "{\"type\":\"array\",\"items\":\"string\"}"

static const double bounds[] = { -5, 0, 2.5 };

/* Kinds whose results are exact, in the order of the naive computation below. */
static const struct exact {
    struct leat_aggregate agg;
    const char *type;
} exact[] = {
    { LEAT_COUNT("n"), "\"long\"" },
    { LEAT_COUNT_OF("v", "nv"), "\"long\"" },
    { LEAT_SUM("v", "total"), OR_NULL("\"long\"") },
    { LEAT_SUM_WHERE("v", "v > 0", "positive"), OR_NULL("\"long\"") },
    { LEAT_MIN("v", "vmin"), OR_NULL("\"long\"") },
    { LEAT_MAX("v", "vmax"), OR_NULL("\"long\"") },
    { LEAT_MIN("s", "smin"), OR_NULL("\"string\"") },
    { LEAT_MAX("s", "smax"), OR_NULL("\"string\"") },
    { LEAT_FIRST("v", "first"), OR_NULL("\"long\"") },
    { LEAT_LAST("s", "last"), OR_NULL("\"string\"") },
    { { .kind = LEAT_AGGREGATE_MIN_BY, .of = "s", .by = "v", .as = "min_by" }, OR_NULL("\"string\"") },
    { { .kind = LEAT_AGGREGATE_MAX_BY, .of = "v", .by = "s", .as = "max_by" }, OR_NULL("\"long\"") },
    { LEAT_COUNT_DISTINCT("v", "vs"), "\"long\"" },
    { LEAT_COUNT_DISTINCT("s", "ss"), "\"long\"" },
    { { .kind = LEAT_AGGREGATE_TOP_N, .of = "v", .n = 3, .as = "top" }, LONGS },
    { { .kind = LEAT_AGGREGATE_BOTTOM_N, .of = "s", .n = 2, .as = "bottom" }, STRINGS },
    { { .kind = LEAT_AGGREGATE_COLLECT_LIST, .of = "v", .as = "list" }, LONGS },
    { { .kind = LEAT_AGGREGATE_COLLECT_LIST, .of = "s", .n = 4, .as = "four" }, STRINGS },
    { { .kind = LEAT_AGGREGATE_COLLECT_SET, .of = "v", .as = "set" }, LONGS },
    { { .kind = LEAT_AGGREGATE_COLLECT_SET, .of = "s", .as = "sset" }, STRINGS },
    { { .kind = LEAT_AGGREGATE_STRING_JOIN, .of = "s", .separator = "; ", .as = "join" },
        OR_NULL("\"string\"") },
    { { .kind = LEAT_AGGREGATE_BIT_AND, .of = "v", .as = "band" }, OR_NULL("\"long\"") },
    { { .kind = LEAT_AGGREGATE_BIT_OR, .of = "v", .as = "bor" }, OR_NULL("\"long\"") },
    { { .kind = LEAT_AGGREGATE_BIT_XOR, .of = "v", .as = "bxor" }, OR_NULL("\"long\"") },
    { { .kind = LEAT_AGGREGATE_BOOL_AND, .of = "v > 0", .as = "every" }, OR_NULL("\"boolean\"") },
    { { .kind = LEAT_AGGREGATE_BOOL_OR, .of = "v > 0", .as = "any" }, OR_NULL("\"boolean\"") },
    { { .kind = LEAT_AGGREGATE_HISTOGRAM, .of = "v", .bounds = bounds, .bounds_count = 3, .as = "histogram" },
        LONGS },
    { { .kind = LEAT_AGGREGATE_COLLECT_LIST, .of = "s", .where = "v > 0", .as = "some" }, STRINGS },
    /* of one set with "vs", with "ss" */
    { { .kind = LEAT_AGGREGATE_COUNT_DISTINCT, .of = "v", .where = "v > 0", .as = "vs_above" }, "\"long\"" },
    { { .kind = LEAT_AGGREGATE_COUNT_DISTINCT, .of = "v", .where = "v < 3", .as = "vs_below" }, "\"long\"" },
    { { .kind = LEAT_AGGREGATE_COUNT_DISTINCT, .of = "s", .where = "v > 0", .as = "ss_above" }, "\"long\"" },
};

/* ---- the engine's side ---- */

static uint32_t every_row[ROWS_MAX];

struct world {
    struct agg_setup s;
    struct leat_node *node;
    struct leat__aggregate_spec *spec;
    struct leat_table *table;
    struct leat_arena arena;
    struct leat__agg_memory mem; /* arena */
    struct leat__column_scratch scratch[64];
    struct leat__column_view views[64];
    struct leat_batch *batch; /* of the rows */
    const struct leat_type *out;
};

static void start(
    struct world *w, const struct exact *kinds, uint32_t count, bool takes_changes, bool subtracts)
{
    struct leat_strbuf schema = { 0 };
    struct leat_aggregate aggs[64] = { 0 };
    memset(w, 0, sizeof *w);
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        every_row[i] = i;
    w->mem.arena = &w->arena;
    agg_event_type = *agg_type_of(&w->s, RECORD("event", AGG_EVENT_FIELDS));
    leat__strbuf_str(&schema, "{\"type\":\"record\",\"name\":\"result\",\"fields\":[");
    for (uint32_t i = 0; i < count; i++) {
        aggs[i] = kinds[i].agg;
        leat__strbuf_printf(
            &schema, "%s{\"name\":\"%s\",\"type\":%s}", i ? "," : "", kinds[i].agg.as, kinds[i].type);
    }
    leat__strbuf_str(&schema, "]}");
    w->out = agg_type_of(&w->s, schema.data);
    leat__strbuf_release(&schema);
    w->s.t = leat_topology_new("test");
    leat_stream *in = harness_source(w->s.t, "in", &agg_event_type, "ts");
    leat_stream *counts =
        agg_declare(in, "size=10", agg_type_of(&w->s, RECORD("n", FIELD("n", "\"long\""))), NULL);
    w->node = counts->node;
    w->spec = leat__spec(counts->node, sizeof *w->spec);
    w->spec->in = &agg_event_type;
    w->spec->out = w->out;
    w->spec->on_overflow = LEAT_OVERFLOW_FAIL;
    w->spec->takes_changes = takes_changes;
    w->spec->subtracts = subtracts;
    leat__aggs_declare(counts->node, w->spec, aggs, count);
    FAIL_UNLESS(leat_topology_errors_count(w->s.t) == 0, "%s", leat_topology_error(w->s.t, 0)->message);
    w->s.h = harness_new(counts, NULL);
    for (uint32_t c = 0; c < w->spec->columns_count; c++)
        assert_int_equal(leat__column_init(&w->spec->columns[c], &w->s.h->ctx, &w->scratch[c]), 0);
    const struct leat_table_opts opts = {
        .node = "n", .name = "t", .kind = LEAT_TABLE_FIXED, .key_size = 8, .value_size = w->spec->values_size
    };
    assert_int_equal(leat__table_open(w->s.h->state, &opts, &w->table, NULL), 0);
}

static void end(struct world *w)
{
    for (uint32_t c = 0; c < w->spec->columns_count; c++)
        leat__column_release(&w->scratch[c]);
    leat__batch_release(w->batch);
    leat__table_close(w->table);
    leat__arena_release(&w->arena);
    agg_release(&w->s);
}

static void put_rows(struct world *w, const struct agg_event *rows, uint32_t count)
{
    leat__batch_release(w->batch);
    w->batch = harness_rows(w->s.h, 0);
    for (uint32_t i = 0; i < count; i++)
        agg_put(w->batch, &rows[i]);
    for (uint32_t c = 0; c < w->spec->columns_count; c++)
        assert_int_equal(
            leat__column_eval(&w->spec->columns[c], &w->scratch[c], &w->s.h->ctx, w->batch, &w->views[c]), 0);
}

/* Rows [from, to) of the batch, or those of an order, added to a value or taken back. */
static void feed(struct world *w, const struct leat__agg_memory *mem, unsigned char *value,
    const uint32_t *rows, uint32_t count, bool retracts)
{
    unsigned char *values[ROWS_MAX];
    for (uint32_t i = 0; i < count; i++)
        values[i] = value;
    const struct leat__agg_pass pass = { .spec = w->spec,
        .ctx = &w->s.h->ctx,
        .mem = *mem,
        .batch = w->batch,
        .views = w->views,
        .rows = rows,
        .values = values,
        .count = count };
    assert_int_equal(retracts ? leat__agg_retract(&pass) : leat__agg_add(&pass), 0);
}

static unsigned char *new_value(struct world *w)
{
    return leat__arena_alloc(&w->arena, w->spec->values_size + 8);
}

static const void *result(struct world *w, const unsigned char *value, struct leat_batch **out)
{
    assert_int_equal(leat__batch_get(w->s.h->pool, w->out, out), 0);
    void *row = leat__batch_push(*out);
    for (uint32_t a = 0; a < w->spec->aggs_count; a++)
        assert_int_equal(leat__agg_result(w->spec, &w->spec->aggs[a], value, *out, row), 0);
    return row;
}

static void check_text(struct world *w, const unsigned char *value, const char *want, const char *what)
{
    static char text[1 << 20];
    struct leat_batch *out;
    const void *row = result(w, value, &out);
    (void)leat_record_print(row, w->out, text, sizeof text);
    FAIL_UNLESS(strcmp(text, want) == 0, "%s:\nwant %s\nhave %s", what, want, text);
    leat__batch_release(out);
}

/* Another value with the same contents: by way of bytes, or a copy; in the arena or in the table. */
static unsigned char *moved(struct world *w, unsigned char *value)
{
    unsigned char *other = new_value(w);
    struct leat_strbuf bytes = { 0 };
    const struct leat__agg_memory table = { w->table, 7, NULL };
    const struct leat__agg_memory *mem = agg_below(2) ? &table : &w->mem;
    size_t used;
    if (agg_below(2)) {
        assert_int_equal(leat__agg_copy_values(w->spec, mem, other, value), 0);
        return other;
    }
    assert_int_equal(leat__agg_encode_values(w->spec, value, &bytes), 0);
    assert_int_equal(leat__agg_decode_values(w->spec, mem, bytes.data, bytes.len, other, &used), 0);
    assert_int_equal(used, bytes.len);
    leat__strbuf_release(&bytes);
    return other;
}

/* Both as the table merges what it has put aside. */
static unsigned char *merged(struct world *w, const unsigned char *a, const unsigned char *b)
{
    struct leat__value_layout layout = { w->spec, 0, w->s.h->node };
    struct leat_strbuf parts[2] = { { 0 } }, both = { 0 };
    unsigned char *value = new_value(w);
    size_t used;
    assert_int_equal(leat__agg_encode(&layout, a, &parts[0]), 0);
    assert_int_equal(leat__agg_encode(&layout, b, &parts[1]), 0);
    assert_int_equal(leat__agg_merge(&layout, (struct leat_sv){ parts[0].data, parts[0].len },
                         (struct leat_sv){ parts[1].data, parts[1].len }, &both),
        0);
    assert_int_equal(leat__agg_decode_values(w->spec, &w->mem, both.data, both.len, value, &used), 0);
    leat__strbuf_release(&parts[0]);
    leat__strbuf_release(&parts[1]);
    leat__strbuf_release(&both);
    return value;
}

/* Rows in random runs, which are then put together in random neighbours. */
static unsigned char *in_groups(struct world *w, uint32_t count)
{
    unsigned char *groups[ROWS_MAX + 1];
    uint32_t groups_count = 0;
    for (uint32_t from = 0; from < count;) {
        const uint32_t some = 1 + agg_below(count / 3 + 1);
        const uint32_t to = from + some < count ? from + some : count;
        unsigned char *value = groups[groups_count++] = new_value(w);
        feed(w, &w->mem, value, every_row + from, to - from, false);
        from = to;
    }
    if (groups_count == 0)
        return new_value(w);
    while (groups_count > 1) {
        const uint32_t i = agg_below(groups_count - 1);
        if (agg_below(3) == 0)
            groups[i] = moved(w, groups[i]);
        if (agg_below(3) == 0)
            groups[i] = merged(w, groups[i], groups[i + 1]);
        else
            assert_int_equal(
                leat__agg_combine_values(w->spec, NULL, &w->mem, groups[i], groups[i + 1], NULL), 0);
        memmove(&groups[i + 1], &groups[i + 2], (--groups_count - i - 1) * sizeof groups[0]);
    }
    return groups[0];
}

/* ---- rows ---- */

static const char *const words[] = { "", "a", "b", "ab", "a rather long string, longer than most", "z",
    "q\"t" };

/* No two of them share a value or a time: which record is taken back is beyond doubt then. */
static void make_unique(struct agg_event *rows, uint32_t count)
{
    static char texts[ROWS_MAX][8];
    for (uint32_t i = 0; i < count; i++) {
        rows[i].v = rows[i].has_v ? (int64_t)(i * 7919 % 1000) - 500 : 0;
        (void)snprintf(texts[i], sizeof texts[i], "%x", i * 977 % 1000);
        if (rows[i].has_s)
            rows[i].s = leat_sv_of(texts[i]);
    }
}

static uint32_t random_rows(struct agg_event *rows, bool unique_times)
{
    const uint32_t count = agg_below(4) ? agg_below(40) : agg_below(ROWS_MAX);
    const uint32_t range = 1 + agg_below(agg_below(2) ? 10 : 1000);
    for (uint32_t i = 0; i < count; i++) {
        const bool has_v = agg_below(8) != 0;
        const bool has_s = agg_below(8) != 0;
        rows[i] = (struct agg_event){ .has_v = has_v,
            .v = has_v ? (int64_t)agg_below(2 * range) - range : 0,
            .has_s = has_s,
            .s = has_s ? leat_sv_of(words[agg_below(COUNT_OF(words))]) : (struct leat_sv){ NULL, 0 },
            .has_d = agg_below(5) != 0,
            .d = (double)agg_random() * 0x1p-60 - 8,
            .ts = unique_times ? i * 7919 % 1000 : agg_below(20) };
    }
    return count;
}

/* ---- the naive side ---- */

typedef bool counts_fn(const struct agg_event *row);
static bool has_v(const struct agg_event *row)
{
    return row->has_v;
}
static bool has_s(const struct agg_event *row)
{
    return row->has_s;
}
static bool has_positive_v(const struct agg_event *row)
{
    return row->has_v && row->v > 0;
}
static bool has_low_v(const struct agg_event *row)
{
    return row->has_v && row->v < 3;
}
static bool has_positive_s(const struct agg_event *row)
{
    return row->has_s && row->has_v && row->v > 0;
}

/* Those that count, in order of event time and arrival (stable). */
static uint32_t in_time(
    const struct agg_event *rows, uint32_t count, counts_fn *counts, const struct agg_event **order)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!counts(&rows[i]))
            continue;
        uint32_t at = kept++;
        for (; at > 0 && order[at - 1]->ts > rows[i].ts; at--)
            order[at] = order[at - 1];
        order[at] = &rows[i];
    }
    return kept;
}

static int by_v(const void *a, const void *b)
{
    const struct agg_event *x = *(const struct agg_event *const *)a, *y = *(const struct agg_event *const *)b;
    return x->v < y->v ? -1 : x->v > y->v;
}
static int by_s(const void *a, const void *b)
{
    const struct agg_event *x = *(const struct agg_event *const *)a, *y = *(const struct agg_event *const *)b;
    return leat_sv_cmp(x->s, y->s);
}

static void say(struct leat_strbuf *out, const char *name)
{
    leat__strbuf_printf(out, "%s\"%s\":", out->len == 1 ? "" : ",", name);
}
static void say_int(struct leat_strbuf *out, const char *name, bool is_there, int64_t value)
{
    say(out, name);
    leat__strbuf_printf(out, is_there ? "%lld" : "null", (long long)value);
}
static void say_bool(struct leat_strbuf *out, const char *name, bool is_there, bool value)
{
    say(out, name);
    leat__strbuf_str(out, !is_there ? "null" : value ? "true" : "false");
}
static void say_text(struct leat_strbuf *out, const char *name, const struct agg_event *row)
{
    say(out, name);
    if (row && row->has_s)
        leat__strbuf_json(out, row->s.data, row->s.len);
    else
        leat__strbuf_str(out, "null");
}
static void say_ints(struct leat_strbuf *out, const char *name, const struct agg_event **rows, uint32_t count)
{
    say(out, name);
    for (uint32_t i = 0; i < count; i++)
        leat__strbuf_printf(out, "%s%lld", i ? "," : "[", (long long)rows[i]->v);
    leat__strbuf_str(out, count ? "]" : "[]");
}
static void say_texts(
    struct leat_strbuf *out, const char *name, const struct agg_event **rows, uint32_t count)
{
    say(out, name);
    for (uint32_t i = 0; i < count; i++) {
        leat__strbuf_str(out, i ? "," : "[");
        leat__strbuf_json(out, rows[i]->s.data, rows[i]->s.len);
    }
    leat__strbuf_str(out, count ? "]" : "[]");
}

static uint32_t distinct(
    const struct agg_event **rows, uint32_t count, int (*order)(const void *, const void *))
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || order(&rows[i - 1], &rows[i]) != 0)
            rows[kept++] = rows[i];
    return kept;
}

/* The kinds that show one or a few of the values. */
static void naive_numbers(const struct agg_event *rows, uint32_t count, struct leat_strbuf *out)
{
    int64_t sum = 0, positive = 0, positives = 0, nv = 0, low = INT64_MAX, high = INT64_MIN;
    const struct agg_event *smin = NULL, *smax = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct agg_event *row = &rows[i];
        if (row->has_v) {
            nv++;
            sum += row->v;
            positive += row->v > 0 ? row->v : 0;
            positives += row->v > 0;
            low = row->v < low ? row->v : low;
            high = row->v > high ? row->v : high;
        }
        if (row->has_s && (!smin || leat_sv_cmp(row->s, smin->s) < 0))
            smin = row;
        if (row->has_s && (!smax || leat_sv_cmp(row->s, smax->s) > 0))
            smax = row;
    }
    say_int(out, "n", true, count);
    say_int(out, "nv", true, nv);
    say_int(out, "total", nv > 0, sum);
    say_int(out, "positive", positives > 0, positive);
    say_int(out, "vmin", nv > 0, low);
    say_int(out, "vmax", nv > 0, high);
    say_text(out, "smin", smin);
    say_text(out, "smax", smax);
}

static void naive_picks(const struct agg_event *rows, uint32_t count, struct leat_strbuf *out)
{
    const struct agg_event *v[ROWS_MAX], *s[ROWS_MAX], *least = NULL, *most = NULL;
    const uint32_t vs = in_time(rows, count, has_v, v), ss = in_time(rows, count, has_s, s);
    for (uint32_t i = 0; i < vs; i++)
        least = !least || v[i]->v < least->v ? v[i] : least;
    for (uint32_t i = 0; i < ss; i++)
        most = !most || leat_sv_cmp(s[i]->s, most->s) > 0 ? s[i] : most;
    say_int(out, "first", vs > 0, vs ? v[0]->v : 0);
    say_text(out, "last", ss ? s[ss - 1] : NULL);
    say_text(out, "min_by", least);
    say_int(out, "max_by", most && most->has_v, most ? most->v : 0);
}

static void naive_lists(const struct agg_event *rows, uint32_t count, struct leat_strbuf *out)
{
    const struct agg_event *v[ROWS_MAX], *s[ROWS_MAX], *sorted_v[ROWS_MAX], *sorted_s[ROWS_MAX],
        *top[ROWS_MAX];
    const uint32_t vs = in_time(rows, count, has_v, v), ss = in_time(rows, count, has_s, s);
    memcpy(sorted_v, v, vs * sizeof v[0]);
    memcpy(sorted_s, s, ss * sizeof s[0]);
    qsort(sorted_v, vs, sizeof v[0], by_v);
    qsort(sorted_s, ss, sizeof s[0], by_s);
    for (uint32_t i = 0; i < vs; i++)
        top[i] = sorted_v[vs - 1 - i];
    const struct agg_event *bottom[2] = { ss > 0 ? sorted_s[0] : NULL, ss > 1 ? sorted_s[1] : NULL };
    const uint32_t distinct_v = distinct(sorted_v, vs, by_v), distinct_s = distinct(sorted_s, ss, by_s);
    say_int(out, "vs", true, distinct_v);
    say_int(out, "ss", true, distinct_s);
    say_ints(out, "top", top, vs < 3 ? vs : 3);
    say_texts(out, "bottom", bottom, ss < 2 ? ss : 2);
    say_ints(out, "list", v, vs);
    say_texts(out, "four", s, ss < 4 ? ss : 4);
    say_ints(out, "set", sorted_v, distinct_v);
    say_texts(out, "sset", sorted_s, distinct_s);
    struct leat_strbuf join = { 0 };
    for (uint32_t i = 0; i < ss; i++)
        leat__strbuf_printf(&join, "%s%.*s", i ? "; " : "", (int)s[i]->s.len, s[i]->s.data);
    const struct agg_event joined = { .has_s = ss > 0, .s = { join.data, join.len } };
    say_text(out, "join", &joined);
    leat__strbuf_release(&join);
}

static uint32_t count_distinct(const struct agg_event *rows, uint32_t count,
    bool (*is)(const struct agg_event *), int (*order)(const void *, const void *))
{
    const struct agg_event *of[ROWS_MAX];
    const uint32_t n = in_time(rows, count, is, of);
    qsort(of, n, sizeof of[0], order);
    return distinct(of, n, order);
}

static void naive_parts(const struct agg_event *rows, uint32_t count, struct leat_strbuf *out)
{
    say_int(out, "vs_above", true, count_distinct(rows, count, has_positive_v, by_v));
    say_int(out, "vs_below", true, count_distinct(rows, count, has_low_v, by_v));
    say_int(out, "ss_above", true, count_distinct(rows, count, has_positive_s, by_s));
}

static void naive_bits(const struct agg_event *rows, uint32_t count, struct leat_strbuf *out)
{
    int64_t all = -1, some = 0, odd = 0, counts[4] = { 0 };
    bool every = true, any = false;
    const struct agg_event *v[ROWS_MAX], *s[ROWS_MAX];
    const uint32_t vs = in_time(rows, count, has_v, v), positive = in_time(rows, count, has_positive_s, s);
    for (uint32_t i = 0; i < vs; i++) {
        all &= v[i]->v;
        some |= v[i]->v;
        odd ^= v[i]->v;
        every &= v[i]->v > 0;
        any |= v[i]->v > 0;
        counts[v[i]->v < -5 ? 0 : v[i]->v < 0 ? 1 : (double)v[i]->v < 2.5 ? 2 : 3]++;
    }
    say_int(out, "band", vs > 0, all);
    say_int(out, "bor", vs > 0, some);
    say_int(out, "bxor", vs > 0, odd);
    say_bool(out, "every", vs > 0, every);
    say_bool(out, "any", vs > 0, any);
    say(out, "histogram");
    leat__strbuf_printf(out, "[%lld,%lld,%lld,%lld]", (long long)counts[0], (long long)counts[1],
        (long long)counts[2], (long long)counts[3]);
    say_texts(out, "some", s, positive);
}

static void naive(const struct agg_event *rows, uint32_t count, struct leat_strbuf *out)
{
    leat__strbuf_clear(out);
    leat__strbuf_char(out, '{');
    naive_numbers(rows, count, out);
    naive_picks(rows, count, out);
    naive_lists(rows, count, out);
    naive_bits(rows, count, out);
    naive_parts(rows, count, out);
    leat__strbuf_char(out, '}');
}

/* ---- properties ---- */

static struct agg_event rows[ROWS_MAX];

static void test_every_kind__given_random_rows_in_any_grouping__then_as_computed_naively(void **unused)
{
    (void)unused;
    agg_seed();
    for (uint32_t round = 0; round < 300; round++) {
        struct world w;
        struct leat_strbuf want = { 0 };
        start(&w, exact, COUNT_OF(exact), round % 3 == 1, round % 3 == 2);
        const uint32_t count = random_rows(rows, false);
        put_rows(&w, rows, count);
        naive(rows, count, &want);
        unsigned char *value = new_value(&w);
        feed(&w, &w.mem, value, every_row, count, false);
        check_text(&w, value, want.data, "at once");
        check_text(&w, moved(&w, value), want.data, "moved");
        check_text(&w, in_groups(&w, count), want.data, "in groups");
        leat__agg_reset(w.spec, value);
        feed(&w, &w.mem, value, every_row, count, false);
        check_text(&w, value, want.data, "again, after a reset");
        leat__strbuf_release(&want);
        end(&w);
    }
}

/* Which of the rows stay, and a random order of adding all and taking back the others. */
static uint32_t random_changes(uint32_t count, bool in_order, uint32_t *order, bool *takes_back, bool *stays)
{
    uint32_t changes = 0;
    for (uint32_t i = 0; i < count; i++) {
        order[changes] = i;
        takes_back[changes++] = false;
        stays[i] = agg_below(3) == 0;
        if (!stays[i]) { /* somewhere behind, or anywhere */
            order[changes] = i;
            takes_back[changes++] = true;
        }
    }
    for (uint32_t i = 0; i < changes; i++) {
        const uint32_t k = agg_below(changes);
        const uint32_t row = order[i];
        const bool back = takes_back[i];
        order[i] = order[k], takes_back[i] = takes_back[k];
        order[k] = row, takes_back[k] = back;
    }
    bool seen[ROWS_MAX] = { false };
    for (uint32_t i = 0; in_order && i < changes; i++) {
        takes_back[i] = seen[order[i]];
        seen[order[i]] = true;
    }
    return changes;
}

static void test_every_kind__given_records_taken_back__then_as_if_they_had_never_been(void **unused)
{
    (void)unused;
    agg_seed();
    for (uint32_t round = 0; round < 300; round++) {
        struct world w;
        struct leat_strbuf want = { 0 };
        uint32_t order[2 * ROWS_MAX], left = 0;
        bool takes_back[2 * ROWS_MAX], stays[ROWS_MAX];
        static struct agg_event rest[ROWS_MAX];
        const char *reason = NULL;
        start(&w, exact, COUNT_OF(exact), true, false);
        FAIL_UNLESS(leat__agg_can_retract(w.node, w.spec, &reason), "%s", reason);
        const uint32_t count = random_rows(rows, true);
        if (round % 2)
            make_unique(rows, count);
        const uint32_t changes = random_changes(count, round % 2 == 0, order, takes_back, stays);
        for (uint32_t i = 0; i < count; i++)
            if (stays[i])
                rest[left++] = rows[i];
        put_rows(&w, rows, count);
        naive(rest, left, &want);
        unsigned char *value = new_value(&w), *other = new_value(&w);
        for (uint32_t i = 0; i < changes; i++) {
            if (agg_below(50) == 0)
                value = moved(&w, value);
            const bool is_here = round % 2 == 0 || i < changes / 2;
            feed(&w, &w.mem, is_here ? value : other, &order[i], 1, takes_back[i]);
        }
        assert_int_equal(leat__agg_combine_values(w.spec, NULL, &w.mem, value, other, NULL), 0);
        check_text(&w, value, want.data, round % 2 ? "in any order" : "after they came");
        leat__strbuf_release(&want);
        end(&w);
    }
}

static void test_invertible_kinds__given_a_part_subtracted__then_the_rest(void **unused)
{
    (void)unused;
    static const uint32_t invertible[] = { 0, 1, 2, 3, 21, 22, 23, 24, 25, 26 };
    struct exact kinds[COUNT_OF(invertible)];
    agg_seed();
    for (uint32_t i = 0; i < COUNT_OF(invertible); i++)
        kinds[i] = exact[invertible[i]];
    for (uint32_t round = 0; round < 100; round++) {
        struct world w;
        start(&w, kinds, COUNT_OF(kinds), false, true);
        assert_true(leat__agg_is_invertible(w.spec));
        const uint32_t count = random_rows(rows, false);
        const uint32_t part = count ? agg_below(count) : 0;
        put_rows(&w, rows, count);
        unsigned char *whole = new_value(&w), *first = new_value(&w), *rest = new_value(&w);
        feed(&w, &w.mem, whole, every_row, count, false);
        feed(&w, &w.mem, first, every_row, part, false);
        feed(&w, &w.mem, rest, every_row + part, count - part, false);
        leat__agg_subtract_values(w.spec, whole, first);
        assert_memory_equal(whole, rest, w.spec->values_size);
        end(&w);
    }
    struct world w;
    start(&w, exact, COUNT_OF(exact), false, true);
    assert_false(leat__agg_is_invertible(w.spec));
    end(&w);
}

/* ---- doubles, and what is approximate ---- */

static double float_of(struct world *w, const unsigned char *value, const char *field)
{
    struct leat_batch *out;
    struct leat_place place;
    double number = -1;
    const void *row = result(w, value, &out);
    assert_int_equal(leat_record_find(w->out, field, &place, NULL), 0);
    if (leat_record_is_null(row, &place))
        number = -2; /* no variance */
    else
        assert_int_equal(leat_record_get_f64(row, &place, &number), 0);
    leat__batch_release(out);
    return number;
}

static bool is_near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * (1 + fabs(b));
}

#define DOUBLE OR_NULL("\"double\"")
static const struct exact moments[] = {
    { { .kind = LEAT_AGGREGATE_VAR_POP, .of = "v", .as = "vp" }, DOUBLE },
    { { .kind = LEAT_AGGREGATE_STDDEV_SAMP, .of = "v", .as = "vs" }, DOUBLE },
    { { .kind = LEAT_AGGREGATE_VAR_SAMP, .of = "d", .as = "ds" }, DOUBLE },
    { { .kind = LEAT_AGGREGATE_STDDEV_POP, .of = "d", .as = "dp" }, DOUBLE },
    { LEAT_AVG("d", "mean"), DOUBLE },
    { LEAT_SUM("d", "sum"), DOUBLE },
};

struct spread {
    long double mean, squares;
    uint32_t count;
};

static struct spread spread_of(const struct agg_event *of, uint32_t count, bool is_v)
{
    struct spread s = { 0 };
    for (uint32_t i = 0; i < count; i++)
        if (is_v ? of[i].has_v : of[i].has_d) {
            s.mean += is_v ? (long double)of[i].v : (long double)of[i].d;
            s.count++;
        }
    s.mean /= s.count ? s.count : 1;
    for (uint32_t i = 0; i < count; i++)
        if (is_v ? of[i].has_v : of[i].has_d) {
            const long double x = (is_v ? (long double)of[i].v : (long double)of[i].d) - s.mean;
            s.squares += x * x;
        }
    return s;
}

static void check_moments(
    struct world *w, const unsigned char *value, const struct agg_event *of, uint32_t count)
{
    const struct spread v = spread_of(of, count, true), d = spread_of(of, count, false);
    const double vp = float_of(w, value, "vp"), vs = float_of(w, value, "vs"), ds = float_of(w, value, "ds"),
                 dp = float_of(w, value, "dp"), mean = float_of(w, value, "mean");
    FAIL_UNLESS(
        v.count ? is_near(vp, (double)(v.squares / v.count), 1e-12) : vp == -2, "%g of %u", vp, v.count);
    FAIL_UNLESS(
        v.count > 1 ? is_near(vs, sqrt((double)(v.squares / (v.count - 1))), 1e-12) : vs == -2, "%g", vs);
    FAIL_UNLESS(d.count > 1 ? is_near(ds, (double)(d.squares / (d.count - 1)), 1e-6) : ds == -2, "%g", ds);
    FAIL_UNLESS(d.count ? is_near(dp * dp, (double)(d.squares / d.count), 1e-6) : dp == -2, "%g", dp);
    FAIL_UNLESS(d.count ? is_near(mean, (double)d.mean, 1e-12) : mean == -2, "%g", mean);
}

static void test_variance__given_random_rows__then_near_that_of_long_doubles(void **unused)
{
    (void)unused;
    agg_seed();
    for (uint32_t round = 0; round < 200; round++) {
        struct world w;
        start(&w, moments, COUNT_OF(moments), round % 2, false);
        const uint32_t count = random_rows(rows, false), some = count ? agg_below(count) : 0;
        for (uint32_t i = 0; i < count; i++)
            rows[i].d += round % 4 < 2 ? 1e6 : 0; /* far from zero, where squares alone would cancel */
        put_rows(&w, rows, count);
        unsigned char *value = in_groups(&w, count);
        check_moments(&w, value, rows, count);
        if (round % 2) {
            feed(&w, &w.mem, value, every_row, some, true);
            check_moments(&w, value, rows + some, count - some);
        }
        end(&w);
    }
}

static void test_variance__given_the_largest_integers__then_exact(void **unused)
{
    (void)unused;
    struct world w;
    start(&w, moments, COUNT_OF(moments), false, false);
    for (uint32_t i = 0; i < 100; i++)
        rows[i] = (struct agg_event){ .has_v = true, .v = i % 2 ? INT64_MAX : INT64_MIN + 1 };
    put_rows(&w, rows, 100);
    unsigned char *value = in_groups(&w, 100);
    assert_true(float_of(&w, value, "vp") == (double)INT64_MAX * (double)INT64_MAX);
    for (uint32_t i = 0; i < 100; i++)
        rows[i].v = INT64_MAX - (i % 2);
    put_rows(&w, rows, 100);
    value = in_groups(&w, 100);
    assert_true(float_of(&w, value, "vp") == 0.25);
    end(&w);
}

static void test_sums_of_doubles__given_what_is_not_finite_taken_back__then_as_if_never_there(void **unused)
{
    (void)unused;
    struct world w;
    const double numbers[] = { 1.5, (double)NAN, (double)INFINITY, -(double)INFINITY, 2.5, 1e300 };
    start(&w, moments, COUNT_OF(moments), true, false);
    for (uint32_t i = 0; i < COUNT_OF(numbers); i++)
        rows[i] = (struct agg_event){ .has_d = true, .d = numbers[i] };
    put_rows(&w, rows, COUNT_OF(numbers));
    unsigned char *value = new_value(&w);
    feed(&w, &w.mem, value, every_row, COUNT_OF(numbers), false);
    assert_true(isnan(float_of(&w, value, "sum")) && isnan(float_of(&w, value, "ds")));
    feed(&w, &w.mem, value, every_row + 1, 1, true);
    assert_true(isnan(float_of(&w, value, "sum"))); /* inf - inf */
    feed(&w, &w.mem, value, every_row + 3, 1, true);
    assert_true(float_of(&w, value, "sum") == (double)INFINITY);
    feed(&w, &w.mem, value, every_row + 2, 1, true);
    feed(&w, &w.mem, value, every_row + 5, 1, true);
    assert_true(float_of(&w, value, "sum") == 4 && float_of(&w, value, "mean") == 2);
    feed(&w, &w.mem, value, every_row, 1, true);
    feed(&w, &w.mem, value, every_row + 4, 1, true);
    assert_true(float_of(&w, value, "sum") == -2 && float_of(&w, value, "dp") == -2); /* null */
    end(&w);
}

static const struct exact sketches[] = {
    { { .kind = LEAT_AGGREGATE_APPROX_COUNT_DISTINCT, .of = "v", .as = "vs" }, "\"long\"" },
    { { .kind = LEAT_AGGREGATE_APPROX_COUNT_DISTINCT, .of = "s", .error = 0.05, .as = "ss" }, "\"long\"" },
    { { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "d", .q = 0, .as = "q0" }, DOUBLE },
    { { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "d", .q = 0.5, .as = "q50" }, DOUBLE },
    { { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "d", .q = 0.99, .as = "q99" }, DOUBLE },
    { { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "d", .q = 1, .error = 0.001, .as = "q100" }, DOUBLE },
};

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void check_quantiles(struct world *w, const unsigned char *value, double *values, uint32_t count)
{
    static const struct {
        const char *field;
        double q, error;
    } asked[] = { { "q0", 0, 0.01 }, { "q50", 0.5, 0.01 }, { "q99", 0.99, 0.01 }, { "q100", 1, 0.001 } };
    qsort(values, count, sizeof *values, rising);
    for (uint32_t i = 0; i < COUNT_OF(asked); i++) {
        const double got = float_of(w, value, asked[i].field);
        const double want = count ? values[(uint32_t)(asked[i].q * (count - 1))] : -2;
        FAIL_UNLESS(got == want || fabs(got - want) <= fabs(want) * asked[i].error * (1 + 1e-9),
            "%s of %u: %.17g, want %.17g", asked[i].field, count, got, want);
    }
}

static void test_quantiles__given_random_rows_in_any_grouping__then_within_the_error(void **unused)
{
    (void)unused;
    agg_seed();
    for (uint32_t round = 0; round < 200; round++) {
        struct world w;
        double values[ROWS_MAX];
        uint32_t there = 0;
        start(&w, sketches, COUNT_OF(sketches), false, false);
        const uint32_t count = random_rows(rows, false);
        for (uint32_t i = 0; i < count; i++) {
            if (agg_below(10) == 0)
                rows[i].d = 0;
            else if (round % 2)
                rows[i].d *= exp((double)agg_below(30) - 20);
            if (agg_below(50) == 0)
                rows[i].d = agg_below(2) ? (double)INFINITY : -(double)INFINITY;
            if (rows[i].has_d)
                values[there++] = rows[i].d;
        }
        put_rows(&w, rows, count);
        unsigned char *once = new_value(&w), *grouped = in_groups(&w, count);
        struct leat_strbuf a = { 0 }, b = { 0 };
        feed(&w, &w.mem, once, every_row, count, false);
        check_quantiles(&w, once, values, there);
        assert_int_equal(leat__agg_encode_values(w.spec, once, &a), 0);
        assert_int_equal(leat__agg_encode_values(w.spec, grouped, &b), 0);
        assert_int_equal(a.len, b.len); /* the same sketches, bit by bit */
        assert_memory_equal(a.data, b.data, a.len);
        leat__strbuf_release(&a);
        leat__strbuf_release(&b);
        end(&w);
    }
}

static void test_quantiles__given_a_nan_and_values_of_every_size__then_nan_is_last_and_buckets_are_bounded(
    void **unused)
{
    (void)unused;
    struct world w;
    struct leat_strbuf bytes = { 0 };
    start(&w, sketches, COUNT_OF(sketches), false, false);
    for (uint32_t i = 0; i < ROWS_MAX; i++)
        rows[i] = (struct agg_event){ .has_d = true, .d = exp2((double)i * 3.4 - 1020) };
    rows[7].d = (double)NAN;
    put_rows(&w, rows, ROWS_MAX);
    unsigned char *value = in_groups(&w, ROWS_MAX);
    assert_true(isnan(float_of(&w, value, "q100")));
    assert_true(is_near(float_of(&w, value, "q99"), rows[594].d, 0.01));
    for (uint32_t round = 0; round < 40; round++) { /* as many buckets as there can be */
        for (uint32_t i = 0; i < ROWS_MAX; i++)
            rows[i].d = exp(((double)agg_below(100000) / 100000 - 0.5) * 1400);
        put_rows(&w, rows, ROWS_MAX);
        feed(&w, &w.mem, value, every_row, ROWS_MAX, false);
    }
    assert_int_equal(leat__agg_encode_values(w.spec, value, &bytes), 0);
    FAIL_UNLESS(bytes.len < 16 * (2100 + 20800) + 1000, "%zu bytes", bytes.len);
    leat__strbuf_release(&bytes);
    end(&w);
}

/* `count` different values, each of them several times, over as many values as groups. */
static int64_t approx_count(struct world *w, uint32_t count, const char *field)
{
    static char texts[ROWS_MAX][24];
    unsigned char *groups[3] = { new_value(w), new_value(w), new_value(w) };
    const uint64_t salt = agg_random() >> 20;
    for (uint32_t from = 0; from < count; from += ROWS_MAX / 2) {
        uint32_t some = 0;
        for (uint32_t i = from; i < count && i < from + ROWS_MAX / 2; i++)
            for (uint32_t twice = 0; twice < 2; twice++, some++) {
                const int len =
                    snprintf(texts[some], sizeof texts[some], "%llu-%u", (unsigned long long)salt, i);
                rows[some] = (struct agg_event){
                    .has_v = true, .v = (int64_t)(salt + i), .has_s = true, .s = { texts[some], (size_t)len }
                };
            }
        put_rows(w, rows, some);
        feed(w, &w->mem, groups[agg_below(3)], every_row, some, false);
        feed(w, &w->mem, groups[agg_below(3)], every_row, some / 3, false);
    }
    groups[1] = merged(w, groups[2], groups[1]);
    assert_int_equal(leat__agg_combine_values(w->spec, NULL, &w->mem, groups[0], groups[1], NULL), 0);
    return (int64_t)float_of(w, groups[0], field);
}

static void test_approximate_distinct__given_known_numbers__then_within_the_stated_error(void **unused)
{
    (void)unused;
    static const uint32_t counts[] = { 0, 1, 2, 10, 100, 1000, 2048, 2100, 5000, 20000, 60000 };
    agg_seed();
    for (uint32_t i = 0; i < COUNT_OF(counts); i++) {
        struct world w;
        double squares = 0;
        const uint32_t rounds = counts[i] > 5000 ? 4 : 8;
        start(&w, sketches, COUNT_OF(sketches), false, false);
        for (uint32_t round = 0; round < rounds; round++) {
            const double v = (double)approx_count(&w, counts[i], "vs"), n = counts[i];
            squares += n > 0 ? (v / n - 1) * (v / n - 1) : v;
            FAIL_UNLESS(fabs(v - n) <= n * 0.05, "%g of %g", v, n); /* five times the standard error */
            const double s = (double)approx_count(&w, counts[i], "ss");
            FAIL_UNLESS(fabs(s - n) <= n * 0.25 + 0.5, "%g of %g", s, n);
        }
        FAIL_UNLESS(
            sqrt(squares / rounds) <= 0.01 * 2, "%u: standard error %g", counts[i], sqrt(squares / rounds));
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind__given_random_rows_in_any_grouping__then_as_computed_naively),
        cmocka_unit_test(test_every_kind__given_records_taken_back__then_as_if_they_had_never_been),
        cmocka_unit_test(test_invertible_kinds__given_a_part_subtracted__then_the_rest),
        cmocka_unit_test(test_variance__given_random_rows__then_near_that_of_long_doubles),
        cmocka_unit_test(test_variance__given_the_largest_integers__then_exact),
        cmocka_unit_test(test_sums_of_doubles__given_what_is_not_finite_taken_back__then_as_if_never_there),
        cmocka_unit_test(test_quantiles__given_random_rows_in_any_grouping__then_within_the_error),
        cmocka_unit_test(
            test_quantiles__given_a_nan_and_values_of_every_size__then_nan_is_last_and_buckets_are_bounded),
        cmocka_unit_test(test_approximate_distinct__given_known_numbers__then_within_the_stated_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
