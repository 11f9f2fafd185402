/* bench/nexmark/hand/hand.h -- the queries as single loops that somebody would write by hand for one thread: no graph, no
 * batches of others, no watermarks, no checkpoints. They read the same Avro bytes as the memory source, decode the
 * whole of each record without copying its strings, and write result rows into a block of 1,024 that is handed on when
 * it is full. What they need of order they know: events come in the order of their times.
 *
 * Input goes by, as that of a stream does: what is kept for later has texts of its own (hand_keep), and a row that shows
 * what is kept gets a copy of it in its block (hand_show), since what is kept may change before the block is read. */
#ifndef NEXMARK_HAND_H
#define NEXMARK_HAND_H
#include "bench/nexmark/input.h"

#define HAND_ROWS 1024u
#define HAND_TEXT_BYTES (1u << 20) /* of a block */

/* Where rows go. */
struct hand_out {
    const struct leat_type *type;
    unsigned char *rows; /* of HAND_ROWS */
    enum leat_change changes[HAND_ROWS];
    uint32_t count;
    uint64_t given;
    char *text; /* HAND_TEXT_BYTES that rows of the block show */
    size_t text_len;
    void (*flush)(struct hand_out *out); /* NULL: the rows are counted and forgotten */
    void *arg;
};

static inline void hand_flush(struct hand_out *out)
{
    out->given += out->count;
    if (out->flush)
        out->flush(out);
    out->count = 0;
    out->text_len = 0;
}

/* Before a row that shows `size` bytes of what is kept: makes room for it and for them. */
static inline void hand_room(struct hand_out *out, size_t size)
{
    if (out->count == HAND_ROWS || HAND_TEXT_BYTES - out->text_len < size)
        hand_flush(out);
}

/* A copy in the block, which has room. */
static inline struct leat_sv hand_show(struct hand_out *out, struct leat_sv kept)
{
    char *text = out->text + out->text_len;
    memcpy(text, kept.data, kept.len);
    out->text_len += kept.len;
    return (struct leat_sv){ text, kept.len };
}

static inline void *hand_change(struct hand_out *out, size_t size, enum leat_change change)
{
    if (out->count == HAND_ROWS)
        hand_flush(out);
    out->changes[out->count] = change;
    return out->rows + size * out->count++;
}

#define HAND_ROW(out_, type_) ((struct type_ *)hand_change((out_), sizeof(struct type_), LEAT_INSERT))

/* ---- reading ---- */

static inline const char *hand_long(const char *p, int64_t *value)
{
    uint64_t z = 0;
    for (unsigned shift = 0;; shift += 7) {
        const uint8_t byte = (uint8_t)*p++;
        z |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    *value = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
    return p;
}

static inline const char *hand_text(const char *p, struct leat_sv *text)
{
    int64_t len;
    p = hand_long(p, &len);
    *text = (struct leat_sv){ p, (size_t)len };
    return p + len;
}

static inline const char *hand_bid(const char *p, struct bid *b)
{
    p = hand_long(p, &b->auction);
    p = hand_long(p, &b->bidder);
    p = hand_long(p, &b->price);
    p = hand_text(p, &b->channel);
    p = hand_text(p, &b->url);
    p = hand_long(p, &b->dateTime);
    return hand_text(p, &b->extra);
}

static inline const char *hand_auction(const char *p, struct auction *a)
{
    p = hand_long(p, &a->id);
    p = hand_text(p, &a->itemName);
    p = hand_text(p, &a->description);
    p = hand_long(p, &a->initialBid);
    p = hand_long(p, &a->reserve);
    p = hand_long(p, &a->dateTime);
    p = hand_long(p, &a->expires);
    p = hand_long(p, &a->seller);
    p = hand_long(p, &a->category);
    return hand_text(p, &a->extra);
}

static inline const char *hand_person(const char *p, struct person *r)
{
    p = hand_long(p, &r->id);
    p = hand_text(p, &r->name);
    p = hand_text(p, &r->emailAddress);
    p = hand_text(p, &r->creditCard);
    p = hand_text(p, &r->city);
    p = hand_text(p, &r->state);
    p = hand_long(p, &r->dateTime);
    return hand_text(p, &r->extra);
}

#define HAND_EACH(avro_, kind_, name_, record_) \
    struct name_ record_; \
    for (const char *p_ = (avro_)[kind_].data, *const end_ = p_ + (avro_)[kind_].len; \
         p_ < end_ && (p_ = hand_##name_(p_, &record_));)

/* ---- a table: open addressing, keys of two numbers, values of any size that begin zeroed ---- */

struct hand_table {
    int64_t *keys; /* two of each slot */
    uint8_t *used;
    unsigned char *values;
    size_t value_size, slots, count;
};

void hand_table_init(struct hand_table *t, size_t value_size);
void hand_table_free(struct hand_table *t);
void hand_table_clear(struct hand_table *t);
void hand_table_grow(struct hand_table *t);

static inline uint64_t hand_hash(int64_t a, int64_t b)
{
    uint64_t h = ((uint64_t)a ^ (uint64_t)b * UINT64_C(0xff51afd7ed558ccd)) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* The value of a key; NULL if there is none and `make` is false. */
static inline void *hand_find(struct hand_table *t, int64_t a, int64_t b, bool make)
{
    if (make && 2 * t->count >= t->slots)
        hand_table_grow(t);
    size_t at = hand_hash(a, b) & (t->slots - 1);
    while (t->used[at] && (t->keys[2 * at] != a || t->keys[2 * at + 1] != b))
        at = (at + 1) & (t->slots - 1);
    if (!t->used[at]) {
        if (!make)
            return NULL;
        t->used[at] = 1;
        t->keys[2 * at] = a;
        t->keys[2 * at + 1] = b;
        t->count++;
    }
    return t->values + at * t->value_size;
}

void hand_remove(struct hand_table *t, int64_t a, int64_t b);

/* ---- texts that are kept ---- */

/* A list of blocks that only grows. */
struct hand_store {
    char *at, *end;
    struct hand_store_block *blocks;
};
void hand_store_free(struct hand_store *store);
char *hand_store_get(struct hand_store *store, size_t size);

/* Where the texts of one record lie; used again for the next one if that fits. */
struct hand_place {
    char *text;
    uint32_t size, used;
};

static inline void hand_place_begin(struct hand_store *store, struct hand_place *place, size_t size)
{
    place->used = 0;
    if (size <= place->size)
        return;
    place->size = (uint32_t)((size + 15) & ~(size_t)15);
    place->text = hand_store_get(store, place->size);
}

static inline struct leat_sv hand_keep(struct hand_place *place, struct leat_sv text)
{
    char *kept = place->text + place->used;
    memcpy(kept, text.data, text.len);
    place->used += (uint32_t)text.len;
    return (struct leat_sv){ kept, text.len };
}

/* ---- dates ---- */

#define HAND_TEXT 16u
struct leat_sv hand_day_text(int64_t day, char text[HAND_TEXT]);
struct leat_sv hand_minute_text(int64_t ms, char text[HAND_TEXT]);

/* ---- results that are told again after some rows ---- */

#define HAND_MINI_BATCH 50000u

/* Keys whose results have changed. */
struct hand_changed {
    int64_t *keys; /* two each */
    size_t count, capacity;
    uint32_t rows; /* since the last time */
};
void hand_note(struct hand_changed *c, int64_t a, int64_t b);

/* ---- the queries ---- */

struct hand_query {
    const char *name;
    void (*run)(const struct nexmark_bytes *avro, struct hand_out *out);
    const struct leat_type *out;
};
extern const struct hand_query hand_queries[];
extern const size_t hand_queries_count;
#define HAND_DECLARE(q_) void hand_##q_(const struct nexmark_bytes *avro, struct hand_out *out)
HAND_DECLARE(q0);
HAND_DECLARE(q1);
HAND_DECLARE(q2);
HAND_DECLARE(q3);
HAND_DECLARE(q4);
HAND_DECLARE(q5);
HAND_DECLARE(q6);
HAND_DECLARE(q7);
HAND_DECLARE(q8);
HAND_DECLARE(q9);
HAND_DECLARE(q10);
HAND_DECLARE(q11);
HAND_DECLARE(q12);
HAND_DECLARE(q13);
HAND_DECLARE(q14);
HAND_DECLARE(q15);
HAND_DECLARE(q16);
HAND_DECLARE(q17);
HAND_DECLARE(q18);
HAND_DECLARE(q19);
HAND_DECLARE(q20);
HAND_DECLARE(q21);
HAND_DECLARE(q22);
void *hand_alloc(size_t size); /* zeroed; exits without memory */
#endif
