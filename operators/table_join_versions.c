/* operators/table_join_versions.c -- what a table says of a key, now or at a time.
 *
 *   versions   key -> rows of the table in order of arrival. With event time each has the time from which it counts;
 *              flagged: a record that has left at that time (LEAVES), one that came late (LATE)
 *   replaced   with event time: the keys that have more than one row, in buckets of these times: when no stream row to
 *              come can ask for a time in the bucket, they are looked through
 *
 * A record is in the table from its time until an equal one leaves; of several that are in it the last to come counts.
 * In a table that is no stream of changes nothing leaves, each record replaces what has an earlier time.
 *
 * Late rows of the table (at or behind its watermark w): results up to w are out and stay. What comes late counts from
 * w + 1 on. But a record that replaces is dropped where one of its key is there that was on time and has a later
 * time: it is not the last that was said. Of late ones the last to arrive counts.
 *
 * Without event time, or by arrival, lists have what is in the table now and nothing else.
 *
 * The horizon h: no stream row to come asks for a time <= h. It is the stream's watermark less the retention, and not
 * beyond the table's, for rows that wait are later than that. What was replaced or has left at h + 1 or before is
 * forgotten. */
#include "base/alloc.h"
#include "operators/table_join_private.h"
#include "record/equal.h"

#define CHUNK LEAT__TABLE_JOIN_CHUNK
#define ITEMS 64u
#define KEYS_PER_CALL 4096u
#define BUCKET_SHIFT 20u /* about a second */
#define LEAVES 1u
#define LATE 2u

/* ---- life ---- */

static int fail_or(struct leat__ctx *ctx, int code)
{
    return code < 0 ? leat__fail_here(ctx) : 0;
}

int leat__versions_open(struct leat__table_join *j, struct leat__ctx *ctx)
{
    const struct leat__table_join_spec *spec = j->spec;
    const struct leat_type *type = leat__input_type(ctx->node, LEAT__RIGHT);
    struct leat_state *state = ctx->state;
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "versions",
        .kind = LEAT_TABLE_LIST,
        .key_size = spec->join.key_size,
        .row_type = type,
        .key_text = spec->join.key_types[LEAT__RIGHT],
        .format = spec->timed ? "v1; versions by time" : "v1; what is so now",
        .schema = type->schema,
        .counted = true,
    };
    if (spec->broadcast) {
        const struct leat_state_opts own = { .key_groups = 1 };
        LEAT_TRY(fail_or(ctx, leat__state_new(&own, &j->own_state, ctx->error)));
        state = j->own_state;
    }
    LEAT_TRY(fail_or(ctx, leat__table_open(state, &opts, &j->versions, ctx->error)));
    opts.kind = LEAT_TABLE_FIXED;
    opts.name = "replaced";
    opts.value_size = sizeof(uint64_t);
    opts.row_type = NULL;
    opts.schema = NULL;
    opts.format = "v1; nothing, in buckets of 2^20 us";
    opts.counted = false;
    return spec->timed ? fail_or(ctx, leat__table_open(state, &opts, &j->replaced, ctx->error)) : 0;
}

void leat__versions_close(struct leat__table_join *j)
{
    leat__cursor_close(j->collect_cursor);
    leat__table_close(j->versions);
    leat__table_close(j->replaced);
    if (j->own_state)
        leat__state_free(j->own_state);
}

/* ---- spans ---- */

static bool leaves(const struct leat_list_row *row)
{
    return (*row->flags & LEAVES) != 0;
}

/* The span that ends here: of the last equal record that has not left. */
static void end_span(
    struct leat__table_join *j, const struct leat_type *type, const struct leat_list_row *row, uint32_t index)
{
    for (uint32_t i = j->spans_count; i-- > 0;) {
        struct leat__span *span = &j->spans[i];
        if (span->left != UINT32_MAX || !leat__record_equal(type, span->record, row->record))
            continue;
        span->until_us = row->event_us;
        span->left = index;
        return;
    }
}

static int make_spans(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_list_row *list)
{
    const struct leat_type *type = leat__input_type(ctx->node, LEAT__RIGHT);
    uint32_t index = 0;
    j->spans_count = 0;
    j->spans_sorted = true;
    j->spans_of = list;
    for (const struct leat_list_row *row = list; row; row = row->next, index++) {
        if (leaves(row)) {
            end_span(j, type, row, index);
            continue;
        }
        if (leat__table_join_reserve(
                (void **)&j->spans, &j->spans_capacity, j->spans_count + 1, sizeof *j->spans) < 0)
            return leat__rows_nomem(ctx, "versions");
        if (j->spans_count && j->spans[j->spans_count - 1].from_us > row->event_us)
            j->spans_sorted = false;
        j->spans[j->spans_count++] = (struct leat__span){ .from_us = row->event_us,
            .until_us = LEAT_TIME_MAX,
            .record = row->record,
            .came = index,
            .left = UINT32_MAX };
    }
    return 0;
}

/* The last to come of what is in the table at that time; UINT32_MAX: nothing is. */
static uint32_t span_at(const struct leat__table_join *j, int64_t time_us)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = j->spans_count; i-- > 0;) {
        const struct leat__span *span = &j->spans[i];
        const bool is_there =
            span->from_us <= time_us && (span->left == UINT32_MAX || time_us < span->until_us);
        if (!is_there || (best != UINT32_MAX && span->from_us <= j->spans[best].from_us))
            continue;
        best = i;
        if (j->spans_sorted)
            break;
    }
    return best;
}

int leat__versions_at(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_list_row *list,
    int64_t time_us, const void **record)
{
    *record = NULL;
    if (!list)
        return 0;
    if (!j->spec->timed) {
        while (list->next)
            list = list->next;
        *record = list->record;
        return 0;
    }
    if (!list->next) {
        *record = list->event_us <= time_us && !leaves(list) ? list->record : NULL;
        return 0;
    }
    if (j->spans_of != list)
        LEAT_TRY(make_spans(j, ctx, list));
    const uint32_t at = span_at(j, time_us);
    *record = at == UINT32_MAX ? NULL : j->spans[at].record;
    return 0;
}

/* ---- rows that come ---- */

static int note_replaced(
    struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_sv *keys, uint32_t row)
{
    void *nothing;
    return fail_or(ctx,
        leat__table_upsert(
            j->replaced, j->times[row] >> BUCKET_SHIFT, keys, j->hashes, &row, 1, &nothing, ctx->error));
}

/* Of what is in the table now, all but the last goes. */
static int keep_last(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t row)
{
    const struct leat_list_row *list;
    LEAT_TRY(fail_or(ctx, leat__table_lists(j->versions, 0, j->keys, j->hashes, &row, 1, &list, ctx->error)));
    while (list && list->next) {
        const struct leat_list_row *next = list->next;
        LEAT_TRY(
            fail_or(ctx, leat__table_cut(j->versions, 0, j->keys[row], j->hashes[row], NULL, ctx->error)));
        list = next;
    }
    return 0;
}

/* Up to CHUNK rows: what is there beside them is replaced, now or when it is forgotten. */
static int append_chunk(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_batch *batch,
    const uint32_t *rows, uint32_t count)
{
    uint32_t more[CHUNK], more_count = 0;
    struct leat_batch shown = *batch; /* with a column of times of our own */
    shown.event_us = j->times;
    LEAT_TRY(fail_or(ctx,
        leat__table_append_flagged(
            j->versions, 0, j->keys, j->hashes, rows, count, &shown, j->flags, ctx->error)));
    if (!j->spec->timed && j->spec->takes_changes)
        return 0; /* what is there stays there */
    LEAT_TRY(fail_or(
        ctx, leat__table_lists(j->versions, 0, j->keys, j->hashes, rows, count, j->lists, ctx->error)));
    for (uint32_t i = 0; i < count; i++)
        if (j->lists[i]->next || (j->flags[rows[i]] & LEAVES))
            more[more_count++] = rows[i];
    for (uint32_t i = 0; i < more_count; i++)
        LEAT_TRY(j->spec->timed ? note_replaced(j, ctx, j->keys, more[i]) : keep_last(j, ctx, more[i]));
    return 0;
}

int leat__versions_append(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_batch *batch,
    const uint32_t *rows, uint32_t count)
{
    for (uint32_t at = 0; at < count; at += CHUNK)
        LEAT_TRY(append_chunk(j, ctx, batch, rows + at, count - at < CHUNK ? count - at : CHUNK));
    return 0;
}

/* A record leaves the table: with event time that is kept as well. */
static int take_leaving(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t row)
{
    const struct leat_type *type = leat__input_type(ctx->node, LEAT__RIGHT);
    const void *record = leat_batch_at(j->in, row);
    const struct leat_list_row *list, *before = NULL;
    LEAT_TRY(fail_or(ctx, leat__table_lists(j->versions, 0, j->keys, j->hashes, &row, 1, &list, ctx->error)));
    bool found = false;
    if (j->spec->timed) {
        LEAT_TRY(make_spans(j, ctx, list));
        for (uint32_t i = 0; i < j->spans_count && !found; i++)
            found = j->spans[i].left == UINT32_MAX && leat__record_equal(type, j->spans[i].record, record);
    } else {
        for (; list && !found; list = found ? list : list->next) {
            found = leat__record_equal(type, list->record, record);
            before = found ? before : list;
        }
    }
    if (!found) { /* it was never given */
        leat__count(&ctx->counters->dropped_records, leat__table_join_speaks(j, ctx));
        return 0;
    }
    if (!j->spec->timed)
        return fail_or(
            ctx, leat__table_cut(j->versions, 0, j->keys[row], j->hashes[row], before, ctx->error));
    j->flags[row] |= LEAVES;
    return append_chunk(j, ctx, j->in, &row, 1);
}

/* Whether the table has said something later of this key that was on time. */
static int is_outdated(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t row, bool *outdated)
{
    const struct leat_list_row *list;
    *outdated = false;
    LEAT_TRY(fail_or(ctx, leat__table_lists(j->versions, 0, j->keys, j->hashes, &row, 1, &list, ctx->error)));
    for (; list && !*outdated; list = list->next)
        *outdated = !(*list->flags & LATE) && list->event_us > j->in->event_us[row];
    return 0;
}

static int take_late(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t row, int64_t w)
{
    bool outdated = false;
    if (!j->spec->takes_changes)
        LEAT_TRY(is_outdated(j, ctx, row, &outdated));
    if (outdated) {
        j->late[j->late_count++] = row;
        return 0;
    }
    j->times[row] = w + 1; /* w is not the end of time: then there is nobody to ask */
    j->flags[row] |= LATE;
    return append_chunk(j, ctx, j->in, &row, 1);
}

static int give_late(struct leat__table_join *j, struct leat__ctx *ctx, int64_t w)
{
    const int32_t port = ctx->node->late_ports[LEAT__RIGHT];
    struct leat_batch *late;
    if (j->late_count == 0 || !leat__table_join_speaks(j, ctx))
        return 0;
    leat__count(&ctx->counters->late_records, j->late_count);
    if (port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, j->in, j->late, j->late_count, &late));
    late->late = 1;
    late->late_wm_us = w;
    return leat__emit(ctx, (uint32_t)port, late);
}

int leat__versions_reserve(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t count)
{
    LEAT_TRY(leat__rows_reserve(ctx, &j->late, &j->late_capacity, count));
    if (count <= j->times_capacity)
        return 0;
    leat__free(j->times);
    leat__free(j->flags);
    j->times = leat__calloc(count, sizeof *j->times);
    j->flags = leat__calloc(count, sizeof *j->flags);
    j->times_capacity = j->times && j->flags ? count : 0;
    return j->times_capacity ? 0 : leat__rows_nomem(ctx, "versions");
}

/* A row that is to be taken by itself; *done false: it may be appended with those around it. */
static int apply_alone(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t row, int64_t w, bool *done)
{
    const uint8_t change = leat__batch_change(j->in, row);
    const bool is_late = j->spec->timed && leat__join_is_passed(j->times[row], w, 0);
    *done = true;
    if (is_late && w == LEAT_TIME_MAX)
        j->late[j->late_count++] = row;
    else if (change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE) {
        if (is_late) {
            j->times[row] = w + 1;
            j->flags[row] |= LATE;
        }
        return take_leaving(j, ctx, row);
    } else if (is_late)
        return take_late(j, ctx, row, w);
    else
        *done = false;
    return 0;
}

int leat__versions_apply(struct leat__table_join *j, struct leat__ctx *ctx)
{
    LEAT_TRY(leat__table_join_keys(j, ctx, LEAT__RIGHT, &j->in));
    const struct leat_batch *in = j->in;
    if (!in)
        return 0;
    const int64_t own_w = leat__join_side_watermark(ctx, LEAT__RIGHT);
    const int64_t w = in->late && in->late_wm_us > own_w ? in->late_wm_us : own_w;
    uint32_t run = 0, nulls = 0; /* picks[0 .. run-1] are to be appended together */
    LEAT_TRY(leat__versions_reserve(j, ctx, in->count));
    j->late_count = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        const uint8_t change = leat__batch_change(in, i);
        const bool is_leaving = change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
        bool done = true;
        j->times[i] = j->spec->timed ? in->event_us[i] : LEAT_TIME_MIN;
        j->flags[i] = 0;
        if (!j->keys[i].data) {
            nulls++;
            continue;
        }
        if (is_leaving || run == CHUNK) { /* what came before it is there */
            LEAT_TRY(leat__versions_append(j, ctx, in, j->picks, run));
            run = 0;
        }
        LEAT_TRY(apply_alone(j, ctx, i, w, &done));
        if (!done)
            j->picks[run++] = i;
    }
    LEAT_TRY(leat__versions_append(j, ctx, in, j->picks, run));
    if (nulls && leat__table_join_speaks(j, ctx))
        leat__count(&ctx->counters->dropped_records, nulls);
    return give_late(j, ctx, w);
}

/* ---- forgetting ---- */

static void mark_dead(struct leat__table_join *j, int64_t needed_us)
{
    uint32_t best = UINT32_MAX; /* of those that nothing takes away, and that all who ask have behind them */
    for (uint32_t i = 0; i < j->spans_count; i++) {
        const struct leat__span *span = &j->spans[i];
        if (span->left != UINT32_MAX && (span->until_us <= span->from_us || span->until_us <= needed_us))
            j->dead[span->came] = j->dead[span->left] = 1;
        if (span->left == UINT32_MAX && span->from_us <= needed_us &&
            (best == UINT32_MAX || span->from_us >= j->spans[best].from_us))
            best = i;
    }
    for (uint32_t i = 0; !j->spec->takes_changes && best != UINT32_MAX && i < j->spans_count; i++)
        if (i != best && j->spans[i].from_us <= needed_us)
            j->dead[j->spans[i].came] = 1;
}

/* needed_us: the first time that may be asked for. */
static int collect_key(
    struct leat__table_join *j, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash, int64_t needed_us)
{
    const struct leat_list_row *list, *before = NULL;
    uint32_t count = 0;
    LEAT_TRY(fail_or(ctx, leat__table_lists(j->versions, 0, &key, &hash, NULL, 1, &list, ctx->error)));
    for (const struct leat_list_row *row = list; row; row = row->next)
        count++;
    if (leat__table_join_reserve((void **)&j->dead, &j->dead_capacity, count, 1) < 0)
        return leat__rows_nomem(ctx, "versions");
    if (count == 0)
        return 0;
    memset(j->dead, 0, count);
    LEAT_TRY(make_spans(j, ctx, list));
    mark_dead(j, needed_us);
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_list_row *next = list->next;
        if (!j->dead[i])
            before = list;
        else
            LEAT_TRY(fail_or(ctx, leat__table_cut(j->versions, 0, key, hash, before, ctx->error)));
        list = next;
    }
    j->spans_of = NULL;
    return 0;
}

/* The keys of items, out of the table's way. */
static int collect_items(struct leat__table_join *j, struct leat__ctx *ctx,
    const struct leat_cursor_item *items, uint32_t count, int64_t needed_us)
{
    size_t lens[ITEMS], at = 0;
    uint64_t hashes[ITEMS];
    leat__strbuf_clear(&j->bytes);
    for (uint32_t i = 0; i < count; i++) {
        leat__strbuf_add(&j->bytes, items[i].key.data, items[i].key.len);
        lens[i] = items[i].key.len;
        hashes[i] = items[i].hash;
    }
    if (j->bytes.failed)
        return leat__rows_nomem(ctx, "keys");
    for (uint32_t i = 0; i < count; i++) {
        LEAT_TRY(collect_key(j, ctx, (struct leat_sv){ j->bytes.data + at, lens[i] }, hashes[i], needed_us));
        at += lens[i];
    }
    return 0;
}

/* No stream row to come asks for this time or an earlier one. */
static int64_t horizon(const struct leat__table_join *j, const struct leat__ctx *ctx)
{
    const int64_t table_us = leat__join_side_watermark(ctx, LEAT__RIGHT);
    int64_t stream_us = leat__join_side_watermark(ctx, LEAT__LEFT);
    if (stream_us != LEAT_TIME_MAX)
        stream_us = leat__time_sub(stream_us, j->spec->retention_us);
    return stream_us < table_us ? stream_us : table_us;
}

int leat__versions_collect(struct leat__table_join *j, struct leat__ctx *ctx)
{
    struct leat_cursor_item items[ITEMS];
    const int64_t needed_us = leat__time_add(horizon(j, ctx), 1);
    for (;;) {
        int64_t count;
        if (!j->collect_cursor) {
            const int found =
                leat__table_next_namespace(j->replaced, LEAT_TIME_MIN, &j->collect_bucket, ctx->error);
            if (found < 0)
                return leat__fail_here(ctx);
            if (!found || j->collect_bucket >= needed_us >> BUCKET_SHIFT)
                break;
            LEAT_TRY(fail_or(ctx,
                leat__cursor_open(
                    j->replaced, j->collect_bucket, LEAT_CURSOR_READ, &j->collect_cursor, ctx->error)));
        }
        while ((count = leat__cursor_next(j->collect_cursor, items, ITEMS, ctx->error)) > 0) {
            LEAT_TRY(collect_items(j, ctx, items, (uint32_t)count, needed_us));
            j->keys_seen += (uint32_t)count;
            if (j->keys_seen >= KEYS_PER_CALL)
                return LEAT_MORE;
        }
        leat__cursor_close(j->collect_cursor);
        j->collect_cursor = NULL;
        if (count < 0)
            return leat__fail_here(ctx);
        LEAT_TRY(fail_or(ctx, leat__table_drop(j->replaced, j->collect_bucket, ctx->error)));
    }
    j->is_collecting = false;
    return 0;
}
