/* connectors/kafka/references.c -- see the header. */
#include "connectors/kafka/references.h"
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 512

struct inlining {
    const char *what;
    leat_registry_version_fn fetch;
    void *arg;
    json_t *known; /* definitions of what is referred to, by full name; their "namespace" is explicit */
    json_t *seen; /* "subject/version" of what was fetched */
    json_t *defined; /* full names that the text has so far */
    struct leat_error *err;
    int code; /* of the first failure */
};

static void fail(struct inlining *in, int code, const char *why)
{
    if (in->code == 0)
        in->code = leat__error(in->err, code, "%s of the registry %s", in->what, why);
}

static json_t *no_memory(struct inlining *in)
{
    fail(in, LEAT_ENOMEM, "takes more memory than there is");
    return NULL;
}

/* ---- names ---- */

static bool is_named(const json_t *type)
{
    static const char *const kinds[] = { "record", "error", "enum", "fixed" };
    const char *kind = json_string_value(json_object_get(type, "type"));
    for (size_t i = 0; kind && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

/* The full name of `name` in a namespace ("": none). False when it is too long to be one. */
static bool full_name(const char *name, const char *space, char out[NAME_BYTES])
{
    const bool is_full = !*space || strchr(name, '.');
    const int len = snprintf(out, NAME_BYTES, "%s%s%s", is_full ? "" : space, is_full ? "" : ".", name);
    return len > 0 && len < NAME_BYTES;
}

/* The full name of a definition, and the namespace of what is in it. */
static bool names_of(const json_t *type, const char *outer, char full[NAME_BYTES], char space[NAME_BYTES])
{
    const char *name = json_string_value(json_object_get(type, "name"));
    const char *own = json_string_value(json_object_get(type, "namespace"));
    if (!name || !full_name(name, own ? own : outer, full))
        return false;
    const char *dot = strrchr(full, '.');
    (void)snprintf(space, NAME_BYTES, "%.*s", dot ? (int)(dot - full) : 0, full);
    return true;
}

/* ---- one text ---- */

static json_t *place(struct inlining *in, json_t *type, const char *space, uint32_t depth);

/* The definition of a name at its first use, else NULL: then the name stays. */
static json_t *place_name(struct inlining *in, const char *name, const char *space, uint32_t depth)
{
    char full[NAME_BYTES];
    if (!full_name(name, space, full) || json_object_get(in->defined, full))
        return NULL;
    const json_t *definition = json_object_get(in->known, full);
    json_t *copy = definition ? json_deep_copy(definition) : NULL;
    if (definition && !copy)
        return no_memory(in);
    return copy ? place(in, copy, "", depth + 1) : NULL;
}

/* Replaces the member, or the element, by what it becomes. */
static void place_member(
    struct inlining *in, json_t *object, const char *member, const char *space, uint32_t depth)
{
    json_t *type = json_object_get(object, member);
    json_t *placed = type ? place(in, json_incref(type), space, depth + 1) : NULL;
    if (placed && json_object_set_new(object, member, placed) < 0)
        (void)no_memory(in);
}

static json_t *place_definition(struct inlining *in, json_t *type, const char *outer, uint32_t depth)
{
    char full[NAME_BYTES], space[NAME_BYTES];
    if (!names_of(type, outer, full, space)) {
        fail(in, LEAT_ESCHEMA, "has a type without a name");
        return type;
    }
    if (json_object_get(in->defined, full)) { /* it came with what refers to it */
        json_decref(type);
        return json_string(full);
    }
    if (json_object_set_new(in->defined, full, json_true()) < 0)
        (void)no_memory(in);
    const json_t *fields = json_object_get(type, "fields");
    for (size_t i = 0; i < json_array_size(fields); i++)
        place_member(in, json_array_get(fields, i), "type", space, depth);
    return type;
}

/* Takes a reference to `type` and gives one to what stands in its place. */
static json_t *place(struct inlining *in, json_t *type, const char *space, uint32_t depth)
{
    if (depth > LEAT_REGISTRY_DEPTH_MAX * 2)
        fail(in, LEAT_ELIMIT, "has types that lie too deep");
    if (in->code)
        return type;
    if (json_is_string(type)) {
        json_t *definition = place_name(in, json_string_value(type), space, depth);
        if (!definition)
            return type;
        json_decref(type);
        return definition;
    }
    for (size_t i = 0; json_is_array(type) && i < json_array_size(type); i++) {
        json_t *placed = place(in, json_incref(json_array_get(type, i)), space, depth + 1);
        if (json_array_set_new(type, i, placed) < 0)
            (void)no_memory(in);
    }
    if (!json_is_object(type))
        return type;
    if (is_named(type))
        return place_definition(in, type, space, depth);
    place_member(in, type, "type", space, depth);
    place_member(in, type, "items", space, depth);
    place_member(in, type, "values", space, depth);
    return type;
}

/* ---- what is referred to ---- */

/* Keeps all definitions in a schema by their full names. */
static void keep(struct inlining *in, json_t *type, const char *outer, uint32_t depth)
{
    char full[NAME_BYTES], space[NAME_BYTES];
    if (depth > LEAT_REGISTRY_DEPTH_MAX * 2)
        fail(in, LEAT_ELIMIT, "refers to types that lie too deep");
    for (size_t i = 0; json_is_array(type) && i < json_array_size(type) && !in->code; i++)
        keep(in, json_array_get(type, i), outer, depth + 1);
    if (!json_is_object(type) || in->code)
        return;
    if (!is_named(type)) {
        keep(in, json_object_get(type, "type"), outer, depth + 1);
        keep(in, json_object_get(type, "items"), outer, depth + 1);
        keep(in, json_object_get(type, "values"), outer, depth + 1);
        return;
    }
    if (!names_of(type, outer, full, space)) {
        fail(in, LEAT_ESCHEMA, "refers to a type without a name");
        return;
    }
    if (json_object_set_new(type, "name", json_string(full + (*space ? strlen(space) + 1 : 0))) < 0 ||
        json_object_set_new(type, "namespace", json_string(space)) < 0 || /* wherever it comes to stand */
        json_object_set(in->known, full, type) < 0)
        (void)no_memory(in);
    const json_t *fields = json_object_get(type, "fields");
    for (size_t i = 0; i < json_array_size(fields); i++)
        keep(in, json_object_get(json_array_get(fields, i), "type"), space, depth + 1);
}

static json_t *parse(struct inlining *in, const json_t *answer)
{
    const char *kind = json_string_value(json_object_get(answer, "schemaType"));
    const char *text = json_string_value(json_object_get(answer, "schema"));
    if (kind && strcmp(kind, "AVRO") != 0) {
        in->code =
            leat__error(in->err, LEAT_EUNSUPPORTED, "%s of the registry is %s, not Avro", in->what, kind);
        return NULL;
    }
    json_t *schema = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (!schema)
        fail(in, LEAT_ESCHEMA, "is no JSON");
    return schema;
}

static void gather(struct inlining *in, const json_t *answer, uint32_t depth);

static void gather_one(struct inlining *in, const json_t *reference, uint32_t depth)
{
    char key[NAME_BYTES];
    const char *subject = json_string_value(json_object_get(reference, "subject"));
    const json_int_t version = json_integer_value(json_object_get(reference, "version"));
    if (!subject || snprintf(key, sizeof key, "%s/%lld", subject, (long long)version) >= NAME_BYTES) {
        fail(in, LEAT_ESCHEMA, "has a reference without subject");
        return;
    }
    if (json_object_get(in->seen, key))
        return;
    if (json_object_size(in->seen) >= LEAT_REGISTRY_REFERENCES_MAX || depth > LEAT_REGISTRY_DEPTH_MAX) {
        fail(in, LEAT_ELIMIT, "has too many references");
        return;
    }
    if (json_object_set_new(in->seen, key, json_true()) < 0)
        (void)no_memory(in);
    json_t *answer = in->fetch(in->arg, subject, version, &in->code, in->err);
    json_t *schema = answer ? parse(in, answer) : NULL;
    if (schema)
        keep(in, schema, "", 0);
    if (answer)
        gather(in, answer, depth + 1);
    json_decref(schema);
    json_decref(answer);
}

static void gather(struct inlining *in, const json_t *answer, uint32_t depth)
{
    const json_t *references = json_object_get(answer, "references");
    for (size_t i = 0; i < json_array_size(references) && !in->code; i++)
        gather_one(in, json_array_get(references, i), depth);
}

/* ---- all of it ---- */

static int on_text(const char *text, size_t len, void *out)
{
    leat__strbuf_add(out, text, len);
    return ((struct leat_strbuf *)out)->failed ? -1 : 0;
}

int leat__registry_inline(const json_t *answer, const char *what, leat_registry_version_fn fetch, void *arg,
    struct leat_strbuf *out, struct leat_error *err)
{
    struct inlining in = { .what = what, .fetch = fetch, .arg = arg, .err = err };
    in.known = json_object();
    in.seen = json_object();
    in.defined = json_object();
    if (!in.known || !in.seen || !in.defined)
        (void)no_memory(&in);
    json_t *schema = in.code ? NULL : parse(&in, answer);
    if (schema && json_array_size(json_object_get(answer, "references")) > 0) {
        gather(&in, answer, 0);
        if (!in.code)
            schema = place(&in, schema, "", 0);
        if (!in.code && json_dump_callback(schema, on_text, out, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
            (void)no_memory(&in);
    } else if (schema) { /* the text as it is */
        leat__strbuf_str(out, json_string_value(json_object_get(answer, "schema")));
        if (out->failed)
            (void)no_memory(&in);
    }
    json_decref(schema);
    json_decref(in.known);
    json_decref(in.seen);
    json_decref(in.defined);
    return in.code;
}
