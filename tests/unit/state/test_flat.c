/* tests/unit/state/test_flat.c -- large namespaces that are collected as a whole: what is written, added and removed while
 * the copying is under way, with slots that move across the place that it has come to. Whatever happens, what comes back
 * is what was there at the barrier, and the next checkpoint has what was there then. */
#include "tests/support/unit.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "state/state_private.h"
#include <stdio.h>
#include <stdlib.h>

#define KEYS 700u
#define BASE_KEYS 170u /* those that are there all the time; the others come once, and mostly go at once */
#define ROUNDS 100u
#define STEPS_MAX 100000u
#define ADDITIONS_MAX 40u

static char root[64];
static uint32_t dirs;
static struct leat_arena arena;
static uint64_t seed = 1;

static uint64_t below(uint64_t n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 33) % n;
}

static const char *new_dir(char path[128])
{
    snprintf(path, 128, "%s/%u", root, dirs++);
    return path;
}

static int set_up(void **unused)
{
    (void)unused;
    snprintf(root, sizeof root, "/tmp/leat-flat-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **unused)
{
    char command[128];
    (void)unused;
    leat__arena_release(&arena);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

/* What is there; 0: nothing. */
struct model {
    int64_t values[KEYS];
};

static const struct leat_table_opts table_opts = { .node = "n",
    .name = "t",
    .kind = LEAT_TABLE_FIXED,
    .key_size = 8,
    .value_size = 8,
    .key_text = "id long",
    .format = "v1" };

static struct leat_state *open_state(
    const char *from, const struct leat_table_info *infos, uint32_t count, struct leat_table **table)
{
    struct leat_state *state = NULL;
    struct leat_error err = { 0 };
    char dir[128];
    const struct leat_state_opts opts = { .key_groups = 16,
        .env = leat__env_posix(),
        .store_class = &leat__store_memory,
        .dir = new_dir(dir),
        .from = from,
        .tables = infos,
        .tables_count = count };
    int code = leat__state_new(&opts, &state, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    state->whole_keys_min = 1;
    state->step_work = 1;
    code = leat__table_open(state, &table_opts, table, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    return state;
}

static struct leat_sv key_of(uint32_t k, uint64_t *bytes)
{
    *bytes = __builtin_bswap64((uint64_t)k * UINT64_C(0x9e3779b97f4a7c15));
    return (struct leat_sv){ (const char *)bytes, 8 };
}

static void set_value(struct leat_table *table, struct model *model, uint32_t k, int64_t value)
{
    uint64_t bytes;
    struct leat_error err = { 0 };
    const struct leat_sv key = key_of(k, &bytes);
    const uint64_t hash = leat__hash(&bytes, 8);
    void *at;
    const int code = leat__table_upsert(table, 0, &key, &hash, NULL, 1, &at, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    FAIL_UNLESS(*(int64_t *)at == model->values[k], "key %u is %lld, not %lld", k, (long long)*(int64_t *)at,
        (long long)model->values[k]);
    *(int64_t *)at = model->values[k] = value;
}

static void drop_value(struct leat_table *table, struct model *model, uint32_t k)
{
    uint64_t bytes;
    struct leat_error err = { 0 };
    const struct leat_sv key = key_of(k, &bytes);
    const int code = leat__table_remove(table, 0, key, leat__hash(&bytes, 8), &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    model->values[k] = 0;
}

static void check(struct leat_table *table, const struct model *model)
{
    for (uint32_t k = 0; k < KEYS; k++) {
        uint64_t bytes;
        struct leat_error err = { 0 };
        const struct leat_sv key = key_of(k, &bytes);
        const uint64_t hash = leat__hash(&bytes, 8);
        void *at;
        const int code = leat__table_find(table, 0, &key, &hash, NULL, 1, &at, &err);
        FAIL_UNLESS(code == 0, "%s", err.message);
        FAIL_UNLESS((at ? *(int64_t *)at : 0) == model->values[k], "key %u comes back as %lld, was %lld", k,
            (long long)(at ? *(int64_t *)at : 0), (long long)model->values[k]);
    }
}

static void check_saved(
    const char *dir, const struct leat_table_info *infos, uint32_t count, const struct model *model)
{
    struct leat_table *table;
    struct leat_state *state = open_state(dir, infos, count, &table);
    check(table, model);
    leat__table_close(table);
    leat__state_free(state);
}

/* Between two steps: some keys change, go and come back; and many come that never were, and nearly all of them go again, the
 * oldest first, which leaves gaps that others move into (a key that the store may have leaves none). */
static void disturb(struct leat_table *table, struct model *model, uint32_t removals, uint32_t additions)
{
    uint32_t added[ADDITIONS_MAX], count = 0;
    for (uint32_t i = 0; i < additions; i++) {
        const uint32_t k = BASE_KEYS + (uint32_t)below(KEYS - BASE_KEYS);
        if (model->values[k] != 0)
            continue;
        set_value(table, model, k, (int64_t)below(1000000) + 1);
        added[count++] = k;
    }
    for (uint32_t i = 0; i < count; i++)
        if (below(5000))
            drop_value(table, model, added[i]);
    for (uint32_t i = 0; i < removals; i++) {
        set_value(table, model, (uint32_t)below(BASE_KEYS), (int64_t)below(1000000) + 1);
        drop_value(table, model, (uint32_t)below(BASE_KEYS));
    }
}

/* A snapshot with changes between its steps; true if it began to be collected as a whole. */
static bool snapshot(struct leat_state *state, struct leat_table *table, struct model *live,
    struct model *frozen, uint32_t removals, uint32_t additions)
{
    struct leat_error err = { 0 };
    struct leat_table_info *infos;
    char dir[128];
    uint32_t count, steps = 0;
    int code;
    leat__state_freeze(state, "n");
    *frozen = *live;
    assert_int_equal(leat__state_snapshot(state, new_dir(dir), &err), 0);
    bool whole = false;
    while ((code = leat__state_snapshot_step(state, &err)) > 0) {
        whole |= leat__table_keys_count(table, 0) > 0 && table->slices[table->slices_head]->flat != NULL;
        disturb(table, live, removals, additions);
        FAIL_UNLESS(++steps < STEPS_MAX, "it does not end");
    }
    while (code == 0) {
        code = leat__state_snapshot_poll(state, &err);
        if (code == 0)
            code = leat__state_snapshot_step(state, &err) < 0 ? -1 : 0;
    }
    FAIL_UNLESS(code == 1, "%s", err.message);
    assert_int_equal(leat__state_tables(state, &arena, &infos, &count), 0);
    leat__state_snapshot_end(state);
    check_saved(dir, infos, count, frozen);
    return whole;
}

static void test_whole__given_keys_that_come_and_go_while_it_is_copied__then_the_barrier_is_what_comes_back(
    void **unused)
{
    (void)unused;
    static struct model live, frozen;
    struct leat_table *table;
    struct leat_state *state = open_state(NULL, NULL, 0, &table);
    uint32_t wholes = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t share = 1 + (uint32_t)below(3);
        for (uint32_t k = 0; k < BASE_KEYS; k++)
            if (below(share) == 0)
                set_value(table, &live, k, (int64_t)(round * BASE_KEYS + k) + 1);
        wholes += snapshot(state, table, &live, &frozen, round % 4 == 0 ? 0 : (uint32_t)below(4),
            round % 4 == 1 ? 0 : (uint32_t)below(ADDITIONS_MAX));
        check(table, &live);
    }
    assert_true(wholes > 0);
    leat__table_close(table);
    leat__state_free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_whole__given_keys_that_come_and_go_while_it_is_copied__then_the_barrier_is_what_comes_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
