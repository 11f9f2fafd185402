/* tools/job_main.c -- the command line of `leat job`. */
#include "base/near.h"
#include "base/units.h"
#include "runtime/control.h"
#include "tools/job.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATUS_TIMEOUT_US INT64_C(10000000) /* of an answer that comes at once; the others may take long */
#define PATH_BYTES_MAX 4096u

static const char usage[] =
    "Usage: leat job VERB JOBDIR [OPTIONS]\n\n"
    "  status JOBDIR          how a running job does: rates, watermark, checkpoints, nodes\n"
    "  checkpoint JOBDIR      has it take a checkpoint, and waits for it\n"
    "  savepoint JOBDIR DIR   the same into the new directory DIR, which is yours: it is never removed\n"
    "  stop JOBDIR            stops it after a last checkpoint, with which the next run goes on; windows "
    "stay open\n"
    "  cancel JOBDIR          gives up at once: what came since the last checkpoint is not committed\n\n"
    "JOBDIR is where the job keeps its checkpoints: its --checkpoint-dir, and in it the job's name.\n\n"
    "Options:\n"
    "  --drain           stop: takes the input to have ended, so that all windows fire, and the job is "
    "finished\n"
    "  --savepoint DIR   stop: leaves a savepoint there\n"
    "  --timeout TIME    gives up waiting, exit code 7 (default: 10s for status, else none)\n"
    "  --json            the job's answer, as JSON on one line\n"
    "  -o table|tsv|json status: aligned columns (default on a terminal), tab-separated (default in a pipe), "
    "JSON\n"
    "  --help            print this\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 no job runs there, 4 no such directory, 5 DIR exists, 7 "
    "timeout.\n\n"
    "Examples:\n"
    "  leat job status checkpoints/order-processing\n"
    "  leat job stop checkpoints/order-processing --savepoint before-upgrade\n";

enum verb { VERB_STATUS = 0, VERB_CHECKPOINT, VERB_SAVEPOINT, VERB_STOP, VERB_CANCEL, VERBS_COUNT };
static const char *const verbs[] = { "status", "checkpoint", "savepoint", "stop", "cancel" };

struct job_args {
    enum verb verb;
    char **words; /* behind the verb */
    uint32_t count;
    enum leat_cli_output output;
    bool drain, help;
    const char *savepoint;
    int64_t timeout_us; /* -1: not given */
};

static int usage_error(const char *text, const char *word, const char *more)
{
    (void)fprintf(stderr, "leat job: %s%s%s\nTry leat job --help\n", text, word, more);
    return 2;
}

static int set_output(struct job_args *args, const char *word)
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

static int set_timeout(struct job_args *args, const char *word)
{
    if (!word || leat__duration_parse(word, &args->timeout_us) < 0)
        return usage_error(
            "--timeout takes a duration such as 500ms or 10s", word ? ", not " : "", word ? word : "");
    return 0;
}

static int set_option(struct job_args *args, int argc, char **argv, int *i)
{
    const char *word = argv[*i];
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    const bool takes_value =
        strcmp(word, "-o") == 0 || strcmp(word, "--timeout") == 0 || strcmp(word, "--savepoint") == 0;
    *i += takes_value;
    if (strcmp(word, "--json") == 0)
        args->output = LEAT_OUTPUT_JSON;
    else if (strcmp(word, "-o") == 0)
        return set_output(args, next);
    else if (strcmp(word, "--timeout") == 0)
        return set_timeout(args, next);
    else if (strcmp(word, "--savepoint") == 0 && !next)
        return usage_error("--savepoint needs the directory that is to be made", "", "");
    else if (strcmp(word, "--savepoint") == 0)
        args->savepoint = next;
    else if (strcmp(word, "--drain") == 0)
        args->drain = true;
    else if (strcmp(word, "--help") == 0)
        args->help = true;
    else
        return usage_error("unknown option ", word, "");
    return 0;
}

static int find_verb(struct job_args *args, const char *word)
{
    for (int i = 0; i < VERBS_COUNT; i++) {
        if (strcmp(word, verbs[i]) == 0) {
            args->verb = (enum verb)i;
            return 0;
        }
    }
    const int near = leat__near(word, verbs, VERBS_COUNT);
    char more[64] = "";
    if (near >= 0)
        (void)snprintf(more, sizeof more, "; did you mean %s?", verbs[near]);
    return usage_error("no verb ", word, more);
}

/* 0 or the exit code. */
static int parse(int argc, char **argv, struct job_args *args)
{
    args->words = argv;
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            const int wrong = set_option(args, argc, argv, &i);
            if (wrong)
                return wrong;
        } else {
            argv[args->count++] = argv[i];
        }
    }
    if (args->help)
        return 0;
    if (args->count == 0)
        return usage_error("no verb was given", "", "");
    const int wrong = find_verb(args, args->words[0]);
    if (wrong)
        return wrong;
    args->words++;
    args->count--;
    if (args->count != (args->verb == VERB_SAVEPOINT ? 2u : 1u))
        return usage_error(
            "it is: leat job ", verbs[args->verb], args->verb == VERB_SAVEPOINT ? " JOBDIR DIR" : " JOBDIR");
    if (args->verb != VERB_STOP && (args->drain || args->savepoint))
        return usage_error("--drain and --savepoint are for stop, not for ", verbs[args->verb], "");
    return 0;
}

/* The job may have another current directory. */
static int make_absolute(const char *path, struct leat_strbuf *out, struct leat_error *err)
{
    char cwd[PATH_BYTES_MAX];
    if (!*path || strpbrk(path, "\r\n"))
        return leat__error(err, LEAT_EINVAL, "\"%s\" is no name for a savepoint's directory", path);
    if (path[0] != '/') {
        if (!getcwd(cwd, sizeof cwd))
            return leat__error(
                err, LEAT_EIO, "cannot find the current directory: give the savepoint's whole path");
        leat__strbuf_printf(out, "%s/", cwd);
    }
    leat__strbuf_str(out, path);
    return 0;
}

static int make_line(const struct job_args *args, struct leat_strbuf *line, struct leat_error *err)
{
    const char *path = args->verb == VERB_SAVEPOINT ? args->words[1] : args->savepoint;
    leat__strbuf_str(line, verbs[args->verb]);
    if (args->drain)
        leat__strbuf_str(line, " drain");
    if (path) {
        leat__strbuf_str(line, args->verb == VERB_STOP ? " savepoint " : " ");
        LEAT_TRY(make_absolute(path, line, err));
    }
    if (line->failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    return line->len < LEAT_CONTROL_LINE_MAX
        ? 0
        : leat__error(err, LEAT_EINVAL, "the savepoint's path is too long");
}

static void show_made(const struct job_args *args, const json_t *answer, struct leat_strbuf *out)
{
    char took[LEAT_UNITS_TEXT_MAX], size[LEAT_UNITS_TEXT_MAX], added[LEAT_UNITS_TEXT_MAX];
    leat__strbuf_printf(out, "%s %lld is complete", args->verb == VERB_SAVEPOINT ? "savepoint" : "checkpoint",
        (long long)json_integer_value(json_object_get(answer, "checkpoint")));
    if (args->verb == VERB_SAVEPOINT) {
        leat__strbuf_str(out, " in ");
        leat__output_escape(out, args->words[1], strlen(args->words[1]), 0);
    }
    if (json_object_get(answer, "bytes")) {
        leat__duration_print(json_integer_value(json_object_get(answer, "duration_us")), took);
        leat__size_print((uint64_t)json_integer_value(json_object_get(answer, "bytes")), size);
        leat__size_print((uint64_t)json_integer_value(json_object_get(answer, "new_bytes")), added);
        leat__strbuf_printf(out, ": %s, %s of it new, in %s", size, added, took);
    }
    leat__strbuf_char(out, '\n');
}

static void show_end(const struct job_args *args, const json_t *answer, struct leat_strbuf *out)
{
    const char *state = json_string_value(json_object_get(answer, "state"));
    const long long id = (long long)json_integer_value(json_object_get(answer, "checkpoint"));
    const bool stopped = state && strcmp(state, "stopped") == 0;
    leat__strbuf_printf(out, "the job is %s", state ? state : "over");
    if (args->savepoint) {
        leat__strbuf_str(out, "; savepoint in ");
        leat__output_escape(out, args->savepoint, strlen(args->savepoint), 0);
    }
    if (id > 0 && state && strcmp(state, "finished") != 0)
        leat__strbuf_printf(out, "; the next run goes on from checkpoint %lld", id);
    else if (args->verb == VERB_STOP && !stopped)
        leat__strbuf_str(out, ": all windows have fired, all output is committed");
    leat__strbuf_char(out, '\n');
}

static int ask(const struct job_args *args)
{
    struct leat_strbuf line = { 0 }, text = { 0 }, out = { 0 };
    struct leat_error err = { 0 };
    json_t *answer = NULL;
    struct leat_env *env = leat__env_posix();
    const int64_t timeout_us = args->timeout_us >= 0 ? args->timeout_us
        : args->verb == VERB_STATUS                  ? STATUS_TIMEOUT_US
                                                     : 0;
    int result = make_line(args, &line, &err);
    if (result == 0)
        result = leat__job_ask(args->words[0], line.data, timeout_us, &text, &answer, &err);
    if (args->output == LEAT_OUTPUT_JSON && answer)
        leat__strbuf_add(&out, text.data, text.len);
    else if (result == 0 && args->verb == VERB_STATUS)
        leat__job_show_status(answer, env->wall_us(env), leat__output_choose(args->output), &out);
    else if (result == 0 && (args->verb == VERB_CHECKPOINT || args->verb == VERB_SAVEPOINT))
        show_made(args, answer, &out);
    else if (result == 0)
        show_end(args, answer, &out);
    json_decref(answer);
    leat__strbuf_release(&line);
    leat__strbuf_release(&text);
    const int exit_code = leat__output_print(&out);
    return result < 0 ? leat__output_fail(&err) : exit_code;
}

int leat__job_main(int argc, char **argv)
{
    struct job_args args = { .timeout_us = -1 };
    if (argc < 2) {
        (void)fputs(usage, stderr);
        return 2;
    }
    const int wrong = parse(argc - 1, argv + 1, &args);
    if (wrong)
        return wrong;
    if (args.help) {
        (void)fputs(usage, stdout);
        return 0;
    }
    return ask(&args);
}
