/* topology/dead_letter_private.h -- writing refused records to a node's output of dead letters. */
#ifndef LEAT_TOPOLOGY_DEAD_LETTER_PRIVATE_H
#define LEAT_TOPOLOGY_DEAD_LETTER_PRIVATE_H
#include "topology/source.h"

/* Letters on their way; zeroed but for ctx it is ready for use. Nothing is emitted before flush, since
 * emitting may run user code (keys of an exchange) in the same context. After an error nothing is held. */
struct leat__dead_letters {
    struct leat__ctx *ctx;
    struct leat_batch *first, *last; /* linked by `next` */
};

/* Adds a letter about a row of a split (all is copied) and counts it; the cause is in ctx->error. */
LEAT_NODISCARD int leat__dead_letters_add(
    struct leat__dead_letters *letters, const struct leat_split *split, const struct leat_bad_row *row);
/* The same for a record, which is written as plain JSON; `record` may be NULL. */
LEAT_NODISCARD int leat__dead_letters_add_record(struct leat__dead_letters *letters, int code,
    struct leat_sv error, const void *record, const struct leat_type *type);
void leat__dead_letters_release(struct leat__dead_letters *letters); /* without sending them */
LEAT_NODISCARD int leat__dead_letters_flush(struct leat__dead_letters *letters);
#endif
