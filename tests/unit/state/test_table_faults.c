/* tests/unit/state/test_table_faults.c -- the n-th call of the store fails, once or for ever, and the n-th
 * allocation: the failure is told with its cause, stays told, leaks nothing, and the snapshot before is whole.
 *
 * The script: counts and lists under a budget of one byte, a snapshot, then (armed) more of the same with
 * reads, removes, a drop, walks, and a second snapshot. A second script: one namespace as a whole. */
#include "tests/support/unit.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "record/schema.h"
#include "state/state_private.h"
#include <stdio.h>
#include <stdlib.h>

#define KEYS 40u

/* ---- a store that fails ---- */

static struct {
    bool armed, for_ever, failed;
    uint64_t calls, fail_at;
} faults;

static bool fails(struct leat_error *err)
{
    if (!faults.armed)
        return false;
    faults.calls++;
    if (faults.calls != faults.fail_at && !(faults.for_ever && faults.failed))
        return false;
    faults.failed = true;
    (void)leat__error(err, LEAT_ENOSPC, "write /x: No space left on device");
    return true;
}

static struct leat_store_class faulty;

static int faulty_open(const struct leat_store_opts *opts, struct leat_store **store, struct leat_error *err)
{
    if (fails(err))
        return LEAT_ENOSPC;
    LEAT_TRY(leat__store_memory.open(opts, store, err));
    (*store)->store_class = &faulty;
    return 0;
}

static int faulty_get(struct leat_store *store, const struct leat_sv *keys, uint32_t count,
    struct leat_sv *values, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.get(store, keys, count, values, err);
}

static int faulty_iter_new(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    struct leat_store_iter **iter, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.iter_new(store, from, to, iter, err);
}

static int faulty_iter_next(
    struct leat_store_iter *iter, struct leat_sv *key, struct leat_sv *value, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.iter_next(iter, key, value, err);
}

static int faulty_write(
    struct leat_store *store, const struct leat_store_entry *entries, uint64_t count, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.write(store, entries, count, err);
}

static int faulty_delete_range(
    struct leat_store *store, struct leat_sv from, struct leat_sv to, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.delete_range(store, from, to, err);
}

static int faulty_replace(struct leat_store *store, struct leat_sv from, struct leat_sv to,
    leat_store_next_fn next, void *arg, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.replace(store, from, to, next, arg, err);
}

static int faulty_checkpoint(struct leat_store *store, const char *dir, struct leat_error *err)
{
    return fails(err) ? LEAT_ENOSPC : leat__store_memory.checkpoint(store, dir, err);
}

/* ---- the script ---- */

struct note {
    int64_t id;
    struct leat_sv text;
};
static const char note_schema[] =
    "{\"type\":\"record\",\"name\":\"note\",\"fields\":[{\"name\":\"id\",\"type\":"
    "\"long\"},{\"name\":\"text\",\"type\":\"string\"}]}";
static struct leat_schema *schema;
static struct leat_arena type_arena;
static const struct leat_type *note_type;
static char root[64];
static uint32_t dirs;

static int set_up(void **unused)
{
    struct leat_error err = { 0 };
    (void)unused;
    faulty = leat__store_memory;
    faulty.open = faulty_open;
    faulty.get = faulty_get;
    faulty.iter_new = faulty_iter_new;
    faulty.iter_next = faulty_iter_next;
    faulty.write = faulty_write;
    faulty.delete_range = faulty_delete_range;
    faulty.replace = faulty_replace;
    faulty.checkpoint = faulty_checkpoint;
    snprintf(root, sizeof root, "/tmp/leat-table-faults-XXXXXX");
    if (!mkdtemp(root) || leat__schema_parse(note_schema, sizeof note_schema - 1, &schema, &err) < 0)
        return -1;
    return leat__schema_type(schema, &type_arena, &note_type, &err);
}

static int tear_down(void **unused)
{
    char command[128];
    (void)unused;
    leat__arena_release(&type_arena);
    leat__schema_free(schema);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

struct script {
    struct leat_state *state;
    struct leat_table *counts, *lists;
    struct leat_pool *pool;
    char keys[KEYS][48];
    struct leat_sv sv[KEYS];
    uint64_t hashes[KEYS];
    char checkpoint[128];
};

static int add_sums(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    int64_t a, b;
    (void)arg;
    memcpy(&a, older.data, sizeof a);
    memcpy(&b, newer.data, sizeof b);
    a += b;
    leat__strbuf_add(out, &a, sizeof a);
    return 0;
}

static int open_script(struct script *s, const char *from, const struct leat_table_info *infos,
    uint32_t count, struct leat_error *err)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/live-%u", root, dirs++);
    const struct leat_state_opts opts = { .budget_bytes = 1,
        .key_groups = 8,
        .env = leat__env_posix(),
        .store_class = &faulty,
        .dir = dir,
        .from = from,
        .tables = infos,
        .tables_count = count };
    struct leat_table_opts counts = { .node = "n", .name = "counts", .kind = LEAT_TABLE_FIXED };
    struct leat_table_opts lists = { .node = "n", .name = "lists", .kind = LEAT_TABLE_LIST };
    counts.value_size = 8;
    counts.format = "sum";
    counts.codec.merge = add_sums;
    lists.row_type = note_type;
    for (uint32_t k = 0; k < KEYS; k++) {
        const int len = snprintf(s->keys[k], 48, "%*u", (int)(k % 3 * 12 + 3), k);
        s->sv[k] = (struct leat_sv){ s->keys[k], (size_t)len };
        s->hashes[k] = leat__hash(s->keys[k], (size_t)len);
    }
    LEAT_TRY(leat__pool_new(64, &s->pool));
    LEAT_TRY(leat__state_new(&opts, &s->state, err));
    LEAT_TRY(leat__table_open(s->state, &counts, &s->counts, err));
    return leat__table_open(s->state, &lists, &s->lists, err);
}

static void close_script(struct script *s)
{
    if (s->state)
        leat__state_snapshot_end(s->state);
    leat__table_close(s->counts);
    leat__table_close(s->lists);
    leat__state_free(s->state);
    leat__pool_free(s->pool);
}

static int add_counts(struct script *s, int64_t ns, bool blind, struct leat_error *err)
{
    void *values[KEYS];
    LEAT_TRY(blind ? leat__table_upsert_blind(s->counts, ns, s->sv, s->hashes, NULL, KEYS, values, err)
                   : leat__table_upsert(s->counts, ns, s->sv, s->hashes, NULL, KEYS, values, err));
    for (uint32_t k = 0; k < KEYS; k++)
        *(int64_t *)values[k] += k;
    return 0;
}

static int add_rows(struct script *s, int64_t ns, struct leat_error *err)
{
    struct leat_batch *batch = NULL;
    LEAT_TRY(leat__batch_get(s->pool, note_type, &batch));
    for (uint32_t k = 0; k < KEYS; k++) {
        struct note *note = leat__batch_push(batch);
        note->id = k;
        note->text = LEAT_SV("some text");
        batch->event_us[k] = k;
    }
    const int code = leat__table_append(s->lists, ns, s->sv, s->hashes, NULL, KEYS, batch, err);
    leat__batch_release(batch);
    return code;
}

static int take_snapshot(struct script *s, struct leat_error *err)
{
    int code;
    snprintf(s->checkpoint, sizeof s->checkpoint, "%s/checkpoint-%u", root, dirs++);
    leat__state_freeze(s->state, "n");
    LEAT_TRY(leat__state_snapshot(s->state, s->checkpoint, err));
    while ((code = leat__state_snapshot_step(s->state, err)) > 0)
        continue;
    while (code == 0)
        code = leat__state_snapshot_poll(s->state, err);
    LEAT_TRY(code);
    leat__state_snapshot_end(s->state);
    return 0;
}

static int walk(struct leat_table *table, int64_t ns, uint32_t *count, int64_t *sum, struct leat_error *err)
{
    struct leat_cursor *cursor = NULL;
    struct leat_cursor_item items[7];
    int64_t got;
    *count = 0;
    *sum = 0;
    LEAT_TRY(leat__cursor_open(table, ns, LEAT_CURSOR_ORDERED, &cursor, err));
    while ((got = leat__cursor_next(cursor, items, 7, err)) > 0)
        for (int64_t i = 0; i < got; i++, (*count)++) {
            const struct leat_list_row *row = items[i].value;
            if (table->kind == LEAT_TABLE_FIXED)
                *sum += *(int64_t *)items[i].value;
            for (; table->kind == LEAT_TABLE_LIST && row; row = row->next)
                *sum += ((const struct note *)row->record)->id;
        }
    leat__cursor_close(cursor);
    return got < 0 ? (int)got : 0;
}

static int first_half(struct script *s, struct leat_error *err)
{
    LEAT_TRY(add_counts(s, 1, false, err));
    LEAT_TRY(add_counts(s, 2, true, err));
    LEAT_TRY(add_rows(s, 1, err));
    LEAT_TRY(add_counts(s, 2, true, err));
    LEAT_TRY(add_rows(s, 1, err));
    return take_snapshot(s, err);
}

static int second_half(struct script *s, struct leat_error *err)
{
    void *values[KEYS];
    const struct leat_list_row *lists[KEYS];
    uint32_t count;
    int64_t sum;
    LEAT_TRY(add_counts(s, 2, true, err));
    LEAT_TRY(add_counts(s, 1, false, err));
    LEAT_TRY(add_rows(s, 1, err));
    LEAT_TRY(leat__table_find(s->counts, 2, s->sv, s->hashes, NULL, KEYS, values, err));
    LEAT_TRY(leat__table_lists(s->lists, 1, s->sv, s->hashes, NULL, KEYS, lists, err));
    LEAT_TRY(leat__table_remove(s->counts, 2, s->sv[3], s->hashes[3], err));
    LEAT_TRY(leat__table_remove(s->lists, 1, s->sv[4], s->hashes[4], err));
    LEAT_TRY(add_rows(s, 2, err));
    LEAT_TRY(walk(s->counts, 2, &count, &sum, err));
    LEAT_TRY(walk(s->lists, 1, &count, &sum, err));
    LEAT_TRY(leat__table_drop(s->counts, 1, err));
    LEAT_TRY(add_counts(s, 1, false, err));
    return take_snapshot(s, err);
}

/* What the first half has left, from its checkpoint. */
static void check_first(const char *checkpoint, const struct leat_table_info *infos, uint32_t infos_count)
{
    struct script s = { 0 };
    struct leat_error err = { 0 };
    uint32_t count;
    int64_t sum;
    const int64_t all = KEYS * (KEYS - 1) / 2;
    const int code = open_script(&s, checkpoint, infos, infos_count, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    assert_int_equal(walk(s.counts, 1, &count, &sum, &err), 0);
    assert_int_equal(count, KEYS);
    assert_int_equal(sum, all);
    assert_int_equal(walk(s.counts, 2, &count, &sum, &err), 0);
    assert_int_equal(sum, 2 * all);
    assert_int_equal(walk(s.lists, 1, &count, &sum, &err), 0);
    assert_int_equal(count, KEYS);
    assert_int_equal(sum, 2 * all);
    close_script(&s);
}

static void fail_all_calls(bool for_ever)
{
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        const int64_t live = leat__alloc_live();
        struct script s = { 0 };
        struct leat_error err = { 0 };
        struct leat_arena arena = { 0 };
        struct leat_table_info *infos;
        uint32_t infos_count;
        char first[128];
        assert_true(n < 5000);
        memset(&faults, 0, sizeof faults);
        assert_int_equal(open_script(&s, NULL, NULL, 0, &err), 0);
        assert_int_equal(first_half(&s, &err), 0);
        memcpy(first, s.checkpoint, sizeof first);
        assert_int_equal(leat__state_tables(s.state, &arena, &infos, &infos_count), 0);
        faults.armed = true;
        faults.for_ever = for_ever;
        faults.fail_at = n;
        const int code = second_half(&s, &err);
        failed = faults.failed;
        FAIL_UNLESS((code == LEAT_ENOSPC) == failed, "call %d: code %d, %s", (int)n, code, err.message);
        if (failed)
            FAIL_UNLESS(strstr(err.message, "No space left") && strstr(err.message, "state"),
                "call %d: \"%s\"", (int)n, err.message);
        close_script(&s);
        memset(&faults, 0, sizeof faults);
        check_first(first, infos, infos_count);
        leat__arena_release(&arena);
        assert_int_equal(leat__alloc_live(), live);
    }
}

static void test_store__given_its_nth_call_fails_once__then_a_clean_error_and_the_snapshot_is_whole(
    void **unused)
{
    (void)unused;
    fail_all_calls(false);
}

static void test_store__given_its_nth_call_fails_and_all_after__then_the_same(void **unused)
{
    (void)unused;
    fail_all_calls(true);
}

static void test_memory__given_the_nth_allocation_fails__then_an_error_and_no_leak(void **unused)
{
    (void)unused;
    bool failed = true;
    memset(&faults, 0, sizeof faults);
    for (uint64_t n = 1; failed; n++) {
        const int64_t live = leat__alloc_live();
        struct script s = { 0 };
        struct leat_error err = { 0 };
        assert_true(n < 20000);
        leat__alloc_fail_at(n);
        int code = open_script(&s, NULL, NULL, 0, &err);
        if (code == 0)
            code = first_half(&s, &err);
        if (code == 0)
            code = second_half(&s, &err);
        leat__alloc_fail_at(0);
        failed = code < 0;
        FAIL_UNLESS(
            code == 0 || code == LEAT_ENOMEM, "allocation %d: code %d, %s", (int)n, code, err.message);
        close_script(&s);
        FAIL_UNLESS(leat__alloc_live() == live, "allocation %d: %d blocks are left", (int)n,
            (int)(leat__alloc_live() - live));
    }
}

/* ---- a namespace that is collected as a whole ---- */

#define NUMBERS 300u

static int open_numbers(struct script *s, const char *from, const struct leat_table_info *infos,
    uint32_t count, struct leat_error *err)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/live-%u", root, dirs++);
    const struct leat_state_opts opts = { .key_groups = 8,
        .env = leat__env_posix(),
        .store_class = &faulty,
        .dir = dir,
        .from = from,
        .tables = infos,
        .tables_count = count };
    struct leat_table_opts numbers = { .node = "n", .name = "numbers", .kind = LEAT_TABLE_FIXED };
    numbers.key_size = numbers.value_size = 8;
    numbers.format = "number";
    LEAT_TRY(leat__state_new(&opts, &s->state, err));
    s->state->whole_keys_min = 1;
    return leat__table_open(s->state, &numbers, &s->counts, err);
}

static int add_to_numbers(struct script *s, struct leat_error *err)
{
    uint64_t hashes[NUMBERS];
    int64_t keys[NUMBERS];
    struct leat_sv sv[NUMBERS];
    void *values[NUMBERS];
    for (uint32_t k = 0; k < NUMBERS; k++) {
        keys[k] = k * INT64_C(0x100010001);
        sv[k] = (struct leat_sv){ (const char *)&keys[k], sizeof keys[k] };
        hashes[k] = leat__hash(sv[k].data, sv[k].len);
    }
    LEAT_TRY(leat__table_upsert(s->counts, 7, sv, hashes, NULL, NUMBERS, values, err));
    for (uint32_t k = 0; k < NUMBERS; k++)
        *(int64_t *)values[k] += k;
    return 0;
}

/* The second snapshot fails or not: what it or the first one says is right. True: it has failed. */
static bool take_whole(uint64_t alloc_fails_at, uint64_t call_fails_at)
{
    struct script s = { 0 }, again = { 0 };
    struct leat_error err = { 0 };
    struct leat_arena arena = { 0 };
    struct leat_table_info *infos;
    uint32_t infos_count, count;
    char first[128];
    int64_t sum;
    const int64_t live = leat__alloc_live();
    memset(&faults, 0, sizeof faults);
    assert_int_equal(open_numbers(&s, NULL, NULL, 0, &err), 0);
    assert_int_equal(add_to_numbers(&s, &err), 0);
    assert_int_equal(take_snapshot(&s, &err), 0);
    memcpy(first, s.checkpoint, sizeof first);
    assert_int_equal(add_to_numbers(&s, &err), 0);
    assert_int_equal(leat__state_tables(s.state, &arena, &infos, &infos_count), 0);
    faults.armed = call_fails_at > 0;
    faults.fail_at = call_fails_at;
    leat__alloc_fail_at(alloc_fails_at);
    const int code = take_snapshot(&s, &err);
    leat__alloc_fail_at(0);
    memset(&faults, 0, sizeof faults);
    const int wanted = alloc_fails_at ? LEAT_ENOMEM : LEAT_ENOSPC;
    FAIL_UNLESS(code == 0 || code == wanted, "code %d, %s", code, err.message);
    assert_int_equal(open_numbers(&again, code == 0 ? s.checkpoint : first, infos, infos_count, &err), 0);
    assert_int_equal(walk(again.counts, 7, &count, &sum, &err), 0);
    assert_int_equal(count, NUMBERS);
    assert_int_equal(sum, (code == 0 ? 2 : 1) * NUMBERS * (NUMBERS - 1) / 2);
    close_script(&again);
    close_script(&s);
    leat__arena_release(&arena);
    assert_int_equal(leat__alloc_live(), live);
    return code < 0;
}

static void test_whole__given_the_nth_allocation_or_call_fails__then_the_snapshot_before_is_whole(
    void **unused)
{
    (void)unused;
    uint32_t failed = 0;
    for (uint64_t n = 1; n <= 60; n++)
        failed += take_whole(n, 0);
    for (uint64_t n = 1; n <= 6; n++)
        failed += take_whole(0, n);
    assert_true(failed >= 8);
    assert_false(take_whole(0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_store__given_its_nth_call_fails_once__then_a_clean_error_and_the_snapshot_is_whole),
        cmocka_unit_test(test_store__given_its_nth_call_fails_and_all_after__then_the_same),
        cmocka_unit_test(test_memory__given_the_nth_allocation_fails__then_an_error_and_no_leak),
        cmocka_unit_test(
            test_whole__given_the_nth_allocation_or_call_fails__then_the_snapshot_before_is_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
