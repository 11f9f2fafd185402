/* record/time_text.h -- RFC 3339 timestamps: text <-> integers since 1970-01-01T00:00:00Z.
 *
 * Own calendar arithmetic (proleptic Gregorian, no leap seconds): no libc call, so no locale and no time zone
 * table. Text: 2024-05-17T08:30:00.25Z, also with offset +02:00, lower case t and z, or a space for the T. A
 * second of 60 counts as the next minute's first. Years outside 0000-9999 are written and read with a sign
 * and at least six digits (ISO 8601's expanded form), so that every value has a text. Digits finer than the
 * unit are cut off, to the past. */
#ifndef LEAT_RECORD_TIME_TEXT_H
#define LEAT_RECORD_TIME_TEXT_H
#include <leat/type.h>

#define LEAT_TIME_TEXT_MAX 48u

/* 0; LEAT_EINVAL: not such a text; LEAT_EOVERFLOW: beyond what int64_t holds. */
LEAT_NODISCARD int leat__time_parse(const char *text, size_t len, int64_t *us);
/* Always in UTC, with 0, 3, 6 or 9 digits of fraction as needed. Returns the length; NUL-terminated. */
size_t leat__time_print(int64_t us, char text[LEAT_TIME_TEXT_MAX]);

/* The same for the timestamp types: unit and zone are the logical type's. Text of a local timestamp has no
 * offset. */
bool leat__time_is_timestamp(enum leat_logical logical);
LEAT_NODISCARD int leat__time_parse_as(
    enum leat_logical logical, const char *text, size_t len, int64_t *value);
size_t leat__time_print_as(enum leat_logical logical, int64_t value, char text[LEAT_TIME_TEXT_MAX]);
#endif
