/* tests/support/child.h -- programs that tests talk to through pipes. */
#ifndef LEAT_TESTS_SUPPORT_CHILD_H
#define LEAT_TESTS_SUPPORT_CHILD_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Starts a program, found by PATH; its output is read from *out, and its input ends when *in is closed. Fails the test when
 * that does not work. */
pid_t child_start(char *const argv[], int *in, int *out);
/* One line of its output, without its end; false when the program closes before. */
bool child_line(int fd, char *line, size_t size);
#endif
