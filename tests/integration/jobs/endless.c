/* tests/integration/jobs/endless.c -- a job without an end, for signals: makes payments, writes them to part
 * files.
 *
 *   endless OUT [--slow] [leat's options]      --slow: a millisecond of work for each payment */
#include "payment.h"
#include <leat/leat.h>
#include <time.h>

static void make_payment(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct payment *out)
{
    out->id = (int64_t)index;
    out->customer =
        leat_printf(ctx, "customer-%llu", (unsigned long long)leat_random_below(seed, index, 0, 100));
    out->cents = (int64_t)leat_random_below(seed, index, 1, 10000);
    out->paid_at = (int64_t)index;
}
LEAT_DEFINE_GENERATOR(make_payment, payment);

static void work(struct leat_ctx *ctx, const struct payment *payment)
{
    (void)ctx;
    (void)payment;
    (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}
LEAT_DEFINE_PEEK(work, payment);

int main(int argc, char **argv)
{
    const char *out = argc > 1 ? argv[1] : "out";
    const bool slow = argc > 2 && strcmp(argv[2], "--slow") == 0;
    const int taken = 1 + slow;
    leat_topology *t = leat_topology_new("endless");
    leat_stream *payments = leat_generator_source(t, "payments",
        &(struct leat_generator_source_opts){ .fn = &make_payment_generator, .rate_per_s = 50000 });
    if (slow)
        payments = leat_peek(payments, "work", &work_peek);
    leat_file_sink(payments, "parts", &(struct leat_file_sink_opts){ .path = out, .part_bytes_max = 100000 });
    if (argc <= taken)
        return leat_main(argc > 0, argv, t, NULL);
    argv[taken] = argv[0];
    return leat_main(argc - taken, argv + taken, t, NULL);
}
