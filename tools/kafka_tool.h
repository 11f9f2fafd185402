/* tools/kafka_tool.h -- what `leat topic`, `leat group` and `leat dlq` share: options, a client, waiting. */
#ifndef LEAT_TOOLS_KAFKA_TOOL_H
#define LEAT_TOOLS_KAFKA_TOOL_H
#include "base/strbuf.h"
#include "connectors/kafka/client.h"
#include "tools/output.h"

#define LEAT_KAFKA_TOOL_WORDS_MAX 8u
#define LEAT_KAFKA_TOOL_HEADERS_MAX 16u
#define LEAT_KAFKA_TOOL_TIMEOUT_MS 10000

struct leat_kafka_tool {
    const char *name; /* "leat topic" */
    struct leat_kafka_conn conn;
    struct leat_strbuf properties; /* of -X */
    enum leat_cli_output output;
    const char *words[LEAT_KAFKA_TOOL_WORDS_MAX]; /* the verb first */
    uint32_t count;
    /* of some verbs; negative numbers: not given */
    const char *from, *separator;
    struct leat_strbuf config; /* NAME=VALUE lines */
    int64_t partitions, replication, partition, limit;
    bool follow, only_values;
    const char *error_class, *node, *to, *group;
    int64_t max_attempts;
    bool newest, dry_run;
    const char *headers[LEAT_KAFKA_TOOL_HEADERS_MAX]; /* "name=value" */
    uint32_t headers_count;
    struct leat_error error;
};

/* -1: go on; else the exit code. `usage` is printed for --help. */
int leat__kafka_tool_parse(struct leat_kafka_tool *tool, int argc, char **argv, const char *usage);
void leat__kafka_tool_release(struct leat_kafka_tool *tool);
int leat__kafka_tool_wrong(const struct leat_kafka_tool *tool, const char *text, const char *word); /* 2 */
/* A client with name, value, ... NULL set besides; NULL with tool->error. */
struct leat_kafka_client *leat__kafka_tool_open(struct leat_kafka_tool *tool, enum leat_kafka_role role, ...);
/* First offset and the one behind the last of a partition. */
LEAT_NODISCARD int leat__kafka_tool_range(struct leat_kafka_tool *tool, struct leat_kafka_client *client,
    const char *topic, int32_t partition, int64_t *first, int64_t *end);

/* A consumer that says where partitions end. */
struct leat_kafka_client *leat__kafka_tool_consumer(struct leat_kafka_tool *tool, const char *group);
/* A member of a JSON object: bytes or null; "headers", where there are any. */
void leat__kafka_tool_bytes(struct leat_strbuf *out, const char *name, const void *data, size_t len);
void leat__kafka_tool_headers(struct leat_strbuf *out, const rd_kafka_message_t *message);

int leat__topic_main(int argc, char **argv);
int leat__group_main(int argc, char **argv);
int leat__dlq_main(int argc, char **argv);
/* The verbs that look, and those that move messages; exit codes. */
int leat__topic_ls(struct leat_kafka_tool *tool);
int leat__topic_info(struct leat_kafka_tool *tool);
int leat__topic_create(struct leat_kafka_tool *tool);
int leat__topic_produce(struct leat_kafka_tool *tool);
int leat__topic_consume(struct leat_kafka_tool *tool);
int leat__dlq_show(struct leat_kafka_tool *tool);
int leat__dlq_retry(struct leat_kafka_tool *tool);
#endif
