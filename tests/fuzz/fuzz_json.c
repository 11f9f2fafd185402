/* tests/fuzz/fuzz_json.c -- the first byte picks a type and a mode; the rest is a document. What is taken
 * must be JSON to jansson as well, and must come back when it is written. For the record without fields the
 * two must agree: any object, and nothing else. */
#include "record/json.h"
#include "tests/fuzz/fuzz.h"
#include <jansson.h>
#include <string.h>

#define RECORD(fields_) "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields_ "]}"
#define FIELD(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"

static const char *const schemas[] = {
    RECORD(""),
    RECORD(FIELD("i", "\"int\"") "," FIELD("l", "\"long\"") "," FIELD("d", "\"double\"") "," FIELD(
        "f", "\"float\"") "," FIELD("s", "\"string\"") "," FIELD("b", "\"boolean\"")),
    RECORD(FIELD("y", "\"bytes\"") "," FIELD(
        "x", "{\"type\":\"fixed\",\"name\":\"fx\",\"size\":2}") "," FIELD("e",
        "{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"A\",\"BC\"]}") "," FIELD("t",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}") "," FIELD("n", "[\"null\",\"string\"]")),
    RECORD(FIELD("a",
        "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"in\",\"fields\":["
        "{\"name\":\"k\",\"type\":\"string\",\"default\":\"dd\"}," FIELD("v", "\"int\"") "]}}") "," FIELD("m",
        "{\"type\":\"map\",\"values\":[\"null\",\"double\"]}")),
    RECORD(FIELD("u",
        "[\"null\",\"boolean\",\"int\",\"double\",\"string\",{\"type\":\"array\",\"items\":\"long\"},"
        "{\"type\":\"record\",\"name\":\"p\",\"fields\":[" FIELD("q",
            "\"int\"") "]},"
                       "{\"type\":\"record\",\"name\":\"w\",\"fields\":[" FIELD("q", "\"string\"") "]}]")),
};
#define SCHEMAS_COUNT (sizeof schemas / sizeof schemas[0])

struct target {
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_pool *pool;
    struct leat_json_decoder *decoder;
    struct leat_batch *batch;
    struct leat_error err;
    enum leat_json_mode mode;
};

/* 1: JSON; 0: none; -1: beyond what jansson takes. */
static int is_json(const char *text, size_t len, bool *is_object)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    *is_object = json_is_object(value);
    if (value) {
        json_decref(value);
        return 1;
    }
    switch (json_error_code(&error)) {
    case json_error_numeric_overflow:
    case json_error_null_byte_in_key:
    case json_error_stack_overflow:
        return -1;
    default:
        return 0;
    }
}

/* Writes row 0 and reads it into row 1. */
static void come_back(struct target *t)
{
    struct leat_strbuf first = { 0 }, second = { 0 };
    FUZZ_CHECK(leat__json_encode(t->type, t->mode, leat_batch_at(t->batch, 0), &first, &t->err) == 0);
    FUZZ_CHECK(leat__json_decode(t->decoder, first.data, first.len, t->batch, &t->err) == 0);
    FUZZ_CHECK(leat__json_encode(t->type, t->mode, leat_batch_at(t->batch, 1), &second, &t->err) == 0);
    FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    leat__strbuf_release(&first);
    leat__strbuf_release(&second);
}

/* Made once: parsing a schema takes longer than decoding a document. */
static void prepare(struct target *t, const char *schema, enum leat_json_mode mode)
{
    t->mode = mode;
    FUZZ_CHECK(leat__schema_parse(schema, strlen(schema), &t->schema, &t->err) == 0);
    FUZZ_CHECK(leat__schema_type(t->schema, &t->arena, &t->type, &t->err) == 0);
    FUZZ_CHECK(leat__json_decoder_new(t->type, t->mode, &t->decoder, &t->err) == 0);
}

static void run(struct target *t, const char *text, size_t len, bool any_object)
{
    bool is_object;
    memset(&t->err, 0, sizeof t->err);
    FUZZ_CHECK(leat__pool_new(16, &t->pool) == 0);
    FUZZ_CHECK(leat__batch_get(t->pool, t->type, &t->batch) == 0);
    const int code = leat__json_decode(t->decoder, text, len, t->batch, &t->err);
    FUZZ_CHECK(code == 0 || code == LEAT_EDATA);
    FUZZ_CHECK(t->batch->count == (code == 0));
    FUZZ_CHECK(code == 0 || t->err.message[0] != '\0');
    if (code == 0)
        come_back(t);
    leat__batch_release(t->batch);
    leat__pool_free(t->pool);

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* jansson takes no byte order mark */
        text += 3;
        len -= 3;
    }
    const int json = is_json(text, len, &is_object);
    if (code == 0)
        FUZZ_CHECK(json != 0);
    else if (any_object && json == 1 && is_object && !memchr(text, 0, len)) /* which jansson passes over */
        FUZZ_CHECK(strstr(t->err.message, "1024 levels") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct target targets[SCHEMAS_COUNT][2];
    if (size == 0)
        return 0;
    const size_t which = data[0] / 2 % SCHEMAS_COUNT;
    struct target *t = &targets[which][data[0] & 1];
    if (!t->decoder)
        prepare(t, schemas[which], data[0] & 1 ? LEAT_JSON_AVRO : LEAT_JSON_PLAIN);
    run(t, (const char *)data + 1, size - 1, which == 0);
    return 0;
}
