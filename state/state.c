/* state/state.c -- the state of a worker: its budget, and the memory that namespaces hand on.
 *
 * A window that closes leaves blocks behind of just the sizes that the next one asks for. They are kept by
 * size class, so that in the steady state nothing is allocated; the oldest go first when there are more than
 * recent windows needed or when the budget is short.
 *
 * Invariants: (1) used + cached <= budget, where there is one (with a store, used may exceed it by what one
 * call needs: spill.c); (2) a free block is in its class's list and in
 * the list by age; (3) keep_bytes >= used_bytes. Threads: one worker. Memory: a slice owns its blocks, the
 * state the free ones. */
#include "base/alloc.h"
#include "state/state_private.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define FORBID(block_) __asan_poison_memory_region(leat__block_data(block_), (block_)->size)
#define ALLOW(block_) __asan_unpoison_memory_region(leat__block_data(block_), (block_)->size)
#endif
#endif
#ifndef FORBID /* what is kept for the next namespace is nobody's: only a sanitizer sees to that */
#define FORBID(block_) (void)(block_)
#define ALLOW(block_) (void)(block_)
#endif

#define HUGE_BYTES ((size_t)2 << 20)
#define GROW_AT_ONCE ((size_t)1 << 20)
#define GARBAGE_MIN (256u * 1024u)
#define COMPACT_AT_ONCE 4096u
#define LARGE_CLASS (8u * 20u + 1u)
#define CLEAN_MOST ((size_t)256 << 10) /* about 50 us */
#define KEEP_SHIFT 6u /* what is kept shrinks by 1/64 at each drop */
#define KEEP_BYTES_MIN (1u << 20)
#define BLOCK_BYTES_MIN 64u
#define RUN_BYTES_MIN ((size_t)16 << 10)
#define WHOLE_KEYS_MIN 16384u
#define STEP_WORK 60000
#define RUN_BYTES_MAX ((size_t)8 << 20)

/* The budget is for all that keyed state needs: most of it for tables, a quarter for the store, the rest for
 * what is on its way there. */
static void divide_budget(struct leat_state *state)
{
    const uint64_t all = state->budget_bytes;
    state->run_bytes = RUN_BYTES_MAX;
    if (!all)
        return;
    state->budget_bytes = all / 100 * 65 + 1;
    state->store_bytes = all / 4 + 1;
    if (all / 32 < state->run_bytes)
        state->run_bytes = all / 32 > RUN_BYTES_MIN ? (size_t)(all / 32) : RUN_BYTES_MIN;
}

static int begin_store(struct leat_state *state, const struct leat_state_opts *opts, struct leat_error *err)
{
    if (!opts->env || !opts->dir)
        return leat__error(err, LEAT_EINVAL, "keyed state: a store needs an environment and a directory");
    state->env = opts->env;
    state->store_class = opts->store_class;
    state->background = opts->background;
    state->whole_keys_min = WHOLE_KEYS_MIN;
    state->step_work = STEP_WORK;
    divide_budget(state);
    state->dir = leat__strdup(opts->dir);
    if (!state->dir)
        return leat__error(err, LEAT_ENOMEM, "out of memory for keyed state");
    return leat__restore_open(state, opts, err);
}

int leat__state_new(const struct leat_state_opts *opts, struct leat_state **state, struct leat_error *err)
{
    struct leat_state *made = leat__calloc(1, sizeof *made);
    *state = NULL;
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory for keyed state");
    made->budget_bytes = opts ? opts->budget_bytes : 0;
    made->key_groups = opts ? opts->key_groups : 0;
    made->keep_bytes = KEEP_BYTES_MIN;
    made->grow_at_once = GROW_AT_ONCE;
    made->garbage_min = GARBAGE_MIN;
    made->compact_at_once = COMPACT_AT_ONCE;
    const int code = opts && opts->store_class ? begin_store(made, opts, err) : 0;
    if (code < 0) {
        leat__state_free(made);
        return code;
    }
    *state = made;
    return 0;
}

/* The eighth of a power of two that holds `size`, and its size. */
static uint32_t class_of(size_t size, size_t *class_size)
{
    if (size < BLOCK_BYTES_MIN)
        size = BLOCK_BYTES_MIN;
    const uint32_t octave = 63u - (uint32_t)__builtin_clzll(size);
    const size_t step = (size_t)1 << (octave - 3);
    const size_t rounded = (size + step - 1) & ~(step - 1);
    const uint32_t octave_rounded = 63u - (uint32_t)__builtin_clzll(rounded);
    *class_size = rounded;
    return 8 * octave_rounded + (uint32_t)((rounded >> (octave_rounded - 3)) & 7u);
}

/* Chunks of arenas are of at most 1 MiB, and need no zeros: what is larger is an array of slots, as a rule. */
static bool is_soiled(const struct leat__block *block)
{
    return block->size_class >= LARGE_CLASS && block->clean < block->size;
}

static void unlink_free(struct leat_state *state, struct leat__block *block)
{
    if (block->prev)
        block->prev->next = block->next;
    else
        state->free[block->size_class] = block->next;
    if (block->next)
        block->next->prev = block->prev;
    if (block->older)
        block->older->newer = block->newer;
    else
        state->oldest = block->newer;
    if (block->newer)
        block->newer->older = block->older;
    else
        state->newest = block->older;
    state->cached_bytes -= block->size;
    state->soiled -= is_soiled(block);
    ALLOW(block);
}

/* Large blocks come from the system page by page, zeroed. */
static bool is_pages(const struct leat__block *block)
{
    return block->size >= HUGE_BYTES;
}

static struct leat__block *allocate(size_t size, uint32_t size_class)
{
    struct leat__block *block = size >= HUGE_BYTES ? leat__pages_alloc(sizeof *block + size)
                                                   : leat__aligned_alloc(64, sizeof *block + size);
    if (!block)
        return NULL;
    block->size = size;
    block->size_class = size_class;
    block->clean = is_pages(block) ? size : 0;
    return block;
}

static void release(struct leat__block *block)
{
    if (is_pages(block))
        leat__pages_free(block, sizeof *block + block->size);
    else
        leat__free(block);
}

/* Frees the oldest free blocks until used + cached + more <= limit. */
static void evict(struct leat_state *state, uint64_t limit, uint64_t more)
{
    while (state->oldest && state->used_bytes + state->cached_bytes + more > limit) {
        struct leat__block *block = state->oldest;
        unlink_free(state, block);
        release(block);
    }
}

static int over_budget(const struct leat_table *table, size_t size, struct leat_error *err)
{
    const struct leat_state *state = table->state;
    return leat__error(err, LEAT_ESTATE,
        "state of \"%s\", table \"%s\": %zu more bytes are needed, and %llu of the budget of %llu are in "
        "use; raise"
        " state_budget_bytes of the job, or use more workers, shorter windows or less lateness",
        table->node, table->name, size, (unsigned long long)state->used_bytes,
        (unsigned long long)state->budget_bytes);
}

int leat__block_get(struct leat_table *table, size_t size, struct leat__block **block, struct leat_error *err)
{
    struct leat_state *state = table->state;
    size_t class_size = 0;
    *block = NULL;
    if (size > SIZE_MAX / 4)
        return leat__error(err, LEAT_ENOMEM,
            "state of \"%s\", table \"%s\": %zu bytes are more than there can be", table->node, table->name,
            size);
    const uint32_t size_class = class_of(size, &class_size);
    struct leat__block *found = state->free[size_class];
    if (found) {
        unlink_free(state, found);
    } else {
        if (state->budget_bytes) {
            evict(state, state->budget_bytes, class_size);
            if (!state->store_class && state->used_bytes + class_size > state->budget_bytes)
                return over_budget(table, class_size, err);
        }
        found = allocate(class_size, size_class);
        if (!found)
            return leat__error(err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": no memory for %zu bytes",
                table->node, table->name, class_size);
    }
    found->next = found->prev = found->older = found->newer = NULL;
    state->used_bytes += found->size;
    if (state->peak_bytes < state->used_bytes)
        state->peak_bytes = state->used_bytes;
    if (state->keep_bytes < state->used_bytes)
        state->keep_bytes = state->used_bytes;
    *block = found;
    return 0;
}

void leat__block_zero(struct leat__block *block, size_t size)
{
    const size_t clean = block->clean < size ? block->clean : size;
    memset(leat__block_data(block) + clean, 0, size - clean);
}

bool leat__block_is_ready(const struct leat_state *state, size_t size, size_t most)
{
    size_t class_size = 0;
    const struct leat__block *found = state->free[class_of(size, &class_size)];
    return found && found->clean + most >= size;
}

void leat__blocks_clean(struct leat_state *state, size_t bytes)
{
    struct leat__block *block = NULL;
    for (uint32_t c = LARGE_CLASS; !block && state->soiled > 0 && c < LEAT__BLOCK_CLASSES; c++)
        for (block = state->free[c]; block && !is_soiled(block); block = block->next)
            ;
    if (!block)
        return;
    if (bytes > CLEAN_MOST)
        bytes = CLEAN_MOST;
    if (bytes > block->size - block->clean)
        bytes = block->size - block->clean;
    ALLOW(block);
    memset(leat__block_data(block) + block->clean, 0, bytes);
    FORBID(block);
    block->clean += bytes;
    state->soiled -= !is_soiled(block);
}

void leat__block_give(struct leat_state *state, struct leat__block *block)
{
    leat__block_give_clean(state, block, 0);
}

void leat__block_give_clean(struct leat_state *state, struct leat__block *block, size_t clean)
{
    LEAT_ASSERT(state->used_bytes >= block->size);
    state->used_bytes -= block->size;
    evict(state, state->keep_bytes, block->size);
    struct leat__block **list = &state->free[block->size_class];
    block->prev = NULL;
    block->next = *list;
    if (*list)
        (*list)->prev = block;
    *list = block;
    block->newer = NULL;
    block->older = state->newest;
    if (state->newest)
        state->newest->newer = block;
    else
        state->oldest = block;
    state->newest = block;
    state->cached_bytes += block->size;
    block->clean = clean;
    state->soiled += is_soiled(block);
    FORBID(block);
}

void leat__state_relax(struct leat_state *state)
{
    uint64_t keep = state->keep_bytes - (state->keep_bytes >> KEEP_SHIFT);
    if (keep < state->peak_bytes)
        keep = state->peak_bytes;
    if (keep < KEEP_BYTES_MIN)
        keep = KEEP_BYTES_MIN;
    state->keep_bytes = keep;
    state->peak_bytes = state->used_bytes;
    evict(state, keep, 0);
}

static void free_store_parts(struct leat_state *state)
{
    leat__state_snapshot_end(state);
    leat__queue_free(state);
    leat__fetch_free(state);
    for (struct leat__merger *m = state->mergers, *next; m; m = next) {
        next = m->next;
        leat__free(m);
    }
    leat__arena_release(&state->saved_arena);
    leat__strbuf_release(&state->scratch);
    leat__strbuf_release(&state->merged);
    leat__free(state->dir);
}

void leat__state_free(struct leat_state *state)
{
    if (!state)
        return;
    LEAT_ASSERT(state->tables_count == 0); /* operators close their tables first */
    if (state->store_class)
        free_store_parts(state);
    LEAT_ASSERT(state->used_bytes == 0);
    evict(state, 0, 0);
    leat__free(state);
}

uint32_t leat__state_key_groups(const struct leat_state *state)
{
    return state->key_groups;
}

uint64_t leat__state_bytes(const struct leat_state *state)
{
    uint64_t bytes = state->used_bytes + state->queue.bytes;
    if (state->run)
        bytes += leat__run_bytes(state->run);
    const struct leat_store *store = leat__store(state);
    return store ? bytes + store->store_class->memory_bytes(store) : bytes;
}
