/* bench/nexmark/main.c -- the command `nexmark`.
 *
 *   nexmark queries                          the list
 *   nexmark generate --events N --output DIR|URL [--format jsonl|avro]
 *   nexmark run qN --input DIR|URL --output FILE.jsonl|URL [--final] [leat's options: --parallelism, --checkpoint-dir, ...]
 *   nexmark check qN|stream [--events N] [--parallelism P] [--batch-rows N] [--splits N]
 *   nexmark bench qN [--events N] [--parallelism P] [--source avro|generator|files] [--input DIR] [--repeat N]
 *                    [--hand] [--state-dir DIR] [--checkpoint-dir DIR --checkpoint-interval-ms N]
 *                    (LEAT_STATE_BUDGET says how much stays in memory)
 *   nexmark check-hand qN [--events N]
 *
 * A URL (leat/url.h) of inputs has {} for person, auction and bid: 'kafka://localhost:9092/nexmark-{}?bounded=true'.
 *
 * All: [--rate EVENTS_PER_S] [--group N] [--disorder-ms N]. check compares with what is known of the first million
 * events, where it is. */
#include "bench/nexmark/check.h"
#include "bench/nexmark/fold.h"
#include "bench/nexmark/hand/hand.h"
#include "bench/nexmark/input.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define EVENTS_DEFAULT 1000000u
#define REPEAT_DEFAULT 3u
#define RATE_DEFAULT 10000u
#define DISORDER_MS_DEFAULT 4000u

struct options {
    const char *input, *output, *format, *source, *state_dir, *checkpoint_dir;
    uint64_t events, rate, group, disorder_ms, parallelism, batch_rows, splits, repeat,
        checkpoint_interval_ms;
    bool final, hand;
    int kept; /* arguments that are not ours, at the begin of argv */
};

static const struct {
    const char *name;
    size_t offset;
    bool text;
} option_names[] = {
    { "--input", offsetof(struct options, input), true },
    { "--output", offsetof(struct options, output), true },
    { "--format", offsetof(struct options, format), true },
    { "--source", offsetof(struct options, source), true },
    { "--events", offsetof(struct options, events), false },
    { "--rate", offsetof(struct options, rate), false },
    { "--group", offsetof(struct options, group), false },
    { "--disorder-ms", offsetof(struct options, disorder_ms), false },
    { "--splits", offsetof(struct options, splits), false },
    { "--repeat", offsetof(struct options, repeat), false },
    /* leat's as well: `run` leaves them to leat_main */
    { "--parallelism", offsetof(struct options, parallelism), false },
    { "--batch-rows", offsetof(struct options, batch_rows), false },
    { "--state-dir", offsetof(struct options, state_dir), true },
    { "--checkpoint-dir", offsetof(struct options, checkpoint_dir), true },
    { "--checkpoint-interval-ms", offsetof(struct options, checkpoint_interval_ms), false },
};
#define OWN_OPTIONS 10u
#define ALL_OPTIONS (sizeof option_names / sizeof option_names[0])

static bool set(struct options *o, size_t which, const char *value)
{
    char *field = (char *)o + option_names[which].offset, *end;
    if (option_names[which].text) {
        *(const char **)field = value;
        return true;
    }
    *(uint64_t *)field = strtoull(value, &end, 10);
    if (*value && !*end)
        return true;
    (void)fprintf(stderr, "nexmark: %s takes a number, not \"%s\"\n", option_names[which].name, value);
    return false;
}

/* Takes the first `known` options out of argv[from..]. */
static bool parse(int argc, char **argv, int from, size_t known, struct options *o)
{
    *o = (struct options){ .format = "jsonl",
        .source = "generator",
        .events = EVENTS_DEFAULT,
        .rate = RATE_DEFAULT,
        .group = 1,
        .disorder_ms = DISORDER_MS_DEFAULT,
        .repeat = REPEAT_DEFAULT,
        .parallelism = 1,
        .kept = 1 };
    for (int i = from; i < argc; i++) {
        size_t which = 0;
        while (which < known && strcmp(argv[i], option_names[which].name) != 0)
            which++;
        if (strcmp(argv[i], "--final") == 0) {
            o->final = true;
        } else if (strcmp(argv[i], "--hand") == 0) {
            o->hand = true;
        } else if (which == known) {
            argv[o->kept++] = argv[i];
        } else if (i + 1 == argc) {
            (void)fprintf(stderr, "nexmark: %s takes a value\n", argv[i]);
            return false;
        } else if (!set(o, which, argv[++i])) {
            return false;
        }
    }
    if (o->rate == 0 || (o->group > 1 && o->group % NEXMARK_BLOCK != 0)) {
        (void)fprintf(
            stderr, "nexmark: --rate is at least 1, --group 1 or a multiple of %u\n", NEXMARK_BLOCK);
        return false;
    }
    if (known == ALL_OPTIONS && o->kept > 1) {
        (void)fprintf(stderr, "nexmark: %s is not known here\n", argv[1]);
        return false;
    }
    if (!nexmark_init(&(struct nexmark_config){ .rate_per_s = o->rate, .group = o->group })) {
        (void)fprintf(stderr, "nexmark: out of memory\n");
        return false;
    }
    return true;
}

static const struct nexmark_query *find_query(const char *name)
{
    for (size_t i = 0; i < nexmark_queries_count; i++)
        if (strcmp(nexmark_queries[i].name, name) == 0)
            return &nexmark_queries[i];
    (void)fprintf(
        stderr, "nexmark: there is no query \"%s\"; they are q0 to q%zu\n", name, nexmark_queries_count - 1);
    return NULL;
}

static int queries_main(void)
{
    for (size_t i = 0; i < nexmark_queries_count; i++)
        printf("%-4s %s\n", nexmark_queries[i].name, nexmark_queries[i].title);
    return 0;
}

static int run_topology(leat_topology *t, const struct leat_job_opts *opts)
{
    struct leat_error err = { 0 };
    const int code = leat_run(t, opts, &err);
    if (code < 0)
        (void)fprintf(stderr, "nexmark: %s\n", err.message);
    return code < 0;
}

static int generate_main(int argc, char **argv)
{
    struct options o;
    if (!parse(argc, argv, 2, ALL_OPTIONS, &o))
        return 2;
    if (!o.output) {
        (void)fprintf(
            stderr, "nexmark: generate needs --output DIR, an existing directory, or a URL with {}\n");
        return 2;
    }
    leat_topology *t = leat_topology_new("nexmark-generate");
    nexmark_declare_files(t, o.output, o.format, o.events);
    const int code = run_topology(t, &(struct leat_job_opts){ .parallelism = (uint32_t)o.parallelism });
    leat_topology_free(t);
    return code;
}

/* ---- run ---- */

static int run_main(int argc, char **argv)
{
    struct options o;
    const struct nexmark_query *query = find_query(argc > 2 ? argv[2] : "");
    if (!query || !parse(argc, argv, 3, OWN_OPTIONS, &o))
        return 2;
    if (!o.input || !o.output) {
        (void)fprintf(stderr, "nexmark: run needs --input DIR and --output FILE.jsonl\n");
        return 2;
    }
    const bool is_topic = strncmp(o.output, "kafka:", 6) == 0; /* whose readers fold: it is not ours alone */
    leat_topology *t = leat_topology_new(query->name);
    struct nexmark *n = nexmark_new(
        t, &(struct nexmark_input){ .dir = o.input, .disorder_us = (int64_t)o.disorder_ms * 1000 });
    if (!n)
        return 1;
    leat_stream *result = query->declare(n);
    const bool changes = leat_stream_changes(result);
    leat_url_sink(result, "result", o.output,
        &(struct leat_url_sink_opts){
            .format = LEAT_FORMAT_JSON, .overwrite = true, .op_field = changes ? "op" : NULL });
    int code = leat_main(o.kept, argv, t, NULL);
    if (code == 0 && o.final && changes && !is_topic)
        code = nexmark_fold(o.output);
    nexmark_free(n);
    return code;
}

/* ---- check ---- */

static int report(const struct options *o, const char *name, const struct nexmark_sum *sum)
{
    const struct nexmark_sum *golden =
        o->events == EVENTS_DEFAULT && o->rate == RATE_DEFAULT ? nexmark_golden(name) : NULL;
    const bool same = golden && golden->rows == sum->rows && golden->sum == sum->sum;
    printf("%s: %" PRId64 " rows, %016" PRIx64 "%s\n", name, sum->rows, sum->sum,
        !golden    ? ""
            : same ? ", as known"
                   : ", WRONG");
    return golden && !same;
}

static int check_stream(const struct options *o)
{
    struct nexmark_sum sum = { 0 };
    for (uint64_t i = 0; i < o->events; i++) {
        const uint64_t id = nexmark_event_id(i);
        char text[NEXMARK_TEXT_BYTES], row[4 * NEXMARK_TEXT_BYTES];
        int len;
        struct person p;
        struct auction a;
        struct bid b;
        switch (nexmark_kind(id)) {
#define TEXT(view_) (int)(view_).len, (view_).data
        case NEXMARK_PERSON:
            nexmark_person(id, &p, text);
            len = snprintf(row, sizeof row, "P|%" PRId64 "|%.*s|%.*s|%.*s|%.*s|%.*s|%" PRId64 "|%.*s", p.id,
                TEXT(p.name), TEXT(p.emailAddress), TEXT(p.creditCard), TEXT(p.city), TEXT(p.state),
                p.dateTime, TEXT(p.extra));
            break;
        case NEXMARK_AUCTION:
            nexmark_auction(id, &a, text);
            len = snprintf(row, sizeof row,
                "A|%" PRId64 "|%.*s|%.*s|%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRId64
                "|%.*s",
                a.id, TEXT(a.itemName), TEXT(a.description), a.initialBid, a.reserve, a.dateTime, a.expires,
                a.seller, a.category, TEXT(a.extra));
            break;
        default:
            nexmark_bid(id, &b);
            len =
                snprintf(row, sizeof row, "B|%" PRId64 "|%" PRId64 "|%" PRId64 "|%.*s|%.*s|%" PRId64 "|%.*s",
                    b.auction, b.bidder, b.price, TEXT(b.channel), TEXT(b.url), b.dateTime, TEXT(b.extra));
#undef TEXT
        }
        nexmark_sum_text(&sum, row, (size_t)len);
    }
    return report(o, "stream", &sum);
}

static int check_query(const struct options *o, const struct nexmark_query *query)
{
    leat_topology *t = leat_topology_new(query->name);
    leat_collector *rows = leat_collector_new();
    struct nexmark *n = nexmark_new(t,
        &(struct nexmark_input){ .events = o->events,
            .disorder_us = (int64_t)o->disorder_ms * 1000,
            .splits = (uint32_t)o->splits });
    if (!rows || !n)
        return 1;
    leat_stream *result = query->declare(n);
    const struct leat_type *type = leat_stream_type(result);
    leat_memory_sink(result, "result", &(struct leat_memory_sink_opts){ .into = rows });
    int code = run_topology(t,
        &(struct leat_job_opts){ .parallelism = (uint32_t)o->parallelism,
            .batch_rows = (uint32_t)o->batch_rows,
            .state_dir = o->state_dir });
    struct nexmark_sum sum = { 0 };
    for (uint64_t i = 0; code == 0 && i < leat_collector_count(rows); i++)
        nexmark_sum_add(&sum, type, leat_collector_record(rows, i), leat_collector_change(rows, i));
    if (code == 0)
        code = report(o, query->name, &sum);
    leat_collector_free(rows);
    leat_topology_free(t);
    nexmark_free(n);
    return code;
}

static int check_main(int argc, char **argv)
{
    struct options o;
    const char *name = argc > 2 ? argv[2] : "";
    const bool stream = strcmp(name, "stream") == 0;
    const struct nexmark_query *query = stream ? NULL : find_query(name);
    if ((!stream && !query) || !parse(argc, argv, 3, ALL_OPTIONS, &o))
        return 2;
    return stream ? check_stream(&o) : check_query(&o, query);
}

/* ---- bench ---- */

static double seconds(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int bench_once(
    const struct options *o, const struct nexmark_query *query, const struct nexmark_bytes *avro)
{
    leat_topology *t = leat_topology_new(query->name);
    struct nexmark *n = nexmark_new(t,
        &(struct nexmark_input){ .dir = strcmp(o->source, "files") == 0 ? o->input : NULL,
            .events = o->events,
            .avro = avro,
            .disorder_us = (int64_t)o->disorder_ms * 1000,
            .splits = (uint32_t)o->splits });
    if (!n)
        return 1;
    leat_memory_sink(query->declare(n), "result", &(struct leat_memory_sink_opts){ 0 });
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    const int code = run_topology(t,
        &(struct leat_job_opts){ .parallelism = (uint32_t)o->parallelism,
            .batch_rows = (uint32_t)o->batch_rows,
            .state_dir = o->state_dir,
            .checkpoint_dir = o->checkpoint_dir,
            .checkpoint_interval_us = (int64_t)o->checkpoint_interval_ms * 1000,
            .restore.fresh = o->checkpoint_dir != NULL });
    const double wall_s = seconds(CLOCK_MONOTONIC) - wall, cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    const double events = (double)o->events;
    if (code == 0)
        printf("%-4s %8.3f s %10.0f events/s %8.1f ns CPU/event %8.0f KiB\n", query->name, wall_s,
            events / wall_s, cpu_s / events * 1e9, (double)usage.ru_maxrss);
    (void)fflush(stdout);
    leat_topology_free(t);
    nexmark_free(n);
    return code;
}

/* ---- the loops written by hand ---- */

static const struct hand_query *find_hand(const char *name)
{
    for (size_t i = 0; i < hand_queries_count; i++)
        if (strcmp(hand_queries[i].name, name) == 0)
            return &hand_queries[i];
    (void)fprintf(stderr, "nexmark: there is no loop by hand for \"%s\"\n", name);
    return NULL;
}

static void sum_rows(struct hand_out *out)
{
    for (uint32_t i = 0; i < out->count; i++)
        nexmark_sum_add(out->arg, out->type, out->rows + (size_t)i * out->type->size, out->changes[i]);
}

static double run_hand(
    const struct hand_query *hand, const struct nexmark_bytes *avro, struct nexmark_sum *sum)
{
    struct hand_out *out = hand_alloc(sizeof *out);
    out->type = hand->out;
    out->rows = hand_alloc((size_t)HAND_ROWS * hand->out->size);
    out->text = hand_alloc(HAND_TEXT_BYTES);
    out->flush = sum ? sum_rows : NULL;
    out->arg = sum;
    const double began = seconds(CLOCK_PROCESS_CPUTIME_ID);
    hand->run(avro, out);
    hand_flush(out);
    const double took = seconds(CLOCK_PROCESS_CPUTIME_ID) - began;
    free(out->rows);
    free(out->text);
    free(out);
    return took;
}

static int check_hand(const char *name, const struct options *o)
{
    struct nexmark_bytes avro[NEXMARK_BID + 1] = { { NULL, 0 } };
    struct nexmark_sum sum = { 0 };
    const struct hand_query *hand = find_hand(name);
    if (!hand || !nexmark_encode(o->events, 1, avro))
        return 1;
    (void)run_hand(hand, avro, &sum);
    for (int kind = NEXMARK_PERSON; kind <= NEXMARK_BID; kind++)
        free(avro[kind].data);
    return report(o, name, &sum);
}

static int check_hand_main(int argc, char **argv)
{
    struct options o;
    const char *name = argc > 2 ? argv[2] : "";
    return parse(argc, argv, 3, ALL_OPTIONS, &o) ? check_hand(name, &o) : 2;
}

static void bench_hand(const char *name, const struct options *o, const struct nexmark_bytes *avro)
{
    const struct hand_query *hand = find_hand(name);
    if (!hand)
        return;
    const double took = run_hand(hand, avro, NULL), events = (double)o->events;
    printf("%-4s %8.3f s %10.0f events/s %8.1f ns CPU/event, by hand\n", name, took, events / took,
        took / events * 1e9);
    (void)fflush(stdout);
}

static int bench_main(int argc, char **argv)
{
    struct options o;
    struct nexmark_bytes avro[NEXMARK_BID + 1] = { { NULL, 0 } };
    const struct nexmark_query *query = find_query(argc > 2 ? argv[2] : "");
    if (!query || !parse(argc, argv, 3, ALL_OPTIONS, &o))
        return 2;
    const bool encoded = strcmp(o.source, "avro") == 0, files = strcmp(o.source, "files") == 0;
    if (!encoded && !files && strcmp(o.source, "generator") != 0) {
        (void)fprintf(stderr, "nexmark: --source is avro, generator or files, not \"%s\"\n", o.source);
        return 2;
    }
    if (encoded && (o.splits > NEXMARK_SPLITS_MAX || (o.splits > 1 && o.hand))) {
        (void)fprintf(stderr,
            "nexmark: --splits of --source avro are %u at most, and loops by hand read one\n",
            NEXMARK_SPLITS_MAX);
        return 2;
    }
    if (files && !o.input) {
        (void)fprintf(stderr, "nexmark: --source files needs --input DIR\n");
        return 2;
    }
    int code = 0;
    if (encoded && !nexmark_encode(o.events, o.splits ? (uint32_t)o.splits : 1, avro)) {
        (void)fprintf(stderr, "nexmark: no memory for %" PRIu64 " events\n", o.events);
        code = 1;
    }
    for (uint64_t i = 0; i < o.repeat && code == 0; i++) {
        code = bench_once(&o, query, encoded ? avro : NULL);
        if (o.hand && encoded)
            bench_hand(query->name, &o, avro);
    }
    for (int kind = NEXMARK_PERSON; kind <= NEXMARK_BID; kind++)
        free(avro[kind].data);
    return code;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "queries") == 0)
        return queries_main();
    if (strcmp(command, "generate") == 0)
        return generate_main(argc, argv);
    if (strcmp(command, "run") == 0)
        return run_main(argc, argv);
    if (strcmp(command, "check") == 0)
        return check_main(argc, argv);
    if (strcmp(command, "check-hand") == 0)
        return check_hand_main(argc, argv);
    if (strcmp(command, "bench") == 0)
        return bench_main(argc, argv);
    (void)fprintf(stderr,
        "usage: nexmark queries | generate | run qN | check qN | check-hand qN | bench qN; the README beside "
        "says more\n");
    return 2;
}
