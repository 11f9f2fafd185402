/* operators/session_declare.c -- what aggregates over windows that merge or follow the records have to fulfil, and
 * the gap of sessions that is not the same for all records. */
#include "operators/session_private.h"
#include "topology/declare.h"

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

static void declare_gap_fn(
    struct leat_node *node, struct leat__session_spec *session, const struct leat_gap_fn *fn)
{
    struct leat_gap_fn *copy = leat__spec(node, sizeof *copy);
    if (!copy)
        return;
    memcpy(copy, fn, fn->size < sizeof *copy ? fn->size : sizeof *copy);
    if (!copy->name || !copy->gap)
        leat__declare_error(node, "gap_fn", LEAT_EDECLARE, "empty: give what LEAT_DEFINE_GAP makes");
    else
        leat__need_type(node, 0, copy->in, "gap_fn", copy->name);
    session->fn = copy;
}

static void declare_gap_expr(
    struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__session_spec *session)
{
    struct leat_error err = { 0 };
    struct leat_expr *expr = NULL;
    if (!spec->in)
        return;
    if (leat__expr_new(spec->window.gap, spec->in, &expr, &err) < 0) {
        leat__declare_error_of(node, "gap", &err);
        return;
    }
    if (!leat__topology_defer(node, free_expr, expr))
        return;
    if (leat__expr_class(expr) != LEAT_VALUE_INT)
        leat__declare_error(node, "gap", LEAT_EDECLARE,
            "%s is no integer: give microseconds, such as cast(%s as long)", spec->window.gap,
            spec->window.gap);
    session->expr = expr;
}

static const char *first_unmergeable(const struct leat__aggregate_spec *spec)
{
    for (uint32_t i = 0; i < spec->aggs_count; i++)
        if (spec->aggs[i].op == LEAT__USER && spec->aggs[i].fn && !spec->aggs[i].fn->merge)
            return spec->aggs[i].fn->name;
    return NULL;
}

void leat__session_declare(struct leat_node *node, struct leat__aggregate_spec *spec)
{
    const bool is_session = spec->window.kind == LEAT_WINDOW_SESSION;
    if (!is_session && spec->window.kind != LEAT_WINDOW_SLIDING)
        return;
    const char *name = first_unmergeable(spec);
    if (name)
        leat__declare_error(node, "aggs", LEAT_EDECLARE,
            "%s has no merge, and %s windows are put together from parts: give LEAT_DEFINE_AGGREGATE one",
            name, is_session ? "session" : "sliding");
    if (!is_session || (!spec->window.gap && !spec->window.gap_fn))
        return;
    struct leat__session_spec *session = leat__spec(node, sizeof *session);
    if (!session)
        return;
    spec->session = session;
    if (spec->window.gap_fn)
        declare_gap_fn(node, session, spec->window.gap_fn);
    else
        declare_gap_expr(node, spec, session);
}
