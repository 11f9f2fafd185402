/* bench/bench_expr.c -- what an expression costs a row, beside the loop that one would write by hand for it.
 *
 *   bench_expr [seconds per line, default 0.4]
 *
 * Bids of 80 bytes in batches of 1,024 rows, four batches in turn (they fit the second-level cache, as rows
 * do that were decoded a moment ago). "expression" is leat__expr_filter or leat__expr_eval over a batch;
 * "hand" is a loop that the compiler sees whole, writing the same bytes: for texts memmem and a PCRE2 pattern
 * compiled to machine code. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/env.h"
#include "record/expr.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 1024u
#define BATCHES 4u

struct bid {
    int64_t auction, bidder, price, date_time;
    struct leat_sv channel, url, extra;
};

static const struct leat_type type_long = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type type_time = {
    .kind = LEAT_KIND_LONG,
    .logical = LEAT_LOGICAL_TIMESTAMP_MILLIS,
    .name = "long",
    .size = 8,
    .align = 8,
};
static const struct leat_type type_string = {
    .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
};
static const struct leat_field bid_fields[] = {
    { "auction", &type_long, offsetof(struct bid, auction), LEAT_NOT_NULLABLE },
    { "bidder", &type_long, offsetof(struct bid, bidder), LEAT_NOT_NULLABLE },
    { "price", &type_long, offsetof(struct bid, price), LEAT_NOT_NULLABLE },
    { "date_time", &type_time, offsetof(struct bid, date_time), LEAT_NOT_NULLABLE },
    { "channel", &type_string, offsetof(struct bid, channel), LEAT_NOT_NULLABLE },
    { "url", &type_string, offsetof(struct bid, url), LEAT_NOT_NULLABLE },
    { "extra", &type_string, offsetof(struct bid, extra), LEAT_NOT_NULLABLE },
};
static const struct leat_type bid_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "bid",
    .size = sizeof(struct bid),
    .align = 8,
    .fields = bid_fields,
    .fields_count = 7,
};

static pcre2_code *pattern;
static pcre2_match_data *match_data;
static int64_t sums[ROWS]; /* where loops without a condition write */

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static __attribute__((noreturn)) void fail(const char *what)
{
    (void)fprintf(stderr, "bench_expr: %s\n", what);
    exit(1);
}

static void fill(struct leat_batch *batch)
{
    static const char *const channels[] = { "Google", "Facebook", "Baidu", "Apple" };
    leat__batch_rows(batch, ROWS);
    for (uint32_t i = 0; i < ROWS; i++) {
        struct bid *bid = leat_batch_at(batch, i);
        char *url = leat__batch_alloc(batch, 64, 1);
        if (!url)
            fail("out of memory");
        bid->auction = (int64_t)(next_random() % 100000);
        bid->bidder = (int64_t)(next_random() % 10000);
        bid->price = (int64_t)(next_random() % 1000000);
        bid->date_time = INT64_C(1769862896789) + i;
        bid->channel = leat_sv_of(channels[next_random() % 4]);
        const int len = snprintf(url, 64, "https://www.nexmark.com/%c%c%c/item.htm?query=1&channel_id=%u",
            (char)('a' + next_random() % 26), (char)('a' + next_random() % 26),
            (char)('a' + next_random() % 26), (unsigned)(next_random() % 100000));
        bid->url = (struct leat_sv){ url, (size_t)len };
    }
}

/* ---- by hand ---- */

#define HAND(name_, condition_) \
    static void name_(struct leat_batch *batch) \
    { \
        for (uint32_t i = 0; i < batch->count; i++) { \
            const struct bid *bid = leat_batch_at(batch, i); \
            leat_batch_select(batch, i, (condition_)); \
        } \
    }

HAND(hand_range, bid->price > 500000 && bid->bidder < 5000)
HAND(hand_modulo, bid->auction % 123 == 0)
HAND(hand_equal, leat_sv_eq(bid->channel, LEAT_SV("Apple")))
HAND(hand_time, bid->date_time * 1000 >= INT64_C(1769862897000000))
HAND(hand_like, memmem(bid->url.data, bid->url.len, "id=12", 5) != NULL)
HAND(hand_regex,
    pcre2_jit_match(pattern, (PCRE2_SPTR)bid->url.data, bid->url.len, 0, 0, match_data, NULL) >= 0)

static void hand_sum(struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct bid *bid = leat_batch_at(batch, i);
        int64_t product, sum;
        if (__builtin_mul_overflow(bid->price, 908, &product) ||
            __builtin_add_overflow(product, bid->bidder, &sum))
            fail("overflow");
        sums[i] = sum;
    }
}

static const struct {
    const char *text;
    void (*hand)(struct leat_batch *batch);
} lines[] = {
    { "price > 500000 and bidder < 5000", hand_range },
    { "auction % 123 = 0", hand_modulo },
    { "channel = 'Apple'", hand_equal },
    { "date_time >= timestamp '2026-01-31T12:34:57Z'", hand_time },
    { "url like '%id=12%'", hand_like },
    { "url ~ 'channel_id=(\\d+)5$'", hand_regex },
    { "price * 908 + bidder", hand_sum },
};

/* ---- measuring ---- */

static void run_expression(
    const struct leat_expr *expr, struct leat_expr_scratch *scratch, struct leat_batch *batch)
{
    struct leat_error err = { 0 };
    struct leat_vector vector;
    const int code = leat__expr_class(expr) == LEAT_VALUE_BOOL
        ? leat__expr_filter(expr, scratch, batch, NULL, &err)
        : leat__expr_eval(expr, scratch, batch, &vector, NULL, &err);
    if (code != 0)
        fail(err.message);
}

/* Nanoseconds a row: the best of many short runs, since the machine is shared. */
static double measure(const struct leat_expr *expr, struct leat_expr_scratch *scratch,
    struct leat_batch **batches, void (*hand)(struct leat_batch *batch), double seconds)
{
    struct leat_env *env = leat__env_posix();
    const int64_t end = env->mono_ns(env) + (int64_t)(seconds * 1e9);
    double best = 1e9;
    for (int64_t now = 0; now < end;) {
        const int64_t start = env->mono_ns(env);
        for (uint32_t round = 0; round < 25 * BATCHES; round++) {
            if (hand)
                hand(batches[round % BATCHES]);
            else
                run_expression(expr, scratch, batches[round % BATCHES]);
        }
        now = env->mono_ns(env);
        const double ns = (double)(now - start) / (25.0 * BATCHES * ROWS);
        best = ns < best ? ns : best;
    }
    return best;
}

static uint32_t count_kept(const struct leat_batch *batch)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        kept += batch->keep[i];
    return kept;
}

static void compile_pattern(void)
{
    int code;
    PCRE2_SIZE at;
    pattern = pcre2_compile((PCRE2_SPTR) "channel_id=(\\d+)5$", PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
    if (!pattern || pcre2_jit_compile(pattern, PCRE2_JIT_COMPLETE) != 0)
        fail("no machine code for patterns");
    match_data = pcre2_match_data_create_from_pattern(pattern, NULL);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.4;
    struct leat_pool *pool;
    struct leat_batch *batches[BATCHES];
    if (leat__pool_new(ROWS, &pool) != 0)
        fail("out of memory");
    for (uint32_t i = 0; i < BATCHES; i++) {
        if (leat__batch_get(pool, &bid_type, &batches[i]) != 0)
            fail("out of memory");
        fill(batches[i]);
    }
    compile_pattern();
    printf("%-48s %12s %8s %7s %6s\n", "", "expression", "hand", "ratio", "kept");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct leat_expr *expr;
        struct leat_expr_scratch *scratch;
        struct leat_error err = { 0 };
        if (leat__expr_new(lines[i].text, &bid_type, &expr, &err) != 0)
            fail(err.message);
        if (leat__expr_scratch_new(expr, &scratch) != 0)
            fail("out of memory");
        const double ours = measure(expr, scratch, batches, NULL, seconds);
        const uint32_t kept = count_kept(batches[0]);
        const double hand = measure(NULL, NULL, batches, lines[i].hand, seconds);
        if (kept != count_kept(batches[0]))
            fail("the two do not agree");
        printf("%-48s %9.2f ns %5.2f ns %6.1fx %5.1f%%\n", lines[i].text, ours, hand, ours / hand,
            kept * 100.0 / ROWS);
        leat__expr_scratch_free(scratch);
        leat__expr_free(expr);
    }
    for (uint32_t i = 0; i < BATCHES; i++)
        leat__batch_release(batches[i]);
    leat__pool_free(pool);
    pcre2_match_data_free(match_data);
    pcre2_code_free(pattern);
    return 0;
}
