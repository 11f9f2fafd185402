/* bench/nexmark/fold.c -- a row's identity is its text before the member "op", which the file sink writes last. */
#include "bench/nexmark/fold.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    char *text;
    size_t len;
    int64_t times;
};

struct rows {
    struct row *rows; /* in order of arrival */
    size_t count, capacity;
    uint64_t *slots; /* number of a row and 1, by hash */
    size_t slots_count; /* a power of two, at least twice `count` */
};

static uint64_t hash(const char *text, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

static uint64_t *find(const struct rows *r, const char *text, size_t len)
{
    size_t at = hash(text, len) & (r->slots_count - 1);
    while (r->slots[at]) {
        const struct row *row = &r->rows[r->slots[at] - 1];
        if (row->len == len && memcmp(row->text, text, len) == 0)
            break;
        at = (at + 1) & (r->slots_count - 1);
    }
    return &r->slots[at];
}

static bool grow(struct rows *r)
{
    const size_t capacity = r->capacity ? 2 * r->capacity : 1024;
    struct row *rows = realloc(r->rows, capacity * sizeof *rows);
    if (!rows)
        return false;
    r->rows = rows;
    r->capacity = capacity;
    free(r->slots);
    r->slots_count = 2 * capacity;
    r->slots = calloc(r->slots_count, sizeof *r->slots);
    if (!r->slots)
        return false;
    for (size_t i = 0; i < r->count; i++)
        *find(r, rows[i].text, rows[i].len) = i + 1;
    return true;
}

static bool add(struct rows *r, const char *text, size_t len, int times)
{
    if (r->count == r->capacity && !grow(r))
        return false;
    uint64_t *slot = find(r, text, len);
    if (*slot) {
        r->rows[*slot - 1].times += times;
        return true;
    }
    char *copy = malloc(len + 1);
    if (!copy)
        return false;
    memcpy(copy, text, len);
    r->rows[r->count] = (struct row){ copy, len, times };
    *slot = ++r->count;
    return true;
}

/* Divides a line into the row and what it does: 1 given, -1 taken back, 0 no change. */
static int divide(char *line, size_t *len)
{
    static const struct {
        const char *end;
        int times;
    } ends[] = { { ",\"op\":\"insert\"}", 1 }, { ",\"op\":\"update_after\"}", 1 },
        { ",\"op\":\"update_before\"}", -1 }, { ",\"op\":\"delete\"}", -1 } };
    for (int i = 0; i < 4; i++) {
        const size_t end_len = strlen(ends[i].end);
        if (*len > end_len && memcmp(line + *len - end_len, ends[i].end, end_len) == 0) {
            *len -= end_len;
            line[(*len)++] = '}';
            return ends[i].times;
        }
    }
    return 0;
}

static int read_rows(FILE *file, const char *path, struct rows *r)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t got;
    int code = 0;
    while (code == 0 && (got = getline(&line, &capacity, file)) > 0) {
        size_t len = (size_t)got - (line[got - 1] == '\n');
        const int times = divide(line, &len);
        if (times == 0) {
            (void)fprintf(stderr, "nexmark: %s: a line does not end in \"op\": %.*s\n", path, (int)len, line);
            code = 1;
        } else if (!add(r, line, len, times)) {
            (void)fprintf(stderr, "nexmark: %s: out of memory\n", path);
            code = 1;
        }
    }
    free(line);
    return code;
}

static int write_rows(const char *path, const struct rows *r)
{
    char fresh[4096];
    (void)snprintf(fresh, sizeof fresh, "%s.folded", path);
    FILE *file = fopen(fresh, "w");
    bool good = file != NULL;
    for (size_t i = 0; good && i < r->count; i++) {
        if (r->rows[i].times < 0) {
            (void)fprintf(stderr, "nexmark: %s: taken back more often than given: %.*s\n", path,
                (int)r->rows[i].len, r->rows[i].text);
            (void)fclose(file);
            return 1;
        }
        for (int64_t n = 0; n < r->rows[i].times; n++)
            good = good && fwrite(r->rows[i].text, 1, r->rows[i].len, file) == r->rows[i].len &&
                putc('\n', file) != EOF;
    }
    if (file && fclose(file) != 0)
        good = false;
    good = good && rename(fresh, path) == 0;
    if (!good)
        perror(path);
    return good ? 0 : 1;
}

int nexmark_fold(const char *path)
{
    struct rows r = { 0 };
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return 1;
    }
    int code = read_rows(file, path, &r);
    (void)fclose(file);
    if (code == 0)
        code = write_rows(path, &r);
    for (size_t i = 0; i < r.count; i++)
        free(r.rows[i].text);
    free(r.rows);
    free(r.slots);
    return code;
}
