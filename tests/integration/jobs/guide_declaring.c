/* tests/integration/jobs/guide_declaring.c -- the pieces of docs/guide/declaring.md and of README.md's first
 * page, as functions that compile and topologies that have no errors.
 *
 *   guide_declaring NAME [leat's options]      pending, overview, filters, keys or letters */
#include "enriched_order.h"
#include "inventory.h"
#include "order.h"
#include "processed_order.h"
#include <leat/leat.h>
#include <stdio.h>

static bool is_pending(struct leat_ctx *ctx, const struct order *o)
{
    (void)ctx;
    return o->status == ORDER_STATUS_PENDING;
}
LEAT_DEFINE_FILTER(is_pending, order);

static bool is_large(struct leat_ctx *ctx, const struct order *o)
{
    (void)ctx;
    return o->total >= 1000;
}
LEAT_DEFINE_FILTER(is_large, order); /* defines is_large_filter */

static void price(struct leat_ctx *ctx, const struct order *in, struct order *out)
{
    *out = *in;
    out->total = in->quantity * INT64_C(250);
    if (in->quantity <= 0)
        leat_fail(ctx, "no price for %lld", (long long)in->order_id);
}
LEAT_DEFINE_MAP(price, order, order);

static void check(struct leat_ctx *ctx, const struct order *in, struct order *out)
{
    *out = *in;
    if (in->customer_id.len == 0)
        leat_fail(ctx, "no customer");
}
LEAT_DEFINE_MAP(check, order, order);

static void add_stock(
    struct leat_ctx *ctx, const struct order *o, const struct inventory *i, struct enriched_order *out)
{
    (void)ctx;
    out->customer_id = o->customer_id;
    out->total = o->total;
    out->warehouse = i->warehouse;
}
LEAT_DEFINE_JOIN(add_stock, order, inventory, enriched_order);

static int run_pending(int argc, char **argv)
{
    leat_topology *t = leat_topology_new("order-processing");
    leat_stream *orders = leat_file_source(t, "orders",
        &(struct leat_file_source_opts){
            .path = "orders.avro",
            .type = &order_type,
            .event_time = "ordered_at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
        });
    leat_stream *pending = leat_filter(orders, "pending", &is_pending_filter);
    leat_file_sink(pending, "out", &(struct leat_file_sink_opts){ .path = "pending" });
    return leat_main(argc, argv, t, NULL); /* checks, runs, frees */
}

static leat_stream *declare_orders(leat_topology *t)
{
    return leat_file_source(t, "orders",
        &(struct leat_file_source_opts){
            .path = "orders.avro", .type = &order_type, .event_time = "ordered_at" });
}

static void declare_overview(leat_topology *t)
{
    leat_stream *orders = declare_orders(t);
    leat_stream *inventory = leat_file_source(t, "inventory",
        &(struct leat_file_source_opts){
            .path = "inventory.avro", .type = &inventory_type, .event_time = "updated_at" });
    leat_stream *pending = leat_filter(orders, "pending", &is_pending_filter);
    leat_stream *with_stock = leat_join(pending, inventory, "with-stock",
        &(struct leat_join_opts){
            .left_key = "product_id", .within_us = LEAT_MINUTES(5), .merge = &add_stock_join });
    leat_keyed_stream *by_customer = leat_group_by(with_stock, "by-customer", "customer_id");
    leat_windowed_stream *windows = leat_window(by_customer, "five-minutes",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_MINUTES(5),
            .allowed_lateness_us = LEAT_MINUTES(1) });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("order_count"), LEAT_SUM("total", "total_value") },
            .out = &processed_order_type });
    leat_file_sink(totals, "processed-orders", &(struct leat_file_sink_opts){ .path = "processed-orders" });
}

static void declare_filters(leat_topology *t)
{
    leat_stream *orders = declare_orders(t);
    /* a C function, inlined into the loop over the batch; or text, compiled when it is declared */
    leat_stream *large = leat_filter(orders, "large", &is_large_filter);
    leat_stream *large_too = leat_filter_expr(orders, "large-too", "total >= 1000 and quantity < 5");
    leat_stream *both[] = { large, large_too };
    leat_memory_sink(leat_union(both, 2, "both"), "out", &(struct leat_memory_sink_opts){ 0 });
}

static void sum_up(leat_keyed_stream *orders, const char *windows, const char *name)
{
    leat_stream *sums = leat_aggregate(
        leat_window(orders, windows,
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = LEAT_MINUTES(5) }),
        name,
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("order_count"), LEAT_SUM("total", "total_value") },
            .out = &processed_order_type });
    char sink[64];
    (void)snprintf(sink, sizeof sink, "%s-out", name);
    leat_memory_sink(sums, sink, &(struct leat_memory_sink_opts){ 0 });
}

static void declare_keys(leat_topology *t)
{
    leat_stream *orders = declare_orders(t);
    leat_keyed_stream *by_product = leat_group_by(orders, "by-product", "customer_id, product_id");
    leat_keyed_stream *by_bucket =
        leat_group_by(orders, "by-bucket", "lower(customer_id) as customer_id, total / 1000");
    sum_up(by_product, "product-minutes", "of-products");
    sum_up(by_bucket, "bucket-minutes", "of-buckets");
}

static void declare_letters(leat_topology *t)
{
    leat_stream *orders = declare_orders(t);
    leat_stream *priced = leat_on_error(leat_map(orders, "price", &price_map), LEAT_SKIP);

    leat_stream *checked = leat_map(orders, "check", &check_map);
    leat_file_sink(
        leat_dead_letters(checked), "refused", &(struct leat_file_sink_opts){ .path = "refused.jsonl" });

    leat_memory_sink(priced, "priced", &(struct leat_memory_sink_opts){ 0 });
    leat_memory_sink(checked, "checked", &(struct leat_memory_sink_opts){ 0 });
}

static void print_errors(leat_topology *t)
{
    if (leat_check(t) < 0)
        for (size_t i = 0; i < leat_topology_errors_count(t); i++)
            fprintf(stderr, "%s\n", leat_topology_error(t, i)->message);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (argc > 1)
        argv[1] = argv[0];
    if (strcmp(name, "pending") == 0)
        return run_pending(argc - 1, argv + 1);
    leat_topology *t = leat_topology_new("order-processing");
    if (strcmp(name, "overview") == 0)
        declare_overview(t);
    else if (strcmp(name, "filters") == 0)
        declare_filters(t);
    else if (strcmp(name, "keys") == 0)
        declare_keys(t);
    else
        declare_letters(t);
    print_errors(t);
    return leat_main(argc - 1, argv + 1, t, NULL);
}
