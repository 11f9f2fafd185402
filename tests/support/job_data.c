/* tests/support/job_data.c -- see tests/support/job_data.h. */
#include "tests/support/job_data.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

const struct job_shape job_shapes[] = {
    { "1 thread", { .parallelism = 1 } },
    { "1 thread, 1 row a batch", { .parallelism = 1, .batch_rows = 1 } },
    { "1 thread, 7 rows a batch", { .parallelism = 1, .batch_rows = 7 } },
    { "2 threads", { .parallelism = 2 } },
    { "3 threads, 7 rows a batch, small channels",
        { .parallelism = 3, .batch_rows = 7, .channel_batches = 2 } },
    { "10 threads, 64 rows a batch", { .parallelism = 10, .batch_rows = 64 } },
    { "simulated, 1 worker", { .parallelism = 1, .simulate = true, .seed = 1 } },
    { "simulated, 2 workers, 7 rows, small channels",
        { .parallelism = 2, .batch_rows = 7, .channel_batches = 2, .simulate = true, .seed = 2 } },
    { "simulated, 3 workers, 1 row", { .parallelism = 3, .batch_rows = 1, .simulate = true, .seed = 3 } },
    { "simulated, 10 workers", { .parallelism = 10, .batch_rows = 100, .simulate = true, .seed = 4 } },
};
const size_t job_shapes_count = COUNT_OF(job_shapes);

struct event *job_data_events(const struct job_data_opts *opts)
{
    static const char *const names[] = { "", "a", "some longer name that does not fit anywhere inline",
        "\xc3\xa9" };
    struct event *events = calloc(opts->count, sizeof *events);
    assert_non_null(events);
    for (uint32_t i = 0; i < opts->count; i++) {
        struct event *e = &events[i];
        e->key = (int64_t)leat_random_below(opts->seed, i, 0, opts->keys);
        e->name = leat_sv_of(names[leat_random_below(opts->seed, i, 1, COUNT_OF(names))]);
        e->value = (int64_t)leat_random_below(opts->seed, i, 2, 2000) - 1000;
        e->at = i * opts->step_us;
        if (opts->disorder_us)
            e->at -= (int64_t)leat_random_below(opts->seed, i, 3, (uint64_t)opts->disorder_us + 1);
        if (opts->late_one_in && leat_random_below(opts->seed, i, 4, opts->late_one_in) == 0)
            e->at -= (int64_t)leat_random_below(opts->seed, i, 5, (uint64_t)opts->late_us);
    }
    return events;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *printed(const void *record, const struct leat_type *type)
{
    const size_t len = leat_record_print(record, type, NULL, 0);
    char *text = malloc(len + 1);
    assert_non_null(text);
    (void)leat_record_print(record, type, text, len + 1);
    return text;
}

char **job_data_unsorted_lines(const leat_collector *collector, const struct leat_type *type, size_t *count)
{
    *count = leat_collector_count(collector);
    char **lines = malloc((*count + 1) * sizeof *lines);
    assert_non_null(lines);
    for (size_t i = 0; i < *count; i++)
        lines[i] = printed(leat_collector_record(collector, i), type);
    return lines;
}

char **job_data_lines(const leat_collector *collector, const struct leat_type *type, size_t *count)
{
    char **lines = job_data_unsorted_lines(collector, type, count);
    qsort(lines, *count, sizeof *lines, by_text);
    return lines;
}

void job_data_free(char **lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(lines[i]);
    free(lines);
}

void job_data_compare(const char *what, char **expected, size_t expected_count, char **got, size_t got_count)
{
    for (size_t i = 0; i < expected_count || i < got_count; i++) {
        const char *e = i < expected_count ? expected[i] : "(nothing)";
        const char *g = i < got_count ? got[i] : "(nothing)";
        FAIL_UNLESS(strcmp(e, g) == 0, "%s: line %zu of %zu (got %zu): expected %s, got %s", what, i,
            expected_count, got_count, e, g);
    }
}

void job_data_run(const struct job_shape *shape, leat_topology *t)
{
    struct leat_error err = { 0 };
    const int result = leat_run(t, &shape->opts, &err);
    leat_topology_free(t);
    FAIL_UNLESS(result == 0, "%s: %s", shape->name, err.message);
}

/* Marks the events that are late by rule 1 (allowed lateness 0): the watermark before row i is max - d - 1.
 */
static bool *late_rows(const struct event *events, uint32_t count, int64_t out_of_orderness_us)
{
    bool *late = calloc(count, sizeof *late);
    assert_non_null(late);
    int64_t newest_us = LEAT_TIME_MIN;
    for (uint32_t i = 0; i < count; i++) {
        late[i] = newest_us > LEAT_TIME_MIN && events[i].at <= newest_us - out_of_orderness_us - 1;
        if (events[i].at > newest_us)
            newest_us = events[i].at;
    }
    return late;
}

char **job_data_totals(const struct event *events, uint32_t count, int64_t out_of_orderness_us,
    int64_t size_us, size_t *lines_count)
{
    struct event_total *totals = calloc(count, sizeof *totals);
    char **lines = malloc((count + 1) * sizeof *lines);
    int64_t newest_us = LEAT_TIME_MIN;
    size_t totals_count = 0;
    assert_non_null(totals);
    assert_non_null(lines);
    for (uint32_t i = 0; i < count; i++) {
        const int64_t wm_us =
            newest_us == LEAT_TIME_MIN ? LEAT_TIME_MIN : newest_us - out_of_orderness_us - 1;
        const int64_t rest = ((events[i].at % size_us) + size_us) % size_us;
        const int64_t start_us = events[i].at - rest;
        if (events[i].at > newest_us)
            newest_us = events[i].at;
        if (wm_us > LEAT_TIME_MIN && start_us + size_us - 1 <= wm_us)
            continue; /* its window has been closed */
        size_t k = totals_count; /* the newest windows are at the end */
        while (k > 0 && !(totals[k - 1].key == events[i].key && totals[k - 1].window_start == start_us))
            k--;
        struct event_total *total = k > 0 ? &totals[k - 1] : &totals[totals_count++];
        total->key = events[i].key;
        total->window_start = start_us;
        total->window_end = start_us + size_us;
        total->events++;
        total->has_value = true;
        total->value += events[i].value;
        total->pane = LEAT_PANE_ON_TIME;
    }
    for (size_t i = 0; i < totals_count; i++)
        lines[i] = printed(&totals[i], &event_total_type);
    qsort(lines, totals_count, sizeof *lines, by_text);
    free(totals);
    *lines_count = totals_count;
    return lines;
}

char **job_data_pairs(const struct event *left, uint32_t left_count, const struct event *right,
    uint32_t right_count, int64_t out_of_orderness_us, int64_t within_us, size_t *lines_count)
{
    bool *left_late = late_rows(left, left_count, out_of_orderness_us);
    bool *right_late = late_rows(right, right_count, out_of_orderness_us);
    char **lines = NULL;
    size_t count = 0, capacity = 0;
    for (uint32_t i = 0; i < left_count; i++) {
        for (uint32_t k = 0; k < right_count; k++) {
            const bool near = right[k].at >= left[i].at - within_us && right[k].at <= left[i].at + within_us;
            if (left[i].key != right[k].key || !near || left_late[i] || right_late[k])
                continue;
            const struct event_pair pair = { left[i].key, left[i].value, right[k].value, right[k].name };
            if (count == capacity) {
                capacity = capacity ? capacity * 2 : 1024;
                lines = realloc(lines, capacity * sizeof *lines);
                assert_non_null(lines);
            }
            lines[count++] = printed(&pair, &event_pair_type);
        }
    }
    qsort(lines, count, sizeof *lines, by_text);
    free(left_late);
    free(right_late);
    *lines_count = count;
    return lines;
}
