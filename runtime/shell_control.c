/* runtime/shell_control.c -- see the header.
 *
 * Paths of Unix sockets are short (sun_path, about a hundred bytes), directories of checkpoints may be long: the
 * directory is opened, and the socket bound as /proc/self/fd/N/control. Between bind and listen its rights are
 * set, so that nobody else ever connects.
 *
 * One request per connection: a line comes, its answer goes out, the connection ends. Clients are few and
 * bounded; one that says nothing makes room when others come. Sends never raise SIGPIPE, which would be the
 * end of a program that knows nothing of this socket; a client that reads slowly is waited for by the loop.
 *
 * Memory: the control and each client are freed by the close callback of their handle, the control's when the
 * loop is closed: after the last time that the job calls back. */
#include "runtime/shell_control.h"
#include "base/alloc.h"
#include "runtime/control.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 16u
#define BACKLOG 64

struct client {
    uv_poll_t poll; /* its data is the client */
    struct client *next;
    struct leat_shell_control *owner;
    int fd;
    size_t len; /* of what has come of the line */
    bool asked;
    struct leat_strbuf answer;
    size_t sent;
    char line[LEAT_CONTROL_LINE_MAX];
};

struct leat_shell_control {
    struct leat_control control;
    uv_loop_t *loop;
    uv_poll_t poll; /* its data is this */
    int dir_fd, fd;
    struct client *clients; /* newest first */
    uint32_t clients_count;
};

static void on_client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    leat__strbuf_release(&client->answer);
    leat__free(client);
}

static void drop_client(struct client *client)
{
    struct leat_shell_control *owner = client->owner;
    struct client **at = &owner->clients;
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    owner->clients_count--;
    leat__control_forget(&owner->control, client);
    uv_close((uv_handle_t *)&client->poll, on_client_closed);
    (void)close(client->fd);
}

static void on_client(uv_poll_t *poll, int status, int events);

/* Sends what goes; true when the client is over. */
static bool flush_answer(struct client *client)
{
    while (client->sent < client->answer.len) {
        const ssize_t n = send(client->fd, client->answer.data + client->sent,
            client->answer.len - client->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return false;
        if (n < 0)
            return true; /* it has gone */
        client->sent += (size_t)n;
    }
    return true;
}

/* The control's answer: now, or as soon as the client takes it. */
static void answer_client(void *arg, const char *text, size_t len)
{
    struct client *client = arg;
    leat__strbuf_add(&client->answer, text, len);
    if (client->answer.failed || flush_answer(client) ||
        uv_poll_start(&client->poll, UV_WRITABLE, on_client) < 0)
        drop_client(client);
}

/* Reads until a line is there. Who closes without a word, or says too much, is over. */
static void read_client(struct client *client)
{
    const ssize_t n = recv(client->fd, client->line + client->len, sizeof client->line - client->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0) {
        drop_client(client);
        return;
    }
    char *end = memchr(client->line + client->len, '\n', (size_t)n);
    client->len += (size_t)n;
    if (!end) {
        if (client->len == sizeof client->line)
            drop_client(client);
        return;
    }
    *end = '\0';
    client->asked = true;
    /* Nothing more is read: only that the other side has gone matters from now on. */
    (void)uv_poll_start(&client->poll, UV_DISCONNECT, on_client);
    leat__control_ask(&client->owner->control, client, client->line); /* may drop it */
}

/* A client may close its half of the connection behind the request and still read. */
static bool has_gone(const struct client *client)
{
    struct pollfd look = { .fd = client->fd };
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLHUP | POLLERR)) != 0;
}

static void on_client(uv_poll_t *poll, int status, int events)
{
    struct client *client = poll->data;
    if (status < 0) {
        drop_client(client);
    } else if (events & UV_DISCONNECT) {
        if (has_gone(client))
            drop_client(client);
        else
            (void)uv_poll_stop(&client->poll); /* it has only said all that it has to say */
    } else if (events & UV_WRITABLE) {
        if (flush_answer(client))
            drop_client(client);
    } else if (events & UV_READABLE) {
        read_client(client);
    }
}

/* A client that has not said what it wants, the oldest; NULL when all wait for their answers. */
static struct client *idle_client(const struct leat_shell_control *self)
{
    struct client *idle = NULL;
    for (struct client *client = self->clients; client; client = client->next)
        if (!client->asked)
            idle = client;
    return idle;
}

static void add_client(struct leat_shell_control *self, int fd)
{
    struct client *idle = self->clients_count == CLIENTS_MAX ? idle_client(self) : NULL;
    if (idle)
        drop_client(idle);
    struct client *client = self->clients_count < CLIENTS_MAX ? leat__calloc(1, sizeof *client) : NULL;
    if (!client || uv_poll_init(self->loop, &client->poll, fd) < 0) {
        leat__free(client);
        (void)close(fd); /* the other side says that the job does not answer */
        return;
    }
    client->poll.data = client;
    client->owner = self;
    client->fd = fd;
    client->next = self->clients;
    self->clients = client;
    self->clients_count++;
    if (uv_poll_start(&client->poll, UV_READABLE, on_client) < 0)
        drop_client(client);
}

static bool accept_client(struct leat_shell_control *self)
{
    const int fd = accept4(self->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        add_client(self, fd);
    return fd >= 0;
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status >= 0)
        (void)accept_client(poll->data);
}

/* Binds and listens; the step that failed, or NULL. */
static const char *listen_on(struct leat_shell_control *self, const char *dir)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    self->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->dir_fd < 0)
        return "open the directory";
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0)
        return "make a socket";
    (void)snprintf(
        address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" LEAT_CONTROL_NAME, self->dir_fd);
    (void)unlinkat(self->dir_fd, LEAT_CONTROL_NAME, 0);
    if (bind(self->fd, (struct sockaddr *)&address, sizeof address) < 0)
        return "bind it";
    if (chmod(address.sun_path, 0600) < 0)
        return "set its rights";
    return listen(self->fd, BACKLOG) < 0 ? "listen" : NULL;
}

static void close_files(struct leat_shell_control *self)
{
    if (self->fd >= 0) {
        (void)close(self->fd);
        (void)unlinkat(self->dir_fd, LEAT_CONTROL_NAME, 0);
    }
    if (self->dir_fd >= 0)
        (void)close(self->dir_fd);
    self->fd = self->dir_fd = -1;
}

struct leat_shell_control *leat__shell_control_open(struct leat_job *job, uv_loop_t *loop)
{
    char dir[4096];
    if (!job->opts.checkpoint_dir)
        return NULL;
    struct leat_shell_control *self = leat__calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->control = (struct leat_control){ .job = job, .answer = answer_client };
    self->loop = loop;
    self->fd = self->dir_fd = -1;
    const int len = snprintf(dir, sizeof dir, "%s/%s", job->opts.checkpoint_dir, leat_topology_name(job->t));
    errno = ENAMETOOLONG;
    const char *failed = len < 0 || (size_t)len >= sizeof dir ? "name it" : listen_on(self, dir);
    if (failed || uv_poll_init(loop, &self->poll, self->fd) < 0) {
        leat__job_log(job, LEAT_LOG_WARN, NULL,
            "no control socket in %s (%s: %s): leat job can not reach this job", dir,
            failed ? failed : "watch it", strerror(errno));
        close_files(self);
        leat__free(self);
        return NULL;
    }
    self->poll.data = self;
    (void)uv_poll_start(&self->poll, UV_READABLE, on_connect); /* fails only on a closing handle */
    return self;
}

static void refuse_unasked(struct leat_shell_control *self)
{
    struct client *next;
    for (struct client *client = self->clients; client; client = next) {
        next = client->next;
        if (client->asked)
            continue;
        client->asked = true;
        (void)recv(client->fd, client->line, sizeof client->line, 0); /* it would not hear us before */
        leat__control_refuse(&self->control, client);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct leat_shell_control *self = handle->data;
    leat__control_release(&self->control);
    leat__free(self);
}

void leat__shell_control_end(struct leat_shell_control *control)
{
    if (!control)
        return;
    leat__control_end(&control->control);
    for (uint32_t i = 0; i < BACKLOG && accept_client(control); i++)
        refuse_unasked(control); /* who has come while nobody listened any more */
    refuse_unasked(control);
    while (control->clients)
        drop_client(control->clients);
    uv_close((uv_handle_t *)&control->poll, on_closed);
    close_files(control);
}
