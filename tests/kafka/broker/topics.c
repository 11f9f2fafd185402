/* tests/kafka/broker/topics.c -- topics, made and deleted; a name may be used again, an id never. */
#include "tests/kafka/broker/broker.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 249, PARTITIONS_MAX = 4096 };

struct kb_topic *kb_topic_find(struct kb_broker *b, struct kb_text name)
{
    for (size_t i = 0; i < b->topics_count; i++)
        if (kb_same(name, b->topics[i].name))
            return &b->topics[i];
    return NULL;
}

struct kb_topic *kb_topic_by_id(struct kb_broker *b, const uint8_t *id)
{
    for (size_t i = 0; i < b->topics_count; i++)
        if (memcmp(id, b->topics[i].id, sizeof b->topics[i].id) == 0)
            return &b->topics[i];
    return NULL;
}

struct kb_log *kb_log_find(struct kb_broker *b, struct kb_text topic, int32_t partition)
{
    struct kb_topic *t = kb_topic_find(b, topic);
    return t && partition >= 0 && partition < t->partitions ? &t->logs[partition] : NULL;
}

static bool is_name(struct kb_text name)
{
    if (!name.data || name.len == 0 || name.len > NAME_MAX_LEN || kb_same(name, ".") || kb_same(name, ".."))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                c == '_' || c == '-'))
            return false;
    }
    return true;
}

static void make_id(struct kb_broker *b, uint8_t *id)
{
    for (size_t i = 0; i < 16; i++) {
        b->random = b->random * UINT64_C(6364136223846793005) + 1442695040888963407;
        id[i] = (uint8_t)(b->random >> 56);
    }
}

int16_t kb_topic_create(struct kb_broker *b, struct kb_text name, int32_t partitions, struct kb_topic **made)
{
    *made = NULL;
    if (!is_name(name))
        return KB_INVALID_TOPIC;
    if (kb_topic_find(b, name))
        return KB_TOPIC_EXISTS;
    if (partitions < 1 || partitions > PARTITIONS_MAX)
        return KB_INVALID_PARTITIONS;
    KB_GROW(b->topics, b->topics_count);
    struct kb_topic *t = &b->topics[b->topics_count++];
    *t = (struct kb_topic){ .name = kb_copy_text(name.data, name.len),
        .logs = kb_new((size_t)partitions * sizeof(struct kb_log)),
        .partitions = partitions,
        .max_message_bytes = KB_MESSAGE_BYTES };
    make_id(b, t->id);
    b->changes++;
    *made = t;
    return 0;
}

int16_t kb_topic_configure(struct kb_topic *t, struct kb_text name, struct kb_text value)
{
    char number[16] = { 0 };
    if (kb_same(name, "max.message.bytes")) {
        if (!value.data || value.len == 0 || value.len >= sizeof number)
            return KB_INVALID_CONFIG;
        memcpy(number, value.data, value.len);
        char *end = NULL;
        const long bytes = strtol(number, &end, 10);
        if (*end || bytes < 0 || bytes > INT32_MAX)
            return KB_INVALID_CONFIG;
        t->max_message_bytes = (int32_t)bytes;
    } else if (kb_same(name, "cleanup.policy")) {
        t->compact = kb_same(value, "compact");
    } else if (kb_same(name, "message.timestamp.type")) {
        t->append_time = kb_same(value, "LogAppendTime");
    }
    return 0; /* all others change nothing here */
}

static void free_topic(struct kb_topic *t)
{
    for (int32_t p = 0; p < t->partitions; p++)
        kb_log_free(&t->logs[p]);
    free(t->logs);
    free(t->name);
}

int16_t kb_topic_delete(struct kb_broker *b, struct kb_text name)
{
    struct kb_topic *t = kb_topic_find(b, name);
    if (!t)
        return KB_UNKNOWN_TOPIC;
    kb_offsets_forget(b, t->name);
    free_topic(t);
    *t = b->topics[--b->topics_count];
    b->changes++;
    return 0;
}

int16_t kb_topic_grow(struct kb_broker *b, struct kb_text name, int32_t partitions)
{
    struct kb_topic *t = kb_topic_find(b, name);
    if (!t)
        return KB_UNKNOWN_TOPIC;
    if (partitions <= t->partitions || partitions > PARTITIONS_MAX)
        return KB_INVALID_PARTITIONS;
    t->logs = kb_resize(t->logs, (size_t)partitions * sizeof(struct kb_log));
    memset(t->logs + t->partitions, 0, (size_t)(partitions - t->partitions) * sizeof(struct kb_log));
    t->partitions = partitions;
    b->changes++;
    return 0;
}

struct kb_place kb_place_new(const struct kb_topic *topic, int32_t partition)
{
    struct kb_place place = { .topic = kb_copy_text(topic->name, strlen(topic->name)),
        .partition = partition };
    memcpy(place.id, topic->id, sizeof place.id);
    return place;
}

struct kb_log *kb_place_log(struct kb_broker *b, const struct kb_place *place)
{
    struct kb_topic *t = kb_topic_by_id(b, place->id);
    return t && place->partition < t->partitions ? &t->logs[place->partition] : NULL;
}

void kb_broker_free(struct kb_broker *b)
{
    for (size_t i = 0; i < b->topics_count; i++)
        free_topic(&b->topics[i]);
    for (size_t i = 0; i < b->offsets_count; i++) {
        free(b->offsets[i].group);
        free(b->offsets[i].place.topic);
        free(b->offsets[i].metadata);
    }
    for (size_t i = 0; i < b->txns_count; i++) {
        struct kb_txn *txn = &b->txns[i];
        for (size_t p = 0; p < txn->places_count; p++)
            free(txn->places[p].topic);
        for (size_t g = 0; g < txn->groups_count; g++)
            free(txn->groups[g]);
        free(txn->places);
        free(txn->groups);
        free(txn->id);
    }
    free(b->topics);
    free(b->txns);
    free(b->offsets);
}
