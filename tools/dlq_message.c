/* tools/dlq_message.c -- what the headers of a dead letter say, whoever has written it. */
#include "tools/dlq.h"
#include <stdio.h>

/* The last header of that name is the newest; data NULL: there is none. */
static struct leat_sv last(const struct leat_dlq_message *letter, const char *name)
{
    const void *value;
    size_t len;
    if (!letter->headers || rd_kafka_header_get_last(letter->headers, name, &value, &len) || !value)
        return (struct leat_sv){ NULL, 0 };
    return (struct leat_sv){ value, len };
}

/* Leat's own name, else Connect's, else Streams'. */
static struct leat_sv any(
    const struct leat_dlq_message *letter, const char *own, const char *connect, const char *streams)
{
    char name[64];
    struct leat_sv found = last(letter, own);
    if (!found.data) {
        (void)snprintf(name, sizeof name, "%s%s", LEAT_CONNECT_PREFIX, connect);
        found = last(letter, name);
    }
    if (!found.data) {
        (void)snprintf(name, sizeof name, "%s%s", LEAT_STREAMS_PREFIX, streams);
        found = last(letter, name);
    }
    return found;
}

static int64_t timestamp_of(const struct leat_dlq_message *letter)
{
    rd_kafka_timestamp_type_t type;
    if (letter->own_headers >= 0)
        return leat__kafka_header_number(last(letter, LEAT_DLQ_TIMESTAMP));
    const int64_t ms = rd_kafka_message_timestamp(letter->message, &type); /* Connect keeps the original's */
    return type == RD_KAFKA_TIMESTAMP_CREATE_TIME ? ms : -1;
}

void leat__dlq_read(const rd_kafka_message_t *message, struct leat_dlq_message *letter)
{
    struct leat_dlq_message *l = letter;
    *l = (struct leat_dlq_message){ .message = message };
    if (rd_kafka_message_headers(message, &l->headers))
        l->headers = NULL;
    l->job = any(l, LEAT_DLQ_JOB, "connector.name", "application.id");
    l->node = any(l, LEAT_DLQ_NODE, "class.name", "processor");
    l->error_class = any(l, LEAT_DLQ_CLASS, "exception.class.name", "exception");
    l->error = any(l, LEAT_DLQ_ERROR, "exception.message", "message");
    l->topic = any(l, LEAT_DLQ_TOPIC, "topic", "topic");
    l->partition = leat__kafka_header_number(any(l, LEAT_DLQ_PARTITION, "partition", "partition"));
    l->offset = leat__kafka_header_number(any(l, LEAT_DLQ_OFFSET, "offset", "offset"));
    l->split = last(l, LEAT_DLQ_SPLIT);
    l->position = leat__kafka_header_number(last(l, LEAT_DLQ_POSITION));
    l->failed_at = last(l, LEAT_DLQ_FAILED_AT);
    l->first_seen = last(l, LEAT_DLQ_FIRST_SEEN);
    l->own_headers = leat__kafka_header_number(last(l, LEAT_DLQ_OWN));
    l->attempts = leat__kafka_header_number(last(l, LEAT_DLQ_ATTEMPTS));
    if (l->attempts < 1)
        l->attempts = 1;
    l->timestamp_ms = timestamp_of(l);
}

static bool is_same(const char *wanted, struct leat_sv value)
{
    return !wanted || (value.data && leat_sv_eq(leat_sv_of(wanted), value));
}

/* "data" is LEAT_EDATA, too. */
static bool is_class(const char *wanted, struct leat_sv value)
{
    char name[64];
    if (is_same(wanted, value))
        return true;
    if (snprintf(name, sizeof name, "LEAT_E%s", wanted) >= (int)sizeof name)
        return false;
    for (char *c = name; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    return is_same(name, value);
}

bool leat__dlq_is_wanted(const struct leat_kafka_tool *tool, const struct leat_dlq_message *letter)
{
    return is_class(tool->error_class, letter->error_class) && is_same(tool->node, letter->node);
}

/* ---- the message that it was ---- */

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_own(const struct leat_dlq_message *letter, size_t i, const char *name)
{
    if (letter->own_headers >= 0)
        return i < (uint64_t)letter->own_headers;
    return !begins(name, LEAT_CONNECT_PREFIX) && !begins(name, LEAT_STREAMS_PREFIX) &&
        !begins(name, LEAT_DLQ_PREFIX);
}

static bool add(rd_kafka_headers_t *headers, const char *name, const void *value, size_t len)
{
    return rd_kafka_header_add(headers, name, -1, value, value ? (ssize_t)len : 0) == 0;
}

rd_kafka_headers_t *leat__dlq_original_headers(const struct leat_dlq_message *letter)
{
    const size_t count = letter->headers ? rd_kafka_header_cnt(letter->headers) : 0;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count + 2);
    char attempts[24];
    bool fine = headers != NULL;
    for (size_t i = 0; fine && i < count; i++) {
        const char *name;
        const void *value;
        size_t len;
        if (rd_kafka_header_get_all(letter->headers, i, &name, &value, &len))
            break;
        if (is_own(letter, i, name))
            fine = add(headers, name, value, len);
    }
    const int digits = snprintf(attempts, sizeof attempts, "%lld", (long long)letter->attempts);
    fine = fine && add(headers, LEAT_DLQ_ATTEMPTS, attempts, (size_t)digits);
    if (fine && letter->first_seen.data)
        fine = add(headers, LEAT_DLQ_FIRST_SEEN, letter->first_seen.data, letter->first_seen.len);
    if (fine)
        return headers;
    if (headers)
        rd_kafka_headers_destroy(headers);
    return NULL;
}
