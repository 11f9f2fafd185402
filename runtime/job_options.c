/* runtime/job_options.c -- what a job is told: its options, checked and with defaults filled in, and the
 * environment variables that stand in for options that are not set. */
#include "base/units.h"
#include "runtime/job_private.h"
#include <stdlib.h>
#include <string.h>

#define DURATION_MAX_US (LEAT_DAYS(36525)) /* in nanoseconds it still fits an int64_t */

/* The number that an environment variable asks for, or *value as it is. */
static int number_from(const char *variable, uint32_t max, uint32_t *value, struct leat_error *err)
{
    const char *text = getenv(variable);
    if (!text || !*text)
        return 0;
    char *end;
    const unsigned long asked = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || asked == 0 || asked > max)
        return leat__error(err, LEAT_EINVAL,
            "the environment variable %s takes a whole number from 1 to %u, not \"%s\": correct it, or unset "
            "it",
            variable, max, text);
    *value = (uint32_t)asked;
    return 0;
}

static int check_durations(const struct leat_job_opts *opts, struct leat_error *err)
{
    const struct {
        const char *name;
        int64_t us;
    } durations[] = { { "checkpoint_interval_us", opts->checkpoint_interval_us },
        { "checkpoint_min_pause_us", opts->checkpoint_min_pause_us },
        { "checkpoint_timeout_us", opts->checkpoint_timeout_us },
        { "restart.backoff_us", opts->restart.backoff_us },
        { "restart.backoff_max_us", opts->restart.backoff_max_us },
        { "restart.healthy_us", opts->restart.healthy_us } };
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
        if (durations[i].us < 0 || durations[i].us > DURATION_MAX_US)
            return leat__error(err, LEAT_EINVAL,
                "job option %s is %lld; it is a duration such as LEAT_SECONDS(10), at most 100 years",
                durations[i].name, (long long)durations[i].us);
    if (opts->delivery != 0 && opts->delivery != LEAT_EXACTLY_ONCE && opts->delivery != LEAT_AT_LEAST_ONCE)
        return leat__error(err, LEAT_EINVAL,
            "job option delivery is %d; it is LEAT_EXACTLY_ONCE or LEAT_AT_LEAST_ONCE", (int)opts->delivery);
    if (!opts->checkpoint_dir && (opts->restore.from || opts->restore.fresh))
        return leat__error(err, LEAT_EINVAL,
            "job option restore says what to begin with, but there is no checkpoint_dir to go on in");
    if (opts->restore.from && opts->restore.fresh)
        return leat__error(err, LEAT_EINVAL,
            "job options restore.from and restore.fresh exclude each other: begin with %s, or new",
            opts->restore.from);
    return 0;
}

/* What can not be, before anything is filled in. */
static int check_options(const struct leat_job_opts *opts, struct leat_error *err)
{
    if (opts->parallelism > LEAT_WORKERS_MAX)
        return leat__error(err, LEAT_EINVAL, "job option parallelism is %u; the most is %u",
            opts->parallelism, LEAT_WORKERS_MAX);
    if (opts->max_parallelism > LEAT_MAX_PARALLELISM_MAX)
        return leat__error(err, LEAT_EINVAL, "job option max_parallelism is %u; the most is %u",
            opts->max_parallelism, LEAT_MAX_PARALLELISM_MAX);
    if (opts->batch_rows > LEAT_BATCH_ROWS_MAX)
        return leat__error(err, LEAT_EINVAL, "job option batch_rows is %u; the most is %u", opts->batch_rows,
            LEAT_BATCH_ROWS_MAX);
    if (opts->channel_batches > LEAT_CHANNEL_MESSAGES_MAX)
        return leat__error(err, LEAT_EINVAL, "job option channel_batches is %u; the most is %u",
            opts->channel_batches, LEAT_CHANNEL_MESSAGES_MAX);
    if (opts->log_level != 0 && (opts->log_level < LEAT_LOG_ERROR || opts->log_level > LEAT_LOG_TRACE))
        return leat__error(err, LEAT_EINVAL,
            "job option log_level is %d; it is one of LEAT_LOG_ERROR to LEAT_LOG_TRACE",
            (int)opts->log_level);
    if ((unsigned)opts->pre_aggregate > LEAT_PRE_AGGREGATE_NEVER)
        return leat__error(err, LEAT_EINVAL,
            "job option pre_aggregate is %d; it is LEAT_PRE_AGGREGATE_AUTO, _ALWAYS or _NEVER",
            (int)opts->pre_aggregate);
    if (opts->progress_interval_us < 0)
        return leat__error(err, LEAT_EINVAL,
            "job option progress_interval_us is negative; give a duration such as LEAT_SECONDS(1), or 0");
    return check_durations(opts, err);
}

/* Options of newer headers than the library's: an error if they are set. */
int leat__job_options_copy(
    struct leat_job_opts *to, const struct leat_job_opts *from, size_t size, struct leat_error *err)
{
    memcpy(to, from, size < sizeof *to ? size : sizeof *to);
    for (size_t i = sizeof *to; i < size; i++)
        if (((const unsigned char *)from)[i])
            return leat__error(err, LEAT_EINVAL,
                "a job option is set that this version of the library (%s) does not know: the program was "
                "compiled with "
                "newer headers; install the library that belongs to them",
                leat_version());
    return 0;
}

/* The budget of LEAT_STATE_BUDGET, where the program sets none. "0" is the least that there is: one byte. */
static int read_budget_switch(struct leat_job *job, struct leat_error *err)
{
    const char *text = getenv("LEAT_STATE_BUDGET");
    uint64_t bytes = 0;
    if (job->opts.state_budget_bytes || !text || !*text || strcmp(text, "unlimited") == 0)
        return 0;
    if (leat__size_parse(text, &bytes) < 0)
        return leat__error(err, LEAT_EINVAL,
            "the environment variable LEAT_STATE_BUDGET takes a size such as 64MiB, or unlimited, not "
            "\"%s\": correct it, or unset it",
            text);
    job->opts.state_budget_bytes = bytes ? bytes : 1;
    job->has_switched_budget = true;
    return 0;
}

/* LEAT_CHECKPOINT_EVERY_US=n: jobs without checkpoints take them every n microseconds into a directory that
 * is gone when they end. What a job gives must not change by it, nor what it does when it fails. */
static int read_checkpoint_switch(struct leat_job *job, struct leat_error *err)
{
    uint32_t every_us = 0;
    if (job->opts.checkpoint_dir)
        return 0;
    LEAT_TRY(number_from("LEAT_CHECKPOINT_EVERY_US", UINT32_MAX, &every_us, err));
    if (!every_us)
        return 0;
    job->has_switched_checkpoints = true;
    job->opts.checkpoint_interval_us = every_us;
    job->opts.restart.never = true;
    return 0;
}

/* LEAT_PRE_AGGREGATE, where the program says nothing. No output changes by it. */
static int read_combine_switch(struct leat_job *job, struct leat_error *err)
{
    static const char *const words[] = { "auto", "always", "never" };
    const char *text = getenv("LEAT_PRE_AGGREGATE");
    if (job->opts.pre_aggregate || !text || !*text)
        return 0;
    for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0)
            job->opts.pre_aggregate = (enum leat_pre_aggregate)(LEAT_PRE_AGGREGATE_AUTO + i);
    if (!job->opts.pre_aggregate)
        return leat__error(err, LEAT_EINVAL,
            "the environment variable LEAT_PRE_AGGREGATE takes auto, always or never, not \"%s\": correct "
            "it, or unset it",
            text);
    return 0;
}

void leat__job_plan_combine(struct leat_job *job)
{
    const bool may_repeat = job->has_checkpoints && job->opts.delivery == LEAT_AT_LEAST_ONCE;
    leat__plan_combine(job->plan, job->opts.pre_aggregate, may_repeat);
}

/* A copy of a text that is the caller's. */
static int keep_text(struct leat_job *job, const char **text)
{
    const char *copy = leat__arena_str(&job->arena, *text);
    if (*text && !copy)
        return LEAT_ENOMEM;
    *text = copy;
    return 0;
}

/* State on disk, checkpoints, restarts. */
static int fill_durable(struct leat_job *job, struct leat_error *err)
{
    struct leat_job_opts *opts = &job->opts;
    const char *tmp = getenv("TMPDIR");
    job->tmp_dir = leat__arena_str(&job->arena, tmp && *tmp ? tmp : "/tmp");
    if (!job->tmp_dir || keep_text(job, &opts->state_dir) < 0 || keep_text(job, &opts->checkpoint_dir) < 0 ||
        keep_text(job, &opts->restore.from) < 0 || keep_text(job, &opts->restore.renamed) < 0)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a job");
    LEAT_TRY(read_budget_switch(job, err));
    LEAT_TRY(read_checkpoint_switch(job, err));
    job->has_checkpoints = opts->checkpoint_dir || job->has_switched_checkpoints;
    if (opts->checkpoint_timeout_us == 0)
        opts->checkpoint_timeout_us = LEAT_MINUTES(10);
    if (opts->checkpoints_retained == 0)
        opts->checkpoints_retained = 2;
    if (opts->delivery == 0)
        opts->delivery = LEAT_EXACTLY_ONCE;
    if (opts->restart.attempts_max == 0)
        opts->restart.attempts_max = 3;
    if (opts->restart.backoff_us == 0)
        opts->restart.backoff_us = LEAT_SECONDS(1);
    if (opts->restart.backoff_max_us == 0)
        opts->restart.backoff_max_us = LEAT_MINUTES(1);
    if (opts->restart.healthy_us == 0)
        opts->restart.healthy_us = LEAT_MINUTES(10);
    return 0;
}

int leat__job_options_fill(struct leat_job *job, struct leat_error *err)
{
    struct leat_job_opts *opts = &job->opts;
    LEAT_TRY(check_options(opts, err));
    job->has_explicit_max = opts->max_parallelism != 0;
    if (opts->max_parallelism == 0)
        opts->max_parallelism = LEAT_MAX_PARALLELISM_DEFAULT;
    if (opts->parallelism == 0) {
        uint32_t workers = leat__env_parallelism();
        LEAT_TRY(number_from("LEAT_PARALLELISM", LEAT_WORKERS_MAX, &workers, err));
        opts->parallelism = workers < opts->max_parallelism ? workers : opts->max_parallelism;
    }
    if (opts->parallelism > opts->max_parallelism)
        return leat__error(err, LEAT_EINVAL,
            "job option parallelism (%u) is above max_parallelism (%u): some workers would own no keys",
            opts->parallelism, opts->max_parallelism);
    if (opts->batch_rows == 0) {
        opts->batch_rows = LEAT_BATCH_ROWS_DEFAULT;
        LEAT_TRY(number_from("LEAT_BATCH_ROWS", LEAT_BATCH_ROWS_MAX, &opts->batch_rows, err));
    }
    if (opts->channel_batches == 0) {
        opts->channel_batches = LEAT_CHANNEL_MESSAGES_DEFAULT;
        LEAT_TRY(number_from("LEAT_CHANNEL_BATCHES", LEAT_CHANNEL_MESSAGES_MAX, &opts->channel_batches, err));
    }
    LEAT_TRY(read_combine_switch(job, err));
    LEAT_TRY(fill_durable(job, err));
    if (opts->log_level == 0)
        opts->log_level = LEAT_LOG_INFO;
    if (opts->progress_interval_us == 0)
        opts->progress_interval_us = LEAT_MILLIS(500);
    return 0;
}
