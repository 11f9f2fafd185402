/* state/table_key.c -- which part of a key decides its key group, and how that is written in manifests. */
#include "base/assert.h"
#include "base/error.h"
#include "state/state_private.h"
#include <stdio.h>
#include <stdlib.h>

struct leat_sv leat__key_route(const struct leat_key_route *route, struct leat_sv key)
{
    uint32_t len;
    switch (route->kind) {
    case LEAT_ROUTE_WHOLE:
        break;
    case LEAT_ROUTE_SKIP:
        if (key.len >= route->skip)
            return (struct leat_sv){ key.data + route->skip, key.len - route->skip };
        break;
    case LEAT_ROUTE_FIRST_PART:
        if (key.len < sizeof len)
            break;
        memcpy(&len, key.data, sizeof len);
        len = __builtin_bswap32(len);
        if (len <= key.len - sizeof len)
            return (struct leat_sv){ key.data + sizeof len, len };
        break;
    }
    return key;
}
