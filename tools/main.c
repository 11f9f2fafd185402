/* tools/main.c -- the leat command: `leat NOUN VERB [ARGS]`, and short verbs without a noun. */
#include "base/near.h"
#include "tools/checkpoint.h"
#include "tools/gen.h"
#include "tools/job.h"
#include "tools/kafka_tool.h"
#include "tools/schema.h"
#include <stdio.h>
#include <string.h>

static int version_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("leat %s\n", leat_version());
    return 0;
}

static int help_main(int argc, char **argv);

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "checkpoint", "checkpoints of a job: ls, info, verify, diff, rm", leat__checkpoint_main },
    { "job", "a running job: status, checkpoint, savepoint, stop, cancel", leat__job_main },
    { "gen", "C structs and type descriptors from Avro schemas", leat__gen_main },
    { "topic", "topics of Kafka: ls, info, create, produce, consume", leat__topic_main },
    { "group", "consumer groups of Kafka: lag", leat__group_main },
    { "dlq", "dead letters in topics of Kafka: show, retry", leat__dlq_main },
    { "schema", "whether a schema may follow another: check", leat__schema_main },
    { "version", "the version", version_main },
    { "help", "this", help_main },
};
#define COMMANDS_COUNT (sizeof commands / sizeof commands[0])

static int help_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("Usage: leat COMMAND [ARGS]\n\n");
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        printf("  %-12s %s\n", commands[i].name, commands[i].help);
    printf("\nExamples:\n  leat gen order.avsc -o gen\n  leat checkpoint ls checkpoints/order-processing\n");
    return 0;
}

int main(int argc, char **argv)
{
    const char *names[COMMANDS_COUNT];
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--help") == 0)
        word = "help";
    if (strcmp(word, "--version") == 0)
        word = "version";
    for (size_t i = 0; i < COMMANDS_COUNT; i++) {
        names[i] = commands[i].name;
        if (strcmp(word, names[i]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    const int near = leat__near(word, names, COMMANDS_COUNT);
    (void)fprintf(stderr, "leat: %s%s%s%s%s\nTry leat help\n", *word ? "unknown command " : "no command",
        word, near < 0 ? "" : "; did you mean ", near < 0 ? "" : names[near], near < 0 ? "" : "?");
    return 2;
}
