/* record/compatible.c -- whether data of one schema can be read with another.
 *
 * Both trees are walked together. A pair of records that is being compared counts as well: what refers to itself fits unless
 * something else does not. Results of pairs are kept, so that the walk is bounded by the product of the two schemas. */
#include "record/compatible.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "record/decode_private.h"
#include <stdio.h>
#include <strings.h>

#define DEPTH_MAX 1000u
#define PAIRS_MAX (64u * 1024u * 1024u)

enum pair_state { PAIR_UNKNOWN = 0, PAIR_FITS, PAIR_DIFFERS };

struct comparison {
    struct leat_incompatibilities *found; /* NULL while branches are tried: nothing is told */
    struct leat_strbuf path;
    uint8_t *pairs; /* by reader's id * writer's nodes + writer's id */
    uint32_t writer_nodes;
    uint32_t depth;
    bool logical;
    int code;
    struct leat_error *err;
};

static bool compare(struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w);

static bool fail(struct comparison *c, int code, const char *text)
{
    if (c->code == 0)
        c->code = leat__error(c->err, code, "%s", text);
    return false;
}

static void keep(struct comparison *c, enum leat_incompatible kind, const char *text)
{
    struct leat_incompatibilities *found = c->found;
    if (found->count == found->capacity) {
        const uint32_t capacity = found->capacity ? found->capacity * 2 : 8;
        struct leat_incompatibility *list = leat__arena_array(&found->arena, capacity, sizeof *list);
        if (!list) {
            (void)fail(c, LEAT_ENOMEM, "out of memory for differences of schemas");
            return;
        }
        if (found->count)
            memcpy(list, found->list, found->count * sizeof *list);
        found->list = list;
        found->capacity = capacity;
    }
    struct leat_incompatibility *one = &found->list[found->count];
    one->kind = kind;
    one->path = leat__arena_str(&found->arena, c->path.len ? c->path.data : "/");
    one->text = text;
    if (!one->path || !one->text)
        (void)fail(c, LEAT_ENOMEM, "out of memory for differences of schemas");
    else
        found->count++;
}

/* Puts a step behind the path; what to cut it back to with leave. */
static size_t enter(struct comparison *c, const char *step)
{
    const size_t len = c->path.len;
    leat__strbuf_str(&c->path, step);
    return len;
}

static void leave(struct comparison *c, size_t len)
{
    if (c->path.failed)
        (void)fail(c, LEAT_ENOMEM, "out of memory for differences of schemas");
    else if (c->path.data)
        c->path.data[c->path.len = len] = '\0';
}

/* Tells it of a part of the node ("/name", or "" for all of it), unless branches are only tried; false. */
static bool differs(struct comparison *c, const char *step, enum leat_incompatible kind, const char *format,
    ...) LEAT_PRINTF(4, 5);
static bool differs(
    struct comparison *c, const char *step, enum leat_incompatible kind, const char *format, ...)
{
    struct leat_strbuf text = { 0 };
    va_list args;
    if (!c->found)
        return false;
    va_start(args, format);
    leat__strbuf_vprintf(&text, format, args);
    va_end(args);
    const size_t len = enter(c, step);
    keep(c, kind, text.failed ? NULL : leat__arena_str(&c->found->arena, text.data));
    leave(c, len);
    leat__strbuf_release(&text);
    return false;
}

/* Compares what lies below, with its step in the path. */
static bool compare_below(struct comparison *c, const char *step, const struct leat_schema_node *r,
    const struct leat_schema_node *w)
{
    const size_t len = enter(c, step);
    const bool fits = compare(c, r, w);
    leave(c, len);
    return fits;
}

static bool is_called(const struct leat_schema_field *field, const char *name)
{
    if (strcmp(field->name, name) == 0)
        return true;
    for (uint32_t i = 0; i < field->aliases_count; i++)
        if (strcmp(field->aliases[i], name) == 0)
            return true;
    return false;
}

static const struct leat_schema_field *find_writers(
    const struct leat_schema_field *field, const struct leat_schema_node *w)
{
    for (uint32_t i = 0; i < w->fields_count; i++)
        if (strcmp(field->name, w->fields[i].name) == 0)
            return &w->fields[i];
    for (uint32_t i = 0; i < w->fields_count; i++)
        if (is_called(field, w->fields[i].name))
            return &w->fields[i];
    return NULL;
}

static bool compare_fields(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    bool fits = true;
    for (uint32_t i = 0; i < r->fields_count && c->code == 0; i++) {
        const struct leat_schema_field *field = &r->fields[i], *from = find_writers(field, w);
        char step[32];
        (void)snprintf(step, sizeof step, "/fields/%u%s", i, from ? "/type" : "");
        if (from) {
            fits = compare_below(c, step, field->node, from->node) && fits;
        } else if (!field->has_default) {
            fits = differs(c, step, LEAT_INCOMPATIBLE_FIELD,
                "field \"%s\" of %s is not in the data and has no default: give it one", field->name,
                r->name);
        }
    }
    return fits;
}

static bool compare_records(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    uint8_t *pair = &c->pairs[(size_t)r->id * c->writer_nodes + w->id];
    if (*pair == PAIR_FITS || (*pair == PAIR_DIFFERS && !c->found))
        return *pair == PAIR_FITS;
    *pair = PAIR_FITS; /* while it is compared */
    const bool fits = compare_fields(c, r, w);
    *pair = fits ? PAIR_FITS : PAIR_DIFFERS;
    return fits;
}

static bool compare_symbols(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    struct leat_strbuf missing = { 0 };
    for (uint32_t i = 0; i < w->symbols_count && r->default_symbol < 0; i++) {
        bool has = false;
        for (uint32_t k = 0; k < r->symbols_count && !has; k++)
            has = strcmp(w->symbols[i], r->symbols[k]) == 0;
        if (!has)
            leat__strbuf_printf(&missing, "%s%s", missing.len ? ", " : "", w->symbols[i]);
    }
    const bool fits = missing.len == 0;
    if (!fits)
        (void)differs(c, "/symbols", LEAT_INCOMPATIBLE_SYMBOLS,
            "symbols of the data are not in enum %s, which has no default either: %s", r->name, missing.data);
    leat__strbuf_release(&missing);
    return fits;
}

static bool compare_named(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    bool fits = leat__resolve_match_names(w, r);
    if (!fits)
        (void)differs(c, "/name", LEAT_INCOMPATIBLE_NAME,
            "%s of the data is called %s by the reader: add \"aliases\": [\"%s\"]", w->name, r->name,
            w->name);
    if (r->kind == LEAT_KIND_FIXED && r->fixed_size != w->fixed_size)
        return differs(c, "/size", LEAT_INCOMPATIBLE_SIZE,
            "%s has %u bytes in the data, but %u to the reader", r->name, w->fixed_size, r->fixed_size);
    if (r->kind == LEAT_KIND_RECORD)
        return compare_records(c, r, w) && fits;
    return r->kind == LEAT_KIND_ENUM ? compare_symbols(c, r, w) && fits : fits;
}

/* Whether some branch of the reader takes the writer's type. */
static bool takes(struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    struct leat_incompatibilities *found = c->found;
    bool any = false;
    c->found = NULL;
    for (uint32_t i = 0; i < r->branches_count && !any; i++)
        any = compare(c, r->branches[i], w);
    c->found = found;
    return any;
}

static bool compare_unions(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    bool fits = true;
    if (w->kind != LEAT_KIND_UNION)
        return takes(c, r, w) ||
            differs(c, "", LEAT_INCOMPATIBLE_BRANCH, "no branch of the reader's union takes %s of the data",
                w->name);
    for (uint32_t i = 0; i < w->branches_count; i++) {
        char step[16];
        (void)snprintf(step, sizeof step, "/%u", i);
        if (r->kind != LEAT_KIND_UNION)
            fits = compare(c, r, w->branches[i]) && fits;
        else if (!takes(c, r, w->branches[i]))
            fits = differs(c, step, LEAT_INCOMPATIBLE_BRANCH,
                "no branch of the reader's union takes %s of the data", w->branches[i]->name);
    }
    return fits;
}

static bool compare_logical(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    struct leat_error why = { 0 };
    if (!c->logical || leat__resolve_logical(w, r, &why) == 0)
        return true;
    return differs(c, "", LEAT_INCOMPATIBLE_LOGICAL, "%s", why.message);
}

static bool compare_kinds(
    struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    if (r->kind == LEAT_KIND_UNION || w->kind == LEAT_KIND_UNION)
        return compare_unions(c, r, w);
    if (r->kind != w->kind && leat__resolve_match(w, r) == LEAT__MATCH_NONE)
        return differs(
            c, "", LEAT_INCOMPATIBLE_TYPE, "%s in the data can not be read as %s", w->name, r->name);
    switch (r->kind == w->kind ? r->kind : LEAT_KIND_NULL) {
    case LEAT_KIND_RECORD:
    case LEAT_KIND_ENUM:
    case LEAT_KIND_FIXED:
        return compare_named(c, r, w) && compare_logical(c, r, w);
    case LEAT_KIND_ARRAY:
        return compare_below(c, "/items", r->item, w->item);
    case LEAT_KIND_MAP:
        return compare_below(c, "/values", r->item, w->item);
    default:
        return compare_logical(c, r, w);
    }
}

static bool compare(struct comparison *c, const struct leat_schema_node *r, const struct leat_schema_node *w)
{
    if (c->code < 0)
        return false;
    if (c->depth == DEPTH_MAX)
        return fail(c, LEAT_ELIMIT, "these schemas refer to themselves too deeply to be compared");
    c->depth++;
    const bool fits = compare_kinds(c, r, w);
    c->depth--;
    return fits;
}

int leat__schema_can_read(const struct leat_schema *reader, const struct leat_schema *writer, bool logical,
    struct leat_incompatibilities *found, struct leat_error *err)
{
    struct comparison c = {
        .found = found, .writer_nodes = writer->nodes_count, .logical = logical, .err = err
    };
    const uint64_t pairs = (uint64_t)reader->nodes_count * writer->nodes_count;
    if (pairs > PAIRS_MAX)
        return leat__error(err, LEAT_ELIMIT, "schemas of %u and %u types are too large to be compared",
            reader->nodes_count, writer->nodes_count);
    c.pairs = leat__calloc(1, pairs);
    if (!c.pairs)
        return leat__error(err, LEAT_ENOMEM, "out of memory for comparing schemas");
    (void)compare(&c, reader->root, writer->root);
    leat__strbuf_release(&c.path);
    leat__free(c.pairs);
    return c.code;
}

void leat__incompatibilities_release(struct leat_incompatibilities *found)
{
    leat__arena_release(&found->arena);
    *found = (struct leat_incompatibilities){ 0 };
}

const char *leat__incompatible_word(enum leat_incompatible kind)
{
    static const char *const words[] = {
        [LEAT_INCOMPATIBLE_TYPE] = "TYPE_MISMATCH",
        [LEAT_INCOMPATIBLE_NAME] = "NAME_MISMATCH",
        [LEAT_INCOMPATIBLE_SIZE] = "FIXED_SIZE_MISMATCH",
        [LEAT_INCOMPATIBLE_SYMBOLS] = "MISSING_ENUM_SYMBOLS",
        [LEAT_INCOMPATIBLE_FIELD] = "READER_FIELD_MISSING_DEFAULT_VALUE",
        [LEAT_INCOMPATIBLE_BRANCH] = "MISSING_UNION_BRANCH",
        [LEAT_INCOMPATIBLE_LOGICAL] = "LOGICAL_TYPE_MISMATCH",
    };
    return words[kind];
}

/* ---- levels ---- */

static const struct level {
    const char *word;
    bool backward, forward, transitive;
} levels[] = {
    [LEAT_COMPATIBILITY_NONE] = { "NONE", false, false, false },
    [LEAT_COMPATIBILITY_BACKWARD] = { "BACKWARD", true, false, false },
    [LEAT_COMPATIBILITY_BACKWARD_TRANSITIVE] = { "BACKWARD_TRANSITIVE", true, false, true },
    [LEAT_COMPATIBILITY_FORWARD] = { "FORWARD", false, true, false },
    [LEAT_COMPATIBILITY_FORWARD_TRANSITIVE] = { "FORWARD_TRANSITIVE", false, true, true },
    [LEAT_COMPATIBILITY_FULL] = { "FULL", true, true, false },
    [LEAT_COMPATIBILITY_FULL_TRANSITIVE] = { "FULL_TRANSITIVE", true, true, true },
};

const char *leat__compatibility_word(enum leat_compatibility level)
{
    return levels[level].word;
}

enum leat_compatibility leat__compatibility_find(const char *word)
{
    for (int i = LEAT_COMPATIBILITY_NONE; i <= LEAT_COMPATIBILITY_FULL_TRANSITIVE; i++)
        if (strcasecmp(word, levels[i].word) == 0)
            return (enum leat_compatibility)i;
    return (enum leat_compatibility)0;
}

int leat__schema_may_follow(enum leat_compatibility level, const struct leat_schema *next,
    const struct leat_schema *const *before, uint32_t count, bool logical,
    struct leat_incompatibilities *found, struct leat_error *err)
{
    const struct level *l = &levels[level];
    for (uint32_t i = l->transitive || count == 0 ? 0 : count - 1; i < count; i++) {
        if (l->backward)
            LEAT_TRY(leat__schema_can_read(next, before[i], logical, found, err));
        if (l->forward)
            LEAT_TRY(leat__schema_can_read(before[i], next, logical, found, err));
    }
    return 0;
}
