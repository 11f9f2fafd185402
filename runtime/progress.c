/* runtime/progress.c -- see the header. Rates are over the whole run: rows per second of wall time. */
#include "runtime/progress.h"
#include "base/units.h"
#include "record/time_text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLAIN_INTERVAL_US INT64_C(10000000)

static void print_count(char *text, size_t size, double n)
{
    static const char *const units[] = { "", "k", "M", "G" };
    int unit = 0;
    while (n >= 10000 && unit < 3) {
        n /= 1000;
        unit++;
    }
    (void)snprintf(text, size, unit ? "%.1f%s" : "%.0f%s", n, units[unit]);
}

static void print_watermark(char text[LEAT_TIME_TEXT_MAX], int64_t wm_us)
{
    if (wm_us == LEAT_TIME_MIN)
        (void)snprintf(text, LEAT_TIME_TEXT_MAX, "none yet");
    else if (wm_us == LEAT_TIME_MAX)
        (void)snprintf(text, LEAT_TIME_TEXT_MAX, "end");
    else
        (void)leat__time_print(wm_us, text);
}

/* The last one; nothing for a job without checkpoints. */
static void print_checkpoint(char *text, size_t size, const struct leat_progress *progress)
{
    const struct leat_checkpoint_metrics *checkpoints = &progress->checkpoints;
    char took[LEAT_UNITS_TEXT_MAX];
    leat__duration_print(checkpoints->last_duration_us, took);
    if (checkpoints->completed > 0)
        (void)snprintf(text, size, "  checkpoint %llu (%s)", (unsigned long long)checkpoints->last_id, took);
    else if (checkpoints->restored_id > 0)
        (void)snprintf(text, size, "  from checkpoint %llu", (unsigned long long)checkpoints->restored_id);
}

static void format_line(char *line, size_t size, const struct leat_progress *progress)
{
    char in[32], rate[32], out[32], watermark[LEAT_TIME_TEXT_MAX], lag[48] = "", checkpoint[64] = "";
    char unassigned_text[48] = "";
    uint64_t late = 0, unassigned = 0;
    const double seconds = progress->elapsed_us > 0 ? (double)progress->elapsed_us / 1e6 : 1e-6;
    for (size_t i = 0; i < progress->nodes_count; i++) {
        late += progress->nodes[i].late_records;
        unassigned += progress->nodes[i].unassigned_records;
    }
    if (unassigned > 0) /* only windows with gaps have any */
        (void)snprintf(unassigned_text, sizeof unassigned_text, "  between windows %llu",
            (unsigned long long)unassigned);
    print_count(in, sizeof in, (double)progress->source_records);
    print_count(rate, sizeof rate, (double)progress->source_records / seconds);
    print_count(out, sizeof out, (double)progress->sink_records);
    print_watermark(watermark, progress->watermark_us);
    if (progress->source_bytes_total > 0 &&
        progress->checkpoints.restored_id == 0) /* else bytes are not all */
        (void)snprintf(lag, sizeof lag, "  lag %.1f MB (%.0f %% read)",
            (double)(progress->source_bytes_total - progress->source_bytes) / 1e6,
            100.0 * (double)progress->source_bytes / (double)progress->source_bytes_total);
    print_checkpoint(checkpoint, sizeof checkpoint, progress);
    const int len = snprintf(line, size, "%6.1f s  in %s (%s/s)  out %s  watermark %s  late %llu%s%s%s",
        seconds, in, rate, out, watermark, (unsigned long long)late, unassigned_text, lag, checkpoint);
    struct rusage usage;
    if (progress->state >= LEAT_JOB_FINISHED && len > 0 && (size_t)len < size &&
        getrusage(RUSAGE_SELF, &usage) == 0)
        (void)snprintf(
            line + len, size - (size_t)len, "  peak memory %.1f MB", (double)usage.ru_maxrss * 1024 / 1e6);
}

void leat__progress_print(void *arg, const struct leat_progress *progress)
{
    static int64_t printed_us; /* when the last plain line was printed; one job at a time shows progress */
    char line[384];
    const char *term = getenv("TERM");
    const bool terminal = isatty(2) == 1 && !(term && strcmp(term, "dumb") == 0);
    const bool last = progress->state >= LEAT_JOB_FINISHED;
    (void)arg;
    format_line(line, sizeof line, progress);
    if (terminal) {
        (void)fprintf(stderr, "\r\033[K%s%s", line, last ? "\n" : "");
    } else if (last || printed_us == 0 || progress->elapsed_us - printed_us >= PLAIN_INTERVAL_US) {
        printed_us = last ? 0 : progress->elapsed_us;
        (void)fprintf(stderr, "%s\n", line);
    }
    (void)fflush(stderr);
}
