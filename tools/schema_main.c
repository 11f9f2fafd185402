/* tools/schema_main.c -- `leat schema check`: whether a new schema may follow the ones before. */
#include "base/alloc.h"
#include "base/near.h"
#include "record/compatible.h"
#include "tools/input.h"
#include "tools/output.h"
#include "tools/schema.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define VERSIONS_MAX 1000u

static const char usage[] =
    "Usage: leat schema check OLD.avsc... NEW.avsc [OPTIONS]\n\n"
    "Says whether NEW may follow the schemas before it (the oldest first), and every place where it may "
    "not.\n\n"
    "Options:\n"
    "  -l, --level LEVEL   BACKWARD (default): NEW reads data of the last one; FORWARD: the last one reads "
    "data of NEW;\n"
    "                      FULL: both; BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE, FULL_TRANSITIVE: of all "
    "before; NONE\n"
    "      --registry      as schema registries judge: logical types (units of time, scales) do not count\n"
    "      --json          JSON on one line\n"
    "  -o table|tsv|json   aligned columns (default on a terminal), tab-separated (default in a pipe), JSON\n"
    "      --help          print this\n\n"
    "Exit codes: 0 it may, 1 failed, 2 usage, 4 no such file, 6 it may not, or a file is no schema.\n\n"
    "Examples:\n"
    "  leat schema check order.v1.avsc order.v2.avsc\n"
    "  leat schema check v1.avsc v2.avsc v3.avsc --level FULL_TRANSITIVE --json | jq "
    "'.incompatibilities[].path'\n";

struct args {
    enum leat_compatibility level;
    bool registry;
    enum leat_cli_output output;
    char **files;
    uint32_t count;
};

static int usage_error(const char *text, const char *word, const char *more)
{
    (void)fprintf(stderr, "leat schema: %s%s%s\nTry leat schema --help\n", text, word, more);
    return 2;
}

static int take_level(const char *word, enum leat_compatibility *level)
{
    const char *words[LEAT_COMPATIBILITIES_COUNT];
    char more[64] = "";
    *level = leat__compatibility_find(word);
    if (*level)
        return 0;
    for (int i = 0; i < LEAT_COMPATIBILITIES_COUNT; i++)
        words[i] = leat__compatibility_word((enum leat_compatibility)(i + 1));
    const int near = leat__near(word, words, LEAT_COMPATIBILITIES_COUNT);
    if (near >= 0)
        (void)snprintf(more, sizeof more, "; did you mean %s?", words[near]);
    return usage_error("unknown level ", word, more);
}

static int take_output(const char *word, enum leat_cli_output *output)
{
    static const char *const words[] = { "table", "tsv", "json" };
    static const enum leat_cli_output values[] = { LEAT_OUTPUT_TABLE, LEAT_OUTPUT_TSV, LEAT_OUTPUT_JSON };
    for (size_t i = 0; i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            *output = values[i];
            return 0;
        }
    return usage_error("unknown output ", word, ": table, tsv or json");
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct args *args)
{
    static const struct option options[] = { { "level", required_argument, NULL, 'l' },
        { "registry", no_argument, NULL, 'r' }, { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
    int option;
    *args = (struct args){ .level = LEAT_COMPATIBILITY_BACKWARD };
    optind = 1;
    while ((option = getopt_long(argc, argv, "l:o:", options, NULL)) >= 0) {
        int code = 0;
        if (option == 'l')
            code = take_level(optarg, &args->level);
        else if (option == 'o')
            code = take_output(optarg, &args->output);
        else if (option == 'r')
            args->registry = true;
        else if (option == 'j')
            args->output = LEAT_OUTPUT_JSON;
        else if (option == 'h')
            return fputs(usage, stdout) < 0;
        else
            code = usage_error("see above", "", "");
        if (code)
            return code;
    }
    args->files = argv + optind + 1;
    if (optind >= argc || strcmp(argv[optind], "check") != 0)
        return usage_error("expected check, found ", optind < argc ? argv[optind] : "nothing", "");
    args->count = (uint32_t)(argc - optind - 1);
    if (args->count < 2 || args->count > VERSIONS_MAX)
        return usage_error("check takes at least two schema files, the new one last", "", "");
    return -1;
}

static int load(const char *path, struct leat_schema **schema, struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    *schema = NULL;
    int code = leat__input_schema(leat__env_posix(), path, &text, err);
    if (code == 0) {
        code = leat__schema_parse(text.data, text.len, schema, err);
        if (code < 0)
            (void)leat__error_prefix(err, "%s", path);
    }
    leat__strbuf_release(&text);
    return code;
}

static void write_json(
    const struct args *args, const struct leat_incompatibilities *found, struct leat_strbuf *out)
{
    leat__json_begin(out, NULL, '{');
    leat__json_bool(out, "compatible", found->count == 0);
    leat__json_text(out, "level", leat__compatibility_word(args->level));
    leat__json_begin(out, "incompatibilities", '[');
    for (uint32_t i = 0; i < found->count; i++) {
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "type", leat__incompatible_word(found->list[i].kind));
        leat__json_text(out, "path", found->list[i].path);
        leat__json_text(out, "message", found->list[i].text);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
    leat__json_end(out, '}');
    leat__strbuf_char(out, '\n');
}

static void write_table(const struct args *args, const struct leat_incompatibilities *found,
    enum leat_cli_output output, struct leat_strbuf *out)
{
    static const char *const headings[] = { "PATH", "TYPE", "WHY" };
    struct leat_grid grid = { .headings = headings, .columns = 3 };
    for (uint32_t i = 0; i < found->count; i++) {
        leat__grid_bytes(&grid, found->list[i].path, strlen(found->list[i].path), 0);
        leat__grid_text(&grid, leat__incompatible_word(found->list[i].kind));
        leat__grid_bytes(&grid, found->list[i].text, strlen(found->list[i].text), 0);
    }
    if (output == LEAT_OUTPUT_TABLE)
        leat__strbuf_printf(out, "%s: %s\n", leat__compatibility_word(args->level),
            found->count ? "not compatible" : "compatible");
    leat__grid_print(&grid, output, 0, out);
    leat__grid_release(&grid);
}

static int check(const struct args *args, struct leat_schema **schemas)
{
    struct leat_incompatibilities found = { 0 };
    struct leat_strbuf out = { 0 };
    struct leat_error err = { 0 };
    int code = 0;
    for (uint32_t i = 0; i < args->count && code == 0; i++)
        code = load(args->files[i], &schemas[i], &err);
    if (code == 0)
        code = leat__schema_may_follow(args->level, schemas[args->count - 1],
            (const struct leat_schema *const *)schemas, args->count - 1, !args->registry, &found, &err);
    if (code < 0) {
        leat__incompatibilities_release(&found);
        return leat__output_fail(&err);
    }
    const enum leat_cli_output output = leat__output_choose(args->output);
    if (output == LEAT_OUTPUT_JSON)
        write_json(args, &found, &out);
    else
        write_table(args, &found, output, &out);
    const int verdict = found.count ? leat_error_exit_code(LEAT_ESCHEMA) : 0;
    leat__incompatibilities_release(&found);
    const int printed = leat__output_print(&out);
    return printed ? printed : verdict;
}

int leat__schema_main(int argc, char **argv)
{
    struct args args;
    int code = parse(argc, argv, &args);
    if (code >= 0)
        return code;
    struct leat_schema **schemas = leat__calloc(args.count, sizeof *schemas);
    if (!schemas) {
        (void)fputs("leat schema: out of memory\n", stderr);
        return 1;
    }
    code = check(&args, schemas);
    for (uint32_t i = 0; i < args.count; i++)
        leat__schema_free(schemas[i]);
    leat__free(schemas);
    return code;
}
