/* operators/aggregate_trace.c -- trace links: a sample of the traces that a result comes from.
 *
 * The n different traceparents with the least hash, of those that are sampled: to others no tracing system has anything to link.
 * Which ones that are depends on what came alone, not on its order, on workers or on batches; and two samples make one by
 * taking the least of both. An accumulator is plain bytes, without blobs. */
#include "base/hash.h"
#include "operators/aggregate_class_private.h"
#include "record/trace_context.h"

struct link {
    uint64_t hash;
    struct leat_traceparent parent; /* 25 bytes */
    uint8_t unused[7]; /* zero */
};
_Static_assert(sizeof(struct link) == 40, "links are in checkpoints as they are");

struct sample {
    uint64_t count;
    struct link links[]; /* agg->n; rising by hash, then ids; none twice */
};

/* Where no accumulator of a value has memory nobody checks what was read back: links beyond the last must not be met. */
static uint64_t count_of(const struct leat__agg *agg, const struct sample *sample)
{
    return sample->count < agg->n ? sample->count : agg->n;
}

/* By trace and span: flags are no part of what is linked to. */
static int order(const struct link *a, const struct link *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return memcmp(&a->parent, &b->parent, LEAT_TRACE_ID_BYTES + LEAT_TRACE_SPAN_BYTES);
}

static void put(const struct leat__agg *agg, struct sample *sample, const struct link *link)
{
    const uint64_t count = count_of(agg, sample);
    uint64_t at = count;
    if (at == agg->n && order(link, &sample->links[at - 1]) > 0)
        return;
    while (at > 0 && order(link, &sample->links[at - 1]) < 0)
        at--;
    if (at > 0 && order(link, &sample->links[at - 1]) == 0) {
        sample->links[at - 1].parent.flags |= link->parent.flags; /* whoever came first */
        return;
    }
    if (at == agg->n)
        return;
    const uint64_t kept = count < agg->n ? count : agg->n - 1;
    memmove(&sample->links[at + 1], &sample->links[at], (kept - at) * sizeof *link);
    sample->links[at] = *link;
    sample->count = kept + 1;
}

static int add_trace(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_ANY(pass, agg, struct sample, in, acc, code, struct link link = { .hash = 0 };
             if (!leat__traceparent_read(in.text, &link.parent) ||
                 !(link.parent.flags & LEAT_TRACE_SAMPLED)) continue;
             link.hash = leat__hash(&link.parent, LEAT_TRACE_ID_BYTES + LEAT_TRACE_SPAN_BYTES);
             put(agg, acc, &link););
    return 0;
}

static int combine_trace(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct sample *other = from;
    (void)mem;
    for (uint64_t i = 0; i < count_of(agg, other); i++)
        put(agg, into, &other->links[i]);
    return 0;
}

static int show_trace(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct sample *sample = accumulator;
    const size_t size = agg->out.type->item->size;
    const uint64_t count = count_of(agg, sample);
    char *text = leat__batch_alloc(show->out, count * LEAT_TRACEPARENT_CHARS + 1, 1);
    unsigned char *items;
    if (!text)
        return LEAT_ENOMEM;
    LEAT_TRY(leat__array_show(agg, show, count, &items));
    for (uint64_t i = 0; i < count; i++, text += LEAT_TRACEPARENT_CHARS) {
        leat__traceparent_print(&sample->links[i].parent, text);
        leat__out_set_view(items + i * size, &agg->item, (struct leat_sv){ text, LEAT_TRACEPARENT_CHARS });
    }
    return 0;
}

/* Of bytes that were read back: `count` is what everything else trusts in. */
static bool check_trace(const struct leat__agg *agg, const void *accumulator)
{
    const struct sample *sample = accumulator;
    if (sample->count > agg->n)
        return false;
    for (uint64_t i = 1; i < sample->count; i++)
        if (order(&sample->links[i - 1], &sample->links[i]) >= 0)
            return false;
    return true;
}

static const struct leat__agg_class trace_class = {
    .name = "trace_links",
    .add = add_trace,
    .combine = combine_trace,
    .result = show_trace,
    .check = check_trace,
};

bool leat__agg_choose_trace(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    return agg->of_class == LEAT_VALUE_STRING &&
        leat__agg_set_family(
            agg, &trace_class, sizeof(struct sample) + agg->n * sizeof(struct link), LEAT__GIVES_VALUES);
}
