/* include/leat/api.h -- what every public header needs: linkage, attributes, versions, units of time.
 *
 * Time is int64_t microseconds everywhere: event time since 1970-01-01T00:00:00Z, durations, timers.
 * Names of such values end in `_us`. Write durations with LEAT_SECONDS(5) and its siblings. */
#ifndef LEAT_API_H
#define LEAT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT_VERSION_MAJOR 0
#define LEAT_VERSION_MINOR 1
#define LEAT_VERSION_PATCH 0
#define LEAT_VERSION_NUMBER (LEAT_VERSION_MAJOR * 10000 + LEAT_VERSION_MINOR * 100 + LEAT_VERSION_PATCH)

#ifdef __cplusplus
#define LEAT_BEGIN_DECLS extern "C" {
#define LEAT_END_DECLS }
#define LEAT_STATIC_ASSERT(cond_, text_) static_assert(cond_, text_)
#else
#define LEAT_BEGIN_DECLS
#define LEAT_END_DECLS
#define LEAT_STATIC_ASSERT(cond_, text_) _Static_assert(cond_, text_)
#endif

/* LEAT_API marks what libleat exports; everything else is hidden. */
#define LEAT_API __attribute__((visibility("default")))
/* A result that must not be ignored. */
#define LEAT_NODISCARD __attribute__((warn_unused_result))
#define LEAT_PRINTF(format_, first_) __attribute__((format(printf, format_, first_)))

#define LEAT_MICROS(n_) ((int64_t)(n_))
#define LEAT_MILLIS(n_) ((int64_t)(n_)*INT64_C(1000))
#define LEAT_SECONDS(n_) ((int64_t)(n_)*INT64_C(1000000))
#define LEAT_MINUTES(n_) ((int64_t)(n_)*INT64_C(60000000))
#define LEAT_HOURS(n_) ((int64_t)(n_)*INT64_C(3600000000))
#define LEAT_DAYS(n_) ((int64_t)(n_)*INT64_C(86400000000))

/* The ends of time. A watermark of LEAT_TIME_MIN says nothing, one of LEAT_TIME_MAX says "no more". */
#define LEAT_TIME_MIN INT64_MIN
#define LEAT_TIME_MAX INT64_MAX
/* For options in which zero is a real choice and "never" another. */
#define LEAT_NEVER INT64_MAX

LEAT_BEGIN_DECLS

/* The version of the library that runs, "0.1.0" and 100; may differ from the headers' LEAT_VERSION_*. */
LEAT_API const char *leat_version(void);
LEAT_API int leat_version_number(void);

LEAT_END_DECLS
#endif
