/* bench/bid_rows.c -- see the header. */
#include "bench/bid_rows.h"
#include <stdio.h>
#include <stdlib.h>

#define REPETITIONS_MAX 201u
#define CANDIDATES_MAX 8u

const char bid_rows_schema[] =
    "{\"type\":\"record\",\"name\":\"bid\",\"fields\":[{\"name\":\"auction\",\"type\":\"long\"},"
    "{\"name\":\"bidder\",\"type\":\"long\"},{\"name\":\"price\",\"type\":\"long\"},"
    "{\"name\":\"channel\",\"type\":\"string\"},{\"name\":\"url\",\"type\":\"string\"},"
    "{\"name\":\"dateTime\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"extra\",\"type\":\"string\"}]}";

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct leat_sv make_text(char *memory, const char *head, uint64_t random, size_t from, size_t to)
{
    size_t len = strlen(head);
    const size_t want = from + random % (to - from + 1);
    memcpy(memory, head, len);
    for (; len < want; len++) {
        random = mix(random);
        memory[len] = (char)('a' + random % 26);
    }
    return (struct leat_sv){ memory, len };
}

void bid_rows_make(struct bid_row *row, char *memory, uint32_t i)
{
    const uint64_t r = mix(i);
    row->auction = (int64_t)(1000 + r % 100000);
    row->bidder = (int64_t)(1000 + (r >> 20) % 50000);
    row->price = (int64_t)(100 + (r >> 40) % 10000000);
    row->channel = make_text(memory, "", r + 1, 6, 12);
    row->url = make_text(memory + 16, "https://www.nexmark.com/", r + 2, 58, 72);
    row->date_time = INT64_C(1700000000000) + i / 10;
    row->extra = make_text(memory + 128, "", r + 3, 54, 84);
}

void bid_rows_check(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

void bid_rows_open(struct bid_rows *b)
{
    struct leat_error err = { 0 };
    memset(b, 0, sizeof *b);
    bid_rows_check(
        leat__schema_parse(bid_rows_schema, strlen(bid_rows_schema), &b->schema, &err) == 0, "schema");
    bid_rows_check(leat__schema_type(b->schema, &b->arena, &b->type, &err) == 0, "type");
    bid_rows_check(b->type->size == sizeof(struct bid_row), "layout");
    bid_rows_check(leat__pool_new(LEAT_BATCH_ROWS_DEFAULT, &b->pool) == 0, "pool");
}

void bid_rows_close(struct bid_rows *b)
{
    leat__pool_free(b->pool);
    leat__arena_release(&b->arena);
    leat__schema_free(b->schema);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void bid_rows_measure(void *arg, const bid_rows_fn *candidates, uint32_t count, uint32_t repetitions,
    uint32_t rows_count, double *ns)
{
    static double taken[CANDIDATES_MAX][REPETITIONS_MAX];
    struct leat_env *env = leat__env_posix();
    bid_rows_check(count <= CANDIDATES_MAX && repetitions <= REPETITIONS_MAX && repetitions > 0, "counts");
    for (uint32_t i = 0; i < repetitions; i++) {
        for (uint32_t c = 0; c < count; c++) {
            const int64_t from = env->mono_ns(env);
            if (candidates[c])
                candidates[c](arg);
            taken[c][i] = candidates[c] ? (double)(env->mono_ns(env) - from) / rows_count : 0;
        }
    }
    for (uint32_t c = 0; c < count; c++) {
        qsort(taken[c], repetitions, sizeof taken[c][0], by_value);
        ns[c] = taken[c][repetitions / 2];
    }
}
