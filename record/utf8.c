/* record/utf8.c -- checking UTF-8: eight ASCII bytes at a time, the rest by the table of well-formed
 * sequences. */
#include "record/utf8_private.h"
#include <string.h>

/* Length of the sequence that `lead` begins, with the bounds of its second byte; 0 for none. */
static unsigned sequence(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        *low = lead == 0xe0 ? 0xa0 : 0x80; /* overlong */
        *high = lead == 0xed ? 0x9f : 0xbf; /* surrogates */
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *low = lead == 0xf0 ? 0x90 : 0x80; /* overlong */
        *high = lead == 0xf4 ? 0x8f : 0xbf; /* above U+10FFFF */
        return 4;
    }
    return 0;
}

bool leat__utf8_is_valid(const unsigned char *text, size_t len)
{
    size_t i = 0;
    while (i < len) {
        uint64_t eight;
        if (len - i >= sizeof eight) {
            memcpy(&eight, text + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        if (text[i] < 0x80) {
            i++;
            continue;
        }
        unsigned char low, high;
        const unsigned n = sequence(text[i], &low, &high);
        if (n == 0 || len - i < n || text[i + 1] < low || text[i + 1] > high)
            return false;
        for (unsigned k = 2; k < n; k++)
            if (text[i + k] < 0x80 || text[i + k] > 0xbf)
                return false;
        i += n;
    }
    return true;
}
