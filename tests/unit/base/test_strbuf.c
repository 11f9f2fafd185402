/* tests/unit/base/test_strbuf.c -- growing, sticky failure, and JSON string literals. */
#include "base/alloc.h"
#include "base/strbuf.h"
#include "tests/support/unit.h"

static void test_strbuf__given_appends_of_every_kind__when_read__then_joined_and_terminated(void **state)
{
    struct leat_strbuf s = { 0 };
    const int64_t live = leat__alloc_live();
    (void)state;
    leat__strbuf_str(&s, "node ");
    leat__strbuf_char(&s, '"');
    leat__strbuf_add(&s, "totals...", 6);
    leat__strbuf_char(&s, '"');
    leat__strbuf_printf(&s, ": %d of %s", 3, "7");
    assert_false(s.failed);
    assert_string_equal(s.data, "node \"totals\": 3 of 7");
    assert_int_equal(s.len, strlen(s.data));
    leat__strbuf_release(&s);
    assert_null(s.data);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_strbuf__given_zero_bytes_in_the_data__when_added__then_kept(void **state)
{
    struct leat_strbuf s = { 0 };
    (void)state;
    leat__strbuf_add(&s, "a\0b", 3);
    leat__strbuf_add(&s, NULL, 0);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.data, "a\0b", 4);
    leat__strbuf_release(&s);
}

static void test_strbuf__given_a_megabyte__when_added_bytewise__then_few_allocations(void **state)
{
    struct leat_strbuf s = { 0 };
    const uint64_t calls = leat__alloc_calls();
    (void)state;
    for (int i = 0; i < 1 << 20; i++)
        leat__strbuf_char(&s, (char)('a' + i % 26));
    assert_int_equal(s.len, 1 << 20);
    assert_int_equal(s.data[27], 'b');
    assert_int_equal(s.data[s.len], '\0');
    assert_true(leat__alloc_calls() - calls < 20);
    leat__strbuf_release(&s);
}

static void test_strbuf__given_a_text_longer_than_the_room__when_printed__then_whole(void **state)
{
    struct leat_strbuf s = { 0 };
    (void)state;
    for (int width = 0; width < 400; width++) {
        const size_t before = s.len;
        leat__strbuf_printf(&s, "%*d", width + 1, 7);
        assert_int_equal(s.len - before, width + 1);
        assert_int_equal(s.data[s.len - 1], '7');
        assert_int_equal(s.data[s.len], '\0');
    }
    leat__strbuf_release(&s);
}

static void test_strbuf__given_reserve__when_nothing_is_added__then_terminated_with_slack(void **state)
{
    struct leat_strbuf s = { 0 };
    (void)state;
    assert_true(leat__strbuf_reserve(&s, 100));
    assert_string_equal(s.data, "");
    assert_true(s.capacity >= 100 + 17);
    memset(s.data, 'x', 100 + 17); /* a sanitizer sees a block that is too short */
    leat__strbuf_release(&s);
}

static void test_strbuf__given_a_text__when_cleared__then_empty_terminated_and_the_memory_kept(void **state)
{
    struct leat_strbuf s = { 0 };
    (void)state;
    leat__strbuf_clear(&s); /* nothing there yet */
    leat__strbuf_str(&s, "old");
    const char *data = s.data;
    leat__strbuf_clear(&s);
    assert_ptr_equal(s.data, data);
    assert_int_equal(s.len, 0);
    assert_string_equal(s.data, "");
    leat__strbuf_str(&s, "new");
    assert_string_equal(s.data, "new");
    leat__strbuf_release(&s);
}

static void test_strbuf__given_no_memory__when_appending__then_failure_sticks_until_cleared(void **state)
{
    struct leat_strbuf s = { 0 };
    (void)state;
    leat__strbuf_str(&s, "kept");
    leat__alloc_fail_at(1);
    assert_false(leat__strbuf_reserve(&s, 10000));
    assert_true(s.failed);
    leat__strbuf_str(&s, "no");
    leat__strbuf_char(&s, 'n');
    leat__strbuf_printf(&s, "%s", "no");
    leat__strbuf_json(&s, "no", 2);
    assert_true(s.failed);
    assert_string_equal(s.data, "kept");
    leat__strbuf_clear(&s);
    leat__strbuf_str(&s, "works");
    assert_false(s.failed);
    assert_string_equal(s.data, "works");
    leat__strbuf_release(&s);
}

static void test_strbuf__given_an_impossible_size__when_reserved__then_failed(void **state)
{
    struct leat_strbuf s = { 0 };
    (void)state;
    assert_false(leat__strbuf_reserve(&s, SIZE_MAX - 4));
    assert_true(s.failed);
    assert_null(s.data);
    leat__strbuf_release(&s);
}

static void test_strbuf__given_texts__when_written_as_json__then_escaped_and_valid(void **state)
{
    static const struct {
        const char *why, *text;
        size_t len;
        const char *json;
    } cases[] = {
        { "empty", "", 0, "\"\"" },
        { "no text at all", NULL, 0, "\"\"" },
        { "plain", "order 42", 8, "\"order 42\"" },
        { "quote and backslash", "a\"b\\c", 5, "\"a\\\"b\\\\c\"" },
        { "named controls", "\n\r\t", 3, "\"\\n\\r\\t\"" },
        { "other controls", "\x01\x1f", 2, "\"\\u0001\\u001f\"" },
        { "zero byte", "a\0b", 3, "\"a\\u0000b\"" },
        { "delete is no control in JSON", "\x7f", 1, "\"\x7f\"" },
        { "two bytes", "caf\xc3\xa9", 5, "\"caf\xc3\xa9\"" },
        { "three bytes", "\xe2\x82\xac", 3, "\"\xe2\x82\xac\"" },
        { "four bytes", "\xf0\x9f\x8c\x8a", 4, "\"\xf0\x9f\x8c\x8a\"" },
        { "the last code point", "\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\"" },
        { "beyond the last", "\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "continuation alone", "a\x80z", 3, "\"a\xef\xbf\xbdz\"" },
        { "cut at the end", "ab\xe2\x82", 4, "\"ab\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "cut by a letter", "\xc3(", 2, "\"\xef\xbf\xbd(\"" },
        { "overlong slash", "\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "overlong three", "\xe0\x80\xaf", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "surrogate", "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "never in UTF-8", "\xfe\xff", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "bad between good", "x\xffy\"z", 5, "\"x\xef\xbf\xbdy\\\"z\"" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leat_strbuf s = { 0 };
        leat__strbuf_json(&s, cases[i].text, cases[i].len);
        FAIL_UNLESS(!s.failed && s.len == strlen(cases[i].json) && strcmp(s.data, cases[i].json) == 0,
            "%s: %s", cases[i].why, s.data);
        leat__strbuf_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strbuf__given_appends_of_every_kind__when_read__then_joined_and_terminated),
        cmocka_unit_test(test_strbuf__given_zero_bytes_in_the_data__when_added__then_kept),
        cmocka_unit_test(test_strbuf__given_a_megabyte__when_added_bytewise__then_few_allocations),
        cmocka_unit_test(test_strbuf__given_a_text_longer_than_the_room__when_printed__then_whole),
        cmocka_unit_test(test_strbuf__given_reserve__when_nothing_is_added__then_terminated_with_slack),
        cmocka_unit_test(test_strbuf__given_a_text__when_cleared__then_empty_terminated_and_the_memory_kept),
        cmocka_unit_test(test_strbuf__given_no_memory__when_appending__then_failure_sticks_until_cleared),
        cmocka_unit_test(test_strbuf__given_an_impossible_size__when_reserved__then_failed),
        cmocka_unit_test(test_strbuf__given_texts__when_written_as_json__then_escaped_and_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
