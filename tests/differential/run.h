/* tests/differential/run.h -- a plan in the engine: declared by the public API and run as the plan says. */
#ifndef LEAT_TESTS_DIFFERENTIAL_RUN_H
#define LEAT_TESTS_DIFFERENTIAL_RUN_H
#include "tests/differential/oracle.h"

enum run_result {
    RUN_DONE = 1,
    RUN_REFUSED, /* the declaration has errors: `text` has the first one */
    RUN_FAILED, /* it should not have: `text` says why */
};

struct run_sink {
    char name[24];
    struct oracle_row *rows; /* in order of arrival */
    size_t count, capacity;
    uint64_t late_count; /* of late sinks, in the kit: what the node has counted */
    bool has_late_count;
};

struct run_outcome {
    enum run_result result;
    int code; /* of the error */
    char text[LEAT_ERROR_MESSAGE_MAX];
    struct run_sink sinks[ORACLE_SINKS_MAX]; /* in no order */
    size_t sinks_count;
    uint32_t restores; /* runs that went on from a checkpoint or savepoint */
    struct run_world *world; /* what the rows lie in */
};

/* The outcome is the caller's to free. */
struct run_outcome *run_plan(const struct plan *plan);
void run_free(struct run_outcome *outcome);

/* NULL if the engine gave what the oracle says; else what is different, malloc'd. */
char *compare_outcome(
    const struct plan *plan, const struct oracle_answer *answer, const struct run_outcome *outcome);
#endif
