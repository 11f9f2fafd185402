/* operators/process_state.c -- the keyed state of process functions: its tables, what all kinds have in common,
 * and values and aggregates, of which a key has one.
 *
 * Tables, all in namespace 0:
 *   value, aggregate, list   named as the state: key -> record, accumulator, rows
 *   map                      named as the state: length | key | map key -> record
 *                            state "index":      key -> the map keys in order (process_map.c) */
#include "operators/process_private.h"
#include "record/schema.h"

/* ---- failures and memory ---- */

void leat__process_fail(struct leat__process *p, int code)
{
    if (p->code == 0)
        p->code = code;
}

void *leat__process_alloc(struct leat__process *p, size_t size)
{
    void *memory = leat__batch_alloc(p->work, size ? size : 1, 8);
    if (!memory) {
        leat__process_fail(p, leat__rows_nomem(p->ctx, "what a callback sees"));
        return NULL;
    }
    return memset(memory, 0, size);
}

struct leat__process *leat__process_of(struct leat_ctx *ctx, const char *call)
{
    struct leat__process *p = ctx->engine->process;
    if (!p)
        leat__ctx_refuse(ctx->engine, ctx->row, "%s is for the callbacks of process functions only", call);
    return p;
}

static const char *kind_word(enum leat__state_kind kind)
{
    static const char *const words[] = { "", "value", "list", "map", "aggregate" };
    return words[kind];
}

static void fail_use(struct leat__process *p, uint32_t index, enum leat__state_kind kind)
{
    const struct leat__process_spec *spec = p->spec;
    int code;
    if (p->code < 0)
        return;
    if (index >= spec->states_count)
        code = leat__fail(p->ctx, LEAT_EINVAL, "%s asked for state %u, and there are %u: add it to .state",
            spec->fn.name, index, spec->states_count);
    else
        code = leat__fail(p->ctx, LEAT_EINVAL, "%s used state %u, \"%s\", as a %s, and it is a %s",
            spec->fn.name, index, spec->states[index].name, kind_word(kind),
            kind_word(spec->states[index].kind));
    leat__process_fail(p, code);
}

struct leat__keyed_state *leat__state_of(
    struct leat__process *p, uint32_t index, enum leat__state_kind kind, enum leat__state_kind other)
{
    if (index >= p->spec->states_count ||
        (p->spec->states[index].kind != kind && p->spec->states[index].kind != other)) {
        fail_use(p, index, kind);
        return NULL;
    }
    p->touched = p->states[index].touched = true;
    return &p->states[index];
}

int64_t leat__state_now(struct leat__process *p, const struct leat__state_spec *spec)
{
    const bool by_clock = spec->ttl.time == LEAT_PROCESSING_TIME;
    if (by_clock && p->processing_now_us == LEAT_TIME_MIN) /* the same throughout a callback */
        p->processing_now_us = leat_ctx_now_us(&p->ctx->user);
    const int64_t now_us = by_clock ? p->processing_now_us : p->event_now_us;
    return now_us < LEAT_TIME_MAX ? now_us
                                  : LEAT_TIME_MAX - 1; /* that would be when what never goes is gone */
}

/* ---- tables ---- */

static int open_value(struct leat__process *p, struct leat__ctx *ctx, struct leat__keyed_state *state)
{
    const struct leat__state_spec *spec = state->spec;
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = spec->name,
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(p->spec->key),
        .value_size = leat__serde_value_size(&state->serde),
        .codec = leat__serde_codec(&state->serde),
        .key_text = p->spec->key_types,
        .format = spec->format,
        .accept_format = leat__serde_accept,
        .schema = spec->type ? spec->type->schema : NULL,
        .counted = true,
    };
    state->record = leat__calloc(1, spec->size ? spec->size : 1);
    if (!state->record)
        return leat__rows_nomem(ctx, "keyed state");
    return leat__table_open(ctx->state, &opts, &state->table, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static int open_list(struct leat__process *p, struct leat__ctx *ctx, struct leat__keyed_state *state)
{
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = state->spec->name,
        .kind = LEAT_TABLE_LIST,
        .key_size = leat__key_fixed_size(p->spec->key),
        .row_type = state->spec->type,
        .key_text = p->spec->key_types,
        .format = state->spec->format,
        .schema = state->spec->type->schema,
        .counted = true,
    };
    if (leat__copier_new(state->spec->type, &state->list.copier) < 0)
        return leat__rows_nomem(ctx, "keyed state");
    return leat__table_open(ctx->state, &opts, &state->table, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

int leat__states_open(struct leat__process *p, struct leat__ctx *ctx)
{
    for (uint32_t i = 0; i < p->spec->states_count; i++) {
        struct leat__keyed_state *state = &p->states[i];
        state->spec = &p->spec->states[i];
        if (state->spec->kind == LEAT__STATE_LIST) {
            LEAT_TRY(open_list(p, ctx, state));
            continue;
        }
        LEAT_TRY(leat__serde_init(&state->serde, ctx, state->spec, p->spec->schemas[i]));
        LEAT_TRY(
            state->spec->kind == LEAT__STATE_MAP ? leat__map_open(p, ctx, state) : open_value(p, ctx, state));
    }
    return 0;
}

void leat__states_close(struct leat__process *p)
{
    for (uint32_t i = 0; i < p->spec->states_count; i++) {
        struct leat__keyed_state *state = &p->states[i];
        if (!state->spec)
            break;
        leat__list_forget(state);
        leat__table_close(state->table);
        leat__table_close(state->map.index);
        leat__serde_release(&state->serde);
        leat__copier_free(state->list.copier);
        leat__free(state->list.rows);
        leat__free(state->map.cells);
        leat__free(state->map.slots);
        leat__free(state->map.keys);
        leat__free(state->map.passing_record);
        leat__free(state->record);
    }
}

uint64_t leat__states_keys_count(const struct leat__process *p)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < p->spec->states_count; i++)
        count += leat__table_keys_count_all(p->states[i].table);
    return count;
}

/* ---- after a callback ---- */

int leat__states_commit(struct leat__process *p)
{
    if (!p->touched)
        return 0;
    for (uint32_t i = 0; i < p->spec->states_count; i++) {
        struct leat__keyed_state *state = &p->states[i];
        if (!state->touched)
            continue;
        if (state->spec->kind == LEAT__STATE_LIST)
            LEAT_TRY(leat__list_commit(p, state));
        else if (state->spec->kind == LEAT__STATE_MAP)
            LEAT_TRY(leat__map_commit(p, state));
        else if (state->cell.record)
            LEAT_TRY(leat__cell_commit(p, state, &state->cell));
    }
    return 0;
}

void leat__states_forget(struct leat__process *p)
{
    if (!p->touched)
        return;
    p->touched = false;
    for (uint32_t i = 0; i < p->spec->states_count; i++) {
        struct leat__keyed_state *state = &p->states[i];
        if (!state->touched)
            continue;
        state->touched = state->cleared = false;
        state->cell.record = NULL; /* nothing of it counts any more */
        if (state->spec->kind == LEAT__STATE_LIST)
            leat__list_forget(state);
        else if (state->spec->kind == LEAT__STATE_MAP)
            leat__map_forget(state);
        if (state->serde.rows && !state->serde.flat && leat__serde_relax(&state->serde) < 0)
            leat__process_fail(p, leat__rows_nomem(p->ctx, "keyed state"));
    }
}

/* ---- values and aggregates ---- */

/* The cell of this key's value, looked up; NULL when that has failed. */
static struct leat__cell *cell_of(struct leat__process *p, struct leat__keyed_state *state)
{
    struct leat__cell *cell = &state->cell;
    if (cell->record)
        return cell;
    *cell = (struct leat__cell){ .record = state->record, .key = p->key, .hash = p->hash };
    const int code = leat__cell_load(p, state, cell);
    if (code == 0)
        return cell;
    leat__process_fail(p, code);
    cell->record = NULL;
    return NULL;
}

void *leat_state(struct leat_ctx *ctx, uint32_t index)
{
    struct leat__process *p = leat__process_of(ctx, "leat_state");
    struct leat__keyed_state *state =
        p ? leat__state_of(p, index, LEAT__STATE_VALUE, LEAT__STATE_VALUE) : NULL;
    struct leat__cell *cell = state ? cell_of(p, state) : NULL;
    if (cell)
        return leat__cell_write(state, cell);
    return p ? p->spare : NULL;
}

const void *leat_state_find(struct leat_ctx *ctx, uint32_t index)
{
    struct leat__process *p = leat__process_of(ctx, "leat_state_find");
    struct leat__keyed_state *state =
        p ? leat__state_of(p, index, LEAT__STATE_VALUE, LEAT__STATE_VALUE) : NULL;
    struct leat__cell *cell = state ? cell_of(p, state) : NULL;
    if (!cell || !cell->visible)
        return NULL;
    cell->read = true;
    return cell->record;
}

void leat_state_clear(struct leat_ctx *ctx, uint32_t index)
{
    struct leat__process *p = leat__process_of(ctx, "leat_state_clear");
    if (!p)
        return;
    const enum leat__state_kind kind =
        index < p->spec->states_count ? p->spec->states[index].kind : LEAT__STATE_VALUE;
    struct leat__keyed_state *state = leat__state_of(p, index, kind, kind);
    if (!state)
        return;
    if (kind == LEAT__STATE_MAP) {
        leat__map_clear(p, state);
        return;
    }
    if (kind == LEAT__STATE_LIST) {
        leat__list_clear(state);
        return;
    }
    struct leat__cell *cell = cell_of(p, state);
    if (cell) {
        cell->visible = false;
        cell->written = true;
    }
}

/* The record as the only row of a batch, at the index that the callback is about. */
static struct leat_batch batch_of_one(const struct leat__state_spec *spec, const void *record)
{
    return (struct leat_batch){ .count = 1,
        .stride = 0,
        .rows = (unsigned char *)(uintptr_t)record,
        .type = spec->fn->in,
        .capacity = 1 };
}

void leat_aggregate_add(struct leat_ctx *ctx, uint32_t index, const void *record)
{
    struct leat__process *p = leat__process_of(ctx, "leat_aggregate_add");
    struct leat__keyed_state *state =
        p ? leat__state_of(p, index, LEAT__STATE_AGGREGATE, LEAT__STATE_AGGREGATE) : NULL;
    struct leat__cell *cell = state ? cell_of(p, state) : NULL;
    if (!cell)
        return;
    const struct leat_batch batch = batch_of_one(state->spec, record);
    const uint32_t row = ctx->row;
    const bool is_new = !cell->visible;
    void *accumulator = leat__cell_write(state, cell);
    if (is_new && state->spec->fn->create)
        state->spec->fn->create(ctx, accumulator);
    state->spec->fn->accumulate(ctx, &batch, &row, 1, &accumulator);
    ctx->row = row;
}

bool leat_aggregate_result(struct leat_ctx *ctx, uint32_t index, void *out)
{
    struct leat__process *p = leat__process_of(ctx, "leat_aggregate_result");
    struct leat__keyed_state *state =
        p ? leat__state_of(p, index, LEAT__STATE_AGGREGATE, LEAT__STATE_AGGREGATE) : NULL;
    struct leat__cell *cell = state ? cell_of(p, state) : NULL;
    if (!cell || !cell->visible)
        return false;
    cell->read = true;
    state->spec->fn->result(ctx, cell->record, out);
    return true;
}
