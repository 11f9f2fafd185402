/* tests/kafka/broker/group.c -- offsets that groups have committed. Those of a transaction wait for its end beside the one
 * that counts, and make it unstable meanwhile. Groups have no members here: consumers assign partitions to themselves. */
#include "tests/kafka/broker/broker.h"
#include <stdlib.h>
#include <string.h>

static void free_offset(struct kb_offset *o)
{
    free(o->group);
    free(o->place.topic);
    free(o->metadata);
}

static void drop(struct kb_broker *b, size_t i)
{
    free_offset(&b->offsets[i]);
    b->offsets[i] = b->offsets[--b->offsets_count];
}

static bool is_of(const struct kb_offset *o, struct kb_text group, struct kb_text topic, int32_t partition)
{
    return o->place.partition == partition && kb_same(group, o->group) && kb_same(topic, o->place.topic);
}

void kb_offset_store(struct kb_broker *b, struct kb_text group, const struct kb_topic *topic,
    struct kb_offset offset, struct kb_text metadata)
{
    const struct kb_text name = { topic->name, strlen(topic->name) };
    for (size_t i = 0; i < b->offsets_count; i++)
        if (b->offsets[i].pid == offset.pid && is_of(&b->offsets[i], group, name, offset.place.partition)) {
            drop(b, i);
            break;
        }
    KB_GROW(b->offsets, b->offsets_count);
    struct kb_offset *o = &b->offsets[b->offsets_count++];
    *o = offset;
    o->group = kb_copy_text(group.data, group.len);
    o->place = kb_place_new(topic, offset.place.partition);
    o->metadata = metadata.data ? kb_copy_text(metadata.data, metadata.len) : NULL;
}

const struct kb_offset *kb_offset_find(
    const struct kb_broker *b, struct kb_text group, struct kb_text topic, int32_t partition, bool *unstable)
{
    const struct kb_offset *found = NULL;
    *unstable = false;
    for (size_t i = 0; i < b->offsets_count; i++) {
        if (!is_of(&b->offsets[i], group, topic, partition))
            continue;
        if (b->offsets[i].pid < 0)
            found = &b->offsets[i];
        else
            *unstable = true;
    }
    return found;
}

/* The waiting one counts now: what counted before goes. */
static void settle(struct kb_broker *b, size_t i)
{
    struct kb_offset *o = &b->offsets[i];
    o->pid = -1;
    const struct kb_text group = { o->group, strlen(o->group) },
                         topic = { o->place.topic, strlen(o->place.topic) };
    for (size_t other = 0; other < b->offsets_count; other++)
        if (other != i && b->offsets[other].pid < 0 &&
            is_of(&b->offsets[other], group, topic, o->place.partition)) {
            drop(b, other);
            return;
        }
}

void kb_offsets_end(struct kb_broker *b, int64_t pid, bool commit)
{
    /* Both ways change the array: look again from its beginning. */
    for (size_t i = 0; i < b->offsets_count;) {
        if (b->offsets[i].pid != pid) {
            i++;
            continue;
        }
        if (commit)
            settle(b, i);
        else
            drop(b, i);
        i = 0;
    }
}

void kb_offsets_forget(struct kb_broker *b, const char *topic)
{
    for (size_t i = 0; i < b->offsets_count;)
        if (strcmp(b->offsets[i].place.topic, topic) == 0)
            drop(b, i);
        else
            i++;
}
