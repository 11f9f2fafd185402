/* base/near.c -- edit distance with adjacent swaps, two per edit so that a change of case costs one. */
#include "base/near.h"
#include <string.h>

#define WORD_BYTES_MAX 64u

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    const unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_BYTES_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = (unsigned)(2 * j);
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (unsigned)(2 * i);
        for (size_t j = 1; j <= b_len; j++) {
            const unsigned char x = (unsigned char)a[i - 1], y = (unsigned char)b[j - 1];
            const unsigned swap = x == y ? 0 : fold(x) == fold(y) ? 1 : 2;
            now[j] = min3(last[j] + 2, now[j - 1] + 2, last[j - 1] + swap);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 2 < now[j])
                now[j] = before[j - 2] + 2;
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

static bool same_folded(const char *a, const char *b)
{
    while (*a && fold((unsigned char)*a) == fold((unsigned char)*b))
        a++, b++;
    return *a == *b;
}

int leat__near(const char *word, const char *const *candidates, size_t count)
{
    const size_t len = strlen(word);
    int best = -1;
    unsigned best_distance = (unsigned)(2 * (len / 3 > 1 ? len / 3 : 1)) + 1;
    if (len == 0 || len > WORD_BYTES_MAX)
        return -1;
    for (size_t i = 0; i < count; i++) {
        const size_t other = strlen(candidates[i]);
        if (other == 0 || other > WORD_BYTES_MAX)
            continue;
        unsigned d = distance(word, len, candidates[i], other);
        if (d > 1 && len == other && same_folded(word, candidates[i]))
            d = 1;
        if (d < best_distance) {
            best_distance = d;
            best = (int)i;
        }
    }
    return best;
}
