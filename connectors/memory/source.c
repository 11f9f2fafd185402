/* connectors/memory/source.c -- records of the user's memory as a source: structs, or Avro binary.
 *
 * The memory outlives the job, so nothing is owned: rows are copied as structs, their views still show the
 * user's strings; Avro is decoded by reference to the user's bytes. Structs are cut into `splits` equal runs;
 * split k has the rows count * k / splits and on. Avro is cut where the user says. Positions are row indexes; those of
 * Avro are "<byte offset> <row>", the row counted from the begin of the split. */
#include "base/alloc.h"
#include "record/avro.h"
#include "topology/declare.h"
#include "topology/source.h"
#include <leat/memory.h>
#include <stdio.h>

struct memory_source {
    const struct leat_type *type;
    const unsigned char *rows;
    uint64_t count;
    const uint8_t *avro;
    size_t avro_bytes;
    const size_t *avro_cuts; /* splits - 1 */
    uint32_t splits;
};

struct memory_reader {
    struct leat_reader reader; /* first: what the runtime knows */
    const struct memory_source *spec;
    uint64_t row; /* the next one */
    uint64_t at; /* Avro: its offset */
    struct leat_schema *schema; /* Avro: of the type, for its decoder */
    struct leat_decoder *decoder;
};

static struct memory_reader *self(struct leat_reader *reader)
{
    return (struct memory_reader *)(void *)reader;
}

static int add_split(struct leat_split_list *list, const char *id, uint64_t from, uint64_t to, uint64_t bytes,
    struct leat_error *err)
{
    struct leat_split *split = leat__split_add(list, id);
    if (!split)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the list of splits");
    split->from = from;
    split->to = to;
    split->bytes = bytes;
    return 0;
}

static uint64_t split_start(const struct memory_source *m, uint64_t k)
{
    return (uint64_t)((unsigned __int128)m->count * k / m->splits);
}

static int memory_list_splits(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err)
{
    const struct memory_source *m = node->spec;
    (void)env;
    if (m->avro && m->splits == 1)
        return add_split(list, "avro", 0, m->avro_bytes, m->avro_bytes, err);
    for (uint32_t k = 0; k < m->splits; k++) {
        char id[32];
        if (m->avro) {
            const uint64_t begin = k ? m->avro_cuts[k - 1] : 0,
                           end = k + 1 < m->splits ? m->avro_cuts[k] : m->avro_bytes;
            (void)snprintf(id, sizeof id, "avro %u/%u", k, m->splits);
            LEAT_TRY(add_split(list, id, begin, end, end - begin, err));
            continue;
        }
        const uint64_t from = split_start(m, k), to = split_start(m, (uint64_t)k + 1);
        (void)snprintf(id, sizeof id, "%u/%u", k, m->splits);
        LEAT_TRY(add_split(list, id, from, to, (to - from) * m->type->size, err));
    }
    return 0;
}

static int memory_open(struct leat_reader *reader)
{
    struct memory_reader *r = self(reader);
    struct leat_error *err = reader->ctx->error;
    r->spec = reader->node->spec;
    r->row = r->spec->avro ? 0 : reader->split->from;
    r->at = r->spec->avro ? reader->split->from : 0;
    if (!r->spec->avro)
        return 0;
    const char *schema = r->spec->type->schema;
    if (leat__schema_parse(schema, strlen(schema), &r->schema, err) < 0 ||
        leat__decoder_new(r->schema, r->spec->type, NULL, &r->decoder, err) < 0)
        return leat__fail_here(reader->ctx);
    return 0;
}

static void memory_close(struct leat_reader *reader)
{
    struct memory_reader *r = self(reader);
    leat__decoder_free(r->decoder);
    leat__schema_free(r->schema);
    r->decoder = NULL;
    r->schema = NULL;
}

/* ---- structs ---- */

static int read_rows(struct memory_reader *r, struct leat_batch *batch)
{
    const uint64_t left = r->reader.split->to - r->row;
    const uint32_t rows = left < batch->capacity ? (uint32_t)left : batch->capacity;
    LEAT_ASSERT(batch->stride == r->spec->type->size); /* packed alike: one copy does */
    const size_t bytes = (size_t)rows * batch->stride;
    if (rows > 0)
        memcpy(batch->rows, r->spec->rows + r->row * batch->stride, bytes);
    batch->count = rows;
    r->row += rows;
    leat__count(&r->reader.ctx->counters->bytes_in, bytes);
    return r->row == r->reader.split->to ? LEAT_READ_END : LEAT_READ_ROWS;
}

/* ---- Avro ---- */

/* The record at `at` can not be decoded. What is behind it can be found only if it can be skipped. */
static int refuse_record(struct memory_reader *r, const uint8_t **at, const uint8_t *end)
{
    struct leat_error ignored = { 0 };
    const uint8_t *bad = *at;
    const int64_t offset = (int64_t)(bad - r->spec->avro);
    if (leat__decode_skip(r->decoder, at, end, &ignored) < 0)
        *at = end;
    (void)leat__error_prefix(r->reader.ctx->error, "record %llu at byte %lld%s",
        (unsigned long long)r->row + 1, (long long)offset,
        *at == end ? " (what is behind it is lost too)" : "");
    r->row++;
    return leat__reader_bad_row(&r->reader, offset, bad, (size_t)(*at - bad));
}

static int read_avro(struct memory_reader *r, struct leat_batch *batch)
{
    struct leat__ctx *ctx = r->reader.ctx;
    const uint8_t *start = r->spec->avro + r->at, *at = start;
    const uint8_t *end = r->spec->avro + r->reader.split->to;
    if (at == end)
        return LEAT_READ_END;
    const int64_t got = leat__decode(r->decoder, &at, end, batch, batch->capacity, ctx->error);
    r->row += batch->count;
    if (got < 0 && got != LEAT_EDATA)
        return leat__fail_here(ctx);
    if (got < 0)
        LEAT_TRY(refuse_record(r, &at, end));
    if (at == start)
        return leat__fail(ctx, LEAT_EDATA,
            "records of type %s take no bytes: how many there are can not be told", r->spec->type->name);
    r->at = (uint64_t)(at - r->spec->avro);
    leat__count(&ctx->counters->bytes_in, (uint64_t)(at - start));
    return at == end ? LEAT_READ_END : LEAT_READ_ROWS;
}

static int memory_read(struct leat_reader *reader, struct leat_batch *batch)
{
    struct memory_reader *r = self(reader);
    return r->spec->avro ? read_avro(r, batch) : read_rows(r, batch);
}

/* ---- positions ---- */

static int memory_position(struct leat_reader *reader, struct leat_strbuf *out)
{
    const struct memory_reader *r = self(reader);
    if (r->spec->avro)
        leat__strbuf_printf(out, "%llu %llu", (unsigned long long)r->at, (unsigned long long)r->row);
    else
        leat__strbuf_printf(out, "%llu", (unsigned long long)r->row);
    return out->failed ? leat__fail(reader->ctx, LEAT_ENOMEM, "out of memory for a position") : 0;
}

/* Digits from *at on; false without any, or beyond 64 bits. */
static bool read_number(const char **at, const char *end, uint64_t *value)
{
    const char *from = *at;
    *value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (unsigned)(**at - '0'), value))
            return false;
    }
    return *at > from;
}

static int memory_seek(struct leat_reader *reader, const char *position, size_t len)
{
    struct memory_reader *r = self(reader);
    const struct leat_split *split = reader->split;
    const char *at = position, *end = position + len;
    uint64_t first = 0, row = 0;
    bool good = read_number(&at, end, &first);
    if (good && r->spec->avro)
        good = at < end && *at++ == ' ' && read_number(&at, end, &row);
    if (!good || at != end || first < split->from || first > split->to)
        return leat__fail(reader->ctx, LEAT_EDATA,
            "split %s: \"%.*s\" is no position in it: has the memory changed?", split->id,
            (int)(len < 100 ? len : 100), position);
    r->at = first;
    r->row = r->spec->avro ? row : first;
    return 0;
}

static int64_t memory_row_position(
    const struct leat_reader *reader, const struct leat_batch *batch, uint32_t row)
{
    const struct memory_reader *r = (const struct memory_reader *)(const void *)reader;
    return r->spec->avro ? -1 : (int64_t)(r->row - batch->count + row);
}

static const struct leat_source_class memory_source_class = {
    .kind = "memory source",
    .reader_size = sizeof(struct memory_reader),
    .list_splits = memory_list_splits,
    .open = memory_open,
    .read = memory_read,
    .position = memory_position,
    .seek = memory_seek,
    .close = memory_close,
    .row_position = memory_row_position,
};

/* ---- the declaration ---- */

static void check_cuts(struct leat_node *node, const struct leat_memory_source_opts *o)
{
    size_t before = 0;
    for (uint32_t k = 0; k + 1 < o->splits; k++) {
        if (o->avro_cuts[k] < before || o->avro_cuts[k] > o->avro_bytes) {
            leat__declare_error(node, "avro_cuts", LEAT_EDECLARE,
                "[%u] is %zu: they rise, and none is beyond .avro_bytes, %zu", k, o->avro_cuts[k],
                o->avro_bytes);
            return;
        }
        before = o->avro_cuts[k];
    }
}

static void check_content(struct leat_node *node, const struct leat_memory_source_opts *o)
{
    if (o->rows && o->avro)
        leat__declare_error(node, "avro", LEAT_EDECLARE, "given beside .rows: one of them is read");
    if (!o->rows && !o->avro && o->count)
        leat__declare_error(node, "rows", LEAT_EDECLARE, "missing: %llu records are announced by .count",
            (unsigned long long)o->count);
    if (!o->avro && o->avro_bytes)
        leat__declare_error(
            node, "avro", LEAT_EDECLARE, "missing: %zu bytes are announced by .avro_bytes", o->avro_bytes);
    if (o->avro && o->count)
        leat__declare_error(
            node, "count", LEAT_EDECLARE, "counts .rows; Avro records end with .avro_bytes: leave it out");
    if (o->avro && o->splits > 1 && !o->avro_cuts)
        leat__declare_error(node, "splits", LEAT_EDECLARE,
            "Avro records can not be cut without being read: say where in .avro_cuts, leave it out, or give "
            ".rows");
    if (o->avro_cuts && (!o->avro || o->splits < 2))
        leat__declare_error(node, "avro_cuts", LEAT_EDECLARE,
            "says where .avro is cut into .splits: there are no two of them");
    else if (o->avro_cuts && o->splits <= LEAT_SPLITS_MAX)
        check_cuts(node, o);
    if (o->avro && o->type && !o->type->schema)
        leat__declare_error(node, "type", LEAT_EDECLARE,
            "%s has no schema text, which says how its Avro is read", o->type->name);
    if (o->splits > LEAT_SPLITS_MAX)
        leat__declare_error(node, "splits", LEAT_ELIMIT, "%u are more than %u", o->splits, LEAT_SPLITS_MAX);
}

leat_stream *leat_memory_source_sized(
    leat_topology *t, const char *name, const struct leat_memory_source_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, memory_source_class.kind);
    struct leat_memory_source_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct memory_source *m = leat__spec(node, sizeof *m);
    if (!m || !opts)
        return leat__stream(node, 0);
    check_content(node, &o);
    *m = (struct memory_source){ .type = o.type,
        .rows = o.rows,
        .count = o.count,
        .avro = o.avro,
        .avro_bytes = o.avro_bytes,
        .avro_cuts = o.avro_cuts,
        .splits = o.splits ? o.splits : 1 };
    leat__output(node, o.type, NULL);
    leat__source_time(
        node, o.type, o.event_time, o.max_out_of_orderness_us, o.idle_timeout_us, o.max_ahead_us, o.on_error);
    leat__source_align(node, o.align, o.max_drift_us);
    node->source = &memory_source_class;
    node->spec = m;
    node->detail = o.avro ? leat__spec_printf(node, "%zu bytes of Avro", o.avro_bytes)
                          : leat__spec_printf(node, "%llu records", (unsigned long long)o.count);
    return leat__stream(node, 0);
}
