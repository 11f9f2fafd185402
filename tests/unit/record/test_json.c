/* tests/unit/record/test_json.c -- JSON documents: what is taken, what is refused and with which words, and
 * that writing and reading are each other's inverse for random records of random types. */
#include "base/alloc.h"
#include "base/limits.h"
#include "record/json.h"
#include "tests/support/random_record.h"
#include "tests/support/unit.h"
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct fixture {
    struct leat_pool *pool;
    struct leat_error err;
    int64_t live; /* allocations when the test began */
};

/* A type, its decoder and a batch for it. */
struct bench {
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_json_decoder *decoder;
    struct leat_batch *batch;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->live = leat__alloc_live();
    assert_int_equal(leat__pool_new(16, &f->pool), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    leat__pool_free(f->pool);
    const int64_t live = f->live;
    free(f);
    assert_int_equal(leat__alloc_live(), live);
    return 0;
}

static void bench_open(struct fixture *f, struct bench *b, const char *schema, enum leat_json_mode mode)
{
    memset(b, 0, sizeof *b);
    memset(&f->err, 0, sizeof f->err);
    FAIL_UNLESS(leat__schema_parse(schema, strlen(schema), &b->schema, &f->err) == 0, "%s", f->err.message);
    FAIL_UNLESS(leat__schema_type(b->schema, &b->arena, &b->type, &f->err) == 0, "%s", f->err.message);
    FAIL_UNLESS(leat__json_decoder_new(b->type, mode, &b->decoder, &f->err) == 0, "%s", f->err.message);
    assert_int_equal(leat__batch_get(f->pool, b->type, &b->batch), 0);
}

static void bench_close(struct bench *b)
{
    leat__batch_release(b->batch);
    leat__json_decoder_free(b->decoder);
    leat__arena_release(&b->arena);
    leat__schema_free(b->schema);
}

struct row {
    const char *name;
    const char *line;
    const char *text; /* of the record as PLAIN, or of the error; NULL: the line itself */
};

#define REFUSED "!"

/* Decodes each line; what begins with ! is the error that is expected. */
static void check_rows(
    struct fixture *f, const char *schema, enum leat_json_mode mode, const struct row *rows, size_t count)
{
    struct bench b;
    struct leat_strbuf out = { 0 };
    bench_open(f, &b, schema, mode);
    for (size_t i = 0; i < count; i++) {
        const char *text = rows[i].text ? rows[i].text : rows[i].line;
        const bool refused = text[0] == REFUSED[0];
        leat__batch_rows(b.batch, 0);
        memset(&f->err, 0, sizeof f->err);
        const int code = leat__json_decode(b.decoder, rows[i].line, strlen(rows[i].line), b.batch, &f->err);
        if (refused) {
            FAIL_UNLESS(code == LEAT_EDATA, "%s: %s: code %d", rows[i].name, rows[i].line, code);
            FAIL_UNLESS(strcmp(f->err.message, text + 1) == 0, "%s: \"%s\", not \"%s\"", rows[i].name,
                f->err.message, text + 1);
            assert_int_equal(b.batch->count, 0);
            continue;
        }
        FAIL_UNLESS(code == 0, "%s: %s: %s", rows[i].name, rows[i].line, f->err.message);
        assert_int_equal(b.batch->count, 1);
        leat__strbuf_clear(&out);
        assert_int_equal(
            leat__json_encode(b.type, LEAT_JSON_PLAIN, leat_batch_at(b.batch, 0), &out, &f->err), 0);
        FAIL_UNLESS(strcmp(out.data, text) == 0, "%s: %s, not %s", rows[i].name, out.data, text);
    }
    leat__strbuf_release(&out);
    bench_close(&b);
}

#define RECORD(fields_) "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields_ "]}"
#define FIELD(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"

static void test_json__given_scalars__when_decoded__then_stored_or_refused(void **state)
{
    static const struct row ints[] = {
        { "zero", "{\"x\":0}", NULL },
        { "minus zero", "{\"x\":-0}", "{\"x\":0}" },
        { "white space", " {\t\"x\" :\r 42 } \n", "{\"x\":42}" },
        { "byte order mark", "\xef\xbb\xbf{\"x\":42}", "{\"x\":42}" },
        { "highest", "{\"x\":2147483647}", NULL },
        { "lowest", "{\"x\":-2147483648}", NULL },
        { "above", "{\"x\":2147483648}",
            "!x: expected a whole number within the range of int, found the number 2147483648" },
        { "below", "{\"x\":-2147483649}",
            "!x: expected a whole number within the range of int, found the number -2147483649" },
        { "far above", "{\"x\":99999999999999999999}",
            "!x: expected a whole number within the range of long, found the number 99999999999999999999" },
        { "point", "{\"x\":1.0}", "!x: expected a whole number (int), found the number 1.0" },
        { "exponent", "{\"x\":1e3}", "!x: expected a whole number (int), found the number 1e3" },
        { "string", "{\"x\":\"1\"}", "!x: expected a whole number (int), found the string \"1\"" },
        { "null", "{\"x\":null}", "!x: expected a whole number (int), found null" },
        { "true", "{\"x\":true}", "!x: expected a whole number (int), found true" },
        { "object", "{\"x\":{}}", "!x: expected a whole number (int), found an object" },
        { "array", "{\"x\":[1]}", "!x: expected a whole number (int), found an array" },
        { "leading zero", "{\"x\":01}", "!x: expected a whole number (int), found the number 01" },
        { "plus", "{\"x\":+1}", "!x: expected a whole number (int), found +1" },
        { "minus alone", "{\"x\":-}", "!x: expected a whole number (int), found the number -" },
        { "letters", "{\"x\":1x}", "!x: expected a whole number (int), found the number 1x" },
        { "two numbers", "{\"x\":1 2}", "!not JSON: expected ',' or '}' at byte 8, found the number 2" },
        { "missing", "{}", "!x: missing, and the schema has no default for it" },
    };
    static const struct row longs[] = {
        { "highest", "{\"x\":9223372036854775807}", NULL },
        { "lowest", "{\"x\":-9223372036854775808}", NULL },
        { "eighteen digits", "{\"x\":-99999999999999999}", NULL },
        { "above", "{\"x\":9223372036854775808}",
            "!x: expected a whole number within the range of long, found the number 9223372036854775808" },
        { "leading zeros", "{\"x\":0000000000000000000000001}",
            "!x: expected a whole number (long), found the number 0000000000000000000000001" },
        { "timestamp text in a plain long", "{\"x\":\"2024-01-01T00:00:00Z\"}",
            "!x: expected a whole number (long), found the string \"2024-01-01T00:00:00Z\"" },
    };
    static const struct row doubles[] = {
        { "whole", "{\"x\":3}", "{\"x\":3.0}" },
        { "fraction", "{\"x\":0.1}", NULL },
        { "many digits", "{\"x\":0.1000000000000000055511151231257827}", "{\"x\":0.1}" },
        { "tiny", "{\"x\":5e-324}", NULL },
        { "below tiny", "{\"x\":1e-400}", "{\"x\":0.0}" },
        { "huge", "{\"x\":1.7976931348623157e+308}", "{\"x\":1.7976931348623157e308}" },
        { "above huge", "{\"x\":1e309}",
            "!x: expected a number within the range of its type, found the number 1e309" },
        { "zero with a huge exponent", "{\"x\":0e999999999}", "{\"x\":0.0}" },
        { "minus zero", "{\"x\":-0.0}", NULL },
        { "2^53 + 1", "{\"x\":9007199254740993}", "{\"x\":9007199254740992.0}" },
        { "no digit behind the point", "{\"x\":1.}", "!x: expected a number, found the number 1." },
        { "no digit before the point", "{\"x\":.5}", "!x: expected a number, found .5" },
        { "no exponent", "{\"x\":1e}", "!x: expected a number, found the number 1e" },
        { "NaN", "{\"x\":NaN}", "!x: expected a number, found NaN" },
        { "Infinity", "{\"x\":-Infinity}", "!x: expected a number, found the number -Infinity" },
    };
    static const struct row booleans[] = {
        { "true", "{\"x\":true}", NULL },
        { "false", "{\"x\":false}", NULL },
        { "cut", "{\"x\":tru}", "!x: expected true or false, found tru" },
        { "longer", "{\"x\":truex}", "!x: expected true or false, found truex" },
        { "number", "{\"x\":1}", "!x: expected true or false, found the number 1" },
    };
    struct fixture *f = *state;
    check_rows(f, RECORD(FIELD("x", "\"int\"")), LEAT_JSON_PLAIN, ints, COUNT_OF(ints));
    check_rows(f, RECORD(FIELD("x", "\"long\"")), LEAT_JSON_AVRO, longs, COUNT_OF(longs));
    check_rows(f, RECORD(FIELD("x", "\"double\"")), LEAT_JSON_PLAIN, doubles, COUNT_OF(doubles));
    check_rows(f, RECORD(FIELD("x", "\"boolean\"")), LEAT_JSON_PLAIN, booleans, COUNT_OF(booleans));
}

static void test_json__given_strings__when_decoded__then_escapes_are_undone(void **state)
{
    static const struct row rows[] = {
        { "empty", "{\"x\":\"\"}", NULL },
        { "plain", "{\"x\":\"abc\"}", NULL },
        { "all escapes", "{\"x\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "{\"x\":\"\\\"\\\\/\\b\\f\\n\\r\\t\"}" },
        { "code point", "{\"x\":\"\\u20ac\\u20AC\"}", "{\"x\":\"\xe2\x82\xac\xe2\x82\xac\"}" },
        { "pair", "{\"x\":\"\\ud83d\\ude00!\"}", "{\"x\":\"\xf0\x9f\x98\x80!\"}" },
        { "zero byte", "{\"x\":\"a\\u0000b\"}", "{\"x\":\"a\\u0000b\"}" },
        { "UTF-8 as it is", "{\"x\":\"\xe2\x82\xac\"}", NULL },
        { "brackets inside", "{\"x\":\"{[,:]}\"}", NULL },
        { "half a pair", "{\"x\":\"\\ud83d\"}",
            "!x: not JSON: expected good escapes at byte 6, found the string \"\\ud83d\"" },
        { "second half first", "{\"x\":\"\\ude00\\ud83d\"}",
            "!x: not JSON: expected good escapes at byte 6, found the string \"\\ude00\\ud83d\"" },
        { "unknown escape", "{\"x\":\"\\q\"}",
            "!x: not JSON: expected good escapes at byte 6, found the string \"\\q\"" },
        { "short escape", "{\"x\":\"\\u12\"}",
            "!x: not JSON: expected good escapes at byte 6, found the string \"\\u12\"" },
        { "not closed", "{\"x\":\"abc}", "!not JSON: a string is not closed" },
        { "line end inside", "{\"x\":\"a\nb\"}",
            "!not JSON: a string has a control character (a tab or a line end is written \\t or \\n)" },
        { "no UTF-8", "{\"x\":\"\xff\"}", "!not JSON: it is not UTF-8" },
        { "number", "{\"x\":5}", "!x: expected a string, found the number 5" },
        { "long text in an error", "{\"x\":[\"0123456789012345678901234567890123456789\"]}",
            "!x: expected a string, found an array" },
        { "garbage behind", "{\"x\":\"a\"b}", "!not JSON: expected ',' or '}' at byte 9, found b" },
    };
    struct fixture *f = *state;
    check_rows(f, RECORD(FIELD("x", "\"string\"")), LEAT_JSON_PLAIN, rows, COUNT_OF(rows));
}

static void test_json__given_bytes_and_fixed__when_decoded__then_by_mode(void **state)
{
    static const struct row plain[] = {
        { "text", "{\"x\":\"\xc3\xa9\",\"y\":\"ab\"}", NULL },
        { "fixed above 127", "{\"x\":\"\",\"y\":\"\xc3\xbf\\u0000\"}",
            "{\"x\":\"\",\"y\":\"\xc3\xbf\\u0000\"}" },
        { "fixed too short", "{\"x\":\"\",\"y\":\"a\"}",
            "!y: expected a string of 2 characters from 0 to 255, found the string \"a\"" },
        { "fixed beyond 255", "{\"x\":\"\",\"y\":\"\xe2\x82\xac\x61\"}",
            "!y: expected a string of 2 characters from 0 to 255, found the string \"\xe2\x82\xac\x61\"" },
        { "fixed number", "{\"x\":\"\",\"y\":12}",
            "!y: expected a string of 2 characters from 0 to 255, found the number 12" },
    };
    static const struct row avro[] = {
        { "ASCII", "{\"x\":\"ab\",\"y\":\"ab\"}", NULL },
        { "é is one byte, here the first of a sequence", "{\"x\":\"\xc3\x83\xc2\xa9\",\"y\":\"ab\"}",
            "{\"x\":\"\xc3\xa9\",\"y\":\"ab\"}" },
        { "beyond 255", "{\"x\":\"\\u0100\",\"y\":\"ab\"}",
            "!x: expected a string of the characters 0 to 255, found the string \"\\u0100\"" },
    };
    static const char schema[] =
        RECORD(FIELD("x", "\"bytes\"") "," FIELD("y", "{\"type\":\"fixed\",\"name\":\"f\",\"size\":2}"));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, plain, COUNT_OF(plain));
    check_rows(f, schema, LEAT_JSON_AVRO, avro, COUNT_OF(avro));
}

static void test_json__given_enums__when_decoded__then_by_symbol_with_near_misses(void **state)
{
    static const struct row rows[] = {
        { "first", "{\"x\":\"RED\"}", NULL },
        { "last", "{\"x\":\"BLUE\"}", NULL },
        { "escaped", "{\"x\":\"GR\\u0045EN\"}", "{\"x\":\"GREEN\"}" },
        { "near", "{\"x\":\"GREN\"}",
            "!x: expected a symbol of color: RED, GREEN, BLUE, found the string \"GREN\"; did you mean "
            "\"GREEN\"?" },
        { "far", "{\"x\":\"mauve\"}",
            "!x: expected a symbol of color: RED, GREEN, BLUE, found the string \"mauve\"" },
        { "number", "{\"x\":1}", "!x: expected a symbol of color: RED, GREEN, BLUE, found the number 1" },
    };
    static const char schema[] =
        RECORD(FIELD("x", "{\"type\":\"enum\",\"name\":\"color\",\"symbols\":[\"RED\",\"GREEN\",\"BLUE\"]}"));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, rows, COUNT_OF(rows));
}

static void test_json__given_timestamps__when_plain__then_text_is_taken_too(void **state)
{
    static const struct row plain[] = {
        { "integers", "{\"ms\":1,\"us\":2,\"ns\":3,\"local\":4}", NULL },
        { "text",
            "{\"ms\":\"1970-01-01T00:00:01.5Z\",\"us\":\"1970-01-01T01:00:00+01:00\","
            "\"ns\":\"1970-01-01T00:00:00.000000007Z\",\"local\":\"1970-01-01T00:00:01\"}",
            "{\"ms\":1500,\"us\":0,\"ns\":7,\"local\":1000}" },
        { "no timestamp", "{\"ms\":\"yesterday\"}",
            "!ms: expected a whole number or an RFC 3339 timestamp, found the string \"yesterday\"" },
        { "fraction", "{\"ms\":1.5}",
            "!ms: expected a whole number or an RFC 3339 timestamp, found the number 1.5" },
        { "beyond nanoseconds", "{\"ns\":\"2300-01-01T00:00:00Z\"}",
            "!ns: expected a timestamp within the range of its type, found the string "
            "\"2300-01-01T00:00:00Z\"" },
    };
    static const struct row avro[] = {
        { "integers", "{\"ms\":1,\"us\":2,\"ns\":3,\"local\":4}", NULL },
        { "text", "{\"ms\":\"1970-01-01T00:00:01Z\",\"us\":2,\"ns\":3,\"local\":4}",
            "!ms: expected a whole number (long), found the string \"1970-01-01T00:00:01Z\"" },
    };
#define STAMP(name_, logical_) FIELD(name_, "{\"type\":\"long\",\"logicalType\":\"" logical_ "\"}")
    static const char schema[] = RECORD(STAMP("ms", "timestamp-millis") "," STAMP("us",
        "timestamp-micros") "," STAMP("ns", "timestamp-nanos") "," STAMP("local", "local-timestamp-millis"));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, plain, COUNT_OF(plain));
    check_rows(f, schema, LEAT_JSON_AVRO, avro, COUNT_OF(avro));
}

static void test_json__given_members__when_in_any_order__then_found_and_last_wins(void **state)
{
    static const struct row rows[] = {
        { "expected order", "{\"a\":1,\"b\":\"x\",\"c\":true}", NULL },
        { "reversed", "{\"c\":true,\"b\":\"x\",\"a\":1}", "{\"a\":1,\"b\":\"x\",\"c\":true}" },
        { "twice", "{\"a\":1,\"b\":\"x\",\"c\":true,\"a\":2,\"b\":\"\"}", "{\"a\":2,\"b\":\"\",\"c\":true}" },
        { "escaped name", "{\"\\u0061\":1,\"b\":\"x\",\"c\":true}", "{\"a\":1,\"b\":\"x\",\"c\":true}" },
        { "unknown members",
            "{\"z\":{\"q\":[1,{\"r\":[]},\"s\",null,{}]},\"a\":1,\"\":-1.5e+3,\"b\":\"x\",\"aa\":false,\"c\":"
            "true,\"d\":[]}",
            "{\"a\":1,\"b\":\"x\",\"c\":true}" },
        { "unknown twice wrong inside", "{\"z\":[1,2,],\"a\":1,\"b\":\"x\",\"c\":true}",
            "!not JSON: expected a value at byte 11, found ]" },
        { "unknown, bad number", "{\"z\":[00],\"a\":1,\"b\":\"x\",\"c\":true}",
            "!not JSON: expected a value at byte 7, found the number 00" },
        { "unknown, bad word", "{\"z\":nul,\"a\":1}", "!not JSON: expected a value at byte 6, found nul" },
        { "unknown, bad escape", "{\"z\":\"\\x\",\"a\":1}",
            "!not JSON: expected good escapes at byte 6, found the string \"\\x\"" },
        { "unknown, crossed brackets", "{\"z\":[{]},\"a\":1}",
            "!not JSON: expected a member's name at byte 8, found ]" },
        { "unknown, comma for colon", "{\"z\",1}", "!not JSON: expected ':' at byte 5, found ," },
        { "comma at the end", "{\"a\":1,}", "!not JSON: expected a member's name at byte 8, found }" },
        { "no name", "{1:2}", "!not JSON: expected a member's name at byte 2, found the number 1" },
        { "no colon", "{\"a\" 1}", "!not JSON: expected ':' at byte 6, found the number 1" },
        { "no value", "{\"a\":}", "!a: expected a whole number (int), found }" },
        { "not closed", "{\"a\":1", "!not JSON: expected ',' or '}' at byte 7, found the end of the text" },
        { "empty", "", "!not JSON: there is nothing but white space" },
        { "white space", " \t ", "!not JSON: there is nothing but white space" },
        { "array", "[1]", "!expected an object, found an array" },
        { "word", "null", "!expected an object, found null" },
        { "text behind", "{\"a\":1,\"b\":\"x\",\"c\":true} {}",
            "!not JSON: expected the end of the text at byte 26, found an object" },
        { "form feed", "{\"a\":1,\f\"b\":\"x\",\"c\":true}",
            "!not JSON: expected a member's name at byte 8, found \f" },
        { "missing in the middle", "{\"a\":1,\"c\":true}",
            "!b: missing, and the schema has no default for it" },
    };
    static const char schema[] =
        RECORD(FIELD("a", "\"int\"") "," FIELD("b", "\"string\"") "," FIELD("c", "\"boolean\""));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, rows, COUNT_OF(rows));
    check_rows(f, schema, LEAT_JSON_AVRO, rows, COUNT_OF(rows));
}

static void test_json__given_nullable_fields__when_decoded__then_by_mode(void **state)
{
    static const struct row plain[] = {
        { "null", "{\"x\":null,\"y\":null,\"z\":null}", NULL },
        { "values", "{\"x\":1,\"y\":\"s\",\"z\":{\"v\":2}}", NULL },
        { "absent", "{}", "{\"x\":null,\"y\":null,\"z\":null}" },
        { "value, then null", "{\"x\":1,\"x\":null}", "{\"x\":null,\"y\":null,\"z\":null}" },
        { "null, then value", "{\"x\":null,\"x\":1}", "{\"x\":1,\"y\":null,\"z\":null}" },
        { "wrong", "{\"y\":1}", "!y: expected a string, found the number 1" },
        { "wrong inside", "{\"z\":{\"v\":\"a\"}}",
            "!z.v: expected a whole number (int), found the string \"a\"" },
        { "nul", "{\"x\":nul}", "!x: expected a whole number (int), found nul" },
    };
    static const struct row avro[] = {
        { "null", "{\"x\":null,\"y\":null,\"z\":null}", NULL },
        { "values", "{\"x\":{\"int\":1},\"y\":{\"string\":\"s\"},\"z\":{\"ns.inner\":{\"v\":2}}}",
            "{\"x\":1,\"y\":\"s\",\"z\":{\"v\":2}}" },
        { "absent", "{}", "!x: missing, and the schema has no default for it" },
        { "bare", "{\"x\":1}", "!x: expected null or {\"int\": ...}, found the number 1" },
        { "other branch", "{\"x\":{\"long\":1}}",
            "!x: expected null or {\"int\": ...}, found the string \"long\"" },
        { "simple name", "{\"z\":{\"inner\":{\"v\":2}}}",
            "!z: expected null or {\"ns.inner\": ...}, found the string \"inner\"" },
        { "two members", "{\"x\":{\"int\":1,\"int\":2}}", "!x: not JSON: expected '}' at byte 14, found ," },
    };
    static const char schema[] =
        RECORD(FIELD("x", "[\"null\",\"int\"]") "," FIELD("y", "[\"string\",\"null\"]") "," FIELD("z",
            "[\"null\",{\"type\":\"record\",\"name\":\"ns.inner\",\"fields\":[" FIELD("v", "\"int\"") "]}]"));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, plain, COUNT_OF(plain));
    check_rows(f, schema, LEAT_JSON_AVRO, avro, COUNT_OF(avro));
}

static void test_json__given_unions__when_decoded__then_first_fit_or_named_branch(void **state)
{
    static const struct row plain[] = {
        { "null", "{\"u\":null}", NULL },
        { "int", "{\"u\":1}", NULL },
        { "beyond int", "{\"u\":3000000000}", NULL },
        { "double", "{\"u\":1.5}", NULL },
        { "beyond long", "{\"u\":10000000000000000000}", "{\"u\":10000000000000000000.0}" },
        { "record", "{\"u\":{\"v\":\"s\"}}", NULL },
        { "the second record fits", "{\"u\":{\"w\":[1]}}", NULL },
        { "string", "{\"u\":\"s\"}", NULL },
        { "none fits", "{\"u\":{\"q\":1}}",
            "!u: expected a value of one of null, int, long, double, a, b, string, found an object" },
        { "bad JSON inside", "{\"u\":{\"w\":[1}}",
            "!u: expected a value of one of null, int, long, double, a, b, string, found an object" },
        { "absent", "{}", "!u: missing, and the schema has no default for it" },
    };
    static const struct row avro[] = {
        { "null", "{\"u\":null}", NULL },
        { "int", "{\"u\":{\"int\":1}}", "{\"u\":1}" },
        { "record", "{\"u\":{\"b\":{\"w\":[1]}}}", "{\"u\":{\"w\":[1]}}" },
        { "bare", "{\"u\":1}",
            "!u: expected null or an object with one member of null, int, long, double, a, b, string, found "
            "the number 1" },
        { "unknown branch", "{\"u\":{\"c\":1}}",
            "!u: expected the name of a branch: null, int, long, double, a, b, string, found the string "
            "\"c\"" },
        { "wrong value", "{\"u\":{\"a\":{\"v\":1}}}", "!u.v: expected a string, found the number 1" },
        { "empty object", "{\"u\":{}}", "!u: not JSON: expected a member's name at byte 7, found }" },
    };
    static const char schema[] = RECORD(FIELD("u",
        "[\"null\",\"int\",\"long\",\"double\","
        "{\"type\":\"record\",\"name\":\"a\",\"fields\":[" FIELD(
            "v", "\"string\"") "]},"
                               "{\"type\":\"record\",\"name\":\"b\",\"fields\":[" FIELD(
                                   "w", "{\"type\":\"array\",\"items\":\"int\"}") "]},"
                                                                                  "\"string\"]"));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, plain, COUNT_OF(plain));
    check_rows(f, schema, LEAT_JSON_AVRO, avro, COUNT_OF(avro));
}

static void test_json__given_arrays_and_maps__when_decoded__then_items_in_order(void **state)
{
    static const struct row rows[] = {
        { "empty", "{\"a\":[],\"m\":{}}", NULL },
        { "empty with space", "{\"a\":[ ],\"m\":{ }}", "{\"a\":[],\"m\":{}}" },
        { "nested", "{\"a\":[[1,2],[],[3]],\"m\":{\"k\":[{\"v\":\"x\"},null],\"\\n\":[]}}", NULL },
        { "a key twice stays twice", "{\"a\":[],\"m\":{\"k\":[],\"k\":[null]}}", NULL },
        { "wrong item", "{\"a\":[[1],[2,true]],\"m\":{}}",
            "!a[1][1]: expected a whole number (int), found true" },
        { "wrong in a map", "{\"a\":[],\"m\":{\"key\":[null,{\"v\":1}]}}",
            "!m.key[1].v: expected a string, found the number 1" },
        { "no array", "{\"a\":{},\"m\":{}}", "!a: expected an array, found an object" },
        { "no map", "{\"a\":[],\"m\":[]}", "!m: expected an object, found an array" },
        { "comma at the end", "{\"a\":[[1],],\"m\":{}}", "!a[1]: expected an array, found ]" },
        { "comma at the end of a map", "{\"a\":[],\"m\":{\"k\":[],}}",
            "!m: not JSON: expected a key at byte 21, found }" },
        { "no comma", "{\"a\":[[1] [2]],\"m\":{}}",
            "!a: not JSON: expected ',' or ']' at byte 11, found an array" },
        { "crossed", "{\"a\":[[1}],\"m\":{}}", "!a[0]: not JSON: expected ',' or ']' at byte 9, found }" },
        { "no end", "{\"a\":[[1",
            "!a[0]: not JSON: expected ',' or ']' at byte 9, found the end of the text" },
        { "array closed as an object", "{\"a\":[},\"m\":{}}", "!a[0]: expected an array, found }" },
        { "object closed as an array", "{\"a\":[],\"m\":{]}",
            "!m: not JSON: expected a key at byte 14, found ]" },
        { "no key", "{\"a\":[],\"m\":{[]}}", "!m: not JSON: expected a key at byte 14, found an array" },
    };
    static const char schema[] = RECORD(
        FIELD("a", "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":\"int\"}}") "," FIELD("m",
            "{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":[\"null\","
            "{\"type\":\"record\",\"name\":\"i\",\"fields\":[" FIELD("v", "\"string\"") "]}]}}"));
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, rows, COUNT_OF(rows));
}

static void test_json__given_defaults__when_members_are_missing__then_filled_in(void **state)
{
#define DEFAULT(name_, type_, default_) "{\"name\":\"" name_ "\",\"type\":" type_ ",\"default\":" default_ "}"
    static const char schema[] =
        RECORD(DEFAULT("i", "\"int\"", "7") "," DEFAULT("s", "\"string\"", "\"\\u20ac\\n\"") "," DEFAULT(
            "d", "\"double\"", "1") "," DEFAULT("b", "\"bytes\"", "\"\\u00c3\\u00a9\"") "," DEFAULT("x",
            "{\"type\":\"fixed\",\"name\":\"fx\",\"size\":2}", "\"\\u00ff\\u0000\"") "," DEFAULT("e",
            "{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"A\",\"B\"]}",
            "\"B\"") "," DEFAULT("n", "[\"null\",\"string\"]", "null") "," DEFAULT("v",
            "[\"string\",\"null\"]", "\"here\"") "," DEFAULT("a", "{\"type\":\"array\",\"items\":\"string\"}",
            "[\"p\",\"q\"]") "," DEFAULT("m", "{\"type\":\"map\",\"values\":\"int\"}",
            "{\"k\":1}") "," DEFAULT("r",
            "{\"type\":\"record\",\"name\":\"in\",\"fields\":[" DEFAULT(
                "y", "\"string\"", "\"yy\"") "," FIELD("z", "\"int\"") "]}",
            "{\"z\":3}") "," DEFAULT("u", "[\"long\",\"string\"]", "5") "," DEFAULT("w",
            "{\"type\":\"array\",\"items\":\"in\"}", "[{\"z\":1}]"));
#define ALL \
    "{\"i\":7,\"s\":\"\xe2\x82\xac\\n\",\"d\":1.0,\"b\":\"\xc3\xa9\",\"x\":\"\xc3\xbf\\u0000\",\"e\":\"B\"," \
    "\"n\":null," \
    "\"v\":\"here\",\"a\":[\"p\",\"q\"],\"m\":{\"k\":1},\"r\":{\"y\":\"yy\",\"z\":3},\"u\":5,\"w\":"
    static const struct row rows[] = {
        { "all missing", "{}", ALL "[{\"y\":\"yy\",\"z\":1}]}" },
        { "defaults of items", "{\"w\":[{\"z\":1},{\"y\":\"\",\"z\":2}]}",
            ALL "[{\"y\":\"yy\",\"z\":1},{\"y\":\"\",\"z\":2}]}" },
        { "missing inside", "{\"w\":[{\"z\":1},{}]}",
            "!w[1].z: missing, and the schema has no default for it" },
    };
    struct fixture *f = *state;
    check_rows(f, schema, LEAT_JSON_PLAIN, rows, COUNT_OF(rows));
    check_rows(f, schema, LEAT_JSON_AVRO, rows, COUNT_OF(rows));
}

/* The rows must not need the decoder: batches outlive sources. */
static void test_json__given_defaults_in_rows__when_the_decoder_is_freed__then_rows_stay(void **state)
{
    static const char schema[] =
        RECORD(DEFAULT("s", "\"string\"", "\"a default of some length\"") "," DEFAULT(
            "a", "{\"type\":\"array\",\"items\":\"string\"}", "[\"p\"]"));
    struct fixture *f = *state;
    struct bench b;
    struct leat_strbuf out = { 0 };
    bench_open(f, &b, schema, LEAT_JSON_PLAIN);
    assert_int_equal(leat__json_decode(b.decoder, "{}", 2, b.batch, &f->err), 0);
    leat__json_decoder_free(b.decoder);
    b.decoder = NULL;
    assert_int_equal(leat__json_encode(b.type, LEAT_JSON_PLAIN, leat_batch_at(b.batch, 0), &out, &f->err), 0);
    assert_string_equal(out.data, "{\"s\":\"a default of some length\",\"a\":[\"p\"]}");
    leat__strbuf_release(&out);
    bench_close(&b);
}

static void test_json__given_a_type_without_schema__when_decoded__then_no_defaults(void **state)
{
    static const struct leat_type long_type = {
        .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8
    };
    static const struct leat_field fields[] = { { "x", &long_type, 0, LEAT_NOT_NULLABLE },
        { "y", &long_type, 16, 8 } };
    static const struct leat_type type = {
        .kind = LEAT_KIND_RECORD, .name = "r", .size = 24, .align = 8, .fields_count = 2, .fields = fields
    };
    struct fixture *f = *state;
    struct leat_json_decoder *decoder;
    struct leat_batch *batch;
    assert_int_equal(leat__json_decoder_new(&type, LEAT_JSON_PLAIN, &decoder, &f->err), 0);
    assert_int_equal(leat__batch_get(f->pool, &type, &batch), 0);
    assert_int_equal(leat__json_decode(decoder, "{\"x\":1}", 7, batch, &f->err), 0);
    assert_int_equal(leat__json_decode(decoder, "{\"y\":1}", 7, batch, &f->err), LEAT_EDATA);
    assert_int_equal(batch->count, 1);
    leat__batch_release(batch);
    leat__json_decoder_free(decoder);
}

static void test_json__given_values_json_can_not_say__when_encoded__then_refused_with_the_path(void **state)
{
    static const struct {
        const char *schema;
        const char *field;
        double number;
        int32_t index;
        const char *avro, *plain; /* errors begin with ! */
    } rows[] = {
        { FIELD("x", "\"double\""), "x", NAN, 0,
            "!x: NaN can not be written as JSON: use plain mode, which writes null", "{\"x\":null}" },
        { FIELD("x", "\"double\""), "x", -INFINITY, 0,
            "!x: infinity can not be written as JSON: use plain mode, which writes null", "{\"x\":null}" },
        { FIELD("x", "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}"), "x", 0, 2,
            "!x: enum e has no symbol 2: its symbols are 0 to 1",
            "!x: enum e has no symbol 2: its symbols are 0 to 1" },
        { FIELD("x", "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}"), "x", 0, -1,
            "!x: enum e has no symbol -1: its symbols are 0 to 1",
            "!x: enum e has no symbol -1: its symbols are 0 to 1" },
        { FIELD("x", "[\"int\",\"string\"]"), "x", 0, 5,
            "!x: the union has no branch 5: its branches are 0 to 1",
            "!x: the union has no branch 5: its branches are 0 to 1" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench b;
        char schema[256];
        (void)snprintf(schema, sizeof schema, RECORD("%s"), rows[i].schema);
        bench_open(f, &b, schema, LEAT_JSON_PLAIN);
        char *row = leat__batch_push(b.batch);
        if (b.type->fields[0].type->kind == LEAT_KIND_DOUBLE)
            memcpy(row, &rows[i].number, 8);
        else
            memcpy(row, &rows[i].index, 4);
        for (int mode = LEAT_JSON_PLAIN; mode <= LEAT_JSON_AVRO; mode++) {
            struct leat_strbuf out = { 0 };
            const char *text = mode == LEAT_JSON_PLAIN ? rows[i].plain : rows[i].avro;
            leat__strbuf_str(&out, "before ");
            const int code = leat__json_encode(b.type, (enum leat_json_mode)mode, row, &out, &f->err);
            if (text[0] == '!') {
                assert_int_equal(code, LEAT_EDATA);
                assert_string_equal(f->err.message, text + 1);
                assert_string_equal(out.data, "before ");
            } else {
                assert_int_equal(code, 0);
                assert_string_equal(out.data + 7, text);
            }
            leat__strbuf_release(&out);
        }
        bench_close(&b);
    }
}

static void test_json__given_text_that_is_no_utf8__when_encoded__then_replaced(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } rows[] = {
        { "a\xff"
          "b",
            3,
            "a\xef\xbf\xbd"
            "b" },
        { "\xc3", 1, "\xef\xbf\xbd" },
        { "12345678\xe2\x82", 10, "12345678\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xe0\x80\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xf0\x9f\x98\x80\x80", 5, "\xf0\x9f\x98\x80\xef\xbf\xbd" },
    };
    static const struct leat_type type = {
        .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_strbuf out = { 0 };
        struct leat_sv sv = { rows[i].text, rows[i].len };
        assert_int_equal(leat__json_encode(&type, LEAT_JSON_PLAIN, &sv, &out, &f->err), 0);
        assert_int_equal(out.len, strlen(rows[i].json) + 2);
        assert_memory_equal(out.data + 1, rows[i].json, out.len - 2);
        leat__strbuf_release(&out);
    }
}

/* Round trips: encode, decode, compare; and what is written is JSON to another library. */
static void round_trip(struct fixture *f, uint64_t seed, enum leat_json_mode mode, bool unions)
{
    struct random_source r = { seed, mode == LEAT_JSON_PLAIN, true };
    struct leat_strbuf schema = { 0 }, out = { 0 };
    struct bench b;
    random_schema(&r, unions, &schema);
    bench_open(f, &b, schema.data, mode);
    for (int i = 0; i < 8; i++) {
        leat__batch_rows(b.batch, 0);
        leat__strbuf_clear(&out);
        void *row = leat__batch_push(b.batch);
        random_fill(&r, b.type, row, b.batch);
        FAIL_UNLESS(leat__json_encode(b.type, mode, row, &out, &f->err) == 0, "seed %llu: %s",
            (unsigned long long)seed, f->err.message);
        FAIL_UNLESS(leat__json_decode(b.decoder, out.data, out.len, b.batch, &f->err) == 0,
            "seed %llu: %s: %s", (unsigned long long)seed, out.data, f->err.message);
        if (!unions || mode == LEAT_JSON_AVRO)
            FAIL_UNLESS(random_equal(b.type, leat_batch_at(b.batch, 0), leat_batch_at(b.batch, 1)),
                "seed %llu, schema %s: %s", (unsigned long long)seed, schema.data, out.data);
        json_t *parsed = json_loadb(out.data, out.len, JSON_ALLOW_NUL, NULL);
        FAIL_UNLESS(parsed, "seed %llu: %s", (unsigned long long)seed, out.data);
        json_decref(parsed);
    }
    bench_close(&b);
    leat__strbuf_release(&schema);
    leat__strbuf_release(&out);
}

static void test_json__given_random_records__when_encoded_and_decoded__then_the_same(void **state)
{
    for (uint64_t seed = 1; seed <= 400; seed++) {
        round_trip(*state, seed * 7919, LEAT_JSON_PLAIN, false);
        round_trip(*state, seed * 104729, LEAT_JSON_AVRO, true);
        round_trip(*state, seed * 1299709, LEAT_JSON_PLAIN, true);
    }
}

static void test_json__given_random_numbers__when_printed_and_parsed__then_bits_are_the_same(void **state)
{
    static const struct leat_type double_type = {
        .kind = LEAT_KIND_DOUBLE, .name = "double", .size = 8, .align = 8
    };
    static const struct leat_type float_type = {
        .kind = LEAT_KIND_FLOAT, .name = "float", .size = 4, .align = 4
    };
    struct fixture *f = *state;
    struct random_source r = { 12345, false, true };
    struct leat_strbuf out = { 0 };
    for (int i = 0; i < 200000; i++) {
        const uint64_t bits = random_next(&r);
        double number;
        float single;
        memcpy(&number, &bits, 8);
        memcpy(&single, &bits, 4);
        leat__strbuf_clear(&out);
        if (isfinite(number)) {
            assert_int_equal(leat__json_encode(&double_type, LEAT_JSON_PLAIN, &number, &out, &f->err), 0);
            const double back = strtod(out.data, NULL);
            FAIL_UNLESS(memcmp(&back, &number, 8) == 0, "%s", out.data);
            assert_true(out.len <= 26);
        }
        leat__strbuf_clear(&out);
        if (isfinite(single)) {
            assert_int_equal(leat__json_encode(&float_type, LEAT_JSON_PLAIN, &single, &out, &f->err), 0);
            const float back = strtof(out.data, NULL);
            FAIL_UNLESS(memcmp(&back, &single, 4) == 0, "%s", out.data);
        }
    }
    leat__strbuf_release(&out);
}

static void test_json__given_numbers__when_encoded__then_in_the_form_people_write(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        { 0, "0.0" },
        { -0.0, "-0.0" },
        { 1, "1.0" },
        { -1.5, "-1.5" },
        { 100000, "100000.0" },
        { 1e15, "1000000000000000.0" },
        { 1e20, "100000000000000000000.0" },
        { 1e21, "1e21" },
        { 1.5e300, "1.5e300" },
        { 0.001, "0.001" },
        { 0.000001, "0.000001" },
        { 0.0000012, "0.0000012" },
        { 0.0000001, "1e-7" },
        { 123456.789, "123456.789" },
        { 5e-324, "5e-324" },
        { 9007199254740992, "9007199254740992.0" },
        { 0.1 + 0.2, "0.30000000000000004" },
    };
    static const struct leat_type type = {
        .kind = LEAT_KIND_DOUBLE, .name = "double", .size = 8, .align = 8
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct leat_strbuf out = { 0 };
        assert_int_equal(leat__json_encode(&type, LEAT_JSON_AVRO, &rows[i].value, &out, &f->err), 0);
        assert_string_equal(out.data, rows[i].text);
        leat__strbuf_release(&out);
    }
}

static void test_json__given_a_locale_with_a_decimal_comma__when_used__then_nothing_changes(void **state)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE" };
    static const struct row rows[] = { { "point", "{\"x\":1.5}", NULL },
        { "comma", "{\"x\":1,5}", "!not JSON: expected a member's name at byte 8, found the number 5" } };
    const char *set = NULL;
    for (size_t i = 0; !set && i < COUNT_OF(names); i++)
        set = setlocale(LC_ALL, names[i]);
    if (!set)
        SKIP_BECAUSE("no locale with a decimal comma is installed");
    check_rows(*state, RECORD(FIELD("x", "\"double\"")), LEAT_JSON_PLAIN, rows, COUNT_OF(rows));
    (void)setlocale(LC_ALL, "C");
}

/* ---- hostile documents ---- */

static void test_json__given_documents_at_the_end_of_memory__when_decoded__then_no_byte_behind_is_read(
    void **state)
{
    static const char document[] = "{\"s\":\"some text\\n that is longer than a block of sixty-four bytes, "
                                   "to be sure of it\",\"x\":12345}";
    struct fixture *f = *state;
    struct bench b;
    const size_t page = 4096;
    char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + 2 * page, page, PROT_NONE), 0);
    bench_open(f, &b, RECORD(FIELD("s", "\"string\"") "," FIELD("x", "\"long\"")), LEAT_JSON_PLAIN);
    for (size_t len = 0; len < sizeof document; len++) {
        char *at = memory + 2 * page - len;
        memcpy(at, document, len);
        leat__batch_rows(b.batch, 0);
        const int code = leat__json_decode(b.decoder, at, len, b.batch, &f->err);
        assert_int_equal(code, len == sizeof document - 1 ? 0 : LEAT_EDATA);
    }
    bench_close(&b);
    assert_int_equal(munmap(memory, 3 * page), 0);
}

static void test_json__given_deep_nesting__when_ignored__then_bounded(void **state)
{
    struct fixture *f = *state;
    struct bench b;
    bench_open(f, &b, RECORD(FIELD("x", "[\"null\",\"long\"]")), LEAT_JSON_PLAIN);
    for (size_t depth = 1020; depth < 1030; depth++) {
        struct leat_strbuf text = { 0 };
        leat__strbuf_str(&text, "{\"z\":");
        for (size_t i = 0; i < depth; i++)
            leat__strbuf_str(&text, i % 3 ? "[" : "{\"k\":");
        leat__strbuf_str(&text, "1");
        for (size_t i = depth; i > 0; i--)
            leat__strbuf_str(&text, (i - 1) % 3 ? "]" : "}");
        leat__strbuf_str(&text, ",\"x\":5}");
        leat__batch_rows(b.batch, 0);
        const int code = leat__json_decode(b.decoder, text.data, text.len, b.batch, &f->err);
        FAIL_UNLESS(code == (depth <= 1024 ? 0 : LEAT_EDATA), "depth %zu: %s", depth, f->err.message);
        if (code < 0)
            assert_non_null(strstr(f->err.message, "less than 1024 levels"));
        leat__strbuf_release(&text);
    }
    bench_close(&b);
}

static void test_json__given_few_bytes_for_large_structs__when_decoded__then_memory_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct bench b;
    struct leat_strbuf schema = { 0 }, text = { 0 };
    leat__strbuf_str(&schema,
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\","
        "\"items\":{\"type\":\"record\",\"name\":\"i\",\"fields\":[");
    for (int i = 0; i < 1000; i++)
        leat__strbuf_printf(&schema, "%s{\"name\":\"f%d\",\"type\":\"long\",\"default\":0}", i ? "," : "", i);
    leat__strbuf_str(&schema, "]}}}]}");
    bench_open(f, &b, schema.data, LEAT_JSON_PLAIN);
    leat__strbuf_str(&text, "{\"a\":[{}");
    for (int i = 0; i < 3000; i++)
        leat__strbuf_str(&text, ",{}");
    leat__strbuf_str(&text, "]}");
    assert_int_equal(leat__json_decode(b.decoder, text.data, text.len, b.batch, &f->err), LEAT_EDATA);
    assert_string_equal(f->err.message, "a: the record takes more than 16777216 bytes in memory, the limit");
    bench_close(&b);

    /* A long default, once for every item. */
    leat__strbuf_clear(&schema);
    leat__strbuf_str(&schema,
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\","
        "\"items\":{\"type\":\"record\",\"name\":\"i\",\"fields\":[{\"name\":\"s\",\"type\":\"string\","
        "\"default\":\"");
    for (int i = 0; i < 1000; i++)
        leat__strbuf_str(&schema, "0123456789");
    leat__strbuf_str(&schema, "\"}]}}}]}");
    bench_open(f, &b, schema.data, LEAT_JSON_PLAIN);
    assert_int_equal(leat__json_decode(b.decoder, text.data, text.len, b.batch, &f->err), LEAT_EDATA);
    assert_non_null(strstr(f->err.message, "bytes in memory, the limit"));
    bench_close(&b);
    leat__strbuf_release(&schema);
    leat__strbuf_release(&text);
}

static void test_json__given_long_lines__when_decoded__then_taken_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    struct bench b;
    static const char head[] = "{\"x\":1,\"s\":\"", tail[] = "\"}";
    bench_open(f, &b, RECORD(FIELD("x", "\"int\"") "," FIELD("s", "\"string\"")), LEAT_JSON_PLAIN);
    char *text = malloc(LEAT_LINE_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', LEAT_LINE_BYTES_MAX + 1);
    memcpy(text, head, strlen(head));
    memcpy(text + LEAT_LINE_BYTES_MAX - 2, tail, 2);
    FAIL_UNLESS(
        leat__json_decode(b.decoder, text, LEAT_LINE_BYTES_MAX, b.batch, &f->err) == 0, "%s", f->err.message);
    assert_int_equal(
        leat__json_decode(b.decoder, text, LEAT_LINE_BYTES_MAX + 1, b.batch, &f->err), LEAT_EDATA);
    assert_string_equal(f->err.message, "a document of 16777217 bytes; at most 16777216 are possible");
    assert_int_equal(leat__json_decode(b.decoder, "{\"x\":2,\"s\":\"\"}", 14, b.batch, &f->err), 0);
    assert_int_equal(b.batch->count, 2);
    free(text);
    bench_close(&b);
}

#define MIXED_SCHEMA \
    RECORD(FIELD("i", "\"int\"") "," FIELD("s", "\"string\"") "," FIELD( \
        "u", "[\"null\",\"long\",{\"type\":\"map\",\"values\":\"double\"}]") "," FIELD("e", \
        "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}") "," FIELD("a", \
        "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"n\",\"fields\":[" DEFAULT("k", \
            "\"string\"", \
            "\"dd\"") "," FIELD("f", "{\"type\":\"fixed\",\"name\":\"fx\",\"size\":2}") "]}}"))
static const char mixed_document[] =
    "{\"i\":-12,\"s\":\"x\\u00e9\\\"y\",\"u\":{\"a\":1.5,\"b\":2},\"e\":\"B\",\"q\":[{\"w\":[1]},null],"
    "\"a\":[{\"k\":\"v\",\"f\":\"\xc3\xbf\\n\"},{\"f\":\"ab\"}]}";

static void test_json__given_every_byte_of_a_document__when_changed__then_no_crash_and_a_text(void **state)
{
    static const char others[] = "\"\\{}[],:0-.eEtn \n\x01\xff\x80u";
    struct fixture *f = *state;
    struct bench b;
    bench_open(f, &b, MIXED_SCHEMA, LEAT_JSON_PLAIN);
    char text[sizeof mixed_document];
    size_t good = 0;
    for (size_t i = 0; i < sizeof mixed_document - 1; i++) {
        for (size_t k = 0; k < sizeof others; k++) {
            memcpy(text, mixed_document, sizeof text);
            text[i] = others[k];
            leat__batch_rows(b.batch, 0);
            memset(&f->err, 0, sizeof f->err);
            const int code = leat__json_decode(b.decoder, text, sizeof text - 1, b.batch, &f->err);
            good += code == 0;
            FAIL_UNLESS(code == 0 || (code == LEAT_EDATA && f->err.message[0]), "%s: %d", text, code);
        }
        /* And cut there. */
        leat__batch_rows(b.batch, 0);
        assert_int_equal(leat__json_decode(b.decoder, mixed_document, i, b.batch, &f->err), LEAT_EDATA);
    }
    assert_true(good > 100);
    bench_close(&b);
}

static void test_json__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak(void **state)
{
    struct fixture *f = *state;
    struct leat_schema *schema;
    struct leat_arena arena = { 0 };
    const struct leat_type *type;
    assert_int_equal(leat__schema_parse(MIXED_SCHEMA, strlen(MIXED_SCHEMA), &schema, &f->err), 0);
    assert_int_equal(leat__schema_type(schema, &arena, &type, &f->err), 0);
    const int64_t live = leat__alloc_live();
    int code = LEAT_ENOMEM;
    for (uint64_t n = 1; code < 0; n++) {
        struct leat_json_decoder *decoder = NULL;
        struct leat_batch *batch;
        struct leat_pool *pool;
        struct leat_strbuf out = { 0 };
        assert_int_equal(leat__pool_new(16, &pool), 0);
        assert_int_equal(leat__batch_get(pool, type, &batch), 0);
        leat__alloc_fail_at(n);
        code = leat__json_decoder_new(type, LEAT_JSON_PLAIN, &decoder, &f->err);
        if (code == 0)
            code = leat__json_decode(decoder, mixed_document, sizeof mixed_document - 1, batch, &f->err);
        if (code == 0)
            code = leat__json_encode(type, LEAT_JSON_AVRO, leat_batch_at(batch, 0), &out, &f->err);
        leat__alloc_fail_at(0);
        FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %llu: %d %s", (unsigned long long)n, code,
            f->err.message);
        leat__json_decoder_free(decoder);
        leat__batch_release(batch);
        leat__pool_free(pool);
        leat__strbuf_release(&out);
        assert_int_equal(leat__alloc_live(), live);
    }
    leat__arena_release(&arena);
    leat__schema_free(schema);
}

static void test_json__given_the_steady_state__when_decoded__then_nothing_is_allocated(void **state)
{
    struct fixture *f = *state;
    struct bench b;
    bench_open(f, &b, MIXED_SCHEMA, LEAT_JSON_PLAIN);
    uint64_t calls = 0;
    for (int i = 0; i < 100; i++) {
        if (i == 3)
            calls = leat__alloc_calls();
        leat__batch_release(b.batch);
        assert_int_equal(leat__batch_get(f->pool, b.type, &b.batch), 0);
        assert_int_equal(
            leat__json_decode(b.decoder, mixed_document, sizeof mixed_document - 1, b.batch, &f->err), 0);
    }
    assert_int_equal(leat__alloc_calls(), calls);
    bench_close(&b);
}

#define UNIT(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_json__given_scalars__when_decoded__then_stored_or_refused),
        UNIT(test_json__given_strings__when_decoded__then_escapes_are_undone),
        UNIT(test_json__given_bytes_and_fixed__when_decoded__then_by_mode),
        UNIT(test_json__given_enums__when_decoded__then_by_symbol_with_near_misses),
        UNIT(test_json__given_timestamps__when_plain__then_text_is_taken_too),
        UNIT(test_json__given_members__when_in_any_order__then_found_and_last_wins),
        UNIT(test_json__given_nullable_fields__when_decoded__then_by_mode),
        UNIT(test_json__given_unions__when_decoded__then_first_fit_or_named_branch),
        UNIT(test_json__given_arrays_and_maps__when_decoded__then_items_in_order),
        UNIT(test_json__given_defaults__when_members_are_missing__then_filled_in),
        UNIT(test_json__given_defaults_in_rows__when_the_decoder_is_freed__then_rows_stay),
        UNIT(test_json__given_a_type_without_schema__when_decoded__then_no_defaults),
        UNIT(test_json__given_values_json_can_not_say__when_encoded__then_refused_with_the_path),
        UNIT(test_json__given_text_that_is_no_utf8__when_encoded__then_replaced),
        UNIT(test_json__given_random_records__when_encoded_and_decoded__then_the_same),
        UNIT(test_json__given_random_numbers__when_printed_and_parsed__then_bits_are_the_same),
        UNIT(test_json__given_numbers__when_encoded__then_in_the_form_people_write),
        UNIT(test_json__given_a_locale_with_a_decimal_comma__when_used__then_nothing_changes),
        UNIT(test_json__given_documents_at_the_end_of_memory__when_decoded__then_no_byte_behind_is_read),
        UNIT(test_json__given_deep_nesting__when_ignored__then_bounded),
        UNIT(test_json__given_few_bytes_for_large_structs__when_decoded__then_memory_is_bounded),
        UNIT(test_json__given_long_lines__when_decoded__then_taken_up_to_the_limit),
        UNIT(test_json__given_every_byte_of_a_document__when_changed__then_no_crash_and_a_text),
        UNIT(test_json__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak),
        UNIT(test_json__given_the_steady_state__when_decoded__then_nothing_is_allocated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
