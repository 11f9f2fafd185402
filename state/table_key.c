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

int leat__route_print(const struct leat_key_route *route, char *text, size_t size)
{
    switch (route->kind) {
    case LEAT_ROUTE_SKIP:
        return snprintf(text, size, "skip %u", route->skip);
    case LEAT_ROUTE_FIRST_PART:
        return snprintf(text, size, "first part");
    case LEAT_ROUTE_WHOLE:
        break;
    }
    return snprintf(text, size, "whole");
}

int leat__route_parse(const char *text, struct leat_key_route *route)
{
    *route = (struct leat_key_route){ LEAT_ROUTE_WHOLE, 0 };
    if (!text || strcmp(text, "whole") == 0)
        return 0;
    if (strcmp(text, "first part") == 0) {
        route->kind = LEAT_ROUTE_FIRST_PART;
        return 0;
    }
    char *end = NULL;
    if (strncmp(text, "skip ", 5) != 0 || text[5] < '0' || text[5] > '9')
        return LEAT_EDATA;
    const unsigned long skip = strtoul(text + 5, &end, 10);
    if (*end != '\0' || skip > UINT32_MAX)
        return LEAT_EDATA;
    *route = (struct leat_key_route){ LEAT_ROUTE_SKIP, (uint32_t)skip };
    return 0;
}
