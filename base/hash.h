/* base/hash.h -- the stable 64-bit hash of key bytes (XXH3, seed 0).
 * It decides the key group and is part of the format on disk: it never changes. */
#ifndef LEAT_BASE_HASH_H
#define LEAT_BASE_HASH_H
#include <leat/api.h>
#include <leat/type.h>

uint64_t leat__hash(const void *data, size_t len);
/* Of many; 0 where data is NULL. */
void leat__hash_all(const struct leat_sv *keys, uint32_t count, uint64_t *hashes);
/* The same hash of bytes that come in pieces. */
struct leat_hash_stream;
struct leat_hash_stream *leat__hash_stream_new(void); /* of no bytes yet; NULL when out of memory */
void leat__hash_stream_free(struct leat_hash_stream *stream);
void leat__hash_stream_clear(struct leat_hash_stream *stream);
void leat__hash_stream_add(struct leat_hash_stream *stream, const void *data, size_t len);
uint64_t leat__hash_stream_value(const struct leat_hash_stream *stream);
/* CRC-32 (zlib's) and CRC-32C are in connectors' libraries; this is CRC-64-AVRO, for fingerprints. */
uint64_t leat__crc64_avro(const void *data, size_t len);

/* Key group of a hash: 0 .. groups-1. The high bits of the hash, so that tables may use the low ones. */
static inline uint32_t leat__key_group(uint64_t hash, uint32_t groups)
{
    return (uint32_t)(((hash >> 32) * groups) >> 32);
}
/* The worker that owns a key group: contiguous ranges of nearly equal size. */
static inline uint32_t leat__key_group_owner(uint32_t group, uint32_t groups, uint32_t workers)
{
    return (uint32_t)((uint64_t)group * workers / groups);
}
#endif
