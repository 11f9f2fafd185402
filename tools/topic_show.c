/* tools/topic_show.c -- `leat topic ls`, `info` and `create`. */
#include "tools/kafka_tool.h"
#include <stdio.h>
#include <stdlib.h>

static int by_name(const void *a, const void *b)
{
    const struct rd_kafka_metadata_topic *const *x = a, *const *y = b;
    return strcmp((*x)->topic, (*y)->topic);
}

static bool is_shown(const struct rd_kafka_metadata_topic *topic)
{
    return topic->err == 0 && strncmp(topic->topic, "__", 2) != 0;
}

static void write_topics(enum leat_cli_output output, const struct rd_kafka_metadata_topic **topics,
    int count, struct leat_strbuf *out)
{
    static const char *const headings[] = { "TOPIC", ">PARTITIONS", ">REPLICAS" };
    struct leat_grid grid = { .headings = headings, .columns = 3 };
    const bool json = output == LEAT_OUTPUT_JSON;
    if (json)
        leat__json_begin(out, NULL, '[');
    for (int i = 0; i < count; i++) {
        const uint64_t replicas =
            topics[i]->partition_cnt ? (uint64_t)topics[i]->partitions[0].replica_cnt : 0;
        if (json) {
            leat__json_begin(out, NULL, '{');
            leat__json_text(out, "topic", topics[i]->topic);
            leat__json_count(out, "partitions", (uint64_t)topics[i]->partition_cnt);
            leat__json_count(out, "replicas", replicas);
            leat__json_end(out, '}');
        } else {
            leat__grid_text(&grid, topics[i]->topic);
            leat__grid_count(&grid, (uint64_t)topics[i]->partition_cnt);
            leat__grid_count(&grid, replicas);
        }
    }
    if (json) {
        leat__json_end(out, ']');
        leat__strbuf_char(out, '\n');
    } else {
        leat__grid_print(&grid, output, 0, out);
    }
    leat__grid_release(&grid);
}

static int write_shown(
    struct leat_kafka_tool *tool, const struct rd_kafka_metadata *metadata, struct leat_strbuf *out)
{
    int shown = 0;
    const struct rd_kafka_metadata_topic **topics = calloc((size_t)metadata->topic_cnt + 1, sizeof *topics);
    if (!topics)
        return leat__error(&tool->error, LEAT_ENOMEM, "out of memory");
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (is_shown(&metadata->topics[i]))
            topics[shown++] = &metadata->topics[i];
    qsort((void *)topics, (size_t)shown, sizeof *topics, by_name);
    write_topics(leat__output_choose(tool->output), topics, shown, out);
    free((void *)topics);
    return 0;
}

int leat__topic_ls(struct leat_kafka_tool *tool)
{
    const struct rd_kafka_metadata *metadata = NULL;
    struct leat_strbuf out = { 0 };
    struct leat_kafka_client *client = leat__kafka_tool_open(tool, LEAT_KAFKA_ADMIN, NULL);
    if (!client)
        return leat__output_fail(&tool->error);
    const rd_kafka_resp_err_t asked =
        leat__kafka_metadata(client, NULL, &metadata, LEAT_KAFKA_TOOL_TIMEOUT_MS);
    const int code = asked ? leat__kafka_error(client, asked, NULL, "list topics", &tool->error)
                           : write_shown(tool, metadata, &out);
    if (!asked)
        rd_kafka_metadata_destroy(metadata);
    leat__kafka_free(client);
    return code < 0 ? leat__output_fail(&tool->error) : leat__output_print(&out);
}

/* ---- one topic ---- */

static int write_partitions(struct leat_kafka_tool *tool, struct leat_kafka_client *client,
    const struct rd_kafka_metadata_topic *topic, struct leat_strbuf *out)
{
    static const char *const headings[] = { ">PARTITION", ">FIRST", ">END", ">LEADER", ">REPLICAS",
        ">IN SYNC" };
    static const char *const names[] = { "partition", "first", "end", "leader", "replicas", "in_sync" };
    struct leat_grid grid = { .headings = headings, .columns = 6 };
    const enum leat_cli_output output = leat__output_choose(tool->output);
    int code = 0;
    if (output == LEAT_OUTPUT_JSON)
        leat__json_begin(out, NULL, '[');
    for (int i = 0; code == 0 && i < topic->partition_cnt; i++) {
        const struct rd_kafka_metadata_partition *p = &topic->partitions[i];
        int64_t first = 0, end = 0;
        code = leat__kafka_tool_range(tool, client, topic->topic, p->id, &first, &end);
        const int64_t values[] = { p->id, first, end, p->leader, p->replica_cnt, p->isr_cnt };
        if (output == LEAT_OUTPUT_JSON)
            leat__json_begin(out, NULL, '{');
        for (int k = 0; k < 6; k++) {
            char text[24];
            (void)snprintf(text, sizeof text, "%lld", (long long)values[k]);
            if (output == LEAT_OUTPUT_JSON)
                leat__json_number(out, names[k], values[k]);
            else
                leat__grid_text(&grid, text);
        }
        if (output == LEAT_OUTPUT_JSON)
            leat__json_end(out, '}');
    }
    if (output == LEAT_OUTPUT_JSON) {
        leat__json_end(out, ']');
        leat__strbuf_char(out, '\n');
    } else {
        leat__grid_print(&grid, output, 0, out);
    }
    leat__grid_release(&grid);
    return code;
}

int leat__topic_info(struct leat_kafka_tool *tool)
{
    const struct rd_kafka_metadata *metadata;
    struct leat_strbuf out = { 0 };
    uint32_t partitions;
    struct leat_kafka_client *client = leat__kafka_tool_open(tool, LEAT_KAFKA_ADMIN, NULL);
    int code = client ? leat__kafka_partitions(
                            client, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &partitions, &tool->error)
                      : tool->error.code;
    if (code == 0) {
        rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, tool->words[1], NULL);
        const rd_kafka_resp_err_t asked =
            leat__kafka_metadata(client, handle, &metadata, LEAT_KAFKA_TOOL_TIMEOUT_MS);
        rd_kafka_topic_destroy(handle);
        if (asked) {
            code = leat__kafka_error(client, asked, NULL, "look at the topic", &tool->error);
        } else {
            code = write_partitions(tool, client, &metadata->topics[0], &out);
            rd_kafka_metadata_destroy(metadata);
        }
    }
    leat__kafka_free(client);
    if (code < 0) {
        leat__strbuf_release(&out);
        return leat__output_fail(&tool->error);
    }
    return leat__output_print(&out);
}

int leat__topic_create(struct leat_kafka_tool *tool)
{
    uint32_t there;
    if (tool->config.failed)
        return leat__output_fail(&(struct leat_error){ .code = LEAT_ENOMEM, .message = "out of memory" });
    struct leat_kafka_client *client = leat__kafka_tool_open(tool, LEAT_KAFKA_ADMIN, NULL);
    int code = client ? 0 : tool->error.code;
    if (code == 0 &&
        leat__kafka_partitions(client, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &there, &tool->error) == 0)
        code = leat__error(&tool->error, LEAT_EEXISTS, "topic \"%s\" is there already, with %u partitions",
            tool->words[1], there);
    if (code == 0 && tool->error.code && tool->error.code != LEAT_ENOTFOUND)
        code = tool->error.code;
    if (code == 0)
        code = leat__kafka_topic_make(client, tool->words[1],
            tool->partitions > 0 ? (uint32_t)tool->partitions : 1,
            tool->replication > 0 ? (int16_t)tool->replication : -1,
            tool->config.len ? tool->config.data : NULL, &tool->error);
    leat__kafka_free(client);
    return code < 0 ? leat__output_fail(&tool->error) : 0;
}
