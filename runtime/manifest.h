/* runtime/manifest.h -- the record of a checkpoint: the one decision, as text that people can read.
 *
 * A manifest is a JSON object, a line feed, and "xxh3 " with the hash of everything before as 16 hex digits
 * and a line feed. Reading checks that first: a torn, cut or changed file is LEAT_EDATA, never half believed.
 * What it says is hostile input all the same: names are relative and without "..", sizes and counts are
 * bounded, unknown members are ignored, an unknown format version is LEAT_EUNSUPPORTED. */
#ifndef LEAT_RUNTIME_MANIFEST_H
#define LEAT_RUNTIME_MANIFEST_H
#include "runtime/checkpoint.h"

#define LEAT_MANIFEST_FORMAT 1u

enum leat_checkpoint_kind { LEAT_KIND_CHECKPOINT = 1, LEAT_KIND_SAVEPOINT };

struct leat_manifest_file {
    const char *name; /* relative to the checkpoint: "worker-0/000012.sst", "outbox-3-0" */
    uint64_t bytes;
    uint64_t hash; /* XXH3-64 of its content */
};

struct leat_manifest_node {
    const char *name, *kind;
    uint32_t parallelism;
    bool is_stateful; /* has tables or a blob */
};

struct leat_manifest_handle {
    const char *node;
    struct leat_sv data;
};

struct leat_manifest_outbox {
    const char *node;
    uint32_t slot;
    const char *file; /* name of one of the files */
    uint64_t records;
};

struct leat_manifest {
    struct leat_arena arena; /* of everything here, when read */
    uint32_t format;
    const char *leat_version, *job;
    const char *life; /* 32 hex digits: drawn when the job began new; the identity behind markers */
    uint64_t id;
    enum leat_checkpoint_kind kind;
    bool finished; /* the input has ended: there is nothing to go on with, only commits to complete */
    int64_t taken_us; /* wall clock */
    uint32_t parallelism, max_parallelism;
    const struct leat_manifest_node *nodes;
    uint32_t nodes_count;
    const struct leat_part *parts;
    uint32_t parts_count;
    const struct leat_table_info *tables;
    uint32_t tables_count;
    const char *store; /* name of the class that made the stores; NULL: not said */
    const bool *has_store; /* by worker: "worker-I/" is a store checkpoint; `parallelism` of them */
    const struct leat_manifest_file *files;
    uint32_t files_count;
    const struct leat_manifest_handle *handles; /* to commit, in this order */
    uint32_t handles_count;
    const struct leat_manifest_outbox *outboxes;
    uint32_t outboxes_count;
};

LEAT_NODISCARD int leat__manifest_write(const struct leat_manifest *manifest, struct leat_strbuf *out);
/* Fills *manifest from bytes; leat__manifest_release in any case. */
LEAT_NODISCARD int leat__manifest_read(
    const char *data, size_t len, struct leat_manifest *manifest, struct leat_error *err);
void leat__manifest_release(struct leat_manifest *manifest);
#endif
