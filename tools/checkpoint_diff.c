/* tools/checkpoint_diff.c -- `leat checkpoint diff`: what happened between two checkpoints, from the first to
 * the second: how far splits have come, how tables have grown, which files are shared, which nodes are new. */
#include "base/units.h"
#include "tools/checkpoint.h"
#include <stdio.h>
#include <string.h>

#define POSITION_SHOWN 40u

struct pair {
    const struct leat_manifest *a, *b;
};

/* What the files of one checkpoint are to the other. */
struct shares {
    uint32_t shared, added, gone;
    uint64_t shared_bytes, added_bytes, gone_bytes;
};

static const struct leat_manifest_node *find_node(const struct leat_manifest *manifest, const char *name)
{
    for (uint32_t i = 0; i < manifest->nodes_count; i++)
        if (strcmp(manifest->nodes[i].name, name) == 0)
            return &manifest->nodes[i];
    return NULL;
}

static const struct leat_split_part *find_split(
    const struct leat_manifest *manifest, const char *node, const char *id)
{
    for (uint32_t i = 0; i < manifest->parts_count; i++) {
        const struct leat_part *part = &manifest->parts[i];
        if (strcmp(part->node_name, node) != 0)
            continue;
        for (uint32_t s = 0; s < part->splits_count; s++)
            if (strcmp(part->splits[s].id, id) == 0)
                return &part->splits[s];
    }
    return NULL;
}

static const struct leat_table_info *find_table(
    const struct leat_manifest *manifest, const struct leat_table_info *table)
{
    for (uint32_t i = 0; i < manifest->tables_count; i++)
        if (strcmp(manifest->tables[i].node, table->node) == 0 &&
            strcmp(manifest->tables[i].name, table->name) == 0)
            return &manifest->tables[i];
    return NULL;
}

static struct shares compare_files(const struct pair *pair)
{
    struct shares shares = { 0 };
    for (uint32_t i = 0; i < pair->b->files_count; i++) {
        const struct leat_manifest_file *file = &pair->b->files[i];
        const bool shared = leat__manifest_shared(pair->a, file) != NULL;
        *(shared ? &shares.shared : &shares.added) += 1;
        *(shared ? &shares.shared_bytes : &shares.added_bytes) += file->bytes;
    }
    for (uint32_t i = 0; i < pair->a->files_count; i++) {
        if (leat__manifest_shared(pair->b, &pair->a->files[i]))
            continue;
        shares.gone++;
        shares.gone_bytes += pair->a->files[i].bytes;
    }
    return shares;
}

/* ---- for people ---- */

static void show_nodes(const struct pair *pair, struct leat_strbuf *out)
{
    static const char *const headings[] = { "NODE", "KIND", "CHANGE" };
    struct leat_grid grid = { .headings = headings, .columns = 3 };
    char change[64];
    for (uint32_t i = 0; i < pair->b->nodes_count; i++) {
        const struct leat_manifest_node *node = &pair->b->nodes[i];
        const struct leat_manifest_node *before = find_node(pair->a, node->name);
        if (before && before->parallelism == node->parallelism)
            continue;
        (void)snprintf(change, sizeof change, "added");
        if (before)
            (void)snprintf(
                change, sizeof change, "parallelism %u -> %u", before->parallelism, node->parallelism);
        leat__grid_text(&grid, node->name);
        leat__grid_text(&grid, node->kind);
        leat__grid_text(&grid, change);
    }
    for (uint32_t i = 0; i < pair->a->nodes_count; i++) {
        if (find_node(pair->b, pair->a->nodes[i].name))
            continue;
        leat__grid_text(&grid, pair->a->nodes[i].name);
        leat__grid_text(&grid, pair->a->nodes[i].kind);
        leat__grid_text(&grid, "removed");
    }
    leat__strbuf_str(out, grid.cells ? "\nNodes\n" : "\nNodes: the same\n");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void add_position(struct leat_grid *grid, const struct leat_split_part *split)
{
    if (!split)
        leat__grid_text(grid, "-");
    else if (split->ended)
        leat__grid_text(grid, "ended");
    else if (!split->position.data)
        leat__grid_text(grid, "not begun");
    else
        leat__grid_bytes(grid, split->position.data, split->position.len, POSITION_SHOWN);
}

static void show_splits(const struct pair *pair, struct leat_strbuf *out)
{
    static const char *const headings[] = { "SOURCE", "SPLIT", "FROM", "TO", "EVENT TIME" };
    struct leat_grid grid = { .headings = headings, .columns = 5 };
    for (uint32_t i = 0; i < pair->b->parts_count; i++) {
        const struct leat_part *part = &pair->b->parts[i];
        for (uint32_t s = 0; s < part->splits_count; s++) {
            const struct leat_split_part *split = &part->splits[s];
            const struct leat_split_part *before = find_split(pair->a, part->node_name, split->id);
            char moved[LEAT_UNITS_TEXT_MAX + 1] = "-";
            leat__grid_text(&grid, part->node_name);
            leat__grid_text(&grid, split->id);
            add_position(&grid, before);
            add_position(&grid, split);
            if (before && before->newest_us != LEAT_TIME_MIN && split->newest_us > before->newest_us) {
                moved[0] = '+';
                leat__duration_print(split->newest_us - before->newest_us, moved + 1);
            }
            leat__grid_text(&grid, moved);
        }
    }
    leat__strbuf_str(out, grid.cells ? "\nSplits\n" : "");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void add_table(struct leat_grid *grid, const struct leat_table_info *table, uint64_t before,
    uint64_t after, const char *what)
{
    char growth[48];
    (void)snprintf(growth, sizeof growth, "%s%llu%s", after >= before ? "+" : "-",
        (unsigned long long)(after >= before ? after - before : before - after), what);
    leat__grid_text(grid, table->node);
    leat__grid_text(grid, table->name);
    leat__grid_count(grid, before);
    leat__grid_count(grid, after);
    leat__grid_text(grid, growth);
}

static void show_tables(const struct pair *pair, struct leat_strbuf *out)
{
    static const char *const headings[] = { "NODE", "TABLE", ">FROM", ">TO", ">ENTRIES" };
    struct leat_grid grid = { .headings = headings, .columns = 5 };
    for (uint32_t i = 0; i < pair->b->tables_count; i++) {
        const struct leat_table_info *table = &pair->b->tables[i];
        const struct leat_table_info *before = find_table(pair->a, table);
        add_table(&grid, table, before ? before->entries : 0, table->entries, before ? "" : " (new)");
    }
    for (uint32_t i = 0; i < pair->a->tables_count; i++)
        if (!find_table(pair->b, &pair->a->tables[i]))
            add_table(&grid, &pair->a->tables[i], pair->a->tables[i].entries, 0, " (gone)");
    leat__strbuf_str(out, grid.cells ? "\nTables (entries about)\n" : "");
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 2, out);
    leat__grid_release(&grid);
}

static void show_files(const struct pair *pair, struct leat_strbuf *out)
{
    static const char *const headings[] = { "FILES", ">COUNT", ">SIZE" };
    struct leat_grid grid = { .headings = headings, .columns = 3 };
    const struct shares shares = compare_files(pair);
    leat__grid_text(&grid, "shared");
    leat__grid_count(&grid, shares.shared);
    leat__grid_size(&grid, shares.shared_bytes);
    leat__grid_text(&grid, "new");
    leat__grid_count(&grid, shares.added);
    leat__grid_size(&grid, shares.added_bytes);
    leat__grid_text(&grid, "gone");
    leat__grid_count(&grid, shares.gone);
    leat__grid_size(&grid, shares.gone_bytes);
    leat__strbuf_char(out, '\n');
    leat__grid_print(&grid, LEAT_OUTPUT_TABLE, 0, out);
    leat__grid_release(&grid);
}

static void show(const struct pair *pair, struct leat_strbuf *out)
{
    char between[LEAT_UNITS_TEXT_MAX];
    leat__duration_print(pair->b->taken_us - pair->a->taken_us, between);
    leat__strbuf_printf(out, "%s %llu -> %s %llu of ", leat__checkpoint_kind_name(pair->a->kind),
        (unsigned long long)pair->a->id, leat__checkpoint_kind_name(pair->b->kind),
        (unsigned long long)pair->b->id);
    leat__output_escape(out, pair->b->job, strlen(pair->b->job), 0);
    leat__strbuf_printf(out, ", %s later\n", between);
    if (strcmp(pair->a->life, pair->b->life) != 0)
        leat__strbuf_str(
            out, "These are two lives of the job: it began new in between, or they are of two jobs.\n");
    show_nodes(pair, out);
    show_splits(pair, out);
    show_tables(pair, out);
    show_files(pair, out);
}

/* ---- for machines ---- */

static void json_position(struct leat_strbuf *out, const char *name, const struct leat_split_part *split)
{
    if (!split || !split->position.data)
        leat__json_null(out, name);
    else
        leat__json_bytes(out, name, split->position.data, split->position.len);
}

static void json_nodes(const struct pair *pair, struct leat_strbuf *out)
{
    leat__json_begin(out, "nodes_added", '[');
    for (uint32_t i = 0; i < pair->b->nodes_count; i++)
        if (!find_node(pair->a, pair->b->nodes[i].name))
            leat__json_text(out, NULL, pair->b->nodes[i].name);
    leat__json_end(out, ']');
    leat__json_begin(out, "nodes_removed", '[');
    for (uint32_t i = 0; i < pair->a->nodes_count; i++)
        if (!find_node(pair->b, pair->a->nodes[i].name))
            leat__json_text(out, NULL, pair->a->nodes[i].name);
    leat__json_end(out, ']');
}

static void json_splits(const struct pair *pair, struct leat_strbuf *out)
{
    leat__json_begin(out, "splits", '[');
    for (uint32_t i = 0; i < pair->b->parts_count; i++) {
        const struct leat_part *part = &pair->b->parts[i];
        for (uint32_t s = 0; s < part->splits_count; s++) {
            const struct leat_split_part *split = &part->splits[s];
            const struct leat_split_part *before = find_split(pair->a, part->node_name, split->id);
            leat__json_begin(out, NULL, '{');
            leat__json_text(out, "node", part->node_name);
            leat__json_text(out, "split", split->id);
            json_position(out, "from", before);
            json_position(out, "to", split);
            leat__json_bool(out, "ended", split->ended);
            leat__json_watermark(out, "newest_from", before ? before->newest_us : LEAT_TIME_MIN);
            leat__json_watermark(out, "newest_to", split->newest_us);
            leat__json_end(out, '}');
        }
    }
    leat__json_end(out, ']');
}

static void json_table(
    struct leat_strbuf *out, const struct leat_table_info *a, const struct leat_table_info *b)
{
    const struct leat_table_info *either = b ? b : a;
    leat__json_begin(out, NULL, '{');
    leat__json_text(out, "node", either->node);
    leat__json_text(out, "name", either->name);
    leat__json_count(out, "entries_from", a ? a->entries : 0);
    leat__json_count(out, "entries_to", b ? b->entries : 0);
    leat__json_end(out, '}');
}

static void show_json(const struct pair *pair, struct leat_strbuf *out)
{
    const struct shares shares = compare_files(pair);
    leat__json_begin(out, NULL, '{');
    leat__json_count(out, "from", pair->a->id);
    leat__json_count(out, "to", pair->b->id);
    leat__json_bool(out, "same_life", strcmp(pair->a->life, pair->b->life) == 0);
    leat__json_number(out, "between_us", pair->b->taken_us - pair->a->taken_us);
    json_nodes(pair, out);
    json_splits(pair, out);
    leat__json_begin(out, "tables", '[');
    for (uint32_t i = 0; i < pair->b->tables_count; i++)
        json_table(out, find_table(pair->a, &pair->b->tables[i]), &pair->b->tables[i]);
    for (uint32_t i = 0; i < pair->a->tables_count; i++)
        if (!find_table(pair->b, &pair->a->tables[i]))
            json_table(out, &pair->a->tables[i], NULL);
    leat__json_end(out, ']');
    leat__json_begin(out, "files", '{');
    leat__json_count(out, "shared", shares.shared);
    leat__json_count(out, "shared_bytes", shares.shared_bytes);
    leat__json_count(out, "new", shares.added);
    leat__json_count(out, "new_bytes", shares.added_bytes);
    leat__json_count(out, "gone", shares.gone);
    leat__json_count(out, "gone_bytes", shares.gone_bytes);
    leat__strbuf_str(out, "}}\n");
}

/* The checkpoint that a path and a word name, into *manifest. */
static int read_one(
    const char *path, const char *word, struct leat_manifest *manifest, struct leat_error *err)
{
    struct leat_checkpoint_view view;
    uint64_t id = 0;
    LEAT_TRY(leat__view_open(path, &view, err));
    int result = leat__view_find(&view, word, &id, err);
    if (result == 0)
        result = leat__view_read(&view, id, manifest, err);
    leat__view_close(&view);
    return result;
}

int leat__checkpoint_diff(const struct leat_checkpoint_args *args)
{
    struct leat_manifest a = { 0 }, b = { 0 };
    struct leat_error err = { 0 };
    struct leat_strbuf out = { 0 };
    const bool by_id = args->count == 3;
    int result = read_one(args->words[0], by_id ? args->words[1] : NULL, &a, &err);
    if (result == 0)
        result = read_one(args->words[by_id ? 0 : 1], by_id ? args->words[2] : NULL, &b, &err);
    const struct pair pair = { &a, &b };
    if (result == 0 && args->output == LEAT_OUTPUT_JSON)
        show_json(&pair, &out);
    else if (result == 0)
        show(&pair, &out);
    leat__manifest_release(&a);
    leat__manifest_release(&b);
    return result < 0 ? leat__output_fail(&err) : leat__output_print(&out);
}
