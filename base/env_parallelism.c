/* base/env_parallelism.c -- how many workers this machine, or the person at it, asks for. */
#include "base/env.h"
#include "base/limits.h"
#include <stdlib.h>
#include <uv.h>

uint32_t leat__env_parallelism(void)
{
    const char *text = getenv("LEAT_PARALLELISM");
    char *end = NULL;
    const unsigned long asked = text ? strtoul(text, &end, 10) : 0;
    if (text && *end == '\0' && asked >= 1 && asked <= LEAT_WORKERS_MAX)
        return (uint32_t)asked;
    const unsigned cores = uv_available_parallelism(); /* at least 1 */
    return cores < LEAT_WORKERS_MAX ? cores : LEAT_WORKERS_MAX;
}
