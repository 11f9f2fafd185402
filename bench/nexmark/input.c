/* bench/nexmark/input.c -- the three streams: from files, or made. */
#include "bench/nexmark/input.h"
#include "side_row.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIDE_ROWS 10000
#define PATH_BYTES 4096

struct nexmark {
    leat_topology *t;
    struct nexmark_input input;
    leat_stream *streams[NEXMARK_BID + 1];
    struct side_row side[SIDE_ROWS];
    char side_text[SIDE_ROWS][8];
};

static const char *const names[] = { NULL, "person", "auction", "bid" };
static const struct leat_type *const types[] = { NULL, &person_type, &auction_type, &bid_type };

/* ---- made as the job runs ---- */

static void make_person(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct person *p)
{
    char *text = leat_alloc(ctx, NEXMARK_TEXT_BYTES);
    (void)seed;
    if (text)
        nexmark_person(nexmark_nth(NEXMARK_PERSON, index), p, text);
}
LEAT_DEFINE_GENERATOR(make_person, person);

static void make_auction(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct auction *a)
{
    char *text = leat_alloc(ctx, NEXMARK_TEXT_BYTES);
    (void)seed;
    if (text)
        nexmark_auction(nexmark_nth(NEXMARK_AUCTION, index), a, text);
}
LEAT_DEFINE_GENERATOR(make_auction, auction);

static void make_bid(struct leat_ctx *ctx, uint64_t seed, uint64_t index, struct bid *b)
{
    (void)ctx;
    (void)seed;
    nexmark_bid(nexmark_nth(NEXMARK_BID, index), b);
}
LEAT_DEFINE_GENERATOR(make_bid, bid);

static const struct leat_generator_fn *const makers[] = { NULL, &make_person_generator,
    &make_auction_generator, &make_bid_generator };

/* ---- sources ---- */

/* The place of a kind: DIR/KIND.ENDING, or the URL with {} replaced. */
static void place_of(enum nexmark_kind kind, const char *dir, const char *ending, char path[PATH_BYTES])
{
    const char *at = strstr(dir, "{}");
    if (at)
        (void)snprintf(path, PATH_BYTES, "%.*s%s%s", (int)(at - dir), dir, names[kind], at + 2);
    else
        (void)snprintf(path, PATH_BYTES, "%s/%s.%s", dir, names[kind], ending);
}

static leat_stream *from_files(struct nexmark *n, enum nexmark_kind kind)
{
    char path[PATH_BYTES];
    place_of(kind, n->input.dir, "avro", path);
    if (access(path, R_OK) != 0)
        place_of(kind, n->input.dir, "jsonl", path);
    return leat_url_source(n->t, names[kind], path,
        &(struct leat_url_source_opts){
            .type = types[kind],
            .event_time = "dateTime",
            .max_out_of_orderness_us = n->input.disorder_us,
        });
}

static leat_stream *from_memory(struct nexmark *n, enum nexmark_kind kind)
{
    return leat_memory_source(n->t, names[kind],
        &(struct leat_memory_source_opts){
            .type = types[kind],
            .avro = n->input.avro[kind].data,
            .avro_bytes = n->input.avro[kind].len,
            .splits = n->input.splits,
            .avro_cuts = n->input.splits > 1 ? n->input.avro[kind].cuts : NULL,
            .event_time = "dateTime",
            .max_out_of_orderness_us = n->input.disorder_us,
        });
}

static leat_stream *from_generator(struct nexmark *n, enum nexmark_kind kind)
{
    return leat_generator_source(n->t, names[kind],
        &(struct leat_generator_source_opts){
            .fn = makers[kind],
            .count = nexmark_count(kind, n->input.events),
            .splits = n->input.splits,
            .event_time = "dateTime",
            .max_out_of_orderness_us = n->input.disorder_us,
        });
}

static leat_stream *stream(struct nexmark *n, enum nexmark_kind kind)
{
    if (!n->streams[kind])
        n->streams[kind] = n->input.dir ? from_files(n, kind)
            : n->input.avro             ? from_memory(n, kind)
                                        : from_generator(n, kind);
    return n->streams[kind];
}

leat_stream *nexmark_persons(struct nexmark *n)
{
    return stream(n, NEXMARK_PERSON);
}

leat_stream *nexmark_auctions(struct nexmark *n)
{
    return stream(n, NEXMARK_AUCTION);
}

leat_stream *nexmark_bids(struct nexmark *n)
{
    return stream(n, NEXMARK_BID);
}

leat_stream *nexmark_side_input(struct nexmark *n)
{
    for (int i = 0; i < SIDE_ROWS; i++) {
        n->side[i].key = i;
        n->side[i].value = (struct leat_sv){ n->side_text[i],
            (size_t)snprintf(n->side_text[i], sizeof n->side_text[i], "%d", i) };
    }
    return leat_memory_source(n->t, "side-input",
        &(struct leat_memory_source_opts){ .type = &side_row_type, .rows = n->side, .count = SIDE_ROWS });
}

leat_topology *nexmark_topology(struct nexmark *n)
{
    return n->t;
}

struct nexmark *nexmark_new(leat_topology *t, const struct nexmark_input *input)
{
    struct nexmark *n = calloc(1, sizeof *n);
    if (n) {
        n->t = t;
        n->input = *input;
    }
    return n;
}

void nexmark_free(struct nexmark *n)
{
    free(n);
}

/* ---- files and bytes ---- */

/* Topics are keyed as the queries group, unless the URL says how. */
static void add_key(enum nexmark_kind kind, char path[PATH_BYTES])
{
    static const char *const keys[] = { NULL, "id", "seller", "auction" };
    const size_t len = strlen(path);
    if (strncmp(path, "kafka:", 6) == 0 && !strstr(path, "key="))
        (void)snprintf(path + len, PATH_BYTES - len, "%ckey=%s", strchr(path, '?') ? '&' : '?', keys[kind]);
}

void nexmark_declare_files(leat_topology *t, const char *dir, const char *format, uint64_t events)
{
    for (int kind = NEXMARK_PERSON; kind <= NEXMARK_BID; kind++) {
        char name[32], path[PATH_BYTES];
        leat_stream *made = leat_generator_source(t, names[kind],
            &(struct leat_generator_source_opts){
                .fn = makers[kind], .count = nexmark_count(kind, events), .event_time = "dateTime" });
        (void)snprintf(name, sizeof name, "%s-file", names[kind]);
        place_of((enum nexmark_kind)kind, dir, format, path);
        add_key((enum nexmark_kind)kind, path);
        leat_url_sink(made, name, path, &(struct leat_url_sink_opts){ .overwrite = true });
    }
}
