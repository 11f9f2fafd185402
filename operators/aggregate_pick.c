/* operators/aggregate_pick.c -- first, last, min_by, max_by: the value of one chosen record.
 *
 * first and last choose by event time, ties by arrival; min_by and max_by by another value, ties by event time,
 * then arrival. Combining goes by the same rule, what is combined having come later: so the choice is that of all
 * records at once, however they were grouped. */
#include "operators/aggregate_class_private.h"

union slot {
    struct leat__agg_blob text;
    uint64_t code; /* the rest is zero */
};

enum { SEEN = 1, SEEN_NULL = 2 };

struct pick {
    uint64_t seen;
    int64_t time;
    union slot of, by;
};

/* A record that might be chosen. */
struct candidate {
    int64_t time;
    bool is_null;
    struct leat__value of, by;
};

static struct leat__value slot_value(enum leat_value_class value_class, const union slot *slot)
{
    struct leat__value value = { 0, { NULL, 0 } };
    if (value_class == LEAT_VALUE_STRING)
        value.text = leat__blob_sv(&slot->text);
    else
        value.code = slot->code;
    return value;
}

static int set_slot(const struct leat__agg_memory *mem, enum leat_value_class value_class, union slot *slot,
    struct leat__value value)
{
    if (value_class == LEAT_VALUE_STRING)
        return leat__blob_set(mem, &slot->text, value.text);
    slot->code = value.code;
    return 0;
}

static bool is_better(const struct leat__agg *agg, const struct pick *kept, const struct candidate *c)
{
    if (!kept->seen)
        return true;
    if (agg->kind == LEAT_AGGREGATE_LAST)
        return c->time >= kept->time;
    if (agg->kind == LEAT_AGGREGATE_FIRST)
        return c->time < kept->time;
    const int order = leat__value_cmp(agg->by_class, c->by, slot_value(agg->by_class, &kept->by));
    if (order == 0)
        return c->time < kept->time;
    return agg->kind == LEAT_AGGREGATE_MAX_BY ? order > 0 : order < 0;
}

static int offer(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct pick *kept,
    const struct candidate *c)
{
    if (!is_better(agg, kept, c))
        return 0;
    if (!c->is_null)
        LEAT_TRY(set_slot(mem, agg->of_class, &kept->of, c->of));
    if (agg->by != LEAT__NO_COLUMN)
        LEAT_TRY(set_slot(mem, agg->by_class, &kept->by, c->by));
    kept->seen = c->is_null ? SEEN_NULL : SEEN;
    kept->time = c->time;
    return 0;
}

static int add_pick(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    const bool has_by = agg->by != LEAT__NO_COLUMN;
    const struct leat__column_view *of = &pass->views[agg->column];
    const struct leat__column_view *by = has_by ? &pass->views[agg->by] : of;
    for (uint32_t i = 0; i < pass->count; i++) {
        const uint32_t row = pass->rows[i];
        if (by->nulls && by->nulls[row])
            continue;
        struct candidate c = { .time = pass->batch->event_us[row], .is_null = of->nulls && of->nulls[row] };
        if (!c.is_null)
            c.of = leat__value_read(agg->of_class, of, row);
        if (has_by)
            c.by = leat__value_read(agg->by_class, by, row);
        const int code = offer(agg, &pass->mem, (struct pick *)(void *)(pass->values[i] + agg->offset), &c);
        if (code < 0) {
            *pass->bad = row;
            return code;
        }
    }
    return 0;
}

static int combine_pick(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct pick *other = from;
    const struct candidate c = { .time = other->time,
        .is_null = other->seen == SEEN_NULL,
        .of = slot_value(agg->of_class, &other->of),
        .by = slot_value(agg->by_class, &other->by) };
    return other->seen ? offer(agg, mem, into, &c) : 0;
}

static int show_pick(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct pick *kept = accumulator;
    if (kept->seen == SEEN)
        return leat__value_show(
            &agg->out, agg->of_class, slot_value(agg->of_class, &kept->of), show->out, show->row);
    if (agg->nullable)
        leat__out_set_null(show->row, &agg->out);
    return 0;
}

/* What is null is told apart from nothing only by `seen`. */
static bool check_pick(const struct leat__agg *agg, const void *accumulator)
{
    const struct pick *kept = accumulator;
    return kept->seen <= SEEN_NULL && (agg->nullable || kept->seen != SEEN_NULL);
}

#define OF offsetof(struct pick, of)
#define BY offsetof(struct pick, by)
#define FAMILY(name_, blobs_count_, first_, second_) \
    { \
        .name = (name_), .add = add_pick, .combine = combine_pick, .result = show_pick, .check = check_pick, \
        .is_of_class = true, .blobs_count = (blobs_count_), .blobs = { \
            (first_), \
            (second_) \
        } \
    }
/* By kind; [1]: `of` is text, [2]: `by` is, [3]: both are. */
enum { KINDS = LEAT_AGGREGATE_MAX_BY - LEAT_AGGREGATE_FIRST + 1 };
#define FAMILIES(name_) \
    { \
        FAMILY(name_, 0, 0, 0), FAMILY(name_, 1, OF, 0), FAMILY(name_, 1, BY, 0), FAMILY(name_, 2, OF, BY) \
    }
static const struct leat__agg_class families[KINDS][4] = { FAMILIES("first"), FAMILIES("last"),
    FAMILIES("min by"), FAMILIES("max by") };

bool leat__agg_choose_pick(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    const uint32_t form =
        (agg->of_class == LEAT_VALUE_STRING ? 1u : 0u) + (agg->by_class == LEAT_VALUE_STRING ? 2u : 0u);
    (void)spec;
    return leat__agg_set_family(agg, &families[agg->kind - LEAT_AGGREGATE_FIRST][form], sizeof(struct pick),
               LEAT__GIVES_VALUE) &&
        agg->of_class != LEAT_VALUE_NULL;
}
