/* tools/checkpoint_main.c -- the command line of `leat checkpoint`. */
#include "base/near.h"
#include "tools/checkpoint.h"
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 64u

static const char usage[] =
    "Usage: leat checkpoint VERB PATH [ARGS] [OPTIONS]\n\n"
    "  ls PATH             the checkpoints: when, how large, what is new in each, whether a job can begin "
    "with it\n"
    "  info PATH [ID]      one of them (default: the newest): nodes, positions of splits, tables, sinks, "
    "files\n"
    "  verify PATH [ID...] reads every file and compares its checksum; exit code 6 if one is damaged\n"
    "  diff PATH A B       what happened between two checkpoints; also: diff PATH PATH\n"
    "  rm PATH ID...       removes checkpoints, never the newest unless --force; the job must not run\n\n"
    "PATH is a job's directory (--checkpoint-dir, and in it the job's name), one checkpoint of it "
    "(.../MANIFEST-00000007), or a savepoint.\n\n"
    "Options:\n"
    "  --json              JSON on one line\n"
    "  -o table|tsv|json   aligned columns (default on a terminal), tab-separated (default in a pipe), JSON\n"
    "  --yes               rm: does not ask\n"
    "  --force             rm: the newest, too\n"
    "  --help              print this\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 4 not found, 5 a job runs there, 6 damaged.\n\n"
    "Examples:\n"
    "  leat checkpoint ls checkpoints/order-processing\n"
    "  leat checkpoint info checkpoints/order-processing 12 --json | jq .splits\n";

static const struct {
    const char *name;
    uint32_t words_min, words_max; /* PATH included */
    const char *form;
    int (*run)(const struct leat_checkpoint_args *args);
} verbs[] = {
    { "ls", 1, 1, "ls PATH", leat__checkpoint_ls },
    { "info", 1, 2, "info PATH [ID]", leat__checkpoint_info },
    { "verify", 1, WORDS_MAX, "verify PATH [ID...]", leat__checkpoint_verify },
    { "diff", 2, 3, "diff PATH A B, or diff PATH PATH", leat__checkpoint_diff },
    { "rm", 2, WORDS_MAX, "rm PATH ID...", leat__checkpoint_rm },
};
#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

static int usage_error(const char *text, const char *word, const char *more)
{
    (void)fprintf(stderr, "leat checkpoint: %s%s%s\nTry leat checkpoint --help\n", text, word, more);
    return 2;
}

static int find_verb(const char *word)
{
    for (size_t i = 0; i < VERBS_COUNT; i++)
        if (strcmp(word, verbs[i].name) == 0)
            return (int)i;
    return -1;
}

static int unknown_verb(const char *word)
{
    const char *names[VERBS_COUNT];
    char more[64] = "";
    for (size_t i = 0; i < VERBS_COUNT; i++)
        names[i] = verbs[i].name;
    const int near = leat__near(word, names, VERBS_COUNT);
    if (near >= 0)
        (void)snprintf(more, sizeof more, "; did you mean %s?", names[near]);
    return usage_error("no verb ", word, more);
}

static int set_output(struct leat_checkpoint_args *args, const char *word)
{
    static const char *const names[] = { "table", "tsv", "json" };
    for (int i = 0; word && i < 3; i++) {
        if (strcmp(word, names[i]) == 0) {
            args->output = (enum leat_cli_output)(LEAT_OUTPUT_TABLE + i);
            return 0;
        }
    }
    return usage_error("-o takes table, tsv or json", word ? ", not " : "", word ? word : "");
}

/* 0 or the exit code. The words go to the front of argv. */
static int parse(int argc, char **argv, struct leat_checkpoint_args *args, bool *help)
{
    args->words = argv;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        int wrong = 0;
        if (strcmp(word, "--json") == 0)
            args->output = LEAT_OUTPUT_JSON;
        else if (strcmp(word, "-o") == 0)
            wrong = set_output(args, ++i < argc ? argv[i] : NULL);
        else if (strcmp(word, "--yes") == 0)
            args->yes = true;
        else if (strcmp(word, "--force") == 0)
            args->force = true;
        else if (strcmp(word, "--help") == 0)
            *help = true;
        else if (word[0] == '-' && word[1])
            wrong = usage_error("unknown option ", word, "");
        else
            argv[args->count++] = argv[i];
        if (wrong)
            return wrong;
    }
    return 0;
}

int leat__checkpoint_main(int argc, char **argv)
{
    struct leat_checkpoint_args args = { 0 };
    bool help = argc < 2;
    const int wrong = parse(argc - 1, argv + 1, &args, &help);
    if (wrong)
        return wrong;
    if (help) {
        (void)fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (args.count == 0)
        return usage_error("no verb was given", "", "");
    const int verb = find_verb(args.words[0]);
    if (verb < 0)
        return unknown_verb(args.words[0]);
    args.words++;
    args.count--;
    if (args.count < verbs[verb].words_min || args.count > verbs[verb].words_max)
        return usage_error("it is: leat checkpoint ", verbs[verb].form, "");
    if ((args.yes || args.force) && verbs[verb].run != leat__checkpoint_rm)
        return usage_error("--yes and --force are for rm, not for ", verbs[verb].name, "");
    return verbs[verb].run(&args);
}
