/* connectors/file/sink_private.h -- what the parts of the file sink share.
 *
 *   sink_declare.c  the declaration
 *   sink.c          an instance's life: parts are begun, filled, closed, reported; what a checkpoint knows
 *   write_avro.c    rows to container blocks        write_lines.c  rows to JSON lines or CSV
 *   check.c         before the job, new or going on: what is in the way, what is left over
 *   commit.c        names, handles; after an epoch: commit and discard
 *
 * A part is written as ".<name>.inprogress" in the directory where it will be "<name>": renaming never
 * crosses file systems. */
#ifndef LEAT_CONNECTORS_FILE_SINK_PRIVATE_H
#define LEAT_CONNECTORS_FILE_SINK_PRIVATE_H
#include "connectors/file/file_private.h"
#include "base/hash.h"
#include "record/container.h"
#include "topology/sink.h"

#define LEAT_FILE_NAME_MAX 256u /* of a part's final name, with its NUL */
#define LEAT_FILE_PATH_MAX 4096u /* of a directory and a hidden name, with its NUL */

struct leat_file_target {
    const char *path; /* as given */
    const char *dir; /* where files are written, without a slash at its end; "" for the root */
    const char *base; /* the name of a single file; NULL: parts, or standard output */
    const char *ending; /* of parts: ".avro" */
    const struct leat_type *type;
    enum leat_format format;
    enum leat_codec codec;
    char separator;
    bool is_stdout;
    bool overwrite;
    uint64_t part_bytes_max; /* 0: no limit */
    const char *op_json; /* NULL, or what stands before the name of a change: "op": */
};

/* ---- names ---- */

/* The path of a file in the target's directory, under its final or its hidden name. Returns `path`. */
const char *leat__file_path(
    const struct leat_file_target *target, const char *name, char path[LEAT_FILE_PATH_MAX]);
const char *leat__file_hidden_path(
    const struct leat_file_target *target, const char *name, char path[LEAT_FILE_PATH_MAX]);
void leat__file_part_name(
    const struct leat_file_target *target, uint32_t subtask, uint32_t number, char name[LEAT_FILE_NAME_MAX]);
/* Whether a name is that of a part of any format; the ending is what follows *number. */
bool leat__file_parse_part(const char *name, uint32_t *subtask, uint32_t *number, const char **ending);
bool leat__file_is_name(const char *name); /* fits, and names no directory */
/* Whether a name is a part's hidden one. */
bool leat__file_is_hidden_part(const char *name);
/* Of the target: "/" for the root. */
const char *leat__file_dir(const struct leat_file_target *target);
/* Whether a file is there; an error other than its absence is one. */
int leat__file_exists(struct leat_env *env, const char *path, bool *is_there, struct leat_file_info *info,
    struct leat_error *err);
int leat__file_unlink_if_there(struct leat_env *env, const char *path, struct leat_error *err);
/* Adds the first bytes of a file, at most *size, to a hash; *size: how many there were. */
int leat__file_hash(struct leat_env *env, const char *path, struct leat_hash_stream *stream, uint64_t *size,
    struct leat_error *err);
/* Calls fn for the names in the target's directory that are those of parts; a missing directory has none. */
int leat__file_list_parts(struct leat_env *env, const struct leat_file_target *target, leat_env_list_fn fn,
    void *arg, struct leat_error *err);

/* ---- handles: what a commit has to do ---- */

/* A whole file under its hidden name. */
struct leat_file_part {
    char name[LEAT_FILE_NAME_MAX]; /* its final one */
    uint64_t size;
    uint64_t hash;
};
/* Renames it. */
int leat__file_handle_put(
    struct leat_handle_list *list, const struct leat_node *node, const struct leat_file_part *part);
/* The same for a file that earlier checkpoints know, too: discarding the handle leaves it. */
int leat__file_handle_end(
    struct leat_handle_list *list, const struct leat_node *node, const struct leat_file_part *part);
/* A file of an earlier run, as it was when this one began: it goes when the first epoch is committed. */
int leat__file_handle_old(struct leat_handle_list *list, const struct leat_node *node, const char *name,
    const struct leat_file_info *info);

/* ---- what a checkpoint knows ---- */

enum leat_file_known {
    LEAT_FILE_NOTHING = 1, /* nothing was written: a single file without rows so far; standard output */
    LEAT_FILE_PARTS, /* the number of the next part */
    LEAT_FILE_GROWING, /* a single file: its name, and how much of it there is */
};
struct leat_file_state {
    enum leat_file_known known;
    uint32_t number;
    struct leat_file_part part;
    uint8_t sync[LEAT_SYNC_BYTES]; /* Avro's marker */
};
/* As text behind a version: "1 nothing", "1 parts 17", "1 growing <size> <hash> <sync> <name>". */
void leat__file_state_write(const struct leat_file_state *state, struct leat_strbuf *out);
int leat__file_state_read(struct leat_sv text, struct leat_file_state *state, struct leat_error *err);

int leat__file_check(const struct leat_node *node, struct leat_env *env, struct leat_error *err);
int leat__file_recover(const struct leat_node *node, struct leat_env *env, const struct leat_sv *parts,
    uint32_t count, struct leat_error *err);
int leat__file_commit(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err);
int leat__file_discard(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err);

/* ---- formats ---- */

/* Appends to `out`, which the sink writes to the file and clears. One writer for all files of an instance.
 * Errors are in ctx->error, with their place. */
struct leat_file_writer {
    const struct leat_file_write_class *write_class;
    const struct leat_file_target *target;
    struct leat_strbuf *out;
    size_t held_bytes; /* of rows that are not in `out` yet */
    uint8_t sync[LEAT_SYNC_BYTES]; /* Avro: the marker of the current file, drawn by begin unless */
    bool has_sync; /* it was set: then begin makes the header that the file had */
    void *state;
};
struct leat_file_write_class {
    int (*open)(struct leat_file_writer *w, struct leat__ctx *ctx);
    int (*begin)(struct leat_file_writer *w, struct leat__ctx *ctx); /* a file: its header */
    int (*rows)(struct leat_file_writer *w, struct leat__ctx *ctx,
        const struct leat_batch *batch); /* refuses bad ones */
    int (*flush)(struct leat_file_writer *w, struct leat__ctx *ctx); /* rows held back for a block */
    void (*close)(struct leat_file_writer *w);
};
extern const struct leat_file_write_class leat__file_write_avro, leat__file_write_lines;

extern const struct leat_sink_class leat__file_sink_class;

#endif
