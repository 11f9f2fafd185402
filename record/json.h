/* record/json.h -- JSON lines <-> records.
 *
 * Two encodings, by option:
 *
 *                       PLAIN, what people write by hand          AVRO, the specification's JSON encoding
 *   null of ["null", T] null; or the member is not there          null
 *   T of ["null", T]    the bare value                            {"T": value}
 *   other unions        the bare value: the first branch that     {"branch": value}, null bare
 *                       fits when read
 *   bytes               text; bytes that are no UTF-8 are lost    characters 0-255
 *   fixed               characters 0-255                          characters 0-255
 *   timestamps          integers in the logical type's unit; RFC  integers in the logical type's unit
 *                       3339 text is read too
 *   NaN, infinities     written as null                           an error
 *
 * In both, members may come in any order, unknown members are ignored (but must be JSON), of a member that
 * occurs twice the last counts, and one that is missing takes its schema's default; without one it is an
 * error, in PLAIN mode only if it can not be null. Whole numbers are range-checked and may not be written 1.0
 * or 1e3. Numbers never depend on the locale. Doubles are written with the fewest digits that read back as
 * the same value, always with a point or an exponent.
 *
 * The tokens of a document are found by simdjson (record/json_simd.cc). A document may be LEAT_LINE_BYTES_MAX
 * bytes, and its record LEAT_RECORD_BYTES_MAX in memory. */
#ifndef LEAT_RECORD_JSON_H
#define LEAT_RECORD_JSON_H
#include "base/strbuf.h"
#include "record/batch.h"
#include "record/schema.h"

enum leat_json_mode { LEAT_JSON_PLAIN = 1, LEAT_JSON_AVRO };

struct leat_json_decoder; /* for one thread at a time */

/* Defaults come from type->schema; a type without one has none. LEAT_ENOMEM or 0. */
LEAT_NODISCARD int leat__json_decoder_new(const struct leat_type *type, enum leat_json_mode mode,
    struct leat_json_decoder **decoder, struct leat_error *err);
void leat__json_decoder_free(struct leat_json_decoder *decoder); /* NULL is fine */
/* Decodes one document, such as a line without its newline (a byte order mark before it is skipped; no byte
 * behind it is read), into a new row of the batch, which has room; strings are copied to the batch's arena.
 * LEAT_EDATA names the member, what was expected and what was found ("lines[2].price: expected a number,
 * found the string "12""); the batch then has no new row. The row's event_us and key_hash are the caller's to
 * set. */
LEAT_NODISCARD int leat__json_decode(struct leat_json_decoder *decoder, const char *line, size_t len,
    struct leat_batch *batch, struct leat_error *err);

/* Appends the record as one JSON document without a newline. LEAT_EDATA, naming the member, for NaN and
 * infinities in AVRO mode and for bad enum or union indexes; `out` then keeps its length. */
LEAT_NODISCARD int leat__json_encode(const struct leat_type *type, enum leat_json_mode mode,
    const void *record, struct leat_strbuf *out, struct leat_error *err);
#endif
