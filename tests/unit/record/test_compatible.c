/* tests/unit/record/test_compatible.c -- which schemas read which, place and word of what does not fit, levels. */
#include "record/compatible.h"
#include "tests/support/unit.h"
#include <stdio.h>

#define R(fields_) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields_ "]}"
#define F(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"
#define D(name_, type_, default_) "{\"name\":\"" name_ "\",\"type\":" type_ ",\"default\":" default_ "}"
#define E(name_, symbols_) "{\"type\":\"enum\",\"name\":\"" name_ "\",\"symbols\":[" symbols_ "]}"
#define LIST_OF(v_) \
    "{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"v\",\"type\":" v_ "}," \
    "{\"name\":\"next\",\"type\":[\"null\",\"L\"]}]}"

static struct leat_schema *parse(const char *text)
{
    struct leat_schema *schema;
    struct leat_error err = { 0 };
    if (leat__schema_parse(text, strlen(text), &schema, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return schema;
}

/* What is found, as "KIND path; KIND path". */
static void join(const struct leat_incompatibilities *found, char *text, size_t size)
{
    text[0] = '\0';
    for (uint32_t i = 0; i < found->count; i++) {
        const size_t len = strlen(text);
        (void)snprintf(text + len, size - len, "%s%s %s", i ? "; " : "",
            leat__incompatible_word(found->list[i].kind), found->list[i].path);
    }
}

static const struct {
    const char *reader, *writer, *found;
} pairs[] = {
    { "\"int\"", "\"int\"", "" },
    { "\"long\"", "\"int\"", "" },
    { "\"double\"", "\"long\"", "" },
    { "\"double\"", "\"float\"", "" },
    { "\"bytes\"", "\"string\"", "" },
    { "\"string\"", "\"bytes\"", "" },
    { "\"int\"", "\"long\"", "TYPE_MISMATCH /" },
    { "\"float\"", "\"double\"", "TYPE_MISMATCH /" },
    { "\"string\"", "\"int\"", "TYPE_MISMATCH /" },
    { "\"null\"", "\"int\"", "TYPE_MISMATCH /" },
    { "{\"type\":\"array\",\"items\":\"long\"}", "{\"type\":\"array\",\"items\":\"int\"}", "" },
    { "{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":\"long\"}",
        "TYPE_MISMATCH /items" },
    { "{\"type\":\"map\",\"values\":\"int\"}", "{\"type\":\"map\",\"values\":\"string\"}",
        "TYPE_MISMATCH /values" },
    { "{\"type\":\"map\",\"values\":\"int\"}", "{\"type\":\"array\",\"items\":\"int\"}", "TYPE_MISMATCH /" },
    /* names */
    { "{\"type\":\"fixed\",\"name\":\"A\",\"size\":4}", "{\"type\":\"fixed\",\"name\":\"A\",\"size\":4}",
        "" },
    { "{\"type\":\"fixed\",\"name\":\"A\",\"size\":4}", "{\"type\":\"fixed\",\"name\":\"A\",\"size\":5}",
        "FIXED_SIZE_MISMATCH /size" },
    { "{\"type\":\"fixed\",\"name\":\"A\",\"size\":4}", "{\"type\":\"fixed\",\"name\":\"B\",\"size\":4}",
        "NAME_MISMATCH /name" },
    { "{\"type\":\"fixed\",\"name\":\"A\",\"size\":4,\"aliases\":[\"B\"]}",
        "{\"type\":\"fixed\",\"name\":\"B\",\"size\":4}", "" },
    { "{\"type\":\"fixed\",\"name\":\"a.A\",\"size\":4}", "{\"type\":\"fixed\",\"name\":\"b.A\",\"size\":4}",
        "" },
    /* enums */
    { E("E", "\"A\",\"B\""), E("E", "\"A\""), "" },
    { E("E", "\"A\""), E("E", "\"A\",\"B\""), "MISSING_ENUM_SYMBOLS /symbols" },
    { "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"A\"}", E("E", "\"A\",\"B\""), "" },
    { E("E", "\"A\""), E("G", "\"A\""), "NAME_MISMATCH /name" },
    /* records */
    { R(F("a", "\"int\"")), R(F("a", "\"int\"") "," F("b", "\"int\"")), "" },
    { R(F("a", "\"int\"") "," F("b", "\"int\"")), R(F("a", "\"int\"")),
        "READER_FIELD_MISSING_DEFAULT_VALUE /fields/1" },
    { R(F("a", "\"int\"") "," D("b", "\"int\"", "0")), R(F("a", "\"int\"")), "" },
    { R("{\"name\":\"c\",\"aliases\":[\"a\"],\"type\":\"long\"}"), R(F("a", "\"int\"")), "" },
    { R(F("a", "\"int\"") "," F("b", "\"int\"") "," F("c", "\"int\"")),
        R(F("b", "\"string\"") "," F("a", "\"long\"")),
        "TYPE_MISMATCH /fields/0/type; TYPE_MISMATCH /fields/1/type; READER_FIELD_MISSING_DEFAULT_VALUE "
        "/fields/2" },
    { R(F("a", "\"int\"")), "{\"type\":\"record\",\"name\":\"S\",\"fields\":[]}",
        "NAME_MISMATCH /name; READER_FIELD_MISSING_DEFAULT_VALUE /fields/0" },
    /* unions */
    { "[\"null\",\"int\"]", "\"int\"", "" },
    { "[\"null\",\"int\"]", "\"null\"", "" },
    { "[\"null\",\"long\"]", "\"int\"", "" },
    { "[\"null\",\"int\"]", "\"string\"", "MISSING_UNION_BRANCH /" },
    { "\"int\"", "[\"int\"]", "" },
    { "\"int\"", "[\"null\",\"int\"]", "TYPE_MISMATCH /" },
    { "[\"null\",\"int\"]", "[\"null\",\"int\",\"string\"]", "MISSING_UNION_BRANCH /2" },
    { "[\"null\",\"string\",\"int\"]", "[\"null\",\"int\"]", "" },
    { R(F("a", "[\"null\"," E("E", "\"A\"") "]")), R(F("a", E("E", "\"A\",\"B\""))),
        "MISSING_UNION_BRANCH /fields/0/type" },
    /* that refer to themselves */
    { LIST_OF("\"long\""), LIST_OF("\"int\""), "" },
    { LIST_OF("\"int\""), LIST_OF("\"long\""), "TYPE_MISMATCH /fields/0/type" },
    /* logical types */
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "LOGICAL_TYPE_MISMATCH /" },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "\"long\"", "" },
};

static void test_compatible__given_a_reader_and_a_writer__when_compared__then_every_place_is_found(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct leat_schema *reader = parse(pairs[i].reader), *writer = parse(pairs[i].writer);
        struct leat_incompatibilities found = { 0 };
        struct leat_error err = { 0 };
        char text[512];
        assert_int_equal(leat__schema_can_read(reader, writer, true, &found, &err), 0);
        join(&found, text, sizeof text);
        FAIL_UNLESS(strcmp(text, pairs[i].found) == 0, "reader %s, writer %s: \"%s\", not \"%s\"",
            pairs[i].reader, pairs[i].writer, text, pairs[i].found);
        leat__incompatibilities_release(&found);
        leat__schema_free(reader);
        leat__schema_free(writer);
    }
}

static void test_compatible__given_units_of_time__when_logical_types_do_not_count__then_they_fit(void **state)
{
    (void)state;
    struct leat_schema *reader = parse("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}");
    struct leat_schema *writer = parse("{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}");
    struct leat_incompatibilities found = { 0 };
    struct leat_error err = { 0 };
    assert_int_equal(leat__schema_can_read(reader, writer, false, &found, &err), 0);
    assert_int_equal(found.count, 0);
    leat__schema_free(reader);
    leat__schema_free(writer);
}

/* v1 {a}, v2 {a, b with default}, v3 {b, c without default}: what each level says of v3 behind v1 and v2. */
static const struct {
    enum leat_compatibility level;
    uint32_t found;
} levels[] = {
    { LEAT_COMPATIBILITY_NONE, 0 },
    { LEAT_COMPATIBILITY_BACKWARD, 1 }, /* c */
    { LEAT_COMPATIBILITY_BACKWARD_TRANSITIVE, 3 }, /* b and c of v1, c of v2 */
    { LEAT_COMPATIBILITY_FORWARD, 1 }, /* a for v2 */
    { LEAT_COMPATIBILITY_FORWARD_TRANSITIVE, 2 },
    { LEAT_COMPATIBILITY_FULL, 2 },
    { LEAT_COMPATIBILITY_FULL_TRANSITIVE, 5 },
};

static void test_compatible__given_versions__when_a_new_one_is_checked__then_the_level_decides_against_which(
    void **state)
{
    (void)state;
    struct leat_schema *before[] = { parse(R(F("a", "\"int\""))),
        parse(R(F("a", "\"int\"") "," D("b", "\"int\"", "0"))) };
    struct leat_schema *next = parse(R(F("b", "\"int\"") "," F("c", "\"int\"")));
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        struct leat_incompatibilities found = { 0 };
        struct leat_error err = { 0 };
        const char *word = leat__compatibility_word(levels[i].level);
        assert_int_equal(leat__compatibility_find(word), levels[i].level);
        assert_int_equal(leat__schema_may_follow(levels[i].level, next,
                             (const struct leat_schema *const *)before, 2, true, &found, &err),
            0);
        FAIL_UNLESS(found.count == levels[i].found, "%s: %u", word, found.count);
        leat__incompatibilities_release(&found);
        assert_int_equal(leat__schema_may_follow(levels[i].level, next, NULL, 0, true, &found, &err), 0);
        assert_int_equal(found.count, 0);
    }
    assert_int_equal(leat__compatibility_find("full_transitive"), LEAT_COMPATIBILITY_FULL_TRANSITIVE);
    assert_int_equal(leat__compatibility_find("FULLY"), 0);
    leat__schema_free(before[0]);
    leat__schema_free(before[1]);
    leat__schema_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_compatible__given_a_reader_and_a_writer__when_compared__then_every_place_is_found),
        cmocka_unit_test(
            test_compatible__given_units_of_time__when_logical_types_do_not_count__then_they_fit),
        cmocka_unit_test(
            test_compatible__given_versions__when_a_new_one_is_checked__then_the_level_decides_against_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
