/* tests/support/random_record.h -- random schemas and random records of their types, from a seed.
 *
 * For property tests of encodings. Sizes are small and shapes many: every kind, nesting, nullable fields in
 * both orders, unions, defaults left out. */
#ifndef LEAT_TESTS_SUPPORT_RANDOM_RECORD_H
#define LEAT_TESTS_SUPPORT_RANDOM_RECORD_H
#include "base/strbuf.h"
#include "record/batch.h"

struct random_source {
    uint64_t state; /* the seed; any but 0 */
    bool text_bytes; /* bytes are valid UTF-8 */
    bool finite; /* no NaN and no infinities */
};

uint64_t random_next(struct random_source *r);
/* 0 .. below-1. */
uint32_t random_below(struct random_source *r, uint32_t below);

/* Appends a record schema named "r". With `unions` off there are none but ["null", T]. */
void random_schema(struct random_source *r, bool unions, struct leat_strbuf *out);
/* Fills zeroed memory of the type; views come from the batch's arena. */
void random_fill(struct random_source *r, const struct leat_type *type, void *to, struct leat_batch *batch);
/* Whether two values are the same: NaN equals NaN, views by what they show, null by being null. */
bool random_equal(const struct leat_type *type, const void *a, const void *b);
#endif
