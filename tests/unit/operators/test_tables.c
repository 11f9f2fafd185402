/* tests/unit/operators/test_tables.c -- tables and joins with them: runs their case files, and random inputs against
 * naive models. */
#include "tests/support/cases.h"
#include "tests/support/golden.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <leat/table.h>
#include <stdio.h>

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

static const struct case_operator operators[] = {
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

static void run_file(void **state)
{
    case_run_file(*state, operators, COUNT_OF(operators));
}

int main(void)
{
    static const char *const folders[] = { "upsert", "join_tables" };
    struct CMUnitTest tests[64] = {
        cmocka_unit_test(
            test_join_tables__given_random_changes__when_folded__then_they_are_the_join_of_the_folds),
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
