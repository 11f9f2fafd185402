/* include/leat/stream.h -- topologies and the handles of their streams.
 *
 * Declaring never fails at once and never returns NULL: an error is kept by the topology, the node gives an
 * inert stream, and nodes fed by inert streams stay silent, so that ten mistakes give ten messages.
 * leat_check says whether there are any. Every node has a name of the user's choice: [a-z0-9._-], at most 63
 * bytes, unique; it is the identity of state across restarts and the handle in plans, metrics and errors.
 *
 * Option structs are zeroed but for the fields set; zero is the documented default. They are copied when
 * declared, as are strings in them; descriptors (`struct leat_type`, `struct leat_*_fn`) are borrowed for the
 * topology's life: make them static. One thread declares. */
#ifndef LEAT_STREAM_H
#define LEAT_STREAM_H
#include <leat/ctx.h>

typedef struct leat_topology leat_topology;
/* A stream of records; what leat_group_by makes of it; what leat_window makes of that. Owned by the topology.
 */
typedef struct leat_stream leat_stream;
typedef struct leat_keyed_stream leat_keyed_stream;
typedef struct leat_windowed_stream leat_windowed_stream;

/* What to do with a record that can not be decoded, has no usable time, or is refused by a callback. */
enum leat_policy {
    LEAT_FAIL = 1, /* default: the job stops with node, split, position and cause */
    LEAT_SKIP, /* counted */
    LEAT_DEAD_LETTER, /* to leat_dead_letters, which must be consumed */
};

/* Whether records of equal key are combined before they change the worker, so that partial results travel instead
 * of records (docs/guide/aggregates.md). Results are the same either way. */
enum leat_pre_aggregate {
    LEAT_PRE_AGGREGATE_AUTO = 1, /* default: where it can change no result, and while records do combine */
    LEAT_PRE_AGGREGATE_ALWAYS, /* while they hardly do, too */
    LEAT_PRE_AGGREGATE_NEVER,
};

/* A record of leat_dead_letters. From `topic` on: what a message of a broker was beside its value (leat/kafka.h); of all
 * others there is no topic. */
struct leat_dead_letter {
    struct leat_sv node;
    struct leat_sv split; /* empty where the node is not a source */
    int64_t position; /* in the split: row or byte offset; -1 unknown */
    struct leat_sv error;
    struct leat_sv raw; /* the bytes as they came, or the record as JSON */
    int64_t failed_at; /* wall clock, timestamp-micros */
    struct leat_sv
        error_class; /* "LEAT_EDATA": the data; "LEAT_EUSER": a callback has refused it; or another code */
    bool has_topic;
    struct leat_sv topic;
    int32_t partition; /* -1: none */
    bool has_key;
    struct leat_sv key;
    bool tombstone; /* it had no value: `raw` is empty */
    struct leat_array headers; /* of struct leat_dead_letter_header, in their order */
    bool has_written_at;
    int64_t written_at; /* the message's own timestamp, timestamp-micros */
};
struct leat_dead_letter_header {
    struct leat_sv name;
    bool has_value;
    struct leat_sv value;
};

struct leat_topology_error {
    int code; /* LEAT_E* */
    const char *node; /* name as given, or "" */
    const char *option; /* such as "aggs[1]", or "" */
    const char *message; /* whole: `aggregate "totals": aggs[1]: no field ...` */
};

LEAT_BEGIN_DECLS

/* A topology with a name ([a-z0-9._-]); never NULL: without memory an inert one that has LEAT_ENOMEM as its
 * error. */
LEAT_API leat_topology *leat_topology_new(const char *name);
LEAT_API void leat_topology_free(leat_topology *t);
LEAT_API const char *leat_topology_name(const leat_topology *t);

/* Completes and checks the declaration: 0, or the code of the first error. May be called again. */
LEAT_API LEAT_NODISCARD int leat_check(leat_topology *t);
LEAT_API size_t leat_topology_errors_count(const leat_topology *t);
/* i-th error in order of declaration; NULL beyond the last. Valid as long as the topology. */
LEAT_API const struct leat_topology_error *leat_topology_error(const leat_topology *t, size_t i);

enum leat_describe_format { LEAT_DESCRIBE_TEXT = 1, LEAT_DESCRIBE_DOT, LEAT_DESCRIBE_JSON };
/* The logical graph and the physical plan for `parallelism` workers (0: as many as cores... as the job would
 * take) as text. The caller frees *text with leat_free. */
LEAT_API LEAT_NODISCARD int leat_describe(
    leat_topology *t, enum leat_describe_format format, uint32_t parallelism, char **text);
LEAT_API void leat_free(void *text);

/* The type of a stream's records; NULL for an inert stream. */
LEAT_API const struct leat_type *leat_stream_type(const leat_stream *stream);
/* Sets the policy of the node that gives this stream; returns the stream. */
LEAT_API leat_stream *leat_on_error(leat_stream *stream, enum leat_policy policy);
/* The dead letters of the node that gives this stream; sets its policy to LEAT_DEAD_LETTER. */
LEAT_API leat_stream *leat_dead_letters(leat_stream *stream);
LEAT_API extern const struct leat_type leat_dead_letter_type;

LEAT_END_DECLS
#endif
