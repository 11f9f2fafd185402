/* operators/window.c -- leat_window and leat_late_records: the options of windows, checked. A virtual node:
 * the aggregate behind it does the work. */
#include "operators/window_private.h"
#include "topology/declare.h"
#include <stdio.h>

#define TRIGGERS_MAX (sizeof((struct leat_window_opts *)0)->triggers / sizeof(struct leat_trigger))

static void check_trigger(struct leat_node *node, const struct leat_window_opts *o, uint32_t i)
{
    const char *option = leat__spec_printf(node, "triggers[%u]", i);
    const struct leat_trigger *trigger = &o->triggers[i];
    for (uint32_t k = 0; k < i; k++)
        if (o->triggers[k].kind == trigger->kind)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "of the same kind as triggers[%u]: remove one of them", k);
    if (trigger->kind == LEAT_TRIGGER_COUNT && trigger->n == 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "LEAT_ON_COUNT(0) would never fire: give a number of records, or remove it");
    else if (trigger->kind != LEAT_TRIGGER_COUNT && trigger->kind != LEAT_TRIGGER_WATERMARK)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%d is no trigger: LEAT_ON_WATERMARK or LEAT_ON_COUNT(n)", (int)trigger->kind);
}

/* Rule 22: a count by itself would leave the rest of a window where nobody sees it. */
static void check_triggers(struct leat_node *node, const struct leat_window_opts *o)
{
    bool watermark = false;
    bool count = false;
    uint32_t i = 0;
    for (; i < TRIGGERS_MAX && o->triggers[i].kind; i++) {
        check_trigger(node, o, i);
        watermark |= o->triggers[i].kind == LEAT_TRIGGER_WATERMARK;
        count |= o->triggers[i].kind == LEAT_TRIGGER_COUNT;
    }
    for (uint32_t k = i + 1; k < TRIGGERS_MAX; k++)
        if (o->triggers[k].kind) {
            leat__declare_error(node, leat__spec_printf(node, "triggers[%u]", i), LEAT_EDECLARE,
                "empty, but triggers[%u] is not: triggers go up to the first without a kind", k);
            return;
        }
    if (count && !watermark)
        leat__declare_error(node, "triggers", LEAT_EDECLARE,
            "LEAT_ON_COUNT alone would never give the records that are short of a full count when a window "
            "ends: add"
            " LEAT_ON_WATERMARK (an option to discard that remainder does not exist yet)");
}

static void check_opts(struct leat_node *node, struct leat_window_opts *o)
{
    char text[32];
    if (!o->kind)
        leat__declare_error(node, "kind", LEAT_EDECLARE, "not set: give LEAT_WINDOW_TUMBLING");
    else if (o->kind != LEAT_WINDOW_TUMBLING)
        leat__declare_error(
            node, "kind", LEAT_EDECLARE, "%d is no kind of window: LEAT_WINDOW_TUMBLING", (int)o->kind);
    if (o->size_us <= 0)
        leat__declare_error(node, "size_us", LEAT_EDECLARE,
            "%s is no size of a window: set a duration above zero, such as LEAT_MINUTES(5)",
            leat__duration_text(o->size_us, text));
    if (o->allowed_lateness_us < 0)
        leat__declare_error(node, "allowed_lateness_us", LEAT_EDECLARE,
            "%s is negative: set how long after its end a window still takes records, or 0",
            leat__duration_text(o->allowed_lateness_us, text));
    if (!o->accumulation)
        o->accumulation = LEAT_ACCUMULATING;
    else if (o->accumulation != LEAT_ACCUMULATING && o->accumulation != LEAT_DISCARDING)
        leat__declare_error(node, "accumulation", LEAT_EDECLARE,
            "%d is neither LEAT_ACCUMULATING nor LEAT_DISCARDING", (int)o->accumulation);
    check_triggers(node, o);
    if (!leat__node_is_inert(node))
        o->offset_us = leat__floor_mod(o->offset_us, o->size_us);
}

static uint64_t count_of(const struct leat_window_opts *o)
{
    for (uint32_t i = 0; i < TRIGGERS_MAX && o->triggers[i].kind; i++)
        if (o->triggers[i].kind == LEAT_TRIGGER_COUNT)
            return o->triggers[i].n;
    return 0;
}

/* "tumbling 5m, offset 1m, lateness 1m, early every 1000, discarding" */
static const char *describe(struct leat_node *node, const struct leat_window_opts *o)
{
    char size[32], offset[48] = "", lateness[48] = "", count[48] = "";
    char text[32];
    const uint64_t n = count_of(o);
    if (o->offset_us)
        (void)snprintf(offset, sizeof offset, ", offset %s", leat__duration_text(o->offset_us, text));
    if (o->allowed_lateness_us)
        (void)snprintf(
            lateness, sizeof lateness, ", lateness %s", leat__duration_text(o->allowed_lateness_us, text));
    if (n)
        (void)snprintf(count, sizeof count, ", early every %llu", (unsigned long long)n);
    return leat__spec_printf(node, "tumbling %s%s%s%s%s", leat__duration_text(o->size_us, size), offset,
        lateness, count, o->accumulation == LEAT_DISCARDING ? ", discarding" : "");
}

leat_windowed_stream *leat_window_sized(
    leat_keyed_stream *in, const char *name, const struct leat_window_opts *opts, size_t size)
{
    struct leat_window_opts o;
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_VIRTUAL, "window");
    leat__input(node, 0, &in->in, LEAT_FORWARD, NULL);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    if (opts)
        check_opts(node, &o);
    if (leat__node_is_inert(node))
        return leat__windowed_inert(node->t);
    node->detail = describe(node, &o);
    struct leat_windowed_stream *windows = leat__spec(node, sizeof *windows);
    if (!windows || leat__node_is_inert(node))
        return leat__windowed_inert(node->t);
    *windows = (struct leat_windowed_stream){ .keyed = *in, .virtual_node = node, .opts = o };
    return windows;
}

leat_stream *leat_late_records(leat_windowed_stream *windows)
{
    struct leat_topology *t = windows->keyed.in.t;
    struct leat_node *consumer = windows->consumer;
    if (!windows->keyed.in.node)
        return leat__stream_inert(t);
    if (windows->late)
        return windows->late;
    if (consumer) {
        const uint32_t port = leat__output(consumer, leat__input_type(consumer, 0), "late");
        consumer->late_ports[0] = (int32_t)port;
        return windows->late = leat__stream(consumer, port);
    }
    /* Nothing can consume it before the aggregate is there (leat__input says so). */
    struct leat_stream *late = leat__spec(windows->virtual_node, sizeof *late);
    if (!late)
        return leat__stream_inert(t);
    *late = (struct leat_stream){ t, NULL, 0 };
    return windows->late = late;
}
