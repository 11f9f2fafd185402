/* include/leat/top_n.h -- the first n records of a key, in the order of a field or expression.
 *
 *   leat_top_n          of all records so far: a stream of changes (leat/change.h). A record that comes among the
 *                       first n replaces the one that leaves them; with a rank, all whose rank has changed are
 *                       replaced. Over a stream of changes a record that is taken back lets the next one in, so all
 *                       records are kept, not n: time and memory then grow with the records of a key
 *   leat_window_top_n   of each window of any kind, when it fires: plain records, n or fewer, in their order. With
 *                       triggers or allowed lateness each pane has them again (accumulating), those since the pane
 *                       before (discarding), or what has changed (retracting: a stream of changes; with a rank
 *                       place by place, without one the records that leave and those that come)
 *
 * Nulls come last; among equal values, the earlier event time first, then the earlier to arrive. */
#ifndef LEAT_TOP_N_H
#define LEAT_TOP_N_H
#include <leat/change.h>
#include <leat/window.h>

struct leat_top_n_opts {
    uint32_t n; /* 1 to 1000 */
    /* A field path or an expression (docs/guide/expressions.md): a number, a time, a string (bytewise), a boolean. A
     * record for which it can not be had is refused: leat_on_error. */
    const char *by;
    bool descending; /* the greatest first; else the least */
    const char *rank; /* a field of `out`, int or long, that takes 1 for the first, ...; NULL: none */
    /* NULL: the input's. Fields are filled from the input's of the same name; of windows also window_start and
     * window_end, where the input has none, and pane and pane_index (leat/aggregate.h) where panes are more than
     * one, or windows are not aligned. */
    const struct leat_type *out;
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_top_n_sized(
    leat_keyed_stream *in, const char *name, const struct leat_top_n_opts *opts, size_t size);
static inline leat_stream *leat_top_n(
    leat_keyed_stream *in, const char *name, const struct leat_top_n_opts *opts)
{
    return leat_top_n_sized(in, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_window_top_n_sized(
    leat_windowed_stream *in, const char *name, const struct leat_top_n_opts *opts, size_t size);
static inline leat_stream *leat_window_top_n(
    leat_windowed_stream *in, const char *name, const struct leat_top_n_opts *opts)
{
    return leat_window_top_n_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
