/* tests/unit/runtime/test_outbox.c -- outbox files: what goes in comes out, what is damaged is found before its end,
 * files get into checkpoints. test_delivery.c sends them. */
#include "base/alloc.h"
#include "tests/support/memory_env.h"
#include "tests/support/outbox_world.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A context with an outbox, for records of one's own. */
struct box {
    struct leat_env *env;
    struct leat_node node;
    struct leat_counters counters;
    struct leat_error err;
    struct leat__ctx ctx;
    struct leat_outbox_list list;
};

static void set_up(struct box *b)
{
    memset(b, 0, sizeof *b);
    b->env = memory_env_new(1);
    b->node = (struct leat_node){ .name = "out", .kind_name = "sink" };
    b->ctx = (struct leat__ctx){
        .node = &b->node, .subtask = 3, .env = b->env, .counters = &b->counters, .error = &b->err
    };
    assert_int_equal(leat__spool_prepare(b->env, "spool", &b->err), 0);
    assert_int_equal(b->env->fs_mkdir(b->env, "chk", &b->err), 0);
    assert_int_equal(leat__outbox_open(&b->ctx, "spool"), 0);
}

static void tear_down(struct box *b)
{
    leat__outbox_close(&b->ctx);
    leat__outbox_list_release(&b->list, b->env);
    assert_int_equal(memory_env_open_count(b->env), 0);
    memory_env_free(b->env);
}

static void must(struct box *b, int code)
{
    FAIL_UNLESS(code == 0, "%d %s", code, b->err.message);
}

/* Record i of a run: sizes around what windows and buffers have. */
static const size_t sizes[] = { 0, 1, 7, 100, 4096, 65535, 262143, 262144, 262145, 700000 };
static char filling[700000];

static struct leat_outbox_record nth(uint32_t i)
{
    const size_t size = sizes[i % COUNT_OF(sizes)];
    return (struct leat_outbox_record){
        .partition = (int32_t)i - 2,
        .time_us = i % 3 == 0 ? INT64_MIN : (int64_t)i * 1000,
        .key = i % 4 == 0 ? (struct leat_sv){ NULL, 0 } : (struct leat_sv){ filling + i, i % 4 - 1 },
        .value = i % 5 == 0 ? (struct leat_sv){ NULL, 0 } : (struct leat_sv){ filling, size },
        .headers = i % 7 < 4 ? (struct leat_sv){ NULL, 0 } : (struct leat_sv){ filling + 2 * i, i % 7 - 4 },
        .topic = i % 6 < 3 ? (struct leat_sv){ NULL, 0 } : (struct leat_sv){ filling + 3 * i, i % 6 - 3 },
    };
}

static bool is_same_text(struct leat_sv a, struct leat_sv b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len &&
        (a.len == 0 || !memcmp(a.data, b.data, a.len));
}

static int add_one(struct box *b, struct leat_sv key, struct leat_sv value)
{
    const struct leat_outbox_record r = { .key = key, .value = value, .headers = LEAT_SV("h"), .time_us = 1 };
    return leat__outbox_add(&b->ctx, &r);
}

static void expect_same(struct leat_outbox_record got, struct leat_outbox_record want)
{
    assert_int_equal(got.partition, want.partition);
    assert_int_equal(got.time_us, want.time_us);
    assert_true(is_same_text(got.key, want.key) && is_same_text(got.value, want.value));
    assert_true(is_same_text(got.headers, want.headers) && is_same_text(got.topic, want.topic));
}

static void add(struct box *b, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct leat_outbox_record r = nth(i);
        must(b, leat__outbox_add(&b->ctx, &r));
    }
}

/* Reads on as long as records are the right ones: 0 at the end, or the error; *count: how many there were. */
static int read_all(struct box *b, const char *const *paths, uint32_t files, uint32_t slot, uint64_t epoch,
    uint64_t records, uint32_t *count)
{
    struct leat_outbox_reader *reader;
    struct leat_outbox_record got;
    *count = 0;
    int code = leat__outbox_reader_open(b->env, paths, files, "out", slot, epoch, records, &reader, &b->err);
    if (code < 0) {
        assert_null(reader);
        return code;
    }
    while ((code = leat__outbox_next(reader, &got, &b->err)) == 1) {
        const struct leat_outbox_record want = nth((*count)++);
        expect_same(got, want);
    }
    assert_int_equal(leat__outbox_reader_is_done(reader), code == 0);
    if (code == 0)
        assert_int_equal(leat__outbox_next(reader, &got, &b->err), 0);
    else if (code == LEAT_EDATA)
        assert_int_equal(leat__outbox_next(reader, &got, &b->err), LEAT_EDATA);
    leat__outbox_reader_close(reader);
    return code;
}

static const char *const first_path[] = { "chk/outbox-out-3-1" };

static void test_outbox__given_records_of_all_sizes__when_placed__then_they_are_read_as_they_were(
    void **state)
{
    (void)state;
    struct box b;
    uint32_t count;
    set_up(&b);
    for (size_t i = 0; i < sizeof filling; i++)
        filling[i] = (char)(i * 31);
    add(&b, 0, 60);
    must(&b, leat__outbox_cut(&b.ctx, 5, &b.list));
    must(&b, leat__outbox_cut(&b.ctx, 6, &b.list)); /* nothing */
    assert_int_equal(b.list.count, 1);
    assert_int_equal(b.list.files[0].records, 60);
    must(&b, leat__outbox_place(&b.list, b.env, "chk", &b.err));
    must(&b, read_all(&b, first_path, 1, 3, 5, 60, &count));
    assert_int_equal(count, 60);
    tear_down(&b);
}

static void test_outbox__given_files_of_several_epochs__when_read_as_one__then_in_order_and_nothing_between(
    void **state)
{
    static const char *const paths[] = { "chk/outbox-out-3-1", "chk/outbox-out-3-2", "chk/outbox-out-3-3" };
    static const char *const twisted[] = { "chk/outbox-out-3-2", "chk/outbox-out-3-1", "chk/outbox-out-3-3" };
    (void)state;
    struct box b;
    uint32_t count;
    set_up(&b);
    for (uint32_t i = 0; i < 3; i++) {
        add(&b, 10 * i, 10 * i + 10);
        must(&b, leat__outbox_cut(&b.ctx, i + 1, &b.list));
    }
    must(&b, leat__outbox_place(&b.list, b.env, "chk", &b.err));
    must(&b, read_all(&b, paths, 3, 3, 3, 30, &count));
    assert_int_equal(count, 30);
    assert_int_equal(read_all(&b, paths, 3, 3, 2, 30, &count), LEAT_EDATA); /* one is too new */
    assert_int_equal(read_all(&b, paths, 2, 3, 3, 30, &count), LEAT_EDATA); /* one is missing */
    assert_int_equal(read_all(&b, paths, 3, 3, 3, 29, &count), LEAT_EDATA);
    assert_int_equal(read_all(&b, paths, 3, 2, 3, 30, &count), LEAT_EDATA); /* another slot */
    assert_non_null(strstr(b.err.message, "it is that of another sink"));
    struct leat_outbox_reader *reader;
    struct leat_outbox_record record;
    must(&b, leat__outbox_reader_open(b.env, twisted, 3, "out", 3, 3, 30, &reader, &b.err));
    int code;
    while ((code = leat__outbox_next(reader, &record, &b.err)) == 1)
        ;
    assert_int_equal(code, LEAT_EDATA);
    assert_non_null(strstr(b.err.message, "it is of another epoch"));
    leat__outbox_reader_close(reader);
    tear_down(&b);
}

static void test_outbox__given_each_byte_changed_or_cut__when_read__then_found_before_its_end(void **state)
{
    (void)state;
    struct box b;
    size_t size;
    set_up(&b);
    for (uint32_t i = 1; i < 4; i++) /* small ones */
        must(&b, add_one(&b, LEAT_SV("k"), LEAT_SV("value")));
    must(&b, leat__outbox_cut(&b.ctx, 1, &b.list));
    must(&b, leat__outbox_place(&b.list, b.env, "chk", &b.err));
    const void *bytes = memory_env_get(b.env, first_path[0], &size);
    char *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    for (size_t at = 0; at < size; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct leat_outbox_reader *reader;
            struct leat_outbox_record record;
            copy[at] ^= (char)(1u << bit);
            memory_env_put(b.env, "chk/changed", copy, size);
            copy[at] ^= (char)(1u << bit);
            const char *path = "chk/changed";
            int code = leat__outbox_reader_open(b.env, &path, 1, "out", 3, 1, 3, &reader, &b.err);
            while (code == 0 && (code = leat__outbox_next(reader, &record, &b.err)) == 1) {
                assert_true(leat_sv_eq(record.value, LEAT_SV("value"))); /* what is given is right */
                code = 0;
                if (leat__outbox_reader_is_done(reader))
                    break;
            }
            FAIL_UNLESS(code == LEAT_EDATA || (at == 7 && code == LEAT_EUNSUPPORTED), "byte %zu bit %u: %d",
                at, bit, code);
            leat__outbox_reader_close(reader);
        }
    }
    for (size_t cut = 0; cut < size; cut++) {
        const char *path = "chk/changed";
        memory_env_put(b.env, path, copy, cut);
        struct leat_outbox_reader *reader;
        struct leat_outbox_record record;
        int code = leat__outbox_reader_open(b.env, &path, 1, "out", 3, 1, 3, &reader, &b.err);
        while (code == 0 && leat__outbox_next(reader, &record, &b.err) == 1)
            ;
        assert_int_equal(b.err.code, LEAT_EDATA);
        if (reader)
            assert_false(leat__outbox_reader_is_done(reader));
        leat__outbox_reader_close(reader);
    }
    copy[size] = 'x'; /* more than it says */
    memory_env_put(b.env, "chk/changed", copy, size + 1);
    const char *path = "chk/changed";
    struct leat_outbox_reader *reader;
    struct leat_outbox_record record;
    int code;
    must(&b, leat__outbox_reader_open(b.env, &path, 1, "out", 3, 1, 3, &reader, &b.err));
    while ((code = leat__outbox_next(reader, &record, &b.err)) == 1)
        ;
    assert_int_equal(code, LEAT_EDATA);
    leat__outbox_reader_close(reader);
    free(copy);
    tear_down(&b);
}

static void test_outbox__given_a_record_that_is_too_large__when_added__then_refused_and_the_others_stay(
    void **state)
{
    (void)state;
    struct box b;
    uint32_t count;
    set_up(&b);
    add(&b, 0, 3);
    const struct leat_sv large = { filling, LEAT_OUTBOX_RECORD_BYTES_MAX };
    assert_int_equal(add_one(&b, large, LEAT_SV("")), LEAT_ELIMIT);
    assert_int_equal(add_one(&b, LEAT_SV("key"), large), LEAT_ELIMIT);
    const struct leat_sv half = { filling, LEAT_OUTBOX_RECORD_BYTES_MAX / 2 };
    assert_int_equal(add_one(&b, half, half), LEAT_ELIMIT);
    add(&b, 3, 5);
    must(&b, leat__outbox_cut(&b.ctx, 1, &b.list));
    must(&b, leat__outbox_place(&b.list, b.env, "chk", &b.err));
    must(&b, read_all(&b, first_path, 1, 3, 1, 5, &count));
    tear_down(&b);
}

/* ---- formats of earlier versions ---- */

#define GOLDEN_RECORDS 4u
#define GOLDEN_VERSION 2u

/* What the files in tests/golden have: the first format knew no topics and no headers. */
static struct leat_outbox_record golden_record(uint32_t version, uint32_t i)
{
    struct leat_outbox_record records[GOLDEN_RECORDS] = {
        { .partition = 3, .key = { "key", 3 }, .value = { "value", 5 }, .time_us = 1700000000000000 },
        { .partition = -1, .key = { NULL, 0 }, .value = { "", 0 }, .time_us = INT64_MIN },
        { .partition = 0, .key = { "", 0 }, .value = { NULL, 0 }, .time_us = 0 },
        { .partition = INT32_MAX, .key = { "k", 1 }, .value = { "\0\xff", 2 }, .time_us = INT64_MAX },
    };
    if (version > 1) {
        records[1].topic = LEAT_SV("");
        records[2].topic = LEAT_SV("late");
        records[2].headers = LEAT_SV("\1\0\0\0\1\0\0\0a\377\377\377\377");
        records[3].headers = LEAT_SV("");
    }
    return records[i];
}

/* LEAT_UPDATE_GOLDEN=1 writes the file of today's version; those of earlier ones are never made again. */
static void read_golden(struct box *b, uint32_t version, bool is_newest)
{
    char path[64];
    static char bytes[64 * 1024];
    (void)snprintf(path, sizeof path, "tests/golden/outbox/%u", version);
    if (is_newest && getenv("LEAT_UPDATE_GOLDEN")) {
        size_t size;
        const void *made = memory_env_get(b->env, first_path[0], &size);
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(made, 1, size, out), size);
        assert_int_equal(fclose(out), 0);
    }
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    const size_t size = fread(bytes, 1, sizeof bytes, in);
    (void)fclose(in);
    if (is_newest) {
        size_t made_size;
        const void *made = memory_env_get(b->env, first_path[0], &made_size);
        assert_int_equal(made_size, size);
        assert_memory_equal(made, bytes, size); /* another layout is another version */
    }
    memory_env_put(b->env, "chk/golden", bytes, size);
}

static void test_outbox__given_files_of_each_version__when_read__then_their_records(void **state)
{
    (void)state;
    for (uint32_t version = 1; version <= GOLDEN_VERSION; version++) {
        struct box b;
        struct leat_outbox_reader *reader;
        struct leat_outbox_record got;
        set_up(&b);
        for (uint32_t i = 0; i < GOLDEN_RECORDS; i++) {
            const struct leat_outbox_record r = golden_record(GOLDEN_VERSION, i);
            must(&b, leat__outbox_add(&b.ctx, &r));
        }
        must(&b, leat__outbox_cut(&b.ctx, 7, &b.list));
        must(&b, leat__outbox_place(&b.list, b.env, "chk", &b.err));
        read_golden(&b, version, version == GOLDEN_VERSION);
        const char *path = "chk/golden";
        must(&b, leat__outbox_reader_open(b.env, &path, 1, "out", 3, 7, GOLDEN_RECORDS, &reader, &b.err));
        for (uint32_t i = 0; i < GOLDEN_RECORDS; i++) {
            assert_int_equal(leat__outbox_next(reader, &got, &b.err), 1);
            expect_same(got, golden_record(version, i));
        }
        must(&b, leat__outbox_next(reader, &got, &b.err));
        leat__outbox_reader_close(reader);
        tear_down(&b);
    }
}

/* ---- files ---- */

static int refuse_links(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)arg;
    (void)n;
    (void)path;
    (void)size;
    return call == MEMORY_ENV_LINK ? LEAT_EUNSUPPORTED : 0;
}

static void test_outbox__given_no_hard_links__when_placed__then_copied_and_synced(void **state)
{
    (void)state;
    struct box b;
    uint32_t count;
    set_up(&b);
    add(&b, 0, 20);
    must(&b, leat__outbox_cut(&b.ctx, 1, &b.list));
    memory_env_set_hook(b.env, refuse_links, NULL);
    must(&b, leat__outbox_place(&b.list, b.env, "chk", &b.err));
    must(&b, read_all(&b, first_path, 1, 3, 1, 20, &count));
    tear_down(&b);
}

static int refuse_syncs(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)n;
    (void)path;
    (void)size;
    return call == MEMORY_ENV_SYNC && *(bool *)arg ? LEAT_EIO : 0;
}

static void test_outbox__given_a_sync_that_failed_once__when_placed_again__then_never_believed(void **state)
{
    (void)state;
    struct box b;
    bool fails = true;
    set_up(&b);
    add(&b, 0, 5);
    must(&b, leat__outbox_cut(&b.ctx, 1, &b.list));
    memory_env_set_hook(b.env, refuse_syncs, &fails);
    assert_int_equal(leat__outbox_place(&b.list, b.env, "chk", &b.err), LEAT_EIO);
    assert_non_null(strstr(b.err.message, "spool/out-3-1"));
    fails = false;
    assert_int_equal(leat__outbox_place(&b.list, b.env, "chk", &b.err), LEAT_EIO);
    assert_non_null(strstr(b.err.message, "start from the last checkpoint"));
    tear_down(&b);
}

static void test_outbox__given_leftovers__when_a_job_begins_or_an_instance_ends__then_the_spool_is_empty(
    void **state)
{
    (void)state;
    struct box b;
    set_up(&b);
    const size_t files = memory_env_files_count(b.env);
    memory_env_put(b.env, "spool/out-3-1", "x", 1);
    memory_env_put(b.env, "spool/other-0-7", "x", 1);
    must(&b, leat__spool_prepare(b.env, "spool", &b.err));
    assert_int_equal(memory_env_files_count(b.env), files);
    add(&b, 0, 5);
    must(&b, leat__outbox_cut(&b.ctx, 1, &b.list));
    add(&b, 5, 6);
    assert_int_equal(memory_env_files_count(b.env), files + 2);
    leat__outbox_close(&b.ctx);
    assert_int_equal(memory_env_files_count(b.env), files + 1);
    leat__outbox_list_release(&b.list, b.env);
    assert_int_equal(memory_env_files_count(b.env), files);
    tear_down(&b);
}

/* Everything once, for loops over failing calls. */
static int write_and_read(struct box *b)
{
    uint32_t count;
    for (uint32_t i = 0; i < 12; i++) {
        const struct leat_outbox_record r = nth(i);
        LEAT_TRY(leat__outbox_add(&b->ctx, &r));
    }
    LEAT_TRY(leat__outbox_cut(&b->ctx, 1, &b->list));
    LEAT_TRY(leat__outbox_place(&b->list, b->env, "chk", &b->err));
    LEAT_TRY(read_all(b, first_path, 1, 3, 1, 12, &count));
    assert_int_equal(count, 12);
    return 0;
}

static void test_outbox__given_each_call_or_allocation_failing__when_used__then_an_error_and_no_leak(
    void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        bool was_reached = true;
        for (uint64_t n = 1; was_reached; n++) {
            struct box b;
            set_up(&b);
            const int64_t live = leat__alloc_live();
            const uint64_t calls = memory_env_calls_count(b.env), allocations = leat__alloc_calls();
            if (kind == 0)
                memory_env_fail_at(b.env, n, LEAT_EIO);
            else
                leat__alloc_fail_at(n);
            const int code = write_and_read(&b);
            memory_env_fail_at(b.env, 0, 0);
            leat__alloc_fail_at(0);
            was_reached = kind == 0 ? memory_env_calls_count(b.env) - calls >= n
                                    : code < 0 || leat__alloc_calls() - allocations >= n;
            FAIL_UNLESS(
                code == 0 || code == (kind == 0 ? LEAT_EIO : LEAT_ENOMEM), "%d %s", code, b.err.message);
            assert_true(code == 0 || strlen(b.err.message) > 0);
            leat__outbox_close(&b.ctx);
            leat__outbox_list_release(&b.list, b.env);
            assert_int_equal(leat__alloc_live(), live - 1); /* the outbox itself was made before */
            tear_down(&b);
            assert_true(n < 200);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_outbox__given_records_of_all_sizes__when_placed__then_they_are_read_as_they_were),
        cmocka_unit_test(
            test_outbox__given_files_of_several_epochs__when_read_as_one__then_in_order_and_nothing_between),
        cmocka_unit_test(test_outbox__given_each_byte_changed_or_cut__when_read__then_found_before_its_end),
        cmocka_unit_test(
            test_outbox__given_a_record_that_is_too_large__when_added__then_refused_and_the_others_stay),
        cmocka_unit_test(test_outbox__given_files_of_each_version__when_read__then_their_records),
        cmocka_unit_test(test_outbox__given_no_hard_links__when_placed__then_copied_and_synced),
        cmocka_unit_test(test_outbox__given_a_sync_that_failed_once__when_placed_again__then_never_believed),
        cmocka_unit_test(
            test_outbox__given_leftovers__when_a_job_begins_or_an_instance_ends__then_the_spool_is_empty),
        cmocka_unit_test(
            test_outbox__given_each_call_or_allocation_failing__when_used__then_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
