/* record/key_private.h -- what the files of keys share.
 *
 *   text --key_parse--> pieces --key--> parts: fields and compiled expressions
 *   parts + scratch + rows --key_eval--> bytes */
#ifndef LEAT_RECORD_KEY_PRIVATE_H
#define LEAT_RECORD_KEY_PRIVATE_H
#include "base/limits.h"
#include "record/expr.h"
#include "record/key.h"

/* ---- text ---- */

/* One part of a key as it was written. */
struct leat__key_piece {
    uint32_t from, to; /* bytes of the text, without `as` and what follows */
    const char *text; /* spelled in one way, so that equal parts are equal texts */
    const char *as; /* or NULL */
    bool is_path; /* names and dots, nothing else: a field */
};
/* Cuts "a, lower(b) as c" at its commas. LEAT_EDECLARE for the form of the list, LEAT_EEXPR for what is no token of
 * the expression language. Texts are in the arena. */
LEAT_NODISCARD int leat__key_parse(struct leat_arena *arena, const char *text,
    struct leat__key_piece pieces[LEAT_KEY_FIELDS_MAX], uint32_t *count, struct leat_error *err);

/* ---- parts ---- */

enum leat__key_class { LEAT__KEY_BOOLEAN = 1, LEAT__KEY_INTEGER, LEAT__KEY_FLOAT, LEAT__KEY_STRING };

struct leat__key_field {
    enum leat__key_class key_class;
    bool is_nullable;
    bool is_marked; /* a byte before it says whether it is null */
    const struct leat_type *type;
    struct leat_place place; /* of a field */
    struct leat_expr *expr; /* of an expression; NULL: a field */
    const struct leat_sv *symbols; /* of an enum */
    const char *text, *as;
};

enum leat__key_shape {
    LEAT__KEY_OF_LONG = 1,
    LEAT__KEY_OF_INT,
    LEAT__KEY_OF_STRING,
    LEAT__KEY_OF_FIELDS,
    LEAT__KEY_OF_EXPRS, /* and fields */
    LEAT__KEY_OF_CALLBACK,
};

struct leat_key {
    struct leat_arena arena;
    const char *text, *named_text;
    enum leat__key_shape shape;
    leat_key_batch_fn fn;
    uint32_t parts_count;
    uint32_t fixed_size;
    struct leat__key_field parts[LEAT_KEY_FIELDS_MAX];
};
#endif
