/* operators/window_aggregate_rows.c -- the rows of a batch, sorted by what becomes of them in each window:
 *
 *   over     the window takes no more rows. A row that no window takes is dropped late, once (18)
 *   plain    the window fires later: rows are added window by window, whole columns at a time
 *   firing   every row may fire: window_aggregate_fire.c, in the order of the rows
 *
 * Where windows overlap a row is in many of them, so a batch is taken some pairs of row and window at a time.
 * Lateness is judged by max(watermark, the batch's mark); whether a window has fired, by the watermark: a row for
 * a window that only the mark has passed just goes in, and is in the on-time pane. */
#include "operators/window_aggregate_private.h"

#define CHUNK LEAT__RUN_CHUNK
/* Fewer windows than this are found by looking at all. */
#define WINDOWS_SCANNED 4u
/* Pairs that are sorted at a time, at least, and what a call is charged for: a row can be in very many windows. */
#define PAIRS_MAX 8192u

/* ---- memory ---- */

void leat__win_rows_release(struct leat__win *a)
{
    leat__free(a->plain); /* the first of the arrays that are one block */
    leat__free(a->firing);
    leat__free(a->windows);
    leat__free(a->window_slots);
    leat__free(a->late);
    a->plain = NULL;
    a->firing = NULL;
    a->windows = NULL;
    a->window_slots = NULL;
    a->late = NULL;
    a->pairs_capacity = 0;
}

int leat__win_rows_reserve(struct leat__win *a)
{
    const uint32_t rows = a->run.batch->count;
    const uint32_t count = a->overlaps && rows < PAIRS_MAX ? PAIRS_MAX : rows;
    if (count <= a->pairs_capacity)
        return 0;
    leat__win_rows_release(a);
    a->slots_bits = 33u - (uint32_t)__builtin_clz(count | 1u); /* at most half of them taken */
    a->plain = leat__malloc(3 * (size_t)count * sizeof *a->plain);
    a->firing = leat__malloc((size_t)count * sizeof *a->firing);
    a->windows = leat__malloc((size_t)count * sizeof *a->windows);
    a->window_slots = leat__calloc((size_t)1 << a->slots_bits, sizeof *a->window_slots);
    a->late = leat__malloc((size_t)count * sizeof *a->late);
    if (!a->plain || !a->firing || !a->windows || !a->window_slots || !a->late)
        return leat__rows_nomem(a->ctx, "row numbers");
    a->plain_window = a->plain + count;
    a->sorted = a->plain_window + count;
    a->pairs_capacity = count;
    return 0;
}

/* ---- the windows of a batch ---- */

static uint32_t add_window(struct leat__win *a, const struct leat__window *window, int64_t ns)
{
    struct leat__batch_window *w = &a->windows[a->windows_count];
    const bool passed = leat__time_passed(leat__win_last_us(window), a->ctx->watermark_us);
    const struct leat__trigger_part *part = leat__win_part(a, passed);
    *w = (struct leat__batch_window){ .window = *window, .ns = ns, .passed = passed };
    w->due = part->count ? part->count : UINT64_MAX;
    if (passed && !a->plan.has_late)
        w->due = 1; /* rule 25 */
    w->arms = part->event_us || part->processing_us;
    w->fate = a->plan.user || w->due != UINT64_MAX ? LEAT__WIN_FIRING : LEAT__WIN_PLAIN;
    if (leat__win_is_over(a, window, a->late_wm_us))
        w->fate = LEAT__WIN_OVER;
    return a->windows_count++;
}

/* The slot of a window among window_slots, taken or free. */
static uint32_t *window_slot(struct leat__win *a, int64_t ns)
{
    const uint32_t mask = (1u << a->slots_bits) - 1;
    uint32_t at = (uint32_t)(((uint64_t)ns * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - a->slots_bits));
    while (a->window_slots[at] && a->windows[a->window_slots[at] - 1].ns != ns)
        at = (at + 1) & mask;
    return &a->window_slots[at];
}

/* The index of a window in this batch. */
static uint32_t window_index(struct leat__win *a, const struct leat__window *window)
{
    const int64_t ns = leat__window_ns(a->assigner, window);
    if (a->windows_count <= WINDOWS_SCANNED) {
        for (uint32_t i = 0; i < a->windows_count; i++)
            if (a->windows[i].ns == ns)
                return i;
        if (a->windows_count < WINDOWS_SCANNED)
            return add_window(a, window, ns);
        for (uint32_t i = 0; i < a->windows_count; i++)
            *window_slot(a, a->windows[i].ns) = i + 1;
    }
    uint32_t *slot = window_slot(a, ns);
    if (!*slot)
        *slot = add_window(a, window, ns) + 1;
    return *slot - 1;
}

static void forget_windows(struct leat__win *a)
{
    if (a->windows_count > WINDOWS_SCANNED)
        memset(a->window_slots, 0, sizeof *a->window_slots << a->slots_bits);
    a->windows_count = 0;
}

/* ---- sorting ---- */

/* 0: the window does not take the row. */
static inline bool add_pair(struct leat__win *a, uint32_t row, uint32_t index)
{
    struct leat__batch_window *w = &a->windows[index];
    if (w->fate == LEAT__WIN_PLAIN) {
        w->count++;
        a->plain_window[a->plain_count] = index;
        a->plain[a->plain_count++] = row;
    } else if (w->fate == LEAT__WIN_FIRING)
        a->firing[a->firing_count++] = (struct leat__win_pair){ row, index };
    else
        return false;
    return true;
}

/* Rows one after the other that are in the same window. */
static void add_pairs(struct leat__win *a, uint32_t from, uint32_t end, uint32_t index)
{
    struct leat__batch_window *w = &a->windows[index];
    if (w->fate != LEAT__WIN_PLAIN) {
        for (uint32_t r = from; r < end; r++)
            if (!add_pair(a, r, index))
                a->late[a->late_count++] = r;
        return;
    }
    uint32_t *plain = a->plain + a->plain_count;
    uint32_t *plain_window = a->plain_window + a->plain_count;
    for (uint32_t i = 0; i < end - from; i++) {
        plain[i] = from + i;
        plain_window[i] = index;
    }
    w->count += end - from;
    a->plain_count += end - from;
}

/* A row is in one window, or in none: all rows at once. */
static void sort_single(struct leat__win *a)
{
    const struct leat_batch *batch = a->run.batch;
    const int64_t *event_us = batch->event_us;
    struct leat__window window;
    for (uint32_t r = 0, end; r < batch->count; r = end) {
        end = r + 1;
        if (!leat__window_from(a->assigner, event_us[r], &window) || window.start > event_us[r]) {
            a->unassigned_count += leat__run_records(&a->run, r);
            continue;
        }
        while (end < batch->count && leat__window_holds(&window, event_us[end]))
            end++;
        add_pairs(a, r, end, window_index(a, &window));
    }
    a->row_at = batch->count;
}

/* The windows of the next row, or the rest of them; false when there are pairs enough. */
static bool sort_row(struct leat__win *a, uint32_t *hint)
{
    const uint32_t row = a->row_at;
    const int64_t us = a->run.batch->event_us[row];
    bool more = true;
    if (!a->row_begun) {
        more = leat__window_from(a->assigner, us, &a->row_window);
        a->row_begun = true;
        a->row_taken = false;
        if (!more || a->row_window.start > us) {
            a->unassigned_count += leat__run_records(&a->run, row);
            a->row_begun = false;
            a->row_at++;
            return true;
        }
    }
    for (; more && a->row_window.start <= us; more = leat__window_next(a->assigner, &a->row_window)) {
        if (a->plain_count + a->firing_count == PAIRS_MAX || a->windows_count == PAIRS_MAX)
            return false;
        const uint32_t next = *hint + 1 < a->windows_count ? *hint + 1 : 0; /* as of the row before */
        *hint = next < a->windows_count && a->windows[next].ns == leat__window_ns(a->assigner, &a->row_window)
            ? next
            : window_index(a, &a->row_window);
        a->row_taken |= add_pair(a, row, *hint);
    }
    if (!a->row_taken)
        a->late[a->late_count++] = row;
    a->row_begun = false;
    a->row_at++;
    return true;
}

/* ---- plain rows ---- */

int leat__win_find_values(struct leat__win *a, int64_t ns, const uint32_t *rows, uint32_t count, bool blind)
{
    void *found[CHUNK];
    const uint64_t *hashes = a->run.batch->key_hash;
    LEAT_ASSERT(count <= CHUNK);
    const int code = blind
        ? leat__table_upsert_blind(a->table, ns, a->run.keys, hashes, rows, count, found, a->ctx->error)
        : leat__table_upsert(a->table, ns, a->run.keys, hashes, rows, count, found, a->ctx->error);
    if (code < 0)
        return leat__fail_here(a->ctx);
    for (uint32_t i = 0; i < count; i++)
        a->chunk_values[i] = (unsigned char *)found[i] + a->layout.values.base;
    return 0;
}

static int set_timers(
    struct leat__win *a, const struct leat__batch_window *w, uint32_t which, int64_t time_us)
{
    const struct leat_sv owner = { (const char *)&w->ns, sizeof w->ns };
    for (uint32_t i = 0; i < a->arming_count; i++)
        LEAT_TRY(leat__timers_set(&a->periods[which], a->ctx, time_us, owner, a->run.keys[a->arming[i]]));
    return 0;
}

/* The next multiple after now; what was set for one that is still to come is set again, and is one timer. Of one
 * that the window does not live to see, nothing: the end, or the going, of the window comes first. */
int leat__win_arm(struct leat__win *a, const struct leat__batch_window *w)
{
    const struct leat__trigger_part *part = leat__win_part(a, w->passed);
    if (a->arming_count == 0)
        return 0;
    if (part->event_us) {
        const int64_t next_us = leat__trigger_next(part->event_us, a->ctx->watermark_us);
        const int64_t until_us = w->passed ? leat__win_over_us(a, &w->window) : leat__win_last_us(&w->window);
        if (next_us <= until_us)
            LEAT_TRY(set_timers(a, w, LEAT__TIMERS_EVENT, next_us));
    }
    if (part->processing_us)
        LEAT_TRY(
            set_timers(a, w, LEAT__TIMERS_PROCESSING, leat__trigger_next(part->processing_us, a->now_us)));
    a->arming_count = 0;
    return 0;
}

/* Rows of a window that fires later. */
static int add_plain(struct leat__win *a, const struct leat__batch_window *w, uint32_t *rows, uint32_t count)
{
    for (uint32_t from = 0; from < count; from += CHUNK) {
        const uint32_t some = count - from < CHUNK ? count - from : CHUNK;
        LEAT_TRY(leat__win_find_values(a, w->ns, rows + from, some, true));
        const int64_t added =
            leat__run_add(&a->run, a->ctx, a->table, w->ns, rows + from, a->chunk_values, some);
        if (added < 0)
            return (int)added;
        for (int64_t i = 0; a->has_head && i < added; i++) {
            struct leat__aggregate_head *head = leat__win_head(a, a->chunk_values[i]);
            if (head->since == 0 && w->arms)
                a->arming[a->arming_count++] = rows[from + i];
            head->since += leat__run_records(&a->run, rows[from + i]);
        }
        LEAT_TRY(leat__win_arm(a, w));
    }
    return 0;
}

/* Window by window, in their order within each. */
static int add_plain_rows(struct leat__win *a)
{
    if (a->windows_count <= 1)
        return a->plain_count ? add_plain(a, &a->windows[0], a->plain, a->plain_count) : 0;
    uint32_t end = 0;
    for (uint32_t i = 0; i < a->windows_count; i++) {
        a->windows[i].end = end;
        end += a->windows[i].count;
    }
    for (uint32_t i = 0; i < a->plain_count; i++)
        a->sorted[a->windows[a->plain_window[i]].end++] = a->plain[i];
    for (uint32_t i = 0; i < a->windows_count; i++) {
        const struct leat__batch_window *w = &a->windows[i];
        LEAT_TRY(add_plain(a, w, a->sorted + (w->end - w->count), w->count));
    }
    return 0;
}

int leat__win_sort_rows(struct leat__win *a)
{
    uint32_t hint = 0;
    forget_windows(a);
    a->plain_count = a->firing_count = a->firing_at = a->late_count = 0;
    a->unassigned_count = 0;
    if (!a->overlaps)
        sort_single(a);
    else
        while (leat__win_has_rows(a) && sort_row(a, &hint)) {
        }
    if (a->unassigned_count)
        leat__count(&a->ctx->counters->unassigned_records, a->unassigned_count);
    LEAT_TRY(leat__run_late(&a->run, a->ctx, a->late, a->late_count));
    if (a->overlaps)
        a->run.keys_seen += a->plain_count;
    return add_plain_rows(a);
}
