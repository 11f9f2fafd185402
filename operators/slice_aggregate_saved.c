/* operators/slice_aggregate_saved.c -- snapshots of slices.
 *
 * What was merged, and what the running result is of, goes by the watermark. Behind aligned barriers all subtasks have
 * the same one. Where they are not aligned (LEAT_AT_LEAST_ONCE) they may differ, and rescaling puts keys of different ones
 * together. The subtask goes on from the least of them then: what follows from the watermark is made anew from the
 * slices, windows that are over for a key are not given again, and rows that come for these alone are late. Windows
 * that are kept for late records come once more, which at least once may: they have what came late since. It ends when
 * the watermark has reached the greatest.
 *
 *   offset 0   1, or 2: version
 *          1   the last watermark whose windows have fired, i64 little-endian
 *   2:     9   how many shares, u32; of each: first key group and the one behind the last, u32, and its watermark, i64 */
#include "base/alloc.h"
#include "base/hash.h"
#include "operators/slice_aggregate_private.h"

#define SAVED_BYTES (1 + sizeof(int64_t))
#define SHARE_BYTES (2 * sizeof(uint32_t) + sizeof(int64_t))

/* ---- shares ---- */

static uint32_t groups_of(const struct leat__slicer *a)
{
    return leat__state_key_groups(a->ctx->state);
}

int64_t leat__slicer_fired_us(const struct leat__slicer *a, uint64_t hash)
{
    const uint32_t group = a->shares_count ? leat__key_group(hash, groups_of(a)) : 0;
    for (uint32_t i = 0; i < a->shares_count; i++)
        if (group >= a->shares[i].first && group < a->shares[i].end)
            return a->shares[i].fired_us;
    return a->fired_us;
}

bool leat__slicer_was_given(const struct leat__slicer *a, uint64_t hash, const struct leat__window *window)
{
    return leat__slicer_is_over(a, window, leat__slicer_fired_us(a, hash));
}

bool leat__slicer_is_late(const struct leat__slicer *a, uint64_t hash, int64_t start)
{
    struct leat__window open;
    return !leat__slicer_first_open(a, start, leat__slicer_fired_us(a, hash), &open) || open.start > start;
}

void leat__slicer_caught_up(struct leat__slicer *a)
{
    for (uint32_t i = 0; i < a->shares_count; i++)
        if (a->shares[i].fired_us > a->fired_us)
            return;
    a->shares_count = 0;
}

/* ---- snapshots ---- */

int leat__slicer_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct leat__slicer *a = (const struct leat__slicer *)op;
    LEAT_ASSERT(!a->run.batch && !a->run.out && a->phase == LEAT__SLICE_IDLE);
    leat__strbuf_char(out, a->shares_count ? 2 : 1);
    leat__strbuf_add(out, &a->fired_us, sizeof a->fired_us);
    if (a->shares_count)
        leat__strbuf_add(out, &a->shares_count, sizeof a->shares_count);
    for (uint32_t i = 0; i < a->shares_count; i++) {
        const struct leat__slice_share *share = &a->shares[i];
        leat__strbuf_add(out, &share->first, sizeof share->first);
        leat__strbuf_add(out, &share->end, sizeof share->end);
        leat__strbuf_add(out, &share->fired_us, sizeof share->fired_us);
    }
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static uint32_t shares_in(struct leat_sv part)
{
    uint32_t count = 0;
    if (part.len < SAVED_BYTES || part.data[0] == 1)
        return 1;
    if (part.len >= SAVED_BYTES + sizeof count)
        memcpy(&count, part.data + SAVED_BYTES, sizeof count);
    return count;
}

static bool is_whole(struct leat_sv part)
{
    if (part.len < SAVED_BYTES || part.data[0] < 1 || part.data[0] > 2)
        return false;
    const uint64_t more = part.data[0] == 1 ? 0 : sizeof(uint32_t) + (uint64_t)shares_in(part) * SHARE_BYTES;
    return part.len == SAVED_BYTES + more;
}

/* The first group of a subtask's. */
static uint32_t first_group(uint32_t subtask, uint32_t groups, uint32_t parallelism)
{
    return (uint32_t)(((uint64_t)subtask * groups + parallelism - 1) / parallelism);
}

static struct leat__slice_share share_of(
    const struct leat_sv *parts, uint32_t count, uint32_t part, uint32_t i, uint32_t groups)
{
    struct leat__slice_share share = { first_group(part, groups, count), first_group(part + 1, groups, count),
        LEAT_TIME_MIN };
    if (parts[part].data[0] == 1) {
        memcpy(&share.fired_us, parts[part].data + 1, sizeof share.fired_us);
        return share;
    }
    const char *at = parts[part].data + SAVED_BYTES + sizeof(uint32_t) + i * SHARE_BYTES;
    memcpy(&share.first, at, sizeof share.first);
    memcpy(&share.end, at + sizeof share.first, sizeof share.end);
    memcpy(&share.fired_us, at + 2 * sizeof share.first, sizeof share.fired_us);
    return share;
}

/* The shares of all parts that this subtask has keys of. */
static int read_shares(
    struct leat__slicer *a, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    const uint32_t groups = groups_of(a);
    const uint32_t own_first = first_group(ctx->subtask, groups, ctx->parallelism);
    const uint32_t own_end = first_group(ctx->subtask + 1, groups, ctx->parallelism);
    uint64_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_whole(parts[i]))
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        most += shares_in(parts[i]);
    }
    a->shares = leat__malloc(most * sizeof *a->shares + 1);
    if (!a->shares)
        return leat__rows_nomem(ctx, "a snapshot");
    for (uint32_t p = 0; p < count; p++)
        for (uint32_t i = 0; i < shares_in(parts[p]); i++) {
            struct leat__slice_share share = share_of(parts, count, p, i, groups);
            share.first = share.first > own_first ? share.first : own_first;
            share.end = share.end < own_end ? share.end : own_end;
            if (share.first < share.end)
                a->shares[a->shares_count++] = share;
        }
    return 0;
}

int leat__slicer_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct leat__slicer *a = (struct leat__slicer *)op;
    bool differs = false;
    a->ctx = ctx;
    LEAT_TRY(read_shares(a, ctx, parts, count));
    for (uint32_t i = 0; i < a->shares_count; i++) {
        const int64_t fired_us = a->shares[i].fired_us;
        differs |= fired_us != a->shares[0].fired_us;
        a->fired_us = i == 0 || fired_us < a->fired_us ? fired_us : a->fired_us;
    }
    if (!differs) {
        a->shares_count = 0;
        leat__slicer_restored(a);
    } else {
        LEAT_TRY(leat__slicer_rebuild(a));
    }
    leat__slicer_count_keys(a);
    return 0;
}
