/* operators/aggregate_declare_agg.c -- options of aggregates to columns, accumulators and result fields, with all
 * their mistakes told. */
#include "operators/aggregate_record_private.h"
#include "record/schema.h"
#include "topology/declare.h"

#define COLUMNS_OF_AGG 3u /* of, where, by */
#define N_MAX 262144u
#define LINKS_DEFAULT 8u
#define LINKS_MAX 64u
#define SEPARATOR_BYTES_MAX 255u
#define BOUNDS_MAX 1000u
#define ERROR_DEFAULT 0.01

enum takes { TAKES_NUMBERS = 1, TAKES_ORDERED, TAKES_ANY, TAKES_INTEGERS, TAKES_BOOLEANS, TAKES_STRINGS };

/* What is known of each kind. */
static const struct kind {
    const char *name;
    leat__agg_choose_fn *choose;
    enum takes takes;
    bool never_null; /* also over no values */
} kinds[] = {
    [LEAT_AGGREGATE_COUNT] = { "count", leat__agg_choose_number, TAKES_ANY, true },
    [LEAT_AGGREGATE_SUM] = { "sum", leat__agg_choose_number, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_MIN] = { "min", leat__agg_choose_number, TAKES_ORDERED, false },
    [LEAT_AGGREGATE_MAX] = { "max", leat__agg_choose_number, TAKES_ORDERED, false },
    [LEAT_AGGREGATE_AVG] = { "avg", leat__agg_choose_number, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_USER] = { "user", NULL, TAKES_ANY, false },
    [LEAT_AGGREGATE_VAR_POP] = { "var_pop", leat__agg_choose_moments, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_VAR_SAMP] = { "var_samp", leat__agg_choose_moments, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_STDDEV_POP] = { "stddev_pop", leat__agg_choose_moments, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_STDDEV_SAMP] = { "stddev_samp", leat__agg_choose_moments, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_FIRST] = { "first", leat__agg_choose_pick, TAKES_ANY, false },
    [LEAT_AGGREGATE_LAST] = { "last", leat__agg_choose_pick, TAKES_ANY, false },
    [LEAT_AGGREGATE_MIN_BY] = { "min_by", leat__agg_choose_pick, TAKES_ANY, false },
    [LEAT_AGGREGATE_MAX_BY] = { "max_by", leat__agg_choose_pick, TAKES_ANY, false },
    [LEAT_AGGREGATE_COUNT_DISTINCT] = { "count_distinct", leat__agg_choose_set, TAKES_ANY, true },
    [LEAT_AGGREGATE_APPROX_COUNT_DISTINCT] = { "approx_count_distinct", leat__agg_choose_hll, TAKES_ANY,
        true },
    [LEAT_AGGREGATE_APPROX_QUANTILE] = { "approx_quantile", leat__agg_choose_quantile, TAKES_NUMBERS, false },
    [LEAT_AGGREGATE_TOP_N] = { "top_n", leat__agg_choose_list, TAKES_ANY, true },
    [LEAT_AGGREGATE_BOTTOM_N] = { "bottom_n", leat__agg_choose_list, TAKES_ANY, true },
    [LEAT_AGGREGATE_COLLECT_LIST] = { "collect_list", leat__agg_choose_list, TAKES_ANY, true },
    [LEAT_AGGREGATE_COLLECT_SET] = { "collect_set", leat__agg_choose_set, TAKES_ANY, true },
    [LEAT_AGGREGATE_STRING_JOIN] = { "string_join", leat__agg_choose_list, TAKES_STRINGS, false },
    [LEAT_AGGREGATE_BIT_AND] = { "bit_and", leat__agg_choose_bits, TAKES_INTEGERS, false },
    [LEAT_AGGREGATE_BIT_OR] = { "bit_or", leat__agg_choose_bits, TAKES_INTEGERS, false },
    [LEAT_AGGREGATE_BIT_XOR] = { "bit_xor", leat__agg_choose_bits, TAKES_INTEGERS, false },
    [LEAT_AGGREGATE_BOOL_AND] = { "bool_and", leat__agg_choose_bits, TAKES_BOOLEANS, false },
    [LEAT_AGGREGATE_BOOL_OR] = { "bool_or", leat__agg_choose_bits, TAKES_BOOLEANS, false },
    [LEAT_AGGREGATE_HISTOGRAM] = { "histogram", leat__agg_choose_histogram, TAKES_NUMBERS, true },
    [LEAT_AGGREGATE_TRACE_LINKS] = { "trace_links", leat__agg_choose_trace, TAKES_STRINGS, true },
};

static bool is_kind(enum leat_aggregate_kind kind)
{
    return kind >= LEAT_AGGREGATE_COUNT && kind < sizeof kinds / sizeof kinds[0];
}

const char *leat__agg_kind_name(enum leat_aggregate_kind kind)
{
    return is_kind(kind) ? kinds[kind].name : "?";
}

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

/* ---- columns ---- */

/* What stands in a row just as its class has it. */
static bool stands_in_place(enum leat_kind kind)
{
    return kind == LEAT_KIND_LONG || kind == LEAT_KIND_DOUBLE || kind == LEAT_KIND_STRING ||
        kind == LEAT_KIND_BYTES;
}

static bool can_be_widened(enum leat_kind kind)
{
    return kind == LEAT_KIND_BOOLEAN || kind == LEAT_KIND_INT || kind == LEAT_KIND_FLOAT;
}

static void describe_column(struct leat__column *column)
{
    column->value_class = leat__expr_class(column->expr);
    column->nullable = leat__expr_is_nullable(column->expr);
    if (!leat__expr_place(column->expr, &column->place))
        return;
    const enum leat_kind kind = column->place.type->kind;
    column->in_place = stands_in_place(kind);
    column->is_place = column->in_place || can_be_widened(kind);
}

/* A field never fails, so that it may be read whatever a condition says. */
static bool is_same(const struct leat__column *column, const char *of, uint32_t where)
{
    return strcmp(column->text, of) == 0 && (column->is_place || column->where == where);
}

/* The column of this text and condition, made where it is missing; false with the error told. */
bool leat__agg_find_column(struct leat_node *node, struct leat__aggregate_spec *spec, const char *of,
    uint32_t where, const char *option, uint32_t *index)
{
    struct leat_error err = { 0 };
    for (*index = 0; *index < spec->columns_count; ++*index)
        if (is_same(&spec->columns[*index], of, where))
            return true;
    struct leat_expr *expr = NULL;
    if (leat__expr_new(of, spec->in, &expr, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return false;
    }
    if (!leat__topology_defer(node, free_expr, expr))
        return false;
    struct leat__column *column = &spec->columns[spec->columns_count++];
    column->expr = expr;
    column->text = of;
    column->where = where;
    column->index = *index;
    describe_column(column);
    return true;
}

/* ---- aggregates ---- */

static const char *class_name(enum leat_value_class value_class)
{
    static const char *const names[] = { "", "always null", "a boolean", "an integer",
        "a floating-point number", "a string", "a timestamp" };
    return names[value_class];
}

static void wrong_class(struct leat_node *node, const char *option, const struct leat__agg *agg,
    enum leat_value_class value_class)
{
    static const char *const takes[] = { [TAKES_NUMBERS] = "numbers",
        [TAKES_ORDERED] = "numbers, timestamps and strings",
        [TAKES_ANY] = "values",
        [TAKES_INTEGERS] = "integers",
        [TAKES_BOOLEANS] = "booleans",
        [TAKES_STRINGS] = "strings" };
    leat__declare_error(node, option, LEAT_EDECLARE, "%s is %s, and %s is for %s", agg->of,
        class_name(value_class), kinds[agg->kind].name, takes[kinds[agg->kind].takes]);
}

/* An accumulator that is a record. */
static void declare_record(
    struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg, const char *option)
{
    const struct leat_aggregate_fn *fn = agg->fn;
    const struct leat_type *type = fn->accumulator_type;
    struct leat_error err = { 0 };
    if (type->kind != LEAT_KIND_RECORD || !type->schema) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "the accumulator of %s is %s, which %s: give a record type that leat gen makes, or leave "
            ".accumulator_type out for plain bytes",
            fn->name, type->name, type->kind == LEAT_KIND_RECORD ? "has no schema" : "is no record");
        return;
    }
    if (fn->accumulator_size != type->size) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "the accumulator of %s has %u bytes, and struct %s has %u: they must be the same struct",
            fn->name, fn->accumulator_size, type->name, type->size);
        return;
    }
    if (leat__agg_records_new(type, fn->out, &agg->records, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return;
    }
    const uint32_t most = leat__agg_records_max(agg->records);
    if (!leat__topology_defer(node, leat__agg_records_free, agg->records)) {
        agg->records = NULL;
        return;
    }
    agg->family = &leat__agg_record_class;
    agg->size = sizeof(struct leat__agg_record);
    spec->has_memory = true;
    spec->records_max = spec->records_max && spec->records_max < most ? spec->records_max : most;
}

static void declare_user(struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg,
    const struct leat_aggregate *given, const char *option)
{
    const struct leat_aggregate_fn *fn = given->fn;
    agg->op = LEAT__USER;
    agg->kind = LEAT_AGGREGATE_USER;
    agg->column = LEAT__NO_COLUMN;
    agg->as = NULL;
    spec->users_count++;
    if (!fn || !fn->name || !fn->accumulate || !fn->result) {
        leat__declare_error(
            node, option, LEAT_EDECLARE, "missing: the aggregate that LEAT_DEFINE_AGGREGATE makes");
        return;
    }
    struct leat_aggregate_fn *copy = leat__spec(node, sizeof *copy);
    if (!copy)
        return;
    memcpy(copy, fn, fn->size < sizeof *copy ? fn->size : sizeof *copy);
    agg->fn = copy;
    leat__need_type(node, 0, fn->in, option, fn->name);
    if (spec->out && fn->out != spec->out && !(fn->out && leat__type_equal(fn->out, spec->out)))
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s makes %s, and .out is %s: they must be the same record", fn->name,
            fn->out ? fn->out->name : "no record", spec->out->name);
    if (fn->accumulator_size > LEAT_ROW_BYTES_MAX)
        leat__declare_error(node, option, LEAT_ELIMIT, "the accumulator of %s has %u bytes; %u are the limit",
            fn->name, fn->accumulator_size, LEAT_ROW_BYTES_MAX);
    agg->size = ((copy->accumulator_size + 7u) & ~7u) + (copy->create ? (uint32_t)sizeof(uint64_t) : 0);
    if (copy->accumulator_type && spec->out && fn->out && fn->accumulator_size <= LEAT_ROW_BYTES_MAX)
        declare_record(node, spec, agg, option);
}

/* `as`: there, and not given twice. */
static bool check_as(
    struct leat_node *node, const struct leat__aggregate_spec *spec, const char *as, const char *option)
{
    if (!as || !*as) {
        leat__declare_error(
            node, option, LEAT_EDECLARE, "`as` is missing: the field of the output that takes the result");
        return false;
    }
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (spec->aggs[a].as && strcmp(spec->aggs[a].as, as) == 0) {
            leat__declare_error(node, option, LEAT_EDECLARE,
                "aggs[%u] is \"%s\" already: give each its own field", spec->aggs[a].index, as);
            return false;
        }
    return true;
}

/* The condition's column; false with the error told. */
static bool declare_where(struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg,
    const struct leat_aggregate *given, const char *option)
{
    agg->where = LEAT__NO_COLUMN;
    if (!given->where)
        return true;
    const char *where = leat__spec_str(node, given->where);
    const char *place = leat__spec_printf(node, "%s.where", option);
    if (!spec->in || !where || !place ||
        !leat__agg_find_column(node, spec, where, LEAT__NO_COLUMN, place, &agg->where))
        return false;
    const enum leat_value_class value_class = spec->columns[agg->where].value_class;
    if (value_class != LEAT_VALUE_BOOL)
        leat__declare_error(node, place, LEAT_EDECLARE,
            "%s is %s, and a condition is a boolean: compare it, as in "
            "\"price > 0\"",
            given->where, class_name(value_class));
    return value_class == LEAT_VALUE_BOOL;
}

static bool declare_by(struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg,
    const struct leat_aggregate *given, const char *option)
{
    const bool wants = agg->kind == LEAT_AGGREGATE_MIN_BY || agg->kind == LEAT_AGGREGATE_MAX_BY;
    agg->by = LEAT__NO_COLUMN;
    agg->by_class = LEAT_VALUE_NULL;
    if (wants != (given->by != NULL)) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            wants ? "`by` is missing: the field or expression that %s chooses by"
                  : "`by` is for min_by and max_by, and this is %s",
            kinds[agg->kind].name);
        return false;
    }
    const char *by = leat__spec_str(node, given->by);
    const char *place = leat__spec_printf(node, "%s.by", option);
    if (!wants)
        return true;
    if (!spec->in || !by || !place || !leat__agg_find_column(node, spec, by, agg->where, place, &agg->by))
        return false;
    agg->by_class = spec->columns[agg->by].value_class;
    if (agg->by_class == LEAT_VALUE_NULL)
        leat__declare_error(node, place, LEAT_EDECLARE, "%s is always null: no record would count", by);
    return agg->by_class != LEAT_VALUE_NULL;
}

/* An option that only some kinds have. */
static bool check_given(struct leat_node *node, const char *option, const struct leat__agg *agg,
    bool is_given, bool is_for_it, const char *what)
{
    if (is_given && !is_for_it)
        leat__declare_error(node, option, LEAT_EDECLARE, "%s, and this is %s", what, kinds[agg->kind].name);
    return !is_given || is_for_it;
}

static bool declare_n(
    struct leat_node *node, struct leat__agg *agg, const struct leat_aggregate *given, const char *option)
{
    const bool is_top = agg->kind == LEAT_AGGREGATE_TOP_N || agg->kind == LEAT_AGGREGATE_BOTTOM_N;
    const bool is_trace = agg->kind == LEAT_AGGREGATE_TRACE_LINKS;
    const bool is_for_it = is_top || is_trace || agg->kind == LEAT_AGGREGATE_COLLECT_LIST;
    const uint64_t most = is_trace ? LINKS_MAX : N_MAX;
    if (!check_given(node, option, agg, given->n != 0, is_for_it,
            "`n` is for top_n, bottom_n, collect_list and trace_links"))
        return false;
    agg->n = is_trace && given->n == 0 ? LINKS_DEFAULT : given->n;
    if (is_top && given->n == 0) {
        leat__declare_error(
            node, option, LEAT_EDECLARE, "`n` is missing: how many values %s gives", kinds[agg->kind].name);
        return false;
    }
    if (given->n > most)
        leat__declare_error(node, option, LEAT_ELIMIT, "`n` is %llu; %llu are the limit",
            (unsigned long long)given->n, (unsigned long long)most);
    return given->n <= most;
}

static bool declare_error_bound(
    struct leat_node *node, struct leat__agg *agg, const struct leat_aggregate *given, const char *option)
{
    const bool is_quantile = agg->kind == LEAT_AGGREGATE_APPROX_QUANTILE;
    const bool is_for_it = is_quantile || agg->kind == LEAT_AGGREGATE_APPROX_COUNT_DISTINCT;
    const double least = is_quantile ? 0.0005 : 0.0021, most = is_quantile ? 0.5 : 0.26;
    if (!check_given(
            node, option, agg, given->error != 0, is_for_it, "`error` is for approximate aggregates") ||
        !check_given(node, option, agg, given->q != 0, is_quantile, "`q` is for approx_quantile"))
        return false;
    if (!is_for_it)
        return true;
    agg->error = given->error == 0 ? ERROR_DEFAULT : given->error;
    agg->q = given->q;
    if (!(agg->error >= least && agg->error <= most))
        leat__declare_error(node, option, LEAT_EDECLARE, "`error` is %g; of %s it is from %g to %g (0: %g)",
            agg->error, kinds[agg->kind].name, least, most, ERROR_DEFAULT);
    else if (!(agg->q >= 0 && agg->q <= 1))
        leat__declare_error(
            node, option, LEAT_EDECLARE, "`q` is %g; it is from 0 (the least) to 1 (the greatest)", agg->q);
    else
        return true;
    return false;
}

static bool declare_separator(
    struct leat_node *node, struct leat__agg *agg, const struct leat_aggregate *given, const char *option)
{
    const bool is_join = agg->kind == LEAT_AGGREGATE_STRING_JOIN;
    if (!check_given(node, option, agg, given->separator != NULL, is_join, "`separator` is for string_join"))
        return false;
    if (!is_join)
        return true;
    const char *separator = leat__spec_str(node, given->separator ? given->separator : ",");
    if (!separator)
        return false;
    agg->separator = leat_sv_of(separator);
    if (agg->separator.len > SEPARATOR_BYTES_MAX)
        leat__declare_error(node, option, LEAT_ELIMIT, "`separator` has %zu bytes; %u are the limit",
            agg->separator.len, SEPARATOR_BYTES_MAX);
    return agg->separator.len <= SEPARATOR_BYTES_MAX;
}

static bool declare_bounds(
    struct leat_node *node, struct leat__agg *agg, const struct leat_aggregate *given, const char *option)
{
    const bool is_histogram = agg->kind == LEAT_AGGREGATE_HISTOGRAM;
    if (!check_given(node, option, agg, given->bounds || given->bounds_count, is_histogram,
            "`bounds` are for histogram"))
        return false;
    if (!is_histogram)
        return true;
    if (!given->bounds || given->bounds_count == 0 || given->bounds_count > BOUNDS_MAX) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "`bounds` are missing or too many: between 1 and %u numbers, and `bounds_count` of them",
            BOUNDS_MAX);
        return false;
    }
    double *bounds = leat__spec(node, given->bounds_count * sizeof *bounds);
    if (!bounds)
        return false;
    for (uint32_t i = 0; i < given->bounds_count; i++) {
        bounds[i] = given->bounds[i];
        if (isnan(bounds[i]) || (i && !(bounds[i] > bounds[i - 1]))) {
            leat__declare_error(node, option, LEAT_EDECLARE, "`bounds` must rise: bounds[%u] is %g%s", i,
                bounds[i], i ? ", not above the one before" : "");
            return false;
        }
    }
    agg->bounds = bounds;
    agg->bounds_count = given->bounds_count;
    return true;
}

static bool declare_options(struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg,
    const struct leat_aggregate *given, const char *option)
{
    bool fits = declare_where(node, spec, agg, given, option);
    fits &= declare_by(node, spec, agg, given, option);
    fits &= declare_n(node, agg, given, option);
    fits &= declare_error_bound(node, agg, given, option);
    fits &= declare_separator(node, agg, given, option);
    fits &= declare_bounds(node, agg, given, option);
    return fits;
}

static bool can_be_null(const struct leat__aggregate_spec *spec, const struct leat__agg *agg)
{
    if (kinds[agg->kind].never_null)
        return false;
    return spec->columns[agg->column].nullable || agg->where != LEAT__NO_COLUMN ||
        (agg->by != LEAT__NO_COLUMN && spec->columns[agg->by].nullable) ||
        agg->kind == LEAT_AGGREGATE_VAR_SAMP || agg->kind == LEAT_AGGREGATE_STDDEV_SAMP;
}

/* Values that are in an order: where records are taken back all of them are kept. */
static bool is_of_order(enum leat_aggregate_kind kind)
{
    return kind == LEAT_AGGREGATE_MIN || kind == LEAT_AGGREGATE_MAX ||
        (kind >= LEAT_AGGREGATE_FIRST && kind <= LEAT_AGGREGATE_MAX_BY) || kind == LEAT_AGGREGATE_TOP_N ||
        kind == LEAT_AGGREGATE_BOTTOM_N || kind == LEAT_AGGREGATE_COLLECT_LIST ||
        kind == LEAT_AGGREGATE_STRING_JOIN;
}

/* False when the kind does not take the class of `of`. */
static bool choose_family(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    const bool is_extreme = agg->kind == LEAT_AGGREGATE_MIN || agg->kind == LEAT_AGGREGATE_MAX;
    leat__agg_choose_fn *choose =
        is_extreme && agg->of_class == LEAT_VALUE_STRING ? leat__agg_choose_text : kinds[agg->kind].choose;
    return choose(agg, spec) &&
        (!spec->takes_changes || !is_of_order(agg->kind) || leat__agg_choose_tree(agg, spec));
}

/* Columns, family and size; false with the error told, or nothing known of the input. */
static bool declare_values(struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg,
    const struct leat_aggregate *given, const char *option)
{
    const bool fits = declare_options(node, spec, agg, given, option);
    agg->of_class = LEAT_VALUE_NULL;
    if (!given->of && given->kind == LEAT_AGGREGATE_COUNT)
        return leat__agg_choose_number(agg, spec) && fits;
    if (!given->of) {
        leat__declare_error(node, option, LEAT_EDECLARE, "`of` is missing: the field or expression for %s",
            kinds[given->kind].name);
        return false;
    }
    if (!spec->in || !agg->of ||
        !leat__agg_find_column(node, spec, agg->of, agg->where, option, &agg->column) || !fits)
        return false;
    agg->of_class = spec->columns[agg->column].value_class;
    if (!choose_family(agg, spec)) {
        wrong_class(node, option, agg, agg->of_class);
        return false;
    }
    agg->nullable = can_be_null(spec, agg);
    if (agg->nullable && agg->keeps_bit)
        agg->present_bit = UINT64_C(1) << agg->index;
    spec->has_memory |= agg->family->blobs_count > 0;
    return true;
}

static void declare_agg(struct leat_node *node, struct leat__aggregate_spec *spec,
    const struct leat_aggregate *given, uint32_t index)
{
    const char *option = leat__spec_printf(node, "aggs[%u]", index);
    struct leat__agg *agg = &spec->aggs[spec->aggs_count];
    *agg = (struct leat__agg){ .index = index,
        .kind = given->kind,
        .column = LEAT__NO_COLUMN,
        .where = LEAT__NO_COLUMN,
        .by = LEAT__NO_COLUMN };
    if (!is_kind(given->kind)) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%d is no aggregate: use LEAT_COUNT and its siblings", (int)given->kind);
        return;
    }
    if (given->kind == LEAT_AGGREGATE_USER) {
        declare_user(node, spec, agg, given, option);
        (void)declare_options(node, spec, agg, given, option);
        spec->aggs_count++;
        return;
    }
    const bool named = check_as(node, spec, given->as, option);
    agg->as = named ? leat__spec_str(node, given->as) : NULL;
    agg->of = leat__spec_str(node, given->of);
    const bool known = declare_values(node, spec, agg, given, option);
    if (known && agg->as && spec->out)
        leat__out_declare_result(node, spec, agg, option);
    spec->aggs_count++; /* of errors too: what it would fill is not told to be empty */
}

/* Whether `agg` can show its result from the accumulator of `other`: several quantiles of one sketch, variance and
 * deviation. */
static bool shares(const struct leat__agg *agg, const struct leat__agg *other)
{
    const bool is_part = other->wheres && agg->kind == other->kind && agg->part > 0;
    const bool is_sharing = is_part || agg->kind == LEAT_AGGREGATE_APPROX_QUANTILE ||
        (agg->kind >= LEAT_AGGREGATE_VAR_POP && agg->kind <= LEAT_AGGREGATE_STDDEV_SAMP) ||
        (agg->family->retract && is_of_order(agg->kind));
    return is_sharing && other->family == agg->family && other->column == agg->column &&
        (is_part || other->where == agg->where) && other->by == agg->by && other->n == agg->n &&
        memcmp(&other->error, &agg->error, sizeof agg->error) == 0 && !other->is_shared;
}

/* Accumulators behind each other, the present word first if any can be null. */
static void lay_out(struct leat_node *node, struct leat__aggregate_spec *spec)
{
    uint32_t offset = 0;
    leat__agg_share_sets(node, spec);
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        spec->has_present |= spec->aggs[a].present_bit != 0;
    if (spec->has_present)
        offset = sizeof(uint64_t);
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        struct leat__agg *agg = &spec->aggs[a];
        agg->offset = offset;
        for (uint32_t b = 0; agg->family && b < a && !agg->is_shared; b++)
            if (shares(agg, &spec->aggs[b])) {
                agg->is_shared = true;
                agg->offset = spec->aggs[b].offset;
            }
        offset += agg->is_shared ? 0 : agg->size;
    }
    spec->values_size = offset;
}

const char *leat__aggs_describe(struct leat_node *node, const struct leat_aggregate *aggs, uint32_t aggs_max)
{
    struct leat_strbuf text = { 0 };
    for (uint32_t i = 0; i < aggs_max && aggs[i].kind; i++) {
        const struct leat_aggregate *agg = &aggs[i];
        const bool known = is_kind(agg->kind);
        leat__strbuf_str(&text, i ? ", " : "");
        if (agg->kind == LEAT_AGGREGATE_USER)
            leat__strbuf_str(&text, agg->fn && agg->fn->name ? agg->fn->name : "?");
        else if (known)
            leat__strbuf_printf(&text, agg->of ? "%s(%s)" : "%s", kinds[agg->kind].name, agg->of);
        if (agg->where)
            leat__strbuf_printf(&text, " where %s", agg->where);
    }
    const char *copy = text.data ? leat__spec_str(node, text.data) : NULL;
    leat__strbuf_release(&text);
    return copy;
}

void leat__aggs_declare(struct leat_node *node, struct leat__aggregate_spec *spec,
    const struct leat_aggregate *aggs, uint32_t aggs_max)
{
    uint32_t count = 0;
    while (count < aggs_max && aggs[count].kind)
        count++;
    for (uint32_t k = count + 1; k < aggs_max; k++)
        if (aggs[k].kind) {
            leat__declare_error(node, leat__spec_printf(node, "aggs[%u]", count), LEAT_EDECLARE,
                "empty, but aggs[%u] is not: aggregates go up to the first without a kind", k);
            break;
        }
    if (count == 0)
        leat__declare_error(
            node, "aggs", LEAT_EDECLARE, "none given: at least one, such as LEAT_COUNT(\"orders\")");
    spec->aggs = leat__spec(node, (count + 1) * sizeof *spec->aggs);
    spec->columns = leat__spec(node, (COLUMNS_OF_AGG * count + 1) * sizeof *spec->columns);
    for (uint32_t i = 0; spec->aggs && spec->columns && i < count; i++)
        declare_agg(node, spec, &aggs[i], i);
    spec->schemas = leat__agg_schemas(node, spec);
    lay_out(node, spec);
}
