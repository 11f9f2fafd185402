/* tests/support/pattern_script.h -- patterns as text, for cases and for random ones.
 *
 *   a: v == 1; next opt greedy b times 1 3: v == 2; not n: v == 9; within 10; skip past
 *
 * Steps in their order: [next | any] [not] [opt] [greedy] name [inner next | any] [times min max] [until-v n]
 * [: condition]; `max` 0: unbounded. Options: within us; skip next | past | first step | last step; timed-out; runs
 * n; frequency n [overlapping]. Matches are told as "a 1 2, b 3" (the values of v by step), by a callback; with
 * `fields`, by expressions: key of the first, and match_start .. match_end. */
#ifndef LEAT_TESTS_SUPPORT_PATTERN_SCRIPT_H
#define LEAT_TESTS_SUPPORT_PATTERN_SCRIPT_H
#include "pattern_row.h"
#include "pattern_told.h"
#include <leat/pattern.h>

/* Options from the text; strings in `memory`, which is the caller's. */
#define PATTERN_SCRIPT_BYTES 2048u
struct pattern_script {
    char memory[PATTERN_SCRIPT_BYTES];
    struct leat_pattern_opts opts;
    uint32_t steps_count;
    uint32_t frequency; /* 0: a pattern */
    bool overlapping;
};
void pattern_script_parse(struct pattern_script *script, const char *text);

/* The node "pattern" over `in`, records of pattern_row, grouped by k. */
leat_stream *pattern_script_declare(leat_stream *in, const char *text);
#endif
