/* tools/job.h -- `leat job`: asks a running job over its control socket (runtime/control.h). */
#ifndef LEAT_TOOLS_JOB_H
#define LEAT_TOOLS_JOB_H
#include "base/env.h"
#include "tools/output.h"
#include <jansson.h>

/* Sends the line (without line feed) to the job that runs in `dir` and waits for its answer: one line of JSON,
 * into *text and, parsed, *answer (the caller's to release and decref). timeout_us 0: for ever.
 * LEAT_ENOTFOUND: no such directory; LEAT_ECONNECT: no job runs there; LEAT_ETIMEOUT; the code of the job's
 * own error, with its text. */
LEAT_NODISCARD int leat__job_ask(const char *dir, const char *line, int64_t timeout_us,
    struct leat_strbuf *text, json_t **answer, struct leat_error *err);

/* A status answer for people. */
void leat__job_show_status(
    const json_t *status, int64_t now_us, enum leat_cli_output output, struct leat_strbuf *out);

int leat__job_main(int argc, char **argv);
#endif
