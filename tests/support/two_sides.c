/* tests/support/two_sides.c -- see two_sides.h. */
#include "tests/support/two_sides.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"

/* ---- records ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int64_t side_random_below(uint64_t *state, int64_t n)
{
    return (int64_t)(next_random(state) % (uint64_t)n);
}

int64_t side_id(uint32_t split, uint32_t i)
{
    return split * 1000 + i;
}

static void make_split(struct side_split *split, const struct side_times *times, uint64_t *random)
{
    int64_t now = -20 * times->step, w = LEAT_TIME_MIN;
    split->count = 20 + (uint32_t)side_random_below(random, times->records_max - 20);
    for (uint32_t i = 0; i < split->count; i++) {
        struct side_record *record = &split->records[i];
        now += side_random_below(random, 2 * times->step);
        record->ts = now - side_random_below(random, times->disorder + 1);
        record->value = side_random_below(random, 10);
        record->key = (int)side_random_below(random, 5) - 1;
        record->late = w != LEAT_TIME_MIN && record->ts <= w;
        record->mark = record->late ? w : LEAT_TIME_MIN;
        if (side_random_below(random, 5) == 0 && now - times->disorder / 2 - 1 > w)
            w = now - times->disorder / 2 - 1;
        split->watermark_after[i] = w;
    }
}

void two_sides_make(struct side_split sides[2][SIDE_SPLITS], const struct side_times *times, uint64_t *random)
{
    for (uint32_t side = 0; side < 2; side++)
        for (uint32_t i = 0; i < SIDE_SPLITS; i++)
            make_split(&sides[side][i], times, random);
}

/* ---- delivery ---- */

/* One split of one side, as far as it has been delivered. */
struct feed {
    const struct side_split *split;
    uint32_t at;
    int64_t w;
};

static bool is_done(const struct feed *feed)
{
    return feed->at == feed->split->count;
}

/* Up to `max` records of the split, until its watermark or lateness changes; then the watermark that its side
 * has. */
static void deliver_some(struct harness *h, uint32_t side, struct feed *feeds, uint32_t which, uint32_t max)
{
    static const char *const keys[] = { "red", "green", "blue", "" };
    struct feed *feed = &feeds[which];
    struct leat_batch *batch = harness_rows(h, side);
    const struct side_record *first = &feed->split->records[feed->at];
    batch->late = first->late;
    batch->late_wm_us = first->mark;
    while (!is_done(feed) && batch->count < max) {
        const struct side_record *record = &feed->split->records[feed->at];
        if (record->late != first->late || record->mark != first->mark)
            break;
        op_event_add(batch, side_id(which, feed->at), record->key < 0 ? NULL : keys[record->key], record->ts,
            record->value, record->ts % 2 ? "odd" : "");
        if (feed->split->watermark_after[feed->at++] != feed->w)
            break;
    }
    assert_int_equal(harness_batch(h, side, batch), 0);
    feed->w = feed->split->watermark_after[feed->at - 1];
    int64_t w = LEAT_TIME_MAX;
    for (uint32_t i = 0; i < SIDE_SPLITS; i++) {
        const int64_t own = is_done(&feeds[i]) ? LEAT_TIME_MAX : feeds[i].w;
        w = own < w ? own : w;
    }
    if (w != LEAT_TIME_MIN)
        assert_int_equal(w == LEAT_TIME_MAX ? harness_end(h, side) : harness_watermark(h, side, w), 0);
}

void two_sides_deliver(struct harness *h, struct side_split sides[2][SIDE_SPLITS], uint32_t batch_rows,
    bool crashes, uint64_t *random)
{
    struct feed feeds[2][SIDE_SPLITS];
    for (uint32_t side = 0; side < 2; side++)
        for (uint32_t i = 0; i < SIDE_SPLITS; i++)
            feeds[side][i] = (struct feed){ &sides[side][i], 0, LEAT_TIME_MIN };
    for (uint32_t left = 2 * SIDE_SPLITS; left > 0;) {
        const uint32_t pick = (uint32_t)side_random_below(random, 2 * SIDE_SPLITS);
        const uint32_t side = pick / SIDE_SPLITS, i = pick % SIDE_SPLITS;
        if (is_done(&feeds[side][i]))
            continue;
        deliver_some(h, side, feeds[side], i,
            1 + (uint32_t)side_random_below(random, batch_rows < 40 ? batch_rows : 40));
        left -= is_done(&feeds[side][i]);
        if (crashes && side_random_below(random, 8) == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
    }
}
