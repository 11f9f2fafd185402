/* tests/unit/base/test_near.c -- "did you mean": which candidate is near, and when none is. */
#include "base/near.h"
#include "tests/support/unit.h"
#include <string.h>

static void test_near__given_a_misspelt_word__when_looked_up__then_the_nearest_or_none(void **state)
{
    static const char *const fields[] = { "customer_id", "amount_cents", "amount_cent_total", "Status", "ts",
        "qty" };
    static const struct {
        const char *why, *word;
        int index;
    } cases[] = {
        { "exact", "amount_cents", 1 },
        { "one letter missing", "amount_cent", 1 },
        { "one letter too many", "amount_centss", 1 },
        { "one letter wrong", "customer_jd", 0 },
        { "two letters swapped", "cutsomer_id", 0 },
        { "case only", "STATUS", 3 },
        { "case of a short word", "QTY", 5 },
        { "case and a letter", "statuss", 3 },
        { "short word, one edit", "tz", 4 },
        { "short word, two edits", "zz", -1 },
        { "three letters, one edit", "qyy", 5 },
        { "three letters, two edits", "qzz", -1 },
        { "nothing alike", "warehouse", -1 },
        { "empty", "", -1 },
        { "a third may differ", "custXXXr_id", 0 },
        { "more than a third", "cuXXXXXr_id", -1 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const int index = leat__near(cases[i].word, fields, COUNT_OF(fields));
        FAIL_UNLESS(index == cases[i].index, "%s: \"%s\" gives %d", cases[i].why, cases[i].word, index);
    }
}

static void test_near__given_equally_near_candidates__when_looked_up__then_the_first(void **state)
{
    static const char *const words[] = { "far-away", "order-a", "order-b" };
    (void)state;
    assert_int_equal(leat__near("order-c", words, COUNT_OF(words)), 1);
}

static void test_near__given_a_case_match_and_an_edit__when_looked_up__then_the_case_match(void **state)
{
    static const char *const words[] = { "totalz", "TotaL" };
    (void)state;
    assert_int_equal(leat__near("total", words, 2), 1);
    assert_int_equal(leat__near("totalz", words, 2), 0);
}

static void test_near__given_no_candidates_or_odd_ones__when_looked_up__then_none(void **state)
{
    char longest[65], longer[66];
    (void)state;
    memset(longest, 'a', 64);
    longest[64] = '\0';
    memset(longer, 'a', 65);
    longer[65] = '\0';
    const char *const words[] = { "", longer, longest };
    assert_int_equal(leat__near("word", NULL, 0), -1);
    assert_int_equal(leat__near("x", words, 1), -1);
    assert_int_equal(leat__near(longer, words, 3), -1); /* beyond what is compared */
    assert_int_equal(leat__near(longest, words, 3), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near__given_a_misspelt_word__when_looked_up__then_the_nearest_or_none),
        cmocka_unit_test(test_near__given_equally_near_candidates__when_looked_up__then_the_first),
        cmocka_unit_test(test_near__given_a_case_match_and_an_edit__when_looked_up__then_the_case_match),
        cmocka_unit_test(test_near__given_no_candidates_or_odd_ones__when_looked_up__then_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
