/* operators/cogroup.c -- several keyed streams as one: each record in a field of its own of a record type that is made
 * for it, beside the fields of the key.
 *
 * One row out for one row in; what it shows stays where it is. The inputs come over hash edges by their own keys, and
 * the key of what is made has the same bytes: so what follows by that key is not exchanged again.
 *
 * What expressions of a key give is worked out once more for the fields that show it; rows for which they fail were
 * taken out before.
 *
 * Invariants: (1) exactly one of the fields of inputs is set in each row; (2) bytes of the made key are those of the
 * input's (checked when declared: leat__key_compatible). */
#include "base/alloc.h"
#include "operators/projection_private.h"
#include "operators/rows_private.h"
#include "record/expr.h"
#include "record/key.h"
#include "topology/declare.h"
#include <leat/cogroup.h>
#include <string.h>

#define INPUTS_MAX (sizeof((struct leat_cogroup_opts *)0)->inputs / sizeof(struct leat_cogroup_input))
_Static_assert(INPUTS_MAX <= LEAT_NODE_INPUTS_MAX, "a node has as many inputs");

struct key_part {
    const struct leat_type *type;
    struct leat_place from; /* of a field */
    const struct leat_expr *expr; /* else */
    struct leat_expr_store store;
    uint32_t to, has; /* offsets in the row that is made */
};

struct cogroup_input {
    uint32_t to, has, size;
    const struct leat_key *exprs_key; /* the input's key, if parts are expressions; else NULL */
    struct key_part parts[LEAT_KEY_FIELDS_MAX];
};

struct cogroup_spec {
    uint32_t inputs_count, parts_count;
    const char *key_text; /* names of the key's fields in what is made */
    struct cogroup_input inputs[INPUTS_MAX];
};

struct cogroup {
    struct leat_op op;
    const struct cogroup_spec *spec;
    uint32_t input; /* of the batch in work */
    struct leat__one_to_one rows;
    struct leat_key_scratch *keys; /* where an input's key has expressions */
    struct leat_expr_scratch *exprs[INPUTS_MAX][LEAT_KEY_FIELDS_MAX];
};

static bool is_null(const struct leat_place *place, const unsigned char *row)
{
    for (uint32_t i = 0;
         i < sizeof place->outer_has / sizeof place->outer_has[0] && place->outer_has[i] != LEAT_NOT_NULLABLE;
         i++)
        if (!row[place->outer_has[i]])
            return true;
    return place->has_offset != LEAT_NOT_NULLABLE && !row[place->has_offset];
}

/* Texts that an expression has made live no longer than its scratch. */
static int own_texts(
    struct leat__ctx *ctx, const struct leat_vector *values, uint32_t to, struct leat_batch *out)
{
    for (uint32_t r = 0; r < values->count; r++) {
        const struct leat_sv text = values->strings[r];
        if ((values->is_null && values->is_null[r]) || text.len == 0)
            continue;
        char *copy = leat__batch_alloc(out, text.len, 1);
        if (!copy)
            return leat__rows_nomem(ctx, "the texts of keys");
        memcpy(copy, text.data, text.len);
        const struct leat_sv own = { copy, text.len };
        memcpy((unsigned char *)leat_batch_at(out, r) + to, &own, sizeof own);
    }
    return 0;
}

static int make_exprs(
    struct cogroup *c, struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    const struct cogroup_input *input = &c->spec->inputs[c->input];
    for (uint32_t p = 0; p < c->spec->parts_count; p++) {
        const struct key_part *part = &input->parts[p];
        struct leat_error err = { 0 };
        struct leat_vector values;
        if (!part->expr)
            continue;
        int code = leat__expr_eval(part->expr, c->exprs[c->input][p], in, &values, NULL, &err);
        if (code == 0)
            code = leat__expr_store(&part->store, &values, out, NULL, &err);
        if (code < 0)
            return leat__fail(ctx, code, "%s", err.message);
        if (values.value_class == LEAT_VALUE_STRING)
            LEAT_TRY(own_texts(ctx, &values, part->to, out));
    }
    return 0;
}

static int cogroup_make(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    struct cogroup *c = (struct cogroup *)op;
    const struct cogroup_input *input = &c->spec->inputs[c->input];
    for (uint32_t r = 0; r < in->count; r++) {
        const unsigned char *from = leat_batch_at(in, r);
        unsigned char *to = leat_batch_at(out, r);
        memcpy(to + input->to, from, input->size);
        to[input->has] = 1;
        for (uint32_t p = 0; p < c->spec->parts_count; p++) {
            const struct key_part *part = &input->parts[p];
            if (part->expr || is_null(&part->from, from))
                continue;
            memcpy(to + part->to, from + part->from.offset, part->type->size);
            if (part->has != LEAT_NOT_NULLABLE)
                to[part->has] = 1;
        }
    }
    return input->exprs_key ? make_exprs(c, ctx, in, out) : 0;
}

static int cogroup_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct cogroup *c = (struct cogroup *)op;
    c->spec = op->node->spec;
    c->rows.make = cogroup_make;
    for (uint32_t i = 0; i < c->spec->inputs_count; i++) {
        const struct cogroup_input *input = &c->spec->inputs[i];
        if (input->exprs_key && !c->keys && leat__key_scratch_new(&c->keys) < 0)
            return leat__rows_nomem(ctx, "keys");
        for (uint32_t p = 0; p < c->spec->parts_count; p++)
            if (input->parts[p].expr && leat__expr_scratch_new(input->parts[p].expr, &c->exprs[i][p]) < 0)
                return leat__rows_nomem(ctx, "keys");
    }
    return 0;
}

static int cogroup_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct cogroup *c = (struct cogroup *)op;
    LEAT_ASSERT(input < c->spec->inputs_count);
    const struct leat_key *key = c->spec->inputs[input].exprs_key;
    const struct leat_sv *keys;
    c->input = input;
    if (key) {
        const int code = leat__rows_keys(ctx, key, c->keys, &batch, &keys);
        if (code < 0)
            leat__batch_release(batch);
        if (code < 0 || !batch)
            return code;
    }
    return leat__one_to_one_batch(&c->rows, op, ctx, batch);
}

static int cogroup_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__one_to_one_step(&((struct cogroup *)op)->rows, op, ctx);
}

static void cogroup_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct cogroup *c = (struct cogroup *)op;
    (void)ctx;
    leat__one_to_one_release(&c->rows);
    leat__key_scratch_free(c->keys);
    for (uint32_t i = 0; i < INPUTS_MAX; i++)
        for (uint32_t p = 0; p < LEAT_KEY_FIELDS_MAX; p++)
            leat__expr_scratch_free(c->exprs[i][p]);
}

static const struct leat_op_class cogroup_class = {
    .kind = "cogroup",
    .size = sizeof(struct cogroup),
    .init = cogroup_init,
    .on_batch = cogroup_on_batch,
    .step = cogroup_step,
    .release = cogroup_release,
};

/* ---- declaration ---- */

/* What is made, while it is declared. */
struct plan {
    struct leat_node *node;
    const struct leat_cogroup_opts *o;
    struct cogroup_spec *spec;
    const struct leat_key *first_key;
    struct leat__made_field fields[LEAT_KEY_FIELDS_MAX + INPUTS_MAX];
    uint32_t fields_count;
};

static void free_key(void *key)
{
    leat__key_free(key);
}

static const char *option_of(const struct plan *plan, uint32_t i, const char *what)
{
    const char *text = leat__spec_printf(plan->node, "inputs[%u].%s", i, what);
    return text ? text : what;
}

/* Where the parts of an input's key come from. */
static void find_parts(struct plan *plan, uint32_t i, const struct leat_key *key)
{
    struct cogroup_input *input = &plan->spec->inputs[i];
    const uint32_t count = leat__key_parts_count(key);
    for (uint32_t p = 0; p < count; p++) {
        const struct leat_key_part part = leat__key_part(key, p);
        input->parts[p].type = part.type;
        input->parts[p].from = part.place;
        input->parts[p].expr = part.expr;
        if (part.expr)
            input->exprs_key = key;
        if (i == 0 && !part.name)
            leat__declare_error(plan->node, option_of(plan, i, "key"), LEAT_EDECLARE,
                "%s needs a name, for the field that shows it: write \"%s as name\"", part.text, part.text);
        if (i > 0 && part.as && plan->first_key && p < leat__key_parts_count(plan->first_key)) {
            const char *name = leat__key_part(plan->first_key, p).name;
            if (name && strcmp(part.as, name) != 0)
                leat__declare_error(plan->node, option_of(plan, i, "key"), LEAT_EDECLARE,
                    "the field that shows %s has its name of the first input, \"%s\": leave \"as %s\" out",
                    part.text, name, part.as);
        }
    }
    if (i == 0) {
        plan->spec->parts_count = count;
        plan->first_key = key;
    }
}

/* The fields of the key, as the first input has and names them. */
static void add_key_fields(struct plan *plan)
{
    for (uint32_t p = 0; p < plan->spec->parts_count; p++) {
        const struct leat_key_part part = leat__key_part(plan->first_key, p);
        plan->fields[plan->fields_count++] =
            (struct leat__made_field){ part.name, part.type, part.is_nullable };
        plan->spec->key_text =
            leat__spec_printf(plan->node, "%s%s%s", p ? plan->spec->key_text : "", p ? ", " : "", part.name);
        if (!plan->spec->key_text)
            return;
    }
}

static void add_input_field(struct plan *plan, uint32_t i)
{
    const char *as = plan->o->inputs[i].as;
    if (!as || !*as) {
        leat__declare_error(plan->node, option_of(plan, i, "as"), LEAT_EDECLARE,
            "missing: the name of the field that has the records of this input");
        return;
    }
    for (uint32_t k = 0; k < plan->fields_count; k++)
        if (strcmp(plan->fields[k].name, as) == 0)
            leat__declare_error(plan->node, option_of(plan, i, "as"), LEAT_EDECLARE,
                "\"%s\" is the name of %s already: give each input a name of its own", as,
                k < plan->spec->parts_count ? "a field of the key" : "another input");
    plan->fields[plan->fields_count++] =
        (struct leat__made_field){ as, leat__input_type(plan->node, i), true };
}

/* The key of an input, by which it is exchanged. */
static void declare_key(struct plan *plan, uint32_t i)
{
    struct leat_node *node = plan->node;
    const struct leat_type *type = leat__input_type(node, i);
    struct leat_error err = { 0 };
    struct leat_key *key = NULL;
    if (!plan->o->inputs[i].key) {
        leat__declare_error(node, option_of(plan, i, "key"), LEAT_EDECLARE,
            "missing: fields or expressions, such as \"customer_id, region\" or \"lower(email) as email\"");
        return;
    }
    if (!type)
        return;
    if (leat__key_new(type, plan->o->inputs[i].key, LEAT_KEY_NULLS_GROUP, &key, &err) < 0) {
        leat__declare_error_of(node, option_of(plan, i, "key"), &err);
        return;
    }
    leat__topology_defer(node, free_key, key);
    node->inputs[i].partitioning = LEAT_HASH;
    node->inputs[i].key = key;
    if (i > 0 && node->inputs[0].key && leat__key_compatible(node->inputs[0].key, key, &err) < 0)
        leat__declare_error_of(node, option_of(plan, i, "key"), &err);
    find_parts(plan, i, key);
}

/* Where everything goes in the type that was made. */
static void lay_out(struct plan *plan, const struct leat_type *made)
{
    struct cogroup_spec *spec = plan->spec;
    for (uint32_t i = 0; i < spec->inputs_count; i++) {
        struct cogroup_input *input = &spec->inputs[i];
        const struct leat_field *field = &made->fields[spec->parts_count + i];
        input->to = field->offset;
        input->has = field->has_offset;
        input->size = field->type->size;
        for (uint32_t p = 0; p < spec->parts_count; p++) {
            struct key_part *part = &input->parts[p];
            struct leat_error err = { 0 };
            part->to = made->fields[p].offset;
            part->has = made->fields[p].has_offset;
            if (part->type->size != made->fields[p].type->size ||
                part->type->kind != made->fields[p].type->kind)
                leat__declare_error(plan->node, option_of(plan, i, "key"), LEAT_EDECLARE,
                    "part %u is a %s, of the first input it is a %s: they must be of one type", p + 1,
                    part->type->name, made->fields[p].type->name);
            else if (part->expr &&
                leat__expr_store_new(part->expr, made, made->fields[p].name, &part->store, &err) < 0)
                leat__declare_error_of(plan->node, option_of(plan, i, "key"), &err);
        }
    }
}

static void declare_output(struct plan *plan)
{
    struct leat_node *node = plan->node;
    struct leat_error err = { 0 };
    struct leat_key *key = NULL;
    add_key_fields(plan);
    for (uint32_t i = 0; i < plan->spec->inputs_count; i++)
        add_input_field(plan, i);
    const struct leat_type *made = leat__projection_make_type(node, plan->fields, plan->fields_count);
    if (!made)
        return;
    lay_out(plan, made);
    const uint32_t port = leat__output(node, made, NULL);
    if (leat__node_is_inert(node))
        return;
    if (leat__key_new(made, plan->spec->key_text, LEAT_KEY_NULLS_GROUP, &key, &err) < 0) {
        leat__declare_error_of(node, "inputs[0].key", &err);
        return;
    }
    for (uint32_t i = 0; i < plan->spec->inputs_count; i++) /* (2) */
        if (leat__key_compatible(node->inputs[i].key, key, &err) < 0)
            leat__declare_error_of(node, option_of(plan, i, "key"), &err);
    leat__key_free(key);
    node->outputs[port].partitioned_by = plan->spec->key_text;
    node->detail =
        leat__spec_printf(node, "%u streams by (%s)", plan->spec->inputs_count, plan->spec->key_text);
}

leat_keyed_stream *leat_cogroup_sized(
    leat_topology *t, const char *name, const struct leat_cogroup_opts *opts, size_t size)
{
    struct leat_cogroup_opts o;
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_OPERATOR, cogroup_class.kind);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct cogroup_spec *spec = leat__spec(node, sizeof *spec);
    node->op = &cogroup_class;
    node->spec = spec;
    if (!spec || !opts)
        return leat__keyed_inert(node->t);
    struct plan plan = { .node = node, .o = &o, .spec = spec };
    for (uint32_t i = 0; i < INPUTS_MAX && o.inputs[i].stream; i++) {
        leat__input(node, i, o.inputs[i].stream, LEAT_FORWARD, NULL);
        spec->inputs_count++;
    }
    if (spec->inputs_count == 0)
        leat__declare_error(node, "inputs", LEAT_EDECLARE,
            "there are none: give the streams, the fields that they become, and their keys");
    for (uint32_t i = 0; i < spec->inputs_count; i++)
        declare_key(&plan, i);
    if (!leat__node_is_inert(node))
        declare_output(&plan);
    if (leat__node_is_inert(node))
        return leat__keyed_inert(node->t);
    return leat_group_by(leat__stream(node, 0), leat__spec_printf(node, "%s-key", name), spec->key_text);
}
