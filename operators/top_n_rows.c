/* operators/top_n_rows.c -- the first n records of a window as an accumulator, so that every window with every trigger has
 * them: the operators of aggregates do the work, and what they give of a value is its records, not one row.
 *
 *   entries   in the order of the ranks: struct entry
 *   bytes     of texts that are ranked by, and of records (aggregate_record_private.h: fingerprint, Avro)
 *
 * What ranks is evaluated once, and kept; records are decoded when they are given. What left the first n is of no use
 * in `bytes`: once that is more than half of them they are put together anew. */
#include "base/alloc.h"
#include "operators/aggregate_record_private.h"
#include "operators/top_n_private.h"

#define WASTE_BYTES 1024u

struct entry {
    int64_t us;
    uint64_t code;
    uint32_t text_at, text_len;
    uint32_t row_at, row_len;
    uint32_t is_null, unused;
};

struct rows {
    struct leat__agg_blob entries, bytes;
};

_Static_assert(sizeof(struct entry) == 40, "part of the format of tables");

/* A record that might be among the first. */
struct candidate {
    int64_t us;
    bool is_null;
    struct leat__value by;
    struct leat_sv row; /* encoded */
};

static uint32_t entries_count(const struct rows *rows)
{
    return leat__blob_len(&rows->entries) / (uint32_t)sizeof(struct entry);
}

static struct entry *entry_at(const struct rows *rows, uint32_t i)
{
    return (struct entry *)(void *)rows->entries.data + i;
}

static struct candidate candidate_of(const struct rows *rows, const struct entry *e)
{
    return (struct candidate){ e->us, e->is_null != 0,
        { e->code, { rows->bytes.data + e->text_at, e->text_len } },
        { rows->bytes.data + e->row_at, e->row_len } };
}

/* ---- order ---- */

/* Whether `a` comes before `b`, which has come later. */
static bool is_first(const struct leat__agg *agg, const struct candidate *a, const struct candidate *b)
{
    if (a->is_null != b->is_null)
        return b->is_null;
    const int order = a->is_null ? 0 : leat__value_cmp(agg->of_class, a->by, b->by);
    if (order)
        return (order < 0) != (agg->kind == LEAT_AGGREGATE_TOP_N);
    return a->us <= b->us;
}

/* Its place, from 0; n: it is none of the first. */
static uint32_t place_of(const struct leat__agg *agg, const struct rows *rows, const struct candidate *c)
{
    uint32_t at = entries_count(rows);
    while (at > 0) {
        const struct candidate other = candidate_of(rows, entry_at(rows, at - 1));
        if (is_first(agg, &other, c))
            break;
        at--;
    }
    return at;
}

/* ---- growing ---- */

static int append_bytes(
    const struct leat__agg_memory *mem, struct rows *rows, struct leat_sv bytes, uint32_t *at)
{
    const uint32_t len = leat__blob_len(&rows->bytes);
    if (len + bytes.len > LEAT__AGG_BYTES_MAX)
        return LEAT_ELIMIT;
    LEAT_TRY(leat__blob_reserve(mem, &rows->bytes, len + bytes.len));
    if (bytes.len)
        memcpy(rows->bytes.data + len, bytes.data, bytes.len);
    rows->bytes.len_plus_1 = len + (uint32_t)bytes.len + 1;
    *at = len;
    return 0;
}

/* All bytes anew, in the order of the entries; `renew` makes records those of today's schema. */
static int put_together(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct rows *rows,
    struct leat__record_kit *kit, bool renew)
{
    leat__strbuf_clear(&kit->bytes);
    for (uint32_t i = 0; i < entries_count(rows); i++) {
        struct entry *e = entry_at(rows, i);
        const struct candidate c = candidate_of(rows, e);
        const uint32_t text_at = (uint32_t)kit->bytes.len;
        void *record;
        leat__strbuf_add(&kit->bytes, c.by.text.data, c.by.text.len);
        const uint32_t row_at = (uint32_t)kit->bytes.len;
        if (renew) {
            LEAT_TRY(leat__kit_decode(agg->records, kit, 0, c.row, &record));
            LEAT_TRY(leat__kit_encode(agg->records, kit, record, NULL));
        } else {
            leat__strbuf_add(&kit->bytes, c.row.data, c.row.len);
        }
        if (kit->bytes.failed)
            return LEAT_ENOMEM;
        e->text_at = text_at;
        e->row_at = row_at;
        e->row_len = (uint32_t)kit->bytes.len - row_at;
    }
    const struct leat_sv all = { kit->bytes.data, kit->bytes.len };
    const int code = leat__blob_set(mem, &rows->bytes, all);
    leat__strbuf_clear(&kit->bytes);
    return code;
}

static bool is_wasteful(const struct rows *rows)
{
    uint64_t used = 0;
    for (uint32_t i = 0; i < entries_count(rows); i++)
        used += entry_at(rows, i)->text_len + entry_at(rows, i)->row_len;
    return leat__blob_len(&rows->bytes) > 2 * used + WASTE_BYTES;
}

static int insert(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct rows *rows,
    uint32_t at, const struct candidate *c)
{
    uint32_t count = entries_count(rows);
    struct entry e = { .us = c->us,
        .code = c->by.code,
        .text_len = (uint32_t)c->by.text.len,
        .row_len = (uint32_t)c->row.len,
        .is_null = c->is_null };
    LEAT_TRY(append_bytes(mem, rows, c->by.text, &e.text_at));
    LEAT_TRY(append_bytes(mem, rows, c->row, &e.row_at));
    LEAT_TRY(leat__blob_reserve(mem, &rows->entries, (count + 1) * sizeof e));
    memmove(entry_at(rows, at + 1), entry_at(rows, at), (count - at) * sizeof e);
    *entry_at(rows, at) = e;
    count += count < agg->n;
    rows->entries.len_plus_1 = count * (uint32_t)sizeof e + 1;
    return 0;
}

static int add_row(
    const struct leat__agg_pass *pass, const struct leat__agg *agg, struct leat__record_kit *kit, uint32_t i)
{
    const uint32_t row = pass->rows[i];
    const struct leat__column_view *view = &pass->views[agg->column];
    struct rows *rows = (struct rows *)(void *)(pass->values[i] + agg->offset);
    struct candidate c = { .us = pass->batch->event_us[row], .is_null = view->nulls && view->nulls[row] };
    if (!c.is_null)
        c.by = leat__top_value(agg->of_class, view, row);
    const uint32_t at = place_of(agg, rows, &c);
    if (at >= agg->n)
        return 0;
    leat__strbuf_clear(&kit->bytes);
    LEAT_TRY(leat__kit_encode(agg->records, kit, leat_batch_at(pass->batch, row), NULL));
    c.row = (struct leat_sv){ kit->bytes.data, kit->bytes.len };
    LEAT_TRY(insert(agg, &pass->mem, rows, at, &c));
    return is_wasteful(rows) ? put_together(agg, &pass->mem, rows, kit, false) : 0;
}

static int add_rows(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    struct leat__record_kit *kit;
    int code = 0;
    LEAT_TRY(leat__kit_take(agg->records, &kit));
    for (uint32_t i = 0; i < pass->count && code == 0; i++) {
        code = add_row(pass, agg, kit, i);
        if (code < 0)
            *pass->bad = pass->rows[i];
    }
    leat__kit_give(agg->records, kit);
    return code;
}

static int combine_rows(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct rows *other = from;
    struct rows *rows = into;
    struct leat__record_kit *kit;
    for (uint32_t i = 0; i < entries_count(other); i++) {
        const struct candidate c = candidate_of(other, entry_at(other, i));
        const uint32_t at = place_of(agg, rows, &c);
        if (at < agg->n)
            LEAT_TRY(insert(agg, mem, rows, at, &c));
    }
    if (!is_wasteful(rows))
        return 0;
    LEAT_TRY(leat__kit_take(agg->records, &kit));
    const int code = put_together(agg, mem, rows, kit, false);
    leat__kit_give(agg->records, kit);
    return code;
}

/* ---- what was decoded ---- */

static bool check_rows(const struct leat__agg *agg, const void *accumulator)
{
    const struct rows *rows = accumulator;
    const uint64_t bytes = leat__blob_len(&rows->bytes);
    if (leat__blob_len(&rows->entries) % sizeof(struct entry) || entries_count(rows) > agg->n)
        return false;
    for (uint32_t i = 0; i < entries_count(rows); i++) {
        const struct entry *e = entry_at(rows, i);
        if ((uint64_t)e->text_at + e->text_len > bytes || (uint64_t)e->row_at + e->row_len > bytes ||
            e->row_len < LEAT__RECORD_HEAD_BYTES)
            return false;
    }
    return true;
}

int leat__top_rows_renew(const struct leat__agg *agg, const struct leat__agg_memory *mem, void *accumulator)
{
    struct rows *rows = accumulator;
    struct leat__record_kit *kit;
    bool is_own = true;
    if (!check_rows(agg, rows))
        return LEAT_EDATA;
    for (uint32_t i = 0; i < entries_count(rows) && is_own; i++)
        is_own = leat__agg_is_own(agg->records, candidate_of(rows, entry_at(rows, i)).row);
    if (is_own)
        return 0;
    LEAT_TRY(leat__kit_take(agg->records, &kit));
    const int code = put_together(agg, mem, rows, kit, true);
    leat__kit_give(agg->records, kit);
    return code;
}

#define FAMILY(tag_) \
    { \
        .name = "rows", .tag = (tag_), .add = add_rows, .combine = combine_rows, .check = check_rows, \
        .blobs_count = 2, .blobs = { offsetof(struct rows, entries), offsetof(struct rows, bytes) }, \
        .is_of_class = true \
    }
static const struct leat__agg_class rising_class = FAMILY(NULL);
static const struct leat__agg_class falling_class = FAMILY("descending");

void leat__top_rows_choose(struct leat__agg *agg)
{
    agg->family = agg->kind == LEAT_AGGREGATE_TOP_N ? &falling_class : &rising_class;
    agg->size = sizeof(struct rows);
}

/* ---- output ---- */

uint32_t leat__top_rows_count(const struct leat__aggregate_spec *spec, const unsigned char *values)
{
    return entries_count((const struct rows *)(const void *)(values + spec->aggs[0].offset));
}

bool leat__top_rows_equal(const struct leat__aggregate_spec *spec, const unsigned char *a, uint32_t i,
    const unsigned char *b, uint32_t k)
{
    const struct rows *left = (const struct rows *)(const void *)(a + spec->aggs[0].offset);
    const struct rows *right = (const struct rows *)(const void *)(b + spec->aggs[0].offset);
    const struct candidate x = candidate_of(left, entry_at(left, i)),
                           y = candidate_of(right, entry_at(right, k));
    return x.us == y.us && leat_sv_eq(x.row, y.row);
}

int leat__top_rows_fill(const struct leat__aggregate_spec *spec, const struct leat__pane *pane,
    const unsigned char *values, uint32_t i, struct leat_batch *out, void *row)
{
    const struct leat__agg *agg = &spec->aggs[0];
    const struct rows *rows = (const struct rows *)(const void *)(values + agg->offset);
    struct leat__record_kit *kit;
    void *record;
    LEAT_TRY(leat__kit_take(agg->records, &kit));
    int code = leat__kit_decode(agg->records, kit, 0, candidate_of(rows, entry_at(rows, i)).row, &record);
    if (code == 0) {
        leat__top_fill(spec->top, record, i + 1, row);
        code = leat__kit_adopt(kit, out, row);
    }
    leat__kit_give(agg->records, kit);
    if (code == 0 && !leat__out_fill(spec, pane, out, row))
        code = LEAT_ENOMEM;
    return code;
}
