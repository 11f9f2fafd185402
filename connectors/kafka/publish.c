/* connectors/kafka/publish.c -- where partitions are, told to a consumer group behind each checkpoint: for monitors of lag, and
 * for who starts at the group's offsets. The job itself never goes on from them.
 *
 * The client is kept for the next checkpoint. It never joins the group: a commit without a member is refused by the brokers
 * only while others have joined, and then the group is theirs, and the error says so. */
#include "connectors/kafka/source_private.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One partition's offset, with the checkpoint's number as its metadata. */
static int add_offset(rd_kafka_topic_partition_list_t *list, const struct leat_split_position *from,
    uint64_t checkpoint, struct leat_error *err)
{
    struct leat_kafka_position position;
    char topic[256], text[48];
    size_t topic_len;
    int32_t partition;
    if (!leat__kafka_split_parse(from->id, strlen(from->id), &topic_len, &partition) ||
        topic_len >= sizeof topic)
        return leat__error(err, LEAT_EDATA, "\"%s\" is no partition of a Kafka source", from->id);
    LEAT_TRY(leat__kafka_position_read(from->position.data, from->position.len, &position, err));
    memcpy(topic, from->id, topic_len);
    topic[topic_len] = '\0';
    rd_kafka_topic_partition_t *to = rd_kafka_topic_partition_list_add(list, topic, partition);
    to->offset = position.next;
    const int len = snprintf(text, sizeof text, "leat checkpoint %" PRIu64, checkpoint);
    to->metadata = rd_kafka_mem_malloc(NULL, (size_t)len + 1); /* the list frees it */
    if (!to->metadata)
        return leat__error(err, LEAT_ENOMEM, "out of memory for offsets");
    memcpy(to->metadata, text, (size_t)len + 1);
    to->metadata_size = (size_t)len;
    return 0;
}

static int commit(struct leat_kafka_client *client, const rd_kafka_topic_partition_list_t *list,
    const char *group, struct leat_error *err)
{
    char doing[320];
    (void)snprintf(doing, sizeof doing, "publish offsets to group \"%s\"", group);
    const rd_kafka_resp_err_t result = rd_kafka_commit(client->rk, list, 0);
    if (result)
        return leat__kafka_error(client, result, NULL, doing, err);
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].err)
            return leat__kafka_error(client, list->elems[i].err, NULL, doing, err);
    return 0;
}

int leat__kafka_publish(const struct leat_node *node, struct leat_env *env, const struct leat_published *what,
    void **held, struct leat_error *err)
{
    const struct leat_kafka_source *spec = node->spec;
    struct leat_kafka_client *client = *held;
    if (!spec->group || what->count == 0)
        return 0;
    if (!client) {
        LEAT_TRY(leat__kafka_consumer(spec, env, 1, &client, err));
        *held = client;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)what->count);
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < what->count; i++)
        code = add_offset(list, &what->positions[i], what->checkpoint, err);
    if (code == 0)
        code = commit(client, list, spec->group, err);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

void leat__kafka_unpublish(void *held)
{
    leat__kafka_free(held);
}
