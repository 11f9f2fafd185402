/* record/expr_run.c -- expressions: running a program.
 *
 *   for each chunk of EXPR_CHUNK_ROWS rows
 *     point the columns at the chunk's rows, the root at the result's
 *     for each instruction: null bytes of the operands together, then the kernel
 *
 * A scratch has the registers of one program, the strings that were made for the last result, and the memory
 * of regular expressions. Strings lie in blocks that are kept: once they are large enough for a batch nothing
 * is allocated any more. */
#include "record/expr_private.h"
#include "base/alloc.h"
#include <stdio.h>

#define PAD_BYTES 64u /* kernels read whole words */
#define BLOCK_BYTES_MIN (16u * 1024u)

struct block {
    struct block *next;
    size_t size;
    char data[];
};

struct leat_expr_scratch {
    const struct expr_program *program;
    struct expr_vec *slots;
    struct expr_value *constants; /* by slot: copies, since operands are not const */
    unsigned char *memory; /* of the registers */
    struct expr_matcher *matcher;
    const void **sides[2]; /* of a chunk, where a side may be missing */

    struct block *blocks, *block; /* all, and the one in use */
    size_t block_used, strings_bytes;

    unsigned char *result; /* rows of the last result */
    uint8_t *result_nulls;
    uint32_t result_rows;
};

/* ---- life ---- */

static void place_slot(struct leat_expr_scratch *s, uint32_t i, const size_t *offsets)
{
    const struct expr_slot *slot = &s->program->slots[i];
    struct expr_vec *vec = &s->slots[i];
    vec->nulls_step = 1;
    if (slot->kind == EXPR_SLOT_CONSTANT) {
        s->constants[i] = slot->value;
        vec->data = (unsigned char *)&s->constants[i].as;
        vec->nulls = slot->is_nullable ? &s->constants[i].is_null : NULL;
        vec->nulls_step = 0;
        return;
    }
    vec->step = slot->width;
    if (slot->data != EXPR_NONE)
        vec->data = s->memory + offsets[slot->data];
    if (slot->nulls != EXPR_NONE)
        vec->nulls = s->memory + offsets[slot->nulls];
}

int leat__expr_scratch_of(
    const struct expr_program *program, uint32_t captures_max, struct leat_expr_scratch **scratch)
{
    size_t bytes = 0;
    *scratch = NULL;
    struct leat_expr_scratch *s = leat__calloc(1, sizeof *s);
    size_t *offsets = leat__calloc(program->buffers_count + 1, sizeof *offsets);
    if (!s || !offsets)
        goto fail;
    for (uint32_t i = 0; i < program->buffers_count; i++) {
        offsets[i] = bytes;
        bytes += (size_t)program->buffers[i] * EXPR_CHUNK_ROWS + PAD_BYTES;
    }
    s->program = program;
    s->slots = leat__calloc(program->slots_count, sizeof *s->slots);
    s->constants = leat__calloc(program->slots_count, sizeof *s->constants);
    s->memory = leat__calloc(1, bytes + PAD_BYTES); /* zeroed: padding is read, though never used */
    if (!s->slots || !s->constants || !s->memory || leat__expr_matcher_new(captures_max, &s->matcher) != 0)
        goto fail;
    for (uint32_t i = 0; i < program->slots_count; i++)
        place_slot(s, i, offsets);
    leat__free(offsets);
    *scratch = s;
    return 0;
fail:
    leat__free(offsets);
    leat__expr_scratch_free(s);
    return LEAT_ENOMEM;
}

void leat__expr_scratch_free(struct leat_expr_scratch *s)
{
    if (!s)
        return;
    while (s->blocks) {
        struct block *next = s->blocks->next;
        leat__free(s->blocks);
        s->blocks = next;
    }
    leat__expr_matcher_free(s->matcher);
    leat__free(s->sides[0]);
    leat__free(s->sides[1]);
    leat__free(s->result);
    leat__free(s->result_nulls);
    leat__free(s->memory);
    leat__free(s->constants);
    leat__free(s->slots);
    leat__free(s);
}

struct expr_matcher *leat__expr_matcher(struct expr_frame *f)
{
    return f->scratch->matcher;
}

/* ---- strings ---- */

static void reset_strings(struct leat_expr_scratch *s)
{
    s->block = s->blocks;
    s->block_used = s->strings_bytes = 0;
}

/* The next block of the chain with room, made if need be. */
static bool next_block(struct leat_expr_scratch *s, size_t size)
{
    struct block *last = s->block;
    for (struct block *at = last ? last->next : s->blocks; at; at = at->next) {
        last = at;
        if (at->size >= size) {
            s->block = at;
            s->block_used = 0;
            return true;
        }
    }
    size_t bytes = last ? last->size * 2 : BLOCK_BYTES_MIN;
    if (bytes > LEAT_RECORD_BYTES_MAX)
        bytes = LEAT_RECORD_BYTES_MAX;
    if (bytes < size)
        bytes = size;
    struct block *made = leat__malloc(sizeof *made + bytes);
    if (!made)
        return false;
    *made = (struct block){ NULL, bytes };
    if (last)
        last->next = made;
    else
        s->blocks = made;
    s->block = made;
    s->block_used = 0;
    return true;
}

char *leat__expr_alloc(struct expr_frame *f, const struct expr_instr *in, uint32_t i, size_t size)
{
    struct leat_expr_scratch *s = f->scratch;
    if (size > LEAT_RECORD_BYTES_MAX || s->strings_bytes + size > LEAT_EXPR_SCRATCH_BYTES_MAX) {
        leat__expr_row_fail(f, in, i, LEAT_ELIMIT,
            "a string of %zu bytes; one may have %u, those of a batch together %u", size,
            LEAT_RECORD_BYTES_MAX, LEAT_EXPR_SCRATCH_BYTES_MAX);
        return NULL;
    }
    if (!s->block || s->block->size - s->block_used < size) {
        if (!next_block(s, size)) {
            leat__expr_row_fail(f, in, i, LEAT_ENOMEM, "out of memory for a string of %zu bytes", size);
            return NULL;
        }
    }
    char *at = s->block->data + s->block_used;
    s->block_used += size;
    s->strings_bytes += size;
    return at;
}

/* ---- rows that count, and errors ---- */

bool leat__expr_guard_holds(const struct expr_frame *f, uint32_t guard, uint32_t i)
{
    while (guard != 0) {
        const struct expr_guard *g = &f->program->guards[guard];
        const struct expr_vec *vec = &f->slots[g->slot];
        const bool is_null = leat__expr_null_at(vec, i);
        const bool value = g->when != EXPR_WHEN_NULL && vec->data[i * vec->step] != 0;
        bool holds = is_null;
        if (g->when == EXPR_WHEN_TRUE)
            holds = value && !is_null;
        else if (g->when == EXPR_WHEN_NOT_TRUE)
            holds = !value || is_null;
        else if (g->when == EXPR_WHEN_NOT_FALSE)
            holds = value || is_null;
        if (!holds)
            return false;
        guard = g->parent;
    }
    return true;
}

int leat__expr_row_fail(
    struct expr_frame *f, const struct expr_instr *in, uint32_t i, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)leat__error_v(f->err, code, format, args);
    va_end(args);
    f->bad_row = f->base + i;
    if (f->text) /* else a constant is folded: the place is the compiler's to say */
        (void)leat__error_prefix(f->err, "row %u, column %u", f->bad_row, leat__expr_column(f->text, in->at));
    return code;
}

/* ---- running ---- */

/* Null where an operand is. A constant operand of a strict kernel is never null: it would have been folded.
 */
static void merge_nulls(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *d = EXPR_DST(f, in);
    bool is_first = true;
    if (!d->nulls)
        return;
    for (uint32_t k = 0; k < in->args_count; k++) {
        const struct expr_vec *a = EXPR_ARG(f, in, k);
        if (!a->nulls)
            continue;
        LEAT_ASSERT(a->nulls_step == 1);
        if (is_first)
            memcpy(d->nulls, a->nulls, f->count);
        for (uint32_t i = 0; !is_first && i < f->count; i++)
            d->nulls[i] |= a->nulls[i];
        is_first = false;
    }
    if (is_first)
        memset(d->nulls, 0, f->count);
}

static int run_chunk(struct expr_frame *f)
{
    const struct expr_program *program = f->program;
    for (uint32_t i = 0; i < program->instrs_count; i++) {
        const struct expr_instr *in = &program->instrs[i];
        if (in->flags & EXPR_STRICT)
            merge_nulls(f, in);
        LEAT_TRY(in->run(f, in));
    }
    return 0;
}

static void aim(struct expr_frame *f)
{
    const struct expr_program *program = f->program;
    for (uint32_t i = 0; f->rows && i < program->slots_count; i++) {
        if (program->slots[i].kind != EXPR_SLOT_COLUMN)
            continue;
        /* Operands are not const, since they are results too; columns are only read. */
        f->slots[i].data = (unsigned char *)(uintptr_t)(f->rows + program->slots[i].offset);
        f->slots[i].step = f->stride;
    }
}

/* Records of a chunk, zeroes where one is missing. */
static void stand_in(struct expr_frame *f, uint32_t side, const void *const *records)
{
    const void **to = f->scratch->sides[side];
    for (uint32_t i = 0; i < f->count; i++)
        to[i] = records[i] ? records[i] : f->absent;
    f->sides[side] = to;
}

int leat__expr_run(const struct expr_program *program, struct leat_expr_scratch *scratch,
    struct expr_frame *f, uint32_t count, unsigned char *data, uint8_t *nulls)
{
    LEAT_ASSERT(scratch->program == program);
    f->program = program;
    f->scratch = scratch;
    f->slots = scratch->slots;
    const void *const *sides[2] = { f->sides[0], f->sides[1] };
    reset_strings(scratch);
    for (uint32_t base = 0; base < count; base += f->count) {
        f->base = base;
        f->count = count - base < EXPR_CHUNK_ROWS ? count - base : EXPR_CHUNK_ROWS;
        aim(f);
        for (uint32_t side = 0; side < 2 && sides[side]; side++) {
            f->sides[side] = sides[side] + base;
            if (f->may_miss >> side & 1)
                stand_in(f, side, f->sides[side]);
        }
        f->slots[program->root].data = data + (size_t)base * program->root_width;
        f->slots[program->root].nulls = program->is_nullable ? nulls + base : NULL;
        LEAT_TRY(run_chunk(f));
        if (f->rows)
            f->rows += (size_t)f->count * f->stride;
    }
    return 0;
}

/* ---- the public calls ---- */

int leat__expr_scratch_new(const struct leat_expr *expr, struct leat_expr_scratch **scratch)
{
    LEAT_TRY(leat__expr_scratch_of(&expr->program, expr->captures_max, scratch));
    for (uint32_t side = 0; side < 2; side++) {
        if (!(expr->may_miss >> side & 1))
            continue;
        struct leat_expr_scratch *s = *scratch;
        s->sides[side] = leat__malloc(EXPR_CHUNK_ROWS * sizeof *s->sides[side]);
        if (!s->sides[side]) {
            leat__expr_scratch_free(s);
            *scratch = NULL;
            return LEAT_ENOMEM;
        }
    }
    return 0;
}

static int reserve_result(struct leat_expr_scratch *s, uint32_t rows, struct leat_error *err)
{
    if (rows <= s->result_rows)
        return 0;
    leat__free(s->result);
    leat__free(s->result_nulls);
    s->result_rows = 0;
    s->result = leat__malloc((size_t)rows * s->program->root_width);
    s->result_nulls = leat__malloc(rows);
    if (!s->result || !s->result_nulls)
        return leat__error(err, LEAT_ENOMEM, "out of memory for the results of %u rows", rows);
    s->result_rows = rows;
    return 0;
}

static int evaluate(const struct leat_expr *expr, struct leat_expr_scratch *scratch, struct expr_frame *f,
    uint32_t count, uint32_t capacity, struct leat_vector *result, uint32_t *bad_row, struct leat_error *err)
{
    struct leat_error unseen = { 0 };
    f->err = err ? err : &unseen;
    f->text = expr->text;
    LEAT_TRY(reserve_result(scratch, capacity, f->err));
    const int code =
        leat__expr_run(&expr->program, scratch, f, count, scratch->result, scratch->result_nulls);
    if (code != 0) {
        if (bad_row)
            *bad_row = f->bad_row;
        return code;
    }
    *result = (struct leat_vector){ .value_class = expr->program.value_class, .count = count };
    result->is_null = expr->program.is_nullable ? scratch->result_nulls : NULL;
    const void *data = scratch->result;
    switch (expr->program.value_class) {
    case LEAT_VALUE_NULL:
    case LEAT_VALUE_BOOL:
        result->booleans = data;
        break;
    case LEAT_VALUE_FLOAT:
        result->floats = data;
        break;
    case LEAT_VALUE_STRING:
        result->strings = data;
        break;
    default:
        result->integers = data;
    }
    return 0;
}

int leat__expr_eval(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    const struct leat_batch *batch, struct leat_vector *result, uint32_t *bad_row, struct leat_error *err)
{
    struct expr_frame f = { .rows = batch->rows, .stride = batch->stride };
    LEAT_ASSERT(expr->sides == 1);
    const uint32_t capacity = batch->capacity > batch->count ? batch->capacity : batch->count;
    return evaluate(expr, scratch, &f, batch->count, capacity, result, bad_row, err);
}

int leat__expr_eval2(const struct leat_expr *expr, struct leat_expr_scratch *scratch, const void *const *left,
    const void *const *right, uint32_t count, struct leat_vector *result, uint32_t *bad_row,
    struct leat_error *err)
{
    struct expr_frame f = { .sides = { left, right }, .absent = expr->absent, .may_miss = expr->may_miss };
    LEAT_ASSERT(expr->sides == 2);
    return evaluate(expr, scratch, &f, count, count, result, bad_row, err);
}

int leat__expr_filter(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    struct leat_batch *batch, uint32_t *bad_row, struct leat_error *err)
{
    struct leat_error unseen = { 0 };
    struct expr_frame f = { .rows = batch->rows, .stride = batch->stride, .text = expr->text };
    f.err = err ? err : &unseen;
    LEAT_ASSERT(expr->sides == 1);
    if (leat__expr_width(expr->program.value_class) != 1)
        return leat__error(f.err, LEAT_EEXPR,
            "a filter is a boolean expression, this one is of class %s; compare it with something",
            leat__expr_class_name(expr->program.value_class));
    LEAT_TRY(reserve_result(scratch, batch->capacity > batch->count ? batch->capacity : batch->count, f.err));
    const int code =
        leat__expr_run(&expr->program, scratch, &f, batch->count, batch->keep, scratch->result_nulls);
    if (code != 0) {
        if (bad_row)
            *bad_row = f.bad_row;
        return code;
    }
    for (uint32_t i = 0; expr->program.is_nullable && i < batch->count; i++)
        batch->keep[i] &= !scratch->result_nulls[i];
    return 0;
}
