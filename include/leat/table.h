/* include/leat/table.h -- tables: streams of changes that say what is so now, and joins with them.
 *
 * A table is a stream of changes (leat/change.h). leat_group_aggregate, leat_deduplicate and leat_top_n make some;
 * leat_upsert makes one of a plain stream in which each record replaces the one before of the same key.
 *
 *   leat_upsert        a plain stream as a table
 *   leat_table_join    each record of a stream with what the table says about its key. Only the stream gives results
 *                      (semantics 33)
 *   leat_join_tables   what two tables, or streams that are kept for ever, have in common, kept up to date: changes
 *                      of either side give changes (semantics 34). A key that is the foreign key of one side and the
 *                      primary key of the other is no special case
 */
#ifndef LEAT_TABLE_H
#define LEAT_TABLE_H
#include <leat/change.h>
#include <leat/join.h>
#include <leat/process.h>

/* Each record replaces the one with the same key; records that delete, which may miss any other field, take it back.
 * Gives INSERT, pairs of UPDATE_BEFORE and UPDATE_AFTER, DELETE, with the event time of the record that caused them;
 * nothing where nothing changes. Of a stream of changes: what is taken back (UPDATE_BEFORE without its
 * UPDATE_AFTER, DELETE) deletes. */
struct leat_upsert_opts {
    const char *key; /* "a, b": field paths or expressions; a null is a value like others */
    const char *delete_where; /* a condition: the record deletes; or */
    const char *value; /* a nullable field: a record in which it is null deletes. At most one of the two */
    /* A record with an earlier event time than the one it would replace is dropped and counted as late; else the
     * order of arrival counts. The time of what was deleted is known until the watermark has passed it. */
    bool by_event_time;
    struct leat_ttl ttl; /* rows are deleted, and that is given, so long after they came; not .on_read */
};

enum leat_as_of {
    /* The default: a stream record waits until the table's watermark has reached its time, and is joined with what
     * the table said at that time. A table without event time counts as complete when its input has ended. */
    LEAT_AS_OF_EVENT_TIME = 1,
    /* With what the table says when the record arrives: no waiting, and the result depends on the order of
     * arrival. */
    LEAT_AS_OF_ARRIVAL,
};

/* At most one row per key is in the table at a time (the key is the table's own, or a part of what makes its rows
 * unique); of several that are, the last to come counts. What takes back a record that is not there is dropped and
 * counted: deletes that have only the key go through leat_upsert first. A table that is a plain stream is one in
 * which each record replaces the one before.
 *
 * A record of the table that is behind the table's watermark counts from the watermark on, since what was said up to
 * it is out. In a plain one it is dropped (leat_late_right) where a later record of its key is known that was on
 * time. */
struct leat_table_join_opts {
    const char *left_key, *right_key; /* of the stream and of the table; right_key NULL: the same */
    enum leat_as_of as_of;
    /* AS_OF_EVENT_TIME: how long versions are kept that were replaced, as seen from the watermark; > 0. A record
     * that is late by no more than this is joined like one on time. The last version is kept for ever. 0: until
     * the watermark passes. */
    int64_t retention_us;
    /* Every worker has the whole table, in memory beside the state's budget, and the stream stays where it is: for
     * tables that are small beside the stream. */
    bool broadcast;
    const char *where; /* over left.x and right.y: where it does not hold, the table says nothing */
    const struct leat_join_fn *merge; /* right is NULL for LEFT where the table says nothing */
    const struct leat_type *out;
    struct leat_projection fields[64];
    enum leat_join_kind kind; /* INNER (what finds nothing is dropped and counted) or LEFT */
    const char *key_as; /* fields of the output that hold the key: leat/join.h. Not with broadcast */
};

/* Pairs of rows of the two sides with equal keys, any number of them. Either side may be a plain stream (only
 * inserts) or one of changes. The output is plain if both sides are and the kind is INNER, else a stream of
 * changes: a row of an outer join that finds its first partner, or loses its last, is replaced. Event time: that of
 * the record that caused the result. Both sides are kept in state: for ever, or as `ttl` says. */
struct leat_join_tables_opts {
    const char *left_key, *right_key;
    enum leat_join_kind kind;
    const char *where;
    const struct leat_join_fn *merge;
    const struct leat_type *out;
    struct leat_projection fields[64];
    /* Rows of a side are forgotten so long after they came, and give nothing then: no change takes back what
     * they were part of. Zero: never. */
    struct leat_ttl left_ttl, right_ttl;
    const char *key_as; /* fields of the output that hold the key: leat/join.h */
};

LEAT_BEGIN_DECLS
LEAT_API leat_stream *leat_upsert_sized(
    leat_stream *in, const char *name, const struct leat_upsert_opts *opts, size_t size);
static inline leat_stream *leat_upsert(leat_stream *in, const char *name, const struct leat_upsert_opts *opts)
{
    return leat_upsert_sized(in, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_table_join_sized(leat_stream *stream, leat_stream *table, const char *name,
    const struct leat_table_join_opts *opts, size_t size);
static inline leat_stream *leat_table_join(
    leat_stream *stream, leat_stream *table, const char *name, const struct leat_table_join_opts *opts)
{
    return leat_table_join_sized(stream, table, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_join_tables_sized(leat_stream *left, leat_stream *right, const char *name,
    const struct leat_join_tables_opts *opts, size_t size);
static inline leat_stream *leat_join_tables(
    leat_stream *left, leat_stream *right, const char *name, const struct leat_join_tables_opts *opts)
{
    return leat_join_tables_sized(left, right, name, opts, sizeof *opts);
}
LEAT_END_DECLS
#endif
