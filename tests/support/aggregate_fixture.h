/* tests/support/aggregate_fixture.h -- aggregates over windows of one kind of event, declared by a line of
 * words and run by the operator harness: for the tests of operators/aggregate_*.c and window_aggregate.c.
 *
 * Words, separated by commas: size=10 offset=3 lateness=5 (or lateness=never) discarding retracting ordered
 * saturate wrap by=s+k skip; slide=5 (hopping) gaps, step=5 (cumulating), day=Europe/Berlin month=UTC, global,
 * last=5 every=2 (count windows), gap=5 or gap_by=v, max=20 (sessions), sliding; triggers: count=2 event=3 clock=4 late-count=2 late-event=3 late-clock=4
 * trigger, with LEAT_ON_WATERMARK unless `alone`, which discards the remainder; watermark: nothing else. What is aggregated follows from the names of the fields that the output record
 * has: n, values, total, lowest, highest, mean (of v), dsum, dmin, dmax, dmean (of d), smin, smax (of s),
 * double_total, inverse_max. */
#ifndef LEAT_TESTS_AGGREGATE_FIXTURE_H
#define LEAT_TESTS_AGGREGATE_FIXTURE_H
#include "base/arena.h"
#include "base/strbuf.h"
#include "record/schema.h"
#include "tests/support/harness.h"
#include <leat/window.h>

struct agg_event {
    bool has_k;
    int64_t k;
    bool has_v;
    int64_t v;
    bool has_d;
    double d;
    bool has_s;
    struct leat_sv s;
    int64_t ts;
};
/* Of the last topology that was set up. */
extern struct leat_type agg_event_type;

#define AGG_EVENT_FIELDS \
    "{\"name\":\"k\",\"type\":[\"null\",\"long\"]},{\"name\":\"v\",\"type\":[\"null\",\"long\"]}," \
    "{\"name\":\"d\",\"type\":[\"null\",\"double\"]},{\"name\":\"s\",\"type\":[\"null\",\"string\"]}," \
    "{\"name\":\"ts\",\"type\":\"long\"}"
#define RECORD(name_, fields_) "{\"type\":\"record\",\"name\":\"" name_ "\",\"fields\":[" fields_ "]}"
#define FIELD(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"
#define OR_NULL(type_) "[\"null\"," type_ "]"

/* Everything a test declares. */
struct agg_setup {
    struct leat_arena arena;
    struct leat_schema *schemas[4];
    uint32_t schemas_count;
    leat_topology *t;
    struct harness *h;
};
const struct leat_type *agg_type_of(struct agg_setup *s, const char *schema);
void agg_release(struct agg_setup *s);

/* Declares what the words say over `in`, with late records taken, to records of type `out`; `user` may be
 * NULL. */
leat_stream *agg_declare(
    leat_stream *in, const char *words, const struct leat_type *out, const struct leat_aggregate_fn *user);
/* The windows alone; `trigger` is for the word, or NULL. */
leat_windowed_stream *agg_windows(leat_stream *in, const char *words, const struct leat_trigger_fn *trigger);
/* With a trigger for the word `trigger`. */
leat_stream *agg_declare_triggered(leat_stream *in, const char *words, const struct leat_type *out,
    const struct leat_aggregate_fn *user, const struct leat_trigger_fn *trigger);
/* A topology with that, ready to run. `opts` may be NULL. */
void agg_start(
    struct agg_setup *s, const char *words, const char *out_fields, const struct harness_opts *opts);
void agg_put(struct leat_batch *batch, const struct agg_event *event);
/* Everything that came out, a line each: port, record, @event time, "late" and its mark. */
void agg_print_outs(const struct harness *h, struct leat_strbuf *text);

/* Random numbers from LEAT_SEED, which is shown. */
void agg_seed(void);
uint64_t agg_random(void);
uint32_t agg_below(uint32_t n);
#endif
