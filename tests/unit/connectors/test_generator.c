/* tests/unit/connectors/test_generator.c -- made records: the same by index and seed in any splits, at the
 * rate asked for; random numbers that never change. */
#include "tests/support/unit.h"
#include "tests/support/connector_harness.h"
#include <leat/generator.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By hand what LEAT_DEFINE_GENERATOR writes: the type is made at run time here. */
static void generate(
    struct leat_ctx *ctx, uint64_t seed, uint64_t index_first, uint64_t step, struct leat_batch *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        struct order *order = leat_batch_at(out, i);
        ctx->row = i;
        order->id = (int64_t)(index_first + i * step);
        order->name = leat_printf(ctx, "name-%lld", (long long)order->id);
        order->price = (double)leat_random_below(seed, index_first + i * step, 0, 100);
        if (order->id % 10 == 3 && seed == 666)
            leat_fail(ctx, "unlucky %lld", (long long)order->id);
    }
}

static struct leat_generator_fn make_order = { sizeof(struct leat_generator_fn), "make_order", NULL,
    generate };

static struct leat_node *declare(leat_topology *t, const struct leat_generator_source_opts *opts)
{
    struct leat_generator_source_opts o = *opts;
    make_order.out = harness_order_type();
    o.fn = &make_order;
    leat_stream *stream = leat_generator_source(t, "in", &o);
    FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
    return stream->node;
}

struct fixture {
    leat_topology *t;
    struct harness h;
};

static void set_up(struct fixture *f, const struct leat_generator_source_opts *opts, uint32_t batch_rows)
{
    f->t = leat_topology_new("test");
    harness_init(&f->h, leat__env_posix(), declare(f->t, opts), batch_rows);
}

static void tear_down(struct fixture *f)
{
    harness_release(&f->h);
    leat_topology_free(f->t);
}

static int compare_lines(const void *a, const void *b)
{
    long long x, y;
    assert_int_equal(sscanf(*(char *const *)a, "{\"id\":%lld", &x), 1);
    assert_int_equal(sscanf(*(char *const *)b, "{\"id\":%lld", &y), 1);
    return x < y ? -1 : x > y;
}

/* The lines by id, as one text that the caller frees. */
static char *sorted(const struct leat_strbuf *rows)
{
    char *lines[1000], *copy = strdup(rows->data ? rows->data : ""), *rest;
    size_t count = 0;
    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        assert_true(count < COUNT_OF(lines));
        lines[count++] = line;
    }
    qsort(lines, count, sizeof lines[0], compare_lines);
    char *text = calloc(1, rows->len + 1);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(lines[i]);
        memcpy(text + at, lines[i], len);
        text[at + len] = '\n';
        at += len + 1;
    }
    free(copy);
    return text;
}

static void test_generator__given_any_splits_and_batches__when_read__then_the_same_records(void **state)
{
    static const uint32_t splits[] = { 0, 1, 2, 3, 7, 200 };
    static const uint32_t batch_rows[] = { 1, 5, 1024 };
    (void)state;
    char *want = NULL;
    for (size_t s = 0; s < COUNT_OF(splits); s++) {
        for (size_t b = 0; b < COUNT_OF(batch_rows); b++) {
            struct fixture f;
            set_up(&f, &(struct leat_generator_source_opts){ .seed = 5, .count = 101, .splits = splits[s] },
                batch_rows[b]);
            assert_int_equal(harness_read_all(&f.h), 0);
            assert_int_equal(f.h.splits.count, splits[s] ? splits[s] : 1);
            assert_int_equal(f.h.rows_count, 101);
            char *got = sorted(&f.h.rows);
            if (!want)
                want = strdup(got);
            assert_string_equal(got, want);
            free(got);
            tear_down(&f);
        }
    }
    free(want);
}

static void test_generator__given_each_position__when_resumed__then_the_indexes_behind_it(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_generator_source_opts){ .count = 31, .splits = 3 }, 2);
    assert_int_equal(harness_list(&f.h), 0);
    for (uint32_t k = 0; k < 3; k++) {
        struct leat_reader *reader = harness_reader(&f.h, k, NULL);
        for (int result = LEAT_READ_ROWS; result == LEAT_READ_ROWS;) {
            char *position = harness_position(&f.h, reader);
            leat__strbuf_clear(&f.h.rows);
            assert_int_equal(harness_read_split(&f.h, k, position), 0);
            char want[32];
            (void)snprintf(want, sizeof want, "{\"id\":%s,", position);
            assert_memory_equal(f.h.rows.data, want, strlen(want));
            free(position);
            result = harness_read(&f.h, reader);
        }
        char *end = harness_position(&f.h, reader);
        harness_close_reader(reader);
        leat__strbuf_clear(&f.h.rows);
        assert_int_equal(harness_read_split(&f.h, k, end), 0);
        assert_int_equal(f.h.rows.len, 0);
        free(end);
    }
    assert_null(harness_reader(&f.h, 1, "3"));
    assert_non_null(strstr(f.h.err.message, "split 1/3: \"3\" is no index of it"));
    assert_null(harness_reader(&f.h, 1, "x"));
    assert_null(harness_reader(&f.h, 1, ""));
    assert_null(harness_reader(&f.h, 1, "99999999999999999999"));
    tear_down(&f);
}

static void test_generator__given_no_count__when_read__then_without_end(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_generator_source_opts){ .splits = 2 }, 64);
    assert_int_equal(harness_list(&f.h), 0);
    struct leat_reader *reader = harness_reader(&f.h, 1, NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
    assert_int_equal(f.h.rows_count, 6400);
    harness_close_reader(reader);
    reader = harness_reader(&f.h, 1, "18446744073709551613"); /* the last index but one of its kind */
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_END);
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_END);
    harness_close_reader(reader);
    tear_down(&f);
}

static void test_generator__given_a_rate__when_time_passes__then_as_many_as_are_due(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_generator_source_opts){ .rate_per_s = 10000 }, 1024);
    f.h.now_us = 5000000;
    assert_int_equal(harness_list(&f.h), 0);
    struct leat_reader *reader = harness_reader(&f.h, 0, NULL);
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
    assert_int_equal(f.h.rows_count, 1); /* the first at once */
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_WAIT);
    assert_int_equal(reader->wake_us, 5001000); /* not for each row: 1 ms has ten of them */
    f.h.now_us = 5000099;
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_WAIT);
    f.h.now_us = 5000100;
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
    assert_int_equal(f.h.rows_count, 2);
    f.h.now_us = 5010000;
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
    assert_int_equal(f.h.rows_count, 101);
    f.h.now_us = 6000000; /* held up for a second: it catches up, a batch at a time */
    for (int result = LEAT_READ_ROWS; result == LEAT_READ_ROWS;)
        result = harness_read(&f.h, reader);
    assert_int_equal(f.h.rows_count, 10001);
    f.h.now_us = 4000000; /* a clock that goes back holds it up, no more */
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_WAIT);
    assert_int_equal(f.h.rows_count, 10001);
    harness_close_reader(reader);
    tear_down(&f);
}

static void test_generator__given_a_slow_rate__when_waiting__then_woken_when_due(void **state)
{
    (void)state;
    struct fixture f;
    set_up(&f, &(struct leat_generator_source_opts){ .rate_per_s = 3, .count = 4 }, 8);
    assert_int_equal(harness_list(&f.h), 0);
    struct leat_reader *reader = harness_reader(&f.h, 0, NULL);
    static const int64_t due_us[] = { 333334, 666667, 1000000 };
    assert_int_equal(harness_read(&f.h, reader), LEAT_READ_ROWS);
    for (size_t i = 0; i < COUNT_OF(due_us); i++) {
        assert_int_equal(harness_read(&f.h, reader), LEAT_READ_WAIT);
        assert_int_equal(reader->wake_us, due_us[i]);
        f.h.now_us = due_us[i];
        assert_int_equal(
            harness_read(&f.h, reader), i + 1 < COUNT_OF(due_us) ? LEAT_READ_ROWS : LEAT_READ_END);
    }
    assert_int_equal(f.h.rows_count, 4);
    harness_close_reader(reader);
    tear_down(&f);
}

static void test_generator__given_a_rate_and_splits__when_read__then_together_the_rate(void **state)
{
    enum { SPLITS = 4 };
    (void)state;
    struct fixture f;
    struct leat_reader *readers[SPLITS];
    set_up(&f, &(struct leat_generator_source_opts){ .rate_per_s = 1000, .splits = SPLITS }, 1024);
    assert_int_equal(harness_list(&f.h), 0);
    for (uint32_t k = 0; k < SPLITS; k++)
        readers[k] = harness_reader(&f.h, k, k == 2 ? "402" : NULL); /* one goes on where it left off */
    for (int64_t ms = 0; ms <= 1000; ms++) {
        f.h.now_us = ms * 1000;
        for (uint32_t k = 0; k < SPLITS; k++)
            (void)harness_read(&f.h, readers[k]);
        if (ms % 100 == 0)
            assert_in_range(f.h.rows_count, (uint64_t)ms, (uint64_t)ms + SPLITS);
    }
    for (uint32_t k = 0; k < SPLITS; k++)
        harness_close_reader(readers[k]);
    tear_down(&f);
}

static void test_generator__given_refused_records__when_read__then_the_policy_decides(void **state)
{
    (void)state;
    for (int policy = LEAT_FAIL; policy <= LEAT_DEAD_LETTER; policy++) {
        struct fixture f;
        f.t = leat_topology_new("test");
        struct leat_node *node = declare(f.t,
            &(struct leat_generator_source_opts){
                .seed = 666, .count = 20, .on_error = (enum leat_policy)policy });
        struct leat_stream stream = { f.t, node, 0 };
        if (policy == LEAT_DEAD_LETTER)
            (void)leat_dead_letters(&stream);
        harness_init(&f.h, leat__env_posix(), node, 7);
        const int code = harness_read_all(&f.h);
        if (policy == LEAT_FAIL) {
            assert_int_equal(code, LEAT_EUSER);
            assert_non_null(strstr(f.h.err.message, "unlucky 3"));
        } else {
            assert_int_equal(code, 0);
            assert_int_equal(f.h.rows_count, 18);
            assert_null(strstr(f.h.rows.data, "\"id\":13"));
        }
        if (policy == LEAT_SKIP)
            assert_int_equal(f.h.counters.dropped_records, 2);
        if (policy == LEAT_DEAD_LETTER)
            assert_non_null(strstr(f.h.letters.data, "unlucky 13"));
        tear_down(&f);
    }
}

static void test_generator__given_wrong_options__when_declared__then_the_option_is_named(void **state)
{
    static const struct {
        const char *name;
        bool fn;
        struct leat_generator_source_opts opts;
        const char *want;
    } cases[] = {
        { "no function", false, { .count = 1 }, "fn: missing: a function that fills records" },
        { "a rate beyond the clock", true, { .rate_per_s = UINT64_C(2000000000) },
            "rate_per_s: 2000000000 is more" },
        { "too many splits", true, { .splits = 70000 }, "splits: 70000 are more than" },
        { "no such time", true, { .event_time = "nam" }, "event_time" },
    };
    (void)state;
    make_order.out = harness_order_type();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct leat_generator_source_opts opts = cases[i].opts;
        leat_topology *t = leat_topology_new("test");
        opts.fn = cases[i].fn ? &make_order : NULL;
        (void)leat_generator_source(t, "in", &opts);
        FAIL_UNLESS(leat_topology_errors_count(t) == 1, "%s: %zu errors", cases[i].name,
            leat_topology_errors_count(t));
        FAIL_UNLESS(strstr(leat_topology_error(t, 0)->message, cases[i].want), "%s: %s", cases[i].name,
            leat_topology_error(t, 0)->message);
        leat_topology_free(t);
    }
}

static void test_generator__given_seed_index_and_draw__when_random__then_the_golden_values(void **state)
{
    static const struct {
        uint64_t seed, index, draw, want;
    } cases[] = {
        { 0, 0, 0, UINT64_C(0x238275bc38fcbe91) },
        { 1, 0, 0, UINT64_C(0xb18a02f46d8d86c3) },
        { 0, 1, 0, UINT64_C(0x2f101fe21496ea20) },
        { 0, 0, 1, UINT64_C(0xf89a2566b5822c54) },
        { 42, 1000000, 7, UINT64_C(0xae1b1ab3b0dfe52d) },
        { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_C(0x179f01f0d2fba97a) },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const uint64_t got = leat_random(cases[i].seed, cases[i].index, cases[i].draw);
        FAIL_UNLESS(got == cases[i].want, "(%llu, %llu, %llu): got %016llx",
            (unsigned long long)cases[i].seed, (unsigned long long)cases[i].index,
            (unsigned long long)cases[i].draw, (unsigned long long)got);
    }
}

static void test_generator__given_a_bound__when_random__then_below_it_and_even(void **state)
{
    static const uint64_t bounds[] = { 1, 2, 3, 10, 1000, UINT64_C(1) << 63, UINT64_MAX };
    (void)state;
    assert_int_equal(leat_random_below(1, 2, 3, 0), 0);
    for (size_t b = 0; b < COUNT_OF(bounds); b++) {
        for (uint64_t i = 0; i < 1000; i++)
            assert_true(leat_random_below(9, i, b, bounds[b]) < bounds[b]);
    }
    unsigned counts[3][10] = { 0 };
    for (uint64_t i = 0; i < 100000; i++) { /* by index, by draw, by seed */
        counts[0][leat_random_below(1, i, 0, 10)]++;
        counts[1][leat_random_below(1, 0, i, 10)]++;
        counts[2][leat_random_below(i, 0, 0, 10)]++;
    }
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < 10; i++)
            assert_in_range(counts[k][i], 9500, 10500); /* five standard deviations */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generator__given_any_splits_and_batches__when_read__then_the_same_records),
        cmocka_unit_test(test_generator__given_each_position__when_resumed__then_the_indexes_behind_it),
        cmocka_unit_test(test_generator__given_no_count__when_read__then_without_end),
        cmocka_unit_test(test_generator__given_a_rate__when_time_passes__then_as_many_as_are_due),
        cmocka_unit_test(test_generator__given_a_slow_rate__when_waiting__then_woken_when_due),
        cmocka_unit_test(test_generator__given_a_rate_and_splits__when_read__then_together_the_rate),
        cmocka_unit_test(test_generator__given_refused_records__when_read__then_the_policy_decides),
        cmocka_unit_test(test_generator__given_wrong_options__when_declared__then_the_option_is_named),
        cmocka_unit_test(test_generator__given_seed_index_and_draw__when_random__then_the_golden_values),
        cmocka_unit_test(test_generator__given_a_bound__when_random__then_below_it_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
