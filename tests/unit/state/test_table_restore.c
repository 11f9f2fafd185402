/* tests/unit/state/test_table_restore.c -- tables that come back changed: other names, formats and schemas,
 * tables that nobody opens, several old stores; and many more keys than the budget holds. */
#include "tests/support/unit.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "record/schema.h"
#include "state/state_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static char root[64];
static uint32_t dirs;
static struct leat_arena arena;

static const char *new_dir(char path[128])
{
    snprintf(path, 128, "%s/%u", root, dirs++);
    return path;
}

static int set_up(void **unused)
{
    (void)unused;
    snprintf(root, sizeof root, "/tmp/leat-table-restore-XXXXXX");
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

static struct leat_state *new_state(
    uint64_t budget, const char *from, const struct leat_table_info *infos, uint32_t count)
{
    struct leat_state *state = NULL;
    struct leat_error err = { 0 };
    char dir[128];
    const struct leat_state_opts opts = { .budget_bytes = budget,
        .key_groups = 16,
        .env = leat__env_posix(),
        .store_class = &leat__store_memory,
        .dir = new_dir(dir),
        .from = from,
        .tables = infos,
        .tables_count = count };
    const int code = leat__state_new(&opts, &state, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    return state;
}

static struct leat_table_opts long_opts(const char *node, const char *format)
{
    return (struct leat_table_opts){ .node = node,
        .name = "t",
        .kind = LEAT_TABLE_FIXED,
        .key_size = 8,
        .value_size = 8,
        .key_text = "id long",
        .format = format };
}

static struct leat_table *open_table(struct leat_state *state, const struct leat_table_opts *opts)
{
    struct leat_table *table = NULL;
    struct leat_error err = { 0 };
    const int code = leat__table_open(state, opts, &table, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    return table;
}

static void refuse_table(struct leat_state *state, const struct leat_table_opts *opts, const char *word)
{
    struct leat_table *table = NULL;
    struct leat_error err = { 0 };
    assert_int_equal(leat__table_open(state, opts, &table, &err), LEAT_ESCHEMA);
    assert_null(table);
    FAIL_UNLESS(
        strstr(err.message, word) && strstr(err.message, opts->node), "%s lacks %s", err.message, word);
}

static int64_t *value_of(struct leat_table *table, int64_t ns, int64_t k, bool make)
{
    const uint64_t bytes = __builtin_bswap64((uint64_t)k ^ (UINT64_C(1) << 63));
    const struct leat_sv key = { (const char *)&bytes, 8 };
    const uint64_t hash = leat__hash(&bytes, 8);
    void *value = NULL;
    struct leat_error err = { 0 };
    const int code = make ? leat__table_upsert(table, ns, &key, &hash, NULL, 1, &value, &err)
                          : leat__table_find(table, ns, &key, &hash, NULL, 1, &value, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    return value;
}

/* Ends the snapshot; gives its infos. */
static struct leat_table_info *snapshot(struct leat_state *state, char dir[128], uint32_t *count)
{
    struct leat_error err = { 0 };
    struct leat_table_info *infos = NULL;
    struct leat_snapshot_stats stats;
    int code;
    assert_int_equal(leat__state_snapshot(state, new_dir(dir), &err), 0);
    while ((code = leat__state_snapshot_step(state, &err)) > 0)
        continue;
    while (code == 0)
        code = leat__state_snapshot_poll(state, &err);
    FAIL_UNLESS(code == 1, "%s", err.message);
    leat__state_snapshot_stats(state, &stats);
    assert_int_equal(leat__state_tables(state, &arena, &infos, count), 0);
    assert_int_equal(stats.has_store, *count > 0);
    leat__state_snapshot_end(state);
    return infos;
}

static void test_snapshot__given_tables_that_never_held_anything__then_there_is_no_store(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0, NULL, NULL, 0);
    const struct leat_table_opts opts = long_opts("n", "v1");
    struct leat_table *table = open_table(state, &opts);
    struct leat_file_info info;
    char dir[128];
    uint32_t count;
    (void)snapshot(state, dir, &count);
    assert_int_equal(count, 0);
    assert_true(leat__env_posix()->fs_stat(leat__env_posix(), dir, &info, NULL) < 0);
    leat__table_close(table);
    leat__state_free(state);
}

/* What was dropped while it ran is forgotten before anything later is written, whatever the snapshot had to write. */
static void test_snapshot__given_nothing_to_save_and_a_drop_meanwhile__then_what_comes_after_is_kept(
    void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(20000, NULL, NULL, 0);
    const struct leat_table_opts opts = long_opts("n", "v1");
    struct leat_table *table = open_table(state, &opts);
    struct leat_error err = { 0 };
    char dir[128];
    int code;
    assert_int_equal(leat__state_snapshot(state, new_dir(dir), &err), 0);
    *value_of(table, 0, 1, true) = 1;
    assert_int_equal(leat__table_drop(table, 0, &err), 0);
    while ((code = leat__state_snapshot_poll(state, &err)) == 0)
        continue;
    FAIL_UNLESS(code == 1, "%s", err.message);
    for (int64_t k = 0; k < 2000; k++) /* more than may stay in memory */
        *value_of(table, 0, k, true) = k;
    leat__state_snapshot_end(state);
    for (int64_t k = 0; k < 2000; k++) {
        const int64_t *value = value_of(table, 0, k, false);
        FAIL_UNLESS(value && *value == k, "%" PRId64 " is %s", k, value ? "another" : "gone");
    }
    leat__table_close(table);
    leat__state_free(state);
}

static void test_open__given_a_saved_table__when_its_shape_differs__then_both_sides_are_named(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0, NULL, NULL, 0);
    struct leat_table_opts opts = long_opts("n", "v1");
    struct leat_table *table = open_table(state, &opts);
    char dir[128];
    uint32_t count;
    *value_of(table, 5, 1, true) = 77;
    const struct leat_table_info *infos = snapshot(state, dir, &count);
    leat__table_close(table);
    leat__state_free(state);
    state = new_state(0, dir, infos, count);
    opts.format = "v2";
    refuse_table(state, &opts, "v2");
    opts = long_opts("n", "v1");
    opts.key_text = "id string";
    refuse_table(state, &opts, "id string");
    opts = long_opts("n", "v1");
    opts.key_size = 0;
    refuse_table(state, &opts, "size of keys");
    opts = long_opts("n", "v1");
    opts.route = (struct leat_key_route){ LEAT_ROUTE_SKIP, 2 };
    refuse_table(state, &opts, "skip 2");
    opts = long_opts("n", "v1");
    table = open_table(state, &opts);
    assert_int_equal(*value_of(table, 5, 1, false), 77);
    leat__table_close(table);
    leat__state_free(state);
}

static void test_restore__given_a_renamed_node_and_a_table_nobody_opens__then_both_are_kept(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0, NULL, NULL, 0);
    struct leat_table_opts a = long_opts("a", "v1"), b = long_opts("b", "v1");
    struct leat_table *tables[2] = { open_table(state, &a), open_table(state, &b) };
    char dir[128];
    uint32_t count;
    for (int64_t k = 0; k < 100; k++) {
        *value_of(tables[0], k % 3, k, true) = k;
        *value_of(tables[1], k % 3, k, true) = -k;
    }
    struct leat_table_info *infos = snapshot(state, dir, &count);
    for (uint32_t i = 0; i < 2; i++)
        leat__table_close(tables[i]);
    leat__state_free(state);
    assert_int_equal(count, 2);
    infos[0].node = "renamed";
    for (uint32_t round = 0; round < 3; round++) { /* b is handed on each time */
        state = new_state(0, dir, infos, count);
        a = long_opts("renamed", "v1");
        tables[0] = open_table(state, &a);
        for (int64_t k = 0; k < 100; k++)
            assert_int_equal(*value_of(tables[0], k % 3, k, false), k);
        assert_int_equal(leat__table_keys_count_all(tables[0]), 100);
        infos = snapshot(state, dir, &count);
        assert_int_equal(count, 2);
        assert_int_equal(infos[1].entries, 100);
        leat__table_close(tables[0]);
        leat__state_free(state);
    }
    state = new_state(0, dir, infos, 1); /* and is not saved any more */
    infos = snapshot(state, dir, &count);
    leat__state_free(state);
    state = new_state(0, NULL, NULL, 0);
    leat__state_free(state);
    state = new_state(0, dir, infos, count);
    tables[1] = open_table(state, &b);
    assert_null(value_of(tables[1], 0, 0, false));
    leat__table_close(tables[1]);
    leat__state_free(state);
}

/* ---- formats ---- */

static bool saw_old;
static int accept_v1(void *arg, const char *saved_format, const char *saved_schema, struct leat_error *err)
{
    (void)arg;
    (void)saved_schema;
    saw_old = strcmp(saved_format, "v1") == 0;
    return saw_old ? 0 : leat__error(err, LEAT_ESCHEMA, "not %s", saved_format);
}

/* Format 2: a tag and twice the number. */
static int encode_v2(void *arg, const void *value, struct leat_strbuf *out)
{
    int64_t number;
    (void)arg;
    memcpy(&number, value, 8);
    number *= 2;
    leat__strbuf_char(out, '2');
    leat__strbuf_add(out, &number, 8);
    return 0;
}

static int decode_v2(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    int64_t number;
    (void)arg;
    (void)table;
    (void)ns;
    if (len == 8) {
        memcpy(value, data, 8);
        return 0;
    }
    if (len != 9 || data[0] != '2')
        return LEAT_EDATA;
    memcpy(&number, data + 1, 8);
    number /= 2;
    memcpy(value, &number, 8);
    return 0;
}

static void test_format__given_one_that_is_accepted__then_all_values_are_rewritten_once(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0, NULL, NULL, 0);
    struct leat_table_opts opts = long_opts("n", "v1");
    struct leat_table *table = open_table(state, &opts);
    char dir[128];
    uint32_t count;
    for (int64_t k = 0; k < 3000; k++)
        *value_of(table, k % 2, k, true) = k;
    const struct leat_table_info *infos = snapshot(state, dir, &count);
    leat__table_close(table);
    leat__state_free(state);
    for (uint32_t round = 0; round < 2; round++) {
        opts = long_opts("n", "v2");
        opts.codec = (struct leat_value_codec){ NULL, encode_v2, decode_v2, NULL };
        opts.accept_format = accept_v1;
        saw_old = false;
        state = new_state(1, dir, infos, count);
        table = open_table(state, &opts);
        assert_int_equal(saw_old, round == 0);
        for (int64_t k = 0; k < 3000; k += 7)
            assert_int_equal(*value_of(table, k % 2, k, false), k);
        infos = snapshot(state, dir, &count);
        assert_string_equal(infos[0].format, "v2");
        leat__table_close(table);
        leat__state_free(state);
    }
}

/* ---- rows ---- */

static const char schema_1[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"id\",\"type\":\"int\"},"
    "{\"name\":\"gone\",\"type\":\"string\"}]}";
static const char schema_2[] = "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"more\",\"type\":"
                               "\"string\",\"default\":\"new\"},{\"name\":\"id\",\"type\":\"long\"}]}";
static const char schema_3[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"needed\",\"type\":\"string\"}]}";
struct row_1 {
    int32_t id;
    struct leat_sv gone;
};
struct row_2 {
    struct leat_sv more;
    int64_t id;
};

static const struct leat_type *type_of(const char *text)
{
    struct leat_schema *schema = NULL;
    const struct leat_type *type = NULL;
    struct leat_error err = { 0 };
    FAIL_UNLESS(leat__schema_parse(text, strlen(text), &schema, &err) == 0, "%s", err.message);
    FAIL_UNLESS(leat__schema_type(schema, &arena, &type, &err) == 0, "%s", err.message);
    leat__schema_free(schema);
    return type;
}

static void append_rows(struct leat_table *table, const struct leat_type *type)
{
    struct leat_pool *pool = NULL;
    struct leat_batch *batch = NULL;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    assert_int_equal(leat__batch_get(pool, type, &batch), 0);
    struct leat_sv keys[20];
    uint64_t hashes[20];
    for (uint32_t i = 0; i < 20; i++) {
        struct row_1 *row = leat__batch_push(batch);
        row->id = (int32_t)i;
        row->gone = LEAT_SV("gone");
        batch->event_us[i] = i;
        keys[i] = i % 2 ? LEAT_SV("odd") : LEAT_SV("even");
        hashes[i] = leat__hash(keys[i].data, keys[i].len);
    }
    assert_int_equal(leat__table_append(table, 3, keys, hashes, NULL, 20, batch, NULL), 0);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_rows__given_another_schema__then_they_are_resolved_or_refused(void **unused)
{
    (void)unused;
    struct leat_state *state = new_state(0, NULL, NULL, 0);
    struct leat_table_opts opts = { .node = "n", .name = "rows", .kind = LEAT_TABLE_LIST };
    opts.row_type = type_of(schema_1);
    struct leat_table *table = open_table(state, &opts);
    char dir[128];
    uint32_t count;
    append_rows(table, opts.row_type);
    const struct leat_sv odd = LEAT_SV("odd");
    const uint64_t hash = leat__hash(odd.data, odd.len);
    const struct leat_list_row *list;
    (void)snapshot(state, dir, &count);
    assert_int_equal(leat__table_lists(table, 3, &odd, &hash, NULL, 1, &list, NULL), 0);
    assert_int_equal(leat__table_flagged(table, 3, odd, hash, NULL), 0);
    *list->next->flags = 9;
    const struct leat_table_info *infos = snapshot(state, dir, &count);
    leat__table_close(table);
    leat__state_free(state);
    state = new_state(0, dir, infos, count);
    opts.row_type = type_of(schema_3);
    refuse_table(state, &opts, "needed");
    leat__state_free(state);
    opts.row_type = type_of(schema_2);
    for (uint32_t round = 0; round < 2; round++) {
        state = new_state(1, dir, infos, count);
        table = open_table(state, &opts);
        assert_int_equal(leat__table_lists(table, 3, &odd, &hash, NULL, 1, &list, NULL), 0);
        uint32_t n = 0;
        for (; list; list = list->next, n++) {
            const struct row_2 *row = list->record;
            assert_int_equal(row->id, 2 * n + 1);
            assert_true(leat_sv_eq(row->more, LEAT_SV("new")));
            assert_int_equal(*list->flags, n == 1 ? 9 : 0);
        }
        assert_int_equal(n, 10);
        infos = snapshot(state, dir, &count);
        leat__table_close(table);
        leat__state_free(state);
    }
}

/* ---- several workers ---- */

static uint32_t all_of(void *arg, const struct leat_table_info *info)
{
    (void)info;
    return *(uint32_t *)arg;
}

static void test_split__given_any_old_and_new_parallelism__then_every_key_is_with_its_owner_once(
    void **unused)
{
    (void)unused;
    for (uint32_t p = 1; p <= 4; p++)
        for (uint32_t q = 1; q <= 4; q++) {
            char from[4][128], to[4][128];
            const char *from_dirs[4], *to_dirs[4];
            const struct leat_table_info *infos = NULL;
            uint32_t count = 0;
            struct leat_error err = { 0 };
            const struct leat_table_opts opts = long_opts("n", "v1");
            for (uint32_t w = 0; w < p; w++) {
                struct leat_state *state = new_state(0, NULL, NULL, 0);
                struct leat_table *table = open_table(state, &opts);
                for (int64_t k = 0; k < 200; k++) {
                    const uint64_t bytes = __builtin_bswap64((uint64_t)k ^ (UINT64_C(1) << 63));
                    if (leat__key_group_owner(leat__key_group(leat__hash(&bytes, 8), 16), 16, p) == w)
                        *value_of(table, k % 5, k, true) = k * k;
                }
                infos = snapshot(state, from[w], &count);
                from_dirs[w] = from[w];
                leat__table_close(table);
                leat__state_free(state);
            }
            for (uint32_t w = 0; w < q; w++)
                to_dirs[w] = new_dir(to[w]);
            const struct leat_split_opts split = { .env = leat__env_posix(),
                .store_class = &leat__store_memory,
                .from = from_dirs,
                .from_count = p,
                .to = to_dirs,
                .to_count = q,
                .key_groups = 16,
                .tables = infos,
                .tables_count = count,
                .parallelism = all_of,
                .arg = &q };
            FAIL_UNLESS(leat__state_split(&split, &err) == 0, "%s", err.message);
            uint64_t keys = 0;
            for (uint32_t w = 0; w < q; w++) {
                struct leat_state *state = new_state(0, to[w], infos, count);
                struct leat_table *table = open_table(state, &opts);
                keys += leat__table_keys_count_all(table);
                for (int64_t k = 0; k < 200; k++) {
                    const uint64_t bytes = __builtin_bswap64((uint64_t)k ^ (UINT64_C(1) << 63));
                    const bool own =
                        leat__key_group_owner(leat__key_group(leat__hash(&bytes, 8), 16), 16, q) == w;
                    const int64_t *value = value_of(table, k % 5, k, false);
                    assert_true((value != NULL) == own);
                    assert_true(!own || *value == k * k);
                }
                leat__table_close(table);
                leat__state_free(state);
            }
            assert_int_equal(keys, 200);
        }
}

/* As an operator has them whose rows are not sent to the owner of their key. */
static void test_split__given_lists_of_a_key_on_several_workers__then_they_become_one(void **unused)
{
    (void)unused;
    enum { OLD = 3 };
    const struct leat_sv words[] = { LEAT_SV("odd"), LEAT_SV("even") };
    struct leat_table_opts opts = { .node = "n", .name = "rows", .kind = LEAT_TABLE_LIST };
    opts.row_type = type_of(schema_1);
    opts.schema = schema_1;
    opts.format = "v1";
    for (uint32_t q = 1; q <= 4; q++) {
        char from[OLD][128], to[4][128];
        const char *from_dirs[OLD], *to_dirs[4];
        const struct leat_table_info *infos = NULL;
        uint32_t count = 0, rows = 0;
        struct leat_error err = { 0 };
        for (uint32_t w = 0; w < OLD; w++) {
            struct leat_state *state = new_state(0, NULL, NULL, 0);
            struct leat_table *table = open_table(state, &opts);
            append_rows(table, opts.row_type);
            infos = snapshot(state, from[w], &count);
            append_rows(table, opts.row_type); /* two segments */
            infos = snapshot(state, from[w], &count);
            from_dirs[w] = from[w];
            leat__table_close(table);
            leat__state_free(state);
        }
        for (uint32_t w = 0; w < q; w++)
            to_dirs[w] = new_dir(to[w]);
        const struct leat_split_opts split = { .env = leat__env_posix(),
            .store_class = &leat__store_memory,
            .from = from_dirs,
            .from_count = OLD,
            .to = to_dirs,
            .to_count = q,
            .key_groups = 16,
            .tables = infos,
            .tables_count = count,
            .parallelism = all_of,
            .arg = &q };
        FAIL_UNLESS(leat__state_split(&split, &err) == 0, "%s", err.message);
        for (uint32_t w = 0; w < q; w++) {
            struct leat_file_info info;
            const bool made = leat__env_posix()->fs_stat(leat__env_posix(), to[w], &info, NULL) == 0;
            struct leat_state *state = new_state(0, made ? to[w] : NULL, infos, made ? count : 0);
            struct leat_table *table = open_table(state, &opts);
            for (uint32_t i = 0; i < COUNT_OF(words); i++) {
                const uint64_t hash = leat__hash(words[i].data, words[i].len);
                const struct leat_list_row *list;
                if (leat__key_group_owner(leat__key_group(hash, 16), 16, q) != w)
                    continue;
                assert_int_equal(leat__table_lists(table, 3, &words[i], &hash, NULL, 1, &list, NULL), 0);
                uint32_t n = 0;
                for (; list; list = list->next, n++)
                    assert_int_equal(((const struct row_1 *)list->record)->id, 2 * (n % 10) + (i == 0));
                assert_int_equal(n, OLD * 20u);
                rows += n;
            }
            leat__table_close(table);
            leat__state_free(state);
        }
        assert_int_equal(rows, 2 * OLD * 20);
    }
}

/* ---- many keys ---- */

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

static void test_budget__given_many_more_keys_than_it_holds__then_all_counts_are_right_and_it_is_kept(
    void **unused)
{
    (void)unused;
    enum { MANY = 40000, SOME = 256 };
    static int64_t model[MANY];
    static uint64_t bytes[SOME], hashes[SOME];
    static struct leat_sv keys[SOME];
    for (uint32_t merges = 0; merges < 2; merges++) {
        const uint64_t budget = 400 * 1024;
        struct leat_state *state = new_state(budget, NULL, NULL, 0);
        struct leat_table_opts opts = long_opts("n", "sum");
        opts.codec.merge = merges ? add_sums : NULL;
        struct leat_table *table = open_table(state, &opts);
        uint64_t seed = 88172645463325252u, peak = 0;
        memset(model, 0, sizeof model);
        for (uint32_t round = 0; round < 1500; round++) {
            void *values[SOME];
            struct leat_error err = { 0 };
            for (uint32_t i = 0; i < SOME; i++) {
                seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
                const uint64_t k = (seed >> 33) % (i % 4 ? MANY : 500); /* some are used often */
                model[k]++;
                bytes[i] = __builtin_bswap64(k ^ (UINT64_C(1) << 63));
                keys[i] = (struct leat_sv){ (const char *)&bytes[i], 8 };
                hashes[i] = leat__hash(&bytes[i], 8);
            }
            const int code = round % 5
                ? leat__table_upsert_blind(table, 0, keys, hashes, NULL, SOME, values, &err)
                : leat__table_upsert(table, 0, keys, hashes, NULL, SOME, values, &err);
            FAIL_UNLESS(code == 0, "%s", err.message);
            for (uint32_t i = 0; i < SOME; i++)
                ++*(int64_t *)values[i];
            peak = state->used_bytes > peak ? state->used_bytes : peak;
        }
        FAIL_UNLESS(peak <= budget, "%d bytes of tables", (int)peak);
        struct leat_cursor *cursor = NULL;
        struct leat_cursor_item items[100];
        int64_t next = 0;
        assert_int_equal(leat__cursor_open(table, 0, LEAT_CURSOR_ORDERED, &cursor, NULL), 0);
        for (int64_t got; (got = leat__cursor_next(cursor, items, 100, NULL)) != 0;) {
            assert_true(got > 0);
            for (int64_t i = 0; i < got; i++, next++) {
                while (model[next] == 0)
                    next++;
                FAIL_UNLESS(*(int64_t *)items[i].value == model[next], "key %d", (int)next);
            }
        }
        leat__cursor_close(cursor);
        while (next < MANY && model[next] == 0)
            next++;
        assert_int_equal(next, MANY);
        leat__table_close(table);
        leat__state_free(state);
    }
}

static void test_budget__given_large_namespaces__then_the_oldest_leave_piece_by_piece(void **unused)
{
    (void)unused;
    enum { SPACES = 5, MANY = 60000, SOME = 500 };
    static uint64_t bytes[SOME], hashes[SOME];
    static struct leat_sv keys[SOME];
    struct leat_state *state =
        new_state((uint64_t)9 << 20, NULL, NULL, 0); /* tables: less than two of them */
    const struct leat_table_opts opts = long_opts("n", "sum");
    struct leat_table *table = open_table(state, &opts);
    for (uint32_t round = 0; round < 2; round++)
        for (int64_t ns = 0; ns < SPACES; ns++)
            for (uint64_t from = 0; from < MANY; from += SOME) {
                void *values[SOME];
                for (uint64_t i = 0; i < SOME; i++) {
                    bytes[i] = __builtin_bswap64((from + i) ^ (UINT64_C(1) << 63));
                    keys[i] = (struct leat_sv){ (const char *)&bytes[i], 8 };
                    hashes[i] = leat__hash(&bytes[i], 8);
                }
                assert_int_equal(leat__table_upsert(table, ns, keys, hashes, NULL, SOME, values, NULL), 0);
                for (uint64_t i = 0; i < SOME; i++)
                    *(int64_t *)values[i] += (int64_t)(from + i) + ns;
                assert_true(state->used_bytes <= ((uint64_t)9 << 20));
            }
    for (int64_t ns = 0; ns < SPACES; ns++) {
        assert_int_equal(leat__table_keys_count(table, ns), MANY);
        for (int64_t k = 0; k < MANY; k += 977)
            assert_int_equal(*value_of(table, ns, k, false), 2 * (k + ns));
    }
    leat__table_close(table);
    leat__state_free(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot__given_tables_that_never_held_anything__then_there_is_no_store),
        cmocka_unit_test(
            test_snapshot__given_nothing_to_save_and_a_drop_meanwhile__then_what_comes_after_is_kept),
        cmocka_unit_test(test_open__given_a_saved_table__when_its_shape_differs__then_both_sides_are_named),
        cmocka_unit_test(test_restore__given_a_renamed_node_and_a_table_nobody_opens__then_both_are_kept),
        cmocka_unit_test(test_format__given_one_that_is_accepted__then_all_values_are_rewritten_once),
        cmocka_unit_test(test_rows__given_another_schema__then_they_are_resolved_or_refused),
        cmocka_unit_test(
            test_split__given_any_old_and_new_parallelism__then_every_key_is_with_its_owner_once),
        cmocka_unit_test(test_split__given_lists_of_a_key_on_several_workers__then_they_become_one),
        cmocka_unit_test(
            test_budget__given_many_more_keys_than_it_holds__then_all_counts_are_right_and_it_is_kept),
        cmocka_unit_test(test_budget__given_large_namespaces__then_the_oldest_leave_piece_by_piece),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
