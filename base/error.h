/* base/error.h -- filling a struct leat_error, and the one control-flow macro. */
#ifndef LEAT_BASE_ERROR_H
#define LEAT_BASE_ERROR_H
#include <leat/error.h>
#include <stdarg.h>

/* Sets code and text, gives the code back: `return leat__error(err, LEAT_EIO, "open %s: %s", ...)`.
 * `err` may be NULL. An error that is already there is replaced. The text must name cause and remedy. */
int leat__error(struct leat_error *err, int code, const char *format, ...) LEAT_PRINTF(3, 4);
int leat__error_v(struct leat_error *err, int code, const char *format, va_list args) LEAT_PRINTF(3, 0);
/* Puts "prefix: " before the text that is there, cutting at the end. Gives err->code back. */
int leat__error_prefix(struct leat_error *err, const char *format, ...) LEAT_PRINTF(2, 3);
/* The LEAT_E* code for an errno value: ENOENT LEAT_ENOTFOUND, ENOSPC and EDQUOT LEAT_ENOSPC, ... */
int leat__error_from_errno(int errno_value);

/* For functions with nothing to undo. */
#define LEAT_TRY(call_) \
    do { \
        const int leat_try_code_ = (call_); \
        if (leat_try_code_ < 0) \
            return leat_try_code_; \
    } while (0)
#endif
