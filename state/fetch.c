/* state/fetch.c -- keys that are not in memory: taken from the store, a batch at a time and in its order.
 *
 *   FIXED   one get of all missing keys; a value that began with nothing is merged with what the store has
 *   LIST    one walk that seeks from key to key, over the segments of each
 *
 * What is fetched stays in memory as clean slots. A namespace that a restore has left on disk is taken whole
 * at its first use where it is small: then nothing needs to be looked for any more. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "state/state_private.h"

#define LOAD_BYTES_MAX ((uint64_t)4 << 20)

struct wanted {
    uint64_t order;
    uint32_t row;
};

struct leat__fetch {
    uint32_t *missed;
    uint32_t missed_capacity;
    struct wanted *wanted, *spare;
    struct leat_sv *keys, *values;
    uint32_t capacity; /* of these four */
    struct leat_strbuf bytes; /* of keys */
    struct leat_strbuf flags;
};

static int no_memory(const struct leat_table *table, struct leat_error *err)
{
    return leat__error(
        err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
}

static struct leat__fetch *fetch_of(struct leat_state *state)
{
    if (!state->fetch)
        state->fetch = leat__calloc(1, sizeof *state->fetch);
    return state->fetch;
}

int leat__fetch_missed(struct leat_state *state, uint32_t count, uint32_t **missed)
{
    struct leat__fetch *f = fetch_of(state);
    if (!f)
        return LEAT_ENOMEM;
    if (count > f->missed_capacity) {
        uint32_t *grown = leat__realloc(f->missed, count * sizeof *grown);
        if (!grown)
            return LEAT_ENOMEM;
        f->missed = grown;
        f->missed_capacity = count;
    }
    *missed = f->missed;
    return 0;
}

static void free_arrays(struct leat__fetch *f)
{
    leat__free(f->wanted);
    leat__free(f->spare);
    leat__free(f->keys);
    leat__free(f->values);
    f->wanted = f->spare = NULL;
    f->keys = f->values = NULL;
    f->capacity = 0;
}

static bool reserve(struct leat__fetch *f, uint32_t count)
{
    if (count <= f->capacity)
        return true;
    free_arrays(f);
    f->wanted = leat__malloc(count * sizeof *f->wanted);
    f->spare = leat__malloc(count * sizeof *f->spare);
    f->keys = leat__malloc(count * sizeof *f->keys);
    f->values = leat__malloc(count * sizeof *f->values);
    if (!f->wanted || !f->spare || !f->keys || !f->values) {
        free_arrays(f);
        return false;
    }
    f->capacity = count;
    return true;
}

void leat__fetch_free(struct leat_state *state)
{
    struct leat__fetch *f = state->fetch;
    if (!f)
        return;
    free_arrays(f);
    leat__free(f->missed);
    leat__strbuf_release(&f->bytes);
    leat__strbuf_release(&f->flags);
    leat__free(f);
    state->fetch = NULL;
}

/* ---- in order, each key once ---- */

static bool sorts_before(const struct leat_sv *keys, const struct wanted *a, const struct wanted *b)
{
    if (a->order != b->order)
        return a->order < b->order;
    return leat_sv_cmp(keys[a->row], keys[b->row]) < 0;
}

static void sort(struct leat__fetch *f, const struct leat_sv *keys, uint32_t count)
{
    struct wanted *from = f->wanted, *to = f->spare;
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t low = 0; low < count; low += 2 * width) {
            const uint32_t middle = low + width < count ? low + width : count;
            const uint32_t high = low + 2 * width < count ? low + 2 * width : count;
            uint32_t a = low, b = middle;
            for (uint32_t k = low; k < high; k++) {
                const bool right = b < high && (a == middle || sorts_before(keys, &from[b], &from[a]));
                to[k] = right ? from[b++] : from[a++];
            }
        }
        struct wanted *swap = from;
        from = to;
        to = swap;
    }
    f->wanted = from;
    f->spare = to;
}

/* The different keys of the missed rows, by rising bytes: f->wanted. */
static uint32_t arrange(struct leat__fetch *f, const struct leat_sv *keys, const uint32_t *rows,
    const uint32_t *missed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows ? rows[missed[i]] : missed[i];
        const struct leat_sv key = keys[row];
        uint64_t order = 0;
        if (key.len)
            memcpy(&order, key.data, key.len < sizeof order ? key.len : sizeof order);
        f->wanted[i] = (struct wanted){ __builtin_bswap64(order), row };
    }
    sort(f, keys, count);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || sorts_before(keys, &f->wanted[kept - 1], &f->wanted[i]))
            f->wanted[kept++] = f->wanted[i];
    return kept;
}

/* f->keys: as the store has them. */
static bool store_keys(struct leat__fetch *f, const struct leat_table *table, int64_t ns,
    const struct leat_sv *keys, uint32_t count)
{
    char head[LEAT__STORE_HEAD];
    size_t at = 0;
    leat__store_head(table, ns, head);
    leat__strbuf_clear(&f->bytes);
    for (uint32_t i = 0; i < count; i++) {
        leat__strbuf_add(&f->bytes, head, sizeof head);
        leat__store_key(table, keys[f->wanted[i].row], &f->bytes);
        f->keys[i].len = f->bytes.len; /* its end, for now */
    }
    for (uint32_t i = 0; i < count && !f->bytes.failed; i++) {
        const size_t end = f->keys[i].len;
        f->keys[i] = (struct leat_sv){ f->bytes.data + at, end - at };
        at = end;
    }
    return !f->bytes.failed;
}

/* ---- values ---- */

static void note_found(struct leat_table *table, struct leat__slice *slice)
{
    if (slice->keys > 0) { /* it was counted when it was made without looking */
        slice->keys--;
        table->keys_count--;
    }
}

/* What the store has of a key joins what memory has. */
static int take_value(struct leat_table *table, struct leat__slice *slice, struct leat_sv key, uint64_t hash,
    struct leat_sv stored, struct leat_error *err)
{
    unsigned char *slot = leat__slice_slot(table, slice, key, hash);
    if (!stored.data) {
        if (slot)
            leat__slot_set_word(slot, leat__slot_word(slot) & ~(uint64_t)LEAT__PARTIAL);
        return 0;
    }
    const bool partial = slot && (leat__slot_word(slot) & LEAT__PARTIAL);
    if (slot && !partial)
        return 0; /* memory knows better */
    if (!slot)
        LEAT_TRY(leat__slice_insert(table, slice, key, hash, LEAT__STORED, &slot, err));
    else
        note_found(table, slice);
    const bool newer = (leat__slot_word(slot) & LEAT__DIRTY) != 0;
    const int code = leat__value_read(table, slice, stored, newer, leat__slot_value(table, slot), err);
    if (code < 0 && !partial)
        leat__slice_close_gap(table, slice, slot);
    if (code < 0)
        return code;
    leat__slot_set_word(slot, (leat__slot_word(slot) | LEAT__STORED) & ~(uint64_t)LEAT__PARTIAL);
    return 0;
}

static int fetch_values(struct leat_table *table, struct leat__slice *slice, const struct leat_sv *keys,
    const uint64_t *hashes, uint32_t count, struct leat_error *err)
{
    struct leat__fetch *f = table->state->fetch;
    struct leat_store *store = leat__store(table->state);
    const int code = store->store_class->get(store, f->keys, count, f->values, err);
    if (code < 0)
        return leat__table_fail(table, code, err);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = f->wanted[i].row;
        LEAT_TRY(take_value(table, slice, keys[row], hashes[row], f->values[i], err));
    }
    return 0;
}

/* ---- lists ---- */

/* Puts what the store has of a list before what memory has. */
static int take_list(struct leat_table *table, struct leat__slice *slice, struct leat_sv key, uint64_t hash,
    const struct leat__list *stored, struct leat_error *err)
{
    unsigned char *slot = leat__slice_slot(table, slice, key, hash);
    if (slot && !(leat__slot_word(slot) & LEAT__PARTIAL))
        return 0;
    if (!stored->first) {
        if (slot)
            leat__slot_set_word(slot, leat__slot_word(slot) & ~(uint64_t)LEAT__PARTIAL);
        return 0;
    }
    if (!slot)
        LEAT_TRY(leat__slice_insert(table, slice, key, hash, LEAT__STORED, &slot, err));
    else
        note_found(table, slice);
    struct leat__list *list = leat__slot_value(table, slot);
    stored->last->next = list->first;
    list->first = stored->first;
    if (!list->last)
        list->last = stored->last;
    leat__slot_set_word(slot, (leat__slot_word(slot) | LEAT__STORED) & ~(uint64_t)LEAT__PARTIAL);
    return 0;
}

int leat__list_read(struct leat_table *table, struct leat__slice *slice, struct leat_store_iter *iter,
    struct leat_sv stored_key, struct leat_sv *key, struct leat_sv *value, struct leat__list *list,
    struct leat_error *err)
{
    struct leat_state *state = table->state;
    const struct leat_store_class *class = leat__store(state)->store_class;
    struct leat__fetch *f = fetch_of(state);
    int code = 1;
    *list = (struct leat__list){ 0 };
    if (!f)
        return no_memory(table, err);
    leat__strbuf_clear(&f->flags);
    while (code > 0 && key->len == stored_key.len + LEAT__SEGMENT_BYTES &&
        memcmp(key->data, stored_key.data, stored_key.len) == 0) {
        uint32_t segment;
        memcpy(&segment, key->data + stored_key.len, sizeof segment);
        if (segment == 0)
            leat__strbuf_add(&f->flags, value->data, value->len);
        else
            LEAT_TRY(leat__segment_read(table, slice, *value, list, err));
        code = class->iter_next(iter, key, value, err);
    }
    if (f->flags.failed)
        return no_memory(table, err);
    if (f->flags.len)
        leat__flags_read((struct leat_sv){ f->flags.data, f->flags.len }, list);
    return code < 0 ? leat__table_fail(table, code, err) : code;
}

static int fetch_lists(struct leat_table *table, struct leat__slice *slice, const struct leat_sv *keys,
    const uint64_t *hashes, uint32_t count, struct leat_error *err)
{
    struct leat__fetch *f = table->state->fetch;
    struct leat_store *store = leat__store(table->state);
    struct leat_store_iter *iter = NULL;
    char to[LEAT__STORE_HEAD];
    struct leat_sv key, value;
    const uint32_t to_len = leat__store_end(table, slice->ns, to);
    int code = store->store_class->iter_new(store, f->keys[0], (struct leat_sv){ to, to_len }, &iter, err);
    if (code < 0)
        return leat__table_fail(table, code, err);
    for (uint32_t i = 0; i < count && code >= 0; i++) {
        const uint32_t row = f->wanted[i].row;
        struct leat__list list = { 0 };
        if (i > 0)
            store->store_class->iter_seek(iter, f->keys[i]);
        code = store->store_class->iter_next(iter, &key, &value, err);
        if (code < 0)
            code = leat__table_fail(table, code, err);
        if (code > 0)
            code = leat__list_read(table, slice, iter, f->keys[i], &key, &value, &list, err);
        if (code >= 0)
            code = take_list(table, slice, keys[row], hashes[row], &list, err);
    }
    store->store_class->iter_free(iter);
    return code < 0 ? code : 0;
}

int leat__slice_fetch(struct leat_table *table, struct leat__slice *slice, const struct leat_sv *keys,
    const uint64_t *hashes, const uint32_t *rows, const uint32_t *missed, uint32_t missed_count,
    struct leat_error *err)
{
    struct leat_state *state = table->state;
    struct leat__fetch *f = fetch_of(state);
    if (!f || !reserve(f, missed_count))
        return no_memory(table, err);
    bool partial = false;
    const uint32_t count = arrange(f, keys, rows, missed, missed_count);
    for (uint32_t i = 0; i < count && !partial && leat__queue_has_runs(state); i++)
        partial = leat__slice_slot(table, slice, keys[f->wanted[i].row], hashes[f->wanted[i].row]) != NULL;
    if (partial) /* what they began with may still be on its way */
        LEAT_TRY(leat__queue_flush(state, err));
    LEAT_TRY(leat__queue_settle(state, partial, err));
    if (!store_keys(f, table, slice->ns, keys, count))
        return no_memory(table, err);
    if (table->kind == LEAT_TABLE_LIST)
        return fetch_lists(table, slice, keys, hashes, count, err);
    return fetch_values(table, slice, keys, hashes, count, err);
}

/* ---- whole namespaces ---- */

/* The next entry of the store into the slice; 1 with key and value of the one after it. */
static int load_entry(struct leat_table *table, struct leat__slice *slice, struct leat_store_iter *iter,
    struct leat_sv *key, struct leat_sv *value, struct leat_error *err)
{
    struct leat_state *state = table->state;
    struct leat_strbuf stored = { 0 }, plain = { 0 };
    struct leat__list list = { 0 };
    struct leat_sv bare = { NULL, 0 };
    const bool is_list = table->kind == LEAT_TABLE_LIST;
    const size_t tail = is_list ? LEAT__SEGMENT_BYTES : 0;
    if (key->len < LEAT__STORE_HEAD + tail)
        return leat__error(err, LEAT_EDATA, "state of \"%s\", table \"%s\": a key in the store is too short",
            table->node, table->name);
    leat__strbuf_add(&stored, key->data, key->len - tail);
    int code = stored.failed
        ? LEAT_ENOMEM
        : leat__store_key_read(is_list, table->key_size,
              (struct leat_sv){ stored.data + LEAT__STORE_HEAD, stored.len - LEAT__STORE_HEAD }, &plain,
              &bare);
    if (code < 0)
        (void)leat__error(err, code, "state of \"%s\", table \"%s\": a key in the store: %s", table->node,
            table->name, leat_error_text(code));
    int more = 0;
    if (code == 0 && is_list)
        code = more = leat__list_read(
            table, slice, iter, (struct leat_sv){ stored.data, stored.len }, key, value, &list, err);
    if (code >= 0) {
        const uint64_t hash = leat__hash(bare.data, bare.len);
        code = is_list ? take_list(table, slice, bare, hash, &list, err)
                       : take_value(table, slice, bare, hash, *value, err);
    }
    if (code == 0 && !is_list)
        code = more = leat__store(state)->store_class->iter_next(iter, key, value, err);
    if (code < 0 && !is_list && more < 0)
        code = leat__table_fail(table, code, err);
    leat__strbuf_release(&stored);
    leat__strbuf_release(&plain);
    return code < 0 ? code : more;
}

/* Memory has all of it: nothing is partial, and the keys can be counted. */
static void complete(struct leat_table *table, struct leat__slice *slice)
{
    uint64_t keys = 0;
    for (uint64_t i = 0; i < leat__slice_extent(slice); i++) {
        unsigned char *slot = leat__slice_at(table, slice, i);
        const uint64_t word = leat__slot_word(slot);
        if (word & LEAT__PARTIAL)
            leat__slot_set_word(slot, word & ~(uint64_t)LEAT__PARTIAL);
        keys += leat__slot_is_key(table, slot);
    }
    slice->incomplete = false;
    table->keys_count += keys - slice->keys;
    slice->keys = keys;
}

int leat__slice_load(struct leat_table *table, struct leat__slice *slice, struct leat_error *err)
{
    struct leat_state *state = table->state;
    char from[LEAT__STORE_HEAD], to[LEAT__STORE_HEAD];
    struct leat_store_iter *iter = NULL;
    struct leat_sv key, value;
    const uint64_t bytes = slice->bytes;
    /* Keys are counted at most, never too few: half of them decide. */
    const bool is_large = slice->keys / 2 > LOAD_BYTES_MAX / table->slot_size;
    if (is_large || (state->budget_bytes && state->used_bytes + 3 * LOAD_BYTES_MAX > state->budget_bytes)) {
        slice->too_large = true;
        return 0;
    }
    LEAT_TRY(leat__queue_flush(state, err));
    LEAT_TRY(leat__queue_settle(state, true, err));
    LEAT_TRY(leat__slice_reserve(table, slice, err));
    leat__store_head(table, slice->ns, from);
    const uint32_t to_len = leat__store_end(table, slice->ns, to);
    struct leat_store *store = leat__store(state);
    int code = store->store_class->iter_new(
        store, (struct leat_sv){ from, sizeof from }, (struct leat_sv){ to, to_len }, &iter, err);
    if (code < 0)
        return leat__table_fail(table, code, err);
    code = store->store_class->iter_next(iter, &key, &value, err);
    if (code < 0)
        code = leat__table_fail(table, code, err);
    while (code > 0 && slice->bytes < bytes + LOAD_BYTES_MAX)
        code = load_entry(table, slice, iter, &key, &value, err);
    store->store_class->iter_free(iter);
    if (code < 0)
        return code;
    if (code == 0)
        complete(table, slice);
    else
        slice->too_large = true;
    return 0;
}
