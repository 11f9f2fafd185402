/* tools/dlq_show.c -- `leat dlq show`: dead letters by the time at which they came, the oldest or the newest ones.
 *
 * As many as are shown are kept, sorted; so a topic of any size needs no more memory than that. Of the oldest no
 * partition need be read further than so many; the newest are known when all was read. */
#include "tools/dlq.h"
#include "tools/kafka_scan.h"
#include <stdio.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 100
#define TEXT_CHARS_MAX 60

struct kept {
    struct leat_strbuf text; /* a line of JSON, or the cells of a row with NUL between them */
    int64_t time_ms, offset;
    int32_t partition;
};

struct showing {
    struct leat_kafka_tool *tool;
    enum leat_cli_output output;
    struct kept *kept; /* in the order in which they are shown */
    size_t count, limit;
    uint32_t *taken; /* by partition: how many were wanted */
    uint32_t partitions;
    bool more;
};

/* ---- one letter ---- */

static void write_text(struct leat_strbuf *out, const char *name, struct leat_sv text)
{
    leat__kafka_tool_bytes(out, name, text.data, text.len);
}

static void write_number(struct leat_strbuf *out, const char *name, int64_t number)
{
    if (number < 0)
        leat__json_null(out, name);
    else
        leat__json_number(out, name, number);
}

static void write_from(struct leat_strbuf *out, const struct leat_dlq_message *l)
{
    if (!l->topic.data && !l->split.data) {
        leat__json_null(out, "from");
        return;
    }
    leat__json_begin(out, "from", '{');
    if (l->topic.data) {
        write_text(out, "topic", l->topic);
        write_number(out, "partition", l->partition);
        write_number(out, "offset", l->offset);
        if (l->timestamp_ms < 0)
            leat__json_null(out, "timestamp");
        else
            leat__json_time(out, "timestamp", l->timestamp_ms * 1000);
    } else {
        write_text(out, "split", l->split);
        write_number(out, "position", l->position);
    }
    leat__json_end(out, '}');
}

static void write_json(struct leat_strbuf *out, const struct leat_dlq_message *l)
{
    leat__json_begin(out, NULL, '{');
    leat__json_number(out, "partition", l->message->partition);
    leat__json_number(out, "offset", l->message->offset);
    write_text(out, "job", l->job);
    write_text(out, "node", l->node);
    write_text(out, "class", l->error_class);
    write_text(out, "error", l->error);
    write_text(out, "failed_at", l->failed_at);
    write_text(out, "first_seen", l->first_seen);
    leat__json_number(out, "attempts", l->attempts);
    write_from(out, l);
    leat__kafka_tool_bytes(out, "key", l->message->key, l->message->key_len);
    leat__kafka_tool_headers(out, l->message);
    leat__kafka_tool_bytes(out, "value", l->message->payload, l->message->len);
    leat__json_end(out, '}');
    leat__strbuf_char(out, '\n');
}

static void write_cell(struct leat_strbuf *out, struct leat_sv text, size_t max)
{
    if (text.data)
        leat__output_escape(out, text.data, text.len, max);
    else
        leat__strbuf_char(out, '-');
    leat__strbuf_char(out, '\0');
}

static const char *const headings[] = { ">PARTITION", ">OFFSET", "FAILED", ">ATTEMPTS", "NODE", "CLASS",
    "FROM", "KEY", "ERROR" };
#define COLUMNS (sizeof headings / sizeof headings[0])

static void write_row(struct leat_strbuf *out, const struct leat_dlq_message *l, bool is_cut)
{
    const size_t max = is_cut ? TEXT_CHARS_MAX : 0;
    leat__strbuf_printf(out, "%d", (int)l->message->partition);
    leat__strbuf_char(out, '\0');
    leat__strbuf_printf(out, "%lld", (long long)l->message->offset);
    leat__strbuf_char(out, '\0');
    write_cell(out, l->failed_at, max);
    leat__strbuf_printf(out, "%lld", (long long)l->attempts);
    leat__strbuf_char(out, '\0');
    write_cell(out, l->node, max);
    write_cell(out, l->error_class, max);
    if (l->topic.data) {
        leat__output_escape(out, l->topic.data, l->topic.len, 0);
        leat__strbuf_printf(out, "/%lld:%lld", (long long)l->partition, (long long)l->offset);
    } else if (l->split.data) {
        leat__output_escape(out, l->split.data, l->split.len, max);
        if (l->position >= 0)
            leat__strbuf_printf(out, ":%lld", (long long)l->position);
    } else {
        leat__strbuf_char(out, '-');
    }
    leat__strbuf_char(out, '\0');
    write_cell(out, (struct leat_sv){ l->message->key, l->message->key_len }, max);
    write_cell(out, l->error, max);
}

/* ---- the first or the last ---- */

static int compare(const struct kept *a, const struct kept *b)
{
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static size_t place_of(const struct showing *s, const struct kept *one)
{
    size_t at = s->count;
    while (at > 0) {
        const int order = compare(one, &s->kept[at - 1]);
        if (s->tool->newest ? order < 0 : order > 0)
            break;
        at--;
    }
    return at;
}

static int keep(struct showing *s, const struct leat_dlq_message *letter, struct kept *one)
{
    const size_t at = place_of(s, one);
    s->more |= s->count == s->limit;
    if (at == s->limit)
        return 0;
    if (s->output == LEAT_OUTPUT_JSON)
        write_json(&one->text, letter);
    else
        write_row(&one->text, letter, s->output == LEAT_OUTPUT_TABLE);
    if (one->text.failed)
        return leat__error(&s->tool->error, LEAT_ENOMEM, "out of memory");
    if (s->count == s->limit)
        leat__strbuf_release(&s->kept[--s->count].text);
    memmove(&s->kept[at + 1], &s->kept[at], (s->count - at) * sizeof s->kept[0]);
    s->kept[at] = *one;
    s->count++;
    return 0;
}

static int on_message(void *arg, const rd_kafka_message_t *message)
{
    struct showing *s = arg;
    struct leat_dlq_message letter;
    rd_kafka_timestamp_type_t type;
    leat__dlq_read(message, &letter);
    if (!leat__dlq_is_wanted(s->tool, &letter))
        return LEAT_SCAN_ON;
    struct kept one = { .time_ms = rd_kafka_message_timestamp(message, &type),
        .offset = message->offset,
        .partition = message->partition };
    const int code = keep(s, &letter, &one);
    if (code < 0) {
        leat__strbuf_release(&one.text);
        return code;
    }
    if (s->tool->newest || ++s->taken[message->partition] <= s->limit)
        return LEAT_SCAN_ON;
    return LEAT_SCAN_PARTITION_DONE;
}

/* ---- all ---- */

static int plan(struct showing *s, struct leat_kafka_scan *scan)
{
    struct leat_kafka_tool *tool = s->tool;
    LEAT_TRY(leat__kafka_partitions(
        scan->client, tool->words[1], LEAT_KAFKA_TOOL_TIMEOUT_MS, &s->partitions, &tool->error));
    if (tool->partition >= (int64_t)s->partitions)
        return leat__error(
            &tool->error, LEAT_ENOTFOUND, "topic \"%s\" has %u partitions", tool->words[1], s->partitions);
    s->limit = tool->limit < 0 ? LIMIT_DEFAULT : (size_t)tool->limit;
    s->taken = calloc(s->partitions, sizeof *s->taken);
    s->kept = calloc(s->limit + 1, sizeof *s->kept);
    if (!s->taken || !s->kept)
        return leat__error(&tool->error, LEAT_ENOMEM, "out of memory");
    for (int32_t i = 0; i < (int32_t)s->partitions; i++) {
        int64_t first = 0, end = 0;
        if (tool->partition >= 0 && i != tool->partition)
            continue;
        LEAT_TRY(leat__kafka_tool_range(tool, scan->client, tool->words[1], i, &first, &end));
        LEAT_TRY(leat__kafka_scan_add(scan, i, first, end));
    }
    return 0;
}

static int print(struct showing *s)
{
    struct leat_grid grid = { .headings = headings, .columns = COLUMNS };
    struct leat_strbuf out = { 0 };
    for (size_t i = 0; i < s->count; i++) {
        const char *at = s->kept[i].text.data;
        if (s->output == LEAT_OUTPUT_JSON) {
            leat__strbuf_add(&out, at, s->kept[i].text.len);
            continue;
        }
        for (size_t k = 0; k < COLUMNS; k++, at += strlen(at) + 1)
            leat__grid_both(&grid, at, at); /* escaped already */
    }
    if (s->output != LEAT_OUTPUT_JSON)
        leat__grid_print(&grid, s->output, 0, &out);
    leat__grid_release(&grid);
    if (s->more)
        (void)fprintf(stderr, "There are more than %zu: --limit N shows more of them\n", s->limit);
    return leat__output_print(&out);
}

int leat__dlq_show(struct leat_kafka_tool *tool)
{
    struct showing s = { .tool = tool, .output = leat__output_choose(tool->output) };
    struct leat_kafka_scan scan = { .tool = tool,
        .client = leat__kafka_tool_consumer(tool, "leat-dlq-show") };
    int code = scan.client ? plan(&s, &scan) : tool->error.code;
    if (code == 0)
        code = leat__kafka_scan_run(&scan, on_message, &s);
    leat__kafka_scan_release(&scan);
    const int exit_code = code < 0 ? leat__output_fail(&tool->error) : print(&s);
    for (size_t i = 0; i < s.count; i++)
        leat__strbuf_release(&s.kept[i].text);
    free(s.kept);
    free(s.taken);
    return exit_code;
}
