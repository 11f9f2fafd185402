/* operators/join_interval.c -- pairs of records of two streams with equal keys and near times.
 *
 * A pair joins iff -before <= right.ts - left.ts <= after (semantics 29). Both sides keep their records in a
 * table of (bucket of time, key) -> list of rows:
 *
 *   a batch of one side:
 *       drop buckets of which nothing can be needed any more
 *       sort out records with a null key (dropped) and late ones (late output)
 *       put the others into the own table
 *       for each bucket of the other table that they reach: pair them with the rows there that are near
 * enough
 *
 * A pair is thus found exactly once, by the record that came later, whatever the order of arrival was.
 *
 * Late (docs/decisions/0002): a record is judged by its own side, by the larger of that input's watermark and
 * its batch's mark, less the allowed lateness. So the pairs do not depend on how the inputs interleave
 * (semantics 32). A left record is of use until every right record up to ts + after would be late, a right
 * one until every left record up to ts + before would. Buckets are as wide as before + after, so that a
 * record reaches two of the other side's at most, and go as a whole.
 *
 * Results are made by join_output.c. A result's time is the later of the two. With allowed lateness that may be
 * behind the watermark; an operator behind the join takes such results if its own allowed lateness covers the
 * join's.
 *
 * Work is bounded: after some batches of results or some thousand rows looked at, the place is kept and
 * LEAT_MORE returned. One key with very many partners is no other case.
 *
 * Checkpoints. Everything is in the tables; how far they were looked through for old buckets is found anew.
 *
 * Invariants: (1) pairs are flushed before the next call on the state that they point into; (2) between
 * batches there are no pairs and no open output; (3) j->rows is sorted by time; (4) no pointer into a list
 * outlives a call of this operator. */
#include "base/alloc.h"
#include "operators/join_interval_private.h"
#include <endian.h>
#include <string.h>

#define BUCKET_US_MIN LEAT_MILLIS(1)
#define NO_ROW UINT32_MAX
#define PREFETCH_AHEAD 6u
#define FEW 8u /* rows of a list that are passed without remembering it */
#define SNAPSHOT_VERSION 1

/* ---- times ---- */

/* The times of the other side that a record can pair with. */
static int64_t reach_from(const struct leat__interval_spec *spec, uint32_t side, int64_t time_us)
{
    return leat__sub_saturated(time_us, side == LEAT__LEFT ? spec->before_us : spec->after_us);
}

static int64_t reach_to(const struct leat__interval_spec *spec, uint32_t side, int64_t time_us)
{
    return leat__add_saturated(time_us, side == LEAT__LEFT ? spec->after_us : spec->before_us);
}

/* The times of the other side that a record pairs with, exactly: also at the ends of time, and so the same from
 * either side. The reaches saturate and are never too narrow. */
struct partners {
    int64_t from_us, to_us; /* inclusive; none where from > to */
};

static inline struct partners partners_of(
    const struct leat__interval_spec *spec, uint32_t side, int64_t own_us)
{
    const int64_t before_us = side == LEAT__LEFT ? spec->before_us : spec->after_us;
    const int64_t after_us = side == LEAT__LEFT ? spec->after_us : spec->before_us;
    struct partners p;
    const bool is_low = __builtin_sub_overflow(own_us, before_us, &p.from_us);
    const bool is_high = __builtin_add_overflow(own_us, after_us, &p.to_us);
    if (__builtin_expect(is_low || is_high, 0)) {
        if ((is_low && before_us < 0) || (is_high && after_us < 0))
            return (struct partners){ LEAT_TIME_MAX, LEAT_TIME_MIN };
        p.from_us = is_low ? LEAT_TIME_MIN : p.from_us;
        p.to_us = is_high ? LEAT_TIME_MAX : p.to_us;
    }
    return p;
}

/* ---- pairs ---- */

static int give_pair(
    struct leat__interval *j, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *other)
{
    const int64_t own_us = j->in->event_us[row];
    const void *own = leat_batch_at(j->in, row);
    const struct leat__join_pair pair = {
        .left = j->side == LEAT__LEFT ? own : other->record,
        .right = j->side == LEAT__LEFT ? other->record : own,
        .event_us = own_us > other->event_us ? own_us : other->event_us,
        .key_hash = j->in->key_hash[row],
    };
    return leat__join_output_pair(j->output, ctx, &pair);
}

int leat__interval_give_alone(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side,
    const void *record, int64_t event_us, uint64_t hash)
{
    const struct leat__join_pair pair = {
        .left = side == LEAT__LEFT ? record : NULL,
        .right = side == LEAT__LEFT ? NULL : record,
        .event_us = event_us,
        .key_hash = hash,
    };
    return leat__join_output_pair(j->output, ctx, &pair);
}

/* Both have had a partner. */
static int mark(
    struct leat__interval *j, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *other)
{
    j->matched[row] = 1;
    if (*other->flags || !j->keeps[!j->side])
        return 0;
    const int64_t bucket = leat__interval_bucket(j->spec, j->done_until_us);
    if (j->flagged_row != row &&
        leat__table_flagged(j->tables[!j->side], bucket, j->keys[row], j->in->key_hash[row], ctx->error) < 0)
        return leat__fail_here(ctx);
    j->flagged_row = row;
    *other->flags = 1;
    return 0;
}

/* Candidates that `where` holds for are pairs. */
static int judge_candidates(struct leat__interval *j, struct leat__ctx *ctx)
{
    struct leat__interval_candidates *c = &j->candidates;
    if (c->count == 0)
        return 0;
    LEAT_TRY(leat__join_matches(j->output, ctx, c->left, c->right, c->count, c->ok));
    for (uint32_t i = 0; i < c->count; i++) {
        if (!c->ok[i])
            continue;
        LEAT_TRY(mark(j, ctx, c->rows[i], c->others[i]));
        LEAT_TRY(give_pair(j, ctx, c->rows[i], c->others[i]));
    }
    c->count = 0;
    return 0;
}

/* Records of equal keys and near times. */
static int add_pair(
    struct leat__interval *j, struct leat__ctx *ctx, uint32_t row, const struct leat_list_row *other)
{
    struct leat__interval_candidates *c = &j->candidates;
    if (c->capacity == 0) {
        if (j->spec->pairs.kind != LEAT_JOIN_INNER)
            LEAT_TRY(mark(j, ctx, row, other));
        return give_pair(j, ctx, row, other);
    }
    const void *own = leat_batch_at(j->in, row);
    c->left[c->count] = j->side == LEAT__LEFT ? own : other->record;
    c->right[c->count] = j->side == LEAT__LEFT ? other->record : own;
    c->others[c->count] = other;
    c->rows[c->count++] = row;
    return c->count == c->capacity ? judge_candidates(j, ctx) : 0;
}

static int flush_pairs(struct leat__interval *j, struct leat__ctx *ctx)
{
    LEAT_TRY(judge_candidates(j, ctx));
    return leat__join_output_flush(j->output, ctx);
}

/* ---- a batch comes in ---- */

/* Stable, by time; mostly there is nothing to do. */
void leat__interval_sort(const int64_t *times, uint32_t *rows, uint32_t *spare, uint32_t n)
{
    uint32_t *from = rows, *to = spare;
    uint32_t sorted = 1;
    while (sorted < n && times[from[sorted - 1]] <= times[from[sorted]])
        sorted++;
    for (uint32_t width = 1; sorted < n && width < n; width *= 2) {
        for (uint32_t low = 0; low < n; low += 2 * width) {
            const uint32_t middle = low + width < n ? low + width : n;
            const uint32_t high = low + 2 * width < n ? low + 2 * width : n;
            uint32_t a = low, b = middle;
            for (uint32_t k = low; k < high; k++)
                to[k] = a < middle && (b == high || times[from[a]] <= times[from[b]]) ? from[a++] : from[b++];
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != rows)
        memcpy(rows, from, n * sizeof *from);
}

static int emit_late(struct leat__interval *j, struct leat__ctx *ctx, uint32_t count, int64_t w)
{
    const int32_t port = ctx->node->late_ports[j->side];
    struct leat_batch *late;
    leat__count(&ctx->counters->late_records, count);
    if (count == 0 || port < 0 || !leat__ctx_consumed(ctx, (uint32_t)port))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, j->in, j->rows_spare, count, &late));
    late->late = 1;
    late->late_wm_us = w;
    return leat__emit(ctx, (uint32_t)port, late);
}

/* Sorts the batch's rows out: j->rows has those that join. Null keys have no partner, and need not wait for one. */
static int admit_rows(struct leat__interval *j, struct leat__ctx *ctx)
{
    const struct leat_batch *in = j->in;
    const bool keeps = leat__join_keeps(&j->spec->pairs, j->side);
    const int64_t own_w = leat__join_side_watermark(ctx, j->side);
    const int64_t w = in->late && in->late_wm_us > own_w ? in->late_wm_us : own_w;
    const int64_t late_us = leat__join_passed_us(w, j->spec->lateness_us);
    uint32_t late = 0, null = 0;
    j->rows_count = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        const bool is_late = in->event_us[i] <= late_us && late_us != LEAT_TIME_MIN;
        if (!j->keys[i].data && !keeps)
            null++;
        else if (is_late)
            j->rows_spare[late++] = i;
        else if (j->keys[i].data)
            j->rows[j->rows_count++] = i;
        else
            LEAT_TRY(leat__interval_give_alone(
                j, ctx, j->side, leat_batch_at(in, i), in->event_us[i], in->key_hash[i]));
    }
    leat__count(&ctx->counters->dropped_records, null);
    return emit_late(j, ctx, late, w);
}

/* The first bucket of the other side that there is and that rows from j->run_from on reach. False: none. */
static int next_bucket(struct leat__interval *j, struct leat__ctx *ctx, int64_t *bucket, bool *found)
{
    const struct leat__interval_spec *spec = j->spec;
    const int64_t *times = j->in->event_us;
    for (;;) {
        while (j->any_run && j->run_from < j->rows_count &&
            reach_to(spec, j->side, times[j->rows[j->run_from]]) <= j->done_until_us)
            j->run_from++;
        *found = j->run_from < j->rows_count;
        if (!*found)
            return 0;
        int64_t start_us = reach_from(spec, j->side, times[j->rows[j->run_from]]);
        if (j->any_run && start_us <= j->done_until_us)
            start_us = j->done_until_us + 1; /* no overflow: the row reaches further */
        const int64_t first = leat__interval_bucket(spec, start_us);
        const int code = leat__table_next_namespace(j->tables[!j->side], first, bucket, ctx->error);
        if (code < 0)
            return leat__fail_here(ctx);
        *found = code > 0;
        if (!*found || *bucket == first)
            return 0;
        j->any_run = true;
        j->done_until_us = leat__interval_bucket_last_us(spec, *bucket - 1);
    }
}

/* The next rows that reach into one bucket of the other side, with their lists there. False when all is
 * found. */
static int begin_run(struct leat__interval *j, struct leat__ctx *ctx, bool *found)
{
    const struct leat__interval_spec *spec = j->spec;
    const int64_t *times = j->in->event_us;
    int64_t bucket;
    LEAT_TRY(next_bucket(j, ctx, &bucket, found));
    if (!*found)
        return 0;
    const uint32_t from = j->run_to = j->run_from;
    j->any_run = true;
    j->done_until_us = leat__interval_bucket_last_us(spec, bucket);
    while (
        j->run_to < j->rows_count && reach_from(spec, j->side, times[j->rows[j->run_to]]) <= j->done_until_us)
        j->run_to++;
    if (leat__table_lists(j->tables[!j->side], bucket, j->keys, j->in->key_hash, j->rows + from,
            j->run_to - from, j->lists, ctx->error) < 0)
        return leat__fail_here(ctx);
    j->in_run = true;
    j->run_number++;
    j->flagged_row = NO_ROW;
    j->at = 0;
    j->list_at = 0;
    return 0;
}

/* Other operators of the worker may come next, and what they do with the state makes lists move: (1), (4). */
static int pause_run(struct leat__interval *j, struct leat__ctx *ctx)
{
    LEAT_TRY(flush_pairs(j, ctx));
    j->next = NULL;
    return LEAT_MORE;
}

/* (4): the lists of the rest of the run again, up to the place where it paused. */
static int resume_run(struct leat__interval *j, struct leat__ctx *ctx)
{
    const uint32_t from = j->run_from + j->at;
    const int64_t bucket = leat__interval_bucket(j->spec, j->done_until_us);
    if (leat__table_lists(j->tables[!j->side], bucket, j->keys, j->in->key_hash, j->rows + from,
            j->run_to - from, j->lists + j->at, ctx->error) < 0)
        return leat__fail_here(ctx);
    j->run_number++; /* what was remembered of the lists is void */
    j->flagged_row = NO_ROW;
    j->next = j->lists[j->at];
    for (uint64_t i = 0; i < j->list_at; i++)
        j->next = j->next->next;
    return 0;
}

/* So many rows in a row of a list were too early. Passes the others that are, and remembers how far it has come: rows
 * of the run are in the order of time, and so no later one of the same key needs them. */
static void skip_early(struct leat__interval *j, uint64_t hash, int64_t from_us)
{
    const struct leat_list_row *first = j->lists[j->at], *row = j->next;
    struct leat__interval_passed *passed = &j->passed[hash % LEAT__JOIN_PASSED];
    uint64_t at = j->list_at;
    if (passed->run == j->run_number && passed->first == first && passed->count > at) {
        row = passed->next;
        at = passed->count;
    }
    for (; row && row->event_us < from_us; at++)
        row = row->next;
    *passed = (struct leat__interval_passed){ first, row, at, j->run_number };
    j->next = row;
    j->list_at = at;
}

static bool has_done_enough(const struct leat__interval *j)
{
    return j->scanned >= LEAT__JOIN_SCANNED_PER_CALL || *j->given >= LEAT_OP_BATCHES_PER_CALL;
}

/* The pairs of one row with the rest of its list. LEAT_MORE when this call has done enough. */
static int scan_list(struct leat__interval *j, struct leat__ctx *ctx, uint32_t row)
{
    const struct partners partners = partners_of(j->spec, j->side, j->in->event_us[row]);
    uint32_t early = 0;
    for (const struct leat_list_row *other = j->next; other; other = j->next) {
        const int64_t other_us = other->event_us;
        if (has_done_enough(j))
            return pause_run(j, ctx);
        j->scanned++;
        j->list_at++;
        j->next = other->next;
        if (other_us >= partners.from_us && other_us <= partners.to_us)
            LEAT_TRY(add_pair(j, ctx, row, other));
        early += other_us < partners.from_us;
        if (early == FEW && j->list_at == FEW)
            skip_early(j, j->in->key_hash[row], partners.from_us);
    }
    return 0;
}

/* ---- pairs that need nothing but to be given ---- */

/* What rows of a run have in common. Own times in [first_us, first_us + times]: neither is their reach at the ends of
 * time, nor are their pairs behind the watermark. The others go through scan_list. */
struct seekers {
    int64_t first_us;
    uint64_t times;
    int64_t before_us; /* to the first time that one pairs with, */
    uint64_t width; /* and all of them */
    const void **owns, **others; /* of the lane */
    int64_t *event_us;
    uint64_t *key_hash;
};

static struct seekers seekers_of(const struct leat__interval *j)
{
    const struct leat__join_lane *lane = &j->output->lanes[LEAT__JOIN_ON_TIME];
    const bool is_left = j->side == LEAT__LEFT;
    const int64_t before_us = is_left ? j->spec->before_us : j->spec->after_us;
    const int64_t after_us = is_left ? j->spec->after_us : j->spec->before_us;
    const int64_t lowest_us = before_us > 0 ? LEAT_TIME_MIN + before_us : LEAT_TIME_MIN; /* and none of it */
    const int64_t last_us = after_us > 0 ? LEAT_TIME_MAX - after_us : LEAT_TIME_MAX;
    const int64_t plain_us = j->output->plain_after_us;
    const int64_t after = lowest_us > plain_us ? lowest_us : plain_us;
    return (struct seekers){ .first_us = after < last_us ? after + 1 : LEAT_TIME_MAX,
        .times = after < last_us ? (uint64_t)last_us - (uint64_t)after - 1 : 0,
        .before_us = before_us,
        .width = (uint64_t)before_us + (uint64_t)after_us,
        .owns = is_left ? lane->left : lane->right,
        .others = is_left ? lane->right : lane->left,
        .event_us = lane->event_us,
        .key_hash = lane->key_hash };
}

static inline bool is_seeker(const struct seekers *s, int64_t own_us)
{
    return (uint64_t)own_us - (uint64_t)s->first_us <= s->times && own_us != LEAT_TIME_MAX;
}

/* A list on its way: what is next of it, and where pairs go. */
struct gathering {
    const struct leat_list_row *next;
    uint32_t pairs, looked, early;
};

/* Pairs a row with the next rows of a list, at most `most`, for which the lane has room. Which of them are pairs is
 * hard to guess, for a processor too: so all are written, and those that are none written over. */
static inline __attribute__((always_inline)) void gather(const struct seekers *s, struct gathering *g,
    const void *own, int64_t own_us, uint64_t hash, uint32_t most)
{
    const struct leat_list_row *other = g->next;
    const int64_t from_us = own_us - s->before_us;
    uint32_t n = g->pairs, early = 0, i = 0;
    do {
        const int64_t us = other->event_us;
        s->owns[n] = own;
        s->others[n] = other->record;
        s->event_us[n] = us > own_us ? us : own_us;
        s->key_hash[n] = hash;
        n += (uint64_t)us - (uint64_t)from_us <= s->width;
        early += us < from_us;
        other = other->next;
    } while (++i < most && other);
    *g = (struct gathering){ other, n, g->looked + i, early };
}

/* The rest of the list of the row at j->at, like scan_list. */
static int scan_long(struct leat__interval *j, struct leat__ctx *ctx, uint32_t row)
{
    const struct seekers s = seekers_of(j);
    struct leat__join_lane *lane = &j->output->lanes[LEAT__JOIN_ON_TIME];
    while (j->next) {
        if (has_done_enough(j))
            return pause_run(j, ctx);
        const uint32_t room = lane->room - lane->count, allowed = LEAT__JOIN_SCANNED_PER_CALL - j->scanned;
        struct gathering g = { .next = j->next, .pairs = lane->count };
        gather(&s, &g, leat_batch_at(j->in, row), j->in->event_us[row], j->in->key_hash[row],
            room < allowed ? room : allowed);
        j->next = g.next;
        j->list_at += g.looked;
        j->scanned += g.looked;
        lane->count = g.pairs;
        if (lane->count == lane->room)
            LEAT_TRY(leat__join_output_full(j->output, ctx));
    }
    return 0;
}

static inline void prefetch_row(const struct leat_list_row *row)
{
    __builtin_prefetch(row);
    __builtin_prefetch((const char *)row + 64); /* of the record */
}

/* All pairs of the run's rows from j->at on whose lists are short: most of the work of joins with few partners. Ends
 * in the list of a row that has more, before a row that needs more care, and where the lane is full. */
static void gather_short(struct leat__interval *j, const struct seekers *seekers)
{
    static const struct leat_list_row nobody = { .event_us = LEAT_TIME_MIN };
    const struct seekers s = *seekers; /* nothing that is written changes these */
    struct leat__join_lane *lane = &j->output->lanes[LEAT__JOIN_ON_TIME];
    const uint32_t count = j->run_to - j->run_from, *rows = j->rows + j->run_from;
    const struct leat_list_row *const *lists = j->lists;
    const int64_t *event_us = j->in->event_us;
    const uint64_t *key_hash = j->in->key_hash;
    const unsigned char *records = j->in->rows;
    const size_t stride = j->in->stride;
    const uint32_t pairs_max = lane->room - FEW;
    struct gathering g = { .pairs = lane->count, .looked = j->scanned };
    uint32_t at = j->at;
    for (; at < count && g.pairs <= pairs_max && g.looked < LEAT__JOIN_SCANNED_PER_CALL; at++) {
        const uint32_t row = rows[at];
        const int64_t own_us = event_us[row];
        if (at + PREFETCH_AHEAD < count)
            prefetch_row(lists[at + PREFETCH_AHEAD]);
        if (!is_seeker(&s, own_us))
            break;
        g.next = lists[at] ? lists[at] : &nobody;
        gather(&s, &g, records + row * stride, own_us, key_hash[row], FEW);
        if (g.next)
            break;
    }
    lane->count = g.pairs;
    j->scanned = g.looked;
    j->at = at;
    j->next = g.next;
    if (g.next) {
        j->list_at = FEW;
        if (g.early == FEW)
            skip_early(j, key_hash[rows[at]], event_us[rows[at]] - s.before_us);
    }
}

/* The same, with room made. */
static int scan_short(struct leat__interval *j, struct leat__ctx *ctx)
{
    struct leat__join_lane *lane = &j->output->lanes[LEAT__JOIN_ON_TIME];
    const struct seekers s = seekers_of(j);
    for (uint32_t begun = NO_ROW; j->at < j->run_to - j->run_from && begun != j->at;) {
        if (has_done_enough(j) || j->list_at > 0)
            break;
        if (lane->room - lane->count < FEW)
            LEAT_TRY(leat__join_output_full(j->output, ctx));
        if (lane->room < FEW)
            break;
        begun = j->at;
        gather_short(j, &s);
    }
    return lane->count == lane->room ? leat__join_output_full(j->output, ctx) : 0;
}

/* What is left to be done of the row at j->at. */
static int scan_row(struct leat__interval *j, struct leat__ctx *ctx)
{
    const uint32_t row = j->rows[j->run_from + j->at];
    const struct seekers s = seekers_of(j);
    if (j->list_at == 0)
        j->next = j->lists[j->at];
    return j->is_plain && is_seeker(&s, j->in->event_us[row]) ? scan_long(j, ctx, row)
                                                              : scan_list(j, ctx, row);
}

/* Finds the pairs of the run. LEAT_MORE when this call has done enough; j->at and j->next say where it goes
 * on. */
static int scan_run(struct leat__interval *j, struct leat__ctx *ctx)
{
    const uint32_t count = j->run_to - j->run_from;
    leat__join_output_begin(j->output, ctx);
    for (;;) {
        if (j->is_plain && j->list_at == 0)
            LEAT_TRY(scan_short(j, ctx));
        if (j->at == count)
            break;
        const int code = scan_row(j, ctx);
        if (code != 0)
            return code;
        j->at++;
        j->list_at = 0;
    }
    LEAT_TRY(flush_pairs(j, ctx));
    j->in_run = false;
    return 0;
}

/* ---- a batch has been paired ---- */

/* Of rows that no partner can follow: how many there are, and those that had none before are given. */
static int give_closed(struct leat__interval *j, struct leat__ctx *ctx, uint32_t *count)
{
    const struct leat_batch *in = j->in;
    const bool keeps = j->keeps[j->side];
    *count = 0;
    if (j->spec->is_asof && j->side == LEAT__RIGHT)
        return 0; /* left ones that are not decided may need it */
    for (; *count < j->rows_count; ++*count) {
        const uint32_t row = j->rows[*count];
        if (!leat__interval_is_closed(j, ctx, j->side, in->event_us[row]))
            break;
        if (keeps && !j->matched[row])
            LEAT_TRY(j->give(j, ctx, j->side, leat_batch_at(in, row), in->event_us[row], in->key_hash[row]));
    }
    return 0;
}

static int append_run(struct leat__interval *j, struct leat__ctx *ctx, uint32_t from, uint32_t count)
{
    const struct leat_batch *in = j->in;
    const bool keeps = j->keeps[j->side];
    const int64_t bucket = leat__interval_bucket(j->spec, in->event_us[j->rows[from]]);
    if (leat__table_append_flagged(j->tables[j->side], bucket, j->keys, in->key_hash, j->rows + from, count,
            in, keeps ? j->matched : NULL, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t i = from; keeps && i < from + count; i++) {
        const uint32_t row = j->rows[i];
        if (!j->matched[row])
            LEAT_TRY(
                leat__interval_waits(j, ctx, j->side, in->event_us[row], j->keys[row], in->key_hash[row]));
    }
    return 0;
}

/* Puts the rows from `from` on into their own side's table, bucket by bucket. */
static int append_from(struct leat__interval *j, struct leat__ctx *ctx, uint32_t from)
{
    const int64_t *times = j->in->event_us;
    for (uint32_t to; from < j->rows_count; from = to) {
        const int64_t bucket = leat__interval_bucket(j->spec, times[j->rows[from]]);
        const int64_t last_us = leat__interval_bucket_last_us(j->spec, bucket);
        for (to = from; to < j->rows_count && times[j->rows[to]] <= last_us; to++)
            ;
        LEAT_TRY(append_run(j, ctx, from, to - from));
    }
    return 0;
}

int leat__interval_append(struct leat__interval *j, struct leat__ctx *ctx)
{
    uint32_t from;
    LEAT_TRY(give_closed(j, ctx, &from));
    return append_from(j, ctx, from);
}

static int reserve_rows(struct leat__interval *j, struct leat__ctx *ctx, uint32_t count)
{
    LEAT_TRY(leat__rows_reserve(ctx, &j->rows, &j->rows_capacity, count));
    LEAT_TRY(leat__rows_reserve(ctx, &j->rows_spare, &j->rows_spare_capacity, count));
    if (count <= j->lists_capacity)
        return 0;
    leat__free(j->lists);
    leat__free(j->matched);
    j->lists = leat__malloc(count * sizeof *j->lists);
    j->matched = leat__malloc(count);
    j->lists_capacity = j->lists && j->matched ? count : 0;
    return j->lists_capacity ? 0 : leat__rows_nomem(ctx, "lists of partners");
}

int leat__interval_append_rows(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side,
    struct leat_batch *batch, const uint32_t *rows, uint32_t count)
{
    LEAT_ASSERT(!j->in); /* (2) */
    LEAT_TRY(reserve_rows(j, ctx, batch->count));
    if (leat__key_eval(j->spec->pairs.keys[side], j->key_scratch, &ctx->user, batch, &j->keys) < 0)
        return leat__rows_nomem(ctx, "keys");
    memset(j->matched, 0, batch->count);
    memcpy(j->rows, rows, count * sizeof *rows);
    j->rows_count = count;
    j->side = side;
    j->in = batch;
    const int code = append_from(j, ctx, 0);
    j->in = NULL;
    return code;
}

static int find_pairs(struct leat__interval *j, struct leat__ctx *ctx)
{
    if (j->in_run)
        LEAT_TRY(resume_run(j, ctx));
    for (;;) {
        bool found = true;
        if (!j->in_run)
            LEAT_TRY(begin_run(j, ctx, &found));
        if (!found)
            return 0;
        const int code = scan_run(j, ctx);
        if (code != 0)
            return code;
    }
}

/* Sorts a batch out; j->in is NULL if no row of it has a key. */
int leat__interval_take(struct leat__interval *j, struct leat__ctx *ctx)
{
    LEAT_TRY(leat__rows_keys(ctx, j->spec->pairs.keys[j->side], j->key_scratch, &j->in, &j->keys));
    if (!j->in)
        return 0;
    LEAT_TRY(reserve_rows(j, ctx, j->in->count));
    memset(j->matched, 0, j->in->count);
    LEAT_TRY(admit_rows(j, ctx));
    leat__interval_sort(j->in->event_us, j->rows, j->rows_spare, j->rows_count);
    j->run_from = j->run_to = 0;
    j->in_run = j->any_run = false;
    j->is_taken = true;
    return 0;
}

/* Carries on with what there is to do; between batches that is what watermarks do. */
static int work(struct leat__interval *j, struct leat__ctx *ctx)
{
    int code = 0;
    j->scanned = *j->given = 0;
    if (!j->is_taken)
        code = leat__interval_close(j, ctx);
    if (code != 0 || !j->in)
        return code;
    if (!j->is_taken)
        LEAT_TRY(leat__interval_take(j, ctx));
    if (!j->in)
        return 0;
    code = find_pairs(j, ctx);
    if (code != 0)
        return code;
    LEAT_TRY(leat__interval_append(j, ctx));
    LEAT_TRY(leat__join_output_end(j->output, ctx));
    leat__batch_release(j->in);
    j->in = NULL;
    j->is_taken = false;
    return 0;
}

static int join_on_batch(struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct leat__interval *j = (struct leat__interval *)op;
    LEAT_ASSERT(input < LEAT__SIDES && !j->in); /* (2) */
    j->in = batch;
    j->side = input;
    return work(j, ctx);
}

static int join_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    (void)w; /* each side's own counts */
    return work((struct leat__interval *)op, ctx);
}

static int join_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return work((struct leat__interval *)op, ctx);
}

/* ---- life ---- */

static int open_tables(struct leat__interval *j, struct leat__ctx *ctx)
{
    static const char *const names[LEAT__SIDES] = { "left", "right" };
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        const struct leat_table_opts opts = {
            .node = ctx->node->name,
            .name = names[side],
            .kind = LEAT_TABLE_LIST,
            .key_size = j->spec->pairs.key_size,
            .row_type = leat__input_type(ctx->node, side),
            .key_text = j->spec->pairs.key_types[side],
            .format = j->spec->formats[side],
            .schema = leat__input_type(ctx->node, side)->schema,
            .counted = true,
        };
        if (leat__table_open(ctx->state, &opts, &j->tables[side], ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    return 0;
}

/* Outer joins ask `where` before they say that a record has a partner. */
static int make_candidates(struct leat__interval *j, struct leat__ctx *ctx)
{
    struct leat__interval_candidates *c = &j->candidates;
    const uint32_t n = leat__pool_batch_rows(ctx->pool, &j->spec->pairs.pair_type);
    if (!j->spec->pairs.where || j->spec->pairs.kind == LEAT_JOIN_INNER)
        return 0;
    c->left = leat__calloc(n, sizeof *c->left);
    c->right = leat__calloc(n, sizeof *c->right);
    c->others = leat__calloc(n, sizeof *c->others);
    c->rows = leat__calloc(n, sizeof *c->rows);
    c->ok = leat__calloc(n, sizeof *c->ok);
    if (!c->left || !c->right || !c->others || !c->rows || !c->ok)
        return leat__rows_nomem(ctx, "pairs");
    c->capacity = n;
    leat__join_output_judged(j->output, true);
    return 0;
}

int leat__interval_init(struct leat__interval *j, struct leat__ctx *ctx)
{
    j->spec = j->op.node->spec;
    j->give = leat__interval_give_alone;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        j->keeps[side] = leat__join_keeps(&j->spec->pairs, side);
    j->close[LEAT__LEFT].done_us = j->close[LEAT__RIGHT].done_us = LEAT_TIME_MIN;
    j->forwarded_us = LEAT_TIME_MIN;
    if (leat__key_scratch_new(&j->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a join");
    LEAT_TRY(leat__join_output_new(&j->spec->pairs, ctx, &j->output));
    j->is_plain = j->spec->pairs.kind == LEAT_JOIN_INNER;
    j->given = leat__join_output_given(j->output);
    return open_tables(j, ctx);
}

static int join_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct leat__interval *j = (struct leat__interval *)op;
    LEAT_TRY(leat__interval_init(j, ctx));
    if (op->op_class->holds)
        leat__join_output_forwarded(j->output, leat__interval_forward_us(j, ctx));
    return make_candidates(j, ctx);
}

void leat__interval_release(struct leat__interval *j)
{
    leat__join_output_free(j->output);
    leat__batch_release(j->in);
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        leat__cursor_close(j->close[side].cursor);
        leat__due_free(&j->close[side].waiting);
        leat__strbuf_release(&j->close[side].group.bytes);
        leat__table_close(j->tables[side]);
    }
    leat__free(j->rows);
    leat__free(j->rows_spare);
    leat__free(j->lists);
    leat__free(j->matched);
    leat__free(j->candidates.left);
    leat__free(j->candidates.right);
    leat__free(j->candidates.others);
    leat__free(j->candidates.rows);
    leat__free(j->candidates.ok);
    leat__key_scratch_free(j->key_scratch);
}

static void join_release(struct leat_op *op, struct leat__ctx *ctx)
{
    (void)ctx;
    leat__interval_release((struct leat__interval *)op);
}

/* ---- checkpoints ---- */

/* What was forwarded: what comes next is late behind the join by that, and not by what could be forwarded now. */
int leat__interval_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat__interval *j = (const struct leat__interval *)op;
    leat__strbuf_char(out, SNAPSHOT_VERSION);
    const uint64_t bits = htole64((uint64_t)j->forwarded_us);
    leat__strbuf_add(out, &bits, sizeof bits);
    return out->failed ? leat__rows_nomem(ctx, "a checkpoint") : 0;
}

/* Of several instances before the one that had come least far. */
int leat__interval_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__interval *j = (struct leat__interval *)op;
    int64_t least_us = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t bits;
        if (parts[i].len != 1 + sizeof bits || parts[i].data[0] != SNAPSHOT_VERSION)
            return leat__fail(
                ctx, LEAT_EDATA, "the checkpoint has %zu bytes of a join that it can not read", parts[i].len);
        memcpy(&bits, parts[i].data + 1, sizeof bits);
        const int64_t us = (int64_t)le64toh(bits);
        least_us = us < least_us ? us : least_us;
    }
    leat__join_output_forwarded(j->output, least_us);
    return 0;
}

static const struct leat_op_class outer_class = {
    .kind = "join",
    .size = sizeof(struct leat__interval),
    .holds = true,
    .init = join_init,
    .on_batch = join_on_batch,
    .on_watermark = join_on_watermark,
    .step = join_step,
    .snapshot = leat__interval_snapshot,
    .restore = leat__interval_restore,
    .release = join_release,
};

static const struct leat_op_class join_class = {
    .kind = "join",
    .size = sizeof(struct leat__interval),
    .init = join_init,
    .on_batch = join_on_batch,
    .on_watermark = join_on_watermark,
    .step = join_step,
    .release = join_release,
};

/* ---- declaration ---- */

static void declare_bounds(
    struct leat_node *node, const struct leat_join_opts *o, struct leat__interval_spec *spec)
{
    char before[32], after[32];
    const bool has_bounds = o->before_us != 0 || o->after_us != 0;
    spec->before_us = o->within_us ? o->within_us : o->before_us;
    spec->after_us = o->within_us ? o->within_us : o->after_us;
    if (o->within_us && has_bounds)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "given together with before_us or after_us: within_us sets both of them");
    else if (o->within_us < 0)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "%s is negative: it is how far apart two times may be",
            leat__duration_text(o->within_us, before));
    else if (!o->within_us && !has_bounds)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "missing: say how far apart in time two records may be, with within_us, or before_us and "
            "after_us");
    else if (leat__add_saturated(spec->before_us, spec->after_us) < 0)
        leat__declare_error(node, "before_us", LEAT_EDECLARE,
            "before_us + after_us is negative (%s and %s): no right record can be in that interval",
            leat__duration_text(spec->before_us, before), leat__duration_text(spec->after_us, after));
    if (o->allowed_lateness_us < 0)
        leat__declare_error(node, "allowed_lateness_us", LEAT_EDECLARE,
            "%s is negative: set how far behind its side's watermark a record may still join, or 0",
            leat__duration_text(o->allowed_lateness_us, before));
    spec->lateness_us = o->allowed_lateness_us;
    const int64_t range_us = leat__add_saturated(spec->before_us, spec->after_us);
    spec->bucket_us = range_us > BUCKET_US_MIN ? range_us : BUCKET_US_MIN;
}

static const char *describe(struct leat_node *node, const struct leat__interval_spec *spec)
{
    char before[32], after[32];
    const bool from_later = spec->before_us < 0; /* a first partner that is later than the left record */
    const char *range = leat__spec_printf(node, "right - left in [%s%s, %s]", from_later ? "" : "-",
        leat__duration_text(from_later ? -spec->before_us : spec->before_us, before),
        leat__duration_text(spec->after_us, after));
    return leat__join_describe(node, &spec->pairs, range);
}

static void declare_pairs(
    struct leat_node *node, const struct leat_join_opts *o, struct leat__interval_spec *spec)
{
    const struct leat__join_opts pairs = {
        .kind = o->kind,
        .kinds = 1u << LEAT_JOIN_INNER | 1u << LEAT_JOIN_LEFT | 1u << LEAT_JOIN_RIGHT | 1u << LEAT_JOIN_FULL,
        .left_key = o->left_key,
        .right_key = o->right_key,
        .where = o->where,
        .merge = o->merge,
        .out = o->out,
        .fields = o->fields,
        .fields_max = sizeof o->fields / sizeof o->fields[0],
        .key_as = o->key_as,
    };
    leat__join_declare(node, &pairs, &spec->pairs);
}

leat_stream *leat_join_sized(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_opts *opts, size_t size)
{
    struct leat_join_opts o;
    struct leat_node *node = leat__declare(left->t, name, LEAT_NODE_OPERATOR, join_class.kind);
    /* Types first: how rows go over the edges is known once there are keys. */
    leat__input(node, LEAT__LEFT, left, LEAT_FORWARD, NULL);
    leat__input(node, LEAT__RIGHT, right, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &join_class;
    leat__join_has_late(node);
    struct leat__interval_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    node->spec = spec;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__need_event_time(node, side);
    declare_bounds(node, &o, spec);
    declare_pairs(node, &o, spec);
    if (!leat__node_is_inert(node)) {
        node->op = spec->pairs.kind == LEAT_JOIN_INNER ? &join_class : &outer_class;
        node->detail = describe(node, spec);
        for (uint32_t side = 0; side < LEAT__SIDES; side++)
            spec->formats[side] =
                leat__spec_printf(node, "v1; buckets of %lld us%s", (long long)spec->bucket_us,
                    leat__join_keeps(&spec->pairs, side) ? "; whether each had a partner" : "");
    }
    return leat__stream(node, 0);
}
