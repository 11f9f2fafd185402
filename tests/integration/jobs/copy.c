/* tests/integration/jobs/copy.c -- payments from one place to another: what tests/integration/test-cli
 * drives.
 *
 *   copy [--in PATH] [--in-format F] [--out PATH] [--out-format F] [--codec C] [--overwrite] [--time]
 *        [--policy skip|letters] [--letters PATH] [--refuse CENTS] [leat's options]
 *
 * A format is avro, json or csv. --time takes the event time from paid_at; --refuse makes a callback refuse
 * the payments of so many cents. The policy is that of the source and of the callback. */
#include "payment.h"
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    const char *in, *in_format, *out, *out_format, *codec, *policy, *letters, *refuse;
    bool overwrite, time;
} args = { .in = "-", .out = "-", .letters = "letters.jsonl" };

static void refuse_some(struct leat_ctx *ctx, const struct payment *in, struct payment *out)
{
    *out = *in;
    if (in->cents == atoll(args.refuse))
        leat_fail(ctx, "payment %lld is not allowed", (long long)in->id);
}
LEAT_DEFINE_MAP(refuse_some, payment, payment);

static enum leat_format format(const char *name)
{
    if (!name)
        return (enum leat_format)0;
    return strcmp(name, "avro") == 0 ? LEAT_FORMAT_AVRO
        : strcmp(name, "csv") == 0   ? LEAT_FORMAT_CSV
                                     : LEAT_FORMAT_JSON;
}

/* Takes this program's options out of argv; how many are left. */
static int take_args(int argc, char **argv)
{
    const struct {
        const char *name, **value;
    } with_value[] = { { "--in", &args.in }, { "--in-format", &args.in_format }, { "--out", &args.out },
        { "--out-format", &args.out_format }, { "--codec", &args.codec }, { "--policy", &args.policy },
        { "--letters", &args.letters }, { "--refuse", &args.refuse } };
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        bool taken = false;
        for (size_t k = 0; k < sizeof with_value / sizeof with_value[0] && !taken; k++) {
            taken = i + 1 < argc && strcmp(argv[i], with_value[k].name) == 0;
            if (taken)
                *with_value[k].value = argv[++i];
        }
        if (taken)
            continue;
        if (strcmp(argv[i], "--overwrite") == 0)
            args.overwrite = true;
        else if (strcmp(argv[i], "--time") == 0)
            args.time = true;
        else
            argv[kept++] = argv[i];
    }
    return kept;
}

static leat_stream *with_policy(leat_stream *stream, leat_stream **letters)
{
    if (!args.policy)
        return stream;
    if (strcmp(args.policy, "skip") == 0)
        return leat_on_error(stream, LEAT_SKIP);
    *letters = leat_dead_letters(stream);
    return stream;
}

int main(int argc, char **argv)
{
    leat_stream *letters[2] = { NULL, NULL };
    argc = take_args(argc, argv);
    leat_topology *t = leat_topology_new("copy");
    leat_stream *payments = leat_file_source(t, "payments",
        &(struct leat_file_source_opts){
            .path = args.in,
            .type = &payment_type,
            .format = format(args.in_format),
            .event_time = args.time ? "paid_at" : NULL,
        });
    payments = with_policy(payments, &letters[0]);
    if (args.refuse)
        payments = with_policy(leat_map(payments, "refuse", &refuse_some_map), &letters[args.policy ? 1 : 0]);
    if (letters[0] && letters[1])
        letters[0] = leat_union(letters, 2, "all-letters");
    if (letters[0])
        leat_file_sink(letters[0], "letters",
            &(struct leat_file_sink_opts){ .path = args.letters, .overwrite = args.overwrite });
    leat_file_sink(payments, "copies",
        &(struct leat_file_sink_opts){
            .path = args.out,
            .format = format(args.out_format),
            .codec = args.codec,
            .overwrite = args.overwrite,
        });
    return leat_main(argc, argv, t, NULL);
}
