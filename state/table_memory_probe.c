/* state/table_memory_probe.c -- finding and making the slots of a whole batch of keys.
 *
 *   for each row: prefetch the slot of the row 16 ahead; walk from the key's home to the key or to a free
 * slot
 *
 * The walk is compiled for several cases: keys of 8 bytes or any others, making or only finding. A batch that
 * fills the array stops in the middle; the array grows, and the batch starts again from its first row, so
 * that the pointers it gives are all into the new array (growth doubles: over a table's life that is less
 * than two batches a doubling).
 *
 * A slot's flags lie in the low bits of its hash. One comparison says whether they are as the call leaves
 * them (dirty since the last snapshot, not partial, ...), which is so for all but the first row of a key after
 * a snapshot; else `touch` sees to it. Without a store all flags are zero, and so is what is compared.
 *
 * Where the store has keys that are not in memory, a walk that finds too little is followed by a fetch of what
 * is missing and by a second walk. */
#include "base/hash.h"
#include "state/state_private.h"

#define PREFETCH_AHEAD 16u
#define PREFETCH_SLOTS_MIN 512u
#define MUST_GROW 1
#define CLEAN_SLOTS 2u /* of free memory, a row: more than a slice needs for each of its keys */
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct probe {
    struct leat_table *table;
    struct leat__slice *slice;
    const struct leat_sv *keys;
    const uint64_t *hashes;
    const uint32_t *rows;
    uint32_t count;
    void **values;
    uint32_t ignored, wanted; /* flags of a slot that needs no touch: (flags | ignored) == wanted */
    uint32_t made; /* flags of a new slot */
    bool blind, reading;
    bool lists; /* `values` are to be first rows; only where `reading` */
    uint32_t *missed; /* NULL: what is not in memory is not there */
    uint32_t missed_count;
};

static ALWAYS_INLINE uint64_t load64(const void *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static ALWAYS_INLINE uint32_t load32(const void *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

/* Equality of two runs of len <= LEAT__KEY_INLINE_MAX bytes, by overlapping words; reads nothing beyond them.
 */
static ALWAYS_INLINE bool short_equal(const char *a, const char *b, size_t len)
{
    if (len >= 8) {
        uint64_t differs = load64(a) ^ load64(b);
        differs |= load64(a + len - 8) ^ load64(b + len - 8);
        if (len > 16)
            differs |= load64(a + 8) ^ load64(b + 8);
        return differs == 0;
    }
    if (len >= 4)
        return ((load32(a) ^ load32(b)) | (load32(a + len - 4) ^ load32(b + len - 4))) == 0;
    for (size_t i = 0; i < len; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static ALWAYS_INLINE bool slot_has(
    const unsigned char *slot, bool int_keys, struct leat_sv key, uint64_t hash)
{
    if (((leat__slot_word(slot) ^ hash) & ~(uint64_t)LEAT__FLAGS) != 0)
        return false;
    if (int_keys) {
        const struct leat__slot_int *s = (const struct leat__slot_int *)(const void *)slot;
        return s->key == load64(key.data);
    }
    const struct leat__slot_bytes *s = (const struct leat__slot_bytes *)(const void *)slot;
    if (s->len != key.len)
        return false;
    if (key.len > LEAT__KEY_INLINE_MAX)
        return memcmp(s->at.data, key.data, key.len) == 0;
    return short_equal((const char *)s + offsetof(struct leat__slot_bytes, head), key.data, key.len);
}

/* Fills a free slot. `word`: hash and flags. */
static ALWAYS_INLINE int take_slot(struct leat_table *table, struct leat__slice *slice, unsigned char *slot,
    struct leat_sv key, uint64_t word, struct leat_error *err)
{
    LEAT_ASSERT(slice->cursors_open == 0);
    if (table->int_keys) {
        struct leat__slot_int *s = (struct leat__slot_int *)(void *)slot;
        s->key = load64(key.data);
        s->hash = word;
    } else {
        struct leat__slot_bytes *s = (struct leat__slot_bytes *)(void *)slot;
        if (key.len > UINT32_MAX / 4)
            return leat__error(err, LEAT_ELIMIT,
                "state of \"%s\", table \"%s\": a key of %zu bytes; 1 GiB is the limit", table->node,
                table->name, key.len);
        if (key.len > LEAT__KEY_INLINE_MAX) {
            char *copy = leat__slice_bytes(table, slice, key.len, err);
            if (!copy)
                return err ? err->code : LEAT_ESTATE;
            memcpy(copy, key.data, key.len);
            s->at.data = copy;
        } else if (key.len) {
            memcpy((char *)s + offsetof(struct leat__slot_bytes, head), key.data, key.len);
        }
        s->len = (uint32_t)key.len;
        s->hash = word;
    }
    slice->count++;
    if (word & LEAT__DIRTY) {
        leat__slice_mark(slice, leat__slice_index(table, slice, slot));
        slice->dirty++;
    }
    return 0;
}

static ALWAYS_INLINE int make_key(
    const struct probe *p, unsigned char *slot, struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    struct leat__slice *slice = p->slice;
    LEAT_TRY(take_slot(p->table, slice, slot, key, hash | p->made, err));
    slice->keys++;
    slice->version++;
    p->table->keys_count++;
    return 0;
}

/* What is found for a row. (Bytes are copied since the caller's pointers may be to rows of lists.) */
static ALWAYS_INLINE void give(void *to, bool lists, unsigned char *value)
{
    const void *given =
        lists && value ? (const void *)((const struct leat__list *)(const void *)value)->first : value;
    memcpy(to, &given, sizeof given);
}

/* A slot is found whose flags are not as the call wants them. values[i] = NULL where it can not be given. */
static int touch(struct probe *p, uint32_t i, unsigned char *slot, struct leat_error *err)
{
    struct leat_table *table = p->table;
    const uint64_t word = leat__slot_word(slot);
    give(p->values + i, p->lists, NULL);
    if ((word & LEAT__VOID) && table->kind == LEAT_TABLE_FIXED) {
        if (p->reading)
            return 0;
        LEAT_TRY(leat__slot_dirty(table, p->slice, slot, err));
        memset(leat__slot_value(table, slot), 0, table->value_size);
        leat__slot_set_word(slot, (leat__slot_word(slot) | LEAT__STORED) & ~(uint64_t)LEAT__VOID);
        p->slice->keys++;
        table->keys_count++;
    }
    if ((word & LEAT__PARTIAL) && !p->blind) {
        LEAT_ASSERT(p->missed);
        p->missed[p->missed_count++] = i;
        return 0;
    }
    if (!p->reading)
        LEAT_TRY(leat__slot_dirty(table, p->slice, slot, err));
    leat__slot_set_word(slot, leat__slot_word(slot) | LEAT__USED);
    give(p->values + i, p->lists, leat__slot_value(table, slot));
    return 0;
}

/* Where probes of a slice begin, apart from what is written to while they go. */
struct places {
    const struct leat__slice *slice;
    const struct leat_table *table;
    const uint64_t *hashes;
    const uint32_t *rows;
    unsigned char *slots, *end;
    uint64_t salt;
    uint32_t shift;
    size_t slot_size;
    bool straddles;
};

static ALWAYS_INLINE struct places places_of(const struct probe *p)
{
    const struct leat__slice *slice = p->slice;
    return (struct places){ .slice = slice,
        .table = p->table,
        .hashes = p->hashes,
        .rows = p->rows,
        .slots = slice->slots,
        .end = slice->slots + slice->capacity * p->table->slot_size,
        .salt = slice->salt,
        .shift = slice->shift,
        .slot_size = p->table->slot_size,
        .straddles = p->table->straddles };
}

/* The slot at home of the key of row i, on its way to the cache. */
static ALWAYS_INLINE unsigned char *approach(const struct places *at, uint32_t i, bool growing)
{
    const uint64_t hash = leat__stored_hash(at->hashes[at->rows ? at->rows[i] : i]);
    unsigned char *slot;
    if (growing) {
        const struct leat__path path = leat__slice_path(at->slice, hash, true);
        slot = path.slots + path.home * at->slot_size;
    } else {
        slot = at->slots + ((hash * at->salt) >> at->shift) * at->slot_size;
    }
    __builtin_prefetch(slot, 1);
    if (at->straddles)
        __builtin_prefetch(slot + at->slot_size - 1, 1);
    return slot;
}

/* The slot behind one that belongs to another key. */
static ALWAYS_INLINE unsigned char *step(
    const struct places *at, unsigned char *slot, uint64_t hash, bool growing)
{
    unsigned char *next = slot + at->slot_size;
    if (!growing)
        return next == at->end ? at->slots : next;
    const struct leat__path path = leat__slice_path(at->slice, hash, true);
    return next == path.slots + (path.mask + 1) * at->slot_size ? path.slots : next;
}

static ALWAYS_INLINE int walk(
    struct probe *p, bool int_keys, bool make, bool growing, bool lists, struct leat_error *err)
{
    const uint32_t head = int_keys ? sizeof(struct leat__slot_int) : sizeof(struct leat__slot_bytes);
    const uint32_t count = p->count, ignored = p->ignored, wanted = p->wanted;
    const struct places places = places_of(p);
    const struct leat_sv *keys = p->keys;
    void **values = p->values;
    unsigned char *homes[PREFETCH_AHEAD]; /* of the next rows, in a ring */
    for (uint32_t i = 0; i < PREFETCH_AHEAD && i < count; i++)
        homes[i] = approach(&places, i, growing);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t r = places.rows ? places.rows[i] : i;
        const uint64_t hash = leat__stored_hash(places.hashes[r]);
        const struct leat_sv key = keys[r];
        unsigned char *slot = homes[i % PREFETCH_AHEAD];
        if (i + PREFETCH_AHEAD < count)
            homes[i % PREFETCH_AHEAD] = approach(&places, i + PREFETCH_AHEAD, growing);
        for (;; slot = step(&places, slot, hash, growing)) {
            if (slot_has(slot, int_keys, key, hash)) {
                give(values + i, lists, slot + head);
                if (__builtin_expect(
                        (((uint32_t)leat__slot_word(slot) & LEAT__FLAGS) | ignored) != wanted, 0))
                    LEAT_TRY(touch(p, i, slot, err));
                break;
            }
            if (leat__slot_word(slot) == 0) {
                if (make && p->slice->count == p->slice->limit)
                    return MUST_GROW;
                if (make)
                    LEAT_TRY(make_key(p, slot, key, hash, err));
                give(values + i, lists, make ? slot + head : NULL);
                if (!make && p->missed)
                    p->missed[p->missed_count++] = i;
                break;
            }
        }
    }
    return 0;
}

static int walk_int_make(struct probe *p, struct leat_error *err)
{
    return walk(p, true, true, false, false, err);
}

/* ---- keys of 8 bytes, without a branch on whether they are there, which a processor can not guess ---- */

/* Walks to the key, or to the free slot where it is not. */
static ALWAYS_INLINE struct leat__slot_int *walk_int(
    const struct places *places, unsigned char *slot, uint64_t key, uint64_t hash)
{
    for (;; slot = step(places, slot, hash, false)) {
        struct leat__slot_int *s = (struct leat__slot_int *)(void *)slot;
        const uint64_t differs = ((s->hash ^ hash) & ~(uint64_t)LEAT__FLAGS) | (s->key ^ key);
        if ((differs == 0) | (s->hash == 0))
            return s;
    }
}

/* Only finding. A free slot is all zeros: it has no first row, and not the flags of a key that needs no touch, if there
 * are any. */
static ALWAYS_INLINE int find_int(struct probe *p, bool lists, struct leat_error *err)
{
    const uint32_t count = p->count, ignored = p->ignored, wanted = p->wanted;
    const struct places places = places_of(p);
    const struct leat_sv *keys = p->keys;
    void **values = p->values;
    unsigned char *homes[PREFETCH_AHEAD]; /* of the next rows, in a ring */
    for (uint32_t i = 0; i < PREFETCH_AHEAD && i < count; i++)
        homes[i] = approach(&places, i, false);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t r = places.rows ? places.rows[i] : i;
        const uint64_t hash = leat__stored_hash(places.hashes[r]);
        unsigned char *slot = homes[i % PREFETCH_AHEAD];
        if (i + PREFETCH_AHEAD < count)
            homes[i % PREFETCH_AHEAD] = approach(&places, i + PREFETCH_AHEAD, false);
        struct leat__slot_int *s = walk_int(&places, slot, load64(keys[r].data), hash);
        give(values + i, lists, s->hash || lists ? (unsigned char *)(s + 1) : NULL);
        if (__builtin_expect((((uint32_t)s->hash & LEAT__FLAGS) | ignored) == wanted, 1))
            continue;
        if (s->hash)
            LEAT_TRY(touch(p, i, (unsigned char *)s, err));
        else if (p->missed)
            p->missed[p->missed_count++] = i;
    }
    return 0;
}

static int find_int_values(struct probe *p, struct leat_error *err)
{
    return find_int(p, false, err);
}

static int find_int_lists(struct probe *p, struct leat_error *err)
{
    return find_int(p, true, err);
}

/* Without a store, where no slot has flags: a key that is there is written once more. */
static int make_int_plain(struct probe *p)
{
    struct leat__slice *slice = p->slice;
    const uint32_t count = p->count;
    const struct places places = places_of(p);
    const uint64_t limit = slice->limit, begun = slice->count;
    const struct leat_sv *keys = p->keys;
    void **values = p->values;
    uint64_t taken = begun;
    uint32_t i = 0;
    unsigned char *homes[PREFETCH_AHEAD]; /* of the next rows, in a ring */
    for (uint32_t k = 0; k < PREFETCH_AHEAD && k < count; k++)
        homes[k] = approach(&places, k, false);
    for (; i < count; i++) {
        const uint32_t r = places.rows ? places.rows[i] : i;
        const uint64_t hash = leat__stored_hash(places.hashes[r]), key = load64(keys[r].data);
        unsigned char *slot = homes[i % PREFETCH_AHEAD];
        if (i + PREFETCH_AHEAD < count)
            homes[i % PREFETCH_AHEAD] = approach(&places, i + PREFETCH_AHEAD, false);
        struct leat__slot_int *s = walk_int(&places, slot, key, hash);
        if (taken == limit && s->hash == 0)
            break;
        taken += s->hash == 0;
        *s = (struct leat__slot_int){ .hash = hash, .key = key };
        give(values + i, false, (unsigned char *)(s + 1));
    }
    LEAT_ASSERT(taken == begun || slice->cursors_open == 0);
    slice->count = taken;
    slice->keys += taken - begun;
    slice->version += taken - begun;
    p->table->keys_count += taken - begun;
    return i < count ? MUST_GROW : 0;
}

/* ---- all walks ---- */

static int walk_bytes_make(struct probe *p, struct leat_error *err)
{
    return walk(p, false, true, false, false, err);
}

static int walk_bytes_find(struct probe *p, struct leat_error *err)
{
    return walk(p, false, false, false, false, err);
}

static int walk_bytes_lists(struct probe *p, struct leat_error *err)
{
    return walk(p, false, false, false, true, err);
}

static int walk_growing(struct probe *p, bool make, struct leat_error *err)
{
    return walk(p, p->table->int_keys, make, true, p->lists, err);
}

static int find_in_memory(struct probe *p, struct leat_error *err)
{
    p->missed_count = 0;
    if (__builtin_expect(p->slice->old.capacity > 0, 0))
        return walk_growing(p, false, err);
    if (p->lists)
        return p->table->int_keys ? find_int_lists(p, err) : walk_bytes_lists(p, err);
    return p->table->int_keys ? find_int_values(p, err) : walk_bytes_find(p, err);
}

static int make_in_memory(struct probe *p, struct leat_error *err)
{
    LEAT_TRY(leat__slice_reserve(p->table, p->slice, err));
    if (p->table->state->soiled > 0)
        leat__blocks_clean(p->table->state, (size_t)p->count * CLEAN_SLOTS * p->table->slot_size);
    for (;;) {
        if (__builtin_expect(p->slice->old.capacity > 0, 0))
            leat__slice_move(p->table, p->slice, p->count);
        const int code = __builtin_expect(p->slice->old.capacity > 0, 0) ? walk_growing(p, true, err)
            : !p->table->int_keys                                        ? walk_bytes_make(p, err)
            : p->table->state->store_class                               ? walk_int_make(p, err)
                                                                         : make_int_plain(p);
        if (code != MUST_GROW)
            return code;
        LEAT_TRY(leat__slice_grow(p->table, p->slice, err));
    }
}

/* What each kind of call wants of flags. */
static void want_flags(struct probe *p)
{
    const struct leat_table *table = p->table;
    if (!table->state->store_class)
        return;
    p->ignored = LEAT__STORED;
    if (p->blind)
        p->ignored |= LEAT__PARTIAL;
    if (table->kind == LEAT_TABLE_LIST)
        p->ignored |= LEAT__VOID;
    if (p->reading)
        p->ignored |= LEAT__DIRTY | LEAT__EPOCH;
    p->wanted = p->ignored | LEAT__USED | (p->reading ? 0 : table->dirty_flags);
    p->made = table->dirty_flags | (p->blind && p->slice->incomplete ? LEAT__PARTIAL : 0);
}

/* Fetches what is missing in memory, until a walk finds all that there is. */
static int find_or_fetch(struct probe *p, struct leat_error *err)
{
    LEAT_TRY(leat__fetch_missed(p->table->state, p->count, &p->missed));
    if (p->slice->capacity)
        LEAT_TRY(find_in_memory(p, err));
    else
        for (p->missed_count = 0; p->missed_count < p->count; p->missed_count++)
            p->missed[p->missed_count] = p->missed_count;
    if (p->missed_count == 0)
        return 0;
    LEAT_TRY(
        leat__slice_fetch(p->table, p->slice, p->keys, p->hashes, p->rows, p->missed, p->missed_count, err));
    p->missed = NULL;
    if (!p->reading)
        return make_in_memory(p, err);
    if (p->slice->capacity)
        return find_in_memory(p, err);
    memset(p->values, 0, p->count * sizeof *p->values);
    return 0;
}

/* What every call on a namespace begins with, where there is a store. */
static int enter(struct probe *p, struct leat_error *err)
{
    struct leat__slice *slice = p->slice;
    slice->tick = ++p->table->state->tick;
    LEAT_TRY(leat__state_room(p->table->state, p->table, slice, p->count, 0, err));
    if (slice->incomplete && !slice->too_large && !p->blind)
        LEAT_TRY(leat__slice_load(p->table, slice, err));
    want_flags(p);
    return 0;
}

static int upsert(struct probe *p, int64_t ns, struct leat_error *err)
{
    struct leat_table *table = p->table;
    if (p->count == 0)
        return 0;
    LEAT_TRY(leat__slice_make(table, ns, &p->slice, err));
    if (__builtin_expect(
            p->slice->compaction || (p->slice->garbage > 0 && leat__slice_is_wasteful(p->slice)), false))
        leat__slice_compact(table, p->slice, p->count);
    if (!table->state->store_class)
        return make_in_memory(p, err);
    table->ever_held = true;
    LEAT_TRY(enter(p, err));
    return p->slice->incomplete && !p->blind ? find_or_fetch(p, err) : make_in_memory(p, err);
}

int leat__table_upsert(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err)
{
    struct probe p = { .table = table, .keys = keys, .hashes = hashes, .rows = rows, .count = count };
    p.values = values;
    return upsert(&p, ns, err);
}

int leat__table_upsert_blind(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err)
{
    struct probe p = { .table = table, .keys = keys, .hashes = hashes, .rows = rows, .count = count };
    p.values = values;
    p.blind = table->kind == LEAT_TABLE_LIST || table->codec.merge;
    return upsert(&p, ns, err);
}

static int find(struct probe *p, int64_t ns, struct leat_error *err)
{
    p->reading = true;
    p->slice = leat__slice_find(p->table, ns);
    if (!p->slice || p->count == 0) {
        memset(p->values, 0, p->count * sizeof *p->values);
        return 0;
    }
    if (!p->table->state->store_class)
        return find_in_memory(p, err);
    LEAT_TRY(enter(p, err));
    if (p->slice->incomplete)
        return find_or_fetch(p, err);
    if (p->slice->capacity)
        return find_in_memory(p, err);
    memset(p->values, 0, p->count * sizeof *p->values);
    return 0;
}

int leat__table_find(struct leat_table *table, int64_t ns, const struct leat_sv *keys, const uint64_t *hashes,
    const uint32_t *rows, uint32_t count, void **values, struct leat_error *err)
{
    struct probe p = { .table = table, .keys = keys, .hashes = hashes, .rows = rows, .count = count };
    p.values = values;
    return find(&p, ns, err);
}

int leat__table_lists(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, const struct leat_list_row **lists,
    struct leat_error *err)
{
    struct probe p = { .table = table, .keys = keys, .hashes = hashes, .rows = rows, .count = count };
    LEAT_ASSERT(table->kind == LEAT_TABLE_LIST);
    if (count == 1) {
        const uint32_t r = rows ? rows[0] : 0;
        void *list;
        LEAT_TRY(leat__table_find_one(table, ns, keys[r], hashes[r], &list, err));
        lists[0] = list ? ((const struct leat__list *)list)->first : NULL;
        return 0;
    }
    p.values = (void **)(uintptr_t)lists;
    p.lists = true;
    return find(&p, ns, err);
}

void leat__table_prefetch(const struct leat_table *table, int64_t ns, uint64_t hash)
{
    const struct leat__slice *slice = table->last;
    if (!slice || slice->ns != ns || slice->capacity < PREFETCH_SLOTS_MIN)
        return; /* a hint: one that is not at hand is not looked for; a small one is near */
    const struct leat__path path = leat__slice_path(slice, leat__stored_hash(hash), slice->old.capacity > 0);
    const unsigned char *slot = path.slots + path.home * table->slot_size;
    __builtin_prefetch(slot, 1);
    if (table->straddles)
        __builtin_prefetch(slot + table->slot_size - 1, 1);
}

int leat__table_find_one(struct leat_table *table, int64_t ns, struct leat_sv key, uint64_t hash,
    void **value, struct leat_error *err)
{
    struct leat_state *state = table->state;
    struct leat__slice *slice = leat__slice_find(table, ns);
    *value = NULL;
    if (!slice)
        return 0;
    slice->tick = ++state->tick;
    if (state->store_class && (slice->incomplete || state->queue.busy))
        return leat__table_find(table, ns, &key, &hash, NULL, 1, value, err);
    unsigned char *slot = leat__slice_slot(table, slice, key, hash);
    if (!slot)
        return 0;
    if (state->store_class &&
        (leat__slot_word(slot) & (LEAT__PARTIAL | LEAT__VOID | LEAT__USED)) != LEAT__USED)
        return leat__table_find(table, ns, &key, &hash, NULL, 1, value, err);
    *value = leat__slot_value(table, slot);
    return 0;
}

uint64_t leat__table_version(struct leat_table *table, int64_t ns)
{
    const struct leat__slice *slice = leat__slice_find(table, ns);
    return slice ? slice->version : 0;
}

int leat__table_rewrite(
    struct leat_table *table, int64_t ns, uint64_t version, void *value, struct leat_error *err)
{
    struct leat__slice *slice = leat__slice_find(table, ns);
    LEAT_ASSERT(table->kind == LEAT_TABLE_FIXED);
    if (!slice || slice->version != version)
        return 0;
    if (!table->state->store_class)
        return 1;
    unsigned char *slot = (unsigned char *)value - table->head_size;
    if (leat__slot_word(slot) & (LEAT__PARTIAL | LEAT__VOID))
        return 0;
    LEAT_TRY(leat__slot_dirty(table, slice, slot, err));
    leat__slot_set_word(slot, leat__slot_word(slot) | LEAT__USED);
    return 1;
}

int leat__slice_insert(struct leat_table *table, struct leat__slice *slice, struct leat_sv key, uint64_t hash,
    uint32_t flags, unsigned char **slot, struct leat_error *err)
{
    leat__slice_settle(table, slice);
    if (slice->count == slice->limit)
        LEAT_TRY(leat__slice_grow(table, slice, err));
    leat__slice_settle(table, slice); /* a single key moves nothing in pieces */
    const uint64_t stored = leat__stored_hash(hash);
    uint64_t at = leat__slice_home(slice, stored);
    while (leat__slot_word(slice->slots + at * table->slot_size) != 0)
        at = (at + 1) & (slice->capacity - 1);
    *slot = slice->slots + at * table->slot_size;
    LEAT_TRY(take_slot(table, slice, *slot, key, stored | flags, err));
    slice->version++;
    return 0;
}

unsigned char *leat__slice_slot(
    const struct leat_table *table, const struct leat__slice *slice, struct leat_sv key, uint64_t hash)
{
    if (slice->capacity == 0)
        return NULL;
    const uint64_t stored = leat__stored_hash(hash);
    const struct leat__path path = leat__slice_path(slice, stored, slice->old.capacity > 0);
    for (uint64_t at = path.home;; at = (at + 1) & path.mask) {
        unsigned char *slot = path.slots + at * table->slot_size;
        if (slot_has(slot, table->int_keys, key, stored))
            return slot;
        if (leat__slot_word(slot) == 0)
            return NULL;
    }
}
