/* state/state.h -- keyed state as operators see it: tables of (namespace, key) -> value.
 *
 * A *namespace* is a window slice or a time bucket (its start, an int64_t): data that is dropped together. A
 * table holds one of FIXED   value_size bytes per (namespace, key), zeroed when made LIST    rows of a record
 * type per (namespace, key), in order of arrival, each with a time and a byte of flags The API takes whole
 * batches: hash all, prefetch all, probe all. Today tables live in memory (state/table_memory.c: open
 * addressing, stored hash, inline short keys, one sub-table per namespace, presized from the one before).
 * RocksDB behind a write-back cache comes behind this same interface: hence every call may fail, pointers are
 * valid only until the next call on the same table, values have codecs, and everything is addressed by
 * (table, key group, namespace, key).
 *
 * One state per worker; nothing here is thread-safe. A budget in bytes covers all tables of a state together;
 * a table in memory that would go beyond it fails with LEAT_ESTATE naming node, table, bytes and the option
 * to raise. */
#ifndef LEAT_STATE_STATE_H
#define LEAT_STATE_STATE_H
#include "base/error.h"
#include "base/strbuf.h"
#include "record/batch.h"

struct leat_state;
struct leat_table;

struct leat_state_opts {
    uint64_t budget_bytes; /* 0: no limit */
    uint32_t key_groups; /* max parallelism of the job */
};
LEAT_NODISCARD int leat__state_new(const struct leat_state_opts *opts, struct leat_state **state);
void leat__state_free(struct leat_state *state);
uint64_t leat__state_bytes(const struct leat_state *state); /* in memory, all tables */

enum leat_table_kind { LEAT_TABLE_FIXED = 1, LEAT_TABLE_LIST };

/* How a FIXED value is written where it leaves memory, when its bytes alone will not do (views in it). NULL:
 * as they are. */
struct leat_value_codec {
    void *arg;
    int (*encode)(void *arg, const void *value, struct leat_strbuf *out);
    /* Memory that a decoded value shows comes from leat__table_bytes of its namespace. */
    int (*decode)(void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value);
};

struct leat_table_opts {
    const char *node; /* of the operator */
    const char *name; /* of the table, unique in the node */
    enum leat_table_kind kind;
    uint32_t key_size; /* bytes of every key, or 0 when they vary (record/key.h) */
    uint32_t value_size; /* FIXED */
    struct leat_value_codec codec; /* FIXED */
    const struct leat_type *row_type; /* LIST */
};
LEAT_NODISCARD int leat__table_open(struct leat_state *state, const struct leat_table_opts *opts,
    struct leat_table **table, struct leat_error *err);
void leat__table_close(struct leat_table *table);

/* FIXED: for i in 0..count-1, with r = rows ? rows[i] : i: values[i] = the value of keys[r] (hash hashes[r])
 * in the namespace, made zeroed where it is missing. Equal keys give equal pointers. */
LEAT_NODISCARD int leat__table_upsert(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err);
/* The same without making: values[i] = NULL where it is missing. */
LEAT_NODISCARD int leat__table_find(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err);
/* FIXED and LIST: forgets one key of a namespace; a missing one is no error. */
LEAT_NODISCARD int leat__table_remove(
    struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash, struct leat_error *err);
/* `size` bytes (aligned to 8) that live until the namespace is dropped: for views in values. NULL when out of
 * memory or budget. Unlike other calls it leaves pointers to values valid. */
void *leat__table_bytes(struct leat_table *table, int64_t ns, size_t size);

/* LIST: appends deep copies of batch rows r (as above; times[r]) to the lists of keys[r]. */
LEAT_NODISCARD int leat__table_append(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_batch *batch,
    struct leat_error *err);
struct leat_list_row {
    const struct leat_list_row *next; /* in order of arrival; NULL ends the list */
    int64_t event_us;
    const void *record;
    uint8_t *flags; /* the owner's, 0 at first; may be written */
};
/* LIST: lists[i] = the first row of keys[r], NULL where there is none. */
LEAT_NODISCARD int leat__table_lists(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_list_row **lists,
    struct leat_error *err);

/* Namespaces: drops all of one (absent: no error); the first one >= from that exists (1, with *ns), or 0; how
 * many keys it has. */
LEAT_NODISCARD int leat__table_drop(struct leat_table *table, int64_t ns, struct leat_error *err);
LEAT_NODISCARD int leat__table_next_namespace(
    struct leat_table *table, int64_t from, int64_t *ns, struct leat_error *err);
uint64_t leat__table_keys_count(struct leat_table *table, int64_t ns);
uint64_t leat__table_keys_count_all(const struct leat_table *table);

/* A walk over the keys of one namespace, some at a time: for firing. In no order unless `ordered` (by key
 * bytes, then). While a cursor is open the namespace may be changed through values, but not by upserts that
 * make keys, removes, or a drop. */
struct leat_cursor;
struct leat_cursor_item {
    struct leat_sv key; /* bytes of record/key.h */
    uint64_t hash;
    void *value; /* FIXED; LIST: const struct leat_list_row * of the first row */
};
LEAT_NODISCARD int leat__cursor_open(
    struct leat_table *table, int64_t ns, bool ordered, struct leat_cursor **cursor, struct leat_error *err);
/* Up to `max` items; how many, 0 at the end, or an error. Items are valid until the next call. */
LEAT_NODISCARD int64_t leat__cursor_next(
    struct leat_cursor *cursor, struct leat_cursor_item *items, uint32_t max, struct leat_error *err);
void leat__cursor_close(struct leat_cursor *cursor);
#endif
