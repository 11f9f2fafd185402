/* tests/support/epochs_sink.c -- see the header. The snapshot is the number of epochs that an instance has
 * closed, so that a restore has something to check. */
#include "tests/support/epochs_sink.h"
#include "tests/support/unit.h"
#include "topology/declare.h"
#include "topology/sink.h"
#include <string.h>

#define LINE_BYTES 256u

struct epochs_sink {
    struct leat_sink sink; /* first */
    struct epochs *epochs;
    struct leat_strbuf rows; /* of the open epoch */
    uint64_t closed;
};

static int open_sink(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)ctx;
    ((struct epochs_sink *)sink)->epochs = *(struct epochs *const *)sink->node->spec;
    return 0;
}

static int on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct epochs_sink *self = (struct epochs_sink *)sink;
    char text[LINE_BYTES];
    for (uint32_t i = 0; i < batch->count; i++) {
        self->epochs->print(leat_batch_at(batch, i), batch->event_us[i], text, sizeof text);
        leat__strbuf_printf(&self->rows, "%s%s\n", self->epochs->word ? self->epochs->word : "", text);
    }
    leat__batch_release(batch);
    return self->rows.failed ? leat__fail(ctx, LEAT_ENOMEM, "out of memory for rows") : 0;
}

static int prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    struct epochs_sink *self = (struct epochs_sink *)sink;
    (void)epoch;
    (void)last;
    if (self->epochs->prepare_result < 0)
        return leat__fail(ctx, self->epochs->prepare_result, "the test says no");
    self->closed++;
    if (self->rows.len == 0)
        return 0;
    const int result = leat__handle_add(handles, sink->node, self->rows.data, self->rows.len);
    leat__strbuf_clear(&self->rows);
    return result;
}

static int snapshot(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_strbuf *out)
{
    (void)ctx;
    leat__strbuf_printf(out, "%llu", (unsigned long long)((struct epochs_sink *)sink)->closed);
    return 0;
}

static int restore(struct leat_sink *sink, struct leat__ctx *ctx, const struct leat_sv *parts, uint32_t count)
{
    struct epochs_sink *self = (struct epochs_sink *)sink;
    (void)ctx;
    assert_true(count > 0);
    for (uint32_t i = 0; i < count; i++)
        self->closed += (uint64_t)(parts[i].data[0] - '0');
    assert_true(self->closed > 0);
    return 0;
}

static void close_sink(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)ctx;
    leat__strbuf_release(&((struct epochs_sink *)sink)->rows);
}

static int commit(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    struct epochs *epochs = *(struct epochs *const *)node->spec;
    (void)env;
    (void)err;
    epochs->commits++;
    for (const char *at = handle; at < handle + len;) {
        const char *end = memchr(at, '\n', (size_t)(handle + len - at));
        lines_add(&epochs->committed, "%.*s", (int)(end - at), at);
        at = end + 1;
    }
    return 0;
}

static int discard(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    (void)node;
    (void)env;
    (void)handle;
    (void)len;
    (void)err;
    return 0;
}

static const struct leat_sink_class sink_class = { .kind = "epochs sink",
    .size = sizeof(struct epochs_sink),
    .open = open_sink,
    .on_batch = on_batch,
    .prepare = prepare,
    .snapshot = snapshot,
    .restore = restore,
    .close = close_sink,
    .commit = commit,
    .discard = discard };

void epochs_sink(leat_stream *in, const char *name, struct epochs *epochs)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, sink_class.kind);
    struct epochs **spec = leat__spec(node, sizeof *spec);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    if (spec) {
        *spec = epochs;
        node->spec = spec;
    }
    node->sink = &sink_class;
}
