/* operators/group_aggregate.c -- one result per key over all its records so far, as changes.
 *
 *   each record by itself                        folded (mini-batches)
 *     result of the key before                     first change of a key: its value is put aside as given
 *     the record is added, or taken back           records are added, or taken back, as they come
 *     result of the key after                      flush: result of what was given, result of what there is
 *     nothing, one change or a pair                nothing, one change or a pair
 *
 * What was given is never kept as a record: it is the result of the value that it was made of.
 *
 * Folded changes have the greatest event time of their records; they are flushed before the watermark passes the
 * least. So no change is late that was not in time; records that are late themselves are not folded, and what was
 * folded before them is flushed first.
 *
 * Time to live: a key has one timer at a time, at the end of the part of time in which it is gone if nothing more
 * comes; when it goes off, the key is looked at. A record that finds its key gone says so itself. At the end of the
 * input what is left stays: nothing is gone because there is no more to come.
 *
 * State: table "groups", key -> head, value, and where changes are folded the value that was given; table
 * "folded", the keys whose changes wait; timers "idle".
 *
 * Invariants: (1) a key is in "groups" only while its count is not 0, or a change of it waits; (2) head.waits says
 * whether it is in "folded"; (3) between calls that have returned 0 all that was made is given. */
#include "base/hash.h"
#include "operators/changes_private.h"
#include "operators/group_aggregate_private.h"
#include "operators/timers_private.h"

#define CHUNK LEAT__RUN_CHUNK
#define ITEMS LEAT__RUN_ITEMS
#define TTL_PARTS 16

enum waits {
    WAITS_NOT = 0,
    WAITS_NEW,
    WAITS_GIVEN
}; /* a change waits; of a key that had no result; that had one */

struct group_head {
    int64_t count; /* records, less those taken back */
    int64_t touched_us; /* by the clock of the time to live */
    int64_t idle_us; /* the timer that is set, if has_timer */
    int64_t event_us; /* of the change that waits */
    uint32_t has_timer;
    uint32_t waits;
};

struct group {
    struct leat_op op;
    const struct leat__group_spec *spec;
    struct leat__run run; /* batches, keys and columns; its output is not used */
    struct leat__changes changes;
    struct leat_table *table, *folded;
    struct leat__timers idle;
    uint32_t given_at; /* of the value that was given */
    bool folds;

    uint32_t at; /* the next row of run.batch */
    bool at_once; /* this batch is not folded */
    uint32_t rows[CHUNK];
    /* What is to be done to other tables when the values are no longer looked at: rows. */
    uint32_t armed[CHUNK], empty[CHUNK], waiting[CHUNK];
    int64_t armed_us[CHUNK];
    uint32_t armed_count, empty_count, waiting_count;
    struct group_head *heads[CHUNK];
    unsigned char *values[CHUNK];

    uint64_t folded_rows; /* since the last flush */
    int64_t folded_us; /* the least event time among them */
    int64_t flush_us; /* by the wall clock; LEAT_TIME_MAX: never */
    bool is_flushing, is_sweeping;
    int64_t sweep_us;
    struct leat_cursor *cursor; /* of "folded" */
    struct leat_strbuf keys; /* of a cursor's items; of a timer */
};

static unsigned char *values_of(struct group_head *head)
{
    return (unsigned char *)(head + 1);
}

static unsigned char *given_of(const struct group *g, struct group_head *head)
{
    return (unsigned char *)head + g->given_at;
}

static struct leat__agg_memory memory_of(const struct group *g)
{
    return (struct leat__agg_memory){ .table = g->table };
}

/* ---- life ---- */

static int encode_value(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct group *g = arg;
    leat__strbuf_add(out, value, sizeof(struct group_head));
    LEAT_TRY(leat__agg_encode_values(
        &g->spec->aggs, (const unsigned char *)value + sizeof(struct group_head), out));
    return g->folds ? leat__agg_encode_values(&g->spec->aggs, (const unsigned char *)value + g->given_at, out)
                    : 0;
}

static int decode_value(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct group *g = arg;
    const struct leat__agg_memory mem = { .table = table, .ns = ns };
    const size_t head = sizeof(struct group_head);
    size_t used, used_given = 0;
    if (len < head)
        return LEAT_EDATA;
    memcpy(value, data, head);
    LEAT_TRY(leat__agg_decode_values(
        &g->spec->aggs, &mem, data + head, len - head, (unsigned char *)value + head, &used));
    if (g->folds)
        LEAT_TRY(leat__agg_decode_values(&g->spec->aggs, &mem, data + head + used, len - head - used,
            (unsigned char *)value + g->given_at, &used_given));
    return head + used + used_given == len ? 0 : LEAT_EDATA;
}

static int accept_schema(void *arg, const char *saved_schema, struct leat_error *err)
{
    const struct group *g = arg;
    return leat__agg_accept_schema(&g->spec->aggs, saved_schema, err);
}

static int open_groups(struct group *g, struct leat__ctx *ctx)
{
    const struct leat__aggregate_spec *aggs = &g->spec->aggs;
    struct leat_strbuf format = { 0 };
    leat__strbuf_printf(&format, "v1; group%s%s", g->folds ? " with what was given" : "",
        aggs->takes_changes ? " of changes" : "");
    leat__agg_print_aggs(aggs, &format);
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "groups",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(aggs->key),
        .value_size = g->given_at + (g->folds ? aggs->values_size : 0),
        .codec = { .arg = g },
        .key_text = aggs->key_types,
        .format = format.data,
        .accept_schema = accept_schema,
        .schema = aggs->schemas,
        .counted = true,
    };
    if (aggs->has_memory) {
        opts.codec.encode = encode_value;
        opts.codec.decode = decode_value;
    }
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &g->table, ctx->error);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int open_folded(struct group *g, struct leat__ctx *ctx)
{
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "folded",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(g->spec->aggs.key),
        .value_size = sizeof(uint64_t),
        .key_text = g->spec->aggs.key_types,
        .format = "v1; nothing",
    };
    return leat__table_open(ctx->state, &opts, &g->folded, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static int group_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct group *g = (struct group *)op;
    g->spec = op->node->spec;
    g->folds = leat__group_folds(g->spec);
    g->given_at = (uint32_t)sizeof(struct group_head) + g->spec->aggs.values_size;
    g->changes.type = g->spec->aggs.out;
    g->folded_us = g->flush_us = LEAT_TIME_MAX;
    LEAT_TRY(leat__run_init(&g->run, ctx, &g->spec->aggs));
    LEAT_TRY(open_groups(g, ctx));
    if (g->folds)
        LEAT_TRY(open_folded(g, ctx));
    const struct leat__timers_opts timers = { .name = "idle",
        .key_size = leat__key_fixed_size(g->spec->aggs.key),
        .key_types = g->spec->aggs.key_types };
    return g->spec->ttl_us ? leat__timers_open(&g->idle, ctx, &timers) : 0;
}

static void group_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct group *g = (struct group *)op;
    (void)ctx;
    leat__run_release(&g->run);
    leat__changes_release(&g->changes);
    leat__cursor_close(g->cursor);
    leat__strbuf_release(&g->keys);
    leat__table_close(g->table);
    leat__table_close(g->folded);
    if (g->spec && g->spec->ttl_us)
        leat__timers_close(&g->idle);
}

/* ---- results ---- */

static int fail_result(
    struct group *g, struct leat__ctx *ctx, const struct leat__agg *agg, struct leat_sv key, int code)
{
    struct leat_strbuf text = { 0 };
    if (code != LEAT_EOVERFLOW)
        return leat__rows_nomem(ctx, "a result");
    leat__key_parts_print(&g->spec->aggs.key_parts, key, &text);
    code = leat__fail(ctx, LEAT_EOVERFLOW,
        "aggs[%u] \"%s\": the sum of %s is beyond 64 bits for %s; set .on_overflow to LEAT_OVERFLOW_SATURATE "
        "or "
        "LEAT_OVERFLOW_WRAP, or sum cast(... as double)",
        agg->index, agg->as, agg->of, text.data ? text.data : "a key");
    leat__strbuf_release(&text);
    return code;
}

/* The callbacks' fields; 1 when one has refused the result. */
static int fill_users(
    struct group *g, struct leat__ctx *ctx, const unsigned char *values, struct leat_batch *out, uint32_t row)
{
    leat__ctx_begin(ctx, NULL, out);
    ctx->user.row = row;
    LEAT_TRY(leat__agg_show_users(&g->spec->aggs, ctx, values, out, leat_batch_at(out, row)));
    const bool refused = ctx->user.failures_count > 0;
    const int code = leat__ctx_end(ctx, NULL, NULL);
    ctx->batch_in = g->run.batch;
    ctx->batch_out = NULL;
    return code < 0 ? code : refused;
}

/* Makes the result of `values`; one that a callback refuses is none. */
static int make_result(
    struct group *g, struct leat__ctx *ctx, int which, struct leat_sv key, const unsigned char *values)
{
    const struct leat__aggregate_spec *aggs = &g->spec->aggs;
    const struct leat__pane pane = { .key = key };
    struct leat_batch *out;
    LEAT_TRY(leat__changes_row(&g->changes, ctx, which, &out));
    const uint32_t row = out->count - 1;
    void *record = leat_batch_at(out, row);
    if (!leat__out_fill(aggs, &pane, out, record))
        return leat__rows_nomem(ctx, "a row of output");
    for (uint32_t i = 0; i < aggs->aggs_count; i++) {
        const struct leat__agg *agg = &aggs->aggs[i];
        const int code = agg->op == LEAT__USER ? 0 : leat__agg_result(aggs, agg, values, out, record);
        if (code < 0)
            return fail_result(g, ctx, agg, key, code);
    }
    const int refused = aggs->users_count ? fill_users(g, ctx, values, out, row) : 0;
    if (refused > 0)
        leat__changes_refuse(&g->changes, which);
    return refused < 0 ? refused : 0;
}

/* ---- keys that go, and when ---- */

/* Clears the value, so that the key begins anew. */
static void forget_value(struct group *g, struct group_head *head)
{
    leat__agg_reset(&g->spec->aggs, values_of(head));
    head->count = 0;
}

/* Removes keys whose count is 0 and of which nothing waits. */
static int remove_empty(
    struct group *g, struct leat__ctx *ctx, const struct leat_sv *keys, const uint64_t *hashes)
{
    const struct leat__agg_memory mem = memory_of(g);
    for (uint32_t i = 0; i < g->empty_count; i++) {
        const uint32_t row = g->empty[i];
        void *value;
        if (leat__table_upsert(g->table, 0, keys, hashes, &row, 1, &value, ctx->error) < 0)
            return leat__fail_here(ctx);
        struct group_head *head = value;
        if (head->count != 0 || head->waits)
            continue;
        leat__agg_forget(&g->spec->aggs, &mem, values_of(head));
        if (leat__table_remove(g->table, 0, keys[row], hashes[row], ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    g->empty_count = 0;
    return 0;
}

static int64_t now_of(const struct group *g, const struct leat__ctx *ctx, int64_t event_us)
{
    const int64_t w = leat__ctx_late_wm(ctx, g->run.batch);
    if (g->spec->ttl_is_processing)
        return ctx->api->now_us(ctx);
    return event_us > w ? event_us : w;
}

/* The end of the part of time in which the key is gone. */
static int64_t idle_at(const struct group *g, const struct group_head *head)
{
    const int64_t gone_us = leat__time_add(head->touched_us, g->spec->ttl_us);
    const int64_t part_us = g->spec->ttl_us / TTL_PARTS + 1;
    const int64_t into_us = leat__floor_mod(gone_us, part_us);
    return into_us ? leat__time_add(gone_us, part_us - into_us) : gone_us;
}

static bool is_gone(const struct group *g, const struct group_head *head, int64_t now_us)
{
    return head->count != 0 && leat__time_add(head->touched_us, g->spec->ttl_us) <= now_us;
}

static void touch(struct group *g, uint32_t i, int64_t now_us)
{
    struct group_head *head = g->heads[i];
    if (head->count == 0 || head->touched_us < now_us)
        head->touched_us = now_us;
    if (head->has_timer)
        return;
    head->has_timer = 1;
    head->idle_us = idle_at(g, head);
    g->armed_us[g->armed_count] = head->idle_us;
    g->armed[g->armed_count++] = g->rows[i];
}

/* Sets the timers of keys that had none. */
static int arm(struct group *g, struct leat__ctx *ctx)
{
    const struct leat_sv none = { NULL, 0 };
    for (uint32_t i = 0; i < g->armed_count; i++)
        LEAT_TRY(leat__timers_set(&g->idle, ctx, g->armed_us[i], none, g->run.keys[g->armed[i]]));
    g->armed_count = 0;
    return 0;
}

/* ---- adding and taking back ---- */

static bool takes_back(const struct leat_batch *batch, uint32_t row)
{
    const uint8_t change = leat__batch_change(batch, row);
    return change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
}

static int64_t retract(
    struct group *g, struct leat__ctx *ctx, uint32_t *rows, unsigned char **values, uint32_t count)
{
    const struct leat__agg_pass pass = {
        .spec = &g->spec->aggs,
        .ctx = ctx,
        .mem = memory_of(g),
        .batch = g->run.batch,
        .views = g->run.views,
        .keys = g->run.keys,
        .rows = rows,
        .values = values,
        .count = count,
        .pointers = g->run.pointers,
    };
    if (pass.spec->users_count) {
        LEAT_TRY(leat__agg_retract_users(&pass));
        LEAT_TRY(leat__ctx_end(ctx, g->run.batch, NULL));
    }
    LEAT_TRY(leat__agg_retract(&pass));
    return count;
}

/* Rows of the chunk from .. from+count-1, which all do the same. How many were not refused. */
static int64_t apply(struct group *g, struct leat__ctx *ctx, uint32_t from, uint32_t count, bool back)
{
    const int64_t done = back
        ? retract(g, ctx, &g->rows[from], &g->values[from], count)
        : leat__run_add(&g->run, ctx, g->table, 0, &g->rows[from], &g->values[from], count);
    for (int64_t i = 0; i < done; i++) { /* those that were refused have gone to the end, or away */
        struct group_head *head = (struct group_head *)(void *)g->values[from + i] - 1;
        head->count += back ? -1 : (int64_t)leat__run_records(&g->run, g->rows[from + i]);
    }
    return done;
}

/* ---- each record by itself ---- */

static int give_gone(
    struct group *g, struct leat__ctx *ctx, struct group_head *head, uint32_t row, struct leat_sv key)
{
    const struct leat_batch *batch = g->run.batch;
    const int64_t idle_us = idle_at(g, head), event_us = batch->event_us[row];
    const int64_t gone_us = g->spec->ttl_is_processing || event_us < idle_us ? event_us : idle_us;
    LEAT_TRY(leat__changes_begin(&g->changes, ctx, batch, gone_us, batch->key_hash[row]));
    if (head->count > 0)
        LEAT_TRY(make_result(g, ctx, LEAT__BEFORE, key, values_of(head)));
    forget_value(g, head);
    return leat__changes_settle(&g->changes, ctx);
}

static int do_row(struct group *g, struct leat__ctx *ctx, uint32_t i)
{
    const struct leat_batch *batch = g->run.batch;
    const uint32_t row = g->rows[i];
    struct group_head *head = g->heads[i];
    const struct leat_sv key = g->run.keys[row];
    const bool back = takes_back(batch, row);
    if (g->spec->ttl_us) {
        const int64_t now_us = now_of(g, ctx, batch->event_us[row]);
        if (is_gone(g, head, now_us))
            LEAT_TRY(give_gone(g, ctx, head, row, key));
        if (back && head->count == 0) {
            leat__count(&ctx->counters->dropped_records, 1);
            g->empty[g->empty_count++] = row;
            return 0;
        }
        touch(g, i, now_us);
    }
    LEAT_TRY(leat__changes_begin(&g->changes, ctx, batch, batch->event_us[row], batch->key_hash[row]));
    if (head->count > 0)
        LEAT_TRY(make_result(g, ctx, LEAT__BEFORE, key, values_of(head)));
    const int64_t done = apply(g, ctx, i, 1, back);
    if (done < 0)
        return (int)done;
    if (head->count > 0)
        LEAT_TRY(make_result(g, ctx, LEAT__AFTER, key, values_of(head)));
    if (head->count == 0)
        g->empty[g->empty_count++] = row;
    return leat__changes_settle(&g->changes, ctx);
}

/* ---- folding ---- */

static int wait_for_flush(struct group *g, uint32_t i, int64_t event_us)
{
    const struct leat__agg_memory mem = memory_of(g);
    struct group_head *head = g->heads[i];
    const int64_t least_us =
        g->run.takes_partials ? leat__partial_at(g->run.batch, g->rows[i])->least_us : event_us;
    if (least_us < g->folded_us)
        g->folded_us = least_us;
    if (head->waits) {
        if (event_us > head->event_us)
            head->event_us = event_us;
        return 0;
    }
    head->waits = head->count > 0 ? WAITS_GIVEN : WAITS_NEW;
    head->event_us = event_us;
    g->waiting[g->waiting_count++] = g->rows[i];
    return head->waits == WAITS_GIVEN
        ? leat__agg_copy_shown(&g->spec->aggs, &mem, given_of(g, head), values_of(head))
        : 0;
}

/* Adds the rows of a chunk, those that do the same together. */
static int fold_rows(struct group *g, struct leat__ctx *ctx, uint32_t count)
{
    const struct leat_batch *batch = g->run.batch;
    for (uint32_t from = 0, to; from < count; from = to) {
        const bool back = takes_back(batch, g->rows[from]);
        for (to = from + 1; to < count && takes_back(batch, g->rows[to]) == back;)
            to++;
        const int64_t done = apply(g, ctx, from, to - from, back);
        if (done < 0)
            return (int)done;
    }
    return 0;
}

/* What the rows of a chunk mean for their keys before they are added. Rows that take back what is forgotten leave
 * the chunk: how many are left. */
static int64_t begin_folding(struct group *g, struct leat__ctx *ctx, uint32_t count)
{
    const struct leat_batch *batch = g->run.batch;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t event_us = batch->event_us[g->rows[i]];
        g->rows[kept] = g->rows[i];
        g->heads[kept] = g->heads[i];
        g->values[kept] = g->values[i];
        const int64_t now_us = g->spec->ttl_us ? now_of(g, ctx, event_us) : 0;
        if (wait_for_flush(g, kept, event_us) < 0)
            return leat__rows_nomem(ctx, "what was given");
        if (g->spec->ttl_us && is_gone(g, g->heads[kept], now_us))
            forget_value(g, g->heads[kept]);
        if (g->spec->ttl_us && g->heads[kept]->count == 0 && takes_back(batch, g->rows[kept])) {
            leat__count(&ctx->counters->dropped_records, 1);
            continue;
        }
        if (g->spec->ttl_us)
            touch(g, kept, now_us);
        kept++;
    }
    return kept;
}

static int fold_chunk(struct group *g, struct leat__ctx *ctx, uint32_t count)
{
    void *nothing[CHUNK];
    const int64_t kept = begin_folding(g, ctx, count);
    if (kept < 0)
        return (int)kept;
    LEAT_TRY(fold_rows(g, ctx, (uint32_t)kept));
    for (uint32_t i = 0; i < count; i++)
        g->folded_rows += leat__run_records(&g->run, g->rows[i]);
    if (g->flush_us == LEAT_TIME_MAX && g->spec->mini_us)
        g->flush_us = leat__time_add(ctx->api->now_us(ctx), g->spec->mini_us);
    if (g->waiting_count &&
        leat__table_upsert(g->folded, 0, g->run.keys, g->run.batch->key_hash, g->waiting, g->waiting_count,
            nothing, ctx->error) < 0)
        return leat__fail_here(ctx);
    g->waiting_count = 0;
    return 0;
}

/* ---- batches ---- */

static int find_chunk(struct group *g, struct leat__ctx *ctx, uint32_t count)
{
    void *found[CHUNK];
    for (uint32_t i = 0; i < count; i++)
        g->rows[i] = g->at + i;
    if (leat__table_upsert(
            g->table, 0, g->run.keys, g->run.batch->key_hash, g->rows, count, found, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++) {
        g->heads[i] = found[i];
        g->values[i] = values_of(g->heads[i]);
    }
    return 0;
}

/* Some rows at once, until the call has given enough. */
static int do_chunk(struct group *g, struct leat__ctx *ctx, uint32_t count)
{
    uint32_t done = 0;
    while (done < count && g->changes.batches_given < LEAT_OP_BATCHES_PER_CALL)
        LEAT_TRY(do_row(g, ctx, done++));
    g->at += done;
    LEAT_TRY(arm(g, ctx));
    return remove_empty(g, ctx, g->run.keys, g->run.batch->key_hash);
}

static int do_batch(struct group *g, struct leat__ctx *ctx)
{
    const bool folds = g->folds && !g->at_once;
    while (g->at < g->run.batch->count) {
        const uint32_t left = g->run.batch->count - g->at, count = left < CHUNK ? left : CHUNK;
        LEAT_TRY(find_chunk(g, ctx, count));
        if (folds) {
            LEAT_TRY(fold_chunk(g, ctx, count));
            LEAT_TRY(arm(g, ctx));
            g->at += count;
        } else {
            LEAT_TRY(do_chunk(g, ctx, count));
        }
        if (g->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL)
            return LEAT_MORE;
    }
    leat__batch_release(g->run.batch);
    g->run.batch = NULL;
    if (folds && g->spec->mini_rows && g->folded_rows >= g->spec->mini_rows)
        g->is_flushing = true;
    return 0;
}

/* ---- flushing what was folded ---- */

static int flush_key(
    struct group *g, struct leat__ctx *ctx, struct group_head *head, struct leat_sv key, uint64_t hash)
{
    const struct leat__agg_memory mem = memory_of(g);
    if (!head->waits)
        return 0;
    LEAT_TRY(leat__changes_begin(&g->changes, ctx, NULL, head->event_us, hash));
    if (head->waits == WAITS_GIVEN)
        LEAT_TRY(make_result(g, ctx, LEAT__BEFORE, key, given_of(g, head)));
    if (head->count > 0)
        LEAT_TRY(make_result(g, ctx, LEAT__AFTER, key, values_of(head)));
    if (head->waits == WAITS_GIVEN) {
        leat__agg_forget(&g->spec->aggs, &mem, given_of(g, head));
        memset(given_of(g, head), 0, g->spec->aggs.values_size);
    }
    head->waits = WAITS_NOT;
    return leat__changes_settle(&g->changes, ctx);
}

/* The keys of items, out of the table's way. */
static int copy_keys(struct group *g, struct leat__ctx *ctx, const struct leat_cursor_item *items,
    uint32_t count, struct leat_sv *keys)
{
    leat__strbuf_clear(&g->keys);
    for (uint32_t i = 0; i < count; i++)
        leat__strbuf_add(&g->keys, items[i].key.data, items[i].key.len);
    if (g->keys.failed)
        return leat__rows_nomem(ctx, "keys");
    const char *at = g->keys.data;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = (struct leat_sv){ at, items[i].key.len };
        at += items[i].key.len;
    }
    return 0;
}

static int flush_items(
    struct group *g, struct leat__ctx *ctx, const struct leat_cursor_item *items, uint32_t count)
{
    struct leat_sv keys[ITEMS];
    uint64_t hashes[ITEMS];
    void *found[ITEMS];
    LEAT_TRY(copy_keys(g, ctx, items, count, keys));
    for (uint32_t i = 0; i < count; i++)
        hashes[i] = items[i].hash;
    if (leat__table_upsert(g->table, 0, keys, hashes, NULL, count, found, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = 0; i < count; i++) {
        struct group_head *head = found[i];
        LEAT_TRY(flush_key(g, ctx, head, keys[i], hashes[i]));
        if (head->count == 0)
            g->empty[g->empty_count++] = i;
    }
    return remove_empty(g, ctx, keys, hashes);
}

static int flush_folded(struct group *g, struct leat__ctx *ctx)
{
    struct leat_cursor_item items[ITEMS];
    int64_t count;
    if (!g->cursor && leat__cursor_open(g->folded, 0, LEAT_CURSOR_READ, &g->cursor, ctx->error) < 0)
        return leat__fail_here(ctx);
    while ((count = leat__cursor_next(g->cursor, items, ITEMS, ctx->error)) > 0) {
        LEAT_TRY(flush_items(g, ctx, items, (uint32_t)count));
        g->run.keys_seen += (uint32_t)count;
        if (g->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL ||
            g->run.keys_seen >= LEAT__RUN_KEYS_PER_CALL)
            return LEAT_MORE;
    }
    if (count < 0)
        return leat__fail_here(ctx);
    leat__cursor_close(g->cursor);
    g->cursor = NULL;
    if (leat__table_drop(g->folded, 0, ctx->error) < 0)
        return leat__fail_here(ctx);
    g->is_flushing = false;
    g->folded_rows = 0;
    g->folded_us = g->flush_us = LEAT_TIME_MAX;
    return 0;
}

/* ---- keys that are gone ---- */

/* The time of what the wall clock has made: the moment behind the watermark. */
static int64_t sweep_event_us(const struct group *g, const struct leat__ctx *ctx, int64_t timer_us)
{
    return g->spec->ttl_is_processing ? leat__time_add(ctx->watermark_us, 1) : timer_us;
}

static int sweep_key(struct group *g, struct leat__ctx *ctx, struct leat_sv key, int64_t timer_us)
{
    const struct leat__agg_memory mem = memory_of(g);
    const uint64_t hash = leat__hash(key.data, key.len);
    const struct leat_sv none = { NULL, 0 };
    void *found;
    if (leat__table_find(g->table, 0, &key, &hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (!found)
        return 0;
    if (leat__table_upsert(g->table, 0, &key, &hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    struct group_head *head = found;
    if (!head->has_timer || head->idle_us != timer_us)
        return 0; /* of an earlier life of the key */
    if (leat__time_add(head->touched_us, g->spec->ttl_us) > timer_us) {
        const int64_t idle_us = head->idle_us = idle_at(g, head);
        return leat__timers_set(&g->idle, ctx, idle_us, none, key);
    }
    const int64_t event_us = sweep_event_us(g, ctx, timer_us);
    LEAT_TRY(leat__changes_begin(&g->changes, ctx, NULL, event_us, hash));
    if (head->count > 0)
        LEAT_TRY(make_result(g, ctx, LEAT__BEFORE, key, values_of(head)));
    LEAT_TRY(leat__changes_settle(&g->changes, ctx));
    leat__agg_forget(&g->spec->aggs, &mem, values_of(head));
    return leat__table_remove(g->table, 0, key, hash, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* Nothing waits to be flushed. */
static int sweep(struct group *g, struct leat__ctx *ctx)
{
    for (;;) {
        int64_t time_us;
        const int next = leat__timers_next(&g->idle, ctx, g->sweep_us, &time_us);
        if (next < 0)
            return next;
        if (next == LEAT__TIMERS_MORE)
            return LEAT_MORE;
        if (next == 0)
            break;
        leat__strbuf_clear(&g->keys);
        const int taken = leat__timers_take(&g->idle, ctx, &g->keys);
        if (taken < 0)
            return taken;
        if (taken)
            LEAT_TRY(sweep_key(g, ctx, (struct leat_sv){ g->keys.data, g->keys.len }, time_us));
        if (g->changes.batches_given >= LEAT_OP_BATCHES_PER_CALL ||
            ++g->run.keys_seen >= LEAT__RUN_KEYS_PER_CALL)
            return LEAT_MORE;
    }
    g->is_sweeping = false;
    return 0;
}

/* ---- what there is to do ---- */

static int set_wake(struct group *g, struct leat__ctx *ctx)
{
    int64_t wake_us = LEAT_TIME_MAX;
    if (g->spec->ttl_us && g->spec->ttl_is_processing)
        LEAT_TRY(leat__timers_wake(&g->idle, ctx, &wake_us));
    ctx->wake_us = g->flush_us < wake_us ? g->flush_us : wake_us;
    return 0;
}

static int go_on(struct group *g, struct leat__ctx *ctx)
{
    int code = 0;
    g->changes.batches_given = 0;
    leat__run_begin(&g->run);
    while (code == 0) {
        if (g->is_flushing)
            code = flush_folded(g, ctx);
        else if (g->is_sweeping)
            code = sweep(g, ctx);
        else if (g->run.batch)
            code = do_batch(g, ctx);
        else
            break;
    }
    leat__run_count_keys(ctx, g->table);
    if (code != 0)
        return code;
    LEAT_TRY(leat__changes_flush(&g->changes, ctx));
    return set_wake(g, ctx);
}

static bool waits_for_flush(const struct group *g)
{
    return g->folded_us != LEAT_TIME_MAX || g->folded_rows;
}

/* Whether some row is late, and so none is folded. */
static bool has_late(const struct leat__ctx *ctx, const struct leat_batch *batch)
{
    bool late = batch->late != 0;
    for (uint32_t i = 0; !late && ctx->watermark_us != LEAT_TIME_MIN && i < batch->count; i++)
        late = batch->event_us[i] <= ctx->watermark_us;
    return late;
}

static int group_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct group *g = (struct group *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0 && !g->run.batch);
    LEAT_TRY(leat__run_prepare(&g->run, ctx, batch));
    if (!g->run.batch)
        return 0;
    g->at = 0;
    g->at_once = !g->folds || has_late(ctx, g->run.batch);
    if (g->at_once && waits_for_flush(g))
        g->is_flushing = true;
    return go_on(g, ctx);
}

static int group_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct group *g = (struct group *)op;
    const bool by_event = g->spec->ttl_us && !g->spec->ttl_is_processing;
    if (by_event && w != LEAT_TIME_MAX && leat__timers_may_be_due(&g->idle, w)) {
        g->is_sweeping = true;
        g->sweep_us = w;
    }
    g->is_flushing = waits_for_flush(g) && (g->is_sweeping || g->folded_us <= w);
    return go_on(g, ctx);
}

static int group_on_time(struct leat_op *op, struct leat__ctx *ctx, int64_t now_us)
{
    struct group *g = (struct group *)op;
    if (g->spec->ttl_us && g->spec->ttl_is_processing) {
        g->is_sweeping = true;
        g->sweep_us = now_us;
    }
    g->is_flushing = waits_for_flush(g) && (g->is_sweeping || g->flush_us <= now_us);
    return go_on(g, ctx);
}

static int group_on_end(struct leat_op *op, struct leat__ctx *ctx)
{
    struct group *g = (struct group *)op;
    g->is_flushing = waits_for_flush(g);
    return go_on(g, ctx);
}

static int group_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return go_on((struct group *)op, ctx);
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   rows folded since the last flush, their least event time, the time of the next flush: 8 bytes
 *              each, little-endian */
#define SAVED_BYTES (1 + 3 * sizeof(int64_t))

static int group_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct group *g = (const struct group *)op;
    LEAT_ASSERT(!g->run.batch && !g->cursor && !g->changes.out);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &g->folded_rows, sizeof g->folded_rows);
    leat__strbuf_add(out, &g->folded_us, sizeof g->folded_us);
    leat__strbuf_add(out, &g->flush_us, sizeof g->flush_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static int group_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct group *g = (struct group *)op;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t rows;
        int64_t times[2];
        if (parts[i].len != SAVED_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        memcpy(&rows, parts[i].data + 1, sizeof rows);
        memcpy(times, parts[i].data + 1 + sizeof rows, sizeof times);
        g->folded_rows = rows > g->folded_rows ? rows : g->folded_rows;
        g->folded_us = times[0] < g->folded_us ? times[0] : g->folded_us;
        g->flush_us = times[1] < g->flush_us ? times[1] : g->flush_us;
    }
    leat__run_count_keys(ctx, g->table);
    return set_wake(g, ctx);
}

const struct leat_op_class leat__group_aggregate_class = {
    .kind = "group aggregate",
    .combine = &leat__pre_aggregate_groups,
    .size = sizeof(struct group),
    .init = group_init,
    .on_batch = group_on_batch,
    .on_watermark = group_on_watermark,
    .on_end = group_on_end,
    .step = group_step,
    .on_time = group_on_time,
    .snapshot = group_snapshot,
    .restore = group_restore,
    .release = group_release,
};
