/* record/expr_path.c -- expressions: fields. Which place a path means, and how its values reach a register.
 *
 *   long, double, string, bytes   the rows themselves are the column: nothing is loaded
 *   other kinds                   a kernel widens, scales or looks up
 *   any of them nullable          a kernel makes null bytes of the flags on the way
 *   two records                   rows are pointers, so everything is loaded
 *
 * Timestamps become microseconds; that of a local timestamp is read as if it were UTC. */
#include "record/expr_private.h"
#include <math.h>

#define OUTER_MAX 4u /* of struct leat_place */
#define DAY_US INT64_C(86400000000)

/* ---- resolving ---- */

static const struct leat_field *find_field(const struct leat_type *type, struct leat_sv name)
{
    for (uint32_t i = 0; type->kind == LEAT_KIND_RECORD && i < type->fields_count; i++)
        if (leat_sv_eq(leat_sv_of(type->fields[i].name), name))
            return &type->fields[i];
    return NULL;
}

static const char *const *field_names(struct expr_compiler *c, const struct leat_type *type)
{
    const char **names = leat__arena_array(c->arena, type->fields_count + 1, sizeof *names);
    for (uint32_t i = 0; names && i < type->fields_count; i++)
        names[i] = type->fields[i].name;
    return names;
}

static int fail_field(struct expr_compiler *c, const struct expr_step *step, const struct leat_type *type)
{
    char hint[EXPR_HINT_BYTES], known[EXPR_NAMES_BYTES];
    const char *const *names = field_names(c, type);
    if (!names)
        return leat__expr_no_memory(&c->source);
    const char *near = leat__expr_hint(step->name, names, type->fields_count, hint);
    if (step->is_quoted && near[0] == '\0')
        near = "; a text is written in 'single quotes'";
    return leat__expr_fail(&c->source, step->at, "no field \"%.*s\" in %s (%s)%s",
        (int)(step->name.len < 64 ? step->name.len : 64), step->name.data, type->name,
        leat__expr_names(names, type->fields_count, known), near);
}

/* One step from a record into a field. `place` stands for the record and then for the field. NULL for a
 * success, else what is wrong besides an unknown name. */
static const char *step_into(struct leat_place *place, const struct leat_field *field)
{
    if (place->has_offset != LEAT_NOT_NULLABLE) {
        uint32_t depth = 0;
        while (depth < OUTER_MAX && place->outer_has[depth] != LEAT_NOT_NULLABLE)
            depth++;
        if (depth == OUTER_MAX)
            return "more than 4 nullable records on the way to it";
        place->outer_has[depth] = place->has_offset;
    }
    place->has_offset =
        field->has_offset == LEAT_NOT_NULLABLE ? LEAT_NOT_NULLABLE : place->offset + field->has_offset;
    place->offset += field->offset;
    place->type = field->type;
    return NULL;
}

static struct leat_place place_of(const struct leat_type *type)
{
    return (struct leat_place){ type, 0, LEAT_NOT_NULLABLE,
        { LEAT_NOT_NULLABLE, LEAT_NOT_NULLABLE, LEAT_NOT_NULLABLE, LEAT_NOT_NULLABLE } };
}

/* Which of two records a path is about, and whether its first step is that record's name. */
static int choose_side(struct expr_compiler *c, const struct expr_node *node, uint32_t *side, uint32_t *skip)
{
    const struct expr_step *first = &node->steps[0];
    *side = *skip = 0;
    for (uint32_t i = 0; i < 2 && node->steps_count > 1; i++) {
        if (leat_sv_eq(leat_sv_of(c->names[i]), first->name)) {
            *side = i;
            *skip = 1;
            return 0;
        }
    }
    const bool in_left = find_field(c->types[0], first->name) != NULL;
    const bool in_right = find_field(c->types[1], first->name) != NULL;
    *side = !in_left && in_right;
    if (in_left != in_right)
        return 0;
    const int len = (int)(first->name.len < 64 ? first->name.len : 64);
    if (in_left)
        return leat__expr_fail(&c->source, first->at,
            "both records have a field \"%.*s\"; write %s.%.*s or %s.%.*s", len, first->name.data,
            c->names[0], len, first->name.data, c->names[1], len, first->name.data);
    char left[EXPR_NAMES_BYTES], right[EXPR_NAMES_BYTES];
    const char *const *left_names = field_names(c, c->types[0]),
                      *const *right_names = field_names(c, c->types[1]);
    if (!left_names || !right_names)
        return leat__expr_no_memory(&c->source);
    return leat__expr_fail(&c->source, first->at, "no field \"%.*s\" in %s (%s) or %s (%s)", len,
        first->name.data, c->names[0], leat__expr_names(left_names, c->types[0]->fields_count, left),
        c->names[1], leat__expr_names(right_names, c->types[1]->fields_count, right));
}

int leat__expr_path_resolve(struct expr_compiler *c, struct expr_node *node)
{
    uint32_t side = 0, skip = 0;
    if (node->load)
        return 0;
    if (c->sides == 2)
        LEAT_TRY(choose_side(c, node, &side, &skip));
    struct leat_place place = place_of(c->types[side]);
    for (uint32_t i = skip; i < node->steps_count; i++) {
        const struct expr_step *step = &node->steps[i];
        if (place.type->kind != LEAT_KIND_RECORD)
            return leat__expr_fail(&c->source, step->at, "\"%.*s\" is of type %s, which has no fields",
                (int)node->steps[i - 1].name.len, node->steps[i - 1].name.data, place.type->name);
        const struct leat_field *field = find_field(place.type, step->name);
        if (!field)
            return fail_field(c, step, place.type);
        const char *wrong = step_into(&place, field);
        if (wrong)
            return leat__expr_fail(&c->source, step->at, "%s", wrong);
    }
    node->load = leat__arena_alloc(c->arena, sizeof *node->load);
    if (!node->load)
        return leat__expr_no_memory(&c->source);
    node->load->place = place;
    node->load->side = side;
    node->load->may_miss = c->may_miss >> side & 1;
    return 0;
}

/* ---- kernels ---- */

static const unsigned char *record_at(const struct expr_frame *f, const struct expr_load *load, uint32_t i)
{
    return f->rows ? f->rows + (size_t)i * f->stride : f->sides[load->side][i];
}

EXPR_INLINE bool is_null_in(const unsigned char *record, const struct leat_place *place)
{
    for (uint32_t i = 0; i < OUTER_MAX && place->outer_has[i] != LEAT_NOT_NULLABLE; i++)
        if (!record[place->outer_has[i]])
            return true;
    return place->has_offset != LEAT_NOT_NULLABLE && !record[place->has_offset];
}

static bool is_nullable(const struct expr_load *load)
{
    const struct leat_place *place = &load->place;
    return load->may_miss || place->has_offset != LEAT_NOT_NULLABLE ||
        place->outer_has[0] != LEAT_NOT_NULLABLE;
}

static void fill_nulls(const struct expr_frame *f, const struct expr_load *load, uint8_t *nulls)
{
    const struct leat_place *place = &load->place;
    if (f->rows && place->outer_has[0] == LEAT_NOT_NULLABLE) {
        const unsigned char *has = f->rows + place->has_offset;
        for (uint32_t i = 0; i < f->count; i++)
            nulls[i] = !has[i * f->stride];
        return;
    }
    if (load->may_miss) {
        for (uint32_t i = 0; i < f->count; i++) {
            const unsigned char *record = record_at(f, load, i);
            nulls[i] = record == f->absent || is_null_in(record, place);
        }
        return;
    }
    for (uint32_t i = 0; i < f->count; i++)
        nulls[i] = is_null_in(record_at(f, load, i), place);
}

int leat__expr_load_nulls(struct expr_frame *f, const struct expr_instr *in)
{
    fill_nulls(f, in->extra, EXPR_DST(f, in)->nulls);
    return 0;
}

/* x is null, without a look at x. */
static int load_is_null(struct expr_frame *f, const struct expr_instr *in)
{
    fill_nulls(f, in->extra, EXPR_DST(f, in)->data);
    return 0;
}

/* A kernel that reads `from_` fields into an `into_` register. Two loops, since a stride is faster than
 * pointers. */
#define LOAD_KERNEL(name_, from_, into_, convert_) \
    static int name_(struct expr_frame *f, const struct expr_instr *in) \
    { \
        const struct expr_load *load = in->extra; \
        struct expr_vec *d = EXPR_DST(f, in); \
        into_ *restrict out = (into_ *)(void *)d->data; \
        if (d->nulls) \
            fill_nulls(f, load, d->nulls); \
        if (f->rows) { \
            const unsigned char *at = f->rows + load->place.offset; \
            for (uint32_t i = 0; i < f->count; i++, at += f->stride) { \
                const from_ x = *(const from_ *)(const void *)at; \
                out[i] = (into_)(convert_); \
            } \
        } else { \
            const void *const *side = f->sides[load->side]; \
            for (uint32_t i = 0; i < f->count; i++) { \
                const unsigned char *at = (const unsigned char *)side[i] + load->place.offset; \
                const from_ x = *(const from_ *)(const void *)at; \
                out[i] = (into_)(convert_); \
            } \
        } \
        return 0; \
    }

LOAD_KERNEL(load_bool, uint8_t, uint8_t, x != 0)
LOAD_KERNEL(load_int, int32_t, int64_t, x)
LOAD_KERNEL(load_long, int64_t, int64_t, x)
LOAD_KERNEL(load_float, float, double, x)
LOAD_KERNEL(load_double, double, double, x)
LOAD_KERNEL(load_nanos, int64_t, int64_t, x / 1000 - (x % 1000 < 0))

static int load_string(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_load *load = in->extra;
    struct expr_vec *d = EXPR_DST(f, in);
    struct leat_sv *out = (struct leat_sv *)(void *)d->data;
    if (d->nulls)
        fill_nulls(f, load, d->nulls);
    for (uint32_t i = 0; i < f->count; i++)
        memcpy(&out[i], record_at(f, load, i) + load->place.offset, sizeof out[i]);
    return 0;
}

static int load_fixed(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_load *load = in->extra;
    struct expr_vec *d = EXPR_DST(f, in);
    struct leat_sv *out = (struct leat_sv *)(void *)d->data;
    if (d->nulls)
        fill_nulls(f, load, d->nulls);
    for (uint32_t i = 0; i < f->count; i++)
        out[i] = (struct leat_sv){ (const char *)record_at(f, load, i) + load->place.offset,
            load->place.type->size };
    return 0;
}

/* Fields of `unit` microseconds; the product may be beyond 64 bits. */
static int scale(struct expr_frame *f, const struct expr_instr *in, bool is_int32, int64_t unit)
{
    const struct expr_load *load = in->extra;
    struct expr_vec *d = EXPR_DST(f, in);
    int64_t *out = (int64_t *)(void *)d->data;
    bool bad = false;
    if (d->nulls)
        fill_nulls(f, load, d->nulls);
    for (uint32_t i = 0; i < f->count; i++) {
        const void *at = record_at(f, load, i) + load->place.offset;
        const int64_t x = is_int32 ? *(const int32_t *)at : *(const int64_t *)at;
        bad |= __builtin_mul_overflow(x, unit, &out[i]);
    }
    for (uint32_t i = 0; bad && i < f->count; i++) {
        const void *at = record_at(f, load, i) + load->place.offset;
        const int64_t x = is_int32 ? *(const int32_t *)at : *(const int64_t *)at;
        int64_t ignored;
        if (__builtin_mul_overflow(x, unit, &ignored) && leat__expr_is_live(f, in, i))
            return leat__expr_row_fail(f, in, i, LEAT_EOVERFLOW,
                "the %s %lld is beyond the microseconds of 64 bits", is_int32 ? "date" : "timestamp",
                (long long)x);
    }
    return 0;
}

static int load_millis(struct expr_frame *f, const struct expr_instr *in)
{
    return scale(f, in, false, 1000);
}

static int load_date(struct expr_frame *f, const struct expr_instr *in)
{
    return scale(f, in, true, DAY_US);
}

static int load_symbol(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_load *load = in->extra;
    const uint32_t count = load->place.type->symbols_count;
    struct expr_vec *d = EXPR_DST(f, in);
    struct leat_sv *out = (struct leat_sv *)(void *)d->data;
    if (d->nulls)
        fill_nulls(f, load, d->nulls);
    for (uint32_t i = 0; i < f->count; i++) {
        const void *at = record_at(f, load, i) + load->place.offset;
        const uint32_t code = *(const uint32_t *)at;
        out[i] = code < count ? load->symbols[code] : LEAT_SV("");
        if (code >= count && leat__expr_is_live(f, in, i))
            return leat__expr_row_fail(f, in, i, LEAT_EDATA,
                "%d is not the number of a symbol of %s (0 to %u)", (int)code, load->place.type->name,
                count - 1);
    }
    return 0;
}

/* Big-endian two's complement of any length, to the nearest double but for the last bits. */
static double decimal_value(const unsigned char *data, size_t len, int32_t digits)
{
    double value = len && (data[0] & 0x80) ? -1.0 : 0.0;
    for (size_t i = 0; i < len; i++)
        value = value * 256.0 + data[i];
    if (len <= 8) { /* exact, then rounded once */
        uint64_t bits = len && (data[0] & 0x80) ? UINT64_MAX : 0;
        for (size_t i = 0; i < len; i++)
            bits = bits << 8 | data[i];
        value = (double)(int64_t)bits;
    }
    return value / pow(10.0, digits);
}

static int load_decimal(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_load *load = in->extra;
    const struct leat_type *type = load->place.type;
    struct expr_vec *d = EXPR_DST(f, in);
    double *out = (double *)(void *)d->data;
    if (d->nulls)
        fill_nulls(f, load, d->nulls);
    EXPR_EACH_LIVE(f, in, i, out, 0.0)
    {
        const unsigned char *at = record_at(f, load, i) + load->place.offset;
        struct leat_sv bytes = { (const char *)at, type->size };
        if (type->kind == LEAT_KIND_BYTES)
            memcpy(&bytes, at, sizeof bytes);
        out[i] = decimal_value((const unsigned char *)bytes.data, bytes.len, type->scale);
    }
    return 0;
}

/* ---- choosing ---- */

static void set_load(struct expr_compiler *c, struct expr_node *node, enum leat_value_class value_class,
    expr_kernel run, uint32_t flags)
{
    node->value_class = value_class;
    node->is_nullable = is_nullable(node->load);
    node->op = (struct expr_op){ run, flags };
    node->is_typed = true;
    if (run || c->sides == 1)
        return;
    node->op.run = value_class == LEAT_VALUE_STRING ? load_string
        : value_class == LEAT_VALUE_FLOAT           ? load_double
                                                    : load_long;
}

static int load_enum(struct expr_compiler *c, struct expr_node *node)
{
    const struct leat_type *type = node->load->place.type;
    struct leat_sv *symbols = leat__arena_array(c->arena, type->symbols_count + 1, sizeof *symbols);
    if (!symbols)
        return leat__expr_no_memory(&c->source);
    for (uint32_t i = 0; i < type->symbols_count; i++)
        symbols[i] = leat_sv_of(type->symbols[i]);
    node->load->symbols = symbols;
    set_load(c, node, LEAT_VALUE_STRING, load_symbol, EXPR_GUARDED);
    return 0;
}

static void load_time(struct expr_compiler *c, struct expr_node *node)
{
    switch (node->load->place.type->logical) {
    case LEAT_LOGICAL_TIMESTAMP_MILLIS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS:
        set_load(c, node, LEAT_VALUE_TIMESTAMP, load_millis, EXPR_GUARDED);
        return;
    case LEAT_LOGICAL_TIMESTAMP_NANOS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS:
        set_load(c, node, LEAT_VALUE_TIMESTAMP, load_nanos, 0);
        return;
    case LEAT_LOGICAL_TIMESTAMP_MICROS:
    case LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS:
        set_load(c, node, LEAT_VALUE_TIMESTAMP, NULL, 0);
        return;
    default: /* a time of day counts in its unit */
        set_load(c, node, LEAT_VALUE_INT, NULL, 0);
    }
}

static int fail_kind(struct expr_compiler *c, const struct expr_node *node)
{
    const struct expr_step *last = &node->steps[node->steps_count - 1];
    const struct leat_type *type = node->load->place.type;
    const int len = (int)(last->name.len < 64 ? last->name.len : 64);
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        return leat__expr_fail(&c->source, last->at, "\"%.*s\" is a decimal; write cast(%.*s as double)", len,
            last->name.data, len, last->name.data);
    if (type->kind == LEAT_KIND_RECORD)
        return leat__expr_fail(&c->source, last->at,
            "\"%.*s\" is a record; write one of its fields, such as %.*s.%s", len, last->name.data, len,
            last->name.data, type->fields_count ? type->fields[0].name : "x");
    const char *kind = type->kind == LEAT_KIND_ARRAY ? "an array"
        : type->kind == LEAT_KIND_MAP                ? "a map"
        : type->kind == LEAT_KIND_UNION              ? "a union"
                                                     : "of a kind";
    return leat__expr_fail(&c->source, last->at,
        "\"%.*s\" is %s that expressions have no values for; only is null works", len, last->name.data, kind);
}

int leat__expr_path_load(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_path_resolve(c, node));
    const struct leat_type *type = node->load->place.type;
    if (type->logical == LEAT_LOGICAL_DECIMAL)
        return fail_kind(c, node);
    switch (type->kind) {
    case LEAT_KIND_BOOLEAN:
        set_load(c, node, LEAT_VALUE_BOOL, load_bool, 0);
        return 0;
    case LEAT_KIND_INT:
        if (type->logical == LEAT_LOGICAL_DATE)
            set_load(c, node, LEAT_VALUE_TIMESTAMP, load_date, EXPR_GUARDED);
        else
            set_load(c, node, LEAT_VALUE_INT, load_int, 0);
        return 0;
    case LEAT_KIND_LONG:
        load_time(c, node);
        return 0;
    case LEAT_KIND_FLOAT:
        set_load(c, node, LEAT_VALUE_FLOAT, load_float, 0);
        return 0;
    case LEAT_KIND_DOUBLE:
        set_load(c, node, LEAT_VALUE_FLOAT, NULL, 0);
        return 0;
    case LEAT_KIND_STRING:
    case LEAT_KIND_BYTES:
        set_load(c, node, LEAT_VALUE_STRING, NULL, 0);
        return 0;
    case LEAT_KIND_FIXED:
        set_load(c, node, LEAT_VALUE_STRING, load_fixed, 0);
        return 0;
    case LEAT_KIND_ENUM:
        return load_enum(c, node);
    default:
        return fail_kind(c, node);
    }
}

int leat__expr_path_load_decimal(struct expr_compiler *c, struct expr_node *node)
{
    LEAT_TRY(leat__expr_path_resolve(c, node));
    if (node->load->place.type->logical == LEAT_LOGICAL_DECIMAL)
        set_load(c, node, LEAT_VALUE_FLOAT, load_decimal, EXPR_GUARDED);
    return 0;
}

int leat__expr_path_is_null(struct expr_compiler *c, struct expr_node *node)
{
    const struct expr_op op = { load_is_null, 0 };
    struct expr_node *const path = node->args[0];
    LEAT_TRY(leat__expr_path_resolve(c, path));
    if (!is_nullable(path->load)) {
        leat__expr_set_literal(node, (struct expr_value){ .value_class = LEAT_VALUE_BOOL });
        return 0;
    }
    *node = *path;
    node->value_class = LEAT_VALUE_BOOL;
    node->is_nullable = false;
    node->op = op;
    node->is_typed = true;
    return 0;
}

bool leat__expr_path_is_enum(const struct expr_node *node)
{
    return node->kind == EXPR_PATH && node->op.run == load_symbol;
}

struct expr_node *leat__expr_path_code(struct expr_compiler *c, const struct expr_node *path)
{
    struct expr_node *node = leat__expr_node(c, EXPR_PATH, path->at, 0);
    if (!node)
        return NULL;
    node->steps = path->steps;
    node->steps_count = path->steps_count;
    node->load = path->load;
    set_load(c, node, LEAT_VALUE_INT, load_int, 0);
    return node;
}
