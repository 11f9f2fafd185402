/* tests/integration/jobs/cpp.cc -- a job in C++: every kind of callback, option structs without C's compound
 * literals.
 *
 *   cpp [leat's options]      payments from standard input, the totals of each customer and minute to
 * standard output */
#include "payment.h"
#include "total.h"
#include <leat/leat.h>

namespace
{
bool is_paid(struct leat_ctx *, const struct payment *p)
{
    return p->cents > 0;
}
LEAT_DEFINE_FILTER(is_paid, payment);

void add_fee(struct leat_ctx *, const struct payment *in, struct payment *out)
{
    *out = *in;
    out->cents += 30;
}
LEAT_DEFINE_MAP(add_fee, payment, payment);

void look(struct leat_ctx *, const struct payment *)
{
}
LEAT_DEFINE_PEEK(look, payment);

void twice(struct leat_ctx *, const struct payment *in, struct leat_out *out)
{
    for (int i = 0; i < 2; i++)
        if (auto *row = static_cast<struct payment *>(leat_out_row(out)))
            *row = *in;
}
LEAT_DEFINE_FLAT_MAP(twice, payment, payment);

void take_left(struct leat_ctx *, const struct payment *left, const struct payment *, struct payment *out)
{
    *out = *left;
}
LEAT_DEFINE_JOIN(take_left, payment, payment, payment);

struct leat_sv find_customer(struct leat_ctx *, const struct payment *p)
{
    return p->customer;
}
LEAT_DEFINE_KEY(find_customer, payment);

struct sum {
    int64_t cents, payments;
};

void add_up__add(struct leat_ctx *, const struct payment *p, struct sum *sum)
{
    sum->cents += p->cents;
    sum->payments++;
}

void add_up__merge(struct leat_ctx *, struct sum *into, const struct sum *from)
{
    into->cents += from->cents;
    into->payments += from->payments;
}

void add_up__result(struct leat_ctx *, const struct sum *sum, struct total *out)
{
    out->cents = sum->cents;
    out->payments = sum->payments;
}
LEAT_DEFINE_AGGREGATE(add_up, payment, sum, total);

leat_stream *declare_source(leat_topology *t)
{
    leat_file_source_opts source = {};
    source.path = "-";
    source.format = LEAT_FORMAT_JSON;
    source.type = &payment_type;
    source.event_time = "paid_at";
    return leat_file_source(t, "payments", &source);
}

/* The payments, each once again, and paired with itself: nothing is lost on the way. */
leat_stream *declare_detour(leat_stream *payments)
{
    leat_flat_map_opts double_it = {};
    double_it.fn = &twice_flat_map;
    leat_join_opts itself = {};
    itself.left_key = "id";
    itself.within_us = LEAT_SECONDS(1);
    itself.merge = &take_left_join;
    leat_stream *paid = leat_map(leat_filter(payments, "paid", &is_paid_filter), "fee", &add_fee_map);
    leat_stream *doubled = leat_flat_map(leat_peek(paid, "look", &look_peek), "twice", &double_it);
    return leat_join(doubled, paid, "itself", &itself);
}
} // namespace

int main(int argc, char **argv)
{
    leat_topology *t = leat_topology_new("cpp");
    leat_window_opts minutes = {};
    minutes.kind = LEAT_WINDOW_TUMBLING;
    minutes.size_us = LEAT_MINUTES(1);
    leat_aggregate_opts totals = {};
    totals.aggs[0] = LEAT_USER(&add_up_aggregate);
    totals.out = &total_type;
    leat_file_sink_opts out = {};
    out.path = "-";
    out.format = LEAT_FORMAT_JSON;
    leat_keyed_stream *by_customer =
        leat_group_by_fn(declare_detour(declare_source(t)), "by-customer", &find_customer_key);
    leat_stream *sums = leat_aggregate(leat_window(by_customer, "minutes", &minutes), "totals", &totals);
    leat_file_sink(sums, "out", &out);
    return leat_main(argc, argv, t, nullptr);
}
