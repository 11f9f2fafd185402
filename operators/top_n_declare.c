/* operators/top_n_declare.c -- options of both to a spec, with all their mistakes told. */
#include "operators/key_private.h"
#include "operators/top_n_private.h"
#include "record/schema.h"
#include "topology/declare.h"
#include <string.h>

static bool has_order(const struct leat_type *type)
{
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
    case LEAT_KIND_STRING:
        return true;
    default:
        return false;
    }
}

/* What has nothing but a path in it is a field that is missing. */
static bool is_path(const char *by)
{
    return by[strspn(by, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")] == 0;
}

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

static void declare_column(struct leat_node *node, struct leat__top_spec *spec, const char *by)
{
    struct leat_error err = { 0 };
    struct leat_expr *expr = NULL;
    if (leat__expr_new(by, spec->in, &expr, &err) < 0) {
        leat__declare_error_of(node, "by", &err);
        return;
    }
    if (!leat__topology_defer(node, free_expr, expr))
        return;
    if (leat__expr_class(expr) == LEAT_VALUE_NULL)
        leat__declare_error(node, "by", LEAT_EDECLARE, "%s is always null: no record would be first", by);
    spec->column = leat__spec(node, sizeof *spec->column);
    if (spec->column)
        *spec->column = (struct leat__column){ .expr = expr,
            .text = by,
            .value_class = leat__expr_class(expr),
            .nullable = leat__expr_is_nullable(expr),
            .where = LEAT__NO_COLUMN };
}

bool leat__top_is_field(const struct leat_type *in, const char *by)
{
    struct leat_place place;
    return !by || is_path(by) || leat_record_find(in, by, &place, NULL) == 0;
}

static void declare_by(struct leat_node *node, struct leat__top_spec *spec, const char *by)
{
    struct leat_error err = { 0 };
    if (!by) {
        leat__declare_error(
            node, "by", LEAT_EDECLARE, "missing: the field or expression that says which records are first");
        return;
    }
    if (leat_record_find(spec->in, by, &spec->by, &err) < 0) {
        if (is_path(by))
            leat__declare_error_of(node, "by", &err);
        else if (!spec->windows) /* those see to it */
            declare_column(node, spec, leat__spec_str(node, by));
        return;
    }
    if (!has_order(spec->by.type))
        leat__declare_error(node, "by", LEAT_EDECLARE,
            "%s has no order: it must be a number, a time, a string or a boolean", by);
}

static const struct leat_field *find_field(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

static struct leat__out_field out_field(const struct leat_field *field)
{
    return (struct leat__out_field){ field->type, field->offset, field->has_offset, NULL, NULL };
}

static void declare_rank(struct leat_node *node, struct leat__top_spec *spec, const char *rank)
{
    const struct leat_field *field = find_field(spec->out, rank);
    if (!field) {
        leat__declare_error(node, "rank", LEAT_EDECLARE, "no field \"%s\" in %s%s", rank, spec->out->name,
            leat__fields_hint(node, spec->out, rank));
        return;
    }
    if ((field->type->kind != LEAT_KIND_INT && field->type->kind != LEAT_KIND_LONG) || field->type->logical)
        leat__declare_error(
            node, "rank", LEAT_EDECLARE, "\"%s\" of %s must be an int or a long", rank, spec->out->name);
    spec->rank = out_field(field);
    spec->has_rank = true;
}

static void declare_time(struct leat_node *node, const struct leat_field *field, struct leat__out_field *out)
{
    *out = out_field(field);
    if (!leat__out_time_unit(field->type, &out->from_us))
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "field \"%s\" must be a long of microseconds, or a timestamp", field->name);
}

/* Fields are in the order of the output; one that goes on where the run before it ends makes that longer. */
static void declare_copy(
    struct leat__top_spec *spec, const struct leat_field *from, const struct leat_field *to)
{
    if (from->has_offset != LEAT_NOT_NULLABLE || to->has_offset != LEAT_NOT_NULLABLE) {
        spec->copies[spec->copies_count++] = (struct leat__top_copy){ *from, *to };
        return;
    }
    struct leat__top_run *last = spec->runs_count ? &spec->runs[spec->runs_count - 1] : NULL;
    if (last && last->from + last->size == from->offset && last->to + last->size == to->offset)
        last->size += to->type->size;
    else
        spec->runs[spec->runs_count++] = (struct leat__top_run){ from->offset, to->offset, to->type->size };
}

static void declare_field(struct leat_node *node, struct leat__top_spec *spec, const struct leat_field *to)
{
    const struct leat_field *from = find_field(spec->in, to->name);
    const bool can_be_null = to->has_offset != LEAT_NOT_NULLABLE;
    if (spec->rank.type && spec->rank.offset == to->offset)
        return;
    if (!from && spec->windows && leat__out_declare_pane(node, spec->windows, to))
        return;
    if (!from && spec->assigner && strcmp(to->name, "window_start") == 0) {
        declare_time(node, to, &spec->window_start);
    } else if (!from && spec->assigner && strcmp(to->name, "window_end") == 0) {
        declare_time(node, to, &spec->window_end);
    } else if (!from && !can_be_null) {
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "nothing fills field \"%s\" of %s, and it can not be null: %s has no field of that name",
            to->name, spec->out->name, spec->in->name);
    } else if (from && !leat__type_equal(from->type, to->type)) {
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "field \"%s\" is of another type in %s than in %s: leat_project can change it", to->name,
            spec->out->name, spec->in->name);
    } else if (from && from->has_offset != LEAT_NOT_NULLABLE && !can_be_null) {
        leat__declare_error(node, "out", LEAT_EDECLARE, "field \"%s\" can be null in %s and not in %s",
            to->name, spec->in->name, spec->out->name);
    } else if (from) {
        declare_copy(spec, from, to);
    }
}

void leat__top_declare(struct leat_node *node, struct leat__top_spec *spec, const struct leat_top_n_opts *o,
    const struct leat_keyed_stream *in)
{
    spec->in = leat__input_type(node, 0);
    spec->out = o->out ? o->out : spec->in;
    spec->key = in->key;
    spec->n = o->n;
    spec->descending = o->descending;
    node->detail =
        leat__spec_printf(node, "%u by %s%s", o->n, o->by ? o->by : "?", o->descending ? ", descending" : "");
    if (o->n == 0 || o->n > LEAT__TOP_N_MAX)
        leat__declare_error(
            node, "n", LEAT_EDECLARE, "%u: how many are first is 1 to %u", o->n, LEAT__TOP_N_MAX);
    if (!spec->in || spec->out->kind != LEAT_KIND_RECORD)
        return;
    declare_by(node, spec, o->by);
    if (o->rank)
        declare_rank(node, spec, o->rank);
    spec->copies = leat__spec(node, (spec->out->fields_count + 1) * sizeof *spec->copies);
    spec->runs = leat__spec(node, (spec->out->fields_count + 1) * sizeof *spec->runs);
    for (uint32_t i = 0; spec->copies && spec->runs && i < spec->out->fields_count; i++)
        declare_field(node, spec, &spec->out->fields[i]);
    if (!leat__node_is_inert(node))
        spec->key_types = leat__key_describe(node, in->key, LEAT_KEY_NULLS_GROUP);
}
