/* bench/bench_avro.c -- what do decoding and encoding Avro cost, beside a loop written by hand and beside
 * avro-c?
 *
 * 65,536 records in memory, taken in batches of 1,024; each figure is the median over repetitions that are
 * interleaved, so that a disturbance hits all candidates alike. Read the ratios.
 *
 *   bench_avro [repetitions] */
#include "base/alloc.h"
#include "base/env.h"
#include "record/avro.h"
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS 65536u
#define BATCH 1024u
#define REPETITIONS_DEFAULT 21
#define REPETITIONS_MAX 201
#define RECORD_BYTES_MAX 512u

struct bid {
    int64_t auction, bidder, price;
    struct leat_sv channel, url;
    int64_t date_time;
    struct leat_sv extra;
};

struct order {
    int64_t order_id, customer_id;
    struct leat_sv product_id;
    int32_t quantity;
    int64_t amount_cents;
    struct leat_sv status;
    int64_t ordered_at;
};

static const char bid_text[] =
    "{\"type\":\"record\",\"name\":\"bid\",\"fields\":[{\"name\":\"auction\",\"type\":\"long\"},"
    "{\"name\":\"bidder\",\"type\":\"long\"},{\"name\":\"price\",\"type\":\"long\"},{\"name\":\"channel\","
    "\"type\":\"string\"},"
    "{\"name\":\"url\",\"type\":\"string\"},{\"name\":\"dateTime\",\"type\":{\"type\":\"long\","
    "\"logicalType\":"
    "\"timestamp-millis\"}},{\"name\":\"extra\",\"type\":\"string\"}]}";
static const char order_text[] =
    "{\"type\":\"record\",\"name\":\"order\",\"fields\":[{\"name\":\"order_id\",\"type\":\"long\"},"
    "{\"name\":\"customer_id\",\"type\":\"long\"},{\"name\":\"product_id\",\"type\":\"string\"},"
    "{\"name\":\"quantity\",\"type\":\"int\"},{\"name\":\"amount_cents\",\"type\":\"long\"},"
    "{\"name\":\"status\",\"type\":\"string\"},{\"name\":\"ordered_at\",\"type\":{\"type\":\"long\","
    "\"logicalType\":"
    "\"timestamp-millis\"}}]}";

/* ---- input ---- */

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t random_below(uint64_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 16) % n;
}

static struct leat_sv random_text(char *memory, size_t from, size_t to)
{
    const size_t len = from + random_below(to - from + 1);
    for (size_t i = 0; i < len; i++)
        memory[i] = (char)('a' + random_below(26));
    return (struct leat_sv){ memory, len };
}

static void make_bid(void *row, char *memory, uint32_t i)
{
    struct bid *bid = row;
    bid->auction = (int64_t)(1000 + random_below(100000));
    bid->bidder = (int64_t)(1000 + random_below(50000));
    bid->price = (int64_t)(100 + random_below(10000000));
    bid->channel = random_text(memory, 6, 12);
    bid->url = random_text(memory + 16, 58, 72);
    bid->date_time = INT64_C(1700000000000) + (int64_t)i / 10;
    bid->extra = random_text(memory + 128, 54, 84);
}

static void make_order(void *row, char *memory, uint32_t i)
{
    static const char *const states[] = { "PENDING", "CONFIRMED", "SHIPPED", "CANCELLED" };
    struct order *order = row;
    order->order_id = INT64_C(1000000) + i;
    order->customer_id = (int64_t)random_below(50000);
    order->product_id = random_text(memory, 26, 36);
    order->quantity = (int32_t)(1 + random_below(9));
    order->amount_cents = (int64_t)random_below(1000000);
    order->status = leat_sv_of(states[random_below(4)]);
    order->ordered_at = INT64_C(1700000000000) + (int64_t)i;
}

/* ---- by hand ---- */

static inline const uint8_t *hand_long(const uint8_t *p, int64_t *value)
{
    uint64_t byte = *p++, v = byte & 0x7f;
    for (unsigned shift = 7; byte >= 0x80; shift += 7) {
        if (shift > 63)
            return NULL;
        byte = *p++;
        v |= (byte & 0x7f) << shift;
    }
    *value = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    return p;
}

static inline const uint8_t *hand_text(const uint8_t *p, const uint8_t *end, struct leat_sv *value)
{
    int64_t len;
    p = hand_long(p, &len);
    if (!p || len < 0 || len > end - p)
        return NULL;
    value->data = (const char *)p;
    value->len = (size_t)len;
    return p + len;
}

#define HAND(call_) \
    if (!(p = (call_))) \
    return NULL

static const uint8_t *hand_read_bid(const uint8_t *p, const uint8_t *end, void *row)
{
    struct bid *bid = row;
    HAND(hand_long(p, &bid->auction));
    HAND(hand_long(p, &bid->bidder));
    HAND(hand_long(p, &bid->price));
    HAND(hand_text(p, end, &bid->channel));
    HAND(hand_text(p, end, &bid->url));
    HAND(hand_long(p, &bid->date_time));
    HAND(hand_text(p, end, &bid->extra));
    return p;
}

static const uint8_t *hand_read_order(const uint8_t *p, const uint8_t *end, void *row)
{
    struct order *order = row;
    int64_t quantity;
    HAND(hand_long(p, &order->order_id));
    HAND(hand_long(p, &order->customer_id));
    HAND(hand_text(p, end, &order->product_id));
    HAND(hand_long(p, &quantity));
    if (quantity != (int32_t)quantity)
        return NULL;
    order->quantity = (int32_t)quantity;
    HAND(hand_long(p, &order->amount_cents));
    HAND(hand_text(p, end, &order->status));
    HAND(hand_long(p, &order->ordered_at));
    return p <= end ? p : NULL;
}

static inline uint8_t *hand_put(uint8_t *w, int64_t value)
{
    uint64_t v = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; v >= 0x80; v >>= 7)
        *w++ = (uint8_t)(v | 0x80);
    *w++ = (uint8_t)v;
    return w;
}

static inline uint8_t *hand_put_text(uint8_t *w, struct leat_sv text)
{
    w = hand_put(w, (int64_t)text.len);
    memcpy(w, text.data, text.len);
    return w + text.len;
}

static uint8_t *hand_write_bid(uint8_t *w, const void *row)
{
    const struct bid *bid = row;
    w = hand_put(w, bid->auction);
    w = hand_put(w, bid->bidder);
    w = hand_put(w, bid->price);
    w = hand_put_text(w, bid->channel);
    w = hand_put_text(w, bid->url);
    w = hand_put(w, bid->date_time);
    return hand_put_text(w, bid->extra);
}

static uint8_t *hand_write_order(uint8_t *w, const void *row)
{
    const struct order *order = row;
    w = hand_put(w, order->order_id);
    w = hand_put(w, order->customer_id);
    w = hand_put_text(w, order->product_id);
    w = hand_put(w, order->quantity);
    w = hand_put(w, order->amount_cents);
    w = hand_put_text(w, order->status);
    return hand_put(w, order->ordered_at);
}

/* ---- the subjects ---- */

static const struct subject {
    const char *name, *text;
    size_t row_size;
    void (*make)(void *row, char *memory, uint32_t i);
    const uint8_t *(*hand_read)(const uint8_t *p, const uint8_t *end, void *row);
    uint8_t *(*hand_write)(uint8_t *w, const void *row);
} subjects[] = {
    { "bid", bid_text, sizeof(struct bid), make_bid, hand_read_bid, hand_write_bid },
    { "order", order_text, sizeof(struct order), make_order, hand_read_order, hand_write_order },
};

struct bench {
    const struct subject *subject;
    struct leat_env *env;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_schema *schema;
    struct leat_decoder *decoder;
    struct leat_encoder *encoder;
    struct leat_pool *pool;
    struct leat_batch *batch; /* decoded rows to encode */
    struct leat_strbuf data; /* all records */
    struct leat_strbuf out;
    avro_schema_t avro_schema;
    avro_value_iface_t *avro_class;
    avro_value_t *avro_values; /* a batch of them */
    avro_reader_t reader;
    avro_writer_t writer;
    char *text; /* RECORD_BYTES_MAX bytes for a string of a record */
};

static void check(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "bench_avro: %s failed\n", what);
    exit(1);
}

static void prepare(struct bench *b, const struct subject *subject)
{
    struct leat_error err = { 0 };
    char memory[RECORD_BYTES_MAX];
    _Alignas(16) unsigned char row[RECORD_BYTES_MAX];
    memset(b, 0, sizeof *b);
    b->subject = subject;
    b->env = leat__env_posix();
    check(leat__schema_parse(subject->text, strlen(subject->text), &b->schema, &err) == 0, "schema");
    check(leat__schema_type(b->schema, &b->arena, &b->type, &err) == 0, "type");
    check(b->type->size == subject->row_size, "layout");
    check(leat__decoder_new(b->schema, b->type, NULL, &b->decoder, &err) == 0, "decoder");
    check(leat__encoder_new(b->type, &b->encoder, &err) == 0, "encoder");
    check(leat__pool_new(BATCH, &b->pool) == 0, "pool");
    for (uint32_t i = 0; i < RECORDS; i++) {
        memset(row, 0, sizeof row);
        subject->make(row, memory, i);
        check(leat__encode_record(b->encoder, row, &b->data, &err) == 0, "encode");
    }
    check(leat__strbuf_reserve(&b->out, RECORD_BYTES_MAX * BATCH), "output");
    const uint8_t *at = (const uint8_t *)b->data.data;
    check(leat__batch_get(b->pool, b->type, &b->batch) == 0, "batch");
    check(leat__decode(b->decoder, &at, at + b->data.len, b->batch, BATCH, &err) == BATCH, "decode");

    check(avro_schema_from_json_length(subject->text, strlen(subject->text), &b->avro_schema) == 0, "avro-c");
    b->avro_class = avro_generic_class_from_schema(b->avro_schema);
    b->avro_values = calloc(BATCH, sizeof *b->avro_values);
    b->reader = avro_reader_memory(b->data.data, (int64_t)b->data.len);
    b->text = malloc(RECORD_BYTES_MAX);
    b->writer = avro_writer_memory(b->out.data, RECORD_BYTES_MAX * BATCH);
    check(b->text && b->avro_class && b->avro_values && b->reader && b->writer, "avro-c");
    for (uint32_t i = 0; i < BATCH; i++) {
        check(avro_generic_value_new(b->avro_class, &b->avro_values[i]) == 0, "avro-c value");
        check(avro_value_read(b->reader, &b->avro_values[i]) == 0, "avro-c read");
    }
}

static void finish(struct bench *b)
{
    for (uint32_t i = 0; i < BATCH; i++)
        avro_value_decref(&b->avro_values[i]);
    free(b->avro_values);
    free(b->text);
    avro_reader_free(b->reader);
    avro_writer_free(b->writer);
    avro_value_iface_decref(b->avro_class);
    avro_schema_decref(b->avro_schema);
    leat__batch_release(b->batch);
    leat__pool_free(b->pool);
    leat__decoder_free(b->decoder);
    leat__encoder_free(b->encoder);
    leat__schema_free(b->schema);
    leat__arena_release(&b->arena);
    leat__strbuf_release(&b->data);
    leat__strbuf_release(&b->out);
}

/* ---- candidates: each goes once over all records ---- */

static void decode_leat(struct bench *b)
{
    const uint8_t *at = (const uint8_t *)b->data.data, *end = at + b->data.len;
    struct leat_error err = { 0 };
    while (at < end) {
        struct leat_batch *batch;
        check(leat__batch_get(b->pool, b->type, &batch) == 0, "batch");
        check(leat__decode(b->decoder, &at, end, batch, BATCH, &err) > 0, "decode");
        leat__batch_release(batch);
    }
}

static void decode_hand(struct bench *b)
{
    const uint8_t *at = (const uint8_t *)b->data.data, *end = at + b->data.len;
    while (at < end) {
        struct leat_batch *batch;
        check(leat__batch_get(b->pool, b->type, &batch) == 0, "batch");
        while (at < end && batch->count < BATCH) {
            at = b->subject->hand_read(at, end, leat_batch_at(batch, batch->count++));
            check(at != NULL, "decode by hand");
        }
        leat__batch_release(batch);
    }
}

static void decode_avro(struct bench *b)
{
    avro_reader_memory_set_source(b->reader, b->data.data, (int64_t)b->data.len);
    for (uint32_t i = 0; i < RECORDS; i++)
        check(avro_value_read(b->reader, &b->avro_values[i % BATCH]) == 0, "avro-c read");
}

static void encode_leat(struct bench *b)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < RECORDS; i += BATCH) {
        leat__strbuf_clear(&b->out);
        check(leat__encode(b->encoder, b->batch, 0, BATCH, &b->out, NULL, &err) == 0, "encode");
    }
}

static void encode_hand(struct bench *b)
{
    for (uint32_t i = 0; i < RECORDS; i += BATCH) {
        uint8_t *w = (uint8_t *)b->out.data;
        for (uint32_t k = 0; k < BATCH; k++)
            w = b->subject->hand_write(w, leat_batch_at(b->batch, k));
        check(w > (uint8_t *)b->out.data, "encode by hand");
    }
}

static void encode_avro(struct bench *b)
{
    for (uint32_t i = 0; i < RECORDS; i += BATCH) {
        avro_writer_reset(b->writer);
        for (uint32_t k = 0; k < BATCH; k++)
            check(avro_value_write(b->writer, &b->avro_values[k]) == 0, "avro-c write");
    }
}

/* What avro-c needs for what the other two do, a struct as bytes: its generic value is set first. */
static void set_avro(const struct bench *b, avro_value_t *value, const unsigned char *row)
{
    for (uint32_t f = 0; f < b->type->fields_count; f++) {
        const struct leat_field *field = &b->type->fields[f];
        avro_value_t to;
        int64_t number;
        struct leat_sv text;
        check(avro_value_get_by_index(value, f, &to, NULL) == 0, "avro-c field");
        if (field->type->kind == LEAT_KIND_STRING) {
            memcpy(&text, row + field->offset, sizeof text);
            memcpy(b->text, text.data, text.len); /* it wants a NUL behind the text */
            b->text[text.len] = '\0';
            check(avro_value_set_string_len(&to, b->text, text.len + 1) == 0, "avro-c string");
        } else if (field->type->kind == LEAT_KIND_LONG) {
            memcpy(&number, row + field->offset, sizeof number);
            check(avro_value_set_long(&to, number) == 0, "avro-c long");
        } else {
            int32_t small;
            memcpy(&small, row + field->offset, sizeof small);
            check(avro_value_set_int(&to, small) == 0, "avro-c int");
        }
    }
}

static void encode_avro_struct(struct bench *b)
{
    for (uint32_t i = 0; i < RECORDS; i += BATCH) {
        avro_writer_reset(b->writer);
        for (uint32_t k = 0; k < BATCH; k++) {
            set_avro(b, &b->avro_values[k], leat_batch_at(b->batch, k));
            check(avro_value_write(b->writer, &b->avro_values[k]) == 0, "avro-c write");
        }
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef void (*candidate_fn)(struct bench *b);

static void measure(struct bench *b, const char *what, const candidate_fn candidates[3], int repetitions)
{
    static double ns[3][REPETITIONS_MAX];
    for (int i = 0; i < repetitions; i++) {
        for (int c = 0; c < 3; c++) {
            const int64_t from = b->env->mono_ns(b->env);
            candidates[c](b);
            ns[c][i] = (double)(b->env->mono_ns(b->env) - from) / RECORDS;
        }
    }
    for (int c = 0; c < 3; c++)
        qsort(ns[c], (size_t)repetitions, sizeof ns[c][0], by_value);
    const double leat = ns[0][repetitions / 2], hand = ns[1][repetitions / 2], avro = ns[2][repetitions / 2];
    printf("%s %s of %.0f B: leat %.1f ns, by hand %.1f ns (leat takes %.2fx), avro-c %.0f ns (%.1fx)\n",
        what, b->subject->name, (double)b->data.len / RECORDS, leat, hand, leat / hand, avro, avro / leat);
}

int main(int argc, char **argv)
{
    const int asked = argc > 1 ? atoi(argv[1]) : REPETITIONS_DEFAULT;
    const int repetitions = asked < 1 ? 1 : asked > REPETITIONS_MAX ? REPETITIONS_MAX : asked;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        struct bench b;
        prepare(&b, &subjects[i]);
        measure(&b, "decode", (const candidate_fn[]){ decode_leat, decode_hand, decode_avro }, repetitions);
        measure(&b, "encode", (const candidate_fn[]){ encode_leat, encode_hand, encode_avro_struct },
            repetitions);
        measure(&b, "encode (avro-c's values are set already)",
            (const candidate_fn[]){ encode_leat, encode_hand, encode_avro }, repetitions);
        finish(&b);
    }
    return 0;
}
