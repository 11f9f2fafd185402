/* tests/integration/jobs/guide_updating.c -- the program of docs/guide/updating.md: what leads on each shelf of a
 * shop. What it prints is in the guide (tests/integration/test-guide). */
#include "leader.h"
#include "product_total.h"
#include "sale.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("shop");
    leat_stream *sales = leat_file_source(t, "sales",
        &(struct leat_file_source_opts){
            .path = "sales.jsonl",
            .type = &sale_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(5),
        });
    leat_stream *once = leat_deduplicate(leat_group_by(sales, "by-receipt", "receipt"), "once",
        &(struct leat_deduplicate_opts){ .within_us = LEAT_HOURS(1) });
    leat_stream *totals = leat_group_aggregate(leat_group_by(once, "by-product", "shelf, product"), "totals",
        &(struct leat_group_aggregate_opts){
            .aggs = { LEAT_COUNT("sales"), LEAT_SUM("amount", "amount") },
            .out = &product_total_type,
        });
    leat_stream *leaders = leat_top_n(leat_group_by(totals, "by-shelf", "shelf"), "leaders",
        &(struct leat_top_n_opts){
            .n = 2,
            .by = "amount",
            .descending = true,
            .rank = "place",
            .out = &leader_type,
        });
    leat_file_sink(
        leaders, "board", &(struct leat_file_sink_opts){ .path = "board.jsonl", .op_field = "op" });
    leat_stream *newest =
        leat_changelog(totals, "newest", &(struct leat_changelog_opts){ .only_after = true });
    leat_file_sink(newest, "totals-so-far", &(struct leat_file_sink_opts){ .path = "totals.avro" });
    return t;
}

static void tell(leat_test *test)
{
    static const char *const words[] = { "insert", "update_before", "update_after", "delete" };
    const char *line;
    while ((line = leat_test_read_json(test, "board")) != NULL)
        printf("%-13s %s\n", words[leat_test_change(test, "board")], line);
}

static void sell(leat_test *test, int64_t receipt, const char *shelf, const char *product, int64_t amount)
{
    leat_test_pipe(test, "sales",
        &(struct sale){ .receipt = receipt,
            .shelf = leat_sv_of(shelf),
            .product = leat_sv_of(product),
            .amount = amount,
            .at = NOON + receipt * 1000 });
    tell(test);
}

int main(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    sell(test, 1, "tools", "axe", 30);
    sell(test, 2, "tools", "saw", 40);
    sell(test, 2, "tools", "saw", 40); /* told twice */
    sell(test, 3, "tools", "axe", 30);
    sell(test, 4, "tools", "rope", 5);
    leat_test_end(test, "sales");
    tell(test);
    const int code = leat_test_error(test)->code;
    if (code < 0)
        printf("%s\n", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
    return code < 0;
}
