/* topology/topology.c -- the topology object: its life, its errors, what is released with it.
 *
 * Errors are sticky: declarations go on after one, so that a program sees all its mistakes at once.
 *
 * Invariants: (1) the array of errors has a free slot while LEAT_ENOMEM is not among them, so that running
 * out of memory can always be told; (2) errors [declared_errors_count, errors_count) of a checked topology
 * are leat_check's, and go when anything else is declared; (3) an array that was handed out is never written
 * below its count: it grows into a new one.
 *
 * The inert topology is static and constant in all but its type: many threads may have it at once. */
#include "topology/graph_private.h"
#include "base/alloc.h"
#include "base/assert.h"
#include <stdio.h>
#include <string.h>

#define ERRORS_FIRST 8u

static struct leat_topology_error no_memory = {
    .code = LEAT_ENOMEM,
    .node = "",
    .option = "",
    .message = "topology: out of memory while it was declared; give the process more, or declare fewer nodes",
};

static struct leat_topology inert_topology = {
    .name = "",
    .errors = &no_memory,
    .errors_count = 1,
    .errors_capacity = 1,
    .inert_stream = { .t = &inert_topology },
    .inert_keyed = { .in = { .t = &inert_topology } },
    .inert_windowed = { .keyed = { .in = { .t = &inert_topology } } },
    .inert = true,
    .out_of_memory = true,
};

struct leat_topology *leat__topology_inert(void)
{
    return &inert_topology;
}

static bool is_name_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

/* What is wrong with character i, and a name like this one that is right: small letters, a dash for the rest.
 */
static const char *print_bad_char(const char *name, size_t i, char *text, size_t size)
{
    char better[LEAT_NAME_BYTES_MAX + 1], shown[8];
    const unsigned char bad = (unsigned char)name[i];
    size_t len = 0;
    for (const char *p = name; *p; p++) {
        const unsigned char low =
            *p >= 'A' && *p <= 'Z' ? (unsigned char)(*p - 'A' + 'a') : (unsigned char)*p;
        if (is_name_char(low))
            better[len++] = (char)low;
        else if (len && better[len - 1] != '-')
            better[len++] = '-';
    }
    while (len && better[len - 1] == '-')
        len--;
    better[len] = '\0';
    (void)snprintf(shown, sizeof shown, bad > 0x20 && bad < 0x7f ? "'%c'" : "0x%02x", bad);
    (void)snprintf(text, size, "character %zu is %s; names are made of a-z, 0-9, '.', '_' and '-'%s%s%s",
        i + 1, shown, len ? ": try \"" : "", better, len ? "\"" : "");
    return text;
}

const char *leat__name_fault(const char *name, char *text, size_t size)
{
    if (!name || name[0] == '\0') {
        (void)snprintf(text, size, "no name given: it is the node's identity in plans, metrics and state");
        return text;
    }
    const size_t len = strlen(name);
    if (len > LEAT_NAME_BYTES_MAX) {
        (void)snprintf(
            text, size, "has %zu bytes; at most %u are allowed: shorten it", len, LEAT_NAME_BYTES_MAX);
        return text;
    }
    for (size_t i = 0; i < len; i++)
        if (!is_name_char((unsigned char)name[i]))
            return print_bad_char(name, i, text, size);
    return NULL;
}

leat_topology *leat_topology_new(const char *name)
{
    struct leat_topology *t = leat__calloc(1, sizeof *t);
    if (!t)
        return &inert_topology;
    t->inert_stream.t = t;
    t->inert_keyed.in.t = t;
    t->inert_windowed.keyed.in.t = t;
    t->errors_capacity = ERRORS_FIRST;
    t->errors = leat__arena_array(&t->arena, ERRORS_FIRST, sizeof t->errors[0]);
    t->name = leat__arena_str(&t->arena, name ? name : "");
    if (!t->errors || !t->name) {
        leat_topology_free(t);
        return &inert_topology;
    }
    char fault[256];
    if (leat__name_fault(name, fault, sizeof fault))
        leat__topology_add_error(t, "topology", NULL, "name", LEAT_EDECLARE, fault);
    return t;
}

void leat_topology_free(leat_topology *t)
{
    if (!t || t->inert)
        return;
    for (struct leat_deferred *d = t->deferred; d; d = d->next)
        d->release(d->p);
    leat__arena_release(&t->arena);
    leat__free(t);
}

const char *leat_topology_name(const leat_topology *t)
{
    return t->name;
}

size_t leat_topology_errors_count(const leat_topology *t)
{
    return t->errors_count;
}

const struct leat_topology_error *leat_topology_error(const leat_topology *t, size_t i)
{
    return i < t->errors_count ? &t->errors[i] : NULL;
}

/* Room for one error and for the last of all behind it (1); false when there is no memory. */
static bool errors_reserve(struct leat_topology *t)
{
    if (t->errors_count + 2 <= t->errors_capacity)
        return true;
    const uint32_t capacity = t->errors_capacity * 2;
    struct leat_topology_error *errors = leat__arena_array(&t->arena, capacity, sizeof errors[0]);
    if (!errors)
        return false;
    memcpy(errors, t->errors, t->errors_count * sizeof errors[0]);
    t->errors = errors;
    t->errors_capacity = capacity;
    return true;
}

void leat__topology_out_of_memory(struct leat_topology *t)
{
    if (t->out_of_memory)
        return;
    LEAT_ASSERT(t->errors_count < t->errors_capacity);
    t->out_of_memory = true;
    t->errors[t->errors_count++] = no_memory;
}

/* What leat_check found is forgotten; pointers to it stay valid (3). */
void leat__topology_uncheck(struct leat_topology *t)
{
    if (t->inert || !t->checked)
        return;
    t->checked = false;
    if (t->errors_count == t->declared_errors_count)
        return;
    struct leat_topology_error *errors = leat__arena_array(&t->arena, t->errors_capacity, sizeof errors[0]);
    if (!errors) {
        t->declared_errors_count = t->errors_count; /* they stay, though they may be void */
        leat__topology_out_of_memory(t);
        return;
    }
    memcpy(errors, t->errors, t->declared_errors_count * sizeof errors[0]);
    t->errors = errors;
    t->errors_count = t->declared_errors_count;
}

void leat__topology_add_error(struct leat_topology *t, const char *kind_name, const char *node,
    const char *option, int code, const char *text)
{
    if (t->inert)
        return;
    leat__topology_uncheck(t);
    LEAT_ASSERT(code < 0);
    struct leat_topology_error error = { .code = code };
    error.node = node ? leat__arena_str(&t->arena, node) : "";
    error.option = option ? leat__arena_str(&t->arena, option) : "";
    error.message = leat__arena_printf(&t->arena, "%s \"%s\": %s%s%s", kind_name, node ? node : t->name,
        option ? option : "", option ? ": " : "", text);
    if (!error.node || !error.option || !error.message || !errors_reserve(t)) {
        leat__topology_out_of_memory(t);
        return;
    }
    t->errors[t->errors_count++] = error;
}
