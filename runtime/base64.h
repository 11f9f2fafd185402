/* runtime/base64.h -- bytes as text (RFC 4648, with padding), for what is no UTF-8 in manifests. */
#ifndef LEAT_RUNTIME_BASE64_H
#define LEAT_RUNTIME_BASE64_H
#include "base/strbuf.h"

void leat__base64_encode(const void *data, size_t len, struct leat_strbuf *out);
/* Bytes written to `out`, which has room for len of them; -1 when the text is not the one way to write them. */
int64_t leat__base64_decode(const char *text, size_t len, char *out);
#endif
