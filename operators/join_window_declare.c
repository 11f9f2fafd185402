/* operators/join_window_declare.c -- leat_window_join: options to a spec, every mistake told. */
#include "operators/join_window_private.h"

static const char *const own_fields[] = { "window_start", "window_end", NULL };

#define KINDS (1u << LEAT_JOIN_INNER | 1u << LEAT_JOIN_LEFT | 1u << LEAT_JOIN_RIGHT | 1u << LEAT_JOIN_FULL)

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
            "only for LEAT_JOIN_INNER: a record that was given without a partner would have got one, and "
            "what "
            "was given is not taken back");
    if (o->gap_fn || o->gap)
        leat__declare_error(node, o->gap ? "window.gap" : "window.gap_fn", LEAT_EDECLARE,
            "a session of two sides has one gap for all records: set .gap_us");
    if (o->kind == LEAT_WINDOW_SESSION && o->allowed_lateness_us > 0)
        leat__declare_error(node, "window.allowed_lateness_us", LEAT_EDECLARE,
            "not for sessions: a late record could make one of two whose pairs were given; raise the "
            "max_out_of_orderness_us of the sources, so that it is not late");
}

static void declare_windows(
    struct leat_node *node, const struct leat_window_join_opts *o, struct leat__window_join_spec *spec)
{
    spec->window = o->window;
    refuse_what_is_not_for_joins(node, &spec->window, o->kind);
    if (leat__node_is_inert(node))
        return;
    spec->assigner = leat__windows_check(node, &spec->window);
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
            .own_fields = own_fields,
            .key_as = o.key_as },
        &spec->join);
    leat__join_has_late(node);
    declare_windows(node, &o, spec);
    return leat__stream(node, 0);
}
