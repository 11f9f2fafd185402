/* record/utf8_private.h -- whether bytes are UTF-8. */
#ifndef LEAT_RECORD_UTF8_PRIVATE_H
#define LEAT_RECORD_UTF8_PRIVATE_H
#include <leat/api.h>

/* No surrogates, no overlong forms, nothing above U+10FFFF. Reads no byte behind the end. */
bool leat__utf8_is_valid(const unsigned char *text, size_t len);
#endif
