/* tests/support/op_records.c -- small records with static types, for tests of operators. */
#include "tests/support/op_records.h"
#include "tests/support/unit.h"

static const struct leat_type string_type = {
    .kind = LEAT_KIND_STRING, .name = "string", .size = 16, .align = 8
};
static const struct leat_type long_type = { .kind = LEAT_KIND_LONG, .name = "long", .size = 8, .align = 8 };
static const struct leat_type pad_type = { .kind = LEAT_KIND_FIXED, .name = "pad", .size = 4072, .align = 1 };

static const struct leat_field event_fields[] = {
    { "id", &long_type, offsetof(struct op_event, id), LEAT_NOT_NULLABLE },
    { "key", &string_type, offsetof(struct op_event, key), offsetof(struct op_event, has_key) },
    { "ts", &long_type, offsetof(struct op_event, ts), LEAT_NOT_NULLABLE },
    { "value", &long_type, offsetof(struct op_event, value), LEAT_NOT_NULLABLE },
    { "text", &string_type, offsetof(struct op_event, text), LEAT_NOT_NULLABLE },
};
const struct leat_type op_event_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "op_event",
    .size = sizeof(struct op_event),
    .align = _Alignof(struct op_event),
    .fields_count = COUNT_OF(event_fields),
    .fields = event_fields,
    .schema = "{\"type\":\"record\",\"name\":\"op_event\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
              "{\"name\":\"key\",\"type\":[\"null\",\"string\"]},{\"name\":\"ts\",\"type\":\"long\"},"
              "{\"name\":\"value\",\"type\":\"long\"},{\"name\":\"text\",\"type\":\"string\"}]}",
    .fingerprint = UINT64_C(0x462ac1253a24ad90),
};

static const struct leat_field pair_fields[] = {
    { "left", &long_type, offsetof(struct op_pair, left), LEAT_NOT_NULLABLE },
    { "right", &long_type, offsetof(struct op_pair, right), LEAT_NOT_NULLABLE },
    { "text", &string_type, offsetof(struct op_pair, text), LEAT_NOT_NULLABLE },
};
const struct leat_type op_pair_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "op_pair",
    .size = sizeof(struct op_pair),
    .align = _Alignof(struct op_pair),
    .fields_count = COUNT_OF(pair_fields),
    .fields = pair_fields,
    .schema = "{\"type\":\"record\",\"name\":\"op_pair\",\"fields\":[{\"name\":\"left\",\"type\":\"long\"},"
              "{\"name\":\"right\",\"type\":\"long\"},{\"name\":\"text\",\"type\":\"string\"}]}",
    .fingerprint = UINT64_C(0xd2c63b0402bcfa1e),
};

static const struct leat_field wide_fields[] = {
    { "id", &long_type, offsetof(struct op_wide, id), LEAT_NOT_NULLABLE },
    { "label", &string_type, offsetof(struct op_wide, label), LEAT_NOT_NULLABLE },
    { "pad", &pad_type, offsetof(struct op_wide, pad), LEAT_NOT_NULLABLE },
};
const struct leat_type op_wide_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "op_wide",
    .size = sizeof(struct op_wide),
    .align = _Alignof(struct op_wide),
    .fields_count = COUNT_OF(wide_fields),
    .fields = wide_fields,
    .schema = "{\"type\":\"record\",\"name\":\"op_wide\",\"fields\":[{\"name\":\"id\",\"type\":\"long\"},"
              "{\"name\":\"label\",\"type\":\"string\"},"
              "{\"name\":\"pad\",\"type\":{\"type\":\"fixed\",\"name\":\"pad\",\"size\":4072}}]}",
    .fingerprint = UINT64_C(0xba09b138812bfba0),
};

static struct leat_sv copy(struct leat_batch *batch, const char *text)
{
    const size_t len = strlen(text);
    char *to = leat__batch_alloc(batch, len, 1);
    assert_non_null(to);
    memcpy(to, text, len);
    return (struct leat_sv){ to, len };
}

struct op_event *op_event_add(
    struct leat_batch *batch, int64_t id, const char *key, int64_t ts, int64_t value, const char *text)
{
    assert_true(batch->count < batch->capacity);
    batch->event_us[batch->count] = ts;
    batch->key_hash[batch->count] = 0;
    struct op_event *event = leat__batch_push(batch);
    event->id = id;
    event->has_key = key != NULL;
    event->key = key ? copy(batch, key) : (struct leat_sv){ NULL, 0 };
    event->ts = ts;
    event->value = value;
    event->text = copy(batch, text);
    return event;
}
