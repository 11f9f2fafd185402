/* connectors/kafka/letter.c -- a dead letter as a message (letter.h). */
#include "connectors/kafka/letter.h"
#include "base/error.h"
#include "record/time_text.h"
#include <inttypes.h>
#include <stdio.h>

#define ATTEMPTS_MAX 1000000
#define FIRST_SEEN_BYTES_MAX 64u

/* Headers as they are added; the count is put before them at the end. */
struct adding {
    struct leat_strbuf *out;
    uint32_t count;
};

static void add(struct adding *a, const char *name, struct leat_sv value)
{
    leat__kafka_put_header(a->out, leat_sv_of(name), value);
    a->count++;
}

static void add_text(struct adding *a, const char *name, const char *text)
{
    add(a, name, leat_sv_of(text));
}

static void add_number(struct adding *a, const char *name, int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    add_text(a, name, text);
}

static void add_time(struct adding *a, const char *name, int64_t us)
{
    char text[LEAT_TIME_TEXT_MAX];
    (void)leat__time_print(us, text);
    add_text(a, name, text);
}

int64_t leat__kafka_header_number(struct leat_sv text)
{
    int64_t number = 0;
    if (text.len == 0 || text.len > 18)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = 10 * number + (text.data[i] - '0');
    }
    return number;
}

/* ---- the message's own ---- */

static bool is_ours(struct leat_sv name)
{
    return name.len >= sizeof LEAT_DLQ_PREFIX - 1 &&
        memcmp(name.data, LEAT_DLQ_PREFIX, sizeof LEAT_DLQ_PREFIX - 1) == 0;
}

static const struct leat_dead_letter_header *header_at(const struct leat_dead_letter *letter, size_t i)
{
    return (const struct leat_dead_letter_header *)letter->headers.items + i;
}

static void add_own(struct adding *a, const struct leat_dead_letter *letter)
{
    for (size_t i = 0; i < letter->headers.count; i++) {
        const struct leat_dead_letter_header *header = header_at(letter, i);
        if (is_ours(header->name))
            continue;
        const struct leat_sv empty = { "", 0 }, none = { NULL, 0 };
        leat__kafka_put_header(a->out, header->name,
            !header->has_value          ? none
                : header->value.len > 0 ? header->value
                                        : empty);
        a->count++;
    }
}

/* The last header of that name; data NULL: there is none. */
static struct leat_sv find(const struct leat_dead_letter *letter, const char *name)
{
    for (size_t i = letter->headers.count; i-- > 0;)
        if (leat_sv_eq(header_at(letter, i)->name, leat_sv_of(name)))
            return header_at(letter, i)->value;
    return (struct leat_sv){ NULL, 0 };
}

/* ---- about the error ---- */

static void add_connect(
    struct adding *a, const struct leat_kafka_letters *letters, const struct leat_dead_letter *letter)
{
    if (letter->has_topic) {
        add(a, LEAT_CONNECT_PREFIX "topic", letter->topic);
        add_number(a, LEAT_CONNECT_PREFIX "partition", letter->partition);
        add_number(a, LEAT_CONNECT_PREFIX "offset", letter->position);
    }
    add_text(a, LEAT_CONNECT_PREFIX "connector.name", letters->job);
    add_text(a, LEAT_CONNECT_PREFIX "stage", letter->split.len > 0 ? "VALUE_CONVERTER" : "TRANSFORMATION");
    add(a, LEAT_CONNECT_PREFIX "class.name", letter->node);
    add(a, LEAT_CONNECT_PREFIX "exception.class.name", letter->error_class);
    add(a, LEAT_CONNECT_PREFIX "exception.message", letter->error);
}

static void add_streams(
    struct adding *a, const struct leat_kafka_letters *letters, const struct leat_dead_letter *letter)
{
    char place[256];
    (void)snprintf(place, sizeof place, "node \"%.*s\" of job \"%s\"", (int)letter->node.len,
        letter->node.data, letters->job);
    add(a, LEAT_STREAMS_PREFIX "exception", letter->error_class);
    add_text(a, LEAT_STREAMS_PREFIX "stacktrace", place);
    add(a, LEAT_STREAMS_PREFIX "message", letter->error);
    if (!letter->has_topic)
        return;
    add(a, LEAT_STREAMS_PREFIX "topic", letter->topic);
    add_number(a, LEAT_STREAMS_PREFIX "partition", letter->partition);
    add_number(a, LEAT_STREAMS_PREFIX "offset", letter->position);
}

static void add_place(struct adding *a, const struct leat_dead_letter *letter)
{
    if (letter->has_topic) {
        add(a, LEAT_DLQ_TOPIC, letter->topic);
        add_number(a, LEAT_DLQ_PARTITION, letter->partition);
        add_number(a, LEAT_DLQ_OFFSET, letter->position);
        if (letter->has_written_at)
            add_number(a, LEAT_DLQ_TIMESTAMP, letter->written_at / 1000);
    } else if (letter->split.len > 0) {
        add(a, LEAT_DLQ_SPLIT, letter->split);
        if (letter->position >= 0)
            add_number(a, LEAT_DLQ_POSITION, letter->position);
    }
}

static void add_ours(struct adding *a, uint32_t own, const struct leat_kafka_letters *letters,
    const struct leat_dead_letter *letter)
{
    const struct leat_sv seen = find(letter, LEAT_DLQ_FIRST_SEEN);
    const int64_t before = leat__kafka_header_number(find(letter, LEAT_DLQ_ATTEMPTS));
    add_text(a, LEAT_DLQ_JOB, letters->job);
    add(a, LEAT_DLQ_NODE, letter->node);
    add(a, LEAT_DLQ_CLASS, letter->error_class);
    add(a, LEAT_DLQ_ERROR, letter->error);
    add_place(a, letter);
    add_time(a, LEAT_DLQ_FAILED_AT, letter->failed_at);
    if (seen.len > 0 && seen.len <= FIRST_SEEN_BYTES_MAX)
        add(a, LEAT_DLQ_FIRST_SEEN, seen);
    else
        add_time(a, LEAT_DLQ_FIRST_SEEN, letter->failed_at);
    add_number(a, LEAT_DLQ_ATTEMPTS, before > 0 && before < ATTEMPTS_MAX ? before + 1 : 1);
    add_number(a, LEAT_DLQ_OWN, own);
}

static void put_count(struct leat_strbuf *out, uint32_t count)
{
    if (out->failed)
        return;
    for (unsigned i = 0; i < 4; i++)
        out->data[i] = (char)(unsigned char)(count >> 8 * i);
}

static struct leat_sv not_null(struct leat_sv bytes)
{
    return bytes.data ? bytes : (struct leat_sv){ "", 0 };
}

int leat__kafka_letter_write(const struct leat_kafka_letters *letters, const char *own_topic,
    const struct leat_dead_letter *letter, struct leat_strbuf *headers, struct leat_kafka_written *written,
    struct leat_error *err)
{
    struct adding a = { .out = headers };
    if (letter->has_topic && leat_sv_eq(letter->topic, leat_sv_of(own_topic)))
        return leat__error(err, LEAT_EDATA,
            "a dead letter of topic \"%s\" would be written to the same topic, to be read again: give them a "
            "topic "
            "of their own",
            own_topic);
    leat__strbuf_clear(headers);
    leat__strbuf_add(headers, "\0\0\0\0", 4);
    add_own(&a, letter);
    const uint32_t own = a.count;
    if (letters->errors == LEAT_KAFKA_ERRORS_CONNECT || letters->errors == LEAT_KAFKA_ERRORS_BOTH)
        add_connect(&a, letters, letter);
    if (letters->errors == LEAT_KAFKA_ERRORS_STREAMS || letters->errors == LEAT_KAFKA_ERRORS_BOTH)
        add_streams(&a, letters, letter);
    add_ours(&a, own, letters, letter);
    put_count(headers, a.count);
    *written = (struct leat_kafka_written){ .partition = -1, .time_us = letter->failed_at };
    written->headers = (struct leat_sv){ headers->data, headers->len };
    if (letter->has_key)
        written->key = not_null(letter->key);
    if (!letter->tombstone)
        written->value = not_null(letter->raw);
    return headers->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for headers") : 0;
}
