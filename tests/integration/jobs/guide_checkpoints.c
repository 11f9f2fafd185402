/* tests/integration/jobs/guide_checkpoints.c -- the program of docs/guide/checkpoints.md: a job that says itself
 * how it wants its checkpoints (tests/integration/test-guide). */
#include "payment.h"
#include <leat/leat.h>
#include <stdio.h>

static void show(void *arg, const struct leat_progress *progress)
{
    (void)arg;
    if (progress->state >= LEAT_JOB_FINISHED && progress->checkpoints.completed > 0)
        printf("checkpoint %llu is the last\n", (unsigned long long)progress->checkpoints.last_id);
}

int main(int argc, char **argv)
{
    leat_topology *t = leat_topology_new("archive");
    leat_stream *payments = leat_file_source(
        t, "payments", &(struct leat_file_source_opts){ .path = "payments.jsonl", .type = &payment_type });
    leat_file_sink(payments, "archive", &(struct leat_file_sink_opts){ .path = "archive/" });
    const struct leat_job_opts opts = {
        .checkpoint_dir = "checkpoints",
        .checkpoint_interval_us = LEAT_SECONDS(10),
        .checkpoints_retained = 3,
        .restart = { .attempts_max = 10 },
        .on_progress = show,
    };
    return leat_main(argc, argv, t, &opts);
}
