/* tests/integration/jobs/guide_asking.c -- the program of docs/guide/asking.md: payments, each with the country of
 * its card, which somebody else knows. What it prints is in the guide (tests/integration/test-guide). */
#include "card_payment.h"
#include "card_place.h"
#include <leat/leat.h>
#include <stdio.h>

/* The client of a service; here its answers come when main wants them to. */
static struct leat_request *questions[8];
static int questions_count;

static void ask_country(
    struct leat_ctx *ctx, const struct card_payment *p, struct leat_request *request, void *arg)
{
    (void)ctx;
    (void)arg; /* .arg of the options: the client */
    (void)p;
    questions[questions_count++] = request; /* the client keeps it until it has an answer */
}
LEAT_DEFINE_ASYNC(ask_country, card_payment, card_place);

/* On any thread. */
static void on_answer(struct leat_request *request, const char *country)
{
    const struct card_payment *p = leat_request_record(request);
    const struct card_place place = { .card = p->card, .amount = p->amount, .country = leat_sv_of(country) };
    leat_request_complete(request, &place);
}

static bool unknown(struct leat_ctx *ctx, const void *record, const char *reason, void *out, void *arg)
{
    const struct card_payment *p = record;
    struct card_place *place = out;
    (void)arg;
    place->card = p->card;
    place->amount = p->amount;
    place->country = leat_printf(ctx, "unknown: %s", reason);
    return true;
}

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("places");
    leat_stream *payments = leat_file_source(t, "payments",
        &(struct leat_file_source_opts){
            .path = "payments.jsonl",
            .type = &card_payment_type,
            .event_time = "at",
        });
    leat_stream *places = leat_async(payments, "countries",
        &(struct leat_async_opts){
            .fn = &ask_country_async,
            .capacity = 200,
            .timeout_us = LEAT_SECONDS(2),
            .attempts = 3,
            .backoff_us = LEAT_MILLIS(50),
            .otherwise = unknown,
        });
    leat_file_sink(places, "out", &(struct leat_file_sink_opts){ .path = "places.jsonl" });
    return t;
}

static void print_places(leat_test *test)
{
    const char *place;
    while ((place = leat_test_read_json(test, "out")) != NULL)
        printf("    %s\n", place);
}

int main(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    for (int i = 0; i < 3; i++) {
        const struct card_payment p = { .card = LEAT_SV("A"), .amount = 10 + i, .at = LEAT_SECONDS(i) };
        leat_test_pipe(test, "payments", &p);
    }
    printf("three payments, %d questions\n", questions_count);
    on_answer(questions[1], "LV");
    leat_test_advance(test, LEAT_MILLIS(100));
    printf("the second is answered\n");
    print_places(test);
    on_answer(questions[0], "EE");
    leat_test_advance(test, LEAT_MILLIS(100));
    printf("the first is answered\n");
    print_places(test);
    leat_test_advance(test, LEAT_SECONDS(2));
    printf("two seconds later\n");
    print_places(test);
    leat_request_fail(questions[2], "the line is dead"); /* nobody waits for it any more */
    const bool failed = leat_test_error(test)->code != 0;
    leat_test_free(test);
    leat_topology_free(t);
    return failed;
}
