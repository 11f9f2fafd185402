/* tests/outside/hello.c -- a program that knows only what is installed: the headers in <leat/> and the
 * library. Prints one line that scripts/test-outside looks for. */
#include <leat/leat.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    if (leat_version_number() != LEAT_VERSION_NUMBER) {
        (void)fprintf(stderr, "headers of %d, library of %d\n", LEAT_VERSION_NUMBER, leat_version_number());
        return 1;
    }
    if (strcmp(leat_error_text(LEAT_EDATA), "bad data") != 0)
        return 1;
    (void)printf("leat %s outside its tree\n", leat_version());
    return 0;
}
