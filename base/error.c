/* base/error.c -- error codes as text, and the carrier of an error's detail. */
#include "base/error.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct error_row {
    int code;
    const char *name;
    const char *text;
    int exit_code;
    bool retriable;
};

#define ERROR_ROW(name_, value_, text_, exit_, retriable_) { value_, #name_, text_, exit_, retriable_ },
static const struct error_row error_rows[] = { { 0, "LEAT_OK", "success", 0, false },
    LEAT_ERROR_TABLE(ERROR_ROW) };
#undef ERROR_ROW

static const struct error_row *find_row(int code)
{
    for (size_t i = 0; i < sizeof error_rows / sizeof error_rows[0]; i++)
        if (error_rows[i].code == code)
            return &error_rows[i];
    return NULL;
}

const char *leat_error_text(int code)
{
    const struct error_row *row = find_row(code);
    return row ? row->text : "unknown error";
}

const char *leat_error_name(int code)
{
    const struct error_row *row = find_row(code);
    return row ? row->name : "LEAT_E?";
}

int leat_error_exit_code(int code)
{
    const struct error_row *row = find_row(code);
    return row ? row->exit_code : 1;
}

bool leat_error_is_retriable(int code)
{
    const struct error_row *row = find_row(code);
    return row && row->retriable;
}

int leat__error_v(struct leat_error *err, int code, const char *format, va_list args)
{
    char text[LEAT_ERROR_MESSAGE_MAX]; /* the arguments may point into the message that is replaced */
    if (err) {
        (void)vsnprintf(text, sizeof text, format, args);
        memcpy(err->message, text, strlen(text) + 1);
        err->code = code;
    }
    return code;
}

int leat__error(struct leat_error *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)leat__error_v(err, code, format, args);
    va_end(args);
    return code;
}

int leat__error_prefix(struct leat_error *err, const char *format, ...)
{
    char prefix[LEAT_ERROR_MESSAGE_MAX / 2];
    char text[LEAT_ERROR_MESSAGE_MAX];
    va_list args;
    if (!err)
        return 0;
    va_start(args, format);
    (void)vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    memcpy(text, err->message, sizeof text);
    const size_t used = (size_t)snprintf(err->message, sizeof err->message, "%s: ", prefix);
    (void)snprintf(err->message + used, sizeof err->message - used, "%s", text);
    return err->code;
}

int leat__error_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return 0;
    case ENOENT:
    case ENOTDIR:
        return LEAT_ENOTFOUND;
    case EEXIST:
    case ENOTEMPTY:
        return LEAT_EEXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return LEAT_EACCESS;
    case ENOSPC:
    case EDQUOT:
        return LEAT_ENOSPC;
    case ENOMEM:
        return LEAT_ENOMEM;
    default:
        return LEAT_EIO;
    }
}
