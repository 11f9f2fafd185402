/* tests/kafka/broker/main.c -- kafka_broker [--port P] [--control PATH] [--with-parent]: a broker for tests on loopback.
 * Prints its address in one line when it listens; ends on the command stop, or with --with-parent when its input ends. */
#include "tests/kafka/broker/server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int give_up(const char *what)
{
    (void)fprintf(stderr, "kafka_broker: %s: %s\n", what, strerror(errno));
    return 1;
}

static int listen_tcp(struct kb_server *s, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    socklen_t len = sizeof address;
    const int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0)
        return -1;
    (void)setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s->listen_fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(s->listen_fd, 128) < 0 || getsockname(s->listen_fd, (struct sockaddr *)&address, &len) < 0)
        return -1;
    (void)snprintf(s->broker.host, sizeof s->broker.host, "127.0.0.1");
    s->broker.port = ntohs(address.sin_port);
    return 0;
}

static int listen_control(struct kb_server *s, const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int len = snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (len < 0 || (size_t)len >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    (void)unlink(path);
    s->control_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->control_fd < 0)
        return -1;
    return bind(s->control_fd, (struct sockaddr *)&address, sizeof address) < 0 ? -1
                                                                                : listen(s->control_fd, 16);
}

int main(int argc, char **argv)
{
    struct kb_server s = { .listen_fd = -1, .control_fd = -1, .parent_fd = -1 };
    const char *control = NULL;
    long port = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--with-parent") == 0) {
            s.parent_fd = STDIN_FILENO;
        } else if (strcmp(argv[i], "--control") == 0 && i + 1 < argc) {
            control = argv[++i];
        } else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
            port = strtol(argv[++i], NULL, 10);
        } else {
            (void)fprintf(stderr, "usage: kafka_broker [--port P] [--control PATH] [--with-parent]\n");
            return 2;
        }
    }
    (void)signal(SIGPIPE, SIG_IGN);
    s.broker.random = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    s.broker.next_pid = 1000;
    if (listen_tcp(&s, (uint16_t)port) < 0)
        return give_up("no address");
    if (control && listen_control(&s, control) < 0)
        return give_up(control);
    (void)printf("%s:%d\n", s.broker.host, s.broker.port);
    (void)fflush(stdout);
    while (!s.stopping)
        kb_server_step(&s);
    kb_server_step(&s); /* the answer to stop */
    kb_server_free(&s);
    return 0;
}
