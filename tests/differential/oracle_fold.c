/* tests/differential/oracle_fold.c -- aggregates, each over the whole list of its values (semantics 36 to 38). */
#include "tests/differential/oracle_private.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The values that count, in the order in which they came. */
struct picked {
    struct value value, by;
    int64_t at;
};
struct picks {
    struct picked *at;
    size_t count;
    int64_t rows; /* those whose value is null, too */
};

static bool needs_by(const struct plan_agg *agg)
{
    return agg->kind == LEAT_AGGREGATE_MIN_BY || agg->kind == LEAT_AGGREGATE_MAX_BY;
}

static struct picks pick(
    const struct oracle *o, const struct plan_agg *agg, const struct event *const *rows, size_t count)
{
    struct picks picks = { .at = malloc((count + 1) * sizeof *picks.at) };
    if (!picks.at)
        abort();
    for (size_t i = 0; i < count; i++) {
        const struct diff_row *row = rows[i]->record;
        const bool ignored = o->mistake == MISTAKE_WHERE_IGNORED;
        if (!ignored && !conditions[agg->where % CONDITIONS].holds(row))
            continue;
        picks.rows++;
        const struct value value = value_of(row, agg->of), by = value_of(row, agg->by);
        if (needs_by(agg) ? by.of != VALUE_NULL : value.of != VALUE_NULL)
            picks.at[picks.count++] = (struct picked){ value, by, rows[i]->at };
    }
    return picks;
}

/* ---- setting columns ---- */

static void set(struct diff_out *out, const struct leat_field *field, const void *value)
{
    const bool has = true;
    memcpy((char *)out + field->offset, value, field->type->size);
    memcpy((char *)out + field->has_offset, &has, sizeof has);
}

static void set_long(struct diff_out *out, const struct leat_field *field, int64_t value)
{
    set(out, field, &value);
}

static void set_double(struct diff_out *out, const struct leat_field *field, double value)
{
    set(out, field, &value);
}

static void set_value(struct diff_out *out, const struct leat_field *field, const struct value *value)
{
    const bool boolean = value->l != 0;
    if (value->of == VALUE_LONG)
        set(out, field, &value->l);
    else if (value->of == VALUE_DOUBLE)
        set(out, field, &value->d);
    else if (value->of == VALUE_TEXT)
        set(out, field, &value->s);
    else if (value->of == VALUE_BOOL)
        set(out, field, &boolean);
}

static void set_array(struct oracle *o, struct diff_out *out, const struct leat_field *field,
    const struct picked *values, size_t count)
{
    const size_t size = field->type->item->size;
    char *items = oracle_alloc(o, count * size);
    for (size_t i = 0; i < count; i++) {
        const struct value *value = &values[i].value;
        const void *from = value->of == VALUE_LONG ? (const void *)&value->l
            : value->of == VALUE_DOUBLE            ? (const void *)&value->d
                                                   : (const void *)&value->s;
        memcpy(items + i * size, from, size);
    }
    set(out, field, &(struct leat_array){ items, count });
}

/* ---- numbers ---- */

static double number(const struct value *value)
{
    return value->of == VALUE_DOUBLE ? value->d : (double)value->l;
}

static void sum(struct diff_out *out, const struct leat_field *field, const struct picks *picks)
{
    wide whole = 0;
    long double real = 0;
    for (size_t i = 0; i < picks->count; i++) {
        whole += picks->at[i].value.l;
        real += picks->at[i].value.d;
    }
    if (picks->count > 0 && picks->at[0].value.of == VALUE_LONG)
        set_long(out, field, (int64_t)whole);
    else if (picks->count > 0)
        set_double(out, field, (double)real);
}

static long double mean(const struct picks *picks)
{
    long double total = 0;
    for (size_t i = 0; i < picks->count; i++)
        total += number(&picks->at[i].value);
    return total / (long double)picks->count;
}

static void spread(
    struct diff_out *out, const struct leat_field *field, const struct picks *picks, bool sample, bool root)
{
    const size_t over = picks->count - (sample ? 1 : 0);
    long double total = 0;
    if (picks->count == 0 || over == 0)
        return;
    const long double middle = mean(picks);
    for (size_t i = 0; i < picks->count; i++) {
        const long double off = number(&picks->at[i].value) - middle;
        total += off * off;
    }
    const double variance = (double)(total / (long double)over);
    set_double(out, field, root ? sqrt(variance) : variance);
}

static void bits(
    struct diff_out *out, const struct leat_field *field, const struct picks *picks, int64_t kind)
{
    int64_t all = picks->count > 0 ? picks->at[0].value.l : 0;
    for (size_t i = 1; i < picks->count; i++) {
        const int64_t value = picks->at[i].value.l;
        all = kind == LEAT_AGGREGATE_BIT_AND || kind == LEAT_AGGREGATE_BOOL_AND ? all & value
            : kind == LEAT_AGGREGATE_BIT_XOR                                    ? all ^ value
                                                                                : all | value;
    }
    if (picks->count > 0)
        set_value(out, field, &(struct value){ .of = picks->at[0].value.of, .l = all });
}

static void histogram(
    struct oracle *o, struct diff_out *out, const struct leat_field *field, const struct picks *picks)
{
    struct picked buckets[4] = { { .value = { .of = VALUE_LONG } }, { .value = { .of = VALUE_LONG } },
        { .value = { .of = VALUE_LONG } }, { .value = { .of = VALUE_LONG } } };
    for (size_t i = 0; i < picks->count; i++) {
        size_t bucket = 0;
        while (bucket < 3 && number(&picks->at[i].value) >= histogram_bounds[bucket])
            bucket++;
        buckets[bucket].value.l++;
    }
    set_array(o, out, field, buckets, 4);
}

/* ---- order ---- */

/* Whether `a` stands before `b`, which came later: by event time, then arrival. */
static bool is_earlier(const struct picked *a, const struct picked *b)
{
    return a->at <= b->at;
}

static void best(
    struct diff_out *out, const struct leat_field *field, const struct picks *picks, int64_t kind)
{
    const struct picked *found = NULL;
    for (size_t i = 0; i < picks->count; i++) {
        const struct picked *p = &picks->at[i];
        bool better = !found;
        if (found && kind == LEAT_AGGREGATE_FIRST)
            better = p->at < found->at;
        else if (found && kind == LEAT_AGGREGATE_LAST)
            better = p->at >= found->at;
        else if (found) {
            const bool by = kind == LEAT_AGGREGATE_MIN_BY || kind == LEAT_AGGREGATE_MAX_BY;
            const int order =
                by ? value_compare(&p->by, &found->by) : value_compare(&p->value, &found->value);
            const bool most = kind == LEAT_AGGREGATE_MAX || kind == LEAT_AGGREGATE_MAX_BY;
            better = most ? order > 0 : order < 0;
            if (order == 0)
                better = by && !is_earlier(found, p);
        }
        if (better)
            found = p;
    }
    if (found)
        set_value(out, field, &found->value);
}

/* Sorted by insertion: equal ones stay in the order in which they came. */
static void sort_picks(struct picks *picks, bool by_time)
{
    for (size_t i = 1; i < picks->count; i++) {
        const struct picked p = picks->at[i];
        size_t at = i;
        while (at > 0 &&
            (by_time ? picks->at[at - 1].at > p.at : value_compare(&picks->at[at - 1].value, &p.value) > 0)) {
            picks->at[at] = picks->at[at - 1];
            at--;
        }
        picks->at[at] = p;
    }
}

static void keep_distinct(struct picks *picks)
{
    size_t kept = 0;
    sort_picks(picks, false);
    for (size_t i = 0; i < picks->count; i++)
        if (kept == 0 || value_compare(&picks->at[kept - 1].value, &picks->at[i].value) != 0)
            picks->at[kept++] = picks->at[i];
    picks->count = kept;
}

static void list(struct oracle *o, struct diff_out *out, const struct leat_field *field, struct picks *picks,
    const struct plan_agg *agg)
{
    const bool top = agg->kind == LEAT_AGGREGATE_TOP_N;
    if (agg->kind == LEAT_AGGREGATE_COLLECT_SET)
        keep_distinct(picks);
    else
        sort_picks(picks, agg->kind == LEAT_AGGREGATE_COLLECT_LIST);
    for (size_t i = 0; top && i < picks->count / 2; i++) {
        const struct picked p = picks->at[i];
        picks->at[i] = picks->at[picks->count - 1 - i];
        picks->at[picks->count - 1 - i] = p;
    }
    const bool limited = agg->n > 0 && agg->kind != LEAT_AGGREGATE_COLLECT_SET;
    if (limited && (uint64_t)agg->n < picks->count)
        picks->count = (size_t)agg->n;
    if (picks->count > 0)
        set_array(o, out, field, picks->at, picks->count);
}

static void join_texts(
    struct oracle *o, struct diff_out *out, const struct leat_field *field, struct picks *picks)
{
    size_t len = 0;
    sort_picks(picks, true);
    for (size_t i = 0; i < picks->count; i++)
        len += picks->at[i].value.s.len + 1;
    char *text = oracle_alloc(o, len + 1);
    len = 0;
    for (size_t i = 0; i < picks->count; i++) {
        if (i > 0)
            text[len++] = ',';
        memcpy(text + len, picks->at[i].value.s.data, picks->at[i].value.s.len);
        len += picks->at[i].value.s.len;
    }
    if (picks->count > 0)
        set(out, field, &(struct leat_sv){ text, len });
}

static void quantile(
    struct diff_out *out, const struct leat_field *field, struct picks *picks, const struct plan_agg *agg)
{
    sort_picks(picks, false);
    if (picks->count == 0)
        return;
    const double q = (double)(agg->q < 0 || agg->q > 100 ? 50 : agg->q) / 100;
    set_double(out, field, number(&picks->at[(size_t)(q * (double)(picks->count - 1))].value));
}

/* What the user's aggregate of run.c does: the greatest v less the least one. */
static void user(
    struct diff_out *out, const struct leat_field *field, const struct event *const *rows, size_t count)
{
    int64_t least = 0, most = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        const struct diff_row *row = rows[i]->record;
        if (!row->has_v)
            continue;
        least = !any || row->v < least ? row->v : least;
        most = !any || row->v > most ? row->v : most;
        any = true;
    }
    if (any)
        set_long(out, field, most - least);
}

/* ---- all of them ---- */

/* long: one case for each kind */
static void fold(struct oracle *o, const struct plan_agg *agg, const struct leat_field *field,
    const struct event *const *rows, size_t count, struct diff_out *out)
{
    struct picks picks = pick(o, agg, rows, count);
    switch ((enum leat_aggregate_kind)agg->kind) {
    case LEAT_AGGREGATE_COUNT:
        set_long(
            out, field, agg->of && o->mistake != MISTAKE_NULLS_COUNTED ? (int64_t)picks.count : picks.rows);
        break;
    case LEAT_AGGREGATE_SUM:
        sum(out, field, &picks);
        break;
    case LEAT_AGGREGATE_AVG:
        if (picks.count > 0)
            set_double(out, field, (double)mean(&picks));
        break;
    case LEAT_AGGREGATE_VAR_POP:
    case LEAT_AGGREGATE_STDDEV_POP:
        spread(out, field, &picks, false, agg->kind == LEAT_AGGREGATE_STDDEV_POP);
        break;
    case LEAT_AGGREGATE_VAR_SAMP:
    case LEAT_AGGREGATE_STDDEV_SAMP:
        spread(out, field, &picks, true, agg->kind == LEAT_AGGREGATE_STDDEV_SAMP);
        break;
    case LEAT_AGGREGATE_MIN:
    case LEAT_AGGREGATE_MAX:
    case LEAT_AGGREGATE_FIRST:
    case LEAT_AGGREGATE_LAST:
    case LEAT_AGGREGATE_MIN_BY:
    case LEAT_AGGREGATE_MAX_BY:
        best(out, field, &picks, agg->kind);
        break;
    case LEAT_AGGREGATE_COUNT_DISTINCT:
    case LEAT_AGGREGATE_APPROX_COUNT_DISTINCT:
        keep_distinct(&picks);
        set_long(out, field, (int64_t)picks.count);
        break;
    case LEAT_AGGREGATE_APPROX_QUANTILE:
        quantile(out, field, &picks, agg);
        break;
    case LEAT_AGGREGATE_TOP_N:
    case LEAT_AGGREGATE_BOTTOM_N:
    case LEAT_AGGREGATE_COLLECT_LIST:
    case LEAT_AGGREGATE_COLLECT_SET:
        list(o, out, field, &picks, agg);
        break;
    case LEAT_AGGREGATE_STRING_JOIN:
        join_texts(o, out, field, &picks);
        break;
    case LEAT_AGGREGATE_BIT_AND:
    case LEAT_AGGREGATE_BIT_OR:
    case LEAT_AGGREGATE_BIT_XOR:
    case LEAT_AGGREGATE_BOOL_AND:
    case LEAT_AGGREGATE_BOOL_OR:
        bits(out, field, &picks, agg->kind);
        break;
    case LEAT_AGGREGATE_HISTOGRAM:
        histogram(o, out, field, &picks);
        break;
    case LEAT_AGGREGATE_USER:
        user(out, field, rows, count);
        break;
    case LEAT_AGGREGATE_TRACE_LINKS: /* no plan has it: rows have no trace context */
        break;
    }
    free(picks.at);
}

void oracle_fold(struct oracle *o, const struct plan_node *node, const struct event *const *rows,
    size_t count, struct diff_out *out)
{
    for (size_t a = 0; a < PLAN_AGGS_MAX && node->aggs[a].kind; a++) {
        const struct leat_field *field = column_of(node, a);
        if (field)
            fold(o, &node->aggs[a], field, rows, count, out);
    }
}

bool oracle_is_order_bound(const struct plan_node *node)
{
    for (size_t a = 0; a < PLAN_AGGS_MAX && node->aggs[a].kind; a++)
        switch ((enum leat_aggregate_kind)node->aggs[a].kind) {
        case LEAT_AGGREGATE_FIRST:
        case LEAT_AGGREGATE_LAST:
        case LEAT_AGGREGATE_MIN_BY:
        case LEAT_AGGREGATE_MAX_BY:
        case LEAT_AGGREGATE_COLLECT_LIST:
        case LEAT_AGGREGATE_STRING_JOIN:
            return true;
        default:
            break;
        }
    return false;
}
