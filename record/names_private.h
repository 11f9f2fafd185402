/* record/names_private.h -- a small index from names to numbers: types of a schema, fields of a record,
 * symbols of an enum. Hashing keeps hostile schemas with many names linear. Names are borrowed; memory comes
 * from an arena. */
#ifndef LEAT_RECORD_NAMES_PRIVATE_H
#define LEAT_RECORD_NAMES_PRIVATE_H
#include "base/arena.h"

struct leat_names {
    struct leat_arena *arena;
    struct leat_names_slot *slots;
    uint32_t slots_count; /* power of two, or 0 */
    uint32_t count;
};

/* A zeroed struct with its arena set is ready for use. */
/* 1: added; 0: the name was there; LEAT_ENOMEM. */
LEAT_NODISCARD int leat__names_add(struct leat_names *names, const char *name, uint32_t number);
/* The number of a name, or -1. */
int64_t leat__names_find(const struct leat_names *names, const char *name);
#endif
