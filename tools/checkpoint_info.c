/* tools/checkpoint_info.c -- `leat checkpoint info`: all that the manifest of one checkpoint says. */
#include "base/units.h"
#include "record/schema.h"
#include "tools/checkpoint.h"
#include <stdio.h>
#include <string.h>

#define BYTES_SHOWN 60u /* of positions and handles, for people */

/* "Order 1a2b3c4d5e6f7081": the name and fingerprint of an Avro schema; "-" where there is none. */
static void describe_schema(const char *text, struct leat_strbuf *out)
{
    struct leat_schema *schema;
    struct leat_error err = { 0 };
    if (!text) {
        leat__strbuf_char(out, '-');
    } else if (text[0] == '[') {
        leat__strbuf_str(out, "several"); /* of accumulators */
    } else if (leat__schema_parse(text, strlen(text), &schema, &err) < 0) {
        leat__strbuf_printf(out, "not readable: %s", err.message);
    } else {
        leat__strbuf_printf(out, "%s %016llx", schema->root->name, (unsigned long long)schema->fingerprint);
        leat__schema_free(schema);
    }
}

/* ---- for people ---- */

static void show_nodes(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    static const char *const headings[] = { "NODE", "KIND", ">PARALLELISM", "STATE", "WATERMARK" };
    struct leat_grid grid = { .headings = headings, .columns = 5 };
    for (uint32_t i = 0; i < manifest->nodes_count; i++) {
        const struct leat_manifest_node *node = &manifest->nodes[i];
        char watermark[LEAT_MOMENT_TEXT_MAX];
        leat__watermark_print(leat__manifest_watermark(manifest, node->name), watermark);
        leat__grid_text(&grid, node->name);
        leat__grid_text(&grid, node->kind);
        leat__grid_count(&grid, node->parallelism);
        leat__grid_text(&grid, node->is_stateful ? "yes" : "-");
        leat__grid_text(&grid, watermark);
    }
    leat__strbuf_str(out, "\nNodes\n");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void show_splits(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    static const char *const headings[] = { "SOURCE", "SPLIT", "POSITION", "WATERMARK", "STATE" };
    struct leat_grid grid = { .headings = headings, .columns = 5 };
    for (uint32_t i = 0; i < manifest->parts_count; i++) {
        const struct leat_part *part = &manifest->parts[i];
        for (uint32_t s = 0; s < part->splits_count; s++) {
            const struct leat_split_part *split = &part->splits[s];
            char watermark[LEAT_MOMENT_TEXT_MAX];
            leat__watermark_print(split->watermark_us, watermark);
            leat__grid_text(&grid, part->node_name);
            leat__grid_text(&grid, split->id);
            if (split->position.data)
                leat__grid_bytes(&grid, split->position.data, split->position.len, BYTES_SHOWN);
            else
                leat__grid_text(&grid, split->ended ? "-" : "not begun");
            leat__grid_text(&grid, watermark);
            leat__grid_text(&grid, split->ended ? "ended" : split->idle ? "idle" : "open");
        }
    }
    leat__strbuf_str(out, grid.cells ? "\nSplits\n" : "");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void show_tables(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    static const char *const headings[] = { "NODE", "TABLE", "KIND", ">ENTRIES", "KEY", "SCHEMA" };
    struct leat_grid grid = { .headings = headings, .columns = 6 };
    for (uint32_t i = 0; i < manifest->tables_count; i++) {
        const struct leat_table_info *table = &manifest->tables[i];
        struct leat_strbuf schema = { 0 };
        describe_schema(table->schema, &schema);
        leat__grid_text(&grid, table->node);
        leat__grid_text(&grid, table->name);
        leat__grid_text(&grid, table->kind);
        leat__grid_count(&grid, table->entries);
        leat__grid_text(&grid, table->key ? table->key : "-");
        leat__grid_bytes(&grid, schema.data ? schema.data : "", schema.len, 0);
        leat__strbuf_release(&schema);
    }
    leat__strbuf_str(out, grid.cells ? "\nTables (keyed state; entries about)\n" : "");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void show_handles(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    static const char *const headings[] = { "SINK", ">BYTES", "COMMIT HANDLE" };
    static const char *const outbox_headings[] = { "SINK", ">SLOT", ">RECORDS", "OUTBOX" };
    struct leat_grid grid = { .headings = headings, .columns = 3 };
    struct leat_grid outboxes = { .headings = outbox_headings, .columns = 4 };
    for (uint32_t i = 0; i < manifest->handles_count; i++) {
        const struct leat_manifest_handle *handle = &manifest->handles[i];
        leat__grid_text(&grid, handle->node);
        leat__grid_count(&grid, handle->data.len);
        leat__grid_bytes(&grid, handle->data.len ? handle->data.data : "", handle->data.len, BYTES_SHOWN);
    }
    for (uint32_t i = 0; i < manifest->outboxes_count; i++) {
        const struct leat_manifest_outbox *outbox = &manifest->outboxes[i];
        leat__grid_text(&outboxes, outbox->node);
        leat__grid_count(&outboxes, outbox->slot);
        leat__grid_count(&outboxes, outbox->records);
        leat__grid_text(&outboxes, outbox->file);
    }
    leat__strbuf_str(out, grid.cells || outboxes.cells ? "\nTo be committed with it\n" : "");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_print(&outboxes, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
    leat__grid_release(&outboxes);
}

static void show_files(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    static const char *const headings[] = { "FILE", ">SIZE", "XXH3" };
    struct leat_grid grid = { .headings = headings, .columns = 3 };
    for (uint32_t i = 0; i < manifest->files_count; i++) {
        const struct leat_manifest_file *file = &manifest->files[i];
        char hash[32];
        (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)file->hash);
        leat__grid_text(&grid, file->name);
        leat__grid_size(&grid, file->bytes);
        leat__grid_text(&grid, hash);
    }
    leat__strbuf_str(out, grid.cells ? "\nFiles\n" : "");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void show(const struct leat_manifest *manifest, int64_t now_us, struct leat_strbuf *out)
{
    char moment[LEAT_MOMENT_TEXT_MAX], age[LEAT_UNITS_TEXT_MAX], size[LEAT_UNITS_TEXT_MAX];
    leat__moment_print(manifest->taken_us, moment);
    leat__duration_print(now_us - manifest->taken_us, age);
    leat__size_print(leat__manifest_bytes(manifest), size);
    leat__strbuf_printf(out, "%s %llu of ",
        manifest->kind == LEAT_KIND_SAVEPOINT ? "Savepoint" : "Checkpoint", (unsigned long long)manifest->id);
    leat__output_escape(out, manifest->job, strlen(manifest->job), 0);
    leat__strbuf_printf(out, "\n  taken        %s, %s ago, by leat ", moment, age);
    leat__output_escape(out, manifest->leat_version, strlen(manifest->leat_version), 0);
    leat__strbuf_printf(out,
        "\n  size         %s in %u files\n  parallelism  %u of at most %u\n  the job      life %s%s\n", size,
        manifest->files_count, manifest->parallelism, manifest->max_parallelism, manifest->life,
        manifest->finished ? "; its input has ended: nothing is left but to commit" : "");
    show_nodes(manifest, out);
    show_splits(manifest, out);
    show_tables(manifest, out);
    show_handles(manifest, out);
    show_files(manifest, out);
}

/* ---- for machines ---- */

static void json_parts(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    leat__json_begin(out, "splits", '[');
    for (uint32_t i = 0; i < manifest->parts_count; i++) {
        const struct leat_part *part = &manifest->parts[i];
        for (uint32_t s = 0; s < part->splits_count; s++) {
            const struct leat_split_part *split = &part->splits[s];
            leat__json_begin(out, NULL, '{');
            leat__json_text(out, "node", part->node_name);
            leat__json_count(out, "subtask", part->subtask);
            leat__json_text(out, "split", split->id);
            if (split->position.data)
                leat__json_bytes(out, "position", split->position.data, split->position.len);
            else
                leat__json_null(out, "position");
            leat__json_watermark(out, "watermark", split->watermark_us);
            leat__json_watermark(out, "newest", split->newest_us);
            leat__json_bool(out, "ended", split->ended);
            leat__json_bool(out, "idle", split->idle);
            leat__json_end(out, '}');
        }
    }
    leat__json_end(out, ']');
    leat__json_begin(out, "subtasks", '[');
    for (uint32_t i = 0; i < manifest->parts_count; i++) {
        const struct leat_part *part = &manifest->parts[i];
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "node", part->node_name);
        leat__json_count(out, "subtask", part->subtask);
        leat__json_watermark(out, "watermark", part->watermark_us);
        leat__json_count(out, "state_bytes", part->blob.len);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
}

static void json_nodes(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    leat__json_begin(out, "nodes", '[');
    for (uint32_t i = 0; i < manifest->nodes_count; i++) {
        const struct leat_manifest_node *node = &manifest->nodes[i];
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "name", node->name);
        leat__json_text(out, "kind", node->kind);
        leat__json_count(out, "parallelism", node->parallelism);
        leat__json_bool(out, "stateful", node->is_stateful);
        leat__json_watermark(out, "watermark", leat__manifest_watermark(manifest, node->name));
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
}

static void json_tables(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    leat__json_begin(out, "tables", '[');
    for (uint32_t i = 0; i < manifest->tables_count; i++) {
        const struct leat_table_info *table = &manifest->tables[i];
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "node", table->node);
        leat__json_text(out, "name", table->name);
        leat__json_text(out, "kind", table->kind);
        leat__json_text(out, "key", table->key);
        leat__json_text(out, "format", table->format);
        leat__json_text(out, "schema", table->schema);
        leat__json_count(out, "entries", table->entries);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
}

static void json_sinks(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    leat__json_begin(out, "handles", '[');
    for (uint32_t i = 0; i < manifest->handles_count; i++) {
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "node", manifest->handles[i].node);
        leat__json_bytes(out, "handle", manifest->handles[i].data.data, manifest->handles[i].data.len);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
    leat__json_begin(out, "outboxes", '[');
    for (uint32_t i = 0; i < manifest->outboxes_count; i++) {
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "node", manifest->outboxes[i].node);
        leat__json_count(out, "slot", manifest->outboxes[i].slot);
        leat__json_count(out, "records", manifest->outboxes[i].records);
        leat__json_text(out, "file", manifest->outboxes[i].file);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
    leat__json_begin(out, "files", '[');
    for (uint32_t i = 0; i < manifest->files_count; i++) {
        char hash[32];
        (void)snprintf(hash, sizeof hash, "%016llx", (unsigned long long)manifest->files[i].hash);
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "name", manifest->files[i].name);
        leat__json_count(out, "bytes", manifest->files[i].bytes);
        leat__json_text(out, "xxh3", hash);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
}

static void show_json(const struct leat_manifest *manifest, struct leat_strbuf *out)
{
    leat__json_begin(out, NULL, '{');
    leat__json_count(out, "id", manifest->id);
    leat__json_text(out, "kind", leat__checkpoint_kind_name(manifest->kind));
    leat__json_text(out, "job", manifest->job);
    leat__json_text(out, "life", manifest->life);
    leat__json_text(out, "leat_version", manifest->leat_version);
    leat__json_bool(out, "finished", manifest->finished);
    leat__json_time(out, "taken_at", manifest->taken_us);
    leat__json_count(out, "bytes", leat__manifest_bytes(manifest));
    leat__json_count(out, "parallelism", manifest->parallelism);
    leat__json_count(out, "max_parallelism", manifest->max_parallelism);
    json_nodes(manifest, out);
    json_parts(manifest, out);
    json_tables(manifest, out);
    json_sinks(manifest, out);
    leat__strbuf_str(out, "}\n");
}

int leat__checkpoint_info(const struct leat_checkpoint_args *args)
{
    struct leat_checkpoint_view view;
    struct leat_manifest manifest = { 0 };
    struct leat_error err = { 0 };
    struct leat_strbuf out = { 0 };
    uint64_t id = 0;
    int result = leat__view_open(args->words[0], &view, &err);
    if (result < 0)
        return leat__output_fail(&err);
    result = leat__view_find(&view, args->count > 1 ? args->words[1] : NULL, &id, &err);
    if (result == 0)
        result = leat__view_read(&view, id, &manifest, &err);
    if (result == 0 && args->output == LEAT_OUTPUT_JSON)
        show_json(&manifest, &out);
    else if (result == 0)
        show(&manifest, view.env->wall_us(view.env), &out);
    leat__manifest_release(&manifest);
    leat__view_close(&view);
    return result < 0 ? leat__output_fail(&err) : leat__output_print(&out);
}
