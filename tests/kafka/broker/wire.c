/* tests/kafka/broker/wire.c -- see wire.h. */
#include "tests/kafka/broker/wire.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *kb_resize(void *memory, size_t size)
{
    void *p = realloc(memory, size ? size : 1);
    if (!p) {
        (void)fprintf(stderr, "kafka_broker: out of memory\n");
        abort();
    }
    return p;
}

void *kb_new(size_t size)
{
    void *p = kb_resize(NULL, size);
    memset(p, 0, size);
    return p;
}

char *kb_copy_text(const char *text, size_t len)
{
    char *copy = kb_new(len + 1);
    if (len)
        memcpy(copy, text, len);
    return copy;
}

int16_t kb_get_i16(const uint8_t *at)
{
    return (int16_t)(uint16_t)(at[0] << 8 | at[1]);
}

int32_t kb_get_i32(const uint8_t *at)
{
    return (int32_t)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
}

int64_t kb_get_i64(const uint8_t *at)
{
    return (int64_t)((uint64_t)(uint32_t)kb_get_i32(at) << 32 | (uint32_t)kb_get_i32(at + 4));
}

void kb_set_i16(uint8_t *at, int16_t value)
{
    at[0] = (uint8_t)((uint16_t)value >> 8);
    at[1] = (uint8_t)value;
}

void kb_set_i32(uint8_t *at, int32_t value)
{
    kb_set_i16(at, (int16_t)((uint32_t)value >> 16));
    kb_set_i16(at + 2, (int16_t)value);
}

void kb_set_i64(uint8_t *at, int64_t value)
{
    kb_set_i32(at, (int32_t)((uint64_t)value >> 32));
    kb_set_i32(at + 4, (int32_t)value);
}

/* Reading */

const uint8_t *kb_raw(struct kb_in *in, size_t len)
{
    if (in->bad || (size_t)(in->end - in->at) < len) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += len;
    return at;
}

int8_t kb_i8(struct kb_in *in)
{
    const uint8_t *at = kb_raw(in, 1);
    return at ? (int8_t)*at : 0;
}

int16_t kb_i16(struct kb_in *in)
{
    const uint8_t *at = kb_raw(in, 2);
    return at ? kb_get_i16(at) : 0;
}

int32_t kb_i32(struct kb_in *in)
{
    const uint8_t *at = kb_raw(in, 4);
    return at ? kb_get_i32(at) : 0;
}

int64_t kb_i64(struct kb_in *in)
{
    const uint8_t *at = kb_raw(in, 8);
    return at ? kb_get_i64(at) : 0;
}

uint64_t kb_uvarint(struct kb_in *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *at = kb_raw(in, 1);
        if (!at)
            return 0;
        value |= (uint64_t)(*at & 0x7f) << shift;
        if (!(*at & 0x80))
            return value;
    }
    in->bad = true;
    return 0;
}

int64_t kb_varint(struct kb_in *in)
{
    const uint64_t value = kb_uvarint(in);
    return (int64_t)(value >> 1 ^ (~(value & 1) + 1));
}

/* A length of so many bytes: -1 is null. */
static struct kb_text take(struct kb_in *in, int64_t len)
{
    if (len < -1)
        in->bad = true;
    if (in->bad || len < 0)
        return (struct kb_text){ NULL, 0 };
    const uint8_t *at = kb_raw(in, (size_t)len);
    return at ? (struct kb_text){ (const char *)at, (size_t)len } : (struct kb_text){ NULL, 0 };
}

static int64_t compact_length(struct kb_in *in)
{
    const uint64_t len = kb_uvarint(in);
    if (len > INT32_MAX)
        in->bad = true;
    return in->bad ? -1 : (int64_t)len - 1;
}

struct kb_text kb_text(struct kb_in *in)
{
    return take(in, in->flexible ? compact_length(in) : kb_i16(in));
}

struct kb_text kb_bytes(struct kb_in *in)
{
    return take(in, in->flexible ? compact_length(in) : kb_i32(in));
}

int32_t kb_count(struct kb_in *in)
{
    const int64_t count = in->flexible ? compact_length(in) : kb_i32(in);
    /* No element takes less than a byte. */
    if (count < -1 || count > (int64_t)kb_left(in))
        in->bad = true;
    return in->bad ? 0 : (int32_t)count;
}

void kb_tags(struct kb_in *in)
{
    if (!in->flexible)
        return;
    for (uint64_t count = kb_uvarint(in); count > 0 && !in->bad; count--) {
        (void)kb_uvarint(in);
        const uint64_t size = kb_uvarint(in);
        if (size > kb_left(in))
            in->bad = true;
        else
            (void)kb_raw(in, (size_t)size);
    }
}

bool kb_same(struct kb_text text, const char *other)
{
    return text.data && strlen(other) == text.len && memcmp(text.data, other, text.len) == 0;
}

/* Writing */

void kb_out_free(struct kb_out *out)
{
    free(out->data);
    *out = (struct kb_out){ 0 };
}

void kb_put_raw(struct kb_out *out, const void *data, size_t len)
{
    if (out->room - out->len < len) {
        out->room = 2 * out->room + len + 256;
        out->data = kb_resize(out->data, out->room);
    }
    if (len)
        memcpy(out->data + out->len, data, len);
    out->len += len;
}

void kb_put_i8(struct kb_out *out, int8_t value)
{
    kb_put_raw(out, &value, 1);
}

void kb_put_i16(struct kb_out *out, int16_t value)
{
    uint8_t bytes[2];
    kb_set_i16(bytes, value);
    kb_put_raw(out, bytes, 2);
}

void kb_put_i32(struct kb_out *out, int32_t value)
{
    uint8_t bytes[4];
    kb_set_i32(bytes, value);
    kb_put_raw(out, bytes, 4);
}

void kb_put_i64(struct kb_out *out, int64_t value)
{
    uint8_t bytes[8];
    kb_set_i64(bytes, value);
    kb_put_raw(out, bytes, 8);
}

void kb_put_uvarint(struct kb_out *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        kb_put_i8(out, (int8_t)(uint8_t)(value | 0x80));
    kb_put_i8(out, (int8_t)value);
}

void kb_put_varint(struct kb_out *out, int64_t value)
{
    kb_put_uvarint(out, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void kb_put_text(struct kb_out *out, const char *data, size_t len)
{
    if (out->flexible)
        kb_put_uvarint(out, data ? len + 1 : 0);
    else
        kb_put_i16(out, data ? (int16_t)len : -1);
    if (data)
        kb_put_raw(out, data, len);
}

void kb_put_str(struct kb_out *out, const char *text)
{
    kb_put_text(out, text, text ? strlen(text) : 0);
}

void kb_put_count(struct kb_out *out, int32_t count)
{
    if (out->flexible)
        kb_put_uvarint(out, (uint64_t)((int64_t)count + 1));
    else
        kb_put_i32(out, count);
}

void kb_put_bytes_head(struct kb_out *out, size_t len)
{
    kb_put_count(out, (int32_t)len);
}

void kb_put_tags(struct kb_out *out)
{
    if (out->flexible)
        kb_put_i8(out, 0);
}

void kb_printf(struct kb_out *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0)
        kb_put_raw(out, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}
