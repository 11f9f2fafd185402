/* runtime/delivery.c -- the coordinator's side of outboxes: each epoch's records reach the outside system exactly
 * once, decided by its markers. outbox.h has the idea, its invariants are cited here.
 *
 * A slot's state:
 *   unknown --fence--> fenced, marker m --transact--> fenced, marker n
 *      ^                     |   |
 *      +----unknown end------+   +--somebody else has fenced--> lost
 *
 * When is a marker m >= n good news? If n is not above the checkpoint that the job goes on from: then it was sent
 * in an earlier life. Or if this delivery has sent n itself and did not hear how it ended. Otherwise somebody
 * else writes under this name, and what we have was not sent: that is an error, never a reason to skip. */
#include "base/alloc.h"
#include "base/point.h"
#include "runtime/outbox.h"
#include <stdio.h>
#include <string.h>

#define ATTEMPTS_MAX 3u /* of one transaction whose end is unknown, before the job decides what to do */

struct slot_state {
    char *name; /* of the node, as markers have it */
    uint32_t slot;
    const struct leat_node *node; /* with its class: NULL before it was fenced */
    const struct leat_sink_class *sink;
    bool is_known; /* its marker must be there */
    bool is_fenced;
    bool is_lost; /* to somebody else */
    uint64_t marker; /* the newest that is known: that of the outside system while the slot is fenced */
    uint64_t restored_id; /* checkpoint that the job goes on from; 0: none, or the slot is new */
    uint64_t tried; /* epoch of the last transaction */
};

struct leat_deliverer {
    struct leat_env *env;
    char *job;
    struct slot_state *slots;
    uint32_t slots_count, slots_capacity;
};

/* A sink, by the name that its markers have. */
struct target {
    const struct leat_node *node;
    const struct leat_sink_class *sink;
    const char *name;
};

static struct leat_slot slot_of(const struct leat_deliverer *d, const struct slot_state *s)
{
    return (struct leat_slot){ .job = d->job, .node = s->name, .slot = s->slot, .is_known = s->is_known };
}

int leat__delivery_new(struct leat_env *env, const char *job, const char *life,
    struct leat_deliverer **delivery, struct leat_error *err)
{
    struct leat_deliverer *d = leat__calloc(1, sizeof *d);
    const size_t size = strlen(job) + strlen(life) + 2;
    *delivery = NULL;
    if (d)
        d->job = leat__malloc(size);
    if (!d || !d->job) {
        leat__free(d);
        return leat__error(err, LEAT_ENOMEM, "out of memory for the delivery of outboxes");
    }
    d->env = env;
    (void)snprintf(d->job, size, "%s-%s", job, life);
    *delivery = d;
    return 0;
}

void leat__delivery_free(struct leat_deliverer *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; i < d->slots_count; i++) {
        const struct slot_state *s = &d->slots[i];
        const struct leat_slot slot = slot_of(d, s);
        if (s->sink && s->sink->release)
            s->sink->release(s->node, d->env, &slot);
        leat__free(s->name);
    }
    leat__free(d->slots);
    leat__free(d->job);
    leat__free(d);
}

/* The state of a slot, made where there is none; NULL when out of memory. */
static struct slot_state *find_slot(struct leat_deliverer *d, const char *name, uint32_t slot)
{
    for (uint32_t i = 0; i < d->slots_count; i++)
        if (d->slots[i].slot == slot && strcmp(d->slots[i].name, name) == 0)
            return &d->slots[i];
    if (d->slots_count == d->slots_capacity) {
        const uint32_t capacity = d->slots_capacity ? 2 * d->slots_capacity : 16;
        struct slot_state *slots = leat__realloc(d->slots, capacity * sizeof *slots);
        if (!slots)
            return NULL;
        d->slots = slots;
        d->slots_capacity = capacity;
    }
    char *copy = leat__strdup(name);
    if (!copy)
        return NULL;
    struct slot_state *s = &d->slots[d->slots_count++];
    *s = (struct slot_state){ .name = copy, .slot = slot };
    return s;
}

static int out_of_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for the delivery of outboxes");
}

/* Puts the place before an error of the class. Returns its code. */
static int fail_slot(const struct target *sink, const struct slot_state *s, int code, struct leat_error *err)
{
    if (err->code != code)
        (void)leat__error(err, code, "%s", leat_error_text(code));
    return leat__error_prefix(err, "%s \"%s\" slot %u", sink->sink->kind, s->name, s->slot);
}

/* (model: commit.pml, outbox_fenced, outbox_marker) */
static int fence(
    struct leat_deliverer *d, const struct target *sink, struct slot_state *s, struct leat_error *err)
{
    const struct leat_slot slot = slot_of(d, s);
    uint64_t marker = 0;
    s->node = sink->node;
    s->sink = sink->sink;
    const int code = sink->sink->fence(sink->node, d->env, &slot, &marker, err);
    if (code < 0)
        return fail_slot(sink, s, code, err);
    if (marker < s->marker) {
        (void)leat__error(err, LEAT_EDATA,
            "the outside system has forgotten that it has epoch %llu (it says %llu): what else it has lost "
            "nobody knows. "
            "Look there before anything is sent again; restore.fresh begins new",
            (unsigned long long)s->marker, (unsigned long long)marker);
        return fail_slot(sink, s, LEAT_EDATA, err);
    }
    s->is_fenced = s->is_known = true; /* from now on it has a marker, were it that of no epoch */
    s->marker = marker;
    return 0;
}

/* Fences slots 0 .. slots-1: of an earlier checkpoint, or when the job `begins` those that were not. */
static int fence_all(struct leat_deliverer *d, const struct target *target, uint32_t slots, uint64_t id,
    bool begins, bool force, uint64_t *marker, struct leat_error *err)
{
    for (uint32_t i = 0; i < slots; i++) {
        struct slot_state *s = find_slot(d, target->name, i);
        if (!s)
            return out_of_memory(err);
        if (begins && s->is_fenced)
            continue;
        s->is_known = !begins && !force;
        LEAT_TRY(fence(d, target, s, err));
        s->restored_id = id;
        if (s->marker > *marker)
            *marker = s->marker;
        if (s->marker > id && !force) {
            (void)leat__error(err, LEAT_ESTATE,
                "it has committed checkpoint %llu already, and the job would go on from %llu: what came "
                "between would "
                "be written twice. Go on from checkpoint %llu, or force it",
                (unsigned long long)s->marker, (unsigned long long)id, (unsigned long long)s->marker);
            return fail_slot(target, s, LEAT_ESTATE, err);
        }
    }
    return 0;
}

int leat__delivery_seize(struct leat_deliverer *d, const struct leat_node *node,
    const struct leat_sink_class *sink, const char *name, uint32_t slots, struct leat_error *err)
{
    const struct target target = { node, sink, name };
    for (uint32_t i = 0; sink->seize && i < slots; i++) {
        struct slot_state *s = find_slot(d, name, i);
        if (!s)
            return out_of_memory(err);
        if (s->is_fenced)
            continue;
        const struct leat_slot slot = slot_of(d, s);
        s->node = node;
        s->sink = sink;
        const int code = sink->seize(node, d->env, &slot, err);
        if (code < 0)
            return fail_slot(&target, s, code, err);
    }
    return 0;
}

int leat__delivery_fence(struct leat_deliverer *d, const struct leat_node *node,
    const struct leat_sink_class *sink, const char *name, uint32_t slots, uint64_t id, bool force,
    uint64_t *marker, struct leat_error *err)
{
    const struct target target = { node, sink, name };
    *marker = 0;
    return fence_all(d, &target, slots, id, false, force, marker, err);
}

int leat__delivery_begin(struct leat_deliverer *d, const struct leat_node *node,
    const struct leat_sink_class *sink, uint32_t slots, uint64_t id, bool force, uint64_t *marker,
    struct leat_error *err)
{
    const struct target target = { node, sink, node->name };
    *marker = 0;
    return fence_all(d, &target, slots, id, true, force, marker, err);
}

/* ---- sending ---- */

/* The files of one slot among those of a manifest, side by side. */
struct outbox {
    const struct target *sink;
    const char **paths;
    uint32_t count;
    uint64_t records;
    uint64_t epoch;
};

/* 1: the outside system has the epoch; 0: it has not; or an error. The slot is fenced. */
static int is_sent(const struct slot_state *s, const struct outbox *o, struct leat_error *err)
{
    if (s->marker < o->epoch)
        return 0;
    if (o->epoch <= s->restored_id || (s->marker == o->epoch && s->tried == o->epoch))
        return 1;
    (void)leat__error(err, LEAT_EEXISTS,
        "the outside system has epoch %llu of this job, which has just made epoch %llu: another job writes "
        "under "
        "its name. Stop that one, then go on from the newest checkpoint",
        (unsigned long long)s->marker, (unsigned long long)o->epoch);
    return fail_slot(o->sink, s, LEAT_EEXISTS, err);
}

/* One transaction. 0, or an error after which invariant (3) asks for a fence. */
static int transact(
    struct leat_deliverer *d, struct slot_state *s, const struct outbox *o, struct leat_error *err)
{
    const struct leat_slot slot = slot_of(d, s);
    struct leat_outbox_reader *reader;
    int code = leat__outbox_reader_open(
        d->env, o->paths, o->count, s->name, s->slot, o->epoch, o->records, &reader, err);
    if (code < 0)
        return fail_slot(o->sink, s, code, err);
    s->tried = o->epoch;
    code = o->sink->sink->transact(o->sink->node, d->env, &slot, o->epoch, reader, err);
    LEAT_ASSERT(code < 0 || leat__outbox_reader_is_done(reader)); /* or records are lost */
    leat__outbox_reader_close(reader);
    if (code == 0) {
        s->marker = o->epoch;
        /* (model: commit.pml, outbox_ended) */
        leat__point(LEAT_POINT_OUTBOX_ENDED);
        return 0;
    }
    /* (model: commit.pml, outbox_unknown) */
    s->is_fenced = false;
    s->is_lost = code == LEAT_EEXISTS;
    return fail_slot(o->sink, s, code, err);
}

static int send_slot(
    struct leat_deliverer *d, struct slot_state *s, const struct outbox *o, struct leat_error *err)
{
    int code = 0;
    for (uint32_t attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        if (s->is_lost) {
            (void)leat__error(err, LEAT_EEXISTS,
                "another process has taken over: this one must not go on. Find out why two run at a time");
            return fail_slot(o->sink, s, LEAT_EEXISTS, err);
        }
        if (!s->is_fenced)
            LEAT_TRY(fence(d, o->sink, s, err));
        const int sent = is_sent(s, o, err);
        if (sent != 0)
            return sent < 0 ? sent : 0;
        code = transact(d, s, o, err);
        if (code != LEAT_ETIMEOUT && code != LEAT_ECONNECT)
            return code;
    }
    return code;
}

static const char *name_of(const struct leat_delivery_file *file)
{
    return file->name ? file->name : file->node->name;
}

static bool are_one(const struct leat_delivery_file *a, const struct leat_delivery_file *b)
{
    return a->slot == b->slot && strcmp(name_of(a), name_of(b)) == 0;
}

/* Whether an earlier file of the list is of the same slot: then it was sent with that one. */
static bool was_taken(const struct leat_delivery_file *files, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (are_one(&files[k], &files[i]))
            return true;
    return false;
}

int leat__delivery_send(struct leat_deliverer *d, uint64_t epoch, const struct leat_delivery_file *files,
    uint32_t count, struct leat_error *err)
{
    const char **paths = leat__malloc((count + 1) * sizeof *paths);
    int code = paths ? 0 : out_of_memory(err);
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        const struct target target = { files[i].node, files[i].sink, name_of(&files[i]) };
        struct outbox o = { .sink = &target, .paths = paths, .epoch = epoch };
        if (was_taken(files, i))
            continue;
        for (uint32_t k = i; k < count; k++) {
            if (!are_one(&files[k], &files[i]))
                continue;
            paths[o.count++] = files[k].path;
            o.records += files[k].records;
        }
        struct slot_state *s = find_slot(d, target.name, files[i].slot);
        code = s ? send_slot(d, s, &o, err) : out_of_memory(err);
    }
    leat__free(paths);
    return code;
}
