/* topology/dead_letter.c -- refused records as records: who refused them, why, and what they were.
 * The event time of a letter is the wall clock's: the output says that it has none (topology/stream.c). */
#include "topology/dead_letter_private.h"
#include <leat/stream.h>

void leat__dead_letters_release(struct leat__dead_letters *letters)
{
    struct leat_batch *batch = letters->first;
    letters->first = letters->last = NULL;
    while (batch) {
        struct leat_batch *next = batch->next;
        batch->next = NULL;
        leat__batch_release(batch);
        batch = next;
    }
}

static int fail_memory(struct leat__dead_letters *letters)
{
    leat__dead_letters_release(letters);
    return leat__fail(letters->ctx, LEAT_ENOMEM, "out of memory for dead letters");
}

int leat__dead_letters_flush(struct leat__dead_letters *letters)
{
    while (letters->first) {
        struct leat_batch *batch = letters->first;
        letters->first = batch->next;
        batch->next = NULL;
        const int code = leat__emit(letters->ctx, (uint32_t)letters->ctx->node->dead_letters_port, batch);
        if (code < 0) {
            leat__dead_letters_release(letters);
            return code;
        }
    }
    letters->last = NULL;
    return 0;
}

/* A batch with room for a row; NULL when out of memory. */
static struct leat_batch *batch_with_room(struct leat__dead_letters *letters)
{
    struct leat_batch *batch = letters->last;
    if (batch && batch->count < batch->capacity)
        return batch;
    if (leat__batch_get(letters->ctx->pool, &leat_dead_letter_type, &batch) < 0)
        return NULL;
    batch->next = NULL;
    *(letters->last ? &letters->last->next : &letters->first) = batch;
    letters->last = batch;
    return batch;
}

/* What a letter copies, one behind the other. */
static size_t message_bytes(const struct leat_bad_message *message)
{
    size_t bytes = strlen(message->topic) + message->key.len;
    for (size_t i = 0; i < message->headers_count; i++)
        bytes += message->headers[i].name.len + message->headers[i].value.len;
    return bytes;
}

static struct leat_sv put(char **to, struct leat_sv text)
{
    const struct leat_sv copy = { *to, text.len };
    if (text.len)
        memcpy(*to, text.data, text.len);
    *to += text.len;
    return copy;
}

/* A new row but for `raw`, of which *bytes is the place, with room for so many; NULL when out of memory. */
static struct leat_dead_letter *push(struct leat__dead_letters *letters, int code, struct leat_sv split,
    struct leat_sv error, size_t room, char **bytes)
{
    struct leat__ctx *ctx = letters->ctx;
    LEAT_ASSERT(ctx->node->dead_letters_port >= 0); /* leat_check sees to it */
    struct leat_batch *batch = batch_with_room(letters);
    *bytes = batch ? leat__batch_alloc(batch, split.len + error.len + room + 1, 1) : NULL;
    if (!*bytes)
        return NULL;
    const int64_t now_us = ctx->api->now_us(ctx);
    batch->event_us[batch->count] = now_us;
    batch->key_hash[batch->count] = 0;
    struct leat_dead_letter *letter = leat__batch_push(batch);
    letter->node = leat_sv_of(ctx->node->name); /* lives longer than any batch */
    letter->split = put(bytes, split);
    letter->position = -1;
    letter->error = put(bytes, error);
    letter->raw = (struct leat_sv){ *bytes, 0 };
    letter->failed_at = now_us;
    letter->error_class = leat_sv_of(leat_error_name(code));
    letter->partition = -1;
    leat__count(&ctx->counters->dead_letters, 1);
    return letter;
}

static int put_headers(struct leat__dead_letters *letters, const struct leat_bad_message *message,
    char **bytes, struct leat_dead_letter *letter)
{
    const size_t count = message->headers_count;
    struct leat_dead_letter_header *headers;
    if (count == 0)
        return 0;
    headers =
        leat__batch_alloc(letters->last, count * sizeof *headers, _Alignof(struct leat_dead_letter_header));
    if (!headers)
        return fail_memory(letters);
    memset(headers, 0, count * sizeof *headers);
    for (size_t i = 0; i < count; i++) {
        headers[i].name = put(bytes, message->headers[i].name);
        headers[i].has_value = message->headers[i].has_value;
        headers[i].value = put(bytes, message->headers[i].value);
    }
    letter->headers = (struct leat_array){ headers, count };
    return 0;
}

static int put_message(struct leat__dead_letters *letters, const struct leat_bad_message *message,
    char **bytes, struct leat_dead_letter *letter)
{
    letter->has_topic = true;
    letter->topic = put(bytes, leat_sv_of(message->topic));
    letter->partition = message->partition;
    letter->has_key = message->key.data != NULL;
    letter->key = put(bytes, message->key);
    letter->tombstone = message->is_tombstone;
    letter->has_written_at = message->written_us != INT64_MIN;
    letter->written_at = letter->has_written_at ? message->written_us : 0;
    return put_headers(letters, message, bytes, letter);
}

int leat__dead_letters_add(
    struct leat__dead_letters *letters, const struct leat_split *split, const struct leat_bad_row *row)
{
    const struct leat_error *err = letters->ctx->error;
    const size_t room = row->raw.len + (row->message ? message_bytes(row->message) : 0);
    char *bytes;
    struct leat_dead_letter *letter =
        push(letters, err->code, leat_sv_of(split->id), leat_sv_of(err->message), room, &bytes);
    if (!letter)
        return fail_memory(letters);
    letter->position = row->position;
    letter->raw = put(&bytes, row->raw);
    return row->message ? put_message(letters, row->message, &bytes, letter) : 0;
}

int leat__dead_letters_add_record(struct leat__dead_letters *letters, int code, struct leat_sv error,
    const void *record, const struct leat_type *type)
{
    char *json;
    const size_t len = record ? leat_record_print(record, type, NULL, 0) : 0;
    struct leat_dead_letter *letter = push(letters, code, (struct leat_sv){ "", 0 }, error, len, &json);
    if (!letter)
        return fail_memory(letters);
    if (record)
        (void)leat_record_print(record, type, json, len + 1);
    letter->raw.len = len;
    return 0;
}
