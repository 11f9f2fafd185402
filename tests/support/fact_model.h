/* tests/support/fact_model.h -- what the topologies of fact_jobs.h must give, computed the slow and obvious
 * way from the page of semantics: every row is looked at once, in the order of its split, with the watermark
 * of that split at hand. */
#ifndef LEAT_TESTS_SUPPORT_FACT_MODEL_H
#define LEAT_TESTS_SUPPORT_FACT_MODEL_H
#include "tests/support/fact_jobs.h"
#include "tests/support/lines.h"

/* Rows of one source, in `splits` runs of equal length. Rows without a time are bad data, and skipped. */
struct fact_input {
    struct fact *rows;
    uint32_t count;
    uint32_t splits;
};

/* Whether a filter lets the row pass; NULL: all. */
typedef bool (*fact_keep)(const struct fact *fact);

/* Lines as scenarios print them: every pane and every late row, for one split. */
void fact_model_panes(const struct fact_window_opts *opts, const struct fact_input *input, fact_keep keep,
    struct lines *panes, struct lines *late);
/* For any splits: what all panes of a window and key come to in the end, as "key[start..end)rows=sum". */
void fact_model_windows(const struct fact_window_opts *opts, const struct fact_input *input, fact_keep keep,
    struct lines *windows, struct lines *late);
/* The same of panes that came, in any order: the last of each window and key, or their sum where they
 * discard. Fails the test unless panes are numbered from 0 and none is on time twice. */
void fact_model_collapse(const char *what, enum leat_accumulation accumulation,
    const struct fact_total *const *totals, size_t count, struct lines *windows);

/* A pair of the join, and what a window behind it needs to know. */
struct fact_match {
    const struct fact *left, *right;
    int64_t at;
};
/* Pairs in no order; *count of them, freed with free. Late rows with the words of the join's rig; rows
 * without key are in neither. */
struct fact_match *fact_model_pairs(const struct fact_join_opts *opts, const struct fact_input *left,
    const struct fact_input *right, size_t *count, struct lines *late);

/* Start and end of the tumbling window of a time. */
void fact_model_bounds(int64_t at, int64_t size_us, int64_t offset_us, int64_t *start, int64_t *end);
#endif
