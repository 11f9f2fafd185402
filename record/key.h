/* record/key.h -- keys: from records to canonical bytes and their stable hash.
 *
 * The bytes of a key decide its hash, its key group, its place in state and its order. They are stable:
 *   boolean                       1 byte, 0 or 1
 *   int, long, enum, date, time, timestamp-*   8 bytes big-endian of the value (enum: its symbol as a string)
 *                                 with the sign bit flipped; timestamps as they are stored, unit unchanged
 *   float, double                 8 bytes of the double, -0.0 as 0.0, NaN as one NaN, ordered
 *   string, bytes, fixed, enum    alone: the bytes; in a composite: each 0x00 as 0x00 0xFF, and 0x00 0x00
 *                                 behind them
 *
 * Byte order is the order of the values. Composite keys are the parts in a row: different keys never collide.
 * Decimals are no keys: one value has several byte strings.
 *
 * Null: with nulls = GROUP each nullable field is preceded by 0x01 (value) or is 0x00 (null, first in the
 * order); with nulls = SKIP nothing is added, so that a nullable and a not-null field agree, and a key with
 * any null part has key->data == NULL: joins match it with nothing. */
#ifndef LEAT_RECORD_KEY_H
#define LEAT_RECORD_KEY_H
#include "base/arena.h"
#include "record/batch.h"
#include <leat/type.h>

enum leat_key_nulls { LEAT_KEY_NULLS_GROUP = 1, LEAT_KEY_NULLS_SKIP };

struct leat_ctx;
/* A user's key: writes `keys[i]` for each row; the bytes must live as long as the batch. */
typedef void (*leat_key_batch_fn)(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys);

struct leat_key; /* immutable */
struct leat_key_scratch;
struct leat_expr;

/* `text`: "customer_id", "customer_id, region", "lower(email) as email, floor(price / 100)": parts separated by
 * commas. What is a name, or names and dots, is the path of a field; all else is an expression of one record
 * (record/expr.h). `as` gives a part a name for those who show keys. LEAT_EDECLARE for an unknown field (with near
 * miss) or one of a kind that can not be a key (array, map, union, record), LEAT_EEXPR for an expression, with the
 * column in the whole text. */
LEAT_NODISCARD int leat__key_new(const struct leat_type *type, const char *text, enum leat_key_nulls nulls,
    struct leat_key **key, struct leat_error *err);
/* A key from a callback. `name` is for plans. */
LEAT_NODISCARD int leat__key_new_fn(const struct leat_type *type, const char *name, leat_key_batch_fn fn,
    struct leat_key **key, struct leat_error *err);
void leat__key_free(struct leat_key *key);
/* Whether equal values always give equal bytes for both: needed on the two sides of a join. `err` names the
 * first pair of parts that differs in class (string against number). */
LEAT_NODISCARD int leat__key_compatible(
    const struct leat_key *a, const struct leat_key *b, struct leat_error *err);
/* "customer_id, lower(email)": without names, and each expression spelled in one way, however it was written. Of two
 * keys about one record type that are not callbacks: equal texts are equal keys. */
const char *leat__key_text(const struct leat_key *key);
const char *leat__key_named_text(const struct leat_key *key); /* "customer_id, lower(email) as email" */
/* Whether a callback makes it: then its text says nothing about its bytes. */
bool leat__key_is_fn(const struct leat_key *key);
/* Bytes of every key, 0 when they vary. 8 for a single number. */
uint32_t leat__key_fixed_size(const struct leat_key *key);

struct leat_key_part {
    const char *text; /* of this part, as in leat__key_text */
    const char *as; /* the name that was given, or NULL */
    const char *name; /* that, or the last step of a field's path; NULL: an expression without a name */
    const struct leat_type *type;
    bool is_nullable;
    const struct leat_expr *expr; /* NULL: a field, at `place` */
    struct leat_place place;
};
uint32_t leat__key_parts_count(const struct leat_key *key); /* 0: a callback */
struct leat_key_part leat__key_part(const struct leat_key *key, uint32_t i);

/* A scratch may serve several keys; it lives no longer than they. */
LEAT_NODISCARD int leat__key_scratch_new(struct leat_key_scratch **scratch);
void leat__key_scratch_free(struct leat_key_scratch *scratch);
/* The keys of all rows: (*keys)[i], valid until the scratch's next use and as long as the batch. A null key
 * (SKIP) has data == NULL. `ctx` is handed to the callback. A row for which an expression fails (a division by zero)
 * is bad: data == NULL, too, but leat__key_is_bad, and leat__key_bad_rows counts them. */
LEAT_NODISCARD int leat__key_eval(const struct leat_key *key, struct leat_key_scratch *scratch,
    struct leat_ctx *ctx, const struct leat_batch *batch, const struct leat_sv **keys);
uint32_t leat__key_bad_rows(const struct leat_key_scratch *scratch);
static inline bool leat__key_is_bad(struct leat_sv key)
{
    return !key.data && key.len;
}
/* Why row `row` is bad: sets err and returns its code. What leat__key_eval gave is gone then, but for whether keys
 * are null or bad. */
int leat__key_explain(const struct leat_key *key, struct leat_key_scratch *scratch,
    const struct leat_batch *batch, uint32_t row, struct leat_error *err);
/* batch->key_hash[i] = leat__hash of keys[i]; a null key hashes to 0. */
void leat__key_hash(const struct leat_sv *keys, struct leat_batch *batch);
#endif
