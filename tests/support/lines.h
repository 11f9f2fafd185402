/* tests/support/lines.h -- a bag of text lines: what tests compare when order is free. */
#ifndef LEAT_TESTS_SUPPORT_LINES_H
#define LEAT_TESTS_SUPPORT_LINES_H
#include <leat/api.h>

/* Zeroed is empty. */
struct lines {
    char **at;
    size_t count, capacity;
};

void lines_add(struct lines *lines, const char *format, ...) LEAT_PRINTF(2, 3);
void lines_sort(struct lines *lines);
void lines_clear(struct lines *lines);
/* Sorts both; fails the test, with both bags in the message, unless they are equal. `what` names the case. */
void lines_expect(const char *what, struct lines *expected, struct lines *got);
#endif
