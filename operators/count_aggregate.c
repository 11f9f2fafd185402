/* operators/count_aggregate.c -- aggregates over count windows: of each key the last `count` records, every `every`.
 *
 * The windows of a key end at its records number every, 2 every, ...; the one that ends at record E is over records
 * E - count + 1 .. E (those that there are: the first windows may have fewer). Each window that is begun has
 * accumulators, to which each of its records is added: nothing has to be merged, or taken out again, so any
 * aggregate will do, and a window gives what it would give alone. There are count / every of them, rounded up, in
 * as many *slots*, one after the other.
 *
 *   on_batch      the rows in their order; a window fires at its last record
 *   on_watermark  the last one: with LEAT_ON_WATERMARK the window that would have come next is given, as far as it
 *                 has come
 *
 * No record is late. A result has the bounds and the time of its records, [least, most + 1) and most. That may be
 * behind the watermark, if all of them were: then it goes into a batch that is marked with it, and whoever is
 * behind decides as about any late record.
 *
 * Tumbling ones (every == count) need no more than the window itself. Others have the number of records so far as
 * well.
 *
 * State: table "windows", namespace = slot, key -> [head][accumulators]; table "records", key -> how many. */
#include "operators/aggregate_run_private.h"

#define CHUNK LEAT__RUN_CHUNK

struct count_head {
    uint64_t records;
    int64_t least_us, most_us;
};

struct count_aggregate {
    struct leat_op op;
    struct leat__ctx *ctx;
    const struct leat__aggregate_spec *spec;
    struct leat__run run;
    struct leat_table *table, *records;
    struct leat__value_layout layout;
    uint64_t count, every, slots;
    bool tumbling, on_watermark;
    uint32_t row_at;
    uint32_t rows[CHUNK];
    unsigned char *values[CHUNK];
    int64_t forwarded_us;
    struct leat_cursor *cursor; /* the end of the input: of `records`, or of the one slot */
    struct leat_strbuf key;
};

/* ---- life ---- */

static int open_windows(struct count_aggregate *a, struct leat__ctx *ctx)
{
    struct leat_strbuf format = { 0 };
    leat__strbuf_printf(
        &format, "v1; count %llu every %llu", (unsigned long long)a->count, (unsigned long long)a->every);
    leat__agg_print_aggs(a->spec, &format);
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "windows",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(a->spec->key),
        .value_size = a->layout.base + a->spec->values_size,
        .codec = { .arg = &a->layout },
        .key_text = a->spec->key_types,
        .format = format.data,
        .accept_schema = leat__value_accept_schema,
        .schema = a->spec->schemas,
        .counted = true,
    };
    if (a->spec->has_memory) {
        opts.codec.encode = leat__agg_encode;
        opts.codec.decode = leat__agg_decode;
    }
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &a->table, ctx->error);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int open_records(struct count_aggregate *a, struct leat__ctx *ctx)
{
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "records",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(a->spec->key),
        .value_size = sizeof(uint64_t),
        .key_text = a->spec->key_types,
        .format = "v1; records of a key so far",
    };
    return leat__table_open(ctx->state, &opts, &a->records, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

static int count_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct count_aggregate *a = (struct count_aggregate *)op;
    const struct leat__aggregate_spec *spec = a->spec = op->node->spec;
    a->ctx = ctx;
    a->forwarded_us = ctx->watermark_us;
    a->count = spec->window.count;
    a->every = spec->window.every;
    a->slots = a->count / a->every + (a->count % a->every != 0);
    a->tumbling = a->count == a->every;
    a->on_watermark = spec->window.triggers[0].kind == LEAT_TRIGGER_WATERMARK;
    a->layout = (struct leat__value_layout){ spec, sizeof(struct count_head), op->node };
    a->run.any_late = true;
    LEAT_TRY(leat__run_init(&a->run, ctx, spec));
    LEAT_TRY(open_windows(a, ctx));
    return a->tumbling ? 0 : open_records(a, ctx);
}

static void count_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct count_aggregate *a = (struct count_aggregate *)op;
    (void)ctx;
    leat__run_release(&a->run);
    leat__cursor_close(a->cursor);
    leat__table_close(a->table);
    leat__table_close(a->records);
    leat__strbuf_release(&a->key);
}

/* ---- windows ---- */

static struct count_head *head_of(unsigned char *values)
{
    return (struct count_head *)(void *)(values - sizeof(struct count_head));
}

static void count_record(struct count_head *head, int64_t us)
{
    if (head->records == 0 || us < head->least_us)
        head->least_us = us;
    if (head->records == 0 || us > head->most_us)
        head->most_us = us;
    head->records++;
}

/* Gives the window, and leaves its slot to the next one. */
static int fire(struct count_aggregate *a, struct leat_sv key, uint64_t hash, unsigned char *values)
{
    struct count_head *head = head_of(values);
    const struct leat__pane pane = {
        .window = { head->least_us, leat__time_add(head->most_us, 1) }, .key = key, .kind = LEAT_PANE_ON_TIME
    };
    const int given = leat__run_give(&a->run, a->ctx, &pane, hash, values);
    if (given < 0)
        return given;
    memset(head, 0, sizeof *head);
    leat__agg_reset(a->spec, values);
    return 0;
}

static int find_values(struct count_aggregate *a, int64_t slot, const uint32_t *rows, uint32_t count)
{
    void *found[CHUNK];
    if (leat__table_upsert(
            a->table, slot, a->run.keys, a->run.batch->key_hash, rows, count, found, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    for (uint32_t i = 0; i < count; i++)
        a->values[i] = (unsigned char *)found[i] + a->layout.base;
    return 0;
}

/* ---- tumbling ---- */

static int add_waiting(struct count_aggregate *a, uint32_t begin, uint32_t end)
{
    const int64_t added = begin == end
        ? 0
        : leat__run_add(&a->run, a->ctx, a->table, 0, &a->rows[begin], &a->values[begin], end - begin);
    return added < 0 ? (int)added : 0;
}

/* Rows that do not fire wait until one does, and are then added together. LEAT_MORE: this call has done enough. */
static int work_chunk(struct count_aggregate *a, uint32_t count)
{
    const struct leat_batch *batch = a->run.batch;
    uint32_t begin = 0; /* the first row that waits */
    for (uint32_t i = 0; i < count; i++) {
        if (a->run.careful) { /* whether it counts is known only afterwards */
            const int64_t added = leat__run_add(&a->run, a->ctx, a->table, 0, &a->rows[i], &a->values[i], 1);
            if (added < 0)
                return (int)added;
            begin = i + 1;
            if (added == 0)
                continue;
        }
        const uint32_t row = a->rows[i];
        count_record(head_of(a->values[i]), batch->event_us[row]);
        if (head_of(a->values[i])->records < a->count)
            continue;
        if (begin <= i)
            LEAT_TRY(add_waiting(a, begin, i + 1));
        begin = i + 1;
        LEAT_TRY(fire(a, a->run.keys[row], batch->key_hash[row], a->values[i]));
        if (leat__run_is_spent(&a->run)) {
            a->row_at += begin;
            return LEAT_MORE;
        }
    }
    a->row_at += count;
    return add_waiting(a, begin, count);
}

static int work_tumbling(struct count_aggregate *a)
{
    while (a->row_at < a->run.batch->count) {
        const uint32_t left = a->run.batch->count - a->row_at;
        const uint32_t count = left < CHUNK ? left : CHUNK;
        for (uint32_t i = 0; i < count; i++)
            a->rows[i] = a->row_at + i;
        LEAT_TRY(find_values(a, 0, a->rows, count));
        const int code = work_chunk(a, count);
        if (code != 0)
            return code;
    }
    return 0;
}

/* ---- sliding ---- */

/* The number of the window's last record that is the next one to come, n included. */
static uint64_t next_end(const struct count_aggregate *a, uint64_t n)
{
    const uint64_t into = n % a->every;
    return into ? n - into + a->every : n;
}

static int64_t slot_of(const struct count_aggregate *a, uint64_t end)
{
    return (int64_t)(end / a->every % a->slots);
}

static int find_records(struct count_aggregate *a, const uint32_t *row, uint64_t **records)
{
    void *found;
    if (leat__table_upsert(
            a->records, 0, a->run.keys, a->run.batch->key_hash, row, 1, &found, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    *records = found;
    return 0;
}

/* Adds the key's n-th record to the window that ends at `end`: 1, or 0 when a callback refuses it. */
static int add_to_window(struct count_aggregate *a, uint32_t row, uint64_t n, uint64_t end)
{
    const int64_t slot = slot_of(a, end);
    const struct leat_batch *batch = a->run.batch;
    uint32_t the_row = row;
    LEAT_TRY(find_values(a, slot, &row, 1));
    const int64_t added = leat__run_add(&a->run, a->ctx, a->table, slot, &the_row, a->values, 1);
    if (added <= 0)
        return (int)added;
    count_record(head_of(a->values[0]), batch->event_us[row]);
    if (end == n)
        LEAT_TRY(fire(a, a->run.keys[row], batch->key_hash[row], a->values[0]));
    return 1;
}

static int work_row(struct count_aggregate *a, uint32_t row)
{
    uint64_t *records;
    LEAT_TRY(find_records(a, &row, &records));
    const uint64_t n = *records + 1;
    for (uint64_t end = next_end(a, n); end - n < a->count; end += a->every) {
        const int added = add_to_window(a, row, n, end);
        a->run.keys_seen++;
        if (added < 0)
            return added;
        if (added == 0 && end == next_end(a, n))
            return 0; /* refused, and no record of the key */
    }
    LEAT_TRY(find_records(a, &row, &records));
    *records = n;
    return 0;
}

static int work_sliding(struct count_aggregate *a)
{
    while (a->row_at < a->run.batch->count) {
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
        LEAT_TRY(work_row(a, a->row_at++));
    }
    return 0;
}

/* ---- the end of the input ---- */

/* The window of a key that would have fired next, if it has any records. */
static int give_begun(struct count_aggregate *a, const struct leat_cursor_item *item)
{
    void *found;
    uint64_t n;
    memcpy(&n, item->value, sizeof n);
    if (n % a->every == 0)
        return 0; /* it has just fired */
    leat__strbuf_clear(&a->key);
    leat__strbuf_add(&a->key, item->key.data, item->key.len);
    if (a->key.failed)
        return leat__rows_nomem(a->ctx, "a key");
    const struct leat_sv key = { a->key.data ? a->key.data : "", a->key.len };
    const uint64_t hash = item->hash;
    const int64_t slot = slot_of(a, next_end(a, n));
    if (leat__table_find(a->table, slot, &key, &hash, NULL, 1, &found, a->ctx->error) < 0)
        return leat__fail_here(a->ctx);
    const struct count_head *head = found;
    if (!head || head->records == 0)
        return 0;
    const struct leat__pane pane = {
        .window = { head->least_us, leat__time_add(head->most_us, 1) }, .key = key, .kind = LEAT_PANE_ON_TIME
    };
    const int given =
        leat__run_give(&a->run, a->ctx, &pane, hash, (const unsigned char *)found + a->layout.base);
    return given < 0 ? given : 0;
}

static int give_item(struct count_aggregate *a, const struct leat_cursor_item *item)
{
    if (!a->tumbling)
        return give_begun(a, item);
    unsigned char *values = (unsigned char *)item->value + a->layout.base;
    return head_of(values)->records ? fire(a, item->key, item->hash, values) : 0;
}

/* One item at a time: looking into another table may move what the others show. */
static int work_end(struct count_aggregate *a)
{
    struct leat_cursor_item item;
    int64_t count;
    if (leat__cursor_prepare(a->cursor) > 0)
        return LEAT_MORE;
    while ((count = leat__cursor_next(a->cursor, &item, 1, a->ctx->error)) > 0) {
        LEAT_TRY(give_item(a, &item));
        a->run.keys_seen++;
        if (leat__run_is_spent(&a->run))
            return LEAT_MORE;
    }
    if (count < 0)
        return leat__fail_here(a->ctx);
    leat__cursor_close(a->cursor);
    a->cursor = NULL;
    return 0;
}

static int open_end(struct count_aggregate *a)
{
    const uint32_t flags = LEAT_CURSOR_READ | (a->spec->ordered ? LEAT_CURSOR_ORDERED : 0u);
    return leat__cursor_open(a->tumbling ? a->table : a->records, 0, flags, &a->cursor, a->ctx->error) < 0
        ? leat__fail_here(a->ctx)
        : 0;
}

/* ---- the operator ---- */

static int go_on(struct count_aggregate *a)
{
    int code = 0;
    if (a->cursor)
        code = work_end(a);
    else if (a->run.batch)
        code = a->tumbling ? work_tumbling(a) : work_sliding(a);
    leat__run_count_keys(a->ctx, a->table);
    if (code != 0)
        return code;
    LEAT_TRY(leat__run_end_batch(&a->run, a->ctx));
    a->run.in_watermark = false;
    a->forwarded_us = a->ctx->watermark_us;
    return 0;
}

static int count_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct count_aggregate *a = (struct count_aggregate *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0 && !a->run.batch && !a->cursor);
    leat__run_begin(&a->run);
    LEAT_TRY(leat__run_prepare(&a->run, ctx, batch));
    a->row_at = 0;
    return go_on(a);
}

static int count_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct count_aggregate *a = (struct count_aggregate *)op;
    (void)ctx;
    leat__run_begin(&a->run);
    a->run.in_watermark = true;
    a->run.forwarded_us = a->forwarded_us;
    if (w == LEAT_TIME_MAX && a->on_watermark)
        LEAT_TRY(open_end(a));
    return go_on(a);
}

static int count_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct count_aggregate *a = (struct count_aggregate *)op;
    (void)ctx;
    leat__run_begin(&a->run);
    return go_on(a);
}

/* Everything is in the tables: one byte, the version. */
static int count_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct count_aggregate *a = (const struct count_aggregate *)op;
    LEAT_ASSERT(!a->run.batch && !a->cursor && !a->run.out);
    leat__strbuf_char(out, 1);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static int count_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct count_aggregate *a = (struct count_aggregate *)op;
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].len != 1 || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
    a->forwarded_us = ctx->watermark_us;
    leat__run_count_keys(ctx, a->table);
    return 0;
}

const struct leat_op_class leat__count_aggregate_class = {
    .kind = "aggregate",
    .size = sizeof(struct count_aggregate),
    .init = count_init,
    .on_batch = count_on_batch,
    .on_watermark = count_on_watermark,
    .step = count_step,
    .snapshot = count_snapshot,
    .restore = count_restore,
    .release = count_release,
};
