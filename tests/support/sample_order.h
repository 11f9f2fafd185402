/* tests/support/sample_order.h -- a record with a field of every kind, and two rows of it: what the tests of
 * expressions and the examples of docs/guide/expressions.md are about. */
#ifndef LEAT_TESTS_SUPPORT_SAMPLE_ORDER_H
#define LEAT_TESTS_SUPPORT_SAMPLE_ORDER_H
#include "record/batch.h"

struct sample_address {
    struct leat_sv street;
    bool has_zip;
    struct leat_sv zip;
    bool has_floor;
    int32_t floor;
};

struct sample_order {
    int64_t order_id;
    struct leat_sv customer;
    int32_t status; /* PENDING, PAID, SHIPPED */
    int32_t quantity;
    double total;
    float weight;
    bool has_discount;
    double discount;
    bool has_note;
    struct leat_sv note;
    bool paid;
    bool has_gift;
    bool gift;
    int64_t created; /* timestamp-millis */
    bool has_shipped;
    int64_t shipped; /* timestamp-micros */
    int64_t seen; /* timestamp-nanos */
    int64_t opened; /* local-timestamp-micros */
    int32_t due; /* date */
    int32_t clock; /* time-millis */
    bool has_address;
    struct sample_address address;
    struct leat_sv amount; /* decimal 10.2 */
    uint8_t code[4];
    bool has_stock;
    int64_t stock;
    bool has_previous;
    int32_t previous; /* as status */
    struct leat_array tags;
    struct leat_map labels;
    struct {
        int32_t tag;
        union {
            int64_t number;
            struct leat_sv text;
        } as;
    } either;
};

extern const struct leat_type sample_order_type;

/* Row 0 has all values, row 1 has null wherever it can. Views show static text. */
#define SAMPLE_ORDERS 2u
extern const struct sample_order sample_orders[SAMPLE_ORDERS];

/* A batch of the rows over and over; freed with leat__batch_release. */
struct leat_batch *sample_batch(struct leat_pool *pool, uint32_t count);
#endif
