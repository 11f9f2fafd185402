/* tests/integration/jobs/relay.c -- payments from one place to another, both by URL: what the tests of URLs and of secured
 * brokers drive.
 *
 *   relay FROM TO [leat's options] */
#include "payment.h"
#include <leat/leat.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: relay FROM TO [options]\n");
        return 2;
    }
    const char *from = argv[1], *to = argv[2];
    argv[2] = argv[0];
    leat_topology *t = leat_topology_new("relay");
    leat_stream *payments =
        leat_url_source(t, "payments", from, &(struct leat_url_source_opts){ .type = &payment_type });
    leat_url_sink(payments, "copies", to, &(struct leat_url_sink_opts){ .overwrite = true });
    return leat_main(argc - 2, argv + 2, t, NULL);
}
