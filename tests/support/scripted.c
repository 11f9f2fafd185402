/* tests/support/scripted.c -- see the header. */
#include "tests/support/scripted.h"
#include "topology/declare.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scripted_reader {
    struct leat_reader reader; /* first */
    const char *at;
    int64_t silent_until_us;
};

struct scripted_sink {
    struct leat_sink sink; /* first */
    struct scripted_log *log;
};

static int list_splits(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err)
{
    const struct scripted_source_opts *opts = node->spec;
    (void)env;
    for (uint32_t i = 0; i < opts->splits_count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "script-%u", i);
        struct leat_split *split = leat__split_add(list, id);
        if (!split)
            return leat__error(err, LEAT_ENOMEM, "out of memory for splits");
        split->from = i;
    }
    return 0;
}

static int open_script(struct leat_reader *reader)
{
    const struct scripted_source_opts *opts = reader->node->spec;
    ((struct scripted_reader *)reader)->at = opts->splits[reader->split->from];
    return 0;
}

static void push_fact(struct leat_batch *batch, const char *word)
{
    struct fact *fact = leat__batch_push(batch);
    fact->has_key = true;
    fact->key = 1;
    fact->has_at = *word != 'n';
    if (!fact->has_at)
        return;
    char *end;
    fact->at = strtoll(word, &end, 10);
    if (*end == ':')
        fact->key = strtoll(end + 1, NULL, 10);
    fact->has_value = true;
    fact->value = fact->at;
}

static int read_script(struct leat_reader *reader, struct leat_batch *batch)
{
    struct scripted_reader *self = (struct scripted_reader *)reader;
    struct leat_env *env = reader->ctx->env;
    if (env->wall_us(env) < self->silent_until_us) {
        reader->wake_us = self->silent_until_us;
        return LEAT_READ_WAIT; /* asked early */
    }
    for (;;) {
        const char *word = self->at + strspn(self->at, " ");
        if (!*word)
            return LEAT_READ_END;
        const char *behind = word + strcspn(word, " ");
        if (*word == '|') {
            self->at = behind;
            return LEAT_READ_ROWS;
        }
        if (*word == '+') {
            self->at = behind;
            self->silent_until_us = reader->wake_us = env->wall_us(env) + strtoll(word, NULL, 10);
            return LEAT_READ_WAIT;
        }
        if (batch->count == batch->capacity)
            return LEAT_READ_ROWS;
        push_fact(batch, word);
        self->at = behind;
    }
}

static int script_position(struct leat_reader *reader, struct leat_strbuf *out)
{
    const struct scripted_source_opts *opts = reader->node->spec;
    const struct scripted_reader *self = (struct scripted_reader *)reader;
    leat__strbuf_printf(out, "%lld %lld", (long long)(self->at - opts->splits[reader->split->from]),
        (long long)self->silent_until_us);
    return 0;
}

static int seek_script(struct leat_reader *reader, const char *position, size_t len)
{
    struct scripted_reader *self = (struct scripted_reader *)reader;
    char *end;
    const long long offset = strtoll(position, &end, 10);
    if (*end != ' ' || offset < 0 || (size_t)offset > strlen(self->at))
        return leat__error(reader->ctx->error, LEAT_EDATA, "no position: %.*s", (int)len, position);
    self->at += offset;
    self->silent_until_us = strtoll(end, NULL, 10);
    return 0;
}

static void close_script(struct leat_reader *reader)
{
    (void)reader;
}

static const struct leat_source_class source_class = { .kind = "scripted source",
    .reader_size = sizeof(struct scripted_reader),
    .list_splits = list_splits,
    .open = open_script,
    .read = read_script,
    .position = script_position,
    .seek = seek_script,
    .close = close_script };

leat_stream *scripted_source(leat_topology *t, const char *name, const struct scripted_source_opts *opts)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, source_class.kind);
    struct scripted_source_opts *spec = leat__spec(node, sizeof *spec);
    if (spec) {
        *spec = *opts;
        node->spec = spec;
    }
    node->source = &source_class;
    leat__output(node, &fact_type, NULL);
    leat__source_time(node, &fact_type, "at", opts->max_out_of_orderness_us, opts->idle_timeout_us,
        opts->max_ahead_us, opts->on_error);
    return leat__stream(node, 0);
}

static void write_word(struct scripted_log *log, const char *format, long long value)
{
    const size_t left = sizeof log->text - log->len;
    const int len = snprintf(log->text + log->len, left, format, value);
    if (len > 0 && (size_t)len < left)
        log->len += (size_t)len;
}

static int open_log(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)ctx;
    ((struct scripted_sink *)sink)->log = sink->node->spec;
    return 0;
}

static int log_batch(struct leat_sink *sink, struct leat__ctx *ctx, struct leat_batch *batch)
{
    struct scripted_log *log = ((struct scripted_sink *)sink)->log;
    (void)ctx;
    if (batch->late)
        write_word(log, log->len ? " late<%lld" : "late<%lld", batch->late_wm_us);
    else
        write_word(log, log->len ? " " : "", 0);
    for (uint32_t i = 0; i < batch->count; i++)
        write_word(log, i ? " %lld" : "(%lld", batch->event_us[i]);
    write_word(log, ")", 0);
    leat__batch_release(batch);
    return 0;
}

static int log_watermark(struct leat_sink *sink, struct leat__ctx *ctx, int64_t w)
{
    struct scripted_log *log = ((struct scripted_sink *)sink)->log;
    (void)ctx;
    if (!log->rows_only) {
        write_word(log, log->len ? " " : "", 0);
        write_word(log, w == LEAT_TIME_MAX ? "end" : "w%lld", w);
    }
    return 0;
}

static int prepare_log(struct leat_sink *sink, struct leat__ctx *ctx, uint64_t epoch, bool last,
    struct leat_handle_list *handles)
{
    (void)last;
    struct scripted_log *log = ((struct scripted_sink *)sink)->log;
    (void)epoch;
    if (log->prepare_result < 0)
        return leat__fail(ctx, log->prepare_result, "the script says no");
    return leat__handle_add(handles, sink->node, &log, sizeof log);
}

static void close_log(struct leat_sink *sink, struct leat__ctx *ctx)
{
    (void)sink;
    (void)ctx;
}

static int commit_log(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    struct scripted_log *log = node->spec;
    (void)env;
    (void)handle;
    (void)len;
    log->commits++;
    if (log->on_commit)
        log->on_commit(log->on_commit_arg);
    return log->commit_result < 0 ? leat__error(err, log->commit_result, "the script says no") : 0;
}

static int discard_log(const struct leat_node *node, struct leat_env *env, const char *handle, size_t len,
    struct leat_error *err)
{
    (void)env;
    (void)handle;
    (void)len;
    (void)err;
    ((struct scripted_log *)node->spec)->discards++;
    return 0;
}

static const struct leat_sink_class sink_class = { .kind = "scripted sink",
    .size = sizeof(struct scripted_sink),
    .open = open_log,
    .on_batch = log_batch,
    .on_watermark = log_watermark,
    .prepare = prepare_log,
    .close = close_log,
    .commit = commit_log,
    .discard = discard_log };

void scripted_sink(leat_stream *in, const char *name, struct scripted_log *log)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, sink_class.kind);
    leat__input(node, 0, in, LEAT_FORWARD, NULL);
    node->sink = &sink_class;
    node->spec = log;
}
