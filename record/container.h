/* record/container.h -- Avro object container files, block by block.
 *
 *   "Obj" 0x01 | metadata map (avro.schema, avro.codec) | sync[16] | { count | size | data | sync[16] } ...
 *
 * Reading goes through a struct leat_env and is resumable: a position is the offset of a block and a row in
 * it.
 *
 * Ranges. A file can be read in parts of its bytes. The range [from, to) has exactly the blocks whose
 * preceding sync marker (the header's for the first block) begins in [from, to): Avro's sync(from) and
 * pastSync(to). Any partition of 0 .. size into ranges therefore reads each block exactly once, wherever the
 * cuts lie; a range is entered by looking for the first marker at or after `from`.
 *
 * Codecs: null, deflate, snappy (CRC checked), zstandard. Blocks of codec null are views of what was read
 * from the file, not copies. Writing is for sinks: a writer appends whole blocks. */
#ifndef LEAT_RECORD_CONTAINER_H
#define LEAT_RECORD_CONTAINER_H
#include "base/env.h"
#include "record/avro.h"

#define LEAT_SYNC_BYTES 16u

enum leat_codec { LEAT_CODEC_NULL = 1, LEAT_CODEC_DEFLATE, LEAT_CODEC_SNAPPY, LEAT_CODEC_ZSTANDARD };
/* "null", "deflate", "snappy", "zstandard"; 0 for another word. NULL text gives LEAT_CODEC_NULL. */
enum leat_codec leat__codec_find(const char *name);
const char *leat__codec_name(enum leat_codec codec);

struct leat_container_reader;

/* Reads the header of `path`. The reader borrows env and pool. LEAT_EDATA: not a container, bad header, or an
 * unknown codec (named, with those that are known); errors begin with the path. */
LEAT_NODISCARD int leat__container_open(struct leat_env *env, struct leat_pool *pool, const char *path,
    struct leat_container_reader **reader, struct leat_error *err);
void leat__container_close(struct leat_container_reader *reader); /* NULL is fine */
const struct leat_schema *leat__container_schema(const struct leat_container_reader *reader);
enum leat_codec leat__container_codec(const struct leat_container_reader *reader);
uint64_t leat__container_size(const struct leat_container_reader *reader); /* bytes of the file when opened */

/* Reads on with the first block of the byte range [from, to) and ends with its last; none where from >= to.
 * `to` = UINT64_MAX for the end of the file, from = 0 from its first block. To get past a damaged block:
 * range from its offset on. */
LEAT_NODISCARD int leat__container_range(
    struct leat_container_reader *reader, uint64_t from, uint64_t to, struct leat_error *err);
/* Continues at the block that begins at `offset` exactly (as a position gave it) or at the end of the file;
 * the end of the range stays. LEAT_EDATA when no block begins there: the file is not the one that the
 * position is of. */
LEAT_NODISCARD int leat__container_seek(
    struct leat_container_reader *reader, uint64_t offset, struct leat_error *err);

/* Offset of the block that next would give: the position to resume at; after an error of next, of the bad
 * block. */
uint64_t leat__container_at(const struct leat_container_reader *reader);

/* One unpacked block. `buffer` has a reference for the caller. */
struct leat_container_block {
    uint64_t offset; /* of the block (its count) in the file: the position to resume at */
    uint64_t rows_count; /* at most LEAT_BLOCK_BYTES_MAX; 0 is possible */
    struct leat_buffer *buffer;
    const uint8_t *data; /* in the buffer, with LEAT_BUFFER_SLACK_BYTES readable behind its end */
    size_t size;
};
/* The next block: 1, 0 at the end of file or range, or an error (LEAT_EDATA: truncated, bad sync marker, bad
 * CRC, a size or count beyond the limits) whose text names path, block (its number among those this reader
 * has seen) and offset; the reader then stays before that block. */
LEAT_NODISCARD int leat__container_next(
    struct leat_container_reader *reader, struct leat_container_block *block, struct leat_error *err);

struct leat_container_writer;

/* The header and blocks are appended to `out`, which the caller writes to its file and clears. `sync` is 16
 * bytes (random in production, fixed in tests). LEAT_ENOMEM or 0. On failure `out` keeps its length. */
LEAT_NODISCARD int leat__container_writer_new(const char *schema_text, enum leat_codec codec,
    const uint8_t sync[LEAT_SYNC_BYTES], struct leat_strbuf *out, struct leat_container_writer **writer,
    struct leat_error *err);
void leat__container_writer_free(struct leat_container_writer *writer); /* NULL is fine */
/* Appends one block of `rows_count` encoded records; none for no rows. LEAT_ELIMIT for a block that no reader
 * would take (LEAT_BLOCK_BYTES_MAX). On failure `out` keeps its length. */
LEAT_NODISCARD int leat__container_write_block(struct leat_container_writer *writer, const void *data,
    size_t size, uint64_t rows_count, struct leat_strbuf *out, struct leat_error *err);
#endif
