/* tests/integration/jobs/guide_aggregates.c -- the program of docs/guide/aggregates.md: what customers have paid in an
 * hour, in many ways at once. What it prints is in the guide (tests/integration/test-guide). */
#include "payment.h"
#include "spending.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("bank");
    leat_stream *payments = leat_file_source(t, "payments",
        &(struct leat_file_source_opts){
            .path = "payments.jsonl", .type = &payment_type, .event_time = "paid_at" });
    leat_windowed_stream *hours = leat_window(leat_group_by(payments, "by-customer", "customer"), "hours",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_HOURS(1) });
    static const double sizes[] = { 0, 1000, 10000 };
    leat_stream *spending = leat_aggregate(hours, "spending",
        &(struct leat_aggregate_opts){
            .aggs = {
                LEAT_COUNT_WHERE("cents > 0", "payments"),
                LEAT_SUM_WHERE("-cents", "cents < 0", "given_back"),
                LEAT_FIRST("note", "first_note"),
                LEAT_COUNT_DISTINCT("note", "notes"),
                { .kind = LEAT_AGGREGATE_STDDEV_SAMP, .of = "cents", .as = "deviation" },
                { .kind = LEAT_AGGREGATE_MAX_BY, .of = "note", .by = "cents", .as = "dearest_note" },
                { .kind = LEAT_AGGREGATE_APPROX_QUANTILE, .of = "cents", .q = 0.9, .as = "p90" },
                { .kind = LEAT_AGGREGATE_TOP_N, .of = "cents", .n = 2, .as = "dearest" },
                { .kind = LEAT_AGGREGATE_STRING_JOIN, .of = "note", .separator = "; ", .as = "all_notes" },
                { .kind = LEAT_AGGREGATE_HISTOGRAM, .of = "cents", .bounds = sizes, .bounds_count = 3, .as = "sizes" },
            },
            .out = &spending_type,
        });
    leat_file_sink(spending, "out", &(struct leat_file_sink_opts){ .path = "spending.jsonl" });
    return t;
}

int main(void)
{
    static const struct {
        const char *note; /* NULL: none */
        int64_t cents;
    } payments[] = { { "bread", 320 }, { "a bicycle", 64900 }, { NULL, 1250 }, { "bread", 320 },
        { "bread was stale", -320 } };
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    for (size_t i = 0; i < sizeof payments / sizeof payments[0]; i++) {
        const struct payment p = { .id = (int64_t)i,
            .customer = LEAT_SV("ada"),
            .cents = payments[i].cents,
            .paid_at = NOON + (int64_t)i * 1000,
            .has_note = payments[i].note != NULL,
            .note = leat_sv_of(payments[i].note ? payments[i].note : "") };
        leat_test_pipe(test, "payments", &p);
    }
    leat_test_end(test, "payments");
    const struct spending *s;
    char text[1000];
    while ((s = leat_test_read(test, "out")) != NULL) {
        (void)leat_record_print(s, &spending_type, text, sizeof text);
        printf("%s\n", text);
    }
    const int code = leat_test_error(test)->code;
    if (code < 0)
        printf("%s\n", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
    return code < 0;
}
