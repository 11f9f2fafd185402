/* operators/aggregate_private.h -- the parts of an aggregate, from its declaration to a row of its output.
 *
 *   aggregate_declare.c     options -> struct leat__aggregate_spec: columns, accumulators, output fields; all
 * mistakes aggregate_column.c      a batch -> the values of each distinct `of` aggregate_accumulate.c columns
 * -> accumulators in state -> results aggregate_key.c         key bytes -> fields of the output, and text for
 * errors aggregate_output.c      what fills which field of the output record, and doing it window_aggregate.c
 * windows, lateness, firing: the operator
 *
 * The value of a window and key in state:
 *
 *   [head: records since the last pane, panes so far]  where panes are more than one (or records may be
 * refused) [present: bit i set once aggregate i has seen a value]  where a value can be null [accumulator
 * 0][accumulator 1] ...                     each a multiple of 8 bytes; all zero = nothing seen yet */
#ifndef LEAT_OPERATORS_AGGREGATE_PRIVATE_H
#define LEAT_OPERATORS_AGGREGATE_PRIVATE_H
#include "operators/rows_private.h"
#include "operators/window_private.h"
#include "record/expr.h"
#include "record/key.h"
#include "state/state.h"
#include <leat/aggregate.h>

/* ---- columns: what aggregates read ---- */

struct leat__column {
    const struct leat_expr *expr;
    const char *text; /* of the expression; columns are distinct in it */
    bool is_place; /* nothing but a field: `place` */
    bool in_place; /* read where it stands: a place of 8 bytes or a view, in its own unit */
    struct leat_place place;
    enum leat_value_class value_class; /* TIMESTAMP that is no place: microseconds */
    bool nullable;
};

/* The values of a batch: of row r at base + r * stride, an int64_t, a double or a struct leat_sv by class. */
struct leat__column_view {
    const unsigned char *base;
    size_t stride;
    const uint8_t *nulls; /* byte per row, NULL: none */
};

struct leat__column_scratch {
    struct leat_expr_scratch *expr;
    uint64_t *widened; /* values that do not stand in the row in their class's form */
    uint8_t *nulls;
    uint32_t capacity;
};

LEAT_NODISCARD int leat__column_init(
    const struct leat__column *column, struct leat__ctx *ctx, struct leat__column_scratch *scratch);
void leat__column_release(struct leat__column_scratch *scratch);
/* Evaluates; rows whose value can not be had (overflow) are refused, and then the view is void. */
LEAT_NODISCARD int leat__column_eval(const struct leat__column *column, struct leat__column_scratch *scratch,
    struct leat__ctx *ctx, const struct leat_batch *batch, struct leat__column_view *view);

/* ---- accumulators ---- */

enum leat__agg_op {
    LEAT__COUNT_ALL = 1,
    LEAT__COUNT_VALUES,
    LEAT__SUM_INT,
    LEAT__SUM_FLOAT,
    LEAT__AVG_INT,
    LEAT__AVG_FLOAT,
    LEAT__MIN_INT,
    LEAT__MAX_INT,
    LEAT__MIN_FLOAT,
    LEAT__MAX_FLOAT,
    LEAT__MIN_TEXT,
    LEAT__MAX_TEXT,
    LEAT__USER,
};

/* Where a value goes in the output record. */
struct leat__out_field {
    const struct leat_type *type;
    uint32_t offset;
    uint32_t has_offset;
    int64_t (*to_us)(int64_t value); /* timestamps: from the column's unit, NULL: as it is */
    int64_t (*from_us)(int64_t us); /* and to the field's */
};

struct leat__agg {
    enum leat__agg_op op;
    uint32_t index; /* in the options: aggs[index] */
    const char *as, *of;
    uint32_t column; /* but for COUNT_ALL and USER */
    uint32_t offset, size; /* from the present word */
    uint64_t present_bit; /* 0: a value is always there when a record is */
    const struct leat_aggregate_fn *fn; /* USER */
    struct leat__out_field out; /* but for USER */
};

/* The accumulator of min and max of strings. */
struct leat__agg_text {
    char *data;
    uint32_t capacity;
    uint32_t len_plus_1; /* 0: none seen */
};

struct leat__aggregate_head {
    uint64_t since; /* records since the last pane */
    uint64_t panes; /* given so far */
};

/* ---- the output record ---- */

/* A field of the key: where its bytes are from, and where they go. */
struct leat__key_part {
    const char *path; /* as grouped by */
    const struct leat_type *type;
    bool nullable;
    bool escaped; /* variable bytes within a composite key */
    bool copied; /* the output has a field for it */
    struct leat__out_field out;
};

struct leat__key_parts {
    struct leat__key_part *parts;
    uint32_t count;
    bool is_fn; /* a callback's key: one part, with the callback's name */
};

enum { LEAT__PANE_NAMES = 4 };

struct leat__aggregate_spec {
    const struct leat_type *in, *out;
    const struct leat_key *key;
    struct leat_window_opts window;
    uint64_t fire_count; /* records of an early pane; 0: none */
    enum leat_on_overflow on_overflow;
    bool ordered;
    struct leat__column *columns;
    uint32_t columns_count;
    struct leat__agg *aggs;
    uint32_t aggs_count, users_count;
    bool has_text; /* min or max of strings: accumulators that own memory of the namespace */
    uint32_t values_size; /* present word and accumulators */
    const char *key_types; /* leat__key_describe */
    struct leat__key_parts key_parts;
    struct leat__out_field window_start, window_end, pane, pane_index; /* type NULL: not in the output */
    int32_t pane_symbols[LEAT__PANE_NAMES]; /* of an enum, by enum leat_pane */
};

/* One pass of rows into their accumulators. */
struct leat__agg_pass {
    const struct leat__aggregate_spec *spec;
    struct leat__ctx *ctx;
    struct leat_table *table; /* memory of strings */
    int64_t ns;
    const struct leat_batch *batch;
    const struct leat__column_view *views;
    const uint32_t *rows;
    unsigned char **values; /* the present words, by row of the pass */
    uint32_t count;
    void **pointers; /* spare, as many: accumulators of user aggregates */
};
/* All aggregates that are no callbacks. Fails the job when strings find no memory. */
LEAT_NODISCARD int leat__agg_add(const struct leat__agg_pass *pass);
/* The callbacks. Refusals stay in ctx. */
void leat__agg_add_users(const struct leat__agg_pass *pass);
/* Makes the accumulator show a copy of the string; false when there is no memory. */
bool leat__agg_keep_text(
    struct leat_table *table, int64_t ns, struct leat__agg_text *text, struct leat_sv string);
/* Forgets what was added, but keeps the memory of strings. */
void leat__agg_reset(const struct leat__aggregate_spec *spec, unsigned char *values);
/* Sets the field of aggregate `agg` (no callback). 0, LEAT_EOVERFLOW, or LEAT_ENOMEM. */
LEAT_NODISCARD int leat__agg_result(const struct leat__aggregate_spec *spec, const struct leat__agg *agg,
    const unsigned char *values, struct leat_batch *out, void *row);
/* Chooses op and size of an accumulator for a kind and a class; false when they do not fit. */
bool leat__agg_choose(
    struct leat__agg *agg, enum leat_aggregate_kind kind, enum leat_value_class value_class);

/* Where the accumulators are in a value: `arg` of the functions of the table's codec. */
struct leat__value_layout {
    const struct leat__aggregate_spec *spec;
    uint32_t base;
    const struct leat_node *node; /* for what callbacks ask; may be NULL without them */
};
int leat__agg_encode(void *arg, const void *value, struct leat_strbuf *out);
int leat__agg_decode(
    void *arg, struct leat_table *table, int64_t ns, const char *data, size_t len, void *value);
/* What two encoded values are together, of which the second began at zero. On any thread. */
int leat__agg_merge(void *arg, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out);
/* Whether that can be had of all aggregates. */
bool leat__agg_is_mergeable(const struct leat__aggregate_spec *spec);
/* Adds what `from` has seen to `into`, both accumulators of `agg` in memory, aligned to 8; no strings, no
 * callbacks. */
void leat__agg_combine(const struct leat__agg *agg, void *into, const void *from);
/* What the bytes of a value mean, for the table's format: equal texts, equal meaning. The names of output
 * fields are no part of it. */
void leat__agg_print_format(const struct leat__aggregate_spec *spec, bool has_head, struct leat_strbuf *out);

/* ---- filling ---- */

/* What a row of output is about. */
struct leat__pane {
    struct leat__window window;
    struct leat_sv key;
    enum leat_pane kind;
    uint64_t index;
};

void leat__out_set_int(void *row, const struct leat__out_field *field, int64_t value);
void leat__out_set_float(void *row, const struct leat__out_field *field, double value);
/* Copies the bytes into the batch's memory; false when there is none. */
bool leat__out_set_bytes(
    struct leat_batch *out, void *row, const struct leat__out_field *field, struct leat_sv bytes);
void leat__out_set_null(void *row, const struct leat__out_field *field);

/* Sets key, window and pane fields. false when out of memory. */
bool leat__out_fill(const struct leat__aggregate_spec *spec, const struct leat__pane *pane,
    struct leat_batch *out, void *row);

/* Declares: finds the fields for key, window and panes, and those that nothing fills. Gives the key text that
 * the output is partitioned by, or NULL. */
const char *leat__out_declare(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_keyed_stream *keyed);
/* The field that an aggregate's result goes to; errors go to the option. */
void leat__out_declare_result(struct leat_node *node, const struct leat__aggregate_spec *spec,
    struct leat__agg *agg, const char *option);

void leat__key_parts_declare(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_keyed_stream *keyed);
bool leat__key_parts_fill(
    const struct leat__key_parts *parts, struct leat_sv key, struct leat_batch *out, void *row);
/* The i-th part's value: of integers; of strings, whose bytes (no more than the key has) are written to `to`. 0
 * and no bytes of others, and of null. */
int64_t leat__key_part_i64(const struct leat__key_parts *parts, struct leat_sv key, uint32_t i);
size_t leat__key_part_bytes(const struct leat__key_parts *parts, struct leat_sv key, uint32_t i, char *to);
/* `customer_id 42, region "eu"` for errors. */
void leat__key_parts_print(const struct leat__key_parts *parts, struct leat_sv key, struct leat_strbuf *out);

/* Microseconds in the unit of a timestamp type (long without a logical type: microseconds); false for another
 * type. */
bool leat__out_time_unit(const struct leat_type *type, int64_t (**from_us)(int64_t us));

extern const struct leat_op_class leat__window_aggregate_class;
#endif
