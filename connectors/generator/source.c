/* connectors/generator/source.c -- a source that makes its records.
 *
 * Split k of n makes the indexes k, k + n, k + 2n, ... below `count`; `next` is the next one, and the
 * position. With a rate, index i is due at start + i / rate on the context's clock: the splits keep to one
 * timetable without knowing each other. A reader that was held up catches up; one that continues in the
 * middle takes its first index as due now. */
#include "topology/declare.h"
#include "topology/source.h"
#include <leat/generator.h>
#include <stdio.h>

#define RATE_MAX UINT64_C(1000000000)
/* Rows that come closer together than this are made in one go: a source must not wake for each. */
#define WAIT_US_MIN 1000

struct generator {
    const struct leat_generator_fn *fn;
    uint64_t seed;
    uint64_t end; /* index behind the last; UINT64_MAX: none */
    uint64_t rate_per_s;
    uint32_t splits;
};

struct generator_reader {
    struct leat_reader reader; /* first: what the runtime knows */
    const struct generator *spec;
    uint64_t next;
    uint64_t first; /* index that was due at start_us */
    int64_t start_us;
    bool started;
};

static struct generator_reader *self(struct leat_reader *reader)
{
    return (struct generator_reader *)(void *)reader;
}

static int generator_list_splits(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err)
{
    const struct generator *g = node->spec;
    (void)env;
    for (uint32_t k = 0; k < g->splits; k++) {
        char id[32];
        (void)snprintf(id, sizeof id, "%u/%u", k, g->splits);
        struct leat_split *split = leat__split_add(list, id);
        if (!split)
            return leat__error(err, LEAT_ENOMEM, "out of memory for the list of %u splits", g->splits);
        split->from = k;
        split->to = g->end;
    }
    return 0;
}

static int generator_open(struct leat_reader *reader)
{
    struct generator_reader *r = self(reader);
    r->spec = reader->node->spec;
    r->next = reader->split->from;
    return 0;
}

/* Behind the last index that is due; UINT64_MAX without a rate. */
static uint64_t due_end(struct generator_reader *r)
{
    const struct generator *g = r->spec;
    struct leat__ctx *ctx = r->reader.ctx;
    if (g->rate_per_s == 0)
        return UINT64_MAX;
    const int64_t now_us = ctx->api->now_us(ctx);
    if (!r->started) {
        r->started = true;
        r->start_us = now_us;
        r->first = r->next - r->next % g->splits; /* all splits count from the same index */
    }
    const uint64_t passed_us = now_us > r->start_us ? (uint64_t)(now_us - r->start_us) : 0;
    const unsigned __int128 due = (unsigned __int128)passed_us * g->rate_per_s / 1000000 + r->first + 1;
    return due > UINT64_MAX ? UINT64_MAX : (uint64_t)due;
}

/* When to ask again for an index that is not due. */
static int64_t wake_for(const struct generator_reader *r, uint64_t index, int64_t now_us)
{
    const uint64_t rate = r->spec->rate_per_s;
    const unsigned __int128 in_us = ((unsigned __int128)(index - r->first) * 1000000 + rate - 1) / rate;
    int64_t due_us;
    if (in_us > INT64_MAX || __builtin_add_overflow(r->start_us, (int64_t)in_us, &due_us))
        return LEAT_TIME_MAX;
    return due_us > now_us + WAIT_US_MIN ? due_us : now_us + WAIT_US_MIN;
}

static int generator_read(struct leat_reader *reader, struct leat_batch *batch)
{
    struct generator_reader *r = self(reader);
    const struct generator *g = r->spec;
    struct leat__ctx *ctx = reader->ctx;
    if (r->next >= g->end)
        return LEAT_READ_END;
    const uint64_t due = due_end(r);
    const uint64_t end = due < g->end ? due : g->end;
    if (r->next >= end) {
        reader->wake_us = wake_for(r, r->next, ctx->api->now_us(ctx));
        return LEAT_READ_WAIT;
    }
    const uint64_t left = (end - r->next - 1) / g->splits + 1;
    const uint32_t rows = left < batch->capacity ? (uint32_t)left : batch->capacity;
    leat__batch_rows(batch, rows);
    leat__ctx_begin(ctx, batch, batch);
    g->fn->generate(&ctx->user, g->seed, r->next, g->splits, batch);
    LEAT_TRY(leat__ctx_end(ctx, batch, batch));
    if (__builtin_add_overflow(r->next, (uint64_t)rows * g->splits, &r->next))
        r->next = UINT64_MAX;
    return r->next >= g->end ? LEAT_READ_END : LEAT_READ_ROWS;
}

static int generator_position(struct leat_reader *reader, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, "%llu", (unsigned long long)self(reader)->next);
    return out->failed ? leat__fail(reader->ctx, LEAT_ENOMEM, "out of memory for a position") : 0;
}

static int generator_seek(struct leat_reader *reader, const char *position, size_t len)
{
    struct generator_reader *r = self(reader);
    uint64_t next = 0;
    bool good = len > 0;
    for (size_t i = 0; good && i < len; i++) {
        good = position[i] >= '0' && position[i] <= '9' && !__builtin_mul_overflow(next, 10u, &next) &&
            !__builtin_add_overflow(next, (unsigned)(position[i] - '0'), &next);
    }
    if (!good || (next != UINT64_MAX && next % r->spec->splits != reader->split->from))
        return leat__fail(reader->ctx, LEAT_EDATA,
            "split %s: \"%.*s\" is no index of it: was it made with another number of splits?",
            reader->split->id, (int)(len < 100 ? len : 100), position);
    r->next = next;
    r->started = false;
    return 0;
}

static void generator_close(struct leat_reader *reader)
{
    (void)reader; /* holds nothing */
}

static const struct leat_source_class generator_source_class = {
    .kind = "generator source",
    .reader_size = sizeof(struct generator_reader),
    .list_splits = generator_list_splits,
    .open = generator_open,
    .read = generator_read,
    .position = generator_position,
    .seek = generator_seek,
    .close = generator_close,
};

leat_stream *leat_generator_source_sized(
    leat_topology *t, const char *name, const struct leat_generator_source_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, generator_source_class.kind);
    struct leat_generator_source_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct generator *g = leat__spec(node, sizeof *g);
    const struct leat_type *type = o.fn ? o.fn->out : NULL;
    if (!g || !opts)
        return leat__stream(node, 0);
    if (!o.fn || !o.fn->generate)
        leat__declare_error(node, "fn", LEAT_EDECLARE,
            "missing: a function that fills records, such as &make_order_generator (see "
            "LEAT_DEFINE_GENERATOR)");
    if (o.rate_per_s > RATE_MAX)
        leat__declare_error(node, "rate_per_s", LEAT_EDECLARE,
            "%llu is more than %llu: leave it out for no limit", (unsigned long long)o.rate_per_s,
            (unsigned long long)RATE_MAX);
    if (o.splits > LEAT_SPLITS_MAX)
        leat__declare_error(node, "splits", LEAT_ELIMIT, "%u are more than %u", o.splits, LEAT_SPLITS_MAX);
    *g = (struct generator){ .fn = o.fn,
        .seed = o.seed,
        .end = o.count ? o.count : UINT64_MAX,
        .rate_per_s = o.rate_per_s,
        .splits = o.splits ? o.splits : 1 };
    leat__output(node, type, NULL);
    leat__source_time(
        node, type, o.event_time, o.max_out_of_orderness_us, o.idle_timeout_us, o.max_ahead_us, o.on_error);
    leat__source_align(node, o.align, o.max_drift_us);
    node->source = &generator_source_class;
    node->spec = g;
    node->detail = o.count
        ? leat__spec_printf(node, "%s, %llu records", o.fn ? o.fn->name : "", (unsigned long long)o.count)
        : leat__spec_printf(node, "%s, without end", o.fn ? o.fn->name : "");
    return leat__stream(node, 0);
}
