/* tests/support/child.c -- programs that tests talk to through pipes. */
#include "tests/support/child.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

bool child_line(int fd, char *line, size_t size)
{
    size_t len = 0;
    while (len + 1 < size) {
        const ssize_t got = read(fd, line + len, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (line[len] == '\n')
            break;
        len++;
    }
    line[len] = '\0';
    return true;
}

pid_t child_start(char *const argv[], int *in, int *out)
{
    int input[2], output[2];
    pid_t pid;
    FAIL_UNLESS(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, input[0], 0);
    (void)posix_spawn_file_actions_adddup2(&actions, output[1], 1);
    const int code = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    FAIL_UNLESS(code == 0, "%s: %s", argv[0], strerror(code));
    (void)close(input[0]);
    (void)close(output[1]);
    *in = input[1];
    *out = output[0];
    return pid;
}
