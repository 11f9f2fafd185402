/* tests/unit/base/test_error.c -- the table of codes, and filling and prefixing a struct leat_error. */
#include "base/error.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <string.h>

#define ROW(name_, value_, text_, exit_, retriable_) { name_, #name_, text_, exit_, retriable_ },
static const struct {
    int code;
    const char *name;
    const char *text;
    int exit_code;
    bool retriable;
} rows[] = { LEAT_ERROR_TABLE(ROW) };
#undef ROW

static void test_error__given_every_code__when_described__then_as_in_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(rows[i].code < 0);
        assert_string_equal(leat_error_name(rows[i].code), rows[i].name);
        assert_string_equal(leat_error_text(rows[i].code), rows[i].text);
        assert_int_equal(leat_error_exit_code(rows[i].code), rows[i].exit_code);
        assert_int_equal(leat_error_is_retriable(rows[i].code), rows[i].retriable);
        assert_int_not_equal(rows[i].exit_code, 0);
        for (size_t j = 0; j < i; j++)
            FAIL_UNLESS(rows[i].code != rows[j].code, "%s and %s are one number", rows[i].name, rows[j].name);
    }
}

/* Programs store and compare the numbers: they never change. */
static void test_error__given_the_first_and_last_code__when_compared__then_the_numbers_are_frozen(
    void **state)
{
    (void)state;
    assert_int_equal(LEAT_OK, 0);
    assert_int_equal(LEAT_EINVAL, -1);
    assert_int_equal(LEAT_EDATA, -8);
    assert_int_equal(LEAT_ECONNECT, -19);
}

static void test_error__given_other_numbers__when_described__then_success_or_unknown(void **state)
{
    static const int unknown[] = { 1, -999, INT32_MIN, INT32_MAX };
    (void)state;
    assert_string_equal(leat_error_text(0), "success");
    assert_string_equal(leat_error_name(0), "LEAT_OK");
    assert_int_equal(leat_error_exit_code(0), 0);
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_string_equal(leat_error_text(unknown[i]), "unknown error");
        assert_string_equal(leat_error_name(unknown[i]), "LEAT_E?");
        assert_int_equal(leat_error_exit_code(unknown[i]), 1);
        assert_false(leat_error_is_retriable(unknown[i]));
    }
}

static void test_error__given_an_error__when_set_again__then_replaced(void **state)
{
    struct leat_error err = { 0 };
    (void)state;
    assert_int_equal(leat__error(&err, LEAT_EIO, "read %s: %d bytes short", "a.avro", 7), LEAT_EIO);
    assert_int_equal(err.code, LEAT_EIO);
    assert_string_equal(err.message, "read a.avro: 7 bytes short");
    assert_int_equal(leat__error(&err, LEAT_EDATA, "x"), LEAT_EDATA);
    assert_int_equal(err.code, LEAT_EDATA);
    assert_string_equal(err.message, "x");
}

static void test_error__given_a_message__when_an_argument_of_the_next__then_it_is_read_before_it_goes(
    void **state)
{
    struct leat_error err = { 0 };
    (void)state;
    (void)leat__error(&err, LEAT_EIO, "no such broker");
    (void)leat__error(&err, LEAT_ECONNECT, "sink \"totals\": %s (%s)", err.message, err.message);
    assert_string_equal(err.message, "sink \"totals\": no such broker (no such broker)");
    (void)leat__error_prefix(&err, "%.4s", err.message);
    assert_string_equal(err.message, "sink: sink \"totals\": no such broker (no such broker)");
}

static void test_error__given_prefixes__when_added__then_outermost_first(void **state)
{
    struct leat_error err = { 0 };
    (void)state;
    (void)leat__error(&err, LEAT_EDATA, "bad block");
    assert_int_equal(leat__error_prefix(&err, "block %d", 3), LEAT_EDATA);
    assert_int_equal(leat__error_prefix(&err, "file %s", "f"), LEAT_EDATA);
    assert_string_equal(err.message, "file f: block 3: bad block");
}

static void test_error__given_no_carrier__when_set__then_the_code_comes_back(void **state)
{
    (void)state;
    assert_int_equal(leat__error(NULL, LEAT_ELIMIT, "%s", "unseen"), LEAT_ELIMIT);
    assert_int_equal(leat__error_prefix(NULL, "%s", "unseen"), 0);
}

static void test_error__given_long_texts__when_set_and_prefixed__then_cut_and_terminated(void **state)
{
    struct leat_error err = { 0 };
    char text[2 * LEAT_ERROR_MESSAGE_MAX];
    (void)state;
    memset(text, 't', sizeof text);
    text[sizeof text - 1] = '\0';
    (void)leat__error(&err, LEAT_EIO, "%s", text);
    assert_int_equal(strlen(err.message), LEAT_ERROR_MESSAGE_MAX - 1);
    (void)leat__error_prefix(&err, "%s", "short");
    assert_int_equal(strlen(err.message), LEAT_ERROR_MESSAGE_MAX - 1);
    assert_memory_equal(err.message, "short: tt", 9);
    (void)leat__error_prefix(&err, "%s", text); /* leaves room for what it stands before */
    assert_int_equal(strlen(err.message), LEAT_ERROR_MESSAGE_MAX - 1);
    assert_non_null(strstr(err.message, "t: short: tt"));
}

static void test_error__given_errno_values__when_translated__then_the_class(void **state)
{
    static const struct {
        int number, code;
    } cases[] = { { 0, 0 }, { ENOENT, LEAT_ENOTFOUND }, { ENOTDIR, LEAT_ENOTFOUND }, { EEXIST, LEAT_EEXISTS },
        { ENOTEMPTY, LEAT_EEXISTS }, { EACCES, LEAT_EACCESS }, { EPERM, LEAT_EACCESS },
        { EROFS, LEAT_EACCESS }, { ENOSPC, LEAT_ENOSPC }, { EDQUOT, LEAT_ENOSPC }, { ENOMEM, LEAT_ENOMEM },
        { EIO, LEAT_EIO }, { EBADF, LEAT_EIO } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        FAIL_UNLESS(leat__error_from_errno(cases[i].number) == cases[i].code, "errno %d gives %s",
            cases[i].number, leat_error_name(leat__error_from_errno(cases[i].number)));
}

static int try_it(int code, int *after)
{
    LEAT_TRY(code);
    ++*after;
    return 0;
}

static void test_error__given_leat_try__when_the_call_fails__then_only_failures_return(void **state)
{
    int after = 0;
    (void)state;
    assert_int_equal(try_it(LEAT_EIO, &after), LEAT_EIO);
    assert_int_equal(after, 0);
    assert_int_equal(try_it(0, &after), 0);
    assert_int_equal(try_it(5, &after), 0); /* a count is no error */
    assert_int_equal(after, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error__given_every_code__when_described__then_as_in_the_table),
        cmocka_unit_test(
            test_error__given_the_first_and_last_code__when_compared__then_the_numbers_are_frozen),
        cmocka_unit_test(test_error__given_other_numbers__when_described__then_success_or_unknown),
        cmocka_unit_test(test_error__given_an_error__when_set_again__then_replaced),
        cmocka_unit_test(
            test_error__given_a_message__when_an_argument_of_the_next__then_it_is_read_before_it_goes),
        cmocka_unit_test(test_error__given_prefixes__when_added__then_outermost_first),
        cmocka_unit_test(test_error__given_no_carrier__when_set__then_the_code_comes_back),
        cmocka_unit_test(test_error__given_long_texts__when_set_and_prefixed__then_cut_and_terminated),
        cmocka_unit_test(test_error__given_errno_values__when_translated__then_the_class),
        cmocka_unit_test(test_error__given_leat_try__when_the_call_fails__then_only_failures_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
