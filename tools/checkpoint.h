/* tools/checkpoint.h -- what the verbs of `leat checkpoint` share.
 *
 * A *view* is what a path names: a job's directory of checkpoints, one checkpoint of it, or a savepoint. Views
 * only read, and need no lock: a checkpoint that goes while it is looked at is an error like any other. */
#ifndef LEAT_TOOLS_CHECKPOINT_H
#define LEAT_TOOLS_CHECKPOINT_H
#include "base/env.h"
#include "runtime/checkpoint_store.h"
#include "tools/output.h"

struct leat_checkpoint_view {
    struct leat_env *env;
    const char *path; /* as given */
    struct leat_checkpoint_store *store;
    uint64_t *ids; /* rising */
    uint32_t count;
};

struct leat_checkpoint_args {
    char **words; /* what is no option */
    uint32_t count;
    enum leat_cli_output output;
    bool yes, force;
};

LEAT_NODISCARD int leat__view_open(
    const char *path, struct leat_checkpoint_view *view, struct leat_error *err);
void leat__view_close(struct leat_checkpoint_view *view);
/* The checkpoint that a word names (NULL: the newest). LEAT_EINVAL, LEAT_ENOTFOUND with those that are there. */
LEAT_NODISCARD int leat__view_find(
    const struct leat_checkpoint_view *view, const char *word, uint64_t *id, struct leat_error *err);
LEAT_NODISCARD int leat__view_read(const struct leat_checkpoint_view *view, uint64_t id,
    struct leat_manifest *manifest, struct leat_error *err);
/* Whether its files are there in their sizes; the error names the first that is not. */
LEAT_NODISCARD int leat__view_look(
    const struct leat_checkpoint_view *view, const struct leat_manifest *manifest, struct leat_error *err);

const char *leat__checkpoint_kind_name(enum leat_checkpoint_kind kind);
uint64_t leat__manifest_bytes(const struct leat_manifest *manifest);
/* The same file in another checkpoint: its name, size and content; NULL: there is none. */
const struct leat_manifest_file *leat__manifest_shared(
    const struct leat_manifest *manifest, const struct leat_manifest_file *file);
uint64_t leat__manifest_new_bytes(const struct leat_manifest *manifest, const struct leat_manifest *before);
/* Of a node's output: the least over its subtasks. */
int64_t leat__manifest_watermark(const struct leat_manifest *manifest, const char *node);

/* The verbs: exit code. */
int leat__checkpoint_ls(const struct leat_checkpoint_args *args);
int leat__checkpoint_info(const struct leat_checkpoint_args *args);
int leat__checkpoint_verify(const struct leat_checkpoint_args *args);
int leat__checkpoint_diff(const struct leat_checkpoint_args *args);
int leat__checkpoint_rm(const struct leat_checkpoint_args *args);

int leat__checkpoint_main(int argc, char **argv);
#endif
