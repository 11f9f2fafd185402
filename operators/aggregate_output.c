/* operators/aggregate_output.c -- what fills which field of the output record: found when declared, done when
 * a pane is given.
 *
 * A field belongs to the first of these that has its name: an aggregate's `as`; a field of the key;
 * window_start, window_end, pane, pane_index. A field that belongs to none stays null, and so must be
 * nullable, unless a callback may fill it. */
#include "operators/aggregate_class_private.h"
#include "operators/key_private.h"
#include "topology/declare.h"

/* ---- units of time ---- */

static int64_t to_millis(int64_t us)
{
    return us / 1000 - (us % 1000 < 0);
}

static int64_t to_nanos(int64_t us)
{
    int64_t ns;
    if (__builtin_mul_overflow(us, INT64_C(1000), &ns))
        return us < 0 ? LEAT_TIME_MIN : LEAT_TIME_MAX;
    return ns;
}

bool leat__out_time_unit(const struct leat_type *type, int64_t (**from_us)(int64_t us))
{
    *from_us = NULL;
    switch (type->logical) {
    case LEAT_LOGICAL_NONE:
    case LEAT_LOGICAL_TIMESTAMP_MICROS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS:
        break;
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        *from_us = to_millis;
        break;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        *from_us = to_nanos;
        break;
    default:
        return false;
    }
    return type->kind == LEAT_KIND_LONG;
}

/* How fine a time is: days, millis, micros, nanos. */
static int fineness(const struct leat_type *type)
{
    switch (type->logical) {
    case LEAT_LOGICAL_DATE:
        return 0;
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        return 1;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        return 3;
    default:
        return 2;
    }
}

/* ---- setting ---- */

static void set_has(void *row, const struct leat__out_field *field, bool has)
{
    if (field->has_offset != LEAT_NOT_NULLABLE)
        *((unsigned char *)row + field->has_offset) = has;
}

void leat__out_set_null(void *row, const struct leat__out_field *field)
{
    LEAT_ASSERT(field->has_offset != LEAT_NOT_NULLABLE); /* checked when declared */
    set_has(row, field, false);
}

void leat__out_convert_int(void *row, const struct leat__out_field *field, int64_t value)
{
    unsigned char *at = (unsigned char *)row + field->offset;
    if (field->to_us)
        value = field->to_us(value);
    if (field->from_us)
        value = field->from_us(value);
    set_has(row, field, true);
    if (field->type->kind == LEAT_KIND_LONG)
        memcpy(at, &value, sizeof value);
    else if (field->type->kind == LEAT_KIND_BOOLEAN)
        *at = value != 0;
    else
        memcpy(at, &(int32_t){ (int32_t)value }, sizeof(int32_t)); /* int, or the number of a symbol */
}

void leat__out_set_float(void *row, const struct leat__out_field *field, double value)
{
    unsigned char *at = (unsigned char *)row + field->offset;
    set_has(row, field, true);
    if (field->type->kind == LEAT_KIND_DOUBLE)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &(float){ (float)value }, sizeof(float));
}

void leat__out_set_view(void *row, const struct leat__out_field *field, struct leat_sv bytes)
{
    set_has(row, field, true);
    memcpy((unsigned char *)row + field->offset, &bytes, sizeof bytes);
}

bool leat__out_set_bytes(
    struct leat_batch *out, void *row, const struct leat__out_field *field, struct leat_sv bytes)
{
    unsigned char *at = (unsigned char *)row + field->offset;
    set_has(row, field, true);
    if (field->type->kind == LEAT_KIND_FIXED) {
        memcpy(at, bytes.data, bytes.len < field->type->size ? bytes.len : field->type->size);
        return true;
    }
    char *copy = leat__batch_alloc(out, bytes.len, 1);
    if (!copy)
        return false;
    if (bytes.len)
        memcpy(copy, bytes.data, bytes.len);
    memcpy(at, &(struct leat_sv){ copy, bytes.len }, sizeof(struct leat_sv));
    return true;
}

/* ---- values and arrays ---- */

int leat__value_show(const struct leat__out_field *field, enum leat_value_class value_class,
    struct leat__value value, struct leat_batch *out, void *row)
{
    if (value_class == LEAT_VALUE_STRING)
        return leat__out_set_bytes(out, row, field, value.text) ? 0 : LEAT_ENOMEM;
    if (value_class == LEAT_VALUE_FLOAT)
        leat__out_set_float(row, field, leat__float_of_code(value.code));
    else
        leat__out_set_int(row, field, leat__int_of_code(value.code));
    return 0;
}

int leat__array_show(
    const struct leat__agg *agg, const struct leat__agg_show *show, size_t count, unsigned char **items)
{
    const size_t size = agg->out.type->item->size;
    unsigned char *at = (unsigned char *)show->row + agg->out.offset;
    *items = leat__batch_alloc(show->out, count * size, 16);
    if (!*items)
        return LEAT_ENOMEM;
    memset(*items, 0, count * size);
    set_has(show->row, &agg->out, true);
    memcpy(at, &(struct leat_array){ *items, count }, sizeof(struct leat_array));
    return 0;
}

bool leat__out_fill(
    const struct leat__aggregate_spec *spec, const struct leat__pane *pane, struct leat_batch *out, void *row)
{
    if (spec->window_start.type)
        leat__out_set_int(row, &spec->window_start, pane->window.start);
    if (spec->window_end.type)
        leat__out_set_int(row, &spec->window_end, pane->window.end);
    if (spec->pane.type)
        leat__out_set_int(row, &spec->pane,
            spec->pane.type->kind == LEAT_KIND_ENUM ? spec->pane_symbols[pane->kind] : (int64_t)pane->kind);
    if (spec->pane_index.type) {
        const bool is_int = spec->pane_index.type->kind == LEAT_KIND_INT;
        const uint64_t max = is_int ? INT32_MAX : INT64_MAX;
        leat__out_set_int(row, &spec->pane_index, (int64_t)(pane->index < max ? pane->index : max));
    }
    return leat__key_parts_fill(&spec->key_parts, pane->key, out, row);
}

/* ---- declaring: results ---- */

static struct leat__out_field out_field(const struct leat_field *field)
{
    return (struct leat__out_field){ field->type, field->offset, field->has_offset, NULL, NULL };
}

static bool is_plain_long(const struct leat_type *type)
{
    return type->kind == LEAT_KIND_LONG && type->logical == LEAT_LOGICAL_NONE;
}

/* min and max of integers keep their kind, or are widened. */
static bool takes_int(
    const struct leat__column *column, const struct leat_type *natural, const struct leat_type *to)
{
    if (to->logical != natural->logical && to->logical != LEAT_LOGICAL_NONE)
        return false;
    return to->kind == LEAT_KIND_LONG ||
        (to->kind == LEAT_KIND_INT && column->is_place && natural->kind == LEAT_KIND_INT);
}

static bool takes_text(const struct leat_type *natural, const struct leat_type *to)
{
    switch (natural->kind) {
    case LEAT_KIND_BYTES:
        return to->kind == LEAT_KIND_BYTES;
    case LEAT_KIND_FIXED:
        return to->kind == LEAT_KIND_BYTES || (to->kind == LEAT_KIND_FIXED && to->size == natural->size);
    default:
        return to->kind == LEAT_KIND_STRING || to->kind == LEAT_KIND_BYTES;
    }
}

/* A time stays in its unit, or goes to one that is as fine. */
static bool takes_time(const struct leat__column *column, struct leat__out_field *out)
{
    const struct leat_type *natural = column->is_place ? column->place.type : leat__expr_type(column->expr);
    if (column->is_place && natural->kind == out->type->kind && natural->logical == out->type->logical)
        return true;
    if (!leat__out_time_unit(out->type, &out->from_us) || fineness(out->type) < fineness(natural))
        return false;
    if (column->is_place)
        (void)leat__time_unit(natural, &out->to_us);
    return true;
}

static const char *value_misfit(const struct leat__column *column, struct leat__out_field *out)
{
    const struct leat_type *natural = leat__expr_type(column->expr);
    const struct leat_type *to = out->type;
    switch (column->value_class) {
    case LEAT_VALUE_BOOL:
        return to->kind == LEAT_KIND_BOOLEAN ? NULL : "a boolean";
    case LEAT_VALUE_FLOAT:
        if (to->kind == LEAT_KIND_FLOAT && column->is_place && column->place.type->kind == LEAT_KIND_FLOAT)
            return NULL;
        return to->kind == LEAT_KIND_DOUBLE ? NULL : "a double";
    case LEAT_VALUE_STRING:
        return takes_text(natural, to) ? NULL : natural->name;
    case LEAT_VALUE_TIMESTAMP:
        return takes_time(column, out) ? NULL : "a timestamp (a long of a unit that is as fine)";
    default:
        return takes_int(column, natural, to) ? NULL : natural->name;
    }
}

/* Items that can be null never are. */
static struct leat__out_field item_field(const struct leat_type *item)
{
    if (item->kind == LEAT_KIND_OPTIONAL)
        return (struct leat__out_field){ item->item, item->value_offset, 0, NULL, NULL };
    return (struct leat__out_field){ item, 0, LEAT_NOT_NULLABLE, NULL, NULL };
}

/* What a result is, for errors; NULL when the field takes it. */
static const char *misfit(const struct leat__aggregate_spec *spec, struct leat__agg *agg)
{
    const struct leat_type *to = agg->out.type;
    switch (agg->gives) {
    case LEAT__GIVES_LONG:
        return is_plain_long(to) ? NULL : "a long";
    case LEAT__GIVES_DOUBLE:
        return to->kind == LEAT_KIND_DOUBLE ? NULL : "a double";
    case LEAT__GIVES_BOOL:
        return to->kind == LEAT_KIND_BOOLEAN ? NULL : "a boolean";
    case LEAT__GIVES_TEXT:
        return to->kind == LEAT_KIND_STRING ? NULL : "a string";
    case LEAT__GIVES_VALUE:
        return value_misfit(&spec->columns[agg->column], &agg->out);
    case LEAT__GIVES_LONGS:
        if (to->kind != LEAT_KIND_ARRAY)
            return "an array of long";
        agg->item = item_field(to->item);
        return is_plain_long(agg->item.type) ? NULL : "an array of long";
    case LEAT__GIVES_VALUES:
        break;
    }
    if (to->kind != LEAT_KIND_ARRAY)
        return "an array of the values";
    agg->item = item_field(to->item);
    return value_misfit(&spec->columns[agg->column], &agg->item) ? "an array of values of another type"
                                                                 : NULL;
}

static const struct leat_field *find_field(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

static void declare_null_error(struct leat_node *node, const struct leat__aggregate_spec *spec,
    const struct leat__agg *agg, const char *option)
{
    if (agg->kind == LEAT_AGGREGATE_VAR_SAMP || agg->kind == LEAT_AGGREGATE_STDDEV_SAMP)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "over fewer than two values the result is null; field \"%s\" of %s can not be null: make it "
            "nullable, "
            "or take the population's",
            agg->as, spec->out->name);
    else if (agg->where != LEAT__NO_COLUMN)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "over no values the result is null, and `where` may leave none; field \"%s\" of %s can not be "
            "null: "
            "make it nullable",
            agg->as, spec->out->name);
    else
        leat__declare_error(node, option, LEAT_EDECLARE,
            "over no values the result is null, which %s can have because it is nullable; field \"%s\" of %s "
            "can not be null: make it nullable, or aggregate coalesce(%s, ...)",
            agg->of, agg->as, spec->out->name, agg->of);
}

void leat__out_declare_result(struct leat_node *node, const struct leat__aggregate_spec *spec,
    struct leat__agg *agg, const char *option)
{
    const struct leat_field *field = find_field(spec->out, agg->as);
    if (!field) {
        leat__declare_error(node, option, LEAT_EDECLARE, "no field \"%s\" in %s%s", agg->as, spec->out->name,
            leat__fields_hint(node, spec->out, agg->as));
        return;
    }
    agg->out = out_field(field);
    const char *wanted = misfit(spec, agg);
    if (wanted)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "field \"%s\" of %s is of type %s, and the result is %s", agg->as, spec->out->name,
            field->type->logical ? "another logical type" : field->type->name, wanted);
    else if (agg->nullable && field->has_offset == LEAT_NOT_NULLABLE)
        declare_null_error(node, spec, agg, option);
}

/* ---- declaring: the rest ---- */

static bool is_result(const struct leat__aggregate_spec *spec, const char *name)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++)
        if (spec->aggs[a].as && strcmp(spec->aggs[a].as, name) == 0)
            return true;
    return false;
}

static bool is_key(const struct leat__aggregate_spec *spec, const struct leat_field *field)
{
    for (uint32_t i = 0; i < spec->key_parts.count; i++)
        if (spec->key_parts.parts[i].copied && spec->key_parts.parts[i].out.offset == field->offset)
            return true;
    return false;
}

static void wrong_type(struct leat_node *node, const struct leat_field *field, const char *wanted)
{
    leat__declare_error(node, "out", LEAT_EDECLARE,
        "field \"%s\" is of type %s; to show the window's it must be %s (or have another name)", field->name,
        field->type->name, wanted);
}

static void declare_time(struct leat_node *node, const struct leat_field *field, struct leat__out_field *out)
{
    *out = out_field(field);
    if (!leat__out_time_unit(field->type, &out->from_us))
        wrong_type(node, field, "a long of microseconds, or a timestamp");
}

static void declare_pane(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_field *field)
{
    static const char *const names[LEAT__PANE_NAMES] = { "", "EARLY", "ON_TIME", "LATE" };
    spec->pane = out_field(field);
    if (field->type->kind == LEAT_KIND_INT && field->type->logical == LEAT_LOGICAL_NONE)
        return;
    bool fits = field->type->kind == LEAT_KIND_ENUM;
    for (uint32_t pane = LEAT_PANE_EARLY; fits && pane <= LEAT_PANE_LATE; pane++) {
        spec->pane_symbols[pane] = -1;
        for (uint32_t i = 0; i < field->type->symbols_count; i++)
            if (strcmp(field->type->symbols[i], names[pane]) == 0)
                spec->pane_symbols[pane] = (int32_t)i;
        fits = spec->pane_symbols[pane] >= 0;
    }
    if (!fits)
        wrong_type(
            node, field, "an int (enum leat_pane), or an enum with the symbols EARLY, ON_TIME and LATE");
}

static void declare_pane_index(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_field *field)
{
    spec->pane_index = out_field(field);
    if (!is_plain_long(field->type) &&
        !(field->type->kind == LEAT_KIND_INT && field->type->logical == LEAT_LOGICAL_NONE))
        wrong_type(node, field, "an int or a long");
}

bool leat__out_declare_pane(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_field *field)
{
    if (strcmp(field->name, "window_start") == 0)
        declare_time(node, field, &spec->window_start);
    else if (strcmp(field->name, "window_end") == 0)
        declare_time(node, field, &spec->window_end);
    else if (strcmp(field->name, "pane") == 0)
        declare_pane(node, spec, field);
    else if (strcmp(field->name, "pane_index") == 0)
        declare_pane_index(node, spec, field);
    else
        return false;
    return true;
}

static void declare_field(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_field *field)
{
    if (is_result(spec, field->name) || is_key(spec, field) || leat__out_declare_pane(node, spec, field))
        return;
    if (field->has_offset == LEAT_NOT_NULLABLE && spec->users_count == 0)
        leat__declare_error(node, "out", LEAT_EDECLARE,
            "nothing fills field \"%s\" of %s, and it can not be null: make it nullable, or give an "
            "aggregate `as` \"%s\""
            " (fields of the key %s are filled by name, %swindow_start, window_end, pane, pane_index)",
            field->name, spec->out->name, field->name, leat__key_named_text(spec->key),
            leat__key_has_unnamed(spec->key) ? "an expression by the name that `as` gives it, and " : "and ");
}

/* The output's rows stay where their key lives if the key can be told from them: all its parts are there, and
 * the bytes of a key that is made of them are the same (a null would not be, record/key.h). */
static const char *partitioned_by(struct leat_node *node, const struct leat__aggregate_spec *spec)
{
    const struct leat__key_parts *parts = &spec->key_parts;
    const char *text = NULL;
    for (uint32_t i = 0; i < parts->count; i++) {
        const struct leat__key_part *part = &parts->parts[i];
        if (parts->is_fn || !part->copied || part->nullable || part->out.has_offset != LEAT_NOT_NULLABLE)
            return NULL;
        text = leat__spec_printf(node, "%s%s%s", text ? text : "", text ? ", " : "", part->name);
        if (!text)
            return NULL;
    }
    return text;
}

const char *leat__out_declare(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_keyed_stream *keyed)
{
    leat__key_parts_declare(node, spec, keyed);
    for (uint32_t i = 0; i < spec->out->fields_count; i++)
        declare_field(node, spec, &spec->out->fields[i]);
    return partitioned_by(node, spec);
}
