/* connectors/kafka/bad_message.c -- a message that is a bad row: all that it is goes with it, for the dead letter. */
#include "base/alloc.h"
#include "connectors/kafka/source_private.h"

static int64_t written_us(const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t type;
    int64_t us = rd_kafka_message_timestamp(message, &type);
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || __builtin_mul_overflow(us, 1000, &us))
        return INT64_MIN;
    return us;
}

/* Views of the message's headers; NULL when out of memory. */
static struct leat_dead_letter_header *headers_of(const rd_kafka_headers_t *all, size_t count)
{
    struct leat_dead_letter_header *headers = leat__calloc(count, sizeof *headers);
    for (size_t i = 0; headers && i < count; i++) {
        const char *name;
        const void *value;
        size_t len;
        if (rd_kafka_header_get_all(all, i, &name, &value, &len))
            break;
        headers[i].name = leat_sv_of(name);
        headers[i].has_value = value != NULL;
        headers[i].value = (struct leat_sv){ value, value ? len : 0 };
    }
    return headers;
}

int leat__kafka_refuse(struct leat_reader *reader, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *all = NULL;
    struct leat_dead_letter_header *headers = NULL;
    struct leat_bad_message whole = { .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .key = { message->key, message->key ? message->key_len : 0 },
        .is_tombstone = message->payload == NULL,
        .written_us = written_us(message) };
    const struct leat_bad_row row = { .position = message->offset,
        .raw = { message->payload, message->payload ? message->len : 0 },
        .message = &whole };
    if (reader->node->policy == LEAT_DEAD_LETTER && rd_kafka_message_headers(message, &all) == 0)
        whole.headers_count = rd_kafka_header_cnt(all);
    if (whole.headers_count > 0) {
        headers = headers_of(all, whole.headers_count);
        if (!headers)
            return leat__fail(reader->ctx, LEAT_ENOMEM, "out of memory for a dead letter");
    }
    whole.headers = headers;
    const int code = leat__reader_refuse(reader, &row);
    leat__free(headers);
    return code;
}
