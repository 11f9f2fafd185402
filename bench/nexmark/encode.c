/* bench/nexmark/encode.c -- the streams as Avro binary in memory, written by hand: what a source would read from disk
 * or network. */
#include "bench/nexmark/input.h"
#include <stdlib.h>

#define RECORD_BYTES_MAX 1024u /* the longest auction has 569 */
#define SLACK_BYTES 64u

static char *put_long(char *p, int64_t value)
{
    uint64_t z = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    for (; z >= 0x80; z >>= 7)
        *p++ = (char)(z | 0x80);
    *p++ = (char)z;
    return p;
}

static char *put_text(char *p, struct leat_sv text)
{
    p = put_long(p, (int64_t)text.len);
    memcpy(p, text.data, text.len);
    return p + text.len;
}

static char *put_person(char *p, uint64_t id)
{
    char text[NEXMARK_TEXT_BYTES];
    struct person r;
    nexmark_person(id, &r, text);
    p = put_long(p, r.id);
    p = put_text(p, r.name);
    p = put_text(p, r.emailAddress);
    p = put_text(p, r.creditCard);
    p = put_text(p, r.city);
    p = put_text(p, r.state);
    p = put_long(p, r.dateTime);
    return put_text(p, r.extra);
}

static char *put_auction(char *p, uint64_t id)
{
    char text[NEXMARK_TEXT_BYTES];
    struct auction r;
    nexmark_auction(id, &r, text);
    p = put_long(p, r.id);
    p = put_text(p, r.itemName);
    p = put_text(p, r.description);
    p = put_long(p, r.initialBid);
    p = put_long(p, r.reserve);
    p = put_long(p, r.dateTime);
    p = put_long(p, r.expires);
    p = put_long(p, r.seller);
    p = put_long(p, r.category);
    return put_text(p, r.extra);
}

static char *put_bid(char *p, uint64_t id)
{
    struct bid r;
    nexmark_bid(id, &r);
    p = put_long(p, r.auction);
    p = put_long(p, r.bidder);
    p = put_long(p, r.price);
    p = put_text(p, r.channel);
    p = put_text(p, r.url);
    p = put_long(p, r.dateTime);
    return put_text(p, r.extra);
}

static bool grow(struct nexmark_bytes *bytes, size_t *capacity)
{
    if (*capacity - bytes->len >= RECORD_BYTES_MAX + SLACK_BYTES)
        return true;
    *capacity = *capacity * 2 + RECORD_BYTES_MAX + SLACK_BYTES;
    char *larger = realloc(bytes->data, *capacity);
    if (larger)
        bytes->data = larger;
    return larger != NULL;
}

bool nexmark_encode(uint64_t events, uint32_t splits, struct nexmark_bytes avro[NEXMARK_BID + 1])
{
    static char *(*const put[])(char *, uint64_t) = { NULL, put_person, put_auction, put_bid };
    for (int kind = NEXMARK_PERSON; kind <= NEXMARK_BID; kind++) {
        struct nexmark_bytes *bytes = &avro[kind];
        size_t capacity = 0;
        const uint64_t count = nexmark_count(kind, events);
        for (uint32_t split = 0; split < splits; split++) {
            if (split > 0)
                bytes->cuts[split - 1] = bytes->len;
            for (uint64_t i = split; i < count || capacity == 0; i += splits) {
                if (!grow(bytes, &capacity))
                    return false;
                if (i < count)
                    bytes->len =
                        (size_t)(put[kind](bytes->data + bytes->len, nexmark_nth(kind, i)) - bytes->data);
            }
        }
        memset(bytes->data + bytes->len, 0, SLACK_BYTES); /* readers may look a little further */
    }
    return true;
}
