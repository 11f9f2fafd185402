/* tests/support/growing.c -- see the header. A position is the index of the next row, a split's begin likewise. */
#include "tests/support/growing.h"
#include "tests/support/unit.h"
#include "topology/declare.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct growing_reader {
    struct leat_reader reader; /* first */
    struct growing *growing;
    const struct growing_partition *partition;
    uint64_t number; /* of the partition */
    uint32_t next;
};

static struct growing_reader *self(struct leat_reader *reader)
{
    return (struct growing_reader *)(void *)reader;
}

static struct growing *spec_of(const struct leat_node *node)
{
    return *(struct growing *const *)node->spec;
}

static int64_t now_us(struct growing *growing, struct leat_env *env)
{
    if (growing->by_hand)
        return 0; /* threads have no time */
    const int64_t us = growing->base_us + env->mono_ns(env) / 1000;
    growing->last_us = us > growing->last_us ? us : growing->last_us;
    return us;
}

static uint32_t rows_at(const struct growing_partition *partition, int64_t us)
{
    uint32_t count = 0;
    while (count < partition->count && partition->rows[count].come_us <= us)
        count++;
    return count;
}

static int list_splits(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err)
{
    struct growing *growing = spec_of(node);
    for (uint32_t i = 0; i < growing->count; i++) {
        char id[16];
        if (growing->partitions[i].exists_us > now_us(growing, env))
            continue;
        (void)snprintf(id, sizeof id, "log/%u", i);
        struct leat_split *split = leat__split_add(list, id);
        if (!split)
            return leat__error(err, LEAT_ENOMEM, "out of memory for splits");
        split->from = i;
        split->begin = leat__arena_printf(
            &list->arena, "%u", growing->latest ? rows_at(&growing->partitions[i], now_us(growing, env)) : 0);
    }
    return 0;
}

static int discover(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err)
{
    struct growing *growing = spec_of(node);
    growing->discoveries++;
    if (growing->discover_result < 0)
        return leat__error(err, growing->discover_result, "the log says no");
    const int result = list_splits(node, env, list, err);
    for (uint32_t i = 0; i < list->count; i++)
        list->splits[i].begin = NULL; /* who comes later is read from its beginning */
    return result;
}

static int publish(const struct leat_node *node, struct leat_env *env, const struct leat_published *what,
    void **held, struct leat_error *err)
{
    struct growing *growing = spec_of(node);
    char text[512];
    int len = snprintf(text, sizeof text, "%llu:", (unsigned long long)what->checkpoint);
    (void)env;
    *held = growing;
    if (growing->publish_result < 0)
        return leat__error(err, growing->publish_result, "the log does not listen");
    for (uint32_t i = 0; i < what->count; i++)
        len += snprintf(text + len, sizeof text - (size_t)len, " %s=%.*s", what->positions[i].id,
            (int)what->positions[i].position.len, what->positions[i].position.data);
    lines_add(&growing->published, "%s", text);
    return 0;
}

static void unpublish(void *held)
{
    ((struct growing *)held)->unpublished++;
}

static void set_open(struct growing_reader *r, void *reader)
{
    (void)pthread_mutex_lock(&r->growing->lock);
    r->growing->open[r->number] = reader;
    (void)pthread_mutex_unlock(&r->growing->lock);
}

static int open_log(struct leat_reader *reader)
{
    struct growing_reader *r = self(reader);
    r->growing = spec_of(reader->node);
    r->number = reader->split->from;
    r->partition = &r->growing->partitions[r->number];
    set_open(r, r);
    (void)__atomic_add_fetch(
        &r->growing->opened_bare, 1, __ATOMIC_RELAXED); /* readers are on several threads */
    return 0;
}

static void push(struct growing_reader *r, struct leat_batch *batch)
{
    const int64_t at = r->partition->rows[r->next].at;
    struct fact *fact = leat__batch_push(batch);
    fact->has_key = fact->has_at = fact->has_value = true;
    fact->key = (int64_t)r->number;
    fact->at = at;
    fact->value = r->next++;
}

static int read_by_hand(struct growing_reader *r, struct leat_batch *batch)
{
    const uint32_t there = __atomic_load_n(&r->growing->put[r->number], __ATOMIC_SEQ_CST);
    while (r->next < there && batch->count < batch->capacity)
        push(r, batch);
    r->reader.wake_us = LEAT_TIME_MAX;
    return batch->count ? LEAT_READ_ROWS : LEAT_READ_WAIT;
}

static int read_by_clock(struct growing_reader *r, struct leat_batch *batch)
{
    struct leat_env *env = r->reader.ctx->env;
    const int64_t now = now_us(r->growing, env);
    const uint32_t readable = rows_at(r->partition, now - r->growing->fetch_us);
    const uint32_t there = rows_at(r->partition, now);
    while (r->next < readable && batch->count < batch->capacity)
        push(r, batch);
    r->reader.lag = there - r->next;
    if (batch->count)
        return LEAT_READ_ROWS;
    r->reader.has_more = there > r->next;
    r->reader.wake_us = LEAT_TIME_MAX;
    if (r->next < r->partition->count)
        r->reader.wake_us =
            env->wall_us(env) - now + r->partition->rows[r->next].come_us + r->growing->fetch_us;
    return LEAT_READ_WAIT;
}

static int read_log(struct leat_reader *reader, struct leat_batch *batch)
{
    struct growing_reader *r = self(reader);
    struct growing *growing = r->growing;
    const int result = growing->by_hand ? read_by_hand(r, batch) : read_by_clock(r, batch);
    const uint32_t rows = __atomic_add_fetch(&growing->rows_read, batch->count, __ATOMIC_SEQ_CST);
    if (growing->stop_after && rows >= growing->stop_after)
        (growing->cancels ? leat_job_cancel : leat_job_stop)(growing->job);
    return result;
}

static int position(struct leat_reader *reader, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, "%u", self(reader)->next);
    return 0;
}

static int seek_log(struct leat_reader *reader, const char *text, size_t len)
{
    (void)len;
    (void)__atomic_sub_fetch(&self(reader)->growing->opened_bare, 1, __ATOMIC_RELAXED);
    self(reader)->next = (uint32_t)strtoul(text, NULL, 10);
    return 0;
}

static void close_log(struct leat_reader *reader)
{
    struct growing_reader *r = self(reader);
    if (r->growing)
        set_open(r, NULL);
}

static const struct leat_source_class source_class = { .kind = "growing source",
    .reader_size = sizeof(struct growing_reader),
    .list_splits = list_splits,
    .open = open_log,
    .read = read_log,
    .position = position,
    .seek = seek_log,
    .close = close_log,
    .discover = discover,
    .publish = publish,
    .unpublish = unpublish };

leat_stream *growing_source(leat_topology *t, const char *name, struct growing *growing)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, source_class.kind);
    struct growing **spec = leat__spec(node, sizeof *spec);
    assert_non_null(spec);
    *spec = growing;
    node->spec = spec;
    node->source = &source_class;
    node->discover_us = growing->discover_us;
    leat__output(node, &fact_type, NULL);
    leat__source_time(node, &fact_type, "at", 0, growing->idle_timeout_us, 0, LEAT_FAIL);
    return leat__stream(node, 0);
}

void growing_put(struct growing *growing, uint32_t partition)
{
    __atomic_add_fetch(&growing->put[partition], 1, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_lock(&growing->lock);
    if (growing->open[partition])
        leat__reader_wake(growing->open[partition]);
    (void)pthread_mutex_unlock(&growing->lock);
}
