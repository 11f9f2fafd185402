/* tools/gen_private.h -- shared by gen.c (the walk), gen_names.c (which names are free) and gen_write.c
 * (text). */
#ifndef LEAT_TOOLS_GEN_PRIVATE_H
#define LEAT_TOOLS_GEN_PRIVATE_H
#include "base/arena.h"
#include "tools/gen.h"

/* A type that occurs in the schema, with its C identifier. Scalars are parts too: each has a descriptor. */
struct gen_part {
    const struct leat_type *type;
    const struct leat_schema_node *node; /* what the schema says of it, for its docs */
    const char *name;
};

/* Names that are in use in one of C's name spaces. */
struct gen_words {
    const char **words;
    uint32_t count, capacity;
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
    struct gen_words tags; /* struct x, enum x */
    struct gen_words constants; /* of enums */
    struct leat_strbuf body; /* the declaration that is being written */
    bool failed; /* out of memory; names are "" from then on */
};

/* C names of a record's members, and of the flags of its nullable ones (NULL for the others). */
struct gen_members {
    const char **names, **flags;
};

/* The members of a union's `as`, and what its tags end in. */
struct gen_branches {
    const char **members, **tags;
};

struct gen_part *leat__gen_part(struct gen *g, const struct leat_type *type);

/* printf into the arena; "" without memory. */
const char *leat__gen_printf(struct gen *g, const char *format, ...) LEAT_PRINTF(2, 3);
const char *leat__gen_snake(
    struct gen *g, const char *name); /* OrderLine -> order_line, HTTPCode -> http_code */
const char *leat__gen_upper(struct gen *g, const char *name);
const char *leat__gen_identifier(struct gen *g, const char *text); /* what C does not take becomes _ */
const char *leat__gen_simple(const char *full_name); /* without namespace */
/* A name for a struct or enum that would like to be called `wish`; for a map and a union also the name with
 * _entry or _tag behind it is free. It is in use from then on. Tells a change in the notes. */
const char *leat__gen_claim_tag(struct gen *g, const char *wish, const struct leat_type *of);
/* The same for the constant of an enum. */
const char *leat__gen_claim_constant(struct gen *g, const char *wish, const struct leat_type *of);
/* False without memory. Tells changes. */
bool leat__gen_members(struct gen *g, const struct leat_type *record, struct gen_members *members);
bool leat__gen_branches(struct gen *g, const struct leat_type *type, struct gen_branches *branches);

void leat__gen_write_header(struct gen *g);
void leat__gen_write_source(struct gen *g);
#endif
