/* record/codec_private.h -- the four compressions of Avro container files, for one block at a time.
 *
 *   null         as it is (the container reader does not come here for it)
 *   deflate      raw (RFC 1951): no header, no checksum
 *   snappy       one raw snappy block, then the CRC-32 of the unpacked bytes, big-endian
 *   zstandard    one or more zstd frames
 *
 * A codec keeps its library contexts and what it learned about sizes from block to block: in the steady state
 * it allocates nothing but pool buffers. What unpacks to more than LEAT_BLOCK_BYTES_MAX is refused before
 * that much memory is taken. Not thread-safe: one codec for each reader or writer. */
#ifndef LEAT_RECORD_CODEC_PRIVATE_H
#define LEAT_RECORD_CODEC_PRIVATE_H
#include "record/container.h"

struct leat_codec_state;

LEAT_NODISCARD int leat__codec_new(
    enum leat_codec codec, struct leat_codec_state **state, struct leat_error *err);
void leat__codec_free(struct leat_codec_state *state);

/* Unpacks a block into a buffer of the pool (refs 1) with *size bytes. The text of LEAT_EDATA says what is
 * wrong with the data; the caller adds where. */
LEAT_NODISCARD int leat__codec_unpack(struct leat_codec_state *state, struct leat_pool *pool,
    const uint8_t *packed, size_t packed_size, struct leat_buffer **buffer, size_t *size,
    struct leat_error *err);
/* Appends the packed form to `out`; on failure `out` keeps its length. */
LEAT_NODISCARD int leat__codec_pack(struct leat_codec_state *state, const void *data, size_t size,
    struct leat_strbuf *out, struct leat_error *err);
#endif
