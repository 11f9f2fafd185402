/* state/meta.c -- what a store checkpoint says about itself, in one entry behind all others.
 *
 *   key     ff ff ff ff "meta"
 *   value   u32 segment of the last lists that were written
 *           n times (u32 prefix, i64 namespace, u64 keys), rising; all little-endian
 *
 * The counts are about right (a key that was added without looking may be there twice) and only ever counts:
 * nothing is found by them. */
#include "base/assert.h"
#include "state/state_private.h"
#include <stdlib.h>

#define COUNT_BYTES 20u

void leat__meta_key(char key[LEAT__META_KEY_BYTES])
{
    memcpy(key, "\xff\xff\xff\xffmeta", LEAT__META_KEY_BYTES);
}

void leat__meta_begin(uint32_t segment, struct leat_strbuf *out)
{
    leat__strbuf_clear(out);
    leat__strbuf_add(out, &segment, sizeof segment);
}

void leat__meta_add(const struct leat__ns_count *count, struct leat_strbuf *out)
{
    leat__strbuf_add(out, &count->prefix, sizeof count->prefix);
    leat__strbuf_add(out, &count->ns, sizeof count->ns);
    leat__strbuf_add(out, &count->keys, sizeof count->keys);
}

static int compare_counts(const void *a, const void *b)
{
    const struct leat__ns_count *x = a, *y = b;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

/* Splitting says what a namespace has got from each old store. */
static void unite_counts(struct leat__ns_count *counts, uint64_t *count)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < *count; i++)
        if (kept > 0 && compare_counts(&counts[kept - 1], &counts[i]) == 0)
            counts[kept - 1].keys += counts[i].keys;
        else
            counts[kept++] = counts[i];
    *count = kept;
}

int leat__meta_read(struct leat_sv data, struct leat_arena *arena, uint32_t *segment,
    struct leat__ns_count **counts, uint64_t *counts_count)
{
    if (data.len < sizeof *segment || (data.len - sizeof *segment) % COUNT_BYTES != 0)
        return LEAT_EDATA;
    memcpy(segment, data.data, sizeof *segment);
    const uint64_t n = (data.len - sizeof *segment) / COUNT_BYTES;
    *counts_count = n;
    *counts = leat__arena_array(arena, n ? n : 1, sizeof **counts);
    if (!*counts)
        return LEAT_ENOMEM;
    const char *at = data.data + sizeof *segment;
    for (uint64_t i = 0; i < n; i++, at += COUNT_BYTES) {
        memcpy(&(*counts)[i].prefix, at, 4);
        memcpy(&(*counts)[i].ns, at + 4, 8);
        memcpy(&(*counts)[i].keys, at + 12, 8);
    }
    qsort(*counts, n, sizeof **counts, compare_counts);
    unite_counts(*counts, counts_count);
    return 0;
}

void leat__meta_of_state(struct leat_state *state, struct leat_strbuf *out)
{
    leat__meta_begin(state->segment, out);
    for (const struct leat_table *table = state->tables; table; table = table->next)
        for (uint32_t i = 0; i < table->slices_count; i++) {
            const struct leat__slice *slice = table->slices[table->slices_head + i];
            const struct leat__ns_count count = { table->prefix, slice->ns, slice->keys };
            if (slice->stored)
                leat__meta_add(&count, out);
        }
    for (uint64_t i = 0; i < state->saved_keys_count; i++) /* of tables that nobody has opened */
        for (uint32_t s = 0; s < state->saved_count; s++)
            if (!state->saved_taken[s] && state->saved[s].prefix == state->saved_keys[i].prefix)
                leat__meta_add(&state->saved_keys[i], out);
}

uint64_t leat__meta_keys(const struct leat_state *state, uint32_t prefix, int64_t ns)
{
    const struct leat__ns_count wanted = { .prefix = prefix, .ns = ns };
    const struct leat__ns_count *found = state->saved_keys_count
        ? bsearch(&wanted, state->saved_keys, state->saved_keys_count, sizeof wanted, compare_counts)
        : NULL;
    return found ? found->keys : 0;
}
