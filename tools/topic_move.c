/* tools/topic_move.c -- `leat topic produce` and `consume`. */
#include "base/env.h"
#include "tools/kafka_tool.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- produce ---- */

struct producing {
    struct leat_kafka_tool *tool;
    uint64_t sent, acknowledged;
    rd_kafka_resp_err_t failed; /* the first */
};

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct producing *p = leat__kafka_client(opaque)->owner;
    (void)rk;
    if (message->err && !p->failed)
        p->failed = message->err;
    p->acknowledged += message->err == 0;
}

static rd_kafka_resp_err_t send_line(
    struct leat_kafka_client *client, struct producing *p, char *line, size_t len)
{
    const struct leat_kafka_tool *tool = p->tool;
    const size_t width = tool->separator ? strlen(tool->separator) : 0;
    char *value = line, *at = width ? strstr(line, tool->separator) : NULL;
    size_t key_len = 0;
    if (at) {
        key_len = (size_t)(at - line);
        value = at + width;
        len -= key_len + width;
    }
    for (;;) {
        const rd_kafka_resp_err_t code = rd_kafka_producev(client->rk, RD_KAFKA_V_TOPIC(tool->words[1]),
            RD_KAFKA_V_PARTITION(tool->partition >= 0 ? (int32_t)tool->partition : RD_KAFKA_PARTITION_UA),
            RD_KAFKA_V_KEY(at ? line : NULL, key_len), RD_KAFKA_V_VALUE(value, len),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return code;
        (void)rd_kafka_poll(client->rk, 100);
    }
}

static int produce_all(struct leat_kafka_client *client, struct producing *p)
{
    struct leat_kafka_tool *tool = p->tool;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t len; !code && !p->failed && (len = getline(&line, &capacity, stdin)) >= 0;) {
        if (len > 0 && line[len - 1] == '\n')
            line[--len] = '\0';
        code = send_line(client, p, line, (size_t)len);
        p->sent += code == 0;
        (void)rd_kafka_poll(client->rk, 0);
    }
    free(line);
    if (!code)
        code = rd_kafka_flush(client->rk, 60000);
    code = p->failed ? p->failed : code;
    if (code)
        return leat__kafka_error(client, code, NULL, "produce", &tool->error);
    if (ferror(stdin))
        return leat__error(&tool->error, LEAT_EIO, "the standard input can not be read");
    return 0;
}

int leat__topic_produce(struct leat_kafka_tool *tool)
{
    struct producing p = { .tool = tool };
    rd_kafka_conf_t *conf;
    struct leat_kafka_client *client = NULL;
    uint32_t partitions;
    int code = leat__kafka_conf(&tool->conn, LEAT_KAFKA_PRODUCER, leat__env_posix(), &conf, &tool->error);
    if (code == 0) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_report);
        code = leat__kafka_set(conf, "partitioner", "murmur2_random", &tool->error);
        if (code < 0)
            rd_kafka_conf_destroy(conf);
    }
    if (code == 0)
        code = leat__kafka_new(&tool->conn, LEAT_KAFKA_PRODUCER, conf, &p, &client, &tool->error);
    if (code == 0)
        code = leat__kafka_partitions(
            client, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &partitions, &tool->error);
    if (code == 0)
        code = produce_all(client, &p);
    leat__kafka_free(client);
    if (p.sent != p.acknowledged || code == 0)
        (void)fprintf(stderr, "%llu of %llu messages are in %s\n", (unsigned long long)p.acknowledged,
            (unsigned long long)p.sent, tool->words[1]);
    return code < 0 ? leat__output_fail(&tool->error) : 0;
}

/* ---- consume ---- */

static void write_headers(const rd_kafka_message_t *message, struct leat_strbuf *out)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers))
        return;
    leat__json_begin(out, "headers", '[');
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++) {
        leat__json_begin(out, NULL, '{');
        leat__json_text(out, "name", name);
        if (value)
            leat__json_bytes(out, "value", value, len);
        else
            leat__json_null(out, "value");
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
}

static void write_bytes(struct leat_strbuf *out, const char *name, const void *data, size_t len)
{
    if (data)
        leat__json_bytes(out, name, data, len);
    else
        leat__json_null(out, name);
}

/* A line of its own, at once: somebody may read along. False when nobody does any more. */
static bool write_message(
    const struct leat_kafka_tool *tool, const rd_kafka_message_t *message, struct leat_strbuf *out)
{
    rd_kafka_timestamp_type_t type;
    const int64_t time_ms = rd_kafka_message_timestamp(message, &type);
    leat__strbuf_clear(out);
    if (tool->only_values) {
        leat__strbuf_add(out, message->payload, message->len);
    } else {
        leat__json_begin(out, NULL, '{');
        leat__json_number(out, "partition", message->partition);
        leat__json_number(out, "offset", message->offset);
        if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
            leat__json_null(out, "timestamp");
        else
            leat__json_time(out, "timestamp", time_ms * 1000);
        write_bytes(out, "key", message->key, message->key_len);
        write_headers(message, out);
        write_bytes(out, "value", message->payload, message->len);
        leat__json_end(out, '}');
    }
    leat__strbuf_char(out, '\n');
    return !out->failed && fwrite(out->data, 1, out->len, stdout) == out->len &&
        (!tool->follow || fflush(stdout) == 0);
}

static int first_offset(struct leat_kafka_tool *tool, int64_t first, int64_t end, int64_t *offset)
{
    char *rest;
    *offset = first;
    if (!tool->from || strcmp(tool->from, "earliest") == 0)
        return 0;
    *offset = end;
    if (strcmp(tool->from, "latest") == 0)
        return 0;
    *offset = strtoll(tool->from, &rest, 10);
    if (rest == tool->from || *rest || *offset < 0)
        return leat__error(
            &tool->error, LEAT_EINVAL, "--from takes earliest, latest or an offset, not %s", tool->from);
    return 0;
}

struct consuming {
    rd_kafka_topic_partition_list_t *list;
    int64_t *ends; /* by element; reached: -1 */
    uint32_t open;
};

/* Which partitions from where to where. */
static int plan(struct leat_kafka_tool *tool, struct leat_kafka_client *client, struct consuming *c)
{
    uint32_t partitions;
    LEAT_TRY(leat__kafka_partitions(
        client, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &partitions, &tool->error));
    if (tool->partition >= (int64_t)partitions)
        return leat__error(
            &tool->error, LEAT_ENOTFOUND, "topic \"%s\" has %u partitions", tool->words[1], partitions);
    c->list = rd_kafka_topic_partition_list_new((int)partitions);
    c->ends = calloc(partitions, sizeof *c->ends);
    if (!c->ends)
        return leat__error(&tool->error, LEAT_ENOMEM, "out of memory");
    for (int32_t i = 0; i < (int32_t)partitions; i++) {
        int64_t first = 0, end = 0, offset = 0;
        if (tool->partition >= 0 && i != tool->partition)
            continue;
        LEAT_TRY(leat__kafka_tool_range(tool, client, tool->words[1], i, &first, &end));
        LEAT_TRY(first_offset(tool, first, end, &offset));
        if (offset >= end && !tool->follow)
            continue;
        c->ends[c->list->cnt] = end;
        rd_kafka_topic_partition_list_add(c->list, tool->words[1], i)->offset = offset;
        c->open++;
    }
    return 0;
}

static void note_end(struct consuming *c, int32_t partition, int64_t next)
{
    for (int i = 0; i < c->list->cnt; i++)
        if (c->list->elems[i].partition == partition && c->ends[i] >= 0 && next >= c->ends[i]) {
            c->ends[i] = -1;
            c->open--;
        }
}

static int consume_all(struct leat_kafka_tool *tool, struct leat_kafka_client *client, struct consuming *c)
{
    struct leat_strbuf out = { 0 };
    int code = 0;
    for (int64_t n = 0; code == 0 && (tool->limit < 0 || n < tool->limit) && (tool->follow || c->open > 0);) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(client->rk, 500);
        if (!message)
            continue;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            note_end(c, message->partition, INT64_MAX); /* what is left are marks of transactions */
        } else if (message->err) {
            code = leat__kafka_error(
                client, message->err, rd_kafka_message_errstr(message), "consume", &tool->error);
        } else if (!write_message(tool, message, &out)) {
            code = leat__error(&tool->error, LEAT_EIO, "the standard output can not be written");
        } else {
            n++;
            note_end(c, message->partition, message->offset + 1);
        }
        rd_kafka_message_destroy(message);
    }
    leat__strbuf_release(&out);
    if (code == 0 && fflush(stdout) != 0)
        code = leat__error(&tool->error, LEAT_EIO, "the standard output can not be written");
    return code;
}

int leat__topic_consume(struct leat_kafka_tool *tool)
{
    struct consuming c = { 0 };
    struct leat_kafka_client *client = leat__kafka_tool_open(
        tool, LEAT_KAFKA_CONSUMER, "group.id", "leat-topic-consume", "enable.partition.eof", "true", NULL);
    int code = client ? 0 : tool->error.code;
    if (code == 0) {
        (void)rd_kafka_poll_set_consumer(client->rk);
        code = plan(tool, client, &c);
    }
    if (code == 0 && c.open > 0) {
        const rd_kafka_resp_err_t assigned = rd_kafka_assign(client->rk, c.list);
        code = assigned ? leat__kafka_error(client, assigned, NULL, "consume", &tool->error)
                        : consume_all(tool, client, &c);
    }
    if (c.list)
        rd_kafka_topic_partition_list_destroy(c.list);
    free(c.ends);
    if (client)
        (void)rd_kafka_consumer_close(client->rk);
    leat__kafka_free(client);
    return code < 0 ? leat__output_fail(&tool->error) : 0;
}
