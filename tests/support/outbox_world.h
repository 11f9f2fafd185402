/* tests/support/outbox_world.h -- what a job does with outboxes, without the job: instances of a ledger sink that
 * write epochs, checkpoints as directories with what a manifest would say, deliveries that come and go. */
#ifndef LEAT_TESTS_SUPPORT_OUTBOX_WORLD_H
#define LEAT_TESTS_SUPPORT_OUTBOX_WORLD_H
#include "runtime/outbox.h"
#include "tests/support/connector_harness.h"
#include "tests/support/ledger_sink.h"
#include <leat/memory.h>

#define OUTBOX_WORLD_LEDGER "ledger"
#define OUTBOX_WORLD_SLOTS_MAX 8u
#define OUTBOX_WORLD_FILES_MAX 64u

/* One process: its topology, its instances, its delivery. Files are the env's, and outlive it. */
struct outbox_world {
    struct leat_env *env;
    leat_topology *t;
    struct harness h;
    struct leat_sink *sinks[OUTBOX_WORLD_SLOTS_MAX];
    struct leat_outbox *outboxes[OUTBOX_WORLD_SLOTS_MAX];
    uint32_t slots;
    struct leat_outbox_list list;
    struct leat_deliverer *delivery;
};

/* A checkpoint whose manifest is durable. */
struct outbox_manifest {
    uint64_t epoch;
    uint32_t slots; /* parallelism of the sink */
    uint32_t count;
    struct {
        uint32_t slot;
        uint64_t records;
        char path[96];
    } files[OUTBOX_WORLD_FILES_MAX];
};

/* Begins with empty outboxes of `slots` subtasks. */
void outbox_world_begin(
    struct outbox_world *w, struct leat_env *env, uint32_t slots, struct ledger_faults *faults);
/* Ends as a process does that is killed: nothing is undone, producers are forgotten if `forget`. */
void outbox_world_end(struct outbox_world *w, bool forget);
/* `count` orders from id `from` on into the outbox of a slot. */
int outbox_world_write(struct outbox_world *w, uint32_t slot, int64_t from, uint32_t count);
/* The barrier and what follows, up to the manifest: fills it. What was cut stays in the list until _settle. */
int outbox_world_checkpoint(struct outbox_world *w, uint64_t epoch, struct outbox_manifest *m);
void outbox_world_settle(struct outbox_world *w); /* the manifest stands */
int outbox_world_send(struct outbox_world *w, const struct outbox_manifest *m);
/* What a job does that goes on from the manifest. */
int outbox_world_recover(
    struct outbox_world *w, const struct outbox_manifest *m, bool force, uint64_t *marker);
/* Fails unless the ledger has exactly the orders from .. to-1, in order if there is one slot. */
void outbox_world_expect(struct outbox_world *w, int64_t from, int64_t to);
#endif
