/* record/resolve.c -- from a writer's and a reader's schema to a decoder's program.
 *
 *   compile(w, r, slot):  w a union      -> read the branch, jump: each branch is compiled to the same slot
 *                         r a union      -> the best of its branches: store tag or has, go on with that one
 *                         both records   -> the writer's fields in their order, each read into the reader's
 * or skipped; then the defaults of what the writer does not have arrays, maps   -> one instruction and a
 * subprogram, compiled later from a list otherwise      -> one instruction
 *
 * A branch of the writer's union that fits nothing is an error only when data has it (MISFIT), as Avro says;
 * if no branch but null fits, it is an error here. What is named alike and then does not fit is an error here
 * too.
 *
 * Bytes written without condition are counted: a program that writes all of a row needs no zeroed row.
 * The walk ends because the reader's type is a finite tree (record/type_layout.c). */
#include "base/alloc.h"
#include "base/limits.h"
#include "record/copy.h"
#include "record/decode_private.h"

/* Where a value goes. has_offset is that of the nullable field or optional around it, else LEAT_NOT_NULLABLE.
 */
struct slot {
    const struct leat_type *type;
    uint32_t offset;
    uint32_t has_offset;
};

/* A subprogram that is still to be compiled. */
struct pending {
    struct pending *next;
    uint32_t items;
    const struct leat_schema_node *w, *r; /* the arrays or maps */
    const struct leat_type *type;
    const char *place;
};

struct resolver {
    struct leat_decoder *decoder;
    struct leat__program *program;
    struct leat_arena scratch; /* names, default images, the list: until the program is done */
    struct leat_error *err;
    const char *place; /* dotted path of the field, or NULL at the top */
    struct pending *pending, **pending_end;
    uint64_t written; /* bytes that the program being compiled writes always */
    uint32_t conditional; /* > 0: inside something that may not be run */
    size_t default_bytes_left;
    bool check_utf8;
};

static int compile(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot);

/* ---- small parts ---- */

static int no_memory(struct resolver *c)
{
    return leat__error(c->err, LEAT_ENOMEM, "out of memory while compiling a decoder");
}

static uint32_t emit(struct resolver *c, enum leat__decode_code code, uint32_t offset, uint32_t a, uint32_t b)
{
    return leat__program_emit(c->program, (uint32_t)code, offset, a, b, c->place);
}

static void count_written(struct resolver *c, uint32_t size)
{
    if (c->conditional == 0)
        c->written += size;
}

/* Puts the place before an error's text. */
static int at_place(struct resolver *c, int code)
{
    if (code < 0 && c->place)
        (void)leat__error_prefix(c->err, "field %s", c->place);
    return code;
}

static int enter(struct resolver *c, const char *name)
{
    c->place = c->place ? leat__arena_printf(&c->decoder->arena, "%s.%s", c->place, name)
                        : leat__arena_str(&c->decoder->arena, name);
    return c->place ? 0 : no_memory(c);
}

/* Keeps a pointer for an instruction; gives its index. */
static int add_pointer(struct resolver *c, const void *pointer, uint32_t *index)
{
    struct leat_decoder *d = c->decoder;
    if (!pointer)
        return no_memory(c);
    if (d->pointers_count == d->pointers_capacity) {
        const uint32_t capacity = d->pointers_capacity ? d->pointers_capacity * 2 : 8;
        const void **pointers = leat__realloc((void *)d->pointers, capacity * sizeof(*pointers));
        if (!pointers)
            return no_memory(c);
        d->pointers = pointers;
        d->pointers_capacity = capacity;
    }
    *index = d->pointers_count;
    d->pointers[d->pointers_count++] = pointer;
    return 0;
}

/* ---- defaults ---- */

static bool is_zero(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i])
            return false;
    return true;
}

static int emit_default(struct resolver *c, const struct leat_schema_node *r, struct slot slot, void *json)
{
    uint32_t index;
    if (slot.has_offset != LEAT_NOT_NULLABLE) {
        if (r->branches[0]->kind == LEAT_KIND_NULL)
            return 0; /* rows are zeroed: has is false */
        (void)emit(c, DECODE_HAS, slot.has_offset, 0, 0);
        r = r->branches[0];
    }
    struct leat__constant *constant = leat__arena_alloc(&c->decoder->arena, sizeof *constant);
    void *image = leat__arena_alloc(&c->scratch, slot.type->size);
    if (!constant || !image)
        return no_memory(c);
    LEAT_TRY(leat__default_build(r, slot.type, json, &c->scratch, &c->default_bytes_left, image, c->err));
    if (is_zero(image, slot.type->size))
        return 0;
    constant->type = slot.type;
    constant->image = image;
    LEAT_TRY(add_pointer(c, constant, &index));
    (void)emit(c, DECODE_CONSTANT, slot.offset, index, 0);
    count_written(c, slot.type->size);
    return 0;
}

/* Moves the default images into one buffer, which batches refer to: constants show memory in it. */
static int finish_defaults(struct resolver *c)
{
    struct leat_decoder *d = c->decoder;
    size_t total = 0;
    unsigned char *at = NULL;
    /* Measured first, then written. */
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < c->program->ops_count; i++) {
            const struct leat__op *op = &c->program->ops[i];
            if (op->code != DECODE_CONSTANT)
                continue;
            struct leat__constant *constant = (struct leat__constant *)(uintptr_t)d->pointers[op->a];
            struct leat_copier *copier;
            if (leat__copier_new(constant->type, &copier) < 0)
                return no_memory(c);
            const size_t size = leat__copy_size(copier, constant->image);
            if (at) {
                leat__copy_to(copier, constant->image, at);
                constant->data = at;
                at += size;
            }
            total += size;
            leat__copier_free(copier);
        }
        if (total == 0)
            return 0;
        if (!at && leat__buffer_get(NULL, total, &d->defaults) < 0)
            return no_memory(c);
        at = (unsigned char *)d->defaults->data;
    }
    return 0;
}

/* ---- unions ---- */

static int compile_branch(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    uint32_t index;
    struct leat_error text = { 0 };
    if (leat__resolve_match(w, r) != LEAT__MATCH_NONE)
        return compile(c, w, r, slot);
    (void)leat__resolve_mismatch(w, r, &text);
    LEAT_TRY(add_pointer(c, leat__arena_str(&c->decoder->arena, text.message), &index));
    (void)emit(c, DECODE_MISFIT, 0, index, 0);
    return 0;
}

/* ["null", T] to a nullable slot, the everyday case. */
static int compile_nullable(struct resolver *c, const struct leat_schema_node *w, int32_t branch,
    const struct leat_schema_node *r, struct slot slot)
{
    const struct slot value = { slot.type, slot.offset, LEAT_NOT_NULLABLE };
    const uint32_t test = emit(c, DECODE_NULLABLE, slot.has_offset, branch == 0 ? 1 : 0, 0);
    count_written(c, 1);
    c->conditional++;
    LEAT_TRY(compile(c, w->branches[branch], r, value));
    c->conditional--;
    if (!c->program->failed)
        c->program->ops[test].b = c->program->ops_count;
    return 0;
}

static int compile_from_union(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    const int32_t from = leat__schema_optional(w), to = leat__schema_optional(r);
    uint32_t fits = 0, values = 0;
    if (slot.has_offset != LEAT_NOT_NULLABLE && from >= 0 && to >= 0 &&
        leat__resolve_match(w->branches[from], r->branches[to]) != LEAT__MATCH_NONE)
        return compile_nullable(c, w, from, r->branches[to], slot);

    for (uint32_t i = 0; i < w->branches_count; i++) {
        const bool is_null = w->branches[i]->kind == LEAT_KIND_NULL;
        values += !is_null || w->branches_count == 1;
        fits += (!is_null || w->branches_count == 1) &&
            leat__resolve_match(w->branches[i], r) != LEAT__MATCH_NONE;
    }
    if (values == 0 || fits == 0)
        return at_place(c, leat__resolve_mismatch(w, r, c->err));
    const uint32_t end = leat__program_jumps(c->program, 1);
    const uint32_t jumps = leat__program_jumps(c->program, w->branches_count);
    (void)emit(c, DECODE_UNION, 0, jumps, w->branches_count);
    c->conditional++;
    for (uint32_t i = 0; i < w->branches_count && !c->program->failed; i++) {
        c->program->jumps[jumps + i] = c->program->ops_count;
        LEAT_TRY(compile_branch(c, w->branches[i], r, slot));
        if (i + 1 < w->branches_count)
            (void)emit(c, DECODE_JUMP, 0, end, 0);
    }
    c->conditional--;
    if (!c->program->failed)
        c->program->jumps[end] = c->program->ops_count;
    return 0;
}

static int compile_to_union(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    enum leat__match best = LEAT__MATCH_NONE;
    uint32_t branch = 0;
    for (uint32_t i = 0; i < r->branches_count; i++) {
        const enum leat__match match = leat__resolve_match(w, r->branches[i]);
        if (match > best) {
            best = match;
            branch = i;
        }
    }
    if (best == LEAT__MATCH_NONE)
        return at_place(c, leat__resolve_mismatch(w, r, c->err));
    const struct leat_schema_node *chosen = r->branches[branch];
    struct slot value = { slot.type, slot.offset, LEAT_NOT_NULLABLE };
    if (slot.has_offset != LEAT_NOT_NULLABLE) {
        if (chosen->kind == LEAT_KIND_NULL)
            return 0;
        (void)emit(c, DECODE_HAS, slot.has_offset, 0, 0);
        count_written(c, 1);
    } else {
        (void)emit(c, DECODE_TAG, slot.offset, branch, 0);
        value.type = slot.type->fields[branch].type;
        value.offset += slot.type->fields[branch].offset;
        count_written(c, sizeof(int32_t));
    }
    return compile(c, w, chosen, value);
}

/* ---- records ---- */

static void emit_skip(struct resolver *c, const struct leat_schema_node *w)
{
    switch (w->kind) {
    case LEAT_KIND_NULL:
        break;
    case LEAT_KIND_INT:
    case LEAT_KIND_LONG:
    case LEAT_KIND_ENUM:
        (void)emit(c, DECODE_SKIP_VARINT, 0, 0, 0);
        break;
    case LEAT_KIND_BOOLEAN:
        (void)emit(c, DECODE_SKIP_FIXED, 0, 1, 0);
        break;
    case LEAT_KIND_FLOAT:
        (void)emit(c, DECODE_SKIP_FIXED, 0, sizeof(float), 0);
        break;
    case LEAT_KIND_DOUBLE:
        (void)emit(c, DECODE_SKIP_FIXED, 0, sizeof(double), 0);
        break;
    case LEAT_KIND_FIXED:
        (void)emit(c, DECODE_SKIP_FIXED, 0, w->fixed_size, 0);
        break;
    case LEAT_KIND_BYTES:
    case LEAT_KIND_STRING:
        (void)emit(c, DECODE_SKIP_STRING, 0, 0, 0);
        break;
    default:
        (void)emit(c, DECODE_SKIP_NODE, 0, w->id, 0);
    }
}

/* For each field of the writer the reader's field that it goes to, or -1: by name, else by one of the
 * reader's aliases, unless another has it by name. */
static int map_fields(struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r,
    int32_t **reader_of, bool **is_fed)
{
    struct leat_names names = { .arena = &c->scratch };
    *reader_of = leat__arena_array(&c->scratch, w->fields_count, sizeof **reader_of);
    *is_fed = leat__arena_array(&c->scratch, r->fields_count, sizeof **is_fed);
    if (!*reader_of || !*is_fed)
        return no_memory(c);
    for (uint32_t i = 0; i < w->fields_count; i++) {
        (*reader_of)[i] = -1;
        if (leat__names_add(&names, w->fields[i].name, i) < 0)
            return no_memory(c);
    }
    for (uint32_t i = 0; i < r->fields_count; i++) {
        const int64_t found = leat__names_find(&names, r->fields[i].name);
        if (found >= 0) {
            (*reader_of)[found] = (int32_t)i;
            (*is_fed)[i] = true;
        }
    }
    for (uint32_t i = 0; i < r->fields_count; i++) {
        for (uint32_t a = 0; a < r->fields[i].aliases_count && !(*is_fed)[i]; a++) {
            const int64_t found = leat__names_find(&names, r->fields[i].aliases[a]);
            if (found < 0 || (*reader_of)[found] >= 0)
                continue;
            (*reader_of)[found] = (int32_t)i;
            (*is_fed)[i] = true;
        }
    }
    return 0;
}

static struct slot field_slot(struct slot record, uint32_t i)
{
    const struct leat_field *field = &record.type->fields[i];
    return (struct slot){ field->type, record.offset + field->offset,
        field->has_offset == LEAT_NOT_NULLABLE ? LEAT_NOT_NULLABLE : record.offset + field->has_offset };
}

static int compile_default_field(struct resolver *c, const struct leat_schema_node *w,
    const struct leat_schema_field *field, struct slot slot)
{
    int code;
    if (field->has_default)
        code = emit_default(c, field->node, slot, field->default_json);
    else
        code = leat__error(c->err, LEAT_ESCHEMA,
            "not in record %s of the data, and without a default; add a default, or an alias if it was "
            "renamed",
            w->name);
    return at_place(c, code);
}

static int compile_record(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    int32_t *reader_of;
    bool *is_fed;
    const char *outside = c->place;
    LEAT_TRY(map_fields(c, w, r, &reader_of, &is_fed));
    for (uint32_t i = 0; i < w->fields_count && !c->program->failed; i++) {
        const int32_t to = reader_of[i];
        LEAT_TRY(enter(c, to < 0 ? w->fields[i].name : r->fields[to].name));
        if (to < 0)
            emit_skip(c, w->fields[i].node);
        else
            LEAT_TRY(compile(c, w->fields[i].node, r->fields[to].node, field_slot(slot, (uint32_t)to)));
        c->place = outside;
    }
    for (uint32_t i = 0; i < r->fields_count && !c->program->failed; i++) {
        if (is_fed[i])
            continue;
        LEAT_TRY(enter(c, r->fields[i].name));
        LEAT_TRY(compile_default_field(c, w, &r->fields[i], field_slot(slot, i)));
        c->place = outside;
    }
    return 0;
}

/* ---- the other kinds ---- */

static int compile_enum(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    struct leat_names names = { .arena = &c->scratch };
    struct leat__enum_map *map = leat__arena_alloc(&c->decoder->arena, sizeof *map);
    uint32_t index, same = 0;
    if (!map)
        return no_memory(c);
    map->count = w->symbols_count;
    map->to = leat__arena_array(&c->decoder->arena, w->symbols_count, sizeof *map->to);
    map->symbols = leat__arena_array(&c->decoder->arena, w->symbols_count, sizeof *map->symbols);
    if (!map->to || !map->symbols)
        return no_memory(c);
    for (uint32_t i = 0; i < r->symbols_count; i++)
        if (leat__names_add(&names, r->symbols[i], i) < 0)
            return no_memory(c);
    for (uint32_t i = 0; i < w->symbols_count; i++) {
        const int64_t found = leat__names_find(&names, w->symbols[i]);
        map->to[i] = found >= 0 ? (int32_t)found : r->default_symbol;
        map->symbols[i] = leat__arena_str(&c->decoder->arena, w->symbols[i]);
        if (!map->symbols[i])
            return no_memory(c);
        same += found == (int64_t)i;
    }
    count_written(c, sizeof(int32_t));
    if (same == w->symbols_count) {
        (void)emit(c, DECODE_ENUM, slot.offset, w->symbols_count, 0);
        return 0;
    }
    LEAT_TRY(add_pointer(c, map, &index));
    (void)emit(c, DECODE_ENUM_MAP, slot.offset, index, 0);
    return 0;
}

static int compile_items(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    const struct leat__items items = {
        .size = slot.type->entry_size,
        .is_empty = w->kind == LEAT_KIND_ARRAY && c->decoder->skips[w->item->id].is_empty,
        .type = slot.type,
    };
    struct pending *pending = leat__arena_alloc(&c->scratch, sizeof *pending);
    if (!pending)
        return no_memory(c);
    *pending = (struct pending){
        .items = leat__program_items(c->program, &items), .w = w, .r = r, .type = slot.type, .place = c->place
    };
    *c->pending_end = pending;
    c->pending_end = &pending->next;
    (void)emit(c, DECODE_ITEMS, slot.offset, pending->items, 0);
    count_written(c, sizeof(struct leat_array));
    return 0;
}

static enum leat__decode_code number_code(enum leat_kind w, enum leat_kind r)
{
    static const enum leat__decode_code codes[4][4] = {
        { DECODE_INT, DECODE_INT_TO_LONG, DECODE_INT_TO_FLOAT, DECODE_INT_TO_DOUBLE },
        { DECODE_END_ROW, DECODE_LONG, DECODE_LONG_TO_FLOAT, DECODE_LONG_TO_DOUBLE },
        { DECODE_END_ROW, DECODE_END_ROW, DECODE_FLOAT, DECODE_FLOAT_TO_DOUBLE },
        { DECODE_END_ROW, DECODE_END_ROW, DECODE_END_ROW, DECODE_DOUBLE },
    };
    return codes[w - LEAT_KIND_INT][r - LEAT_KIND_INT];
}

static int compile_same(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    if (leat__resolve_match(w, r) == LEAT__MATCH_NONE)
        return at_place(c, leat__resolve_mismatch(w, r, c->err));
    LEAT_TRY(at_place(c, leat__resolve_logical(w, r, c->err)));
    switch (r->kind) {
    case LEAT_KIND_RECORD:
        return compile_record(c, w, r, slot);
    case LEAT_KIND_ENUM:
        return compile_enum(c, w, r, slot);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return compile_items(c, w, r, slot);
    case LEAT_KIND_FIXED:
        (void)emit(c, DECODE_FIXED, slot.offset, r->fixed_size, 0);
        break;
    case LEAT_KIND_BOOLEAN:
        (void)emit(c, DECODE_BOOLEAN, slot.offset, 0, 0);
        break;
    case LEAT_KIND_STRING:
        (void)emit(c, c->check_utf8 ? DECODE_STRING_UTF8 : DECODE_STRING, slot.offset, 0, 0);
        break;
    case LEAT_KIND_BYTES:
        (void)emit(c, DECODE_STRING, slot.offset, 0, 0);
        break;
    case LEAT_KIND_NULL:
        return 0;
    default:
        (void)emit(c, number_code(w->kind, r->kind), slot.offset, 0, 0);
    }
    count_written(c, slot.type->size);
    return 0;
}

static int compile(
    struct resolver *c, const struct leat_schema_node *w, const struct leat_schema_node *r, struct slot slot)
{
    if (slot.type->kind == LEAT_KIND_OPTIONAL) {
        slot.has_offset = slot.offset;
        slot.offset += slot.type->value_offset;
        slot.type = slot.type->item;
    }
    if (w->kind == LEAT_KIND_UNION)
        return compile_from_union(c, w, r, slot);
    if (r->kind == LEAT_KIND_UNION)
        return compile_to_union(c, w, r, slot);
    return compile_same(c, w, r, slot);
}

/* ---- the whole ---- */

static int compile_pending(struct resolver *c, const struct pending *pending)
{
    const struct leat_type *type = pending->type;
    const bool is_map = type->kind == LEAT_KIND_MAP;
    const uint32_t value_offset = is_map ? type->value_offset : 0;
    const struct slot slot = { type->item, value_offset, LEAT_NOT_NULLABLE };
    const uint32_t start = c->program->ops_count;
    c->written = 0;
    c->place = pending->place;
    LEAT_TRY(enter(c, is_map ? "value" : "item"));
    if (is_map) {
        (void)emit(c, c->check_utf8 ? DECODE_STRING_UTF8 : DECODE_STRING, 0, 0, 0);
        count_written(c, sizeof(struct leat_sv));
    }
    LEAT_TRY(compile(c, pending->w->item, pending->r->item, slot));
    (void)emit(c, DECODE_END_ITEM, 0, 0, 0);
    if (c->program->failed)
        return 0;
    c->program->items[pending->items].start = start;
    c->program->items[pending->items].must_zero = c->written != type->entry_size;
    return 0;
}

static int compile_all(struct resolver *c, const struct leat_schema *writer, const struct leat_schema *reader,
    const struct leat_type *type)
{
    const struct slot slot = { type, 0, LEAT_NOT_NULLABLE };
    LEAT_TRY(leat__skip_build(c->decoder, writer, c->err));
    LEAT_TRY(compile(c, writer->root, reader->root, slot));
    c->place = NULL;
    (void)emit(c, DECODE_END_ROW, 0, 0, 0);
    c->decoder->row_size = type->size;
    c->decoder->must_zero = c->written != type->size;
    c->decoder->is_empty = c->decoder->skips[writer->root->id].is_empty;
    for (const struct pending *p = c->pending; p && !c->program->failed; p = p->next)
        LEAT_TRY(compile_pending(c, p));
    LEAT_TRY(leat__program_check(c->program, c->err));
    static const uint32_t singles[] = { DECODE_INT, DECODE_LONG, DECODE_STRING, DECODE_SKIP_VARINT,
        DECODE_SKIP_STRING };
    leat__program_fuse(c->program, singles, 5, DECODE_INT_AND_INT);
    return finish_defaults(c);
}

int leat__resolve(struct leat_decoder *decoder, const struct leat_schema *writer,
    const struct leat_schema *reader, const struct leat_type *type, bool check_utf8, struct leat_error *err)
{
    struct resolver c = {
        .decoder = decoder,
        .program = &decoder->program,
        .err = err,
        .default_bytes_left = LEAT_RECORD_BYTES_MAX,
        .check_utf8 = check_utf8,
    };
    c.pending_end = &c.pending;
    const int code = compile_all(&c, writer, reader, type);
    leat__arena_release(&c.scratch);
    return code;
}
