/* operators/aggregate_accumulate.c -- whole values: rows added to all accumulators and taken back, two values
 * combined, copied, forgotten. What an accumulator does by itself is its family's (aggregate_class_private.h).
 *
 * An aggregate with a condition gets a pass of its own with only the rows for which it holds: families know
 * nothing of conditions. */
#include "operators/aggregate_record_private.h"
#include "topology/declare.h"

/* Rows of a pass that a condition is applied to at a time, on the stack. */
#define SOME_ROWS 256u
#define BLOB_BYTES_MIN 16u

/* ---- blobs ---- */

static void *get_memory(const struct leat__agg_memory *mem, size_t size)
{
    return mem->table ? leat__table_bytes(mem->table, mem->ns, size) : leat__arena_alloc(mem->arena, size);
}

void leat__blob_forget(const struct leat__agg_memory *mem, struct leat__agg_blob *blob)
{
    if (mem->table)
        leat__table_bytes_free(mem->table, mem->ns, blob->capacity);
    *blob = (struct leat__agg_blob){ NULL, 0, 0 };
}

/* Memory of at least `len` bytes, with nothing in it that counts. */
static int new_memory(const struct leat__agg_memory *mem, struct leat__agg_blob *fresh, size_t len)
{
    size_t capacity = BLOB_BYTES_MIN;
    if (len > LEAT__AGG_BYTES_MAX)
        return LEAT_ELIMIT;
    while (capacity < len)
        capacity *= 2;
    fresh->data = get_memory(mem, capacity);
    fresh->capacity = (uint32_t)capacity;
    fresh->len_plus_1 = 0;
    return fresh->data ? 0 : mem->table ? LEAT_ESTATE : LEAT_ENOMEM;
}

int leat__blob_reserve(const struct leat__agg_memory *mem, struct leat__agg_blob *blob, size_t len)
{
    struct leat__agg_blob fresh;
    if (blob->data && len <= blob->capacity)
        return 0;
    LEAT_TRY(new_memory(mem, &fresh, len));
    if (leat__blob_len(blob))
        memcpy(fresh.data, blob->data, leat__blob_len(blob));
    fresh.len_plus_1 = blob->len_plus_1;
    leat__blob_forget(mem, blob);
    *blob = fresh;
    return 0;
}

int leat__blob_set(const struct leat__agg_memory *mem, struct leat__agg_blob *blob, struct leat_sv bytes)
{
    if (!blob->data || bytes.len > blob->capacity) {
        struct leat__agg_blob fresh;
        LEAT_TRY(new_memory(mem, &fresh, bytes.len));
        leat__blob_forget(mem, blob);
        *blob = fresh;
    }
    if (bytes.len)
        memcpy(blob->data, bytes.data, bytes.len);
    blob->len_plus_1 = (uint32_t)bytes.len + 1;
    return 0;
}

/* ---- rows ---- */

void leat__agg_explain(const struct leat__agg *agg, int code, const char *where, struct leat_error *err)
{
    const char *as = agg->as ? agg->as : agg->fn ? agg->fn->name : "?";
    if (code == LEAT_ELIMIT)
        (void)leat__error(err, code,
            "aggs[%u] \"%s\": %s of %s would keep more than %u MiB%s: give it an `n` or a `where`, use "
            "shorter "
            "windows or finer keys, or an approximate aggregate",
            agg->index, as, leat__agg_kind_name(agg->kind), agg->of ? agg->of : "records",
            LEAT__AGG_BYTES_MAX >> 20, where);
    else if (code == LEAT_ESTATE)
        (void)leat__error(err, code,
            "aggs[%u] \"%s\": no memory for what it keeps%s within the budget of the state: raise "
            "state_budget_bytes of the job, or use more workers or shorter windows",
            agg->index, as, where);
    else
        (void)leat__error(err, code, "aggs[%u] \"%s\": %s%s", agg->index, as, leat_error_text(code), where);
}

/* Fails the job for what has happened at row `bad`. */
int leat__agg_fail_row(const struct leat__agg_pass *pass, const struct leat__agg *agg, int code, uint32_t bad)
{
    struct leat_strbuf where = { 0 };
    if (pass->keys && pass->spec->key_parts.count) {
        leat__strbuf_str(&where, " for ");
        leat__key_parts_print(&pass->spec->key_parts, pass->keys[bad], &where);
    }
    leat__agg_explain(agg, code, where.data ? where.data : "", pass->ctx->error);
    leat__strbuf_release(&where);
    return leat__fail_here(pass->ctx);
}

/* Rows of a pass for which a condition holds. */
struct some_rows {
    uint32_t rows[SOME_ROWS];
    unsigned char *values[SOME_ROWS];
};

static uint32_t pick(const struct leat__agg_pass *pass, uint32_t from, uint32_t where, struct some_rows *some)
{
    const struct leat__column_view *view = &pass->views[where];
    const uint32_t end = pass->count - from < SOME_ROWS ? pass->count : from + SOME_ROWS;
    uint32_t count = 0;
    for (uint32_t i = from; i < end; i++) {
        const uint32_t row = pass->rows[i];
        int64_t holds;
        memcpy(&holds, view->base + row * view->stride, sizeof holds);
        some->rows[count] = row;
        some->values[count] = pass->values[i];
        count += holds != 0 && !(view->nulls && view->nulls[row]);
    }
    return count;
}

int leat__agg_rows(const struct leat__agg_pass *pass, const struct leat__agg *agg, leat__agg_rows_fn *run)
{
    struct some_rows some;
    if (agg->where == LEAT__NO_COLUMN)
        return run(pass, agg);
    for (uint32_t from = 0; from < pass->count; from += SOME_ROWS) {
        struct leat__agg_pass part = *pass;
        part.count = pick(pass, from, agg->where, &some);
        part.rows = some.rows;
        part.values = some.values;
        if (part.count)
            LEAT_TRY(run(&part, agg));
    }
    return 0;
}

static int run_all(const struct leat__agg_pass *pass, bool retracts)
{
    struct leat__agg_pass own = *pass;
    uint32_t bad = 0;
    own.bad = &bad;
    for (uint32_t a = 0; a < pass->spec->aggs_count; a++) {
        const struct leat__agg *agg = &pass->spec->aggs[a];
        if (agg->op == LEAT__USER || agg->is_shared)
            continue;
        const int code = leat__agg_rows(&own, agg, retracts ? agg->family->retract : agg->family->add);
        if (code < 0)
            return leat__agg_fail_row(pass, agg, code, bad);
    }
    return 0;
}

int leat__agg_add(const struct leat__agg_pass *pass)
{
    return run_all(pass, false);
}

int leat__agg_retract(const struct leat__agg_pass *pass)
{
    return run_all(pass, true);
}

/* ---- whole values ---- */

static uint32_t blobs_of(const struct leat__agg *agg)
{
    return agg->family && !agg->is_shared ? agg->family->blobs_count : 0;
}

static uint64_t *present_word(const struct leat__aggregate_spec *spec, unsigned char *values)
{
    return spec->has_present ? (uint64_t *)(void *)values : NULL;
}

int leat__agg_combine_values(const struct leat__aggregate_spec *spec, const struct leat_node *node,
    const struct leat__agg_memory *mem, unsigned char *into, const unsigned char *from,
    struct leat_error *err)
{
    if (spec->has_present)
        *present_word(spec, into) |= *(const uint64_t *)(const void *)from;
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        if (agg->op == LEAT__USER) {
            LEAT_TRY(leat__agg_combine_user(agg, node, mem, into + agg->offset, from + agg->offset, err));
            continue;
        }
        if (agg->is_shared)
            continue;
        const int code = agg->family->combine(agg, mem, into + agg->offset, from + agg->offset);
        if (code < 0) {
            leat__agg_explain(agg, code, "", err);
            return code;
        }
    }
    return 0;
}

bool leat__agg_is_mergeable(const struct leat__aggregate_spec *spec)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (spec->aggs[a].op == LEAT__USER && !spec->aggs[a].fn->merge)
            return false;
    return true;
}

bool leat__agg_is_invertible(const struct leat__aggregate_spec *spec)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        if (agg->op == LEAT__USER || !agg->family->subtract || agg->present_bit)
            return false;
    }
    return true;
}

void leat__agg_subtract_values(
    const struct leat__aggregate_spec *spec, unsigned char *into, const unsigned char *from)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (!spec->aggs[a].is_shared)
            spec->aggs[a].family->subtract(
                &spec->aggs[a], into + spec->aggs[a].offset, from + spec->aggs[a].offset);
}

bool leat__agg_can_retract(
    struct leat_node *node, const struct leat__aggregate_spec *spec, const char **reason)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        if (agg->op == LEAT__USER ? agg->fn && !agg->fn->retract : agg->family && !agg->family->retract) {
            *reason = agg->op == LEAT__USER
                ? leat__spec_printf(node,
                      "aggs[%u] %s can not take records back, as its input does: give it a retract function "
                      "(LEAT_DEFINE_RETRACTABLE_AGGREGATE)",
                      agg->index, agg->fn->name)
                : leat__spec_printf(node,
                      "aggs[%u] \"%s\": %s can not take records back, as its input does: use an exact "
                      "aggregate",
                      agg->index, agg->as ? agg->as : "?", leat__agg_kind_name(agg->kind));
            return false;
        }
    }
    return true;
}

/* `only_shown`: of families that show their result without blobs, no blobs. */
static int copy_values(const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem,
    unsigned char *to, const unsigned char *from, bool only_shown)
{
    memcpy(to, from, spec->values_size);
    for (uint32_t a = 0; spec->has_memory && a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        const bool alone = only_shown && blobs_of(agg) > 0 && agg->family->shown;
        for (uint32_t b = 0; b < blobs_of(agg); b++) {
            struct leat__agg_blob *blob = leat__blob_at(agg, to + agg->offset, b);
            const struct leat__agg_blob theirs = *blob;
            *blob = (struct leat__agg_blob){ NULL, 0, 0 };
            if (!alone && theirs.len_plus_1 && b + agg->family->derived_count < agg->family->blobs_count)
                LEAT_TRY(leat__blob_set(mem, blob, leat__blob_sv(&theirs)));
        }
        if (alone)
            agg->family->shown(agg, to + agg->offset);
    }
    return 0;
}

int leat__agg_copy_values(const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem,
    unsigned char *to, const unsigned char *from)
{
    return copy_values(spec, mem, to, from, false);
}

int leat__agg_copy_shown(const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem,
    unsigned char *to, const unsigned char *from)
{
    return copy_values(spec, mem, to, from, true);
}

/* Blobs of an accumulator, out of the way while the rest of it is zeroed. */
static void reset_one(const struct leat__agg *agg, unsigned char *accumulator)
{
    struct leat__agg_blob kept[LEAT__AGG_BLOBS_MAX];
    const uint32_t count = blobs_of(agg);
    for (uint32_t b = 0; b < count; b++) {
        kept[b] = *leat__blob_at(agg, accumulator, b);
        kept[b].len_plus_1 = 0;
    }
    memset(accumulator, 0, agg->size);
    for (uint32_t b = 0; b < count; b++)
        *leat__blob_at(agg, accumulator, b) = kept[b];
}

void leat__agg_reset(const struct leat__aggregate_spec *spec, unsigned char *values)
{
    if (!spec->has_memory) {
        memset(values, 0, spec->values_size);
        return;
    }
    if (spec->has_present)
        *present_word(spec, values) = 0;
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (!spec->aggs[a].is_shared)
            reset_one(&spec->aggs[a], values + spec->aggs[a].offset);
}

void leat__agg_forget(
    const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem, unsigned char *values)
{
    for (uint32_t a = 0; spec->has_memory && a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        for (uint32_t b = 0; b < blobs_of(agg); b++)
            leat__blob_forget(mem, leat__blob_at(agg, values + agg->offset, b));
    }
}

int leat__agg_result(const struct leat__aggregate_spec *spec, const struct leat__agg *agg,
    const unsigned char *values, struct leat_batch *out, void *row)
{
    const struct leat__agg_show show = { spec, out, row };
    if (agg->present_bit && !(*(const uint64_t *)(const void *)values & agg->present_bit)) {
        leat__out_set_null(row, &agg->out);
        return 0;
    }
    return agg->family->result(agg, values + agg->offset, &show);
}
