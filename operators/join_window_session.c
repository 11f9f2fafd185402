/* operators/join_window_session.c -- pairs of two streams in the same session, which is of the records of both.
 *
 *   a batch      row by row: which sessions of its key it joins, as in session_set.c, in the order of the rows; they become
 *                one. Keys are looked up some at a time, and a row of the only session of its key extends it in place.
 *                The rows go into lists, those of slot 0, as most of them are, all at once
 *   a watermark  takes the timers of keys that are due, notes the sessions that have ended and forgets them, then
 *                makes the pairs of some of these together and removes their rows
 *
 * A session fires, and is over, when the watermark is at its end (decision 0011): that is also the event time of its
 * results. A row is judged by its own side (docs/decisions/0002), together with the session that it would make.
 *
 * State:
 *   sessions      namespace 0: what sessions a key has
 *   left, right   namespace: slot of the session. Rows
 *   session timers of keys
 *
 * Invariants: (1) of each key a timer is set at or before the end of each of its sessions; its value knows it, and any
 * other one is void; (2) between calls that did not give LEAT_MORE no session has an end <= the watermark, and no list
 * is in a slot that is not of a session, and no key is without one; (3) pending rows are those of the batch before j->at that joined slot 0. */
#include "base/alloc.h"
#include "base/hash.h"
#include "operators/join_window_private.h"
#include "operators/timers_private.h"
#include <string.h>

#define PENDING LEAT__PAIRING_KEYS /* sessions that fire together */
#define SESSIONS_NS 0
#define LOOKUPS_MAX 256u /* keys that are looked up together */

/* Saved as it is. */
struct session {
    int64_t first, last; /* times of its records */
    int64_t end; /* the greatest of time + gap */
    uint32_t slot; /* where its rows are; no other session of the key has it */
    uint32_t is_joined; /* by the row in work; in state 0 */
};

struct key_value {
    uint32_t count, has_timer;
    int64_t timer_us;
    struct session *list; /* in the order of the set */
};

/* The sessions of the key in work, by `first`. Those that are over take no part, so that they may touch. */
struct set {
    struct session *list;
    uint32_t count, capacity;
};

/* A session that has ended. Its key is in ended_keys. */
struct ended {
    size_t at;
    uint32_t len, slot;
    uint64_t hash;
    struct leat__window bounds;
    bool is_done;
};

enum phase { IDLE, TAKE, PAIR };

struct session_join {
    struct leat_op op;
    const struct leat__window_join_spec *spec;
    struct leat__pairing pairing;
    struct leat_table *sessions, *rows[LEAT__SIDES];
    struct leat__timers timers;
    struct leat_key_scratch *key_scratch;

    /* The key in work. */
    struct leat_sv key;
    uint64_t hash;
    struct set set;
    struct key_value value; /* but for its list */

    /* The batch in work. */
    struct leat_batch *in; /* NULL between batches */
    uint32_t side, at;
    const struct leat_sv *in_keys;
    uint32_t *late, *pending; /* rows */
    uint32_t late_capacity, pending_capacity, late_count, pending_count;
    void *known[LOOKUPS_MAX]; /* what keys of rows known_from .. known_to - 1 have, */
    uint32_t known_from, known_to; /* until the state is called again */
    uint32_t lookups; /* to be made together */
    int64_t late_wm_us, forwarded_us;
    struct leat_batch *moved; /* rows on their way from one slot to another */

    /* The watermark in work. */
    enum phase phase;
    int64_t watermark_us;
    struct leat_strbuf due_key, ended_keys;
    struct ended ended[PENDING];
    uint32_t ended_count;
    struct leat__pairing_parts parts[LEAT__SIDES];
    uint32_t chunk[PENDING]; /* sessions whose pairs are being made, by key of the pairing */
    struct leat__window windows[PENDING];
    uint32_t pass;
};

/* ---- values ---- */

static int encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct key_value *v = value;
    (void)arg;
    leat__strbuf_add(out, &v->count, sizeof v->count);
    leat__strbuf_add(out, &v->has_timer, sizeof v->has_timer);
    leat__strbuf_add(out, &v->timer_us, sizeof v->timer_us);
    if (v->count)
        leat__strbuf_add(out, v->list, v->count * sizeof *v->list);
    return out->failed ? LEAT_ENOMEM : 0;
}

#define ENCODED_HEAD (2 * sizeof(uint32_t) + sizeof(int64_t))

static int decode(void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    struct key_value *v = value;
    (void)arg;
    if (len < ENCODED_HEAD)
        return LEAT_EDATA;
    memcpy(&v->count, data, sizeof v->count);
    memcpy(&v->has_timer, data + sizeof v->count, sizeof v->has_timer);
    memcpy(&v->timer_us, data + 2 * sizeof v->count, sizeof v->timer_us);
    v->list = NULL;
    if (len - ENCODED_HEAD != v->count * sizeof *v->list)
        return LEAT_EDATA;
    if (v->count == 0)
        return 0;
    v->list = leat__table_bytes(table, ns, v->count * sizeof *v->list);
    if (!v->list)
        return LEAT_ENOMEM;
    memcpy(v->list, data + ENCODED_HEAD, v->count * sizeof *v->list);
    return 0;
}

/* ---- life ---- */

static int open_tables(struct session_join *j, struct leat__ctx *ctx)
{
    static const char *const names[LEAT__SIDES] = { "left", "right" };
    const struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "sessions",
        .kind = LEAT_TABLE_FIXED,
        .key_size = j->spec->join.key_size,
        .value_size = sizeof(struct key_value),
        .codec = { .encode = encode, .decode = decode },
        .key_text = j->spec->join.key_types[LEAT__LEFT],
        .format = j->spec->format,
        .counted = true,
    };
    if (leat__table_open(ctx->state, &opts, &j->sessions, ctx->error) < 0)
        return leat__fail_here(ctx);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        LEAT_TRY(leat__window_join_table(ctx, j->spec, side, names[side], &j->rows[side]));
    return leat__timers_open(&j->timers, ctx,
        &(struct leat__timers_opts){ .name = "session timers",
            .key_size = j->spec->join.key_size,
            .key_types = j->spec->join.key_types[LEAT__LEFT] });
}

static int session_join_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct session_join *j = (struct session_join *)op;
    const struct leat__window_join_spec *spec = j->spec = op->node->spec;
    j->forwarded_us = LEAT_TIME_MIN;
    LEAT_TRY(leat__pairing_init(&j->pairing, ctx, &spec->join));
    leat__join_output_forwarded(j->pairing.output, j->forwarded_us);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        j->pairing.parts[side] = &j->parts[side];
    j->pairing.windows = j->windows;
    j->pairing.made.change = LEAT_INSERT;
    if (leat__key_scratch_new(&j->key_scratch) < 0)
        return leat__rows_nomem(ctx, "a join");
    return open_tables(j, ctx);
}

static void session_join_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct session_join *j = (struct session_join *)op;
    (void)ctx;
    leat__batch_release(j->in);
    leat__batch_release(j->moved);
    leat__pairing_release(&j->pairing);
    leat__timers_close(&j->timers);
    leat__table_close(j->sessions);
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        leat__table_close(j->rows[side]);
        leat__free(j->parts[side].list);
    }
    leat__free(j->set.list);
    leat__key_scratch_free(j->key_scratch);
    leat__strbuf_release(&j->due_key);
    leat__strbuf_release(&j->ended_keys);
    leat__free(j->late);
    leat__free(j->pending);
}

/* ---- sets ---- */

static int reserve_set(struct set *set, struct leat__ctx *ctx, uint32_t count)
{
    if (count <= set->capacity)
        return 0;
    const uint32_t capacity = count < 8 ? 8 : 2 * count;
    struct session *list = leat__realloc(set->list, capacity * sizeof *list);
    if (!list)
        return leat__rows_nomem(ctx, "sessions");
    set->list = list;
    set->capacity = capacity;
    return 0;
}

static void set_insert(struct set *set, const struct session *session)
{
    uint32_t at = set->count;
    while (at > 0 && set->list[at - 1].first > session->first)
        at--;
    memmove(&set->list[at + 1], &set->list[at], (set->count - at) * sizeof *set->list);
    set->list[at] = *session;
    set->count++;
}

static void set_remove(struct set *set, uint32_t at)
{
    set->count--;
    memmove(&set->list[at], &set->list[at + 1], (set->count - at) * sizeof *set->list);
}

static uint32_t free_slot(const struct set *set)
{
    for (uint32_t slot = 0;; slot++) {
        bool used = false;
        for (uint32_t i = 0; i < set->count; i++)
            used = used || set->list[i].slot == slot;
        if (!used)
            return slot;
    }
}

/* Takes the session into `merged` if they touch and do not become too long together. */
static bool take_in(
    const struct leat_window_opts *window, const struct session *session, struct session *merged)
{
    const int64_t first = session->first < merged->first ? session->first : merged->first;
    const int64_t last = session->last > merged->last ? session->last : merged->last;
    if (session->first > merged->end || session->end < merged->first ||
        (window->max_length_us && leat__time_sub(last, first) > window->max_length_us))
        return false;
    merged->first = first;
    merged->last = last;
    merged->end = session->end > merged->end ? session->end : merged->end;
    return true;
}

/* Marks the sessions that a row joins, and those that these join then; `merged` has the bounds of all. */
static void join_sessions(struct session_join *j, int64_t us, struct session *merged)
{
    *merged = (struct session){ us, us, leat__time_add(us, j->spec->window.gap_us), 0, 0 };
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < j->set.count; i++) {
            struct session *session = &j->set.list[i];
            if (session->is_joined || leat__time_passed(session->end, j->late_wm_us) ||
                !take_in(&j->spec->window, session, merged))
                continue;
            session->is_joined = 1;
            more = true;
        }
    }
}

/* ---- the key's set ---- */

static int load_set(struct session_join *j, struct leat__ctx *ctx)
{
    void *found;
    j->set.count = 0;
    memset(&j->value, 0, sizeof j->value);
    if (leat__table_find(j->sessions, SESSIONS_NS, &j->key, &j->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    if (found)
        memcpy(&j->value, found, sizeof j->value);
    LEAT_TRY(reserve_set(&j->set, ctx, j->value.count + 1));
    j->set.count = j->value.count;
    if (j->set.count)
        memcpy(j->set.list, j->value.list, j->set.count * sizeof *j->set.list);
    return 0;
}

/* (1) */
static int set_timer(struct session_join *j, struct leat__ctx *ctx)
{
    int64_t end_us = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < j->set.count; i++)
        if (j->set.list[i].end < end_us)
            end_us = j->set.list[i].end;
    if (j->set.count == 0 || (j->value.has_timer && j->value.timer_us <= end_us))
        return 0;
    j->value.has_timer = 1;
    j->value.timer_us = end_us;
    return leat__timers_set(&j->timers, ctx, end_us, (struct leat_sv){ "", 0 }, j->key);
}

static int forget_key(struct session_join *j, struct leat__ctx *ctx)
{
    const int code = leat__table_remove(j->sessions, SESSIONS_NS, j->key, j->hash, ctx->error);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* Writes the set back, which is void afterwards. A key without sessions goes. */
static int save_set(struct session_join *j, struct leat__ctx *ctx)
{
    void *found;
    const size_t size = j->set.count * sizeof *j->set.list;
    LEAT_TRY(set_timer(j, ctx));
    if (leat__table_upsert(j->sessions, SESSIONS_NS, &j->key, &j->hash, NULL, 1, &found, ctx->error) < 0)
        return leat__fail_here(ctx);
    struct key_value *value = found;
    if (value->count != j->set.count) {
        if (value->count)
            leat__table_bytes_free(j->sessions, SESSIONS_NS, value->count * sizeof *value->list);
        value->count = 0;
        value->list = size ? leat__table_bytes(j->sessions, SESSIONS_NS, size) : NULL;
        if (size && !value->list)
            return leat__fail(ctx, LEAT_ENOMEM,
                "no memory for %u sessions of a key within the budget of the state: raise "
                "state_budget_bytes",
                j->set.count);
    }
    if (size == 0)
        return forget_key(j, ctx);
    value->count = j->set.count;
    value->has_timer = j->value.has_timer;
    value->timer_us = j->value.timer_us;
    memcpy(value->list, j->set.list, size);
    return 0;
}

/* ---- rows ---- */

static int append(
    struct session_join *j, struct leat__ctx *ctx, uint32_t slot, const uint32_t *rows, uint32_t count)
{
    if (count > 0 &&
        leat__table_append(
            j->rows[j->side], slot, j->in_keys, j->in->key_hash, rows, count, j->in, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static int append_pending(struct session_join *j, struct leat__ctx *ctx)
{
    const uint32_t count = j->pending_count;
    j->pending_count = 0;
    return append(j, ctx, 0, j->pending, count);
}

/* The next rows of a list, copied to j->moved; the batch is as large as it gets. How many. */
static int64_t copy_rows(
    struct session_join *j, struct leat__ctx *ctx, uint32_t side, uint32_t slot, uint64_t at)
{
    const struct leat_list_row *row;
    if (leat__table_lists(j->rows[side], slot, &j->key, &j->hash, NULL, 1, &row, ctx->error) < 0)
        return leat__fail_here(ctx);
    leat__batch_release(j->moved);
    j->moved = NULL;
    LEAT_TRY(leat__rows_get(ctx, leat__input_type(ctx->node, side), &j->moved));
    for (uint64_t i = 0; row && i < at; i++)
        row = row->next;
    for (; row && !leat__batch_is_full(j->moved); row = row->next) {
        j->moved->event_us[j->moved->count] = row->event_us;
        if (leat__copy_push(j->pairing.copiers[side], j->moved, row->record) < 0)
            return leat__rows_nomem(ctx, "records");
    }
    return j->moved->count;
}

/* The rows of the key that are in one slot go to another one. */
static int move_rows(struct session_join *j, struct leat__ctx *ctx, uint32_t from, uint32_t to)
{
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        int64_t count;
        for (uint64_t at = 0; (count = copy_rows(j, ctx, side, from, at)) > 0; at += (uint64_t)count)
            for (uint32_t r = 0; r < (uint32_t)count; r++) {
                /* Rows of a batch have keys of their own; this has one for all. */
                const struct leat_batch one = leat__rows_view(j->moved, r, 1);
                if (leat__table_append(j->rows[side], to, &j->key, &j->hash, NULL, 1, &one, ctx->error) < 0)
                    return leat__fail_here(ctx);
            }
        if (count < 0)
            return (int)count;
        if (leat__table_remove(j->rows[side], from, j->key, j->hash, ctx->error) < 0)
            return leat__fail_here(ctx);
    }
    leat__batch_release(j->moved);
    j->moved = NULL;
    return 0;
}

/* The sessions that were joined become one, with these bounds. Its slot. */
static int merge_joined(
    struct session_join *j, struct leat__ctx *ctx, const struct session *merged, uint32_t *slot)
{
    struct session whole = *merged;
    bool any = false;
    for (uint32_t i = 0; i < j->set.count;) {
        const struct session session = j->set.list[i];
        if (!session.is_joined) {
            i++;
            continue;
        }
        if (any) {
            LEAT_TRY(append_pending(j, ctx));
            LEAT_TRY(move_rows(j, ctx, session.slot, whole.slot));
        } else {
            whole.slot = session.slot;
        }
        any = true;
        set_remove(&j->set, i);
    }
    if (!any)
        whole.slot = free_slot(&j->set);
    set_insert(&j->set, &whole);
    *slot = whole.slot;
    return 0;
}

static int place(struct session_join *j, struct leat__ctx *ctx, uint32_t row)
{
    struct session merged;
    uint32_t slot = 0;
    const int64_t us = j->in->event_us[row];
    j->key = j->in_keys[row];
    j->hash = j->in->key_hash[row];
    LEAT_TRY(load_set(j, ctx));
    join_sessions(j, us, &merged);
    if (leat__time_passed(merged.end, j->late_wm_us)) {
        j->late[j->late_count++] = row;
        return j->value.count == 0 ? forget_key(j, ctx) : 0; /* (2): look_up has made it */
    }
    LEAT_TRY(merge_joined(j, ctx, &merged, &slot));
    LEAT_TRY(save_set(j, ctx));
    if (slot)
        return append(j, ctx, slot, &row, 1);
    j->pending[j->pending_count++] = row;
    return 0;
}

/* A null key matches nothing: the row is a session by itself. */
static int place_null(struct session_join *j, struct leat__ctx *ctx, uint32_t row)
{
    const int64_t us = j->in->event_us[row];
    const int64_t end = leat__time_add(us, j->spec->window.gap_us);
    if (!leat__window_join_keeps_null(j->spec, j->side)) {
        leat__count(&ctx->counters->dropped_records, 1);
        return 0;
    }
    if (leat__time_passed(end, j->late_wm_us)) {
        j->late[j->late_count++] = row;
        return 0;
    }
    const void *record = leat_batch_at(j->in, row);
    const struct leat__join_pair pair = { .left = j->side == LEAT__LEFT ? record : NULL,
        .right = j->side == LEAT__RIGHT ? record : NULL,
        .event_us = end,
        .change = LEAT_INSERT,
        .window_start_us = us,
        .window_end_us = end };
    return leat__join_output_pair(j->pairing.output, ctx, &pair);
}

static void count_keys(const struct session_join *j, struct leat__ctx *ctx)
{
    __atomic_store_n(&ctx->counters->state_keys, leat__table_keys_count_all(j->sessions), __ATOMIC_RELAXED);
}

/* What the keys of the next rows have; those that have nothing are made. */
static int look_up(struct session_join *j, struct leat__ctx *ctx)
{
    const uint32_t at = j->at;
    uint32_t to = at;
    while (to < j->in->count && to - at < j->lookups && j->in_keys[to].data)
        to++;
    j->known_from = at;
    j->known_to = to;
    if (leat__table_upsert(j->sessions, SESSIONS_NS, j->in_keys + at, j->in->key_hash + at, NULL, to - at,
            j->known, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

/* Puts a row into the only session of its key, where all that changes is how far that goes. */
static bool place_at_once(struct session_join *j, uint32_t row)
{
    const struct key_value *value = j->known[row - j->known_from];
    const int64_t us = j->in->event_us[row];
    struct session merged = { us, us, leat__time_add(us, j->spec->window.gap_us), 0, 0 };
    if (value->count != 1 || !value->has_timer) /* (1): it is still early enough */
        return false;
    struct session *session = value->list;
    if (session->slot != 0 || leat__time_passed(session->end, j->late_wm_us) ||
        !take_in(&j->spec->window, session, &merged))
        return false;
    *session = merged;
    j->pending[j->pending_count++] = row;
    return true;
}

static int add_row(struct session_join *j, struct leat__ctx *ctx)
{
    if (!j->in_keys[j->at].data)
        return place_null(j, ctx, j->at);
    if (j->at >= j->known_to) {
        j->lookups = j->lookups * 2 < LOOKUPS_MAX ? j->lookups * 2 : LOOKUPS_MAX;
        LEAT_TRY(look_up(j, ctx));
    }
    if (place_at_once(j, j->at))
        return 0;
    j->lookups = j->at - j->known_from < 2 ? 1 : (j->at - j->known_from) / 2;
    j->known_to = j->at; /* what was known is void */
    return place(j, ctx, j->at);
}

static int add_rows(struct session_join *j, struct leat__ctx *ctx)
{
    j->known_to = j->at;
    for (; j->at < j->in->count; j->at++) {
        if (leat__pairing_is_spent(&j->pairing)) {
            LEAT_TRY(append_pending(j, ctx));
            LEAT_TRY(leat__join_output_flush(j->pairing.output, ctx));
            return LEAT_MORE;
        }
        LEAT_TRY(add_row(j, ctx));
    }
    LEAT_TRY(append_pending(j, ctx));
    LEAT_TRY(leat__join_output_end(j->pairing.output, ctx));
    LEAT_TRY(leat__window_join_late(ctx, j->in, j->side, j->late, j->late_count, j->late_wm_us));
    count_keys(j, ctx);
    leat__batch_release(j->in);
    j->in = NULL;
    return 0;
}

static int session_join_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct session_join *j = (struct session_join *)op;
    LEAT_ASSERT(input < LEAT__SIDES && !j->in && j->phase == IDLE);
    const int64_t w = leat__join_side_watermark(ctx, input);
    j->in = batch;
    j->side = input;
    j->late_wm_us = batch->late && batch->late_wm_us > w ? batch->late_wm_us : w;
    j->at = j->late_count = j->pending_count = 0;
    j->lookups = j->lookups ? j->lookups : 1;
    leat__pairing_begin_call(&j->pairing);
    LEAT_TRY(leat__rows_keys(ctx, j->spec->join.keys[input], j->key_scratch, &j->in, &j->in_keys));
    if (!j->in)
        return 0;
    LEAT_TRY(leat__rows_reserve(ctx, &j->late, &j->late_capacity, j->in->count));
    LEAT_TRY(leat__rows_reserve(ctx, &j->pending, &j->pending_capacity, j->in->count));
    return add_rows(j, ctx);
}

/* ---- sessions that have ended ---- */

static int note_ended(struct session_join *j, struct leat__ctx *ctx, const struct session *session)
{
    struct ended *ended = &j->ended[j->ended_count++];
    *ended = (struct ended){ .at = j->ended_keys.len,
        .len = (uint32_t)j->key.len,
        .slot = session->slot,
        .hash = j->hash,
        .bounds = { session->first, session->end } };
    leat__strbuf_add(&j->ended_keys, j->key.data, j->key.len);
    return j->ended_keys.failed ? leat__rows_nomem(ctx, "keys") : 0;
}

/* The sessions of a key that have ended, as many as there is room for; the others get a timer. */
static int take_ended(struct session_join *j, struct leat__ctx *ctx)
{
    for (uint32_t i = 0; i < j->set.count && j->ended_count < PENDING;) {
        if (!leat__time_passed(j->set.list[i].end, j->watermark_us)) {
            i++;
            continue;
        }
        LEAT_TRY(note_ended(j, ctx, &j->set.list[i]));
        set_remove(&j->set, i);
    }
    return save_set(j, ctx);
}

static int take_key(struct session_join *j, struct leat__ctx *ctx, int64_t time_us)
{
    j->key = (struct leat_sv){ j->due_key.data, j->due_key.len };
    j->hash = leat__hash(j->key.data, j->key.len);
    LEAT_TRY(load_set(j, ctx));
    if (!j->value.has_timer || j->value.timer_us != time_us)
        return 0; /* void */
    j->value.has_timer = 0;
    return take_ended(j, ctx);
}

/* Goes through the timers until there are enough sessions, or no more. */
static int take(struct session_join *j, struct leat__ctx *ctx)
{
    leat__strbuf_clear(&j->ended_keys);
    j->ended_count = 0;
    while (j->ended_count < PENDING) {
        int64_t time_us;
        const int due = leat__timers_next(&j->timers, ctx, j->watermark_us, &time_us);
        if (due < 0)
            return due;
        if (!due || due == LEAT__TIMERS_MORE) {
            if (j->ended_count > 0)
                break;
            if (due)
                return LEAT_MORE;
            j->phase = IDLE;
            return 0;
        }
        const int taken = leat__timers_take(&j->timers, ctx, &j->due_key);
        if (taken < 0)
            return taken;
        if (taken)
            LEAT_TRY(take_key(j, ctx, time_us));
        j->pairing.scanned++;
        if (j->ended_count == 0 && leat__pairing_is_spent(&j->pairing))
            return LEAT_MORE;
    }
    j->phase = PAIR;
    j->pairing.keys_count = 0;
    return 0;
}

/* ---- their pairs ---- */

static bool first_pass_is_right(const struct session_join *j)
{
    return j->spec->join.kind == LEAT_JOIN_RIGHT;
}

static void begin_pass(struct session_join *j)
{
    struct leat__pairing *p = &j->pairing;
    p->side = j->pass || first_pass_is_right(j) ? LEAT__RIGHT : LEAT__LEFT;
    p->gives_pairs = j->pass == 0;
    p->gives_lone = leat__join_keeps(&j->spec->join, p->side);
    leat__pairing_begin(p);
}

/* Sessions in one slot, which are the next to be paired; none: all are done. */
static int begin_chunk(struct session_join *j, struct leat__ctx *ctx)
{
    struct leat__pairing *p = &j->pairing;
    uint32_t first = 0;
    while (first < j->ended_count && j->ended[first].is_done)
        first++;
    leat__pairing_begin_keys(p);
    for (uint32_t i = first; i < j->ended_count; i++) {
        struct ended *ended = &j->ended[i];
        if (ended->is_done || ended->slot != j->ended[first].slot)
            continue;
        ended->is_done = true;
        j->chunk[p->keys_count] = i;
        j->windows[p->keys_count] = ended->bounds;
        LEAT_TRY(leat__pairing_add_key(
            p, ctx, (struct leat_sv){ j->ended_keys.data + ended->at, ended->len }, ended->hash));
    }
    if (p->keys_count == 0) {
        j->phase = TAKE;
        return 0;
    }
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        j->parts[side].count = 0;
        LEAT_TRY(leat__pairing_add_part(ctx, &j->parts[side], j->rows[side], j->ended[first].slot));
    }
    j->pass = 0;
    begin_pass(j);
    return 0;
}

static int remove_chunk(struct session_join *j, struct leat__ctx *ctx)
{
    const struct leat__pairing *p = &j->pairing;
    const int64_t slot = j->ended[j->chunk[0]].slot;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        for (uint32_t k = 0; k < p->keys_count; k++)
            if (leat__table_remove(j->rows[side], slot, p->keys[k], p->hashes[k], ctx->error) < 0)
                return leat__fail_here(ctx);
    return 0;
}

static int pair_ended(struct session_join *j, struct leat__ctx *ctx)
{
    struct leat__pairing *p = &j->pairing;
    if (p->keys_count == 0) {
        LEAT_TRY(begin_chunk(j, ctx));
        if (j->phase != PAIR)
            return 0;
    }
    const int code = leat__pairing_run(p, ctx);
    if (code != 0)
        return code;
    if (j->pass == 0 && j->spec->join.kind == LEAT_JOIN_FULL) {
        j->pass = 1;
        begin_pass(j);
        return 0;
    }
    LEAT_TRY(remove_chunk(j, ctx));
    p->keys_count = 0;
    return 0;
}

static int fire(struct session_join *j, struct leat__ctx *ctx)
{
    while (j->phase != IDLE) {
        if (leat__pairing_is_spent(&j->pairing))
            return LEAT_MORE;
        const int code = j->phase == TAKE ? take(j, ctx) : pair_ended(j, ctx);
        if (code != 0)
            return code;
    }
    count_keys(j, ctx);
    LEAT_TRY(leat__join_output_end(j->pairing.output, ctx));
    j->forwarded_us = j->watermark_us;
    leat__join_output_forwarded(j->pairing.output, j->forwarded_us);
    return 0;
}

static int session_join_on_watermark(struct leat_op *op, struct leat__ctx *ctx, int64_t w)
{
    struct session_join *j = (struct session_join *)op;
    LEAT_ASSERT(!j->in && j->phase == IDLE);
    leat__pairing_begin_call(&j->pairing);
    j->watermark_us = w;
    j->phase = TAKE;
    return fire(j, ctx);
}

static int session_join_step(struct leat_op *op, struct leat__ctx *ctx)
{
    struct session_join *j = (struct session_join *)op;
    leat__pairing_begin_call(&j->pairing);
    return j->in ? add_rows(j, ctx) : fire(j, ctx);
}

/* ---- checkpoints ---- */

/*   offset 0   1: version
 *          1   the last watermark that was worked off, 8 bytes little-endian */
#define SAVED_BYTES (1 + sizeof(int64_t))

static int session_join_snapshot(struct leat_op *op, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    const struct session_join *j = (const struct session_join *)op;
    LEAT_ASSERT(!j->in && j->phase == IDLE);
    leat__strbuf_char(out, 1);
    leat__strbuf_add(out, &j->forwarded_us, sizeof j->forwarded_us);
    return out->failed ? leat__rows_nomem(ctx, "a snapshot") : 0;
}

static int session_join_restore(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct session_join *j = (struct session_join *)op;
    for (uint32_t i = 0; i < count; i++) {
        int64_t us;
        if (parts[i].len != SAVED_BYTES || parts[i].data[0] != 1)
            return leat__fail(ctx, LEAT_EDATA, "part %u of its snapshot is damaged: %zu bytes, version %d", i,
                parts[i].len, parts[i].len ? parts[i].data[0] : 0);
        memcpy(&us, parts[i].data + 1, sizeof us);
        if (i == 0 || us < j->forwarded_us)
            j->forwarded_us = us;
    }
    leat__join_output_forwarded(j->pairing.output, j->forwarded_us);
    count_keys(j, ctx);
    return 0;
}

const struct leat_op_class leat__session_join_class = {
    .kind = "window join",
    .size = sizeof(struct session_join),
    .init = session_join_init,
    .on_batch = session_join_on_batch,
    .on_watermark = session_join_on_watermark,
    .step = session_join_step,
    .snapshot = session_join_snapshot,
    .restore = session_join_restore,
    .release = session_join_release,
};
