/* tests/integration/jobs/guide_records.c -- the program of docs/guide/records.md: labels for parcels. Its
 * snippets are in the guide word for word (tools/check-snippets), and so is what it prints
 * (tests/integration/test-guide).
 *
 *   guide_records [leat's options]      reads deliveries from deliveries.jsonl, writes labels to standard
 * output */
#include "delivery.h"
#include "label.h"
#include <leat/leat.h>
#include <stdio.h>

/* A nullable field: look at the flag first. */
static bool is_heavy(const struct delivery *d)
{
    return d->has_weight_g && d->weight_g > 30000;
}

/* A union: the tag says which member of `as` is there. */
static void find_payer(struct leat_ctx *ctx, const struct delivery *d, struct label *label)
{
    switch (d->paid_by.tag) {
    case DELIVERY_PAID_BY_STRING:
        label->has_payer = true;
        label->payer = d->paid_by.as.string; /* a view: nothing is copied */
        break;
    case DELIVERY_PAID_BY_CARD:
        label->has_payer = true;
        label->payer = leat_printf(
            ctx, "card ...%.*s", (int)d->paid_by.as.card.digits.len, d->paid_by.as.card.digits.data);
        break;
    default: /* DELIVERY_PAID_BY_NULL: the record starts zeroed, so has_payer is false */
        break;
    }
}

/* An array to read, and one to make: its items live in memory that leat_alloc gives. */
static void count_items(struct leat_ctx *ctx, const struct delivery *d, struct label *label)
{
    struct item *many = leat_alloc(ctx, d->items.count * sizeof *many);
    size_t count = 0;
    if (!many)
        return; /* out of memory: the job fails, nothing more to do here */
    for (size_t i = 0; i < d->items.count; i++) {
        const struct item *item = delivery_items_at(d->items, i);
        label->pieces += item->count;
        if (item->count >= 10)
            many[count++] = *item;
    }
    label->many = (struct leat_array){ many, count };
}

/* A map: entries in the order of the data. */
static struct leat_sv find_tag(const struct delivery *d, struct leat_sv key)
{
    for (size_t i = 0; i < d->tags.count; i++) {
        const struct delivery_tags_entry *entry = delivery_tags_at(d->tags, i);
        if (leat_sv_eq(entry->key, key))
            return entry->value;
    }
    return LEAT_SV("");
}

static void make_label(struct leat_ctx *ctx, const struct delivery *d, struct label *label)
{
    if (d->sent_at == 0)
        leat_fail(ctx, "delivery %lld was never sent", (long long)d->id);
    label->id = d->id;
    label->address = leat_printf(
        ctx, "%.*s, %.*s", (int)d->to.street.len, d->to.street.data, (int)d->to.city.len, d->to.city.data);
    find_payer(ctx, d, label);
    count_items(ctx, d, label);
    label->has_remark = is_heavy(d) || leat_sv_eq(find_tag(d, LEAT_SV("fragile")), LEAT_SV("yes"));
    label->remark =
        is_heavy(d) ? LEAT_SV("two persons") : LEAT_SV("with care"); /* static text is fine, too */
}
LEAT_DEFINE_MAP(make_label, delivery, label);

/* The second door to the same memory: by name, for programs that do not know the type when they are compiled.
 */
static void print_field(const void *record, const struct leat_type *type, const char *path)
{
    struct leat_place place;
    struct leat_error err = { 0 };
    int64_t number;
    if (leat_record_find(type, path, &place, &err) < 0)
        printf("%s\n", err.message); /* ... did you mean ...? */
    else if (leat_record_is_null(record, &place))
        printf("%s is null\n", path);
    else if (leat_record_get_i64(record, &place, &number) == 0)
        printf("%s = %lld\n", path, (long long)number);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--by-name") == 0) {
        const struct delivery d = { .id = 7, .has_weight_g = true, .weight_g = 250 };
        print_field(&d, &delivery_type, "weight_g");
        print_field(&d, &delivery_type, "to.cty");
        return 0;
    }
    leat_topology *t = leat_topology_new("labels");
    leat_stream *deliveries = leat_file_source(t, "deliveries",
        &(struct leat_file_source_opts){ .path = "deliveries.jsonl", .type = &delivery_type });
    leat_stream *labels = leat_on_error(leat_map(deliveries, "make-labels", &make_label_map), LEAT_SKIP);
    leat_file_sink(
        labels, "labels", &(struct leat_file_sink_opts){ .path = "-", .format = LEAT_FORMAT_JSON });
    return leat_main(argc, argv, t, NULL);
}
