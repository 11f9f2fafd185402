/* tests/unit/record/test_expr_errors.c -- expressions: every error, as a block of
 * tests/golden/expr_errors.txt: the expression behind "> ", then its message. */
#include "record/expr.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "tests/support/expr_case.h"
#include "tests/support/golden.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <stdio.h>

/* What is wrong when declared. */
static const char *const declared[] = {
    /* tokens */
    "",
    "   ",
    "order_id = 1 !",
    "paid && gift",
    "paid & gift",
    "paid | gift",
    "order_id = 1 ; 2",
    "order_id = \xe2\x80\x98x\xe2\x80\x99",
    "caf\xc3\xa9 = 1",
    "'it",
    "\"order_id",
    "\"\" = 1",
    "order_id = 12abc",
    "order_id = 1.x",
    "1e999",
    "18446744073709551616",
    "9223372036854775808",
    "-9223372036854775809",
    "1\x01",
    /* grammar */
    "order_id =",
    "= 1",
    "(order_id = 1",
    "order_id = 1)",
    "order_id order_id",
    "quantity betwen 1 and 2",
    "quantity between 1",
    "quantity between 1 or 2",
    "quantity lik 'x'",
    "quantity in 1",
    "quantity in ()",
    "quantity in (1, )",
    "quantity is 1",
    "quantity is not 1",
    "quantity not 1",
    "note not = 'x'",
    "1 < quantity < 5",
    "quantity is null = true",
    "case when paid then 1",
    "case paid then 1 end",
    "case when paid 1 end",
    "case end",
    "cast(quantity)",
    "cast(quantity as 5)",
    "cast(quantity as long",
    "upper(note",
    "upper(note note)",
    "end = 1",
    "order_id + and",
    "address.",
    "address.(zip)",
    "address.zip(1)",
    "customer like 'x' escape note",
    "timestamp '2026-13-01T00:00:00Z' < created",
    "timestamp 'tomorrow' < created",
    "interval '5' = 1",
    "interval 'five minutes' = 1",
    "interval '5 minuts' = 1",
    "interval '2 months' = 1",
    "interval '99999999999999 days' = 1",
    "quantity > 1\nand quantiti < 5",
    /* fields */
    "totl > 5",
    "TOTAL > 5",
    "something_else > 5",
    "address.zpi = 'x'",
    "total.x = 1",
    "address = 1",
    "tags = 1",
    "labels = 1",
    "either = 1",
    "amount > 5",
    "status = \"PENDING\"",
    /* classes */
    "customer + 1",
    "customer + 'x'",
    "customer * 2",
    "-customer",
    "paid + 1",
    "created + created",
    "created * 2",
    "interval '1 day' - created",
    "total - created",
    "quantity = 'x'",
    "customer = 5",
    "paid = 1",
    "created = '2026-01-31'",
    "created > 5",
    "paid < gift",
    "not quantity",
    "quantity and paid",
    "paid or 'x'",
    "quantity || 'x'",
    "quantity like '1%'",
    "customer like 5",
    "quantity ~ '1'",
    "quantity in (1, 'x')",
    "customer in ('x', 1)",
    "case when quantity then 1 end",
    "case when paid then 1 else 'x' end",
    "case quantity when 'x' then 1 end",
    "if(paid, 1, created)",
    "coalesce(note, 1)",
    "nullif(note, 1)",
    /* enums */
    "status = 'PENDNG'",
    "status != 'pending'",
    "status in ('PAID', 'SENT')",
    "status in (note, 'SENT')",
    "case status when 'SHIPED' then 1 end",
    "nullif(status, 'X')",
    /* casts */
    "cast(quantity as integer)",
    "cast(quantity as lnog)",
    "cast(created as long)",
    "cast(quantity as timestamp)",
    "cast(total as boolean)",
    "cast(amount as string)",
    "cast(paid as double)",
    /* functions */
    "uper(customer)",
    "frobnicate(customer)",
    "upper()",
    "upper(customer, note)",
    "upper(quantity)",
    "substring(customer)",
    "substring(customer, 'x')",
    "substring(customer, 1.5)",
    "abs(customer)",
    "sqrt('x')",
    "round(total, 1.5)",
    "round(1, 2, 3)",
    "mod(customer, 2)",
    "least(1, 'x')",
    "least(paid, gift)",
    "greatest()",
    "coalesce()",
    "nullif(1)",
    "if(paid, 1)",
    "if(quantity, 1, 2)",
    "year(quantity)",
    "date_trunc('hours', created)",
    "date_trunc('fortnight', created)",
    "date_trunc(note, created)",
    "date_trunc('hour', quantity)",
    "timestamp_millis(1.5)",
    "to_timestamp(5)",
    "add_seconds(created, 1.5)",
    "concat(quantity, 'x')",
    /* patterns */
    "customer like 'x' escape ''",
    "customer like 'x' escape 'ab'",
    "customer like 'x' escape '%'",
    "customer like '!x' escape '!'",
    "customer like 'x!' escape '!'",
    "customer ~ 'a(b'",
    "customer ~ '''(b'",
    "customer ~ 'a' || '('",
    "customer matches '[z-a]'",
    "customer ~ '*'",
    "customer ~ '\\C'",
    "customer ~ note",
    "regex_extract(customer, '(a)', 2)",
    "regex_extract(customer, '(a)', quantity)",
    "regex_extract(customer, '(a', 1)",
    "regex_extract(customer, 'a')",
    /* constants that have no value */
    "quantity / 0",
    "quantity % 0",
    "9223372036854775807 + 1",
    "quantity + 9223372036854775807 * 2",
    "abs(-9223372036854775808)",
    "cast('x' as int) = quantity",
    "cast(3000000000 as int)",
    "to_timestamp('x')",
};

/* What goes wrong in a row. */
static const char *const in_rows[] = {
    "order_id + 9223372036854775807",
    "order_id - 9223372036854775807 - 2",
    "order_id * 9223372036854775807",
    "-(order_id - 9223372036854774807 - 1002)",
    "abs(9223372036854775800 + order_id - order_id - order_id - 9223372036854775800 - 9223372036854775807)",
    "order_id / (order_id - 1001)",
    "order_id % (order_id + 7)",
    "(order_id * 0 - 9223372036854775807 - 1) / (order_id - 1002)",
    "cast(customer as long)",
    "cast(customer as int)",
    "cast(customer as double)",
    "cast(customer as boolean)",
    "cast(customer as timestamp)",
    "cast(order_id * 10000000 as int)",
    "cast(total * 1e30 as long)",
    "cast(total / 0 as int)",
    "to_timestamp(customer)",
    "timestamp_millis(order_id * 9223372036854775)",
    "add_seconds(created, 9223372036854775807)",
    "diff_seconds(created, timestamp_micros(-9223372036854775808 + quantity))",
    "created + 9223372036854775807",
    "date_trunc('year', timestamp_micros(-9223372036854775808 + quantity))",
    "customer || customer ~ '^(([A-Za-z. ]+)+)+[0-9]$'",
};

static void add_block(struct leat_strbuf *all, const char *expr, const char *message)
{
    leat__strbuf_printf(all, "> %s\n%s\n\n", expr, message);
}

static void
test_expr_errors__given_wrong_expressions__when_compiled_or_run__then_messages_are_the_golden_ones(
    void **state)
{
    struct leat_strbuf all = { 0 };
    char got[1200];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(declared); i++) {
        struct leat_expr *expr;
        struct leat_error err = { 0 };
        const int code = leat__expr_new(declared[i], &sample_order_type, &expr, &err);
        FAIL_UNLESS(code == LEAT_EEXPR && err.code == code && !expr, "%s: code %d", declared[i], code);
        add_block(&all, declared[i], err.message);
    }
    for (size_t i = 0; i < COUNT_OF(in_rows); i++) {
        expr_case_eval(in_rows[i], 2, 0, got, sizeof got);
        FAIL_UNLESS(strncmp(got, "error: ", 7) == 0, "%s gives %s", in_rows[i], got);
        add_block(&all, in_rows[i], got + 7);
    }
    golden_check("expr_errors.txt", all.data);
    leat__strbuf_release(&all);
}

/* ---- two records ---- */

static void
test_expr_errors__given_two_records__when_a_name_is_not_clear__then_the_message_says_how_to_write_it(
    void **state)
{
    static const struct leat_type number = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
    static const struct leat_field fields[] = {
        { "order_id", &number, 0, LEAT_NOT_NULLABLE },
        { "carrier", &number, 8, LEAT_NOT_NULLABLE },
    };
    static const struct leat_type shipment = { .kind = LEAT_KIND_RECORD,
        .name = "shipment",
        .size = 16,
        .align = 8,
        .fields = fields,
        .fields_count = 2 };
    static const struct {
        const char *expr, *message;
    } rows[] = {
        { "order_id = 1",
            "column 1: both records have a field \"order_id\"; write left.order_id or right.order_id" },
        { "right.carier = 1",
            "column 7: no field \"carier\" in shipment (order_id, carrier); did you mean \"carrier\"?" },
        { "left.carrier = 1 and true",
            "column 6: no field \"carrier\" in order (order_id, customer, status, quantity, total, weight, "
            "discount, "
            "note, paid, gift, created, shipped, seen, opened, due, clock, address, amount, code, stock, "
            "previous, tags, "
            "labels, either)" },
        { "carrier + 'x'",
            "column 9: + takes two numbers, not integer and string; || joins texts, cast(... as long) "
            "reads a number" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_expr *expr;
        struct leat_error err = { 0 };
        assert_int_equal(
            leat__expr_new2(rows[i].expr, &sample_order_type, "left", &shipment, "right", &expr, &err),
            LEAT_EEXPR);
        assert_string_equal(err.message, rows[i].message);
    }
    struct leat_expr *expr;
    struct leat_error err = { 0 };
    assert_int_equal(leat__expr_new2("nothing = 1", &shipment, "a", &shipment, "b", &expr, &err), LEAT_EEXPR);
    assert_string_equal(
        err.message, "column 1: no field \"nothing\" in a (order_id, carrier) or b (order_id, carrier)");
    assert_int_equal(leat__expr_new2("carrier = 1 and left.order_id = right.order_id", &sample_order_type,
                         "left", &shipment, "right", &expr, &err),
        0);
    leat__expr_free(expr);
}

/* ---- limits ---- */

/* `first`, then `again` so many times, then `last`. */
static char *repeated(const char *first, const char *again, size_t times, const char *last)
{
    struct leat_strbuf s = { 0 };
    leat__strbuf_str(&s, first);
    for (size_t i = 0; i < times; i++)
        leat__strbuf_str(&s, again);
    leat__strbuf_str(&s, last);
    assert_false(s.failed);
    return s.data;
}

static void
test_expr_errors__given_limits__when_reached_and_passed__then_the_last_is_fine_and_the_next_is_an_error(
    void **state)
{
    static const struct {
        const char *what, *first, *again;
        size_t times;
        const char *last, *message; /* NULL: fine */
    } rows[] = {
        { "or: long chains are flat", "false", " or paid", 1500, "", NULL },
        { "parts", "false", " or paid", LEAT_EXPR_NODES_MAX, "",
            "the expression has more than 4096 parts; split it" },
        { "sum: as deep as long", "1", " + quantity", LEAT_EXPR_DEPTH_MAX - 2, "", NULL },
        { "sum: too deep", "1", " + quantity", LEAT_EXPR_DEPTH_MAX, "",
            "the expression is nested deeper than 128 levels" },
        { "nots", "", "not ", LEAT_EXPR_DEPTH_MAX - 2, "paid", NULL },
        { "too many nots", "", "not ", LEAT_EXPR_DEPTH_MAX + 1, "paid",
            "the expression is nested deeper than 128 levels" },
        { "parentheses", "", "(", LEAT_EXPR_DEPTH_MAX + 1, "paid",
            "the expression is nested deeper than 128 levels" },
        { "minuses", "", "- ", LEAT_EXPR_DEPTH_MAX + 1, "quantity",
            "the expression is nested deeper than 128 levels" },
        { "list", "quantity in (1", ", 2", 4000, ")", NULL },
        { "bytes", "paid", " ", LEAT_EXPR_BYTES_MAX - 4, "", NULL },
        { "too many bytes", "paid", " ", LEAT_EXPR_BYTES_MAX - 3, "",
            "an expression of 65537 bytes; at most 65536 are allowed" },
        { "path", "address", ".x", LEAT_SCHEMA_DEPTH_MAX, "", "a path of more than 64 fields" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_expr *expr;
        struct leat_error err = { 0 };
        struct leat_strbuf text = { .data =
                                        repeated(rows[i].first, rows[i].again, rows[i].times, rows[i].last) };
        const int code = leat__expr_new(text.data, &sample_order_type, &expr, &err);
        FAIL_UNLESS((code == 0) == !rows[i].message, "%s: %d %s", rows[i].what, code, err.message);
        FAIL_UNLESS(code == 0 || strstr(err.message, rows[i].message), "%s: %s", rows[i].what, err.message);
        leat__expr_free(expr);
        leat__strbuf_release(&text);
    }
}

static void test_expr_errors__given_strings_that_explode__when_run__then_they_are_stopped_at_the_limit(
    void **state)
{
    char got[1200];
    struct leat_strbuf text = { 0 };
    char *hundred = repeated("", "a", 100, ""), *thousand = repeated("", "a", 1000, "");
    (void)state;
    leat__strbuf_printf(&text, "replace(replace(replace(customer, 'a', '%s'), 'a', '%s'), 'a', '%s')",
        hundred, hundred, thousand);
    expr_case_eval(text.data, 1, 0, got, sizeof got);
    assert_string_equal(got,
        "error: row 0, column 1: a string of 20000010 bytes; one may have 16777216, those of a batch "
        "together 268435456");
    leat__strbuf_release(&text);
    leat__strbuf_release(&(struct leat_strbuf){ .data = hundred });
    leat__strbuf_release(&(struct leat_strbuf){ .data = thousand });
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_expr_errors__given_wrong_expressions__when_compiled_or_run__then_messages_are_the_golden_ones),
        cmocka_unit_test(
            test_expr_errors__given_two_records__when_a_name_is_not_clear__then_the_message_says_how_to_write_it),
        cmocka_unit_test(
            test_expr_errors__given_limits__when_reached_and_passed__then_the_last_is_fine_and_the_next_is_an_error),
        cmocka_unit_test(
            test_expr_errors__given_strings_that_explode__when_run__then_they_are_stopped_at_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
