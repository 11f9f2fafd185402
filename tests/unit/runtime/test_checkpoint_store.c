/* tests/unit/runtime/test_checkpoint_store.c -- the local checkpoint store: in which order it writes, syncs and
 * renames, what it finds, what it removes, and what every failing call leaves behind. */
#include "base/alloc.h"
#include "runtime/checkpoint_store.h"
#include "runtime/tree.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIFE "0123456789abcdef0123456789abcdef"

static const struct leat_checkpoint_store_class *const local = &leat__checkpoint_store_local;

/* The real file system; what is done is written down, and the n-th call that changes something may fail. */
struct recording {
    struct leat_env env; /* first */
    struct leat_env *real;
    char root[128];
    char log[16384]; /* "open MANIFEST-...tmp; write; ..." without the root */
    char names[64][512]; /* by descriptor */
    uint32_t calls, fail_at;
    int link_code;
};

static struct recording *recording_of(struct leat_env *env)
{
    return (struct recording *)(void *)env;
}

static const char *short_name(const struct recording *r, const char *path)
{
    const size_t len = strlen(r->root);
    return strncmp(path, r->root, len) == 0 ? (path[len] ? path + len + 1 : ".") : path;
}

/* Notes a call that changes something; whether it fails. */
static int note(struct recording *r, const char *what, const char *path, struct leat_error *err)
{
    const size_t used = strlen(r->log);
    (void)snprintf(r->log + used, sizeof r->log - used, "%s %s; ", what, short_name(r, path));
    return ++r->calls == r->fail_at ? leat__error(err, LEAT_EIO, "%s %s: the test says no", what, path) : 0;
}

static int rec_open(
    struct leat_env *env, const char *path, enum leat_open_mode mode, leat_fd *fd, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    *fd = -1;
    if (mode != LEAT_OPEN_READ && note(r, "open", path, err) < 0)
        return LEAT_EIO;
    const int result = r->real->fs_open(r->real, path, mode, fd, err);
    if (result == 0 && *fd < 64)
        (void)snprintf(r->names[*fd], sizeof r->names[0], "%s", path);
    return result;
}

static void rec_close(struct leat_env *env, leat_fd fd)
{
    recording_of(env)->real->fs_close(recording_of(env)->real, fd);
}

static int64_t rec_pread(
    struct leat_env *env, leat_fd fd, void *data, size_t size, uint64_t offset, struct leat_error *err)
{
    return recording_of(env)->real->fs_pread(recording_of(env)->real, fd, data, size, offset, err);
}

static int rec_write(struct leat_env *env, leat_fd fd, const void *data, size_t size, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "write", r->names[fd], err);
    return result < 0 ? result : r->real->fs_write(r->real, fd, data, size, err);
}

static int rec_sync(struct leat_env *env, leat_fd fd, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "sync", r->names[fd], err);
    return result < 0 ? result : r->real->fs_sync(r->real, fd, err);
}

static int rec_sync_dir(struct leat_env *env, const char *dir, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "syncdir", dir, err);
    return result < 0 ? result : r->real->fs_sync_dir(r->real, dir, err);
}

static int rec_rename(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "rename", to, err);
    return result < 0 ? result : r->real->fs_rename(r->real, from, to, err);
}

static int rec_link(struct leat_env *env, const char *from, const char *to, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "link", to, err);
    if (result == 0 && r->link_code)
        return leat__error(err, r->link_code, "no links here");
    return result < 0 ? result : r->real->fs_link(r->real, from, to, err);
}

static int rec_unlink(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "unlink", path, err);
    return result < 0 ? result : r->real->fs_unlink(r->real, path, err);
}

static int rec_rmdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "rmdir", path, err);
    return result < 0 ? result : r->real->fs_rmdir(r->real, path, err);
}

static int rec_mkdir(struct leat_env *env, const char *path, struct leat_error *err)
{
    struct recording *r = recording_of(env);
    const int result = note(r, "mkdir", path, err);
    return result < 0 ? result : r->real->fs_mkdir(r->real, path, err);
}

static int rec_lock(struct leat_env *env, const char *path, leat_fd *fd, struct leat_error *err)
{
    return recording_of(env)->real->fs_lock(recording_of(env)->real, path, fd, err);
}

static int rec_list(
    struct leat_env *env, const char *dir, leat_env_list_fn fn, void *arg, struct leat_error *err)
{
    return recording_of(env)->real->fs_list(recording_of(env)->real, dir, fn, arg, err);
}

static int rec_stat(
    struct leat_env *env, const char *path, struct leat_file_info *info, struct leat_error *err)
{
    return recording_of(env)->real->fs_stat(recording_of(env)->real, path, info, err);
}

static void recording_init(struct recording *r)
{
    *r = (struct recording){ .real = leat__env_posix() };
    r->env = *r->real;
    r->env.fs_open = rec_open;
    r->env.fs_close = rec_close;
    r->env.fs_pread = rec_pread;
    r->env.fs_write = rec_write;
    r->env.fs_sync = rec_sync;
    r->env.fs_sync_dir = rec_sync_dir;
    r->env.fs_rename = rec_rename;
    r->env.fs_link = rec_link;
    r->env.fs_unlink = rec_unlink;
    r->env.fs_rmdir = rec_rmdir;
    r->env.fs_mkdir = rec_mkdir;
    r->env.fs_lock = rec_lock;
    r->env.fs_list = rec_list;
    r->env.fs_stat = rec_stat;
    (void)snprintf(r->root, sizeof r->root, "/tmp/leat-store-XXXXXX");
    assert_non_null(mkdtemp(r->root));
}

static void recording_release(struct recording *r)
{
    struct leat_error err = { 0 };
    assert_int_equal(leat__tree_remove(r->real, r->root, NULL, &err), 0);
}

static void clear_log(struct recording *r)
{
    r->log[0] = '\0';
}

/* ---- making checkpoints ---- */

static struct leat_checkpoint_store *open_store(struct recording *r, bool locked)
{
    struct leat_checkpoint_store *store;
    struct leat_error err = { 0 };
    FAIL_UNLESS(local->open(&r->env, r->root, "job", &store, &err) == 0, "%s", err.message);
    if (locked)
        FAIL_UNLESS(local->lock(store, &err) == 0, "%s", err.message);
    return store;
}

static void put_file(const char *dir, const char *name, const char *content)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The files of a checkpoint as workers would have made them. */
static void put_files(struct recording *r, const char *dir, const char *content)
{
    char path[1024];
    struct leat_error err = { 0 };
    (void)snprintf(path, sizeof path, "%s/worker-0", dir);
    assert_int_equal(r->real->fs_mkdir(r->real, path, &err), 0);
    put_file(path, "000001.sst", "the same in all");
    put_file(path, "CURRENT", content);
    put_file(dir, "outbox-a-0-1", content);
}

static struct leat_manifest manifest_of(uint64_t id)
{
    static const bool has_store[] = { true };
    return (struct leat_manifest){ .format = LEAT_MANIFEST_FORMAT,
        .leat_version = "0",
        .job = "job",
        .life = LIFE,
        .id = id,
        .kind = LEAT_KIND_CHECKPOINT,
        .parallelism = 1,
        .max_parallelism = 128,
        .has_store = has_store };
}

/* Makes checkpoint `id`; *m has its files afterwards. */
static int make(struct recording *r, struct leat_checkpoint_store *store, uint64_t id,
    const struct leat_manifest *before, struct leat_manifest *m, uint64_t *new_bytes, struct leat_error *err)
{
    char dir[LEAT_TREE_PATH_MAX], content[32];
    struct leat_manifest_file *files;
    *m = manifest_of(id);
    (void)snprintf(content, sizeof content, "of %u", (unsigned)id);
    LEAT_TRY(local->begin(store, id, dir, sizeof dir, err));
    put_files(r, dir, content);
    LEAT_TRY(local->seal(store, id, before, &m->arena, &files, &m->files_count, new_bytes, err));
    m->files = files;
    return local->publish(store, m, err);
}

static void make_well(struct recording *r, struct leat_checkpoint_store *store, uint64_t id)
{
    struct leat_manifest m;
    struct leat_error err = { 0 };
    uint64_t new_bytes;
    FAIL_UNLESS(make(r, store, id, NULL, &m, &new_bytes, &err) == 0, "%s", err.message);
    leat__manifest_release(&m);
}

static void expect_ids(struct leat_checkpoint_store *store, const char *want)
{
    uint64_t *ids;
    uint32_t count;
    struct leat_error err = { 0 };
    char got[256] = "";
    FAIL_UNLESS(local->list(store, &ids, &count, &err) == 0, "%s", err.message);
    for (uint32_t i = 0; i < count; i++)
        (void)snprintf(got + strlen(got), sizeof got - strlen(got), "%u ", (unsigned)ids[i]);
    assert_string_equal(got, want);
    leat__free(ids);
}

static void test_store__given_a_checkpoint__then_syncs_come_before_renames_and_directories_behind(
    void **state)
{
    (void)state;
    struct recording r;
    struct leat_error err = { 0 };
    recording_init(&r);
    struct leat_checkpoint_store *store = open_store(&r, true);
    assert_string_equal(r.log, "mkdir job; syncdir .; ");
    clear_log(&r);
    make_well(&r, store, 1);
    assert_string_equal(r.log,
        "mkdir job/chk-00000001.tmp; "
        "syncdir job/chk-00000001.tmp; rename job/chk-00000001; syncdir job; "
        "open job/MANIFEST-00000001.tmp; write job/MANIFEST-00000001.tmp; write job/MANIFEST-00000001.tmp; "
        "sync job/MANIFEST-00000001.tmp; rename job/MANIFEST-00000001; syncdir job; ");
    clear_log(&r);
    assert_int_equal(local->remove(store, 1, &err), 0);
    assert_string_equal(r.log,
        "unlink job/MANIFEST-00000001; syncdir job; "
        "unlink job/chk-00000001/outbox-a-0-1; unlink job/chk-00000001/worker-0/000001.sst; "
        "unlink job/chk-00000001/worker-0/CURRENT; rmdir job/chk-00000001/worker-0; rmdir "
        "job/chk-00000001; ");
    expect_ids(store, "");
    local->close(store);
    recording_release(&r);
}

static void test_store__given_several__then_it_finds_them_and_the_highest_id(void **state)
{
    (void)state;
    struct recording r;
    struct leat_error err = { 0 };
    uint64_t last;
    char dir[LEAT_TREE_PATH_MAX];
    recording_init(&r);
    struct leat_checkpoint_store *store = open_store(&r, false);
    expect_ids(store, "");
    assert_int_equal(local->last_id(store, &last, &err), 0);
    assert_int_equal(last, 0);
    assert_int_equal(local->lock(store, &err), 0);
    make_well(&r, store, 1);
    make_well(&r, store, 3);
    make_well(&r, store, 123456789);
    expect_ids(store, "1 3 123456789 ");
    assert_int_equal(local->begin(store, 123456790, dir, sizeof dir, &err), 0);
    assert_int_equal(local->last_id(store, &last, &err), 0);
    assert_int_equal(last, 123456790);
    expect_ids(store, "1 3 123456789 ");
    assert_int_equal(local->sweep(store, &err), 0);
    assert_int_equal(local->last_id(store, &last, &err), 0);
    assert_int_equal(last, 123456789);
    expect_ids(store, "1 3 123456789 ");
    local->close(store);
    recording_release(&r);
}

/* Killed between rename and sync of the directory: the manifest is seen, and nobody may go by it before it lasts. */
static void test_store__given_a_manifest_that_was_not_synced__when_swept__then_it_lasts(void **state)
{
    (void)state;
    struct recording r;
    struct leat_error err = { 0 };
    recording_init(&r);
    struct leat_checkpoint_store *store = open_store(&r, true);
    make_well(&r, store, 1);
    clear_log(&r);
    assert_int_equal(local->sweep(store, &err), 0);
    assert_non_null(strstr(r.log, "syncdir "));
    expect_ids(store, "1 ");
    local->close(store);
    recording_release(&r);
}

static void test_store__given_a_file_of_the_one_before__then_it_is_not_hashed_again(void **state)
{
    (void)state;
    struct recording r;
    struct leat_manifest first, second;
    struct leat_error err = { 0 };
    uint64_t new_bytes;
    recording_init(&r);
    struct leat_checkpoint_store *store = open_store(&r, true);
    assert_int_equal(make(&r, store, 1, NULL, &first, &new_bytes, &err), 0);
    assert_int_equal(first.files_count, 3);
    assert_int_equal(new_bytes, 15 + 4 + 4);
    assert_int_equal(make(&r, store, 2, &first, &second, &new_bytes, &err), 0);
    assert_int_equal(new_bytes, 4 + 4); /* CURRENT has the same name and size, and another content */
    for (uint32_t i = 0; i < 3; i++) {
        const bool shared = strstr(first.files[i].name, ".sst") != NULL;
        assert_string_equal(first.files[i].name, second.files[i].name);
        assert_true(shared == (first.files[i].hash == second.files[i].hash));
    }
    assert_int_equal(local->verify(store, &first, &err), 0);
    assert_int_equal(local->verify(store, &second, &err), 0);
    leat__manifest_release(&first);
    leat__manifest_release(&second);
    local->close(store);
    recording_release(&r);
}

static void test_store__given_a_call_that_fails__then_there_is_no_manifest_and_it_can_be_tried_again(
    void **state)
{
    (void)state;
    bool failed = true;
    for (uint32_t n = 1; failed; n++) {
        struct recording r;
        struct leat_manifest m;
        struct leat_error err = { 0 };
        uint64_t new_bytes;
        recording_init(&r);
        struct leat_checkpoint_store *store = open_store(&r, true);
        make_well(&r, store, 1);
        r.calls = 0;
        r.fail_at = n;
        failed = make(&r, store, 2, NULL, &m, &new_bytes, &err) < 0;
        r.fail_at = 0;
        leat__manifest_release(&m);
        expect_ids(store, failed ? "1 " : "1 2 ");
        if (failed) {
            assert_int_equal(err.code, LEAT_EIO);
            assert_int_equal(local->abandon(store, 2, &err), 0);
            make_well(&r, store, 3);
            expect_ids(store, "1 3 ");
        }
        assert_int_equal(local->sweep(store, &err), 0);
        expect_ids(store, failed ? "1 3 " : "1 2 ");
        local->close(store);
        recording_release(&r);
        assert_true(n < 30);
    }
}

static void test_store__given_a_removal_that_fails__then_what_is_left_is_swept(void **state)
{
    (void)state;
    bool failed = true;
    for (uint32_t n = 1; failed; n++) {
        struct recording r;
        struct leat_error err = { 0 };
        char path[256];
        recording_init(&r);
        struct leat_checkpoint_store *store = open_store(&r, true);
        make_well(&r, store, 1);
        make_well(&r, store, 2);
        r.calls = 0;
        r.fail_at = n;
        failed = local->remove(store, 1, &err) < 0;
        r.fail_at = 0;
        expect_ids(store, n == 1 ? "1 2 " : "2 "); /* the manifest goes first */
        assert_int_equal(local->sweep(store, &err), 0);
        expect_ids(store, n == 1 ? "1 2 " : "2 ");
        (void)snprintf(path, sizeof path, "%s/job/chk-00000001", r.root);
        assert_int_equal(access(path, F_OK) == 0, n == 1);
        local->close(store);
        recording_release(&r);
        assert_true(n < 30);
    }
}

static void test_store__given_two_owners__then_the_second_is_refused(void **state)
{
    (void)state;
    struct recording r;
    struct leat_error err = { 0 };
    recording_init(&r);
    struct leat_checkpoint_store *first = open_store(&r, true), *second = open_store(&r, false);
    assert_int_equal(local->lock(second, &err), LEAT_EEXISTS);
    assert_non_null(strstr(err.message, "/job/LOCK"));
    local->close(first);
    assert_int_equal(local->lock(second, &err), 0);
    local->close(second);
    recording_release(&r);
}

static void expect_damage(struct leat_checkpoint_store *store, const char *says)
{
    struct leat_manifest m;
    struct leat_error err = { 0 };
    assert_int_equal(local->read_manifest(store, 1, &m, &err), 0);
    assert_true(local->verify(store, &m, &err) < 0);
    FAIL_UNLESS(strstr(err.message, says), "\"%s\" does not say %s", err.message, says);
    leat__manifest_release(&m);
}

static void test_store__given_changed_files__then_verify_names_the_first(void **state)
{
    (void)state;
    struct recording r;
    struct leat_error err = { 0 };
    char dir[256];
    recording_init(&r);
    struct leat_checkpoint_store *store = open_store(&r, true);
    make_well(&r, store, 1);
    (void)snprintf(dir, sizeof dir, "%s/job/chk-00000001", r.root);
    put_file(dir, "worker-0/CURRENT", "of 2");
    expect_damage(store, "worker-0/CURRENT is damaged");
    put_file(dir, "worker-0/CURRENT", "of");
    expect_damage(store, "worker-0/CURRENT has 2 bytes, not 4");
    put_file(dir, "worker-0/CURRENT", "of 1");
    (void)snprintf(dir, sizeof dir, "%s/job/chk-00000001/outbox-a-0-1", r.root);
    assert_int_equal(unlink(dir), 0);
    expect_damage(store, "outbox-a-0-1");
    (void)snprintf(dir, sizeof dir, "%s/job", r.root);
    struct leat_manifest m;
    put_file(dir, "MANIFEST-00000001", "{}\n");
    assert_int_equal(local->read_manifest(store, 1, &m, &err), LEAT_EDATA);
    assert_non_null(strstr(err.message, "MANIFEST-00000001"));
    leat__manifest_release(&m);
    local->close(store);
    recording_release(&r);
}

static void test_store__given_a_manifest_in_anothers_place__then_it_is_refused(void **state)
{
    (void)state;
    struct recording r;
    struct leat_manifest m;
    struct leat_error err = { 0 };
    char text[512];
    recording_init(&r);
    struct leat_checkpoint_store *store = open_store(&r, true);
    make_well(&r, store, 1);
    (void)snprintf(text, sizeof text, "cp %s/job/MANIFEST-00000001 %s/job/MANIFEST-00000009", r.root, r.root);
    assert_int_equal(system(text), 0);
    assert_int_equal(local->read_manifest(store, 9, &m, &err), LEAT_EDATA);
    leat__manifest_release(&m);
    local->close(store);
    recording_release(&r);
}

/* ---- savepoints ---- */

static void expect_savepoint(struct recording *r, const char *path)
{
    struct leat_checkpoint_store *store;
    struct leat_manifest m;
    struct leat_error err = { 0 };
    char file[LEAT_TREE_PATH_MAX];
    FAIL_UNLESS(local->open(&r->env, path, NULL, &store, &err) == 0, "%s", err.message);
    expect_ids(store, "1 ");
    assert_int_equal(local->read_manifest(store, 1, &m, &err), 0);
    assert_int_equal(m.kind, LEAT_KIND_SAVEPOINT);
    FAIL_UNLESS(local->verify(store, &m, &err) == 0, "%s", err.message);
    assert_int_equal(local->path(store, 1, "worker-0", file, sizeof file, &err), 0);
    assert_int_equal(access(file, F_OK), 0);
    leat__manifest_release(&m);
    local->close(store);
}

static void test_store__given_an_export__then_it_is_whole_when_the_checkpoint_is_gone(void **state)
{
    (void)state;
    for (int link_code = 0; link_code >= LEAT_EUNSUPPORTED; link_code += LEAT_EUNSUPPORTED) {
        struct recording r;
        struct leat_manifest m;
        struct leat_error err = { 0 };
        char to[256];
        recording_init(&r);
        r.link_code = link_code; /* then files are copied */
        struct leat_checkpoint_store *store = open_store(&r, true);
        make_well(&r, store, 1);
        assert_int_equal(local->read_manifest(store, 1, &m, &err), 0);
        (void)snprintf(to, sizeof to, "%s/saved/here/", r.root);
        FAIL_UNLESS(local->export(store, &m, to, &err) == 0, "%s", err.message);
        assert_int_equal(local->export(store, &m, to, &err), LEAT_EEXISTS);
        assert_int_equal(local->remove(store, 1, &err), 0);
        expect_savepoint(&r, to);
        leat__manifest_release(&m);
        local->close(store);
        recording_release(&r);
    }
}

static void test_store__given_an_export_that_fails__then_nothing_of_it_is_left(void **state)
{
    (void)state;
    bool failed = true;
    for (uint32_t n = 1; failed; n++) {
        struct recording r;
        struct leat_manifest m;
        struct leat_error err = { 0 };
        char to[256], tmp[300];
        recording_init(&r);
        struct leat_checkpoint_store *store = open_store(&r, true);
        make_well(&r, store, 1);
        assert_int_equal(local->read_manifest(store, 1, &m, &err), 0);
        (void)snprintf(to, sizeof to, "%s/saved", r.root);
        (void)snprintf(tmp, sizeof tmp, "%s.tmp", to);
        r.calls = 0;
        r.fail_at = n;
        failed = local->export(store, &m, to, &err) < 0;
        r.fail_at = 0;
        assert_true(access(tmp, F_OK) != 0);
        if (access(to, F_OK) == 0)
            expect_savepoint(&r, to); /* only the last sync may have failed */
        else
            assert_true(failed);
        leat__manifest_release(&m);
        local->close(store);
        recording_release(&r);
        assert_true(n < 60);
    }
}

static void test_store__given_paths__then_what_they_are_is_found(void **state)
{
    (void)state;
    struct recording r;
    struct leat_error err = { 0 };
    struct leat_checkpoint_store *store;
    recording_init(&r);
    struct leat_checkpoint_store *own = open_store(&r, true);
    make_well(&r, own, 1);
    make_well(&r, own, 2);
    static const struct {
        const char *path, *ids;
    } rows[] = { { "job", "1 2 " }, { "job/", "1 2 " }, { "job/chk-00000001", "1 " },
        { "job/chk-00000002/", "2 " }, { "job/MANIFEST-00000001", "1 " }, { "job/chk-00000007", NULL },
        { "job/chk-00000001/worker-0", NULL }, { "", NULL }, { "nowhere", NULL } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%s", r.root, rows[i].path);
        const int result = local->open(&r.env, path, NULL, &store, &err);
        FAIL_UNLESS(result == (rows[i].ids ? 0 : LEAT_ENOTFOUND), "%s: %d", rows[i].path, result);
        if (result == 0) {
            expect_ids(store, rows[i].ids);
            local->close(store);
        }
    }
    local->close(own);
    recording_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_store__given_a_checkpoint__then_syncs_come_before_renames_and_directories_behind),
        cmocka_unit_test(test_store__given_several__then_it_finds_them_and_the_highest_id),
        cmocka_unit_test(test_store__given_a_file_of_the_one_before__then_it_is_not_hashed_again),
        cmocka_unit_test(
            test_store__given_a_call_that_fails__then_there_is_no_manifest_and_it_can_be_tried_again),
        cmocka_unit_test(test_store__given_a_removal_that_fails__then_what_is_left_is_swept),
        cmocka_unit_test(test_store__given_two_owners__then_the_second_is_refused),
        cmocka_unit_test(test_store__given_changed_files__then_verify_names_the_first),
        cmocka_unit_test(test_store__given_a_manifest_in_anothers_place__then_it_is_refused),
        cmocka_unit_test(test_store__given_an_export__then_it_is_whole_when_the_checkpoint_is_gone),
        cmocka_unit_test(test_store__given_an_export_that_fails__then_nothing_of_it_is_left),
        cmocka_unit_test(test_store__given_a_manifest_that_was_not_synced__when_swept__then_it_lasts),
        cmocka_unit_test(test_store__given_paths__then_what_they_are_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
