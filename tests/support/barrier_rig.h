/* tests/support/barrier_rig.h -- a simulated job driven turn by turn, with a coordinator of a few lines: asks
 * for checkpoints at any turn, keeps the shares, and begins another job with them as if the first had crashed. */
#ifndef LEAT_TESTS_SUPPORT_BARRIER_RIG_H
#define LEAT_TESTS_SUPPORT_BARRIER_RIG_H
#include "runtime/job_private.h"

struct barrier_rig {
    leat_topology *t; /* freed by close */
    leat_job *job;
    struct leat_sim_pass pass;
    char *root; /* directories of this job: state and checkpoints */
    uint64_t asked;
    uint32_t turns;
    /* What barrier_rig_take has made. */
    struct leat_restored restored;
    struct leat_part *parts;
    struct leat_table_info *tables;
    const char **store_dirs;
};

struct barrier_rig_opts {
    uint32_t parallelism, batch_rows, channel_batches;
    uint64_t seed;
    enum leat_delivery delivery;
    const struct leat_restored *restored; /* of another rig, which must stay open */
    int want; /* what opening must give; then the job is not to be run */
    bool with_state; /* on disk: the simulation's store */
};

/* Takes the topology. */
void barrier_rig_open(struct barrier_rig *rig, leat_topology *t, const struct barrier_rig_opts *opts);
void barrier_rig_close(struct barrier_rig *rig);
/* One turn; time moves when nobody has anything to do. false: everything has ended and every share is told. */
bool barrier_rig_turn(struct barrier_rig *rig);
/* Begins the next checkpoint, gives up or completes the one under way. */
void barrier_rig_ask(struct barrier_rig *rig);
void barrier_rig_over(struct barrier_rig *rig);
/* Whether every worker's share is DONE; fails the test when one has FAILED. */
bool barrier_rig_is_done(const struct barrier_rig *rig);
/* Whether every worker has let go of the last checkpoint. */
bool barrier_rig_is_let_go(const struct barrier_rig *rig);
/* Turns until the checkpoint is done. */
void barrier_rig_wait(struct barrier_rig *rig);
/* Commits and forgets the handles of all shares: as if the manifest stood. */
void barrier_rig_commit(struct barrier_rig *rig);
/* What a job of `parallelism` workers begins with that goes on from the checkpoint that is done. Lives as long
 * as this rig. */
const struct leat_restored *barrier_rig_take(struct barrier_rig *rig, uint32_t parallelism);
/* Turns until everything has ended; then the sinks' last epoch is committed. */
void barrier_rig_finish(struct barrier_rig *rig);
#endif
