/* tests/differential/oracle_group.c -- aggregates over all records of a key so far, as changes (semantics 34, 38). */
#include "tests/differential/oracle_private.h"
#include <stdlib.h>
#include <string.h>

struct group {
    const struct diff_row *key;
    const struct event **rows;
    size_t count;
    const struct diff_out *last; /* what was given; NULL: nothing, or it was deleted */
};

static bool same_text(bool has_a, struct leat_sv a, bool has_b, struct leat_sv b)
{
    return has_a == has_b && (!has_a || leat_sv_eq(a, b));
}

bool same_row(const struct diff_row *a, const struct diff_row *b)
{
    return a->has_k1 == b->has_k1 && (!a->has_k1 || a->k1 == b->k1) &&
        same_text(a->has_k2, a->k2, b->has_k2, b->k2) && a->has_v == b->has_v &&
        (!a->has_v || a->v == b->v) && a->has_d == b->has_d &&
        (!a->has_d || memcmp(&a->d, &b->d, sizeof a->d) == 0) && same_text(a->has_s, a->s, b->has_s, b->s) &&
        a->has_b == b->has_b && (!a->has_b || a->b == b->b) && a->gap == b->gap;
}

/* Whether two results show the same. */
static bool same_result(const struct diff_out *a, const struct diff_out *b)
{
    for (uint32_t f = 0; f < diff_out_type.fields_count; f++) {
        const struct leat_field *field = &diff_out_type.fields[f];
        const char *x = (const char *)a + field->offset, *y = (const char *)b + field->offset;
        if (*((const bool *)a + field->has_offset) != *((const bool *)b + field->has_offset))
            return false;
        if (!*((const bool *)a + field->has_offset))
            continue;
        if (field->type->kind == LEAT_KIND_STRING) {
            if (!leat_sv_eq(
                    *(const struct leat_sv *)(const void *)x, *(const struct leat_sv *)(const void *)y))
                return false;
        } else if (field->type->kind == LEAT_KIND_ARRAY) {
            const struct leat_array *p = (const void *)x, *q = (const void *)y;
            const size_t size = field->type->item->size;
            if (p->count != q->count)
                return false;
            for (size_t i = 0; i < p->count; i++) {
                const void *m = (const char *)p->items + i * size, *n = (const char *)q->items + i * size;
                if (field->type->item->kind == LEAT_KIND_STRING
                        ? !leat_sv_eq(*(const struct leat_sv *)m, *(const struct leat_sv *)n)
                        : memcmp(m, n, size) != 0)
                    return false;
            }
        } else if (memcmp(x, y, field->type->size) != 0) {
            return false;
        }
    }
    return true;
}

static const struct diff_out *result_of(
    struct oracle *o, const struct plan_node *node, const struct group *group)
{
    struct diff_out *out = oracle_alloc(o, sizeof *out);
    const bool by_k1 = node->keys & PLAN_BY_K1, by_k2 = node->keys & PLAN_BY_K2;
    const bool zero = o->mistake == MISTAKE_NULL_KEY_IS_ZERO;
    *out = (struct diff_out){ .has_k1 = by_k1 && (zero || group->key->has_k1),
        .k1 = by_k1 && group->key->has_k1 ? group->key->k1 : 0,
        .has_k2 = by_k2 && group->key->has_k2,
        .k2 = group->key->k2 };
    oracle_fold(o, node, group->rows, group->count, out);
    return out;
}

/* The row goes, or an equal one of those that came; false where there is none. */
static bool take_back(struct oracle *o, struct group *group, const struct event *event)
{
    if (o->mistake == MISTAKE_RETRACTIONS_IGNORED)
        return true;
    for (size_t i = group->count; i-- > 0;)
        if (same_row(group->rows[i]->record, event->record)) {
            memmove(group->rows + i, group->rows + i + 1, (group->count - i - 1) * sizeof *group->rows);
            group->count--;
            return true;
        }
    return false;
}

static void give(
    struct stream *out, const struct event *cause, const struct diff_out *record, enum leat_change change)
{
    oracle_push(out,
        &(struct event){ .kind = EVENT_ROW,
            .step = cause->step,
            .record = record,
            .at = cause->at,
            .w = cause->w,
            .change = change });
}

static void change_group(struct oracle *o, const struct plan_node *node, struct group *group,
    const struct event *event, struct stream *out)
{
    const bool back = event->change == LEAT_UPDATE_BEFORE || event->change == LEAT_DELETE;
    if (back ? !take_back(o, group, event) : false)
        return;
    if (!back)
        group->rows[group->count++] = event;
    if (group->count == 0) {
        if (group->last)
            give(out, event, group->last, LEAT_DELETE);
        group->last = NULL;
        return;
    }
    const struct diff_out *now = result_of(o, node, group);
    if (group->last && same_result(group->last, now))
        return;
    if (group->last)
        give(out, event, group->last, LEAT_UPDATE_BEFORE);
    give(out, event, now, group->last ? LEAT_UPDATE_AFTER : LEAT_INSERT);
    group->last = now;
}

static struct group *find(struct oracle *o, const struct plan_node *node, struct group *groups, size_t *count,
    const struct stream *in, const struct diff_row *row)
{
    for (size_t i = 0; i < *count; i++)
        if (same_key(o, node->keys, groups[i].key, row))
            return &groups[i];
    groups[*count] =
        (struct group){ .key = row, .rows = oracle_alloc(o, (in->count + 1) * sizeof(const struct event *)) };
    return &groups[(*count)++];
}

void oracle_group(struct oracle *o, const struct plan_node *node, size_t stream)
{
    const struct stream *in = &o->streams[node->in];
    struct stream *out = &o->streams[stream];
    struct group *groups = calloc(in->count + 1, sizeof *groups);
    size_t count = 0;
    if (!groups)
        abort();
    for (size_t i = 0; i < in->count; i++) {
        const struct event *event = &in->events[i];
        if (event->kind == EVENT_ROW)
            change_group(o, node, find(o, node, groups, &count, in, event->record), event, out);
        else
            oracle_push(out, event);
    }
    free(groups);
    const bool exact = in->in_order && node->count == 0;
    out->in_order = o->paced && exact;
    out->sources = in->sources;
    out->unsure = in->unsure ||
        (oracle_is_order_bound(node) && (!in->in_order || plan_gives_changes(o->plan, (size_t)node->in)));
    out->behind = in->behind;
    struct oracle_sink *sink = oracle_sink(o, "out", stream, true);
    oracle_sink_stream(o, sink, out);
    sink->node = node;
    if (sink->level == ORACLE_EXACT && !exact)
        sink->level = ORACLE_FINAL;
}
