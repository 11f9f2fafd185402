/* record/expr_compile.c -- expressions: typed nodes to a program.
 *
 * Code is generated into slots that are written once each; then registers are given memory: a buffer goes
 * back to the free ones behind the last instruction that uses it, as an operand or through its guard. The
 * root has no buffer: every run says where the result goes.
 *
 *   and, or     acc = a; for each further b, under the guard "acc decides nothing yet": acc = acc and b
 *   case        each condition under "none before it is true", each result under "its condition is true";
 *               then, from the last to the first: result = select(condition, then, result)
 *   coalesce    each further value under "all before it are null" */
#include "record/expr_private.h"
#include "base/alloc.h"

struct builder {
    struct expr_compiler *c;
    struct expr_instr *instrs;
    uint32_t instrs_count, instrs_capacity;
    struct expr_slot *slots;
    uint32_t slots_count, slots_capacity;
    struct expr_guard *guards;
    uint32_t guards_count, guards_capacity;
    uint8_t *buffers; /* widths */
    uint32_t buffers_count;
    uint32_t *free_buffers; /* stacks by width: linked through the buffer's own entry */
    uint32_t free_of[3];
    const void *id; /* what node->made_by says */
    /* Fields that were loaded already and can not fail, so that any guard may share them. */
    const struct expr_node **loaded;
    uint32_t loaded_count, loaded_capacity;
};

static int generate(struct builder *b, struct expr_node *node, uint32_t guard, uint32_t *slot);

uint32_t leat__expr_width(enum leat_value_class value_class)
{
    switch (value_class) {
    case LEAT_VALUE_NULL:
    case LEAT_VALUE_BOOL:
        return 1;
    case LEAT_VALUE_STRING:
        return sizeof(struct leat_sv);
    default:
        return sizeof(int64_t);
    }
}

/* Room for one more in an array of the arena. */
static int grow(struct builder *b, void **array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    const uint32_t larger = *capacity ? *capacity * 2 : 8;
    void *copy = leat__arena_array(b->c->arena, larger, size);
    if (!copy)
        return leat__expr_no_memory(&b->c->source);
    if (count)
        memcpy(copy, *array, count * size);
    *array = copy;
    *capacity = larger;
    return 0;
}
#define GROW(b_, what_) \
    grow(b_, (void **)&(b_)->what_, (b_)->what_##_count, &(b_)->what_##_capacity, sizeof *(b_)->what_)

static int add_slot(struct builder *b, struct expr_slot slot, uint32_t *index)
{
    LEAT_TRY(GROW(b, slots));
    slot.data = slot.nulls = EXPR_NONE;
    *index = b->slots_count;
    b->slots[b->slots_count++] = slot;
    return 0;
}

static int add_register(struct builder *b, uint32_t width, bool is_nullable, uint32_t *index)
{
    const struct expr_slot slot = { .kind = EXPR_SLOT_REGISTER, .width = width, .is_nullable = is_nullable };
    return add_slot(b, slot, index);
}

static int add_guard(struct builder *b, uint32_t parent, uint32_t slot, enum expr_when when, uint32_t *guard)
{
    LEAT_TRY(GROW(b, guards));
    b->guards[b->guards_count] = (struct expr_guard){ parent, slot, when };
    *guard = b->guards_count++;
    return 0;
}

static int emit(struct builder *b, struct expr_op op, uint32_t dst, const uint32_t *args, uint32_t args_count,
    uint32_t guard, uint32_t at, const void *extra)
{
    LEAT_TRY(GROW(b, instrs));
    const uint32_t *copy = NULL;
    if (args_count) {
        copy = leat__arena_copy(b->c->arena, args, args_count * sizeof *args);
        if (!copy)
            return leat__expr_no_memory(&b->c->source);
    }
    b->instrs[b->instrs_count++] = (struct expr_instr){ .run = op.run,
        .flags = op.flags,
        .dst = dst,
        .args_count = args_count,
        .args = copy,
        .guard = op.flags & EXPR_GUARDED ? guard : 0,
        .at = at,
        .extra = extra };
    return 0;
}

/* ---- nodes ---- */

static int generate_literal(struct builder *b, const struct expr_node *node, uint32_t *slot)
{
    const struct expr_slot constant = { .kind = EXPR_SLOT_CONSTANT,
        .width = leat__expr_width(node->value_class),
        .is_nullable = node->value.is_null,
        .value = node->value };
    return add_slot(b, constant, slot);
}

static bool same_load(const struct expr_node *a, const struct expr_node *b)
{
    return a->op.run == b->op.run && a->load->side == b->load->side && a->value_class == b->value_class &&
        a->load->place.offset == b->load->place.offset && a->load->place.type == b->load->place.type;
}

static int generate_path(struct builder *b, const struct expr_node *node, uint32_t guard, uint32_t *slot)
{
    const bool may_fail = (node->op.flags & EXPR_GUARDED) != 0;
    for (uint32_t i = 0; i < b->loaded_count && !may_fail; i++) {
        if (same_load(b->loaded[i], node)) {
            *slot = b->loaded[i]->slot;
            return 0;
        }
    }
    if (node->op.run) {
        LEAT_TRY(add_register(b, leat__expr_width(node->value_class), node->is_nullable, slot));
        LEAT_TRY(emit(b, node->op, *slot, NULL, 0, guard, node->at, node->load));
    } else {
        const struct expr_slot column = { .kind = EXPR_SLOT_COLUMN,
            .width = leat__expr_width(node->value_class),
            .is_nullable = node->is_nullable,
            .offset = node->load->place.offset };
        const struct expr_op nulls = { leat__expr_load_nulls, 0 };
        LEAT_TRY(add_slot(b, column, slot));
        if (node->is_nullable)
            LEAT_TRY(emit(b, nulls, *slot, NULL, 0, 0, node->at, node->load));
    }
    if (!may_fail) {
        LEAT_TRY(GROW(b, loaded));
        b->loaded[b->loaded_count++] = node;
    }
    return 0;
}

static int generate_apply(struct builder *b, const struct expr_node *node, uint32_t guard, uint32_t *slot)
{
    uint32_t few[8], *args = few;
    if (node->failure && guard == 0)
        return leat__expr_fail(&b->c->source, node->at, "%s", node->failure);
    if (node->args_count > 8) {
        args = leat__arena_array(b->c->arena, node->args_count, sizeof *args);
        if (!args)
            return leat__expr_no_memory(&b->c->source);
    }
    for (uint32_t i = 0; i < node->args_count; i++)
        LEAT_TRY(generate(b, node->args[i], guard, &args[i]));
    LEAT_TRY(add_register(b, leat__expr_width(node->value_class), node->is_nullable, slot));
    return emit(b, node->op, *slot, args, node->args_count, guard, node->at, node->extra);
}

static int generate_logic(struct builder *b, const struct expr_node *node, uint32_t guard, uint32_t *slot)
{
    const bool is_and = node->kind == EXPR_AND;
    const struct expr_op op = is_and ? leat__expr_op_and : leat__expr_op_or;
    LEAT_TRY(generate(b, node->args[0], guard, slot));
    for (uint32_t i = 1; i < node->args_count; i++) {
        uint32_t inner, sides[2] = { *slot, 0 };
        LEAT_TRY(add_guard(b, guard, *slot, is_and ? EXPR_WHEN_NOT_FALSE : EXPR_WHEN_NOT_TRUE, &inner));
        LEAT_TRY(generate(b, node->args[i], inner, &sides[1]));
        const bool is_nullable = b->slots[sides[0]].is_nullable || b->slots[sides[1]].is_nullable;
        LEAT_TRY(add_register(b, 1, is_nullable, slot));
        LEAT_TRY(emit(b, op, *slot, sides, 2, 0, node->at, NULL));
    }
    return 0;
}

static int generate_case(struct builder *b, const struct expr_node *node, uint32_t guard, uint32_t *slot)
{
    const uint32_t whens = node->args_count / 2, width = leat__expr_width(node->value_class);
    uint32_t *slots = leat__arena_array(b->c->arena, node->args_count, sizeof *slots);
    if (!slots)
        return leat__expr_no_memory(&b->c->source);
    for (uint32_t i = 0; i < whens; i++) {
        uint32_t chosen;
        LEAT_TRY(generate(b, node->args[2 * i], guard, &slots[2 * i]));
        LEAT_TRY(add_guard(b, guard, slots[2 * i], EXPR_WHEN_TRUE, &chosen));
        LEAT_TRY(generate(b, node->args[2 * i + 1], chosen, &slots[2 * i + 1]));
        LEAT_TRY(add_guard(b, guard, slots[2 * i], EXPR_WHEN_NOT_TRUE, &guard));
    }
    LEAT_TRY(generate(b, node->args[2 * whens], guard, slot));
    for (uint32_t i = whens; i-- > 0;) {
        const uint32_t args[] = { slots[2 * i], slots[2 * i + 1], *slot };
        const bool is_nullable = b->slots[args[1]].is_nullable || b->slots[args[2]].is_nullable;
        LEAT_TRY(add_register(b, width, is_nullable, slot));
        LEAT_TRY(emit(b, leat__expr_op_select(width), *slot, args, 3, 0, node->at, NULL));
    }
    return 0;
}

static int generate_coalesce(struct builder *b, const struct expr_node *node, uint32_t guard, uint32_t *slot)
{
    const uint32_t width = leat__expr_width(node->value_class);
    LEAT_TRY(generate(b, node->args[0], guard, slot));
    for (uint32_t i = 1; i < node->args_count; i++) {
        uint32_t inner, sides[2] = { *slot, 0 };
        LEAT_TRY(add_guard(b, guard, *slot, EXPR_WHEN_NULL, &inner));
        LEAT_TRY(generate(b, node->args[i], inner, &sides[1]));
        LEAT_TRY(add_register(b, width, b->slots[sides[1]].is_nullable, slot));
        LEAT_TRY(emit(b, leat__expr_op_coalesce(width), *slot, sides, 2, 0, node->at, NULL));
    }
    return 0;
}

/* A node that is used twice is generated where it is met first, and that is always where it is needed by all:
 * `between` and `case x` use it unguarded first. */
static int generate(struct builder *b, struct expr_node *node, uint32_t guard, uint32_t *slot)
{
    int code = 0;
    if (node->made_by == b->id) {
        *slot = node->slot;
        return 0;
    }
    switch (node->kind) {
    case EXPR_LITERAL:
        code = generate_literal(b, node, slot);
        break;
    case EXPR_PATH:
        code = generate_path(b, node, guard, slot);
        break;
    case EXPR_AND:
    case EXPR_OR:
        code = generate_logic(b, node, guard, slot);
        break;
    case EXPR_CASE:
        code = generate_case(b, node, guard, slot);
        break;
    case EXPR_COALESCE:
        code = generate_coalesce(b, node, guard, slot);
        break;
    default:
        LEAT_ASSERT(node->kind == EXPR_APPLY);
        code = generate_apply(b, node, guard, slot);
    }
    node->made_by = b->id;
    node->slot = *slot;
    return code;
}

/* ---- memory of registers ---- */

static void mark_use(struct builder *b, uint32_t slot, uint32_t instr)
{
    b->slots[slot].last_use = instr;
}

static void mark_uses(struct builder *b)
{
    for (uint32_t i = 0; i < b->instrs_count; i++) {
        const struct expr_instr *in = &b->instrs[i];
        mark_use(b, in->dst, i);
        for (uint32_t k = 0; k < in->args_count; k++)
            mark_use(b, in->args[k], i);
        for (uint32_t g = in->guard; g != 0; g = b->guards[g].parent)
            mark_use(b, b->guards[g].slot, i);
    }
}

static uint32_t width_index(uint32_t width)
{
    return width == 1 ? 0 : width == 8 ? 1 : 2;
}

static uint32_t take_buffer(struct builder *b, uint32_t width)
{
    uint32_t *top = &b->free_of[width_index(width)];
    const uint32_t buffer = *top;
    if (buffer != EXPR_NONE) {
        *top = b->free_buffers[buffer];
        return buffer;
    }
    b->buffers[b->buffers_count] = (uint8_t)width;
    return b->buffers_count++;
}

static void give_buffer(struct builder *b, uint32_t *buffer)
{
    if (*buffer == EXPR_NONE)
        return;
    uint32_t *top = &b->free_of[width_index(b->buffers[*buffer])];
    b->free_buffers[*buffer] = *top;
    *top = *buffer;
}

static void take_buffers(struct builder *b, uint32_t slot_index, uint32_t root)
{
    struct expr_slot *slot = &b->slots[slot_index];
    if (slot_index == root || slot->data != EXPR_NONE || slot->nulls != EXPR_NONE)
        return;
    if (slot->kind == EXPR_SLOT_REGISTER)
        slot->data = take_buffer(b, slot->width);
    if (slot->is_nullable)
        slot->nulls = take_buffer(b, 1);
}

static void give_if_last(struct builder *b, uint32_t slot, uint32_t instr)
{
    if (b->slots[slot].last_use != instr)
        return;
    b->slots[slot].last_use = EXPR_NONE; /* met again as another operand: already given */
    uint32_t data = b->slots[slot].data, nulls = b->slots[slot].nulls;
    give_buffer(b, &data);
    give_buffer(b, &nulls);
}

static int place_registers(struct builder *b, uint32_t root)
{
    const uint32_t most = 2 * b->slots_count;
    b->buffers = leat__arena_array(b->c->arena, most + 1, sizeof *b->buffers);
    b->free_buffers = leat__arena_array(b->c->arena, most + 1, sizeof *b->free_buffers);
    if (!b->buffers || !b->free_buffers)
        return leat__expr_no_memory(&b->c->source);
    for (size_t w = 0; w < 3; w++)
        b->free_of[w] = EXPR_NONE;
    mark_uses(b);
    for (uint32_t i = 0; i < b->instrs_count; i++) {
        const struct expr_instr *in = &b->instrs[i];
        take_buffers(b, in->dst, root); /* while the operands still hold theirs: invariant (1) */
        give_if_last(b, in->dst, i);
        for (uint32_t k = 0; k < in->args_count; k++)
            give_if_last(b, in->args[k], i);
        for (uint32_t g = in->guard; g != 0; g = b->guards[g].parent)
            give_if_last(b, b->guards[g].slot, i);
    }
    return 0;
}

int leat__expr_generate(struct expr_compiler *c, struct expr_node *root, struct expr_program *program)
{
    struct builder b = { .c = c, .id = program };
    uint32_t slot, ignored;
    LEAT_TRY(add_guard(&b, 0, EXPR_NONE, EXPR_WHEN_TRUE, &ignored)); /* guard 0: always */
    LEAT_TRY(generate(&b, root, 0, &slot));
    const uint32_t width = leat__expr_width(root->value_class);
    const bool is_nullable = b.slots[slot].is_nullable;
    const bool is_made = b.instrs_count > 0 && b.instrs[b.instrs_count - 1].dst == slot;
    if (b.slots[slot].kind != EXPR_SLOT_REGISTER || !is_made) {
        const uint32_t from = slot;
        LEAT_TRY(add_register(&b, width, is_nullable, &slot));
        LEAT_TRY(emit(&b, leat__expr_op_copy(width), slot, &from, 1, 0, root->at, NULL));
    }
    LEAT_TRY(place_registers(&b, slot));
    *program = (struct expr_program){ .instrs = b.instrs,
        .instrs_count = b.instrs_count,
        .slots = b.slots,
        .slots_count = b.slots_count,
        .guards = b.guards,
        .buffers = b.buffers,
        .buffers_count = b.buffers_count,
        .root = slot,
        .root_width = width,
        .value_class = root->value_class,
        .is_nullable = is_nullable };
    return 0;
}

/* ---- folding ---- */

static int take_value(struct expr_compiler *c, const struct expr_program *program, const void *data,
    bool is_null, struct expr_value *value)
{
    *value = (struct expr_value){ .value_class = program->value_class, .is_null = is_null };
    if (is_null)
        return 0;
    if (program->value_class != LEAT_VALUE_STRING) {
        memcpy(&value->as, data, program->root_width);
        return 0;
    }
    memcpy(&value->as.string, data, sizeof value->as.string);
    value->as.string.data =
        leat__arena_strn(c->arena, value->as.string.len ? value->as.string.data : "", value->as.string.len);
    return value->as.string.data ? 0 : leat__expr_no_memory(&c->source);
}

int leat__expr_fold(struct expr_compiler *c, struct expr_node *node)
{
    struct expr_program *program = leat__arena_alloc(c->arena, sizeof *program);
    struct leat_expr_scratch *scratch = NULL;
    struct leat_error failure = { 0 };
    struct expr_frame frame = { .err = &failure };
    union {
        int64_t number;
        struct leat_sv string;
    } data = { 0 };
    uint8_t null = 0;
    struct expr_value value;
    if (!program)
        return leat__expr_no_memory(&c->source);
    LEAT_TRY(leat__expr_generate(c, node, program));
    int code = leat__expr_scratch_of(program, c->expr->captures_max, &scratch);
    if (code == 0)
        code = leat__expr_run(program, scratch, &frame, 1, (unsigned char *)&data, &null);
    const bool failed = code != 0 && code != LEAT_ENOMEM;
    if (failed) {
        node->failure = leat__arena_str(c->arena, failure.message);
        code = node->failure ? 0 : LEAT_ENOMEM;
    } else if (code == 0) {
        code = take_value(c, program, &data, null != 0, &value);
    }
    leat__expr_scratch_free(scratch);
    if (code != 0)
        return leat__expr_no_memory(&c->source);
    if (!failed)
        leat__expr_set_literal(node, value);
    return 0;
}
