/* record/encode.c -- structs to Avro binary, by a program compiled once per type.
 *
 * Room. (1) Every program begins with RESERVE: room for all that it writes without looking at lengths
 * (numbers, indexes, the lengths themselves), summed over its instructions. (2) What has a length of its own
 * makes room for itself and for the rest again. So numbers are written without a test. `w` is where bytes go,
 * limit the end of the room. A union's index is its tag; which branch of ["null", T] is null only the schema
 * knows, so it is parsed again. */
#include "base/alloc.h"
#include "base/assert.h"
#include "record/avro.h"
#include "record/program_private.h"
#include <stdio.h>

#define UNLIKELY(x_) __builtin_expect(!!(x_), 0)
#define VARINT_BYTES_MAX 10u
#define STRBUF_SLACK_BYTES 17u /* behind what leat__strbuf_reserve promises */

/* X(name): "at" is row + offset.
 *   RESERVE      a: bytes
 *   BYTES        a: bytes of its length and of the rest; FIXED a: size, b: bytes of the rest
 *   ENUM         a: number of symbols
 *   NULLABLE     at: bool has; a: where to go on when null; b: index of null
 *   UNION        at: tag; a: jump table; b: number of branches; JUMP a: jump table entry
 *   ITEMS        a: items */
#define ENCODE_OPS(X) \
    X(END_ROW) \
    X(END_ITEM) \
    X(RESERVE) \
    X(BOOLEAN) \
    X(INT) \
    X(LONG) \
    X(FLOAT) \
    X(DOUBLE) \
    X(BYTES) \
    X(FIXED) \
    X(ENUM) \
    X(NULLABLE) \
    X(UNION) \
    X(JUMP) \
    X(ITEMS)
/* Pairs (leat__program_fuse). */
#define ENCODE_PAIRS(X) \
    X(INT, INT) \
    X(INT, LONG) \
    X(INT, BYTES) \
    X(LONG, INT) \
    X(LONG, LONG) \
    X(LONG, BYTES) \
    X(BYTES, INT) \
    X(BYTES, LONG) \
    X(BYTES, BYTES)

enum encode_code {
#define ENCODE_CODE(name_) ENCODE_##name_,
#define ENCODE_CODE_PAIR(a_, b_) ENCODE_##a_##_AND_##b_,
    ENCODE_OPS(ENCODE_CODE) ENCODE_PAIRS(ENCODE_CODE_PAIR)
#undef ENCODE_CODE
#undef ENCODE_CODE_PAIR
};

struct leat_encoder {
    struct leat__program program;
    struct leat_arena arena; /* places */
    uint32_t row_size;
};

/* ---- compiling ---- */

struct pending {
    struct pending *next;
    uint32_t items;
    const struct leat_schema_node *node; /* of the array or map */
    const struct leat_type *type;
    const char *place;
};

struct compiler {
    struct leat_encoder *encoder;
    struct leat__program *program;
    struct leat_arena scratch;
    struct leat_error *err;
    const char *place;
    struct pending *pending, **pending_end;
};

static int compile(
    struct compiler *c, const struct leat_schema_node *node, const struct leat_type *type, uint32_t offset);

static int no_memory(struct compiler *c)
{
    return leat__error(c->err, LEAT_ENOMEM, "out of memory while compiling an encoder");
}

static uint32_t emit(struct compiler *c, enum encode_code code, uint32_t offset, uint32_t a, uint32_t b)
{
    return leat__program_emit(c->program, (uint32_t)code, offset, a, b, c->place);
}

static int compile_nullable(struct compiler *c, const struct leat_schema_node *node,
    const struct leat_type *type, uint32_t has_offset, uint32_t offset)
{
    const int32_t branch = leat__schema_optional(node);
    const uint32_t test = emit(c, ENCODE_NULLABLE, has_offset, 0, branch == 0 ? 1 : 0);
    LEAT_TRY(compile(c, node->branches[branch], type, offset));
    if (!c->program->failed)
        c->program->ops[test].a = c->program->ops_count;
    return 0;
}

static int compile_record(
    struct compiler *c, const struct leat_schema_node *node, const struct leat_type *type, uint32_t offset)
{
    const char *outside = c->place;
    for (uint32_t i = 0; i < node->fields_count && !c->program->failed; i++) {
        const struct leat_field *field = &type->fields[i];
        const struct leat_schema_node *of = node->fields[i].node;
        c->place = outside ? leat__arena_printf(&c->encoder->arena, "%s.%s", outside, field->name)
                           : leat__arena_str(&c->encoder->arena, field->name);
        if (!c->place)
            return no_memory(c);
        if (field->has_offset == LEAT_NOT_NULLABLE)
            LEAT_TRY(compile(c, of, field->type, offset + field->offset));
        else
            LEAT_TRY(
                compile_nullable(c, of, field->type, offset + field->has_offset, offset + field->offset));
    }
    c->place = outside;
    return 0;
}

static int compile_union(
    struct compiler *c, const struct leat_schema_node *node, const struct leat_type *type, uint32_t offset)
{
    const uint32_t end = leat__program_jumps(c->program, 1);
    const uint32_t jumps = leat__program_jumps(c->program, node->branches_count);
    (void)emit(c, ENCODE_UNION, offset, jumps, node->branches_count);
    for (uint32_t i = 0; i < node->branches_count && !c->program->failed; i++) {
        c->program->jumps[jumps + i] = c->program->ops_count;
        LEAT_TRY(compile(c, node->branches[i], type->fields[i].type, offset + type->fields[i].offset));
        (void)emit(c, ENCODE_JUMP, 0, end, 0);
    }
    if (!c->program->failed)
        c->program->jumps[end] = c->program->ops_count;
    return 0;
}

static int compile_items(
    struct compiler *c, const struct leat_schema_node *node, const struct leat_type *type, uint32_t offset)
{
    const struct leat__items items = { .size = type->entry_size, .type = type };
    struct pending *pending = leat__arena_alloc(&c->scratch, sizeof *pending);
    if (!pending)
        return no_memory(c);
    *pending = (struct pending){
        .items = leat__program_items(c->program, &items), .node = node, .type = type, .place = c->place
    };
    *c->pending_end = pending;
    c->pending_end = &pending->next;
    (void)emit(c, ENCODE_ITEMS, offset, pending->items, 0);
    (void)emit(c, ENCODE_RESERVE, 0, 0, 0);
    return 0;
}

static int compile(
    struct compiler *c, const struct leat_schema_node *node, const struct leat_type *type, uint32_t offset)
{
    static const enum encode_code simple[] = {
        [LEAT_KIND_BOOLEAN] = ENCODE_BOOLEAN,
        [LEAT_KIND_INT] = ENCODE_INT,
        [LEAT_KIND_LONG] = ENCODE_LONG,
        [LEAT_KIND_FLOAT] = ENCODE_FLOAT,
        [LEAT_KIND_DOUBLE] = ENCODE_DOUBLE,
        [LEAT_KIND_BYTES] = ENCODE_BYTES,
        [LEAT_KIND_STRING] = ENCODE_BYTES,
    };
    switch (type->kind) {
    case LEAT_KIND_NULL:
        return 0;
    case LEAT_KIND_RECORD:
        return compile_record(c, node, type, offset);
    case LEAT_KIND_OPTIONAL:
        return compile_nullable(c, node, type->item, offset, offset + type->value_offset);
    case LEAT_KIND_UNION:
        return compile_union(c, node, type, offset);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return compile_items(c, node, type, offset);
    case LEAT_KIND_FIXED:
        (void)emit(c, ENCODE_FIXED, offset, type->size, 0);
        return 0;
    case LEAT_KIND_ENUM:
        (void)emit(c, ENCODE_ENUM, offset, type->symbols_count, 0);
        return 0;
    default:
        (void)emit(c, simple[type->kind], offset, 0, 0);
        return 0;
    }
}

/* Bytes that an instruction may write into reserved room. */
static uint32_t bytes_of(const struct leat__op *op)
{
    switch ((enum encode_code)op->code) {
    case ENCODE_BOOLEAN:
    case ENCODE_NULLABLE:
        return 1;
    case ENCODE_FLOAT:
        return sizeof(float);
    case ENCODE_DOUBLE:
        return sizeof(double);
    case ENCODE_END_ROW:
    case ENCODE_END_ITEM:
    case ENCODE_RESERVE:
    case ENCODE_JUMP:
    case ENCODE_FIXED:
        return 0;
    default:
        return VARINT_BYTES_MAX;
    }
}

/* Writes the reservations into the program from instruction `start` to the end. */
static void reserve_bytes(struct compiler *c, uint32_t start)
{
    uint32_t rest = 0; /* at most VARINT_BYTES_MAX * LEAT_PROGRAM_OPS_MAX */
    for (uint32_t i = c->program->ops_count; !c->program->failed && i > start; i--) {
        struct leat__op *op = &c->program->ops[i - 1];
        rest += bytes_of(op);
        if (op->code == ENCODE_RESERVE || op->code == ENCODE_BYTES)
            op->a = rest;
        else if (op->code == ENCODE_FIXED)
            op->b = rest;
    }
}

static int compile_pending(struct compiler *c, const struct pending *pending)
{
    const struct leat_type *type = pending->type;
    const uint32_t start = c->program->ops_count;
    c->place = pending->place;
    (void)emit(c, ENCODE_RESERVE, 0, 0, 0);
    if (type->kind == LEAT_KIND_MAP)
        (void)emit(c, ENCODE_BYTES, 0, 0, 0);
    LEAT_TRY(
        compile(c, pending->node->item, type->item, type->kind == LEAT_KIND_MAP ? type->value_offset : 0));
    (void)emit(c, ENCODE_END_ITEM, 0, 0, 0);
    reserve_bytes(c, start);
    if (!c->program->failed)
        c->program->items[pending->items].start = start;
    return 0;
}

static int compile_all(struct compiler *c, const struct leat_schema *schema, const struct leat_type *type)
{
    (void)emit(c, ENCODE_RESERVE, 0, 0, 0);
    LEAT_TRY(compile(c, schema->root, type, 0));
    (void)emit(c, ENCODE_END_ROW, 0, 0, 0);
    reserve_bytes(c, 0);
    for (const struct pending *p = c->pending; p && !c->program->failed; p = p->next)
        LEAT_TRY(compile_pending(c, p));
    static const uint32_t singles[] = { ENCODE_INT, ENCODE_LONG, ENCODE_BYTES };
    leat__program_fuse(c->program, singles, 3, ENCODE_INT_AND_INT);
    return leat__program_check(c->program, c->err);
}

int leat__encoder_new(const struct leat_type *type, struct leat_encoder **encoder, struct leat_error *err)
{
    *encoder = NULL;
    LEAT_TRY(leat__type_check(type, err));
    return leat__encoder_new_part(type, encoder, err);
}

int leat__encoder_new_part(
    const struct leat_type *type, struct leat_encoder **encoder, struct leat_error *err)
{
    struct leat_schema *schema;
    struct compiler c = { .err = err };
    *encoder = NULL;
    LEAT_TRY(leat__schema_parse(type->schema, strlen(type->schema), &schema, err));
    c.encoder = leat__calloc(1, sizeof *c.encoder);
    c.pending_end = &c.pending;
    if (c.encoder) {
        c.program = &c.encoder->program;
        c.encoder->row_size = type->size;
    }
    const int code = c.encoder ? compile_all(&c, schema, type) : no_memory(&c);
    leat__arena_release(&c.scratch);
    leat__schema_free(schema);
    if (code < 0)
        leat__encoder_free(c.encoder);
    else
        *encoder = c.encoder;
    return code;
}

void leat__encoder_free(struct leat_encoder *encoder)
{
    if (!encoder)
        return;
    leat__program_release(&encoder->program);
    leat__arena_release(&encoder->arena);
    leat__free(encoder);
}

/* ---- running ---- */

struct run {
    const struct leat_encoder *encoder;
    struct leat_strbuf *out;
    uint8_t *limit; /* of the room in out */
    size_t good; /* bytes of whole rows in out */
    uint32_t rows; /* whole */
    uint32_t first_row; /* in its batch, for errors */
    int code;
    struct leat_error *err;
};

static uint8_t *run(
    struct run *r, uint8_t *w, uint32_t start, const unsigned char *row, size_t stride, size_t count);

/* Room for `need` bytes behind w. */
static __attribute__((noinline)) uint8_t *grow(struct run *r, uint8_t *w, size_t need)
{
    r->out->len = w ? (size_t)(w - (uint8_t *)r->out->data) : r->out->len;
    if (!leat__strbuf_reserve(r->out, need)) {
        r->code = leat__error(r->err, LEAT_ENOMEM, "out of memory for encoded records");
        return NULL;
    }
    r->limit = (uint8_t *)r->out->data + r->out->capacity - STRBUF_SLACK_BYTES;
    return (uint8_t *)r->out->data + r->out->len;
}

static __attribute__((noinline, cold)) uint8_t *bad_index(
    struct run *r, const struct leat__op *op, const char *what, const char *of, int32_t index, uint32_t count)
{
    const char *place = r->encoder->program.places[op - r->encoder->program.ops];
    r->code = leat__error(r->err, LEAT_EDATA, "row %u%s%s: %s %d; there are %u %s", r->first_row + r->rows,
        place ? ", field " : "", place ? place : "", what, index, count, of);
    return NULL;
}

/* Steps for the common lengths: their ends are guessed better than that of a loop. */
#define PUT_STEP(i_) \
    if (v < 0x80) { \
        w[i_] = (uint8_t)v; \
        return w + (i_) + 1; \
    } \
    w[i_] = (uint8_t)(v | 0x80); \
    v >>= 7;

static inline uint8_t *put_raw(uint8_t *w, uint64_t v)
{
    PUT_STEP(0)
    PUT_STEP(1)
    PUT_STEP(2)
    PUT_STEP(3)
    for (w += 4; v >= 0x80; v >>= 7)
        *w++ = (uint8_t)(v | 0x80);
    *w++ = (uint8_t)v;
    return w;
}

static inline uint8_t *put_long(uint8_t *w, int64_t v)
{
    return put_raw(w, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

/* Short texts without a call; the last 16 bytes are copied once more instead of a remainder. Reads and writes
 * nothing else. */
static inline void put_bytes(uint8_t *to, const char *from, size_t len)
{
    if (len >= 16 && len <= 96) {
        size_t i = 0;
        do {
            memcpy(to + i, from + i, 16);
            i += 16;
        } while (i + 16 <= len);
        memcpy(to + len - 16, from + len - 16, 16);
    } else if (len >= 8 && len < 16) {
        memcpy(to, from, 8);
        memcpy(to + len - 8, from + len - 8, 8);
    } else if (len) {
        memcpy(to, from, len);
    }
}

/* One block with all items, and the end. */
static __attribute__((noinline)) uint8_t *write_items(
    struct run *r, const struct leat__op *op, uint8_t *w, const unsigned char *view)
{
    const struct leat__items *items = &r->encoder->program.items[op->a];
    const unsigned char *first = *(const unsigned char *const *)(const void *)view;
    const size_t count = *(const size_t *)(const void *)(view + offsetof(struct leat_array, count));
    if (count) {
        w = put_long(w, (int64_t)count);
        w = run(r, w, items->start, first, items->size, count);
        if (w && r->limit - w < 1)
            w = grow(r, w, 1);
        if (!w)
            return NULL;
    }
    *w++ = 0;
    return w;
}

#if defined(__GNUC__) && !defined(LEAT_ENCODE_SWITCH)
#define DISPATCH() goto *labels[op->code]
#define CASE(name_) do_##name_:
#else
#define DISPATCH() goto again
#define CASE(name_) case ENCODE_##name_:
#endif
#define NEXT() \
    do { \
        op++; \
        DISPATCH(); \
    } while (0)
#define AT(type_) (*(const type_ *)(const void *)(row + op->offset))
#define ROOM(bytes_) \
    if (UNLIKELY((size_t)(limit - w) < (bytes_))) { \
        w = grow(r, w, (bytes_)); \
        if (!w) \
            return NULL; \
        limit = r->limit; \
    }

/* The instructions that also come in pairs. */
#define DO_INT w = put_long(w, AT(int32_t));
#define DO_LONG w = put_long(w, AT(int64_t));
#define DO_BYTES \
    { \
        const struct leat_sv view = AT(struct leat_sv); \
        ROOM(view.len + op->a) \
        w = put_raw(w, (uint64_t)view.len << 1); \
        put_bytes(w, view.data, view.len); \
        w += view.len; \
    }
#define PAIR(a_, b_) \
    CASE(a_##_AND_##b_) \
    { \
        DO_##a_ op++; \
        DO_##b_ NEXT(); \
    }

/* Runs the program from instruction `start` for `count` structs; gives where the next byte goes, or NULL. */
/* long: one case for each instruction */
static uint8_t *run(
    struct run *r, uint8_t *w, uint32_t start, const unsigned char *row, size_t stride, size_t count)
{
#if defined(__GNUC__) && !defined(LEAT_ENCODE_SWITCH)
#define LABEL(name_) &&do_##name_,
#define LABEL_PAIR(a_, b_) &&do_##a_##_AND_##b_,
    static const void *const labels[] = { ENCODE_OPS(LABEL) ENCODE_PAIRS(LABEL_PAIR) };
#undef LABEL
#undef LABEL_PAIR
#endif
    const struct leat__program *const program = &r->encoder->program;
    const struct leat__op *const first = program->ops + start;
    const struct leat__op *op = first;
    uint8_t *limit = r->limit;
    DISPATCH();

#if !defined(__GNUC__) || defined(LEAT_ENCODE_SWITCH)
again:
    switch ((enum encode_code)op->code) {
#endif
        CASE(RESERVE)
        {
            ROOM(op->a)
            NEXT();
        }
        CASE(BOOLEAN)
        {
            *w++ = row[op->offset] != 0;
            NEXT();
        }
        CASE(INT)
        {
            DO_INT
            NEXT();
        }
        CASE(LONG)
        {
            DO_LONG
            NEXT();
        }
        CASE(BYTES)
        {
            DO_BYTES
            NEXT();
        }
        ENCODE_PAIRS(PAIR)
        CASE(FLOAT)
        {
            memcpy(w, row + op->offset, sizeof(float));
            w += sizeof(float);
            NEXT();
        }
        CASE(DOUBLE)
        {
            memcpy(w, row + op->offset, sizeof(double));
            w += sizeof(double);
            NEXT();
        }
        CASE(FIXED)
        {
            ROOM((size_t)op->a + op->b)
            memcpy(w, row + op->offset, op->a);
            w += op->a;
            NEXT();
        }
        CASE(ENUM)
        {
            const int32_t index = AT(int32_t);
            if (UNLIKELY((uint32_t)index >= op->a))
                return bad_index(r, op, "enum index", "symbols", index, op->a);
            w = put_raw(w, (uint64_t)index << 1);
            NEXT();
        }
        CASE(NULLABLE)
        {
            if (row[op->offset]) {
                *w++ = (uint8_t)((1 - op->b) << 1);
                NEXT();
            }
            *w++ = (uint8_t)(op->b << 1);
            op = program->ops + op->a;
            DISPATCH();
        }
        CASE(UNION)
        {
            const int32_t tag = AT(int32_t);
            if (UNLIKELY((uint32_t)tag >= op->b))
                return bad_index(r, op, "union tag", "branches", tag, op->b);
            w = put_raw(w, (uint64_t)tag << 1);
            op = program->ops + program->jumps[op->a + (uint32_t)tag];
            DISPATCH();
        }
        CASE(JUMP)
        {
            op = program->ops + program->jumps[op->a];
            DISPATCH();
        }
        CASE(ITEMS)
        {
            w = write_items(r, op, w, row + op->offset);
            if (UNLIKELY(!w))
                return NULL;
            limit = r->limit;
            NEXT();
        }
        CASE(END_ITEM)
        {
            if (--count == 0)
                return w;
            row += stride;
            op = first; /* RESERVE */
            ROOM(op->a)
            NEXT();
        }
        CASE(END_ROW)
        {
            r->rows++;
            r->good = (size_t)(w - (uint8_t *)r->out->data);
            if (--count == 0)
                return w;
            row += stride;
            op = first; /* RESERVE */
            ROOM(op->a)
            NEXT();
        }
#if !defined(__GNUC__) || defined(LEAT_ENCODE_SWITCH)
    }
#endif
    __builtin_unreachable();
}

static int encode_rows(struct run *r, const void *rows, size_t stride, uint32_t count)
{
    struct leat_strbuf *out = r->out;
    r->good = out->len;
    uint8_t *w = count ? grow(r, NULL, 1) : NULL;
    if (w)
        (void)run(r, w, 0, rows, stride, count);
    out->len = r->good;
    if (out->data)
        out->data[out->len] = '\0';
    return r->code;
}

int leat__encode(struct leat_encoder *encoder, const struct leat_batch *batch, uint32_t from, uint32_t count,
    struct leat_strbuf *out, uint32_t *done, struct leat_error *err)
{
    struct run r = { .encoder = encoder, .out = out, .first_row = from, .err = err };
    LEAT_ASSERT(batch->stride == encoder->row_size && from <= batch->count && count <= batch->count - from);
    const int code = encode_rows(&r, leat_batch_at(batch, from), batch->stride, count);
    if (done)
        *done = r.rows;
    return code;
}

int leat__encode_record(
    struct leat_encoder *encoder, const void *record, struct leat_strbuf *out, struct leat_error *err)
{
    struct run r = { .encoder = encoder, .out = out, .err = err };
    return encode_rows(&r, record, encoder->row_size, 1);
}
