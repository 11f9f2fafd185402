/* runtime/progress.h -- a job's progress on standard error: one line redrawn on a terminal, a line every 10 s
 * (and the first and last) elsewhere. A leat_job_opts.on_progress function; `arg` is not used. */
#ifndef LEAT_RUNTIME_PROGRESS_H
#define LEAT_RUNTIME_PROGRESS_H
#include <leat/job.h>

void leat__progress_print(void *arg, const struct leat_progress *progress);
#endif
