/* record/trace_context.c -- traceparents: text and bytes. */
#include "record/trace_context.h"
#include <string.h>

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `bytes` from twice as many digits; false where one is none, or all are 0 and may not be. */
static bool read_bytes(const char *text, size_t bytes, bool may_be_zero, uint8_t *to)
{
    uint8_t any = 0;
    for (size_t i = 0; i < bytes; i++) {
        const int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        to[i] = (uint8_t)(high << 4 | low);
        any |= to[i];
    }
    return any || may_be_zero;
}

bool leat__traceparent_read(struct leat_sv text, struct leat_traceparent *parent)
{
    uint8_t version;
    const char *t = text.data;
    if (text.len < LEAT_TRACEPARENT_CHARS || !read_bytes(t, 1, true, &version) || version == 0xff)
        return false;
    if (text.len > LEAT_TRACEPARENT_CHARS && (version == 0 || t[LEAT_TRACEPARENT_CHARS] != '-'))
        return false;
    for (size_t i = LEAT_TRACEPARENT_CHARS; i < text.len; i++)
        if (t[i] <= 0x20 || t[i] > 0x7e)
            return false;
    return t[2] == '-' && t[35] == '-' && t[52] == '-' &&
        read_bytes(t + 3, LEAT_TRACE_ID_BYTES, false, parent->trace) &&
        read_bytes(t + 36, LEAT_TRACE_SPAN_BYTES, false, parent->span) &&
        read_bytes(t + 53, 1, true, &parent->flags);
}

static char *print_bytes(char *to, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    return to;
}

void leat__traceparent_print(const struct leat_traceparent *parent, char text[LEAT_TRACEPARENT_CHARS])
{
    memcpy(text, "00-", 3);
    char *at = print_bytes(text + 3, parent->trace, LEAT_TRACE_ID_BYTES);
    *at++ = '-';
    at = print_bytes(at, parent->span, LEAT_TRACE_SPAN_BYTES);
    *at++ = '-';
    (void)print_bytes(at, &parent->flags, 1);
}
