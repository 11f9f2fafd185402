/* tests/integration/jobs/dead_letters.c -- sales of a topic, and a topic for those that can not be read: what
 * tests/integration/test-dlq-cli drives.
 *
 *   dead_letters TOPIC DEAD_TOPIC [leat's options] */
#include "kafka_sale.h"
#include <leat/leat.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: dead_letters TOPIC DEAD_TOPIC\n");
        return 2;
    }
    leat_topology *t = leat_topology_new("sales");
    leat_stream *sales = leat_kafka_source(t, "read",
        &(struct leat_kafka_source_opts){
            .topics = argv[1],
            .type = &kafka_sale_type,
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "shelf", .only = true },
            .meta = { .partition = "partition", .offset = "offset", .timestamp = "written_at" },
            .bounded = true,
            .on_error = LEAT_DEAD_LETTER,
        });
    leat_kafka_dead_letters(leat_dead_letters(sales), "dead",
        &(struct leat_kafka_dead_letters_opts){ .topic = argv[2], .partitions = 2 });
    leat_memory_sink(sales, "good", &(struct leat_memory_sink_opts){ 0 });
    argv[2] = argv[0];
    return leat_main(argc - 2, argv + 2, t, NULL);
}
