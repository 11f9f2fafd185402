/* record/decode.c -- running a decoder's program over Avro binary data.
 *
 * Threaded code: every instruction ends with a jump to the next one's, which costs nothing measurable beside
 * the walk through the bytes. `p` is where the data is read, `row` where the struct is written.
 *
 * Bounds. (1) After every instruction p <= end. (2) A number may be read at p without a test, since 10 bytes
 * are readable behind the end (LEAT_BUFFER_SLACK_BYTES); afterwards (1) is checked. (3) A length is compared
 * with the bytes left before it is used. (4) Memory for items is bounded by LEAT_RECORD_BYTES_MAX for a
 * record, whatever the counts say, and a count by the bytes left, or by LEAT_EMPTY_ITEMS_MAX where items take
 * no bytes. (5) Recursion (items of items) is as deep as the reader's type, which is finite. */
#include "base/alloc.h"
#include "base/assert.h"
#include "record/decode_private.h"
#include "record/utf8_private.h"
#include <stdio.h>

#define UNLIKELY(x_) __builtin_expect(!!(x_), 0)
#define PREFETCH_AHEAD_BYTES 1024u
#define PREFETCH_BYTES_MAX 1024
#define ZERO_ROWS_MAX 16u
#define ROW_BYTES_LIKELY 16u /* at least, on the wire; rows are zeroed once more often where it is wrong */

struct run {
    const struct leat_decoder *decoder;
    struct leat_batch *batch;
    const uint8_t *begin; /* of the call's data: for offsets in errors */
    const uint8_t *end;
    const uint8_t *good; /* behind the last whole record */
    unsigned char *zeroed; /* rows before here, and not before the current one, are zeroed */
    size_t record_bytes; /* of memory for items of the current record */
    uint32_t rows; /* whole */
    int code;
    struct leat_error *err;
};

static const uint8_t *run(
    struct run *r, const uint8_t *p, uint32_t start, unsigned char *row, size_t stride, size_t count);

/* ---- faults ---- */

#define CUT_OFF "the data ends inside the record"

static __attribute__((noinline, cold)) LEAT_PRINTF(5, 6) const uint8_t *fault(
    struct run *r, const struct leat__op *op, const uint8_t *at, int code, const char *format, ...)
{
    const struct leat__program *program = &r->decoder->program;
    const char *place = program->places[op - program->ops];
    char text[LEAT_ERROR_MESSAGE_MAX / 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->code = leat__error(r->err, code, "offset %td%s%s: %s", at < r->end ? at - r->begin : r->end - r->begin,
        place ? ", field " : "", place ? place : "", text);
    return NULL;
}

/* A number that could not be read at `at`. */
static __attribute__((noinline, cold)) const uint8_t *bad_number(
    struct run *r, const struct leat__op *op, const uint8_t *at)
{
    const uint8_t *p = at;
    while (p < r->end && *p >= 0x80)
        p++;
    if (p >= r->end && p - at < 10)
        return fault(r, op, at, LEAT_EDATA, CUT_OFF);
    return fault(r, op, at, LEAT_EDATA, "a number of more than 64 bits");
}

/* A length, read at `from`, of bytes that are not there at p. */
static __attribute__((noinline, cold)) const uint8_t *bad_length(
    struct run *r, const struct leat__op *op, const uint8_t *from, const uint8_t *p, uint64_t raw)
{
    const int64_t len = leat__unzigzag(raw);
    if (p > r->end)
        return fault(r, op, from, LEAT_EDATA, CUT_OFF);
    if (len < 0)
        return fault(r, op, p, LEAT_EDATA, "a length of %lld bytes", (long long)len);
    return fault(r, op, p, LEAT_EDATA, "a length of %lld bytes, but the data has only %td more",
        (long long)len, r->end - p);
}

/* ---- arrays and maps ---- */

/* The count of the next block, 0 at the end. A negative one is followed by the block's size in bytes. */
static const uint8_t *read_count(struct run *r, const struct leat__op *op, const uint8_t *p, uint64_t *count)
{
    const uint8_t *from = p;
    uint64_t raw;
    if (!leat__varint(&p, &raw) || p > r->end)
        return bad_number(r, op, from);
    const int64_t n = leat__unzigzag(raw);
    *count = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    if (n >= 0)
        return p;
    from = p;
    if (!leat__varint(&p, &raw) || p > r->end)
        return bad_number(r, op, from);
    if ((raw & 1) || (int64_t)(raw >> 1) > r->end - p)
        return bad_length(r, op, from, p, raw);
    return p;
}

/* The items of an array while its blocks are read. */
struct growing {
    unsigned char *items;
    uint64_t count, capacity;
};

/* Room for `more` items: as many as the first block has, then doubling. */
static bool grow_items(struct run *r, const struct leat__items *items, struct growing *g, uint64_t more)
{
    uint64_t capacity = g->count + more;
    if (capacity <= g->capacity)
        return true;
    if (capacity < 2 * g->capacity)
        capacity = 2 * g->capacity;
    const uint64_t bytes = capacity * items->size;
    if (bytes > LEAT_RECORD_BYTES_MAX - r->record_bytes) {
        r->code = LEAT_EDATA;
        return false;
    }
    unsigned char *grown = leat__batch_alloc(r->batch, bytes, 8);
    if (!grown) {
        r->code = LEAT_ENOMEM;
        return false;
    }
    if (g->count)
        memcpy(grown, g->items, g->count * items->size);
    r->record_bytes += bytes;
    g->items = grown;
    g->capacity = capacity;
    return true;
}

static const uint8_t *read_block(struct run *r, const struct leat__op *op, const struct leat__items *items,
    struct growing *g, const uint8_t *p, uint64_t count)
{
    if (items->is_empty) {
        if (count > LEAT_EMPTY_ITEMS_MAX || g->count + count > LEAT_EMPTY_ITEMS_MAX)
            return fault(r, op, p, LEAT_EDATA, "more than %u items without bytes", LEAT_EMPTY_ITEMS_MAX);
    } else if (count > (uint64_t)(r->end - p)) {
        return fault(r, op, p, LEAT_EDATA, "a count of %llu items, but the data has only %td more bytes",
            (unsigned long long)count, r->end - p);
    }
    if (!grow_items(r, items, g, count))
        return r->code == LEAT_ENOMEM
            ? fault(r, op, p, LEAT_ENOMEM, "out of memory for items")
            : fault(r, op, p, LEAT_EDATA, "the record needs more than %u bytes in memory",
                  LEAT_RECORD_BYTES_MAX);
    unsigned char *at = g->items + g->count * items->size;
    if (items->must_zero)
        memset(at, 0, count * items->size);
    g->count += count;
    return run(r, p, items->start, at, items->size, count);
}

static __attribute__((noinline)) const uint8_t *read_items(
    struct run *r, const struct leat__op *op, const uint8_t *p, unsigned char *view)
{
    const struct leat__items *items = &r->decoder->program.items[op->a];
    struct growing g = { 0 };
    for (;;) {
        uint64_t count = 0;
        p = read_count(r, op, p, &count);
        if (!p || count == 0)
            break;
        p = read_block(r, op, items, &g, p, count);
        if (!p)
            break;
    }
    *(const void **)(void *)view = g.items;
    *(size_t *)(void *)(view + offsetof(struct leat_array, count)) = g.count;
    return p;
}

static __attribute__((noinline, cold)) const uint8_t *bad_enum(
    struct run *r, const struct leat__op *op, const uint8_t *at, int64_t index)
{
    const struct leat__enum_map *map = op->code == DECODE_ENUM_MAP ? r->decoder->pointers[op->a] : NULL;
    if (map && index >= 0 && index < map->count)
        return fault(r, op, at, LEAT_EDATA,
            "symbol \"%s\" is unknown to the reader; add it to the enum, or give the enum a default",
            map->symbols[index]);
    return fault(r, op, at, LEAT_EDATA, "enum index %lld; the enum has %u symbols", (long long)index,
        map ? map->count : op->a);
}

static __attribute__((noinline)) const uint8_t *skip_node(
    struct run *r, const struct leat__op *op, const uint8_t *p)
{
    const uint8_t *fault_at;
    const char *cause;
    const uint8_t *behind = leat__skip(r->decoder, op->a, p, r->end, &fault_at, &cause);
    return behind ? behind : fault(r, op, fault_at, LEAT_EDATA, "%s", cause);
}

/* ---- the program ---- */

#if defined(__GNUC__) && !defined(LEAT_DECODE_SWITCH)
#define DISPATCH() goto *labels[op->code]
#define CASE(name_) do_##name_:
#else
#define DISPATCH() goto again
#define CASE(name_) case DECODE_##name_:
#endif
#define NEXT() \
    do { \
        op++; \
        DISPATCH(); \
    } while (0)

#define AT(type_) (*(type_ *)(void *)(row + op->offset))

/* Reads a number into `raw_`, undecoded. */
#define READ_RAW(raw_) \
    const uint8_t *from = p; \
    uint64_t raw_; \
    if (UNLIKELY(!leat__varint(&p, &raw_))) \
    return bad_number(r, op, from)
#define READ_LONG(value_) \
    READ_RAW(raw); \
    if (UNLIKELY(p > end)) \
        return bad_number(r, op, from); \
    const int64_t value_ = leat__unzigzag(raw)
#define READ_INT(value_) \
    READ_LONG(wide); \
    if (UNLIKELY(wide != (int32_t)wide)) \
        return fault(r, op, from, LEAT_EDATA, "%lld is not an int", (long long)wide); \
    const int32_t value_ = (int32_t)wide
/* A length and that many bytes, which begin at p afterwards. */
#define READ_LENGTH(len_) \
    READ_RAW(raw); \
    const int64_t len_ = (int64_t)(raw >> 1); \
    if (UNLIKELY((raw & 1) || len_ > end - p)) \
    return bad_length(r, op, from, p, raw)
#define NEED(bytes_) \
    if (UNLIKELY((bytes_) > end - p)) \
    return fault(r, op, p, LEAT_EDATA, CUT_OFF)
#define READ_FIXED(type_, value_) \
    type_ value_; \
    NEED((ptrdiff_t)sizeof(type_)); \
    memcpy(&value_, p, sizeof(type_)); \
    p += sizeof(type_)

/* The instructions that also come in pairs. */
#define DO_INT \
    { \
        READ_INT(value); \
        AT(int32_t) = value; \
    }
#define DO_LONG \
    { \
        READ_LONG(value); \
        AT(int64_t) = value; \
    }
#define DO_STRING \
    { \
        READ_LENGTH(len); \
        AT(struct leat_sv) = (struct leat_sv){ (const char *)p, (size_t)len }; \
        p += len; \
    }
#define DO_SKIP_VARINT \
    { \
        READ_RAW(raw); \
        if (UNLIKELY(p > end)) \
            return bad_number(r, op, from); \
    }
#define DO_SKIP_STRING \
    { \
        READ_LENGTH(len); \
        p += len; \
    }
#define PAIR(a_, b_) \
    CASE(a_##_AND_##b_) \
    { \
        DO_##a_ op++; \
        DO_##b_ NEXT(); \
    }

_Static_assert(
    __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Avro's floats are little-endian, and copied as they are");

/* Zeroes some rows at once, as many as the bytes left may hold. */
static __attribute__((noinline)) void zero_rows(
    struct run *r, const uint8_t *p, unsigned char *row, size_t stride, size_t count)
{
    const size_t likely = (size_t)(r->end - p) / ROW_BYTES_LIKELY + 1;
    size_t n = count < ZERO_ROWS_MAX ? count : ZERO_ROWS_MAX;
    n = n < likely ? n : likely;
    memset(row, 0, n * stride);
    r->zeroed = row + n * stride;
}

/* Fetches as many lines far ahead as the last record had: records are read in a chain of lengths, and what is
 * not in the nearest cache would stop it at every line. An address behind the data does no harm. */
static inline void prefetch(const uint8_t *from, const uint8_t *to)
{
    if (to - from > PREFETCH_BYTES_MAX)
        to = from + PREFETCH_BYTES_MAX;
    for (; from < to; from += 64)
        __builtin_prefetch((const void *)((uintptr_t)from + PREFETCH_AHEAD_BYTES));
}

/* Runs the program from instruction `start` for `count` structs; gives the byte behind, or NULL after a
 * fault. */
/* long: one case for each instruction */
static const uint8_t *run(
    struct run *r, const uint8_t *p, uint32_t start, unsigned char *row, size_t stride, size_t count)
{
#if defined(__GNUC__) && !defined(LEAT_DECODE_SWITCH)
#define LABEL(name_) &&do_##name_,
#define LABEL_PAIR(a_, b_) &&do_##a_##_AND_##b_,
    static const void *const labels[] = { LEAT_DECODE_OPS(LABEL) LEAT_DECODE_PAIRS(LABEL_PAIR) };
#undef LABEL
#undef LABEL_PAIR
#endif
    const struct leat_decoder *const d = r->decoder;
    const struct leat__op *const first = d->program.ops + start;
    const uint8_t *const end = r->end;
    const struct leat__op *op = first;
    DISPATCH();

#if !defined(__GNUC__) || defined(LEAT_DECODE_SWITCH)
again:
    switch ((enum leat__decode_code)op->code) {
#endif
        CASE(BOOLEAN)
        {
            NEED(1);
            if (UNLIKELY(*p > 1))
                return fault(r, op, p, LEAT_EDATA, "a boolean of %u", *p);
            AT(bool) = *p++;
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
        CASE(STRING)
        {
            DO_STRING
            NEXT();
        }
        CASE(SKIP_VARINT)
        {
            DO_SKIP_VARINT
            NEXT();
        }
        CASE(SKIP_STRING)
        {
            DO_SKIP_STRING
            NEXT();
        }
        LEAT_DECODE_PAIRS(PAIR)
        CASE(FLOAT)
        {
            READ_FIXED(float, value);
            AT(float) = value;
            NEXT();
        }
        CASE(DOUBLE)
        {
            READ_FIXED(double, value);
            AT(double) = value;
            NEXT();
        }
        CASE(INT_TO_LONG)
        {
            READ_INT(value);
            AT(int64_t) = value;
            NEXT();
        }
        CASE(INT_TO_FLOAT)
        {
            READ_INT(value);
            AT(float) = (float)value;
            NEXT();
        }
        CASE(INT_TO_DOUBLE)
        {
            READ_INT(value);
            AT(double) = (double)value;
            NEXT();
        }
        CASE(LONG_TO_FLOAT)
        {
            READ_LONG(value);
            AT(float) = (float)value;
            NEXT();
        }
        CASE(LONG_TO_DOUBLE)
        {
            READ_LONG(value);
            AT(double) = (double)value;
            NEXT();
        }
        CASE(FLOAT_TO_DOUBLE)
        {
            READ_FIXED(float, value);
            AT(double) = (double)value;
            NEXT();
        }
        CASE(STRING_UTF8)
        {
            READ_LENGTH(len);
            if (UNLIKELY(!leat__utf8_is_valid(p, (size_t)len)))
                return fault(r, op, p, LEAT_EDATA, "a string that is not UTF-8");
            AT(struct leat_sv) = (struct leat_sv){ (const char *)p, (size_t)len };
            p += len;
            NEXT();
        }
        CASE(FIXED)
        {
            NEED((ptrdiff_t)op->a);
            memcpy(row + op->offset, p, op->a);
            p += op->a;
            NEXT();
        }
        CASE(ENUM)
        {
            READ_LONG(index);
            if (UNLIKELY(index < 0 || index >= (int64_t)op->a))
                return bad_enum(r, op, from, index);
            AT(int32_t) = (int32_t)index;
            NEXT();
        }
        CASE(ENUM_MAP)
        {
            READ_LONG(index);
            const struct leat__enum_map *map = d->pointers[op->a];
            if (UNLIKELY(index < 0 || index >= (int64_t)map->count || map->to[index] < 0))
                return bad_enum(r, op, from, index);
            AT(int32_t) = map->to[index];
            NEXT();
        }
        CASE(NULLABLE)
        {
            READ_LONG(index);
            if (UNLIKELY(index < 0 || index > 1))
                return fault(
                    r, op, from, LEAT_EDATA, "union index %lld; the union has 2 branches", (long long)index);
            if (index == (int64_t)op->a) {
                op = d->program.ops + op->b;
                DISPATCH();
            }
            AT(bool) = true;
            NEXT();
        }
        CASE(HAS)
        {
            AT(bool) = true;
            NEXT();
        }
        CASE(TAG)
        {
            AT(int32_t) = (int32_t)op->a;
            NEXT();
        }
        CASE(UNION)
        {
            READ_LONG(index);
            if (UNLIKELY(index < 0 || index >= (int64_t)op->b))
                return fault(r, op, from, LEAT_EDATA, "union index %lld; the union has %u branches",
                    (long long)index, op->b);
            op = d->program.ops + d->program.jumps[op->a + (uint32_t)index];
            DISPATCH();
        }
        CASE(MISFIT)
        {
            return fault(r, op, p, LEAT_EDATA, "%s", (const char *)d->pointers[op->a]);
        }
        CASE(JUMP)
        {
            op = d->program.ops + d->program.jumps[op->a];
            DISPATCH();
        }
        CASE(ITEMS)
        {
            p = read_items(r, op, p, row + op->offset);
            if (UNLIKELY(!p))
                return NULL;
            NEXT();
        }
        CASE(CONSTANT)
        {
            const struct leat__constant *constant = d->pointers[op->a];
            memcpy(row + op->offset, constant->data, constant->type->size);
            NEXT();
        }
        CASE(SKIP_FIXED)
        {
            NEED((ptrdiff_t)op->a);
            p += op->a;
            NEXT();
        }
        CASE(SKIP_NODE)
        {
            p = skip_node(r, op, p);
            if (UNLIKELY(!p))
                return NULL;
            NEXT();
        }
        CASE(END_ITEM)
        {
            if (--count == 0)
                return p;
            row += stride;
            op = first;
            DISPATCH();
        }
        CASE(END_ROW)
        {
            if (UNLIKELY((size_t)(p - r->good) + r->record_bytes > LEAT_RECORD_BYTES_MAX))
                return fault(r, op, r->good, LEAT_EDATA, "the record needs more than %u bytes in memory",
                    LEAT_RECORD_BYTES_MAX);
            prefetch(r->good, p);
            r->good = p;
            r->record_bytes = 0;
            r->rows++;
            if (--count == 0 || (p == end && !d->is_empty) || r->batch->arena_bytes > LEAT_RECORD_BYTES_MAX)
                return p;
            row += stride;
            if (d->must_zero && row == r->zeroed)
                zero_rows(r, p, row, stride, count);
            op = first;
            DISPATCH();
        }
#if !defined(__GNUC__) || defined(LEAT_DECODE_SWITCH)
    }
#endif
    __builtin_unreachable();
}

/* ---- calls ---- */

/* The batch refers to the defaults once: where they were put last time is where they still are. */
static int add_defaults(struct leat_decoder *d, struct leat_batch *batch)
{
    if (d->defaults_at < batch->buffers_count && batch->buffers[d->defaults_at] == d->defaults)
        return 0;
    LEAT_TRY(leat__batch_add_buffer(batch, d->defaults));
    d->defaults_at = batch->buffers_count - 1;
    return 0;
}

int64_t leat__decode(struct leat_decoder *decoder, const uint8_t **at, const uint8_t *end,
    struct leat_batch *batch, uint32_t rows_max, struct leat_error *err)
{
    const uint32_t room = batch->capacity - batch->count;
    const uint32_t count = rows_max < room ? rows_max : room;
    LEAT_ASSERT(batch->stride == decoder->row_size && *at <= end);
    if (count == 0 || (*at == end && !decoder->is_empty) || leat__batch_is_full(batch))
        return 0;
    if (decoder->defaults && add_defaults(decoder, batch) < 0)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a batch's buffers");
    struct run r = {
        .decoder = decoder,
        .batch = batch,
        .begin = *at,
        .end = end,
        .good = *at,
        .err = err,
    };
    unsigned char *row = leat_batch_at(batch, batch->count);
    if (decoder->must_zero)
        zero_rows(&r, *at, row, batch->stride, count);
    const uint8_t *p = run(&r, *at, 0, row, batch->stride, count);
    batch->count += r.rows;
    *at = r.good;
    return p ? (int64_t)r.rows : r.code;
}

int leat__decode_skip(
    struct leat_decoder *decoder, const uint8_t **at, const uint8_t *end, struct leat_error *err)
{
    const uint8_t *fault_at;
    const char *cause;
    const uint8_t *p = leat__skip(decoder, decoder->skip_root, *at, end, &fault_at, &cause);
    if (!p)
        return leat__error(err, LEAT_EDATA, "offset %td: %s", fault_at - *at, cause);
    *at = p;
    return 0;
}

/* Parses the reader's schema from its type, and checks that the type is what the schema gives: a program
 * writes through these offsets. */
static int parse_reader(
    const struct leat_type *reader, bool is_part, struct leat_schema **schema, struct leat_error *err)
{
    if (!is_part)
        LEAT_TRY(leat__type_check(reader, err));
    return leat__schema_parse(reader->schema, strlen(reader->schema), schema, err);
}

int leat__decoder_new(const struct leat_schema *writer, const struct leat_type *reader,
    const struct leat_decoder_opts *opts, struct leat_decoder **decoder, struct leat_error *err)
{
    struct leat_schema *schema;
    *decoder = NULL;
    LEAT_TRY(parse_reader(reader, opts && opts->is_part, &schema, err));
    struct leat_decoder *made = leat__calloc(1, sizeof *made);
    const int code = made ? leat__resolve(made, writer, schema, reader, opts && opts->check_utf8, err)
                          : leat__error(err, LEAT_ENOMEM, "out of memory while compiling a decoder");
    leat__schema_free(schema);
    if (code < 0) {
        leat__decoder_free(made);
        return code;
    }
    *decoder = made;
    return 0;
}

void leat__decoder_free(struct leat_decoder *decoder)
{
    if (!decoder)
        return;
    leat__program_release(&decoder->program);
    leat__arena_release(&decoder->arena);
    leat__free((void *)decoder->pointers);
    leat__free(decoder->skip_children);
    leat__buffer_release(decoder->defaults);
    leat__free(decoder);
}
