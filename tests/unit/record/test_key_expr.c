/* tests/unit/record/test_key_expr.c -- keys of expressions: what is a field and what an expression, one spelling of
 * each, bytes as those of fields with the same values, rows for which an expression fails, and declarations that are
 * refused. */
#include "record/key.h"
#include "base/alloc.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <stdio.h>

#define GROUP LEAT_KEY_NULLS_GROUP
#define SKIP LEAT_KEY_NULLS_SKIP

static struct leat_key *new_key(const char *text, enum leat_key_nulls nulls)
{
    struct leat_key *key;
    struct leat_error err = { 0 };
    if (leat__key_new(&sample_order_type, text, nulls, &key, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return key;
}

/* ---- text ---- */

static void test_key__given_ways_to_write_it__when_declared__then_its_text_is_one(void **state)
{
    static const struct {
        const char *written, *text, *named;
    } rows[] = {
        { "customer", "customer", "customer" },
        { " address . zip ,\norder_id", "address.zip, order_id", "address.zip, order_id" },
        { "address.zip AS postcode", "address.zip", "address.zip as postcode" },
        { "\"customer\"", "\"customer\"", "\"customer\"" }, /* in quotes, but a field */
        { "lower( customer )as mail", "lower(customer)", "lower(customer) as mail" },
        { "LOWER(customer)", "lower(customer)", "lower(customer)" },
        { "floor(total/100) , status", "floor(total / 100), status", "floor(total / 100), status" },
        { "customer||', '||status", "customer || ', ' || status", "customer || ', ' || status" },
        { "order_id%7", "order_id % 7", "order_id % 7" },
        { "- order_id", "-order_id", "-order_id" },
        { "quantity - -1", "quantity - -1", "quantity - -1" },
        { "2 *( quantity+1 )", "2 * (quantity + 1)", "2 * (quantity + 1)" },
        { "quantity==3 OR Paid", NULL, NULL }, /* no field Paid */
        { "quantity==3 OR paid", "quantity = 3 or paid", "quantity = 3 or paid" },
        { "quantity<>3", "quantity != 3", "quantity != 3" },
        { "status IN('PAID' ,'PENDING')", "status in ('PAID', 'PENDING')", "status in ('PAID', 'PENDING')" },
        { "CASE when quantity>2 THEN 'many' else 'few' END as amount_of",
            "case when quantity > 2 then 'many' else 'few' end",
            "case when quantity > 2 then 'many' else 'few' end as amount_of" },
        { "created<Timestamp '2026-01-01'", "created < timestamp '2026-01-01'",
            "created < timestamp '2026-01-01'" },
        { "cast(order_id as string) as id", "cast(order_id as string)", "cast(order_id as string) as id" },
        { "coalesce(address.zip,'none')", "coalesce(address.zip, 'none')", "coalesce(address.zip, 'none')" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_key *key;
        struct leat_error err = { 0 };
        const int code = leat__key_new(&sample_order_type, rows[i].written, GROUP, &key, &err);
        FAIL_UNLESS((code == 0) == (rows[i].text != NULL), "%s: %s", rows[i].written, err.message);
        if (code < 0)
            continue;
        assert_string_equal(leat__key_text(key), rows[i].text);
        assert_string_equal(leat__key_named_text(key), rows[i].named);
        leat__key_free(key);
    }
}

static void test_key__given_parts__when_asked__then_it_tells_their_names_types_and_whether_they_are_null(
    void **state)
{
    static const struct {
        const char *text, *name, *type;
        bool is_nullable, is_expr;
    } parts[] = {
        { "address.zip", "zip", "string", true, false },
        { "customer", "who", "string", false, false },
        { "lower(note)", NULL, "string", true, true },
        { "quantity + 1", "next", "long", false, true },
        { "stock / 2", NULL, "long", true, true },
        { "date_trunc('day', created)", "day", "long", false, true },
        { "total * 2", NULL, "double", false, true },
        { "paid or gift", NULL, "boolean", true, true },
    };
    struct leat_key *key =
        new_key("address.zip, customer as who, lower(note), quantity + 1 as next, stock / 2, "
                "date_trunc('day', created) as day, total * 2, paid or gift",
            GROUP);
    (void)state;
    assert_int_equal(leat__key_parts_count(key), COUNT_OF(parts));
    for (uint32_t i = 0; i < COUNT_OF(parts); i++) {
        const struct leat_key_part part = leat__key_part(key, i);
        assert_string_equal(part.text, parts[i].text);
        assert_true((part.name == NULL) == (parts[i].name == NULL));
        if (part.name)
            assert_string_equal(part.name, parts[i].name);
        assert_string_equal(part.type->name, parts[i].type);
        assert_int_equal(part.is_nullable, parts[i].is_nullable);
        assert_int_equal(part.expr != NULL, parts[i].is_expr);
    }
    leat__key_free(key);
}

static void test_key__given_what_can_not_be_a_key__when_declared__then_the_message_says_where_and_why(
    void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } rows[] = {
        { "order_id, lower(custmer)", LEAT_EEXPR,
            "column 17: no field \"custmer\" in order (order_id, customer, status, quantity, total, weight, "
            "discount, note, paid, gift, created, shipped, seen, opened, due, clock, address, amount, code, "
            "stock, "
            "previous, tags, labels, either); did you mean \"customer\"?" },
        { "lower(quantity)", LEAT_EEXPR, NULL },
        { "lower(customer", LEAT_EEXPR, NULL },
        { "order id", LEAT_EEXPR, NULL },
        { "order_id, 'eu'", LEAT_EDECLARE,
            "'eu' is the same for all records, which would all have one key: use fields of the record" },
        { "order_id is null", LEAT_EDECLARE,
            "order_id is null is the same for all records, which would all have one key: use fields of the "
            "record" },
        { "null", LEAT_EDECLARE, NULL }, /* a field of this name */
        { "amount + 1", LEAT_EEXPR, NULL },
        { "order_id,, paid", LEAT_EDECLARE, "a key has a field without a name; expected \"a, b\"" },
        { "lower(customer),", LEAT_EDECLARE, "a key has a field without a name; expected \"a, b\"" },
        { "lower(customer) as", LEAT_EEXPR,
            "column 19: a name is missing behind \"as\": lower(email) as email" },
        { "lower(customer) as 'x'", LEAT_EEXPR,
            "column 20: a name is missing behind \"as\": lower(email) as email" },
        { "lower(customer) as x y", LEAT_EEXPR,
            "column 22: unexpected behind the name \"x\"; parts of a key are separated by commas" },
        { "lower(customer) as x, paid as x", LEAT_EDECLARE,
            "lower(customer) and paid are both named \"x\": give each a name of its own" },
        { "customer; paid", LEAT_EEXPR, "column 9: unexpected character \";\"" },
        { "customer, 'open", LEAT_EEXPR, "column 11: a text without its closing '" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_key *key;
        struct leat_error err = { 0 };
        const int code = leat__key_new(&sample_order_type, rows[i].text, GROUP, &key, &err);
        FAIL_UNLESS(code == rows[i].code && err.code == code, "%s: %d, %s", rows[i].text, code, err.message);
        assert_null(key);
        if (rows[i].message)
            assert_string_equal(err.message, rows[i].message);
        assert_int_equal(leat__key_new(&sample_order_type, rows[i].text, GROUP, &key, NULL), code);
    }
}

static void test_key__given_an_expression_and_a_field__when_compared__then_they_fit_by_class_and_unit(
    void **state)
{
    static const struct {
        const char *a, *b;
        enum leat_key_nulls nulls;
        const char *message; /* NULL: they fit */
    } rows[] = {
        { "lower(customer)", "customer", GROUP, NULL },
        { "quantity + 1", "order_id", GROUP, NULL },
        { "coalesce(stock, 0)", "order_id", GROUP, NULL },
        { "stock + 1", "order_id", SKIP, NULL },
        { "total * 2", "weight", GROUP, NULL },
        { "date_trunc('hour', created)", "shipped", SKIP, NULL },
        { "stock + 1", "order_id", GROUP,
            "key field \"stock + 1\" groups nulls and \"order_id\" can not be null, so that equal values "
            "have "
            "different bytes" },
        { "floor(total)", "order_id", GROUP,
            "key fields \"floor(total)\" (float) and \"order_id\" (integer) never are equal; use fields of "
            "one "
            "class" },
        { "date_trunc('hour', created)", "created", GROUP,
            "key fields \"date_trunc('hour', created)\" and \"created\" count time in different units; "
            "convert "
            "one of them first" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_key *a = new_key(rows[i].a, rows[i].nulls), *b = new_key(rows[i].b, rows[i].nulls);
        struct leat_error err = { 0 };
        const int code = leat__key_compatible(a, b, &err);
        FAIL_UNLESS((code == 0) == !rows[i].message, "%s with %s: %s", rows[i].a, rows[i].b, err.message);
        if (rows[i].message)
            assert_string_equal(err.message, rows[i].message);
        leat__key_free(a);
        leat__key_free(b);
    }
}

/* ---- bytes ---- */

/* Sample orders with other numbers and texts, some of them null. */
static struct leat_batch *varied_batch(struct leat_pool *pool, uint32_t count)
{
    static const char *const names[] = { "ada", "Bob", "", "a\0b", "zed" };
    struct leat_batch *batch = sample_batch(pool, count);
    for (uint32_t i = 0; i < count; i++) {
        struct sample_order *row = leat_batch_at(batch, i);
        row->order_id = (int64_t)i * 7919 - 20000;
        row->customer = (struct leat_sv){ names[i % 5], i % 5 == 3 ? 3 : strlen(names[i % 5]) };
        row->quantity = (int32_t)(i % 11) - 5;
        row->total = (double)row->order_id / 3;
    }
    return batch;
}

static void check_same(
    const struct leat_batch *batch, const char *field, const char *expr, enum leat_key_nulls nulls)
{
    struct leat_key *a = new_key(field, nulls), *b = new_key(expr, nulls);
    struct leat_key_scratch *a_scratch, *b_scratch;
    const struct leat_sv *want, *got;
    assert_int_equal(leat__key_scratch_new(&a_scratch), 0);
    assert_int_equal(leat__key_scratch_new(&b_scratch), 0);
    assert_int_equal(leat__key_eval(a, a_scratch, NULL, batch, &want), 0);
    assert_int_equal(leat__key_eval(b, b_scratch, NULL, batch, &got), 0);
    assert_int_equal(leat__key_bad_rows(b_scratch), 0);
    for (uint32_t i = 0; i < batch->count; i++) {
        assert_int_equal(!want[i].data, !got[i].data);
        FAIL_UNLESS(
            !want[i].data || leat_sv_eq(want[i], got[i]), "%s and %s differ in row %u", field, expr, i);
    }
    assert_int_equal(leat__key_fixed_size(a), leat__key_fixed_size(b));
    leat__key_scratch_free(a_scratch);
    leat__key_scratch_free(b_scratch);
    leat__key_free(a);
    leat__key_free(b);
}

static void
test_key__given_an_expression_with_the_values_of_a_field__when_evaluated__then_the_bytes_are_the_same(
    void **state)
{
    static const struct {
        const char *field, *expr;
    } rows[] = {
        { "order_id", "order_id + 0" },
        { "customer", "customer || ''" },
        { "quantity", "quantity * 1" },
        { "total", "total * 1" },
        { "paid", "not (not paid)" },
        { "status", "status || ''" },
        { "stock", "stock + 0" },
        { "note", "note || ''" },
        { "gift", "gift = true" },
        { "shipped", "add_seconds(shipped, 0)" },
        { "address.zip", "address.zip || ''" },
        { "customer, order_id", "customer || '', order_id" },
        { "note, customer, stock", "note, customer || '', stock + 0" },
        { "total, gift, status", "total, gift = true, status || ''" },
    };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = varied_batch(pool, 64);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_same(batch, rows[i].field, rows[i].expr, GROUP);
        check_same(batch, rows[i].field, rows[i].expr, SKIP);
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_key__given_rows_for_which_it_fails__when_evaluated__then_they_are_bad_and_the_others_right(
    void **state)
{
    static const struct {
        const char *good, *bad; /* the same, where that does not fail */
        const char *why;
    } rows[] = {
        { "100 / nullif(quantity, 0)", "100 / quantity",
            "key 100 / quantity: column 5: division by zero; guard it: b != 0 and ..., or divide by "
            "nullif(b, 0)" },
        { "100 / nullif(quantity, 0), customer", "100 / quantity, customer",
            "key 100 / quantity, customer: column 5: division by zero; guard it: b != 0 and ..., or divide "
            "by nullif(b, 0)" },
        { "customer || cast(10 / nullif(quantity, 0) as string), note",
            "customer || cast(10 / quantity as string), note", NULL },
    };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = varied_batch(pool, 64);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_key *good = new_key(rows[i].good, SKIP), *bad = new_key(rows[i].bad, SKIP);
        struct leat_key_scratch *good_scratch, *bad_scratch;
        const struct leat_sv *want, *got;
        uint32_t count = 0;
        assert_int_equal(leat__key_scratch_new(&good_scratch), 0);
        assert_int_equal(leat__key_scratch_new(&bad_scratch), 0);
        assert_int_equal(leat__key_eval(good, good_scratch, NULL, batch, &want), 0);
        assert_int_equal(leat__key_eval(bad, bad_scratch, NULL, batch, &got), 0);
        for (uint32_t r = 0; r < batch->count; r++) {
            const bool fails = ((const struct sample_order *)leat_batch_at(batch, r))->quantity == 0;
            count += fails;
            assert_int_equal(leat__key_is_bad(got[r]), fails);
            assert_false(leat__key_is_bad(want[r]));
            assert_int_equal(!want[r].data, !got[r].data);
            FAIL_UNLESS(!got[r].data || leat_sv_eq(want[r], got[r]), "%s: row %u", rows[i].bad, r);
        }
        assert_true(count > 0);
        assert_int_equal(leat__key_bad_rows(bad_scratch), count);
        struct leat_error err = { 0 };
        assert_true(leat__key_explain(bad, bad_scratch, batch, 5, &err) < 0);
        if (rows[i].why)
            assert_string_equal(err.message, rows[i].why);
        leat__key_hash(got, batch);
        assert_int_equal(batch->key_hash[5], 0);
        /* A batch without such rows is whole again. */
        batch->count = 5;
        assert_int_equal(leat__key_eval(bad, bad_scratch, NULL, batch, &got), 0);
        assert_int_equal(leat__key_bad_rows(bad_scratch), 0);
        batch->count = 64;
        leat__key_scratch_free(good_scratch);
        leat__key_scratch_free(bad_scratch);
        leat__key_free(good);
        leat__key_free(bad);
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_key__given_one_scratch__when_several_keys_use_it__then_each_has_its_own_expressions(
    void **state)
{
    static const char *const texts[] = { "lower(customer)", "quantity + 1", "customer", "total * 2, note" };
    struct leat_key *keys[COUNT_OF(texts)];
    struct leat_key_scratch *shared, *own;
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = varied_batch(pool, 16);
    assert_int_equal(leat__key_scratch_new(&shared), 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        keys[i] = new_key(texts[i], GROUP);
    for (size_t i = 0; i < 3 * COUNT_OF(texts); i++) {
        const struct leat_sv *want, *got;
        assert_int_equal(leat__key_scratch_new(&own), 0);
        assert_int_equal(leat__key_eval(keys[i % COUNT_OF(texts)], own, NULL, batch, &want), 0);
        assert_int_equal(leat__key_eval(keys[i % COUNT_OF(texts)], shared, NULL, batch, &got), 0);
        for (uint32_t r = 0; r < batch->count; r++)
            assert_true(leat_sv_eq(want[r], got[r]));
        leat__key_scratch_free(own);
    }
    leat__key_scratch_free(shared);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        leat__key_free(keys[i]);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

/* ---- memory ---- */

static void test_key__given_a_warm_scratch__when_an_expression_is_evaluated__then_nothing_is_allocated(
    void **state)
{
    static const char *const texts[] = { "order_id % 7", "lower(customer)", "lower(customer), stock / 2",
        "100 / quantity, customer" };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = varied_batch(pool, 64);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct leat_key_scratch *scratch;
        const struct leat_sv *keys;
        struct leat_key *key = new_key(texts[i], GROUP);
        assert_int_equal(leat__key_scratch_new(&scratch), 0);
        assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
        assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
        const uint64_t calls = leat__alloc_calls();
        assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
        FAIL_UNLESS(leat__alloc_calls() == calls, "%s: %llu allocations", texts[i],
            (unsigned long long)(leat__alloc_calls() - calls));
        leat__key_scratch_free(scratch);
        leat__key_free(key);
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_key__given_a_failing_allocation__when_used__then_it_is_an_error_without_a_leak(void **state)
{
    static const char *const texts[] = { "lower(customer) as mail, order_id % 7",
        "100 / quantity, customer" };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = varied_batch(pool, 64);
    for (uint64_t n = 1, done = 0; done < COUNT_OF(texts); n++) {
        struct leat_key *key = NULL;
        struct leat_key_scratch *scratch = NULL;
        const struct leat_sv *keys;
        const int64_t live = leat__alloc_live();
        struct leat_error err = { 0 };
        leat__alloc_fail_at(n);
        int code = leat__key_new(&sample_order_type, texts[done], GROUP, &key, &err);
        if (code == 0)
            code = leat__key_scratch_new(&scratch);
        if (code == 0)
            code = leat__key_eval(key, scratch, NULL, batch, &keys);
        leat__alloc_fail_at(0);
        if (code == LEAT_ENOMEM && scratch)
            assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0); /* next time */
        leat__key_scratch_free(scratch);
        leat__key_free(key);
        assert_int_equal(leat__alloc_live(), live);
        if (code == 0) {
            assert_true(n > 8);
            done++;
            n = 0;
        } else {
            assert_int_equal(code, LEAT_ENOMEM);
        }
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key__given_ways_to_write_it__when_declared__then_its_text_is_one),
        cmocka_unit_test(
            test_key__given_parts__when_asked__then_it_tells_their_names_types_and_whether_they_are_null),
        cmocka_unit_test(
            test_key__given_what_can_not_be_a_key__when_declared__then_the_message_says_where_and_why),
        cmocka_unit_test(
            test_key__given_an_expression_and_a_field__when_compared__then_they_fit_by_class_and_unit),
        cmocka_unit_test(
            test_key__given_an_expression_with_the_values_of_a_field__when_evaluated__then_the_bytes_are_the_same),
        cmocka_unit_test(
            test_key__given_rows_for_which_it_fails__when_evaluated__then_they_are_bad_and_the_others_right),
        cmocka_unit_test(
            test_key__given_one_scratch__when_several_keys_use_it__then_each_has_its_own_expressions),
        cmocka_unit_test(
            test_key__given_a_warm_scratch__when_an_expression_is_evaluated__then_nothing_is_allocated),
        cmocka_unit_test(test_key__given_a_failing_allocation__when_used__then_it_is_an_error_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
