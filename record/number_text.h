/* record/number_text.h -- numbers as text and back, never asking the locale.
 *
 * Printing gives the shortest decimal that reads back as the same value, written like a JSON number that can
 * not be taken for an integer: 3.0, 0.1, 1.5e-9, 1e30. Implemented on <charconv> (number_text.cc). */
#ifndef LEAT_RECORD_NUMBER_TEXT_H
#define LEAT_RECORD_NUMBER_TEXT_H
#include <leat/api.h>

#define LEAT_DOUBLE_TEXT_MAX 32u
#define LEAT_I64_TEXT_MAX 20u

LEAT_BEGIN_DECLS

/* Each returns the length; no NUL is added. The value must be finite. */
size_t leat__double_print(double value, char text[LEAT_DOUBLE_TEXT_MAX]);
size_t leat__float_print(float value, char text[LEAT_DOUBLE_TEXT_MAX]);
size_t leat__i64_print(int64_t value, char text[LEAT_I64_TEXT_MAX]);

/* Each reads the whole text: 0, LEAT_EINVAL when it is not a decimal number (LEAT_EINVAL for 1.0 where an
 * integer is wanted), LEAT_EOVERFLOW beyond the range. A sign + or - may lead; doubles take what JSON takes
 * and also "1.", ".5" and leading zeros; too small a double is 0. */
LEAT_NODISCARD int leat__double_parse(const char *text, size_t len, double *value);
LEAT_NODISCARD int leat__float_parse(const char *text, size_t len, float *value);
LEAT_NODISCARD int leat__i64_parse(const char *text, size_t len, int64_t *value);

LEAT_END_DECLS
#endif
