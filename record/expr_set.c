/* record/expr_set.c -- expressions: x in (constants). A short list is gone through; a longer one becomes a
 * hash table with linear probing, at most half full. Numbers and times are compared as eight bytes: floats
 * too, once -0.0 is 0.0 and NaN, which equals nothing, is left out. */
#include "record/expr_private.h"
#include "base/hash.h"

#define LINEAR_MAX 8u
#define MIX UINT64_C(0x9E3779B97F4A7C15)

struct set {
    uint32_t count;
    uint32_t slots_count; /* power of two; 0: go through the items */
    uint32_t *slots; /* item + 1, or 0 */
    int64_t *numbers; /* or */
    struct leat_sv *strings;
    bool has_null; /* then what is not found is null instead of false */
};

static int64_t bits_of(double x)
{
    int64_t bits;
    const double plain = x == 0.0 ? 0.0 : x;
    memcpy(&bits, &plain, sizeof bits);
    return bits;
}

static bool has_number(const struct set *set, int64_t x)
{
    if (!set->slots_count) {
        bool found = false;
        for (uint32_t k = 0; k < set->count; k++)
            found |= set->numbers[k] == x;
        return found;
    }
    uint32_t at = (uint32_t)(((uint64_t)x * MIX) >> 32);
    for (;; at++) {
        const uint32_t item = set->slots[at & (set->slots_count - 1)];
        if (item == 0 || set->numbers[item - 1] == x)
            return item != 0;
    }
}

static bool has_string(const struct set *set, struct leat_sv x)
{
    if (!set->slots_count) {
        for (uint32_t k = 0; k < set->count; k++)
            if (leat_sv_eq(set->strings[k], x))
                return true;
        return false;
    }
    uint32_t at = (uint32_t)leat__hash(x.len ? x.data : "", x.len);
    for (;; at++) {
        const uint32_t item = set->slots[at & (set->slots_count - 1)];
        if (item == 0 || leat_sv_eq(set->strings[item - 1], x))
            return item != 0;
    }
}

#define SET_KERNEL(name_, type_, found_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_vec *a = EXPR_ARG(f, in, 0), *d = EXPR_DST(f, in); \
        const struct set *set = in->extra; \
        for (uint32_t i = 0; i < f->count; i++) { \
            d->data[i] = 0; \
            if (leat__expr_null_at(d, i)) \
                continue; \
            const type_ x = EXPR_AT(type_, a, i); \
            d->data[i] = (found_); \
            if (set->has_null) \
                d->nulls[i] = !d->data[i]; \
        } \
        return 0; \
    }

SET_KERNEL(in_integers, int64_t, has_number(set, x))
SET_KERNEL(in_floats, double, has_number(set, bits_of(x)))
SET_KERNEL(in_strings, struct leat_sv, has_string(set, x))

static void add_slot(struct set *set, uint32_t hash, uint32_t item)
{
    while (set->slots[hash & (set->slots_count - 1)])
        hash++;
    set->slots[hash & (set->slots_count - 1)] = item + 1;
}

static void add_item(struct set *set, const struct expr_value *value)
{
    if (value->is_null) {
        set->has_null = true;
        return;
    }
    if (value->value_class == LEAT_VALUE_STRING) {
        set->strings[set->count++] = value->as.string;
        return;
    }
    if (value->value_class == LEAT_VALUE_FLOAT && value->as.real != value->as.real)
        return;
    set->numbers[set->count++] =
        value->value_class == LEAT_VALUE_FLOAT ? bits_of(value->as.real) : value->as.integer;
}

static bool fill(struct set *set, struct leat_arena *arena, const struct expr_node *node)
{
    const uint32_t items = node->args_count - 1;
    const bool is_string = node->args[0]->value_class == LEAT_VALUE_STRING;
    if (is_string)
        set->strings = leat__arena_array(arena, items, sizeof *set->strings);
    else
        set->numbers = leat__arena_array(arena, items, sizeof *set->numbers);
    if (!set->strings && !set->numbers)
        return false;
    for (uint32_t i = 1; i <= items; i++)
        add_item(set, &node->args[i]->value);
    if (set->count <= LINEAR_MAX)
        return true;
    uint32_t slots_count = 2 * LINEAR_MAX;
    while (slots_count < 2 * set->count)
        slots_count *= 2;
    set->slots = leat__arena_array(arena, slots_count, sizeof *set->slots);
    if (!set->slots)
        return false;
    set->slots_count = slots_count;
    for (uint32_t k = 0; k < set->count; k++) {
        if (is_string && !has_string(set, set->strings[k]))
            add_slot(set, (uint32_t)leat__hash(set->strings[k].data, set->strings[k].len), k);
        else if (!is_string && !has_number(set, set->numbers[k]))
            add_slot(set, (uint32_t)(((uint64_t)set->numbers[k] * MIX) >> 32), k);
    }
    return true;
}

int leat__expr_type_set(struct expr_compiler *c, struct expr_node *node)
{
    struct set *set = leat__arena_alloc(c->arena, sizeof *set);
    if (!set || !fill(set, c->arena, node))
        return leat__expr_no_memory(&c->source);
    struct expr_op op = { NULL, EXPR_STRICT | (set->has_null ? EXPR_GIVES_NULL : 0) };
    switch (node->args[0]->value_class) {
    case LEAT_VALUE_FLOAT:
        op.run = in_floats;
        break;
    case LEAT_VALUE_STRING:
        op.run = in_strings;
        break;
    default:
        op.run = in_integers;
    }
    node->args_count = 1;
    return leat__expr_apply(c, node, op, LEAT_VALUE_BOOL, set);
}
