/* tests/support/fact_model.c -- see fact_model.h. Arithmetic is in 128 bits and then cut to the ends of time,
 * so that nothing here can overflow. Windows are a plain array that is searched from one end to the other. */
#include "tests/support/fact_model.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef __int128 wide;

/* Below the first instant: minus infinity, before a split has spoken. */
#define NO_WATERMARK ((wide)INT64_MIN - 1)

static int64_t cut(wide time)
{
    if (time < INT64_MIN)
        return INT64_MIN;
    return time > INT64_MAX ? INT64_MAX : (int64_t)time;
}

void fact_model_bounds(int64_t at, int64_t size_us, int64_t offset_us, int64_t *start, int64_t *end)
{
    wide into = ((wide)at - offset_us) % size_us;
    if (into < 0)
        into += size_us;
    *start = cut(at - into);
    *end = cut(at - into + size_us);
}

/* One window of one key. */
struct window {
    struct fact key; /* has_key and key */
    int64_t start, end;
    int64_t rows, values, sum; /* since it began */
    int64_t new_rows, new_values, new_sum; /* since the last firing */
    int32_t panes;
    bool on_time;
};

struct windows {
    const struct fact_window_opts *opts;
    uint64_t count_trigger; /* 0: none */
    struct window *at;
    size_t count, capacity;
    struct lines *panes; /* NULL: nothing fires */
};

static struct window *find_window(struct windows *windows, const struct fact *fact)
{
    int64_t start, end;
    fact_model_bounds(fact->at, windows->opts->window.size_us, windows->opts->window.offset_us, &start, &end);
    for (size_t i = 0; i < windows->count; i++) {
        struct window *window = &windows->at[i];
        if (window->start == start && window->key.has_key == fact->has_key &&
            (!fact->has_key || window->key.key == fact->key))
            return window;
    }
    if (windows->count == windows->capacity) {
        windows->capacity = windows->capacity ? windows->capacity * 2 : 64;
        windows->at = realloc(windows->at, windows->capacity * sizeof *windows->at);
        assert_non_null(windows->at);
    }
    windows->at[windows->count] = (struct window){ .key = *fact, .start = start, .end = end };
    return &windows->at[windows->count++];
}

static void fire(struct windows *windows, struct window *window, enum leat_pane pane)
{
    const bool discarding = windows->opts->window.accumulation == LEAT_DISCARDING;
    const int64_t values = discarding ? window->new_values : window->values;
    if (discarding && window->new_rows == 0)
        return;
    const struct fact_total total = {
        .has_key = window->key.has_key,
        .key = window->key.key,
        .window_start = window->start,
        .window_end = window->end,
        .rows = discarding ? window->new_rows : window->rows,
        .has_sum = values > 0,
        .sum = discarding ? window->new_sum : window->sum,
        .pane = pane,
        .pane_index = window->panes++,
    };
    char text[256];
    scenario_print_total(&total, window->end - 1, text, sizeof text);
    lines_add(windows->panes, "%s", text);
    window->new_rows = window->new_values = window->new_sum = 0;
}

/* Rule 18: fires when w >= end - 1. */
static void pass(struct windows *windows, wide w)
{
    for (size_t i = 0; windows->panes && i < windows->count; i++)
        if (windows->at[i].rows > 0 && !windows->at[i].on_time && w >= (wide)windows->at[i].end - 1) {
            windows->at[i].on_time = true;
            fire(windows, &windows->at[i], LEAT_PANE_ON_TIME);
        }
}

static void take_row(struct windows *windows, struct window *window, const struct fact *fact, wide w)
{
    window->rows++;
    window->new_rows++;
    if (fact->has_value) {
        window->values++;
        window->new_values++;
        window->sum += fact->value;
        window->new_sum += fact->value;
    }
    if (!windows->panes)
        return;
    if (w >= (wide)window->end - 1) {
        window->on_time = true; /* its time has passed: no pane on time any more */
        fire(windows, window, LEAT_PANE_LATE);
    } else if (windows->count_trigger > 0 && (uint64_t)window->new_rows == windows->count_trigger) {
        fire(windows, window, LEAT_PANE_EARLY);
    }
}

/* Rule 18: dropped when w >= end - 1 + allowed lateness, the sum cut to the end of time. */
static bool is_dropped(const struct windows *windows, const struct window *window, wide w)
{
    return w >= cut((wide)window->end - 1 + windows->opts->window.allowed_lateness_us);
}

static void print_late(struct lines *late, const char *word, const struct fact *fact)
{
    char text[256];
    scenario_print_fact(fact, fact->at, text, sizeof text);
    lines_add(late, "%s%s", word, text);
}

static void model_split(
    struct windows *windows, const struct fact *rows, uint32_t count, fact_keep keep, struct lines *late)
{
    wide w = NO_WATERMARK;
    for (uint32_t i = 0; i < count; i++) {
        if (!rows[i].has_at)
            continue;
        pass(windows, w);
        if (!keep || keep(&rows[i])) {
            struct window *window = find_window(windows, &rows[i]);
            if (is_dropped(windows, window, w))
                print_late(late, "late ", &rows[i]);
            else
                take_row(windows, window, &rows[i], w);
        }
        const wide spoken = cut((wide)rows[i].at - windows->opts->out_of_orderness_us - 1);
        w = spoken > w ? spoken : w;
    }
    pass(windows, INT64_MAX);
}

static uint64_t count_trigger(const struct leat_window_opts *opts)
{
    for (size_t i = 0; i < COUNT_OF(opts->triggers) && opts->triggers[i].kind; i++)
        if (opts->triggers[i].kind == LEAT_TRIGGER_COUNT)
            return opts->triggers[i].n;
    return 0;
}

void fact_model_panes(const struct fact_window_opts *opts, const struct fact_input *input, fact_keep keep,
    struct lines *panes, struct lines *late)
{
    struct windows windows = { .opts = opts, .panes = panes, .count_trigger = count_trigger(&opts->window) };
    model_split(&windows, input->rows, input->count, keep, late);
    free(windows.at);
}

static void print_window(struct lines *lines, const struct fact *key, int64_t start, int64_t end,
    int64_t rows, bool has_sum, int64_t sum)
{
    char name[32] = "-", amount[32] = "-";
    if (key->has_key)
        snprintf(name, sizeof name, "%" PRIi64, key->key);
    if (has_sum)
        snprintf(amount, sizeof amount, "%" PRIi64, sum);
    lines_add(lines, "%s[%" PRIi64 "..%" PRIi64 ")%" PRIi64 "=%s", name, start, end, rows, amount);
}

void fact_model_windows(const struct fact_window_opts *opts, const struct fact_input *input, fact_keep keep,
    struct lines *lines, struct lines *late)
{
    struct windows windows = { .opts = opts };
    const uint32_t run = input->count / input->splits;
    for (uint32_t split = 0; split < input->splits; split++)
        model_split(&windows, input->rows + split * run, run, keep, late);
    for (size_t i = 0; i < windows.count; i++) {
        const struct window *window = &windows.at[i];
        if (window->rows > 0) /* else all that came was late */
            print_window(lines, &window->key, window->start, window->end, window->rows, window->values > 0,
                window->sum);
    }
    free(windows.at);
}

static int compare_totals(const void *a, const void *b)
{
    const struct fact_total *x = *(const struct fact_total *const *)a,
                            *y = *(const struct fact_total *const *)b;
    if (x->window_start != y->window_start)
        return x->window_start < y->window_start ? -1 : 1;
    if (x->has_key != y->has_key)
        return x->has_key ? 1 : -1;
    if (x->has_key && x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->pane_index < y->pane_index ? -1 : x->pane_index > y->pane_index;
}

static bool same_window(const struct fact_total *a, const struct fact_total *b)
{
    return a->window_start == b->window_start && a->has_key == b->has_key &&
        (!a->has_key || a->key == b->key);
}

void fact_model_collapse(const char *what, enum leat_accumulation accumulation,
    const struct fact_total *const *totals, size_t count, struct lines *windows)
{
    const struct fact_total **sorted = malloc((count ? count : 1) * sizeof *sorted);
    assert_non_null(sorted);
    for (size_t i = 0; i < count; i++)
        sorted[i] = totals[i];
    qsort(sorted, count, sizeof *sorted, compare_totals);
    for (size_t i = 0, next; i < count; i = next) {
        struct fact_total all = { 0 };
        int on_time = 0;
        for (next = i; next < count && same_window(sorted[i], sorted[next]); next++) {
            const struct fact_total *pane = sorted[next];
            FAIL_UNLESS(pane->pane_index == (int32_t)(next - i),
                "%s: window at %" PRIi64 ", key %" PRIi64 ": pane %d is numbered %d", what,
                pane->window_start, pane->key, (int)(next - i), pane->pane_index);
            on_time += pane->pane == LEAT_PANE_ON_TIME;
            const struct fact_total before = accumulation == LEAT_DISCARDING ? all : (struct fact_total){ 0 };
            all.rows = before.rows + pane->rows;
            all.has_sum = before.has_sum || pane->has_sum;
            all.sum = before.sum + (pane->has_sum ? pane->sum : 0);
        }
        FAIL_UNLESS(on_time <= 1, "%s: window at %" PRIi64 ", key %" PRIi64 ": on time %d times", what,
            sorted[i]->window_start, sorted[i]->key, on_time);
        print_window(windows, &(struct fact){ .has_key = sorted[i]->has_key, .key = sorted[i]->key },
            sorted[i]->window_start, sorted[i]->window_end, all.rows, all.has_sum, all.sum);
    }
    free(sorted);
}

/* The rows of a side that may join; late ones become lines. */
static size_t model_side(const struct fact_join_opts *opts, const struct fact_input *input, const char *word,
    const struct fact **kept, struct lines *late)
{
    size_t count = 0;
    const uint32_t run = input->count / input->splits;
    wide w = NO_WATERMARK;
    for (uint32_t i = 0; i < input->count; i++) {
        const struct fact *fact = &input->rows[i];
        if (i % run == 0)
            w = NO_WATERMARK;
        if (!fact->has_at)
            continue;
        if (fact->has_key && w >= cut((wide)fact->at + opts->allowed_lateness_us))
            print_late(late, word, fact);
        else if (fact->has_key)
            kept[count++] = fact;
        const wide spoken = cut((wide)fact->at - opts->out_of_orderness_us - 1);
        w = spoken > w ? spoken : w;
    }
    return count;
}

struct fact_match *fact_model_pairs(const struct fact_join_opts *opts, const struct fact_input *left,
    const struct fact_input *right, size_t *count, struct lines *late)
{
    const struct fact **lefts = malloc((left->count + 1) * sizeof *lefts);
    const struct fact **rights = malloc((right->count + 1) * sizeof *rights);
    assert_non_null(lefts);
    assert_non_null(rights);
    const size_t lefts_count = model_side(opts, left, "lateL ", lefts, late);
    const size_t rights_count = model_side(opts, right, "lateR ", rights, late);
    const wide before = opts->within_us ? opts->within_us : opts->before_us;
    const wide after = opts->within_us ? opts->within_us : opts->after_us;
    struct fact_match *pairs = malloc((lefts_count * rights_count + 1) * sizeof *pairs);
    assert_non_null(pairs);
    *count = 0;
    for (size_t l = 0; l < lefts_count; l++)
        for (size_t r = 0; r < rights_count; r++) {
            const struct fact *a = lefts[l], *b = rights[r];
            if (a->key == b->key && a->at - before <= b->at && b->at <= a->at + after)
                pairs[(*count)++] = (struct fact_match){ a, b, a->at > b->at ? a->at : b->at };
        }
    free(lefts);
    free(rights);
    return pairs;
}
