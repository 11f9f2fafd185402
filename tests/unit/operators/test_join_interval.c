/* tests/unit/operators/test_join_interval.c -- what text cases can not say about joins: any interleaving of
 * splits and sides gives the pairs of a naive join, state ends with the watermark, memory is steady, many
 * partners come in pieces. */
#include "base/alloc.h"
#include "tests/support/op_records.h"
#include "tests/support/harness.h"
#include "tests/support/two_sides.h"
#include "tests/support/unit.h"
#include <leat/join.h>
#include <stdio.h>
#include <stdlib.h>

static void merge(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_pair *out)
{
    (void)ctx;
    out->left = left ? left->id : -1;
    out->right = right ? right->id : -1;
    out->text = left ? left->text : right->text;
}
LEAT_DEFINE_JOIN(merge, op_event, op_event, op_pair);

static struct harness *open_join(
    leat_topology *t, struct leat_join_opts opts, const struct harness_opts *harness_opts)
{
    opts.left_key = "key";
    opts.merge = &merge_join;
    leat_stream *left = harness_source(t, "left", &op_event_type, "ts");
    leat_stream *right = harness_source(t, "right", &op_event_type, "ts");
    return harness_new(leat_join(left, right, "join", &opts), harness_opts);
}

/* ---- against a naive join, in random interleavings ---- */

struct bounds {
    const char *name;
    int64_t before, after, lateness;
    struct side_times times;
};

static bool keeps(enum leat_join_kind kind, uint32_t side)
{
    return kind == LEAT_JOIN_FULL || kind == (side ? LEAT_JOIN_RIGHT : LEAT_JOIN_LEFT);
}

static bool is_accepted(const struct side_record *record, int64_t lateness)
{
    return !record->late || record->ts > record->mark - lateness;
}

static bool joins(const struct side_record *record, int64_t lateness)
{
    return record->key >= 0 && is_accepted(record, lateness);
}

struct pairs {
    struct {
        int64_t left, right, us;
    } * at;
    size_t count, capacity;
};

static void add_pair(struct pairs *pairs, int64_t left, int64_t right, int64_t us)
{
    if (pairs->count == pairs->capacity) {
        pairs->capacity = pairs->capacity ? pairs->capacity * 2 : 1024;
        pairs->at = realloc(pairs->at, pairs->capacity * sizeof *pairs->at);
        assert_non_null(pairs->at);
    }
    pairs->at[pairs->count].left = left;
    pairs->at[pairs->count].right = right;
    pairs->at[pairs->count++].us = us;
}

static int compare_pairs(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* Those that pair with nothing, of a side that is kept: -1 is in place of the other one. */
static void naive_rest(struct side_split sides[2][SIDE_SPLITS], const struct bounds *b, uint32_t side,
    bool matched[2][SIDE_SPLITS][SIDE_RECORDS_MAX], struct pairs *pairs)
{
    for (uint32_t split = 0; split < SIDE_SPLITS; split++)
        for (uint32_t i = 0; i < sides[side][split].count; i++) {
            const struct side_record *record = &sides[side][split].records[i];
            const int64_t id = side_id(split, i);
            if (is_accepted(record, b->lateness) && !matched[side][split][i])
                add_pair(pairs, side ? -1 : id, side ? id : -1, record->ts);
        }
}

static void naive_join(struct side_split sides[2][SIDE_SPLITS], const struct bounds *b,
    enum leat_join_kind kind, struct pairs *pairs)
{
    bool matched[2][SIDE_SPLITS][SIDE_RECORDS_MAX] = { 0 };
    for (uint32_t ls = 0; ls < SIDE_SPLITS; ls++)
        for (uint32_t rs = 0; rs < SIDE_SPLITS; rs++)
            for (uint32_t i = 0; i < sides[0][ls].count; i++)
                for (uint32_t k = 0; k < sides[1][rs].count; k++) {
                    const struct side_record *l = &sides[0][ls].records[i], *r = &sides[1][rs].records[k];
                    if (joins(l, b->lateness) && joins(r, b->lateness) && l->key == r->key &&
                        l->ts - b->before <= r->ts && r->ts <= l->ts + b->after) {
                        add_pair(pairs, side_id(ls, i), side_id(rs, k), l->ts > r->ts ? l->ts : r->ts);
                        matched[0][ls][i] = matched[1][rs][k] = true;
                    }
                }
    for (uint32_t side = 0; side < 2; side++)
        if (keeps(kind, side))
            naive_rest(sides, b, side, matched, pairs);
    qsort(pairs->at, pairs->count, sizeof *pairs->at, compare_pairs);
}

static void collect(struct harness *h, bool late_ones, struct pairs *pairs)
{
    for (uint32_t i = 0; i < h->outs_count; i++) {
        FAIL_UNLESS(late_ones || !h->outs[i].batch->late, "results that are late though nothing late joins");
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++) {
            const struct op_pair *pair = leat_batch_at(h->outs[i].batch, row);
            add_pair(pairs, pair->left, pair->right, h->outs[i].batch->event_us[row]);
        }
    }
    qsort(pairs->at, pairs->count, sizeof *pairs->at, compare_pairs);
    harness_forget_outs(h);
}

/* The pairs that one interleaving gives; the state must be empty in the end, and all records accounted for.
 */
static void run_join(struct side_split sides[2][SIDE_SPLITS], const struct bounds *b,
    enum leat_join_kind kind, uint64_t *random, struct pairs *pairs)
{
    static const uint32_t batch_rows[] = { 1, 3, 32, 1024 };
    const struct harness_opts opts = { .batch_rows =
                                           batch_rows[side_random_below(random, COUNT_OF(batch_rows))],
        .with_store = side_random_below(random, 2) == 0,
        .budget_bytes = side_random_below(random, 3) == 0 ? 1 + side_random_below(random, 20000) : 0 };
    const struct harness_opts without = { .batch_rows = opts.batch_rows };
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t,
        (struct leat_join_opts){
            .before_us = b->before, .after_us = b->after, .allowed_lateness_us = b->lateness, .kind = kind },
        opts.with_store ? &opts : &without);
    uint64_t late = 0, null = 0;
    for (uint32_t side = 0; side < 2; side++)
        for (uint32_t i = 0; i < SIDE_SPLITS; i++)
            for (uint32_t k = 0; k < sides[side][i].count; k++) {
                const struct side_record *record = &sides[side][i].records[k];
                const bool drops = record->key < 0 && !keeps(kind, side);
                null += drops;
                late += !drops && !is_accepted(record, b->lateness);
            }
    two_sides_deliver(h, sides, opts.batch_rows, opts.with_store, random);
    collect(h, b->lateness > 0, pairs);
    assert_int_equal(h->counters.late_records, late);
    assert_int_equal(h->counters.dropped_records, null);
    assert_int_equal(h->counters.state_keys, 0);
    harness_free(h);
    leat_topology_free(t);
}

static void test_join_interval__given_random_sides__when_interleaved_anyhow__then_the_pairs_of_a_naive_join(
    void **state)
{
    static const struct bounds rows[] = {
        { "symmetric", 50, 50, 0, { 20, 60, SIDE_RECORDS_MAX } },
        { "symmetric, late ones allowed", 50, 50, 70, { 20, 200, SIDE_RECORDS_MAX } },
        { "asymmetric", 10, 120, 0, { 20, 60, SIDE_RECORDS_MAX } },
        { "only before", 90, 0, 15, { 20, 90, SIDE_RECORDS_MAX } },
        { "behind each other", -30, 90, 0, { 20, 60, SIDE_RECORDS_MAX } },
        { "before each other, late ones allowed", 80, -20, 40, { 20, 120, SIDE_RECORDS_MAX } },
        { "one point", -3, 3, 0, { 2, 6, SIDE_RECORDS_MAX } },
        { "many buckets", 700, 800, 300, { 400, 2500, SIDE_RECORDS_MAX } },
        { "few buckets", 20000, 30000, 1000, { 300, 4000, SIDE_RECORDS_MAX } },
    };
    (void)state;
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        size_t pairs_count = 0;
        for (uint64_t seed = 1; seed <= 8; seed++) {
            const enum leat_join_kind kind = LEAT_JOIN_INNER + seed % 4;
            static struct side_split sides[2][SIDE_SPLITS];
            uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15) + row;
            struct pairs want = { 0 };
            two_sides_make(sides, &rows[row].times, &random);
            naive_join(sides, &rows[row], kind, &want);
            pairs_count += want.count;
            for (int interleaving = 0; interleaving < 4; interleaving++) {
                struct pairs got = { 0 };
                run_join(sides, &rows[row], kind, &random, &got);
                FAIL_UNLESS(
                    got.count == want.count && memcmp(got.at, want.at, got.count * sizeof *got.at) == 0,
                    "%s, kind %d, seed %llu, interleaving %d: %zu pairs, naively %zu", rows[row].name, kind,
                    (unsigned long long)seed, interleaving, got.count, want.count);
                free(got.at);
            }
            free(want.at);
        }
        FAIL_UNLESS(pairs_count > 50, "%s: %zu pairs say little", rows[row].name, pairs_count);
    }
}

/* ---- state and memory ---- */

static void add_events(struct harness *h, uint32_t side, int64_t from_us, uint32_t count, uint32_t keys_count)
{
    struct leat_batch *batch = harness_rows(h, side);
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key-%u", i * 7 % keys_count);
        op_event_add(batch, i, key, from_us + i, 0, "some text of the event");
    }
    assert_int_equal(harness_batch(h, side, batch), 0);
}

static void test_join_interval__given_both_watermarks__when_one_moves__then_the_other_side_is_dropped(
    void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .within_us = LEAT_MILLIS(5) }, NULL);
    add_events(h, 0, 0, 100, 100);
    add_events(h, 1, 0, 100, 100);
    assert_int_equal(harness_watermark(h, 0, 1), 0);
    assert_int_equal(harness_watermark(h, 1, 1), 0);
    assert_int_equal(h->counters.state_keys, 200);
    /* Buckets are 10 ms wide: the first one's last record reaches to 9,999 + 5,000. The left watermark alone
     * frees right records, once something is delivered. */
    assert_int_equal(harness_watermark(h, 0, 14998), 0);
    add_events(h, 1, 20000, 1, 1);
    assert_int_equal(h->counters.state_keys, 200);
    assert_int_equal(harness_watermark(h, 0, 14999), 0);
    add_events(h, 1, 20001, 1, 1);
    assert_int_equal(h->counters.state_keys, 101);
    assert_int_equal(harness_watermark(h, 1, 14999), 0);
    assert_int_equal(h->counters.state_keys, 1);
    harness_free(h);
    leat_topology_free(t);
}

/* Results show neither state nor input: both are overwritten before they are read. */
static void test_join_interval__given_results__when_state_and_input_are_gone__then_their_strings_stay(
    void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .within_us = LEAT_MILLIS(5) }, NULL);
    for (uint32_t side = 0; side < 2; side++) {
        struct leat_batch *batch = harness_rows(h, side);
        for (uint32_t i = 0; i < 200; i++)
            op_event_add(
                batch, i, i % 2 ? "odd" : "even", 100, 0, "a text that does not fit into a view itself");
        assert_int_equal(harness_batch(h, side, batch), 0);
    }
    const uint32_t results_count = h->outs_count;
    for (uint32_t round = 1; round < 5; round++)
        for (uint32_t side = 0; side < 2; side++) {
            assert_int_equal(harness_watermark(h, side, round * LEAT_SECONDS(1)), 0);
            struct leat_batch *batch = harness_rows(h, side);
            for (uint32_t i = 0; i < 200; i++)
                op_event_add(batch, i, side ? "left alone" : "alone", (round + 1) * LEAT_SECONDS(1), 0,
                    "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX");
            assert_int_equal(harness_batch(h, side, batch), 0);
        }
    assert_int_equal(h->outs_count, results_count);
    assert_int_equal(h->rows_count[0], 2 * 100 * 100);
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++) {
            const struct op_pair *pair = leat_batch_at(h->outs[i].batch, row);
            assert_true(leat_sv_eq(pair->text, LEAT_SV("a text that does not fit into a view itself")));
        }
    harness_free(h);
    leat_topology_free(t);
}

static void test_join_interval__given_a_side_far_ahead__when_the_other_comes__then_it_is_not_stored(
    void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .within_us = LEAT_MILLIS(5) }, NULL);
    assert_int_equal(harness_watermark(h, 1, LEAT_SECONDS(10)), 0);
    add_events(h, 0, 0, 100, 100);
    assert_int_equal(harness_watermark(h, 0, 50), 0);
    assert_int_equal(h->counters.state_keys, 0);
    harness_free(h);
    leat_topology_free(t);
}

static void test_join_interval__given_a_warm_join__when_it_goes_on__then_nothing_is_allocated_per_row(
    void **state)
{
    (void)state;
    const struct harness_opts opts = { .batch_rows = 256, .discard = true };
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .within_us = LEAT_MILLIS(2) }, &opts);
    uint64_t before = 0;
    for (uint32_t i = 0; i < 600; i++) {
        if (i == 300)
            before = leat__alloc_calls();
        add_events(h, 0, i * 256, 256, 64);
        add_events(h, 1, i * 256, 256, 64);
        assert_int_equal(harness_watermark(h, 0, i * 256 + 200), 0);
        assert_int_equal(harness_watermark(h, 1, i * 256 + 200), 0);
    }
    assert_true(h->rows_count[0] > 1000000);
    /* 300 * 256 us are 19.2 buckets of 4 ms on each side; a table makes one block for each. */
    assert_true(leat__alloc_calls() - before <= 2 * 20);
    harness_free(h);
    leat_topology_free(t);
}

static void test_join_interval__given_one_hot_key__when_all_pair__then_results_come_in_bounded_pieces(
    void **state)
{
    (void)state;
    const struct harness_opts opts = { .batch_rows = 64, .discard = true };
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .within_us = LEAT_SECONDS(1) }, &opts);
    for (uint32_t i = 0; i < 50; i++)
        add_events(h, 0, i * 64, 64, 1);
    add_events(h, 1, 0, 64, 1);
    assert_int_equal(h->rows_count[0], 50 * 64 * 64);
    assert_true(h->steps_count >= 50 * 64 * 64 / 64 / 8); /* the harness bounds each one */
    harness_free(h);
    leat_topology_free(t);
}

/* Rows that are looked at count as work, too. */
static void test_join_interval__given_many_rows_out_of_reach__when_scanned__then_in_pieces(void **state)
{
    (void)state;
    const struct harness_opts opts = { .batch_rows = 1024, .discard = true };
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .before_us = 0, .after_us = 1 }, &opts);
    struct leat_batch *batch = harness_rows(h, 1);
    for (uint32_t i = 0; i < 1000; i++)
        op_event_add(batch, i, "hot", 900, 0, "");
    assert_int_equal(harness_batch(h, 1, batch), 0);
    batch = harness_rows(h, 0);
    for (uint32_t i = 0; i < 1000; i++)
        op_event_add(batch, i, "hot", 100, 0, "");
    assert_int_equal(harness_batch(h, 0, batch), 0);
    assert_int_equal(h->rows_count[0], 0);
    assert_true(h->steps_count >= 10);
    harness_free(h);
    leat_topology_free(t);
}

/* ---- records without a partner ---- */

static void test_join_interval__given_an_outer_join__when_told_watermarks__then_it_forwards_what_is_final(
    void **state)
{
    static const struct {
        enum leat_join_kind kind;
        int64_t before, after, lateness, left_w, right_w, want;
    } rows[] = {
        { LEAT_JOIN_LEFT, 5, 5, 0, 100, 100, 95 },
        { LEAT_JOIN_LEFT, 5, 7, 0, 100, 100, 93 },
        { LEAT_JOIN_RIGHT, 5, 7, 0, 100, 100, 95 },
        { LEAT_JOIN_FULL, 5, 7, 0, 100, 100, 93 },
        { LEAT_JOIN_LEFT, 5, 7, 0, 100, 500, 100 }, /* the right side is ahead: nothing is held */
        { LEAT_JOIN_LEFT, 5, 7, 0, 500, 100, 93 },
        { LEAT_JOIN_FULL, 5, 7, 0, 500, 100, 93 },
        { LEAT_JOIN_FULL, 7, 5, 0, 100, 102, 93 },
        { LEAT_JOIN_LEFT, 20, -10, 0, 100, 100, 100 }, /* partners are earlier: closed before its own time */
        { LEAT_JOIN_RIGHT, 20, -10, 0, 100, 100, 80 },
        { LEAT_JOIN_LEFT, 5, 5, 30, 100, 100, 65 },
        { LEAT_JOIN_LEFT, LEAT_NEVER, LEAT_NEVER, 0, 100, 100, LEAT_TIME_MIN + 101 },
        { LEAT_JOIN_LEFT, 5, 5, 0, LEAT_TIME_MAX - 1, LEAT_TIME_MAX - 1, LEAT_TIME_MAX - 6 },
        { LEAT_JOIN_LEFT, 5, 5, 0, LEAT_TIME_MIN + 3, LEAT_TIME_MIN + 3, LEAT_TIME_MIN },
        { LEAT_JOIN_INNER, 5, 7, 0, 100, 100, 100 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("join");
        struct harness *h = open_join(t,
            (struct leat_join_opts){ .before_us = rows[i].before,
                .after_us = rows[i].after,
                .allowed_lateness_us = rows[i].lateness,
                .kind = rows[i].kind },
            &(struct harness_opts){ .with_store = true });
        const uint32_t later = rows[i].left_w < rows[i].right_w; /* the one that makes the merged one rise */
        assert_int_equal(harness_watermark(h, later, later ? rows[i].right_w : rows[i].left_w), 0);
        assert_int_equal(harness_watermark(h, !later, later ? rows[i].left_w : rows[i].right_w), 0);
        FAIL_UNLESS(h->sent_us == rows[i].want, "row %zu: forwarded %lld", i, (long long)h->sent_us);
        assert_int_equal(harness_crash(h, NULL), 0);
        FAIL_UNLESS(h->sent_us == rows[i].want, "row %zu: forwarded %lld again", i, (long long)h->sent_us);
        assert_int_equal(harness_end(h, 0), 0);
        assert_int_equal(harness_end(h, 1), 0);
        assert_true(h->sent_us == LEAT_TIME_MAX);
        harness_free(h);
        leat_topology_free(t);
    }
}

#define ALONE 80000u /* more than times are kept of at once */

/* Rows of a bucket that is closed in several steps; `keys_count` keys, each row at a time of its own, in a jumble. */
static void give_alone(uint32_t keys_count, uint64_t budget, int64_t step)
{
    leat_topology *t = leat_topology_new("join");
    struct harness *h =
        open_join(t, (struct leat_join_opts){ .within_us = 10 * ALONE, .kind = LEAT_JOIN_LEFT },
            &(struct harness_opts){ .discard = true, .with_store = budget != 0, .budget_bytes = budget });
    for (uint32_t i = 0; i < ALONE;) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (; i < ALONE && batch->count < batch->capacity; i++) {
            char key[32];
            const uint32_t n = (uint32_t)((uint64_t)i * 7919 % ALONE);
            (void)snprintf(key, sizeof key, "key-%u", n % keys_count);
            op_event_add(batch, n, key, n, 0, "");
        }
        assert_int_equal(harness_batch(h, 0, batch), 0);
    }
    assert_int_equal(harness_watermark(h, 0, 100 * ALONE), 0);
    for (int64_t closed = -1; closed < ALONE; closed += step) {
        const int64_t before = h->steps_count;
        assert_int_equal(harness_watermark(h, 1, closed + 10 * ALONE), 0);
        const uint64_t want = closed + 1 < ALONE ? closed + 1 : ALONE;
        FAIL_UNLESS(h->rows_count[0] == want, "%u keys, closed until %lld: %llu rows", keys_count,
            (long long)closed, (unsigned long long)h->rows_count[0]);
        FAIL_UNLESS(step < 20000 || closed < 0 || (int64_t)h->steps_count - before >= step / 1024 / 8,
            "%lld rows in %lld steps", (long long)step, (long long)h->steps_count - before);
    }
    assert_int_equal(harness_watermark(h, 1, 100 * ALONE), 0);
    assert_true(h->rows_count[0] == ALONE);
    assert_int_equal(h->counters.state_keys, 0);
    harness_free(h);
    leat_topology_free(t);
}

static void
test_join_interval__given_many_without_a_partner__when_closed_bit_by_bit__then_each_in_time_and_once(
    void **state)
{
    (void)state;
    give_alone(ALONE, 0, 5000);
    give_alone(ALONE, 0, 40000);
    give_alone(1, 0, 5000);
    give_alone(1, 0, 40000);
    give_alone(300, 0, 700);
    give_alone(300, 1, 20000);
}

static void test_join_interval__given_many_without_a_partner__when_closed_as_a_whole__then_in_pieces(
    void **state)
{
    (void)state;
    for (uint32_t keys_count = 1; keys_count <= 20000; keys_count *= 20000) {
        leat_topology *t = leat_topology_new("join");
        struct harness *h =
            open_join(t, (struct leat_join_opts){ .within_us = LEAT_SECONDS(1), .kind = LEAT_JOIN_FULL },
                &(struct harness_opts){ .discard = true });
        for (uint32_t i = 0; i < 20; i++)
            add_events(h, i % 2, (int64_t)(i % 2) * LEAT_SECONDS(10) + i * 1000, 1000, keys_count);
        assert_int_equal(harness_end(h, 0), 0);
        assert_int_equal(harness_end(h, 1), 0);
        assert_int_equal(h->rows_count[0], 20000);
        assert_true(h->steps_count >= 4);
        assert_int_equal(h->counters.state_keys, 0);
        harness_free(h);
        leat_topology_free(t);
    }
}

static void test_join_interval__given_a_small_budget__when_state_grows__then_the_job_fails_by_name(
    void **state)
{
    (void)state;
    const struct harness_opts opts = { .budget_bytes = 256 * 1024 };
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t, (struct leat_join_opts){ .within_us = LEAT_SECONDS(1) }, &opts);
    int code = 0;
    for (uint32_t i = 0; i < 100 && code == 0; i++) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (uint32_t k = 0; k < 1000; k++)
            op_event_add(batch, k, "key", k, 0, "some text of the event");
        code = harness_batch(h, 0, batch);
    }
    assert_int_equal(code, LEAT_ESTATE);
    assert_non_null(strstr(h->error.message, "node \"join\" subtask 0"));
    harness_free(h);
    leat_topology_free(t);
}

/* Every allocation fails once: the job's error, or no harm, and no leak. */
static void test_join_interval__given_no_memory__when_any_allocation_fails__then_the_job_fails_cleanly(
    void **state)
{
    (void)state;
    uint32_t failures = 0;
    for (uint64_t n = 2; n < 800; n++) { /* inner and outer joins by turns */
        const struct harness_opts opts = { .batch_rows = 16 };
        const int64_t live = leat__alloc_live();
        leat_topology *t = leat_topology_new("join");
        struct harness *h = open_join(t,
            (struct leat_join_opts){ .within_us = LEAT_MILLIS(1),
                .where = n % 2 ? "left.id <> right.id" : NULL,
                .kind = n % 2 ? LEAT_JOIN_FULL : LEAT_JOIN_INNER },
            &opts);
        struct leat_batch *batches[8];
        for (uint32_t i = 0; i < COUNT_OF(batches); i++) {
            batches[i] = harness_rows(h, i % 2);
            for (uint32_t k = 0; k < 16; k++)
                op_event_add(batches[i], k, k % 3 ? "a" : "b", i / 2 * 700 + k, 0, "text");
        }
        leat__alloc_fail_at(n / 2);
        for (uint32_t i = 0; i < COUNT_OF(batches); i++)
            (void)harness_batch(h, i % 2, batches[i]);
        (void)harness_watermark(h, 0, 2000);
        (void)harness_watermark(h, 1, 2000);
        leat__alloc_fail_at(0);
        FAIL_UNLESS(h->code == 0 || h->code == LEAT_ENOMEM || h->code == LEAT_ESTATE, "allocation %llu: %s",
            (unsigned long long)(n / 2), h->error.message);
        failures += h->code < 0;
        harness_free(h);
        leat_topology_free(t);
        assert_int_equal(leat__alloc_live(), live);
    }
    assert_true(failures > 10);
}

/* ---- plans ---- */

static const char *partitioning(
    const char *left_key, const char *right_key, const struct leat_projection *first)
{
    static char text[64];
    leat_topology *t = leat_topology_new("join");
    leat_stream *left = harness_source(t, "left", &op_event_type, "ts");
    leat_stream *right = harness_source(t, "right", &op_event_type, "ts");
    struct leat_join_opts opts = { .left_key = left_key,
        .right_key = right_key,
        .within_us = 1,
        .out = &op_pair_type,
        .fields = { { "left.id", "left" }, { "right.id", "right" }, { "left.text", "text" } } };
    if (first)
        opts.fields[0] = *first;
    leat_stream *joined = leat_join(left, right, "join", &opts);
    FAIL_UNLESS(joined->node != NULL, "%s", leat_topology_error(t, 0)->message);
    const char *by = joined->node->outputs[0].partitioned_by;
    (void)snprintf(text, sizeof text, "%s", by ? by : "nothing");
    leat_topology_free(t);
    return text;
}

static void test_join_interval__given_fields__when_they_keep_the_key__then_rows_stay_where_it_lives(
    void **state)
{
    (void)state;
    assert_string_equal(partitioning("text", NULL, NULL), "text");
    assert_string_equal(partitioning("id", NULL, NULL), "nothing"); /* under other names */
    assert_string_equal(partitioning("text, id", NULL, NULL), "nothing");
    assert_string_equal(
        partitioning("key", "text", NULL), "nothing"); /* `text` is filled from the left one */
    const struct leat_projection computed = { "left.id + 0", "left" };
    assert_string_equal(partitioning("text", NULL, &computed), "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_join_interval__given_random_sides__when_interleaved_anyhow__then_the_pairs_of_a_naive_join),
        cmocka_unit_test(
            test_join_interval__given_both_watermarks__when_one_moves__then_the_other_side_is_dropped),
        cmocka_unit_test(
            test_join_interval__given_results__when_state_and_input_are_gone__then_their_strings_stay),
        cmocka_unit_test(
            test_join_interval__given_a_side_far_ahead__when_the_other_comes__then_it_is_not_stored),
        cmocka_unit_test(
            test_join_interval__given_a_warm_join__when_it_goes_on__then_nothing_is_allocated_per_row),
        cmocka_unit_test(
            test_join_interval__given_one_hot_key__when_all_pair__then_results_come_in_bounded_pieces),
        cmocka_unit_test(test_join_interval__given_many_rows_out_of_reach__when_scanned__then_in_pieces),
        cmocka_unit_test(
            test_join_interval__given_an_outer_join__when_told_watermarks__then_it_forwards_what_is_final),
        cmocka_unit_test(
            test_join_interval__given_many_without_a_partner__when_closed_bit_by_bit__then_each_in_time_and_once),
        cmocka_unit_test(
            test_join_interval__given_many_without_a_partner__when_closed_as_a_whole__then_in_pieces),
        cmocka_unit_test(
            test_join_interval__given_a_small_budget__when_state_grows__then_the_job_fails_by_name),
        cmocka_unit_test(
            test_join_interval__given_no_memory__when_any_allocation_fails__then_the_job_fails_cleanly),
        cmocka_unit_test(
            test_join_interval__given_fields__when_they_keep_the_key__then_rows_stay_where_it_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
