/* runtime/main_options.h -- the command line of a job program, read into a struct leat_job_opts. Prints
 * nothing; mistakes are errors that say what would be right. */
#ifndef LEAT_RUNTIME_MAIN_OPTIONS_H
#define LEAT_RUNTIME_MAIN_OPTIONS_H
#include "base/strbuf.h"
#include "base/error.h"
#include <leat/job.h>

enum leat_main_command {
    LEAT_MAIN_RUN = 1,
    LEAT_MAIN_DESCRIBE,
    LEAT_MAIN_CHECK,
    LEAT_MAIN_HELP,
    LEAT_MAIN_VERSION
};

struct leat_main_args {
    enum leat_main_command command;
    enum leat_describe_format format;
    struct leat_job_opts opts; /* the program's, with what the command line says instead */
    bool quiet, progress;
    bool interval_given; /* also 0: on demand only */
    bool restarts_given, no_restart;
    const char *checkpoint_option; /* the first that means something with checkpoints only */
    const char *restore_option; /* the first that means something only with something to begin with */
    struct leat_strbuf renamed; /* what opts.restore.renamed shows when --rename was given */
    struct leat_error error; /* wrong usage */
};

/* Adds the arguments to args->opts, which the caller has filled in. args->error when they are wrong. */
void leat__main_parse(struct leat_main_args *args, int argc, char **argv);
void leat__main_release(struct leat_main_args *args);
/* The text of --help. */
void leat__main_help(const char *program, const char *topology, struct leat_strbuf *out);
/* What opts->restore.from would become (main_restore.c). */
LEAT_NODISCARD int leat__main_preview(
    leat_topology *t, const struct leat_job_opts *opts, struct leat_strbuf *out, struct leat_error *err);
#endif
