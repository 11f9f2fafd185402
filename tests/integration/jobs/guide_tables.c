/* tests/integration/jobs/guide_tables.c -- the program of docs/guide/tables.md: sales with the prices of their time, and
 * what was sold beside what it costs now. What it prints is in the guide (tests/integration/test-guide). */
#include "priced_sale.h"
#include "product_total.h"
#include "sale.h"
#include "shelf_line.h"
#include "shop_price.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("shop");
    leat_stream *sales = leat_file_source(t, "sales",
        &(struct leat_file_source_opts){ .path = "sales.jsonl", .type = &sale_type, .event_time = "at" });
    leat_stream *labels = leat_file_source(t, "labels",
        &(struct leat_file_source_opts){
            .path = "prices.jsonl", .type = &shop_price_type, .event_time = "at" });

    leat_stream *prices =
        leat_upsert(labels, "prices", &(struct leat_upsert_opts){ .key = "product", .value = "price" });

    leat_stream *priced = leat_table_join(sales, prices, "priced",
        &(struct leat_table_join_opts){
            .left_key = "product",
            .kind = LEAT_JOIN_LEFT,
            .out = &priced_sale_type,
            .fields = { { "right.price", "price" } },
        });
    leat_file_sink(priced, "receipts", &(struct leat_file_sink_opts){ .path = "receipts.jsonl" });

    leat_stream *sold = leat_group_aggregate(leat_group_by(sales, "by-product", "shelf, product"), "sold",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("sales"), LEAT_SUM("amount", "amount") },
            .out = &product_total_type,
        });
    leat_stream *shelves = leat_join_tables(sold, prices, "shelves",
        &(struct leat_join_tables_opts){
            .left_key = "product",
            .kind = LEAT_JOIN_LEFT,
            .out = &shelf_line_type,
            .fields = { { "right.price", "price" } },
        });
    leat_file_sink(
        shelves, "board", &(struct leat_file_sink_opts){ .path = "board.jsonl", .op_field = "op" });
    return t;
}

static void tell(leat_test *test)
{
    static const char *const words[] = { "insert", "update_before", "update_after", "delete" };
    const char *line;
    while ((line = leat_test_read_json(test, "receipts")) != NULL)
        printf("receipt       %s\n", line);
    while ((line = leat_test_read_json(test, "board")) != NULL)
        printf("%-13s %s\n", words[leat_test_change(test, "board")], line);
}

static void sell(leat_test *test, int64_t receipt, const char *product)
{
    leat_test_pipe(test, "sales",
        &(struct sale){ .receipt = receipt,
            .shelf = LEAT_SV("tools"),
            .product = leat_sv_of(product),
            .amount = 1,
            .at = NOON + receipt * 1000 });
    tell(test);
}

static void label(leat_test *test, int64_t second, const char *product, int64_t price)
{
    leat_test_pipe(test, "labels",
        &(struct shop_price){ .product = leat_sv_of(product),
            .has_price = price > 0,
            .price = price,
            .at = NOON + second * 1000 });
    tell(test);
}

int main(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    sell(test, 3, "axe"); /* before anybody knows what it costs then */
    label(test, 1, "axe", 30);
    label(test, 4, "axe", 35);
    sell(test, 5, "axe");
    label(test, 6, "axe", 0); /* no longer sold */
    leat_test_end(test, "labels");
    sell(test, 7, "axe");
    leat_test_end(test, "sales");
    tell(test);
    const int code = leat_test_error(test)->code;
    if (code < 0)
        printf("%s\n", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
    return code < 0;
}
