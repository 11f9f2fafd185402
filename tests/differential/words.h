/* tests/differential/words.h -- what plans say by number: conditions, maps, columns; each as text for the engine
 * and as C for the oracle. */
#ifndef LEAT_TESTS_DIFFERENTIAL_WORDS_H
#define LEAT_TESTS_DIFFERENTIAL_WORDS_H
#include "diff_out.h"
#include "diff_row.h"
#include "tests/differential/plan.h"
#include <leat/leat.h>

struct condition {
    const char *text;
    bool (*holds)(const struct diff_row *row); /* false for null, too */
};
enum { CONDITIONS = 9 }; /* the first is of number 1; 0 is none */
extern const struct condition conditions[CONDITIONS];

/* Of two rows. */
struct join_condition {
    const char *text;
    bool (*holds)(const struct diff_row *left, const struct diff_row *right);
};
enum { JOIN_CONDITIONS = 4 }; /* as above: 0 is none */
extern const struct join_condition join_conditions[JOIN_CONDITIONS];

/* Of maps: 1 adds one to v, 2 turns k1's sign, 3 swaps s and k2, 4 gives some rows twice and some not at all. */
enum { MAPS = 5 };

/* A value of a row, of one of four classes, or null. */
enum value_class { VALUE_NULL = 0, VALUE_LONG, VALUE_DOUBLE, VALUE_TEXT, VALUE_BOOL };
struct value {
    enum value_class of;
    int64_t l; /* long, boolean */
    double d;
    struct leat_sv s;
};
struct value value_of(const struct diff_row *row, int64_t plan_field);
const char *field_name(int64_t plan_field);
/* <0, 0, >0; of one class. NaN last. */
int value_compare(const struct value *a, const struct value *b);

/* Which column of DiffOut an aggregate goes to: NULL when its kind does not go with its field, or no column of
 * its class is left. */
const struct leat_field *column_of(const struct plan_node *node, size_t agg);

extern const double histogram_bounds[3];
extern const char *const zones[3];
#endif
