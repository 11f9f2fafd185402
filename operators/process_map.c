/* operators/process_map.c -- maps in keyed state.
 *
 *   entries   length of the key, u32 big-endian | key | map key  ->  record        a cell each (process_cell.c)
 *   index     key  ->  its map keys in order, each as length, u32 little-endian, and bytes
 *
 * Map keys are bytes in the order of the values: booleans a byte, numbers 8 bytes big-endian with the sign
 * flipped, floats and doubles as ordered doubles, strings and bytes as they are. Getting and putting an entry
 * that is there touches the entry alone; only a new or a removed one, or going through the map, needs the
 * index.
 *
 * Invariant: after a commit the index has exactly the map keys that have an entry, gone ones included. */
#include "operators/process_private.h"
#include <math.h>

#define SIGN (UINT64_C(1) << 63)

/* ---- map keys ---- */

static void store_ordered(char *to, uint64_t bits)
{
    bits = __builtin_bswap64(bits);
    memcpy(to, &bits, sizeof bits);
}

static uint64_t load_ordered(const char *from)
{
    uint64_t bits;
    memcpy(&bits, from, sizeof bits);
    return __builtin_bswap64(bits);
}

static uint64_t bits_of_double(double value)
{
    uint64_t bits;
    if (value != value)
        value = (double)NAN;
    if (value == 0)
        value = 0; /* -0.0 and 0.0 are one key */
    memcpy(&bits, &value, sizeof bits);
    return bits & SIGN ? ~bits : bits ^ SIGN;
}

static double double_of_bits(uint64_t bits)
{
    double value;
    bits = bits & SIGN ? bits ^ SIGN : ~bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bytes of a number; 0 when the key is a string. */
static size_t encode_number(enum leat_kind kind, const void *key, char bytes[8])
{
    switch (kind) {
    case LEAT_KIND_BOOLEAN:
        bytes[0] = *(const bool *)key;
        return 1;
    case LEAT_KIND_INT:
        store_ordered(bytes, (uint64_t)(int64_t) * (const int32_t *)key ^ SIGN);
        return 8;
    case LEAT_KIND_LONG:
        store_ordered(bytes, (uint64_t) * (const int64_t *)key ^ SIGN);
        return 8;
    case LEAT_KIND_FLOAT:
        store_ordered(bytes, bits_of_double((double)*(const float *)key));
        return 8;
    case LEAT_KIND_DOUBLE:
        store_ordered(bytes, bits_of_double(*(const double *)key));
        return 8;
    default:
        return 0;
    }
}

static void decode_key(enum leat_kind kind, struct leat_sv bytes, struct leat_map_item *item)
{
    memset(&item->key, 0, sizeof item->key);
    switch (kind) {
    case LEAT_KIND_BOOLEAN:
        item->key.boolean = bytes.data[0] != 0;
        break;
    case LEAT_KIND_INT:
        item->key.i32 = (int32_t)(int64_t)(load_ordered(bytes.data) ^ SIGN);
        break;
    case LEAT_KIND_LONG:
        item->key.i64 = (int64_t)(load_ordered(bytes.data) ^ SIGN);
        break;
    case LEAT_KIND_FLOAT:
        item->key.f32 = (float)double_of_bits(load_ordered(bytes.data));
        break;
    case LEAT_KIND_DOUBLE:
        item->key.f64 = double_of_bits(load_ordered(bytes.data));
        break;
    default:
        item->key.sv = bytes;
        break;
    }
}

/* length | key | map key, in the callback's memory; the map key is its end. */
static char *entry_key(struct leat__process *p, size_t len, struct leat_sv *whole)
{
    const uint32_t key_len = __builtin_bswap32((uint32_t)p->key.len);
    char *bytes = leat__process_alloc(p, sizeof key_len + p->key.len + len + 1);
    if (!bytes)
        return NULL;
    memcpy(bytes, &key_len, sizeof key_len);
    if (p->key.len)
        memcpy(bytes + sizeof key_len, p->key.data, p->key.len);
    *whole = (struct leat_sv){ bytes, sizeof key_len + p->key.len + len };
    return bytes + sizeof key_len + p->key.len;
}

static struct leat_sv map_key_of(const struct leat__process *p, struct leat_sv whole)
{
    const size_t before = sizeof(uint32_t) + p->key.len;
    return (struct leat_sv){ whole.data + before, whole.len - before };
}

/* ---- the index ---- */

static int index_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    (void)arg;
    memset(value, 0, sizeof(struct leat__blob));
    return leat__blob_keep(table, ns, value, data, len);
}

static int index_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__blob *blob = value;
    (void)arg;
    leat__strbuf_add(out, blob->data ? blob->data : "", blob->len);
    return out->failed ? LEAT_ENOMEM : 0;
}

int leat__map_open(struct leat__process *p, struct leat__ctx *ctx, struct leat__keyed_state *state)
{
    const struct leat__state_spec *spec = state->spec;
    const struct leat_table_opts entries = {
        .node = ctx->node->name,
        .name = spec->name,
        .kind = LEAT_TABLE_FIXED,
        .value_size = leat__serde_value_size(&state->serde),
        .codec = leat__serde_codec(&state->serde),
        .key_text = spec->entry_key,
        .format = spec->format,
        .accept_format = leat__serde_accept,
        .schema = spec->type->schema,
        .route = { .kind = LEAT_ROUTE_FIRST_PART },
        .counted = true,
    };
    const struct leat_table_opts index = {
        .node = ctx->node->name,
        .name = spec->index_name,
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(p->spec->key),
        .value_size = sizeof(struct leat__blob),
        .codec = { .encode = index_encode, .decode = index_decode },
        .key_text = p->spec->key_types,
        .format = spec->index_format,
    };
    state->map.passing_record = leat__calloc(1, spec->size ? spec->size : 1);
    if (!state->map.passing_record)
        return leat__rows_nomem(ctx, "keyed state");
    if (leat__table_open(ctx->state, &entries, &state->table, ctx->error) < 0 ||
        leat__table_open(ctx->state, &index, &state->map.index, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static int reserve_keys(struct leat__process *p, struct leat__keyed_state *state)
{
    if (state->map.keys_count < state->map.keys_capacity)
        return 0;
    const uint32_t capacity = state->map.keys_capacity ? 2 * state->map.keys_capacity : 16;
    struct leat_sv *keys = leat__realloc(state->map.keys, capacity * sizeof *keys);
    if (!keys)
        return leat__rows_nomem(p->ctx, "the keys of a map");
    state->map.keys = keys;
    state->map.keys_capacity = capacity;
    return 0;
}

static int damaged_index(struct leat__process *p, const struct leat__keyed_state *state)
{
    return leat__fail(p->ctx, LEAT_EDATA, "the keys of a map in state \"%s\" are damaged", state->spec->name);
}

static int parse_index(
    struct leat__process *p, struct leat__keyed_state *state, const char *at, const char *end)
{
    while (at < end) {
        uint32_t len;
        if ((size_t)(end - at) < sizeof len)
            return damaged_index(p, state);
        memcpy(&len, at, sizeof len);
        at += sizeof len;
        if (len > (size_t)(end - at))
            return damaged_index(p, state);
        LEAT_TRY(reserve_keys(p, state));
        state->map.keys[state->map.keys_count++] = (struct leat_sv){ at, len };
        at += len;
    }
    return 0;
}

static int load_index(struct leat__process *p, struct leat__keyed_state *state)
{
    void *value;
    if (state->map.loaded)
        return 0;
    state->map.keys_count = state->map.index_bytes = 0;
    if (leat__table_find(state->map.index, 0, &p->key, &p->hash, NULL, 1, &value, p->ctx->error) < 0)
        return leat__fail_here(p->ctx);
    if (value) {
        const struct leat__blob *blob = value;
        state->map.index_bytes = blob->capacity;
        char *copy = leat__process_alloc(p, blob->len + 1);
        if (!copy)
            return p->code;
        memcpy(copy, blob->data, blob->len);
        LEAT_TRY(parse_index(p, state, copy, copy + blob->len));
    }
    state->map.loaded = true;
    return 0;
}

/* Where the key is among the keys, or would be. */
static uint32_t lower_bound(const struct leat__keyed_state *state, struct leat_sv key, bool *found)
{
    uint32_t low = 0, high = state->map.keys_count;
    *found = false;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = leat_sv_cmp(state->map.keys[middle], key);
        *found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int index_add(struct leat__process *p, struct leat__keyed_state *state, struct leat_sv key)
{
    bool found;
    LEAT_TRY(load_index(p, state));
    LEAT_TRY(reserve_keys(p, state));
    const uint32_t at = lower_bound(state, key, &found);
    if (found)
        return 0;
    memmove(state->map.keys + at + 1, state->map.keys + at,
        (state->map.keys_count - at) * sizeof *state->map.keys);
    state->map.keys[at] = key;
    state->map.keys_count++;
    state->map.changed = true;
    return 0;
}

static int index_remove(struct leat__process *p, struct leat__keyed_state *state, struct leat_sv key)
{
    bool found;
    LEAT_TRY(load_index(p, state));
    const uint32_t at = lower_bound(state, key, &found);
    if (!found)
        return 0;
    state->map.keys_count--;
    memmove(state->map.keys + at, state->map.keys + at + 1,
        (state->map.keys_count - at) * sizeof *state->map.keys);
    state->map.changed = true;
    return 0;
}

static int commit_index(struct leat__process *p, struct leat__keyed_state *state)
{
    struct leat_strbuf *bytes = &state->serde.bytes;
    void *value;
    if (!state->map.changed)
        return 0;
    if (state->map.keys_count == 0) {
        leat__table_bytes_free(state->map.index, 0, state->map.index_bytes);
        return leat__table_remove(state->map.index, 0, p->key, p->hash, p->ctx->error) < 0
            ? leat__fail_here(p->ctx)
            : 0;
    }
    leat__strbuf_clear(bytes);
    for (uint32_t i = 0; i < state->map.keys_count; i++) {
        const struct leat_sv key = state->map.keys[i];
        const uint32_t len = (uint32_t)key.len;
        leat__strbuf_add(bytes, &len, sizeof len);
        leat__strbuf_add(bytes, key.data, key.len);
    }
    if (bytes->failed)
        return leat__rows_nomem(p->ctx, "the keys of a map");
    if (leat__table_upsert(state->map.index, 0, &p->key, &p->hash, NULL, 1, &value, p->ctx->error) < 0)
        return leat__fail_here(p->ctx);
    const int code = leat__blob_keep(state->map.index, 0, value, bytes->data, bytes->len);
    return code < 0 ? leat__fail(p->ctx, code, "the keys of a map in state \"%s\": %s", state->spec->name,
                          leat_error_text(code))
                    : 0;
}

/* ---- the entries that a callback touches ---- */

static uint32_t *slot_of(struct leat__keyed_state *state, struct leat_sv key, uint64_t hash)
{
    const uint32_t mask = state->map.slots_capacity - 1;
    uint32_t at = (uint32_t)hash & mask;
    for (; state->map.slots[at]; at = (at + 1) & mask) {
        const struct leat__cell *cell = &state->map.cells[state->map.slots[at] - 1];
        if (cell->hash == hash && leat_sv_eq(cell->key, key))
            break;
    }
    return &state->map.slots[at];
}

/* Room for one more cell, and at most half of the slots taken. */
static int reserve_cells(struct leat__process *p, struct leat__keyed_state *state)
{
    if (state->map.cells_count < state->map.cells_capacity)
        return 0;
    const uint32_t capacity = state->map.cells_capacity ? 2 * state->map.cells_capacity : 8;
    struct leat__cell *cells = leat__realloc(state->map.cells, capacity * sizeof *cells);
    if (cells)
        state->map.cells = cells;
    uint32_t *slots = cells ? leat__calloc(2 * (size_t)capacity, sizeof *slots) : NULL;
    if (!slots)
        return leat__rows_nomem(p->ctx, "the entries of a map");
    leat__free(state->map.slots);
    state->map.slots = slots;
    state->map.slots_capacity = 2 * capacity;
    state->map.cells_capacity = capacity;
    for (uint32_t i = 0; i < state->map.cells_count; i++)
        *slot_of(state, cells[i].key, cells[i].hash) = i + 1;
    return 0;
}

static struct leat__cell *cell_if_any(struct leat__keyed_state *state, struct leat_sv key, uint64_t hash)
{
    if (state->map.cells_count == 0)
        return NULL;
    const uint32_t *slot = slot_of(state, key, hash);
    return *slot ? &state->map.cells[*slot - 1] : NULL;
}

/* The cell of an entry, looked up in the table where it is new; NULL when that has failed. `whole` is in the
 * callback's memory. */
static struct leat__cell *cell_of(
    struct leat__process *p, struct leat__keyed_state *state, struct leat_sv whole)
{
    const uint64_t hash = leat__hash(whole.data, whole.len);
    struct leat__cell *cell = cell_if_any(state, whole, hash);
    if (cell)
        return cell;
    int code = reserve_cells(p, state);
    if (code == 0) {
        cell = &state->map.cells[state->map.cells_count];
        *cell = (struct leat__cell){ .key = whole, .hash = hash };
        cell->record = leat__process_alloc(p, state->serde.size);
        code = cell->record ? leat__cell_load(p, state, cell) : p->code;
    }
    if (code < 0) {
        leat__process_fail(p, code);
        return NULL;
    }
    *slot_of(state, whole, hash) = ++state->map.cells_count;
    return cell;
}

static struct leat__cell *cell_of_map_key(
    struct leat__process *p, struct leat__keyed_state *state, struct leat_sv map_key)
{
    struct leat_sv whole;
    char *to = entry_key(p, map_key.len, &whole);
    if (!to)
        return NULL;
    if (map_key.len)
        memcpy(to, map_key.data, map_key.len);
    return cell_of(p, state, whole);
}

/* The map of the call, and the cell of the user's key. */
static struct leat__cell *find_cell(struct leat__process *p, struct leat__keyed_state *state, const void *key)
{
    char number[8];
    if (p->code < 0)
        return NULL;
    const size_t len = encode_number(state->spec->map_key, key, number);
    const struct leat_sv map_key = len ? (struct leat_sv){ number, len } : *(const struct leat_sv *)key;
    return cell_of_map_key(p, state, map_key);
}

static struct leat__keyed_state *map_of(struct leat_ctx *ctx, uint32_t index, const char *call)
{
    struct leat__process *p = leat__process_of(ctx, call);
    return p ? leat__state_of(p, index, LEAT__STATE_MAP, LEAT__STATE_MAP) : NULL;
}

/* ---- what callbacks call ---- */

void *leat_map_put(struct leat_ctx *ctx, uint32_t index, const void *key)
{
    struct leat__keyed_state *state = map_of(ctx, index, "leat_map_put");
    struct leat__process *p = ctx->engine->process;
    struct leat__cell *cell = state ? find_cell(p, state, key) : NULL;
    if (!cell)
        return p ? p->spare : NULL;
    if (!cell->visible)
        leat__process_fail(p, index_add(p, state, map_key_of(p, cell->key)));
    return leat__cell_write(state, cell);
}

const void *leat_map_get(struct leat_ctx *ctx, uint32_t index, const void *key)
{
    struct leat__keyed_state *state = map_of(ctx, index, "leat_map_get");
    struct leat__cell *cell = state ? find_cell(ctx->engine->process, state, key) : NULL;
    if (!cell || !cell->visible)
        return NULL;
    cell->read = true;
    return cell->record;
}

static int remove_cell(struct leat__process *p, struct leat__keyed_state *state, struct leat__cell *cell)
{
    cell->visible = false;
    cell->written = true;
    return index_remove(p, state, map_key_of(p, cell->key));
}

void leat_map_remove(struct leat_ctx *ctx, uint32_t index, const void *key)
{
    struct leat__keyed_state *state = map_of(ctx, index, "leat_map_remove");
    struct leat__cell *cell = state ? find_cell(ctx->engine->process, state, key) : NULL;
    if (cell && (cell->existed || cell->visible))
        leat__process_fail(ctx->engine->process, remove_cell(ctx->engine->process, state, cell));
}

void leat__map_clear(struct leat__process *p, struct leat__keyed_state *state)
{
    int code = p->code < 0 ? p->code : load_index(p, state);
    for (uint32_t i = 0; code == 0 && i < state->map.keys_count; i++) {
        struct leat__cell *cell = cell_of_map_key(p, state, state->map.keys[i]);
        code = cell ? 0 : p->code;
        if (cell) {
            cell->visible = false;
            cell->written = true;
        }
    }
    state->map.changed |= state->map.keys_count > 0;
    state->map.keys_count = 0;
    leat__process_fail(p, code);
}

/* The value of one of the map's keys, NULL where it is gone. Those that no cell has pass by in one place. */
static const void *value_of(struct leat__process *p, struct leat__keyed_state *state, struct leat_sv map_key)
{
    struct leat__cell *cell = &state->map.passing;
    struct leat_sv whole;
    char *to = entry_key(p, map_key.len, &whole);
    if (!to)
        return NULL;
    if (map_key.len)
        memcpy(to, map_key.data, map_key.len);
    const uint64_t hash = leat__hash(whole.data, whole.len);
    struct leat__cell *known =
        state->spec->ttl.on_read ? cell_of(p, state, whole) : cell_if_any(state, whole, hash);
    if (known) {
        known->read = true;
        return known->visible ? known->record : NULL;
    }
    *cell = (struct leat__cell){ .key = whole, .hash = hash, .record = state->map.passing_record };
    const int code = leat__cell_load(p, state, cell);
    leat__process_fail(p, code);
    return code == 0 && cell->visible ? cell->record : NULL;
}

bool leat_map_next(struct leat_ctx *ctx, uint32_t index, struct leat_map_item *item)
{
    struct leat__keyed_state *state = map_of(ctx, index, "leat_map_next");
    struct leat__process *p = ctx->engine->process;
    bool found = false;
    if (!state || p->code < 0)
        return false;
    leat__process_fail(p, load_index(p, state));
    uint32_t at = item->place.data ? lower_bound(state, item->place, &found) + found : 0;
    for (; p->code == 0 && at < state->map.keys_count; at++) {
        item->place = state->map.keys[at];
        item->value = value_of(p, state, item->place);
        if (item->value) {
            decode_key(state->spec->map_key, item->place, item);
            return true;
        }
    }
    return false;
}

size_t leat_map_count(struct leat_ctx *ctx, uint32_t index)
{
    struct leat__keyed_state *state = map_of(ctx, index, "leat_map_count");
    struct leat__process *p = ctx->engine->process;
    size_t count = 0;
    if (!state || p->code < 0)
        return 0;
    if (state->spec->ttl.us) {
        for (struct leat_map_item item = { 0 }; leat_map_next(ctx, index, &item);)
            count++;
        return count;
    }
    leat__process_fail(p, load_index(p, state));
    return p->code < 0 ? 0 : state->map.keys_count;
}

/* ---- after a callback, and when time has passed ---- */

int leat__map_commit(struct leat__process *p, struct leat__keyed_state *state)
{
    for (uint32_t i = 0; i < state->map.cells_count; i++)
        LEAT_TRY(leat__cell_commit(p, state, &state->map.cells[i]));
    return commit_index(p, state);
}

void leat__map_forget(struct leat__keyed_state *state)
{
    if (state->map.cells_count)
        memset(state->map.slots, 0, state->map.slots_capacity * sizeof *state->map.slots);
    state->map.cells_count = state->map.keys_count = 0;
    state->map.loaded = state->map.changed = false;
}

int leat__map_expire(struct leat__process *p, struct leat__keyed_state *state, struct leat_sv key,
    int64_t now_us, int64_t *next_us)
{
    p->key = key;
    p->hash = leat__hash(key.data, key.len);
    *next_us = LEAT_TIME_MAX;
    int code = load_index(p, state);
    for (uint32_t i = 0; code == 0 && i < state->map.keys_count;) {
        struct leat__cell *cell = cell_of_map_key(p, state, state->map.keys[i]);
        if (!cell)
            return p->code;
        const int64_t gone_us = leat__state_gone_at(state->spec, cell->stamp);
        if (now_us >= gone_us) {
            code = remove_cell(p, state, cell);
            continue;
        }
        if (gone_us < *next_us)
            *next_us = gone_us;
        i++;
    }
    if (code == 0)
        code = leat__map_commit(p, state);
    leat__map_forget(state);
    return code;
}
