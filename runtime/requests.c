/* runtime/requests.c -- what other threads ask of a running job: stop, cancel, a checkpoint, a savepoint.
 *
 * Flags for what signal handlers ask; for the rest a stack that anybody pushes on and only the coordinator
 * takes as a whole. When the job is over the stack's head is `closed` for ever: what is pushed before is
 * answered, what comes later is refused. Memory: a request belongs to the stack, then to the coordinator. */
#include "base/alloc.h"
#include "runtime/coordinator_private.h"
#include <string.h>

static struct leat_request closed;

static struct leat_request *in_order(struct leat_request *newest)
{
    struct leat_request *oldest = NULL;
    while (newest) {
        struct leat_request *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

struct leat_request *leat__requests_take(struct leat_job *job)
{
    struct leat_request *head = __atomic_load_n(&job->requests, __ATOMIC_ACQUIRE);
    while (head && head != &closed)
        if (__atomic_compare_exchange_n(
                &job->requests, &head, NULL, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return in_order(head);
    return NULL;
}

struct leat_request *leat__requests_close(struct leat_job *job)
{
    struct leat_request *head = __atomic_exchange_n(&job->requests, &closed, __ATOMIC_ACQ_REL);
    return head == &closed ? NULL : in_order(head);
}

static bool push(struct leat_job *job, struct leat_request *request)
{
    struct leat_request *head = __atomic_load_n(&job->requests, __ATOMIC_ACQUIRE);
    do {
        if (head == &closed)
            return false;
        request->next = head;
    } while (!__atomic_compare_exchange_n(
        &job->requests, &head, request, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return true;
}

void leat__request_answer(struct leat_request *request, uint64_t id, const struct leat_error *err)
{
    if (request->done)
        request->done(request->arg, id, err);
    leat__free(request->savepoint);
    leat__free(request);
}

static void notify(struct leat_job *job)
{
    struct leat_shell *shell = __atomic_load_n(&job->shell, __ATOMIC_SEQ_CST);
    if (shell)
        leat__shell_notify(shell);
}

void leat_job_stop(leat_job *job)
{
    if (job->has_checkpoints)
        __atomic_store_n(&job->last_wanted, 1, __ATOMIC_SEQ_CST); /* sources go on up to its barrier */
    else
        __atomic_store_n(&job->stop_requested, 1, __ATOMIC_SEQ_CST);
    notify(job);
}

void leat_job_cancel(leat_job *job)
{
    __atomic_store_n(&job->cancel_requested, 1, __ATOMIC_SEQ_CST);
    notify(job);
}

static bool is_over(const struct leat_job *job)
{
    return __atomic_load_n(&job->requests, __ATOMIC_ACQUIRE) == &closed;
}

static int refuse_over(struct leat_error *err)
{
    return leat__error(err, LEAT_EINVAL, "the job is over: there is nothing left to stop or to save");
}

/* What can be known at once. */
static int check_savepoint(struct leat_job *job, const char *path, struct leat_error *err)
{
    struct leat_file_info info;
    struct leat_error local = { 0 };
    if (is_over(job))
        return refuse_over(err);
    if (!job->has_checkpoints)
        return leat__error(err, LEAT_EINVAL,
            "the job takes no checkpoints, and so no savepoints: set checkpoint_dir in its options");
    if (!path)
        return 0;
    if (!*path)
        return leat__error(err, LEAT_EINVAL, "a savepoint needs a path: it is empty");
    if (job->env->fs_stat(job->env, path, &info, &local) == 0)
        return leat__error(err, LEAT_EEXISTS,
            "savepoint %s: there is something of that name already; give a path that is free", path);
    return 0;
}

static int ask(
    struct leat_job *job, const struct leat_request *what, const char *savepoint, struct leat_error *err)
{
    struct leat_request *request = leat__malloc(sizeof *request);
    char *path = savepoint ? leat__strdup(savepoint) : NULL;
    if (!request || (savepoint && !path)) {
        leat__free(request);
        leat__free(path);
        return leat__error(err, LEAT_ENOMEM, "out of memory for a request to the job");
    }
    *request = *what;
    request->savepoint = path;
    if (!push(job, request)) {
        leat__free(path);
        leat__free(request);
        return refuse_over(err);
    }
    notify(job);
    return 0;
}

int leat_job_checkpoint(
    leat_job *job, const char *path, leat_checkpoint_done_fn done, void *arg, struct leat_error *err)
{
    LEAT_TRY(check_savepoint(job, path, err));
    return ask(job, &(struct leat_request){ .done = done, .arg = arg }, path, err);
}

int leat_job_stop_with_sized(
    leat_job *job, const struct leat_stop_opts *opts, size_t size, struct leat_error *err)
{
    struct leat_stop_opts o = { 0 };
    if (opts)
        memcpy(&o, opts, size < sizeof o ? size : sizeof o);
    if (is_over(job))
        return refuse_over(err);
    if (o.savepoint) {
        LEAT_TRY(check_savepoint(job, o.savepoint, err));
        return ask(job, &(struct leat_request){ .stops = !o.drain, .drains = o.drain }, o.savepoint, err);
    }
    if (!o.drain) {
        leat_job_stop(job);
        return 0;
    }
    __atomic_store_n(&job->drain_requested, 1, __ATOMIC_SEQ_CST);
    notify(job);
    return 0;
}
