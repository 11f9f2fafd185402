/* connectors/file/sink_private.h -- what the parts of the file sink share.
 *
 *   sink.c          the declaration, and an instance's life: parts are begun, filled, closed, reported
 *   write_avro.c    rows to container blocks        write_lines.c  rows to JSON lines or CSV
 *   commit.c        names; before the job: check; after it: commit and discard
 *
 * A part is written as ".<name>.inprogress" in the directory where it will be "<name>": renaming never
 * crosses file systems. */
#ifndef LEAT_CONNECTORS_FILE_SINK_PRIVATE_H
#define LEAT_CONNECTORS_FILE_SINK_PRIVATE_H
#include "connectors/file/file_private.h"
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
int leat__file_handle_put(
    struct leat_handle_list *list, const struct leat_node *node, const struct leat_file_part *part);
/* A file of an earlier run that goes when this one is committed. */
int leat__file_handle_old(struct leat_handle_list *list, const struct leat_node *node, const char *name);

int leat__file_check(const struct leat_node *node, struct leat_env *env, struct leat_error *err);
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

#endif
