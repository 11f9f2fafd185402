/* record/equal.h -- whether two records show the same. */
#ifndef LEAT_RECORD_EQUAL_H
#define LEAT_RECORD_EQUAL_H
#include <leat/type.h>
#include <stdbool.h>

/* Numbers by their bits: NaN equals itself, 0.0 is not -0.0. Bytes between fields, and values behind nulls, do not
 * count. Maps are equal if their entries are, in their order. */
bool leat__record_equal(const struct leat_type *type, const void *a, const void *b);
#endif
