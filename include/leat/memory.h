/* include/leat/memory.h -- records in memory as source and sink: for tests, benchmarks and embedding. */
#ifndef LEAT_MEMORY_H
#define LEAT_MEMORY_H
#include <leat/change.h>
#include <leat/source.h>

struct leat_memory_source_opts {
    const struct leat_type *type;
    const void *rows; /* `count` packed structs, borrowed until the job ends */
    uint64_t count;
    const void *avro; /* or, instead of rows: Avro binary records in the type's schema, decoded as the job
                         runs; 16 readable bytes behind `avro_bytes` */
    size_t avro_bytes;
    uint32_t splits; /* the rows in this many equal runs, or the Avro cut at avro_cuts; 0: one */
    const char *event_time;
    int64_t max_out_of_orderness_us;
    int64_t idle_timeout_us;
    int64_t max_ahead_us;
    enum leat_policy on_error;
    const char *align;
    int64_t max_drift_us;
    const size_t
        *avro_cuts; /* splits - 1 offsets at which records begin, rising; borrowed until the job ends */
};

/* Where a memory sink puts what arrives: deep copies in order of arrival per subtask. With checkpoints, records are
 * there when the checkpoint that covers them is complete, each once as long as the process lives: memory does not
 * outlive it. Owned by the caller. */
typedef struct leat_collector leat_collector;

struct leat_memory_sink_opts {
    leat_collector *into; /* NULL: count only */
    bool encode; /* write each record as Avro binary and drop it: the cost of a sink without the disk (for
                    benchmarks) */
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_memory_source_sized(
    leat_topology *t, const char *name, const struct leat_memory_source_opts *opts, size_t size);
static inline leat_stream *leat_memory_source(
    leat_topology *t, const char *name, const struct leat_memory_source_opts *opts)
{
    return leat_memory_source_sized(t, name, opts, sizeof *opts);
}
LEAT_API void leat_memory_sink_sized(
    leat_stream *in, const char *name, const struct leat_memory_sink_opts *opts, size_t size);
static inline void leat_memory_sink(
    leat_stream *in, const char *name, const struct leat_memory_sink_opts *opts)
{
    leat_memory_sink_sized(in, name, opts, sizeof *opts);
}

/* NULL when out of memory. Several sinks of one type may share a collector. Read it when the job has ended.
 */
LEAT_API leat_collector *leat_collector_new(void);
LEAT_API void leat_collector_free(leat_collector *collector);
LEAT_API uint64_t leat_collector_count(const leat_collector *collector);
LEAT_API const void *leat_collector_record(const leat_collector *collector, uint64_t i);
LEAT_API int64_t leat_collector_event_us(const leat_collector *collector, uint64_t i);
/* What it does, of a stream of changes; else LEAT_INSERT. */
LEAT_API enum leat_change leat_collector_change(const leat_collector *collector, uint64_t i);
LEAT_END_DECLS
#endif
