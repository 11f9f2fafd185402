/* tests/support/registry.c -- starts and stops tests/registry/registry. The leat command that it needs lies in the build
 * directory that the running program is of. */
#include "tests/support/registry.h"
#include "tests/support/child.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct registry {
    pid_t pid;
    int input; /* its life */
    char url[64];
};

static void find_leat(char *path, size_t size)
{
    char self[512];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    FAIL_UNLESS(len > 0, "where is this program?");
    self[len] = '\0';
    for (char *slash; (slash = strrchr(self, '/')) != NULL;) {
        *slash = '\0';
        (void)snprintf(path, size, "%s/tools/leat", self);
        if (access(path, X_OK) == 0)
            return;
    }
    fail_msg("the leat command is not built (target leat_tool)");
}

struct registry *registry_start(const char *argument, ...)
{
    struct registry *registry = calloc(1, sizeof *registry);
    char leat[600], *argv[16] = { (char[]){ "tests/registry/registry" }, (char[]){ "--leat" }, leat };
    int out = -1, count = 3;
    va_list args;
    assert_non_null(registry);
    find_leat(leat, sizeof leat);
    va_start(args, argument);
    for (const char *text = argument; text && count < 15; text = va_arg(args, const char *))
        assert_non_null(argv[count++] = strdup(text));
    va_end(args);
    registry->pid = child_start(argv, &registry->input, &out);
    FAIL_UNLESS(child_line(out, registry->url, sizeof registry->url), "the registry did not start");
    (void)close(out);
    while (count > 3)
        free(argv[--count]);
    return registry;
}

void registry_stop(struct registry *registry)
{
    int status;
    if (!registry)
        return;
    (void)close(registry->input);
    assert_int_equal(waitpid(registry->pid, &status, 0), registry->pid);
    free(registry);
}

const char *registry_url(const struct registry *registry)
{
    return registry->url;
}
