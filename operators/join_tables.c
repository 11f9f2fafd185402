/* operators/join_tables.c -- pairs of rows of two sides with equal keys, kept up to date (semantics 34).
 *
 *   tables "left", "right"            key -> the rows of that side that count; of a side whose rows are given without a
 *                                     partner, flagged while a partner is in what was given
 *   tables "old-left", "old-right"    with a time to live: the keys of rows, in buckets of when they came
 *
 *   a row comes            pairs with all rows of the other side, each of which stops being alone; or it is alone
 *                          itself. Then it is appended to its own side
 *   a row is taken back    an equal one of its side goes. All its pairs are taken back; a row of the other side that has
 *                          no other partner is alone again
 *
 * Inner joins need no flags: what a batch does to its own side comes first, then its rows are paired with the other
 * side, a chunk at a time. With outer ones a run of rows that come is paired first and appended then, with the flags
 * that are known by now; rows that are taken back go one by one.
 *
 * Whether a row is alone is asked of its flag, not of the other side: partners that are too old leave without a word,
 * and what they were part of stays given.
 *
 * Work is bounded: the place is kept as (row of the batch, how many of the other side's list are done), and
 * LEAT_MORE returned. Between batches everything is in the tables.
 *
 * Invariants: (1) pairs are flushed before a call on the state that may move what they point into; (2) no pointer into
 * a list outlives a call of this operator; (3) the place in a list stays good, since nobody else writes these tables; (4)
 * changes leave in their order, also where some are behind the watermark, and so in batches of their own. */
#include "base/alloc.h"
#include "operators/join_private.h"
#include "operators/window_private.h"
#include "record/equal.h"
#include "state/state.h"
#include <leat/table.h>

#define CHUNK 256u /* rows that are looked up together */
#define SOME 64u /* partners that are judged together */
#define ITEMS 64u
#define SCANNED_PER_CALL 65536u /* rows of state that one call looks at */
#define KEYS_PER_CALL 4096u /* that one call looks through for old rows */
#define TTL_PARTS 16
#define PAIRED 1u

struct tables_spec {
    struct leat__join_spec join;
    bool gives_changes;
    int64_t ttl_us[LEAT__SIDES]; /* 0: none */
    bool ttl_is_processing[LEAT__SIDES];
    const char *formats[LEAT__SIDES], *old_formats[LEAT__SIDES];
};

struct tables {
    struct leat_op op;
    const struct tables_spec *spec;
    struct leat_table *rows[LEAT__SIDES], *old[LEAT__SIDES];
    struct leat_key_scratch *key_scratch;
    struct leat__join_output *output;
    struct leat_copier *copiers[LEAT__SIDES]; /* with `where`, of outer joins */
    struct leat_batch *copies[LEAT__SIDES];
    bool is_outer;

    /* The batch in work. */
    struct leat_batch *in; /* NULL between batches */
    uint32_t side;
    const struct leat_sv *keys;
    uint32_t *picks; /* row numbers: those that are not dropped */
    uint32_t picks_capacity, count;
    uint8_t *flags; /* of all rows, as they go into the table */
    int64_t *stamps; /* when they came, by the clock of the time to live */
    uint32_t flags_capacity;
    uint32_t at; /* of picks; */
    uint32_t run_from, run_to; /* a run under way: run_from < run_to */
    uint32_t list_at; /* and how many of the other side's list are done */
    bool has_partner, is_leaving, has_others;
    bool was_behind; /* the result given last: (4) */
    const struct leat_list_row *lists[CHUNK]; /* of picks[at ..] */
    uint32_t scanned; /* in this call */
    int64_t now_us[LEAT__SIDES]; /* by the clock of each side's time to live */

    /* Partners that are judged together. */
    const struct leat_list_row *some[SOME];
    uint32_t some_count, some_max; /* what is made of them, and their copies, fit into two batches */
    uint8_t ok[SOME], still[SOME];
    const void *left[SOME], *right[SOME];

    /* Looking for old rows. */
    bool is_sweeping[LEAT__SIDES];
    int64_t sweep_us;
    struct leat_cursor *cursor;
    int64_t bucket;
    struct leat_strbuf bytes;
};

static bool keeps(const struct tables *j, uint32_t side)
{
    return leat__join_keeps(&j->spec->join, side);
}

static bool takes_back(const struct leat_batch *batch, uint32_t row)
{
    const uint8_t change = leat__batch_change(batch, row);
    return change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
}

/* ---- life ---- */

static int open_tables(struct tables *j, struct leat__ctx *ctx)
{
    static const char *const names[] = { "left", "right" }, *const old_names[] = { "old-left", "old-right" };
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        struct leat_table_opts opts = {
            .node = ctx->node->name,
            .name = names[side],
            .kind = LEAT_TABLE_LIST,
            .key_size = j->spec->join.key_size,
            .row_type = leat__input_type(ctx->node, side),
            .key_text = j->spec->join.key_types[side],
            .format = j->spec->formats[side],
            .schema = leat__input_type(ctx->node, side)->schema,
            .counted = true,
        };
        if (leat__table_open(ctx->state, &opts, &j->rows[side], ctx->error) < 0)
            return leat__fail_here(ctx);
        opts.kind = LEAT_TABLE_FIXED;
        opts.name = old_names[side];
        opts.value_size = sizeof(uint64_t);
        opts.row_type = NULL;
        opts.schema = NULL;
        opts.format = j->spec->old_formats[side];
        opts.counted = false;
        if (j->spec->ttl_us[side] && leat__table_open(ctx->state, &opts, &j->old[side], ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

static int tables_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct tables *j = (struct tables *)op;
    j->spec = op->node->spec;
    j->is_outer = j->spec->join.kind != LEAT_JOIN_INNER;
    if (leat__key_scratch_new(&j->key_scratch) < 0)
        return leat__rows_nomem(ctx, "keys");
    LEAT_TRY(leat__join_output_new(&j->spec->join, ctx, &j->output));
    leat__join_output_judged(j->output, j->is_outer);
    const uint32_t rows_max = leat__pool_batch_rows(ctx->pool, op->node->outputs[0].type);
    j->some_max = rows_max < SOME ? rows_max : SOME;
    for (uint32_t side = 0; j->is_outer && j->spec->join.where && side < LEAT__SIDES; side++) {
        const struct leat_type *type = leat__input_type(op->node, side);
        const uint32_t rows = leat__pool_batch_rows(ctx->pool, type);
        if (leat__copier_new(type, &j->copiers[side]) < 0)
            return leat__rows_nomem(ctx, "a join");
        j->some_max = rows < j->some_max ? rows : j->some_max;
    }
    return open_tables(j, ctx);
}

static void tables_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct tables *j = (struct tables *)op;
    (void)ctx;
    leat__batch_release(j->in);
    leat__cursor_close(j->cursor);
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        leat__table_close(j->rows[side]);
        leat__table_close(j->old[side]);
        leat__copier_free(j->copiers[side]);
        leat__batch_release(j->copies[side]);
    }
    leat__join_output_free(j->output);
    leat__key_scratch_free(j->key_scratch);
    leat__strbuf_release(&j->bytes);
    leat__free(j->picks);
    leat__free(j->flags);
    leat__free(j->stamps);
}

/* ---- age ---- */

/* Sets by what rows are judged while this row of the batch is in work. */
static void set_now(struct tables *j, const struct leat__ctx *ctx, uint32_t row)
{
    const int64_t w = leat__ctx_late_wm(ctx, j->in), event_us = j->in->event_us[row];
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        if (j->spec->ttl_us[side])
            j->now_us[side] = j->spec->ttl_is_processing[side] ? ctx->api->now_us(ctx)
                : event_us > w                                 ? event_us
                                                               : w;
}

static bool is_live(const struct tables *j, uint32_t side, const struct leat_list_row *row)
{
    const int64_t ttl_us = j->spec->ttl_us[side];
    return ttl_us == 0 || leat__time_add(row->event_us, ttl_us) > j->now_us[side];
}

static int64_t bucket_of(const struct tables *j, uint32_t side, int64_t us)
{
    const int64_t width_us = j->spec->ttl_us[side] / TTL_PARTS + 1;
    return us / width_us - (us % width_us < 0);
}

/* ---- the own side ---- */

static int fail_or(struct leat__ctx *ctx, int code)
{
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* Rows of one bucket at a time: mostly all. */
static int note_ages(struct tables *j, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count)
{
    void *nothing[CHUNK];
    for (uint32_t from = 0, to; from < count; from = to) {
        const int64_t bucket = bucket_of(j, j->side, j->stamps[rows[from]]);
        for (to = from + 1;
             to < count && to - from < CHUNK && bucket_of(j, j->side, j->stamps[rows[to]]) == bucket;)
            to++;
        LEAT_TRY(fail_or(ctx,
            leat__table_upsert(j->old[j->side], bucket, j->keys, j->in->key_hash, rows + from, to - from,
                nothing, ctx->error)));
    }
    return 0;
}

static int append_rows(struct tables *j, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count)
{
    struct leat_batch shown = *j->in; /* with another column of times */
    if (count == 0)
        return 0;
    if (j->spec->ttl_us[j->side]) {
        for (uint32_t i = 0; i < count; i++) {
            set_now(j, ctx, rows[i]);
            j->stamps[rows[i]] = j->now_us[j->side];
        }
        shown.event_us = j->stamps;
        LEAT_TRY(note_ages(j, ctx, rows, count));
    }
    return fail_or(ctx,
        leat__table_append_flagged(j->rows[j->side], 0, j->keys, j->in->key_hash, rows, count, &shown,
            keeps(j, j->side) ? j->flags : NULL, ctx->error));
}

/* Takes an equal row out of the own side: 1 with its flags, 0 where there is none. */
static int cut_row(struct tables *j, struct leat__ctx *ctx, uint32_t row, uint8_t *flags)
{
    struct leat_table *table = j->rows[j->side];
    const struct leat_type *type = leat__input_type(ctx->node, j->side);
    const void *record = leat_batch_at(j->in, row);
    const struct leat_list_row *at, *before = NULL;
    set_now(j, ctx, row);
    LEAT_TRY(fail_or(ctx, leat__table_lists(table, 0, j->keys, j->in->key_hash, &row, 1, &at, ctx->error)));
    while (at && !(is_live(j, j->side, at) && leat__record_equal(type, at->record, record))) {
        before = at;
        at = at->next;
        j->scanned++;
    }
    if (!at) {
        leat__count(&ctx->counters->dropped_records, 1); /* it was never given, or is forgotten */
        return 0;
    }
    *flags = *at->flags;
    LEAT_TRY(fail_or(ctx, leat__table_cut(table, 0, j->keys[row], j->in->key_hash[row], before, ctx->error)));
    return 1;
}

/* Inner joins: all that the batch does to its own side. Rows that take back what is not there leave. */
static int change_own_side(struct tables *j, struct leat__ctx *ctx)
{
    uint32_t kept = 0, from = 0;
    for (uint32_t i = 0; i < j->count; i++) {
        const uint32_t row = j->picks[i];
        uint8_t flags;
        if (!takes_back(j->in, row)) {
            j->picks[kept++] = row;
            continue;
        }
        LEAT_TRY(append_rows(j, ctx, j->picks + from, kept - from));
        const int found = cut_row(j, ctx, row, &flags);
        if (found < 0)
            return found;
        if (found)
            j->picks[kept++] = row;
        from = kept;
    }
    j->count = kept;
    return append_rows(j, ctx, j->picks + from, kept - from);
}

/* ---- pairs ---- */

/* (4) */
static int keep_order(struct tables *j, struct leat__ctx *ctx, int64_t event_us)
{
    const bool is_behind = leat__join_is_passed(event_us, ctx->watermark_us, 0);
    if (j->spec->gives_changes && is_behind != j->was_behind)
        LEAT_TRY(leat__join_output_end(j->output, ctx));
    j->was_behind = is_behind;
    return 0;
}

/* By row `row` of the batch; one of the two may be NULL. */
static int give(
    struct tables *j, struct leat__ctx *ctx, const void *own, const void *other, uint32_t row, uint8_t change)
{
    const struct leat__join_pair pair = {
        .left = j->side == LEAT__LEFT ? own : other,
        .right = j->side == LEAT__LEFT ? other : own,
        .event_us = j->in->event_us[row],
        .key_hash = j->in->key_hash[row],
        .change = j->spec->gives_changes ? (enum leat_change)change : LEAT_INSERT,
    };
    LEAT_TRY(keep_order(j, ctx, pair.event_us));
    return leat__join_output_pair(j->output, ctx, &pair);
}

static bool has_done_enough(const struct tables *j)
{
    return j->scanned >= SCANNED_PER_CALL || *leat__join_output_given(j->output) >= LEAT_OP_BATCHES_PER_CALL;
}

/* Other operators of the worker may come next, and what they do with the state makes lists move: (1), (2). */
static int pause_here(struct tables *j, struct leat__ctx *ctx)
{
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    return LEAT_MORE;
}

/* The lists of the run's rows that are not done. */
static int look_up_run(struct tables *j, struct leat__ctx *ctx)
{
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    LEAT_TRY(fail_or(ctx,
        leat__table_lists(j->rows[!j->side], 0, j->keys, j->in->key_hash, j->picks + j->at, j->run_to - j->at,
            j->lists, ctx->error)));
    for (uint32_t i = 0; i < j->list_at && j->lists[0]; i++)
        j->lists[0] = j->lists[0]->next;
    return 0;
}

/* A chunk of rows of an inner join, whose own side is done. */
static int pair_inner(struct tables *j, struct leat__ctx *ctx)
{
    if (j->at == j->run_to) {
        j->run_to = j->count - j->at < CHUNK ? j->count : j->at + CHUNK;
        j->list_at = 0;
    }
    LEAT_TRY(look_up_run(j, ctx));
    const bool has_ttl = j->spec->ttl_us[!j->side] != 0;
    for (const struct leat_list_row **list = j->lists; j->at < j->run_to; j->at++, list++) {
        const uint32_t row = j->picks[j->at];
        const void *own = leat_batch_at(j->in, row);
        const uint8_t change = leat__batch_change(j->in, row);
        if (has_ttl)
            set_now(j, ctx, row);
        for (const struct leat_list_row *other = *list; other; other = other->next) {
            if (has_done_enough(j))
                return pause_here(j, ctx);
            j->scanned++;
            j->list_at++;
            if (!has_ttl || is_live(j, !j->side, other))
                LEAT_TRY(give(j, ctx, own, other->record, row, change));
        }
        j->list_at = 0;
    }
    return 0;
}

/* Judges own against some[]: ok[]. */
static int judge(struct tables *j, struct leat__ctx *ctx, uint32_t own_side, const void *own,
    const struct leat_list_row *const *others, uint32_t count, uint8_t *ok)
{
    for (uint32_t i = 0; i < count; i++) {
        j->left[i] = own_side == LEAT__LEFT ? own : others[i]->record;
        j->right[i] = own_side == LEAT__LEFT ? others[i]->record : own;
    }
    return leat__join_matches(j->output, ctx, j->left, j->right, count, ok);
}

/* The next live rows of a list of `side`: some[]. Says how many rows it has passed. */
static uint32_t gather(struct tables *j, uint32_t side, const struct leat_list_row **list)
{
    uint32_t passed = 0;
    j->some_count = 0;
    for (; *list && j->some_count < j->some_max; *list = (*list)->next, passed++)
        if (is_live(j, side, *list))
            j->some[j->some_count++] = *list;
    j->scanned += passed;
    return passed;
}

static int set_paired(
    struct tables *j, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *other, bool is_paired)
{
    LEAT_TRY(fail_or(
        ctx, leat__table_flagged(j->rows[!j->side], 0, j->keys[row], j->in->key_hash[row], ctx->error)));
    *other->flags = is_paired ? PAIRED : 0;
    return 0;
}

/* ---- outer joins: rows that come ---- */

/* One row that comes with some of its partners. */
static int pair_some(struct tables *j, struct leat__ctx *ctx, uint32_t row)
{
    const void *own = leat_batch_at(j->in, row);
    const uint8_t change = leat__batch_change(j->in, row);
    const bool keeps_other = keeps(j, !j->side);
    LEAT_TRY(judge(j, ctx, j->side, own, j->some, j->some_count, j->ok));
    for (uint32_t i = 0; i < j->some_count; i++) {
        const struct leat_list_row *other = j->some[i];
        if (!j->ok[i])
            continue;
        j->has_partner = true;
        if (keeps_other && !(*other->flags & PAIRED)) {
            LEAT_TRY(set_paired(j, ctx, row, other, true));
            LEAT_TRY(give(j, ctx, NULL, other->record, row, LEAT_UPDATE_BEFORE));
            LEAT_TRY(give(j, ctx, own, other->record, row, LEAT_UPDATE_AFTER));
        } else {
            LEAT_TRY(give(j, ctx, own, other->record, row, change));
        }
    }
    return 0;
}

/* A run of rows that come: pairs first, then they go into their own table. */
static int pair_run(struct tables *j, struct leat__ctx *ctx)
{
    if (j->run_from == j->run_to) {
        j->run_from = j->run_to = j->at;
        while (j->run_to < j->count && j->run_to - j->run_from < CHUNK && j->keys[j->picks[j->run_to]].data &&
            !takes_back(j->in, j->picks[j->run_to]))
            j->run_to++;
        j->list_at = 0;
        j->has_partner = false;
    }
    LEAT_TRY(look_up_run(j, ctx));
    for (const struct leat_list_row **list = j->lists; j->at < j->run_to; j->at++, list++) {
        const uint32_t row = j->picks[j->at];
        set_now(j, ctx, row);
        while (*list) {
            if (has_done_enough(j))
                return pause_here(j, ctx);
            j->list_at += gather(j, !j->side, list);
            LEAT_TRY(pair_some(j, ctx, row));
        }
        if (has_done_enough(j))
            return pause_here(j, ctx);
        if (!j->has_partner && keeps(j, j->side))
            LEAT_TRY(give(j, ctx, leat_batch_at(j->in, row), NULL, row, leat__batch_change(j->in, row)));
        j->flags[row] = j->has_partner ? PAIRED : 0;
        j->list_at = 0;
        j->has_partner = false;
    }
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    const uint32_t from = j->run_from;
    j->run_from = j->run_to;
    return append_rows(j, ctx, j->picks + from, j->run_to - from);
}

/* ---- outer joins: rows that are taken back ---- */

/* Whether this one of the other side has a partner among the rows that are left on the own side: *has. */
static int has_partner(struct tables *j, struct leat__ctx *ctx, const void *other,
    const struct leat_list_row *list, uint8_t *has)
{
    uint8_t ok[SOME];
    *has = 0;
    while (list && !*has) {
        (void)gather(j, j->side, &list);
        LEAT_TRY(judge(j, ctx, !j->side, other, j->some, j->some_count, ok));
        for (uint32_t i = 0; i < j->some_count; i++)
            *has |= ok[i];
    }
    return 0;
}

/* still[i]: whether some[i], which is ok, has another partner. With a condition that is asked of each: the rows are
 * copied, since looking at one side may make the other's move. */
static int find_others(struct tables *j, struct leat__ctx *ctx, uint32_t row)
{
    const uint32_t side = !j->side, count = j->some_count;
    const struct leat_list_row *own;
    memset(j->still, !keeps(j, side) || j->has_others, sizeof j->still);
    if (!keeps(j, side) || !j->has_others || !j->spec->join.where)
        return 0;
    if (!j->copies[side])
        LEAT_TRY(leat__rows_get(ctx, leat__input_type(ctx->node, side), &j->copies[side]));
    LEAT_ASSERT(j->copies[side]->count == 0);
    for (uint32_t i = 0; i < count; i++)
        if (leat__copy_push(j->copiers[side], j->copies[side], j->some[i]->record) < 0)
            return leat__rows_nomem(ctx, "partners");
    LEAT_TRY(fail_or(
        ctx, leat__table_lists(j->rows[j->side], 0, j->keys, j->in->key_hash, &row, 1, &own, ctx->error)));
    for (uint32_t i = 0; i < count; i++)
        if (j->ok[i])
            LEAT_TRY(has_partner(j, ctx, leat_batch_at(j->copies[side], i), own, &j->still[i]));
    leat__batch_release(j->copies[side]);
    j->copies[side] = NULL;
    return 0;
}

/* The other side's list from the place on. */
static int look_up_others(
    struct tables *j, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row **list)
{
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    LEAT_TRY(fail_or(
        ctx, leat__table_lists(j->rows[!j->side], 0, j->keys, j->in->key_hash, &row, 1, list, ctx->error)));
    for (uint32_t i = 0; i < j->list_at && *list; i++)
        *list = (*list)->next;
    return 0;
}

/* Takes back the pairs with some of the other side. 1: that was not all. */
static int unpair_some(struct tables *j, struct leat__ctx *ctx, uint32_t row)
{
    const void *own = leat_batch_at(j->in, row);
    const struct leat_list_row *list;
    LEAT_TRY(look_up_others(j, ctx, row, &list));
    if (!list)
        return 0;
    const uint32_t passed = gather(j, !j->side, &list);
    LEAT_TRY(judge(j, ctx, j->side, own, j->some, j->some_count, j->ok));
    LEAT_TRY(find_others(j, ctx, row));
    LEAT_TRY(look_up_others(j, ctx, row, &list));
    (void)gather(j, !j->side, &list);
    j->list_at += passed;
    for (uint32_t i = 0; i < j->some_count; i++) {
        const struct leat_list_row *other = j->some[i];
        if (!j->ok[i])
            continue;
        if (j->still[i]) {
            LEAT_TRY(give(j, ctx, own, other->record, row, leat__batch_change(j->in, row)));
            continue;
        }
        LEAT_TRY(set_paired(j, ctx, row, other, false));
        LEAT_TRY(give(j, ctx, own, other->record, row, LEAT_UPDATE_BEFORE));
        LEAT_TRY(give(j, ctx, NULL, other->record, row, LEAT_UPDATE_AFTER));
    }
    return list != NULL;
}

/* The row leaves its own side: 1, or 0 where there is none. Then has_others and has_partner are known. */
static int begin_leaving(struct tables *j, struct leat__ctx *ctx, uint32_t row)
{
    const struct leat_list_row *own;
    uint8_t flags = 0;
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    const int found = cut_row(j, ctx, row, &flags);
    if (found <= 0)
        return found;
    LEAT_TRY(fail_or(
        ctx, leat__table_lists(j->rows[j->side], 0, j->keys, j->in->key_hash, &row, 1, &own, ctx->error)));
    while (own && !is_live(j, j->side, own))
        own = own->next;
    j->has_others = own != NULL;
    j->has_partner = !keeps(j, j->side) || (flags & PAIRED);
    j->list_at = 0;
    return 1;
}

static int unpair_row(struct tables *j, struct leat__ctx *ctx)
{
    const uint32_t row = j->picks[j->at];
    int more = j->is_leaving;
    if (has_done_enough(j))
        return pause_here(j, ctx);
    set_now(j, ctx, row);
    if (!j->is_leaving) {
        more = begin_leaving(j, ctx, row);
        if (more > 0 && !j->has_partner) {
            LEAT_TRY(give(j, ctx, leat_batch_at(j->in, row), NULL, row, leat__batch_change(j->in, row)));
            more = 0;
        }
    }
    j->is_leaving = more > 0;
    while (more > 0) {
        if (has_done_enough(j))
            return pause_here(j, ctx);
        more = unpair_some(j, ctx, row);
    }
    if (more < 0)
        return more;
    j->is_leaving = false;
    j->at++;
    return 0;
}

/* A row without a key: nobody will ever ask for it. */
static int give_alone(struct tables *j, struct leat__ctx *ctx)
{
    const uint32_t row = j->picks[j->at];
    if (has_done_enough(j))
        return pause_here(j, ctx);
    j->at++;
    return give(j, ctx, leat_batch_at(j->in, row), NULL, row, leat__batch_change(j->in, row));
}

/* ---- rows that are too old ---- */

static int cut_old(struct tables *j, struct leat__ctx *ctx, uint32_t side, struct leat_sv key, uint64_t hash)
{
    const struct leat_list_row *row, *before = NULL;
    LEAT_TRY(fail_or(ctx, leat__table_lists(j->rows[side], 0, &key, &hash, NULL, 1, &row, ctx->error)));
    while (row) {
        const struct leat_list_row *next = row->next;
        if (is_live(j, side, row))
            before = row;
        else
            LEAT_TRY(fail_or(ctx, leat__table_cut(j->rows[side], 0, key, hash, before, ctx->error)));
        row = next;
        j->scanned++;
    }
    return 0;
}

/* The keys of items, out of the table's way. */
static int cut_old_items(struct tables *j, struct leat__ctx *ctx, uint32_t side,
    const struct leat_cursor_item *items, uint32_t count)
{
    size_t lens[ITEMS], at = 0;
    uint64_t hashes[ITEMS];
    leat__strbuf_clear(&j->bytes);
    for (uint32_t i = 0; i < count; i++) {
        leat__strbuf_add(&j->bytes, items[i].key.data, items[i].key.len);
        lens[i] = items[i].key.len;
        hashes[i] = items[i].hash;
    }
    if (j->bytes.failed)
        return leat__rows_nomem(ctx, "keys");
    for (uint32_t i = 0; i < count; i++) {
        LEAT_TRY(cut_old(j, ctx, side, (struct leat_sv){ j->bytes.data + at, lens[i] }, hashes[i]));
        at += lens[i];
    }
    return 0;
}

/* When all that came in the bucket is too old. */
static int64_t bucket_over_us(const struct tables *j, uint32_t side, int64_t bucket)
{
    const int64_t width_us = j->spec->ttl_us[side] / TTL_PARTS + 1;
    int64_t end_us;
    if (__builtin_mul_overflow(bucket + 1, width_us, &end_us))
        return LEAT_TIME_MAX;
    return leat__time_add(end_us, j->spec->ttl_us[side]);
}

static int sweep(struct tables *j, struct leat__ctx *ctx, uint32_t side)
{
    struct leat_cursor_item items[ITEMS];
    j->now_us[side] = j->sweep_us;
    for (;;) {
        int64_t count;
        if (!j->cursor) {
            const int found = leat__table_next_namespace(j->old[side], LEAT_TIME_MIN, &j->bucket, ctx->error);
            if (found < 0)
                return leat__fail_here(ctx);
            if (!found || bucket_over_us(j, side, j->bucket) > j->sweep_us)
                break;
            LEAT_TRY(fail_or(
                ctx, leat__cursor_open(j->old[side], j->bucket, LEAT_CURSOR_READ, &j->cursor, ctx->error)));
        }
        while ((count = leat__cursor_next(j->cursor, items, ITEMS, ctx->error)) > 0) {
            LEAT_TRY(cut_old_items(j, ctx, side, items, (uint32_t)count));
            j->scanned += ITEMS * (SCANNED_PER_CALL / KEYS_PER_CALL);
            if (has_done_enough(j))
                return LEAT_MORE;
        }
        leat__cursor_close(j->cursor);
        j->cursor = NULL;
        if (count < 0)
            return leat__fail_here(ctx);
        LEAT_TRY(fail_or(ctx, leat__table_drop(j->old[side], j->bucket, ctx->error)));
    }
    j->is_sweeping[side] = false;
    return 0;
}

/* When the clock makes something too old. */
static int set_wake(struct tables *j, struct leat__ctx *ctx)
{
    ctx->wake_us = LEAT_TIME_MAX;
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        int64_t bucket;
        if (!j->spec->ttl_us[side] || !j->spec->ttl_is_processing[side])
            continue;
        const int found = leat__table_next_namespace(j->old[side], LEAT_TIME_MIN, &bucket, ctx->error);
        if (found < 0)
            return leat__fail_here(ctx);
        const int64_t over_us = found ? bucket_over_us(j, side, bucket) : LEAT_TIME_MAX;
        if (over_us < ctx->wake_us)
            ctx->wake_us = over_us;
    }
    return 0;
}

/* ---- calls ---- */

static int go_on(struct tables *j, struct leat__ctx *ctx)
{
    int code = 0;
    j->scanned = 0;
    *leat__join_output_given(j->output) = 0;
    while (code == 0) {
        if (j->is_sweeping[LEAT__LEFT])
            code = sweep(j, ctx, LEAT__LEFT);
        else if (j->is_sweeping[LEAT__RIGHT])
            code = sweep(j, ctx, LEAT__RIGHT);
        else if (!j->in || j->at >= j->count)
            break;
        else if (!j->is_outer)
            code = pair_inner(j, ctx);
        else if (!j->keys[j->picks[j->at]].data)
            code = give_alone(j, ctx);
        else if (j->is_leaving || (j->run_from == j->run_to && takes_back(j->in, j->picks[j->at])))
            code = unpair_row(j, ctx);
        else
            code = pair_run(j, ctx);
    }
    if (code != 0)
        return code;
    LEAT_TRY(leat__join_output_end(j->output, ctx));
    leat__batch_release(j->in);
    j->in = NULL;
    __atomic_store_n(&ctx->counters->state_keys,
        leat__table_keys_count_all(j->rows[LEAT__LEFT]) + leat__table_keys_count_all(j->rows[LEAT__RIGHT]),
        __ATOMIC_RELAXED);
    return set_wake(j, ctx);
}

/* Rows with a null key match nothing (semantics 28): they are alone, or dropped. */
static void admit_rows(struct tables *j, struct leat__ctx *ctx)
{
    const struct leat_batch *in = j->in;
    j->count = 0;
    for (uint32_t i = 0; i < in->count; i++)
        if (j->keys[i].data || keeps(j, j->side))
            j->picks[j->count++] = i;
    leat__count(&ctx->counters->dropped_records, in->count - j->count);
}

static int reserve_rows(struct tables *j, struct leat__ctx *ctx, uint32_t count)
{
    LEAT_TRY(leat__rows_reserve(ctx, &j->picks, &j->picks_capacity, count));
    if (count <= j->flags_capacity)
        return 0;
    leat__free(j->flags);
    leat__free(j->stamps);
    j->flags = leat__calloc(count, sizeof *j->flags);
    j->stamps = leat__calloc(count, sizeof *j->stamps);
    j->flags_capacity = j->flags && j->stamps ? count : 0;
    return j->flags_capacity ? 0 : leat__rows_nomem(ctx, "row numbers");
}

static int tables_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct tables *j = (struct tables *)op;
    LEAT_ASSERT(input < LEAT__SIDES && !j->in);
    j->in = batch;
    j->side = input;
    j->at = j->run_from = j->run_to = j->list_at = 0;
    j->is_leaving = j->has_partner = false;
    *leat__join_output_given(j->output) = 0;
    LEAT_TRY(leat__rows_keys(ctx, j->spec->join.keys[input], j->key_scratch, &j->in, &j->keys));
    if (!j->in)
        return 0;
    LEAT_TRY(reserve_rows(j, ctx, j->in->count));
    admit_rows(j, ctx);
    if (!j->is_outer)
        LEAT_TRY(change_own_side(j, ctx));
    return go_on(j, ctx);
}

static int tables_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct tables *j = (struct tables *)op;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        j->is_sweeping[side] =
            w != LEAT_TIME_MAX && j->spec->ttl_us[side] && !j->spec->ttl_is_processing[side];
    j->sweep_us = w;
    return go_on(j, ctx);
}

static int tables_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct tables *j = (struct tables *)op;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        j->is_sweeping[side] = j->spec->ttl_us[side] && j->spec->ttl_is_processing[side];
    j->sweep_us = now_us;
    return go_on(j, ctx);
}

static int tables_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return go_on((struct tables *)op, ctx);
}

/* Nothing beside the tables: the version is all. */
static int tables_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    (void)op;
    leat__strbuf_char(out, 1);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static int tables_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    (void)parts;
    (void)count;
    return go_on((struct tables *)op, ctx);
}

static const struct leat_op_class tables_class = {
    .kind = "table-table join",
    .size = sizeof(struct tables),
    .init = tables_init,
    .on_batch = tables_on_batch,
    .on_watermark = tables_on_watermark,
    .step = tables_step,
    .on_time = tables_on_time,
    .snapshot = tables_snapshot,
    .restore = tables_restore,
    .release = tables_release,
};

/* ---- declaration ---- */

static void declare_ttl(
    struct leat_node *node, struct tables_spec *spec, uint32_t side, const struct leat_ttl *ttl)
{
    const char *option = side == LEAT__LEFT ? "left_ttl" : "right_ttl";
    spec->ttl_us[side] = ttl->us;
    spec->ttl_is_processing[side] = ttl->time == LEAT_PROCESSING_TIME;
    if (ttl->us < 0)
        leat__declare_error(
            node, option, LEAT_EDECLARE, "%lld is no time to live: it is above 0", (long long)ttl->us);
    if (ttl->on_read)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "a row that finds partners is not younger for it: leave on_read out");
    if (ttl->us && !spec->ttl_is_processing[side]) {
        leat__need_event_time(node, LEAT__LEFT); /* rows of the other side say what time it is, too */
        leat__need_event_time(node, LEAT__RIGHT);
    }
}

static const char *describe(struct leat_node *node, const struct tables_spec *spec)
{
    char left[32], right[32];
    const int64_t *ttl_us = spec->ttl_us;
    const char *own = leat__spec_printf(node, "%s%s%s%s%s", ttl_us[LEAT__LEFT] ? "left kept " : "",
        ttl_us[LEAT__LEFT] ? leat__duration_text(ttl_us[LEAT__LEFT], left) : "",
        ttl_us[LEAT__LEFT] && ttl_us[LEAT__RIGHT] ? ", " : "", ttl_us[LEAT__RIGHT] ? "right kept " : "",
        ttl_us[LEAT__RIGHT] ? leat__duration_text(ttl_us[LEAT__RIGHT], right) : "");
    return leat__join_describe(node, &spec->join, own);
}

static void declare_formats(struct leat_node *node, struct tables_spec *spec)
{
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        spec->formats[side] = leat__spec_printf(node, "v1; rows%s%s",
            leat__join_keeps(&spec->join, side) ? ", flagged while they have a partner" : "",
            spec->ttl_us[side] ? ", with when they came" : "");
        spec->old_formats[side] = leat__spec_printf(
            node, "v1; nothing, in buckets of %lld us", (long long)(spec->ttl_us[side] / TTL_PARTS + 1));
    }
}

leat_stream *leat_join_tables_sized(leat_stream *left, leat_stream *right, const char *name,
    const struct leat_join_tables_opts *opts, size_t size)
{
    struct leat_join_tables_opts o;
    struct leat_node *node = leat__declare(left->t, name, LEAT_NODE_OPERATOR, tables_class.kind);
    leat__takes_changes(node, LEAT__LEFT);
    leat__input(node, LEAT__LEFT, left, LEAT_FORWARD, NULL);
    leat__takes_changes(node, LEAT__RIGHT);
    leat__input(node, LEAT__RIGHT, right, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct tables_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->op = &tables_class;
    node->spec = spec;
    const struct leat__join_opts shared = { .kind = o.kind,
        .kinds = 1u << LEAT_JOIN_INNER | 1u << LEAT_JOIN_LEFT | 1u << LEAT_JOIN_RIGHT | 1u << LEAT_JOIN_FULL,
        .left_key = o.left_key,
        .right_key = o.right_key,
        .where = o.where,
        .merge = o.merge,
        .out = o.out,
        .fields = o.fields,
        .fields_max = sizeof o.fields / sizeof o.fields[0],
        .key_as = o.key_as };
    leat__join_declare(node, &shared, &spec->join);
    declare_ttl(node, spec, LEAT__LEFT, &o.left_ttl);
    declare_ttl(node, spec, LEAT__RIGHT, &o.right_ttl);
    spec->gives_changes = spec->join.kind != LEAT_JOIN_INNER || leat__input_changes(node, LEAT__LEFT) ||
        leat__input_changes(node, LEAT__RIGHT);
    if (node->outputs_count)
        node->outputs[0].changes = spec->gives_changes;
    if (!leat__node_is_inert(node)) {
        declare_formats(node, spec);
        node->detail = describe(node, spec);
    }
    return leat__stream(node, 0);
}
