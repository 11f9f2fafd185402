/* tests/kafka/broker/control.c -- the commands of the control socket: a line in, "ok ..." or "error ..." out, lines of a
 * dump behind it. tests/kafka/README.md lists them. */
#include "tests/kafka/broker/server.h"
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 8, WAIT_MS = 120000 };

struct command {
    struct kb_server *server;
    struct kb_conn *conn;
    struct kb_out *out;
    struct kb_text words[WORDS_MAX];
    int count;
    bool bad; /* a word is not what it must be */
};

static void split(struct command *c, struct kb_text line)
{
    for (size_t i = 0; i < line.len;) {
        if (line.data[i] == ' ') {
            i++;
            continue;
        }
        size_t end = i;
        while (end < line.len && line.data[end] != ' ')
            end++;
        if (c->count < WORDS_MAX)
            c->words[c->count++] = (struct kb_text){ line.data + i, end - i };
        i = end;
    }
}

static int64_t number(struct command *c, int word)
{
    char text[24] = { 0 };
    char *end = NULL;
    if (word >= c->count || c->words[word].len >= sizeof text) {
        c->bad = true;
        return 0;
    }
    memcpy(text, c->words[word].data, c->words[word].len);
    const long long value = strtoll(text, &end, 10);
    c->bad = c->bad || *end || end == text;
    return value;
}

static bool is(const struct command *c, int word, const char *text)
{
    return word < c->count && kb_same(c->words[word], text);
}

static void finish(struct command *c, int16_t code)
{
    if (code)
        kb_printf(c->out, "error %d\n", code);
    else
        kb_printf(c->out, "ok\n");
}

/* fault API NTH|every error CODE | close | drop | hold | delay MS | duplicate | repeat MS|held | late MS|held */
static void do_fault(struct command *c)
{
    static const struct {
        const char *name;
        enum kb_fault_kind kind;
        bool argument;
    } kinds[] = { { "error", KB_ERROR, true }, { "close", KB_CLOSE, false }, { "drop", KB_DROP, false },
        { "hold", KB_DELAY, false }, { "delay", KB_DELAY, true }, { "duplicate", KB_DUPLICATE, false },
        { "repeat", KB_REPEAT, true }, { "late", KB_LATE, true } };
    struct kb_fault fault = { .api = c->count > 1 ? kb_api_by_name(c->words[1]) : -1, .argument = KB_HELD };
    fault.nth = is(c, 2, "every") ? 0 : number(c, 2);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (is(c, 3, kinds[i].name)) {
            fault.kind = kinds[i].kind;
            if (kinds[i].argument && !is(c, 4, "held"))
                fault.argument = number(c, 4);
        }
    if (fault.api < 0 || fault.kind == KB_NO_FAULT || fault.nth < 0)
        c->bad = true;
    if (c->bad)
        return;
    KB_GROW(c->server->faults, c->server->faults_count);
    c->server->faults[c->server->faults_count++] = fault;
    finish(c, 0);
}

static void do_wait(struct command *c)
{
    const bool held = is(c, 1, "held");
    const int api = held ? -1 : c->count > 1 ? kb_api_by_name(c->words[1]) : -1;
    c->conn->wait_count = number(c, 2);
    c->bad = c->bad || (!held && api < 0);
    if (c->bad)
        return;
    c->conn->waiting = true;
    c->conn->wait_api = api;
    c->conn->wait_until = c->server->broker.now + WAIT_MS;
}

static void do_seen(struct command *c)
{
    const int api = c->count > 1 ? kb_api_by_name(c->words[1]) : -1;
    if (api < 0)
        c->bad = true;
    else
        kb_printf(c->out, "ok %lld\n", (long long)c->server->seen[api]);
}

static void do_refuse(struct command *c)
{
    c->server->refusing = is(c, 1, "on");
    c->bad = !c->server->refusing && !is(c, 1, "off");
    if (c->bad)
        return;
    if (c->server->refusing)
        kb_server_close_clients(c->server);
    finish(c, 0);
}

/* Transactions */

static struct kb_txn *find_txn(struct command *c)
{
    struct kb_txn *txn = c->count > 1 ? kb_txn_find(&c->server->broker, c->words[1]) : NULL;
    if (!txn)
        kb_printf(c->out, "error no such transactional id\n");
    return txn;
}

static void do_expire(struct command *c)
{
    struct kb_txn *txn = find_txn(c);
    if (txn) {
        kb_txn_expire(&c->server->broker, txn);
        finish(c, 0);
    }
}

static void do_txn(struct command *c)
{
    static const char *const states[] = { "empty", "ongoing", "committed", "aborted" };
    const struct kb_txn *txn = find_txn(c);
    if (!txn)
        return;
    kb_printf(c->out, "ok %s pid %lld epoch %d timeout %d", states[txn->state], (long long)txn->pid,
        txn->epoch, txn->timeout_ms);
    for (size_t i = 0; i < txn->places_count; i++)
        kb_printf(c->out, " %s/%d", txn->places[i].topic, txn->places[i].partition);
    for (size_t i = 0; i < txn->groups_count; i++)
        kb_printf(c->out, " group %s", txn->groups[i]);
    kb_printf(c->out, "\n");
}

/* Topics */

static void do_create(struct command *c)
{
    struct kb_topic *made = NULL;
    const int64_t partitions = number(c, 2);
    if (c->bad)
        return;
    int16_t code = kb_topic_create(&c->server->broker, c->words[1], (int32_t)partitions, &made);
    for (int i = 3; i < c->count && !code; i++) {
        const char *equals = memchr(c->words[i].data, '=', c->words[i].len);
        const size_t len = equals ? (size_t)(equals - c->words[i].data) : 0;
        code = !equals ? KB_INVALID_CONFIG
                       : kb_topic_configure(made, (struct kb_text){ c->words[i].data, len },
                             (struct kb_text){ equals + 1, c->words[i].len - len - 1 });
    }
    finish(c, code);
}

static void do_recreate(struct command *c)
{
    struct kb_topic *made = NULL;
    const struct kb_topic *old = c->count > 1 ? kb_topic_find(&c->server->broker, c->words[1]) : NULL;
    const int32_t partitions = c->count > 2 ? (int32_t)number(c, 2) : old ? old->partitions : 0;
    if (c->bad || c->count < 2) {
        c->bad = true;
        return;
    }
    int16_t code = kb_topic_delete(&c->server->broker, c->words[1]);
    if (!code)
        code = kb_topic_create(&c->server->broker, c->words[1], partitions, &made);
    finish(c, code);
}

static struct kb_log *find_log(struct command *c)
{
    const int64_t partition = number(c, 2);
    struct kb_log *log = c->bad ? NULL : kb_log_find(&c->server->broker, c->words[1], (int32_t)partition);
    if (!log && !c->bad)
        kb_printf(c->out, "error %d\n", KB_UNKNOWN_TOPIC);
    return log;
}

static void do_truncate(struct command *c)
{
    struct kb_log *log = find_log(c);
    const int64_t offset = number(c, 3);
    if (!log || c->bad)
        return;
    kb_log_truncate(log, offset);
    c->server->broker.changes++;
    finish(c, 0);
}

static void do_log(struct command *c)
{
    const struct kb_log *log = find_log(c);
    if (log)
        kb_printf(c->out, "ok start %lld end %lld stable %lld\n", (long long)log->start, (long long)log->end,
            (long long)kb_log_stable(log));
}

/* Dumps */

/* Printable without spaces: other bytes as \xHH, null as -, nothing as "". */
static void put_printable(struct kb_out *out, struct kb_text text)
{
    if (!text.data || text.len == 0) {
        kb_printf(out, text.data ? "\"\"" : "-");
        return;
    }
    const bool dash = text.len == 1 && text.data[0] == '-';
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '\\' || byte == '"' || dash)
            kb_printf(out, "\\x%02x", byte);
        else
            kb_put_i8(out, (int8_t)byte);
    }
}

struct dump {
    struct kb_out *out;
    int32_t partition;
    int64_t start;
};

static struct kb_text sized(struct kb_in *in)
{
    const int64_t len = kb_varint(in);
    return len < 0 ? (struct kb_text){ 0 }
                   : (struct kb_text){ (const char *)kb_raw(in, (size_t)len), (size_t)len };
}

static bool dump_record(const struct kb_record *record, void *arg)
{
    struct dump *dump = arg;
    if (record->offset < dump->start)
        return true;
    kb_printf(
        dump->out, "%d %lld %lld ", dump->partition, (long long)record->offset, (long long)record->time);
    put_printable(dump->out, record->key);
    kb_printf(dump->out, " ");
    put_printable(dump->out, record->value);
    struct kb_in headers = record->headers;
    for (int32_t i = 0; i < record->headers_count; i++) {
        kb_printf(dump->out, " ");
        put_printable(dump->out, sized(&headers));
        kb_printf(dump->out, "=");
        put_printable(dump->out, sized(&headers));
    }
    kb_printf(dump->out, "\n");
    return true;
}

static void do_dump(struct command *c)
{
    const struct kb_topic *t = c->count > 1 ? kb_topic_find(&c->server->broker, c->words[1]) : NULL;
    const int64_t only = c->count > 2 ? number(c, 2) : -1;
    if (c->bad)
        return;
    if (!t) {
        finish(c, KB_UNKNOWN_TOPIC);
        return;
    }
    kb_printf(c->out, "ok\n");
    for (int32_t p = 0; p < t->partitions; p++) {
        struct dump dump = { c->out, p, t->logs[p].start };
        if ((only < 0 || only == p) && kb_log_committed(&t->logs[p], dump_record, &dump))
            kb_printf(c->out, "%d broken\n", p);
    }
}

static void do_offsets(struct command *c)
{
    const struct kb_broker *b = &c->server->broker;
    kb_printf(c->out, "ok\n");
    for (size_t i = 0; i < b->offsets_count; i++) {
        const struct kb_offset *o = &b->offsets[i];
        if (c->count < 2 || !kb_same(c->words[1], o->group))
            continue;
        kb_printf(c->out, "%s %d %lld ", o->place.topic, o->place.partition, (long long)o->offset);
        put_printable(c->out, (struct kb_text){ o->metadata, o->metadata ? strlen(o->metadata) : 0 });
        kb_printf(c->out, o->pid < 0 ? "\n" : " pending\n");
    }
}

static void do_topics(struct command *c)
{
    const struct kb_broker *b = &c->server->broker;
    kb_printf(c->out, "ok\n");
    for (size_t i = 0; i < b->topics_count; i++) {
        kb_printf(c->out, "%s %d ", b->topics[i].name, b->topics[i].partitions);
        for (size_t byte = 0; byte < sizeof b->topics[i].id; byte++)
            kb_printf(c->out, "%02x", b->topics[i].id[byte]);
        kb_printf(c->out, "\n");
    }
}

/* Those of one line each */

static void do_release(struct command *c)
{
    kb_server_release(c->server);
    finish(c, 0);
}

static void do_clear(struct command *c)
{
    c->server->faults_count = 0;
    finish(c, 0);
}

static void do_delete(struct command *c)
{
    finish(c, kb_topic_delete(&c->server->broker, c->words[1]));
}

static void do_grow(struct command *c)
{
    const int64_t partitions = number(c, 2);
    if (!c->bad)
        finish(c, kb_topic_grow(&c->server->broker, c->words[1], (int32_t)partitions));
}

static void do_stop(struct command *c)
{
    c->server->stopping = true;
    finish(c, 0);
}

bool kb_command(struct kb_server *server, struct kb_conn *conn, struct kb_text line)
{
    static const struct {
        const char *name;
        void (*run)(struct command *c);
    } commands[] = { { "fault", do_fault }, { "clear", do_clear }, { "release", do_release },
        { "wait", do_wait }, { "seen", do_seen }, { "refuse", do_refuse }, { "expire", do_expire },
        { "bump", do_expire }, { "txn", do_txn }, { "create", do_create }, { "delete", do_delete },
        { "recreate", do_recreate }, { "grow", do_grow }, { "truncate", do_truncate }, { "log", do_log },
        { "dump", do_dump }, { "offsets", do_offsets }, { "topics", do_topics }, { "stop", do_stop } };
    struct command c = { .server = server, .conn = conn, .out = &conn->out };
    split(&c, line);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (is(&c, 0, commands[i].name)) {
            commands[i].run(&c);
            if (c.bad)
                kb_printf(c.out, "error %s: its words are not right\n", commands[i].name);
            return !conn->waiting;
        }
    kb_printf(c.out, "error unknown command\n");
    return true;
}
