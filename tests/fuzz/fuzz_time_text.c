/* tests/fuzz/fuzz_time_text.c -- any text as a timestamp, in each unit: what is taken comes back when it is
 * printed; and the first eight bytes as a number come back from their text. */
#include "record/number_text.h"
#include "record/time_text.h"
#include "tests/fuzz/fuzz.h"
#include <math.h>
#include <string.h>

static void check_time(enum leat_logical logical, int64_t value)
{
    char text[LEAT_TIME_TEXT_MAX];
    int64_t back;
    const size_t len = leat__time_print_as(logical, value, text);
    FUZZ_CHECK(leat__time_parse_as(logical, text, len, &back) == 0 && back == value);
}

static void check_numbers(uint64_t bits)
{
    char text[LEAT_DOUBLE_TEXT_MAX];
    double number, back;
    float single, single_back;
    int64_t integer;
    memcpy(&number, &bits, sizeof number);
    memcpy(&single, &bits, sizeof single);
    if (isfinite(number)) {
        FUZZ_CHECK(leat__double_parse(text, leat__double_print(number, text), &back) == 0);
        FUZZ_CHECK(memcmp(&back, &number, sizeof back) == 0);
    }
    if (isfinite(single)) {
        FUZZ_CHECK(leat__float_parse(text, leat__float_print(single, text), &single_back) == 0);
        FUZZ_CHECK(memcmp(&single_back, &single, sizeof single) == 0);
    }
    FUZZ_CHECK(leat__i64_parse(text, leat__i64_print((int64_t)bits, text), &integer) == 0);
    FUZZ_CHECK(integer == (int64_t)bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t bits = 0;
    memcpy(&bits, data, size < 8 ? size : 8);
    check_numbers(bits);
    for (int logical = LEAT_LOGICAL_TIMESTAMP_MILLIS; logical <= LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS;
         logical++) {
        int64_t value;
        check_time((enum leat_logical)logical, (int64_t)bits);
        if (leat__time_parse_as((enum leat_logical)logical, (const char *)data, size, &value) == 0)
            check_time((enum leat_logical)logical, value);
    }
    return 0;
}
