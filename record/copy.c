/* record/copy.c -- deep copies, by a program that visits the views of a record.
 *
 *   walk(record): for each view that is in use (not of a null, only of a union's active branch)
 *       string or bytes:  visit the view
 *       array or map:     visit the view, then walk each item
 *
 * Four visitors use the walk: adopt (copy into a batch), measure, write (copy into one block), and rebase.
 * The walk is inlined into each, so that a flat record of strings costs a loop over its strings and no more.
 * Empty views get a pointer that is valid everywhere and are never moved. */
#include "record/copy.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "record/program_private.h"

enum { COPY_END, COPY_VIEW, COPY_ITEMS, COPY_NULLABLE, COPY_UNION, COPY_JUMP };

struct leat_copier {
    struct leat__program program;
    uint32_t size; /* of the struct */
    bool only_strings; /* that are always there: the program is a list of them */
};

/* ---- compiling ---- */

static void compile(struct leat__program *p, const struct leat_type *type, uint32_t offset);

static void compile_nullable(
    struct leat__program *p, const struct leat_type *type, uint32_t has_offset, uint32_t offset)
{
    const uint32_t test = leat__program_emit(p, COPY_NULLABLE, has_offset, 0, 0, NULL);
    compile(p, type, offset);
    if (p->failed)
        return;
    if (p->ops_count == test + 1)
        p->ops_count = test; /* nothing to visit: no test either */
    else
        p->ops[test].a = p->ops_count;
}

static void compile_fields(struct leat__program *p, const struct leat_type *type, uint32_t offset)
{
    for (uint32_t i = 0; i < type->fields_count && !p->failed; i++) {
        const struct leat_field *field = &type->fields[i];
        if (field->has_offset == LEAT_NOT_NULLABLE)
            compile(p, field->type, offset + field->offset);
        else
            compile_nullable(p, field->type, offset + field->has_offset, offset + field->offset);
    }
}

/* The jump table has the branches and then the end, where a bad tag goes: it shows nothing. */
static void compile_union(struct leat__program *p, const struct leat_type *type, uint32_t offset)
{
    const uint32_t count = type->fields_count;
    const uint32_t jumps = leat__program_jumps(p, count + 1);
    const uint32_t test = leat__program_emit(p, COPY_UNION, offset, jumps, count, NULL);
    for (uint32_t i = 0; i < count && !p->failed; i++) {
        p->jumps[jumps + i] = p->ops_count;
        compile(p, type->fields[i].type, offset + type->fields[i].offset);
        (void)leat__program_emit(p, COPY_JUMP, 0, jumps + count, 0, NULL);
    }
    if (p->failed)
        return;
    if (p->ops_count == test + 1 + count) { /* only jumps: no branch has a view */
        p->ops_count = test;
        p->jumps_count = jumps;
        return;
    }
    p->jumps[jumps + count] = p->ops_count;
}

static void compile_items(struct leat__program *p, const struct leat_type *type, uint32_t offset)
{
    const struct leat__items items = { .size = type->entry_size, .type = type };
    (void)leat__program_emit(p, COPY_ITEMS, offset, leat__program_items(p, &items), 0, NULL);
}

static void compile(struct leat__program *p, const struct leat_type *type, uint32_t offset)
{
    switch (type->kind) {
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        (void)leat__program_emit(p, COPY_VIEW, offset, 0, 0, NULL);
        break;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        compile_items(p, type, offset);
        break;
    case LEAT_KIND_RECORD:
        compile_fields(p, type, offset);
        break;
    case LEAT_KIND_OPTIONAL:
        compile_nullable(p, type->item, offset, offset + type->value_offset);
        break;
    case LEAT_KIND_UNION:
        compile_union(p, type, offset);
        break;
    default:
        break;
    }
}

/* Subprograms are written one after the other: those that they mention are appended to the list meanwhile. */
static void compile_subprograms(struct leat__program *p)
{
    for (uint32_t i = 0; i < p->items_count && !p->failed; i++) {
        const struct leat_type *type = p->items[i].type;
        p->items[i].start = p->ops_count;
        if (type->kind == LEAT_KIND_MAP)
            (void)leat__program_emit(p, COPY_VIEW, 0, 0, 0, NULL);
        compile(p, type->item, type->kind == LEAT_KIND_MAP ? type->value_offset : 0);
        (void)leat__program_emit(p, COPY_END, 0, 0, 0, NULL);
    }
}

static bool has_only_strings(const struct leat__program *p)
{
    uint32_t i = 0;
    while (p->ops[i].code == COPY_VIEW)
        i++;
    return p->ops[i].code == COPY_END;
}

int leat__copier_new(const struct leat_type *type, struct leat_copier **copier)
{
    struct leat_copier *made = leat__calloc(1, sizeof *made);
    *copier = NULL;
    if (!made)
        return LEAT_ENOMEM;
    made->size = type->size;
    compile(&made->program, type, 0);
    (void)leat__program_emit(&made->program, COPY_END, 0, 0, 0, NULL);
    made->only_strings = !made->program.failed && has_only_strings(&made->program);
    compile_subprograms(&made->program);
    const int code = made->program.failed;
    if (code < 0)
        leat__copier_free(made);
    else
        *copier = made;
    return code;
}

void leat__copier_free(struct leat_copier *copier)
{
    if (!copier)
        return;
    leat__program_release(&copier->program);
    leat__free(copier);
}

bool leat__copier_is_flat(const struct leat_copier *copier)
{
    return copier->program.ops[0].code == COPY_END;
}

/* ---- the walk ---- */

static inline struct leat_sv *view_at(unsigned char *at)
{
    return (struct leat_sv *)(void *)at;
}

/* What a visitor needs, whichever it is. */
struct visit {
    const struct leat_copier *copier;
    struct leat_batch *batch; /* adopt */
    size_t size; /* measure */
    unsigned char *at; /* write */
    ptrdiff_t moved; /* rebase */
};

/* Visits the bytes behind a view: `*data` may be changed. LEAT_ENOMEM or 0. */
typedef int (*visit_fn)(struct visit *v, const void **data, size_t size);
typedef int (*walk_fn)(struct visit *v, uint32_t start, unsigned char *row);

static inline __attribute__((always_inline)) int walk(
    struct visit *v, uint32_t start, unsigned char *row, visit_fn visit, walk_fn again)
{
    const struct leat__program *p = &v->copier->program;
    for (const struct leat__op *op = p->ops + start;; op++) {
        switch (op->code) {
        case COPY_VIEW: {
            struct leat_sv *view = view_at(row + op->offset);
            const void *data = view->data;
            if (visit(v, &data, view->len) < 0)
                return LEAT_ENOMEM;
            if (data != view->data) /* a record that is only measured may be read-only */
                view->data = data;
            break;
        }
        case COPY_ITEMS: {
            /* Arrays and maps have the same two members; member pointers serve both. */
            const void **view = (const void **)(void *)(row + op->offset);
            const size_t count =
                *(const size_t *)(void *)(row + op->offset + offsetof(struct leat_array, count));
            const struct leat__items *items = &p->items[op->a];
            const void *data = *view;
            if (visit(v, &data, count * items->size) < 0)
                return LEAT_ENOMEM;
            if (data != *view)
                *view = data;
            if (p->ops[items->start].code == COPY_END)
                break;
            for (size_t i = 0; i < count; i++) {
                unsigned char *item = (unsigned char *)(uintptr_t)data + i * items->size;
                if (again(v, items->start, item) < 0)
                    return LEAT_ENOMEM;
            }
            break;
        }
        case COPY_NULLABLE:
            if (!row[op->offset])
                op = p->ops + op->a - 1;
            break;
        case COPY_UNION: {
            const int32_t tag = *(const int32_t *)(void *)(row + op->offset);
            const uint32_t branch = tag >= 0 && (uint32_t)tag < op->b ? (uint32_t)tag : op->b;
            op = p->ops + p->jumps[op->a + branch] - 1;
            break;
        }
        case COPY_JUMP:
            op = p->ops + p->jumps[op->a] - 1;
            break;
        default:
            return 0;
        }
    }
}

/* ---- the visitors ---- */

#define ALIGN_UP(size_) (((size_) + 7) & ~(size_t)7)

_Static_assert(offsetof(struct leat_array, items) == 0 && offsetof(struct leat_map, entries) == 0 &&
        offsetof(struct leat_array, count) == offsetof(struct leat_map, count),
    "one walk serves arrays and maps");

static const uint64_t nothing = 0; /* what empty views show */

static int adopt_bytes(struct visit *v, const void **data, size_t size)
{
    if (size == 0) {
        *data = &nothing;
        return 0;
    }
    void *copy = leat__batch_alloc(v->batch, size, 8);
    if (!copy)
        return LEAT_ENOMEM;
    leat__copy_bytes(copy, *data, size);
    *data = copy;
    return 0;
}

static int adopt(struct visit *v, uint32_t start, unsigned char *row)
{
    return walk(v, start, row, adopt_bytes, adopt);
}

static int measure_bytes(struct visit *v, const void **data, size_t size)
{
    (void)data;
    v->size += ALIGN_UP(size);
    return 0;
}

static int measure(struct visit *v, uint32_t start, unsigned char *row)
{
    return walk(v, start, row, measure_bytes, measure);
}

static int write_bytes(struct visit *v, const void **data, size_t size)
{
    if (size == 0) {
        *data = &nothing;
        return 0;
    }
    leat__copy_bytes(v->at, *data, size);
    *data = v->at;
    v->at += ALIGN_UP(size);
    return 0;
}

static int write_all(struct visit *v, uint32_t start, unsigned char *row)
{
    return walk(v, start, row, write_bytes, write_all);
}

static int rebase_bytes(struct visit *v, const void **data, size_t size)
{
    if (size)
        *data = (const unsigned char *)*data + v->moved;
    return 0;
}

static int rebase(struct visit *v, uint32_t start, unsigned char *row)
{
    return walk(v, start, row, rebase_bytes, rebase);
}

/* All strings of a row, side by side. */
static int adopt_row(struct leat_copier *copier, struct leat_batch *to, unsigned char *row)
{
    const struct leat__op *const ops = copier->program.ops;
    size_t size = 0;
    for (const struct leat__op *op = ops; op->code == COPY_VIEW; op++)
        size += ALIGN_UP(view_at(row + op->offset)->len);
    char *at = size ? leat__batch_alloc(to, size, 8) : NULL;
    if (size && !at)
        return LEAT_ENOMEM;
    for (const struct leat__op *op = ops; op->code == COPY_VIEW; op++) {
        struct leat_sv *view = view_at(row + op->offset);
        if (view->len == 0) {
            view->data = (const char *)&nothing;
            continue;
        }
        leat__copy_bytes(at, view->data, view->len);
        view->data = at;
        at += ALIGN_UP(view->len);
    }
    return 0;
}

int leat__copy_adopt(struct leat_copier *copier, struct leat_batch *to, void *row)
{
    struct visit v = { .copier = copier, .batch = to };
    return copier->only_strings ? adopt_row(copier, to, row) : adopt(&v, 0, row);
}

/* One string of each row. */
static int adopt_strings(struct leat_batch *to, unsigned char *row, size_t stride, uint32_t count)
{
    struct leat_sv last = { NULL, 0 };
    const void *copy = NULL;
    for (uint32_t i = 0; i < count; i++, row += stride) {
        struct leat_sv *view = view_at(row);
        if (view->len == 0) {
            view->data = (const char *)&nothing;
        } else if (view->data == last.data && view->len == last.len) {
            view->data = copy;
        } else {
            char *bytes = leat__batch_alloc(to, view->len, 8);
            if (!bytes)
                return LEAT_ENOMEM;
            leat__copy_bytes(bytes, view->data, view->len);
            last = *view;
            view->data = copy = bytes;
        }
    }
    return 0;
}

int leat__copy_adopt_rows(struct leat_copier *copier, struct leat_batch *to, uint32_t first, uint32_t count)
{
    const struct leat__op *ops = copier->program.ops;
    unsigned char *rows = to->rows + (size_t)first * to->stride;
    if (!copier->only_strings) {
        for (uint32_t i = 0; i < count; i++)
            LEAT_TRY(leat__copy_adopt(copier, to, rows + (size_t)i * to->stride));
        return 0;
    }
    for (; ops->code != COPY_END; ops++)
        LEAT_TRY(adopt_strings(to, rows + ops->offset, to->stride, count));
    return 0;
}

int leat__copy_push(struct leat_copier *copier, struct leat_batch *to, const void *record)
{
    LEAT_ASSERT(to->count < to->capacity);
    void *row = leat_batch_at(to, to->count);
    leat__copy_bytes(row, record, copier->size);
    LEAT_TRY(leat__copy_adopt(copier, to, row));
    to->count++;
    return 0;
}

size_t leat__copy_size(struct leat_copier *copier, const void *record)
{
    struct visit v = { .copier = copier, .size = ALIGN_UP((size_t)copier->size) };
    if (copier->only_strings) {
        for (const struct leat__op *op = copier->program.ops; op->code == COPY_VIEW; op++)
            v.size += ALIGN_UP(view_at((unsigned char *)(uintptr_t)record + op->offset)->len);
        return v.size;
    }
    /* measure_bytes changes no view, so that the walk writes nothing. */
    (void)measure(&v, 0, (unsigned char *)(uintptr_t)record);
    return v.size;
}

void leat__copy_to(struct leat_copier *copier, const void *record, void *memory)
{
    struct visit v = { .copier = copier, .at = (unsigned char *)memory + ALIGN_UP((size_t)copier->size) };
    leat__copy_bytes(memory, record, copier->size);
    if (!copier->only_strings) {
        (void)write_all(&v, 0, memory);
        return;
    }
    for (const struct leat__op *op = copier->program.ops; op->code == COPY_VIEW; op++) {
        struct leat_sv *view = view_at((unsigned char *)memory + op->offset);
        const void *data = view->data;
        (void)write_bytes(&v, &data, view->len);
        view->data = data;
    }
}

size_t leat__copy_within(struct leat_copier *copier, const void *record, void *memory, size_t room)
{
    size_t size = ALIGN_UP((size_t)copier->size);
    if (!copier->only_strings) {
        size = leat__copy_size(copier, record);
        if (size <= room)
            leat__copy_to(copier, record, memory);
        return size;
    }
    const struct leat__op *ops = copier->program.ops;
    const unsigned char *from = record;
    unsigned char *to = memory;
    if (size <= room)
        leat__copy_bytes(to, from, copier->size);
    for (const struct leat__op *op = ops; op->code == COPY_VIEW; op++) {
        const struct leat_sv view = *(const struct leat_sv *)(const void *)(from + op->offset);
        const size_t at = size;
        size += ALIGN_UP(view.len);
        if (size > room)
            continue; /* only how much there is */
        view_at(to + op->offset)->data = view.len ? (const char *)to + at : (const char *)&nothing;
        if (view.len)
            leat__copy_bytes(to + at, view.data, view.len);
    }
    return size;
}

void leat__copy_rebase(struct leat_copier *copier, void *record, ptrdiff_t moved)
{
    struct visit v = { .copier = copier, .moved = moved };
    (void)rebase(&v, 0, record);
}
