/* operators/process_list.c -- lists in keyed state: rows of a table of lists, each with the time at which it was
 * added.
 *
 * What a callback adds waits in batches of its own, so that a list to which things are only added is never
 * read. When the callback looks at the list, the table's rows are copied to the callback's memory, those that
 * are gone left out, and the added ones follow. */
#include "operators/process_private.h"

static void release_list(struct leat_batch *batch)
{
    while (batch) {
        struct leat_batch *next = batch->next;
        batch->next = NULL;
        leat__batch_release(batch);
        batch = next;
    }
}

void leat__list_clear(struct leat__keyed_state *state)
{
    if (state->list.last) {
        state->list.last->next = state->list.cleared;
        state->list.cleared = state->list.first;
    }
    state->list.first = state->list.last = NULL;
    state->list.count = 0;
    state->list.loaded = false;
    state->cleared = true;
}

void leat__list_forget(struct leat__keyed_state *state)
{
    release_list(state->list.first);
    release_list(state->list.cleared);
    state->list.first = state->list.last = state->list.cleared = NULL;
    state->list.count = 0;
    state->list.loaded = false;
}

/* ---- adding ---- */

static int open_batch(struct leat__process *p, struct leat__keyed_state *state)
{
    struct leat_batch *batch;
    if (state->list.last && !leat__batch_is_full(state->list.last))
        return 0;
    LEAT_TRY(leat__rows_get(p->ctx, state->spec->type, &batch));
    if (state->list.last)
        state->list.last->next = batch;
    else
        state->list.first = batch;
    state->list.last = batch;
    return 0;
}

static int show_row(struct leat__process *p, struct leat__keyed_state *state, const void *record)
{
    if (state->list.count == state->list.capacity) {
        const size_t capacity = state->list.capacity ? 2 * state->list.capacity : 64;
        const void **rows = leat__realloc(state->list.rows, capacity * sizeof *rows);
        if (!rows)
            return leat__rows_nomem(p->ctx, "the rows of a list");
        state->list.rows = rows;
        state->list.capacity = capacity;
    }
    state->list.rows[state->list.count++] = record;
    return 0;
}

static int add_row(
    struct leat__process *p, struct leat__keyed_state *state, const void *record, int64_t stamp)
{
    LEAT_TRY(open_batch(p, state));
    struct leat_batch *batch = state->list.last;
    batch->event_us[batch->count] = stamp;
    batch->key_hash[batch->count] = p->hash;
    if (leat__copy_push(state->list.copier, batch, record) < 0)
        return leat__rows_nomem(p->ctx, "a row of a list");
    return state->list.loaded ? show_row(p, state, leat_batch_at(batch, batch->count - 1)) : 0;
}

void leat_list_add(struct leat_ctx *ctx, uint32_t index, const void *record)
{
    struct leat__process *p = leat__process_of(ctx, "leat_list_add");
    struct leat__keyed_state *state = p ? leat__state_of(p, index, LEAT__STATE_LIST, LEAT__STATE_LIST) : NULL;
    if (state && p->code == 0)
        leat__process_fail(p, add_row(p, state, record, leat__state_now(p, state->spec)));
}

/* ---- looking ---- */

static int load_rows(struct leat__process *p, struct leat__keyed_state *state)
{
    const struct leat__state_spec *spec = state->spec;
    const int64_t now_us = leat__state_now(p, spec);
    const struct leat_list_row *row;
    if (leat__table_lists(state->table, 0, &p->key, &p->hash, NULL, 1, &row, p->ctx->error) < 0)
        return leat__fail_here(p->ctx);
    for (; row; row = row->next) {
        if (now_us >= leat__state_gone_at(spec, row->event_us))
            continue;
        if (spec->ttl.on_read) {
            LEAT_TRY(add_row(p, state, row->record, now_us));
            continue;
        }
        void *copy = leat__process_alloc(p, leat__copy_size(state->list.copier, row->record));
        if (!copy)
            return p->code;
        leat__copy_to(state->list.copier, row->record, copy);
        LEAT_TRY(show_row(p, state, copy));
    }
    return 0;
}

/* All rows as the callback sees them. Where reading counts as writing, the table's are written again: they
 * become added ones before the others. */
static int load(struct leat__process *p, struct leat__keyed_state *state)
{
    if (state->list.loaded)
        return 0;
    state->list.count = 0;
    if (!state->cleared) {
        struct leat_batch *first = state->list.first, *last = state->list.last;
        if (state->spec->ttl.on_read)
            state->list.first = state->list.last = NULL;
        const int code = load_rows(p, state);
        if (state->spec->ttl.on_read) {
            state->cleared = true;
            if (!state->list.first)
                state->list.first = first;
            else
                state->list.last->next = first;
            state->list.last = last ? last : state->list.last;
        }
        LEAT_TRY(code);
    }
    for (const struct leat_batch *batch = state->list.first; batch; batch = batch->next)
        for (uint32_t i = 0; i < batch->count; i++)
            LEAT_TRY(show_row(p, state, leat_batch_at(batch, i)));
    state->list.loaded = true;
    return 0;
}

/* The list, looked at; NULL when that has failed. */
static struct leat__keyed_state *loaded_list(struct leat_ctx *ctx, uint32_t index, const char *call)
{
    struct leat__process *p = leat__process_of(ctx, call);
    struct leat__keyed_state *state = p ? leat__state_of(p, index, LEAT__STATE_LIST, LEAT__STATE_LIST) : NULL;
    if (!state || p->code < 0)
        return NULL;
    const int code = load(p, state);
    leat__process_fail(p, code);
    return code < 0 ? NULL : state;
}

size_t leat_list_count(struct leat_ctx *ctx, uint32_t index)
{
    const struct leat__keyed_state *state = loaded_list(ctx, index, "leat_list_count");
    return state ? state->list.count : 0;
}

/* The place of a row that leat_list_next gave last is found at once; another one is looked for. */
const void *leat_list_next(struct leat_ctx *ctx, uint32_t index, const void *record)
{
    struct leat__keyed_state *state = loaded_list(ctx, index, "leat_list_next");
    size_t i = 0;
    if (!state)
        return NULL;
    if (record) {
        i = state->list.given;
        if (i >= state->list.count || state->list.rows[i] != record)
            for (i = 0; i < state->list.count && state->list.rows[i] != record; i++)
                ;
        i++;
    }
    if (i >= state->list.count)
        return NULL;
    state->list.given = i;
    return state->list.rows[i];
}

/* ---- after a callback ---- */

static int append(struct leat__process *p, struct leat__keyed_state *state, const struct leat_batch *batch)
{
    enum { SOME = 64 };
    struct leat_sv keys[SOME];
    uint64_t hashes[SOME];
    for (uint32_t i = 0; i < SOME; i++) {
        keys[i] = p->key;
        hashes[i] = p->hash;
    }
    for (uint32_t from = 0; from < batch->count; from += SOME) {
        const uint32_t count = batch->count - from < SOME ? batch->count - from : SOME;
        const struct leat_batch view = leat__rows_view(batch, from, count);
        if (leat__table_append(state->table, 0, keys, hashes, NULL, count, &view, p->ctx->error) < 0)
            return leat__fail_here(p->ctx);
    }
    return 0;
}

static int arm(struct leat__process *p, const struct leat__keyed_state *state)
{
    const struct leat_batch *first = state->list.first;
    return first && state->spec->ttl.us
        ? leat__expiry_arm(p, state->spec, p->key, leat__state_gone_at(state->spec, first->event_us[0]))
        : 0;
}

int leat__list_commit(struct leat__process *p, struct leat__keyed_state *state)
{
    if (state->cleared && leat__table_remove(state->table, 0, p->key, p->hash, p->ctx->error) < 0)
        return leat__fail_here(p->ctx);
    for (const struct leat_batch *batch = state->list.first; batch; batch = batch->next)
        LEAT_TRY(append(p, state, batch));
    return arm(p, state);
}

/* The rows that stay are put aside, the list removed, and they are added again with the times they had. */
static int keep_rows(struct leat__process *p, struct leat__keyed_state *state,
    const struct leat_list_row *row, int64_t now_us, int64_t *next_us, bool *any_gone)
{
    *next_us = LEAT_TIME_MAX;
    *any_gone = false;
    for (const struct leat_list_row *at = row; at && !*any_gone; at = at->next)
        *any_gone = now_us >= leat__state_gone_at(state->spec, at->event_us);
    for (; row; row = row->next) {
        const int64_t gone_us = leat__state_gone_at(state->spec, row->event_us);
        if (now_us >= gone_us)
            continue;
        if (gone_us < *next_us)
            *next_us = gone_us;
        if (*any_gone)
            LEAT_TRY(add_row(p, state, row->record, row->event_us));
    }
    return 0;
}

int leat__list_expire(struct leat__process *p, struct leat__keyed_state *state, struct leat_sv key,
    int64_t now_us, int64_t *next_us)
{
    const struct leat_list_row *row;
    bool any_gone;
    p->key = key;
    p->hash = leat__hash(key.data, key.len);
    if (leat__table_lists(state->table, 0, &p->key, &p->hash, NULL, 1, &row, p->ctx->error) < 0)
        return leat__fail_here(p->ctx);
    int code = keep_rows(p, state, row, now_us, next_us, &any_gone);
    if (code == 0 && any_gone) {
        state->cleared = true;
        code = leat__list_commit(p, state);
    }
    state->cleared = false;
    leat__list_forget(state);
    return code;
}
