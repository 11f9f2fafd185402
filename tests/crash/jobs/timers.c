/* tests/crash/jobs/timers.c -- a process function with a value, a map and timers; each row that a key gives has a
 * number, so that whoever reads the output sees what is missing or there twice. The output is a directory of parts, or,
 * compiled with LEDGER, an outside system with transactions (tests/support/ledger_sink.h); compiled with KAFKA a topic,
 * LEAT_CRASH_TOPIC of the broker that LEAT_KAFKA_BROKERS names.
 *
 *   events ----> slow ----> by-key ----> buckets ----> parts | ledger | topic
 */
#include "bucket.h"
#include "sample.h"
#include "given.h"
#include "tests/crash/jobs/options.h"
#include "key_tally.h"
#ifdef LEDGER
#include "tests/support/ledger_sink.h"
#endif
#ifdef KAFKA
#include <leat/kafka.h>
#include <stdlib.h>
#endif

#define BUCKET_US LEAT_SECONDS(5)

enum { TALLY, BUCKETS };

static bool is_any(struct leat_ctx *ctx, const struct sample *s)
{
    (void)s;
    rest(ctx);
    return true;
}
LEAT_DEFINE_FILTER(is_any, sample);

static int64_t bucket_of(int64_t time_us)
{
    return time_us - ((time_us % BUCKET_US) + BUCKET_US) % BUCKET_US;
}

static void on_event(struct leat_ctx *ctx, const struct sample *s)
{
    const int64_t start = bucket_of(leat_ctx_event_us(ctx));
    struct key_tally *tally = leat_state(ctx, TALLY);
    struct bucket *bucket = leat_map_put(ctx, BUCKETS, &start);
    tally->seen++;
    bucket->count++;
    bucket->total += s->value;
    leat_timer_set(ctx, LEAT_EVENT_TIME, start + BUCKET_US - 1);
}

static void on_bucket(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    (void)kind;
    const int64_t start = bucket_of(time_us);
    const struct bucket *bucket = leat_map_get(ctx, BUCKETS, &start);
    struct key_tally *tally = leat_state(ctx, TALLY);
    struct given *out = leat_out(ctx);
    out->key = leat_key_sv(ctx, 0);
    out->number = tally->given++;
    out->bucket = start;
    out->count = bucket ? bucket->count : -1; /* a timer without its state */
    out->total = bucket ? bucket->total : -1;
    leat_map_remove(ctx, BUCKETS, &start);
}
LEAT_DEFINE_PROCESS(buckets, sample, on_event, on_bucket);

static void declare(leat_topology *t)
{
    leat_stream *events = leat_file_source(t, "events",
        &(struct leat_file_source_opts){
            .path = path_in(input_dir, "events-*.avro"),
            .type = &sample_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(2),
        });
    leat_stream *slow = leat_filter(events, "slow", &is_any_filter);
    leat_stream *given = leat_process(leat_group_by(slow, "by-key", "key"), "buckets",
        &(struct leat_process_opts){
            .fn = &buckets_process,
            .state = { LEAT_VALUE("tally", &key_tally_type),
                LEAT_MAP("buckets", LEAT_KIND_LONG, &bucket_type) },
            .out = &given_type,
        });
#ifdef LEDGER
    ledger_sink(given, "write-ledger", &(struct ledger_sink_opts){ .path = path_in(output_dir, "ledger") });
#elif defined(KAFKA)
    leat_kafka_sink(given, "write-topic",
        &(struct leat_kafka_sink_opts){ .topic = getenv("LEAT_CRASH_TOPIC"),
            .partitions = 4,
            .format = LEAT_FORMAT_JSON,
            .key = { .fields = "key" } });
#else
    leat_file_sink(given, "write-given",
        &(struct leat_file_sink_opts){
            .path = path_in(output_dir, "given"), .format = LEAT_FORMAT_JSON, .overwrite = true });
#endif
}

int main(int argc, char **argv)
{
    const int kept = take_options(argc, argv);
    leat_topology *t = leat_topology_new("crash-timers");
    declare(t);
    return leat_main(kept, argv, t, NULL);
}
