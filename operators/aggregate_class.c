/* operators/aggregate_class.c -- which operator does the work of leat_aggregate: by the kind of its windows, its
 * triggers, and what its aggregates can do. All of them give the same results where more than one could. */
#include "operators/aggregate_private.h"

static bool has_only_counts(const struct leat_window_opts *window)
{
    for (uint32_t i = 0; i < sizeof window->triggers / sizeof window->triggers[0]; i++)
        if (window->triggers[i].kind > LEAT_TRIGGER_COUNT || window->triggers[i].late)
            return false;
    return !window->discard_remainder;
}

const struct leat_op_class *leat__aggregate_class_of(const struct leat__aggregate_spec *spec)
{
    const struct leat_window_opts *window = &spec->window;
    if (window->kind == LEAT_WINDOW_TUMBLING && window->accumulation != LEAT_RETRACTING &&
        has_only_counts(window))
        return &leat__window_aggregate_class;
    return NULL;
}
