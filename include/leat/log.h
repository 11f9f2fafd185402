/* include/leat/log.h -- where the library's log lines go. The library itself never prints. */
#ifndef LEAT_LOG_H
#define LEAT_LOG_H
#include <leat/api.h>

enum leat_log_level { LEAT_LOG_ERROR = 1, LEAT_LOG_WARN, LEAT_LOG_INFO, LEAT_LOG_DEBUG, LEAT_LOG_TRACE };

/* One line without a newline: "key=value ..." after a short sentence. May be called from any worker's
 * thread, one call at a time. `subject` is the part of the engine, `node` the node's name or NULL. */
typedef void (*leat_log_fn)(
    void *arg, enum leat_log_level level, const char *subject, const char *node, const char *text);
#endif
