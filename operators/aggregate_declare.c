/* operators/aggregate_declare.c -- leat_aggregate: what is not about single aggregates (aggregate_declare_agg.c). */
#include "operators/aggregate_private.h"
#include "operators/key_private.h"
#include "operators/pre_aggregate_private.h"
#include "topology/declare.h"

#define OPTS_AGGS_MAX (sizeof((struct leat_aggregate_opts *)0)->aggs / sizeof(struct leat_aggregate))
_Static_assert(
    OPTS_AGGS_MAX <= LEAT_AGGREGATES_MAX && LEAT_AGGREGATES_MAX <= 64, "a bit each in the present word");

void leat__aggregate_declare_window(struct leat__aggregate_spec *spec, const struct leat_window_opts *window)
{
    spec->window = *window;
    for (uint32_t i = 0; i < sizeof window->triggers / sizeof window->triggers[0] && window->triggers[i].kind;
         i++)
        if (window->triggers[i].kind == LEAT_TRIGGER_COUNT)
            spec->fire_count = window->triggers[i].n;
}

static void check_overflow(
    struct leat_node *node, struct leat__aggregate_spec *spec, enum leat_on_overflow given)
{
    spec->on_overflow = given ? given : LEAT_OVERFLOW_FAIL;
    if (spec->on_overflow < LEAT_OVERFLOW_FAIL || spec->on_overflow > LEAT_OVERFLOW_WRAP)
        leat__declare_error(node, "on_overflow", LEAT_EDECLARE,
            "%d is none of LEAT_OVERFLOW_FAIL, LEAT_OVERFLOW_SATURATE, LEAT_OVERFLOW_WRAP", (int)given);
}

/* The record type of the output, if it is one at all. */
static const struct leat_type *check_out(struct leat_node *node, const struct leat_type *out)
{
    if (!out)
        leat__declare_error(
            node, "out", LEAT_EDECLARE, "missing: the type of the output record, such as &order_totals_type");
    return out && out->kind == LEAT_KIND_RECORD ? out : NULL;
}

/* Late records that were asked for before the aggregate was there. */
static void bind_late(struct leat_node *node, leat_windowed_stream *windows)
{
    if (windows->consumer)
        return; /* the first aggregate of a window gives its late records */
    windows->consumer = node;
    if (!windows->late)
        return;
    const uint32_t port = leat__output(node, leat__input_type(node, 0), "late");
    node->late_ports[0] = (int32_t)port;
    windows->late->node = node;
    windows->late->port = port;
}

leat_stream *leat_aggregate_sized(
    leat_windowed_stream *in, const char *name, const struct leat_aggregate_opts *opts, size_t size)
{
    struct leat_aggregate_opts o;
    struct leat_node *node =
        leat__declare(in->keyed.in.t, name, LEAT_NODE_OPERATOR, leat__window_aggregate_class.kind);
    leat__input(node, 0, &in->keyed.in, LEAT_HASH, in->keyed.key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__aggregate_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    leat__need_event_time(node, 0);
    node->op = &leat__window_aggregate_class; /* until the spec is known */
    node->spec = spec;
    node->detail = leat__aggs_describe(node, o.aggs, OPTS_AGGS_MAX);
    spec->in = leat__input_type(node, 0);
    spec->out = check_out(node, o.out);
    spec->key = in->keyed.key;
    spec->ordered = o.ordered;
    leat__aggregate_declare_window(spec, &in->opts);
    spec->assigner = leat__windows_assigner(in);
    spec->subtracts = leat__slices_want_subtraction(&in->opts) || spec->window.kind == LEAT_WINDOW_SLIDING;
    check_overflow(node, spec, o.on_overflow);
    leat__aggs_declare(node, spec, o.aggs, OPTS_AGGS_MAX);
    leat__session_declare(node, spec);
    const char *partitioned = spec->in && spec->out ? leat__out_declare(node, spec, &in->keyed) : NULL;
    if (o.out) {
        const uint32_t port = leat__output(node, o.out, NULL);
        node->outputs[port].partitioned_by = partitioned;
        node->outputs[port].changes = spec->window.accumulation == LEAT_RETRACTING;
    }
    if (!leat__node_is_inert(node)) {
        bind_late(node, in);
        spec->key_types = leat__key_describe(node, spec->key, LEAT_KEY_NULLS_GROUP);
        const struct leat_op_class *op = leat__aggregate_class_of(node, spec);
        if (op)
            node->op = op;
        else
            leat__declare_error(node, NULL, LEAT_EDECLARE,
                "no operator aggregates over windows of this kind with these triggers and aggregates");
        leat__pre_aggregate_declare(node, spec, o.pre_aggregate);
    }
    return leat__stream(node, 0);
}
