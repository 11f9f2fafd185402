/* connectors/file/file_private.h -- what the parts of the file source share: its spec, its splits, its
 * readers.
 *
 * source.c owns the class and picks one of the format readers by the split; paths.c finds the files and cuts
 * them. A format reader keeps its state in `state` and reports errors with leat__fail_here, bad rows with
 * leat__reader_bad_row. All specs and splits are read-only once the job runs. */
#ifndef LEAT_CONNECTORS_FILE_PRIVATE_H
#define LEAT_CONNECTORS_FILE_PRIVATE_H
#include "topology/declare.h"
#include "topology/source.h"
#include <leat/file.h>

/* Endings that say the format, for texts. */
#define LEAT_FILE_ENDINGS ".avro, .jsonl, .ndjson, .json, .csv"
#define LEAT_FILE_FORMATS "LEAT_FORMAT_AVRO, LEAT_FORMAT_JSON, LEAT_FORMAT_JSON_AVRO, LEAT_FORMAT_CSV"

/* The format that a name's ending says; 0 where it is none of those. */
enum leat_format leat__file_format(const char *path);
/* The ending of the last part of a path, from its last dot on; "" where it has none or only a leading dot. */
const char *leat__file_ending(const char *path);
const char *leat__file_format_name(enum leat_format format); /* "Avro" */
/* Whether the value is one of the enum; 0 is not. */
bool leat__file_format_is_known(enum leat_format format);
/* The part of a path behind its last slash. */
const char *leat__file_base(const char *path);

struct leat_file_source {
    const char *path;
    const struct leat_type *type;
    enum leat_format format; /* 0: each file's ending says it */
    char separator;
    uint64_t split_bytes; /* 0: files are not cut */
    bool split_asked; /* by the user: formats that can not be cut are then refused */
};

/* leat_split.data. */
struct leat_file_split {
    const char *path; /* "-": standard input */
    enum leat_format format;
    bool is_stream; /* standard input, a pipe or a device: read once, from the front */
};

/* Finds the files of a source and appends their splits, in bytewise order of their names. LEAT_ENOTFOUND when
 * there is none; errors name the file. */
int leat__file_find(const struct leat_file_source *spec, struct leat_env *env, struct leat_split_list *list,
    struct leat_error *err);

struct leat_file_reader;

struct leat_file_read_class {
    int (*open)(struct leat_file_reader *r);
    int (*read)(struct leat_file_reader *r, struct leat_batch *batch);
    int (*position)(struct leat_file_reader *r, struct leat_strbuf *out);
    int (*seek)(struct leat_file_reader *r, const char *position, size_t len);
    void (*close)(struct leat_file_reader *r); /* also after a failed open */
};
extern const struct leat_file_read_class leat__file_read_avro, leat__file_read_lines;

struct leat_file_reader {
    struct leat_reader reader; /* first: what the runtime knows */
    const struct leat_file_read_class *read_class;
    const struct leat_file_source *spec;
    const struct leat_file_split *file;
    void *state; /* the format reader's own */
};

/* Work of one call of `read`: about this many bytes of the file, then the runtime has its turn. */
#define LEAT_FILE_READ_BYTES (1024u * 1024u)

/* Two numbers "17 4" of a position; false for anything else. */
bool leat__file_position(const char *text, size_t len, uint64_t *first, uint64_t *second);
/* LEAT_EDATA: the position is not one of this class. */
int leat__file_bad_position(struct leat_file_reader *r, const char *position, size_t len);
#endif
