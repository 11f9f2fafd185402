/* base/strbuf.c -- growable byte strings. */
#include "base/strbuf.h"
#include "base/alloc.h"
#include <stdio.h>

#define SLACK_BYTES 17u /* NUL and room for over-copies of 16 bytes */

void leat__strbuf_release(struct leat_strbuf *s)
{
    leat__free(s->data);
    memset(s, 0, sizeof *s);
}

bool leat__strbuf_reserve(struct leat_strbuf *s, size_t more)
{
    if (s->failed)
        return false;
    if (more > SIZE_MAX / 4 || s->len > SIZE_MAX / 4) {
        s->failed = true;
        return false;
    }
    const size_t need = s->len + more + SLACK_BYTES;
    if (need <= s->capacity)
        return true;
    size_t capacity = s->capacity ? s->capacity * 2 : 64;
    if (capacity < need)
        capacity = need;
    char *data = leat__realloc(s->data, capacity);
    if (!data) {
        s->failed = true;
        return false;
    }
    data[s->len] = '\0';
    s->data = data;
    s->capacity = capacity;
    return true;
}

void leat__strbuf_add(struct leat_strbuf *s, const void *data, size_t len)
{
    if (!leat__strbuf_reserve(s, len))
        return;
    if (len)
        memcpy(s->data + s->len, data, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void leat__strbuf_str(struct leat_strbuf *s, const char *text)
{
    leat__strbuf_add(s, text, strlen(text));
}

void leat__strbuf_char(struct leat_strbuf *s, char c)
{
    leat__strbuf_add(s, &c, 1);
}

void leat__strbuf_vprintf(struct leat_strbuf *s, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) {
        s->failed = true; /* out of memory, or a text beyond INT_MAX */
    } else if (leat__strbuf_reserve(s, (size_t)len)) {
        (void)vsnprintf(s->data + s->len, (size_t)len + 1, format, again);
        s->len += (size_t)len;
    }
    va_end(again);
}

void leat__strbuf_printf(struct leat_strbuf *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    leat__strbuf_vprintf(s, format, args);
    va_end(args);
}

/* Length of the valid UTF-8 sequence at p, or 0. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
    static const struct {
        unsigned char mask, lead, len;
        uint32_t min;
    } forms[] = { { 0xe0, 0xc0, 2, 0x80 }, { 0xf0, 0xe0, 3, 0x800 }, { 0xf8, 0xf0, 4, 0x10000 } };
    if (p[0] < 0x80)
        return 1;
    for (size_t f = 0; f < 3; f++) {
        if ((p[0] & forms[f].mask) != forms[f].lead)
            continue;
        if (left < forms[f].len)
            return 0;
        uint32_t code = p[0] & (unsigned char)~forms[f].mask;
        for (size_t i = 1; i < forms[f].len; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (p[i] & 0x3fu);
        }
        const bool surrogate = code >= 0xd800 && code <= 0xdfff;
        return code < forms[f].min || code > 0x10ffff || surrogate ? 0 : forms[f].len;
    }
    return 0;
}

void leat__strbuf_json(struct leat_strbuf *s, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    leat__strbuf_char(s, '"');
    size_t from = 0, i = 0;
    while (i < len) {
        const unsigned char c = p[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c < 0x80) {
            i++;
            continue;
        }
        const size_t sequence = c >= 0x80 ? utf8_len(p + i, len - i) : 0;
        if (sequence) {
            i += sequence;
            continue;
        }
        leat__strbuf_add(s, text + from, i - from);
        if (c == '"' || c == '\\')
            leat__strbuf_printf(s, "\\%c", c);
        else if (c == '\n')
            leat__strbuf_str(s, "\\n");
        else if (c == '\r')
            leat__strbuf_str(s, "\\r");
        else if (c == '\t')
            leat__strbuf_str(s, "\\t");
        else if (c < 0x20)
            leat__strbuf_printf(s, "\\u%04x", c);
        else
            leat__strbuf_str(s, "\xef\xbf\xbd");
        from = ++i;
    }
    if (from < len) /* text may be NULL when it is empty */
        leat__strbuf_add(s, text + from, len - from);
    leat__strbuf_char(s, '"');
}
