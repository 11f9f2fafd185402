/* tools/gen_private.h -- shared by gen.c (names) and gen_write.c (text). */
#ifndef LEAT_TOOLS_GEN_PRIVATE_H
#define LEAT_TOOLS_GEN_PRIVATE_H
#include "base/arena.h"
#include "tools/gen.h"

/* A type that occurs in the schema, with its C identifier. Scalars are parts too: each has a descriptor. */
struct gen_part {
    const struct leat_type *type;
    const char *name;
};

struct gen {
    struct leat_arena arena;
    struct leat_gen_output *out;
    struct leat_error *err;
    const char *stem;
    const char *text; /* of the schema */
    size_t text_len;
    const struct leat_type *root;
    struct gen_part *parts; /* children first */
    uint32_t parts_count, parts_capacity;
};

struct gen_part *leat__gen_part(struct gen *g, const struct leat_type *type);
const char *leat__gen_upper(struct gen *g, const char *name);
/* C names of a record's members, and of the flags of its nullable ones. NULL without memory. Tells changes.
 */
const char **leat__gen_members(struct gen *g, const struct leat_type *record, const char ***flags);
void leat__gen_write_header(struct gen *g);
void leat__gen_write_source(struct gen *g);
#endif
