/* tests/unit/record/test_time_text.c -- RFC 3339 timestamps, against known texts and against the C library.
 */
#include "record/time_text.h"
#include "tests/support/unit.h"
#include <leat/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void test_time_text__given_known_texts__when_parsed__then_microseconds_are_right(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.000001Z", 1 },
        { "1969-12-31T23:59:59.999999Z", -1 },
        { "2024-02-29T12:34:56.789Z", 1709210096789000 },
        { "2024-02-29t12:34:56.789z", 1709210096789000 },
        { "2024-02-29 12:34:56.789Z", 1709210096789000 },
        { "2024-02-29T14:34:56.789+02:00", 1709210096789000 },
        { "2024-02-29T07:04:56.789-05:30", 1709210096789000 },
        { "2024-02-29T12:34:56.789-00:00", 1709210096789000 },
        { "2024-02-29T12:34:56.7890009999999999Z", 1709210096789000 },
        { "1969-12-31T23:59:59.9999999Z", -1 },
        { "2016-12-31T23:59:60Z", 1483228800000000 },
        { "2000-03-01T00:00:00Z", 951868800000000 },
        { "1900-03-01T00:00:00Z", -2203891200000000 },
        { "0000-01-01T00:00:00Z", -62167219200000000 },
        { "9999-12-31T23:59:59.999999Z", 253402300799999999 },
        { "+010000-01-01T00:00:00Z", 253402300800000000 },
        { "-000001-12-31T23:59:59Z", -62167219201000000 },
        { "+294247-01-10T04:00:54.775807Z", INT64_MAX },
        { "-290308-12-21T19:59:05.224192Z", INT64_MIN },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t us = 42;
        const int code = leat__time_parse(rows[i].text, strlen(rows[i].text), &us);
        FAIL_UNLESS(code == 0 && us == rows[i].us, "%s: code %d, %lld, not %lld", rows[i].text, code,
            (long long)us, (long long)rows[i].us);
    }
}

static void test_time_text__given_other_texts__when_parsed__then_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        { "", LEAT_EINVAL },
        { "2024", LEAT_EINVAL },
        { "2024-02-29", LEAT_EINVAL },
        { "2024-02-29T12:34:56", LEAT_EINVAL },
        { "2024-02-29T12:34Z", LEAT_EINVAL },
        { "2023-02-29T12:34:56Z", LEAT_EINVAL },
        { "1900-02-29T12:34:56Z", LEAT_EINVAL },
        { "2024-00-10T12:34:56Z", LEAT_EINVAL },
        { "2024-13-10T12:34:56Z", LEAT_EINVAL },
        { "2024-04-31T12:34:56Z", LEAT_EINVAL },
        { "2024-04-00T12:34:56Z", LEAT_EINVAL },
        { "2024-04-30T24:00:00Z", LEAT_EINVAL },
        { "2024-04-30T12:60:00Z", LEAT_EINVAL },
        { "2024-04-30T12:00:61Z", LEAT_EINVAL },
        { "2024-04-30T12:00:00.Z", LEAT_EINVAL },
        { "2024-04-30T12:00:00,5Z", LEAT_EINVAL },
        { "2024-04-30T12:00:00+24:00", LEAT_EINVAL },
        { "2024-04-30T12:00:00+01:60", LEAT_EINVAL },
        { "2024-04-30T12:00:00+0100", LEAT_EINVAL },
        { "2024-04-30T12:00:00Z ", LEAT_EINVAL },
        { " 2024-04-30T12:00:00Z", LEAT_EINVAL },
        { "2024-4-30T12:00:00Z", LEAT_EINVAL },
        { "+2024-04-30T12:00:00Z", LEAT_EINVAL },
        { "+9999999999-04-30T12:00:00Z", LEAT_EINVAL },
        { "+294247-01-10T04:00:54.775808Z", LEAT_EOVERFLOW },
        { "-290308-12-21T19:59:05.224191Z", LEAT_EOVERFLOW },
        { "+999999999-12-31T23:59:59Z", LEAT_EOVERFLOW },
        { "-999999999-01-01T00:00:00Z", LEAT_EOVERFLOW },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t us = 42;
        const int code = leat__time_parse(rows[i].text, strlen(rows[i].text), &us);
        FAIL_UNLESS(code == rows[i].code, "\"%s\": code %d, not %d", rows[i].text, code, rows[i].code);
    }
}

static void test_time_text__given_every_cut_of_a_text__when_parsed__then_only_the_whole_is_taken(void **state)
{
    static const char text[] = "2024-02-29T12:34:56.789+02:00";
    (void)state;
    for (size_t len = 0; len < sizeof text; len++) {
        char *copy = malloc(len ? len : 1); /* so that a memory checker sees a step too far */
        assert_non_null(copy);
        memcpy(copy, text, len);
        int64_t us;
        FAIL_UNLESS((leat__time_parse(copy, len, &us) == 0) == (len == sizeof text - 1), "length %zu", len);
        free(copy);
    }
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void test_time_text__given_random_values__when_printed_and_parsed__then_same_value(void **state)
{
    static const enum leat_logical logicals[] = { LEAT_LOGICAL_TIMESTAMP_MILLIS,
        LEAT_LOGICAL_TIMESTAMP_MICROS, LEAT_LOGICAL_TIMESTAMP_NANOS, LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS,
        LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS, LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS };
    uint64_t seed = 88172645463325252u;
    char text[LEAT_TIME_TEXT_MAX];
    (void)state;
    for (int i = 0; i < 60000; i++) {
        const enum leat_logical logical = logicals[i % 6];
        int64_t value = (int64_t)next_random(&seed) >> (next_random(&seed) % 64);
        if (i < 12)
            value = i < 6 ? INT64_MIN : INT64_MAX;
        int64_t back = 0;
        const size_t len = leat__time_print_as(logical, value, text);
        assert_int_equal(len, strlen(text));
        assert_true(len < LEAT_TIME_TEXT_MAX);
        const int code = leat__time_parse_as(logical, text, len, &back);
        FAIL_UNLESS(code == 0 && back == value, "%lld as %d: %s, code %d, back %lld", (long long)value,
            (int)logical, text, code, (long long)back);
    }
}

static void test_time_text__given_random_seconds__when_printed__then_as_the_c_library_does(void **state)
{
    uint64_t seed = 2463534242u;
    char text[LEAT_TIME_TEXT_MAX], expected[LEAT_TIME_TEXT_MAX];
    (void)state;
    for (int i = 0; i < 40000; i++) {
        const time_t seconds = (time_t)(next_random(&seed) % 315569520000u) - 62167219200;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        (void)snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        (void)leat__time_print((int64_t)seconds * 1000000, text);
        assert_string_equal(text, expected);
    }
}

static void test_time_text__given_fractions__when_printed__then_in_groups_of_three_digits(void **state)
{
    static const struct {
        enum leat_logical logical;
        int64_t value;
        const char *text;
    } rows[] = {
        { LEAT_LOGICAL_TIMESTAMP_MILLIS, 0, "1970-01-01T00:00:00Z" },
        { LEAT_LOGICAL_TIMESTAMP_MILLIS, 1, "1970-01-01T00:00:00.001Z" },
        { LEAT_LOGICAL_TIMESTAMP_MICROS, 500000, "1970-01-01T00:00:00.500Z" },
        { LEAT_LOGICAL_TIMESTAMP_MICROS, 500010, "1970-01-01T00:00:00.500010Z" },
        { LEAT_LOGICAL_TIMESTAMP_NANOS, 1, "1970-01-01T00:00:00.000000001Z" },
        { LEAT_LOGICAL_TIMESTAMP_NANOS, 1000, "1970-01-01T00:00:00.000001Z" },
        { LEAT_LOGICAL_TIMESTAMP_NANOS, -1, "1969-12-31T23:59:59.999999999Z" },
        { LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS, 1, "1970-01-01T00:00:00.001" },
        { LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS, 86400000000000, "1970-01-02T00:00:00" },
    };
    char text[LEAT_TIME_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        (void)leat__time_print_as(rows[i].logical, rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_time_text__given_local_timestamps__when_text_has_an_offset__then_refused(void **state)
{
    int64_t value;
    (void)state;
    assert_int_equal(
        leat__time_parse_as(LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS, "2024-01-01T00:00:00", 19, &value), 0);
    assert_int_equal(value, 1704067200000);
    assert_int_equal(
        leat__time_parse_as(LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS, "2024-01-01T00:00:00Z", 20, &value),
        LEAT_EINVAL);
    assert_true(leat__time_is_timestamp(LEAT_LOGICAL_TIMESTAMP_MILLIS));
    assert_true(leat__time_is_timestamp(LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS));
    assert_false(leat__time_is_timestamp(LEAT_LOGICAL_DURATION));
    assert_false(leat__time_is_timestamp(LEAT_LOGICAL_TIME_MICROS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_text__given_known_texts__when_parsed__then_microseconds_are_right),
        cmocka_unit_test(test_time_text__given_other_texts__when_parsed__then_refused),
        cmocka_unit_test(
            test_time_text__given_every_cut_of_a_text__when_parsed__then_only_the_whole_is_taken),
        cmocka_unit_test(test_time_text__given_random_values__when_printed_and_parsed__then_same_value),
        cmocka_unit_test(test_time_text__given_random_seconds__when_printed__then_as_the_c_library_does),
        cmocka_unit_test(test_time_text__given_fractions__when_printed__then_in_groups_of_three_digits),
        cmocka_unit_test(test_time_text__given_local_timestamps__when_text_has_an_offset__then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
