/* state/split.c -- the stores of one parallelism made into those of another.
 *
 * Each old store is read once, in the order of its keys; an entry goes to the new owner of its key's group. Values
 * are as they were. Segments of lists are numbered anew, as they come: where an operator keeps rows that were not sent
 * to their owner (behind a broadcast table) several old stores have a list of the same key, which become one. What a
 * new store gets is gathered in runs of bounded size, so the memory that is needed does not
 * depend on the size of the state. Operators with one subtask have all their state on worker 0; entries of
 * tables that are not saved any more stay behind.
 *
 * A new store is written as a live one beside its place, and its checkpoint is the result. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "base/point.h"
#include "state/state_private.h"
#include <stdio.h>

#define RUN_BYTES ((size_t)8 << 20)
#define STORE_BYTES ((uint64_t)32 << 20)

struct saved_table {
    const struct leat_table_info *info;
    struct leat_key_route route;
    bool is_list;
    bool single; /* one subtask */
};

struct target {
    const char *dir;
    char *live;
    struct leat_store *store; /* NULL: it has got nothing */
    struct leat__run *run;
    struct leat_strbuf counts; /* of namespaces, for the meta entry */
    struct leat_strbuf last; /* head and key, without the segment, of the entry it got last */
    uint64_t keys; /* of the namespace of `last` */
    uint32_t segment; /* of the list that it got last */
};

struct split {
    const struct leat_split_opts *opts;
    struct saved_table *tables;
    struct target *targets;
    size_t run_bytes;
    struct leat_strbuf plain; /* an unescaped key */
    struct leat_arena arena;
    struct leat_error *err;
};

static int no_memory(const struct split *split)
{
    return leat__error(split->err, LEAT_ENOMEM, "out of memory for splitting keyed state");
}

/* Older and newer as they stand: no value is looked at. */
static int join_values(
    void *arg, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    (void)arg;
    (void)key;
    leat__strbuf_add(out, older.data, older.len);
    leat__strbuf_add(out, newer.data, newer.len);
    return out->failed ? LEAT_ENOMEM : 0;
}

/* ---- targets ---- */

static int open_target(struct split *split, struct target *target)
{
    const struct leat_store_opts opts = {
        .env = split->opts->env,
        .dir = target->live,
        .memory_bytes = STORE_BYTES,
        .merge = join_values,
    };
    return target->store ? 0 : split->opts->store_class->open(&opts, &target->store, split->err);
}

static int write_run(struct split *split, struct target *target)
{
    if (!target->run || target->run->count == 0)
        return 0;
    LEAT_TRY(open_target(split, target));
    LEAT_TRY(leat__run_write(target->run, target->store, split->err));
    leat__run_free(target->run);
    target->run = NULL;
    return 0;
}

/* The keys of the namespace of `last` are all counted. */
static void close_count(struct target *target)
{
    uint32_t prefix;
    if (target->keys == 0)
        return;
    memcpy(&prefix, target->last.data, sizeof prefix);
    const struct leat__ns_count count = { __builtin_bswap32(prefix), leat__store_ns(target->last.data),
        target->keys };
    leat__meta_add(&count, &target->counts);
    target->keys = 0;
}

static int count_key(struct split *split, struct target *target, struct leat_sv key)
{
    const bool same_ns = target->keys > 0 && memcmp(key.data, target->last.data, LEAT__STORE_HEAD) == 0;
    if (same_ns && leat_sv_eq(key, (struct leat_sv){ target->last.data, target->last.len }))
        return 0;
    if (!same_ns)
        close_count(target);
    leat__strbuf_clear(&target->last);
    leat__strbuf_add(&target->last, key.data, key.len);
    target->keys++;
    return target->last.failed || target->counts.failed ? no_memory(split) : 0;
}

/* The number behind the key of a list; that of flags is the same everywhere. */
static int next_segment(struct split *split, struct target *target, struct leat_sv key, uint32_t *segment)
{
    memcpy(segment, key.data + key.len - sizeof *segment, sizeof *segment);
    if (*segment == 0)
        return 0;
    if (target->segment == UINT32_MAX)
        return leat__error(split->err, LEAT_ELIMIT,
            "splitting keyed state: more than %u parts of lists on one worker; take more workers",
            UINT32_MAX);
    *segment = ++target->segment;
    return 0;
}

/* `tail`: how much of the key is the number of a segment. */
static int add_entry(
    struct split *split, struct target *target, struct leat_sv key, size_t tail, struct leat_sv value)
{
    uint32_t segment = 0;
    if (target->run && leat__run_bytes(target->run) >= split->run_bytes)
        LEAT_TRY(write_run(split, target));
    if (!target->run && leat__run_new(split->run_bytes, &target->run) < 0)
        return no_memory(split);
    struct leat__run *run = target->run;
    const struct leat_sv rest = { key.data + LEAT__STORE_HEAD, key.len - LEAT__STORE_HEAD - tail };
    if (tail)
        LEAT_TRY(next_segment(split, target, key, &segment));
    if (!leat__run_group(run, key.data) ||
        !(tail ? leat__run_begin_segment(run, rest, segment, LEAT_STORE_PUT)
               : leat__run_begin(run, rest, LEAT_STORE_PUT)))
        return no_memory(split);
    leat__strbuf_add(&run->data, value.data, value.len);
    return leat__run_end(run) ? 0 : no_memory(split);
}

/* ---- entries ---- */

static int bad_entry(const struct split *split, const char *what)
{
    return leat__error(split->err, LEAT_EDATA,
        "splitting keyed state: %s in a saved store is damaged; begin with another checkpoint", what);
}

static int note_meta(struct split *split, struct leat_sv value)
{
    struct leat__ns_count *counts;
    uint64_t counts_count;
    uint32_t segment;
    struct leat_arena arena = { 0 };
    const int code = leat__meta_read(value, &arena, &segment, &counts, &counts_count);
    leat__arena_release(&arena);
    if (code == LEAT_ENOMEM)
        return no_memory(split);
    return code < 0 ? bad_entry(split, "the store's own entry") : 0;
}

static const struct saved_table *table_of(const struct split *split, uint32_t prefix)
{
    for (uint32_t i = 0; i < split->opts->tables_count; i++)
        if (split->tables[i].info->prefix == prefix)
            return &split->tables[i];
    return NULL;
}

static int split_entry(void *arg, struct leat_sv key, struct leat_sv value)
{
    struct split *split = arg;
    const struct leat_split_opts *opts = split->opts;
    uint32_t prefix = 0;
    if (key.len < LEAT__META_KEY_BYTES)
        return bad_entry(split, "a key");
    memcpy(&prefix, key.data, sizeof prefix);
    prefix = __builtin_bswap32(prefix);
    if (prefix == LEAT__META_PREFIX)
        return note_meta(split, value);
    const struct saved_table *table = table_of(split, prefix);
    if (!table)
        return 0;
    const size_t tail = table->is_list ? LEAT__SEGMENT_BYTES : 0;
    if (key.len < LEAT__STORE_HEAD + tail)
        return bad_entry(split, "a key");
    uint32_t owner = 0;
    if (!table->single) {
        struct leat_sv bare;
        const struct leat_sv stored = { key.data + LEAT__STORE_HEAD, key.len - tail - LEAT__STORE_HEAD };
        const int code =
            leat__store_key_read(table->is_list, table->info->key_size, stored, &split->plain, &bare);
        if (code < 0)
            return code == LEAT_ENOMEM ? no_memory(split) : bad_entry(split, "a key");
        bare = leat__key_route(&table->route, bare);
        owner = leat__key_group_owner(leat__key_group(leat__hash(bare.data, bare.len), opts->key_groups),
            opts->key_groups, opts->to_count);
    }
    struct target *target = &split->targets[owner];
    LEAT_TRY(count_key(split, target, (struct leat_sv){ key.data, key.len - tail }));
    return add_entry(split, target, key, tail, value);
}

/* ---- begin and end ---- */

static int open_split(struct split *split)
{
    const struct leat_split_opts *opts = split->opts;
    split->tables = leat__arena_array(&split->arena, opts->tables_count + 1, sizeof *split->tables);
    split->targets = leat__arena_array(&split->arena, opts->to_count + 1, sizeof *split->targets);
    if (!split->tables || !split->targets)
        return no_memory(split);
    for (uint32_t i = 0; i < opts->tables_count; i++) {
        struct saved_table *table = &split->tables[i];
        table->info = &opts->tables[i];
        table->is_list = strcmp(table->info->kind, "list") == 0;
        table->single = opts->to_count == 1 || opts->parallelism(opts->arg, table->info) == 1;
        if (leat__route_parse(table->info->route, &table->route) < 0)
            return leat__error(split->err, LEAT_EDATA,
                "splitting keyed state: table \"%s\" of \"%s\" was saved with the route \"%s\", which this "
                "version does not know",
                table->info->name, table->info->node, table->info->route);
    }
    for (uint32_t i = 0; i < opts->to_count; i++) {
        split->targets[i].dir = opts->to[i];
        split->targets[i].live = leat__arena_printf(&split->arena, "%s.live", opts->to[i]);
        if (!split->targets[i].live)
            return no_memory(split);
    }
    split->run_bytes = RUN_BYTES / opts->to_count + 65536;
    return 0;
}

static int finish_target(struct split *split, struct target *target)
{
    char key[LEAT__META_KEY_BYTES];
    LEAT_TRY(write_run(split, target));
    close_count(target);
    if (!target->store)
        return 0;
    struct leat_strbuf meta = { 0 };
    leat__meta_begin(target->segment, &meta);
    leat__strbuf_add(&meta, target->counts.data, target->counts.len);
    leat__meta_key(key);
    const struct leat_store_entry entry = { { key, sizeof key }, { meta.data, meta.len }, LEAT_STORE_PUT };
    int code = meta.failed || target->counts.failed
        ? no_memory(split)
        : target->store->store_class->write(target->store, &entry, 1, split->err);
    leat__strbuf_release(&meta);
    if (code == 0)
        code = target->store->store_class->checkpoint(target->store, target->dir, split->err);
    leat__point(LEAT_POINT_RESTORE_SPLIT);
    return code;
}

static void release_target(struct target *target)
{
    if (target->store)
        target->store->store_class->close(target->store);
    leat__run_free(target->run);
    leat__strbuf_release(&target->counts);
    leat__strbuf_release(&target->last);
}

int leat__state_split(const struct leat_split_opts *opts, struct leat_error *err)
{
    struct split split = { .opts = opts, .err = err };
    int code = open_split(&split);
    for (uint32_t i = 0; code == 0 && i < opts->from_count; i++) {
        code = leat__store_scan(
            opts->store_class, opts->env, opts->from[i], join_values, NULL, split_entry, &split, err);
        for (uint32_t t = 0; t < opts->to_count; t++)
            close_count(&split.targets[t]);
    }
    for (uint32_t i = 0; code == 0 && i < opts->to_count; i++)
        code = finish_target(&split, &split.targets[i]);
    for (uint32_t i = 0; split.targets && i < opts->to_count; i++)
        release_target(&split.targets[i]);
    leat__strbuf_release(&split.plain);
    leat__arena_release(&split.arena);
    return code < 0 ? code : 0;
}
