/* runtime/main_options.c -- see the header. One table has every option: its name, its value, its line of help
 * and where its value goes. An option that comes twice counts as it comes last, but for --rename, which adds
 * up. */
#include "runtime/main_options.h"
#include "base/limits.h"
#include "base/near.h"
#include "base/units.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_INTERVAL_US LEAT_SECONDS(10) /* of --checkpoint-dir without --checkpoint-interval */
#define RETAINED_MAX 1000u

struct main_option;
typedef void (*set_fn)(struct leat_main_args *args, const struct main_option *option, const char *value);

enum option_needs { NEEDS_NOTHING = 0, NEEDS_CHECKPOINTS, NEEDS_RESTORE };

/* A value follows after a blank or "=". */
struct main_option {
    const char *name;
    const char *value; /* NULL: takes none; "[x]": optional, only after "=" */
    const char *help;
    set_fn set;
    size_t offset; /* in struct leat_main_args, for the setters that store */
    uint64_t min, max; /* of numbers and durations */
    enum option_needs needs;
};

static void *field(struct leat_main_args *args, const struct main_option *option)
{
    return (char *)args + option->offset;
}

static uint64_t parse_number(struct leat_main_args *args, const struct main_option *option, const char *text)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < option->min || value > option->max)
        (void)leat__error(&args->error, LEAT_EINVAL,
            "%s takes a whole number from %llu to %llu%s, not \"%s\"", option->name,
            (unsigned long long)option->min, (unsigned long long)option->max,
            strstr(option->value, "any") ? ", or any" : "", text);
    return value;
}

static void set_u32(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    *(uint32_t *)field(args, option) = (uint32_t)parse_number(args, option, value);
}

static void set_u32_or_any(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    if (strcmp(value, "any") == 0)
        *(uint32_t *)field(args, option) = LEAT_ANY;
    else
        set_u32(args, option, value);
}

static void set_flag(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    (void)value;
    *(bool *)field(args, option) = true;
}

static void set_text(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    if (!*value)
        (void)leat__error(&args->error, LEAT_EINVAL, "%s needs a value: %s", option->name, option->value);
    *(const char **)field(args, option) = value;
}

static void set_duration(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    int64_t us = 0;
    char least[LEAT_UNITS_TEXT_MAX];
    if (leat__duration_parse(value, &us) < 0)
        (void)leat__error(&args->error, LEAT_EINVAL,
            "%s takes a duration such as 500ms, 10s, 5m or 1h, not \"%s\"", option->name, value);
    leat__duration_print((int64_t)option->min, least);
    if (args->error.code == 0 && us < (int64_t)option->min)
        (void)leat__error(
            &args->error, LEAT_EINVAL, "%s takes at least %s, not \"%s\"", option->name, least, value);
    *(int64_t *)field(args, option) = us;
}

static void set_interval(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    set_duration(args, option, value);
    args->interval_given = true;
}

static void set_size(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    uint64_t bytes = 0;
    if (leat__size_parse(value, &bytes) < 0 || bytes == 0)
        (void)leat__error(&args->error, LEAT_EINVAL,
            "%s takes a size such as 65536, 256MiB or 4GiB, not \"%s\"", option->name, value);
    *(uint64_t *)field(args, option) = bytes;
}

static void set_describe(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    static const char *const names[] = { "text", "dot", "json" };
    (void)option;
    args->command = LEAT_MAIN_DESCRIBE;
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

static void set_command(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    (void)value;
    args->command = (enum leat_main_command)option->min;
}

static void set_simulate(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    args->opts.simulate = true;
    args->opts.seed = parse_number(args, option, value);
}

static void set_log(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    static const char *const names[] = { "error", "warn", "info", "debug", "trace" };
    (void)option;
    for (int i = 0; i < 5; i++) {
        if (strcmp(value, names[i]) == 0) {
            args->opts.log_level = (enum leat_log_level)(LEAT_LOG_ERROR + i);
            return;
        }
    }
    (void)leat__error(
        &args->error, LEAT_EINVAL, "--log knows error, warn, info, debug and trace, not \"%s\"", value);
}

static void set_at_least_once(
    struct leat_main_args *args, const struct main_option *option, const char *value)
{
    (void)option;
    (void)value;
    args->opts.delivery = LEAT_AT_LEAST_ONCE;
}

static void set_attempts(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    if (strcmp(value, "0") == 0)
        (void)leat__error(&args->error, LEAT_EINVAL, "%s 0: use --no-restart", option->name);
    else
        set_u32_or_any(args, option, value);
    args->restarts_given = true;
}

static void set_rename(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || !equals[1] || strchr(equals + 1, '=') || strchr(value, ',')) {
        (void)leat__error(&args->error, LEAT_EINVAL,
            "%s takes the node's name in the checkpoint, \"=\" and its name now, such as totals=sums, not "
            "\"%s\"",
            option->name, value);
        return;
    }
    if (args->renamed.len == 0 && args->opts.restore.renamed)
        leat__strbuf_str(&args->renamed, args->opts.restore.renamed);
    leat__strbuf_printf(&args->renamed, "%s%s", args->renamed.len ? "," : "", value);
    args->opts.restore.renamed = args->renamed.data;
    if (args->renamed.failed)
        (void)leat__error(&args->error, LEAT_ENOMEM, "out of memory");
}

#define AT(member_) offsetof(struct leat_main_args, member_)
#define HEADING(text_) \
    { \
        NULL, NULL, text_, NULL, 0, 0, 0, NEEDS_NOTHING \
    }

static const struct main_option options[] = {
    { "--describe", "[text|dot|json]", "print the logical graph and the physical plan, and exit",
        set_describe, 0, 0, 0, NEEDS_NOTHING },
    { "--check", NULL, "check the topology and exit", set_command, 0, LEAT_MAIN_CHECK, 0, NEEDS_NOTHING },
    { "--parallelism", "N", "workers (default: the cores)", set_u32, AT(opts.parallelism), 1,
        LEAT_WORKERS_MAX, NEEDS_NOTHING },
    { "--batch-rows", "N", "records per batch (default: 1024)", set_u32, AT(opts.batch_rows), 1,
        LEAT_BATCH_ROWS_MAX, NEEDS_NOTHING },
    { "--simulate", "SEED", "run on one thread under the seeded scheduler with a virtual clock", set_simulate,
        0, 0, UINT64_MAX, NEEDS_NOTHING },
    { "--progress", NULL, "show rate, watermark, lag and checkpoints on standard error", set_flag,
        AT(progress), 0, 0, NEEDS_NOTHING },
    { "--quiet", NULL, "print nothing but errors", set_flag, AT(quiet), 0, 0, NEEDS_NOTHING },
    { "--log", "LEVEL", "error, warn (default), info, debug or trace", set_log, 0, 0, 0, NEEDS_NOTHING },
    { "--version", NULL, "print the version and exit", set_command, 0, LEAT_MAIN_VERSION, 0, NEEDS_NOTHING },
    { "--help", NULL, "print this and exit", set_command, 0, LEAT_MAIN_HELP, 0, NEEDS_NOTHING },

    HEADING("Keyed state"),
    { "--state-budget", "SIZE", "memory that keyed state may take, such as 256MiB; the rest goes to disk",
        set_size, AT(opts.state_budget_bytes), 0, 0, NEEDS_NOTHING },
    { "--state-dir", "DIR", "where it goes (default: live/ beside the checkpoints)", set_text,
        AT(opts.state_dir), 0, 0, NEEDS_NOTHING },

    HEADING("Checkpoints"),
    { "--checkpoint-dir", "DIR", "keep checkpoints in DIR/NAME, and go on from the newest one there",
        set_text, AT(opts.checkpoint_dir), 0, 0, NEEDS_NOTHING },
    { "--checkpoint-interval", "TIME", "one every 500ms, 10s (default), 5m, ...; 0: on demand only",
        set_interval, AT(opts.checkpoint_interval_us), 0, 0, NEEDS_CHECKPOINTS },
    { "--checkpoint-min-pause", "TIME", "from the end of one to the begin of the next", set_duration,
        AT(opts.checkpoint_min_pause_us), 0, 0, NEEDS_CHECKPOINTS },
    { "--checkpoint-timeout", "TIME", "after which one is given up (default: 10m)", set_duration,
        AT(opts.checkpoint_timeout_us), 1, 0, NEEDS_CHECKPOINTS },
    { "--checkpoints-retained", "N", "how many are kept (default: 2)", set_u32, AT(opts.checkpoints_retained),
        1, RETAINED_MAX, NEEDS_CHECKPOINTS },
    { "--tolerate-failures", "N|any", "failed checkpoints in a row before the job fails (default: 0)",
        set_u32_or_any, AT(opts.checkpoint_failures_tolerated), 0, UINT32_MAX - 1, NEEDS_CHECKPOINTS },
    { "--at-least-once", NULL, "no alignment: faster, but a crash may repeat rows", set_at_least_once, 0, 0,
        0, NEEDS_CHECKPOINTS },
    { "--restart-attempts", "N|any", "restarts in a row after a failure that may pass (default: 3)",
        set_attempts, AT(opts.restart.attempts_max), 1, UINT32_MAX - 1, NEEDS_CHECKPOINTS },
    { "--no-restart", NULL, "end at the first failure", set_flag, AT(no_restart), 0, 0, NEEDS_NOTHING },

    HEADING("What to begin with"),
    { "--from", "PATH", "a savepoint or checkpoint; with --describe: say what it would become", set_text,
        AT(opts.restore.from), 0, 0, NEEDS_NOTHING },
    { "--fresh", NULL, "begin new: the checkpoints that are there are removed", set_flag,
        AT(opts.restore.fresh), 0, 0, NEEDS_CHECKPOINTS },
    { "--rename", "OLD=NEW", "a node has another name now (may be given again)", set_rename, 0, 0, 0,
        NEEDS_RESTORE },
    { "--allow-dropped-state", NULL, "nodes that are gone lose their state", set_flag,
        AT(opts.restore.allow_dropped_state), 0, 0, NEEDS_RESTORE },
    { "--allow-new-state", NULL, "new stateful nodes begin empty", set_flag, AT(opts.restore.allow_new_state),
        0, 0, NEEDS_RESTORE },
    { "--force-restore", NULL, "go back behind what sinks have committed: output comes twice", set_flag,
        AT(opts.restore.force), 0, 0, NEEDS_RESTORE },
};
#define OPTIONS_COUNT (sizeof options / sizeof options[0])

static void unknown_option(struct leat_main_args *args, const char *arg)
{
    const char *names[OPTIONS_COUNT];
    size_t count = 0;
    char name[64]; /* what is before a "=" */
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(arg, "="), arg);
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (options[i].name)
            names[count++] = options[i].name;
    const int near = leat__near(name, names, count);
    (void)leat__error(&args->error, LEAT_EINVAL,
        near < 0 ? "unknown argument %s" : "unknown argument %s; did you mean %s?", name,
        near < 0 ? "" : names[near]);
}

static const struct main_option *find_option(const char *arg, size_t len)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (options[i].name && strlen(options[i].name) == len && strncmp(arg, options[i].name, len) == 0)
            return &options[i];
    return NULL;
}

static void set_option(struct leat_main_args *args, const struct main_option *option, const char *value)
{
    option->set(args, option, value);
    if (option->needs == NEEDS_CHECKPOINTS && !args->checkpoint_option)
        args->checkpoint_option = option->name;
    if (option->needs == NEEDS_RESTORE && !args->restore_option)
        args->restore_option = option->name;
}

static void parse_args(struct leat_main_args *args, int argc, char **argv)
{
    for (int i = 1; i < argc && args->error.code == 0; i++) {
        const char *arg = argv[i];
        const char *equals = strchr(arg, '=');
        const struct main_option *option = find_option(arg, equals ? (size_t)(equals - arg) : strlen(arg));
        if (!option) {
            unknown_option(args, arg);
        } else if (!option->value) {
            if (equals)
                (void)leat__error(&args->error, LEAT_EINVAL, "%s takes no value", option->name);
            else
                set_option(args, option, NULL);
        } else if (equals || option->value[0] == '[') {
            set_option(args, option, equals ? equals + 1 : NULL);
        } else if (i + 1 < argc) {
            set_option(args, option, argv[++i]);
        } else {
            (void)leat__error(&args->error, LEAT_EINVAL, "%s needs a value: %s", option->name, option->value);
        }
    }
}

/* What each option may be, and all together may not. */
static void check_together(struct leat_main_args *args)
{
    const struct leat_job_opts *opts = &args->opts;
    const char *needs = !opts->checkpoint_dir ? args->checkpoint_option : NULL;
    if (needs)
        (void)leat__error(&args->error, LEAT_EINVAL,
            "%s means nothing without checkpoints: add --checkpoint-dir DIR", needs);
    else if (args->restore_option && !opts->checkpoint_dir && !opts->restore.from)
        (void)leat__error(&args->error, LEAT_EINVAL,
            "%s is about the checkpoint that a job begins with: add --checkpoint-dir DIR or --from PATH",
            args->restore_option);
    else if (opts->restore.fresh && opts->restore.from)
        (void)leat__error(&args->error, LEAT_EINVAL, "--fresh begins new, --from with %s: choose one of them",
            opts->restore.from);
    else if (opts->restore.fresh && args->restore_option)
        (void)leat__error(&args->error, LEAT_EINVAL,
            "--fresh begins with nothing, so %s means nothing: leave it out", args->restore_option);
    else if (args->command == LEAT_MAIN_DESCRIBE && opts->restore.from && args->format != LEAT_DESCRIBE_TEXT)
        (void)leat__error(
            &args->error, LEAT_EINVAL, "--describe with --from is text: leave =dot or =json out");
    else if (args->no_restart && args->restarts_given)
        (void)leat__error(
            &args->error, LEAT_EINVAL, "--no-restart and --restart-attempts: choose one of them");
}

void leat__main_parse(struct leat_main_args *args, int argc, char **argv)
{
    const char *given_dir = args->opts.checkpoint_dir;
    parse_args(args, argc, argv);
    if (args->error.code == 0 && args->command != LEAT_MAIN_HELP && args->command != LEAT_MAIN_VERSION)
        check_together(args);
    if (args->restarts_given || args->no_restart) /* the command line's word counts, not the program's */
        args->opts.restart.never = args->no_restart;
    /* Who asks for checkpoints on the command line means checkpoints that are taken. */
    if (args->opts.checkpoint_dir != given_dir && !args->interval_given &&
        args->opts.checkpoint_interval_us == 0)
        args->opts.checkpoint_interval_us = CHECKPOINT_INTERVAL_US;
}

void leat__main_release(struct leat_main_args *args)
{
    leat__strbuf_release(&args->renamed);
}

void leat__main_help(const char *program, const char *topology, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, "Usage: %s [OPTIONS]\n\nRuns the topology %s.\n\n", program, topology);
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        char left[64];
        const struct main_option *option = &options[i];
        if (!option->name) {
            leat__strbuf_printf(out, "\n%s:\n", option->help);
            continue;
        }
        const char *between = !option->value ? "" : option->value[0] == '[' ? "[=" : " ";
        const char *value = !option->value ? "" : option->value[0] == '[' ? option->value + 1 : option->value;
        (void)snprintf(left, sizeof left, "%s%s%s", option->name, between, value);
        leat__strbuf_printf(out, "  %-28s %s\n", left, option->help);
    }
    leat__strbuf_printf(out,
        "\nExamples:\n  %s --describe=dot | dot -Tsvg > plan.svg\n"
        "  %s --parallelism 4 --progress --checkpoint-dir checkpoints\n",
        program, program);
}
