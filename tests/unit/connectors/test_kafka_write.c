/* tests/unit/connectors/test_kafka_write.c -- a record becomes a message, byte by byte, and goes to the partition where
 * Java's producers send it. */
#include "connectors/kafka/message.h"
#include "connectors/kafka/partition.h"
#include "record/schema.h"
#include "tests/support/unit.h"

/* ---- partitions ---- */

static void test_kafka_write__given_bytes__when_hashed__then_as_java_does(void **state)
{
    /* Of the tests of org.apache.kafka.common.utils.Utils. */
    static const struct {
        const char *text;
        int32_t hash;
    } known[] = {
        { "21", -973932308 },
        { "foobar", -790332482 },
        { "a-little-bit-long-string", -985981536 },
        { "a-little-bit-longer-string", -1486304829 },
        { "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971 },
        { "abc", 479470107 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(known); i++)
        FAIL_UNLESS(
            leat__kafka_murmur2(known[i].text, strlen(known[i].text)) == known[i].hash, "%s", known[i].text);
    assert_int_equal(leat__kafka_partition_of_key(LEAT_SV("foobar"), 7), (-790332482 & 0x7fffffff) % 7);
    assert_int_equal(leat__kafka_partition_of_key(LEAT_SV(""), 1), 0);
}

static void test_kafka_write__given_no_keys__when_spread__then_in_runs_to_each_partition_in_turn(void **state)
{
    (void)state;
    struct leat_kafka_spread spread = { .next = 2 };
    uint32_t counts[3] = { 0 }, changes = 0, last = 2;
    for (uint32_t i = 0; i < 3 * 400; i++) {
        const uint32_t partition = leat__kafka_spread(&spread, LEAT_KAFKA_RUN_BYTES / 100, 3);
        assert_true(partition < 3);
        changes += partition != last;
        last = partition;
        counts[partition]++;
    }
    assert_true(changes >= 9 && changes <= 12);
    for (uint32_t p = 0; p < 3; p++)
        assert_true(counts[p] > 300 && counts[p] < 500);
}

/* ---- messages ---- */

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"shop.order\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"long\"},{\"name\":\"region\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"small\",\"type\":\"int\"},{\"name\":\"ratio\",\"type\":\"double\"},"
    "{\"name\":\"topic\",\"type\":[\"null\",\"string\"]},{\"name\":\"part\",\"type\":[\"null\",\"int\"]},"
    "{\"name\":\"at\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}]},"
    "{\"name\":\"gone\",\"type\":\"boolean\"},"
    "{\"name\":\"headers\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"header\","
    "\"fields\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"value\",\"type\":[\"null\",\"bytes\"]}]}"
    "}},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":\"string\"}}]}";

struct header {
    struct leat_sv name;
    bool has_value;
    struct leat_sv value;
};
struct tag {
    struct leat_sv name, value;
};
struct order {
    int64_t id;
    bool has_region;
    struct leat_sv region;
    int32_t small;
    double ratio;
    bool has_topic;
    struct leat_sv topic;
    bool has_part;
    int32_t part;
    bool has_at;
    int64_t at;
    bool gone;
    struct leat_array headers;
    struct leat_map tags;
};

struct rig {
    struct leat_arena arena;
    struct leat_schema *schema;
    const struct leat_type *type;
    const struct leat_kafka_layout *layout;
    struct leat_kafka_writer *writer;
    struct leat_kafka_written written;
    struct leat_error err;
};

static void set_up(struct rig *r, struct leat_kafka_layout_opts opts)
{
    memset(r, 0, sizeof *r);
    if (leat__schema_parse(schema_text, strlen(schema_text), &r->schema, &r->err) < 0 ||
        leat__schema_type(r->schema, &r->arena, &r->type, &r->err) < 0)
        fail_msg("%s", r->err.message);
    assert_int_equal(r->type->size, sizeof(struct order));
    opts.type = r->type;
    opts.writing = true;
    if (leat__kafka_layout_new(&opts, &r->arena, &r->layout, &r->err) < 0 ||
        leat__kafka_writer_new(r->layout, NULL, NULL, &r->writer, &r->err) < 0)
        fail_msg("%s", r->err.message);
}

static void tear_down(struct rig *r)
{
    leat__kafka_writer_free(r->writer);
    leat__schema_free(r->schema);
    leat__arena_release(&r->arena);
}

static void write_order(struct rig *r, const struct order *o, bool tombstone)
{
    const int code = leat__kafka_write(r->writer, o, 5000000, tombstone, &r->written, &r->err);
    FAIL_UNLESS(code == 0, "%s", r->err.message);
}

static void expect_sv(struct leat_sv got, const char *want, size_t len)
{
    FAIL_UNLESS(want ? got.data && got.len == len && memcmp(got.data, want, len) == 0 : !got.data,
        "%.*s, not %s", (int)got.len, got.data ? got.data : "-", want ? want : "nothing");
}
#define EXPECT(got_, literal_) expect_sv(got_, literal_, sizeof(literal_) - 1)

static const struct order plain = {
    .id = 258, .has_region = true, .region = { "eu", 2 }, .small = -2, .ratio = 1.5
};
#define META \
    { \
        .topic = "topic", .partition = "part", .timestamp = "at", .headers = "headers", .tombstone = "gone" \
    }

static void test_kafka_write__given_each_format__when_written__then_these_bytes(void **state)
{
    (void)state;
    struct rig r;
    set_up(&r,
        (struct leat_kafka_layout_opts){ .format = LEAT_FORMAT_JSON,
            .key = { "id, region", LEAT_FORMAT_CSV, .only = true },
            .meta = META });
    write_order(&r, &plain, false);
    EXPECT(r.written.value, "{\"small\":-2,\"ratio\":1.5,\"tags\":{}}");
    EXPECT(r.written.key, "258,eu");
    assert_int_equal(r.written.partition, -1);
    assert_int_equal(r.written.time_us, 5000000);
    expect_sv(r.written.topic, NULL, 0);
    expect_sv(r.written.headers, NULL, 0);
    assert_int_equal(leat__kafka_write_op(r.writer, "\"op\":", "delete", &r.written, &r.err), 0);
    EXPECT(r.written.value, "{\"small\":-2,\"ratio\":1.5,\"tags\":{},\"op\":\"delete\"}");
    write_order(&r, &plain, true);
    expect_sv(r.written.value, NULL, 0);
    EXPECT(r.written.key, "258,eu");
    tear_down(&r);

    set_up(&r,
        (struct leat_kafka_layout_opts){
            .format = LEAT_FORMAT_JSON_AVRO, .key = { "id", LEAT_FORMAT_RAW, false }, .meta = META });
    write_order(&r, &plain, false);
    EXPECT(r.written.value,
        "{\"id\":258,\"region\":{\"string\":\"eu\"},\"small\":-2,\"ratio\":1.5,\"tags\":{}}");
    EXPECT(r.written.key, "\0\0\0\0\0\0\1\2"); /* as Java's LongSerializer */
    tear_down(&r);

    set_up(&r,
        (struct leat_kafka_layout_opts){ .format = LEAT_FORMAT_AVRO_BINARY,
            .key = { "small", LEAT_FORMAT_RAW, .only = true },
            .meta = META });
    write_order(&r, &plain, false);
    EXPECT(r.written.value,
        "\x84\x04\x02\x04"
        "eu\0\0\0\0\0\0\xf8\x3f\0");
    EXPECT(r.written.key, "\xff\xff\xff\xfe");
    tear_down(&r);

    set_up(&r,
        (struct leat_kafka_layout_opts){
            .format = LEAT_FORMAT_JSON, .key = { "region", LEAT_FORMAT_AVRO_SINGLE, false }, .meta = META });
    write_order(&r, &plain, false);
    assert_int_equal(r.written.key.len, 10 + 4);
    assert_memory_equal(r.written.key.data, "\xC3\x01", 2);
    uint64_t fingerprint = 0;
    for (unsigned i = 0; i < 8; i++)
        fingerprint |= (uint64_t)(unsigned char)r.written.key.data[2 + i] << 8 * i;
    const char *text = leat__kafka_key_schema(r.layout);
    struct leat_schema *schema;
    assert_int_equal(leat__schema_parse(text, strlen(text), &schema, &r.err), 0);
    assert_true(fingerprint == schema->fingerprint && fingerprint != 0);
    leat__schema_free(schema);
    assert_memory_equal(r.written.key.data + 10,
        "\x02\x04"
        "eu",
        4);
    tear_down(&r);
}

static void test_kafka_write__given_raw_fields__when_null_or_empty__then_these_are_not_the_same(void **state)
{
    (void)state;
    struct rig r;
    struct order o = plain;
    set_up(&r,
        (struct leat_kafka_layout_opts){
            .format = LEAT_FORMAT_JSON, .key = { "region", LEAT_FORMAT_RAW, false }, .meta = META });
    o.has_region = false;
    write_order(&r, &o, false);
    expect_sv(r.written.key, NULL, 0);
    o.has_region = true;
    o.region = (struct leat_sv){ NULL, 0 };
    write_order(&r, &o, false);
    EXPECT(r.written.key, "");
    tear_down(&r);
    set_up(&r,
        (struct leat_kafka_layout_opts){
            .format = LEAT_FORMAT_JSON, .key = { "ratio", LEAT_FORMAT_RAW, false }, .meta = META });
    write_order(&r, &plain, false);
    EXPECT(r.written.key, "\x3f\xf8\0\0\0\0\0\0");
    tear_down(&r);
}

static void test_kafka_write__given_meta_fields__when_set__then_they_say_where_and_when(void **state)
{
    (void)state;
    struct rig r;
    const struct header headers[] = { { LEAT_SV("a"), true, LEAT_SV("xy") },
        { LEAT_SV("bc"), false, { NULL, 0 } }, { LEAT_SV("a"), true, { NULL, 0 } } };
    struct order o = plain;
    o.has_topic = o.has_part = o.has_at = true;
    o.topic = LEAT_SV("other-topic");
    o.part = 3;
    o.at = 1700000000123;
    o.headers = (struct leat_array){ headers, 3 };
    set_up(&r, (struct leat_kafka_layout_opts){ .format = LEAT_FORMAT_JSON, .meta = META });
    write_order(&r, &o, false);
    EXPECT(r.written.topic, "other-topic");
    assert_int_equal(r.written.partition, 3);
    assert_int_equal(r.written.time_us, INT64_C(1700000000123000));
    expect_sv(r.written.key, NULL, 0);
    EXPECT(r.written.headers,
        "\3\0\0\0"
        "\1\0\0\0a\2\0\0\0xy"
        "\2\0\0\0bc\xff\xff\xff\xff"
        "\1\0\0\0a\0\0\0\0");
    o.gone = true;
    write_order(&r, &o, false);
    expect_sv(r.written.value, NULL, 0);
    o.part = -1;
    assert_int_equal(leat__kafka_write(r.writer, &o, 0, false, &r.written, &r.err), LEAT_EDATA);
    o.part = 3;
    o.topic = LEAT_SV("no topic");
    assert_int_equal(leat__kafka_write(r.writer, &o, 0, false, &r.written, &r.err), LEAT_EDATA);
    o.topic = (struct leat_sv){ NULL, 0 };
    write_order(&r, &o, false);
    expect_sv(r.written.topic, NULL, 0);
    tear_down(&r);

    const struct tag tags[] = { { LEAT_SV("t"), LEAT_SV("1") }, { LEAT_SV("u"), { NULL, 0 } } };
    struct leat_kafka_meta meta = { .headers = "tags" };
    o = plain;
    o.tags = (struct leat_map){ tags, 2 };
    set_up(&r, (struct leat_kafka_layout_opts){ .format = LEAT_FORMAT_JSON, .meta = meta });
    write_order(&r, &o, false);
    EXPECT(r.written.headers,
        "\2\0\0\0"
        "\1\0\0\0t\1\0\0\0"
        "1"
        "\1\0\0\0u\0\0\0\0");
    tear_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kafka_write__given_bytes__when_hashed__then_as_java_does),
        cmocka_unit_test(
            test_kafka_write__given_no_keys__when_spread__then_in_runs_to_each_partition_in_turn),
        cmocka_unit_test(test_kafka_write__given_each_format__when_written__then_these_bytes),
        cmocka_unit_test(test_kafka_write__given_raw_fields__when_null_or_empty__then_these_are_not_the_same),
        cmocka_unit_test(test_kafka_write__given_meta_fields__when_set__then_they_say_where_and_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
