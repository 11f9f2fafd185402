/* tests/unit/record/test_avro.c -- decoding with resolution, hostile input, and encoding. */
#include "base/alloc.h"
#include "record/avro.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 4096

/* ---- a decoder with all that belongs to it ---- */

struct codec {
    struct leat_schema *writer, *reader;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_decoder *decoder;
    struct leat_encoder *encoder;
    struct leat_pool *pool;
};

static struct leat_schema *parse(const char *text)
{
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    if (leat__schema_parse(text, strlen(text), &schema, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return schema;
}

/* What leat__decoder_new says. */
static int codec_open(
    struct codec *c, const char *writer, const char *reader, bool check_utf8, struct leat_error *err)
{
    const struct leat_decoder_opts opts = { .check_utf8 = check_utf8 };
    memset(c, 0, sizeof *c);
    c->writer = parse(writer);
    c->reader = parse(reader);
    if (leat__schema_type(c->reader, &c->arena, &c->type, err) < 0)
        fail_msg("%s: %s", reader, err->message);
    assert_int_equal(leat__pool_new(64, &c->pool), 0);
    assert_int_equal(leat__encoder_new(c->type, &c->encoder, err), 0);
    return leat__decoder_new(c->writer, c->type, &opts, &c->decoder, err);
}

static void codec_close(struct codec *c)
{
    leat__decoder_free(c->decoder);
    leat__encoder_free(c->encoder);
    leat__pool_free(c->pool);
    leat__schema_free(c->writer);
    leat__schema_free(c->reader);
    leat__arena_release(&c->arena);
}

/* "02 ff 'abc'" as bytes: hexadecimal numbers and quoted text. The slack behind is 0xff. */
static size_t bytes_of(const char *text, uint8_t *bytes)
{
    size_t n = 0;
    while (*text) {
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++)
                bytes[n++] = (uint8_t)*text;
            text++;
        } else {
            char pair[3] = { text[0], text[1], 0 };
            bytes[n++] = (uint8_t)strtoul(pair, NULL, 16);
            text += 2;
        }
        assert_true(n < BYTES_MAX);
    }
    memset(bytes + n, 0xff, LEAT_BUFFER_SLACK_BYTES);
    return n;
}

#define R(fields_) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields_ "]}"
#define F(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"
#define D(name_, type_, default_) "{\"name\":\"" name_ "\",\"type\":" type_ ",\"default\":" default_ "}"
#define A(name_, alias_, type_) "{\"name\":\"" name_ "\",\"aliases\":[\"" alias_ "\"],\"type\":" type_ "}"
#define INT "\"int\""
#define LONG "\"long\""
#define STRING "\"string\""
#define ARRAY(item_) "{\"type\":\"array\",\"items\":" item_ "}"
#define MAP(value_) "{\"type\":\"map\",\"values\":" value_ "}"
#define ENUM(symbols_) "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols_ "]}"
#define ENUM_OR(symbols_, default_) \
    "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[" symbols_ "],\"default\":\"" default_ "\"}"
#define FIXED(name_, size_) "{\"type\":\"fixed\",\"name\":\"" name_ "\",\"size\":" #size_ "}"
#define SUB(name_, fields_) "{\"type\":\"record\",\"name\":\"" name_ "\",\"fields\":[" fields_ "]}"

/* ---- resolution: what comes out ---- */

static const struct {
    const char *name, *writer, *reader, *data, *record;
} resolved[] = {
    { "int to long", R(F("f", INT)), R(F("f", LONG)), "0a", "{\"f\":5}" },
    { "int to float", R(F("f", INT)), R(F("f", "\"float\"")), "0a", "{\"f\":5.0}" },
    { "int to double", R(F("f", INT)), R(F("f", "\"double\"")), "0a", "{\"f\":5.0}" },
    { "long to float", R(F("f", LONG)), R(F("f", "\"float\"")), "09", "{\"f\":-5.0}" },
    { "long to double", R(F("f", LONG)), R(F("f", "\"double\"")), "09", "{\"f\":-5.0}" },
    { "float to double", R(F("f", "\"float\"")), R(F("f", "\"double\"")), "00 00 c0 3f", "{\"f\":1.5}" },
    { "string to bytes", R(F("f", STRING)), R(F("f", "\"bytes\"")), "06 'abc'", "{\"f\":\"abc\"}" },
    { "bytes to string", R(F("f", "\"bytes\"")), R(F("f", STRING)), "06 'abc'", "{\"f\":\"abc\"}" },
    { "all kinds as they are",
        R(F("n", "\"null\"") "," F("b", "\"boolean\"") "," F("d", "\"double\"") "," F(
            "x", FIXED("X", 3)) "," F("e", ENUM("\"A\",\"B\""))),
        R(F("n", "\"null\"") "," F("b", "\"boolean\"") "," F("d", "\"double\"") "," F(
            "x", FIXED("X", 3)) "," F("e", ENUM("\"A\",\"B\""))),
        "01 00 00 00 00 00 00 f8 3f 'xyz' 02",
        "{\"n\":null,\"b\":true,\"d\":1.5,\"x\":\"xyz\",\"e\":\"B\"}" },
    { "largest and smallest", R(F("a", INT) "," F("b", LONG)), R(F("a", INT) "," F("b", LONG)),
        "ff ff ff ff 0f ff ff ff ff ff ff ff ff ff 01", "{\"a\":-2147483648,\"b\":-9223372036854775808}" },
    { "another order", R(F("a", INT) "," F("b", STRING)), R(F("b", STRING) "," F("a", INT)), "02 02 'x'",
        "{\"b\":\"x\",\"a\":1}" },
    { "dropped fields of every kind",
        R(F("a", INT) "," F("b", LONG) "," F("c", STRING) "," F("d", "\"double\"") "," F(
            "e", "\"float\"") "," F("f", "\"boolean\"") "," F("g", FIXED("X", 2)) "," F("h",
            ARRAY(STRING)) "," F("i", MAP(INT)) "," F("j", "[\"null\",\"string\"]") "," F("k",
            SUB("S", F("x", INT) "," F("y", STRING))) "," F("l", ENUM("\"A\"")) "," F("m",
            "\"null\"") "," F("z", INT)),
        R(F("z", INT)),
        "02 80 01 02 'c' 0000000000000000 00000000 01 'gg' 02 02 'h' 00 02 02 'k' 02 00 02 02 'j' 02 02 'y' "
        "00 0e",
        "{\"z\":7}" },
    { "dropped array in a block with a size", R(F("a", ARRAY(LONG)) "," F("z", INT)), R(F("z", INT)),
        "03 08 ff ff ff ff 00 0e", "{\"z\":7}" },
    { "dropped recursive type",
        R(F("a", SUB("N", F("v", INT) "," F("next", "[\"null\",\"N\"]"))) "," F("z", INT)), R(F("z", INT)),
        "02 02 04 02 06 00 0e", "{\"z\":7}" },
    { "alias of a field", R(F("old", INT)), R(A("new", "old", INT)), "02", "{\"new\":1}" },
    { "a field's own name before its alias", R(F("b", INT) "," F("a", INT)), R(A("a", "b", INT)), "02 04",
        "{\"a\":2}" },
    { "alias of a record", SUB("Old", F("f", INT)),
        "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"Old\"],\"fields\":[" F("f", INT) "]}", "02",
        "{\"f\":1}" },
    { "alias in another name space", SUB("x.Old", F("f", INT)),
        "{\"type\":\"record\",\"name\":\"y.R\",\"aliases\":[\"z.Old\"],\"fields\":[" F("f", INT) "]}", "02",
        "{\"f\":1}" },
    { "name spaces may differ", SUB("a.b.R", F("f", INT)), SUB("c.R", F("f", INT)), "02", "{\"f\":1}" },
    { "enum in another order", R(F("e", ENUM("\"A\",\"B\",\"C\""))), R(F("e", ENUM("\"C\",\"B\",\"A\""))),
        "04", "{\"e\":\"C\"}" },
    { "enum with unused symbols", R(F("e", ENUM("\"A\",\"B\""))), R(F("e", ENUM("\"A\",\"B\",\"C\""))), "02",
        "{\"e\":\"B\"}" },
    { "enum default for an unknown symbol", R(F("e", ENUM("\"A\",\"X\""))),
        R(F("e", ENUM_OR("\"A\",\"B\"", "B"))), "02", "{\"e\":\"B\"}" },
    { "nullable, null first", R(F("f", "[\"null\",\"int\"]")), R(F("f", "[\"null\",\"int\"]")), "02 0a",
        "{\"f\":5}" },
    { "nullable, null", R(F("f", "[\"null\",\"int\"]")), R(F("f", "[\"null\",\"int\"]")), "00",
        "{\"f\":null}" },
    { "nullable, null last", R(F("f", "[\"int\",\"null\"]")), R(F("f", "[\"null\",\"int\"]")), "00 0a",
        "{\"f\":5}" },
    { "nullable, null last and null", R(F("f", "[\"int\",\"null\"]")), R(F("f", "[\"null\",\"int\"]")), "02",
        "{\"f\":null}" },
    { "nullable with promotion", R(F("f", "[\"null\",\"int\"]")), R(F("f", "[\"double\",\"null\"]")), "02 0a",
        "{\"f\":5.0}" },
    { "value to nullable", R(F("f", INT)), R(F("f", "[\"null\",\"long\"]")), "0a", "{\"f\":5}" },
    { "null to nullable", R(F("f", "\"null\"")), R(F("f", "[\"null\",\"long\"]")), "", "{\"f\":null}" },
    { "nullable to value", R(F("f", "[\"null\",\"int\"]")), R(F("f", LONG)), "02 0a", "{\"f\":5}" },
    { "union of one", R(F("f", "[\"int\"]")), R(F("f", LONG)), "00 0a", "{\"f\":5}" },
    { "union to nullable", R(F("f", "[\"string\",\"null\",\"long\"]")), R(F("f", "[\"null\",\"long\"]")),
        "04 0a", "{\"f\":5}" },
    { "nullable to union", R(F("f", "[\"null\",\"int\"]")), R(F("f", "[\"string\",\"int\",\"null\"]")),
        "02 0a", "{\"f\":5}" },
    { "union to union", R(F("f", "[\"string\",\"int\",\"boolean\"]")),
        R(F("f", "[\"boolean\",\"long\",\"string\"]")), "02 0a", "{\"f\":5}" },
    { "union to union, another branch", R(F("f", "[\"string\",\"int\",\"boolean\"]")),
        R(F("f", "[\"boolean\",\"long\",\"string\"]")), "00 02 'x'", "{\"f\":\"x\"}" },
    { "a branch that is not used may be unknown", R(F("f", "[\"int\",\"string\",\"boolean\"]")),
        R(F("f", LONG)), "00 0a", "{\"f\":5}" },
    { "record in a union by its name", R(F("f", "[" SUB("P", F("x", INT)) "," SUB("Q", F("y", INT)) "]")),
        R(F("f", "[\"null\"," SUB("Q", F("y", INT)) "," SUB("P", F("x", LONG)) "]")), "00 0a",
        "{\"f\":{\"x\":5}}" },
    { "array", R(F("f", ARRAY(INT))), R(F("f", ARRAY(LONG))), "06 02 04 06 00", "{\"f\":[1,2,3]}" },
    { "empty array", R(F("f", ARRAY(INT))), R(F("f", ARRAY(INT))), "00", "{\"f\":[]}" },
    { "array in many blocks", R(F("f", ARRAY(INT))), R(F("f", ARRAY(INT))),
        "02 02 03 04 04 06 04 08 0a 02 0c 00", "{\"f\":[1,2,3,4,5,6]}" },
    { "array of nullables", R(F("f", ARRAY("[\"null\",\"int\"]"))), R(F("f", ARRAY("[\"int\",\"null\"]"))),
        "04 00 02 0a 00", "{\"f\":[null,5]}" },
    { "array of arrays", R(F("f", ARRAY(ARRAY(STRING)))), R(F("f", ARRAY(ARRAY(STRING)))),
        "04 02 02 'a' 00 00 00", "{\"f\":[[\"a\"],[]]}" },
    { "array of records that change", R(F("f", ARRAY(SUB("S", F("a", INT) "," F("b", STRING))))),
        R(F("f", ARRAY(SUB("S", D("c", INT, "9") "," F("b", STRING))))), "04 02 02 'x' 04 02 'y' 00",
        "{\"f\":[{\"c\":9,\"b\":\"x\"},{\"c\":9,\"b\":\"y\"}]}" },
    { "array of nulls", R(F("f", ARRAY("\"null\""))), R(F("f", ARRAY("\"null\""))), "06 00",
        "{\"f\":[null,null,null]}" },
    { "map", R(F("f", MAP(INT))), R(F("f", MAP("\"double\""))), "04 02 'a' 02 02 'b' 04 00",
        "{\"f\":{\"a\":1.0,\"b\":2.0}}" },
    { "map of maps", R(F("f", MAP(MAP(INT)))), R(F("f", MAP(MAP(INT)))), "02 02 'a' 02 02 'b' 04 00 00",
        "{\"f\":{\"a\":{\"b\":2}}}" },
    { "default int", R(F("z", INT)), R(F("z", INT) "," D("f", INT, "-3")), "02", "{\"z\":1,\"f\":-3}" },
    { "defaults of every kind", R(F("z", INT)),
        R(F("z", INT) "," D("a", LONG, "5") "," D("b", "\"float\"", "1.5") "," D(
            "c", "\"double\"", "2") "," D("d", "\"boolean\"", "true") "," D("e", STRING,
            "\"text\"") "," D("f", "\"bytes\"", "\"\\u00ff\\u0041\"") "," D("g", FIXED("X", 2),
            "\"ab\"") "," D("h", ENUM("\"A\",\"B\""), "\"B\"") "," D("i", "\"null\"", "null")),
        "02",
        "{\"z\":1,\"a\":5,\"b\":1.5,\"c\":2.0,\"d\":true,\"e\":\"text\",\"f\":\"\xef\xbf\xbd"
        "A\",\"g\":\"ab\",\"h\":\"B\","
        "\"i\":null}" },
    { "default null", R(F("z", INT)), R(F("z", INT) "," D("f", "[\"null\",\"int\"]", "null")), "02",
        "{\"z\":1,\"f\":null}" },
    { "default of the first branch", R(F("z", INT)), R(F("z", INT) "," D("f", "[\"int\",\"null\"]", "0")),
        "02", "{\"z\":1,\"f\":0}" },
    { "default of a union", R(F("z", INT)), R(F("z", INT) "," D("f", "[\"string\",\"int\"]", "\"x\"")), "02",
        "{\"z\":1,\"f\":\"x\"}" },
    { "default array and map", R(F("z", INT)),
        R(F("z", INT) "," D("f", ARRAY(STRING), "[\"a\",\"b\"]") "," D(
            "g", MAP(ARRAY(INT)), "{\"k\":[1,2]}")),
        "02", "{\"z\":1,\"f\":[\"a\",\"b\"],\"g\":{\"k\":[1,2]}}" },
    { "default record with defaults inside", R(F("z", INT)),
        R(F("z", INT) "," D("f",
            SUB("S", D("a", STRING, "\"in\"") "," F("b", INT) "," D("c", "[\"int\",\"null\"]", "4")),
            "{\"b\":2}")),
        "02", "{\"z\":1,\"f\":{\"a\":\"in\",\"b\":2,\"c\":4}}" },
    { "default with nulls inside", R(F("z", INT)),
        R(F("z", INT) "," D("f", SUB("S", F("n", "[\"null\",\"int\"]") "," F("m", "[\"int\",\"null\"]")),
            "{\"n\":null,\"m\":3}") "," D("g", ARRAY("[\"int\",\"null\"]"), "[4]") "," D("h",
            ARRAY("[\"null\",\"int\"]"), "[null]") "," D("i", ARRAY("[\"int\",\"string\"]"), "[5]")),
        "02", "{\"z\":1,\"f\":{\"n\":null,\"m\":3},\"g\":[4],\"h\":[null],\"i\":[5]}" },
    { "top level int", "\"int\"", "\"long\"", "0a", "5" },
    { "top level nullable", "[\"null\",\"int\"]", "[\"int\",\"null\"]", "02 0a", "5" },
    { "top level array", ARRAY(INT), ARRAY(LONG), "02 0a 00", "[5]" },
    { "logical types follow their physical ones",
        R(F("t", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}")),
        R(F("t", "{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}")), "0a", "{\"t\":5}" },
};

static void check_resolved(const char *name, struct codec *c, const char *data, const char *record)
{
    static uint8_t bytes[BYTES_MAX + LEAT_BUFFER_SLACK_BYTES];
    char text[512];
    struct leat_error err = { 0 };
    struct leat_batch *batch;
    const size_t len = bytes_of(data, bytes);
    const uint8_t *at = bytes;
    assert_int_equal(leat__batch_get(c->pool, c->type, &batch), 0);
    const int64_t rows = leat__decode(c->decoder, &at, bytes + len, batch, 1, &err);
    FAIL_UNLESS(rows == 1, "%s: %d rows: %s", name, (int)rows, err.message);
    FAIL_UNLESS(at == bytes + len, "%s: %d bytes left", name, (int)(bytes + len - at));
    (void)leat_record_print(leat_batch_at(batch, 0), c->type, text, sizeof text);
    FAIL_UNLESS(strcmp(text, record) == 0, "%s: %s", name, text);
    at = bytes;
    FAIL_UNLESS(leat__decode_skip(c->decoder, &at, bytes + len, &err) == 0 && at == bytes + len,
        "%s: skip: %s", name, err.message);
    leat__batch_release(batch);
}

static void test_avro__given_two_schemas__when_decoded__then_the_reader_sees_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(resolved); i++) {
        struct codec c;
        struct leat_error err = { 0 };
        const int code = codec_open(&c, resolved[i].writer, resolved[i].reader, false, &err);
        FAIL_UNLESS(code == 0, "%s: %s", resolved[i].name, err.message);
        check_resolved(resolved[i].name, &c, resolved[i].data, resolved[i].record);
        codec_close(&c);
    }
}

/* The tag of a union shows which branch was chosen. */
static const struct {
    const char *name, *writer, *reader, *data;
    int32_t tag;
} branches[] = {
    { "exact before promotable", INT, "[\"long\",\"int\",\"string\"]", "0a", 1 },
    { "first promotable", INT, "[\"string\",\"double\",\"float\"]", "0a", 1 },
    { "bytes to string", "\"bytes\"", "[\"null\",\"int\",\"string\"]", "02 'x'", 2 },
    { "full name before simple name", SUB("a.P", F("x", INT)),
        "[" SUB("b.P", F("x", INT)) "," SUB("a.P", F("x", INT)) ",\"null\"]", "0a", 1 },
    { "each branch of the writer's to its own", "[\"int\",\"string\",\"boolean\"]",
        "[\"boolean\",\"int\",\"string\"]", "04 01", 0 },
};

static void test_avro__given_a_readers_union__when_decoded__then_the_best_branch_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(branches); i++) {
        struct codec c;
        uint8_t bytes[BYTES_MAX];
        struct leat_error err = { 0 };
        struct leat_batch *batch;
        const int code = codec_open(&c, branches[i].writer, branches[i].reader, false, &err);
        FAIL_UNLESS(code == 0, "%s: %s", branches[i].name, err.message);
        const size_t len = bytes_of(branches[i].data, bytes);
        const uint8_t *at = bytes;
        assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
        assert_int_equal(leat__decode(c.decoder, &at, bytes + len, batch, 1, &err), 1);
        const int32_t tag = *(const int32_t *)leat_batch_at(batch, 0);
        FAIL_UNLESS(tag == branches[i].tag, "%s: tag %d", branches[i].name, tag);
        leat__batch_release(batch);
        codec_close(&c);
    }
}

/* ---- resolution: what is refused ---- */

static const struct {
    const char *name, *writer, *reader, *message;
} unresolved[] = {
    { "long to int", R(F("f", LONG)), R(F("f", INT)), "field f: long in the data can not be read as int" },
    { "string to int", R(F("f", STRING)), R(F("f", INT)),
        "field f: string in the data can not be read as int" },
    { "double to float", R(F("f", "\"double\"")), R(F("f", "\"float\"")),
        "field f: double in the data can not be read as float" },
    { "missing without default", R(F("a", INT)), R(F("a", INT) "," F("f", INT)),
        "field f: not in record R of the data, and without a default; add a default, or an alias if it was "
        "renamed" },
    { "nested missing", R(F("s", SUB("S", F("a", INT)))), R(F("s", SUB("S", F("b", INT)))),
        "field s.b: not in record S of the data, and without a default; add a default, or an alias if it was "
        "renamed" },
    { "an alias that another has by name", R(F("a", INT)), R(F("a", INT) "," A("b", "a", INT)),
        "field b: not in record R of the data, and without a default; add a default, or an alias if it was "
        "renamed" },
    { "record of another name", SUB("Order", F("f", INT)), SUB("order", F("f", INT)),
        "record Order of the data can not be read as record order: the names differ; add \"aliases\": "
        "[\"Order\"] to "
        "the latter" },
    { "enum of another name", R(F("f", "{\"type\":\"enum\",\"name\":\"P\",\"symbols\":[\"A\"]}")),
        R(F("f", ENUM("\"A\""))),
        "field f: enum P of the data can not be read as enum E: the names differ; add \"aliases\": [\"P\"] "
        "to the "
        "latter" },
    { "fixed of another size", R(F("f", FIXED("X", 2))), R(F("f", FIXED("X", 3))),
        "field f: fixed X has 2 bytes in the data, but 3 in the reader's schema" },
    { "fixed of another name", R(F("f", FIXED("X", 2))), R(F("f", FIXED("Y", 2))),
        "field f: fixed X of the data can not be read as fixed Y: the names differ; add \"aliases\": [\"X\"] "
        "to the "
        "latter" },
    { "array to map", R(F("f", ARRAY(INT))), R(F("f", MAP(INT))),
        "field f: array of int in the data can not be read as map of int" },
    { "array items", R(F("f", ARRAY(STRING))), R(F("f", ARRAY(INT))),
        "field f: array of string in the data can not be read as array of int" },
    { "no branch fits", R(F("f", "[\"null\",\"int\"]")), R(F("f", "[\"null\",\"string\"]")),
        "field f: null or int in the data can not be read as null or string" },
    { "nothing but null fits", R(F("f", "[\"null\",\"int\",\"long\"]")), R(F("f", "[\"null\",\"string\"]")),
        "field f: null or int or long in the data can not be read as null or string" },
    { "no branch of the reader's fits", R(F("f", "\"boolean\"")), R(F("f", "[\"int\",\"string\"]")),
        "field f: boolean in the data can not be read as int or string" },
    { "a field of a record in a union", R(F("f", "[\"null\"," SUB("S", F("a", INT)) "]")),
        R(F("f", "[\"null\"," SUB("S", F("b", INT)) "]")),
        "field f.b: not in record S of the data, and without a default; add a default, or an alias if it was "
        "renamed" },
    { "a field of an item", R(F("f", ARRAY(SUB("S", F("a", INT))))), R(F("f", ARRAY(SUB("S", F("b", INT))))),
        "field f.item.b: not in record S of the data, and without a default; add a default, or an alias if "
        "it was "
        "renamed" },
    { "time in another unit", R(F("t", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}")),
        R(F("t", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}")),
        "field t: timestamp-millis in the data can not be read as timestamp-micros: the numbers mean other "
        "times" },
    { "decimal of another scale",
        R(F("d", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}")),
        R(F("d", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":4}")),
        "field d: decimal of scale 2 in the data can not be read with scale 4" },
};

static void test_avro__given_schemas_that_do_not_fit__when_compiled__then_the_field_and_reason_are_told(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(unresolved); i++) {
        struct codec c;
        struct leat_error err = { 0 };
        const int code = codec_open(&c, unresolved[i].writer, unresolved[i].reader, false, &err);
        FAIL_UNLESS(code == LEAT_ESCHEMA && strcmp(err.message, unresolved[i].message) == 0, "%s: %d \"%s\"",
            unresolved[i].name, code, err.message);
        assert_null(c.decoder);
        codec_close(&c);
    }
}

/* ---- hostile and unlucky data ---- */

static const struct {
    const char *name, *writer, *reader, *data, *message;
} faults[] = {
    { "empty after a field", R(F("a", INT) "," F("b", INT)), NULL, "02",
        "offset 1, field b: the data ends inside the record" },
    { "number cut off", R(F("a", LONG)), NULL, "80 80",
        "offset 0, field a: the data ends inside the record" },
    { "number too long", R(F("a", LONG)), NULL, "80 80 80 80 80 80 80 80 80 80 00",
        "offset 0, field a: a number of more than 64 bits" },
    { "number of 65 bits", R(F("a", LONG)), NULL, "ff ff ff ff ff ff ff ff ff 02",
        "offset 0, field a: a number of more than 64 bits" },
    { "int too large", R(F("a", INT)), NULL, "80 80 80 80 10",
        "offset 0, field a: 2147483648 is not an int" },
    { "int too large for a double field", R(F("a", INT)), R(F("a", "\"double\"")), "80 80 80 80 10",
        "offset 0, field a: 2147483648 is not an int" },
    { "boolean of 2", R(F("a", "\"boolean\"")), NULL, "02", "offset 0, field a: a boolean of 2" },
    { "double cut off", R(F("a", "\"double\"")), NULL, "00 00 00",
        "offset 0, field a: the data ends inside the record" },
    { "fixed cut off", R(F("a", FIXED("X", 4))), NULL, "00 00 00",
        "offset 0, field a: the data ends inside the record" },
    { "string cut off", R(F("a", STRING)), NULL, "08 'abc'",
        "offset 1, field a: a length of 4 bytes, but the data has only 3 more" },
    { "negative length", R(F("a", STRING)), NULL, "01", "offset 1, field a: a length of -1 bytes" },
    { "most negative length", R(F("a", STRING)), NULL, "ff ff ff ff ff ff ff ff ff 01",
        "offset 10, field a: a length of -9223372036854775808 bytes" },
    { "huge length", R(F("a", STRING)), NULL, "fe ff ff ff ff ff ff ff ff 01 'abc'",
        "offset 10, field a: a length of 9223372036854775807 bytes, but the data has only 3 more" },
    { "length cut off", R(F("a", STRING)), NULL, "80", "offset 0, field a: the data ends inside the record" },
    { "second record", R(F("a", STRING)), NULL, "02 'x' 09", "offset 3, field a: a length of -5 bytes" },
    { "enum index", R(F("a", ENUM("\"A\",\"B\""))), NULL, "04",
        "offset 0, field a: enum index 2; the enum has 2 symbols" },
    { "negative enum index", R(F("a", ENUM("\"A\",\"B\""))), NULL, "01",
        "offset 0, field a: enum index -1; the enum has 2 symbols" },
    { "mapped enum index", R(F("a", ENUM("\"A\",\"B\""))), R(F("a", ENUM("\"B\",\"A\""))), "04",
        "offset 0, field a: enum index 2; the enum has 2 symbols" },
    { "symbol unknown to the reader", R(F("a", ENUM("\"A\",\"X\""))), R(F("a", ENUM("\"A\",\"B\""))), "02",
        "offset 0, field a: symbol \"X\" is unknown to the reader; add it to the enum, or give the enum a "
        "default" },
    { "nullable index", R(F("a", "[\"null\",\"int\"]")), NULL, "04",
        "offset 0, field a: union index 2; the union has 2 branches" },
    { "union index", R(F("a", "[\"null\",\"int\",\"string\"]")), NULL, "06",
        "offset 0, field a: union index 3; the union has 3 branches" },
    { "negative union index", R(F("a", "[\"null\",\"int\",\"string\"]")), NULL, "01",
        "offset 0, field a: union index -1; the union has 3 branches" },
    { "null where a value is needed", R(F("a", "[\"null\",\"int\"]")), R(F("a", INT)), "00",
        "offset 1, field a: null in the data can not be read as int" },
    { "branch that the reader does not have", R(F("a", "[\"int\",\"string\",\"boolean\"]")),
        R(F("a", "[\"int\",\"string\"]")), "04 01",
        "offset 1, field a: boolean in the data can not be read as int or string" },
    { "count cut off", R(F("a", ARRAY(INT))), NULL, "80",
        "offset 0, field a: the data ends inside the record" },
    { "block size cut off", R(F("a", ARRAY(INT))), NULL, "01",
        "offset 1, field a: the data ends inside the record" },
    { "count beyond the data", R(F("a", ARRAY(INT))), NULL, "fe ff ff ff 0f",
        "offset 5, field a: a count of 2147483647 items, but the data has only 0 more bytes" },
    { "most negative count", R(F("a", ARRAY(INT))), NULL, "ff ff ff ff ff ff ff ff ff 01 00",
        "offset 11, field a: a count of 9223372036854775808 items, but the data has only 0 more bytes" },
    { "block size beyond the data", R(F("a", ARRAY(INT))), NULL, "01 10 00",
        "offset 2, field a: a length of 8 bytes, but the data has only 1 more" },
    { "negative block size", R(F("a", ARRAY(INT))), NULL, "01 01 00",
        "offset 2, field a: a length of -1 bytes" },
    { "array without its end", R(F("a", ARRAY(INT))), NULL, "02 02",
        "offset 2, field a: the data ends inside the record" },
    { "item cut off", R(F("a", ARRAY(STRING))), NULL, "02 04",
        "offset 2, field a.item: a length of 2 bytes, but the data has only 0 more" },
    { "map key cut off", R(F("a", MAP(INT))), NULL, "02 04",
        "offset 2, field a.value: a length of 2 bytes, but the data has only 0 more" },
    { "items of nothing", R(F("a", ARRAY("\"null\""))), NULL, "fe ff ff ff 0f 00",
        "offset 5, field a: more than 4096 items without bytes" },
    { "items of nothing in many blocks", R(F("a", ARRAY("\"null\""))), NULL, "80 40 02 00",
        "offset 3, field a: more than 4096 items without bytes" },
    { "dropped string cut off", R(F("a", STRING) "," F("z", INT)), R(F("z", INT)), "08 'abc'",
        "offset 1, field a: a length of 4 bytes, but the data has only 3 more" },
    { "dropped number cut off", R(F("a", LONG) "," F("z", INT)), R(F("z", INT)), "80",
        "offset 0, field a: the data ends inside the record" },
    { "dropped array of too many", R(F("a", ARRAY(INT)) "," F("z", INT)), R(F("z", INT)), "fe ff ff ff 0f",
        "offset 5, field a: more items than bytes are left" },
    { "dropped items of nothing", R(F("a", ARRAY("\"null\"")) "," F("z", INT)), R(F("z", INT)),
        "fe ff ff ff 0f 00 02", "offset 5, field a: too many items without bytes" },
    { "dropped block size", R(F("a", ARRAY(INT)) "," F("z", INT)), R(F("z", INT)), "01 10 00",
        "offset 2, field a: the data ends here, inside a record" },
    { "dropped union index", R(F("a", "[\"null\",\"int\"]") "," F("z", INT)), R(F("z", INT)), "04 02",
        "offset 0, field a: no such branch of a union" },
    { "record that can not end",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\","
        "\"name\":\"N\","
        "\"fields\":[{\"name\":\"n\",\"type\":\"N\"}]}},{\"name\":\"z\",\"type\":\"int\"}]}",
        R(F("z", INT)), "02 02", "offset 0, field a: nested too deep" },
};

static void test_avro__given_bad_data__when_decoded__then_place_and_cause_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct codec c;
        struct leat_error err = { 0 };
        struct leat_batch *batch;
        const char *reader = faults[i].reader ? faults[i].reader : faults[i].writer;
        FAIL_UNLESS(codec_open(&c, faults[i].writer, reader, false, &err) == 0, "%s: %s", faults[i].name,
            err.message);
        /* On the heap and of exact size, so that a read behind the slack is seen. */
        uint8_t *bytes = malloc(BYTES_MAX + LEAT_BUFFER_SLACK_BYTES);
        assert_non_null(bytes);
        const size_t len = bytes_of(faults[i].data, bytes);
        bytes = realloc(bytes, len + LEAT_BUFFER_SLACK_BYTES);
        assert_non_null(bytes);
        const uint8_t *at = bytes;
        assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
        const int64_t code = leat__decode(c.decoder, &at, bytes + len, batch, 9, &err);
        FAIL_UNLESS(code == LEAT_EDATA && strcmp(err.message, faults[i].message) == 0, "%s: %d \"%s\"",
            faults[i].name, (int)code, err.message);
        leat__batch_release(batch);
        free(bytes);
        codec_close(&c);
    }
}

static const struct {
    const char *name, *data;
    bool valid;
} texts[] = {
    { "ASCII of 17 bytes", "22 'abcdefghijklmnopq'", true },
    { "two bytes", "04 c3a4", true },
    { "three bytes", "06 e282ac", true },
    { "four bytes", "08 f09f9880", true },
    { "largest code point", "08 f48fbfbf", true },
    { "beyond it", "08 f4908080", false },
    { "overlong of two", "04 c080", false },
    { "overlong of three", "06 e08080", false },
    { "overlong of four", "08 f0808080", false },
    { "surrogate", "06 eda080", false },
    { "continuation alone", "02 80", false },
    { "cut off", "04 e282", false },
    { "cut off behind eight", "14 'abcdefgh' e282", false },
    { "Latin 1", "06 61e462", false },
};

static void test_avro__given_the_utf8_option__when_strings_are_decoded__then_bad_ones_are_refused(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (int check = 0; check < 2; check++) {
            struct codec c;
            uint8_t bytes[64];
            struct leat_error err = { 0 };
            struct leat_batch *batch;
            assert_int_equal(codec_open(&c, R(F("s", STRING)), R(F("s", STRING)), check, &err), 0);
            const size_t len = bytes_of(texts[i].data, bytes);
            const uint8_t *at = bytes;
            assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
            const int64_t rows = leat__decode(c.decoder, &at, bytes + len, batch, 1, &err);
            FAIL_UNLESS(
                rows == (texts[i].valid || !check ? 1 : LEAT_EDATA), "%s: %s", texts[i].name, err.message);
            leat__batch_release(batch);
            codec_close(&c);
        }
    }
}

/* ---- many records ---- */

static void test_avro__given_a_bad_record_between_good_ones__when_decoded__then_the_good_ones_are_kept(
    void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    uint8_t bytes[64];
    struct leat_batch *batch;
    assert_int_equal(codec_open(&c, R(F("s", STRING)), R(F("s", STRING)), true, &err), 0);
    const size_t len = bytes_of("02 'a' 02 'b' 02 ff 02 'c'", bytes);
    const uint8_t *at = bytes, *end = bytes + len;
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 9, &err), LEAT_EDATA);
    assert_string_equal(err.message, "offset 5, field s: a string that is not UTF-8");
    assert_int_equal(batch->count, 2);
    assert_ptr_equal(at, bytes + 4);
    assert_int_equal(leat__decode_skip(c.decoder, &at, end, &err), 0);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 9, &err), 1);
    assert_int_equal(batch->count, 3);
    assert_true(leat_sv_eq(*(const struct leat_sv *)leat_batch_at(batch, 2), LEAT_SV("c")));
    assert_ptr_equal(at, end);
    leat__batch_release(batch);
    codec_close(&c);
}

static void test_avro__given_more_records_than_room__when_decoded__then_the_rest_waits(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    uint8_t bytes[200 + LEAT_BUFFER_SLACK_BYTES];
    struct leat_batch *batch;
    assert_int_equal(codec_open(&c, R(F("a", INT)), R(F("a", INT)), false, &err), 0);
    for (int i = 0; i < 100; i++)
        bytes[i] = (uint8_t)(2 * (i % 60));
    const uint8_t *at = bytes, *end = bytes + 100;
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 10, &err), 10);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 1000, &err), 54);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 1000, &err), 0);
    assert_int_equal(batch->count, 64);
    assert_int_equal(at - bytes, 64);
    leat__batch_release(batch);
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 1000, &err), 36);
    assert_int_equal(*(const int32_t *)leat_batch_at(batch, 35), 99 % 60);
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 1000, &err), 0);
    leat__batch_release(batch);
    codec_close(&c);
}

static void test_avro__given_records_of_no_bytes__when_decoded__then_as_many_as_asked_for(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    uint8_t bytes[LEAT_BUFFER_SLACK_BYTES] = { 0 };
    struct leat_batch *batch;
    assert_int_equal(
        codec_open(&c, R(F("a", "\"null\"")), R(F("a", "\"null\"") "," D("b", INT, "3")), false, &err), 0);
    const uint8_t *at = bytes;
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    assert_int_equal(leat__decode(c.decoder, &at, bytes, batch, 5, &err), 5);
    assert_int_equal(batch->count, 5);
    assert_ptr_equal(at, bytes);
    leat__batch_release(batch);
    codec_close(&c);
}

static void test_avro__given_defaults__when_the_decoder_is_gone__then_rows_still_show_them(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    uint8_t bytes[LEAT_BUFFER_SLACK_BYTES + 1] = { 2 };
    char text[128];
    struct leat_batch *batch;
    assert_int_equal(
        codec_open(&c, R(F("a", INT)),
            R(D("s", STRING, "\"still here\"") "," D("l", ARRAY(STRING), "[\"and here\"]")), false, &err),
        0);
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    for (int i = 0; i < 60; i++) { /* a message each: the batch must not collect a reference for each */
        const uint8_t *at = bytes;
        assert_int_equal(leat__decode(c.decoder, &at, bytes + 1, batch, 1, &err), 1);
    }
    assert_int_equal(batch->buffers_count, 1);
    leat__decoder_free(c.decoder);
    c.decoder = NULL;
    (void)leat_record_print(leat_batch_at(batch, 59), c.type, text, sizeof text);
    assert_string_equal(text, "{\"s\":\"still here\",\"l\":[\"and here\"]}");
    leat__batch_release(batch);
    codec_close(&c);
}

/* An item of 1 byte becomes a struct of thousands: the memory of a record is bounded, and that of a batch. */
static void test_avro__given_items_that_swell__when_decoded__then_memory_is_bounded(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    struct leat_batch *batch;
    const char *writer = R(F("l", ARRAY(SUB("S", F("a", INT)))));
    const char *reader = R(F("l", ARRAY(SUB("S", F("a", INT) "," D("x", FIXED("X", 60000), "\"\"")))));
    char *wide = malloc(70000 + 1000);
    assert_non_null(wide);
    /* A default of 60,000 characters. */
    const char *empty = strstr(reader, "\"default\":\"\"") + strlen("\"default\":\"");
    (void)snprintf(wide, 71000, "%.*s%060000d%s", (int)(empty - reader), reader, 0, empty);
    assert_int_equal(codec_open(&c, writer, wide, false, &err), 0);
    static uint8_t bytes[8192 + LEAT_BUFFER_SLACK_BYTES];
    /* 300 items of 60 kB are more than 16 MiB. */
    bytes[0] = 0xd8;
    bytes[1] = 0x04;
    const uint8_t *at = bytes;
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    assert_int_equal(leat__decode(c.decoder, &at, bytes + 8192, batch, 9, &err), LEAT_EDATA);
    assert_string_equal(
        err.message, "offset 2, field l: the record needs more than 16777216 bytes in memory");
    /* 100 items fit; after three such records the batch is full. */
    const size_t record = 2 + 100 + 1;
    for (size_t i = 0; i < 8192 / record; i++) {
        memset(bytes + i * record, 0, record);
        bytes[i * record] = 0xc8;
        bytes[i * record + 1] = 0x01;
    }
    at = bytes;
    assert_int_equal(leat__decode(c.decoder, &at, bytes + 8192, batch, 64, &err), 3);
    assert_true(leat__batch_is_full(batch));
    assert_int_equal(leat__decode(c.decoder, &at, bytes + 8192, batch, 64, &err), 0);
    leat__batch_release(batch);
    free(wide);
    codec_close(&c);
}

static void test_avro__given_a_record_of_many_bytes__when_decoded__then_the_limit_is_told(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    struct leat_batch *batch;
    const size_t size = LEAT_RECORD_BYTES_MAX + 4 + LEAT_BUFFER_SLACK_BYTES;
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    assert_int_equal(codec_open(&c, R(F("s", STRING)), R(F("s", STRING)), false, &err), 0);
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    memcpy(bytes, "\x80\x80\x80\x10", 4); /* a length of 16 MiB */
    const uint8_t *at = bytes, *end = bytes + 4 + LEAT_RECORD_BYTES_MAX;
    assert_int_equal(leat__decode(c.decoder, &at, end, batch, 1, &err), LEAT_EDATA);
    assert_string_equal(err.message, "offset 0: the record needs more than 16777216 bytes in memory");
    assert_ptr_equal(at, bytes);
    leat__batch_release(batch);
    codec_close(&c);
    free(bytes);
}

/* A default of arrays of records that have such defaults again: 2^26 strings from a small schema. */
static void test_avro__given_defaults_that_multiply__when_compiled__then_the_limit_is_told(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    struct codec c;
    struct leat_error err = { 0 };
    for (int i = 26; i > 0; i--)
        leat__strbuf_printf(&text,
            "{\"type\":\"record\",\"name\":\"R%s\",\"fields\":[{\"name\":\"l\",\"default\":[{},{}],\"type\":{"
            "\"type\":"
            "\"array\",\"items\":",
            i == 26 ? "" : (const char[]){ (char)('A' + i), 0 });
    leat__strbuf_str(&text, "{\"type\":\"record\",\"name\":\"Z\",\"fields\":[]}");
    for (int i = 0; i < 26; i++)
        leat__strbuf_str(&text, "}}]}");
    assert_int_equal(codec_open(&c, R(F("other", INT)), text.data, false, &err), LEAT_ELIMIT);
    assert_string_equal(err.message, "field l: the default takes more than 16777216 bytes");
    codec_close(&c);
    leat__strbuf_release(&text);
}

static void test_avro__given_bad_data__when_skipped__then_the_cause_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *data, *message;
    } skips[] = {
        { "\"int\"", "", "offset 0: the data ends here, inside a record" },
        { "\"int\"", "80", "offset 0: the data ends here, inside a record" },
        { "\"long\"", "80 80 80 80 80 80 80 80 80 80 80", "offset 0: a number of more than 10 bytes" },
        { STRING, "01", "offset 1: a negative length" },
        { "\"boolean\"", "", "offset 0: the data ends here, inside a record" },
        { R(F("a", INT) "," F("d", "\"double\"")), "02 00", "offset 1: the data ends here, inside a record" },
        { MAP(INT), "02 01", "offset 2: a negative length" },
    };
    for (size_t i = 0; i < COUNT_OF(skips); i++) {
        struct codec c;
        struct leat_error err = { 0 };
        uint8_t bytes[64];
        assert_int_equal(codec_open(&c, skips[i].schema, skips[i].schema, false, &err), 0);
        const size_t len = bytes_of(skips[i].data, bytes);
        if (len == 1)
            memset(bytes + 1, 0, LEAT_BUFFER_SLACK_BYTES);
        const uint8_t *at = bytes;
        const int code = leat__decode_skip(c.decoder, &at, bytes + len, &err);
        FAIL_UNLESS(code == LEAT_EDATA && strcmp(err.message, skips[i].message) == 0, "%s %s: %d \"%s\"",
            skips[i].schema, skips[i].data, code, err.message);
        assert_ptr_equal(at, bytes);
        codec_close(&c);
    }
}

/* ---- encoding ---- */

struct sample {
    int32_t color;
    bool has_note;
    struct leat_sv note;
    struct {
        int32_t tag;
        union {
            int32_t number;
            struct leat_sv text;
        } as;
    } value;
};

static const char sample_text[] =
    R(F("color", "{\"type\":\"enum\",\"name\":\"color\",\"symbols\":[\"RED\",\"BLUE\"]}") "," F(
        "note", "[\"string\",\"null\"]") "," F("value", "[\"int\",\"string\",\"null\"]"));

static void test_avro__given_rows__when_encoded__then_bad_indexes_name_row_and_field(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    struct leat_batch *batch;
    struct leat_strbuf out = { 0 };
    uint32_t done;
    assert_int_equal(codec_open(&c, sample_text, sample_text, false, &err), 0);
    assert_int_equal(c.type->size, sizeof(struct sample));
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    for (int i = 0; i < 4; i++) {
        struct sample *row = leat__batch_push(batch);
        row->color = i % 2;
        row->has_note = i > 1;
        row->note = LEAT_SV("hi");
        row->value.tag = i % 3;
        if (i % 3 == 1)
            row->value.as.text = LEAT_SV("t");
    }
    assert_int_equal(leat__encode(c.encoder, batch, 1, 2, &out, &done, &err), 0);
    assert_int_equal(done, 2);
    assert_int_equal(out.len, 11);
    assert_memory_equal(out.data,
        "\x02\x02\x02\x02t"
        "\x00\x00\x04hi\x04",
        11);
    ((struct sample *)leat_batch_at(batch, 2))->color = 2;
    leat__strbuf_clear(&out);
    assert_int_equal(leat__encode(c.encoder, batch, 1, 3, &out, &done, &err), LEAT_EDATA);
    assert_string_equal(err.message, "row 2, field color: enum index 2; there are 2 symbols");
    assert_int_equal(done, 1);
    assert_int_equal(out.len, 5);
    ((struct sample *)leat_batch_at(batch, 3))->value.tag = -1;
    assert_int_equal(leat__encode_record(c.encoder, leat_batch_at(batch, 3), &out, &err), LEAT_EDATA);
    assert_string_equal(err.message, "row 0, field value: union tag -1; there are 3 branches");
    assert_int_equal(out.len, 5);
    leat__strbuf_release(&out);
    leat__batch_release(batch);
    codec_close(&c);
}

static void test_avro__given_no_rows__when_encoded__then_nothing_is_written(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    struct leat_batch *batch;
    struct leat_strbuf out = { 0 };
    assert_int_equal(codec_open(&c, R(F("a", INT)), R(F("a", INT)), false, &err), 0);
    assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
    assert_int_equal(leat__encode(c.encoder, batch, 0, 0, &out, NULL, &err), 0);
    assert_int_equal(out.len, 0);
    leat__strbuf_release(&out);
    leat__batch_release(batch);
    codec_close(&c);
}

/* Texts of each length, whose short copies go by other ways. */
static void test_avro__given_strings_of_every_length__when_encoded_and_decoded__then_they_are_the_same(
    void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    char text[300];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    assert_int_equal(codec_open(&c, R(F("s", STRING)), R(F("s", STRING)), false, &err), 0);
    for (size_t len = 0; len < sizeof text; len++) {
        char *exact = leat__strndup(text, len); /* a read beyond would be seen */
        const struct leat_sv view = { exact, len };
        struct leat_strbuf out = { 0 };
        struct leat_batch *batch;
        assert_int_equal(leat__encode_record(c.encoder, &view, &out, &err), 0);
        const uint8_t *at = (const uint8_t *)out.data;
        assert_int_equal(leat__batch_get(c.pool, c.type, &batch), 0);
        assert_int_equal(leat__decode(c.decoder, &at, at + out.len, batch, 1, &err), 1);
        assert_true(leat_sv_eq(*(const struct leat_sv *)leat_batch_at(batch, 0), view));
        leat__batch_release(batch);
        leat__strbuf_release(&out);
        leat__free(exact);
    }
    codec_close(&c);
}

/* ---- descriptors and memory ---- */

static void test_avro__given_a_descriptor_of_another_layout__when_compiled__then_it_is_refused(void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    assert_int_equal(codec_open(&c, R(F("a", INT)), R(F("a", INT)), false, &err), 0);
    struct leat_field field = c.type->fields[0];
    struct leat_type type = *c.type;
    struct leat_decoder *decoder;
    struct leat_encoder *encoder;
    field.offset = 4;
    type.fields = &field;
    assert_int_equal(leat__decoder_new(c.writer, &type, NULL, &decoder, &err), LEAT_ESCHEMA);
    assert_string_equal(err.message, "R: compiled with another layout of field a; run leat gen again");
    assert_int_equal(leat__encoder_new(&type, &encoder, &err), LEAT_ESCHEMA);
    type = *c.type;
    type.schema = NULL;
    assert_int_equal(leat__decoder_new(c.writer, &type, NULL, &decoder, &err), LEAT_ESCHEMA);
    assert_string_equal(err.message, "R: the type has no schema text; use a type that leat gen wrote");
    codec_close(&c);
}

static void test_avro__given_failing_memory__when_compiled_or_run__then_it_says_so_and_leaks_nothing(
    void **state)
{
    (void)state;
    struct codec c;
    struct leat_error err = { 0 };
    uint8_t bytes[64];
    const char *writer =
        R(F("a", INT) "," F("l", ARRAY(STRING)) "," F("u", "[\"int\",\"string\",\"boolean\"]"));
    const char *reader = R(
        F("a", INT) "," F("l", ARRAY(STRING)) "," F("u", "[\"int\",\"string\"]") "," D("s", STRING, "\"x\""));
    assert_int_equal(codec_open(&c, writer, reader, false, &err), 0);
    const size_t len = bytes_of("02 02 02 'x' 00 00 02", bytes);
    const int64_t live = leat__alloc_live();
    bool fails = true;
    for (uint64_t n = 1; fails; n++) {
        struct leat_decoder *decoder = NULL;
        struct leat_encoder *encoder = NULL;
        struct leat_pool *pool = NULL;
        struct leat_batch *batch = NULL;
        struct leat_strbuf out = { 0 };
        const uint8_t *at = bytes;
        leat__alloc_fail_at(n);
        int64_t code = leat__decoder_new(c.writer, c.type, NULL, &decoder, &err);
        if (code == 0)
            code = leat__encoder_new(c.type, &encoder, &err);
        if (code == 0)
            code = leat__pool_new(64, &pool);
        if (code == 0)
            code = leat__batch_get(pool, c.type, &batch);
        if (code == 0)
            code = leat__decode(decoder, &at, bytes + len, batch, 1, &err);
        if (code == 1)
            code = leat__encode(encoder, batch, 0, 1, &out, NULL, &err);
        leat__alloc_fail_at(0);
        leat__strbuf_release(&out);
        leat__batch_release(batch);
        leat__pool_free(pool);
        leat__encoder_free(encoder);
        leat__decoder_free(decoder);
        assert_int_equal(leat__alloc_live(), live);
        FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %d: code %d", (int)n, (int)code);
        fails = code != 0;
    }
    codec_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_avro__given_two_schemas__when_decoded__then_the_reader_sees_its_own),
        cmocka_unit_test(test_avro__given_a_readers_union__when_decoded__then_the_best_branch_is_taken),
        cmocka_unit_test(
            test_avro__given_schemas_that_do_not_fit__when_compiled__then_the_field_and_reason_are_told),
        cmocka_unit_test(test_avro__given_bad_data__when_decoded__then_place_and_cause_are_told),
        cmocka_unit_test(
            test_avro__given_the_utf8_option__when_strings_are_decoded__then_bad_ones_are_refused),
        cmocka_unit_test(
            test_avro__given_a_bad_record_between_good_ones__when_decoded__then_the_good_ones_are_kept),
        cmocka_unit_test(test_avro__given_more_records_than_room__when_decoded__then_the_rest_waits),
        cmocka_unit_test(test_avro__given_records_of_no_bytes__when_decoded__then_as_many_as_asked_for),
        cmocka_unit_test(test_avro__given_defaults__when_the_decoder_is_gone__then_rows_still_show_them),
        cmocka_unit_test(test_avro__given_items_that_swell__when_decoded__then_memory_is_bounded),
        cmocka_unit_test(test_avro__given_a_record_of_many_bytes__when_decoded__then_the_limit_is_told),
        cmocka_unit_test(test_avro__given_defaults_that_multiply__when_compiled__then_the_limit_is_told),
        cmocka_unit_test(test_avro__given_bad_data__when_skipped__then_the_cause_is_told),
        cmocka_unit_test(test_avro__given_rows__when_encoded__then_bad_indexes_name_row_and_field),
        cmocka_unit_test(test_avro__given_no_rows__when_encoded__then_nothing_is_written),
        cmocka_unit_test(
            test_avro__given_strings_of_every_length__when_encoded_and_decoded__then_they_are_the_same),
        cmocka_unit_test(test_avro__given_a_descriptor_of_another_layout__when_compiled__then_it_is_refused),
        cmocka_unit_test(
            test_avro__given_failing_memory__when_compiled_or_run__then_it_says_so_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
