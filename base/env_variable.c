/* base/env_variable.c -- the variables that whoever starts the process has set. */
#include "base/env.h"
#include <stdlib.h>

const char *leat__env_variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}
