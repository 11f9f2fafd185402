/* connectors/kafka/schemas.c -- see the header. Both tables are short lists, the entry used last first: messages in a row mostly
 * share one. */
#include "connectors/kafka/schemas.h"
#include "base/alloc.h"
#include "connectors/kafka/registry.h"
#include <stdio.h>

#define ENTRIES_MAX 10000u /* a source of messages that invents numbers does not fill the memory */

struct met { /* reading */
    int32_t id;
    struct leat_decoder *decoder; /* NULL: `why` not */
    char *why;
};

struct numbered { /* writing */
    char *topic;
    size_t len;
    int32_t id;
};

struct leat_kafka_schemas {
    const struct leat_kafka_part *part;
    bool is_key;
    const struct leat_kafka_conn *conn;
    struct leat_env *env;
    struct leat_registry *registry; /* NULL before it is needed */
    struct leat_strbuf text;
    struct met *met;
    struct numbered *numbered;
    uint32_t met_count, met_capacity, numbered_count, numbered_capacity;
};

int leat__kafka_schemas_new(const struct leat_kafka_part *part, bool is_key,
    const struct leat_kafka_conn *conn, struct leat_env *env, struct leat_kafka_schemas **schemas,
    struct leat_error *err)
{
    struct leat_kafka_schemas *made = leat__calloc(1, sizeof *made);
    *schemas = made;
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory for schemas");
    made->part = part;
    made->is_key = is_key;
    made->conn = conn;
    made->env = env;
    return 0;
}

void leat__kafka_schemas_free(struct leat_kafka_schemas *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->met_count; i++) {
        leat__decoder_free(s->met[i].decoder);
        leat__free(s->met[i].why);
    }
    for (uint32_t i = 0; i < s->numbered_count; i++)
        leat__free(s->numbered[i].topic);
    leat__free(s->met);
    leat__free(s->numbered);
    leat__strbuf_release(&s->text);
    leat__registry_free(s->registry);
    leat__free(s);
}

/* Room for one more; NULL when out of memory. */
static void *grow(void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    const uint32_t more = *capacity ? *capacity * 2 : 4;
    void *grown = leat__realloc(list, more * size);
    if (grown)
        *capacity = more;
    return grown;
}

static int open_registry(struct leat_kafka_schemas *s, struct leat_error *err)
{
    return s->registry ? 0 : leat__registry_new(s->conn, s->env, &s->registry, err);
}

/* ---- reading ---- */

static int compile(struct leat_kafka_schemas *s, struct leat_decoder **decoder, struct leat_error *err)
{
    struct leat_schema *writer;
    LEAT_TRY(leat__schema_parse(s->text.data, s->text.len, &writer, err));
    const int code = leat__decoder_new(
        writer, s->part->type, &(struct leat_decoder_opts){ .is_part = true }, decoder, err);
    leat__schema_free(writer);
    return code;
}

static bool is_final(int code)
{
    return code == LEAT_ENOTFOUND || code == LEAT_ESCHEMA || code == LEAT_EUNSUPPORTED || code == LEAT_ELIMIT;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = leat__malloc(len + 1);
    if (copy) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

static int meet(struct leat_kafka_schemas *s, int32_t id, struct leat_error *err)
{
    struct met one = { .id = id };
    struct leat_error why = { 0 };
    if (s->met_count == ENTRIES_MAX)
        return leat__error(err, LEAT_ELIMIT, "its topics name more than %u schemas", ENTRIES_MAX);
    struct met *met = grow(s->met, s->met_count, &s->met_capacity, sizeof *met);
    if (!met)
        return leat__error(err, LEAT_ENOMEM, "out of memory for schemas");
    s->met = met;
    LEAT_TRY(open_registry(s, err));
    int code = leat__registry_fetch(s->registry, id, &s->text, &why);
    if (code == 0)
        code = compile(s, &one.decoder, &why);
    if (code < 0 && !is_final(code)) {
        *err = why;
        return code;
    }
    if (code < 0) {
        one.why = copy_text(why.message, strlen(why.message));
        if (!one.why)
            return leat__error(err, LEAT_ENOMEM, "out of memory for schemas");
    }
    s->met[s->met_count++] = one;
    return 0;
}

int leat__kafka_schemas_decoder(
    struct leat_kafka_schemas *s, int32_t id, struct leat_decoder **decoder, struct leat_error *err)
{
    uint32_t i = 0;
    while (i < s->met_count && s->met[i].id != id)
        i++;
    if (i == s->met_count)
        LEAT_TRY(meet(s, id, err));
    if (i > 0) {
        const struct met found = s->met[i];
        s->met[i] = s->met[0];
        s->met[0] = found;
    }
    *decoder = s->met[0].decoder;
    return *decoder ? 0
                    : leat__error(err, LEAT_EDATA, "it was written with schema %d: %s", id, s->met[0].why);
}

/* ---- writing ---- */

static int ask_number(struct leat_kafka_schemas *s, const char *topic, int32_t *id, struct leat_error *err)
{
    LEAT_TRY(open_registry(s, err));
    leat__strbuf_clear(&s->text);
    leat__registry_subject(s->registry, topic, s->is_key, s->part->type->name, &s->text);
    if (s->text.failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory for schemas");
    return leat__registry_register(s->registry, s->text.data, s->part->type->schema, id, err);
}

int leat__kafka_schemas_number(
    struct leat_kafka_schemas *s, struct leat_sv topic, int32_t *id, struct leat_error *err)
{
    uint32_t i = 0;
    while (i < s->numbered_count &&
        !leat_sv_eq(topic, (struct leat_sv){ s->numbered[i].topic, s->numbered[i].len }))
        i++;
    if (i == s->numbered_count) {
        struct numbered *numbered = grow(s->numbered, i, &s->numbered_capacity, sizeof *numbered);
        char *name = numbered ? copy_text(topic.data, topic.len) : NULL;
        if (numbered)
            s->numbered = numbered;
        if (!name)
            return leat__error(err, LEAT_ENOMEM, "out of memory for schemas");
        const int code = ask_number(s, name, id, err);
        if (code < 0) {
            leat__free(name);
            return code;
        }
        s->numbered[s->numbered_count++] = (struct numbered){ name, topic.len, *id };
    }
    const struct numbered found = s->numbered[i];
    s->numbered[i] = s->numbered[0];
    s->numbered[0] = found;
    *id = found.id;
    return 0;
}

/* ---- before a job ---- */

typedef int (*part_fn)(struct leat_kafka_schemas *s, const char *topic, struct leat_error *err);

static int each_part(const struct leat_kafka_layout *layout, const struct leat_kafka_conn *conn,
    struct leat_env *env, const char *topic, part_fn fn, struct leat_error *err)
{
    const struct leat_kafka_part *parts[] = { &layout->value, &layout->key };
    for (int i = 0; i < 2; i++) {
        struct leat_kafka_schemas *s;
        if (!parts[i]->type || parts[i]->format != LEAT_FORMAT_AVRO_REGISTRY)
            continue;
        LEAT_TRY(leat__kafka_schemas_new(parts[i], i == 1, conn, env, &s, err));
        int code = open_registry(s, err);
        if (code == 0)
            code = fn(s, topic, err);
        leat__kafka_schemas_free(s);
        LEAT_TRY(code);
    }
    return 0;
}

static int subject_of(
    struct leat_kafka_schemas *s, const char *topic, struct leat_strbuf *subject, struct leat_error *err)
{
    leat__registry_subject(s->registry, topic, s->is_key, s->part->type->name, subject);
    return subject->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for schemas") : 0;
}

static int prepare_part(struct leat_kafka_schemas *s, const char *topic, struct leat_error *err)
{
    struct leat_strbuf subject = { 0 };
    int32_t id;
    int code = subject_of(s, topic, &subject, err);
    if (code == 0)
        code = leat__registry_check(s->registry, subject.data, s->part->type->schema, err);
    if (code == 0)
        code = leat__registry_register(s->registry, subject.data, s->part->type->schema, &id, err);
    leat__strbuf_release(&subject);
    return code;
}

int leat__kafka_schemas_prepare(const struct leat_kafka_layout *layout, const struct leat_kafka_conn *conn,
    struct leat_env *env, const char *topic, struct leat_error *err)
{
    return each_part(layout, conn, env, topic, prepare_part, err);
}

static int check_part(struct leat_kafka_schemas *s, const char *topic, struct leat_error *err)
{
    struct leat_strbuf subject = { 0 };
    struct leat_decoder *decoder = NULL;
    int code = subject_of(s, topic, &subject, err);
    if (code == 0)
        code = leat__registry_latest(s->registry, subject.data, &s->text, err);
    if (code > 0) { /* there is one */
        code = compile(s, &decoder, err);
        if (code < 0)
            code = leat__error_prefix(err,
                "the newest schema of subject \"%s\" can not be read as %s (leat schema check tells all "
                "reasons)",
                subject.data, s->part->type->name);
    }
    leat__decoder_free(decoder);
    leat__strbuf_release(&subject);
    return code;
}

int leat__kafka_schemas_check(const struct leat_kafka_layout *layout, const struct leat_kafka_conn *conn,
    struct leat_env *env, const char *topic, struct leat_error *err)
{
    return each_part(layout, conn, env, topic, check_part, err);
}
