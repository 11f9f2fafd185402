/* tools/checkpoint_ls.c -- `leat checkpoint ls` and `verify`: all checkpoints of a place, in a line each. */
#include "base/units.h"
#include "tools/checkpoint.h"
#include <stdio.h>

/* Why a job can not begin with it; empty: it can. */
struct verdict {
    bool readable, finished, whole;
    struct leat_error error;
};

static void judge(const struct leat_checkpoint_view *view, uint64_t id, struct leat_manifest *manifest,
    struct verdict *verdict)
{
    *verdict = (struct verdict){ 0 };
    verdict->readable = leat__view_read(view, id, manifest, &verdict->error) == 0;
    if (!verdict->readable)
        return;
    verdict->finished = manifest->finished;
    verdict->whole = leat__view_look(view, manifest, &verdict->error) == 0;
}

static void list_row(struct leat_grid *grid, int64_t now_us, uint64_t id,
    const struct leat_manifest *manifest, const struct leat_manifest *before, const struct verdict *verdict)
{
    char moment[LEAT_MOMENT_TEXT_MAX], age[LEAT_UNITS_TEXT_MAX], seconds[32];
    leat__grid_count(grid, id);
    if (!verdict->readable) {
        for (int i = 0; i < 6; i++)
            leat__grid_text(grid, "-");
        leat__grid_both(grid, "no: its manifest is damaged", "no");
        return;
    }
    leat__moment_print(manifest->taken_us, moment);
    leat__duration_print(now_us - manifest->taken_us, age);
    (void)snprintf(seconds, sizeof seconds, "%lld", (long long)(now_us - manifest->taken_us) / 1000000);
    leat__grid_text(grid, leat__checkpoint_kind_name(manifest->kind));
    leat__grid_text(grid, moment);
    leat__grid_both(grid, age, seconds);
    leat__grid_size(grid, leat__manifest_bytes(manifest));
    if (before)
        leat__grid_size(grid, leat__manifest_new_bytes(manifest, before));
    else
        leat__grid_text(grid, "-");
    leat__grid_count(grid, manifest->nodes_count);
    if (!verdict->whole) {
        char text[LEAT_ERROR_MESSAGE_MAX + 8];
        (void)snprintf(text, sizeof text, "no: %s", verdict->error.message);
        leat__grid_text(grid, text);
    } else {
        leat__grid_both(grid, verdict->finished ? "yes: the input has ended" : "yes", "yes");
    }
}

static void list_json(struct leat_strbuf *out, uint64_t id, const struct leat_manifest *manifest,
    const struct leat_manifest *before, const struct verdict *verdict)
{
    leat__json_begin(out, NULL, '{');
    leat__json_count(out, "id", id);
    leat__json_bool(out, "restorable", verdict->whole);
    leat__json_text(out, "error", verdict->whole ? NULL : verdict->error.message);
    if (verdict->readable) {
        leat__json_text(out, "kind", leat__checkpoint_kind_name(manifest->kind));
        leat__json_text(out, "job", manifest->job);
        leat__json_bool(out, "finished", manifest->finished);
        leat__json_time(out, "taken_at", manifest->taken_us);
        leat__json_count(out, "bytes", leat__manifest_bytes(manifest));
        if (before)
            leat__json_count(out, "new_bytes", leat__manifest_new_bytes(manifest, before));
        else
            leat__json_null(out, "new_bytes");
        leat__json_count(out, "nodes", manifest->nodes_count);
        leat__json_count(out, "parallelism", manifest->parallelism);
    }
    leat__json_end(out, '}');
}

/* Two manifests in turn: that of the row, and the one before it, which says what is new. */
int leat__checkpoint_ls(const struct leat_checkpoint_args *args)
{
    static const char *const headings[] = { ">ID", "KIND", "TIME", ">AGE", ">SIZE", ">NEW", ">NODES",
        "RESTORABLE" };
    struct leat_checkpoint_view view;
    struct leat_error err = { 0 };
    struct leat_manifest manifests[2] = { 0 };
    struct leat_strbuf out = { 0 };
    struct leat_grid grid = { .headings = headings, .columns = 8 };
    const enum leat_cli_output output = leat__output_choose(args->output);
    if (leat__view_open(args->words[0], &view, &err) < 0)
        return leat__output_fail(&err);
    const int64_t now_us = view.env->wall_us(view.env);
    const struct leat_manifest *before = NULL;
    leat__json_begin(&out, NULL, '[');
    for (uint32_t i = 0; i < view.count; i++) {
        struct leat_manifest *manifest = &manifests[i % 2];
        struct verdict verdict;
        leat__manifest_release(manifest);
        judge(&view, view.ids[i], manifest, &verdict);
        if (output == LEAT_OUTPUT_JSON)
            list_json(&out, view.ids[i], manifest, before, &verdict);
        else
            list_row(&grid, now_us, view.ids[i], manifest, before, &verdict);
        before = verdict.readable ? manifest : NULL;
    }
    if (output == LEAT_OUTPUT_JSON) {
        leat__strbuf_str(&out, "]\n");
    } else {
        leat__strbuf_clear(&out);
        leat__grid_print(&grid, output, 0, &out);
    }
    leat__grid_release(&grid);
    leat__manifest_release(&manifests[0]);
    leat__manifest_release(&manifests[1]);
    leat__view_close(&view);
    return leat__output_print(&out);
}

/* ---- verify ---- */

struct verification {
    const struct leat_checkpoint_view *view;
    enum leat_cli_output output;
    struct leat_strbuf out;
    uint32_t damaged; /* files */
};

static void report(struct verification *v, uint64_t id, const char *file, const struct leat_error *err)
{
    v->damaged++;
    if (v->output == LEAT_OUTPUT_JSON) {
        leat__json_begin(&v->out, NULL, '{');
        leat__json_text(&v->out, "file", file);
        leat__json_text(&v->out, "error", err->message);
        leat__json_end(&v->out, '}');
        return;
    }
    leat__strbuf_printf(&v->out, "%llu: ", (unsigned long long)id);
    leat__output_escape(&v->out, err->message, strlen(err->message), 0);
    leat__strbuf_char(&v->out, '\n');
}

static void verify_one(struct verification *v, uint64_t id)
{
    const struct leat_checkpoint_store_class *local = &leat__checkpoint_store_local;
    struct leat_manifest manifest;
    struct leat_error err = { 0 };
    const uint32_t before = v->damaged;
    const bool json = v->output == LEAT_OUTPUT_JSON;
    char size[LEAT_UNITS_TEXT_MAX];
    if (json) {
        leat__json_begin(&v->out, NULL, '{');
        leat__json_count(&v->out, "id", id);
        leat__json_begin(&v->out, "damaged", '[');
    }
    if (leat__view_read(v->view, id, &manifest, &err) < 0)
        report(v, id, "MANIFEST", &err);
    for (uint32_t i = 0; i < manifest.files_count; i++) { /* file by file: all that is damaged is named */
        struct leat_manifest one = manifest;
        one.files = &manifest.files[i];
        one.files_count = 1;
        err = (struct leat_error){ 0 };
        if (local->verify(v->view->store, &one, &err) < 0)
            report(v, id, manifest.files[i].name, &err);
    }
    leat__size_print(leat__manifest_bytes(&manifest), size);
    if (json) {
        leat__json_end(&v->out, ']');
        leat__json_count(&v->out, "files", manifest.files_count);
        leat__json_count(&v->out, "bytes", leat__manifest_bytes(&manifest));
        leat__json_bool(&v->out, "whole", v->damaged == before);
        leat__json_end(&v->out, '}');
    } else if (v->damaged == before) {
        leat__strbuf_printf(
            &v->out, "%llu: whole (%u files, %s)\n", (unsigned long long)id, manifest.files_count, size);
    }
    leat__manifest_release(&manifest);
}

int leat__checkpoint_verify(const struct leat_checkpoint_args *args)
{
    struct leat_checkpoint_view view;
    struct leat_error err = { 0 };
    struct verification v = { .view = &view, .output = args->output };
    int result = leat__view_open(args->words[0], &view, &err);
    if (result < 0)
        return leat__output_fail(&err);
    if (v.output == LEAT_OUTPUT_JSON)
        leat__json_begin(&v.out, NULL, '[');
    for (uint32_t i = 0; args->count == 1 && i < view.count; i++)
        verify_one(&v, view.ids[i]);
    for (uint32_t i = 1; i < args->count && result == 0; i++) {
        uint64_t id;
        result = leat__view_find(&view, args->words[i], &id, &err);
        if (result == 0)
            verify_one(&v, id);
    }
    if (v.output == LEAT_OUTPUT_JSON)
        leat__strbuf_str(&v.out, "]\n");
    leat__view_close(&view);
    if (result < 0) {
        leat__strbuf_release(&v.out);
        return leat__output_fail(&err);
    }
    const int exit_code = leat__output_print(&v.out);
    if (v.damaged > 0)
        (void)fprintf(stderr,
            "leat: error: %u of the files are damaged or missing: go on from another checkpoint\n",
            v.damaged);
    return v.damaged > 0 ? leat_error_exit_code(LEAT_EDATA) : exit_code;
}
