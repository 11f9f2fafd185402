/* operators/aggregate_declare.c -- leat_aggregate: options to a spec, with all their mistakes told. */
#include "operators/aggregate_class_private.h"
#include "operators/key_private.h"
#include "record/schema.h"
#include "topology/declare.h"

#define OPTS_AGGS_MAX (sizeof((struct leat_aggregate_opts *)0)->aggs / sizeof(struct leat_aggregate))
_Static_assert(
    OPTS_AGGS_MAX <= LEAT_AGGREGATES_MAX && LEAT_AGGREGATES_MAX <= 64, "a bit each in the present word");

#define COUNT_OF_KINDS (sizeof kind_names / sizeof kind_names[0])
#define COLUMNS_OF_AGG 3u /* of, where, by */

static const char *const kind_names[] = { "", "count", "sum", "min", "max", "avg", "user" };

const char *leat__agg_kind_name(enum leat_aggregate_kind kind)
{
    return kind_names[kind];
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

/* The column of this text, made where it is missing; false with the error told. */
static bool find_column(struct leat_node *node, struct leat__aggregate_spec *spec, const char *of,
    const char *option, uint32_t *index)
{
    struct leat_error err = { 0 };
    for (*index = 0; *index < spec->columns_count; ++*index)
        if (strcmp(spec->columns[*index].text, of) == 0)
            return true;
    struct leat_expr *expr = NULL;
    if (leat__expr_new(of, spec->in, &expr, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return false;
    }
    leat__topology_defer(node, free_expr, expr);
    struct leat__column *column = &spec->columns[spec->columns_count++];
    column->expr = expr;
    column->text = of;
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

static void wrong_class(struct leat_node *node, const char *option, const struct leat_aggregate *given,
    enum leat_value_class value_class)
{
    const bool is_order = given->kind == LEAT_AGGREGATE_MIN || given->kind == LEAT_AGGREGATE_MAX;
    leat__declare_error(node, option, LEAT_EDECLARE, "%s is %s, and %s is for %s", given->of,
        class_name(value_class), kind_names[given->kind],
        is_order ? "numbers, timestamps and strings" : "numbers");
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
    agg->size = (fn->accumulator_size + 7u) & ~7u;
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

static bool choose_family(
    struct leat__agg *agg, const struct leat__aggregate_spec *spec, enum leat_value_class value_class)
{
    const bool is_order = agg->kind == LEAT_AGGREGATE_MIN || agg->kind == LEAT_AGGREGATE_MAX;
    if (is_order && value_class == LEAT_VALUE_STRING)
        return leat__agg_choose_text(agg, spec, value_class);
    return leat__agg_choose_number(agg, spec, value_class);
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
    if (!spec->in || !where || !place || !find_column(node, spec, where, place, &agg->where))
        return false;
    const enum leat_value_class value_class = spec->columns[agg->where].value_class;
    if (value_class != LEAT_VALUE_BOOL)
        leat__declare_error(node, place, LEAT_EDECLARE,
            "%s is %s, and a condition is a boolean: compare it, as in "
            "\"price > 0\"",
            given->where, class_name(value_class));
    return value_class == LEAT_VALUE_BOOL;
}

/* The column, family and size; false with the error told, or nothing known of the input. */
static bool declare_values(struct leat_node *node, struct leat__aggregate_spec *spec, struct leat__agg *agg,
    const struct leat_aggregate *given, const char *option)
{
    agg->column = LEAT__NO_COLUMN;
    agg->kind = given->kind;
    if (!declare_where(node, spec, agg, given, option))
        return false;
    if (!given->of && given->kind == LEAT_AGGREGATE_COUNT)
        return leat__agg_choose_number(agg, spec, LEAT_VALUE_NULL);
    if (!given->of) {
        leat__declare_error(node, option, LEAT_EDECLARE, "`of` is missing: the field or expression for %s",
            kind_names[given->kind]);
        return false;
    }
    if (!spec->in || !agg->of || !find_column(node, spec, agg->of, option, &agg->column))
        return false;
    const struct leat__column *column = &spec->columns[agg->column];
    if (!choose_family(agg, spec, column->value_class)) {
        wrong_class(node, option, given, column->value_class);
        return false;
    }
    agg->nullable =
        given->kind != LEAT_AGGREGATE_COUNT && (column->nullable || agg->where != LEAT__NO_COLUMN);
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
    agg->index = index;
    if (given->kind < LEAT_AGGREGATE_COUNT || given->kind > LEAT_AGGREGATE_USER) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%d is no aggregate: use LEAT_COUNT and its siblings", (int)given->kind);
        return;
    }
    if (given->kind == LEAT_AGGREGATE_USER) {
        declare_user(node, spec, agg, given, option);
        (void)declare_where(node, spec, agg, given, option);
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

/* Accumulators behind each other, the present word first if any can be null. */
static void lay_out(struct leat__aggregate_spec *spec)
{
    uint32_t offset = 0;
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        spec->has_present |= spec->aggs[a].present_bit != 0;
    if (spec->has_present)
        offset = sizeof(uint64_t);
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        spec->aggs[a].offset = offset;
        offset += spec->aggs[a].size;
    }
    spec->values_size = offset;
}

const char *leat__aggs_describe(struct leat_node *node, const struct leat_aggregate *aggs, uint32_t aggs_max)
{
    struct leat_strbuf text = { 0 };
    for (uint32_t i = 0; i < aggs_max && aggs[i].kind; i++) {
        const struct leat_aggregate *agg = &aggs[i];
        const bool known = agg->kind >= LEAT_AGGREGATE_COUNT && agg->kind < COUNT_OF_KINDS;
        leat__strbuf_str(&text, i ? ", " : "");
        if (agg->kind == LEAT_AGGREGATE_USER)
            leat__strbuf_str(&text, agg->fn && agg->fn->name ? agg->fn->name : "?");
        else if (known)
            leat__strbuf_printf(&text, agg->of ? "%s(%s)" : "%s", kind_names[agg->kind], agg->of);
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
    lay_out(spec);
}

static void declare_window(struct leat__aggregate_spec *spec, const struct leat_window_opts *window)
{
    spec->window = *window;
    for (uint32_t i = 0; i < sizeof window->triggers / sizeof window->triggers[0] && window->triggers[i].kind;
         i++)
        if (window->triggers[i].kind == LEAT_TRIGGER_COUNT)
            spec->fire_count = window->triggers[i].n;
}

static void check_overflow(
    struct leat_node *node, struct leat__aggregate_spec *spec, enum leat_on_overflow given)
{
    spec->on_overflow = given ? given : LEAT_OVERFLOW_FAIL;
    if (spec->on_overflow < LEAT_OVERFLOW_FAIL || spec->on_overflow > LEAT_OVERFLOW_WRAP)
        leat__declare_error(node, "on_overflow", LEAT_EDECLARE,
            "%d is none of LEAT_OVERFLOW_FAIL, LEAT_OVERFLOW_SATURATE, LEAT_OVERFLOW_WRAP", (int)given);
}

/* The record type of the output, if it is one at all. */
static const struct leat_type *check_out(struct leat_node *node, const struct leat_type *out)
{
    if (!out)
        leat__declare_error(
            node, "out", LEAT_EDECLARE, "missing: the type of the output record, such as &order_totals_type");
    return out && out->kind == LEAT_KIND_RECORD ? out : NULL;
}

/* Late records that were asked for before the aggregate was there. */
static void bind_late(struct leat_node *node, leat_windowed_stream *windows)
{
    if (windows->consumer)
        return; /* the first aggregate of a window gives its late records */
    windows->consumer = node;
    if (!windows->late)
        return;
    const uint32_t port = leat__output(node, leat__input_type(node, 0), "late");
    node->late_ports[0] = (int32_t)port;
    windows->late->node = node;
    windows->late->port = port;
}

leat_stream *leat_aggregate_sized(
    leat_windowed_stream *in, const char *name, const struct leat_aggregate_opts *opts, size_t size)
{
    struct leat_aggregate_opts o;
    struct leat_node *node =
        leat__declare(in->keyed.in.t, name, LEAT_NODE_OPERATOR, leat__window_aggregate_class.kind);
    leat__input(node, 0, &in->keyed.in, LEAT_HASH, in->keyed.key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat__aggregate_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    leat__need_event_time(node, 0);
    node->op = &leat__window_aggregate_class; /* until the spec is known */
    node->spec = spec;
    node->detail = leat__aggs_describe(node, o.aggs, OPTS_AGGS_MAX);
    spec->in = leat__input_type(node, 0);
    spec->out = check_out(node, o.out);
    spec->key = in->keyed.key;
    spec->ordered = o.ordered;
    declare_window(spec, &in->opts);
    check_overflow(node, spec, o.on_overflow);
    leat__aggs_declare(node, spec, o.aggs, OPTS_AGGS_MAX);
    const char *partitioned = spec->in && spec->out ? leat__out_declare(node, spec, &in->keyed) : NULL;
    if (o.out) {
        const uint32_t port = leat__output(node, o.out, NULL);
        node->outputs[port].partitioned_by = partitioned;
    }
    if (!leat__node_is_inert(node)) {
        bind_late(node, in);
        spec->key_types = leat__key_describe(node, spec->key, spec->in, LEAT_KEY_NULLS_GROUP);
        node->op = leat__aggregate_class_of(spec);
    }
    return leat__stream(node, 0);
}
