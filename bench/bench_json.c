/* bench/bench_json.c -- what do JSON lines cost, beside jansson?
 *
 * 16,384 bids as JSON in memory, decoded into batches and encoded again; jansson parses, gets each member,
 * and packs and dumps. Also with the members in reversed order, so that none is where it is expected. Each
 * figure is the median over interleaved repetitions. Read the ratios.
 *
 *   bench_json [repetitions] */
#include "bench/bid_rows.h"
#include "record/json.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 16384u
#define REPETITIONS_DEFAULT 15u

struct bench {
    struct bid_rows bids;
    struct leat_json_decoder *decoder;
    struct leat_strbuf lines, reversed, out;
    struct leat_batch *batch; /* decoded rows to encode */
};

static void make_lines(struct bench *b)
{
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < ROWS; i++) {
        char memory[256];
        struct bid_row row;
        bid_rows_make(&row, memory, i);
        bid_rows_check(
            leat__json_encode(b->bids.type, LEAT_JSON_PLAIN, &row, &b->lines, &err) == 0, "encode");
        leat__strbuf_char(&b->lines, '\n');
        leat__strbuf_printf(&b->reversed,
            "{\"extra\":\"%.*s\",\"dateTime\":%lld,\"url\":\"%.*s\",\"channel\":\"%.*s\",\"price\":%lld,"
            "\"bidder\":%lld,\"auction\":%lld}\n",
            (int)row.extra.len, row.extra.data, (long long)row.date_time, (int)row.url.len, row.url.data,
            (int)row.channel.len, row.channel.data, (long long)row.price, (long long)row.bidder,
            (long long)row.auction);
    }
}

static void decode(struct bench *b, const struct leat_strbuf *lines)
{
    struct leat_error err = { 0 };
    const char *at = lines->data, *end = lines->data + lines->len;
    while (at < end) {
        struct leat_batch *batch;
        bid_rows_check(leat__batch_get(b->bids.pool, b->bids.type, &batch) == 0, "batch");
        while (at < end && batch->count < batch->capacity) {
            const char *line_end = memchr(at, '\n', (size_t)(end - at));
            bid_rows_check(
                leat__json_decode(b->decoder, at, (size_t)(line_end - at), batch, &err) == 0, err.message);
            at = line_end + 1;
        }
        leat__batch_release(batch);
    }
}

static void decode_lines(void *arg)
{
    struct bench *b = arg;
    decode(b, &b->lines);
}

static void decode_reversed(void *arg)
{
    struct bench *b = arg;
    decode(b, &b->reversed);
}

static void decode_jansson(void *arg)
{
    static const char *const names[] = { "auction", "bidder", "price", "dateTime" };
    static const char *const texts[] = { "channel", "url", "extra" };
    struct bench *b = arg;
    uint64_t sum = 0;
    for (const char *at = b->lines.data, *end = at + b->lines.len; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        json_t *value = json_loadb(at, (size_t)(line_end - at), 0, NULL);
        for (size_t i = 0; i < 4; i++)
            sum += (uint64_t)json_integer_value(json_object_get(value, names[i]));
        for (size_t i = 0; i < 3; i++)
            sum += json_string_length(json_object_get(value, texts[i]));
        json_decref(value);
        at = line_end + 1;
    }
    bid_rows_check(sum != 0, "jansson");
}

static void encode_lines(void *arg)
{
    struct bench *b = arg;
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < ROWS; i++) {
        if (i % b->batch->count == 0)
            leat__strbuf_clear(&b->out);
        bid_rows_check(leat__json_encode(b->bids.type, LEAT_JSON_PLAIN,
                           leat_batch_at(b->batch, i % b->batch->count), &b->out, &err) == 0,
            "encode");
        leat__strbuf_char(&b->out, '\n');
    }
}

static void encode_jansson(void *arg)
{
    struct bench *b = arg;
    char text[1024];
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct bid_row *row = leat_batch_at(b->batch, i % b->batch->count);
        json_t *value = json_pack("{s:I,s:I,s:I,s:s%,s:s%,s:I,s:s%}", "auction", (json_int_t)row->auction,
            "bidder", (json_int_t)row->bidder, "price", (json_int_t)row->price, "channel", row->channel.data,
            row->channel.len, "url", row->url.data, row->url.len, "dateTime", (json_int_t)row->date_time,
            "extra", row->extra.data, row->extra.len);
        bid_rows_check(json_dumpb(value, text, sizeof text, JSON_COMPACT) > 0, "jansson");
        json_decref(value);
    }
}

int main(int argc, char **argv)
{
    const uint32_t repetitions = argc > 1 ? (uint32_t)atoi(argv[1]) : REPETITIONS_DEFAULT;
    const bid_rows_fn candidates[] = { decode_lines, decode_reversed, decode_jansson, encode_lines,
        encode_jansson };
    struct bench b = { 0 };
    struct leat_error err = { 0 };
    double ns[5];
    bid_rows_open(&b.bids);
    bid_rows_check(leat__json_decoder_new(b.bids.type, LEAT_JSON_PLAIN, &b.decoder, &err) == 0, "decoder");
    make_lines(&b);
    bid_rows_check(leat__batch_get(b.bids.pool, b.bids.type, &b.batch) == 0, "batch");
    for (const char *at = b.lines.data; b.batch->count < b.batch->capacity; at = strchr(at, '\n') + 1)
        bid_rows_check(leat__json_decode(b.decoder, at, strcspn(at, "\n"), b.batch, &err) == 0, err.message);

    bid_rows_measure(&b, candidates, 5, repetitions, ROWS, ns);
    printf("decode bid of %.0f B: leat %.0f ns (%.1f M/s), members reversed %.0f ns (%.2fx), jansson %.0f ns "
           "(%.1fx)\n",
        (double)b.lines.len / ROWS, ns[0], 1e3 / ns[0], ns[1], ns[1] / ns[0], ns[2], ns[2] / ns[0]);
    printf("encode: leat %.0f ns (%.1f M/s), jansson %.0f ns (%.1fx)\n", ns[3], 1e3 / ns[3], ns[4],
        ns[4] / ns[3]);

    leat__batch_release(b.batch);
    leat__json_decoder_free(b.decoder);
    leat__strbuf_release(&b.lines);
    leat__strbuf_release(&b.reversed);
    leat__strbuf_release(&b.out);
    bid_rows_close(&b.bids);
    return 0;
}
