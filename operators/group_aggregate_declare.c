/* operators/group_aggregate_declare.c -- leat_group_aggregate: options to a spec, with all their mistakes told. */
#include "operators/group_aggregate_private.h"
#include "operators/key_private.h"
#include "topology/declare.h"

#define OPTS_AGGS_MAX (sizeof((struct leat_group_aggregate_opts *)0)->aggs / sizeof(struct leat_aggregate))

static void check_overflow(
    struct leat_node *node, struct leat__aggregate_spec *spec, enum leat_on_overflow given)
{
    spec->on_overflow = given ? given : LEAT_OVERFLOW_FAIL;
    if (spec->on_overflow < LEAT_OVERFLOW_FAIL || spec->on_overflow > LEAT_OVERFLOW_WRAP)
        leat__declare_error(node, "on_overflow", LEAT_EDECLARE,
            "%d is none of LEAT_OVERFLOW_FAIL, LEAT_OVERFLOW_SATURATE, LEAT_OVERFLOW_WRAP", (int)given);
}

static void check_ttl(struct leat_node *node, struct leat__group_spec *spec, const struct leat_ttl *ttl)
{
    spec->ttl_us = ttl->us;
    spec->ttl_is_processing = ttl->time == LEAT_PROCESSING_TIME;
    if (ttl->us < 0)
        leat__declare_error(
            node, "ttl.us", LEAT_EDECLARE, "%lld is no time to live: it is above 0", (long long)ttl->us);
    if (ttl->on_read)
        leat__declare_error(
            node, "ttl.on_read", LEAT_EDECLARE, "nothing reads a key but its records: leave it out");
    if (ttl->us && ttl->time != LEAT_PROCESSING_TIME)
        leat__need_event_time(node, 0);
}

static void check_mini_batch(
    struct leat_node *node, struct leat__group_spec *spec, const struct leat_group_aggregate_opts *o)
{
    spec->mini_us = o->mini_batch_us;
    spec->mini_rows = o->mini_batch_rows;
    if (o->mini_batch_us < 0)
        leat__declare_error(node, "mini_batch_us", LEAT_EDECLARE, "%lld is no period: it is above 0",
            (long long)o->mini_batch_us);
}

/* What only windows fill. */
static void refuse_window_fields(struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    const char *name = spec->window_start.type ? "window_start"
        : spec->window_end.type                ? "window_end"
        : spec->pane.type                      ? "pane"
        : spec->pane_index.type                ? "pane_index"
                                               : NULL;
    if (name)
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "field \"%s\" of %s is about windows, and there are none: leave it out, or rename it", name,
            spec->out->name);
}

static void declare_aggs(struct leat_node *node, struct leat__group_spec *spec,
    const struct leat_group_aggregate_opts *o, const struct leat_keyed_stream *in)
{
    struct leat__aggregate_spec *aggs = &spec->aggs;
    const char *reason = NULL, *partitioned = NULL;
    aggs->in = leat__input_type(node, 0);
    aggs->out = o->out && o->out->kind == LEAT_KIND_RECORD ? o->out : NULL;
    aggs->key = in->key;
    aggs->takes_changes = leat__input_changes(node, 0);
    check_overflow(node, aggs, o->on_overflow);
    leat__aggs_declare(node, aggs, o->aggs, OPTS_AGGS_MAX);
    if (aggs->takes_changes && aggs->aggs && !leat__agg_can_retract(node, aggs, &reason))
        leat__declare_error(node, "aggs", LEAT_EDECLARE, "%s", reason ? reason : "");
    if (aggs->in && aggs->out && aggs->aggs) {
        partitioned = leat__out_declare(node, aggs, in);
        refuse_window_fields(node, aggs);
    }
    const uint32_t port = leat__output(node, o->out, NULL);
    node->outputs[port].partitioned_by = partitioned;
    node->outputs[port].changes = true;
}

leat_stream *leat_group_aggregate_sized(
    leat_keyed_stream *in, const char *name, const struct leat_group_aggregate_opts *opts, size_t size)
{
    struct leat_group_aggregate_opts o;
    struct leat_node *node =
        leat__declare(in->in.t, name, LEAT_NODE_OPERATOR, leat__group_aggregate_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, &in->in, LEAT_HASH, in->key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__group_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->op = &leat__group_aggregate_class;
    node->spec = spec;
    node->detail = leat__aggs_describe(node, o.aggs, OPTS_AGGS_MAX);
    check_ttl(node, spec, &o.ttl);
    check_mini_batch(node, spec, &o);
    declare_aggs(node, spec, &o, in);
    if (!leat__node_is_inert(node))
        spec->aggs.key_types = leat__key_describe(node, in->key, LEAT_KEY_NULLS_GROUP);
    leat__pre_aggregate_declare(node, &spec->aggs, o.pre_aggregate);
    return leat__stream(node, 0);
}
