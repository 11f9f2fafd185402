/* operators/join_declare.c -- the options that all joins share, to a spec that all instances read: keys, kind,
 * condition, and what becomes of a pair. Every mistake is told. */
#include "operators/join_private.h"
#include <string.h>

static const char *const kind_names[] = {
    [LEAT_JOIN_INNER] = "inner",
    [LEAT_JOIN_LEFT] = "left",
    [LEAT_JOIN_RIGHT] = "right",
    [LEAT_JOIN_FULL] = "full",
};
static const char *const kind_words[] = {
    [LEAT_JOIN_INNER] = "LEAT_JOIN_INNER",
    [LEAT_JOIN_LEFT] = "LEAT_JOIN_LEFT",
    [LEAT_JOIN_RIGHT] = "LEAT_JOIN_RIGHT",
    [LEAT_JOIN_FULL] = "LEAT_JOIN_FULL",
};

static void declare_kind(
    struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    const enum leat_join_kind kind = spec->kind = o->kind ? o->kind : LEAT_JOIN_INNER;
    if (kind < LEAT_JOIN_INNER || kind > LEAT_JOIN_FULL) {
        leat__declare_error(node, "kind", LEAT_EDECLARE,
            "%d is no kind of join; there are LEAT_JOIN_INNER, _LEFT, _RIGHT and _FULL", (int)kind);
        spec->kind = LEAT_JOIN_INNER;
    } else if (!(o->kinds >> kind & 1)) {
        const char *known = "";
        for (uint32_t i = LEAT_JOIN_INNER; i <= LEAT_JOIN_FULL && known; i++)
            if (o->kinds >> i & 1)
                known = leat__spec_printf(node, "%s%s%s", known, *known ? ", " : "", kind_words[i]);
        leat__declare_error(
            node, "kind", LEAT_EDECLARE, "%s is not for this join: it can be %s", kind_words[kind], known);
    }
}

/* Bit per side whose record a result may lack: where the other side's are all kept. */
static uint32_t sides_that_may_miss(const struct leat__join_spec *spec)
{
    return (leat__join_keeps(spec, LEAT__RIGHT) ? 1u << LEAT__LEFT : 0) |
        (leat__join_keeps(spec, LEAT__LEFT) ? 1u << LEAT__RIGHT : 0);
}

/* ---- keys ---- */

static void free_key(void *key)
{
    leat__key_free(key);
}

static void declare_keys(
    struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    static const char *const options[LEAT__SIDES] = { "left_key", "right_key" };
    const char *const texts[LEAT__SIDES] = { o->left_key, o->right_key ? o->right_key : o->left_key };
    struct leat_error err = { 0 };
    if (!o->left_key) {
        leat__declare_error(node, "left_key", LEAT_EDECLARE,
            "missing: the fields or expressions that both sides have in common");
        return;
    }
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        const struct leat_type *type = leat__input_type(node, side);
        if (!type)
            continue;
        if (leat__key_new(type, texts[side], LEAT_KEY_NULLS_SKIP, &spec->keys[side], &err) < 0) {
            spec->keys[side] = NULL;
            leat__declare_error_of(node, options[side], &err);
        }
        leat__topology_defer(node, free_key, spec->keys[side]);
        if (spec->keys[side])
            leat__key_refuse_names(
                node, options[side], spec->keys[side], ".key_as says what the output calls it");
    }
    if (!leat__node_is_inert(node) &&
        leat__key_compatible(spec->keys[LEAT__LEFT], spec->keys[LEAT__RIGHT], &err) < 0)
        leat__declare_error_of(node, "right_key", &err);
}

/* How rows go over the edges, and what tables say of their keys. */
static void use_keys(struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    for (uint32_t side = 0; side < LEAT__SIDES; side++) {
        struct leat_input *in = &node->inputs[side];
        in->partitioning = !o->forward_left ? LEAT_HASH : side == LEAT__LEFT ? LEAT_FORWARD : LEAT_BROADCAST;
        in->key = o->forward_left ? NULL : spec->keys[side];
    }
    if (leat__node_is_inert(node))
        return;
    const uint32_t size = leat__key_fixed_size(spec->keys[LEAT__LEFT]);
    spec->key_size = size == leat__key_fixed_size(spec->keys[LEAT__RIGHT]) ? size : 0;
    for (uint32_t side = 0; side < LEAT__SIDES; side++)
        spec->key_types[side] = leat__key_describe(node, spec->keys[side], LEAT_KEY_NULLS_SKIP);
}

/* Whether rows leave with the values of the key of `side` in the fields that it names: then they are where their key
 * lives. Of an expression that would take a look into it: .key_as says so. */
static bool keeps_key(const struct leat__join_spec *spec, uint32_t side)
{
    const uint32_t count = leat__key_parts_count(spec->keys[side]);
    for (uint32_t i = 0; i < count; i++) {
        const struct leat_key_part out = leat__key_part(spec->keys[side], i);
        bool copies = false;
        for (uint32_t from = 0; from < LEAT__SIDES && !out.expr; from++) {
            const struct leat_key_part in = leat__key_part(spec->keys[from], i);
            copies |= !in.expr && leat__projection_copies(spec->projection, out.text, from, in.text);
        }
        if (!copies)
            return false;
    }
    return true;
}

/* What the user says of the output's key: checked against the key of each pair (join_output.c). */
static void declare_key_as(struct leat_node *node, const char *key_as, struct leat__join_spec *spec)
{
    struct leat_error err = { 0 };
    if (leat__key_new(node->outputs[0].type, key_as, LEAT_KEY_NULLS_SKIP, &spec->out_key, &err) < 0) {
        spec->out_key = NULL;
        leat__declare_error_of(node, "key_as", &err);
        return;
    }
    leat__topology_defer(node, free_key, spec->out_key);
    leat__key_refuse_names(node, "key_as", spec->out_key, "it is what the fields of the output are called");
    if (leat__key_compatible(spec->keys[LEAT__LEFT], spec->out_key, &err) < 0)
        leat__declare_error_of(node, "key_as", &err);
    node->outputs[0].partitioned_by = leat__key_text(spec->out_key);
}

static void declare_partitioning(
    struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    if (o->key_as && o->forward_left)
        leat__declare_error(
            node, "key_as", LEAT_EDECLARE, "results of this join are not where their key lives: remove it");
    if (leat__node_is_inert(node) || o->forward_left)
        return;
    if (o->key_as)
        declare_key_as(node, o->key_as, spec);
    if (o->key_as || !spec->projection)
        return;
    for (uint32_t side = 0; side < LEAT__SIDES && !node->outputs[0].partitioned_by; side++)
        if (keeps_key(spec, side))
            node->outputs[0].partitioned_by = leat__key_text(spec->keys[side]);
}

/* ---- condition and result ---- */

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

static void declare_where(struct leat_node *node, const char *where, struct leat__join_spec *spec)
{
    const struct leat_type *left = leat__input_type(node, LEAT__LEFT);
    const struct leat_type *right = leat__input_type(node, LEAT__RIGHT);
    struct leat_error err = { 0 };
    if (!where || !left || !right)
        return;
    if (leat__expr_new2(where, left, "left", right, "right", &spec->where, &err) < 0) {
        leat__declare_error_of(node, "where", &err);
        return;
    }
    const enum leat_value_class found = leat__expr_class(spec->where);
    leat__topology_defer(node, free_expr, spec->where);
    if (found != LEAT_VALUE_BOOL && found != LEAT_VALUE_NULL)
        leat__declare_error(node, "where", LEAT_EEXPR, "%s is no condition: it must be true or false", where);
}

static const struct leat_type *declare_projection(
    struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    const struct leat__projection_opts opts = { .fields = o->fields,
        .fields_max = o->fields_max,
        .out = o->out,
        .sides_count = LEAT__SIDES,
        .may_miss = sides_that_may_miss(spec),
        .own_fields = o->own_fields };
    spec->projection = leat__projection_new(node, &opts);
    return o->out;
}

/* The output's type, NULL with an error. */
static const struct leat_type *declare_result(
    struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    if (!o->merge == !o->out) {
        leat__declare_error(node, o->merge ? "out" : "merge", LEAT_EDECLARE,
            o->merge ? "given together with merge: a function makes the results, or a type and fields say "
                       "what they are"
                     : "missing: give a function that LEAT_DEFINE_JOIN makes, or an output type in .out");
        return NULL;
    }
    if (!o->merge)
        return declare_projection(node, o, spec);
    if (o->fields_max > 0 && (o->fields[0].expr || o->fields[0].as))
        leat__declare_error(
            node, "fields", LEAT_EDECLARE, "given together with merge, which fills all fields itself");
    leat__need_type(node, LEAT__LEFT, o->merge->left, "merge", o->merge->name);
    leat__need_type(node, LEAT__RIGHT, o->merge->right, "merge", o->merge->name);
    spec->merge = *o->merge;
    return o->merge->out;
}

static const struct leat_field *find_field(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

/* window_start and window_end, where the operator gives them and the output has them. */
static void declare_own_fields(struct leat_node *node, const struct leat__join_opts *o,
    const struct leat_type *out, struct leat__join_spec *spec)
{
    static const char *const names[] = { "window_start", "window_end" };
    if (!out || out->kind != LEAT_KIND_RECORD)
        return;
    for (const char *const *own = o->own_fields; own && *own; own++) {
        const uint32_t which = strcmp(*own, names[0]) == 0 ? 0 : 1;
        const struct leat_field *field = find_field(out, *own);
        LEAT_ASSERT(strcmp(*own, names[which]) == 0);
        if (!field || (spec->projection && leat__projection_names(spec->projection, *own)))
            continue;
        spec->window[which] = (struct leat__out_field){
            .type = field->type, .offset = field->offset, .has_offset = field->has_offset
        };
        if (!leat__out_time_unit(field->type, &spec->window[which].from_us))
            leat__declare_error(node, "out", LEAT_EDECLARE,
                "field \"%s\" must be a long of microseconds, or a timestamp", field->name);
    }
}

/* The type of refused pairs. Where a side may be missing its field is nullable. */
static void make_pair_type(struct leat_node *node, struct leat__join_spec *spec)
{
    const struct leat_type *left = leat__input_type(node, LEAT__LEFT);
    const struct leat_type *right = leat__input_type(node, LEAT__RIGHT);
    if (!left || !right)
        return;
    const uint32_t align = left->align > right->align ? left->align : right->align;
    const uint32_t at = (left->size + right->align - 1) / right->align * right->align;
    const uint32_t may_miss = sides_that_may_miss(spec), end = at + right->size;
    spec->pair_fields[LEAT__LEFT] =
        (struct leat_field){ "left", left, 0, may_miss >> LEAT__LEFT & 1 ? end : LEAT_NOT_NULLABLE };
    spec->pair_fields[LEAT__RIGHT] =
        (struct leat_field){ "right", right, at, may_miss >> LEAT__RIGHT & 1 ? end + 1 : LEAT_NOT_NULLABLE };
    spec->pair_type = (struct leat_type){ .kind = LEAT_KIND_RECORD,
        .name = "pair",
        .size = (end + (may_miss ? 2 : 0) + align - 1) / align * align,
        .align = align,
        .fields_count = LEAT__SIDES,
        .fields = spec->pair_fields };
    if (spec->pair_type.size > LEAT_ROW_BYTES_MAX)
        leat__declare_error(node, NULL, LEAT_ELIMIT,
            "struct %s and struct %s together have %u bytes, at most %u are allowed: project the sides "
            "before the join",
            left->name, right->name, spec->pair_type.size, LEAT_ROW_BYTES_MAX);
}

void leat__join_declare(struct leat_node *node, const struct leat__join_opts *o, struct leat__join_spec *spec)
{
    declare_kind(node, o, spec);
    declare_keys(node, o, spec);
    use_keys(node, o, spec);
    declare_where(node, o->where, spec);
    make_pair_type(node, spec);
    const struct leat_type *out = declare_result(node, o, spec);
    if (out)
        leat__output(node, out, NULL);
    declare_own_fields(node, o, out, spec);
    declare_partitioning(node, o, spec);
}

const char *leat__join_describe(struct leat_node *node, const struct leat__join_spec *spec, const char *own)
{
    const bool is_inner = spec->kind == LEAT_JOIN_INNER, has_own = own && *own;
    return leat__spec_printf(node, "%s%sleft (%s) = right (%s)%s%s%s%s",
        is_inner ? "" : kind_names[spec->kind],
        is_inner ? "" : " outer: ", leat__key_text(spec->keys[LEAT__LEFT]),
        leat__key_text(spec->keys[LEAT__RIGHT]), has_own ? ", " : "", has_own ? own : "",
        spec->where ? ", where " : "", spec->where ? leat__expr_text(spec->where) : "");
}

/* ---- late records ---- */

void leat__join_has_late(struct leat_node *node)
{
    node->has_late_sides = true;
}

static leat_stream *late_stream(leat_stream *joined, uint32_t side)
{
    static const char *const names[LEAT__SIDES] = { "late-left", "late-right" };
    struct leat_node *node = joined->node;
    if (!node || !node->has_late_sides)
        return leat__named_output(joined, names[side], "late output"); /* says that there is none */
    if (node->late_ports[side] < 0)
        node->late_ports[side] = (int32_t)leat__output(node, leat__input_type(node, side), names[side]);
    return leat__stream(node, (uint32_t)node->late_ports[side]);
}

leat_stream *leat_late_left(leat_stream *joined)
{
    return late_stream(joined, LEAT__LEFT);
}

leat_stream *leat_late_right(leat_stream *joined)
{
    return late_stream(joined, LEAT__RIGHT);
}
