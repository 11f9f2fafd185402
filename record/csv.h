/* record/csv.h -- CSV (RFC 4180) with a header line <-> flat records.
 *
 * Columns are found by name; unknown columns are ignored, missing ones need a default or to be nullable. An empty
 * unquoted cell is null for a nullable field and the empty string for a string. Types: boolean (true/false, 1/0),
 * numbers, strings, bytes (as text), enums by symbol, timestamps as integers of their unit or RFC 3339 text.
 * Records with nested fields, arrays, maps, unions are refused when declared (LEAT_EUNSUPPORTED). */
#ifndef LEAT_RECORD_CSV_H
#define LEAT_RECORD_CSV_H
#include "base/strbuf.h"
#include "record/batch.h"
#include "record/schema.h"

struct leat_csv_decoder;
/* `header`: the first line. The separator is a byte such as ','. */
LEAT_NODISCARD int leat__csv_decoder_new(const struct leat_type *type, char separator, const char *header,
    size_t len, struct leat_csv_decoder **decoder, struct leat_error *err);
void leat__csv_decoder_free(struct leat_csv_decoder *decoder);
/* Decodes one record (without its line end; quoted cells may contain newlines) into a new row of the batch.
 * LEAT_EDATA names column and cell; the batch then has no new row. */
LEAT_NODISCARD int leat__csv_decode(struct leat_csv_decoder *decoder, const char *line, size_t len,
    struct leat_batch *batch, struct leat_error *err);
/* Length of the first CSV record in the text including its line end, honouring quotes; 0 when it is not whole. */
size_t leat__csv_record_end(const char *text, size_t len);

/* Whether the type can be CSV; the text of the error names the field that can not. */
LEAT_NODISCARD int leat__csv_check(const struct leat_type *type, struct leat_error *err);
void leat__csv_encode_header(const struct leat_type *type, char separator, struct leat_strbuf *out);
/* Both append a line with its newline. */
LEAT_NODISCARD int leat__csv_encode(const struct leat_type *type, char separator, const void *record,
    struct leat_strbuf *out, struct leat_error *err);
#endif
