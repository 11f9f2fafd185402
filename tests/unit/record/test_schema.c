/* tests/unit/record/test_schema.c -- schemas: what is read, what is refused and how, canonical form and
 * fingerprints. */
#include "base/alloc.h"
#include "record/schema.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

static struct leat_schema *parse(const char *text)
{
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    if (leat__schema_parse(text, strlen(text), &schema, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return schema;
}

/* ---- accepted schemas and their canonical form ---- */

static const struct {
    const char *name, *text, *canonical;
} accepted[] = {
    { "primitive word", "\"long\"", "\"long\"" },
    { "primitive object", "{\"type\":\"long\"}", "\"long\"" },
    { "nested type object", "{\"type\":{\"type\":\"long\"}}", "\"long\"" },
    { "name space of the enclosing record",
        "{\"type\":\"record\",\"name\":\"a.b.R\",\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\","
        "\"name\":\"E\","
        "\"symbols\":[\"X\"]}},{\"name\":\"again\",\"type\":\"E\"},{\"name\":\"full\",\"type\":\"a.b.E\"}]}",
        "{\"name\":\"a.b.R\",\"type\":\"record\",\"fields\":[{\"name\":\"e\",\"type\":{\"name\":\"a.b.E\","
        "\"type\":\"enum\","
        "\"symbols\":[\"X\"]}},{\"name\":\"again\",\"type\":\"a.b.E\"},{\"name\":\"full\",\"type\":\"a.b.E\"}"
        "]}" },
    { "empty name space leaves the enclosing one",
        "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a\",\"fields\":[{\"name\":\"f\",\"type\":{"
        "\"type\":\"fixed\","
        "\"name\":\"F\",\"namespace\":\"\",\"size\":2}},{\"name\":\"g\",\"type\":\"F\"}]}",
        "{\"name\":\"a.R\",\"type\":\"record\",\"fields\":[{\"name\":\"f\",\"type\":{\"name\":\"F\",\"type\":"
        "\"fixed\","
        "\"size\":2}},{\"name\":\"g\",\"type\":\"F\"}]}" },
    { "record called like a complex type",
        "{\"type\":\"record\",\"name\":\"map\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"map\"]}]}",
        "{\"name\":\"map\",\"type\":\"record\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"map\"]}]"
        "}" },
    { "error is a record", "{\"type\":\"error\",\"name\":\"E\",\"fields\":[]}",
        "{\"name\":\"E\",\"type\":\"record\",\"fields\":[]}" },
    { "logical types are stripped", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "\"long\"" },
    { "bytes default with a NUL",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"type\":\"bytes\",\"default\":"
        "\"\\u0000\\u00ff\"}]}",
        "{\"name\":\"R\",\"type\":\"record\",\"fields\":[{\"name\":\"b\",\"type\":\"bytes\"}]}" },
};

static void test_schema__given_valid_text__when_parsed__then_canonical_form_is_as_specified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        struct leat_schema *schema = parse(accepted[i].text);
        if (strcmp(schema->canonical, accepted[i].canonical) != 0)
            fail_msg("%s: %s", accepted[i].name, schema->canonical);
        assert_string_equal(schema->text, accepted[i].text);
        leat__schema_free(schema);
    }
}

/* ---- the vectors of the Avro project ---- */

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    const size_t len = fread(text, 1, (1 << 20) - 1, f);
    assert_true(len > 0);
    (void)fclose(f);
    return text;
}

/* The body after "<<WORD " up to the line's end, or up to a line "WORD" when the rest of the line is empty.
 * Moves *at behind it; NULL at the end. */
static char *next_section(char **at, const char *word)
{
    char mark[32], close[32];
    (void)snprintf(mark, sizeof mark, "\n<<%s", word);
    (void)snprintf(close, sizeof close, "\n%s\n", word);
    char *begin = strstr(*at, mark);
    if (!begin)
        return NULL;
    begin += strlen(mark);
    char *end = begin[strspn(begin, " ")] == '\n' ? strstr(begin, close) : strchr(begin, '\n');
    assert_non_null(end);
    const size_t len = (size_t)(end - begin);
    char *body = calloc(1, len + 1);
    assert_non_null(body);
    memcpy(body, begin + strspn(begin, " \n"), len - strspn(begin, " \n"));
    *at = end;
    return body;
}

static void test_schema__given_avro_vectors__when_parsed__then_canonical_and_fingerprint_agree(void **state)
{
    (void)state;
    char path[512];
    const char *dir = getenv("LEAT_INTEROP_DATA");
    (void)snprintf(path, sizeof path, "%s/schema-tests.txt", dir ? dir : "../shared/data/avro");
    char *text = read_file(path);
    if (!text) {
        print_message("SKIPPED: %s is not there; set LEAT_INTEROP_DATA\n", path);
        skip();
    }
    unsigned cases = 0, fingerprints = 0;
    char *at = text, *input;
    while ((input = next_section(&at, "INPUT")) != NULL) {
        char *canonical = next_section(&at, "canonical");
        char *end_of_case = strstr(at, "\n<<INPUT");
        char *fingerprint = strstr(at, "\n<<fingerprint ");
        struct leat_schema *schema = parse(input);
        assert_string_equal(schema->canonical, canonical);
        if (fingerprint && (!end_of_case || fingerprint < end_of_case)) {
            const int64_t want = strtoll(fingerprint + strlen("\n<<fingerprint "), NULL, 10);
            assert_int_equal(schema->fingerprint, (uint64_t)want);
            fingerprints++;
        }
        leat__schema_free(schema);
        free(canonical);
        free(input);
        cases++;
    }
    assert_true(cases >= 34);
    assert_true(fingerprints >= 24);
    free(text);
}

static void test_schema__given_a_nul_byte_behind_a_number__when_parsed__then_it_is_refused(void **state)
{
    static const char text[] = "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4\0}";
    struct leat_schema *schema = NULL;
    struct leat_error err = { 0 };
    (void)state;
    assert_int_equal(leat__schema_parse(text, sizeof text - 1, &schema, &err), LEAT_ESCHEMA);
    assert_non_null(strstr(err.message, "NUL byte at offset 35"));
    assert_null(schema);
}

/* ---- refused schemas ---- */

#define RECORD_OF(fields_) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields_ "]}"
#define FIELD_WITH(type_, default_) "{\"name\":\"f\",\"type\":" type_ ",\"default\":" default_ "}"

static const struct {
    const char *name, *text, *message;
} refused[] = {
    { "bad JSON", "{\"type\":\n  \"int\",,}", "line 2, column 9: string or '}' expected near ','" },
    { "duplicate member", "{\"type\":\"int\",\"type\":\"int\"}",
        "line 1, column 20: duplicate object key near '\"type\"'" },
    { "near miss in a field",
        "{\"type\":\"record\",\"name\":\"order\",\"fields\":[{\"name\":\"total\",\"type\":\"lnog\"}]}",
        "record order, field total: unknown type \"lnog\"; did you mean \"long\"?" },
    { "near miss of a defined name",
        RECORD_OF("{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"x.Digest\",\"size\":4}},"
                  "{\"name\":\"b\",\"type\":\"Digset\"}"),
        "record R, field b: unknown type \"Digset\"; did you mean \"x.Digest\"?" },
    { "nothing near", "\"elephant\"", "unknown type \"elephant\": it must be defined before it is used" },
    { "complex word alone", "\"record\"", "\"record\" must be written as { \"type\": \"record\", ... }" },
    { "number", "17", "a type is a name, an object or an array (a union)" },
    { "no type", "{}", "an object without \"type\"" },
    { "no name", "{\"type\":\"record\",\"fields\":[]}", "record without a \"name\"" },
    { "bad name", "{\"type\":\"enum\",\"name\":\"1st\",\"symbols\":[]}",
        "bad name \"1st\": letters, digits and _ only, not beginning with a digit" },
    { "empty name part", "{\"type\":\"fixed\",\"name\":\"a..b\",\"size\":1}",
        "bad name \"a..b\": letters, digits and _ only, not beginning with a digit" },
    { "bad name space", "{\"type\":\"fixed\",\"name\":\"b\",\"namespace\":\"a-c\",\"size\":1}",
        "bad namespace \"a-c\": letters, digits and _ only, not beginning with a digit" },
    { "primitive's name", "{\"type\":\"fixed\",\"name\":\"a.int\",\"size\":1}",
        "\"a.int\" is the name of a primitive type: choose another" },
    { "name with NUL", "{\"type\":\"fixed\",\"name\":\"a\\u0000b\",\"size\":1}",
        "\"name\" has a NUL character" },
    { "defined twice",
        RECORD_OF("{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}},"
                  "{\"name\":\"b\",\"type\":{\"type\":\"enum\",\"name\":\"F\",\"symbols\":[]}}"),
        "record R, field b: enum \"F\" is defined twice: rename one, or refer to it by name" },
    { "fields missing", "{\"type\":\"record\",\"name\":\"R\"}", "record R: \"fields\" must be an array" },
    { "field not an object", RECORD_OF("7"), "record R, field 1: not an object" },
    { "field without name", RECORD_OF("{\"type\":\"int\"}"), "record R, field 1: no \"name\"" },
    { "field without type", RECORD_OF("{\"name\":\"f\"}"), "record R, field f: no \"type\"" },
    { "field with a dotted name", RECORD_OF("{\"name\":\"a.b\",\"type\":\"int\"}"),
        "record R, field 1: bad name \"a.b\": letters, digits and _ only, not beginning with a digit" },
    { "two fields of a name",
        RECORD_OF("{\"name\":\"f\",\"type\":\"int\"},{\"name\":\"f\",\"type\":\"int\"}"),
        "record R, field f: the record has two fields of this name" },
    { "bad order", RECORD_OF("{\"name\":\"f\",\"type\":\"int\",\"order\":\"up\"}"),
        "record R, field f: bad order \"up\": ascending, descending or ignore" },
    { "bad alias", RECORD_OF("{\"name\":\"f\",\"type\":\"int\",\"aliases\":[\"a b\"]}"),
        "record R, field f: bad alias \"a b\": letters, digits and _ only, not beginning with a digit" },
    { "aliases not an array", RECORD_OF("{\"name\":\"f\",\"type\":\"int\",\"aliases\":\"a\"}"),
        "record R, field f: \"aliases\" must be an array of names" },
    { "symbols missing", "{\"type\":\"enum\",\"name\":\"E\"}",
        "enum E: \"symbols\" must be an array of names" },
    { "symbol twice", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}",
        "enum E: symbol \"A\" is listed twice" },
    { "bad symbol", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a-b\"]}",
        "enum E: bad symbol \"a-b\": letters, digits and _ only, not beginning with a digit" },
    { "unknown enum default", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}",
        "enum E: default \"B\" is none of its symbols" },
    { "fixed without size", "{\"type\":\"fixed\",\"name\":\"F\"}",
        "fixed F: \"size\" must be a number of bytes" },
    { "negative size", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
        "fixed F: \"size\" must be a number of bytes" },
    { "array without items", "{\"type\":\"array\"}", "array without \"items\"" },
    { "map without values", "{\"type\":\"map\"}", "map without \"values\"" },
    { "unknown in items", "{\"type\":\"array\",\"items\":\"strin\"}",
        "array items: unknown type \"strin\"; did you mean \"string\"?" },
    { "union in union", "[\"null\",[\"int\"]]", "a union directly in a union: make it one" },
    { "branch twice", "[\"int\",{\"type\":\"int\"}]", "the union has two branches of type \"int\"" },
    { "two arrays", "[{\"type\":\"array\",\"items\":\"int\"},{\"type\":\"array\",\"items\":\"long\"}]",
        "the union has two branches of type \"array\"" },
    { "unknown in a union", "[\"null\",\"nul\"]",
        "branch 2 of the union: unknown type \"nul\"; did you mean \"null\"?" },
    { "default of an int", RECORD_OF(FIELD_WITH("\"int\"", "\"x\"")),
        "record R, field f: default: \"x\" is not an int" },
    { "default beyond int", RECORD_OF(FIELD_WITH("\"int\"", "2147483648")),
        "record R, field f: default: 2147483648 is not an int" },
    { "default of a long", RECORD_OF(FIELD_WITH("\"long\"", "1.5")),
        "record R, field f: default: 1.5 is not a long" },
    { "default of a string", RECORD_OF(FIELD_WITH("\"string\"", "1")),
        "record R, field f: default: 1 is not a string" },
    { "default of bytes beyond 255", RECORD_OF(FIELD_WITH("\"bytes\"", "\"\\u0100\"")),
        "record R, field f: default: \"\xc4\x80\" is not bytes (a string of the characters 0 to 255)" },
    { "default of a fixed of another size",
        RECORD_OF(FIELD_WITH("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"abc\"")),
        "record R, field f: default: 3 bytes; fixed F has 2" },
    { "default of the second branch", RECORD_OF(FIELD_WITH("[\"null\",\"int\"]", "1")),
        "record R, field f: default: 1 is not null" },
    { "default of an item", RECORD_OF(FIELD_WITH("{\"type\":\"array\",\"items\":\"int\"}", "[1,true]")),
        "record R, field f: default: item 2: true is not an int" },
    { "default of a map value",
        RECORD_OF(FIELD_WITH("{\"type\":\"map\",\"values\":\"int\"}", "{\"k\":null}")),
        "record R, field f: default: key \"k\": null is not an int" },
    { "member missing in a default",
        RECORD_OF(FIELD_WITH(
            "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}", "{}")),
        "record R, field f: default: member \"x\" is missing" },
    { "default that is no symbol",
        RECORD_OF(FIELD_WITH("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\"B\"")),
        "record R, field f: default: \"B\" is not a symbol of its enum" },
};

static void test_schema__given_faulty_text__when_parsed__then_the_place_and_cause_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct leat_error err = { 0 };
        struct leat_schema *schema;
        const int code = leat__schema_parse(refused[i].text, strlen(refused[i].text), &schema, &err);
        if (code != LEAT_ESCHEMA || err.code != code || strcmp(err.message, refused[i].message) != 0)
            fail_msg("%s: %d \"%s\"", refused[i].name, code, err.message);
        assert_null(schema);
    }
}

static void test_schema__given_deep_nesting__when_parsed__then_the_limit_is_told(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    for (int i = 0; i < 65; i++)
        leat__strbuf_str(&text, "{\"type\":\"array\",\"items\":");
    leat__strbuf_str(&text, "\"int\"");
    for (int i = 0; i < 65; i++)
        leat__strbuf_char(&text, '}');
    assert_int_equal(leat__schema_parse(text.data, text.len, &schema, &err), LEAT_ELIMIT);
    assert_non_null(strstr(err.message, "types are nested deeper than 64 levels"));
    leat__strbuf_release(&text);
}

static void test_schema__given_a_huge_text__when_parsed__then_the_limit_is_told(void **state)
{
    (void)state;
    const size_t len = (1 << 20) + 1;
    char *text = malloc(len);
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    assert_non_null(text);
    memset(text, ' ', len);
    assert_int_equal(leat__schema_parse(text, len, &schema, &err), LEAT_ELIMIT);
    free(text);
}

/* ---- the tree ---- */

static void test_schema__given_a_recursive_record__when_parsed__then_the_reference_shows_the_definition(
    void **state)
{
    (void)state;
    struct leat_schema *schema =
        parse("{\"type\":\"record\",\"name\":\"n.Node\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},"
              "{\"name\":\"next\",\"type\":[\"null\",\"Node\"]}]}");
    const struct leat_schema_node *root = schema->root;
    assert_int_equal(root->kind, LEAT_KIND_RECORD);
    assert_string_equal(root->name, "n.Node");
    assert_string_equal(root->simple_name, "Node");
    assert_ptr_equal(root->fields[1].node->branches[1], root);
    leat__schema_free(schema);
}

static void test_schema__given_attributes__when_parsed__then_the_tree_keeps_them(void **state)
{
    (void)state;
    struct leat_schema *schema =
        parse("{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"doc\":\"a "
              "record\",\"aliases\":[\"Old\",\"c.Older\"],"
              "\"fields\":[{\"name\":\"e\",\"doc\":\"an "
              "enum\",\"aliases\":[\"was\"],\"type\":{\"type\":\"enum\",\"name\":\"E\","
              "\"symbols\":[\"A\",\"B\"],\"default\":\"B\"},\"default\":\"A\"},"
              "{\"name\":\"n\",\"type\":\"null\",\"default\":null},{\"name\":\"m\",\"type\":\"int\"}]}");
    const struct leat_schema_node *root = schema->root;
    assert_string_equal(root->doc, "a record");
    assert_int_equal(root->aliases_count, 2);
    assert_string_equal(root->aliases[0], "a.b.Old");
    assert_string_equal(root->aliases[1], "c.Older");
    assert_int_equal(root->fields_count, 3);
    assert_string_equal(root->fields[0].doc, "an enum");
    assert_int_equal(root->fields[0].aliases_count, 1);
    assert_string_equal(root->fields[0].aliases[0], "was");
    assert_true(root->fields[0].has_default);
    assert_int_equal(root->fields[0].node->default_symbol, 1);
    assert_int_equal(root->fields[0].node->symbols_count, 2);
    assert_true(root->fields[1].has_default);
    assert_false(root->fields[2].has_default);
    leat__schema_free(schema);
}

static const struct {
    const char *type;
    enum leat_logical logical;
    int32_t precision, scale;
} logicals[] = {
    { "{\"type\":\"int\",\"logicalType\":\"date\"}", LEAT_LOGICAL_DATE, 0, 0 },
    { "{\"type\":\"int\",\"logicalType\":\"time-millis\"}", LEAT_LOGICAL_TIME_MILLIS, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"time-micros\"}", LEAT_LOGICAL_TIME_MICROS, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", LEAT_LOGICAL_TIMESTAMP_MILLIS, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", LEAT_LOGICAL_TIMESTAMP_MICROS, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", LEAT_LOGICAL_TIMESTAMP_NANOS, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}", LEAT_LOGICAL_LOCAL_TIMESTAMP_MILLIS,
        0, 0 },
    { "{\"type\":\"string\",\"logicalType\":\"uuid\"}", LEAT_LOGICAL_UUID, 0, 0 },
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"uuid\"}", LEAT_LOGICAL_UUID, 0, 0 },
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":12,\"logicalType\":\"duration\"}", LEAT_LOGICAL_DURATION,
        0, 0 },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}", LEAT_LOGICAL_DECIMAL, 9,
        2 },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9}", LEAT_LOGICAL_DECIMAL, 9, 0 },
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":9}",
        LEAT_LOGICAL_DECIMAL, 9, 0 },
    /* Not valid, hence ignored. */
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":10}", 0, 0,
        0 },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\"}", 0, 0, 0 },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":0}", 0, 0, 0 },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":3}", 0, 0, 0 },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":\"2\"}", 0, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"date\"}", 0, 0, 0 },
    { "{\"type\":\"int\",\"logicalType\":\"timestamp-millis\"}", 0, 0, 0 },
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":11,\"logicalType\":\"duration\"}", 0, 0, 0 },
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":15,\"logicalType\":\"uuid\"}", 0, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":\"made-up\"}", 0, 0, 0 },
    { "{\"type\":\"long\",\"logicalType\":7}", 0, 0, 0 },
};

static void test_schema__given_logical_types__when_parsed__then_invalid_ones_are_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof logicals / sizeof logicals[0]; i++) {
        struct leat_schema *schema = parse(logicals[i].type);
        if (schema->root->logical != logicals[i].logical ||
            schema->root->precision != logicals[i].precision || schema->root->scale != logicals[i].scale)
            fail_msg("%s: %d, %d, %d", logicals[i].type, schema->root->logical, schema->root->precision,
                schema->root->scale);
        leat__schema_free(schema);
    }
}

static void test_schema__given_failing_memory__when_parsed__then_it_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    const char *text =
        RECORD_OF(FIELD_WITH("[\"null\",{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}]", "null"));
    const int64_t live = leat__alloc_live();
    for (uint64_t n = 1;; n++) {
        struct leat_error err = { 0 };
        struct leat_schema *schema;
        leat__alloc_fail_at(n);
        const int code = leat__schema_parse(text, strlen(text), &schema, &err);
        leat__alloc_fail_at(0);
        leat__schema_free(schema);
        assert_int_equal(leat__alloc_live(), live);
        if (code == 0)
            break;
        assert_int_equal(code, LEAT_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema__given_a_nul_byte_behind_a_number__when_parsed__then_it_is_refused),
        cmocka_unit_test(test_schema__given_valid_text__when_parsed__then_canonical_form_is_as_specified),
        cmocka_unit_test(test_schema__given_avro_vectors__when_parsed__then_canonical_and_fingerprint_agree),
        cmocka_unit_test(test_schema__given_faulty_text__when_parsed__then_the_place_and_cause_are_told),
        cmocka_unit_test(test_schema__given_deep_nesting__when_parsed__then_the_limit_is_told),
        cmocka_unit_test(test_schema__given_a_huge_text__when_parsed__then_the_limit_is_told),
        cmocka_unit_test(
            test_schema__given_a_recursive_record__when_parsed__then_the_reference_shows_the_definition),
        cmocka_unit_test(test_schema__given_attributes__when_parsed__then_the_tree_keeps_them),
        cmocka_unit_test(test_schema__given_logical_types__when_parsed__then_invalid_ones_are_dropped),
        cmocka_unit_test(test_schema__given_failing_memory__when_parsed__then_it_says_so_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
