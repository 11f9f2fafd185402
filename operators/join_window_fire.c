/* operators/join_window_fire.c -- what a watermark does to a join of aligned windows: each window whose end it has
 * passed gives its pairs, one after the other; then what no window needs any more goes.
 *
 *   NEXT    the next window that has any rows; where its rows are (slices, and those apart)
 *   KEYS    windows of several slices: the keys of one side are gathered in a table, since a key may be in all of them
 *   PAIRS   keys, some at a time, through the pairing
 *   DROP    namespaces of slices and windows that are over
 *
 * One pass gives the pairs and the lonely rows of one side: the left one, or that of a RIGHT join. A FULL join has
 * a second one for lonely rows of the right side. */
#include "operators/join_window_private.h"

#define DROPS_PER_CALL 64u
#define ITEMS 256u /* keys that are gathered at once */
#define KEYS_NS 0

/* ---- finding windows ---- */

static int next_namespace(struct leat__ctx *ctx, struct leat_table *table, int64_t from, int64_t *ns)
{
    const int found = leat__table_next_namespace(table, from, ns, ctx->error);
    return found < 0 ? leat__fail_here(ctx) : found;
}

/* Moves j->window to the first one, from itself on, that has any rows; 0: none has. */
static int next_filled(struct leat__window_join *j, struct leat__ctx *ctx)
{
    const struct leat__assigner *a = j->assigner;
    struct leat__window best = { 0, 0 };
    bool any = false;
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        struct leat__window window = j->window;
        int64_t ns;
        int found = next_namespace(ctx, j->slices[side], leat__slice_of(a, j->window.start).start, &ns);
        if (found < 0)
            return found;
        /* Slices in this window leave it where it is. */
        if (found && ns > leat__window_last_us(a, &j->window) && !leat__window_from(a, ns, &window))
            found = 0;
        if (found && (!any || leat__window_ns(a, &window) < leat__window_ns(a, &best)))
            best = window;
        any = any || found;
        if (!j->apart[side])
            continue;
        found = next_namespace(ctx, j->apart[side], leat__window_ns(a, &j->window), &ns);
        if (found < 0)
            return found;
        if (found && (!any || ns < leat__window_ns(a, &best)))
            best = leat__window_at(a, ns);
        any = any || found;
    }
    if (any)
        j->window = best;
    return any;
}

int leat__window_join_find_parts(
    struct leat__window_join *j, struct leat__ctx *ctx, const struct leat__window *window, uint32_t side)
{
    struct leat__pairing_parts *parts = &j->parts[side];
    const int64_t last_us = leat__window_last_us(j->assigner, window);
    int64_t from = leat__slice_of(j->assigner, window->start).start, ns;
    int found;
    parts->count = 0;
    while ((found = next_namespace(ctx, j->slices[side], from, &ns)) > 0 && ns <= last_us) {
        LEAT_TRY(leat__pairing_add_part(ctx, parts, j->slices[side], ns));
        if (ns == LEAT_TIME_MAX)
            break;
        from = ns + 1;
    }
    if (found < 0 || !j->apart[side])
        return found < 0 ? found : 0;
    from = leat__window_ns(j->assigner, window);
    found = next_namespace(ctx, j->apart[side], from, &ns);
    if (found > 0 && ns == from)
        LEAT_TRY(leat__pairing_add_part(ctx, parts, j->apart[side], ns));
    return found < 0 ? found : 0;
}

/* ---- passes over the keys of a window ---- */

static bool first_pass_is_right(const struct leat__window_join *j)
{
    return j->spec->join.kind == LEAT_JOIN_RIGHT;
}

static void begin_pass(struct leat__window_join *j)
{
    struct leat__pairing *p = &j->pairing;
    p->side = j->pass || first_pass_is_right(j) ? LEAT__RIGHT : LEAT__LEFT;
    p->gives_pairs = j->pass == 0;
    p->gives_lone = leat__join_keeps(&j->spec->join, p->side);
    j->keys_part = 0;
    j->in_keys_chunk = false;
    j->phase = j->parts[p->side].count > 1 ? LEAT__WINDOW_JOIN_KEYS : LEAT__WINDOW_JOIN_PAIRS;
}

/* Whether a pass over the rows of its side would give anything. */
static bool pass_is_void(const struct leat__window_join *j)
{
    const struct leat__pairing *p = &j->pairing;
    return j->parts[p->side].count == 0 || (!p->gives_lone && j->parts[!p->side].count == 0);
}

/* The pass has ended: the next one, or the next window. */
static int end_pass(struct leat__window_join *j, struct leat__ctx *ctx)
{
    leat__cursor_close(j->cursor);
    j->cursor = NULL;
    if (j->keys && leat__table_drop(j->keys, KEYS_NS, ctx->error) < 0)
        return leat__fail_here(ctx);
    j->pairing.scanned++;
    if (j->pass == 0 && j->spec->join.kind == LEAT_JOIN_FULL) {
        j->pass = 1;
        begin_pass(j);
        return pass_is_void(j) ? end_pass(j, ctx) : 0;
    }
    j->phase = leat__window_next(j->assigner, &j->window) ? LEAT__WINDOW_JOIN_NEXT : LEAT__WINDOW_JOIN_DROP;
    return 0;
}

static int next_window(struct leat__window_join *j, struct leat__ctx *ctx)
{
    const int found = next_filled(j, ctx);
    if (found < 0)
        return found;
    if (!found || !leat__time_passed(j->window.end - 1, j->watermark_us)) {
        j->phase = LEAT__WINDOW_JOIN_DROP;
        return 0;
    }
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        LEAT_TRY(leat__window_join_find_parts(j, ctx, &j->window, side));
    leat__window_join_set_window(j, &j->window);
    j->pass = 0;
    begin_pass(j);
    return pass_is_void(j) ? end_pass(j, ctx) : 0;
}

/* ---- keys ---- */

/* The next keys of a cursor to the pairing, which copies them unless the cursor, over its rows, stays. How many. */
static int64_t stage_keys(struct leat__window_join *j, struct leat__ctx *ctx)
{
    struct leat_cursor_item items[ITEMS];
    const int64_t count = leat__cursor_next(j->cursor, items, ITEMS, ctx->error);
    if (count < 0)
        return leat__fail_here(ctx);
    leat__pairing_begin_keys(&j->pairing);
    if (j->phase == LEAT__WINDOW_JOIN_PAIRS && j->parts[j->pairing.side].count == 1 &&
        leat__cursor_pins(j->cursor)) {
        leat__pairing_pin_keys(&j->pairing, items, (uint32_t)count);
        leat__pairing_begin(&j->pairing);
        return count;
    }
    for (int64_t i = 0; i < count; i++)
        LEAT_TRY(leat__pairing_add_key(&j->pairing, ctx, items[i].key, items[i].hash));
    leat__pairing_begin(&j->pairing);
    return count;
}

static int open_cursor(
    struct leat__window_join *j, struct leat__ctx *ctx, struct leat_table *table, int64_t ns)
{
    if (j->cursor)
        return 0;
    const int code = leat__cursor_open(table, ns, LEAT_CURSOR_READ, &j->cursor, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int gather_keys(struct leat__window_join *j, struct leat__ctx *ctx)
{
    struct leat__pairing *p = &j->pairing;
    const struct leat__pairing_parts *parts = &j->parts[p->side];
    void *values[ITEMS];
    for (; j->keys_part < parts->count; j->keys_part++) {
        const struct leat__pairing_part *part = &parts->list[j->keys_part];
        int64_t count;
        LEAT_TRY(open_cursor(j, ctx, part->table, part->ns));
        while ((count = stage_keys(j, ctx)) > 0) {
            if (leat__table_upsert(
                    j->keys, KEYS_NS, p->keys, p->hashes, NULL, (uint32_t)count, values, ctx->error) < 0)
                return leat__fail_here(ctx);
            p->scanned += (uint32_t)count;
            if (leat__pairing_is_spent(p))
                return LEAT_MORE;
        }
        if (count < 0)
            return (int)count;
        leat__cursor_close(j->cursor);
        j->cursor = NULL;
    }
    j->phase = LEAT__WINDOW_JOIN_PAIRS;
    return 0;
}

static int make_pairs(struct leat__window_join *j, struct leat__ctx *ctx)
{
    struct leat__pairing *p = &j->pairing;
    const struct leat__pairing_parts *parts = &j->parts[p->side];
    const bool gathered = parts->count > 1;
    LEAT_TRY(open_cursor(
        j, ctx, gathered ? j->keys : parts->list[0].table, gathered ? KEYS_NS : parts->list[0].ns));
    for (;;) {
        if (!j->in_keys_chunk) {
            if (leat__pairing_is_spent(p))
                return LEAT_MORE;
            const int64_t count = stage_keys(j, ctx);
            if (count < 0)
                return (int)count;
            if (count == 0)
                return end_pass(j, ctx);
            j->in_keys_chunk = true;
        }
        const int code = leat__pairing_run(p, ctx);
        if (code != 0)
            return code;
        j->in_keys_chunk = false;
    }
}

/* ---- what goes ---- */

/* Drops namespaces of a table below `to`; all of them without it. */
static int drop_below(struct leat__ctx *ctx, struct leat_table *table, const int64_t *to, uint32_t *drops)
{
    int64_t ns;
    int found;
    while ((found = next_namespace(ctx, table, LEAT_TIME_MIN, &ns)) > 0 && (!to || ns < *to)) {
        if (*drops == 0)
            return LEAT_MORE;
        --*drops;
        if (leat__table_drop(table, ns, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return found < 0 ? found : 0;
}

/* The first window that is not over. */
static bool first_open(const struct leat__window_join *j, struct leat__window *window)
{
    const int64_t lateness_us = j->spec->window.allowed_lateness_us;
    int64_t from = LEAT_TIME_MIN;
    if (j->watermark_us != LEAT_TIME_MIN && lateness_us != LEAT_NEVER)
        from = leat__time_sub(j->watermark_us, lateness_us);
    if (j->watermark_us == LEAT_TIME_MAX)
        return false;
    if (!leat__window_from(j->assigner, from, window))
        return false;
    while (leat__window_join_is_over(j, window, j->watermark_us))
        if (!leat__window_next(j->assigner, window))
            return false;
    return true;
}

static int drop_over(struct leat__window_join *j, struct leat__ctx *ctx)
{
    struct leat__window open = { 0, 0 };
    const bool any = first_open(j, &open);
    uint32_t drops = DROPS_PER_CALL;
    const int64_t slices_to = any ? leat__slice_of(j->assigner, open.start).start : 0;
    const int64_t apart_to = any ? leat__window_ns(j->assigner, &open) : 0;
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        int code = drop_below(ctx, j->slices[side], any ? &slices_to : NULL, &drops);
        if (code == 0 && j->apart[side])
            code = drop_below(ctx, j->apart[side], any ? &apart_to : NULL, &drops);
        if (code != 0)
            return code;
    }
    j->fired_us = j->watermark_us;
    j->phase = LEAT__WINDOW_JOIN_IDLE;
    return 0;
}

/* ---- the machine ---- */

void leat__window_join_begin_watermark(struct leat__window_join *j, int64_t w)
{
    const int64_t from = j->fired_us == LEAT_TIME_MIN ? LEAT_TIME_MIN : leat__time_add(j->fired_us, 1);
    j->watermark_us = w;
    /* The first window that has not fired. */
    j->phase =
        leat__window_from(j->assigner, from, &j->window) ? LEAT__WINDOW_JOIN_NEXT : LEAT__WINDOW_JOIN_DROP;
}

static int do_phase(struct leat__window_join *j, struct leat__ctx *ctx)
{
    switch (j->phase) {
    case LEAT__WINDOW_JOIN_NEXT:
        return next_window(j, ctx);
    case LEAT__WINDOW_JOIN_KEYS:
        return gather_keys(j, ctx);
    case LEAT__WINDOW_JOIN_PAIRS:
        return make_pairs(j, ctx);
    default:
        return drop_over(j, ctx);
    }
}

int leat__window_join_fire(struct leat__window_join *j, struct leat__ctx *ctx)
{
    while (j->phase != LEAT__WINDOW_JOIN_IDLE) {
        const int code = do_phase(j, ctx);
        if (code != 0)
            return code;
        if (j->phase == LEAT__WINDOW_JOIN_NEXT && leat__pairing_is_spent(&j->pairing))
            return LEAT_MORE;
    }
    return 0;
}
