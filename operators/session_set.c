/* operators/session_set.c -- the sessions of a key as an array, and which of them a record joins.
 *
 * A record covers [time, time + gap]. It joins each session that its cover touches (`first` <= reach and time <=
 * `end`, so that exactly the gap joins), then what the session that comes of it touches, and so on: the set is
 * what one gets from all records at once, whatever their order. A limit of the length forbids some joins: the
 * session that began first is tried first, so that records in order of time make sessions one after the other.
 *
 * Sessions that are over take no part even where they are still in state: whether they are depends on how far
 * other splits have come (docs/decisions/0002). So sessions of a set may touch each other. */
#include "operators/session_private.h"

void leat__session_set_release(struct leat__session_set *set)
{
    leat__free(set->sessions);
    leat__free(set->used);
    memset(set, 0, sizeof *set);
}

int leat__session_set_reserve(struct leat__session_set *set, uint32_t count)
{
    if (count <= set->capacity)
        return 0;
    const uint32_t capacity = count < 8 ? 8 : 2 * count;
    struct leat__session *sessions = leat__realloc(set->sessions, capacity * sizeof *sessions);
    if (!sessions)
        return LEAT_ENOMEM;
    set->sessions = sessions;
    uint8_t *used = leat__realloc(set->used, (size_t)capacity + 2);
    if (!used)
        return LEAT_ENOMEM;
    set->used = used;
    set->capacity = capacity;
    return 0;
}

uint32_t leat__session_set_insert(struct leat__session_set *set, const struct leat__session *session)
{
    uint32_t at = set->count;
    LEAT_ASSERT(set->count < set->capacity);
    while (at > 0 &&
        (set->sessions[at - 1].first > session->first ||
            (set->sessions[at - 1].first == session->first && set->sessions[at - 1].slot > session->slot)))
        at--;
    memmove(&set->sessions[at + 1], &set->sessions[at], (set->count - at) * sizeof *set->sessions);
    set->sessions[at] = *session;
    set->count++;
    return at;
}

void leat__session_set_remove(struct leat__session_set *set, uint32_t at)
{
    LEAT_ASSERT(at < set->count);
    set->count--;
    memmove(&set->sessions[at], &set->sessions[at + 1], (set->count - at) * sizeof *set->sessions);
}

uint32_t leat__session_set_free_slot(const struct leat__session_set *set)
{
    uint32_t slot = 1;
    memset(set->used, 0, (size_t)set->count + 2);
    for (uint32_t i = 0; i < set->count; i++)
        if (set->sessions[i].slot <= set->count)
            set->used[set->sessions[i].slot] = 1;
    while (set->used[slot])
        slot++;
    return slot;
}

struct leat__session *leat__session_in_slot(const struct leat__session_set *set, uint32_t slot)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->sessions[i].slot == slot)
            return &set->sessions[i];
    return NULL;
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
    if (session->first > merged->end || session->end < merged->first)
        return false;
    const struct leat__session both = union_of(session, merged);
    return limits->max_length_us == 0 || leat__time_sub(both.last, both.first) <= limits->max_length_us;
}

uint32_t leat__sessions_join(struct leat__session_set *set, const struct leat__session_limits *limits,
    int64_t us, int64_t reach, int64_t w, struct leat__session *merged)
{
    uint32_t joined = 0;
    *merged = (struct leat__session){
        .first = us, .last = us, .end = reach, .event_due = LEAT_TIME_MAX, .processing_due = LEAT_TIME_MAX
    };
    for (uint32_t before = UINT32_MAX; before != joined;) {
        before = joined;
        for (uint32_t i = 0; i < set->count; i++) {
            struct leat__session *session = &set->sessions[i];
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
