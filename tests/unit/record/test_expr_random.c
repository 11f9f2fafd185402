/* tests/unit/record/test_expr_random.c -- expressions: random ones, against a second evaluator that shares
 * nothing with the first. It walks a tree row by row with three-valued logic and lazy conditions; the batch
 * evaluator must agree in every row, whatever the size of the batch, and must fail exactly when some row
 * fails. */
#include "record/expr.h"
#include "base/strbuf.h"
#include "tests/support/random_record.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct flat {
    int64_t i;
    double f;
    bool b;
    bool has_j;
    int64_t j;
    bool has_g;
    double g;
    bool has_c;
    bool c;
    int32_t k;
};

static const struct leat_type type_long = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type type_int = { .kind = LEAT_KIND_INT, .name = "int", .size = 4, .align = 4 };
static const struct leat_type type_double = {
    .kind = LEAT_KIND_DOUBLE, .name = "double", .size = 8, .align = 8
};
static const struct leat_type type_bool = {
    .kind = LEAT_KIND_BOOLEAN, .name = "boolean", .size = 1, .align = 1
};
static const struct leat_field fields[] = {
    { "i", &type_long, offsetof(struct flat, i), LEAT_NOT_NULLABLE },
    { "j", &type_long, offsetof(struct flat, j), offsetof(struct flat, has_j) },
    { "k", &type_int, offsetof(struct flat, k), LEAT_NOT_NULLABLE },
    { "f", &type_double, offsetof(struct flat, f), LEAT_NOT_NULLABLE },
    { "g", &type_double, offsetof(struct flat, g), offsetof(struct flat, has_g) },
    { "b", &type_bool, offsetof(struct flat, b), LEAT_NOT_NULLABLE },
    { "c", &type_bool, offsetof(struct flat, c), offsetof(struct flat, has_c) },
};
static const struct leat_type flat_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "flat",
    .size = sizeof(struct flat),
    .align = _Alignof(struct flat),
    .fields = fields,
    .fields_count = COUNT_OF(fields),
};

/* ---- the second evaluator ---- */

enum class { INTEGER = 1, FLOAT, BOOLEAN };
enum op {
    FIELD = 1,
    CONSTANT,
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    REMAINDER,
    NEGATE,
    EQ,
    NE,
    LT,
    LE,
    GT,
    GE,
    AND,
    OR,
    NOT,
    IS_NULL,
    CASE,
    COALESCE,
    NULLIF,
    BETWEEN,
    IN,
};

struct value {
    bool fails;
    bool is_null;
    int64_t i; /* booleans too */
    double f;
};

struct tree {
    enum op op;
    enum class class;
    char field;
    struct value constant;
    struct tree *args[4];
    int count;
    /* What is known before the first row (learn). */
    bool is_literal, is_nullable;
    struct value literal;
};

static struct value evaluate(const struct tree *t, const struct flat *row);

static double as_float(const struct tree *t, struct value v)
{
    return t->class == FLOAT ? v.f : (double)v.i;
}

static struct value field_value(char field, const struct flat *row)
{
    switch (field) {
    case 'i':
        return (struct value){ .i = row->i };
    case 'j':
        return (struct value){ .is_null = !row->has_j, .i = row->j };
    case 'k':
        return (struct value){ .i = row->k };
    case 'f':
        return (struct value){ .f = row->f };
    case 'g':
        return (struct value){ .is_null = !row->has_g, .f = row->g };
    case 'b':
        return (struct value){ .i = row->b };
    default:
        return (struct value){ .is_null = !row->has_c, .i = row->c };
    }
}

static struct value integers(enum op op, int64_t x, int64_t y)
{
    struct value v = { 0 };
    const __int128 wide = op == ADD ? (__int128)x + y : op == SUBTRACT ? (__int128)x - y : (__int128)x * y;
    if (op == DIVIDE || op == REMAINDER) {
        v.fails = y == 0 || (op == DIVIDE && x == INT64_MIN && y == -1);
        if (!v.fails)
            v.i = y == -1 ? (op == DIVIDE ? -x : 0) : op == DIVIDE ? x / y : x % y;
        return v;
    }
    v.fails = wide > INT64_MAX || wide < INT64_MIN;
    v.i = (int64_t)wide;
    return v;
}

static struct value arithmetic(const struct tree *t, const struct flat *row)
{
    const struct value a = evaluate(t->args[0], row), b = evaluate(t->args[1], row);
    struct value v = { .fails = a.fails || b.fails, .is_null = a.is_null || b.is_null };
    if (v.fails || v.is_null)
        return v;
    if (t->class == INTEGER)
        return integers(t->op, a.i, b.i);
    const double x = as_float(t->args[0], a), y = as_float(t->args[1], b);
    v.f = t->op == ADD      ? x + y
        : t->op == SUBTRACT ? x - y
        : t->op == MULTIPLY ? x * y
        : t->op == DIVIDE   ? x / y
                            : fmod(x, y);
    return v;
}

static bool holds(enum op op, int order, bool unordered)
{
    switch (op) {
    case EQ:
        return !unordered && order == 0;
    case NE:
        return unordered || order != 0;
    case LT:
        return !unordered && order < 0;
    case LE:
        return !unordered && order <= 0;
    case GT:
        return !unordered && order > 0;
    default:
        return !unordered && order >= 0;
    }
}

static bool is_null_literal(const struct tree *t)
{
    return t->is_literal && t->literal.is_null;
}

static struct value compare(enum op op, const struct tree *ta, const struct tree *tb, const struct flat *row)
{
    if (is_null_literal(ta) || is_null_literal(tb))
        return (struct value){ .is_null = true };
    const struct value a = evaluate(ta, row), b = evaluate(tb, row);
    struct value v = { .fails = a.fails || b.fails, .is_null = a.is_null || b.is_null };
    if (v.fails || v.is_null)
        return v;
    if (ta->class != FLOAT && tb->class != FLOAT) {
        v.i = holds(op, a.i < b.i ? -1 : a.i > b.i, false);
        return v;
    }
    const double x = as_float(ta, a), y = as_float(tb, b);
    v.i = holds(op, x < y ? -1 : x > y, isnan(x) || isnan(y));
    return v;
}

/* Kleene's three values: 0 false, 1 null, 2 true; and is the smaller, or the larger. */
static int kleene(struct value v)
{
    return v.is_null ? 1 : v.i ? 2 : 0;
}

static struct value logic(bool is_and, struct value a, const struct tree *next, const struct tree *low,
    const struct tree *high, const struct flat *row)
{
    const int stop = is_and ? 0 : 2;
    if (a.fails || kleene(a) == stop)
        return a;
    const struct value b = next ? evaluate(next, row) : compare(LE, low, high, row);
    if (b.fails)
        return b;
    const int x = kleene(a), y = kleene(b), z = is_and ? (x < y ? x : y) : (x > y ? x : y);
    return (struct value){ .is_null = z == 1, .i = z == 2 };
}

static struct value widened(const struct tree *t, const struct tree *from, struct value v)
{
    if (t->class == FLOAT && from->class != FLOAT)
        v.f = (double)v.i;
    return v;
}

static struct value in_list(const struct tree *t, const struct flat *row)
{
    struct value any = { 0 };
    for (int i = 1; i < t->count; i++) {
        const struct value equal = compare(EQ, t->args[0], t->args[i], row);
        if (equal.fails || (!equal.is_null && equal.i))
            return equal;
        any.is_null = any.is_null || equal.is_null;
    }
    return any;
}

static struct value choose(const struct tree *t, const struct flat *row)
{
    struct value v;
    switch (t->op) {
    case CASE:
        v = evaluate(t->args[0], row);
        if (v.fails)
            return v;
        const struct tree *chosen = t->args[!v.is_null && v.i ? 1 : 2];
        return widened(t, chosen, evaluate(chosen, row));
    case COALESCE:
        for (int i = 0; i < t->count; i++) {
            v = widened(t, t->args[i], evaluate(t->args[i], row));
            if (v.fails || !v.is_null)
                return v;
        }
        return v;
    default: {
        const struct value equal = compare(EQ, t->args[0], t->args[1], row);
        if (equal.fails)
            return equal;
        v = evaluate(t->args[0], row);
        v.is_null = v.is_null || (!equal.is_null && equal.i);
        return v;
    }
    }
}

static struct value evaluate(const struct tree *t, const struct flat *row)
{
    struct value v;
    if (t->is_literal)
        return t->literal;
    switch (t->op) {
    case FIELD:
        return field_value(t->field, row);
    case CONSTANT:
        return t->constant;
    case NEGATE:
        v = evaluate(t->args[0], row);
        if (v.fails || v.is_null)
            return v;
        v.fails = t->class == INTEGER && v.i == INT64_MIN;
        if (t->class == FLOAT)
            v.f = -v.f;
        else
            v.i = v.fails ? 0 : -v.i;
        return v;
    case AND:
    case OR:
        return logic(t->op == AND, evaluate(t->args[0], row), t->args[1], NULL, NULL, row);
    case NOT:
        v = evaluate(t->args[0], row);
        v.i = !v.i;
        return v;
    case IS_NULL:
        v = evaluate(t->args[0], row);
        v.i = v.is_null;
        v.is_null = false;
        return v;
    case BETWEEN:
        return logic(true, compare(GE, t->args[0], t->args[1], row), NULL, t->args[0], t->args[2], row);
    case IN:
        return in_list(t, row);
    case CASE:
    case COALESCE:
    case NULLIF:
        return choose(t, row);
    default:
        return t->op >= EQ && t->op <= GE ? compare(t->op, t->args[0], t->args[1], row) : arithmetic(t, row);
    }
}

/* ---- what is known before the first row ----
 *
 * The guide's rules: what is made of constants is a constant; an operation with the constant null is null;
 * nothing that can not be null is asked whether it is. In these cases the rest is not evaluated, so that its
 * errors do not count. */

static bool is_strict(enum op op)
{
    return (op >= ADD && op <= GE) || op == NOT;
}

static void set_literal(struct tree *t, struct value value)
{
    if (value.fails)
        return; /* constant, without a value: left to the rows */
    t->is_literal = true;
    t->is_nullable = value.is_null;
    t->literal = value;
}

/* Comparisons that the tree does not show. */
static bool is_compare_literal(const struct tree *a, const struct tree *b)
{
    return is_null_literal(a) || is_null_literal(b) || (a->is_literal && b->is_literal);
}

static bool is_in_literal(const struct tree *t, bool is_set)
{
    bool all = true;
    for (int i = 1; i < t->count; i++)
        all = all && is_compare_literal(t->args[0], t->args[i]);
    return is_set ? t->args[0]->is_literal : all;
}

static void learn_choice(struct tree *t, bool all, const struct flat *row)
{
    bool items = true;
    switch (t->op) {
    case IS_NULL:
        t->is_nullable = false;
        if (!t->args[0]->is_nullable)
            set_literal(t, (struct value){ 0 });
        break;
    case COALESCE:
        for (int i = 0; i < t->count; i++)
            t->is_nullable = t->is_nullable && t->args[i]->is_nullable;
        if (is_null_literal(t->args[0]) ? t->args[1]->is_literal : t->args[0]->is_literal)
            set_literal(t, evaluate(t, row));
        break;
    case NULLIF:
        t->is_nullable = true;
        all = t->args[0]->is_literal && is_compare_literal(t->args[0], t->args[1]);
        break;
    case BETWEEN:
        all = is_compare_literal(t->args[0], t->args[1]) && is_compare_literal(t->args[0], t->args[2]);
        break;
    case IN:
        for (int i = 1; i < t->count; i++)
            items = items && t->args[i]->is_literal;
        t->is_nullable = true;
        all = is_in_literal(t, items);
        break;
    case CASE:
        t->is_nullable = t->args[1]->is_nullable || t->args[2]->is_nullable;
        break;
    default:
        break;
    }
    if (all && !t->is_literal)
        set_literal(t, evaluate(t, row));
}

static void learn(struct tree *t)
{
    static const struct flat row = { 0 };
    bool all = t->op != FIELD;
    t->is_nullable = t->op == COALESCE || (t->op == FIELD && strchr("jgc", t->field));
    for (int i = 0; i < t->count; i++) {
        learn(t->args[i]);
        all = all && t->args[i]->is_literal;
        if (t->op != COALESCE)
            t->is_nullable = t->is_nullable || t->args[i]->is_nullable;
        if (is_strict(t->op) && is_null_literal(t->args[i]))
            set_literal(t, (struct value){ .is_null = true });
    }
    if (!t->is_literal)
        learn_choice(t, all, &row);
}

/* ---- random trees ---- */

#define TREES_MAX 256

struct forest {
    struct random_source *random;
    struct tree trees[TREES_MAX];
    int used;
};

static struct tree *new_tree(struct forest *forest, enum op op, enum class class)
{
    struct tree *t = &forest->trees[forest->used++];
    *t = (struct tree){ .op = op, .class = class };
    return t;
}

static struct tree *grow(struct forest *forest, enum class class, int depth);

static struct tree *grow_leaf(struct forest *forest, enum class class)
{
    static const int64_t some[] = { 0, 1, -1, 2, 3, 7, -5, 10, 1000000007, INT64_MAX, INT64_MIN,
        INT64_MAX / 2 };
    static const char *const names[] = { [INTEGER] = "ijki", [FLOAT] = "fgfg", [BOOLEAN] = "bcbc" };
    struct random_source *r = forest->random;
    struct tree *t = new_tree(forest, FIELD, class);
    if (random_below(r, 3) > 0) {
        t->field = names[class][random_below(r, 4)];
        return t;
    }
    t->op = CONSTANT;
    t->constant.is_null = random_below(r, 8) == 0;
    t->constant.i = class == BOOLEAN ? random_below(r, 2) : some[random_below(r, COUNT_OF(some))];
    t->constant.f = (double)((int)random_below(r, 41) - 20) / 4.0;
    return t;
}

static enum class number_class(struct forest *forest) {
    return random_below(forest->random, 3) ? INTEGER : FLOAT;
}

static struct tree *grow_number(struct forest *forest, enum class class, int depth)
{
    static const enum op ops[] = { ADD, SUBTRACT, MULTIPLY, DIVIDE, REMAINDER, NEGATE, CASE, COALESCE,
        NULLIF };
    struct tree *t = new_tree(forest, ops[random_below(forest->random, COUNT_OF(ops))], class);
    t->count = t->op == NEGATE ? 1 : 2;
    if (t->op == CASE) {
        t->args[0] = grow(forest, BOOLEAN, depth - 1);
        t->args[1] = grow(forest, class, depth - 1);
        t->args[2] = grow(forest, class == FLOAT ? number_class(forest) : class, depth - 1);
        t->count = 3;
        return t;
    }
    t->args[0] = grow(forest, class, depth - 1);
    if (t->op !=
        NEGATE) /* one float makes the operation one of floats; nullif keeps the class of the first */
        t->args[1] = grow(forest, class == FLOAT ? number_class(forest) : class, depth - 1);
    return t;
}

static struct tree *grow_boolean(struct forest *forest, int depth)
{
    static const enum op ops[] = { EQ, NE, LT, LE, GT, GE, AND, OR, AND, OR, NOT, IS_NULL, BETWEEN, IN,
        COALESCE, CASE };
    struct tree *t = new_tree(forest, ops[random_below(forest->random, COUNT_OF(ops))], BOOLEAN);
    const bool logical = t->op == AND || t->op == OR || t->op == NOT || t->op == COALESCE || t->op == CASE;
    t->count = t->op == NOT || t->op == IS_NULL ? 1
        : t->op == BETWEEN || t->op == CASE     ? 3
        : t->op == IN                           ? 4
                                                : 2;
    for (int i = 0; i < t->count; i++)
        t->args[i] = grow(forest, logical ? BOOLEAN : number_class(forest), depth - 1);
    return t;
}

static struct tree *grow(struct forest *forest, enum class class, int depth)
{
    if (depth <= 0 || forest->used > TREES_MAX - 100 || random_below(forest->random, 6) == 0)
        return grow_leaf(forest, class);
    return class == BOOLEAN ? grow_boolean(forest, depth) : grow_number(forest, class, depth);
}

/* ---- trees as text ---- */

static void write_constant(struct leat_strbuf *s, const struct tree *t)
{
    /* The class of a bare null is that of its neighbours: say which. */
    static const char *const nulls[] = { [INTEGER] = "cast(null as long)",
        [FLOAT] = "cast(null as double)",
        [BOOLEAN] = "cast(null as boolean)" };
    if (t->constant.is_null)
        leat__strbuf_str(s, nulls[t->class]);
    else if (t->class == BOOLEAN)
        leat__strbuf_str(s, t->constant.i ? "true" : "false");
    else if (t->class == FLOAT)
        leat__strbuf_printf(s, "%.2f", t->constant.f);
    else
        leat__strbuf_printf(s, "%lld", (long long)t->constant.i);
}

/* The digits of a pattern stand for the arguments. */
static void write_tree(struct leat_strbuf *s, const struct tree *t)
{
    static const char *const patterns[] = { [ADD] = "(1 + 2)",
        [SUBTRACT] = "(1 - 2)",
        [MULTIPLY] = "(1 * 2)",
        [DIVIDE] = "(1 / 2)",
        [REMAINDER] = "(1 % 2)",
        [NEGATE] = "(-(1))",
        [EQ] = "(1 = 2)",
        [NE] = "(1 != 2)",
        [LT] = "(1 < 2)",
        [LE] = "(1 <= 2)",
        [GT] = "(1 > 2)",
        [GE] = "(1 >= 2)",
        [AND] = "(1 and 2)",
        [OR] = "(1 or 2)",
        [NOT] = "(not 1)",
        [IS_NULL] = "(1 is null)",
        [CASE] = "case when 1 then 2 else 3 end",
        [COALESCE] = "coalesce(1, 2)",
        [NULLIF] = "nullif(1, 2)",
        [BETWEEN] = "(1 between 2 and 3)",
        [IN] = "(1 in (2, 3, 4))" };
    if (t->op == FIELD) {
        leat__strbuf_char(s, t->field);
        return;
    }
    if (t->op == CONSTANT) {
        write_constant(s, t);
        return;
    }
    for (const char *p = patterns[t->op]; *p; p++) {
        if (*p >= '1' && *p <= '4')
            write_tree(s, t->args[*p - '1']);
        else
            leat__strbuf_char(s, *p);
    }
}

/* ---- the comparison ---- */

static void fill_rows(struct random_source *r, struct leat_batch *batch, uint32_t count)
{
    static const int64_t some[] = { 0, 1, -1, 2, -7, 10, 99, INT64_MAX, INT64_MIN, 4000000000,
        12345678901234 };
    static const double floats[] = { 0.0, -0.0, 1.0, -2.5, 0.25, 1e300, -1e300, INFINITY, NAN, 3.0 };
    leat__batch_rows(batch, count);
    for (uint32_t i = 0; i < count; i++) {
        struct flat *row = leat_batch_at(batch, i);
        /* Small numbers mostly: else everything overflows. */
        row->i =
            random_below(r, 8) ? (int64_t)random_below(r, 21) - 10 : some[random_below(r, COUNT_OF(some))];
        row->j =
            random_below(r, 8) ? (int64_t)random_below(r, 21) - 10 : some[random_below(r, COUNT_OF(some))];
        row->k = (int32_t)random_below(r, 7) - 3;
        row->f =
            random_below(r, 3) ? (double)random_below(r, 9) / 4.0 : floats[random_below(r, COUNT_OF(floats))];
        row->g =
            random_below(r, 3) ? (double)random_below(r, 9) / 4.0 : floats[random_below(r, COUNT_OF(floats))];
        row->b = random_below(r, 2);
        row->c = random_below(r, 2);
        row->has_j = random_below(r, 4) > 0;
        row->has_g = random_below(r, 4) > 0;
        row->has_c = random_below(r, 4) > 0;
    }
}

static bool same_value(const struct tree *t, struct value want, const struct leat_vector *got, uint32_t i)
{
    const bool is_null = got->is_null && got->is_null[i];
    if (want.is_null || is_null)
        return want.is_null && is_null;
    if (t->class == BOOLEAN)
        return got->booleans[i] == want.i;
    if (t->class == INTEGER)
        return got->integers[i] == want.i;
    return memcmp(&got->floats[i], &want.f, sizeof want.f) == 0 || (isnan(got->floats[i]) && isnan(want.f));
}

static uint32_t count_failures(const struct tree *t, const struct leat_batch *batch)
{
    uint32_t failures = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        failures += evaluate(t, leat_batch_at(batch, i)).fails;
    return failures;
}

struct tally {
    int refused, failed, fine;
};

static void check_tree(const struct tree *t, const char *text, struct leat_batch *batch, struct tally *tally)
{
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_vector got;
    struct leat_error err = { 0 };
    uint32_t bad_row = UINT32_MAX;
    const uint32_t failures = count_failures(t, batch);
    if (leat__expr_new(text, &flat_type, &expr, &err) != 0) {
        /* A constant part without a value: refused if every row needs it, and a literal 0 below / always. */
        tally->refused++;
        FAIL_UNLESS(failures == batch->count || strstr(err.message, "by the constant 0"), "%s\n%s", text,
            err.message);
        return;
    }
    assert_int_equal(leat__expr_scratch_new(expr, &scratch), 0);
    const int code = leat__expr_eval(expr, scratch, batch, &got, &bad_row, &err);
    if (failures > 0) {
        tally->failed++;
        FAIL_UNLESS(code == LEAT_EOVERFLOW, "%s\nshould fail in %u of %u rows", text, failures, batch->count);
        FAIL_UNLESS(evaluate(t, leat_batch_at(batch, bad_row)).fails, "%s\nrow %u is fine: %s", text, bad_row,
            err.message);
    } else {
        tally->fine++;
        FAIL_UNLESS(code == 0, "%s\n%s", text, err.message);
        for (uint32_t i = 0; i < batch->count; i++)
            FAIL_UNLESS(
                same_value(t, evaluate(t, leat_batch_at(batch, i)), &got, i), "%s\nrow %u differs", text, i);
    }
    leat__expr_scratch_free(scratch);
    leat__expr_free(expr);
}

static void run_size(uint32_t rows, int rounds, uint64_t seed)
{
    struct random_source random = { .state = seed };
    struct forest *forest = malloc(sizeof *forest);
    struct leat_pool *pool;
    struct leat_batch *batch;
    struct tally tally = { 0 };
    assert_non_null(forest);
    assert_int_equal(leat__pool_new(rows, &pool), 0);
    assert_int_equal(leat__batch_get(pool, &flat_type, &batch), 0);
    for (int round = 0; round < rounds; round++) {
        struct leat_strbuf text = { 0 };
        forest->random = &random;
        forest->used = 0;
        struct tree *t = grow(forest, 1 + random_below(&random, 3), 5);
        learn(t);
        write_tree(&text, t);
        if (round % 16 == 0)
            fill_rows(&random, batch, rows);
        check_tree(t, text.data, batch, &tally);
        leat__strbuf_release(&text);
    }
    print_message("%u rows, seed %llu: %d fine, %d failed in a row, %d refused\n", rows,
        (unsigned long long)seed, tally.fine, tally.failed, tally.refused);
    assert_true(tally.fine > rounds / 10 && tally.failed > rounds / 100);
    leat__batch_release(batch);
    leat__pool_free(pool);
    free(forest);
}

static void
test_expr_random__given_random_expressions__when_evaluated_in_batches__then_a_walk_over_the_tree_agrees(
    void **state)
{
    const char *seed_text = getenv("LEAT_TEST_SEED");
    const uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 20260131;
    (void)state;
    run_size(1, 6000, seed);
    run_size(7, 4000, seed + 1);
    run_size(1024, 300, seed + 2);
    run_size(2500, 100, seed + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_expr_random__given_random_expressions__when_evaluated_in_batches__then_a_walk_over_the_tree_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
