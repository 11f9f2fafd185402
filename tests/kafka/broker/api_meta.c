/* tests/kafka/broker/api_meta.c -- Metadata, FindCoordinator, and what makes, grows and deletes topics. */
#include "tests/kafka/broker/broker.h"
#include <string.h>

enum { NODE = 1, NO_OPERATIONS = INT32_MIN, NO_WISH = -1 };

/* Metadata */

static void put_partition(struct kb_request *r, int32_t partition)
{
    kb_put_i16(r->out, 0);
    kb_put_i32(r->out, partition);
    kb_put_i32(r->out, NODE);
    if (r->version >= 7)
        kb_put_i32(r->out, 0);
    for (int copies = 0; copies < 2; copies++) { /* replicas, and those in sync */
        kb_put_count(r->out, 1);
        kb_put_i32(r->out, NODE);
    }
    if (r->version >= 5)
        kb_put_count(r->out, 0);
    kb_put_tags(r->out);
}

/* A topic, or why there is none: then what was asked for is said again. */
static void put_topic(
    struct kb_request *r, const struct kb_topic *t, int16_t code, struct kb_text name, const uint8_t *id)
{
    static const uint8_t none[16];
    kb_put_i16(r->out, code);
    if (t)
        kb_put_str(r->out, t->name);
    else
        kb_put_text(r->out, name.data || r->version >= 12 ? name.data : "", name.len);
    if (r->version >= 10)
        kb_put_raw(r->out, t ? t->id : id ? id : none, sizeof none);
    kb_put_i8(r->out, 0);
    kb_put_count(r->out, t ? t->partitions : 0);
    for (int32_t p = 0; t && p < t->partitions; p++)
        put_partition(r, p);
    if (r->version >= 8)
        kb_put_i32(r->out, NO_OPERATIONS);
    kb_put_tags(r->out);
}

static void put_wanted_topic(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    const uint8_t *id = r->version >= 10 ? kb_raw(in, 16) : NULL;
    const struct kb_text name = kb_text(in);
    kb_tags(in);
    if (in->bad)
        return;
    const bool by_id = id && !name.data;
    const struct kb_topic *t = by_id ? kb_topic_by_id(r->broker, id) : kb_topic_find(r->broker, name);
    int16_t code = r->inject ? r->inject : !t ? (by_id ? KB_UNKNOWN_TOPIC_ID : KB_UNKNOWN_TOPIC) : 0;
    if (!by_id && name.len == 0)
        code = KB_INVALID_TOPIC;
    put_topic(r, code ? NULL : t, code, name, by_id ? id : NULL);
}

void kb_metadata(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    struct kb_broker *b = r->broker;
    if (r->version >= 3)
        kb_put_i32(r->out, 0);
    kb_put_count(r->out, 1);
    kb_put_i32(r->out, NODE);
    kb_put_str(r->out, b->host);
    kb_put_i32(r->out, b->port);
    kb_put_str(r->out, NULL);
    kb_put_tags(r->out);
    if (r->version >= 2)
        kb_put_str(r->out, "leat-test-broker");
    kb_put_i32(r->out, NODE);
    const int32_t wanted = kb_count(in);
    if (wanted < 0) {
        kb_put_count(r->out, (int32_t)b->topics_count);
        for (size_t i = 0; i < b->topics_count; i++)
            put_topic(r, &b->topics[i], 0, (struct kb_text){ 0 }, NULL);
    } else {
        kb_put_count(r->out, wanted);
        for (int32_t i = 0; i < wanted && !in->bad; i++)
            put_wanted_topic(r);
    }
    if (r->version >= 8 && r->version <= 10)
        kb_put_i32(r->out, NO_OPERATIONS);
    kb_put_tags(r->out);
}

/* FindCoordinator: there is one broker, which is everybody's. */
void kb_find_coordinator(struct kb_request *r)
{
    (void)kb_text(&r->in);
    if (r->version >= 1) {
        (void)kb_i8(&r->in);
        kb_put_i32(r->out, 0);
    }
    kb_put_i16(r->out, r->inject);
    if (r->version >= 1)
        kb_put_str(r->out, NULL);
    kb_put_i32(r->out, r->inject ? -1 : NODE);
    kb_put_str(r->out, r->inject ? "" : r->broker->host);
    kb_put_i32(r->out, r->inject ? -1 : r->broker->port);
    kb_put_tags(r->out);
}

/* CreateTopics */

struct wish {
    struct kb_text name;
    int32_t partitions;
    int16_t replicas;
    struct kb_in configs; /* at their count; the request goes on behind them */
};

static void skip_configs(struct kb_in *in)
{
    for (int32_t count = kb_count(in); count > 0 && !in->bad; count--) {
        (void)kb_text(in);
        (void)kb_text(in);
        kb_tags(in);
    }
}

static struct wish read_wish(struct kb_in *in)
{
    struct wish w;
    w.name = kb_text(in);
    w.partitions = kb_i32(in);
    w.replicas = kb_i16(in);
    const int32_t assignments = kb_count(in);
    for (int32_t i = 0; i < assignments && !in->bad; i++) {
        (void)kb_i32(in);
        for (int32_t count = kb_count(in); count > 0 && !in->bad; count--)
            (void)kb_i32(in);
        kb_tags(in);
    }
    if (w.partitions == NO_WISH)
        w.partitions = assignments > 0 ? assignments : 1;
    w.configs = *in;
    skip_configs(in);
    kb_tags(in);
    return w;
}

static int16_t create(struct kb_request *r, struct wish *w, struct kb_topic **made)
{
    *made = NULL;
    if (r->inject)
        return r->inject;
    if (w->replicas != 1 && w->replicas != NO_WISH)
        return KB_INVALID_REPLICATION;
    int16_t code = kb_topic_create(r->broker, w->name, w->partitions, made);
    for (int32_t count = code ? 0 : kb_count(&w->configs); count > 0 && !code; count--) {
        const struct kb_text name = kb_text(&w->configs), value = kb_text(&w->configs);
        kb_tags(&w->configs);
        code = kb_topic_configure(*made, name, value);
    }
    if (code && *made) {
        (void)kb_topic_delete(r->broker, w->name);
        *made = NULL;
    }
    return code;
}

static void answer_created(
    struct kb_request *r, const struct wish *w, const struct kb_topic *made, int16_t code)
{
    static const uint8_t none[16];
    kb_put_text(r->out, w->name.data, w->name.len);
    if (r->version >= 7)
        kb_put_raw(r->out, made ? made->id : none, sizeof none);
    kb_put_i16(r->out, code);
    if (r->version >= 1)
        kb_put_str(r->out, NULL);
    if (r->version >= 5) {
        kb_put_i32(r->out, made ? made->partitions : -1);
        kb_put_i16(r->out, made ? 1 : -1);
        kb_put_count(r->out, -1);
    }
    kb_put_tags(r->out);
}

void kb_create_topics(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    if (r->version >= 2)
        kb_put_i32(r->out, 0);
    const int32_t count = kb_count(in);
    kb_put_count(r->out, count);
    const struct kb_in from = *in;
    for (int32_t i = 0; i < count && !in->bad; i++)
        (void)read_wish(in);
    (void)kb_i32(in);
    const bool only_look = r->version >= 1 && kb_i8(in);
    if (in->bad)
        return;
    *in = from;
    for (int32_t i = 0; i < count; i++) {
        struct wish w = read_wish(in);
        struct kb_topic *made = NULL;
        const int16_t code = create(r, &w, &made);
        answer_created(r, &w, made, code);
        if (made && only_look)
            (void)kb_topic_delete(r->broker, w.name);
    }
    kb_put_tags(r->out);
}

void kb_delete_topics(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    if (r->version >= 1)
        kb_put_i32(r->out, 0);
    const int32_t count = kb_count(in);
    kb_put_count(r->out, count);
    for (int32_t i = 0; i < count && !in->bad; i++) {
        const struct kb_text name = kb_text(in);
        if (in->bad)
            return;
        kb_put_text(r->out, name.data, name.len);
        kb_put_i16(r->out, r->inject ? r->inject : kb_topic_delete(r->broker, name));
        if (r->version >= 5)
            kb_put_str(r->out, NULL);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}

void kb_create_partitions(struct kb_request *r)
{
    struct kb_in *in = &r->in;
    kb_put_i32(r->out, 0);
    const int32_t count = kb_count(in);
    kb_put_count(r->out, count);
    for (int32_t i = 0; i < count && !in->bad; i++) {
        const struct kb_text name = kb_text(in);
        const int32_t partitions = kb_i32(in);
        for (int32_t some = kb_count(in); some > 0 && !in->bad; some--) {
            for (int32_t brokers = kb_count(in); brokers > 0 && !in->bad; brokers--)
                (void)kb_i32(in);
            kb_tags(in);
        }
        kb_tags(in);
        if (in->bad)
            return;
        kb_put_text(r->out, name.data, name.len);
        kb_put_i16(r->out, r->inject ? r->inject : kb_topic_grow(r->broker, name, partitions));
        kb_put_str(r->out, NULL);
        kb_put_tags(r->out);
    }
    kb_put_tags(r->out);
}
