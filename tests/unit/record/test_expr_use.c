/* tests/unit/record/test_expr_use.c -- expressions: how they are used. Filters, pairs of records, what they
 * say of themselves, the examples of the guide, memory. */
#include "record/expr.h"
#include "base/alloc.h"
#include "tests/support/expr_case.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define GUIDE "docs/guide/expressions.md"

/* ---- filters, two records, what an expression says of itself ---- */

static void test_expr__given_a_condition__when_filtered__then_rows_are_kept_for_true_alone(void **state)
{
    static const struct {
        const char *where;
        uint8_t keep[SAMPLE_ORDERS];
    } rows[] = {
        { "true", { 1, 1 } },
        { "null", { 0, 0 } },
        { "gift", { 1, 0 } },
        { "not gift", { 0, 0 } },
        { "paid", { 1, 0 } },
        { "quantity > 0 and total < 10000", { 1, 0 } },
        { "order_id < 0", { 0, 1 } },
        { "gift is null or false", { 0, 1 } },
        { "gift or null", { 1, 0 } },
    };
    (void)state;
    struct leat_pool *pool;
    assert_int_equal(leat__pool_new(1024, &pool), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_expr *expr;
        struct leat_expr_scratch *scratch;
        struct leat_error err = { 0 };
        struct leat_batch *batch = sample_batch(pool, 33);
        assert_int_equal(leat__expr_new(rows[i].where, &sample_order_type, &expr, &err), 0);
        assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
        memset(batch->keep, 7, batch->capacity);
        assert_int_equal(leat__expr_filter(expr, scratch, batch, NULL, &err), 0);
        for (uint32_t k = 0; k < 33; k++)
            FAIL_UNLESS(batch->keep[k] == rows[i].keep[k % SAMPLE_ORDERS], "%s: row %u: %u", rows[i].where, k,
                batch->keep[k]);
        FAIL_UNLESS(batch->keep[33] == 7, "%s: wrote behind the rows", rows[i].where);
        leat__batch_release(batch);
        leat__expr_scratch_free(scratch);
        leat__expr_free(expr);
    }
    leat__pool_free(pool);
}

static void test_expr__given_a_number__when_used_as_a_filter__then_it_is_refused(void **state)
{
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_error err = { 0 };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(8, &pool), 0);
    struct leat_batch *batch = sample_batch(pool, 2);
    assert_int_equal(leat__expr_new("quantity + 1", &sample_order_type, &expr, &err), 0);
    assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
    assert_int_equal(leat__expr_filter(expr, scratch, batch, NULL, &err), LEAT_EEXPR);
    assert_string_equal(err.message,
        "a filter is a boolean expression, this one is of class integer; compare it with something");
    leat__batch_release(batch);
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
    leat__pool_free(pool);
}

static void test_expr__given_two_records__when_evaluated__then_pairs_are_compared(void **state)
{
    static const struct {
        const char *expr, *values[4]; /* pairs 00, 01, 10, 11 */
    } rows[] = {
        { "left.order_id", { "1001", "1001", "-7", "-7" } },
        { "right.order_id", { "1001", "-7", "1001", "-7" } },
        { "left.quantity + right.quantity", { "6", "3", "3", "0" } },
        { "left.stock >= right.stock", { "true", "null", "null", "null" } },
        { "left.customer = right.customer", { "true", "false", "false", "true" } },
        { "left.note || right.status",
            { "'urgent: call firstPENDING'", "'urgent: call firstSHIPPED'", "null", "null" } },
        { "left.status = 'PENDING' and right.status != 'PENDING'", { "false", "true", "false", "false" } },
        { "right.created - left.created <= interval '1 hour'", { "true", "true", "false", "true" } },
        { "right.address.zip is null", { "false", "true", "false", "true" } },
        { "right.total", { "1250.5", "-0.5", "1250.5", "-0.5" } },
        { "left.weight", { "2.5", "2.5", "0.0", "0.0" } },
        { "left.code = right.code", { "true", "false", "false", "true" } },
        { "right.paid", { "true", "false", "true", "false" } },
        { "left.due",
            { "2026-02-14T00:00:00Z", "2026-02-14T00:00:00Z", "1969-12-31T00:00:00Z",
                "1969-12-31T00:00:00Z" } },
    };
    const void *left[4], *right[4];
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        left[i] = &sample_orders[i / 2];
        right[i] = &sample_orders[i % 2];
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_expr *expr;
        struct leat_expr_scratch *scratch;
        struct leat_vector result;
        struct leat_error err = { 0 };
        char got[128];
        if (leat__expr_new2(
                rows[i].expr, &sample_order_type, "left", &sample_order_type, "right", &expr, &err) != 0)
            fail_msg("%s: %s", rows[i].expr, err.message);
        assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
        assert_int_equal(leat__expr_eval2(expr, scratch, left, right, 4, &result, NULL, &err), 0);
        for (uint32_t k = 0; k < 4; k++) {
            expr_value_print(&result, k, got, sizeof got);
            FAIL_UNLESS(strcmp(got, rows[i].values[k]) == 0, "%s: pair %u: got %s, want %s", rows[i].expr, k,
                got, rows[i].values[k]);
        }
        leat__expr_scratch_free(scratch);
        leat__expr_free(expr);
    }
}

static void test_expr__given_expressions__when_asked__then_they_say_class_type_and_place(void **state)
{
    static const struct {
        const char *expr;
        enum leat_value_class value_class;
        bool is_nullable, is_place;
        enum leat_kind kind;
        enum leat_logical logical;
    } rows[] = {
        { "order_id", LEAT_VALUE_INT, false, true, LEAT_KIND_LONG, 0 },
        { "quantity", LEAT_VALUE_INT, false, true, LEAT_KIND_INT, 0 },
        { "quantity + 1", LEAT_VALUE_INT, false, false, LEAT_KIND_LONG, 0 },
        { "stock", LEAT_VALUE_INT, true, true, LEAT_KIND_LONG, 0 },
        { "status", LEAT_VALUE_STRING, false, true, LEAT_KIND_ENUM, 0 },
        { "(address.zip)", LEAT_VALUE_STRING, true, true, LEAT_KIND_STRING, 0 },
        { "upper(customer)", LEAT_VALUE_STRING, false, false, LEAT_KIND_STRING, 0 },
        { "created", LEAT_VALUE_TIMESTAMP, false, true, LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MILLIS },
        { "created + 0", LEAT_VALUE_TIMESTAMP, false, false, LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MICROS },
        { "total * 2", LEAT_VALUE_FLOAT, false, false, LEAT_KIND_DOUBLE, 0 },
        { "gift or paid", LEAT_VALUE_BOOL, true, false, LEAT_KIND_BOOLEAN, 0 },
        { "coalesce(gift, paid)", LEAT_VALUE_BOOL, false, false, LEAT_KIND_BOOLEAN, 0 },
        { "gift is null", LEAT_VALUE_BOOL, false, false, LEAT_KIND_BOOLEAN, 0 },
        { "null", LEAT_VALUE_NULL, true, false, LEAT_KIND_NULL, 0 },
        { "cast(amount as double)", LEAT_VALUE_FLOAT, false, false, LEAT_KIND_DOUBLE, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_expr *expr;
        struct leat_place place;
        struct leat_error err = { 0 };
        if (leat__expr_new(rows[i].expr, &sample_order_type, &expr, &err) != 0)
            fail_msg("%s: %s", rows[i].expr, err.message);
        assert_string_equal(leat__expr_text(expr), rows[i].expr);
        FAIL_UNLESS(leat__expr_class(expr) == rows[i].value_class &&
                leat__expr_is_nullable(expr) == rows[i].is_nullable &&
                leat__expr_place(expr, &place) == rows[i].is_place &&
                leat__expr_type(expr)->kind == rows[i].kind &&
                leat__expr_type(expr)->logical == rows[i].logical,
            "%s: class %d nullable %d place %d kind %d", rows[i].expr, leat__expr_class(expr),
            leat__expr_is_nullable(expr), leat__expr_place(expr, &place), leat__expr_type(expr)->kind);
        leat__expr_free(expr);
    }
}

/* ---- batches of more than one chunk ---- */

struct slim {
    int64_t number;
    bool has_text;
    struct leat_sv text;
};

static const struct leat_type type_long = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type type_string = {
    .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
};
static const struct leat_field slim_fields[] = {
    { "number", &type_long, offsetof(struct slim, number), LEAT_NOT_NULLABLE },
    { "text", &type_string, offsetof(struct slim, text), offsetof(struct slim, has_text) },
};
static const struct leat_type slim_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "slim",
    .size = sizeof(struct slim),
    .align = 8,
    .fields = slim_fields,
    .fields_count = 2,
};

static struct leat_batch *slim_batch(struct leat_pool *pool, uint32_t count)
{
    struct leat_batch *batch;
    assert_int_equal(leat__batch_get(pool, &slim_type, &batch), 0);
    leat__batch_rows(batch, count);
    for (uint32_t i = 0; i < count; i++) {
        struct slim *row = leat_batch_at(batch, i);
        row->number = i;
        row->has_text = i % 3 != 0;
        row->text = i % 2 ? LEAT_SV("odd") : LEAT_SV("even");
    }
    return batch;
}

static void test_expr__given_a_large_batch__when_evaluated__then_every_row_has_its_string(void **state)
{
    struct leat_pool *pool;
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_vector result;
    struct leat_error err = { 0 };
    char want[32], got[32];
    (void)state;
    assert_int_equal(leat__pool_new(5000, &pool), 0);
    struct leat_batch *batch = slim_batch(pool, 5000);
    assert_int_equal(leat__expr_new("upper(text) || cast(number as string)", &slim_type, &expr, &err), 0);
    assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
    assert_int_equal(leat__expr_eval(expr, scratch, batch, &result, NULL, &err), 0);
    for (uint32_t i = 0; i < 5000; i++) {
        (void)snprintf(want, sizeof want, i % 3 == 0 ? "null" : "'%s%u'", i % 2 ? "ODD" : "EVEN", i);
        expr_value_print(&result, i, got, sizeof got);
        FAIL_UNLESS(strcmp(got, want) == 0, "row %u: got %s, want %s", i, got, want);
    }
    leat__batch_release(batch);
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
    leat__pool_free(pool);
}

static void test_expr__given_a_bad_row_in_a_later_chunk__when_evaluated__then_the_error_names_it(void **state)
{
    struct leat_pool *pool;
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_vector result;
    struct leat_error err = { 0 };
    uint32_t bad_row = 0;
    (void)state;
    assert_int_equal(leat__pool_new(5000, &pool), 0);
    struct leat_batch *batch = slim_batch(pool, 5000);
    assert_int_equal(leat__expr_new("1 / (number - 4097)", &slim_type, &expr, &err), 0);
    assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
    assert_int_equal(leat__expr_eval(expr, scratch, batch, &result, &bad_row, &err), LEAT_EOVERFLOW);
    assert_int_equal(bad_row, 4097);
    assert_memory_equal(err.message, "row 4097, column 3: ", 20);
    leat__batch_rows(batch, 0);
    assert_int_equal(leat__expr_eval(expr, scratch, batch, &result, &bad_row, &err), 0);
    assert_int_equal(result.count, 0);
    leat__batch_release(batch);
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
    leat__pool_free(pool);
}

/* ---- the guide ---- */

static char *read_guide(void)
{
    FILE *f = fopen(GUIDE, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 18);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
    (void)fclose(f);
    return text;
}

/* Lines of the form `expression  -->  value` between ```leat and ```. */
static void check_line(char *line, size_t *count)
{
    char got[512];
    char *arrow = strstr(line, "-->");
    if (!arrow)
        return;
    char *want = arrow + 3;
    while (*want == ' ')
        want++;
    while (arrow > line && arrow[-1] == ' ')
        arrow--;
    *arrow = '\0';
    expr_case_eval(line, 1, 0, got, sizeof got);
    FAIL_UNLESS(strcmp(got, want) == 0, GUIDE ": %s\n  got  %s\n  says %s", line, got, want);
    ++*count;
}

static void test_expr__given_the_guide__when_its_examples_are_run__then_they_give_what_it_says(void **state)
{
    (void)state;
    char *text = read_guide();
    bool inside = false;
    size_t count = 0;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (strncmp(line, "```", 3) == 0)
            inside = strcmp(line, "```leat") == 0;
        else if (inside)
            check_line(line, &count);
        else
            FAIL_UNLESS(!strstr(line, "-->"), GUIDE ": an example outside of ```leat: %s", line);
    }
    free(text);
    FAIL_UNLESS(count >= 130, "only %zu examples were found", count);
}

/* ---- memory ---- */

static const char busy[] =
    "case when upper(customer) || cast(order_id as string) ~ 'A(.*)E' then replace(customer, 'a', 'bb') "
    "else coalesce(note, format_timestamp(created)) end like '%b%' and status in ('PENDING', 'PAID') "
    "and order_id in (1, 2, 3, 4, 5, 6, 7, 8, 9, 1001) and order_id % 7 = 0 and customer like 'A_a%'";

static void test_expr__given_a_warm_scratch__when_evaluated_again__then_nothing_is_allocated(void **state)
{
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_vector result;
    struct leat_error err = { 0 };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(256, &pool), 0);
    struct leat_batch *batch = sample_batch(pool, 256);
    if (leat__expr_new(busy, &sample_order_type, &expr, &err) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
    assert_int_equal(leat__expr_eval(expr, scratch, batch, &result, NULL, &err), 0);
    assert_true(result.booleans[0] && !result.booleans[1]);
    const uint64_t calls = leat__alloc_calls();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(leat__expr_eval(expr, scratch, batch, &result, NULL, &err), 0);
        assert_int_equal(leat__expr_filter(expr, scratch, batch, NULL, &err), 0);
    }
    assert_int_equal(leat__alloc_calls(), calls);
    leat__batch_release(batch);
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
    leat__pool_free(pool);
}

/* One round with the n-th allocation failing. */
static int run_failing_at(uint64_t n, struct leat_batch *batch)
{
    struct leat_expr *expr = NULL;
    struct leat_expr_scratch *scratch = NULL;
    struct leat_vector result;
    struct leat_error err = { 0 };
    const int64_t live = leat__alloc_live();
    leat__alloc_fail_at(n);
    int code = leat__expr_new(busy, &sample_order_type, &expr, &err);
    if (code == 0)
        code = leat__expr_scratch_new(expr, &scratch);
    if (code == 0)
        code = leat__expr_eval(expr, scratch, batch, &result, NULL, &err);
    leat__alloc_fail_at(0);
    FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %llu: %s", (unsigned long long)n, err.message);
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
    FAIL_UNLESS(leat__alloc_live() == live, "allocation %llu: a leak", (unsigned long long)n);
    return code;
}

static void test_expr__given_a_failing_allocation__when_compiled_and_run__then_it_is_an_error_without_a_leak(
    void **state)
{
    struct leat_pool *pool;
    uint64_t failures = 0;
    (void)state;
    assert_int_equal(leat__pool_new(256, &pool), 0);
    struct leat_batch *batch = sample_batch(pool, 256);
    const uint64_t before = leat__alloc_calls();
    assert_int_equal(run_failing_at(0, batch), 0);
    const uint64_t calls = leat__alloc_calls() - before;
    for (uint64_t n = 1; n <= calls; n++)
        failures += run_failing_at(n, batch) != 0;
    /* Without memory for machine code a pattern is interpreted: that is no failure. */
    assert_in_range(failures, calls / 2, calls);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr__given_a_condition__when_filtered__then_rows_are_kept_for_true_alone),
        cmocka_unit_test(test_expr__given_a_number__when_used_as_a_filter__then_it_is_refused),
        cmocka_unit_test(test_expr__given_two_records__when_evaluated__then_pairs_are_compared),
        cmocka_unit_test(test_expr__given_expressions__when_asked__then_they_say_class_type_and_place),
        cmocka_unit_test(test_expr__given_a_large_batch__when_evaluated__then_every_row_has_its_string),
        cmocka_unit_test(
            test_expr__given_a_bad_row_in_a_later_chunk__when_evaluated__then_the_error_names_it),
        cmocka_unit_test(test_expr__given_the_guide__when_its_examples_are_run__then_they_give_what_it_says),
        cmocka_unit_test(test_expr__given_a_warm_scratch__when_evaluated_again__then_nothing_is_allocated),
        cmocka_unit_test(
            test_expr__given_a_failing_allocation__when_compiled_and_run__then_it_is_an_error_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
