/* operators/top_n_rank.c -- the order of records, which of them are first, their state, rows of output. */
#include "operators/top_n_private.h"
#include <string.h>

#define RELAX_BYTES (256u << 10)

/* ---- life ---- */

static int open_table(struct leat__top *top, struct leat__ctx *ctx)
{
    const struct leat__top_spec *spec = top->spec;
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "rows",
        .kind = LEAT_TABLE_LIST,
        .key_size = leat__key_fixed_size(spec->key),
        .row_type = spec->in,
        .key_text = spec->key_types,
        .format = spec->keeps_all ? "v1; all, as they came" : "v1; the first, by rank",
        .counted = true,
    };
    return leat__table_open(ctx->state, &opts, &top->table, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

int leat__top_init(struct leat__top *top, struct leat__ctx *ctx, const struct leat__top_spec *spec)
{
    top->spec = spec;
    top->changes.type = spec->out;
    if (leat__key_scratch_new(&top->key_scratch) < 0 || leat__copier_new(spec->in, &top->copier) < 0 ||
        leat__copier_new(spec->out, &top->out_copier) < 0)
        return leat__rows_nomem(ctx, "keys");
    LEAT_TRY(leat__rows_get(ctx, spec->in, &top->rows));
    top->before = leat__calloc(2 * (spec->n + 1), sizeof *top->before);
    top->row_keys = leat__calloc(top->rows->capacity, sizeof *top->row_keys);
    top->row_hashes = leat__calloc(top->rows->capacity, sizeof *top->row_hashes);
    if (!top->before || !top->row_keys || !top->row_hashes)
        return leat__rows_nomem(ctx, "ranks");
    top->after = top->before + spec->n + 1;
    if (spec->column) {
        LEAT_TRY(leat__column_init(spec->column, ctx, &top->scratch));
        LEAT_TRY(leat__column_init(spec->column, ctx, &top->listed_scratch));
        LEAT_TRY(leat__rows_get(ctx, spec->in, &top->listed));
    }
    return open_table(top, ctx);
}

void leat__top_release(struct leat__top *top)
{
    leat__batch_release(top->batch);
    leat__batch_release(top->rows);
    leat__batch_release(top->listed);
    leat__column_release(&top->scratch);
    leat__column_release(&top->listed_scratch);
    leat__changes_release(&top->changes);
    leat__table_close(top->table);
    leat__copier_free(top->copier);
    leat__copier_free(top->out_copier);
    leat__key_scratch_free(top->key_scratch);
    leat__free(top->before);
    leat__free(top->row_keys);
    leat__free(top->row_hashes);
    leat__free(top->block);
}

/* Puts the rows that were not refused in the batch's place. */
static int leave_refused(struct leat__top *top, struct leat__ctx *ctx)
{
    struct leat_batch *batch = top->batch, *rest = NULL;
    uint32_t count = 0;
    uint32_t *kept = leat__malloc(batch->count * sizeof *kept);
    if (!kept)
        return leat__rows_nomem(ctx, "row numbers");
    for (uint32_t r = 0; r < batch->count; r++)
        if (r >= ctx->failed_rows_capacity || !ctx->failed_rows[r])
            kept[count++] = r;
    int code = leat__ctx_end(ctx, batch, NULL);
    if (code == 0 && count)
        code = leat__rows_gather(ctx, batch, kept, count, &rest);
    leat__free(kept);
    if (code < 0)
        return code;
    leat__batch_release(batch);
    top->batch = rest;
    return 0;
}

/* What ranks the rows of the batch; NULL is left of it when all are refused. */
static int eval_ranks(struct leat__top *top, struct leat__ctx *ctx)
{
    while (top->batch) {
        leat__ctx_begin(ctx, top->batch, NULL);
        LEAT_TRY(leat__column_eval(top->spec->column, &top->scratch, ctx, top->batch, &top->view));
        if (ctx->user.failures_count == 0)
            return leat__ctx_end(ctx, top->batch, NULL);
        LEAT_TRY(leave_refused(top, ctx));
    }
    return 0;
}

int leat__top_prepare(struct leat__top *top, struct leat__ctx *ctx, struct leat_batch *batch)
{
    const bool has_column = top->spec->column != NULL;
    top->batch = batch;
    top->at = 0;
    if (has_column)
        LEAT_TRY(eval_ranks(top, ctx));
    if (!top->batch)
        return 0;
    const struct leat_batch *before = top->batch;
    const uint32_t count = before->count;
    leat__ctx_begin(ctx, top->batch, NULL);
    LEAT_TRY(leat__rows_keys(ctx, top->spec->key, top->key_scratch, &top->batch, &top->keys));
    if (!has_column || !top->batch || (top->batch == before && top->batch->count == count))
        return 0;
    return leat__column_eval(top->spec->column, &top->scratch, ctx, top->batch, &top->view);
}

/* ---- what ranks ---- */

struct leat__ranked leat__top_one(const struct leat__top *top, uint32_t row)
{
    const struct leat__column *column = top->spec->column;
    struct leat__ranked one = { .record = leat_batch_at(top->batch, row), .us = top->batch->event_us[row] };
    if (!column)
        return one;
    one.is_null = top->view.nulls && top->view.nulls[row];
    if (!one.is_null)
        one.value = leat__top_value(column->value_class, &top->view, row);
    return one;
}

static int rank_some(
    struct leat__top *top, struct leat__ctx *ctx, struct leat__ranked *records, uint32_t count)
{
    const struct leat__column *column = top->spec->column;
    struct leat__column_view view;
    for (uint32_t i = 0; i < count; i++)
        memcpy(leat_batch_at(top->listed, i), records[i].record, top->listed->stride);
    top->listed->count = count;
    LEAT_TRY(leat__column_eval(column, &top->listed_scratch, ctx, top->listed, &view));
    for (uint32_t i = 0; i < count; i++) {
        struct leat__value *value = &records[i].value;
        records[i].is_null = view.nulls && view.nulls[i];
        if (records[i].is_null)
            continue;
        *value = leat__top_value(column->value_class, &view, i);
        char *text = value->text.len ? leat__batch_alloc(top->listed, value->text.len, 1) : NULL;
        if (value->text.len && !text)
            return leat__rows_nomem(ctx, "ranks");
        if (text)
            value->text.data = memcpy(text, value->text.data, value->text.len);
    }
    return 0;
}

int leat__top_rank(struct leat__top *top, struct leat__ctx *ctx, struct leat__ranked *records, uint32_t count)
{
    if (!top->spec->column)
        return 0;
    if (top->listed->arena_bytes > RELAX_BYTES) {
        leat__batch_release(top->listed);
        top->listed = NULL;
        LEAT_TRY(leat__rows_get(ctx, top->spec->in, &top->listed));
    }
    const uint32_t some = top->listed->capacity;
    for (uint32_t from = 0; from < count; from += some)
        LEAT_TRY(rank_some(top, ctx, records + from, count - from < some ? count - from : some));
    return 0;
}

/* ---- the order ---- */

static int compare_longs(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* NaN behind all others. */
static int compare_doubles(double a, double b)
{
    if (a != a || b != b)
        return (a != a) - (b != b);
    return a < b ? -1 : a > b;
}

static int compare_texts(struct leat_sv a, struct leat_sv b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len ? memcmp(a.data, b.data, len) : 0;
    return order ? order : compare_longs((int64_t)a.len, (int64_t)b.len);
}

/* Values that are not null. */
static int compare_values(const struct leat_place *by, const void *a, const void *b)
{
    const unsigned char *p = (const unsigned char *)a + by->offset,
                        *q = (const unsigned char *)b + by->offset;
    union {
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
        struct leat_sv sv;
    } x, y;
    memcpy(&x, p, by->type->size);
    memcpy(&y, q, by->type->size);
    switch (by->type->kind) {
    case LEAT_KIND_BOOLEAN:
        return (*p != 0) - (*q != 0);
    case LEAT_KIND_INT:
        return compare_longs(x.i32, y.i32);
    case LEAT_KIND_LONG:
        return compare_longs(x.i64, y.i64);
    case LEAT_KIND_FLOAT:
        return compare_doubles((double)x.f32, (double)y.f32);
    case LEAT_KIND_DOUBLE:
        return compare_doubles(x.f64, y.f64);
    default:
        return compare_texts(x.sv, y.sv);
    }
}

/* Whether `a` comes before `b`, which has come later. Nulls are last whichever the direction is. */
static bool is_first(
    const struct leat__top_spec *spec, const struct leat__ranked *a, const struct leat__ranked *b)
{
    const bool a_null = spec->column ? a->is_null : leat_record_is_null(a->record, &spec->by);
    const bool b_null = spec->column ? b->is_null : leat_record_is_null(b->record, &spec->by);
    if (a_null != b_null)
        return b_null;
    const int order = a_null ? 0
        : spec->column       ? leat__value_cmp(spec->column->value_class, a->value, b->value)
                             : compare_values(&spec->by, a->record, b->record);
    if (order)
        return (order < 0) != spec->descending;
    return a->us <= b->us;
}

uint32_t leat__top_place(const struct leat__top_spec *spec, const struct leat__ranked *first, uint32_t count,
    const struct leat__ranked *one)
{
    while (count > 0 && !is_first(spec, &first[count - 1], one))
        count--;
    return count;
}

bool leat__top_add(
    const struct leat__top_spec *spec, struct leat__ranked *first, uint32_t *count, struct leat__ranked one)
{
    const uint32_t at = leat__top_place(spec, first, *count, &one);
    if (at >= spec->n)
        return false;
    memmove(&first[at + 1], &first[at], (*count - at) * sizeof *first);
    first[at] = one;
    if (*count < spec->n)
        ++*count;
    return true;
}

/* ---- state ---- */

int leat__top_list(
    struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row, const struct leat_list_row **list)
{
    return leat__table_lists(top->table, ns, top->keys, top->batch->key_hash, &row, 1, list, ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

/* Makes the block have copies of the records, one behind the other, each as large as sizes say. */
static int copy_records(
    struct leat__top *top, struct leat__ctx *ctx, const struct leat__ranked *records, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += leat__copy_size(top->copier, records[i].record);
    if (size > top->block_capacity) {
        leat__free(top->block);
        top->block = leat__malloc(2 * size);
        top->block_capacity = top->block ? 2 * size : 0;
        if (!top->block)
            return leat__rows_nomem(ctx, "records");
    }
    unsigned char *at = top->block;
    for (uint32_t i = 0; i < count; i++) {
        const size_t one = leat__copy_size(top->copier, records[i].record);
        leat__copy_to(top->copier, records[i].record, at);
        at += one;
    }
    return 0;
}

static int append_rows(struct leat__top *top, struct leat__ctx *ctx, int64_t ns)
{
    const int code = leat__table_append(
        top->table, ns, top->row_keys, top->row_hashes, NULL, top->rows->count, top->rows, ctx->error);
    top->rows->count = 0;
    return code < 0 ? leat__fail_here(ctx) : 0;
}

int leat__top_put(struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row,
    const struct leat__ranked *records, uint32_t count)
{
    const struct leat_sv key = top->keys[row];
    const uint64_t hash = top->batch->key_hash[row];
    LEAT_TRY(copy_records(top, ctx, records, count));
    if (leat__table_remove(top->table, ns, key, hash, ctx->error) < 0)
        return leat__fail_here(ctx);
    const unsigned char *at = top->block;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t to = top->rows->count++;
        memcpy(leat_batch_at(top->rows, to), at, top->rows->stride);
        top->rows->event_us[to] = records[i].us;
        top->row_keys[to] = key;
        top->row_hashes[to] = hash;
        at += leat__copy_size(top->copier, at);
        if (top->rows->count == top->rows->capacity)
            LEAT_TRY(append_rows(top, ctx, ns));
    }
    return top->rows->count ? append_rows(top, ctx, ns) : 0;
}

int leat__top_insert(struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row,
    const struct leat__ranked *list, uint32_t count, uint32_t at)
{
    const bool replaces = count == top->spec->n;
    const struct leat_list_put put = {
        .batch = top->batch,
        .row = row,
        .before = at > 0 ? list[at - 1].row : NULL,
        .replaces = replaces,
        .gone_before = replaces && count > 1 ? list[count - 2].row : NULL,
    };
    const int code = count == 0
        ? leat__table_append(top->table, ns, top->keys, top->batch->key_hash, &row, 1, top->batch, ctx->error)
        : leat__table_put(top->table, ns, top->keys[row], top->batch->key_hash[row], &put, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* ---- output ---- */

static void copy_fields(const struct leat__top_spec *spec, const unsigned char *from, unsigned char *to)
{
    for (uint32_t i = 0; i < spec->runs_count; i++)
        leat__copy_bytes(to + spec->runs[i].to, from + spec->runs[i].from, spec->runs[i].size);
    for (uint32_t i = 0; i < spec->copies_count; i++) {
        const struct leat_field *f = &spec->copies[i].from, *t = &spec->copies[i].to;
        if (f->has_offset != LEAT_NOT_NULLABLE && !from[f->has_offset])
            continue;
        if (t->has_offset != LEAT_NOT_NULLABLE)
            to[t->has_offset] = 1;
        memcpy(to + t->offset, from + f->offset, t->type->size);
    }
}

static void set_time(void *row, const struct leat__out_field *field, int64_t us)
{
    if (field->type)
        leat__out_set_int(row, field, us); /* in its own unit */
}

void leat__top_fill(const struct leat__top_spec *spec, const void *record, uint32_t rank, unsigned char *row)
{
    copy_fields(spec, record, row);
    if (spec->rank.type)
        leat__out_set_int(row, &spec->rank, rank);
}

int leat__top_row(struct leat__top *top, struct leat__ctx *ctx, int which, const struct leat__ranked *one,
    uint32_t rank, const struct leat__window *window)
{
    const struct leat__top_spec *spec = top->spec;
    struct leat_batch *out;
    LEAT_TRY(leat__changes_row(&top->changes, ctx, which, &out));
    unsigned char *row = leat_batch_at(out, out->count - 1);
    leat__top_fill(spec, one->record, rank, row);
    if (window) {
        set_time(row, &spec->window_start, window->start);
        set_time(row, &spec->window_end, window->end);
    }
    return leat__copy_adopt(top->out_copier, out, row) < 0 ? leat__rows_nomem(ctx, "a record") : 0;
}
