/* bench/bench_file_source.c -- what the file source and sink cost a row, beside the bare readers and writers
 * below them.
 *
 *   bench_file_source [million bids, default 1]
 *
 * Reading: the source's class as the runtime calls it, against a loop over container blocks and the decoder
 * (Avro), or over lines in memory and the decoder (JSON lines, CSV). Writing: the sink's class to a file,
 * against the encoder alone. Files are in the working directory's file system with a warm cache; medians over
 * interleaved repetitions. */
#include "bench/bids.h"
#include "base/env.h"
#include "record/container.h"
#include "record/csv.h"
#include "record/json.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>

#define REPETITIONS 5

/* What the runtime would provide. */
struct host {
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error err;
};

static struct leat_env *env;
static struct leat_pool *pool;
static uint64_t rows_seen;

static void must(int code, const struct leat_error *err)
{
    if (code >= 0)
        return;
    (void)fprintf(stderr, "bench_file_source: %s\n", err && err->code ? err->message : leat_error_text(code));
    exit(1);
}

static int64_t now_us(const struct leat__ctx *ctx)
{
    (void)ctx;
    return env->wall_us(env);
}

static int emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    (void)ctx;
    (void)port;
    leat__batch_release(batch);
    return 0;
}

static void host_init(struct host *host, const struct leat_node *node)
{
    static const struct leat_ctx_api api = { .emit = emit, .now_us = now_us };
    memset(host, 0, sizeof *host);
    host->ctx = (struct leat__ctx){
        .api = &api,
        .node = node,
        .parallelism = 1,
        .env = env,
        .pool = pool,
        .counters = &host->counters,
        .error = &host->err,
    };
    host->ctx.user.engine = &host->ctx;
}

/* ---- reading ---- */

static void read_split(struct host *host, const struct leat_node *node, const struct leat_split *split)
{
    const struct leat_source_class *class = node->source;
    struct leat_reader *reader = calloc(1, class->reader_size);
    if (!reader)
        exit(1);
    *reader = (struct leat_reader){ .source_class = class, .node = node, .split = split, .ctx = &host->ctx };
    must(class->open(reader), &host->err);
    int result = LEAT_READ_ROWS;
    while (result == LEAT_READ_ROWS) {
        struct leat_batch *batch;
        must(leat__batch_get(pool, &bid_type, &batch), NULL);
        result = class->read(reader, batch);
        must(result, &host->err);
        rows_seen += batch->count;
        leat__batch_release(batch);
    }
    class->close(reader);
    free(reader);
}

static void read_by_source(const char *path)
{
    leat_topology *t = leat_topology_new("bench");
    leat_stream *stream =
        leat_file_source(t, "in", &(struct leat_file_source_opts){ .path = path, .type = &bid_type });
    struct leat_split_list splits = { 0 };
    struct host host;
    host_init(&host, stream->node);
    must(stream->node->source->list_splits(stream->node, env, &splits, &host.err), &host.err);
    for (uint32_t i = 0; i < splits.count; i++)
        read_split(&host, stream->node, &splits.splits[i]);
    leat__split_list_release(&splits);
    leat__ctx_release(&host.ctx);
    leat_topology_free(t);
}

static void read_avro_barely(const char *path)
{
    struct leat_error err = { 0 };
    struct leat_container_reader *reader;
    struct leat_container_block block;
    struct leat_decoder *decoder;
    int got;
    must(leat__container_open(env, pool, path, &reader, &err), &err);
    must(leat__decoder_new(leat__container_schema(reader), &bid_type, NULL, &decoder, &err), &err);
    while ((got = leat__container_next(reader, &block, &err)) > 0) {
        const uint8_t *at = block.data;
        while (at < block.data + block.size) {
            struct leat_batch *batch;
            must(leat__batch_get(pool, &bid_type, &batch), NULL);
            must(leat__batch_add_buffer(batch, block.buffer), NULL);
            must(
                (int)leat__decode(decoder, &at, block.data + block.size, batch, batch->capacity, &err), &err);
            rows_seen += batch->count;
            leat__batch_release(batch);
        }
        leat__buffer_release(block.buffer);
    }
    must(got, &err);
    leat__decoder_free(decoder);
    leat__container_close(reader);
}

/* The whole file in memory with the slack that decoders need. */
static char *load(const char *path, size_t *size)
{
    struct leat_error err = { 0 };
    struct leat_file_info info;
    leat_fd fd;
    must(env->fs_stat(env, path, &info, &err), &err);
    char *data = calloc(1, (size_t)info.size + 64);
    if (!data)
        exit(1);
    must(env->fs_open(env, path, LEAT_OPEN_READ, &fd, &err), &err);
    must((int)(env->fs_pread(env, fd, data, (size_t)info.size, 0, &err) < 0 ? LEAT_EIO : 0), &err);
    env->fs_close(env, fd);
    *size = (size_t)info.size;
    return data;
}

static void read_lines_barely(const char *path)
{
    const bool is_csv = strstr(path, ".csv") != NULL;
    struct leat_error err = { 0 };
    struct leat_json_decoder *json = NULL;
    struct leat_csv_decoder *csv = NULL;
    struct leat_batch *batch = NULL;
    size_t size;
    char *data = load(path, &size), *at = data, *end;
    if (is_csv) {
        end = memchr(at, '\n', size);
        must(leat__csv_decoder_new(&bid_type, ',', at, (size_t)(end - at), &csv, &err), &err);
        at = end + 1;
    } else {
        must(leat__json_decoder_new(&bid_type, LEAT_JSON_PLAIN, &json, &err), &err);
    }
    for (; (end = memchr(at, '\n', size - (size_t)(at - data))) != NULL; at = end + 1) {
        if (!batch)
            must(leat__batch_get(pool, &bid_type, &batch), NULL);
        const size_t len = (size_t)(end - at);
        must(is_csv ? leat__csv_decode(csv, at, len, batch, &err)
                    : leat__json_decode(json, at, len, batch, &err),
            &err);
        rows_seen++;
        if (batch->count == batch->capacity) {
            leat__batch_release(batch);
            batch = NULL;
        }
    }
    leat__batch_release(batch);
    leat__json_decoder_free(json);
    leat__csv_decoder_free(csv);
    free(data);
}

/* ---- writing ---- */

/* The bids as batches, decoded once. */
static struct leat_batch **batches;
static uint32_t batches_count;

static void make_batches(const struct bids *bids)
{
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    struct leat_decoder *decoder;
    const uint8_t *at = bids->data;
    batches = calloc(bids->count / 64 + 2, sizeof *batches);
    if (!batches)
        exit(1);
    must(leat__schema_parse(bid_type.schema, strlen(bid_type.schema), &schema, &err), &err);
    must(leat__decoder_new(schema, &bid_type, NULL, &decoder, &err), &err);
    while (at < bids->data + bids->size) {
        struct leat_batch **batch = &batches[batches_count++];
        must(leat__batch_get(pool, &bid_type, batch), NULL);
        must(
            (int)leat__decode(decoder, &at, bids->data + bids->size, *batch, (*batch)->capacity, &err), &err);
    }
    leat__decoder_free(decoder);
    leat__schema_free(schema);
}

static void write_by_sink(const char *path, const char *codec)
{
    leat_topology *t = leat_topology_new("bench");
    leat_stream *in = leat_memory_source(t, "in", &(struct leat_memory_source_opts){ .type = &bid_type });
    leat_file_sink(
        in, "out", &(struct leat_file_sink_opts){ .path = path, .codec = codec, .overwrite = true });
    const struct leat_node *node = t->nodes[1];
    const struct leat_sink_class *class = node->sink;
    struct leat_handle_list handles = { 0 };
    struct host host;
    host_init(&host, node);
    must(class->check(node, env, &host.err), &host.err);
    struct leat_sink *sink = calloc(1, class->size);
    if (!sink)
        exit(1);
    *sink = (struct leat_sink){ class, node };
    must(class->open(sink, &host.ctx), &host.err);
    for (uint32_t i = 0; i < batches_count; i++) {
        leat__batch_ref(batches[i]);
        rows_seen += batches[i]->count;
        must(class->on_batch(sink, &host.ctx, batches[i]), &host.err);
    }
    must(class->prepare(sink, &host.ctx, 1, true, &handles), &host.err);
    class->close(sink, &host.ctx);
    must(class->commit(node, env, handles.handles[0].data, handles.handles[0].len, &host.err), &host.err);
    leat__handle_list_release(&handles, leat__env_posix());
    free(sink);
    leat__ctx_release(&host.ctx);
    leat_topology_free(t);
}

static void encode_barely(const char *path)
{
    struct leat_error err = { 0 };
    struct leat_encoder *encoder;
    struct leat_strbuf out = { 0 };
    must(leat__encoder_new(&bid_type, &encoder, &err), &err);
    for (uint32_t i = 0; i < batches_count; i++) {
        struct leat_batch *batch = batches[i];
        leat__strbuf_clear(&out);
        if (strstr(path, ".avro"))
            must(leat__encode(encoder, batch, 0, batch->count, &out, NULL, &err), &err);
        for (uint32_t row = 0; row < batch->count && !strstr(path, ".avro"); row++)
            must(strstr(path, ".csv")
                    ? leat__csv_encode(&bid_type, ',', leat_batch_at(batch, row), &out, &err)
                    : leat__json_encode(&bid_type, LEAT_JSON_PLAIN, leat_batch_at(batch, row), &out, &err),
                &err);
        rows_seen += batch->count;
    }
    leat__strbuf_release(&out);
    leat__encoder_free(encoder);
}

/* ---- measuring ---- */

static const struct {
    const char *name;
    const char *path;
    const char *codec;
} files[] = {
    { "avro null", "bench-file-source.avro", NULL },
    { "avro snappy", "bench-file-source.snappy.avro", "snappy" },
    { "avro zstandard", "bench-file-source.zstandard.avro", "zstandard" },
    { "avro deflate", "bench-file-source.deflate.avro", "deflate" },
    { "json lines", "bench-file-source.jsonl", NULL },
    { "csv", "bench-file-source.csv", NULL },
};
#define FILES (sizeof files / sizeof files[0])

enum { WRITE, ENCODE, READ, BARE, KINDS };

static void work(size_t file, int kind)
{
    const char *path = files[file].path;
    if (kind == WRITE)
        write_by_sink(path, files[file].codec);
    else if (kind == ENCODE)
        encode_barely(path);
    else if (kind == READ)
        read_by_source(path);
    else if (strstr(path, ".avro"))
        read_avro_barely(path);
    else
        read_lines_barely(path);
}

int main(int argc, char **argv)
{
    static double ns[FILES][KINDS][REPETITIONS];
    const double millions = argc > 1 ? strtod(argv[1], NULL) : 1;
    const uint32_t count = (uint32_t)(millions * 1e6);
    struct leat_error err = { 0 };
    struct bids bids = bids_make(count, 1000);
    env = leat__env_posix();
    must(leat__pool_new(1024, &pool), NULL);
    make_batches(&bids);
    for (int repetition = 0; repetition < REPETITIONS; repetition++) {
        for (size_t file = 0; file < FILES; file++) {
            for (int kind = 0; kind < KINDS; kind++) {
                rows_seen = 0;
                const double start_s = bench_cpu_s();
                work(file, kind);
                ns[file][kind][repetition] = (bench_cpu_s() - start_s) * 1e9 / count;
                if (rows_seen != count)
                    must(LEAT_EDATA, NULL);
            }
        }
    }
    (void)printf("%u bids, processor ns a row; bare: decoders and encoders alone\n", count);
    (void)printf("%-16s %8s %8s %7s   %8s %8s\n", "", "source", "bare", "ratio", "sink", "bare");
    for (size_t file = 0; file < FILES; file++) {
        double median[KINDS];
        for (int kind = 0; kind < KINDS; kind++)
            median[kind] = bench_median(ns[file][kind], REPETITIONS);
        (void)printf("%-16s %8.1f %8.1f %7.2f   %8.1f %8.1f\n", files[file].name, median[READ], median[BARE],
            median[READ] / median[BARE], median[WRITE], median[ENCODE]);
        must(env->fs_unlink(env, files[file].path, &err), &err);
    }
    for (uint32_t i = 0; i < batches_count; i++)
        leat__batch_release(batches[i]);
    free(batches);
    leat__pool_free(pool);
    bids_free(&bids);
    return 0;
}
