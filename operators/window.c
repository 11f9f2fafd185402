/* operators/window.c -- leat_window and leat_late_records: the options of windows, checked. A virtual node:
 * the aggregate behind it does the work.
 *
 * An option that the kind does not have, or that could never have an effect, is a mistake too: whoever wrote it
 * expects something that would not happen. */
#include "base/limits.h"
#include "base/strbuf.h"
#include "operators/calendar_private.h"
#include "operators/window_private.h"
#include "record/expr.h"
#include "topology/declare.h"

#define TRIGGERS_MAX (sizeof((struct leat_window_opts *)0)->triggers / sizeof(struct leat_trigger))

/* What leat_window gives is the first part of this. */
struct windows {
    struct leat_windowed_stream stream;
    bool is_aligned;
    struct leat__assigner assigner;
    struct leat__calendar calendar;
    struct leat__zone zone;
};

/* ---- triggers ---- */

static const char *trigger_text(struct leat_node *node, const struct leat_trigger *trigger)
{
    static const char *const names[] = { "", "ON_WATERMARK", "ON_COUNT", "EVERY_EVENT_TIME",
        "EVERY_PROCESSING_TIME", "ON_TRIGGER" };
    return leat__spec_printf(node, trigger->late ? "LEAT_LATE_%s" : "LEAT_%s", names[trigger->kind]);
}

static void check_user_trigger(struct leat_node *node, const struct leat_window_opts *o, const char *option,
    const struct leat_trigger_fn *fn)
{
    if (!fn || !fn->name || !fn->on_record) {
        leat__declare_error(
            node, option, LEAT_EDECLARE, "missing: the trigger that LEAT_DEFINE_TRIGGER makes");
        return;
    }
    leat__need_type(node, 0, fn->in, option, fn->name);
    if (fn->state_size > LEAT_ROW_BYTES_MAX)
        leat__declare_error(node, option, LEAT_ELIMIT, "the state of %s has %u bytes; %u are the limit",
            fn->name, fn->state_size, LEAT_ROW_BYTES_MAX);
    if (o->kind == LEAT_WINDOW_SESSION && !fn->merge)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s has no merge: sessions become one, and so must what it knows of them", fn->name);
}

static void check_trigger(struct leat_node *node, const struct leat_window_opts *o, uint32_t i)
{
    const char *option = leat__spec_printf(node, "triggers[%u]", i);
    const struct leat_trigger *trigger = &o->triggers[i];
    if (trigger->kind < LEAT_TRIGGER_WATERMARK || trigger->kind > LEAT_TRIGGER_USER) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%d is no trigger: use LEAT_ON_WATERMARK and its siblings", (int)trigger->kind);
        return;
    }
    const char *name = trigger_text(node, trigger);
    for (uint32_t k = 0; k < i; k++)
        if (o->triggers[k].kind == trigger->kind && o->triggers[k].late == trigger->late)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "of the same kind as triggers[%u]: remove one of them", k);
    if (trigger->kind == LEAT_TRIGGER_USER)
        check_user_trigger(node, o, option, trigger->fn);
    else if (trigger->kind == LEAT_TRIGGER_COUNT && trigger->n == 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s(0) would never fire: give a number of records, or remove it", name);
    else if (trigger->kind != LEAT_TRIGGER_WATERMARK && trigger->kind != LEAT_TRIGGER_COUNT &&
        (trigger->n == 0 || trigger->n > INT64_MAX))
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s(%lld) is no period: give a duration above zero, such as LEAT_SECONDS(10)", name,
            (long long)trigger->n);
    if (!trigger->late)
        return;
    if (trigger->kind == LEAT_TRIGGER_WATERMARK || trigger->kind == LEAT_TRIGGER_USER)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "marked late: only counts and periods have a part of their own for late records");
    else if (o->allowed_lateness_us == 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s is for records behind the watermark, and no window takes them: set .allowed_lateness_us, or "
            "remove it",
            name);
}

/* Rule 22: what fires by itself would leave the rest of a window where nobody sees it. */
static void check_remainder(struct leat_node *node, const struct leat_window_opts *o, bool watermark)
{
    if (watermark && o->discard_remainder)
        leat__declare_error(node, "discard_remainder", LEAT_EDECLARE,
            "nothing is left where LEAT_ON_WATERMARK fires (it is the default, too): remove one of them");
    if (!watermark && !o->discard_remainder && o->triggers[0].kind <= LEAT_TRIGGER_USER)
        leat__declare_error(node, "triggers", LEAT_EDECLARE,
            "%s alone would never give what has come since it last fired when a window ends: add "
            "LEAT_ON_WATERMARK, or set .discard_remainder where that may be lost",
            trigger_text(node, &o->triggers[0]));
}

static void check_triggers(struct leat_node *node, const struct leat_window_opts *o)
{
    bool watermark = false;
    uint32_t count = 0;
    for (; count < TRIGGERS_MAX && o->triggers[count].kind; count++) {
        check_trigger(node, o, count);
        watermark |= o->triggers[count].kind == LEAT_TRIGGER_WATERMARK;
    }
    for (uint32_t k = count + 1; k < TRIGGERS_MAX; k++)
        if (o->triggers[k].kind) {
            leat__declare_error(node, leat__spec_printf(node, "triggers[%u]", count), LEAT_EDECLARE,
                "empty, but triggers[%u] is not: triggers go up to the first without a kind", k);
            return;
        }
    if (o->kind == LEAT_WINDOW_COUNT) {
        if (count > watermark)
            leat__declare_error(node, "triggers", LEAT_EDECLARE,
                "a count window fires at its last record: only LEAT_ON_WATERMARK may be added, for what is "
                "left at the end of the input");
        if (o->discard_remainder)
            leat__declare_error(node, "discard_remainder", LEAT_EDECLARE,
                "count windows do so without LEAT_ON_WATERMARK: remove it");
    } else if (o->kind == LEAT_WINDOW_GLOBAL && count == 0) {
        leat__declare_error(node, "triggers", LEAT_EDECLARE,
            "none: the global window ends with the input; say when it gives results, such as "
            "LEAT_ON_COUNT(1000), LEAT_ON_WATERMARK");
    } else {
        check_remainder(node, o, watermark || count == 0);
    }
}

/* ---- options by kind ---- */

static const char *const kind_names[] = { "", "TUMBLING", "HOPPING", "CUMULATING", "CALENDAR", "SESSION",
    "SLIDING", "COUNT", "GLOBAL" };

#define BIT(kind_) (1u << LEAT_WINDOW_##kind_)
#define SIZED (BIT(TUMBLING) | BIT(HOPPING) | BIT(CUMULATING) | BIT(SLIDING))

/* An option that is set, but that windows of this kind do not have. */
static void check_alien(
    struct leat_node *node, const struct leat_window_opts *o, bool is_set, const char *option, uint32_t kinds)
{
    if (!is_set || kinds & (1u << o->kind))
        return;
    uint32_t kind = LEAT_WINDOW_TUMBLING;
    while (!(kinds & (1u << kind)))
        kind++;
    leat__declare_error(node, option, LEAT_EDECLARE,
        "LEAT_WINDOW_%s has none: remove it, or was LEAT_WINDOW_%s meant?", kind_names[o->kind],
        kind_names[kind]);
}

static void check_aliens(struct leat_node *node, const struct leat_window_opts *o)
{
    check_alien(node, o, o->size_us != 0, "size_us", SIZED);
    check_alien(node, o, o->offset_us != 0, "offset_us", BIT(TUMBLING) | BIT(HOPPING) | BIT(CUMULATING));
    check_alien(node, o, o->slide_us != 0, "slide_us", BIT(HOPPING));
    check_alien(node, o, o->allow_gaps, "allow_gaps", BIT(HOPPING));
    check_alien(node, o, o->step_us != 0, "step_us", BIT(CUMULATING));
    check_alien(node, o, o->unit != 0, "unit", BIT(CALENDAR));
    check_alien(node, o, o->zone != NULL, "zone", BIT(CALENDAR));
    check_alien(node, o, o->gap_us != 0, "gap_us", BIT(SESSION));
    check_alien(node, o, o->gap != NULL, "gap", BIT(SESSION));
    check_alien(node, o, o->gap_fn != NULL, "gap_fn", BIT(SESSION));
    check_alien(node, o, o->max_length_us != 0, "max_length_us", BIT(SESSION));
    check_alien(node, o, o->count != 0, "count", BIT(COUNT));
    check_alien(node, o, o->every != 0, "every", BIT(COUNT));
    if (o->allowed_lateness_us > 0 && (o->kind == LEAT_WINDOW_COUNT || o->kind == LEAT_WINDOW_GLOBAL))
        leat__declare_error(node, "allowed_lateness_us", LEAT_EDECLARE,
            "no record is late for LEAT_WINDOW_%s: remove it", kind_names[o->kind]);
}

/* A duration that must be above zero. */
static bool check_above_zero(struct leat_node *node, const char *option, int64_t us, const char *what)
{
    char text[32];
    if (us > 0)
        return true;
    leat__declare_error(node, option, LEAT_EDECLARE,
        "%s is no %s: set a duration above zero, such as LEAT_MINUTES(5)", leat__duration_text(us, text),
        what);
    return false;
}

static void check_hopping(struct leat_node *node, const struct leat_window_opts *o)
{
    char slide[32], size[32];
    const bool is_sized = check_above_zero(node, "size_us", o->size_us, "size of a window");
    if (check_above_zero(node, "slide_us", o->slide_us, "distance of windows") && is_sized &&
        o->slide_us > o->size_us && !o->allow_gaps)
        leat__declare_error(node, "slide_us", LEAT_EDECLARE,
            "%s is more than the size, %s: records between windows would be in none; make it smaller, or set "
            ".allow_gaps",
            leat__duration_text(o->slide_us, slide), leat__duration_text(o->size_us, size));
}

static void check_cumulating(struct leat_node *node, const struct leat_window_opts *o)
{
    char step[32], size[32];
    const bool is_sized = check_above_zero(node, "size_us", o->size_us, "size of a window");
    if (check_above_zero(node, "step_us", o->step_us, "step") && is_sized && o->size_us % o->step_us != 0)
        leat__declare_error(node, "step_us", LEAT_EDECLARE,
            "%s does not divide the size, %s: the last step would end elsewhere than the window",
            leat__duration_text(o->step_us, step), leat__duration_text(o->size_us, size));
}

static void release_zone(void *zone)
{
    leat__zone_release(zone);
}

static void check_calendar(struct leat_node *node, const struct leat_window_opts *o, struct windows *windows)
{
    struct leat_error err = { 0 };
    if (o->unit < LEAT_DAY || o->unit > LEAT_YEAR)
        leat__declare_error(node, "unit", LEAT_EDECLARE,
            "%s: give LEAT_DAY, LEAT_WEEK, LEAT_MONTH or LEAT_YEAR",
            o->unit ? leat__spec_printf(node, "%d is none", (int)o->unit) : "not set");
    if (leat__zone_load(leat__env_posix(), LEAT__ZONE_DIR, o->zone, &windows->zone, &err) < 0) {
        leat__declare_error_of(node, "zone", &err);
        return;
    }
    leat__topology_defer(node, release_zone, &windows->zone);
}

/* That the expression gives microseconds; it is the operator that keeps one. */
static void check_gap(struct leat_node *node, const char *gap)
{
    struct leat_error err = { 0 };
    struct leat_expr *expr;
    const struct leat_type *type = leat__input_type(node, 0);
    if (!type)
        return;
    if (leat__expr_new(gap, type, &expr, &err) < 0) {
        leat__declare_error_of(node, "gap", &err);
        return;
    }
    if (leat__expr_class(expr) != LEAT_VALUE_INT)
        leat__declare_error(
            node, "gap", LEAT_EDECLARE, "%s is no integer: a gap is a number of microseconds", gap);
    leat__expr_free(expr);
}

static void check_session(struct leat_node *node, const struct leat_window_opts *o)
{
    if ((o->gap != NULL) + (o->gap_us != 0) + (o->gap_fn != NULL) > 1)
        leat__declare_error(node, "gap_us", LEAT_EDECLARE,
            "two of .gap_us, .gap and .gap_fn are set: one of them is the gap");
    else if (o->gap)
        check_gap(node, o->gap);
    else if (!o->gap_fn)
        (void)check_above_zero(node, "gap_us", o->gap_us, "gap");
    if (o->max_length_us < 0)
        (void)check_above_zero(node, "max_length_us", o->max_length_us, "length of a session");
}

static void check_kind(struct leat_node *node, struct leat_window_opts *o, struct windows *windows)
{
    switch (o->kind) {
    case LEAT_WINDOW_TUMBLING:
    case LEAT_WINDOW_SLIDING:
        (void)check_above_zero(node, "size_us", o->size_us, "size of a window");
        break;
    case LEAT_WINDOW_HOPPING:
        check_hopping(node, o);
        break;
    case LEAT_WINDOW_CUMULATING:
        check_cumulating(node, o);
        break;
    case LEAT_WINDOW_CALENDAR:
        check_calendar(node, o, windows);
        break;
    case LEAT_WINDOW_SESSION:
        check_session(node, o);
        break;
    case LEAT_WINDOW_COUNT:
        if (o->count == 0)
            leat__declare_error(
                node, "count", LEAT_EDECLARE, "not set: give the number of records of a window");
        if (o->every == 0)
            o->every = o->count;
        break;
    case LEAT_WINDOW_GLOBAL:
        break;
    }
}

static void check_opts(struct leat_node *node, struct leat_window_opts *o, struct windows *windows)
{
    char text[32];
    if (!o->kind)
        leat__declare_error(
            node, "kind", LEAT_EDECLARE, "not set: give LEAT_WINDOW_TUMBLING or one of its siblings");
    else if (o->kind < LEAT_WINDOW_TUMBLING || o->kind > LEAT_WINDOW_GLOBAL)
        leat__declare_error(node, "kind", LEAT_EDECLARE,
            "%d is no kind of window: give LEAT_WINDOW_TUMBLING or one of its siblings", (int)o->kind);
    else {
        check_aliens(node, o);
        check_kind(node, o, windows);
    }
    if (o->allowed_lateness_us < 0)
        leat__declare_error(node, "allowed_lateness_us", LEAT_EDECLARE,
            "%s is negative: set how long after its end a window still takes records, or 0",
            leat__duration_text(o->allowed_lateness_us, text));
    if (!o->accumulation)
        o->accumulation = LEAT_ACCUMULATING;
    else if (o->accumulation < LEAT_ACCUMULATING || o->accumulation > LEAT_RETRACTING)
        leat__declare_error(node, "accumulation", LEAT_EDECLARE,
            "%d is none of LEAT_ACCUMULATING, LEAT_DISCARDING, LEAT_RETRACTING", (int)o->accumulation);
    check_triggers(node, o);
}

/* ---- plans ---- */

static void print_kind(const struct leat_window_opts *o, struct leat_strbuf *to)
{
    static const char *const units[] = { "", "day", "week", "month", "year" };
    char a[32], b[32];
    const char *size = leat__duration_text(o->size_us, a);
    switch (o->kind) {
    case LEAT_WINDOW_TUMBLING:
        leat__strbuf_printf(to, "tumbling %s", size);
        break;
    case LEAT_WINDOW_HOPPING:
        leat__strbuf_printf(to, "hopping %s every %s", size, leat__duration_text(o->slide_us, b));
        break;
    case LEAT_WINDOW_CUMULATING:
        leat__strbuf_printf(to, "cumulating %s by %s", size, leat__duration_text(o->step_us, b));
        break;
    case LEAT_WINDOW_CALENDAR:
        leat__strbuf_printf(to, "calendar %s in %s", units[o->unit], o->zone ? o->zone : "UTC");
        break;
    case LEAT_WINDOW_SESSION:
        leat__strbuf_printf(to, "session gap %s",
            o->gap          ? o->gap
                : o->gap_fn ? o->gap_fn->name
                            : leat__duration_text(o->gap_us, b));
        if (o->max_length_us)
            leat__strbuf_printf(to, " up to %s", leat__duration_text(o->max_length_us, b));
        break;
    case LEAT_WINDOW_SLIDING:
        leat__strbuf_printf(to, "sliding %s", size);
        break;
    case LEAT_WINDOW_COUNT:
        leat__strbuf_printf(to, "count %llu", (unsigned long long)o->count);
        if (o->every != o->count)
            leat__strbuf_printf(to, " every %llu", (unsigned long long)o->every);
        break;
    case LEAT_WINDOW_GLOBAL:
        leat__strbuf_str(to, "global");
        break;
    }
}

/* ", early every 1000 records or 10s" */
static void print_triggers(const struct leat_window_opts *o, bool late, struct leat_strbuf *to)
{
    char text[32];
    const char *before = late ? ", late " : ", early ";
    for (uint32_t i = 0; i < TRIGGERS_MAX && o->triggers[i].kind; i++) {
        const struct leat_trigger *trigger = &o->triggers[i];
        if (trigger->kind == LEAT_TRIGGER_WATERMARK || trigger->late != late)
            continue;
        leat__strbuf_str(to, before);
        before = " or ";
        if (trigger->kind == LEAT_TRIGGER_COUNT)
            leat__strbuf_printf(to, "every %llu records", (unsigned long long)trigger->n);
        else if (trigger->kind == LEAT_TRIGGER_USER)
            leat__strbuf_printf(to, "by %s", trigger->fn->name);
        else
            leat__strbuf_printf(to, "every %s%s", leat__duration_text((int64_t)trigger->n, text),
                trigger->kind == LEAT_TRIGGER_PROCESSING_TIME ? " of the clock" : "");
    }
}

/* "hopping 10m every 1m, offset 1m, lateness 1m, early every 1000 records or every 10s, retracting" */
static const char *describe(struct leat_node *node, const struct leat_window_opts *o)
{
    struct leat_strbuf text = { 0 };
    char us[32];
    print_kind(o, &text);
    if (o->offset_us)
        leat__strbuf_printf(&text, ", offset %s", leat__duration_text(o->offset_us, us));
    if (o->allowed_lateness_us)
        leat__strbuf_printf(&text, ", lateness %s", leat__duration_text(o->allowed_lateness_us, us));
    print_triggers(o, false, &text);
    print_triggers(o, true, &text);
    if (o->discard_remainder)
        leat__strbuf_str(&text, ", the rest discarded");
    if (o->accumulation != LEAT_ACCUMULATING)
        leat__strbuf_str(&text, o->accumulation == LEAT_DISCARDING ? ", discarding" : ", retracting");
    const char *copy = text.failed ? NULL : leat__spec_str(node, text.data);
    leat__strbuf_release(&text);
    return copy;
}

/* ---- declaration ---- */

/* What is left to do with options that are right. */
static void settle(struct leat_node *node, struct leat_window_opts *o, struct windows *windows)
{
    o->zone = leat__spec_str(node, o->zone);
    o->gap = leat__spec_str(node, o->gap);
    windows->is_aligned = leat__windows_are_aligned(o->kind);
    windows->calendar = (struct leat__calendar){ o->unit, &windows->zone };
    if (!windows->is_aligned)
        return;
    leat__assigner_init(&windows->assigner, o, o->kind == LEAT_WINDOW_CALENDAR ? &windows->calendar : NULL);
    o->offset_us = windows->assigner.offset;
}

leat_windowed_stream *leat_window_sized(
    leat_keyed_stream *in, const char *name, const struct leat_window_opts *opts, size_t size)
{
    struct leat_window_opts o;
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_VIRTUAL, "window");
    leat__input(node, 0, &in->in, LEAT_FORWARD, NULL);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct windows *windows = leat__spec(node, sizeof *windows);
    if (!windows)
        return leat__windowed_inert(node->t);
    if (opts)
        check_opts(node, &o, windows);
    if (leat__node_is_inert(node))
        return leat__windowed_inert(node->t);
    settle(node, &o, windows);
    node->detail = describe(node, &o);
    if (leat__node_is_inert(node))
        return leat__windowed_inert(node->t);
    windows->stream = (struct leat_windowed_stream){ .keyed = *in, .virtual_node = node, .opts = o };
    return &windows->stream;
}

const struct leat__assigner *leat__windows_check(struct leat_node *node, struct leat_window_opts *o)
{
    struct windows *windows = leat__spec(node, sizeof *windows);
    if (!windows)
        return NULL;
    check_opts(node, o, windows);
    if (leat__node_is_inert(node))
        return NULL;
    settle(node, o, windows);
    return windows->is_aligned ? &windows->assigner : NULL;
}

const char *leat__windows_describe(struct leat_node *node, const struct leat_window_opts *o)
{
    return describe(node, o);
}

const struct leat__assigner *leat__windows_assigner(const struct leat_windowed_stream *stream)
{
    const struct windows *windows = (const struct windows *)stream;
    return stream->keyed.in.node && windows->is_aligned ? &windows->assigner : NULL;
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
