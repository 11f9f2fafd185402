/* tools/topic_move.c -- `leat topic produce` and `consume`. */
#include "base/env.h"
#include "tools/kafka_scan.h"
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

/* Of --header; NULL when out of memory. */
static rd_kafka_headers_t *make_headers(const struct leat_kafka_tool *tool)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(tool->headers_count);
    for (uint32_t i = 0; headers && i < tool->headers_count; i++) {
        const char *value = strchr(tool->headers[i], '=');
        (void)rd_kafka_header_add(headers, tool->headers[i], value - tool->headers[i], value + 1, -1);
    }
    return headers;
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
        rd_kafka_headers_t *headers = make_headers(tool);
        if (!headers)
            return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
        const rd_kafka_resp_err_t code = rd_kafka_producev(client->rk, RD_KAFKA_V_TOPIC(tool->words[1]),
            RD_KAFKA_V_PARTITION(tool->partition >= 0 ? (int32_t)tool->partition : RD_KAFKA_PARTITION_UA),
            RD_KAFKA_V_KEY(at ? line : NULL, key_len), RD_KAFKA_V_VALUE(value, len),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (code)
            rd_kafka_headers_destroy(headers);
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
        leat__kafka_tool_bytes(out, "key", message->key, message->key_len);
        leat__kafka_tool_headers(out, message);
        leat__kafka_tool_bytes(out, "value", message->payload, message->len);
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
    struct leat_kafka_tool *tool;
    struct leat_strbuf out;
    int64_t count;
};

static int on_message(void *arg, const rd_kafka_message_t *message)
{
    struct consuming *c = arg;
    if (!write_message(c->tool, message, &c->out))
        return leat__error(&c->tool->error, LEAT_EIO, "the standard output can not be written");
    return ++c->count == c->tool->limit ? LEAT_SCAN_DONE : LEAT_SCAN_ON;
}

/* Which partitions from where to where. */
static int plan(struct leat_kafka_tool *tool, struct leat_kafka_scan *scan)
{
    uint32_t partitions;
    LEAT_TRY(leat__kafka_partitions(
        scan->client, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &partitions, &tool->error));
    if (tool->partition >= (int64_t)partitions)
        return leat__error(
            &tool->error, LEAT_ENOTFOUND, "topic \"%s\" has %u partitions", tool->words[1], partitions);
    for (int32_t i = 0; i < (int32_t)partitions; i++) {
        int64_t first = 0, end = 0, offset = 0;
        if (tool->partition >= 0 && i != tool->partition)
            continue;
        LEAT_TRY(leat__kafka_tool_range(tool, scan->client, tool->words[1], i, &first, &end));
        LEAT_TRY(first_offset(tool, first, end, &offset));
        LEAT_TRY(leat__kafka_scan_add(scan, i, offset, end));
    }
    return 0;
}

int leat__topic_consume(struct leat_kafka_tool *tool)
{
    struct consuming c = { .tool = tool };
    struct leat_kafka_scan scan = { .tool = tool, .follow = tool->follow };
    scan.client = leat__kafka_tool_consumer(tool, "leat-topic-consume");
    int code = scan.client ? plan(tool, &scan) : tool->error.code;
    if (code == 0 && tool->limit != 0)
        code = leat__kafka_scan_run(&scan, on_message, &c);
    leat__kafka_scan_release(&scan);
    leat__strbuf_release(&c.out);
    if (code == 0 && fflush(stdout) != 0)
        code = leat__error(&tool->error, LEAT_EIO, "the standard output can not be written");
    return code < 0 ? leat__output_fail(&tool->error) : 0;
}
