/* tests/unit/record/test_type_part.c -- parts of records: codecs of a part work on the whole struct. */
#include "base/alloc.h"
#include "record/avro.h"
#include "record/json.h"
#include "record/schema.h"
#include "tests/support/unit.h"

#define R(fields_) "{\"type\":\"record\",\"name\":\"shop.R\",\"fields\":[" fields_ "]}"
#define F(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"

struct whole {
    int64_t id;
    int32_t place;
    bool has_note;
    struct leat_sv note;
    int64_t offset;
};
static const char whole_schema[] = R(F("id", "\"long\"") "," F("place", "\"int\"") "," F(
    "note", "[\"null\",\"string\"]") "," F("offset", "\"long\""));

struct made {
    struct leat_arena arena;
    struct leat_schema *schema;
    const struct leat_type *type, *part;
};

static struct made make(const char *text, const bool *wanted, const char *suffix)
{
    struct made m = { 0 };
    struct leat_error err = { 0 };
    if (leat__schema_parse(text, strlen(text), &m.schema, &err) < 0 ||
        leat__schema_type(m.schema, &m.arena, &m.type, &err) < 0 ||
        leat__type_part(m.type, wanted, suffix, &m.arena, &m.part, &err) < 0)
        fail_msg("%s", err.message);
    return m;
}

static void release(struct made *m)
{
    leat__schema_free(m->schema);
    leat__arena_release(&m->arena);
}

static void
test_type_part__given_some_fields__when_a_part_is_made__then_they_keep_their_offsets_and_have_a_schema(
    void **state)
{
    (void)state;
    static const bool wanted[] = { true, false, true, false };
    struct made m = make(whole_schema, wanted, "_value");
    assert_int_equal(m.type->size, sizeof(struct whole));
    assert_int_equal(m.part->size, sizeof(struct whole));
    assert_int_equal(m.part->fields_count, 2);
    assert_string_equal(m.part->fields[1].name, "note");
    assert_int_equal(m.part->fields[1].offset, offsetof(struct whole, note));
    assert_string_equal(m.part->name, "shop.R_value");
    assert_string_equal(m.part->schema,
        "{\"type\":\"record\",\"name\":\"shop.R_value\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
        "{\"name\":\"note\",\"type\":[\"null\",\"string\"]}]}");
    assert_true(m.part->fingerprint != m.type->fingerprint);
    release(&m);
}

static void
test_type_part__given_a_record__when_written_and_read_by_its_part__then_the_rest_is_not_written_and_cleared(
    void **state)
{
    (void)state;
    static const bool wanted[] = { true, false, true, false };
    const struct whole row = {
        .id = 7, .place = 3, .has_note = true, .note = LEAT_SV("hello"), .offset = 99
    };
    struct made m = make(whole_schema, wanted, NULL);
    struct leat_error err = { 0 };
    struct leat_encoder *encoder;
    struct leat_decoder *decoder;
    struct leat_schema *writer;
    struct leat_strbuf out = { 0 };
    assert_int_equal(leat__encoder_new_part(m.part, &encoder, &err), 0);
    assert_int_equal(leat__encode_record(encoder, &row, &out, &err), 0);
    assert_int_equal(out.len, 1 + 1 + 1 + 5);
    assert_int_equal(leat__schema_parse(m.part->schema, strlen(m.part->schema), &writer, &err), 0);
    const struct leat_decoder_opts opts = { .is_part = true };
    assert_int_equal(leat__decoder_new(writer, m.part, &opts, &decoder, &err), 0);

    struct leat_pool *pool;
    struct leat_batch *batch;
    assert_int_equal(leat__pool_new(2, &pool), 0);
    assert_int_equal(leat__batch_get(pool, m.type, &batch), 0);
    memset(leat_batch_at(batch, 0), 0xee, sizeof row);
    const uint8_t *at = (const uint8_t *)out.data;
    assert_int_equal(leat__decode(decoder, &at, at + out.len, batch, 1, &err), 1);
    const struct whole *read = leat_batch_at(batch, 0);
    assert_int_equal(read->id, 7);
    assert_true(read->has_note && leat_sv_eq(read->note, LEAT_SV("hello")));
    assert_int_equal(read->place, 0);
    assert_int_equal(read->offset, 0);

    leat__batch_release(batch);
    leat__pool_free(pool);
    leat__decoder_free(decoder);
    leat__schema_free(writer);
    leat__encoder_free(encoder);
    leat__strbuf_release(&out);
    release(&m);
}

static void
test_type_part__given_a_type_that_an_unwanted_field_defines__when_a_part_is_made__then_it_is_refused(
    void **state)
{
    (void)state;
    static const bool wanted[] = { false, true };
    struct leat_arena arena = { 0 };
    struct leat_schema *schema;
    const struct leat_type *type, *part;
    struct leat_error err = { 0 };
    const char *text =
        R(F("a", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\"]}") "," F("b", "\"E\""));
    assert_int_equal(leat__schema_parse(text, strlen(text), &schema, &err), 0);
    assert_int_equal(leat__schema_type(schema, &arena, &type, &err), 0);
    assert_int_equal(leat__type_part(type, wanted, NULL, &arena, &part, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "shop.R without the fields"));
    leat__schema_free(schema);
    leat__arena_release(&arena);
}

static void test_type_part__given_aliases__when_a_part_has_a_suffix__then_they_have_it_too(void **state)
{
    (void)state;
    static const bool wanted[] = { true };
    struct made m =
        make("{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"Old\",\"b.Older\"],\"fields\":[" F(
                 "a", "\"int\"") "]}",
            wanted, "_key");
    assert_string_equal(m.part->schema,
        "{\"type\":\"record\",\"name\":\"R_key\",\"aliases\":[\"Old_key\",\"b.Older_key\"],\"fields\":["
        "{\"name\":\"a\",\"type\":\"int\"}]}");
    release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_type_part__given_some_fields__when_a_part_is_made__then_they_keep_their_offsets_and_have_a_schema),
        cmocka_unit_test(
            test_type_part__given_a_record__when_written_and_read_by_its_part__then_the_rest_is_not_written_and_cleared),
        cmocka_unit_test(test_type_part__given_aliases__when_a_part_has_a_suffix__then_they_have_it_too),
        cmocka_unit_test(
            test_type_part__given_a_type_that_an_unwanted_field_defines__when_a_part_is_made__then_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
