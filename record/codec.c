/* record/codec.c -- deflate (zlib), snappy and zstandard, each behind the same two calls.
 *
 * Only snappy tells the unpacked size in advance (zstandard often does). For the others the largest size so
 * far is the guess; a wrong guess costs a larger buffer and one copy (deflate) or a second run (zstandard),
 * and is then remembered. */
#include "record/codec_private.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/limits.h"
#include <snappy-c.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define CRC_BYTES 4u
#define GUESS_BYTES_MIN 4096u
#define DEFLATE_LEVEL 6
#define ZSTD_LEVEL 3

struct leat_codec_state {
    enum leat_codec codec;
    size_t guess; /* of the next block's unpacked size: the largest of late */
    bool inflate_ready, deflate_ready;
    z_stream inflate, deflate;
    ZSTD_DCtx *zstd_in;
    ZSTD_CCtx *zstd_out;
};

static const char *const codec_names[] = {
    [LEAT_CODEC_NULL] = "null",
    [LEAT_CODEC_DEFLATE] = "deflate",
    [LEAT_CODEC_SNAPPY] = "snappy",
    [LEAT_CODEC_ZSTANDARD] = "zstandard",
};

enum leat_codec leat__codec_find(const char *name)
{
    if (!name)
        return LEAT_CODEC_NULL;
    for (int i = LEAT_CODEC_NULL; i <= LEAT_CODEC_ZSTANDARD; i++)
        if (strcmp(name, codec_names[i]) == 0)
            return (enum leat_codec)i;
    return (enum leat_codec)0;
}

const char *leat__codec_name(enum leat_codec codec)
{
    LEAT_ASSERT(codec >= LEAT_CODEC_NULL && codec <= LEAT_CODEC_ZSTANDARD);
    return codec_names[codec];
}

int leat__codec_new(enum leat_codec codec, struct leat_codec_state **state, struct leat_error *err)
{
    *state = leat__calloc(1, sizeof **state);
    if (!*state)
        return leat__error(err, LEAT_ENOMEM, "out of memory for codec %s", leat__codec_name(codec));
    (*state)->codec = codec;
    (*state)->guess = GUESS_BYTES_MIN;
    return 0;
}

void leat__codec_free(struct leat_codec_state *state)
{
    if (!state)
        return;
    if (state->inflate_ready)
        (void)inflateEnd(&state->inflate); /* fails only for a stream that is not ready */
    if (state->deflate_ready)
        (void)deflateEnd(&state->deflate);
    (void)ZSTD_freeDCtx(state->zstd_in); /* NULL is fine; can not fail */
    (void)ZSTD_freeCCtx(state->zstd_out);
    leat__free(state);
}

static int no_memory(struct leat_error *err, const struct leat_codec_state *state, size_t size)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for a block of %zu bytes (codec %s)", size,
        leat__codec_name(state->codec));
}

static int too_large(struct leat_error *err)
{
    return leat__error(
        err, LEAT_EDATA, "the block unpacks to more than %u bytes, the limit", LEAT_BLOCK_BYTES_MAX);
}

/* A buffer with room for `*capacity` bytes at least; *capacity becomes what may be written, limit included.
 */
static int get_buffer(struct leat_codec_state *state, struct leat_pool *pool, size_t *capacity,
    struct leat_buffer **buffer, struct leat_error *err)
{
    if (leat__buffer_get(pool, *capacity, buffer) < 0) {
        *buffer = NULL;
        return no_memory(err, state, *capacity);
    }
    *capacity = (*buffer)->capacity < LEAT_BLOCK_BYTES_MAX ? (*buffer)->capacity : LEAT_BLOCK_BYTES_MAX;
    return 0;
}

/* The next size to try after `capacity` was too small; 0: the limit was tried. */
static size_t grown(size_t capacity)
{
    if (capacity >= LEAT_BLOCK_BYTES_MAX)
        return 0;
    return capacity < LEAT_BLOCK_BYTES_MAX / 2 ? capacity * 2 : LEAT_BLOCK_BYTES_MAX;
}

static uint32_t get_crc(const void *data, size_t size)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, size);
}

/* ---- deflate ---- */

static void *zlib_alloc(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return leat__calloc(count, size);
}

static void zlib_free(void *arg, void *p)
{
    (void)arg;
    leat__free(p);
}

static int start_inflate(struct leat_codec_state *state, struct leat_error *err)
{
    z_stream *z = &state->inflate;
    if (state->inflate_ready)
        return inflateReset(z) == Z_OK ? 0 : no_memory(err, state, 0);
    z->zalloc = zlib_alloc;
    z->zfree = zlib_free;
    if (inflateInit2(z, -MAX_WBITS) != Z_OK)
        return no_memory(err, state, 0);
    state->inflate_ready = true;
    return 0;
}

/* Takes the full `*buffer` and gives a larger one with the same bytes. */
static int enlarge(struct leat_codec_state *state, struct leat_pool *pool, size_t used,
    struct leat_buffer **buffer, size_t *capacity, struct leat_error *err)
{
    struct leat_buffer *larger;
    *capacity = grown(*capacity);
    if (*capacity == 0)
        return too_large(err);
    LEAT_TRY(get_buffer(state, pool, capacity, &larger, err));
    memcpy(larger->data, (*buffer)->data, used);
    leat__buffer_release(*buffer);
    *buffer = larger;
    return 0;
}

static int unpack_deflate(struct leat_codec_state *state, struct leat_pool *pool, const uint8_t *packed,
    size_t packed_size, struct leat_buffer **buffer, size_t *size, struct leat_error *err)
{
    size_t capacity = state->guess;
    LEAT_TRY(start_inflate(state, err));
    LEAT_TRY(get_buffer(state, pool, &capacity, buffer, err));
    z_stream *z = &state->inflate;
    z->next_in = packed;
    z->avail_in = (unsigned)packed_size;
    *size = 0;
    for (;;) {
        z->next_out = (unsigned char *)(*buffer)->data + *size;
        z->avail_out = (unsigned)(capacity - *size);
        const int code = inflate(z, Z_FINISH);
        *size = capacity - z->avail_out;
        if (code == Z_STREAM_END)
            break;
        if (code == Z_MEM_ERROR)
            return no_memory(err, state, capacity);
        if ((code != Z_BUF_ERROR && code != Z_OK) || z->avail_out > 0)
            return leat__error(err, LEAT_EDATA, "deflate: %s", z->msg ? z->msg : "the data end too early");
        LEAT_TRY(enlarge(state, pool, *size, buffer, &capacity, err));
    }
    /* Bytes may follow: some writers leave a part of zlib's checksum there. */
    return 0;
}

static int start_deflate(struct leat_codec_state *state, struct leat_error *err)
{
    z_stream *z = &state->deflate;
    if (state->deflate_ready)
        return deflateReset(z) == Z_OK ? 0 : no_memory(err, state, 0);
    z->zalloc = zlib_alloc;
    z->zfree = zlib_free;
    if (deflateInit2(z, DEFLATE_LEVEL, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return no_memory(err, state, 0);
    state->deflate_ready = true;
    return 0;
}

static int pack_deflate(struct leat_codec_state *state, const void *data, size_t size,
    struct leat_strbuf *out, struct leat_error *err)
{
    LEAT_TRY(start_deflate(state, err));
    z_stream *z = &state->deflate;
    const size_t bound = deflateBound(z, size);
    if (!leat__strbuf_reserve(out, bound))
        return no_memory(err, state, bound);
    z->next_in = data;
    z->avail_in = (unsigned)size;
    z->next_out = (unsigned char *)out->data + out->len;
    z->avail_out = (unsigned)bound;
    const int code = deflate(z, Z_FINISH);
    LEAT_ASSERT(code == Z_STREAM_END); /* deflateBound promises it */
    out->len += bound - z->avail_out;
    return 0;
}

/* ---- snappy ---- */

static int unpack_snappy(struct leat_codec_state *state, struct leat_pool *pool, const uint8_t *packed,
    size_t packed_size, struct leat_buffer **buffer, size_t *size, struct leat_error *err)
{
    if (packed_size < CRC_BYTES)
        return leat__error(err, LEAT_EDATA, "snappy: the block has no room for its checksum");
    const char *text = (const char *)packed;
    const size_t text_size = packed_size - CRC_BYTES;
    if (snappy_uncompressed_length(text, text_size, size) != SNAPPY_OK)
        return leat__error(err, LEAT_EDATA, "snappy: the block does not begin with its length");
    if (*size > LEAT_BLOCK_BYTES_MAX)
        return too_large(err);
    /* Three bytes packed make 64 unpacked at best: a length beyond is a lie, not worth the memory. */
    if (*size / 32 > text_size)
        return leat__error(err, LEAT_EDATA, "snappy: %zu bytes can not unpack to %zu", text_size, *size);
    size_t capacity = *size;
    LEAT_TRY(get_buffer(state, pool, &capacity, buffer, err));
    if (snappy_uncompress(text, text_size, (*buffer)->data, size) != SNAPPY_OK)
        return leat__error(err, LEAT_EDATA, "snappy: damaged data");
    const uint8_t *crc = packed + text_size;
    const uint32_t stored =
        (uint32_t)crc[0] << 24 | (uint32_t)crc[1] << 16 | (uint32_t)crc[2] << 8 | (uint32_t)crc[3];
    const uint32_t computed = get_crc((*buffer)->data, *size);
    if (stored != computed)
        return leat__error(err, LEAT_EDATA, "snappy: the checksum of the data is %08x, but %08x is stored",
            computed, stored);
    return 0;
}

static int pack_snappy(struct leat_codec_state *state, const void *data, size_t size, struct leat_strbuf *out,
    struct leat_error *err)
{
    size_t packed = snappy_max_compressed_length(size);
    if (!leat__strbuf_reserve(out, packed + CRC_BYTES))
        return no_memory(err, state, packed);
    char *to = out->data + out->len;
    const snappy_status status = snappy_compress(data, size, to, &packed);
    LEAT_ASSERT(status == SNAPPY_OK); /* the room is enough, and it has no other way to fail */
    const uint32_t crc = get_crc(data, size);
    for (size_t i = 0; i < CRC_BYTES; i++)
        to[packed + i] = (char)(crc >> (24 - 8 * i));
    out->len += packed + CRC_BYTES;
    return 0;
}

/* ---- zstandard ---- */

static int unpack_zstd(struct leat_codec_state *state, struct leat_pool *pool, const uint8_t *packed,
    size_t packed_size, struct leat_buffer **buffer, size_t *size, struct leat_error *err)
{
    if (!state->zstd_in && !(state->zstd_in = ZSTD_createDCtx()))
        return no_memory(err, state, 0);
    const unsigned long long told = ZSTD_getFrameContentSize(packed, packed_size);
    if (told == ZSTD_CONTENTSIZE_ERROR)
        return leat__error(err, LEAT_EDATA, "zstandard: the block does not begin with a frame");
    if (told != ZSTD_CONTENTSIZE_UNKNOWN && told > LEAT_BLOCK_BYTES_MAX)
        return too_large(err);
    /* A frame may lie about its size: what it tells is believed only as far as twenty times its bytes. */
    size_t capacity = state->guess;
    if (told != ZSTD_CONTENTSIZE_UNKNOWN && told / 20 < packed_size)
        capacity = (size_t)told;
    for (;;) {
        LEAT_TRY(get_buffer(state, pool, &capacity, buffer, err));
        *size = ZSTD_decompressDCtx(state->zstd_in, (*buffer)->data, capacity, packed, packed_size);
        if (!ZSTD_isError(*size))
            return 0;
        const ZSTD_ErrorCode code = ZSTD_getErrorCode(*size);
        if (code == ZSTD_error_memory_allocation)
            return no_memory(err, state, capacity);
        if (code != ZSTD_error_dstSize_tooSmall)
            return leat__error(err, LEAT_EDATA, "zstandard: %s", ZSTD_getErrorName(*size));
        leat__buffer_release(*buffer);
        *buffer = NULL;
        capacity = grown(capacity);
        if (capacity == 0)
            return too_large(err);
    }
}

/* With a checksum in each frame: Avro's container has none of its own. */
static ZSTD_CCtx *new_zstd_out(void)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    const bool set = zstd &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1));
    if (set)
        return zstd;
    (void)ZSTD_freeCCtx(zstd); /* NULL is fine; can not fail */
    return NULL;
}

static int pack_zstd(struct leat_codec_state *state, const void *data, size_t size, struct leat_strbuf *out,
    struct leat_error *err)
{
    if (!state->zstd_out && !(state->zstd_out = new_zstd_out()))
        return no_memory(err, state, size);
    const size_t bound = ZSTD_compressBound(size);
    if (!leat__strbuf_reserve(out, bound))
        return no_memory(err, state, bound);
    const size_t packed = ZSTD_compress2(state->zstd_out, out->data + out->len, bound, data, size);
    if (ZSTD_isError(packed)) /* with enough room only memory can be missing */
        return no_memory(err, state, bound);
    out->len += packed;
    return 0;
}

/* ---- dispatch ---- */

static int unpack_null(struct leat_codec_state *state, struct leat_pool *pool, const uint8_t *packed,
    size_t packed_size, struct leat_buffer **buffer, size_t *size, struct leat_error *err)
{
    size_t capacity = packed_size;
    LEAT_TRY(get_buffer(state, pool, &capacity, buffer, err));
    if (packed_size > 0)
        memcpy((*buffer)->data, packed, packed_size);
    *size = packed_size;
    return 0;
}

int leat__codec_unpack(struct leat_codec_state *state, struct leat_pool *pool, const uint8_t *packed,
    size_t packed_size, struct leat_buffer **buffer, size_t *size, struct leat_error *err)
{
    int code;
    LEAT_ASSERT(packed_size <= LEAT_BLOCK_BYTES_MAX);
    *buffer = NULL;
    *size = 0;
    switch (state->codec) {
    case LEAT_CODEC_DEFLATE:
        code = unpack_deflate(state, pool, packed, packed_size, buffer, size, err);
        break;
    case LEAT_CODEC_SNAPPY:
        code = unpack_snappy(state, pool, packed, packed_size, buffer, size, err);
        break;
    case LEAT_CODEC_ZSTANDARD:
        code = unpack_zstd(state, pool, packed, packed_size, buffer, size, err);
        break;
    default:
        code = unpack_null(state, pool, packed, packed_size, buffer, size, err);
        break;
    }
    if (code < 0) {
        leat__buffer_release(*buffer);
        *buffer = NULL;
    } else {
        /* Forgets slowly, so that one large block does not make all later buffers large. */
        const size_t faded = state->guess - state->guess / 8;
        state->guess = *size > faded ? *size : faded;
        if (state->guess < GUESS_BYTES_MIN)
            state->guess = GUESS_BYTES_MIN;
    }
    return code;
}

int leat__codec_pack(struct leat_codec_state *state, const void *data, size_t size, struct leat_strbuf *out,
    struct leat_error *err)
{
    switch (state->codec) {
    case LEAT_CODEC_DEFLATE:
        return pack_deflate(state, data, size, out, err);
    case LEAT_CODEC_SNAPPY:
        return pack_snappy(state, data, size, out, err);
    case LEAT_CODEC_ZSTANDARD:
        return pack_zstd(state, data, size, out, err);
    default:
        leat__strbuf_add(out, data, size);
        return out->failed ? no_memory(err, state, size) : 0;
    }
}
