/* include/leat/timer.h -- timers of a key, for callbacks that are told when a time has come: those of process
 * functions (leat/process.h) and of triggers (leat/window.h, there of the window and key). */
#ifndef LEAT_TIMER_H
#define LEAT_TIMER_H
#include <leat/ctx.h>

enum leat_time_kind { LEAT_EVENT_TIME = 1, LEAT_PROCESSING_TIME };

LEAT_BEGIN_DECLS
/* Setting one twice is setting it once; deleting one that is not set does nothing (semantics 41). */
LEAT_API void leat_timer_set(struct leat_ctx *ctx, enum leat_time_kind kind, int64_t time_us);
LEAT_API void leat_timer_delete(struct leat_ctx *ctx, enum leat_time_kind kind, int64_t time_us);
LEAT_END_DECLS
#endif
