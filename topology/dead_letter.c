/* topology/dead_letter.c -- refused records as records: who refused them, why, and what they were.
 * The event time of a letter is the wall clock's: the output says that it has none (topology/stream.c). */
#include "topology/dead_letter_private.h"
#include <leat/stream.h>

static int fail_memory(struct leat__dead_letters *letters)
{
    leat__batch_release(letters->batch);
    letters->batch = NULL;
    return leat__fail(letters->ctx, LEAT_ENOMEM, "dead letters: out of memory");
}

int leat__dead_letters_flush(struct leat__dead_letters *letters)
{
    struct leat_batch *batch = letters->batch;
    letters->batch = NULL;
    if (!batch)
        return 0;
    const int code = leat__emit(letters->ctx, (uint32_t)letters->ctx->node->dead_letters_port, batch);
    return code < 0 ? code : 0;
}

/* A new row but for `raw`, with space for it; NULL when out of memory. */
static struct leat_dead_letter *push(struct leat__dead_letters *letters, struct leat_sv split,
    int64_t position, struct leat_sv error, size_t raw_size, char **raw)
{
    struct leat__ctx *ctx = letters->ctx;
    LEAT_ASSERT(ctx->node->dead_letters_port >= 0); /* leat_check sees to it */
    if (!letters->batch && leat__batch_get(ctx->pool, &leat_dead_letter_type, &letters->batch) < 0)
        return NULL;
    struct leat_batch *batch = letters->batch;
    char *bytes = leat__batch_alloc(batch, split.len + error.len + raw_size + 1, 1);
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

static int flush_if_full(struct leat__dead_letters *letters)
{
    return letters->batch->count == letters->batch->capacity ? leat__dead_letters_flush(letters) : 0;
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
    return flush_if_full(letters);
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
    return flush_if_full(letters);
}
