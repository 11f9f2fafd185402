/* tools/topic_main.c -- the command line of `leat topic`. */
#include "base/near.h"
#include "tools/kafka_tool.h"
#include <stdio.h>

static const char usage[] =
    "Usage: leat topic VERB [TOPIC] [OPTIONS]\n\n"
    "  ls                  the topics, but internal ones\n"
    "  info TOPIC          its partitions: first offset, the one behind the last, leader, replicas\n"
    "  create TOPIC        with --partitions (1), --replication (the brokers' default), --config NAME=VALUE "
    "...\n"
    "  produce TOPIC       a message for each line of the standard input; with --key-separator C: KEY C "
    "VALUE\n"
    "  consume TOPIC       its messages as JSON, one a line, to the end; --follow: and what comes\n\n"
    "Options:\n"
    "  --brokers HOST:PORT where they are (default: LEAT_KAFKA_BROKERS)\n"
    "  --properties FILE   properties of librdkafka, one NAME=VALUE a line; -X NAME=VALUE: one more\n"
    "  --partition N       produce, consume: only this one\n"
    "  --from WHERE        consume: earliest (default), latest, or an offset\n"
    "  --count N           consume: at most so many\n"
    "  --header NAME=VALUE produce: a header of each message; may be given up to 16 times\n"
    "  --values            consume: values as they are, one a line\n"
    "  --json, -o FORM     ls, info: table (default on a terminal), tsv (default in a pipe) or json\n"
    "  --help              print this\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 no connection, 4 no such topic, 5 it is there already, 7 no "
    "answer in time.\n\n"
    "Examples:\n"
    "  leat topic create orders --partitions 12 --brokers localhost:9092\n"
    "  leat topic consume orders --from latest --follow | jq .value\n";

static const struct {
    const char *name;
    uint32_t words;
    int (*run)(struct leat_kafka_tool *tool);
} verbs[] = {
    { "ls", 1, leat__topic_ls },
    { "info", 2, leat__topic_info },
    { "create", 2, leat__topic_create },
    { "produce", 2, leat__topic_produce },
    { "consume", 2, leat__topic_consume },
};
#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

static int unknown(const struct leat_kafka_tool *tool)
{
    const char *names[VERBS_COUNT];
    char text[160];
    for (size_t i = 0; i < VERBS_COUNT; i++)
        names[i] = verbs[i].name;
    const int near = leat__near(tool->words[0], names, VERBS_COUNT);
    (void)snprintf(text, sizeof text, "%.60s%s%s%s", tool->words[0], near < 0 ? "" : "; did you mean ",
        near < 0 ? "" : names[near], near < 0 ? "" : "?");
    return leat__kafka_tool_wrong(tool, "unknown verb ", text);
}

static int run(struct leat_kafka_tool *tool)
{
    for (size_t i = 0; i < VERBS_COUNT; i++) {
        if (strcmp(tool->words[0], verbs[i].name) != 0)
            continue;
        if (tool->count != verbs[i].words)
            return leat__kafka_tool_wrong(tool,
                verbs[i].words == 1 ? "ls takes no topic" : "it takes one topic: leat topic ",
                verbs[i].words == 1 ? "" : verbs[i].name);
        return verbs[i].run(tool);
    }
    return unknown(tool);
}

int leat__topic_main(int argc, char **argv)
{
    struct leat_kafka_tool tool = { .name = "leat topic" };
    int code = leat__kafka_tool_parse(&tool, argc, argv, usage);
    if (code < 0)
        code = run(&tool);
    leat__kafka_tool_release(&tool);
    return code;
}
