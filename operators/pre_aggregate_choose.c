/* operators/pre_aggregate_choose.c -- where rows may be combined before the exchange: wherever no result can be
 * another one by it (docs/decisions/0015).
 *
 * Sums of doubles are rounded in the order in which they are added up, so their last digits would differ: that is
 * for whoever asks for it. Lists keep every record, so nothing would be saved. */
#include "operators/group_aggregate_private.h"
#include "operators/pre_aggregate_private.h"
#include "topology/declare.h"

static bool fires_at_the_end_alone(const struct leat_window_opts *window)
{
    const bool is_default = !window->triggers[0].kind;
    const bool is_alone = window->triggers[0].kind == LEAT_TRIGGER_WATERMARK && !window->triggers[1].kind;
    return (is_default || is_alone) && !window->discard_remainder;
}

static bool is_late_taken(const struct leat_node *node)
{
    return node->late_ports[0] >= 0 && node->outputs[node->late_ports[0]].consumers_count > 0;
}

static bool is_rounded(const struct leat__aggregate_spec *spec, const struct leat__agg *agg)
{
    const bool sums = agg->kind == LEAT_AGGREGATE_SUM || agg->kind == LEAT_AGGREGATE_AVG ||
        (agg->kind >= LEAT_AGGREGATE_VAR_POP && agg->kind <= LEAT_AGGREGATE_STDDEV_SAMP);
    return sums && agg->column != LEAT__NO_COLUMN &&
        spec->columns[agg->column].value_class == LEAT_VALUE_FLOAT;
}

/* Why its aggregates can not be combined without a trace; NULL: they can. */
static const char *fault_of_aggs(const struct leat__aggregate_spec *spec)
{
    for (uint32_t i = 0; i < spec->aggs_count; i++) {
        const struct leat__agg *agg = &spec->aggs[i];
        const bool is_list =
            agg->kind == LEAT_AGGREGATE_COLLECT_LIST || agg->kind == LEAT_AGGREGATE_STRING_JOIN;
        if (is_list)
            return "lists keep every record";
        if (is_rounded(spec, agg) && spec->pre_aggregate != LEAT_PRE_AGGREGATE_ALWAYS)
            return "the last digits of sums of doubles would depend on it";
    }
    return NULL;
}

/* What is known when the node is declared. */
static const char *fault_of_spec(const struct leat__aggregate_spec *spec)
{
    if (spec->takes_changes)
        return "the input takes records back";
    if (!leat__agg_is_mergeable(spec))
        return "an aggregate has no merge";
    return fault_of_aggs(spec);
}

/* Where windows that overlap are evaluated each by itself, a callback is given a window's records in the order in
 * which they came; of partials, slice by slice. */
static bool may_see_slices(const struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    const struct leat_window_opts *window = &spec->window;
    const bool overlaps = (window->kind == LEAT_WINDOW_HOPPING && window->slide_us < window->size_us) ||
        (window->kind == LEAT_WINDOW_CUMULATING && window->step_us < window->size_us);
    return spec->users_count && overlaps && node->op != &leat__slice_aggregate_class;
}

static const char *fault_of_windows(const struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    if (!spec->assigner)
        return "its windows depend on single records";
    if (!fires_at_the_end_alone(&spec->window))
        return "its triggers look at single records";
    if (may_see_slices(node, spec))
        return "a callback may depend on the order of records";
    return fault_of_spec(spec);
}

static const char *fault_of_groups(const struct leat__group_spec *spec)
{
    if (!leat__group_folds(spec))
        return "each record gives a change: set mini_batch_us or mini_batch_rows";
    if (spec->ttl_us)
        return "its time to live looks at single records";
    return fault_of_spec(&spec->aggs);
}

/* What others say about the node later on, and the job. */
static enum leat_pre_aggregate choose(const struct leat_node *node, const struct leat__aggregate_spec *spec,
    const struct leat_combine_when *when, const char *fault, const char **reason)
{
    const bool asked_never =
        when->asked == LEAT_PRE_AGGREGATE_NEVER || spec->pre_aggregate == LEAT_PRE_AGGREGATE_NEVER;
    *reason = NULL;
    if (asked_never)
        *reason = "switched off";
    else if (fault)
        *reason = fault;
    else if (spec->users_count && node->policy != LEAT_FAIL)
        *reason = "a callback may refuse single records";
    else if (when->may_be_behind && (spec->window.allowed_lateness_us || is_late_taken(node)))
        *reason = "records may come late without notice, and each has an effect of its own";
    if (*reason)
        return 0;
    const bool always =
        when->asked == LEAT_PRE_AGGREGATE_ALWAYS || spec->pre_aggregate == LEAT_PRE_AGGREGATE_ALWAYS;
    return always ? LEAT_PRE_AGGREGATE_ALWAYS : LEAT_PRE_AGGREGATE_AUTO;
}

enum leat_pre_aggregate leat__pre_aggregate_choose_windows(
    const struct leat_node *node, const struct leat_combine_when *when, const char **reason)
{
    const struct leat__aggregate_spec *spec = node->spec;
    return choose(node, spec, when, fault_of_windows(node, spec), reason);
}

enum leat_pre_aggregate leat__pre_aggregate_choose_groups(
    const struct leat_node *node, const struct leat_combine_when *when, const char **reason)
{
    const struct leat__group_spec *spec = node->spec;
    return choose(node, &spec->aggs, when, fault_of_groups(spec), reason);
}

void leat__pre_aggregate_declare(
    struct leat_node *node, struct leat__aggregate_spec *spec, enum leat_pre_aggregate asked)
{
    const bool is_group = node->op == &leat__group_aggregate_class;
    spec->pre_aggregate = asked;
    if ((unsigned)asked > LEAT_PRE_AGGREGATE_NEVER)
        leat__declare_error(node, "pre_aggregate", LEAT_EDECLARE,
            "%d is none of LEAT_PRE_AGGREGATE_AUTO, _ALWAYS and _NEVER", (int)asked);
    if (asked != LEAT_PRE_AGGREGATE_ALWAYS || leat__node_is_inert(node))
        return;
    const char *fault = is_group ? fault_of_groups(node->spec) : fault_of_windows(node, spec);
    if (fault)
        leat__declare_error(node, "pre_aggregate", LEAT_EDECLARE,
            "LEAT_PRE_AGGREGATE_ALWAYS can not be: %s; leave it out", fault);
}
