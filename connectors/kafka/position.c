/* connectors/kafka/position.c -- where a partition is, as text. */
#include "connectors/kafka/source_private.h"
#include <inttypes.h>

void leat__kafka_position_write(const struct leat_kafka_position *position, struct leat_strbuf *out)
{
    leat__strbuf_printf(out, "%" PRId64, position->next);
    if (position->is_first)
        leat__strbuf_str(out, " first");
    if (position->end >= 0)
        leat__strbuf_printf(out, " end=%" PRId64, position->end);
    if (position->last.offset >= 0)
        leat__strbuf_printf(out, " last=%" PRId64 ":%016" PRIx64, position->last.offset, position->last.hash);
}

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, const char *word)
{
    const size_t len = strlen(word);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool take_number(struct cursor *c, int64_t *value)
{
    const char *begin = c->at;
    *value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *c->at - '0', value))
            return false;
    return c->at > begin;
}

static bool take_hash(struct cursor *c, uint64_t *hash)
{
    *hash = 0;
    for (int i = 0; i < 16; i++, c->at++) {
        if (c->at == c->end)
            return false;
        const char ch = *c->at;
        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f')))
            return false;
        *hash = *hash << 4 | (uint64_t)(ch <= '9' ? ch - '0' : ch - 'a' + 10);
    }
    return true;
}

int leat__kafka_position_read(
    const char *text, size_t len, struct leat_kafka_position *position, struct leat_error *err)
{
    struct cursor c = { text, text + len };
    *position = (struct leat_kafka_position){ .end = -1, .last = { .offset = -1 } };
    bool good = take_number(&c, &position->next);
    position->is_first = good && take(&c, " first");
    if (good && take(&c, " end="))
        good = take_number(&c, &position->end);
    if (good && take(&c, " last="))
        good =
            take_number(&c, &position->last.offset) && take(&c, ":") && take_hash(&c, &position->last.hash);
    if (good && c.at == c.end)
        return 0;
    return leat__error(
        err, LEAT_EDATA, "\"%.*s\" is no position of a Kafka source", (int)(len < 100 ? len : 100), text);
}

bool leat__kafka_split_parse(const char *text, size_t len, size_t *topic_len, int32_t *partition)
{
    int64_t number;
    size_t slash = len;
    while (slash > 0 && text[slash - 1] != '/')
        slash--;
    struct cursor c = { text + slash, text + len };
    if (slash < 2 || !take_number(&c, &number) || c.at != c.end || number > INT32_MAX)
        return false;
    *topic_len = slash - 1;
    *partition = (int32_t)number;
    return true;
}
