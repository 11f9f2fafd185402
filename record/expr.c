/* record/expr.c -- expressions: making and describing them. A compiled expression owns one arena with its
 * text, nodes and program, besides its regular expressions; the record types are borrowed. */
#include "record/expr_private.h"
#include "base/alloc.h"

#define WORD(kind_, logical_, name_, size_) \
    { \
        .kind = kind_, .logical = logical_, .name = name_, .size = size_, .align = size_ \
    }

static const struct leat_type type_null = { .kind = LEAT_KIND_NULL, .name = "null", .size = 0, .align = 1 };
static const struct leat_type type_bool = WORD(LEAT_KIND_BOOLEAN, LEAT_LOGICAL_NONE, "boolean", 1);
static const struct leat_type type_long = WORD(LEAT_KIND_LONG, LEAT_LOGICAL_NONE, "long", 8);
static const struct leat_type type_double = WORD(LEAT_KIND_DOUBLE, LEAT_LOGICAL_NONE, "double", 8);
static const struct leat_type type_time = WORD(LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MICROS, "long", 8);
static const struct leat_type type_string = {
    .kind = LEAT_KIND_STRING,
    .name = "string",
    .size = sizeof(struct leat_sv),
    .align = _Alignof(struct leat_sv),
};

static const struct leat_type *natural_type(enum leat_value_class value_class)
{
    switch (value_class) {
    case LEAT_VALUE_BOOL:
        return &type_bool;
    case LEAT_VALUE_INT:
        return &type_long;
    case LEAT_VALUE_FLOAT:
        return &type_double;
    case LEAT_VALUE_STRING:
        return &type_string;
    case LEAT_VALUE_TIMESTAMP:
        return &type_time;
    default:
        return &type_null;
    }
}

/* What a missing record is read as: its fields are null, but kernels look at the values of nulls, too. */
static int make_absent(struct expr_compiler *c)
{
    size_t size = 0;
    for (uint32_t side = 0; side < c->sides; side++)
        if (c->may_miss >> side & 1 && c->types[side]->size > size)
            size = c->types[side]->size;
    if (!c->may_miss)
        return 0;
    void *absent = leat__arena_alloc(c->arena, size);
    if (!absent)
        return leat__expr_no_memory(&c->source);
    c->expr->absent = memset(absent, 0, size);
    c->expr->may_miss = c->may_miss;
    return 0;
}

static int compile(struct expr_compiler *c)
{
    struct leat_expr *expr = c->expr;
    struct expr_node *root;
    LEAT_TRY(make_absent(c));
    LEAT_TRY(leat__expr_parse(c, &root));
    const bool is_path = root->kind == EXPR_PATH;
    LEAT_TRY(leat__expr_type_node(c, root));
    expr->type = natural_type(root->value_class);
    expr->is_constant = leat__expr_is_literal(root);
    if (is_path) {
        expr->type = root->load->place.type;
        expr->is_place = c->sides == 1;
        expr->place = root->load->place;
    }
    return leat__expr_generate(c, root, &expr->program);
}

static int make(struct expr_compiler *c, const char *text, struct leat_expr **expr, struct leat_error *err)
{
    struct leat_error unseen = { 0 };
    *expr = NULL;
    c->source.err = err ? err : &unseen;
    const size_t len = strlen(text);
    c->source.len = len > LEAT_EXPR_BYTES_MAX ? LEAT_EXPR_BYTES_MAX + 1 : (uint32_t)len;
    struct leat_expr *made = leat__calloc(1, sizeof *made);
    if (!made)
        return leat__expr_no_memory(&c->source);
    made->sides = c->sides;
    made->text = leat__arena_strn(&made->arena, text, c->source.len);
    c->source.text = made->text;
    c->arena = &made->arena;
    c->expr = made;
    const int code = made->text ? compile(c) : leat__expr_no_memory(&c->source);
    if (code != 0) {
        leat__expr_free(made);
        return code;
    }
    *expr = made;
    return 0;
}

int leat__expr_new(
    const char *text, const struct leat_type *type, struct leat_expr **expr, struct leat_error *err)
{
    struct expr_compiler c = { .types = { type, NULL }, .sides = 1 };
    return make(&c, text, expr, err);
}

int leat__expr_new2(const char *text, const struct leat_type *left, const char *left_name,
    const struct leat_type *right, const char *right_name, struct leat_expr **expr, struct leat_error *err)
{
    struct expr_compiler c = { .types = { left, right }, .names = { left_name, right_name }, .sides = 2 };
    return make(&c, text, expr, err);
}

int leat__expr_new_sides(
    const char *text, const struct leat_expr_sides *sides, struct leat_expr **expr, struct leat_error *err)
{
    struct expr_compiler c = { .types = { sides->left, sides->right },
        .names = { sides->left_name, sides->right_name },
        .sides = 2,
        .may_miss = sides->may_miss };
    return make(&c, text, expr, err);
}

void leat__expr_free(struct leat_expr *expr)
{
    if (!expr)
        return;
    leat__expr_regexes_free(expr->regexes);
    leat__arena_release(&expr->arena);
    leat__free(expr);
}

enum leat_value_class leat__expr_class(const struct leat_expr *expr)
{
    return expr->program.value_class;
}

bool leat__expr_is_nullable(const struct leat_expr *expr)
{
    return expr->program.is_nullable;
}

int leat__expr_place(const struct leat_expr *expr, struct leat_place *place)
{
    if (expr->is_place)
        *place = expr->place;
    return expr->is_place;
}

bool leat__expr_is_constant(const struct leat_expr *expr)
{
    return expr->is_constant;
}

const struct leat_type *leat__expr_type(const struct leat_expr *expr)
{
    return expr->type;
}

const char *leat__expr_text(const struct leat_expr *expr)
{
    return expr->text;
}
