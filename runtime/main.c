/* runtime/main.c -- leat_main: the command line of a job program. The one place of the library that prints
 * and handles signals. */
#include "base/alloc.h"
#include "base/near.h"
#include "base/strbuf.h"
#include "runtime/job_private.h"
#include "runtime/progress.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum main_command { MAIN_RUN = 1, MAIN_DESCRIBE, MAIN_CHECK, MAIN_HELP, MAIN_VERSION };

struct main_args {
    enum main_command command;
    enum leat_describe_format format;
    struct leat_job_opts opts;
    bool quiet;
    struct leat_error error; /* wrong usage */
};

/* Every option of the command line; a value follows after a blank or "=". */
struct main_option {
    const char *name;
    const char *value; /* NULL: takes none; "[x]": optional, only after "=" */
    const char *help;
    void (*set)(struct main_args *args, const char *value);
};

static uint64_t parse_number(
    struct main_args *args, const char *option, const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < min || value > max)
        (void)leat__error(&args->error, LEAT_EINVAL, "%s takes a whole number from %llu to %llu, not \"%s\"",
            option, (unsigned long long)min, (unsigned long long)max, text);
    return value;
}

static void set_describe(struct main_args *args, const char *value)
{
    static const char *const names[] = { "text", "dot", "json" };
    args->command = MAIN_DESCRIBE;
    args->format = LEAT_DESCRIBE_TEXT;
    if (!value)
        return;
    for (int i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            args->format = (enum leat_describe_format)(LEAT_DESCRIBE_TEXT + i);
            return;
        }
    }
    (void)leat__error(&args->error, LEAT_EINVAL, "--describe knows text, dot and json, not \"%s\"", value);
}

static void set_check(struct main_args *args, const char *value)
{
    (void)value;
    args->command = MAIN_CHECK;
}

static void set_parallelism(struct main_args *args, const char *value)
{
    args->opts.parallelism = (uint32_t)parse_number(args, "--parallelism", value, 1, LEAT_WORKERS_MAX);
}

static void set_batch_rows(struct main_args *args, const char *value)
{
    args->opts.batch_rows = (uint32_t)parse_number(args, "--batch-rows", value, 1, LEAT_BATCH_ROWS_MAX);
}

static void set_simulate(struct main_args *args, const char *value)
{
    args->opts.simulate = true;
    args->opts.seed = parse_number(args, "--simulate", value, 0, UINT64_MAX);
}

static void set_progress(struct main_args *args, const char *value)
{
    (void)value;
    args->opts.on_progress = leat__progress_print;
}

static void set_quiet(struct main_args *args, const char *value)
{
    (void)value;
    args->quiet = true;
}

static void set_log(struct main_args *args, const char *value)
{
    static const char *const names[] = { "error", "warn", "info", "debug", "trace" };
    for (int i = 0; i < 5; i++) {
        if (strcmp(value, names[i]) == 0) {
            args->opts.log_level = (enum leat_log_level)(LEAT_LOG_ERROR + i);
            return;
        }
    }
    (void)leat__error(
        &args->error, LEAT_EINVAL, "--log knows error, warn, info, debug and trace, not \"%s\"", value);
}

static void set_help(struct main_args *args, const char *value)
{
    (void)value;
    args->command = MAIN_HELP;
}

static void set_version(struct main_args *args, const char *value)
{
    (void)value;
    args->command = MAIN_VERSION;
}

static const struct main_option main_options[] = {
    { "--describe", "[text|dot|json]", "print the logical graph and the physical plan, and exit",
        set_describe },
    { "--check", NULL, "check the topology and exit", set_check },
    { "--parallelism", "N", "workers (default: the cores)", set_parallelism },
    { "--batch-rows", "N", "records per batch (default: 1024)", set_batch_rows },
    { "--simulate", "SEED", "run on one thread under the seeded scheduler with a virtual clock",
        set_simulate },
    { "--progress", NULL, "show rate, watermark and lag on standard error", set_progress },
    { "--quiet", NULL, "print nothing but errors", set_quiet },
    { "--log", "LEVEL", "error, warn (default), info, debug or trace", set_log },
    { "--version", NULL, "print the version and exit", set_version },
    { "--help", NULL, "print this and exit", set_help },
};
#define MAIN_OPTIONS_COUNT (sizeof main_options / sizeof main_options[0])

static void unknown_option(struct main_args *args, const char *arg)
{
    const char *names[MAIN_OPTIONS_COUNT];
    char name[64]; /* what is before a "=" */
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(arg, "="), arg);
    for (size_t i = 0; i < MAIN_OPTIONS_COUNT; i++)
        names[i] = main_options[i].name;
    const int near = leat__near(name, names, MAIN_OPTIONS_COUNT);
    (void)leat__error(&args->error, LEAT_EINVAL,
        near < 0 ? "unknown argument %s" : "unknown argument %s; did you mean %s?", name,
        near < 0 ? "" : names[near]);
}

static void parse_args(struct main_args *args, int argc, char **argv)
{
    for (int i = 1; i < argc && args->error.code == 0; i++) {
        const char *arg = argv[i];
        const char *equals = strchr(arg, '=');
        const size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
        const struct main_option *option = NULL;
        for (size_t o = 0; o < MAIN_OPTIONS_COUNT; o++)
            if (strlen(main_options[o].name) == len && strncmp(arg, main_options[o].name, len) == 0)
                option = &main_options[o];
        if (!option) {
            unknown_option(args, arg);
        } else if (!option->value) {
            if (equals)
                (void)leat__error(&args->error, LEAT_EINVAL, "%s takes no value", option->name);
            else
                option->set(args, NULL);
        } else if (equals || option->value[0] == '[') {
            option->set(args, equals ? equals + 1 : NULL);
        } else if (i + 1 < argc) {
            option->set(args, argv[++i]);
        } else {
            (void)leat__error(&args->error, LEAT_EINVAL, "%s needs a value: %s", option->name, option->value);
        }
    }
}

static void print_help(const char *program, const leat_topology *t)
{
    printf("Usage: %s [OPTIONS]\n\nRuns the topology %s.\n\n", program, leat_topology_name(t));
    for (size_t i = 0; i < MAIN_OPTIONS_COUNT; i++) {
        char left[64];
        const struct main_option *option = &main_options[i];
        const char *between = !option->value ? "" : option->value[0] == '[' ? "[=" : " ";
        const char *value = !option->value ? "" : option->value[0] == '[' ? option->value + 1 : option->value;
        (void)snprintf(left, sizeof left, "%s%s%s", option->name, between, value);
        printf("  %-28s %s\n", left, option->help);
    }
    printf("\nExamples:\n  %s --describe=dot | dot -Tsvg > plan.svg\n  %s --parallelism 4 --progress\n",
        program, program);
}

static void print_log(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text)
{
    static const char *const names[] = { "", "error", "warn", "info", "debug", "trace" };
    (void)arg;
    (void)fprintf(stderr, "leat: %s subject=%s%s%s %s\n", names[level], subject, node ? " node=" : "",
        node ? node : "", text);
}

/* The job that signals are for. One leat_main runs at a time. */
static leat_job *signalled_job;
static int signals_count; /* atomic: two threads may take a signal each at once */
static int signal_first; /* atomic */

static void on_signal(int number)
{
    leat_job *job = __atomic_load_n(&signalled_job, __ATOMIC_SEQ_CST);
    const int count = __atomic_add_fetch(&signals_count, 1, __ATOMIC_SEQ_CST);
    if (count == 1)
        __atomic_store_n(&signal_first, number, __ATOMIC_SEQ_CST);
    if (!job)
        return;
    if (count == 1)
        leat_job_stop(job);
    else
        leat_job_cancel(job);
}

static void handle_signal(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL); /* can not fail for the signals meant here */
}

/* A reader of the standard output that has gone is an error of the sink, told as such. */
static void handle_signals(void (*handler)(int), void (*pipe_handler)(int))
{
    handle_signal(SIGINT, handler);
    handle_signal(SIGTERM, handler);
    handle_signal(SIGPIPE, pipe_handler);
}

/* What was left out of the results is told, not only counted. */
static void print_losses(leat_job *job)
{
    const struct leat_progress *progress = leat_job_progress(job);
    for (size_t i = 0; i < progress->nodes_count; i++) {
        const struct leat_node_metrics *node = &progress->nodes[i];
        const struct {
            uint64_t count;
            const char *what;
        } losses[] = { { node->dropped_records, "dropped" }, { node->late_records, "late" },
            { node->dead_letters, "dead letters" } };
        for (size_t k = 0; k < sizeof losses / sizeof losses[0]; k++)
            if (losses[k].count > 0)
                (void)fprintf(stderr, "leat: %s \"%s\": records %s: %llu\n", node->kind, node->name,
                    losses[k].what, (unsigned long long)losses[k].count);
    }
}

static int print_errors(const leat_topology *t)
{
    for (size_t i = 0; i < leat_topology_errors_count(t); i++)
        (void)fprintf(stderr, "leat: error: %s\n", leat_topology_error(t, i)->message);
    return leat_error_exit_code(leat_topology_error(t, 0)->code);
}

static int describe(leat_topology *t, const struct main_args *args)
{
    char *text;
    const int result = leat_describe(t, args->format, args->opts.parallelism, &text);
    if (result < 0) {
        (void)fprintf(stderr, "leat: error: cannot describe the topology: %s\n", leat_error_text(result));
        return leat_error_exit_code(result);
    }
    const bool written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    if (!written)
        (void)fprintf(stderr, "leat: error: cannot write the plan to standard output: %s\n", strerror(errno));
    leat_free(text);
    return written ? 0 : 1;
}

static int run(leat_topology *t, const struct main_args *args)
{
    struct leat_error err = { 0 };
    leat_job *job;
    int result = leat_job_new(t, &args->opts, &job, &err);
    if (result < 0) {
        (void)fprintf(stderr, "leat: error: %s\n", err.message);
        return leat_error_exit_code(result);
    }
    __atomic_store_n(&signals_count, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&signalled_job, job, __ATOMIC_SEQ_CST);
    handle_signals(on_signal, SIG_IGN);
    result = leat_job_run(job);
    handle_signals(SIG_DFL, SIG_DFL);
    __atomic_store_n(&signalled_job, NULL, __ATOMIC_SEQ_CST);
    const enum leat_job_state state = leat_job_state(job);
    if (state == LEAT_JOB_FAILED)
        (void)fprintf(stderr, "leat: error: %s\n", leat_job_error(job)->message);
    else if (state == LEAT_JOB_CANCELLED)
        (void)fprintf(stderr, "leat: cancelled: nothing was committed\n");
    else if (state == LEAT_JOB_STOPPED && !args->quiet)
        (void)fprintf(stderr, "leat: stopped: what was written is committed; open windows gave no results\n");
    if ((state == LEAT_JOB_FINISHED || state == LEAT_JOB_STOPPED) && !args->quiet)
        print_losses(job);
    leat_job_free(job);
    const bool by_signal = __atomic_load_n(&signals_count, __ATOMIC_SEQ_CST) > 0;
    if (by_signal && (state == LEAT_JOB_STOPPED || state == LEAT_JOB_CANCELLED))
        return 128 + __atomic_load_n(&signal_first, __ATOMIC_SEQ_CST);
    return result < 0 ? leat_error_exit_code(result) : 0;
}

int leat_main_sized(int argc, char **argv, leat_topology *t, const struct leat_job_opts *opts, size_t size)
{
    struct main_args args = { .command = MAIN_RUN };
    const char *program = argc > 0 ? argv[0] : "job";
    int exit_code;
    if (opts)
        memcpy(&args.opts, opts, size < sizeof args.opts ? size : sizeof args.opts);
    if (!args.opts.log)
        args.opts.log = print_log;
    if (args.opts.log_level == 0)
        args.opts.log_level = LEAT_LOG_WARN;
    parse_args(&args, argc, argv);
    if (args.quiet)
        args.opts.on_progress = NULL;
    if (args.error.code < 0) {
        (void)fprintf(stderr, "%s: %s\nTry %s --help\n", program, args.error.message, program);
        exit_code = 2;
    } else if (args.command == MAIN_HELP) {
        print_help(program, t);
        exit_code = 0;
    } else if (args.command == MAIN_VERSION) {
        printf("leat %s\n", leat_version());
        exit_code = 0;
    } else if (leat_check(t) < 0) {
        exit_code = print_errors(t);
    } else if (args.command == MAIN_DESCRIBE) {
        exit_code = describe(t, &args);
    } else if (args.command == MAIN_CHECK) {
        if (!args.quiet)
            printf("%s: no errors\n", leat_topology_name(t));
        exit_code = 0;
    } else {
        exit_code = run(t, &args);
    }
    leat_topology_free(t);
    return exit_code;
}
