/* tests/support/harness.c -- one operator, one subtask, no threads. */
#include "tests/support/harness.h"
#include "base/error.h"
#include "state/state.h"
#include "tests/support/memory_env.h"
#include "tests/support/unit.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES_PER_CALL_MAX 20u /* "a few": outputs times what each may need */
#define STEPS_MAX 10000000u

static const struct leat_source_class source_class = { .kind = "test source" };
static const struct leat_sink_class sink_class = { .kind = "test sink" };

leat_stream *harness_source(
    leat_topology *t, const char *name, const struct leat_type *type, const char *time_field)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, source_class.kind);
    node->source = &source_class;
    leat__output(node, type, NULL);
    leat__source_time(node, type, time_field, 0, 0, 0, LEAT_FAIL);
    return leat__stream(node, 0);
}

/* ---- what the operator calls ---- */

static void check_times(
    const struct harness *h, const struct leat_output *output, const struct leat_batch *batch)
{
    if (!output->has_event_time)
        return;
    for (uint32_t i = 0; i < batch->count; i++) {
        const int64_t us = batch->event_us[i];
        FAIL_UNLESS(!batch->late || us <= batch->late_wm_us, "row at %lld in a batch late by %lld",
            (long long)us, (long long)batch->late_wm_us);
        FAIL_UNLESS(batch->late || h->any_idle || h->sent_us == LEAT_TIME_MIN || us > h->sent_us,
            "unmarked row at %lld behind the watermark %lld", (long long)us, (long long)h->sent_us);
    }
}

static void keep(struct harness *h, uint32_t port, struct leat_batch *batch)
{
    if (h->outs_count == h->outs_capacity) {
        h->outs_capacity = h->outs_capacity ? h->outs_capacity * 2 : 64;
        h->outs = realloc(h->outs, h->outs_capacity * sizeof *h->outs);
        if (!h->outs)
            fail_msg("harness: out of memory");
    }
    h->outs[h->outs_count++] = (struct harness_out){ port, batch };
}

static int on_emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    struct harness *h = ctx->host;
    FAIL_UNLESS(port < h->node->outputs_count, "port %u of %u", port, h->node->outputs_count);
    const struct leat_output *output = &h->node->outputs[port];
    FAIL_UNLESS(batch->type->size == output->type->size, "a batch of %s on a port of %s", batch->type->name,
        output->type->name);
    FAIL_UNLESS(batch->count <= batch->capacity, "%u rows of %u", batch->count, batch->capacity);
    FAIL_UNLESS(++h->emitted_in_call <= BATCHES_PER_CALL_MAX, "%u batches in one call", h->emitted_in_call);
    if ((int32_t)port != h->node->dead_letters_port)
        check_times(h, output, batch);
    h->rows_count[port] += batch->count;
    if (h->discard || batch->count == 0)
        leat__batch_release(batch);
    else
        keep(h, port, batch);
    return 0;
}

static int64_t on_now_us(const struct leat__ctx *ctx)
{
    struct leat_env *env = ((struct harness *)ctx->host)->env;
    return env->wall_us(env);
}

static int on_forward(struct leat__ctx *ctx, int64_t watermark_us)
{
    struct harness *h = ctx->host;
    FAIL_UNLESS(h->node->op->holds, "a watermark is forwarded by a class that does not hold any");
    FAIL_UNLESS(watermark_us >= h->sent_us && watermark_us <= ctx->watermark_us,
        "forwarded %lld behind %lld, told %lld", (long long)watermark_us, (long long)h->sent_us,
        (long long)ctx->watermark_us);
    h->sent_us = watermark_us;
    return 0;
}

static const struct leat_ctx_api api = { .emit = on_emit, .now_us = on_now_us, .forward = on_forward };

/* ---- life ---- */

static void consume_all(struct leat_node *node)
{
    for (uint32_t port = 0; port < node->outputs_count; port++) {
        char name[64];
        (void)snprintf(name, sizeof name, "test-sink-%u", port);
        struct leat_node *sink = leat__declare(node->t, name, LEAT_NODE_SINK, sink_class.kind);
        sink->sink = &sink_class;
        leat__takes_changes(sink, 0);
        leat__input(sink, 0, leat__stream(node, port), LEAT_FORWARD, NULL);
    }
}

#define KEY_GROUPS 128u

/* What an instance's state begins with, and what its operator then gets. */
struct beginning {
    const char *from;
    const struct leat_table_info *tables;
    uint32_t tables_count;
    const struct leat_sv *parts;
    uint32_t parts_count;
};

static int open_state(struct harness *h, const struct beginning *begin)
{
    char dir[32];
    (void)snprintf(dir, sizeof dir, "state-%u", h->lives++);
    const struct leat_state_opts opts = { .budget_bytes = h->budget_bytes,
        .key_groups = KEY_GROUPS,
        .env = h->files,
        .store_class = h->files ? &leat__store_memory : NULL,
        .dir = h->files ? dir : NULL,
        .from = begin->from,
        .tables = begin->tables,
        .tables_count = begin->tables_count };
    return leat__state_new(&opts, &h->state, &h->error);
}

/* An instance, with what the checkpoint has for it. */
static void start_life(struct harness *h, const struct beginning *begin)
{
    h->code = open_state(h, begin);
    if (h->code < 0)
        return;
    h->ctx.state = h->state;
    h->ctx.node = h->node;
    h->ctx.wake_us = LEAT_TIME_MAX;
    h->op = calloc(1, h->node->op->size);
    assert_non_null(h->op);
    h->op->op_class = h->node->op;
    h->op->node = h->node;
    h->code = h->node->op->init ? h->node->op->init(h->op, &h->ctx) : 0;
    if (h->code < 0 || !begin->parts_count || !h->node->op->restore)
        return;
    h->code = h->node->op->restore(h->op, &h->ctx, begin->parts, begin->parts_count);
}

static void end_life(struct harness *h)
{
    if (h->snapshot_under_way)
        leat__state_snapshot_end(h->state);
    h->snapshot_under_way = false;
    if (h->op && h->node->op->release)
        h->node->op->release(h->op, &h->ctx);
    leat__ctx_release(&h->ctx);
    leat__state_free(h->state);
    free(h->op);
    h->op = NULL;
    h->state = NULL;
}

static void start(struct harness *h, const struct harness_opts *opts)
{
    h->env = leat__env_sim_new(1, INT64_C(1577836800000000));
    assert_non_null(h->env);
    h->files = opts->with_store ? memory_env_new(1) : NULL;
    h->budget_bytes = opts->budget_bytes;
    assert_int_equal(leat__pool_new(opts->batch_rows ? opts->batch_rows : 1024, &h->pool), 0);
    assert_int_equal(leat__key_scratch_new(&h->keys), 0);
    h->ctx = (struct leat__ctx){ .api = &api,
        .host = h,
        .parallelism = 1,
        .env = h->env,
        .pool = h->pool,
        .counters = &h->counters,
        .error = &h->error,
        .watermark_us = LEAT_TIME_MIN };
    h->ctx.user.engine = &h->ctx;
    for (uint32_t i = 0; i < LEAT_NODE_INPUTS_MAX; i++)
        h->ctx.input_watermark_us[i] = LEAT_TIME_MIN;
    start_life(h, &(struct beginning){ 0 });
}

static void take_node(struct harness *h, leat_stream *stream)
{
    consume_all(stream->node);
    FAIL_UNLESS(leat_check(stream->t) == 0, "check: %s", leat_topology_error(stream->t, 0)->message);
    h->node = stream->node;
}

struct harness *harness_new(leat_stream *stream, const struct harness_opts *opts)
{
    static const struct harness_opts plain;
    if (!stream->node || leat_topology_errors_count(stream->t)) {
        const struct leat_topology_error *error = leat_topology_error(stream->t, 0);
        fail_msg("declaration: %s", error ? error->message : "inert stream");
    }
    struct harness *h = calloc(1, sizeof *h);
    assert_non_null(h);
    take_node(h, stream);
    h->sent_us = h->told_us = LEAT_TIME_MIN;
    h->discard = opts && opts->discard;
    start(h, opts ? opts : &plain);
    return h;
}

void harness_forget_outs(struct harness *h)
{
    for (uint32_t i = 0; i < h->outs_count; i++)
        leat__batch_release(h->outs[i].batch);
    h->outs_count = 0;
}

void harness_free(struct harness *h)
{
    if (!h)
        return;
    end_life(h);
    harness_forget_outs(h);
    leat__key_scratch_free(h->keys);
    leat__pool_free(h->pool);
    leat__env_sim_free(h->env);
    if (h->files)
        memory_env_free(h->files);
    leat__arena_release(&h->tables_arena);
    leat__strbuf_release(&h->mark.part);
    free(h->outs);
    free(h);
}

/* ---- delivery ---- */

struct leat_batch *harness_rows(struct harness *h, uint32_t input)
{
    struct leat_batch *batch;
    assert_int_equal(leat__batch_get(h->pool, leat__input_type(h->node, input), &batch), 0);
    return batch;
}

/* One step of the snapshot that is under way. */
static void step_snapshot(struct harness *h)
{
    struct leat_error err = { 0 };
    if (h->snapshot_under_way)
        FAIL_UNLESS(leat__state_snapshot_step(h->state, &err) >= 0, "snapshot: %s", err.message);
}

/* Whether others have woken it, which end its waiting. */
static bool is_woken(const struct harness *h)
{
    return h->ctx.woken && __atomic_load_n(h->ctx.woken, __ATOMIC_SEQ_CST);
}

/* Follows a call of the operator with as many steps as it asks for. */
static int settle(struct harness *h, int code)
{
    step_snapshot(h);
    for (uint32_t i = 0; code == LEAT_MORE || (code >= 0 && is_woken(h)); i++) {
        FAIL_UNLESS(i < STEPS_MAX, "the operator never comes to an end");
        h->emitted_in_call = 0;
        h->steps_count++;
        code = h->node->op->step(h->op, &h->ctx);
    }
    FAIL_UNLESS(code <= 0, "a call gave %d", code);
    FAIL_UNLESS(code == 0 || h->error.code == code, "error %d with the text of %d: %s", code, h->error.code,
        h->error.message);
    h->emitted_in_call = 0;
    h->code = code;
    return code;
}

static int64_t least_active(const struct harness *h, bool *any)
{
    int64_t least = LEAT_TIME_MAX;
    *any = false;
    for (uint32_t i = 0; i < h->node->inputs_count; i++) {
        if (h->activity[i] == HARNESS_IDLE || h->activity[i] == HARNESS_CATCHING_UP)
            continue;
        *any = true;
        if (h->ctx.input_watermark_us[i] < least)
            least = h->ctx.input_watermark_us[i];
    }
    return least;
}

/* Delivers the merged watermark if it has risen. */
static int merge(struct harness *h)
{
    bool any;
    int64_t w = least_active(h, &any);
    for (uint32_t i = 0; !any && i < h->node->inputs_count; i++)
        if (i == 0 || h->ctx.input_watermark_us[i] > w)
            w = h->ctx.input_watermark_us[i];
    if (h->code < 0 || w <= h->told_us)
        return h->code;
    h->ctx.watermark_us = w;
    if (h->node->op->on_watermark && settle(h, h->node->op->on_watermark(h->op, &h->ctx, w)) < 0)
        return h->code;
    h->told_us = w;
    if (!h->node->op->holds)
        h->sent_us = w;
    return 0;
}

/* What no edge sets is anything, and other things in each run: neither output nor state may show it. */
static void spoil_hashes(struct leat_batch *batch)
{
    static uint64_t junk = 1;
    const uint64_t place = (uint64_t)(uintptr_t)batch->key_hash;
    for (uint32_t i = 0; i < batch->count; i++)
        batch->key_hash[i] = (junk += UINT64_C(0x9E3779B97F4A7C15)) ^ place;
}

static int hash_keys(struct harness *h, uint32_t input, struct leat_batch *batch)
{
    const struct leat_sv *keys;
    if (h->node->inputs[input].partitioning != LEAT_HASH) {
        spoil_hashes(batch);
        return 0;
    }
    const int code = leat__key_eval(h->node->inputs[input].key, h->keys, &h->ctx.user, batch, &keys);
    if (code == 0)
        leat__key_hash(keys, batch);
    return code;
}

int harness_batch(struct harness *h, uint32_t input, struct leat_batch *batch)
{
    if (h->code < 0 || batch->count == 0) {
        leat__batch_release(batch);
        return h->code;
    }
    if (h->activity[input] == HARNESS_IDLE)
        h->activity[input] = HARNESS_CATCHING_UP;
    const int code = hash_keys(h, input, batch);
    if (code < 0) { /* the exchange's failure, not the operator's */
        leat__batch_release(batch);
        return h->code = leat__error(&h->error, code, "keys can not be hashed");
    }
    return settle(h, h->node->op->on_batch(h->op, &h->ctx, input, batch));
}

int harness_watermark(struct harness *h, uint32_t input, int64_t w)
{
    if (h->code < 0 || w <= h->ctx.input_watermark_us[input])
        return h->code;
    h->ctx.input_watermark_us[input] = w;
    if (h->activity[input] != HARNESS_ACTIVE && h->activity[input] != HARNESS_ENDED && w >= h->told_us)
        h->activity[input] = HARNESS_ACTIVE;
    return merge(h);
}

int harness_idle(struct harness *h, uint32_t input)
{
    h->activity[input] = HARNESS_IDLE;
    h->any_idle = true;
    return merge(h);
}

int harness_end(struct harness *h, uint32_t input)
{
    h->activity[input] = HARNESS_ENDED;
    h->ctx.input_watermark_us[input] = LEAT_TIME_MAX;
    if (merge(h) < 0)
        return h->code;
    for (uint32_t i = 0; i < h->node->inputs_count; i++)
        if (h->activity[i] != HARNESS_ENDED)
            return 0;
    return h->node->op->on_end ? settle(h, h->node->op->on_end(h->op, &h->ctx)) : 0;
}

int harness_advance(struct harness *h, int64_t us)
{
    leat__env_sim_advance(h->env, us);
    const int64_t now_us = h->env->wall_us(h->env);
    for (uint32_t i = 0; h->code == 0 && h->ctx.wake_us <= now_us; i++) {
        FAIL_UNLESS(i < STEPS_MAX, "the operator asks for one time again and again");
        h->ctx.wake_us = LEAT_TIME_MAX;
        (void)settle(h, h->node->op->on_time(h->op, &h->ctx, now_us));
    }
    return h->code;
}

/* ---- checkpoints ---- */

void harness_barrier(struct harness *h)
{
    struct harness_mark *mark = &h->mark;
    struct leat_error err = { 0 };
    if (h->code < 0)
        return;
    if (h->snapshot_under_way)
        leat__state_snapshot_end(h->state);
    (void)snprintf(mark->dir, sizeof mark->dir, "barrier-%u", h->barriers++);
    leat__strbuf_clear(&mark->part);
    const int code = h->node->op->snapshot ? h->node->op->snapshot(h->op, &h->ctx, &mark->part) : 0;
    FAIL_UNLESS(code == 0, "snapshot of the operator: %s", h->error.message);
    leat__state_freeze(h->state, h->node->name);
    FAIL_UNLESS(leat__state_snapshot(h->state, mark->dir, &err) == 0, "snapshot: %s", err.message);
    h->snapshot_under_way = true;
    mark->counters = h->counters;
    mark->watermark_us = h->ctx.watermark_us;
    memcpy(mark->input_watermark_us, h->ctx.input_watermark_us, sizeof mark->input_watermark_us);
    mark->sent_us = h->sent_us;
    mark->told_us = h->told_us;
    memcpy(mark->activity, h->activity, sizeof mark->activity);
    mark->any_idle = h->any_idle;
    memcpy(mark->rows_count, h->rows_count, sizeof mark->rows_count);
    mark->outs_count = h->outs_count;
}

/* The rest of the snapshot, and what it says of tables. */
static void finish_snapshot(struct harness *h)
{
    struct leat_error err = { 0 };
    struct leat_snapshot_stats stats;
    struct leat_table_info *tables = NULL;
    int code;
    while ((code = leat__state_snapshot_step(h->state, &err)) > 0)
        ;
    while (code == 0)
        code = leat__state_snapshot_poll(h->state, &err);
    FAIL_UNLESS(code == 1, "snapshot: %s", err.message);
    leat__state_snapshot_stats(h->state, &stats);
    leat__arena_release(&h->tables_arena);
    assert_int_equal(leat__state_tables(h->state, &h->tables_arena, &tables, &h->mark.tables_count), 0);
    h->mark.tables = tables;
    h->mark.has_store = stats.has_store;
    leat__state_snapshot_end(h->state);
    h->snapshot_under_way = false;
}

void harness_lose(struct harness *h)
{
    const struct harness_mark *mark = &h->mark;
    if (!h->snapshot_under_way)
        return; /* it had failed before */
    finish_snapshot(h);
    end_life(h);
    h->code = 0;
    h->error = (struct leat_error){ 0 };
    h->counters = mark->counters;
    h->ctx.watermark_us = mark->watermark_us;
    memcpy(h->ctx.input_watermark_us, mark->input_watermark_us, sizeof mark->input_watermark_us);
    h->sent_us = mark->sent_us;
    h->told_us = mark->told_us;
    memcpy(h->activity, mark->activity, sizeof mark->activity);
    h->any_idle = mark->any_idle;
    memcpy(h->rows_count, mark->rows_count, sizeof mark->rows_count);
    while (h->outs_count > mark->outs_count)
        leat__batch_release(h->outs[--h->outs_count].batch);
}

int harness_restore(struct harness *h)
{
    const struct harness_mark *mark = &h->mark;
    const struct leat_sv part = { mark->part.data, mark->part.len };
    const struct beginning begin = { .from = mark->has_store ? mark->dir : NULL,
        .tables = mark->tables,
        .tables_count = mark->tables_count,
        .parts = &part,
        .parts_count = h->node->op->snapshot ? 1 : 0 };
    if (h->code < 0 || h->op)
        return h->code;
    start_life(h, &begin);
    if (h->code == 0 && h->node->op->holds && h->told_us > LEAT_TIME_MIN) /* what it knew is told once more */
        (void)settle(h, h->node->op->on_watermark(h->op, &h->ctx, h->told_us));
    return h->code;
}

/* ---- rescaling ---- */

#define SUBTASKS_MAX 8u
#define TABLES_MAX 16u

static uint32_t split_to_all(void *arg, const struct leat_table_info *table)
{
    (void)table;
    return *(const uint32_t *)arg;
}

static bool has_files(const struct harness *h, const char *dir)
{
    char path[64];
    size_t size;
    for (uint32_t n = 0; n < 100; n++) {
        (void)snprintf(path, sizeof path, "%s/%06u.run", dir, n);
        if (memory_env_get(h->files, path, &size))
            return true;
    }
    return false;
}

static void copy_store(struct harness *to, const char *dir, const struct harness *from)
{
    char path[64];
    size_t size;
    for (uint32_t n = 0; n < 100; n++) {
        (void)snprintf(path, sizeof path, "%s/%06u.run", from->mark.dir, n);
        const void *bytes = memory_env_get(from->files, path, &size);
        (void)snprintf(path, sizeof path, "%s/%06u.run", dir, n);
        if (bytes)
            memory_env_put(to->files, path, bytes, size);
    }
}

/* Tables that any of them has. */
static uint32_t gather_tables(
    struct harness *const *from, uint32_t count, struct leat_table_info tables[TABLES_MAX])
{
    uint32_t tables_count = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t t = 0; t < from[i]->mark.tables_count; t++) {
            const struct leat_table_info *info = &from[i]->mark.tables[t];
            uint32_t at = 0;
            while (at < tables_count && strcmp(tables[at].name, info->name) != 0)
                at++;
            assert_true(at < TABLES_MAX);
            if (at == tables_count)
                tables[tables_count++] = *info;
        }
    return tables_count;
}

int harness_rescale(
    struct harness *h, uint32_t subtask, uint32_t parallelism, struct harness *const *from, uint32_t count)
{
    char dirs[2 * SUBTASKS_MAX][16];
    const char *in[SUBTASKS_MAX], *out[SUBTASKS_MAX];
    struct leat_sv parts[SUBTASKS_MAX];
    struct leat_table_info tables[TABLES_MAX];
    uint32_t in_count = 0;
    assert_true(count <= SUBTASKS_MAX && parallelism <= SUBTASKS_MAX);
    end_life(h);
    h->told_us = h->sent_us = h->ctx.watermark_us = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct harness_mark *mark = &from[i]->mark;
        (void)snprintf(dirs[i], sizeof dirs[i], "in-%u", i);
        copy_store(h, dirs[i], from[i]);
        if (mark->has_store)
            in[in_count++] = dirs[i];
        parts[i] = (struct leat_sv){ mark->part.data, mark->part.len };
        if (mark->watermark_us < h->ctx.watermark_us)
            h->told_us = h->sent_us = h->ctx.watermark_us = h->ctx.input_watermark_us[0] = mark->watermark_us;
    }
    for (uint32_t i = 0; i < parallelism; i++) {
        (void)snprintf(dirs[SUBTASKS_MAX + i], sizeof dirs[0], "out-%u", i);
        out[i] = dirs[SUBTASKS_MAX + i];
    }
    const struct leat_split_opts opts = { .env = h->files,
        .store_class = &leat__store_memory,
        .from = in,
        .from_count = in_count,
        .to = out,
        .to_count = parallelism,
        .key_groups = KEY_GROUPS,
        .tables = tables,
        .tables_count = gather_tables(from, count, tables),
        .parallelism = split_to_all,
        .arg = &parallelism };
    FAIL_UNLESS(leat__state_split(&opts, &h->error) == 0, "%s", h->error.message);
    const struct beginning begin = { .from = has_files(h, out[subtask]) ? out[subtask] : NULL,
        .tables = tables,
        .tables_count = opts.tables_count,
        .parts = parts,
        .parts_count = h->node->op->snapshot ? count : 0 };
    h->ctx.subtask = subtask;
    h->ctx.parallelism = parallelism;
    start_life(h, &begin);
    return h->code;
}

int harness_crash(struct harness *h, leat_stream *stream)
{
    if (h->code < 0)
        return h->code;
    harness_barrier(h);
    harness_lose(h);
    if (stream)
        take_node(h, stream);
    return harness_restore(h);
}
