/* operators/aggregate_run_rows.c -- panes that are records, not one row of results: the first n of a window
 * (top_n_rows.c). A pane that replaces another gives what differs: with a rank, place by place; without one, records that
 * are in one of them only, as pairs as long as there are some of both.
 *
 * A row is made in the open batch and taken back when it says nothing new: nothing is copied. */
#include "operators/aggregate_run_private.h"
#include "operators/top_n_private.h"

/* A pane that rows are made of. */
struct side {
    const struct leat__pane *pane;
    const unsigned char *values;
    uint32_t count;
};

static struct side side_of(
    const struct leat__run *run, const struct leat__pane *pane, const unsigned char *values)
{
    return (struct side){ pane, values, leat__top_rows_count(run->spec, values) };
}

/* Makes row i of a side in the open batch, which has room. */
static int make_row(struct leat__run *run, struct leat__ctx *ctx, const struct side *side, uint32_t i,
    uint64_t hash, enum leat_change change)
{
    struct leat_batch *out = run->out;
    const uint32_t row = out->count;
    void *record = leat__batch_push(out);
    out->event_us[row] = leat__run_pane_us(run, side->pane);
    out->key_hash[row] = hash;
    leat__batch_set_change(out, row, (uint8_t)change);
    const int code = leat__top_rows_fill(run->spec, side->pane, side->values, i, out, record);
    if (code == LEAT_EDATA)
        return leat__fail(ctx, code, "a record among the first is damaged");
    return code < 0 ? leat__rows_nomem(ctx, "a record") : 0;
}

/* Room for some rows, in a batch of their lateness; a batch of one row gives pairs one by one. */
static int open_rows(struct leat__run *run, struct leat__ctx *ctx, bool late, uint32_t rows)
{
    return leat__run_open(run, ctx, late, run->items_max < rows ? 1 : rows);
}

int leat__run_give_rows(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *pane,
    uint64_t hash, const unsigned char *values, enum leat_change change)
{
    const struct side side = side_of(run, pane, values);
    const bool late = leat__run_is_late(run, ctx, pane);
    for (uint32_t i = 0; i < side.count; i++) {
        LEAT_TRY(open_rows(run, ctx, late, 1));
        LEAT_TRY(make_row(run, ctx, &side, i, hash, change));
        if (leat__batch_is_full(run->out))
            LEAT_TRY(leat__run_flush(run, ctx));
    }
    return 1;
}

/* Row i of the one is replaced by row k of the other. */
static int give_pair(struct leat__run *run, struct leat__ctx *ctx, const struct side *before, uint32_t i,
    const struct side *after, uint32_t k, bool late, uint64_t hash)
{
    LEAT_TRY(open_rows(run, ctx, late, 2));
    LEAT_TRY(make_row(run, ctx, before, i, hash, LEAT_UPDATE_BEFORE));
    LEAT_TRY(open_rows(run, ctx, late, 1)); /* where one row was all the room */
    LEAT_TRY(make_row(run, ctx, after, k, hash, LEAT_UPDATE_AFTER));
    return leat__batch_is_full(run->out) ? leat__run_flush(run, ctx) : 0;
}

static int give_one(struct leat__run *run, struct leat__ctx *ctx, const struct side *side, uint32_t i,
    bool late, uint64_t hash, enum leat_change change)
{
    LEAT_TRY(open_rows(run, ctx, late, 1));
    LEAT_TRY(make_row(run, ctx, side, i, hash, change));
    return leat__batch_is_full(run->out) ? leat__run_flush(run, ctx) : 0;
}

/* Whether two panes show a record in the same row: with a pane of its own each row is another. */
static bool shows_alike(const struct leat__run *run, const struct side *before, const struct side *after)
{
    const struct leat__aggregate_spec *spec = run->spec;
    return before->pane->window.start == after->pane->window.start &&
        before->pane->window.end == after->pane->window.end && !spec->pane.type && !spec->pane_index.type;
}

static int replace_places(struct leat__run *run, struct leat__ctx *ctx, const struct side *before,
    const struct side *after, bool late, uint64_t hash)
{
    const bool is_alike = shows_alike(run, before, after);
    for (uint32_t i = 0; i < before->count || i < after->count; i++) {
        if (i >= after->count)
            LEAT_TRY(give_one(run, ctx, before, i, late, hash, LEAT_DELETE));
        else if (i >= before->count)
            LEAT_TRY(give_one(run, ctx, after, i, late, hash, LEAT_INSERT));
        else if (!is_alike || !leat__top_rows_equal(run->spec, before->values, i, after->values, i))
            LEAT_TRY(give_pair(run, ctx, before, i, after, i, late, hash));
    }
    return 1;
}

/* From *at on, the next record of `side` that the other has fewer of; false: none. Equal records are next to each other
 * or not at all, being of one rank and time. */
static bool next_alone(const struct leat__run *run, const struct side *side, const struct side *other,
    bool is_alike, uint32_t *at)
{
    for (; *at < side->count; ++*at) {
        uint32_t theirs = 0, ours = 0;
        for (uint32_t i = 0; i < other->count; i++)
            theirs += leat__top_rows_equal(run->spec, side->values, *at, other->values, i);
        for (uint32_t i = 0; i <= *at; i++)
            ours += leat__top_rows_equal(run->spec, side->values, *at, side->values, i);
        if (!is_alike || ours > theirs)
            return true;
    }
    return false;
}

static int replace_records(struct leat__run *run, struct leat__ctx *ctx, const struct side *before,
    const struct side *after, bool late, uint64_t hash)
{
    const bool is_alike = shows_alike(run, before, after);
    uint32_t i = 0, k = 0;
    for (;; i++, k++) {
        const bool gone = next_alone(run, before, after, is_alike, &i);
        const bool come = next_alone(run, after, before, is_alike, &k);
        if (gone && come)
            LEAT_TRY(give_pair(run, ctx, before, i, after, k, late, hash));
        else if (gone)
            LEAT_TRY(give_one(run, ctx, before, i, late, hash, LEAT_DELETE));
        else if (come)
            LEAT_TRY(give_one(run, ctx, after, k, late, hash, LEAT_INSERT));
        else
            return 1;
    }
}

int leat__run_replace_rows(struct leat__run *run, struct leat__ctx *ctx, const struct leat__pane *old_pane,
    const unsigned char *old_values, const struct leat__pane *pane, uint64_t hash,
    const unsigned char *values)
{
    const struct side before = side_of(run, old_pane, old_values), after = side_of(run, pane, values);
    const bool late = leat__run_is_late(run, ctx, pane);
    return run->spec->top->rank.type ? replace_places(run, ctx, &before, &after, late, hash)
                                     : replace_records(run, ctx, &before, &after, late, hash);
}
