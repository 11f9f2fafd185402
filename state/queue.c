/* state/queue.c -- what is to be done to the store, in order, by one task at a time.
 *
 *   the worker pushes     RUN (entries), FLAT (all of a namespace), FORGET (a range of keys), CHECKPOINT
 *   pump                  gives all that waits to the background as one task, when none is under way
 *   the task              does one after the other, until one fails
 *
 * What must be seen at once (spilling, reading what was collected) drains the queue: gives away what waits and
 * waits for it.
 *
 * Invariants: (1) an op belongs to the worker while it waits and when the task is done, to the task in
 * between; (2) the store is touched by the worker for reading only, or while no task is under way; (3) the
 * first failure is kept for ever: entries that a task could not write were clean already. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/point.h"
#include "state/state_private.h"

/* ---- the store ---- */

int leat__state_check(const struct leat_state *state, struct leat_error *err)
{
    if (state->broken.code == 0)
        return 0;
    return leat__error(err, state->broken.code, "%s", state->broken.message);
}

int leat__state_break(struct leat_state *state, int code, struct leat_error *err)
{
    if (state->broken.code == 0) {
        (void)leat__error(&state->broken, code,
            "keyed state in %s: %s; see to its cause: the job goes on from its last checkpoint only",
            state->dir ? state->dir : "memory",
            err && err->message[0] ? err->message : leat_error_text(code));
    }
    return leat__error(err, state->broken.code, "%s", state->broken.message);
}

int leat__table_fail(struct leat_table *table, int code, struct leat_error *err)
{
    (void)leat__error_prefix(err, "state of \"%s\", table \"%s\"", table->node, table->name);
    if (code == LEAT_ENOMEM)
        return code; /* nothing is wrong with the store */
    return leat__state_break(table->state, code, err);
}

static int open_store(struct leat_state *state, struct leat_error *err)
{
    struct leat_store *store = NULL;
    const struct leat_store_opts opts = {
        .env = state->env,
        .dir = state->dir,
        .memory_bytes = state->store_bytes,
        .merge = leat__store_merge,
        .merge_arg = state,
    };
    LEAT_TRY(state->store_class->open(&opts, &store, err));
    __atomic_store_n(&state->store, store, __ATOMIC_RELEASE);
    return 0;
}

int leat__store_need(struct leat_state *state, struct leat_error *err)
{
    return leat__store(state) ? 0 : open_store(state, err);
}

/* ---- the task ---- */

static int make_checkpoint(struct leat_state *state, const struct leat__op *op, struct leat_error *err)
{
    struct leat_store *store = leat__store(state);
    char key[LEAT__META_KEY_BYTES];
    const struct leat_store_entry meta = { { key, sizeof key }, { op->meta.data, op->meta.len },
        LEAT_STORE_PUT };
    if (__atomic_load_n(&state->queue.cancelled, __ATOMIC_RELAXED))
        return 0;
    leat__meta_key(key);
    LEAT_TRY(store->store_class->write(store, &meta, 1, err));
    leat__point(LEAT_POINT_STATE_RUN_WRITTEN);
    LEAT_TRY(store->store_class->checkpoint(store, op->dir, err));
    state->queue.checkpoint_made = true;
    return 0;
}

static int do_op(struct leat_state *state, const struct leat__op *op, struct leat_error *err)
{
    LEAT_TRY(leat__store_need(state, err));
    struct leat_store *store = leat__store(state);
    switch (op->kind) {
    case LEAT__OP_RUN:
        return leat__run_write(op->run, store, err);
    case LEAT__OP_FLAT:
        return leat__flat_write(op, store, err);
    case LEAT__OP_FORGET:
        return store->store_class->delete_range(
            store, (struct leat_sv){ op->from, op->from_len }, (struct leat_sv){ op->to, op->to_len }, err);
    case LEAT__OP_CHECKPOINT:
        return make_checkpoint(state, op, err);
    }
    return 0;
}

/* Here and not when the worker takes it back: giving much memory back to the system takes milliseconds. */
static void free_entries(struct leat__op *op)
{
    leat__run_free(op->run);
    leat__flat_free(op->flat);
    op->run = NULL;
    op->flat = NULL;
}

static void run_ops(struct leat_task *task)
{
    struct leat__queue *queue =
        (struct leat__queue *)(void *)((char *)task - offsetof(struct leat__queue, task));
    struct leat_state *state =
        (struct leat_state *)(void *)((char *)queue - offsetof(struct leat_state, queue));
    for (struct leat__op *op = queue->under_way; op && queue->task_error.code == 0; op = op->next) {
        const int code = do_op(state, op, &queue->task_error);
        if (code < 0 && queue->task_error.code == 0)
            (void)leat__error(&queue->task_error, code, "%s", leat_error_text(code));
        free_entries(op);
    }
}

/* ---- the worker's side ---- */

void leat__op_free(struct leat__op *op)
{
    if (!op)
        return;
    free_entries(op);
    leat__strbuf_release(&op->meta);
    leat__free(op->dir);
    leat__free(op);
}

static uint32_t is_run(const struct leat__op *op)
{
    return op->kind == LEAT__OP_RUN || op->kind == LEAT__OP_FLAT;
}

static uint32_t is_forget(const struct leat__op *op)
{
    return op->kind == LEAT__OP_FORGET || (op->kind == LEAT__OP_FLAT && op->from_len > 0);
}

/* (1): what the task had comes back. */
static void take_back(struct leat_state *state)
{
    struct leat__queue *queue = &state->queue;
    for (struct leat__op *op = queue->under_way, *next; op; op = next) {
        next = op->next;
        queue->runs -= is_run(op);
        queue->forgets -= is_forget(op);
        queue->checkpoints -= op->kind == LEAT__OP_CHECKPOINT;
        queue->bytes -= op->bytes;
        leat__op_free(op);
    }
    queue->under_way = NULL;
    queue->busy = false;
    if (queue->task_error.code < 0 && state->broken.code == 0)
        (void)leat__state_break(state, queue->task_error.code, &queue->task_error);
}

void leat__queue_pump(struct leat_state *state)
{
    struct leat__queue *queue = &state->queue;
    while (!queue->busy || leat__task_is_done(&queue->task)) {
        if (queue->busy)
            take_back(state);
        if (!queue->waiting)
            return;
        queue->under_way = queue->waiting;
        queue->waiting = NULL;
        queue->waiting_end = NULL;
        queue->busy = true;
        queue->task.run = run_ops;
        leat__task_submit(state->background, &queue->task);
    }
}

void leat__op_push(struct leat_state *state, struct leat__op *op)
{
    struct leat__queue *queue = &state->queue;
    op->next = NULL;
    if (queue->waiting)
        *queue->waiting_end = op;
    else
        queue->waiting = op;
    queue->waiting_end = &op->next;
    queue->runs += is_run(op);
    queue->forgets += is_forget(op);
    queue->checkpoints += op->kind == LEAT__OP_CHECKPOINT;
    op->bytes = op->run ? leat__run_bytes(op->run) : op->flat ? leat__flat_bytes(op->flat) : 0;
    queue->bytes += op->bytes;
    leat__queue_pump(state);
}

int leat__queue_drain(struct leat_state *state, struct leat_error *err)
{
    struct leat__queue *queue = &state->queue;
    leat__queue_pump(state);
    while (queue->busy) {
        leat__task_wait(state->background, &queue->task);
        leat__queue_pump(state);
    }
    return leat__state_check(state, err);
}

int leat__queue_settle(struct leat_state *state, bool written, struct leat_error *err)
{
    if (state->queue.forgets || (written && state->queue.runs))
        return leat__queue_drain(state, err);
    return leat__state_check(state, err);
}

int leat__queue_flush(struct leat_state *state, struct leat_error *err)
{
    if (!state->run || state->run->count == 0)
        return 0;
    struct leat__op *op = leat__calloc(1, sizeof *op);
    if (!op)
        return leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    op->kind = LEAT__OP_RUN;
    op->run = state->run;
    state->run = NULL;
    leat__op_push(state, op);
    return 0;
}

struct leat__run *leat__queue_run(struct leat_state *state, struct leat_error *err)
{
    if (state->run && leat__run_bytes(state->run) >= state->run_bytes && leat__queue_flush(state, err) < 0)
        return NULL;
    if (!state->run && leat__run_new(state->run_bytes, &state->run) < 0)
        (void)leat__error(err, LEAT_ENOMEM, "keyed state: out of memory for %zu bytes", state->run_bytes);
    return state->run;
}

struct leat__op *leat__op_forget(struct leat_table *table, int64_t ns)
{
    struct leat__op *op = leat__calloc(1, sizeof *op);
    if (!op)
        return NULL;
    op->kind = LEAT__OP_FORGET;
    op->from_len = LEAT__STORE_HEAD;
    leat__store_head(table, ns, op->from);
    op->to_len = leat__store_end(table, ns, op->to);
    return op;
}

int leat__queue_checkpoint(struct leat_state *state, struct leat_error *err)
{
    struct leat__op *op = leat__calloc(1, sizeof *op);
    if (op) {
        op->dir = leat__strdup(state->snapshot.dir);
        leat__meta_of_state(state, &op->meta);
    }
    if (!op || !op->dir || op->meta.failed) {
        leat__op_free(op);
        return leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    }
    op->kind = LEAT__OP_CHECKPOINT;
    state->queue.checkpoint_made = false;
    __atomic_store_n(&state->queue.cancelled, 0, __ATOMIC_RELAXED);
    leat__op_push(state, op);
    return 0;
}

void leat__queue_free(struct leat_state *state)
{
    const int code = leat__queue_drain(state, NULL);
    (void)code; /* nobody needs the store any more */
    leat__run_free(state->run);
    state->run = NULL;
    struct leat_store *store = leat__store(state);
    if (store)
        store->store_class->close(store);
}
