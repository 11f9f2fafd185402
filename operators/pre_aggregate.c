/* operators/pre_aggregate.c -- the combiner of aggregates: rows of equal key and slice into one accumulator, as the
 * operator behind the exchange would add them, and accumulators into rows of its own type.
 *
 *   groups   key, slice, hash, times, count; found by open addressing; as many as the exchange has rows under way
 *   values   accumulators, one block, by group; what they keep beside is in an arena until all are taken
 *
 * Whether it pays is looked at in samples: when more than 2 of 10 rows make a group of their own, rows pass for a
 * while, each time for twice as long, and then it is tried again. Results do not depend on it, nor on when the edge
 * is flushed.
 *
 * Invariants: (1) rows == groups_count while nothing is being taken; (2) values of groups that are not there, and
 * their slots, are zero; (3) groups are taken in the order in which they came. */
#include "base/alloc.h"
#include "operators/pre_aggregate_private.h"
#include "operators/window_private.h"

#define CHUNK 256u
#define GROUPS_MAX 16384u
#define VALUES_BYTES_MAX (4u << 20) /* of accumulators, unless they are few */
#define GROUPS_MIN 16u
/* Accumulators that grow with every row stand for at most so many rows. */
#define ROWS_WITH_MEMORY_MAX 16384u
#define SAMPLE_ROWS 4096u
#define PASSING_ROWS_MIN 65536u
#define PASSING_ROWS_MAX (16u << 20)

struct group {
    uint64_t hash;
    int64_t slice;
    int64_t least_us, greatest_us;
    int64_t count;
    size_t key_at;
    uint32_t key_len;
    uint32_t slot;
};

struct pre_aggregate {
    struct leat_combiner combiner;
    const struct leat__aggregate_spec *spec;
    struct leat__column_scratch *scratches;
    struct leat__column_view *views;
    uint32_t groups_max, groups_count;
    uint32_t taken; /* groups that were given already */
    struct group *groups;
    unsigned char *values;
    uint32_t *slots; /* index of a group + 1; 2^slots_bits of them */
    uint32_t slots_bits;
    struct leat_strbuf keys; /* bytes of all groups */
    struct leat_strbuf encoded;
    struct leat_arena memory;
    uint64_t rows; /* in the groups */
    uint64_t sample_rows, sample_groups;
    uint64_t passing, passing_next; /* rows that pass; the next time */
    uint32_t rows_at[CHUNK];
    unsigned char *values_at[CHUNK];
    void *pointers[CHUNK];
};

static const struct leat_type bytes_type = { .kind = LEAT_KIND_BYTES,
    .name = "bytes",
    .size = sizeof(struct leat_sv),
    .align = _Alignof(struct leat_sv) };
static const struct leat_type long_type = {
    .kind = LEAT_KIND_LONG, .name = "long", .size = sizeof(int64_t), .align = _Alignof(int64_t)
};
static const struct leat_field partial_fields[] = {
    { .name = "key", .offset = offsetof(struct leat__partial, key), .type = &bytes_type },
    { .name = "values", .offset = offsetof(struct leat__partial, values), .type = &bytes_type },
    { .name = "count", .offset = offsetof(struct leat__partial, count), .type = &long_type },
    { .name = "least_us", .offset = offsetof(struct leat__partial, least_us), .type = &long_type },
};
const struct leat_type leat__partial_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "leat_partial",
    .size = sizeof(struct leat__partial),
    .align = _Alignof(struct leat__partial),
    .fields_count = sizeof partial_fields / sizeof partial_fields[0],
    .fields = partial_fields,
};

/* ---- life ---- */

static uint32_t choose_groups(const struct leat__aggregate_spec *spec, uint32_t rows_max)
{
    const uint32_t fit = VALUES_BYTES_MAX / (spec->values_size ? spec->values_size : 1);
    uint32_t count = rows_max < GROUPS_MAX ? rows_max : GROUPS_MAX;
    if (count > fit)
        count = fit > GROUPS_MIN ? fit : GROUPS_MIN;
    return count;
}

static int pre_init(struct leat_combiner *combiner, struct leat__ctx *ctx, uint32_t rows_max)
{
    struct pre_aggregate *p = (struct pre_aggregate *)combiner;
    const struct leat__aggregate_spec *spec = p->spec =
        combiner->node->spec; /* of groups, too: it is first */
    p->groups_max = choose_groups(spec, rows_max);
    p->slots_bits = 33u - (uint32_t)__builtin_clz(p->groups_max | 1u); /* at most half of them taken */
    p->passing_next = PASSING_ROWS_MIN;
    p->groups = leat__malloc(p->groups_max * sizeof *p->groups);
    p->values = leat__calloc(p->groups_max, spec->values_size + 1);
    p->slots = leat__calloc((size_t)1 << p->slots_bits, sizeof *p->slots);
    p->scratches = leat__calloc(spec->columns_count + 1, sizeof *p->scratches);
    p->views = leat__calloc(spec->columns_count + 1, sizeof *p->views);
    if (!p->groups || !p->values || !p->slots || !p->scratches || !p->views)
        return leat__rows_nomem(ctx, "combining rows");
    for (uint32_t i = 0; i < spec->columns_count; i++)
        LEAT_TRY(leat__column_init(&spec->columns[i], ctx, &p->scratches[i]));
    return 0;
}

static void pre_release(struct leat_combiner *combiner, struct leat__ctx *ctx)
{
    struct pre_aggregate *p = (struct pre_aggregate *)combiner;
    (void)ctx;
    for (uint32_t i = 0; p->scratches && i < p->spec->columns_count; i++)
        leat__column_release(&p->scratches[i]);
    leat__free(p->scratches);
    leat__free(p->views);
    leat__free(p->groups);
    leat__free(p->values);
    leat__free(p->slots);
    leat__strbuf_release(&p->keys);
    leat__strbuf_release(&p->encoded);
    leat__arena_release(&p->memory);
}

/* ---- rows to groups ---- */

static unsigned char *values_of(const struct pre_aggregate *p, uint32_t group)
{
    return p->values + (size_t)group * p->spec->values_size;
}

static bool is_group(const struct pre_aggregate *p, const struct group *g, uint64_t hash, int64_t slice,
    const struct leat_sv *key)
{
    return g->hash == hash && g->slice == slice && g->key_len == key->len &&
        (key->len == 0 || memcmp(p->keys.data + g->key_at, key->data, key->len) == 0);
}

/* The group of a row, made where there is none; groups_max: there is no room for it, or no memory. */
static uint32_t find_group(struct pre_aggregate *p, uint64_t hash, int64_t slice, const struct leat_sv *key)
{
    const uint32_t mask = (1u << p->slots_bits) - 1;
    const uint64_t mixed =
        (hash ^ ((uint64_t)slice * UINT64_C(0xff51afd7ed558ccd))) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(mixed >> (64 - p->slots_bits));
    for (; p->slots[at]; at = (at + 1) & mask)
        if (is_group(p, &p->groups[p->slots[at] - 1], hash, slice, key))
            return p->slots[at] - 1;
    if (p->groups_count == p->groups_max)
        return p->groups_max;
    const size_t key_at = p->keys.len;
    if (key->len)
        leat__strbuf_add(&p->keys, key->data, key->len);
    if (p->keys.failed) /* what it had is gone: nothing may be looked for any more */
        return p->groups_max;
    const uint32_t index = p->groups_count++;
    p->slots[at] = index + 1;
    p->groups[index] = (struct group){ .hash = hash,
        .slice = slice,
        .least_us = INT64_MAX,
        .greatest_us = INT64_MIN,
        .key_at = key_at,
        .key_len = (uint32_t)key->len,
        .slot = at };
    return index;
}

/* Groups of the rows from `from` on, up to a chunk of them: how many there was room for. */
static uint32_t find_groups(
    struct pre_aggregate *p, const struct leat_batch *batch, const struct leat_sv *keys, uint32_t from)
{
    struct leat__window slice = { LEAT_TIME_MAX, LEAT_TIME_MIN }; /* holds nothing */
    uint32_t count = 0;
    if (!p->spec->assigner)
        slice = (struct leat__window){ LEAT_TIME_MIN, LEAT_TIME_MAX };
    for (uint32_t row = from; row < batch->count && count < CHUNK; row++) {
        const int64_t us = batch->event_us[row];
        if (p->spec->assigner && !leat__window_holds(&slice, us))
            slice = leat__slice_of(p->spec->assigner, us);
        const uint32_t index = find_group(p, batch->key_hash[row], slice.start, &keys[row]);
        if (index == p->groups_max)
            break;
        struct group *g = &p->groups[index];
        g->count++;
        g->least_us = us < g->least_us ? us : g->least_us;
        g->greatest_us = us > g->greatest_us ? us : g->greatest_us;
        p->rows_at[count] = row;
        p->values_at[count++] = values_of(p, index);
    }
    return count;
}

static int add_rows(struct pre_aggregate *p, struct leat__ctx *ctx, const struct leat_batch *batch,
    const struct leat_sv *keys, uint32_t count)
{
    const struct leat__agg_pass pass = {
        .spec = p->spec,
        .ctx = ctx,
        .mem = { NULL, 0, &p->memory },
        .keys = keys,
        .batch = batch,
        .views = p->views,
        .rows = p->rows_at,
        .values = p->values_at,
        .count = count,
        .pointers = p->pointers,
    };
    if (p->spec->users_count) {
        LEAT_TRY(leat__agg_add_users(&pass));
        LEAT_TRY(leat__ctx_end(ctx, batch, NULL)); /* refusals end the job: others are not combined */
    }
    return leat__agg_add(&pass);
}

/* The columns of a batch. false: some row is refused, and so the operator shall see it. */
static int eval_columns(struct pre_aggregate *p, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    leat__ctx_begin(ctx, batch, NULL);
    for (uint32_t i = 0; i < p->spec->columns_count; i++)
        LEAT_TRY(leat__column_eval(&p->spec->columns[i], &p->scratches[i], ctx, batch, &p->views[i]));
    if (ctx->user.failures_count == 0)
        return 1;
    leat__ctx_begin(ctx, batch, NULL);
    return 0;
}

/* Whether the batch passes as it is, because others before it have hardly combined. */
static bool passes(struct pre_aggregate *p, uint32_t count)
{
    if (p->combiner.always || !p->passing)
        return false;
    p->passing -= p->passing < count ? p->passing : count;
    return true;
}

/* A row at the last time may be late without being behind anything, since its window ends where it begins; then it goes
 * to the late output as it is. */
static bool has_last_time(const struct leat_batch *batch)
{
    bool found = false;
    for (uint32_t i = 0; i < batch->count; i++)
        found |= batch->event_us[i] == LEAT_TIME_MAX;
    return found;
}

static int64_t pre_add(struct leat_combiner *combiner, struct leat__ctx *ctx, const struct leat_batch *batch,
    const struct leat_sv *keys, uint32_t from)
{
    struct pre_aggregate *p = (struct pre_aggregate *)combiner;
    uint32_t done = from;
    if (from == 0) {
        if (passes(p, batch->count) || (p->spec->assigner && has_last_time(batch)))
            return 0;
        const int evaluated = eval_columns(p, ctx, batch);
        if (evaluated <= 0)
            return evaluated;
    }
    while (done < batch->count) {
        if (p->spec->has_memory && p->rows >= ROWS_WITH_MEMORY_MAX)
            break;
        const uint32_t count = find_groups(p, batch, keys, done);
        combiner->rows = p->groups_count;
        if (p->keys.failed)
            return leat__rows_nomem(ctx, "keys");
        if (count == 0)
            break;
        LEAT_TRY(add_rows(p, ctx, batch, keys, count));
        p->rows += count;
        done += count;
    }
    combiner->is_full =
        p->groups_count == p->groups_max || (p->spec->has_memory && p->rows >= ROWS_WITH_MEMORY_MAX);
    return done - from;
}

/* ---- groups to partials ---- */

static int push_partial(struct pre_aggregate *p, struct leat__ctx *ctx, struct leat_batch *out,
    const struct group *g, uint32_t index)
{
    const void *values = values_of(p, index);
    size_t len = p->spec->values_size; /* they are encoded as they are, but for what they keep beside them */
    if (p->spec->has_memory) {
        leat__strbuf_clear(&p->encoded);
        if (leat__agg_encode_values(p->spec, values, &p->encoded) < 0)
            return leat__rows_nomem(ctx, "partial results");
        values = p->encoded.data;
        len = p->encoded.len;
    }
    unsigned char *bytes = leat__batch_alloc(out, len + g->key_len, 8);
    if (!bytes)
        return leat__rows_nomem(ctx, "partial results");
    if (len)
        memcpy(bytes, values, len);
    if (g->key_len)
        memcpy(bytes + len, p->keys.data + g->key_at, g->key_len);
    const uint32_t row = out->count;
    struct leat__partial *partial = leat__batch_push(out);
    *partial = (struct leat__partial){ .key = { (const char *)bytes + len, g->key_len },
        .values = { (const char *)bytes, len },
        .count = g->count,
        .least_us = g->least_us };
    out->event_us[row] = g->greatest_us;
    out->key_hash[row] = g->hash;
    return 0;
}

/* Judges a sample: whether rows pass for a while. */
static void judge(struct pre_aggregate *p)
{
    p->sample_rows += p->rows;
    p->sample_groups += p->groups_count;
    if (p->sample_rows < SAMPLE_ROWS)
        return;
    if (p->sample_groups * 10 > p->sample_rows * 2) {
        p->passing = p->passing_next;
        p->passing_next = p->passing_next < PASSING_ROWS_MAX ? p->passing_next * 2 : PASSING_ROWS_MAX;
    } else {
        p->passing_next = PASSING_ROWS_MIN;
    }
    p->sample_rows = p->sample_groups = 0;
}

/* Ready for new groups. (2) */
static void begin_anew(struct pre_aggregate *p)
{
    judge(p);
    memset(p->values, 0, (size_t)p->groups_count * p->spec->values_size);
    for (uint32_t i = 0; i < p->groups_count; i++)
        p->slots[p->groups[i].slot] = 0;
    leat__strbuf_clear(&p->keys);
    if (p->spec->has_memory)
        leat__arena_release(&p->memory);
    p->groups_count = p->taken = 0;
    p->rows = 0;
    p->combiner.is_full = false;
}

static int pre_take(struct leat_combiner *combiner, struct leat__ctx *ctx, struct leat_batch **batch)
{
    struct pre_aggregate *p = (struct pre_aggregate *)combiner;
    struct leat_batch *out = NULL;
    *batch = NULL;
    if (combiner->rows == 0)
        return 0;
    LEAT_TRY(leat__rows_get(ctx, &leat__partial_type, &out));
    while (p->taken < p->groups_count && !leat__batch_is_full(out)) {
        const int code = push_partial(p, ctx, out, &p->groups[p->taken], p->taken);
        if (code < 0) {
            leat__batch_release(out);
            return code;
        }
        p->taken++;
    }
    combiner->rows = p->groups_count - p->taken;
    if (combiner->rows == 0)
        begin_anew(p);
    *batch = out;
    return 0;
}

const struct leat_combine_class leat__pre_aggregate_windows = {
    .size = sizeof(struct pre_aggregate),
    .choose = leat__pre_aggregate_choose_windows,
    .init = pre_init,
    .add = pre_add,
    .take = pre_take,
    .release = pre_release,
};

const struct leat_combine_class leat__pre_aggregate_groups = {
    .size = sizeof(struct pre_aggregate),
    .choose = leat__pre_aggregate_choose_groups,
    .init = pre_init,
    .add = pre_add,
    .take = pre_take,
    .release = pre_release,
};
