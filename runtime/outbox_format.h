/* runtime/outbox_format.h -- the bytes of an outbox file, for its writer and its reader; outbox.h has the table.
 */
#ifndef LEAT_RUNTIME_OUTBOX_FORMAT_H
#define LEAT_RUNTIME_OUTBOX_FORMAT_H
#include "base/hash.h"
#include "runtime/outbox.h"

#define LEAT_OUTBOX_MAGIC "leatobx2" /* with the version of the format */
#define LEAT_OUTBOX_MAGIC_BYTES 8u
#define LEAT_OUTBOX_FIXED_BYTES 28u /* of a payload, before key and value */
#define LEAT_OUTBOX_FIXED_BYTES_1 20u /* of version 1: key and value, but no headers and no topic */
#define LEAT_OUTBOX_NONE UINT32_MAX /* the size of a key, value, ... that there is not */

static inline void leat__put_le32(char *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (char)(unsigned char)(value >> 8 * i);
}
static inline void leat__put_le64(char *to, uint64_t value)
{
    leat__put_le32(to, (uint32_t)value);
    leat__put_le32(to + 4, (uint32_t)(value >> 32));
}
static inline uint32_t leat__get_le32(const char *from)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)(unsigned char)from[i] << 8 * i;
    return value;
}
static inline uint64_t leat__get_le64(const char *from)
{
    return leat__get_le32(from) | (uint64_t)leat__get_le32(from + 4) << 32;
}

/* The checksum of a record: of its bytes, and of all records before it. */
static inline uint64_t leat__outbox_chain(uint64_t before, const char *payload, size_t size)
{
    char both[16];
    leat__put_le64(both, before);
    leat__put_le64(both + 8, leat__hash(payload, size));
    return leat__hash(both, sizeof both);
}
/* The checksum of the trailer. */
static inline uint64_t leat__outbox_seal(uint64_t chain, uint64_t epoch, uint64_t records)
{
    char all[24];
    leat__put_le64(all, chain);
    leat__put_le64(all + 8, epoch);
    leat__put_le64(all + 16, records);
    return leat__hash(all, sizeof all);
}
#endif
