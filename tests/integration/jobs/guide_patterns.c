/* tests/integration/jobs/guide_patterns.c -- the program of docs/guide/patterns.md: payments, and which of them look
 * like theft. What it prints is in the guide (tests/integration/test-guide). */
#include "card_alarm.h"
#include "card_payment.h"
#include <leat/leat.h>
#include <stdio.h>

static void many_of(struct leat_ctx *ctx, const struct leat_match *match, struct card_alarm *out)
{
    const struct card_payment *first = leat_match_at(match, 0, 0);
    (void)ctx;
    out->card = first->card;
    out->has_probes = true;
    out->probes = leat_match_count(match, 0);
    for (uint32_t i = 0; i < leat_match_count(match, 0); i++)
        out->amount += ((const struct card_payment *)leat_match_at(match, 0, i))->amount;
}
LEAT_DEFINE_MATCH(many_of, card_payment, card_alarm);

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("cards");
    leat_stream *payments = leat_file_source(t, "payments",
        &(struct leat_file_source_opts){
            .path = "payments.jsonl",
            .type = &card_payment_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(10),
        });
    leat_keyed_stream *by_card = leat_group_by(payments, "by-card", "card");
    leat_stream *alarms = leat_pattern(by_card, "probe-then-large",
        &(struct leat_pattern_opts){
            .steps = { { .name = "probe",
                           .where = "amount < 100",
                           .times_min = 1,
                           .times_max = LEAT_UNBOUNDED },
                { .name = "large", .where = "amount > 100 * probe.amount" } },
            .within_us = LEAT_MINUTES(10),
            .skip = LEAT_SKIP_PAST_LAST,
            .match = { .out = &card_alarm_type,
                .fields = { { "probe.amount", "probe" }, { "probe_count", "probes" } } },
        });
    leat_stream *bursts = leat_frequency(by_card, "bursts",
        &(struct leat_frequency_opts){
            .where = "amount >= 100",
            .count = 3,
            .within_us = LEAT_MINUTES(1),
            .match = { .fn = &many_of_match },
        });
    leat_file_sink(alarms, "alarms", &(struct leat_file_sink_opts){ .path = "alarms.jsonl" });
    leat_file_sink(bursts, "burst-alarms", &(struct leat_file_sink_opts){ .path = "bursts.jsonl" });
    return t;
}

static void print_alarms(leat_test *test, const char *sink, const char *what)
{
    const char *alarm;
    while ((alarm = leat_test_read_json(test, sink)) != NULL)
        printf("    %s at %llds: %s\n", what, (long long)(leat_test_event_us(test, sink) / 1000000), alarm);
}

int main(void)
{
    static const struct {
        const char *card;
        int64_t amount;
        int second;
    } payments[] = { { "A", 50, 1 }, { "B", 90, 5 }, { "A", 3, 20 }, { "A", 700, 60 }, { "B", 300, 70 },
        { "B", 200, 88 }, { "B", 400, 80 }, { "B", 9500, 900 }, { "A", 20, 1000 } };
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    for (size_t i = 0; i < sizeof payments / sizeof payments[0]; i++) {
        const struct card_payment p = { .card = leat_sv_of(payments[i].card),
            .amount = payments[i].amount,
            .at = LEAT_SECONDS(payments[i].second) };
        leat_test_pipe(test, "payments", &p);
        printf("%s pays %lld at %ds\n", payments[i].card, (long long)p.amount, payments[i].second);
        print_alarms(test, "alarms", "probe, then large");
        print_alarms(test, "burst-alarms", "three in a minute");
    }
    const bool failed = leat_test_error(test)->code != 0;
    leat_test_free(test);
    leat_topology_free(t);
    return failed;
}
