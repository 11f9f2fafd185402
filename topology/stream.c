/* topology/stream.c -- what can be asked of any stream, and what happens to records that can not be used. */
#include <leat/change.h>
#include "base/alloc.h"
#include "topology/declare.h"
#include "topology/graph_private.h"
#include "topology/operator.h"
#include <stdio.h>

static const struct leat_type string_type = { .kind = LEAT_KIND_STRING,
    .name = "string",
    .size = sizeof(struct leat_sv),
    .align = _Alignof(struct leat_sv) };
static const struct leat_type bytes_type = { .kind = LEAT_KIND_BYTES,
    .name = "bytes",
    .size = sizeof(struct leat_sv),
    .align = _Alignof(struct leat_sv) };
static const struct leat_type long_type = {
    .kind = LEAT_KIND_LONG, .name = "long", .size = sizeof(int64_t), .align = _Alignof(int64_t)
};
static const struct leat_type timestamp_micros_type = { .kind = LEAT_KIND_LONG,
    .logical = LEAT_LOGICAL_TIMESTAMP_MICROS,
    .name = "long",
    .size = sizeof(int64_t),
    .align = _Alignof(int64_t) };

static const struct leat_type int_type = {
    .kind = LEAT_KIND_INT, .name = "int", .size = sizeof(int32_t), .align = _Alignof(int32_t)
};
static const struct leat_type boolean_type = {
    .kind = LEAT_KIND_BOOLEAN, .name = "boolean", .size = sizeof(bool), .align = _Alignof(bool)
};

static const struct leat_field header_fields[] = {
    { "name", &string_type, offsetof(struct leat_dead_letter_header, name), LEAT_NOT_NULLABLE },
    { "value", &bytes_type, offsetof(struct leat_dead_letter_header, value),
        offsetof(struct leat_dead_letter_header, has_value) },
};
static const struct leat_type header_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "leat_dead_letter_header",
    .size = sizeof(struct leat_dead_letter_header),
    .align = _Alignof(struct leat_dead_letter_header),
    .fields_count = sizeof header_fields / sizeof header_fields[0],
    .fields = header_fields,
};
static const struct leat_type headers_type = {
    .kind = LEAT_KIND_ARRAY,
    .name = "array",
    .size = sizeof(struct leat_array),
    .align = _Alignof(struct leat_array),
    .item = &header_type,
    .entry_size = sizeof(struct leat_dead_letter_header),
};

static const struct leat_field dead_letter_fields[] = {
    { "node", &string_type, offsetof(struct leat_dead_letter, node), LEAT_NOT_NULLABLE },
    { "split", &string_type, offsetof(struct leat_dead_letter, split), LEAT_NOT_NULLABLE },
    { "position", &long_type, offsetof(struct leat_dead_letter, position), LEAT_NOT_NULLABLE },
    { "error", &string_type, offsetof(struct leat_dead_letter, error), LEAT_NOT_NULLABLE },
    { "raw", &bytes_type, offsetof(struct leat_dead_letter, raw), LEAT_NOT_NULLABLE },
    { "failed_at", &timestamp_micros_type, offsetof(struct leat_dead_letter, failed_at), LEAT_NOT_NULLABLE },
    { "error_class", &string_type, offsetof(struct leat_dead_letter, error_class), LEAT_NOT_NULLABLE },
    { "topic", &string_type, offsetof(struct leat_dead_letter, topic),
        offsetof(struct leat_dead_letter, has_topic) },
    { "partition", &int_type, offsetof(struct leat_dead_letter, partition), LEAT_NOT_NULLABLE },
    { "key", &bytes_type, offsetof(struct leat_dead_letter, key),
        offsetof(struct leat_dead_letter, has_key) },
    { "tombstone", &boolean_type, offsetof(struct leat_dead_letter, tombstone), LEAT_NOT_NULLABLE },
    { "headers", &headers_type, offsetof(struct leat_dead_letter, headers), LEAT_NOT_NULLABLE },
    { "written_at", &timestamp_micros_type, offsetof(struct leat_dead_letter, written_at),
        offsetof(struct leat_dead_letter, has_written_at) },
};

const struct leat_type leat_dead_letter_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "leat_dead_letter",
    .size = sizeof(struct leat_dead_letter),
    .align = _Alignof(struct leat_dead_letter),
    .fields_count = sizeof dead_letter_fields / sizeof dead_letter_fields[0],
    .fields = dead_letter_fields,
    .schema =
        "{\"type\":\"record\",\"name\":\"leat_dead_letter\",\"fields\":["
        "{\"name\":\"node\",\"type\":\"string\"},"
        "{\"name\":\"split\",\"type\":\"string\"},"
        "{\"name\":\"position\",\"type\":\"long\"},"
        "{\"name\":\"error\",\"type\":\"string\"},"
        "{\"name\":\"raw\",\"type\":\"bytes\"},"
        "{\"name\":\"failed_at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
        "{\"name\":\"error_class\",\"type\":\"string\"},"
        "{\"name\":\"topic\",\"type\":[\"null\",\"string\"]},"
        "{\"name\":\"partition\",\"type\":\"int\"},"
        "{\"name\":\"key\",\"type\":[\"null\",\"bytes\"]},"
        "{\"name\":\"tombstone\",\"type\":\"boolean\"},"
        "{\"name\":\"headers\",\"type\":{\"type\":\"array\",\"items\":"
        "{\"type\":\"record\",\"name\":\"leat_dead_letter_header\",\"fields\":["
        "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"value\",\"type\":[\"null\",\"bytes\"]}]}}},"
        "{\"name\":\"written_at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"
        "]}"
        "]}",
    .fingerprint = UINT64_C(0x36f44f7a0ff09445),
};

const struct leat_type *leat_stream_type(const leat_stream *stream)
{
    return stream->node ? stream->node->outputs[stream->port].type : NULL;
}

bool leat_stream_changes(const leat_stream *stream)
{
    return stream->node && stream->node->outputs[stream->port].changes;
}

static void set_policy(struct leat_node *node, enum leat_policy policy)
{
    node->policy = policy;
    if (node->op && node->op->settle && !leat__node_is_inert(node))
        node->op->settle(node);
}

leat_stream *leat_on_error(leat_stream *stream, enum leat_policy policy)
{
    struct leat_node *node = stream->node;
    if (!node)
        return stream;
    leat__topology_uncheck(node->t);
    if (policy >= LEAT_FAIL && policy <= LEAT_DEAD_LETTER) {
        set_policy(node, policy);
        return stream;
    }
    char text[96];
    (void)snprintf(
        text, sizeof text, "%d is no policy: LEAT_FAIL, LEAT_SKIP or LEAT_DEAD_LETTER", (int)policy);
    leat__topology_add_error(node->t, node->kind_name, node->name, "on_error", LEAT_EDECLARE, text);
    return stream;
}

leat_stream *leat_dead_letters(leat_stream *stream)
{
    struct leat_node *node = stream->node;
    if (!node)
        return stream;
    leat__topology_uncheck(node->t);
    set_policy(node, LEAT_DEAD_LETTER);
    if (node->dead_letters_port >= 0)
        return leat__stream(node, (uint32_t)node->dead_letters_port);
    if (node->outputs_count == LEAT_NODE_OUTPUTS_MAX) {
        leat__topology_add_error(node->t, node->kind_name, node->name, NULL, LEAT_ELIMIT,
            "no output is left for its dead letters: a node has at most 16; give it fewer");
        return leat__stream_inert(node->t);
    }
    const uint32_t port = leat__output(node, &leat_dead_letter_type, "dead-letters");
    node->outputs[port].has_event_time = false; /* what is refused need not have one */
    node->outputs[port].changes = false;
    node->dead_letters_port = (int32_t)port;
    return leat__stream(node, port);
}

void leat_free(void *text)
{
    leat__free(text);
}
