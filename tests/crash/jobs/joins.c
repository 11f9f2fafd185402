/* tests/crash/jobs/joins.c -- two files joined in every way but the one of outer.c: in windows, with the nearest one, as
 * one keyed stream, and as tables.
 *
 *   left ----> slow ----+---> in-windows ---> part files     \---> late-left
 *                       +---> nearest ------> part files
 *                       +---> together -----> part files
 *   right --------------+---> tables -------> part files, changes
 */
#include "both.h"
#include "changed.h"
#include "paired.h"
#include "sample.h"
#include "tests/crash/jobs/options.h"
#include <leat/cogroup.h>
#include <leat/table.h>

static bool is_any(struct leat_ctx *ctx, const struct sample *s)
{
    (void)s;
    rest(ctx);
    return true;
}
LEAT_DEFINE_FILTER(is_any, sample);

static void pair_up(
    struct leat_ctx *ctx, const struct sample *left, const struct sample *right, struct paired *out)
{
    (void)ctx;
    out->key = left ? left->key : right->key;
    out->has_left_id = left != NULL;
    out->left_id = left ? left->id : 0;
    out->has_right_id = right != NULL;
    out->right_id = right ? right->id : 0;
}
LEAT_DEFINE_JOIN(pair_up, sample, sample, paired);

static leat_stream *read_side(leat_topology *t, const char *name, const char *file)
{
    return leat_file_source(t, name,
        &(struct leat_file_source_opts){
            .path = path_in(input_dir, file),
            .type = &sample_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(2),
        });
}

static void write_rows(leat_stream *rows, const char *node, const char *folder)
{
    leat_file_sink(rows, node,
        &(struct leat_file_sink_opts){ .path = path_in(output_dir, folder), .format = LEAT_FORMAT_JSON });
}

static void join_in_windows(leat_stream *left, leat_stream *right)
{
    leat_stream *pairs = leat_window_join(left, right, "in-windows",
        &(struct leat_window_join_opts){
            .left_key = "key",
            .window = { .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_SECONDS(3) },
            .where = "left.value <= right.value",
            .kind = LEAT_JOIN_FULL,
            .merge = &pair_up_join,
        });
    write_rows(pairs, "write-in-windows", "in-windows");
    write_rows(leat_late_left(pairs), "write-late-left", "late-left");
}

static void join_nearest(leat_stream *left, leat_stream *right)
{
    leat_stream *told = leat_asof_join(left, right, "nearest",
        &(struct leat_asof_join_opts){
            .left_key = "key",
            .tolerance_us = LEAT_NEVER,
            .kind = LEAT_JOIN_LEFT,
            .merge = &pair_up_join,
        });
    write_rows(told, "write-nearest", "nearest");
}

static void put_together(leat_topology *t, leat_stream *left, leat_stream *right)
{
    leat_keyed_stream *all = leat_cogroup(t, "all",
        &(struct leat_cogroup_opts){ .inputs = { { left, "left", "key" }, { right, "right", "key" } } });
    leat_windowed_stream *windows = leat_window(all, "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_SECONDS(3) });
    leat_stream *sums = leat_aggregate(windows, "together",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT_OF("left.id", "lefts"), LEAT_SUM("right.value", "total") },
            .out = &both_type,
        });
    write_rows(sums, "write-together", "together");
}

static void join_tables(leat_stream *left, leat_stream *right)
{
    leat_stream *lefts =
        leat_upsert(left, "lefts", &(struct leat_upsert_opts){ .key = "key", .by_event_time = true });
    leat_stream *rights = leat_upsert(
        right, "rights", &(struct leat_upsert_opts){ .key = "key", .delete_where = "value > 90" });
    leat_stream *now = leat_join_tables(lefts, rights, "tables",
        &(struct leat_join_tables_opts){ .left_key = "key", .kind = LEAT_JOIN_FULL, .merge = &pair_up_join });
    write_rows(leat_changelog(
                   now, "changes", &(struct leat_changelog_opts){ .field = "change", .out = &changed_type }),
        "write-tables", "tables");
}

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new("crash-joins");
    leat_stream *left = leat_filter(read_side(t, "left", "left.avro"), "slow", &is_any_filter);
    leat_stream *right = read_side(t, "right", "right.avro");
    join_in_windows(left, right);
    join_nearest(left, right);
    put_together(t, left, right);
    join_tables(left, right);
    return leat_main(kept, argv, t, NULL);
}
