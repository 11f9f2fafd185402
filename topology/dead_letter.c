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

/* A new row but for `raw`, with space for it; NULL when out of memory. */
static struct leat_dead_letter *push(struct leat__dead_letters *letters, struct leat_sv split,
    int64_t position, struct leat_sv error, size_t raw_size, char **raw)
{
    struct leat__ctx *ctx = letters->ctx;
    LEAT_ASSERT(ctx->node->dead_letters_port >= 0); /* leat_check sees to it */
    struct leat_batch *batch = batch_with_room(letters);
    char *bytes = batch ? leat__batch_alloc(batch, split.len + error.len + raw_size + 1, 1) : NULL;
    if (!bytes)
        return NULL;
    if (split.len)
        memcpy(bytes, split.data, split.len);
    if (error.len)
        memcpy(bytes + split.len, error.data, error.len);
    *raw = bytes + split.len + error.len;
    const int64_t now_us = ctx->api->now_us(ctx);
    batch->event_us[batch->count] = now_us;
    batch->key_hash[batch->count] = 0;
    struct leat_dead_letter *letter = leat__batch_push(batch);
    letter->node = leat_sv_of(ctx->node->name); /* lives longer than any batch */
    letter->split = (struct leat_sv){ bytes, split.len };
    letter->position = position;
    letter->error = (struct leat_sv){ bytes + split.len, error.len };
    letter->raw = (struct leat_sv){ *raw, 0 };
    letter->failed_at = now_us;
    leat__count(&ctx->counters->dead_letters, 1);
    return letter;
}

int leat__dead_letters_add(struct leat__dead_letters *letters, struct leat_sv split, int64_t position,
    struct leat_sv error, struct leat_sv raw)
{
    char *bytes;
    struct leat_dead_letter *letter = push(letters, split, position, error, raw.len, &bytes);
    if (!letter)
        return fail_memory(letters);
    if (raw.len)
        memcpy(bytes, raw.data, raw.len);
    letter->raw.len = raw.len;
    return 0;
}

int leat__dead_letters_add_record(struct leat__dead_letters *letters, struct leat_sv error,
    const void *record, const struct leat_type *type)
{
    char *json;
    const size_t len = record ? leat_record_print(record, type, NULL, 0) : 0;
    struct leat_dead_letter *letter = push(letters, (struct leat_sv){ "", 0 }, -1, error, len, &json);
    if (!letter)
        return fail_memory(letters);
    if (record)
        (void)leat_record_print(record, type, json, len + 1);
    letter->raw.len = len;
    return 0;
}
