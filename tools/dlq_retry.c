/* tools/dlq_retry.c -- `leat dlq retry`: messages back to where they came from, each once.
 *
 * Transactions hold so many messages and, with them, how far the group has come: the offset behind what was looked at, and
 * which ones below it were left (dlq.h). So whatever ends this process, a message and its mark are both there or both not.
 * The producer's transactional.id is the group's: a second retry of the group shuts the first one out before it looks where
 * the group is, and what the first one had open comes to nothing.
 *
 * It reads to where the topic ends when it begins: what fails again meanwhile comes behind that, for the next time. */
#include "base/env.h"
#include "tools/dlq.h"
#include "tools/kafka_scan.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_MESSAGES 500
#define BATCH_BYTES (8u << 20)
#define POLL_MS 100

struct part {
    int64_t next; /* behind all that was looked at; -1: nothing was, now or before */
    struct leat_dlq_left before, now; /* left by earlier retries; by this one */
    int64_t looked; /* behind what this one has looked at */
    bool is_changed; /* since the last transaction */
};

struct target {
    char *topic;
    uint32_t partitions;
    rd_kafka_topic_t *handle; /* without one the first message waits up to a second; NULL in a dry run */
};

struct retrying {
    struct leat_kafka_tool *tool;
    char group[300];
    struct leat_kafka_client *consumer, *producer; /* producer NULL: a dry run */
    struct part *parts;
    uint32_t parts_count;
    struct target *targets;
    uint32_t targets_count;
    bool is_open; /* a transaction */
    uint32_t in_batch;
    uint64_t bytes, given, arrived;
    rd_kafka_resp_err_t failure; /* of the first that did not arrive */
    uint64_t retried, too_often, homeless; /* of those that are wanted */
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct retrying *r = leat__kafka_client(opaque)->owner;
    (void)rk;
    r->arrived++;
    if (message->err && !r->failure)
        r->failure = message->err;
}

/* ---- errors ---- */

static int fail(struct retrying *r, rd_kafka_resp_err_t code, const char *text, const char *doing)
{
    struct leat_error *err = &r->tool->error;
    if (code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
        code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH)
        return leat__error(err, LEAT_EEXISTS,
            "could not %s: another retry of group \"%s\" has begun, and goes on from what this one has done",
            doing, r->group);
    const int ours = leat__kafka_error(r->producer, code, text, doing, err);
    return ours < 0 ? ours : LEAT_EIO;
}

static int fail_call(struct retrying *r, rd_kafka_error_t *error, const char *doing)
{
    const int code = fail(r, rd_kafka_error_code(error), rd_kafka_error_string(error), doing);
    rd_kafka_error_destroy(error);
    return code;
}

static int no_memory(struct retrying *r)
{
    return leat__error(&r->tool->error, LEAT_ENOMEM, "out of memory");
}

/* ---- transactions ---- */

static int begin(struct retrying *r)
{
    if (r->is_open)
        return 0;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(r->producer->rk);
    if (error)
        return fail_call(r, error, "begin a transaction");
    r->is_open = true;
    r->in_batch = 0;
    r->bytes = r->given = r->arrived = 0;
    return 0;
}

/* What the group is to know of the partition. */
static int add_progress(struct retrying *r, int32_t partition, rd_kafka_topic_partition_list_t *list)
{
    const struct part *part = &r->parts[partition];
    struct leat_strbuf left = { 0 };
    const int code = leat__dlq_left_write(&part->now, &part->before, part->looked, &left);
    if (code == LEAT_ELIMIT)
        (void)leat__error(&r->tool->error, LEAT_ELIMIT,
            "of partition %d more messages are left here and there than a group can remember: retry with "
            "fewer "
            "conditions, or one partition after the other with --limit",
            (int)partition);
    else if (code < 0)
        (void)no_memory(r);
    if (code == 0) {
        rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_add(list, r->tool->words[1], partition);
        p->offset = part->next;
        if (left.len > 0) {
            p->metadata = malloc(left.len); /* librdkafka frees it */
            p->metadata_size = p->metadata ? left.len : 0;
            if (p->metadata)
                memcpy(p->metadata, left.data, left.len);
        }
    }
    leat__strbuf_release(&left);
    return code;
}

static int send_progress(struct retrying *r)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->parts_count);
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(r->consumer->rk);
    rd_kafka_error_t *error = NULL;
    int code = group ? 0 : no_memory(r);
    for (uint32_t i = 0; code == 0 && i < r->parts_count; i++)
        if (r->parts[i].is_changed)
            code = add_progress(r, (int32_t)i, list);
    if (code == 0)
        error = rd_kafka_send_offsets_to_transaction(r->producer->rk, list, group, LEAT_KAFKA_TIMEOUT_MS);
    if (error)
        code = fail_call(r, error, "remember how far it has come");
    rd_kafka_topic_partition_list_destroy(list);
    if (group)
        rd_kafka_consumer_group_metadata_destroy(group);
    return code;
}

/* Waits until every message has arrived. */
static int flush(struct retrying *r)
{
    while (!r->failure && r->arrived < r->given && rd_kafka_outq_len(r->producer->rk) > 0)
        (void)rd_kafka_flush(r->producer->rk, POLL_MS);
    if (r->failure)
        return fail(r, r->failure, NULL, "put a message back");
    if (r->arrived < r->given)
        return leat__error(&r->tool->error, LEAT_ECONNECT, "nobody knows what became of %" PRIu64 " messages",
            r->given - r->arrived);
    return 0;
}

static int commit(struct retrying *r)
{
    LEAT_TRY(begin(r)); /* nothing may have been put back, and much been looked at */
    LEAT_TRY(flush(r));
    LEAT_TRY(send_progress(r));
    rd_kafka_error_t *error = rd_kafka_commit_transaction(r->producer->rk, LEAT_KAFKA_TIMEOUT_MS);
    if (error)
        return fail_call(r, error, "end a transaction");
    r->is_open = false;
    r->retried += r->given;
    for (uint32_t i = 0; i < r->parts_count; i++)
        r->parts[i].is_changed = false;
    return 0;
}

/* ---- one message ---- */

static const struct target *find_target(struct retrying *r, struct leat_sv topic)
{
    for (uint32_t i = 0; i < r->targets_count; i++)
        if (leat_sv_eq(leat_sv_of(r->targets[i].topic), topic))
            return &r->targets[i];
    return NULL;
}

/* Where it goes, looked at when it is first met; *target stays NULL where nobody says. */
static int choose_target(
    struct retrying *r, const struct leat_dlq_message *letter, const struct target **target)
{
    struct leat_kafka_tool *tool = r->tool;
    const struct leat_sv topic = tool->to ? leat_sv_of(tool->to) : letter->topic;
    *target = NULL;
    if (topic.len == 0)
        return 0;
    *target = find_target(r, topic);
    if (*target)
        return 0;
    if (leat_sv_eq(topic, leat_sv_of(tool->words[1])))
        return leat__error(&tool->error, LEAT_EINVAL,
            "they would go to topic \"%s\", where they are: --to TOPIC names another", tool->words[1]);
    struct target *targets = realloc(r->targets, (r->targets_count + 1) * sizeof *targets);
    if (!targets)
        return no_memory(r);
    r->targets = targets;
    struct target *made = &targets[r->targets_count];
    *made = (struct target){ 0 };
    made->topic = strndup(topic.data, topic.len);
    if (!made->topic)
        return no_memory(r);
    r->targets_count++;
    LEAT_TRY(leat__kafka_partitions(
        r->consumer, made->topic, LEAT_KAFKA_TOOL_TIMEOUT_MS, &made->partitions, &tool->error));
    if (r->producer && !(made->handle = rd_kafka_topic_new(r->producer->rk, made->topic, NULL)))
        return fail(r, rd_kafka_last_error(), NULL, "open a topic");
    *target = made;
    return 0;
}

static int32_t choose_partition(
    const struct retrying *r, const struct leat_dlq_message *letter, const struct target *target)
{
    if (!r->tool->to && letter->partition >= 0 && letter->partition < (int64_t)target->partitions)
        return (int32_t)letter->partition;
    return RD_KAFKA_PARTITION_UA; /* by its key */
}

static int put_back(struct retrying *r, const struct leat_dlq_message *letter, const struct target *target)
{
    const rd_kafka_message_t *message = letter->message;
    LEAT_TRY(begin(r));
    rd_kafka_headers_t *headers = leat__dlq_original_headers(letter);
    if (!headers)
        return no_memory(r);
    const rd_kafka_vu_t vus[] = {
        { .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = target->handle },
        { .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = choose_partition(r, letter, target) },
        { .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
        { .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = letter->timestamp_ms > 0 ? letter->timestamp_ms : 0 },
        { .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { message->key, message->key_len } },
        { .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { message->payload, message->len } },
        { .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
    };
    rd_kafka_error_t *error;
    while ((error = rd_kafka_produceva(r->producer->rk, vus, sizeof vus / sizeof vus[0])) != NULL &&
        rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL && !r->failure) {
        rd_kafka_error_destroy(error);
        (void)rd_kafka_poll(r->producer->rk, POLL_MS);
    }
    if (error) {
        rd_kafka_headers_destroy(headers);
        return fail_call(r, error, "put a message back");
    }
    r->given++;
    r->bytes += message->len + message->key_len;
    return 0;
}

static void show(const struct retrying *r, const struct leat_dlq_message *letter, const struct target *target)
{
    struct leat_strbuf out = { 0 };
    leat__json_begin(&out, NULL, '{');
    leat__json_number(&out, "partition", letter->message->partition);
    leat__json_number(&out, "offset", letter->message->offset);
    leat__json_text(&out, "to", target->topic);
    leat__kafka_tool_bytes(&out, "node", letter->node.data, letter->node.len);
    leat__kafka_tool_bytes(&out, "class", letter->error_class.data, letter->error_class.len);
    leat__json_number(&out, "attempts", letter->attempts);
    leat__kafka_tool_bytes(&out, "key", letter->message->key, letter->message->key_len);
    leat__json_end(&out, '}');
    leat__strbuf_char(&out, '\n');
    if (leat__output_choose(r->tool->output) == LEAT_OUTPUT_JSON)
        (void)fwrite(out.data, 1, out.failed ? 0 : out.len, stdout);
    else
        (void)printf("%d\t%lld\t%s\t%lld\n", (int)letter->message->partition,
            (long long)letter->message->offset, target->topic, (long long)letter->attempts);
    leat__strbuf_release(&out);
}

/* 1: it went, or would; 0: it is left. */
static int take(struct retrying *r, const struct leat_dlq_message *letter)
{
    const struct target *target;
    if (!leat__dlq_is_wanted(r->tool, letter))
        return 0;
    if (r->tool->max_attempts >= 0 && letter->attempts >= r->tool->max_attempts) {
        r->too_often++;
        return 0;
    }
    LEAT_TRY(choose_target(r, letter, &target));
    if (!target) {
        r->homeless++;
        return 0;
    }
    if (r->producer)
        LEAT_TRY(put_back(r, letter, target));
    else {
        show(r, letter, target);
        r->retried++;
    }
    return 1;
}

static bool is_enough(const struct retrying *r)
{
    const uint64_t all = r->retried + (r->is_open ? r->given : 0);
    return r->tool->limit >= 0 && all >= (uint64_t)r->tool->limit;
}

static int on_message(void *arg, const rd_kafka_message_t *message)
{
    struct retrying *r = arg;
    struct part *part = &r->parts[message->partition];
    const bool is_new = message->offset >= part->next;
    struct leat_dlq_message letter;
    int went = 1; /* by an earlier one */
    if (is_new || leat__dlq_left_has(&part->before, message->offset)) {
        leat__dlq_read(message, &letter);
        went = take(r, &letter);
        LEAT_TRY(went);
    }
    if (!went && leat__dlq_left_add(&part->now, message->offset) < 0)
        return no_memory(r);
    part->looked = message->offset + 1;
    if (is_new)
        part->next = part->looked;
    part->is_changed = true;
    if (r->producer && r->is_open) {
        (void)rd_kafka_poll(r->producer->rk, 0);
        if (r->given >= BATCH_MESSAGES || r->bytes >= BATCH_BYTES)
            LEAT_TRY(commit(r));
    }
    return is_enough(r) ? LEAT_SCAN_DONE : LEAT_SCAN_ON;
}

/* ---- where it is ---- */

static int ask_group(struct retrying *r, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_add_range(list, r->tool->words[1], 0, (int32_t)r->parts_count - 1);
    const rd_kafka_resp_err_t code = rd_kafka_committed(r->consumer->rk, list, LEAT_KAFKA_TOOL_TIMEOUT_MS);
    return code ? leat__kafka_error(r->consumer, code, NULL, "ask for the group's offsets", &r->tool->error)
                : 0;
}

static int plan_partition(
    struct retrying *r, struct leat_kafka_scan *scan, const rd_kafka_topic_partition_t *known)
{
    struct part *part = &r->parts[known->partition];
    struct leat_error *err = &r->tool->error;
    int64_t first = 0, end = 0;
    LEAT_TRY(leat__kafka_tool_range(r->tool, r->consumer, known->topic, known->partition, &first, &end));
    if (known->offset >= 0 && leat__dlq_left_read(known->metadata, known->metadata_size, &part->before) < 0)
        return leat__error(err, LEAT_EDATA,
            "what group \"%s\" has of partition %d is not of a retry: --group NAME takes another group",
            r->group, (int)known->partition);
    if (known->offset > end)
        return leat__error(err, LEAT_EDATA,
            "group \"%s\" has looked at %" PRId64 " messages of partition %d, which has only %" PRId64
            ": the topic was made anew. --group NAME takes another group",
            r->group, known->offset, (int)known->partition, end);
    part->next = known->offset >= 0 ? known->offset : first;
    int64_t from = part->before.count > 0 ? part->before.offsets[0] : part->next;
    if (from < first)
        from = first; /* the others are gone */
    part->looked = from;
    if (r->tool->partition >= 0 && known->partition != r->tool->partition)
        return 0;
    return leat__kafka_scan_add(scan, known->partition, from, end);
}

static int plan(struct retrying *r, struct leat_kafka_scan *scan)
{
    struct leat_kafka_tool *tool = r->tool;
    LEAT_TRY(leat__kafka_partitions(
        r->consumer, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &r->parts_count, &tool->error));
    if (tool->partition >= (int64_t)r->parts_count)
        return leat__error(
            &tool->error, LEAT_ENOTFOUND, "topic \"%s\" has %u partitions", tool->words[1], r->parts_count);
    r->parts = calloc(r->parts_count, sizeof *r->parts);
    if (!r->parts)
        return no_memory(r);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)r->parts_count);
    int code = ask_group(r, list);
    for (int i = 0; code == 0 && i < list->cnt; i++)
        code = plan_partition(r, scan, &list->elems[i]);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/* ---- all ---- */

/* The group is this one's behind it: nobody else's transaction is open. */
static int open_producer(struct retrying *r)
{
    struct leat_kafka_tool *tool = r->tool;
    rd_kafka_conf_t *conf;
    LEAT_TRY(leat__kafka_conf(&tool->conn, LEAT_KAFKA_TRANSACTIONAL, leat__env_posix(), &conf, &tool->error));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    int code = leat__kafka_set(conf, "transactional.id", r->group, &tool->error);
    if (code == 0)
        code = leat__kafka_set(conf, "partitioner", "murmur2_random", &tool->error);
    if (code < 0) {
        rd_kafka_conf_destroy(conf);
        return code;
    }
    LEAT_TRY(leat__kafka_new(&tool->conn, LEAT_KAFKA_TRANSACTIONAL, conf, r, &r->producer, &tool->error));
    rd_kafka_error_t *error = rd_kafka_init_transactions(r->producer->rk, LEAT_KAFKA_TIMEOUT_MS);
    return error ? fail_call(r, error, "begin with transactions") : 0;
}

static int run(struct retrying *r, struct leat_kafka_scan *scan)
{
    struct leat_kafka_tool *tool = r->tool;
    const int len = tool->group ? snprintf(r->group, sizeof r->group, "%s", tool->group)
                                : snprintf(r->group, sizeof r->group, "leat-dlq-%s", tool->words[1]);
    if ((size_t)len >= sizeof r->group)
        return leat__error(&tool->error, LEAT_EINVAL, "--group: the name is too long");
    r->consumer = scan->client = leat__kafka_tool_consumer(tool, r->group);
    if (!r->consumer)
        return tool->error.code;
    if (!tool->dry_run)
        LEAT_TRY(open_producer(r));
    LEAT_TRY(plan(r, scan));
    if (!is_enough(r))
        LEAT_TRY(leat__kafka_scan_run(scan, on_message, r));
    bool is_changed = r->is_open;
    for (uint32_t i = 0; i < r->parts_count; i++)
        is_changed |= r->parts[i].is_changed;
    return r->producer && is_changed ? commit(r) : 0;
}

static void release(struct retrying *r)
{
    if (r->is_open) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(r->producer->rk, 5000);
        if (error)
            rd_kafka_error_destroy(error); /* the next retry of the group does it */
    }
    for (uint32_t i = 0; i < r->targets_count; i++)
        if (r->targets[i].handle)
            rd_kafka_topic_destroy(r->targets[i].handle);
    leat__kafka_free(r->producer);
    for (uint32_t i = 0; r->parts && i < r->parts_count; i++) {
        leat__dlq_left_release(&r->parts[i].before);
        leat__dlq_left_release(&r->parts[i].now);
    }
    for (uint32_t i = 0; i < r->targets_count; i++)
        free(r->targets[i].topic);
    free(r->parts);
    free(r->targets);
}

static void tell(const struct retrying *r)
{
    (void)fprintf(
        stderr, "%" PRIu64 " messages %s", r->retried, r->producer ? "were put back" : "would be put back");
    if (r->too_often)
        (void)fprintf(stderr, "; left: %" PRIu64 " that have failed %" PRId64 " times or more", r->too_often,
            r->tool->max_attempts);
    if (r->homeless)
        (void)fprintf(stderr, "; left: %" PRIu64 " that came from no topic (--to TOPIC)", r->homeless);
    (void)fputc('\n', stderr);
}

int leat__dlq_retry(struct leat_kafka_tool *tool)
{
    struct retrying r = { .tool = tool };
    struct leat_kafka_scan scan = { .tool = tool };
    if (tool->to && strcmp(tool->to, tool->words[1]) == 0)
        return leat__kafka_tool_wrong(tool, "--to must be another topic than ", tool->to);
    const int code = run(&r, &scan);
    tell(&r);
    release(&r);
    leat__kafka_scan_release(&scan);
    if (code == 0 && fflush(stdout) != 0)
        return leat__output_fail(&(struct leat_error){ LEAT_EIO, "the standard output can not be written" });
    return code < 0 ? leat__output_fail(&tool->error) : 0;
}
