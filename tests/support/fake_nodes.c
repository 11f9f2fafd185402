/* tests/support/fake_nodes.c -- declarations without instances. */
#include "tests/support/fake_nodes.h"
#include "topology/operator.h"
#include "topology/sink.h"
#include "topology/source.h"

static const struct leat_type string_type = {
    .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
};
static const struct leat_type long_type = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type millis_type = {
    .kind = LEAT_KIND_LONG, .logical = LEAT_LOGICAL_TIMESTAMP_MILLIS, .name = "long", .size = 8, .align = 8
};

static const struct leat_field order_fields[] = {
    { "order_id", &long_type, offsetof(struct fake_order, order_id), LEAT_NOT_NULLABLE },
    { "status", &string_type, offsetof(struct fake_order, status), LEAT_NOT_NULLABLE },
    { "note", &string_type, offsetof(struct fake_order, note), offsetof(struct fake_order, has_note) },
    { "total", &long_type, offsetof(struct fake_order, total), LEAT_NOT_NULLABLE },
    { "ordered_at", &millis_type, offsetof(struct fake_order, ordered_at), LEAT_NOT_NULLABLE },
};
const struct leat_type fake_order_type = { .kind = LEAT_KIND_RECORD,
    .name = "fake_order",
    .size = sizeof(struct fake_order),
    .align = _Alignof(struct fake_order),
    .fields_count = 5,
    .fields = order_fields,
    .schema = "{\"type\":\"record\",\"name\":\"fake_order\",\"fields\":["
              "{\"name\":\"order_id\",\"type\":\"long\"},{\"name\":\"status\",\"type\":\"string\"},"
              "{\"name\":\"note\",\"type\":[\"null\",\"string\"]},{\"name\":\"total\",\"type\":\"long\"},"
              "{\"name\":\"ordered_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}]}",
    .fingerprint = UINT64_C(0xf38d738aa06e2742) };

static const struct leat_field total_fields[] = {
    { "status", &string_type, offsetof(struct fake_total, status), LEAT_NOT_NULLABLE },
    { "total", &long_type, offsetof(struct fake_total, total), LEAT_NOT_NULLABLE },
};
const struct leat_type fake_total_type = { .kind = LEAT_KIND_RECORD,
    .name = "fake_total",
    .size = sizeof(struct fake_total),
    .align = _Alignof(struct fake_total),
    .fields_count = 2,
    .fields = total_fields,
    .schema = "{\"type\":\"record\",\"name\":\"fake_total\",\"fields\":["
              "{\"name\":\"status\",\"type\":\"string\"},{\"name\":\"total\",\"type\":\"long\"}]}",
    .fingerprint = UINT64_C(0xb6f91680530cd804) };

static const struct leat_source_class source_class = { .kind = "fake source" };
static const struct leat_op_class keeping_class = { .kind = "fake", .keeps_rows = true };
static const struct leat_op_class changing_class = { .kind = "fake" };
static const struct leat_sink_class sink_class = { .kind = "fake sink" };

static void free_key(void *key)
{
    leat__key_free(key);
}

leat_stream *fake_source(leat_topology *t, const char *name, const struct fake_opts *opts)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, source_class.kind);
    const struct leat_type *type = opts && opts->type ? opts->type : &fake_order_type;
    node->source = &source_class;
    leat__output(node, type, NULL);
    if (opts) {
        leat__source_time(node, type, opts->event_time, opts->max_out_of_orderness_us, opts->idle_timeout_us,
            opts->max_ahead_us, opts->on_error);
        node->detail = leat__spec_str(node, opts->detail);
        node->parallelism = opts->single ? 1 : 0;
    }
    return leat__stream(node, 0);
}

static const struct leat_key *make_key(struct leat_node *node, const char *fields)
{
    struct leat_key *key = NULL;
    struct leat_error err = { 0 };
    const struct leat_type *type = leat__input_type(node, 0);
    if (!type || !fields)
        return NULL;
    if (leat__key_new(type, fields, LEAT_KEY_NULLS_GROUP, &key, &err) < 0)
        leat__declare_error_of(node, "key", &err);
    leat__topology_defer(node, free_key, key);
    return key;
}

leat_stream *fake_op_n(leat_stream *const *in, uint32_t count, const char *name, const struct fake_opts *opts)
{
    const struct fake_opts none = { 0 };
    if (!opts)
        opts = &none;
    struct leat_node *node = leat__declare(in[0]->t, name, LEAT_NODE_OPERATOR, "fake");
    for (uint32_t i = 0; i < count; i++)
        leat__input(node, i, in[i], LEAT_FORWARD, NULL);
    const struct leat_key *key = make_key(node, opts->key);
    for (uint32_t i = 0; key && i < count; i++) {
        node->inputs[i].partitioning = LEAT_HASH;
        node->inputs[i].key = key;
    }
    leat__input_via(node, 0, opts->via);
    if (opts->needs_time)
        leat__need_event_time(node, 0);
    node->op = opts->changes_rows ? &changing_class : &keeping_class;
    node->detail = leat__spec_str(node, opts->detail);
    node->parallelism = opts->single ? 1 : 0;
    const uint32_t port = leat__output(node, opts->type ? opts->type : leat__input_type(node, 0), NULL);
    node->outputs[port].partitioned_by = leat__spec_str(node, opts->partitioned_by);
    if (opts->side)
        leat__output(node, leat__input_type(node, 0), opts->side);
    return leat__stream(node, port);
}

leat_stream *fake_op(leat_stream *in, const char *name, const struct fake_opts *opts)
{
    return fake_op_n(&in, 1, name, opts);
}

struct leat_node *fake_virtual(
    leat_stream *in, const char *name, const char *kind_name, struct leat_node *via)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_VIRTUAL, kind_name);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__input_via(node, 0, via);
    return node;
}

void fake_sink(leat_stream *in, const char *name, const struct fake_opts *opts)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, sink_class.kind);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    node->sink = &sink_class;
    node->parallelism = opts && opts->single ? 1 : 0;
    if (opts)
        node->detail = leat__spec_str(node, opts->detail);
}
