/* operators/window_aggregate.c -- the aggregate over windows: which row goes into which window, and when a
 * window gives rows.
 *
 *   on_batch      prepare: keys and columns of all rows, rows that can not be had are refused
 *                 sort:    a row's window is  dropped late   (end - 1 + lateness has been passed): side
 * output plain          by window, whole columns at a time firing         in the order of the rows: windows
 * whose end has been passed give a LATE pane for each row; with a count trigger every row may fire
 *   on_watermark  windows whose end is passed now give ON_TIME panes, in order of time, then those go whose
 * lateness is over step          goes on with either, after LEAT_OP_BATCHES_PER_CALL batches of output
 *
 * Lateness is judged by max(watermark, the batch's mark); the on-time pane is what the operator's own
 * watermark has made: a row for a window that only the mark has passed just goes in, and is in the on-time
 * pane.
 *
 * Invariants: (1) a window is in the table only while its lateness is not over; (2) every window in the table
 * with end - 1
 * <= fired_us has given its on-time panes; (3) results do not depend on where batches begin; (4) a batch of
 * output has rows above the watermark that was forwarded, or is marked late with that watermark.
 *
 * State: table "windows": namespace = start of the window, key -> head and accumulators
 * (aggregate_private.h). */
#include "operators/aggregate_run_private.h"

#define CHUNK LEAT__RUN_CHUNK
#define ITEMS LEAT__RUN_ITEMS
/* Fewer windows than this are found by looking at all. */
#define WINDOWS_SCANNED 4u

struct batch_window {
    struct leat__window window;
    uint32_t count; /* of plain rows */
    uint32_t end; /* in `sorted`, while these are filled */
};

struct window_aggregate {
    struct leat_op op;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat_table *table;
    bool has_head;
    uint32_t base; /* of the accumulators in a value */
    struct leat__value_layout layout; /* for the codec */

    uint32_t *plain, *plain_window, *sorted, *firing, *late; /* rows of run.batch */
    uint32_t plain_count, firing_count, firing_at, late_count;
    uint32_t rows_capacity;
    struct batch_window *windows;
    uint32_t windows_count;
    uint32_t *window_slots; /* open addressing: index + 1 in `windows`; 2^slots_bits of them */
    uint32_t slots_bits;
    uint32_t chunk_rows[CHUNK];
    unsigned char *values[CHUNK]; /* of rows of one window, behind their heads */

    /* The watermark that is being worked on. */
    int64_t watermark_us;
    int64_t fired_us; /* the last one whose windows have all fired */
    int64_t next_start; /* windows before it have */
    bool no_more; /* there is no start after the last one that fired */
    struct leat_cursor *cursor; /* of `window` */
    struct leat__window window;
};

static struct leat__window window_of(const struct window_aggregate *a, int64_t us)
{
    return leat__tumbling_of(us, a->spec->window.size_us, a->spec->window.offset_us);
}

static bool holds(const struct leat__window *window, int64_t us)
{
    return us >= window->start && us < window->end;
}

/* Whether the window takes no more rows. One that is kept for ever does until the end, also where its times
 * are negative. */
static bool is_over(const struct window_aggregate *a, const struct leat__window *window, int64_t w)
{
    const int64_t lateness_us = a->spec->window.allowed_lateness_us;
    if (lateness_us == LEAT_NEVER)
        return w == LEAT_TIME_MAX;
    return leat__time_passed(leat__time_add(window->end - 1, lateness_us), w);
}

/* ---- life ---- */

static int open_table(struct window_aggregate *a, struct leat__ctx *ctx)
{
    const struct leat__aggregate_spec *spec = a->spec;
    struct leat_strbuf format = { 0 };
    leat__agg_print_format(spec, a->has_head, &format);
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "windows",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(spec->key),
        .value_size = a->base + spec->values_size,
        .codec = { .arg = &a->layout },
        .key_text = spec->key_types,
        .format = format.data,
        .counted = true,
    };
    if (spec->has_memory) {
        opts.codec.encode = leat__agg_encode;
        opts.codec.decode = leat__agg_decode;
    }
    if (leat__agg_is_mergeable(spec))
        opts.codec.merge = leat__agg_merge;
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &a->table, ctx->error);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int window_aggregate_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct window_aggregate *a = (struct window_aggregate *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    a->fired_us = LEAT_TIME_MIN;
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    a->has_head = spec->fire_count || spec->window.allowed_lateness_us || a->run.careful;
    a->base = a->has_head ? sizeof(struct leat__aggregate_head) : 0;
    a->layout = (struct leat__value_layout){ spec, a->base, op->node };
    return open_table(a, ctx);
}

static void window_aggregate_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct window_aggregate *a = (struct window_aggregate *)op;
    (void)ctx;
    leat__run_release(&a->run);
    leat__cursor_close(a->cursor);
    leat__free(a->plain); /* the first of the arrays that are one block */
    leat__free(a->windows);
    leat__free(a->window_slots);
    leat__table_close(a->table);
}

/* Arrays for a batch of that many rows. */
static int reserve(struct window_aggregate *a, struct leat__ctx *ctx, uint32_t count)
{
    if (count <= a->rows_capacity)
        return 0;
    leat__free(a->plain);
    leat__free(a->windows);
    leat__free(a->window_slots);
    a->rows_capacity = 0;
    a->slots_bits = 33u - (uint32_t)__builtin_clz(count | 1u); /* at most half of them taken */
    a->plain = leat__malloc(5 * (size_t)count * sizeof *a->plain);
    a->windows = leat__malloc((size_t)count * sizeof *a->windows);
    a->window_slots = leat__calloc((size_t)1 << a->slots_bits, sizeof *a->window_slots);
    if (!a->plain || !a->windows || !a->window_slots)
        return leat__rows_nomem(ctx, "row numbers");
    a->plain_window = a->plain + count;
    a->sorted = a->plain_window + count;
    a->firing = a->sorted + count;
    a->late = a->firing + count;
    a->rows_capacity = count;
    return 0;
}

/* ---- panes ---- */

static struct leat__aggregate_head *head_of(unsigned char *values)
{
    return (struct leat__aggregate_head *)(void *)(values - sizeof(struct leat__aggregate_head));
}

/* Gives a pane of a window and key, if it has any contents. `values`: behind the head, as everywhere. */
static int give_pane(struct window_aggregate *a, struct leat__ctx *ctx, const struct leat__window *window,
    enum leat_pane kind, struct leat_sv key, uint64_t hash, unsigned char *values)
{
    struct leat__aggregate_head none = { 1, 0 };
    struct leat__aggregate_head *head = a->has_head ? head_of(values) : &none;
    const bool discarding = a->spec->window.accumulation == LEAT_DISCARDING;
    if (head->since == 0 && (discarding || head->panes == 0))
        return 0; /* rule 24; and a key all whose rows were refused */
    const struct leat__pane pane = { *window, key, kind, head->panes };
    const int given = leat__run_give(&a->run, ctx, &pane, hash, values);
    if (given < 0)
        return given;
    head->panes++;
    head->since = 0;
    if (discarding && a->has_head)
        leat__agg_reset(a->spec, values);
    return 0;
}

/* ---- adding rows ---- */

/* The values of up to CHUNK rows, made where they are missing, to a->values. `blind`: they are added to and
 * not looked at, so that what has left memory need not come back. */
static int find_values(struct window_aggregate *a, struct leat__ctx *ctx, const struct leat__window *window,
    const uint32_t *rows, uint32_t count, bool blind)
{
    void *found[CHUNK];
    LEAT_ASSERT(count <= CHUNK);
    const int code = blind ? leat__table_upsert_blind(a->table, window->start, a->run.keys,
                                 a->run.batch->key_hash, rows, count, found, ctx->error)
                           : leat__table_upsert(a->table, window->start, a->run.keys, a->run.batch->key_hash,
                                 rows, count, found, ctx->error);
    if (code < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++)
        a->values[i] = (unsigned char *)found[i] + a->base;
    return 0;
}

/* Rows of a window that fires later. */
static int add_plain(struct window_aggregate *a, struct leat__ctx *ctx, const struct leat__window *window,
    uint32_t *rows, uint32_t count)
{
    for (uint32_t from = 0; from < count; from += CHUNK) {
        const uint32_t some = count - from < CHUNK ? count - from : CHUNK;
        LEAT_TRY(find_values(a, ctx, window, rows + from, some, true));
        const int64_t added =
            leat__run_add(&a->run, ctx, a->table, window->start, rows + from, a->values, some);
        if (added < 0)
            return (int)added;
        for (int64_t i = 0; a->has_head && i < added; i++)
            head_of(a->values[i])->since++;
    }
    return 0;
}

/* ---- sorting rows by window ---- */

static uint32_t add_window(struct window_aggregate *a, const struct leat__window *window)
{
    a->windows[a->windows_count] = (struct batch_window){ *window, 0, 0 };
    return a->windows_count++;
}

/* The slot of a window among window_slots, taken or free. */
static uint32_t *window_slot(struct window_aggregate *a, int64_t start)
{
    const uint32_t mask = (1u << a->slots_bits) - 1;
    uint32_t at = (uint32_t)(((uint64_t)start * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - a->slots_bits));
    while (a->window_slots[at] && a->windows[a->window_slots[at] - 1].window.start != start)
        at = (at + 1) & mask;
    return &a->window_slots[at];
}

/* The index of a window in this batch. */
static uint32_t window_index(struct window_aggregate *a, const struct leat__window *window)
{
    if (a->windows_count <= WINDOWS_SCANNED) {
        for (uint32_t i = 0; i < a->windows_count; i++)
            if (a->windows[i].window.start == window->start)
                return i;
        if (a->windows_count < WINDOWS_SCANNED)
            return add_window(a, window);
        for (uint32_t i = 0; i < a->windows_count; i++)
            *window_slot(a, a->windows[i].window.start) = i + 1;
    }
    uint32_t *slot = window_slot(a, window->start);
    if (!*slot)
        *slot = add_window(a, window) + 1;
    return *slot - 1;
}

static void forget_windows(struct window_aggregate *a)
{
    if (a->windows_count > WINDOWS_SCANNED)
        memset(a->window_slots, 0, sizeof *a->window_slots << a->slots_bits);
    a->windows_count = 0;
}

enum fate { PLAIN = 1, FIRING, LATE };

static enum fate fate_of(const struct window_aggregate *a, const struct leat__ctx *ctx,
    const struct leat__window *window, int64_t late_wm)
{
    if (is_over(a, window, late_wm))
        return LATE;
    return a->spec->fire_count || leat__time_passed(window->end - 1, ctx->watermark_us) ? FIRING : PLAIN;
}

/* Gives each row its fate, and plain ones their window. */
static void sort_rows(struct window_aggregate *a, const struct leat__ctx *ctx)
{
    const struct leat_batch *batch = a->run.batch;
    const int64_t late_wm = leat__ctx_late_wm(ctx, batch);
    struct leat__window window = { LEAT_TIME_MAX, LEAT_TIME_MIN }; /* holds nothing */
    enum fate fate = PLAIN;
    uint32_t index = 0;
    forget_windows(a);
    a->plain_count = a->firing_count = a->firing_at = a->late_count = 0;
    for (uint32_t r = 0; r < batch->count; r++) {
        if (!holds(&window, batch->event_us[r])) {
            window = window_of(a, batch->event_us[r]);
            fate = fate_of(a, ctx, &window, late_wm);
            if (fate == PLAIN)
                index = window_index(a, &window);
        }
        if (fate == PLAIN) {
            a->windows[index].count++;
            a->plain_window[a->plain_count] = index;
            a->plain[a->plain_count++] = r;
        } else if (fate == FIRING) {
            a->firing[a->firing_count++] = r;
        } else {
            a->late[a->late_count++] = r;
        }
    }
}

/* Plain rows, window by window, in their order within each. */
static int add_plain_rows(struct window_aggregate *a, struct leat__ctx *ctx)
{
    if (a->windows_count <= 1)
        return a->plain_count ? add_plain(a, ctx, &a->windows[0].window, a->plain, a->plain_count) : 0;
    uint32_t end = 0;
    for (uint32_t i = 0; i < a->windows_count; i++) {
        a->windows[i].end = end;
        end += a->windows[i].count;
    }
    for (uint32_t i = 0; i < a->plain_count; i++)
        a->sorted[a->windows[a->plain_window[i]].end++] = a->plain[i];
    for (uint32_t i = 0; i < a->windows_count; i++) {
        const struct batch_window *w = &a->windows[i];
        LEAT_TRY(add_plain(a, ctx, &w->window, a->sorted + (w->end - w->count), w->count));
    }
    return 0;
}

/* ---- rows that may fire ---- */

/* How many of the next firing rows are of one window, CHUNK at most; copies them. */
static uint32_t next_run(struct window_aggregate *a, struct leat__window *window)
{
    uint32_t count = 0;
    *window = window_of(a, a->run.batch->event_us[a->firing[a->firing_at]]);
    while (count < CHUNK && a->firing_at + count < a->firing_count) {
        const uint32_t row = a->firing[a->firing_at + count];
        if (count && !holds(window, a->run.batch->event_us[row]))
            break;
        a->chunk_rows[count++] = row;
    }
    return count;
}

/* Adds a run of rows of one window (a->chunk_rows, a->values) and fires wherever one is due: what a pane
 * shows ends with the row that fired it. Rows that do not fire wait until one does, and are then added
 * together. */
static int fire_run(
    struct window_aggregate *a, struct leat__ctx *ctx, const struct leat__window *window, uint32_t count)
{
    const bool passed = leat__time_passed(window->end - 1, ctx->watermark_us);
    const uint64_t due = passed ? 1 : a->spec->fire_count;
    uint32_t begin = 0; /* the first row that waits */
    for (uint32_t i = 0; i < count; i++) {
        if (a->run.careful) { /* whether it counts is known only afterwards */
            const int64_t added =
                leat__run_add(&a->run, ctx, a->table, window->start, &a->chunk_rows[i], &a->values[i], 1);
            if (added < 0)
                return (int)added;
            begin = i + 1;
            if (added == 0)
                continue;
        }
        const uint32_t row = a->chunk_rows[i];
        if (++head_of(a->values[i])->since < due)
            continue;
        if (begin <= i) {
            const int64_t added = leat__run_add(&a->run, ctx, a->table, window->start, &a->chunk_rows[begin],
                &a->values[begin], i + 1 - begin);
            if (added < 0)
                return (int)added;
        }
        begin = i + 1;
        LEAT_TRY(give_pane(a, ctx, window, passed ? LEAT_PANE_LATE : LEAT_PANE_EARLY, a->run.keys[row],
            a->run.batch->key_hash[row], a->values[i]));
        if (leat__run_is_spent(&a->run)) {
            a->firing_at += begin;
            return LEAT_MORE;
        }
    }
    a->firing_at += count;
    if (begin == count)
        return 0;
    const int64_t added = leat__run_add(
        &a->run, ctx, a->table, window->start, &a->chunk_rows[begin], &a->values[begin], count - begin);
    return added < 0 ? (int)added : 0;
}

static int fire_rows(struct window_aggregate *a, struct leat__ctx *ctx)
{
    while (a->firing_at < a->firing_count) {
        struct leat__window window;
        const uint32_t count = next_run(a, &window);
        LEAT_TRY(find_values(a, ctx, &window, a->chunk_rows, count, false));
        const int code = fire_run(a, ctx, &window, count);
        if (code != 0)
            return code;
    }
    return 0;
}

/* Ends a call about the batch. On an error the batch stays until release. */
static int end_batch(struct window_aggregate *a, struct leat__ctx *ctx, int code)
{
    leat__run_count_keys(ctx, a->table);
    return code != 0 ? code : leat__run_end_batch(&a->run, ctx);
}

static int window_aggregate_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct window_aggregate *a = (struct window_aggregate *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    LEAT_ASSERT(!a->run.batch && !a->cursor); /* nothing is delivered before step has ended */
    leat__run_begin(&a->run);
    LEAT_TRY(leat__run_prepare(&a->run, ctx, batch));
    if (!a->run.batch)
        return 0;
    LEAT_TRY(reserve(a, ctx, a->run.batch->count));
    sort_rows(a, ctx);
    LEAT_TRY(leat__run_late(&a->run, ctx, a->late, a->late_count));
    LEAT_TRY(add_plain_rows(a, ctx));
    return end_batch(a, ctx, fire_rows(a, ctx));
}

/* ---- firing at watermarks ---- */

static int fire_keys(struct window_aggregate *a, struct leat__ctx *ctx)
{
    struct leat_cursor_item items[ITEMS];
    int64_t count;
    while ((count = leat__cursor_next(a->cursor, items, a->run.items_max, ctx->error)) > 0) {
        for (int64_t i = 0; i < count; i++)
            LEAT_TRY(give_pane(a, ctx, &a->window, LEAT_PANE_ON_TIME, items[i].key, items[i].hash,
                (unsigned char *)items[i].value + a->base));
        a->run.keys_seen += (uint32_t)count;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    return count < 0 ? leat__fail_here(ctx) : 0;
}

/* The next window that fires at the watermark: 1 with a cursor on it, or 0. */
static int next_window(struct window_aggregate *a, struct leat__ctx *ctx)
{
    int64_t start;
    while (!a->no_more) {
        const int found = leat__table_next_namespace(a->table, a->next_start, &start, ctx->error);
        if (found < 0)
            return leat__fail_here(ctx);
        if (!found)
            return 0;
        a->window = window_of(a, start);
        if (!leat__time_passed(a->window.end - 1, a->watermark_us))
            return 0;
        a->next_start = leat__time_add(start, 1);
        a->no_more = start == LEAT_TIME_MAX;
        if (leat__time_passed(a->window.end - 1, a->fired_us))
            continue; /* kept for late records */
        /* What firing writes is of use only if the window stays. */
        const uint32_t flags = (a->spec->ordered ? LEAT_CURSOR_ORDERED : 0u) |
            (is_over(a, &a->window, a->watermark_us) ? LEAT_CURSOR_READ : 0u);
        if (leat__cursor_open(a->table, start, flags, &a->cursor, ctx->error) < 0)
            return leat__fail_here(ctx);
        return 1;
    }
    return 0;
}

static int drop_windows(struct window_aggregate *a, struct leat__ctx *ctx)
{
    int64_t start;
    int found;
    while ((found = leat__table_next_namespace(a->table, LEAT_TIME_MIN, &start, ctx->error)) > 0) {
        const struct leat__window window = window_of(a, start);
        if (!is_over(a, &window, a->watermark_us))
            return 0;
        if (leat__table_drop(a->table, start, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return found < 0 ? leat__fail_here(ctx) : 0;
}

static int fire_windows(struct window_aggregate *a, struct leat__ctx *ctx)
{
    for (;;) {
        if (!a->cursor) {
            const int found = next_window(a, ctx);
            if (found < 0)
                return found;
            if (!found)
                break;
        }
        const int code = fire_keys(a, ctx);
        if (code != 0)
            return code;
        leat__cursor_close(a->cursor);
        a->cursor = NULL;
        if (is_over(a, &a->window, a->watermark_us) &&
            leat__table_drop(a->table, a->window.start, ctx->error) < 0)
            return leat__fail_here(ctx);
        a->run.keys_seen++; /* windows cost too */
    }
    a->fired_us = a->watermark_us;
    LEAT_TRY(drop_windows(a, ctx));
    leat__run_count_keys(ctx, a->table);
    return leat__run_flush(&a->run, ctx);
}

static int window_aggregate_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct window_aggregate *a = (struct window_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->cursor);
    leat__run_begin(&a->run);
    a->watermark_us = w;
    a->no_more = false;
    /* Windows behind fired_us begin here or later: end - 1 = start + size - 1 > fired_us. Added first, so
     * that what saturates is too low, never too high. */
    a->next_start = a->fired_us == LEAT_TIME_MIN
        ? LEAT_TIME_MIN
        : leat__time_sub(leat__time_add(a->fired_us, 2), a->spec->window.size_us);
    return fire_windows(a, ctx);
}

static int window_aggregate_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct window_aggregate *a = (struct window_aggregate *)op;
    leat__run_begin(&a->run);
    if (a->run.batch)
        return end_batch(a, ctx, fire_rows(a, ctx));
    return fire_windows(a, ctx);
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   the last watermark whose windows have fired, 8 bytes little-endian */
#define SAVED_BYTES (1 + sizeof(int64_t))

static int window_aggregate_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct window_aggregate *a = (const struct window_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->cursor && !a->run.out);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &a->fired_us, sizeof a->fired_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

/* All subtasks have been told the same watermarks at the barrier. Where barriers are not aligned they may
 * differ, and then windows fire again rather than not at all. */
static int window_aggregate_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct window_aggregate *a = (struct window_aggregate *)op;
    for (uint32_t i = 0; i < count; i++) {
        int64_t fired_us;
        if (parts[i].len != SAVED_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        memcpy(&fired_us, parts[i].data + 1, sizeof fired_us);
        if (i == 0 || fired_us < a->fired_us)
            a->fired_us = fired_us;
    }
    leat__run_count_keys(ctx, a->table);
    return 0;
}

const struct leat_op_class leat__window_aggregate_class = {
    .kind = "aggregate",
    .size = sizeof(struct window_aggregate),
    .init = window_aggregate_init,
    .on_batch = window_aggregate_on_batch,
    .on_watermark = window_aggregate_on_watermark,
    .step = window_aggregate_step,
    .snapshot = window_aggregate_snapshot,
    .restore = window_aggregate_restore,
    .release = window_aggregate_release,
};
