/* tests/integration/test_generated_types.c -- what `leat gen` writes for the schemas of tests/gen is what the
 * engine derives from them: descriptor for descriptor, and member for member where a record is filled in C
 * and read by its descriptor. */
#include "arrays.h"
#include "constants.h"
#include "defaults.h"
#include "empty.h"
#include "enums.h"
#include "fixeds.h"
#include "flags.h"
#include "keyword_types.h"
#include "keywords.h"
#include "library_names.h"
#include "logicals.h"
#include "long_text.h"
#include "maps.h"
#include "my-event.v1.h"
#include "namespaces.h"
#include "nested.h"
#include "nullables.h"
#include "scalars.h"
#include "shared_a.h"
#include "shared_b.h"
#include "tags.h"
#include "unicode.h"
#include "unions.h"
#include "zero_size.h"
#include "record/schema.h"
#include "tests/support/unit.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *file; /* tests/gen/<file>.avsc */
    const struct leat_type *type;
} rows[] = {
    { "arrays", &arrays_type },
    { "constants", &constants_type },
    { "defaults", &defaults_type },
    { "empty", &empty_type },
    { "enums", &enums_type },
    { "fixeds", &fixeds_type },
    { "flags", &flags_type },
    { "keyword_types", &struct__type },
    { "keywords", &keywords_type },
    { "library_names", &leat_batch__type },
    { "logicals", &logicals_type },
    { "long_text", &long_text_type },
    { "maps", &maps_type },
    { "my-event.v1", &my_event_type },
    { "namespaces", &address_type },
    { "nested", &shipment_type },
    { "nullables", &nullables_type },
    { "scalars", &scalars_type },
    { "shared_a", &shared_a_type },
    { "shared_b", &shared_b_type },
    { "tags", &tags_type },
    { "unicode", &unicode_type },
    { "unions", &message_type },
    { "zero_size", &zero_size_type },
};

static char *read_schema(const char *file)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/gen/%s.avsc", file);
    FILE *in = fopen(path, "rb");
    FAIL_UNLESS(in, "cannot open %s", path);
    char *text = calloc(1, 1u << 16);
    assert_non_null(text);
    assert_true(fread(text, 1, (1u << 16) - 1, in) > 0);
    (void)fclose(in);
    return text;
}

static void test_gen__given_the_schemas__then_each_is_in_the_table(void **state)
{
    (void)state;
    DIR *dir = opendir("tests/gen");
    const struct dirent *entry;
    size_t seen = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *end = strstr(entry->d_name, ".avsc");
        bool found = false;
        if (!end)
            continue;
        for (size_t i = 0; i < COUNT_OF(rows) && !found; i++)
            found = strlen(rows[i].file) == (size_t)(end - entry->d_name) &&
                strncmp(rows[i].file, entry->d_name, (size_t)(end - entry->d_name)) == 0;
        FAIL_UNLESS(found, "%s is not in the table", entry->d_name);
        seen++;
    }
    (void)closedir(dir);
    assert_int_equal(seen, COUNT_OF(rows));
}

static void test_gen__given_a_schema__then_the_descriptor_is_the_derived_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_error err = { 0 };
        struct leat_arena arena = { 0 };
        struct leat_schema *schema;
        const struct leat_type *type;
        char *text = read_schema(rows[i].file);
        FAIL_UNLESS(
            leat__schema_parse(text, strlen(text), &schema, &err) == 0, "%s: %s", rows[i].file, err.message);
        FAIL_UNLESS(leat__schema_type(schema, &arena, &type, &err) == 0, "%s: %s", rows[i].file, err.message);
        FAIL_UNLESS(leat__type_equal(type, rows[i].type), "%s: another descriptor", rows[i].file);
        FAIL_UNLESS(type->fingerprint == rows[i].type->fingerprint, "%s: another fingerprint", rows[i].file);
        FAIL_UNLESS(strcmp(type->name, rows[i].type->name) == 0, "%s: another name", rows[i].file);
        FAIL_UNLESS(strcmp(text, rows[i].type->schema) == 0, "%s: another schema text", rows[i].file);
        FAIL_UNLESS(leat__type_check(rows[i].type, &err) == 0, "%s: %s", rows[i].file, err.message);
        leat__schema_free(schema);
        leat__arena_release(&arena);
        free(text);
    }
}

static void test_gen__given_another_layout__then_the_check_names_the_field(void **state)
{
    (void)state;
    struct leat_field fields[16];
    struct leat_error err = { 0 };
    struct leat_type type = scalars_type;
    assert_true(type.fields_count <= COUNT_OF(fields));
    memcpy(fields, type.fields, type.fields_count * sizeof *fields);
    type.fields = fields;
    assert_int_equal(leat__type_check(&type, &err), 0);
    fields[4].offset += 8;
    assert_int_equal(leat__type_check(&type, &err), LEAT_ESCHEMA);
    assert_string_equal(
        err.message, "Scalars: compiled with another layout of field total; run leat gen again");
}

static void check_text(const void *record, const struct leat_type *type, const char *want)
{
    char text[1024];
    const size_t len = leat_record_print(record, type, text, sizeof text);
    assert_true(len < sizeof text);
    assert_string_equal(text, want);
}

static void test_gen__given_nested_records__when_filled_in_c__then_the_descriptor_reads_them(void **state)
{
    (void)state;
    const struct shipment shipment = {
        .express = true,
        .to = { .company = true,
            .home = { .floor = 3, .at = { .lat = 0.5, .good = true } },
            .has_work = true,
            .work = { .floor = -1, .at = { .lat = 2.5 } } },
        .from = { .home = { .floor = 7 } },
        .shop_geo_point = { .lat = -1.5 },
        .done = true,
    };
    check_text(&shipment, &shipment_type,
        "{\"express\":true,\"to\":{\"company\":true,\"home\":{\"floor\":3,\"at\":{\"lat\":0.5,\"good\":true}}"
        ","
        "\"work\":{\"floor\":-1,\"at\":{\"lat\":2.5,\"good\":false}}},"
        "\"from\":{\"company\":false,\"home\":{\"floor\":7,\"at\":{\"lat\":0.0,\"good\":false}},\"work\":"
        "null},"
        "\"shop_geo_point\":{\"lat\":-1.5,\"good\":false},\"done\":true}");
}

static void test_gen__given_arrays_and_maps__when_filled_in_c__then_accessors_and_descriptor_agree(
    void **state)
{
    (void)state;
    static const int32_t counts[] = { 4, 5 };
    static const struct customer_codes_item codes[] = { { .has = true, .value = 9 }, { .has = false } };
    static const struct leat_sv tags[] = { { "new", 3 }, { "big", 3 } };
    static const struct customer_limits_entry limits[] = { { .key = { "a", 1 }, .value = 10 },
        { .key = { "b", 1 }, .value = -10 } };
    const struct shared_a record = {
        .customer = { .name = LEAT_SV("Eve"),
            .level = LEVEL_GOOD,
            .tags = { tags, 2 },
            .limits = { limits, 2 },
            .contact = { .tag = CUSTOMER_CONTACT_LONG, .as = { .long_ = 42 } },
            .codes = { codes, 2 } },
        .a = 1,
    };
    check_text(&record, &shared_a_type,
        "{\"customer\":{\"name\":\"Eve\",\"level\":\"GOOD\",\"tags\":[\"new\",\"big\"],\"limits\":{\"a\":10,"
        "\"b\":-10},"
        "\"contact\":42,\"codes\":[9,null]},\"a\":1}");
    assert_int_equal(customer_codes_at(record.customer.codes, 0)->value, 9);
    assert_false(customer_codes_at(record.customer.codes, 1)->has);
    assert_int_equal(customer_limits_at(record.customer.limits, 1)->value, -10);
    assert_true(leat_sv_eq(*customer_tags_at(record.customer.tags, 1), LEAT_SV("big")));
    const struct leat_array array = { counts, 2 };
    assert_int_equal(*arrays_counts_at(array, 1), 5);
}

static void test_gen__given_unions__when_filled_in_c__then_the_descriptor_reads_the_branch(void **state)
{
    (void)state;
    struct message message = {
        .body = { .tag = MESSAGE_BODY_LETTER,
            .as = { .letter = { .stamp = STAMP_RED, .text = LEAT_SV("hi") } } },
        .small = { .tag = MESSAGE_SMALL_BOOLEAN, .as = { .boolean = true } },
        .one = { .tag = MESSAGE_ONE_LONG, .as = { .long_ = 5 } },
        .twins = { .tag = MESSAGE_TWINS_STONE_LETTER, .as = { .stone_letter = { .weight = 6 } } },
    };
    check_text(&message, &message_type,
        "{\"body\":{\"stamp\":\"RED\",\"text\":\"hi\"},\"small\":true,\"one\":5,\"nothing\":null,\"list\":[],"
        "\"twins\":{\"weight\":6}}");
    message.body.tag = MESSAGE_BODY_NULL;
    message.small.tag = MESSAGE_SMALL_NULL;
    message.twins.tag = MESSAGE_TWINS_B;
    check_text(&message, &message_type,
        "{\"body\":null,\"small\":null,\"one\":5,\"nothing\":null,\"list\":[],\"twins\":{}}");
}

static void test_gen__given_members_with_other_names__then_the_descriptor_keeps_those_of_the_schema(
    void **state)
{
    (void)state;
    const struct flags flags = {
        .has_note__ = true,
        .note = LEAT_SV("n"),
        .has_note = true,
        .has_note_ = 1,
        .has_int_ = true,
        .int__ = 2,
        .has_has_int = true,
        .has_int = 3,
    };
    check_text(&flags, &flags_type,
        "{\"note\":\"n\",\"has_note\":true,\"has_note_\":1,\"note_\":null,\"has_has_note\":null,\"has_\":0,"
        "\"_\":null,"
        "\"has\":null,\"int\":2,\"has_int\":3,\"int_\":null}");
}

static void test_gen__given_constants_that_would_be_macros__then_they_are_symbols_all_the_same(void **state)
{
    (void)state;
    const struct constants constants = { .size = SIZE_MAX_,
        .seek = SEEK_END_,
        .exit = EXIT_FAILURE_,
        .a = A_B_C,
        .a_b = A_B_D,
        .leat = LEAT__SKIP };
    assert_int_equal(A_B_C_, 0); /* of A_B: A_B_C is A's */
    check_text(&constants, &constants_type,
        "{\"size\":\"MAX\",\"seek\":\"END\",\"exit\":\"FAILURE\",\"int64\":\"MAX\",\"clock\":\"REALTIME\","
        "\"sig\":\"DFL\","
        "\"a\":\"B_C\",\"a_b\":\"D\",\"leat\":\"SKIP\",\"what\":\"INT\",\"either\":0}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gen__given_the_schemas__then_each_is_in_the_table),
        cmocka_unit_test(test_gen__given_a_schema__then_the_descriptor_is_the_derived_one),
        cmocka_unit_test(test_gen__given_another_layout__then_the_check_names_the_field),
        cmocka_unit_test(test_gen__given_nested_records__when_filled_in_c__then_the_descriptor_reads_them),
        cmocka_unit_test(
            test_gen__given_arrays_and_maps__when_filled_in_c__then_accessors_and_descriptor_agree),
        cmocka_unit_test(test_gen__given_unions__when_filled_in_c__then_the_descriptor_reads_the_branch),
        cmocka_unit_test(
            test_gen__given_members_with_other_names__then_the_descriptor_keeps_those_of_the_schema),
        cmocka_unit_test(test_gen__given_constants_that_would_be_macros__then_they_are_symbols_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
