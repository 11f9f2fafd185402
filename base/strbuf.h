/* base/strbuf.h -- a growable byte string. Failure to allocate is sticky: appends become no-ops and
 * `failed` stays true, so that a writer checks once at its end. Always NUL-terminated when data != NULL. */
#ifndef LEAT_BASE_STRBUF_H
#define LEAT_BASE_STRBUF_H
#include <leat/type.h>
#include <stdarg.h>

struct leat_strbuf {
    char *data;
    size_t len;
    size_t capacity;
    bool failed;
};

/* A zeroed struct is ready for use. */
void leat__strbuf_release(struct leat_strbuf *s);
static inline void leat__strbuf_clear(struct leat_strbuf *s)
{
    s->len = 0;
    s->failed = false;
    if (s->data)
        s->data[0] = '\0';
}
/* Makes room for `more` bytes behind len (plus a NUL and 16 bytes of slack); false when out of memory. */
bool leat__strbuf_reserve(struct leat_strbuf *s, size_t more);
void leat__strbuf_add(struct leat_strbuf *s, const void *data, size_t len);
void leat__strbuf_str(struct leat_strbuf *s, const char *text);
void leat__strbuf_char(struct leat_strbuf *s, char c);
void leat__strbuf_printf(struct leat_strbuf *s, const char *format, ...) LEAT_PRINTF(2, 3);
void leat__strbuf_vprintf(struct leat_strbuf *s, const char *format, va_list args) LEAT_PRINTF(2, 0);
/* Appends a JSON string literal, quotes included; invalid UTF-8 bytes become U+FFFD. */
void leat__strbuf_json(struct leat_strbuf *s, const char *text, size_t len);
#endif
