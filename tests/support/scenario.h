/* tests/support/scenario.h -- rules of time, windows and joins as lines of text: what goes in, step by step,
 * and what must have come out after each step.
 *
 *   "7@10; 7:2@99; 8@100 > 7[0..100)2=3 O0; end > 8[100..200)1=1 O0"
 *
 *   script    steps, by ';'; a step is an action and, after '>', what it brings, by ','. What a step does not
 *             name must not come.
 *   actions   [L|R] key [: value] @ time [/ split]   a fact for a source; '-' is null; without value: 1
 *             wm [L|R] = time                        lifts a source's watermark
 *             end [L|R]                              ends a source, or all of them
 *             adv = us                               moves the clock
 *   results   key[start..end)rows=sum P i            a pane: E, O or L (early, on time, late), and its index;
 * the event time is checked to be end - 1 key left+right@time                    a pair late key:value@time
 * a row of a side output; the word is the sink's w=time late=n dropped=n                the watched node's
 * watermark and counters times     microseconds; min, min+n, max, max-n
 *
 * Every scenario runs in the test kit with parallelism 1, 2, 3 and batches of 1, 7 and 1024 rows. One that
 * consists of rows of split 0 and then the end runs as a whole job as well, from memory sources into
 * collectors, under the simulation and with threads: all results together must be the same set. */
#ifndef LEAT_TESTS_SUPPORT_SCENARIO_H
#define LEAT_TESTS_SUPPORT_SCENARIO_H
#include "fact.h"
#include "fact_pair.h"
#include "fact_total.h"
#include <leat/leat.h>

enum { SCENARIO_SOURCES_MAX = 2, SCENARIO_SINKS_MAX = 3 };

struct scenario_shape {
    uint32_t parallelism, batch_rows;
};
#define SCENARIO_SHAPES 9u
extern const struct scenario_shape scenario_shapes[SCENARIO_SHAPES];

/* What a topology is to be declared with: rows of its sources, and where its sinks put what arrives. */
struct scenario_io {
    const struct fact *rows[SCENARIO_SOURCES_MAX]; /* never NULL */
    uint64_t counts[SCENARIO_SOURCES_MAX];
    uint32_t splits; /* of the sources; 0: one */
    leat_collector *sinks[SCENARIO_SINKS_MAX]; /* NULL in the kit */
};

struct scenario_sink {
    const char *name;
    void (*print)(const void *record, int64_t event_us, char *text, size_t size);
    const char *word; /* before each line: "late "; NULL: none */
};

/* How a family of scenarios is run. Sources are named L and R in scripts where there are two. */
struct scenario_rig {
    leat_topology *(*declare)(const void *opts, const struct scenario_io *io);
    const char *sources[SCENARIO_SOURCES_MAX];
    struct scenario_sink sinks[SCENARIO_SINKS_MAX];
    const char *watched; /* node */
};

struct scenario {
    const char *name;
    const void *opts; /* the declaration's */
    const char *script;
    uint32_t splits; /* 0: one */
    int64_t wall_us;
};

void scenario_run(const struct scenario_rig *rig, const struct scenario *scenarios, size_t count);

/* Lines of records, as in scripts. */
void scenario_print_fact(const void *record, int64_t event_us, char *text, size_t size);
void scenario_print_total(const void *record, int64_t event_us, char *text, size_t size);
/* The same of a session, whose results have the event time of its end. */
void scenario_print_session(const void *record, int64_t event_us, char *text, size_t size);
void scenario_print_pair(const void *record, int64_t event_us, char *text, size_t size);
#endif
