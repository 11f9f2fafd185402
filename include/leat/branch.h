/* include/leat/branch.h -- send each record to the first case that it satisfies. */
#ifndef LEAT_BRANCH_H
#define LEAT_BRANCH_H
#include <leat/filter.h>

struct leat_branch_case {
    const char *name; /* of the output, unique in the node */
    const char *where; /* a boolean expression, or */
    const struct leat_filter_fn *fn; /* a predicate: exactly one of the two */
};

struct leat_branch_opts {
    struct leat_branch_case cases[14]; /* up to the first without a name; at least one */
    const char *otherwise; /* name of the output for the rest; NULL: the rest is dropped and counted */
};

LEAT_BEGIN_DECLS
/* The stream that is given back is the first case's; the others come from leat_branch_output. An output
 * nobody consumes drops its records, uncounted. */
LEAT_API leat_stream *leat_branch_sized(
    leat_stream *in, const char *name, const struct leat_branch_opts *opts, size_t size);
static inline leat_stream *leat_branch(leat_stream *in, const char *name, const struct leat_branch_opts *opts)
{
    return leat_branch_sized(in, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_branch_output(leat_stream *branch, const char *case_name);
LEAT_END_DECLS
#endif
