/* tests/unit/connectors/test_kafka_message_read.c -- bytes of messages become rows: every format for values and keys, and what
 * is wrong with those that do not. Times, headers and topics are in integration/test_kafka_source: only librdkafka makes
 * messages with them. */
#include "base/alloc.h"
#include "connectors/kafka/message.h"
#include "fact.h"
#include "kafka_row.h"
#include "record/avro.h"
#include "tests/support/unit.h"
#include <stdio.h>

#define BYTES(literal_) literal_, sizeof("" literal_) - 1
#define NONE NULL, 0

struct read_case {
    const char *name;
    const struct leat_type *type;
    enum leat_format format;
    struct leat_kafka_key key;
    struct leat_kafka_meta meta;
    const char *value_schema;
    const char *value;
    size_t len;
    const char *key_bytes;
    size_t key_len;
    const char *seen; /* a part of the row as JSON, or of the error behind "!" */
};

static const struct read_case cases[] = {
    { "JSON", &kafka_row_type, LEAT_FORMAT_JSON, { 0 }, { 0 }, NULL,
        BYTES("{\"price\":2.5,\"id\":7,\"region\":\"eu\",\"more\":[1]}"), NONE,
        "\"id\":7,\"text\":null,\"price\":2.5,\"region\":\"eu\"" },
    { "JSON of a field that is of meta", &kafka_row_type, LEAT_FORMAT_JSON, { 0 }, { .offset = "off" }, NULL,
        BYTES("{\"id\":7,\"off\":5}"), NONE, "\"off\":40" },
    { "bad JSON", &kafka_row_type, LEAT_FORMAT_JSON, { 0 }, { 0 }, NULL, BYTES("{\"id\":\"seven\"}"), NONE,
        "!id: expected a whole number" },
    { "no JSON", &kafka_row_type, LEAT_FORMAT_JSON, { 0 }, { 0 }, NULL, BYTES(""), NONE, "!" },
    { "Avro's JSON", &kafka_row_type, LEAT_FORMAT_JSON_AVRO, { 0 }, { 0 }, NULL,
        BYTES("{\"id\":7,\"text\":{\"string\":\"x\"},\"region\":null}"), NONE, "\"id\":7,\"text\":\"x\"" },
    { "CSV", &fact_type, LEAT_FORMAT_CSV, { 0 }, { 0 }, NULL, BYTES("7,,1000"), NONE,
        "\"key\":7,\"value\":null,\"at\":1000" },
    { "CSV with a line end", &fact_type, LEAT_FORMAT_CSV, { 0 }, { 0 }, NULL, BYTES("7,8,\n"), NONE,
        "\"key\":7,\"value\":8,\"at\":null" },
    { "CSV with a cell too few", &fact_type, LEAT_FORMAT_CSV, { 0 }, { 0 }, NULL, BYTES("7,8"), NONE, "!" },
    { "Avro", &fact_type, LEAT_FORMAT_AVRO_BINARY, { 0 }, { 0 }, NULL, BYTES("\x02\x0e\x00\x02\x10"), NONE,
        "\"key\":7,\"value\":null,\"at\":8" },
    { "Avro that is cut", &fact_type, LEAT_FORMAT_AVRO_BINARY, { 0 }, { 0 }, NULL, BYTES("\x02\x0e\x00\x02"),
        NONE, "!" },
    { "Avro with bytes behind it", &fact_type, LEAT_FORMAT_AVRO_BINARY, { 0 }, { 0 }, NULL,
        BYTES("\x02\x0e\x00\x02\x10\x01\x02"), NONE, "!2 bytes follow the record" },
    { "Avro without bytes", &fact_type, LEAT_FORMAT_AVRO_BINARY, { 0 }, { 0 }, NULL, BYTES(""), NONE,
        "!it has no bytes" },
    { "Avro of another schema", &fact_type, LEAT_FORMAT_AVRO_BINARY, { 0 }, { 0 },
        "{\"type\":\"record\",\"name\":\"Fact\",\"fields\":[{\"name\":\"more\",\"type\":\"string\"},{"
        "\"name\":\"value\",\"type\":\"int\"}]}",
        BYTES("\x04xy\x12"), NONE, "\"key\":null,\"value\":9,\"at\":null" },
    { "a single object", &fact_type, LEAT_FORMAT_AVRO_SINGLE, { 0 }, { 0 }, NULL,
        BYTES("SINGLE\x02\x0e\x00\x02\x10"), NONE, "\"key\":7,\"value\":null,\"at\":8" },
    { "a single object of an unknown schema", &fact_type, LEAT_FORMAT_AVRO_SINGLE, { 0 }, { 0 }, NULL,
        BYTES("\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08\x02"), NONE, "!fingerprint 0807060504030201" },
    { "no single object", &fact_type, LEAT_FORMAT_AVRO_SINGLE, { 0 }, { 0 }, NULL,
        BYTES("\x02\x0e\x00\x02\x10"), NONE, "!it is no single object of Avro" },
    { "a raw long, beside a key", &fact_type, LEAT_FORMAT_RAW,
        { .fields = "key, at", .format = LEAT_FORMAT_CSV, .only = true }, { 0 }, NULL,
        BYTES("\x00\x00\x00\x00\x00\x00\x01\x00"), BYTES("5,6"), "\"key\":5,\"value\":256,\"at\":6" },
    { "a raw long that is none", &fact_type, LEAT_FORMAT_RAW,
        { .fields = "key, at", .format = LEAT_FORMAT_CSV, .only = true }, { 0 }, NULL, BYTES("256"),
        BYTES("5,6"), "!field \"value\" has 3 bytes, and long as it is has 8" },
    { "a key beside JSON", &kafka_row_type, LEAT_FORMAT_JSON,
        { .fields = "region, shard", .format = LEAT_FORMAT_JSON, .only = true }, { 0 }, NULL,
        BYTES("{\"id\":7,\"region\":\"not here\"}"), BYTES("{\"region\":\"us\",\"shard\":4}"),
        "\"region\":\"us\",\"shard\":4" },
    { "an Avro key", &kafka_row_type, LEAT_FORMAT_JSON,
        { .fields = "region shard", .format = LEAT_FORMAT_AVRO_BINARY, .only = true }, { 0 }, NULL,
        BYTES("{\"id\":7}"), BYTES("\x02\x04us\x08"),
        "\"id\":7,\"text\":null,\"price\":0.0,\"region\":\"us\",\"shard\":4" },
    { "a raw key", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "region", .only = true }, { 0 }, NULL,
        BYTES("{\"id\":7}"), BYTES("asia"), "\"region\":\"asia\"" },
    { "a raw int as key", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "shard", .only = true }, { 0 }, NULL,
        BYTES("{\"id\":7}"), BYTES("\xff\xff\xff\xfe"), "\"shard\":-2" },
    { "a key of the wrong size", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "shard", .only = true },
        { 0 }, NULL, BYTES("{\"id\":7}"), BYTES("\1\2"),
        "!key: field \"shard\" has 2 bytes, and int as it is has 4" },
    { "a key that is in the value too", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "region" }, { 0 },
        NULL, BYTES("{\"id\":7,\"region\":\"value\"}"), BYTES("key"), "\"region\":\"value\"" },
    { "no key", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "shard", .only = true }, { 0 }, NULL,
        BYTES("{\"id\":7}"), NONE, "!key: the message has none, and field \"shard\" can not be null" },
    { "no key, but null will do", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "region", .only = true },
        { 0 }, NULL, BYTES("{\"id\":7}"), NONE, "\"region\":null" },
    { "no value", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "region" }, { 0 }, NULL, NONE, BYTES("eu"),
        "!the message has no value" },
    { "no value, which is told", &kafka_row_type, LEAT_FORMAT_JSON, { .fields = "region" },
        { .tombstone = "deleted" }, NULL, NONE, BYTES("eu"),
        "\"id\":0,\"text\":null,\"price\":0.0,\"region\":\"eu\"" },
    { "the key as it is", &kafka_row_type, LEAT_FORMAT_JSON, { 0 },
        { .key = "region", .partition = "part", .tombstone = "deleted" }, NULL, BYTES("{\"id\":7}"),
        BYTES("k\0k"), "\"region\":\"k\\u0000k\"" },
};

struct fixture {
    struct leat_arena arena;
    struct leat_pool *pool;
    struct leat_batch *batch;
    struct leat_kafka_reader *reader;
};

static void set_up(struct fixture *f, const struct read_case *c)
{
    struct leat_error err = { 0 };
    const struct leat_kafka_layout *layout;
    const struct leat_kafka_layout_opts opts = {
        .type = c->type, .format = c->format, .value_schema = c->value_schema, .key = c->key, .meta = c->meta
    };
    *f = (struct fixture){ 0 };
    FAIL_UNLESS(leat__kafka_layout_new(&opts, &f->arena, &layout, &err) == 0, "%s: %s", c->name, err.message);
    FAIL_UNLESS(
        leat__kafka_reader_new(layout, NULL, NULL, &f->reader, &err) == 0, "%s: %s", c->name, err.message);
    assert_int_equal(leat__pool_new(4, &f->pool), 0);
    assert_int_equal(leat__batch_get(f->pool, c->type, &f->batch), 0);
}

static void tear_down(struct fixture *f)
{
    leat__kafka_reader_free(f->reader);
    leat__batch_release(f->batch);
    leat__pool_free(f->pool);
    leat__arena_release(&f->arena);
}

/* A copy of just these bytes, so that a sanitizer sees who reads behind them; "SINGLE" becomes the type's own frame. */
static char *copy_of(const struct leat_type *type, const char *bytes, size_t *len)
{
    const bool is_single = bytes && *len >= 6 && memcmp(bytes, "SINGLE", 6) == 0;
    const size_t skip = is_single ? 6 : 0, frame = is_single ? 10 : 0;
    if (!bytes)
        return NULL;
    char *copy = malloc(*len - skip + frame + (*len == 0));
    assert_non_null(copy);
    if (is_single) {
        copy[0] = (char)0xc3;
        copy[1] = 1;
        memcpy(copy + 2, &type->fingerprint, 8); /* of a little endian machine */
    }
    if (*len > skip)
        memcpy(copy + frame, bytes + skip, *len - skip);
    *len = *len - skip + frame;
    return copy;
}

static void check_row(const struct fixture *f, const struct read_case *c, uint32_t row)
{
    char text[1024];
    const char *found = c->seen;
    (void)leat_record_print(leat_batch_at(f->batch, row), c->type, text, sizeof text);
    FAIL_UNLESS(strstr(text, found), "%s: read %s, not %s", c->name, text, found);
}

/* Each message three times, the last where the batch has room for one row: nothing of the one before is left over. */
static void test_read__given_a_message__then_its_row_or_what_is_wrong_with_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct read_case *c = &cases[i];
        struct fixture f;
        set_up(&f, c);
        const uint32_t room = f.batch->capacity;
        for (uint32_t n = 0; n < room; n++) {
            struct leat_error err = { 0 };
            size_t len = c->len, key_len = c->key_len;
            char *value = copy_of(c->type, c->value, &len), *key = copy_of(c->type, c->key_bytes, &key_len);
            const rd_kafka_message_t message = {
                .payload = value, .len = len, .key = key, .key_len = key_len, .partition = 3, .offset = 40
            };
            const int code = leat__kafka_read(f.reader, &message, f.batch, &err);
            free(value); /* everything was copied out */
            free(key);
            if (c->seen[0] == '!') {
                FAIL_UNLESS(code == LEAT_EDATA && f.batch->count == 0 && strstr(err.message, c->seen + 1),
                    "%s: %d %s", c->name, code, err.message);
                continue;
            }
            FAIL_UNLESS(code == 0 && f.batch->count == n + 1, "%s: %s", c->name, err.message);
            check_row(&f, c, n);
        }
        tear_down(&f);
    }
}

static void test_read__given_many_messages__then_nothing_is_allocated_for_each(void **state)
{
    struct fixture f;
    struct leat_error err = { 0 };
    const rd_kafka_message_t message = { .payload = (char[]){ "\x02\x0e\x00\x02\x10" }, .len = 5 };
    (void)state;
    set_up(&f, &(struct read_case){ .name = "Avro", .type = &fact_type, .format = LEAT_FORMAT_AVRO_BINARY });
    uint64_t calls = 0;
    for (int n = 0; n < 1000; n++) {
        if (n == 10)
            calls = leat__alloc_calls();
        if (f.batch->count == f.batch->capacity) {
            leat__batch_release(f.batch);
            assert_int_equal(leat__batch_get(f.pool, &fact_type, &f.batch), 0);
        }
        assert_int_equal(leat__kafka_read(f.reader, &message, f.batch, &err), 0);
    }
    assert_int_equal(leat__alloc_calls(), calls);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read__given_a_message__then_its_row_or_what_is_wrong_with_it),
        cmocka_unit_test(test_read__given_many_messages__then_nothing_is_allocated_for_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
