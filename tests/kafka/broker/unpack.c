/* tests/kafka/broker/unpack.c -- the four codecs of record batches. snappy comes as one raw block, or in the framing that
 * Java clients write: a head of 16 bytes, then blocks with a length each. */
#include "tests/kafka/broker/batch.h"
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define UNPACKED_MAX ((size_t)64 << 20)
enum { PIECE = 65536, JAVA_HEAD = 16 };

static bool add(struct kb_out *out, const void *data, size_t size)
{
    if (size > UNPACKED_MAX - out->len)
        return false;
    kb_put_raw(out, data, size);
    return true;
}

static bool unpack_gzip(const uint8_t *data, size_t size, struct kb_out *out)
{
    uint8_t piece[PIECE];
    z_stream z = { .next_in = (uint8_t *)(uintptr_t)data, .avail_in = (uInt)size };
    if (inflateInit2(&z, 15 + 32) != Z_OK)
        return false;
    int code;
    bool fine = true;
    do {
        z.next_out = piece;
        z.avail_out = sizeof piece;
        code = inflate(&z, Z_NO_FLUSH);
        fine = (code == Z_OK || code == Z_STREAM_END) && add(out, piece, sizeof piece - z.avail_out);
    } while (fine && code != Z_STREAM_END && (z.avail_in > 0 || z.avail_out == 0));
    (void)inflateEnd(&z);
    return fine && code == Z_STREAM_END;
}

static bool unpack_block(const uint8_t *data, size_t size, struct kb_out *out)
{
    size_t len = 0;
    if (snappy_uncompressed_length((const char *)data, size, &len) != SNAPPY_OK || len > UNPACKED_MAX)
        return false;
    char *text = kb_new(len + 1);
    const bool fine =
        snappy_uncompress((const char *)data, size, text, &len) == SNAPPY_OK && add(out, text, len);
    free(text);
    return fine;
}

static bool unpack_snappy(const uint8_t *data, size_t size, struct kb_out *out)
{
    static const uint8_t magic[] = { 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0 };
    if (size < JAVA_HEAD || memcmp(data, magic, sizeof magic) != 0)
        return unpack_block(data, size, out);
    struct kb_in in = { .at = data + JAVA_HEAD, .end = data + size };
    while (kb_left(&in) > 0) {
        const int32_t len = kb_i32(&in);
        const uint8_t *block = len < 0 ? NULL : kb_raw(&in, (size_t)len);
        if (!block || !unpack_block(block, (size_t)len, out))
            return false;
    }
    return !in.bad;
}

static bool unpack_lz4(const uint8_t *data, size_t size, struct kb_out *out)
{
    uint8_t piece[PIECE];
    LZ4F_dctx *lz4 = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)))
        return false;
    size_t more = 1, at = 0;
    bool fine = true;
    while (fine && more != 0) {
        size_t written = sizeof piece, read = size - at;
        more = LZ4F_decompress(lz4, piece, &written, data + at, &read, NULL);
        at += read;
        fine = !LZ4F_isError(more) && add(out, piece, written) && (read > 0 || written > 0 || more == 0);
    }
    (void)LZ4F_freeDecompressionContext(lz4);
    return fine;
}

static bool unpack_zstd(const uint8_t *data, size_t size, struct kb_out *out)
{
    uint8_t piece[PIECE];
    ZSTD_DStream *zstd = ZSTD_createDStream();
    ZSTD_inBuffer in = { data, size, 0 };
    size_t more = 1;
    bool fine = zstd != NULL;
    while (fine && more != 0) {
        ZSTD_outBuffer room = { piece, sizeof piece, 0 };
        const size_t before = in.pos;
        more = ZSTD_decompressStream(zstd, &room, &in);
        fine = !ZSTD_isError(more) && add(out, piece, room.pos) &&
            (in.pos > before || room.pos > 0 || more == 0);
    }
    (void)ZSTD_freeDStream(zstd);
    return fine;
}

bool kb_unpack(int codec, const uint8_t *data, size_t size, struct kb_out *out)
{
    switch (codec) {
    case 1:
        return unpack_gzip(data, size, out);
    case 2:
        return unpack_snappy(data, size, out);
    case 3:
        return unpack_lz4(data, size, out);
    case 4:
        return unpack_zstd(data, size, out);
    default:
        return false;
    }
}
