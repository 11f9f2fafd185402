/* operators/branch.c -- sends each record to the first case that it satisfies.
 *
 *   rest = batch
 *   for each case: mark rest by its predicate; emit the marked rows on its port; compact rest
 *   emit rest on the port of "otherwise", or drop and count it
 *
 * A predicate sees only rows that no case before it took, so that what it refuses or counts is right. Every
 * output keeps the order, the times and the marks. Stateless. */
#include "operators/predicate_private.h"
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/branch.h>
#include <string.h>

#define CASES_MAX (sizeof((struct leat_branch_opts *)0)->cases / sizeof(struct leat_branch_case))

_Static_assert(CASES_MAX + 2 <= LEAT_NODE_OUTPUTS_MAX, "cases, otherwise, dead letters");

struct branch_spec {
    struct leat__predicate cases[CASES_MAX]; /* the case's index is its port */
    uint32_t cases_count;
    bool has_otherwise; /* its port is cases_count */
};

struct branch {
    struct leat_op op;
    const struct branch_spec *spec;
    struct leat_expr_scratch *scratches[CASES_MAX];
    uint32_t *rows;
    uint32_t rows_capacity;
};

static int branch_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct branch *b = (struct branch *)op;
    b->spec = op->node->spec;
    for (uint32_t i = 0; i < b->spec->cases_count; i++)
        LEAT_TRY(leat__predicate_scratch(&b->spec->cases[i], ctx, &b->scratches[i]));
    return 0;
}

static void branch_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct branch *b = (struct branch *)op;
    (void)ctx;
    for (uint32_t i = 0; i < CASES_MAX; i++)
        leat__expr_scratch_free(b->scratches[i]);
    leat__free(b->rows);
}

/* Emits the rows that are marked and leaves the others in the batch; a batch whose rows are all marked goes
 * itself, and *rest is NULL then. */
static int take_marked(struct branch *b, struct leat__ctx *ctx, uint32_t port, struct leat_batch **rest)
{
    struct leat_batch *batch = *rest, *taken;
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        b->rows[count] = i;
        count += batch->keep[i];
        batch->keep[i] = !batch->keep[i];
    }
    if (count == batch->count) {
        *rest = NULL;
        return leat__emit(ctx, port, batch);
    }
    if (count == 0)
        return 0;
    if (leat__ctx_consumed(ctx, port)) {
        LEAT_TRY(leat__rows_gather(ctx, batch, b->rows, count, &taken));
        LEAT_TRY(leat__emit(ctx, port, taken));
    }
    leat__batch_compact(batch);
    return 0;
}

static int emit_cases(struct branch *b, struct leat__ctx *ctx, struct leat_batch **rest)
{
    for (uint32_t i = 0; i < b->spec->cases_count; i++) {
        LEAT_TRY(leat__predicate_mark(&b->spec->cases[i], b->scratches[i], ctx, *rest));
        LEAT_TRY(take_marked(b, ctx, i, rest));
        if (!*rest || (*rest)->count == 0)
            break;
    }
    return 0;
}

static int branch_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct branch *b = (struct branch *)op;
    LEAT_ASSERT(input == 0);
    LEAT_TRY(leat__rows_writable(ctx, batch, &batch));
    int code = leat__rows_reserve(ctx, &b->rows, &b->rows_capacity, batch->count);
    if (code == 0)
        code = emit_cases(b, ctx, &batch);
    if (code == 0 && batch && b->spec->has_otherwise)
        return leat__emit(ctx, b->spec->cases_count, batch);
    if (code == 0 && batch)
        leat__count(&ctx->counters->dropped_records, batch->count);
    leat__batch_release(batch);
    return code;
}

static const struct leat_op_class branch_class = {
    .kind = "branch",
    .size = sizeof(struct branch),
    .keeps_rows = true,
    .init = branch_init,
    .on_batch = branch_on_batch,
    .release = branch_release,
};

/* ---- declaration ---- */

static void check_case_name(
    struct leat_node *node, const struct leat_branch_opts *opts, uint32_t i, const char *option)
{
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(opts->cases[k].name, opts->cases[i].name) == 0)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "the name \"%s\" is taken by cases[%u]", opts->cases[i].name, k);
    if (opts->otherwise && strcmp(opts->otherwise, opts->cases[i].name) == 0)
        leat__declare_error(
            node, "otherwise", LEAT_EDECLARE, "the name \"%s\" is taken by cases[%u]", opts->otherwise, i);
}

static void declare_case(struct leat_node *node, const struct leat_branch_opts *opts, uint32_t i,
    struct leat__predicate *predicate)
{
    const struct leat_branch_case *c = &opts->cases[i];
    const char *option = leat__spec_printf(node, "cases[%u]", i);
    check_case_name(node, opts, i, option);
    if (!c->where == !c->fn)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "case \"%s\" has %s: give exactly one of where and fn", c->name,
            c->fn ? "two conditions" : "no condition");
    else if (c->fn)
        leat__predicate_of_fn(node, option, c->fn, predicate);
    else
        leat__predicate_of_expr(node, option, c->where, predicate);
}

/* Conditions behind the first case without a name would never be looked at. */
static void check_unnamed(struct leat_node *node, const struct leat_branch_opts *opts, uint32_t count)
{
    if (count == 0 && !opts->cases[0].where && !opts->cases[0].fn)
        leat__declare_error(node, "cases", LEAT_EDECLARE, "empty: give at least one case");
    for (uint32_t i = count; i < CASES_MAX; i++)
        if (opts->cases[i].name || opts->cases[i].where || opts->cases[i].fn) {
            leat__declare_error(node, leat__spec_printf(node, "cases[%u].name", count), LEAT_EDECLARE,
                "missing: cases go up to the first without a name, and there is one behind");
            return;
        }
}

static void declare_outputs(struct leat_node *node, const struct leat_branch_opts *opts, uint32_t count)
{
    const struct leat_type *type = leat__input_type(node, 0);
    for (uint32_t i = 0; i < count; i++)
        leat__output(node, type, opts->cases[i].name);
    if (opts->otherwise)
        leat__output(node, type, opts->otherwise);
}

leat_stream *leat_branch_sized(
    leat_stream *in, const char *name, const struct leat_branch_opts *opts, size_t size)
{
    struct leat_branch_opts o;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, branch_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &branch_class;
    struct branch_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    while (spec->cases_count < CASES_MAX && o.cases[spec->cases_count].name)
        spec->cases_count++;
    check_unnamed(node, &o, spec->cases_count);
    for (uint32_t i = 0; i < spec->cases_count; i++)
        declare_case(node, &o, i, &spec->cases[i]);
    spec->has_otherwise = o.otherwise != NULL;
    node->spec = spec;
    declare_outputs(node, &o, spec->cases_count);
    return leat__stream(node, 0);
}

leat_stream *leat_branch_output(leat_stream *branch, const char *case_name)
{
    return leat__named_output(branch, case_name, "case");
}
