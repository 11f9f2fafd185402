/* tests/support/golden.h -- texts that are compared with files under tests/golden/.
 *
 * With LEAT_UPDATE_GOLDEN=1 in the environment the file is written instead; `git diff` then shows what has
 * changed. Memory is the C library's own, so that tests that count allocations see only those of what they
 * test. */
#ifndef LEAT_TESTS_SUPPORT_GOLDEN_H
#define LEAT_TESTS_SUPPORT_GOLDEN_H

/* Fails the running test with a diff (- the file, + the text) unless tests/golden/<name> has exactly this
 * text. */
void golden_check(const char *name, const char *text);

/* The same comparison for two texts: NULL when they are equal, else the diff, which the caller frees with
 * free(). */
char *golden_diff(const char *want, const char *got);
#endif
