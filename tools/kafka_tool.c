/* tools/kafka_tool.c -- options and clients of `leat topic`, `leat group` and `leat dlq`. */
#include "tools/kafka_tool.h"
#include "base/env.h"
#include "connectors/kafka/properties.h"
#include "connectors/kafka/secret.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PARTITIONS = 256,
    REPLICATION,
    PARTITION,
    FROM,
    COUNT,
    CONFIG,
    SEPARATOR,
    FOLLOW,
    VALUES,
    JSON,
    HELP,
    BROKERS,
    PROPERTIES,
    CLASS,
    NODE,
    NEWEST,
    TO,
    GROUP,
    ATTEMPTS,
    DRY_RUN,
    HEADER
};

static const struct option options[] = { { "brokers", required_argument, NULL, BROKERS },
    { "properties", required_argument, NULL, PROPERTIES },
    { "partitions", required_argument, NULL, PARTITIONS },
    { "replication", required_argument, NULL, REPLICATION },
    { "partition", required_argument, NULL, PARTITION }, { "from", required_argument, NULL, FROM },
    { "count", required_argument, NULL, COUNT }, { "config", required_argument, NULL, CONFIG },
    { "key-separator", required_argument, NULL, SEPARATOR }, { "follow", no_argument, NULL, FOLLOW },
    { "values", no_argument, NULL, VALUES }, { "json", no_argument, NULL, JSON },
    { "limit", required_argument, NULL, COUNT }, { "class", required_argument, NULL, CLASS },
    { "node", required_argument, NULL, NODE }, { "newest", no_argument, NULL, NEWEST },
    { "to", required_argument, NULL, TO }, { "group", required_argument, NULL, GROUP },
    { "max-attempts", required_argument, NULL, ATTEMPTS }, { "dry-run", no_argument, NULL, DRY_RUN },
    { "header", required_argument, NULL, HEADER }, { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 } };

int leat__kafka_tool_wrong(const struct leat_kafka_tool *tool, const char *text, const char *word)
{
    (void)fprintf(stderr, "%s: %s%s\nTry %s --help\n", tool->name, text, word, tool->name);
    return 2;
}

static int take_number(struct leat_kafka_tool *tool, const char *text, int64_t *number)
{
    char *end;
    *number = strtoll(text, &end, 10);
    if (end == text || *end || *number < 0 || *number > INT32_MAX)
        return leat__kafka_tool_wrong(tool, "this should be a number: ", text);
    return 0;
}

static int take_output(struct leat_kafka_tool *tool, const char *word)
{
    static const char *const words[] = { "", "table", "tsv", "json" };
    for (int i = 1; i < 4; i++)
        if (strcmp(word, words[i]) == 0) {
            tool->output = (enum leat_cli_output)i;
            return 0;
        }
    return leat__kafka_tool_wrong(tool, "-o takes table, tsv or json, not ", word);
}

/* Whoever lists processes sees their arguments: no place for a secret. */
static int take_property(struct leat_kafka_tool *tool, const char *text)
{
    const size_t len = strcspn(text, "=");
    const struct leat_kafka_property *property = leat__kafka_property_find((struct leat_sv){ text, len });
    if (property && property->is_secret && text[len] && !leat__kafka_is_reference(leat_sv_of(text + len + 1)))
        return leat__kafka_tool_wrong(tool,
            "every user can see a command line: give the value as ${file:PATH} or ${env:NAME}, or by "
            "--properties FILE: ",
            property->name);
    leat__strbuf_printf(&tool->properties, "%s\n", text);
    return 0;
}

/* Those of `leat dlq`. */
static int take_dlq(struct leat_kafka_tool *tool, int option)
{
    switch (option) {
    case CLASS:
        tool->error_class = optarg;
        return 0;
    case NODE:
        tool->node = optarg;
        return 0;
    case NEWEST:
        tool->newest = true;
        return 0;
    case TO:
        tool->to = optarg;
        return 0;
    case GROUP:
        tool->group = optarg;
        return 0;
    case ATTEMPTS:
        return take_number(tool, optarg, &tool->max_attempts);
    case DRY_RUN:
        tool->dry_run = true;
        return 0;
    default:
        return leat__kafka_tool_wrong(tool, "see above", "");
    }
}

static int take_header(struct leat_kafka_tool *tool, const char *header)
{
    if (!strchr(header, '='))
        return leat__kafka_tool_wrong(tool, "--header takes NAME=VALUE, not ", header);
    if (tool->headers_count == LEAT_KAFKA_TOOL_HEADERS_MAX)
        return leat__kafka_tool_wrong(tool, "too many headers: ", header);
    tool->headers[tool->headers_count++] = header;
    return 0;
}

static int take(struct leat_kafka_tool *tool, int option)
{
    switch (option) {
    case BROKERS:
        tool->conn.brokers = optarg;
        return 0;
    case PROPERTIES:
        tool->conn.properties_file = optarg;
        return 0;
    case 'X':
        return take_property(tool, optarg);
    case 'o':
        return take_output(tool, optarg);
    case JSON:
        tool->output = LEAT_OUTPUT_JSON;
        return 0;
    case PARTITIONS:
        return take_number(tool, optarg, &tool->partitions);
    case REPLICATION:
        return take_number(tool, optarg, &tool->replication);
    case PARTITION:
        return take_number(tool, optarg, &tool->partition);
    case COUNT:
        return take_number(tool, optarg, &tool->limit);
    case FROM:
        tool->from = optarg;
        return 0;
    case CONFIG:
        if (!strchr(optarg, '=') || strchr(optarg, '\n'))
            return leat__kafka_tool_wrong(tool, "--config takes NAME=VALUE, not ", optarg);
        leat__strbuf_printf(&tool->config, "%s\n", optarg);
        return 0;
    case SEPARATOR:
        tool->separator = optarg;
        return 0;
    case HEADER:
        return take_header(tool, optarg);
    case FOLLOW:
        tool->follow = true;
        return 0;
    case VALUES:
        tool->only_values = true;
        return 0;
    default:
        return take_dlq(tool, option);
    }
}

int leat__kafka_tool_parse(struct leat_kafka_tool *tool, int argc, char **argv, const char *usage)
{
    int option;
    tool->partitions = tool->replication = tool->partition = tool->limit = tool->max_attempts = -1;
    optind = 1;
    while ((option = getopt_long(argc, argv, "X:o:", options, NULL)) >= 0) {
        if (option == HELP)
            return fputs(usage, stdout) < 0;
        const int code = take(tool, option);
        if (code)
            return code;
    }
    if (optind == argc) {
        (void)fputs(usage, stderr);
        return 2;
    }
    for (; optind < argc; optind++) {
        if (tool->count == LEAT_KAFKA_TOOL_WORDS_MAX)
            return leat__kafka_tool_wrong(tool, "too many words: ", argv[optind]);
        tool->words[tool->count++] = argv[optind];
    }
    if (tool->properties.failed)
        return leat__kafka_tool_wrong(tool, "out of memory", "");
    tool->conn.properties = tool->properties.data;
    return -1;
}

void leat__kafka_tool_release(struct leat_kafka_tool *tool)
{
    leat__strbuf_release(&tool->properties);
    leat__strbuf_release(&tool->config);
}

struct leat_kafka_client *leat__kafka_tool_open(struct leat_kafka_tool *tool, enum leat_kafka_role role, ...)
{
    struct leat_kafka_client *client = NULL;
    rd_kafka_conf_t *conf;
    va_list args;
    if (leat__kafka_conf(&tool->conn, role, leat__env_posix(), &conf, &tool->error) < 0)
        return NULL;
    int code = 0;
    va_start(args, role);
    for (const char *name; code == 0 && (name = va_arg(args, const char *)) != NULL;)
        code = leat__kafka_set(conf, name, va_arg(args, const char *), &tool->error);
    va_end(args);
    if (code < 0)
        rd_kafka_conf_destroy(conf);
    else
        code = leat__kafka_new(&tool->conn, role, conf, NULL, &client, &tool->error);
    return code < 0 ? NULL : client;
}

int leat__kafka_tool_range(struct leat_kafka_tool *tool, struct leat_kafka_client *client, const char *topic,
    int32_t partition, int64_t *first, int64_t *end)
{
    char doing[320];
    const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        client->rk, topic, partition, first, end, LEAT_KAFKA_TOOL_TIMEOUT_MS);
    (void)snprintf(
        doing, sizeof doing, "ask for the offsets of topic \"%s\", partition %d", topic, (int)partition);
    return code ? leat__kafka_error(client, code, NULL, doing, &tool->error) : 0;
}

struct leat_kafka_client *leat__kafka_tool_consumer(struct leat_kafka_tool *tool, const char *group)
{
    /* How long the end of a partition is waited for, unless somebody says otherwise. */
    const bool is_given = tool->conn.properties_file ||
        (tool->conn.properties && strstr(tool->conn.properties, "fetch.wait.max.ms"));
    struct leat_kafka_client *client = leat__kafka_tool_open(tool, LEAT_KAFKA_CONSUMER, "group.id", group,
        "enable.partition.eof", "true", is_given ? NULL : "fetch.wait.max.ms", "100", NULL);
    if (client)
        (void)rd_kafka_poll_set_consumer(client->rk);
    return client;
}

void leat__kafka_tool_bytes(struct leat_strbuf *out, const char *name, const void *data, size_t len)
{
    if (data)
        leat__json_bytes(out, name, data, len);
    else
        leat__json_null(out, name);
}

void leat__kafka_tool_headers(struct leat_strbuf *out, const rd_kafka_message_t *message)
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
        leat__kafka_tool_bytes(out, "value", value, len);
        leat__json_end(out, '}');
    }
    leat__json_end(out, ']');
}
