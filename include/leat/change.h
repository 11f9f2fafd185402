/* include/leat/change.h -- streams of changes.
 *
 * A stream is either of records that stand for themselves, or of changes: what a record replaces or takes back
 * was given before. Whether a stream carries changes is known when it is declared; filters, maps, branches and
 * the like pass them on, and an operator or sink that can not take them is refused (semantics 34).
 *
 * Of each key come: INSERT, then any number of pairs UPDATE_BEFORE (the record that is replaced, as it was
 * given) and UPDATE_AFTER, then perhaps DELETE (the record as it was given); then it may begin again.
 *
 * UPDATE_BEFORE and DELETE take a record back, INSERT and UPDATE_AFTER give one. A filter, a branch or an
 * exchange by another key may separate a pair: UPDATE_BEFORE alone is a record that has left, UPDATE_AFTER
 * alone one that is new here. */
#ifndef LEAT_CHANGE_H
#define LEAT_CHANGE_H
#include <leat/stream.h>

enum leat_change {
    LEAT_INSERT = 0,
    LEAT_UPDATE_BEFORE = 1,
    LEAT_UPDATE_AFTER = 2,
    LEAT_DELETE = 3,
};

/* How a stream of changes is made one of plain records. */
struct leat_changelog_opts {
    /* A field of the records that takes the change: an int, a string ("insert", "update_before",
     * "update_after", "delete"), or an enum with the symbols INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE. NULL:
     * none. */
    const char *field;
    const struct leat_type
        *out; /* a record with that field and fields of the input's names; NULL: the input's */
    bool only_after; /* only INSERT and UPDATE_AFTER: the state of a key as of its last record, but deletes */
};

LEAT_BEGIN_DECLS
/* What the record that the callback is about does. */
LEAT_API enum leat_change leat_ctx_change(const struct leat_ctx *ctx);
/* Whether the stream carries changes. */
LEAT_API bool leat_stream_changes(const leat_stream *stream);
/* Each change as a record of its own. */
LEAT_API leat_stream *leat_changelog_sized(
    leat_stream *in, const char *name, const struct leat_changelog_opts *opts, size_t size);
static inline leat_stream *leat_changelog(
    leat_stream *in, const char *name, const struct leat_changelog_opts *opts)
{
    return leat_changelog_sized(in, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
