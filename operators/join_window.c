/* operators/join_window.c -- pairs of two streams in the same aligned window: the operator's calls, rows into slices,
 * late ones. join_window_private.h tells how it all lies in state, join_window_fire.c what watermarks do.
 *
 *   a batch   rows that no window has missed and whose windows have not fired go into their slices, many at once.
 *             The others one by one: a late row that some windows take, a null key of a side that is kept
 *   a window  fires when the merged watermark has passed its end
 *
 * Late (docs/decisions/0002): a row is judged by its own side, by the larger of that input's watermark and its
 * batch's mark. So which windows take it does not depend on how the inputs interleave (semantics 32). A window that
 * has missed it may still be there, because the other side has not come as far: then the row is not in its slice but
 * apart, in each of the windows that take it. Of cumulating windows the later ones have what the earlier ones had:
 * there a late row goes into the last slice of the first window that takes it.
 *
 * With allowed lateness (only INNER) a late row meets at once what the other side has in those of its windows that
 * have fired; what comes to them later meets it in state.
 *
 * Invariants, between calls that did not give LEAT_MORE: (1) windows with end - 1 <= fired_us have fired, and what
 * only those held that are over has gone; (2) there is no batch and no open output; (3) everything that is not in a
 * table follows from fired_us. */
#include "base/alloc.h"
#include "operators/join_window_private.h"
#include <string.h>

#define SLICES_MAX 64u /* of plain rows that are sorted at once */

/* ---- tables ---- */

int leat__window_join_table(struct leat__ctx *ctx, const struct leat__window_join_spec *spec, uint32_t side,
    const char *name, struct leat_table **table)
{
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = name,
        .kind = LEAT_TABLE_LIST,
        .key_size = spec->join.key_size,
        .row_type = leat__input_type(ctx->node, side),
        .key_text = spec->join.key_types[side],
        .format = spec->format,
        .schema = leat__input_type(ctx->node, side)->schema,
        .counted = true,
    };
    return leat__table_open(ctx->state, &opts, table, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static int open_tables(struct leat__window_join *j, struct leat__ctx *ctx)
{
    static const char *const names[LEAT__SIDES] = { "left", "right" };
    static const char *const apart[LEAT__SIDES] = { "left apart", "right apart" };
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        LEAT_TRY(leat__window_join_table(ctx, j->spec, side, names[side], &j->slices[side]));
        if (j->assigner->kind == LEAT_WINDOW_HOPPING)
            LEAT_TRY(leat__window_join_table(ctx, j->spec, side, apart[side], &j->apart[side]));
    }
    if (j->assigner->kind != LEAT_WINDOW_HOPPING && j->assigner->kind != LEAT_WINDOW_CUMULATING)
        return 0;
    const struct leat_table_opts keys = {
        .node = ctx->node->name,
        .name = "keys",
        .kind = LEAT_TABLE_FIXED,
        .key_size = j->spec->join.key_size,
        .value_size = 8,
        .key_text = j->spec->join.key_types[LEAT__LEFT],
        .format = "v1; keys of the window that fires",
    };
    return leat__table_open(ctx->state, &keys, &j->keys, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static void count_keys(const struct leat__window_join *j, struct leat__ctx *ctx)
{
    uint64_t keys = 0;
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        keys += leat__table_keys_count_all(j->slices[side]);
        keys += j->apart[side] ? leat__table_keys_count_all(j->apart[side]) : 0;
    }
    __atomic_store_n(&ctx->counters->state_keys, keys, __ATOMIC_RELAXED);
}

/* ---- life ---- */

static int window_join_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__window_join *j = (struct leat__window_join *)op;
    const struct leat__window_join_spec *spec = j->spec = op->node->spec;
    j->assigner = spec->assigner;
    j->fired_us = LEAT_TIME_MIN;
    LEAT_TRY(leat__pairing_init(&j->pairing, ctx, &spec->join));
    leat__join_output_forwarded(j->pairing.output, j->fired_us);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        j->pairing.parts[side] = &j->parts[side];
    if (leat__key_scratch_new(&j->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a join");
    return open_tables(j, ctx);
}

static void window_join_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__window_join *j = (struct leat__window_join *)op;
    (void)ctx;
    leat__batch_release(j->in);
    leat__cursor_close(j->cursor);
    leat__pairing_release(&j->pairing);
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        leat__free(j->parts[side].list);
        leat__table_close(j->slices[side]);
        leat__table_close(j->apart[side]);
    }
    leat__table_close(j->keys);
    leat__key_scratch_free(j->key_scratch);
    leat__free(j->plain);
    leat__free(j->sorted);
    leat__free(j->slow);
    leat__free(j->late);
    leat__free(j->plain_slice);
}

static int reserve_rows(struct leat__window_join *j, struct leat__ctx *ctx, uint32_t count)
{
    uint32_t **const arrays[] = { &j->plain, &j->sorted, &j->slow, &j->late };
    if (count <= j->rows_capacity)
        return 0;
    j->rows_capacity = 0;
    for (uint32_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        leat__free(*arrays[i]);
        *arrays[i] = leat__malloc(count * sizeof **arrays[i]);
    }
    leat__free(j->plain_slice);
    j->plain_slice = leat__malloc(count * sizeof *j->plain_slice);
    if (!j->plain || !j->sorted || !j->slow || !j->late || !j->plain_slice)
        return leat__rows_nomem(ctx, "row numbers");
    j->rows_capacity = count;
    return 0;
}

/* ---- rows that nothing has missed ---- */

/* Slices of the batch's plain rows, some at a time. */
struct slices {
    struct leat__window list[SLICES_MAX];
    uint32_t ends[SLICES_MAX]; /* how many rows they have; then where these end in j->sorted */
    uint32_t count, rows;
};

static int append_plain(struct leat__window_join *j, struct leat__ctx *ctx, struct slices *s)
{
    uint32_t at = 0;
    for (uint32_t k = 0; k < s->count; k++) {
        const uint32_t count = s->ends[k];
        s->ends[k] = at;
        at += count;
    }
    for (uint32_t i = 0; i < s->rows; i++)
        j->sorted[s->ends[j->plain_slice[i]]++] = j->plain[i];
    for (uint32_t k = 0, from = 0; k < s->count; from = s->ends[k++])
        if (leat__table_append(j->slices[j->side], s->list[k].start, j->in_keys, j->in->key_hash,
                j->sorted + from, s->ends[k] - from, j->in, ctx->error) < 0)
            return leat__fail_here(ctx);
    s->count = s->rows = 0;
    return 0;
}

/* The index of the slice of a time, which is likely to be that of the row before. */
static uint32_t slice_index(const struct leat__window_join *j, struct slices *s, uint32_t last, int64_t us)
{
    if (last < s->count && leat__window_holds(&s->list[last], us))
        return last;
    const struct leat__window slice = leat__slice_of(j->assigner, us);
    for (uint32_t k = 0; k < s->count; k++)
        if (s->list[k].start == slice.start)
            return k;
    s->list[s->count] = slice;
    s->ends[s->count] = 0;
    return s->count++;
}

enum fate { PLAIN, SLOW, GAP };

/* What becomes of rows of that time, if their keys are not null. */
static enum fate fate_of(const struct leat__window_join *j, int64_t us)
{
    struct leat__window first;
    if (!leat__window_from(j->assigner, us, &first) || first.start > us)
        return GAP;
    /* What has fired was passed by this side's watermark too. */
    return leat__time_passed(first.end - 1, j->late_wm_us) ? SLOW : PLAIN;
}

static int add_plain(struct leat__window_join *j, struct leat__ctx *ctx)
{
    const struct leat_batch *in = j->in;
    const bool keeps_null = leat__window_join_keeps_null(j->spec, j->side);
    struct slices s = { .count = 0 };
    struct leat__window slice = { LEAT_TIME_MAX, LEAT_TIME_MIN }; /* holds nothing */
    enum fate fate = PLAIN;
    uint32_t null = 0, gaps = 0, last = 0;
    j->slow_count = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        const int64_t us = in->event_us[i];
        if (!leat__window_holds(&slice, us)) {
            slice = leat__slice_of(j->assigner, us);
            fate = fate_of(j, us);
        }
        if (fate == GAP) {
            gaps++;
        } else if (!j->in_keys[i].data && !keeps_null) {
            null++;
        } else if (fate == SLOW || !j->in_keys[i].data) {
            j->slow[j->slow_count++] = i;
        } else {
            if (s.count == SLICES_MAX)
                LEAT_TRY(append_plain(j, ctx, &s));
            last = slice_index(j, &s, last, us);
            s.ends[last]++;
            j->plain[s.rows] = i;
            j->plain_slice[s.rows++] = (uint16_t)last;
        }
    }
    leat__count(&ctx->counters->dropped_records, null);
    leat__count(&ctx->counters->unassigned_records, gaps);
    return append_plain(j, ctx, &s);
}

/* ---- the others ---- */

int leat__window_join_late(struct leat__ctx *ctx, const struct leat_batch *in, uint32_t side,
    const uint32_t *rows, uint32_t count, int64_t w)
{
    const int32_t port = ctx->node->late_ports[side];
    struct leat_batch *late;
    leat__count(&ctx->counters->late_records, count);
    if (count == 0 || port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, in, rows, count, &late));
    late->late = 1;
    late->late_wm_us = w;
    return leat__emit(ctx, (uint32_t)port, late);
}

/* Finds the next window of a row, from *window on, that takes it. */
static bool next_open(const struct leat__window_join *j, int64_t us, struct leat__window *window)
{
    while (window->start <= us && leat__window_join_is_over(j, window, j->late_wm_us))
        if (!leat__window_next(j->assigner, window))
            return false;
    return window->start <= us;
}

static int append_row(
    struct leat__window_join *j, struct leat__ctx *ctx, struct leat_table *table, int64_t ns, uint32_t row)
{
    if (leat__table_append(table, ns, j->in_keys, j->in->key_hash, &row, 1, j->in, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

/* Puts a row where the windows that take it find it, of which `open` is the first. */
static int keep_slow(
    struct leat__window_join *j, struct leat__ctx *ctx, uint32_t row, const struct leat__window *open)
{
    const int64_t us = j->in->event_us[row];
    struct leat__window window;
    if (j->assigner->kind == LEAT_WINDOW_CUMULATING) {
        const struct leat__window last = leat__slice_of(j->assigner, leat__window_last_us(j->assigner, open));
        const struct leat__window own = leat__slice_of(j->assigner, us);
        return append_row(j, ctx, j->slices[j->side], last.start > own.start ? last.start : own.start, row);
    }
    /* The first window that is still there: has the row missed it? */
    (void)leat__window_from(j->assigner, us, &window);
    while (window.start < open->start && leat__window_join_is_over(j, &window, j->fired_us))
        (void)leat__window_next(j->assigner, &window);
    if (window.start == open->start)
        return append_row(j, ctx, j->slices[j->side], leat__slice_of(j->assigner, us).start, row);
    window = *open;
    for (bool more = true; more && window.start <= us; more = leat__window_next(j->assigner, &window))
        LEAT_TRY(append_row(j, ctx, j->apart[j->side], leat__window_ns(j->assigner, &window), row));
    return 0;
}

/* Results of one window. */
void leat__window_join_set_window(struct leat__window_join *j, const struct leat__window *window)
{
    struct leat__join_pair *made = &j->pairing.made;
    made->event_us = window->end - 1;
    made->window_start_us = window->start;
    made->window_end_us = window->end;
    made->change = LEAT_INSERT;
}

/* A row without a key, once for each window that takes it. */
static int give_null(struct leat__window_join *j, struct leat__ctx *ctx, uint32_t row)
{
    const int64_t us = j->in->event_us[row];
    while (next_open(j, us, &j->slow_window)) {
        if (leat__pairing_is_spent(&j->pairing))
            return LEAT_MORE;
        leat__window_join_set_window(j, &j->slow_window);
        struct leat__join_pair pair = j->pairing.made;
        pair.key_hash = 0;
        pair.left = j->side == LEAT__LEFT ? leat_batch_at(j->in, row) : NULL;
        pair.right = j->side == LEAT__RIGHT ? leat_batch_at(j->in, row) : NULL;
        LEAT_TRY(leat__join_output_pair(j->pairing.output, ctx, &pair));
        j->pairing.scanned++;
        if (!leat__window_next(j->assigner, &j->slow_window))
            break;
    }
    return 0;
}

/* The pairs of a late row in those of its windows that have fired. */
static int pair_late(struct leat__window_join *j, struct leat__ctx *ctx, uint32_t row)
{
    struct leat__pairing *p = &j->pairing;
    const int64_t us = j->in->event_us[row];
    for (;;) {
        if (!j->slow_pairing) {
            if (!next_open(j, us, &j->slow_window) || !leat__time_passed(j->slow_window.end - 1, j->fired_us))
                return 0;
            LEAT_TRY(leat__window_join_find_parts(j, ctx, &j->slow_window, !j->side));
            leat__window_join_set_window(j, &j->slow_window);
            p->side = j->side;
            p->gives_pairs = true;
            p->gives_lone = false;
            leat__pairing_begin_keys(p);
            LEAT_TRY(leat__pairing_add_key(p, ctx, j->in_keys[row], j->in->key_hash[row]));
            LEAT_TRY(leat__pairing_begin_row(p, ctx, j->in, row));
            j->slow_pairing = true;
        }
        const int code = leat__pairing_run(p, ctx);
        if (code != 0)
            return code;
        j->slow_pairing = false;
        p->scanned++;
        if (!leat__window_next(j->assigner, &j->slow_window))
            return 0;
    }
}

static int add_slow_row(struct leat__window_join *j, struct leat__ctx *ctx, uint32_t row)
{
    const bool has_key = j->in_keys[row].data != NULL;
    if (!j->slow_begun) {
        struct leat__window *open = &j->slow_window;
        if (!leat__window_from(j->assigner, j->in->event_us[row], open) ||
            !next_open(j, j->in->event_us[row], open)) {
            j->late[j->late_count++] = row;
            return 0;
        }
        if (has_key)
            LEAT_TRY(keep_slow(j, ctx, row, open));
        j->slow_begun = true;
    }
    const int code = has_key ? pair_late(j, ctx, row) : give_null(j, ctx, row);
    if (code == 0)
        j->slow_begun = false;
    return code;
}

static int add_slow(struct leat__window_join *j, struct leat__ctx *ctx)
{
    for (; j->slow_at < j->slow_count; j->slow_at++) {
        const int code =
            leat__pairing_is_spent(&j->pairing) ? LEAT_MORE : add_slow_row(j, ctx, j->slow[j->slow_at]);
        if (code == LEAT_MORE)
            LEAT_TRY(leat__join_output_flush(j->pairing.output, ctx));
        if (code != 0)
            return code;
    }
    LEAT_TRY(leat__join_output_end(j->pairing.output, ctx));
    LEAT_TRY(leat__window_join_late(ctx, j->in, j->side, j->late, j->late_count, j->late_wm_us));
    count_keys(j, ctx);
    leat__batch_release(j->in);
    j->in = NULL;
    return 0;
}

/* ---- calls ---- */

static int window_join_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__window_join *j = (struct leat__window_join *)op;
    LEAT_ASSERT(input < LEAT__SIDES && !j->in && j->phase == LEAT__WINDOW_JOIN_IDLE);
    const int64_t w = leat__join_side_watermark(ctx, input);
    j->in = batch;
    j->side = input;
    j->late_wm_us = batch->late && batch->late_wm_us > w ? batch->late_wm_us : w;
    j->slow_at = j->late_count = 0;
    j->slow_begun = j->slow_pairing = false;
    leat__pairing_begin_call(&j->pairing);
    LEAT_TRY(leat__rows_keys(ctx, j->spec->join.keys[input], j->key_scratch, &j->in, &j->in_keys));
    if (!j->in)
        return 0;
    LEAT_TRY(reserve_rows(j, ctx, j->in->count));
    LEAT_TRY(add_plain(j, ctx));
    return add_slow(j, ctx);
}

static int end_watermark(struct leat__window_join *j, struct leat__ctx *ctx, int code)
{
    if (code != 0)
        return code;
    count_keys(j, ctx);
    LEAT_TRY(leat__join_output_end(j->pairing.output, ctx));
    leat__join_output_forwarded(j->pairing.output, j->fired_us);
    return 0;
}

static int window_join_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct leat__window_join *j = (struct leat__window_join *)op;
    LEAT_ASSERT(!j->in && j->phase == LEAT__WINDOW_JOIN_IDLE);
    leat__pairing_begin_call(&j->pairing);
    leat__window_join_begin_watermark(j, w);
    return end_watermark(j, ctx, leat__window_join_fire(j, ctx));
}

static int window_join_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__window_join *j = (struct leat__window_join *)op;
    leat__pairing_begin_call(&j->pairing);
    return j->in ? add_slow(j, ctx) : end_watermark(j, ctx, leat__window_join_fire(j, ctx));
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   the last watermark whose windows have fired, 8 bytes little-endian */
#define SAVED_BYTES (1 + sizeof(int64_t))

static int window_join_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat__window_join *j = (const struct leat__window_join *)op;
    LEAT_ASSERT(!j->in && j->phase == LEAT__WINDOW_JOIN_IDLE);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &j->fired_us, sizeof j->fired_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

/* Where barriers are not aligned subtasks may have worked off different watermarks: the least is true of all. */
static int window_join_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__window_join *j = (struct leat__window_join *)op;
    for (uint32_t i = 0; i < count; i++) {
        int64_t us;
        if (parts[i].len != SAVED_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        memcpy(&us, parts[i].data + 1, sizeof us);
        if (i == 0 || us < j->fired_us)
            j->fired_us = us;
    }
    leat__join_output_forwarded(j->pairing.output, j->fired_us);
    count_keys(j, ctx);
    return 0;
}

const struct leat_op_class leat__window_join_class = {
    .kind = "window join",
    .size = sizeof(struct leat__window_join),
    .init = window_join_init,
    .on_batch = window_join_on_batch,
    .on_watermark = window_join_on_watermark,
    .step = window_join_step,
    .snapshot = window_join_snapshot,
    .restore = window_join_restore,
    .release = window_join_release,
};
