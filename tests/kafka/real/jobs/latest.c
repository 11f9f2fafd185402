/* tests/kafka/real/jobs/latest.c -- a table that a topic is: the newest message of each key, none where that has no value. Its
 * changes go to another topic, which is such a table again. */
#include "real_entry.h"
#include "tests/kafka/real/jobs/options.h"

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new(to);
    leat_stream *entries = leat_kafka_source(t, "entries",
        &(struct leat_kafka_source_opts){
            .topics = from,
            .type = &real_entry_type,
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "key", .only = true },
            .meta = { .tombstone = "deleted" },
            .bounded = !endless,
        });
    leat_stream *table =
        leat_upsert(entries, "newest", &(struct leat_upsert_opts){ .key = "key", .delete_where = "deleted" });
    write_topic(table, "table");
    return leat_main(kept, argv, t, NULL);
}
