/* operators/top_n_private.h -- the first n records: what both operators share.
 *
 *   top_n_rank.c      the order of records, which of them are first, their state, rows of output
 *   top_n_declare.c   options to a spec, with all their mistakes told
 *   top_n.c           of a key, as changes        top_n_window.c   of windows, when they fire
 *   top_n_rows.c      of windows of every kind, with every trigger: as an accumulator of the operators of aggregates
 *
 * State: table "rows", LIST: namespace (a window, or 0), key -> records. Where only the first n are kept they are in
 * the order of their ranks, else in that of arrival. */
#ifndef LEAT_OPERATORS_TOP_N_PRIVATE_H
#define LEAT_OPERATORS_TOP_N_PRIVATE_H
#include "operators/aggregate_class_private.h"
#include "operators/changes_private.h"
#include "operators/window_private.h"
#include "state/state.h"
#include <leat/top_n.h>

#define LEAT__TOP_N_MAX 1000u

struct leat__top_copy {
    struct leat_field from, to;
};

/* Fields that can not be null and lie alike in input and output, as one run. */
struct leat__top_run {
    uint32_t from, to, size;
};

struct leat__top_spec {
    const struct leat_type *in, *out;
    const struct leat_key *key;
    const char *key_types;
    uint32_t n;
    struct leat_place by; /* where it is a field; else */
    struct leat__column *column; /* of windows and keys; NULL: a field */
    bool descending;
    bool keeps_all; /* records may be taken back */
    bool has_rank;
    struct leat__out_field rank, window_start, window_end; /* type NULL: not in the output */
    struct leat__top_copy *copies; /* fields that may be null */
    uint32_t copies_count;
    struct leat__top_run *runs; /* all others */
    uint32_t runs_count;
    const struct leat__assigner *assigner; /* NULL: no windows, or */
    struct leat__aggregate_spec *windows; /* of the operators of aggregates */
};

/* A record with its place in the order. */
struct leat__ranked {
    const void *record;
    const struct leat_list_row *row; /* of a list, where it matters */
    int64_t us;
    bool is_null; /* of an expression: what ranks it */
    struct leat__value value;
};

/* What ranks a row: zeros are equal. */
static inline struct leat__value leat__top_value(
    enum leat_value_class value_class, const struct leat__column_view *view, uint32_t row)
{
    struct leat__value value = leat__value_read(value_class, view, row);
    if (value_class == LEAT_VALUE_FLOAT && value.code == leat__float_code(-0.0))
        value.code = leat__float_code(0.0);
    return value;
}

struct leat__top {
    const struct leat__top_spec *spec;
    struct leat_table *table;
    struct leat_key_scratch *key_scratch;
    struct leat_copier *copier, *out_copier; /* of the input's records, and of the output's */
    struct leat__changes changes;
    struct leat__ranked *before, *after; /* n + 1 each */
    uint32_t before_count, after_count;
    /* Records on their way back into a list. */
    unsigned char *block;
    size_t block_capacity;
    struct leat_batch *rows;
    struct leat_sv *row_keys; /* as many as `rows` takes */
    uint64_t *row_hashes;
    struct leat_batch *batch; /* that is being worked on */
    const struct leat_sv *keys;
    uint32_t at;
    /* By an expression: of the batch, and of records in lists, whose texts are in the memory of `listed`. */
    struct leat__column_scratch scratch, listed_scratch;
    struct leat__column_view view;
    struct leat_batch *listed;
};

LEAT_NODISCARD int leat__top_init(
    struct leat__top *top, struct leat__ctx *ctx, const struct leat__top_spec *spec);
void leat__top_release(struct leat__top *top);
/* Takes the batch; its keys, and what ranks its rows. Rows that can not be had are refused: the rest is top->batch, NULL if
 * there is none. */
LEAT_NODISCARD int leat__top_prepare(struct leat__top *top, struct leat__ctx *ctx, struct leat_batch *batch);

/* The list of row's key: NULL is empty. Good until the next call of the table. */
LEAT_NODISCARD int leat__top_list(struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row,
    const struct leat_list_row **list);
/* A row of the batch; and what ranks records of a list. Good until the next call of this one. */
struct leat__ranked leat__top_one(const struct leat__top *top, uint32_t row);
LEAT_NODISCARD int leat__top_rank(
    struct leat__top *top, struct leat__ctx *ctx, struct leat__ranked *records, uint32_t count);
/* The place of one behind those that are as good, from 0; n or more: none of the first n. */
uint32_t leat__top_place(const struct leat__top_spec *spec, const struct leat__ranked *first, uint32_t count,
    const struct leat__ranked *one);
/* Adds one there: false when n are better. `count` of n + 1 places are taken. */
bool leat__top_add(
    const struct leat__top_spec *spec, struct leat__ranked *first, uint32_t *count, struct leat__ranked one);
/* Replaces the list of row's key by these records, which may be of the list itself. */
LEAT_NODISCARD int leat__top_put(struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row,
    const struct leat__ranked *records, uint32_t count);
/* Puts row into the list of its key, which is as leat__top_list has given it: at this place. n of them: the last one goes. */
LEAT_NODISCARD int leat__top_insert(struct leat__top *top, struct leat__ctx *ctx, int64_t ns, uint32_t row,
    const struct leat__ranked *list, uint32_t count, uint32_t at);
/* Makes a row of output (changes_private.h). */
LEAT_NODISCARD int leat__top_row(struct leat__top *top, struct leat__ctx *ctx, int which,
    const struct leat__ranked *one, uint32_t rank, const struct leat__window *window);

bool leat__top_is_field(const struct leat_type *in, const char *by); /* true of NULL, too */
/* Fills the spec, but for what is about windows and changes, which is set before. */
void leat__top_declare(struct leat_node *node, struct leat__top_spec *spec, const struct leat_top_n_opts *o,
    const struct leat_keyed_stream *in);

/* A row's fields from a record, which it then shows. */
void leat__top_fill(const struct leat__top_spec *spec, const void *record, uint32_t rank, unsigned char *row);

/* ---- as an accumulator ---- */

void leat__top_rows_choose(struct leat__agg *agg);
int leat__top_rows_renew(const struct leat__agg *agg, const struct leat__agg_memory *mem, void *accumulator);

extern const struct leat_op_class leat__top_n_class, leat__window_top_n_class;
#endif
