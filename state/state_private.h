/* state/state_private.h -- how keyed state lies in memory; see README.md for the picture.
 *
 * state   the budget, and the blocks that dropped namespaces left behind (state.c)
 * table   its namespaces in order (table_memory.c)
 * slice   one namespace of a table: an open-addressing array of slots and an arena (table_memory_slice.c)
 * slot    hash, key, value; probed a batch at a time (table_memory_probe.c) */
#ifndef LEAT_STATE_STATE_PRIVATE_H
#define LEAT_STATE_STATE_PRIVATE_H
#include "base/assert.h"
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
    uint32_t unused[5];
};
_Static_assert(sizeof(struct leat__block) == 64, "the data behind a header lies at a cache line");

static inline unsigned char *leat__block_data(struct leat__block *block)
{
    return (unsigned char *)(block + 1);
}

struct leat_state {
    uint64_t budget_bytes; /* 0: no limit */
    uint64_t used_bytes; /* blocks in slices, and the tables' own */
    uint64_t cached_bytes; /* free blocks */
    uint64_t peak_bytes; /* the most that was used since a namespace was last dropped */
    uint64_t keep_bytes; /* used + cached beyond this is not worth keeping */
    uint32_t key_groups;
    uint32_t tables_count;
    struct leat__block *free[LEAT__BLOCK_CLASSES];
    struct leat__block *oldest, *newest; /* of all free blocks */
};

/* A block of at least `size` bytes, not zeroed, charged to the state. LEAT_ESTATE beyond the budget,
 * LEAT_ENOMEM. */
LEAT_NODISCARD int leat__block_get(
    struct leat_table *table, size_t size, struct leat__block **block, struct leat_error *err);
void leat__block_give(struct leat_state *state, struct leat__block *block);
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

struct leat__slice {
    int64_t ns;
    unsigned char *slots;
    uint64_t salt; /* odd: position = hash * salt >> shift; differs between tables and namespaces, so that
                      rows which leave one in slot order do not fill another from one end */
    uint32_t shift;
    uint32_t cursors_open;
    uint64_t capacity; /* slots, a power of two */
    uint64_t count, limit; /* keys, and how many are taken before the array grows */
    struct leat__block *slots_block;
    struct leat__block *chunks; /* of the arena, newest first */
    char *arena_at, *arena_end;
    size_t chunk_bytes; /* of the next chunk */
    struct leat__slice *next_free;
};

/* The value of a LIST key. */
struct leat__list {
    struct leat_list_row *first, *last;
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
    void **values; /* LIST: the batch's lists */
    uint32_t values_capacity;
    struct leat__slice **slices; /* slices_count from slices_head, by namespace */
    uint32_t slices_head, slices_count, slices_capacity;
    struct leat__slice *last; /* used last, or NULL */
    struct leat__slice *slices_free;
    struct leat_cursor *cursors_free;
    uint64_t keys_count;
    uint64_t keys_expected; /* in the next namespace: from those that were dropped */
};

static inline uint64_t leat__stored_hash(uint64_t hash)
{
    return hash + (hash == 0);
}

static inline uint64_t leat__slice_home(const struct leat__slice *slice, uint64_t stored_hash)
{
    return (stored_hash * slice->salt) >> slice->shift;
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

/* The slice of a namespace: NULL when there is none / made where it is missing. */
struct leat__slice *leat__slice_find(struct leat_table *table, int64_t ns);
LEAT_NODISCARD int leat__slice_make(
    struct leat_table *table, int64_t ns, struct leat__slice **slice, struct leat_error *err);
/* An empty slice with room for `keys_expected` keys, and its end. */
LEAT_NODISCARD int leat__slice_new(struct leat_table *table, int64_t ns, uint64_t keys_expected,
    struct leat__slice **slice, struct leat_error *err);
void leat__slice_free(struct leat_table *table, struct leat__slice *slice);
/* Twice the slots. All pointers into slots are void afterwards. */
LEAT_NODISCARD int leat__slice_grow(
    struct leat_table *table, struct leat__slice *slice, struct leat_error *err);
/* `size` bytes of the slice's arena, aligned to 8; NULL with the reason in err. */
void *leat__slice_bytes(
    struct leat_table *table, struct leat__slice *slice, size_t size, struct leat_error *err);
/* The slot of a key, or NULL. */
unsigned char *leat__slice_slot(
    const struct leat_table *table, const struct leat__slice *slice, struct leat_sv key, uint64_t hash);

void leat__cursors_free(struct leat_cursor *cursors);
#endif
