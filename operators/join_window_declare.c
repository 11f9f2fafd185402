/* operators/join_window_declare.c -- leat_window_join: options to a spec, every mistake told. */
#include "operators/join_window_private.h"

static const char *const own_fields[] = { "window_start", "window_end", NULL };

#define KINDS \
    (1u << LEAT_JOIN_INNER | 1u << LEAT_JOIN_LEFT | 1u << LEAT_JOIN_RIGHT | 1u << LEAT_JOIN_FULL)

/* What windows have that a join has not. */
static void refuse_what_is_not_for_joins(
    struct leat_node *node, const struct leat_window_opts *o, enum leat_join_kind kind)
{
    if (o->kind == LEAT_WINDOW_SLIDING || o->kind == LEAT_WINDOW_COUNT || o->kind == LEAT_WINDOW_GLOBAL)
        leat__declare_error(node, "window.kind", LEAT_EDECLARE,
            "a window join takes TUMBLING, HOPPING, CUMULATING, CALENDAR and SESSION windows%s",
            o->kind == LEAT_WINDOW_SLIDING ? "; pairs of near times are what leat_join gives" : "");
    if (o->triggers[0].kind || o->discard_remainder)
        leat__declare_error(node, "window.triggers", LEAT_EDECLARE,
            "a window join gives its pairs when the watermark passes the end of the window: remove the "
            "triggers");
    if (o->accumulation)
        leat__declare_error(node, "window.accumulation", LEAT_EDECLARE,
            "every pair is given once, there is nothing to accumulate: remove it");
    if (o->allowed_lateness_us > 0 && kind > LEAT_JOIN_INNER)
        leat__declare_error(node, "window.allowed_lateness_us", LEAT_EDECLARE,
            "only for LEAT_JOIN_INNER: a record that was given without a partner would have got one, and what "
            "was given is not taken back");
    if (o->gap_fn)
        leat__declare_error(node, "window.gap_fn", LEAT_EDECLARE,
            "a callback reads records of one type, and a join has two sides: use .gap_us, or .gap with a field "
            "that both have");
}

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

/* The gap of each side's records. */
static void declare_gaps(
    struct leat_node *node, const char *gap, struct leat__window_join_spec *spec)
{
    for (uint32_t side = 0; gap && side < LEAT__SIDES; side++) {
        const struct leat_type *type = leat__input_type(node, side);
        struct leat_error err = { 0 };
        struct leat_expr *expr;
        if (!type)
            continue;
        if (leat__expr_new(gap, type, &expr, &err) < 0) {
            leat__declare_error_of(node, "window.gap", &err);
            continue;
        }
        spec->gaps[side] = expr;
        if (leat__expr_class(expr) != LEAT_VALUE_INT)
            leat__declare_error(node, "window.gap", LEAT_EDECLARE,
                "%s is no integer of the %s side: a gap is a number of microseconds", gap,
                side == LEAT__LEFT ? "left" : "right");
        leat__topology_defer(node, free_expr, expr);
    }
}

static void declare_windows(struct leat_node *node, const struct leat_window_join_opts *o,
    struct leat__window_join_spec *spec)
{
    spec->window = o->window;
    refuse_what_is_not_for_joins(node, &spec->window, o->kind);
    spec->window.gap_fn = NULL;
    if (leat__node_is_inert(node))
        return;
    spec->assigner = leat__windows_check(node, &spec->window);
    if (!leat__node_is_inert(node) && spec->window.kind == LEAT_WINDOW_SESSION)
        declare_gaps(node, spec->window.gap, spec);
    if (leat__node_is_inert(node))
        return;
    const char *windows = leat__windows_describe(node, &spec->window);
    spec->format = leat__spec_printf(node, "v1; %s", windows ? windows : "");
    node->detail = leat__join_describe(node, &spec->join, windows);
}

leat_stream *leat_window_join_sized(leat_stream *left, leat_stream *right, const char *name,
    const struct leat_window_join_opts *opts, size_t size)
{
    struct leat_window_join_opts o;
    struct leat_node *node = leat__declare(left->t, name, LEAT_NODE_OPERATOR, "window join");
    leat__input(node, LEAT__LEFT, left, LEAT_FORWARD, NULL);
    leat__input(node, LEAT__RIGHT, right, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__window_join_spec *spec = leat__spec(node, sizeof *spec);
    node->op = o.window.kind == LEAT_WINDOW_SESSION ? &leat__session_join_class : &leat__window_join_class;
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->spec = spec;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__need_event_time(node, side);
    leat__join_declare(node,
        &(struct leat__join_opts){ .kind = o.kind,
            .kinds = KINDS,
            .left_key = o.left_key,
            .right_key = o.right_key,
            .where = o.where,
            .merge = o.merge,
            .out = o.out,
            .fields = o.fields,
            .fields_max = sizeof o.fields / sizeof o.fields[0],
            .own_fields = own_fields },
        &spec->join);
    leat__join_has_late(node);
    declare_windows(node, &o, spec);
    return leat__stream(node, 0);
}
