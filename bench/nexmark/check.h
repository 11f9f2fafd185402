/* bench/nexmark/check.h -- results as one number, and what it is known to be.
 *
 * The check value of a set of rows is the sum, modulo 2^64, of FNV-1a over each row's text: its fields, joined by |,
 * times as integers. What takes a row back subtracts, so that changes come to the value of the final rows. */
#ifndef NEXMARK_CHECK_H
#define NEXMARK_CHECK_H
#include <leat/leat.h>

struct nexmark_sum {
    int64_t rows;
    uint64_t sum;
};

/* `change`: of the row. */
void nexmark_sum_add(
    struct nexmark_sum *sum, const struct leat_type *type, const void *record, enum leat_change change);
void nexmark_sum_text(struct nexmark_sum *sum, const char *text, size_t len);
/* What it must be over the first million events at 10,000 a second; NULL where nobody knows. `name`: a query, or
 * "stream". */
const struct nexmark_sum *nexmark_golden(const char *name);
#endif
