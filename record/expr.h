/* record/expr.h -- expressions: text, typed against a record type when declared, evaluated a batch at a time.
 *
 *   status == 'PENDING' and total >= 1000 and (note is null or note like '%urgent%')
 *
 * docs/guide/expressions.md is the reference of the language. SQL null logic: comparisons and arithmetic with
 * null give null, `and` / `or` / `not` are three-valued, a filter keeps a row only for true.
 * Values have one of the classes below; integers are 64-bit and checked (overflow and division by zero are
 * LEAT_EOVERFLOW, naming the row), floats are IEEE doubles. Compiled to a register program whose instructions
 * run over the whole batch. An expression is immutable and may be shared; evaluation needs a scratch of its
 * own. */
#ifndef LEAT_RECORD_EXPR_H
#define LEAT_RECORD_EXPR_H
#include "base/arena.h"
#include "record/batch.h"

enum leat_value_class {
    LEAT_VALUE_NULL = 1, /* the literal null alone */
    LEAT_VALUE_BOOL,
    LEAT_VALUE_INT, /* int64_t */
    LEAT_VALUE_FLOAT, /* double */
    LEAT_VALUE_STRING, /* struct leat_sv; bytes too */
    LEAT_VALUE_TIMESTAMP, /* int64_t microseconds since the epoch */
};

struct leat_expr;
struct leat_expr_scratch;

/* The result of a batch: `count` values of the class and a null byte each (is_null[i] != 0: value undefined).
 * Exactly one of the pointers is set, by class (NULL: booleans, all of them false). Owned by the scratch,
 * valid until its next use; strings may point into the batch's rows, into the expression, or into the
 * scratch. */
struct leat_vector {
    enum leat_value_class value_class;
    uint32_t count;
    const uint8_t *is_null; /* NULL: no value is null */
    const uint8_t *booleans;
    const int64_t *integers; /* INT and TIMESTAMP */
    const double *floats;
    const struct leat_sv *strings;
};

/* Compiles `text` against records of `type`, which the expression borrows. LEAT_EEXPR: the message shows what
 * was found and expected with the column ("column 8: no field \"totl\" in order (order_id, total); did you
 * mean \"total\"?"). */
LEAT_NODISCARD int leat__expr_new(
    const char *text, const struct leat_type *type, struct leat_expr **expr, struct leat_error *err);
/* As leat__expr_new for a pair of records, such as a join condition: fields are `left.x` and `right.y` (names
 * given), a bare name must be unambiguous. Evaluated with leat__expr_eval2. */
LEAT_NODISCARD int leat__expr_new2(const char *text, const struct leat_type *left, const char *left_name,
    const struct leat_type *right, const char *right_name, struct leat_expr **expr, struct leat_error *err);
/* The same where a side may be missing, as in the results of an outer join: fields of it may then be null, whatever
 * their type says, and leat__expr_eval2 takes NULL for it. */
struct leat_expr_sides {
    const struct leat_type *left, *right;
    const char *left_name, *right_name;
    uint32_t may_miss; /* bit 0: left, bit 1: right */
};
LEAT_NODISCARD int leat__expr_new_sides(
    const char *text, const struct leat_expr_sides *sides, struct leat_expr **expr, struct leat_error *err);
void leat__expr_free(struct leat_expr *expr);

enum leat_value_class leat__expr_class(const struct leat_expr *expr);
/* Whether the result can be null. */
bool leat__expr_is_nullable(const struct leat_expr *expr);
/* Whether the result is the same for all records. */
bool leat__expr_is_constant(const struct leat_expr *expr);
/* If the expression (of one record) is nothing but a field path: the resolved place (1), else 0. For fast
 * paths and naming. Paths to arrays, maps, unions, whole records and decimals are no expressions:
 * leat_record_find. */
int leat__expr_place(const struct leat_expr *expr, struct leat_place *place);
/* The natural Avro type of the result: "boolean", "long", "double", "string", timestamp-micros; for a plain
 * field path the field's own type. */
const struct leat_type *leat__expr_type(const struct leat_expr *expr);
const char *leat__expr_text(const struct leat_expr *expr);

LEAT_NODISCARD int leat__expr_scratch_new(const struct leat_expr *expr, struct leat_expr_scratch **scratch);
void leat__expr_scratch_free(struct leat_expr_scratch *scratch);

/* Evaluates over all rows of the batch. LEAT_EOVERFLOW, LEAT_ELIMIT (regex match limit), LEAT_EDATA (a failed
 * cast): err names row and column of the text, *bad_row (may be NULL) the row. */
LEAT_NODISCARD int leat__expr_eval(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    const struct leat_batch *batch, struct leat_vector *result, uint32_t *bad_row, struct leat_error *err);
/* For leat__expr_new2 and _sides: row i of the result is about left[i] and right[i], `count` records each. */
LEAT_NODISCARD int leat__expr_eval2(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    const void *const *left, const void *const *right, uint32_t count, struct leat_vector *result,
    uint32_t *bad_row, struct leat_error *err);
/* A boolean expression as a filter: batch->keep[i] = (value is true). */
LEAT_NODISCARD int leat__expr_filter(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    struct leat_batch *batch, uint32_t *bad_row, struct leat_error *err);

/* Compiles the store of an expression's value into a field: LEAT_EEXPR where the classes do not fit (int to
 * long fits, float to long does not, nullable to not-null does not). leat__expr_store writes vector[i] into
 * row i of the batch (strings as views: the caller keeps alive what they show, or adopts). LEAT_EDATA when a
 * value does not fit (int32 range, unknown enum symbol). */
struct leat_expr_store {
    struct leat_place place;
    enum leat_value_class value_class;
};
LEAT_NODISCARD int leat__expr_store_new(const struct leat_expr *expr, const struct leat_type *to,
    const char *field, struct leat_expr_store *store, struct leat_error *err);
LEAT_NODISCARD int leat__expr_store(const struct leat_expr_store *store, const struct leat_vector *vector,
    struct leat_batch *to, uint32_t *bad_row, struct leat_error *err);
#endif
