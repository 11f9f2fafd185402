/* include/leat/error.h -- error codes and the carrier of an error's text.
 *
 * Functions return 0 or a negative LEAT_E* code. The detail (what, where, what to do) is written into a
 * struct leat_error that the caller owns, or kept by the object that did the work (topology, job).
 * Nothing is thread-local and nothing is printed. */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H
#include <leat/api.h>

/* X(name, value, text, exit code of the process, retriable) */
#define LEAT_ERROR_TABLE(X) \
    X(LEAT_EINVAL, -1, "invalid argument", 2, false) \
    X(LEAT_ENOMEM, -2, "out of memory", 1, true) \
    X(LEAT_EIO, -3, "input/output error", 1, true) \
    X(LEAT_ENOTFOUND, -4, "not found", 4, false) \
    X(LEAT_EEXISTS, -5, "exists already", 5, false) \
    X(LEAT_EACCESS, -6, "permission denied", 1, false) \
    X(LEAT_ENOSPC, -7, "no space left on device", 1, true) \
    X(LEAT_EDATA, -8, "bad data", 6, false) \
    X(LEAT_ESCHEMA, -9, "bad or incompatible schema", 6, false) \
    X(LEAT_EDECLARE, -10, "wrong declaration", 6, false) \
    X(LEAT_EEXPR, -11, "bad expression", 6, false) \
    X(LEAT_EUNSUPPORTED, -12, "not supported", 6, false) \
    X(LEAT_ELIMIT, -13, "limit exceeded", 6, false) \
    X(LEAT_EOVERFLOW, -14, "arithmetic overflow", 1, false) \
    X(LEAT_EUSER, -15, "a user callback reported an error", 1, false) \
    X(LEAT_ESTATE, -16, "keyed state failed", 1, true) \
    X(LEAT_ECANCELLED, -17, "cancelled", 130, false) \
    X(LEAT_ETIMEOUT, -18, "timed out", 7, true) \
    X(LEAT_ECONNECT, -19, "cannot connect", 3, true)

enum leat_error_code {
    LEAT_OK = 0,
#define LEAT_ERROR_ENUM(name_, value_, text_, exit_, retriable_) name_ = value_,
    LEAT_ERROR_TABLE(LEAT_ERROR_ENUM)
#undef LEAT_ERROR_ENUM
};

#define LEAT_ERROR_MESSAGE_MAX 1024

/* Caller memory; zero it before use. `message` is NUL-terminated, empty while `code` is 0. */
struct leat_error {
    int code;
    char message[LEAT_ERROR_MESSAGE_MAX];
};

LEAT_BEGIN_DECLS

/* The short text of a code ("bad data"), its name ("LEAT_EDATA"), and the process exit code of its class.
 * Static strings; unknown codes give "unknown error", "LEAT_E?" and 1. */
LEAT_API const char *leat_error_text(int code);
LEAT_API const char *leat_error_name(int code);
LEAT_API int leat_error_exit_code(int code);
/* Whether trying again may help (out of memory, disk full, ...). */
LEAT_API bool leat_error_is_retriable(int code);

LEAT_END_DECLS
#endif
