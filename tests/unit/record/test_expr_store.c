/* tests/unit/record/test_expr_store.c -- storing values of expressions into fields: what fits, how it is
 * converted, and what is refused. */
#include "record/expr.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>

struct kit {
    struct leat_pool *pool;
    struct leat_batch *from, *to;
    struct leat_expr *expr;
    struct leat_expr_scratch *scratch;
    struct leat_vector vector;
    struct leat_error err;
    uint32_t bad_row;
};

/* Evaluates over the sample orders and stores into another batch of them. */
static int open_kit(struct kit *kit, const char *text, const char *field)
{
    struct leat_expr_store store;
    *kit = (struct kit){ .bad_row = UINT32_MAX };
    assert_int_equal(leat__pool_new(64, &kit->pool), 0);
    kit->from = sample_batch(kit->pool, SAMPLE_ORDERS);
    kit->to = sample_batch(kit->pool, SAMPLE_ORDERS);
    if (leat__expr_new(text, &sample_order_type, &kit->expr, &kit->err) != 0)
        fail_msg("%s: %s", text, kit->err.message);
    const int code = leat__expr_store_new(kit->expr, &sample_order_type, field, &store, &kit->err);
    if (code != 0)
        return code;
    assert_int_equal(leat__expr_scratch_new(kit->expr, &kit->scratch), 0);
    if (leat__expr_eval(kit->expr, kit->scratch, kit->from, &kit->vector, NULL, &kit->err) != 0)
        fail_msg("%s: %s", text, kit->err.message);
    return leat__expr_store(&store, &kit->vector, kit->to, &kit->bad_row, &kit->err);
}

static void close_kit(struct kit *kit)
{
    leat__expr_scratch_free(kit->scratch);
    leat__expr_free(kit->expr);
    leat__batch_release(kit->from);
    leat__batch_release(kit->to);
    leat__pool_free(kit->pool);
}

/* ---- what fits ---- */

static const struct {
    const char *expr, *field, *values[SAMPLE_ORDERS];
} stored[] = {
    { "order_id + 1", "order_id", { "1002", "-6" } },
    { "quantity + 1", "quantity", { "4", "1" } },
    { "quantity", "total", { "3", "0" } },
    { "quantity", "weight", { "3", "0" } },
    { "total * 2", "total", { "2501", "-1" } },
    { "total * 2", "weight", { "2501", "-1" } },
    { "total / 0", "weight", { "inf", "-inf" } },
    { "not paid", "paid", { "0", "1" } },
    { "gift", "gift", { "1", "null" } },
    { "paid", "gift", { "1", "0" } },
    { "null", "gift", { "null", "null" } },
    { "stock", "stock", { "40", "null" } },
    { "coalesce(stock, -1)", "stock", { "40", "-1" } },
    { "'x' || customer", "customer",
        { "'xAda Lovelace'",
            "'xGr\xc3\xa4"
            "fin \xe2\x82\xac'" } },
    { "customer", "customer",
        { "'Ada Lovelace'",
            "'Gr\xc3\xa4"
            "fin \xe2\x82\xac'" } },
    { "note", "note", { "'urgent: call first'", "null" } },
    { "'PAID'", "status", { "1", "1" } },
    { "status", "previous", { "0", "2" } },
    { "previous", "previous", { "1", "null" } },
    { "case when paid then 'SHIPPED' else 'PENDING' end", "status", { "2", "0" } },
    { "if(paid, 'ABCD', '1234')", "code", { "'ABCD'", "'1234'" } },
    { "created + interval '1 second'", "created", { "1769862897789", "999" } },
    { "seen", "created", { "1769862896789", "-1" } }, /* cut toward the past */
    { "created", "shipped", { "1769862896789000", "-1000" } },
    { "shipped", "shipped", { "1769904000000001", "null" } },
    { "created", "seen", { "1769862896789000000", "-1000000" } },
    { "created", "opened", { "1769862896789000", "-1000" } },
    { "created", "due", { "20484", "-1" } },
    { "due", "due", { "20498", "-1" } },
    { "clock + 1", "clock", { "45296790", "1" } },
    { "customer", "address.street",
        { "'Ada Lovelace'",
            "'Gr\xc3\xa4"
            "fin \xe2\x82\xac'" } },
    { "note", "address.zip", { "'urgent: call first'", "null" } },
    { "stock + 2", "address.floor", { "42", "null" } },
};

static void print_field(const void *row, const struct leat_place *place, char *text, size_t size)
{
    int64_t number;
    double real;
    struct leat_sv string;
    if (leat_record_is_null(row, place))
        (void)snprintf(text, size, "null");
    else if (leat_record_get_i64(row, place, &number) == 0)
        (void)snprintf(text, size, "%lld", (long long)number);
    else if (leat_record_get_f64(row, place, &real) == 0)
        (void)snprintf(text, size, "%g", real);
    else if (leat_record_get_sv(row, place, &string) == 0)
        (void)snprintf(text, size, "'%.*s'", (int)string.len, string.data);
    else
        fail_msg("unknown kind");
}

static void test_expr_store__given_values__when_stored__then_fields_have_them_in_their_own_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stored); i++) {
        struct kit kit;
        struct leat_place place;
        char got[128];
        if (open_kit(&kit, stored[i].expr, stored[i].field) != 0)
            fail_msg("%s into %s: %s", stored[i].expr, stored[i].field, kit.err.message);
        assert_int_equal(leat_record_find(&sample_order_type, stored[i].field, &place, NULL), 0);
        for (uint32_t k = 0; k < SAMPLE_ORDERS; k++) {
            print_field(leat_batch_at(kit.to, k), &place, got, sizeof got);
            FAIL_UNLESS(strcmp(got, stored[i].values[k]) == 0, "%s into %s, row %u: got %s, want %s",
                stored[i].expr, stored[i].field, k, got, stored[i].values[k]);
        }
        close_kit(&kit);
    }
}

static void test_expr_store__given_a_field_in_a_record_that_is_null__when_stored__then_the_record_is_present(
    void **state)
{
    struct kit kit;
    (void)state;
    assert_int_equal(open_kit(&kit, "customer", "address.street"), 0);
    const struct sample_order *row = leat_batch_at(kit.to, 1);
    assert_true(row->has_address);
    close_kit(&kit);
}

/* ---- what does not ---- */

static const struct {
    const char *expr, *field, *message;
} refused[] = {
    { "total", "quantity",
        "\"total\" gives float, which does not fit field quantity of type int; write cast(... as long)" },
    { "total", "order_id",
        "\"total\" gives float, which does not fit field order_id of type long; write cast(... as long)" },
    { "quantity", "customer",
        "\"quantity\" gives integer, which does not fit field customer of type string; write cast(... as "
        "string)" },
    { "customer", "total",
        "\"customer\" gives string, which does not fit field total of type double; write cast(... as "
        "double)" },
    { "quantity", "created",
        "\"quantity\" gives integer, which does not fit field created of type long; timestamp_millis(...) or "
        "timestamp_micros(...) says the unit" },
    { "created", "order_id",
        "\"created\" gives timestamp, which does not fit field order_id of type long; epoch_millis(...) or "
        "epoch_micros(...) says the unit" },
    { "quantity", "due",
        "\"quantity\" gives integer, which does not fit field due of type int; timestamp_millis(...) or "
        "timestamp_micros(...) says the unit" },
    { "total", "amount",
        "\"total\" gives float, which does not fit field amount of type bytes; expressions do not "
        "make decimals" },
    { "paid", "quantity",
        "\"paid\" gives boolean, which does not fit field quantity of type int; write cast(... as long)" },
    { "paid", "tags", "\"paid\" gives boolean, which does not fit field tags of type array" },
    { "stock", "order_id",
        "\"stock\" may be null, field order_id of type long can not; write coalesce(..., a default)" },
    { "null", "paid",
        "\"null\" may be null, field paid of type boolean can not; write coalesce(..., a default)" },
    { "stock", "address.street",
        "\"stock\" gives integer, which does not fit field address.street of type string; "
        "write cast(... as string)" },
    { "quantity", "quantiti",
        "no field \"quantiti\" in order (order_id, customer, status, quantity, total, weight, discount, "
        "note, paid, gift, "
        "created, shipped, seen, opened, due, clock, address, amount, code, stock, previous, tags, labels, "
        "either); did you "
        "mean \"quantity\"?" },
};

static void test_expr_store__given_a_class_that_does_not_fit__when_compiled__then_the_message_says_what_would(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct kit kit;
        assert_int_equal(open_kit(&kit, refused[i].expr, refused[i].field), LEAT_EEXPR);
        assert_int_equal(kit.err.code, LEAT_EEXPR);
        assert_string_equal(kit.err.message, refused[i].message);
        close_kit(&kit);
    }
}

static const struct {
    const char *expr, *field, *message;
    uint32_t bad_row;
} failing[] = {
    { "order_id * 10000000", "quantity", "row 0: 10010000000 does not fit int", 0 },
    { "if(paid, 1, -3000000000)", "quantity", "row 1: -3000000000 does not fit int", 1 },
    { "if(paid, 1, 1e300)", "weight", "row 1: 1e+300 does not fit float", 1 },
    { "if(paid, 'PAID', 'LOST')", "status", "row 1: 'LOST' does not fit status", 1 },
    { "customer", "code", "row 0: 'Ada Lovelace' does not fit code", 0 },
    { "''", "code", "row 0: '' does not fit code", 0 },
    { "timestamp_micros(9223372036854775807)", "seen",
        "row 0: the timestamp 9223372036854775807 us is beyond the nanoseconds of 64 bits", 0 },
};

static void test_expr_store__given_a_value_that_does_not_fit__when_stored__then_it_is_bad_data_of_that_row(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(failing); i++) {
        struct kit kit;
        assert_int_equal(open_kit(&kit, failing[i].expr, failing[i].field), LEAT_EDATA);
        assert_string_equal(kit.err.message, failing[i].message);
        assert_int_equal(kit.bad_row, failing[i].bad_row);
        close_kit(&kit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expr_store__given_values__when_stored__then_fields_have_them_in_their_own_unit),
        cmocka_unit_test(
            test_expr_store__given_a_field_in_a_record_that_is_null__when_stored__then_the_record_is_present),
        cmocka_unit_test(
            test_expr_store__given_a_class_that_does_not_fit__when_compiled__then_the_message_says_what_would),
        cmocka_unit_test(
            test_expr_store__given_a_value_that_does_not_fit__when_stored__then_it_is_bad_data_of_that_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
