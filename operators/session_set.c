/* operators/session_set.c -- the sessions of a key as an array of cells, and which of them a record joins.
 *
 * A record covers [time, time + gap]. It joins each session that its cover touches (`first` <= reach and time <=
 * `end`, so that exactly the gap joins), then what the session that comes of it touches, and so on: the set is
 * what one gets from all records at once, whatever their order. A limit of the length forbids some joins: the
 * session that began first is tried first, so that records in order of time make sessions one after the other.
 *
 * Sessions that are over take no part even where they are still in state: whether they are depends on how far
 * other splits have come (docs/decisions/0002). So sessions of a set may touch each other.
 *
 * Invariants: (1) cells are in order of `first`; (2) the last one, and no other, is outside of the blob; (3) cells
 * move as bytes: what their contents own goes with them. */
#include "operators/session_private.h"

/* ---- the array ---- */

static unsigned char *older(
    const struct leat__session_layout *layout, const struct leat__key_sessions *key, uint32_t at)
{
    return (unsigned char *)key->older.data + (size_t)at * layout->cell;
}

static void set_count(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t count)
{
    key->count = count;
    if (key->older.data)
        key->older.len_plus_1 = (count > 1 ? (count - 1) * layout->cell : 0) + 1;
}

uint32_t leat__sessions_place(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, int64_t first)
{
    uint32_t low = 0;
    uint32_t high = key->count;
    if (!high || leat__session_at(layout, key, high - 1)->first <= first)
        return high;
    while (low < high) {
        const uint32_t at = low + (high - low) / 2;
        if (leat__session_at(layout, key, at)->first <= first)
            low = at + 1;
        else
            high = at;
    }
    return low;
}

int leat__sessions_insert(const struct leat__session_layout *layout, const struct leat__agg_memory *mem,
    struct leat__key_sessions *key, uint32_t at, const struct leat__session *session)
{
    const uint32_t count = key->count;
    unsigned char *cell = leat__session_newest(key);
    if (count) {
        LEAT_TRY(leat__blob_reserve(mem, &key->older, (size_t)count * layout->cell));
        if (at < count) {
            memmove(
                older(layout, key, at + 1), older(layout, key, at), (size_t)(count - 1 - at) * layout->cell);
            cell = older(layout, key, at);
        } else
            memcpy(older(layout, key, count - 1), cell, layout->cell);
    }
    set_count(layout, key, count + 1);
    memset(cell, 0, layout->cell);
    memcpy(cell, session, sizeof *session);
    return 0;
}

void leat__sessions_remove(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t at)
{
    LEAT_ASSERT(at < key->count);
    leat__sessions_close_up(layout, key, at, at + 1);
}

void leat__sessions_close_up(
    const struct leat__session_layout *layout, struct leat__key_sessions *key, uint32_t kept, uint32_t end)
{
    const uint32_t count = key->count - (end - kept);
    if (kept == end)
        return;
    if (end < key->count)
        memmove(
            older(layout, key, kept), older(layout, key, end), (size_t)(key->count - 1 - end) * layout->cell);
    else if (count)
        memcpy(leat__session_newest(key), older(layout, key, count - 1), layout->cell);
    set_count(layout, key, count);
}

uint32_t leat__sessions_settle(const struct leat__session_layout *layout, struct leat__key_sessions *key,
    uint32_t at, unsigned char *spare)
{
    const int64_t first = leat__session_at(layout, key, at)->first;
    uint32_t to = at;
    while (to > 0 && leat__session_at(layout, key, to - 1)->first > first)
        to--;
    if (to == at)
        return at;
    memcpy(spare, leat__session_cell(layout, key, at), layout->cell);
    for (uint32_t i = at; i > to; i--)
        memcpy(leat__session_cell(layout, key, i), leat__session_cell(layout, key, i - 1), layout->cell);
    memcpy(leat__session_cell(layout, key, to), spare, layout->cell);
    return to;
}

void leat__sessions_tell_end(const struct leat__session_layout *layout, struct leat__key_sessions *key)
{
    key->older_end = LEAT_TIME_MIN;
    for (uint32_t i = 0; i + 1 < key->count; i++) {
        const int64_t end = leat__session_at(layout, key, i)->end;
        key->older_end = end > key->older_end ? end : key->older_end;
    }
}

/* ---- joining ---- */

static struct leat__session union_of(const struct leat__session *a, const struct leat__session *b)
{
    struct leat__session both = *a;
    both.first = a->first < b->first ? a->first : b->first;
    both.last = a->last > b->last ? a->last : b->last;
    both.end = a->end > b->end ? a->end : b->end;
    return both;
}

static bool may_join(const struct leat__session_limits *limits, const struct leat__session *session,
    const struct leat__session *merged)
{
    if (session->end < merged->first)
        return false;
    const struct leat__session both = union_of(session, merged);
    return limits->max_length_us == 0 || leat__time_sub(both.last, both.first) <= limits->max_length_us;
}

uint32_t leat__sessions_join(const struct leat__session_layout *layout, struct leat__key_sessions *key,
    const struct leat__session_limits *limits, int64_t us, int64_t reach, int64_t w,
    struct leat__session *merged)
{
    uint32_t joined = 0;
    *merged = (struct leat__session){
        .first = us, .last = us, .end = reach, .event_due = LEAT_TIME_MAX, .processing_due = LEAT_TIME_MAX
    };
    for (uint32_t before = UINT32_MAX; before != joined;) {
        before = joined;
        for (uint32_t i = 0; i < key->count; i++) {
            struct leat__session *session = leat__session_at(layout, key, i);
            if (session->first > merged->end)
                break; /* and so do all behind it (1) */
            if (session->flags & LEAT__SESSION_JOINED || leat__session_is_over(limits, session->end, w) ||
                !may_join(limits, session, merged))
                continue;
            session->flags |= LEAT__SESSION_JOINED;
            *merged = union_of(merged, session);
            joined++;
        }
    }
    return joined;
}

void leat__sessions_unmark(const struct leat__session_layout *layout, struct leat__key_sessions *key)
{
    for (uint32_t i = 0; i < key->count; i++)
        leat__session_at(layout, key, i)->flags &= ~LEAT__SESSION_JOINED;
}
