/* operators/projection.c -- fills output records from expressions and from input fields.
 *
 * Each field of the output becomes one of
 *     copy    an input field of the very same type, anything at all: bytes are moved, views with them; what is never
 *             null and lies side by side in both records is one move
 *     expr    an expression, evaluated for all rows, and a store (record/expr.h) that fits its class to the
 * field nothing a nullable field that nobody fills Columns are filled one after the other. Only when some row
 * makes an expression or a store fail is the work done again row by row, so that exactly the bad rows are
 * refused. */
#include "operators/projection_private.h"
#include "operators/rows_private.h"
#include "record/schema.h"
#include "topology/declare.h"
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 64u

struct projection_copy {
    const char *name; /* of the output field */
    const char *from_name; /* path without the side's name */
    uint32_t side;
    bool nullable; /* the source may be null */
    bool may_miss; /* so may its whole record */
    struct leat_place from;
    uint32_t to, to_has; /* offsets in the output */
    uint32_t size;
};

/* Bytes of a record that is there, for each row. */
struct projection_move {
    uint32_t side, from, to, size;
};

struct projection_expr {
    struct leat_expr *expr;
    struct leat_expr_store store;
    bool makes_views; /* into memory that may not be the input's */
};

struct leat__projection {
    const struct leat_type *out;
    struct projection_copy *copies;
    uint32_t copies_count;
    struct projection_move *moves; /* the copies of what is never null */
    uint32_t moves_count;
    struct projection_expr *exprs;
    uint32_t exprs_count;
    const char *named[FIELDS_MAX]; /* the output fields that entries name */
    uint32_t named_count;
};

struct leat__projection_scratch {
    uint32_t count;
    struct leat_expr_scratch *exprs[];
};

/* ---- making one ---- */

/* An entry of `fields` as far as it is known without the output type. */
struct item {
    const char *option; /* "fields[2]" */
    const char *name; /* of the output field; NULL: unknown, an error is kept */
    const char *text;
    bool is_path, is_bad;
    uint32_t side;
    const char *path; /* the text without the side's name */
    struct leat_place place;
    struct leat_expr *expr;
};

struct maker {
    struct leat_node *node;
    const struct leat_type *in[2];
    uint32_t sides_count, may_miss;
    const char *const *own_fields;
    struct item items[FIELDS_MAX];
    uint32_t items_count;
    struct leat__projection *p;
};

static bool find_in(const struct maker *m, uint32_t side, const char *path, struct item *item)
{
    if (leat_record_find(m->in[side], path, &item->place, NULL) < 0)
        return false;
    item->side = side;
    item->path = path;
    return true;
}

/* Whether the text names a field, of one side if there are two. What is ambiguous is left to the expression,
 * which says so. */
static bool find_path(const struct maker *m, const char *text, struct item *item)
{
    if (m->sides_count == 1)
        return find_in(m, 0, text, item);
    if (strncmp(text, "left.", 5) == 0)
        return find_in(m, 0, text + 5, item);
    if (strncmp(text, "right.", 6) == 0)
        return find_in(m, 1, text + 6, item);
    struct item right = { 0 };
    const bool in_right = find_in(m, 1, text, &right), in_left = find_in(m, 0, text, item);
    if (in_right && !in_left)
        return find_in(m, 1, text, item);
    return in_left && !in_right;
}

static bool place_is_nullable(const struct leat_place *place)
{
    return place->has_offset != LEAT_NOT_NULLABLE || place->outer_has[0] != LEAT_NOT_NULLABLE;
}

static bool side_may_miss(const struct maker *m, uint32_t side)
{
    return m->may_miss >> side & 1;
}

static bool item_is_nullable(const struct maker *m, const struct item *item)
{
    return side_may_miss(m, item->side) || place_is_nullable(&item->place);
}

static void free_expr(void *expr)
{
    leat__expr_free(expr);
}

static int compile(struct maker *m, struct item *item)
{
    struct leat_error err = { 0 };
    const struct leat_expr_sides sides = { m->in[0], m->in[1], "left", "right", m->may_miss };
    const int code = m->sides_count == 1 ? leat__expr_new(item->text, m->in[0], &item->expr, &err)
                                         : leat__expr_new_sides(item->text, &sides, &item->expr, &err);
    if (code < 0) {
        item->expr = NULL;
        item->is_bad = true;
        leat__declare_error_of(m->node, item->option, &err);
        return code;
    }
    if (leat__topology_defer(m->node, free_expr, item->expr))
        return 0;
    item->expr = NULL;
    item->is_bad = true;
    return LEAT_ENOMEM;
}

/* The last step of a path; NULL when the text is more than a path. */
static const char *last_name(const char *text)
{
    const char *last = text;
    for (const char *p = text; *p; p++) {
        const bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
        const bool digit = *p >= '0' && *p <= '9';
        if (*p == '.')
            last = p + 1;
        else if (!letter && !(digit && p > last))
            return NULL;
    }
    return *last ? last : NULL;
}

static void add_item(struct maker *m, const struct leat_projection *field, uint32_t i)
{
    struct item *item = &m->items[m->items_count++];
    item->option = leat__spec_printf(m->node, "fields[%u]", i);
    item->text = field->expr;
    item->name = field->as ? field->as : last_name(field->expr);
    if (!item->name) {
        item->is_bad = true;
        leat__declare_error(m->node, item->option, LEAT_EDECLARE,
            "\"%s\" is no plain field: name the output field that it fills in .as", field->expr);
        return;
    }
    for (uint32_t k = 0; k + 1 < m->items_count; k++)
        if (m->items[k].name && strcmp(m->items[k].name, item->name) == 0) {
            item->is_bad = true;
            leat__declare_error(m->node, item->option, LEAT_EDECLARE,
                "\"%s\" is filled by fields[%u] already", item->name, k);
            return;
        }
    item->is_path = find_path(m, item->text, item);
    if (!item->is_path)
        (void)compile(m, item);
}

static void add_items(struct maker *m, const struct leat__projection_opts *opts)
{
    uint32_t count = 0;
    LEAT_ASSERT(opts->fields_max <= FIELDS_MAX);
    for (; count < opts->fields_max && opts->fields[count].expr; count++)
        add_item(m, &opts->fields[count], count);
    for (uint32_t i = count; i < opts->fields_max; i++)
        if (opts->fields[i].expr || opts->fields[i].as) {
            leat__declare_error(m->node, leat__spec_printf(m->node, "fields[%u].expr", count), LEAT_EDECLARE,
                "missing: fields go up to the first without one, and there is more behind");
            return;
        }
}

static bool is_field_name(const char *name)
{
    for (const char *p = name; *p; p++) {
        const bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
        if (!letter && !(*p >= '0' && *p <= '9' && p > name))
            return false;
    }
    return *name != '\0';
}

/* Whether the item can be a field of a type that is made of the items; tells if not. */
static bool check_made(struct maker *m, const struct item *item)
{
    if (!is_field_name(item->name)) {
        leat__declare_error(m->node, item->option, LEAT_EDECLARE,
            "\"%s\" is no name of a field: it may have letters, digits and _, and begins with no digit",
            item->name);
        return false;
    }
    if (!item->is_path && leat__expr_class(item->expr) == LEAT_VALUE_NULL) {
        leat__declare_error(m->node, item->option, LEAT_EDECLARE,
            "\"%s\" is always null and has no type: say which, as in cast(null as long)", item->text);
        return false;
    }
    return true;
}

static const struct leat_type *make_type(struct maker *m)
{
    struct leat__made_field fields[FIELDS_MAX];
    if (m->items_count == 0) {
        leat__declare_error(m->node, "fields", LEAT_EDECLARE, "empty: give at least one, or an output type");
        return NULL;
    }
    for (uint32_t i = 0; i < m->items_count; i++) {
        const struct item *item = &m->items[i];
        if (item->is_bad || !check_made(m, item))
            return NULL;
        fields[i].name = item->name;
        fields[i].type = item->is_path ? item->place.type : leat__expr_type(item->expr);
        fields[i].nullable = item->is_path ? item_is_nullable(m, item) : leat__expr_is_nullable(item->expr);
    }
    return leat__projection_make_type(m->node, fields, m->items_count);
}

static const char *in_name(const struct maker *m, uint32_t side)
{
    return m->in[side]->name;
}

/* The item fills the field by a copy if the types are the same. */
static bool bind_copy(struct maker *m, const struct item *item, const struct leat_field *field)
{
    if (!item->is_path || !leat__type_equal(item->place.type, field->type))
        return false;
    const bool nullable = place_is_nullable(&item->place), may_miss = side_may_miss(m, item->side);
    if (may_miss && field->has_offset == LEAT_NOT_NULLABLE) {
        leat__declare_error(m->node, item->option, LEAT_EDECLARE,
            "the %s record may be missing, and field \"%s\" of %s can not be null: make it nullable, or fill "
            "it "
            "with coalesce(%s, ...)",
            item->side ? "right" : "left", field->name, m->p->out->name, item->text);
        return true;
    }
    if (nullable && field->has_offset == LEAT_NOT_NULLABLE) {
        leat__declare_error(m->node, item->option, LEAT_EDECLARE,
            "%s of %s can be null and field \"%s\" of %s can not: fill it with coalesce(%s, ...)", item->path,
            in_name(m, item->side), field->name, m->p->out->name, item->text);
        return true;
    }
    struct projection_copy *copy = &m->p->copies[m->p->copies_count++];
    copy->name = field->name;
    copy->from_name = leat__spec_str(m->node, item->path);
    copy->side = item->side;
    copy->nullable = nullable;
    copy->may_miss = may_miss;
    copy->from = item->place;
    copy->to = field->offset;
    copy->to_has = field->has_offset;
    copy->size = field->type->size;
    return true;
}

static bool kind_has_views(enum leat_kind kind)
{
    return kind == LEAT_KIND_STRING || kind == LEAT_KIND_BYTES;
}

static void bind(struct maker *m, struct item *item, const struct leat_field *field)
{
    struct leat_error err = { 0 };
    if (bind_copy(m, item, field) || (!item->expr && compile(m, item) < 0))
        return;
    struct projection_expr *e = &m->p->exprs[m->p->exprs_count];
    if (leat__expr_store_new(item->expr, m->p->out, field->name, &e->store, &err) < 0) {
        leat__declare_error_of(m->node, item->option, &err);
        return;
    }
    e->expr = item->expr;
    e->makes_views = kind_has_views(field->type->kind);
    m->p->exprs_count++;
}

static const struct leat_field *find_field(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return &type->fields[i];
    return NULL;
}

/* A field that no entry names: from the input field of the same name, the left one first, or null. */
static void bind_by_name(struct maker *m, const struct leat_field *field)
{
    struct item item = { .name = field->name };
    item.option = leat__spec_printf(m->node, "out.%s", field->name);
    for (uint32_t side = 0; side < m->sides_count && !item.is_path; side++)
        item.is_path = find_field(m->in[side], field->name) && find_in(m, side, field->name, &item);
    if (item.is_path) {
        item.text = m->sides_count == 1
            ? field->name
            : leat__spec_printf(m->node, "%s.%s", item.side ? "right" : "left", field->name);
        if (item.text)
            bind(m, &item, field);
    } else if (field->has_offset == LEAT_NOT_NULLABLE) {
        const bool one = m->sides_count == 1;
        leat__declare_error(m->node, item.option, LEAT_EDECLARE,
            "nothing fills it, and it can not be null: no entry of fields names it, and %s%s%s%s has %s of "
            "that name",
            one ? "" : "neither ", in_name(m, 0), one ? "" : " nor ", one ? "" : in_name(m, 1),
            one ? "no field" : "a field");
    }
}

static bool is_own_field(const struct maker *m, const char *name)
{
    for (const char *const *own = m->own_fields; own && *own; own++)
        if (strcmp(*own, name) == 0)
            return true;
    return false;
}

static void keep_names(struct maker *m)
{
    for (uint32_t i = 0; i < m->items_count; i++)
        if (m->items[i].name)
            m->p->named[m->p->named_count++] = leat__spec_str(m->node, m->items[i].name);
}

static void bind_all(struct maker *m)
{
    const struct leat_type *out = m->p->out;
    for (uint32_t i = 0; i < m->items_count; i++) {
        struct item *item = &m->items[i];
        if (item->is_bad)
            continue;
        const struct leat_field *field = find_field(out, item->name);
        if (field)
            bind(m, item, field);
        else
            leat__declare_error(m->node, item->option, LEAT_EDECLARE, "no field \"%s\" in %s%s", item->name,
                out->name, leat__fields_hint(m->node, out, item->name));
    }
    for (uint32_t i = 0; i < out->fields_count; i++) {
        bool named = false;
        for (uint32_t k = 0; k < m->items_count && !named; k++)
            named = m->items[k].name && strcmp(m->items[k].name, out->fields[i].name) == 0;
        if (!named && !is_own_field(m, out->fields[i].name))
            bind_by_name(m, &out->fields[i]);
    }
}

static bool is_move(const struct projection_copy *copy)
{
    return !copy->nullable && !copy->may_miss && copy->to_has == LEAT_NOT_NULLABLE;
}

static int by_place(const void *a, const void *b)
{
    const struct projection_move *x = a, *y = b;
    return x->side != y->side ? (x->side < y->side ? -1 : 1) : x->from < y->from ? -1 : x->from > y->from;
}

/* Puts together what lies side by side. */
static void find_moves(struct leat__projection *p)
{
    struct projection_move *moves = p->moves;
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->copies_count; i++) {
        const struct projection_copy *copy = &p->copies[i];
        if (is_move(copy))
            moves[count++] = (struct projection_move){ copy->side, copy->from.offset, copy->to, copy->size };
    }
    qsort(moves, count, sizeof *moves, by_place);
    for (uint32_t i = 0; i < count; i++) {
        struct projection_move *last = p->moves_count ? &moves[p->moves_count - 1] : NULL;
        if (last && last->side == moves[i].side && last->from + last->size == moves[i].from &&
            last->to + last->size == moves[i].to)
            last->size += moves[i].size;
        else
            moves[p->moves_count++] = moves[i];
    }
}

struct leat__projection *leat__projection_new(
    struct leat_node *node, const struct leat__projection_opts *opts)
{
    struct maker m = { .node = node,
        .sides_count = opts->sides_count,
        .may_miss = opts->may_miss,
        .own_fields = opts->own_fields };
    for (uint32_t i = 0; i < m.sides_count; i++)
        if (!(m.in[i] = leat__input_type(node, i)))
            return NULL;
    add_items(&m, opts);
    struct leat__projection *p = m.p = leat__spec(node, sizeof *p);
    if (!p || !(p->out = opts->out ? opts->out : make_type(&m)))
        return NULL;
    if (p->out->kind != LEAT_KIND_RECORD)
        return p; /* leat__output says what is wrong with it */
    p->copies = leat__spec(node, (p->out->fields_count + 1) * sizeof *p->copies);
    p->exprs = leat__spec(node, (p->out->fields_count + 1) * sizeof *p->exprs);
    p->moves = leat__spec(node, (p->out->fields_count + 1) * sizeof *p->moves);
    if (!p->copies || !p->exprs || !p->moves)
        return NULL;
    keep_names(&m);
    bind_all(&m);
    find_moves(p);
    return leat__node_is_inert(node) ? NULL : p;
}

const struct leat_type *leat__projection_type(const struct leat__projection *p)
{
    return p->out;
}

bool leat__projection_names(const struct leat__projection *p, const char *out_field)
{
    for (uint32_t i = 0; i < p->named_count; i++)
        if (p->named[i] && strcmp(p->named[i], out_field) == 0)
            return true;
    return false;
}

bool leat__projection_copies(
    const struct leat__projection *p, const char *out_field, uint32_t side, const char *in_field)
{
    for (uint32_t i = 0; i < p->copies_count; i++) {
        const struct projection_copy *copy = &p->copies[i];
        if (copy->side == side && copy->to_has == LEAT_NOT_NULLABLE && strcmp(copy->name, out_field) == 0)
            return strcmp(copy->from_name, in_field) == 0;
    }
    return false;
}

/* ---- running one ---- */

int leat__projection_scratch_new(
    const struct leat__projection *p, struct leat__ctx *ctx, struct leat__projection_scratch **scratch)
{
    struct leat__projection_scratch *s = leat__calloc(1, sizeof *s + p->exprs_count * sizeof s->exprs[0]);
    *scratch = s;
    if (!s)
        return leat__rows_nomem(ctx, "expressions");
    for (; s->count < p->exprs_count; s->count++)
        if (leat__expr_scratch_new(p->exprs[s->count].expr, &s->exprs[s->count]) < 0)
            return leat__rows_nomem(ctx, "expressions");
    return 0;
}

void leat__projection_scratch_free(struct leat__projection_scratch *scratch)
{
    if (!scratch)
        return;
    for (uint32_t i = 0; i < scratch->count; i++)
        leat__expr_scratch_free(scratch->exprs[i]);
    leat__free(scratch);
}

static const void *source_record(const struct leat__projection_rows *rows, uint32_t side, uint32_t i)
{
    if (rows->batch)
        return leat_batch_at(rows->batch, i);
    return side == 0 ? rows->left[i] : rows->right[i];
}

/* Inlined with a constant size, each row is a few moves. */
static inline void move_rows(const struct projection_move *move, const struct leat__projection_rows *rows,
    struct leat_batch *out, uint32_t first, uint32_t size)
{
    unsigned char *to = out->rows + (size_t)first * out->stride + move->to;
    const uint32_t stride = out->stride;
    if (rows->batch) {
        const unsigned char *from = rows->batch->rows + move->from;
        for (uint32_t i = 0; i < rows->count; i++, from += rows->batch->stride, to += stride)
            memcpy(to, from, size);
        return;
    }
    const void *const *records = move->side == 0 ? rows->left : rows->right;
    for (uint32_t i = 0; i < rows->count; i++, to += stride)
        memcpy(to, (const unsigned char *)records[i] + move->from, size);
}

static void run_move(const struct projection_move *move, const struct leat__projection_rows *rows,
    struct leat_batch *out, uint32_t first)
{
    switch (move->size) {
    case 4:
        move_rows(move, rows, out, first, 4);
        break;
    case 8:
        move_rows(move, rows, out, first, 8);
        break;
    case 16:
        move_rows(move, rows, out, first, 16);
        break;
    case 24:
        move_rows(move, rows, out, first, 24);
        break;
    case 32:
        move_rows(move, rows, out, first, 32);
        break;
    case 40:
        move_rows(move, rows, out, first, 40);
        break;
    case 48:
        move_rows(move, rows, out, first, 48);
        break;
    default:
        move_rows(move, rows, out, first, move->size);
    }
}

/* A field that may be null, on either side. */
static void run_copy(const struct projection_copy *copy, const struct leat__projection_rows *rows,
    struct leat_batch *out, uint32_t first)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        const unsigned char *from = source_record(rows, copy->side, i);
        unsigned char *to = leat_batch_at(out, first + i);
        if (copy->may_miss && !from)
            continue;
        if (copy->nullable && leat_record_is_null(from, &copy->from))
            continue;
        if (copy->to_has != LEAT_NOT_NULLABLE)
            *(bool *)(void *)(to + copy->to_has) = true;
        memcpy(to + copy->to, from + copy->from.offset, copy->size);
    }
}

/* Copies what the field's views show into the memory of `out`. */
static int adopt_views(const struct leat_place *place, struct leat_batch *out, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        unsigned char *row = leat_batch_at(out, i);
        struct leat_sv *view = (struct leat_sv *)(void *)(row + place->offset);
        if (leat_record_is_null(row, place) || view->len == 0)
            continue;
        char *copy = leat__batch_alloc(out, view->len, 1);
        if (!copy)
            return LEAT_ENOMEM;
        view->data = memcpy(copy, view->data, view->len);
    }
    return 0;
}

/* One expression for the rows at .. at+count-1 of the call. */
static int run_expr(const struct projection_expr *e, struct leat_expr_scratch *scratch,
    const struct leat__projection_rows *rows, uint32_t at, uint32_t count, struct leat_batch *out,
    uint32_t first, bool adopt, struct leat_error *err)
{
    struct leat_vector vector;
    struct leat_batch to = leat__rows_view(out, first + at, count);
    if (rows->batch) {
        const struct leat_batch from = leat__rows_view(rows->batch, at, count);
        LEAT_TRY(leat__expr_eval(e->expr, scratch, &from, &vector, NULL, err));
    } else {
        LEAT_TRY(
            leat__expr_eval2(e->expr, scratch, rows->left + at, rows->right + at, count, &vector, NULL, err));
    }
    LEAT_TRY(leat__expr_store(&e->store, &vector, &to, NULL, err));
    if (adopt && e->makes_views && adopt_views(&e->store.place, out, first + at, count) < 0)
        return leat__error(err, LEAT_ENOMEM, "out of memory for computed strings");
    return 0;
}

static int run_each_row(const struct leat__projection *p, struct leat__projection_scratch *s,
    struct leat__ctx *ctx, const struct leat__projection_rows *rows, struct leat_batch *out, uint32_t first,
    bool adopt)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < rows->count; i++)
        for (uint32_t k = 0; k < p->exprs_count; k++) {
            const int code = run_expr(&p->exprs[k], s->exprs[k], rows, i, 1, out, first, adopt, &err);
            if (code == 0)
                continue;
            if (!leat__rows_are_to_blame(code))
                return leat__fail(ctx, code, "%s", err.message);
            leat__ctx_refuse(ctx, i, "%s", err.message);
            break;
        }
    return 0;
}

int leat__projection_run(const struct leat__projection *p, struct leat__projection_scratch *s,
    struct leat__ctx *ctx, const struct leat__projection_rows *rows, struct leat_batch *out, uint32_t first,
    bool adopt)
{
    struct leat_error err = { 0 };
    for (uint32_t k = 0; k < p->moves_count; k++)
        run_move(&p->moves[k], rows, out, first);
    for (uint32_t k = 0; k < p->copies_count; k++)
        if (!is_move(&p->copies[k]))
            run_copy(&p->copies[k], rows, out, first);
    for (uint32_t k = 0; k < p->exprs_count; k++) {
        const int code = run_expr(&p->exprs[k], s->exprs[k], rows, 0, rows->count, out, first, adopt, &err);
        if (code == 0)
            continue;
        if (!leat__rows_are_to_blame(code))
            return leat__fail(ctx, code, "%s", err.message);
        return run_each_row(p, s, ctx, rows, out, first, adopt);
    }
    return 0;
}
