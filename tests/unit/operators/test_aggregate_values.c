/* tests/unit/operators/test_aggregate_values.c -- what goes into accumulators and comes out: sums against 128
 * bits, doubles, keys and fields of every kind, units of time. */
#include "operators/aggregate_private.h"
#include "tests/support/aggregate_fixture.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>

/* ---- numbers ---- */

__extension__ typedef __int128 wide;

/* The one row that `count` values give. */
static const void *aggregate_values(struct agg_setup *s, const char *words, const char *out_fields,
    const int64_t *ints, const double *doubles, uint32_t count)
{
    agg_start(s, words, out_fields, NULL);
    for (uint32_t i = 0; i < count;) {
        struct leat_batch *batch = harness_rows(s->h, 0);
        for (uint32_t to = i + 100 < count ? i + 100 : count; i < to; i++)
            agg_put(batch,
                &(struct agg_event){ .has_v = ints != NULL,
                    .v = ints ? ints[i] : 0,
                    .has_d = doubles != NULL,
                    .d = doubles ? doubles[i] : 0,
                    .ts = 5 });
        assert_int_equal(harness_batch(s->h, 0, batch), 0);
    }
    if (harness_watermark(s->h, 0, 9) < 0)
        return NULL;
    assert_int_equal(s->h->outs_count, 1);
    return leat_batch_at(s->h->outs[0].batch, 0);
}

static int64_t get_int(const struct agg_setup *s, const void *record, const char *field)
{
    struct leat_place place;
    int64_t value = 0;
    assert_int_equal(leat_record_find(s->h->outs[0].batch->type, field, &place, NULL), 0);
    assert_int_equal(leat_record_get_i64(record, &place, &value), 0);
    return value;
}

static double get_float(const struct agg_setup *s, const void *record, const char *field)
{
    struct leat_place place;
    double value = 0;
    assert_int_equal(leat_record_find(s->h->outs[0].batch->type, field, &place, NULL), 0);
    assert_int_equal(leat_record_get_f64(record, &place, &value), 0);
    return value;
}

static int64_t any_int64(void)
{
    const uint64_t bits = agg_random() >> agg_below(64);
    switch (agg_below(8)) {
    case 0:
        return INT64_MAX - agg_below(3);
    case 1:
        return INT64_MIN + agg_below(3);
    default:
        return agg_below(2) ? (int64_t)bits : -(int64_t)(bits >> 1);
    }
}

static void check_sum(const char *words, const int64_t *values, uint32_t count)
{
    struct agg_setup s;
    wide sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += values[i];
    const bool fits = sum >= INT64_MIN && sum <= INT64_MAX;
    const void *row = aggregate_values(&s, words,
        FIELD("total", OR_NULL("\"long\"")) "," FIELD("mean", OR_NULL("\"double\"")), values, NULL, count);
    if (!fits && strcmp(words, "size=10") == 0) {
        assert_null(row);
        assert_int_equal(s.h->error.code, LEAT_EOVERFLOW);
        agg_release(&s);
        return;
    }
    assert_non_null(row);
    const bool wraps = strstr(words, "wrap") != NULL;
    const int64_t want = fits || wraps ? (int64_t)(uint64_t)sum : sum < 0 ? INT64_MIN : INT64_MAX;
    FAIL_UNLESS(get_int(&s, row, "total") == want, "%s", words);
    const long double mean = (long double)sum / count;
    const double got = get_float(&s, row, "mean");
    const long double tolerance =
        sum > -((wide)1 << 53) && sum < ((wide)1 << 53) ? fabsl(mean) * 0x1p-53L : fabsl(mean) * 0x1p-52L;
    FAIL_UNLESS(fabsl((long double)got - mean) <= tolerance, "mean %.17g, want %.21Lg", got, mean);
    agg_release(&s);
}

static void test_integer_sums__given_any_values__then_as_exact_as_128_bits(void **unused)
{
    (void)unused;
    const char *const words[] = { "size=10", "size=10,saturate", "size=10,wrap" };
    agg_seed();
    for (uint32_t round = 0; round < 300; round++) {
        int64_t values[120];
        const uint32_t count = agg_below(120) + 1;
        for (uint32_t i = 0; i < count; i++)
            values[i] = round % 3 == 0 ? (int64_t)agg_below(2000) - 1000 : any_int64();
        for (uint32_t i = 0; i < COUNT_OF(words); i++)
            check_sum(words[i], values, count);
    }
}

#define FLOAT_FIELDS \
    FIELD("dsum", OR_NULL("\"double\"")) \
    "," FIELD("dmin", OR_NULL("\"double\"")) "," FIELD("dmax", OR_NULL("\"double\"")) "," FIELD( \
        "dmean", OR_NULL("\"double\""))

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void test_doubles__given_special_values__then_ieee_and_nan_last(void **unused)
{
    (void)unused;
    const double nan = (double)NAN, inf = (double)INFINITY;
    static const char *const row_names[] = { "compensated", "cancelling", "infinite", "both infinite",
        "a nan", "only nans", "negative nan", "zeros", "largest", "smallest" };
    const struct {
        double values[4];
        uint32_t count;
        double sum, min, max;
    } rows[] = {
        { { 1e100, 1, -1e100, 1 }, 4, 2, -1e100, 1e100 },
        { { 0.1, 0.2, -0.3, 0 }, 3, 0.1 + 0.2 - 0.3, -0.3, 0.2 },
        { { inf, 1, 2, -5 }, 4, inf, -5, inf },
        { { inf, -inf, 2, 0 }, 3, nan, -inf, inf },
        { { 3, nan, -2, 7 }, 4, nan, -2, nan },
        { { nan, nan, 0, 0 }, 2, nan, nan, nan },
        { { 3, -nan, 0, 0 }, 2, nan, 3, nan },
        { { 0.0, -0.0, 0, 0 }, 2, 0.0, -0.0, 0.0 },
        { { 1.7976931348623157e308, -1.7976931348623157e308, 1, 0 }, 3, 1, -1.7976931348623157e308,
            1.7976931348623157e308 },
        { { 5e-324, -5e-324, 0, 0 }, 2, 0, -5e-324, 5e-324 },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct agg_setup s;
        const void *row = aggregate_values(&s, "size=10", FLOAT_FIELDS, NULL, rows[i].values, rows[i].count);
        assert_non_null(row);
        const double sum = get_float(&s, row, "dsum");
        /* A compensated sum of 0.1 + 0.2 - 0.3 is that of the exact doubles, not what is lost on the way. */
        FAIL_UNLESS(i == 1 ? fabs(sum) < 1e-16 && sum != rows[i].sum : same(sum, rows[i].sum),
            "%s: sum %.17g", row_names[i], sum);
        FAIL_UNLESS(same(get_float(&s, row, "dmin"), rows[i].min), "%s: min", row_names[i]);
        FAIL_UNLESS(same(get_float(&s, row, "dmax"), rows[i].max), "%s: max", row_names[i]);
        FAIL_UNLESS(same(get_float(&s, row, "dmean"), sum / rows[i].count), "%s: mean", row_names[i]);
        agg_release(&s);
    }
}

static void test_doubles__given_another_order__then_the_sum_differs_in_the_last_bits_only(void **unused)
{
    (void)unused;
    static double values[5000];
    agg_seed();
    wide exact = 0; /* in units of 2^-20 */
    for (uint32_t i = 0; i < COUNT_OF(values); i++) {
        const int64_t units = (int64_t)(agg_random() >> (20 + agg_below(30))) * (agg_below(2) ? 1 : -1);
        values[i] = (double)units * 0x1p-20;
        exact += (int64_t)(values[i] * 0x1p20);
    }
    const double want = (double)((long double)exact * 0x1p-20L);
    for (uint32_t round = 0; round < 5; round++) {
        struct agg_setup s;
        for (uint32_t i = 0; i < COUNT_OF(values); i++) {
            const uint32_t other = agg_below(COUNT_OF(values));
            const double value = values[i];
            values[i] = values[other];
            values[other] = value;
        }
        const void *row = aggregate_values(&s, "size=10", FLOAT_FIELDS, NULL, values, COUNT_OF(values));
        FAIL_UNLESS(fabs(get_float(&s, row, "dsum") - want) <= fabs(want) * 0x1p-50, "round %u", round);
        agg_release(&s);
    }
}

/* ---- keys and fields of every kind ---- */

#define KINDS_FIELDS \
    FIELD("b", "\"boolean\"") \
    "," FIELD("i", "\"int\"") "," FIELD("l", OR_NULL("\"long\"")) "," FIELD("f", "\"float\"") "," FIELD( \
        "d", OR_NULL("\"double\"")) "," FIELD("s", "\"string\"") "," FIELD("y", \
        OR_NULL("\"bytes\"")) "," FIELD("x", \
        "{\"type\":\"fixed\",\"name\":\"three\",\"size\":3}") "," FIELD("e", \
        "{\"type\":\"enum\",\"name\":\"color\",\"symbols\":[\"RED\",\"GREEN\"]}") "," FIELD("t", \
        "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}") "," FIELD("g", \
        "{\"type\":\"int\",\"logicalType\":\"date\"}")

struct kinds {
    bool b;
    int32_t i;
    bool has_l;
    int64_t l;
    float f;
    bool has_d;
    double d;
    struct leat_sv s;
    bool has_y;
    struct leat_sv y;
    uint8_t x[3];
    int32_t e;
    int64_t t;
    int32_t g;
    int64_t ts;
    int32_t same; /* in all rows */
};

static const struct kinds kinds_rows[] = {
    { .b = true,
        .i = -5,
        .has_l = true,
        .l = INT64_MIN,
        .f = -1.5f,
        .has_d = true,
        .d = 1e-300,
        .s = { "a\0b", 3 },
        .has_y = true,
        .y = { "\0", 1 },
        .x = { 0, 255, 0 },
        .e = 1,
        .t = -1,
        .g = 19000,
        .ts = 1 },
    { .i = INT32_MAX, .f = 0.5f, .s = { "", 0 }, .x = { 1, 2, 3 }, .t = 5, .ts = 2 },
};

static const char *const kinds_text[] = {
    "{\"b\":true,\"i\":-5,\"l\":-9223372036854775808,\"f\":-1.5,\"d\":1e-300,\"s\":\"a\\u0000b\",\"y\":"
    "\"\\u0000\","
    "\"x\":\"\\u0000\xEF\xBF\xBD\\u0000\",\"e\":\"GREEN\",\"t\":-1,\"g\":19000,\"n\":1}",
    "{\"b\":false,\"i\":2147483647,\"l\":null,\"f\":0.5,\"d\":null,\"s\":\"\",\"y\":null,\"x\":"
    "\"\\u0001\\u0002\\u0003\","
    "\"e\":\"RED\",\"t\":5,\"g\":0,\"n\":1}",
};

static leat_stream *declare_kinds(struct agg_setup *s, const char *out_fields, const char *by,
    const struct leat_aggregate *aggs, uint32_t aggs_count)
{
    char schema[4096];
    memset(s, 0, sizeof *s);
    const struct leat_type *in = agg_type_of(
        s, RECORD("kinds", KINDS_FIELDS "," FIELD("ts", "\"long\"") "," FIELD("same", "\"int\"")));
    assert_int_equal(in->size, sizeof(struct kinds));
    (void)snprintf(schema, sizeof schema, RECORD("shown", "%s"), out_fields);
    struct leat_aggregate_opts opts = { .out = agg_type_of(s, schema), .ordered = true };
    memcpy(opts.aggs, aggs, aggs_count * sizeof *aggs);
    s->t = leat_topology_new("test");
    leat_windowed_stream *windows =
        leat_window(leat_group_by(harness_source(s->t, "in", in, "ts"), "keyed", by), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    return leat_aggregate(windows, "shown", &opts);
}

static void put_kinds(struct agg_setup *s, leat_stream *stream)
{
    s->h = harness_new(stream, NULL);
    struct leat_batch *batch = harness_rows(s->h, 0);
    for (uint32_t i = 0; i < COUNT_OF(kinds_rows); i++) {
        batch->event_us[i] = kinds_rows[i].ts;
        *(struct kinds *)leat__batch_push(batch) = kinds_rows[i];
    }
    assert_int_equal(harness_batch(s->h, 0, batch), 0);
    assert_int_equal(harness_watermark(s->h, 0, 9), 0);
}

static void test_keys__given_fields_of_every_kind__then_they_come_back_as_they_were(void **unused)
{
    (void)unused;
    struct agg_setup s;
    const struct leat_aggregate count = LEAT_COUNT("n");
    put_kinds(&s,
        declare_kinds(
            &s, KINDS_FIELDS "," FIELD("n", "\"long\""), "s, b, i, l, f, d, y, x, e, t, g", &count, 1));
    char text[600];
    assert_int_equal(s.h->outs_count, 1);
    const struct leat_batch *batch = s.h->outs[0].batch;
    assert_int_equal(batch->count, 2);
    for (uint32_t i = 0; i < 2; i++) { /* "" sorts first */
        (void)leat_record_print(leat_batch_at(batch, 1 - i), batch->type, text, sizeof text);
        assert_string_equal(text, kinds_text[i]);
    }
    agg_release(&s);
}

static void test_keys__given_one_field_of_each_kind__then_it_comes_back(void **unused)
{
    (void)unused;
    static const struct {
        const char *key, *field, *want;
    } rows[] = {
        { "b", FIELD("b", "\"boolean\""), "true" },
        { "i", FIELD("i", "\"long\""), "-5" },
        { "l", FIELD("l", OR_NULL("\"long\"")), "-9223372036854775808" },
        { "f", FIELD("f", "\"double\""), "-1.5" },
        { "d", FIELD("d", OR_NULL("\"double\"")), "1e-300" },
        { "s", FIELD("s", "\"bytes\""), "\"a\\u0000b\"" },
        { "y", FIELD("y", OR_NULL("\"bytes\"")), "\"\\u0000\"" },
        { "x", FIELD("x", "\"bytes\""), "\"\\u0000\xEF\xBF\xBD\\u0000\"" },
        { "e", FIELD("e", "\"string\""), "\"GREEN\"" },
        { "e", FIELD("e", "{\"type\":\"enum\",\"name\":\"wide\",\"symbols\":[\"GREEN\",\"BLUE\",\"RED\"]}"),
            "\"GREEN\"" },
        { "t", FIELD("t", "\"long\""), "-1" },
        { "g", FIELD("g", "{\"type\":\"int\",\"logicalType\":\"date\"}"), "19000" },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct agg_setup s;
        char fields[300], want[100], text[200];
        bool found = false;
        const struct leat_aggregate count = LEAT_COUNT("n");
        (void)snprintf(fields, sizeof fields, "%s," FIELD("n", "\"long\""), rows[i].field);
        (void)snprintf(want, sizeof want, "{\"%s\":%s,\"n\":1}", rows[i].key, rows[i].want);
        put_kinds(&s, declare_kinds(&s, fields, rows[i].key, &count, 1));
        for (uint32_t r = 0; r < s.h->outs[0].batch->count; r++) {
            (void)leat_record_print(
                leat_batch_at(s.h->outs[0].batch, r), s.h->outs[0].batch->type, text, sizeof text);
            found |= strcmp(text, want) == 0;
        }
        FAIL_UNLESS(found, "want %s, have %s", want, text);
        agg_release(&s);
    }
}

static void test_results__given_fields_of_other_kinds__then_values_are_kept_or_widened(void **unused)
{
    (void)unused;
    static const struct {
        struct leat_aggregate agg;
        const char *type, *want;
    } rows[] = {
        { LEAT_MIN("i", "r"), "\"int\"", "-5" },
        { LEAT_MAX("i", "r"), "\"long\"", "2147483647" },
        { LEAT_SUM("i", "r"), "\"long\"", "2147483642" },
        { LEAT_MIN("f", "r"), "\"float\"", "-1.5" },
        { LEAT_SUM("f * 0.5", "r"), "\"double\"", "-0.5" },
        { LEAT_MIN("t", "r"), "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "-1" },
        { LEAT_MIN("t", "r"), "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "-1000" },
        { LEAT_MIN("t", "r"), "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", "-1000000" },
        { LEAT_MAX("t", "r"), "\"long\"", "5000" },
        { LEAT_MAX("g", "r"), "{\"type\":\"int\",\"logicalType\":\"date\"}", "19000" },
        { LEAT_MAX("e", "r"), "\"string\"", "\"RED\"" },
        { LEAT_MAX("x", "r"), "{\"type\":\"fixed\",\"name\":\"three\",\"size\":3}",
            "\"\\u0001\\u0002\\u0003\"" },
        { LEAT_MIN("y", "r"), OR_NULL("\"bytes\""), "\"\\u0000\"" },
        { LEAT_COUNT_OF("b", "r"), "\"long\"", "2" },
        { LEAT_COUNT_OF("l", "r"), "\"long\"", "1" },
        { LEAT_AVG("i / 2", "r"), "\"double\"", "536870910.5" },
        { LEAT_MIN("coalesce(l, 3)", "r"), "\"long\"", "-9223372036854775808" },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct agg_setup s;
        char fields[200], want[200], text[300];
        (void)snprintf(fields, sizeof fields, FIELD("r", "%s"), rows[i].type);
        (void)snprintf(want, sizeof want, "{\"r\":%s}", rows[i].want);
        put_kinds(&s, declare_kinds(&s, fields, "same", &rows[i].agg, 1));
        assert_int_equal(s.h->outs[0].batch->count, 1);
        (void)leat_record_print(
            leat_batch_at(s.h->outs[0].batch, 0), s.h->outs[0].batch->type, text, sizeof text);
        FAIL_UNLESS(strcmp(text, want) == 0, "row %u: want %s, have %s", i, want, text);
        agg_release(&s);
    }
}

static void test_window_fields__given_any_unit__then_converted_and_saturated(void **unused)
{
    (void)unused;
    static const struct {
        const char *type;
        int64_t ts;
        const char *want;
    } rows[] = {
        { "\"long\"", 12, "{\"window_start\":10,\"window_end\":20," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", -3,
            "{\"window_start\":-10,\"window_end\":0," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", -3,
            "{\"window_start\":-1,\"window_end\":0," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", 12,
            "{\"window_start\":10000,\"window_end\":20000," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", INT64_MAX / 2,
            "{\"window_start\":9223372036854775807,\"window_end\":9223372036854775807," },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct agg_setup s;
        char fields[400], want[300], text[300];
        (void)snprintf(fields, sizeof fields,
            FIELD("window_start", "%s") "," FIELD("window_end", "%s") "," FIELD("pane", "\"int\"") "," FIELD(
                "pane_index", "\"long\"") "," FIELD("n", "\"long\""),
            rows[i].type, rows[i].type);
        (void)snprintf(want, sizeof want, "%s\"pane\":2,\"pane_index\":0,\"n\":1}", rows[i].want);
        agg_start(&s, "size=10", fields, NULL);
        struct leat_batch *batch = harness_rows(s.h, 0);
        agg_put(batch, &(struct agg_event){ .ts = rows[i].ts });
        assert_int_equal(harness_batch(s.h, 0, batch), 0);
        assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
        (void)leat_record_print(
            leat_batch_at(s.h->outs[0].batch, 0), s.h->outs[0].batch->type, text, sizeof text);
        FAIL_UNLESS(strcmp(text, want) == 0, "row %u: want %s, have %s", i, want, text);
        agg_release(&s);
    }
}

/* ---- values outside of memory ---- */

static const char *const codec_texts[] = { "b", "a much longer string than the first one was", "", "c" };

/* Adds the texts (and their numbers) to one value. */
static void add_texts(struct agg_setup *s, struct leat_table *table, unsigned char *value, uint32_t base)
{
    struct leat_sv strings[COUNT_OF(codec_texts)];
    int64_t numbers[COUNT_OF(codec_texts)];
    uint32_t rows[COUNT_OF(codec_texts)];
    unsigned char *values[COUNT_OF(codec_texts)];
    struct leat__column_view views[2];
    const struct leat__aggregate_spec *spec = s->h->node->spec;
    for (uint32_t i = 0; i < COUNT_OF(codec_texts); i++) {
        strings[i] = leat_sv_of(codec_texts[i]);
        numbers[i] = i;
        rows[i] = i;
        values[i] = value + base;
    }
    assert_int_equal(spec->columns_count, 2);
    for (uint32_t c = 0; c < 2; c++)
        views[c] = strcmp(spec->columns[c].text, "s") == 0
            ? (struct leat__column_view){ (const unsigned char *)strings, sizeof strings[0], NULL }
            : (struct leat__column_view){ (const unsigned char *)numbers, sizeof numbers[0], NULL };
    const struct leat__agg_pass pass = { .spec = spec,
        .ctx = &s->h->ctx,
        .mem = { table, 0, NULL },
        .views = views,
        .rows = rows,
        .values = values,
        .count = COUNT_OF(codec_texts) };
    assert_int_equal(leat__agg_add(&pass), 0);
}

static void test_codec__given_strings__then_a_value_comes_back_and_damage_is_seen(void **unused)
{
    (void)unused;
    const uint32_t base = sizeof(struct leat__aggregate_head);
    struct agg_setup s;
    struct leat_strbuf bytes = { 0 }, again = { 0 };
    agg_start(&s, "size=10,lateness=1",
        FIELD("total", OR_NULL("\"long\"")) "," FIELD("smin", OR_NULL("\"string\"")) "," FIELD(
            "smax", OR_NULL("\"string\"")),
        NULL);
    struct leat__value_layout layout = { s.h->node->spec, base };
    const size_t size = base + layout.spec->values_size;
    const struct leat_table_opts opts = {
        .node = "n", .name = "t", .kind = LEAT_TABLE_FIXED, .key_size = 8, .value_size = (uint32_t)size
    };
    struct leat_table *table = NULL;
    uint64_t value[32] = { 5, 2 }, back[32];
    assert_true(size <= sizeof value);
    assert_int_equal(leat__table_open(s.h->state, &opts, &table, NULL), 0);
    assert_int_equal(leat__agg_encode(&layout, value, &bytes), 0);
    assert_int_equal(bytes.len, size); /* nothing seen: no strings */
    add_texts(&s, table, (unsigned char *)value, base);
    leat__strbuf_clear(&bytes);
    assert_int_equal(leat__agg_encode(&layout, value, &bytes), 0);
    assert_int_equal(bytes.len, size + strlen("") + strlen("c"));
    assert_int_equal(leat__agg_decode(&layout, table, 7, bytes.data, bytes.len, back), 0);
    assert_int_equal(leat__agg_encode(&layout, back, &again), 0);
    assert_int_equal(again.len, bytes.len);
    assert_memory_equal(again.data, bytes.data, bytes.len);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(leat__agg_decode(&layout, table, 7, bytes.data, len, back), LEAT_EDATA);
    leat__strbuf_char(&bytes, 'x');
    assert_int_equal(leat__agg_decode(&layout, table, 7, bytes.data, bytes.len, back), LEAT_EDATA);
    leat__strbuf_release(&bytes);
    leat__strbuf_release(&again);
    leat__table_close(table);
    agg_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_sums__given_any_values__then_as_exact_as_128_bits),
        cmocka_unit_test(test_doubles__given_special_values__then_ieee_and_nan_last),
        cmocka_unit_test(test_doubles__given_another_order__then_the_sum_differs_in_the_last_bits_only),
        cmocka_unit_test(test_keys__given_fields_of_every_kind__then_they_come_back_as_they_were),
        cmocka_unit_test(test_keys__given_one_field_of_each_kind__then_it_comes_back),
        cmocka_unit_test(test_results__given_fields_of_other_kinds__then_values_are_kept_or_widened),
        cmocka_unit_test(test_window_fields__given_any_unit__then_converted_and_saturated),
        cmocka_unit_test(test_codec__given_strings__then_a_value_comes_back_and_damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
