/* bench/bench_kafka_message.c -- what does it cost to make a row of a message, and a message of a row?
 *
 * 4,096 bids (163 bytes of Avro) in each format that values may have, a key of 8 bytes beside them, all in memory: no
 * broker, no librdkafka. "bare": the decoder or encoder of Avro alone on the same records, without message, framing and key.
 * Framing by number of a schema needs a registry, asked once: LEAT_SCHEMA_REGISTRY, such as that of `tests/registry/registry`;
 * else the line is left out aloud. Medians over interleaved repetitions; read the ratios.
 *
 *   bench_kafka_message [repetitions, default 15] */
#include "base/alloc.h"
#include "bench/bid_rows.h"
#include "connectors/kafka/message.h"
#include "record/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 4096u
#define REPETITIONS_DEFAULT 15u
#define TEXT_BYTES 256u

static const char text_schema[] =
    "{\"type\":\"record\",\"name\":\"Text\",\"fields\":[{\"name\":\"text\",\"type\":\"string\"}]}";
struct text_row {
    struct leat_sv text;
};

struct bench {
    struct bid_rows bids;
    struct bid_row rows[ROWS];
    struct text_row texts[ROWS];
    char memory[ROWS][TEXT_BYTES];

    const struct leat_type *type;
    struct leat_kafka_writer *writer;
    struct leat_kafka_reader *reader;
    rd_kafka_message_t messages[ROWS];
    struct leat_strbuf bytes; /* of the messages */
    struct leat_encoder *encoder;
    struct leat_decoder *decoder;
    struct leat_strbuf bare;
    size_t bare_len;
};

static const void *row_of(const struct bench *b, uint32_t i)
{
    return b->type == b->bids.type ? (const void *)&b->rows[i] : (const void *)&b->texts[i];
}

static void write_message(const struct bench *b, uint32_t i, struct leat_kafka_written *written)
{
    struct leat_error err = { 0 };
    bid_rows_check(leat__kafka_write(b->writer, row_of(b, i), 0, false, written, &err) == 0, err.message);
}

static void write_all(void *arg)
{
    const struct bench *b = arg;
    struct leat_kafka_written written;
    for (uint32_t i = 0; i < ROWS; i++)
        write_message(b, i, &written);
}

static void read_all(void *arg)
{
    const struct bench *b = arg;
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < ROWS;) {
        struct leat_batch *batch;
        bid_rows_check(leat__batch_get(b->bids.pool, b->type, &batch) == 0, "batch");
        for (; i < ROWS && batch->count < batch->capacity && !leat__batch_is_full(batch); i++)
            bid_rows_check(leat__kafka_read(b->reader, &b->messages[i], batch, &err) == 0, err.message);
        leat__batch_release(batch);
    }
}

static void encode_bare(void *arg)
{
    struct bench *b = arg;
    struct leat_error err = { 0 };
    leat__strbuf_clear(&b->bare);
    for (uint32_t i = 0; i < ROWS; i++)
        bid_rows_check(
            leat__encode_record(b->encoder, &b->rows[i], &b->bare, &err) == 0 && !b->bare.failed, "encode");
    b->bare_len = b->bare.len;
    leat__strbuf_add(&b->bare, "0123456789abcdef", 16); /* readable behind the last one */
}

static void decode_bare(void *arg)
{
    const struct bench *b = arg;
    struct leat_error err = { 0 };
    const uint8_t *at = (const uint8_t *)b->bare.data, *end = at + b->bare_len;
    while (at < end) {
        struct leat_batch *batch;
        bid_rows_check(leat__batch_get(b->bids.pool, b->bids.type, &batch) == 0, "batch");
        bid_rows_check(leat__decode(b->decoder, &at, end, batch, batch->capacity, &err) > 0, err.message);
        leat__batch_release(batch);
    }
}

/* The messages as the writer makes them. */
static void make_messages(struct bench *b)
{
    static size_t offsets[ROWS][2]; /* of value and key */
    leat__strbuf_clear(&b->bytes);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct leat_kafka_written written;
        write_message(b, i, &written);
        offsets[i][0] = b->bytes.len;
        leat__strbuf_add(&b->bytes, written.value.data, written.value.len);
        offsets[i][1] = b->bytes.len;
        leat__strbuf_add(&b->bytes, written.key.data, written.key.len);
        b->messages[i] =
            (rd_kafka_message_t){ .len = written.value.len, .key_len = written.key.len, .offset = i };
    }
    leat__strbuf_add(&b->bytes, "0123456789abcdef", 16);
    bid_rows_check(!b->bytes.failed, "out of memory");
    for (uint32_t i = 0; i < ROWS; i++) {
        b->messages[i].payload = b->bytes.data + offsets[i][0];
        b->messages[i].key = b->messages[i].key_len ? b->bytes.data + offsets[i][1] : NULL;
    }
}

static void open_layouts(struct bench *b, struct leat_arena *arena, const struct leat_kafka_layout_opts *opts)
{
    static const struct leat_kafka_conn conn; /* all from the environment */
    struct leat_error err = { 0 };
    const struct leat_kafka_layout *layout;
    struct leat_kafka_layout_opts o = *opts;
    bid_rows_check(leat__kafka_layout_new(&o, arena, &layout, &err) == 0, err.message);
    bid_rows_check(
        leat__kafka_reader_new(layout, &conn, leat__env_posix(), &b->reader, &err) == 0, err.message);
    o.writing = true;
    o.topic = "bench-messages";
    bid_rows_check(leat__kafka_layout_new(&o, arena, &layout, &err) == 0, err.message);
    bid_rows_check(
        leat__kafka_writer_new(layout, &conn, leat__env_posix(), &b->writer, &err) == 0, err.message);
}

static void bench_format(struct bench *b, const char *name, enum leat_format format, uint32_t repetitions)
{
    struct leat_arena arena = { 0 };
    const bool is_bids = b->type == b->bids.type;
    const bid_rows_fn candidates[] = { write_all, is_bids ? encode_bare : NULL, read_all,
        is_bids ? decode_bare : NULL };
    double ns[4];
    struct leat_kafka_layout_opts opts = { .type = b->type, .format = format };
    if (is_bids)
        opts.key = (struct leat_kafka_key){ .fields = "auction", .format = LEAT_FORMAT_RAW };
    open_layouts(b, &arena, &opts);
    make_messages(b);
    bid_rows_measure(b, candidates, 4, repetitions, ROWS, ns);
    printf("kafka_message/%s: %zu bytes; written in %.0f ns, read in %.0f ns", name,
        (b->bytes.len - 16) / ROWS, ns[0], ns[2]);
    if (is_bids)
        printf("; bare Avro %.0f and %.0f ns", ns[1], ns[3]);
    putchar('\n');
    leat__kafka_writer_free(b->writer);
    leat__kafka_reader_free(b->reader);
    leat__arena_release(&arena);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    static const struct {
        const char *name;
        enum leat_format format;
    } formats[] = { { "avro bare", LEAT_FORMAT_AVRO_BINARY },
        { "avro single object", LEAT_FORMAT_AVRO_SINGLE }, { "avro by number", LEAT_FORMAT_AVRO_REGISTRY },
        { "json", LEAT_FORMAT_JSON }, { "csv", LEAT_FORMAT_CSV } };
    struct bench *b = &bench;
    struct leat_error err = { 0 };
    struct leat_schema *schema = NULL;
    const struct leat_type *text_type = NULL;
    struct leat_arena arena = { 0 };
    const uint32_t repetitions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : REPETITIONS_DEFAULT;
    bid_rows_open(&b->bids);
    for (uint32_t i = 0; i < ROWS; i++) {
        bid_rows_make(&b->rows[i], b->memory[i], i);
        b->texts[i].text = b->rows[i].url;
    }
    bid_rows_check(leat__schema_parse(text_schema, strlen(text_schema), &schema, &err) == 0 &&
            leat__schema_type(schema, &arena, &text_type, &err) == 0 &&
            text_type->size == sizeof(struct text_row),
        "the type of texts");
    bid_rows_check(leat__encoder_new(b->bids.type, &b->encoder, &err) == 0, err.message);
    bid_rows_check(
        leat__decoder_new(b->bids.schema, b->bids.type, NULL, &b->decoder, &err) == 0, err.message);
    b->type = b->bids.type;
    for (uint32_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i].format == LEAT_FORMAT_AVRO_REGISTRY && !getenv("LEAT_SCHEMA_REGISTRY"))
            printf("kafka_message/%s: left out, LEAT_SCHEMA_REGISTRY is not set\n", formats[i].name);
        else
            bench_format(b, formats[i].name, formats[i].format, repetitions);
    }
    b->type = text_type;
    bench_format(b, "raw text of a url", LEAT_FORMAT_RAW, repetitions);
    leat__encoder_free(b->encoder);
    leat__decoder_free(b->decoder);
    leat__strbuf_release(&b->bytes);
    leat__strbuf_release(&b->bare);
    leat__schema_free(schema);
    leat__arena_release(&arena);
    bid_rows_close(&b->bids);
    return 0;
}
