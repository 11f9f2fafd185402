/* tests/support/kafka.c -- brokers are started and stopped here; kafka_client.c looks at them.
 *
 * The mock lives in a client of this process. The test broker is a process that says where it is on a pipe and ends when
 * another pipe does, the one that only this program holds. The real broker is left to scripts/kafka; it ends at exit, or
 * with the group of processes that the suite makes for each program. */
#include "tests/support/child.h"
#include "tests/support/kafka_private.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka_mock.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER
#endif
#endif

const char *kafka_kind_name(enum kafka_kind kind)
{
    static const char *const names[] = { "librdkafka's mock", "the test broker", "Apache Kafka" };
    return names[kind];
}

enum kafka_kind kafka_kind_wanted(void)
{
    const char *given = getenv("LEAT_TEST_BOOTSTRAP");
    return given && *given ? KAFKA_REAL : KAFKA_TEST;
}

static void make_dir(struct kafka *k)
{
    (void)snprintf(k->dir, sizeof k->dir, "/tmp/leat-kafka-XXXXXX");
    FAIL_UNLESS(mkdtemp(k->dir), "no temporary directory: %s", strerror(errno));
}

/* The program beside the running one, or in the directory above. */
static void find_program(char *path, size_t size)
{
    char self[512];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    FAIL_UNLESS(len > 0, "where is this program? %s", strerror(errno));
    self[len] = '\0';
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(self, '/');
        if (!slash)
            break;
        *slash = '\0';
        (void)snprintf(path, size, "%s/kafka_broker", self);
        if (access(path, X_OK) == 0)
            return;
    }
    fail_msg("kafka_broker is not built (target kafka_broker)");
}

static void start_test_broker(struct kafka *k)
{
    char program[600], control[96], line[64];
    int out = -1;
    find_program(program, sizeof program);
    (void)snprintf(control, sizeof control, "%s/control", k->dir);
    char *const argv[] = { program, (char[]){ "--with-parent" }, (char[]){ "--control" }, control, NULL };
    k->pid = child_start(argv, &k->alive_fd, &out);
    FAIL_UNLESS(child_line(out, line, sizeof line), "the test broker did not start");
    (void)close(out);
    (void)snprintf(k->bootstrap, sizeof k->bootstrap, "%s", line);
}

/* scripts/kafka COMMAND: its exit code; the last line of its output. */
static int run_script(struct kafka *k, const char *command, char *last, size_t size)
{
    char words[3][96];
    char *argv[] = { (char[]){ "scripts/kafka" }, words[0], (char[]){ "--dir" }, words[1], words[2], NULL };
    int in = -1, out = -1, status = 0;
    (void)snprintf(words[0], sizeof words[0], "%s", command);
    (void)snprintf(words[1], sizeof words[1], "%s/real", k->dir);
    (void)snprintf(words[2], sizeof words[2], "--stay");
    if (strcmp(command, "start") != 0)
        argv[4] = NULL;
    const pid_t pid = child_start(argv, &in, &out);
    char line[256];
    last[0] = '\0';
    /* The broker that it leaves behind writes to files. */
    while (child_line(out, line, sizeof line))
        (void)snprintf(last, size, "%s", line);
    (void)close(in);
    (void)close(out);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static struct kafka *real_at_exit;

static void stop_real_at_exit(void)
{
    char last[64];
    if (real_at_exit)
        (void)run_script(real_at_exit, "kill", last, sizeof last);
}

static void start_real(struct kafka *k)
{
    const char *given = getenv("LEAT_TEST_BOOTSTRAP");
    k->borrowed = given && *given;
    if (k->borrowed) {
        (void)snprintf(k->bootstrap, sizeof k->bootstrap, "%s", given);
        return;
    }
    make_dir(k);
    const int code = run_script(k, "start", k->bootstrap, sizeof k->bootstrap);
    if (code == 77) {
        (void)rmdir(k->dir);
        free(k);
        SKIP_BECAUSE("no real Kafka: java, mvn or its repository is missing");
    }
    FAIL_UNLESS(code == 0, "scripts/kafka start ended with %d", code);
    real_at_exit = k;
    (void)atexit(stop_real_at_exit);
}

static void start_mock(struct kafka *k)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    k->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    FAIL_UNLESS(k->client, "no client: %s", reason);
    k->mock = rd_kafka_mock_cluster_new(k->client, 3);
    FAIL_UNLESS(k->mock, "no mock cluster");
    (void)snprintf(k->bootstrap, sizeof k->bootstrap, "%s", rd_kafka_mock_cluster_bootstraps(k->mock));
}

/* librdkafka starts its threads by thrd_create, which the thread sanitizer does not follow: it ends the process at the first
 * of our functions on one. So there is no broker and no client in such a build, whichever test asks. */
static void skip_under_tsan(void)
{
#ifdef THREAD_SANITIZER
    (void)puts("the thread sanitizer does not follow the threads of librdkafka");
    exit(77);
#endif
}

struct kafka *kafka_start(enum kafka_kind kind)
{
    skip_under_tsan();
    struct kafka *k = calloc(1, sizeof *k);
    FAIL_UNLESS(k, "out of memory");
    k->kind = kind;
    k->alive_fd = -1;
    if (kind == KAFKA_MOCK) {
        start_mock(k);
        return k;
    }
    if (kind == KAFKA_REAL) {
        start_real(k);
    } else {
        make_dir(k);
        start_test_broker(k);
    }
    k->client = kafka__client(k, RD_KAFKA_PRODUCER, "linger.ms", "0", NULL);
    return k;
}

static void remove_dir(struct kafka *k)
{
    char command[128];
    if (!k->dir[0])
        return;
    char *const argv[] = { (char[]){ "rm" }, (char[]){ "-rf" }, k->dir, NULL };
    int in = -1, out = -1;
    (void)snprintf(command, sizeof command, "%s", k->dir);
    const pid_t pid = child_start(argv, &in, &out);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    (void)close(in);
    (void)close(out);
}

static void end_test_broker(struct kafka *k, int how)
{
    if (!k->pid)
        return;
    (void)kill(k->pid, how);
    while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    (void)close(k->alive_fd);
    k->pid = 0;
}

void kafka_stop(struct kafka *k)
{
    char last[64];
    if (!k)
        return;
    if (k->mock)
        rd_kafka_mock_cluster_destroy(k->mock);
    if (k->client)
        rd_kafka_destroy(k->client);
    end_test_broker(k, SIGTERM);
    if (k->kind == KAFKA_REAL && !k->borrowed) {
        (void)run_script(k, "kill", last, sizeof last);
        real_at_exit = NULL;
    }
    remove_dir(k);
    for (size_t i = 0; i < 2 * k->names_count; i++)
        free(k->names[i]);
    free(k->names);
    free(k->answer);
    free(k);
}

const char *kafka_bootstrap(const struct kafka *k)
{
    return k->bootstrap;
}

struct rd_kafka_mock_cluster_s *kafka_mock(struct kafka *k)
{
    FAIL_UNLESS(k->mock, "%s is no mock cluster", kafka_kind_name(k->kind));
    return k->mock;
}

const char *kafka_name(struct kafka *k, const char *name)
{
    for (size_t i = 0; i < k->names_count; i++)
        if (strcmp(k->names[2 * i], name) == 0)
            return k->names[2 * i + 1];
    char text[200];
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(text, sizeof text, "%s-%lx-%lx%05lx", name, (unsigned long)getpid(),
        (unsigned long)now.tv_sec, (unsigned long)now.tv_nsec / 1000);
    k->names = realloc(k->names, 2 * (k->names_count + 1) * sizeof(char *));
    FAIL_UNLESS(k->names, "out of memory");
    k->names[2 * k->names_count] = strdup(name);
    k->names[2 * k->names_count + 1] = strdup(text);
    return k->names[2 * k->names_count++ + 1];
}

/* Sends the command and reads all of the answer. */
static char *converse(const char *path, const char *command)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FAIL_UNLESS(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "%s: %s", path,
        strerror(errno));
    FAIL_UNLESS(send(fd, command, strlen(command), MSG_NOSIGNAL) == (ssize_t)strlen(command) &&
            shutdown(fd, SHUT_WR) == 0,
        "the control socket does not take a command: %s", strerror(errno));
    size_t len = 0, room = 4096;
    char *text = malloc(room);
    for (;;) {
        const ssize_t got = read(fd, text + len, room - len - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        len += (size_t)got;
        if (room - len < 2048)
            text = realloc(text, room *= 2);
    }
    (void)close(fd);
    text[len] = '\0';
    return text;
}

const char *kafka_command(struct kafka *k, const char *format, ...)
{
    char command[1024], path[96];
    va_list args;
    FAIL_UNLESS(k->kind == KAFKA_TEST, "%s takes no commands", kafka_kind_name(k->kind));
    va_start(args, format);
    (void)vsnprintf(command, sizeof command - 1, format, args);
    va_end(args);
    (void)snprintf(path, sizeof path, "%s/control", k->dir);
    const size_t len = strlen(command);
    command[len] = '\n';
    command[len + 1] = '\0';
    free(k->answer);
    k->answer = converse(path, command);
    command[len] = '\0';
    FAIL_UNLESS(strncmp(k->answer, "ok", 2) == 0, "%s: %s", command, k->answer);
    size_t end = strlen(k->answer);
    while (end > 0 && k->answer[end - 1] == '\n')
        k->answer[--end] = '\0';
    return k->answer + 2 + (k->answer[2] != '\0');
}

void kafka_real_restart(struct kafka *k, bool by_kill)
{
    char last[64];
    FAIL_UNLESS(k->kind == KAFKA_REAL && !k->borrowed, "only a real broker of one's own restarts");
    FAIL_UNLESS(
        run_script(k, by_kill ? "kill" : "stop", last, sizeof last) == 0, "scripts/kafka does not stop it");
    FAIL_UNLESS(run_script(k, "start", last, sizeof last) == 0, "scripts/kafka does not start it again");
    FAIL_UNLESS(strcmp(last, k->bootstrap) == 0, "it is at %s now, not at %s", last, k->bootstrap);
}
