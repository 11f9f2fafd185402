/* tests/kafka/broker/wire.h -- Kafka's encoding: reading with bounds, writing into a growable buffer.
 *
 * A reader that meets less than it needs, or a length that can not be, is `bad` from then on and gives zeros; whoever reads
 * asks once at the end. What it gives refers to the bytes it was made for. `flexible` is the newer encoding of a version:
 * compact lengths and tagged fields (which are skipped, and written empty). */
#ifndef LEAT_TESTS_KAFKA_BROKER_WIRE_H
#define LEAT_TESTS_KAFKA_BROKER_WIRE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory: zeroed; the end of it ends the process, which is a test's. */
void *kb_new(size_t size);
void *kb_resize(void *memory, size_t size);
char *kb_copy_text(const char *text, size_t len);
/* Makes room for one more element behind `count`; sizes double. */
#define KB_GROW(array_, count_) \
    do { \
        if (((count_) & ((count_)-1)) == 0) \
            (array_) = kb_resize((array_), ((count_) ? 2 * (size_t)(count_) : 1) * sizeof *(array_)); \
    } while (0)

struct kb_in {
    const uint8_t *at, *end;
    bool bad, flexible;
};

struct kb_text {
    const char *data; /* NULL: null */
    size_t len;
};

static inline size_t kb_left(const struct kb_in *in)
{
    return in->bad ? 0 : (size_t)(in->end - in->at);
}
int8_t kb_i8(struct kb_in *in);
int16_t kb_i16(struct kb_in *in);
int32_t kb_i32(struct kb_in *in);
int64_t kb_i64(struct kb_in *in);
uint64_t kb_uvarint(struct kb_in *in);
int64_t kb_varint(struct kb_in *in); /* zigzag */
const uint8_t *kb_raw(struct kb_in *in, size_t len); /* NULL: not so many */
struct kb_text kb_text(struct kb_in *in); /* a string, nullable or not */
struct kb_text kb_bytes(struct kb_in *in); /* bytes, nullable or not */
int32_t kb_count(struct kb_in *in); /* of an array; -1: null. Never more than bytes are left */
void kb_tags(struct kb_in *in);
bool kb_same(struct kb_text text, const char *other); /* other: NUL-terminated */

struct kb_out {
    uint8_t *data;
    size_t len, room;
    bool flexible;
};

void kb_out_free(struct kb_out *out);
void kb_put_raw(struct kb_out *out, const void *data, size_t len);
void kb_put_i8(struct kb_out *out, int8_t value);
void kb_put_i16(struct kb_out *out, int16_t value);
void kb_put_i32(struct kb_out *out, int32_t value);
void kb_put_i64(struct kb_out *out, int64_t value);
void kb_put_uvarint(struct kb_out *out, uint64_t value);
void kb_put_varint(struct kb_out *out, int64_t value);
void kb_put_text(struct kb_out *out, const char *data, size_t len); /* NULL: null */
void kb_put_str(struct kb_out *out, const char *text); /* NULL: null */
void kb_put_count(struct kb_out *out, int32_t count); /* -1: null */
void kb_put_bytes_head(struct kb_out *out, size_t len);
void kb_put_tags(struct kb_out *out);
void kb_printf(struct kb_out *out, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* text without NUL */
/* Big-endian numbers at a place. */
void kb_set_i16(uint8_t *at, int16_t value);
void kb_set_i32(uint8_t *at, int32_t value);
void kb_set_i64(uint8_t *at, int64_t value);
int16_t kb_get_i16(const uint8_t *at);
int32_t kb_get_i32(const uint8_t *at);
int64_t kb_get_i64(const uint8_t *at);
#endif
