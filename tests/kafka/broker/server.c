/* tests/kafka/broker/server.c -- see server.h. */
#include "tests/kafka/broker/server.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 64 << 20, PIECE = 65536, LINE_MAX_LEN = 4096, WAIT_MAX_MS = 1000 };

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now = { 0 };
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void close_conn(struct kb_conn *c)
{
    (void)close(c->fd);
    free(c->in);
    kb_out_free(&c->out);
    kb_out_free(&c->held);
    *c = (struct kb_conn){ .fd = -1 };
}

void kb_server_close_clients(struct kb_server *s)
{
    for (size_t i = 0; i < s->conns_count; i++)
        if (s->conns[i].fd >= 0 && !s->conns[i].control)
            close_conn(&s->conns[i]);
}

void kb_server_free(struct kb_server *s)
{
    for (size_t i = 0; i < s->conns_count; i++)
        if (s->conns[i].fd >= 0)
            close_conn(&s->conns[i]);
    for (size_t i = 0; i < s->deferred_count; i++)
        free(s->deferred[i].data);
    free(s->deferred);
    free(s->faults);
    free(s->conns);
    free(s->polls);
    kb_broker_free(&s->broker);
}

/* Requests */

/* The rule that fires for this request, if any; all of the API count it. */
static struct kb_fault take_fault(struct kb_server *s, int api)
{
    struct kb_fault found = { .kind = KB_NO_FAULT };
    size_t kept = 0;
    for (size_t i = 0; i < s->faults_count; i++) {
        struct kb_fault f = s->faults[i];
        const bool every = f.nth == 0;
        const bool fires = f.api == api && (every || --f.nth == 0);
        if (fires && found.kind == KB_NO_FAULT)
            found = f;
        if (!fires || every)
            s->faults[kept++] = f;
    }
    s->faults_count = kept;
    return found;
}

static void defer(struct kb_server *s, const uint8_t *data, size_t size, int64_t ms)
{
    KB_GROW(s->deferred, s->deferred_count);
    struct kb_deferred *d = &s->deferred[s->deferred_count++];
    *d = (struct kb_deferred){
        .data = kb_new(size), .size = size, .at = ms == KB_HELD ? KB_HELD : s->broker.now + ms
    };
    memcpy(d->data, data, size);
}

/* Does the request; false when the connection is to be closed at once. */
static bool serve_with(
    struct kb_server *s, struct kb_conn *c, const uint8_t *data, size_t size, struct kb_fault fault)
{
    const size_t from = c->out.len;
    struct kb_request r = {
        .broker = &s->broker, .out = &c->out, .final = c->parked || fault.kind != KB_NO_FAULT
    };
    if (fault.kind == KB_CLOSE)
        return false;
    if (fault.kind == KB_LATE) {
        defer(s, data, size, fault.argument);
        return false;
    }
    r.inject = fault.kind == KB_ERROR ? (int16_t)fault.argument : 0;
    if (!kb_answer(&r, data, size) || fault.kind == KB_DROP)
        return false;
    if (r.waits) {
        c->parked = true;
        c->parked_until = s->broker.now + r.wait_ms;
        c->parked_changes = s->broker.changes;
    } else if (fault.kind == KB_DELAY) {
        kb_put_raw(&c->held, c->out.data + from, c->out.len - from);
        c->out.len = from;
        c->delayed = true;
        c->delayed_until = fault.argument == KB_HELD ? KB_HELD : s->broker.now + fault.argument;
    } else if (fault.kind == KB_DUPLICATE) {
        struct kb_out copy = { 0 };
        kb_put_raw(&copy, c->out.data + from, c->out.len - from);
        kb_put_raw(&c->out, copy.data, copy.len);
        kb_out_free(&copy);
    } else if (fault.kind == KB_REPEAT) {
        defer(s, data, size, fault.argument);
    }
    return true;
}

/* The first whole frame in the buffer, its length not included; false: none yet. */
static bool find_frame(const struct kb_conn *c, const uint8_t **data, size_t *size, bool *broken)
{
    if (c->in_len < 4)
        return false;
    const int32_t len = kb_get_i32(c->in);
    *broken = len < 0 || len > FRAME_MAX;
    *data = c->in + 4;
    *size = (size_t)len;
    return !*broken && c->in_len - 4 >= (size_t)len;
}

static void drop_frame(struct kb_conn *c, size_t size)
{
    c->in_len -= size + 4;
    memmove(c->in, c->in + size + 4, c->in_len);
}

static void serve(struct kb_server *s, struct kb_conn *c)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    bool broken = false;
    while (c->fd >= 0 && !c->delayed && !c->parked && find_frame(c, &data, &size, &broken)) {
        struct kb_fault fault = { .kind = KB_NO_FAULT };
        const int api = size >= 2 ? kb_get_i16(data) : -1;
        if (kb_api_name(api)) {
            fault = take_fault(s, api);
            s->seen[api]++;
        }
        if (!serve_with(s, c, data, size, fault)) {
            close_conn(c);
            return;
        }
        if (!c->parked)
            drop_frame(c, size);
    }
    if (broken)
        close_conn(c);
}

/* A parked fetch is asked again when something has changed, and gives what there is when its time is up. */
static void retry_parked(struct kb_server *s, struct kb_conn *c)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    bool broken = false;
    const bool due = c->parked_until <= s->broker.now;
    if (!c->parked || (!due && c->parked_changes == s->broker.changes))
        return;
    struct kb_request r = { .broker = &s->broker, .out = &c->out, .final = due };
    (void)find_frame(c, &data, &size, &broken);
    if (!kb_answer(&r, data, size)) {
        close_conn(c);
        return;
    }
    c->parked_changes = s->broker.changes;
    if (r.waits)
        return;
    c->parked = false;
    drop_frame(c, size);
    serve(s, c);
}

static void retry_delayed(struct kb_server *s, struct kb_conn *c)
{
    if (!c->delayed || c->delayed_until == KB_HELD || c->delayed_until > s->broker.now)
        return;
    kb_put_raw(&c->out, c->held.data, c->held.len);
    c->held.len = 0;
    c->delayed = false;
    serve(s, c);
}

static void run_deferred(struct kb_server *s)
{
    for (size_t i = 0; i < s->deferred_count;) {
        struct kb_deferred *d = &s->deferred[i];
        if (d->at == KB_HELD || d->at > s->broker.now) {
            i++;
            continue;
        }
        struct kb_out nowhere = { 0 };
        struct kb_request r = { .broker = &s->broker, .out = &nowhere, .final = true };
        (void)kb_answer(&r, d->data, d->size);
        kb_out_free(&nowhere);
        free(d->data);
        memmove(d, d + 1, (--s->deferred_count - i) * sizeof *d);
    }
}

int64_t kb_server_held(const struct kb_server *s)
{
    int64_t held = 0;
    for (size_t i = 0; i < s->conns_count; i++)
        held += s->conns[i].fd >= 0 && s->conns[i].delayed && s->conns[i].delayed_until == KB_HELD;
    for (size_t i = 0; i < s->deferred_count; i++)
        held += s->deferred[i].at == KB_HELD;
    return held;
}

void kb_server_release(struct kb_server *s)
{
    for (size_t i = 0; i < s->conns_count; i++)
        if (s->conns[i].fd >= 0 && s->conns[i].delayed)
            s->conns[i].delayed_until = s->broker.now;
    for (size_t i = 0; i < s->deferred_count; i++)
        s->deferred[i].at = s->broker.now;
}

/* Commands */

static void serve_control(struct kb_server *s, struct kb_conn *c)
{
    const uint8_t *end = c->in_len ? memchr(c->in, '\n', c->in_len) : NULL;
    if (!end && c->in_len < LINE_MAX_LEN)
        return;
    const size_t len = end ? (size_t)(end - c->in) : c->in_len;
    c->in_len = 0;
    if (kb_command(s, c, (struct kb_text){ (const char *)c->in, len }))
        c->closing = true;
}

static void retry_waiting(struct kb_server *s, struct kb_conn *c)
{
    if (!c->waiting)
        return;
    const int64_t have = c->wait_api < 0 ? kb_server_held(s) : s->seen[c->wait_api];
    if (have < c->wait_count && s->broker.now < c->wait_until)
        return;
    if (have >= c->wait_count)
        kb_printf(&c->out, "ok %lld\n", (long long)have);
    else
        kb_printf(&c->out, "error waited too long: %lld\n", (long long)have);
    c->waiting = false;
    c->closing = true;
}

/* Bytes in and out */

static void accept_on(struct kb_server *s, int listen_fd, bool control)
{
    const int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int on = 1;
    if (fd < 0)
        return;
    if (!control && s->refusing) {
        (void)close(fd);
        return;
    }
    if (!control)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    size_t i = 0;
    while (i < s->conns_count && s->conns[i].fd >= 0)
        i++;
    if (i == s->conns_count) {
        KB_GROW(s->conns, s->conns_count);
        s->conns_count++;
    }
    s->conns[i] = (struct kb_conn){ .fd = fd, .control = control };
}

static void receive(struct kb_server *s, struct kb_conn *c)
{
    if (c->in_room - c->in_len < PIECE) {
        c->in_room = 2 * c->in_room + PIECE;
        c->in = kb_resize(c->in, c->in_room);
    }
    const ssize_t got = recv(c->fd, c->in + c->in_len, c->in_room - c->in_len, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        if (got < 0 || !c->control || !(c->closing || c->waiting))
            close_conn(c);
        return;
    }
    c->in_len += (size_t)got;
    if (c->control)
        serve_control(s, c);
    else
        serve(s, c);
}

static void transmit(struct kb_conn *c)
{
    while (c->sent < c->out.len) {
        const ssize_t done = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN)
            return;
        if (done < 0) {
            close_conn(c);
            return;
        }
        c->sent += (size_t)done;
    }
    c->out.len = 0;
    c->sent = 0;
    if (c->closing)
        close_conn(c);
}

/* A control connection whose command is known, and one that has all it may have, is not read from. */
static short events_of(const struct kb_conn *c)
{
    const bool full = c->in_len > FRAME_MAX || (c->control && (c->closing || c->waiting));
    return (short)((full ? 0 : POLLIN) | (c->sent < c->out.len ? POLLOUT : 0));
}

static void sooner(int64_t *wait, int64_t now, int64_t at)
{
    const int64_t left = at > now ? at - now : 0;
    if (left < *wait)
        *wait = left;
}

static int wait_for(struct kb_server *s)
{
    const int64_t now = s->broker.now;
    int64_t wait = WAIT_MAX_MS;
    const int64_t expiry = kb_txn_expire_due(&s->broker);
    if (expiry >= 0)
        sooner(&wait, now, expiry);
    for (size_t i = 0; i < s->conns_count; i++) {
        const struct kb_conn *c = &s->conns[i];
        if (c->fd >= 0 && c->parked)
            sooner(&wait, now, c->parked_changes != s->broker.changes ? now : c->parked_until);
        if (c->fd >= 0 && c->delayed && c->delayed_until != KB_HELD)
            sooner(&wait, now, c->delayed_until);
        if (c->fd >= 0 && c->waiting)
            sooner(&wait, now, c->wait_until);
    }
    for (size_t i = 0; i < s->deferred_count; i++)
        if (s->deferred[i].at != KB_HELD)
            sooner(&wait, now, s->deferred[i].at);
    return (int)wait;
}

/* What is due by time or by what others did. */
static void run_due(struct kb_server *s)
{
    s->broker.now = clock_ms(CLOCK_MONOTONIC);
    s->broker.wall = clock_ms(CLOCK_REALTIME);
    run_deferred(s);
    (void)kb_txn_expire_due(&s->broker);
    for (size_t i = 0; i < s->conns_count; i++) {
        struct kb_conn *c = &s->conns[i];
        if (c->fd >= 0)
            retry_delayed(s, c);
        if (c->fd >= 0)
            retry_parked(s, c);
        if (c->fd >= 0)
            retry_waiting(s, c);
        if (c->fd >= 0)
            transmit(c);
    }
}

void kb_server_step(struct kb_server *s)
{
    run_due(s);
    const size_t conns = s->conns_count, count = conns + 3;
    if (s->polls_room < count) {
        s->polls_room = 2 * count;
        s->polls = kb_resize(s->polls, s->polls_room * sizeof *s->polls);
    }
    s->polls[0] = (struct pollfd){ .fd = s->listen_fd, .events = POLLIN };
    s->polls[1] = (struct pollfd){ .fd = s->control_fd, .events = POLLIN };
    s->polls[2] = (struct pollfd){ .fd = s->parent_fd, .events = POLLIN };
    for (size_t i = 0; i < conns; i++)
        s->polls[i + 3] = (struct pollfd){ .fd = s->conns[i].fd,
            .events = s->conns[i].fd >= 0 ? events_of(&s->conns[i]) : (short)0 };
    if (poll(s->polls, count, wait_for(s)) <= 0)
        return;
    s->broker.now = clock_ms(CLOCK_MONOTONIC);
    s->broker.wall = clock_ms(CLOCK_REALTIME);
    /* Those that were asked about first: accepting may use their places. */
    for (size_t i = 0; i < conns; i++)
        if (s->conns[i].fd >= 0 && s->conns[i].fd == s->polls[i + 3].fd &&
            (s->polls[i + 3].revents & (POLLIN | POLLHUP | POLLERR)))
            receive(s, &s->conns[i]);
    if (s->polls[2].revents)
        s->stopping = true;
    if (s->polls[1].revents)
        accept_on(s, s->control_fd, true);
    if (s->polls[0].revents)
        accept_on(s, s->listen_fd, false);
}
