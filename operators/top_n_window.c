/* operators/top_n_window.c -- the first n records of each window and key, when the window fires; the declaration of
 * these and of windows with more than one pane (top_n_rows.c).
 *
 *   on_batch      each row into the lists of its windows that have not fired; none: late
 *   on_watermark  windows in the order of their ends: key by key the list, which is in the order of the ranks; then
 *                 the window is dropped
 *
 * Invariant: every window in the table has its end above the last watermark that was worked through. */
#include "operators/aggregate_record_private.h"
#include "operators/key_private.h"
#include "operators/top_n_private.h"
#include "topology/declare.h"

#define ITEMS 16u
#define ROWS_AT_A_TIME 1024u
#define KEYS_PER_CALL 2048u

struct window_top_n {
    struct leat_op op;
    struct leat__top top;
    uint32_t *late;
    uint32_t late_capacity, late_count;
    int64_t watermark_us; /* that is being worked through */
    int64_t ns;
    struct leat__window window; /* that is being given */
    struct leat_cursor *cursor;
};

static int window_top_n_init(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__top_init(&((struct window_top_n *)op)->top, ctx, op->node->spec);
}

static void window_top_n_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct window_top_n *t = (struct window_top_n *)op;
    (void)ctx;
    leat__cursor_close(t->cursor);
    leat__top_release(&t->top);
    leat__free(t->late);
}

/* ---- rows ---- */

static int add_to(struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row)
{
    const struct leat_list_row *list;
    LEAT_TRY(leat__top_list(top, ctx, ns, row, &list));
    top->after_count = 0;
    for (; list; list = list->next)
        top->after[top->after_count++] =
            (struct leat__ranked){ .record = list->record, .us = list->event_us };
    const struct leat__ranked one = leat__top_one(top, row);
    if (!leat__top_add(top->spec, top->after, &top->after_count, one))
        return 0;
    return leat__top_put(top, ctx, ns, row, top->after, top->after_count);
}

static int add_row(struct window_top_n *t, struct leat__ctx *ctx, uint32_t row)
{
    struct leat__top *top = &t->top;
    const struct leat__assigner *a = top->spec->assigner;
    const int64_t us = top->batch->event_us[row], w = leat__ctx_late_wm(ctx, top->batch);
    struct leat__window window;
    bool taken = false, in_any = false;
    for (bool more = leat__window_from(a, us, &window); more && window.start <= us;
         more = leat__window_next(a, &window)) {
        in_any = true;
        if (leat__time_passed(leat__window_last_us(a, &window), w))
            continue;
        taken = true;
        LEAT_TRY(add_to(top, ctx, leat__window_ns(a, &window), row));
    }
    if (in_any && !taken)
        t->late[t->late_count++] = row;
    else if (!in_any)
        leat__count(&ctx->counters->dropped_records, 1);
    return 0;
}

static int give_late(struct window_top_n *t, struct leat__ctx *ctx)
{
    const int32_t port = ctx->node->late_ports[0];
    struct leat_batch *late;
    if (t->late_count == 0)
        return 0;
    leat__count(&ctx->counters->late_records, t->late_count);
    if (port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, t->top.batch, t->late, t->late_count, &late));
    return leat__emit(ctx, (uint32_t)port, late);
}

static void count_keys(struct window_top_n *t, struct leat__ctx *ctx)
{
    __atomic_store_n(&ctx->counters->state_keys, leat__table_keys_count_all(t->top.table), __ATOMIC_RELAXED);
}

static int window_top_n_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct window_top_n *t = (struct window_top_n *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0 && !t->cursor);
    LEAT_TRY(leat__top_prepare(&t->top, ctx, batch));
    batch = t->top.batch;
    if (!batch)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &t->late, &t->late_capacity, batch->count));
    t->late_count = 0;
    for (uint32_t row = 0; row < batch->count; row++)
        LEAT_TRY(add_row(t, ctx, row));
    LEAT_TRY(give_late(t, ctx));
    leat__batch_release(batch);
    t->top.batch = NULL;
    count_keys(t, ctx);
    return 0;
}

/* ---- firing ---- */

static int give_list(struct window_top_n *t, struct leat__ctx *ctx, const struct leat_cursor_item *item)
{
    struct leat__top *top = &t->top;
    const int64_t last_us = leat__window_last_us(top->spec->assigner, &t->window);
    uint32_t rank = 1;
    for (const struct leat_list_row *row = item->value; row; row = row->next, rank++) {
        const struct leat__ranked one = { .record = row->record, .us = row->event_us };
        LEAT_TRY(leat__changes_begin(&top->changes, ctx, NULL, last_us, item->hash));
        LEAT_TRY(leat__top_row(top, ctx, LEAT__AFTER, &one, rank, &t->window));
        LEAT_TRY(leat__changes_settle(&top->changes, ctx));
    }
    return 0;
}

/* The lists of a window until the call has given enough. */
static int give_window(struct window_top_n *t, struct leat__ctx *ctx, uint32_t *keys_seen)
{
    const uint32_t some = t->top.spec->n < ROWS_AT_A_TIME / ITEMS ? ITEMS : 1;
    struct leat_cursor_item items[ITEMS];
    int64_t count;
    while ((count = leat__cursor_next(t->cursor, items, some, ctx->error)) > 0) {
        for (int64_t i = 0; i < count; i++)
            LEAT_TRY(give_list(t, ctx, &items[i]));
        *keys_seen += (uint32_t)count;
        if (t->top.changes.batches_given >= LEAT_OP_BATCHES_PER_CALL || *keys_seen >= KEYS_PER_CALL)
            return LEAT_MORE;
    }
    return count < 0 ? leat__fail_here(ctx) : 0;
}

/* The next window that fires at the watermark: 1 with a cursor on it, or 0. */
static int next_window(struct window_top_n *t, struct leat__ctx *ctx)
{
    const struct leat__assigner *a = t->top.spec->assigner;
    const int found = leat__table_next_namespace(t->top.table, LEAT_TIME_MIN, &t->ns, ctx->error);
    if (found <= 0)
        return found < 0 ? leat__fail_here(ctx) : 0;
    t->window = leat__window_at(a, t->ns);
    if (!leat__time_passed(leat__window_last_us(a, &t->window), t->watermark_us))
        return 0;
    if (leat__cursor_open(t->top.table, t->ns, LEAT_CURSOR_READ, &t->cursor, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 1;
}

static int window_top_n_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct window_top_n *t = (struct window_top_n *)op;
    uint32_t keys_seen = 0;
    t->top.changes.batches_given = 0;
    for (;;) {
        if (!t->cursor) {
            const int found = next_window(t, ctx);
            if (found < 0)
                return found;
            if (!found)
                break;
        }
        const int code = give_window(t, ctx, &keys_seen);
        if (code != 0)
            return code;
        leat__cursor_close(t->cursor);
        t->cursor = NULL;
        if (leat__table_drop(t->top.table, t->ns, ctx->error) < 0)
            return leat__fail_here(ctx);
        keys_seen++;
    }
    count_keys(t, ctx);
    return leat__changes_flush(&t->top.changes, ctx);
}

static int window_top_n_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    ((struct window_top_n *)op)->watermark_us = w;
    return window_top_n_step(op, ctx);
}

const struct leat_op_class leat__window_top_n_class = {
    .kind = "window top n",
    .size = sizeof(struct window_top_n),
    .init = window_top_n_init,
    .on_batch = window_top_n_on_batch,
    .on_watermark = window_top_n_on_watermark,
    .step = window_top_n_step,
    .release = window_top_n_release,
};

/* ---- declaration ---- */

/* Whether each window gives plain records once, at its end: then lists will do. */
static bool is_simple(const struct leat_windowed_stream *in, const struct leat_type *type, const char *by)
{
    const struct leat_window_opts *o = &in->opts;
    const bool is_default =
        !o->triggers[0].kind || (o->triggers[0].kind == LEAT_TRIGGER_WATERMARK && !o->triggers[1].kind);
    return leat__windows_assigner(in) && is_default && !o->allowed_lateness_us && !o->discard_remainder &&
        o->accumulation != LEAT_RETRACTING && o->kind != LEAT_WINDOW_GLOBAL &&
        (!type || leat__top_is_field(type, by));
}

/* The only aggregate: the records. */
static void declare_rows(struct leat_node *node, struct leat__aggregate_spec *spec,
    const struct leat__top_spec *top, const char *by)
{
    struct leat_error err = { 0 };
    struct leat__agg *agg = spec->aggs = leat__spec(node, sizeof *agg);
    spec->columns = leat__spec(node, 3 * sizeof *spec->columns);
    if (!agg || !spec->columns)
        return;
    *agg = (struct leat__agg){ .kind = top->descending ? LEAT_AGGREGATE_TOP_N : LEAT_AGGREGATE_BOTTOM_N,
        .as = "records",
        .of = leat__spec_str(node, by),
        .n = top->n,
        .column = LEAT__NO_COLUMN,
        .where = LEAT__NO_COLUMN,
        .by = LEAT__NO_COLUMN };
    leat__top_rows_choose(agg);
    spec->aggs_count = 1;
    spec->has_memory = true;
    spec->values_size = agg->size;
    if (!agg->of || !leat__agg_find_column(node, spec, agg->of, LEAT__NO_COLUMN, "by", &agg->column))
        return;
    agg->of_class = spec->columns[agg->column].value_class;
    if (agg->of_class == LEAT_VALUE_NULL)
        leat__declare_error(node, "by", LEAT_EDECLARE, "%s is always null: no record would be first", by);
    if (leat__agg_records_new(spec->in, top->out, &agg->records, &err) < 0)
        leat__declare_error_of(node, "out", &err);
    else if (!leat__topology_defer(node, leat__agg_records_free, agg->records))
        agg->records = NULL;
    spec->schemas = leat__agg_schemas(node, spec);
}

/* Windows of every kind, as the operators of aggregates have them. */
static void declare_windows(struct leat_node *node, struct leat__top_spec *top,
    const struct leat_top_n_opts *o, const leat_windowed_stream *in)
{
    struct leat__aggregate_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec)
        return;
    node->spec = spec;
    top->windows = spec;
    spec->in = leat__input_type(node, 0);
    spec->key = in->keyed.key;
    spec->top = top;
    spec->on_overflow = LEAT_OVERFLOW_FAIL;
    leat__aggregate_declare_window(spec, &in->opts);
    spec->assigner = leat__windows_assigner(in);
    if (!leat__node_is_inert(node)) /* for errors: the output's fields are those of records */
        leat__key_parts_declare(node, spec, &in->keyed);
    leat__top_declare(node, top, o, &in->keyed);
    spec->out = top->out;
    spec->key_types = top->key_types;
    if (leat__node_is_inert(node))
        return;
    declare_rows(node, spec, top, o->by);
    leat__session_declare(node, spec);
    if (leat__node_is_inert(node))
        return;
    const struct leat_op_class *op = leat__aggregate_class_of(node, spec);
    if (op)
        node->op = op;
    else
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "no operator has the first records of windows of this kind with these triggers");
}

/* Late records that were asked for before the operator was there. */
static void bind_late(struct leat_node *node, leat_windowed_stream *windows)
{
    if (windows->consumer)
        return; /* the first consumer of a window gives its late records */
    windows->consumer = node;
    if (!windows->late)
        return;
    const uint32_t port = leat__output(node, leat__input_type(node, 0), "late");
    node->late_ports[0] = (int32_t)port;
    windows->late->node = node;
    windows->late->port = port;
}

leat_stream *leat_window_top_n_sized(
    leat_windowed_stream *in, const char *name, const struct leat_top_n_opts *opts, size_t size)
{
    struct leat_top_n_opts o;
    struct leat_node *node =
        leat__declare(in->keyed.in.t, name, LEAT_NODE_OPERATOR, leat__window_top_n_class.kind);
    leat__input(node, 0, &in->keyed.in, LEAT_HASH, in->keyed.key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__top_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    leat__need_event_time(node, 0);
    node->op = &leat__window_top_n_class;
    node->spec = spec;
    if (is_simple(in, leat__input_type(node, 0), o.by)) {
        spec->assigner = leat__windows_assigner(in);
        leat__top_declare(node, spec, &o, &in->keyed);
    } else {
        declare_windows(node, spec, &o, in);
    }
    const uint32_t port = leat__output(node, o.out ? o.out : leat__input_type(node, 0), NULL);
    node->outputs[port].changes = in->opts.accumulation == LEAT_RETRACTING;
    if (!leat__node_is_inert(node))
        bind_late(node, in);
    return leat__stream(node, 0);
}
