/* tests/unit/operators/test_tables.c -- tables and joins with them: runs their case files, and random inputs against
 * naive models. */
#include "tests/support/cases.h"
#include "tests/support/golden.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/deduplicate.h>
#include <leat/table.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- upsert ---- */

static leat_stream *declare_upsert(const struct case_setup *setup)
{
    return leat_upsert(
        setup->inputs[0], "rows", &(struct leat_upsert_opts){ .key = "key", .delete_where = "value < 0" });
}
static leat_stream *declare_upsert_value(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows", &(struct leat_upsert_opts){ .key = "id", .value = "key" });
}
static leat_stream *declare_upsert_id(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows", &(struct leat_upsert_opts){ .key = "id" });
}
static leat_stream *declare_upsert_time(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = "key", .delete_where = "value < 0", .by_event_time = true });
}
static leat_stream *declare_upsert_ttl(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = "key", .delete_where = "value < 0", .ttl = { .us = 16 } });
}
static leat_stream *declare_upsert_clock(const struct case_setup *setup)
{
    return leat_upsert(setup->inputs[0], "rows",
        &(struct leat_upsert_opts){ .key = "key", .ttl = { .us = 16, .time = LEAT_PROCESSING_TIME } });
}

/* ---- joins of two tables ---- */

static leat_stream *join_with(const struct case_setup *setup, struct leat_join_tables_opts opts)
{
    opts.left_key = "key";
    opts.out = case_type(setup, "both");
    opts.fields[0] = (struct leat_projection){ "left.id", "left" };
    opts.fields[1] = (struct leat_projection){ "right.id", "right" };
    opts.fields[2] = (struct leat_projection){ "right.text", "text" };
    return leat_on_error(leat_join_tables(setup->inputs[0], setup->inputs[1], "both", &opts), LEAT_SKIP);
}
static leat_stream *declare_tables_inner(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_tables_opts){ .kind = LEAT_JOIN_INNER });
}
static leat_stream *declare_tables_left(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_tables_opts){ .kind = LEAT_JOIN_LEFT });
}
static leat_stream *declare_tables_right(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_tables_opts){ .kind = LEAT_JOIN_RIGHT });
}
static leat_stream *declare_tables_full(const struct case_setup *setup)
{
    return join_with(setup, (struct leat_join_tables_opts){ .kind = LEAT_JOIN_FULL });
}
static leat_stream *declare_tables_full_where(const struct case_setup *setup)
{
    return join_with(setup,
        (struct leat_join_tables_opts){ .kind = LEAT_JOIN_FULL, .where = "left.value / right.value >= 2" });
}
static leat_stream *declare_tables_ttl(const struct case_setup *setup)
{
    return join_with(setup,
        (struct leat_join_tables_opts){
            .kind = LEAT_JOIN_LEFT, .left_ttl = { .us = 32 }, .right_ttl = { .us = 16 } });
}
static leat_stream *declare_tables_clock(const struct case_setup *setup)
{
    return join_with(setup,
        (struct leat_join_tables_opts){
            .kind = LEAT_JOIN_INNER, .right_ttl = { .us = 16, .time = LEAT_PROCESSING_TIME } });
}

/* ---- joins of a stream with a table ---- */

static leat_stream *lookup_with(const struct case_setup *setup, struct leat_table_join_opts opts)
{
    opts.left_key = "key";
    opts.out = case_type(setup, "both");
    opts.fields[0] = (struct leat_projection){ "left.id", "left" };
    opts.fields[1] = (struct leat_projection){ "right.id", "right" };
    opts.fields[2] = (struct leat_projection){ "right.text", "text" };
    leat_stream *out =
        leat_on_error(leat_table_join(setup->inputs[0], setup->inputs[1], "lookup", &opts), LEAT_SKIP);
    (void)leat_late_left(out);
    (void)leat_late_right(out);
    return out;
}
static leat_stream *declare_lookup_inner(const struct case_setup *setup)
{
    return lookup_with(setup, (struct leat_table_join_opts){ .kind = LEAT_JOIN_INNER });
}
static leat_stream *declare_lookup_left(const struct case_setup *setup)
{
    return lookup_with(setup, (struct leat_table_join_opts){ .kind = LEAT_JOIN_LEFT, .retention_us = 10 });
}
static leat_stream *declare_lookup_where(const struct case_setup *setup)
{
    return lookup_with(setup,
        (struct leat_table_join_opts){ .kind = LEAT_JOIN_LEFT, .where = "left.value / right.value >= 2" });
}
static leat_stream *declare_lookup_arrival(const struct case_setup *setup)
{
    return lookup_with(
        setup, (struct leat_table_join_opts){ .kind = LEAT_JOIN_LEFT, .as_of = LEAT_AS_OF_ARRIVAL });
}
static leat_stream *declare_lookup_left_everywhere(const struct case_setup *setup)
{
    return lookup_with(setup,
        (struct leat_table_join_opts){ .kind = LEAT_JOIN_LEFT, .retention_us = 10, .broadcast = true });
}
static leat_stream *declare_lookup_arrival_everywhere(const struct case_setup *setup)
{
    return lookup_with(setup,
        (struct leat_table_join_opts){
            .kind = LEAT_JOIN_LEFT, .as_of = LEAT_AS_OF_ARRIVAL, .broadcast = true });
}

static const struct case_operator operators[] = {
    { "lookup-inner", declare_lookup_inner },
    { "lookup-left", declare_lookup_left },
    { "lookup-where", declare_lookup_where },
    { "lookup-arrival", declare_lookup_arrival },
    { "lookup-left-everywhere", declare_lookup_left_everywhere },
    { "lookup-arrival-everywhere", declare_lookup_arrival_everywhere },
    { "tables-inner", declare_tables_inner },
    { "tables-left", declare_tables_left },
    { "tables-right", declare_tables_right },
    { "tables-full", declare_tables_full },
    { "tables-full-where", declare_tables_full_where },
    { "tables-ttl", declare_tables_ttl },
    { "tables-clock", declare_tables_clock },
    { "upsert", declare_upsert },
    { "upsert-value", declare_upsert_value },
    { "upsert-id", declare_upsert_id },
    { "upsert-time", declare_upsert_time },
    { "upsert-ttl", declare_upsert_ttl },
    { "upsert-clock", declare_upsert_clock },
};

/* ---- joins of tables: random changes against a naive join ---- */

/* -1 where a side is missing. */
static void both(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_pair *out)
{
    (void)ctx;
    out->left = left ? left->id : -1;
    out->right = right ? right->id : -1;
}
LEAT_DEFINE_JOIN(both, op_event, op_event, op_pair);

#define IDS 12 /* equal ids are equal records */
#define SIDES 2

struct world {
    struct leat_join_tables_opts opts;
    bool changes[SIDES];
    uint64_t random;
    struct harness *h;
    int64_t count[SIDES][IDS], rows[SIDES]; /* what the sides have */
    int64_t given[IDS + 1][IDS + 1]; /* what the changes have come to, of left and right id + 1 */
};

static uint32_t below(struct world *w, uint32_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->random >> 33) % n;
}

static const char *key_of(int64_t id)
{
    static const char *const keys[] = { "hot", "hot", "a key", NULL };
    return keys[id % 4];
}

static bool is_pair(const struct world *w, int64_t left, int64_t right)
{
    if (!key_of(left) || !key_of(right) || strcmp(key_of(left), key_of(right)) != 0)
        return false;
    return !w->opts.where || left % 5 != right % 3;
}

static bool has_partner(const struct world *w, uint32_t side, int64_t id)
{
    for (int64_t other = 0; other < IDS; other++)
        if (w->count[!side][other] > 0 && is_pair(w, side == 0 ? id : other, side == 0 ? other : id))
            return true;
    return false;
}

static int64_t expected(const struct world *w, int64_t left, int64_t right)
{
    const enum leat_join_kind kind = w->opts.kind;
    if (left >= 0 && right >= 0)
        return is_pair(w, left, right) ? w->count[0][left] * w->count[1][right] : 0;
    if (left >= 0)
        return (kind == LEAT_JOIN_LEFT || kind == LEAT_JOIN_FULL) && !has_partner(w, 0, left)
            ? w->count[0][left]
            : 0;
    if (right >= 0)
        return (kind == LEAT_JOIN_RIGHT || kind == LEAT_JOIN_FULL) && !has_partner(w, 1, right)
            ? w->count[1][right]
            : 0;
    return 0;
}

static void fold_outs(struct world *w)
{
    for (uint32_t i = 0; i < w->h->outs_count; i++) {
        const struct leat_batch *batch = w->h->outs[i].batch;
        for (uint32_t row = 0; row < batch->count; row++) {
            const struct op_pair *made = leat_batch_at(batch, row);
            const uint8_t change = leat__batch_change(batch, row);
            const bool takes_back = change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
            int64_t *given = &w->given[made->left + 1][made->right + 1];
            *given += takes_back ? -1 : 1;
            FAIL_UNLESS(
                *given >= 0, "(%d, %d) is taken back and was not given", (int)made->left, (int)made->right);
            FAIL_UNLESS(change == LEAT_INSERT || w->h->node->outputs[0].changes, "a change");
        }
    }
    harness_forget_outs(w->h);
}

static void check_world(struct world *w, uint64_t seed, uint32_t step)
{
    fold_outs(w);
    for (int64_t left = -1; left < IDS; left++)
        for (int64_t right = -1; right < IDS; right++)
            FAIL_UNLESS(w->given[left + 1][right + 1] == expected(w, left, right),
                "seed %llu, step %u: (%d, %d) is given %d times, not %d", (unsigned long long)seed, step,
                (int)left, (int)right, (int)w->given[left + 1][right + 1], (int)expected(w, left, right));
}

static void add_change(struct world *w, uint32_t side, struct leat_batch *batch)
{
    int64_t id = below(w, IDS);
    const bool wants_back = w->changes[side] && below(w, w->rows[side] > 60 ? 3 : 5) < 2;
    for (uint32_t i = 0; wants_back && w->count[side][id] == 0 && i < IDS; i++)
        id = (id + 1) % IDS;
    const bool takes_back = wants_back && w->count[side][id] > 0;
    (void)op_event_add(batch, id, key_of(id), 0, id % 3, "text");
    batch->event_us[batch->count - 1] = 1;
    leat__batch_set_change(batch, batch->count - 1,
        takes_back                                 ? (below(w, 2) ? LEAT_DELETE : LEAT_UPDATE_BEFORE)
            : w->changes[side] && below(w, 3) == 0 ? LEAT_UPDATE_AFTER
                                                   : LEAT_INSERT);
    w->count[side][id] += takes_back ? -1 : 1;
    w->rows[side] += takes_back ? -1 : 1;
}

static void run_world(
    uint64_t seed, uint32_t batch_rows, enum leat_join_kind kind, const char *where, bool plain)
{
    struct world w = { .random = seed * 77 + kind, .changes = { !plain, !plain || seed % 2 } };
    leat_topology *t = leat_topology_new("random");
    leat_stream *in[SIDES];
    for (uint32_t side = 0; side < SIDES; side++) {
        in[side] = harness_source(t, side ? "right" : "left", &op_event_type, "ts");
        in[side]->node->outputs[0].changes = w.changes[side];
    }
    w.opts = (struct leat_join_tables_opts){
        .left_key = "key", .kind = kind, .where = where, .merge = &both_join
    };
    w.h = harness_new(leat_join_tables(in[0], in[1], "both", &w.opts),
        &(struct harness_opts){
            .batch_rows = batch_rows, .with_store = seed % 2, .budget_bytes = seed % 4 == 1 ? 1 : 0 });
    for (uint32_t step = 0, rows = 0; rows < 120; step++) {
        const uint32_t side = below(&w, SIDES);
        struct leat_batch *batch = harness_rows(w.h, side);
        const uint32_t count = 1 + below(&w, batch->capacity < 40 ? batch->capacity : 40);
        for (uint32_t i = 0; i < count; i++)
            add_change(&w, side, batch);
        assert_int_equal(harness_batch(w.h, side, batch), 0);
        check_world(&w, seed, step);
        if (seed % 2 && below(&w, 4) == 0)
            assert_int_equal(harness_crash(w.h, NULL), 0);
        rows += count;
    }
    harness_free(w.h);
    leat_topology_free(t);
}

static void test_join_tables__given_random_changes__when_folded__then_they_are_the_join_of_the_folds(
    void **state)
{
    static const uint32_t sizes[] = { 1, 7, 1024 };
    (void)state;
    for (uint64_t seed = 0; seed < 24; seed++)
        for (enum leat_join_kind kind = LEAT_JOIN_INNER; kind <= LEAT_JOIN_FULL; kind++)
            for (uint32_t where = 0; where < 2; where++)
                run_world(
                    seed, sizes[seed % 3], kind, where ? "left.id % 5 <> right.id % 3" : NULL, seed % 6 == 5);
}

/* ---- joins of a stream with a table: random rows against a naive look into the past ---- */

#define EVENTS_MAX 600u

/* What has come of the table, in order of arrival, and from when on it counts. */
struct told {
    int64_t id, us;
    bool takes_back, late;
};

struct past {
    struct leat_table_join_opts opts;
    bool changes;
    struct world w; /* its random numbers, and what the table has */
    struct told told[EVENTS_MAX];
    uint32_t told_count;
    uint64_t late; /* that are no news */
    int64_t table_us, stream_us; /* watermarks */
    int64_t unit_us; /* times are multiples of it, more or less: versions are forgotten by the second */
    struct {
        int64_t id, us, want, got;
        bool given;
    } asked[EVENTS_MAX];
    uint32_t asked_count;
};

/* The last to come of the rows with this key that are in the table at that time, -1: none. */
static int64_t said(const struct past *p, const char *key, int64_t us)
{
    const struct told *in[EVENTS_MAX];
    uint32_t count = 0;
    int64_t best = -1, best_us = 0;
    for (uint32_t i = 0; i < p->told_count; i++) {
        const struct told *told = &p->told[i];
        if (!key || !key_of(told->id) || strcmp(key_of(told->id), key) != 0 || told->us > us)
            continue;
        if (!told->takes_back)
            in[count++] = told;
        for (uint32_t k = count; told->takes_back && k-- > 0;)
            if (in[k]->id == told->id) {
                memmove(&in[k], &in[k + 1], (--count - k) * sizeof in[0]);
                break;
            }
    }
    for (uint32_t i = 0; i < count; i++)
        if (best < 0 || in[i]->us >= best_us) {
            best = in[i]->id;
            best_us = in[i]->us;
        }
    return best;
}

static void tell(struct past *p)
{
    struct leat_batch *batch = harness_rows(p->w.h, 1);
    int64_t us = p->table_us + 1;
    for (uint32_t i = 0; i < 1 + below(&p->w, 12) && batch->count < batch->capacity; i++) {
        int64_t id = below(&p->w, IDS);
        /* Changes come in order, so that what is taken back was given before. */
        us = p->changes ? us + below(&p->w, 5) * p->unit_us : p->table_us + 1 + below(&p->w, 30) * p->unit_us;
        for (uint32_t k = 0; k < p->told_count && p->changes; k++)
            us = p->told[k].us > us ? p->told[k].us : us;
        const bool takes_back = p->changes && p->w.count[1][id] > 0 && below(&p->w, 3) > 0;
        (void)op_event_add(batch, id, key_of(id), 0, 0, "text");
        batch->event_us[batch->count - 1] = us;
        leat__batch_set_change(batch, batch->count - 1, takes_back ? LEAT_DELETE : LEAT_INSERT);
        p->w.count[1][id] += takes_back ? -1 : 1;
        assert_true(p->told_count < EVENTS_MAX);
        p->told[p->told_count++] = (struct told){ id, us, takes_back, false };
    }
    assert_int_equal(harness_batch(p->w.h, 1, batch), 0);
}

/* Whether one of that key is known that was on time and is later; and whether one has come late. */
static bool has_later(const struct past *p, const char *key, int64_t us, bool *any_late)
{
    bool found = false;
    *any_late = false;
    for (uint32_t i = 0; i < p->told_count; i++) {
        const struct told *told = &p->told[i];
        if (!key || !key_of(told->id) || strcmp(key_of(told->id), key) != 0)
            continue;
        found = found || (!told->late && told->us > us);
        *any_late = *any_late || told->late;
    }
    return found;
}

/* Rows at or behind the watermark: they count from there on, and in a plain table only where they are news. */
static void tell_late(struct past *p)
{
    int64_t latest_us = p->table_us;
    for (uint32_t k = 0; k < p->told_count && p->changes;
         k++) /* in changes, nothing is ahead of what comes */
        latest_us = p->told[k].us > latest_us ? p->told[k].us : latest_us;
    if (latest_us > p->table_us)
        assert_int_equal(harness_watermark(p->w.h, 1, p->table_us = latest_us), 0);
    struct leat_batch *batch = harness_rows(p->w.h, 1);
    batch->late = 1;
    batch->late_wm_us = p->table_us;
    for (uint32_t i = 0; i < 1 + below(&p->w, 6) && batch->count < batch->capacity; i++) {
        const int64_t id = below(&p->w, IDS), us = p->table_us - below(&p->w, 30) * p->unit_us;
        const bool takes_back = p->changes && p->w.count[1][id] > 0 && below(&p->w, 3) > 0;
        bool any_late;
        const bool outdated = !p->changes && has_later(p, key_of(id), us, &any_late);
        if (outdated && any_late)
            continue; /* the later one may have been replaced, and forgotten */
        (void)op_event_add(batch, id, key_of(id), 0, 0, "text");
        batch->event_us[batch->count - 1] = us;
        leat__batch_set_change(batch, batch->count - 1, takes_back ? LEAT_DELETE : LEAT_INSERT);
        p->w.count[1][id] += takes_back ? -1 : 1;
        p->late += outdated;
        assert_true(p->told_count < EVENTS_MAX);
        if (!outdated)
            p->told[p->told_count++] = (struct told){ id, p->table_us + 1, takes_back, true };
    }
    assert_int_equal(harness_batch(p->w.h, 1, batch), 0);
}

static void ask(struct past *p)
{
    struct leat_batch *batch = harness_rows(p->w.h, 0);
    for (uint32_t i = 0; i < 1 + below(&p->w, 12) && batch->count < batch->capacity; i++) {
        const int64_t us = p->stream_us + 1 + below(&p->w, 40) * p->unit_us, id = p->asked_count;
        assert_true(p->asked_count < EVENTS_MAX);
        (void)op_event_add(batch, id, key_of(id), 0, 0, "text");
        batch->event_us[batch->count - 1] = us;
        p->asked[p->asked_count++].us = us;
    }
    assert_int_equal(harness_batch(p->w.h, 0, batch), 0);
}

static void check_past(struct past *p, uint64_t seed)
{
    const struct harness *h = p->w.h;
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++) {
            const struct op_pair *made = leat_batch_at(h->outs[i].batch, row);
            FAIL_UNLESS(!p->asked[made->left].given, "seed %llu: twice", (unsigned long long)seed);
            p->asked[made->left].given = true;
            p->asked[made->left].got = made->right;
            assert_int_equal(h->outs[i].batch->event_us[row], p->asked[made->left].us);
        }
    for (int64_t id = 0; id < p->asked_count; id++) {
        const int64_t want = said(p, key_of(id), p->asked[id].us);
        const bool is_given = p->opts.kind == LEAT_JOIN_LEFT || want >= 0;
        FAIL_UNLESS(p->asked[id].given == is_given, "seed %llu: %d at %d is %sgiven",
            (unsigned long long)seed, (int)id, (int)p->asked[id].us, is_given ? "not " : "");
        if (is_given)
            FAIL_UNLESS(p->asked[id].got == want, "seed %llu: %d at %d, key %s: %d, want %d",
                (unsigned long long)seed, (int)id, (int)p->asked[id].us, key_of(id) ? key_of(id) : "null",
                (int)p->asked[id].got, (int)want);
    }
}

static void run_past(uint64_t seed)
{
    static const uint32_t sizes[] = { 1, 7, 1024 };
    struct past *p = calloc(1, sizeof *p);
    assert_non_null(p);
    leat_topology *t = leat_topology_new("random");
    leat_stream *stream = harness_source(t, "stream", &op_event_type, "ts");
    leat_stream *table = harness_source(t, "table", &op_event_type, "ts");
    p->changes = table->node->outputs[0].changes = seed % 2;
    p->w.random = seed;
    p->unit_us = seed / 32 % 2 ? 1 : 100003;
    p->opts = (struct leat_table_join_opts){ .left_key = "key",
        .kind = seed / 2 % 2 ? LEAT_JOIN_LEFT : LEAT_JOIN_INNER,
        .retention_us = seed / 4 % 2 ? 25 * p->unit_us : 0,
        .broadcast = seed / 8 % 2,
        .merge = &both_join };
    p->w.h = harness_new(leat_table_join(stream, table, "lookup", &p->opts),
        &(struct harness_opts){
            .batch_rows = sizes[seed % 3], .with_store = true, .budget_bytes = seed % 5 == 0 ? 1 : 0 });
    for (uint32_t step = 0; step < 40; step++) {
        const uint32_t what = below(&p->w, 11);
        if (what < 4)
            tell(p);
        else if (what < 7)
            ask(p);
        else if (what == 10)
            tell_late(p);
        else if (what < 8)
            assert_int_equal(harness_watermark(p->w.h, 1, p->table_us += below(&p->w, 60) * p->unit_us), 0);
        else if (what < 9)
            assert_int_equal(harness_watermark(p->w.h, 0, p->stream_us += below(&p->w, 60) * p->unit_us), 0);
        else
            assert_int_equal(harness_crash(p->w.h, NULL), 0);
    }
    assert_int_equal(harness_end(p->w.h, seed / 16 % 2), 0);
    assert_int_equal(harness_end(p->w.h, !(seed / 16 % 2)), 0);
    check_past(p, seed);
    assert_int_equal(p->w.h->counters.late_records, p->late);
    harness_free(p->w.h);
    leat_topology_free(t);
    free(p);
}

static void test_table_join__given_random_rows__when_they_are_joined__then_as_a_look_into_the_past_says(
    void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++)
        run_past(seed);
}

static void test_table_join__given_a_row_that_is_replaced_for_ever__when_time_passes__then_state_stays_small(
    void **state)
{
    (void)state;
    for (uint32_t changes = 0; changes < 2; changes++) {
        leat_topology *t = leat_topology_new("replaced");
        leat_stream *stream = harness_source(t, "stream", &op_event_type, "ts");
        leat_stream *table = harness_source(t, "table", &op_event_type, "ts");
        table->node->outputs[0].changes = changes;
        struct harness *h =
            harness_new(leat_table_join(stream, table, "lookup",
                            &(struct leat_table_join_opts){
                                .left_key = "key", .merge = &both_join, .retention_us = LEAT_SECONDS(2) }),
                &(struct harness_opts){ .with_store = true, .discard = true });
        for (int64_t us = 0, id = 0; id < 60000; us += LEAT_SECONDS(1)) {
            struct leat_batch *batch = harness_rows(h, 1);
            for (uint32_t i = 0; i < 500; i++, id++) {
                (void)op_event_add(batch, id / 2, "key", 0, 0, "a text of some length, for the arena");
                batch->event_us[i] = us + i;
                leat__batch_set_change(batch, i, changes && id % 2 ? LEAT_DELETE : LEAT_INSERT);
            }
            assert_int_equal(harness_batch(h, 1, batch), 0);
            assert_int_equal(harness_watermark(h, 0, us), 0);
            assert_int_equal(harness_watermark(h, 1, us + 1000), 0);
            FAIL_UNLESS(leat__state_bytes(h->state) < 2000000, "%llu bytes after %lld rows",
                (unsigned long long)leat__state_bytes(h->state), (long long)id);
        }
        harness_free(h);
        leat_topology_free(t);
    }
}

/* ---- declarations ---- */

static void check_refused(leat_topology *t, const char *want)
{
    bool found = false;
    FAIL_UNLESS(leat_check(t) < 0, "%s: nothing was refused", want);
    for (uint32_t i = 0; i < leat_topology_errors_count(t); i++)
        found = found || strstr(leat_topology_error(t, i)->message, want);
    FAIL_UNLESS(found, "\"%s\" is not said: %s", want, leat_topology_error(t, 0)->message);
    leat_topology_free(t);
}

static void test_upsert__given_bad_options__when_declared__then_each_is_named(void **state)
{
    static const struct {
        struct leat_upsert_opts opts;
        bool has_time;
        const char *want;
    } rows[] = {
        { { .key = NULL }, true, "key: missing" },
        { { .key = "idd" }, true, "did you mean \"id\"" },
        { { .key = "id", .delete_where = "value + 1" }, true, "is no condition" },
        { { .key = "id", .delete_where = "value < 0", .value = "value" }, true,
            "value: given together with delete_where" },
        { { .key = "id", .value = "value" }, true, "value is never null" },
        { { .key = "id", .value = "valu" }, true, "value: " },
        { { .key = "id", .by_event_time = true }, false, "no event time" },
        { { .key = "id", .ttl = { .us = 1 } }, false, "no event time" },
        { { .key = "id", .ttl = { .us = -1 } }, true, "ttl.us: -1" },
        { { .key = "id", .ttl = { .us = 1, .on_read = true } }, true, "ttl.on_read" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("refused");
        leat_stream *in = harness_source(t, "in", &op_event_type, rows[i].has_time ? "ts" : NULL);
        (void)leat_upsert(in, "rows", &rows[i].opts);
        check_refused(t, rows[i].want);
    }
}

static void test_joins__given_bad_options__when_declared__then_each_is_named(void **state)
{
    static const struct {
        struct leat_table_join_opts lookup;
        struct leat_join_tables_opts tables;
        bool has_time, stream_changes;
        const char *want;
    } rows[] = {
        { { .left_key = "key", .merge = &both_join, .kind = LEAT_JOIN_FULL }, { 0 }, true, false,
            "LEAT_JOIN_FULL is not for this join" },
        { { .left_key = "key", .merge = &both_join, .as_of = (enum leat_as_of)7 }, { 0 }, true, false,
            "as_of: 7 is none of" },
        { { .left_key = "key", .merge = &both_join, .retention_us = -1 }, { 0 }, true, false, "is negative" },
        { { .left_key = "key", .merge = &both_join, .as_of = LEAT_AS_OF_ARRIVAL, .retention_us = 1 }, { 0 },
            true, false, "there are no versions to keep" },
        { { .left_key = "key", .merge = &both_join }, { 0 }, false, false, "input 0 has no event time" },
        { { .left_key = "key", .merge = &both_join }, { 0 }, true, true, "input 0 is a stream of changes" },
        { { .left_key = NULL, .merge = &both_join }, { 0 }, true, false, "left_key: missing" },
        { { 0 }, { .left_key = "key", .merge = &both_join, .left_ttl = { .us = -1 } }, true, false,
            "left_ttl: -1" },
        { { 0 }, { .left_key = "key", .merge = &both_join, .right_ttl = { .us = 1, .on_read = true } }, true,
            false, "right_ttl: a row that finds partners" },
        { { 0 }, { .left_key = "key", .merge = &both_join, .right_ttl = { .us = 1 } }, false, false,
            "no event time" },
        { { 0 }, { .left_key = "key", .merge = &both_join, .kind = (enum leat_join_kind)9 }, true, false,
            "9 is no kind of join" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("refused");
        leat_stream *left = harness_source(t, "left", &op_event_type, rows[i].has_time ? "ts" : NULL);
        leat_stream *right = harness_source(t, "right", &op_event_type, rows[i].has_time ? "ts" : NULL);
        left->node->outputs[0].changes = rows[i].stream_changes;
        if (rows[i].tables.merge)
            (void)leat_join_tables(left, right, "both", &rows[i].tables);
        else
            (void)leat_table_join(left, right, "both", &rows[i].lookup);
        check_refused(t, rows[i].want);
    }
}

/* Which outputs carry changes, and what is said to those who can not take them. */
static void test_outputs__given_each_kind__when_declared__then_changes_are_refused_by_who_can_not_take_them(
    void **state)
{
    (void)state;
    for (uint32_t which = 0; which < 5; which++) {
        leat_topology *t = leat_topology_new("changes");
        leat_stream *left = harness_source(t, "left", &op_event_type, "ts");
        leat_stream *right = harness_source(t, "right", &op_event_type, "ts");
        const struct leat_join_tables_opts inner = { .left_key = "key", .merge = &both_join };
        const struct leat_join_tables_opts outer = {
            .left_key = "key", .merge = &both_join, .kind = LEAT_JOIN_LEFT
        };
        const struct leat_table_join_opts lookup = { .left_key = "key", .merge = &both_join };
        leat_stream *rows = leat_upsert(right, "rows", &(struct leat_upsert_opts){ .key = "id" });
        leat_stream *out = which == 0 ? rows
            : which == 1              ? leat_table_join(left, rows, "lookup", &lookup)
            : which == 2              ? leat_join_tables(left, right, "both", &inner)
            : which == 3              ? leat_join_tables(left, right, "both", &outer)
                                      : leat_join_tables(left, rows, "both", &inner);
        const bool changes = which == 0 || which >= 3;
        assert_int_equal(leat_stream_changes(out), changes);
        (void)leat_deduplicate(leat_group_by(out, "by", which == 0 ? "key" : "text"), "once",
            &(struct leat_deduplicate_opts){ .within_us = 1 });
        if (changes)
            check_refused(t,
                which == 0       ? "is a stream of changes, made by the upsert \"rows\""
                    : which == 3 ? "is a stream of changes, made by the table-table join \"both\""
                                 : "is a stream of changes, made by the upsert \"rows\"");
        else
            leat_topology_free(t);
    }
}

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    static const char *const folders[] = { "upsert", "join_tables", "table_join" };
    struct CMUnitTest tests[64] = {
        cmocka_unit_test(
            test_join_tables__given_random_changes__when_folded__then_they_are_the_join_of_the_folds),
        cmocka_unit_test(
            test_table_join__given_random_rows__when_they_are_joined__then_as_a_look_into_the_past_says),
        cmocka_unit_test(
            test_table_join__given_a_row_that_is_replaced_for_ever__when_time_passes__then_state_stays_small),
        cmocka_unit_test(test_joins__given_bad_options__when_declared__then_each_is_named),
        cmocka_unit_test(
            test_outputs__given_each_kind__when_declared__then_changes_are_refused_by_who_can_not_take_them),
        cmocka_unit_test(test_upsert__given_bad_options__when_declared__then_each_is_named),
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
    const int failed = _cmocka_run_group_tests("tables", tests, count, NULL, NULL);
    globfree(&found);
    return failed;
}
