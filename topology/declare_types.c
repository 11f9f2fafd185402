/* topology/declare_types.c -- declaration errors about types, fields and outputs: what was found, what was
 * expected, what was probably meant. */
#include "base/assert.h"
#include "base/near.h"
#include "record/schema.h"
#include "topology/declare.h"
#include "topology/graph_private.h"

#define FIELDS_LISTED_MAX 24u
#define CANDIDATES_MAX 256u

static void print_field_type(struct leat_strbuf *out, const struct leat_field *field)
{
    leat__type_print(out, field->type);
    if (field->has_offset != LEAT_NOT_NULLABLE)
        leat__strbuf_str(out, " or null");
}

/* The first field in which the records differ, as text. Types with equal fields differ elsewhere: in their
 * layout. */
static void print_difference(
    struct leat_strbuf *out, const struct leat_type *want, const struct leat_type *have)
{
    for (uint32_t i = 0; i < want->fields_count; i++) {
        const struct leat_field *w = &want->fields[i], *h = i < have->fields_count ? &have->fields[i] : NULL;
        if (!h) {
            leat__strbuf_printf(out, "%s has no field \"%s\"", have->name, w->name);
            return;
        }
        if (strcmp(w->name, h->name) != 0) {
            leat__strbuf_printf(
                out, "field %u of %s is \"%s\", not \"%s\"", i + 1, have->name, h->name, w->name);
            return;
        }
        if (!leat__type_equal(w->type, h->type) ||
            (w->has_offset == LEAT_NOT_NULLABLE) != (h->has_offset == LEAT_NOT_NULLABLE)) {
            leat__strbuf_printf(out, "its field \"%s\" is ", w->name);
            print_field_type(out, h);
            leat__strbuf_str(out, ", not ");
            print_field_type(out, w);
            return;
        }
    }
    if (have->fields_count > want->fields_count)
        leat__strbuf_printf(out, "it has the field \"%s\" besides", have->fields[want->fields_count].name);
    else
        leat__strbuf_str(out, "the layouts differ: run leat gen again for both");
}

void leat__need_type(
    struct leat_node *node, uint32_t i, const struct leat_type *want, const char *option, const char *fn_name)
{
    const struct leat_type *have = leat__input_type(node, i);
    if (!have || have == want)
        return;
    if (!want) {
        leat__declare_error(node, option, LEAT_EDECLARE,
            "%s says no type of the records it takes: make it with its LEAT_DEFINE_ macro", fn_name);
        return;
    }
    if (leat__type_equal(want, have))
        return;
    struct leat_strbuf text = { 0 };
    print_difference(&text, want, have);
    leat__declare_error(node, option, LEAT_EDECLARE, "%s takes %s, and the %s \"%s\" gives %s: %s", fn_name,
        want->name, node->inputs[i].from->kind_name, node->inputs[i].from->name, have->name,
        text.data ? text.data : "they differ");
    leat__strbuf_release(&text);
}

/* " (a, b, c); did you mean \"b\"?" */
static void print_hint(struct leat_strbuf *out, const char *const *names, uint32_t count, const char *word)
{
    leat__strbuf_str(out, " (");
    for (uint32_t i = 0; i < count && i < FIELDS_LISTED_MAX; i++)
        leat__strbuf_printf(out, "%s%s", i ? ", " : "", names[i]);
    if (count > FIELDS_LISTED_MAX)
        leat__strbuf_printf(out, " and %u more", count - FIELDS_LISTED_MAX);
    leat__strbuf_char(out, ')');
    const int near = word ? leat__near(word, names, count) : -1;
    if (near >= 0)
        leat__strbuf_printf(out, "; did you mean \"%s\"?", names[near]);
}

const char *leat__fields_hint(struct leat_node *node, const struct leat_type *type, const char *word)
{
    const char *names[CANDIDATES_MAX];
    struct leat_strbuf text = { 0 };
    uint32_t count = 0;
    for (; count < type->fields_count && count < CANDIDATES_MAX; count++)
        names[count] = type->fields[count].name;
    print_hint(&text, names, count, word);
    const char *copy = text.failed ? NULL : leat__spec_str(node, text.data);
    leat__strbuf_release(&text);
    return copy ? copy : "";
}

/* Ports that have functions of their own: dead letters and late records. */
static bool is_special_port(const struct leat_node *node, uint32_t port)
{
    return (int32_t)port == node->dead_letters_port || (int32_t)port == node->late_ports[0] ||
        (int32_t)port == node->late_ports[1];
}

struct leat_stream *leat__named_output(struct leat_stream *stream, const char *name, const char *what)
{
    struct leat_node *node = stream->node;
    const char *names[LEAT_NODE_OUTPUTS_MAX];
    uint32_t count = 0;
    if (!node)
        return stream;
    for (uint32_t port = 0; port < node->outputs_count; port++) {
        if (!node->outputs[port].name || is_special_port(node, port))
            continue;
        if (name && strcmp(node->outputs[port].name, name) == 0)
            return leat__stream(node, port);
        names[count++] = node->outputs[port].name;
    }
    struct leat_strbuf text = { 0 };
    leat__strbuf_printf(&text, "no %s \"%s\"", what, name ? name : "");
    if (count)
        print_hint(&text, names, count, name);
    else
        leat__strbuf_str(&text, ": it has none at all");
    leat__topology_add_error(
        node->t, node->kind_name, node->name, NULL, LEAT_EDECLARE, text.data ? text.data : "no such output");
    leat__strbuf_release(&text);
    return leat__stream_inert(node->t);
}
