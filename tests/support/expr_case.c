/* tests/support/expr_case.c -- expressions over the sample orders. */
#include "tests/support/expr_case.h"
#include "record/number_text.h"
#include "record/time_text.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>

static void print_string(struct leat_sv value, char *text, size_t size)
{
    size_t used = 0;
    text[used++] = '\'';
    for (size_t i = 0; i < value.len && used + 4 < size; i++) {
        text[used++] = value.data[i];
        if (value.data[i] == '\'')
            text[used++] = '\'';
    }
    text[used++] = '\'';
    text[used] = '\0';
}

static void print_float(double value, char *text, size_t size)
{
    char number[LEAT_DOUBLE_TEXT_MAX];
    if (!isfinite(value))
        (void)snprintf(text, size, "%s", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    else
        (void)snprintf(text, size, "%.*s", (int)leat__double_print(value, number), number);
}

void expr_value_print(const struct leat_vector *vector, uint32_t i, char *text, size_t size)
{
    char time[LEAT_TIME_TEXT_MAX];
    if (vector->is_null && vector->is_null[i]) {
        (void)snprintf(text, size, "null");
        return;
    }
    switch (vector->value_class) {
    case LEAT_VALUE_BOOL:
        (void)snprintf(text, size, "%s", vector->booleans[i] ? "true" : "false");
        return;
    case LEAT_VALUE_INT:
        (void)snprintf(text, size, "%lld", (long long)vector->integers[i]);
        return;
    case LEAT_VALUE_FLOAT:
        print_float(vector->floats[i], text, size);
        return;
    case LEAT_VALUE_STRING:
        print_string(vector->strings[i], text, size);
        return;
    case LEAT_VALUE_TIMESTAMP:
        (void)leat__time_print(vector->integers[i], time);
        (void)snprintf(text, size, "%s", time);
        return;
    default:
        (void)snprintf(text, size, "a null that is none");
    }
}

static void print_row(
    const struct leat_vector *vector, const char *expr, uint32_t row, char *text, size_t size)
{
    char other[512];
    expr_value_print(vector, row, text, size);
    for (uint32_t i = row % SAMPLE_ORDERS; i < vector->count; i += SAMPLE_ORDERS) {
        expr_value_print(vector, i, other, sizeof other);
        FAIL_UNLESS(strcmp(text, other) == 0, "%s: row %u gives %s, row %u %s", expr, row, text, i, other);
    }
}

void expr_case_eval(const char *text, uint32_t count, uint32_t row, char *out, size_t size)
{
    struct leat_error err = { 0 };
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_pool *pool;
    struct leat_vector result;
    uint32_t bad_row = UINT32_MAX;
    if (leat__expr_new(text, &sample_order_type, &expr, &err) != 0) {
        (void)snprintf(out, size, "error: %s", err.message);
        return;
    }
    assert_int_equal(leat__pool_new(1024, &pool), 0);
    assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
    struct leat_batch *batch = sample_batch(pool, count);
    if (leat__expr_eval(expr, scratch, batch, &result, &bad_row, &err) != 0) {
        assert_true(bad_row < count);
        (void)snprintf(out, size, "error: %s", err.message);
    } else {
        assert_int_equal(result.count, count);
        assert_int_equal(result.value_class, leat__expr_class(expr));
        assert_true(leat__expr_is_nullable(expr) || !result.is_null);
        print_row(&result, text, row, out, size);
    }
    leat__batch_release(batch);
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
    leat__pool_free(pool);
}
