/* record/names.c -- linear probing over borrowed names; grown tables leave the old one in the arena. */
#include "record/names_private.h"
#include "base/hash.h"
#include <leat/error.h>
#include <string.h>

#define SLOTS_FIRST 16u

struct leat_names_slot {
    const char *name; /* NULL: free */
    uint32_t hash;
    uint32_t number;
};

/* The slot that has the name, or the free one where it belongs. */
static struct leat_names_slot *find_slot(const struct leat_names *names, const char *name, uint32_t hash)
{
    uint32_t i = hash & (names->slots_count - 1);
    for (;;) {
        struct leat_names_slot *slot = &names->slots[i];
        if (!slot->name || (slot->hash == hash && strcmp(slot->name, name) == 0))
            return slot;
        i = (i + 1) & (names->slots_count - 1);
    }
}

static int grow(struct leat_names *names)
{
    struct leat_names bigger = *names;
    bigger.slots_count = names->slots_count ? names->slots_count * 2 : SLOTS_FIRST;
    bigger.slots = leat__arena_array(names->arena, bigger.slots_count, sizeof *bigger.slots);
    if (!bigger.slots)
        return LEAT_ENOMEM;
    for (uint32_t i = 0; i < names->slots_count; i++) {
        const struct leat_names_slot *slot = &names->slots[i];
        if (slot->name)
            *find_slot(&bigger, slot->name, slot->hash) = *slot;
    }
    *names = bigger;
    return 0;
}

int leat__names_add(struct leat_names *names, const char *name, uint32_t number)
{
    const uint32_t hash = (uint32_t)leat__hash(name, strlen(name));
    if (names->count * 2 >= names->slots_count) {
        const int code = grow(names);
        if (code < 0)
            return code;
    }
    struct leat_names_slot *slot = find_slot(names, name, hash);
    if (slot->name)
        return 0;
    slot->name = name;
    slot->hash = hash;
    slot->number = number;
    names->count++;
    return 1;
}

int64_t leat__names_find(const struct leat_names *names, const char *name)
{
    if (names->slots_count == 0)
        return -1;
    const struct leat_names_slot *slot = find_slot(names, name, (uint32_t)leat__hash(name, strlen(name)));
    return slot->name ? (int64_t)slot->number : -1;
}
