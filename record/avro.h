/* record/avro.h -- Avro binary <-> structs, by programs compiled once per pair of schemas.
 *
 * Decoding resolves writer -> reader as the Avro specification says (defaults, aliases, promotions, reordered
 * and dropped fields, enum defaults, unions), at compile time: the program only walks and stores. Strings and
 * bytes become views of the input, which the caller keeps alive (leat__batch_add_buffer); arrays, maps and
 * what needs other memory come from the batch's arena. The input must have LEAT_BUFFER_SLACK_BYTES readable
 * bytes behind its end.
 *
 * Hostile input: every length and count is checked against the bytes left and the limits of base/limits.h
 * (also for items of zero bytes); nesting is bounded by the schema, since types are finite. Bad booleans,
 * enum and union indexes, and over-long varints are LEAT_EDATA. Strings must be valid UTF-8 only where the
 * option asks (`check_utf8`). */
#ifndef LEAT_RECORD_AVRO_H
#define LEAT_RECORD_AVRO_H
#include "base/strbuf.h"
#include "record/batch.h"
#include "record/schema.h"

struct leat_decoder;
struct leat_encoder;

struct leat_decoder_opts {
    bool check_utf8;
    bool is_part; /* the reader is one (leat__type_part): rows are the whole's, other fields are cleared */
};

/* Compiles `writer` -> `reader`. The reader's type must have its schema text (names, defaults and aliases
 * come from it). LEAT_ESCHEMA says which field can not be resolved and why. `opts` may be NULL. */
LEAT_NODISCARD int leat__decoder_new(const struct leat_schema *writer, const struct leat_type *reader,
    const struct leat_decoder_opts *opts, struct leat_decoder **decoder, struct leat_error *err);
void leat__decoder_free(struct leat_decoder *decoder);

/* Decodes records from *at up to `end` (exclusive) into free rows of the batch until `rows_max` rows were
 * added, the batch is full, or the input ends; moves *at behind the last whole record. Returns the number of
 * rows added, or LEAT_EDATA with the offset from the call's *at and the field in err (or LEAT_ENOMEM); then
 * the good rows before are in the batch and *at shows the bad record. A batch is full as leat__batch_is_full
 * says: data left and no row added means that, never an endless call. Records that take no bytes on the wire
 * are made up to rows_max. The batch's event_us is left alone. */
LEAT_NODISCARD int64_t leat__decode(struct leat_decoder *decoder, const uint8_t **at, const uint8_t *end,
    struct leat_batch *batch, uint32_t rows_max, struct leat_error *err);
/* Skips one record without decoding it (to get past one whose row was refused); LEAT_EDATA or 0. */
LEAT_NODISCARD int leat__decode_skip(
    struct leat_decoder *decoder, const uint8_t **at, const uint8_t *end, struct leat_error *err);

/* Writes records of `type` in its own schema. */
LEAT_NODISCARD int leat__encoder_new(
    const struct leat_type *type, struct leat_encoder **encoder, struct leat_error *err);
/* The same for a part (leat__type_part) of the records' type. */
LEAT_NODISCARD int leat__encoder_new_part(
    const struct leat_type *part, struct leat_encoder **encoder, struct leat_error *err);
void leat__encoder_free(struct leat_encoder *encoder);
/* Appends rows from .. from+count-1 to `out`. LEAT_EDATA for what Avro can not express (enum or union index
 * out of range), naming row and field; `out` then ends before that row and *done (may be NULL) says how many
 * were written. */
LEAT_NODISCARD int leat__encode(struct leat_encoder *encoder, const struct leat_batch *batch, uint32_t from,
    uint32_t count, struct leat_strbuf *out, uint32_t *done, struct leat_error *err);
/* The same for one record outside a batch. */
LEAT_NODISCARD int leat__encode_record(
    struct leat_encoder *encoder, const void *record, struct leat_strbuf *out, struct leat_error *err);
#endif
