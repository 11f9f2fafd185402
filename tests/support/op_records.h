/* tests/support/op_records.h -- small records with static types, for tests of operators. */
#ifndef LEAT_TESTS_SUPPORT_OP_RECORDS_H
#define LEAT_TESTS_SUPPORT_OP_RECORDS_H
#include "record/batch.h"

struct op_event {
    int64_t id;
    bool has_key;
    struct leat_sv key;
    int64_t ts;
    int64_t value;
    struct leat_sv text;
};
struct op_pair {
    int64_t left, right;
    struct leat_sv text;
};
/* So large that a batch of it has 64 rows. */
struct op_wide {
    int64_t id;
    struct leat_sv label;
    uint8_t pad[4072];
};
extern const struct leat_type op_event_type, op_pair_type, op_wide_type;

/* Appends an event at `ts` with copies of the texts; `key` NULL is null. */
struct op_event *op_event_add(
    struct leat_batch *batch, int64_t id, const char *key, int64_t ts, int64_t value, const char *text);
#endif
