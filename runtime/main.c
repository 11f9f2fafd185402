/* runtime/main.c -- leat_main: a job program from its command line (main_options.c) to its exit code. The one
 * place of the library that prints and handles signals.
 *
 * Signals: the first SIGINT, SIGTERM or SIGHUP stops the job (with checkpoints: after a last one), a second
 * SIGINT or SIGTERM cancels it, further ones change nothing. A SIGHUP that comes later is nothing new: the
 * terminal has gone, and says so to everybody at once. SIGHUP stays ignored where the program was started so
 * (nohup). The handler only sets flags, writes a line and wakes the coordinator, so that any number of signals
 * in any order end in one of these. A job that a signal has ended leaves the handler in place, lest one signal
 * too many change the exit code; what the program does after leat_main the next signal ends at once. */
#include "base/alloc.h"
#include "runtime/job_private.h"
#include "runtime/main_options.h"
#include "runtime/progress.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
static bool signals_told; /* atomic: that the job stops */
static bool signals_quiet;
static uint32_t signals_exit; /* atomic: there is no job any more */

/* What happens now, at once: the end of a large job may take a while. */
static void say(const char *text)
{
    const int saved_errno = errno;
    if (!signals_quiet && write(STDERR_FILENO, text, strlen(text)) < 0)
        errno = 0; /* there is nobody to read it */
    errno = saved_errno;
}

static void on_signal(int number)
{
    leat_job *job = __atomic_load_n(&signalled_job, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&signals_exit, __ATOMIC_SEQ_CST))
        _exit(128 + __atomic_load_n(&signal_first, __ATOMIC_SEQ_CST));
    if (number == SIGHUP && __atomic_load_n(&signals_count, __ATOMIC_SEQ_CST) > 0)
        return;
    const int count = __atomic_add_fetch(&signals_count, 1, __ATOMIC_SEQ_CST);
    if (count == 1)
        __atomic_store_n(&signal_first, number, __ATOMIC_SEQ_CST);
    if (count == 1) {
        if (job)
            say("leat: stopping; once more to cancel\n");
        __atomic_store_n(&signals_told, true, __ATOMIC_SEQ_CST);
    }
    if (!job || count > 2)
        return;
    if (count == 1) {
        leat_job_stop(job);
    } else {
        while (!__atomic_load_n(&signals_told, __ATOMIC_SEQ_CST))
            ; /* another thread is about to: none is interrupted here by the next signal (handle_signal) */
        say("leat: cancelling\n");
        leat_job_cancel(job);
    }
}

static void handle_signal(int number, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    (void)sigemptyset(&action.sa_mask);
    (void)sigaddset(&action.sa_mask, SIGINT);
    (void)sigaddset(&action.sa_mask, SIGTERM);
    (void)sigaddset(&action.sa_mask, SIGHUP);
    (void)sigaction(number, &action, NULL); /* can not fail for the signals meant here */
}

static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* A reader of the standard output that has gone is an error of the sink, told as such. */
static void handle_signals(bool with_hangup)
{
    handle_signal(SIGINT, on_signal);
    handle_signal(SIGTERM, on_signal);
    if (with_hangup)
        handle_signal(SIGHUP, on_signal);
    handle_signal(SIGPIPE, SIG_IGN);
}

static void restore_signals(bool with_hangup)
{
    handle_signal(SIGINT, SIG_DFL);
    handle_signal(SIGTERM, SIG_DFL);
    if (with_hangup)
        handle_signal(SIGHUP, SIG_DFL);
    handle_signal(SIGPIPE, SIG_DFL);
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
            { node->unassigned_records, "between windows" }, { node->dead_letters, "dead letters" } };
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

static int print_text(const char *text, const char *what)
{
    const bool written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    if (!written)
        (void)fprintf(stderr, "leat: error: cannot write %s to standard output: %s\n", what, strerror(errno));
    return written ? 0 : 1;
}

static int describe(leat_topology *t, const struct leat_main_args *args)
{
    char *text;
    const int result = leat_describe(t, args->format, args->opts.parallelism, &text);
    if (result < 0) {
        (void)fprintf(stderr, "leat: error: cannot describe the topology: %s\n", leat_error_text(result));
        return leat_error_exit_code(result);
    }
    const int exit_code = print_text(text, "the plan");
    leat_free(text);
    return exit_code;
}

/* The plan, and what of a checkpoint has a place in it. */
static int describe_restore(leat_topology *t, const struct leat_main_args *args)
{
    struct leat_strbuf text = { 0 };
    struct leat_error err = { 0 };
    int exit_code = describe(t, args);
    const int result = exit_code == 0 ? leat__main_preview(t, &args->opts, &text, &err) : 0;
    if (exit_code == 0 && text.len > 0 && !text.failed) {
        printf("\n");
        exit_code = print_text(text.data, "the plan");
    }
    if (result < 0) {
        (void)fprintf(stderr, "leat: error: %s\n", err.message);
        exit_code = leat_error_exit_code(result);
    }
    leat__strbuf_release(&text);
    return exit_code;
}

/* How the job has ended; what the next run does then. */
static void print_end(leat_job *job, const struct leat_main_args *args)
{
    const enum leat_job_state state = leat_job_state(job);
    const struct leat_checkpoint_metrics *checkpoints = &leat_job_progress(job)->checkpoints;
    const uint64_t last_id = checkpoints->last_id ? checkpoints->last_id : checkpoints->restored_id;
    const bool goes_on = args->opts.checkpoint_dir != NULL;
    if (state == LEAT_JOB_FAILED)
        (void)fprintf(stderr, "leat: error: %s\n", leat_job_error(job)->message);
    else if (state == LEAT_JOB_CANCELLED && goes_on && last_id > 0)
        (void)fprintf(stderr,
            "leat: cancelled: checkpoint %llu and the output up to it stay; the next run goes on from "
            "there\n",
            (unsigned long long)last_id);
    else if (state == LEAT_JOB_CANCELLED)
        (void)fprintf(stderr, "leat: cancelled: nothing was committed\n");
    else if (state == LEAT_JOB_STOPPED && !args->quiet && goes_on)
        (void)fprintf(stderr,
            "leat: stopped: the output up to checkpoint %llu is committed, open windows are in it; the next "
            "run goes "
            "on from there\n",
            (unsigned long long)last_id);
    else if (state == LEAT_JOB_STOPPED && !args->quiet)
        (void)fprintf(stderr, "leat: stopped: what was written is committed; open windows gave no results\n");
    if ((state == LEAT_JOB_FINISHED || state == LEAT_JOB_STOPPED) && !args->quiet)
        print_losses(job);
}

static int run(leat_topology *t, const struct leat_main_args *args)
{
    struct leat_error err = { 0 };
    leat_job *job;
    int result = leat_job_new(t, &args->opts, &job, &err);
    if (result < 0) {
        (void)fprintf(stderr, "leat: error: %s\n", err.message);
        return leat_error_exit_code(result);
    }
    const bool with_hangup = !is_ignored(SIGHUP);
    signals_quiet = args->quiet;
    __atomic_store_n(&signals_count, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&signals_told, false, __ATOMIC_SEQ_CST);
    __atomic_store_n(&signals_exit, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&signalled_job, job, __ATOMIC_SEQ_CST);
    handle_signals(with_hangup);
    result = leat_job_run(job);
    __atomic_store_n(&signalled_job, NULL, __ATOMIC_SEQ_CST);
    print_end(job, args);
    const enum leat_job_state state = leat_job_state(job);
    leat_job_free(job);
    const bool by_signal = __atomic_load_n(&signals_count, __ATOMIC_SEQ_CST) > 0;
    if (by_signal)
        __atomic_store_n(&signals_exit, 1, __ATOMIC_SEQ_CST);
    else
        restore_signals(with_hangup);
    if (by_signal && (state == LEAT_JOB_STOPPED || state == LEAT_JOB_CANCELLED))
        return 128 + __atomic_load_n(&signal_first, __ATOMIC_SEQ_CST);
    return result < 0 ? leat_error_exit_code(result) : 0;
}

static int print_help(const char *program, const leat_topology *t)
{
    struct leat_strbuf text = { 0 };
    leat__main_help(program, leat_topology_name(t), &text);
    const int exit_code = text.failed ? 1 : print_text(text.data, "the help");
    leat__strbuf_release(&text);
    return exit_code;
}

static int obey(leat_topology *t, const struct leat_main_args *args)
{
    if (leat_check(t) < 0)
        return print_errors(t);
    if (args->command == LEAT_MAIN_DESCRIBE)
        return args->opts.restore.from ? describe_restore(t, args) : describe(t, args);
    if (args->command == LEAT_MAIN_RUN)
        return run(t, args);
    if (!args->quiet)
        printf("%s: no errors\n", leat_topology_name(t));
    return 0;
}

int leat_main_sized(int argc, char **argv, leat_topology *t, const struct leat_job_opts *opts, size_t size)
{
    struct leat_main_args args = { .command = LEAT_MAIN_RUN };
    const char *program = argc > 0 ? argv[0] : "job";
    int exit_code = 0;
    if (opts)
        memcpy(&args.opts, opts, size < sizeof args.opts ? size : sizeof args.opts);
    if (!args.opts.log)
        args.opts.log = print_log;
    if (args.opts.log_level == 0)
        args.opts.log_level = LEAT_LOG_WARN;
    leat__main_parse(&args, argc, argv);
    if (args.progress)
        args.opts.on_progress = leat__progress_print;
    if (args.quiet)
        args.opts.on_progress = NULL;
    if (args.error.code < 0) {
        (void)fprintf(stderr, "%s: %s\nTry %s --help\n", program, args.error.message, program);
        exit_code = 2;
    } else if (args.command == LEAT_MAIN_HELP) {
        exit_code = print_help(program, t);
    } else if (args.command == LEAT_MAIN_VERSION) {
        printf("leat %s\n", leat_version());
    } else {
        exit_code = obey(t, &args);
    }
    leat__main_release(&args);
    leat_topology_free(t);
    return exit_code;
}
