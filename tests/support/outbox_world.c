/* tests/support/outbox_world.c -- see outbox_world.h. Instances share one harness: what is a subtask's own, its
 * number and its outbox, is put into the context before each use. */
#include "tests/support/outbox_world.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPOOL "job/spool"

static void use_slot(struct outbox_world *w, uint32_t slot)
{
    w->h.ctx.subtask = slot;
    w->h.ctx.parallelism = w->slots;
    w->h.ctx.outbox = w->outboxes[slot];
}

void outbox_world_begin(
    struct outbox_world *w, struct leat_env *env, uint32_t slots, struct ledger_faults *faults)
{
    memset(w, 0, sizeof *w);
    assert_true(slots <= OUTBOX_WORLD_SLOTS_MAX);
    w->env = env;
    w->slots = slots;
    w->t = leat_topology_new("test");
    leat_stream *in =
        leat_memory_source(w->t, "in", &(struct leat_memory_source_opts){ .type = harness_order_type() });
    ledger_sink(in, "out", &(struct ledger_sink_opts){ .path = OUTBOX_WORLD_LEDGER, .faults = faults });
    FAIL_UNLESS(leat_topology_errors_count(w->t) == 0, "%s", leat_topology_error(w->t, 0)->message);
    harness_init(&w->h, env, w->t->nodes[w->t->nodes_count - 1], 16);
    assert_int_equal(leat__spool_prepare(env, SPOOL, &w->h.err), 0);
    for (uint32_t i = 0; i < slots; i++) {
        use_slot(w, i);
        assert_int_equal(leat__outbox_open(&w->h.ctx, SPOOL), 0);
        w->outboxes[i] = w->h.ctx.outbox;
        w->sinks[i] = harness_sink(&w->h, i, slots);
        assert_non_null(w->sinks[i]);
    }
    assert_int_equal(leat__delivery_new(env, "job", "life", &w->delivery, &w->h.err), 0);
}

void outbox_world_end(struct outbox_world *w, bool forget)
{
    for (uint32_t i = 0; i < w->slots; i++) {
        use_slot(w, i);
        harness_close_sink(&w->h, w->sinks[i]);
        leat__outbox_close(&w->h.ctx);
    }
    leat__outbox_list_release(&w->list, w->env);
    leat__delivery_free(w->delivery);
    harness_release(&w->h);
    leat_topology_free(w->t);
    if (forget)
        ledger_forget_producers();
}

int outbox_world_write(struct outbox_world *w, uint32_t slot, int64_t from, uint32_t count)
{
    use_slot(w, slot);
    return harness_write(&w->h, w->sinks[slot], from, count);
}

int outbox_world_checkpoint(struct outbox_world *w, uint64_t epoch, struct outbox_manifest *m)
{
    char dir[64];
    *m = (struct outbox_manifest){ .epoch = epoch, .slots = w->slots };
    for (uint32_t i = 0; i < w->slots; i++) {
        use_slot(w, i);
        LEAT_TRY(leat__outbox_cut(&w->h.ctx, epoch, &w->list));
    }
    (void)snprintf(dir, sizeof dir, "job/chk-%llu", (unsigned long long)epoch);
    LEAT_TRY(w->env->fs_mkdir(w->env, dir, &w->h.err));
    LEAT_TRY(leat__outbox_place(&w->list, w->env, dir, &w->h.err));
    for (uint32_t i = 0; i < w->list.count; i++) {
        const struct leat_outbox_file *file = &w->list.files[i];
        assert_true(m->count < OUTBOX_WORLD_FILES_MAX);
        m->files[m->count].slot = file->slot;
        m->files[m->count].records = file->records;
        (void)snprintf(m->files[m->count].path, sizeof m->files[0].path, "%s/%s", dir, file->name);
        m->count++;
    }
    return 0;
}

void outbox_world_settle(struct outbox_world *w)
{
    leat__outbox_list_release(&w->list, w->env);
}

int outbox_world_send(struct outbox_world *w, const struct outbox_manifest *m)
{
    struct leat_delivery_file files[OUTBOX_WORLD_FILES_MAX];
    for (uint32_t i = 0; i < m->count; i++)
        files[i] = (struct leat_delivery_file){ .node = w->h.node,
            .sink = w->h.node->sink,
            .slot = m->files[i].slot,
            .records = m->files[i].records,
            .path = m->files[i].path };
    return leat__delivery_send(w->delivery, m->epoch, files, m->count, &w->h.err);
}

int outbox_world_recover(
    struct outbox_world *w, const struct outbox_manifest *m, bool force, uint64_t *marker)
{
    LEAT_TRY(leat__delivery_fence(w->delivery, w->h.node, w->h.node->sink, w->h.node->name, m->slots,
        m->epoch, force, marker, &w->h.err));
    return outbox_world_send(w, m);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a text, sorted in place. The caller frees; the lines are the text's. */
static char **sort_lines(char *text, size_t count)
{
    char **lines = calloc(count + 1, sizeof *lines);
    char *rest = text;
    assert_non_null(lines);
    for (size_t i = 0; i < count; i++) {
        lines[i] = strsep(&rest, "\n");
        assert_non_null(lines[i]);
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    return lines;
}

void outbox_world_expect(struct outbox_world *w, int64_t from, int64_t to)
{
    struct ledger_view view;
    struct leat_strbuf want = { 0 };
    const size_t count = (size_t)(to - from);
    assert_int_equal(ledger_read(w->env, OUTBOX_WORLD_LEDGER, &view, &w->h.err), 0);
    FAIL_UNLESS(view.records == count, "%llu records, not %zu", (unsigned long long)view.records, count);
    assert_int_equal(view.order_breaks, 0);
    harness_order_lines(&want, from, to);
    if (w->slots == 1 && count > 0)
        assert_string_equal(view.values.data, want.data);
    char **got = sort_lines(view.values.data, count), **expected = sort_lines(want.data, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(got[i], expected[i]);
    free(got);
    free(expected);
    leat__strbuf_release(&want);
    ledger_view_release(&view);
}
