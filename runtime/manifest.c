/* runtime/manifest.c -- a checkpoint's record as JSON, written and read; see the header.
 *
 * Bytes (positions, blobs, handles, names of files) are JSON strings where they are UTF-8 without NUL, so
 * that people can read them, and {"base64": "..."} otherwise. Numbers that may not fit 63 bits are hex text.
 * An absent member and an empty text are two things: data NULL, and no bytes.
 *
 * Reading trusts nothing but the checksum, and that only against accidents: every member is checked for its
 * type and bounds before it is used. Memory: the parsed JSON is jansson's while reading; what is kept lies in
 * the manifest's arena. */
#include "runtime/manifest.h"
#include "base/hash.h"
#include "runtime/base64.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_WORD "xxh3 "
#define CHECK_BYTES (sizeof CHECK_WORD - 1 + 16 + 1)
#define MANIFEST_BYTES_MAX ((size_t)1 << 30)
#define FILE_NAME_BYTES_MAX 1024u

static const char *const kind_names[] = {
    [LEAT_KIND_CHECKPOINT] = "checkpoint", [LEAT_KIND_SAVEPOINT] = "savepoint"
};

/* ---- writing ---- */

/* NULL when out of memory, which json_object_set_new refuses: the writer's one check is at its end. */
static json_t *bytes_json(struct leat_sv bytes)
{
    struct leat_strbuf text = { 0 };
    json_t *plain = bytes.len == 0 || memchr(bytes.data, '\0', bytes.len) == NULL
        ? json_stringn(bytes.len ? bytes.data : "", bytes.len)
        : NULL;
    if (plain)
        return plain;
    leat__base64_encode(bytes.data, bytes.len, &text);
    json_t *object = text.failed ? NULL : json_pack("{s:s%}", "base64", text.data, text.len);
    leat__strbuf_release(&text);
    return object;
}

struct writer {
    bool failed;
};

static void put(struct writer *w, json_t *object, const char *member, json_t *value)
{
    if (json_object_set_new(object, member, value) < 0)
        w->failed = true;
}

static void put_text(struct writer *w, json_t *object, const char *member, const char *text)
{
    if (text)
        put(w, object, member, bytes_json(leat_sv_of(text)));
}

static void put_bytes(struct writer *w, json_t *object, const char *member, struct leat_sv bytes)
{
    if (bytes.data)
        put(w, object, member, bytes_json(bytes));
}

static void put_number(struct writer *w, json_t *object, const char *member, int64_t value)
{
    put(w, object, member, json_integer(value));
}

static void put_count(struct writer *w, json_t *object, const char *member, uint64_t value)
{
    put_number(w, object, member, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static void put_bool(struct writer *w, json_t *object, const char *member, bool value)
{
    put(w, object, member, json_boolean(value));
}

/* A new object at the end of the list. */
static json_t *append(struct writer *w, json_t *list)
{
    json_t *object = json_object();
    if (json_array_append_new(list, object) < 0)
        w->failed = true;
    return object;
}

static json_t *put_list(struct writer *w, json_t *object, const char *member)
{
    json_t *list = json_array();
    put(w, object, member, list);
    return list;
}

static void write_splits(struct writer *w, json_t *object, const struct leat_part *part)
{
    json_t *list = put_list(w, object, "splits");
    for (uint32_t i = 0; i < part->splits_count && !w->failed; i++) {
        const struct leat_split_part *split = &part->splits[i];
        json_t *at = append(w, list);
        put_text(w, at, "id", split->id);
        put_bytes(w, at, "position", split->position);
        put_bool(w, at, "ended", split->ended);
        put_bool(w, at, "idle", split->idle);
        put_number(w, at, "newest_us", split->newest_us);
        put_number(w, at, "watermark_us", split->watermark_us);
    }
}

static void write_parts(struct writer *w, json_t *root, const struct leat_manifest *m)
{
    json_t *list = put_list(w, root, "parts");
    for (uint32_t i = 0; i < m->parts_count && !w->failed; i++) {
        const struct leat_part *part = &m->parts[i];
        json_t *at = append(w, list);
        put_text(w, at, "node", part->node_name ? part->node_name : part->node->name);
        put_count(w, at, "subtask", part->subtask);
        put_number(w, at, "watermark_us", part->watermark_us);
        json_t *inputs = put_list(w, at, "input_watermarks_us");
        for (uint32_t k = 0; k < part->inputs_count; k++)
            if (json_array_append_new(inputs, json_integer(part->input_watermark_us[k])) < 0)
                w->failed = true;
        put_bytes(w, at, "blob", part->blob);
        if (part->splits_count)
            write_splits(w, at, part);
    }
}

static void write_nodes(struct writer *w, json_t *root, const struct leat_manifest *m)
{
    json_t *list = put_list(w, root, "nodes");
    for (uint32_t i = 0; i < m->nodes_count && !w->failed; i++) {
        json_t *at = append(w, list);
        put_text(w, at, "name", m->nodes[i].name);
        put_text(w, at, "kind", m->nodes[i].kind);
        put_count(w, at, "parallelism", m->nodes[i].parallelism);
        put_bool(w, at, "stateful", m->nodes[i].is_stateful);
    }
}

static void write_tables(struct writer *w, json_t *root, const struct leat_manifest *m)
{
    json_t *list = put_list(w, root, "tables");
    for (uint32_t i = 0; i < m->tables_count && !w->failed; i++) {
        const struct leat_table_info *table = &m->tables[i];
        json_t *at = append(w, list);
        put_text(w, at, "node", table->node);
        put_text(w, at, "name", table->name);
        put_text(w, at, "kind", table->kind);
        put_text(w, at, "key", table->key);
        put_text(w, at, "format", table->format);
        put_text(w, at, "schema", table->schema);
        put_text(w, at, "route", table->route);
        put_count(w, at, "key_size", table->key_size);
        put_count(w, at, "prefix", table->prefix);
        put_count(w, at, "entries", table->entries);
    }
}

static void write_files(struct writer *w, json_t *root, const struct leat_manifest *m)
{
    put_text(w, root, "store", m->store);
    json_t *stores = put_list(w, root, "stores");
    for (uint32_t i = 0; i < m->parallelism && m->has_store; i++)
        if (json_array_append_new(stores, json_boolean(m->has_store[i])) < 0)
            w->failed = true;
    json_t *list = put_list(w, root, "files");
    for (uint32_t i = 0; i < m->files_count && !w->failed; i++) {
        char hash[17];
        json_t *at = append(w, list);
        (void)snprintf(hash, sizeof hash, "%016" PRIx64, m->files[i].hash);
        put_text(w, at, "name", m->files[i].name);
        put_count(w, at, "bytes", m->files[i].bytes);
        put_text(w, at, "xxh3", hash);
    }
}

static void write_commits(struct writer *w, json_t *root, const struct leat_manifest *m)
{
    json_t *list = put_list(w, root, "handles");
    for (uint32_t i = 0; i < m->handles_count && !w->failed; i++) {
        json_t *at = append(w, list);
        put_text(w, at, "node", m->handles[i].node);
        put_bytes(w, at, "data", m->handles[i].data);
    }
    list = put_list(w, root, "outboxes");
    for (uint32_t i = 0; i < m->outboxes_count && !w->failed; i++) {
        json_t *at = append(w, list);
        put_text(w, at, "node", m->outboxes[i].node);
        put_count(w, at, "slot", m->outboxes[i].slot);
        put_text(w, at, "file", m->outboxes[i].file);
        put_count(w, at, "records", m->outboxes[i].records);
    }
}

static int dump_chunk(const char *data, size_t len, void *arg)
{
    struct leat_strbuf *out = arg;
    leat__strbuf_add(out, data, len);
    return out->failed ? -1 : 0;
}

int leat__manifest_write(const struct leat_manifest *m, struct leat_strbuf *out)
{
    struct writer w = { 0 };
    const size_t from = out->len;
    json_t *root = json_object();
    put_text(&w, root, "leat", m->leat_version);
    put_count(&w, root, "format", LEAT_MANIFEST_FORMAT);
    put_text(&w, root, "job", m->job);
    put_text(&w, root, "life", m->life);
    put_count(&w, root, "id", m->id);
    put_text(&w, root, "kind", kind_names[m->kind]);
    put_bool(&w, root, "finished", m->finished);
    put_number(&w, root, "taken_us", m->taken_us);
    put_count(&w, root, "parallelism", m->parallelism);
    put_count(&w, root, "max_parallelism", m->max_parallelism);
    write_nodes(&w, root, m);
    write_parts(&w, root, m);
    write_tables(&w, root, m);
    write_files(&w, root, m);
    write_commits(&w, root, m);
    if (!w.failed)
        w.failed = json_dump_callback(root, dump_chunk, out, JSON_INDENT(1)) < 0;
    json_decref(root);
    leat__strbuf_char(out, '\n');
    const uint64_t hash = out->failed ? 0 : leat__hash(out->data + from, out->len - from);
    leat__strbuf_printf(out, CHECK_WORD "%016" PRIx64 "\n", hash);
    return w.failed || out->failed ? LEAT_ENOMEM : 0;
}

/* ---- reading ---- */

/* Where in the manifest we are, for errors: `list` and `index` of the item, list NULL at the top. The first
 * mistake wins; everything after it reads as nothing. */
struct reader {
    struct leat_arena *arena;
    struct leat_error *err;
    int code;
    const char *list;
    size_t index;
};

static void refuse(struct reader *r, int code, const char *member, const char *what)
{
    if (r->code < 0)
        return;
    if (r->list)
        r->code = leat__error(
            r->err, code, "manifest: \"%s\" of item %zu of \"%s\" %s", member, r->index, r->list, what);
    else
        r->code = leat__error(r->err, code, "manifest: \"%s\" %s", member, what);
}

static void *allocate(struct reader *r, size_t count, size_t size)
{
    void *memory = r->code < 0 ? NULL : leat__arena_array(r->arena, count ? count : 1, size);
    if (!memory && r->code == 0)
        r->code = leat__error(r->err, LEAT_ENOMEM, "out of memory for a manifest");
    return memory;
}

static int64_t get_number(
    struct reader *r, const json_t *object, const char *member, int64_t min, int64_t max)
{
    const json_t *value = json_object_get(object, member);
    const int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max) {
        refuse(r, LEAT_EDATA, member, value ? "is not a number within its bounds" : "is missing");
        return min;
    }
    return number;
}

static uint32_t get_count(struct reader *r, const json_t *object, const char *member, uint32_t max)
{
    return (uint32_t)get_number(r, object, member, 0, max);
}

static bool get_bool(struct reader *r, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_boolean(value))
        refuse(r, LEAT_EDATA, member, value ? "is neither true nor false" : "is missing");
    return json_is_true(value);
}

/* Data NULL when the member is absent. */
static struct leat_sv get_bytes(struct reader *r, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    const json_t *packed = json_is_object(value) ? json_object_get(value, "base64") : NULL;
    const json_t *text = packed ? packed : value;
    if (!value || r->code < 0)
        return (struct leat_sv){ NULL, 0 };
    if (!json_is_string(text)) {
        refuse(r, LEAT_EDATA, member, "is neither a text nor base64");
        return (struct leat_sv){ NULL, 0 };
    }
    const char *from = json_string_value(text);
    const size_t len = json_string_length(text);
    char *copy = allocate(r, len + 1, 1);
    if (!copy)
        return (struct leat_sv){ NULL, 0 };
    if (!packed) {
        memcpy(copy, from, len);
        return (struct leat_sv){ copy, len };
    }
    const int64_t unpacked = leat__base64_decode(from, len, copy);
    if (unpacked < 0)
        refuse(r, LEAT_EDATA, member, "is not base64");
    return (struct leat_sv){ copy, unpacked < 0 ? 0 : (size_t)unpacked };
}

/* NULL when it is absent (and may be), or after a mistake. */
static const char *get_text(struct reader *r, const json_t *object, const char *member, bool required)
{
    const struct leat_sv bytes = get_bytes(r, object, member);
    if (bytes.data && memchr(bytes.data, '\0', bytes.len))
        refuse(r, LEAT_EDATA, member, "has a NUL byte");
    if (!bytes.data && required)
        refuse(r, LEAT_EDATA, member, "is missing");
    return r->code < 0 ? NULL : bytes.data;
}

static const json_t *get_list(
    struct reader *r, const json_t *object, const char *member, size_t max, size_t *count)
{
    const json_t *list = json_object_get(object, member);
    *count = 0;
    if (!json_is_array(list) || json_array_size(list) > max)
        refuse(r, LEAT_EDATA, member, list ? "is not a list within its bounds" : "is missing");
    else
        *count = json_array_size(list);
    return list;
}

/* The next item of a list; false at its end or after a mistake. */
static bool next_item(
    struct reader *r, const json_t *list, const char *member, size_t i, size_t count, const json_t **item)
{
    r->list = NULL;
    if (r->code < 0 || i >= count)
        return false;
    r->list = member;
    r->index = i;
    *item = json_array_get(list, i);
    if (!json_is_object(*item)) {
        refuse(r, LEAT_EDATA, member, "is not an object");
        r->list = NULL;
        return false;
    }
    return true;
}

static void read_nodes(struct reader *r, const json_t *root, struct leat_manifest *m)
{
    size_t count;
    const json_t *list = get_list(r, root, "nodes", LEAT_NODES_MAX, &count);
    struct leat_manifest_node *nodes = allocate(r, count, sizeof *nodes);
    const json_t *at;
    for (size_t i = 0; next_item(r, list, "nodes", i, count, &at); i++) {
        nodes[i].name = get_text(r, at, "name", true);
        nodes[i].kind = get_text(r, at, "kind", true);
        nodes[i].parallelism = get_count(r, at, "parallelism", LEAT_WORKERS_MAX);
        nodes[i].is_stateful = get_bool(r, at, "stateful");
    }
    m->nodes = nodes;
    m->nodes_count = (uint32_t)count;
}

static void read_splits(struct reader *r, const json_t *object, struct leat_part *part)
{
    size_t count = 0;
    const json_t *list = json_object_get(object, "splits");
    if (!list)
        return;
    list = get_list(r, object, "splits", LEAT_SPLITS_MAX, &count);
    struct leat_split_part *splits = allocate(r, count, sizeof *splits);
    for (size_t i = 0; r->code == 0 && i < count; i++) {
        const json_t *at = json_array_get(list, i);
        splits[i].id = get_text(r, at, "id", true);
        splits[i].position = get_bytes(r, at, "position");
        splits[i].ended = get_bool(r, at, "ended");
        splits[i].idle = get_bool(r, at, "idle");
        splits[i].newest_us = get_number(r, at, "newest_us", INT64_MIN, INT64_MAX);
        splits[i].watermark_us = get_number(r, at, "watermark_us", INT64_MIN, INT64_MAX);
    }
    part->splits = splits;
    part->splits_count = (uint32_t)count;
}

static void read_input_watermarks(struct reader *r, const json_t *object, struct leat_part *part)
{
    size_t count;
    const json_t *list = get_list(r, object, "input_watermarks_us", LEAT_NODE_INPUTS_MAX, &count);
    part->inputs_count = (uint32_t)count;
    for (size_t i = 0; r->code == 0 && i < count; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value))
            refuse(r, LEAT_EDATA, "input_watermarks_us", "has something that is no number");
        part->input_watermark_us[i] = json_integer_value(value);
    }
}

static void read_parts(struct reader *r, const json_t *root, struct leat_manifest *m)
{
    size_t count;
    const json_t *list = get_list(r, root, "parts", (size_t)LEAT_NODES_MAX * LEAT_WORKERS_MAX, &count);
    struct leat_part *parts = allocate(r, count, sizeof *parts);
    const json_t *at;
    for (size_t i = 0; next_item(r, list, "parts", i, count, &at); i++) {
        parts[i].node_name = get_text(r, at, "node", true);
        parts[i].subtask = get_count(r, at, "subtask", LEAT_WORKERS_MAX - 1);
        parts[i].watermark_us = get_number(r, at, "watermark_us", INT64_MIN, INT64_MAX);
        read_input_watermarks(r, at, &parts[i]);
        parts[i].blob = get_bytes(r, at, "blob");
        read_splits(r, at, &parts[i]);
    }
    m->parts = parts;
    m->parts_count = (uint32_t)count;
}

static void read_tables(struct reader *r, const json_t *root, struct leat_manifest *m)
{
    size_t count;
    const json_t *list = get_list(r, root, "tables", UINT16_MAX, &count);
    struct leat_table_info *tables = allocate(r, count, sizeof *tables);
    const json_t *at;
    for (size_t i = 0; next_item(r, list, "tables", i, count, &at); i++) {
        tables[i].node = get_text(r, at, "node", true);
        tables[i].name = get_text(r, at, "name", true);
        tables[i].kind = get_text(r, at, "kind", true);
        tables[i].key = get_text(r, at, "key", false);
        tables[i].format = get_text(r, at, "format", false);
        tables[i].schema = get_text(r, at, "schema", false);
        tables[i].route = get_text(r, at, "route", false);
        tables[i].key_size = get_count(r, at, "key_size", UINT32_MAX);
        tables[i].prefix = get_count(r, at, "prefix", UINT32_MAX);
        tables[i].entries = (uint64_t)get_number(r, at, "entries", 0, INT64_MAX);
    }
    m->tables = tables;
    m->tables_count = (uint32_t)count;
}

/* Relative, below the checkpoint, and nothing that a path could be tricked with. */
static bool is_safe_name(const char *name)
{
    const size_t len = strlen(name);
    if (len == 0 || len > FILE_NAME_BYTES_MAX || name[0] == '/' || name[len - 1] == '/')
        return false;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += *at == '/';
        const size_t step = strcspn(at, "/");
        if (step == 0 || (step == 1 && at[0] == '.') || (step == 2 && at[0] == '.' && at[1] == '.'))
            return false;
    }
    return true;
}

static const char *get_file_name(struct reader *r, const json_t *object, const char *member)
{
    const char *name = get_text(r, object, member, true);
    if (name && !is_safe_name(name))
        refuse(r, LEAT_EDATA, member, "is not a name below the checkpoint");
    return r->code < 0 ? NULL : name;
}

static uint64_t get_hash(struct reader *r, const json_t *object, const char *member)
{
    const char *text = get_text(r, object, member, true);
    if (!text)
        return 0;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        refuse(r, LEAT_EDATA, member, "is not 16 hex digits");
    return strtoull(text, NULL, 16);
}

static void read_files(struct reader *r, const json_t *root, struct leat_manifest *m)
{
    size_t count;
    m->store = get_text(r, root, "store", false);
    const json_t *list = get_list(r, root, "stores", LEAT_WORKERS_MAX, &count);
    bool *has_store = allocate(r, m->parallelism, sizeof *has_store);
    if (r->code == 0 && count != m->parallelism && count != 0)
        refuse(r, LEAT_EDATA, "stores", "has not one item for each worker");
    for (size_t i = 0; r->code == 0 && i < count; i++)
        has_store[i] = json_is_true(json_array_get(list, i));
    m->has_store = has_store;

    list = get_list(r, root, "files", UINT32_MAX / 64, &count);
    struct leat_manifest_file *files = allocate(r, count, sizeof *files);
    const json_t *at;
    for (size_t i = 0; next_item(r, list, "files", i, count, &at); i++) {
        files[i].name = get_file_name(r, at, "name");
        files[i].bytes = (uint64_t)get_number(r, at, "bytes", 0, INT64_MAX);
        files[i].hash = get_hash(r, at, "xxh3");
    }
    m->files = files;
    m->files_count = (uint32_t)count;
}

static void read_commits(struct reader *r, const json_t *root, struct leat_manifest *m)
{
    size_t count;
    const json_t *at;
    const json_t *list = get_list(r, root, "handles", UINT32_MAX / 64, &count);
    struct leat_manifest_handle *handles = allocate(r, count, sizeof *handles);
    for (size_t i = 0; next_item(r, list, "handles", i, count, &at); i++) {
        handles[i].node = get_text(r, at, "node", true);
        handles[i].data = get_bytes(r, at, "data");
    }
    m->handles = handles;
    m->handles_count = (uint32_t)count;

    list = get_list(r, root, "outboxes", (size_t)LEAT_NODES_MAX * LEAT_WORKERS_MAX, &count);
    struct leat_manifest_outbox *outboxes = allocate(r, count, sizeof *outboxes);
    for (size_t i = 0; next_item(r, list, "outboxes", i, count, &at); i++) {
        outboxes[i].node = get_text(r, at, "node", true);
        outboxes[i].slot = get_count(r, at, "slot", LEAT_WORKERS_MAX - 1);
        outboxes[i].file = get_file_name(r, at, "file");
        outboxes[i].records = (uint64_t)get_number(r, at, "records", 0, INT64_MAX);
    }
    m->outboxes = outboxes;
    m->outboxes_count = (uint32_t)count;
}

static void read_head(struct reader *r, const json_t *root, struct leat_manifest *m)
{
    m->format = get_count(r, root, "format", UINT32_MAX);
    m->leat_version = get_text(r, root, "leat", true);
    if (r->code == 0 && m->format != LEAT_MANIFEST_FORMAT)
        r->code = leat__error(r->err, LEAT_EUNSUPPORTED,
            "manifest: format %u, written by Leat %s, and this one (%s) reads format %u: use a version that "
            "reads both",
            m->format, m->leat_version, leat_version(), LEAT_MANIFEST_FORMAT);
    m->job = get_text(r, root, "job", true);
    m->life = get_text(r, root, "life", true);
    if (r->code == 0 && (strlen(m->life) != 32 || strspn(m->life, "0123456789abcdef") != 32))
        refuse(r, LEAT_EDATA, "life", "is not 32 hex digits");
    m->id = (uint64_t)get_number(r, root, "id", 1, INT64_MAX);
    const char *kind = get_text(r, root, "kind", true);
    if (kind && strcmp(kind, kind_names[LEAT_KIND_SAVEPOINT]) == 0)
        m->kind = LEAT_KIND_SAVEPOINT;
    else if (kind && strcmp(kind, kind_names[LEAT_KIND_CHECKPOINT]) == 0)
        m->kind = LEAT_KIND_CHECKPOINT;
    else
        refuse(r, LEAT_EDATA, "kind", "is neither checkpoint nor savepoint");
    m->finished = get_bool(r, root, "finished");
    m->taken_us = get_number(r, root, "taken_us", INT64_MIN, INT64_MAX);
    m->parallelism = (uint32_t)get_number(r, root, "parallelism", 1, LEAT_WORKERS_MAX);
    m->max_parallelism = (uint32_t)get_number(r, root, "max_parallelism", 1, LEAT_MAX_PARALLELISM_MAX);
}

/* The length of the JSON text, if the check line behind it is right. */
static int check_hash(const char *data, size_t len, size_t *json_len, struct leat_error *err)
{
    char line[CHECK_BYTES + 1];
    if (len > MANIFEST_BYTES_MAX)
        return leat__error(err, LEAT_EDATA, "manifest: %zu bytes are more than a manifest can have", len);
    if (len > CHECK_BYTES) {
        const size_t text_len = len - CHECK_BYTES;
        (void)snprintf(line, sizeof line, CHECK_WORD "%016" PRIx64 "\n", leat__hash(data, text_len));
        *json_len = text_len;
        if (memcmp(data + text_len, line, CHECK_BYTES) == 0 && data[text_len - 1] == '\n')
            return 0;
    }
    return leat__error(err, LEAT_EDATA,
        "manifest: it is cut or damaged (%zu bytes, and the checksum at its end does not fit)", len);
}

int leat__manifest_read(const char *data, size_t len, struct leat_manifest *m, struct leat_error *err)
{
    struct reader r = { .arena = &m->arena, .err = err };
    size_t json_len = 0;
    json_error_t parse_error;
    *m = (struct leat_manifest){ 0 };
    LEAT_TRY(check_hash(data, len, &json_len, err));
    json_t *root = json_loadb(data, json_len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &parse_error);
    if (!root)
        return leat__error(err, LEAT_EDATA, "manifest: line %d: %s", parse_error.line, parse_error.text);
    read_head(&r, root, m);
    read_nodes(&r, root, m);
    read_parts(&r, root, m);
    read_tables(&r, root, m);
    read_files(&r, root, m);
    read_commits(&r, root, m);
    json_decref(root);
    return r.code;
}

void leat__manifest_release(struct leat_manifest *m)
{
    leat__arena_release(&m->arena);
    *m = (struct leat_manifest){ 0 };
}
