/* operators/aggregate_user.c -- a user's aggregates: their callbacks, over plain bytes and over records.
 *
 * A pass over records opens the accumulators of its rows (a struct of a kit for each, however many rows go there), calls
 * back, and closes them: all are written, or none, where a callback has refused a row or something can not be
 * written. So a row that is refused leaves every accumulator as it was. What callbacks let the structs show is needed
 * until then alone.
 *
 * Plain bytes with a `create` have a word before them that is 1 once they were begun. */
#include "operators/aggregate_record_private.h"
#include "topology/declare.h"

#define BEGUN_BYTES sizeof(uint64_t)

/* Kits of a pass, by index of the aggregate; NULL for plain bytes. */
struct leat__kits {
    struct leat__record_kit *of[LEAT_AGGREGATES_MAX];
};

/* ---- contexts ---- */

/* Where callbacks run that know nothing of rows: on any thread. `memory`: what leat_alloc gives, or NULL. */
struct quiet {
    struct leat__ctx ctx;
    struct leat_error unused;
};

static void begin_quiet(struct quiet *quiet, const struct leat_node *node, struct leat_batch *memory)
{
    *quiet = (struct quiet){ .ctx = { .node = node, .watermark_us = LEAT_TIME_MIN, .batch_out = memory } };
    quiet->ctx.user.engine = &quiet->ctx;
    quiet->ctx.error = &quiet->unused;
}

static int end_quiet(
    struct quiet *quiet, const struct leat__agg *agg, const char *what, struct leat_error *err)
{
    int code = 0;
    if (quiet->ctx.alloc_failed)
        code =
            leat__error(err, LEAT_ENOMEM, "aggs[%u] %s: out of memory %s", agg->index, agg->fn->name, what);
    else if (quiet->ctx.user.failures_count > 0)
        code = leat__error(err, LEAT_EUSER, "aggs[%u] %s: %s: %s", agg->index, agg->fn->name, what,
            quiet->ctx.failures[0].message);
    leat__ctx_release(&quiet->ctx);
    return code;
}

static int create(const struct leat__agg *agg, const struct leat_node *node, struct leat_batch *memory,
    void *accumulator, struct leat_error *err)
{
    struct quiet quiet;
    if (!agg->fn->create)
        return 0;
    begin_quiet(&quiet, node, memory);
    agg->fn->create(&quiet.ctx.user, accumulator);
    return end_quiet(&quiet, agg, "beginning an accumulator", err);
}

/* ---- plain bytes ---- */

static void *plain_of(const struct leat__agg *agg, unsigned char *accumulator)
{
    return accumulator + (agg->fn->create ? BEGUN_BYTES : 0);
}

static bool is_begun(const struct leat__agg *agg, const void *accumulator)
{
    return !agg->fn->create || *(const uint64_t *)accumulator;
}

/* The bytes, begun. */
static int begin_plain(const struct leat__agg *agg, const struct leat_node *node, unsigned char *accumulator,
    void **plain, struct leat_error *err)
{
    *plain = plain_of(agg, accumulator);
    if (is_begun(agg, accumulator))
        return 0;
    LEAT_TRY(create(agg, node, NULL, *plain, err));
    *(uint64_t *)(void *)accumulator = 1;
    return 0;
}

/* ---- records ---- */

/* The struct of an accumulator. */
static int open_record(const struct leat__agg *agg, const struct leat_node *node,
    struct leat__record_kit *kit, uint32_t index, const struct leat__agg_record *accumulator, void **record,
    struct leat_error *err)
{
    if (!accumulator->bytes.len_plus_1) {
        *record = leat__kit_zeroed(kit, index);
        return create(agg, node, kit->batch, *record, err);
    }
    const int code = leat__kit_decode(agg->records, kit, index, leat__blob_sv(&accumulator->bytes), record);
    return code < 0 ? leat__error(err, code, "aggs[%u] %s: its accumulator %s: %s", agg->index, agg->fn->name,
                          code == LEAT_EDATA ? "is damaged" : "can not be had", leat_error_text(code))
                    : 0;
}

static int take_kits(struct leat__ctx *ctx, const struct leat__aggregate_spec *spec, struct leat__kits *kits)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        kits->of[a] = NULL;
        if (spec->aggs[a].records && leat__kit_take(spec->aggs[a].records, &kits->of[a]) < 0) {
            kits->of[a] = NULL;
            for (uint32_t b = a + 1; b < spec->aggs_count; b++)
                kits->of[b] = NULL;
            return leat__rows_nomem(ctx, "accumulators");
        }
    }
    return 0;
}

static void give_kits(const struct leat__aggregate_spec *spec, struct leat__kits *kits)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        leat__kit_give(spec->aggs[a].records, kits->of[a]);
}

/* ---- rows ---- */

/* Where the callback finds the accumulator of row i of the pass. */
static int open_row(
    const struct leat__agg_pass *pass, const struct leat__agg *agg, uint32_t i, struct leat__record_kit *kit)
{
    unsigned char *accumulator = pass->values[i] + agg->offset;
    struct leat_error *err = pass->ctx->error;
    if (!kit)
        return begin_plain(agg, pass->ctx->node, accumulator, &pass->pointers[i], err);
    struct leat__agg_record *own = (struct leat__agg_record *)(void *)accumulator;
    if (!own->open) {
        LEAT_TRY(open_record(agg, pass->ctx->node, kit, kit->count, own, &pass->pointers[i], err));
        kit->places[kit->count++] = (struct leat__kit_place){ .accumulator = own };
        own->open = kit->count;
    }
    pass->pointers[i] = leat__kit_at(kit, (uint32_t)own->open - 1);
    kit->places[own->open - 1].row = pass->rows[i];
    return 0;
}

static int open_rows(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    for (uint32_t i = 0; i < pass->count; i++)
        if (open_row(pass, agg, i, pass->kits->of[agg - pass->spec->aggs]) < 0)
            return leat__fail_here(pass->ctx);
    return 0;
}

static int add_user(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    LEAT_TRY(open_rows(pass, agg));
    agg->fn->accumulate(&pass->ctx->user, pass->batch, pass->rows, pass->count, pass->pointers);
    return 0;
}

static int retract_user(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    LEAT_TRY(open_rows(pass, agg));
    agg->fn->retract(&pass->ctx->user, pass->batch, pass->rows, pass->count, pass->pointers);
    return 0;
}

/* What is open to bytes. A record that Avro can not write is the row's mistake. */
static int encode_open(
    const struct leat__agg_pass *pass, const struct leat__agg *agg, struct leat__record_kit *kit)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < kit->count; i++) {
        const int code = leat__kit_encode(agg->records, kit, leat__kit_at(kit, i), &err);
        if (code == LEAT_EDATA)
            leat__ctx_refuse(pass->ctx, kit->places[i].row,
                "aggs[%u] %s: its accumulator can not be kept: %s", agg->index, agg->fn->name, err.message);
        else if (code < 0)
            return leat__agg_fail_row(pass, agg, code, kit->places[i].row);
        kit->places[i].end = kit->bytes.len;
    }
    return 0;
}

static int keep_open(
    const struct leat__agg_pass *pass, const struct leat__agg *agg, struct leat__record_kit *kit)
{
    size_t from = 0;
    for (uint32_t i = 0; i < kit->count; i++) {
        const struct leat__kit_place *place = &kit->places[i];
        const struct leat_sv bytes = { kit->bytes.data + from, place->end - from };
        const int code = leat__blob_set(&pass->mem, &place->accumulator->bytes, bytes);
        if (code < 0)
            return leat__agg_fail_row(pass, agg, code, place->row);
        from = place->end;
    }
    return 0;
}

/* All that is open is written, unless something was refused. */
static int close_records(const struct leat__agg_pass *pass, bool is_refused)
{
    const uint32_t refused = pass->ctx->user.failures_count;
    const struct leat__aggregate_spec *spec = pass->spec;
    for (uint32_t a = 0; a < spec->aggs_count && !is_refused; a++)
        if (pass->kits->of[a])
            LEAT_TRY(encode_open(pass, &spec->aggs[a], pass->kits->of[a]));
    is_refused |= pass->ctx->user.failures_count != refused || pass->ctx->alloc_failed;
    for (uint32_t a = 0; a < spec->aggs_count && !is_refused; a++)
        if (pass->kits->of[a])
            LEAT_TRY(keep_open(pass, &spec->aggs[a], pass->kits->of[a]));
    return 0;
}

static int run_part(const struct leat__agg_pass *pass, leat__agg_rows_fn *run)
{
    const uint32_t refused = pass->ctx->user.failures_count;
    int code = 0;
    for (uint32_t a = 0; a < pass->spec->aggs_count && code == 0; a++)
        if (pass->spec->aggs[a].op == LEAT__USER)
            code = leat__agg_rows(pass, &pass->spec->aggs[a], run);
    if (code == 0 && pass->spec->records_max)
        code = close_records(pass, pass->ctx->user.failures_count != refused);
    for (uint32_t a = 0; a < pass->spec->aggs_count; a++)
        for (uint32_t i = 0; pass->kits->of[a] && i < pass->kits->of[a]->count; i++)
            pass->kits->of[a]->places[i].accumulator->open = 0;
    return code;
}

/* As many rows at a time as kits have room for; one where others go on when it is refused. */
static int run_users(const struct leat__agg_pass *pass, leat__agg_rows_fn *run)
{
    const uint32_t room = pass->ctx->node->policy == LEAT_FAIL ? pass->spec->records_max : 1;
    const uint32_t most = pass->spec->records_max ? room : pass->count;
    struct leat__kits kits;
    int code = 0;
    for (uint32_t from = 0; from < pass->count && code == 0; from += most) {
        struct leat__agg_pass part = *pass;
        part.kits = &kits;
        part.rows = pass->rows + from;
        part.values = pass->values + from;
        part.count = pass->count - from < most ? pass->count - from : most;
        code = take_kits(pass->ctx, pass->spec, &kits);
        if (code == 0)
            code = run_part(&part, run);
        give_kits(pass->spec, &kits);
    }
    return code;
}

int leat__agg_add_users(const struct leat__agg_pass *pass)
{
    return run_users(pass, add_user);
}

int leat__agg_retract_users(const struct leat__agg_pass *pass)
{
    return run_users(pass, retract_user);
}

/* ---- two accumulators ---- */

static int merge(const struct leat__agg *agg, const struct leat_node *node, struct leat_batch *memory,
    void *into, const void *from, struct leat_error *err)
{
    struct quiet quiet;
    begin_quiet(&quiet, node, memory);
    agg->fn->merge(&quiet.ctx.user, into, from);
    return end_quiet(&quiet, agg, "merging two accumulators", err);
}

static int merge_plain(const struct leat__agg *agg, const struct leat_node *node, unsigned char *into,
    const unsigned char *from, struct leat_error *err)
{
    void *plain;
    if (!is_begun(agg, from))
        return 0;
    if (!is_begun(agg, into)) {
        memcpy(into, from, agg->size);
        return 0;
    }
    LEAT_TRY(begin_plain(agg, node, into, &plain, err));
    return merge(agg, node, NULL, plain, plain_of(agg, (unsigned char *)(uintptr_t)from), err);
}

static int merge_open(const struct leat__agg *agg, const struct leat_node *node,
    const struct leat__agg_memory *mem, struct leat__record_kit *kit, struct leat__agg_record *into,
    const struct leat__agg_record *from, struct leat_error *err)
{
    void *to, *other;
    LEAT_TRY(open_record(agg, node, kit, 0, into, &to, err));
    LEAT_TRY(open_record(agg, node, kit, 1, from, &other, err));
    LEAT_TRY(merge(agg, node, kit->batch, to, other, err));
    struct leat_error why = { 0 };
    int code = leat__kit_encode(agg->records, kit, to, &why);
    if (code == LEAT_EDATA)
        return leat__error(err, LEAT_EUSER, "aggs[%u] %s: what its merge has made can not be kept: %s",
            agg->index, agg->fn->name, why.message);
    if (code == 0)
        code = leat__blob_set(mem, &into->bytes, (struct leat_sv){ kit->bytes.data, kit->bytes.len });
    if (code < 0)
        leat__agg_explain(agg, code, "", err);
    return code;
}

int leat__agg_combine_user(const struct leat__agg *agg, const struct leat_node *node,
    const struct leat__agg_memory *mem, void *into, const void *from, struct leat_error *err)
{
    struct leat__record_kit *kit;
    if (!agg->records)
        return merge_plain(agg, node, into, from, err);
    struct leat__agg_record *own = into;
    const struct leat__agg_record *other = from;
    if (!other->bytes.len_plus_1)
        return 0;
    int code = LEAT_ENOMEM;
    if (!own->bytes.len_plus_1)
        code = leat__blob_set(mem, &own->bytes, leat__blob_sv(&other->bytes));
    else if (leat__kit_take(agg->records, &kit) == 0) {
        code = merge_open(agg, node, mem, kit, own, other, err);
        leat__kit_give(agg->records, kit);
        return code;
    }
    if (code < 0)
        leat__agg_explain(agg, code, "", err);
    return code;
}

/* ---- results ---- */

/* What the result is made of; plain bytes that nothing went to are begun in the memory of the output. */
static int open_shown(const struct leat__agg *agg, struct leat__ctx *ctx, struct leat__record_kit *kit,
    const unsigned char *accumulator, struct leat_batch *out, const void **shown)
{
    void *own = NULL;
    int code = 0;
    if (kit) {
        code = open_record(agg, ctx->node, kit, 0, (const void *)accumulator, &own, ctx->error);
    } else if (is_begun(agg, accumulator)) {
        own = plain_of(agg, (unsigned char *)(uintptr_t)accumulator); /* which is only read */
    } else {
        unsigned char *fresh = leat__batch_alloc(out, agg->size, 8);
        if (!fresh)
            return leat__rows_nomem(ctx, "an accumulator");
        code = begin_plain(agg, ctx->node, memset(fresh, 0, agg->size), &own, ctx->error);
    }
    *shown = own;
    return code < 0 ? leat__fail_here(ctx) : 0;
}

static int show_all(const struct leat__aggregate_spec *spec, struct leat__ctx *ctx, struct leat__kits *kits,
    const unsigned char *values, struct leat_batch *out, void *row)
{
    struct leat__record_kit *kit = NULL;
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        const void *shown = NULL;
        if (agg->op != LEAT__USER)
            continue;
        LEAT_TRY(open_shown(agg, ctx, kits->of[a], values + agg->offset, out, &shown));
        agg->fn->result(&ctx->user, shown, row);
        kit = kits->of[a] ? kits->of[a] : kit;
    }
    if (kit && ctx->user.failures_count == 0 && leat__kit_adopt(kit, out, row) < 0)
        return leat__rows_nomem(ctx, "a row of output");
    return 0;
}

int leat__agg_show_users(const struct leat__aggregate_spec *spec, struct leat__ctx *ctx,
    const unsigned char *values, struct leat_batch *out, void *row)
{
    struct leat__kits kits;
    int code = take_kits(ctx, spec, &kits);
    if (code == 0)
        code = show_all(spec, ctx, &kits, values, out, row);
    give_kits(spec, &kits);
    return code;
}

/* ---- schemas ---- */

/* The next element of a JSON array of objects; NULL: there is none. *at moves behind it. */
static const char *next_object(const char **at, size_t *len)
{
    const char *begin = strchr(*at, '{');
    int depth = 0;
    bool in_string = false;
    for (const char *c = begin; c && *c; c++) {
        if (in_string) {
            in_string = *c != '"';
            c += *c == '\\' && c[1];
            continue;
        }
        in_string = *c == '"';
        depth += (*c == '{') - (*c == '}');
        if (depth == 0) {
            *len = (size_t)(c + 1 - begin);
            *at = c + 1;
            return begin;
        }
    }
    return NULL;
}

int leat__agg_accept_schema(
    const struct leat__aggregate_spec *spec, const char *saved_schema, struct leat_error *err)
{
    const char *at = saved_schema ? saved_schema : "";
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        const struct leat__agg *agg = &spec->aggs[a];
        size_t len = 0;
        if (!agg->records)
            continue;
        const char *one = next_object(&at, &len);
        if (!one)
            return leat__error(err, LEAT_ESCHEMA, "there is no schema of the accumulator of %s",
                agg->fn ? agg->fn->name : agg->as);
        if (leat__agg_records_know(agg->records, one, len, err) < 0)
            return leat__error_prefix(err, "the accumulator of %s", agg->fn ? agg->fn->name : agg->as);
    }
    return 0;
}

int leat__value_accept_schema(void *arg, const char *saved_schema, struct leat_error *err)
{
    const struct leat__value_layout *layout = arg;
    return leat__agg_accept_schema(layout->spec, saved_schema, err);
}

const char *leat__agg_schemas(struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    const char *text = NULL;
    uint32_t count = 0;
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        if (!spec->aggs[a].records)
            continue;
        const char *schema = leat__agg_records_schema(spec->aggs[a].records);
        text = count++ ? leat__spec_printf(node, "%s,%s", text ? text : "", schema) : schema;
    }
    return count > 1 ? leat__spec_printf(node, "[%s]", text ? text : "") : text;
}
