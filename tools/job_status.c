/* tools/job_status.c -- how a running job does, for people: `leat job status`. */
#include "base/units.h"
#include "record/time_text.h"
#include "tools/job.h"
#include <stdio.h>
#include <string.h>

static uint64_t count_of(const json_t *object, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

static const char *text_of(const json_t *object, const char *name, const char *missing)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : missing;
}

static void add_escaped(struct leat_strbuf *out, const char *text)
{
    leat__output_escape(out, text, strlen(text), 0);
}

static void show_checkpoints(const json_t *checkpoints, int64_t now_us, struct leat_strbuf *out)
{
    const uint64_t restored = count_of(checkpoints, "restored_id"), last = count_of(checkpoints, "last_id");
    const char *at = text_of(checkpoints, "last_at", "");
    int64_t at_us = now_us;
    char age[LEAT_UNITS_TEXT_MAX], took[LEAT_UNITS_TEXT_MAX], size[LEAT_UNITS_TEXT_MAX],
        added[LEAT_UNITS_TEXT_MAX], pause[LEAT_UNITS_TEXT_MAX];
    leat__strbuf_printf(out, "  checkpoints  %llu complete, %llu failed",
        (unsigned long long)count_of(checkpoints, "completed"),
        (unsigned long long)count_of(checkpoints, "failed"));
    if (restored > 0)
        leat__strbuf_printf(out, "; began with %llu", (unsigned long long)restored);
    if (last > 0) {
        if (leat__time_parse(at, strlen(at), &at_us) < 0)
            at_us = now_us;
        leat__duration_print(now_us - at_us, age);
        leat__duration_print((int64_t)count_of(checkpoints, "last_duration_us"), took);
        leat__duration_print((int64_t)count_of(checkpoints, "last_pause_us"), pause);
        leat__size_print(count_of(checkpoints, "last_bytes"), size);
        leat__size_print(count_of(checkpoints, "last_new_bytes"), added);
        leat__strbuf_printf(out,
            "\n  the last     %llu, %s ago: %s of state, %s of it new; took %s, held a worker for at most %s",
            (unsigned long long)last, age, size, added, took, pause);
    }
    leat__strbuf_char(out, '\n');
}

static void show_nodes(const json_t *nodes, enum leat_cli_output output, struct leat_strbuf *out)
{
    static const char *const headings[] = { "NODE", "KIND", ">IN", ">OUT", ">LATE", ">UNASSIGNED", ">DROPPED",
        ">KEYS", ">BUSY", "WATERMARK" };
    struct leat_grid grid = { .headings = headings, .columns = 10 };
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const uint64_t busy_us = count_of(node, "busy_us");
        char busy[LEAT_UNITS_TEXT_MAX], plain[32];
        leat__duration_print((int64_t)busy_us, busy);
        (void)snprintf(plain, sizeof plain, "%llu", (unsigned long long)busy_us);
        leat__grid_text(&grid, text_of(node, "name", "?"));
        leat__grid_text(&grid, text_of(node, "kind", "?"));
        leat__grid_count(&grid, count_of(node, "records_in"));
        leat__grid_count(&grid, count_of(node, "records_out"));
        leat__grid_count(&grid, count_of(node, "late_records"));
        leat__grid_count(&grid, count_of(node, "unassigned_records"));
        leat__grid_count(&grid, count_of(node, "dropped_records") + count_of(node, "dead_letters"));
        leat__grid_count(&grid, count_of(node, "state_keys"));
        leat__grid_both(&grid, busy, plain);
        leat__grid_text(&grid, text_of(node, "watermark", "none yet"));
    }
    leat__grid_print(&grid, output, output == LEAT_OUTPUT_TSV ? 0 : 2, out);
    leat__grid_release(&grid);
}

void leat__job_show_status(
    const json_t *status, int64_t now_us, enum leat_cli_output output, struct leat_strbuf *out)
{
    const double seconds = (double)count_of(status, "elapsed_us") / 1e6;
    const uint64_t read = count_of(status, "source_records"), restarts = count_of(status, "restarts");
    const uint64_t bytes = count_of(status, "source_bytes"), total = count_of(status, "source_bytes_total");
    char elapsed[LEAT_UNITS_TEXT_MAX], done[LEAT_UNITS_TEXT_MAX], all[LEAT_UNITS_TEXT_MAX];
    if (output == LEAT_OUTPUT_TSV) {
        show_nodes(json_object_get(status, "nodes"), output, out);
        return;
    }
    leat__duration_print((int64_t)count_of(status, "elapsed_us"), elapsed);
    leat__size_print(bytes, done);
    leat__size_print(total, all);
    add_escaped(out, text_of(status, "job", "?"));
    leat__strbuf_str(out, ": ");
    add_escaped(out, text_of(status, "state", "?"));
    leat__strbuf_printf(
        out, " for %s, %llu workers", elapsed, (unsigned long long)count_of(status, "parallelism"));
    if (restarts > 0)
        leat__strbuf_printf(out, ", restarted %llu times", (unsigned long long)restarts);
    leat__strbuf_printf(out, "\n  read         %llu records (%.0f/s)", (unsigned long long)read,
        seconds > 0 ? (double)read / seconds : 0.0);
    if (total > 0)
        leat__strbuf_printf(out, ", %s of %s (%.0f %%)", done, all, 100.0 * (double)bytes / (double)total);
    leat__strbuf_printf(out, "\n  written      %llu records\n  watermark    ",
        (unsigned long long)count_of(status, "sink_records"));
    add_escaped(out, text_of(status, "watermark", "none yet"));
    leat__strbuf_char(out, '\n');
    show_checkpoints(json_object_get(status, "checkpoints"), now_us, out);
    leat__strbuf_char(out, '\n');
    show_nodes(json_object_get(status, "nodes"), output, out);
}
