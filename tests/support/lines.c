/* tests/support/lines.c -- see lines.h. Memory is the C library's, so that the engine's counters show only
 * the engine. */
#include "tests/support/lines.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 2048, SHOWN_MAX = 12 };

void lines_add(struct lines *lines, const char *format, ...)
{
    char text[LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 16;
        lines->at = realloc(lines->at, lines->capacity * sizeof *lines->at);
        assert_non_null(lines->at);
    }
    lines->at[lines->count] = strdup(text);
    assert_non_null(lines->at[lines->count]);
    lines->count++;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void lines_sort(struct lines *lines)
{
    if (lines->count > 1)
        qsort(lines->at, lines->count, sizeof *lines->at, compare_lines);
}

void lines_clear(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->at[i]);
    free(lines->at);
    *lines = (struct lines){ 0 };
}

static void show(const char *title, const struct lines *lines, size_t first)
{
    print_error("%s: %zu lines, from line %zu on:\n", title, lines->count, first + 1);
    for (size_t i = first; i < lines->count && i < first + SHOWN_MAX; i++)
        print_error("    %s\n", lines->at[i]);
}

void lines_expect(const char *what, struct lines *expected, struct lines *got)
{
    lines_sort(expected);
    lines_sort(got);
    size_t i = 0;
    while (i < expected->count && i < got->count && strcmp(expected->at[i], got->at[i]) == 0)
        i++;
    if (i == expected->count && i == got->count)
        return;
    show("expected", expected, i);
    show("got", got, i);
    fail_msg("%s: results differ", what);
}
