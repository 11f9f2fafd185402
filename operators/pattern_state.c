/* operators/pattern_state.c -- what a key of a pattern has, between callbacks as bytes.
 *
 *   offset 0   u32 version, 1
 *          4   u32 held records, u32 runs, u32 taken records of all runs
 *         16   u64 order of the next row to be looked at
 *         24   i64 the timer that is set for the end of a run, LEAT_TIME_MIN: none
 *         32   u64 the orders of the held records, rising; the runs; the taken records, as their structs
 *              (numbers little-endian, no padding)
 *
 * Records are in the map "held" by their order; one is removed with the last run that has taken it. */
#include "operators/pattern_private.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "state is saved as it lies in memory");
_Static_assert(sizeof(struct leat__run_taken) == 24 && sizeof(struct leat__pattern_run) == 40,
    "as saved, without padding");

#define VERSION 1u

struct head {
    uint32_t version, held_count, runs_count, taken_count;
    uint64_t next_order;
    int64_t timer_us;
};

bool leat__pattern_room(
    struct leat__pattern *a, void **array, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count < *capacity)
        return true;
    const uint32_t more = count < 16 ? 32 : count * 2;
    void *grown = leat__realloc(*array, more * size);
    if (!grown) {
        leat__process_fail(&a->process, leat__rows_nomem(a->process.ctx, "the runs of a key"));
        return false;
    }
    *array = grown;
    *capacity = more;
    return true;
}

/* ---- loading ---- */

static bool damaged(struct leat__pattern *a, size_t len, uint32_t version)
{
    leat__process_fail(&a->process,
        leat__fail(a->process.ctx, LEAT_EDATA,
            "the state of a key is damaged, or of a newer program: %zu bytes, version %u; this is for "
            "version %u",
            len, version, VERSION));
    return false;
}

/* `count` structs from the bytes into an array, which has room; false: so many are not there. */
static bool load_array(struct leat__pattern *a, struct leat_sv *bytes, void **array, uint32_t *capacity,
    uint32_t count, size_t size)
{
    if (bytes->len / size < count)
        return damaged(a, bytes->len, VERSION);
    if (count && !leat__pattern_room(a, array, capacity, count, size))
        return false;
    if (count)
        memcpy(*array, bytes->data, count * size);
    bytes->data += count * size;
    bytes->len -= count * size;
    return true;
}

bool leat__pattern_load(struct leat__pattern *a, struct leat_ctx *ctx)
{
    struct leat__pattern_key *key = &a->key;
    struct head head = { 0 };
    key->held_count = key->runs_count = key->taken_count = 0;
    key->next_order = 0;
    key->timer_us = LEAT_TIME_MIN;
    const struct leat_sv *saved = leat_state_find(ctx, LEAT__PATTERN_RUNS);
    if (!saved)
        return a->process.code == 0;
    struct leat_sv bytes = *saved;
    memcpy(&head, bytes.data, bytes.len < sizeof head ? 0 : sizeof head);
    if (head.version != VERSION)
        return damaged(a, saved->len, head.version);
    bytes.data += sizeof head;
    bytes.len -= sizeof head;
    if (!load_array(
            a, &bytes, (void **)&key->held, &key->held_capacity, head.held_count, sizeof *key->held) ||
        !load_array(
            a, &bytes, (void **)&key->runs, &key->runs_capacity, head.runs_count, sizeof *key->runs) ||
        !load_array(
            a, &bytes, (void **)&key->taken, &key->taken_capacity, head.taken_count, sizeof *key->taken))
        return false;
    key->held_count = head.held_count;
    key->runs_count = head.runs_count;
    key->taken_count = head.taken_count;
    key->next_order = head.next_order;
    key->timer_us = head.timer_us;
    return true;
}

/* ---- held records ---- */

const void *leat__pattern_record(struct leat_ctx *ctx, uint64_t order)
{
    const int64_t key = (int64_t)order;
    return leat_map_get(ctx, LEAT__PATTERN_HELD, &key);
}

bool leat__pattern_hold(struct leat__pattern *a, struct leat_ctx *ctx, struct leat__pattern_row *row)
{
    struct leat__pattern_key *key = &a->key;
    const int64_t order = (int64_t)row->order;
    if (row->held)
        return true;
    if (!leat__pattern_room(a, (void **)&key->held, &key->held_capacity, key->held_count, sizeof *key->held))
        return false;
    key->held[key->held_count++] = row->order;
    void *held = leat_map_put(ctx, LEAT__PATTERN_HELD, &order);
    memcpy(held, row->record, a->spec->process.in->size);
    row->held = true;
    return a->process.code == 0;
}

/* Where the order stands among the held ones. */
static uint32_t held_index(const struct leat__pattern_key *key, uint64_t order)
{
    uint32_t from = 0, to = key->held_count;
    while (from + 1 < to) {
        const uint32_t middle = from + (to - from) / 2;
        if (key->held[middle] <= order)
            from = middle;
        else
            to = middle;
    }
    LEAT_ASSERT(from < key->held_count && key->held[from] == order);
    return from;
}

/* Lets go of records that no run has taken. */
static void close_held(struct leat__pattern *a, struct leat_ctx *ctx)
{
    struct leat__pattern_key *key = &a->key;
    uint32_t count = 0;
    uint8_t *used = leat__process_alloc(&a->process, key->held_count);
    for (uint32_t i = 0; used && i < key->taken_count; i++)
        used[held_index(key, key->taken[i].order)] = 1;
    for (uint32_t i = 0; used && i < key->held_count; i++) {
        const int64_t order = (int64_t)key->held[i];
        if (used[i])
            key->held[count++] = key->held[i];
        else
            leat_map_remove(ctx, LEAT__PATTERN_HELD, &order);
    }
    key->held_count = count;
}

/* Removes runs that are over; the taken records close up. Children stand behind their parents, and so do
 * their taken records. */
static void close_runs(struct leat__pattern_key *key)
{
    uint32_t runs = 0, taken = 0;
    for (uint32_t i = 0; i < key->runs_count; i++) {
        struct leat__pattern_run run = key->runs[i];
        if (run.flags & LEAT__RUN_OVER)
            continue;
        if (run.taken_at != taken)
            memmove(key->taken + taken, key->taken + run.taken_at, run.taken_count * sizeof *key->taken);
        run.taken_at = taken;
        taken += run.taken_count;
        key->runs[runs++] = run;
    }
    key->runs_count = runs;
    key->taken_count = taken;
}

/* ---- storing ---- */

/* The first moment at which something is over; LEAT_TIME_MIN: never. */
static int64_t next_end(const struct leat__pattern *a)
{
    const struct leat__pattern_key *key = &a->key;
    const bool by_taken = a->spec->is_frequency;
    const uint32_t count = by_taken ? key->taken_count : key->runs_count;
    int64_t first_us = LEAT_TIME_MAX;
    if (!leat__pattern_ends(a->spec) || count == 0)
        return LEAT_TIME_MIN;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t start_us = by_taken ? key->taken[i].event_us : key->runs[i].start_us;
        const int64_t us = leat__pattern_deadline(a->spec, start_us);
        first_us = us < first_us ? us : first_us;
    }
    return first_us;
}

/* A timer that goes off too early does no harm; none is deleted, for a waiting record may have it, too. */
static void set_timer(struct leat__pattern *a, struct leat_ctx *ctx, int64_t now_us)
{
    const int64_t end_us = next_end(a);
    const bool is_set = a->key.timer_us > now_us && a->key.timer_us <= end_us;
    if (end_us == LEAT_TIME_MIN || is_set)
        return;
    leat_timer_set(ctx, LEAT_EVENT_TIME, end_us);
    a->key.timer_us = end_us;
}

void leat__pattern_store(struct leat__pattern *a, struct leat_ctx *ctx, int64_t now_us)
{
    struct leat__pattern_key *key = &a->key;
    if (!a->spec->is_frequency)
        close_runs(key);
    close_held(a, ctx);
    set_timer(a, ctx, now_us);
    if (key->taken_count == 0) {
        leat_state_clear(ctx, LEAT__PATTERN_RUNS);
        return;
    }
    const struct head head = { VERSION, key->held_count, key->runs_count, key->taken_count, key->next_order,
        key->timer_us };
    leat__strbuf_clear(&a->bytes);
    leat__strbuf_add(&a->bytes, &head, sizeof head);
    leat__strbuf_add(&a->bytes, key->held, key->held_count * sizeof *key->held);
    leat__strbuf_add(&a->bytes, key->runs, key->runs_count * sizeof *key->runs);
    leat__strbuf_add(&a->bytes, key->taken, key->taken_count * sizeof *key->taken);
    if (a->bytes.failed) {
        leat__process_fail(&a->process, leat__rows_nomem(a->process.ctx, "the runs of a key"));
        return;
    }
    struct leat_sv *saved = leat_state(ctx, LEAT__PATTERN_RUNS);
    *saved = (struct leat_sv){ a->bytes.data, a->bytes.len };
}
