/* tests/kafka/conformance/main.c -- runs every scenario against the test broker, or (argument "real") against Apache Kafka,
 * or one that runs elsewhere (LEAT_TEST_BOOTSTRAP). It says which it was. */
#include "tests/kafka/conformance/conformance.h"
#include <stdio.h>

static enum kafka_kind kind = KAFKA_TEST;
static struct kafka *broker;

static int start_broker(void **state)
{
    (void)state;
    broker = kafka_start(kind);
    (void)printf("# conformance: against %s at %s\n", kafka_kind_name(kind), kafka_bootstrap(broker));
    (void)fflush(stdout);
    return 0;
}

static int stop_broker(void **state)
{
    (void)state;
    kafka_stop(broker);
    return 0;
}

static void run_scenario(void **state)
{
    const struct scenario *scenario = *state;
    scenario->run(broker);
}

int main(int argc, char **argv)
{
    static const struct scenario *const tables[] = { data_scenarios, transaction_scenarios, topic_scenarios,
        protocol_scenarios };
    static struct CMUnitTest tests[100];
    size_t count = 0;
    if (argc > 1 && strcmp(argv[1], "real") == 0)
        kind = KAFKA_REAL;
    for (size_t t = 0; t < COUNT_OF(tables); t++)
        for (const struct scenario *s = tables[t]; s->name && count < COUNT_OF(tests); s++)
            tests[count++] = (struct CMUnitTest){
                .name = s->name, .test_func = run_scenario, .initial_state = (void *)(uintptr_t)s
            };
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return _cmocka_run_group_tests("kafka", tests, count, start_broker, stop_broker);
}
