/* operators/slice_aggregate_rows.c -- rows of a batch into slices.
 *
 *   PLAIN   into its slice; and into what was made of the slice already, if it is complete
 *   FIRES   (lateness) windows that hold it have fired and are still kept: the same, and a LATE pane of each
 *   APART   by the mark of its batch it comes too late for windows that have not fired yet: what the slice has is in
 *           all windows, so it goes to each of the others by itself
 *   LATE    no window takes it
 *
 * All rows of a slice in a batch have the same fate. */
#include "base/alloc.h"
#include "operators/slice_aggregate_private.h"

#define CHUNK LEAT__RUN_CHUNK

enum { PLAIN = 1, FIRES, APART, LATE };

int leat__slicer_rows_reserve(struct leat__slicer *a, uint32_t count)
{
    if (count <= a->rows_capacity)
        return 0;
    leat__slicer_rows_release(a);
    a->slots_bits = 33u - (uint32_t)__builtin_clz(count | 1u); /* at most half of them taken */
    a->plain = leat__malloc(6 * (size_t)count * sizeof *a->plain);
    a->batch_slices = leat__malloc((size_t)count * sizeof *a->batch_slices);
    a->slots = leat__calloc((size_t)1 << a->slots_bits, sizeof *a->slots);
    if (!a->plain || !a->batch_slices || !a->slots)
        return leat__rows_nomem(a->ctx, "row numbers");
    a->plain_slice = a->plain + count;
    a->sorted = a->plain_slice + count;
    a->slow = a->sorted + count;
    a->slow_slice = a->slow + count;
    a->late = a->slow_slice + count;
    a->rows_capacity = count;
    return 0;
}

void leat__slicer_rows_release(struct leat__slicer *a)
{
    leat__free(a->plain); /* the first of the arrays that are one block */
    leat__free(a->batch_slices);
    leat__free(a->slots);
    a->plain = a->slots = NULL;
    a->batch_slices = NULL;
    a->rows_capacity = a->batch_slices_count = 0;
}

/* ---- sorting ---- */

static struct leat__batch_slice judge(const struct leat__slicer *a, int64_t start)
{
    struct leat__batch_slice slice = { .start = start, .ns = start, .fate = LATE };
    struct leat__window own;
    if (!leat__slicer_first_open(a, start, a->late_wm_us, &slice.first) || slice.first.start > start)
        return slice;
    slice.fate = PLAIN;
    if (a->is_cumulating) {
        /* The last slice of that window is in it and in those after it, and in no other. */
        const int64_t last_us = leat__window_last_us(a->assigner, &slice.first);
        slice.ns = leat__slice_of(a->assigner, last_us).start;
    } else if (leat__slicer_first_open(a, start, a->fired_us, &own) && own.start < slice.first.start) {
        slice.fate = APART;
        return slice;
    }
    if (leat__time_passed(slice.first.end - 1, a->fired_us))
        slice.fate = FIRES;
    return slice;
}

static uint32_t slice_index(struct leat__slicer *a, int64_t start)
{
    const uint32_t mask = (1u << a->slots_bits) - 1;
    uint32_t at = (uint32_t)(((uint64_t)start * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - a->slots_bits));
    while (a->slots[at] && a->batch_slices[a->slots[at] - 1].start != start)
        at = (at + 1) & mask;
    if (!a->slots[at]) {
        a->batch_slices[a->batch_slices_count++] = judge(a, start);
        a->slots[at] = a->batch_slices_count;
    }
    return a->slots[at] - 1;
}

int leat__slicer_sort_rows(struct leat__slicer *a)
{
    const struct leat_batch *batch = a->run.batch;
    struct leat__window slice = { LEAT_TIME_MAX, LEAT_TIME_MIN }; /* holds nothing */
    uint32_t index = 0;
    if (a->batch_slices_count)
        memset(a->slots, 0, sizeof *a->slots << a->slots_bits);
    a->batch_slices_count = 0;
    a->plain_count = a->slow_count = a->slow_at = a->late_count = 0;
    a->slow_begun = false;
    a->late_wm_us = leat__ctx_late_wm(a->ctx, batch);
    if (a->late_wm_us < a->fired_us)
        a->late_wm_us = a->fired_us; /* after a restore that had to take a lower watermark */
    for (uint32_t r = 0; r < batch->count; r++) {
        if (!leat__window_holds(&slice, batch->event_us[r])) {
            slice = leat__slice_of(a->assigner, batch->event_us[r]);
            index = slice_index(a, slice.start);
        }
        struct leat__batch_slice *s = &a->batch_slices[index];
        if (a->shares_count && leat__slicer_is_late(a, batch->key_hash[r], s->start)) {
            a->late[a->late_count++] = r;
        } else if (s->fate == PLAIN) {
            s->count++;
            a->plain_slice[a->plain_count] = index;
            a->plain[a->plain_count++] = r;
        } else if (s->fate == LATE) {
            a->late[a->late_count++] = r;
        } else {
            a->slow_slice[a->slow_count] = index;
            a->slow[a->slow_count++] = r;
        }
    }
    return leat__run_late(&a->run, a->ctx, a->late, a->late_count);
}

/* ---- adding ---- */

/* Rows to values of a namespace, which are not looked at: what has left memory need not come back. */
static int add_rows(
    struct leat__slicer *a, struct leat_table *table, int64_t ns, uint32_t *rows, uint32_t count)
{
    void *found[CHUNK];
    unsigned char *values[CHUNK];
    for (uint32_t from = 0; from < count; from += CHUNK) {
        const uint32_t some = count - from < CHUNK ? count - from : CHUNK;
        if (leat__table_upsert_blind(
                table, ns, a->run.keys, a->run.batch->key_hash, rows + from, some, found, a->ctx->error) < 0)
            return leat__fail_here(a->ctx);
        for (uint32_t i = 0; i < some; i++) {
            *leat__slicer_records(found[i]) += leat__run_records(&a->run, rows[from + i]);
            values[i] = leat__slicer_values(a, found[i]);
        }
        const int64_t added = leat__run_add(&a->run, a->ctx, table, ns, rows + from, values, some);
        if (added < 0)
            return (int)added;
        LEAT_ASSERT(added == some); /* callbacks that refuse records have another operator */
    }
    return 0;
}

/* Rows to a slice, and to whatever has taken it in. */
static int add_to_slice(struct leat__slicer *a, int64_t ns, uint32_t *rows, uint32_t count)
{
    LEAT_TRY(add_rows(a, a->slices, ns, rows, count));
    if (!a->has_tree) {
        const bool is_in = !a->is_cumulating && a->has_last && ns >= a->last.start &&
            ns <= leat__window_last_us(a->assigner, &a->last);
        return is_in ? add_rows(a, a->result, 0, rows, count) : 0;
    }
    const int64_t index = leat__slice_index(a->assigner, ns);
    const int64_t incomplete = leat__slice_incomplete(a->assigner, a->fired_us);
    for (uint32_t level = 0; level < a->levels; level++) {
        if (!leat__node_is_complete(level, index >> level, incomplete))
            return 0;
        LEAT_TRY(add_rows(a, a->nodes, leat__node_number(level + 1, index >> (level + 1)), rows, count));
    }
    return 0;
}

int leat__slicer_add_plain(struct leat__slicer *a)
{
    if (a->plain_count == 0)
        return 0;
    uint32_t end = 0;
    for (uint32_t i = 0; i < a->batch_slices_count; i++) {
        a->batch_slices[i].end = end;
        end += a->batch_slices[i].count;
    }
    for (uint32_t i = 0; i < a->plain_count; i++)
        a->sorted[a->batch_slices[a->plain_slice[i]].end++] = a->plain[i];
    for (uint32_t i = 0; i < a->batch_slices_count; i++) {
        const struct leat__batch_slice *s = &a->batch_slices[i];
        if (s->count)
            LEAT_TRY(add_to_slice(a, s->ns, a->sorted + (s->end - s->count), s->count));
    }
    return 0;
}

/* ---- late panes ---- */

/* All of a key in a window, to a->sum. */
static int sum_key(struct leat__slicer *a, const struct leat__window *window, uint32_t row)
{
    const struct leat__agg_memory mem = { NULL, 0, &a->stage };
    leat__arena_release(&a->stage);
    memset(a->sum, 0, a->value_size);
    leat__slicer_cover(a, window);
    a->parts[a->parts_count++] =
        (struct leat__slice_part){ a->apart, leat__window_ns(a->assigner, window), false, false };
    for (uint32_t i = 0; i < a->parts_count; i++) {
        void *found;
        if (leat__table_find(a->parts[i].table, a->parts[i].ns, a->run.keys, a->run.batch->key_hash, &row, 1,
                &found, a->ctx->error) < 0)
            return leat__fail_here(a->ctx);
        if (!found)
            continue;
        *leat__slicer_records(a->sum) += *leat__slicer_records(found);
        if (leat__agg_combine_values(a->spec, a->ctx->node, &mem, leat__slicer_values(a, a->sum),
                leat__slicer_values(a, found), a->ctx->error) < 0)
            return leat__fail_here(a->ctx);
    }
    return 0;
}

/* Rule 25: the whole window again, for the key of a row that was just added. */
static int give_late(struct leat__slicer *a, const struct leat__window *window, uint32_t row)
{
    void *found;
    LEAT_TRY(sum_key(a, window, row));
    if (leat__table_upsert(a->panes, leat__window_ns(a->assigner, window), a->run.keys,
            a->run.batch->key_hash, &row, 1, &found, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    uint64_t *panes = found;
    if (*panes == 0 && *leat__slicer_records(a->sum) > leat__run_records(&a->run, row))
        *panes = 1; /* the one on time, which nobody has noted */
    const struct leat__pane pane = { *window, a->run.keys[row], LEAT_PANE_LATE, (*panes)++ };
    const int given =
        leat__run_give(&a->run, a->ctx, &pane, a->run.batch->key_hash[row], leat__slicer_values(a, a->sum));
    return given < 0 ? given : 0;
}

/* The rest of the windows of the row at slow_at. */
static int visit_windows(struct leat__slicer *a, uint32_t row, const struct leat__batch_slice *slice)
{
    bool more = true;
    while (more && a->slow_window.start <= slice->start) {
        const struct leat__window window = a->slow_window;
        const bool fires = leat__time_passed(window.end - 1, a->fired_us);
        if (slice->fate == APART)
            LEAT_TRY(add_rows(a, a->apart, leat__window_ns(a->assigner, &window), &row, 1));
        else if (!fires)
            return 0;
        if (fires)
            LEAT_TRY(give_late(a, &window, row));
        a->run.keys_seen++;
        more = leat__window_next(a->assigner, &a->slow_window);
        if (more && leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    return 0;
}

int leat__slicer_add_slow(struct leat__slicer *a)
{
    for (; a->slow_at < a->slow_count; a->slow_at++) {
        uint32_t row = a->slow[a->slow_at];
        const struct leat__batch_slice *slice = &a->batch_slices[a->slow_slice[a->slow_at]];
        if (!a->slow_begun) {
            a->slow_begun = true;
            a->slow_window = slice->first;
            if (slice->fate == FIRES)
                LEAT_TRY(add_to_slice(a, slice->ns, &row, 1));
        }
        const int code = visit_windows(a, row, slice);
        if (code != 0)
            return code;
        a->slow_begun = false;
    }
    return 0;
}
