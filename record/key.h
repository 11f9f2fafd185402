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

enum leat_key_nulls { LEAT_KEY_NULLS_GROUP = 1, LEAT_KEY_NULLS_SKIP };

struct leat_ctx;
/* A user's key: writes `keys[i]` for each row; the bytes must live as long as the batch. */
typedef void (*leat_key_batch_fn)(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys);

struct leat_key; /* immutable */
struct leat_key_scratch;

/* `fields`: "customer_id" or "customer_id, region" (paths, separated by commas). LEAT_EDECLARE for an unknown
 * field (with near miss) or one of a kind that can not be a key (array, map, union, record). */
LEAT_NODISCARD int leat__key_new(const struct leat_type *type, const char *fields, enum leat_key_nulls nulls,
    struct leat_key **key, struct leat_error *err);
/* A key from a callback. `name` is for plans. */
LEAT_NODISCARD int leat__key_new_fn(const struct leat_type *type, const char *name, leat_key_batch_fn fn,
    struct leat_key **key, struct leat_error *err);
void leat__key_free(struct leat_key *key);
/* Whether equal values always give equal bytes for both: needed on the two sides of a join. `err` names the
 * first pair of parts that differs in class (string against number). */
LEAT_NODISCARD int leat__key_compatible(
    const struct leat_key *a, const struct leat_key *b, struct leat_error *err);
const char *leat__key_text(const struct leat_key *key); /* "customer_id, region" */
/* Whether a callback makes it: then its text says nothing about its bytes. */
bool leat__key_is_fn(const struct leat_key *key);
/* Bytes of every key, 0 when they vary. 8 for a single number. */
uint32_t leat__key_fixed_size(const struct leat_key *key);

LEAT_NODISCARD int leat__key_scratch_new(struct leat_key_scratch **scratch);
void leat__key_scratch_free(struct leat_key_scratch *scratch);
/* The keys of all rows: (*keys)[i], valid until the scratch's next use and as long as the batch. A null key
 * (SKIP) has data == NULL. `ctx` is handed to the callback. */
LEAT_NODISCARD int leat__key_eval(const struct leat_key *key, struct leat_key_scratch *scratch,
    struct leat_ctx *ctx, const struct leat_batch *batch, const struct leat_sv **keys);
/* batch->key_hash[i] = leat__hash of keys[i]; a null key hashes to 0. */
void leat__key_hash(const struct leat_sv *keys, struct leat_batch *batch);
#endif
