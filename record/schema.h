/* record/schema.h -- Avro schemas: parsed once, immutable, the source of types and programs.
 *
 * JSON is read with jansson; names, namespaces, aliases, defaults, logical types, resolution, canonical form
 * and fingerprint are ours. A schema keeps a tree of nodes in its own arena. Named types are resolved: a
 * reference shows the node of the definition (so the tree is a graph when a type is recursive). */
#ifndef LEAT_RECORD_SCHEMA_H
#define LEAT_RECORD_SCHEMA_H
#include "base/arena.h"
#include "base/strbuf.h"
#include <leat/type.h>

struct leat_schema_node;

struct leat_schema_field {
    const char *name;
    const char *doc; /* or NULL */
    struct leat_schema_node *node;
    const char *const *aliases;
    uint32_t aliases_count;
    bool has_default;
    void *default_json; /* json_t * owned by the schema; valid if has_default */
};

struct leat_schema_node {
    enum leat_kind kind; /* never OPTIONAL: a union is a union here */
    enum leat_logical logical; /* invalid or unknown ones are dropped, as Avro demands */
    const char *name; /* full name of record, enum, fixed; else the type's word */
    const char *simple_name; /* without namespace */
    const char *doc;
    const char *const *aliases; /* full names */
    uint32_t aliases_count;
    struct leat_schema_field *fields; /* record */
    uint32_t fields_count;
    struct leat_schema_node **branches; /* union */
    uint32_t branches_count;
    struct leat_schema_node *item; /* array items, map values */
    const char *const *symbols; /* enum */
    uint32_t symbols_count;
    int32_t default_symbol; /* enum default, or -1 */
    uint32_t fixed_size;
    int32_t precision, scale;
    uint32_t id; /* 0 .. nodes_count-1 within its schema */
};

struct leat_schema {
    struct leat_arena arena;
    struct leat_schema_node *root;
    uint32_t nodes_count;
    const char *text; /* as given */
    char *canonical; /* parsing canonical form */
    uint64_t fingerprint; /* CRC-64-AVRO of it */
    void *json; /* json_t * that defaults point into */
};

/* Parses `len` bytes of JSON. Errors (LEAT_ESCHEMA) say line and column for JSON errors, else the path of the
 * offending part ("record order, field total: unknown type \"lnog\"; did you mean \"long\"?"). */
LEAT_NODISCARD int leat__schema_parse(
    const char *text, size_t len, struct leat_schema **schema, struct leat_error *err);
void leat__schema_free(struct leat_schema *schema);

/* The type (C layout) of a schema, made in `arena`, which must outlive it; identical to what leat gen writes.
 * LEAT_ESCHEMA names a recursive type that a struct can not hold (recursion through array or map included:
 * types are finite trees). Top-level records only get `schema` and `fingerprint`; other kinds work too. */
LEAT_NODISCARD int leat__schema_type(const struct leat_schema *schema, struct leat_arena *arena,
    const struct leat_type **type, struct leat_error *err);

/* Whether two types have the same layout and meaning: kinds, names of fields, offsets, symbols, logical
 * types. */
bool leat__type_equal(const struct leat_type *a, const struct leat_type *b);
/* Checks a descriptor that came from outside (a generated header): its layout must be what its schema text
 * gives. LEAT_ESCHEMA "order: compiled with another layout of field x; run leat gen again". */
LEAT_NODISCARD int leat__type_check(const struct leat_type *type, struct leat_error *err);
/* A part of a record type: the fields for which wanted[i] (one per field) is true, at their offsets in the whole
 * struct, in their order; the schema is the type's without the others, `suffix` (or NULL) behind its name. In `arena`; names
 * and types of fields are the whole's. LEAT_ESCHEMA where a wanted field needs a type that an unwanted one defines. It does
 * not pass leat__type_check: codecs are told (leat_decoder_opts.is_part, leat__encoder_new_part). */
LEAT_NODISCARD int leat__type_part(const struct leat_type *type, const bool *wanted, const char *suffix,
    struct leat_arena *arena, const struct leat_type **part, struct leat_error *err);
/* The word of a logical type ("timestamp-millis"), or NULL for none. */
const char *leat__logical_name(enum leat_logical logical);
/* The same number for logical types whose values mean the same (units of time; a local timestamp has the unit
 * of the other), 0 for a plain number. */
int leat__logical_unit(enum leat_logical logical);
/* "record order {id: long, note: string or null}" for plans and errors. */
void leat__type_print(struct leat_strbuf *out, const struct leat_type *type);
#endif
