/* connectors/url/url.h -- a URL as its parts, and its options as members of option structs.
 *
 * Texts of errors name options and hosts, and never a value that may be a secret. Parts live in the URL's arena: what they are
 * given to copies them. */
#ifndef LEAT_CONNECTORS_URL_URL_H
#define LEAT_CONNECTORS_URL_URL_H
#include "base/arena.h"
#include "base/error.h"
#include "base/strbuf.h"
#include <leat/source.h>

#define LEAT_URL_OPTIONS_MAX 64u

struct leat_url_option {
    const char *name, *value; /* decoded */
};

struct leat_url {
    bool is_kafka; /* else files */
    const char *brokers; /* NULL: none are named */
    const char *path; /* of files; or topics */
    struct leat_url_option options[LEAT_URL_OPTIONS_MAX];
    uint32_t options_count;
    struct leat_arena arena;
};

/* LEAT_EDECLARE for what is no URL. Release it in any case. */
LEAT_NODISCARD int leat__url_parse(const char *text, struct leat_url *url, struct leat_error *err);
void leat__url_release(struct leat_url *url);

enum leat_url_kind {
    LEAT_URL_TEXT = 1, /* const char * */
    LEAT_URL_FLAG, /* bool: true, false */
    LEAT_URL_U32,
    LEAT_URL_I16,
    LEAT_URL_U64,
    LEAT_URL_I64,
    LEAT_URL_SEPARATOR, /* char */
    LEAT_URL_WORD, /* int-sized enum: the words, in order from 1 on */
};

struct leat_url_member {
    const char *name;
    enum leat_url_kind kind;
    size_t offset;
    const char *words; /* of LEAT_URL_WORD: "earliest latest"; a "-" is a number without a word */
};

/* Sets the members of `to` that the URL names. `properties`: gets those that are librdkafka's, a line each; NULL: they are
 * unknown options. LEAT_EDECLARE with the option and, where it is misspelt, the nearest one. */
LEAT_NODISCARD int leat__url_apply(const struct leat_url *url, const struct leat_url_member *members,
    size_t count, void *to, struct leat_strbuf *properties, struct leat_error *err);
/* The words of enum leat_format for messages, and what they are there: "avro" is the bare record, not a file of them. */
#define LEAT_URL_MESSAGE_FORMATS "avro json json_avro csv - avro_single avro_registry raw"
static inline enum leat_format leat__url_message_format(enum leat_format format)
{
    return format == LEAT_FORMAT_AVRO ? LEAT_FORMAT_AVRO_BINARY : format;
}
/* Whether a caller's option struct says nothing that this library does not know. */
static inline bool leat__url_opts_fit(const void *opts, size_t size, size_t known)
{
    for (size_t i = known; opts && i < size; i++)
        if (((const char *)opts)[i])
            return false;
    return opts != NULL;
}
/* Whether the URL has the option. */
bool leat__url_has(const struct leat_url *url, const char *name);
#endif
