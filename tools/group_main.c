/* tools/group_main.c -- `leat group lag`: how far a consumer group is behind the ends of its topics. */
#include "tools/kafka_tool.h"
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "Usage: leat group lag GROUP TOPIC... [OPTIONS]\n\n"
    "How far the offsets that the group has committed are behind the ends of the topics' partitions. Jobs "
    "publish theirs behind each\n"
    "checkpoint, if their Kafka source has a .group.\n\n"
    "Options:\n"
    "  --brokers HOST:PORT where they are (default: LEAT_KAFKA_BROKERS)\n"
    "  --properties FILE   properties of librdkafka, one NAME=VALUE a line; -X NAME=VALUE: one more\n"
    "  --json, -o FORM     table (default on a terminal), tsv (default in a pipe) or json\n"
    "  --help              print this\n\n"
    "Exit codes: 0 done, 1 failed, 2 usage, 3 no connection, 4 no such topic, 7 no answer in time.\n\n"
    "Examples:\n"
    "  leat group lag order-processing orders refunds\n"
    "  leat group lag order-processing orders --json | jq 'map(.lag) | add'\n";

struct writing {
    enum leat_cli_output output;
    struct leat_grid grid;
    struct leat_strbuf out;
};

static void write_row(struct writing *w, const char *topic, int32_t partition, int64_t committed, int64_t end)
{
    const int64_t values[] = { partition, committed, end, committed < 0 ? -1 : end - committed };
    static const char *const names[] = { "partition", "committed", "end", "lag" };
    if (w->output == LEAT_OUTPUT_JSON) {
        leat__json_begin(&w->out, NULL, '{');
        leat__json_text(&w->out, "topic", topic);
    } else {
        leat__grid_text(&w->grid, topic);
    }
    for (int i = 0; i < 4; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%lld", (long long)values[i]);
        if (w->output == LEAT_OUTPUT_JSON && values[i] < 0)
            leat__json_null(&w->out, names[i]);
        else if (w->output == LEAT_OUTPUT_JSON)
            leat__json_number(&w->out, names[i], values[i]);
        else
            leat__grid_text(&w->grid, values[i] < 0 ? "-" : text);
    }
    if (w->output == LEAT_OUTPUT_JSON)
        leat__json_end(&w->out, '}');
}

static int add_topics(
    struct leat_kafka_tool *tool, struct leat_kafka_client *client, rd_kafka_topic_partition_list_t *list)
{
    for (uint32_t i = 2; i < tool->count; i++) {
        uint32_t partitions;
        LEAT_TRY(leat__kafka_partitions(
            client, tool->words[i], LEAT_KAFKA_TOOL_TIMEOUT_MS, &partitions, &tool->error));
        rd_kafka_topic_partition_list_add_range(list, tool->words[i], 0, (int32_t)partitions - 1);
    }
    const rd_kafka_resp_err_t code = rd_kafka_committed(client->rk, list, LEAT_KAFKA_TOOL_TIMEOUT_MS);
    return code ? leat__kafka_error(client, code, NULL, "ask for the group's offsets", &tool->error) : 0;
}

static int lag(struct leat_kafka_tool *tool, struct writing *w)
{
    struct leat_kafka_client *client =
        leat__kafka_tool_open(tool, LEAT_KAFKA_CONSUMER, "group.id", tool->words[1], NULL);
    if (!client)
        return tool->error.code;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    int code = add_topics(tool, client, list);
    for (int i = 0; code == 0 && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        int64_t first = 0, end = 0;
        code = leat__kafka_tool_range(tool, client, p->topic, p->partition, &first, &end);
        if (code == 0)
            write_row(w, p->topic, p->partition, p->offset < 0 ? -1 : p->offset, end);
    }
    rd_kafka_topic_partition_list_destroy(list);
    leat__kafka_free(client);
    return code;
}

static int run(struct leat_kafka_tool *tool)
{
    static const char *const headings[] = { "TOPIC", ">PARTITION", ">COMMITTED", ">END", ">LAG" };
    struct writing w = { .output = leat__output_choose(tool->output),
        .grid = { .headings = headings, .columns = 5 } };
    if (strcmp(tool->words[0], "lag") != 0 || tool->count < 3)
        return leat__kafka_tool_wrong(tool, "it is: leat group lag GROUP TOPIC...", "");
    if (w.output == LEAT_OUTPUT_JSON)
        leat__json_begin(&w.out, NULL, '[');
    const int code = lag(tool, &w);
    if (w.output == LEAT_OUTPUT_JSON) {
        leat__json_end(&w.out, ']');
        leat__strbuf_char(&w.out, '\n');
    } else {
        leat__grid_print(&w.grid, w.output, 0, &w.out);
    }
    leat__grid_release(&w.grid);
    if (code == 0)
        return leat__output_print(&w.out);
    leat__strbuf_release(&w.out);
    return leat__output_fail(&tool->error);
}

int leat__group_main(int argc, char **argv)
{
    struct leat_kafka_tool tool = { .name = "leat group" };
    int code = leat__kafka_tool_parse(&tool, argc, argv, usage);
    if (code < 0)
        code = run(&tool);
    leat__kafka_tool_release(&tool);
    return code;
}
