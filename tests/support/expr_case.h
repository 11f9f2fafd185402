/* tests/support/expr_case.h -- an expression, evaluated over the sample orders, as a line of text. */
#ifndef LEAT_TESTS_SUPPORT_EXPR_CASE_H
#define LEAT_TESTS_SUPPORT_EXPR_CASE_H
#include "record/expr.h"

/* One value: null, true, 42, 2.5, 'it''s', 2026-01-31T12:00:00Z. */
void expr_value_print(const struct leat_vector *vector, uint32_t i, char *text, size_t size);

/* Evaluates over `count` sample orders (at most those of a batch) and prints the value of row `row`; an error
 * is printed as "error: " and its message. Rows of the same kind must agree. */
void expr_case_eval(const char *expr, uint32_t count, uint32_t row, char *text, size_t size);
#endif
