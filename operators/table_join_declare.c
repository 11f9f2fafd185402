/* operators/table_join_declare.c -- leat_table_join: options to a spec, with all their mistakes told. */
#include "operators/table_join_private.h"

static void declare_time(
    struct leat_node *node, struct leat__table_join_spec *spec, const struct leat_table_join_opts *o)
{
    const struct leat_input *table = &node->inputs[LEAT__RIGHT];
    char text[32];
    if (o->as_of && o->as_of != LEAT_AS_OF_EVENT_TIME && o->as_of != LEAT_AS_OF_ARRIVAL)
        leat__declare_error(node, "as_of", LEAT_EDECLARE,
            "%d is none of LEAT_AS_OF_EVENT_TIME, LEAT_AS_OF_ARRIVAL", (int)o->as_of);
    spec->by_arrival = o->as_of == LEAT_AS_OF_ARRIVAL;
    spec->timed = !spec->by_arrival && table->from && table->from->outputs[table->port].has_event_time;
    spec->retention_us = o->retention_us;
    if (!spec->by_arrival)
        leat__need_event_time(node, LEAT__LEFT);
    if (o->retention_us < 0)
        leat__declare_error(node, "retention_us", LEAT_EDECLARE,
            "%s is negative: it is how long replaced versions are kept behind the watermark",
            leat__duration_text(o->retention_us, text));
    else if (o->retention_us > 0 && spec->by_arrival)
        leat__declare_error(node, "retention_us", LEAT_EDECLARE,
            "by arrival there are no versions to keep: leave it out, or join as of event time");
}

static const char *describe(struct leat_node *node, const struct leat__table_join_spec *spec)
{
    char text[32];
    const char *own = leat__spec_printf(node, "%s%s%s%s",
        spec->by_arrival  ? "as of arrival"
            : spec->timed ? "as of event time"
                          : "when the table is complete",
        spec->retention_us ? ", versions kept " : "",
        spec->retention_us ? leat__duration_text(spec->retention_us, text) : "",
        spec->broadcast ? ", the table on every worker" : "");
    return leat__join_describe(node, &spec->join, own);
}

leat_stream *leat_table_join_sized(leat_stream *stream, leat_stream *table, const char *name,
    const struct leat_table_join_opts *opts, size_t size)
{
    struct leat_table_join_opts o;
    struct leat_node *node = leat__declare(stream->t, name, LEAT_NODE_OPERATOR, leat__table_join_class.kind);
    leat__input(node, LEAT__LEFT, stream, LEAT_FORWARD, NULL);
    leat__takes_changes(node, LEAT__RIGHT);
    leat__input(node, LEAT__RIGHT, table, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__table_join_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->op = &leat__table_join_class;
    node->spec = spec;
    spec->takes_changes = leat__input_changes(node, LEAT__RIGHT);
    spec->broadcast = o.broadcast;
    const struct leat__join_opts shared = { .kind = o.kind,
        .kinds = 1u << LEAT_JOIN_INNER | 1u << LEAT_JOIN_LEFT,
        .left_key = o.left_key,
        .right_key = o.right_key,
        .where = o.where,
        .merge = o.merge,
        .out = o.out,
        .fields = o.fields,
        .fields_max = sizeof o.fields / sizeof o.fields[0],
        .key_as = o.key_as,
        .forward_left = o.broadcast };
    leat__join_declare(node, &shared, &spec->join);
    leat__join_has_late(node);
    declare_time(node, spec, &o);
    if (node->outputs_count) { /* records of the stream, with more in them */
        const struct leat_input *in = &node->inputs[LEAT__LEFT];
        node->outputs[0].changes = false;
        node->outputs[0].has_event_time = in->from && in->from->outputs[in->port].has_event_time;
    }
    if (!leat__node_is_inert(node))
        node->detail = describe(node, spec);
    return leat__stream(node, 0);
}
