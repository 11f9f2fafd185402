/* tests/support/unit.h -- what every unit test includes: cmocka with the headers that it needs, and the
 * helpers that make a failure in a table of cases name its row. */
#ifndef LEAT_TESTS_UNIT_H
#define LEAT_TESTS_UNIT_H
/* cmocka.h does not include these four itself. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_OF(array_) (sizeof(array_) / sizeof((array_)[0]))

/* Skips the running test; scripts/run-tests shows the reason. */
#define SKIP_BECAUSE(...) \
    do { \
        print_message(__VA_ARGS__); \
        print_message("\n"); \
        skip(); \
    } while (0)

/* Fails with a text made of printf arguments: FAIL_UNLESS(got == row->want, "row %s: got %d", ...). */
#define FAIL_UNLESS(condition_, ...) \
    do { \
        if (!(condition_)) \
            fail_msg(__VA_ARGS__); \
    } while (0)

/* Of a table of jobs to run, so many rows: a sanitizer makes each of them ten times longer, and is not shown more by the
 * others (LEAT_TEST_SEEDS=1). */
static inline size_t rows_to_run(size_t count, size_t brief)
{
    const char *text = getenv("LEAT_TEST_SEEDS");
    return text && strcmp(text, "1") == 0 && brief < count ? brief : count;
}
#endif
