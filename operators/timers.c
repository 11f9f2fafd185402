/* operators/timers.c -- the timers of one kind.
 *
 * All of them are in a table: namespace = bucket of time, key = time | owner's bytes | key; so they are in
 * checkpoints, spill, and are there once. The next ones are in memory as well, in a heap:
 *
 *   set       into the table; if it is at or before the limit, into the heap too
 *   delete    out of the table; the heap is not told
 *   next      the top of the heap. Empty: load the first bucket, if it may have some that are due
 *   take      off the heap; it goes off if the table has it still
 *   load      go through the bucket and keep the first KEPT_MAX of it, by time and key; the limit is the last
 *             one of them, or the bucket's end
 *
 * Buckets are wide (about a minute), so that timers far ahead make few namespaces, and a bucket with very many
 * timers is gone through several times rather than held in memory. A bucket is dropped when all its timers
 * have gone off.
 *
 * Invariants: (1) every timer of the table up to the limit is in the heap; (2) what is in the heap and not in
 * the table was deleted, or has gone off. */
#include "operators/timers_private.h"
#include "base/hash.h"
#include "operators/rows_private.h"
#include "operators/window_private.h"

#define BUCKET_SHIFT 26u /* 67 seconds */
#define KEPT_MAX 32768u
#define LOADED_PER_CALL 8192u /* timers that one call goes through: with a selection under 3 ms */
#define ITEMS 64u
#define SQUEEZED_MIN 65536u /* bytes of keys */
#define TIME_BYTES sizeof(uint64_t)

static int64_t bucket_of(int64_t time_us)
{
    return time_us >> BUCKET_SHIFT;
}

static int64_t bucket_start_us(int64_t bucket)
{
    return (int64_t)((uint64_t)bucket << BUCKET_SHIFT);
}

static int64_t bucket_last_us(int64_t bucket)
{
    return bucket_start_us(bucket) + ((INT64_C(1) << BUCKET_SHIFT) - 1);
}

static int64_t time_of(const char *key)
{
    uint64_t bits;
    memcpy(&bits, key, sizeof bits);
    return (int64_t)(__builtin_bswap64(bits) ^ (UINT64_C(1) << 63));
}

/* ---- the heap ---- */

static struct leat_sv key_of(const struct leat__timers *timers, const struct leat__timer *timer)
{
    return (struct leat_sv){ timers->bytes.data + timer->at, timer->len };
}

static bool is_before(
    const struct leat__timers *timers, const struct leat__timer *a, const struct leat__timer *b)
{
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us;
    for (uint32_t i = 0; i < 2; i++)
        if (a->order[i] != b->order[i])
            return a->order[i] < b->order[i];
    return leat_sv_cmp(key_of(timers, a), key_of(timers, b)) < 0;
}

static void sift_down(struct leat__timers *timers, uint32_t at)
{
    struct leat__timer *heap = timers->heap;
    const struct leat__timer timer = heap[at];
    for (uint32_t child; (child = 2 * at + 1) < timers->count; at = child) {
        if (child + 1 < timers->count && is_before(timers, &heap[child + 1], &heap[child]))
            child++;
        if (!is_before(timers, &heap[child], &timer))
            break;
        heap[at] = heap[child];
    }
    heap[at] = timer;
}

static void sift_up(struct leat__timers *timers, uint32_t at)
{
    struct leat__timer *heap = timers->heap;
    const struct leat__timer timer = heap[at];
    for (; at > 0 && is_before(timers, &timer, &heap[(at - 1) / 2]); at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = timer;
}

static void heapify(struct leat__timers *timers)
{
    for (uint32_t i = timers->count / 2; i-- > 0;)
        sift_down(timers, i);
}

/* Bytes of timers that have left are squeezed out once they are more than half. */
static int squeeze(struct leat__timers *timers)
{
    struct leat_strbuf *to = &timers->spare;
    if (timers->bytes.len < SQUEEZED_MIN || timers->used > timers->bytes.len / 2)
        return 0;
    leat__strbuf_clear(to);
    for (uint32_t i = 0; i < timers->count; i++) {
        const struct leat_sv key = key_of(timers, &timers->heap[i]);
        timers->heap[i].at = (uint32_t)to->len;
        leat__strbuf_add(to, key.data, key.len);
    }
    if (to->failed)
        return LEAT_ENOMEM; /* with the heap void: the job fails */
    const struct leat_strbuf from = timers->bytes;
    timers->bytes = *to;
    timers->spare = from;
    return 0;
}

static int push(struct leat__timers *timers, int64_t time_us, struct leat_sv key)
{
    if (timers->count == timers->capacity) {
        const uint32_t capacity = timers->capacity ? 2 * timers->capacity : 256;
        struct leat__timer *heap = leat__realloc(timers->heap, capacity * sizeof *heap);
        if (!heap)
            return LEAT_ENOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    LEAT_TRY(squeeze(timers));
    if (timers->bytes.len + key.len > UINT32_MAX)
        return LEAT_ELIMIT;
    struct leat__timer *timer = &timers->heap[timers->count++];
    *timer = (struct leat__timer){ time_us, { 0 }, (uint32_t)timers->bytes.len, (uint32_t)key.len };
    const size_t behind = key.len - TIME_BYTES;
    memcpy(timer->order, key.data + TIME_BYTES, behind < sizeof timer->order ? behind : sizeof timer->order);
    timer->order[0] = __builtin_bswap64(timer->order[0]);
    timer->order[1] = __builtin_bswap64(timer->order[1]);
    leat__strbuf_add(&timers->bytes, key.data, key.len);
    timers->used += key.len;
    return timers->bytes.failed ? LEAT_ENOMEM : 0;
}

static void pop(struct leat__timers *timers)
{
    struct leat__timer *heap = timers->heap;
    const uint32_t count = timers->count - 1;
    uint32_t at = 0;
    timers->used -= heap[0].len;
    /* The gap goes to the bottom, where the last timer comes from, mostly to stay: half the comparisons. */
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && is_before(timers, &heap[child + 1], &heap[child]))
            child++;
        heap[at] = heap[child];
    }
    timers->count = count;
    heap[at] = heap[count];
    if (at < count)
        sift_up(timers, at);
}

/* ---- life ---- */

/* A timer's value is the byte 1: two of them are one. */
static int merge_same(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    (void)arg;
    (void)older;
    leat__strbuf_add(out, newer.data, newer.len);
    return out->failed ? LEAT_ENOMEM : 0;
}

int leat__timers_open(
    struct leat__timers *timers, struct leat__ctx *ctx, const struct leat__timers_opts *opts)
{
    const uint32_t skip = (uint32_t)TIME_BYTES + opts->owner_bytes;
    struct leat_strbuf key_text = { 0 };
    leat__strbuf_printf(&key_text, "time%s%s, %s", opts->owner_bytes ? ", " : "",
        opts->owner_bytes ? opts->owner : "", opts->key_types);
    const struct leat_table_opts table = {
        .node = ctx->node->name,
        .name = opts->name,
        .kind = LEAT_TABLE_FIXED,
        .key_size = opts->key_size ? opts->key_size + skip : 0,
        .value_size = 8,
        .codec = { .merge = merge_same },
        .key_text = key_text.data,
        .format = "v1; timers in buckets of 2^26 us",
        .route = { LEAT_ROUTE_SKIP, skip },
    };
    timers->skip = skip;
    timers->may_be_void = opts->may_be_void;
    const int code = key_text.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for timers")
                                     : leat__table_open(ctx->state, &table, &timers->table, ctx->error);
    leat__strbuf_release(&key_text);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

void leat__timers_close(struct leat__timers *timers)
{
    leat__cursor_close(timers->cursor);
    leat__table_close(timers->table);
    leat__free(timers->heap);
    leat__strbuf_release(&timers->bytes);
    leat__strbuf_release(&timers->spare);
    leat__strbuf_release(&timers->limit_key);
    leat__strbuf_release(&timers->key);
}

/* ---- setting and deleting ---- */

static int make_key(struct leat__timers *timers, struct leat__ctx *ctx, int64_t time_us,
    struct leat_sv middle, struct leat_sv key, struct leat_sv *made)
{
    const uint64_t bits = __builtin_bswap64((uint64_t)time_us ^ (UINT64_C(1) << 63));
    LEAT_ASSERT(middle.len + TIME_BYTES == timers->skip);
    struct leat_strbuf *to = &timers->key;
    const size_t len = TIME_BYTES + middle.len + key.len;
    leat__strbuf_clear(to);
    if (!leat__strbuf_reserve(to, len))
        return leat__rows_nomem(ctx, "a timer");
    memcpy(to->data, &bits, sizeof bits);
    if (middle.len)
        memcpy(to->data + TIME_BYTES, middle.data, middle.len);
    if (key.len)
        memcpy(to->data + TIME_BYTES + middle.len, key.data, key.len);
    to->len = len;
    *made = (struct leat_sv){ timers->key.data, timers->key.len };
    return 0;
}

/* (1) */
static bool is_within_limit(const struct leat__timers *timers, int64_t time_us, struct leat_sv key)
{
    if (!timers->has_limit || time_us != timers->limit_us)
        return timers->has_limit && time_us < timers->limit_us;
    return timers->limit_key.len == 0 ||
        leat_sv_cmp(key, (struct leat_sv){ timers->limit_key.data, timers->limit_key.len }) <= 0;
}

int leat__timers_set(struct leat__timers *timers, struct leat__ctx *ctx, int64_t time_us,
    struct leat_sv middle, struct leat_sv key)
{
    struct leat_sv whole;
    void *value;
    LEAT_TRY(make_key(timers, ctx, time_us, middle, key, &whole));
    const uint64_t hash = leat__hash(whole.data, whole.len);
    if (leat__table_upsert_blind(
            timers->table, bucket_of(time_us), &whole, &hash, NULL, 1, &value, ctx->error) < 0)
        return leat__fail_here(ctx);
    uint64_t *is_set = value;
    if (*is_set)
        return 0;
    *is_set = 1;
    if (!is_within_limit(timers, time_us, whole))
        return 0;
    if (push(timers, time_us, whole) < 0)
        return leat__rows_nomem(ctx, "timers");
    sift_up(timers, timers->count - 1);
    return 0;
}

int leat__timers_delete(struct leat__timers *timers, struct leat__ctx *ctx, int64_t time_us,
    struct leat_sv middle, struct leat_sv key)
{
    struct leat_sv whole;
    LEAT_TRY(make_key(timers, ctx, time_us, middle, key, &whole));
    return leat__table_remove(
               timers->table, bucket_of(time_us), whole, leat__hash(whole.data, whole.len), ctx->error) < 0
        ? leat__fail_here(ctx)
        : 0;
}

int leat__timers_clear(struct leat__timers *timers, struct leat__ctx *ctx)
{
    int64_t bucket;
    int found;
    while ((found = leat__table_next_namespace(timers->table, LEAT_TIME_MIN, &bucket, ctx->error)) > 0)
        if (leat__table_drop(timers->table, bucket, ctx->error) < 0)
            return leat__fail_here(ctx);
    timers->count = 0;
    timers->used = 0;
    timers->has_limit = false;
    return found < 0 ? leat__fail_here(ctx) : 0;
}

/* ---- loading ---- */

static int set_limit(struct leat__timers *timers, int64_t limit_us, struct leat_sv key)
{
    timers->has_limit = true;
    timers->limit_us = limit_us;
    leat__strbuf_clear(&timers->limit_key);
    leat__strbuf_add(&timers->limit_key, key.data, key.len);
    return timers->limit_key.failed ? LEAT_ENOMEM : 0;
}

/* Before and behind a pivot: how many are before it, which stands behind these then. */
static uint32_t divide(
    const struct leat__timers *timers, struct leat__timer *from, uint32_t count, uint32_t pivot)
{
    const struct leat__timer middle = from[pivot];
    uint32_t before = 0;
    from[pivot] = from[count - 1];
    for (uint32_t i = 0; i + 1 < count; i++) {
        const struct leat__timer timer = from[i];
        from[i] = from[before];
        from[before] = timer;
        before += is_before(timers, &timer, &middle);
    }
    from[count - 1] = from[before];
    from[before] = middle;
    return before;
}

/* Brings the first `kept` to the front, the last of them to the end of these. Pivots are drawn, so that no order of
 * timers makes it slow. */
static void select_first(struct leat__timers *timers, uint32_t kept)
{
    uint32_t from = 0, count = timers->count;
    uint64_t random = 1;
    while (count > 1) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        const uint32_t pivot = (uint32_t)(((random >> 32) * count) >> 32);
        const uint32_t before = divide(timers, timers->heap + from, count, pivot);
        if (from + before + 1 == kept)
            return;
        if (from + before + 1 > kept) {
            count = before;
        } else {
            from += before + 1;
            count -= before + 1;
        }
    }
}

/* Keeps the first KEPT_MAX of what was gathered, in no order, and sets the limit. */
static int keep_first(struct leat__timers *timers)
{
    const uint32_t count = timers->count < KEPT_MAX ? timers->count : KEPT_MAX;
    select_first(timers, count);
    timers->count = count;
    timers->used = 0;
    for (uint32_t i = 0; i < count; i++)
        timers->used += timers->heap[i].len;
    const struct leat__timer *last = &timers->heap[timers->count - 1];
    LEAT_TRY(set_limit(timers, last->time_us, key_of(timers, last)));
    return squeeze(timers);
}

static int gather(struct leat__timers *timers, struct leat_sv key)
{
    const int64_t time_us = time_of(key.data);
    if (timers->has_limit && !is_within_limit(timers, time_us, key))
        return 0;
    LEAT_TRY(push(timers, time_us, key));
    return timers->count == 2 * KEPT_MAX ? keep_first(timers) : 0;
}

/* Goes through the bucket, some timers at a time. Until it has ended the limit, where there is one, says what
 * need not be looked at. */
static int load_some(struct leat__timers *timers, struct leat__ctx *ctx)
{
    struct leat_cursor_item items[ITEMS];
    for (uint32_t seen = 0; seen < LOADED_PER_CALL;) {
        const int64_t count = leat__cursor_next(timers->cursor, items, ITEMS, ctx->error);
        if (count < 0)
            return leat__fail_here(ctx);
        for (int64_t i = 0; i < count; i++)
            if (gather(timers, items[i].key) < 0)
                return leat__rows_nomem(ctx, "timers");
        if (count == 0) {
            leat__cursor_close(timers->cursor);
            timers->cursor = NULL;
            return 0;
        }
        seen += (uint32_t)count;
    }
    return LEAT__TIMERS_MORE;
}

static int end_load(struct leat__timers *timers, struct leat__ctx *ctx)
{
    int code = 0;
    if (!timers->has_limit)
        code = set_limit(timers, bucket_last_us(timers->bucket), (struct leat_sv){ "", 0 });
    if (code < 0)
        return leat__rows_nomem(ctx, "timers");
    heapify(timers);
    return 0;
}

/* The heap is empty, so nothing is left up to the limit (1): whole buckets go. */
static int drop_done(struct leat__timers *timers, struct leat__ctx *ctx)
{
    int64_t bucket;
    int found = 0;
    LEAT_ASSERT(timers->count == 0);
    if (!timers->has_limit || timers->limit_key.len > 0)
        return 0;
    while ((found = leat__table_next_namespace(timers->table, LEAT_TIME_MIN, &bucket, ctx->error)) > 0 &&
        bucket_last_us(bucket) <= timers->limit_us)
        if (leat__table_drop(timers->table, bucket, ctx->error) < 0)
            return leat__fail_here(ctx);
    return found < 0 ? leat__fail_here(ctx) : 0;
}

/* Begins with the first bucket: 1, or 0 where it is not due by then, and nothing is up to that time. */
static int begin_load(struct leat__timers *timers, struct leat__ctx *ctx, int64_t until_us)
{
    int64_t bucket;
    LEAT_TRY(drop_done(timers, ctx));
    const int found = leat__table_next_namespace(timers->table, LEAT_TIME_MIN, &bucket, ctx->error);
    if (found < 0)
        return leat__fail_here(ctx);
    if (!found || bucket_start_us(bucket) > until_us)
        return set_limit(timers, until_us, (struct leat_sv){ "", 0 }) < 0 ? leat__rows_nomem(ctx, "timers")
                                                                          : 0;
    if (leat__cursor_open(timers->table, bucket, LEAT_CURSOR_READ, &timers->cursor, ctx->error) < 0)
        return leat__fail_here(ctx);
    timers->bucket = bucket;
    timers->has_limit = false;
    return 1;
}

int leat__timers_next(struct leat__timers *timers, struct leat__ctx *ctx, int64_t until_us, int64_t *time_us)
{
    for (;;) {
        if (timers->cursor) {
            const int code = load_some(timers, ctx);
            if (code != 0)
                return code;
            LEAT_TRY(end_load(timers, ctx));
        }
        if (timers->count > 0) {
            *time_us = timers->heap[0].time_us;
            return *time_us <= until_us;
        }
        if (timers->has_limit && timers->limit_us >= until_us && timers->limit_key.len == 0)
            return 0;
        const int begun = begin_load(timers, ctx, until_us);
        if (begun <= 0)
            return begun;
    }
}

int leat__timers_take(struct leat__timers *timers, struct leat__ctx *ctx, struct leat_strbuf *key)
{
    const struct leat__timer timer = timers->heap[0];
    const struct leat_sv whole = key_of(timers, &timer);
    const uint64_t hash = leat__hash(whole.data, whole.len);
    const int64_t bucket = bucket_of(timer.time_us);
    void *value;
    leat__strbuf_clear(key);
    leat__strbuf_add(key, whole.data + TIME_BYTES, whole.len - TIME_BYTES);
    if (key->failed)
        return leat__rows_nomem(ctx, "a timer");
    if (timers->may_be_void)
        value = timers; /* not NULL */
    else if (leat__table_find(timers->table, bucket, &whole, &hash, NULL, 1, &value, ctx->error) < 0)
        return leat__fail_here(ctx);
    if ((value && leat__table_remove(timers->table, bucket, whole, hash, ctx->error) < 0))
        return leat__fail_here(ctx);
    pop(timers);
    return value != NULL;
}

int leat__timers_wake(struct leat__timers *timers, struct leat__ctx *ctx, int64_t *wake_us)
{
    int64_t bucket;
    if (timers->count > 0) {
        *wake_us = timers->heap[0].time_us;
        return 0;
    }
    LEAT_TRY(drop_done(timers, ctx));
    const int found = leat__table_next_namespace(timers->table, LEAT_TIME_MIN, &bucket, ctx->error);
    *wake_us = found > 0 ? bucket_start_us(bucket) : LEAT_TIME_MAX;
    return found < 0 ? leat__fail_here(ctx) : 0;
}
