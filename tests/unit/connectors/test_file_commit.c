/* tests/unit/connectors/test_file_commit.c -- what has a proper name is whole: commits that may be repeated,
 * targets that exist, leftovers of crashed runs, old files that are replaced. */
#include "tests/unit/connectors/file_sink_fixture.h"
#include <sys/stat.h>
#include <unistd.h>

/* ---- before the commit, and without one ---- */

static void test_file_commit__given_rows__when_not_committed__then_nothing_has_a_proper_name(void **state)
{
    static const char *const paths[] = { "a.avro", "a.jsonl", "out" };
    static const char *const hidden[] = { ".a.avro.inprogress", ".a.jsonl.inprogress",
        "out/.part-0-0.avro.inprogress" };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct fixture f;
        set_up(&f, &(struct leat_file_sink_opts){ .path = paths[i] });
        must(&f, check(&f));
        must(&f, write_subtask(&f, 0, 1, 0, 100));
        assert_int_equal(memory_env_files_count(f.env), 1);
        assert_true(is_there(f.env, hidden[i]));
        must(&f, harness_discard(&f.h));
        must(&f, harness_discard(&f.h));
        assert_int_equal(memory_env_files_count(f.env), 0);
        tear_down(&f);
    }
}

static void test_file_commit__given_an_instance__when_closed_without_prepare__then_its_files_are_gone(
    void **state)
{
    (void)state;
    struct fixture f;
    set_up(
        &f, &(struct leat_file_sink_opts){ .path = "out", .format = LEAT_FORMAT_CSV, .part_bytes_max = 500 });
    must(&f, check(&f));
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    must(&f, harness_write(&f.h, sink, 0, 100));
    assert_true(memory_env_files_count(f.env) > 2);
    harness_close_sink(&f.h, sink);
    assert_int_equal(memory_env_files_count(f.env), 0);
    tear_down(&f);
}

/* ---- commits ---- */

static void test_file_commit__given_a_commit__when_repeated__then_nothing_changes(void **state)
{
    static const struct leat_file_sink_opts opts[] = {
        { .path = "a.avro" },
        { .path = "out", .format = LEAT_FORMAT_JSON, .part_bytes_max = 2000 },
        { .path = "out", .overwrite = true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(opts); i++) {
        struct fixture f;
        set_up(&f, &opts[i]);
        write_all(&f, 0, 200);
        const size_t files = memory_env_files_count(f.env);
        must(&f, harness_commit(&f.h));
        must(&f, harness_discard(&f.h)); /* too late */
        must(&f, harness_commit(&f.h));
        assert_int_equal(memory_env_files_count(f.env), files);
        expect_rows(f.env, opts[i].path, 0, 200);
        tear_down(&f);
    }
}

static void test_file_commit__given_a_failing_call_in_a_commit__when_repeated__then_done(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct fixture f;
        set_up(&f,
            &(struct leat_file_sink_opts){
                .path = "out", .format = LEAT_FORMAT_JSON, .part_bytes_max = 2000 });
        must(&f, check(&f));
        must(&f, write_subtask(&f, 0, 1, 0, 200));
        memory_env_fail_at(f.env, n, LEAT_EIO);
        const int code = harness_commit(&f.h);
        memory_env_fail_at(f.env, 0, 0);
        assert_true(code == 0 || code == LEAT_EIO);
        must(&f, harness_commit(&f.h));
        expect_rows(f.env, "out", 0, 200);
        tear_down(&f);
        if (code == 0)
            break;
        assert_true(n < 200);
    }
}

static bool sync_seen;
static int note_sync(void *arg, enum memory_env_call call, uint64_t n, const char *path, size_t *size)
{
    (void)n;
    (void)size;
    if (call == MEMORY_ENV_SYNC && strcmp(path, arg) == 0)
        sync_seen = true;
    return 0;
}

static void test_file_commit__given_a_commit_that_was_done__when_repeated__then_the_directory_is_synced_again(
    void **state)
{
    (void)state;
    char dir[] = "out";
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "out" });
    write_all(&f, 0, 10);
    sync_seen = false;
    memory_env_set_hook(f.env, note_sync, dir);
    must(&f, harness_commit(&f.h));
    assert_true(sync_seen);
    tear_down(&f);
}

static const struct {
    const char *name;
    const char *path; /* of the sink */
    const char *target;
    const char *put; /* content put at the target before the commit; NULL: none */
    bool remove_hidden;
    bool change_hidden;
    bool overwrite;
    int code;
    const char *want;
} commit_cases[] = {
    { "a target that came into being", "a.jsonl", "a.jsonl", "x", false, false, false, LEAT_EEXISTS,
        "a.jsonl has come into being while the job ran" },
    { "a target that came into being, to be replaced", "a.jsonl", "a.jsonl", "x", false, false, true, 0,
        NULL },
    { "a part that came into being", "out", "out/part-0-0.avro", "x", false, false, false, LEAT_EEXISTS,
        "out/part-0-0.avro has come into being" },
    { "the hidden file is gone", "a.jsonl", "a.jsonl", NULL, true, false, false, LEAT_ENOTFOUND,
        "a.jsonl can not be committed: its content, .a.jsonl.inprogress beside it, is gone" },
    { "the hidden file is gone and the target is another", "a.jsonl", "a.jsonl", "x", true, false, false,
        LEAT_EEXISTS, "a.jsonl is not what was written" },
    { "the same, with leave to overwrite", "a.jsonl", "a.jsonl", "x", true, false, true, LEAT_EEXISTS,
        "a.jsonl is not what was written" },
    { "the hidden file has changed", "a.jsonl", "a.jsonl", NULL, false, true, false, LEAT_EDATA,
        "when it was closed: another one has changed it" },
};

static void test_file_commit__given_files_that_others_touched__when_committed__then_they_are_left_alone(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(commit_cases); i++) {
        struct fixture f;
        char hidden[64];
        size_t size;
        set_up(&f,
            &(struct leat_file_sink_opts){
                .path = commit_cases[i].path, .overwrite = commit_cases[i].overwrite });
        must(&f, check(&f));
        must(&f, write_subtask(&f, 0, 1, 0, 10));
        const char *base = strrchr(commit_cases[i].target, '/');
        base = base ? base + 1 : commit_cases[i].target;
        (void)snprintf(hidden, sizeof hidden, "%.*s.%s.inprogress", (int)(base - commit_cases[i].target),
            commit_cases[i].target, base);
        assert_true(is_there(f.env, hidden));
        if (commit_cases[i].put)
            memory_env_put(f.env, commit_cases[i].target, commit_cases[i].put, strlen(commit_cases[i].put));
        if (commit_cases[i].remove_hidden)
            must(&f, f.env->fs_unlink(f.env, hidden, &f.h.err));
        if (commit_cases[i].change_hidden)
            memory_env_put(f.env, hidden, "y", 1);
        const int code = harness_commit(&f.h);
        FAIL_UNLESS(code == commit_cases[i].code, "%s: %d %s", commit_cases[i].name, code, f.h.err.message);
        if (code < 0) {
            FAIL_UNLESS(strstr(f.h.err.message, commit_cases[i].want), "%s: %s", commit_cases[i].name,
                f.h.err.message);
            const char *there = memory_env_get(f.env, commit_cases[i].target, &size);
            assert_true(commit_cases[i].put ? size == 1 && *there == 'x' : there == NULL);
        } else {
            expect_rows(f.env, commit_cases[i].target, 0, 10);
        }
        tear_down(&f);
    }
}

static void test_file_commit__given_an_equal_target__when_committed__then_done_and_no_hidden_file(
    void **state)
{
    (void)state;
    struct fixture f;
    size_t size;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "a.jsonl" });
    must(&f, check(&f));
    must(&f, write_subtask(&f, 0, 1, 0, 10));
    const void *data = memory_env_get(f.env, ".a.jsonl.inprogress", &size);
    void *copy = malloc(size);
    memcpy(copy, data, size);
    memory_env_put(f.env, "a.jsonl", copy, size);
    free(copy);
    must(&f, harness_commit(&f.h));
    assert_int_equal(memory_env_files_count(f.env), 1);
    expect_rows(f.env, "a.jsonl", 0, 10);
    tear_down(&f);
}

static void test_file_commit__given_a_handle_of_others__when_committed_or_discarded__then_refused(
    void **state)
{
    static const char *const handles[] = { "", "put", "put ", "put 1", "put 1 2", "put 1 2 ", "put 1 2 a/b",
        "old ", "old ../a", "nothing", "put x 2 a" };
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_file_sink_opts){ .path = "out" });
    for (size_t i = 0; i < COUNT_OF(handles); i++) {
        const struct leat_sink_class *class = f.h.node->sink;
        const size_t len = strlen(handles[i]);
        FAIL_UNLESS(
            class->commit(f.h.node, f.env, handles[i], len, &f.h.err) == LEAT_EDATA, "\"%s\"", handles[i]);
        FAIL_UNLESS(
            class->discard(f.h.node, f.env, handles[i], len, &f.h.err) == LEAT_EDATA, "\"%s\"", handles[i]);
    }
    tear_down(&f);
}

/* ---- check ---- */

static const struct {
    const char *name;
    struct leat_file_sink_opts opts;
    const char *files; /* that are there */
    const char *want; /* a part of the error, or NULL */
    const char *left; /* of the files, afterwards */
} check_cases[] = {
    { "a free file", { .path = "a.avro" }, "", NULL, "" },
    { "an existing file", { .path = "a.avro" }, "a.avro", "a.avro exists: set .overwrite to replace it",
        "a.avro" },
    { "an existing file to replace", { .path = "a.avro", .overwrite = true }, "a.avro", NULL, "a.avro" },
    { "a directory of that name", { .path = "a.avro" }, "a.avro/x",
        "a.avro is a directory: end the path with a slash", "a.avro/x" },
    { "a stale hidden file", { .path = "d/a.avro" }, "d/.a.avro.inprogress d/.b.avro.inprogress", NULL,
        "d/.b.avro.inprogress" },
    { "a directory with other files", { .path = "out" }, "out/readme out/part-x.avro out/part-0-0.txt", NULL,
        "out/readme out/part-x.avro out/part-0-0.txt" },
    { "a directory with parts", { .path = "out" }, "out/part-3-0.avro out/part-1-2.avro",
        "out has the part files of an earlier run (part-1-2.avro): set .overwrite",
        "out/part-3-0.avro out/part-1-2.avro" },
    { "a directory with parts of another format", { .path = "out" }, "out/part-3-0.csv", "(part-3-0.csv)",
        "out/part-3-0.csv" },
    { "a directory with parts to replace", { .path = "out", .overwrite = true }, "out/part-3-0.avro", NULL,
        "out/part-3-0.avro" },
    { "a file where a directory is needed", { .path = "out" }, "out",
        "out is a file, where a directory for part files", "out" },
    { "stale parts, and hidden files of others", { .path = "out" },
        "out/.part-0-3.avro.inprogress out/.part-12-0.jsonl.inprogress out/.part-0-3.avro out/.x.inprogress "
        "out/.part-0-1.txt.inprogress out/.part-0-.avro.inprogress",
        NULL,
        "out/.part-0-3.avro out/.x.inprogress out/.part-0-1.txt.inprogress out/.part-0-.avro.inprogress" },
};

static void test_file_commit__given_what_is_there__when_checked__then_refused_or_cleaned(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(check_cases); i++) {
        struct fixture f;
        char copy[512], *rest;
        size_t left = 0;
        set_up(&f, &check_cases[i].opts);
        (void)put_files(f.env, check_cases[i].files);
        const int code = check(&f);
        if (check_cases[i].want)
            FAIL_UNLESS(code == LEAT_EEXISTS && strstr(f.h.err.message, check_cases[i].want), "%s: %s",
                check_cases[i].name, f.h.err.message);
        else
            FAIL_UNLESS(code == 0, "%s: %s", check_cases[i].name, f.h.err.message);
        (void)snprintf(copy, sizeof copy, "%s", check_cases[i].left);
        for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest), left++)
            FAIL_UNLESS(is_there(f.env, name), "%s: %s", check_cases[i].name, name);
        FAIL_UNLESS(memory_env_files_count(f.env) == left, "%s: %zu files are left", check_cases[i].name,
            memory_env_files_count(f.env));
        tear_down(&f);
    }
}

static void test_file_commit__given_each_call_of_check_failing__when_checked__then_an_error_and_no_file_more(
    void **state)
{
    (void)state;
    int code = LEAT_EACCESS;
    for (uint64_t n = 1; code < 0; n++) {
        struct fixture f;
        set_up(&f, &(struct leat_file_sink_opts){ .path = "x/out" });
        memory_env_fail_at(f.env, n, LEAT_EACCESS);
        code = check(&f);
        memory_env_fail_at(f.env, 0, 0);
        assert_true(code == 0 || code == LEAT_EACCESS);
        if (code < 0)
            assert_true(strlen(f.h.err.message) > 0);
        assert_true(memory_env_files_count(f.env) <= 1); /* the probe, if its removal failed */
        must(&f, check(&f));
        assert_int_equal(memory_env_files_count(f.env), 0);
        tear_down(&f);
        assert_true(n < 50);
    }
}

static void test_file_commit__given_a_real_directory__when_it_can_not_be_written__then_it_is_named(
    void **state)
{
    (void)state;
    char dir[] = "/tmp/leat-sink-XXXXXX", path[64];
    if (geteuid() == 0)
        SKIP_BECAUSE("root may write everywhere");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0500), 0);
    (void)snprintf(path, sizeof path, "%s/a.avro", dir);
    leat_stream *in;
    leat_topology *t = declare_in(&in);
    const struct leat_node *node = declare(t, in, &(struct leat_file_sink_opts){ .path = path });
    struct leat_error err = { 0 };
    assert_int_equal(node->sink->check(node, leat__env_posix(), &err), LEAT_EACCESS);
    assert_non_null(strstr(err.message, dir));
    leat_topology_free(t);
    assert_int_equal(rmdir(dir), 0);
}

/* ---- overwriting ---- */

static void test_file_commit__given_an_old_file__when_overwritten__then_it_stays_until_the_commit(
    void **state)
{
    (void)state;
    const struct leat_file_sink_opts opts = { .path = "a.avro", .overwrite = true };
    struct fixture f;
    set_up(&f, &opts);
    write_all(&f, 0, 10);
    run_again(&f, &opts);
    must(&f, check(&f));
    must(&f, write_subtask(&f, 0, 1, 100, 5));
    expect_rows(f.env, "a.avro", 0, 10);
    must(&f, harness_commit(&f.h));
    must(&f, harness_commit(&f.h));
    expect_rows(f.env, "a.avro", 100, 105);
    assert_int_equal(memory_env_files_count(f.env), 1);
    tear_down(&f);
}

static void test_file_commit__given_old_parts__when_overwritten__then_only_new_ones_after_the_commit(
    void **state)
{
    (void)state;
    const struct leat_file_sink_opts small = { .path = "out", .overwrite = true, .part_bytes_max = 300 };
    const struct leat_file_sink_opts large = { .path = "out", .overwrite = true };
    struct fixture f;
    set_up(&f, &small);
    must(&f, check(&f));
    for (uint32_t subtask = 0; subtask < 4; subtask++)
        must(&f, write_subtask(&f, subtask, 4, subtask * 50, 50));
    must(&f, harness_commit(&f.h));
    const size_t before = memory_env_files_count(f.env);
    assert_true(before > 8);
    memory_env_put(f.env, "out/part-9-9.csv", "x", 1); /* of an even older run */
    memory_env_put(f.env, "out/notes.txt", "x", 1); /* the user's */

    run_again(&f, &large);
    must(&f, check(&f));
    must(&f, write_subtask(&f, 0, 2, 0, 10));
    must(&f, write_subtask(&f, 1, 2, 10, 10));
    assert_int_equal(memory_env_files_count(f.env), before + 4); /* and two hidden ones */
    must(&f, harness_commit(&f.h));
    must(&f, harness_commit(&f.h));
    assert_int_equal(memory_env_files_count(f.env), 3);
    assert_true(is_there(f.env, "out/notes.txt"));
    expect_rows(f.env, "out/part-0-0.avro", 0, 10);
    expect_rows(f.env, "out/part-1-0.avro", 10, 20);
    tear_down(&f);
}

static void test_file_commit__given_old_parts__when_an_overwriting_job_fails__then_they_stay(void **state)
{
    (void)state;
    const struct leat_file_sink_opts opts = { .path = "out", .overwrite = true };
    struct fixture f;
    set_up(&f, &opts);
    write_all(&f, 0, 10);
    run_again(&f, &opts);
    must(&f, check(&f));
    must(&f, write_subtask(&f, 0, 1, 50, 10));
    must(&f, harness_discard(&f.h));
    expect_rows(f.env, "out", 0, 10);
    tear_down(&f);
}

static void test_file_commit__given_a_real_disk__when_committed_and_run_again__then_refused_with_the_remedy(
    void **state)
{
    (void)state;
    char dir[] = "/tmp/leat-sink-XXXXXX", path[64], file[96];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/deep/out", dir);
    const struct leat_file_sink_opts opts = { .path = path };
    struct fixture f;
    set_up_in(&f, leat__env_posix(), &opts);
    write_all(&f, 0, 1000);
    expect_rows(f.env, path, 0, 1000);
    must(&f, harness_commit(&f.h));
    assert_int_equal(check(&f), LEAT_EEXISTS);
    assert_non_null(strstr(f.h.err.message, "set .overwrite"));
    harness_release(&f.h);
    leat_topology_free(f.t);
    (void)snprintf(file, sizeof file, "%s/part-0-0.avro", path);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/deep", dir);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_commit__given_rows__when_not_committed__then_nothing_has_a_proper_name),
        cmocka_unit_test(
            test_file_commit__given_an_instance__when_closed_without_prepare__then_its_files_are_gone),
        cmocka_unit_test(test_file_commit__given_a_commit__when_repeated__then_nothing_changes),
        cmocka_unit_test(test_file_commit__given_a_failing_call_in_a_commit__when_repeated__then_done),
        cmocka_unit_test(
            test_file_commit__given_a_commit_that_was_done__when_repeated__then_the_directory_is_synced_again),
        cmocka_unit_test(
            test_file_commit__given_files_that_others_touched__when_committed__then_they_are_left_alone),
        cmocka_unit_test(
            test_file_commit__given_an_equal_target__when_committed__then_done_and_no_hidden_file),
        cmocka_unit_test(
            test_file_commit__given_a_handle_of_others__when_committed_or_discarded__then_refused),
        cmocka_unit_test(test_file_commit__given_what_is_there__when_checked__then_refused_or_cleaned),
        cmocka_unit_test(
            test_file_commit__given_each_call_of_check_failing__when_checked__then_an_error_and_no_file_more),
        cmocka_unit_test(
            test_file_commit__given_a_real_directory__when_it_can_not_be_written__then_it_is_named),
        cmocka_unit_test(
            test_file_commit__given_an_old_file__when_overwritten__then_it_stays_until_the_commit),
        cmocka_unit_test(
            test_file_commit__given_old_parts__when_overwritten__then_only_new_ones_after_the_commit),
        cmocka_unit_test(test_file_commit__given_old_parts__when_an_overwriting_job_fails__then_they_stay),
        cmocka_unit_test(
            test_file_commit__given_a_real_disk__when_committed_and_run_again__then_refused_with_the_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
