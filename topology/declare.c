/* topology/declare.c -- nodes, their inputs and outputs, their errors: what declaration functions are written
 * with.
 *
 * A node with an error leaves the graph (the nodes behind it move up), yet keeps its name taken and what it
 * consumes consumed, so that one mistake gives one message. */
#include "topology/declare.h"
#include "base/assert.h"
#include "base/near.h"
#include "record/schema.h"
#include "topology/graph_private.h"
#include <stdio.h>
#include <string.h>

#define NAMES_HINTED_MAX 256u

/* For declarations without memory for a node. It never becomes part of a graph, so that one a thread is
 * enough. */
static _Thread_local struct leat_node spare_node;

static void node_init(
    struct leat_node *node, struct leat_topology *t, enum leat_node_kind kind, const char *kind_name)
{
    node->t = t;
    node->id = UINT32_MAX;
    node->kind = kind;
    node->name = "";
    node->kind_name = kind_name;
    node->policy = LEAT_FAIL;
    node->dead_letters_port = -1;
    node->late_ports[0] = node->late_ports[1] = -1;
}

bool leat__node_is_inert(const struct leat_node *node)
{
    return node->id == UINT32_MAX;
}

static void make_inert(struct leat_node *node)
{
    struct leat_topology *t = node->t;
    if (leat__node_is_inert(node))
        return;
    LEAT_ASSERT(t->nodes[node->id] == node);
    for (uint32_t i = node->id; i + 1 < t->nodes_count; i++) {
        t->nodes[i] = t->nodes[i + 1];
        t->nodes[i]->id = i;
    }
    t->nodes_count--;
    node->id = UINT32_MAX;
}

static void out_of_memory(struct leat_node *node)
{
    make_inert(node);
    if (!node->t->inert)
        leat__topology_out_of_memory(node->t);
}

static const struct leat_declared *find_declared(const struct leat_topology *t, const char *name)
{
    for (const struct leat_declared *d = t->declared; d; d = d->next)
        if (strcmp(d->name, name) == 0)
            return d;
    return NULL;
}

/* Says that the name is taken, by what, and offers one that is not. */
static void report_taken(struct leat_node *node, const struct leat_declared *by)
{
    char free_name[LEAT_NAME_BYTES_MAX + 16];
    unsigned number = 2;
    do
        (void)snprintf(free_name, sizeof free_name, "%.56s-%u", by->name, number++);
    while (find_declared(node->t, free_name));
    leat__declare_error(node, "name", LEAT_EDECLARE,
        "the name is taken by the %s \"%s\"; names are unique in a topology: try \"%s\"", by->kind_name,
        by->name, free_name);
}

static void check_name(struct leat_node *node, const struct leat_declared *declared)
{
    char fault[256];
    if (leat__name_fault(node->name, fault, sizeof fault))
        leat__declare_error(node, "name", LEAT_EDECLARE, "%s", fault);
    else if (declared)
        report_taken(node, declared);
}

static void append_node(struct leat_topology *t, struct leat_node *node)
{
    if (t->nodes_count == LEAT_NODES_MAX) {
        leat__declare_error(node, NULL, LEAT_ELIMIT,
            "the topology has %u nodes, which is the most that one can have: split it into several jobs",
            LEAT_NODES_MAX);
        return;
    }
    node->id = t->nodes_count;
    t->nodes[t->nodes_count++] = node;
}

struct leat_node *leat__declare(
    struct leat_topology *t, const char *name, enum leat_node_kind kind, const char *kind_name)
{
    if (!t)
        t = leat__topology_inert();
    struct leat_node *node = NULL;
    struct leat_declared *declared = NULL;
    if (!t->inert) {
        leat__topology_uncheck(t);
        node = leat__arena_alloc(&t->arena, sizeof *node);
        declared = leat__arena_alloc(&t->arena, sizeof *declared);
    }
    const char *copy = declared ? leat__arena_str(&t->arena, name ? name : "") : NULL;
    if (!node || !declared || !copy) {
        memset(&spare_node, 0, sizeof spare_node);
        node_init(&spare_node, t, kind, kind_name);
        out_of_memory(&spare_node);
        return &spare_node;
    }
    node_init(node, t, kind, kind_name);
    node->name = copy;
    append_node(t, node);
    check_name(node, find_declared(t, copy));
    *declared = (struct leat_declared){ t->declared, copy, kind_name, kind };
    t->declared = declared;
    return node;
}

void leat__declare_error(struct leat_node *node, const char *option, int code, const char *format, ...)
{
    char text[LEAT_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    make_inert(node);
    leat__topology_add_error(node->t, node->kind_name, node->name, option, code, text);
}

void leat__declare_error_of(struct leat_node *node, const char *option, const struct leat_error *err)
{
    LEAT_ASSERT(err->code < 0);
    leat__declare_error(node, option, err->code, "%s", err->message);
}

/* An inert stream is silent because its own error was told. If there is none it is a handle that waits for
 * its node: late records of a window whose aggregate comes later. */
static void input_from_inert(struct leat_node *node, uint32_t i)
{
    if (node->t->errors_count == 0)
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "input %u is a stream whose node is not declared yet (late records of a window without its "
            "aggregate?): "
            "declare that node before this one",
            i);
    else
        make_inert(node);
}

/* The node above this one, itself included, that makes changes of plain records. */
static const struct leat_node *origin_of_changes(const struct leat_node *node)
{
    for (uint32_t i = 0; i < node->inputs_count; i++)
        if (leat__input_changes(node, i))
            return origin_of_changes(node->inputs[i].from);
    return node;
}

static void refuse_changes(struct leat_node *node, uint32_t i)
{
    const struct leat_node *origin = origin_of_changes(node->inputs[i].from);
    leat__declare_error(node, NULL, LEAT_EDECLARE,
        "input %u is a stream of changes, made by the %s \"%s\", and a %s would take each for a record of "
        "its "
        "own: put leat_changelog before it, which says what becomes of them",
        i, origin->kind_name, origin->name, node->kind_name);
}

void leat__input(struct leat_node *node, uint32_t i, const struct leat_stream *in,
    enum leat_partitioning partitioning, const struct leat_key *key)
{
    LEAT_ASSERT(i < LEAT_NODE_INPUTS_MAX);
    LEAT_ASSERT(partitioning != LEAT_HASH || key || !in->node || leat__node_is_inert(node));
    node->inputs[i] =
        (struct leat_input){ in->node, in->port, partitioning, key, NULL, node->inputs[i].takes_changes };
    if (i >= node->inputs_count)
        node->inputs_count = i + 1;
    if (!in->node) {
        input_from_inert(node, i);
        return;
    }
    if (in->t != node->t) {
        node->inputs[i].from = NULL;
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "input %u, the %s \"%s\", belongs to the topology \"%s\", not to \"%s\": streams can not be "
            "shared",
            i, in->node->kind_name, in->node->name, in->t->name, node->t->name);
        return;
    }
    struct leat_output *output = &in->node->outputs[in->port];
    output->taken = true;
    if (node->kind == LEAT_NODE_VIRTUAL)
        return;
    output->consumers_count++;
    if (output->changes && !node->inputs[i].takes_changes)
        refuse_changes(node, i);
}

void leat__takes_changes(struct leat_node *node, uint32_t i)
{
    LEAT_ASSERT(i < LEAT_NODE_INPUTS_MAX && i >= node->inputs_count);
    node->inputs[i].takes_changes = true;
}

bool leat__input_changes(const struct leat_node *node, uint32_t i)
{
    const struct leat_input *in = &node->inputs[i];
    return in->from && in->from->outputs[in->port].changes;
}

void leat__input_via(struct leat_node *node, uint32_t i, struct leat_node *via)
{
    LEAT_ASSERT(i < node->inputs_count);
    node->inputs[i].via = via;
    if (via)
        via->taken = true;
}

const struct leat_type *leat__input_type(const struct leat_node *node, uint32_t i)
{
    const struct leat_input *in = &node->inputs[i];
    return in->from ? in->from->outputs[in->port].type : NULL;
}

/* The first source above the node (depth first) whose records have no event time; NULL when a node on the way
 * is the reason. */
static const struct leat_node *source_without_time(const struct leat_node *node)
{
    if (node->kind == LEAT_NODE_SOURCE)
        return node->time.field ? NULL : node;
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        const struct leat_input *in = &node->inputs[i];
        if (!in->from || in->from->outputs[in->port].has_event_time)
            continue;
        const struct leat_node *source = source_without_time(in->from);
        if (source)
            return source;
    }
    return NULL;
}

void leat__need_event_time(struct leat_node *node, uint32_t i)
{
    const struct leat_input *in = &node->inputs[i];
    if (!in->from || in->from->outputs[in->port].has_event_time)
        return;
    const struct leat_node *source = source_without_time(in->from);
    if (source)
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "input %u has no event time: set .event_time of the %s \"%s\" to the field that holds it", i,
            source->kind_name, source->name);
    else
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "input %u has no event time: output \"%s\" of the %s \"%s\" does not carry one", i,
            in->from->outputs[in->port].name ? in->from->outputs[in->port].name : "main", in->from->kind_name,
            in->from->name);
}

/* Whether the descriptor is right; tells if it is not. Right ones are checked once a topology. */
static bool check_type(struct leat_node *node, const char *option, const struct leat_type *type)
{
    struct leat_topology *t = node->t;
    struct leat_error err = { 0 };
    for (const struct leat_checked_type *c = t->checked_types; c; c = c->next)
        if (c->type == type)
            return true;
    if (type->kind != LEAT_KIND_RECORD) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "streams carry records, and this type is %s: wrap it in a record", type->name);
        return false;
    }
    if (type->size > LEAT_ROW_BYTES_MAX) {
        leat__declare_error(node, option, LEAT_ELIMIT,
            "struct %s has %u bytes, at most %u are allowed: move large fixed or nested fields out of it",
            type->name, type->size, LEAT_ROW_BYTES_MAX);
        return false;
    }
    if (leat__type_check(type, &err) < 0) {
        leat__declare_error_of(node, option, &err);
        return false;
    }
    struct leat_checked_type *checked = leat__arena_alloc(&t->arena, sizeof *checked);
    if (!checked) {
        out_of_memory(node);
        return false;
    }
    *checked = (struct leat_checked_type){ t->checked_types, type };
    t->checked_types = checked;
    return true;
}

/* Names of outputs are shown in plans, and found by, as those of nodes are. */
static void check_output_name(struct leat_node *node, const char *name)
{
    char fault[256];
    if (leat__name_fault(name, fault, sizeof fault)) {
        leat__declare_error(node, NULL, LEAT_EDECLARE, "output \"%s\": %s", name, fault);
        return;
    }
    for (uint32_t i = 0; i < node->outputs_count && !leat__node_is_inert(node); i++)
        if (node->outputs[i].name && strcmp(node->outputs[i].name, name) == 0)
            leat__declare_error(node, NULL, LEAT_EDECLARE,
                "two outputs are called \"%s\": rename the one that is yours (late and dead-letters are the "
                "engine's)",
                name);
}

uint32_t leat__output(struct leat_node *node, const struct leat_type *type, const char *name)
{
    const char *option = node->kind == LEAT_NODE_SOURCE ? "type" : "out";
    LEAT_ASSERT(node->outputs_count < LEAT_NODE_OUTPUTS_MAX);
    LEAT_ASSERT(node->kind != LEAT_NODE_SINK && node->kind != LEAT_NODE_VIRTUAL);
    if (!type && !leat__node_is_inert(node))
        leat__declare_error(node, option, LEAT_EDECLARE,
            "no record type given: set it to the address of the one that leat gen wrote, such as "
            "&order_type");
    else if (!leat__node_is_inert(node))
        (void)check_type(node, option, type);
    if (name)
        check_output_name(node, name);
    struct leat_output *output = &node->outputs[node->outputs_count];
    *output = (struct leat_output){ .type = type, .name = leat__spec_str(node, name) };
    if (node->kind == LEAT_NODE_SOURCE)
        output->has_event_time = node->time.field != NULL;
    else
        output->has_event_time = node->inputs_count > 0;
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        const struct leat_input *in = &node->inputs[i];
        if (!in->from || !in->from->outputs[in->port].has_event_time)
            output->has_event_time = false;
        output->changes |= leat__input_changes(node, i);
    }
    return node->outputs_count++;
}

struct leat_stream *leat__stream_inert(struct leat_topology *t)
{
    return t ? &t->inert_stream : &leat__topology_inert()->inert_stream;
}

struct leat_keyed_stream *leat__keyed_inert(struct leat_topology *t)
{
    return t ? &t->inert_keyed : &leat__topology_inert()->inert_keyed;
}

struct leat_windowed_stream *leat__windowed_inert(struct leat_topology *t)
{
    return t ? &t->inert_windowed : &leat__topology_inert()->inert_windowed;
}

struct leat_stream *leat__stream(struct leat_node *node, uint32_t port)
{
    if (leat__node_is_inert(node))
        return leat__stream_inert(node->t);
    LEAT_ASSERT(port < node->outputs_count);
    struct leat_stream *stream = leat__arena_alloc(&node->t->arena, sizeof *stream);
    if (!stream) {
        leat__topology_out_of_memory(node->t);
        return leat__stream_inert(node->t);
    }
    *stream = (struct leat_stream){ node->t, node, port };
    return stream;
}

void *leat__spec(struct leat_node *node, size_t size)
{
    void *p = node->t->inert ? NULL : leat__arena_alloc(&node->t->arena, size);
    if (!p)
        out_of_memory(node);
    return p;
}

const char *leat__spec_str(struct leat_node *node, const char *text)
{
    if (!text)
        return NULL;
    const size_t size = strlen(text) + 1;
    char *copy = leat__spec(node, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

const char *leat__spec_printf(struct leat_node *node, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    char *text = len < 0 ? NULL : leat__spec(node, (size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    else
        out_of_memory(node);
    va_end(again);
    va_end(args);
    return text;
}

bool leat__topology_defer(struct leat_node *node, void (*release)(void *p), void *p)
{
    struct leat_topology *t = node->t;
    if (!p)
        return true;
    struct leat_deferred *deferred = t->inert ? NULL : leat__arena_alloc(&t->arena, sizeof *deferred);
    if (!deferred) {
        release(p);
        out_of_memory(node);
        return false;
    }
    *deferred = (struct leat_deferred){ t->deferred, release, p };
    t->deferred = deferred;
    return true;
}
