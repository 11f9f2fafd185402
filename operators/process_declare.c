/* operators/process_declare.c -- leat_process: options to a spec, with all their mistakes told. */
#include "operators/key_private.h"
#include "operators/process_private.h"
#include "record/schema.h"

static void free_schema(void *schema)
{
    leat__schema_free(schema);
}

/* ---- states ---- */

static bool is_name(const char *name)
{
    const size_t len = strlen(name);
    return len > 0 && len <= LEAT_NAME_BYTES_MAX &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static void check_name(
    struct leat_node *node, const struct leat_process_opts *o, uint32_t i, const char *option)
{
    const char *name = o->state[i].name;
    if (!is_name(name))
        leat__declare_error(node, option, LEAT_EDECLARE,
            "\"%s\" is no name of a state: [a-z0-9._-], at most %u bytes", name, LEAT_NAME_BYTES_MAX);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(o->state[k].name, name) == 0)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "the name \"%s\" is taken by state[%u]", name, k);
}

/* The kind and what it is of; 0 with the error told. */
static enum leat__state_kind kind_of(
    struct leat_node *node, const struct leat_keyed_state *given, const char *option)
{
    const int count = !!given->value + !!given->list + !!given->map + !!given->aggregate;
    if (count != 1) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "state \"%s\" has %s: give exactly one of value, list, map and aggregate", given->name,
            count ? "several kinds" : "no kind");
        return 0;
    }
    return given->value ? LEAT__STATE_VALUE
        : given->list   ? LEAT__STATE_LIST
        : given->map    ? LEAT__STATE_MAP
                        : LEAT__STATE_AGGREGATE;
}

/* Records in state are saved by their schema. */
static bool check_type(struct leat_node *node, const struct leat_type *type, struct leat_schema **schema,
    const char *option, const char *name)
{
    struct leat_error err = { 0 };
    if (type->kind != LEAT_KIND_RECORD || !type->schema) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "state \"%s\" is of %s, which %s: give a record type that leat gen makes", name, type->name,
            type->kind == LEAT_KIND_RECORD ? "has no schema" : "is no record");
        return false;
    }
    if (leat__type_check(type, &err) < 0 ||
        leat__schema_parse(type->schema, strlen(type->schema), schema, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return false;
    }
    leat__topology_defer(node, free_schema, *schema);
    if (type->size > LEAT_ROW_BYTES_MAX)
        leat__declare_error(node, option, LEAT_ELIMIT, "struct %s has %u bytes; %u are the limit", type->name,
            type->size, LEAT_ROW_BYTES_MAX);
    return true;
}

static void check_map_key(struct leat_node *node, enum leat_kind kind, const char *option, const char *name)
{
    switch (kind) {
    case LEAT_KIND_BOOLEAN:
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        return;
    default:
        leat__declare_error(node, option, LEAT_EDECLARE,
            "map_key of \"%s\" is %d: give LEAT_KIND_STRING, BYTES, LONG, INT, BOOLEAN, DOUBLE or FLOAT",
            name, (int)kind);
    }
}

static void check_ttl(struct leat_node *node, struct leat__process_spec *spec, struct leat_ttl *ttl,
    const char *option, const char *name)
{
    char text[32];
    if (ttl->us < 0)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "the time to live of \"%s\" is negative (%s): give how long after it was written it is there, or "
            "0: for "
            "ever",
            name, leat__duration_text(ttl->us, text));
    if (ttl->us == 0 && (ttl->time || ttl->on_read))
        leat__declare_error(
            node, option, LEAT_EDECLARE, "ttl of \"%s\" has options but no duration: set ttl.us", name);
    if (ttl->us == 0)
        return;
    if (!ttl->time)
        ttl->time = LEAT_EVENT_TIME;
    if (ttl->time != LEAT_EVENT_TIME && ttl->time != LEAT_PROCESSING_TIME)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "ttl.time of \"%s\" is %d: LEAT_EVENT_TIME or LEAT_PROCESSING_TIME", name, (int)ttl->time);
    else if (ttl->time == LEAT_EVENT_TIME && !spec->has_event_time && !leat__node_is_inert(node))
        leat__declare_error(node, option, LEAT_EDECLARE,
            "the time to live of \"%s\" is by event time, and the input has none: set ttl.time to "
            "LEAT_PROCESSING_TIME, or .event_time of the source",
            name);
}

/* False when nothing more can be told of it. */
static bool declare_aggregate(struct leat_node *node, struct leat__state_spec *state,
    const struct leat_aggregate_fn *fn, struct leat_schema **schema, const char *option)
{
    struct leat_aggregate_fn *copy = leat__spec(node, sizeof *copy);
    if (!copy)
        return false;
    memcpy(copy, fn, fn->size < sizeof *copy ? fn->size : sizeof *copy);
    state->fn = copy;
    state->size = copy->accumulator_size;
    state->type = copy->accumulator_type;
    if (!copy->accumulate || !copy->result)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "state \"%s\" has an aggregate without callbacks: give what LEAT_DEFINE_AGGREGATE makes",
            state->name);
    if (state->size > LEAT_ROW_BYTES_MAX)
        leat__declare_error(node, option, LEAT_ELIMIT, "the accumulator of %s has %u bytes; %u are the limit",
            copy->name, state->size, LEAT_ROW_BYTES_MAX);
    if (!state->type)
        return true;
    if (state->type->kind == LEAT_KIND_RECORD && state->type->size != state->size)
        leat__declare_error(node, option, LEAT_EDECLARE,
            "the accumulator of %s has %u bytes, and struct %s has %u: they must be the same struct",
            copy->name, state->size, state->type->name, state->type->size);
    return check_type(node, state->type, schema, option, state->name);
}

/* The texts that are saved with the tables. A change of the time to live is none of the format. */
static void describe_tables(struct leat_node *node, const struct leat__process_spec *spec,
    struct leat__state_spec *state, const struct leat_schema *schema)
{
    static const char *const key_words[] = { [LEAT_KIND_BOOLEAN] = "boolean",
        [LEAT_KIND_INT] = "long",
        [LEAT_KIND_LONG] = "long",
        [LEAT_KIND_FLOAT] = "double",
        [LEAT_KIND_DOUBLE] = "double",
        [LEAT_KIND_BYTES] = "bytes",
        [LEAT_KIND_STRING] = "string" };
    if (state->kind == LEAT__STATE_AGGREGATE && !state->type) {
        state->format = leat__spec_printf(node, "v1; accumulator of %s, %u bytes",
            state->fn && state->fn->name ? state->fn->name : "?", state->size);
        return;
    }
    if (state->kind == LEAT__STATE_LIST) {
        state->format = leat__spec_str(node, "v1; rows");
        return;
    }
    state->format = leat__spec_printf(node, "v1; avro %016llx", (unsigned long long)schema->fingerprint);
    if (state->kind != LEAT__STATE_MAP)
        return;
    const char *word = state->map_key <= LEAT_KIND_STRING ? key_words[state->map_key] : NULL;
    state->entry_key = leat__spec_printf(node, "%s; map key %s", spec->key_types, word ? word : "?");
    state->index_name = leat__spec_printf(node, "%s index", state->name);
    state->index_format = leat__spec_printf(node, "v1; map keys %s", word ? word : "?");
}

static void declare_state(
    struct leat_node *node, struct leat__process_spec *spec, const struct leat_process_opts *o, uint32_t i)
{
    const struct leat_keyed_state *given = &o->state[i];
    const char *option = leat__spec_printf(node, "state[%u]", i);
    struct leat__state_spec *state = &spec->states[i];
    spec->states_count = i + 1;
    check_name(node, o, i, option);
    state->name = leat__spec_str(node, given->name);
    state->kind = kind_of(node, given, option);
    state->ttl = given->ttl;
    state->map_key = given->map_key;
    check_ttl(node, spec, &state->ttl, option, given->name);
    if (!state->kind || !state->name)
        return;
    state->id = (uint32_t)leat__hash(state->name, strlen(state->name));
    if (state->kind == LEAT__STATE_MAP)
        check_map_key(node, given->map_key, option, given->name);
    else if (given->map_key)
        leat__declare_error(
            node, option, LEAT_EDECLARE, "map_key is given, and \"%s\" is no map", given->name);
    if (state->kind == LEAT__STATE_AGGREGATE) {
        if (!declare_aggregate(node, state, given->aggregate, &spec->schemas[i], option))
            return;
    } else {
        state->type = given->value ? given->value : given->list ? given->list : given->map;
        state->size = state->type->size;
        if (!check_type(node, state->type, &spec->schemas[i], option, given->name))
            return;
    }
    if (!leat__node_is_inert(node))
        describe_tables(node, spec, state, spec->schemas[i]);
}

static void check_ids(struct leat_node *node, const struct leat__process_spec *spec)
{
    for (uint32_t i = 0; i < spec->states_count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (spec->states[i].id == spec->states[k].id && !leat__node_is_inert(node))
                leat__declare_error(node, "state", LEAT_EDECLARE,
                    "the names \"%s\" and \"%s\" have the same hash: change one of them",
                    spec->states[k].name, spec->states[i].name);
}

static void declare_states(
    struct leat_node *node, struct leat__process_spec *spec, const struct leat_process_opts *o)
{
    uint32_t count = 0;
    for (; count < LEAT__STATES_MAX && o->state[count].name; count++)
        declare_state(node, spec, o, count);
    for (uint32_t i = count; i < LEAT__STATES_MAX; i++) {
        const struct leat_keyed_state *s = &o->state[i];
        if (s->name || s->value || s->list || s->map || s->aggregate) {
            leat__declare_error(node, leat__spec_printf(node, "state[%u].name", count), LEAT_EDECLARE,
                "missing: states go up to the first without a name, and there is more behind");
            return;
        }
    }
    check_ids(node, spec);
}

/* ---- sides ---- */

static void check_side(struct leat_node *node, const struct leat_process_opts *o, uint32_t i)
{
    const char *option = leat__spec_printf(node, "sides[%u]", i);
    if (!o->sides[i].type)
        leat__declare_error(node, option, LEAT_EDECLARE, "side output \"%s\" has no type", o->sides[i].name);
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(o->sides[k].name, o->sides[i].name) == 0)
            leat__declare_error(
                node, option, LEAT_EDECLARE, "the name \"%s\" is taken by sides[%u]", o->sides[i].name, k);
}

static void declare_sides(
    struct leat_node *node, const struct leat_process_opts *o, struct leat__process_spec *spec)
{
    uint32_t count = 0;
    for (; count < LEAT__SIDES_MAX && o->sides[count].name; count++)
        check_side(node, o, count);
    for (uint32_t i = count; i < LEAT__SIDES_MAX; i++)
        if (o->sides[i].name || o->sides[i].type) {
            leat__declare_error(node, leat__spec_printf(node, "sides[%u].name", count), LEAT_EDECLARE,
                "missing: side outputs go up to the first without a name, and there is more behind");
            break;
        }
    spec->sides_count = count;
    for (uint32_t i = 0; i < count; i++)
        leat__output(node, o->sides[i].type, o->sides[i].name);
}

/* ---- the whole ---- */

static void declare_fn(
    struct leat_node *node, struct leat__process_spec *spec, const struct leat_process_fn *fn)
{
    if (!fn || !fn->name || !fn->on_record) {
        leat__declare_error(
            node, "fn", LEAT_EDECLARE, "missing: the function that LEAT_DEFINE_PROCESS makes");
        return;
    }
    memcpy(&spec->fn, fn, fn->size < sizeof spec->fn ? fn->size : sizeof spec->fn);
    leat__need_type(node, 0, fn->in, "fn", fn->name);
}

/* "visits: session, clicks" */
static const char *describe(struct leat_node *node, const struct leat__process_spec *spec)
{
    struct leat_strbuf text = { 0 };
    leat__strbuf_str(&text, spec->fn.name);
    for (uint32_t i = 0; i < spec->states_count; i++)
        leat__strbuf_printf(&text, "%s %s", i ? "," : ", state", spec->states[i].name);
    const char *copy = text.failed ? NULL : leat__spec_str(node, text.data);
    leat__strbuf_release(&text);
    return copy;
}

static void declare_key(
    struct leat_node *node, struct leat__process_spec *spec, const struct leat_keyed_stream *keyed)
{
    struct leat__aggregate_spec parts = { .in = spec->in, .key = keyed->key };
    spec->key = keyed->key;
    if (!spec->in || !keyed->key)
        return;
    leat__key_parts_declare(node, &parts, keyed);
    spec->key_parts = parts.key_parts;
    spec->key_types = leat__key_describe(node, keyed->key, LEAT_KEY_NULLS_GROUP);
}

void leat__process_declare(struct leat_node *node, struct leat__process_spec *spec,
    const struct leat_keyed_stream *in, const struct leat_process_opts *o)
{
    node->spec = spec;
    spec->in = leat__input_type(node, 0);
    spec->has_event_time = in->in.node && in->in.node->outputs[in->in.port].has_event_time;
    declare_fn(node, spec, o->fn);
    declare_key(node, spec, in);
    declare_states(node, spec, o);
    if (o->out)
        leat__output(node, o->out, NULL);
    else
        leat__declare_error(node, "out", LEAT_EDECLARE, "missing: the type of the output record");
    declare_sides(node, o, spec);
}

leat_stream *leat_process_sized(
    leat_keyed_stream *in, const char *name, const struct leat_process_opts *opts, size_t size)
{
    struct leat_process_opts o;
    struct leat_node *node = leat__declare(in->in.t, name, LEAT_NODE_OPERATOR, leat__process_class.kind);
    leat__input(node, 0, &in->in, LEAT_HASH, in->key);
    leat__input_via(node, 0, in->virtual_node);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &leat__process_class;
    struct leat__process_spec *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    leat__process_declare(node, spec, in, &o);
    if (!leat__node_is_inert(node))
        node->detail = describe(node, spec);
    return leat__stream(node, 0);
}
