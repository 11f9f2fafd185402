/* tests/unit/record/test_expr_sides.c -- expressions over two records one of which may be missing: all of its fields
 * are null then, whatever their type says, and nothing of it is looked at. */
#include "record/expr.h"
#include "tests/support/expr_case.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"

#define PAIRS 2500u /* more than two chunks */

struct expectation {
    const char *expr;
    const char *both, *no_right, *no_left; /* orders 0 and 1; order 0 alone; order 1 alone */
};

static struct leat_expr *compile(const char *text, uint32_t may_miss)
{
    const struct leat_expr_sides sides = { &sample_order_type, &sample_order_type, "left", "right",
        may_miss };
    struct leat_expr *expr;
    struct leat_error err = { 0 };
    if (leat__expr_new_sides(text, &sides, &expr, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return expr;
}

static void test_expr__given_a_missing_side__when_evaluated__then_its_fields_are_null(void **state)
{
    static const struct expectation rows[] = {
        { "left.order_id", "1001", "1001", "null" },
        { "right.order_id", "-7", "null", "-7" },
        { "left.quantity + right.quantity", "3", "null", "null" },
        { "right.order_id is null", "false", "true", "false" },
        { "left.order_id is not null", "true", "true", "false" },
        { "left.status", "'PENDING'", "'PENDING'", "null" },
        { "right.status = 'SHIPPED'", "true", "null", "true" },
        { "left.total >= 1000 and right.total < 0", "true", "null", "null" },
        { "left.total < 1000 and right.total < 0", "false", "false", "null" },
        { "coalesce(right.order_id, -1)", "-7", "-1", "-7" },
        { "coalesce(left.order_id, right.order_id)", "1001", "1001", "-7" },
        { "case when right.order_id is null then 'alone' else right.status end", "'SHIPPED'", "'alone'",
            "'SHIPPED'" },
        { "left.customer || right.customer is null", "false", "true", "true" },
        { "100 / right.order_id", "-14", "null", "-14" },
        { "left.due is null", "false", "false", "true" },
        { "left.weight", "2.5", "2.5", "null" },
        { "right.paid", "false", "null", "false" },
        { "left.address.zip is null", "false", "false", "true" },
        { "right.tags is null", "false", "true", "false" },
        { "cast(left.amount as double) is null", "false", "false", "true" },
    };
    (void)state;
    const void *const a = &sample_orders[0], *const b = &sample_orders[1];
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *const want[] = { rows[i].both, rows[i].no_right, rows[i].no_left };
        const void *left[PAIRS], *right[PAIRS];
        struct leat_expr *expr = compile(rows[i].expr, 3);
        struct leat_expr_scratch *scratch;
        struct leat_vector result;
        struct leat_error err = { 0 };
        for (uint32_t k = 0; k < PAIRS; k++) {
            left[k] = k % 3 == 2 ? NULL : a;
            right[k] = k % 3 == 1 ? NULL : b;
        }
        assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
        if (leat__expr_eval2(expr, scratch, left, right, PAIRS, &result, NULL, &err) != 0)
            fail_msg("%s: %s", rows[i].expr, err.message);
        for (uint32_t k = 0; k < PAIRS; k++) {
            char got[128];
            expr_value_print(&result, k, got, sizeof got);
            FAIL_UNLESS(strcmp(got, want[k % 3]) == 0, "%s: pair %u: got %s, want %s", rows[i].expr, k, got,
                want[k % 3]);
        }
        leat__expr_scratch_free(scratch);
        leat__expr_free(expr);
    }
}

static void test_expr__given_sides__when_one_may_miss__then_only_its_fields_become_nullable(void **state)
{
    static const struct {
        const char *expr;
        uint32_t may_miss;
        bool nullable;
    } rows[] = {
        { "left.order_id", 0, false },
        { "left.order_id", 1, true },
        { "left.order_id", 2, false },
        { "right.order_id", 1, false },
        { "right.order_id", 2, true },
        { "right.order_id is null", 2, false },
        { "left.order_id + right.order_id", 2, true },
        { "left.order_id + right.order_id", 0, false },
        { "coalesce(left.order_id, right.order_id)", 1, false },
        { "coalesce(left.order_id, right.order_id)", 3, true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_expr *expr = compile(rows[i].expr, rows[i].may_miss);
        FAIL_UNLESS(
            leat__expr_is_nullable(expr) == rows[i].nullable, "%s with %u", rows[i].expr, rows[i].may_miss);
        leat__expr_free(expr);
    }
}

static void test_expr__given_a_missing_side__when_a_field_can_not_be_null__then_a_store_is_refused(
    void **state)
{
    struct leat_expr *expr = compile("right.order_id", 2);
    struct leat_expr_store store;
    struct leat_error err = { 0 };
    (void)state;
    assert_int_equal(leat__expr_store_new(expr, &sample_order_type, "order_id", &store, &err), LEAT_EEXPR);
    assert_non_null(strstr(err.message, "may be null, field order_id"));
    assert_int_equal(leat__expr_store_new(expr, &sample_order_type, "stock", &store, &err), 0);
    leat__expr_free(expr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr__given_a_missing_side__when_evaluated__then_its_fields_are_null),
        cmocka_unit_test(test_expr__given_sides__when_one_may_miss__then_only_its_fields_become_nullable),
        cmocka_unit_test(
            test_expr__given_a_missing_side__when_a_field_can_not_be_null__then_a_store_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
