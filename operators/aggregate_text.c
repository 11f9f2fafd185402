/* operators/aggregate_text.c -- min and max of strings: the string itself, in a blob that is written over where
 * the next one fits. */
#include "operators/aggregate_class_private.h"

static bool replaces(const struct leat__agg *agg, const struct leat__agg_blob *text, struct leat_sv string)
{
    if (!text->len_plus_1)
        return true;
    const int order = leat_sv_cmp(string, leat__blob_sv(text));
    return agg->kind == LEAT_AGGREGATE_MAX ? order > 0 : order < 0;
}

static int add_text(const struct leat__agg_pass *pass, const struct leat__agg *agg)
{
    EACH_VALUE(pass, agg, struct leat_sv, struct leat__agg_blob, in, text, {
        const int code = replaces(agg, text, in) ? leat__blob_set(&pass->mem, text, in) : 0;
        if (code < 0) {
            *pass->bad = row_;
            return code;
        }
    });
    return 0;
}

static int combine_text(
    const struct leat__agg *agg, const struct leat__agg_memory *mem, void *into, const void *from)
{
    const struct leat__agg_blob *other = from;
    if (!other->len_plus_1 || !replaces(agg, into, leat__blob_sv(other)))
        return 0;
    return leat__blob_set(mem, into, leat__blob_sv(other));
}

static int show_text(const struct leat__agg *agg, const void *accumulator, const struct leat__agg_show *show)
{
    const bool done = leat__out_set_bytes(show->out, show->row, &agg->out, leat__blob_sv(accumulator));
    return done ? 0 : LEAT_ENOMEM;
}

static const struct leat__agg_class min_text = { "min text", NULL, add_text, NULL, combine_text, NULL,
    show_text, NULL, 1, { 0 } };
static const struct leat__agg_class max_text = { "max text", NULL, add_text, NULL, combine_text, NULL,
    show_text, NULL, 1, { 0 } };

bool leat__agg_choose_text(struct leat__agg *agg, const struct leat__aggregate_spec *spec)
{
    (void)spec;
    agg->family = agg->kind == LEAT_AGGREGATE_MAX ? &max_text : &min_text;
    agg->size = sizeof(struct leat__agg_blob);
    agg->gives = LEAT__GIVES_VALUE;
    agg->keeps_bit = true;
    return agg->of_class == LEAT_VALUE_STRING;
}
