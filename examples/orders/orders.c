/* examples/orders/orders.c -- what did each customer order in each five minutes?
 *
 *   orders ----> pending ----\
 *                             with-stock ----> by-customer ----> five-minutes ----> totals ---->
 * processed-orders inventory ---------------/
 *
 * Usage: orders [--orders WHERE] [--inventory WHERE] [--output WHERE] [--rate N] [leat's options: --help shows them]
 *
 * Where: files, or topics of Kafka by URL (leat/url.h): kafka://localhost:9092/orders?bounded=true
 *
 * --rate: at most N orders a second, so that there is time to watch the job, or to pull the plug. */
#include "enriched_order.h"
#include "inventory.h"
#include "order.h"
#include "processed_order.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REST_MS 10

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

/* A callback should not block its worker; this one does so on purpose, for a short while. */
static long orders_between_rests;
static void rest(struct leat_ctx *ctx, const struct order *o)
{
    static _Thread_local long orders;
    (void)ctx;
    (void)o;
    if (++orders < orders_between_rests)
        return;
    orders = 0;
    (void)nanosleep(&(struct timespec){ .tv_nsec = REST_MS * 1000000L }, NULL);
}
LEAT_DEFINE_PEEK(rest, order);

static void declare(
    leat_topology *t, const char *orders_url, const char *inventory_url, const char *output_url)
{
    leat_stream *orders = leat_url_source(t, "orders", orders_url,
        &(struct leat_url_source_opts){
            .type = &order_type,
            .event_time = "ordered_at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
        });
    leat_stream *inventory = leat_url_source(t, "inventory", inventory_url,
        &(struct leat_url_source_opts){
            .type = &inventory_type,
            .event_time = "updated_at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
        });
    if (orders_between_rests > 0)
        orders = leat_peek(orders, "rest", &rest_peek);
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
    leat_url_sink(totals, "processed-orders", output_url, &(struct leat_url_sink_opts){ .overwrite = true });
}

int main(int argc, char **argv)
{
    const char *values[] = { "orders.avro", "inventory.avro", "processed-orders", "0" };
    static const char *const names[] = { "--orders", "--inventory", "--output", "--rate" };
    int kept = 1;
    for (int i = 1; i < argc; i++) { /* takes this program's options out; the rest is leat_main's */
        int which = 4;
        for (int n = 0; n < 4; n++)
            if (strcmp(argv[i], names[n]) == 0 && i + 1 < argc)
                which = n;
        if (which < 4)
            values[which] = argv[++i];
        else
            argv[kept++] = argv[i];
    }
    char *end;
    orders_between_rests = strtol(values[3], &end, 10) * REST_MS / 1000;
    if (*end || orders_between_rests < 0) {
        (void)fprintf(stderr, "orders: --rate takes a number of orders a second, not \"%s\"\n", values[3]);
        return 2;
    }
    leat_topology *t = leat_topology_new("order-processing");
    declare(t, values[0], values[1], values[2]);
    return leat_main(kept, argv, t, NULL);
}
