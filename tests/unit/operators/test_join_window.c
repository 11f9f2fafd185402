/* tests/unit/operators/test_join_window.c -- what text cases can not say about window joins: any interleaving of
 * splits and sides, crash and budget gives the results of a naive join; state ends with the watermark; very many
 * partners come in pieces. */
#include "base/alloc.h"
#include "tests/support/harness.h"
#include "tests/support/op_records.h"
#include "tests/support/two_sides.h"
#include "tests/support/unit.h"
#include <leat/join.h>
#include <stdio.h>
#include <stdlib.h>

struct op_match {
    int64_t left, right, window_start, window_end;
};
static const struct leat_type long_type = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_field match_fields[] = {
    { "left", &long_type, offsetof(struct op_match, left), LEAT_NOT_NULLABLE },
    { "right", &long_type, offsetof(struct op_match, right), LEAT_NOT_NULLABLE },
    { "window_start", &long_type, offsetof(struct op_match, window_start), LEAT_NOT_NULLABLE },
    { "window_end", &long_type, offsetof(struct op_match, window_end), LEAT_NOT_NULLABLE },
};
static const struct leat_type op_match_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "op_match",
    .size = sizeof(struct op_match),
    .align = 8,
    .fields_count = COUNT_OF(match_fields),
    .fields = match_fields,
    .schema = "{\"type\":\"record\",\"name\":\"op_match\",\"fields\":[{\"name\":\"left\",\"type\":\"long\"},"
              "{\"name\":\"right\",\"type\":\"long\"},{\"name\":\"window_start\",\"type\":\"long\"},"
              "{\"name\":\"window_end\",\"type\":\"long\"}]}",
    .fingerprint = UINT64_C(0xe360615f7035f8b0),
};

#define NOBODY (-1)

static void match(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_match *out)
{
    (void)ctx;
    out->left = left ? left->id : NOBODY;
    out->right = right ? right->id : NOBODY;
}
LEAT_DEFINE_JOIN(match, op_event, op_event, op_match);

static struct harness *open_join(
    leat_topology *t, struct leat_window_join_opts opts, const struct harness_opts *harness_opts)
{
    opts.left_key = "key";
    opts.merge = &match_join;
    leat_stream *left = harness_source(t, "left", &op_event_type, "ts");
    leat_stream *right = harness_source(t, "right", &op_event_type, "ts");
    return harness_new(leat_window_join(left, right, "join", &opts), harness_opts);
}

/* ---- against a naive join, in random interleavings ---- */

struct shape {
    const char *name;
    struct leat_window_opts window;
    const char *where;
    struct side_times times;
};

struct matches {
    struct {
        int64_t left, right, start, end, us;
    } * at;
    size_t count, capacity;
};

static void add_match(
    struct matches *matches, int64_t left, int64_t right, int64_t start, int64_t end, int64_t us)
{
    if (matches->count == matches->capacity) {
        matches->capacity = matches->capacity ? matches->capacity * 2 : 1024;
        matches->at = realloc(matches->at, matches->capacity * sizeof *matches->at);
        assert_non_null(matches->at);
    }
    matches->at[matches->count].left = left;
    matches->at[matches->count].right = right;
    matches->at[matches->count].start = start;
    matches->at[matches->count].end = end;
    matches->at[matches->count++].us = us;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    for (int i = 0; i < 5; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* What the model knows of all records of a side. */
struct flat {
    struct side_record record[SIDE_SPLITS * SIDE_RECORDS_MAX];
    int64_t id[SIDE_SPLITS * SIDE_RECORDS_MAX];
    bool in[SIDE_SPLITS * SIDE_RECORDS_MAX]; /* in the window that is looked at */
    bool taken[SIDE_SPLITS * SIDE_RECORDS_MAX]; /* by some window */
    uint32_t count;
};

static bool is_match(const struct shape *shape, const struct side_record *l, const struct side_record *r)
{
    return l->key >= 0 && l->key == r->key && (!shape->where || l->value <= r->value);
}

static void naive_window(struct flat sides[2], const struct shape *shape, enum leat_join_kind kind,
    int64_t start, int64_t end, int64_t us, struct matches *matches)
{
    for (uint32_t side = 0; side < 2; side++) {
        const bool keeps = kind == LEAT_JOIN_FULL || kind == (side == 0 ? LEAT_JOIN_LEFT : LEAT_JOIN_RIGHT);
        for (uint32_t i = 0; i < sides[side].count; i++) {
            bool lonely = true;
            for (uint32_t k = 0; sides[side].in[i] && k < sides[!side].count; k++) {
                const uint32_t l = side == 0 ? i : k, r = side == 0 ? k : i;
                if (!sides[!side].in[k] || !is_match(shape, &sides[0].record[l], &sides[1].record[r]))
                    continue;
                lonely = false;
                if (side == 0)
                    add_match(matches, sides[0].id[l], sides[1].id[r], start, end, us);
            }
            if (sides[side].in[i] && lonely && keeps)
                add_match(matches, side == 0 ? sides[0].id[i] : NOBODY, side == 1 ? sides[1].id[i] : NOBODY,
                    start, end, us);
        }
    }
}

static void naive_aligned(
    struct flat sides[2], const struct shape *shape, enum leat_join_kind kind, struct matches *matches)
{
    const struct leat_window_opts *o = &shape->window;
    const bool cumulating = o->kind == LEAT_WINDOW_CUMULATING;
    const int64_t step = o->kind == LEAT_WINDOW_HOPPING ? o->slide_us : o->size_us;
    const int64_t first = o->offset_us % step - 200 * step;
    for (int64_t start = first; start < 400 * step; start += step)
        for (int64_t end = start + (cumulating ? o->step_us : o->size_us); end <= start + o->size_us;
             end += cumulating ? o->step_us : o->size_us) {
            bool any = false;
            for (uint32_t side = 0; side < 2; side++)
                for (uint32_t i = 0; i < sides[side].count; i++) {
                    const struct side_record *r = &sides[side].record[i];
                    sides[side].in[i] = r->ts >= start && r->ts < end &&
                        (!r->late || end - 1 + o->allowed_lateness_us > r->mark);
                    sides[side].taken[i] |= sides[side].in[i];
                    any |= sides[side].in[i];
                }
            if (any)
                naive_window(sides, shape, kind, start, end, end - 1, matches);
        }
}

/* Grows a session from each record that is in none yet. */
static void naive_sessions(
    struct flat sides[2], const struct shape *shape, enum leat_join_kind kind, struct matches *matches)
{
    const int64_t gap = shape->window.gap_us;
    for (uint32_t side = 0; side < 2; side++)
        for (uint32_t i = 0; i < sides[side].count; i++) {
            if (sides[side].taken[i])
                continue;
            const int key = sides[side].record[i].key;
            int64_t from = sides[side].record[i].ts, to = from;
            for (uint32_t s = 0; s < 2; s++)
                memset(sides[s].in, 0, sizeof sides[s].in);
            sides[side].in[i] = sides[side].taken[i] = true;
            for (bool grown = key >= 0; grown;) {
                grown = false;
                for (uint32_t s = 0; s < 2; s++)
                    for (uint32_t k = 0; k < sides[s].count; k++) {
                        const struct side_record *r = &sides[s].record[k];
                        if (sides[s].taken[k] || r->key != key || r->ts < from - gap || r->ts > to + gap)
                            continue;
                        sides[s].in[k] = sides[s].taken[k] = grown = true;
                        from = r->ts < from ? r->ts : from;
                        to = r->ts > to ? r->ts : to;
                    }
            }
            naive_window(sides, shape, kind, from, to + gap, to + gap, matches);
        }
}

static void naive_join(struct side_split splits[2][SIDE_SPLITS], const struct shape *shape,
    enum leat_join_kind kind, struct flat sides[2], struct matches *matches)
{
    for (uint32_t side = 0; side < 2; side++) {
        memset(&sides[side], 0, sizeof sides[side]);
        for (uint32_t s = 0; s < SIDE_SPLITS; s++)
            for (uint32_t i = 0; i < splits[side][s].count; i++) {
                sides[side].record[sides[side].count] = splits[side][s].records[i];
                sides[side].id[sides[side].count++] = side_id(s, i);
            }
    }
    if (shape->window.kind == LEAT_WINDOW_SESSION)
        naive_sessions(sides, shape, kind, matches);
    else
        naive_aligned(sides, shape, kind, matches);
    qsort(matches->at, matches->count, sizeof *matches->at, compare);
}

static void collect(struct harness *h, struct matches *matches)
{
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++) {
            const struct op_match *m = leat_batch_at(h->outs[i].batch, row);
            add_match(
                matches, m->left, m->right, m->window_start, m->window_end, h->outs[i].batch->event_us[row]);
        }
    qsort(matches->at, matches->count, sizeof *matches->at, compare);
    harness_forget_outs(h);
}

static void run_join(struct side_split splits[2][SIDE_SPLITS], const struct shape *shape,
    enum leat_join_kind kind, uint64_t *random, struct harness **left_open, struct matches *matches)
{
    static const uint32_t batch_rows[] = { 1, 3, 32, 1024 };
    struct harness_opts opts = { .batch_rows = batch_rows[side_random_below(random, COUNT_OF(batch_rows))],
        .with_store = side_random_below(random, 2) == 0,
        .budget_bytes = side_random_below(random, 3) == 0 ? 1 + side_random_below(random, 20000) : 0 };
    if (!opts.with_store)
        opts.budget_bytes = 0;
    leat_topology *t = leat_topology_new("join");
    struct harness *h = open_join(t,
        (struct leat_window_join_opts){ .window = shape->window, .where = shape->where, .kind = kind },
        &opts);
    two_sides_deliver(h, splits, opts.batch_rows, opts.with_store, random);
    collect(h, matches);
    if (shape->window.kind != LEAT_WINDOW_SESSION || !opts.budget_bytes) /* removed one by one: an estimate */
        assert_int_equal(h->counters.state_keys, 0);
    *left_open = h;
}

/* All records are accounted for. */
static void check_counters(
    const struct harness *h, const struct shape *shape, enum leat_join_kind kind, const struct flat sides[2])
{
    uint64_t late = 0, null = 0, between = 0;
    for (uint32_t side = 0; side < 2; side++)
        for (uint32_t i = 0; i < sides[side].count; i++) {
            const bool keeps =
                kind == LEAT_JOIN_FULL || kind == (side == 0 ? LEAT_JOIN_LEFT : LEAT_JOIN_RIGHT);
            const struct side_record *r = &sides[side].record[i];
            const int64_t slide = shape->window.slide_us;
            if (shape->window.allow_gaps && ((r->ts % slide) + slide) % slide >= shape->window.size_us)
                between++;
            else if (r->key < 0 && !keeps)
                null++;
            else
                late += !sides[side].taken[i];
        }
    assert_int_equal(h->counters.late_records, late);
    assert_int_equal(h->counters.dropped_records, null);
    assert_int_equal(h->counters.unassigned_records, between);
}

static void test_join_window__given_random_sides__when_interleaved_anyhow__then_the_results_of_a_naive_join(
    void **state)
{
    static const char *const where = "left.value <= right.value";
    static const struct shape rows[] = {
        { "tumbling", { .kind = LEAT_WINDOW_TUMBLING, .size_us = 50, .offset_us = 7 }, NULL,
            { 12, 60, 100 } },
        { "tumbling, where", { .kind = LEAT_WINDOW_TUMBLING, .size_us = 50 }, where, { 12, 60, 100 } },
        { "tumbling, late", { .kind = LEAT_WINDOW_TUMBLING, .size_us = 20, .allowed_lateness_us = 30 }, where,
            { 12, 150, 100 } },
        { "hopping", { .kind = LEAT_WINDOW_HOPPING, .size_us = 60, .slide_us = 20 }, NULL, { 12, 90, 100 } },
        { "hopping, uneven", { .kind = LEAT_WINDOW_HOPPING, .size_us = 50, .slide_us = 20, .offset_us = 3 },
            where, { 12, 90, 100 } },
        { "hopping, late",
            { .kind = LEAT_WINDOW_HOPPING, .size_us = 60, .slide_us = 20, .allowed_lateness_us = 25 }, NULL,
            { 12, 150, 100 } },
        { "hopping, gaps", { .kind = LEAT_WINDOW_HOPPING, .size_us = 30, .slide_us = 50, .allow_gaps = true },
            NULL, { 12, 60, 100 } },
        { "cumulating", { .kind = LEAT_WINDOW_CUMULATING, .size_us = 80, .step_us = 20 }, NULL,
            { 12, 90, 100 } },
        { "cumulating, late",
            { .kind = LEAT_WINDOW_CUMULATING, .size_us = 80, .step_us = 20, .allowed_lateness_us = 35 },
            where, { 12, 150, 100 } },
        { "sessions", { .kind = LEAT_WINDOW_SESSION, .gap_us = 15 }, NULL, { 12, 0, 100 } },
        { "sessions, where", { .kind = LEAT_WINDOW_SESSION, .gap_us = 40 }, where, { 12, 0, 100 } },
        { "short sessions", { .kind = LEAT_WINDOW_SESSION, .gap_us = 3 }, NULL, { 12, 0, 100 } },
    };
    static struct side_split splits[2][SIDE_SPLITS];
    static struct flat sides[2];
    (void)state;
    for (size_t row = 0; row < COUNT_OF(rows); row++) {
        size_t results = 0;
        const bool late = rows[row].window.allowed_lateness_us > 0;
        for (int kind = LEAT_JOIN_INNER; kind <= (late ? LEAT_JOIN_INNER : LEAT_JOIN_FULL); kind++)
            for (uint64_t seed = 1; seed <= (late ? 8 : 4); seed++) {
                uint64_t random = seed * UINT64_C(0x9E3779B97F4A7C15) + row * 16 + (uint64_t)kind;
                struct matches expected = { 0 }, found = { 0 };
                struct harness *h;
                two_sides_make(splits, &rows[row].times, &random);
                naive_join(splits, &rows[row], (enum leat_join_kind)kind, sides, &expected);
                run_join(splits, &rows[row], (enum leat_join_kind)kind, &random, &h, &found);
                if (expected.count != found.count ||
                    (found.count && memcmp(expected.at, found.at, found.count * sizeof *found.at) != 0)) {
                    for (size_t i = 0; i < expected.count || i < found.count; i++)
                        if (i >= expected.count || i >= found.count ||
                            compare(&expected.at[i], &found.at[i]) != 0) {
                            if (i < expected.count)
                                print_error("expected %lld %lld [%lld, %lld)\n",
                                    (long long)expected.at[i].left, (long long)expected.at[i].right,
                                    (long long)expected.at[i].start, (long long)expected.at[i].end);
                            if (i < found.count)
                                print_error("found %lld %lld [%lld, %lld)\n", (long long)found.at[i].left,
                                    (long long)found.at[i].right, (long long)found.at[i].start,
                                    (long long)found.at[i].end);
                            break;
                        }
                    fail_msg("%s, kind %d, seed %u: %zu results, %zu expected", rows[row].name, kind,
                        (unsigned)seed, found.count, expected.count);
                }
                check_counters(h, &rows[row], (enum leat_join_kind)kind, sides);
                results += found.count;
                struct leat_topology *t = h->node->t;
                harness_free(h);
                leat_topology_free(t);
                free(expected.at);
                free(found.at);
            }
        assert_true(results > 200);
    }
}

/* ---- one key with very many records ---- */

static void add_hot(struct harness *h, uint32_t side, uint32_t count, int64_t ts)
{
    for (uint32_t i = 0; i < count;) {
        struct leat_batch *batch = harness_rows(h, side);
        for (; i < count && batch->count < batch->capacity; i++)
            op_event_add(batch, i, "hot", ts, 0, "");
        assert_int_equal(harness_batch(h, side, batch), 0);
    }
}

static void run_hot(uint32_t left, uint32_t right, const struct leat_window_opts *window)
{
    leat_topology *t = leat_topology_new("join");
    const struct harness_opts opts = { .discard = true };
    struct harness *h =
        open_join(t, (struct leat_window_join_opts){ .window = *window, .kind = LEAT_JOIN_FULL }, &opts);
    add_hot(h, 0, left, 10);
    add_hot(h, 1, right, 11);
    assert_int_equal(harness_end(h, 0), 0);
    assert_int_equal(harness_end(h, 1), 0);
    assert_int_equal(h->rows_count[0], (uint64_t)left * right);
    assert_true(h->steps_count >= (uint64_t)left * right / (8 * 1024)); /* the harness bounds each call */
    assert_int_equal(h->counters.state_keys, 0);
    harness_free(h);
    leat_topology_free(t);
}

static void test_join_window__given_a_hot_key__when_its_window_fires__then_results_come_in_bounded_calls(
    void **state)
{
    const struct leat_window_opts tumbling = { .kind = LEAT_WINDOW_TUMBLING, .size_us = 100 };
    const struct leat_window_opts session = { .kind = LEAT_WINDOW_SESSION, .gap_us = 100 };
    (void)state;
    run_hot(9000, 60, &tumbling);
    run_hot(60, 9000, &tumbling);
    run_hot(5000, 90, &session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_join_window__given_random_sides__when_interleaved_anyhow__then_the_results_of_a_naive_join),
        cmocka_unit_test(
            test_join_window__given_a_hot_key__when_its_window_fires__then_results_come_in_bounded_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
