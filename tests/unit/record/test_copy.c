/* tests/unit/record/test_copy.c -- copies: deep, apart from their origin, movable. test_avro_oracle.c copies
 * records of random types. */
#include "base/alloc.h"
#include "record/copy.h"
#include "record/schema.h"
#include "tests/support/unit.h"
#include <stdlib.h>

struct made {
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_copier *copier;
};

static struct made make_copier(const char *text)
{
    struct made m = { 0 };
    struct leat_error err = { 0 };
    if (leat__schema_parse(text, strlen(text), &m.schema, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(leat__schema_type(m.schema, &m.arena, &m.type, &err), 0);
    assert_int_equal(leat__copier_new(m.type, &m.copier), 0);
    return m;
}

static void free_copier(struct made *m)
{
    leat__copier_free(m->copier);
    leat__schema_free(m->schema);
    leat__arena_release(&m->arena);
}

#define R(fields_) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields_ "]}"
#define F(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"

static const struct {
    const char *name, *text;
    bool flat;
} flats[] = {
    { "numbers", R(F("a", "\"int\"") "," F("b", "[\"null\",\"double\"]")), true },
    { "fixed and enum",
        R(F("a", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}") "," F(
            "b", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}")),
        true },
    { "union of numbers", R(F("a", "[\"null\",\"int\",\"long\"]")), true },
    { "optional number at the top", "[\"null\",\"int\"]", true },
    { "string", R(F("a", "\"int\"") "," F("b", "\"string\"")), false },
    { "bytes in a union", R(F("a", "[\"null\",\"int\",\"bytes\"]")), false },
    { "array of numbers", R(F("a", "{\"type\":\"array\",\"items\":\"int\"}")), false },
    { "map", R(F("a", "{\"type\":\"map\",\"values\":\"int\"}")), false },
    { "nullable record with a string",
        R(F("a", "[\"null\",{\"type\":\"record\",\"name\":\"S\",\"fields\":[" F("s", "\"string\"") "]}]")),
        false },
};

static void test_copy__given_types__when_compiled__then_flat_ones_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(flats); i++) {
        struct made m = make_copier(flats[i].text);
        FAIL_UNLESS(leat__copier_is_flat(m.copier) == flats[i].flat, "%s", flats[i].name);
        free_copier(&m);
    }
}

struct entry {
    struct leat_sv key;
    struct leat_array value; /* of strings */
};

struct sample {
    int32_t n;
    bool has_s;
    struct leat_sv s;
    struct {
        int32_t tag;
        union {
            int64_t branch_long;
            struct leat_sv branch_bytes;
        } as;
    } u;
    struct leat_map m;
};

static const char sample_text[] =
    R(F("n", "\"int\"") "," F("s", "[\"null\",\"string\"]") "," F("u", "[\"long\",\"bytes\"]") "," F(
        "m", "{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"string\"}}"));

/* A record whose every byte is on the heap, so that it can be destroyed after the copy. */
struct origin {
    struct sample record;
    char text[3][8];
    struct leat_sv items[2];
    struct entry entries[2];
};

static struct origin *make_origin(void)
{
    struct origin *o = calloc(1, sizeof *o);
    assert_non_null(o);
    memcpy(o->text, "one\0....two\0....three\0..", sizeof o->text);
    o->items[0] = (struct leat_sv){ o->text[1], 3 };
    o->items[1] = (struct leat_sv){ o->text[2], 5 };
    o->entries[0] = (struct entry){ { o->text[0], 3 }, { o->items, 2 } };
    o->entries[1] = (struct entry){ { o->text[1], 3 }, { NULL, 0 } };
    o->record.n = 7;
    o->record.has_s = true;
    o->record.s = (struct leat_sv){ o->text[0], 3 };
    o->record.u.tag = 1;
    o->record.u.as.branch_bytes = (struct leat_sv){ o->text[2], 5 };
    o->record.m = (struct leat_map){ o->entries, 2 };
    return o;
}

static void destroy_origin(struct origin *o)
{
    memset(o, 0xdd, sizeof *o);
    free(o);
}

static void check_sample(const struct made *m, const void *record)
{
    char text[256];
    (void)leat_record_print(record, m->type, text, sizeof text);
    assert_string_equal(
        text, "{\"n\":7,\"s\":\"one\",\"u\":\"three\",\"m\":{\"one\":[\"two\",\"three\"],\"two\":[]}}");
}

static void test_copy__given_a_record_with_views__when_pushed__then_the_copy_is_deep(void **state)
{
    (void)state;
    struct made m = make_copier(sample_text);
    struct origin *o = make_origin();
    struct leat_pool *pool;
    struct leat_batch *batch;
    assert_int_equal(m.type->size, sizeof(struct sample));
    assert_int_equal(leat__pool_new(4, &pool), 0);
    assert_int_equal(leat__batch_get(pool, m.type, &batch), 0);
    assert_int_equal(leat__copy_push(m.copier, batch, &o->record), 0);
    assert_int_equal(leat__copy_push(m.copier, batch, &o->record), 0);
    destroy_origin(o);
    assert_int_equal(batch->count, 2);
    check_sample(&m, leat_batch_at(batch, 0));
    check_sample(&m, leat_batch_at(batch, 1));
    leat__batch_release(batch);
    leat__pool_free(pool);
    free_copier(&m);
}

static void test_copy__given_a_row_of_foreign_views__when_adopted__then_it_is_independent(void **state)
{
    (void)state;
    struct made m = make_copier(sample_text);
    struct origin *o = make_origin();
    struct leat_pool *pool;
    struct leat_batch *batch;
    assert_int_equal(leat__pool_new(4, &pool), 0);
    assert_int_equal(leat__batch_get(pool, m.type, &batch), 0);
    struct sample *row = leat__batch_push(batch);
    *row = o->record;
    assert_int_equal(leat__copy_adopt(m.copier, batch, row), 0);
    destroy_origin(o);
    check_sample(&m, row);
    leat__batch_release(batch);
    leat__pool_free(pool);
    free_copier(&m);
}

struct labelled {
    struct leat_sv first, second;
};

/* Of every length around the widths that are copied at once; every third shows the same as the one before. */
static void test_copy__given_rows_of_strings__when_adopted_together__then_each_has_its_own(void **state)
{
    (void)state;
    enum { ROWS = 70 };
    struct made m =
        make_copier("{\"type\":\"record\",\"name\":\"Labelled\",\"fields\":["
                    "{\"name\":\"first\",\"type\":\"string\"},{\"name\":\"second\",\"type\":\"string\"}]}");
    struct leat_pool *pool;
    struct leat_batch *batch;
    char *texts[ROWS];
    assert_int_equal(m.type->size, sizeof(struct labelled));
    assert_int_equal(leat__pool_new(ROWS + 1, &pool), 0);
    assert_int_equal(leat__batch_get(pool, m.type, &batch), 0);
    (void)leat__batch_push(batch); /* rows before the first are not touched */
    for (uint32_t i = 0; i < ROWS; i++) {
        texts[i] = malloc(i + 1); /* of exact size */
        assert_non_null(texts[i]);
        memset(texts[i], 'a' + (int)(i % 26), i + 1);
        struct labelled *row = leat__batch_push(batch);
        row->first = (struct leat_sv){ texts[i], i };
        row->second = i % 3 == 2 ? row[-1].second : (struct leat_sv){ texts[i], i + 1 };
    }
    assert_int_equal(leat__copy_adopt_rows(m.copier, batch, 1, ROWS), 0);
    for (uint32_t i = 0; i < ROWS; i++) {
        memset(texts[i], '?', i + 1);
        free(texts[i]);
    }
    assert_null(((const struct labelled *)leat_batch_at(batch, 0))->first.data);
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct labelled *row = leat_batch_at(batch, i + 1);
        const uint32_t shown = i % 3 == 2 ? i - 1 : i;
        assert_true(row->first.len == i && row->second.len == shown + 1);
        assert_non_null(row->first.data); /* also of an empty string */
        for (uint32_t k = 0; k < i; k++)
            assert_int_equal(row->first.data[k], 'a' + (int)(i % 26));
        for (uint32_t k = 0; k <= shown; k++)
            assert_int_equal(row->second.data[k], 'a' + (int)(shown % 26));
    }
    leat__batch_release(batch);
    leat__pool_free(pool);
    free_copier(&m);
}

static void test_copy__given_a_block__when_copied_and_moved__then_it_is_whole_and_of_the_measured_size(
    void **state)
{
    (void)state;
    struct made m = make_copier(sample_text);
    struct origin *o = make_origin();
    const size_t size = leat__copy_size(m.copier, &o->record);
    /* struct, "one", "three", entries, keys "one" and "two", items, "two", "three" */
    assert_int_equal(size,
        sizeof(struct sample) + 8 + 8 + 2 * sizeof(struct entry) + 8 + 8 + 2 * sizeof(struct leat_sv) + 8 +
            8);
    char *first = malloc(size), *second = malloc(size); /* of exact size: a byte more would be seen */
    assert_non_null(first);
    assert_non_null(second);
    leat__copy_to(m.copier, &o->record, first);
    destroy_origin(o);
    check_sample(&m, first);
    memcpy(second, first, size);
    leat__copy_rebase(m.copier, second, second - first);
    memset(first, 0xdd, size);
    free(first);
    check_sample(&m, second);
    assert_int_equal(leat__copy_size(m.copier, second), size);
    free(second);
    free_copier(&m);
}

static void test_copy__given_nulls_and_other_branches__when_copied__then_unused_views_are_left_alone(
    void **state)
{
    (void)state;
    struct made m = make_copier(sample_text);
    const struct leat_sv wild = { (const char *)(uintptr_t)1, 1000 };
    struct sample record = { .n = 1, .s = wild };
    struct leat_pool *pool;
    struct leat_batch *batch;
    assert_int_equal(leat__pool_new(4, &pool), 0);
    assert_int_equal(leat__batch_get(pool, m.type, &batch), 0);
    record.u.as.branch_bytes = wild;
    assert_int_equal(leat__copy_size(m.copier, &record), sizeof record); /* s is null, u is a long */
    assert_int_equal(leat__copy_push(m.copier, batch, &record), 0);
    record.u.tag = 2; /* no such branch */
    assert_int_equal(leat__copy_size(m.copier, &record), sizeof record);
    record.u.tag = -1;
    assert_int_equal(leat__copy_push(m.copier, batch, &record), 0);
    /* Empty views get a pointer, also when there was none. */
    record = (struct sample){ .has_s = true };
    assert_int_equal(leat__copy_push(m.copier, batch, &record), 0);
    assert_non_null(((const struct sample *)leat_batch_at(batch, 2))->s.data);
    leat__batch_release(batch);
    leat__pool_free(pool);
    free_copier(&m);
}

static void test_copy__given_failing_memory__when_pushed__then_the_batch_has_no_new_row(void **state)
{
    (void)state;
    struct made m = make_copier(sample_text);
    struct origin *o = make_origin();
    const int64_t live = leat__alloc_live();
    struct leat_pool *pool;
    struct leat_batch *batch;
    assert_int_equal(leat__pool_new(4, &pool), 0);
    assert_int_equal(leat__batch_get(pool, m.type, &batch), 0);
    leat__alloc_fail_at(1);
    assert_int_equal(leat__copy_push(m.copier, batch, &o->record), LEAT_ENOMEM);
    leat__alloc_fail_at(0);
    assert_int_equal(batch->count, 0);
    struct leat_copier *copier;
    for (uint64_t n = 1;; n++) {
        leat__alloc_fail_at(n);
        const int code = leat__copier_new(m.type, &copier);
        leat__alloc_fail_at(0);
        if (code == 0)
            break;
        assert_int_equal(code, LEAT_ENOMEM);
        assert_null(copier);
    }
    leat__copier_free(copier);
    leat__copier_free(NULL);
    leat__batch_release(batch);
    leat__pool_free(pool);
    assert_int_equal(leat__alloc_live(), live);
    destroy_origin(o);
    free_copier(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy__given_types__when_compiled__then_flat_ones_are_known),
        cmocka_unit_test(test_copy__given_a_record_with_views__when_pushed__then_the_copy_is_deep),
        cmocka_unit_test(test_copy__given_a_row_of_foreign_views__when_adopted__then_it_is_independent),
        cmocka_unit_test(test_copy__given_rows_of_strings__when_adopted_together__then_each_has_its_own),
        cmocka_unit_test(
            test_copy__given_a_block__when_copied_and_moved__then_it_is_whole_and_of_the_measured_size),
        cmocka_unit_test(
            test_copy__given_nulls_and_other_branches__when_copied__then_unused_views_are_left_alone),
        cmocka_unit_test(test_copy__given_failing_memory__when_pushed__then_the_batch_has_no_new_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
