/* bench/nexmark/fold.h -- changes in a file of JSON lines, folded to what they come to. */
#ifndef NEXMARK_FOLD_H
#define NEXMARK_FOLD_H

/* Rewrites the file: each row that was given more often than it was taken back, without its member "op", in the order
 * in which they were given first. 0, or 1 with a message on standard error. */
int nexmark_fold(const char *path);
#endif
