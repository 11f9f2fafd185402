/* topology/declare_options.c -- option structs: copied from the caller's version of the headers, and the
 * options that all sources share. */
#include "base/assert.h"
#include "record/schema.h"
#include "topology/declare.h"
#include "topology/graph_private.h"
#include <stdio.h>

void leat__opts_copy(struct leat_node *node, void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    if (!from) {
        leat__declare_error(
            node, NULL, LEAT_EDECLARE, "no options given: pass the address of an option struct");
        return;
    }
    memcpy(to, from, from_size < to_size ? from_size : to_size);
    for (size_t i = to_size; i < from_size; i++) {
        if (((const unsigned char *)from)[i] == 0)
            continue;
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "sets an option that this version of the library (%s) does not know: the program was compiled "
            "with "
            "newer headers; install the library that belongs to them",
            leat_version());
        return;
    }
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0);
}

static int64_t saturated_mul(int64_t value, int64_t by)
{
    int64_t product;
    if (__builtin_mul_overflow(value, by, &product))
        return value < 0 ? INT64_MIN : INT64_MAX;
    return product;
}

static int64_t from_millis(int64_t value)
{
    return saturated_mul(value, 1000);
}

static int64_t from_nanos(int64_t value)
{
    return floor_div(value, 1000);
}

static int64_t from_days(int64_t value)
{
    return saturated_mul(value, LEAT_DAYS(1));
}

bool leat__time_unit(const struct leat_type *type, int64_t (**to_us)(int64_t value))
{
    *to_us = NULL;
    switch (type->logical) {
    case LEAT_LOGICAL_NONE:
    case LEAT_LOGICAL_TIMESTAMP_MICROS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS: /* local ones count as UTC */
        return type->kind == LEAT_KIND_LONG;
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        *to_us = from_millis;
        return type->kind == LEAT_KIND_LONG;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        *to_us = from_nanos;
        return type->kind == LEAT_KIND_LONG;
    case LEAT_LOGICAL_DATE:
        *to_us = from_days;
        return type->kind == LEAT_KIND_INT;
    default:
        return false;
    }
}

static void find_time_field(struct leat_node *node, const struct leat_type *type, const char *event_time)
{
    struct leat_error err = { 0 };
    struct leat_source_time *time = &node->time;
    if (!type)
        return; /* its absence was told */
    if (leat_record_find(type, event_time, &time->place, &err) < 0) {
        leat__declare_error(node, "event_time", LEAT_EDECLARE, "%s", err.message);
        return;
    }
    if (leat__time_unit(time->place.type, &time->to_us)) {
        time->field = leat__spec_str(node, event_time);
        return;
    }
    struct leat_strbuf text = { 0 };
    leat__type_print(&text, time->place.type);
    leat__declare_error(node, "event_time", LEAT_EDECLARE,
        "field \"%s\" is %s, which is no point in time: give a long (microseconds), one with a logical type "
        "timestamp-*, "
        "or a date",
        event_time, text.data ? text.data : time->place.type->name);
    leat__strbuf_release(&text);
}

/* A duration of the shared options: not negative, and nothing without event time. */
static int64_t check_duration(struct leat_node *node, const char *option, int64_t us, const char *event_time)
{
    char text[32];
    if (us < 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s is negative: give a duration such as LEAT_SECONDS(10), or 0", leat__duration_text(us, text));
    else if (us > 0 && !event_time)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "set, but there is no event time that it could be about: set .event_time to the field that holds "
            "it");
    return us;
}

void leat__source_time(struct leat_node *node, const struct leat_type *type, const char *event_time,
    int64_t max_out_of_orderness_us, int64_t idle_timeout_us, int64_t max_ahead_us, enum leat_policy on_error)
{
    struct leat_source_time *time = &node->time;
    LEAT_ASSERT(node->kind == LEAT_NODE_SOURCE);
    if (event_time)
        find_time_field(node, type, event_time);
    time->max_out_of_orderness_us =
        check_duration(node, "max_out_of_orderness_us", max_out_of_orderness_us, event_time);
    time->idle_timeout_us = check_duration(node, "idle_timeout_us", idle_timeout_us, event_time);
    time->max_ahead_us = check_duration(node, "max_ahead_us", max_ahead_us, event_time);
    for (uint32_t i = 0; i < node->outputs_count; i++)
        node->outputs[i].has_event_time = time->field != NULL && (int32_t)i != node->dead_letters_port;
    if (on_error >= LEAT_FAIL && on_error <= LEAT_DEAD_LETTER)
        node->policy = on_error;
    else if (on_error != 0)
        leat__declare_error(node, "on_error", LEAT_EDECLARE,
            "%d is no policy: LEAT_FAIL, LEAT_SKIP or LEAT_DEAD_LETTER", (int)on_error);
}

void leat__source_align(struct leat_node *node, const char *align, int64_t max_drift_us)
{
    char text[32], fault[256];
    if (!align && max_drift_us != 0)
        leat__declare_error(node, "max_drift_us", LEAT_EDECLARE,
            "set, but there is no group of sources that it could be about: set .align to the group's name");
    if (!align)
        return;
    if (!node->time.field)
        leat__declare_error(node, "align", LEAT_EDECLARE,
            "set, but there is no event time by which splits could be ahead: set .event_time");
    if (leat__name_fault(align, fault, sizeof fault))
        leat__declare_error(node, "align", LEAT_EDECLARE, "%s", fault);
    if (max_drift_us <= 0)
        leat__declare_error(node, "max_drift_us", LEAT_EDECLARE,
            "%s: say how far a split may be ahead of the slowest one of the group, such as LEAT_MINUTES(5)",
            leat__duration_text(max_drift_us, text));
    node->time.align = leat__spec_str(node, align);
    node->time.max_drift_us = max_drift_us;
}

/* Largest unit first; the parts that are not zero. */
static size_t print_parts(uint64_t us, char text[64])
{
    static const struct {
        uint64_t us;
        const char *name;
    } units[] = { { 86400000000u, "d" }, { 3600000000u, "h" }, { 60000000u, "m" }, { 1000000u, "s" },
        { 1000u, "ms" }, { 1u, "us" } };
    size_t used = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const uint64_t n = us / units[i].us;
        us %= units[i].us;
        if (n)
            used += (size_t)snprintf(
                text + used, 64 - used, "%s%llu%s", used ? " " : "", (unsigned long long)n, units[i].name);
    }
    return used;
}

const char *leat__duration_text(int64_t us, char text[32])
{
    char parts[64];
    const uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    if (us == LEAT_NEVER)
        (void)snprintf(text, 32, "never");
    else if (us == 0)
        (void)snprintf(text, 32, "0s");
    else if (print_parts(size, parts) + (us < 0) < 32)
        (void)snprintf(text, 32, "%s%.30s", us < 0 ? "-" : "", parts);
    else
        (void)snprintf(
            text, 32, "%lldus", (long long)us); /* centuries to the microsecond: exact, if not pretty */
    return text;
}
