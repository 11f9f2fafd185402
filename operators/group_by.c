/* operators/group_by.c -- leat_group_by: a name and a key for what follows. A virtual node: the rows are
 * moved by the hash edge of the operator behind it. */
#include <leat/key.h>
#include "topology/declare.h"

static void free_key(void *key)
{
    leat__key_free(key);
}

/* The handle, once the key is there; the inert one where it is not. */
static leat_keyed_stream *keyed_stream(struct leat_node *node, leat_stream *in, struct leat_key *key)
{
    if (key)
        leat__topology_defer(node, free_key, key);
    if (leat__node_is_inert(node))
        return leat__keyed_inert(node->t);
    node->detail = leat__spec_str(node, leat__key_named_text(key));
    struct leat_keyed_stream *stream = leat__spec(node, sizeof *stream);
    if (!stream || leat__node_is_inert(node))
        return leat__keyed_inert(node->t);
    *stream = (struct leat_keyed_stream){ *in, node, key };
    return stream;
}

leat_keyed_stream *leat_group_by(leat_stream *in, const char *name, const char *fields)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_VIRTUAL, "group by");
    struct leat_error err = { 0 };
    struct leat_key *key = NULL;
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    const struct leat_type *type = leat__input_type(node, 0);
    if (!fields)
        leat__declare_error(node, "fields", LEAT_EDECLARE,
            "missing: fields or expressions, such as \"customer_id, region\" or \"lower(email) as email\"");
    else if (type && leat__key_new(type, fields, LEAT_KEY_NULLS_GROUP, &key, &err) < 0)
        leat__declare_error_of(node, "fields", &err);
    return keyed_stream(node, in, key);
}

leat_stream *leat_keyed_records(leat_keyed_stream *keyed)
{
    return keyed->in.node ? &keyed->in : leat__stream_inert(keyed->in.t);
}

leat_keyed_stream *leat_group_by_fn(leat_stream *in, const char *name, const struct leat_key_fn *fn)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_VIRTUAL, "group by");
    struct leat_error err = { 0 };
    struct leat_key *key = NULL;
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    const struct leat_type *type = leat__input_type(node, 0);
    if (!fn) {
        leat__declare_error(node, "fn", LEAT_EDECLARE, "missing: the key that LEAT_DEFINE_KEY makes");
        return keyed_stream(node, in, NULL);
    }
    leat__need_type(node, 0, fn->in, "fn", fn->name);
    node->spec = leat__spec(node, sizeof *fn); /* aggregate_key.c: the key is a callback's */
    if (node->spec)
        memcpy(node->spec, fn, fn->size < sizeof *fn ? fn->size : sizeof *fn);
    if (type && leat__key_new_fn(type, fn->name, fn->keys, &key, &err) < 0)
        leat__declare_error_of(node, "fn", &err);
    return keyed_stream(node, in, key);
}
