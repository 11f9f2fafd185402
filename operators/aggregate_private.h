/* operators/aggregate_private.h -- the parts of an aggregate, from its declaration to a row of its output.
 *
 *   aggregate_declare.c     options -> struct leat__aggregate_spec: columns, accumulators, output fields; all
 *                           mistakes
 *   aggregate_column.c      a batch -> the values of each distinct `of`, `where` and `by`
 *   aggregate_accumulate.c  whole values: rows added and taken back, two of them combined, copied, forgotten;
 *                           what each family does with its part is its class (aggregate_class_private.h)
 *   aggregate_user.c        callbacks; aggregate_record.c: their accumulators that are records
 *   aggregate_codec.c       values where they leave memory, and what their bytes mean
 *   aggregate_key.c         key bytes -> fields of the output, and text for errors
 *   aggregate_output.c      what fills which field of the output record, and doing it
 *   window_aggregate.c      windows, lateness, firing: the operator
 *
 * The value of a window and key in state:
 *
 *   [head: records since the last pane, panes so far]  where panes are more than one (or records may be refused)
 *   [present: bit i set once aggregate i has seen a value]  where a value can be null
 *   [accumulator 0][accumulator 1] ...                     each a multiple of 8 bytes; all zero = nothing seen yet
 *
 * Accumulators may own memory beside the value (struct leat__agg_memory says where it is from): whoever moves a
 * value copies, encodes or combines it by the functions below, and whoever removes one forgets it first. */
#ifndef LEAT_OPERATORS_AGGREGATE_PRIVATE_H
#define LEAT_OPERATORS_AGGREGATE_PRIVATE_H
#include "operators/rows_private.h"
#include "operators/window_private.h"
#include "record/expr.h"
#include "record/key.h"
#include "state/state.h"
#include <leat/aggregate.h>

/* ---- columns: what aggregates read ---- */

#define LEAT__NO_COLUMN UINT32_MAX

struct leat__column {
    const struct leat_expr *expr;
    const char *text; /* of the expression; columns are distinct in it */
    bool is_place; /* nothing but a field: `place` */
    bool in_place; /* read where it stands: a place of 8 bytes or a view, in its own unit */
    struct leat_place place;
    enum leat_value_class value_class; /* TIMESTAMP that is no place: microseconds */
    bool nullable;
    /* Wanted only where this earlier column is true, so that rows for which it is not are not refused for what
     * the expression would make of them; or LEAT__NO_COLUMN. */
    uint32_t where;
    uint32_t index; /* its own */
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
    struct leat_strbuf text; /* strings of rows that were evaluated one by one */
    struct leat_sv *texts;
};

LEAT_NODISCARD int leat__column_init(
    const struct leat__column *column, struct leat__ctx *ctx, struct leat__column_scratch *scratch);
void leat__column_release(struct leat__column_scratch *scratch);
/* Evaluates; rows whose value can not be had (overflow) are refused, and then the view is void. Views are an array
 * in the order of the spec's columns, and evaluated in that order. */
LEAT_NODISCARD int leat__column_eval(const struct leat__column *column, struct leat__column_scratch *scratch,
    struct leat__ctx *ctx, const struct leat_batch *batch, struct leat__column_view *view);

/* ---- accumulators ---- */

enum leat__agg_op {
    LEAT__BUILT_IN = 0,
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

/* What a result is, before the column says of which type. */
enum leat__agg_gives {
    LEAT__GIVES_LONG = 1,
    LEAT__GIVES_DOUBLE,
    LEAT__GIVES_BOOL,
    LEAT__GIVES_TEXT,
    LEAT__GIVES_VALUE, /* one of the column's */
    LEAT__GIVES_VALUES, /* an array of them */
    LEAT__GIVES_LONGS, /* an array of long */
};

struct leat__agg_class;
struct leat__agg_records;

struct leat__agg {
    enum leat__agg_op op;
    const struct leat__agg_class *family; /* but for USER with plain bytes: NULL */
    enum leat_aggregate_kind kind;
    uint32_t index; /* in the options: aggs[index] */
    const char *as, *of;
    uint32_t column; /* LEAT__NO_COLUMN: count(*) and USER */
    uint32_t where; /* the column of the condition, or LEAT__NO_COLUMN */
    uint32_t by; /* the column of `by`, or LEAT__NO_COLUMN */
    enum leat_value_class of_class, by_class;
    bool is_shared; /* an aggregate before it has the same accumulator: only its result is wanted */
    /* Distinct values counted under several conditions are one set; its first aggregate has the conditions, and each
     * of them is a part. */
    const uint32_t *wheres; /* columns, or LEAT__NO_COLUMN; NULL: not of this kind, or not the first */
    uint32_t wheres_count, part;
    uint32_t offset, size; /* from the present word */
    uint64_t present_bit; /* 0: a value is always there when a record is, or the accumulator tells */
    bool keeps_bit; /* present_bit tells whether a nullable result is null; else its accumulator does */
    bool nullable; /* the result can be null */
    enum leat__agg_gives gives;
    const struct leat_aggregate_fn *fn; /* USER */
    struct leat__agg_records *records; /* USER, with a record (aggregate_record_private.h); else NULL */
    struct leat__out_field out; /* but for USER */
    struct leat__out_field item; /* GIVES_VALUES, GIVES_LONGS: within an item */
    uint64_t n;
    double q, error;
    double log_gamma; /* of a sketch of quantiles */
    uint32_t buckets_max;
    uint32_t precision; /* of a sketch of distinct values: log2 of its registers */
    struct leat_sv separator;
    const double *bounds;
    uint32_t bounds_count;
};

/* Where accumulators get memory of their own: the table's namespace; or, table NULL, an arena: for copies that
 * live as long as it, and for combining on any thread. */
struct leat__agg_memory {
    struct leat_table *table;
    int64_t ns;
    struct leat_arena *arena;
};

struct leat__aggregate_head {
    uint64_t since; /* records since the last pane */
    uint64_t panes; /* given so far */
};

/* ---- the output record ---- */

/* A part of the key: where its bytes are from, and where they go. */
struct leat__key_part {
    const char *path; /* as grouped by: of a field, or an expression */
    const char *name; /* of the output's field that shows it; NULL: none can */
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

struct leat__top_spec;

struct leat__aggregate_spec {
    const struct leat_type *in, *out;
    const struct leat_key *key;
    struct leat_window_opts window;
    const struct leat__assigner *assigner; /* of aligned windows, else NULL */
    const struct leat__session_spec *session; /* SESSION with gaps of records; else NULL */
    uint64_t fire_count; /* records of an early pane; 0: none */
    enum leat_on_overflow on_overflow;
    bool ordered;
    enum leat_pre_aggregate pre_aggregate; /* as declared */
    struct leat__column *columns;
    uint32_t columns_count;
    struct leat__agg *aggs;
    uint32_t aggs_count, users_count;
    /* Set before the aggregates are declared: rows are taken back too (a stream of changes); values are
     * subtracted from each other. Accumulators then keep what that needs. */
    bool takes_changes, subtracts;
    bool has_memory; /* some accumulator owns memory: values need the codec, copies and forgetting */
    bool has_present; /* values begin with the present word */
    uint32_t values_size; /* present word and accumulators */
    uint32_t records_max; /* rows of a pass that callbacks take at a time; 0: no accumulator is a record */
    const struct leat__top_spec
        *top; /* a pane is the records of its only aggregate (top_n_rows.c); or NULL */
    const char *schemas; /* of those that are, for tables; or NULL */
    const char *key_types; /* leat__key_describe */
    struct leat__key_parts key_parts;
    struct leat__out_field window_start, window_end, pane, pane_index; /* type NULL: not in the output */
    int32_t pane_symbols[LEAT__PANE_NAMES]; /* of an enum, by enum leat_pane */
};

/* One pass of rows into their accumulators. */
struct leat__agg_pass {
    const struct leat__aggregate_spec *spec;
    struct leat__ctx *ctx;
    struct leat__agg_memory mem;
    const struct leat_batch *batch;
    const struct leat__column_view *views;
    const struct leat_sv *keys; /* of the batch's rows, for errors; may be NULL */
    const uint32_t *rows;
    unsigned char **values; /* the present words, by row of the pass */
    uint32_t count;
    void **pointers; /* spare, as many: accumulators of user aggregates */
    uint32_t *bad; /* leat__agg_add's own */
    struct leat__kits *kits; /* leat__agg_add_users' own */
};
/* All aggregates that are no callbacks. Fails the job when there is no memory for what they keep, or it would
 * be too much. */
LEAT_NODISCARD int leat__agg_add(const struct leat__agg_pass *pass);
/* The callbacks. Refusals stay in ctx; then accumulators that are records are as before the pass. Fails the job when
 * there is no memory, or an accumulator is damaged. */
LEAT_NODISCARD int leat__agg_add_users(const struct leat__agg_pass *pass);
/* The same for rows that are taken back: values become what they would be without them, whether the rows came
 * before or come later. Only if leat__agg_can_retract. */
LEAT_NODISCARD int leat__agg_retract(const struct leat__agg_pass *pass);
LEAT_NODISCARD int leat__agg_retract_users(const struct leat__agg_pass *pass); /* of rows that came before */
/* The callbacks' fields of a row of `out`; refusals stay in ctx. */
LEAT_NODISCARD int leat__agg_show_users(const struct leat__aggregate_spec *spec, struct leat__ctx *ctx,
    const unsigned char *values, struct leat_batch *out, void *row);
/* Whether rows can be taken back from all aggregates; else *reason names one and what to do (text of the node's
 * memory). */
bool leat__agg_can_retract(
    struct leat_node *node, const struct leat__aggregate_spec *spec, const char **reason);

/* What `from` has seen comes after what `into` has: for slices, sessions, pre-aggregation, and on any thread
 * where mem is an arena. 0; LEAT_ENOMEM, LEAT_ESTATE (no memory of the table), LEAT_ELIMIT (it would be too
 * large), LEAT_EUSER (the callback's merge has refused), with the text in err (may be NULL). Only if
 * leat__agg_is_mergeable. */
LEAT_NODISCARD int leat__agg_combine_values(const struct leat__aggregate_spec *spec,
    const struct leat_node *node, const struct leat__agg_memory *mem, unsigned char *into,
    const unsigned char *from, struct leat_error *err);
bool leat__agg_is_mergeable(const struct leat__aggregate_spec *spec);
/* Takes what was combined out again, exactly: not float sums. The spec must have been declared with `subtracts`
 * (or `takes_changes`); only if leat__agg_is_invertible. */
void leat__agg_subtract_values(
    const struct leat__aggregate_spec *spec, unsigned char *into, const unsigned char *from);
bool leat__agg_is_invertible(const struct leat__aggregate_spec *spec);
/* A deep copy into zeroed `to`. 0, LEAT_ENOMEM or LEAT_ESTATE. */
LEAT_NODISCARD int leat__agg_copy_values(const struct leat__aggregate_spec *spec,
    const struct leat__agg_memory *mem, unsigned char *to, const unsigned char *from);
/* The same of values that are only good for showing the results that they show now: without what these do not need. */
LEAT_NODISCARD int leat__agg_copy_shown(const struct leat__aggregate_spec *spec,
    const struct leat__agg_memory *mem, unsigned char *to, const unsigned char *from);
/* Forgets what was added, but keeps the memory. */
void leat__agg_reset(const struct leat__aggregate_spec *spec, unsigned char *values);
/* Before the value is removed, or overwritten: gives its memory up. Needless before its whole namespace is
 * dropped. */
void leat__agg_forget(
    const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem, unsigned char *values);
/* Sets the field of aggregate `agg` (no callback). 0, LEAT_EOVERFLOW, or LEAT_ENOMEM. */
LEAT_NODISCARD int leat__agg_result(const struct leat__aggregate_spec *spec, const struct leat__agg *agg,
    const unsigned char *values, struct leat_batch *out, void *row);

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
/* The same of values without a head, into and out of any memory: for values that operators keep elsewhere. Gives
 * in *used how many bytes were read. */
int leat__agg_encode_values(
    const struct leat__aggregate_spec *spec, const unsigned char *values, struct leat_strbuf *out);
int leat__agg_decode_values(const struct leat__aggregate_spec *spec, const struct leat__agg_memory *mem,
    const char *data, size_t len, unsigned char *values, size_t *used);
/* The schemas of accumulators that are records, as a table's schema: one, or an array; NULL without any. A
 * table that was saved with another one is accepted where all of them resolve (leat_table_opts.accept_schema). */
const char *leat__agg_schemas(struct leat_node *node, const struct leat__aggregate_spec *spec);
LEAT_NODISCARD int leat__agg_accept_schema(
    const struct leat__aggregate_spec *spec, const char *saved_schema, struct leat_error *err);
int leat__value_accept_schema(void *arg, const char *saved_schema, struct leat_error *err); /* of a layout */
/* What the bytes of a value mean, for the table's format: equal texts, equal meaning. The names of output
 * fields are no part of it. */
void leat__agg_print_format(const struct leat__aggregate_spec *spec, bool has_head, struct leat_strbuf *out);
/* Only of the aggregates: "; sum int of v; count". */
void leat__agg_print_aggs(const struct leat__aggregate_spec *spec, struct leat_strbuf *out);

/* Declares `aggs` into a spec of which in, out, key, takes_changes and subtracts are set: columns, accumulators,
 * result fields. Then leat__out_declare. */
void leat__aggs_declare(struct leat_node *node, struct leat__aggregate_spec *spec,
    const struct leat_aggregate *aggs, uint32_t aggs_max);
const char *leat__agg_kind_name(enum leat_aggregate_kind kind); /* "count" */
/* "count, sum(amount), spread": what a node's detail says. */
const char *leat__aggs_describe(struct leat_node *node, const struct leat_aggregate *aggs, uint32_t aggs_max);

/* ---- filling ---- */

struct leat__session_spec;

/* What a row of output is about. */
struct leat__pane {
    struct leat__window window;
    struct leat_sv key;
    enum leat_pane kind;
    uint64_t index;
};

void leat__out_convert_int(void *row, const struct leat__out_field *field, int64_t value);
static inline void leat__out_set_int(void *row, const struct leat__out_field *field, int64_t value)
{
    if (field->type->kind != LEAT_KIND_LONG || field->to_us || field->from_us) {
        leat__out_convert_int(row, field, value);
        return;
    }
    if (field->has_offset != LEAT_NOT_NULLABLE)
        *((unsigned char *)row + field->has_offset) = true;
    memcpy((unsigned char *)row + field->offset, &value, sizeof value);
}
void leat__out_set_float(void *row, const struct leat__out_field *field, double value);
/* Copies the bytes into the batch's memory; false when there is none. */
bool leat__out_set_bytes(
    struct leat_batch *out, void *row, const struct leat__out_field *field, struct leat_sv bytes);
/* The same of bytes that live as long as the batch already; of a string or bytes. */
void leat__out_set_view(void *row, const struct leat__out_field *field, struct leat_sv bytes);
void leat__out_set_null(void *row, const struct leat__out_field *field);

/* Sets key, window and pane fields. false when out of memory. */
bool leat__out_fill(const struct leat__aggregate_spec *spec, const struct leat__pane *pane,
    struct leat_batch *out, void *row);

/* Fields named after what a pane is: window_start, window_end, pane, pane_index; false: another name. */
bool leat__out_declare_pane(
    struct leat_node *node, struct leat__aggregate_spec *spec, const struct leat_field *field);
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

/* ---- first records (top_n_rows.c) ---- */

uint32_t leat__top_rows_count(const struct leat__aggregate_spec *spec, const unsigned char *values);
/* Whether two records, of equal times, say the same. */
bool leat__top_rows_equal(const struct leat__aggregate_spec *spec, const unsigned char *a, uint32_t i,
    const unsigned char *b, uint32_t k);
/* Fills a zeroed row of output from record i. 0, LEAT_EDATA (it is damaged), LEAT_ENOMEM. */
LEAT_NODISCARD int leat__top_rows_fill(const struct leat__aggregate_spec *spec, const struct leat__pane *pane,
    const unsigned char *values, uint32_t i, struct leat_batch *out, void *row);

/* ---- operators ---- */

void leat__aggregate_declare_window(struct leat__aggregate_spec *spec, const struct leat_window_opts *window);
/* The column of an expression, made where it is missing (there is room for three an aggregate); false with the error told. */
bool leat__agg_find_column(struct leat_node *node, struct leat__aggregate_spec *spec, const char *of,
    uint32_t where, const char *option, uint32_t *index);

/* What only windows that merge or follow the records ask for; after the aggregates were declared. */
void leat__session_declare(struct leat_node *node, struct leat__aggregate_spec *spec);
/* After the whole spec is known. NULL: there is none for all of it. */
const struct leat_op_class *leat__aggregate_class_of(
    const struct leat_node *node, const struct leat__aggregate_spec *spec);
void leat__aggregate_settle(struct leat_node *node);
extern const struct leat_op_class leat__window_aggregate_class;
extern const struct leat_op_class leat__count_aggregate_class;
extern const struct leat_op_class leat__slice_aggregate_class;
/* Whether windows can be put together from slices, and whether values are subtracted then. */
bool leat__slices_can_do(const struct leat_node *node, const struct leat__aggregate_spec *spec);
bool leat__slices_want_subtraction(const struct leat_window_opts *window);
#endif
