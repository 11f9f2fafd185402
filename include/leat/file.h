/* include/leat/file.h -- files as source and sink, and the standard streams. */
#ifndef LEAT_FILE_H
#define LEAT_FILE_H
#include <leat/source.h>

/* A job that goes on from a checkpoint reads on where it was: files that it has read of must be as they were, by
 * name and content; new ones may have come. */
struct leat_file_source_opts {
    const char *path; /* a file, a directory (its files without a leading . or _), or a shell pattern; "-":
                         standard input, which can not be read again: a job that has read of it does not go on
                         from a checkpoint */
    const struct leat_type
        *type; /* the reader's type; Avro files may have another schema that resolves to it */
    enum leat_format format; /* 0: by the name's ending, .avro .jsonl .ndjson .json .csv */
    char separator; /* CSV; 0: ',' */
    uint64_t split_bytes; /* cut files into ranges of about this size, each a split of its own (Avro and JSON
                             lines); 0: 64 MiB when the source has no event time, else whole files: a range
                             has its own watermark */
    const char *event_time;
    int64_t max_out_of_orderness_us;
    int64_t idle_timeout_us;
    int64_t max_ahead_us;
    enum leat_policy on_error;
    const char *align;
    int64_t max_drift_us;
};

struct leat_file_sink_opts {
    const char *path; /* a directory for part files, made where missing; a name that ends in .avro, .jsonl,
                         .ndjson or .csv: one file;
                         "-": standard output, unbuffered beyond a batch */
    enum leat_format format; /* 0: by the name's ending, else Avro */
    const char *codec; /* Avro: "null" (default), "deflate", "snappy", "zstandard" */
    char separator; /* CSV */
    bool overwrite; /* replace what is there; else an existing target is refused at start */
    uint64_t part_bytes_max; /* start a new part file beyond this size (directory only); 0: no limit */
    /* JSON lines: a member behind each record's own, such as "op", that says what it does: "insert",
     * "update_before", "update_after", "delete". A stream of changes (leat/change.h) is refused without it. */
    const char *op_field;
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_file_source_sized(
    leat_topology *t, const char *name, const struct leat_file_source_opts *opts, size_t size);
static inline leat_stream *leat_file_source(
    leat_topology *t, const char *name, const struct leat_file_source_opts *opts)
{
    return leat_file_source_sized(t, name, opts, sizeof *opts);
}
/* Files are written under hidden names and renamed when they are committed: by the end of the job, or by each
 * checkpoint, so that what has a proper name is whole, and exactly once what the checkpoints cover.
 *   a directory      part-<subtask>-<number>.<format>, one writer a worker; a checkpoint ends the parts
 *   a single file    grows over all checkpoints, and is renamed when the input has ended
 *   standard output  is written at once: after a crash what came behind the last checkpoint comes again, behind
 *                    a header of its own if the format has one */
LEAT_API void leat_file_sink_sized(
    leat_stream *in, const char *name, const struct leat_file_sink_opts *opts, size_t size);
static inline void leat_file_sink(leat_stream *in, const char *name, const struct leat_file_sink_opts *opts)
{
    leat_file_sink_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
