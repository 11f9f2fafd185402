/* tests/unit/connectors/test_kafka_message.c -- layouts: which field is in which part of a message, and what is refused. */
#include "connectors/kafka/message.h"
#include "record/schema.h"
#include "tests/support/unit.h"

static const char order_schema[] =
    "{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"region\",\"type\":\"string\"},{\"name\":\"total\","
    "\"type\":\"double\"},"
    "{\"name\":\"part\",\"type\":\"int\"},{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":"
    "\"timestamp-millis\"}},"
    "{\"name\":\"gone\",\"type\":\"boolean\"},{\"name\":\"note\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"headers\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"header\","
    "\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"value\",\"type\":[\"null\",\"bytes\"]}]}}},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":\"string\"}},"
    "{\"name\":\"inner\",\"type\":{\"type\":\"record\",\"name\":\"inner\",\"fields\":[{\"name\":\"x\","
    "\"type\":\"int\"}]}}]}";

struct made {
    struct leat_arena arena;
    struct leat_schema *schema;
    const struct leat_type *type;
    const struct leat_kafka_layout *layout;
    struct leat_error err;
    int code;
};

static struct made make(struct leat_kafka_layout_opts opts)
{
    struct made m = { 0 };
    if (leat__schema_parse(order_schema, strlen(order_schema), &m.schema, &m.err) < 0 ||
        leat__schema_type(m.schema, &m.arena, &m.type, &m.err) < 0)
        fail_msg("%s", m.err.message);
    opts.type = m.type;
    m.code = leat__kafka_layout_new(&opts, &m.arena, &m.layout, &m.err);
    return m;
}

static void release(struct made *m)
{
    leat__schema_free(m->schema);
    leat__arena_release(&m->arena);
}

static void test_kafka_message__given_meta_and_key__when_laid_out__then_the_value_has_the_rest(void **state)
{
    (void)state;
    struct made m = make((struct leat_kafka_layout_opts){ .format = LEAT_FORMAT_AVRO_BINARY,
        .key = { "region, id", LEAT_FORMAT_AVRO_SINGLE, .only = true },
        .meta = { .partition = "part", .timestamp = "at", .headers = "headers", .tombstone = "gone" } });
    if (m.code < 0)
        fail_msg("%s", m.err.message);
    assert_string_equal(leat__kafka_value_schema(m.layout),
        "{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":[{\"name\":\"total\",\"type\":\"double\"},"
        "{\"name\":\"note\",\"type\":[\"null\",\"string\"]},{\"name\":\"tags\",\"type\":{\"type\":\"map\","
        "\"values\":\"string\"}},"
        "{\"name\":\"inner\",\"type\":{\"type\":\"record\",\"name\":\"inner\",\"fields\":[{\"name\":\"x\","
        "\"type\":\"int\"}]}}]}");
    assert_string_equal(leat__kafka_key_schema(m.layout),
        "{\"type\":\"record\",\"name\":\"shop.order_key\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
        "{\"name\":\"region\",\"type\":\"string\"}]}");
    release(&m);
}

static void test_kafka_message__given_a_key_in_the_value_too__when_laid_out__then_the_value_keeps_it(
    void **state)
{
    (void)state;
    struct made m =
        make((struct leat_kafka_layout_opts){ .format = LEAT_FORMAT_JSON, .key = { "id", 0, false } });
    assert_int_equal(m.code, 0);
    assert_non_null(strstr(leat__kafka_value_schema(m.layout), "\"id\""));
    assert_null(leat__kafka_key_schema(m.layout));
    release(&m);
}

static const struct {
    const char *name;
    struct leat_kafka_layout_opts opts;
    const char *text;
} refused[] = {
    { "no format", { 0 }, "format: missing" },
    { "a format of files", { .format = LEAT_FORMAT_AVRO }, "format: not a format of messages" },
    { "an unknown field", { .format = LEAT_FORMAT_JSON, .meta = { .partition = "prt" } },
        "meta.partition: " },
    { "a path", { .format = LEAT_FORMAT_JSON, .meta = { .partition = "inner.x" } },
        "meta.partition: \"inner.x\" must be a field of shop.order itself" },
    { "another kind", { .format = LEAT_FORMAT_JSON, .meta = { .partition = "id" } },
        "meta.partition: field \"id\" must be an int" },
    { "a plain int as time", { .format = LEAT_FORMAT_JSON, .meta = { .timestamp = "part" } },
        "meta.timestamp: field \"part\" must be a long" },
    { "a nullable tombstone", { .format = LEAT_FORMAT_JSON, .meta = { .tombstone = "note" } },
        "meta.tombstone: field \"note\" must be a boolean" },
    { "a record as headers", { .format = LEAT_FORMAT_JSON, .meta = { .headers = "inner" } },
        "meta.headers: field \"inner\" must be an array of records" },
    { "twice in meta",
        { .format = LEAT_FORMAT_JSON,
            .meta = { .partition = "part", .offset = "id", .key = "region", .topic = "region" } },
        "field \"region\" is named twice" },
    { "in meta and key",
        { .format = LEAT_FORMAT_JSON, .meta = { .partition = "part" }, .key = { .fields = "part" } },
        "key.fields: field \"part\" is named twice" },
    { "twice in the key", { .format = LEAT_FORMAT_JSON, .key = { .fields = "id, id" } },
        "key.fields: field \"id\" is named twice" },
    { "two keys", { .format = LEAT_FORMAT_JSON, .meta = { .key = "region" }, .key = { .fields = "id" } },
        "key.fields: the key is the field of meta.key already" },
    { "a raw key of two", { .format = LEAT_FORMAT_JSON, .key = { .fields = "id, region" } },
        "key.format: LEAT_FORMAT_RAW is one field as it is, but there are 2" },
    { "a raw value of many", { .format = LEAT_FORMAT_RAW }, "format: LEAT_FORMAT_RAW is one field" },
    { "nested CSV", { .format = LEAT_FORMAT_CSV }, "format: " },
    { "a key's format without key", { .format = LEAT_FORMAT_JSON, .key = { .format = LEAT_FORMAT_JSON } },
        "key.fields: missing" },
    { "separator of JSON", { .format = LEAT_FORMAT_JSON, .separator = ';' }, "separator: only CSV has one" },
    { "a schema of JSON", { .format = LEAT_FORMAT_JSON, .value_schema = "\"int\"" },
        "value_schema: only of" },
    { "a bad schema", { .format = LEAT_FORMAT_AVRO_BINARY, .value_schema = "{" }, "value_schema: " },
    { "an offset to write", { .format = LEAT_FORMAT_JSON, .meta = { .offset = "id" }, .writing = true },
        "meta.offset: the brokers give offsets" },
};

static void test_kafka_message__given_what_can_not_be__when_laid_out__then_option_and_remedy_are_named(
    void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct made m = make(refused[i].opts);
        FAIL_UNLESS(m.code < 0 && strstr(m.err.message, refused[i].text), "%s: %d %s", refused[i].name,
            m.code, m.err.message);
        release(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kafka_message__given_meta_and_key__when_laid_out__then_the_value_has_the_rest),
        cmocka_unit_test(
            test_kafka_message__given_a_key_in_the_value_too__when_laid_out__then_the_value_keeps_it),
        cmocka_unit_test(
            test_kafka_message__given_what_can_not_be__when_laid_out__then_option_and_remedy_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
