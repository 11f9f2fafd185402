/* examples/orders/make_input.c -- writes orders.avro and inventory.avro: the same files for the same seed and
 * count.
 *
 * Orders come at 100 a second of event time, out of order by up to 10 s; 1 in 250 is delayed by up to two
 * minutes (some of these are accepted late, others are too late), 1 in 100 is a duplicate of an earlier one.
 * Customers and products are skewed: a few take most orders. Each product's stock is counted about every ten
 * minutes.
 *
 * Usage: make_input [--count ORDERS] [--seed N] [--dir DIR] [--orders WHERE] [--inventory WHERE]
 *
 * Where: instead of the file, another place by URL (leat/url.h), such as a topic of Kafka. */
#include "inventory.h"
#include "order.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>

#define START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define ORDER_EVERY_MS 10
#define PRODUCTS 2000u
#define CUSTOMERS 50000u
#define RECOUNT_MS 600000

/* A number below n, small ones far more often: the product of three uniform draws. */
static uint64_t skewed(uint64_t seed, uint64_t index, uint64_t draw, uint64_t n)
{
    uint64_t product = n << 20;
    for (uint64_t i = 0; i < 3; i++)
        product = (product >> 10) * leat_random_below(seed, index, draw + i, 1u << 20) >> 10;
    return product >> 20;
}

static void make_order(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct order *o)
{
    static const int32_t statuses[] = { ORDER_STATUS_PENDING, ORDER_STATUS_PENDING, ORDER_STATUS_PENDING,
        ORDER_STATUS_PAID, ORDER_STATUS_SHIPPED, ORDER_STATUS_CANCELLED };
    uint64_t id = index;
    if (index >= 100 && leat_random_below(seed, index, 0, 100) == 0)
        id = index - 1 - leat_random_below(seed, index, 1, 100); /* the same order once more */
    o->order_id = (int64_t)id;
    o->customer_id = leat_printf(ctx, "customer-%05llu", (unsigned long long)skewed(seed, id, 30, CUSTOMERS));
    o->product_id = (int64_t)skewed(seed, id, 40, PRODUCTS);
    o->status = statuses[leat_random_below(seed, id, 6, 6)];
    o->quantity = (int32_t)leat_random_below(seed, id, 7, 9) + 1;
    o->total = o->quantity * (int64_t)(100 + leat_random_below(seed, id, 8, 9900));
    int64_t delay_ms = (int64_t)leat_random_below(seed, id, 9, 10000);
    if (leat_random_below(seed, id, 10, 250) == 0)
        delay_ms += (int64_t)leat_random_below(seed, id, 11, 110000);
    o->ordered_at = START_MS + (int64_t)id * ORDER_EVERY_MS - delay_ms;
}
LEAT_DEFINE_GENERATOR(make_order, order);

static void make_inventory(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct inventory *i)
{
    const uint64_t round = index / PRODUCTS, place = index % PRODUCTS;
    i->product_id = (int64_t)((place * 7919) % PRODUCTS);
    i->warehouse = leat_printf(ctx, "W%02llu", (unsigned long long)leat_random_below(seed, index, 20, 12));
    i->stock = (int32_t)leat_random_below(seed, index, 21, 500);
    i->updated_at = START_MS + (int64_t)(round * RECOUNT_MS + place * RECOUNT_MS / PRODUCTS) -
        (int64_t)leat_random_below(seed, index, 22, 8000);
}
LEAT_DEFINE_GENERATOR(make_inventory, inventory);

static uint64_t number(const char *option, const char *text)
{
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end) {
        (void)fprintf(stderr, "make_input: %s takes a whole number, not \"%s\"\n", option, text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint64_t count = 1000000, seed = 42;
    const char *dir = ".";
    const char *orders_url = NULL, *inventory_url = NULL;
    char orders_path[4096], inventory_path[4096];
    struct leat_error err = { 0 };
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--count") == 0) {
            count = number(argv[i], argv[i + 1]);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = number(argv[i], argv[i + 1]);
        } else if (i + 1 < argc && strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        } else if (i + 1 < argc && strcmp(argv[i], "--orders") == 0) {
            orders_url = argv[i + 1];
        } else if (i + 1 < argc && strcmp(argv[i], "--inventory") == 0) {
            inventory_url = argv[i + 1];
        } else {
            (void)fprintf(stderr,
                "Usage: %s [--count ORDERS] [--seed N] [--dir DIR] [--orders WHERE] [--inventory WHERE]\n",
                argv[0]);
            return 2;
        }
    }
    (void)snprintf(orders_path, sizeof orders_path, "%s/orders.avro", dir);
    (void)snprintf(inventory_path, sizeof inventory_path, "%s/inventory.avro", dir);
    orders_url = orders_url ? orders_url : orders_path;
    inventory_url = inventory_url ? inventory_url : inventory_path;
    const uint64_t rounds = count * ORDER_EVERY_MS / RECOUNT_MS + 1;

    leat_topology *t = leat_topology_new("make-orders");
    leat_stream *orders = leat_generator_source(t, "orders",
        &(struct leat_generator_source_opts){ .fn = &make_order_generator, .seed = seed, .count = count });
    leat_stream *inventory = leat_generator_source(t, "inventory",
        &(struct leat_generator_source_opts){
            .fn = &make_inventory_generator, .seed = seed, .count = rounds * PRODUCTS });
    leat_url_sink(orders, "orders-out", orders_url, &(struct leat_url_sink_opts){ .overwrite = true });
    leat_url_sink(
        inventory, "inventory-out", inventory_url, &(struct leat_url_sink_opts){ .overwrite = true });
    const int result = leat_run(t, NULL, &err);
    if (result < 0)
        (void)fprintf(stderr, "make_input: %s\n", err.message);
    else
        printf("%llu orders in %s, %llu stock counts in %s (seed %llu)\n", (unsigned long long)count,
            orders_url, (unsigned long long)(rounds * PRODUCTS), inventory_url, (unsigned long long)seed);
    leat_topology_free(t);
    return result < 0 ? leat_error_exit_code(result) : 0;
}
