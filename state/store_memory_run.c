/* state/store_memory_run.c -- sorted runs in memory: made, merged, and the values that their entries give. */
#include "base/alloc.h"
#include "state/store_memory_private.h"

struct leat__memory_run *leat__memory_run_of(
    struct leat_store_entry *entries, uint64_t count, char *bytes, uint64_t bytes_count)
{
    struct leat__memory_run *run = leat__calloc(1, sizeof *run);
    if (!run) {
        leat__free(entries);
        leat__free(bytes);
        return NULL;
    }
    *run = (struct leat__memory_run){
        .refs = 1, .count = count, .bytes_count = bytes_count, .entries = entries, .bytes = bytes
    };
    return run;
}

/* A run that grows: entries without pointers, the bytes of their keys and values one behind the other. */
struct builder {
    struct leat_store_entry *entries;
    uint64_t count, capacity;
    struct leat_strbuf bytes;
    bool failed;
};

static void builder_add(
    struct builder *b, struct leat_sv key, struct leat_sv value, enum leat_store_write write)
{
    if (b->count == b->capacity) {
        const uint64_t capacity = b->capacity ? b->capacity * 2 : 16;
        struct leat_store_entry *entries = leat__realloc(b->entries, capacity * sizeof *entries);
        if (!entries) {
            b->failed = true;
            return;
        }
        b->entries = entries;
        b->capacity = capacity;
    }
    if (write == LEAT_STORE_DELETE)
        value.len = 0;
    leat__strbuf_add(&b->bytes, key.data, key.len);
    leat__strbuf_add(&b->bytes, value.data, value.len);
    b->entries[b->count++] = (struct leat_store_entry){ { NULL, key.len }, { NULL, value.len }, write };
}

static struct leat__memory_run *builder_end(struct builder *b)
{
    if (b->failed || b->bytes.failed) {
        leat__free(b->entries);
        leat__strbuf_release(&b->bytes);
        return NULL;
    }
    const char *at = b->bytes.data;
    for (uint64_t i = 0; i < b->count; i++) {
        b->entries[i].key.data = at;
        b->entries[i].value.data = at + b->entries[i].key.len;
        at += b->entries[i].key.len + b->entries[i].value.len;
    }
    return leat__memory_run_of(b->entries, b->count, b->bytes.data, b->bytes.len);
}

struct leat__memory_run *leat__memory_run_new(const struct leat_store_entry *entries, uint64_t count)
{
    struct builder b = { 0 };
    for (uint64_t i = 0; i < count; i++)
        builder_add(&b, entries[i].key, entries[i].value, entries[i].write);
    return builder_end(&b);
}

struct leat__memory_run *leat__memory_run_range(struct leat_sv from, struct leat_sv to)
{
    struct builder b = { 0 };
    leat__strbuf_add(&b.bytes, from.data, from.len);
    leat__strbuf_add(&b.bytes, to.data, to.len);
    struct leat__memory_run *run = builder_end(&b);
    if (run) {
        run->range_from = (struct leat_sv){ run->bytes, from.len };
        run->range_to = (struct leat_sv){ run->bytes + from.len, to.len };
    }
    return run;
}

struct leat__memory_run *leat__memory_run_ref(struct leat__memory_run *run)
{
    __atomic_add_fetch(&run->refs, 1, __ATOMIC_RELAXED);
    return run;
}

void leat__memory_run_unref(struct leat__memory_run *run)
{
    if (!run || __atomic_sub_fetch(&run->refs, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    leat__free(run->entries);
    leat__free(run->bytes);
    leat__free(run);
}

uint64_t leat__memory_run_find(const struct leat__memory_run *run, struct leat_sv key)
{
    uint64_t low = 0;
    uint64_t high = run->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (leat_sv_cmp(run->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t leat__memory_run_skip(const struct leat__memory_run *run, uint64_t at)
{
    const struct leat_sv key = run->entries[at].key;
    while (at < run->count && leat_sv_eq(run->entries[at].key, key))
        at++;
    return at;
}

/* ---- the value of a key ---- */

void leat__memory_stack_release(struct leat__memory_stack *stack)
{
    leat__free(stack->entries);
    *stack = (struct leat__memory_stack){ 0 };
}

bool leat__memory_stack_add(struct leat__memory_stack *stack, const struct leat_store_entry *entry)
{
    if (entry->write == LEAT_STORE_DELETE)
        return false;
    if (stack->count == stack->capacity) {
        const uint32_t capacity = stack->capacity ? stack->capacity * 2 : 16;
        const struct leat_store_entry **entries =
            leat__realloc(stack->entries, capacity * sizeof *stack->entries);
        if (!entries) {
            stack->failed = true;
            return false;
        }
        stack->entries = entries;
        stack->capacity = capacity;
    }
    stack->entries[stack->count++] = entry;
    return entry->write == LEAT_STORE_MERGE;
}

int leat__memory_stack_value(const struct leat__memory_stack *stack, const struct leat__memory_merge *merge,
    struct leat_strbuf *out, struct leat_sv *value, struct leat_error *err)
{
    struct leat_strbuf other = { 0 };
    if (stack->failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory");
    uint32_t i = stack->count - 1;
    *value = stack->entries[i]->value;
    if (!value->data)
        value->data = ""; /* there, and empty */
    if (i > 0 && !merge->merge)
        return leat__error(err, LEAT_ESTATE, "a value was merged, and the store was opened without a merge");
    int code = 0;
    while (i-- > 0 && code >= 0) {
        leat__strbuf_clear(&other);
        code = merge->merge(merge->arg, stack->entries[i]->key, *value, stack->entries[i]->value, &other);
        if (other.failed)
            code = LEAT_ENOMEM;
        const struct leat_strbuf made = other;
        other = *out;
        *out = made;
        *value = (struct leat_sv){ out->data ? out->data : "", out->len };
    }
    leat__strbuf_release(&other);
    return code < 0 ? leat__error(err, code, "merging the parts of a value failed") : 0;
}

/* ---- merging runs ---- */

struct merging {
    const struct leat__memory_merge *merge;
    bool bottom;
    struct builder out;
    struct leat__memory_stack stack; /* of one key, but for a delete at its end */
    struct leat_strbuf value;
};

/* At the bottom the parts of a value become one, and a delete has nothing to hide. Parts that can not be
 * combined stay, and whoever reads them hears why. */
static void merge_end_key(struct merging *m, const struct leat_store_entry *deleted)
{
    struct leat_sv value;
    const struct leat__memory_stack *stack = &m->stack;
    if (m->bottom && stack->count > 1 && m->merge->merge &&
        leat__memory_stack_value(stack, m->merge, &m->value, &value, NULL) == 0) {
        builder_add(&m->out, stack->entries[0]->key, value, LEAT_STORE_PUT);
        return;
    }
    for (uint32_t i = 0; i < stack->count; i++)
        builder_add(&m->out, stack->entries[i]->key, stack->entries[i]->value, stack->entries[i]->write);
    if (deleted && !m->bottom)
        builder_add(&m->out, deleted->key, deleted->value, LEAT_STORE_DELETE);
}

/* The entries of a key in one run; false when what is below does not count. */
static bool merge_add_key(struct merging *m, const struct leat__memory_run *run, uint64_t from, uint64_t to,
    const struct leat_store_entry **deleted)
{
    for (uint64_t i = from; i < to; i++) {
        if (leat__memory_stack_add(&m->stack, &run->entries[i]))
            continue;
        if (run->entries[i].write == LEAT_STORE_DELETE)
            *deleted = &run->entries[i];
        return false;
    }
    return true;
}

static void merge_entries(
    struct merging *m, const struct leat__memory_run *older, const struct leat__memory_run *newer)
{
    uint64_t o = 0;
    uint64_t n = 0;
    while (o < older->count || n < newer->count) {
        const int order = o == older->count ? 1
            : n == newer->count             ? -1
                                            : leat_sv_cmp(older->entries[o].key, newer->entries[n].key);
        const uint64_t o_end = order <= 0 ? leat__memory_run_skip(older, o) : o;
        const uint64_t n_end = order >= 0 ? leat__memory_run_skip(newer, n) : n;
        const struct leat_store_entry *deleted = NULL;
        m->stack.count = 0;
        if (merge_add_key(m, newer, n, n_end, &deleted))
            (void)merge_add_key(m, older, o, o_end, &deleted);
        merge_end_key(m, deleted);
        o = o_end;
        n = n_end;
    }
}

static void copy_entries(struct merging *m, const struct leat__memory_run *run, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++)
        builder_add(&m->out, run->entries[i].key, run->entries[i].value, run->entries[i].write);
}

struct leat__memory_run *leat__memory_run_merge(const struct leat__memory_run *older,
    const struct leat__memory_run *newer, bool bottom, const struct leat__memory_merge *merge)
{
    struct merging m = { .merge = merge, .bottom = bottom };
    if (leat__memory_run_is_range(newer)) {
        copy_entries(&m, older, 0, leat__memory_run_find(older, newer->range_from));
        copy_entries(&m, older, leat__memory_run_find(older, newer->range_to), older->count);
    } else {
        merge_entries(&m, older, newer);
    }
    m.out.failed |= m.stack.failed;
    leat__memory_stack_release(&m.stack);
    leat__strbuf_release(&m.value);
    return builder_end(&m.out);
}
