/* runtime/checkpoint.h -- what passes between workers and the coordinator at a checkpoint, and after a
 * restore.
 *
 *   coordinator                              worker (runtime/barrier.c)
 *   begin n: job->barrier_asked = n, wake
 *                                            its sources note positions and watermark, send barrier n
 *                                            each instance, when all its inputs have brought n: freezes its
 *                                            tables, adds its part, passes the barrier on
 *                                            after the last one: the state's snapshot, in steps and tasks;
 *                                            sinks' files are synced by a task
 *                                            share->phase = DONE (or FAILED), notify
 *   all DONE: MANIFEST-n, commit of the
 *   sinks; job->barrier_over = n, wake
 *                                            forgets its share
 *   timeout, failure: barrier_over = n
 *   without a manifest                       gives up n wherever it is: unblocks channels, ends the snapshot;
 *                                            barriers of n that still come are ignored
 *
 * One checkpoint at a time; ids only rise, also over restarts, and are never used twice. A share belongs to
 * its worker until phase is DONE or FAILED (release), from then to the coordinator until barrier_over >= id.
 *
 * The protocol and its proof: docs/recovery.md, runtime/models/commit.pml and barrier.pml. */
#ifndef LEAT_RUNTIME_CHECKPOINT_H
#define LEAT_RUNTIME_CHECKPOINT_H
#include "base/arena.h"
#include "runtime/outbox.h"
#include "state/state.h"
#include "topology/plan.h"
#include "topology/sink.h"
#include "topology/source.h"

/* A split of a source at its barrier. */
struct leat_split_part {
    const char *id;
    bool ended;
    struct leat_sv position; /* of the class; data NULL: not opened yet */
    int64_t newest_us, watermark_us; /* semantics 9 */
    bool idle;
};

/* One subtask at its barrier. Strings and bytes in the share's arena (or the manifest's, when read back). */
struct leat_part {
    const struct leat_node *node; /* NULL when read back: the name tells */
    const char *node_name;
    uint32_t subtask;
    int64_t watermark_us; /* told to the operator and sent on */
    int64_t input_watermark_us[LEAT_NODE_INPUTS_MAX];
    uint32_t inputs_count;
    struct leat_sv blob; /* what the class's snapshot wrote; data NULL: nothing */
    const struct leat_split_part *splits; /* sources */
    uint32_t splits_count;
};

enum leat_share_phase { LEAT_SHARE_RUNNING = 0, LEAT_SHARE_DONE, LEAT_SHARE_FAILED };

/* One worker's share of checkpoint `id`. */
struct leat_share {
    uint64_t id; /* 0: none is under way */
    uint64_t over; /* atomic: the newest barrier_over that the worker has acted on (release, then notify the
                      coordinator): from then on it does not look at barrier_dir or anything else of that one.
                      The next checkpoint begins when all workers have */
    uint32_t phase; /* atomic: enum leat_share_phase */
    struct leat_arena arena;
    struct leat_part *parts;
    uint32_t parts_count;
    uint32_t waiting; /* instances that have not passed the barrier and not ended */
    struct leat_handle_list handles; /* emptied by the coordinator when the manifest stands; what a
                                        checkpoint that was given up has left is part of the next one */
    struct leat_outbox_list outboxes; /* likewise: leat__outbox_list_release empties it */
    bool has_state; /* there is a store checkpoint in the directory that the coordinator named */
    const struct leat_table_info *tables;
    uint32_t tables_count;
    uint64_t dirty_entries, dirty_bytes;
    struct leat_error error; /* FAILED */
    /* For metrics: monotonic clock, 0: not yet. */
    int64_t asked_ns, first_barrier_ns, passed_ns, done_ns;
    int64_t pause_ns; /* longest single piece of work for this checkpoint on the worker */
};

/* What a job begins with; read-only while instances open. */
struct leat_restored {
    uint64_t id; /* of the checkpoint */
    const struct leat_part *parts; /* of all nodes and subtasks, names as in the topology of today */
    uint32_t parts_count;
    const struct leat_table_info *tables;
    uint32_t tables_count;
    const char *const *store_dirs; /* by worker of today: where its state begins, NULL: empty */
};
/* The parts of one node, in order of subtask: how many, 0 when the checkpoint does not have it. They need not
 * lie side by side: fills up to `max` pointers. */
uint32_t leat__restored_parts(
    const struct leat_restored *restored, const char *node, const struct leat_part **parts, uint32_t max);
#endif
