/* base/point.h -- named places at which a test can kill or stop the process.
 *
 * Every step of the checkpoint protocol and of recovery passes a point. In a process whose environment has
 * LEAT_KILL_AT=name:n the n-th passage of that point (n from 1, any thread) is its last: the process sends
 * itself SIGKILL. With LEAT_STOP_AT=name:n it is SIGSTOP, so that another process can take over before it goes
 * on. Everywhere else a point is one load and one branch. All points stand in one table, so that a driver can
 * go through all of them and none is forgotten. */
#ifndef LEAT_BASE_POINT_H
#define LEAT_BASE_POINT_H
#include <leat/api.h>

/* X(identifier, name, what is true there). The numbers in brackets are rows of the table of failure modes in
 * docs/recovery.md. */
#define LEAT_POINT_TABLE(X) \
    X(BARRIER_ASKED, "barrier-asked", "a checkpoint was begun, no source knows yet [1]") \
    X(BARRIER_SENT, "barrier-sent", "one source has sent its barrier [2]") \
    X(BARRIER_BLOCKED, "barrier-blocked", "an input is held until the others have the barrier too [3]") \
    X(STATE_FROZEN, "state-frozen", "an instance has frozen its state [4]") \
    X(STATE_RUN_WRITTEN, "state-run-written", \
        "frozen entries are in the store, no store checkpoint yet [4]") \
    X(STORE_LINKING, "store-linking", "the store's checkpoint is about to be made [5]") \
    X(STORE_LINKED, "store-linked", "it was made, its directory is not synced [6]") \
    X(WORKER_REPORTED, "worker-reported", "one worker has finished its part [7]") \
    X(SINK_WRITTEN, "sink-written", "a sink's files of the epoch are written, not synced [8]") \
    X(SINK_SYNCED, "sink-synced", "they are synced [8]") \
    X(MANIFEST_WRITING, "manifest-writing", "the manifest's temporary file is partly written [9]") \
    X(MANIFEST_SYNCED, "manifest-synced", "the temporary file is synced, not renamed [9]") \
    X(MANIFEST_RENAMED, "manifest-renamed", "renamed, the directory is not synced [10]") \
    X(MANIFEST_DURABLE, "manifest-durable", "the decision stands, no sink has committed [11]") \
    X(COMMIT_ONE, "commit-one", "one handle was committed [14]") \
    X(COMMIT_ALL, "commit-all", "all were committed, old checkpoints are still there [15]") \
    X(OUTBOX_SENDING, "outbox-sending", "a transaction is open with some records of an outbox [12]") \
    X(OUTBOX_SENT, "outbox-sent", "all records and the marker are in it, it is not ended [13]") \
    X(OUTBOX_ENDED, "outbox-ended", "the transaction has ended, nobody has noted it [13]") \
    X(PRUNE_MANIFEST, "prune-manifest", "an old manifest was removed, its files were not [16]") \
    X(PRUNE_FILES, "prune-files", "some files of an old checkpoint were removed [16]") \
    X(RESTORE_CHOSEN, "restore-chosen", "recovery has chosen and verified a checkpoint [17]") \
    X(RESTORE_LINKED, "restore-linked", "one file was linked or copied into a new live store [17]") \
    X(RESTORE_SPLIT, "restore-split", "one store was split for another parallelism [17]") \
    X(RESTORE_COMMITTING, "restore-committing", "recovery is about to commit a handle again [19]") \
    X(RESTORE_COMMITTED, "restore-committed", "recovery has committed all handles [19]") \
    X(RESTORE_CLEANED, "restore-cleaned", "leftovers were removed, nothing runs yet [17]")

enum leat_point {
#define LEAT_POINT_ENUM(id_, name_, text_) LEAT_POINT_##id_,
    LEAT_POINT_TABLE(LEAT_POINT_ENUM)
#undef LEAT_POINT_ENUM
        LEAT_POINTS_COUNT
};

extern uint32_t leat__point_armed; /* LEAT_POINTS_COUNT: none; else the point that kills */
void leat__point_pass(enum leat_point point); /* counts, and kills at the n-th */
static inline void leat__point(enum leat_point point)
{
    if (__builtin_expect(leat__point_armed == (uint32_t)point, 0))
        leat__point_pass(point);
}
const char *leat__point_name(enum leat_point point);
/* Reads LEAT_KILL_AT and LEAT_STOP_AT; a job calls it when it starts. LEAT_EINVAL names a point that does not exist. */
struct leat_error;
LEAT_NODISCARD int leat__point_arm(struct leat_error *err);
#endif
