/* record/resolve_match.c -- which types of a writer can be read as which of a reader, and why not.
 *
 * Names fit when they are equal, when the reader's type has the writer's name as an alias, or when the parts
 * without name space are equal (or an alias without its). Fixed types need equal sizes too; arrays and maps
 * fit when their items do; a union fits when one of its branches does. */
#include "record/decode_private.h"

static const char *simple_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static enum leat__match match_names(const struct leat_schema_node *w, const struct leat_schema_node *r)
{
    enum leat__match best = LEAT__MATCH_NONE;
    if (strcmp(w->name, r->name) == 0)
        return LEAT__MATCH_EXACT;
    if (strcmp(w->simple_name, r->simple_name) == 0)
        best = LEAT__MATCH_NAME;
    for (uint32_t i = 0; i < r->aliases_count; i++) {
        if (strcmp(w->name, r->aliases[i]) == 0)
            return LEAT__MATCH_EXACT;
        if (strcmp(w->simple_name, simple_of(r->aliases[i])) == 0)
            best = LEAT__MATCH_NAME;
    }
    return best;
}

bool leat__resolve_match_names(const struct leat_schema_node *w, const struct leat_schema_node *r)
{
    return match_names(w, r) != LEAT__MATCH_NONE;
}

static bool is_promotable(enum leat_kind w, enum leat_kind r)
{
    switch (w) {
    case LEAT_KIND_INT:
        return r == LEAT_KIND_LONG || r == LEAT_KIND_FLOAT || r == LEAT_KIND_DOUBLE;
    case LEAT_KIND_LONG:
        return r == LEAT_KIND_FLOAT || r == LEAT_KIND_DOUBLE;
    case LEAT_KIND_FLOAT:
        return r == LEAT_KIND_DOUBLE;
    case LEAT_KIND_STRING:
        return r == LEAT_KIND_BYTES;
    case LEAT_KIND_BYTES:
        return r == LEAT_KIND_STRING;
    default:
        return false;
    }
}

static enum leat__match best_of(enum leat__match a, enum leat__match b)
{
    return a > b ? a : b;
}

enum leat__match leat__resolve_match(const struct leat_schema_node *w, const struct leat_schema_node *r)
{
    enum leat__match best = LEAT__MATCH_NONE;
    if (w->kind == LEAT_KIND_UNION) {
        for (uint32_t i = 0; i < w->branches_count; i++)
            best = best_of(best, leat__resolve_match(w->branches[i], r));
        return best;
    }
    if (r->kind == LEAT_KIND_UNION) {
        for (uint32_t i = 0; i < r->branches_count; i++)
            best = best_of(best, leat__resolve_match(w, r->branches[i]));
        return best;
    }
    if (w->kind != r->kind)
        return is_promotable(w->kind, r->kind) ? LEAT__MATCH_PROMOTED : LEAT__MATCH_NONE;
    switch (w->kind) {
    case LEAT_KIND_FIXED:
        return w->fixed_size == r->fixed_size ? match_names(w, r) : LEAT__MATCH_NONE;
    case LEAT_KIND_RECORD:
    case LEAT_KIND_ENUM:
        return match_names(w, r);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return leat__resolve_match(w->item, r->item);
    default:
        return LEAT__MATCH_EXACT;
    }
}

/* "long", "record a.B", "array of string". */
static void describe(struct leat_strbuf *out, const struct leat_schema_node *node)
{
    if (node->kind == LEAT_KIND_RECORD || node->kind == LEAT_KIND_ENUM || node->kind == LEAT_KIND_FIXED)
        leat__strbuf_printf(out, "%s ", leat__kind_name(node->kind));
    if (node->kind != LEAT_KIND_UNION)
        leat__strbuf_str(out, node->name);
    for (uint32_t i = 0; node->kind == LEAT_KIND_UNION && i < node->branches_count; i++) {
        leat__strbuf_str(out, i ? " or " : "");
        leat__strbuf_str(out, node->branches[i]->name);
    }
    if (node->kind == LEAT_KIND_ARRAY || node->kind == LEAT_KIND_MAP) {
        leat__strbuf_str(out, " of ");
        describe(out, node->item);
    }
}

int leat__resolve_mismatch(
    const struct leat_schema_node *w, const struct leat_schema_node *r, struct leat_error *err)
{
    struct leat_strbuf from = { 0 }, to = { 0 };
    describe(&from, w);
    describe(&to, r);
    const char *a = from.data ? from.data : "", *b = to.data ? to.data : "";
    const bool named = w->kind == r->kind &&
        (w->kind == LEAT_KIND_RECORD || w->kind == LEAT_KIND_ENUM || w->kind == LEAT_KIND_FIXED);
    if (named && match_names(w, r) == LEAT__MATCH_NONE)
        (void)leat__error(err, LEAT_ESCHEMA,
            "%s of the data can not be read as %s: the names differ; add \"aliases\": [\"%s\"] to the latter",
            a, b, w->name);
    else if (named)
        (void)leat__error(err, LEAT_ESCHEMA, "%s has %u bytes in the data, but %u in the reader's schema", a,
            w->fixed_size, r->fixed_size);
    else
        (void)leat__error(err, LEAT_ESCHEMA, "%s in the data can not be read as %s", a, b);
    leat__strbuf_release(&from);
    leat__strbuf_release(&to);
    return LEAT_ESCHEMA;
}

int leat__resolve_logical(
    const struct leat_schema_node *w, const struct leat_schema_node *r, struct leat_error *err)
{
    const int from = leat__logical_unit(w->logical), to = leat__logical_unit(r->logical);
    if (from && to && from != to)
        return leat__error(err, LEAT_ESCHEMA,
            "%s in the data can not be read as %s: the numbers mean other times",
            leat__logical_name(w->logical), leat__logical_name(r->logical));
    if (w->logical == LEAT_LOGICAL_DECIMAL && r->logical == LEAT_LOGICAL_DECIMAL && w->scale != r->scale)
        return leat__error(err, LEAT_ESCHEMA, "decimal of scale %d in the data can not be read with scale %d",
            w->scale, r->scale);
    return 0;
}
