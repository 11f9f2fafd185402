/* runtime/endpoints.c -- see the header. Records are self-contained copies (record/copy.h) behind a small
 * header. */
#include "runtime/endpoints.h"
#include "base/alloc.h"
#include <stdio.h>

#define HEADER_BYTES 32u /* room for either header; keeps the record aligned to 16 */
_Static_assert(sizeof(struct leat_pipe_record) <= HEADER_BYTES, "header");
_Static_assert(sizeof(struct leat_tray_record) <= HEADER_BYTES, "header");

struct pipe_reader {
    struct leat_reader reader; /* first */
    struct leat_endpoint *endpoint;
    struct leat_pipe *pipe;
};

struct tray_sink {
    struct leat_sink sink; /* first */
    struct leat_endpoint *endpoint;
};

static void *record_of(void *header)
{
    return (unsigned char *)header + HEADER_BYTES;
}

const void *leat__tray_record(const struct leat_tray_record *record)
{
    return (const unsigned char *)record + HEADER_BYTES;
}

static void *copy_record(struct leat_endpoint *endpoint, const void *record)
{
    unsigned char *memory = leat__calloc(1, HEADER_BYTES + leat__copy_size(endpoint->copier, record));
    if (memory)
        leat__copy_to(endpoint->copier, record, memory + HEADER_BYTES);
    return memory;
}

static void free_pipe(struct leat_pipe *pipe)
{
    while (pipe->first) {
        struct leat_pipe_record *next = pipe->first->next;
        leat__free(pipe->first);
        pipe->first = next;
    }
    pipe->last = NULL;
}

static void free_tray(struct leat_tray_record *record)
{
    while (record) {
        struct leat_tray_record *next = record->next;
        leat__free(record);
        record = next;
    }
}

void leat__endpoints_free(struct leat_endpoints *endpoints)
{
    if (!endpoints)
        return;
    for (uint32_t i = 0; i < endpoints->count; i++) {
        struct leat_endpoint *endpoint = &endpoints->list[i];
        for (uint32_t s = 0; s < LEAT_TEST_SPLITS_MAX; s++)
            free_pipe(&endpoint->pipes[s]);
        free_tray(endpoint->first);
        free_tray(endpoint->read);
        leat__copier_free(endpoint->copier);
    }
    leat__free(endpoints->list);
    leat__free(endpoints);
}

int leat__endpoints_new(const struct leat_plan *plan, uint32_t splits, struct leat_endpoints **out)
{
    struct leat_endpoints *endpoints = leat__calloc(1, sizeof *endpoints);
    if (!endpoints)
        return LEAT_ENOMEM;
    endpoints->splits = splits;
    endpoints->list = leat__calloc(plan->nodes_count, sizeof *endpoints->list);
    int result = endpoints->list ? 0 : LEAT_ENOMEM;
    for (uint32_t n = 0; result == 0 && n < plan->nodes_count; n++) {
        const struct leat_node *node = plan->nodes[n].node;
        if (node->kind == LEAT_NODE_OPERATOR)
            continue;
        struct leat_endpoint *endpoint = &endpoints->list[endpoints->count++];
        const struct leat_input *input = &node->inputs[0];
        endpoint->node = node;
        endpoint->type =
            node->kind == LEAT_NODE_SOURCE ? node->outputs[0].type : input->from->outputs[input->port].type;
        result = leat__copier_new(endpoint->type, &endpoint->copier);
    }
    if (result < 0) {
        leat__endpoints_free(endpoints);
        return result;
    }
    *out = endpoints;
    return 0;
}

static struct leat_endpoint *find_node(struct leat_endpoints *endpoints, const struct leat_node *node)
{
    for (uint32_t i = 0; i < endpoints->count; i++)
        if (endpoints->list[i].node == node)
            return &endpoints->list[i];
    return NULL;
}

struct leat_endpoint *leat__endpoint_find(
    struct leat_endpoints *endpoints, const char *name, enum leat_node_kind kind)
{
    for (uint32_t i = 0; i < endpoints->count; i++)
        if (endpoints->list[i].node->kind == kind && strcmp(endpoints->list[i].node->name, name) == 0)
            return &endpoints->list[i];
    return NULL;
}

int leat__endpoint_put(struct leat_endpoint *endpoint, uint32_t split, const void *record)
{
    struct leat_pipe *pipe = &endpoint->pipes[split];
    struct leat_pipe_record *copy = copy_record(endpoint, record);
    if (!copy)
        return LEAT_ENOMEM;
    if (pipe->last)
        pipe->last->next = copy;
    else
        pipe->first = copy;
    pipe->last = copy;
    return 0;
}

static struct leat_endpoints *endpoints_of(const struct leat__ctx *ctx)
{
    const struct leat_instance *inst = ctx->host;
    return inst->worker->job->endpoints;
}

int leat__endpoints_list_splits(const struct leat_endpoints *endpoints, struct leat_split_list *list)
{
    for (uint32_t i = 0; i < endpoints->splits; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "pipe-%u", i);
        struct leat_split *split = leat__split_add(list, id);
        if (!split)
            return LEAT_ENOMEM;
        split->from = i;
    }
    return 0;
}

static int pipe_open(struct leat_reader *reader)
{
    struct pipe_reader *self = (struct pipe_reader *)reader;
    self->endpoint = find_node(endpoints_of(reader->ctx), reader->node);
    self->pipe = &self->endpoint->pipes[reader->split->from];
    return 0;
}

static int pipe_read(struct leat_reader *reader, struct leat_batch *batch)
{
    struct pipe_reader *self = (struct pipe_reader *)reader;
    struct leat_pipe *pipe = self->pipe;
    while (pipe->first && batch->count < batch->capacity) {
        struct leat_pipe_record *record = pipe->first;
        if (leat__copy_push(self->endpoint->copier, batch, record_of(record)) < 0)
            return leat__error(reader->ctx->error, LEAT_ENOMEM, "out of memory for a record");
        pipe->first = record->next;
        if (!pipe->first)
            pipe->last = NULL;
        leat__free(record);
        pipe->taken++;
    }
    if (pipe->first)
        return LEAT_READ_ROWS;
    if (pipe->ended)
        return LEAT_READ_END;
    reader->wake_us = LEAT_TIME_MAX; /* the kit wakes it by putting something in */
    return LEAT_READ_WAIT;
}

static int pipe_position(struct leat_reader *reader, struct leat_strbuf *out)
{
    (void)out;
    return leat__error(reader->ctx->error, LEAT_EUNSUPPORTED, "the test kit's pipes have no positions");
}

static int pipe_seek(struct leat_reader *reader, const char *position, size_t len)
{
    (void)position;
    (void)len;
    return leat__error(reader->ctx->error, LEAT_EUNSUPPORTED, "the test kit's pipes have no positions");
}

static void pipe_close(struct leat_reader *reader)
{
    (void)reader;
}

static int64_t pipe_row_position(
    const struct leat_reader *reader, const struct leat_batch *batch, uint32_t row)
{
    const struct pipe_reader *self = (const struct pipe_reader *)reader;
    return self->pipe->taken - batch->count + row;
}

const struct leat_source_class leat__pipe_source_class = {
    .kind = "test pipe",
    .reader_size = sizeof(struct pipe_reader),
    .open = pipe_open,
    .read = pipe_read,
    .position = pipe_position,
    .seek = pipe_seek,
    .close = pipe_close,
    .row_position = pipe_row_position,
};

static int tray_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    ((struct tray_sink *)sink)->endpoint = find_node(endpoints_of(ctx), sink->node);
    return 0;
}

static int tray_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct leat_endpoint *endpoint = ((struct tray_sink *)sink)->endpoint;
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < batch->count; i++) {
        struct leat_tray_record *record = copy_record(endpoint, leat_batch_at(batch, i));
        if (!record) {
            result = leat__fail(ctx, LEAT_ENOMEM, "out of memory for a record");
            break;
        }
        record->event_us = batch->event_us[i];
        record->change = leat__batch_change(batch, i);
        if (endpoint->last)
            endpoint->last->next = record;
        else
            endpoint->first = record;
        endpoint->last = record;
        endpoint->waiting++;
    }
    leat__batch_release(batch);
    return result;
}

static int tray_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    (void)last;
    (void)sink;
    (void)ctx;
    (void)epoch;
    (void)handles;
    return 0; /* records are in the tray already */
}

static void tray_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)sink;
    (void)ctx;
}

const struct leat_sink_class leat__tray_sink_class = {
    .kind = "test tray",
    .size = sizeof(struct tray_sink),
    .open = tray_open,
    .on_batch = tray_on_batch,
    .prepare = tray_prepare,
    .close = tray_close,
};
