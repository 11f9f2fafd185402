/* base/hash.c -- XXH3 and CRC-64-AVRO behind our names. */
#include "base/hash.h"
#include "base/alloc.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Apart, so that its registers are not saved for what is short. */
static __attribute__((noinline)) uint64_t hash_any(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

uint64_t leat__hash(const void *data, size_t len)
{
    return len == 8 ? XXH3_64bits(data, 8) /* numbers as keys: a dozen instructions are left of it */
                    : hash_any(data, len);
}

void leat__hash_all(const struct leat_sv *keys, uint32_t count, uint64_t *hashes)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_sv key = keys[i];
        if (key.len == 8 && key.data)
            hashes[i] = XXH3_64bits(key.data, 8);
        else
            hashes[i] = key.data ? hash_any(key.data, key.len) : 0;
    }
}

struct leat_hash_stream {
    XXH3_state_t state; /* aligned to 64 */
};

struct leat_hash_stream *leat__hash_stream_new(void)
{
    struct leat_hash_stream *stream = leat__aligned_alloc(_Alignof(struct leat_hash_stream), sizeof *stream);
    if (stream)
        leat__hash_stream_clear(stream);
    return stream;
}

void leat__hash_stream_free(struct leat_hash_stream *stream)
{
    leat__free(stream);
}

void leat__hash_stream_clear(struct leat_hash_stream *stream)
{
    (void)XXH3_64bits_reset(&stream->state); /* fails only for NULL, and so the next */
}

void leat__hash_stream_add(struct leat_hash_stream *stream, const void *data, size_t len)
{
    (void)XXH3_64bits_update(&stream->state, data, len);
}

uint64_t leat__hash_stream_value(const struct leat_hash_stream *stream)
{
    return XXH3_64bits_digest(&stream->state);
}

/* The bitwise form of the algorithm in the Avro specification ("Schema Fingerprints"); runs at start only. */
uint64_t leat__crc64_avro(const void *data, size_t len)
{
    const uint64_t empty = UINT64_C(0xc15d213aa4d7a795);
    const unsigned char *p = data;
    uint64_t crc = empty;
    for (size_t i = 0; i < len; i++) {
        uint64_t byte = (crc ^ p[i]) & 0xff;
        for (int bit = 0; bit < 8; bit++)
            byte = (byte >> 1) ^ (empty & (uint64_t)(-(int64_t)(byte & 1)));
        crc = (crc >> 8) ^ byte;
    }
    return crc;
}
