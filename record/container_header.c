/* record/container_header.c -- reading a container's header from bytes that may not be all of it yet. */
#include "record/container_private.h"
#include "base/limits.h"

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

int leat__container_read_long(const uint8_t **at, const uint8_t *end, int64_t *value)
{
    uint64_t bits = 0;
    const uint8_t *p = *at;
    for (unsigned shift = 0; shift < 7 * LEAT_VARINT_BYTES_MAX; shift += 7) {
        if (p == end)
            return 0;
        const uint8_t byte = *p++;
        if (shift == 63 && byte > 1)
            return -1;
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(bits >> 1 ^ (0 - (bits & 1)));
            *at = p;
            return 1;
        }
    }
    return -1;
}

static int read_long(struct cursor *c, int64_t *value, struct leat_error *err)
{
    const int got = leat__container_read_long(&c->at, c->end, value);
    return got < 0 ? leat__error(err, LEAT_EDATA, "bad header: a number of more than 64 bits") : got;
}

/* A string or bytes. */
static int read_bytes(struct cursor *c, struct leat_sv *bytes, struct leat_error *err)
{
    int64_t len;
    const int got = read_long(c, &len, err);
    if (got <= 0)
        return got;
    if (len < 0 || len > LEAT_SCHEMA_BYTES_MAX)
        return leat__error(err, LEAT_EDATA, "bad header: metadata of %lld bytes, where 0 to %u are possible",
            (long long)len, LEAT_SCHEMA_BYTES_MAX);
    if (c->end - c->at < len)
        return 0;
    bytes->data = (const char *)c->at;
    bytes->len = (size_t)len;
    c->at += len;
    return 1;
}

/* One block of the metadata map; *count = 0 is the end of the map. */
static int read_metadata_block(
    struct cursor *c, struct leat_container_header *header, int64_t *count, struct leat_error *err)
{
    int64_t bytes;
    int got = read_long(c, count, err);
    if (got <= 0)
        return got;
    if (*count < 0) { /* then the block's size in bytes follows: for skipping, which is not needed here */
        got = read_long(c, &bytes, err);
        if (got <= 0)
            return got;
        if (*count == INT64_MIN)
            return leat__error(err, LEAT_EDATA, "bad header: a metadata map of 2^63 entries");
        *count = -*count;
    }
    for (int64_t i = 0; i < *count; i++) {
        struct leat_sv key, value;
        if ((got = read_bytes(c, &key, err)) <= 0 || (got = read_bytes(c, &value, err)) <= 0)
            return got;
        if (leat_sv_eq(key, LEAT_SV("avro.schema")))
            header->schema = value;
        else if (leat_sv_eq(key, LEAT_SV("avro.codec")))
            header->codec = value;
    }
    return 1;
}

int leat__container_read_header(
    const uint8_t *data, size_t size, struct leat_container_header *header, struct leat_error *err)
{
    struct cursor c = { data, data + size };
    memset(header, 0, sizeof *header);
    const size_t seen = size < LEAT_CONTAINER_MAGIC_BYTES ? size : LEAT_CONTAINER_MAGIC_BYTES;
    if (memcmp(data, LEAT_CONTAINER_MAGIC, seen) != 0)
        return leat__error(
            err, LEAT_EDATA, "not an Avro container file: it does not begin with \"Obj\" and a byte 1");
    if (size < LEAT_CONTAINER_MAGIC_BYTES)
        return 0;
    c.at += LEAT_CONTAINER_MAGIC_BYTES;
    int64_t count = 1;
    while (count != 0) {
        const int got = read_metadata_block(&c, header, &count, err);
        if (got <= 0)
            return got;
    }
    if (c.end - c.at < (ptrdiff_t)LEAT_SYNC_BYTES)
        return 0;
    if (!header->schema.data)
        return leat__error(err, LEAT_EDATA, "bad header: no schema (metadata avro.schema is missing)");
    header->sync = c.at;
    header->size = (size_t)(c.at - data) + LEAT_SYNC_BYTES;
    return 1;
}
