/* record/csv.h -- CSV (RFC 4180) with a header line <-> flat records.
 *
 * Columns are found by name; unknown columns are ignored, missing ones need a default or to be nullable. An
 * empty unquoted cell is null for a nullable field and the empty string for a string; "" is an empty string
 * for both. Types: boolean (true/false, 1/0), numbers (NaN, Infinity too), strings, bytes (as they are),
 * fixed (characters 0-255), enums by symbol, timestamps as integers of their unit or RFC 3339 text (written
 * as integers). White space around what is no text is ignored; quotes make no difference to a number. Strings
 * are not checked to be UTF-8.
 *
 * Quotes. A cell that begins with a quote ends with the next quote that is not doubled, and may hold
 * separators and line ends. In other cells a quote is itself behind a letter, a digit, a space or a byte that
 * is not ASCII (5" pipe), and an error elsewhere: so where a record ends can be told without knowing the
 * separator, which is a tab or an ASCII punctuation mark but no quote.
 *
 * Records with nested fields, arrays, maps, unions are refused when declared (LEAT_EUNSUPPORTED). */
#ifndef LEAT_RECORD_CSV_H
#define LEAT_RECORD_CSV_H
#include "base/strbuf.h"
#include "record/batch.h"
#include "record/schema.h"

struct leat_csv_decoder; /* for one thread at a time */

/* `header`: the first line, with or without its line end; a byte order mark before it is skipped. The
 * separator is a byte such as ','; LEAT_EINVAL for one that can not be. LEAT_EDATA when a column is missing
 * (with a near miss among those that are there) or occurs twice; LEAT_EUNSUPPORTED as leat__csv_check. */
LEAT_NODISCARD int leat__csv_decoder_new(const struct leat_type *type, char separator, const char *header,
    size_t len, struct leat_csv_decoder **decoder, struct leat_error *err);
void leat__csv_decoder_free(struct leat_csv_decoder *decoder); /* NULL is fine */
/* Decodes one record (with or without its line end; quoted cells may contain newlines) into a new row of the
 * batch, which has room; strings are copied to its arena. LEAT_EDATA names column and cell; the batch then
 * has no new row. */
LEAT_NODISCARD int leat__csv_decode(struct leat_csv_decoder *decoder, const char *line, size_t len,
    struct leat_batch *batch, struct leat_error *err);
/* Length of the first CSV record in the text including its line end, honouring quotes; 0 when it is not
 * whole. */
size_t leat__csv_record_end(const char *text, size_t len);

/* Whether the type can be CSV; the text of the error names the field that can not. */
LEAT_NODISCARD int leat__csv_check(const struct leat_type *type, struct leat_error *err);
/* Both append a line with its newline. A record is not empty: a lone empty string is written "". On failure
 * (LEAT_ENOMEM, or LEAT_EDATA for a bad enum index) `out` keeps its length. */
void leat__csv_encode_header(const struct leat_type *type, char separator, struct leat_strbuf *out);
LEAT_NODISCARD int leat__csv_encode(const struct leat_type *type, char separator, const void *record,
    struct leat_strbuf *out, struct leat_error *err);
#endif
