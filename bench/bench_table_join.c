/* bench/bench_table_join.c -- a stream with a table of 1,000,000 rows, two tables with each other, and a stream that
 * becomes a table, beside hash joins written by hand for one thread that do the same work: keep the rows with their
 * strings, look keys up, make result rows in batches with strings of their own.
 *
 *   bench_table_join [rows of a side, default 1000000]
 *
 * Both run in turn, several times; the least counts. Keys are random, strings of 16 bytes. */
#include "base/alloc.h"
#include "base/env.h"
#include "base/hash.h"
#include "record/copy.h"
#include "record/schema.h"
#include "state/state.h"
#include "topology/declare.h"
#include "topology/operator.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <leat/table.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS 1024u
#define TURNS 3

struct order {
    int64_t id, item, amount, ts;
};
struct item {
    int64_t item;
    struct leat_sv name;
    int64_t price, ts;
};
struct sale {
    int64_t id, item;
    struct leat_sv name;
    int64_t total;
};

static const char *const schema_texts[] = {
    "{\"type\":\"record\",\"name\":\"order\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},{\"name\":"
    "\"item\",\"type\":"
    "\"long\"},{\"name\":\"amount\",\"type\":\"long\"},{\"name\":\"ts\",\"type\":\"long\"}]}",
    "{\"type\":\"record\",\"name\":\"item\",\"fields\":[{\"name\":\"item\",\"type\":\"long\"},{\"name\":"
    "\"name\",\"type\":"
    "\"string\"},{\"name\":\"price\",\"type\":\"long\"},{\"name\":\"ts\",\"type\":\"long\"}]}",
    "{\"type\":\"record\",\"name\":\"sale\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},{\"name\":"
    "\"item\",\"type\":"
    "\"long\"},{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"total\",\"type\":\"long\"}]}"
};
enum { ORDER, ITEM, SALE, TYPES };

static struct leat_type order_type, item_type, sale_type;

static void make_sale(
    struct leat_ctx *ctx, const struct order *order, const struct item *item, struct sale *sale)
{
    (void)ctx;
    sale->id = order->id;
    sale->item = order->item;
    sale->name = item->name;
    sale->total = order->amount * item->price;
}
LEAT_DEFINE_JOIN(make_sale, order, item, sale);

static const struct leat_source_class source_class = { .kind = "bench source" };
static const struct leat_sink_class sink_class = { .kind = "bench sink" };

struct bench {
    struct leat_arena arena;
    struct leat_schema *schemas[TYPES];
    struct leat_pool *pool;
    struct leat_error error;
    uint32_t batches_count;
    struct leat_batch **orders, **items, **newer_items; /* these with other prices */
    uint64_t made;
};

static void check(int code, const struct leat_error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "bench: %s\n", err->code ? err->message : leat_error_text(code));
    exit(1);
}

/* Of the processor: others may be at work beside. */
static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- records ---- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9e3779b97f4a7c15);
    return x ^ x >> 29;
}

static void fill(struct bench *b, uint32_t at)
{
    const uint64_t all = (uint64_t)b->batches_count * ROWS;
    check(leat__batch_get(b->pool, &order_type, &b->orders[at]), &b->error);
    check(leat__batch_get(b->pool, &item_type, &b->items[at]), &b->error);
    for (uint32_t i = 0; i < ROWS; i++) {
        const uint64_t n = (uint64_t)at * ROWS + i;
        struct order *order = leat__batch_push(b->orders[at]);
        struct item *item = leat__batch_push(b->items[at]);
        char *name = leat__batch_alloc(b->items[at], 24, 1);
        *order = (struct order){ (int64_t)n, (int64_t)(mix(mix(n)) % all), 3, (int64_t)n + 1 };
        item->item = (int64_t)(n * 7919 % all);
        item->price = (int64_t)n;
        item->name =
            (struct leat_sv){ name, (size_t)snprintf(name, 24, "item %011llu", (unsigned long long)n) };
        b->orders[at]->event_us[i] = (int64_t)n + 1;
        b->items[at]->event_us[i] = 0;
    }
    check(leat__batch_get(b->pool, &item_type, &b->newer_items[at]), &b->error);
    check(leat__batch_share(b->newer_items[at], b->items[at]), &b->error);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct item *newer = leat__batch_push(b->newer_items[at]);
        *newer = *(const struct item *)leat_batch_at(b->items[at], i);
        newer->price++;
        b->newer_items[at]->event_us[i] = 1;
    }
}

static void hash_keys(const struct leat_key *key, struct leat_batch *batch)
{
    struct leat_key_scratch *scratch = NULL;
    struct leat_error err = { 0 };
    const struct leat_sv *keys;
    check(leat__key_scratch_new(&scratch), &err);
    check(leat__key_eval(key, scratch, NULL, batch, &keys), &err);
    leat__key_hash(keys, batch);
    leat__key_scratch_free(scratch);
}

/* ---- the operators ---- */

struct driver {
    struct bench *b;
    leat_topology *t;
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error error;
    struct leat_op *op;
};

static int on_emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    (void)port;
    ((struct driver *)ctx->host)->b->made += batch->count;
    leat__batch_release(batch);
    return 0;
}
static int64_t on_now_us(const struct leat__ctx *ctx)
{
    (void)ctx;
    return 0;
}
static const struct leat_ctx_api api = { .emit = on_emit, .now_us = on_now_us };

static leat_stream *source(leat_topology *t, const char *name, const struct leat_type *type)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, source_class.kind);
    node->source = &source_class;
    leat__output(node, type, NULL);
    leat__source_time(node, type, "ts", 0, 0, 0, LEAT_FAIL);
    return leat__stream(node, 0);
}

enum kind { STREAM_TABLE, TABLE_TABLE, UPSERT };

static void start(struct driver *d, struct bench *b, enum kind kind)
{
    memset(d, 0, sizeof *d);
    d->b = b;
    d->t = leat_topology_new("bench");
    leat_stream *orders = kind == UPSERT ? NULL : source(d->t, "orders", &order_type);
    leat_stream *items = source(d->t, "items", &item_type);
    leat_stream *sales = kind == TABLE_TABLE
        ? leat_join_tables(orders, items, "sales",
              &(struct leat_join_tables_opts){ .left_key = "item", .merge = &make_sale_join })
        : kind == STREAM_TABLE
        ? leat_table_join(orders, items, "sales",
              &(struct leat_table_join_opts){ .left_key = "item", .merge = &make_sale_join })
        : leat_upsert(items, "sales", &(struct leat_upsert_opts){ .key = "item" });
    struct leat_node *sink = leat__declare(d->t, "sink", LEAT_NODE_SINK, sink_class.kind);
    sink->sink = &sink_class;
    leat__takes_changes(sink, 0);
    leat__input(sink, 0, sales, LEAT_FORWARD, NULL);
    if (leat_check(d->t) < 0) {
        fprintf(stderr, "bench: %s\n", leat_topology_error(d->t, 0)->message);
        exit(1);
    }
    d->ctx = (struct leat__ctx){ .api = &api,
        .host = d,
        .node = sales->node,
        .parallelism = 1,
        .env = leat__env_posix(),
        .pool = b->pool,
        .counters = &d->counters,
        .error = &d->error,
        .watermark_us = LEAT_TIME_MIN,
        .wake_us = LEAT_TIME_MAX };
    d->ctx.user.engine = &d->ctx;
    d->ctx.input_watermark_us[0] = d->ctx.input_watermark_us[1] = LEAT_TIME_MIN;
    check(leat__state_new(NULL, &d->ctx.state, &d->error), &d->error);
    d->op = leat__calloc(1, sales->node->op->size);
    check(d->op ? 0 : LEAT_ENOMEM, &d->error);
    *d->op = (struct leat_op){ sales->node->op, sales->node };
    check(sales->node->op->init(d->op, &d->ctx), &d->error);
}

static void finish(struct driver *d)
{
    d->op->op_class->release(d->op, &d->ctx);
    leat__free(d->op);
    leat__ctx_release(&d->ctx);
    leat__state_free(d->ctx.state);
    leat_topology_free(d->t);
}

static void steps(struct driver *d, int code)
{
    while (code == LEAT_MORE)
        code = d->op->op_class->step(d->op, &d->ctx);
    check(code, &d->error);
}

static void deliver(struct driver *d, uint32_t input, struct leat_batch *const *batches, uint32_t at)
{
    leat__batch_ref(batches[at]);
    steps(d, d->op->op_class->on_batch(d->op, &d->ctx, input, batches[at]));
}

/* Nanoseconds a row of each side: ns[0] of the orders, ns[1] of the items. `behind`: so many batches of orders wait for
 * items' watermark; 0: items come first. */
static double run_leat(struct bench *b, bool tables, uint32_t behind, double ns[2])
{
    struct driver d;
    start(&d, b, tables ? TABLE_TABLE : STREAM_TABLE);
    for (uint32_t i = 0; i < b->batches_count; i++) {
        hash_keys(d.ctx.node->inputs[0].key, b->orders[i]);
        hash_keys(d.ctx.node->inputs[1].key, b->items[i]);
    }
    int64_t from = now_ns();
    for (uint32_t i = 0; i < b->batches_count; i++)
        deliver(&d, 1, b->items, i);
    ns[1] = (double)(now_ns() - from) / (double)(b->batches_count * (uint64_t)ROWS);
    const double bytes = (double)leat__state_bytes(d.ctx.state) / (double)(b->batches_count * (uint64_t)ROWS);
    if (!tables && behind == 0)
        d.ctx.input_watermark_us[1] = LEAT_TIME_MAX;
    from = now_ns();
    for (uint32_t i = 0; i < b->batches_count; i++) {
        deliver(&d, 0, b->orders, i);
        if (!behind || i < behind)
            continue;
        const int64_t w = (int64_t)(i - behind) * ROWS;
        d.ctx.input_watermark_us[0] = d.ctx.input_watermark_us[1] = d.ctx.watermark_us = w;
        steps(&d, d.op->op_class->on_watermark(d.op, &d.ctx, w));
    }
    if (behind) {
        d.ctx.input_watermark_us[0] = d.ctx.input_watermark_us[1] = d.ctx.watermark_us = LEAT_TIME_MAX;
        steps(&d, d.op->op_class->on_watermark(d.op, &d.ctx, LEAT_TIME_MAX));
    }
    ns[0] = (double)(now_ns() - from) / (double)(b->batches_count * (uint64_t)ROWS);
    finish(&d);
    return bytes;
}

/* The same of a stream that becomes a table: ns[1] a row that is new, ns[0] one that replaces another. */
static double upsert_leat(struct bench *b, double ns[2])
{
    struct driver d;
    struct leat_batch **const passes[2] = { b->newer_items, b->items };
    const double rows = (double)b->batches_count * ROWS;
    start(&d, b, UPSERT);
    for (uint32_t pass = 2; pass-- > 0;) {
        for (uint32_t i = 0; i < b->batches_count; i++)
            hash_keys(d.ctx.node->inputs[0].key, passes[pass][i]);
        const int64_t from = now_ns();
        for (uint32_t i = 0; i < b->batches_count; i++)
            deliver(&d, 0, passes[pass], i);
        ns[pass] = (double)(now_ns() - from) / rows;
    }
    const double bytes = (double)leat__state_bytes(d.ctx.state) / rows;
    finish(&d);
    return bytes;
}

/* ---- by hand ---- */

struct entry {
    struct entry *next;
    int64_t key;
    union {
        struct order order;
        struct item item;
    } row; /* the string behind it */
};

struct hand {
    struct entry **slots; /* chains */
    uint64_t mask;
    char *arena, *arena_end;
    void *chunks[4096];
    uint32_t chunks_count;
};

static void hand_start(struct hand *h, uint64_t rows)
{
    uint64_t slots = 1024;
    while (slots < 2 * rows)
        slots *= 2;
    memset(h, 0, sizeof *h);
    h->slots = leat__calloc(slots, sizeof *h->slots);
    h->mask = slots - 1;
}

static void hand_finish(struct hand *h)
{
    for (uint32_t i = 0; i < h->chunks_count; i++)
        leat__free(h->chunks[i]);
    leat__free(h->slots);
}

static struct entry *hand_add(struct hand *h, int64_t key, size_t bytes)
{
    const size_t size = (sizeof(struct entry) + bytes + 7) & ~(size_t)7;
    if (!h->arena || (size_t)(h->arena_end - h->arena) < size) {
        h->arena = leat__malloc(1 << 20);
        h->arena_end = h->arena + (1 << 20);
        h->chunks[h->chunks_count++] = h->arena;
    }
    struct entry *e = (struct entry *)(void *)h->arena;
    h->arena += size;
    struct entry **slot = &h->slots[mix((uint64_t)key) & h->mask];
    e->key = key;
    e->next = *slot;
    *slot = e;
    return e;
}

static void hand_items(struct hand *h, const struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct item *item = leat_batch_at(batch, i);
        struct entry *e = hand_add(h, item->item, item->name.len);
        e->row.item = *item;
        memcpy(e + 1, item->name.data, item->name.len);
        e->row.item.name.data = (const char *)(e + 1);
    }
}

static void hand_orders(
    struct bench *b, const struct hand *items, struct hand *kept, const struct leat_batch *batch)
{
    struct leat_batch *out = NULL;
    check(leat__batch_get(b->pool, &sale_type, &out), &b->error);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct order *order = leat_batch_at(batch, i);
        if (kept)
            hand_add(kept, order->item, 0)->row.order = *order;
        for (const struct entry *e = items->slots[mix((uint64_t)order->item) & items->mask]; e; e = e->next) {
            if (e->key != order->item)
                continue;
            if (leat__batch_is_full(out)) {
                b->made += out->count;
                leat__batch_release(out);
                check(leat__batch_get(b->pool, &sale_type, &out), &b->error);
            }
            out->event_us[out->count] = batch->event_us[i];
            struct sale *sale = leat__batch_push(out);
            make_sale(NULL, order, &e->row.item, sale);
            char *name = leat__batch_alloc(out, sale->name.len, 1);
            memcpy(name, sale->name.data, sale->name.len);
            sale->name.data = name;
        }
    }
    b->made += out->count;
    leat__batch_release(out);
}

static void run_hand(struct bench *b, bool tables, double ns[2])
{
    struct hand items, orders;
    const uint64_t rows = (uint64_t)b->batches_count * ROWS;
    hand_start(&items, rows);
    hand_start(&orders, tables ? rows : 0);
    int64_t from = now_ns();
    for (uint32_t i = 0; i < b->batches_count; i++)
        hand_items(&items, b->items[i]);
    ns[1] = (double)(now_ns() - from) / (double)rows;
    from = now_ns();
    for (uint32_t i = 0; i < b->batches_count; i++)
        hand_orders(b, &items, tables ? &orders : NULL, b->orders[i]);
    ns[0] = (double)(now_ns() - from) / (double)rows;
    hand_finish(&items);
    hand_finish(&orders);
}

/* A row of the table as a result. */
static void hand_give(struct bench *b, struct leat_batch **out, const struct item *item, uint8_t change)
{
    if (!*out || leat__batch_is_full(*out)) {
        b->made += *out ? (*out)->count : 0;
        leat__batch_release(*out);
        check(leat__batch_get(b->pool, &item_type, out), &b->error);
    }
    struct item *row = leat__batch_push(*out);
    *row = *item;
    char *name = leat__batch_alloc(*out, item->name.len, 1);
    memcpy(name, item->name.data, item->name.len);
    row->name.data = name;
    (*out)->event_us[(*out)->count - 1] = 0;
    leat__batch_set_change(*out, (*out)->count - 1, change);
}

/* New rows are inserts; others give the row before and the one after, which takes its place. */
static void hand_upsert(struct bench *b, struct hand *h, const struct leat_batch *batch)
{
    struct leat_batch *out = NULL;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct item *item = leat_batch_at(batch, i);
        struct entry *e = h->slots[mix((uint64_t)item->item) & h->mask];
        while (e && e->key != item->item)
            e = e->next;
        const bool is_new = !e;
        if (is_new)
            e = hand_add(h, item->item, item->name.len);
        else
            hand_give(b, &out, &e->row.item, LEAT_UPDATE_BEFORE);
        e->row.item = *item; /* names of a key are as long */
        memcpy(e + 1, item->name.data, item->name.len);
        e->row.item.name.data = (const char *)(e + 1);
        hand_give(b, &out, item, is_new ? LEAT_INSERT : LEAT_UPDATE_AFTER);
    }
    b->made += out->count;
    leat__batch_release(out);
}

static void upsert_hand(struct bench *b, double ns[2])
{
    struct hand h;
    struct leat_batch **const passes[2] = { b->newer_items, b->items };
    const uint64_t rows = (uint64_t)b->batches_count * ROWS;
    hand_start(&h, rows);
    for (uint32_t pass = 2; pass-- > 0;) {
        const int64_t from = now_ns();
        for (uint32_t i = 0; i < b->batches_count; i++)
            hand_upsert(b, &h, passes[pass][i]);
        ns[pass] = (double)(now_ns() - from) / (double)rows;
    }
    hand_finish(&h);
}

/* ---- figures ---- */

static void keep_least(double least[2], const double ns[2])
{
    for (uint32_t i = 0; i < 2; i++)
        least[i] = least[i] == 0 || ns[i] < least[i] ? ns[i] : least[i];
}

static void compare_upsert(struct bench *b)
{
    double leat[2] = { 0 }, hand[2] = { 0 }, ns[2], bytes = 0;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        b->made = 0;
        bytes = upsert_leat(b, ns);
        keep_least(leat, ns);
        const uint64_t made = b->made;
        b->made = 0;
        upsert_hand(b, ns);
        keep_least(hand, ns);
        if (made != b->made) {
            fprintf(stderr, "bench: %llu changes, by hand %llu\n", (unsigned long long)made,
                (unsigned long long)b->made);
            exit(1);
        }
    }
    printf("table_join/upsert: a new row %.1f ns, by hand %.1f: %.0f %%; one that replaces another %.1f, by "
           "hand "
           "%.1f: %.0f %%; %.0f bytes of state a row\n",
        leat[1], hand[1], 100 * hand[1] / leat[1], leat[0], hand[0], 100 * hand[0] / leat[0], bytes);
}

/* What the lists of interval and window joins take. */
static void measure_state(struct bench *b)
{
    static const char *const names[] = { "orders", "items" };
    const double rows = (double)b->batches_count * ROWS;
    for (uint32_t side = 0; side < 2; side++) {
        struct leat_state *state = NULL;
        struct leat_table *table = NULL;
        struct leat_batch **const batches = side == 0 ? b->orders : b->items;
        const struct leat_table_opts opts = { .node = "bench",
            .name = names[side],
            .kind = LEAT_TABLE_LIST,
            .key_size = 8,
            .row_type = side == 0 ? &order_type : &item_type };
        check(leat__state_new(NULL, &state, &b->error), &b->error);
        check(leat__table_open(state, &opts, &table, &b->error), &b->error);
        for (uint32_t i = 0; i < b->batches_count; i++) {
            struct leat_sv keys[ROWS];
            uint64_t hashes[ROWS];
            for (uint32_t k = 0; k < ROWS; k++) {
                keys[k] = (struct leat_sv){ leat_batch_at(batches[i], k),
                    8 }; /* any 8 bytes will do: the first field */
                hashes[k] = leat__hash(keys[k].data, 8);
            }
            check(leat__table_append(table, 0, keys, hashes, NULL, ROWS, batches[i], &b->error), &b->error);
        }
        printf("table_join/state: %.0f bytes a buffered row of %u%s, each with a key of its own\n",
            (double)leat__state_bytes(state) / rows, opts.row_type->size, side ? " and a string of 16" : "");
        leat__table_close(table);
        leat__state_free(state);
    }
}

static void compare(struct bench *b, const char *name, bool tables, uint32_t behind)
{
    double leat[2] = { 0 }, hand[2] = { 0 }, ns[2], bytes = 0;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        b->made = 0;
        bytes = run_leat(b, tables, behind, ns);
        keep_least(leat, ns);
        const uint64_t made = b->made;
        b->made = 0;
        run_hand(b, tables, ns);
        keep_least(hand, ns);
        if (made != b->made || made == 0) {
            fprintf(stderr, "bench: %llu results, by hand %llu\n", (unsigned long long)made,
                (unsigned long long)b->made);
            exit(1);
        }
    }
    printf("table_join/%s: %.1f ns/row, by hand %.1f: %.0f %%; to load a row %.1f ns, by hand %.1f; together "
           "%.0f %%; "
           "%.0f bytes of state a row\n",
        name, leat[0], hand[0], 100 * hand[0] / leat[0], leat[1], hand[1],
        100 * (hand[0] + hand[1]) / (leat[0] + leat[1]), bytes);
}

int main(int argc, char **argv)
{
    struct bench b = { 0 };
    struct leat_type *const types[TYPES] = { &order_type, &item_type, &sale_type };
    const uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    for (uint32_t i = 0; i < TYPES; i++) {
        const struct leat_type *type = NULL;
        check(
            leat__schema_parse(schema_texts[i], strlen(schema_texts[i]), &b.schemas[i], &b.error), &b.error);
        check(leat__schema_type(b.schemas[i], &b.arena, &type, &b.error), &b.error);
        *types[i] = *type;
    }
    check(leat__pool_new(ROWS, &b.pool), &b.error);
    b.batches_count = (uint32_t)((rows + ROWS - 1) / ROWS);
    b.orders = calloc(b.batches_count, sizeof(void *));
    b.items = calloc(b.batches_count, sizeof(void *));
    b.newer_items = calloc(b.batches_count, sizeof(void *));
    check(b.orders && b.items && b.newer_items ? 0 : LEAT_ENOMEM, &b.error);
    for (uint32_t i = 0; i < b.batches_count; i++)
        fill(&b, i);
    compare(&b, "stream-table", false, 0);
    compare(&b, "stream-table that waits", false, 16);
    compare(&b, "table-table", true, 0);
    compare_upsert(&b);
    measure_state(&b);
    for (uint32_t i = 0; i < b.batches_count; i++) {
        leat__batch_release(b.orders[i]);
        leat__batch_release(b.items[i]);
        leat__batch_release(b.newer_items[i]);
    }
    free(b.orders);
    free(b.items);
    free(b.newer_items);
    leat__pool_free(b.pool);
    for (uint32_t i = 0; i < TYPES; i++)
        leat__schema_free(b.schemas[i]);
    leat__arena_release(&b.arena);
    return 0;
}
