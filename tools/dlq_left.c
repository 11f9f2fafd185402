/* tools/dlq_left.c -- offsets that a retry has left behind, as text of a committed offset (dlq.h). */
#include "tools/dlq.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WORD "left "
#define COUNT_MAX 1000000 /* of a text, which could claim any */

void leat__dlq_left_release(struct leat_dlq_left *left)
{
    free(left->offsets);
    *left = (struct leat_dlq_left){ 0 };
}

int leat__dlq_left_add(struct leat_dlq_left *left, int64_t offset)
{
    if (left->count == left->capacity) {
        const size_t capacity = left->capacity ? 2 * left->capacity : 64;
        int64_t *offsets = realloc(left->offsets, capacity * sizeof *offsets);
        if (!offsets)
            return LEAT_ENOMEM;
        left->offsets = offsets;
        left->capacity = capacity;
    }
    left->offsets[left->count++] = offset;
    return 0;
}

bool leat__dlq_left_has(const struct leat_dlq_left *left, int64_t offset)
{
    size_t from = 0, to = left->count;
    while (from < to) {
        const size_t at = from + (to - from) / 2;
        if (left->offsets[at] < offset)
            from = at + 1;
        else
            to = at;
    }
    return from < left->count && left->offsets[from] == offset;
}

/* ---- text ---- */

/* A number of at most 18 digits; false where there is none. */
static bool take_number(const char **at, const char *end, int64_t *number)
{
    const char *begin = *at;
    *number = 0;
    while (*at < end && **at >= '0' && **at <= '9' && *at - begin < 18)
        *number = 10 * *number + (*(*at)++ - '0');
    return *at > begin;
}

static int take_run(const char **at, const char *end, int64_t *behind, struct leat_dlq_left *left)
{
    int64_t gap, run = 1;
    if (!take_number(at, end, &gap) || gap > INT64_MAX - COUNT_MAX - *behind)
        return LEAT_EDATA;
    if (*at < end && **at == 'x') {
        (*at)++;
        if (!take_number(at, end, &run) || run == 0)
            return LEAT_EDATA;
    }
    if (run > COUNT_MAX - (int64_t)left->count)
        return LEAT_EDATA;
    *behind += gap;
    for (; run > 0; run--)
        LEAT_TRY(leat__dlq_left_add(left, (*behind)++));
    return 0;
}

int leat__dlq_left_read(const char *text, size_t len, struct leat_dlq_left *left)
{
    const size_t word = sizeof WORD - 1;
    const char *at = text + word, *end = text + len;
    int64_t behind = 0;
    if (len == 0)
        return 0;
    if (len <= word || memcmp(text, WORD, word) != 0)
        return LEAT_EDATA;
    for (;;) {
        LEAT_TRY(take_run(&at, end, &behind, left));
        if (at == end)
            return 0;
        if (*at++ != ',')
            return LEAT_EDATA;
    }
}

struct writing {
    struct leat_strbuf *out;
    int64_t behind; /* the run that was written last */
    int64_t from, run; /* the one that is open */
    bool any;
};

static void end_run(struct writing *w)
{
    if (w->run == 0)
        return;
    leat__strbuf_printf(w->out, "%s%" PRId64, w->any ? "," : WORD, w->from - w->behind);
    if (w->run > 1)
        leat__strbuf_printf(w->out, "x%" PRId64, w->run);
    w->behind = w->from + w->run;
    w->run = 0;
    w->any = true;
}

static void write_one(struct writing *w, int64_t offset)
{
    if (w->run > 0 && offset == w->from + w->run) {
        w->run++;
        return;
    }
    end_run(w);
    w->from = offset;
    w->run = 1;
}

int leat__dlq_left_write(
    const struct leat_dlq_left *a, const struct leat_dlq_left *b, int64_t from, struct leat_strbuf *out)
{
    struct writing w = { .out = out };
    const size_t before = out->len;
    for (size_t i = 0; i < a->count; i++)
        write_one(&w, a->offsets[i]);
    for (size_t i = 0; i < b->count; i++)
        if (b->offsets[i] >= from)
            write_one(&w, b->offsets[i]);
    end_run(&w);
    if (out->failed)
        return LEAT_ENOMEM;
    return out->len - before > LEAT_DLQ_LEFT_BYTES_MAX ? LEAT_ELIMIT : 0;
}
