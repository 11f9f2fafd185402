/* tests/support/case_run.c -- running case files: every case with several sizes of batches, compared line by
 * line. */
#include "base/strbuf.h"
#include "record/json.h"
#include "tests/support/cases.h"
#include "tests/support/golden.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_SLACK 64u

static const uint32_t batch_sizes[] = { 1, 7, 1024 };

/* What must make no difference, either. */
static const struct way {
    const char *name;
    bool with_store, crashes; /* a checkpoint, a crash and a restore before every line */
    uint64_t budget_bytes;
    uint32_t lost; /* a barrier, so many lines, a crash, a restore, and the same lines again */
} ways[] = {
    { "", false, false, 0, 0 },
    { ", a crash before every line", true, true, 0, 0 },
    { ", spilling all the time", true, false, 1, 0 },
    { ", spilling, a crash before every line", true, true, 1, 0 },
    { ", every line lost and done again", true, false, 0, 1 },
    { ", three lines lost and done again", true, false, 0, 3 },
    { ", spilling, two lines lost and done again", true, false, 1, 2 },
};

/* One case in one size. */
struct run {
    const struct case_file *file;
    const struct case_one *one;
    struct harness *h;
    const struct way *way;
    uint32_t batch_rows;
    struct leat_json_decoder *decoders[CASE_INPUTS_MAX];
    /* The batch that is being filled. */
    struct leat_batch *batch;
    struct leat_batch *twin; /* of a stream that is joined with itself: the same for input 1 */
    uint32_t input;
    struct leat_strbuf out;
};

/* The operator reads the file's only input twice. */
static bool is_self_join(const struct run *r)
{
    return r->file->inputs_count == 1 && r->h->node->inputs_count == 2;
}

const struct leat_type *case_type(const struct case_setup *setup, const char *name)
{
    for (uint32_t i = 0; i < setup->file->schemas_count; i++)
        if (strcmp(setup->file->schemas[i].name, name) == 0)
            return setup->file->schemas[i].type;
    return NULL;
}

/* ---- in ---- */

static void flush(struct run *r)
{
    struct leat_batch *batch = r->batch, *twin = r->twin;
    r->batch = r->twin = NULL;
    if (batch)
        (void)harness_batch(r->h, r->input, batch); /* the harness keeps its error for the output */
    if (twin)
        (void)harness_batch(r->h, 1, twin);
}

static int64_t event_time(const struct run *r, const struct case_line *line, const void *record)
{
    const struct leat_source_time *time = &r->h->node->inputs[line->input].from->time;
    int64_t value = 0;
    if (!time->field)
        return LEAT_TIME_MIN;
    FAIL_UNLESS(leat_record_get_i64(record, &time->place, &value) == 0, "line %u: no event time", line->line);
    return time->to_us ? time->to_us(value) : value;
}

/* Rows that are on time lie above their input's watermark, late ones at or below their mark: sources see to
 * it. */
static void check_time(const struct run *r, const struct case_line *line, int64_t us)
{
    const int64_t w = r->h->ctx.input_watermark_us[line->input];
    if (!r->h->node->inputs[line->input].from->time.field)
        return;
    if (line->verb == CASE_LATE)
        FAIL_UNLESS(us <= line->time_us, "line %u: %lld is not late by %lld", line->line, (long long)us,
            (long long)line->time_us);
    else
        FAIL_UNLESS(w == LEAT_TIME_MIN || us > w, "line %u: %lld is behind its watermark: say `late`",
            line->line, (long long)us);
}

static struct leat_batch *begin_batch(struct run *r, uint32_t input, const struct case_line *line)
{
    struct leat_batch *batch = harness_rows(r->h, input);
    batch->late = line->verb == CASE_LATE;
    batch->late_wm_us = batch->late ? line->time_us : LEAT_TIME_MIN;
    return batch;
}

static void add_row(struct run *r, const struct case_line *line, struct leat_batch *batch)
{
    struct leat_error err = { 0 };
    const size_t len = strlen(line->json);
    char *json = calloc(1, len + JSON_SLACK);
    assert_non_null(json);
    memcpy(json, line->json, len);
    const int code = leat__json_decode(r->decoders[line->input], json, len, batch, &err);
    free(json);
    FAIL_UNLESS(code == 0, "line %u: %s", line->line, err.message);
    const int64_t us = event_time(r, line, leat_batch_at(batch, batch->count - 1));
    check_time(r, line, us);
    batch->event_us[batch->count - 1] = us;
    batch->key_hash[batch->count - 1] = 0;
    leat__batch_set_change(batch, batch->count - 1, (uint8_t)line->change);
}

static void add_record(struct run *r, const struct case_line *line)
{
    const bool late = line->verb == CASE_LATE;
    struct leat_batch *batch = r->batch;
    if (r->way->crashes) {
        flush(r);
        (void)harness_crash(r->h, NULL);
        batch = NULL;
    }
    if (batch &&
        (r->input != line->input || batch->count == r->batch_rows || (batch->late != 0) != late ||
            (late && batch->late_wm_us != line->time_us))) {
        flush(r);
        batch = NULL;
    }
    if (!batch) {
        r->batch = begin_batch(r, line->input, line);
        r->twin = is_self_join(r) ? begin_batch(r, 1, line) : NULL;
        r->input = line->input;
    }
    add_row(r, line, r->batch);
    if (r->twin)
        add_row(r, line, r->twin);
}

static void do_line(struct run *r, const struct case_line *line)
{
    if (line->verb == CASE_RECORD || line->verb == CASE_LATE) {
        add_record(r, line);
        return;
    }
    flush(r);
    if (r->way->crashes)
        (void)harness_crash(r->h, NULL);
    switch (line->verb) {
    case CASE_WATERMARK:
        (void)harness_watermark(r->h, line->input, line->time_us);
        if (is_self_join(r))
            (void)harness_watermark(r->h, 1, line->time_us);
        break;
    case CASE_IDLE:
        (void)harness_idle(r->h, line->input);
        if (is_self_join(r))
            (void)harness_idle(r->h, 1);
        break;
    case CASE_ADVANCE:
        harness_advance(r->h, line->time_us);
        break;
    case CASE_END:
        (void)harness_end(r->h, line->input);
        if (is_self_join(r))
            (void)harness_end(r->h, 1);
        break;
    case CASE_END_ALL:
        for (uint32_t i = 0; i < r->h->node->inputs_count; i++)
            (void)harness_end(r->h, i);
        break;
    case CASE_BARRIER:
        harness_barrier(r->h);
        break;
    case CASE_CRASH:
        harness_lose(r->h);
        break;
    case CASE_RESTORE:
        (void)harness_restore(r->h);
        break;
    default:
        break;
    }
}

static bool is_of_checkpoints(const struct case_line *line)
{
    return line->verb == CASE_BARRIER || line->verb == CASE_CRASH || line->verb == CASE_RESTORE;
}

/* The lines as they stand; what came between a barrier and the crash comes again behind the restore. */
static void do_as_written(struct run *r)
{
    uint32_t barrier = 0;
    for (uint32_t i = 0; i < r->one->lines_count; i++) {
        do_line(r, &r->one->lines[i]);
        if (r->one->lines[i].verb == CASE_BARRIER)
            barrier = i;
        if (r->one->lines[i].verb != CASE_RESTORE)
            continue;
        for (uint32_t k = barrier; k < i; k++)
            if (!is_of_checkpoints(&r->one->lines[k]) && r->one->lines[k].verb != CASE_ADVANCE)
                do_line(r, &r->one->lines[k]);
        flush(r);
        harness_barrier(r->h); /* that work is not lost again */
        barrier = i;
    }
}

static void do_some(struct run *r, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (!is_of_checkpoints(&r->one->lines[i]))
            do_line(r, &r->one->lines[i]);
    flush(r);
}

/* Some lines at a time are done, lost and done again. The clock does not go back: it moves between. */
static void do_twice(struct run *r)
{
    for (uint32_t from = 0, to; from < r->one->lines_count; from = to) {
        for (to = from; to < r->one->lines_count && to - from < r->way->lost; to++)
            if (r->one->lines[to].verb == CASE_ADVANCE)
                break;
        if (to == from) {
            do_line(r, &r->one->lines[to++]);
            continue;
        }
        harness_barrier(r->h);
        do_some(r, from, to);
        harness_lose(r->h);
        (void)harness_restore(r->h);
        do_some(r, from, to);
    }
}

/* ---- out ---- */

static const char *const changes[] = { "insert", "update_before", "update_after", "delete" };

static void print_row(
    struct run *r, const struct leat_output *output, const struct leat_batch *batch, uint32_t i)
{
    struct leat_error err = { 0 };
    leat__strbuf_printf(&r->out, "%s ", output->name ? output->name : "out");
    FAIL_UNLESS(leat__json_encode(output->type, LEAT_JSON_PLAIN, leat_batch_at(batch, i), &r->out, &err) == 0,
        "%s", err.message);
    if (output->has_event_time)
        leat__strbuf_printf(&r->out, " @%lld", (long long)batch->event_us[i]);
    if (batch->late)
        leat__strbuf_printf(&r->out, " late %lld", (long long)batch->late_wm_us);
    if (output->changes)
        leat__strbuf_printf(&r->out, " %s", changes[leat__batch_change(batch, i)]);
    else
        FAIL_UNLESS(leat__batch_change(batch, i) == LEAT_INSERT, "a change in a stream of plain records");
    leat__strbuf_char(&r->out, '\n');
}

/* The error as the case expects it if it is part of the message, else whole. */
static void print_failure(struct run *r)
{
    const char *line = r->one->expected;
    while (line && strncmp(line, "error ", 6) != 0)
        line = strchr(line, '\n') && *(strchr(line, '\n') + 1) ? strchr(line, '\n') + 1 : NULL;
    const size_t len = line ? strcspn(line, "\n") : 0;
    if (line && memmem(r->h->error.message, strlen(r->h->error.message), line + 6, len - 6))
        leat__strbuf_printf(&r->out, "%.*s\n", (int)len, line);
    else
        leat__strbuf_printf(&r->out, "error %s\n", r->h->error.message);
}

static void print_all(struct run *r)
{
    const struct harness *h = r->h;
    for (uint32_t i = 0; i < h->outs_count; i++)
        for (uint32_t row = 0; row < h->outs[i].batch->count; row++)
            print_row(r, &h->node->outputs[h->outs[i].port], h->outs[i].batch, row);
    if (h->counters.late_records)
        leat__strbuf_printf(&r->out, "late %llu\n", (unsigned long long)h->counters.late_records);
    if (h->counters.dropped_records)
        leat__strbuf_printf(&r->out, "dropped %llu\n", (unsigned long long)h->counters.dropped_records);
    if (h->counters.unassigned_records)
        leat__strbuf_printf(&r->out, "unassigned %llu\n", (unsigned long long)h->counters.unassigned_records);
    if (h->code < 0)
        print_failure(r);
    assert_false(r->out.failed);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The lines sorted; the caller frees it with leat__strbuf_release. */
static struct leat_strbuf sorted(const char *text)
{
    struct leat_strbuf out = { 0 };
    size_t count = 0, n = 0;
    for (const char *p = text; *p; p++)
        count += *p == '\n';
    char **lines = calloc(count + 1, sizeof *lines);
    char *copy = strdup(text);
    assert_true(lines && copy);
    for (char *line = copy; *line; line = strchr(line, '\0') + 1) {
        lines[n++] = line;
        *strchr(line, '\n') = '\0';
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    leat__strbuf_str(&out, "");
    for (size_t i = 0; i < n; i++)
        leat__strbuf_printf(&out, "%s\n", lines[i]);
    free(lines);
    free(copy);
    return out;
}

/* ---- cases and files ---- */

static void open_run(struct run *r, leat_topology *t, const struct case_operator *op)
{
    struct case_setup setup = { .t = t, .inputs_count = r->file->inputs_count, .file = r->file };
    struct leat_error err = { 0 };
    for (uint32_t i = 0; i < setup.inputs_count; i++) {
        const struct case_input *input = &r->file->inputs[i];
        setup.inputs[i] = harness_source(t, input->name, input->type, input->time_field);
        setup.inputs[i]->node->outputs[0].changes = input->changes;
        FAIL_UNLESS(leat__json_decoder_new(input->type, LEAT_JSON_PLAIN, &r->decoders[i], &err) == 0, "%s",
            err.message);
    }
    const struct harness_opts opts = { .batch_rows = r->batch_rows,
        .with_store = r->way->with_store || r->one->crashes,
        .budget_bytes = r->way->budget_bytes };
    r->h = harness_new(op->declare(&setup), &opts);
}

/* What comes out, as text. */
static struct leat_strbuf run_case(const struct case_file *file, const struct case_one *one,
    const struct case_operator *op, const struct way *way, uint32_t batch_rows)
{
    struct run r = { .file = file, .one = one, .way = way, .batch_rows = batch_rows };
    leat_topology *t = leat_topology_new("case");
    open_run(&r, t, op);
    if (way->lost)
        do_twice(&r);
    else if (way->crashes)
        do_some(&r, 0, one->lines_count);
    else
        do_as_written(&r);
    flush(&r);
    leat__strbuf_str(&r.out, "");
    print_all(&r);
    harness_free(r.h);
    for (uint32_t i = 0; i < file->inputs_count; i++)
        leat__json_decoder_free(r.decoders[i]);
    leat_topology_free(t);
    return r.out;
}

/* True when the case gave what it must with every size of batches; else the differences are printed. */
static bool check_way(const char *path, const struct case_file *file, const struct case_one *one,
    const struct case_operator *op, const struct way *way)
{
    bool same = true;
    const bool unordered =
        one->unordered || way->with_store || one->crashes; /* what comes from a store comes in its order */
    for (size_t i = 0; i < COUNT_OF(batch_sizes); i++) {
        const uint32_t rows = one->batch ? one->batch : batch_sizes[i];
        struct leat_strbuf got = run_case(file, one, op, way, rows);
        struct leat_strbuf got_sorted = sorted(got.data), want_sorted = sorted(one->expected);
        char *diff =
            golden_diff(unordered ? want_sorted.data : one->expected, unordered ? got_sorted.data : got.data);
        if (diff)
            print_error(
                "%s:%u: case %s, batches of %u%s:\n%s\n", path, one->line, one->name, rows, way->name, diff);
        same = same && !diff;
        free(diff);
        leat__strbuf_release(&got);
        leat__strbuf_release(&got_sorted);
        leat__strbuf_release(&want_sorted);
        if (one->batch)
            break;
    }
    return same;
}

static bool check_case(const char *path, const struct case_file *file, const struct case_one *one,
    const struct case_operator *op)
{
    bool same = true;
    for (size_t i = 0; i < COUNT_OF(ways); i++)
        same = check_way(path, file, one, op, &ways[i]) && same;
    return same;
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    FAIL_UNLESS(f != NULL, "%s: can not be opened", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const long size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    *len = fread(text, 1, (size_t)size, f);
    assert_int_equal(*len, (size_t)size);
    assert_int_equal(fclose(f), 0);
    return text;
}

/* Writes the file again with what came out below every ----. */
static void update_file(const char *path, const char *text, size_t len, const struct case_file *file,
    const struct case_operator *op)
{
    struct leat_strbuf out = { 0 };
    size_t at = 0;
    for (uint32_t i = 0; i < file->cases_count; i++) {
        const struct case_one *one = &file->cases[i];
        struct leat_strbuf got = run_case(file, one, op, &ways[0], one->batch ? one->batch : batch_sizes[0]);
        leat__strbuf_add(&out, text + at, one->expected_from - at);
        leat__strbuf_add(&out, got.data, got.len);
        at = one->expected_to;
        leat__strbuf_release(&got);
    }
    leat__strbuf_add(&out, text + at, len - at);
    assert_false(out.failed);
    FILE *f = fopen(path, "wb");
    FAIL_UNLESS(f != NULL, "%s: can not be written", path);
    assert_int_equal(fwrite(out.data, 1, out.len, f), out.len);
    assert_int_equal(fclose(f), 0);
    leat__strbuf_release(&out);
}

void case_run_file(const char *path, const struct case_operator *operators, uint32_t count)
{
    size_t len;
    struct case_file file;
    struct leat_error err = { 0 };
    const struct case_operator *op = NULL;
    uint32_t failed = 0;
    char *text = read_file(path, &len);
    FAIL_UNLESS(case_parse(text, len, &file, &err) == 0, "%s: %s", path, err.message);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(operators[i].name, file.operator_name) == 0)
            op = &operators[i];
    FAIL_UNLESS(op != NULL, "%s: the test has no operator \"%s\"", path, file.operator_name);
    const char *update = getenv("LEAT_UPDATE_CASES");
    if (update && strcmp(update, "1") == 0)
        update_file(path, text, len, &file, op);
    else
        for (uint32_t i = 0; i < file.cases_count; i++)
            failed += !check_case(path, &file, &file.cases[i], op);
    const uint32_t cases_count = file.cases_count;
    case_release(&file);
    free(text);
    FAIL_UNLESS(failed == 0, "%s: %u of %u cases differ", path, failed, cases_count);
}
