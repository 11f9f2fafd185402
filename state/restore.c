/* state/restore.c -- taking up what a checkpoint has of keyed state.
 *
 * The store begins as a copy of the checkpoint's. A table that is opened under a saved name takes up its
 * prefix and its namespaces, which are found by seeking from one to the next; their keys stay on disk until
 * they are asked for (fetch.c). Saved tables that nobody opens are handed on as they are; keys of tables that
 * are saved no more are dropped.
 *
 * Values of one table are all of one format: where the format or the schema of rows has changed, all its
 * entries are read, decoded, encoded anew and written back while the table is opened, some at a time. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/hash.h"
#include "record/schema.h"
#include "state/state_private.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- the store ---- */

static int copy_saved(struct leat_state *state, const struct leat_state_opts *opts, struct leat_error *err)
{
    struct leat_arena *arena = &state->saved_arena;
    const uint32_t count = opts->tables_count;
    state->saved = leat__arena_array(arena, count + 1, sizeof *state->saved);
    state->saved_taken = leat__arena_array(arena, count + 1, sizeof *state->saved_taken);
    if (!state->saved || !state->saved_taken)
        return leat__error(err, LEAT_ENOMEM, "out of memory for keyed state");
    for (uint32_t i = 0; i < count; i++) {
        struct leat_table_info *to = &state->saved[i];
        const struct leat_table_info *from = &opts->tables[i];
        *to = *from;
        to->node = leat__arena_str(arena, from->node);
        to->name = leat__arena_str(arena, from->name);
        to->kind = leat__arena_str(arena, from->kind);
        to->key = leat__arena_str(arena, from->key);
        to->format = leat__arena_str(arena, from->format);
        to->schema = leat__arena_str(arena, from->schema);
        to->route = leat__arena_str(arena, from->route);
        if (!to->node || !to->name || !to->kind)
            return leat__error(err, LEAT_ENOMEM, "out of memory for keyed state");
    }
    state->saved_count = count;
    return 0;
}

static int read_meta(struct leat_state *state, struct leat_error *err)
{
    char key[LEAT__META_KEY_BYTES];
    const struct leat_sv wanted = { key, sizeof key };
    struct leat_sv value = { NULL, 0 };
    leat__meta_key(key);
    LEAT_TRY(state->store->store_class->get(state->store, &wanted, 1, &value, err));
    if (!value.data)
        return 0;
    const int code = leat__meta_read(
        value, &state->saved_arena, &state->segment, &state->saved_keys, &state->saved_keys_count);
    return code < 0
        ? leat__error(err, code, "keyed state in %s: the store's own entry is damaged", state->dir)
        : 0;
}

static bool is_saved(const struct leat_state *state, uint32_t prefix)
{
    for (uint32_t i = 0; i < state->saved_count; i++)
        if (state->saved[i].prefix == prefix)
            return true;
    return prefix == LEAT__META_PREFIX;
}

static uint32_t prefix_of(struct leat_sv key)
{
    uint32_t prefix = 0;
    memcpy(&prefix, key.data, key.len < sizeof prefix ? key.len : sizeof prefix);
    return __builtin_bswap32(prefix);
}

/* Keys of no saved table: they were dropped. One prefix at a time, since a range may not go while it is
 * walked. 1: there may be more. */
static int drop_unknown(struct leat_state *state, uint32_t *from, struct leat_error *err)
{
    const struct leat_store_class *class = state->store->store_class;
    struct leat_store_iter *iter = NULL;
    struct leat_sv key, value;
    uint32_t begin = __builtin_bswap32(*from);
    LEAT_TRY(class->iter_new(state->store, (struct leat_sv){ (const char *)&begin, sizeof begin },
        (struct leat_sv){ NULL, 0 }, &iter, err));
    int code;
    uint32_t prefix = LEAT__META_PREFIX;
    while ((code = class->iter_next(iter, &key, &value, err)) > 0) {
        prefix = prefix_of(key);
        if (!is_saved(state, prefix) || prefix == LEAT__META_PREFIX)
            break;
        const uint32_t next = __builtin_bswap32(prefix + 1);
        class->iter_seek(iter, (struct leat_sv){ (const char *)&next, sizeof next });
    }
    class->iter_free(iter);
    if (code <= 0 || prefix == LEAT__META_PREFIX)
        return code < 0 ? code : 0;
    begin = __builtin_bswap32(prefix);
    const uint32_t end = __builtin_bswap32(prefix + 1);
    *from = prefix + 1;
    LEAT_TRY(class->delete_range(state->store, (struct leat_sv){ (const char *)&begin, sizeof begin },
        (struct leat_sv){ (const char *)&end, sizeof end }, err));
    return 1;
}

int leat__restore_open(struct leat_state *state, const struct leat_state_opts *opts, struct leat_error *err)
{
    LEAT_TRY(copy_saved(state, opts, err));
    if (!opts->from)
        return 0;
    const struct leat_store_opts store_opts = {
        .env = state->env,
        .dir = state->dir,
        .from = opts->from,
        .memory_bytes = state->store_bytes,
        .merge = leat__store_merge,
        .merge_arg = state,
    };
    LEAT_TRY(state->store_class->open(&store_opts, &state->store, err));
    LEAT_TRY(read_meta(state, err));
    uint32_t from = 0;
    int code;
    while ((code = drop_unknown(state, &from, err)) > 0)
        continue;
    return code;
}

/* ---- opening a table ---- */

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text ? leat__strdup(text) : NULL;
    *failed |= text && !copy;
    return copy;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static const char *kind_text(const struct leat_table *table)
{
    return table->kind == LEAT_TABLE_LIST ? "list" : "fixed";
}

static int mismatch(const struct leat_table *table, const char *what, const char *saved, const char *now,
    struct leat_error *err)
{
    return leat__error(err, LEAT_ESCHEMA,
        "state of \"%s\", table \"%s\": its %s was %s when it was saved and is %s now; go back, or give the "
        "operator another name and let the saved state go",
        table->node, table->name, what, saved && saved[0] ? saved : "(none)", now && now[0] ? now : "(none)");
}

static int check_shape(
    const struct leat_table *table, const struct leat_table_info *saved, struct leat_error *err)
{
    char route[32], now[16], was[16];
    (void)leat__route_print(&table->route, route, sizeof route);
    (void)snprintf(now, sizeof now, "%u", table->key_size);
    (void)snprintf(was, sizeof was, "%u", saved->key_size);
    if (!same(saved->kind, kind_text(table)))
        return mismatch(table, "kind", saved->kind, kind_text(table), err);
    if (!same(saved->key, table->key_text))
        return mismatch(table, "key", saved->key, table->key_text, err);
    if (saved->key_size != table->key_size)
        return mismatch(table, "size of keys", was, now, err);
    if (saved->route && !same(saved->route, route))
        return mismatch(table, "way to a key's group", saved->route, route, err);
    return 0;
}

/* A prefix of its own. */
static int choose_prefix(
    struct leat_table *table, const struct leat_table_info *saved, struct leat_error *err)
{
    struct leat_state *state = table->state;
    char path[512];
    if (saved) {
        table->prefix = saved->prefix;
    } else {
        const int len = snprintf(path, sizeof path, "%s/%s", table->node, table->name);
        table->prefix = (uint32_t)leat__hash(path, (size_t)len < sizeof path ? (size_t)len : sizeof path - 1);
        if (table->prefix == LEAT__META_PREFIX)
            table->prefix--;
    }
    const char *node = NULL, *name = NULL;
    for (const struct leat_table *other = state->tables; other; other = other->next)
        if (other->prefix == table->prefix)
            node = other->node, name = other->name;
    for (uint32_t i = 0; i < state->saved_count && !saved; i++)
        if (state->saved[i].prefix == table->prefix)
            node = state->saved[i].node, name = state->saved[i].name;
    if (!node)
        return 0;
    return leat__error(err, LEAT_ESTATE,
        "state of \"%s\", table \"%s\": has the same place in the store as table \"%s\" of \"%s\"; give one "
        "of "
        "the operators another name",
        table->node, table->name, name, node);
}

static int add_merger(struct leat_table *table)
{
    if (!table->codec.merge)
        return 0;
    struct leat__merger *m = leat__calloc(1, sizeof *m);
    if (!m)
        return LEAT_ENOMEM;
    m->prefix = table->prefix;
    m->codec = table->codec;
    m->next = table->state->mergers;
    __atomic_store_n(&table->state->mergers, m, __ATOMIC_RELEASE);
    table->merger = m;
    return 0;
}

/* ---- entries of another format ---- */

struct rewrite {
    struct leat_table *table;
    struct leat__slice *slice; /* memory of one value */
    struct leat_decoder *from; /* LIST: rows as they were saved */
    void *value;
};

static int rewrite_entry(struct rewrite *w, struct leat_sv key, struct leat_sv value, struct leat_error *err)
{
    struct leat_table *table = w->table;
    struct leat__run *run = leat__queue_run(table->state, err);
    if (!run || !leat__run_group(run, key.data))
        return leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    const struct leat_sv rest = { key.data + LEAT__STORE_HEAD, key.len - LEAT__STORE_HEAD };
    struct leat__list list = { 0 };
    leat__slice_empty(table, w->slice);
    if (table->kind == LEAT_TABLE_LIST) {
        static const char no_segment[LEAT__SEGMENT_BYTES] = { 0 };
        if (memcmp(key.data + key.len - sizeof no_segment, no_segment, sizeof no_segment) == 0)
            return 0; /* flags */
        struct leat_decoder *now = table->decoder;
        table->decoder = w->from;
        const int code = leat__segment_read(table, w->slice, value, &list, err);
        table->decoder = now;
        LEAT_TRY(code);
    } else {
        memset(w->value, 0, table->value_size);
        LEAT_TRY(leat__value_read(table, w->slice, value, false, w->value, err));
    }
    if (!leat__run_begin(run, rest, LEAT_STORE_PUT))
        return leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    const int code = table->kind == LEAT_TABLE_LIST ? leat__rows_write(table, list.first, &run->data, err)
                                                    : leat__value_write(table, w->value, &run->data, err);
    if (code < 0)
        run->data.failed = true;
    if (!leat__run_end(run))
        return code < 0 ? code : leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    return 0;
}

static int rewrite_all(struct rewrite *w, struct leat_error *err)
{
    struct leat_table *table = w->table;
    struct leat_state *state = table->state;
    const struct leat_store_class *class = state->store->store_class;
    struct leat_store_iter *iter = NULL;
    struct leat_sv key, value;
    char from[LEAT__STORE_HEAD], to[LEAT__STORE_HEAD];
    leat__store_head(table, INT64_MIN, from);
    const uint32_t to_len = leat__store_end(table, INT64_MAX, to);
    LEAT_TRY(class->iter_new(
        state->store, (struct leat_sv){ from, sizeof from }, (struct leat_sv){ to, to_len }, &iter, err));
    int code = 0;
    while (code == 0 && (code = class->iter_next(iter, &key, &value, err)) > 0)
        code = key.len < LEAT__STORE_HEAD + (table->kind == LEAT_TABLE_LIST ? LEAT__SEGMENT_BYTES : 0)
            ? LEAT_EDATA
            : rewrite_entry(w, key, value, err);
    class->iter_free(iter);
    if (code == 0)
        code = leat__queue_flush(state, err);
    return code < 0 ? code : leat__queue_drain(state, err);
}

static int rewrite_table(struct leat_table *table, struct leat_decoder *from, struct leat_error *err)
{
    struct rewrite w = { .table = table, .from = from };
    if (!leat__store(table->state))
        return 0;
    w.value = leat__malloc(table->value_size);
    int code = w.value ? leat__slice_new(table, 0, 0, &w.slice, err)
                       : leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    if (code == 0)
        code = rewrite_all(&w, err);
    if (w.slice)
        leat__slice_free(table, w.slice);
    leat__free(w.value);
    return code < 0 ? leat__error_prefix(err, "state of \"%s\", table \"%s\"", table->node, table->name) : 0;
}

/* Rows that were saved with another schema. */
static int rewrite_rows(struct leat_table *table, const char *schema_text, struct leat_error *err)
{
    struct leat_schema *schema = NULL;
    struct leat_decoder *decoder = NULL;
    int code = leat__schema_parse(schema_text, strlen(schema_text), &schema, err);
    if (code == 0 && schema->fingerprint != table->row_type->fingerprint) {
        code = leat__decoder_new(schema, table->row_type, NULL, &decoder, err);
        if (code < 0)
            (void)leat__error_prefix(err,
                "state of \"%s\", table \"%s\": saved rows do not fit the schema of today", table->node,
                table->name);
        else
            code = rewrite_table(table, decoder, err);
    }
    leat__decoder_free(decoder);
    leat__schema_free(schema);
    return code;
}

static int check_format(struct leat_table *table, const struct leat_table_opts *opts,
    const struct leat_table_info *saved, struct leat_error *err)
{
    if (table->kind == LEAT_TABLE_LIST) {
        if (!same(saved->format, table->format)) /* where rows are: the buckets of a join */
            return mismatch(table, "format of rows", saved->format, table->format, err);
        return saved->schema && !same(saved->schema, table->schema) ? rewrite_rows(table, saved->schema, err)
                                                                    : 0;
    }
    if (same(saved->format, table->format) && same(saved->schema, table->schema))
        return 0;
    const bool is_schema_alone = opts->accept_schema && same(saved->format, table->format);
    if (opts->accept_format || is_schema_alone) {
        const int code = is_schema_alone
            ? opts->accept_schema(opts->codec.arg, saved->schema, err)
            : opts->accept_format(opts->codec.arg, saved->format, saved->schema, err);
        if (code < 0)
            return leat__error_prefix(err, "state of \"%s\", table \"%s\"", table->node, table->name);
        return rewrite_table(table, NULL, err);
    }
    if (!same(saved->format, table->format))
        return mismatch(table, "format of values", saved->format, table->format, err);
    return mismatch(table, "schema of values", saved->schema, table->schema, err);
}

/* ---- namespaces ---- */

static int add_namespace(struct leat_table *table, int64_t ns, struct leat_error *err)
{
    struct leat__slice *slice = NULL;
    LEAT_TRY(leat__slice_make(table, ns, &slice, err));
    leat__slice_empty(table, slice);
    slice->stored = slice->incomplete = true;
    slice->keys = leat__meta_keys(table->state, table->prefix, ns);
    table->keys_count += slice->keys;
    return 0;
}

static int find_namespaces(struct leat_table *table, struct leat_error *err)
{
    struct leat_state *state = table->state;
    const struct leat_store_class *class = state->store->store_class;
    struct leat_store_iter *iter = NULL;
    struct leat_sv key, value;
    char head[LEAT__STORE_HEAD], to[LEAT__STORE_HEAD];
    leat__store_head(table, INT64_MIN, head);
    const uint32_t to_len = leat__store_end(table, INT64_MAX, to);
    LEAT_TRY(class->iter_new(
        state->store, (struct leat_sv){ head, sizeof head }, (struct leat_sv){ to, to_len }, &iter, err));
    int code;
    while ((code = class->iter_next(iter, &key, &value, err)) > 0) {
        const int64_t ns = key.len < LEAT__STORE_HEAD ? 0 : leat__store_ns(key.data);
        code = key.len < LEAT__STORE_HEAD
            ? leat__error(err, LEAT_EDATA, "state of \"%s\", table \"%s\": a key in the store is too short",
                  table->node, table->name)
            : add_namespace(table, ns, err);
        if (code < 0 || ns == INT64_MAX)
            break;
        leat__store_head(table, ns + 1, head);
        class->iter_seek(iter, (struct leat_sv){ head, sizeof head });
    }
    class->iter_free(iter);
    return code < 0 ? code : 0;
}

static int fill_texts(struct leat_table *table, const struct leat_table_opts *opts, struct leat_error *err)
{
    bool failed = false;
    table->key_text = copy_text(opts->key_text, &failed);
    table->format = copy_text(opts->format, &failed);
    table->schema = copy_text(opts->kind == LEAT_TABLE_LIST ? opts->row_type->schema : opts->schema, &failed);
    table->route = opts->route;
    if (opts->kind == LEAT_TABLE_LIST && !failed)
        failed = leat__pool_new(64, &table->pool) < 0;
    return failed ? leat__error(err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node,
                        table->name)
                  : 0;
}

/* Rows go to the store and come back in their own schema. */
static int open_codecs(struct leat_table *table, struct leat_error *err)
{
    struct leat_schema *schema = NULL;
    if (table->kind != LEAT_TABLE_LIST)
        return 0;
    if (!table->schema)
        return leat__error(err, LEAT_EINVAL,
            "state of \"%s\", table \"%s\": rows of type %s have no schema to be saved with", table->node,
            table->name, table->row_type->name);
    int code = leat__schema_parse(table->schema, strlen(table->schema), &schema, err);
    if (code == 0)
        code = leat__decoder_new(schema, table->row_type, NULL, &table->decoder, err);
    if (code == 0)
        code = leat__encoder_new(table->row_type, &table->encoder, err);
    leat__schema_free(schema);
    return code;
}

int leat__restore_table(struct leat_table *table, const struct leat_table_opts *opts, struct leat_error *err)
{
    struct leat_state *state = table->state;
    const struct leat_table_info *saved = NULL;
    struct leat_table **last = &state->tables;
    for (uint32_t i = 0; i < state->saved_count; i++)
        if (same(state->saved[i].node, opts->node) && same(state->saved[i].name, opts->name)) {
            saved = &state->saved[i];
            state->saved_taken[i] = true;
        }
    table->dirty_flags = LEAT__DIRTY;
    table->epochs_open = 1;
    LEAT_TRY(fill_texts(table, opts, err));
    LEAT_TRY(open_codecs(table, err));
    LEAT_TRY(choose_prefix(table, saved, err));
    if (add_merger(table) < 0)
        return leat__error(
            err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
    while (*last)
        last = &(*last)->next;
    *last = table;
    if (!saved)
        return 0;
    table->ever_held = true;
    LEAT_TRY(check_shape(table, saved, err));
    LEAT_TRY(check_format(table, opts, saved, err));
    return leat__store(state) ? find_namespaces(table, err) : 0;
}

/* ---- what a checkpoint says of tables ---- */

static int fill_info(const struct leat_table *table, struct leat_arena *arena, struct leat_table_info *info)
{
    char route[32];
    (void)leat__route_print(&table->route, route, sizeof route);
    info->node = leat__arena_str(arena, table->node);
    info->name = leat__arena_str(arena, table->name);
    info->kind = kind_text(table);
    info->key = leat__arena_str(arena, table->key_text);
    info->format = leat__arena_str(arena, table->format);
    info->schema = leat__arena_str(arena, table->schema);
    info->route = leat__arena_str(arena, route);
    info->key_size = table->key_size;
    info->prefix = table->prefix;
    info->entries = table->keys_count;
    return info->node && info->name && info->route ? 0 : LEAT_ENOMEM;
}

static int copy_info(
    const struct leat_table_info *from, struct leat_arena *arena, struct leat_table_info *info)
{
    *info = *from;
    info->node = leat__arena_str(arena, from->node);
    info->name = leat__arena_str(arena, from->name);
    info->kind = leat__arena_str(arena, from->kind);
    info->key = leat__arena_str(arena, from->key);
    info->format = leat__arena_str(arena, from->format);
    info->schema = leat__arena_str(arena, from->schema);
    info->route = leat__arena_str(arena, from->route);
    return info->node && info->name && info->kind ? 0 : LEAT_ENOMEM;
}

/* How many keys this worker has of a table that nobody has opened. */
static uint64_t saved_entries(const struct leat_state *state, uint32_t prefix)
{
    uint64_t keys = 0;
    for (uint64_t i = 0; i < state->saved_keys_count; i++)
        keys += state->saved_keys[i].prefix == prefix ? state->saved_keys[i].keys : 0;
    return keys;
}

int leat__state_tables(const struct leat_state *state, struct leat_arena *arena,
    struct leat_table_info **tables, uint32_t *count)
{
    uint32_t max = state->saved_count;
    for (const struct leat_table *table = state->tables; table; table = table->next)
        max++;
    *count = 0;
    *tables = leat__arena_array(arena, max + 1, sizeof **tables);
    if (!*tables)
        return LEAT_ENOMEM;
    for (const struct leat_table *table = state->tables; table; table = table->next)
        if (table->ever_held)
            LEAT_TRY(fill_info(table, arena, &(*tables)[(*count)++]));
    for (uint32_t i = 0; i < state->saved_count; i++) {
        if (state->saved_taken[i])
            continue;
        LEAT_TRY(copy_info(&state->saved[i], arena, &(*tables)[*count]));
        (*tables)[(*count)++].entries = saved_entries(state, state->saved[i].prefix);
    }
    return 0;
}
