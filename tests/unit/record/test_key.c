/* tests/unit/record/test_key.c -- keys: bytes as specified, the order of the bytes as that of the values, no
 * collisions, nulls, and which keys can be joined. */
#include "record/key.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/limits.h"
#include "tests/support/random_record.h"
#include "tests/support/sample_order.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct leat_key *new_key(const struct leat_type *type, const char *fields, enum leat_key_nulls nulls)
{
    struct leat_key *key;
    struct leat_error err = { 0 };
    if (leat__key_new(type, fields, nulls, &key, &err) != 0)
        fail_msg("%s: %s", fields, err.message);
    return key;
}

/* ---- the bytes ---- */

/* "01 61 62" */
static void print_bytes(struct leat_sv key, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s", key.data ? "" : "null");
    for (size_t i = 0; key.data && i < key.len && used < size; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%02x", i ? " " : "", (unsigned char)key.data[i]);
}

#define GROUP LEAT_KEY_NULLS_GROUP
#define SKIP LEAT_KEY_NULLS_SKIP

static const struct {
    const char *fields;
    enum leat_key_nulls nulls;
    uint32_t fixed_size;
    const char *bytes[SAMPLE_ORDERS];
} encoded[] = {
    { "order_id", GROUP, 8, { "80 00 00 00 00 00 03 e9", "7f ff ff ff ff ff ff f9" } },
    { "order_id", SKIP, 8, { "80 00 00 00 00 00 03 e9", "7f ff ff ff ff ff ff f9" } },
    { "quantity", GROUP, 8, { "80 00 00 00 00 00 00 03", "80 00 00 00 00 00 00 00" } },
    { "due", GROUP, 8, { "80 00 00 00 00 00 50 12", "7f ff ff ff ff ff ff ff" } },
    { "created", GROUP, 8,
        { "80 00 01 9c 14 0c 9c 95", "7f ff ff ff ff ff ff ff" } }, /* milliseconds, as stored */
    { "paid", GROUP, 1, { "01", "00" } },
    { "total", GROUP, 8, { "c0 93 8a 00 00 00 00 00", "40 1f ff ff ff ff ff ff" } },
    { "weight", GROUP, 8, { "c0 04 00 00 00 00 00 00", "80 00 00 00 00 00 00 00" } },
    { "customer", GROUP, 0, { "41 64 61 20 4c 6f 76 65 6c 61 63 65", "47 72 c3 a4 66 69 6e 20 e2 82 ac" } },
    { "status", GROUP, 0, { "50 45 4e 44 49 4e 47", "53 48 49 50 50 45 44" } },
    { "code", GROUP, 4, { "41 42 31 32", "00 00 00 00" } },
    { "stock", GROUP, 0, { "01 80 00 00 00 00 00 00 28", "00" } },
    { "stock", SKIP, 8, { "80 00 00 00 00 00 00 28", "null" } },
    { "note", SKIP, 0, { "75 72 67 65 6e 74 3a 20 63 61 6c 6c 20 66 69 72 73 74", "null" } },
    { "gift", GROUP, 0, { "01 01", "00" } },
    { "previous", GROUP, 0, { "01 50 41 49 44", "00" } },
    { "address.zip", GROUP, 0, { "01 53 57 31 59 20 34 4a 48", "00" } },
    { "quantity, paid", GROUP, 9, { "80 00 00 00 00 00 00 03 01", "80 00 00 00 00 00 00 00 00" } },
    { " quantity ,paid ", GROUP, 9, { "80 00 00 00 00 00 00 03 01", "80 00 00 00 00 00 00 00 00" } },
    { "code, paid", GROUP, 0, { "41 42 31 32 00 00 01", "00 ff 00 ff 00 ff 00 ff 00 00 00" } },
    { "status, gift", GROUP, 0, { "50 45 4e 44 49 4e 47 00 00 01 01", "53 48 49 50 50 45 44 00 00 00" } },
    { "status, gift", SKIP, 0, { "50 45 4e 44 49 4e 47 00 00 01", "null" } },
    { "stock, previous", GROUP, 0, { "01 80 00 00 00 00 00 00 28 01 50 41 49 44 00 00", "00 00" } },
};

static void test_key__given_fields__when_evaluated__then_bytes_are_as_specified(void **state)
{
    struct leat_pool *pool;
    struct leat_key_scratch *scratch;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    assert_int_equal(leat__key_scratch_new(&scratch), 0);
    struct leat_batch *batch = sample_batch(pool, 9);
    for (size_t i = 0; i < COUNT_OF(encoded); i++) {
        struct leat_key *key = new_key(&sample_order_type, encoded[i].fields, encoded[i].nulls);
        const struct leat_sv *keys;
        char got[128];
        assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
        for (uint32_t k = 0; k < batch->count; k++) {
            print_bytes(keys[k], got, sizeof got);
            FAIL_UNLESS(strcmp(got, encoded[i].bytes[k % 2]) == 0, "%s row %u: got %s, want %s",
                encoded[i].fields, k, got, encoded[i].bytes[k % 2]);
        }
        leat__key_hash(keys, batch);
        for (uint32_t k = 0; k < batch->count; k++)
            assert_int_equal(batch->key_hash[k], keys[k].data ? leat__hash(keys[k].data, keys[k].len) : 0);
        FAIL_UNLESS(leat__key_fixed_size(key) == encoded[i].fixed_size, "%s: fixed size %u",
            encoded[i].fields, leat__key_fixed_size(key));
        leat__key_free(key);
    }
    leat__batch_release(batch);
    leat__key_scratch_free(scratch);
    leat__pool_free(pool);
}

static void test_key__given_a_string_field__when_evaluated__then_keys_are_views_into_the_rows(void **state)
{
    struct leat_pool *pool;
    struct leat_key_scratch *scratch;
    const struct leat_sv *keys;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    assert_int_equal(leat__key_scratch_new(&scratch), 0);
    struct leat_batch *batch = sample_batch(pool, 3);
    struct sample_order *row = leat_batch_at(batch, 2);
    row->customer = (struct leat_sv){ NULL, 0 }; /* an empty string is no null key */
    struct leat_key *key = new_key(&sample_order_type, "customer", SKIP);
    assert_string_equal(leat__key_text(key), "customer");
    assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
    assert_ptr_equal(keys[0].data, sample_orders[0].customer.data);
    assert_non_null(keys[2].data);
    assert_int_equal(keys[2].len, 0);
    leat__key_free(key);
    leat__batch_release(batch);
    leat__key_scratch_free(scratch);
    leat__pool_free(pool);
}

static void test_key__given_an_enum_number_without_symbol__when_evaluated__then_it_is_bad_data(void **state)
{
    struct leat_pool *pool;
    struct leat_key_scratch *scratch;
    const struct leat_sv *keys;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    assert_int_equal(leat__key_scratch_new(&scratch), 0);
    struct leat_batch *batch = sample_batch(pool, 2);
    ((struct sample_order *)leat_batch_at(batch, 1))->status = 3;
    struct leat_key *key = new_key(&sample_order_type, "status", GROUP);
    assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), LEAT_EDATA);
    leat__key_free(key);
    leat__batch_release(batch);
    leat__key_scratch_free(scratch);
    leat__pool_free(pool);
}

/* ---- order and collisions, at random ---- */

struct flat {
    int64_t number;
    bool has_maybe;
    int32_t maybe;
    double real;
    struct leat_sv text;
    bool has_other;
    struct leat_sv other;
    bool flag;
    char bytes[2][4]; /* what the views show */
};

static const struct leat_type type_long = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type type_int = { .kind = LEAT_KIND_INT, .name = "int", .size = 4, .align = 4 };
static const struct leat_type type_double = {
    .kind = LEAT_KIND_DOUBLE, .name = "double", .size = 8, .align = 8
};
static const struct leat_type type_bool = {
    .kind = LEAT_KIND_BOOLEAN, .name = "boolean", .size = 1, .align = 1
};
static const struct leat_type type_string = {
    .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
};
static const struct leat_field flat_fields[] = {
    { "number", &type_long, offsetof(struct flat, number), LEAT_NOT_NULLABLE },
    { "maybe", &type_int, offsetof(struct flat, maybe), offsetof(struct flat, has_maybe) },
    { "real", &type_double, offsetof(struct flat, real), LEAT_NOT_NULLABLE },
    { "text", &type_string, offsetof(struct flat, text), LEAT_NOT_NULLABLE },
    { "other", &type_string, offsetof(struct flat, other), offsetof(struct flat, has_other) },
    { "flag", &type_bool, offsetof(struct flat, flag), LEAT_NOT_NULLABLE },
};
static const struct leat_type flat_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "flat",
    .size = sizeof(struct flat),
    .align = _Alignof(struct flat),
    .fields = flat_fields,
    .fields_count = COUNT_OF(flat_fields),
};

static int compare_doubles(double x, double y)
{
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return x < y ? -1 : x > y;
}

/* null first */
static int compare_field(char field, const struct flat *a, const struct flat *b)
{
    switch (field) {
    case 'n':
        return a->number < b->number ? -1 : a->number > b->number;
    case 'm':
        if (!a->has_maybe || !b->has_maybe)
            return a->has_maybe - b->has_maybe;
        return a->maybe < b->maybe ? -1 : a->maybe > b->maybe;
    case 'r':
        return compare_doubles(a->real, b->real);
    case 't':
        return leat_sv_cmp(a->text, b->text);
    case 'o':
        return !a->has_other || !b->has_other ? a->has_other - b->has_other : leat_sv_cmp(a->other, b->other);
    default:
        return a->flag - b->flag;
    }
}

static int compare_rows(const char *fields, const struct flat *a, const struct flat *b)
{
    for (const char *f = fields; *f; f++) {
        const int order = compare_field(*f, a, b);
        if (order != 0)
            return order;
    }
    return 0;
}

static struct leat_sv random_text(struct random_source *r, char *bytes)
{
    static const char alphabet[] = { 0, 0, 1, 'a', 'b', (char)0xff };
    const size_t len = random_below(r, 5);
    for (size_t i = 0; i < len; i++)
        bytes[i] = alphabet[random_below(r, sizeof alphabet)];
    return (struct leat_sv){ bytes, len };
}

static void fill_flat(struct random_source *r, struct flat *row)
{
    static const int64_t numbers[] = { 0, 1, -1, 255, 256, -256, INT64_MAX, INT64_MIN };
    static const double reals[] = { 0.0, -0.0, 1.0, -1.0, 0.5, 1e300, -1e300, INFINITY, -INFINITY, NAN,
        5e-324, -5e-324 };
    row->number = random_below(r, 2) ? numbers[random_below(r, COUNT_OF(numbers))] : (int64_t)random_next(r);
    row->has_maybe = random_below(r, 3) > 0;
    row->maybe = (int32_t)random_below(r, 5) - 2;
    row->real =
        random_below(r, 4) ? reals[random_below(r, COUNT_OF(reals))] : (double)(int32_t)random_next(r) / 3.0;
    row->text = random_text(r, row->bytes[0]);
    row->has_other = random_below(r, 3) > 0;
    row->other = random_text(r, row->bytes[1]);
    row->flag = random_below(r, 2);
}

static void check_order(const char *letters, const char *names, uint64_t seed)
{
    struct random_source random = { .state = seed };
    struct leat_pool *pool;
    struct leat_batch *batch;
    struct leat_key_scratch *scratch;
    const struct leat_sv *keys;
    assert_int_equal(leat__pool_new(256, &pool), 0);
    assert_int_equal(leat__batch_get(pool, &flat_type, &batch), 0);
    assert_int_equal(leat__key_scratch_new(&scratch), 0);
    leat__batch_rows(batch, 256);
    for (uint32_t i = 0; i < batch->count; i++)
        fill_flat(&random, leat_batch_at(batch, i));
    struct leat_key *key = new_key(&flat_type, names, GROUP);
    assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
    for (uint32_t i = 0; i < batch->count; i++) {
        for (uint32_t k = 0; k < batch->count; k++) {
            const int want = compare_rows(letters, leat_batch_at(batch, i), leat_batch_at(batch, k));
            const int got = leat_sv_cmp(keys[i], keys[k]);
            FAIL_UNLESS((want < 0) == (got < 0) && (want > 0) == (got > 0),
                "%s, seed %llu: rows %u and %u: values %d, bytes %d", names, (unsigned long long)seed, i, k,
                want, got);
        }
    }
    leat__key_free(key);
    leat__key_scratch_free(scratch);
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_key__given_random_rows__when_keys_are_compared__then_bytes_have_the_order_of_the_values(
    void **state)
{
    static const struct {
        const char *letters, *names;
    } rows[] = {
        { "n", "number" },
        { "m", "maybe" },
        { "r", "real" },
        { "t", "text" },
        { "o", "other" },
        { "f", "flag" },
        { "tn", "text, number" },
        { "to", "text, other" },
        { "ot", "other, text" },
        { "ottf", "other, text, text, flag" },
        { "mtor", "maybe, text, other, real" },
        { "rmnf", "real, maybe, number, flag" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (uint64_t seed = 1; seed <= 3; seed++)
            check_order(rows[i].letters, rows[i].names, seed);
}

/* ---- declaring ---- */

static void test_key__given_what_can_not_be_a_key__when_declared__then_the_message_says_why(void **state)
{
    static const struct {
        const char *fields, *message;
    } rows[] = {
        { "address.zpi", "no field \"zpi\" in address (street, zip, floor); did you mean \"zip\"?" },
        { "tags",
            "field \"tags\" is of kind array, which can not be a key; use numbers, strings, bytes, "
            "booleans, enums or timestamps" },
        { "labels",
            "field \"labels\" is of kind map, which can not be a key; use numbers, strings, bytes, "
            "booleans, enums or timestamps" },
        { "either",
            "field \"either\" is of kind union, which can not be a key; use numbers, strings, bytes, "
            "booleans, enums or timestamps" },
        { "address",
            "field \"address\" is a record, which can not be a key; name the fields in it, such as "
            "address.street" },
        { "amount", "field \"amount\" is a decimal, which can not be a key; use a long or string field" },
        { "", "a key has a field without a name; expected \"a, b\"" },
        { "order_id,", "a key has a field without a name; expected \"a, b\"" },
        { "paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid,paid",
            "a key of more than 16 fields" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_key *key;
        struct leat_error err = { 0 };
        assert_int_equal(leat__key_new(&sample_order_type, rows[i].fields, GROUP, &key, &err), LEAT_EDECLARE);
        assert_int_equal(err.code, LEAT_EDECLARE);
        assert_string_equal(err.message, rows[i].message);
        assert_null(key);
    }
}

static void test_key__given_two_keys__when_compared__then_they_fit_if_equal_values_have_equal_bytes(
    void **state)
{
    static const struct {
        const char *a, *b;
        enum leat_key_nulls a_nulls, b_nulls;
        const char *message; /* NULL: they fit */
    } rows[] = {
        { "order_id", "quantity", SKIP, SKIP, NULL },
        { "order_id", "stock", SKIP, SKIP, NULL },
        { "order_id", "stock", GROUP, GROUP,
            "key field \"stock\" groups nulls and \"order_id\" can not be null, so that equal values have "
            "different "
            "bytes" },
        { "stock", "stock", GROUP, GROUP, NULL },
        { "stock", "stock", GROUP, SKIP,
            "key field \"stock\" groups nulls and \"stock\" can not be null, so that equal values have "
            "different bytes" },
        { "order_id", "order_id", GROUP, SKIP, NULL },
        { "customer", "status", SKIP, SKIP, NULL },
        { "customer", "code", SKIP, SKIP, NULL },
        { "total", "weight", SKIP, SKIP, NULL },
        { "created", "order_id", SKIP, SKIP, NULL },
        { "customer, order_id", "note, stock", SKIP, SKIP, NULL },
        { "customer", "order_id", SKIP, SKIP,
            "key fields \"customer\" (string) and \"order_id\" (integer) never are equal; use fields of one "
            "class" },
        { "order_id, paid", "order_id, gift", SKIP, SKIP, NULL },
        { "order_id, paid", "order_id, total", SKIP, SKIP,
            "key fields \"paid\" (boolean) and \"total\" (float) never are equal; use fields of one class" },
        { "total", "order_id", SKIP, SKIP,
            "key fields \"total\" (float) and \"order_id\" (integer) never are equal; use fields of one "
            "class" },
        { "created", "seen", SKIP, SKIP,
            "key fields \"created\" and \"seen\" count time in different units; convert one of them first" },
        { "due", "clock", SKIP, SKIP,
            "key fields \"due\" and \"clock\" count time in different units; convert one of them first" },
        { "shipped", "opened", SKIP, SKIP, NULL },
        { "order_id", "order_id, paid", SKIP, SKIP,
            "keys \"order_id\" and \"order_id, paid\" have 1 and 2 fields; expected as many on both sides" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_key *a = new_key(&sample_order_type, rows[i].a, rows[i].a_nulls);
        struct leat_key *b = new_key(&sample_order_type, rows[i].b, rows[i].b_nulls);
        struct leat_error err = { 0 };
        const int code = leat__key_compatible(a, b, &err);
        FAIL_UNLESS((code == 0) == !rows[i].message, "%s with %s: %d", rows[i].a, rows[i].b, code);
        if (rows[i].message)
            assert_string_equal(err.message, rows[i].message);
        leat__key_free(a);
        leat__key_free(b);
    }
}

/* ---- callbacks ---- */

static uint64_t context; /* stands for a struct leat_ctx, which only the callback would look into */

static void last_name(struct leat_ctx *ctx, const struct leat_batch *batch, struct leat_sv *keys)
{
    assert_ptr_equal(ctx, (struct leat_ctx *)(void *)&context); /* what eval was given */
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct sample_order *row = leat_batch_at(batch, i);
        keys[i] = (struct leat_sv){ row->customer.data + 4, row->customer.len - 4 };
        if (!row->paid)
            keys[i].data = NULL;
    }
}

static void test_key__given_a_callback__when_evaluated__then_its_views_are_the_keys(void **state)
{
    struct leat_pool *pool;
    struct leat_key_scratch *scratch;
    struct leat_key *key;
    const struct leat_sv *keys;
    struct leat_error err = { 0 };
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    assert_int_equal(leat__key_scratch_new(&scratch), 0);
    struct leat_batch *batch = sample_batch(pool, 2);
    assert_int_equal(leat__key_new_fn(&sample_order_type, "last_name", last_name, &key, &err), 0);
    assert_string_equal(leat__key_text(key), "last_name");
    assert_int_equal(leat__key_fixed_size(key), 0);
    assert_int_equal(leat__key_eval(key, scratch, (struct leat_ctx *)(void *)&context, batch, &keys), 0);
    assert_true(leat_sv_eq(keys[0], LEAT_SV("Lovelace")));
    assert_null(keys[1].data);
    leat__key_hash(keys, batch);
    assert_int_equal(batch->key_hash[1], 0);
    assert_int_equal(leat__key_compatible(key, key, &err), 0);
    leat__key_free(key);
    leat__batch_release(batch);
    leat__key_scratch_free(scratch);
    leat__pool_free(pool);
}

/* ---- memory ---- */

static void test_key__given_a_warm_scratch__when_evaluated_again__then_nothing_is_allocated(void **state)
{
    static const char *const fields[] = { "order_id", "customer", "customer, stock, total",
        "note, address.zip" };
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = sample_batch(pool, 64);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct leat_key_scratch *scratch;
        const struct leat_sv *keys;
        struct leat_key *key = new_key(&sample_order_type, fields[i], GROUP);
        assert_int_equal(leat__key_scratch_new(&scratch), 0);
        assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
        const uint64_t calls = leat__alloc_calls();
        assert_int_equal(leat__key_eval(key, scratch, NULL, batch, &keys), 0);
        assert_int_equal(leat__alloc_calls(), calls);
        leat__key_free(key);
        leat__key_scratch_free(scratch);
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
}

static void test_key__given_a_failing_allocation__when_made_and_evaluated__then_it_is_an_error_without_a_leak(
    void **state)
{
    struct leat_pool *pool;
    (void)state;
    assert_int_equal(leat__pool_new(64, &pool), 0);
    struct leat_batch *batch = sample_batch(pool, 64);
    for (uint64_t n = 1;; n++) {
        struct leat_key *key = NULL;
        struct leat_key_scratch *scratch = NULL;
        const struct leat_sv *keys;
        const int64_t live = leat__alloc_live();
        struct leat_error err = { 0 };
        leat__alloc_fail_at(n);
        int code = leat__key_new(&sample_order_type, "status, customer", GROUP, &key, &err);
        if (code == 0)
            code = leat__key_scratch_new(&scratch);
        if (code == 0)
            code = leat__key_eval(key, scratch, NULL, batch, &keys);
        leat__alloc_fail_at(0);
        leat__key_scratch_free(scratch);
        leat__key_free(key);
        assert_int_equal(leat__alloc_live(), live);
        if (code == 0) {
            assert_true(n > 4);
            break;
        }
        assert_int_equal(code, LEAT_ENOMEM);
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key__given_fields__when_evaluated__then_bytes_are_as_specified),
        cmocka_unit_test(test_key__given_a_string_field__when_evaluated__then_keys_are_views_into_the_rows),
        cmocka_unit_test(test_key__given_an_enum_number_without_symbol__when_evaluated__then_it_is_bad_data),
        cmocka_unit_test(
            test_key__given_random_rows__when_keys_are_compared__then_bytes_have_the_order_of_the_values),
        cmocka_unit_test(test_key__given_what_can_not_be_a_key__when_declared__then_the_message_says_why),
        cmocka_unit_test(
            test_key__given_two_keys__when_compared__then_they_fit_if_equal_values_have_equal_bytes),
        cmocka_unit_test(test_key__given_a_callback__when_evaluated__then_its_views_are_the_keys),
        cmocka_unit_test(test_key__given_a_warm_scratch__when_evaluated_again__then_nothing_is_allocated),
        cmocka_unit_test(
            test_key__given_a_failing_allocation__when_made_and_evaluated__then_it_is_an_error_without_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
