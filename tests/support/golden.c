/* tests/support/golden.c -- texts against files, and a diff by lines for people.
 * Equal lines at both ends are set aside; between them the longest common subsequence decides what is shown
 * as - and +. */
#include "tests/support/golden.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_LINES 3
#define CELLS_MAX ((size_t)16 << 20) /* beyond, all lines between are shown */

struct lines {
    const char **at; /* count + 1 entries: line i is at[i] .. at[i + 1] */
    size_t count;
};

struct text {
    char *data;
    size_t len;
};

static void *need(void *p)
{
    if (!p)
        fail_msg("golden: out of memory");
    return p;
}

static void append(struct text *out, const char *data, size_t len)
{
    out->data = need(realloc(out->data, out->len + len + 1));
    memcpy(out->data + out->len, data, len);
    out->len += len;
    out->data[out->len] = '\0';
}

static struct lines split(const char *text)
{
    struct lines lines = { need(malloc(sizeof lines.at[0])), 0 };
    for (const char *p = text; *p;) {
        const char *end = strchr(p, '\n');
        lines.at = need(realloc(lines.at, (lines.count + 2) * sizeof lines.at[0]));
        lines.at[lines.count++] = p;
        p = end ? end + 1 : p + strlen(p);
    }
    lines.at[lines.count] = text + strlen(text);
    return lines;
}

static bool same_line(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
    const size_t len = (size_t)(a->at[i + 1] - a->at[i]);
    return len == (size_t)(b->at[k + 1] - b->at[k]) && memcmp(a->at[i], b->at[k], len) == 0;
}

static void add_line(struct text *out, char mark, const struct lines *lines, size_t i)
{
    const size_t len = (size_t)(lines->at[i + 1] - lines->at[i]);
    append(out, &mark, 1);
    append(out, lines->at[i], len);
    if (len == 0 || lines->at[i][len - 1] != '\n')
        append(out, "\n\\ no newline at the end\n", 25);
}

/* Lines [from, a_to) of a against [from, b_to) of b. length[i][k] is that of the common subsequence of what
 * follows. */
static void add_changes(
    struct text *out, const struct lines *a, const struct lines *b, size_t from, size_t a_to, size_t b_to)
{
    const size_t width = b_to - from + 1, cells = (a_to - from + 1) * width;
    uint32_t *length = cells <= CELLS_MAX ? need(calloc(cells, sizeof *length)) : NULL;
    for (size_t i = a_to; length && i-- > from;)
        for (size_t k = b_to; k-- > from;) {
            const size_t at = (i - from) * width + (k - from);
            const uint32_t down = length[at + width], right = length[at + 1];
            length[at] = same_line(a, i, b, k) ? length[at + width + 1] + 1 : down > right ? down : right;
        }
    size_t i = from, k = from;
    while (i < a_to || k < b_to) {
        const size_t at = (i - from) * width + (k - from);
        if (i < a_to && k < b_to && same_line(a, i, b, k)) {
            add_line(out, ' ', a, i++);
            k++;
        } else if (i < a_to && (k == b_to || !length || length[at + width] >= length[at + 1])) {
            add_line(out, '-', a, i++);
        } else {
            add_line(out, '+', b, k++);
        }
    }
    free(length);
}

char *golden_diff(const char *want, const char *got)
{
    if (strcmp(want, got) == 0)
        return NULL;
    const struct lines a = split(want), b = split(got);
    struct text out = { 0 };
    size_t from = 0, tail = 0;
    while (from < a.count && from < b.count && same_line(&a, from, &b, from))
        from++;
    while (tail < a.count - from && tail < b.count - from &&
        same_line(&a, a.count - tail - 1, &b, b.count - tail - 1))
        tail++;
    char head[64];
    const int len = snprintf(head, sizeof head, "@@ line %zu @@\n", from + 1);
    append(&out, head, (size_t)len);
    for (size_t i = from > CONTEXT_LINES ? from - CONTEXT_LINES : 0; i < from; i++)
        add_line(&out, ' ', &a, i);
    add_changes(&out, &a, &b, from, a.count - tail, b.count - tail);
    for (size_t i = a.count - tail; i < a.count && i < a.count - tail + CONTEXT_LINES; i++)
        add_line(&out, ' ', &a, i);
    free(a.at);
    free(b.at);
    return out.data;
}

/* The file's text, or an empty one where there is none. */
static char *read_file(const char *path)
{
    struct text text = { 0 };
    char block[4096];
    append(&text, "", 0);
    FILE *file = fopen(path, "rb");
    size_t n;
    while (file && (n = fread(block, 1, sizeof block, file)) > 0)
        append(&text, block, n);
    if (file)
        fclose(file);
    return text.data;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        fail_msg("%s: can not be written", path);
    print_message("%s written\n", path);
}

void golden_check(const char *name, const char *text)
{
    char path[256];
    const char *update = getenv("LEAT_UPDATE_GOLDEN");
    (void)snprintf(path, sizeof path, "tests/golden/%s", name);
    char *want = read_file(path);
    char *diff = golden_diff(want, text);
    free(want);
    if (!diff)
        return;
    if (update && strcmp(update, "1") == 0) {
        free(diff);
        write_file(path, text);
        return;
    }
    (void)fflush(stdout);
    (void)fprintf(stderr, "--- %s\n+++ what the program gives\n%s", path, diff); /* print_message cuts */
    free(diff);
    fail_msg("%s differs; if the new text is right, run the test with LEAT_UPDATE_GOLDEN=1", path);
}
