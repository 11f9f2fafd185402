/* operators/sliding_cells.c -- the cells of a key, and what windows over them are.
 *
 *   offset 0   how many cells, of which so many have fired: 4 bytes each; the timer: flags (4), 0 (4), time (8)
 *         24   of each cell its head and its accumulators (aggregate_codec.c); where panes are retracted, those
 *              that were given
 *
 * Suffixes and `back` are not saved: they follow from the cells. Where windows are evaluated each by itself:
 *
 *         24   the timer by the wall clock: 0 (8), time (8)
 *         40   of each cell, behind its accumulators those of its window; and at its end what its triggers know, with
 *              the timers of the user's and the state */
#include "operators/sliding_private.h"

void leat__sliding_lay_out(
    struct leat__sliding_layout *l, const struct leat__aggregate_spec *spec, const struct leat_node *node)
{
    l->spec = spec;
    l->node = node;
    l->is_running = leat__agg_is_invertible(spec);
    l->back = sizeof(struct leat__sliding);
    l->size = l->back + spec->values_size;
    l->suffix = (uint32_t)sizeof(struct leat__cell_head) + spec->values_size;
    l->cell = l->suffix + spec->values_size;
    l->given = 0;
    if (spec->window.accumulation == LEAT_RETRACTING) {
        l->given = l->cell;
        l->cell += spec->values_size;
    }
    l->trigger = l->state_size = 0;
    if (!leat__sliding_is_each(&spec->window))
        return;
    struct leat__trigger_plan plan;
    leat__trigger_plan_of(&spec->window, &plan);
    l->trigger = l->cell;
    l->state_size = plan.user ? (plan.user->state_size + 7u) & ~7u : 0;
    l->cell += (uint32_t)sizeof(struct leat__cell_trigger) + l->state_size;
}

/* ---- bytes ---- */

struct saved_key {
    uint32_t count, fired, flags, spare;
    int64_t timer_us;
};

/* The parts of a cell that are accumulators: how many. */
static uint32_t values_of(const struct leat__sliding_layout *l, uint32_t parts[3])
{
    uint32_t count = 0;
    parts[count++] = sizeof(struct leat__cell_head);
    if (l->trigger)
        parts[count++] = l->suffix;
    if (l->given)
        parts[count++] = l->given;
    return count;
}

static void encode_trigger(
    const struct leat__sliding_layout *l, const unsigned char *cell, struct leat_strbuf *out)
{
    struct leat__cell_trigger trigger;
    memcpy(&trigger, cell + l->trigger, sizeof trigger);
    const struct leat_sv timers = leat__blob_sv(&trigger.timers);
    trigger.timers.data = NULL;
    trigger.timers.capacity = 0;
    leat__strbuf_add(out, &trigger, sizeof trigger);
    if (timers.len)
        leat__strbuf_add(out, timers.data, timers.len);
    if (l->state_size)
        leat__strbuf_add(out, cell + l->trigger + sizeof trigger, l->state_size);
}

int leat__sliding_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__sliding_layout *l = arg;
    const struct leat__sliding *key = value;
    uint32_t parts[3];
    const uint32_t parts_count = values_of(l, parts);
    const struct saved_key saved = { key->count - key->first, key->fired - key->first,
        key->flags & (LEAT__SLIDING_TIMER | LEAT__SLIDING_CLOCK), 0, key->timer_us };
    const int64_t clock[2] = { 0, key->clock_us };
    leat__strbuf_add(out, &saved, sizeof saved);
    if (l->trigger)
        leat__strbuf_add(out, clock, sizeof clock);
    for (uint32_t i = key->first; i < key->count; i++) {
        leat__strbuf_add(out, leat__cell(l, key, i), sizeof(struct leat__cell_head));
        for (uint32_t p = 0; p < parts_count; p++)
            LEAT_TRY(leat__agg_encode_values(l->spec, leat__cell(l, key, i) + parts[p], out));
        if (l->trigger)
            encode_trigger(l, leat__cell(l, key, i), out);
    }
    return out->failed ? LEAT_ENOMEM : 0;
}

/* Takes `size` bytes off the front; false when there are fewer. */
static bool take(struct leat_sv *rest, void *to, size_t size)
{
    if (rest->len < size)
        return false;
    if (size)
        memcpy(to, rest->data, size);
    *rest = (struct leat_sv){ rest->data + size, rest->len - size };
    return true;
}

static int decode_trigger(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat_sv *rest, unsigned char *cell)
{
    struct leat__cell_trigger trigger;
    if (!take(rest, &trigger, sizeof trigger))
        return LEAT_EDATA;
    const uint32_t len = leat__blob_len(&trigger.timers);
    trigger.timers = (struct leat__agg_blob){ NULL, 0, 0 };
    memcpy(cell + l->trigger, &trigger, sizeof trigger);
    if (len > rest->len || len % sizeof(struct leat__own_timer))
        return LEAT_EDATA;
    if (len)
        LEAT_TRY(leat__blob_set(mem, &((struct leat__cell_trigger *)(void *)(cell + l->trigger))->timers,
            (struct leat_sv){ rest->data, len }));
    *rest = (struct leat_sv){ rest->data + len, rest->len - len };
    return take(rest, cell + l->trigger + sizeof trigger, l->state_size) ? 0 : LEAT_EDATA;
}

static int decode_cell(const struct leat__sliding_layout *l, const struct leat__agg_memory *mem,
    struct leat_sv *rest, unsigned char *cell)
{
    uint32_t parts[3];
    const uint32_t parts_count = values_of(l, parts);
    if (!take(rest, cell, sizeof(struct leat__cell_head)))
        return LEAT_EDATA;
    for (uint32_t p = 0; p < parts_count; p++) {
        size_t used;
        LEAT_TRY(leat__agg_decode_values(l->spec, mem, rest->data, rest->len, cell + parts[p], &used));
        *rest = (struct leat_sv){ rest->data + used, rest->len - used };
    }
    return l->trigger ? decode_trigger(l, mem, rest, cell) : 0;
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
    int64_t clock[2] = { 0, 0 };
    if (l->trigger && !take(&rest, clock, sizeof clock))
        return LEAT_EDATA;
    if (saved.count > rest.len / sizeof(struct leat__cell_head) || saved.fired > saved.count)
        return LEAT_EDATA;
    key.flags = saved.flags & (LEAT__SLIDING_TIMER | LEAT__SLIDING_CLOCK);
    key.timer_us = saved.timer_us;
    key.clock_us = clock[1];
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

int leat__sliding_accept_schema(void *arg, const char *saved_schema, struct leat_error *err)
{
    const struct leat__sliding_layout *layout = arg;
    return leat__agg_accept_schema(layout->spec, saved_schema, err);
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
    struct leat__sliding *key, uint32_t *at, int64_t us)
{
    if (!has_room(l, key)) {
        if (key->first > key->count - key->first) {
            *at -= key->first;
            close_up(l, key);
        }
        LEAT_TRY(leat__blob_reserve(mem, &key->cells, (size_t)(key->count + 1) * l->cell));
    }
    unsigned char *cell = leat__cell(l, key, *at);
    if (*at < key->count)
        memmove(cell + l->cell, cell, (size_t)(key->count - *at) * l->cell);
    memset(cell, 0, l->cell);
    ((struct leat__cell_head *)(void *)cell)->us = us;
    key->count++;
    if (*at < key->fired) { /* behind what has fired */
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
    if (l->trigger)
        leat__blob_forget(mem, &((struct leat__cell_trigger *)(void *)(cell + l->trigger))->timers);
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
    const bool is_running = l->is_running && key->flags & LEAT__SLIDING_STACKS;
    for (; key->first < key->count && leat__cell_head(l, key, key->first)->us <= us; key->first++) {
        if (is_running && key->first >= key->low && key->first < key->fired)
            leat__agg_subtract_values(
                l->spec, (unsigned char *)key + l->back, leat__cell_values(l, key, key->first));
        if (l->spec->has_memory || l->trigger)
            forget_cell(l, mem, key, key->first);
    }
    if (key->low < key->first)
        key->low = key->first;
    if (!l->is_running && key->middle < key->low) /* what is in `back` has gone in part */
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

/* The cells that the window has lost leave `back`; all that it has are put there where it is not known. */
static int run_on(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, int64_t from_us, unsigned char *back)
{
    if (key->flags & LEAT__SLIDING_STACKS) {
        for (; key->low < key->fired && leat__cell_head(l, key, key->low)->us < from_us; key->low++)
            leat__agg_subtract_values(l->spec, back, leat__cell_values(l, key, key->low));
        return 0;
    }
    leat__agg_forget(l->spec, mem, back);
    memset(back, 0, l->spec->values_size);
    key->low = leat__cell_from(l, key, from_us);
    for (uint32_t i = key->low; i < key->fired; i++)
        LEAT_TRY(combine(l, ctx, mem, back, leat__cell_values(l, key, i)));
    key->flags |= LEAT__SLIDING_STACKS;
    return 0;
}

int leat__cells_next(const struct leat__sliding_layout *l, struct leat__ctx *ctx,
    const struct leat__agg_memory *mem, struct leat__sliding *key, int64_t from_us, struct leat_arena *arena,
    unsigned char *room, const unsigned char **result)
{
    unsigned char *back = (unsigned char *)key + l->back;
    const struct leat__agg_memory room_mem = { NULL, 0, arena };
    *result = l->is_running ? back : room;
    if (l->is_running) {
        LEAT_TRY(run_on(l, ctx, mem, key, from_us, back));
        return combine(l, ctx, mem, back, leat__cell_values(l, key, key->fired++));
    }
    if (!(key->flags & LEAT__SLIDING_STACKS))
        key->low = leat__cell_from(l, key, from_us);
    while (key->low < key->fired && leat__cell_head(l, key, key->low)->us < from_us)
        key->low++;
    if (!(key->flags & LEAT__SLIDING_STACKS) || key->low > key->middle)
        LEAT_TRY(flip(l, ctx, mem, key, back));
    LEAT_TRY(combine(l, ctx, mem, back, leat__cell_values(l, key, key->fired)));
    key->fired++;
    const unsigned char *begin = key->low < key->middle ? leat__cell(l, key, key->low) + l->suffix : back;
    if (begin == back && !l->spec->has_memory) {
        *result = back;
        return 0;
    }
    memset(room, 0, l->spec->values_size);
    const int code = leat__agg_copy_values(l->spec, &room_mem, room, begin);
    if (code < 0)
        return fail_values(ctx, code);
    return begin == back ? 0 : combine(l, ctx, &room_mem, room, back);
}
