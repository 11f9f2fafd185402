/* base/version.c -- the library's version. */
#include <leat/api.h>

#define TEXT_OF(x_) TEXT_OF_(x_)
#define TEXT_OF_(x_) #x_

const char *leat_version(void)
{
    return TEXT_OF(LEAT_VERSION_MAJOR) "." TEXT_OF(LEAT_VERSION_MINOR) "." TEXT_OF(LEAT_VERSION_PATCH);
}

int leat_version_number(void)
{
    return LEAT_VERSION_NUMBER;
}
