/* operators/slice_aggregate_fire.c -- what a watermark makes: complete slices go upward, windows are put together
 * and given, and what no window needs any more goes. A machine of phases, so that it can stop after any of them and
 * go on in the next call.
 *
 * Values are put into others through copies: looking for the others may move what a cursor has given. */
#include "base/alloc.h"
#include "operators/slice_aggregate_private.h"

#define ITEMS LEAT__RUN_ITEMS
#define RESULT_NS 0
#define DROP_KEYS 64u /* what a call is charged for a namespace that goes, in keys */

/* ---- windows ---- */

bool leat__slicer_first_open(const struct leat__slicer *a, int64_t us, int64_t w, struct leat__window *window)
{
    const int64_t lateness_us = a->spec->window.allowed_lateness_us;
    if (w == LEAT_TIME_MAX)
        return false;
    if (w != LEAT_TIME_MIN && lateness_us != LEAT_NEVER) {
        const int64_t open_us =
            leat__time_sub(w, lateness_us) + 1; /* the first that an open window can end with */
        if (us < open_us)
            us = open_us;
    }
    return leat__window_from(a->assigner, us, window) && !leat__slicer_is_over(a, window, w);
}

static bool previous_window(const struct leat__slicer *a, struct leat__window *window)
{
    const struct leat__assigner *assigner = a->assigner;
    if (!a->is_cumulating) {
        if (window->start == LEAT_TIME_MIN)
            return false;
        *window = leat__window_at(assigner, leat__time_sub(window->start, assigner->step));
        return true;
    }
    const int64_t ns = leat__window_ns(assigner, window);
    /* Another number of steps may be left of a window at the ends of time: asked of the slice before the last one. */
    const int64_t start = leat__slice_of(assigner, ns).start;
    if (start == LEAT_TIME_MIN)
        return false;
    *window = leat__window_at(assigner, start - 1);
    return true;
}

bool leat__slicer_last_ended(const struct leat__slicer *a, int64_t w, struct leat__window *window)
{
    if (w == LEAT_TIME_MIN || w >= LEAT_TIME_MAX - 1 || !leat__window_from(a->assigner, w + 1, window))
        return false;
    return previous_window(a, window);
}

/* ---- values into values ---- */

static int fail_combine(struct leat__slicer *a, int code)
{
    return code == LEAT_ENOMEM && a->ctx->error->code == 0 ? leat__rows_nomem(a->ctx, "an accumulator")
                                                           : leat__fail_here(a->ctx);
}

static int reserve_keys(struct leat__slicer *a, size_t bytes)
{
    if (bytes > a->staged_keys_capacity) {
        leat__free(a->staged_keys);
        a->staged_keys_capacity = 0;
        a->staged_keys = leat__malloc(2 * bytes);
        if (!a->staged_keys)
            return leat__rows_nomem(a->ctx, "keys");
        a->staged_keys_capacity = 2 * bytes;
    }
    return 0;
}

static int stage_keys(struct leat__slicer *a, struct leat_cursor_item *items, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += items[i].key.len;
    LEAT_TRY(reserve_keys(a, bytes));
    char *at = a->staged_keys;
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].key.len)
            memcpy(at, items[i].key.data, items[i].key.len);
        items[i].key.data = at;
        at += items[i].key.len;
    }
    return 0;
}

/* Values that are all they are, of numbers: word by word. */
static int stage_plain(struct leat__slicer *a, struct leat_cursor_item *items, uint32_t count)
{
    const uint32_t words = a->value_size / sizeof(uint64_t);
    LEAT_TRY(reserve_keys(a, count * sizeof(uint64_t)));
    char *key = a->staged_keys;
    uint64_t *value = (uint64_t *)(void *)a->staged;
    for (uint32_t i = 0; i < count; i++, key += sizeof(uint64_t), value += words) {
        const uint64_t *from = items[i].value;
        memcpy(key, items[i].key.data, sizeof(uint64_t));
        for (uint32_t w = 0; w < words; w++)
            value[w] = from[w];
        items[i].key.data = key;
        items[i].value = value;
    }
    return 0;
}

/* Copies of items, whose keys and values are then the copies. */
static int stage_items(struct leat__slicer *a, struct leat_cursor_item *items, uint32_t count)
{
    const struct leat__agg_memory mem = { NULL, 0, &a->stage };
    if (a->stages_plain)
        return stage_plain(a, items, count);
    if (a->spec->has_memory)
        leat__arena_release(&a->stage);
    LEAT_TRY(stage_keys(a, items, count));
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *value = a->staged + (size_t)i * a->value_size;
        memcpy(value, items[i].value, a->layout.base);
        if (leat__agg_copy_values(
                a->spec, &mem, leat__slicer_values(a, value), leat__slicer_values(a, items[i].value)) < 0)
            return leat__rows_nomem(a->ctx, "accumulators");
        items[i].value = value;
    }
    return 0;
}

/* Takes a value out of the one found for it, which goes with its last record. */
static bool take_out(struct leat__slicer *a, struct leat_table *table, int64_t ns,
    const struct leat_cursor_item *item, void *into)
{
    const struct leat__agg_memory mem = { table, ns, NULL };
    *leat__slicer_records(into) -= *leat__slicer_records(item->value);
    if (*leat__slicer_records(into)) {
        leat__agg_subtract_values(a->spec, leat__slicer_values(a, into), leat__slicer_values(a, item->value));
        return false;
    }
    leat__agg_forget(a->spec, &mem, leat__slicer_values(a, into));
    return true;
}

static int put_items(struct leat__slicer *a, struct leat_table *table, int64_t ns,
    struct leat_cursor_item *items, uint32_t count, bool minus)
{
    const struct leat__agg_memory mem = { table, ns, NULL };
    struct leat_sv keys[ITEMS];
    uint64_t hashes[ITEMS];
    void *found[ITEMS];
    bool gone[ITEMS];
    uint32_t gone_count = 0;
    LEAT_TRY(stage_items(a, items, count));
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = items[i].key;
        hashes[i] = items[i].hash;
    }
    const int code = minus
        ? leat__table_upsert(table, ns, keys, hashes, NULL, count, found, a->ctx->error)
        : leat__table_upsert_blind(table, ns, keys, hashes, NULL, count, found, a->ctx->error);
    if (code < 0)
        return leat__fail_here(a->ctx);
    for (uint32_t i = 0; i < count; i++) {
        gone[i] = false;
        if (minus) {
            gone[i] = take_out(a, table, ns, &items[i], found[i]);
            gone_count += gone[i];
            continue;
        }
        *leat__slicer_records(found[i]) += *leat__slicer_records(items[i].value);
        const int combined = leat__agg_combine_values(a->spec, a->ctx->node, &mem,
            leat__slicer_values(a, found[i]), leat__slicer_values(a, items[i].value), a->ctx->error);
        if (combined < 0)
            return fail_combine(a, combined);
    }
    for (uint32_t i = 0; gone_count && i < count; i++)
        if (gone[i] && leat__table_remove(table, ns, keys[i], hashes[i], a->ctx->error) < 0)
            return leat__fail_here(a->ctx);
    return 0;
}

static void end_cursor(struct leat__slicer *a)
{
    leat__cursor_close(a->cursor);
    a->cursor = NULL;
}

static int drop(struct leat__slicer *a, struct leat_table *table, int64_t ns)
{
    a->run.keys_seen += DROP_KEYS;
    return leat__table_drop(table, ns, a->ctx->error) < 0 ? leat__fail_here(a->ctx) : 0;
}

/* All values of a->part into a namespace. */
static int put_part(struct leat__slicer *a, struct leat_table *table, int64_t ns)
{
    struct leat_cursor_item items[ITEMS];
    int64_t count;
    if (!a->cursor &&
        leat__cursor_open(a->part.table, a->part.ns, LEAT_CURSOR_READ | LEAT_CURSOR_FOR_TABLES, &a->cursor,
            a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    while ((count = leat__cursor_next(a->cursor, items, ITEMS, a->ctx->error)) > 0) {
        LEAT_TRY(put_items(a, table, ns, items, (uint32_t)count, a->part.minus));
        a->run.keys_seen += (uint32_t)count;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    if (count < 0)
        return leat__fail_here(a->ctx);
    end_cursor(a);
    a->run.keys_seen++; /* namespaces cost too */
    return a->part.drops ? drop(a, a->part.table, a->part.ns) : 0;
}

static int drop_result(struct leat__slicer *a)
{
    return drop(a, a->result, RESULT_NS);
}

static int next_namespace(struct leat__slicer *a, struct leat_table *table, int64_t from, int64_t *ns)
{
    const int found = leat__table_next_namespace(table, from, ns, a->ctx->error);
    return found < 0 ? leat__fail_here(a->ctx) : found;
}

/* Whether it is there, in memory or not (then nobody knows how many keys it has). */
static int exists(struct leat__slicer *a, struct leat_table *table, int64_t ns)
{
    int64_t next;
    const int found = next_namespace(a, table, ns, &next);
    return found <= 0 ? found : next == ns;
}

/* ---- complete slices upward ---- */

/* The next slice or node of a->level that has become complete: 1 with its index; 0: none. */
static int next_complete(struct leat__slicer *a, int64_t incomplete, int64_t *j, int64_t *ns)
{
    int found;
    if (a->level == 0) {
        if ((found = next_namespace(a, a->slices, a->build_at, ns)) <= 0)
            return found;
        *j = leat__slice_index(a->assigner, *ns);
        return leat__node_is_complete(0, *j, incomplete);
    }
    for (int64_t from = a->build_at;; from = leat__node_of_level_from(a->level, *ns)) {
        if ((found = next_namespace(a, a->nodes, from, ns)) <= 0)
            return found;
        if (leat__node_level(*ns) == a->level)
            break;
    }
    *j = leat__node_j(*ns);
    return leat__node_is_complete(a->level, *j, incomplete);
}

/* Where a level begins: behind what was complete before. */
static void begin_level(struct leat__slicer *a, uint32_t level)
{
    const int64_t before = leat__slice_incomplete(a->assigner, a->fired_us);
    a->level = level;
    if (before == INT64_MIN || a->fired_us >= LEAT_TIME_MAX - 1)
        a->build_at = before;
    else if (level == 0)
        a->build_at = leat__slice_of(a->assigner, a->fired_us + 1).start;
    else
        a->build_at = leat__node_number(level, before >> level);
}

static int build(struct leat__slicer *a)
{
    const int64_t incomplete = leat__slice_incomplete(a->assigner, a->watermark_us);
    while (a->level < a->levels) {
        int64_t j, ns;
        if (!a->cursor) {
            const int found = next_complete(a, incomplete, &j, &ns);
            if (found < 0)
                return found;
            if (!found) {
                begin_level(a, a->level + 1);
                continue;
            }
            a->part = (struct leat__slice_part){ a->level ? a->nodes : a->slices, ns, false, false };
        }
        j = a->level ? leat__node_j(a->part.ns) : leat__slice_index(a->assigner, a->part.ns);
        const int code = put_part(a, a->nodes, leat__node_number(a->level + 1, j >> 1));
        if (code != 0)
            return code;
        if (a->part.ns == INT64_MAX)
            begin_level(a, a->level + 1);
        else
            a->build_at = a->part.ns + 1;
    }
    return 0;
}

/* ---- finding windows ---- */

/* Moves a->window to the first one, from itself on, that may have anything to give; 0: none does. */
static int next_filled(struct leat__slicer *a)
{
    struct leat__window filled = { LEAT_TIME_MAX, LEAT_TIME_MAX }, other;
    bool is_any = false;
    int64_t ns;
    int found = next_namespace(a, a->slices, a->window.start, &ns);
    if (found < 0)
        return found;
    if (found && leat__window_from(a->assigner, ns, &filled))
        is_any = true;
    if ((found = next_namespace(a, a->apart, leat__window_ns(a->assigner, &a->window), &ns)) < 0)
        return found;
    if (found) {
        other = leat__window_at(a->assigner, ns);
        if (!is_any || ns < leat__window_ns(a->assigner, &filled))
            filled = other;
        is_any = true;
    }
    if ((found = exists(a, a->result, RESULT_NS)) < 0)
        return found;
    const bool goes_on = found && a->is_cumulating && a->has_last && a->last.start == a->window.start;
    if (!is_any && !goes_on)
        return 0;
    if (!goes_on && leat__window_ns(a->assigner, &filled) > leat__window_ns(a->assigner, &a->window))
        a->window = filled;
    return 1;
}

/* The next window that fires at the watermark; 0: none. */
static int find_window(struct leat__slicer *a)
{
    const int found = next_filled(a);
    return found <= 0 ? found : leat__time_passed(a->window.end - 1, a->watermark_us);
}

static void begin_running(struct leat__slicer *a)
{
    const bool keeps = a->has_last &&
        (a->is_cumulating ? a->last.start == a->window.start
                          : a->window.start <= leat__window_last_us(a->assigner, &a->last));
    a->at = keeps ? leat__time_add(leat__window_last_us(a->assigner, &a->last), 1) : a->window.start;
    a->phase = LEAT__SLICE_ENTER;
    a->part = (struct leat__slice_part){ NULL, 0, false, false };
    if (!keeps)
        a->has_last = false;
}

static int begin_window(struct leat__slicer *a)
{
    if (a->has_tree) {
        leat__slicer_cover(a, &a->window);
        a->phase = LEAT__SLICE_PARTS;
        return 0;
    }
    begin_running(a);
    return a->has_last ? 0 : drop_result(a);
}

/* ---- putting windows together ---- */

/* Running: slices that the last window did not have. */
static int enter(struct leat__slicer *a)
{
    const int64_t last_us = leat__window_last_us(a->assigner, &a->window);
    const bool has_all = a->has_last && leat__window_last_us(a->assigner, &a->last) == LEAT_TIME_MAX;
    while (!has_all) {
        if (!a->cursor) {
            int64_t ns;
            const int found = next_namespace(a, a->slices, a->at, &ns);
            if (found < 0)
                return found;
            if (!found || ns > last_us)
                break;
            a->part = (struct leat__slice_part){ a->slices, ns, false, a->is_cumulating };
        }
        const int code = put_part(a, a->result, RESULT_NS);
        if (code != 0)
            return code;
        if (a->part.ns == LEAT_TIME_MAX)
            break;
        a->at = a->part.ns + 1;
    }
    a->phase = LEAT__SLICE_LEAVE;
    return 0;
}

/* Running: slices that it had, and this one has not. Those before them are of no use either. */
static int leave(struct leat__slicer *a)
{
    for (;;) {
        if (!a->cursor) {
            int64_t ns;
            const int found = next_namespace(a, a->slices, LEAT_TIME_MIN, &ns);
            if (found < 0)
                return found;
            if (!found || ns >= a->window.start)
                break;
            if (!a->has_last || ns < a->last.start) {
                LEAT_TRY(drop(a, a->slices, ns));
                if (leat__run_is_spent(&a->run))
                    return LEAT_MORE;
                continue;
            }
            a->part = (struct leat__slice_part){ a->slices, ns, true, true };
        }
        const int code = put_part(a, a->result, RESULT_NS);
        if (code != 0)
            return code;
    }
    a->has_last = true;
    a->last = a->window;
    a->phase = LEAT__SLICE_APART;
    return 0;
}

/* Tree: the nodes of the window. */
static int put_parts(struct leat__slicer *a)
{
    for (; a->parts_at < a->parts_count; a->parts_at++) {
        int code;
        a->part = a->parts[a->parts_at];
        if (!a->cursor && (code = exists(a, a->part.table, a->part.ns)) <= 0) {
            if (code < 0)
                return code;
            continue;
        }
        code = put_part(a, a->result, RESULT_NS);
        if (code != 0)
            return code;
    }
    a->phase = LEAT__SLICE_APART;
    return 0;
}

/* What came to this window by itself: in, and out again where the result goes on. */
static int put_apart(struct leat__slicer *a, bool minus)
{
    const int64_t ns = leat__window_ns(a->assigner, &a->window);
    a->part = (struct leat__slice_part){ a->apart, ns, minus, minus };
    const int found = a->cursor ? 1 : exists(a, a->apart, ns);
    return found > 0 ? put_part(a, a->result, RESULT_NS) : found;
}

static int give(struct leat__slicer *a)
{
    struct leat_cursor_item items[ITEMS];
    const uint32_t flags = LEAT_CURSOR_READ | (a->spec->ordered ? LEAT_CURSOR_ORDERED : 0u);
    int64_t count;
    if (!a->cursor && leat__cursor_open(a->result, RESULT_NS, flags, &a->cursor, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    if (leat__cursor_prepare(a->cursor) > 0)
        return LEAT_MORE;
    while ((count = leat__cursor_next(a->cursor, items, a->run.items_max, a->ctx->error)) > 0) {
        for (int64_t i = 0; i < count; i++) {
            const struct leat__pane pane = { a->window, items[i].key, LEAT_PANE_ON_TIME, 0 };
            if (a->shares_count && leat__slicer_was_given(a, items[i].hash, &a->window))
                continue;
            const int given =
                leat__run_give(&a->run, a->ctx, &pane, items[i].hash, leat__slicer_values(a, items[i].value));
            if (given < 0)
                return given;
        }
        a->run.keys_seen += (uint32_t)count;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    if (count < 0)
        return leat__fail_here(a->ctx);
    end_cursor(a);
    a->phase = LEAT__SLICE_UNDO;
    return 0;
}

/* ---- what goes ---- */

/* All of these give LEAT_MORE where the call has done enough: they begin again in the next one, and find less. */

/* Namespaces of a table before `to`, or all. */
static int drop_some(struct leat__slicer *a, struct leat_table *table, bool all, int64_t to)
{
    int64_t ns;
    int found;
    while ((found = next_namespace(a, table, LEAT_TIME_MIN, &ns)) > 0 && (all || ns < to)) {
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        LEAT_TRY(drop(a, table, ns));
    }
    return found < 0 ? found : 0;
}

/* Nodes all whose slices are below `first`. One that is not may stand before one that is. */
static int drop_nodes(struct leat__slicer *a, int64_t first)
{
    int64_t ns = INT64_MIN;
    int found;
    while ((found = next_namespace(a, a->nodes, ns, &ns)) > 0 && ns < leat__node_number(0, first)) {
        if (leat__node_is_complete(leat__node_level(ns), leat__node_j(ns), first)) {
            if (leat__run_is_spent(&a->run))
                return LEAT_MORE;
            LEAT_TRY(drop(a, a->nodes, ns));
        }
        ns++;
    }
    return found < 0 ? found : 0;
}

static int drop_all(struct leat__slicer *a)
{
    struct leat_table *const tables[] = { a->slices, a->nodes, a->result, a->apart, a->panes };
    int code = 0;
    for (uint32_t t = 0; code == 0 && t < sizeof tables / sizeof tables[0]; t++)
        code = tables[t] ? drop_some(a, tables[t], true, 0) : 0;
    return code;
}

/* Tree: what no window that is kept needs. */
static int drop_over(struct leat__slicer *a, const struct leat__window *open)
{
    const int64_t ns = leat__window_ns(a->assigner, open);
    int code = drop_some(a, a->slices, false, open->start);
    if (code == 0)
        code = drop_nodes(a, leat__slice_index(a->assigner, open->start));
    if (code == 0)
        code = drop_some(a, a->apart, false, ns);
    return code == 0 && a->panes ? drop_some(a, a->panes, false, ns) : code;
}

/* Running: `result` is of the last window that has ended, also where that had nothing to give: then nothing of
 * the one before is in it either. */
static int settle_running(struct leat__slicer *a, const struct leat__window *open)
{
    struct leat__window last;
    const bool has_last = leat__slicer_last_ended(a, a->watermark_us, &last);
    int code = drop_some(a, a->apart, false, leat__window_ns(a->assigner, open));
    if (code == 0)
        code = drop_some(a, a->slices, false, has_last && !a->is_cumulating ? last.start : open->start);
    if (code != 0)
        return code;
    if (!has_last || !a->has_last || a->last.start != last.start)
        LEAT_TRY(drop_result(a));
    a->has_last = has_last;
    a->last = last;
    return 0;
}

static int finish(struct leat__slicer *a)
{
    struct leat__window open;
    const bool is_any = leat__slicer_first_open(a, LEAT_TIME_MIN, a->watermark_us, &open);
    const int code = !is_any ? drop_all(a) : a->has_tree ? drop_over(a, &open) : settle_running(a, &open);
    a->phase = LEAT__SLICE_FINISH;
    if (code != 0)
        return code;
    a->has_last &= is_any;
    a->fired_us = a->watermark_us;
    a->phase = LEAT__SLICE_IDLE;
    if (a->shares_count)
        leat__slicer_caught_up(a);
    return 0;
}

void leat__slicer_restored(struct leat__slicer *a)
{
    a->has_last = !a->has_tree && leat__slicer_last_ended(a, a->fired_us, &a->last);
}

/* ---- after a restore that has put different watermarks together ---- */

/* To the slice that was the last of what the key's result is of: entering it makes the result again. */
static int put_back(struct leat__slicer *a, const struct leat_cursor_item *item)
{
    struct leat__window last;
    struct leat_cursor_item one = *item;
    if (!leat__slicer_last_ended(a, leat__slicer_fired_us(a, item->hash), &last))
        return 0;
    const int64_t ns = leat__slice_of(a->assigner, leat__window_last_us(a->assigner, &last)).start;
    return put_items(a, a->slices, ns, &one, 1, false);
}

/* Cumulating: slices that are in the result are gone. */
static int put_all_back(struct leat__slicer *a)
{
    struct leat_cursor_item item; /* one at a time: putting it moves the others */
    int64_t count;
    if (leat__cursor_open(a->result, RESULT_NS, LEAT_CURSOR_READ, &a->cursor, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    while ((count = leat__cursor_next(a->cursor, &item, 1, a->ctx->error)) > 0)
        LEAT_TRY(put_back(a, &item));
    end_cursor(a);
    return count < 0 ? leat__fail_here(a->ctx) : 0;
}

static int rebuild_result(struct leat__slicer *a)
{
    struct leat__window last;
    int code = 0;
    if (a->is_cumulating)
        LEAT_TRY(put_all_back(a));
    LEAT_TRY(drop_result(a));
    a->has_last = false;
    if (!leat__slicer_last_ended(a, a->fired_us, &last))
        return 0;
    a->window = last;
    begin_running(a);
    do {
        leat__run_begin(&a->run);
        code = enter(a);
    } while (code == LEAT_MORE);
    a->has_last = true;
    a->last = last;
    return code;
}

static int rebuild_nodes(struct leat__slicer *a)
{
    const int64_t fired_us = a->fired_us;
    int code;
    do {
        leat__run_begin(&a->run);
        code = drop_some(a, a->nodes, true, 0);
    } while (code == LEAT_MORE);
    a->watermark_us = fired_us;
    a->fired_us = LEAT_TIME_MIN;
    begin_level(a, 0);
    while (code == 0) {
        leat__run_begin(&a->run);
        code = build(a);
        if (code == 0)
            break;
        code = code == LEAT_MORE ? 0 : code;
    }
    a->fired_us = fired_us;
    return code;
}

int leat__slicer_rebuild(struct leat__slicer *a)
{
    const int code = a->has_tree ? rebuild_nodes(a) : rebuild_result(a);
    leat__run_begin(&a->run);
    a->phase = LEAT__SLICE_IDLE;
    return code;
}

/* ---- the machine ---- */

void leat__slicer_begin_watermark(struct leat__slicer *a, int64_t w)
{
    LEAT_ASSERT(a->phase == LEAT__SLICE_IDLE);
    a->watermark_us = w;
    a->phase = LEAT__SLICE_BUILD;
    begin_level(a, 0);
    if (!a->has_tree)
        a->level = a->levels; /* nothing to build */
}

/* The first window that has not fired. */
static int begin_windows(struct leat__slicer *a)
{
    const int64_t fired_us = a->fired_us;
    const bool is_any = fired_us == LEAT_TIME_MIN
        ? leat__window_from(a->assigner, LEAT_TIME_MIN, &a->window)
        : fired_us < LEAT_TIME_MAX - 1 && leat__window_from(a->assigner, fired_us + 1, &a->window);
    a->phase = LEAT__SLICE_NEXT;
    return is_any ? 0 : finish(a);
}

static int next(struct leat__slicer *a)
{
    const int found = find_window(a);
    if (found < 0)
        return found;
    return found ? begin_window(a) : finish(a);
}

/* The window has given; goes to the one after it. */
static int end_window(struct leat__slicer *a)
{
    if (a->has_tree)
        LEAT_TRY(drop_result(a));
    else {
        const int code = put_apart(a, true);
        if (code != 0)
            return code;
    }
    a->run.keys_seen++;
    a->phase = LEAT__SLICE_NEXT;
    return leat__window_next(a->assigner, &a->window) ? 0 : finish(a);
}

static int do_phase(struct leat__slicer *a)
{
    int code;
    switch (a->phase) {
    case LEAT__SLICE_BUILD:
        code = build(a);
        return code != 0 ? code : begin_windows(a);
    case LEAT__SLICE_NEXT:
        return next(a);
    case LEAT__SLICE_ENTER:
        return enter(a);
    case LEAT__SLICE_LEAVE:
        return leave(a);
    case LEAT__SLICE_PARTS:
        return put_parts(a);
    case LEAT__SLICE_APART:
        code = put_apart(a, false);
        if (code == 0)
            a->phase = LEAT__SLICE_GIVE;
        return code;
    case LEAT__SLICE_GIVE:
        return give(a);
    case LEAT__SLICE_FINISH:
        return finish(a);
    default:
        return end_window(a);
    }
}

int leat__slicer_fire(struct leat__slicer *a)
{
    while (a->phase != LEAT__SLICE_IDLE) {
        const int code = do_phase(a);
        if (code != 0)
            return code;
        if (a->phase != LEAT__SLICE_IDLE && leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    return 0;
}
