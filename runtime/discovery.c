/* runtime/discovery.c -- see the header. Nodes are few, and splits come rarely: lists are searched by sorting. */
#include "runtime/discovery.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "runtime/job_private.h"
#include "runtime/manifest.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A list whose splits some host has taken: they live as long as the attempt. */
struct kept {
    struct kept *next;
    struct leat_split_list list;
};

struct discovery {
    struct leat_task task;
    struct leat_job *job;
    const struct leat_plan_node *plan; /* NULL: this node's splits never come later */
    bool running;
    int64_t asked_ns; /* the newest time, by the monotonic clock */
    struct leat_split_list found; /* the task's; then what is new in it: */
    struct leat_split **fresh;
    uint32_t fresh_count;
    int result;
    struct leat_error error;
    char told[LEAT_ERROR_MESSAGE_MAX]; /* the last error that was logged */
    struct kept *kept;
};

/* What one checkpoint says of one source. */
struct publication {
    struct leat_arena arena;
    struct leat_published what;
};
struct publisher {
    struct leat_task task;
    struct leat_job *job;
    const struct leat_node *node; /* NULL: nobody wants to know this node's positions */
    bool running;
    struct publication now, next; /* checkpoint 0: none */
    void *held; /* the class's */
    int result;
    struct leat_error error;
    char told[LEAT_ERROR_MESSAGE_MAX];
};

struct leat_discovery {
    struct discovery *nodes; /* by index in the plan */
    struct publisher *publishers;
};

static const struct leat_source_class *class_of(const struct leat_job *job, const struct leat_node *node)
{
    return job->source_class ? job->source_class : node->source;
}

int leat__discovery_new(struct leat_job *job)
{
    const struct leat_plan *plan = job->plan;
    struct leat_discovery *d = leat__calloc(1, sizeof *d);
    job->discovery = d;
    if (!d)
        return LEAT_ENOMEM;
    d->nodes = leat__calloc(plan->nodes_count, sizeof *d->nodes);
    d->publishers = leat__calloc(plan->nodes_count, sizeof *d->publishers);
    if (!d->nodes || !d->publishers)
        return LEAT_ENOMEM;
    for (uint32_t n = 0; n < plan->nodes_count; n++) {
        const struct leat_node *node = plan->nodes[n].node;
        if (node->kind != LEAT_NODE_SOURCE)
            continue;
        const struct leat_source_class *source_class = class_of(job, node);
        d->nodes[n] = (struct discovery){ .job = job, .asked_ns = job->env->mono_ns(job->env) };
        d->publishers[n] = (struct publisher){ .job = job, .node = source_class->publish ? node : NULL };
        if (leat__source_grows(source_class, node))
            d->nodes[n].plan = &plan->nodes[n];
    }
    return 0;
}

static void clear(struct publication *publication)
{
    leat__arena_release(&publication->arena);
    publication->what = (struct leat_published){ 0 };
}

static void free_publisher(struct leat_job *job, struct publisher *p)
{
    if (!p->node)
        return;
    clear(&p->now);
    clear(&p->next);
    if (p->held)
        class_of(job, p->node)->unpublish(p->held);
}

void leat__discovery_free(struct leat_job *job)
{
    struct leat_discovery *d = job->discovery;
    if (!d)
        return;
    for (uint32_t n = 0; n < job->plan->nodes_count; n++) {
        if (d->publishers)
            free_publisher(job, &d->publishers[n]);
        if (!d->nodes)
            continue;
        leat__split_list_release(&d->nodes[n].found);
        leat__free(d->nodes[n].fresh);
        while (d->nodes[n].kept) {
            struct kept *kept = d->nodes[n].kept;
            d->nodes[n].kept = kept->next;
            leat__split_list_release(&kept->list);
            leat__free(kept);
        }
    }
    leat__free(d->nodes);
    leat__free(d->publishers);
    leat__free(d);
    job->discovery = NULL;
}

/* An error that comes again and again is told once. */
static void tell(struct leat_job *job, const struct leat_node *node, const char *what,
    const struct leat_error *err, char *told)
{
    if (strcmp(told, err->message) == 0)
        return;
    memcpy(told, err->message, sizeof err->message);
    leat__job_log(job, LEAT_LOG_WARN, node->name, "%s: %s", what, err->message);
}

/* ---- discovery: the task ---- */

static int compare_ids(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Which of the splits found are new. The coordinator does not touch the list while the task runs. */
static int find_fresh(struct discovery *d, const struct leat_split_list *known)
{
    const char **ids = leat__calloc(known->count + 1, sizeof(char *));
    d->fresh = leat__calloc(d->found.count + 1, sizeof(struct leat_split *));
    d->fresh_count = 0;
    if (!ids || !d->fresh) {
        leat__free(ids);
        return leat__error(&d->error, LEAT_ENOMEM, "out of memory for the list of splits");
    }
    for (uint32_t i = 0; i < known->count; i++)
        ids[i] = known->splits[i].id;
    qsort(ids, known->count, sizeof(char *), compare_ids);
    for (uint32_t i = 0; i < d->found.count; i++) {
        struct leat_split *split = &d->found.splits[i];
        if (!bsearch(&split->id, ids, known->count, sizeof(char *), compare_ids))
            d->fresh[d->fresh_count++] = split;
    }
    leat__free(ids);
    if (known->count + d->fresh_count > LEAT_SPLITS_MAX)
        return leat__error(&d->error, LEAT_ELIMIT, "there are %u splits now, and a source reads at most %u",
            known->count + d->fresh_count, LEAT_SPLITS_MAX);
    return 0;
}

static void run_discovery(struct leat_task *task)
{
    struct discovery *d = (struct discovery *)(void *)((char *)task - offsetof(struct discovery, task));
    const struct leat_node *node = d->plan->node;
    d->error = (struct leat_error){ 0 };
    d->result = class_of(d->job, node)->discover(node, d->job->env, &d->found, &d->error);
    if (d->result >= 0)
        d->result = find_fresh(d, &d->job->splits[node->id]);
    if (d->result < 0 && d->error.code == 0)
        (void)leat__error(&d->error, d->result, "%s", leat_error_text(d->result));
}

/* ---- discovery: the coordinator ---- */

static struct leat_instance *instance_of(
    struct leat_job *job, const struct leat_plan_node *plan, uint32_t subtask)
{
    struct leat_worker *worker = &job->workers[subtask];
    for (uint32_t i = 0; i < worker->instances_count; i++)
        if (worker->instances[i].plan == plan)
            return &worker->instances[i];
    return NULL;
}

/* Gives a split the next number, and to the worker that this makes its own. */
static int offer(struct discovery *d, const struct leat_split *split)
{
    struct leat_job *job = d->job;
    struct leat_split_list *list = &job->splits[d->plan->node->id];
    const uint32_t subtask = list->count % d->plan->parallelism;
    struct leat_split_offer *note = leat__arena_alloc(&list->arena, sizeof *note);
    struct leat_split *added = note ? leat__split_add(list, split->id) : NULL;
    struct leat_instance *inst = instance_of(job, d->plan, subtask);
    if (!added)
        return LEAT_ENOMEM;
    LEAT_ASSERT(inst && inst->source); /* a source has a host on each of its workers */
    const char *id = added->id;
    *added = *split;
    added->id = id;
    note->split = added;
    leat__job_log(job, LEAT_LOG_INFO, d->plan->node->name, "new split \"%s\" on worker %u", id, subtask);
    leat__source_host_offer(inst->source, note);
    return 0;
}

/* The list has what splits point to: it is kept where one of them is read. */
static int take_found(struct discovery *d)
{
    struct leat_error err = { 0 };
    struct kept *kept = leat__calloc(1, sizeof *kept);
    int result = kept ? 0 : LEAT_ENOMEM;
    if (kept) {
        *kept = (struct kept){ .next = d->kept, .list = d->found };
        d->kept = kept;
        d->found = (struct leat_split_list){ 0 };
    }
    for (uint32_t i = 0; result == 0 && i < d->fresh_count; i++)
        result = offer(d, d->fresh[i]);
    if (result < 0) {
        (void)leat__error(&err, LEAT_ENOMEM, "out of memory for new splits of \"%s\"", d->plan->node->name);
        leat__job_fail(d->job, &err);
    }
    return result;
}

static void finish_discovery(struct discovery *d)
{
    d->running = false;
    if (d->result < 0)
        tell(d->job, d->plan->node, "new splits can not be looked for", &d->error, d->told);
    else if (d->fresh_count > 0)
        (void)take_found(d); /* the job has its error */
    if (d->result >= 0)
        d->told[0] = '\0';
    leat__split_list_release(&d->found);
    leat__free(d->fresh);
    d->fresh = NULL;
    d->fresh_count = 0;
}

static int64_t due_ns(const struct discovery *d)
{
    int64_t ns, due;
    if (__builtin_mul_overflow(d->plan->node->discover_us, 1000, &ns) ||
        __builtin_add_overflow(d->asked_ns, ns, &due))
        return INT64_MAX;
    return due;
}

static void step_discovery(struct discovery *d)
{
    struct leat_job *job = d->job;
    if (d->running && leat__task_is_done(&d->task))
        finish_discovery(d);
    if (d->running || job->env->mono_ns(job->env) < due_ns(d))
        return;
    d->asked_ns = job->env->mono_ns(job->env);
    d->running = true;
    d->task.run = run_discovery;
    leat__task_submit(&job->background, &d->task);
}

/* ---- publishing ---- */

static void run_publishing(struct leat_task *task)
{
    struct publisher *p = (struct publisher *)(void *)((char *)task - offsetof(struct publisher, task));
    p->error = (struct leat_error){ 0 };
    p->result = class_of(p->job, p->node)->publish(p->node, p->job->env, &p->now.what, &p->held, &p->error);
    if (p->result < 0 && p->error.code == 0)
        (void)leat__error(&p->error, p->result, "%s", leat_error_text(p->result));
}

static void finish_publishing(struct publisher *p)
{
    p->running = false;
    if (p->result < 0)
        tell(p->job, p->node, "positions can not be published", &p->error, p->told);
    else
        p->told[0] = '\0';
    clear(&p->now);
}

static void step_publisher(struct publisher *p)
{
    if (p->running && leat__task_is_done(&p->task))
        finish_publishing(p);
    if (p->running || p->next.what.checkpoint == 0)
        return;
    p->now = p->next;
    p->next = (struct publication){ 0 };
    p->running = true;
    p->task.run = run_publishing;
    leat__task_submit(&p->job->background, &p->task);
}

/* Room for so many positions in what is published next. */
static struct leat_split_position *begin_next(struct publisher *p, uint64_t checkpoint, size_t count)
{
    clear(&p->next);
    struct leat_split_position *positions = leat__arena_array(&p->next.arena, count + 1, sizeof *positions);
    if (positions)
        p->next.what = (struct leat_published){ .checkpoint = checkpoint, .positions = positions };
    return positions;
}

static void add_next(
    struct publisher *p, struct leat_split_position *positions, const char *id, struct leat_sv text)
{
    struct leat_split_position *to = &positions[p->next.what.count];
    to->id = leat__arena_str(&p->next.arena, id);
    to->position = (struct leat_sv){ leat__arena_strn(&p->next.arena, text.data, text.len), text.len };
    if (to->id && to->position.data)
        p->next.what.count++; /* else it is not told: there was no memory */
}

static void note_parts(struct publisher *p, const struct leat_manifest *manifest)
{
    size_t count = 0;
    for (uint32_t i = 0; i < manifest->parts_count; i++)
        count += manifest->parts[i].splits_count;
    struct leat_split_position *positions = begin_next(p, manifest->id, count);
    for (uint32_t i = 0; positions && i < manifest->parts_count; i++) {
        const struct leat_part *part = &manifest->parts[i];
        for (uint32_t s = 0; strcmp(part->node_name, p->node->name) == 0 && s < part->splits_count; s++)
            if (part->splits[s].position.data)
                add_next(p, positions, part->splits[s].id, part->splits[s].position);
    }
}

void leat__publish(struct leat_job *job, const struct leat_manifest *manifest)
{
    struct leat_discovery *d = job->discovery;
    for (uint32_t n = 0; d && n < job->plan->nodes_count; n++) {
        if (!d->publishers[n].node || manifest->finished)
            continue;
        note_parts(&d->publishers[n], manifest);
        step_publisher(&d->publishers[n]);
    }
}

static void note_hosts(struct publisher *p, const struct leat_plan_node *plan, uint64_t checkpoint)
{
    struct leat_job *job = p->job;
    const uint32_t max = job->splits[p->node->id].count;
    struct leat_split_position *found = leat__calloc(max + 1, sizeof *found);
    struct leat_split_position *positions = found ? begin_next(p, checkpoint, max) : NULL;
    for (uint32_t s = 0; positions && s < plan->parallelism; s++) {
        const struct leat_instance *inst = instance_of(job, plan, s);
        const uint32_t count = leat__source_host_positions(inst->source, found, max - p->next.what.count);
        for (uint32_t i = 0; i < count; i++)
            add_next(p, positions, found[i].id, found[i].position);
    }
    leat__free(found);
}

void leat__publish_last(struct leat_job *job, uint64_t ended)
{
    struct leat_discovery *d = job->discovery;
    for (uint32_t n = 0; d && n < job->plan->nodes_count; n++) {
        struct publisher *p = &d->publishers[n];
        if (!p->node)
            continue;
        if (ended)
            note_hosts(p, &job->plan->nodes[n], ended);
        step_publisher(p); /* takes what was under way, which is done, and begins the next, at once */
        step_publisher(p);
    }
}

/* ---- both ---- */

static bool is_over(const struct leat_job *job)
{
    return leat__job_must_quit(job) || leat__workers_rest(job);
}

void leat__discovery_step(struct leat_job *job)
{
    struct leat_discovery *d = job->discovery;
    if (!d || is_over(job))
        return;
    for (uint32_t n = 0; n < job->plan->nodes_count; n++) {
        if (d->nodes[n].plan)
            step_discovery(&d->nodes[n]);
        if (d->publishers[n].node)
            step_publisher(&d->publishers[n]);
    }
}

int64_t leat__discovery_wake_us(const struct leat_job *job)
{
    const struct leat_discovery *d = job->discovery;
    int64_t at_ns = INT64_MAX;
    if (!d || is_over(job))
        return LEAT_TIME_MAX;
    for (uint32_t n = 0; n < job->plan->nodes_count; n++)
        if (d->nodes[n].plan && !d->nodes[n].running && due_ns(&d->nodes[n]) < at_ns)
            at_ns = due_ns(&d->nodes[n]);
    if (at_ns == INT64_MAX)
        return LEAT_TIME_MAX;
    const int64_t from_ns = job->env->mono_ns(job->env);
    return job->env->wall_us(job->env) + (at_ns > from_ns ? (at_ns - from_ns + 999) / 1000 : 0);
}
