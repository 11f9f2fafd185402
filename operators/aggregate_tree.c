/* operators/aggregate_tree.c -- min, max, first, last, min_by, max_by, top-n, lists and joined strings of input that
 * takes records back: none of them can be inverted, so all values are kept in their order (semantics 38).
 *
 * A treap over nodes in a blob, by the value that is ordered by, event time, arrival. Where values are shown by
 * their order alone (min, max, top-n) equal ones are one node with a count.
 *
 *   nodes   struct node, numbered from 1; those that are free are a list by `left`
 *   texts   the bytes of strings; what is shown no more is left out when the tree is put together anew
 *
 * Taking back a record removes that of its value and event time, else the last to arrive of that value. If there is
 * none it is owed: a node with a count below zero, which the next such record cancels. Owed nodes are not shown. */
#include "operators/aggregate_class_private.h"

#define DEPTH_MAX 200u /* far beyond what chance makes of as many nodes as there may be */
#define REBUILD_NODES_MIN 64u
#define REBUILD_TEXTS_MIN 4096u

struct node {
    uint32_t left, right;
    uint64_t is_null; /* `of` is */
    int64_t count, time;
    uint64_t arrival;
    uint64_t by, of; /* a code, or offset u32 and length u32 in texts */
};

struct tree {
    struct leat__agg_blob nodes, texts;
    uint32_t root, free;
    uint64_t free_count, garbage; /* nodes; bytes of texts */
    uint64_t arrivals;
    int64_t count; /* of all nodes */
    uint64_t owed; /* nodes with a count below zero */
};

/* A record's part in it. */
struct item {
    struct leat__value by, of;
    bool is_null;
    int64_t time;
};

/* Everything that a call is about. */
struct work {
    const struct leat__agg *agg;
    const struct leat__agg_memory *mem;
    struct tree *tree;
};

static bool is_counted(const struct leat__agg *agg)
{
    return agg->kind == LEAT_AGGREGATE_MIN || agg->kind == LEAT_AGGREGATE_MAX ||
        agg->kind == LEAT_AGGREGATE_TOP_N || agg->kind == LEAT_AGGREGATE_BOTTOM_N;
}

static bool has_by(const struct leat__agg *agg)
{
    return is_counted(agg) || agg->by != LEAT__NO_COLUMN;
}

static enum leat_value_class by_class(const struct leat__agg *agg)
{
    return is_counted(agg) ? agg->of_class : agg->by_class;
}

static struct node *node_at(const struct tree *tree, uint32_t n)
{
    return &((struct node *)(void *)tree->nodes.data)[n - 1];
}

static uint32_t nodes_count(const struct tree *tree)
{
    return leat__blob_len(&tree->nodes) / (uint32_t)sizeof(struct node);
}

static struct leat__value stored(const struct tree *tree, enum leat_value_class value_class, uint64_t word)
{
    struct leat__value value = { word, { NULL, 0 } };
    if (value_class == LEAT_VALUE_STRING)
        value.text = (struct leat_sv){ tree->texts.data + (word >> 32), (uint32_t)word };
    return value;
}

static struct item item_of(const struct leat__agg *agg, const struct tree *tree, const struct node *node)
{
    return (struct item){ stored(tree, by_class(agg), node->by), stored(tree, agg->of_class, node->of),
        node->is_null != 0, node->time };
}

/* Priorities are a hash of the number: no state, and no order of arrival makes them bad. */
static uint32_t priority(uint32_t n)
{
    n = (n ^ (n >> 16)) * 0x7feb352du;
    n = (n ^ (n >> 15)) * 0x846ca68bu;
    return n ^ (n >> 16);
}

/* The order of an item and a time against a node. */
static int compare(
    const struct leat__agg *agg, const struct tree *tree, const struct item *item, bool with_time, uint32_t n)
{
    const struct node *node = node_at(tree, n);
    if (has_by(agg)) {
        const int order = leat__value_cmp(by_class(agg), item->by, stored(tree, by_class(agg), node->by));
        if (order != 0)
            return order;
    }
    if (!with_time || item->time == node->time)
        return 0;
    return item->time < node->time ? -1 : 1;
}

/* ---- the treap ---- */

/* Nodes before (item, arrival), and the others. */
static void split(const struct work *w, uint32_t n, const struct item *item, uint64_t arrival,
    uint32_t *before, uint32_t *rest)
{
    if (!n) {
        *before = *rest = 0;
        return;
    }
    struct node *node = node_at(w->tree, n);
    const int order = compare(w->agg, w->tree, item, true, n);
    if (order > 0 || (order == 0 && arrival > node->arrival)) {
        split(w, node->right, item, arrival, &node->right, rest);
        *before = n;
    } else {
        split(w, node->left, item, arrival, before, &node->left);
        *rest = n;
    }
}

static uint32_t join(const struct tree *tree, uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a ? a : b;
    if (priority(a) > priority(b)) {
        node_at(tree, a)->right = join(tree, node_at(tree, a)->right, b);
        return a;
    }
    node_at(tree, b)->left = join(tree, a, node_at(tree, b)->left);
    return b;
}

static int store(
    const struct work *w, enum leat_value_class value_class, struct leat__value value, uint64_t *word)
{
    struct leat__agg_blob *texts = &w->tree->texts;
    const uint32_t at = leat__blob_len(texts);
    *word = value.code;
    if (value_class != LEAT_VALUE_STRING)
        return 0;
    if (at + value.text.len + (nodes_count(w->tree) + 1) * w->agg->separator.len > LEAT__AGG_BYTES_MAX)
        return LEAT_ELIMIT;
    LEAT_TRY(leat__blob_reserve(w->mem, texts, at + value.text.len));
    if (value.text.len)
        memcpy(texts->data + at, value.text.data, value.text.len);
    texts->len_plus_1 = at + (uint32_t)value.text.len + 1;
    *word = (uint64_t)at << 32 | (uint32_t)value.text.len;
    return 0;
}

static int new_node(const struct work *w, uint32_t *n)
{
    struct tree *tree = w->tree;
    *n = tree->free;
    if (tree->free) {
        tree->free = node_at(tree, tree->free)->left;
        tree->free_count--;
        return 0;
    }
    const uint32_t count = nodes_count(tree);
    LEAT_TRY(leat__blob_reserve(w->mem, &tree->nodes, (count + 1) * sizeof(struct node)));
    tree->nodes.len_plus_1 = (count + 1) * (uint32_t)sizeof(struct node) + 1;
    *n = count + 1;
    return 0;
}

static int insert(const struct work *w, const struct item *item, uint64_t arrival, int64_t count)
{
    struct node node = { .is_null = item->is_null, .count = count, .time = item->time, .arrival = arrival };
    uint32_t n, before, rest;
    if (has_by(w->agg))
        LEAT_TRY(store(w, by_class(w->agg), item->by, &node.by));
    if (!is_counted(w->agg) && !item->is_null)
        LEAT_TRY(store(w, w->agg->of_class, item->of, &node.of));
    LEAT_TRY(new_node(w, &n));
    *node_at(w->tree, n) = node;
    split(w, w->tree->root, item, arrival, &before, &rest);
    w->tree->root = join(w->tree, join(w->tree, before, n), rest);
    w->tree->count += count;
    w->tree->owed += count < 0;
    return 0;
}

static uint32_t without(
    const struct work *w, uint32_t n, const struct item *item, uint64_t arrival, uint32_t gone)
{
    struct node *node = node_at(w->tree, n);
    if (n == gone)
        return join(w->tree, node->left, node->right);
    const int order = compare(w->agg, w->tree, item, true, n);
    if (order < 0 || (order == 0 && arrival < node->arrival))
        node->left = without(w, node->left, item, arrival, gone);
    else
        node->right = without(w, node->right, item, arrival, gone);
    return n;
}

static void add_garbage(struct tree *tree, enum leat_value_class value_class, uint64_t word)
{
    if (value_class == LEAT_VALUE_STRING)
        tree->garbage += (uint32_t)word;
}

static void remove_node(const struct work *w, uint32_t n)
{
    struct tree *tree = w->tree;
    struct node *node = node_at(tree, n);
    const struct item item = item_of(w->agg, tree, node);
    tree->root = without(w, tree->root, &item, node->arrival, n);
    if (has_by(w->agg))
        add_garbage(tree, by_class(w->agg), node->by);
    if (!is_counted(w->agg) && !node->is_null)
        add_garbage(tree, w->agg->of_class, node->of);
    *node = (struct node){ .left = tree->free };
    tree->free = n;
    tree->free_count++;
}

static int insert_all(const struct work *into, const struct tree *from, uint32_t n)
{
    if (!n)
        return 0;
    LEAT_TRY(insert_all(into, from, node_at(from, n)->left));
    const struct item item = item_of(into->agg, from, node_at(from, n));
    LEAT_TRY(insert(into, &item, node_at(from, n)->arrival, node_at(from, n)->count));
    return insert_all(into, from, node_at(from, n)->right);
}

/* Without what is shown no more. */
static int put_together(const struct work *w)
{
    struct tree fresh = { .arrivals = w->tree->arrivals };
    const struct work into = { w->agg, w->mem, &fresh };
    LEAT_TRY(insert_all(&into, w->tree, w->tree->root));
    leat__blob_forget(w->mem, &w->tree->nodes);
    leat__blob_forget(w->mem, &w->tree->texts);
    *w->tree = fresh;
    return 0;
}

static bool is_wasteful(const struct tree *tree)
{
    return (tree->free_count > REBUILD_NODES_MIN && tree->free_count > nodes_count(tree) / 4 * 3) ||
        (tree->garbage > REBUILD_TEXTS_MIN && tree->garbage > leat__blob_len(&tree->texts) / 2);
}

/* ---- records ---- */

struct search {
    const struct item *item;
    bool with_time, is_owed; /* of those with a count below zero, else above */
    uint32_t found; /* the last one */
};

static void search(const struct work *w, struct search *s, uint32_t n)
{
    if (!n)
        return;
    const struct node *node = node_at(w->tree, n);
    const int order = compare(w->agg, w->tree, s->item, s->with_time, n);
    if (order <= 0)
        search(w, s, node->left);
    if (order == 0 && (is_counted(w->agg) || (s->is_owed ? node->count < 0 : node->count > 0))) {
        const struct item other = item_of(w->agg, w->tree, node);
        if (is_counted(w->agg) ||
            (other.is_null == s->item->is_null &&
                (other.is_null || leat__value_cmp(w->agg->of_class, other.of, s->item->of) == 0)))
            s->found = n;
    }
    if (order >= 0)
        search(w, s, node->right);
}

static uint32_t find(const struct work *w, const struct item *item, bool is_owed)
{
    struct search s = { item, true, is_owed, 0 };
    search(w, &s, w->tree->root);
    s.with_time = false;
    if (!s.found && !is_counted(w->agg))
        search(w, &s, w->tree->root);
    return s.found;
}

/* `times` records, below zero: taken back. */
static int put(const struct work *w, const struct item *item, uint64_t arrival, int64_t times)
{
    struct tree *tree = w->tree;
    const bool looks = is_counted(w->agg) || times < 0 || tree->owed;
    const uint32_t n = looks ? find(w, item, times > 0) : 0;
    if (!n)
        return insert(w, item, arrival, times);
    struct node *node = node_at(tree, n);
    tree->owed -= node->count < 0;
    node->count += times;
    tree->owed += node->count < 0;
    tree->count += times;
    if (node->count == 0)
        remove_node(w, n);
    return is_wasteful(tree) ? put_together(w) : 0;
}

static int put_rows(const struct leat__agg_pass *pass, const struct leat__agg *agg, int64_t times)
{
    const struct leat__column_view *of = &pass->views[agg->column];
    const struct leat__column_view *by = agg->by != LEAT__NO_COLUMN ? &pass->views[agg->by] : NULL;
    const bool skips_null = !by; /* `of` may be null where another value is ordered by */
    for (uint32_t i = 0; i < pass->count; i++) {
        const uint32_t row = pass->rows[i];
        struct item item = { .is_null = of->nulls && of->nulls[row], .time = pass->batch->event_us[row] };
        if ((item.is_null && skips_null) || (by && by->nulls && by->nulls[row]))
            continue;
        if (!item.is_null)
            item.of = leat__value_read(agg->of_class, of, row);
        item.by = by ? leat__value_read(agg->by_class, by, row) : item.of;
        if (is_counted(agg))
            item.time = 0;
        struct tree *tree = (struct tree *)(void *)(pass->values[i] + agg->offset);
        const struct work w = { agg, &pass->mem, tree };
        const int code = put(&w, &item, is_counted(agg) ? 0 : tree->arrivals++, times);
        if (code < 0) {
            *pass->bad = row;
            return code;
        }
    }
    return 0;
}

static int add_tree(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return put_rows(pass, agg, 1);
}

static int retract_tree(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    return put_rows(pass, agg, -1);
}

/* Single records, that each may cancel what the other tree owes. */
static int put_all(const struct work *w, const struct tree *from, uint32_t n)
{
    if (!n)
        return 0;
    const struct node *node = node_at(from, n);
    LEAT_TRY(put_all(w, from, node->left));
    const struct item item = item_of(w->agg, from, node);
    const int64_t step = is_counted(w->agg) ? node->count : node->count < 0 ? -1 : 1;
    for (int64_t left = node->count; left != 0; left -= step)
        LEAT_TRY(put(w, &item, is_counted(w->agg) ? 0 : w->tree->arrivals + node->arrival, step));
    return put_all(w, from, node->right);
}

static int combine_tree(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct tree *other = from;
    const struct work w = { agg, mem, into };
    LEAT_TRY(put_all(&w, other, other->root));
    w.tree->arrivals += other->arrivals;
    return 0;
}

/* ---- results ---- */

/* What is given of the nodes in order. */
struct show {
    const struct leat__agg *agg;
    const struct tree *tree;
    const struct leat__agg_show *to;
    bool is_falling;
    uint64_t left; /* so many values are wanted still */
    unsigned char *item; /* the next one of the array, */
    char *text; /* or the next byte */
    bool is_first;
};

static int show_one(struct show *s, const struct item *item)
{
    const struct leat__agg *agg = s->agg;
    s->left--;
    if (agg->gives == LEAT__GIVES_VALUES) {
        unsigned char *at = s->item;
        s->item += agg->out.type->item->size;
        return leat__value_show(
            &agg->item, agg->of_class, is_counted(agg) ? item->by : item->of, s->to->out, at);
    }
    const struct leat_sv separator = s->is_first ? (struct leat_sv){ NULL, 0 } : agg->separator;
    if (separator.len)
        memcpy(s->text, separator.data, separator.len);
    if (item->of.text.len)
        memcpy(s->text + separator.len, item->of.text.data, item->of.text.len);
    s->text += separator.len + item->of.text.len;
    s->is_first = false;
    return 0;
}

static int show_nodes(struct show *s, uint32_t n)
{
    if (!n || s->left == 0)
        return 0;
    const struct node *node = node_at(s->tree, n);
    const struct item item = item_of(s->agg, s->tree, node);
    LEAT_TRY(show_nodes(s, s->is_falling ? node->right : node->left));
    for (int64_t i = 0; i < node->count && s->left; i++)
        LEAT_TRY(show_one(s, &item));
    return show_nodes(s, s->is_falling ? node->left : node->right);
}

struct sizes {
    uint64_t values, bytes;
};

static void measure(const struct leat__agg *agg, const struct tree *tree, uint32_t n, struct sizes *sizes)
{
    if (!n)
        return;
    const struct node *node = node_at(tree, n);
    measure(agg, tree, node->left, sizes);
    if (node->count > 0) {
        sizes->values += (uint64_t)node->count;
        sizes->bytes += (uint64_t)node->count * item_of(agg, tree, node).of.text.len;
    }
    measure(agg, tree, node->right, sizes);
}

static int show_array(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *to)
{
    const struct tree *tree = accumulator;
    struct show s = { .agg = agg, .tree = tree, .to = to, .is_falling = agg->kind == LEAT_AGGREGATE_TOP_N };
    struct sizes sizes = { (uint64_t)tree->count, 0 };
    if (tree->owed) {
        sizes.values = 0;
        measure(agg, tree, tree->root, &sizes);
    }
    s.left = agg->n && sizes.values > agg->n ? agg->n : sizes.values;
    LEAT_TRY(leat__array_show(agg, to, s.left, &s.item));
    return show_nodes(&s, tree->root);
}

static int show_joined(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *to)
{
    const struct tree *tree = accumulator;
    struct show s = { .agg = agg, .tree = tree, .to = to, .is_first = true };
    struct sizes sizes = { 0, 0 };
    measure(agg, tree, tree->root, &sizes);
    if (agg->nullable && sizes.values == 0) {
        leat__out_set_null(to->row, &agg->out);
        return 0;
    }
    const size_t len = sizes.bytes + (sizes.values ? sizes.values - 1 : 0) * agg->separator.len;
    char *text = s.text = leat__batch_alloc(to->out, len, 1);
    s.left = sizes.values;
    if (!text)
        return LEAT_ENOMEM;
    leat__out_set_view(to->row, &agg->out, (struct leat_sv){ text, len });
    return show_nodes(&s, tree->root);
}

/* The first node that is shown, from one end. */
static uint32_t outermost(const struct tree *tree, uint32_t n, bool is_last)
{
    if (!n)
        return 0;
    const struct node *node = node_at(tree, n);
    const uint32_t outer = outermost(tree, is_last ? node->right : node->left, is_last);
    if (outer)
        return outer;
    return node->count > 0 ? n : outermost(tree, is_last ? node->left : node->right, is_last);
}

/* The first node that is shown of those with this value. */
static uint32_t first_of(
    const struct leat__agg *agg, const struct tree *tree, uint32_t n, const struct item *item)
{
    if (!n)
        return 0;
    const struct node *node = node_at(tree, n);
    const int order = compare(agg, tree, item, false, n);
    const uint32_t before = order <= 0 ? first_of(agg, tree, node->left, item) : 0;
    if (before)
        return before;
    if (order == 0 && node->count > 0)
        return n;
    return order >= 0 ? first_of(agg, tree, node->right, item) : 0;
}

static int show_pick(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *to)
{
    const struct tree *tree = accumulator;
    const bool is_last = agg->kind == LEAT_AGGREGATE_LAST || agg->kind == LEAT_AGGREGATE_MAX ||
        agg->kind == LEAT_AGGREGATE_MAX_BY;
    uint32_t n = outermost(tree, tree->root, is_last);
    if (n && agg->kind == LEAT_AGGREGATE_MAX_BY) { /* ties: the earliest */
        const struct item last = item_of(agg, tree, node_at(tree, n));
        n = first_of(agg, tree, tree->root, &last);
    }
    const struct item item = n ? item_of(agg, tree, node_at(tree, n)) : (struct item){ .is_null = true };
    if (!item.is_null)
        return leat__value_show(
            &agg->out, agg->of_class, is_counted(agg) ? item.by : item.of, to->out, to->row);
    if (agg->nullable)
        leat__out_set_null(to->row, &agg->out);
    return 0;
}

/* ---- the families ---- */

static bool is_text_within(const struct tree *tree, enum leat_value_class value_class, uint64_t word)
{
    const uint32_t len = leat__blob_len(&tree->texts);
    return value_class != LEAT_VALUE_STRING || ((word >> 32) <= len && (uint32_t)word <= len - (word >> 32));
}

/* What is found on the way through a tree that may be damaged. */
struct check {
    const struct leat__agg *agg;
    const struct tree *tree;
    const struct node *before;
    uint32_t seen;
    uint64_t owed, count;
};

static bool check_node(struct check *c, uint32_t n)
{
    const struct leat__agg *agg = c->agg;
    const struct node *node = node_at(c->tree, n);
    const bool counted = is_counted(agg);
    if (!is_text_within(c->tree, has_by(agg) ? by_class(agg) : LEAT_VALUE_NULL, node->by) ||
        !is_text_within(c->tree, counted ? LEAT_VALUE_NULL : agg->of_class, node->of))
        return false;
    if (node->is_null > (agg->nullable && !counted) || node->count == 0 || !leat__agg_is_times(node->count) ||
        (!counted && node->count != 1 && node->count != -1))
        return false;
    if (c->before) {
        const struct item last = item_of(agg, c->tree, c->before);
        const int order = compare(agg, c->tree, &last, true, n);
        if (order > 0 || (order == 0 && c->before->arrival >= node->arrival))
            return false;
    }
    c->before = node;
    c->owed += node->count < 0;
    c->count += (uint64_t)node->count;
    return true;
}

static bool check_nodes(struct check *c, uint32_t n, uint32_t depth)
{
    if (!n)
        return true;
    if (n > nodes_count(c->tree) || depth > DEPTH_MAX || ++c->seen > nodes_count(c->tree))
        return false;
    return check_nodes(c, node_at(c->tree, n)->left, depth + 1) && check_node(c, n) &&
        check_nodes(c, node_at(c->tree, n)->right, depth + 1);
}

static bool check_tree(const struct leat__agg *agg, const void *accumulator)
{
    const struct tree *tree = accumulator;
    struct check c = { .agg = agg, .tree = tree };
    uint32_t free_seen = 0;
    if (leat__blob_len(&tree->nodes) % sizeof(struct node) || !check_nodes(&c, tree->root, 0))
        return false;
    for (uint32_t n = tree->free; n; n = node_at(tree, n)->left)
        if (n > nodes_count(tree) || ++free_seen > nodes_count(tree) - c.seen || node_at(tree, n)->count != 0)
            return false;
    return free_seen == tree->free_count && c.seen + free_seen == nodes_count(tree) && c.owed == tree->owed &&
        c.count == (uint64_t)tree->count;
}

#define FAMILY(name_, result_) \
    { \
        .name = (name_), .tag = "kept", .add = add_tree, .retract = retract_tree, .combine = combine_tree, \
        .result = (result_), .check = check_tree, .blobs_count = 2, \
        .blobs = { offsetof(struct tree, nodes), offsetof(struct tree, texts) }, .is_of_class = true \
    }
static const struct leat__agg_class least_class = FAMILY("multiset", show_pick);
static const struct leat__agg_class top_class = FAMILY("multiset", show_array);
static const struct leat__agg_class pick_class = FAMILY("values", show_pick);
static const struct leat__agg_class list_class = FAMILY("values", show_array);
static const struct leat__agg_class join_class = FAMILY("values", show_joined);

bool leat__agg_choose_tree(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    agg->keeps_bit = false;
    switch (agg->kind) {
    case LEAT_AGGREGATE_STRING_JOIN:
        return leat__agg_set_family(agg, &join_class, sizeof(struct tree), LEAT__GIVES_TEXT);
    case LEAT_AGGREGATE_TOP_N:
    case LEAT_AGGREGATE_BOTTOM_N:
        return leat__agg_set_family(agg, &top_class, sizeof(struct tree), LEAT__GIVES_VALUES);
    case LEAT_AGGREGATE_COLLECT_LIST:
        return leat__agg_set_family(agg, &list_class, sizeof(struct tree), LEAT__GIVES_VALUES);
    case LEAT_AGGREGATE_MIN:
    case LEAT_AGGREGATE_MAX:
        return leat__agg_set_family(agg, &least_class, sizeof(struct tree), LEAT__GIVES_VALUE);
    default:
        return leat__agg_set_family(agg, &pick_class, sizeof(struct tree), LEAT__GIVES_VALUE);
    }
}
