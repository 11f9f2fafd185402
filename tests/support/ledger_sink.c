/* tests/support/ledger_sink.c -- the ledger's rules (struct ledger, apply_*), and the class of the sink. The file is
 * read whole before each transaction: slow, and nothing to be wrong about. */
#include "tests/support/ledger_sink.h"
#include "base/hash.h"
#include "base/point.h"
#include "record/json.h"
#include "tests/support/unit.h"
#include "topology/declare.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 64u
#define NAME_BYTES 256u
#define WRITE_BYTES (64u * 1024u)

/* ---- what the lines mean ---- */

struct ledger_slot {
    char name[NAME_BYTES];
    uint64_t producer; /* the one that is listened to */
    uint64_t marker;
    bool is_open;
    uint64_t open_marker; /* in the open transaction; 0: none yet */
    struct leat_strbuf open_values;
    uint64_t open_records;
    uint64_t late_end; /* producer whose end is on its way; 0: none */
};

struct ledger {
    struct ledger_slot slots[SLOTS_MAX];
    uint32_t slots_count;
    struct ledger_view view;
};

static struct ledger_slot *slot_of(struct ledger *l, const char *name)
{
    for (uint32_t i = 0; i < l->slots_count; i++)
        if (strcmp(l->slots[i].name, name) == 0)
            return &l->slots[i];
    assert_true(l->slots_count < SLOTS_MAX);
    struct ledger_slot *s = &l->slots[l->slots_count++];
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

static void close_transaction(struct ledger_slot *s)
{
    s->is_open = false;
    s->open_marker = s->open_records = 0;
    leat__strbuf_clear(&s->open_values);
}

static void apply_abort(struct ledger *l, struct ledger_slot *s)
{
    if (s->is_open && s->open_records > 0)
        l->view.aborted++;
    close_transaction(s);
}

/* Whatever is in the open transaction becomes visible. */
static void apply_commit(struct ledger *l, struct ledger_slot *s)
{
    leat__strbuf_add(&l->view.values, s->open_values.data, s->open_values.len);
    l->view.records += s->open_records;
    l->view.transactions++;
    if (s->open_marker && s->open_marker <= s->marker)
        l->view.order_breaks++;
    if (s->open_marker)
        s->marker = s->open_marker;
    close_transaction(s);
}

static void apply_record(struct ledger_slot *s, const char *rest)
{
    const char *value = strrchr(rest, ' '); /* part time key value: JSON's spaces are written as tabs */
    assert_non_null(value);
    for (const char *c = value + 1; *c; c++)
        leat__strbuf_char(&s->open_values, *c == '\t' ? ' ' : *c);
    leat__strbuf_char(&s->open_values, '\n');
    s->open_records++;
}

/* A line of a producer: ignored if it was shut out. */
static void apply_of_producer(
    struct ledger *l, struct ledger_slot *s, char what, uint64_t n, const char *rest)
{
    const bool is_stale = n != s->producer;
    const bool needs_open = what != 'B' && what != 'D';
    if (what == 'D') {
        s->late_end = n;
        return;
    }
    if (is_stale || (needs_open && !s->is_open)) {
        l->view.refused++;
        return;
    }
    if (what == 'B') {
        apply_abort(l, s);
        s->is_open = true;
    } else if (what == 'R') {
        apply_record(s, rest);
    } else if (what == 'M') {
        s->open_marker = strtoull(rest, NULL, 10);
    } else if (what == 'E') {
        apply_commit(l, s);
    } else if (what == 'A') {
        apply_abort(l, s);
    }
}

static void apply_line(struct ledger *l, char *line)
{
    char name[NAME_BYTES];
    uint64_t n = 0;
    int used = 0;
    assert_true(sscanf(line + 2, "%255s%n", name, &used) == 1);
    struct ledger_slot *s = slot_of(l, name);
    const char *rest = line + 2 + used;
    if (*rest == ' ') {
        char *end;
        n = strtoull(rest + 1, &end, 10);
        rest = *end == ' ' ? end + 1 : end;
    }
    if (line[0] == 'F') {
        apply_abort(l, s);
        s->producer = n;
    } else if (line[0] == 'X') {
        apply_abort(l, s);
        s->producer++;
    } else if (line[0] == 'T') {
        if (s->late_end == s->producer && s->is_open)
            apply_commit(l, s);
        else
            l->view.refused++;
        s->late_end = 0;
    } else {
        apply_of_producer(l, s, line[0], n, rest);
    }
}

/* Checks the line's checksum and cuts it off; false for a line that was not received. */
static bool is_whole(char *line)
{
    char *mark = strrchr(line, '#');
    char want[32];
    if (!mark || mark == line)
        return false;
    (void)snprintf(want, sizeof want, "%016" PRIx64, leat__hash(line, (size_t)(mark - line)));
    if (strcmp(mark + 1, want) != 0)
        return false;
    mark[-1] = '\0'; /* the space before */
    return true;
}

static void ledger_release(struct ledger *l)
{
    for (uint32_t i = 0; i < l->slots_count; i++)
        leat__strbuf_release(&l->slots[i].open_values);
    leat__strbuf_release(&l->view.values);
    free(l);
}

static int read_file(struct leat_env *env, const char *path, struct leat_strbuf *text, struct leat_error *err)
{
    char buffer[4096];
    leat_fd fd;
    int64_t got;
    const int code = env->fs_open(env, path, LEAT_OPEN_READ, &fd, err);
    if (code < 0)
        return code == LEAT_ENOTFOUND ? 0 : code;
    while ((got = env->fs_pread(env, fd, buffer, sizeof buffer, text->len, err)) > 0)
        leat__strbuf_add(text, buffer, (size_t)got);
    env->fs_close(env, fd);
    return (int)got;
}

static int ledger_load(struct leat_env *env, const char *path, struct ledger **out, struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    struct ledger *l = calloc(1, sizeof *l);
    assert_non_null(l);
    const int code = read_file(env, path, &text, err);
    char *line = text.data;
    while (code == 0 && line && *line) {
        char *end = strchr(line, '\n');
        if (!end)
            break; /* cut off */
        *end = '\0';
        if (is_whole(line))
            apply_line(l, line);
        line = end + 1;
    }
    leat__strbuf_release(&text);
    for (uint32_t i = 0; i < l->slots_count; i++)
        l->view.has_open = l->view.has_open || l->slots[i].is_open;
    *out = l;
    return code;
}

int ledger_read(struct leat_env *env, const char *path, struct ledger_view *view, struct leat_error *err)
{
    struct ledger *l;
    const int code = ledger_load(env, path, &l, err);
    *view = l->view;
    l->view.values = (struct leat_strbuf){ 0 };
    ledger_release(l);
    return code;
}

void ledger_view_release(struct ledger_view *view)
{
    leat__strbuf_release(&view->values);
}

uint64_t ledger_marker(struct leat_env *env, const char *path, const char *slot)
{
    struct leat_error err = { 0 };
    struct ledger *l;
    assert_int_equal(ledger_load(env, path, &l, &err), 0);
    const uint64_t marker = slot_of(l, slot)->marker;
    ledger_release(l);
    return marker;
}

/* ---- writing lines ---- */

static void add_line(struct leat_strbuf *out, const char *format, ...) LEAT_PRINTF(2, 3);
static void add_line(struct leat_strbuf *out, const char *format, ...)
{
    const size_t from = out->len;
    va_list args;
    va_start(args, format);
    leat__strbuf_vprintf(out, format, args);
    va_end(args);
    leat__strbuf_char(out, ' ');
    leat__strbuf_printf(out, "#%016" PRIx64 "\n", leat__hash(out->data + from, out->len - from));
}

/* Sends what is in `out`. A line that was cut off before gets an end first, and one that makes it none. */
static int append(struct leat_env *env, const char *path, struct leat_strbuf *out, struct leat_error *err)
{
    struct leat_file_info info;
    leat_fd fd, in;
    char last = '\n';
    if (env->fs_stat(env, path, &info, err) == 0 && info.size > 0) {
        LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_READ, &in, err));
        const int64_t got = env->fs_pread(env, in, &last, 1, info.size - 1, err);
        env->fs_close(env, in);
        LEAT_TRY((int)got);
    }
    LEAT_TRY(env->fs_open(env, path, LEAT_OPEN_APPEND, &fd, err));
    int code = last == '\n' ? 0 : env->fs_write(env, fd, "!\n", 2, err);
    if (code == 0)
        code = env->fs_write(env, fd, out->data, out->len, err);
    if (code == 0)
        code = env->fs_sync(env, fd, err); /* the ledger has it, whatever becomes of us */
    env->fs_close(env, fd);
    leat__strbuf_clear(out);
    return code;
}

/* ---- producers of this process ---- */

struct producer {
    struct producer *next;
    const struct leat_node *node;
    char slot[NAME_BYTES];
    uint64_t number;
};
static struct producer *producers;

void ledger_forget_producers(void)
{
    while (producers) {
        struct producer *next = producers->next;
        free(producers);
        producers = next;
    }
}

static struct producer *producer_of(const struct leat_node *node, const char *slot)
{
    for (struct producer *p = producers; p; p = p->next)
        if (p->node == node && strcmp(p->slot, slot) == 0)
            return p;
    struct producer *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->node = node;
    (void)snprintf(p->slot, sizeof p->slot, "%s", slot);
    p->next = producers;
    producers = p;
    return p;
}

/* ---- the class ---- */

struct ledger_target {
    const char *path;
    const struct leat_type *type;
    struct ledger_faults *faults;
    struct ledger_faults none;
};

struct ledger_instance {
    struct leat_sink sink; /* first: what the runtime knows */
    struct leat_strbuf value;
};

static void print_slot(const struct leat_slot *slot, char text[NAME_BYTES])
{
    (void)snprintf(text, NAME_BYTES, "%s/%s/%u", slot->job, slot->node, slot->slot);
}

static int no_answer(struct leat_error *err)
{
    return leat__error(err, LEAT_ETIMEOUT, "the ledger does not answer");
}

static int ledger_fence(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
    uint64_t *marker, struct leat_error *err)
{
    const struct ledger_target *target = node->spec;
    char name[NAME_BYTES];
    struct leat_strbuf out = { 0 };
    struct ledger *l;
    print_slot(slot, name);
    int code = ledger_load(env, target->path, &l, err);
    if (code == 0) {
        const uint64_t number = slot_of(l, name)->producer + 1;
        producer_of(node, name)->number = number;
        *marker = slot_of(l, name)->marker;
        add_line(&out, "F %s %" PRIu64, name, number);
        code = append(env, target->path, &out, err);
    }
    ledger_release(l);
    leat__strbuf_release(&out);
    if (code == 0 && ++target->faults->fences == target->faults->fence_fails_at)
        return no_answer(err);
    return code;
}

/* Whether the producer was shut out. */
static int check_producer(
    struct leat_env *env, const char *path, const struct producer *p, struct leat_error *err)
{
    struct ledger *l;
    int code = ledger_load(env, path, &l, err);
    if (code == 0 && slot_of(l, p->slot)->producer != p->number)
        code = leat__error(err, LEAT_EEXISTS, "producer %" PRIu64 " of %s was fenced", p->number, p->slot);
    ledger_release(l);
    return code;
}

static int begin(struct leat_env *env, const char *path, const struct producer *p, struct leat_error *err)
{
    struct leat_strbuf out = { 0 };
    struct ledger *l;
    int code = ledger_load(env, path, &l, err);
    if (code == 0) {
        add_line(&out, "B %s %" PRIu64, p->slot, p->number);
        if (slot_of(l, p->slot)->late_end)
            add_line(&out, "T %s", p->slot);
        code = append(env, path, &out, err);
    }
    ledger_release(l);
    leat__strbuf_release(&out);
    return code;
}

static void add_record(
    struct leat_strbuf *out, const struct producer *p, const struct leat_outbox_record *record)
{
    char value[64 * 1024];
    assert_true(record->value.len < sizeof value);
    for (size_t i = 0; i < record->value.len; i++)
        value[i] = record->value.data[i] == ' ' ? '\t' : record->value.data[i];
    value[record->value.len] = '\0';
    add_line(out, "R %s %" PRIu64 " %" PRId32 " %" PRId64 " %.*s %s", p->slot, p->number, record->partition,
        record->time_us, (int)record->key.len, record->key.data, value);
}

/* All records and the marker. */
static int send_all(struct leat_env *env, const char *path, const struct producer *p, uint64_t epoch,
    struct leat_outbox_reader *records, struct leat_error *err)
{
    struct leat_strbuf out = { 0 };
    struct leat_outbox_record record;
    bool is_first = true;
    int got, code = 0;
    while (code == 0 && (got = leat__outbox_next(records, &record, err)) != 0) {
        if (got < 0) {
            code = got;
            break;
        }
        add_record(&out, p, &record);
        if (is_first || out.len >= WRITE_BYTES)
            code = append(env, path, &out, err);
        is_first = false;
    }
    if (code == 0) {
        add_line(&out, "M %s %" PRIu64 " %" PRIu64, p->slot, p->number, epoch);
        code = append(env, path, &out, err);
    }
    leat__strbuf_release(&out);
    return code;
}

static int append_end(
    struct leat_env *env, const char *path, const struct producer *p, char what, struct leat_error *err)
{
    struct leat_strbuf out = { 0 };
    if (what == 'X')
        add_line(&out, "X %s", p->slot);
    else
        add_line(&out, "%c %s %" PRIu64, what, p->slot, p->number);
    const int code = append(env, path, &out, err);
    leat__strbuf_release(&out);
    return code;
}

/* Ends the transaction, or what becomes of that. */
static int end(const struct ledger_target *target, struct leat_env *env, const struct producer *p,
    struct leat_error *err)
{
    struct ledger_faults *f = target->faults;
    const uint32_t n = ++f->ends;
    if (n == f->end_lost_at)
        return no_answer(err);
    if (n == f->end_late_at) {
        LEAT_TRY(append_end(env, target->path, p, 'D', err));
        return no_answer(err);
    }
    if (n == f->expire_at) {
        LEAT_TRY(append_end(env, target->path, p, 'X', err));
        return leat__error(err, LEAT_ETIMEOUT, "the transaction has expired");
    }
    LEAT_TRY(check_producer(env, target->path, p, err));
    LEAT_TRY(append_end(env, target->path, p, 'E', err));
    return n == f->answer_lost_at ? no_answer(err) : 0;
}

static int ledger_transact(const struct leat_node *node, struct leat_env *env, const struct leat_slot *slot,
    uint64_t epoch, struct leat_outbox_reader *records, struct leat_error *err)
{
    const struct ledger_target *target = node->spec;
    struct leat_error ignored = { 0 };
    char name[NAME_BYTES];
    print_slot(slot, name);
    const struct producer *p = producer_of(node, name);
    LEAT_TRY(check_producer(env, target->path, p, err));
    LEAT_TRY(begin(env, target->path, p, err));
    const int code = send_all(env, target->path, p, epoch, records, err);
    if (code < 0) {
        (void)append_end(env, target->path, p, 'A', &ignored); /* or the next fence does it */
        return code;
    }
    leat__point(LEAT_POINT_OUTBOX_SENT);
    return end(target, env, p, err);
}

static int ledger_open(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)sink;
    (void)ctx;
    return 0;
}

static int ledger_on_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct ledger_instance *s = (struct ledger_instance *)(void *)sink;
    const struct ledger_target *target = sink->node->spec;
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < batch->count; i++) {
        char key[32];
        leat__strbuf_clear(&s->value);
        code =
            leat__json_encode(target->type, LEAT_JSON_PLAIN, leat_batch_at(batch, i), &s->value, ctx->error);
        if (code < 0) {
            code = leat__fail_here(ctx);
            break;
        }
        const uint64_t hash = leat__hash(s->value.data, s->value.len);
        (void)snprintf(key, sizeof key, "%016" PRIx64, hash);
        code = leat__outbox_add(ctx,
            &(struct leat_outbox_record){ .partition = (int32_t)(hash % 4),
                .time_us = batch->event_us[i],
                .key = leat_sv_of(key),
                .value = { s->value.data, s->value.len } });
    }
    leat__batch_release(batch);
    return code;
}

static int ledger_prepare(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    (void)sink;
    (void)ctx;
    (void)epoch;
    (void)last;
    (void)handles;
    return 0; /* all is in the outbox */
}

static void ledger_close(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)ctx;
    leat__strbuf_release(&((struct ledger_instance *)(void *)sink)->value);
}

static const struct leat_sink_class ledger_sink_class = {
    .kind = "ledger sink",
    .size = sizeof(struct ledger_instance),
    .open = ledger_open,
    .on_batch = ledger_on_batch,
    .prepare = ledger_prepare,
    .close = ledger_close,
    .fence = ledger_fence,
    .transact = ledger_transact,
};

void ledger_sink(struct leat_stream *in, const char *name, const struct ledger_sink_opts *opts)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, ledger_sink_class.kind);
    struct ledger_target *target = leat__spec(node, sizeof *target);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    assert_non_null(target);
    target->path = leat__spec_str(node, opts->path);
    target->type = leat__input_type(node, 0);
    target->faults = opts->faults ? opts->faults : &target->none;
    node->sink = &ledger_sink_class;
    node->spec = target;
    node->detail = target->path;
}
