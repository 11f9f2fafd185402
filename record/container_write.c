/* record/container_write.c -- container files from blocks of encoded records. */
#include "record/codec_private.h"
#include "record/container_private.h"
#include "base/alloc.h"
#include "base/limits.h"

struct leat_container_writer {
    struct leat_codec_state *codec;
    bool is_null; /* codec null needs no packing */
    uint8_t sync[LEAT_SYNC_BYTES];
    struct leat_strbuf packed; /* of the current block; its size comes before it */
};

static void put_long(struct leat_strbuf *out, int64_t value)
{
    uint8_t bytes[LEAT_VARINT_BYTES_MAX];
    size_t len = 0;
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value < 0 ? -1 : 0);
    while (bits >= 0x80) {
        bytes[len++] = (uint8_t)(bits | 0x80);
        bits >>= 7;
    }
    bytes[len++] = (uint8_t)bits;
    leat__strbuf_add(out, bytes, len);
}

static void put_text(struct leat_strbuf *out, const char *text)
{
    const size_t len = strlen(text);
    put_long(out, (int64_t)len);
    leat__strbuf_add(out, text, len);
}

/* Ends an append: on failure `out` gets its old length back. */
static int finish(struct leat_strbuf *out, size_t len, int code, struct leat_error *err)
{
    if (code == 0 && out->failed)
        code = leat__error(err, LEAT_ENOMEM, "out of memory for a container file's block");
    if (code < 0 && out->data) {
        out->len = len;
        out->data[len] = '\0';
    }
    return code;
}

int leat__container_writer_new(const char *schema_text, enum leat_codec codec,
    const uint8_t sync[LEAT_SYNC_BYTES], struct leat_strbuf *out, struct leat_container_writer **writer,
    struct leat_error *err)
{
    const size_t len = out->len;
    *writer = NULL;
    struct leat_container_writer *made = leat__calloc(1, sizeof *made);
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a container writer");
    memcpy(made->sync, sync, LEAT_SYNC_BYTES);
    made->is_null = codec == LEAT_CODEC_NULL;
    int code = leat__codec_new(codec, &made->codec, err);
    if (code == 0) {
        leat__strbuf_add(out, LEAT_CONTAINER_MAGIC, LEAT_CONTAINER_MAGIC_BYTES);
        put_long(out, 2);
        put_text(out, "avro.codec");
        put_text(out, leat__codec_name(codec));
        put_text(out, "avro.schema");
        put_text(out, schema_text);
        put_long(out, 0);
        leat__strbuf_add(out, sync, LEAT_SYNC_BYTES);
        code = finish(out, len, 0, err);
    }
    if (code < 0) {
        leat__container_writer_free(made);
        return code;
    }
    *writer = made;
    return 0;
}

void leat__container_writer_free(struct leat_container_writer *writer)
{
    if (!writer)
        return;
    leat__codec_free(writer->codec);
    leat__strbuf_release(&writer->packed);
    leat__free(writer);
}

int leat__container_write_block(struct leat_container_writer *writer, const void *data, size_t size,
    uint64_t rows_count, struct leat_strbuf *out, struct leat_error *err)
{
    const size_t len = out->len;
    if (rows_count == 0)
        return 0;
    if (size > LEAT_BLOCK_BYTES_MAX || rows_count > LEAT_BLOCK_BYTES_MAX)
        return leat__error(err, LEAT_ELIMIT,
            "a block of %zu bytes and %llu records is beyond the limit of %u: write smaller blocks", size,
            (unsigned long long)rows_count, LEAT_BLOCK_BYTES_MAX);
    const void *packed = data;
    size_t packed_size = size;
    if (!writer->is_null) {
        leat__strbuf_clear(&writer->packed);
        LEAT_TRY(leat__codec_pack(writer->codec, data, size, &writer->packed, err));
        packed = writer->packed.data;
        packed_size = writer->packed.len;
        if (packed_size > LEAT_BLOCK_BYTES_MAX)
            return leat__error(err, LEAT_ELIMIT,
                "a block of %zu bytes packs to %zu, beyond the limit of %u: write smaller blocks", size,
                packed_size, LEAT_BLOCK_BYTES_MAX);
    }
    put_long(out, (int64_t)rows_count);
    put_long(out, (int64_t)packed_size);
    leat__strbuf_add(out, packed, packed_size);
    leat__strbuf_add(out, writer->sync, LEAT_SYNC_BYTES);
    return finish(out, len, 0, err);
}
