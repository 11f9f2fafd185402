/* tests/crash/jobs/options.h -- what the jobs of the crash tests share: their own options, taken out of the command
 * line before leat_main sees it, and a brake, so that a small input takes long enough to be killed in, or, with
 * --crawl, so long that it is still there whenever a test gets round to stopping it. */
#ifndef LEAT_TESTS_CRASH_JOBS_OPTIONS_H
#define LEAT_TESTS_CRASH_JOBS_OPTIONS_H
#include <leat/leat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS_A_REST 32u

static const char *input_dir = "in", *output_dir = "out";
static long pace_us; /* a rest at the begin of a batch, and after so many rows */
/* After so many rests of the whole process each takes so much longer. */
static long crawl_after = -1;
#define CRAWL_US 50000

/* Takes --input, --output, --pace and --crawl out of argv; the rest is leat_main's. How many are left. */
static int take_options(int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--input") == 0 && i + 1 < argc)
            input_dir = argv[++i];
        else if (strcmp(argv[i], "--output") == 0 && i + 1 < argc)
            output_dir = argv[++i];
        else if (strcmp(argv[i], "--pace") == 0 && i + 1 < argc)
            pace_us = strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--crawl") == 0 && i + 1 < argc)
            crawl_after = strtol(argv[++i], NULL, 10);
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    return kept;
}

/* "DIR/NAME" in one of a few static buffers. */
static const char *path_in(const char *dir, const char *name)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void rest(const struct leat_ctx *ctx)
{
    static long rests;
    if (ctx->row % ROWS_A_REST != 0)
        return;
    const bool crawls = crawl_after >= 0 && __atomic_add_fetch(&rests, 1, __ATOMIC_RELAXED) > crawl_after;
    const long rest_us = pace_us + (crawls ? CRAWL_US : 0);
    if (rest_us > 0)
        (void)nanosleep(&(struct timespec){ .tv_sec = 0, .tv_nsec = rest_us * 1000 }, NULL);
}
#endif
