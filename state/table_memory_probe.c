/* state/table_memory_probe.c -- finding and making the slots of a whole batch of keys.
 *
 *   for each row: prefetch the slot of the row 16 ahead; walk from the key's home to the key or to a free
 * slot
 *
 * The walk is compiled for four cases: keys of 8 bytes or any others, making or only finding. A batch that
 * fills the array stops in the middle; the array grows, and the batch starts again from its first row, so
 * that the pointers it gives are all into the new array (growth doubles: over a table's life that is less
 * than two batches a doubling). */
#include "base/hash.h"
#include "state/state_private.h"

#define PREFETCH_AHEAD 16u
#define MUST_GROW 1
#define ALWAYS_INLINE inline __attribute__((always_inline))

struct probe {
    struct leat_table *table;
    struct leat__slice *slice;
    const struct leat_sv *keys;
    const uint64_t *hashes;
    const uint32_t *rows;
    uint32_t count;
    void **values;
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
    if (int_keys) {
        const struct leat__slot_int *s = (const struct leat__slot_int *)(const void *)slot;
        return s->hash == hash && s->key == load64(key.data);
    }
    const struct leat__slot_bytes *s = (const struct leat__slot_bytes *)(const void *)slot;
    if (s->hash != hash || s->len != key.len)
        return false;
    if (key.len > LEAT__KEY_INLINE_MAX)
        return memcmp(s->at.data, key.data, key.len) == 0;
    return short_equal((const char *)s + offsetof(struct leat__slot_bytes, head), key.data, key.len);
}

/* Fills a free slot. */
static int take_slot(
    const struct probe *p, unsigned char *slot, struct leat_sv key, uint64_t hash, struct leat_error *err)
{
    struct leat_table *table = p->table;
    LEAT_ASSERT(p->slice->cursors_open == 0);
    if (table->int_keys) {
        struct leat__slot_int *s = (struct leat__slot_int *)(void *)slot;
        s->key = load64(key.data);
        s->hash = hash;
    } else {
        struct leat__slot_bytes *s = (struct leat__slot_bytes *)(void *)slot;
        if (key.len > UINT32_MAX)
            return leat__error(err, LEAT_ELIMIT,
                "state of \"%s\", table \"%s\": a key of %zu bytes; 4 GiB are the limit", table->node,
                table->name, key.len);
        if (key.len > LEAT__KEY_INLINE_MAX) {
            char *copy = leat__slice_bytes(table, p->slice, key.len, err);
            if (!copy)
                return err ? err->code : LEAT_ESTATE;
            memcpy(copy, key.data, key.len);
            s->at.data = copy;
        } else if (key.len) {
            memcpy((char *)s + offsetof(struct leat__slot_bytes, head), key.data, key.len);
        }
        s->len = (uint32_t)key.len;
        s->hash = hash;
    }
    p->slice->count++;
    table->keys_count++;
    return 0;
}

static ALWAYS_INLINE int walk(const struct probe *p, bool int_keys, bool make, struct leat_error *err)
{
    const struct leat__slice *slice = p->slice;
    const size_t slot_size = p->table->slot_size;
    const bool straddles = p->table->straddles;
    const uint32_t *rows = p->rows;
    const uint64_t mask = slice->capacity - 1;
    unsigned char *slots = slice->slots;
    for (uint32_t i = 0; i < p->count; i++) {
        if (i + PREFETCH_AHEAD < p->count) {
            const uint32_t ahead = rows ? rows[i + PREFETCH_AHEAD] : i + PREFETCH_AHEAD;
            const unsigned char *line =
                slots + leat__slice_home(slice, leat__stored_hash(p->hashes[ahead])) * slot_size;
            __builtin_prefetch(line, 1);
            if (straddles)
                __builtin_prefetch(line + slot_size - 1, 1);
        }
        const uint32_t r = rows ? rows[i] : i;
        const uint64_t hash = leat__stored_hash(p->hashes[r]);
        uint64_t at = leat__slice_home(slice, hash);
        unsigned char *slot = slots + at * slot_size;
        for (;;) {
            if (slot_has(slot, int_keys, p->keys[r], hash)) {
                p->values[i] =
                    slot + (int_keys ? sizeof(struct leat__slot_int) : sizeof(struct leat__slot_bytes));
                break;
            }
            if (*(const uint64_t *)(const void *)slot == 0) {
                if (!make) {
                    p->values[i] = NULL;
                    break;
                }
                if (slice->count == slice->limit)
                    return MUST_GROW;
                LEAT_TRY(take_slot(p, slot, p->keys[r], hash, err));
                continue;
            }
            at = (at + 1) & mask;
            slot = slots + at * slot_size;
        }
    }
    return 0;
}

static int walk_int_make(const struct probe *p, struct leat_error *err)
{
    return walk(p, true, true, err);
}

static int walk_bytes_make(const struct probe *p, struct leat_error *err)
{
    return walk(p, false, true, err);
}

static int walk_int_find(const struct probe *p)
{
    return walk(p, true, false, NULL);
}

static int walk_bytes_find(const struct probe *p)
{
    return walk(p, false, false, NULL);
}

int leat__table_upsert(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err)
{
    struct probe p = { table, NULL, keys, hashes, rows, count, values };
    if (count == 0)
        return 0;
    LEAT_TRY(leat__slice_make(table, ns, &p.slice, err));
    for (;;) {
        const int code = table->int_keys ? walk_int_make(&p, err) : walk_bytes_make(&p, err);
        if (code != MUST_GROW)
            return code;
        LEAT_TRY(leat__slice_grow(table, p.slice, err));
    }
}

int leat__table_find(struct leat_table *table, int64_t ns, const struct leat_sv *keys, const uint64_t *hashes,
    const uint32_t *rows, uint32_t count, void **values, struct leat_error *err)
{
    const struct probe p = { table, leat__slice_find(table, ns), keys, hashes, rows, count, values };
    (void)err; /* memory does not fail to read */
    if (!p.slice) {
        memset(values, 0, count * sizeof *values);
        return 0;
    }
    return table->int_keys ? walk_int_find(&p) : walk_bytes_find(&p);
}

unsigned char *leat__slice_slot(
    const struct leat_table *table, const struct leat__slice *slice, struct leat_sv key, uint64_t hash)
{
    const uint64_t stored = leat__stored_hash(hash);
    uint64_t at = leat__slice_home(slice, stored);
    for (;;) {
        unsigned char *slot = slice->slots + at * table->slot_size;
        if (slot_has(slot, table->int_keys, key, stored))
            return slot;
        if (*(const uint64_t *)(const void *)slot == 0)
            return NULL;
        at = (at + 1) & (slice->capacity - 1);
    }
}

int leat__table_upsert_blind(struct leat_table *table, int64_t ns, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, uint32_t count, void **values, struct leat_error *err)
{
    return leat__table_upsert(table, ns, keys, hashes, rows, count, values, err);
}
