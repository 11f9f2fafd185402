/* connectors/memory/sink.c -- a sink into a collector, into an encoder, or into nothing.
 *
 * Collecting: an instance copies its rows into a part of its own. `prepare` makes a handle of the part, that
 * is its address: memory does not outlive the process, so nobody else can be asked to commit it. Commit gives
 * the part to the collector, discard frees it; a part without a handle goes with the instance. */
#include "base/alloc.h"
#include "connectors/memory/collector_private.h"
#include "record/avro.h"
#include "topology/declare.h"
#include "topology/sink.h"

struct memory_target {
    leat_collector *into; /* NULL: count only */
    bool encode;
    bool is_timed; /* the input has event time */
    const struct leat_type *type;
};

struct memory_sink {
    struct leat_sink sink; /* first: what the runtime knows */
    const struct memory_target *target;
    struct leat_copier *copier;
    struct leat_collector_part *part; /* rows since the last prepare; NULL: none */
    struct leat_encoder *encoder;
    struct leat_strbuf encoded;
};

static struct memory_sink *self(struct leat_sink *sink)
{
    return (struct memory_sink *)(void *)sink;
}

static int memory_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct memory_sink *s = self(sink);
    s->target = sink->node->spec;
    if (s->target->into && leat__copier_new(s->target->type, &s->copier) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for copying records");
    if (s->target->encode && leat__encoder_new(s->target->type, &s->encoder, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static int collect(struct memory_sink *s, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    if (!s->part)
        s->part = leat__collector_part_new(s->sink.node->id, ctx->subtask);
    if (!s->part || leat__collector_part_add(s->part, s->copier, s->target->is_timed, batch) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for the records that it collects");
    return 0;
}

static int encode(struct memory_sink *s, struct leat__ctx *ctx, const struct leat_batch *batch)
{
    uint32_t from = 0;
    leat__ctx_begin(ctx, batch, NULL);
    leat__strbuf_clear(&s->encoded);
    while (from < batch->count) {
        uint32_t done = 0;
        const int code =
            leat__encode(s->encoder, batch, from, batch->count - from, &s->encoded, &done, ctx->error);
        if (code < 0 && code != LEAT_EDATA)
            return leat__fail_here(ctx);
        from += done;
        if (code == LEAT_EDATA)
            leat__ctx_refuse(ctx, from++, "%s", ctx->error->message);
    }
    leat__count(&ctx->counters->bytes_out, s->encoded.len);
    return leat__ctx_end(ctx, batch, NULL);
}

static int memory_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct memory_sink *s = self(sink);
    int code = 0;
    if (s->target->into)
        code = collect(s, ctx, batch);
    else if (s->target->encode)
        code = encode(s, ctx, batch);
    leat__batch_release(batch);
    return code;
}

static int memory_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    (void)last;
    struct memory_sink *s = self(sink);
    if (!s->part)
        return 0;
    s->part->epoch = epoch;
    if (leat__handle_add(handles, sink->node, &s->part, sizeof s->part) < 0)
        return leat__fail(ctx, LEAT_ENOMEM, "out of memory for its commit");
    s->part = NULL;
    return 0;
}

static void memory_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    struct memory_sink *s = self(sink);
    (void)ctx;
    leat__collector_part_free(s->part);
    leat__copier_free(s->copier);
    leat__encoder_free(s->encoder);
    leat__strbuf_release(&s->encoded);
    s->part = NULL;
    s->copier = NULL;
    s->encoder = NULL;
}

static int read_handle(
    const char *handle, size_t len, struct leat_collector_part **part, struct leat_error *err)
{
    if (len != sizeof *part)
        return leat__error(err, LEAT_EDATA, "a commit handle of %zu bytes that no memory sink has made", len);
    memcpy(part, handle, sizeof *part);
    return 0;
}

static int memory_commit(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    const struct memory_target *target = node->spec;
    struct leat_collector_part *part = NULL;
    (void)env;
    LEAT_TRY(read_handle(handle, len, &part, err));
    leat__collector_give(target->into, part);
    return 0;
}

static int memory_discard(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    struct leat_collector_part *part = NULL;
    (void)node;
    (void)env;
    LEAT_TRY(read_handle(handle, len, &part, err));
    if (!part->given) /* else another handle's commit has failed: what was given stays */
        leat__collector_part_free(part);
    return 0;
}

static const struct leat_sink_class memory_sink_class = {
    .kind = "memory sink",
    .size = sizeof(struct memory_sink),
    .is_volatile = true,
    .open = memory_open,
    .on_batch = memory_on_batch,
    .prepare = memory_prepare,
    .close = memory_close,
    .commit = memory_commit,
    .discard = memory_discard,
};

void leat_memory_sink_sized(
    leat_stream *in, const char *name, const struct leat_memory_sink_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, memory_sink_class.kind);
    struct leat_memory_sink_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct memory_target *target = leat__spec(node, sizeof *target);
    leat__takes_changes(node, 0);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    if (!target)
        return;
    const struct leat_type *type = leat__input_type(node, 0);
    if (o.into && o.encode)
        leat__declare_error(
            node, "encode", LEAT_EDECLARE, "drops the records, but .into wants to keep them: leave one out");
    if (o.encode && leat__input_changes(node, 0))
        leat__declare_error(node, "encode", LEAT_EDECLARE,
            "the bytes of a record do not say whether it takes another one back: put leat_changelog before "
            "it");
    if (o.encode && type && !type->schema)
        leat__declare_error(node, "encode", LEAT_EUNSUPPORTED,
            "the records of its input (%s) have no Avro schema: map them to a type with one", type->name);
    if (o.into && type && !leat__collector_accepts(o.into, type))
        leat__declare_error(node, "into", LEAT_EDECLARE,
            "the collector has records of another type than %s already: make one for each type", type->name);
    *target = (struct memory_target){ .into = o.into, .encode = o.encode, .type = type };
    target->is_timed = type && in->node->outputs[in->port].has_event_time;
    node->sink = &memory_sink_class;
    node->spec = target;
    node->detail = o.encode ? "encode and drop" : o.into ? "collect" : "count";
}
