/* tests/integration/jobs/mistakes.c -- a topology with a mistake in most of its nodes: all are told at once.
 */
#include "payment.h"
#include <leat/leat.h>

int main(int argc, char **argv)
{
    leat_topology *t = leat_topology_new("mistakes");
    leat_stream *payments = leat_file_source(t, "payments",
        &(struct leat_file_source_opts){
            .path = "payments.avro", .type = &payment_type, .event_time = "payed_at" });
    leat_stream *others = leat_file_source(
        t, "others", &(struct leat_file_source_opts){ .path = "payments.avro", .type = &payment_type });
    leat_stream *large = leat_filter_expr(others, "large", "cent >= 1000");
    leat_windowed_stream *windows = leat_window(leat_group_by(others, "by-customer", "costumer"), "minutes",
        &(struct leat_window_opts){ .size_us = LEAT_MINUTES(1) });
    leat_file_sink(large, "large-ones", &(struct leat_file_sink_opts){ .path = "large" });
    leat_file_sink(payments, "copies", &(struct leat_file_sink_opts){ .path = "copies", .codec = "snapy" });
    (void)windows;
    return leat_main(argc, argv, t, NULL);
}
