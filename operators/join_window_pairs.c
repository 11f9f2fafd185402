/* operators/join_window_pairs.c -- all pairs of some keys: rows of the one side, block by block, meet the lists of
 * the other side, piece by piece.
 *
 * Calls on state make all that points into it void. So rows of a block are copies, but where a cursor keeps them; of the other side only one
 * part is looked at at a time, and what was paired with its rows is flushed before the next call on state. A call
 * that has done enough keeps its place as numbers. Of a list in which that place is far from the begin, the
 * piece is copied, too, when it is found again: to walk there for each batch of results would cost more than these.
 *
 * A row of the block is `matched` when one pair of it has satisfied the condition. Where only rows without a partner
 * are asked for, those that have one meet nobody any more.
 *
 * Invariants: (1) between calls p->piece shows p->piece_copy, or is void; (2) p->checks is 0 and the output is flushed
 * before a call on state and between calls; (3) rows of the block are in `order` by key, and in that order otherwise. */
#include "base/alloc.h"
#include "operators/join_window_private.h"
#include <string.h>

#define AHEAD 6u
#define FAR 4096u /* rows of a list before a place from which a piece is copied */

/* ---- life ---- */

int leat__pairing_init(struct leat__pairing *p, struct leat__ctx *ctx, const struct leat__join_spec *spec)
{
    p->spec = spec;
    p->judges = spec->where != NULL;
    p->phase = LEAT__PAIRING_DONE;
    const uint32_t out_rows = leat__pool_batch_rows(ctx->pool, ctx->node->outputs[0].type);
    p->checks_max = out_rows < LEAT__PAIRING_CHECKS ? out_rows : LEAT__PAIRING_CHECKS;
    LEAT_TRY(leat__join_output_new(spec, ctx, &p->output));
    leat__join_output_judged(p->output, true);
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        const struct leat_type *type = leat__input_type(ctx->node, side);
        const uint32_t rows = leat__pool_batch_rows(ctx->pool, type);
        p->block_max = rows > p->block_max ? rows : p->block_max;
        if (leat__copier_new(type, &p->copiers[side]) < 0)
            return leat__rows_nomem(ctx, "a join");
    }
    p->block_rows = leat__calloc(p->block_max, sizeof *p->block_rows);
    p->block_keys = leat__calloc(p->block_max, sizeof *p->block_keys);
    p->matched = leat__calloc(p->block_max, sizeof *p->matched);
    p->order = leat__calloc(p->block_max, sizeof *p->order);
    return p->block_rows && p->block_keys && p->matched && p->order ? 0 : leat__rows_nomem(ctx, "a join");
}

void leat__pairing_release(struct leat__pairing *p)
{
    leat__join_output_free(p->output);
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        leat__copier_free(p->copiers[side]);
    leat__batch_release(p->block);
    leat__batch_release(p->piece_copy);
    leat__strbuf_release(&p->key_bytes);
    leat__free(p->block_rows);
    leat__free(p->block_keys);
    leat__free(p->matched);
    leat__free(p->order);
}

int leat__pairing_add_part(
    struct leat__ctx *ctx, struct leat__pairing_parts *parts, struct leat_table *table, int64_t ns)
{
    if (parts->count == parts->capacity) {
        const uint32_t capacity = parts->capacity ? 2 * parts->capacity : 8;
        struct leat__pairing_part *list = leat__realloc(parts->list, capacity * sizeof *list);
        if (!list)
            return leat__rows_nomem(ctx, "the slices of a window");
        parts->list = list;
        parts->capacity = capacity;
    }
    parts->list[parts->count++] = (struct leat__pairing_part){ table, ns };
    return 0;
}

/* ---- what is to be done ---- */

void leat__pairing_begin_call(struct leat__pairing *p)
{
    p->scanned = 0;
    *leat__join_output_given(p->output) = 0;
}

void leat__pairing_begin_keys(struct leat__pairing *p)
{
    p->keys_count = 0;
    p->is_pinned = false;
    leat__strbuf_clear(&p->key_bytes);
}

/* The bytes may move while keys are added: until leat__pairing_begin a key's data is its offset. */
int leat__pairing_add_key(struct leat__pairing *p, struct leat__ctx *ctx, struct leat_sv key, uint64_t hash)
{
    LEAT_ASSERT(p->keys_count < LEAT__PAIRING_KEYS);
    p->keys[p->keys_count] = (struct leat_sv){ NULL, key.len };
    p->hashes[p->keys_count++] = hash;
    leat__strbuf_add(&p->key_bytes, key.data, key.len);
    return p->key_bytes.failed ? leat__rows_nomem(ctx, "keys") : 0;
}

void leat__pairing_pin_keys(struct leat__pairing *p, const struct leat_cursor_item *items, uint32_t count)
{
    LEAT_ASSERT(count <= LEAT__PAIRING_KEYS && p->keys_count == 0);
    for (uint32_t k = 0; k < count; k++) {
        p->keys[k] = items[k].key;
        p->hashes[k] = items[k].hash;
        p->own_lists[k] = items[k].value;
    }
    p->keys_count = count;
    p->is_pinned = true;
}

static void settle_keys(struct leat__pairing *p)
{
    size_t at = 0;
    if (p->is_pinned)
        return;
    for (uint32_t k = 0; k < p->keys_count; k++) {
        p->keys[k].data = p->key_bytes.data ? p->key_bytes.data + at : "";
        at += p->keys[k].len;
    }
}

void leat__pairing_begin(struct leat__pairing *p)
{
    settle_keys(p);
    p->phase = LEAT__PAIRING_LOAD;
    p->load_part = p->load_key = 0;
    p->load_at = 0;
    p->load_next = NULL;
    p->loaded = false;
}

static int get_block(struct leat__pairing *p, struct leat__ctx *ctx)
{
    leat__batch_release(p->block);
    p->block = NULL;
    p->block_count = 0;
    return p->is_pinned ? 0 : leat__rows_get(ctx, leat__input_type(ctx->node, p->side), &p->block);
}

/* Copies a row to the block. */
static int add_to_block(struct leat__pairing *p, struct leat__ctx *ctx, const void *record, uint32_t key)
{
    if (leat__copy_push(p->copiers[p->side], p->block, record) < 0)
        return leat__rows_nomem(ctx, "records");
    p->block_rows[p->block_count] = leat_batch_at(p->block, p->block->count - 1);
    p->block_keys[p->block_count++] = (uint16_t)key;
    return 0;
}

/* The rows of the block by key, none of them matched; MEET begins. */
static void begin_meet(struct leat__pairing *p)
{
    memset(p->starts, 0, (p->keys_count + 1) * sizeof p->starts[0]);
    for (uint32_t i = 0; i < p->block_count; i++)
        p->starts[p->block_keys[i] + 1]++;
    for (uint32_t k = 0; k < p->keys_count; k++)
        p->starts[k + 1] += p->starts[k];
    for (uint32_t i = 0; i < p->block_count; i++)
        p->order[p->starts[p->block_keys[i]]++] = i;
    for (uint32_t k = p->keys_count; k > 0; k--)
        p->starts[k] = p->starts[k - 1];
    p->starts[0] = 0;
    memset(p->matched, 0, p->block_count);
    p->phase = LEAT__PAIRING_MEET;
    p->part = p->key = 0;
    p->in_key = p->has_lists = p->piece_stands = false;
}

int leat__pairing_begin_row(
    struct leat__pairing *p, struct leat__ctx *ctx, const struct leat_batch *batch, uint32_t row)
{
    settle_keys(p);
    LEAT_TRY(get_block(p, ctx));
    LEAT_TRY(add_to_block(p, ctx, leat_batch_at(batch, row), 0));
    p->loaded = true;
    begin_meet(p);
    return 0;
}

/* ---- blocks ---- */

/* The first row of a list that is soon looked at: two lines, so that the record is near, too. */
static inline void prefetch_list(const struct leat__pairing *p, uint32_t i, uint32_t count)
{
    if (i < count) {
        __builtin_prefetch(p->lists[i]);
        __builtin_prefetch((const char *)p->lists[i] + 64);
    }
}

/* Copies the rows of one key of a part from load_at on. False: the block is full. */
static int load_list(struct leat__pairing *p, struct leat__ctx *ctx, const struct leat_list_row *row)
{
    for (uint64_t i = 0; row && i < p->load_at; i++)
        row = row->next;
    for (; row; row = row->next) {
        if (leat__batch_is_full(p->block))
            return LEAT_MORE;
        LEAT_TRY(add_to_block(p, ctx, row->record, p->load_key));
        p->load_at++;
    }
    p->load_at = 0;
    return 0;
}

/* The next rows of the keys, which stay where they are. */
static void load_pinned(struct leat__pairing *p)
{
    uint32_t n = 0;
    for (; p->load_key < p->keys_count; p->load_key++, p->load_next = NULL) {
        const struct leat_list_row *row = p->load_next ? p->load_next : p->own_lists[p->load_key];
        if (p->load_key + AHEAD < p->keys_count)
            __builtin_prefetch(p->own_lists[p->load_key + AHEAD]);
        for (; row && n < p->block_max; row = row->next) {
            p->block_rows[n] = row->record;
            p->block_keys[n++] = (uint16_t)p->load_key;
        }
        if (row) {
            p->load_next = row;
            break;
        }
    }
    p->loaded = p->load_key == p->keys_count;
    p->block_count = n;
}

static void end_load(struct leat__pairing *p)
{
    p->scanned += p->block_count;
    if (p->block_count == 0)
        p->phase = LEAT__PAIRING_DONE;
    else
        begin_meet(p);
}

/* The next rows of the keys. */
static int load(struct leat__pairing *p, struct leat__ctx *ctx)
{
    const struct leat__pairing_parts *parts = p->parts[p->side];
    LEAT_TRY(get_block(p, ctx));
    if (p->is_pinned) {
        load_pinned(p);
        end_load(p);
        return 0;
    }
    for (; p->load_part < parts->count; p->load_part++) {
        const struct leat__pairing_part *part = &parts->list[p->load_part];
        const uint32_t first = p->load_key;
        if (leat__table_lists(part->table, part->ns, p->keys + first, p->hashes + first, NULL,
                p->keys_count - first, p->lists, ctx->error) < 0)
            return leat__fail_here(ctx);
        for (; p->load_key < p->keys_count; p->load_key++) {
            prefetch_list(p, p->load_key - first + AHEAD, p->keys_count - first);
            const int code = load_list(p, ctx, p->lists[p->load_key - first]);
            if (code < 0)
                return code;
            if (code == LEAT_MORE)
                goto full;
        }
        p->load_key = 0;
    }
    p->loaded = true;
full:
    end_load(p);
    return 0;
}

/* ---- pairs ---- */

static int give(
    struct leat__pairing *p, struct leat__ctx *ctx, uint32_t key, const void *own, const void *other)
{
    p->made.key_hash = p->hashes[key];
    if (p->windows) {
        p->made.window_start_us = p->windows[key].start;
        p->made.window_end_us = p->made.event_us = p->windows[key].end;
    }
    p->made.left = p->side == LEAT__LEFT ? own : other;
    p->made.right = p->side == LEAT__LEFT ? other : own;
    return leat__join_output_pair(p->output, ctx, &p->made);
}

/* Judges the pairs that wait. */
static int judge(struct leat__pairing *p, struct leat__ctx *ctx)
{
    if (p->checks == 0)
        return 0;
    LEAT_TRY(leat__join_matches(
        p->output, ctx, p->check[LEAT__LEFT], p->check[LEAT__RIGHT], p->checks, p->check_ok));
    for (uint32_t i = 0; i < p->checks; i++) {
        if (!p->check_ok[i])
            continue;
        p->matched[p->check_rows[i]] = 1;
        if (p->gives_pairs)
            LEAT_TRY(
                give(p, ctx, p->block_keys[p->check_rows[i]], p->check[p->side][i], p->check[!p->side][i]));
    }
    p->checks = 0;
    return 0;
}

/* (2) */
static int flush(struct leat__pairing *p, struct leat__ctx *ctx)
{
    LEAT_TRY(judge(p, ctx));
    return leat__join_output_flush(p->output, ctx);
}

static int meet(struct leat__pairing *p, struct leat__ctx *ctx, uint32_t row, const void *other)
{
    const void *own = p->block_rows[row];
    if (!p->judges) {
        p->matched[row] = 1;
        return p->gives_pairs ? give(p, ctx, p->key, own, other) : 0;
    }
    p->check[p->side][p->checks] = own;
    p->check[!p->side][p->checks] = other;
    p->check_rows[p->checks] = row;
    return ++p->checks == p->checks_max ? judge(p, ctx) : 0;
}

/* ---- lists of the other side ---- */

/* The lists of the part, from p->key on; the piece is found anew. */
static int find_lists(struct leat__pairing *p, struct leat__ctx *ctx)
{
    const struct leat__pairing_part *part = &p->parts[!p->side]->list[p->part];
    if (leat__table_lists(part->table, part->ns, p->keys + p->key, p->hashes + p->key, NULL,
            p->keys_count - p->key, p->lists + p->key, ctx->error) < 0)
        return leat__fail_here(ctx);
    p->has_lists = true;
    p->after = p->lists[p->key];
    for (uint64_t i = 0; p->in_key && i < p->from; i++)
        p->after = p->after->next;
    return 0;
}

static int copy_piece(struct leat__pairing *p, struct leat__ctx *ctx)
{
    const uint32_t side = !p->side;
    leat__batch_release(p->piece_copy);
    p->piece_copy = NULL;
    LEAT_TRY(leat__rows_get(ctx, leat__input_type(ctx->node, side), &p->piece_copy));
    uint32_t i = 0;
    for (; i < p->piece_count && !leat__batch_is_full(p->piece_copy); i++) {
        if (leat__copy_push(p->copiers[side], p->piece_copy, p->piece[i]) < 0)
            return leat__rows_nomem(ctx, "records");
        p->piece[i] = leat_batch_at(p->piece_copy, i);
    }
    if (i < p->piece_count) { /* large records: the rest is another piece */
        p->piece_count = i;
        p->piece_is_last = p->has_lists = false;
    }
    return 0;
}

/* The rows from p->after on, up to a piece. */
static int take_piece(struct leat__pairing *p, struct leat__ctx *ctx)
{
    uint32_t count = 0;
    while (p->after && count < LEAT__PAIRING_PIECE) {
        p->piece[count++] = p->after->record;
        p->after = p->after->next;
    }
    p->piece_count = count;
    p->piece_is_last = !p->after;
    p->piece_stands = true;
    leat__batch_release(p->piece_copy);
    p->piece_copy = NULL;
    return p->from >= FAR ? copy_piece(p, ctx) : 0;
}

/* Other operators of the worker may come next. */
static int pause_meeting(struct leat__pairing *p, struct leat__ctx *ctx)
{
    LEAT_TRY(flush(p, ctx));
    p->has_lists = false;
    p->piece_stands = p->piece_stands && p->piece_copy;
    return LEAT_MORE;
}

/* All pairs of a row with the rest of the piece, where nothing is to be asked about them and the watermark has not
 * passed them. */
static int meet_plain(struct leat__pairing *p, struct leat__ctx *ctx, uint32_t row, int64_t event_us)
{
    struct leat__join_lane *lane = &p->output->lanes[LEAT__JOIN_ON_TIME];
    const void **owns = p->side == LEAT__LEFT ? lane->left : lane->right;
    const void **others = p->side == LEAT__LEFT ? lane->right : lane->left;
    const void *own = p->block_rows[row];
    const uint64_t hash = p->hashes[p->key];
    p->matched[row] |= p->at < p->piece_count;
    while (p->at < p->piece_count) {
        if (leat__pairing_is_spent(p))
            return pause_meeting(p, ctx);
        uint32_t most = p->piece_count - p->at;
        most = lane->room - lane->count < most ? lane->room - lane->count : most;
        most = LEAT__PAIRING_SCANNED - p->scanned < most ? LEAT__PAIRING_SCANNED - p->scanned : most;
        const void *const *piece = p->piece + p->at;
        const uint32_t first = lane->count;
        for (uint32_t i = 0; i < most; i++) {
            owns[first + i] = own;
            others[first + i] = piece[i];
            lane->event_us[first + i] = event_us;
            lane->key_hash[first + i] = hash;
        }
        lane->count += most;
        p->at += most;
        p->scanned += most;
        if (lane->count == lane->room)
            LEAT_TRY(leat__join_output_full(p->output, ctx));
    }
    return 0;
}

/* The rows of the key meet the piece. */
static int meet_piece(struct leat__pairing *p, struct leat__ctx *ctx)
{
    const uint32_t end = p->starts[p->key + 1];
    const int64_t event_us = p->windows ? p->windows[p->key].end : p->made.event_us;
    leat__join_output_begin(p->output, ctx);
    const bool is_plain = p->gives_pairs && !p->judges && event_us > p->output->plain_after_us;
    for (; p->row < end; p->row++, p->at = 0) {
        const uint32_t row = p->order[p->row];
        if (!p->gives_pairs && p->matched[row])
            continue;
        const int code = is_plain ? meet_plain(p, ctx, row, event_us) : 0;
        if (code != 0)
            return code;
        for (; p->at < p->piece_count; p->at++) {
            if (leat__pairing_is_spent(p))
                return pause_meeting(p, ctx);
            p->scanned++;
            LEAT_TRY(meet(p, ctx, row, p->piece[p->at]));
            if (!p->gives_pairs && !p->judges)
                break;
        }
    }
    return 0;
}

static int meet_key(struct leat__pairing *p, struct leat__ctx *ctx)
{
    for (;;) {
        if (!p->piece_stands) {
            if (!p->has_lists)
                LEAT_TRY(find_lists(p, ctx));
            LEAT_TRY(take_piece(p, ctx));
        }
        const int code = meet_piece(p, ctx);
        if (code != 0)
            return code;
        p->piece_stands = false;
        if (p->piece_is_last)
            return 0;
        p->from += p->piece_count;
        p->row = p->starts[p->key];
        p->at = 0;
    }
}

/* The keys of the block meet one part of the other side. */
static int meet_part(struct leat__pairing *p, struct leat__ctx *ctx)
{
    for (; p->key < p->keys_count; p->key++, p->in_key = false) {
        if (p->has_lists)
            prefetch_list(p, p->key + AHEAD, p->keys_count);
        if (p->starts[p->key] == p->starts[p->key + 1])
            continue;
        if (!p->in_key) {
            if (!p->has_lists)
                LEAT_TRY(find_lists(p, ctx));
            if (!p->lists[p->key])
                continue;
            p->after = p->lists[p->key];
            p->in_key = true;
            p->row = p->starts[p->key];
            p->from = p->at = 0;
        }
        const int code = meet_key(p, ctx);
        if (code != 0)
            return code;
    }
    return flush(p, ctx);
}

static int meet_all(struct leat__pairing *p, struct leat__ctx *ctx)
{
    for (; p->part < p->parts[!p->side]->count; p->part++, p->key = 0, p->has_lists = false) {
        const int code = meet_part(p, ctx);
        if (code != 0)
            return code;
    }
    p->phase = LEAT__PAIRING_LONE;
    p->row = 0;
    return 0;
}

/* Rows of the block that have found nobody. */
static int give_lone(struct leat__pairing *p, struct leat__ctx *ctx)
{
    for (; p->gives_lone && p->row < p->block_count; p->row++) {
        if (p->matched[p->row])
            continue;
        if (leat__pairing_is_spent(p)) {
            LEAT_TRY(flush(p, ctx));
            return LEAT_MORE;
        }
        LEAT_TRY(give(p, ctx, p->block_keys[p->row], p->block_rows[p->row], NULL));
    }
    p->phase = p->loaded ? LEAT__PAIRING_DONE : LEAT__PAIRING_LOAD;
    return flush(p, ctx); /* the block goes */
}

int leat__pairing_run(struct leat__pairing *p, struct leat__ctx *ctx)
{
    while (p->phase != LEAT__PAIRING_DONE) {
        const int code = p->phase == LEAT__PAIRING_LOAD ? load(p, ctx)
            : p->phase == LEAT__PAIRING_MEET            ? meet_all(p, ctx)
                                                        : give_lone(p, ctx);
        if (code != 0)
            return code;
    }
    leat__batch_release(p->block);
    p->block = NULL;
    return 0;
}
