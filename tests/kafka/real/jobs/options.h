/* tests/kafka/real/jobs/options.h -- what the jobs of the tests against Apache Kafka share: their own options, taken out of the
 * command line before leat_main sees it. The brokers are those of LEAT_KAFKA_BROKERS. */
#ifndef LEAT_TESTS_KAFKA_REAL_OPTIONS_H
#define LEAT_TESTS_KAFKA_REAL_OPTIONS_H
#include "real_event.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS_A_REST 32u

static const char *from = "events"; /* --from: the topic to read, or two of them with a comma between */
static const char *to = "out"; /* --to: the begin of the names of topics to write */
static bool endless; /* --endless: reads on for ever, and looks for new partitions all the time */
static long pace_us; /* --pace: a rest at the begin of a batch, and after so many rows */

/* How many arguments are left. */
static int take_options(int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            from = argv[++i];
        else if (strcmp(argv[i], "--to") == 0 && i + 1 < argc)
            to = argv[++i];
        else if (strcmp(argv[i], "--pace") == 0 && i + 1 < argc)
            pace_us = strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--endless") == 0)
            endless = true;
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return kept;
}

/* "TO.NAME" in one of a few static buffers. */
static const char *topic_to(const char *name)
{
    static char names[8][256];
    static unsigned next;
    char *made = names[next++ % 8];
    (void)snprintf(made, sizeof names[0], "%s.%s", to, name);
    return made;
}

static inline leat_stream *read_events(leat_topology *t, const char *name, const char *topic)
{
    return leat_kafka_source(t, name,
        &(struct leat_kafka_source_opts){
            .cluster = { .properties = "fetch.wait.max.ms=20" },
            .topics = topic,
            .type = &real_event_type,
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "key", .only = true },
            .meta = { .partition = "part", .offset = "off" },
            .bounded = !endless,
            .discover_us = LEAT_MILLIS(200),
            .event_time = "at",
        });
}

/* Exactly once, as JSON, by key. */
static inline void write_topic(leat_stream *in, const char *name)
{
    leat_kafka_sink(in, name,
        &(struct leat_kafka_sink_opts){
            .topic = topic_to(name),
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "key" },
            .markers_topic = topic_to("markers"),
        });
}
#endif
