/* connectors/url/url.c -- see the header. */
#include "connectors/url/url.h"
#include "base/assert.h"
#include "base/near.h"
#include "connectors/kafka/properties.h"
#include "connectors/kafka/secret.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>

#define SCHEME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789+.-"

/* ---- parts ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    const int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A copy with %XX as what it stands for; NULL with err. Nothing that ends a line gets in: properties are lines. */
static const char *decode(struct leat_url *url, const char *text, size_t len, struct leat_error *err)
{
    char *out = leat__arena_alloc(&url->arena, len + 1);
    size_t n = 0;
    if (!out) {
        (void)leat__error(err, LEAT_ENOMEM, "out of memory for a URL");
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            const int high = i + 2 < len ? hex(text[i + 1]) : -1;
            const int low = high < 0 ? -1 : hex(text[i + 2]);
            c = low < 0 ? -1 : high * 16 + low;
            i += 2;
        }
        if (c < 0 || (c < ' ' && c != '\t') || c == 0x7f) {
            (void)leat__error(err, LEAT_EDECLARE,
                c < 0 ? "a %% stands before two hexadecimal digits (%%25 is a %% itself)"
                      : "a control character has no place in a URL");
            return NULL;
        }
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return out;
}

static int parse_option(struct leat_url *url, const char *text, size_t len, struct leat_error *err)
{
    const char *equals = memchr(text, '=', len);
    if (!equals || equals == text)
        return leat__error(err, LEAT_EDECLARE, "option %u should be NAME=VALUE", url->options_count + 1);
    if (url->options_count == LEAT_URL_OPTIONS_MAX)
        return leat__error(err, LEAT_ELIMIT, "a URL has at most %u options", LEAT_URL_OPTIONS_MAX);
    const size_t name_len = (size_t)(equals - text);
    struct leat_url_option *option = &url->options[url->options_count];
    option->name = decode(url, text, name_len, err);
    option->value = option->name ? decode(url, equals + 1, len - name_len - 1, err) : NULL;
    if (!option->value)
        return leat__error_prefix(err, "option %u", url->options_count + 1);
    if (leat__url_has(url, option->name))
        return leat__error(err, LEAT_EDECLARE, "option \"%s\" is there twice", option->name);
    if (*option->value == '\0')
        return leat__error(err, LEAT_EDECLARE, "option \"%s\" has no value", option->name);
    url->options_count++;
    return 0;
}

static int parse_options(struct leat_url *url, const char *text, struct leat_error *err)
{
    while (*text) {
        const size_t len = strcspn(text, "&");
        if (len > 0)
            LEAT_TRY(parse_option(url, text, len, err));
        text += len + (text[len] == '&');
    }
    return 0;
}

/* "host:9092,host:9092/topic" */
static int parse_kafka(struct leat_url *url, const char *text, size_t len, struct leat_error *err)
{
    const size_t hosts = strcspn(text, "/?");
    url->is_kafka = true;
    if (memchr(text, '@', hosts))
        return leat__error(err, LEAT_EDECLARE,
            "no user stands before a host, for everybody sees a command line: give sasl.username=NAME and "
            "sasl.password=${file:PATH} as options");
    url->brokers = decode(url, text, hosts, err);
    if (!url->brokers)
        return leat__error_prefix(err, "hosts");
    if (hosts == 0)
        url->brokers = NULL;
    const bool has_path = hosts < len && text[hosts] == '/' && hosts + 1 < len;
    if (!has_path)
        return leat__error(err, LEAT_EDECLARE, "no topic is named: kafka://HOST:PORT/TOPIC");
    url->path = decode(url, text + hosts + 1, len - hosts - 1, err);
    return url->path ? 0 : leat__error_prefix(err, "topics");
}

int leat__url_parse(const char *text, struct leat_url *url, struct leat_error *err)
{
    memset(url, 0, sizeof *url);
    if (!text || !*text)
        return leat__error(err, LEAT_EDECLARE, "missing: a path, file:PATH, or kafka://HOST:PORT/TOPIC");
    const size_t scheme = strspn(text, SCHEME_CHARS);
    const bool is_file = strncmp(text, "file:", 5) == 0;
    if (!is_file && strncmp(text + scheme, "://", 3) != 0) {
        url->path = leat__arena_str(&url->arena, text); /* a path as it is: it may have ? and % */
        return url->path ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a URL");
    }
    if (!is_file && (scheme != 5 || memcmp(text, "kafka", 5) != 0))
        return leat__error(err, LEAT_EUNSUPPORTED,
            "\"%.*s\" is no scheme that is known: a path, file:PATH, or kafka://HOST:PORT/TOPIC", (int)scheme,
            text);
    text += is_file ? 5 : 8;
    if (is_file && strncmp(text, "//", 2) == 0) /* file:///PATH */
        text += 2;
    const size_t len = strcspn(text, "?");
    if (is_file) {
        url->path = decode(url, text, len, err);
        if (!url->path)
            return leat__error_prefix(err, "path");
    } else {
        LEAT_TRY(parse_kafka(url, text, len, err));
    }
    return parse_options(url, text + len + (text[len] == '?'), err);
}

void leat__url_release(struct leat_url *url)
{
    leat__arena_release(&url->arena);
}

bool leat__url_has(const struct leat_url *url, const char *name)
{
    for (uint32_t i = 0; i < url->options_count; i++)
        if (strcmp(url->options[i].name, name) == 0)
            return true;
    return false;
}

/* ---- options ---- */

static int bad_value(const struct leat_url_option *option, const char *wanted, struct leat_error *err)
{
    return leat__error(
        err, LEAT_EDECLARE, "option \"%s\" should be %s, not \"%s\"", option->name, wanted, option->value);
}

static int set_word(const struct leat_url_option *option, const char *words, void *to, struct leat_error *err)
{
    const size_t len = strlen(option->value);
    int number = 1;
    for (const char *at = words; *at; number++) {
        const size_t n = strcspn(at, " ");
        if (n == len && memcmp(at, option->value, n) == 0 && *at != '-') {
            memcpy(to, &number, sizeof number);
            return 0;
        }
        at += n + (at[n] == ' ');
    }
    return leat__error(err, LEAT_EDECLARE, "option \"%s\" should be one of %s, not \"%s\"", option->name,
        words, option->value);
}

static int set_number(const struct leat_url_member *member, const struct leat_url_option *option, void *to,
    struct leat_error *err)
{
    static const struct {
        int64_t least, most;
    } ranges[] = { [LEAT_URL_U32] = { 0, UINT32_MAX },
        [LEAT_URL_I16] = { 0, INT16_MAX },
        [LEAT_URL_U64] = { 0, INT64_MAX },
        [LEAT_URL_I64] = { -1, INT64_MAX } };
    char *end;
    const int64_t value = strtoll(option->value, &end, 10);
    if (*end || end == option->value || value < ranges[member->kind].least ||
        value > ranges[member->kind].most || value == INT64_MAX)
        return bad_value(option, "a whole number", err);
    const uint32_t u32 = (uint32_t)value;
    const int16_t i16 = (int16_t)value;
    if (member->kind == LEAT_URL_U32)
        memcpy(to, &u32, sizeof u32);
    else if (member->kind == LEAT_URL_I16)
        memcpy(to, &i16, sizeof i16);
    else
        memcpy(to, &value, sizeof value); /* of 64 bits, positive, whatever its sign */
    return 0;
}

static int set_member(const struct leat_url_member *member, const struct leat_url_option *option, void *to,
    struct leat_error *err)
{
    const bool flag = strcmp(option->value, "true") == 0;
    switch (member->kind) {
    case LEAT_URL_TEXT:
        memcpy(to, &option->value, sizeof option->value);
        return 0;
    case LEAT_URL_FLAG:
        if (!flag && strcmp(option->value, "false") != 0)
            return bad_value(option, "true or false", err);
        memcpy(to, &flag, sizeof flag);
        return 0;
    case LEAT_URL_SEPARATOR:
        if (option->value[1])
            return bad_value(option, "one character (%09 is a tab)", err);
        memcpy(to, option->value, 1);
        return 0;
    case LEAT_URL_WORD:
        return set_word(option, member->words, to, err);
    default:
        return set_number(member, option, to, err);
    }
}

/* One of librdkafka's, as a line. */
static int add_property(
    const struct leat_url_option *option, struct leat_strbuf *properties, struct leat_error *err)
{
    const struct leat_kafka_property *property = leat__kafka_property_find(leat_sv_of(option->name));
    if (property && property->is_secret && !leat__kafka_is_reference(leat_sv_of(option->value)))
        return leat__error(err, LEAT_EDECLARE,
            "everybody sees a command line: give \"%s\" as ${file:PATH} or ${env:NAME}, or in a "
            "properties_file",
            option->name);
    leat__strbuf_printf(properties, "%s=%s\n", option->name, option->value);
    return properties->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a URL") : 0;
}

static int unknown(const struct leat_url_option *option, const struct leat_url_member *members, size_t count,
    struct leat_error *err)
{
    const char *names[64];
    for (size_t i = 0; i < count; i++)
        names[i] = members[i].name;
    const int near = leat__near(option->name, names, count);
    return leat__error(err, LEAT_EDECLARE, "unknown option \"%s\"%s%s%s", option->name,
        near < 0 ? "" : "; did you mean \"", near < 0 ? "" : names[near], near < 0 ? "" : "\"?");
}

int leat__url_apply(const struct leat_url *url, const struct leat_url_member *members, size_t count, void *to,
    struct leat_strbuf *properties, struct leat_error *err)
{
    LEAT_ASSERT(count <= 64);
    for (uint32_t i = 0; i < url->options_count; i++) {
        const struct leat_url_option *option = &url->options[i];
        size_t k = 0;
        while (k < count && strcmp(members[k].name, option->name) != 0)
            k++;
        if (k < count)
            LEAT_TRY(set_member(&members[k], option, (char *)to + members[k].offset, err));
        else if (properties && leat__kafka_property_find(leat_sv_of(option->name)))
            LEAT_TRY(add_property(option, properties, err));
        else
            return unknown(option, members, count, err);
    }
    return 0;
}
