/* tests/integration/make_checkpoints.c -- writes a directory of checkpoints without running a job, for the tests
 * of `leat checkpoint`: exact contents, hostile names, nodes that come and go.
 *
 * Usage: make_checkpoints DIR: DIR/shop with checkpoints 1, 2 and 3; DIR/saved, a savepoint of 3; and of each
 * kind of entry at least one. 2 shares table-1.sst with 1, and 3 shares both with 2. Node "totals" is "sums"
 * in 3. */
#include "base/alloc.h"
#include "base/env.h"
#include "runtime/checkpoint_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_US INT64_C(3600000000)
#define TAKEN_US INT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */

static struct leat_env *env;
static const struct leat_checkpoint_store_class *const local = &leat__checkpoint_store_local;

static void must(int result, const struct leat_error *err)
{
    if (result >= 0)
        return;
    (void)fprintf(stderr, "make_checkpoints: %s\n", err->message);
    exit(1);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[8192];
    struct leat_error err = { 0 };
    leat_fd fd;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    must(env->fs_open(env, path, LEAT_OPEN_CREATE, &fd, &err), &err);
    must(env->fs_write(env, fd, text, strlen(text), &err), &err);
    env->fs_close(env, fd);
}

/* The files of checkpoint `id`: table-1 in all, table-N from N on, and an outbox of its own. */
static void write_files(const char *dir, uint64_t id)
{
    char worker[4200], text[64], name[64];
    struct leat_error err = { 0 };
    (void)snprintf(worker, sizeof worker, "%s/worker-0", dir);
    must(env->fs_mkdir(env, worker, &err), &err);
    for (uint64_t i = 1; i <= id && i <= 2; i++) {
        (void)snprintf(name, sizeof name, "table-%d.sst", (int)i);
        (void)snprintf(text, sizeof text, "rows of table %d, always the same", (int)i);
        write_file(worker, name, text);
    }
    (void)snprintf(text, sizeof text, "records of epoch %d", (int)id);
    write_file(dir, "outbox-orders-out-0", text);
}

/* long: one manifest with an entry of each kind */
static void make(struct leat_checkpoint_store *store, uint64_t id, struct leat_manifest *before)
{
    static const char schema[] = "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":["
                                 "{\"name\":\"total\",\"type\":"
                                 "\"long\"}]}";
    static const char handle[] = "part-0-1\x1b[31m\xff";
    const char *totals = id == 3 ? "sums" : "totals";
    char dir[4096], position[64];
    struct leat_error err = { 0 };
    struct leat_arena arena = { 0 };
    struct leat_manifest_file *files;
    uint64_t new_bytes;
    const bool has_store[] = { true };
    must(local->begin(store, id, dir, sizeof dir, &err), &err);
    write_files(dir, id);
    (void)snprintf(position, sizeof position, "block %d row 7", 1000 * (int)id);
    const struct leat_split_part splits[] = {
        { .id = "orders-a.avro",
            .position = leat_sv_of(position),
            .newest_us = TAKEN_US + (int64_t)id * HOUR_US,
            .watermark_us = TAKEN_US + (int64_t)id * HOUR_US - 10000001 },
        { .id = "orders-b.avro",
            .position = leat_sv_of("end"),
            .newest_us = TAKEN_US,
            .watermark_us = LEAT_TIME_MAX,
            .ended = true },
        { .id = "orders-\x07.avro", .newest_us = LEAT_TIME_MIN, .watermark_us = LEAT_TIME_MIN, .idle = true },
    };
    const struct leat_part parts[] = {
        { .node_name = "orders",
            .watermark_us = TAKEN_US + (int64_t)id * HOUR_US - 10000001,
            .splits = splits,
            .splits_count = 3 },
        { .node_name = totals, .watermark_us = LEAT_TIME_MIN, .blob = leat_sv_of("17") },
        { .node_name = "out", .watermark_us = LEAT_TIME_MIN },
    };
    const struct leat_manifest_node nodes[] = {
        { "orders", "file source", 1, true },
        { totals, "aggregate", 1, true },
        { "out", "file sink", 1, true },
    };
    const struct leat_table_info tables[] = {
        { .node = totals,
            .name = "accumulators",
            .kind = "fixed",
            .key = "customer_id string",
            .format = "count,sum v1",
            .prefix = 1,
            .entries = 100 * id },
        { .node = totals,
            .name = "rows",
            .kind = "list",
            .key = "customer_id string",
            .format = "avro v1",
            .schema = schema,
            .prefix = 2,
            .entries = 7 },
    };
    const struct leat_manifest_handle handles[] = { { "out", { handle, sizeof handle - 1 } } };
    const struct leat_manifest_outbox outboxes[] = { { "orders-out", 0, "outbox-orders-out-0", 12 } };
    struct leat_manifest manifest = { .format = LEAT_MANIFEST_FORMAT,
        .leat_version = "0.1.0",
        .job = "shop",
        .life = "0123456789abcdef0123456789abcdef",
        .id = id,
        .kind = LEAT_KIND_CHECKPOINT,
        .taken_us = TAKEN_US + (int64_t)id * 2500000,
        .parallelism = 1,
        .max_parallelism = 128,
        .nodes = nodes,
        .nodes_count = 3,
        .parts = parts,
        .parts_count = 3,
        .tables = tables,
        .tables_count = 2,
        .has_store = has_store,
        .handles = handles,
        .handles_count = 1,
        .outboxes = outboxes,
        .outboxes_count = 1 };
    must(local->seal(
             store, id, before->id ? before : NULL, &arena, &files, &manifest.files_count, &new_bytes, &err),
        &err);
    manifest.files = files;
    must(local->publish(store, &manifest, &err), &err);
    leat__arena_release(&arena);
    leat__manifest_release(before);
    must(local->read_manifest(store, id, before, &err), &err);
}

int main(int argc, char **argv)
{
    struct leat_checkpoint_store *store;
    struct leat_manifest before = { 0 };
    struct leat_error err = { 0 };
    char saved[4096];
    if (argc != 2) {
        (void)fprintf(stderr, "Usage: make_checkpoints DIR\n");
        return 2;
    }
    env = leat__env_posix();
    must(local->open(env, argv[1], "shop", &store, &err), &err);
    must(local->lock(store, &err), &err);
    for (uint64_t id = 1; id <= 3; id++)
        make(store, id, &before);
    (void)snprintf(saved, sizeof saved, "%s/saved", argv[1]);
    must(local->export(store, &before, saved, &err), &err);
    leat__manifest_release(&before);
    local->close(store);
    return 0;
}
