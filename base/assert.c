/* base/assert.c -- the end of the process when an invariant is broken. */
#include "base/assert.h"
#include <stdio.h>
#include <stdlib.h>

void leat__assert_failed(const char *expression, const char *file, int line, const char *function)
{
    (void)fprintf(stderr, "leat: bug: %s:%d: %s: assertion `%s' failed\n", file, line, function, expression);
    abort();
}
