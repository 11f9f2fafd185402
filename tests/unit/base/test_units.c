/* tests/unit/base/test_units.c -- durations and sizes as people write them, and as they are shown. */
#include "base/units.h"
#include "tests/support/unit.h"
#include <leat/error.h>
#include <string.h>

static void test_units__given_durations__when_read__then_microseconds_or_the_reason(void **state)
{
    static const struct {
        const char *text;
        int code;
        int64_t us;
    } cases[] = {
        { "0", 0, 0 },
        { "0s", 0, 0 },
        { "1us", 0, 1 },
        { "500ms", 0, 500000 },
        { "10s", 0, 10000000 },
        { "1.5s", 0, 1500000 },
        { "0.25ms", 0, 250 },
        { "5m", 0, INT64_C(300000000) },
        { "36h", 0, INT64_C(129600000000) },
        { "2d", 0, INT64_C(172800000000) },
        { "9223372036854775807us", 0, INT64_MAX },
        { "9223372036854775808us", LEAT_EOVERFLOW, 0 },
        { "106751992d", LEAT_EOVERFLOW, 0 },
        { "99999999999999999999s", LEAT_EOVERFLOW, 0 },
        { "10", LEAT_EINVAL, 0 },
        { "", LEAT_EINVAL, 0 },
        { "s", LEAT_EINVAL, 0 },
        { "-1s", LEAT_EINVAL, 0 },
        { "+1s", LEAT_EINVAL, 0 },
        { " 1s", LEAT_EINVAL, 0 },
        { "1 s", LEAT_EINVAL, 0 },
        { "1.s", LEAT_EINVAL, 0 },
        { ".5s", LEAT_EINVAL, 0 },
        { "1.0000000001s", LEAT_EINVAL, 0 },
        { "10sec", LEAT_EINVAL, 0 },
        { "1M", LEAT_EINVAL, 0 },
        { "1e3s", LEAT_EINVAL, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t us = 0;
        const int code = leat__duration_parse(cases[i].text, &us);
        FAIL_UNLESS(code == cases[i].code && (code < 0 || us == cases[i].us), "\"%s\" gives %d, %lld us",
            cases[i].text, code, (long long)us);
    }
}

static void test_units__given_sizes__when_read__then_bytes_or_the_reason(void **state)
{
    static const struct {
        const char *text;
        int code;
        uint64_t bytes;
    } cases[] = {
        { "0", 0, 0 },
        { "4096", 0, 4096 },
        { "1B", 0, 1 },
        { "64KiB", 0, 65536 },
        { "64kib", 0, 65536 },
        { "256MiB", 0, UINT64_C(268435456) },
        { "0.5GiB", 0, UINT64_C(536870912) },
        { "1GB", 0, UINT64_C(1000000000) },
        { "1.5 GB", LEAT_EINVAL, 0 },
        { "2TiB", 0, UINT64_C(2199023255552) },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", LEAT_EOVERFLOW, 0 },
        { "16777216TiB", LEAT_EOVERFLOW, 0 },
        { "1M", LEAT_EINVAL, 0 },
        { "MiB", LEAT_EINVAL, 0 },
        { "-1", LEAT_EINVAL, 0 },
        { "1MiBs", LEAT_EINVAL, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t bytes = 0;
        const int code = leat__size_parse(cases[i].text, &bytes);
        FAIL_UNLESS(code == cases[i].code && (code < 0 || bytes == cases[i].bytes),
            "\"%s\" gives %d, %llu bytes", cases[i].text, code, (unsigned long long)bytes);
    }
}

static void test_units__given_sizes_and_durations__when_shown__then_three_digits_and_a_unit(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = { { 0, "0 B" }, { 999, "999 B" }, { 1000, "1.00 kB" }, { 12345, "12.3 kB" },
        { 999499, "999 kB" }, { 999999, "1.00 MB" }, { UINT64_C(1240000000), "1.24 GB" },
        { UINT64_MAX, "18.4 EB" } };
    static const struct {
        int64_t us;
        const char *text;
    } durations[] = { { 0, "0 us" }, { 999, "999 us" }, { 1500, "1.5 ms" }, { 12345, "12 ms" },
        { 3100000, "3.1 s" }, { 125000000, "2 m 05 s" }, { INT64_C(11520000000), "3 h 12 m" },
        { INT64_C(352800000000), "4 d 2 h" }, { -1500, "-1.5 ms" }, { INT64_MIN, "-106751991 d 4 h" } };
    char text[LEAT_UNITS_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        leat__size_print(sizes[i].bytes, text);
        assert_string_equal(text, sizes[i].text);
    }
    for (size_t i = 0; i < COUNT_OF(durations); i++) {
        leat__duration_print(durations[i].us, text);
        assert_string_equal(text, durations[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units__given_durations__when_read__then_microseconds_or_the_reason),
        cmocka_unit_test(test_units__given_sizes__when_read__then_bytes_or_the_reason),
        cmocka_unit_test(test_units__given_sizes_and_durations__when_shown__then_three_digits_and_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
