/* operators/sliding_cells.c -- the cells of a key, and what windows over them are.
 *
 *   offset 0   how many cells, of which so many have fired: 4 bytes each; the timer: flags (4), 0 (4), time (8)
 *         24   of each cell its head and its accumulators (aggregate_codec.c); where panes are retracted, those
 *              that were given
 *
 * Suffixes and `back` are not saved: they follow from the cells. */
#include "operators/sliding_private.h"

void leat__sliding_lay_out(
    struct leat__sliding_layout *l, const struct leat__aggregate_spec *spec, const struct leat_node *node)
{
    l->spec = spec;
    l->node = node;
    l->back = sizeof(struct leat__sliding);
    l->size = l->back + spec->values_size;
    l->suffix = (uint32_t)sizeof(struct leat__cell_head) + spec->values_size;
    l->cell = l->suffix + spec->values_size;
    l->given = 0;
    if (spec->window.accumulation == LEAT_RETRACTING) {
        l->given = l->cell;
        l->cell += spec->values_size;
    }
}

/* ---- bytes ---- */

struct saved_key {
    uint32_t count, fired, flags, spare;
    int64_t timer_us;
};

int leat__sliding_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__sliding_layout *l = arg;
    const struct leat__sliding *key = value;
    const struct saved_key saved = { key->count - key->first, key->fired - key->first,
        key->flags & LEAT__SLIDING_TIMER, 0, key->timer_us };
    leat__strbuf_add(out, &saved, sizeof saved);
    for (uint32_t i = key->first; i < key->count; i++) {
        leat__strbuf_add(out, leat__cell(l, key, i), sizeof(struct leat__cell_head));
        LEAT_TRY(leat__agg_encode_values(l->spec, leat__cell_values(l, key, i), out));
        if (l->given)
            LEAT_TRY(leat__agg_encode_values(l->spec, leat__cell(l, key, i) + l->given, out));
    }
    return out->failed ? LEAT_ENOMEM : 0;
}

static int decode_cell(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat_sv *rest, unsigned char *cell)
{
    const uint32_t parts[] = { sizeof(struct leat__cell_head), l->given };
    if (rest->len < sizeof(struct leat__cell_head))
        return LEAT_EDATA;
    memcpy(cell, rest->data, sizeof(struct leat__cell_head));
    *rest = (struct leat_sv){ rest->data + sizeof(struct leat__cell_head),
        rest->len - sizeof(struct leat__cell_head) };
    for (uint32_t p = 0; p < (l->given ? 2u : 1u); p++) {
        size_t used;
        LEAT_TRY(leat__agg_decode_values(l->spec, mem, rest->data, rest->len, cell + parts[p], &used));
        *rest = (struct leat_sv){ rest->data + used, rest->len - used };
    }
    return 0;
}

int leat__sliding_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct leat__sliding_layout *l = arg;
    const struct leat__agg_memory mem = { table, ns, NULL };
    struct leat__sliding key = { 0 };
    struct saved_key saved;
    if (len < sizeof saved)
        return LEAT_EDATA;
    memcpy(&saved, data, sizeof saved);
    struct leat_sv rest = { data + sizeof saved, len - sizeof saved };
    if (saved.count > rest.len / sizeof(struct leat__cell_head) || saved.fired > saved.count)
        return LEAT_EDATA;
    key.flags = saved.flags & LEAT__SLIDING_TIMER;
    key.timer_us = saved.timer_us;
    key.count = saved.count;
    key.fired = saved.fired;
    LEAT_TRY(leat__blob_reserve(&mem, &key.cells, (size_t)saved.count * l->cell + 1));
    memset(key.cells.data, 0, key.cells.capacity);
    for (uint32_t i = 0; i < key.count; i++)
        LEAT_TRY(decode_cell(l, &mem, &rest, leat__cell(l, &key, i)));
    key.cells.len_plus_1 = key.count * l->cell + 1;
    memcpy(value, &key, sizeof key);
    return rest.len ? LEAT_EDATA : 0;
}

/* ---- cells ---- */

uint32_t leat__cell_from(const struct leat__sliding_layout *l, const struct leat__sliding *key, int64_t us)
{
    uint32_t low = key->first;
    uint32_t high = key->count;
    if (low == high || leat__cell_head(l, key, high - 1)->us < us)
        return high;
    while (low < high) {
        const uint32_t at = low + (high - low) / 2;
        if (leat__cell_head(l, key, at)->us < us)
            low = at + 1;
        else
            high = at;
    }
    return low;
}

static bool has_room(const struct leat__sliding_layout *l, const struct leat__sliding *key)
{
    return key->cells.data && (size_t)(key->count + 1) * l->cell <= key->cells.capacity;
}

bool leat__cell_is_easy(const struct leat__sliding_layout *l, const struct leat__sliding *key, uint32_t at)
{
    return at == key->count && has_room(l, key);
}

static void set_len(const struct leat__sliding_layout *l, struct leat__sliding *key)
{
    key->cells.len_plus_1 = key->count * l->cell + 1;
}

/* Moves the cells to the begin of the blob. */
static void close_up(const struct leat__sliding_layout *l, struct leat__sliding *key)
{
    const uint32_t gone = key->first;
    memmove(key->cells.data, leat__cell(l, key, gone), (size_t)(key->count - gone) * l->cell);
    key->first = 0;
    key->low -= key->low < gone ? key->low : gone;
    key->middle -= key->middle < gone ? key->middle : gone;
    key->fired -= gone;
    key->count -= gone;
    set_len(l, key);
}

int leat__cell_insert(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, uint32_t at, int64_t us)
{
    if (!has_room(l, key) && key->first > (key->count - key->first)) {
        at -= key->first;
        close_up(l, key);
    }
    LEAT_TRY(leat__blob_reserve(mem, &key->cells, (size_t)(key->count + 1) * l->cell));
    unsigned char *cell = leat__cell(l, key, at);
    memmove(cell + l->cell, cell, (size_t)(key->count - at) * l->cell);
    memset(cell, 0, l->cell);
    leat__cell_head(l, key, at)->us = us;
    key->count++;
    if (at < key->fired) { /* behind what has fired */
        key->fired++;
        key->flags &= ~LEAT__SLIDING_STACKS;
    }
    set_len(l, key);
    return 0;
}

static void forget_cell(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, uint32_t at)
{
    unsigned char *cell = leat__cell(l, key, at);
    leat__agg_forget(l->spec, mem, cell + sizeof(struct leat__cell_head));
    leat__agg_forget(l->spec, mem, cell + l->suffix);
    if (l->given)
        leat__agg_forget(l->spec, mem, cell + l->given);
}

void leat__cell_remove(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, uint32_t at)
{
    unsigned char *cell = leat__cell(l, key, at);
    forget_cell(l, mem, key, at);
    memmove(cell, cell + l->cell, (size_t)(key->count - at - 1) * l->cell);
    key->count--;
    if (at < key->fired) {
        key->fired--;
        key->flags &= ~LEAT__SLIDING_STACKS;
    }
    set_len(l, key);
}

void leat__cells_trim(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat__sliding *key, int64_t us)
{
    while (key->first < key->count && leat__cell_head(l, key, key->first)->us <= us)
        forget_cell(l, mem, key, key->first++);
    if (key->low < key->first)
        key->low = key->first;
    if (key->middle < key->low) /* what is in `back` has gone in part */
        key->flags &= ~LEAT__SLIDING_STACKS;
    if (key->fired < key->first)
        key->fired = key->first;
}

/* ---- windows ---- */

static int fail_values(struct leat__ctx *ctx, int code)
{
    return leat__fail(ctx, code,
        "no memory for what a window keeps within the budget of the state: raise state_budget_bytes");
}

/* `to`, which owns something of its own, becomes a copy. */
static int copy_over(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, unsigned char *to, const unsigned char *from)
{
    leat__agg_forget(l->spec, mem, to);
    memset(to, 0, l->spec->values_size);
    const int code = leat__agg_copy_values(l->spec, mem, to, from);
    return code < 0 ? fail_values(ctx, code) : 0;
}

static int combine(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, unsigned char *into, const unsigned char *from)
{
    return leat__agg_combine_values(l->spec, ctx->node, mem, into, from, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

int leat__cells_suffixes(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, uint32_t low, uint32_t end)
{
    for (uint32_t i = end; i-- > low;) {
        unsigned char *suffix = leat__cell(l, key, i) + l->suffix;
        LEAT_TRY(copy_over(l, ctx, mem, suffix, leat__cell_values(l, key, i)));
        if (i + 1 < end)
            LEAT_TRY(combine(l, ctx, mem, suffix, leat__cell(l, key, i + 1) + l->suffix));
    }
    return 0;
}

/* Everything that has fired and is in the window goes to the front; the back is empty. */
static int flip(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, unsigned char *back)
{
    LEAT_TRY(leat__cells_suffixes(l, ctx, mem, key, key->low, key->fired));
    key->middle = key->fired;
    leat__agg_forget(l->spec, mem, back);
    memset(back, 0, l->spec->values_size);
    key->flags |= LEAT__SLIDING_STACKS;
    return 0;
}

int leat__cells_next(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, int64_t from_us, struct leat_arena *arena,
    unsigned char *result)
{
    unsigned char *back = (unsigned char *)key + l->back;
    const struct leat__agg_memory result_mem = { NULL, 0, arena };
    if (!(key->flags & LEAT__SLIDING_STACKS))
        key->low = leat__cell_from(l, key, from_us);
    while (key->low < key->fired && leat__cell_head(l, key, key->low)->us < from_us)
        key->low++;
    if (!(key->flags & LEAT__SLIDING_STACKS) || key->low > key->middle)
        LEAT_TRY(flip(l, ctx, mem, key, back));
    LEAT_TRY(combine(l, ctx, mem, back, leat__cell_values(l, key, key->fired)));
    key->fired++;
    memset(result, 0, l->spec->values_size);
    const unsigned char *begin = key->low < key->middle ? leat__cell(l, key, key->low) + l->suffix : back;
    const int code = leat__agg_copy_values(l->spec, &result_mem, result, begin);
    if (code < 0)
        return fail_values(ctx, code);
    return begin == back ? 0 : combine(l, ctx, &result_mem, result, back);
}
