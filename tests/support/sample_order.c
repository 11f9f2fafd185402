/* tests/support/sample_order.c -- the sample record, its type by hand. */
#include "tests/support/sample_order.h"
#include "base/assert.h"

#define WORD(kind_, logical_, word_, type_) \
    { \
        .kind = kind_, .logical = logical_, .name = word_, .size = sizeof(type_), .align = _Alignof(type_) \
    }

static const struct leat_type type_bool = WORD(LEAT_KIND_BOOLEAN, LEAT_LOGICAL_NONE, "boolean", bool);
static const struct leat_type type_int = WORD(LEAT_KIND_INT, LEAT_LOGICAL_NONE, "int", int32_t);
static const struct leat_type type_long = WORD(LEAT_KIND_LONG, LEAT_LOGICAL_NONE, "long", int64_t);
static const struct leat_type type_float = WORD(LEAT_KIND_FLOAT, LEAT_LOGICAL_NONE, "float", float);
static const struct leat_type type_double = WORD(LEAT_KIND_DOUBLE, LEAT_LOGICAL_NONE, "double", double);
static const struct leat_type type_string =
    WORD(LEAT_KIND_STRING, LEAT_LOGICAL_NONE, "string", struct leat_sv);
static const struct leat_type type_millis =
    WORD(LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MILLIS, "long", int64_t);
static const struct leat_type type_micros =
    WORD(LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_MICROS, "long", int64_t);
static const struct leat_type type_nanos =
    WORD(LEAT_KIND_LONG, LEAT_LOGICAL_TIMESTAMP_NANOS, "long", int64_t);
static const struct leat_type type_local =
    WORD(LEAT_KIND_LONG, LEAT_LOGICAL_LOCAL_TIMESTAMP_MICROS, "long", int64_t);
static const struct leat_type type_date = WORD(LEAT_KIND_INT, LEAT_LOGICAL_DATE, "int", int32_t);
static const struct leat_type type_clock = WORD(LEAT_KIND_INT, LEAT_LOGICAL_TIME_MILLIS, "int", int32_t);

static const char *const symbols[] = { "PENDING", "PAID", "SHIPPED" };
static const struct leat_type type_status = {
    .kind = LEAT_KIND_ENUM,
    .name = "status",
    .size = 4,
    .align = 4,
    .symbols = symbols,
    .symbols_count = 3,
};
static const struct leat_type type_amount = {
    .kind = LEAT_KIND_BYTES,
    .logical = LEAT_LOGICAL_DECIMAL,
    .name = "bytes",
    .size = sizeof(struct leat_sv),
    .align = _Alignof(struct leat_sv),
    .precision = 10,
    .scale = 2,
};
static const struct leat_type type_code = { .kind = LEAT_KIND_FIXED, .name = "code", .size = 4, .align = 1 };
static const struct leat_type type_tags = {
    .kind = LEAT_KIND_ARRAY,
    .name = "array",
    .size = sizeof(struct leat_array),
    .align = 8,
    .item = &type_string,
    .entry_size = sizeof(struct leat_sv),
};
static const struct leat_type type_labels = {
    .kind = LEAT_KIND_MAP,
    .name = "map",
    .size = sizeof(struct leat_map),
    .align = 8,
    .item = &type_string,
    .value_offset = sizeof(struct leat_sv),
    .entry_size = 2 * sizeof(struct leat_sv),
};
static const struct leat_field branches[] = {
    { "long", &type_long, 0, LEAT_NOT_NULLABLE },
    { "string", &type_string, 0, LEAT_NOT_NULLABLE },
};
static const struct leat_type type_either = {
    .kind = LEAT_KIND_UNION,
    .name = "union",
    .size = 24,
    .align = 8,
    .fields = branches,
    .fields_count = 2,
    .value_offset = 8,
};

#define PLAIN(struct_, name_, type_) \
    { \
#name_, type_, offsetof(struct struct_, name_), LEAT_NOT_NULLABLE \
    }
#define NULLABLE(struct_, name_, type_) \
    { \
#name_, type_, offsetof(struct struct_, name_), offsetof(struct struct_, has_##name_) \
    }

static const struct leat_field address_fields[] = {
    PLAIN(sample_address, street, &type_string),
    NULLABLE(sample_address, zip, &type_string),
    NULLABLE(sample_address, floor, &type_int),
};
static const struct leat_type type_address = {
    .kind = LEAT_KIND_RECORD,
    .name = "address",
    .size = sizeof(struct sample_address),
    .align = _Alignof(struct sample_address),
    .fields = address_fields,
    .fields_count = 3,
};

static const struct leat_field order_fields[] = {
    PLAIN(sample_order, order_id, &type_long),
    PLAIN(sample_order, customer, &type_string),
    PLAIN(sample_order, status, &type_status),
    PLAIN(sample_order, quantity, &type_int),
    PLAIN(sample_order, total, &type_double),
    PLAIN(sample_order, weight, &type_float),
    NULLABLE(sample_order, discount, &type_double),
    NULLABLE(sample_order, note, &type_string),
    PLAIN(sample_order, paid, &type_bool),
    NULLABLE(sample_order, gift, &type_bool),
    PLAIN(sample_order, created, &type_millis),
    NULLABLE(sample_order, shipped, &type_micros),
    PLAIN(sample_order, seen, &type_nanos),
    PLAIN(sample_order, opened, &type_local),
    PLAIN(sample_order, due, &type_date),
    PLAIN(sample_order, clock, &type_clock),
    NULLABLE(sample_order, address, &type_address),
    PLAIN(sample_order, amount, &type_amount),
    PLAIN(sample_order, code, &type_code),
    NULLABLE(sample_order, stock, &type_long),
    NULLABLE(sample_order, previous, &type_status),
    PLAIN(sample_order, tags, &type_tags),
    PLAIN(sample_order, labels, &type_labels),
    PLAIN(sample_order, either, &type_either),
};

const struct leat_type sample_order_type = {
    .kind = LEAT_KIND_RECORD,
    .name = "order",
    .size = sizeof(struct sample_order),
    .align = _Alignof(struct sample_order),
    .fields = order_fields,
    .fields_count = sizeof order_fields / sizeof order_fields[0],
};

#define SV(text_) \
    { \
        text_, sizeof text_ - 1 \
    }

const struct sample_order sample_orders[SAMPLE_ORDERS] = {
    {
        .order_id = 1001,
        .customer = SV("Ada Lovelace"),
        .status = 0,
        .quantity = 3,
        .total = 1250.5,
        .weight = 2.5f,
        .has_discount = true,
        .discount = 0.25,
        .has_note = true,
        .note = SV("urgent: call first"),
        .paid = true,
        .has_gift = true,
        .gift = true,
        .created = INT64_C(1769862896789), /* 2026-01-31T12:34:56.789Z */
        .has_shipped = true,
        .shipped = INT64_C(1769904000000001), /* 2026-02-01T00:00:00.000001Z */
        .seen = INT64_C(1769862896789123456),
        .opened = INT64_C(1769862896000000),
        .due = 20498, /* 2026-02-14 */
        .clock = 45296789,
        .has_address = true,
        .address = { SV("12 St. James's Square"), true, SV("SW1Y 4JH"), true, 2 },
        .amount = SV("\x04\xd2"), /* 12.34 */
        .code = { 'A', 'B', '1', '2' },
        .has_stock = true,
        .stock = 40,
        .has_previous = true,
        .previous = 1,
        .either = { .tag = 0, .as.number = 7 },
    },
    {
        .order_id = -7,
        .customer = SV("Gr\xc3\xa4"
                       "fin \xe2\x82\xac"), /* with an umlaut and a euro sign */
        .status = 2,
        .quantity = 0,
        .total = -0.5,
        .weight = 0.0f,
        .discount = -1.0, /* fields that are null may hold anything */
        .note = { (const char *)16, 99 },
        .paid = false,
        .gift = true,
        .created = -1,
        .shipped = INT64_MAX,
        .seen = -1,
        .opened = 0,
        .due = -1,
        .clock = 0,
        .address = { { (const char *)16, 99 }, true, { (const char *)16, 99 }, true, 9 },
        .amount = SV("\xff"), /* -0.01 */
        .code = { 0, 0, 0, 0 },
        .stock = INT64_MIN,
        .previous = 77,
        .either = { .tag = 1, .as.text = SV("x") },
    },
};

struct leat_batch *sample_batch(struct leat_pool *pool, uint32_t count)
{
    struct leat_batch *batch;
    const int code = leat__batch_get(pool, &sample_order_type, &batch);
    LEAT_ASSERT(code == 0 && count <= batch->capacity);
    leat__batch_rows(batch, count);
    for (uint32_t i = 0; i < count; i++)
        memcpy(leat_batch_at(batch, i), &sample_orders[i % SAMPLE_ORDERS], sizeof sample_orders[0]);
    return batch;
}
