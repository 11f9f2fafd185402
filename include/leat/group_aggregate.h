/* include/leat/group_aggregate.h -- one result per key, over all its records so far: a stream of changes
 * (leat/change.h).
 *
 *   leat_stream *totals = leat_group_aggregate(by_customer, "totals", &(struct leat_group_aggregate_opts){
 *       .aggs = { LEAT_COUNT("orders"), LEAT_SUM("total", "spent") }, .out = &customer_total_type });
 *
 * The first record of a key gives INSERT; each further one UPDATE_BEFORE with the result so far and UPDATE_AFTER
 * with the new one, or nothing where they are equal. A change has the event time of its record; event time is not
 * needed. Over a stream of changes records are taken back too: when none is left, DELETE. */
#ifndef LEAT_GROUP_AGGREGATE_H
#define LEAT_GROUP_AGGREGATE_H
#include <leat/aggregate.h>
#include <leat/change.h>
#include <leat/process.h>

struct leat_group_aggregate_opts {
    struct leat_aggregate aggs[32]; /* up to the first without a kind; at least one */
    const struct leat_type *out; /* filled by aggs, and by the key's fields of the same name */
    enum leat_on_overflow on_overflow;
    /* A key without records for so long is forgotten: DELETE, and the next record begins it anew. What takes
     * back a forgotten record is dropped, and counted. Not .on_read. */
    struct leat_ttl ttl;
    /* Changes of a key are folded into one: until so long by the wall clock, or about so many records of all keys,
     * have passed since the last time, or the watermark passes one of the records. Which changes there are then
     * depends on that; what they come to does not. 0 and 0: each record by itself. */
    int64_t mini_batch_us;
    uint64_t mini_batch_rows;
    enum leat_pre_aggregate pre_aggregate; /* of mini-batches only; as in struct leat_aggregate_opts */
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_group_aggregate_sized(
    leat_keyed_stream *in, const char *name, const struct leat_group_aggregate_opts *opts, size_t size);
static inline leat_stream *leat_group_aggregate(
    leat_keyed_stream *in, const char *name, const struct leat_group_aggregate_opts *opts)
{
    return leat_group_aggregate_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
