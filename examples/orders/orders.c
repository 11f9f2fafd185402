/* examples/orders/orders.c -- what did each customer order in each five minutes?
 *
 *   orders ----> pending ----\
 *                             with-stock ----> by-customer ----> five-minutes ----> totals ---->
 * processed-orders inventory ---------------/
 *
 * Usage: orders [--orders FILES] [--inventory FILES] [--output DIR] [leat's options: --help shows them] */
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

static void add_stock(
    struct leat_ctx *ctx, const struct order *o, const struct inventory *i, struct enriched_order *out)
{
    (void)ctx;
    out->customer_id = o->customer_id; /* a view: the engine copies what it shows */
    out->total = o->total;
    out->warehouse = i->warehouse;
}
LEAT_DEFINE_JOIN(add_stock, order, inventory, enriched_order);

static void declare(
    leat_topology *t, const char *orders_path, const char *inventory_path, const char *output_path)
{
    leat_stream *orders = leat_file_source(t, "orders",
        &(struct leat_file_source_opts){
            .path = orders_path,
            .type = &order_type,
            .event_time = "ordered_at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
        });
    leat_stream *inventory = leat_file_source(t, "inventory",
        &(struct leat_file_source_opts){
            .path = inventory_path,
            .type = &inventory_type,
            .event_time = "updated_at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
        });
    leat_stream *pending = leat_filter(orders, "pending", &is_pending_filter);
    leat_stream *with_stock = leat_join(pending, inventory, "with-stock",
        &(struct leat_join_opts){
            .left_key = "product_id",
            .within_us = LEAT_MINUTES(5),
            .allowed_lateness_us = LEAT_MINUTES(1),
            .merge = &add_stock_join,
        });
    leat_keyed_stream *by_customer = leat_group_by(with_stock, "by-customer", "customer_id");
    leat_windowed_stream *five_minutes = leat_window(by_customer, "five-minutes",
        &(struct leat_window_opts){
            .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_MINUTES(5),
            .allowed_lateness_us = LEAT_MINUTES(1),
            .triggers = { LEAT_ON_WATERMARK },
        });
    leat_stream *totals = leat_aggregate(five_minutes, "totals",
        &(struct leat_aggregate_opts){
            .aggs = { LEAT_COUNT("order_count"), LEAT_SUM("total", "total_value") },
            .out = &processed_order_type,
        });
    leat_file_sink(
        totals, "processed-orders", &(struct leat_file_sink_opts){ .path = output_path, .overwrite = true });
}

int main(int argc, char **argv)
{
    const char *paths[] = { "orders.avro", "inventory.avro", "processed-orders" };
    static const char *const names[] = { "--orders", "--inventory", "--output" };
    int kept = 1;
    for (int i = 1; i < argc; i++) { /* takes this program's options out; the rest is leat_main's */
        int which = 3;
        for (int n = 0; n < 3; n++)
            if (strcmp(argv[i], names[n]) == 0 && i + 1 < argc)
                which = n;
        if (which < 3)
            paths[which] = argv[++i];
        else
            argv[kept++] = argv[i];
    }
    leat_topology *t = leat_topology_new("order-processing");
    declare(t, paths[0], paths[1], paths[2]);
    return leat_main(kept, argv, t, NULL);
}
