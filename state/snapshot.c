/* state/snapshot.c -- what a checkpoint has of keyed state: everything dirty at the barrier, and the store.
 *
 *   NONE -> FREEZING     leat__state_freeze: the tables of a node enter a new epoch. A slot that is dirty since
 *                        an older one is collected before it is next written to (leat__slot_dirty)
 *   -> COLLECTING        leat__state_snapshot: all tables are frozen
 *   -> WRITING           step, poll: the last slot of an older epoch is collected; runs and the checkpoint are
 *                        in the queue
 *   -> MADE              poll: the checkpoint is there
 *   -> NONE              leat__state_snapshot_end, from anywhere
 *
 * Freezing costs the same for any size (and a little per namespace). Collecting goes chunk by chunk (64 slots), by the marks that slots
 * leave when they become dirty. Slots that move take their epoch with them; an array that grows is gone
 * through again. A large namespace of which most is dirty is collected as a whole: flat.c.
 *
 * Invariants: (1) from freezing on, nothing reaches the store that was written after the barrier: spills and
 * drops of frozen tables wait, until it is made and no longer: what comes next goes behind them; (2) a namespace that is dropped with something to collect becomes a ghost until
 * that is collected; (3) when a snapshot is given up, what was collected is written all the same (it is clean
 * in memory), and what was not stays dirty with its old epoch. At most three such epochs are told apart; then
 * they are made one. */
#include "base/alloc.h"
#include "base/assert.h"
#include "state/state_private.h"

#define CHUNK_SLOTS 64u
#define RUNS_AHEAD 3u /* waiting to be written: collecting pauses then */
#define EPOCHS_MAX 4u
/* A run, where there is no budget that says how long it may be. */
#define RUN_SHARE 2u /* of what is used */
#define RUN_BYTES_MIN ((size_t)8 << 20)
#define RUN_BYTES_MAX ((size_t)64 << 20)
/* Work, in about 10 ns; what a step may do is in the state. */
#define ENTRY_WORK 12
#define CHUNK_WORK 15
#define TAKE_WORK 3
#define MOVE_WORK 2
#define MOVED_SLOTS 1024u

/* ---- freezing ---- */

static void unite_epochs_in(const struct leat_table *table, struct leat__slice *slice)
{
    for (uint64_t i = 0; i < leat__slice_extent(slice); i++) {
        unsigned char *slot = leat__slice_at(table, slice, i);
        const uint64_t word = leat__slot_word(slot);
        if (word & LEAT__DIRTY)
            leat__slot_set_word(slot, (word & ~(uint64_t)LEAT__EPOCH) | table->dirty_flags);
    }
}

static void freeze_table(struct leat_table *table)
{
    if (table->frozen)
        return;
    if (table->epochs_open == EPOCHS_MAX) { /* (3) */
        for (uint32_t i = 0; i < table->slices_count; i++)
            unite_epochs_in(table, table->slices[table->slices_head + i]);
        table->epochs_open = 1;
    }
    table->epochs_open++;
    table->dirty_flags = LEAT__DIRTY | ((table->dirty_flags + LEAT__EPOCH_ONE) & LEAT__EPOCH);
    table->frozen = true;
    leat__flat_begin(table);
}

static void begin_snapshot(struct leat_state *state)
{
    if (state->snapshot.phase != LEAT__SNAPSHOT_NONE)
        return;
    state->snapshot.phase = LEAT__SNAPSHOT_FREEZING;
    state->snapshot.stats = (struct leat_snapshot_stats){ 0 };
    state->segment++;
}

/* What the owners of open walks have changed so far is from before the barrier. */
static void keep_walks(struct leat_table *table)
{
    for (struct leat_cursor *cursor = table->walks; cursor && !table->frozen; cursor = cursor->walk->next) {
        struct leat_error err = { 0 };
        const int code = leat__walk_keep(cursor, &err);
        if (code < 0)
            (void)leat__state_break(table->state, code, &err);
    }
}

/* (model: snapshot.pml, frozen_at_barrier) */
void leat__state_freeze(struct leat_state *state, const char *node)
{
    if (!state->store_class)
        return;
    begin_snapshot(state);
    for (struct leat_table *table = state->tables; table; table = table->next)
        if (strcmp(table->node, node) == 0) {
            keep_walks(table);
            freeze_table(table);
        }
}

/* Few long runs are cheaper to merge than many short ones, and each costs six syncs to be taken in. */
static void size_runs(struct leat_state *state)
{
    if (state->budget_bytes)
        return;
    const uint64_t share = state->used_bytes / RUN_SHARE;
    state->run_bytes = share < RUN_BYTES_MIN ? RUN_BYTES_MIN : share < RUN_BYTES_MAX ? share : RUN_BYTES_MAX;
}

int leat__state_snapshot(struct leat_state *state, const char *dir, struct leat_error *err)
{
    if (!state->store_class) {
        state->snapshot.stats = (struct leat_snapshot_stats){ 0 };
        state->snapshot.phase = LEAT__SNAPSHOT_MADE;
        return 0;
    }
    LEAT_TRY(leat__state_check(state, err));
    begin_snapshot(state);
    size_runs(state);
    LEAT_ASSERT(state->snapshot.phase == LEAT__SNAPSHOT_FREEZING);
    state->snapshot.dir = leat__strdup(dir);
    if (!state->snapshot.dir)
        return leat__error(err, LEAT_ENOMEM, "keyed state: out of memory");
    for (struct leat_table *table = state->tables; table; table = table->next)
        freeze_table(table);
    state->snapshot.table = state->tables;
    state->snapshot.ns = INT64_MIN;
    state->snapshot.chunk = 0;
    state->snapshot.in_slice = false;
    state->snapshot.phase = LEAT__SNAPSHOT_COLLECTING;
    return 0;
}

/* ---- collecting ---- */

static uint64_t chunk_end(const struct leat__slice *slice, uint64_t from)
{
    const uint64_t end = leat__slice_extent(slice);
    return from + CHUNK_SLOTS < end ? from + CHUNK_SLOTS : end;
}

static int collect_chunk(struct leat_table *table, struct leat__slice *slice, uint64_t chunk, int64_t *work,
    struct leat_error *err)
{
    const uint64_t from = chunk * CHUNK_SLOTS;
    const uint64_t to = chunk_end(slice, from);
    bool dirty = false;
    *work -= CHUNK_WORK;
    for (uint64_t i = from; i < to; i++) {
        unsigned char *slot = leat__slice_at(table, slice, i);
        if (leat__slot_is_frozen(table, leat__slot_word(slot))) {
            const uint64_t before = table->state->snapshot.stats.dirty_bytes;
            LEAT_TRY(leat__slot_collect(table, slice, slot, err));
            *work -= ENTRY_WORK + (int64_t)((table->state->snapshot.stats.dirty_bytes - before) / 16);
        }
        dirty |= (leat__slot_word(slot) & LEAT__DIRTY) != 0;
    }
    if (!dirty)
        *leat__slice_marks(slice, chunk) &= ~(UINT64_C(1) << (chunk & 63));
    return 0;
}

/* From chunk *at on: 1 at the end of the slice, 0 when the work is spent. */
static int collect_slice(
    struct leat_table *table, struct leat__slice *slice, uint64_t *at, int64_t *work, struct leat_error *err)
{
    const uint64_t chunks = (leat__slice_extent(slice) + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
    while (*at < chunks && slice->dirty > 0) {
        if (*work <= 0)
            return 0;
        const uint64_t marks = *leat__slice_marks(slice, *at) >> (*at & 63);
        if (marks == 0) {
            *at = (*at | 63) + 1;
            (*work)--;
            continue;
        }
        *at += (uint32_t)__builtin_ctzll(marks);
        LEAT_TRY(collect_chunk(table, slice, *at, work, err));
        (*at)++;
    }
    return 1;
}

static int take_chunk(struct leat_table *table, struct leat__slice *slice, uint64_t chunk, int64_t *work,
    struct leat_error *err)
{
    const uint64_t from = chunk * CHUNK_SLOTS;
    const uint64_t to = chunk_end(slice, from);
    const uint64_t before = slice->flat->count;
    bool dirty = false;
    for (uint64_t i = from; i < to; i++) {
        unsigned char *slot = leat__slice_at(table, slice, i);
        if (leat__slot_word(slot) == 0)
            continue;
        LEAT_TRY(leat__flat_take_wanted(table, slice, slot, err));
        dirty |= (leat__slot_word(slot) & LEAT__DIRTY) != 0;
    }
    if (!dirty)
        *leat__slice_marks(slice, chunk) &= ~(UINT64_C(1) << (chunk & 63));
    *work -= CHUNK_WORK + (int64_t)(slice->flat->count - before) * TAKE_WORK;
    return 0;
}

/* The same as collect_slice of a slice that is collected as a whole. */
static int take_slice(
    struct leat_table *table, struct leat__slice *slice, int64_t *work, struct leat_error *err)
{
    const uint64_t chunks = (leat__slice_extent(slice) + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
    while (slice->flat->chunk < chunks) {
        if (*work <= 0)
            return 0;
        const int code = take_chunk(table, slice, slice->flat->chunk, work, err);
        if (code < 0) { /* a part of the chunk has been taken: only what is dirty may be taken again */
            struct leat_error why = { 0 };
            (void)leat__flat_give_up(table, slice, &why);
            return code;
        }
        slice->flat->chunk++;
    }
    while (slice->flat && slice->old.capacity > 0) {
        if (*work <= 0)
            return 0;
        const uint64_t before = slice->flat->count;
        LEAT_TRY(leat__slice_take_and_move(table, slice, MOVED_SLOTS, err));
        if (slice->flat)
            *work -= CHUNK_WORK * MOVED_SLOTS / CHUNK_SLOTS +
                (int64_t)(slice->flat->count - before) * (TAKE_WORK + MOVE_WORK);
    }
    if (!slice->flat) /* given up: as runs, from the first slot on */
        return 0;
    LEAT_TRY(leat__flat_end(table, slice, true, err));
    return 1;
}

static struct leat__slice *slice_from(const struct leat_table *table, int64_t ns)
{
    uint32_t low = 0, high = table->slices_count;
    struct leat__slice *const *slices = table->slices + table->slices_head;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (slices[middle]->ns < ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table->slices_count ? slices[low] : NULL;
}

/* The same for the rest of a table. */
static int collect_table(
    struct leat_state *state, struct leat_table *table, int64_t *work, struct leat_error *err)
{
    struct leat__snapshot *s = &state->snapshot;
    struct leat__slice *slice;
    while ((slice = slice_from(table, s->ns)) != NULL) {
        if (!s->in_slice || slice->ns != s->ns || slice->layout != s->layout) {
            s->in_slice = true;
            s->ns = slice->ns;
            s->layout = slice->layout;
            s->chunk = 0;
        }
        const int code = slice->flat ? take_slice(table, slice, work, err)
                                     : collect_slice(table, slice, &s->chunk, work, err);
        if (code <= 0)
            return code;
        *work -= CHUNK_WORK;
        s->in_slice = false;
        if (s->ns == INT64_MAX)
            break;
        s->ns++;
        if (*work <= 0)
            return 0;
    }
    return 1;
}

static void free_ghost(struct leat_state *state)
{
    struct leat__slice *ghost = state->ghosts;
    state->ghosts = ghost->next_free;
    leat__slice_free(ghost->table, ghost);
}

static int collect_ghosts(struct leat_state *state, int64_t *work, struct leat_error *err)
{
    while (state->ghosts) {
        struct leat__slice *ghost = state->ghosts;
        const int code = collect_slice(ghost->table, ghost, &ghost->hand, work, err);
        if (code <= 0)
            return code;
        free_ghost(state);
    }
    return 1;
}

/* 1: all is collected; 0: the work is spent. */
static int collect(struct leat_state *state, int64_t work, struct leat_error *err)
{
    struct leat__snapshot *s = &state->snapshot;
    while (s->table) {
        const int code = collect_table(state, s->table, &work, err);
        if (code <= 0)
            return code;
        s->table = s->table->next;
        s->ns = INT64_MIN;
        s->in_slice = false;
    }
    return collect_ghosts(state, &work, err);
}

/* What has been taken of namespaces that were to be collected as a whole is clean in memory: (3). */
static void give_up_flats(struct leat_state *state)
{
    struct leat_error err = { 0 };
    for (struct leat_table *table = state->tables; table; table = table->next)
        for (uint32_t i = 0; i < table->slices_count; i++)
            if (leat__flat_give_up(table, table->slices[table->slices_head + i], &err) < 0)
                (void)leat__state_break(state, err.code, &err);
}

static void unfreeze(struct leat_state *state, bool collected)
{
    for (struct leat_table *table = state->tables; table; table = table->next) {
        table->frozen = false;
        if (collected)
            table->epochs_open = 1;
    }
}

/* Of a store that is not there: it is not to forget later what comes before then. */
static void cancel_forgets(struct leat_state *state)
{
    for (struct leat__op *op = state->snapshot.forgets, *next; op; op = next) {
        next = op->next;
        leat__op_free(op);
    }
    state->snapshot.forgets = NULL;
}

/* Everything is collected. */
static int finish_collecting(struct leat_state *state, struct leat_error *err)
{
    struct leat__snapshot *s = &state->snapshot;
    unfreeze(state, true);
    s->stats.has_store = leat__store(state) || state->queue.runs || (state->run && state->run->count);
    if (!s->stats.has_store) {
        cancel_forgets(state);
        s->phase = LEAT__SNAPSHOT_MADE;
        return 0;
    }
    s->phase = LEAT__SNAPSHOT_WRITING;
    LEAT_TRY(leat__queue_flush(state, err));
    return leat__queue_checkpoint(state, err);
}

static bool is_ahead(const struct leat_state *state)
{
    return state->queue.busy && state->queue.bytes > RUNS_AHEAD * (uint64_t)state->run_bytes;
}

/* (model: snapshot.pml, snapshot_step) */
int leat__state_snapshot_step(struct leat_state *state, struct leat_error *err)
{
    if (state->snapshot.phase != LEAT__SNAPSHOT_COLLECTING)
        return 0;
    leat__queue_pump(state);
    LEAT_TRY(leat__state_check(state, err));
    if (is_ahead(state))
        return 0; /* goes on when a task has ended */
    const int code = collect(state, state->step_work, err);
    if (code < 0)
        return code;
    return code == 0 ? 1 : finish_collecting(state, err);
}

/* ---- the end ---- */

/* (1): now they may (model: snapshot.pml, ended). */
static void release_forgets(struct leat_state *state)
{
    for (struct leat__op *op = state->snapshot.forgets, *next; op; op = next) {
        next = op->next;
        leat__op_push(state, op);
    }
    state->snapshot.forgets = NULL;
}

/* (model: snapshot.pml, store_linked) */
static int poll_writing(struct leat_state *state, struct leat_error *err)
{
    if (state->queue.checkpoints > 0)
        return 0;
    if (!state->queue.checkpoint_made)
        return leat__error(err, LEAT_ECANCELLED, "keyed state: the snapshot was given up");
    state->snapshot.phase = LEAT__SNAPSHOT_MADE;
    release_forgets(state);
    return 1;
}

int leat__state_snapshot_poll(struct leat_state *state, struct leat_error *err)
{
    if (!state->store_class)
        return 1;
    leat__queue_pump(state);
    LEAT_TRY(leat__state_check(state, err));
    LEAT_TRY(leat__state_snapshot_step(state, err)); /* one piece: for who only polls */
    switch (state->snapshot.phase) {
    case LEAT__SNAPSHOT_MADE:
        return 1;
    case LEAT__SNAPSHOT_WRITING:
        leat__queue_pump(state);
        LEAT_TRY(leat__state_check(state, err));
        return poll_writing(state, err);
    default:
        return 0;
    }
}

int leat__snapshot_rush(struct leat_state *state, struct leat_error *err)
{
    while (state->snapshot.phase == LEAT__SNAPSHOT_COLLECTING) {
        const int code = collect(state, state->step_work, err);
        if (code < 0)
            return code;
        if (code > 0)
            LEAT_TRY(finish_collecting(state, err));
    }
    if (state->snapshot.phase != LEAT__SNAPSHOT_WRITING)
        return 0;
    LEAT_TRY(leat__queue_drain(state, err));
    const int code = poll_writing(state, err);
    return code < 0 ? code : 0;
}

/* (model: snapshot.pml, snapshot_given_up) */
void leat__state_snapshot_end(struct leat_state *state)
{
    struct leat__snapshot *s = &state->snapshot;
    if (!state->store_class || s->phase == LEAT__SNAPSHOT_NONE) {
        s->phase = LEAT__SNAPSHOT_NONE;
        return;
    }
    if (s->phase == LEAT__SNAPSHOT_WRITING) { /* nobody may write to the directory after this */
        __atomic_store_n(&state->queue.cancelled, 1, __ATOMIC_RELAXED);
        const int code = leat__queue_drain(state, NULL);
        (void)code; /* sticky */
    }
    give_up_flats(state);
    unfreeze(state, false);
    while (state->ghosts)
        free_ghost(state);
    struct leat_error err = { 0 };
    if (leat__queue_flush(state, &err) < 0) /* (3) can not be kept */
        (void)leat__state_break(state, err.code, &err);
    release_forgets(state);
    leat__free(s->dir);
    s->dir = NULL;
    s->table = NULL;
    s->in_slice = false;
    s->phase = LEAT__SNAPSHOT_NONE;
}

void leat__snapshot_forget(struct leat_state *state, struct leat_table *table)
{
    (void)table;
    leat__state_snapshot_end(state);
}

void leat__state_snapshot_stats(const struct leat_state *state, struct leat_snapshot_stats *stats)
{
    *stats = state->snapshot.stats;
}
