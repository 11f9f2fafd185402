/* tests/unit/connectors/test_file_epochs.c -- a file sink with checkpoints: each epoch is visible once, whatever is
 * interrupted in between; a single file grows over them; names are never used twice. */
#include "tests/unit/connectors/file_sink_fixture.h"
#include "base/alloc.h"

#define EPOCH_ROWS 30

/* What a manifest keeps of one sink. */
struct manifest {
    char *parts[8];
    uint32_t count;
};

static void forget(struct manifest *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        free(m->parts[i]);
    m->count = 0;
}

static int recover(struct fixture *f, const struct manifest *m)
{
    return harness_recover(&f->h, (const char *const *)m->parts, m->count);
}

static struct leat_sink *restore(
    struct fixture *f, uint32_t subtask, uint32_t parallelism, const struct manifest *m)
{
    return harness_sink_restored(&f->h, subtask, parallelism, (const char *const *)m->parts, m->count);
}

/* Ends an epoch of one instance and keeps what the checkpoint would. */
static void end_epoch(
    struct fixture *f, struct leat_sink *sink, uint64_t epoch, bool last, struct manifest *m)
{
    must(f, harness_prepare_epoch(&f->h, sink, epoch, last));
    m->parts[m->count++] = harness_snapshot(&f->h, sink);
}

/* The process is gone: nothing was undone, nothing is open. */
static void die(struct fixture *f, struct leat_sink *sink, const struct leat_file_sink_opts *opts)
{
    memory_env_fail_at(f->env, 0, 0);
    f->h.node->sink->close(sink, &f->h.ctx); /* frees; the hook keeps it from removing */
    free(sink);
    run_again(f, opts);
}

/* Lets close remove nothing, as SIGKILL would. */
static int keep_files(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)n;
    (void)path;
    (void)size;
    return *(bool *)arg && call == MEMORY_ENV_UNLINK ? LEAT_EIO : 0;
}

/* ---- directories ---- */

static void test_file_epochs__given_a_directory__when_epochs_are_committed__then_each_is_visible_with_its_own(
    void **state)
{
    (void)state;
    struct fixture f;
    char name[64];
    struct manifest m = { 0 };
    const struct leat_file_sink_opts opts = { .path = "out", .format = LEAT_FORMAT_CSV };
    set_up(&f, &opts);
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    for (int epoch = 1; epoch <= 4; epoch++) {
        must(&f, harness_write(&f.h, sink, (epoch - 1) * EPOCH_ROWS, EPOCH_ROWS));
        end_epoch(&f, sink, (uint64_t)epoch, epoch == 4, &m);
        forget(&m);
        (void)snprintf(name, sizeof name, "out/part-0-%d.csv", epoch - 1);
        assert_false(is_there(f.env, name));
        must(&f, harness_commit(&f.h));
        harness_forget(&f.h);
        expect_rows(f.env, "out", 0, epoch * EPOCH_ROWS);
        expect_rows(f.env, name, (epoch - 1) * EPOCH_ROWS, epoch * EPOCH_ROWS);
    }
    harness_close_sink(&f.h, sink);
    assert_int_equal(memory_env_files_count(f.env), 4);
    tear_down(&f);
}

static void
test_file_epochs__given_a_checkpoint_that_was_given_up__when_the_next_commits__then_both_are_visible(
    void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "out" });
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 10));
    must(&f, harness_prepare_epoch(&f.h, sink, 1, false));
    must(&f, harness_write(&f.h, sink, 10, 10));
    must(&f, harness_prepare_epoch(&f.h, sink, 2, false)); /* the list goes on */
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, "out", 0, 20);
    harness_close_sink(&f.h, sink);
    tear_down(&f);
}

static int count_syncs(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)n;
    (void)path;
    (void)size;
    *(uint32_t *)arg += call == MEMORY_ENV_SYNC;
    return 0;
}

static void test_file_epochs__given_parts_that_roll_over__when_written__then_the_worker_does_not_sync(
    void **state)
{
    (void)state;
    struct fixture f;
    uint32_t syncs = 0;
    set_up(&f,
        &(struct leat_file_sink_opts){ .path = "out", .format = LEAT_FORMAT_JSON, .part_bytes_max = 900 });
    must(&f, check(&f));
    memory_env_set_hook(f.env, count_syncs, &syncs);
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 1000));
    must(&f, sink->sink_class->prepare(sink, &f.h.ctx, 1, false, &f.h.handles));
    assert_in_range(f.h.handles.count, 30, 64);
    assert_int_equal(syncs, 0);
    must(&f, leat__handle_list_sync(&f.h.handles, f.env, &f.h.err));
    assert_int_equal(syncs, f.h.handles.count + 1); /* and the directory with their names */
    must(&f, harness_write(&f.h, sink, 1000, 3000)); /* many more: not all of them stay open */
    assert_in_range(memory_env_open_count(f.env), 60, 66);
    must(&f, harness_prepare_epoch(&f.h, sink, 2, false));
    must(&f, harness_commit(&f.h));
    char *got = read_back(f.env, "out", LEAT_FORMAT_JSON, 0);
    size_t lines = 0;
    for (const char *c = got; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 4000);
    free(got);
    harness_close_sink(&f.h, sink);
    tear_down(&f);
}

/* Epochs 1 and 2 are committed, 3 was prepared and had more rows behind it when the process died. */
static void interrupt(const struct leat_file_sink_opts *opts, bool committed_two)
{
    struct fixture f;
    struct manifest m = { 0 };
    bool keeps = false;
    set_up(&f, opts);
    must(&f, check(&f));
    memory_env_set_hook(f.env, keep_files, &keeps);
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    struct leat_handle_list two = { 0 };
    for (int epoch = 1; epoch <= 3; epoch++) {
        must(&f, harness_write(&f.h, sink, (epoch - 1) * EPOCH_ROWS, EPOCH_ROWS));
        if (epoch < 3)
            forget(&m);
        must(&f, harness_prepare_epoch(&f.h, sink, (uint64_t)epoch, false));
        if (epoch < 3)
            m.parts[m.count++] = harness_snapshot(&f.h, sink);
        if (epoch == 2) {
            two = f.h.handles;
            f.h.handles = (struct leat_handle_list){ 0 };
        }
        if (epoch == 1 || (epoch == 2 && committed_two)) {
            must(&f, harness_commit(&f.h));
            harness_forget(&f.h);
        }
    }
    must(&f, harness_write(&f.h, sink, 3 * EPOCH_ROWS, 7));
    keeps = true;
    die(&f, sink, opts);
    keeps = false;

    for (uint32_t i = 0; i < two.count; i++) /* what the manifest of 2 lists is committed, again */
        must(&f, f.h.node->sink->commit(f.h.node, f.env, two.handles[i].data, two.handles[i].len, &f.h.err));
    leat__handle_list_release(&two, f.env);
    must(&f, recover(&f, &m));
    sink = restore(&f, 0, 1, &m);
    assert_non_null(sink);
    must(&f, harness_write(&f.h, sink, 2 * EPOCH_ROWS, EPOCH_ROWS));
    must(&f, harness_prepare_epoch(&f.h, sink, 4, false));
    must(&f, harness_commit(&f.h));
    harness_forget(&f.h);
    must(&f, harness_write(&f.h, sink, 3 * EPOCH_ROWS, EPOCH_ROWS));
    must(&f, harness_prepare_epoch(&f.h, sink, 5, true));
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, opts->path, 0, 4 * EPOCH_ROWS);
    harness_close_sink(&f.h, sink);
    size_t hidden = 0, size;
    for (int i = 0; i < 20; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "out/.part-0-%d.avro.inprogress", i);
        hidden += memory_env_get(f.env, name, &size) != NULL;
    }
    assert_int_equal(hidden, 0);
    forget(&m);
    tear_down(&f);
}

static const struct leat_file_sink_opts single_cases[] = {
    { .path = "a.avro" },
    { .path = "d/a.avro", .codec = "deflate" },
    { .path = "a.avro", .codec = "snappy" },
    { .path = "a.avro", .codec = "zstandard" },
    { .path = "a.jsonl" },
    { .path = "a.jsonl", .overwrite = true },
    { .path = "a.csv" },
};

static void test_file_epochs__given_a_death_between_checkpoints__when_gone_on__then_each_row_once(
    void **state)
{
    (void)state;
    for (int committed = 0; committed < 2; committed++) {
        interrupt(&(struct leat_file_sink_opts){ .path = "out" }, committed);
        interrupt(&(struct leat_file_sink_opts){ .path = "out", .part_bytes_max = 400 }, committed);
        interrupt(&(struct leat_file_sink_opts){ .path = "out", .overwrite = true }, committed);
        for (size_t i = 0; i < COUNT_OF(single_cases); i++)
            interrupt(&single_cases[i], committed);
    }
}

static void test_file_epochs__given_other_parallelisms__when_gone_on__then_no_name_is_used_twice(void **state)
{
    (void)state;
    for (uint32_t from = 1; from <= 4; from++) {
        for (uint32_t to = 1; to <= 4; to++) {
            struct fixture f;
            struct manifest m = { 0 };
            const struct leat_file_sink_opts opts = { .path = "out", .part_bytes_max = 300 };
            set_up(&f, &opts);
            must(&f, check(&f));
            int64_t id = 0;
            for (uint32_t i = 0; i < from; i++) {
                struct leat_sink *sink = harness_sink(&f.h, i, from);
                must(&f, harness_write(&f.h, sink, id, 10 * (i + 1)));
                id += 10 * (i + 1);
                end_epoch(&f, sink, 1, false, &m);
                harness_close_sink(&f.h, sink);
            }
            must(&f, harness_commit(&f.h));
            harness_forget(&f.h);
            const size_t before = memory_env_files_count(f.env);
            run_again(&f, &opts);
            must(&f, recover(&f, &m));
            for (uint32_t i = 0; i < to; i++) {
                struct leat_sink *sink = restore(&f, i, to, &m);
                must(&f, harness_write(&f.h, sink, id, 5));
                id += 5;
                must(&f, harness_prepare_epoch(&f.h, sink, 2, false));
                harness_close_sink(&f.h, sink);
            }
            must(&f, harness_commit(&f.h));
            assert_int_equal(memory_env_files_count(f.env), before + to);
            char *rows = read_back(f.env, "out", LEAT_FORMAT_AVRO, 0);
            size_t lines = 0;
            for (const char *c = rows; *c; c++)
                lines += *c == '\n';
            assert_int_equal(lines, (size_t)id);
            free(rows);
            forget(&m);
            tear_down(&f);
        }
    }
}

/* A job that was made to go back behind what it has committed: it repeats rows, but never touches a file. */
static void test_file_epochs__given_a_checkpoint_behind_commits__when_gone_on__then_other_names(void **state)
{
    (void)state;
    struct fixture f;
    struct manifest one = { 0 };
    const struct leat_file_sink_opts opts = { .path = "out", .overwrite = true };
    set_up(&f, &opts);
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    for (int epoch = 1; epoch <= 3; epoch++) {
        must(&f, harness_write(&f.h, sink, (epoch - 1) * 10, 10));
        must(&f, harness_prepare_epoch(&f.h, sink, (uint64_t)epoch, false));
        if (epoch == 1)
            one.parts[one.count++] = harness_snapshot(&f.h, sink);
        must(&f, harness_commit(&f.h));
        harness_forget(&f.h);
    }
    harness_close_sink(&f.h, sink);
    run_again(&f, &opts);
    must(&f, recover(&f, &one));
    sink = restore(&f, 0, 1, &one);
    must(&f, harness_write(&f.h, sink, 10, 10));
    must(&f, harness_prepare_epoch(&f.h, sink, 4, false));
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, "out/part-0-1.avro", 10, 20);
    expect_rows(f.env, "out/part-0-2.avro", 20, 30);
    expect_rows(f.env, "out/part-0-3.avro", 10, 20);
    harness_close_sink(&f.h, sink);
    forget(&one);
    tear_down(&f);
}

/* ---- overwriting ---- */

static void test_file_epochs__given_old_parts__when_overwritten__then_they_go_once_with_the_first_commit(
    void **state)
{
    (void)state;
    struct fixture f;
    struct manifest m = { 0 };
    const struct leat_file_sink_opts opts = { .path = "out", .overwrite = true };
    set_up(&f, &opts);
    (void)put_files(f.env, "out/part-0-0.avro out/part-0-1.avro out/part-0-2.avro out/part-5-0.csv");
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 10));
    end_epoch(&f, sink, 1, false, &m);
    assert_int_equal(memory_env_files_count(f.env), 5); /* nothing goes before the commit */
    must(&f, harness_commit(&f.h));
    assert_int_equal(memory_env_files_count(f.env), 1);
    expect_rows(f.env, "out", 0, 10);
    struct leat_handle_list first = f.h.handles;
    f.h.handles = (struct leat_handle_list){ 0 };

    for (int epoch = 2; epoch <= 3; epoch++) { /* the names of old ones, now ours */
        must(&f, harness_write(&f.h, sink, (epoch - 1) * 10, 10));
        must(&f, harness_prepare_epoch(&f.h, sink, (uint64_t)epoch, false));
        assert_int_equal(f.h.handles.count, 1);
        must(&f, harness_commit(&f.h));
        harness_forget(&f.h);
    }
    expect_rows(f.env, "out", 0, 30);
    harness_forget(&f.h);
    f.h.handles = first;
    must(&f, harness_commit(&f.h)); /* the first manifest's, again */
    expect_rows(f.env, "out", 0, 30);
    harness_close_sink(&f.h, sink);

    run_again(&f, &opts); /* goes on: what is there now is ours */
    must(&f, recover(&f, &m));
    sink = restore(&f, 0, 1, &m);
    must(&f, harness_write(&f.h, sink, 30, 10));
    must(&f, harness_prepare_epoch(&f.h, sink, 4, true));
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, "out", 0, 40);
    harness_close_sink(&f.h, sink);
    forget(&m);
    tear_down(&f);
}

static void test_file_epochs__given_old_parts__when_the_first_epoch_is_given_up__then_they_go_with_the_second(
    void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "out", .overwrite = true });
    (void)put_files(f.env, "out/part-0-0.avro out/part-0-1.avro out/part-0-7.avro");
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    for (int epoch = 1; epoch <= 2; epoch++) {
        must(&f, harness_write(&f.h, sink, (epoch - 1) * 10, 10));
        must(&f, harness_prepare_epoch(&f.h, sink, (uint64_t)epoch, false));
    }
    must(&f, harness_commit(&f.h));
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, "out", 0, 20);
    harness_close_sink(&f.h, sink);
    tear_down(&f);
}

/* ---- single files ---- */

static void test_file_epochs__given_a_single_file__when_gone_on_at_each_epoch__then_as_if_never_interrupted(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(single_cases); i++) {
        for (uint32_t rows = 0; rows <= 5000; rows = rows * 9 + 1) {
            struct fixture f;
            set_up(&f, &single_cases[i]);
            must(&f, check(&f));
            struct leat_sink *sink = harness_sink(&f.h, 0, 1);
            const int64_t epochs = 5;
            for (int epoch = 1; epoch <= epochs; epoch++) {
                struct manifest m = { 0 };
                const bool last = epoch == epochs;
                must(&f, harness_write(&f.h, sink, (epoch - 1) * (int64_t)rows, rows));
                end_epoch(&f, sink, (uint64_t)epoch, last, &m);
                assert_false(is_there(f.env, single_cases[i].path));
                assert_int_equal(f.h.handles.count, last);
                if (last) {
                    must(&f, harness_commit(&f.h));
                    harness_close_sink(&f.h, sink);
                } else if (epoch % 2) {
                    harness_close_sink(&f.h, sink); /* stopped: a checkpoint goes on with it */
                    run_again(&f, &single_cases[i]);
                    must(&f, recover(&f, &m));
                    sink = restore(&f, 0, 1, &m);
                    FAIL_UNLESS(sink, "%s", f.h.err.message);
                }
                forget(&m);
            }
            expect_rows(f.env, single_cases[i].path, 0, epochs * (int64_t)rows);
            assert_int_equal(memory_env_files_count(f.env), 1);
            tear_down(&f);
        }
    }
}

static void test_file_epochs__given_a_growing_file__when_its_last_handle_is_discarded__then_it_stays(
    void **state)
{
    (void)state;
    struct fixture f;
    struct manifest m = { 0 };
    const struct leat_file_sink_opts opts = { .path = "a.jsonl" };
    set_up(&f, &opts);
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 10));
    end_epoch(&f, sink, 1, false, &m);
    must(&f, harness_write(&f.h, sink, 10, 10));
    must(&f, harness_prepare_epoch(&f.h, sink, 2, true));
    must(&f, harness_discard(&f.h)); /* the manifest of 2 failed */
    harness_close_sink(&f.h, sink);
    run_again(&f, &opts);
    must(&f, recover(&f, &m));
    sink = restore(&f, 0, 1, &m);
    must(&f, harness_write(&f.h, sink, 10, 20));
    must(&f, harness_prepare_epoch(&f.h, sink, 3, true));
    must(&f, harness_commit(&f.h));
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, "a.jsonl", 0, 30);
    harness_close_sink(&f.h, sink);
    forget(&m);
    tear_down(&f);
}

/* A job that never had a checkpoint leaves nothing when it fails. */
static void test_file_epochs__given_no_checkpoint__when_closed__then_the_single_file_is_gone(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "a.csv" });
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 10));
    harness_close_sink(&f.h, sink);
    assert_int_equal(memory_env_files_count(f.env), 0);
    tear_down(&f);
}

static const struct {
    const char *name;
    struct leat_file_sink_opts opts; /* of the job that goes on */
    const char *put; /* content of the hidden file; "": none, NULL: as it was */
    int recover_code, restore_code;
    const char *want;
} growing_cases[] = {
    { "as it was", { .path = "a.csv" }, NULL, 0, 0, NULL },
    { "another path", { .path = "b.csv" }, NULL, LEAT_ESTATE, 0,
        "keep the path until that file is finished" },
    { "a directory now", { .path = "out", .format = LEAT_FORMAT_CSV }, NULL, LEAT_ESTATE, 0,
        "goes on with a.csv, of which" },
    { "gone", { .path = "a.csv" }, "", LEAT_ENOTFOUND, 0,
        ".a.csv.inprogress, which the checkpoint goes on with" },
    { "shorter", { .path = "a.csv" }, "id", LEAT_EDATA, 0, "has 2 bytes, but the checkpoint knows" },
    { "another separator", { .path = "a.csv", .separator = ';' }, NULL, 0, LEAT_ESCHEMA,
        "was begun with another type, codec or separator" },
    { "other content", { .path = "a.csv" },
        "id,name,note,"
        "price\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "x"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "x",
        0, LEAT_EDATA, "is not what was written up to the checkpoint" },
};

static void
test_file_epochs__given_a_growing_file_that_does_not_fit__when_gone_on__then_refused_with_the_reason(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(growing_cases); i++) {
        struct fixture f;
        struct manifest m = { 0 };
        set_up(&f, &(struct leat_file_sink_opts){ .path = "a.csv" });
        must(&f, check(&f));
        struct leat_sink *sink = harness_sink(&f.h, 0, 1);
        must(&f, harness_write(&f.h, sink, 0, 10));
        end_epoch(&f, sink, 1, false, &m);
        harness_close_sink(&f.h, sink);
        run_again(&f, &growing_cases[i].opts);
        const char *put = growing_cases[i].put;
        if (put && *put)
            memory_env_put(f.env, ".a.csv.inprogress", put, strlen(put));
        else if (put)
            must(&f, f.env->fs_unlink(f.env, ".a.csv.inprogress", &f.h.err));
        int code = recover(&f, &m);
        FAIL_UNLESS(
            code == growing_cases[i].recover_code, "%s: %d %s", growing_cases[i].name, code, f.h.err.message);
        if (code == 0) {
            sink = restore(&f, 0, 1, &m);
            code = sink ? 0 : f.h.err.code;
            FAIL_UNLESS(code == growing_cases[i].restore_code, "%s: %d %s", growing_cases[i].name, code,
                f.h.err.message);
            if (sink)
                harness_close_sink(&f.h, sink);
        }
        if (growing_cases[i].want)
            FAIL_UNLESS(strstr(f.h.err.message, growing_cases[i].want), "%s: %s", growing_cases[i].name,
                f.h.err.message);
        forget(&m);
        tear_down(&f);
    }
}

static void test_file_epochs__given_a_file_with_another_sync_marker_or_schema__when_gone_on__then_refused(
    void **state)
{
    (void)state;
    struct fixture f;
    struct manifest m = { 0 };
    set_up(&f, &(struct leat_file_sink_opts){ .path = "a.avro" });
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 10));
    end_epoch(&f, sink, 1, false, &m);
    harness_close_sink(&f.h, sink);
    run_again(&f, &(struct leat_file_sink_opts){ .path = "a.avro", .codec = "deflate" });
    must(&f, recover(&f, &m));
    assert_null(restore(&f, 0, 1, &m));
    assert_int_equal(f.h.err.code, LEAT_ESCHEMA);
    forget(&m);
    tear_down(&f);
}

/* ---- what a checkpoint says ---- */

static void test_file_epochs__given_states_of_others__when_gone_on__then_bad_data(void **state)
{
    static const char *const texts[] = { "", "1", "1 ", "1 parts", "1 parts x", "1 parts 1 ", "1 parts -1x",
        "1 nothingness", "1 growing", "1 growing 1 2", "1 growing 1 2 3", "1 growing 1 2 00 a",
        "1 growing 1 2 00000000000000000000000000000000", "1 growing 1 2 00000000000000000000000000000000 ",
        "1 growing 1 2 00000000000000000000000000000000 a/b",
        "1 growing 1 2 0000000000000000000000000000000x a", "garbage" };
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "out" });
    must(&f, check(&f));
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const int code = harness_recover(&f.h, &texts[i], 1);
        FAIL_UNLESS(code == LEAT_EDATA || code == LEAT_EUNSUPPORTED, "\"%s\": %d", texts[i], code);
        assert_null(harness_sink_restored(&f.h, 0, 1, &texts[i], 1));
    }
    const char *future = "2 parts 7";
    assert_int_equal(harness_recover(&f.h, &future, 1), LEAT_EUNSUPPORTED);
    tear_down(&f);
}

static void
test_file_epochs__given_each_file_call_failing__when_gone_on__then_an_error_and_the_next_try_works(
    void **state)
{
    static const struct leat_file_sink_opts cases[] = { { .path = "out", .overwrite = true },
        { .path = "a.avro" } };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool was_reached = true;
        for (uint64_t n = 1; was_reached; n++) {
            struct fixture f;
            struct manifest m = { 0 };
            set_up(&f, &cases[i]);
            must(&f, check(&f));
            struct leat_sink *sink = harness_sink(&f.h, 0, 1);
            must(&f, harness_write(&f.h, sink, 0, 10));
            end_epoch(&f, sink, 1, false, &m);
            must(&f, harness_commit(&f.h));
            must(&f, harness_write(&f.h, sink, 10, 10));
            must(&f, harness_prepare_epoch(&f.h, sink, 2, false)); /* is lost */
            harness_close_sink(&f.h, sink);
            run_again(&f, &cases[i]);
            const uint64_t calls = memory_env_calls_count(f.env);
            memory_env_fail_at(f.env, n, LEAT_EIO);
            int code = recover(&f, &m);
            sink = code == 0 ? restore(&f, 0, 1, &m) : NULL;
            if (code == 0 && !sink)
                code = f.h.err.code;
            memory_env_fail_at(f.env, 0, 0);
            was_reached = memory_env_calls_count(f.env) - calls >= n;
            assert_int_equal(code, was_reached ? LEAT_EIO : 0);
            if (sink)
                harness_close_sink(&f.h, sink);
            must(&f, recover(&f, &m));
            sink = restore(&f, 0, 1, &m);
            must(&f, harness_write(&f.h, sink, 10, 5));
            must(&f, harness_prepare_epoch(&f.h, sink, 3, true));
            must(&f, harness_commit(&f.h));
            expect_rows(f.env, cases[i].path, 0, 15);
            harness_close_sink(&f.h, sink);
            forget(&m);
            tear_down(&f);
            assert_true(n < 100);
        }
    }
}

static void
test_file_epochs__given_a_sink_that_the_checkpoint_does_not_know__when_recovered__then_checked_as_new(
    void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "a.avro" });
    (void)put_files(f.env, "a.avro");
    assert_int_equal(harness_recover(&f.h, NULL, 0), LEAT_EEXISTS);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_file_epochs__given_a_directory__when_epochs_are_committed__then_each_is_visible_with_its_own),
        cmocka_unit_test(
            test_file_epochs__given_a_checkpoint_that_was_given_up__when_the_next_commits__then_both_are_visible),
        cmocka_unit_test(
            test_file_epochs__given_parts_that_roll_over__when_written__then_the_worker_does_not_sync),
        cmocka_unit_test(
            test_file_epochs__given_a_death_between_checkpoints__when_gone_on__then_each_row_once),
        cmocka_unit_test(
            test_file_epochs__given_other_parallelisms__when_gone_on__then_no_name_is_used_twice),
        cmocka_unit_test(test_file_epochs__given_a_checkpoint_behind_commits__when_gone_on__then_other_names),
        cmocka_unit_test(
            test_file_epochs__given_old_parts__when_overwritten__then_they_go_once_with_the_first_commit),
        cmocka_unit_test(
            test_file_epochs__given_old_parts__when_the_first_epoch_is_given_up__then_they_go_with_the_second),
        cmocka_unit_test(
            test_file_epochs__given_a_single_file__when_gone_on_at_each_epoch__then_as_if_never_interrupted),
        cmocka_unit_test(
            test_file_epochs__given_a_growing_file__when_its_last_handle_is_discarded__then_it_stays),
        cmocka_unit_test(test_file_epochs__given_no_checkpoint__when_closed__then_the_single_file_is_gone),
        cmocka_unit_test(
            test_file_epochs__given_a_growing_file_that_does_not_fit__when_gone_on__then_refused_with_the_reason),
        cmocka_unit_test(
            test_file_epochs__given_a_file_with_another_sync_marker_or_schema__when_gone_on__then_refused),
        cmocka_unit_test(test_file_epochs__given_states_of_others__when_gone_on__then_bad_data),
        cmocka_unit_test(
            test_file_epochs__given_each_file_call_failing__when_gone_on__then_an_error_and_the_next_try_works),
        cmocka_unit_test(
            test_file_epochs__given_a_sink_that_the_checkpoint_does_not_know__when_recovered__then_checked_as_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
