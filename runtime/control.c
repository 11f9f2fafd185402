/* runtime/control.c -- see the header. */
#include "runtime/control.h"
#include "base/alloc.h"
#include "record/time_text.h"
#include <string.h>

enum wait_kind { WAIT_CHECKPOINT = 1, WAIT_END };

struct leat_control_wait {
    struct leat_control_wait *next;
    struct leat_control *control;
    void *client; /* NULL: has gone, or has its answer */
    enum wait_kind kind;
    bool done; /* nobody calls back any more */
};

static const char *state_name(enum leat_job_state state)
{
    static const char *const names[] = { "unknown", "created", "running", "stopping", "finished", "stopped",
        "restarting", "cancelled", "failed" };
    return names[state <= LEAT_JOB_FAILED ? state : 0];
}

static void add_text(struct leat_strbuf *out, const char *name, const char *text)
{
    leat__strbuf_printf(out, ",\"%s\":", name);
    leat__strbuf_json(out, text, strlen(text));
}

static void add_count(struct leat_strbuf *out, const char *name, uint64_t count)
{
    leat__strbuf_printf(out, ",\"%s\":%llu", name, (unsigned long long)count);
}

/* null: none yet; the end of time is told apart. */
static void add_watermark(struct leat_strbuf *out, int64_t wm_us)
{
    char text[LEAT_TIME_TEXT_MAX];
    if (wm_us == LEAT_TIME_MIN || wm_us == LEAT_TIME_MAX) {
        leat__strbuf_printf(out, ",\"watermark\":%s", wm_us == LEAT_TIME_MAX ? "\"end\"" : "null");
        return;
    }
    (void)leat__time_print(wm_us, text);
    add_text(out, "watermark", text);
}

static void add_checkpoints(struct leat_strbuf *out, const struct leat_checkpoint_metrics *metrics)
{
    leat__strbuf_printf(out, ",\"checkpoints\":{\"completed\":%llu", (unsigned long long)metrics->completed);
    add_count(out, "failed", metrics->failed);
    add_count(out, "restored_id", metrics->restored_id);
    add_count(out, "last_id", metrics->last_id);
    if (metrics->last_id > 0) {
        char text[LEAT_TIME_TEXT_MAX];
        (void)leat__time_print(metrics->last_at_us, text);
        add_text(out, "last_at", text);
        leat__strbuf_printf(out, ",\"last_duration_us\":%lld,\"last_align_us\":%lld,\"last_pause_us\":%lld",
            (long long)metrics->last_duration_us, (long long)metrics->last_align_us,
            (long long)metrics->last_pause_us);
        add_count(out, "last_bytes", metrics->last_bytes);
        add_count(out, "last_new_bytes", metrics->last_new_bytes);
        add_count(out, "last_dirty_entries", metrics->last_dirty_entries);
    }
    leat__strbuf_char(out, '}');
}

static void add_node(struct leat_strbuf *out, const struct leat_node_metrics *node)
{
    leat__strbuf_str(out, "{\"name\":");
    leat__strbuf_json(out, node->name, strlen(node->name));
    add_text(out, "kind", node->kind);
    add_count(out, "records_in", node->records_in);
    add_count(out, "records_out", node->records_out);
    add_count(out, "late_records", node->late_records);
    add_count(out, "unassigned_records", node->unassigned_records);
    add_count(out, "dropped_records", node->dropped_records);
    add_count(out, "dead_letters", node->dead_letters);
    add_count(out, "partials_in", node->partials_in);
    add_count(out, "combined_records", node->combined_records);
    add_count(out, "bytes_in", node->bytes_in);
    add_count(out, "bytes_out", node->bytes_out);
    add_count(out, "busy_us", node->busy_us);
    add_count(out, "backpressured_us", node->backpressured_us);
    add_count(out, "paused_us", node->paused_us);
    add_count(out, "records_lag", node->records_lag);
    add_count(out, "state_bytes", node->state_bytes);
    add_count(out, "state_keys", node->state_keys);
    add_watermark(out, node->watermark_us);
    leat__strbuf_char(out, '}');
}

static void add_status(struct leat_strbuf *out, struct leat_job *job)
{
    const struct leat_progress *progress = leat_job_progress(job);
    leat__strbuf_str(out, "{\"ok\":true");
    add_text(out, "job", leat_topology_name(job->t));
    add_text(out, "state", state_name(progress->state));
    leat__strbuf_printf(out, ",\"elapsed_us\":%lld", (long long)progress->elapsed_us);
    add_count(out, "parallelism", job->workers_count);
    add_count(out, "restarts", progress->restarts);
    add_count(out, "source_records", progress->source_records);
    add_count(out, "sink_records", progress->sink_records);
    add_count(out, "source_bytes", progress->source_bytes);
    add_count(out, "source_bytes_total", progress->source_bytes_total);
    add_watermark(out, progress->watermark_us);
    add_checkpoints(out, &progress->checkpoints);
    leat__strbuf_str(out, ",\"nodes\":[");
    for (size_t i = 0; i < progress->nodes_count; i++) {
        if (i > 0)
            leat__strbuf_char(out, ',');
        add_node(out, &progress->nodes[i]);
    }
    leat__strbuf_str(out, "]}");
}

static void add_error(struct leat_strbuf *out, const struct leat_error *err)
{
    leat__strbuf_str(out, "{\"ok\":false");
    add_text(out, "error", leat_error_name(err->code));
    leat__strbuf_printf(out, ",\"exit_code\":%d", leat_error_exit_code(err->code));
    add_text(out, "message", err->message);
    leat__strbuf_char(out, '}');
}

/* Takes the text. */
static void send(struct leat_control *control, void *client, struct leat_strbuf *text)
{
    static const char no_memory[] =
        "{\"ok\":false,\"error\":\"LEAT_ENOMEM\",\"exit_code\":1,\"message\":\"out of memory\"}\n";
    leat__strbuf_char(text, '\n');
    if (text->failed)
        control->answer(client, no_memory, sizeof no_memory - 1);
    else
        control->answer(client, text->data, text->len);
    leat__strbuf_release(text);
}

static void send_error(struct leat_control *control, void *client, const struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    add_error(&text, err);
    send(control, client, &text);
}

/* The wait has its answer; whoever called back is done with it. */
static void drop_done(struct leat_control *control)
{
    struct leat_control_wait **at = &control->waits;
    while (*at) {
        struct leat_control_wait *wait = *at;
        if (wait->done) {
            *at = wait->next;
            leat__free(wait);
        } else {
            at = &wait->next;
        }
    }
}

static struct leat_control_wait *add_wait(struct leat_control *control, void *client, enum wait_kind kind)
{
    struct leat_control_wait *wait = leat__calloc(1, sizeof *wait);
    if (wait) {
        *wait = (struct leat_control_wait){ control->waits, control, client, kind, false };
        control->waits = wait;
    }
    return wait;
}

static void on_checkpoint_done(void *arg, uint64_t id, const struct leat_error *error)
{
    struct leat_control_wait *wait = arg;
    void *client = wait->client;
    wait->client = NULL;
    wait->done = true;
    if (!client)
        return;
    if (error && error->code < 0) {
        send_error(wait->control, client, error);
        return;
    }
    struct leat_strbuf text = { 0 };
    leat__strbuf_printf(&text, "{\"ok\":true,\"checkpoint\":%llu", (unsigned long long)id);
    const struct leat_checkpoint_metrics *metrics = &leat_job_progress(wait->control->job)->checkpoints;
    if (metrics->last_id == id) {
        leat__strbuf_printf(&text, ",\"duration_us\":%lld", (long long)metrics->last_duration_us);
        add_count(&text, "bytes", metrics->last_bytes);
        add_count(&text, "new_bytes", metrics->last_new_bytes);
    }
    leat__strbuf_char(&text, '}');
    send(wait->control, client, &text);
}

/* Asks the job; an answer now only if that is refused. */
static int begin_checkpoint(
    struct leat_control *control, void *client, const char *path, struct leat_error *err)
{
    struct leat_control_wait *wait = add_wait(control, client, WAIT_CHECKPOINT);
    if (!wait)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    const int result = leat_job_checkpoint(control->job, path, on_checkpoint_done, wait, err);
    if (result < 0) {
        wait->client = NULL;
        wait->done = true;
    }
    return result;
}

static int begin_stop(struct leat_control *control, void *client, const char *words, struct leat_error *err)
{
    struct leat_stop_opts opts = { 0 };
    if (strncmp(words, " drain", 6) == 0 && (words[6] == '\0' || words[6] == ' ')) {
        opts.drain = true;
        words += 6;
    }
    if (strncmp(words, " savepoint ", 11) == 0 && words[11])
        opts.savepoint = words + 11;
    else if (*words)
        return leat__error(err, LEAT_EINVAL, "stop [drain] [savepoint PATH], not \"stop%s\"", words);
    struct leat_control_wait *wait = add_wait(control, client, WAIT_END);
    if (!wait)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    const int result = leat_job_stop_with(control->job, &opts, err);
    if (result < 0) {
        wait->client = NULL;
        wait->done = true;
    }
    return result;
}

static int begin_cancel(struct leat_control *control, void *client, struct leat_error *err)
{
    if (!add_wait(control, client, WAIT_END))
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    leat_job_cancel(control->job);
    return 0;
}

void leat__control_ask(struct leat_control *control, void *client, const char *line)
{
    struct leat_error err = { 0 };
    int result = 0;
    leat__job_log(control->job, LEAT_LOG_INFO, NULL, "control request=\"%s\"", line);
    if (strcmp(line, "status") == 0) {
        struct leat_strbuf text = { 0 };
        add_status(&text, control->job);
        send(control, client, &text);
    } else if (strcmp(line, "checkpoint") == 0) {
        result = begin_checkpoint(control, client, NULL, &err);
    } else if (strncmp(line, "savepoint ", 10) == 0 && line[10]) {
        result = begin_checkpoint(control, client, line + 10, &err);
    } else if (strncmp(line, "stop", 4) == 0 && (line[4] == '\0' || line[4] == ' ')) {
        result = begin_stop(control, client, line + 4, &err);
    } else if (strcmp(line, "cancel") == 0) {
        result = begin_cancel(control, client, &err);
    } else {
        result = leat__error(&err, LEAT_EINVAL,
            "no request \"%.100s\": there are status, checkpoint, savepoint PATH, stop [drain] [savepoint "
            "PATH], "
            "cancel",
            line);
    }
    if (result < 0)
        send_error(control, client, &err);
    drop_done(control);
}

void leat__control_forget(struct leat_control *control, void *client)
{
    for (struct leat_control_wait *wait = control->waits; wait; wait = wait->next)
        if (wait->client == client)
            wait->client = NULL;
}

static void tell_end(struct leat_control *control, void *client)
{
    struct leat_job *job = control->job;
    const enum leat_job_state state = leat_job_state(job);
    if (state == LEAT_JOB_FAILED) {
        send_error(control, client, leat_job_error(job));
        return;
    }
    struct leat_strbuf text = { 0 };
    leat__strbuf_str(&text, "{\"ok\":true");
    add_text(&text, "state", state_name(state));
    add_count(&text, "checkpoint", leat_job_progress(job)->checkpoints.last_id);
    leat__strbuf_char(&text, '}');
    send(control, client, &text);
}

void leat__control_end(struct leat_control *control)
{
    for (struct leat_control_wait *wait = control->waits; wait; wait = wait->next) {
        void *client = wait->client;
        struct leat_error err = { 0 };
        wait->client = NULL;
        if (!client)
            continue;
        if (wait->kind == WAIT_END) {
            tell_end(control, client);
            continue;
        }
        (void)leat__error(&err, LEAT_ECANCELLED,
            "the job has ended before this checkpoint was complete: it is %s",
            state_name(leat_job_state(control->job)));
        send_error(control, client, &err);
    }
}

void leat__control_refuse(struct leat_control *control, void *client)
{
    struct leat_error err = { 0 };
    (void)leat__error(
        &err, LEAT_ECONNECT, "the job has just ended: it is %s", state_name(leat_job_state(control->job)));
    send_error(control, client, &err);
}

void leat__control_release(struct leat_control *control)
{
    while (control->waits) {
        struct leat_control_wait *wait = control->waits;
        control->waits = wait->next;
        leat__free(wait);
    }
}
