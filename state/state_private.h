/* state/state_private.h -- how keyed state lies in memory; see README.md for the picture.
 *
 * state   the budget, the blocks that dropped namespaces left behind (state.c), the store and what is to be
 *         done to it (queue.c), the snapshot under way (snapshot.c)
 * table   its namespaces in order (table_memory.c)
 * slice   one namespace of a table: an open-addressing array of slots and an arena (table_memory_slice.c); while it
 *         grows, two arrays (table_memory_grow.c)
 * slot    hash and flags, key, value; probed a batch at a time (table_memory_probe.c)
 * run     entries on their way to the store (run.c, entry.c)
 * flat    the same of a whole namespace (flat.c) */
#ifndef LEAT_STATE_STATE_PRIVATE_H
#define LEAT_STATE_STATE_PRIVATE_H
#include "base/assert.h"
#include "record/avro.h"
#include "record/copy.h"
#include "state/state.h"

/* Sizes of blocks come in classes, eight to each power of two: slot arrays of up to 128-byte slots fit
 * exactly. */
#define LEAT__BLOCK_CLASSES (8u * 64u)

/* Memory of a slice. Its data starts at a cache line, right behind this header. */
struct leat__block {
    struct leat__block *next; /* in its slice or its class */
    struct leat__block *prev; /* in its class */
    struct leat__block *older, *newer; /* while free: in order of release */
    size_t size; /* of the data */
    uint32_t size_class;
    uint32_t unused;
    size_t clean; /* so many bytes from the first on are zero; any number while the block is in use */
    uint64_t unused_too;
};
_Static_assert(sizeof(struct leat__block) == 64, "the data behind a header lies at a cache line");

static inline unsigned char *leat__block_data(struct leat__block *block)
{
    return (unsigned char *)(block + 1);
}

/* What the low bits of a slot's hash say. Without a store they are all zero. */
enum leat__slot_flags {
    LEAT__DIRTY = 1, /* to be written; EPOCH says since when */
    LEAT__PARTIAL = 2, /* began with nothing while the store may have more: the two belong together */
    LEAT__STORED = 4, /* the store may have something of this key */
    LEAT__VOID = 8, /* what the store has of this key is void. FIXED: there is no such key */
    LEAT__EPOCH = 16 | 32, /* of the table when the slot became dirty */
    LEAT__EPOCH_ONE = 16,
    LEAT__USED = 64, /* more than once since it was made or since spilling last came by */
    LEAT__FLAGS = 127,
};

/* One sorted run on its way to the store. Entries of one table and namespace are a group. */
#define LEAT__STORE_HEAD 12u /* bytes before a key in the store: prefix, namespace */
struct leat__run_group {
    char head[LEAT__STORE_HEAD];
    uint32_t index;
};
struct leat__run_entry {
    uint64_t order; /* first 8 bytes of the key */
    uint64_t offset; /* in data: head, key, value */
    uint32_t group;
    uint32_t write;
    uint32_t key_len; /* with the head */
    uint32_t value_len;
};
struct leat__run {
    struct leat_strbuf data;
    struct leat__run_entry *entries;
    uint32_t count, capacity;
    struct leat__run_group *groups;
    uint32_t groups_count, groups_capacity;
    uint32_t group; /* of the entries that are added now */
};

/* All keys of a namespace, 8 bytes each, with values of one size: rows of key and value, in blocks (flat.c). */
struct leat__flat_item { /* while it is sorted */
    uint64_t order;
    uint64_t index;
};
struct leat__flat {
    unsigned char **blocks, *at;
    uint32_t blocks_count, blocks_capacity;
    uint32_t stride, raw_size;
    bool is_sequence; /* values may be merged in the store */
    char head[LEAT__STORE_HEAD];
    uint64_t count;
    uint64_t chunk; /* the next 64 slots */
};

/* What is to be done to the store, in order (queue.c). */
enum leat__op_kind { LEAT__OP_RUN = 1, LEAT__OP_FLAT, LEAT__OP_FORGET, LEAT__OP_CHECKPOINT };
struct leat__op {
    struct leat__op *next;
    enum leat__op_kind kind;
    struct leat__run *run;
    struct leat__flat *flat;
    uint64_t bytes; /* of these two */
    char from[LEAT__STORE_HEAD + 1], to[LEAT__STORE_HEAD + 1]; /* FORGET, FLAT */
    uint32_t from_len, to_len;
    char *dir; /* CHECKPOINT */
    struct leat_strbuf meta; /* CHECKPOINT: saved with it */
};
struct leat__queue {
    struct leat_task task;
    struct leat__op *waiting, **waiting_end; /* the worker's */
    struct leat__op *under_way; /* the task's until it is done */
    bool busy;
    uint32_t runs, forgets, checkpoints; /* waiting or under way */
    uint64_t bytes; /* of their runs */
    uint32_t cancelled; /* atomic: checkpoints are not to be made any more */
    bool checkpoint_made;
    struct leat_error task_error; /* the task's */
};

enum leat__snapshot_phase {
    LEAT__SNAPSHOT_NONE = 0,
    LEAT__SNAPSHOT_FREEZING, /* some tables are frozen */
    LEAT__SNAPSHOT_COLLECTING, /* all that belong to it are */
    LEAT__SNAPSHOT_WRITING, /* everything is in the queue */
    LEAT__SNAPSHOT_MADE,
};
/* What a checkpoint says of a namespace. */
struct leat__ns_count {
    uint32_t prefix;
    int64_t ns;
    uint64_t keys;
};

struct leat__snapshot {
    enum leat__snapshot_phase phase;
    char *dir;
    struct leat_table *table; /* where collecting has come to */
    int64_t ns;
    uint64_t chunk, layout; /* the next 64 slots */
    bool in_slice;
    struct leat_snapshot_stats stats;
    struct leat__op *forgets; /* drops that wait for its end */
};

struct leat_state {
    uint64_t budget_bytes; /* of what tables have in memory; 0: no limit */
    uint64_t used_bytes; /* blocks in slices, and the tables' own */
    uint64_t cached_bytes; /* free blocks */
    uint64_t peak_bytes; /* the most that was used since a namespace was last dropped */
    uint64_t keep_bytes; /* used + cached beyond this is not worth keeping */
    uint32_t key_groups;
    uint32_t tables_count;
    struct leat__block *free[LEAT__BLOCK_CLASSES];
    struct leat__block *oldest, *newest; /* of all free blocks */
    uint32_t soiled; /* free blocks that are large and not all zero */
    size_t grow_at_once; /* arrays of more bytes move a piece at a time */
    uint64_t garbage_min; /* bytes: less of them are left where they are */
    uint64_t compact_at_once; /* slots: what more of them show moves a piece at a time */

    /* All zero without a store. */
    struct leat_env *env;
    const struct leat_store_class *store_class;
    struct leat_background *background;
    char *dir;
    uint64_t store_bytes; /* the store's part of the budget */
    size_t run_bytes; /* a run is full then; without a budget it grows with what is used (snapshot.c) */
    struct leat_store *store; /* atomic: opened with the first write, by whoever makes it */
    struct leat_error broken; /* the store's first failure: sticky */
    struct leat_arena saved_arena;
    struct leat_table_info *saved; /* what the checkpoint had */
    bool *saved_taken;
    uint32_t saved_count;
    struct leat__ns_count *saved_keys; /* sorted */
    uint64_t saved_keys_count;
    struct leat_table *tables; /* in order of opening */
    struct leat__merger *mergers; /* atomic: list that only grows, for the store's merges */
    int64_t step_work; /* of a step of a snapshot, in about 10 ns */
    uint64_t whole_keys_min; /* smaller namespaces are never collected as a whole: merging them is nothing */
    uint32_t segment; /* of lists: that of the writes of today */
    bool has_lists;
    uint64_t tick;
    struct leat__run *run; /* being filled, or NULL */
    struct leat__queue queue;
    struct leat__snapshot snapshot;
    struct leat__slice *ghosts; /* dropped since their tables were frozen, not collected yet */
    struct leat_strbuf scratch, merged; /* encoded values */
    struct leat__fetch *fetch; /* memory of fetch.c */
};

/* A block of at least `size` bytes, not zeroed, charged to the state. LEAT_ESTATE beyond the budget,
 * LEAT_ENOMEM. */
LEAT_NODISCARD int leat__block_get(
    struct leat_table *table, size_t size, struct leat__block **block, struct leat_error *err);
void leat__block_give(struct leat_state *state, struct leat__block *block);
/* The same where the first `clean` bytes are zero. */
void leat__block_give_clean(struct leat_state *state, struct leat__block *block, size_t clean);
/* Zeroes the first `size` bytes of a block that was just got, but for those that are known to be zero. */
void leat__block_zero(struct leat__block *block, size_t size);
/* Some of the work of that for free blocks, ahead of time: about `bytes`. */
void leat__blocks_clean(struct leat_state *state, size_t bytes);
/* Whether getting a zeroed block takes at most `most` bytes of zeroing and none of the system. */
bool leat__block_is_ready(const struct leat_state *state, size_t size, size_t most);
/* A namespace is gone: lets what is kept for the next one shrink to what the last ones needed. */
void leat__state_relax(struct leat_state *state);

#define LEAT__KEY_INLINE_MAX 20u

/* What stands before a value. Free slots are all zero; a stored hash never is (leat__stored_hash). */
struct leat__slot_int { /* keys of 8 bytes, as they are */
    uint64_t hash;
    uint64_t key;
};
struct leat__slot_bytes { /* all others */
    uint64_t hash;
    uint32_t len;
    char head[4]; /* with `tail`, the whole key up to LEAT__KEY_INLINE_MAX bytes */
    union {
        char tail[16];
        const char *data; /* a longer one lies in the slice's arena */
    } at;
};
_Static_assert(sizeof(struct leat__slot_bytes) == 32, "20 bytes of key in half a cache line");
_Static_assert(offsetof(struct leat__slot_bytes, at) == offsetof(struct leat__slot_bytes, head) + 4,
    "head and tail are one run of bytes");

/* The array that a slice had before it began to grow: what of its keys has not moved yet. A key belongs to the array
 * that its home there says: with (home - start) mod capacity < moved to the new one, else to this one. */
struct leat__old_slots {
    unsigned char *slots;
    struct leat__block *block;
    uint64_t *marks;
    uint64_t capacity; /* 0: the slice is not growing */
    uint64_t start, moved;
    uint32_t shift;
};

/* The arena of a slice on its way to a new one (compact.c). */
struct leat__spare { /* memory of one value, in both forms */
    void *value;
    struct leat_strbuf bytes;
};
struct leat__compaction {
    struct leat__block *chunks; /* the old one */
    uint64_t at; /* slots before this one do not show it any more */
    struct leat__spare spare;
};

struct leat__slice {
    int64_t ns;
    unsigned char *slots; /* NULL when capacity is 0: all is in the store */
    uint64_t salt; /* odd: position = hash * salt >> shift; differs between tables and namespaces, so that
                      rows which leave one in slot order do not fill another from one end */
    uint32_t shift;
    uint32_t cursors_open; /* that walk over slots: they may not move */
    uint64_t capacity; /* slots, a power of two, or 0 */
    uint64_t count, limit; /* slots taken, in both arrays, and how many may be before the array grows */
    struct leat__block *slots_block;
    struct leat__old_slots old;
    struct leat__block *chunks; /* of the arena, newest first */
    char *arena_at, *arena_end;
    size_t chunk_bytes; /* of the next chunk */
    uint64_t garbage; /* bytes of the arena that are of no use, about */
    struct leat__compaction *compaction; /* or NULL */
    struct leat__slice *next_free; /* or the next ghost */

    uint64_t keys; /* in memory and in the store; at most, where the store has some unseen */
    /* With a store: */
    bool incomplete; /* the store has keys that are not in memory */
    bool stored; /* it has keys of this namespace at all */
    bool too_large; /* to be loaded whole */
    uint32_t walks_open; /* cursors that go by keys */
    uint64_t bytes; /* of its blocks */
    uint64_t dirty; /* slots */
    uint64_t version; /* changes when slots move, come from the store or leave */
    uint64_t layout; /* changes when all slots move */
    uint64_t tick; /* when it was used last */
    uint64_t hand; /* where spilling goes on */
    uint64_t *marks; /* a bit per 64 slots: some of them may be dirty */
    struct leat__flat *flat; /* being collected as a whole, or NULL */
    struct leat_table *table;
};

/* The value of a LIST key. */
struct leat__list {
    struct leat_list_row *first, *last;
    /* Only with a store: */
    struct leat_list_row *unwritten; /* the first that is not in the store; NULL: all are */
    uint64_t flagged; /* flags of rows that are there have changed */
};
#define LEAT__LIST_BYTES_MEMORY offsetof(struct leat__list, unwritten)

/* Tables whose values the store may merge; read by its threads. */
struct leat__merger {
    struct leat__merger *next;
    uint32_t prefix;
    uint32_t users; /* atomic */
    uint32_t gone; /* atomic */
    struct leat_value_codec codec;
};

struct leat_table {
    struct leat_state *state;
    char *node, *name;
    enum leat_table_kind kind;
    bool int_keys;
    bool straddles; /* slots may lie across two cache lines */
    uint32_t key_size, value_size; /* value_size: rounded up to 8 */
    uint32_t head_size; /* of a slot, before the value */
    uint32_t slot_size;
    struct leat_value_codec codec;
    uint64_t salt; /* of the names: the same in every run */
    struct leat_copier *copier; /* LIST */
    uint32_t row_size; /* LIST: of the record */
    const struct leat_type *row_type;
    void **values; /* LIST: the batch's lists */
    uint32_t values_capacity;
    struct leat__slice **slices; /* slices_count from slices_head, by namespace */
    uint32_t slices_head, slices_count, slices_capacity;
    struct leat__slice *last; /* used last, or NULL */
    struct leat__slice *slices_free;
    struct leat_cursor *cursors_free;
    uint64_t keys_count;
    uint64_t keys_expected; /* in the next namespace: from those that were dropped */

    /* With a store: */
    struct leat_table *next;
    uint32_t prefix;
    uint32_t raw_size; /* of a FIXED value as the bytes it is */
    uint32_t dirty_flags; /* DIRTY and the epoch of today */
    uint32_t epochs_open; /* epochs since all older dirty slots were collected */
    bool frozen; /* belongs to the snapshot, and collecting has not ended */
    bool ever_held; /* anything */
    struct leat__merger *merger;
    struct leat_encoder *encoder; /* LIST */
    struct leat_decoder *decoder;
    struct leat_pool *pool;
    char *key_text, *format, *schema;
    struct leat_key_route route;
    struct leat_cursor *walks; /* open ones */
    struct leat__slice *bytes_into; /* while decoding: where leat__table_bytes takes from */
};

struct leat__sorted_key {
    uint64_t prefix; /* first 8 bytes */
    uint64_t slot;
};

/* Sorting, for as long as it takes. */
enum leat__sort_phase {
    LEAT__SORT_NONE,
    LEAT__SORT_GATHER, /* from slot `at` on */
    LEAT__SORT_RUNS, /* short ones, from key `at` on */
    LEAT__SORT_MERGE, /* pairs of runs of `width` keys; of the pair at `at` so far left and right */
    LEAT__SORT_DONE,
};
struct leat__sort {
    enum leat__sort_phase phase;
    struct leat__sorted_key *from, *to;
    uint64_t count, at, width, left, right;
};

/* What was given of a walk and lies in its scratch memory only. */
struct leat__walk_item {
    struct leat_sv key;
    uint64_t hash;
    void *value; /* FIXED; LIST: the first row */
    size_t before, before_len; /* in walk->before: the value, or flags, as it was given */
};

/* A walk by keys over memory and store together (cursor_walk.c). */
struct leat__walk {
    struct leat_store_iter *iter;
    struct leat_sv key, value; /* the entry it stands at */
    struct leat_sv bare; /* its key as tables know it */
    bool at_entry;
    bool fresh; /* memory and store are read as `version` has them */
    uint64_t version, layout;
    struct leat_strbuf bare_bytes, last, before, after;
    bool any; /* `last` is the key that was given last */
    struct leat__slice *scratch; /* of what was given last */
    struct leat__walk_item *items;
    uint32_t items_count, items_capacity;
    struct leat_cursor *next; /* of the table's */
};

struct leat_cursor {
    struct leat_table *table;
    struct leat__slice *slice; /* NULL: no such namespace */
    uint32_t flags;
    bool pins; /* the slice's slots */
    uint64_t at; /* the next slot, or the next of `sorted` */
    uint64_t sorted_count;
    const struct leat__sorted_key *sorted; /* NULL: free order */
    struct leat__sort sort;
    struct leat__block *blocks[2];
    struct leat_cursor *next_free;
    struct leat__walk *walk; /* NULL: all is in memory */
};

static inline uint64_t leat__stored_hash(uint64_t hash)
{
    hash &= ~(uint64_t)LEAT__FLAGS;
    return hash ? hash : LEAT__FLAGS + 1;
}

static inline uint64_t leat__slot_word(const unsigned char *slot)
{
    return *(const uint64_t *)(const void *)slot;
}

static inline void leat__slot_set_word(unsigned char *slot, uint64_t word)
{
    *(uint64_t *)(void *)slot = word;
}

static inline uint64_t leat__slice_home(const struct leat__slice *slice, uint64_t stored_hash)
{
    return (stored_hash * slice->salt) >> slice->shift;
}

/* Where the probe of a key goes. */
struct leat__path {
    unsigned char *slots;
    uint64_t home, mask;
};
static inline __attribute__((always_inline)) struct leat__path leat__slice_path(
    const struct leat__slice *slice, uint64_t stored_hash, bool growing)
{
    const uint64_t spread = stored_hash * slice->salt;
    if (growing) {
        const uint64_t home = spread >> slice->old.shift, mask = slice->old.capacity - 1;
        if (((home - slice->old.start) & mask) >= slice->old.moved)
            return (struct leat__path){ slice->old.slots, home, mask };
    }
    return (struct leat__path){ slice->slots, spread >> slice->shift, slice->capacity - 1 };
}

static inline struct leat_sv leat__slot_key(const struct leat_table *table, const unsigned char *slot)
{
    if (table->int_keys) {
        const struct leat__slot_int *s = (const struct leat__slot_int *)(const void *)slot;
        return (struct leat_sv){ (const char *)&s->key, sizeof s->key };
    }
    const struct leat__slot_bytes *s = (const struct leat__slot_bytes *)(const void *)slot;
    return (struct leat_sv){ s->len > LEAT__KEY_INLINE_MAX
            ? s->at.data
            : (const char *)s + offsetof(struct leat__slot_bytes, head),
        s->len };
}

static inline void *leat__slot_value(const struct leat_table *table, unsigned char *slot)
{
    return slot + table->head_size;
}

/* The slice of a namespace: NULL when there is none / made where it is missing. */
struct leat__slice *leat__slice_find(struct leat_table *table, int64_t ns);
LEAT_NODISCARD int leat__slice_make(
    struct leat_table *table, int64_t ns, struct leat__slice **slice, struct leat_error *err);
/* An empty slice with room for `keys_expected` keys, and its end. */
LEAT_NODISCARD int leat__slice_new(struct leat_table *table, int64_t ns, uint64_t keys_expected,
    struct leat__slice **slice, struct leat_error *err);
void leat__slice_free(struct leat_table *table, struct leat__slice *slice);
/* Twice the slots. All pointers into slots are void afterwards. A large array moves in pieces, which those who make
 * keys ask for. */
LEAT_NODISCARD int leat__slice_grow(
    struct leat_table *table, struct leat__slice *slice, struct leat_error *err);
/* A zeroed array of `capacity` slots; the slice has it from now on. */
LEAT_NODISCARD int leat__slots_get(
    struct leat_table *table, uint64_t capacity, struct leat__block **block, struct leat_error *err);
void leat__slice_use(
    const struct leat_table *table, struct leat__slice *slice, struct leat__block *block, uint64_t capacity);
/* Before `keys` are made: moves what of the old array has to be moved until then. Pointers into slots are void. */
void leat__slice_move(struct leat_table *table, struct leat__slice *slice, uint64_t keys);
void leat__slice_settle(struct leat_table *table, struct leat__slice *slice); /* all of it */
/* About so many slots of the old array of a slice that is collected as a whole: each is taken before it moves. */
LEAT_NODISCARD int leat__slice_take_and_move(
    struct leat_table *table, struct leat__slice *slice, uint64_t count, struct leat_error *err);
/* `size` bytes of the slice's arena, aligned to 8; NULL with the reason in err. */
void *leat__slice_bytes(
    struct leat_table *table, struct leat__slice *slice, size_t size, struct leat_error *err);
/* The slot of a key, or NULL. */
unsigned char *leat__slice_slot(
    const struct leat_table *table, const struct leat__slice *slice, struct leat_sv key, uint64_t hash);

void leat__cursors_free(struct leat_cursor *cursors);
/* Sorts the slots whose keys are behind `after` (data NULL: all). */
LEAT_NODISCARD int leat__cursor_sort(
    struct leat_cursor *cursor, struct leat_sv after, struct leat_error *err);
void leat__cursor_unsort(struct leat_cursor *cursor);
LEAT_NODISCARD int leat__walk_open(struct leat_cursor *cursor, struct leat_error *err);
LEAT_NODISCARD int64_t leat__walk_next(
    struct leat_cursor *cursor, struct leat_cursor_item *items, uint32_t max, struct leat_error *err);
/* Keeps what the owner has changed of the items given last. */
LEAT_NODISCARD int leat__walk_keep(struct leat_cursor *cursor, struct leat_error *err);
void leat__walk_close(struct leat_cursor *cursor);

/* A free slot for a key that has none, with these flags and a zeroed value; grows the slice where it must. */
LEAT_NODISCARD int leat__slice_insert(struct leat_table *table, struct leat__slice *slice, struct leat_sv key,
    uint64_t hash, uint32_t flags, unsigned char **slot, struct leat_error *err);
/* Frees slots and arena, keeps the header: everything is in the store. */
void leat__slice_empty(struct leat_table *table, struct leat__slice *slice);
/* Whether much of the arena is of no use; moves what is, so that the rest is freed: begins with that, or goes on, by as
 * much as is due for a call of so many keys (compact.c). */
bool leat__slice_is_wasteful(const struct leat__slice *slice);
void leat__slice_compact(struct leat_table *table, struct leat__slice *slice, uint64_t keys);
void leat__slice_keep_arena(struct leat__slice *slice); /* gives that up */
void leat__compaction_free(struct leat__slice *slice);
/* What a slot has in the arena is of no use from now on: its rows, and its key. */
void leat__slot_waste(
    const struct leat_table *table, struct leat__slice *slice, unsigned char *slot, bool with_key);
#define LEAT__ROW_HEAD_BYTES 40u /* table_memory_list.c */
size_t leat__row_bytes(const struct leat_list_row *row); /* of the arena */
/* Forgets a key; `slot` NULL: it is not in memory. Pointers into the arena stay valid. */
LEAT_NODISCARD int leat__slot_remove(struct leat_table *table, struct leat__slice *slice, unsigned char *slot,
    struct leat_sv key, uint64_t hash, struct leat_error *err);
/* Frees one slot; others may move. */
void leat__slice_close_gap(struct leat_table *table, struct leat__slice *slice, unsigned char *slot);
/* Room for one more key at least, on the way from capacity 0. */
LEAT_NODISCARD int leat__slice_reserve(
    struct leat_table *table, struct leat__slice *slice, struct leat_error *err);
/* Who goes through all slots counts those of the old array first: slots move ahead of him then. (A chunk of 64 lies in
 * one of the two, and so does a word of marks.) */
static inline uint64_t leat__slice_extent(const struct leat__slice *slice)
{
    return slice->old.capacity + slice->capacity;
}
static inline unsigned char *leat__slice_at(
    const struct leat_table *table, const struct leat__slice *slice, uint64_t i)
{
    return i < slice->old.capacity ? slice->old.slots + i * table->slot_size
                                   : slice->slots + (i - slice->old.capacity) * table->slot_size;
}
static inline bool leat__slice_is_old(
    const struct leat_table *table, const struct leat__slice *slice, const unsigned char *slot)
{
    return (uintptr_t)slot - (uintptr_t)slice->old.slots < slice->old.capacity * table->slot_size;
}
static inline uint64_t leat__slice_index(
    const struct leat_table *table, const struct leat__slice *slice, const unsigned char *slot)
{
    if (leat__slice_is_old(table, slice, slot))
        return (uint64_t)(slot - slice->old.slots) / table->slot_size;
    return slice->old.capacity + (uint64_t)(slot - slice->slots) / table->slot_size;
}
/* The marks of a chunk and of the 63 around it. */
static inline uint64_t *leat__slice_marks(const struct leat__slice *slice, uint64_t chunk)
{
    const uint64_t old_chunks = slice->old.capacity >> 6;
    return chunk < old_chunks ? &slice->old.marks[chunk >> 6] : &slice->marks[(chunk - old_chunks) >> 6];
}
static inline void leat__slice_mark(struct leat__slice *slice, uint64_t slot_index)
{
    *leat__slice_marks(slice, slot_index >> 6) |= UINT64_C(1) << (slot_index >> 6 & 63);
}
/* The slot is about to be written to: dirty from here on; what a snapshot still needs of it is kept. */
LEAT_NODISCARD int leat__slot_dirty(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err);
/* Dirty since before the barrier. (What a snapshot that was given up has left is just dirty.) */
static inline bool leat__slot_is_frozen(const struct leat_table *table, uint64_t word)
{
    return table->frozen && (word & LEAT__DIRTY) &&
        (word & (LEAT__DIRTY | LEAT__EPOCH)) != table->dirty_flags;
}
/* Whether a snapshot still needs what the slot has (model: whole.pml, taken_before_write). */
static inline bool leat__slot_is_wanted(
    const struct leat_table *table, const struct leat__slice *slice, const unsigned char *slot)
{
    const uint64_t word = leat__slot_word(slot);
    if (leat__slot_is_frozen(table, word))
        return true;
    return slice->flat && !(word & (LEAT__DIRTY | LEAT__VOID)) &&
        (leat__slice_is_old(table, slice, slot) ||
            leat__slice_index(table, slice, slot) >> 6 >= slice->flat->chunk);
}
/* Whether a cursor marks what it gives: READ writes nothing that is to be kept, but it may write, and a snapshot
 * still needs what was there at the barrier. */
static inline bool leat__cursor_keeps(uint32_t flags, const struct leat_table *table,
    const struct leat__slice *slice, const unsigned char *slot)
{
    return !(flags & LEAT_CURSOR_READ) || leat__slot_is_wanted(table, slice, slot);
}
/* Whether the key is there for readers: FIXED slots that are void are not. */
static inline bool leat__slot_is_key(const struct leat_table *table, const unsigned char *slot)
{
    const uint64_t word = leat__slot_word(slot);
    if (word == 0)
        return false;
    if (!(word & LEAT__VOID))
        return true;
    return table->kind == LEAT_TABLE_LIST &&
        ((const struct leat__list *)(const void *)(slot + table->head_size))->first != NULL;
}

/* ---- entry.c: between slots and entries of the store ---- */
void leat__store_head(const struct leat_table *table, int64_t ns, char head[LEAT__STORE_HEAD]);
int64_t leat__store_ns(const char *head);
/* All keys of the namespace lie in [head of ns, end). `end` is of 12 or, after the last one, 4 bytes or 0. */
uint32_t leat__store_end(const struct leat_table *table, int64_t ns, char end[LEAT__STORE_HEAD]);
/* Appends the key as it stands behind the head: escaped in lists whose keys vary in length. */
void leat__store_key(const struct leat_table *table, struct leat_sv key, struct leat_strbuf *out);
/* The other way round, from bytes behind the head: of lists without the segment. `out` may be pointed to. */
LEAT_NODISCARD int leat__store_key_read(
    bool is_list, uint32_t key_size, struct leat_sv stored, struct leat_strbuf *out, struct leat_sv *key);
/* Moves what is to be written of a dirty slot to the state's run; the slot is clean then. */
LEAT_NODISCARD int leat__slot_collect(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err);
/* A FIXED value from what the store has (data NULL: nothing) and, if `newer`, what has begun at zero since. */
LEAT_NODISCARD int leat__value_read(struct leat_table *table, struct leat__slice *slice,
    struct leat_sv stored, bool newer, void *value, struct leat_error *err);
/* Appends a value as the store would have it. */
LEAT_NODISCARD int leat__value_write(
    struct leat_table *table, const void *value, struct leat_strbuf *out, struct leat_error *err);
int leat__store_merge(
    void *state, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out);
/* Appends rows of a segment to a list whose memory comes from `slice`. */
LEAT_NODISCARD int leat__segment_read(struct leat_table *table, struct leat__slice *slice,
    struct leat_sv segment, struct leat__list *list, struct leat_error *err);
/* The other way round: from `row` to the end of its list. */
LEAT_NODISCARD int leat__rows_write(struct leat_table *table, const struct leat_list_row *row,
    struct leat_strbuf *out, struct leat_error *err);
/* Sets the flags of the first rows of a list. */
void leat__flags_read(struct leat_sv flags, struct leat__list *list);
LEAT_NODISCARD int leat__list_add(struct leat_table *table, struct leat__slice *slice,
    struct leat__list *list, const void *record, int64_t event_us, uint8_t flags, struct leat_error *err);
#define LEAT__SEGMENT_BYTES 4u /* the number behind the key of a list; 0 holds the flags */

/* ---- run.c ---- */
LEAT_NODISCARD int leat__run_new(size_t bytes, struct leat__run **run);
void leat__run_free(struct leat__run *run);
bool leat__run_group(struct leat__run *run, const char head[LEAT__STORE_HEAD]); /* false: out of memory */
/* Begins an entry: head of the group and `key`; its value is what is appended to run->data before end. */
bool leat__run_begin(struct leat__run *run, struct leat_sv key, enum leat_store_write write);
bool leat__run_begin_segment(
    struct leat__run *run, struct leat_sv key, uint32_t segment, enum leat_store_write write);
bool leat__run_end(struct leat__run *run);
size_t leat__run_bytes(const struct leat__run *run);
LEAT_NODISCARD int leat__run_write(
    struct leat__run *run, struct leat_store *store, struct leat_error *err); /* sorts it first */

/* ---- flat.c ---- */
/* The table is frozen: which of its namespaces will be collected as a whole. */
void leat__flat_begin(struct leat_table *table);
LEAT_NODISCARD int leat__flat_take(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err);
/* Queues what was taken: instead of what the store has, or beside it. */
LEAT_NODISCARD int leat__flat_end(
    struct leat_table *table, struct leat__slice *slice, bool is_whole, struct leat_error *err);
/* Slots are about to move, or to be dropped: no whole any more. */
static inline int leat__flat_give_up(
    struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    return slice->flat ? leat__flat_end(table, slice, false, err) : 0;
}
/* The slot, if the snapshot needs it. */
LEAT_NODISCARD int leat__flat_take_wanted(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err);
void leat__flat_free(struct leat__flat *flat);
size_t leat__flat_bytes(const struct leat__flat *flat);
LEAT_NODISCARD int leat__flat_write(
    const struct leat__op *op, struct leat_store *store, struct leat_error *err);

/* ---- queue.c ---- */
LEAT_NODISCARD int leat__store_need(struct leat_state *state, struct leat_error *err); /* opens it */
static inline struct leat_store *leat__store(const struct leat_state *state)
{
    return __atomic_load_n(&state->store, __ATOMIC_ACQUIRE);
}
/* The store's first failure, if there was one. */
LEAT_NODISCARD int leat__state_check(const struct leat_state *state, struct leat_error *err);
int leat__state_break(struct leat_state *state, int code, struct leat_error *err); /* gives code back */
/* A call of the store has failed for this table; gives code back. */
int leat__table_fail(struct leat_table *table, int code, struct leat_error *err);
/* The run that entries go to; one that is full is queued. NULL: out of memory. */
struct leat__run *leat__queue_run(struct leat_state *state, struct leat_error *err);
LEAT_NODISCARD int leat__queue_flush(struct leat_state *state, struct leat_error *err); /* queues it */
struct leat__op *leat__op_forget(struct leat_table *table, int64_t ns); /* NULL: out of memory */
LEAT_NODISCARD int leat__queue_checkpoint(struct leat_state *state, struct leat_error *err);
void leat__op_push(struct leat_state *state, struct leat__op *op);
/* Whether something that was collected is not in the store yet. */
static inline bool leat__queue_has_runs(const struct leat_state *state)
{
    return state->queue.runs > 0 || (state->run && state->run->count > 0);
}
void leat__queue_pump(struct leat_state *state); /* takes back what is done, gives away what waits */
LEAT_NODISCARD int leat__queue_drain(struct leat_state *state, struct leat_error *err);
/* Before reading: what was dropped is gone; and, if `written`, what was collected is there. */
LEAT_NODISCARD int leat__queue_settle(struct leat_state *state, bool written, struct leat_error *err);
void leat__queue_free(struct leat_state *state);
void leat__op_free(struct leat__op *op);

/* ---- spill.c ---- */
/* At the begin of each call that may need memory: brings it back under the budget, and makes room for `more`
 * keys in `slice` (may be NULL) rather than let it grow beyond. */
LEAT_NODISCARD int leat__state_room(struct leat_state *state, struct leat_table *table,
    struct leat__slice *slice, uint64_t more, uint64_t bytes, struct leat_error *err);

/* ---- fetch.c ---- */
/* Takes the keys of these rows from the store into the slice: those that are not in memory, and what partial
 * ones lack. `missed`: indexes into rows. */
LEAT_NODISCARD int leat__slice_fetch(struct leat_table *table, struct leat__slice *slice,
    const struct leat_sv *keys, const uint64_t *hashes, const uint32_t *rows, const uint32_t *missed,
    uint32_t missed_count, struct leat_error *err);
/* Loads a small namespace whole: the slice is complete then. */
LEAT_NODISCARD int leat__slice_load(
    struct leat_table *table, struct leat__slice *slice, struct leat_error *err);
/* A list whose first entry *key, *value was read from iter: 1 with the first entry behind it, or 0. */
LEAT_NODISCARD int leat__list_read(struct leat_table *table, struct leat__slice *slice,
    struct leat_store_iter *iter, struct leat_sv stored_key, struct leat_sv *key, struct leat_sv *value,
    struct leat__list *list, struct leat_error *err);
LEAT_NODISCARD int leat__fetch_missed(struct leat_state *state, uint32_t count, uint32_t **missed);
void leat__fetch_free(struct leat_state *state);

/* ---- snapshot.c ---- */
/* Whether the store must not take anything else of this table now. */
static inline bool leat__table_is_held(const struct leat_table *table)
{
    return table->frozen || table->state->snapshot.phase == LEAT__SNAPSHOT_WRITING ||
        table->state->snapshot.phase == LEAT__SNAPSHOT_COLLECTING;
}
/* Brings a snapshot that only waits for the store to its end. */
LEAT_NODISCARD int leat__snapshot_rush(struct leat_state *state, struct leat_error *err);
void leat__snapshot_forget(struct leat_state *state, struct leat_table *table); /* the table closes */

/* ---- restore.c ---- */
LEAT_NODISCARD int leat__restore_open(
    struct leat_state *state, const struct leat_state_opts *opts, struct leat_error *err);
LEAT_NODISCARD int leat__restore_table(
    struct leat_table *table, const struct leat_table_opts *opts, struct leat_error *err);
int leat__route_print(const struct leat_key_route *route, char *text, size_t size);
LEAT_NODISCARD int leat__route_parse(const char *text, struct leat_key_route *route);

/* ---- meta.c: what a store checkpoint says about itself: segment, keys of each namespace ---- */
#define LEAT__META_PREFIX UINT32_MAX
#define LEAT__META_KEY_BYTES 8u
void leat__meta_key(char key[LEAT__META_KEY_BYTES]);
void leat__meta_begin(uint32_t segment, struct leat_strbuf *out);
void leat__meta_add(const struct leat__ns_count *count, struct leat_strbuf *out);
LEAT_NODISCARD int leat__meta_read(struct leat_sv data, struct leat_arena *arena, uint32_t *segment,
    struct leat__ns_count **counts, uint64_t *counts_count); /* sorted */
void leat__meta_of_state(struct leat_state *state, struct leat_strbuf *out);
/* Keys of a namespace, 0 where nothing is said. */
uint64_t leat__meta_keys(const struct leat_state *state, uint32_t prefix, int64_t ns);
#endif
