/* tests/kafka/real/jobs/pairs.c -- two topics joined by key, with the partitions where both sides lay. */
#include "real_pair.h"
#include "tests/kafka/real/jobs/options.h"

int main(int argc, char **argv)
{
    char left[256];
    const int kept = take_options(argc, argv);
    const char *right = strchr(from, ',');
    if (!right) {
        (void)fprintf(stderr, "--from LEFT,RIGHT\n");
        return 2;
    }
    (void)snprintf(left, sizeof left, "%.*s", (int)(right - from), from);
    leat_topology *t = leat_topology_new(to);
    leat_stream *pairs =
        leat_join_tables(read_events(t, "left", left), read_events(t, "right", right + 1), "join",
            &(struct leat_join_tables_opts){
                .left_key = "key",
                .out = &real_pair_type,
                .fields = { { "left.id", "left_id" }, { "right.id", "right_id" },
                    { "left.part", "left_part" }, { "right.part", "right_part" } },
            });
    write_topic(pairs, "pairs");
    return leat_main(kept, argv, t, NULL);
}
