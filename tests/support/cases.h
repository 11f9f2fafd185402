/* tests/support/cases.h -- operator tests as text: what comes in above ----, what must come out below.
 *
 *   # Everything before the first case holds for all of them. A line that begins with blanks continues the
 * one before. operator pairs-within-5 schema order {"type": "record", "name": "order", "fields": [ ... ]}
 *   input left order ts                    input 0, records of the schema, event time in the field (none: no
 * event time) input right stock ts
 *
 *   input third order ts changes           a stream of changes (without event time: - changes)
 *
 *   case a partner that is just near enough
 *   unordered                              compare as sets
 *   batch 7                                only with batches of 7; else the case runs with 1, 7 and 1024
 *   record left {"id": 1, "ts": 10}        consecutive records of one input make a batch
 *   insert third {"id": 1, "ts": 10}       the same of changes; also update_before, update_after, delete
 *   watermark left 10                      of that input; `min` and `max` are the ends of time
 *   late left 12 {"id": 2, "ts": 11}       a record behind its split's watermark 12
 *   idle left                              until its next record or watermark
 *   advance 1000                           the wall clock
 *   flush                                  ends the batch here
 *   end left                               one input, or all
 *   barrier                                a checkpoint, whose snapshot goes on while more is delivered
 *   crash                                  the instance is gone, and its output since the barrier
 *   restore                                another one goes on; what came since is delivered again, but for
 *                                          the clock, which has not gone back
 *   ----
 *   out {"id":1} @10                       main output, with event time where there is one
 *   out {"id":1} @10 late 12               in a batch that is marked late
 *   out {"id":1} @10 delete                of a stream of changes: what it does
 *   expired {"id":1} @10                   another output by its name
 *   late 1                                 totals of the node's counters, if not zero
 *   dropped 1
 *   unassigned 1
 *   error text                             the job failed with this in its message (part of it)
 *
 * Every case also runs with a store that everything spills to all the time, with a checkpoint, a crash and a
 * restore before every line, and with crashes that throw away the work of some lines: nothing may change but the
 * order of keys. With
 * LEAT_UPDATE_CASES=1 in the environment what came out is written to the file (as the first size of batches
 * gave it); `git diff` then shows it. */
#ifndef LEAT_TESTS_SUPPORT_CASES_H
#define LEAT_TESTS_SUPPORT_CASES_H
#include "base/arena.h"
#include "record/schema.h"
#include "tests/support/harness.h"
#include <leat/change.h>

#define CASE_SCHEMAS_MAX 8u
#define CASE_INPUTS_MAX LEAT_NODE_INPUTS_MAX

/* A file with one input for an operator with two joins that stream with itself: each line is for both sides. */

/* What a line above ---- says. */
enum case_verb {
    CASE_RECORD = 1,
    CASE_LATE,
    CASE_WATERMARK,
    CASE_IDLE,
    CASE_ADVANCE,
    CASE_FLUSH,
    CASE_END,
    CASE_END_ALL,
    CASE_BARRIER,
    CASE_CRASH,
    CASE_RESTORE,
};

struct case_line {
    enum case_verb verb;
    uint32_t input;
    int64_t time_us; /* watermark, mark, duration */
    enum leat_change change; /* of a record */
    const char *json;
    uint32_t line; /* in the file */
};

struct case_one {
    const char *name;
    bool unordered;
    uint32_t batch; /* 0: all sizes */
    bool crashes; /* it has a barrier */
    struct case_line *lines;
    uint32_t lines_count;
    const char *expected; /* the lines below ----, each with its newline */
    uint32_t line; /* of `case` */
    size_t expected_from, expected_to; /* bytes of the file */
};

struct case_input {
    const char *name;
    const char *time_field; /* or NULL */
    bool changes;
    const struct leat_type *type;
};

struct case_file {
    struct leat_arena arena;
    const char *operator_name;
    struct {
        const char *name;
        struct leat_schema *schema;
        const struct leat_type *type;
    } schemas[CASE_SCHEMAS_MAX];
    uint32_t schemas_count;
    struct case_input inputs[CASE_INPUTS_MAX];
    uint32_t inputs_count;
    struct case_one *cases;
    uint32_t cases_count;
};

/* Parses a case file. LEAT_EDATA names the line. On failure the file is released. */
int case_parse(const char *text, size_t len, struct case_file *file, struct leat_error *err);
void case_release(struct case_file *file);

/* What a declaration gets: the streams of the inputs, in their order, and the schemas by name. */
struct case_setup {
    leat_topology *t;
    leat_stream *inputs[CASE_INPUTS_MAX];
    uint32_t inputs_count;
    const struct case_file *file;
};
/* NULL when there is no such schema. */
const struct leat_type *case_type(const struct case_setup *setup, const char *name);

/* An operator that case files can name: declares one node and gives its main stream. */
struct case_operator {
    const char *name;
    leat_stream *(*declare)(const struct case_setup *setup);
};

/* Runs all cases of a file; fails the running test with every case that differs. */
void case_run_file(const char *path, const struct case_operator *operators, uint32_t count);
#endif
