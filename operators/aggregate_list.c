/* operators/aggregate_list.c -- collect list, string join, top-n and bottom-n: values in an order.
 *
 *   entries   in the order of arrival: time i64, value u64: its code, or offset u32 and length u32 in
 *   texts     the bytes of strings
 *
 * The order of lists is by event time, then arrival; it is made when the result is, and combining puts what came
 * later behind: so it is that of all records at once. The order of top-n and bottom-n is that of the values. Where
 * only n are wanted, the list is cut back to the best n each time it has grown to twice as many, and what can not
 * be among them is not taken: `sorted` entries at the front are the best of a cut, best first. */
#include "operators/aggregate_class_private.h"
#include <stdlib.h>

#define CUT_SLACK 16u

struct entry {
    int64_t time;
    uint64_t value;
};

struct list {
    struct leat__agg_blob entries, texts;
    uint64_t sorted;
};

static bool is_text(const struct leat__agg *agg)
{
    return agg->of_class == LEAT_VALUE_STRING;
}

static bool is_top(const struct leat__agg *agg)
{
    return agg->kind == LEAT_AGGREGATE_TOP_N || agg->kind == LEAT_AGGREGATE_BOTTOM_N;
}

static size_t entries_count(const struct list *list)
{
    return leat__blob_len(&list->entries) / sizeof(struct entry);
}

static struct entry *entries_of(const struct list *list)
{
    return (struct entry *)(void *)list->entries.data;
}

static struct leat__value value_of(
    const struct leat__agg *agg, const struct list *list, const struct entry *e)
{
    struct leat__value value = { e->value, { NULL, 0 } };
    if (is_text(agg))
        value.text = (struct leat_sv){ list->texts.data + (e->value >> 32), (uint32_t)e->value };
    return value;
}

/* ---- order ---- */

struct ranked {
    struct leat__value value;
    int64_t time;
    uint64_t at; /* arrival */
};

static int by_time(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_arrival(const struct ranked *x, const struct ranked *y)
{
    return x->at < y->at ? -1 : x->at > y->at;
}

static int rising_codes(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const int order = leat__value_cmp(LEAT_VALUE_INT, x->value, y->value);
    return order ? order : by_arrival(x, y);
}

static int falling_codes(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const int order = leat__value_cmp(LEAT_VALUE_INT, y->value, x->value);
    return order ? order : by_arrival(x, y);
}

static int rising_texts(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const int order = leat__value_cmp(LEAT_VALUE_STRING, x->value, y->value);
    return order ? order : by_arrival(x, y);
}

static int falling_texts(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const int order = leat__value_cmp(LEAT_VALUE_STRING, y->value, x->value);
    return order ? order : by_arrival(x, y);
}

typedef int order_fn(const void *a, const void *b);

static order_fn *order_of(const struct leat__agg *agg)
{
    if (!is_top(agg))
        return by_time;
    if (agg->kind == LEAT_AGGREGATE_TOP_N)
        return is_text(agg) ? falling_texts : falling_codes;
    return is_text(agg) ? rising_texts : rising_codes;
}

/* All entries in their order; NULL when out of memory. Freed by the caller. */
static struct ranked *rank(const struct leat__agg *agg, const struct list *list)
{
    const size_t count = entries_count(list);
    order_fn *order = order_of(agg);
    bool in_order = true;
    struct ranked *all = leat__malloc((count + 1) * sizeof *all);
    for (size_t i = 0; all && i < count; i++) {
        const struct entry *e = &entries_of(list)[i];
        all[i] = (struct ranked){ value_of(agg, list, e), e->time, i };
        in_order = in_order && (i == 0 || order(&all[i - 1], &all[i]) < 0);
    }
    if (all && !in_order)
        qsort(all, count, sizeof *all, order);
    return all;
}

/* ---- growing ---- */

static int append(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct list *list,
    const struct leat__value *value, int64_t time)
{
    const size_t count = entries_count(list);
    const uint32_t texts = leat__blob_len(&list->texts);
    struct entry e = { time, value->code };
    if (texts + value->text.len + (count + 1) * (agg->separator.len + sizeof e) > LEAT__AGG_BYTES_MAX)
        return LEAT_ELIMIT;
    LEAT_TRY(leat__blob_reserve(mem, &list->entries, (count + 1) * sizeof e));
    if (is_text(agg)) {
        LEAT_TRY(leat__blob_reserve(mem, &list->texts, texts + value->text.len));
        if (value->text.len)
            memcpy(list->texts.data + texts, value->text.data, value->text.len);
        list->texts.len_plus_1 = texts + (uint32_t)value->text.len + 1;
        e.value = (uint64_t)texts << 32 | (uint32_t)value->text.len;
    }
    entries_of(list)[count] = e;
    list->entries.len_plus_1 = (uint32_t)((count + 1) * sizeof e) + 1;
    return 0;
}

/* Keeps the best n, best first. */
static int cut(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct list *list)
{
    struct list kept = { .sorted = agg->n };
    struct ranked *all = rank(agg, list);
    int code = all ? 0 : LEAT_ENOMEM;
    for (size_t i = 0; code == 0 && i < agg->n; i++)
        code = append(agg, mem, &kept, &all[i].value, all[i].time);
    leat__free(all);
    LEAT_TRY(code);
    leat__blob_forget(mem, &list->entries);
    leat__blob_forget(mem, &list->texts);
    *list = kept;
    return 0;
}

/* Whether the n best are known, and this is not better than the last of them. */
static bool is_beyond(
    const struct leat__agg *agg, const struct list *list, const struct leat__value *value, int64_t time)
{
    if (agg->n == 0 || list->sorted < agg->n)
        return false;
    const struct entry *last = &entries_of(list)[agg->n - 1];
    if (!is_top(agg))
        return time >= last->time;
    const int order = leat__value_cmp(agg->of_class, *value, value_of(agg, list, last));
    return agg->kind == LEAT_AGGREGATE_TOP_N ? order <= 0 : order >= 0;
}

static int put(const struct leat__agg *agg, const struct leat__agg_memory *mem, struct list *list,
    struct leat__value value, int64_t time)
{
    if (is_beyond(agg, list, &value, time))
        return 0;
    LEAT_TRY(append(agg, mem, list, &value, time));
    return agg->n && entries_count(list) >= 2 * agg->n + CUT_SLACK ? cut(agg, mem, list) : 0;
}

static int add_list(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_ANY(pass, agg, struct list, in, acc, code,
             code = put(agg, &pass->mem, acc, in, is_top(agg) ? 0 : pass->batch->event_us[row_]););
    return 0;
}

static int combine_list(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct list *other = from;
    const size_t count = entries_count(other);
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &entries_of(other)[i];
        LEAT_TRY(put(agg, mem, into, value_of(agg, other, e), e->time));
    }
    return 0;
}

/* ---- results ---- */

static size_t wanted(const struct leat__agg *agg, const struct list *list)
{
    const size_t count = entries_count(list);
    return agg->n && count > agg->n ? agg->n : count;
}

static int show_array(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const size_t count = wanted(agg, accumulator), size = agg->out.type->item->size;
    unsigned char *items;
    struct ranked *all = rank(agg, accumulator);
    int code = all ? leat__array_show(agg, show, count, &items) : LEAT_ENOMEM;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = leat__value_show(&agg->item, agg->of_class, all[i].value, show->out, items + i * size);
    leat__free(all);
    return code;
}

static char *put_text(char *to, struct leat_sv text)
{
    if (text.len)
        memcpy(to, text.data, text.len);
    return to + text.len;
}

static int show_joined(
    const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const struct list *list = accumulator;
    const size_t count = entries_count(list);
    if (agg->nullable && count == 0) {
        leat__out_set_null(show->row, &agg->out);
        return 0;
    }
    const size_t len = leat__blob_len(&list->texts) + (count ? count - 1 : 0) * agg->separator.len;
    char *text = leat__batch_alloc(show->out, len, 1);
    struct ranked *all = text ? rank(agg, list) : NULL;
    if (!all)
        return LEAT_ENOMEM;
    char *at = text;
    for (size_t i = 0; i < count; i++)
        at = put_text(i ? put_text(at, agg->separator) : at, all[i].value.text);
    leat__free(all);
    leat__out_set_view(show->row, &agg->out, (struct leat_sv){ text, len });
    return 0;
}

/* ---- the families ---- */

static bool check_list(const struct leat__agg *agg, const void *accumulator)
{
    const struct list *list = accumulator;
    const uint32_t texts = leat__blob_len(&list->texts);
    if (leat__blob_len(&list->entries) % sizeof(struct entry) || list->sorted > entries_count(list))
        return false;
    for (size_t i = 0; is_text(agg) && i < entries_count(list); i++) {
        const uint64_t value = entries_of(list)[i].value;
        if ((value >> 32) > texts || (uint32_t)value > texts - (value >> 32))
            return false;
    }
    return true;
}

#define FAMILY(name_, result_) \
    { \
        .name = (name_), .add = add_list, .combine = combine_list, .result = (result_), .check = check_list, \
        .blobs_count = 2, .blobs = { offsetof(struct list, entries), offsetof(struct list, texts) }, \
        .is_of_class = true \
    }
static const struct leat__agg_class list_class = FAMILY("list", show_array);
static const struct leat__agg_class join_class = FAMILY("list", show_joined);
static const struct leat__agg_class top_class = FAMILY("top", show_array);
static const struct leat__agg_class bottom_class = FAMILY("bottom", show_array);

bool leat__agg_choose_list(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    const bool is_join = agg->kind == LEAT_AGGREGATE_STRING_JOIN;
    const struct leat__agg_class *family = is_join ? &join_class
        : agg->kind == LEAT_AGGREGATE_TOP_N        ? &top_class
        : agg->kind == LEAT_AGGREGATE_BOTTOM_N     ? &bottom_class
                                                   : &list_class;
    (void)spec;
    return leat__agg_set_family(
               agg, family, sizeof(struct list), is_join ? LEAT__GIVES_TEXT : LEAT__GIVES_VALUES) &&
        (is_join ? is_text(agg) : agg->of_class != LEAT_VALUE_NULL);
}
