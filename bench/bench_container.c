/* bench/bench_container.c -- what does reading a container file into batches cost, beside avro-c's file
 * reader and beside nothing but reading its bytes?
 *
 * 200,000 bids in a file that the page cache holds, in each codec, with blocks of 16 KiB and of 256 KiB. Each
 * figure is the median over interleaved repetitions. Read the ratios.
 *
 *   bench_container [directory for the files [repetitions]] */
#include "bench/bid_rows.h"
#include "record/container.h"
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 200000u
#define READ_BYTES (256u * 1024u)
#define REPETITIONS_DEFAULT 7u

struct bench {
    struct bid_rows bids;
    struct leat_env *env;
    char path[1024];
    enum leat_codec codec;
    uint64_t file_bytes;
};

static void write_file(struct bench *b, size_t block_bytes)
{
    static const uint8_t sync[LEAT_SYNC_BYTES] = "bench container";
    struct leat_error err = { 0 };
    struct leat_strbuf out = { 0 }, block = { 0 };
    struct leat_container_writer *writer;
    struct leat_encoder *encoder;
    leat_fd fd;
    bid_rows_check(b->env->fs_open(b->env, b->path, LEAT_OPEN_TRUNCATE, &fd, &err) == 0, err.message);
    bid_rows_check(leat__encoder_new(b->bids.type, &encoder, &err) == 0, "encoder");
    bid_rows_check(
        leat__container_writer_new(bid_rows_schema, b->codec, sync, &out, &writer, &err) == 0, "writer");
    uint64_t in_block = 0;
    b->file_bytes = 0;
    for (uint32_t i = 0; i <= ROWS; i++) {
        char memory[256];
        struct bid_row row;
        if (i == ROWS || block.len >= block_bytes) {
            bid_rows_check(
                leat__container_write_block(writer, block.data, block.len, in_block, &out, &err) == 0,
                "block");
            bid_rows_check(b->env->fs_write(b->env, fd, out.data, out.len, &err) == 0, err.message);
            b->file_bytes += out.len;
            leat__strbuf_clear(&out);
            leat__strbuf_clear(&block);
            in_block = 0;
        }
        if (i == ROWS)
            break;
        bid_rows_make(&row, memory, i);
        bid_rows_check(leat__encode_record(encoder, &row, &block, &err) == 0, "record");
        in_block++;
    }
    b->env->fs_close(b->env, fd);
    leat__container_writer_free(writer);
    leat__encoder_free(encoder);
    leat__strbuf_release(&out);
    leat__strbuf_release(&block);
}

/* Blocks unpacked, and not looked at. */
static void read_blocks(void *arg)
{
    struct bench *b = arg;
    struct leat_error err = { 0 };
    struct leat_container_reader *reader;
    struct leat_container_block block;
    int got;
    bid_rows_check(leat__container_open(b->env, b->bids.pool, b->path, &reader, &err) == 0, err.message);
    while ((got = leat__container_next(reader, &block, &err)) == 1)
        leat__buffer_release(block.buffer);
    bid_rows_check(got == 0, err.message);
    leat__container_close(reader);
}

static void read_batches(void *arg)
{
    struct bench *b = arg;
    struct leat_error err = { 0 };
    struct leat_container_reader *reader;
    struct leat_container_block block;
    struct leat_decoder *decoder;
    uint64_t rows = 0;
    bid_rows_check(leat__container_open(b->env, b->bids.pool, b->path, &reader, &err) == 0, err.message);
    bid_rows_check(leat__decoder_new(leat__container_schema(reader), b->bids.type, NULL, &decoder, &err) == 0,
        "decoder");
    while (leat__container_next(reader, &block, &err) == 1) {
        const uint8_t *at = block.data, *end = block.data + block.size;
        while (at < end) {
            struct leat_batch *batch;
            bid_rows_check(leat__batch_get(b->bids.pool, b->bids.type, &batch) == 0, "batch");
            bid_rows_check(leat__batch_add_buffer(batch, block.buffer) == 0, "buffer");
            bid_rows_check(leat__decode(decoder, &at, end, batch, UINT32_MAX, &err) > 0, "decode");
            rows += batch->count;
            leat__batch_release(batch);
        }
        leat__buffer_release(block.buffer);
    }
    bid_rows_check(rows == ROWS, "count");
    leat__decoder_free(decoder);
    leat__container_close(reader);
}

static void read_bytes(void *arg)
{
    static char data[READ_BYTES];
    struct bench *b = arg;
    struct leat_error err = { 0 };
    leat_fd fd;
    uint64_t at = 0;
    int64_t got = 1;
    bid_rows_check(b->env->fs_open(b->env, b->path, LEAT_OPEN_READ, &fd, &err) == 0, err.message);
    while ((got = b->env->fs_pread(b->env, fd, data, sizeof data, at, &err)) > 0)
        at += (uint64_t)got;
    bid_rows_check(at == b->file_bytes, "size");
    b->env->fs_close(b->env, fd);
}

static void read_avro_c(void *arg)
{
    struct bench *b = arg;
    avro_file_reader_t reader;
    avro_value_t value;
    uint64_t rows = 0;
    bid_rows_check(avro_file_reader(b->path, &reader) == 0, "avro-c");
    avro_schema_t schema = avro_file_reader_get_writer_schema(reader);
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    bid_rows_check(avro_generic_value_new(iface, &value) == 0, "avro-c");
    while (avro_file_reader_read_value(reader, &value) == 0)
        rows++;
    bid_rows_check(rows == ROWS, "avro-c's count");
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(schema);
    avro_file_reader_close(reader);
}

static void measure(struct bench *b, size_t block_bytes, uint32_t repetitions)
{
    const bool avro_can = b->codec != LEAT_CODEC_ZSTANDARD;
    const bid_rows_fn candidates[] = { read_batches, read_blocks, read_bytes, avro_can ? read_avro_c : NULL };
    double ns[4];
    struct leat_error err = { 0 };
    write_file(b, block_bytes);
    bid_rows_measure(b, candidates, 4, repetitions, ROWS, ns);
    printf("%-9s %3zu KiB blocks, %5.1f MB: batches %5.1f ns/row (%4.1f M/s), blocks alone %5.1f, reading "
           "the bytes "
           "%4.1f (batches take %4.1fx)",
        leat__codec_name(b->codec), block_bytes / 1024, (double)b->file_bytes / 1e6, ns[0], 1e3 / ns[0],
        ns[1], ns[2], ns[0] / ns[2]);
    if (avro_can)
        printf(", avro-c %5.0f (%4.1fx)\n", ns[3], ns[3] / ns[0]);
    else
        printf(", avro-c has no such codec\n");
    bid_rows_check(b->env->fs_unlink(b->env, b->path, &err) == 0, err.message);
}

int main(int argc, char **argv)
{
    static const size_t block_bytes[] = { 16u * 1024u, 256u * 1024u };
    const uint32_t repetitions = argc > 2 ? (uint32_t)atoi(argv[2]) : REPETITIONS_DEFAULT;
    struct bench b = { .env = leat__env_posix() };
    bid_rows_open(&b.bids);
    (void)snprintf(b.path, sizeof b.path, "%s/bench_container.avro", argc > 1 ? argv[1] : ".");
    for (int codec = LEAT_CODEC_NULL; codec <= LEAT_CODEC_ZSTANDARD; codec++) {
        for (size_t i = 0; i < sizeof block_bytes / sizeof block_bytes[0]; i++) {
            b.codec = (enum leat_codec)codec;
            measure(&b, block_bytes[i], repetitions);
        }
    }
    bid_rows_close(&b.bids);
    return 0;
}
