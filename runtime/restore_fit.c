/* runtime/restore_fit.c -- which node of a checkpoint is which of the topology; see recovery.h. */
#include "base/alloc.h"
#include "base/near.h"
#include "runtime/recovery.h"
#include "topology/operator.h"
#include <stdio.h>
#include <string.h>

#define NAMES_HINTED_MAX 256u

/* Whether a node can have anything to remember: a position, keyed state, or what its class writes down. */
static bool can_remember(const struct leat_node *node)
{
    if (node->kind == LEAT_NODE_SOURCE)
        return true;
    if (node->kind != LEAT_NODE_OPERATOR)
        return false;
    for (uint32_t i = 0; i < node->inputs_count; i++)
        if (node->inputs[i].partitioning == LEAT_HASH)
            return true;
    return node->op->snapshot != NULL;
}

/* ---- renamed nodes: "old=new,old=new" ---- */

struct rename {
    const char *old, *now;
};
struct renames {
    struct rename *list;
    uint32_t count;
};

static const struct leat_plan_node *find_now(const struct leat_plan *plan, const char *name)
{
    for (uint32_t n = 0; n < plan->nodes_count; n++)
        if (strcmp(plan->nodes[n].node->name, name) == 0)
            return &plan->nodes[n];
    return NULL;
}

static const struct leat_manifest_node *find_saved(const struct leat_manifest *m, const char *name)
{
    for (uint32_t n = 0; n < m->nodes_count; n++)
        if (strcmp(m->nodes[n].name, name) == 0)
            return &m->nodes[n];
    return NULL;
}

static int refuse_saved(const struct leat_manifest *m, const char *name, struct leat_error *err)
{
    const char *names[NAMES_HINTED_MAX];
    uint32_t count = 0;
    for (uint32_t n = 0; n < m->nodes_count && count < NAMES_HINTED_MAX; n++)
        names[count++] = m->nodes[n].name;
    const int near = leat__near(name, names, count);
    return leat__error(err, LEAT_EINVAL, "option restore.renamed: the checkpoint has no node \"%s\"%s%s%s",
        name, near >= 0 ? "; it has \"" : "", near >= 0 ? names[near] : "", near >= 0 ? "\"" : "");
}

static int add_rename(struct renames *renames, struct leat_arena *arena, const struct leat_plan *plan,
    const struct leat_manifest *m, struct leat_sv item, struct leat_error *err)
{
    const char *equals = memchr(item.data, '=', item.len);
    if (!equals || equals == item.data || equals + 1 == item.data + item.len)
        return leat__error(err, LEAT_EINVAL,
            "option restore.renamed takes \"old-name=new-name,other=another\", not \"%.*s\"", (int)item.len,
            item.data);
    const size_t old_len = (size_t)(equals - item.data);
    struct rename *rename = &renames->list[renames->count++];
    rename->old = leat__arena_strn(arena, item.data, old_len);
    rename->now = leat__arena_strn(arena, equals + 1, item.len - old_len - 1);
    if (!rename->old || !rename->now)
        return leat__error(err, LEAT_ENOMEM, "out of memory for renamed nodes");
    if (!find_saved(m, rename->old))
        return refuse_saved(m, rename->old, err);
    if (!find_now(plan, rename->now))
        return leat__error(err, LEAT_EINVAL,
            "option restore.renamed: the topology has no node \"%s\" for \"%s\" of the checkpoint",
            rename->now, rename->old);
    for (uint32_t i = 0; i + 1 < renames->count; i++)
        if (strcmp(renames->list[i].old, rename->old) == 0 || strcmp(renames->list[i].now, rename->now) == 0)
            return leat__error(err, LEAT_EINVAL,
                "option restore.renamed: \"%s=%s\" and \"%s=%s\" are about the same node",
                renames->list[i].old, renames->list[i].now, rename->old, rename->now);
    return 0;
}

static int parse_renames(struct renames *renames, struct leat_arena *arena, const struct leat_plan *plan,
    const struct leat_manifest *m, const char *text, struct leat_error *err)
{
    uint32_t commas = 0;
    *renames = (struct renames){ 0 };
    if (!text || !*text)
        return 0;
    for (const char *c = text; *c; c++)
        commas += *c == ',';
    renames->list = leat__arena_array(arena, commas + 1, sizeof *renames->list);
    if (!renames->list)
        return leat__error(err, LEAT_ENOMEM, "out of memory for renamed nodes");
    while (*text) {
        const size_t len = strcspn(text, ",");
        LEAT_TRY(add_rename(renames, arena, plan, m, (struct leat_sv){ text, len }, err));
        text += len + (text[len] == ',');
    }
    return 0;
}

/* The saved node that one of today goes on from, and the other way round. */
static const struct leat_manifest_node *saved_of(
    const struct renames *renames, const struct leat_manifest *m, const char *now)
{
    for (uint32_t i = 0; i < renames->count; i++) {
        if (strcmp(renames->list[i].now, now) == 0)
            return find_saved(m, renames->list[i].old);
        if (strcmp(renames->list[i].old, now) == 0)
            return NULL; /* that one went elsewhere */
    }
    return find_saved(m, now);
}

/* ---- the fit ---- */

static void judge(struct leat_fit *fit, const struct leat_restore_opts *restore)
{
    const struct leat_manifest_node *saved = fit->saved;
    const struct leat_node *now = fit->now ? fit->now->node : NULL;
    fit->is_stateful = (saved && saved->is_stateful) || (now && can_remember(now));
    if (!saved) {
        fit->fate = LEAT_FATE_NEW;
        if (can_remember(now) && !restore->allow_new_state)
            (void)leat__error(&fit->error, LEAT_EINVAL,
                "the %s \"%s\" remembers things, and the checkpoint does not have it: set "
                "restore.allow_new_state to let it begin empty, or restore.renamed if it had another name",
                now->kind_name, now->name);
    } else if (!now) {
        fit->fate = LEAT_FATE_DROPPED;
        fit->is_stateful = saved->is_stateful;
        if (saved->is_stateful && !restore->allow_dropped_state)
            (void)leat__error(&fit->error, LEAT_EINVAL,
                "the checkpoint has state of the %s \"%s\", which the topology does not have: set "
                "restore.allow_dropped_state to lose it, or restore.renamed if it has a new name",
                saved->kind, saved->name);
    } else {
        fit->fate = strcmp(saved->name, now->name) == 0 ? LEAT_FATE_KEPT : LEAT_FATE_RENAMED;
        if (strcmp(saved->kind, now->kind_name) != 0 && saved->is_stateful)
            (void)leat__error(&fit->error, LEAT_EINVAL,
                "\"%s\" was a %s and is a %s now, which can not go on with its state: give it another name "
                "(and set restore.allow_dropped_state)",
                now->name, saved->kind, now->kind_name);
    }
    if (fit->error.code)
        fit->fate = LEAT_FATE_REFUSED;
}

int leat__restore_fit(const struct leat_plan *plan, const struct leat_manifest *m,
    const struct leat_restore_opts *restore, struct leat_arena *arena, struct leat_fit **out, uint32_t *count,
    struct leat_error *err)
{
    struct renames renames;
    LEAT_TRY(parse_renames(&renames, arena, plan, m, restore->renamed, err));
    struct leat_fit *fits = leat__arena_array(arena, plan->nodes_count + m->nodes_count, sizeof *fits);
    bool *taken = leat__arena_array(arena, m->nodes_count + 1, sizeof *taken);
    if (!fits || !taken)
        return leat__error(err, LEAT_ENOMEM, "out of memory for %u nodes", plan->nodes_count);
    *count = 0;
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        struct leat_fit *fit = &fits[(*count)++];
        fit->now = &plan->nodes[n];
        fit->saved = saved_of(&renames, m, fit->now->node->name);
        if (fit->saved)
            taken[fit->saved - m->nodes] = true;
    }
    for (uint32_t n = 0; n < m->nodes_count; n++)
        if (!taken[n])
            fits[(*count)++].saved = &m->nodes[n];
    for (uint32_t i = 0; i < *count; i++)
        judge(&fits[i], restore);
    *out = fits;
    return 0;
}

const char *leat__restore_name(const struct leat_fit *fits, uint32_t count, const char *saved)
{
    for (uint32_t i = 0; i < count; i++)
        if (fits[i].saved && strcmp(fits[i].saved->name, saved) == 0)
            return fits[i].now ? fits[i].now->node->name : NULL;
    return NULL;
}
