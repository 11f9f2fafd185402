/* tests/integration/jobs/guide_joining.c -- the program of docs/guide/joining.md: orders with their payments, with the
 * exchange rate of their time, and both of a customer by the hour. What it prints is in the guide
 * (tests/integration/test-guide). */
#include "converted_order.h"
#include "customer_hour.h"
#include "exchange_rate.h"
#include "met_order.h"
#include "settled_order.h"
#include "web_order.h"
#include "web_payment.h"
#include <leat/cogroup.h>
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

static void settle(leat_stream *orders, leat_stream *payments)
{
    leat_stream *settled = leat_join(orders, payments, "settled",
        &(struct leat_join_opts){
            .left_key = "id",
            .right_key = "of_order",
            .after_us = LEAT_MINUTES(30),
            .kind = LEAT_JOIN_LEFT,
            .out = &settled_order_type,
            .fields = { { "right.amount", "paid" } },
        });
    leat_file_sink(settled, "settled-orders", &(struct leat_file_sink_opts){ .path = "settled.jsonl" });
    leat_file_sink(
        leat_late_right(settled), "too-late", &(struct leat_file_sink_opts){ .path = "too-late.jsonl" });
}

static void convert(leat_stream *orders, leat_stream *rates)
{
    leat_stream *converted = leat_asof_join(orders, rates, "converted",
        &(struct leat_asof_join_opts){
            .left_key = "currency",
            .tolerance_us = LEAT_MINUTES(10),
            .kind = LEAT_JOIN_LEFT,
            .out = &converted_order_type,
            .fields = { { "left.amount * right.cents", "cents" } },
        });
    leat_file_sink(converted, "in-cents", &(struct leat_file_sink_opts){ .path = "in-cents.jsonl" });
}

static void meet(leat_stream *orders, leat_stream *payments)
{
    leat_stream *met = leat_window_join(orders, payments, "met",
        &(struct leat_window_join_opts){
            .left_key = "customer",
            .window = { .kind = LEAT_WINDOW_SESSION, .gap_us = LEAT_MINUTES(20) },
            .where = "left.id <> right.of_order",
            .kind = LEAT_JOIN_RIGHT,
            .out = &met_order_type,
            .fields = { { "right.customer", "customer" }, { "right.of_order", "payment_of" } },
        });
    leat_file_sink(met, "others", &(struct leat_file_sink_opts){ .path = "others.jsonl" });
}

static void add_up(leat_topology *t, leat_stream *orders, leat_stream *payments)
{
    leat_keyed_stream *customers = leat_cogroup(t, "customers",
        &(struct leat_cogroup_opts){
            .inputs = { { orders, "ordered", "customer" }, { payments, "paid", "customer" } } });
    leat_stream *hours = leat_aggregate(
        leat_window(customers, "by-hour",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_HOURS(1) }),
        "hours",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT_OF("ordered.id", "orders"), LEAT_SUM("paid.amount", "paid") },
            .out = &customer_hour_type,
        });
    leat_file_sink(hours, "customer-hours", &(struct leat_file_sink_opts){ .path = "hours.jsonl" });
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("web-shop");
    leat_stream *orders = leat_file_source(t, "orders",
        &(struct leat_file_source_opts){
            .path = "orders.jsonl", .type = &web_order_type, .event_time = "at" });
    leat_stream *payments = leat_file_source(t, "payments",
        &(struct leat_file_source_opts){
            .path = "payments.jsonl", .type = &web_payment_type, .event_time = "at" });
    leat_stream *rates = leat_file_source(t, "rates",
        &(struct leat_file_source_opts){
            .path = "rates.jsonl", .type = &exchange_rate_type, .event_time = "at" });
    settle(orders, payments);
    convert(orders, rates);
    meet(orders, payments);
    add_up(t, orders, payments);
    return t;
}

static void tell(leat_test *test)
{
    static const char *const sinks[] = { "settled-orders", "too-late", "in-cents", "others",
        "customer-hours" };
    const char *line;
    for (size_t i = 0; i < sizeof sinks / sizeof *sinks; i++)
        while ((line = leat_test_read_json(test, sinks[i])) != NULL)
            printf("%-15s %s\n", sinks[i], line);
}

static void order(leat_test *test, int64_t minute, int64_t id, const char *customer, const char *currency)
{
    leat_test_pipe(test, "orders",
        &(struct web_order){ .id = id,
            .customer = leat_sv_of(customer),
            .currency = leat_sv_of(currency),
            .amount = 10 * id,
            .at = NOON + minute * 60000 });
}

static void pay(leat_test *test, int64_t minute, int64_t id, const char *customer)
{
    leat_test_pipe(test, "payments",
        &(struct web_payment){ .of_order = id,
            .customer = leat_sv_of(customer),
            .amount = 10 * id,
            .at = NOON + minute * 60000 });
}

static void rate(leat_test *test, int64_t minute, const char *currency, int64_t cents)
{
    leat_test_pipe(test, "rates",
        &(struct exchange_rate){
            .currency = leat_sv_of(currency), .cents = cents, .at = NOON + minute * 60000 });
}

int main(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    order(test, 0, 1, "ann", "USD");
    order(test, 5, 2, "ann", "SEK");
    order(test, 50, 3, "bob", "USD");
    rate(test, -5, "USD", 92);
    rate(test, 2, "USD", 93);
    rate(test, 70, "USD", 94);
    pay(test, 15, 2, "ann");
    pay(test, 31, 1, "ann"); /* a minute late: for an order it is as if it never came */
    pay(test, 80, 3, "bob");
    pay(test, 60, 3, "bob"); /* behind the watermark */
    tell(test);
    printf("the input ends\n");
    leat_test_end(test, NULL);
    tell(test);
    const int code = leat_test_error(test)->code;
    if (code < 0)
        printf("%s\n", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
    return code < 0;
}
