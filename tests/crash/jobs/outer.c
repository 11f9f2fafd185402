/* tests/crash/jobs/outer.c -- two files joined by key and time with a condition, each record without a partner once, and
 * what comes too late on either side.
 *
 *   left ----> slow ----\
 *                        pairs ----> part files
 *   right --------------/     \----> late-left, late-right
 */
#include "sample.h"
#include "paired.h"
#include "tests/crash/jobs/options.h"

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

static void declare(leat_topology *t)
{
    leat_stream *left = leat_filter(read_side(t, "left", "left.avro"), "slow", &is_any_filter);
    leat_stream *right = read_side(t, "right", "right.avro");
    leat_stream *pairs = leat_join(left, right, "pairs",
        &(struct leat_join_opts){
            .left_key = "key",
            .before_us = -LEAT_SECONDS(1),
            .after_us = LEAT_SECONDS(4),
            .allowed_lateness_us = LEAT_SECONDS(2),
            .where = "left.value <= right.value",
            .kind = LEAT_JOIN_FULL,
            .merge = &pair_up_join,
        });
    write_rows(pairs, "write-pairs", "pairs");
    write_rows(leat_late_left(pairs), "write-late-left", "late-left");
    write_rows(leat_late_right(pairs), "write-late-right", "late-right");
}

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new("crash-outer");
    declare(t);
    return leat_main(kept, argv, t, NULL);
}
