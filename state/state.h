/* state/state.h -- keyed state as operators see it: tables of (namespace, key) -> value.
 *
 * A *namespace* is a window slice or a time bucket (its start, an int64_t): data that is dropped together. A
 * table holds one of
 *   FIXED   value_size bytes per (namespace, key), zeroed when made
 *   LIST    rows of a record type per (namespace, key), in order of arrival, each with a time and a byte of
 *           flags
 * The API takes whole batches: hash all, prefetch all, probe all. Tables are a write-back cache in memory
 * (open addressing, stored hash, inline short keys, one slice per namespace) over a store on disk (store.h).
 * Under the budget no call touches the store. Over it, cold parts of slices are written there as sorted runs
 * and leave memory; a namespace of which nothing ever left needs no read on a miss.
 *
 * One state per worker; nothing here is thread-safe. Pointers to values are valid only until the next call on
 * the same state (any table: any call may spill), except leat__table_bytes.
 *
 * The budget covers tables, the store's cache and memtables, and what a snapshot holds back, together. It is
 * kept but for what one call needs at once: a budget of one byte works, and spills all the time. Without a
 * store (no directory) exceeding it is LEAT_ESTATE naming node, table, bytes and the option to raise. */
#ifndef LEAT_STATE_STATE_H
#define LEAT_STATE_STATE_H
#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/task.h"
#include "record/batch.h"
#include "state/store.h"

struct leat_state;
struct leat_table;

/* What a checkpoint knows about a table, apart from its entries: the text parts of the manifest. Plain data;
 * all strings belong to whoever owns the list. */
struct leat_table_info {
    const char *node; /* name of the operator when it was saved */
    const char *name;
    const char *kind; /* "fixed", "list" */
    const char *key; /* leat_table_opts.key_text */
    const char *format; /* leat_table_opts.format: how the bytes of a FIXED value are to be read */
    const char *schema; /* Avro schema of rows or values, or NULL */
    const char *route; /* leat_table_opts.route as text: "whole", "skip 8", "first part" */
    uint32_t key_size; /* leat_table_opts.key_size */
    uint32_t prefix; /* first four bytes of its keys in the store, big-endian */
    uint64_t entries; /* at the snapshot, about; over all workers */
};

/* The part of a key that decides its key group. It is saved with the table, so that state can be split
 * without the job that wrote it. */
enum leat_route_kind {
    LEAT_ROUTE_WHOLE = 0, /* all of it */
    LEAT_ROUTE_SKIP, /* all but the first `skip` bytes (timers: time | key) */
    LEAT_ROUTE_FIRST_PART, /* the key begins with a length, u32 big-endian, and that many bytes (maps) */
};
struct leat_key_route {
    enum leat_route_kind kind;
    uint32_t skip; /* SKIP */
};
/* The part; the whole key where it is too short for its route. */
struct leat_sv leat__key_route(const struct leat_key_route *route, struct leat_sv key);

struct leat_state_opts {
    uint64_t budget_bytes; /* 0: no limit */
    uint32_t key_groups; /* max parallelism of the job */
    /* All NULL: tables in memory only, as they always can be. */
    struct leat_env *env;
    const struct leat_store_class *store_class;
    const char *dir; /* live directory of the store; made when something is first written */
    struct leat_background *background; /* NULL: tasks run at once */
    /* Begin with this. `from`: directory of this worker's store checkpoint (leat__state_split makes it when
     * the parallelism changed), NULL: nothing. Tables that are opened under a saved name take up its entries.
     */
    const char *from;
    const struct leat_table_info *tables;
    uint32_t tables_count;
};
LEAT_NODISCARD int leat__state_new(
    const struct leat_state_opts *opts, struct leat_state **state, struct leat_error *err);
void leat__state_free(struct leat_state *state); /* removes the live directory */
uint32_t leat__state_key_groups(const struct leat_state *state);
uint64_t leat__state_bytes(const struct leat_state *state); /* in memory: tables, and the store's */

/* ---- snapshots ----
 *
 *   leat__state_freeze(node)   at the barrier of each instance: its tables are kept as they are now, at a cost
 *                              that does not depend on their size (chunks are copied when they are first
 *                              written to afterwards, or when a step comes to them)
 *   leat__state_snapshot       when all instances of the worker have passed the barrier: from now on the store
 *                              can become the checkpoint
 *   leat__state_snapshot_step  between other work, until poll says that it is done: copies some dirty entries
 *                              out, hands full runs to the background
 *   leat__state_snapshot_poll  1: the checkpoint is in `dir`, or there is no keyed state at all (then no dir);
 *                              0: not yet; error: this snapshot failed
 *   leat__state_snapshot_end   always, also to give up at any moment after the first freeze: what was copied
 *                              still goes to the store, but no checkpoint is made
 *
 * One at a time. While it is under way the store takes nothing else: spills and drops wait (spills, when all
 * instances have passed, by waiting for the tasks; before, the budget is exceeded for the moment). */
void leat__state_freeze(struct leat_state *state, const char *node);
LEAT_NODISCARD int leat__state_snapshot(struct leat_state *state, const char *dir, struct leat_error *err);
/* 1: call again; 0: nothing to do before a task has ended (then call again), or ever: poll tells. */
LEAT_NODISCARD int leat__state_snapshot_step(struct leat_state *state, struct leat_error *err);
LEAT_NODISCARD int leat__state_snapshot_poll(struct leat_state *state, struct leat_error *err);
void leat__state_snapshot_end(struct leat_state *state);
struct leat_snapshot_stats {
    bool has_store; /* there is something in `dir` */
    uint64_t dirty_entries, dirty_bytes; /* written for this snapshot */
};
void leat__state_snapshot_stats(const struct leat_state *state, struct leat_snapshot_stats *stats);
/* Appends an info per open table that has ever held anything, and per saved table that nobody has opened (it
 * is kept with its entries until it is dropped: option allow_dropped_state does that). Strings in the arena.
 */
LEAT_NODISCARD int leat__state_tables(const struct leat_state *state, struct leat_arena *arena,
    struct leat_table_info **tables, uint32_t *count);

/* Rescaling. Reads the store checkpoints in `from` and writes those of `count` new workers into `to`: an
 * entry goes to the owner of its key's group (leat__key_group_owner), tables of nodes with a single subtask
 * to worker 0. Values are neither decoded nor merged. to[i] is made, or not made if it gets nothing. */
struct leat_split_opts {
    struct leat_env *env;
    const struct leat_store_class *store_class;
    const char *const *from;
    uint32_t from_count;
    const char *const *to;
    uint32_t to_count;
    uint32_t key_groups;
    const struct leat_table_info *tables;
    uint32_t tables_count;
    /* Parallelism of the table's node in the new plan: 1 or to_count. */
    uint32_t (*parallelism)(void *arg, const struct leat_table_info *table);
    void *arg;
};
LEAT_NODISCARD int leat__state_split(const struct leat_split_opts *opts, struct leat_error *err);

/* ---- tables ---- */

enum leat_table_kind { LEAT_TABLE_FIXED = 1, LEAT_TABLE_LIST };

/* How a FIXED value is written where it leaves memory, when its bytes alone will not do (views in it). encode
 * and decode are used on the worker; merge on any thread, so it may only read what arg shows. */
struct leat_value_codec {
    void *arg;
    int (*encode)(void *arg, const void *value, struct leat_strbuf *out); /* NULL: the bytes as they are */
    /* Memory that a decoded value shows comes from leat__table_bytes of its namespace. */
    int (*decode)(void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value);
    /* Appends what two encoded values of one key are together, of which the second began at zero when the
     * first was put aside. NULL: values can not be merged, and a miss always reads. */
    int (*merge)(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out);
};

struct leat_table_opts {
    const char *node; /* of the operator */
    const char *name; /* of the table, unique in the node */
    enum leat_table_kind kind;
    uint32_t key_size; /* bytes of every key, or 0 when they vary (record/key.h) */
    uint32_t value_size; /* FIXED */
    struct leat_value_codec codec; /* FIXED */
    const struct leat_type
        *row_type; /* LIST: rows are saved in Avro (with a store it must have its schema text) and
                       resolved when that has changed */
    /* What the key is ("customer_id string, region string"): saved, and compared when the table is restored.
     */
    const char *key_text;
    /* How FIXED values are to be read, or where rows are: saved, and compared. NULL only in tests without a
     * store. */
    const char *format;
    /* Called instead of failing when the saved format or schema of values differs: 0 if decode will cope with
     * values of the saved one, LEAT_ESCHEMA with the reason otherwise. All saved values are then decoded and
     * encoded anew before the table is open: later calls of decode see today's format only. NULL: must be
     * equal. */
    int (*accept_format)(
        void *arg, const char *saved_format, const char *saved_schema, struct leat_error *err);
    /* The same where the format is equal and only the schema differs; accept_format is not asked then. */
    int (*accept_schema)(void *arg, const char *saved_schema, struct leat_error *err);
    const char *schema; /* Avro schema text of what values hold, for the manifest and accept_...; or NULL */
    struct leat_key_route route; /* zero: the whole key */
    bool counted; /* whether its keys count in leat_node_metrics.state_keys (timers do not) */
};
/* LEAT_ESCHEMA when a saved table of this node and name does not fit: the text names both sides. */
LEAT_NODISCARD int leat__table_open(struct leat_state *state, const struct leat_table_opts *opts,
    struct leat_table **table, struct leat_error *err);
void leat__table_close(struct leat_table *table);

/* FIXED: for i in 0..count-1, with r = rows ? rows[i] : i: values[i] = the value of keys[r] (hash hashes[r])
 * in the namespace, made zeroed where it is missing. Equal keys give equal pointers. The values count as
 * written. hashes[r] is leat__hash of the whole key bytes, whatever the route (only in a state without a store
 * would any hash do that is equal for equal keys). */
LEAT_NODISCARD int leat__table_upsert(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err);
/* The same for callers that only add to values and never look at them: with codec.merge, a value that is not
 * in memory is not read but begun at zero, and merged by whoever looks at it later. */
LEAT_NODISCARD int leat__table_upsert_blind(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err);
/* The same without making: values[i] = NULL where it is missing. The values must not be written. */
LEAT_NODISCARD int leat__table_find(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err);
/* A hint that a key with this hash will be asked for soon: where it would be is brought near. */
void leat__table_prefetch(const struct leat_table *table, int64_t ns, uint64_t hash);
/* FIXED and LIST: forgets one key of a namespace; a missing one is no error. */
LEAT_NODISCARD int leat__table_remove(
    struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash, struct leat_error *err);
/* The same for one key, with less ado. */
LEAT_NODISCARD int leat__table_find_one(struct leat_table *table, int64_t ns, struct leat_sv key,
    uint64_t hash, void **value, struct leat_error *err);
/* FIXED: for callers that find, look, and then write after all. The version before the find; later, with the value that it
 * gave: 1, the value may be written and counts as written; 0, it has moved: upsert it. Only of values that show no
 * leat__table_bytes. */
uint64_t leat__table_version(struct leat_table *table, int64_t ns);
LEAT_NODISCARD int leat__table_rewrite(
    struct leat_table *table, int64_t ns, uint64_t version, void *value, struct leat_error *err);
/* `size` bytes (aligned to 8) that live as long as the value that shows them: until the namespace is dropped
 * or spilled. For views in values, between an upsert and the next call. NULL when out of memory (or, without
 * a store, of budget). Unlike other calls it leaves pointers to values valid. */
void *leat__table_bytes(struct leat_table *table, int64_t ns, size_t size);
/* So many of them are shown by no value any more. Once half of a namespace's are of no use, a later call puts it
 * together anew. */
void leat__table_bytes_free(struct leat_table *table, int64_t ns, size_t size);

/* LIST: appends deep copies of batch rows r (as above; times[r]) to the lists of keys[r]. Never reads. */
LEAT_NODISCARD int leat__table_append(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_batch *batch,
    struct leat_error *err);
/* The same with flags[r] for the rows instead of 0. */
LEAT_NODISCARD int leat__table_append_flagged(struct leat_table *table, int64_t ns,
    const struct leat_sv *keys, const uint64_t *hashes, const uint32_t *rows, uint32_t count,
    const struct leat_batch *batch, const uint8_t *flags, struct leat_error *err);
struct leat_list_row {
    const struct leat_list_row *next; /* in order of arrival; NULL ends the list */
    int64_t event_us;
    const void *record;
    uint8_t *flags; /* the owner's, 0 at first; whoever changes it calls leat__table_flagged */
};
/* LIST: lists[i] = the first row of keys[r], NULL where there is none. */
LEAT_NODISCARD int leat__table_lists(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_list_row **lists,
    struct leat_error *err);
/* LIST: flags of rows of this key are about to change: before the first change of each visit. Like
 * leat__table_bytes it leaves pointers valid. */
LEAT_NODISCARD int leat__table_flagged(
    struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash, struct leat_error *err);

/* LIST: takes one row out of the list of a key, which leat__table_lists has given: the one behind `before`, or the
 * first (NULL). With the last one goes the key. Between the two only flags may be changed and rows cut. Like
 * leat__table_bytes it leaves pointers to other rows valid; no cursor may be open. */
LEAT_NODISCARD int leat__table_cut(struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash,
    const struct leat_list_row *before, struct leat_error *err);

/* LIST: puts a deep copy of a row of the batch (flags 0) into the list of a key, which leat__table_lists has given and
 * which is not empty: behind `before`, or as the first (NULL). If it `replaces`, the row behind `gone_before`, or the
 * first, goes: not `before` itself. Ends like any other call: no pointer to a row is good any more. Between the two
 * only flags may be changed. */
struct leat_list_put {
    const struct leat_batch *batch;
    uint32_t row;
    bool replaces;
    const struct leat_list_row *before, *gone_before;
};
LEAT_NODISCARD int leat__table_put(struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash,
    const struct leat_list_put *put, struct leat_error *err);

/* LIST: of the first two rows of a list that are both not later than until_us the older one goes (of one time
 * the first), again and again; for all keys of the rows. A key keeps its last row. */
LEAT_NODISCARD int leat__table_prune(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, int64_t until_us, struct leat_error *err);

/* Namespaces: drops all of one (absent: no error); the first one >= from that exists (1, with *ns; it leaves
 * pointers valid), or 0; how
 * many keys it has: exact while all of it is in memory, else an estimate in both directions, for figures only
 * (what was made blindly counts although it may be there; after a restore what was removed while the checkpoint
 * was being written does not). */
LEAT_NODISCARD int leat__table_drop(struct leat_table *table, int64_t ns, struct leat_error *err);
LEAT_NODISCARD int leat__table_next_namespace(
    struct leat_table *table, int64_t from, int64_t *ns, struct leat_error *err);
uint64_t leat__table_keys_count(struct leat_table *table, int64_t ns);
uint64_t leat__table_keys_count_all(const struct leat_table *table);

/* A walk over the keys of one namespace, some at a time: for firing. In no order unless ORDERED (by key
 * bytes, then). While a cursor is open the namespace may be changed through the items of the last call, but
 * not by upserts that make keys, removes, or a drop. */
enum leat_cursor_flags {
    LEAT_CURSOR_ORDERED = 1,
    LEAT_CURSOR_READ = 2, /* items are not written to, or what is written need not be kept */
    LEAT_CURSOR_FOR_TABLES =
        4, /* hashes will do for calls on tables; but they are not leat__hash of the key */
};
struct leat_cursor;
struct leat_cursor_item {
    struct leat_sv key; /* bytes of record/key.h */
    uint64_t
        hash; /* as it was given by upsert: leat__hash of the whole key, whatever the route (see FOR_TABLES) */
    void *value; /* FIXED; LIST: const struct leat_list_row * of the first row */
};
LEAT_NODISCARD int leat__cursor_open(struct leat_table *table, int64_t ns, uint32_t flags,
    struct leat_cursor **cursor, struct leat_error *err);
/* Up to `max` items; how many, 0 at the end, or an error. Items are valid until the next call. */
LEAT_NODISCARD int64_t leat__cursor_next(
    struct leat_cursor *cursor, struct leat_cursor_item *items, uint32_t max, struct leat_error *err);
/* Before the first call of next, if its caller wishes: a piece of the work that ORDERED makes. 1: there is more of it,
 * which next would do at once; 0: there is none. */
int leat__cursor_prepare(struct leat_cursor *cursor);
/* Whether all of the namespace is in memory, where the cursor keeps it: then keys and lists of all items stay valid
 * until it is closed, whatever is called meanwhile that leaves the namespace alone. */
bool leat__cursor_pins(const struct leat_cursor *cursor);
void leat__cursor_close(struct leat_cursor *cursor);
#endif
