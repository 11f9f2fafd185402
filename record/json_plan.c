/* record/json_plan.c -- from a type to a plan: names by hash, defaults as values.
 *
 * The schema's tree is walked beside the type, since defaults are only there. Records that occur several
 * times have one plan (by the schema node, where there is a schema), so a plan is as small as the schema. */
#include "base/alloc.h"
#include "base/hash.h"
#include "record/json_private.h"
#include <jansson.h>

struct compiler {
    struct leat_json_decoder *d;
    struct leat_error *err;
    struct json_plan **records; /* by id of the schema node; NULL without a schema */
};

static int compile(struct compiler *c, const struct leat_type *type, const struct leat_schema_node *node,
    struct json_plan **plan);

static int no_memory(struct compiler *c)
{
    return leat__error(c->err, LEAT_ENOMEM, "out of memory for a JSON decoder");
}

/* ---- words ---- */

static uint32_t slot_of(const struct json_words *words, const char *text, size_t len)
{
    return (uint32_t)leat__hash(text, len) & words->mask;
}

int64_t leat__json_words_find(const struct json_words *words, const char *text, size_t len)
{
    if (words->count == 0)
        return -1;
    for (uint32_t i = slot_of(words, text, len); words->slots[i]; i = (i + 1) & words->mask) {
        const struct leat_sv word = words->words[words->slots[i] - 1];
        if (word.len == len && memcmp(word.data, text, len) == 0)
            return words->slots[i] - 1;
    }
    return -1;
}

/* Room for `count` words that add_word fills. */
static int start_words(struct compiler *c, struct json_words *words, uint32_t count, struct leat_sv **list)
{
    uint32_t slots = 4;
    while (slots < 2 * (uint64_t)count)
        slots *= 2;
    *list = leat__arena_array(&c->d->arena, count, sizeof **list);
    words->slots = leat__arena_array(&c->d->arena, slots, sizeof *words->slots);
    if (!*list || !words->slots)
        return no_memory(c);
    words->words = *list;
    words->mask = slots - 1;
    return 0;
}

/* A name that is there already keeps its first number. */
static void add_word(struct json_words *words, struct leat_sv *list, const char *name)
{
    const struct leat_sv word = leat_sv_of(name);
    uint32_t i = slot_of(words, word.data, word.len);
    while (words->slots[i])
        i = (i + 1) & words->mask;
    list[words->count] = word;
    words->slots[i] = ++words->count;
}

/* ---- defaults ---- */

static int add_text(const char *text, size_t len, void *out)
{
    leat__strbuf_add(out, text, len);
    return ((const struct leat_strbuf *)out)->failed ? -1 : 0;
}

static int add_default(struct compiler *c, const struct leat_schema_field *from, struct json_field *field)
{
    struct leat_arena *arena = &c->d->arena;
    const struct leat_type *type = field->plan->type;
    struct json_default *made = leat__arena_alloc(arena, sizeof *made);
    void *value = leat__arena_alloc(arena, type->size);
    if (!made || !value)
        return no_memory(c);
    made->value = value;
    made->is_null =
        field->has_offset != LEAT_NOT_NULLABLE && json_is_null((const json_t *)from->default_json);
    field->fallback = made;
    if (made->is_null)
        return 0;
    struct leat_strbuf text = { 0 };
    int code = 0;
    if (json_dump_callback(from->default_json, add_text, &text, JSON_ENCODE_ANY | JSON_COMPACT) < 0)
        code = no_memory(c);
    if (code == 0)
        code = leat__json_decode_default(c->d, field->plan, text.data, text.len, value, c->err);
    leat__strbuf_release(&text);
    if (code < 0) {
        (void)leat__error_prefix(c->err, "the default of field %s", from->name);
        return code;
    }
    if (leat__copier_new(type, &made->copier) < 0)
        return no_memory(c);
    made->next = c->d->defaults; /* which frees the copier */
    c->d->defaults = made;
    made->view_bytes = leat__copy_size(made->copier, value) - type->size;
    if (leat__copier_is_flat(made->copier))
        made->view_bytes = 0;
    return 0;
}

/* ---- kinds ---- */

/* For ["null", T] the node of T. */
static const struct leat_schema_node *value_node(const struct leat_schema_node *node)
{
    if (!node || node->kind != LEAT_KIND_UNION || node->branches_count != 2)
        return node;
    return node->branches[node->branches[0]->kind == LEAT_KIND_NULL ? 1 : 0];
}

static int compile_record(struct compiler *c, const struct leat_type *type,
    const struct leat_schema_node *node, struct json_plan *plan)
{
    struct leat_sv *list;
    plan->fields = leat__arena_array(&c->d->arena, type->fields_count, sizeof *plan->fields);
    if (!plan->fields)
        return no_memory(c);
    LEAT_TRY(start_words(c, &plan->words, type->fields_count, &list));
    plan->seen_words = (type->fields_count + 63) / 64;
    uint32_t below = 0;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *from = &type->fields[i];
        const struct leat_schema_field *schema = node ? &node->fields[i] : NULL;
        struct json_field *field = &plan->fields[i];
        const struct leat_schema_node *of = schema ? schema->node : NULL;
        field->offset = from->offset;
        field->has_offset = from->has_offset;
        add_word(&plan->words, list, from->name);
        LEAT_TRY(compile(
            c, from->type, from->has_offset == LEAT_NOT_NULLABLE ? of : value_node(of), &field->plan));
        if (field->plan->scratch_words > below)
            below = field->plan->scratch_words;
    }
    plan->scratch_words = plan->seen_words + below;
    return 0;
}

static int compile_union(struct compiler *c, const struct leat_type *type,
    const struct leat_schema_node *node, struct json_plan *plan)
{
    struct leat_sv *list;
    plan->branches = leat__arena_array(&c->d->arena, type->fields_count, sizeof(struct json_plan *));
    if (!plan->branches)
        return no_memory(c);
    LEAT_TRY(start_words(c, &plan->words, type->fields_count, &list));
    for (uint32_t i = 0; i < type->fields_count; i++) {
        add_word(&plan->words, list, type->fields[i].name);
        LEAT_TRY(compile(c, type->fields[i].type, node ? node->branches[i] : NULL, &plan->branches[i]));
        if (plan->branches[i]->scratch_words > plan->scratch_words)
            plan->scratch_words = plan->branches[i]->scratch_words;
    }
    return 0;
}

static int compile_symbols(struct compiler *c, const struct leat_type *type, struct json_plan *plan)
{
    struct leat_sv *list;
    LEAT_TRY(start_words(c, &plan->words, type->symbols_count, &list));
    for (uint32_t i = 0; i < type->symbols_count; i++)
        add_word(&plan->words, list, type->symbols[i]);
    return 0;
}

static int compile_kind(struct compiler *c, const struct leat_type *type, const struct leat_schema_node *node,
    struct json_plan *plan)
{
    const struct leat_schema_node *item = NULL;
    switch (type->kind) {
    case LEAT_KIND_RECORD:
        return compile_record(c, type, node, plan);
    case LEAT_KIND_UNION:
        return compile_union(c, type, node, plan);
    case LEAT_KIND_ENUM:
        return compile_symbols(c, type, plan);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        item = node ? node->item : NULL;
        break;
    case LEAT_KIND_OPTIONAL:
        item = value_node(node);
        break;
    default:
        return 0;
    }
    LEAT_TRY(compile(c, type->item, item, &plan->item));
    plan->scratch_words = plan->item->scratch_words;
    return 0;
}

static int compile(struct compiler *c, const struct leat_type *type, const struct leat_schema_node *node,
    struct json_plan **plan)
{
    const bool is_shared = node && type->kind == LEAT_KIND_RECORD;
    if (is_shared && c->records[node->id]) {
        *plan = c->records[node->id];
        return 0;
    }
    *plan = leat__arena_alloc(&c->d->arena, sizeof **plan);
    if (!*plan)
        return no_memory(c);
    (*plan)->type = type;
    LEAT_TRY(compile_kind(c, type, node, *plan));
    if (is_shared)
        c->records[node->id] = *plan;
    return 0;
}

/* Once all plans and the scratch are there, since a default may be of any type and use defaults itself: a
 * record's own defaults come after those of what it is made of. */
static int compile_defaults(struct compiler *c, struct json_plan *plan, const struct leat_schema_node *node);

static int compile_record_defaults(
    struct compiler *c, struct json_plan *plan, const struct leat_schema_node *node)
{
    if (!c->records[node->id])
        return 0; /* done */
    c->records[node->id] = NULL;
    for (uint32_t i = 0; i < node->fields_count; i++) {
        struct json_field *field = &plan->fields[i];
        const struct leat_schema_node *of = node->fields[i].node;
        LEAT_TRY(
            compile_defaults(c, field->plan, field->has_offset == LEAT_NOT_NULLABLE ? of : value_node(of)));
    }
    for (uint32_t i = 0; i < node->fields_count; i++)
        if (node->fields[i].has_default)
            LEAT_TRY(add_default(c, &node->fields[i], &plan->fields[i]));
    return 0;
}

static int compile_defaults(struct compiler *c, struct json_plan *plan, const struct leat_schema_node *node)
{
    switch (plan->type->kind) {
    case LEAT_KIND_RECORD:
        return compile_record_defaults(c, plan, node);
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_MAP:
        return compile_defaults(c, plan->item, node->item);
    case LEAT_KIND_OPTIONAL:
        return compile_defaults(c, plan->item, value_node(node));
    case LEAT_KIND_UNION:
        for (uint32_t i = 0; i < node->branches_count; i++)
            LEAT_TRY(compile_defaults(c, plan->branches[i], node->branches[i]));
        return 0;
    default:
        return 0;
    }
}

static int compile_all(struct compiler *c, const struct leat_type *type, const struct leat_schema *schema)
{
    struct leat_json_decoder *d = c->d;
    if (schema) {
        c->records = leat__calloc(schema->nodes_count, sizeof(struct json_plan *));
        if (!c->records)
            return no_memory(c);
    }
    LEAT_TRY(compile(c, type, schema ? schema->root : NULL, &d->plan));
    d->scratch = leat__arena_array(&d->arena, d->plan->scratch_words, sizeof *d->scratch);
    if (!d->scratch)
        return no_memory(c);
    return schema ? compile_defaults(c, d->plan, schema->root) : 0;
}

int leat__json_plan_new(struct leat_json_decoder *d, const struct leat_type *type, struct leat_error *err)
{
    struct compiler c = { d, err, NULL };
    struct leat_schema *schema = NULL;
    if (type->schema)
        LEAT_TRY(leat__schema_parse(type->schema, strlen(type->schema), &schema, err));
    const int code = compile_all(&c, type, schema);
    leat__free(c.records);
    leat__schema_free(schema);
    return code;
}

void leat__json_plan_free(struct leat_json_decoder *d)
{
    for (struct json_default *at = d->defaults; at; at = at->next)
        leat__copier_free(at->copier);
    d->defaults = NULL;
    leat__arena_release(&d->arena);
}
