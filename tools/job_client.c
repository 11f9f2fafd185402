/* tools/job_client.c -- a request to a running job and its answer; see job.h.
 *
 * As on the job's side, the socket is reached through the open directory: paths of sockets are short. */
#include "base/limits.h"
#include "runtime/control.h"
#include "tools/job.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_SECONDS 10
#define ANSWER_BYTES_MAX (64u * 1024u * 1024u)

static int no_job(const char *dir, const char *why, struct leat_error *err)
{
    return leat__error(err, LEAT_ECONNECT,
        "no job answers in %s (%s): it does not run, or is just starting; leat checkpoint ls %s shows what "
        "it "
        "has left",
        dir, why, dir);
}

/* A connected socket, or an error. */
static int connect_to(const char *dir, struct leat_error *err)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0 && errno == ENOENT)
        return leat__error(err, LEAT_ENOTFOUND,
            "there is no directory %s: name the job's, which is --checkpoint-dir and in it the job's name",
            dir);
    if (dir_fd < 0)
        return leat__error(err, leat__error_from_errno(errno), "%s: %s", dir, strerror(errno));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = { .tv_sec = CONNECT_SECONDS }; /* for connecting and sending */
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" LEAT_CONTROL_NAME, dir_fd);
    int result = fd;
    if (fd < 0) {
        result = leat__error(err, LEAT_EIO, "cannot make a socket: %s", strerror(errno));
    } else if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        if (errno == EACCES || errno == EPERM)
            result = leat__error(err, LEAT_EACCESS,
                "%s/" LEAT_CONTROL_NAME ": permission denied: only who runs the job may ask it", dir);
        else
            result = no_job(dir, errno == ENOENT ? "no control socket" : strerror(errno), err);
        (void)close(fd);
    }
    (void)close(dir_fd);
    return result;
}

static int send_line(int fd, const char *dir, const char *line, struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    leat__strbuf_printf(&text, "%s\n", line);
    int result = text.failed ? leat__error(err, LEAT_ENOMEM, "out of memory") : 0;
    for (size_t sent = 0; result == 0 && sent < text.len;) {
        const ssize_t n = send(fd, text.data + sent, text.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            result = no_job(dir, strerror(errno), err);
        sent += n > 0 ? (size_t)n : 0;
    }
    leat__strbuf_release(&text);
    return result;
}

/* Up to the end of the connection. */
static int receive(
    int fd, const char *dir, int64_t timeout_us, struct leat_strbuf *text, struct leat_error *err)
{
    struct leat_env *env = leat__env_posix();
    const int64_t begin_ns = env->mono_ns(env);
    char chunk[16384];
    for (;;) {
        struct pollfd look = { .fd = fd, .events = POLLIN };
        const int64_t left_us = timeout_us - (env->mono_ns(env) - begin_ns) / 1000;
        if (timeout_us > 0 && left_us <= 0)
            return leat__error(err, LEAT_ETIMEOUT,
                "the job in %s has not answered in time; what was asked for goes on all the same", dir);
        const int64_t wait_ms = left_us / 1000 + 1;
        if (poll(&look, 1, timeout_us == 0 ? -1 : wait_ms > 3600000 ? 3600000 : (int)wait_ms) <= 0)
            continue;
        const ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        leat__strbuf_add(text, chunk, (size_t)n);
        if (text->failed || text->len > ANSWER_BYTES_MAX)
            return leat__error(err, LEAT_ELIMIT, "the job's answer is too long");
    }
}

/* Codes travel by name. */
static int code_of(const char *name)
{
#define LEAT_ERROR_NAME(name_, value_, text_, exit_, retriable_) \
    if (strcmp(name, #name_) == 0) \
        return name_;
    LEAT_ERROR_TABLE(LEAT_ERROR_NAME)
#undef LEAT_ERROR_NAME
    return LEAT_EIO;
}

static int understand(
    const char *dir, const struct leat_strbuf *text, json_t **answer, struct leat_error *err)
{
    json_error_t wrong;
    if (text->len == 0)
        return leat__error(err, LEAT_EIO,
            "the job in %s has ended without an answer: it has crashed, was killed, or begins again", dir);
    *answer = json_loadb(text->data, text->len, 0, &wrong);
    if (!json_is_object(*answer))
        return leat__error(err, LEAT_EDATA, "the job's answer is no JSON object: %s", wrong.text);
    if (json_is_true(json_object_get(*answer, "ok")))
        return 0;
    const char *name = json_string_value(json_object_get(*answer, "error"));
    const char *message = json_string_value(json_object_get(*answer, "message"));
    return leat__error(err, code_of(name ? name : ""), "%s", message ? message : "the job gave no reason");
}

int leat__job_ask(const char *dir, const char *line, int64_t timeout_us, struct leat_strbuf *text,
    json_t **answer, struct leat_error *err)
{
    *answer = NULL;
    const int fd = connect_to(dir, err);
    if (fd < 0)
        return fd;
    int result = send_line(fd, dir, line, err);
    if (result == 0)
        result = receive(fd, dir, timeout_us, text, err);
    (void)close(fd);
    return result < 0 ? result : understand(dir, text, answer, err);
}
