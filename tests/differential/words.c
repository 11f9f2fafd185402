/* tests/differential/words.c -- see words.h. */
#include "tests/differential/words.h"
#include <string.h>

/* ---- conditions ---- */

static bool never(const struct diff_row *row)
{
    (void)row;
    return true;
}

static bool is_positive(const struct diff_row *row)
{
    return row->has_v && row->v >= 0;
}

static bool is_null_or_large(const struct diff_row *row)
{
    return !row->has_v || row->v > -50;
}

static bool is_first_key(const struct diff_row *row)
{
    return row->has_k1 && row->k1 == 1;
}

static bool is_small_text(const struct diff_row *row)
{
    return row->has_s && leat_sv_cmp(row->s, LEAT_SV("b")) < 0;
}

static bool is_true(const struct diff_row *row)
{
    return row->has_b && row->b;
}

static bool is_false(const struct diff_row *row)
{
    return row->has_b && !row->b;
}

static bool is_either(const struct diff_row *row)
{
    return (row->has_d && row->d > 0.5) || (row->has_v && row->v == 3);
}

static bool is_even(const struct diff_row *row)
{
    return row->has_v && row->v % 2 == 0;
}

const struct condition conditions[CONDITIONS] = {
    { NULL, never },
    { "v >= 0", is_positive },
    { "v is null or v > -50", is_null_or_large },
    { "k1 = 1", is_first_key },
    { "s is not null and s < 'b'", is_small_text },
    { "b", is_true },
    { "not b", is_false },
    { "d > 0.5 or v = 3", is_either },
    { "v % 2 = 0", is_even },
};

static bool any_pair(const struct diff_row *left, const struct diff_row *right)
{
    (void)left;
    (void)right;
    return true;
}

static bool rises(const struct diff_row *left, const struct diff_row *right)
{
    return left->has_v && right->has_v && left->v <= right->v;
}

static bool either_is_true(const struct diff_row *left, const struct diff_row *right)
{
    return (left->has_b && left->b) || (right->has_b && right->b);
}

static bool gaps_differ(const struct diff_row *left, const struct diff_row *right)
{
    return left->gap != right->gap;
}

const struct join_condition join_conditions[JOIN_CONDITIONS] = {
    { NULL, any_pair },
    { "left.v <= right.v", rises },
    { "left.b or right.b", either_is_true },
    { "left.gap <> right.gap", gaps_differ },
};

/* ---- values ---- */

struct value value_of(const struct diff_row *row, int64_t plan_field)
{
    switch (plan_field) {
    case PLAN_V:
        return (struct value){ .of = row->has_v ? VALUE_LONG : VALUE_NULL, .l = row->v };
    case PLAN_K1:
        return (struct value){ .of = row->has_k1 ? VALUE_LONG : VALUE_NULL, .l = row->k1 };
    case PLAN_GAP:
        return (struct value){ .of = VALUE_LONG, .l = row->gap };
    case PLAN_D:
        return (struct value){ .of = row->has_d ? VALUE_DOUBLE : VALUE_NULL, .d = row->d };
    case PLAN_S:
        return (struct value){ .of = row->has_s ? VALUE_TEXT : VALUE_NULL, .s = row->s };
    case PLAN_B:
        return (struct value){ .of = row->has_b ? VALUE_BOOL : VALUE_NULL, .l = row->b };
    default:
        return (struct value){ 0 };
    }
}

const char *field_name(int64_t plan_field)
{
    static const char *const names[] = { NULL, "v", "d", "s", "b", "k1", "gap" };
    return plan_field > 0 && plan_field <= PLAN_GAP ? names[plan_field] : NULL;
}

int value_compare(const struct value *a, const struct value *b)
{
    if (a->of == VALUE_TEXT)
        return leat_sv_cmp(a->s, b->s);
    if (a->of != VALUE_DOUBLE)
        return a->l < b->l ? -1 : a->l > b->l;
    const bool a_nan = a->d != a->d, b_nan = b->d != b->d;
    if (a_nan || b_nan)
        return a_nan - b_nan;
    return a->d < b->d ? -1 : a->d > b->d;
}

/* ---- columns ---- */

static const char *class_of_value(int64_t of)
{
    static const char *const classes[] = { NULL, "l", "d", "s", "b", "l", "l" };
    return of > 0 && of <= PLAN_GAP ? classes[of] : NULL;
}

static bool is_number(int64_t of)
{
    return of == PLAN_V || of == PLAN_D || of == PLAN_K1 || of == PLAN_GAP;
}

static const char *array_of(int64_t of)
{
    const char *of_class = class_of_value(of);
    if (!of_class || of == PLAN_B)
        return NULL;
    return *of_class == 'l' ? "al" : *of_class == 'd' ? "ad" : "as";
}

/* The beginning of the names of the columns that can take the aggregate. */
static const char *class_of_agg(const struct plan_agg *agg)
{
    const bool integer = is_number(agg->of) && agg->of != PLAN_D;
    switch ((enum leat_aggregate_kind)agg->kind) {
    case LEAT_AGGREGATE_COUNT:
        return "l";
    case LEAT_AGGREGATE_COUNT_DISTINCT:
        return agg->of ? "l" : NULL;
    case LEAT_AGGREGATE_SUM:
        return is_number(agg->of) ? class_of_value(agg->of) : NULL;
    case LEAT_AGGREGATE_MIN:
    case LEAT_AGGREGATE_MAX:
        return agg->of == PLAN_B ? NULL : class_of_value(agg->of);
    case LEAT_AGGREGATE_FIRST:
    case LEAT_AGGREGATE_LAST:
        return class_of_value(agg->of);
    case LEAT_AGGREGATE_MIN_BY:
    case LEAT_AGGREGATE_MAX_BY:
        return agg->by && agg->by != PLAN_B ? class_of_value(agg->of) : NULL;
    case LEAT_AGGREGATE_AVG:
    case LEAT_AGGREGATE_VAR_POP:
    case LEAT_AGGREGATE_VAR_SAMP:
    case LEAT_AGGREGATE_STDDEV_POP:
    case LEAT_AGGREGATE_STDDEV_SAMP:
        return is_number(agg->of) ? "d" : NULL;
    case LEAT_AGGREGATE_TOP_N:
    case LEAT_AGGREGATE_BOTTOM_N:
        return agg->n > 0 ? array_of(agg->of) : NULL;
    case LEAT_AGGREGATE_COLLECT_LIST:
    case LEAT_AGGREGATE_COLLECT_SET:
        return array_of(agg->of);
    case LEAT_AGGREGATE_STRING_JOIN:
        return agg->of == PLAN_S ? "s" : NULL;
    case LEAT_AGGREGATE_BIT_AND:
    case LEAT_AGGREGATE_BIT_OR:
    case LEAT_AGGREGATE_BIT_XOR:
        return integer ? "l" : NULL;
    case LEAT_AGGREGATE_BOOL_AND:
    case LEAT_AGGREGATE_BOOL_OR:
        return agg->of == PLAN_B ? "b" : NULL;
    case LEAT_AGGREGATE_HISTOGRAM:
        return is_number(agg->of) ? "al" : NULL;
    case LEAT_AGGREGATE_APPROX_COUNT_DISTINCT:
        return agg->of ? "x" : NULL;
    case LEAT_AGGREGATE_APPROX_QUANTILE:
        return is_number(agg->of) ? "y" : NULL;
    case LEAT_AGGREGATE_USER:
        return agg->where ? NULL : "u";
    case LEAT_AGGREGATE_TRACE_LINKS: /* in no plan */
        return NULL;
    }
    return NULL;
}

/* The user's aggregates write their own field. */
static const char *column_name(const char *of_class, size_t index, char name[8])
{
    const size_t len = strlen(of_class);
    if (*of_class == 'u')
        return index == 0 ? "l3" : NULL;
    if (index > 8 || (*of_class == 'l' && index > 2))
        return NULL;
    memcpy(name, of_class, len);
    name[len] = (char)('0' + index);
    name[len + 1] = '\0';
    return name;
}

const struct leat_field *column_of(const struct plan_node *node, size_t agg)
{
    const char *of_class = class_of_agg(&node->aggs[agg]);
    size_t index = 0;
    char buffer[8];
    if (!of_class)
        return NULL;
    for (size_t i = 0; i < agg; i++) {
        const char *other = class_of_agg(&node->aggs[i]);
        index += other && strcmp(other, of_class) == 0;
    }
    const char *name = column_name(of_class, index, buffer);
    for (uint32_t i = 0; name && i < diff_out_type.fields_count; i++)
        if (strcmp(diff_out_type.fields[i].name, name) == 0)
            return &diff_out_type.fields[i];
    return NULL;
}

const double histogram_bounds[3] = { -10, 0, 25 };
const char *const zones[3] = { NULL, "Europe/Berlin", "America/New_York" };
