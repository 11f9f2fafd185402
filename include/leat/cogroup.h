/* include/leat/cogroup.h -- several keyed streams as one, so that one aggregate, window or process function sees the
 * records of all of them.
 *
 *   leat_keyed_stream *activity = leat_cogroup(t, "activity", &(struct leat_cogroup_opts){
 *       .inputs = { { orders, "order", "customer_id" }, { clicks, "click", "user_id" } } });
 *   leat_window(activity, ...) and leat_aggregate with LEAT_SUM("order.total", "spent"),
 *   LEAT_COUNT_OF("click.url", "clicks"), ...
 *
 * The records are of a type made for it: the fields of the key, named and typed as the first input has them (an
 * expression by the name that it is given: "lower(email) as email"), and one nullable field for each input, named as
 * the options say, of which exactly one is set. Expressions over a field of an input that is not set are null, and
 * aggregates skip them; a condition is not fulfilled by them. Equal keys meet in one subtask, each input's in its
 * order; inputs that are keyed alike are not exchanged again. Late is judged by input, as everywhere. Streams of
 * changes are refused: put leat_changelog before it. */
#ifndef LEAT_COGROUP_H
#define LEAT_COGROUP_H
#include <leat/key.h>

struct leat_cogroup_input {
    leat_stream *stream;
    const char *as; /* field of the records that are made */
    const char *
        key; /* as of leat_group_by; of one type over all inputs, nullable in all or in none. Null: a key of its own */
};

struct leat_cogroup_opts {
    struct leat_cogroup_input inputs[16]; /* up to the first without a stream; at least one */
};

LEAT_BEGIN_DECLS
LEAT_API leat_keyed_stream *leat_cogroup_sized(
    leat_topology *t, const char *name, const struct leat_cogroup_opts *opts, size_t size);
static inline leat_keyed_stream *leat_cogroup(
    leat_topology *t, const char *name, const struct leat_cogroup_opts *opts)
{
    return leat_cogroup_sized(t, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
