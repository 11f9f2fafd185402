/* bench/nexmark/queries/q21.c -- channel id: known names have a number, others show it in their url. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q21_out.h"
static bool is_named(struct leat_sv channel, struct leat_sv lower)
{
    if (channel.len != lower.len)
        return false;
    bool same = true;
    for (size_t i = 0; i < lower.len; i++)
        same &= (channel.data[i] >= 'A' && channel.data[i] <= 'Z' ? channel.data[i] | 0x20
                                                                  : channel.data[i]) == lower.data[i];
    return same;
}

/* What is between "&channel_id=" and the next "&", the last "channel_id=" being at the begin of the text or behind "&";
 * false where there is none. */
static bool find_id(struct leat_sv url, struct leat_sv *id)
{
    static const char name[] = "channel_id=";
    const char *const end = url.data + url.len;
    for (const char *at = url.data; at && at < end; at = memchr(at, '&', (size_t)(end - at))) {
        at += *at == '&';
        if ((size_t)(end - at) < sizeof name - 1 || memcmp(at, name, sizeof name - 1) != 0)
            continue;
        id->data = at + sizeof name - 1;
        const char *stop = memchr(id->data, '&', (size_t)(end - id->data));
        id->len = (size_t)((stop ? stop : end) - id->data);
        return true;
    }
    return false;
}

static void add_channel_id(struct leat_ctx *ctx, const struct bid *b, struct leat_out *out)
{
    static const struct leat_sv known[] = { { "apple", 5 }, { "google", 6 }, { "facebook", 8 },
        { "baidu", 5 } };
    static const char numbers[] = "0123";
    struct leat_sv id = { NULL, 0 };
    (void)ctx;
    for (int i = 0; i < 4 && !id.data; i++)
        if (is_named(b->channel, known[i]))
            id = (struct leat_sv){ numbers + i, 1 };
    if (!id.data && !find_id(b->url, &id))
        return;
    struct q21_out *row = leat_out_row(out);
    if (!row)
        return;
    row->auction = b->auction;
    row->bidder = b->bidder;
    row->price = b->price;
    row->channel = b->channel;
    row->channel_id = id;
}
LEAT_DEFINE_FLAT_MAP(add_channel_id, bid, q21_out);

leat_stream *nexmark_q21(struct nexmark *n)
{
    return leat_flat_map(
        nexmark_bids(n), "with-channel-id", &(struct leat_flat_map_opts){ .fn = &add_channel_id_flat_map });
}
