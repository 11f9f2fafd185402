/* tests/kafka/broker/request.c -- from the bytes of a request to the bytes of its answer. */
#include "tests/kafka/broker/broker.h"
#include <string.h>

struct api {
    const char *name;
    int16_t min, max, flexible; /* versions that are spoken; the first that is flexible, 99: none of them */
    void (*answer)(struct kb_request *request);
};

static void answer_versions(struct kb_request *request);

static const struct api apis[KB_APIS] = {
    [KB_PRODUCE] = { "Produce", 3, 8, 99, kb_produce },
    [KB_FETCH] = { "Fetch", 4, 11, 99, kb_fetch },
    [KB_LIST_OFFSETS] = { "ListOffsets", 1, 7, 6, kb_list_offsets },
    [KB_METADATA] = { "Metadata", 1, 12, 9, kb_metadata },
    [KB_OFFSET_COMMIT] = { "OffsetCommit", 2, 8, 8, kb_offset_commit },
    [KB_OFFSET_FETCH] = { "OffsetFetch", 1, 7, 6, kb_offset_fetch },
    [KB_FIND_COORDINATOR] = { "FindCoordinator", 0, 3, 3, kb_find_coordinator },
    [KB_API_VERSIONS] = { "ApiVersions", 0, 3, 3, answer_versions },
    [KB_CREATE_TOPICS] = { "CreateTopics", 0, 7, 5, kb_create_topics },
    [KB_DELETE_TOPICS] = { "DeleteTopics", 0, 5, 4, kb_delete_topics },
    [KB_DELETE_RECORDS] = { "DeleteRecords", 0, 2, 2, kb_delete_records },
    [KB_INIT_PRODUCER_ID] = { "InitProducerId", 0, 4, 2, kb_init_producer_id },
    [KB_ADD_PARTITIONS] = { "AddPartitionsToTxn", 0, 3, 3, kb_add_partitions },
    [KB_ADD_OFFSETS] = { "AddOffsetsToTxn", 0, 3, 3, kb_add_offsets },
    [KB_END_TXN] = { "EndTxn", 0, 3, 3, kb_end_txn },
    [KB_TXN_OFFSET_COMMIT] = { "TxnOffsetCommit", 0, 3, 3, kb_txn_offset_commit },
    [KB_DESCRIBE_CONFIGS] = { "DescribeConfigs", 0, 4, 4, kb_describe_configs },
    [KB_ALTER_CONFIGS] = { "AlterConfigs", 0, 2, 2, kb_alter_configs },
    [KB_CREATE_PARTITIONS] = { "CreatePartitions", 0, 3, 2, kb_create_partitions },
};

const char *kb_api_name(int api)
{
    return api >= 0 && api < KB_APIS ? apis[api].name : NULL;
}

int kb_api_by_name(struct kb_text name)
{
    for (int i = 0; i < KB_APIS; i++)
        if (apis[i].name && kb_same(name, apis[i].name))
            return i;
    return -1;
}

static void answer_versions(struct kb_request *r)
{
    int32_t count = 0;
    for (int i = 0; i < KB_APIS; i++)
        count += apis[i].name != NULL;
    kb_put_i16(r->out, r->inject);
    kb_put_count(r->out, count);
    for (int i = 0; i < KB_APIS; i++)
        if (apis[i].name) {
            kb_put_i16(r->out, (int16_t)i);
            kb_put_i16(r->out, apis[i].min);
            kb_put_i16(r->out, apis[i].max);
            kb_put_tags(r->out);
        }
    if (r->version >= 1)
        kb_put_i32(r->out, 0);
    kb_put_tags(r->out);
}

/* Asked in a version that is not spoken, it answers in the oldest: the client finds the one to use. */
static void refuse_version(struct kb_request *r)
{
    r->version = 0;
    r->inject = KB_UNSUPPORTED_VERSION;
    answer_versions(r);
}

bool kb_answer(struct kb_request *r, const uint8_t *data, size_t size)
{
    r->in = (struct kb_in){ .at = data, .end = data + size };
    r->api = kb_i16(&r->in);
    r->version = kb_i16(&r->in);
    r->correlation = kb_i32(&r->in);
    (void)kb_text(&r->in); /* who asks */
    r->silent = false;
    r->waits = false;
    if (r->in.bad || !kb_api_name(r->api))
        return false;
    const struct api *api = &apis[r->api];
    const bool spoken = r->version >= api->min && r->version <= api->max;
    const size_t from = r->out->len;
    if (!spoken && r->api != KB_API_VERSIONS)
        return false;
    r->in.flexible = r->out->flexible = spoken && r->version >= api->flexible;
    kb_tags(&r->in);
    if (r->in.bad)
        return false;
    const bool flexible = r->out->flexible;
    r->out->flexible = false;
    kb_put_i32(r->out, 0);
    kb_put_i32(r->out, r->correlation);
    r->out->flexible = flexible;
    if (r->api != KB_API_VERSIONS) /* whose answer has the old head always */
        kb_put_tags(r->out);
    if (spoken)
        api->answer(r);
    else
        refuse_version(r);
    if (r->in.bad || r->waits || r->silent)
        r->out->len = from;
    else
        kb_set_i32(r->out->data + from, (int32_t)(r->out->len - from - 4));
    return !r->in.bad;
}
