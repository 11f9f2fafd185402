/* tests/integration/test_semantics_aggregates.c -- rules 36, 37, 39 and 40 of the semantics: what aggregates
 * say about nulls, great numbers and odd ones, what keys are, and in which order results of a key come.
 *
 * Each case of values runs forwards and backwards, in the kit with every parallelism and batch, and as a job
 * whose source has two splits: no order of arrival may show. */
#include "fact.h"
#include "fact_total.h"
#include "key_kinds.h"
#include "key_kinds_count.h"
#include "measure.h"
#include "measure_stats.h"
#include "tests/support/fact_jobs.h"
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUES_MAX = 12, LINE_BYTES = 256 };

/* A topology of measures in one window of everything, by the key. */
static leat_topology *measure_job(const struct leat_aggregate_opts *opts, const char *key,
    const struct measure *rows, uint64_t count, uint32_t splits, leat_collector *out)
{
    leat_topology *t = leat_topology_new("measures");
    leat_stream *in = leat_memory_source(t, "measures",
        &(struct leat_memory_source_opts){ .type = &measure_type,
            .rows = rows ? (const void *)rows : "",
            .count = count,
            .splits = splits,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_DAYS(1) });
    leat_stream *stats = leat_aggregate(
        leat_window(leat_group_by(in, "by-key", key), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_DAYS(1) }),
        "stats", opts);
    leat_memory_sink(stats, "out", &(struct leat_memory_sink_opts){ .into = out });
    if (leat_check(t) < 0)
        fail_msg("%s", leat_topology_error(t, 0)->message);
    return t;
}

static leat_test *new_test(leat_topology *t, const struct scenario_shape *shape)
{
    leat_test *test = leat_test_new(
        t, &(struct leat_test_opts){ .parallelism = shape->parallelism, .batch_rows = shape->batch_rows });
    assert_non_null(test);
    return test;
}

/* Values of a column as text. */

enum column { SMALL, BIG, SINGLE, REAL, TEXT, STAMP };
static const char *const column_names[] = { "small", "big", "single", "real", "text", "stamp" };

static int64_t read_integer(const char *text)
{
    if (strcmp(text, "min") == 0)
        return INT64_MIN;
    return strcmp(text, "max") == 0 ? INT64_MAX : strtoll(text, NULL, 10);
}

/* "null" is null. */
static struct measure make_measure(enum column column, const char *text)
{
    struct measure m = { .has_name = true, .name = LEAT_SV("ada") };
    const bool has = strcmp(text, "null") != 0;
    switch (column) {
    case SMALL:
        m.has_small = has;
        m.small = has ? (int32_t)read_integer(text) : 0;
        break;
    case BIG:
        m.has_big = has;
        m.big = has ? read_integer(text) : 0;
        break;
    case SINGLE:
        m.has_single = has;
        m.single = has ? strtof(text, NULL) : 0;
        break;
    case REAL:
        m.has_real = has;
        m.real = has ? strtod(text, NULL) : 0;
        break;
    case TEXT:
        m.has_text = has;
        m.text = leat_sv_of(text);
        break;
    case STAMP:
        m.has_stamp = has;
        m.stamp = has ? read_integer(text) : 0;
        break;
    }
    return m;
}

/* " name=value" of a field of the statistics, where there is such a field. */
static void print_field(char *line, const struct measure_stats *stats, enum column column, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "%s_%s", column_names[column], what);
    struct leat_place place;
    struct leat_error error;
    if (leat_record_find(&measure_stats_type, path, &place, &error) < 0)
        return;
    const size_t len = strlen(line);
    struct leat_sv text;
    double real;
    int64_t integer;
    if (leat_record_is_null(stats, &place))
        snprintf(line + len, LINE_BYTES - len, " %s=null", what);
    else if (leat_record_get_i64(stats, &place, &integer) == 0)
        snprintf(line + len, LINE_BYTES - len, " %s=%" PRIi64, what, integer);
    else if (leat_record_get_f64(stats, &place, &real) == 0)
        snprintf(line + len, LINE_BYTES - len, isnan(real) ? " %s=nan" : " %s=%.17g", what, real);
    else if (leat_record_get_sv(stats, &place, &text) == 0)
        snprintf(line + len, LINE_BYTES - len, " %s='%.*s'", what, (int)text.len, text.data);
}

static void print_stats(char *line, const struct measure_stats *stats, enum column column)
{
    snprintf(line, LINE_BYTES, "rows=%" PRIi64, stats->rows);
    const char *const fields[] = { "values", "sum", "min", "max", "avg" };
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        print_field(line, stats, column, fields[i]);
}

#define NUMBER_AGGREGATES(column_) \
    LEAT_COUNT_OF(column_, column_ "_values"), LEAT_SUM(column_, column_ "_sum"), \
        LEAT_MIN(column_, column_ "_min"), LEAT_MAX(column_, column_ "_max"), \
        LEAT_AVG(column_, column_ "_avg")
#define ORDER_AGGREGATES(column_) \
    LEAT_COUNT_OF(column_, column_ "_values"), LEAT_MIN(column_, column_ "_min"), \
        LEAT_MAX(column_, column_ "_max")

static const struct leat_aggregate_opts all_aggregates = {
    .aggs = {
        LEAT_COUNT("rows"),
        NUMBER_AGGREGATES("small"),
        NUMBER_AGGREGATES("big"),
        NUMBER_AGGREGATES("single"),
        NUMBER_AGGREGATES("real"),
        ORDER_AGGREGATES("text"),
        ORDER_AGGREGATES("stamp"),
    },
    .out = &measure_stats_type,
};

struct value_case {
    const char *name;
    enum column column;
    const char *values[VALUES_MAX];
    const char *stats;
};

static const struct value_case value_cases[] = {
    { "one value", BIG, { "7" }, "rows=1 values=1 sum=7 min=7 max=7 avg=7" },
    { "nulls are rows, and nothing else", BIG, { "null", "7", "null", "-2" },
        "rows=4 values=2 sum=5 min=-2 max=7 avg=2.5" },
    { "no values", BIG, { "null", "null" }, "rows=2 values=0 sum=null min=null max=null avg=null" },
    { "no values: int", SMALL, { "null" }, "rows=1 values=0 sum=null min=null max=null avg=null" },
    { "no values: float", SINGLE, { "null" }, "rows=1 values=0 sum=null min=null max=null avg=null" },
    { "no values: double", REAL, { "null" }, "rows=1 values=0 sum=null min=null max=null avg=null" },
    { "no values: string", TEXT, { "null" }, "rows=1 values=0 min=null max=null" },
    { "no values: timestamp", STAMP, { "null" }, "rows=1 values=0 min=null max=null" },
    { "zero is a value", BIG, { "0", "null" }, "rows=2 values=1 sum=0 min=0 max=0 avg=0" },
    { "ints sum to a long", SMALL, { "2147483647", "2147483647", "-1" },
        "rows=3 values=3 sum=4294967293 min=-1 max=2147483647 avg=1431655764.3333333" },
    { "the ends of int", SMALL, { "-2147483648", "2147483647" },
        "rows=2 values=2 sum=-1 min=-2147483648 max=2147483647 avg=-0.5" },
    { "a sum at the end of 64 bits", BIG, { "9223372036854775806", "1" },
        "rows=2 values=2 sum=9223372036854775807 min=1 max=9223372036854775806 avg=4.6116860184273879e+18" },
    { "a sum at the other end", BIG, { "-9223372036854775807", "-1" },
        "rows=2 values=2 sum=-9223372036854775808 min=-9223372036854775807 max=-1 "
        "avg=-4.6116860184273879e+18" },
    { "a sum that leaves 64 bits and comes back", BIG, { "max", "1", "-1", "-5" },
        "rows=4 values=4 sum=9223372036854775802 min=-5 max=9223372036854775807 avg=2.305843009213694e+18" },
    { "a sum of all there is", BIG, { "min", "max", "1" },
        "rows=3 values=3 sum=0 min=-9223372036854775808 max=9223372036854775807 avg=0" },
    { "avg is of the exact sum", BIG, { "max", "-9223372036854775807", "3" },
        "rows=3 values=3 sum=3 min=-9223372036854775807 max=9223372036854775807 avg=1" },
    { "avg beyond the exact doubles", BIG, { "9007199254740993", "1", "-9007199254740993", "1" },
        "rows=4 values=4 sum=2 min=-9007199254740993 max=9007199254740993 avg=0.5" },
    { "doubles", REAL, { "1.5", "null", "-0.25" }, "rows=3 values=2 sum=1.25 min=-0.25 max=1.5 avg=0.625" },
    { "a small one beside great ones", REAL, { "1e100", "1", "-1e100" },
        "rows=3 values=3 sum=1 min=-1e+100 max=1e+100 "
        "avg=0.33333333333333331" },
    { "ten tenths", REAL, { "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1", "0.1" },
        "rows=10 values=10 sum=1 min=0.10000000000000001 max=0.10000000000000001 avg=0.10000000000000001" },
    { "NaN is last", REAL, { "1", "nan", "-1" }, "rows=3 values=3 sum=nan min=-1 max=nan avg=nan" },
    { "NaN is behind infinity", REAL, { "inf", "nan" }, "rows=2 values=2 sum=nan min=inf max=nan avg=nan" },
    { "NaN alone", REAL, { "nan", "null" }, "rows=2 values=1 sum=nan min=nan max=nan avg=nan" },
    { "infinity", REAL, { "inf", "1", "2" }, "rows=3 values=3 sum=inf min=1 max=inf avg=inf" },
    { "minus infinity", REAL, { "-inf", "1e308", "5" },
        "rows=3 values=3 sum=-inf min=-inf max=1e+308 avg=-inf" },
    { "both infinities", REAL, { "inf", "-inf", "1" }, "rows=3 values=3 sum=nan min=-inf max=inf avg=nan" },
    { "beyond the doubles", REAL, { "1.7e308", "1.7e308" },
        "rows=2 values=2 sum=inf min=1.6999999999999999e+308 max=1.6999999999999999e+308 avg=inf" },
    { "denormals", REAL, { "5e-324", "5e-324" },
        "rows=2 values=2 sum=9.8813129168249309e-324 min=4.9406564584124654e-324 max=4.9406564584124654e-324 "
        "avg=4.9406564584124654e-324" },
    { "minus zero is before zero", REAL, { "0", "-0", "1", "-1" },
        "rows=4 values=4 sum=0 min=-1 max=1 avg=0" },
    { "least of the zeros", REAL, { "0", "-0", "1" },
        "rows=3 values=3 sum=1 min=-0 max=1 avg=0.33333333333333331" },
    { "greatest of the zeros", REAL, { "-0", "0", "-1" },
        "rows=3 values=3 sum=-1 min=-1 max=0 avg=-0.33333333333333331" },
    { "floats sum to a double", SINGLE, { "3e38", "3e38", "0.5" },
        "rows=3 values=3 sum=6.0000000109955115e+38 min=0.5 max=3.0000000054977558e+38 "
        "avg=2.0000000036651706e+38" },
    { "floats: NaN and infinity", SINGLE, { "nan", "-inf", "2" },
        "rows=3 values=3 sum=nan min=-inf max=nan avg=nan" },
    { "floats: infinity", SINGLE, { "inf", "2" }, "rows=2 values=2 sum=inf min=2 max=inf avg=inf" },
    { "strings compare bytewise", TEXT, { "b", "a", "B", "ab", "Z" }, "rows=5 values=5 min='B' max='b'" },
    { "a prefix is less", TEXT, { "abc", "ab", "abcd", "null" }, "rows=4 values=3 min='ab' max='abcd'" },
    { "bytes are unsigned", TEXT, { "z", "\xc3\xa9", "\x7f" }, "rows=3 values=3 min='z' max='\xc3\xa9'" },
    { "the empty string is a value", TEXT, { "null", "a", "" }, "rows=3 values=2 min='' max='a'" },
    { "nothing but the empty string", TEXT, { "", "null", "" }, "rows=3 values=2 min='' max=''" },
    { "longer than any inline copy", TEXT,
        { "a very long text that does not fit into any small buffer, number 2",
            "a very long text that does not fit into any small buffer, number 1" },
        "rows=2 values=2 min='a very long text that does not fit into any small buffer, number 1' max='a "
        "very long "
        "text that does not fit into any small buffer, number 2'" },
    { "timestamps in their unit", STAMP, { "1", "-1", "null", "1700000000000" },
        "rows=4 values=3 min=-1 max=1700000000000" },
    { "the ends of timestamps", STAMP, { "min", "max" },
        "rows=2 values=2 min=-9223372036854775808 max=9223372036854775807" },
};

static size_t make_rows(const struct value_case *c, bool backwards, struct measure *rows)
{
    size_t count = 0;
    while (count < VALUES_MAX && c->values[count])
        count++;
    for (size_t i = 0; i < count; i++) {
        rows[i] = make_measure(c->column, c->values[backwards ? count - 1 - i : i]);
        rows[i].at = (int64_t)i;
    }
    return count;
}

static void expect_stats(const char *what, const struct value_case *c, const struct measure_stats *stats)
{
    char line[LINE_BYTES];
    FAIL_UNLESS(stats != NULL, "%s (%s): no result", c->name, what);
    print_stats(line, stats, c->column);
    FAIL_UNLESS(
        strcmp(line, c->stats) == 0, "%s (%s): expected\n  %s\ngot\n  %s", c->name, what, c->stats, line);
    FAIL_UNLESS(stats->has_name && leat_sv_eq(stats->name, LEAT_SV("ada")), "%s (%s): the key is lost",
        c->name, what);
}

static void check_values(const struct value_case *c, const struct scenario_shape *shape, bool backwards)
{
    struct measure rows[VALUES_MAX];
    const size_t count = make_rows(c, backwards, rows);
    leat_topology *t = measure_job(&all_aggregates, "name", NULL, 0, 1, NULL);
    leat_test *test = new_test(t, shape);
    for (size_t i = 0; i < count; i++)
        leat_test_pipe(test, "measures", &rows[i]);
    leat_test_end(test, NULL);
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s: %s", c->name, leat_test_error(test)->message);
    expect_stats(backwards ? "backwards" : "forwards", c, leat_test_read(test, "out"));
    assert_null(leat_test_read(test, "out"));
    leat_test_free(test);
    leat_topology_free(t);
}

static void check_values_as_job(
    const struct value_case *c, const struct scenario_shape *shape, bool backwards)
{
    struct measure rows[VALUES_MAX];
    const size_t count = make_rows(c, backwards, rows);
    leat_collector *out = leat_collector_new();
    leat_topology *t = measure_job(&all_aggregates, "name", rows, count, count % 2 == 0 ? 2 : 1, out);
    struct leat_error error = { 0 };
    const int code = leat_run(t,
        &(struct leat_job_opts){ .parallelism = shape->parallelism,
            .batch_rows = shape->batch_rows,
            .simulate = true,
            .seed = shape->parallelism },
        &error);
    FAIL_UNLESS(code == 0, "%s: %s", c->name, error.message);
    assert_int_equal(leat_collector_count(out), 1);
    expect_stats("job", c, leat_collector_record(out, 0));
    leat_topology_free(t);
    leat_collector_free(out);
}

static void test_aggregates__given_values__then_each_says_what_it_should_in_any_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(value_cases); i++)
        for (size_t s = 0; s < SCENARIO_SHAPES; s++)
            for (int backwards = 0; backwards < 2; backwards++) {
                check_values(&value_cases[i], &scenario_shapes[s], backwards);
                check_values_as_job(&value_cases[i], &scenario_shapes[s], backwards);
            }
}

/* Overflow. */

struct overflow_case {
    const char *name;
    const char *values[VALUES_MAX];
    enum leat_on_overflow on_overflow;
    const char *sum; /* NULL: the job fails */
};

static const struct overflow_case overflow_cases[] = {
    { "not given: fails", { "max", "1" }, 0, NULL },
    { "fails, downwards", { "min", "-1" }, LEAT_OVERFLOW_FAIL, NULL },
    { "fails, far beyond", { "max", "max", "max", "max" }, LEAT_OVERFLOW_FAIL, NULL },
    { "no overflow, no failure", { "max", "0" }, LEAT_OVERFLOW_FAIL, "sum=9223372036854775807" },
    { "saturates", { "max", "1" }, LEAT_OVERFLOW_SATURATE, "sum=9223372036854775807" },
    { "saturates, downwards", { "min", "-1" }, LEAT_OVERFLOW_SATURATE, "sum=-9223372036854775808" },
    { "saturates the sum, not the steps to it", { "max", "max", "-9223372036854775807", "-5" },
        LEAT_OVERFLOW_SATURATE, "sum=9223372036854775802" },
    { "does not saturate in between", { "min", "min", "max", "max", "5" }, LEAT_OVERFLOW_SATURATE, "sum=3" },
    { "wraps", { "max", "1" }, LEAT_OVERFLOW_WRAP, "sum=-9223372036854775808" },
    { "wraps, downwards", { "min", "-1" }, LEAT_OVERFLOW_WRAP, "sum=9223372036854775807" },
    { "wraps, twice", { "max", "max", "max", "max" }, LEAT_OVERFLOW_WRAP, "sum=-4" },
    { "wraps and comes back", { "max", "1", "-1" }, LEAT_OVERFLOW_WRAP, "sum=9223372036854775807" },
};

static void check_overflow(const struct overflow_case *c, const struct scenario_shape *shape, bool backwards)
{
    const struct value_case values = { .column = BIG,
        .values = { c->values[0], c->values[1], c->values[2], c->values[3], c->values[4] } };
    struct measure rows[VALUES_MAX];
    const size_t count = make_rows(&values, backwards, rows);
    const struct leat_aggregate_opts opts = {
        .aggs = { LEAT_COUNT("rows"), LEAT_SUM("big", "big_sum"), LEAT_COUNT("small_values"),
            LEAT_COUNT("big_values"), LEAT_COUNT("single_values"), LEAT_COUNT("real_values"),
            LEAT_COUNT("text_values"), LEAT_COUNT("stamp_values") },
        .out = &measure_stats_type,
        .on_overflow = c->on_overflow,
    };
    leat_topology *t = measure_job(&opts, "name, part", NULL, 0, 1, NULL);
    leat_test *test = new_test(t, shape);
    for (size_t i = 0; i < count; i++) {
        rows[i].has_part = true;
        rows[i].part = LEAT_SV("lovelace");
        leat_test_pipe(test, "measures", &rows[i]);
    }
    leat_test_end(test, NULL);
    const struct leat_error *error = leat_test_error(test);
    if (c->sum) {
        FAIL_UNLESS(error->code == 0, "%s: %s", c->name, error->message);
        const struct measure_stats *stats = leat_test_read(test, "out");
        assert_non_null(stats);
        char line[LINE_BYTES];
        snprintf(line, sizeof line, "%s", stats->has_big_sum ? "" : "null ");
        snprintf(line, sizeof line, "sum=%" PRIi64, stats->big_sum);
        FAIL_UNLESS(stats->has_big_sum && strcmp(line, c->sum) == 0, "%s%s: expected %s, got %s", c->name,
            backwards ? ", backwards" : "", c->sum, line);
    } else {
        FAIL_UNLESS(
            error->code == LEAT_EOVERFLOW, "%s: code %d, \"%s\"", c->name, error->code, error->message);
        const char *const parts[] = { "stats", "ada", "lovelace", "big" };
        for (size_t i = 0; i < COUNT_OF(parts); i++)
            FAIL_UNLESS(strstr(error->message, parts[i]) != NULL, "%s: no \"%s\" in: %s", c->name, parts[i],
                error->message);
        assert_null(leat_test_read(test, "out"));
    }
    leat_test_free(test);
    leat_topology_free(t);
}

static void test_sum__given_more_than_64_bits__then_the_policy_of_overflow_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(overflow_cases); i++)
        for (size_t s = 0; s < SCENARIO_SHAPES; s++)
            for (int backwards = 0; backwards < 2; backwards++)
                check_overflow(&overflow_cases[i], &scenario_shapes[s], backwards);
}

static void test_avg__given_a_sum_beyond_64_bits__then_it_is_exact_and_no_overflow(void **state)
{
    (void)state;
    const struct leat_aggregate_opts opts = {
        .aggs = { LEAT_AVG("big", "big_avg"), LEAT_COUNT("rows"), LEAT_COUNT("small_values"),
            LEAT_COUNT("big_values"), LEAT_COUNT("single_values"), LEAT_COUNT("real_values"),
            LEAT_COUNT("text_values"), LEAT_COUNT("stamp_values") },
        .out = &measure_stats_type,
    };
    static const struct {
        const char *values[VALUES_MAX];
        double avg;
    } rows[] = {
        { { "max", "max", "max" }, 9223372036854775807.0 },
        { { "min", "min" }, -9223372036854775808.0 },
        { { "max", "max", "-9223372036854775807", "-9223372036854775807", "10" }, 2.0 },
        { { "min", "min", "max", "max", "7" }, 1.0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
            leat_topology *t = measure_job(&opts, "name", NULL, 0, 1, NULL);
            leat_test *test = new_test(t, &scenario_shapes[s]);
            for (size_t v = 0; v < VALUES_MAX && rows[i].values[v]; v++) {
                const struct measure m = make_measure(BIG, rows[i].values[v]);
                leat_test_pipe(test, "measures", &m);
            }
            leat_test_end(test, NULL);
            FAIL_UNLESS(leat_test_error(test)->code == 0, "row %zu: %s", i, leat_test_error(test)->message);
            const struct measure_stats *stats = leat_test_read(test, "out");
            assert_non_null(stats);
            FAIL_UNLESS(
                stats->has_big_avg && stats->big_avg == rows[i].avg, "row %zu: avg %.17g", i, stats->big_avg);
            leat_test_free(test);
            leat_topology_free(t);
        }
}

/* Keys. */

/* Parts of keys that run together, or into each other's marks, when they are encoded carelessly. */
struct part {
    bool has;
    struct leat_sv text;
};
#define PART(literal_) \
    { \
        true, \
        { \
            literal_, sizeof(literal_) - 1 \
        } \
    }

static const struct part parts[] = {
    { false, { NULL, 0 } },
    PART(""),
    PART("a"),
    PART("ab"),
    PART("b"),
    PART("abc"),
    PART("bc"),
    PART("c"),
    PART("\0"),
    PART("\0\0"),
    PART("a\0"),
    PART("\0a"),
    PART("a\0b"),
    PART("\1"),
    PART("\0\1"),
    PART("\1\0"),
    PART("\2"),
    PART("\0\2"),
    PART("\x7f"),
    PART("\xc3\xbf"),
    PART("\0\xc3\xbf"),
    PART("null"),
    PART(","),
    PART("a,"),
    PART(", a"),
    PART("1"),
    PART("3:abc"),
    PART("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
};
enum { PARTS = COUNT_OF(parts) };

/* The record of a key of two parts; big says which. */
static struct measure measure_of_parts(size_t a, size_t b)
{
    return (struct measure){
        .has_name = parts[a].has,
        .name = parts[a].text,
        .has_part = parts[b].has,
        .part = parts[b].text,
        .has_big = true,
        .big = (int64_t)(a * PARTS + b),
    };
}

static bool is_part(const struct part *part, bool has, struct leat_sv text)
{
    return part->has == has && (!has || leat_sv_eq(part->text, text));
}

static void check_composite_keys(const struct leat_aggregate_opts *opts, const struct scenario_shape *shape)
{
    leat_topology *t = measure_job(opts, "name, part", NULL, 0, 1, NULL);
    leat_test *test = new_test(t, shape);
    bool seen[PARTS * PARTS] = { false };
    for (size_t i = 0; i < 2 * PARTS * PARTS; i++) { /* each twice */
        const struct measure m = measure_of_parts(i / PARTS % PARTS, i % PARTS);
        leat_test_pipe(test, "measures", &m);
    }
    leat_test_end(test, NULL);
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s", leat_test_error(test)->message);
    const struct measure_stats *stats;
    while ((stats = leat_test_read(test, "out"))) {
        const size_t key = (size_t)(stats->big_sum / 2);
        FAIL_UNLESS(stats->rows == 2 && stats->big_sum % 2 == 0 && key < PARTS * PARTS && !seen[key],
            "%" PRIi64 " rows that add up to %" PRIi64, stats->rows, stats->big_sum);
        seen[key] = true;
        FAIL_UNLESS(is_part(&parts[key / PARTS], stats->has_name, stats->name) &&
                is_part(&parts[key % PARTS], stats->has_part, stats->part),
            "the key of parts %zu and %zu came out as another", key / PARTS, key % PARTS);
    }
    for (size_t i = 0; i < PARTS * PARTS; i++)
        FAIL_UNLESS(seen[i], "no result of the key of parts %zu and %zu", i / PARTS, i % PARTS);
    leat_test_free(test);
    leat_topology_free(t);
}

static void test_composite_keys__given_parts_that_would_run_together__then_each_pair_is_a_key_of_its_own(
    void **state)
{
    (void)state;
    const struct leat_aggregate_opts opts = {
        .aggs = { LEAT_COUNT("rows"), LEAT_COUNT_OF("big", "big_values"), LEAT_SUM("big", "big_sum"),
            LEAT_COUNT("small_values"), LEAT_COUNT("single_values"), LEAT_COUNT("real_values"),
            LEAT_COUNT("text_values"), LEAT_COUNT("stamp_values") },
        .out = &measure_stats_type,
    };
    for (size_t s = 0; s < SCENARIO_SHAPES; s++)
        check_composite_keys(&opts, &scenario_shapes[s]);
}

/* Three values of a kind beside null: rows[1] is zero or empty, what a careless encoding takes for null. */
struct key_kind {
    const char *field;
    struct key_kinds rows[4];
};

static const struct key_kind key_kind_cases[] = {
    { "flag",
        { { .has_flag = false }, { .has_flag = true }, { .has_flag = true, .flag = true },
            { .flag = true } } },
    { "small", { { 0 }, { .has_small = true }, { .has_small = true, .small = -1 }, { .small = 5 } } },
    { "big", { { 0 }, { .has_big = true }, { .has_big = true, .big = INT64_MIN }, { .big = 5 } } },
    { "single", { { 0 }, { .has_single = true }, { .has_single = true, .single = -1.5F }, { .single = 5 } } },
    { "real", { { 0 }, { .has_real = true }, { .has_real = true, .real = -1.5 }, { .real = 5 } } },
    { "raw", { { 0 }, { .has_raw = true }, { .has_raw = true, .raw = { "\0", 1 } }, { .raw = { "x", 1 } } } },
    { "text",
        { { 0 }, { .has_text = true }, { .has_text = true, .text = { "\0", 1 } }, { .text = { "x", 1 } } } },
    { "suit", { { 0 }, { .has_suit = true }, { .has_suit = true, .suit = 1 }, { .suit = 1 } } },
    { "code", { { 0 }, { .has_code = true }, { .has_code = true, .code = { 0, 0, 1 } }, { .code = { 9 } } } },
    { "day", { { 0 }, { .has_day = true }, { .has_day = true, .day = -1 }, { .day = 5 } } },
    { "stamp", { { 0 }, { .has_stamp = true }, { .has_stamp = true, .stamp = -1 }, { .stamp = 5 } } },
};

static leat_topology *kinds_job(const char *field)
{
    leat_topology *t = leat_topology_new("kinds");
    leat_stream *in = leat_memory_source(t, "kinds",
        &(struct leat_memory_source_opts){ .type = &key_kinds_type, .rows = "", .event_time = "at" });
    leat_stream *counts =
        leat_aggregate(leat_window(leat_group_by(in, "by-key", field), "windows",
                           &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 }),
            "counts",
            &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("rows") }, .out = &key_kinds_count_type });
    leat_memory_sink(counts, "out", &(struct leat_memory_sink_opts){ 0 });
    return t;
}

/* Rows 0 and 3 are null, whatever lies in the field; so of the groups that of null has twice as many rows. */
static void check_kind(const struct key_kind *kind, const struct scenario_shape *shape)
{
    leat_topology *t = kinds_job(kind->field);
    leat_test *test = new_test(t, shape);
    for (int i = 0; i < 12; i++)
        leat_test_pipe(test, "kinds", &kind->rows[i % 4]);
    leat_test_end(test, NULL);
    FAIL_UNLESS(leat_test_error(test)->code == 0, "%s: %s", kind->field, leat_test_error(test)->message);
    struct leat_place place;
    struct leat_error error;
    assert_int_equal(leat_record_find(&key_kinds_count_type, kind->field, &place, &error), 0);
    FAIL_UNLESS(
        leat_test_waiting(test, "out") == 3, "%s: %zu groups", kind->field, leat_test_waiting(test, "out"));
    const struct key_kinds_count *count;
    int nulls = 0;
    while ((count = leat_test_read(test, "out"))) {
        const bool is_null = leat_record_is_null(count, &place);
        nulls += is_null;
        FAIL_UNLESS(count->rows == (is_null ? 6 : 3), "%s: a group of %" PRIi64, kind->field, count->rows);
    }
    FAIL_UNLESS(nulls == 1, "%s: %d groups of null", kind->field, nulls);
    leat_test_free(test);
    leat_topology_free(t);
}

static void test_nullable_keys__given_any_kind__then_null_is_a_key_beside_zero_and_empty(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(key_kind_cases); i++)
        for (size_t s = 0; s < SCENARIO_SHAPES; s++)
            check_kind(&key_kind_cases[i], &scenario_shapes[s]);
}

static void test_double_keys__given_zeros_and_nans__then_equal_ones_are_one_key(void **state)
{
    (void)state;
    static const double values[] = { 0.0, -0.0, NAN, -NAN, NAN, 1 };
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        leat_topology *t = kinds_job("real");
        leat_test *test = new_test(t, &scenario_shapes[s]);
        for (size_t i = 0; i < COUNT_OF(values); i++)
            leat_test_pipe(test, "kinds", &(struct key_kinds){ .has_real = true, .real = values[i] });
        leat_test_end(test, NULL);
        FAIL_UNLESS(leat_test_error(test)->code == 0, "%s", leat_test_error(test)->message);
        const struct key_kinds_count *count;
        struct lines expected = { 0 }, got = { 0 };
        lines_add(&expected, "0: 2 rows");
        lines_add(&expected, "nan: 3 rows");
        lines_add(&expected, "1: 1 rows");
        while ((count = leat_test_read(test, "out"))) {
            if (isnan(count->real))
                lines_add(&got, "nan: %" PRIi64 " rows", count->rows);
            else
                lines_add(&got, "%g: %" PRIi64 " rows", count->real == 0 ? 0.0 : count->real, count->rows);
        }
        lines_expect("keys of doubles", &expected, &got);
        lines_clear(&expected);
        lines_clear(&got);
        leat_test_free(test);
        leat_topology_free(t);
    }
}

/* Order. */

/* Whether a may come before b, both of one key: panes on time in event order, panes of one window by number.
 * An early pane comes when its rows do. */
static bool may_precede(const struct fact_total *a, const struct fact_total *b)
{
    if (a->window_start == b->window_start)
        return a->pane_index < b->pane_index;
    return a->window_start < b->window_start || a->pane != LEAT_PANE_ON_TIME || b->pane != LEAT_PANE_ON_TIME;
}

static void expect_event_order(const char *what, const struct fact_total *const *totals, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (totals[i]->key == totals[j]->key)
                FAIL_UNLESS(may_precede(totals[i], totals[j]),
                    "%s: key %" PRIi64 ": window %" PRIi64 " pane %d before window %" PRIi64 " pane %d", what,
                    totals[i]->key, totals[i]->window_start, totals[i]->pane_index, totals[j]->window_start,
                    totals[j]->pane_index);
}

enum { ORDER_ROWS = 600, ORDER_KEYS = 11 };

static struct fact *order_rows(void)
{
    struct fact *rows = calloc(ORDER_ROWS, sizeof *rows);
    assert_non_null(rows);
    for (uint32_t i = 0; i < ORDER_ROWS; i++)
        rows[i] = (struct fact){
            .has_key = true,
            .key = (int64_t)(i % ORDER_KEYS) - 5,
            .has_value = true,
            .value = i,
            .has_at = true,
            .at = (int64_t)leat_random_below(5, i, 0, 2000),
        };
    return rows;
}

static void check_order(const struct scenario_shape *shape, bool simulate)
{
    static const struct fact_window_opts opts = {
        .out_of_orderness_us = 2000,
        .window = { .size_us = 100, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(2) } },
    };
    struct fact *rows = order_rows();
    struct scenario_io io = { .rows = { rows }, .counts = { ORDER_ROWS } };
    io.sinks[0] = leat_collector_new();
    io.sinks[1] = leat_collector_new();
    leat_topology *t = fact_window_job(&opts, &io);
    struct leat_error error = { 0 };
    const int code = leat_run(t,
        &(struct leat_job_opts){ .parallelism = shape->parallelism,
            .batch_rows = shape->batch_rows,
            .simulate = simulate,
            .seed = shape->batch_rows },
        &error);
    FAIL_UNLESS(code == 0, "%s", error.message);
    const size_t count = leat_collector_count(io.sinks[0]);
    assert_true(count > 20u * ORDER_KEYS);
    const struct fact_total **totals = calloc(count, sizeof *totals);
    assert_non_null(totals);
    for (size_t i = 0; i < count; i++)
        totals[i] = leat_collector_record(io.sinks[0], i);
    expect_event_order(simulate ? "simulated" : "threads", totals, count);
    free(totals);
    leat_topology_free(t);
    leat_collector_free(io.sinks[0]);
    leat_collector_free(io.sinks[1]);
    free(rows);
}

static void test_order__given_many_windows_at_once__then_rows_of_a_key_leave_in_event_order(void **state)
{
    (void)state;
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        check_order(&scenario_shapes[s], true);
        check_order(&scenario_shapes[s], false);
    }
}

static void test_ordered__given_a_firing__then_its_rows_are_in_key_order(void **state)
{
    (void)state;
    static const int64_t keys[] = { 5, -3, 0, INT64_MAX, 17, INT64_MIN, 255, 256, -256, -1, 1 };
    for (size_t s = 0; s < SCENARIO_SHAPES; s++) {
        if (scenario_shapes[s].parallelism > 1)
            continue; /* between subtasks order is free */
        leat_topology *t = leat_topology_new("ordered");
        const struct scenario_io io = { .rows = { (const struct fact *)"" } };
        leat_stream *facts = fact_source(t, "facts", &(struct fact_window_opts){ 0 }, &io, 0);
        leat_stream *totals =
            leat_aggregate(leat_window(leat_group_by(facts, "by-key", "key"), "windows",
                               &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 }),
                "totals",
                &(struct leat_aggregate_opts){
                    .aggs = { LEAT_COUNT("rows") }, .out = &fact_total_type, .ordered = true });
        leat_memory_sink(totals, "out", &(struct leat_memory_sink_opts){ 0 });
        leat_test *test = new_test(t, &scenario_shapes[s]);
        for (int64_t window = 0; window < 3; window++)
            for (size_t i = 0; i < COUNT_OF(keys); i++)
                leat_test_pipe(test, "facts",
                    &(struct fact){ .has_key = true, .key = keys[i], .has_at = true, .at = window * 100 });
        leat_test_end(test, NULL);
        FAIL_UNLESS(leat_test_error(test)->code == 0, "%s", leat_test_error(test)->message);
        assert_int_equal(leat_test_waiting(test, "out"), 3 * COUNT_OF(keys));
        const struct fact_total *before = leat_test_read(test, "out"), *total;
        while ((total = leat_test_read(test, "out"))) {
            FAIL_UNLESS(before->window_start < total->window_start || before->key < total->key,
                "key %" PRIi64 " before %" PRIi64, before->key, total->key);
            before = total;
        }
        leat_test_free(test);
        leat_topology_free(t);
    }
}

/* A user's aggregate. */

struct spread {
    int64_t least, greatest, values;
};

static void spread__add(struct leat_ctx *ctx, const struct fact *fact, struct spread *spread)
{
    (void)ctx;
    if (!fact->has_value)
        return;
    spread->least = spread->values == 0 || fact->value < spread->least ? fact->value : spread->least;
    spread->greatest = spread->values == 0 || fact->value > spread->greatest ? fact->value : spread->greatest;
    spread->values++;
}

static void spread__merge(struct leat_ctx *ctx, struct spread *into, const struct spread *from)
{
    (void)ctx;
    if (from->values == 0)
        return;
    into->least = into->values == 0 || from->least < into->least ? from->least : into->least;
    into->greatest = into->values == 0 || from->greatest > into->greatest ? from->greatest : into->greatest;
    into->values += from->values;
}

static void spread__result(struct leat_ctx *ctx, const struct spread *spread, struct fact_total *out)
{
    (void)ctx;
    out->has_sum = spread->values > 0;
    out->sum = spread->greatest - spread->least;
}
LEAT_DEFINE_AGGREGATE(spread, fact, spread, fact_total);

static leat_topology *spread_job(const void *opts, const struct scenario_io *io)
{
    const struct fact_window_opts *windows_opts = opts;
    static struct leat_aggregate_fn unmergeable;
    unmergeable = spread_aggregate;
    unmergeable.merge = NULL;
    leat_topology *t = leat_topology_new("spreads");
    leat_stream *facts = fact_source(t, "facts", windows_opts, io, 0);
    struct leat_aggregate_opts aggregate = {
        .aggs = { LEAT_COUNT("rows"), LEAT_USER(&spread_aggregate) },
        .out = &fact_total_type,
    };
    if (windows_opts->late_not_taken) /* stands for: without merge */
        aggregate.aggs[1].fn = &unmergeable;
    leat_windowed_stream *windows =
        leat_window(leat_group_by(facts, "by-key", "key"), "windows", &windows_opts->window);
    leat_memory_sink(leat_aggregate(windows, "totals", &aggregate), "out",
        &(struct leat_memory_sink_opts){ .into = io->sinks[0] });
    return t;
}

static const struct scenario_rig spread_rig = {
    .declare = spread_job,
    .sources = { "facts" },
    .sinks = { { "out", scenario_print_total, NULL } },
    .watched = "totals",
};

static void test_user_aggregate__given_windows_and_panes__then_it_goes_the_way_of_the_built_in_ones(
    void **state)
{
    (void)state;
#define SPREAD_WINDOW(accumulation_) \
    { \
        .kind = LEAT_WINDOW_TUMBLING, .size_us = 100, .allowed_lateness_us = 50, \
        .accumulation = (accumulation_), .triggers = { \
            LEAT_ON_WATERMARK, \
            LEAT_ON_COUNT(2) \
        } \
    }
    static const struct fact_window_opts accumulating = { .window = SPREAD_WINDOW(LEAT_ACCUMULATING) };
    static const struct fact_window_opts discarding = { .window = SPREAD_WINDOW(LEAT_DISCARDING) };
    static const struct fact_window_opts unmergeable = { .late_not_taken = true,
        .window = SPREAD_WINDOW(LEAT_ACCUMULATING) };
    const char *accumulated =
        "7:5@10; 8:-@10; 7:-2@11 > 7[0..100)2=7 E0; 7:6@12; wm=99 > 7[0..100)3=8 O1, 8[0..100)1=- O0; end";
    const struct scenario scenarios[] = {
        { "accumulating", &accumulating, accumulated },
        { "without merge", &unmergeable, accumulated },
        { "discarding", &discarding,
            "7:5@10; 7:-2@11 > 7[0..100)2=7 E0; 7:6@12; wm=99 > 7[0..100)1=0 O1; end" },
    };
    scenario_run(&spread_rig, scenarios, COUNT_OF(scenarios));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aggregates__given_values__then_each_says_what_it_should_in_any_order),
        cmocka_unit_test(test_sum__given_more_than_64_bits__then_the_policy_of_overflow_decides),
        cmocka_unit_test(test_avg__given_a_sum_beyond_64_bits__then_it_is_exact_and_no_overflow),
        cmocka_unit_test(
            test_composite_keys__given_parts_that_would_run_together__then_each_pair_is_a_key_of_its_own),
        cmocka_unit_test(test_nullable_keys__given_any_kind__then_null_is_a_key_beside_zero_and_empty),
        cmocka_unit_test(test_double_keys__given_zeros_and_nans__then_equal_ones_are_one_key),
        cmocka_unit_test(test_order__given_many_windows_at_once__then_rows_of_a_key_leave_in_event_order),
        cmocka_unit_test(test_ordered__given_a_firing__then_its_rows_are_in_key_order),
        cmocka_unit_test(
            test_user_aggregate__given_windows_and_panes__then_it_goes_the_way_of_the_built_in_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
