/* state/store_memory_file.c -- the checkpoint of the store in memory: one file of entries.
 *
 *   bytes            what
 *   8                "LEATRUN1"
 *   8                number of entries
 *   per entry        1 kind (enum leat_store_write), 4 length of the key, 4 length of the value, key, value
 *   8                XXH3 of all bytes before
 *
 * Numbers are little-endian. Entries are in key order, the newest of a key first; there are no deletes. */
#include "base/alloc.h"
#include "base/hash.h"
#include "state/store_memory_private.h"
#include <stdio.h>
#include <stdlib.h>

#define MAGIC "LEATRUN1"
#define HEAD_BYTES 16u
#define ENTRY_BYTES 9u
#define HASH_BYTES 8u

static void add_number(struct leat_strbuf *out, uint64_t number, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        leat__strbuf_char(out, (char)(number >> (8 * i)));
}

static uint64_t number_at(const char *data, uint32_t bytes)
{
    uint64_t number = 0;
    for (uint32_t i = bytes; i-- > 0;)
        number = number << 8 | (uint8_t)data[i];
    return number;
}

static void encode(const struct leat__memory_run *run, struct leat_strbuf *out)
{
    leat__strbuf_add(out, MAGIC, 8);
    add_number(out, run->count, 8);
    for (uint64_t i = 0; i < run->count; i++) {
        const struct leat_store_entry *e = &run->entries[i];
        leat__strbuf_char(out, (char)e->write);
        add_number(out, e->key.len, 4);
        add_number(out, e->value.len, 4);
        leat__strbuf_add(out, e->key.data, e->key.len);
        leat__strbuf_add(out, e->value.data, e->value.len);
    }
    add_number(out, leat__hash(out->data, out->len), HASH_BYTES);
}

int leat__memory_save(
    struct leat_env *env, const char *path, const struct leat__memory_run *run, struct leat_error *err)
{
    struct leat_strbuf bytes = { 0 };
    leat_fd fd = -1;
    for (uint64_t i = 0; i < run->count; i++)
        if (run->entries[i].key.len > UINT32_MAX || run->entries[i].value.len > UINT32_MAX)
            return leat__error(err, LEAT_ELIMIT, "write %s: a value of 4 GiB or more", path);
    encode(run, &bytes);
    int code = bytes.failed ? leat__error(err, LEAT_ENOMEM, "write %s: out of memory", path)
                            : env->fs_open(env, path, LEAT_OPEN_CREATE, &fd, err);
    if (code == 0) {
        code = env->fs_write(env, fd, bytes.data, bytes.len, err);
        if (code == 0)
            code = env->fs_sync(env, fd, err);
        env->fs_close(env, fd);
    }
    leat__strbuf_release(&bytes);
    return code;
}

static int damaged(const char *path, const char *what, struct leat_error *err)
{
    return leat__error(err, LEAT_ESTATE, "%s is damaged: %s; go back to another checkpoint", path, what);
}

/* Takes over `bytes`. */
static int decode(
    const char *path, char *bytes, uint64_t size, struct leat__memory_run **run, struct leat_error *err)
{
    int code = 0;
    struct leat_store_entry *entries = NULL;
    uint64_t count = 0;
    if (size < HEAD_BYTES + HASH_BYTES || memcmp(bytes, MAGIC, 8) != 0)
        code = damaged(path, "it does not begin like a run", err);
    else if (leat__hash(bytes, size - HASH_BYTES) != number_at(bytes + size - HASH_BYTES, HASH_BYTES))
        code = damaged(path, "its checksum differs", err);
    else if ((count = number_at(bytes + 8, 8)) > size / ENTRY_BYTES)
        code = damaged(path, "it counts more entries than it has bytes for", err);
    else if (!(entries = leat__malloc(count * sizeof *entries)))
        code = leat__error(err, LEAT_ENOMEM, "read %s: out of memory", path);
    uint64_t at = HEAD_BYTES;
    const uint64_t end = size - HASH_BYTES;
    for (uint64_t i = 0; code == 0 && i < count; i++) {
        const bool head = at + ENTRY_BYTES <= end;
        const uint64_t key_len = head ? number_at(bytes + at + 1, 4) : 0;
        const uint64_t value_len = head ? number_at(bytes + at + 5, 4) : 0;
        if (!head || key_len + value_len > end - at - ENTRY_BYTES) {
            code = damaged(path, "an entry ends behind it", err);
            break;
        }
        const char *key = bytes + at + ENTRY_BYTES;
        entries[i] = (struct leat_store_entry){ { key, key_len }, { key + key_len, value_len },
            (enum leat_store_write)bytes[at] };
        at += ENTRY_BYTES + key_len + value_len;
    }
    if (code < 0) {
        leat__free(entries);
        leat__free(bytes);
        return code;
    }
    *run = leat__memory_run_of(entries, count, bytes, size);
    return *run ? 0 : leat__error(err, LEAT_ENOMEM, "read %s: out of memory", path);
}

int leat__memory_load(
    struct leat_env *env, const char *path, struct leat__memory_run **run, struct leat_error *err)
{
    struct leat_file_info info;
    leat_fd fd = -1;
    *run = NULL;
    LEAT_TRY(env->fs_stat(env, path, &info, err));
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &fd, err));
    char *bytes = leat__malloc(info.size);
    const int64_t n = bytes ? env->fs_pread(env, fd, bytes, info.size, 0, err)
                            : leat__error(err, LEAT_ENOMEM, "read %s: out of memory", path);
    env->fs_close(env, fd);
    if (n < 0) {
        leat__free(bytes);
        return (int)n;
    }
    return decode(path, bytes, (uint64_t)n, run, err);
}

struct newest {
    uint64_t number;
    char name[32];
};

static int find_newest(void *arg, const char *name, bool is_dir)
{
    struct newest *newest = arg;
    char *end = NULL;
    const uint64_t number = strtoull(name, &end, 10);
    if (!is_dir && end != name && strcmp(end, LEAT_MEMORY_SUFFIX) == 0 && number >= newest->number) {
        newest->number = number;
        snprintf(newest->name, sizeof newest->name, "%s", name);
    }
    return 0;
}

int leat__memory_load_dir(struct leat_env *env, const char *dir, struct leat__memory_run **run,
    uint64_t *number, struct leat_error *err)
{
    struct newest newest = { 0 };
    *run = NULL;
    *number = 0;
    LEAT_TRY(env->fs_list(env, dir, find_newest, &newest, err));
    if (newest.name[0] == '\0')
        return leat__error(err, LEAT_ESTATE, "%s is no checkpoint of a store in memory: it has no run", dir);
    *number = newest.number;
    char *path = leat__store_path(dir, newest.name);
    const int code =
        path ? leat__memory_load(env, path, run, err) : leat__error(err, LEAT_ENOMEM, "out of memory");
    leat__free(path);
    return code;
}

/* ---- scan ---- */

static int scan_key(const struct leat__memory_run *run, uint64_t from, uint64_t to,
    const struct leat__memory_merge *merge, struct leat_strbuf *made,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err)
{
    const struct leat_sv key = run->entries[from].key;
    int code = 0;
    if (!merge->merge) {
        for (uint64_t i = to; code == 0 && i-- > from;)
            code = fn(arg, key, run->entries[i].value);
        return code;
    }
    struct leat__memory_stack stack = { 0 };
    struct leat_sv value;
    for (uint64_t i = from; i < to && leat__memory_stack_add(&stack, &run->entries[i]); i++)
        continue;
    code = leat__memory_stack_value(&stack, merge, made, &value, err);
    leat__memory_stack_release(&stack);
    return code == 0 ? fn(arg, key, value) : code;
}

int leat__memory_scan(const struct leat_store_opts *opts,
    int (*fn)(void *arg, struct leat_sv key, struct leat_sv value), void *arg, struct leat_error *err)
{
    const struct leat__memory_merge merge = { opts->merge, opts->merge_arg };
    struct leat__memory_run *run = NULL;
    struct leat_strbuf made = { 0 };
    uint64_t number;
    int code = leat__memory_load_dir(opts->env, opts->dir, &run, &number, err);
    for (uint64_t i = 0; code == 0 && i < run->count;) {
        const uint64_t end = leat__memory_run_skip(run, i);
        code = scan_key(run, i, end, &merge, &made, fn, arg, err);
        i = end;
    }
    leat__strbuf_release(&made);
    leat__memory_run_unref(run);
    return code;
}
