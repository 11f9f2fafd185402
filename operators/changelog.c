/* operators/changelog.c -- leat_changelog: changes as plain records.
 *
 *   on_batch   the records that are only replaced or taken back leave, if so asked
 *              the rest are records of the output type, made by a projection, or are the input's own
 *              a field of them says what each does
 *
 * Order, times and marks are kept. Stateless. */
#include "operators/projection_private.h"
#include "operators/rows_private.h"
#include "topology/declare.h"
#include <leat/change.h>
#include <string.h>

#define CHANGES 4

static const char *const names[CHANGES] = { "insert", "update_before", "update_after", "delete" };
static const char *const symbols[CHANGES] = { "INSERT", "UPDATE_BEFORE", "UPDATE_AFTER", "DELETE" };

struct changelog_spec {
    const struct leat__projection *projection; /* NULL: records stay as they are */
    bool only_after;
    const struct leat_field *field; /* NULL: none */
    int32_t values[CHANGES]; /* of an int or an enum */
};

struct changelog {
    struct leat_op op;
    const struct changelog_spec *spec;
    struct leat__one_to_one rows;
    struct leat__projection_scratch *scratch;
};

static void set_field(
    const struct changelog_spec *spec, const struct leat_batch *changes, struct leat_batch *out)
{
    const struct leat_field *field = spec->field;
    for (uint32_t i = 0; field && i < out->count; i++) {
        const uint8_t change = leat__batch_change(changes, i);
        unsigned char *row = leat_batch_at(out, i);
        if (field->has_offset != LEAT_NOT_NULLABLE)
            row[field->has_offset] = 1;
        if (field->type->kind == LEAT_KIND_STRING) {
            const struct leat_sv name = leat_sv_of(names[change]);
            memcpy(row + field->offset, &name, sizeof name);
        } else {
            memcpy(row + field->offset, &spec->values[change], sizeof spec->values[change]);
        }
    }
}

/* Rows of another type: `in` may show less than the whole batch. */
static int changelog_make(
    struct leat_op *op, struct leat__ctx *ctx, const struct leat_batch *in, struct leat_batch *out)
{
    const struct changelog *c = (const struct changelog *)op;
    const struct leat__projection_rows rows = { .batch = in, .count = in->count };
    leat__ctx_begin(ctx, in, out);
    LEAT_TRY(leat__projection_run(c->spec->projection, c->scratch, ctx, &rows, out, 0, true));
    set_field(c->spec, in, out);
    out->change = NULL;
    return leat__ctx_end(ctx, in, out);
}

static int changelog_init(struct leat_op *op, struct leat__ctx *ctx)
{
    struct changelog *c = (struct changelog *)op;
    c->spec = op->node->spec;
    c->rows.make = changelog_make;
    return c->spec->projection ? leat__projection_scratch_new(c->spec->projection, ctx, &c->scratch) : 0;
}

static void drop_before(struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const uint8_t change = leat__batch_change(batch, i);
        batch->keep[i] = change == LEAT_INSERT || change == LEAT_UPDATE_AFTER;
    }
    leat__batch_compact(batch);
}

static int changelog_on_batch(
    struct leat_op *op, struct leat__ctx *ctx, uint32_t input, struct leat_batch *batch)
{
    struct changelog *c = (struct changelog *)op;
    LEAT_ASSERT(input == 0 && batch->count > 0);
    if (c->spec->only_after || !c->spec->projection)
        LEAT_TRY(leat__rows_writable(ctx, batch, &batch));
    if (c->spec->only_after)
        drop_before(batch);
    if (batch->count == 0) {
        leat__batch_release(batch);
        return 0;
    }
    if (c->spec->projection)
        return leat__one_to_one_batch(&c->rows, op, ctx, batch);
    set_field(c->spec, batch, batch);
    batch->change = NULL;
    return leat__emit(ctx, 0, batch);
}

static int changelog_step(struct leat_op *op, struct leat__ctx *ctx)
{
    return leat__one_to_one_step(&((struct changelog *)op)->rows, op, ctx);
}

static void changelog_release(struct leat_op *op, struct leat__ctx *ctx)
{
    struct changelog *c = (struct changelog *)op;
    (void)ctx;
    leat__one_to_one_release(&c->rows);
    leat__projection_scratch_free(c->scratch);
}

static const struct leat_op_class changelog_class = {
    .kind = "changelog",
    .size = sizeof(struct changelog),
    .init = changelog_init,
    .on_batch = changelog_on_batch,
    .step = changelog_step,
    .release = changelog_release,
};

/* ---- declaration ---- */

static bool find_symbols(const struct leat_type *type, int32_t values[CHANGES])
{
    for (uint32_t c = 0; c < CHANGES; c++) {
        values[c] = -1;
        for (uint32_t s = 0; s < type->symbols_count; s++)
            if (strcmp(type->symbols[s], symbols[c]) == 0)
                values[c] = (int32_t)s;
        if (values[c] < 0)
            return false;
    }
    return true;
}

static void declare_field(
    struct leat_node *node, struct changelog_spec *spec, const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            spec->field = &type->fields[i];
    if (!spec->field) {
        leat__declare_error(node, "field", LEAT_EDECLARE, "no field \"%s\" in %s%s", name, type->name,
            leat__fields_hint(node, type, name));
        return;
    }
    const struct leat_type *found = spec->field->type;
    const bool is_int = found->kind == LEAT_KIND_INT && found->logical == LEAT_LOGICAL_NONE;
    const bool is_string = found->kind == LEAT_KIND_STRING;
    for (int32_t c = 0; c < CHANGES; c++)
        spec->values[c] = c;
    if (!is_int && !is_string && !(found->kind == LEAT_KIND_ENUM && find_symbols(found, spec->values)))
        leat__declare_error(node, "field", LEAT_EDECLARE,
            "\"%s\" of %s must be an int, a string, or an enum with the symbols INSERT, UPDATE_BEFORE, "
            "UPDATE_AFTER and DELETE",
            name, type->name);
}

/* Fields of `out` are filled by those of their names; the one that tells the change is overwritten. */
static const struct leat__projection *declare_projection(
    struct leat_node *node, const struct leat_changelog_opts *o, const struct changelog_spec *spec)
{
    struct leat_projection fields[1] = { { NULL, NULL } };
    if (spec->field && spec->field->has_offset == LEAT_NOT_NULLABLE) {
        fields[0].as = o->field;
        fields[0].expr = spec->field->type->kind == LEAT_KIND_INT ? "0"
            : spec->field->type->kind == LEAT_KIND_STRING         ? "''"
                                                                  : "'INSERT'";
    } else if (spec->field) {
        fields[0] = (struct leat_projection){ "null", o->field };
    }
    const struct leat__projection_opts projection = {
        .fields = fields, .fields_max = 1, .out = o->out, .sides_count = 1
    };
    return leat__projection_new(node, &projection);
}

leat_stream *leat_changelog_sized(
    leat_stream *in, const char *name, const struct leat_changelog_opts *opts, size_t size)
{
    struct leat_changelog_opts o;
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_OPERATOR, changelog_class.kind);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    leat__opts_copy(node, &o, sizeof o, opts, size);
    node->op = &changelog_class;
    struct changelog_spec *spec = leat__spec(node, sizeof *spec);
    const struct leat_type *type = leat__input_type(node, 0);
    if (!spec || !opts || !type)
        return leat__stream(node, 0);
    if (!leat__input_changes(node, 0))
        leat__declare_error(node, NULL, LEAT_EDECLARE,
            "the %s \"%s\" gives no changes: its records are plain ones already, leave this out",
            in->node->kind_name, in->node->name);
    if (!o.field && !o.only_after)
        leat__declare_error(node, "field", LEAT_EDECLARE,
            "missing: nothing would tell records that are taken back from others; name a field for the "
            "change, or "
            "set .only_after");
    if (o.out && o.out->kind == LEAT_KIND_RECORD)
        type = o.out;
    if (o.field)
        declare_field(node, spec, type, o.field);
    if (o.out && type == o.out && !leat__node_is_inert(node))
        spec->projection = declare_projection(node, &o, spec);
    spec->only_after = o.only_after;
    node->spec = spec;
    node->detail = o.only_after ? "only what is new" : leat__spec_printf(node, "change in %s", o.field);
    const uint32_t port = leat__output(node, o.out ? o.out : type, NULL);
    node->outputs[port].changes = false;
    return leat__stream(node, 0);
}
