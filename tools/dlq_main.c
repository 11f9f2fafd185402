/* tools/dlq_main.c -- the command line of `leat dlq`. */
#include "base/near.h"
#include "tools/kafka_tool.h"
#include <stdio.h>

static const char usage[] =
    "Usage: leat dlq VERB TOPIC [OPTIONS]\n\n"
    "  show TOPIC          the dead letters in it, oldest first: what failed, where, why, how often\n"
    "  retry TOPIC         puts their messages back to where they came from: key, value and headers as they "
    "were. Each\n"
    "                      once: what was put back is remembered by a consumer group, in the same "
    "transaction, so that\n"
    "                      it may be stopped and started at any time. It ends at what is there when it "
    "begins\n\n"
    "Options:\n"
    "  --class CLASS       only those with this class of error: LEAT_EDATA, or short data; of Connect and "
    "Streams the\n"
    "                      exception's\n"
    "  --node NODE         only those of this node\n"
    "  --partition N       only of this partition\n"
    "  --limit N           show: at most so many (100); retry: put back at most so many\n"
    "  --newest            show: the newest first\n"
    "  --to TOPIC          retry: put them there instead; those without a topic of their own, too\n"
    "  --max-attempts N    retry: leave those that have failed so often or more\n"
    "  --group GROUP       retry: who remembers (leat-dlq-TOPIC)\n"
    "  --dry-run           retry: only show which ones\n"
    "  --brokers HOST:PORT where they are (default: LEAT_KAFKA_BROKERS)\n"
    "  --properties FILE   properties of librdkafka, one NAME=VALUE a line; -X NAME=VALUE: one more\n"
    "  --json, -o FORM     table (default on a terminal), tsv (default in a pipe) or json: an object a line\n"
    "  --help              print this\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 no connection, 4 no such topic, 5 another retry of the group "
    "has begun, 6\n"
    "too much is left to be remembered, 7 no answer in time.\n\n"
    "Examples:\n"
    "  leat dlq show orders-dead --newest --limit 10\n"
    "  leat dlq retry orders-dead --node parse --max-attempts 3\n";

static const struct {
    const char *name;
    int (*run)(struct leat_kafka_tool *tool);
} verbs[] = {
    { "show", leat__dlq_show },
    { "retry", leat__dlq_retry },
};
#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

static int run(struct leat_kafka_tool *tool)
{
    const char *names[VERBS_COUNT];
    char text[160];
    for (size_t i = 0; i < VERBS_COUNT; i++) {
        names[i] = verbs[i].name;
        if (strcmp(tool->words[0], verbs[i].name) != 0)
            continue;
        if (tool->count != 2)
            return leat__kafka_tool_wrong(tool, "it takes one topic: leat dlq ", verbs[i].name);
        return verbs[i].run(tool);
    }
    const int near = leat__near(tool->words[0], names, VERBS_COUNT);
    (void)snprintf(text, sizeof text, "%.60s%s%s%s", tool->words[0], near < 0 ? "" : "; did you mean ",
        near < 0 ? "" : names[near], near < 0 ? "" : "?");
    return leat__kafka_tool_wrong(tool, "unknown verb ", text);
}

int leat__dlq_main(int argc, char **argv)
{
    struct leat_kafka_tool tool = { .name = "leat dlq" };
    int code = leat__kafka_tool_parse(&tool, argc, argv, usage);
    if (code < 0)
        code = run(&tool);
    leat__kafka_tool_release(&tool);
    return code;
}
