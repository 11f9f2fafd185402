/* tests/support/ledger_sink.h -- an outside system with transactions, and a sink that writes to it: what Kafka is
 * to a job, in a file.
 *
 * The ledger is an append-only file of lines, each with a checksum: a line that is cut off was never received, as
 * with a request that a killed process had half sent. What it has committed follows from the lines alone, so it
 * outlives the processes that write:
 *
 *   F slot n            fences: from now on only producer n of the slot is listened to; its open transaction ends
 *   B slot n            begins a transaction           R slot n part time key value    a record in it
 *   M slot n marker     a marker in it                 E slot n / A slot n             commits it / aborts it
 *   D slot n            an end is on its way, nobody knows when it comes       T slot     there it is: as E would be
 *   X slot              the ledger has waited long enough: the transaction is aborted, its producer shut out
 *
 * Ends carry no number of their transaction, as Kafka's did not: one that comes late ends whatever producer n has
 * open then. (That is why a producer whose end is in doubt must be fenced before it goes on.)
 *
 * A producer is what a process holds of a slot: kept here by node, so that two topologies in one process are two
 * that do not know of each other. */
#ifndef LEAT_TESTS_SUPPORT_LEDGER_SINK_H
#define LEAT_TESTS_SUPPORT_LEDGER_SINK_H
#include "topology/sink.h"
#include <leat/stream.h>

/* What goes wrong: at the n-th end (from 1) of this sink since the faults were given; 0: never. */
struct ledger_faults {
    uint32_t answer_lost_at; /* it was committed, the answer does not come */
    uint32_t end_lost_at; /* the end does not come there, nor an answer back */
    uint32_t end_late_at; /* it comes behind the next begin; no answer */
    uint32_t expire_at; /* the transaction is aborted before the end comes */
    uint32_t fence_fails_at; /* n-th fence: no answer, though it was done */
    uint32_t ends, fences; /* how many there were */
};

struct ledger_sink_opts {
    const char *path; /* of the ledger; copied */
    struct ledger_faults *faults; /* borrowed; NULL: none */
};
/* Writes each record as plain JSON, its key being what the text hashes to. Any topology, any type. */
void ledger_sink(struct leat_stream *in, const char *name, const struct ledger_sink_opts *opts);

/* What readers see. */
struct ledger_view {
    struct leat_strbuf values; /* of the committed records in the order of their commits, one a line */
    uint64_t records;
    uint64_t transactions; /* that were committed */
    uint64_t aborted; /* by fence, expiry or request, with records in them */
    uint64_t refused; /* lines of producers that were shut out */
    uint64_t order_breaks; /* markers of a slot that were not above the one before */
    bool has_open; /* some transaction is */
};
/* 0, or the error of the environment; a missing ledger is empty. Release the strbuf. */
int ledger_read(struct leat_env *env, const char *path, struct ledger_view *view, struct leat_error *err);
void ledger_view_release(struct ledger_view *view);
/* The marker of a slot ("JOB-LIFE/NODE/3"); 0: none. */
uint64_t ledger_marker(struct leat_env *env, const char *path, const char *slot);
/* Forgets all producers of this process, as its end would. */
void ledger_forget_producers(void);
#endif
