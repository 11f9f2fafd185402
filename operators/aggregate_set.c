/* operators/aggregate_set.c -- count distinct and collect set: each value once, and how often where values are
 * taken back. Several counts of the same values that differ in their conditions share a set: an entry then has a bit
 * for each condition under which the value was seen, and there is a number of members for each.
 *
 *   entries   in the order of arrival, a multiple of 8 bytes each:
 *             code u64 [n i64 | bits u64]                                of a number, a time, a boolean
 *             length u32, 0 u32 [n i64 | bits u64] the bytes, padded     of a string
 *   index     open addressing over their offsets / 8 + 1, u32; made from the entries when there are more than a
 *             few, and never saved
 *
 * Equal are values as keys have it: -0.0 is 0.0, one NaN is the other. An entry with n <= 0 is no member: it waits
 * for a value that was taken back before it came, or for the next time that entries are put together. */
#include "base/hash.h"
#include "operators/aggregate_class_private.h"
#include "topology/declare.h"
#include <stdlib.h>

#define SCANNED_MAX 8u /* entries that need no index */

#define PARTS_MAX 32u

struct set {
    struct leat__agg_blob entries, index;
    uint64_t total; /* entries */
    uint64_t members[1]; /* as many as there are conditions */
};
#define SET_BYTES(parts_) (offsetof(struct set, members) + (parts_) * sizeof(uint64_t))

struct layout {
    bool is_text, is_counted;
    uint32_t parts; /* conditions; 0: there is one set for one aggregate */
    uint32_t head; /* bytes before a string's */
};

static struct layout layout_of(const struct leat__agg *agg)
{
    const bool is_counted = agg->family->retract != NULL;
    return (struct layout){ agg->of_class == LEAT_VALUE_STRING, is_counted, agg->wheres_count,
        is_counted || agg->wheres_count ? 16 : 8 };
}

/* ---- entries ---- */

static uint32_t entry_size(const struct layout *layout, const char *entry)
{
    uint32_t len;
    if (!layout->is_text)
        return layout->head;
    memcpy(&len, entry, sizeof len);
    return layout->head + ((len + 7u) & ~7u);
}

static struct leat__value entry_value(const struct layout *layout, const char *entry)
{
    struct leat__value value = { 0, { NULL, 0 } };
    if (layout->is_text) {
        uint32_t len;
        memcpy(&len, entry, sizeof len);
        value.text = (struct leat_sv){ entry + layout->head, len };
    } else {
        memcpy(&value.code, entry, sizeof value.code);
    }
    return value;
}

/* How often; where there are parts, their bits. */
static int64_t entry_times(const struct layout *layout, const char *entry)
{
    int64_t times = 1;
    if (layout->is_counted || layout->parts)
        memcpy(&times, entry + 8, sizeof times);
    return times;
}

/* One more member of each part whose bit is set. */
static void add_to_parts(struct set *set, uint64_t bits)
{
    for (; bits; bits &= bits - 1)
        set->members[__builtin_ctzll(bits)]++;
}

static bool equals(const struct layout *layout, const char *entry, const struct leat__value *value)
{
    const struct leat__value other = entry_value(layout, entry);
    return layout->is_text ? leat_sv_eq(other.text, value->text) : other.code == value->code;
}

static uint64_t hash_of(const struct layout *layout, const struct leat__value *value)
{
    if (layout->is_text)
        return leat__hash(value->text.data, value->text.len);
    return (value->code ^ (value->code >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- the index ---- */

static uint32_t *slots_of(const struct set *set, uint32_t *mask)
{
    *mask = leat__blob_len(&set->index) / (uint32_t)sizeof(uint32_t) - 1;
    return (uint32_t *)(void *)set->index.data;
}

/* By the upper bits: numbers that follow each other lie apart then, evenly. */
static uint32_t home_of(uint64_t hash, uint32_t mask)
{
    return (uint32_t)(((hash >> 32) * ((uint64_t)mask + 1)) >> 32);
}

static bool is_indexed(const struct set *set)
{
    return leat__blob_len(&set->index) > 0;
}

/* The slot of a value, taken or free. */
static uint32_t *find_slot(
    const struct set *set, const struct layout *layout, const struct leat__value *value, uint64_t hash)
{
    uint32_t mask;
    uint32_t *slots = slots_of(set, &mask);
    uint32_t at = home_of(hash, mask);
    while (slots[at] && !equals(layout, set->entries.data + 8 * (size_t)(slots[at] - 1), value))
        at = (at + 1) & mask;
    return &slots[at];
}

/* Makes the index anew, for the entries and at least one more: at most half of it is taken. */
static int make_index(const struct leat__agg_memory *mem, const struct layout *layout, struct set *set)
{
    uint32_t slots = 32;
    while (slots < 2 * (set->total + 1))
        slots *= 2;
    const size_t bytes = slots * sizeof(uint32_t);
    set->index.len_plus_1 = 0;
    LEAT_TRY(leat__blob_reserve(mem, &set->index, bytes));
    memset(set->index.data, 0, bytes);
    set->index.len_plus_1 = (uint32_t)bytes + 1;
    const uint32_t end = leat__blob_len(&set->entries);
    for (uint32_t at = 0; at < end; at += entry_size(layout, set->entries.data + at)) {
        const struct leat__value value = entry_value(layout, set->entries.data + at);
        *find_slot(set, layout, &value, hash_of(layout, &value)) = at / 8 + 1;
    }
    return 0;
}

/* Whether the index has room for one more. */
static bool has_room(const struct set *set)
{
    return 2 * (set->total + 1) * sizeof(uint32_t) <= leat__blob_len(&set->index);
}

/* ---- members ---- */

static char *scan(const struct set *set, const struct layout *layout, const struct leat__value *value)
{
    const uint32_t end = leat__blob_len(&set->entries);
    for (uint32_t at = 0; at < end; at += entry_size(layout, set->entries.data + at))
        if (equals(layout, set->entries.data + at, value))
            return set->entries.data + at;
    return NULL;
}

static int append(const struct leat__agg_memory *mem, const struct layout *layout, struct set *set,
    const struct leat__value *value, int64_t times)
{
    const uint32_t at = leat__blob_len(&set->entries);
    if (value->text.len > LEAT__AGG_BYTES_MAX)
        return LEAT_ELIMIT;
    const uint32_t size =
        layout->is_text ? layout->head + (((uint32_t)value->text.len + 7u) & ~7u) : layout->head;
    LEAT_TRY(leat__blob_reserve(mem, &set->entries, (size_t)at + size));
    char *entry = set->entries.data + at;
    memset(entry, 0, size);
    if (layout->is_text)
        memcpy(entry, &(uint32_t){ (uint32_t)value->text.len }, sizeof(uint32_t));
    else
        memcpy(entry, &value->code, sizeof value->code);
    if (layout->is_counted || layout->parts)
        memcpy(entry + 8, &times, sizeof times);
    if (value->text.len)
        memcpy(entry + layout->head, value->text.data, value->text.len);
    set->entries.len_plus_1 = at + size + 1;
    set->total++;
    if (layout->parts)
        add_to_parts(set, (uint64_t)times);
    else
        set->members[0] += times > 0;
    return 0;
}

/* Leaves out the entries that count nothing. The index is made anew when it is wanted. */
static void put_together(const struct layout *layout, struct set *set)
{
    const uint32_t end = leat__blob_len(&set->entries);
    uint32_t kept = 0;
    set->total = 0;
    for (uint32_t at = 0; at < end;) {
        const uint32_t size = entry_size(layout, set->entries.data + at);
        if (entry_times(layout, set->entries.data + at) != 0) {
            memmove(set->entries.data + kept, set->entries.data + at, size);
            kept += size;
            set->total++;
        }
        at += size;
    }
    set->entries.len_plus_1 = kept + 1;
    set->index.len_plus_1 = 0;
}

static void count_again(const struct layout *layout, struct set *set, char *entry, int64_t times)
{
    const int64_t before = entry_times(layout, entry);
    if (layout->parts && (times & ~before) != 0) {
        const int64_t bits = before | times;
        memcpy(entry + 8, &bits, sizeof bits);
        add_to_parts(set, (uint64_t)(times & ~before));
    }
    if (!layout->is_counted)
        return;
    times += before;
    memcpy(entry + 8, &times, sizeof times);
    set->members[0] += (uint64_t)((times > 0) - (before > 0));
    if (times == 0 && set->total > 2 * set->members[0] + SCANNED_MAX)
        put_together(layout, set);
}

static int put(const struct leat__agg_memory *mem, const struct layout *layout, struct set *set,
    const struct leat__value *value, uint64_t hash, int64_t times)
{
    if (set->total <= SCANNED_MAX && !is_indexed(set)) {
        char *entry = scan(set, layout, value);
        if (entry)
            count_again(layout, set, entry, times);
        return entry ? 0 : append(mem, layout, set, value, times);
    }
    if (!is_indexed(set) || !has_room(set))
        LEAT_TRY(make_index(mem, layout, set));
    uint32_t *slot = find_slot(set, layout, value, hash);
    if (*slot) {
        count_again(layout, set, set->entries.data + 8 * (size_t)(*slot - 1), times);
        return 0;
    }
    const uint32_t at = leat__blob_len(&set->entries);
    LEAT_TRY(append(mem, layout, set, value, times));
    *slot = at / 8 + 1;
    return 0;
}

/* -0.0 as 0.0: NaN is one code already. */
static inline struct leat__value canonical(const struct leat__agg *agg, struct leat__value value)
{
    if (agg->of_class == LEAT_VALUE_FLOAT && value.code == LEAT__SIGN - 1)
        value.code = LEAT__SIGN;
    return value;
}

/* ---- rows, some at a time: what each of them will look at is brought near before its turn comes ---- */

#define SOME_ROWS 64u
#define SET_AHEAD 16u
#define SLOT_AHEAD 8u
#define ENTRY_AHEAD 4u

struct one {
    struct leat__value value;
    uint64_t hash;
    struct set *set;
};

struct some {
    struct one ones[SOME_ROWS];
    int64_t times[SOME_ROWS]; /* where there are parts, their bits */
    uint32_t rows[SOME_ROWS], count;
};

static inline void bring_slot(const struct one *one)
{
    uint32_t mask;
    if (is_indexed(one->set)) {
        const uint32_t *slots = slots_of(one->set, &mask);
        __builtin_prefetch(&slots[home_of(one->hash, mask)], 1);
    }
}

static inline void bring_entry(const struct one *one)
{
    uint32_t mask;
    if (is_indexed(one->set)) {
        const uint32_t *slots = slots_of(one->set, &mask);
        const uint32_t slot = slots[home_of(one->hash, mask)];
        if (slot)
            __builtin_prefetch(one->set->entries.data + 8 * (size_t)(slot - 1), 1);
    }
}

/* Rows of the pass from *from on that have a value. */
static void read_some(const struct leat__agg_pass *pass, const struct leat__agg *agg,
    const struct layout *layout, uint32_t *from, struct some *some)
{
    const struct leat__column_view *view = &pass->views[agg->column];
    some->count = 0;
    for (; *from < pass->count && some->count < SOME_ROWS; ++*from) {
        struct one *one = &some->ones[some->count];
        const uint32_t row = pass->rows[*from];
        if (*from + SET_AHEAD < pass->count)
            __builtin_prefetch(pass->values[*from + SET_AHEAD] + agg->offset, 1);
        if (view->nulls && view->nulls[row])
            continue;
        one->value = canonical(agg, leat__value_read(agg->of_class, view, row));
        one->hash = hash_of(layout, &one->value);
        one->set = (struct set *)(void *)(pass->values[*from] + agg->offset);
        some->rows[some->count++] = row;
    }
}

/* The conditions that hold, as bits. */
static void read_bits(const struct leat__agg_pass *pass, const struct leat__agg *agg, struct some *some)
{
    for (uint32_t w = 0; w < agg->wheres_count; w++) {
        if (agg->wheres[w] == LEAT__NO_COLUMN) {
            for (uint32_t i = 0; i < some->count; i++)
                some->times[i] |= INT64_C(1) << w;
            continue;
        }
        const struct leat__column_view *view = &pass->views[agg->wheres[w]];
        const unsigned char *base = view->base;
        const size_t stride = view->stride;
        for (uint32_t i = 0; i < some->count; i++) {
            int64_t holds;
            memcpy(&holds, base + some->rows[i] * stride, sizeof holds);
            some->times[i] |= (int64_t)(holds != 0) << w;
        }
        for (uint32_t i = 0; view->nulls && i < some->count; i++)
            if (view->nulls[some->rows[i]])
                some->times[i] &= ~(INT64_C(1) << w);
    }
}

static int put_some(const struct leat__agg_pass *pass, const struct layout *layout, const struct some *some)
{
    const struct one *ones = some->ones;
    const uint32_t count = some->count;
    for (uint32_t i = 0; i < count && i < SLOT_AHEAD; i++)
        bring_slot(&ones[i]);
    for (uint32_t i = 0; i < count && i < ENTRY_AHEAD; i++)
        bring_entry(&ones[i]);
    for (uint32_t i = 0; i < count; i++) {
        if (i + SLOT_AHEAD < count)
            bring_slot(&ones[i + SLOT_AHEAD]);
        if (i + ENTRY_AHEAD < count)
            bring_entry(&ones[i + ENTRY_AHEAD]);
        const int code = some->times[i]
            ? put(&pass->mem, layout, ones[i].set, &ones[i].value, ones[i].hash, some->times[i])
            : 0;
        if (code < 0) {
            *pass->bad = some->rows[i];
            return code;
        }
    }
    return 0;
}

static int add_times(const struct leat__agg_pass *pass, const struct leat__agg *agg, int64_t times)
{
    const struct layout layout = layout_of(agg);
    struct some some;
    for (uint32_t from = 0; from < pass->count;) {
        read_some(pass, agg, &layout, &from, &some);
        for (uint32_t i = 0; i < some.count; i++)
            some.times[i] = times;
        read_bits(pass, agg, &some);
        LEAT_TRY(put_some(pass, &layout, &some));
    }
    return 0;
}

static int add_set(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return add_times(pass, agg, 1);
}

static int add_parts(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return add_times(pass, agg, 0);
}

static int retract_set(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return add_times(pass, agg, -1);
}

static int combine_set(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct set *other = from;
    const struct layout layout = layout_of(agg);
    const uint32_t end = leat__blob_len(&other->entries);
    for (uint32_t at = 0; at < end;) {
        const char *entry = other->entries.data + at;
        const struct leat__value value = entry_value(&layout, entry);
        LEAT_TRY(put(mem, &layout, into, &value, hash_of(&layout, &value), entry_times(&layout, entry)));
        at += entry_size(&layout, entry);
    }
    return 0;
}

/* ---- results ---- */

static int show_count(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    leat__out_set_int(show->row, &agg->out, (int64_t)((const struct set *)accumulator)->members[agg->part]);
    return 0;
}

/* The number of members needs no entries. */
static void shown_count(const struct leat__agg *agg, void *accumulator)
{
    (void)agg;
    ((struct set *)accumulator)->total = 0;
}

static int rising_codes(const void *a, const void *b)
{
    return leat__value_cmp(LEAT_VALUE_INT, *(const struct leat__value *)a, *(const struct leat__value *)b);
}

static int rising_texts(const void *a, const void *b)
{
    return leat__value_cmp(LEAT_VALUE_STRING, *(const struct leat__value *)a, *(const struct leat__value *)b);
}

static int show_values(
    const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct set *set = accumulator;
    const struct layout layout = layout_of(agg);
    const uint32_t end = leat__blob_len(&set->entries);
    unsigned char *items;
    size_t count = 0;
    struct leat__value *values = leat__malloc((set->members[0] + 1) * sizeof *values);
    int code = values ? leat__array_show(agg, show, set->members[0], &items) : LEAT_ENOMEM;
    for (uint32_t at = 0; code == 0 && at < end; at += entry_size(&layout, set->entries.data + at))
        if (entry_times(&layout, set->entries.data + at) > 0)
            values[count++] = entry_value(&layout, set->entries.data + at);
    if (code == 0)
        qsort(values, count, sizeof *values, layout.is_text ? rising_texts : rising_codes);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = leat__value_show(
            &agg->item, agg->of_class, values[i], show->out, items + i * agg->out.type->item->size);
    leat__free(values);
    return code;
}

/* ---- the families ---- */

/* Whether one entry is whole; counts its members. */
static bool check_entry(
    const struct layout *layout, const char *entry, uint32_t left, uint64_t members[PARTS_MAX])
{
    if (left < layout->head)
        return false;
    const size_t text = layout->is_text ? entry_value(layout, entry).text.len : 0;
    const int64_t times = entry_times(layout, entry);
    if (text > left - layout->head || entry_size(layout, entry) > left)
        return false;
    if (layout->parts ? (uint64_t)times >> layout->parts != 0 : !leat__agg_is_times(times))
        return false;
    for (uint32_t i = 0; i < layout->parts; i++)
        members[i] += (uint64_t)times >> i & 1u;
    members[0] += layout->parts ? 0 : times > 0;
    return true;
}

static bool check_set(const struct leat__agg *agg, const void *accumulator)
{
    const struct set *set = accumulator;
    const struct layout layout = layout_of(agg);
    const uint32_t end = leat__blob_len(&set->entries), parts = layout.parts ? layout.parts : 1;
    uint64_t total = 0, members[PARTS_MAX] = { 0 };
    for (uint32_t at = 0; at < end; total++) {
        if (!check_entry(&layout, set->entries.data + at, end - at, members))
            return false;
        at += entry_size(&layout, set->entries.data + at);
    }
    if (total != set->total)
        return false;
    /* Without entries: what shown_count leaves. */
    const bool only_shown = total == 0 && agg->family->shown;
    return only_shown || memcmp(members, set->members, parts * sizeof members[0]) == 0;
}

#define FAMILY(name_, tag_, add_, retract_, result_, shown_) \
    { \
        .name = (name_), .tag = (tag_), .add = (add_), .retract = (retract_), .combine = combine_set, \
        .result = (result_), .check = check_set, .shown = (shown_), .blobs_count = 2, \
        .blobs = { offsetof(struct set, entries), offsetof(struct set, index) }, .derived_count = 1, \
        .is_of_class = true \
    }
static const struct leat__agg_class count_class =
    FAMILY("distinct", NULL, add_set, NULL, show_count, shown_count);
static const struct leat__agg_class counted_count_class =
    FAMILY("distinct", "counted", add_set, retract_set, show_count, shown_count);
static const struct leat__agg_class values_class = FAMILY("distinct", NULL, add_set, NULL, show_values, NULL);
static const struct leat__agg_class counted_values_class =
    FAMILY("distinct", "counted", add_set, retract_set, show_values, NULL);

static const struct leat__agg_class parts_class =
    FAMILY("distinct", "parts", add_parts, NULL, show_count, shown_count);

/* Whether `agg` can be a part of the set that `first` begins. */
static bool is_part_of(const struct leat__agg *agg, const struct leat__agg *first)
{
    return agg->family == &count_class && agg->column == first->column;
}

void leat__agg_share_sets(struct leat_node *node, struct leat__aggregate_spec *spec)
{
    for (uint32_t a = 0; a < spec->aggs_count; a++) {
        struct leat__agg *first = &spec->aggs[a];
        uint32_t parts = 0, *wheres = NULL;
        if (first->family != &count_class)
            continue;
        for (uint32_t b = a; b < spec->aggs_count; b++)
            parts += is_part_of(&spec->aggs[b], first);
        if (parts > 1 && parts <= PARTS_MAX)
            wheres = leat__spec(node, parts * sizeof *wheres);
        if (!wheres)
            continue;
        parts = 0;
        for (uint32_t b = a; b < spec->aggs_count; b++) {
            struct leat__agg *agg = &spec->aggs[b];
            if (!is_part_of(agg, first) && agg != first)
                continue;
            wheres[parts] = agg->where;
            agg->part = parts++;
            agg->where = LEAT__NO_COLUMN;
            agg->family = &parts_class;
        }
        first->wheres = wheres;
        first->wheres_count = parts;
        first->size = (uint32_t)SET_BYTES(parts);
    }
}

bool leat__agg_choose_set(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    const bool is_count = agg->kind == LEAT_AGGREGATE_COUNT_DISTINCT;
    const struct leat__agg_class *plain = is_count ? &count_class : &values_class;
    const struct leat__agg_class *counted = is_count ? &counted_count_class : &counted_values_class;
    return leat__agg_set_family(agg, spec->takes_changes ? counted : plain, SET_BYTES(1),
               is_count ? LEAT__GIVES_LONG : LEAT__GIVES_VALUES) &&
        agg->of_class != LEAT_VALUE_NULL;
}
