/* tests/differential/compare.c -- what the engine gave beside what the oracle says, as bags of lines.
 *
 * A line is all of a record but approximate columns, which are compared beside it with a tolerance. Where only the
 * end counts, the panes of a window and key become one line before: the last pane, or what all of them add up to. */
#include "tests/differential/run.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 6, APPROXIMATE = 2 };

struct text {
    char *data;
    size_t len, capacity;
};

static LEAT_PRINTF(2, 3) void append(struct text *text, const char *format, ...)
{
    va_list args;
    for (;;) {
        va_start(args, format);
        const size_t left = text->capacity - text->len;
        const int len = vsnprintf(text->data ? text->data + text->len : NULL, left, format, args);
        va_end(args);
        if (len < 0)
            abort();
        if ((size_t)len < left) {
            text->len += (size_t)len;
            return;
        }
        text->capacity = 2 * text->capacity + (size_t)len + 1;
        text->data = realloc(text->data, text->capacity);
        if (!text->data)
            abort();
    }
}

/* ---- records as lines ---- */

static void append_value(struct text *text, const struct leat_type *type, const void *at)
{
    if (type->kind == LEAT_KIND_LONG) {
        append(text, "%lld", (long long)*(const int64_t *)at);
    } else if (type->kind == LEAT_KIND_INT) {
        append(text, "%d", *(const int32_t *)at);
    } else if (type->kind == LEAT_KIND_BOOLEAN) {
        append(text, "%s", *(const bool *)at ? "true" : "false");
    } else if (type->kind == LEAT_KIND_DOUBLE) {
        const double value = *(const double *)at;
        /* Nine digits of something near, so that no short fraction stands between two roundings. */
        append(text, "%.9g", fabs(value) < 1e-9 ? 0.0 : value * 1.000000031415927);
    } else if (type->kind == LEAT_KIND_STRING) {
        const struct leat_sv *sv = at;
        append(text, "'");
        for (size_t i = 0; i < sv->len; i++)
            append(
                text, sv->data[i] >= ' ' && sv->data[i] < 127 ? "%c" : "\\%03o", (unsigned char)sv->data[i]);
        append(text, "'");
    } else if (type->kind == LEAT_KIND_ARRAY) {
        const struct leat_array *array = at;
        append(text, "[");
        for (size_t i = 0; i < array->count; i++) {
            append(text, i ? "," : "");
            append_value(text, type->item, (const char *)array->items + i * type->item->size);
        }
        append(text, "]");
    }
}

static bool is_null(const void *record, const struct leat_field *field)
{
    if (field->has_offset != LEAT_NOT_NULLABLE && !*((const bool *)record + field->has_offset))
        return true;
    return field->type->kind == LEAT_KIND_ARRAY &&
        ((const struct leat_array *)(const void *)((const char *)record + field->offset))->count == 0;
}

struct line {
    char *text;
    double approximate[APPROXIMATE]; /* NaN: null */
    size_t from; /* which row */
};

static struct line line_of(
    const struct oracle_row *row, const struct leat_type *type, enum oracle_level level)
{
    const bool final = level == ORACLE_FINAL;
    struct text text = { 0 };
    struct line line = { .approximate = { NAN, NAN } };
    for (uint32_t f = 0; f < type->fields_count; f++) {
        const struct leat_field *field = &type->fields[f];
        const void *at = (const char *)row->record + field->offset;
        if (is_null(row->record, field))
            continue;
        if (strcmp(field->name, "x0") == 0 || strcmp(field->name, "y0") == 0) {
            line.approximate[field->name[0] - 'x'] =
                field->name[0] == 'x' ? (double)*(const int64_t *)at : *(const double *)at;
            continue;
        }
        if (final && (strncmp(field->name, "pane", 4) == 0 || strcmp(field->name, "change") == 0))
            continue;
        append(&text, "%s=", field->name);
        append_value(&text, field->type, at);
        append(&text, " ");
    }
    append(&text, "@%lld", (long long)row->event_us);
    line.text = text.data;
    return line;
}

/* ---- the end of a window ---- */

static int compare_long(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

/* By key, window, pane; a retraction stands before what replaces it. */
static int compare_panes(const void *a, const void *b, bool with_pane)
{
    const struct diff_out *x = ((const struct oracle_row *)a)->record,
                          *y = ((const struct oracle_row *)b)->record;
    int order = compare_long(x->has_k1, y->has_k1);
    order = order ? order : x->has_k1 ? compare_long(x->k1, y->k1) : 0;
    order = order ? order : compare_long(x->has_k2, y->has_k2);
    order = order ? order : x->has_k2 ? leat_sv_cmp(x->k2, y->k2) : 0;
    order = order ? order : compare_long(x->window_start, y->window_start);
    order = order ? order : compare_long(x->window_end, y->window_end);
    if (!with_pane)
        return order;
    order = order ? order : compare_long(x->pane_index, y->pane_index);
    return order ? order : compare_long(y->has_change ? y->change : 0, x->has_change ? x->change : 0);
}

static int compare_all(const void *a, const void *b)
{
    return compare_panes(a, b, true);
}

/* A pane on top of those before: columns that can be added up are, others are left out of the comparison. */
static void add_up(struct diff_out *all, const struct diff_out *pane, const struct plan_node *node)
{
    for (size_t a = 0; a < PLAN_AGGS_MAX && node->aggs[a].kind; a++) {
        const struct leat_field *field = column_of(node, a);
        const int64_t kind = node->aggs[a].kind;
        if (!field)
            continue;
        bool *has = (bool *)all + field->has_offset;
        const bool adds = kind == LEAT_AGGREGATE_COUNT || kind == LEAT_AGGREGATE_SUM;
        if (adds && field->type->kind == LEAT_KIND_LONG && *((const bool *)pane + field->has_offset)) {
            *(int64_t *)(void *)((char *)all + field->offset) +=
                *(const int64_t *)(const void *)((const char *)pane + field->offset);
            *has = true;
        } else if (!adds || field->type->kind != LEAT_KIND_LONG) {
            *has = false;
        }
    }
}

static struct diff_out collapse(const struct oracle_row *rows, size_t count, const struct plan_node *node)
{
    struct diff_out all = *(const struct diff_out *)rows[count - 1].record;
    if (node->accumulation != LEAT_DISCARDING)
        return all;
    for (size_t a = 0; a < PLAN_AGGS_MAX && node->aggs[a].kind; a++) {
        const struct leat_field *field = column_of(node, a);
        if (field) {
            memset((char *)&all + field->offset, 0, field->type->size);
            *((bool *)&all + field->has_offset) = false;
        }
    }
    for (size_t i = 0; i < count; i++)
        add_up(&all, rows[i].record, node);
    return all;
}

/* ---- bags ---- */

struct bag {
    struct line *lines;
    size_t count;
};

/* Null first. */
static int compare_numbers(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return a < b ? -1 : a > b;
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    for (int i = 0; order == 0 && i < APPROXIMATE; i++)
        order = compare_numbers(x->approximate[i], y->approximate[i]);
    return order;
}

static bool takes_back(const struct oracle_row *row, bool results)
{
    const int32_t change = results ? ((const struct diff_out *)row->record)->change
                                   : ((const struct diff_row *)row->record)->change;
    return change == LEAT_UPDATE_BEFORE || change == LEAT_DELETE;
}

/* Lines of the window's or the key's last result. */
static void add_ends(struct bag *bag, const struct oracle_sink *sink, struct oracle_row *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) /* early panes of sessions are of bounds that were not the last ones */
        if (sink->node->window != LEAT_WINDOW_SESSION ||
            ((const struct diff_out *)rows[i].record)->pane != LEAT_PANE_EARLY)
            rows[kept++] = rows[i];
    count = kept;
    qsort(rows, count, sizeof *rows, compare_all);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && compare_panes(&rows[i], &rows[next], false) == 0;)
            next++;
        const struct diff_out all = collapse(&rows[i], next - i, sink->node);
        bag->lines[bag->count++] =
            line_of(&(struct oracle_row){ .record = &all, .event_us = rows[i].event_us }, &diff_out_type,
                sink->level);
    }
}

/* Of changes: what is left of each line when those that take it back are gone. One taken back too often stays. */
static void keep_net(struct bag *bag, const int *signs)
{
    size_t kept = 0;
    for (size_t i = 0, next; i < bag->count; i = next) {
        int net = signs[bag->lines[i].from];
        for (next = i + 1; next < bag->count && compare_lines(&bag->lines[i], &bag->lines[next]) == 0; next++)
            net += signs[bag->lines[next].from];
        for (size_t k = i; k < next; k++) {
            if (net-- > 0)
                bag->lines[kept++] = bag->lines[k];
            else if (net < -1 && k == i)
                bag->lines[kept++] = bag->lines[k];
            else
                free(bag->lines[k].text);
        }
    }
    bag->count = kept;
}

static struct bag bag_of(const struct oracle_sink *sink, const struct oracle_row *rows, size_t count)
{
    struct bag bag = { .lines = calloc(count + 1, sizeof *bag.lines) };
    const struct leat_type *type = sink->results ? &diff_out_type : &diff_row_type;
    const bool final = sink->level == ORACLE_FINAL && (sink->node || sink->changes);
    struct oracle_row *copy = malloc((count + 1) * sizeof *copy);
    int *signs = malloc((count + 1) * sizeof *signs);
    if (!bag.lines || !copy || !signs)
        abort();
    if (count > 0)
        memcpy(copy, rows, count * sizeof *copy);
    if (final && !sink->changes) {
        add_ends(&bag, sink, copy, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            if (final || sink->timeless)
                copy[i].event_us = 0;
            signs[i] = takes_back(&copy[i], sink->results) ? -1 : 1;
            bag.lines[i] = line_of(&copy[i], type, sink->level);
            bag.lines[i].from = i;
        }
        bag.count = count;
    }
    qsort(bag.lines, bag.count, sizeof *bag.lines, compare_lines);
    if (final && sink->changes)
        keep_net(&bag, signs);
    free(copy);
    free(signs);
    return bag;
}

static void bag_clear(struct bag *bag)
{
    for (size_t i = 0; i < bag->count; i++)
        free(bag->lines[i].text);
    free(bag->lines);
}

static bool is_near(const struct line *expected, const struct line *got)
{
    const double x = expected->approximate[0], gx = got->approximate[0];
    const double y = expected->approximate[1], gy = got->approximate[1];
    if (isnan(x) != isnan(gx) || isnan(y) != isnan(gy))
        return false;
    if (!isnan(x) && fabs(x - gx) > 1 + 0.05 * x)
        return false;
    return isnan(y) || fabs(y - gy) <= 0.0101 * fabs(y) + 1e-9;
}

/* ---- differences ---- */

static void differ(const char *name, const struct bag *expected, const struct bag *got, struct text *text)
{
    size_t e = 0, g = 0, shown = 0;
    while (e < expected->count || g < got->count) {
        const int order = e == expected->count ? 1
            : g == got->count                  ? -1
                                               : strcmp(expected->lines[e].text, got->lines[g].text);
        if (order == 0 && is_near(&expected->lines[e], &got->lines[g])) {
            e++;
            g++;
            continue;
        }
        if (shown++ < SHOWN) {
            if (order <= 0)
                append(text, "  %s: expected %s x0=%g y0=%g\n", name, expected->lines[e].text,
                    expected->lines[e].approximate[0], expected->lines[e].approximate[1]);
            if (order >= 0)
                append(text, "  %s: got      %s x0=%g y0=%g\n", name, got->lines[g].text,
                    got->lines[g].approximate[0], got->lines[g].approximate[1]);
        }
        e += order <= 0;
        g += order >= 0;
    }
    if (shown > SHOWN)
        append(text, "  %s: and %zu more\n", name, shown - SHOWN);
}

/* Panes of a window and key are numbered 0, 1, 2 ..., at most one is on time, and none is early behind it. */
static void check_numbers(const struct oracle_sink *sink, const struct run_sink *got, struct text *text)
{
    const struct plan_node *node = sink->node;
    if (!node || node->kind != PLAN_AGGREGATE || node->window == LEAT_WINDOW_SESSION ||
        node->window == LEAT_WINDOW_COUNT || node->accumulation == LEAT_RETRACTING)
        return;
    if (got->count > 0)
        qsort(got->rows, got->count, sizeof *got->rows, compare_all);
    int32_t index = 0, stage = LEAT_PANE_EARLY;
    for (size_t i = 0; i < got->count; i++) {
        const struct diff_out *pane = got->rows[i].record;
        if (i > 0 && compare_panes(&got->rows[i - 1], &got->rows[i], false) == 0) {
            index++;
        } else {
            index = 0;
            stage = LEAT_PANE_EARLY;
        }
        if (pane->pane_index != index)
            append(text, "  %s: pane %d of [%lld, %lld) is numbered %d\n", sink->name, index,
                (long long)pane->window_start, (long long)pane->window_end, pane->pane_index);
        if (pane->pane < stage ||
            (pane->pane == LEAT_PANE_ON_TIME && index > 0 && stage == LEAT_PANE_ON_TIME))
            append(text, "  %s: pane %d of [%lld, %lld) is of kind %d behind one of kind %d\n", sink->name,
                index, (long long)pane->window_start, (long long)pane->window_end, pane->pane, stage);
        stage = pane->pane;
    }
}

/* Rows as lines without times, sorted; `from` is where each stood. */
static struct bag lines_of(const struct oracle_sink *sink, const struct oracle_row *rows, size_t count)
{
    struct bag bag = { .lines = calloc(count + 1, sizeof *bag.lines), .count = count };
    if (!bag.lines)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct oracle_row row = rows[i];
        row.event_us = 0;
        bag.lines[i] = line_of(&row, sink->results ? &diff_out_type : &diff_row_type, ORACLE_FINAL);
        bag.lines[i].from = i;
    }
    qsort(bag.lines, count, sizeof *bag.lines, compare_lines);
    return bag;
}

/* What is taken back is there: rows of a key come in their order, and equal lines are of one key. */
static void check_changes(const struct oracle_sink *sink, const struct run_sink *got, struct text *text)
{
    if (!sink->changes)
        return;
    struct bag bag = lines_of(sink, got->rows, got->count);
    size_t *line_at = calloc(got->count + 1, sizeof *line_at);
    int64_t *there = calloc(got->count + 1, sizeof *there);
    if (!line_at || !there)
        abort();
    for (size_t i = 0, same = 0; i < bag.count; i++) {
        same = i > 0 && compare_lines(&bag.lines[i - 1], &bag.lines[i]) == 0 ? same : i;
        line_at[bag.lines[i].from] = same;
    }
    for (size_t i = 0; i < got->count; i++) {
        there[line_at[i]] += takes_back(&got->rows[i], sink->results) ? -1 : 1;
        if (there[line_at[i]] == -1)
            append(text, "  %s: taken back and not there: %s\n", sink->name, bag.lines[line_at[i]].text);
    }
    bag_clear(&bag);
    free(line_at);
    free(there);
}

/* What a step's changes come to, line by line; approximate columns may stand apart. */
static void compare_steps(const struct oracle_sink *sink, const struct run_sink *got, struct text *text)
{
    const size_t count = sink->count + got->count;
    struct oracle_row *all = calloc(count + 1, sizeof *all);
    if (!all)
        abort();
    if (sink->count > 0)
        memcpy(all, sink->rows, sink->count * sizeof *all);
    if (got->count > 0)
        memcpy(all + sink->count, got->rows, got->count * sizeof *all);
    struct bag bag = lines_of(sink, all, count);
    for (size_t i = 0, next, shown = 0; i < count && shown < SHOWN; i = next) {
        for (next = i + 1; next < count && strcmp(bag.lines[i].text, bag.lines[next].text) == 0;)
            next++;
        for (size_t k = i; k < next && shown < SHOWN; k++) {
            const size_t step = all[bag.lines[k].from].step;
            int64_t net = 0;
            for (size_t m = i; m < next; m++) {
                const struct oracle_row *row = &all[bag.lines[m].from];
                const int64_t sign = takes_back(row, sink->results) ? -1 : 1;
                net += row->step == step ? (bag.lines[m].from < sink->count ? -sign : sign) : 0;
            }
            if (net != 0 && ++shown)
                append(text, "  %s: at step %zu %+lld of %s\n", sink->name, step, (long long)net,
                    bag.lines[i].text);
        }
    }
    bag_clear(&bag);
    free(all);
}

static const struct run_sink *find_sink(const struct run_outcome *outcome, const char *name)
{
    for (size_t i = 0; i < outcome->sinks_count; i++)
        if (strcmp(outcome->sinks[i].name, name) == 0)
            return &outcome->sinks[i];
    return NULL;
}

static void compare_sink(const struct oracle_sink *sink, const struct run_outcome *outcome, struct text *text)
{
    const struct run_sink *got = find_sink(outcome, sink->name);
    if (!got) {
        append(text, "  no sink %s\n", sink->name);
        return;
    }
    check_numbers(sink, got, text);
    if (outcome->restores == 0) /* else rows of several runs stand one behind the other by subtask */
        check_changes(sink, got, text);
    if (sink->level == ORACLE_NOTHING)
        return;
    struct bag expected = bag_of(sink, sink->rows, sink->count), found = bag_of(sink, got->rows, got->count);
    differ(sink->name, &expected, &found, text);
    bag_clear(&expected);
    bag_clear(&found);
    if (sink->stepwise)
        compare_steps(sink, got, text);
    if (got->has_late_count && got->late_count != sink->count)
        append(text, "  %s: %llu counted as late, not %zu\n", sink->name, (unsigned long long)got->late_count,
            sink->count);
}

char *compare_outcome(
    const struct plan *plan, const struct oracle_answer *answer, const struct run_outcome *outcome)
{
    struct text text = { 0 };
    (void)plan;
    if (outcome->result == RUN_FAILED)
        append(&text, "  the engine has failed: %s\n", outcome->text);
    for (size_t i = 0; outcome->result == RUN_DONE && i < answer->count; i++)
        compare_sink(&answer->sinks[i], outcome, &text);
    return text.data;
}
