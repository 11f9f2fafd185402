/* operators/table_join_waiting.c -- stream rows that wait until the table's watermark has reached them.
 *
 * They lie in tables of (part of time, key) -> rows. Parts are those of a wheel: the further a time is from the
 * watermark the wider its part. Each level has a table of its own, whose parts are of one size.
 *
 *   level   bits of the time that a part leaves open      of the parts that a level has at a time
 *     0     6   64 us                                      64: the highest 6 bits in which time and watermark differ
 *     1     12  4 ms                                           say the level
 *    ...
 *     9     60
 *
 * So there are few parts at any time, however far rows are ahead; when the watermark enters a part, its rows that are
 * due fire and the others move to a lower level, each a few times in all; and a part that the watermark has passed
 * fires as a whole, key by key. Lower levels are earlier than higher ones, so that rows fire in order of their parts;
 * within a part, and key, they are sorted. The times of a part are in its number, not in what the watermark was: rows
 * of several instances lie together after rescaling.
 *
 * Rows that come in the order of time mostly wait for the table's next batches only. While nothing is in the tables they
 * wait in their batches (held.c), and leave without a copy.
 *
 * Rows leave the tables as copies, in batches that are joined like those that come. They leave a key at a time; of one with very
 * many rows some at a time.
 *
 * Invariant: while something fires, nothing is added. */
#include "base/alloc.h"
#include "operators/table_join_private.h"

#define LEVEL_BITS 6u
#define LEVELS LEAT__WAITING_LEVELS
#define COPIED_PER_CALL 4096u /* rows that are copied before those are joined */
#define EARLY_MAX 65536u /* rows on their way to a lower level */
#define REST_MAX 65536u /* rows of one key that are copied at once */

/* ---- parts of time ---- */

static uint64_t ordered(int64_t time_us)
{
    return (uint64_t)time_us ^ UINT64_C(1) << 63;
}

static uint32_t shift_of(uint32_t level)
{
    return LEVEL_BITS * (level + 1);
}

static uint32_t level_of(int64_t time_us, int64_t w)
{
    const uint64_t differ = ordered(time_us) ^ ordered(w);
    const uint32_t digit = differ ? (63u - (uint32_t)__builtin_clzll(differ)) / LEVEL_BITS : 0;
    return digit ? digit - 1 : 0;
}

static int64_t part_of(uint32_t level, int64_t time_us)
{
    return (int64_t)(ordered(time_us) >> shift_of(level));
}

static int fail_or(struct leat__ctx *ctx, int code)
{
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* ---- life ---- */

int leat__waiting_open(struct leat__table_join *j, struct leat__ctx *ctx)
{
    const struct leat_type *type = leat__input_type(ctx->node, LEAT__LEFT);
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .kind = LEAT_TABLE_LIST,
        .key_size = j->spec->join.key_size,
        .row_type = type,
        .key_text = j->spec->join.key_types[LEAT__LEFT],
        .format = "v1; rows in parts of a wheel",
        .schema = type->schema,
        .counted = true,
    };
    for (uint32_t level = 0; level < LEVELS; level++) {
        char name[] = "waiting-0";
        name[sizeof name - 2] = (char)('0' + level);
        opts.name = name;
        LEAT_TRY(fail_or(ctx, leat__table_open(ctx->state, &opts, &j->waiting[level], ctx->error)));
    }
    return 0;
}

static void release_list(struct leat_batch *batch)
{
    while (batch) {
        struct leat_batch *next = batch->next;
        batch->next = NULL;
        leat__batch_release(batch);
        batch = next;
    }
}

void leat__waiting_close(struct leat__table_join *j)
{
    leat__cursor_close(j->fire_cursor);
    leat__held_release(&j->held);
    release_list(j->ready_first);
    release_list(j->early_first);
    for (uint32_t level = 0; level < LEVELS; level++)
        leat__table_close(j->waiting[level]);
}

uint64_t leat__waiting_keys_count(const struct leat__table_join *j)
{
    uint64_t count = 0;
    for (uint32_t level = 0; level < LEVELS && j->waiting[level]; level++)
        count += leat__table_keys_count_all(j->waiting[level]);
    return count;
}

/* ---- in ---- */

static int add_rows(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_batch *batch,
    const uint32_t *rows, uint32_t count, const struct leat_sv *keys, const uint64_t *hashes)
{
    for (uint32_t from = 0, to; from < count; from = to) {
        const uint32_t level = level_of(batch->event_us[rows[from]], j->fired_us);
        const int64_t part = part_of(level, batch->event_us[rows[from]]);
        for (to = from + 1; to < count && level_of(batch->event_us[rows[to]], j->fired_us) == level &&
             part_of(level, batch->event_us[rows[to]]) == part;)
            to++;
        LEAT_TRY(fail_or(ctx,
            leat__table_append(
                j->waiting[level], part, keys, hashes, rows + from, to - from, batch, ctx->error)));
    }
    return 0;
}

/* j->picks and j->spare stay: they have been as large as each of these batches before. */
int leat__waiting_save(struct leat__table_join *j, struct leat__ctx *ctx)
{
    struct leat_batch *batch;
    const uint32_t *rows;
    uint32_t count;
    while (leat__held_due(&j->held, LEAT_TIME_MAX, UINT32_MAX, &batch, &rows, &count)) {
        struct leat_batch *keyed = batch;
        LEAT_TRY(leat__table_join_keys(j, ctx, LEAT__LEFT, &keyed));
        LEAT_ASSERT(keyed == batch); /* no row waits that has no key */
        LEAT_TRY(add_rows(j, ctx, batch, rows, count, j->keys, j->hashes));
        (void)leat__held_take(&j->held, count);
    }
    return 0;
}

/* Rows that come in the order of time are held, as long as there is room; else all that wait go to the tables, which
 * know the order. */
int leat__waiting_add(struct leat__table_join *j, struct leat__ctx *ctx, const uint32_t *rows, uint32_t count)
{
    struct leat_batch *batch = j->in;
    int64_t last_us = leat__held_last_us(&j->held);
    bool is_held = leat__waiting_keys_count(j) == 0;
    for (uint32_t i = 0; is_held && i < count; last_us = batch->event_us[rows[i++]])
        is_held = batch->event_us[rows[i]] >= last_us;
    if (is_held)
        LEAT_TRY(leat__hold(&j->held, ctx, batch, rows, count, &is_held));
    if (is_held)
        return 0;
    if (j->held.count > 0) {
        LEAT_TRY(leat__waiting_save(j, ctx));
        LEAT_TRY(leat__table_join_keys(j, ctx, LEAT__LEFT, &j->in)); /* they were those of other batches */
    }
    return add_rows(j, ctx, batch, rows, count, j->keys, j->hashes);
}

/* Rows of a part that the watermark is in go to lower levels. */
static int move_early(struct leat__table_join *j, struct leat__ctx *ctx)
{
    while (j->early_first) {
        struct leat_batch *batch = j->early_first;
        const struct leat_sv *keys;
        j->early_first = batch->next;
        j->early_last = batch->next ? j->early_last : NULL;
        batch->next = NULL;
        int code = leat__rows_reserve(ctx, &j->spare, &j->spare_capacity, batch->count);
        if (code == 0 &&
            leat__key_eval(j->spec->join.keys[LEAT__LEFT], j->key_scratch, &ctx->user, batch, &keys) < 0)
            code = leat__rows_nomem(ctx, "keys");
        for (uint32_t i = 0; code == 0 && i < batch->count; i++)
            j->spare[i] = i;
        if (code == 0)
            code = add_rows(j, ctx, batch, j->spare, batch->count, keys, batch->key_hash);
        leat__batch_release(batch);
        LEAT_TRY(code);
    }
    j->early_count = 0;
    return 0;
}

/* ---- out ---- */

static int copy_row(struct leat__table_join *j, struct leat__ctx *ctx, struct leat_batch **first,
    struct leat_batch **last, const struct leat_list_row *row, uint64_t hash)
{
    if (!*last || leat__batch_is_full(*last)) {
        struct leat_batch *batch;
        LEAT_TRY(leat__rows_get(ctx, leat__input_type(ctx->node, LEAT__LEFT), &batch));
        if (*last)
            (*last)->next = batch;
        else
            *first = batch;
        *last = batch;
    }
    struct leat_batch *batch = *last;
    j->early_count += last == &j->early_last;
    batch->event_us[batch->count] = row->event_us;
    batch->key_hash[batch->count] = hash;
    return leat__copy_push(j->copier, batch, row->record) < 0 ? leat__rows_nomem(ctx, "rows that waited") : 0;
}

/* Stable, by time. `spare` has room for as many. */
static void sort_rows(const struct leat_list_row **rows, const struct leat_list_row **spare, uint32_t count)
{
    const struct leat_list_row **from = rows, **to = spare;
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t low = 0; low < count; low += 2 * width) {
            const uint32_t middle = count - low > width ? low + width : count;
            const uint32_t high = count - low > 2 * width ? low + 2 * width : count;
            uint32_t a = low, b = middle;
            for (uint32_t k = low; k < high; k++)
                to[k] = a < middle && (b == high || from[a]->event_us <= from[b]->event_us) ? from[a++]
                                                                                            : from[b++];
        }
        const struct leat_list_row **swap = from;
        from = to;
        to = swap;
    }
    if (from != rows)
        memcpy(rows, from, count * sizeof *rows);
}

/* The rows of a key in order of their times: rows[]. */
static int order_rows(
    struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_list_row *list, uint32_t *count)
{
    bool sorted = true;
    uint32_t n = 0;
    for (const struct leat_list_row *row = list; row; row = row->next) {
        if (n >= UINT32_MAX / 4 ||
            leat__table_join_reserve((void **)&j->rows, &j->rows_capacity, 2 * (n + 1), sizeof *j->rows) < 0)
            return leat__rows_nomem(ctx, "rows that waited");
        sorted = sorted && (n == 0 || j->rows[n - 1]->event_us <= row->event_us);
        j->rows[n++] = row;
    }
    if (!sorted)
        sort_rows(j->rows, j->rows + n, n);
    *count = n;
    return 0;
}

/* Copies rows of a key out, from rest_at on: those that are due, and the others apart. */
static int copy_key(struct leat__table_join *j, struct leat__ctx *ctx, const struct leat_list_row *list,
    uint64_t hash, uint32_t *copied)
{
    uint32_t count = 0, at = j->rest_at;
    LEAT_TRY(order_rows(j, ctx, list, &count));
    for (; at < count && at - j->rest_at < REST_MAX; at++) {
        const struct leat_list_row *row = j->rows[at];
        const bool is_due = row->event_us <= j->fired_us;
        LEAT_TRY(copy_row(j, ctx, is_due ? &j->ready_first : &j->early_first,
            is_due ? &j->ready_last : &j->early_last, row, hash));
    }
    *copied += at - j->rest_at;
    j->has_rest = at < count;
    j->rest_at = at < count ? at : 0;
    return 0;
}

/* The rest of a key of which some rows were copied. */
static int copy_rest(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t *copied)
{
    const struct leat_sv key = { j->rest.data, j->rest.len };
    const struct leat_list_row *list;
    LEAT_TRY(fail_or(ctx,
        leat__table_lists(
            j->waiting[j->fire_level], j->fire_ns, &key, &j->rest_hash, NULL, 1, &list, ctx->error)));
    return copy_key(j, ctx, list, j->rest_hash, copied);
}

/* The next key: 1, 0 at the end of the part, or an error. */
static int copy_next(struct leat__table_join *j, struct leat__ctx *ctx, uint32_t *copied)
{
    struct leat_cursor_item item;
    const int64_t got = leat__cursor_next(j->fire_cursor, &item, 1, ctx->error);
    if (got < 0)
        return leat__fail_here(ctx);
    if (got == 0)
        return 0;
    LEAT_TRY(copy_key(j, ctx, item.value, item.hash, copied));
    if (j->has_rest) {
        leat__strbuf_clear(&j->rest);
        leat__strbuf_add(&j->rest, item.key.data, item.key.len);
        j->rest_hash = item.hash;
        if (j->rest.failed)
            return leat__rows_nomem(ctx, "a key");
    }
    return 1;
}

/* Opens the first part that has times up to fired_us: 1, 0 where there is none. */
static int next_part(struct leat__table_join *j, struct leat__ctx *ctx)
{
    for (uint32_t level = 0; level < LEVELS; level++) {
        struct leat_table *table = j->waiting[level];
        const int64_t last = part_of(level, j->fired_us);
        int64_t part;
        const int found = leat__table_next_namespace(table, 0, &part, ctx->error);
        if (found < 0)
            return leat__fail_here(ctx);
        if (!found || part > last)
            continue;
        if (level == 0 && part == last) { /* its early rows stay in it */
            if (j->part_done)
                continue;
            j->part_done = true;
        }
        j->fire_level = level;
        j->fire_ns = part;
        LEAT_TRY(fail_or(ctx, leat__cursor_open(table, part, LEAT_CURSOR_READ, &j->fire_cursor, ctx->error)));
        return 1;
    }
    return 0;
}

static int end_part(struct leat__table_join *j, struct leat__ctx *ctx)
{
    leat__cursor_close(j->fire_cursor);
    j->fire_cursor = NULL;
    LEAT_TRY(fail_or(ctx, leat__table_drop(j->waiting[j->fire_level], j->fire_ns, ctx->error)));
    return move_early(j, ctx);
}

/* The oldest of the ready batches is in work next. */
static int use_ready(struct leat__table_join *j, struct leat__ctx *ctx)
{
    struct leat_batch *batch = j->ready_first;
    j->ready_first = batch->next;
    j->ready_last = batch->next ? j->ready_last : NULL;
    batch->next = NULL;
    j->due = batch;
    j->at = 0;
    LEAT_TRY(leat__table_join_keys(j, ctx, LEAT__LEFT, &j->due));
    LEAT_ASSERT(j->due == batch); /* no row waits that has no key */
    j->due_count = batch->count;
    for (uint32_t i = 0; i < batch->count; i++)
        j->picks[i] = i;
    return 0;
}

/* The next of what is held is in work next. 1, or 0: nothing is due. */
static int use_held(struct leat__table_join *j, struct leat__ctx *ctx)
{
    struct leat_batch *batch, *ready;
    const uint32_t *rows;
    uint32_t count;
    if (!leat__held_due(&j->held, j->fired_us, UINT32_MAX, &batch, &rows, &count))
        return 0;
    LEAT_TRY(leat__rows_gather(ctx, batch, rows, count, &ready));
    ready->late = 0; /* they were not when they came */
    ready->late_wm_us = LEAT_TIME_MIN;
    (void)leat__held_take(&j->held, count);
    j->ready_first = j->ready_last = ready;
    const int code = use_ready(j, ctx);
    return code < 0 ? code : 1;
}

int leat__waiting_fire(struct leat__table_join *j, struct leat__ctx *ctx)
{
    uint32_t copied = 0;
    const int held = j->held.count > 0 ? use_held(j, ctx) : 0; /* then the tables are empty */
    if (held != 0)
        return held < 0 ? held : 0;
    while (!j->ready_first || copied < COPIED_PER_CALL) {
        int code;
        if (j->has_rest) {
            LEAT_TRY(copy_rest(j, ctx, &copied));
            continue;
        }
        if (!j->fire_cursor) {
            if (j->ready_first)
                break; /* one part after the other */
            code = next_part(j, ctx);
            if (code < 0)
                return code;
            if (code == 0) {
                j->is_firing = false;
                return 0;
            }
        }
        code = copy_next(j, ctx, &copied);
        if (code < 0)
            return code;
        if (code == 0)
            LEAT_TRY(end_part(j, ctx));
        else if (j->early_count >= EARLY_MAX && j->fire_level > 0)
            LEAT_TRY(move_early(j, ctx));
        if (copied >= EARLY_MAX && !j->ready_first)
            return LEAT_MORE;
    }
    return use_ready(j, ctx);
}
