/* tests/unit/state/test_table_store.c -- keyed state with a store against a naive model: every call at random,
 * under budgets from one byte to none, with snapshots begun, stepped, given up and restored at any moment,
 * namespaces collected as a whole or not, and tasks that run when the walk says so. A seed that fails is printed: LEAT_SEED repeats it. */
#include "tests/support/unit.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "record/schema.h"
#include "state/state_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEYS 120u
#define SPACES 4u
#define ROWS_MAX 64u
#define TABLES 6u
#define BATCH_MAX 50u
#define WORKERS_MAX 4u

static uint64_t random_state;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static uint32_t below(uint32_t n)
{
    return (uint32_t)((next_random() >> 32) % n);
}

/* ---- the model ---- */

struct model_row {
    int64_t id;
    uint8_t flags;
};
struct model_entry {
    bool exists;
    int64_t value;
    uint32_t rows_count;
    struct model_row rows[ROWS_MAX];
};
struct model {
    struct model_entry entries[TABLES][SPACES][KEYS];
};
static struct model live, frozen;

enum shape { NUMBER_KEYS, TEXT_KEYS, PAIR_KEYS };
enum values { RAW, TEXTS, SUMS, ROWS };
static const struct {
    const char *node, *name;
    enum shape keys;
    enum values values;
    struct leat_key_route route;
} shapes[TABLES] = {
    { "counts", "raw", NUMBER_KEYS, RAW, { LEAT_ROUTE_WHOLE, 0 } },
    { "counts", "texts", TEXT_KEYS, TEXTS, { LEAT_ROUTE_SKIP, 2 } },
    { "sums", "sums", TEXT_KEYS, SUMS, { LEAT_ROUTE_WHOLE, 0 } },
    { "sums", "numbers", NUMBER_KEYS, SUMS, { LEAT_ROUTE_WHOLE, 0 } },
    { "join", "left", NUMBER_KEYS, ROWS, { LEAT_ROUTE_WHOLE, 0 } },
    { "join", "right", PAIR_KEYS, ROWS, { LEAT_ROUTE_FIRST_PART, 0 } },
};
static const char *const nodes[] = { "counts", "sums", "join" };
static const int64_t spaces[SPACES] = { INT64_MIN, -5, 100, INT64_MAX };

/* Bytes of key k, with zeros, prefixes of others, and some that are longer than a slot takes. */
static struct leat_sv key_bytes(uint32_t table, uint32_t k, char bytes[64])
{
    if (shapes[table].keys == NUMBER_KEYS) {
        const uint64_t flipped = __builtin_bswap64((uint64_t)((int64_t)k - 50) ^ (UINT64_C(1) << 63));
        memcpy(bytes, &flipped, sizeof flipped);
        return (struct leat_sv){ bytes, sizeof flipped };
    }
    size_t at = 0;
    if (shapes[table].keys == PAIR_KEYS) {
        const uint32_t len = __builtin_bswap32(1 + k % 3);
        memcpy(bytes, &len, sizeof len);
        memset(bytes + 4, (int)(k % 7), 1 + k % 3);
        at = 5 + k % 3;
    }
    const int len = snprintf(bytes + at, 48, "%0*u", (int)(k % 41), k);
    for (size_t i = 0; k % 3 == 0 && i < (size_t)len; i++)
        if (bytes[at + i] == '0')
            bytes[at + i] = '\0';
    return (struct leat_sv){ bytes, at + (k ? (size_t)len : 0) };
}

static uint32_t key_index(uint32_t table, struct leat_sv key)
{
    char bytes[64];
    for (uint32_t k = 0; k < KEYS; k++)
        if (leat_sv_eq(key, key_bytes(table, k, bytes)))
            return k;
    fail_msg("a key of table %u that nobody made", table);
    return 0;
}

/* ---- codecs ---- */

struct text_value {
    struct leat_sv text; /* of the number, in memory of the namespace */
};

static int text_encode(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct text_value *v = value;
    (void)arg;
    leat__strbuf_add(out, v->text.data ? v->text.data : "", v->text.len);
    return 0;
}

static int text_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    struct text_value *v = value;
    char *copy = leat__table_bytes(table, ns, len + 1);
    (void)arg;
    if (!copy)
        return LEAT_ENOMEM;
    memcpy(copy, data, len);
    v->text = (struct leat_sv){ copy, len };
    return 0;
}

static int sum_merge(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    int64_t a, b;
    (void)arg;
    if (older.len != 8 || newer.len != 8)
        return LEAT_EDATA;
    memcpy(&a, older.data, 8);
    memcpy(&b, newer.data, 8);
    a += b;
    leat__strbuf_add(out, &a, 8);
    return 0;
}

static int64_t value_get(uint32_t table, const void *value)
{
    if (shapes[table].values == TEXTS) {
        const struct text_value *v = value;
        char text[32] = { 0 };
        if (v->text.len)
            memcpy(text, v->text.data, v->text.len < 31 ? v->text.len : 31);
        return strtoll(text, NULL, 10);
    }
    int64_t number;
    memcpy(&number, value, sizeof number);
    return number;
}

static void value_set(struct leat_table *handle, uint32_t table, int64_t ns, void *value, int64_t number)
{
    if (shapes[table].values != TEXTS) {
        memcpy(value, &number, sizeof number);
        return;
    }
    char text[200];
    const int len = snprintf(text, sizeof text, "%" PRIi64 " %*s", number, (int)((uint64_t)number % 60), "x");
    char *bytes = leat__table_bytes(handle, ns, (size_t)len);
    assert_non_null(bytes);
    memcpy(bytes, text, (size_t)len);
    ((struct text_value *)value)->text = (struct leat_sv){ bytes, (size_t)len };
}

/* ---- rows ---- */

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
static struct leat_pool *pool;

static int set_up(void **unused)
{
    struct leat_error err = { 0 };
    (void)unused;
    if (leat__schema_parse(note_schema, sizeof note_schema - 1, &schema, &err) < 0 ||
        leat__schema_type(schema, &type_arena, &note_type, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(note_type->size, sizeof(struct note));
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    leat__arena_release(&type_arena);
    leat__schema_free(schema);
    return 0;
}

/* ---- a background whose tasks run when they are told to ---- */

#define TASKS_MAX 64u
static struct leat_task *tasks[TASKS_MAX];
static uint32_t tasks_count;
static bool tasks_run_at_once;

static void run_task(struct leat_task *task)
{
    task->run(task);
    __atomic_store_n(&task->done, 1, __ATOMIC_RELEASE);
}

static void hold_task(void *arg, struct leat_task *task)
{
    (void)arg;
    if (tasks_run_at_once) {
        run_task(task);
        return;
    }
    assert_true(tasks_count < TASKS_MAX);
    tasks[tasks_count++] = task;
}

static void wait_for_task(void *arg, struct leat_task *task)
{
    (void)arg;
    for (uint32_t i = 0; i < tasks_count; i++)
        if (tasks[i] == task) {
            tasks[i] = tasks[--tasks_count];
            run_task(task);
            return;
        }
    assert_true(leat__task_is_done(task));
}

static struct leat_background held_background = { NULL, hold_task, wait_for_task };

static void run_some_tasks(void)
{
    while (tasks_count > 0 && below(3)) {
        const uint32_t i = below(tasks_count);
        struct leat_task *task = tasks[i];
        tasks[i] = tasks[--tasks_count];
        run_task(task);
    }
}

/* ---- states ---- */

struct world {
    const struct leat_store_class *store_class;
    uint64_t budget;
    struct leat_state *state;
    struct leat_table *tables[TABLES];
    char root[64];
    uint32_t dirs; /* made so far: each name is used once */
    bool freezing, snapshotting, restored;
    bool node_frozen[COUNT_OF(nodes)];
    char checkpoint[128];
    int64_t next_id;
};
static struct world world;

static const char *new_dir(const char *kind, char path[128])
{
    snprintf(path, 128, "%s/%s-%u", world.root, kind, world.dirs++);
    return path;
}

static void open_tables(struct leat_state *state, struct leat_table *tables[TABLES])
{
    for (uint32_t t = 0; t < TABLES; t++) {
        struct leat_error err = { 0 };
        struct leat_table_opts opts = { .node = shapes[t].node, .name = shapes[t].name };
        opts.kind = shapes[t].values == ROWS ? LEAT_TABLE_LIST : LEAT_TABLE_FIXED;
        opts.key_size = shapes[t].keys == NUMBER_KEYS ? 8 : 0;
        opts.value_size = shapes[t].values == TEXTS ? sizeof(struct text_value) : 8;
        opts.key_text = "k";
        opts.format = opts.kind == LEAT_TABLE_FIXED ? "f1" : NULL;
        opts.row_type = note_type;
        opts.route = shapes[t].route;
        if (shapes[t].values == TEXTS)
            opts.codec = (struct leat_value_codec){ NULL, text_encode, text_decode, NULL };
        if (shapes[t].values == SUMS)
            opts.codec = (struct leat_value_codec){ NULL, NULL, NULL, sum_merge };
        const int code = leat__table_open(state, &opts, &tables[t], &err);
        FAIL_UNLESS(code == 0, "open %s: %s", opts.name, err.message);
    }
}

static struct leat_state *new_state(const char *from, const struct leat_table_info *infos,
    uint32_t infos_count, struct leat_table *tables[TABLES])
{
    struct leat_state *state = NULL;
    struct leat_error err = { 0 };
    char dir[128];
    const struct leat_state_opts opts = { .budget_bytes = world.budget,
        .key_groups = 128,
        .env = leat__env_posix(),
        .store_class = world.store_class,
        .dir = new_dir("live", dir),
        .background = &held_background,
        .from = from,
        .tables = infos,
        .tables_count = infos_count };
    const int code = leat__state_new(&opts, &state, &err);
    FAIL_UNLESS(code == 0, "state: %s", err.message);
    if (below(3)) /* collected as a whole, and in many steps, as only large namespaces are */
        state->whole_keys_min = 1 + below(40);
    if (below(2))
        state->step_work = 1 + below(60);
    if (below(2)) { /* arenas are put together all the time, a few slots at a time */
        state->garbage_min = 1 + below(300);
        state->compact_at_once = below(32);
    }
    open_tables(state, tables);
    return state;
}

static void close_state(struct leat_state *state, struct leat_table *tables[TABLES])
{
    leat__state_snapshot_end(state);
    for (uint32_t t = 0; t < TABLES; t++)
        leat__table_close(tables[t]);
    leat__state_free(state);
}

/* ---- single steps ---- */

struct picks {
    uint32_t count;
    uint32_t k[BATCH_MAX];
    char bytes[BATCH_MAX][64];
    struct leat_sv keys[BATCH_MAX];
    uint64_t hashes[BATCH_MAX];
    void *values[BATCH_MAX];
    const struct leat_list_row *lists[BATCH_MAX];
};
static struct picks picks;

static void pick(uint32_t t)
{
    const uint32_t range = below(3) == 0 ? KEYS : 12;
    picks.count = 1 + below(below(4) ? 6 : BATCH_MAX - 1);
    for (uint32_t i = 0; i < picks.count; i++) {
        picks.k[i] = below(range);
        picks.keys[i] = key_bytes(t, picks.k[i], picks.bytes[i]);
        picks.hashes[i] = leat__hash(picks.keys[i].data, picks.keys[i].len);
    }
}

static void walk_upsert(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    pick(t);
    const int code = leat__table_upsert(
        world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, picks.count, picks.values, &err);
    FAIL_UNLESS(code == 0, "upsert: %s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        struct model_entry *e = &live.entries[t][s][picks.k[i]];
        if (!e->exists)
            *e = (struct model_entry){ .exists = true };
        const int64_t got = value_get(t, picks.values[i]);
        FAIL_UNLESS(got == e->value, "upsert: table %u, space %u, key %u: %" PRIi64 ", want %" PRIi64, t, s,
            picks.k[i], got, e->value);
        e->value = below(4) ? e->value + below(1000) : (int64_t)(next_random() >> 2);
        value_set(world.tables[t], t, spaces[s], picks.values[i], e->value);
    }
}

static void walk_blind(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    pick(t);
    const int code = leat__table_upsert_blind(
        world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, picks.count, picks.values, &err);
    FAIL_UNLESS(code == 0, "blind: %s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        struct model_entry *e = &live.entries[t][s][picks.k[i]];
        const int64_t more = below(1000);
        if (!e->exists)
            *e = (struct model_entry){ .exists = true };
        e->value += more;
        *(int64_t *)picks.values[i] += more;
    }
}

static void walk_find(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    pick(t);
    const int code = leat__table_find(
        world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, picks.count, picks.values, &err);
    FAIL_UNLESS(code == 0, "find: %s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        const struct model_entry *e = &live.entries[t][s][picks.k[i]];
        FAIL_UNLESS((picks.values[i] != NULL) == e->exists, "find: table %u, space %u, key %u: %s there", t,
            s, picks.k[i], e->exists ? "not" : "is");
        if (picks.values[i])
            assert_int_equal(value_get(t, picks.values[i]), e->value);
    }
}

/* Finds a value, does something else or not, and writes it after all. */
static void walk_rewrite(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    struct leat_table *table = world.tables[t];
    pick(t);
    struct model_entry *e = &live.entries[t][s][picks.k[0]];
    const uint64_t version = leat__table_version(table, spaces[s]);
    int code = leat__table_find_one(table, spaces[s], picks.keys[0], picks.hashes[0], picks.values, &err);
    FAIL_UNLESS(code == 0, "find: %s", err.message);
    void *value = picks.values[0];
    assert_true((value != NULL) == e->exists);
    if (!value)
        return;
    if (below(3) == 0) {
        void *other;
        code =
            leat__table_find(table, spaces[below(SPACES)], picks.keys, picks.hashes, NULL, 1, &other, &err);
        FAIL_UNLESS(code == 0, "find: %s", err.message);
    }
    code = leat__table_rewrite(table, spaces[s], version, value, &err);
    FAIL_UNLESS(code >= 0, "rewrite: %s", err.message);
    if (code == 0)
        return;
    assert_int_equal(value_get(t, value), e->value);
    e->value = *(int64_t *)value += 1 + below(1000);
}

static void walk_append(uint32_t t, uint32_t s)
{
    static char texts[BATCH_MAX][80];
    uint8_t flags[BATCH_MAX];
    struct leat_batch *batch = NULL;
    struct leat_error err = { 0 };
    pick(t);
    assert_int_equal(leat__batch_get(pool, note_type, &batch), 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < picks.count; i++) {
        struct model_entry *e = &live.entries[t][s][picks.k[i]];
        if (!e->exists)
            *e = (struct model_entry){ .exists = true };
        if (e->rows_count == ROWS_MAX)
            break;
        struct note *note = leat__batch_push(batch);
        note->id = world.next_id++;
        const int len = snprintf(texts[i], 80, "%*" PRIi64, (int)below(50), note->id);
        note->text = (struct leat_sv){ texts[i], (size_t)len };
        batch->event_us[i] = note->id * 3;
        flags[i] = below(3) ? 0 : (uint8_t)below(200);
        e->rows[e->rows_count++] = (struct model_row){ note->id, flags[i] };
        count++;
    }
    if (count < picks.count && !live.entries[t][s][picks.k[count]].rows_count)
        live.entries[t][s][picks.k[count]].exists = false;
    const int code = leat__table_append_flagged(
        world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, count, batch, flags, &err);
    FAIL_UNLESS(code == 0, "append: %s", err.message);
    memset(texts, 'x', sizeof texts);
    leat__batch_release(batch);
}

static void check_list(const struct model_entry *e, const struct leat_list_row *row)
{
    uint32_t count = 0;
    for (; row; row = row->next, count++) {
        const struct note *note = row->record;
        char text[32] = { 0 };
        FAIL_UNLESS(count < e->rows_count, "more than %u rows", e->rows_count);
        FAIL_UNLESS(note->id == e->rows[count].id, "row %u of %u: %d, want %d", count, e->rows_count,
            (int)note->id, (int)e->rows[count].id);
        assert_int_equal(row->event_us, note->id * 3);
        assert_int_equal(*row->flags, e->rows[count].flags);
        size_t from = 0;
        while (from < note->text.len && note->text.data[from] == ' ')
            from++;
        memcpy(text, note->text.data + from, note->text.len - from);
        assert_int_equal(strtoll(text, NULL, 10), note->id);
    }
    assert_int_equal(count, e->rows_count);
}

/* Takes some rows out of the list that pick i has got. */
static void cut_some(uint32_t t, uint32_t s, uint32_t i)
{
    struct model_entry *e = &live.entries[t][s][picks.k[i]];
    const struct leat_list_row *before = NULL;
    for (uint32_t k = 0; k < i; k++)
        if (picks.k[k] == picks.k[i])
            return; /* its list is no longer what it was */
    const uint32_t one_in = 1 + below(4);
    const struct leat_list_row *row = picks.lists[i];
    for (uint32_t n = 0; row;) {
        const struct leat_list_row *next = row->next;
        if (below(one_in)) {
            before = row;
            n++;
        } else {
            struct leat_error err = { 0 };
            const int code =
                leat__table_cut(world.tables[t], spaces[s], picks.keys[i], picks.hashes[i], before, &err);
            FAIL_UNLESS(code == 0, "cut: %s", err.message);
            memmove(&e->rows[n], &e->rows[n + 1], (--e->rows_count - n) * sizeof *e->rows);
            e->exists = e->rows_count > 0;
        }
        row = next;
    }
}

/* Puts a row somewhere into a list, perhaps instead of another. */
static void put_one(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    struct leat_batch *batch = NULL;
    char text[80];
    pick(t);
    struct model_entry *e = &live.entries[t][s][picks.k[0]];
    int code =
        leat__table_lists(world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, 1, picks.lists, &err);
    FAIL_UNLESS(code == 0, "lists: %s", err.message);
    if (!e->exists || e->rows_count == ROWS_MAX)
        return;
    const uint32_t to = below(e->rows_count + 1), gone = below(e->rows_count);
    const struct leat_list_row *row = picks.lists[0];
    struct leat_list_put put = { .replaces = below(3) > 0 && gone + 1 != to };
    for (uint32_t i = 0; row; row = row->next, i++) {
        put.before = i + 1 == to ? row : put.before;
        put.gone_before = i + 1 == gone ? row : put.gone_before;
    }
    assert_int_equal(leat__batch_get(pool, note_type, &batch), 0);
    struct note *note = leat__batch_push(batch);
    note->id = world.next_id++;
    note->text =
        (struct leat_sv){ text, (size_t)snprintf(text, sizeof text, "%*" PRIi64, (int)below(50), note->id) };
    batch->event_us[0] = note->id * 3;
    put.batch = batch;
    code = leat__table_put(world.tables[t], spaces[s], picks.keys[0], picks.hashes[0], &put, &err);
    FAIL_UNLESS(code == 0, "put: %s", err.message);
    const struct model_row fresh = { note->id, 0 };
    memset(text, 'x', sizeof text);
    leat__batch_release(batch);
    memmove(&e->rows[to + 1], &e->rows[to], (e->rows_count++ - to) * sizeof *e->rows);
    e->rows[to] = fresh;
    const uint32_t out = gone + (gone >= to);
    if (put.replaces)
        memmove(&e->rows[out], &e->rows[out + 1], (--e->rows_count - out) * sizeof *e->rows);
}

/* Of the first two rows of a list that are old enough the older one goes, again and again. */
static void prune_some(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    pick(t);
    const struct model_entry *any = &live.entries[t][s][picks.k[below(picks.count)]];
    const int64_t until_us = any->rows_count ? any->rows[below(any->rows_count)].id * 3 : INT64_MAX;
    const int code = leat__table_prune(
        world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, picks.count, until_us, &err);
    FAIL_UNLESS(code == 0, "prune: %s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        struct model_entry *e = &live.entries[t][s][picks.k[i]];
        while (e->rows_count > 1 && e->rows[0].id * 3 <= until_us && e->rows[1].id * 3 <= until_us) {
            const uint32_t goes = e->rows[0].id <= e->rows[1].id ? 0 : 1;
            memmove(&e->rows[goes], &e->rows[goes + 1], (--e->rows_count - goes) * sizeof *e->rows);
        }
    }
}

static void walk_lists(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    pick(t);
    const int code = leat__table_lists(
        world.tables[t], spaces[s], picks.keys, picks.hashes, NULL, picks.count, picks.lists, &err);
    FAIL_UNLESS(code == 0, "lists: %s", err.message);
    for (uint32_t i = 0; i < picks.count; i++) {
        struct model_entry *e = &live.entries[t][s][picks.k[i]];
        assert_true((picks.lists[i] != NULL) == e->exists);
        check_list(e, picks.lists[i]);
        if (!e->exists || below(3))
            continue;
        assert_int_equal(
            leat__table_flagged(world.tables[t], spaces[s], picks.keys[i], picks.hashes[i], NULL), 0);
        uint32_t n = 0;
        for (const struct leat_list_row *row = picks.lists[i]; row; row = row->next, n++)
            if (below(3) == 0)
                e->rows[n].flags = *row->flags = (uint8_t)(1 + below(200));
    }
    for (uint32_t i = 0; i < picks.count; i++)
        if (picks.lists[i] && below(4) == 0)
            cut_some(t, s, i);
    if (below(4) == 0)
        prune_some(t, s);
    for (uint32_t n = below(4); n > 0; n--)
        put_one(t, s);
}

static void walk_remove(uint32_t t, uint32_t s)
{
    struct leat_error err = { 0 };
    pick(t);
    for (uint32_t i = 0; i < picks.count && i < 8; i++) {
        const int code = leat__table_remove(world.tables[t], spaces[s], picks.keys[i], picks.hashes[i], &err);
        FAIL_UNLESS(code == 0, "remove: %s", err.message);
        live.entries[t][s][picks.k[i]].exists = false;
        live.entries[t][s][picks.k[i]].rows_count = 0;
    }
}

static void walk_drop(uint32_t t, uint32_t s)
{
    assert_int_equal(leat__table_drop(world.tables[t], spaces[s], NULL), 0);
    memset(live.entries[t][s], 0, sizeof live.entries[t][s]);
}

/* One walk over a namespace: everything once, in order if asked for; changes some values where `change`. */
static void walk_cursor(struct leat_table *table, struct model *model, uint32_t t, uint32_t s, bool change)
{
    struct leat_cursor *cursor = NULL;
    struct leat_cursor_item items[20];
    struct leat_error err = { 0 };
    bool seen[KEYS] = { false };
    char last[64];
    size_t last_len = 0;
    uint32_t count = 0, want = 0;
    const bool ordered = below(2);
    const uint32_t flags = (ordered ? LEAT_CURSOR_ORDERED : 0) | (change ? 0 : LEAT_CURSOR_READ);
    int code = leat__cursor_open(table, spaces[s], flags, &cursor, &err);
    FAIL_UNLESS(code == 0, "cursor: %s", err.message);
    for (int64_t got; (got = leat__cursor_next(cursor, items, 1 + below(20), &err)) != 0;) {
        FAIL_UNLESS(got > 0, "cursor: %s", err.message);
        for (int64_t i = 0; i < got; i++, count++) {
            const uint32_t k = key_index(t, items[i].key);
            struct model_entry *e = &model->entries[t][s][k];
            FAIL_UNLESS(e->exists && !seen[k], "cursor: table %u, space %u, key %u%s", t, s, k,
                seen[k] ? " twice" : " is none");
            seen[k] = true;
            assert_int_equal(items[i].hash, leat__hash(items[i].key.data, items[i].key.len));
            if (ordered && count > 0)
                assert_true(leat_sv_cmp((struct leat_sv){ last, last_len }, items[i].key) < 0);
            memcpy(last, items[i].key.data, last_len = items[i].key.len);
            if (shapes[t].values == ROWS) {
                check_list(e, items[i].value);
                uint32_t n = 0;
                for (const struct leat_list_row *row = items[i].value; row && change && below(4) == 0;
                     row = row->next, n++) {
                    if (n == 0)
                        assert_int_equal(
                            leat__table_flagged(table, spaces[s], items[i].key, items[i].hash, NULL), 0);
                    e->rows[n].flags = *row->flags = (uint8_t)(1 + below(200));
                }
                continue;
            }
            assert_int_equal(value_get(t, items[i].value), e->value);
            if (change && below(3) == 0) {
                e->value = (int64_t)(next_random() >> 3);
                value_set(table, t, spaces[s], items[i].value, e->value);
            }
        }
    }
    leat__cursor_close(cursor);
    for (uint32_t k = 0; k < KEYS; k++)
        want += model->entries[t][s][k].exists;
    FAIL_UNLESS(count == want, "cursor: table %u, space %u: %u keys, want %u", t, s, count, want);
}

static void check_all(struct leat_table *tables[TABLES], struct model *model)
{
    for (uint32_t t = 0; t < TABLES; t++) {
        for (uint32_t s = 0; s < SPACES; s++) {
            walk_cursor(tables[t], model, t, s, false);
            uint32_t want = 0;
            for (uint32_t k = 0; k < KEYS; k++)
                want += model->entries[t][s][k].exists;
            /* A checkpoint's counts are those of a moment later. */
            assert_true(world.restored || leat__table_keys_count(tables[t], spaces[s]) >= want);
        }
        for (uint32_t s = 0; s < SPACES; s++) { /* every namespace with a key is found */
            int64_t ns = spaces[s];
            bool any = false;
            for (uint32_t k = 0; k < KEYS; k++)
                any |= model->entries[t][s][k].exists;
            const int found = leat__table_next_namespace(tables[t], spaces[s], &ns, NULL);
            assert_true(!any || (found == 1 && ns == spaces[s]));
        }
    }
}

/* ---- snapshots ---- */

static void freeze_one(uint32_t n)
{
    leat__state_freeze(world.state, nodes[n]);
    world.node_frozen[n] = world.freezing = true;
    for (uint32_t t = 0; t < TABLES; t++)
        if (strcmp(shapes[t].node, nodes[n]) == 0)
            memcpy(frozen.entries[t], live.entries[t], sizeof live.entries[t]);
}

static void end_snapshot(void)
{
    leat__state_snapshot_end(world.state);
    world.freezing = world.snapshotting = false;
    memset(world.node_frozen, 0, sizeof world.node_frozen);
}

/* All entries of the checkpoint, spread over new workers, are those of the model and each with its owner. */
static void check_split(const char *from, const struct leat_table_info *infos, uint32_t infos_count);

static void check_restored(void)
{
    struct leat_snapshot_stats stats;
    struct leat_arena arena = { 0 };
    struct leat_table_info *infos;
    uint32_t infos_count;
    leat__state_snapshot_stats(world.state, &stats);
    assert_int_equal(leat__state_tables(world.state, &arena, &infos, &infos_count), 0);
    const char *from = stats.has_store ? world.checkpoint : NULL;
    end_snapshot();
    const uint32_t what = below(4);
    struct leat_table *tables[TABLES];
    if (what < 3) {
        struct leat_state *state = new_state(from, infos, infos_count, tables);
        const bool restored = world.restored;
        world.restored = true;
        if (what > 0)
            check_all(tables, &frozen);
        world.restored = what < 2 || restored;
        if (what < 2) { /* go on from here */
            close_state(world.state, world.tables);
            world.state = state;
            memcpy(world.tables, tables, sizeof tables);
            live = frozen;
        } else {
            close_state(state, tables);
        }
    } else if (from) {
        check_split(from, infos, infos_count);
    }
    leat__arena_release(&arena);
}

static void begin_snapshot(void)
{
    struct leat_error err = { 0 };
    const int code = leat__state_snapshot(world.state, new_dir("checkpoint", world.checkpoint), &err);
    FAIL_UNLESS(code == 0, "snapshot: %s", err.message);
    world.snapshotting = true;
}

static void walk_snapshot(void)
{
    struct leat_error err = { 0 };
    if (world.freezing && below(25) == 0) {
        end_snapshot();
        return;
    }
    if (!world.snapshotting) {
        const uint32_t n = below(COUNT_OF(nodes));
        if (!world.node_frozen[n])
            freeze_one(n);
        for (uint32_t i = 0; i < COUNT_OF(nodes); i++)
            if (!world.node_frozen[i])
                return;
        begin_snapshot();
        return;
    }
    int code = leat__state_snapshot_step(world.state, &err);
    if (code == 0)
        code = leat__state_snapshot_poll(world.state, &err);
    else
        code = code < 0 ? code : 0;
    FAIL_UNLESS(code >= 0, "snapshot: %s", err.message);
    if (code > 0 && below(3) == 0) /* else it is made and not put away yet: work goes on */
        check_restored();
}

static uint32_t parallelism_of(void *arg, const struct leat_table_info *info)
{
    return strcmp(info->node, "sums") == 0 ? 1 : *(uint32_t *)arg;
}

/* Takes what one worker has out of the model of what is still to be found. */
static void take_out(struct leat_table *tables[TABLES], struct model *rest, uint32_t worker, uint32_t workers)
{
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t s = 0; s < SPACES; s++) {
            struct leat_cursor *cursor = NULL;
            struct leat_cursor_item item;
            assert_int_equal(leat__cursor_open(tables[t], spaces[s], LEAT_CURSOR_READ, &cursor, NULL), 0);
            while (leat__cursor_next(cursor, &item, 1, NULL) > 0) {
                struct model_entry *e = &rest->entries[t][s][key_index(t, item.key)];
                const struct leat_sv routed = leat__key_route(&shapes[t].route, item.key);
                const uint32_t owner = strcmp(shapes[t].node, "sums") == 0
                    ? 0
                    : leat__key_group_owner(
                          leat__key_group(leat__hash(routed.data, routed.len), 128), 128, workers);
                assert_int_equal(owner, worker);
                assert_true(e->exists);
                if (shapes[t].values == ROWS)
                    check_list(e, item.value);
                else
                    assert_int_equal(value_get(t, item.value), e->value);
                e->exists = false;
            }
            leat__cursor_close(cursor);
        }
}

static void check_split(const char *from, const struct leat_table_info *infos, uint32_t infos_count)
{
    static struct model rest;
    uint32_t workers = 1 + below(WORKERS_MAX);
    char dirs[WORKERS_MAX][128];
    const char *to[WORKERS_MAX];
    struct leat_error err = { 0 };
    rest = frozen;
    for (uint32_t w = 0; w < workers; w++)
        to[w] = new_dir("split", dirs[w]);
    const struct leat_split_opts opts = { .env = leat__env_posix(),
        .store_class = world.store_class,
        .from = &from,
        .from_count = 1,
        .to = to,
        .to_count = workers,
        .key_groups = 128,
        .tables = infos,
        .tables_count = infos_count,
        .parallelism = parallelism_of,
        .arg = &workers };
    int code = leat__state_split(&opts, &err);
    FAIL_UNLESS(code == 0, "split: %s", err.message);
    for (uint32_t w = 0; w < workers; w++) {
        struct leat_table *tables[TABLES];
        struct leat_file_info info;
        const bool made = leat__env_posix()->fs_stat(leat__env_posix(), to[w], &info, NULL) == 0;
        struct leat_state *state = new_state(made ? to[w] : NULL, infos, infos_count, tables);
        take_out(tables, &rest, w, workers);
        close_state(state, tables);
    }
    for (uint32_t t = 0; t < TABLES; t++)
        for (uint32_t s = 0; s < SPACES; s++)
            for (uint32_t k = 0; k < KEYS; k++)
                FAIL_UNLESS(
                    !rest.entries[t][s][k].exists, "split: table %u, space %u, key %u is lost", t, s, k);
}

/* ---- the walk ---- */

/* Every slot is found by its key, marked where it is dirty, and counted. */
static void audit_slice(const struct leat_table *table, const struct leat__slice *slice)
{
    uint64_t count = 0, dirty = 0;
    for (uint64_t i = 0; i < slice->capacity; i++) {
        const unsigned char *slot = slice->slots + i * table->slot_size;
        const uint64_t word = leat__slot_word(slot);
        if (word == 0)
            continue;
        const struct leat_sv key = leat__slot_key(table, slot);
        FAIL_UNLESS(leat__slice_slot(table, slice, key, leat__hash(key.data, key.len)) == slot,
            "a slot can not be found");
        count++;
        if (word & LEAT__DIRTY) {
            dirty++;
            FAIL_UNLESS(slice->marks[i >> 12] >> (i >> 6 & 63) & 1, "a dirty slot without a mark");
        }
        FAIL_UNLESS(!(word & LEAT__PARTIAL) || slice->incomplete, "partial in a complete slice");
    }
    assert_int_equal(count, slice->count);
    assert_int_equal(dirty, slice->dirty);
    assert_true(slice->stored || !slice->incomplete);
}

static void audit(void)
{
    for (const struct leat_table *table = world.state->tables; table; table = table->next)
        for (uint32_t i = 0; i < table->slices_count; i++)
            audit_slice(table, table->slices[table->slices_head + i]);
}

static void walk_once(void)
{
    const uint32_t t = below(TABLES), s = below(SPACES);
    const bool rows = shapes[t].values == ROWS;
    const uint32_t what = below(100);
    if (what < 35) {
        if (rows)
            walk_append(t, s);
        else if (shapes[t].values == SUMS && below(3))
            walk_blind(t, s);
        else
            walk_upsert(t, s);
    } else if (what < 50) {
        if (rows)
            walk_lists(t, s);
        else
            walk_find(t, s);
        if (shapes[t].values == RAW || shapes[t].values == SUMS)
            walk_rewrite(t, s);
    } else if (what < 60) {
        walk_remove(t, s);
    } else if (what < 70) {
        walk_cursor(world.tables[t], &live, t, s, below(2));
    } else if (what < 73) {
        walk_drop(t, s);
    } else if (what < 97) {
        walk_snapshot();
    } else {
        run_some_tasks();
    }
    if (below(4) == 0)
        run_some_tasks();
    audit();
}

static void remove_tree(const char *path)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

static void walk(const struct leat_store_class *store_class, uint64_t budget, uint32_t rounds, uint64_t seed)
{
    const int64_t blocks = leat__alloc_live();
    random_state = seed * 2 + 1;
    memset(&world, 0, sizeof world);
    memset(&live, 0, sizeof live);
    world.store_class = store_class;
    world.budget = budget;
    snprintf(world.root, sizeof world.root, "/tmp/leat-table-store-XXXXXX");
    assert_non_null(mkdtemp(world.root));
    assert_int_equal(leat__pool_new(256, &pool), 0);
    tasks_run_at_once = below(4) == 0;
    world.state = new_state(NULL, NULL, 0, world.tables);
    if (below(2)) { /* of nothing */
        for (uint32_t n = 0; n < COUNT_OF(nodes); n++)
            freeze_one(n);
        begin_snapshot();
    }
    for (uint32_t i = 0; i < rounds; i++)
        walk_once();
    check_all(world.tables, &live);
    close_state(world.state, world.tables);
    leat__pool_free(pool);
    assert_int_equal(tasks_count, 0);
    assert_int_equal(leat__alloc_live(), blocks);
    remove_tree(world.root);
}

static void walk_budgets(const struct leat_store_class *store_class, uint32_t rounds, uint64_t first_seed)
{
    const char *given = getenv("LEAT_SEED");
    const char *many = getenv("LEAT_WALKS");
    const uint64_t budgets[] = { 1, 4096, 40000, 1 << 20, 0 };
    const uint32_t walks = many ? (uint32_t)strtoul(many, NULL, 10) : 1;
    for (uint32_t n = 0; n < walks; n++)
        for (uint32_t b = 0; b < COUNT_OF(budgets); b++) {
            const uint64_t seed = (given ? strtoull(given, NULL, 10) : first_seed) + n;
            print_message(
                "%s, budget %" PRIu64 ", LEAT_SEED=%" PRIu64 "\n", store_class->name, budgets[b], seed);
            walk(store_class, budgets[b], rounds, seed);
        }
}

static void test_random_walk__given_the_store_in_memory__then_every_answer_is_that_of_the_model(void **unused)
{
    (void)unused;
    walk_budgets(&leat__store_memory, 3000, 20261121);
}

/* The first snapshots of a life. */
static void test_random_walk__given_many_short_ones__then_every_answer_is_that_of_the_model(void **unused)
{
    (void)unused;
    for (uint32_t n = 0; n < 20; n++)
        walk_budgets(&leat__store_memory, 40, 20261122 + n);
}

static void test_random_walk__given_rocksdb__then_every_answer_is_that_of_the_model(void **unused)
{
    (void)unused;
    walk_budgets(&leat__store_rocksdb, 400, 20261121);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_walk__given_the_store_in_memory__then_every_answer_is_that_of_the_model),
        cmocka_unit_test(test_random_walk__given_many_short_ones__then_every_answer_is_that_of_the_model),
        cmocka_unit_test(test_random_walk__given_rocksdb__then_every_answer_is_that_of_the_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
