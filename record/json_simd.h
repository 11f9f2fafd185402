/* record/json_simd.h -- simdjson behind C functions: where the tokens of a JSON text begin.
 *
 * Only the first stage is used: it finds quotes, escapes and structural characters 64 bytes at a time with
 * the processor's vector instructions (chosen at run time) and checks UTF-8, which is where a parser's time
 * goes. What the tokens mean is decided in C beside the record type. It copies the last block, so no byte
 * behind the text is read. */
#ifndef LEAT_RECORD_JSON_SIMD_H
#define LEAT_RECORD_JSON_SIMD_H
#include <leat/api.h>

LEAT_BEGIN_DECLS

struct leat_json_index;

/* LEAT_ENOMEM or 0. The library's tables are its own memory; they grow to four bytes per byte of the longest
 * text. */
LEAT_NODISCARD int leat__json_index_new(struct leat_json_index **index);
void leat__json_index_free(struct leat_json_index *index);

/* Positions of the tokens of `text` in rising order, then `len`: valid until the next call. LEAT_EDATA with
 * the reason: an unclosed string, a control character in a string, bytes that are not UTF-8, nothing at all.
 */
LEAT_NODISCARD int leat__json_index_run(struct leat_json_index *index, const char *text, size_t len,
    const uint32_t **positions, uint32_t *count, const char **reason);

LEAT_END_DECLS
#endif
