/* record/decode_private.h -- what resolution makes and decoding runs. */
#ifndef LEAT_RECORD_DECODE_PRIVATE_H
#define LEAT_RECORD_DECODE_PRIVATE_H
#include "base/limits.h"
#include "record/avro.h"
#include "record/program_private.h"

/* X(name): "at" is row + offset.
 *   END_ROW, END_ITEM   one record, one item is done
 *   scalars             read, widen, store at
 *   ENUM                a: number of symbols; ENUM_MAP a: pointer to a struct leat__enum_map
 *   NULLABLE            at: bool has; a: index of null, 0 or 1; b: where to go on when null
 *   HAS, TAG            store true, store a
 *   UNION               a: jump table, b: number of branches
 *   MISFIT              a: pointer to the text of the error
 *   JUMP                a: jump table entry
 *   ITEMS               at: array or map; a: items
 *   CONSTANT            a: pointer to a struct leat__constant
 *   SKIP_FIXED          a: bytes; SKIP_NODE a: node of the skip table
 *   x_AND_y             the pair (leat__program_fuse) */
#define LEAT_DECODE_PAIRS(X) \
    X(INT, INT) \
    X(INT, LONG) \
    X(INT, STRING) \
    X(INT, SKIP_VARINT) \
    X(INT, SKIP_STRING) \
    X(LONG, INT) \
    X(LONG, LONG) \
    X(LONG, STRING) \
    X(LONG, SKIP_VARINT) \
    X(LONG, SKIP_STRING) \
    X(STRING, INT) \
    X(STRING, LONG) \
    X(STRING, STRING) \
    X(STRING, SKIP_VARINT) \
    X(STRING, SKIP_STRING) \
    X(SKIP_VARINT, INT) \
    X(SKIP_VARINT, LONG) \
    X(SKIP_VARINT, STRING) \
    X(SKIP_VARINT, SKIP_VARINT) \
    X(SKIP_VARINT, SKIP_STRING) \
    X(SKIP_STRING, INT) \
    X(SKIP_STRING, LONG) \
    X(SKIP_STRING, STRING) \
    X(SKIP_STRING, SKIP_VARINT) \
    X(SKIP_STRING, SKIP_STRING)
#define LEAT_DECODE_OPS(X) \
    X(END_ROW) \
    X(END_ITEM) \
    X(BOOLEAN) \
    X(INT) \
    X(LONG) \
    X(FLOAT) \
    X(DOUBLE) \
    X(INT_TO_LONG) \
    X(INT_TO_FLOAT) \
    X(INT_TO_DOUBLE) \
    X(LONG_TO_FLOAT) \
    X(LONG_TO_DOUBLE) \
    X(FLOAT_TO_DOUBLE) \
    X(STRING) \
    X(STRING_UTF8) \
    X(FIXED) \
    X(ENUM) \
    X(ENUM_MAP) \
    X(NULLABLE) \
    X(HAS) \
    X(TAG) \
    X(UNION) \
    X(MISFIT) \
    X(JUMP) \
    X(ITEMS) \
    X(CONSTANT) \
    X(SKIP_VARINT) \
    X(SKIP_FIXED) \
    X(SKIP_STRING) \
    X(SKIP_NODE)

enum leat__decode_code {
#define LEAT_DECODE_CODE(name_) DECODE_##name_,
#define LEAT_DECODE_CODE_PAIR(a_, b_) DECODE_##a_##_AND_##b_,
    LEAT_DECODE_OPS(LEAT_DECODE_CODE) LEAT_DECODE_PAIRS(LEAT_DECODE_CODE_PAIR)
#undef LEAT_DECODE_CODE
#undef LEAT_DECODE_CODE_PAIR
};

/* Writer's symbols -> the reader's indexes; -1: unknown to the reader, who has no default. */
struct leat__enum_map {
    uint32_t count;
    int32_t *to;
    const char **symbols;
};

/* A default value as it lies in memory. */
struct leat__constant {
    const struct leat_type *type;
    void *image; /* while resolving: in scratch memory */
    const void *data; /* afterwards: in the decoder's buffer of defaults */
};

/* A type of the writer, as skipping sees it. Children are indexes too: fields, branches, or the one item. */
struct leat__skip_node {
    enum leat_kind kind;
    bool is_empty; /* takes no bytes on the wire, whatever its value */
    uint32_t fixed_size;
    uint32_t children; /* first in skip_children */
    uint32_t children_count;
};

struct leat_decoder {
    struct leat__program program;
    struct leat_arena arena; /* places, enum maps, texts, skip table */
    const void **pointers; /* by index, for instructions */
    uint32_t pointers_count, pointers_capacity;
    uint32_t row_size;
    bool must_zero; /* not every byte of a row is written */
    bool is_empty; /* a record takes no bytes on the wire */
    struct leat__skip_node *skips; /* by id of the writer's node */
    uint32_t *skip_children;
    uint32_t skip_children_count, skip_children_capacity;
    uint32_t skip_root;
    struct leat_buffer *defaults; /* what default strings, arrays and maps show; or NULL */
    uint32_t defaults_at; /* where it was put into the last batch's buffers */
};

/* Sees to a decoder's program: writer -> reader, rules and errors as in record/avro.h. */
int leat__resolve(struct leat_decoder *decoder, const struct leat_schema *writer,
    const struct leat_schema *reader, const struct leat_type *type, bool check_utf8, struct leat_error *err);

/* How well a writer's type fits a reader's: the higher the better. */
enum leat__match { LEAT__MATCH_NONE, LEAT__MATCH_PROMOTED, LEAT__MATCH_NAME, LEAT__MATCH_EXACT };
/* Of records, enums and fixed types: only whether their names fit. */
bool leat__resolve_match_names(const struct leat_schema_node *w, const struct leat_schema_node *r);
enum leat__match leat__resolve_match(
    const struct leat_schema_node *writer, const struct leat_schema_node *reader);
/* Why they do not fit, in words, or how to help. Gives LEAT_ESCHEMA. */
int leat__resolve_mismatch(
    const struct leat_schema_node *writer, const struct leat_schema_node *reader, struct leat_error *err);
/* Whether logical types allow to read one as the other: units of time and scales must agree. */
int leat__resolve_logical(
    const struct leat_schema_node *writer, const struct leat_schema_node *reader, struct leat_error *err);

/* Writes the default `json` of `node` as a value of `type` into zeroed memory; what it shows goes to `arena`.
 * *bytes_left bounds the whole: defaults of items that have defaults multiply. */
int leat__default_build(const struct leat_schema_node *node, const struct leat_type *type, void *json,
    struct leat_arena *arena, size_t *bytes_left, void *memory, struct leat_error *err);

/* The skip table of all types of a schema; LEAT_ELIMIT when definitions are nested too deep. */
int leat__skip_build(struct leat_decoder *decoder, const struct leat_schema *writer, struct leat_error *err);
/* Skips one value: the byte behind it, or NULL with the place and cause of the fault. */
const uint8_t *leat__skip(const struct leat_decoder *decoder, uint32_t node, const uint8_t *at,
    const uint8_t *end, const uint8_t **fault_at, const char **cause);

/* The bytes of a varint behind the fourth; `v` has the 28 bits before. */
static inline bool leat__varint_long(const uint8_t **at, const uint8_t *p, uint64_t v, uint64_t *value)
{
    for (unsigned shift = 28;; shift += 7) {
        const uint64_t byte = *p++;
        v |= (byte & 0x7f) << shift;
        if (byte >= 0x80 ? shift == 63 : shift == 63 && byte > 1)
            return false;
        if (byte < 0x80)
            break;
    }
    *at = p;
    *value = v;
    return true;
}

/* Reads a varint of at most 10 bytes, all readable; false when it is longer or has more than 64 bits.
 * Steps instead of a loop or of arithmetic on 8 bytes at once: guessed lengths let the reader run ahead. */
static inline bool leat__varint(const uint8_t **at, uint64_t *value)
{
    const uint8_t *p = *at;
    uint64_t byte = p[0], v = byte;
    if (byte >= 0x80) {
        byte = p[1];
        v = (v & 0x7f) | byte << 7;
        p++;
        if (byte >= 0x80) {
            byte = p[1];
            v = (v & 0x3fff) | byte << 14;
            p++;
            if (byte >= 0x80) {
                byte = p[1];
                v = (v & 0x1fffff) | byte << 21;
                p++;
                if (byte >= 0x80)
                    return leat__varint_long(at, p + 1, v & 0xfffffff, value);
            }
        }
    }
    *at = p + 1;
    *value = v;
    return true;
}

static inline int64_t leat__unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
#endif
