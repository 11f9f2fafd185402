/* record/container_private.h -- what the reader and the writer of container files share. */
#ifndef LEAT_RECORD_CONTAINER_PRIVATE_H
#define LEAT_RECORD_CONTAINER_PRIVATE_H
#include "record/container.h"

#define LEAT_CONTAINER_MAGIC "Obj\x01"
#define LEAT_CONTAINER_MAGIC_BYTES 4u
#define LEAT_VARINT_BYTES_MAX 10u

/* What a header says; pointers into the bytes it was read from. */
struct leat_container_header {
    struct leat_sv schema;
    struct leat_sv codec; /* data NULL: not given */
    const uint8_t *sync;
    size_t size; /* of the header, sync marker included */
};

/* Reads a zigzag varint and moves *at behind it: 1; 0 when the bytes end before it does; -1 for an over-long
 * one. */
int leat__container_read_long(const uint8_t **at, const uint8_t *end, int64_t *value);
/* 1; 0 when more bytes are needed; LEAT_EDATA with a text about the header. */
LEAT_NODISCARD int leat__container_read_header(
    const uint8_t *data, size_t size, struct leat_container_header *header, struct leat_error *err);
#endif
