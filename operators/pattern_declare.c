/* operators/pattern_declare.c -- leat_pattern and leat_frequency: options to a spec, with all their mistakes
 * told. */
#include "operators/pattern_private.h"
#include "record/schema.h"
#include "topology/declare.h"

#define OUT_FIELDS_MAX (sizeof((struct leat_match_output *)0)->fields / sizeof(struct leat_projection))

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

static void free_schema(void *schema)
{
    leat__schema_free(schema);
}

/* ---- what is seen ---- */

static const struct leat_type long_type = {
    .kind = LEAT_KIND_LONG, .name = "long", .size = sizeof(int64_t), .align = _Alignof(int64_t)
};

struct seen_builder {
    struct leat_type *type;
    struct leat_field *fields;
    const struct leat_type *in;
};

static bool has_field(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return true;
    return false;
}

/* A field behind the others; the record's own have their names first. */
static uint32_t add_seen(
    struct seen_builder *b, const char *name, const struct leat_type *type, uint32_t *has)
{
    struct leat_type *seen = b->type;
    const uint32_t align = type->align > 8 ? type->align : 8;
    if (has) {
        *has = seen->size;
        seen->size += 1;
    }
    const uint32_t at = (seen->size + align - 1) / align * align;
    seen->size = at + (type->size + 7u) / 8u * 8u;
    if (!has_field(b->in, name))
        b->fields[seen->fields_count++] =
            (struct leat_field){ name, type, at, has ? *has : LEAT_NOT_NULLABLE };
    return at;
}

static void make_seen(struct leat_node *node, struct leat__pattern_spec *spec)
{
    const struct leat_type *in = spec->process.in;
    struct leat_type *seen = leat__spec(node, sizeof *seen);
    struct leat_field *fields =
        leat__spec(node, (in->fields_count + 2 * LEAT__STEPS_MAX + 4) * sizeof *fields);
    struct seen_builder b = { seen, fields, in };
    if (!seen || !fields)
        return;
    memcpy(fields, in->fields, in->fields_count * sizeof *fields);
    *seen = (struct leat_type){ .kind = LEAT_KIND_RECORD,
        .name = in->name,
        .size = (in->size + 7u) / 8u * 8u,
        .align = 16,
        .fields_count = in->fields_count,
        .fields = fields };
    for (uint32_t s = 0; s < spec->steps_count; s++) {
        spec->places.at[s] = add_seen(&b, spec->steps[s].name, in, &spec->places.has[s]);
        spec->places.counts[s] =
            add_seen(&b, leat__spec_printf(node, "%s_count", spec->steps[s].name), &long_type, NULL);
    }
    spec->places.at[LEAT__STEPS_MAX] = add_seen(&b, "previous", in, &spec->places.has[LEAT__STEPS_MAX]);
    spec->places.start = add_seen(&b, "match_start", &long_type, NULL);
    spec->places.end = add_seen(&b, "match_end", &long_type, NULL);
    spec->seen = seen;
}

/* ---- conditions ---- */

/* Compiles over the record alone, if that will do, else over what is seen. */
static void declare_condition(struct leat_node *node, struct leat__pattern_spec *spec, uint32_t index,
    const char *text, const char *option)
{
    struct leat__condition *condition = &spec->conditions[index];
    struct leat_error err = { 0 };
    if (leat__expr_new(text, spec->process.in, &condition->expr, &err) < 0) {
        err = (struct leat_error){ 0 };
        condition->of_match = true;
        if (leat__expr_new(text, spec->seen, &condition->expr, &err) < 0) {
            leat__declare_error_of(node, option, &err);
            return;
        }
    }
    if (!leat__topology_defer(node, free_expr, condition->expr)) {
        condition->expr = NULL;
        return;
    }
    const enum leat_value_class found = leat__expr_class(condition->expr);
    if (found != LEAT_VALUE_BOOL && found != LEAT_VALUE_NULL)
        leat__declare_error(node, option, LEAT_EEXPR, "%s is no condition: it must be true or false", text);
    spec->has_of_match |= condition->of_match;
}

/* ---- steps ---- */

static bool is_step_name(const char *name)
{
    if (name[0] < 'a' || name[0] > 'z')
        return false;
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_'))
            return false;
    return strlen(name) <= LEAT_NAME_BYTES_MAX;
}

static void check_step_name(
    struct leat_node *node, const struct leat_pattern_opts *o, const struct leat_type *in, uint32_t i)
{
    const char *option = leat__spec_printf(node, "steps[%u].name", i);
    const char *name = o->steps[i].name;
    if (!is_step_name(name))
        leat__declare_error(
            node, option, LEAT_EDECLARE, "\"%s\" is no name of a step: [a-z][a-z0-9_]*", name);
    else if (strcmp(name, "previous") == 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "\"previous\" is the record that was taken last: give the step another name");
    else if (in && has_field(in, name))
        leat__declare_error(
            node, option, LEAT_EDECLARE, "%s has a field \"%s\": give the step another name", in->name, name);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(o->steps[k].name, name) == 0)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "the name \"%s\" is taken by steps[%u]", name, k);
}

static enum leat_contiguity check_contiguity(
    struct leat_node *node, enum leat_contiguity given, const char *option)
{
    if (given > LEAT_FOLLOWED_BY_ANY)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%d is none of LEAT_FOLLOWED_BY, LEAT_NEXT, LEAT_FOLLOWED_BY_ANY", (int)given);
    return given ? given : LEAT_FOLLOWED_BY;
}

/* How often the step takes a record. */
static void declare_times(
    struct leat_node *node, const struct leat_pattern_step *given, uint32_t i, struct leat__step *step)
{
    const char *option = leat__spec_printf(node, "steps[%u]", i);
    const bool once = !given->times_min && !given->times_max;
    step->times_min = once || !given->times_min ? 1 : given->times_min;
    step->times_max = once ? 1 : given->times_max;
    step->optional = given->optional || (!once && given->times_min == 0);
    step->greedy = given->greedy;
    step->not_ = given->not_;
    step->inner = check_contiguity(node, given->inner, leat__spec_printf(node, "steps[%u].inner", i));
    if (step->times_max < step->times_min)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "times_max %u is less than times_min %u: LEAT_UNBOUNDED takes any number", given->times_max,
            given->times_min);
    if (given->not_ && (!once || given->optional || given->greedy || given->until || given->inner))
        leat__declare_error(node, option, LEAT_EDECLARE,
            "\"%s\" is a step with `not_` and takes no record: it has no times, inner, until, optional or "
            "greedy",
            given->name);
    if (!given->not_ && given->until && step->times_max == 1)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "`until` ends the taking of more records, and \"%s\" takes one: set times_max", given->name);
    if (given->greedy && step->times_max == 1 && !step->optional)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "`greedy` is for steps with times, or optional ones; \"%s\" takes one record anyway",
            given->name);
}

static void check_nots(
    struct leat_node *node, const struct leat__pattern_spec *spec, const struct leat_pattern_opts *o)
{
    const uint32_t last = spec->steps_count - 1;
    if (spec->steps[0].not_)
        leat__declare_error(node, "steps[0].not_", LEAT_EDECLARE,
            "a pattern begins with a record: what must not come can only be behind a step that takes one");
    if (last == 0 || !spec->steps[last].not_)
        return;
    const char *option = leat__spec_printf(node, "steps[%u]", last);
    if (o->within_us <= 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "it ends with what must not come, and it would never be known that it has not: set .within_us");
    if (spec->steps[last].contiguity == LEAT_NEXT)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "as the last step `not_` forbids a record until the time is over: contiguity LEAT_NEXT is not "
            "for it");
}

/* Where a run goes from behind step `from` (-1: the beginning). */
static void find_targets(const struct leat__pattern_spec *spec, int from, struct leat__position *position)
{
    uint32_t nots = 0;
    for (uint32_t t = (uint32_t)(from + 1); t < spec->steps_count; t++) {
        const struct leat__step *step = &spec->steps[t];
        if (step->not_) {
            nots |= 1u << t;
            continue;
        }
        position->targets |= 1u << t;
        position->nots[t] = nots;
        if (!step->optional)
            return;
    }
    position->ends = from >= 0;
    position->end_nots = nots;
}

static void declare_steps(
    struct leat_node *node, struct leat__pattern_spec *spec, const struct leat_pattern_opts *o)
{
    uint32_t count = 0;
    while (count < LEAT__STEPS_MAX && o->steps[count].name)
        count++;
    for (uint32_t i = count + 1; i < LEAT__STEPS_MAX; i++)
        if (o->steps[i].name || o->steps[i].where) {
            leat__declare_error(node, leat__spec_printf(node, "steps[%u].name", count), LEAT_EDECLARE,
                "missing: steps go up to the first without a name, and there is more behind");
            break;
        }
    if (count == 0) {
        leat__declare_error(node, "steps", LEAT_EDECLARE, "none given: a pattern has at least one step");
        return;
    }
    spec->steps_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct leat__step *step = &spec->steps[i];
        check_step_name(node, o, spec->process.in, i);
        step->name = leat__spec_str(node, o->steps[i].name);
        step->contiguity = check_contiguity(
            node, o->steps[i].contiguity, leat__spec_printf(node, "steps[%u].contiguity", i));
        declare_times(node, &o->steps[i], i, step);
    }
    check_nots(node, spec, o);
    for (uint32_t i = 0; i < count; i++)
        find_targets(spec, (int)i, &spec->steps[i].next);
    find_targets(spec, -1, &spec->start);
}

static void declare_conditions(
    struct leat_node *node, struct leat__pattern_spec *spec, const struct leat_pattern_opts *o)
{
    spec->passes_over = true;
    for (uint32_t i = 0; i < spec->steps_count; i++) {
        const struct leat_pattern_step *given = &o->steps[i];
        const struct leat__step *step = &spec->steps[i];
        if (given->where)
            declare_condition(node, spec, i, given->where, leat__spec_printf(node, "steps[%u].where", i));
        if (given->until)
            declare_condition(
                node, spec, LEAT__STEPS_MAX + i, given->until, leat__spec_printf(node, "steps[%u].until", i));
        const bool strict =
            (i > 0 && step->contiguity == LEAT_NEXT) || (step->times_max > 1 && step->inner == LEAT_NEXT);
        spec->passes_over &= !strict;
    }
    spec->passes_over &= !spec->has_of_match;
}

/* ---- output ---- */

/* The projection for a field of the output; NULL: none. */
static const struct leat_projection *projection_of(const struct leat_match_output *given, const char *field)
{
    for (uint32_t i = 0; i < OUT_FIELDS_MAX && given->fields[i].expr; i++) {
        const char *as = given->fields[i].as;
        const char *dot = strrchr(given->fields[i].expr, '.');
        if (strcmp(as ? as : dot ? dot + 1 : given->fields[i].expr, field) == 0)
            return &given->fields[i];
    }
    return NULL;
}

static void declare_field(struct leat_node *node, struct leat__pattern_spec *spec, const char *expr,
    const char *field, const char *option, struct leat__match_output *output)
{
    struct leat_error err = { 0 };
    struct leat__match_field *to = &output->fields[output->fields_count];
    if (leat__expr_new(expr, spec->seen, &to->expr, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return;
    }
    if (!leat__topology_defer(node, free_expr, to->expr))
        return;
    output->fields_count++;
    if (leat__expr_store_new(to->expr, output->out, field, &to->store, &err) < 0)
        leat__declare_error_of(node, option, &err);
}

static void declare_fields(struct leat_node *node, struct leat__pattern_spec *spec,
    const struct leat_match_output *given, const char *name, struct leat__match_output *output)
{
    const struct leat_type *out = given->out;
    uint32_t used = 0, count = 0;
    output->fields = leat__spec(node, (out->fields_count + 1) * sizeof *output->fields);
    for (uint32_t f = 0; output->fields && f < out->fields_count; f++) {
        const struct leat_field *field = &out->fields[f];
        const struct leat_projection *p = projection_of(given, field->name);
        const char *option = leat__spec_printf(node, "%s.fields", name);
        used += p != NULL;
        if (p)
            declare_field(node, spec, p->expr, field->name, option, output);
        else if (has_field(spec->process.in, field->name))
            declare_field(node, spec, field->name, field->name, option, output);
        else if (field->has_offset == LEAT_NOT_NULLABLE)
            leat__declare_error(node, option, LEAT_EDECLARE,
                "nothing fills the field \"%s\" of %s: name an expression for it, or make it nullable",
                field->name, out->name);
    }
    while (count < OUT_FIELDS_MAX && given->fields[count].expr)
        count++;
    if (used < count)
        leat__declare_error(node, leat__spec_printf(node, "%s.fields", name), LEAT_EDECLARE,
            "one of them is for no field of %s, or for the same as another%s", out->name,
            leat__fields_hint(node, out, given->fields[count - 1].as ? given->fields[count - 1].as : ""));
}

/* Gives the type of the rows; NULL: none, or an error was told. */
static const struct leat_type *declare_output(struct leat_node *node, struct leat__pattern_spec *spec,
    const struct leat_match_output *given, const char *name, struct leat__match_output *output)
{
    const char *option = leat__spec_printf(node, "%s", name);
    if (given->fn && given->out) {
        leat__declare_error(node, option, LEAT_EDECLARE, "fn and out are given: one of them makes the rows");
        return NULL;
    }
    if (given->fn) {
        memcpy(&output->fn, given->fn,
            given->fn->size < sizeof output->fn ? given->fn->size : sizeof output->fn);
        output->out = output->fn.out;
        if (!output->fn.select || !output->out)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "fn lacks its callback: LEAT_DEFINE_MATCH makes it");
        else
            leat__need_type(node, 0, output->fn.in, option, output->fn.name);
        return output->out;
    }
    output->out = given->out;
    if (given->out && given->out->kind != LEAT_KIND_RECORD)
        leat__declare_error(node, option, LEAT_EDECLARE, "%s is no record", given->out->name);
    else if (given->out && spec->seen)
        declare_fields(node, spec, given, name, output);
    return given->out;
}

/* ---- the process function behind it ---- */

static const struct leat_type *type_of(struct leat_node *node, const char *text)
{
    struct leat_schema *schema = NULL;
    const struct leat_type *type = NULL;
    struct leat_error err = { 0 };
    if (!text || leat__schema_parse(text, strlen(text), &schema, &err) < 0) {
        leat__declare_error_of(node, "in", &err);
        return NULL;
    }
    if (!leat__topology_defer(node, free_schema, schema))
        return NULL;
    if (leat__schema_type(schema, &node->t->arena, &type, &err) < 0)
        leat__declare_error_of(node, "in", &err);
    return type;
}

static void declare_process(struct leat_node *node, struct leat__pattern_spec *spec,
    const leat_keyed_stream *in, const struct leat_type *out, const struct leat_type *timed_out)
{
    const struct leat_type *type = leat__input_type(node, 0);
    struct leat_process_fn *fn = leat__spec(node, sizeof *fn);
    struct leat_process_opts *o = leat__spec(node, sizeof *o);
    if (!type || !fn || !o)
        return;
    spec->waiting = type_of(node,
        leat__spec_printf(node,
            "{\"type\": \"record\", \"name\": \"leat_waiting\", \"fields\": [{\"name\": \"at\", \"type\": "
            "\"long\"}, "
            "{\"name\": \"mask\", \"type\": \"long\"}, {\"name\": \"row\", \"type\": %s}]}",
            type->schema));
    const struct leat_type *runs = type_of(node,
        "{\"type\": \"record\", \"name\": \"leat_runs\", \"fields\": [{\"name\": \"runs\", \"type\": "
        "\"bytes\"}]}");
    if (!spec->waiting || !runs)
        return;
    spec->waiting_at = spec->waiting->fields[2].offset;
    *fn = (struct leat_process_fn){ sizeof *fn, "pattern", type, leat__pattern_on_record,
        leat__pattern_on_timer };
    *o = (struct leat_process_opts){ .fn = fn,
        .state = { LEAT_LIST("waiting", spec->waiting), LEAT_MAP("held", LEAT_KIND_LONG, type),
            LEAT_VALUE("runs", runs) },
        .out = out,
        .sides = { { "late", type }, { timed_out ? "timed-out" : NULL, timed_out } } };
    leat__process_declare(node, &spec->process, in, o);
    for (uint32_t port = 1; port < node->outputs_count; port++)
        node->outputs[port].taken = true; /* nobody has to */
}

/* ---- the whole ---- */

static void declare_skip(
    struct leat_node *node, struct leat__pattern_spec *spec, const struct leat_pattern_opts *o)
{
    const bool to = o->skip == LEAT_SKIP_TO_FIRST || o->skip == LEAT_SKIP_TO_LAST;
    spec->skip = o->skip ? o->skip : LEAT_SKIP_NONE;
    if (o->skip > LEAT_SKIP_TO_LAST)
        leat__declare_error(node, "skip", LEAT_EDECLARE,
            "%d is no way to skip: LEAT_SKIP_NONE and its siblings", (int)o->skip);
    if (to != (o->skip_to != NULL)) {
        leat__declare_error(node, "skip_to", LEAT_EDECLARE,
            to ? "missing: the step whose record is skipped to"
               : "given, but .skip is neither LEAT_SKIP_TO_FIRST nor LEAT_SKIP_TO_LAST");
        return;
    }
    if (!to)
        return;
    for (uint32_t s = 0; s < spec->steps_count; s++)
        if (strcmp(spec->steps[s].name, o->skip_to) == 0 && !spec->steps[s].not_) {
            spec->skip_to = s;
            return;
        }
    leat__declare_error(node, "skip_to", LEAT_EDECLARE, "\"%s\" is no step that takes a record", o->skip_to);
}

static void check_within(struct leat_node *node, struct leat__pattern_spec *spec, int64_t within_us)
{
    char text[32];
    spec->within_us = within_us ? within_us : LEAT_NEVER;
    if (within_us < 0)
        leat__declare_error(node, "within_us", LEAT_EDECLARE,
            "%s is negative: set the time in which a match must be complete, or 0: no limit",
            leat__duration_text(within_us, text));
}

/* "small, then large, within 10m" */
static const char *describe(struct leat_node *node, const struct leat__pattern_spec *spec)
{
    static const char *const words[] = { "", ", then ", ", next ", ", then any " };
    struct leat_strbuf text = { 0 };
    char within[32];
    for (uint32_t i = 0; i < spec->steps_count; i++) {
        const struct leat__step *step = &spec->steps[i];
        leat__strbuf_str(&text, i ? words[step->contiguity] : "");
        leat__strbuf_printf(&text, "%s%s", step->not_ ? "not " : "", step->name);
        if (step->times_max == LEAT_UNBOUNDED)
            leat__strbuf_printf(&text, " x %u or more", step->times_min);
        else if (step->times_max > 1 && step->times_max == step->times_min)
            leat__strbuf_printf(&text, " x %u", step->times_min);
        else if (step->times_max > 1)
            leat__strbuf_printf(&text, " x %u to %u", step->times_min, step->times_max);
        leat__strbuf_str(&text, step->optional ? " or none" : "");
    }
    if (spec->within_us != LEAT_NEVER)
        leat__strbuf_printf(&text, ", within %s", leat__duration_text(spec->within_us, within));
    const char *copy = text.failed ? NULL : leat__spec_str(node, text.data);
    leat__strbuf_release(&text);
    return copy;
}

static leat_stream *declare_pattern(
    struct leat_node *node, leat_keyed_stream *in, const struct leat_pattern_opts *o, bool is_frequency)
{
    struct leat__pattern_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec)
        return leat__stream(node, 0);
    node->op = &leat__pattern_class;
    leat__need_event_time(node, 0);
    spec->process.in = leat__input_type(node, 0);
    spec->runs_max = o->runs_max ? o->runs_max : LEAT__RUNS_MAX;
    check_within(node, spec, o->within_us);
    declare_steps(node, spec, o);
    declare_skip(node, spec, o);
    if (spec->process.in && spec->steps_count) {
        make_seen(node, spec);
        if (spec->seen)
            declare_conditions(node, spec, o);
        spec->is_frequency = is_frequency && !spec->has_of_match;
    }
    const struct leat_type *out = declare_output(node, spec, &o->match, "match", &spec->match);
    const struct leat_type *timed_out =
        declare_output(node, spec, &o->timed_out, "timed_out", &spec->timed_out);
    if (!o->match.fn && !o->match.out)
        leat__declare_error(
            node, "match", LEAT_EDECLARE, "missing: how the rows of output are made, fn or out");
    if (timed_out && o->within_us <= 0)
        leat__declare_error(
            node, "timed_out", LEAT_EDECLARE, "nothing is timed out: set .within_us, or leave it out");
    declare_process(node, spec, in, out, timed_out);
    if (!leat__node_is_inert(node))
        node->detail = describe(node, spec);
    return leat__stream(node, 0);
}

leat_stream *leat_pattern_sized(
    leat_keyed_stream *in, const char *name, const struct leat_pattern_opts *opts, size_t size)
{
    struct leat_pattern_opts o;
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_OPERATOR, "pattern");
    leat__input(node, 0, &in->in, LEAT_HASH, in->key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    return opts ? declare_pattern(node, in, &o, false) : leat__stream(node, 0);
}

leat_stream *leat_frequency_sized(
    leat_keyed_stream *in, const char *name, const struct leat_frequency_opts *opts, size_t size)
{
    struct leat_frequency_opts o;
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_OPERATOR, "frequency");
    leat__input(node, 0, &in->in, LEAT_HASH, in->key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat_pattern_opts *pattern = leat__spec(node, sizeof *pattern);
    if (!opts || !pattern)
        return leat__stream(node, 0);
    if (o.count == 0)
        leat__declare_error(node, "count", LEAT_EDECLARE, "0 records are always there: set how many");
    *pattern = (struct leat_pattern_opts){
        .steps = { { .name = "event",
            .where = o.where,
            .times_min = o.count ? o.count : 1,
            .times_max = o.count ? o.count : 1 } },
        .within_us = o.within_us,
        .skip = o.overlapping ? LEAT_SKIP_TO_NEXT : LEAT_SKIP_PAST_LAST,
        .match = o.match,
    };
    return declare_pattern(node, in, pattern, true);
}
