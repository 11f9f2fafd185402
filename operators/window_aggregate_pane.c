/* operators/window_aggregate_pane.c -- panes of a window and key, and how its value lies in state.
 *
 * A pane is given when the window has contents: in accumulating mode all of them so far, in discarding mode those
 * since the last pane. In retracting mode the value keeps a copy of what the last pane was made of: only so can
 * that pane be given again. A purge does not forget the copy: whoever has the pane still has it. */
#include "operators/window_aggregate_private.h"

/* ---- the value ---- */

/* Before the accumulators: the pane's kind and, from bit 8 on, its index; 0: none was given. */
#define GIVEN_BYTES sizeof(uint64_t)
#define GIVEN_KIND UINT64_C(0xff)
#define GIVEN_INDEX_SHIFT 8u

void leat__win_lay_out(struct leat__win *a, const struct leat_node *node)
{
    struct leat__win_layout *layout = &a->layout;
    uint32_t size = a->has_head ? (uint32_t)sizeof(struct leat__aggregate_head) : 0;
    if (a->plan.user) {
        layout->user = size;
        size += (uint32_t)sizeof(uint64_t) + ((a->plan.user->state_size + 7u) & ~7u);
    }
    layout->values = (struct leat__value_layout){ a->spec, size, node };
    size += a->spec->values_size;
    if (a->spec->window.accumulation == LEAT_RETRACTING) {
        layout->given = size;
        size += (uint32_t)GIVEN_BYTES + a->spec->values_size;
    }
    layout->size = size;
}

static int encode_with_given(void *arg, const void *value, struct leat_strbuf *out)
{
    const struct leat__win_layout *layout = arg;
    const unsigned char *bytes = value;
    leat__strbuf_add(out, bytes, layout->values.base);
    LEAT_TRY(leat__agg_encode_values(layout->values.spec, bytes + layout->values.base, out));
    leat__strbuf_add(out, bytes + layout->given, GIVEN_BYTES);
    return leat__agg_encode_values(layout->values.spec, bytes + layout->given + GIVEN_BYTES, out);
}

static int decode_with_given(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value)
{
    const struct leat__win_layout *layout = arg;
    const struct leat__aggregate_spec *spec = layout->values.spec;
    const uint32_t base = layout->values.base;
    const struct leat__agg_memory mem = { table, ns, NULL };
    unsigned char *bytes = value;
    size_t used, given_used;
    if (len < base)
        return LEAT_EDATA;
    memcpy(bytes, data, base);
    LEAT_TRY(leat__agg_decode_values(spec, &mem, data + base, len - base, bytes + base, &used));
    used += base;
    if (len - used < GIVEN_BYTES)
        return LEAT_EDATA;
    memcpy(bytes + layout->given, data + used, GIVEN_BYTES);
    used += GIVEN_BYTES;
    LEAT_TRY(leat__agg_decode_values(
        spec, &mem, data + used, len - used, bytes + layout->given + GIVEN_BYTES, &given_used));
    return used + given_used == len ? 0 : LEAT_EDATA;
}

/* ---- the table ---- */

static void print_windows(const struct leat__win *a, struct leat_strbuf *out)
{
    static const char *const units[] = { "", "day", "week", "month", "year" };
    const struct leat_window_opts *o = &a->spec->window;
    switch (o->kind) {
    case LEAT_WINDOW_HOPPING:
        leat__strbuf_printf(out, "v1; hopping %lld us every %lld us from %lld us", (long long)o->size_us,
            (long long)o->slide_us, (long long)a->assigner->offset);
        break;
    case LEAT_WINDOW_CUMULATING:
        leat__strbuf_printf(out, "v1; cumulating %lld us by %lld us from %lld us", (long long)o->size_us,
            (long long)o->step_us, (long long)a->assigner->offset);
        break;
    case LEAT_WINDOW_CALENDAR:
        leat__strbuf_printf(out, "v1; calendar %s in %s", units[o->unit], o->zone ? o->zone : "UTC");
        break;
    default:
        leat__strbuf_str(out, "v1; global");
        break;
    }
    if (a->has_head)
        leat__strbuf_str(out, "; head");
    leat__agg_print_aggs(a->spec, out);
}

static void print_format(const struct leat__win *a, struct leat_strbuf *out)
{
    if (a->spec->window.kind == LEAT_WINDOW_TUMBLING)
        leat__agg_print_format(a->spec, a->has_head, out);
    else
        print_windows(a, out);
    if (a->layout.user)
        leat__strbuf_printf(out, "; trigger %s of %u bytes", a->plan.user->name, a->plan.user->state_size);
    if (a->layout.given)
        leat__strbuf_str(out, "; the last pane");
}

/* Values that are nothing but sums can be added up by whoever finds two of them. */
static void set_codec(const struct leat__win *a, struct leat_value_codec *codec)
{
    const bool is_plain = !a->layout.user && !a->layout.given;
    codec->arg = (void *)(uintptr_t)&a->layout.values; /* which the layout begins with */
    if (a->spec->has_memory) {
        codec->encode = a->layout.given ? encode_with_given : leat__agg_encode;
        codec->decode = a->layout.given ? decode_with_given : leat__agg_decode;
    }
    if (is_plain && leat__agg_is_mergeable(a->spec))
        codec->merge = leat__agg_merge;
}

int leat__win_open_table(struct leat__win *a, struct leat__ctx *ctx)
{
    struct leat_strbuf format = { 0 };
    print_format(a, &format);
    struct leat_table_opts opts = {
        .node = ctx->node->name,
        .name = "windows",
        .kind = LEAT_TABLE_FIXED,
        .key_size = leat__key_fixed_size(a->spec->key),
        .value_size = a->layout.size,
        .key_text = a->spec->key_types,
        .format = format.data,
        .accept_schema = leat__value_accept_schema,
        .schema = a->spec->schemas,
        .counted = true,
    };
    set_codec(a, &opts.codec);
    const int code = format.failed ? leat__error(ctx->error, LEAT_ENOMEM, "out of memory for a table")
                                   : leat__table_open(ctx->state, &opts, &a->table, ctx->error);
    leat__strbuf_release(&format);
    return code < 0 ? leat__fail_here(ctx) : 0;
}

/* ---- panes ---- */

static uint64_t *given_of(const struct leat__win *a, unsigned char *values)
{
    return (uint64_t *)(void *)(values - a->layout.values.base + a->layout.given);
}

/* What the pane was made of takes the place of what the last one was. */
static int keep_given(struct leat__win *a, const struct leat__pane *pane, unsigned char *values)
{
    const struct leat__agg_memory mem = { a->table, leat__window_ns(a->assigner, &pane->window), NULL };
    uint64_t *which = given_of(a, values);
    unsigned char *given = (unsigned char *)(which + 1);
    if (*which)
        leat__agg_forget(a->spec, &mem, given);
    memset(given, 0, a->spec->values_size);
    *which = (uint64_t)pane->kind | pane->index << GIVEN_INDEX_SHIFT;
    const int code = leat__agg_copy_values(a->spec, &mem, given, values);
    return code < 0 ? leat__fail(a->ctx, code, "a pane that may be retracted: %s", leat_error_text(code)) : 0;
}

/* 1: given; 0: refused by a callback. */
static int give_retracting(
    struct leat__win *a, const struct leat__pane *pane, uint64_t hash, unsigned char *values, bool last)
{
    const uint64_t which = *given_of(a, values);
    struct leat__pane before = *pane;
    int given;
    if (which) {
        before.kind = (enum leat_pane)(which & GIVEN_KIND);
        before.index = which >> GIVEN_INDEX_SHIFT;
        given = leat__run_replace(
            &a->run, a->ctx, &before, (const unsigned char *)(given_of(a, values) + 1), pane, hash, values);
    } else
        given = leat__run_give(&a->run, a->ctx, pane, hash, values);
    if (given <= 0 || last)
        return given;
    LEAT_TRY(keep_given(a, pane, values));
    return 1;
}

int leat__win_give(
    struct leat__win *a, const struct leat__pane *pane, uint64_t hash, unsigned char *values, bool last)
{
    struct leat__aggregate_head none = { 1, 0 };
    struct leat__aggregate_head *head = a->has_head ? leat__win_head(a, values) : &none;
    const bool discarding = a->spec->window.accumulation == LEAT_DISCARDING;
    const bool is_empty = a->layout.user && (*leat__win_flags(a, values) & LEAT__WIN_EMPTY);
    struct leat__pane this_one = *pane;
    /* Rule 24; a key all whose rows were refused; and one that was purged. */
    if (is_empty || (head->since == 0 && (discarding || head->panes == 0))) {
        head->since = 0;
        return 0;
    }
    this_one.index = head->panes;
    const int given = a->layout.given ? give_retracting(a, &this_one, hash, values, last)
                                      : leat__run_give(&a->run, a->ctx, &this_one, hash, values);
    if (given < 0)
        return given;
    head->panes++;
    head->since = 0;
    if (discarding && a->has_head)
        leat__agg_reset(a->spec, values);
    return 0;
}

void leat__win_purge(struct leat__win *a, unsigned char *values)
{
    leat__agg_reset(a->spec, values);
    *leat__win_flags(a, values) |= LEAT__WIN_EMPTY;
}

void leat__win_lose(struct leat__win *a, unsigned char *values)
{
    if (!a->has_head)
        return;
    leat__win_head(a, values)->since = 0;
    if (a->spec->window.accumulation == LEAT_DISCARDING)
        leat__agg_reset(a->spec, values);
}
