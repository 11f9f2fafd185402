/* base/near.h -- "did you mean": the candidate that is nearest to a misspelt word. */
#ifndef LEAT_BASE_NEAR_H
#define LEAT_BASE_NEAR_H
#include <leat/api.h>

/* The index of the candidate within an edit distance of max(1, len/3) of `word` (a letter in the other case
 * is half an edit, a whole word in another case too), the nearest and then the first; -1 when none is near.
 */
int leat__near(const char *word, const char *const *candidates, size_t count);
#endif
