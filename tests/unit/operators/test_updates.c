/* tests/unit/operators/test_updates.c -- operators that give and take changes: runs their case files, and random
 * inputs against naive folds. */
#include "tests/support/cases.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/deduplicate.h>
#include <leat/group_aggregate.h>
#include <leat/top_n.h>
#include <stdio.h>

/* ---- group aggregate ---- */

static leat_stream *group_with(const struct case_setup *setup, struct leat_group_aggregate_opts opts)
{
    opts.out = case_type(setup, "total");
    return leat_group_aggregate(leat_group_by(setup->inputs[0], "by-key", "key"), "totals", &opts);
}
static leat_stream *declare_group(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("records"), LEAT_SUM("value", "sum"), LEAT_MIN("text", "least") } });
}
static leat_stream *declare_group_max(const struct case_setup *setup)
{
    return group_with(setup, (struct leat_group_aggregate_opts){ .aggs = { LEAT_MAX("value", "most") } });
}
static leat_stream *declare_group_retract(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("records"), LEAT_SUM("value", "sum"), LEAT_AVG("value", "mean") } });
}
/* What keeps its values, so that one can be taken back. */
static leat_stream *declare_group_retract_kept(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){ .aggs = { LEAT_MAX("value", "most"), LEAT_MIN("text", "least"),
                                                LEAT_COUNT_DISTINCT("value", "values") } });
}
static leat_stream *declare_group_folded(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("records"), LEAT_SUM("value", "sum"), LEAT_AVG("value", "mean") },
            .mini_batch_us = 1000 });
}
static leat_stream *declare_group_ttl(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("records"), LEAT_SUM("value", "sum") }, .ttl = { .us = 16 } });
}
static leat_stream *declare_group_ttl_processing(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("records"), LEAT_SUM("value", "sum") },
            .ttl = { .us = 16, .time = LEAT_PROCESSING_TIME } });
}
static leat_stream *declare_group_folded_ttl(const struct case_setup *setup)
{
    return group_with(setup,
        (struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("records"), LEAT_SUM("value", "sum"), LEAT_AVG("value", "mean") },
            .ttl = { .us = 16 },
            .mini_batch_rows = 1000 });
}

/* ---- deduplicate ---- */

static leat_stream *deduplicate_with(const struct case_setup *setup, struct leat_deduplicate_opts opts)
{
    return leat_deduplicate(leat_group_by(setup->inputs[0], "by-key", "key"), "once", &opts);
}
static leat_stream *declare_dedup_first(const struct case_setup *setup)
{
    return deduplicate_with(setup, (struct leat_deduplicate_opts){ .within_us = 10 });
}
static leat_stream *declare_dedup_first_time(const struct case_setup *setup)
{
    return deduplicate_with(setup, (struct leat_deduplicate_opts){ .within_us = 10, .by_event_time = true });
}
static leat_stream *declare_dedup_last(const struct case_setup *setup)
{
    return deduplicate_with(setup, (struct leat_deduplicate_opts){ .keep = LEAT_KEEP_LAST, .within_us = 10 });
}
static leat_stream *declare_dedup_last_time(const struct case_setup *setup)
{
    return deduplicate_with(setup,
        (struct leat_deduplicate_opts){ .keep = LEAT_KEEP_LAST, .within_us = 10, .by_event_time = true });
}
static leat_stream *declare_dedup_ever(const struct case_setup *setup)
{
    return deduplicate_with(setup, (struct leat_deduplicate_opts){ .within_us = LEAT_NEVER });
}
static leat_stream *declare_dedup_ever_last(const struct case_setup *setup)
{
    return deduplicate_with(
        setup, (struct leat_deduplicate_opts){ .keep = LEAT_KEEP_LAST, .within_us = LEAT_NEVER });
}
static leat_stream *declare_dedup_processing(const struct case_setup *setup)
{
    return deduplicate_with(
        setup, (struct leat_deduplicate_opts){ .within_us = 10, .time = LEAT_PROCESSING_TIME });
}

/* ---- top n ---- */

static leat_stream *top_with(const struct case_setup *setup, struct leat_top_n_opts opts)
{
    opts.n = 2;
    opts.by = "value";
    if (opts.rank)
        opts.out = case_type(setup, "ranked");
    return leat_top_n(leat_group_by(setup->inputs[0], "by-key", "key"), "top", &opts);
}
static leat_stream *declare_top(const struct case_setup *setup)
{
    return top_with(setup, (struct leat_top_n_opts){ .descending = true });
}
static leat_stream *declare_top_ranked(const struct case_setup *setup)
{
    return top_with(setup, (struct leat_top_n_opts){ .descending = true, .rank = "rank" });
}
static leat_stream *declare_bottom_ranked(const struct case_setup *setup)
{
    return top_with(setup, (struct leat_top_n_opts){ .rank = "rank" });
}
static leat_stream *window_top_with(const struct case_setup *setup, struct leat_window_opts windows)
{
    leat_windowed_stream *w =
        leat_window(leat_group_by(setup->inputs[0], "by-key", "key"), "windows", &windows);
    (void)leat_late_records(w);
    return leat_window_top_n(w, "top",
        &(struct leat_top_n_opts){
            .n = 2, .by = "value", .descending = true, .rank = "rank", .out = case_type(setup, "ranked") });
}
static leat_stream *declare_window_top(const struct case_setup *setup)
{
    return window_top_with(setup, (struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
}
static leat_stream *declare_window_top_hopping(const struct case_setup *setup)
{
    return window_top_with(
        setup, (struct leat_window_opts){ .kind = LEAT_WINDOW_HOPPING, .size_us = 10, .slide_us = 5 });
}
static leat_stream *declare_window_top_late(const struct case_setup *setup)
{
    return window_top_with(setup,
        (struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10, .allowed_lateness_us = 5 });
}
static leat_stream *declare_window_top_late_retracting(const struct case_setup *setup)
{
    return window_top_with(setup,
        (struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
            .size_us = 10,
            .allowed_lateness_us = 5,
            .accumulation = LEAT_RETRACTING });
}
static leat_stream *declare_window_top_session(const struct case_setup *setup)
{
    return window_top_with(setup,
        (struct leat_window_opts){ .kind = LEAT_WINDOW_SESSION,
            .gap_us = 5,
            .allowed_lateness_us = 10,
            .accumulation = LEAT_RETRACTING });
}

static const struct case_operator operators[] = {
    { "top-2", declare_top },
    { "top-2-ranked", declare_top_ranked },
    { "bottom-2-ranked", declare_bottom_ranked },
    { "window-top-2", declare_window_top },
    { "window-top-2-hopping", declare_window_top_hopping },
    { "window-top-2-late", declare_window_top_late },
    { "window-top-2-late-retracting", declare_window_top_late_retracting },
    { "window-top-2-session-retracting", declare_window_top_session },
    { "dedup-first", declare_dedup_first },
    { "dedup-first-time", declare_dedup_first_time },
    { "dedup-last", declare_dedup_last },
    { "dedup-last-time", declare_dedup_last_time },
    { "dedup-ever", declare_dedup_ever },
    { "dedup-ever-last", declare_dedup_ever_last },
    { "dedup-processing", declare_dedup_processing },
    { "group", declare_group },
    { "group-max", declare_group_max },
    { "group-retract", declare_group_retract },
    { "group-retract-kept", declare_group_retract_kept },
    { "group-folded", declare_group_folded },
    { "group-ttl", declare_group_ttl },
    { "group-ttl-processing", declare_group_ttl_processing },
    { "group-folded-ttl", declare_group_folded_ttl },
};

/* ---- random inputs against naive folds ---- */

#define KEYS 12u
#define LIVE_MAX 64u

static uint64_t seed_of(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Records that were given and not taken back, of any key. */
struct live {
    struct {
        uint32_t key;
        int64_t value;
    } records[LIVE_MAX];
    uint32_t count;
};

/* What the changes have come to, by key. */
struct fold {
    bool there[KEYS];
    int64_t count[KEYS], sum[KEYS];
    bool half; /* the last change was UPDATE_BEFORE of this key */
    uint32_t half_key;
};

static void fold_change(struct fold *f, const struct op_pair *row, uint8_t change)
{
    assert_true(row->text.len == 2 && row->text.data[0] == 'k');
    const uint32_t key = (uint32_t)(row->text.data[1] - 'a');
    assert_true(key < KEYS);
    const bool takes_back = change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
    assert_int_equal(f->half, change == LEAT_UPDATE_AFTER);
    if (f->half)
        assert_int_equal(f->half_key, key);
    if (takes_back) {
        assert_true(f->there[key]);
        assert_int_equal(f->count[key], row->left);
        assert_int_equal(f->sum[key], row->right);
    } else if (change == LEAT_INSERT) {
        assert_false(f->there[key]);
    }
    f->there[key] = !takes_back;
    f->count[key] = row->left;
    f->sum[key] = row->right;
    f->half = change == LEAT_UPDATE_BEFORE;
    f->half_key = key;
}

static void fold_outs(struct fold *f, struct harness *h)
{
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++)
            fold_change(f, leat_batch_at(h->outs[i].batch, row), leat__batch_change(h->outs[i].batch, row));
    assert_false(f->half);
}

static void add_random(struct leat_batch *batch, struct live *live, uint64_t *seed, int64_t ts)
{
    char key[3] = "k?";
    const bool takes_back = live->count == LIVE_MAX || (live->count && seed_of(seed) % 5 < 2);
    const uint32_t at = takes_back ? (uint32_t)(seed_of(seed) % live->count) : live->count++;
    if (!takes_back) {
        live->records[at].key = (uint32_t)(seed_of(seed) % KEYS);
        live->records[at].value = (int64_t)(seed_of(seed) % 3);
    }
    key[1] = (char)('a' + live->records[at].key);
    (void)op_event_add(batch, 1, NULL, ts, live->records[at].value, key);
    batch->event_us[batch->count - 1] = ts;
    leat__batch_set_change(batch, batch->count - 1, takes_back ? LEAT_DELETE : LEAT_INSERT);
    if (takes_back)
        live->records[at] = live->records[--live->count];
}

static struct harness *random_harness(leat_topology **t, uint64_t seed, uint64_t mini_rows)
{
    const uint32_t sizes[] = { 1, 2, 7, 64 };
    *t = leat_topology_new("random");
    leat_stream *in = harness_source(*t, "in", &op_event_type, "ts");
    in->node->outputs[0].changes = true;
    leat_stream *out = leat_group_aggregate(leat_group_by(in, "by-text", "text"), "totals",
        &(struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("left"), LEAT_SUM("value", "right") },
            .out = &op_pair_type,
            .mini_batch_rows = mini_rows });
    return harness_new(out,
        &(struct harness_opts){
            .batch_rows = sizes[seed % 4], .with_store = true, .budget_bytes = seed % 3 == 0 ? 1 : 0 });
}

static void run_random(uint64_t seed, uint64_t mini_rows)
{
    leat_topology *t;
    struct live live = { .count = 0 };
    struct fold fold = { .half = false };
    uint64_t state = seed;
    struct harness *h = random_harness(&t, seed, mini_rows);
    for (int64_t round = 0; round < 30; round++) {
        struct leat_batch *batch = harness_rows(h, 0);
        const uint32_t rows = 1 + (uint32_t)(seed_of(&state) % batch->capacity);
        for (uint32_t i = 0; i < rows; i++)
            add_random(batch, &live, &state, 10 * round + (int64_t)(seed_of(&state) % 9));
        assert_int_equal(harness_batch(h, 0, batch), 0);
        if (seed_of(&state) % 4 == 0)
            assert_int_equal(harness_watermark(h, 0, 10 * round + 9), 0);
        else if (seed_of(&state) % 4 == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
    }
    assert_int_equal(harness_end(h, 0), 0);
    fold_outs(&fold, h);
    int64_t count[KEYS] = { 0 }, sum[KEYS] = { 0 };
    for (uint32_t i = 0; i < live.count; i++) {
        count[live.records[i].key]++;
        sum[live.records[i].key] += live.records[i].value;
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        FAIL_UNLESS(fold.there[key] == (count[key] > 0), "seed %llu: key %u", (unsigned long long)seed, key);
        if (count[key])
            FAIL_UNLESS(fold.count[key] == count[key] && fold.sum[key] == sum[key], "seed %llu: key %u",
                (unsigned long long)seed, key);
    }
    harness_free(h);
    leat_topology_free(t);
}

static void test_group_aggregate__given_random_changes__when_folded__then_they_are_the_naive_result(
    void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        run_random(seed, 0);
        run_random(seed, 1 + seed % 40);
    }
}

/* ---- random records: the first n, duplicates ---- */

#define RECORDS 400u
#define TOP 3u

struct known {
    uint32_t key;
    int64_t value, ts;
    bool there; /* not taken back; kept */
};

static void add_known(struct leat_batch *batch, const struct known *known, int64_t id, bool takes_back)
{
    const char key[3] = { 'k', (char)('a' + known->key), '\0' };
    (void)op_event_add(batch, id, NULL, known->ts, known->value, key);
    leat__batch_set_change(batch, batch->count - 1, takes_back ? LEAT_DELETE : LEAT_INSERT);
}

/* Marks in `there` what the changes have come to, by id. */
static void fold_ids(const struct harness *h, bool there[RECORDS])
{
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; h->outs[i].port == 0 && row < h->outs[i].batch->count; row++) {
            const struct op_event *event = leat_batch_at(h->outs[i].batch, row);
            const uint8_t change = leat__batch_change(h->outs[i].batch, row);
            const bool back = change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
            assert_true(event->id >= 0 && event->id < (int64_t)RECORDS);
            assert_int_equal(there[event->id], back);
            there[event->id] = !back;
        }
}

/* Whether fewer than TOP of the records of its key come before it: by value, time, arrival. */
static bool is_top(const struct known *known, uint32_t count, uint32_t i)
{
    uint32_t before = 0;
    for (uint32_t k = 0; k < count; k++) {
        if (!known[k].there || known[k].key != known[i].key || k == i)
            continue;
        if (known[k].value != known[i].value)
            before += known[k].value < known[i].value;
        else if (known[k].ts != known[i].ts)
            before += known[k].ts < known[i].ts;
        else
            before += k < i;
    }
    return known[i].there && before < TOP;
}

static void run_random_top(uint64_t seed, bool changes, const char *by)
{
    struct known known[RECORDS];
    bool there[RECORDS] = { false };
    uint64_t state = seed;
    leat_topology *t = leat_topology_new("random");
    leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
    in->node->outputs[0].changes = changes;
    struct harness *h = harness_new(leat_top_n(leat_group_by(in, "by-text", "text"), "top",
                                        &(struct leat_top_n_opts){ .n = TOP, .by = by }),
        &(struct harness_opts){
            .batch_rows = seed % 2 ? 7 : 1, .with_store = true, .budget_bytes = seed % 3 == 0 ? 1 : 0 });
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct leat_batch *batch = harness_rows(h, 0);
        known[i] = (struct known){ (uint32_t)(seed_of(&state) % 4), (int64_t)(seed_of(&state) % 9),
            (int64_t)(seed_of(&state) % 5), true };
        add_known(batch, &known[i], i, false);
        assert_int_equal(harness_batch(h, 0, batch), 0);
        const uint32_t back = (uint32_t)(seed_of(&state) % (i + 1));
        if (changes && known[back].there && seed_of(&state) % 4) {
            batch = harness_rows(h, 0);
            add_known(batch, &known[back], back, true);
            known[back].there = false;
            assert_int_equal(harness_batch(h, 0, batch), 0);
        }
        if (seed_of(&state) % 64 == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
    }
    assert_int_equal(harness_end(h, 0), 0);
    fold_ids(h, there);
    for (uint32_t i = 0; i < RECORDS; i++)
        FAIL_UNLESS(
            there[i] == is_top(known, RECORDS, i), "seed %llu: record %u", (unsigned long long)seed, i);
    harness_free(h);
    leat_topology_free(t);
}

static void test_top_n__given_random_records__when_folded__then_they_are_the_naive_first(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        run_random_top(seed, false, "value");
        run_random_top(seed, true, "value");
        run_random_top(seed, false, "value * 2 - 7");
        run_random_top(seed, true, "cast(value as string)"); /* of one digit */
    }
}

/* What a duplicate is, by looking at all that was kept. */
static void keep_naively(
    struct known *known, uint32_t i, int64_t within_us, const struct leat_deduplicate_opts *o)
{
    const bool last = o->keep == LEAT_KEEP_LAST;
    bool wins = true;
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t k = 0; wins && k < i; k++) {
            const int64_t apart =
                known[k].ts > known[i].ts ? known[k].ts - known[i].ts : known[i].ts - known[k].ts;
            if (!known[k].there || known[k].key != known[i].key || apart > within_us)
                continue;
            if (pass == 1)
                known[k].there = false;
            else if (!o->by_event_time)
                wins = last;
            else
                wins = last ? known[i].ts >= known[k].ts : known[i].ts < known[k].ts;
        }
    known[i].there = wins;
}

static void run_random_duplicates(uint64_t seed, const struct leat_deduplicate_opts *opts)
{
    struct known known[RECORDS];
    bool there[RECORDS] = { false };
    uint64_t state = seed;
    leat_topology *t = leat_topology_new("random");
    leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
    struct harness *h = harness_new(leat_deduplicate(leat_group_by(in, "by-text", "text"), "once", opts),
        &(struct harness_opts){
            .batch_rows = seed % 2 ? 64 : 3, .with_store = true, .budget_bytes = seed % 3 == 0 ? 1 : 0 });
    for (uint32_t i = 0; i < RECORDS;) {
        struct leat_batch *batch = harness_rows(h, 0);
        const int64_t w = (int64_t)i - 30;
        while (i < RECORDS && batch->count < batch->capacity && seed_of(&state) % 16) {
            known[i] = (struct known){ (uint32_t)(seed_of(&state) % 4), 0,
                w + 1 + (int64_t)(seed_of(&state) % 60), true };
            add_known(batch, &known[i], i, false);
            keep_naively(known, i, opts->within_us, opts);
            i++;
        }
        if (batch->count == 0) {
            leat__batch_release(batch);
            continue;
        }
        assert_int_equal(harness_batch(h, 0, batch), 0);
        assert_int_equal(harness_watermark(h, 0, (int64_t)i - 30), 0);
        if (seed_of(&state) % 8 == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
    }
    assert_int_equal(harness_end(h, 0), 0);
    fold_ids(h, there);
    assert_int_equal(h->counters.late_records, 0);
    for (uint32_t i = 0; i < RECORDS; i++)
        FAIL_UNLESS(there[i] == known[i].there, "seed %llu: record %u", (unsigned long long)seed, i);
    harness_free(h);
    leat_topology_free(t);
}

static void test_deduplicate__given_random_records__when_folded__then_they_are_the_naive_ones(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 24; seed++)
        for (uint32_t way = 0; way < 4; way++)
            run_random_duplicates(seed,
                &(struct leat_deduplicate_opts){ .keep = way & 1 ? LEAT_KEEP_LAST : LEAT_KEEP_FIRST,
                    .by_event_time = way > 1,
                    .within_us = 1 + (int64_t)(seed % 12) });
}

/* ---- declarations ---- */

static void check_refused(leat_topology *t, const char *text)
{
    FAIL_UNLESS(leat_topology_errors_count(t) == 1, "%zu errors, the last is %s",
        leat_topology_errors_count(t),
        leat_topology_errors_count(t) ? leat_topology_error(t, leat_topology_errors_count(t) - 1)->message
                                      : "none");
    const char *message = leat_topology_error(t, 0)->message;
    FAIL_UNLESS(strstr(message, text) != NULL, "%s: expected %s", message, text);
    leat_topology_free(t);
}

static void refuse_group(struct leat_group_aggregate_opts opts, bool changes, bool has_time, const char *text)
{
    leat_topology *t = leat_topology_new("refused");
    leat_stream *in = harness_source(t, "in", &op_event_type, has_time ? "ts" : NULL);
    in->node->outputs[0].changes = changes;
    if (!opts.out)
        opts.out = &op_pair_type;
    (void)leat_group_aggregate(leat_group_by(in, "by-text", "text"), "totals", &opts);
    check_refused(t, text);
}

#define COUNT_SUM .aggs = { LEAT_COUNT("left"), LEAT_SUM("value", "right") }

static void test_group_aggregate__given_bad_options__when_declared__then_each_is_named(void **state)
{
    (void)state;
    refuse_group((struct leat_group_aggregate_opts){ COUNT_SUM, .ttl = { .us = -1 } }, false, true, "ttl.us");
    refuse_group((struct leat_group_aggregate_opts){ COUNT_SUM, .ttl = { .us = 1, .on_read = true } }, false,
        true, "ttl.on_read");
    refuse_group(
        (struct leat_group_aggregate_opts){ COUNT_SUM, .ttl = { .us = 1 } }, false, false, "no event time");
    refuse_group(
        (struct leat_group_aggregate_opts){ COUNT_SUM, .mini_batch_us = -1 }, false, true, "mini_batch_us");
    refuse_group((struct leat_group_aggregate_opts){ COUNT_SUM, .on_overflow = (enum leat_on_overflow)9 },
        false, true, "on_overflow");
    refuse_group(
        (struct leat_group_aggregate_opts){ .aggs = { LEAT_COUNT("left") } }, false, true, "\"right\"");
}

static void test_group_aggregate__given_what_can_not_be_taken_back__when_over_changes__then_it_is_named(
    void **state)
{
    (void)state;
    refuse_group(
        (struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("left"),
                { .kind = LEAT_AGGREGATE_APPROX_COUNT_DISTINCT, .of = "value", .as = "right" } } },
        true, true, "can not take records back");
}

static void test_deduplicate__given_bad_options__when_declared__then_each_is_named(void **state)
{
    static const struct {
        struct leat_deduplicate_opts opts;
        bool has_time, changes;
        const char *want;
    } rows[] = {
        { { .within_us = 0 }, true, false, "within_us: 0" },
        { { .within_us = -1 }, true, false, "within_us: -1" },
        { { .keep = (enum leat_keep)7, .within_us = 1 }, true, false, "keep: 7" },
        { { .within_us = 1, .time = (enum leat_time_kind)7 }, true, false, "time: 7" },
        { { .within_us = 1 }, false, false, "has no event time" },
        { { .within_us = LEAT_NEVER, .by_event_time = true }, false, false, "has no event time" },
        { { .within_us = 1, .time = LEAT_PROCESSING_TIME, .by_event_time = true }, true, false,
            "by_event_time" },
        { { .within_us = 1 }, true, true, "put leat_changelog before it" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("refused");
        leat_stream *in = harness_source(t, "in", &op_event_type, rows[i].has_time ? "ts" : NULL);
        in->node->outputs[0].changes = rows[i].changes;
        (void)leat_deduplicate(leat_group_by(in, "by-text", "text"), "once", &rows[i].opts);
        check_refused(t, rows[i].want);
    }
}

static void test_top_n__given_bad_options__when_declared__then_each_is_named(void **state)
{
    static const struct {
        struct leat_top_n_opts opts;
        const char *want;
    } rows[] = {
        { { .n = 0, .by = "value" }, "n: 0" },
        { { .n = 1001, .by = "value" }, "n: 1001" },
        { { .n = 1 }, "by: missing" },
        { { .n = 1, .by = "valu" }, "value" },
        { { .n = 1, .by = "valu + 1" }, "did you mean \"value\"" },
        { { .n = 1, .by = "null" }, "null" },
        { { .n = 1, .by = "value", .rank = "rang" }, "no field \"rang\"" },
        { { .n = 1, .by = "value", .rank = "text" }, "must be an int or a long" },
        { { .n = 1, .by = "value", .rank = "left", .out = &op_pair_type }, "nothing fills field \"right\"" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("refused");
        leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
        (void)leat_top_n(leat_group_by(in, "by-text", "text"), "top", &rows[i].opts);
        check_refused(t, rows[i].want);
    }
}

static void test_window_top_n__given_bad_options_of_windows_of_all_kinds__when_declared__then_each_is_named(
    void **state)
{
    static const struct {
        struct leat_window_opts windows;
        struct leat_top_n_opts opts;
        const char *want;
    } rows[] = {
        { { .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 }, { .n = 1, .by = "valu + 1" },
            "did you mean \"value\"" },
        { { .kind = LEAT_WINDOW_SESSION, .gap_us = 10 }, { .n = 1, .by = "valu" }, "value" },
        { { .kind = LEAT_WINDOW_SESSION, .gap_us = 10 }, { .n = 1 }, "by: missing" },
        { { .kind = LEAT_WINDOW_SESSION, .gap_us = 10 }, { .n = 1001, .by = "value" }, "n: 1001" },
        { { .kind = LEAT_WINDOW_SESSION, .gap_us = 10 },
            { .n = 1, .by = "value", .rank = "left", .out = &op_pair_type },
            "nothing fills field \"right\"" },
        { { .kind = LEAT_WINDOW_SESSION, .gap_us = 10, .gap = "value" }, { .n = 1, .by = "value" }, "gap" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("refused");
        leat_stream *in = harness_source(t, "in", &op_event_type, "ts");
        (void)leat_window_top_n(
            leat_window(leat_group_by(in, "by-text", "text"), "windows", &rows[i].windows), "top",
            &rows[i].opts);
        check_refused(t, rows[i].want);
    }
}

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    static const char *const folders[] = { "group_aggregate", "deduplicate", "top_n" };
    struct CMUnitTest tests[64] = {
        cmocka_unit_test(
            test_group_aggregate__given_random_changes__when_folded__then_they_are_the_naive_result),
        cmocka_unit_test(test_deduplicate__given_bad_options__when_declared__then_each_is_named),
        cmocka_unit_test(test_top_n__given_bad_options__when_declared__then_each_is_named),
        cmocka_unit_test(
            test_window_top_n__given_bad_options_of_windows_of_all_kinds__when_declared__then_each_is_named),
        cmocka_unit_test(test_top_n__given_random_records__when_folded__then_they_are_the_naive_first),
        cmocka_unit_test(test_deduplicate__given_random_records__when_folded__then_they_are_the_naive_ones),
        cmocka_unit_test(test_group_aggregate__given_bad_options__when_declared__then_each_is_named),
        cmocka_unit_test(
            test_group_aggregate__given_what_can_not_be_taken_back__when_over_changes__then_it_is_named),
    };
    size_t count = 0;
    glob_t found = { 0 };
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof pattern, "tests/operators/%s/*.case", folders[i]);
        if (glob(pattern, i ? GLOB_APPEND : 0, NULL, &found) != 0) {
            print_error("%s: there are none; run me at the top of the project\n", pattern);
            return 1;
        }
    }
    while (tests[count].test_func)
        count++;
    for (size_t i = 0; i < found.gl_pathc && count < COUNT_OF(tests); i++)
        tests[count++] = (struct CMUnitTest){
            .name = found.gl_pathv[i], .test_func = run_file, .initial_state = found.gl_pathv[i]
        };
    const int failed = _cmocka_run_group_tests("updates", tests, count, NULL, NULL);
    globfree(&found);
    return failed;
}
