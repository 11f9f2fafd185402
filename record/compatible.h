/* record/compatible.h -- whether data of one schema can be read with another, before there is any.
 *
 * The rules are those of Avro's resolution, applied to what a writer may write: every branch of its unions and every symbol
 * of its enums must have a place. A reader's field that the writer does not have needs a default. Names fit as in decoding
 * (record/resolve_match.c). */
#ifndef LEAT_RECORD_COMPATIBLE_H
#define LEAT_RECORD_COMPATIBLE_H
#include "record/schema.h"

enum leat_incompatible {
    LEAT_INCOMPATIBLE_TYPE = 1,
    LEAT_INCOMPATIBLE_NAME,
    LEAT_INCOMPATIBLE_SIZE, /* of a fixed */
    LEAT_INCOMPATIBLE_SYMBOLS, /* that the reader's enum does not have, nor a default */
    LEAT_INCOMPATIBLE_FIELD, /* of the reader without a default, that the writer does not have */
    LEAT_INCOMPATIBLE_BRANCH, /* of a writer's union, or a type that no branch of the reader's takes */
    LEAT_INCOMPATIBLE_LOGICAL, /* the numbers mean other times, or have another scale: Leat refuses to read those */
};
/* The word that schema registries have for it, "READER_FIELD_MISSING_DEFAULT_VALUE". */
const char *leat__incompatible_word(enum leat_incompatible kind);

struct leat_incompatibility {
    enum leat_incompatible kind;
    const char *
        path; /* in the reader's schema: "/fields/2/type/items"; "/" for the whole. Behind a union: the index of the
                         writer's branch */
    const char *text; /* a sentence with what is where, and what would help */
};
struct leat_incompatibilities { /* zeroed: empty */
    struct leat_arena arena;
    struct leat_incompatibility *list;
    uint32_t count, capacity;
};
void leat__incompatibilities_release(struct leat_incompatibilities *found);

/* Appends why data of `writer` can not be read as `reader`: nothing when all of it can. `logical`: logical types count, too.
 * LEAT_ENOMEM, LEAT_ELIMIT (schemas that refer to themselves too deeply), or 0. */
LEAT_NODISCARD int leat__schema_can_read(const struct leat_schema *reader, const struct leat_schema *writer,
    bool logical, struct leat_incompatibilities *found, struct leat_error *err);

/* The levels of schema registries. BACKWARD: what is read with the new schema may be of the last one; FORWARD: what is
 * written with the new one may be read with the last; FULL: both. TRANSITIVE: not only the last but all. */
enum leat_compatibility {
    LEAT_COMPATIBILITY_NONE = 1,
    LEAT_COMPATIBILITY_BACKWARD,
    LEAT_COMPATIBILITY_BACKWARD_TRANSITIVE,
    LEAT_COMPATIBILITY_FORWARD,
    LEAT_COMPATIBILITY_FORWARD_TRANSITIVE,
    LEAT_COMPATIBILITY_FULL,
    LEAT_COMPATIBILITY_FULL_TRANSITIVE,
};
#define LEAT_COMPATIBILITIES_COUNT 7
const char *leat__compatibility_word(enum leat_compatibility level); /* "BACKWARD_TRANSITIVE" */
/* The level of a word in any case; 0 for none. */
enum leat_compatibility leat__compatibility_find(const char *word);
/* Why `next` may not come behind `before` (the oldest first). Texts of FORWARD say that the old schema reads. */
LEAT_NODISCARD int leat__schema_may_follow(enum leat_compatibility level, const struct leat_schema *next,
    const struct leat_schema *const *before, uint32_t count, bool logical,
    struct leat_incompatibilities *found, struct leat_error *err);
#endif
