/* tests/fuzz/fuzz_expr.c -- any text as an expression: refused with a message and a place, or compiled and
 * run over the sample orders. Then all ways of running it agree: alone or as a filter, one row or several
 * chunks of them, over rows or over pairs; an error names a row and is one of those that rows can have. */
#include "base/alloc.h"
#include "base/error.h"
#include "record/expr.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/sample_order.h"
#include <string.h>

#define ROWS 33u
#define TEXT_MAX 4096u

static bool is_null(const struct leat_vector *vector, uint32_t i)
{
    return vector->is_null && vector->is_null[i];
}

static bool same_value(const struct leat_vector *a, uint32_t i, const struct leat_vector *b, uint32_t k)
{
    FUZZ_CHECK(a->value_class == b->value_class);
    if (is_null(a, i) || is_null(b, k))
        return is_null(a, i) == is_null(b, k);
    switch (a->value_class) {
    case LEAT_VALUE_NULL:
        return true;
    case LEAT_VALUE_BOOL:
        FUZZ_CHECK(a->booleans[i] <= 1);
        return a->booleans[i] == b->booleans[k];
    case LEAT_VALUE_STRING:
        return leat_sv_eq(a->strings[i], b->strings[k]);
    case LEAT_VALUE_FLOAT:
        return memcmp(&a->floats[i], &b->floats[k], sizeof a->floats[i]) == 0;
    default:
        return a->integers[i] == b->integers[k];
    }
}

static void check_code(int code, const struct leat_error *err, uint32_t bad_row)
{
    FUZZ_CHECK(code == 0 || code == LEAT_EOVERFLOW || code == LEAT_ELIMIT || code == LEAT_EDATA);
    FUZZ_CHECK(code == 0 || (err->code == code && strncmp(err->message, "row ", 4) == 0 && bad_row < ROWS));
}

static void check_filter(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    struct leat_batch *batch, const struct leat_vector *values)
{
    struct leat_error err = { 0 };
    uint8_t want[ROWS];
    if (leat__expr_class(expr) != LEAT_VALUE_BOOL)
        return;
    for (uint32_t i = 0; i < ROWS; i++)
        want[i] = values->booleans[i] && !is_null(values, i);
    FUZZ_CHECK(leat__expr_filter(expr, scratch, batch, NULL, &err) == 0);
    FUZZ_CHECK(memcmp(batch->keep, want, ROWS) == 0);
}

/* The rows as the left side of pairs give the same. */
static void check_pairs(
    const char *text, const struct leat_batch *batch, const struct leat_vector *values, int code)
{
    static const struct leat_type nothing = { .kind = LEAT_KIND_RECORD, .name = "nothing", .align = 1 };
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_vector pairs;
    struct leat_error err = { 0 };
    const void *left[ROWS], *right[ROWS];
    uint32_t bad_row = UINT32_MAX;
    if (leat__expr_new2(text, &sample_order_type, "left", &nothing, "right", &expr, &err) != 0) {
        FUZZ_CHECK(err.code == LEAT_EEXPR);
        return;
    }
    for (uint32_t i = 0; i < ROWS; i++)
        left[i] = right[i] = leat_batch_at(batch, i);
    FUZZ_CHECK(leat__expr_scratch_new(expr, &scratch) == 0);
    FUZZ_CHECK(leat__expr_eval2(expr, scratch, left, right, ROWS, &pairs, &bad_row, &err) == code);
    for (uint32_t i = 0; code == 0 && i < ROWS; i++)
        FUZZ_CHECK(same_value(&pairs, i, values, i));
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
}

static void run(const char *text, const struct leat_expr *expr, struct leat_batch *batch)
{
    struct leat_expr_scratch *scratch;
    struct leat_vector values;
    struct leat_error err = { 0 };
    uint32_t bad_row = UINT32_MAX;
    FUZZ_CHECK(leat__expr_scratch_new(expr, &scratch) == 0);
    const int code = leat__expr_eval(expr, scratch, batch, &values, &bad_row, &err);
    check_code(code, &err, bad_row);
    if (code == 0) {
        FUZZ_CHECK(values.count == ROWS && (leat__expr_is_nullable(expr) || !values.is_null));
        for (uint32_t i = SAMPLE_ORDERS; i < ROWS; i++)
            FUZZ_CHECK(same_value(&values, i, &values, i % SAMPLE_ORDERS));
    }
    check_pairs(text, batch, &values, code);
    if (code == 0)
        check_filter(expr, scratch, batch, &values);
    leat__expr_scratch_free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX + 1];
    struct leat_expr *expr;
    struct leat_pool *pool;
    struct leat_error err = { 0 };
    const int64_t live = leat__alloc_live();
    if (size > TEXT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    const int code = leat__expr_new(text, &sample_order_type, &expr, &err);
    if (code != 0) {
        FUZZ_CHECK(code == LEAT_EEXPR && !expr);
        FUZZ_CHECK(strncmp(err.message, "column ", 7) == 0 || strncmp(err.message, "line ", 5) == 0);
    } else {
        FUZZ_CHECK(leat__pool_new(64, &pool) == 0);
        struct leat_batch *batch = sample_batch(pool, ROWS);
        run(text, expr, batch);
        leat__batch_release(batch);
        leat__pool_free(pool);
        leat__expr_free(expr);
    }
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
