/* base/units.h -- durations and sizes as people write and read them: "500ms", "10s", "256MiB". */
#ifndef LEAT_BASE_UNITS_H
#define LEAT_BASE_UNITS_H
#include <leat/api.h>

/* A number, also with a fraction ("1.5h"), directly followed by us, ms, s, m, h or d; or plain 0. LEAT_EINVAL:
 * not such a text; LEAT_EOVERFLOW: beyond what int64_t holds. */
LEAT_NODISCARD int leat__duration_parse(const char *text, int64_t *us);
/* A number, also with a fraction, directly followed by B, kB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB
 * (1024s), in any case of letters; a plain number is bytes. Errors as above. */
LEAT_NODISCARD int leat__size_parse(const char *text, uint64_t *bytes);

#define LEAT_UNITS_TEXT_MAX 32u
/* "1.24 GB", "512 B": three digits, thousands. */
void leat__size_print(uint64_t bytes, char text[LEAT_UNITS_TEXT_MAX]);
/* "12 ms", "3.1 s", "2 m 05 s", "3 h 12 m", "4 d 2 h"; negative ones with a sign. */
void leat__duration_print(int64_t us, char text[LEAT_UNITS_TEXT_MAX]);
#endif
