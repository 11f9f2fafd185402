/* tests/unit/topology/test_declare.c -- declaring: names, types, options, streams, errors that stick,
 * leat_check. */
#include "base/alloc.h"
#include "base/strbuf.h"
#include "record/schema.h"
#include "tests/support/fake_nodes.h"
#include "tests/support/unit.h"
#include <leat/change.h>
#include <stdio.h>
#include <string.h>

/* All messages, a line each. */
static const char *messages(const leat_topology *t)
{
    static char text[16384];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < leat_topology_errors_count(t); i++) {
        const struct leat_topology_error *error = leat_topology_error(t, i);
        assert_true(error->code < 0);
        assert_non_null(strstr(error->message, error->node));
        assert_non_null(strstr(error->message, error->option));
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\n", error->message);
        assert_true(used < sizeof text);
    }
    assert_null(leat_topology_error(t, leat_topology_errors_count(t)));
    return text;
}

static void check_says(leat_topology *t, const char *want)
{
    const int code = leat_check(t);
    assert_string_equal(messages(t), want);
    assert_int_equal(code, want[0] ? leat_topology_error(t, 0)->code : 0);
    assert_int_equal(leat_check(t), code); /* again: the same, not twice */
    assert_string_equal(messages(t), want);
}

static void test_declare__given_a_good_topology__when_checked__then_it_has_no_error(void **state)
{
    leat_topology *t = leat_topology_new("orders");
    (void)state;
    leat_stream *orders = fake_source(t, "orders", &(struct fake_opts){ .event_time = "ordered_at" });
    leat_stream *kept = fake_op(orders, "kept", &(struct fake_opts){ .needs_time = true });
    fake_sink(kept, "out", NULL);
    check_says(t, "");
    assert_string_equal(leat_topology_name(t), "orders");
    assert_ptr_equal(leat_stream_type(kept), &fake_order_type);
    assert_int_equal(t->nodes_count, 3);
    assert_int_equal(kept->node->outputs[0].consumers_count, 1);
    assert_true(kept->node->outputs[0].has_event_time);
    leat_topology_free(t);
}

static void test_declare__given_the_type_of_dead_letters__when_checked__then_layout_and_fingerprint_are_right(
    void **state)
{
    struct leat_error err = { 0 };
    struct leat_schema *schema = NULL;
    (void)state;
    assert_int_equal(leat__type_check(&leat_dead_letter_type, &err), 0);
    const char *text = leat_dead_letter_type.schema;
    assert_int_equal(leat__schema_parse(text, strlen(text), &schema, &err), 0);
    assert_true(schema->fingerprint == leat_dead_letter_type.fingerprint);
    leat__schema_free(schema);
}

static void test_declare__given_changes__when_not_taken__then_origin_and_remedy_are_named(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("changes");
    leat_stream *orders = fake_source(t, "orders", NULL);
    leat_stream *totals = fake_op(orders, "totals", NULL);
    totals->node->outputs[0].changes = true;
    struct leat_node *taker = leat__declare(t, "big", LEAT_NODE_OPERATOR, "fake");
    leat__takes_changes(taker, 0);
    leat__input(taker, 0, totals, LEAT_FORWARD, NULL);
    taker->op = totals->node->op;
    (void)leat__output(taker, &fake_order_type, NULL);
    leat_stream *big = leat__stream(taker, 0);
    assert_false(leat_stream_changes(orders));
    assert_true(leat_stream_changes(totals));
    assert_true(leat_stream_changes(big));
    assert_true(leat__input_changes(taker, 0));
    (void)leat_dead_letters(big);
    assert_false(leat_stream_changes(leat_dead_letters(big)));
    fake_sink(leat_dead_letters(big), "letters", NULL);
    fake_sink(big, "out", NULL);
    check_says(t,
        "fake sink \"out\": input 0 is a stream of changes, made by the fake \"totals\", and a fake sink "
        "would "
        "take each for a record of its own: put leat_changelog before it, which says what becomes of them\n");
    leat_topology_free(t);
}

static void test_declare__given_names__when_declared__then_bad_ones_are_refused_with_a_better_one(
    void **state)
{
    static const struct {
        const char *name, *want; /* "": good */
    } rows[] = {
        { "orders", "" },
        { "a.b_c-9", "" },
        { "0123456789012345678901234567890123456789012345678901234567890ab", "" },
        { "",
            "fake source \"\": name: no name given: it is the node's identity in plans, metrics and "
            "state\n" },
        { NULL,
            "fake source \"\": name: no name given: it is the node's identity in plans, metrics and "
            "state\n" },
        { "My Orders!",
            "fake source \"My Orders!\": name: character 1 is 'M'; names are made of a-z, 0-9, '.', '_' "
            "and '-': try \"my-orders\"\n" },
        { "n\xc3\xb6",
            "fake source \"n\xc3\xb6\": name: character 2 is 0xc3; names are made of a-z, 0-9, '.', '_' "
            "and '-': try \"n\"\n" },
        { "0123456789012345678901234567890123456789012345678901234567890abc",
            "fake source \"0123456789012345678901234567890123456789012345678901234567890abc\": name: has 64 "
            "bytes; at "
            "most 63 are allowed: shorten it\n" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("t");
        leat_stream *stream = fake_source(t, rows[i].name, NULL);
        FAIL_UNLESS(strcmp(messages(t), rows[i].want) == 0, "row %zu: %s", i, messages(t));
        FAIL_UNLESS((stream->node != NULL) == (rows[i].want[0] == '\0'), "row %zu", i);
        leat_topology_free(t);
    }
}

static void test_declare__given_a_bad_topology_name__when_made__then_its_error_says_so(void **state)
{
    leat_topology *t = leat_topology_new("Orders");
    (void)state;
    assert_string_equal(messages(t),
        "topology \"Orders\": name: character 1 is 'O'; names are made of a-z, 0-9, '.', '_' and '-': try "
        "\"orders\"\n");
    assert_string_equal(leat_topology_error(t, 0)->node, "");
    leat_topology_free(t);
    t = leat_topology_new(NULL);
    assert_int_equal(leat_topology_errors_count(t), 1);
    leat_topology_free(t);
}

static void test_declare__given_a_name_twice__when_declared__then_the_message_names_the_other_and_a_free_one(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *a = fake_source(t, "a", NULL);
    fake_op(a, "a-2", NULL);
    fake_op(a, "a", NULL);
    fake_op(a, "a", NULL); /* the name of a node with an error is taken too */
    assert_string_equal(messages(t),
        "fake \"a\": name: the name is taken by the fake source \"a\"; names are unique in a topology: try "
        "\"a-3\"\n"
        "fake \"a\": name: the name is taken by the fake \"a\"; names are unique in a topology: try "
        "\"a-3\"\n");
    assert_int_equal(t->nodes_count, 2);
    leat_topology_free(t);
}

static void test_declare__given_mistakes__when_declared__then_each_gives_one_message_and_no_cascade(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *bad = fake_source(t, "bad", &(struct fake_opts){ .event_time = "ordred_at" });
    leat_stream *behind = fake_op(bad, "behind", &(struct fake_opts){ .needs_time = true });
    fake_sink(behind, "out", NULL);
    leat_stream *good = fake_source(t, "good", NULL);
    leat_stream *timeless = fake_op(good, "timeless", &(struct fake_opts){ .needs_time = true });
    fake_sink(timeless, "Out", NULL);
    assert_ptr_equal(leat_dead_letters(timeless), timeless);
    assert_ptr_equal(leat_on_error(timeless, LEAT_SKIP), timeless);
    assert_null(leat_stream_type(timeless));
    check_says(t,
        "fake source \"bad\": event_time: no field \"ordred_at\" in fake_order (order_id, status, note, "
        "total, "
        "ordered_at); did you mean \"ordered_at\"?\n"
        "fake \"timeless\": input 0 has no event time: set .event_time of the fake source \"good\" to the "
        "field that "
        "holds it\n"
        "fake sink \"Out\": name: character 1 is 'O'; names are made of a-z, 0-9, '.', '_' and '-': try "
        "\"out\"\n");
    assert_int_equal(t->nodes_count, 1);
    assert_string_equal(leat_topology_error(t, 0)->node, "bad");
    assert_string_equal(leat_topology_error(t, 0)->option, "event_time");
    leat_topology_free(t);
}

static void test_declare__given_many_mistakes__when_declared__then_all_are_kept_in_order(void **state)
{
    leat_topology *t = leat_topology_new("t");
    char name[16];
    (void)state;
    const struct leat_topology_error *first = NULL;
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "N%d", i);
        fake_source(t, name, NULL);
        if (i == 0)
            first = leat_topology_error(t, 0);
    }
    assert_int_equal(leat_topology_errors_count(t), 300);
    for (size_t i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "N%zu", i);
        assert_string_equal(leat_topology_error(t, i)->node, name);
    }
    assert_string_equal(first->node, "N0"); /* what was handed out stays valid */
    leat_topology_free(t);
}

static void test_declare__given_more_nodes_than_a_topology_takes__when_declared__then_the_limit_is_named(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    char name[16];
    (void)state;
    for (unsigned i = 0; i <= LEAT_NODES_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        fake_source(t, name, NULL);
    }
    assert_string_equal(messages(t),
        "fake source \"n1024\": the topology has 1024 nodes, which is the most that one can have: split it "
        "into "
        "several jobs\n");
    assert_int_equal(leat_topology_error(t, 0)->code, LEAT_ELIMIT);
    leat_topology_free(t);
}

static void
test_declare__given_options_of_another_version__when_copied__then_only_an_unknown_option_set_is_refused(
    void **state)
{
    struct opts_old {
        int a, b;
    } to = { 1, 1 };
    struct opts_new {
        int a, b, c, d;
    } from = { 7, 8, 0, 0 };
    leat_topology *t = leat_topology_new("t");
    struct leat_node *node = leat__declare(t, "n", LEAT_NODE_SOURCE, "fake source");
    (void)state;
    leat__opts_copy(node, &to, sizeof to, &from, sizeof from);
    assert_int_equal(to.a, 7);
    assert_int_equal(to.b, 8);
    leat__opts_copy(node, &to, sizeof to, &from, sizeof from.a); /* an older program */
    assert_int_equal(to.a, 7);
    assert_int_equal(to.b, 0);
    assert_false(leat__node_is_inert(node));
    from.d = 1;
    leat__opts_copy(node, &to, sizeof to, &from, sizeof from);
    leat__opts_copy(node, &to, sizeof to, NULL, sizeof from);
    assert_true(leat__node_is_inert(node));
    assert_int_equal(to.a, 0);
    assert_string_equal(messages(t),
        "fake source \"n\": sets an option that this version of the library (0.1.0) does not know: the "
        "program was "
        "compiled with newer headers; install the library that belongs to them\n"
        "fake source \"n\": no options given: pass the address of an option struct\n");
    leat_topology_free(t);
}

static void test_declare__given_source_options__when_wrong__then_each_is_named(void **state)
{
    static const struct {
        struct fake_opts opts;
        const char *want;
    } rows[] = {
        { { .event_time = "ordered_at",
              .max_out_of_orderness_us = 1,
              .idle_timeout_us = 1,
              .max_ahead_us = 1 },
            "" },
        { { .event_time = "total" }, "" },
        { { .event_time = "status" },
            "event_time: field \"status\" is string, which is no point in time: give a long "
            "(microseconds), one with a logical type timestamp-*, or a date\n" },
        { { .event_time = "total.x" },
            "event_time: no field \"total.x\": total is of type long, not a record\n" },
        { { .event_time = "total", .max_out_of_orderness_us = -1 },
            "max_out_of_orderness_us: -1us is negative: give a duration such as LEAT_SECONDS(10), or 0\n" },
        { { .idle_timeout_us = 5 },
            "idle_timeout_us: set, but there is no event time that it could be about: set "
            ".event_time to the field that holds it\n" },
        { { .max_ahead_us = 5 },
            "max_ahead_us: set, but there is no event time that it could be about: set "
            ".event_time to the field that holds it\n" },
        { { .on_error = (enum leat_policy)9 },
            "on_error: 9 is no policy: LEAT_FAIL, LEAT_SKIP or LEAT_DEAD_LETTER\n" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        leat_topology *t = leat_topology_new("t");
        fake_source(t, "s", &rows[i].opts);
        const char *got = messages(t);
        const char *text = strncmp(got, "fake source \"s\": ", 17) == 0 ? got + 17 : got;
        FAIL_UNLESS(strcmp(text, rows[i].want) == 0, "row %zu: %s", i, got);
        leat_topology_free(t);
    }
}

static void test_declare__given_a_source_policy__when_set__then_the_node_has_it(void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    assert_int_equal(fake_source(t, "a", NULL)->node->policy, LEAT_FAIL);
    leat_stream *b = fake_source(t, "b", &(struct fake_opts){ .on_error = LEAT_SKIP });
    assert_int_equal(b->node->policy, LEAT_SKIP);
    assert_ptr_equal(leat_on_error(b, LEAT_FAIL), b);
    assert_int_equal(b->node->policy, LEAT_FAIL);
    leat_on_error(b, (enum leat_policy)0);
    assert_int_equal(b->node->policy, LEAT_FAIL);
    assert_string_equal(messages(t),
        "fake source \"b\": on_error: 0 is no policy: LEAT_FAIL, LEAT_SKIP or LEAT_DEAD_LETTER\n");
    leat_topology_free(t);
}

static void test_declare__given_units_of_time__when_converted__then_microseconds_floor_and_saturate(
    void **state)
{
    static const struct {
        enum leat_kind kind;
        enum leat_logical logical;
        bool is_time;
        int64_t value, want_us;
    } rows[] = {
        { LEAT_KIND_LONG, LEAT_LOGICAL_NONE, true, 5, 5 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MICROS, true, -5, -5 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MILLIS, true, -5, -5000 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MILLIS, true, INT64_MAX, INT64_MAX },
        { LEAT_KIND_LONG, LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS, true, INT64_MIN, INT64_MIN },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_NANOS, true, 1999, 1 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_NANOS, true, -1, -1 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_NANOS, true, -1000, -1 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_LOCAL_TIMESTAMP_NANOS, true, -1001, -2 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS, true, 7, 7 },
        { LEAT_KIND_INT, LEAT_LOGICAL_DATE, true, -1, -LEAT_DAYS(1) },
        { LEAT_KIND_INT, LEAT_LOGICAL_NONE, false, 0, 0 },
        { LEAT_KIND_INT, LEAT_LOGICAL_TIME_MILLIS, false, 0, 0 },
        { LEAT_KIND_LONG, LEAT_LOGICAL_TIME_MICROS, false, 0, 0 },
        { LEAT_KIND_DOUBLE, LEAT_LOGICAL_NONE, false, 0, 0 },
        { LEAT_KIND_STRING, LEAT_LOGICAL_NONE, false, 0, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct leat_type type = { .kind = rows[i].kind, .logical = rows[i].logical, .name = "x" };
        int64_t (*to_us)(int64_t) = NULL;
        FAIL_UNLESS(leat__time_unit(&type, &to_us) == rows[i].is_time, "row %zu", i);
        const int64_t got = to_us ? to_us(rows[i].value) : rows[i].value;
        FAIL_UNLESS(!rows[i].is_time || got == rows[i].want_us, "row %zu: %lld", i, (long long)got);
    }
}

static void test_declare__given_callbacks_of_other_types__when_needed__then_the_first_difference_is_named(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    struct leat_field fields[5];
    (void)state;
    memcpy(fields, fake_order_type.fields, sizeof fields);
    struct leat_type other = fake_order_type;
    other.fields = fields;
    leat_stream *in = fake_source(t, "orders", NULL);
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct leat_node *node = leat__declare(t, names[i], LEAT_NODE_OPERATOR, "map");
        leat__input(node, 0, in, LEAT_FORWARD, NULL);
        memcpy(fields, fake_order_type.fields, sizeof fields);
        other.fields_count = 5;
        if (i == 1)
            fields[3].type = fields[1].type;
        if (i == 2)
            fields[2].has_offset = LEAT_NOT_NULLABLE;
        if (i == 3)
            fields[1].name = "state";
        if (i == 4)
            other.fields_count = 4;
        leat__need_type(node, 0,
            i == 0       ? &fake_total_type
                : i == 5 ? &fake_order_type
                         : &other,
            "fn", "price");
        assert_true(leat__node_is_inert(node) == (i != 5));
    }
    assert_string_equal(messages(t),
        "map \"a\": fn: price takes fake_total, and the fake source \"orders\" gives fake_order: field 1 of "
        "fake_order is \"order_id\", not \"status\"\n"
        "map \"b\": fn: price takes fake_order, and the fake source \"orders\" gives fake_order: its field "
        "\"total\" "
        "is long, not string\n"
        "map \"c\": fn: price takes fake_order, and the fake source \"orders\" gives fake_order: its field "
        "\"note\" is "
        "string or null, not string\n"
        "map \"d\": fn: price takes fake_order, and the fake source \"orders\" gives fake_order: field 2 of "
        "fake_order is \"status\", not \"state\"\n"
        "map \"e\": fn: price takes fake_order, and the fake source \"orders\" gives fake_order: it has the "
        "field "
        "\"ordered_at\" besides\n");
    leat_topology_free(t);
}

static void test_declare__given_a_descriptor_with_another_layout__when_used__then_it_is_refused(void **state)
{
    leat_topology *t = leat_topology_new("t");
    struct leat_field fields[5];
    struct leat_type wrong = fake_order_type, no_record = *fake_order_type.fields[0].type,
                     large = fake_order_type;
    (void)state;
    memcpy(fields, fake_order_type.fields, sizeof fields);
    fields[3].offset += 8;
    wrong.fields = fields;
    large.size = LEAT_ROW_BYTES_MAX + 8;
    fake_source(t, "a", &(struct fake_opts){ .type = &wrong });
    fake_source(t, "b", &(struct fake_opts){ .type = &no_record });
    fake_source(t, "c", &(struct fake_opts){ .type = &large });
    struct leat_node *node = leat__declare(t, "d", LEAT_NODE_SOURCE, "fake source");
    leat__output(node, NULL, NULL);
    assert_int_equal(leat_topology_errors_count(t), 4);
    static const char *const want[] = { "fake_order: compiled with another layout of field total",
        "streams carry records, and this type is long",
        "struct fake_order has 65544 bytes, at most 65536 are allowed", "no record type given" };
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(leat_topology_error(t, i)->option, "type");
        FAIL_UNLESS(strstr(leat_topology_error(t, i)->message, want[i]) != NULL, "%zu: %s", i,
            leat_topology_error(t, i)->message);
    }
    leat_topology_free(t);
}

static void test_declare__given_a_stream_of_another_topology__when_used__then_both_are_named(void **state)
{
    leat_topology *t = leat_topology_new("one"), *u = leat_topology_new("two");
    (void)state;
    leat_stream *a = fake_source(t, "a", NULL);
    leat_stream *both[] = { fake_source(u, "b", NULL), a };
    fake_op_n(both, 2, "union", NULL);
    assert_int_equal(leat_topology_errors_count(t), 0);
    assert_string_equal(messages(u),
        "fake \"union\": input 1, the fake source \"a\", belongs to the topology \"one\", not to \"two\": "
        "streams can "
        "not be shared\n");
    leat_topology_free(t);
    leat_topology_free(u);
}

static void test_declare__given_a_stream_that_waits_for_its_node__when_consumed__then_it_is_told(void **state)
{
    leat_topology *t = leat_topology_new("t");
    leat_stream pending = { .t = t };
    (void)state;
    fake_sink(&pending, "late", NULL);
    assert_string_equal(messages(t),
        "fake sink \"late\": input 0 is a stream whose node is not declared yet (late records of a window "
        "without its "
        "aggregate?): declare that node before this one\n");
    leat_topology_free(t);
}

static void test_declare__given_named_outputs__when_asked_for__then_they_are_found_or_a_near_one_is_offered(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    leat_stream *op = fake_op(in, "op", &(struct fake_opts){ .side = "refunds" });
    leat_dead_letters(op);
    leat_stream *side = leat__named_output(op, "refunds", "side output");
    assert_ptr_equal(side->node, op->node);
    assert_int_equal(side->port, 1);
    assert_null(leat__named_output(op, "refund", "side output")->node);
    assert_null(leat__named_output(op, "dead-letters", "side output")->node);
    assert_null(leat__named_output(in, "x", "case")->node);
    assert_string_equal(messages(t),
        "fake \"op\": no side output \"refund\" (refunds); did you mean \"refunds\"?\n"
        "fake \"op\": no side output \"dead-letters\" (refunds)\n"
        "fake source \"in\": no case \"x\": it has none at all\n");
    leat_topology_free(t);
}

static void test_declare__given_dead_letters__when_taken_twice__then_it_is_one_output_without_event_time(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", &(struct fake_opts){ .event_time = "ordered_at" });
    leat_stream *dead = leat_dead_letters(in), *again = leat_dead_letters(in);
    assert_int_equal(dead->port, 1);
    assert_int_equal(again->port, 1);
    assert_int_equal(in->node->outputs_count, 2);
    assert_int_equal(in->node->policy, LEAT_DEAD_LETTER);
    assert_ptr_equal(leat_stream_type(dead), &leat_dead_letter_type);
    fake_sink(in, "out", NULL);
    fake_sink(dead, "dead", NULL);
    leat_stream *timed = fake_op(dead, "timed", &(struct fake_opts){ .needs_time = true });
    assert_null(timed->node);
    assert_string_equal(messages(t),
        "fake \"timed\": input 0 has no event time: output \"dead-letters\" of the fake source \"in\" does "
        "not carry "
        "one\n");
    leat_topology_free(t);
}

static void test_check__given_what_is_missing__when_checked__then_it_is_named(void **state)
{
    (void)state;
    leat_topology *t = leat_topology_new("t");
    check_says(t,
        "topology \"t\": there is no source: declare where its records come from, such as "
        "leat_file_source\n");
    leat_stream *in = fake_source(t, "in", NULL);
    check_says(t,
        "topology \"t\": there is no sink: nothing consumes the output of \"in\"; add one, such as "
        "leat_file_sink\n");
    leat_stream *op = fake_op(in, "op", &(struct fake_opts){ .side = "refunds" });
    fake_op(in, "leaf", NULL);
    fake_sink(leat__named_output(op, "refunds", "side output"), "out", NULL);
    check_says(t,
        "fake \"op\": nothing consumes its output: connect an operator or a sink, or remove it\n"
        "fake \"leaf\": nothing consumes its output: connect an operator or a sink, or remove it\n");
    leat_topology_free(t);
}

static void test_check__given_a_sink_with_an_error__when_checked__then_no_sink_is_missing(void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    fake_sink(in, "in", NULL);
    check_says(t,
        "fake sink \"in\": name: the name is taken by the fake source \"in\"; names are unique in a "
        "topology: try "
        "\"in-2\"\n");
    leat_topology_free(t);
}

static void test_check__given_a_window_without_aggregate__when_checked__then_it_is_named(void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", NULL);
    struct leat_node *group = fake_virtual(in, "by-status", "group by", NULL);
    struct leat_node *window = fake_virtual(in, "w5m", "window", group);
    leat_stream *other = fake_source(t, "other", NULL);
    fake_sink(other, "out", NULL);
    check_says(t,
        "window \"w5m\": nothing is computed over it: grouping and windows give no records by themselves; "
        "add "
        "leat_aggregate, or remove it\n");
    leat_stream *totals = fake_op(in, "totals", &(struct fake_opts){ .via = window });
    fake_sink(totals, "totals-out", NULL);
    check_says(t, "");
    assert_int_equal(in->node->outputs[0].consumers_count, 1); /* virtual nodes do not count */
    leat_topology_free(t);
}

static void test_check__given_dead_letters_and_policies_that_disagree__when_checked__then_it_is_told(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    leat_stream *in = fake_source(t, "in", &(struct fake_opts){ .on_error = LEAT_DEAD_LETTER });
    leat_stream *op = fake_op(in, "op", NULL);
    fake_sink(leat_dead_letters(op), "dead", NULL);
    leat_on_error(op, LEAT_SKIP);
    fake_sink(op, "out", NULL);
    check_says(t,
        "fake source \"in\": on_error: LEAT_DEAD_LETTER, but nothing consumes its dead letters: connect the "
        "stream of "
        "leat_dead_letters to a sink\n"
        "fake \"op\": on_error: its dead letters are consumed, but its policy gives none: leave it at "
        "LEAT_DEAD_LETTER\n");
    leat_on_error(op, LEAT_DEAD_LETTER);
    leat_on_error(in, LEAT_FAIL);
    check_says(t, "");
    leat_topology_free(t);
}

static void test_declare__given_durations__when_printed__then_people_can_read_them(void **state)
{
    static const struct {
        int64_t us;
        const char *want;
    } rows[] = {
        { 0, "0s" },
        { 1, "1us" },
        { -1, "-1us" },
        { LEAT_MILLIS(250), "250ms" },
        { LEAT_SECONDS(90), "1m 30s" },
        { LEAT_MINUTES(5), "5m" },
        { LEAT_HOURS(25) + 1, "1d 1h 1us" },
        { -LEAT_DAYS(7), "-7d" },
        { LEAT_NEVER, "never" },
        { INT64_MIN, "-106751991d 4h 54s 775ms 808us" },
        { INT64_MAX - 1, "106751991d 4h 54s 775ms 806us" },
        { LEAT_DAYS(100000000) + LEAT_HOURS(23) + LEAT_MINUTES(59) + LEAT_SECONDS(59) + 999999,
            "8640000086399999999us" },
    };
    char text[32];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        FAIL_UNLESS(strcmp(leat__duration_text(rows[i].us, text), rows[i].want) == 0, "row %zu: %s", i, text);
}

static int released;
static void count_release(void *p)
{
    (void)p;
    released++;
}

static void test_declare__given_things_to_release__when_the_topology_goes__then_each_is_released_once(
    void **state)
{
    leat_topology *t = leat_topology_new("t");
    (void)state;
    released = 0;
    struct leat_node *good = leat__declare(t, "good", LEAT_NODE_SOURCE, "fake source");
    struct leat_node *bad = leat__declare(t, "Bad", LEAT_NODE_SOURCE, "fake source");
    leat__topology_defer(good, count_release, good);
    leat__topology_defer(bad, count_release, bad);
    leat__topology_defer(good, count_release, NULL);
    assert_int_equal(released, 0);
    leat_topology_free(t);
    assert_int_equal(released, 2);
    leat_topology_free(NULL);
}

static void declare_small(leat_topology *t)
{
    leat_stream *in =
        fake_source(t, "in", &(struct fake_opts){ .event_time = "ordered_at", .detail = "a file" });
    leat_stream *op = fake_op(in, "op", &(struct fake_opts){ .side = "refunds", .key = "status" });
    struct leat_node *group = fake_virtual(op, "group", "group by", NULL);
    leat_stream *totals =
        fake_op(op, "totals", &(struct fake_opts){ .via = group, .partitioned_by = "status" });
    fake_sink(totals, "out", NULL);
    fake_sink(leat_dead_letters(op), "dead", NULL);
    fake_op(leat__named_output(op, "refunds", "side output"), "op", NULL); /* an error is kept too */
}

static void test_declare__given_no_memory_at_some_point__when_declared__then_an_error_tells_and_nothing_leaks(
    void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        const int64_t live = leat__alloc_live();
        leat__alloc_fail_at(n);
        leat_topology *t = leat_topology_new("t");
        declare_small(t);
        const int code = leat_check(t);
        bool told = false;
        for (size_t i = 0; i < leat_topology_errors_count(t); i++)
            told = told || leat_topology_error(t, i)->code == LEAT_ENOMEM;
        const uint64_t calls = leat__alloc_calls();
        leat__free(leat__malloc(1)); /* uses up the failure if nothing else has */
        const bool had_failed = leat__alloc_calls() != calls;
        leat__alloc_fail_at(0);
        assert_true(code < 0);
        FAIL_UNLESS(told == had_failed, "allocation %llu: told %d", (unsigned long long)n, told);
        leat_topology_free(t);
        assert_int_equal(leat__alloc_live(), live);
        if (!had_failed)
            break;
        assert_true(n < 10000);
    }
}

static void
test_declare__given_no_memory_for_a_topology__when_declared__then_all_is_inert_and_one_error_tells(
    void **state)
{
    (void)state;
    leat__alloc_fail_at(1);
    leat_topology *t = leat_topology_new("t");
    leat__alloc_fail_at(0);
    declare_small(t);
    assert_int_equal(leat_check(t), LEAT_ENOMEM);
    assert_string_equal(messages(t),
        "topology: out of memory while it was declared; give the process more, or declare fewer nodes\n");
    assert_string_equal(leat_topology_name(t), "");
    assert_null(fake_source(t, "in", NULL)->node);
    leat_topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declare__given_a_good_topology__when_checked__then_it_has_no_error),
        cmocka_unit_test(
            test_declare__given_the_type_of_dead_letters__when_checked__then_layout_and_fingerprint_are_right),
        cmocka_unit_test(
            test_declare__given_names__when_declared__then_bad_ones_are_refused_with_a_better_one),
        cmocka_unit_test(test_declare__given_a_bad_topology_name__when_made__then_its_error_says_so),
        cmocka_unit_test(
            test_declare__given_a_name_twice__when_declared__then_the_message_names_the_other_and_a_free_one),
        cmocka_unit_test(
            test_declare__given_mistakes__when_declared__then_each_gives_one_message_and_no_cascade),
        cmocka_unit_test(test_declare__given_many_mistakes__when_declared__then_all_are_kept_in_order),
        cmocka_unit_test(
            test_declare__given_more_nodes_than_a_topology_takes__when_declared__then_the_limit_is_named),
        cmocka_unit_test(
            test_declare__given_options_of_another_version__when_copied__then_only_an_unknown_option_set_is_refused),
        cmocka_unit_test(test_declare__given_source_options__when_wrong__then_each_is_named),
        cmocka_unit_test(test_declare__given_a_source_policy__when_set__then_the_node_has_it),
        cmocka_unit_test(
            test_declare__given_units_of_time__when_converted__then_microseconds_floor_and_saturate),
        cmocka_unit_test(
            test_declare__given_callbacks_of_other_types__when_needed__then_the_first_difference_is_named),
        cmocka_unit_test(test_declare__given_a_descriptor_with_another_layout__when_used__then_it_is_refused),
        cmocka_unit_test(test_declare__given_a_stream_of_another_topology__when_used__then_both_are_named),
        cmocka_unit_test(
            test_declare__given_a_stream_that_waits_for_its_node__when_consumed__then_it_is_told),
        cmocka_unit_test(
            test_declare__given_named_outputs__when_asked_for__then_they_are_found_or_a_near_one_is_offered),
        cmocka_unit_test(
            test_declare__given_dead_letters__when_taken_twice__then_it_is_one_output_without_event_time),
        cmocka_unit_test(test_check__given_what_is_missing__when_checked__then_it_is_named),
        cmocka_unit_test(test_check__given_a_sink_with_an_error__when_checked__then_no_sink_is_missing),
        cmocka_unit_test(test_check__given_a_window_without_aggregate__when_checked__then_it_is_named),
        cmocka_unit_test(
            test_check__given_dead_letters_and_policies_that_disagree__when_checked__then_it_is_told),
        cmocka_unit_test(test_declare__given_changes__when_not_taken__then_origin_and_remedy_are_named),
        cmocka_unit_test(test_declare__given_durations__when_printed__then_people_can_read_them),
        cmocka_unit_test(
            test_declare__given_things_to_release__when_the_topology_goes__then_each_is_released_once),
        cmocka_unit_test(
            test_declare__given_no_memory_at_some_point__when_declared__then_an_error_tells_and_nothing_leaks),
        cmocka_unit_test(
            test_declare__given_no_memory_for_a_topology__when_declared__then_all_is_inert_and_one_error_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
