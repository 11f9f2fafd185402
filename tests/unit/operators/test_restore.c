/* tests/unit/operators/test_restore.c -- state of windows and joins in a later version of the job: what is the
 * same goes on, what means something else is refused with the node's name, the old and the new. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/op_records.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <string.h>

#define N FIELD("k", OR_NULL("\"long\"")) "," FIELD("n", "\"long\"")
#define TOTAL FIELD("total", OR_NULL("\"long\""))

/* ---- windows ---- */

static void put_one(struct harness *h, int64_t k, int64_t ts)
{
    struct leat_batch *batch = harness_rows(h, 0);
    agg_put(batch,
        &(struct agg_event){
            .has_k = true, .k = k, .has_v = true, .v = 5, .has_s = true, .s = { "x", 1 }, .ts = ts });
    assert_int_equal(harness_batch(h, 0, batch), 0);
}

/* A job with the first words and fields is interrupted and goes on with the second; the code, and the error or
 * what comes out at the end. */
static int change_aggregate(const char *words, const char *fields, const char *new_words,
    const char *new_fields, struct leat_strbuf *text)
{
    struct agg_setup s;
    char schema[2048];
    agg_start(&s, words, fields, &(struct harness_opts){ .with_store = true });
    put_one(s.h, 1, 5);
    put_one(s.h, 1, 6);
    leat_topology *t = leat_topology_new("later");
    (void)snprintf(schema, sizeof schema, RECORD("result", "%s"), new_fields);
    const int code = harness_crash(s.h,
        agg_declare(
            harness_source(t, "in", &agg_event_type, "ts"), new_words, agg_type_of(&s, schema), NULL));
    leat__strbuf_clear(text);
    if (code == 0) {
        put_one(s.h, 1, 7);
        assert_int_equal(harness_end(s.h, 0), 0);
        agg_print_outs(s.h, text);
    } else {
        leat__strbuf_str(text, s.h->error.message);
    }
    agg_release(&s);
    leat_topology_free(t);
    return code;
}

static void test_aggregate__given_the_same_or_more_output_fields__when_restored__then_it_goes_on(
    void **unused)
{
    (void)unused;
    struct leat_strbuf text = { 0 };
    assert_int_equal(change_aggregate("size=10", N "," TOTAL, "size=10", N "," TOTAL, &text), 0);
    assert_string_equal(text.data, "0 {\"k\":1,\"n\":3,\"total\":15} @9\n");
    assert_int_equal(change_aggregate("size=10", N "," TOTAL, "size=10",
                         N "," TOTAL "," FIELD("window_end", "\"long\""), &text),
        0);
    assert_string_equal(text.data, "0 {\"k\":1,\"n\":3,\"total\":15,\"window_end\":10} @9\n");
    assert_int_equal(change_aggregate("size=10,ordered", N, "size=10,saturate", N, &text), 0);
    assert_string_equal(text.data, "0 {\"k\":1,\"n\":3} @9\n");
    leat__strbuf_release(&text);
}

static void test_aggregate__given_other_windows_or_accumulators__when_restored__then_both_formats_are_named(
    void **unused)
{
    static const struct {
        const char *words, *fields, *new_words, *new_fields, *part;
    } rows[] = {
        { "size=10", N, "size=20", N, "tumbling 20 us" },
        { "size=10", N, "size=10,offset=3", N, "from 3 us" },
        { "size=10", N, "size=10,lateness=5", N, "head" },
        { "size=10", N, "size=10", N "," TOTAL, "sum int of v or null" },
        { "size=10", N "," FIELD("smin", OR_NULL("\"string\"")), "size=10",
            N "," FIELD("smax", OR_NULL("\"string\"")), "max text of s or null" },
        { "size=10", N, "size=10,by=s+k", N, "s string or null, k long or null" },
    };
    struct leat_strbuf text = { 0 };
    (void)unused;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const int code =
            change_aggregate(rows[i].words, rows[i].fields, rows[i].new_words, rows[i].new_fields, &text);
        FAIL_UNLESS(code == LEAT_ESCHEMA && strstr(text.data, "totals") && strstr(text.data, rows[i].part),
            "row %zu: %d %s", i, code, text.data);
    }
    leat__strbuf_release(&text);
}

/* ---- joins ---- */

static void pair_up(
    struct leat_ctx *ctx, const struct op_event *left, const struct op_event *right, struct op_pair *out)
{
    (void)ctx;
    *out = (struct op_pair){ left->id, right->id, left->text };
}
LEAT_DEFINE_JOIN(pair_up, op_event, op_event, op_pair);

static leat_stream *declare_join(leat_topology *t, int64_t before_us, int64_t after_us, const char *key)
{
    return leat_join(harness_source(t, "left", &op_event_type, "ts"),
        harness_source(t, "right", &op_event_type, "ts"), "pairs",
        &(struct leat_join_opts){
            .left_key = key, .before_us = before_us, .after_us = after_us, .merge = &pair_up_join });
}

/* Whether a partner is found behind the change; or the error in `text`. */
static int change_join(int64_t before_us, int64_t after_us, const char *key, char *text, size_t size)
{
    leat_topology *t1 = leat_topology_new("one"), *t2 = leat_topology_new("two");
    struct harness *h =
        harness_new(declare_join(t1, 2000, 3000, "key"), &(struct harness_opts){ .with_store = true });
    struct leat_batch *batch = harness_rows(h, 0);
    op_event_add(batch, 1, "a", 10000, 0, "text");
    assert_int_equal(harness_batch(h, 0, batch), 0);
    const int code = harness_crash(h, declare_join(t2, before_us, after_us, key));
    (void)snprintf(text, size, "%s", h->error.message);
    if (code == 0) {
        batch = harness_rows(h, 1);
        op_event_add(batch, 2, "a", 11000, 0, "");
        assert_int_equal(harness_batch(h, 1, batch), 0);
        assert_int_equal(h->rows_count[0], 1);
    }
    harness_free(h);
    leat_topology_free(t1);
    leat_topology_free(t2);
    return code;
}

static void
test_join__given_other_bounds_or_another_key__when_restored__then_refused_unless_rows_are_where_they_were(
    void **unused)
{
    char text[2048];
    (void)unused;
    assert_int_equal(change_join(2000, 3000, "key", text, sizeof text), 0);
    assert_int_equal(change_join(1000, 4000, "key", text, sizeof text), 0);
    assert_int_equal(change_join(2000, 6000, "key", text, sizeof text), LEAT_ESCHEMA);
    FAIL_UNLESS(strstr(text, "pairs") && strstr(text, "5000 us") && strstr(text, "8000 us"), "%s", text);
    assert_int_equal(change_join(2000, 3000, "text", text, sizeof text), LEAT_ESCHEMA);
    FAIL_UNLESS(strstr(text, "key string") && strstr(text, "text string"), "%s", text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_aggregate__given_the_same_or_more_output_fields__when_restored__then_it_goes_on),
        cmocka_unit_test(
            test_aggregate__given_other_windows_or_accumulators__when_restored__then_both_formats_are_named),
        cmocka_unit_test(
            test_join__given_other_bounds_or_another_key__when_restored__then_refused_unless_rows_are_where_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
