/* operators/top_n.c -- the first n records of a key, as changes.
 *
 *   only the first n are kept, each row:
 *              its place among them; none: nothing changes
 *              changes: with a rank, from its place on; else the one that leaves and the one that comes as a pair
 *              it goes into the list, and the last one out of it
 *   all are kept, since records may be taken back, each row:
 *              the first n before, and after: with the row, or without the one that it takes back
 *              changes: with a rank, place by place; else as above
 *              the list is written anew, or added to */
#include "operators/key_private.h"
#include "operators/top_n_private.h"
#include "record/equal.h"
#include "topology/declare.h"

#define PREFETCH_AHEAD 8u

struct top_n {
    struct leat_op op;
    struct leat__top top;
    /* Where all are kept: the records of the key but for one that is taken back. */
    struct leat__ranked *all;
    uint32_t all_count, all_capacity;
};

static int top_n_init(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__top_init(&((struct top_n *)op)->top, ctx, op->node->spec);
}

static void top_n_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct top_n *t = (struct top_n *)op;
    (void)ctx;
    leat__top_release(&t->top);
    leat__free(t->all);
}

/* ---- changes ---- */

static int give_pair(struct leat__top *top, struct leat__ctx *ctx, uint32_t row,
    const struct leat__ranked *before, const struct leat__ranked *after, uint32_t rank)
{
    const struct leat_batch *batch = top->batch;
    LEAT_TRY(leat__changes_begin(&top->changes, ctx, batch, batch->event_us[row], batch->key_hash[row]));
    if (before)
        LEAT_TRY(leat__top_row(top, ctx, LEAT__BEFORE, before, rank, NULL));
    if (after)
        LEAT_TRY(leat__top_row(top, ctx, LEAT__AFTER, after, rank, NULL));
    return leat__changes_settle(&top->changes, ctx);
}

/* Whoever is among `some` and not among `others`: one at most, since one record has come or gone. */
static const struct leat__ranked *only_in(const struct leat__ranked *some, uint32_t some_count,
    const struct leat__ranked *others, uint32_t others_count)
{
    for (uint32_t i = 0, k = 0; i < some_count; i++) {
        while (k < others_count && others[k].record != some[i].record)
            k++;
        if (k == others_count) { /* not behind the one before it: look at all */
            for (k = 0; k < others_count && others[k].record != some[i].record;)
                k++;
            if (k == others_count)
                return &some[i];
        }
    }
    return NULL;
}

static int give_changes(struct leat__top *top, struct leat__ctx *ctx, uint32_t row)
{
    const uint32_t before_count = top->before_count, after_count = top->after_count;
    if (!top->spec->has_rank) {
        const struct leat__ranked *gone = only_in(top->before, before_count, top->after, after_count);
        const struct leat__ranked *come = only_in(top->after, after_count, top->before, before_count);
        return gone || come ? give_pair(top, ctx, row, gone, come, 0) : 0;
    }
    for (uint32_t i = 0; i < before_count || i < after_count; i++) {
        const struct leat__ranked *before = i < before_count ? &top->before[i] : NULL;
        const struct leat__ranked *after = i < after_count ? &top->after[i] : NULL;
        if (!before || !after || before->record != after->record)
            LEAT_TRY(give_pair(top, ctx, row, before, after, i + 1));
    }
    return 0;
}

/* ---- only the first are kept ---- */

/* A row of output, and when it was made: it is there until a batch is given. */
struct shown {
    struct leat_batch *batch; /* NULL: none */
    uint32_t row, batches_given;
};

static struct shown show_last(const struct leat__changes *c, int which)
{
    return (struct shown){ c->made[which].batch, c->made[which].row, c->batches_given };
}

/* The row after of a rank, of what was shown as the row before of the rank above. */
static int show_again(struct leat__top *top, struct leat__ctx *ctx, const struct shown *shown, uint32_t rank)
{
    struct leat_batch *out;
    LEAT_TRY(leat__changes_row(&top->changes, ctx, LEAT__AFTER, &out));
    LEAT_ASSERT(out == shown->batch);
    unsigned char *row = leat_batch_at(out, out->count - 1);
    memcpy(row, leat_batch_at(shown->batch, shown->row), out->stride);
    leat__out_set_int(row, &top->spec->rank, rank);
    return 0;
}

/* Whether it is still there: not given, and not taken back by settle. */
static bool is_there(const struct leat__changes *c, const struct shown *shown)
{
    return shown->batch && shown->batch == c->out && shown->batches_given == c->batches_given &&
        shown->row < c->out->count;
}

/* One comes at place `at` of `count`: those from there on move down by one, and of n the last one goes. Each is copied out
 * of state once, for both of its ranks. */
static int give_moved(
    struct leat__top *top, struct leat__ctx *ctx, uint32_t row, const struct leat__ranked *one, uint32_t at)
{
    const struct leat_batch *batch = top->batch;
    const uint32_t count = top->before_count;
    struct shown above = { NULL, 0, 0 };
    for (uint32_t i = at; i <= count && i < top->spec->n; i++) {
        struct shown goes = { NULL, 0, 0 };
        LEAT_TRY(leat__changes_begin(&top->changes, ctx, batch, batch->event_us[row], batch->key_hash[row]));
        if (i < count) {
            LEAT_TRY(leat__top_row(top, ctx, LEAT__BEFORE, &top->before[i], i + 1, NULL));
            goes = show_last(&top->changes, LEAT__BEFORE);
        }
        if (is_there(&top->changes, &above) && above.batch->count < above.batch->capacity)
            LEAT_TRY(show_again(top, ctx, &above, i + 1));
        else
            LEAT_TRY(leat__top_row(top, ctx, LEAT__AFTER, i > at ? &top->before[i - 1] : one, i + 1, NULL));
        LEAT_TRY(leat__changes_settle(&top->changes, ctx));
        above = is_there(&top->changes, &goes) ? goes : (struct shown){ NULL, 0, 0 };
    }
    return 0;
}

static int do_first(struct top_n *t, struct leat__ctx *ctx, uint32_t row)
{
    struct leat__top *top = &t->top;
    const struct leat_list_row *list;
    LEAT_TRY(leat__top_list(top, ctx, 0, row, &list));
    top->before_count = 0;
    for (; list; list = list->next)
        top->before[top->before_count++] =
            (struct leat__ranked){ .record = list->record, .row = list, .us = list->event_us };
    const uint32_t count = top->before_count, n = top->spec->n;
    LEAT_TRY(leat__top_rank(top, ctx, top->before, count));
    const struct leat__ranked one = leat__top_one(top, row);
    const uint32_t at = leat__top_place(top->spec, top->before, count, &one);
    if (at >= n)
        return 0;
    if (top->spec->has_rank)
        LEAT_TRY(give_moved(top, ctx, row, &one, at));
    else
        LEAT_TRY(give_pair(top, ctx, row, count == n ? &top->before[n - 1] : NULL, &one, 0));
    return leat__top_insert(top, ctx, 0, row, top->before, count, at);
}

/* ---- all are kept ---- */

static int keep_one(struct top_n *t, struct leat__ctx *ctx, struct leat__ranked one)
{
    if (t->all_count == t->all_capacity) {
        const uint32_t capacity = t->all_capacity ? 2 * t->all_capacity : 64;
        struct leat__ranked *all = leat__realloc(t->all, capacity * sizeof *all);
        if (!all)
            return leat__rows_nomem(ctx, "records");
        t->all = all;
        t->all_capacity = capacity;
    }
    t->all[t->all_count++] = one;
    return 0;
}

/* The records of the key, and those that are first. With `without`, all but the first that is equal to it: 1 if
 * there was one. */
static int look_at_all(struct top_n *t, struct leat__ctx *ctx, uint32_t row, const void *without)
{
    struct leat__top *top = &t->top;
    const struct leat_list_row *list;
    const void *gone = NULL;
    LEAT_TRY(leat__top_list(top, ctx, 0, row, &list));
    top->before_count = top->after_count = t->all_count = 0;
    for (; list; list = list->next)
        LEAT_TRY(keep_one(t, ctx, (struct leat__ranked){ .record = list->record, .us = list->event_us }));
    LEAT_TRY(leat__top_rank(top, ctx, t->all, t->all_count));
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->all_count; i++) {
        const struct leat__ranked one = t->all[i];
        (void)leat__top_add(top->spec, top->before, &top->before_count, one);
        if (without && !gone && leat__record_equal(top->spec->in, one.record, without)) {
            gone = one.record;
            continue;
        }
        t->all[kept++] = one;
        (void)leat__top_add(top->spec, top->after, &top->after_count, one);
    }
    t->all_count = kept;
    return gone != NULL;
}

static int do_all(struct top_n *t, struct leat__ctx *ctx, uint32_t row)
{
    struct leat__top *top = &t->top;
    struct leat_batch *batch = top->batch;
    const uint8_t change = leat__batch_change(batch, row);
    const bool takes_back = change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
    const void *record = leat_batch_at(batch, row);
    const int found = look_at_all(t, ctx, row, takes_back ? record : NULL);
    if (found < 0)
        return found;
    if (takes_back && !found) { /* of a record that was never given */
        leat__count(&ctx->counters->dropped_records, 1);
        return 0;
    }
    if (!takes_back)
        (void)leat__top_add(top->spec, top->after, &top->after_count, leat__top_one(top, row));
    LEAT_TRY(give_changes(top, ctx, row));
    if (takes_back)
        return leat__top_put(top, ctx, 0, row, t->all, t->all_count);
    return leat__table_append(top->table, 0, top->keys, batch->key_hash, &row, 1, batch, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

/* ---- calls ---- */

static int top_n_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct top_n *t = (struct top_n *)op;
    struct leat__top *top = &t->top;
    top->changes.batches_given = 0;
    while (top->at < top->batch->count) {
        const uint32_t row = top->at++;
        if (row + PREFETCH_AHEAD < top->batch->count)
            leat__table_prefetch(top->table, 0, top->batch->key_hash[row + PREFETCH_AHEAD]);
        LEAT_TRY(top->spec->keeps_all ? do_all(t, ctx, row) : do_first(t, ctx, row));
        if (top->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
    }
    leat__batch_release(top->batch);
    top->batch = NULL;
    __atomic_store_n(&ctx->counters->state_keys, leat__table_keys_count_all(top->table), __ATOMIC_RELAXED);
    return leat__changes_flush(&top->changes, ctx);
}

static int top_n_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    LEAT_ASSERT(input == 0 && batch->count > 0);
    struct leat__top *top = &((struct top_n *)op)->top;
    LEAT_TRY(leat__top_prepare(top, ctx, batch));
    return top->batch ? top_n_step(op, ctx) : 0;
}

const struct leat_op_class leat__top_n_class = {
    .kind = "top n",
    .size = sizeof(struct top_n),
    .init = top_n_init,
    .on_batch = top_n_on_batch,
    .step = top_n_step,
    .release = top_n_release,
};

leat_stream *leat_top_n_sized(
    leat_keyed_stream *in, const char *name, const struct leat_top_n_opts *opts, size_t size)
{
    struct leat_top_n_opts o;
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_OPERATOR, leat__top_n_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, &in->in, LEAT_HASH, in->key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__top_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->op = &leat__top_n_class;
    node->spec = spec;
    spec->keeps_all = leat__input_changes(node, 0);
    leat__top_declare(node, spec, &o, in);
    const uint32_t port = leat__output(node, o.out ? o.out : leat__input_type(node, 0), NULL);
    node->outputs[port].changes = true;
    return leat__stream(node, 0);
}
