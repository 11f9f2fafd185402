/* bench/nexmark/queries/q22.c -- url directories: parts of each url. */
#include "bench/nexmark/nexmark.h"
#include "bench/nexmark/queries/queries.h"
#include "q22_out.h"
/* The text from `from` to the next '/', and where that is. */
static struct leat_sv part(const char **from, const char *end)
{
    const char *slash = *from < end ? memchr(*from, '/', (size_t)(end - *from)) : NULL;
    const struct leat_sv text = { *from, (size_t)((slash ? slash : end) - *from) };
    *from = slash ? slash + 1 : end;
    return text;
}

static void split_url(struct leat_ctx *ctx, const struct bid *b, struct q22_out *out)
{
    const char *at = b->url.data, *const end = at + b->url.len;
    (void)ctx;
    out->auction = b->auction;
    out->bidder = b->bidder;
    out->price = b->price;
    out->channel = b->channel;
    for (int i = 0; i < 3; i++) /* the scheme, nothing, the host */
        (void)part(&at, end);
    out->dir1 = part(&at, end);
    out->dir2 = part(&at, end);
    out->dir3 = part(&at, end);
}
LEAT_DEFINE_MAP(split_url, bid, q22_out);

leat_stream *nexmark_q22(struct nexmark *n)
{
    return leat_map(nexmark_bids(n), "directories", &split_url_map);
}
