/* runtime/base64.c -- see the header. Decoding is strict: no blanks, full padding, spare bits zero. */
#include "runtime/base64.h"
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void leat__base64_encode(const void *data, size_t len, struct leat_strbuf *out)
{
    const unsigned char *in = data;
    for (size_t i = 0; i < len; i += 3) {
        const size_t n = len - i < 3 ? len - i : 3;
        const uint32_t bits = (uint32_t)in[i] << 16 | (n > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
            (n > 2 ? (uint32_t)in[i + 2] : 0);
        const char four[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
            n > 1 ? digits[bits >> 6 & 63] : '=', n > 2 ? digits[bits & 63] : '=' };
        leat__strbuf_add(out, four, sizeof four);
    }
}

static int digit_value(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

int64_t leat__base64_decode(const char *text, size_t len, char *out)
{
    size_t used = 0;
    if (len % 4 != 0)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        const bool is_last = i + 4 == len;
        const size_t n = is_last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 1 : 2) : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            const int value = k > n ? 0 : digit_value(text[i + k]);
            if (value < 0)
                return -1;
            bits = bits << 6 | (uint32_t)value;
        }
        if (bits & (n == 1 ? 0xffffu : n == 2 ? 0xffu : 0u))
            return -1;
        for (size_t k = 0; k < n; k++)
            out[used++] = (char)(bits >> (16 - 8 * k));
    }
    return (int64_t)used;
}
