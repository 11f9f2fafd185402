/* record/json.h -- JSON lines <-> records.
 *
 * Two encodings, by option: PLAIN, what people write by hand (null or absent for null, a bare value for a union's
 * branch, bytes as text; unknown members ignored; missing ones take the schema's default, else null, else are an
 * error), and AVRO, the JSON encoding of the specification (unions {"branch": value}, bytes as code points 0-255).
 * Timestamps: integers in the unit of the logical type; PLAIN also takes RFC 3339 text.
 * Parsing is simdjson's, behind record/json_simd.cc. A line may be LEAT_LINE_BYTES_MAX bytes. */
#ifndef LEAT_RECORD_JSON_H
#define LEAT_RECORD_JSON_H
#include "base/strbuf.h"
#include "record/batch.h"
#include "record/schema.h"

enum leat_json_mode { LEAT_JSON_PLAIN = 1, LEAT_JSON_AVRO };

struct leat_json_decoder;
LEAT_NODISCARD int leat__json_decoder_new(const struct leat_type *type, enum leat_json_mode mode,
    struct leat_json_decoder **decoder, struct leat_error *err);
void leat__json_decoder_free(struct leat_json_decoder *decoder);
/* Decodes one document (a line without its newline, with LEAT_BUFFER_SLACK_BYTES... 64 readable bytes behind) into a new
 * row of the batch, which has room; strings are copied to the batch's arena. LEAT_EDATA names the member and what
 * was expected ("total: a number, not a string"); the batch then has no new row. */
LEAT_NODISCARD int leat__json_decode(struct leat_json_decoder *decoder, const char *line, size_t len,
    struct leat_batch *batch, struct leat_error *err);

/* Appends the record as one JSON document without a newline. LEAT_EDATA for NaN and infinities in AVRO mode
 * (PLAIN writes null) and for bad enum or union indexes. */
LEAT_NODISCARD int leat__json_encode(const struct leat_type *type, enum leat_json_mode mode,
    const void *record, struct leat_strbuf *out, struct leat_error *err);
#endif
