/* runtime/restore_preview.c -- what would become of a checkpoint in a topology, as text; see recovery.h.
 *
 * Whether tables fit is asked of the operators themselves: each stateful one is made once, with a state that
 * knows the saved tables but has no entries, and opens its tables as in a run. */
#include "base/alloc.h"
#include "runtime/job_private.h"
#include "runtime/recovery.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct preview {
    const struct leat_plan *plan;
    const struct leat_manifest *m;
    struct leat_arena arena;
    struct leat_fit *fits;
    uint32_t fits_count;
    struct leat_table_info *tables; /* saved ones, under the names of today */
    uint32_t tables_count;
    struct leat_strbuf *out;
    struct leat_error *err;
};

static int rename_tables(struct preview *p)
{
    p->tables = leat__arena_array(&p->arena, p->m->tables_count + 1, sizeof *p->tables);
    if (!p->tables)
        return leat__error(p->err, LEAT_ENOMEM, "out of memory for %u tables", p->m->tables_count);
    for (uint32_t i = 0; i < p->m->tables_count; i++) {
        const char *name = leat__restore_name(p->fits, p->fits_count, p->m->tables[i].node);
        if (!name)
            continue;
        p->tables[p->tables_count] = p->m->tables[i];
        p->tables[p->tables_count++].node = name;
    }
    return 0;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Makes the operator as subtask 0 and lets it open its tables; what they then are in the state. Its own error
 * goes to `refusal`. */
static int open_operator(struct preview *p, const struct leat_plan_node *now, struct leat_worker *worker,
    struct leat_table_info **tables, uint32_t *count, struct leat_error *refusal)
{
    struct leat_instance inst = { 0 };
    LEAT_TRY(leat__instance_init(&inst, worker, now, 0));
    struct leat_op *op = leat__calloc(1, now->node->op->size);
    if (!op)
        return LEAT_ENOMEM;
    op->op_class = now->node->op;
    op->node = now->node;
    int result = 0;
    if (op->op_class->init && op->op_class->init(op, &inst.ctx) < 0)
        *refusal = inst.error;
    else
        result = leat__state_tables(worker->state, &p->arena, tables, count);
    if (op->op_class->release)
        op->op_class->release(op, &inst.ctx);
    leat__free(op);
    leat__ctx_release(&inst.ctx);
    return result;
}

/* The text of a saved table whose format is another one now, or NULL. */
static const struct leat_table_info *find_migrated(
    const struct preview *p, const char *node, const struct leat_table_info *now, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < p->tables_count; k++)
            if (strcmp(now[i].node, node) == 0 && strcmp(p->tables[k].node, node) == 0 &&
                strcmp(now[i].name, p->tables[k].name) == 0 &&
                (!is_same_text(now[i].format, p->tables[k].format) ||
                    !is_same_text(now[i].schema, p->tables[k].schema)))
                return &now[i];
    return NULL;
}

static int look_at_tables(struct preview *p, struct leat_fit *fit, const struct leat_table_info **migrated)
{
    const struct leat_plan_node *now = fit->now;
    const struct leat_state_opts opts = { .key_groups = p->plan->max_parallelism,
        .env = leat__env_posix(),
        .store_class = &leat__store_memory, /* nothing is written, so nothing is made */
        .dir = "preview",
        .tables = p->tables,
        .tables_count = p->tables_count };
    struct leat_worker worker = { .env = leat__env_posix(), .plan = p->plan };
    struct leat_table_info *tables = NULL;
    uint32_t count = 0;
    int result = leat__state_new(&opts, &worker.state, p->err);
    if (result == 0)
        result = leat__pool_new(1, &worker.pool);
    if (result == 0)
        result = open_operator(p, now, &worker, &tables, &count, &fit->error);
    if (fit->error.code)
        fit->fate = LEAT_FATE_REFUSED;
    else
        *migrated = find_migrated(p, now->node->name, tables, count);
    leat__state_free(worker.state);
    leat__pool_free(worker.pool);
    if (result < 0 && p->err->code == 0)
        (void)leat__error(p->err, result, "out of memory for a preview");
    return result;
}

static uint64_t entries_of(const struct preview *p, const char *saved)
{
    uint64_t entries = 0;
    for (uint32_t i = 0; i < p->m->tables_count; i++)
        if (strcmp(p->m->tables[i].node, saved) == 0)
            entries += p->m->tables[i].entries;
    return entries;
}

static uint32_t splits_of(const struct preview *p, const char *saved)
{
    uint32_t splits = 0;
    for (uint32_t i = 0; i < p->m->parts_count; i++)
        if (strcmp(p->m->parts[i].node_name, saved) == 0)
            splits += p->m->parts[i].splits_count;
    return splits;
}

static void print_fit(struct preview *p, const struct leat_fit *fit, const struct leat_table_info *migrated)
{
    static const char *const words[] = { [LEAT_FATE_KEPT] = "kept",
        [LEAT_FATE_RENAMED] = "renamed",
        [LEAT_FATE_DROPPED] = "dropped",
        [LEAT_FATE_NEW] = "new",
        [LEAT_FATE_REFUSED] = "refused" };
    const char *name = fit->now ? fit->now->node->name : fit->saved->name;
    const char *kind = fit->now ? fit->now->node->kind_name : fit->saved->kind;
    leat__strbuf_printf(p->out, "%-9s %s \"%s\"", migrated ? "migrated" : words[fit->fate], kind, name);
    if (fit->saved && strcmp(fit->saved->name, name) != 0)
        leat__strbuf_printf(p->out, ", was \"%s\"", fit->saved->name);
    if (!fit->is_stateful)
        leat__strbuf_str(p->out, ", without state");
    if (fit->saved && entries_of(p, fit->saved->name))
        leat__strbuf_printf(p->out, ", %" PRIu64 " entries", entries_of(p, fit->saved->name));
    if (fit->saved && splits_of(p, fit->saved->name))
        leat__strbuf_printf(p->out, ", %u splits", splits_of(p, fit->saved->name));
    if (migrated)
        leat__strbuf_printf(
            p->out, "; table \"%s\" has another schema or format, and can be read", migrated->name);
    if (fit->fate == LEAT_FATE_NEW && fit->is_stateful)
        leat__strbuf_str(p->out, ", begins empty");
    if (fit->fate == LEAT_FATE_REFUSED)
        leat__strbuf_printf(p->out, "\n          %s", fit->error.message);
    leat__strbuf_char(p->out, '\n');
}

static int print_all(struct preview *p)
{
    leat__strbuf_printf(p->out, "%s %" PRIu64 " of \"%s\"%s: %u workers, now %u; %u key groups\n",
        p->m->kind == LEAT_KIND_SAVEPOINT ? "savepoint" : "checkpoint", p->m->id, p->m->job,
        p->m->finished ? ", which has finished" : "", p->m->parallelism, p->plan->parallelism,
        p->m->max_parallelism);
    if (strcmp(p->m->job, leat_topology_name(p->plan->t)) != 0)
        leat__strbuf_printf(p->out, "refused   this topology is \"%s\"\n", leat_topology_name(p->plan->t));
    for (uint32_t i = 0; i < p->fits_count; i++) {
        struct leat_fit *fit = &p->fits[i];
        const struct leat_table_info *migrated = NULL;
        if (fit->saved && fit->now && fit->fate != LEAT_FATE_REFUSED && fit->now->node->op)
            LEAT_TRY(look_at_tables(p, fit, &migrated));
        print_fit(p, fit, migrated);
    }
    return p->out->failed ? leat__error(p->err, LEAT_ENOMEM, "out of memory for a preview") : 0;
}

int leat__restore_preview(const struct leat_plan *plan, const struct leat_manifest *manifest,
    const struct leat_restore_opts *restore, struct leat_strbuf *out, struct leat_error *err)
{
    struct preview p = { .plan = plan, .m = manifest, .out = out, .err = err };
    int result = leat__restore_fit(plan, manifest, restore, &p.arena, &p.fits, &p.fits_count, err);
    if (result == 0)
        result = rename_tables(&p);
    if (result == 0)
        result = print_all(&p);
    leat__arena_release(&p.arena);
    return result;
}
