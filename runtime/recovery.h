/* runtime/recovery.h -- how a checkpoint and a topology fit together (semantics 47).
 *
 * Nodes are the same by name: an option says which have a new one. A stateful node that the topology does not
 * have any more, or that the checkpoint does not have yet, is refused unless an option allows it; so is a
 * stateful node that has become another kind. Whether tables fit their new formats is the tables' to say, when
 * they are opened. */
#ifndef LEAT_RUNTIME_RECOVERY_H
#define LEAT_RUNTIME_RECOVERY_H
#include "runtime/manifest.h"
#include <leat/job.h>

enum leat_fate {
    LEAT_FATE_KEPT = 1,
    LEAT_FATE_RENAMED, /* kept under a new name */
    LEAT_FATE_DROPPED,
    LEAT_FATE_NEW,
    LEAT_FATE_REFUSED,
};

/* What becomes of a node of the checkpoint or of the topology. */
struct leat_fit {
    const struct leat_manifest_node *saved; /* NULL: the checkpoint does not have it */
    const struct leat_plan_node *now; /* NULL: the topology does not have it */
    enum leat_fate fate;
    bool is_stateful; /* on either side */
    struct leat_error error; /* REFUSED: why */
};

/* All nodes of the plan in their order, then those that only the checkpoint has; in the arena. LEAT_EINVAL:
 * `restore->renamed` can not be read, or names what is not there. */
LEAT_NODISCARD int leat__restore_fit(const struct leat_plan *plan, const struct leat_manifest *manifest,
    const struct leat_restore_opts *restore, struct leat_arena *arena, struct leat_fit **fits,
    uint32_t *count, struct leat_error *err);
/* The name that a node of the checkpoint has today; NULL: it is dropped. */
const char *leat__restore_name(const struct leat_fit *fits, uint32_t count, const char *saved);
/* What would become of each node and its tables, as text for people: kept, migrated (its schema has changed,
 * and can be read), renamed, dropped, new, refused and why. The topology's operators are made for it and given
 * the tables to look at; nothing is read but the manifest. */
LEAT_NODISCARD int leat__restore_preview(const struct leat_plan *plan, const struct leat_manifest *manifest,
    const struct leat_restore_opts *restore, struct leat_strbuf *out, struct leat_error *err);
#endif
