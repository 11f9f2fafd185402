/* record/expr_call.c -- expressions: functions by name. The tables lie beside their kernels (expr_math.c,
 * expr_string.c, expr_time.c); here a call is matched with its row, and its arguments with the letters of the
 * row. Functions that are special to the compiler (null logic, constant arguments) have a typing function. */
#include "record/expr_private.h"
#include <stdio.h>

#define FUNCTIONS_MAX 128u

static int type_coalesce_call(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_want_args(c, node, "coalesce(a, b, ...)", 1, EXPR_NONE));
    node->kind = EXPR_COALESCE;
    node->is_typed = false;
    return leat__expr_type_node(c, node);
}

static int type_nullif_call(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_want_args(c, node, "nullif(a, b)", 2, 2));
    node->kind = EXPR_NULLIF;
    node->is_typed = false;
    return leat__expr_type_node(c, node);
}

static int type_if_call(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_want_args(c, node, "if(condition, a, b)", 3, 3));
    node->kind = EXPR_CASE;
    node->is_typed = false;
    return leat__expr_type_node(c, node);
}

static int type_concat_call(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_want_args(c, node, "concat(a, b, ...)", 1, EXPR_NONE));
    node->kind = EXPR_BINARY;
    node->token = EXPR_JOIN;
    node->is_typed = false;
    return leat__expr_type_node(c, node);
}

static const struct expr_function functions_null[] = {
    { .name = "coalesce", .type = type_coalesce_call },
    { .name = "nullif", .type = type_nullif_call },
    { .name = "if", .type = type_if_call },
    { .name = "concat", .type = type_concat_call },
    { .name = NULL },
};

static const struct expr_function *const tables[] = { functions_null, leat__expr_functions_math,
    leat__expr_functions_string, leat__expr_functions_time };

static int fail_function(struct expr_compiler *c, const struct expr_node *node)
{
    const char *names[FUNCTIONS_MAX];
    char hint[EXPR_HINT_BYTES];
    size_t count = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct expr_function *row = tables[t]; row->name && count < FUNCTIONS_MAX - 1; row++)
            names[count++] = row->name;
    names[count++] = "cast";
    leat__expr_hint(node->name, names, count, hint);
    return leat__expr_fail(&c->source, node->at, "no function \"%.*s\"%s",
        (int)(node->name.len < 64 ? node->name.len : 64), node->name.data,
        hint[0] ? hint : "; docs/guide/expressions.md lists those that there are");
}

int leat__expr_want_args(struct expr_compiler *c, const struct expr_node *node, const char *usage,
    uint32_t args_min, uint32_t args_max)
{
    if (node->args_count >= args_min && node->args_count <= args_max)
        return 0;
    return leat__expr_fail(&c->source, node->at, "%u argument%s where %s was expected", node->args_count,
        node->args_count == 1 ? "" : "s", usage);
}

static const char *letter_name(char letter)
{
    switch (letter) {
    case 's':
        return "a string";
    case 'i':
        return "an integer";
    case 't':
        return "a timestamp";
    case 'b':
        return "a boolean";
    default:
        return "a number";
    }
}

static enum leat_value_class letter_class(char letter)
{
    switch (letter) {
    case 's':
        return LEAT_VALUE_STRING;
    case 'i':
        return LEAT_VALUE_INT;
    case 't':
        return LEAT_VALUE_TIMESTAMP;
    case 'b':
        return LEAT_VALUE_BOOL;
    default:
        return LEAT_VALUE_FLOAT;
    }
}

int leat__expr_want_arg(
    struct expr_compiler *c, struct expr_node *node, uint32_t i, char letter, const char *usage)
{
    const enum leat_value_class is = node->args[i]->value_class, want = letter_class(letter);
    const bool takes_int = letter == 'f' || letter == 'n';
    if (is == want || (letter == 'n' && is == LEAT_VALUE_INT))
        return 0;
    if (is == LEAT_VALUE_NULL || (takes_int && is == LEAT_VALUE_INT))
        return leat__expr_coerce(c, &node->args[i], want);
    return leat__expr_fail(&c->source, node->args[i]->at, "%s: argument %u must be %s, not %s", usage, i + 1,
        letter_name(letter), leat__expr_class_name(is));
}

static int type_by_row(struct expr_compiler *c, struct expr_node *node, const struct expr_function *row)
{
    bool any_float = false;
    LEAT_TRY(leat__expr_want_args(c, node, row->usage, row->args_min, (uint32_t)strlen(row->args)));
    for (uint32_t i = 0; i < node->args_count; i++) {
        LEAT_TRY(leat__expr_want_arg(c, node, i, row->args[i], row->usage));
        any_float = any_float || (row->args[i] == 'n' && node->args[i]->value_class == LEAT_VALUE_FLOAT);
    }
    for (uint32_t i = 0; any_float && i < node->args_count; i++)
        if (row->args[i] == 'n')
            LEAT_TRY(leat__expr_coerce(c, &node->args[i], LEAT_VALUE_FLOAT));
    if (row->result != 'n')
        return leat__expr_apply(c, node, row->op, letter_class(row->result), NULL);
    return leat__expr_apply(
        c, node, any_float ? row->op_float : row->op, any_float ? LEAT_VALUE_FLOAT : LEAT_VALUE_INT, NULL);
}

int leat__expr_type_call(struct expr_compiler *c, struct expr_node *node)
{
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct expr_function *row = tables[t]; row->name; row++)
            if (leat__expr_same_word(node->name, row->name))
                return row->type ? row->type(c, node) : type_by_row(c, node, row);
    return fail_function(c, node);
}
