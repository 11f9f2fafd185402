/* runtime/instance.h -- one subtask of one node: an operator, a sink or a source, with its channels.
 *
 * Life:   created -> [deliver a message | continue a step | read a split]* -> ended
 * An instance runs only on its worker and only while all its outputs have room. It is given, per call, one
 * message of one channel; what the operator left undone (LEAT_MORE) is finished first.
 *
 * Watermarks are merged per input over its channels and per instance over its inputs (runtime/watermark.h).
 * When the merged one rises, the operator sees it, finishes its steps, and then it is sent on: "all output
 * caused by w leaves before w".
 *
 * Barriers (runtime/barrier.h): a channel that has brought one is held until all have; then, when nothing is
 * left to say, what the instance knows goes into the checkpoint, and the barrier goes on.
 *
 * After a restore the instance begins with the watermarks of the checkpoint, and the first thing that it says
 * is the one that it had sent: as soon as it has heard as much of all its channels (watermark.h, rule 6). */
#ifndef LEAT_RUNTIME_INSTANCE_H
#define LEAT_RUNTIME_INSTANCE_H
#include "runtime/channel.h"
#include "runtime/watermark.h"
#include "topology/combine.h"
#include "topology/plan.h"
#include "topology/sink.h"
#include "topology/source.h"

struct leat_worker;
struct leat_part;
struct leat_instance;
struct leat_source_host;

/* The way from an output port to the subtasks of one consumer. */
struct leat_out_edge {
    const struct leat_plan_edge *plan;
    struct leat_channel **channels; /* one per subtask of the consumer that this one may send to */
    uint32_t channels_count;
    struct leat_key_scratch *keys; /* hash */
    struct leat__ctx *key_ctx; /* hash by a callback: what the callback gets */
    struct leat_batch **building; /* hash exchange: rows on their way to each channel; NULL: none */
    const struct leat_batch **shared; /* hash exchange: the batch whose buffers `building` already holds */
    int64_t
        pending_wm_us; /* exchange: a watermark that waits behind rows being gathered; LEAT_TIME_MIN: none */
    uint64_t gathered_rows; /* exchange: since the last flush */
    int64_t told_wm_us; /* exchange: the last watermark, sent or waiting */
    struct leat_combiner *combiner; /* exchange that combines rows; NULL: they go as they are */
    struct leat__ctx *combine_ctx; /* what the combiner gets */
    int64_t gathering_since_ns; /* 0: nothing waits */
};

/* What is left to do after a step has finished. */
enum leat_after { LEAT_AFTER_NOTHING = 0, LEAT_AFTER_WATERMARK, LEAT_AFTER_END };

struct leat_instance {
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error error;
    struct leat_worker *worker;
    const struct leat_plan_node *plan;
    struct leat_op *op; /* operators */
    struct leat_sink *sink; /* sinks */
    struct leat_source_host *source; /* sources */

    struct leat_channel **inputs; /* all channels of all inputs */
    uint32_t inputs_count;
    uint32_t input_last, input_streak; /* the channel served last, and how often in a row */
    struct leat_wm_merge *input_merges; /* per input, over its channels */
    struct leat_wm_merge merge; /* over the inputs */
    int64_t sent_wm_us; /* told to the operator and sent on */
    int64_t forwarded_us; /* what a class with `holds` has sent on instead */
    bool sent_idle;
    bool stopped; /* some input was stopped rather than ended */
    bool more; /* the operator has more to say: step */
    bool waits; /* but not before it is woken, or on_time */
    enum leat_after after;
    bool ended;
    int64_t blocked_since_ns; /* 0: not blocked by a full output */
    bool must_say; /* restored: has yet to say sent_wm_us */
    bool end_told; /* restored: the operator had seen the end already */

    uint64_t aligning; /* id of the barrier that some channels have brought and others not; 0: none */
    bool barrier_due; /* it has yet to pass the barrier of the checkpoint that is under way */

    struct leat_out_edge *outs;
    uint32_t outs_count;
};

/* Makes and releases an instance; channels are attached by the worker's set-up in between. */
LEAT_NODISCARD int leat__instance_init(struct leat_instance *inst, struct leat_worker *worker,
    const struct leat_plan_node *plan, uint32_t subtask);
LEAT_NODISCARD int leat__instance_open(
    struct leat_instance *inst); /* after channels: merges, operator init */
void leat__instance_release(struct leat_instance *inst);

/* Whether run would do something now; with room for its output, and a cheap check. */
bool leat__instance_is_runnable(struct leat_instance *inst, int64_t now_ns);
/* One bounded piece of work. 1: did something, 0: nothing to do after all, or an error (ctx.error tells). */
LEAT_NODISCARD int leat__instance_run(struct leat_instance *inst, int64_t now_ns);
bool leat__instance_has_room(struct leat_instance *inst);
/* When the operator's on_time wants to run; LEAT_TIME_MAX: not, or not while a barrier is being aligned. */
int64_t leat__instance_wake_us(const struct leat_instance *inst);
/* Sends on what exchanges have gathered: `all`, or what has waited for long. 1: something was sent. */
LEAT_NODISCARD int leat__instance_flush(struct leat_instance *inst, bool all, int64_t now_ns);

/* Output side (runtime/emit.c). */
LEAT_NODISCARD int leat__instance_emit(struct leat_instance *inst, uint32_t port, struct leat_batch *batch);
LEAT_NODISCARD int leat__instance_send_watermark(struct leat_instance *inst, int64_t wm_us);
LEAT_NODISCARD int leat__instance_send_idle(struct leat_instance *inst);
/* No longer idle: says the last watermark again, for the record that woke us may go to others or nowhere. */
LEAT_NODISCARD int leat__instance_send_active(struct leat_instance *inst, int64_t wm_us);
LEAT_NODISCARD int leat__instance_send_barrier(struct leat_instance *inst, uint64_t id);
LEAT_NODISCARD int leat__instance_send_end(struct leat_instance *inst, bool stopped);
LEAT_NODISCARD int leat__out_edge_open(struct leat_out_edge *edge, const struct leat_instance *inst);
void leat__out_edge_release(struct leat_out_edge *edge);

/* Sources (runtime/source_host.c). */
LEAT_NODISCARD int leat__source_host_new(struct leat_instance *inst, const struct leat_split_list *splits);
void leat__source_host_free(struct leat_source_host *host);
/* Whether splits of the source may come while the job runs. */
bool leat__source_grows(const struct leat_source_class *source_class, const struct leat_node *node);
/* A split that has come, for this subtask: by the coordinator's thread. Both live as long as the attempt. */
struct leat_split_offer {
    struct leat_split_offer *next;
    const struct leat_split *split;
};
void leat__source_host_offer(struct leat_source_host *host, struct leat_split_offer *offer);
/* Where the splits would go on, once the worker rests; how many, at most max. Texts are the host's. */
uint32_t leat__source_host_positions(
    const struct leat_source_host *host, struct leat_split_position *positions, uint32_t max);
/* What the splits of this subtask are to a checkpoint, into the arena of the share. */
LEAT_NODISCARD int leat__source_host_snapshot(
    struct leat_source_host *host, struct leat_arena *arena, struct leat_part *part);
/* Ends as a stopped source does. */
LEAT_NODISCARD int leat__source_host_stop(struct leat_source_host *host);
/* Time spent blocked by a full output is no idleness. */
void leat__source_host_unblocked(struct leat_source_host *host, int64_t blocked_ns);
/* How far the source has come here: the newest event time of the split that is furthest behind. */
int64_t leat__source_host_newest_us(const struct leat_source_host *host);
/* Whether this worker has any split of the source. */
bool leat__source_host_has_splits(const struct leat_source_host *host);
bool leat__source_host_is_ready(struct leat_source_host *host, int64_t wall_us);
LEAT_NODISCARD int leat__source_host_run(struct leat_source_host *host, int64_t now_ns);
/* Wall time at which a waiting split wants to be asked again; LEAT_TIME_MAX: none waits. */
int64_t leat__source_host_wake_us(const struct leat_source_host *host);
/* For the test kit: lets every split be asked at once. */
void leat__source_host_wake(struct leat_source_host *host);
/* For the test kit: lifts the watermark of all splits and sends what follows from it. */
LEAT_NODISCARD int leat__source_host_lift(struct leat_source_host *host, int64_t wm_us);
#endif
