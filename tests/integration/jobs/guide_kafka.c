/* tests/integration/jobs/guide_kafka.c -- the program of docs/guide/kafka.md: sales from Kafka into files, and a
 * topic. */
#include "kafka_sale.h"
#include "shelf_total.h"
#include <leat/leat.h>

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("sales-to-files");
    leat_stream *sales = leat_kafka_source(t, "sales",
        &(struct leat_kafka_source_opts){
            .cluster = { .brokers = "kafka-1:9092, kafka-2:9092",
                .properties = "security.protocol=SASL_SSL\n"
                              "sasl.mechanism=SCRAM-SHA-512\n"
                              "sasl.username=shop\n"
                              "sasl.password=${file:/run/secrets/kafka}" },
            .topics = "sales, refunds",
            .type = &kafka_sale_type,
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "shelf", .only = true },
            .meta = { .partition = "partition", .offset = "offset", .timestamp = "written_at" },
            .group = "sales-to-files",
            .event_time = "written_at",
            .max_out_of_orderness_us = LEAT_SECONDS(5),
            .idle_timeout_us = LEAT_SECONDS(30),
            .on_error = LEAT_DEAD_LETTER,
        });
    leat_kafka_dead_letters(leat_dead_letters(sales), "sales-dead",
        &(struct leat_kafka_dead_letters_opts){
            .cluster = { .brokers = "kafka-1:9092, kafka-2:9092" },
            .topic = "sales-dead",
            .partitions = 3,
        });
    leat_file_sink(sales, "files", &(struct leat_file_sink_opts){ .path = "sales" });
    leat_kafka_sink(sales, "by-shelf",
        &(struct leat_kafka_sink_opts){
            .cluster = { .brokers = "kafka-1:9092, kafka-2:9092" },
            .topic = "sales-by-shelf",
            .partitions = 12,
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "shelf" },
        });
    return t;
}

/* What a minute has sold, with links to traces of its sales. */
static void declare_totals(leat_topology *t)
{
    leat_stream *traced = leat_kafka_source(t, "traced",
        &(struct leat_kafka_source_opts){
            .topics = "sales",
            .type = &kafka_sale_type,
            .format = LEAT_FORMAT_JSON,
            .meta = { .timestamp = "written_at", .traceparent = "trace" },
            .event_time = "written_at",
        });
    leat_windowed_stream *minutes = leat_window(leat_group_by(traced, "shelves", "shelf"), "minutes",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MINUTES(1) });
    leat_stream *totals = leat_aggregate(minutes, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_SUM("amount", "total"), LEAT_TRACE_LINKS("trace", "links") },
            .out = &shelf_total_type,
        });
    leat_kafka_sink(totals, "shelf-totals",
        &(struct leat_kafka_sink_opts){
            .topic = "shelf-totals",
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "shelf" },
            .meta = { .trace_links = "links" },
        });
}

int main(int argc, char **argv)
{
    leat_topology *t = declare();
    declare_totals(t);
    return leat_main(argc, argv, t, NULL);
}
