/* operators/join_interval_close.c -- what a watermark does to an interval join.
 *
 * The other side's watermark closes records of a side: no partner of theirs can come any more. Buckets all of whose
 * times are closed are dropped. On a side whose records are all to be given (left, right, full) what has never had a
 * partner is given before, once:
 *
 *   a bucket that is closed as a whole   all of its keys are walked through, then it is dropped
 *   the one that is closed in part       is walked through once, which tells when each key is due next
 *                                        (join_due.c); from then on only keys that are due are looked at. What is
 *                                        given there is flagged, as if it had had a partner
 *
 * Then the watermark is forwarded as far as nothing before it can come: behind all that is not closed yet.
 *
 * Everything may stop after any row: the keys that are being looked at are kept, and their lists fetched again.
 *
 * Invariants: (1) at most one bucket of a side is closed in part, and all before it are gone; (2) once walked through,
 * each key with a row that was never paired has an entry in `waiting` at its first such time, or one that is not
 * later, unless that is beyond complete_us; (3) the output is flushed before a group's lists are let go. */
#include "base/alloc.h"
#include "operators/join_interval_private.h"
#include <string.h>

#define DROPS_PER_CALL 16u /* buckets that one call drops */

/* ---- how far ---- */

/* The same as leat__interval_is_closed. */
int64_t leat__interval_closed_us(const struct leat__interval *j, const struct leat__ctx *ctx, uint32_t side)
{
    const int64_t w = leat__join_side_watermark(ctx, !side);
    int64_t bound;
    if (w == LEAT_TIME_MIN || w == LEAT_TIME_MAX)
        return w;
    if (__builtin_sub_overflow(w, j->spec->lateness_us, &bound))
        return LEAT_TIME_MIN;
    return leat__sub_saturated(bound, leat__interval_reach(j->spec, side));
}

int64_t leat__interval_forward_us(const struct leat__interval *j, const struct leat__ctx *ctx)
{
    int64_t until_us = ctx->watermark_us;
    for (uint32_t side = 0; side < LEAT__SIDES && until_us != LEAT_TIME_MAX; side++) {
        const int64_t closed_us = j->keeps[side] ? leat__interval_closed_us(j, ctx, side) : LEAT_TIME_MAX;
        if (closed_us < until_us)
            until_us = closed_us;
    }
    return until_us;
}

/* ---- a group of keys ---- */

static bool has_done_enough(const struct leat__interval *j)
{
    return j->is_full || j->scanned >= LEAT__JOIN_SCANNED_PER_CALL || *j->given >= LEAT_OP_BATCHES_PER_CALL;
}

/* Makes the keys from `at` on the group's own: those of a cursor are gone with its next call. */
static int own_keys(struct leat__close_group *group)
{
    size_t size = 0, at = 0;
    if (group->owned)
        return 0;
    leat__strbuf_clear(&group->bytes);
    for (uint32_t i = group->at; i < group->count; i++)
        size += group->keys[i].len;
    if (!leat__strbuf_reserve(&group->bytes, size))
        return LEAT_ENOMEM;
    for (uint32_t i = group->at; i < group->count; i++) {
        struct leat_sv *key = &group->keys[i];
        leat__strbuf_add(&group->bytes, key->data, key->len);
        key->data = group->bytes.data + at;
        at += key->len;
    }
    group->owned = true;
    return 0;
}

/* The lists of the keys that are left. */
static int fetch_lists(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket)
{
    struct leat__close_group *group = &j->close[side].group;
    const uint32_t at = group->at;
    if (at < group->count &&
        leat__table_lists(j->tables[side], bucket, group->keys + at, group->hashes + at, NULL,
            group->count - at, group->lists + at, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

/* LEAT_MORE in the middle of a group: other operators may use the state before the next call. */
static int pause_group(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side)
{
    LEAT_TRY(leat__join_output_flush(j->output, ctx));
    if (own_keys(&j->close[side].group) < 0)
        return leat__rows_nomem(ctx, "keys of records without a partner");
    return LEAT_MORE;
}

/* One key's rows: gives those that are due. In a bucket that stays they are flagged, and when the key is due next is
 * found. LEAT_MORE: in the middle. */
static int look_at_list(
    struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket, bool stays)
{
    struct leat__close_group *group = &j->close[side].group;
    const uint32_t at = group->at;
    const int64_t closed_us = leat__interval_closed_us(j, ctx, side);
    const struct leat_list_row *row = group->lists[at];
    bool is_flagged = false;
    for (uint64_t i = 0; i < group->list_at; i++)
        row = row->next;
    for (; row; row = row->next) {
        if (has_done_enough(j))
            return LEAT_MORE;
        group->list_at++;
        j->scanned++;
        if (*row->flags)
            continue;
        if (row->event_us > closed_us) {
            if (row->event_us < group->next_us)
                group->next_us = row->event_us;
            continue;
        }
        if (stays && !is_flagged &&
            leat__table_flagged(j->tables[side], bucket, group->keys[at], group->hashes[at], ctx->error) < 0)
            return leat__fail_here(ctx);
        is_flagged = true;
        *row->flags |= stays;
        LEAT_TRY(j->give(j, ctx, side, row->record, row->event_us, group->hashes[at]));
    }
    return 0;
}

/* All that is left of the group. */
static int look_at_group(
    struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket, bool stays)
{
    struct leat__close *c = &j->close[side];
    struct leat__close_group *group = &c->group;
    if (group->owned)
        LEAT_TRY(fetch_lists(j, ctx, side, bucket));
    while (group->at < group->count) {
        const int code = look_at_list(j, ctx, side, bucket, stays);
        if (code < 0)
            return code;
        if (code == LEAT_MORE)
            return pause_group(j, ctx, side);
        if (stays && group->next_us != LEAT_TIME_MAX &&
            leat__due_add(&c->waiting, group->next_us, group->keys[group->at], group->hashes[group->at],
                leat__interval_closed_us(j, ctx, side)) < 0)
            return leat__rows_nomem(ctx, "times of records without a partner");
        group->at++;
        group->list_at = 0;
        group->next_us = LEAT_TIME_MAX;
    }
    group->at = group->count = 0;
    return leat__join_output_flush(j->output, ctx); /* (3) */
}

static void begin_group(struct leat__close_group *group, bool owned)
{
    group->at = group->count = 0;
    group->list_at = 0;
    group->next_us = LEAT_TIME_MAX;
    group->owned = owned;
    leat__strbuf_clear(&group->bytes);
}

/* ---- a bucket that is closed as a whole ---- */

static void close_cursor(struct leat__close *c)
{
    leat__cursor_close(c->cursor);
    c->cursor = NULL;
}

/* The next keys of the bucket; none at its end. */
static int next_keys(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket,
    struct leat_cursor_item *items)
{
    struct leat__close *c = &j->close[side];
    if (!c->cursor &&
        leat__cursor_open(j->tables[side], bucket, LEAT_CURSOR_READ, &c->cursor, ctx->error) < 0)
        return leat__fail_here(ctx);
    const int64_t count = leat__cursor_next(c->cursor, items, LEAT__JOIN_GROUP_MAX, ctx->error);
    if (count < 0)
        return leat__fail_here(ctx);
    if (count == 0)
        close_cursor(c);
    return (int)count;
}

/* Gives all that never had a partner. */
static int give_bucket(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket)
{
    struct leat_cursor_item items[LEAT__JOIN_GROUP_MAX];
    struct leat__close_group *group = &j->close[side].group;
    for (;;) {
        int code = look_at_group(j, ctx, side, bucket, false);
        if (code == 0)
            code = next_keys(j, ctx, side, bucket, items);
        if (code <= 0 || group->at < group->count)
            return code;
        begin_group(group, false);
        for (int i = 0; i < code; i++) {
            group->keys[i] = items[i].key;
            group->hashes[i] = items[i].hash;
            group->lists[i] = items[i].value;
        }
        group->count = (uint32_t)code;
    }
}

/* ---- the bucket that is closed in part ---- */

/* The first time of a list that has had no partner; LEAT_TIME_MAX: none. */
static int64_t first_alone_us(struct leat__interval *j, const struct leat_list_row *row)
{
    int64_t first_us = LEAT_TIME_MAX;
    for (; row; row = row->next, j->scanned++)
        if (!*row->flags && row->event_us < first_us)
            first_us = row->event_us;
    return first_us;
}

/* Some keys of the walk that tells when they are due: what is so already makes the group. 0 at the end. */
static int survey(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket)
{
    struct leat_cursor_item items[LEAT__JOIN_GROUP_MAX];
    struct leat__close *c = &j->close[side];
    const int64_t closed_us = leat__interval_closed_us(j, ctx, side);
    const int count = next_keys(j, ctx, side, bucket, items);
    begin_group(&c->group, false);
    for (int i = 0; i < count; i++) {
        const int64_t first_us = first_alone_us(j, items[i].value);
        if (first_us <= closed_us) {
            c->group.keys[c->group.count] = items[i].key;
            c->group.hashes[c->group.count++] = items[i].hash;
        } else if (first_us != LEAT_TIME_MAX &&
            leat__due_add(&c->waiting, first_us, items[i].key, items[i].hash, closed_us) < 0) {
            return leat__rows_nomem(ctx, "times of records without a partner");
        }
    }
    if (own_keys(&c->group) < 0) /* the lists are fetched: flags of a cursor's items are its own matter */
        return leat__rows_nomem(ctx, "keys of records without a partner");
    return count;
}

/* Takes keys that are due out of `waiting`, each once. */
static int take_due(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side)
{
    struct leat__close *c = &j->close[side];
    struct leat__close_group *group = &c->group;
    const int64_t closed_us = leat__interval_closed_us(j, ctx, side);
    const struct leat__due_entry *entry;
    size_t lens[LEAT__JOIN_GROUP_MAX];
    begin_group(group, true);
    while (group->count < LEAT__JOIN_GROUP_MAX && (entry = leat__due_first(&c->waiting)) &&
        entry->time_us <= closed_us) {
        const struct leat_sv key = leat__due_key(&c->waiting, entry);
        size_t at = 0;
        bool is_there = false;
        for (uint32_t i = 0; i < group->count && !is_there; at += lens[i++])
            is_there = group->hashes[i] == entry->hash &&
                leat_sv_eq((struct leat_sv){ group->bytes.data + at, lens[i] }, key);
        if (!is_there) {
            if (!leat__strbuf_reserve(&group->bytes, key.len))
                return leat__rows_nomem(ctx, "keys of records without a partner");
            leat__strbuf_add(&group->bytes, key.data, key.len);
            group->hashes[group->count] = entry->hash;
            lens[group->count++] = key.len;
        }
        leat__due_pop(&c->waiting);
    }
    size_t at = 0;
    for (uint32_t i = 0; i < group->count; at += lens[i++])
        group->keys[i] = (struct leat_sv){ group->bytes.data + at, lens[i] };
    return 0;
}

/* Gives what is due of a bucket that stays. */
static int give_due(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket)
{
    struct leat__close *c = &j->close[side];
    const int64_t closed_us = leat__interval_closed_us(j, ctx, side);
    for (;;) {
        if (!c->is_partial || (c->waiting.count == 0 && c->waiting.complete_us < closed_us)) {
            leat__due_clear(&c->waiting);
            c->is_partial = c->is_surveyed = true;
            c->bucket = bucket;
        }
        int code = look_at_group(j, ctx, side, bucket, true);
        if (code != 0)
            return code;
        if (has_done_enough(j))
            return pause_group(j, ctx, side);
        if (c->is_surveyed) {
            code = survey(j, ctx, side, bucket);
            if (code < 0)
                return code;
            c->is_surveyed = code > 0;
        } else {
            LEAT_TRY(take_due(j, ctx, side));
            if (c->group.count == 0 && closed_us <= c->waiting.complete_us)
                return 0;
        }
    }
}

int leat__interval_waits(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t time_us,
    struct leat_sv key, uint64_t hash)
{
    struct leat__close *c = &j->close[side];
    if (c->is_partial && leat__interval_bucket(j->spec, time_us) == c->bucket &&
        leat__due_add(&c->waiting, time_us, key, hash, leat__interval_closed_us(j, ctx, side)) < 0)
        return leat__rows_nomem(ctx, "times of records without a partner");
    return 0;
}

/* ---- a side, both sides ---- */

static int drop_bucket(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, int64_t bucket)
{
    struct leat__close *c = &j->close[side];
    if (c->is_partial)
        leat__due_clear(&c->waiting);
    c->is_partial = false; /* (1): it was this one */
    return leat__table_drop(j->tables[side], bucket, ctx->error) < 0 ? leat__fail_here(ctx) : 0;
}

/* LEAT_MORE when a limit is reached. */
int leat__interval_close_side(struct leat__interval *j, struct leat__ctx *ctx, uint32_t side, uint32_t *drops)
{
    const bool keeps = j->keeps[side];
    const int64_t w = leat__join_side_watermark(ctx, !side);
    struct leat__close *c = &j->close[side];
    while (c->done_us != w) {
        int64_t bucket;
        int code = leat__table_next_namespace(j->tables[side], LEAT_TIME_MIN, &bucket, ctx->error);
        if (code < 0)
            return leat__fail_here(ctx);
        const int64_t first_us = code ? leat__interval_bucket_first_us(j->spec, bucket) : 0;
        if (!code || !leat__interval_is_closed(j, ctx, side, first_us)) {
            c->done_us = w;
            break;
        }
        const bool stays =
            !leat__interval_is_closed(j, ctx, side, leat__interval_bucket_last_us(j->spec, bucket));
        if (!stays && *drops == 0) /* before it gives anything: it would again with the next call */
            return LEAT_MORE;
        code = !keeps ? 0 : stays ? give_due(j, ctx, side, bucket) : give_bucket(j, ctx, side, bucket);
        if (code != 0)
            return code;
        if (stays) {
            c->done_us = w;
            break;
        }
        --*drops;
        LEAT_TRY(drop_bucket(j, ctx, side, bucket));
    }
    return 0;
}

/* What has been given is out before what follows is told. */
int leat__interval_forward(struct leat__interval *j, struct leat__ctx *ctx)
{
    const int64_t until_us = leat__interval_forward_us(j, ctx);
    if (!ctx->node->op->holds)
        return 0;
    LEAT_TRY(leat__join_output_end(j->output, ctx));
    if (until_us <= j->forwarded_us)
        return 0;
    j->forwarded_us = until_us;
    leat__join_output_forwarded(j->output, until_us);
    return leat__ctx_forward(ctx, until_us);
}

void leat__interval_count_keys(const struct leat__interval *j, struct leat__ctx *ctx)
{
    __atomic_store_n(&ctx->counters->state_keys,
        leat__table_keys_count_all(j->tables[LEAT__LEFT]) +
            leat__table_keys_count_all(j->tables[LEAT__RIGHT]),
        __ATOMIC_RELAXED);
}

int leat__interval_close(struct leat__interval *j, struct leat__ctx *ctx)
{
    uint32_t drops = DROPS_PER_CALL;
    int code = leat__interval_close_side(j, ctx, LEAT__LEFT, &drops);
    if (code == 0)
        code = leat__interval_close_side(j, ctx, LEAT__RIGHT, &drops);
    leat__interval_count_keys(j, ctx);
    return code == 0 ? leat__interval_forward(j, ctx) : code;
}
