/* tests/support/connector_harness.c -- a runtime of one thread for sources and sinks under test. */
#include "tests/support/connector_harness.h"
#include "tests/support/unit.h"
#include "record/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char harness_order_schema[] = "{\"type\":\"record\",\"name\":\"order\",\"fields\":["
                                    "{\"name\":\"id\",\"type\":\"long\"},"
                                    "{\"name\":\"name\",\"type\":\"string\"},"
                                    "{\"name\":\"note\",\"type\":[\"null\",\"string\"],\"default\":null},"
                                    "{\"name\":\"price\",\"type\":\"double\",\"default\":0.5}]}";

const struct leat_type *harness_order_type(void)
{
    static const struct leat_type *type;
    static struct leat_arena arena; /* reachable until the process ends */
    static struct leat_schema *schema;
    if (!type) {
        struct leat_error err = { 0 };
        FAIL_UNLESS(
            leat__schema_parse(harness_order_schema, strlen(harness_order_schema), &schema, &err) == 0, "%s",
            err.message);
        FAIL_UNLESS(leat__schema_type(schema, &arena, &type, &err) == 0, "%s", err.message);
        assert_int_equal(type->size, sizeof(struct order));
    }
    return type;
}

static int64_t now_us(const struct leat__ctx *ctx)
{
    return ((const struct harness *)ctx->host)->now_us;
}

/* Only dead letters are emitted by sources and sinks themselves. */
static int emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    struct harness *h = ctx->host;
    assert_int_equal(port, ctx->node->dead_letters_port);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct leat_dead_letter *letter = leat_batch_at(batch, i);
        leat__strbuf_printf(&h->letters, "%.*s@%lld: %.*s | %.*s\n", (int)letter->split.len,
            letter->split.data, (long long)letter->position, (int)letter->error.len, letter->error.data,
            (int)letter->raw.len, letter->raw.data);
    }
    leat__batch_release(batch);
    return 0;
}

void harness_init(struct harness *h, struct leat_env *env, const struct leat_node *node, uint32_t batch_rows)
{
    static const struct leat_ctx_api api = { .emit = emit, .now_us = now_us };
    memset(h, 0, sizeof *h);
    h->env = env;
    h->node = node;
    assert_int_equal(leat__pool_new(batch_rows, &h->pool), 0);
    h->ctx = (struct leat__ctx){ .api = &api,
        .host = h,
        .node = node,
        .parallelism = 1,
        .env = env,
        .pool = h->pool,
        .counters = &h->counters,
        .error = &h->err };
    h->ctx.user.engine = &h->ctx;
}

void harness_release(struct harness *h)
{
    leat__ctx_release(&h->ctx);
    leat__split_list_release(&h->splits);
    leat__handle_list_release(&h->handles, h->ctx.env);
    leat__strbuf_release(&h->rows);
    leat__strbuf_release(&h->letters);
    leat__pool_free(h->pool);
}

/* ---- sources ---- */

int harness_list(struct harness *h)
{
    leat__split_list_release(&h->splits);
    return h->node->source->list_splits(h->node, h->env, &h->splits, &h->err);
}

struct leat_reader *harness_reader(struct harness *h, uint32_t i, const char *position)
{
    const struct leat_source_class *class = h->node->source;
    struct leat_reader *reader = calloc(1, class->reader_size);
    assert_non_null(reader);
    assert_true(i < h->splits.count);
    *reader = (struct leat_reader){
        .source_class = class, .node = h->node, .split = &h->splits.splits[i], .ctx = &h->ctx
    };
    int code = class->open(reader);
    if (code == 0 && position)
        code = class->seek(reader, position, strlen(position));
    if (code == 0)
        return reader;
    assert_int_equal(code, h->err.code);
    harness_close_reader(reader);
    return NULL;
}

int harness_read(struct harness *h, struct leat_reader *reader)
{
    char line[4096];
    struct leat_batch *batch;
    const struct leat_type *type = h->node->outputs[0].type;
    assert_int_equal(leat__batch_get(h->pool, type, &batch), 0);
    reader->wake_us = 0;
    int result = reader->source_class->read(reader, batch);
    if (result >= 0 && leat__reader_flush(reader) < 0)
        result = h->err.code;
    for (uint32_t i = 0; result >= 0 && i < batch->count; i++) {
        const size_t len = leat_record_print(leat_batch_at(batch, i), type, line, sizeof line);
        assert_true(len < sizeof line);
        leat__strbuf_add(&h->rows, line, len);
        leat__strbuf_char(&h->rows, '\n');
        h->rows_count++;
    }
    if (result == LEAT_READ_WAIT)
        assert_int_equal(batch->count, 0);
    leat__batch_release(batch);
    return result;
}

char *harness_position(struct harness *h, struct leat_reader *reader)
{
    struct leat_strbuf text = { 0 };
    (void)h;
    assert_int_equal(reader->source_class->position(reader, &text), 0);
    char *copy = strdup(text.data);
    leat__strbuf_release(&text);
    return copy;
}

void harness_close_reader(struct leat_reader *reader)
{
    reader->source_class->close(reader);
    free(reader);
}

int harness_read_split(struct harness *h, uint32_t i, const char *position)
{
    struct leat_reader *reader = harness_reader(h, i, position);
    if (!reader)
        return h->err.code;
    int result = LEAT_READ_ROWS;
    for (int calls = 0; result == LEAT_READ_ROWS; calls++) {
        result = harness_read(h, reader);
        assert_true(calls < 1000000);
    }
    harness_close_reader(reader);
    assert_int_not_equal(result, LEAT_READ_WAIT);
    return result < 0 ? result : 0;
}

int harness_read_all(struct harness *h)
{
    LEAT_TRY(harness_list(h));
    for (uint32_t i = 0; i < h->splits.count; i++)
        LEAT_TRY(harness_read_split(h, i, NULL));
    return 0;
}

/* ---- sinks ---- */

struct leat_sink *harness_sink(struct harness *h, uint32_t subtask, uint32_t parallelism)
{
    const struct leat_sink_class *class = h->node->sink;
    struct leat_sink *sink = calloc(1, class->size);
    assert_non_null(sink);
    sink->sink_class = class;
    sink->node = h->node;
    h->ctx.subtask = subtask;
    h->ctx.parallelism = parallelism;
    if (class->open(sink, &h->ctx) == 0)
        return sink;
    harness_close_sink(h, sink);
    return NULL;
}

static void fill_order(struct leat_batch *batch, int64_t id)
{
    char text[64];
    batch->event_us[batch->count] = id * 1000;
    struct order *order = leat__batch_push(batch);
    const int len = snprintf(text, sizeof text, "name-%lld", (long long)id);
    char *name = leat__batch_alloc(batch, (size_t)len, 1);
    assert_non_null(name);
    memcpy(name, text, (size_t)len);
    order->id = id;
    order->name = (struct leat_sv){ name, (size_t)len };
    order->has_note = id % 2 != 0;
    if (order->has_note)
        order->note = LEAT_SV("odd");
    order->price = (double)id / 2;
}

int harness_write(struct harness *h, struct leat_sink *sink, int64_t from, uint32_t count)
{
    const struct leat_type *type = harness_order_type();
    while (count > 0) {
        struct leat_batch *batch;
        assert_int_equal(leat__batch_get(h->pool, type, &batch), 0);
        for (; count > 0 && batch->count < batch->capacity; count--)
            fill_order(batch, from++);
        LEAT_TRY(sink->sink_class->on_batch(sink, &h->ctx, batch));
    }
    return 0;
}

int harness_prepare_epoch(struct harness *h, struct leat_sink *sink, uint64_t epoch, bool last)
{
    LEAT_TRY(sink->sink_class->prepare(sink, &h->ctx, epoch, last, &h->handles));
    return leat__handle_list_sync(&h->handles, h->ctx.env, &h->err);
}

int harness_prepare(struct harness *h, struct leat_sink *sink)
{
    return harness_prepare_epoch(h, sink, 1, true);
}

char *harness_snapshot(struct harness *h, struct leat_sink *sink)
{
    struct leat_strbuf text = { 0 };
    assert_int_equal(sink->sink_class->snapshot(sink, &h->ctx, &text), 0);
    char *copy = strndup(text.data, text.len);
    leat__strbuf_release(&text);
    return copy;
}

/* The parts as the runtime gives them; the array is static. */
static const struct leat_sv *parts_of(const char *const *parts, uint32_t count)
{
    static struct leat_sv svs[16];
    assert_true(count <= COUNT_OF(svs));
    for (uint32_t i = 0; i < count; i++)
        svs[i] = leat_sv_of(parts[i]);
    return svs;
}

int harness_recover(struct harness *h, const char *const *parts, uint32_t count)
{
    return h->node->sink->recover(h->node, h->env, parts_of(parts, count), count, &h->err);
}

struct leat_sink *harness_sink_restored(
    struct harness *h, uint32_t subtask, uint32_t parallelism, const char *const *parts, uint32_t count)
{
    struct leat_sink *sink = harness_sink(h, subtask, parallelism);
    if (!sink)
        return NULL;
    if (sink->sink_class->restore(sink, &h->ctx, parts_of(parts, count), count) == 0)
        return sink;
    harness_close_sink(h, sink);
    return NULL;
}

void harness_forget(struct harness *h)
{
    leat__handle_list_release(&h->handles, h->ctx.env);
}

void harness_close_sink(struct harness *h, struct leat_sink *sink)
{
    sink->sink_class->close(sink, &h->ctx);
    free(sink);
}

int harness_commit(struct harness *h)
{
    for (uint32_t i = 0; i < h->handles.count; i++) {
        const struct leat_handle *handle = &h->handles.handles[i];
        LEAT_TRY(handle->node->sink->commit(handle->node, h->env, handle->data, handle->len, &h->err));
    }
    return 0;
}

int harness_discard(struct harness *h)
{
    for (uint32_t i = 0; i < h->handles.count; i++) {
        const struct leat_handle *handle = &h->handles.handles[i];
        LEAT_TRY(handle->node->sink->discard(handle->node, h->env, handle->data, handle->len, &h->err));
    }
    return 0;
}

/* ---- files ---- */

void harness_order_lines(struct leat_strbuf *out, int64_t from, int64_t to)
{
    char line[512];
    struct leat_pool *pool;
    struct leat_batch *batch;
    assert_int_equal(leat__pool_new(1, &pool), 0);
    for (; from < to; from++) {
        assert_int_equal(leat__batch_get(pool, harness_order_type(), &batch), 0);
        fill_order(batch, from);
        const size_t len = leat_record_print(leat_batch_at(batch, 0), batch->type, line, sizeof line);
        assert_true(len < sizeof line);
        leat__strbuf_add(out, line, len);
        leat__strbuf_char(out, '\n');
        leat__batch_release(batch);
    }
    leat__pool_free(pool);
}

void harness_container(
    struct leat_strbuf *out, int64_t from, uint32_t count, uint32_t block_rows, enum leat_codec codec)
{
    static const uint8_t sync[16] = "sixteen bytes...";
    const struct leat_type *type = harness_order_type();
    struct leat_error err = { 0 };
    struct leat_container_writer *writer;
    struct leat_encoder *encoder;
    struct leat_pool *pool;
    struct leat_strbuf rows = { 0 };
    assert_int_equal(leat__pool_new(1, &pool), 0);
    assert_int_equal(leat__encoder_new(type, &encoder, &err), 0);
    assert_int_equal(leat__container_writer_new(type->schema, codec, sync, out, &writer, &err), 0);
    for (uint32_t done = 0; done < count;) {
        uint32_t n = 0;
        leat__strbuf_clear(&rows);
        for (; n < block_rows && done < count; n++, done++) {
            struct leat_batch *batch;
            assert_int_equal(leat__batch_get(pool, type, &batch), 0);
            fill_order(batch, from + done);
            assert_int_equal(leat__encode(encoder, batch, 0, 1, &rows, NULL, &err), 0);
            leat__batch_release(batch);
        }
        assert_int_equal(leat__container_write_block(writer, rows.data, rows.len, n, out, &err), 0);
    }
    leat__strbuf_release(&rows);
    leat__container_writer_free(writer);
    leat__encoder_free(encoder);
    leat__pool_free(pool);
}
