/* operators/async_declare.c -- leat_async: options to a spec, with all their mistakes told. */
#include "operators/async_private.h"
#include "record/schema.h"
#include "topology/declare.h"
#include <stdio.h>

static void check_opts(struct leat_node *node, struct leat_async_opts *o)
{
    char text[32];
    if (o->capacity == 0)
        o->capacity = LEAT__ASYNC_CAPACITY;
    if (o->capacity > LEAT__ASYNC_CAPACITY_MAX)
        leat__declare_error(node, "capacity", LEAT_ELIMIT, "%u requests at a time; %u are the limit",
            o->capacity, LEAT__ASYNC_CAPACITY_MAX);
    if (o->timeout_us < 0)
        leat__declare_error(node, "timeout_us", LEAT_EDECLARE,
            "%s is negative: set how long a record waits for its answer, or 0: for ever",
            leat__duration_text(o->timeout_us, text));
    if (o->backoff_us < 0 || o->backoff_us > LEAT_HOURS(1))
        leat__declare_error(node, "backoff_us", LEAT_EDECLARE,
            "%s is no pause between two attempts: set 0 to an hour",
            leat__duration_text(o->backoff_us, text));
    if (o->backoff_us && o->attempts < 2)
        leat__declare_error(node, "backoff_us", LEAT_EDECLARE,
            "there is one attempt, and no pause behind it: set .attempts, or leave it out");
    if (o->attempts == 0)
        o->attempts = 1;
}

static const char *describe(struct leat_node *node, const struct leat__async_spec *spec)
{
    char timeout[32], text[48] = "";
    if (spec->opts.timeout_us)
        (void)snprintf(
            text, sizeof text, ", timeout %s", leat__duration_text(spec->opts.timeout_us, timeout));
    return leat__spec_printf(node, "%s, %u at a time, %s%s", spec->fn.name, spec->opts.capacity,
        spec->opts.unordered ? "unordered" : "ordered", text);
}

leat_stream *leat_async_sized(
    leat_stream *in, const char *name, const struct leat_async_opts *opts, size_t size)
{
    struct leat_async_opts o;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, leat__async_class.kind);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__async_spec *spec = leat__spec(node, sizeof *spec);
    if (!opts || !spec)
        return leat__stream(node, 0);
    node->op = &leat__async_class;
    node->spec = spec;
    check_opts(node, &o);
    spec->in = leat__input_type(node, 0);
    spec->opts = o;
    if (!o.fn || !o.fn->name || !o.fn->begin || !o.fn->out) {
        leat__declare_error(node, "fn", LEAT_EDECLARE, "missing: the function that LEAT_DEFINE_ASYNC makes");
        return leat__stream(node, 0);
    }
    memcpy(&spec->fn, o.fn, o.fn->size < sizeof spec->fn ? o.fn->size : sizeof spec->fn);
    leat__need_type(node, 0, spec->fn.in, "fn", spec->fn.name);
    leat__output(node, spec->fn.out, NULL);
    if (spec->in && !spec->in->schema)
        leat__declare_error(node, "in", LEAT_EDECLARE,
            "%s has no schema, by which records under way are saved", spec->in->name);
    if (!leat__node_is_inert(node))
        node->detail = describe(node, spec);
    return leat__stream(node, 0);
}
