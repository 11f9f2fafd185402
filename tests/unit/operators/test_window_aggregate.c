/* tests/unit/operators/test_window_aggregate.c -- aggregates over windows: the rules at their bounds as text
 * (tests/operators/ window_aggregate/), a random run against a naive model, numbers, keys and fields of every
 * kind, mistakes of declarations, memory.
 *
 * The operator of a case file says its options: size=10,offset=3,lateness=5,count=2,discarding,ordered,...
 * What is aggregated follows from the names of the fields that its record `result` has. */
#include "base/alloc.h"
#include "base/strbuf.h"
#include "state/state.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <inttypes.h>
#include <leat/aggregate.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- declaring by words ---- */

/* The records of schemas that case files call `event` and, with a user's aggregate, `result`. */
struct event {
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
struct result {
    bool has_k;
    int64_t k;
    int64_t n;
    int64_t low, high;
    struct leat_sv text;
};
static struct leat_type event_type, result_type;

struct range {
    int64_t low, high;
    bool any;
};

static void range__add(struct leat_ctx *ctx, const struct event *event, struct range *range)
{
    if (!range->any || event->v < range->low)
        range->low = event->v;
    if (!range->any || event->v > range->high)
        range->high = event->v;
    range->any = true; /* also what a refused record leaves behind must go */
    if (event->v < 0)
        leat_fail(ctx, "negative value %lld at %lld", (long long)event->v, (long long)leat_ctx_event_us(ctx));
}
static void range__merge(struct leat_ctx *ctx, struct range *into, const struct range *from)
{
    (void)ctx;
    *into = *from;
}
static void range__result(struct leat_ctx *ctx, const struct range *range, struct result *result)
{
    result->low = range->low;
    result->high = range->high;
    if (range->high == 66)
        leat_fail(ctx, "too high");
    result->text = leat_printf(
        ctx, "%lld: %lld..%lld", (long long)result->k, (long long)range->low, (long long)range->high);
}
LEAT_DEFINE_AGGREGATE(range, event, range, result);

static const struct leat_aggregate known_aggs[] = {
    LEAT_COUNT("n"),
    LEAT_COUNT_OF("v", "values"),
    LEAT_SUM("v", "total"),
    LEAT_MIN("v", "lowest"),
    LEAT_MAX("v", "highest"),
    LEAT_AVG("v", "mean"),
    LEAT_SUM("d", "dsum"),
    LEAT_MIN("d", "dmin"),
    LEAT_MAX("d", "dmax"),
    LEAT_AVG("d", "dmean"),
    LEAT_MIN("s", "smin"),
    LEAT_MAX("s", "smax"),
    LEAT_SUM("2 * v", "double_total"),
    LEAT_MAX("100 / v", "inverse_max"),
};

static bool has_field(const struct leat_type *type, const char *name)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return true;
    return false;
}

struct words {
    struct leat_window_opts window;
    struct leat_aggregate_opts aggregate;
    char by[64];
    bool skip, user;
};

static void read_word(struct words *words, const char *word)
{
    const char *value = strchr(word, '=');
    const int64_t number = value ? strtoll(value + 1, NULL, 10) : 0;
    if (strncmp(word, "size=", 5) == 0)
        words->window.size_us = number;
    else if (strncmp(word, "offset=", 7) == 0)
        words->window.offset_us = number;
    else if (strncmp(word, "lateness=", 9) == 0)
        words->window.allowed_lateness_us = strcmp(word, "lateness=never") == 0 ? LEAT_NEVER : number;
    else if (strncmp(word, "count=", 6) == 0) {
        words->window.triggers[0] = (struct leat_trigger)LEAT_ON_COUNT((uint64_t)number);
        words->window.triggers[1] = (struct leat_trigger)LEAT_ON_WATERMARK;
    } else if (strncmp(word, "by=", 3) == 0) {
        (void)snprintf(words->by, sizeof words->by, "%s", word + 3);
        *strchr(words->by, '+') = ',';
    } else if (strcmp(word, "discarding") == 0)
        words->window.accumulation = LEAT_DISCARDING;
    else if (strcmp(word, "ordered") == 0)
        words->aggregate.ordered = true;
    else if (strcmp(word, "saturate") == 0)
        words->aggregate.on_overflow = LEAT_OVERFLOW_SATURATE;
    else if (strcmp(word, "wrap") == 0)
        words->aggregate.on_overflow = LEAT_OVERFLOW_WRAP;
    else if (strcmp(word, "skip") == 0)
        words->skip = true;
    else if (strcmp(word, "user") == 0)
        words->user = true;
    else
        fail_msg("no such word: %s", word);
}

/* Declares what the words say over `in`, to records of type `out`. */
static leat_stream *declare_words(leat_stream *in, const char *text, const struct leat_type *out)
{
    struct words words = { .window.kind = LEAT_WINDOW_TUMBLING, .by = "k" };
    char copy[256];
    char *rest = NULL;
    uint32_t count = 0;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        read_word(&words, word);
    for (uint32_t i = 0; i < COUNT_OF(known_aggs); i++)
        if (has_field(out, known_aggs[i].as))
            words.aggregate.aggs[count++] = known_aggs[i];
    if (words.user)
        words.aggregate.aggs[count++] = (struct leat_aggregate)LEAT_USER(&range_aggregate);
    words.aggregate.out = out;
    leat_windowed_stream *windows =
        leat_window(leat_group_by(in, "keyed", words.by), "windows", &words.window);
    (void)leat_late_records(windows);
    leat_stream *totals = leat_aggregate(windows, "totals", &words.aggregate);
    return words.skip ? leat_on_error(totals, LEAT_SKIP) : totals;
}

/* ---- case files ---- */

static leat_stream *declare_case(const struct case_setup *setup)
{
    const struct leat_type *out = case_type(setup, "result");
    event_type = *case_type(setup, "event");
    assert_int_equal(event_type.size, sizeof(struct event));
    result_type = *out;
    if (strstr(setup->file->operator_name, "user"))
        assert_int_equal(out->size, sizeof(struct result));
    return declare_words(setup->inputs[0], setup->file->operator_name, out);
}

static void run_file(void **path)
{
    static const char *const names[] = { "size=10", "size=10,offset=3", "size=10,offset=-7",
        "size=10,offset=13", "size=10,lateness=5", "size=10,lateness=never",
        "size=10,lateness=5,count=2,discarding", "size=10,count=3", "size=10,count=1,discarding",
        "size=10,saturate", "size=10,wrap", "size=10,ordered", "size=10,ordered,by=s+k", "size=10,skip",
        "size=10,count=2,skip,user", "size=10,count=2,user" };
    struct case_operator operators[COUNT_OF(names)];
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        operators[i] = (struct case_operator){ names[i], declare_case };
    case_run_file(*path, operators, COUNT_OF(operators));
}

/* ---- a topology of its own ---- */

struct setup {
    struct leat_arena arena;
    struct leat_schema *schemas[4];
    uint32_t schemas_count;
    leat_topology *t;
    struct harness *h;
};

static const struct leat_type *type_of(struct setup *s, const char *schema)
{
    const struct leat_type *type = NULL;
    struct leat_error err = { 0 };
    assert_true(s->schemas_count < COUNT_OF(s->schemas));
    int code = leat__schema_parse(schema, strlen(schema), &s->schemas[s->schemas_count], &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    code = leat__schema_type(s->schemas[s->schemas_count++], &s->arena, &type, &err);
    FAIL_UNLESS(code == 0, "%s", err.message);
    return type;
}

static void release(struct setup *s)
{
    harness_free(s->h);
    leat_topology_free(s->t);
    for (uint32_t i = 0; i < s->schemas_count; i++)
        leat__schema_free(s->schemas[i]);
    leat__arena_release(&s->arena);
}

#define EVENT_FIELDS \
    "{\"name\":\"k\",\"type\":[\"null\",\"long\"]},{\"name\":\"v\",\"type\":[\"null\",\"long\"]}," \
    "{\"name\":\"d\",\"type\":[\"null\",\"double\"]},{\"name\":\"s\",\"type\":[\"null\",\"string\"]}," \
    "{\"name\":\"ts\",\"type\":\"long\"}"
#define RECORD(name_, fields_) "{\"type\":\"record\",\"name\":\"" name_ "\",\"fields\":[" fields_ "]}"
#define FIELD(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"
#define OR_NULL(type_) "[\"null\"," type_ "]"

/* An aggregate of events as the words say, ready to run. */
static void start(struct setup *s, const char *words, const char *out_fields, const struct harness_opts *opts)
{
    char schema[4096];
    memset(s, 0, sizeof *s);
    event_type = *type_of(s, RECORD("event", EVENT_FIELDS));
    (void)snprintf(schema, sizeof schema, RECORD("result", "%s"), out_fields);
    s->t = leat_topology_new("test");
    leat_stream *in = harness_source(s->t, "in", &event_type, "ts");
    s->h = harness_new(declare_words(in, words, type_of(s, schema)), opts);
}

/* Everything on the main output and the late one, a line each. */
static void print_outs(const struct harness *h, struct leat_strbuf *text)
{
    char line[1024];
    for (uint32_t i = 0; i < h->outs_count; i++) {
        const struct leat_batch *batch = h->outs[i].batch;
        for (uint32_t r = 0; r < batch->count; r++) {
            const size_t len = leat_record_print(leat_batch_at(batch, r), batch->type, line, sizeof line);
            assert_true(len < sizeof line);
            leat__strbuf_printf(text, "%u %s @%lld", h->outs[i].port, line, (long long)batch->event_us[r]);
            if (batch->late)
                leat__strbuf_printf(text, " late %lld", (long long)batch->late_wm_us);
            leat__strbuf_char(text, '\n');
        }
    }
}

static void put_event(struct leat_batch *batch, const struct event *event)
{
    batch->event_us[batch->count] = event->ts;
    *(struct event *)leat__batch_push(batch) = *event;
}

/* ---- random runs against a naive model ---- */

static uint64_t random_state;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static uint32_t below(uint32_t n)
{
    return (uint32_t)((next_random() >> 32) % n);
}

static void seed_random(void)
{
    const char *given = getenv("LEAT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : 20240917;
    print_message("LEAT_SEED=%" PRIu64 "\n", seed);
    random_state = seed * 2 + 1;
}

#define STEPS 600u

/* A record, or a watermark. */
struct step {
    bool is_watermark;
    int64_t w; /* or the mark of a record; LEAT_TIME_MIN: none */
    struct event event;
    char text[8];
};

struct plan {
    int64_t size, offset, lateness;
    uint64_t count;
    bool discarding;
    struct step steps[STEPS];
};
static struct plan plan;

static void make_steps(void)
{
    int64_t w = LEAT_TIME_MIN;
    int64_t front = below(2) ? -200 : (int64_t)below(1000);
    for (uint32_t i = 0; i < STEPS; i++) {
        struct step *step = &plan.steps[i];
        memset(step, 0, sizeof *step);
        step->w = LEAT_TIME_MIN;
        front += below(4);
        if (below(12) == 0 && front - 8 > w) {
            step->is_watermark = true;
            w = step->w = front - 8;
            continue;
        }
        struct event *event = &step->event;
        event->ts = front - below(below(8) == 0 ? 60 : 12);
        if (event->ts <= w)
            step->w = w + below(6);
        event->has_k = event->has_v = event->has_s = true;
        event->k = below(5);
        event->has_v = below(6) != 0;
        event->v = (int64_t)below(2000) - 1000;
        (void)snprintf(step->text, sizeof step->text, "%u", below(5000));
        event->s = leat_sv_of(step->text);
    }
}

static void make_plan(void)
{
    plan.size = below(20) + 1;
    plan.offset = (int64_t)below(50) - 25;
    plan.lateness = below(2) ? below(40) : 0;
    plan.count = below(2) ? below(4) + 1 : 0;
    plan.discarding = below(2);
    make_steps();
}

struct naive {
    int64_t start, k, since, panes, n, values, total, lowest;
    char longest[8]; /* the largest text */
    bool fired;
};
static struct naive naive[STEPS];
static uint32_t naive_count;

static int64_t naive_start(int64_t ts)
{
    int64_t into = (ts - plan.offset) % plan.size;
    return ts - (into < 0 ? into + plan.size : into);
}

static void naive_forget(struct naive *n)
{
    n->n = n->values = n->total = n->lowest = 0;
    n->longest[0] = '\0';
}

static void naive_pane(struct naive *n, const char *pane, int64_t late, struct leat_strbuf *text)
{
    char total[32] = "null", lowest[32] = "null";
    if (n->since == 0 && plan.discarding)
        return;
    if (n->values) {
        (void)snprintf(total, sizeof total, "%" PRIi64, n->total);
        (void)snprintf(lowest, sizeof lowest, "%" PRIi64, n->lowest);
    }
    leat__strbuf_printf(text,
        "0 {\"k\":%" PRIi64 ",\"window_start\":%" PRIi64 ",\"pane\":\"%s\",\"pane_index\":%" PRIi64
        ",\"n\":%" PRIi64 ",\"total\":%s,\"lowest\":%s,\"smax\":\"%s\"} @%" PRIi64,
        n->k, n->start, pane, n->panes, n->n, total, lowest, n->longest, n->start + plan.size - 1);
    if (late != LEAT_TIME_MIN)
        leat__strbuf_printf(text, " late %" PRIi64, late);
    leat__strbuf_char(text, '\n');
    n->panes++;
    n->since = 0;
    if (plan.discarding)
        naive_forget(n);
}

static struct naive *naive_find(int64_t start, int64_t k)
{
    for (uint32_t i = 0; i < naive_count; i++)
        if (naive[i].start == start && naive[i].k == k)
            return &naive[i];
    naive[naive_count] = (struct naive){ .start = start, .k = k };
    return &naive[naive_count++];
}

static void naive_record(const struct step *step, int64_t w, struct leat_strbuf *text, uint64_t *late)
{
    const struct event *event = &step->event;
    const int64_t start_us = naive_start(event->ts);
    const int64_t last = start_us + plan.size - 1;
    if (last + plan.lateness <= (step->w > w ? step->w : w)) {
        ++*late;
        return;
    }
    struct naive *n = naive_find(start_us, event->k);
    n->since++;
    n->n++;
    if (event->has_v) {
        n->total += event->v;
        n->lowest = n->values == 0 || event->v < n->lowest ? event->v : n->lowest;
        n->values++;
    }
    if (n->longest[0] == '\0' || strcmp(step->text, n->longest) > 0)
        memcpy(n->longest, step->text, sizeof n->longest);
    if (last <= w)
        naive_pane(n, "LATE", w, text);
    else if (plan.count && n->since >= (int64_t)plan.count)
        naive_pane(n, "EARLY", LEAT_TIME_MIN, text);
}

static int by_start_and_key(const void *left, const void *right)
{
    const struct naive *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->k < b->k ? -1 : a->k > b->k;
}

static void naive_watermark(int64_t w, struct leat_strbuf *text)
{
    uint32_t kept = 0;
    qsort(naive, naive_count, sizeof *naive, by_start_and_key);
    for (uint32_t i = 0; i < naive_count; i++) {
        const int64_t last = naive[i].start + plan.size - 1;
        if (last <= w && !naive[i].fired) {
            naive_pane(&naive[i], "ON_TIME", LEAT_TIME_MIN, text);
        }
        naive[i].fired |= last <= w;
        if (last + plan.lateness > w)
            naive[kept++] = naive[i];
    }
    naive_count = kept;
}

/* What must come out of the main output, and how many records are late. */
static void run_naive(struct leat_strbuf *text, uint64_t *late)
{
    int64_t w = LEAT_TIME_MIN;
    naive_count = 0;
    *late = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        const struct step *step = &plan.steps[i];
        if (step->is_watermark) {
            w = step->w;
            naive_watermark(w, text);
            continue;
        }
        const uint32_t before = naive_count;
        naive_record(step, w, text, late);
        if (naive_count > before && naive[before].start + plan.size - 1 <= w)
            naive[before].fired = true; /* its on-time pane was empty */
    }
    naive_watermark(LEAT_TIME_MAX / 2, text);
}

static void run_plan(uint32_t batch_rows, struct leat_strbuf *text, uint64_t *late)
{
    struct setup s;
    char words[160];
    struct leat_batch *batch = NULL;
    int64_t mark = LEAT_TIME_MIN;
    (void)snprintf(words, sizeof words,
        "size=%" PRIi64 ",offset=%" PRIi64 ",lateness=%" PRIi64 "%s%s,ordered", plan.size, plan.offset,
        plan.lateness,
        plan.count == 1       ? ",count=1"
            : plan.count == 2 ? ",count=2"
            : plan.count == 3 ? ",count=3"
            : plan.count == 4 ? ",count=4"
                              : "",
        plan.discarding ? ",discarding" : "");
    start(&s, words,
        FIELD("k", OR_NULL("\"long\"")) "," FIELD("window_start", "\"long\"") "," FIELD("pane",
            "{\"type\":\"enum\",\"name\":\"p\",\"symbols\":[\"EARLY\",\"LATE\",\"ON_TIME\"]}") "," FIELD("pan"
                                                                                                         "e_"
                                                                                                         "ind"
                                                                                                         "ex",
            "\"int\"") "," FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")) "," FIELD("lowest",
            OR_NULL("\"long\"")) "," FIELD("smax", OR_NULL("\"string\"")),
        &(struct harness_opts){ .batch_rows = batch_rows });
    for (uint32_t i = 0; i <= STEPS; i++) {
        const struct step *step = i < STEPS ? &plan.steps[i] : NULL;
        if (batch && (!step || step->is_watermark || step->w != mark || batch->count == batch->capacity)) {
            assert_int_equal(harness_batch(s.h, 0, batch), 0);
            batch = NULL;
        }
        if (step && step->is_watermark)
            assert_int_equal(harness_watermark(s.h, 0, step->w), 0);
        if (!step || step->is_watermark)
            continue;
        if (!batch) {
            batch = harness_rows(s.h, 0);
            mark = batch->late_wm_us = step->w;
            batch->late = step->w != LEAT_TIME_MIN;
        }
        put_event(batch, &step->event);
    }
    assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
    *late = s.h->counters.late_records;
    assert_int_equal(s.h->rows_count[1], *late);
    for (uint32_t i = 0; i < s.h->outs_count; i++) /* the late output is compared by its number of rows */
        if (s.h->outs[i].port == 1)
            s.h->outs[i].batch->count = 0;
    assert_int_equal(s.h->counters.state_keys, 0);
    print_outs(s.h, text);
    release(&s);
}

static void test_random_run__given_a_naive_model__then_equal_for_every_size_of_batches(void **unused)
{
    (void)unused;
    const uint32_t sizes[] = { 1, 7, 1024 };
    seed_random();
    for (uint32_t round = 0; round < 120; round++) {
        struct leat_strbuf want = { 0 };
        uint64_t want_late, late;
        make_plan();
        run_naive(&want, &want_late);
        for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
            struct leat_strbuf got = { 0 };
            run_plan(sizes[i], &got, &late);
            if (strcmp(got.data ? got.data : "", want.data ? want.data : "") != 0)
                fail_msg("round %u, batches of %u, size %d offset %d lateness %d count %d %s\n--- "
                         "want\n%s--- got\n%s",
                    round, sizes[i], (int)plan.size, (int)plan.offset, (int)plan.lateness, (int)plan.count,
                    plan.discarding ? "discarding" : "", want.data, got.data);
            assert_int_equal(late, want_late);
            leat__strbuf_release(&got);
        }
        leat__strbuf_release(&want);
    }
}

/* ---- numbers ---- */

__extension__ typedef __int128 wide;

/* The one row that `count` values give. */
static const void *aggregate_values(struct setup *s, const char *words, const char *out_fields,
    const int64_t *ints, const double *doubles, uint32_t count)
{
    start(s, words, out_fields, NULL);
    for (uint32_t i = 0; i < count;) {
        struct leat_batch *batch = harness_rows(s->h, 0);
        for (uint32_t to = i + 100 < count ? i + 100 : count; i < to; i++)
            put_event(batch,
                &(struct event){ .has_v = ints != NULL,
                    .v = ints ? ints[i] : 0,
                    .has_d = doubles != NULL,
                    .d = doubles ? doubles[i] : 0,
                    .ts = 5 });
        assert_int_equal(harness_batch(s->h, 0, batch), 0);
    }
    if (harness_watermark(s->h, 0, 9) < 0)
        return NULL;
    assert_int_equal(s->h->outs_count, 1);
    return leat_batch_at(s->h->outs[0].batch, 0);
}

static int64_t get_int(const struct setup *s, const void *record, const char *field)
{
    struct leat_place place;
    int64_t value = 0;
    assert_int_equal(leat_record_find(s->h->outs[0].batch->type, field, &place, NULL), 0);
    assert_int_equal(leat_record_get_i64(record, &place, &value), 0);
    return value;
}

static double get_float(const struct setup *s, const void *record, const char *field)
{
    struct leat_place place;
    double value = 0;
    assert_int_equal(leat_record_find(s->h->outs[0].batch->type, field, &place, NULL), 0);
    assert_int_equal(leat_record_get_f64(record, &place, &value), 0);
    return value;
}

static int64_t any_int64(void)
{
    const uint64_t bits = next_random() >> below(64);
    switch (below(8)) {
    case 0:
        return INT64_MAX - below(3);
    case 1:
        return INT64_MIN + below(3);
    default:
        return below(2) ? (int64_t)bits : -(int64_t)(bits >> 1);
    }
}

static void check_sum(const char *words, const int64_t *values, uint32_t count)
{
    struct setup s;
    wide sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += values[i];
    const bool fits = sum >= INT64_MIN && sum <= INT64_MAX;
    const void *row = aggregate_values(&s, words,
        FIELD("total", OR_NULL("\"long\"")) "," FIELD("mean", OR_NULL("\"double\"")), values, NULL, count);
    if (!fits && strcmp(words, "size=10") == 0) {
        assert_null(row);
        assert_int_equal(s.h->error.code, LEAT_EOVERFLOW);
        release(&s);
        return;
    }
    assert_non_null(row);
    const bool wraps = strstr(words, "wrap") != NULL;
    const int64_t want = fits || wraps ? (int64_t)(uint64_t)sum : sum < 0 ? INT64_MIN : INT64_MAX;
    FAIL_UNLESS(get_int(&s, row, "total") == want, "%s", words);
    const long double mean = (long double)sum / count;
    const double got = get_float(&s, row, "mean");
    const long double tolerance =
        sum > -((wide)1 << 53) && sum < ((wide)1 << 53) ? fabsl(mean) * 0x1p-53L : fabsl(mean) * 0x1p-52L;
    FAIL_UNLESS(fabsl((long double)got - mean) <= tolerance, "mean %.17g, want %.21Lg", got, mean);
    release(&s);
}

static void test_integer_sums__given_any_values__then_as_exact_as_128_bits(void **unused)
{
    (void)unused;
    const char *const words[] = { "size=10", "size=10,saturate", "size=10,wrap" };
    seed_random();
    for (uint32_t round = 0; round < 300; round++) {
        int64_t values[120];
        const uint32_t count = below(120) + 1;
        for (uint32_t i = 0; i < count; i++)
            values[i] = round % 3 == 0 ? (int64_t)below(2000) - 1000 : any_int64();
        for (uint32_t i = 0; i < COUNT_OF(words); i++)
            check_sum(words[i], values, count);
    }
}

#define FLOAT_FIELDS \
    FIELD("dsum", OR_NULL("\"double\"")) \
    "," FIELD("dmin", OR_NULL("\"double\"")) "," FIELD("dmax", OR_NULL("\"double\"")) "," FIELD( \
        "dmean", OR_NULL("\"double\""))

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void test_doubles__given_special_values__then_ieee_and_nan_last(void **unused)
{
    (void)unused;
    const double nan = (double)NAN, inf = (double)INFINITY;
    static const char *const row_names[] = { "compensated", "cancelling", "infinite", "both infinite",
        "a nan", "only nans", "negative nan", "zeros", "largest", "smallest" };
    const struct {
        double values[4];
        uint32_t count;
        double sum, min, max;
    } rows[] = {
        { { 1e100, 1, -1e100, 1 }, 4, 2, -1e100, 1e100 },
        { { 0.1, 0.2, -0.3, 0 }, 3, 0.1 + 0.2 - 0.3, -0.3, 0.2 },
        { { inf, 1, 2, -5 }, 4, inf, -5, inf },
        { { inf, -inf, 2, 0 }, 3, nan, -inf, inf },
        { { 3, nan, -2, 7 }, 4, nan, -2, nan },
        { { nan, nan, 0, 0 }, 2, nan, nan, nan },
        { { 3, -nan, 0, 0 }, 2, nan, 3, nan },
        { { 0.0, -0.0, 0, 0 }, 2, 0.0, -0.0, 0.0 },
        { { 1.7976931348623157e308, -1.7976931348623157e308, 1, 0 }, 3, 1, -1.7976931348623157e308,
            1.7976931348623157e308 },
        { { 5e-324, -5e-324, 0, 0 }, 2, 0, -5e-324, 5e-324 },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct setup s;
        const void *row = aggregate_values(&s, "size=10", FLOAT_FIELDS, NULL, rows[i].values, rows[i].count);
        assert_non_null(row);
        const double sum = get_float(&s, row, "dsum");
        /* A compensated sum of 0.1 + 0.2 - 0.3 is that of the exact doubles, not what is lost on the way. */
        FAIL_UNLESS(i == 1 ? fabs(sum) < 1e-16 && sum != rows[i].sum : same(sum, rows[i].sum),
            "%s: sum %.17g", row_names[i], sum);
        FAIL_UNLESS(same(get_float(&s, row, "dmin"), rows[i].min), "%s: min", row_names[i]);
        FAIL_UNLESS(same(get_float(&s, row, "dmax"), rows[i].max), "%s: max", row_names[i]);
        FAIL_UNLESS(same(get_float(&s, row, "dmean"), sum / rows[i].count), "%s: mean", row_names[i]);
        release(&s);
    }
}

static void test_doubles__given_another_order__then_the_sum_differs_in_the_last_bits_only(void **unused)
{
    (void)unused;
    static double values[5000];
    seed_random();
    wide exact = 0; /* in units of 2^-20 */
    for (uint32_t i = 0; i < COUNT_OF(values); i++) {
        const int64_t units = (int64_t)(next_random() >> (20 + below(30))) * (below(2) ? 1 : -1);
        values[i] = (double)units * 0x1p-20;
        exact += (int64_t)(values[i] * 0x1p20);
    }
    const double want = (double)((long double)exact * 0x1p-20L);
    for (uint32_t round = 0; round < 5; round++) {
        struct setup s;
        for (uint32_t i = 0; i < COUNT_OF(values); i++) {
            const uint32_t other = below(COUNT_OF(values));
            const double value = values[i];
            values[i] = values[other];
            values[other] = value;
        }
        const void *row = aggregate_values(&s, "size=10", FLOAT_FIELDS, NULL, values, COUNT_OF(values));
        FAIL_UNLESS(fabs(get_float(&s, row, "dsum") - want) <= fabs(want) * 0x1p-50, "round %u", round);
        release(&s);
    }
}

/* ---- keys and fields of every kind ---- */

#define KINDS_FIELDS \
    FIELD("b", "\"boolean\"") \
    "," FIELD("i", "\"int\"") "," FIELD("l", OR_NULL("\"long\"")) "," FIELD("f", "\"float\"") "," FIELD( \
        "d", OR_NULL("\"double\"")) "," FIELD("s", "\"string\"") "," FIELD("y", \
        OR_NULL("\"bytes\"")) "," FIELD("x", \
        "{\"type\":\"fixed\",\"name\":\"three\",\"size\":3}") "," FIELD("e", \
        "{\"type\":\"enum\",\"name\":\"color\",\"symbols\":[\"RED\",\"GREEN\"]}") "," FIELD("t", \
        "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}") "," FIELD("g", \
        "{\"type\":\"int\",\"logicalType\":\"date\"}")

struct kinds {
    bool b;
    int32_t i;
    bool has_l;
    int64_t l;
    float f;
    bool has_d;
    double d;
    struct leat_sv s;
    bool has_y;
    struct leat_sv y;
    uint8_t x[3];
    int32_t e;
    int64_t t;
    int32_t g;
    int64_t ts;
    int32_t same; /* in all rows */
};

static const struct kinds kinds_rows[] = {
    { .b = true,
        .i = -5,
        .has_l = true,
        .l = INT64_MIN,
        .f = -1.5f,
        .has_d = true,
        .d = 1e-300,
        .s = { "a\0b", 3 },
        .has_y = true,
        .y = { "\0", 1 },
        .x = { 0, 255, 0 },
        .e = 1,
        .t = -1,
        .g = 19000,
        .ts = 1 },
    { .i = INT32_MAX, .f = 0.5f, .s = { "", 0 }, .x = { 1, 2, 3 }, .t = 5, .ts = 2 },
};

static const char *const kinds_text[] = {
    "{\"b\":true,\"i\":-5,\"l\":-9223372036854775808,\"f\":-1.5,\"d\":1e-300,\"s\":\"a\\u0000b\",\"y\":"
    "\"\\u0000\","
    "\"x\":\"\\u0000\xEF\xBF\xBD\\u0000\",\"e\":\"GREEN\",\"t\":-1,\"g\":19000,\"n\":1}",
    "{\"b\":false,\"i\":2147483647,\"l\":null,\"f\":0.5,\"d\":null,\"s\":\"\",\"y\":null,\"x\":"
    "\"\\u0001\\u0002\\u0003\","
    "\"e\":\"RED\",\"t\":5,\"g\":0,\"n\":1}",
};

static leat_stream *declare_kinds(struct setup *s, const char *out_fields, const char *by,
    const struct leat_aggregate *aggs, uint32_t aggs_count)
{
    char schema[4096];
    memset(s, 0, sizeof *s);
    const struct leat_type *in =
        type_of(s, RECORD("kinds", KINDS_FIELDS "," FIELD("ts", "\"long\"") "," FIELD("same", "\"int\"")));
    assert_int_equal(in->size, sizeof(struct kinds));
    (void)snprintf(schema, sizeof schema, RECORD("shown", "%s"), out_fields);
    struct leat_aggregate_opts opts = { .out = type_of(s, schema), .ordered = true };
    memcpy(opts.aggs, aggs, aggs_count * sizeof *aggs);
    s->t = leat_topology_new("test");
    leat_windowed_stream *windows =
        leat_window(leat_group_by(harness_source(s->t, "in", in, "ts"), "keyed", by), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    return leat_aggregate(windows, "shown", &opts);
}

static void put_kinds(struct setup *s, leat_stream *stream)
{
    s->h = harness_new(stream, NULL);
    struct leat_batch *batch = harness_rows(s->h, 0);
    for (uint32_t i = 0; i < COUNT_OF(kinds_rows); i++) {
        batch->event_us[i] = kinds_rows[i].ts;
        *(struct kinds *)leat__batch_push(batch) = kinds_rows[i];
    }
    assert_int_equal(harness_batch(s->h, 0, batch), 0);
    assert_int_equal(harness_watermark(s->h, 0, 9), 0);
}

static void test_keys__given_fields_of_every_kind__then_they_come_back_as_they_were(void **unused)
{
    (void)unused;
    struct setup s;
    const struct leat_aggregate count = LEAT_COUNT("n");
    put_kinds(&s,
        declare_kinds(
            &s, KINDS_FIELDS "," FIELD("n", "\"long\""), "s, b, i, l, f, d, y, x, e, t, g", &count, 1));
    char text[600];
    assert_int_equal(s.h->outs_count, 1);
    const struct leat_batch *batch = s.h->outs[0].batch;
    assert_int_equal(batch->count, 2);
    for (uint32_t i = 0; i < 2; i++) { /* "" sorts first */
        (void)leat_record_print(leat_batch_at(batch, 1 - i), batch->type, text, sizeof text);
        assert_string_equal(text, kinds_text[i]);
    }
    release(&s);
}

static void test_keys__given_one_field_of_each_kind__then_it_comes_back(void **unused)
{
    (void)unused;
    static const struct {
        const char *key, *field, *want;
    } rows[] = {
        { "b", FIELD("b", "\"boolean\""), "true" },
        { "i", FIELD("i", "\"long\""), "-5" },
        { "l", FIELD("l", OR_NULL("\"long\"")), "-9223372036854775808" },
        { "f", FIELD("f", "\"double\""), "-1.5" },
        { "d", FIELD("d", OR_NULL("\"double\"")), "1e-300" },
        { "s", FIELD("s", "\"bytes\""), "\"a\\u0000b\"" },
        { "y", FIELD("y", OR_NULL("\"bytes\"")), "\"\\u0000\"" },
        { "x", FIELD("x", "\"bytes\""), "\"\\u0000\xEF\xBF\xBD\\u0000\"" },
        { "e", FIELD("e", "\"string\""), "\"GREEN\"" },
        { "e", FIELD("e", "{\"type\":\"enum\",\"name\":\"wide\",\"symbols\":[\"GREEN\",\"BLUE\",\"RED\"]}"),
            "\"GREEN\"" },
        { "t", FIELD("t", "\"long\""), "-1" },
        { "g", FIELD("g", "{\"type\":\"int\",\"logicalType\":\"date\"}"), "19000" },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct setup s;
        char fields[300], want[100], text[200];
        bool found = false;
        const struct leat_aggregate count = LEAT_COUNT("n");
        (void)snprintf(fields, sizeof fields, "%s," FIELD("n", "\"long\""), rows[i].field);
        (void)snprintf(want, sizeof want, "{\"%s\":%s,\"n\":1}", rows[i].key, rows[i].want);
        put_kinds(&s, declare_kinds(&s, fields, rows[i].key, &count, 1));
        for (uint32_t r = 0; r < s.h->outs[0].batch->count; r++) {
            (void)leat_record_print(
                leat_batch_at(s.h->outs[0].batch, r), s.h->outs[0].batch->type, text, sizeof text);
            found |= strcmp(text, want) == 0;
        }
        FAIL_UNLESS(found, "want %s, have %s", want, text);
        release(&s);
    }
}

static void test_results__given_fields_of_other_kinds__then_values_are_kept_or_widened(void **unused)
{
    (void)unused;
    static const struct {
        struct leat_aggregate agg;
        const char *type, *want;
    } rows[] = {
        { LEAT_MIN("i", "r"), "\"int\"", "-5" },
        { LEAT_MAX("i", "r"), "\"long\"", "2147483647" },
        { LEAT_SUM("i", "r"), "\"long\"", "2147483642" },
        { LEAT_MIN("f", "r"), "\"float\"", "-1.5" },
        { LEAT_SUM("f", "r"), "\"double\"", "-1" },
        { LEAT_MIN("t", "r"), "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", "-1" },
        { LEAT_MIN("t", "r"), "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "-1000" },
        { LEAT_MIN("t", "r"), "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", "-1000000" },
        { LEAT_MAX("t", "r"), "\"long\"", "5000" },
        { LEAT_MAX("g", "r"), "{\"type\":\"int\",\"logicalType\":\"date\"}", "19000" },
        { LEAT_MAX("e", "r"), "\"string\"", "\"RED\"" },
        { LEAT_MAX("x", "r"), "{\"type\":\"fixed\",\"name\":\"three\",\"size\":3}",
            "\"\\u0001\\u0002\\u0003\"" },
        { LEAT_MIN("y", "r"), OR_NULL("\"bytes\""), "\"\\u0000\"" },
        { LEAT_COUNT_OF("b", "r"), "\"long\"", "2" },
        { LEAT_COUNT_OF("l", "r"), "\"long\"", "1" },
        { LEAT_AVG("i + 1", "r"), "\"double\"", "1073741822" },
        { LEAT_MIN("coalesce(l, 3)", "r"), "\"long\"", "-9223372036854775808" },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct setup s;
        char fields[200], want[200], text[300];
        (void)snprintf(fields, sizeof fields, FIELD("r", "%s"), rows[i].type);
        (void)snprintf(want, sizeof want, "{\"r\":%s}", rows[i].want);
        put_kinds(&s, declare_kinds(&s, fields, "same", &rows[i].agg, 1));
        assert_int_equal(s.h->outs[0].batch->count, 1);
        (void)leat_record_print(
            leat_batch_at(s.h->outs[0].batch, 0), s.h->outs[0].batch->type, text, sizeof text);
        FAIL_UNLESS(strcmp(text, want) == 0, "row %u: want %s, have %s", i, want, text);
        release(&s);
    }
}

static void test_window_fields__given_any_unit__then_converted_and_saturated(void **unused)
{
    (void)unused;
    static const struct {
        const char *type;
        int64_t ts;
        const char *want;
    } rows[] = {
        { "\"long\"", 12, "{\"window_start\":10,\"window_end\":20," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", -3,
            "{\"window_start\":-10,\"window_end\":0," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", -3,
            "{\"window_start\":-1,\"window_end\":0," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", 12,
            "{\"window_start\":10000,\"window_end\":20000," },
        { "{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", INT64_MAX / 2,
            "{\"window_start\":9223372036854775807,\"window_end\":9223372036854775807," },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct setup s;
        char fields[400], want[300], text[300];
        (void)snprintf(fields, sizeof fields,
            FIELD("window_start", "%s") "," FIELD("window_end", "%s") "," FIELD("pane", "\"int\"") "," FIELD(
                "pane_index", "\"long\"") "," FIELD("n", "\"long\""),
            rows[i].type, rows[i].type);
        (void)snprintf(want, sizeof want, "%s\"pane\":2,\"pane_index\":0,\"n\":1}", rows[i].want);
        start(&s, "size=10", fields, NULL);
        struct leat_batch *batch = harness_rows(s.h, 0);
        put_event(batch, &(struct event){ .ts = rows[i].ts });
        assert_int_equal(harness_batch(s.h, 0, batch), 0);
        assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
        (void)leat_record_print(
            leat_batch_at(s.h->outs[0].batch, 0), s.h->outs[0].batch->type, text, sizeof text);
        FAIL_UNLESS(strcmp(text, want) == 0, "row %u: want %s, have %s", i, want, text);
        release(&s);
    }
}

/* ---- callbacks' keys, and what a plan is told ---- */

struct by_name {
    struct leat_sv parity;
    int64_t n;
};

static struct leat_sv parity(struct leat_ctx *ctx, const struct event *event)
{
    if (event->v == 13)
        leat_fail(ctx, "unlucky");
    return leat_printf(ctx, "%s", event->v % 2 ? "odd" : "even");
}
LEAT_DEFINE_KEY(parity, event);

static void test_group_by_fn__given_a_key_made_in_memory_of_the_context__then_shown_by_its_name(void **unused)
{
    (void)unused;
    struct setup s = { 0 };
    event_type = *type_of(&s, RECORD("event", EVENT_FIELDS));
    const struct leat_type *out =
        type_of(&s, RECORD("by_name", FIELD("parity", "\"string\"") "," FIELD("n", "\"long\"")));
    s.t = leat_topology_new("test");
    leat_windowed_stream *windows =
        leat_window(leat_group_by_fn(harness_source(s.t, "in", &event_type, "ts"), "keyed", &parity_key),
            "windows", &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") }, .out = out, .ordered = true });
    assert_null(totals->node->outputs[0].partitioned_by);
    s.h = harness_new(leat_on_error(totals, LEAT_SKIP), NULL);
    struct leat_batch *batch = harness_rows(s.h, 0);
    for (int64_t v = 0; v < 15; v++)
        put_event(batch, &(struct event){ .v = v, .ts = 1 });
    assert_int_equal(harness_batch(s.h, 0, batch), 0);
    assert_int_equal(harness_watermark(s.h, 0, 9), 0);
    struct leat_strbuf text = { 0 };
    print_outs(s.h, &text);
    assert_string_equal(text.data, "0 {\"parity\":\"even\",\"n\":8} @9\n0 {\"parity\":\"odd\",\"n\":6} @9\n");
    assert_int_equal(
        s.h->counters.dropped_records, s.h->counters.dropped_records ? s.h->counters.dropped_records : 0);
    leat__strbuf_release(&text);
    release(&s);
}

static void test_partitioning__given_the_keys_in_the_output__then_it_says_so_unless_null_may_be_among_them(
    void **unused)
{
    (void)unused;
    static const struct {
        const char *key, *fields, *want;
    } rows[] = {
        { "i", FIELD("i", "\"int\""), "i" },
        { "i", FIELD("i", "\"long\""), "i" },
        { "i, s", FIELD("s", "\"string\"") "," FIELD("i", "\"int\""), "i, s" },
        { "i, s", FIELD("s", "\"string\""), NULL },
        { "i", FIELD("i", OR_NULL("\"int\"")), NULL },
        { "l", FIELD("l", OR_NULL("\"long\"")), NULL },
        { "i", FIELD("other", OR_NULL("\"int\"")), NULL },
    };
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct setup s;
        char fields[300];
        const struct leat_aggregate count = LEAT_COUNT("n");
        (void)snprintf(fields, sizeof fields, "%s," FIELD("n", "\"long\""), rows[i].fields);
        leat_stream *stream = declare_kinds(&s, fields, rows[i].key, &count, 1);
        FAIL_UNLESS(leat_topology_errors_count(s.t) == 0, "%s", leat_topology_error(s.t, 0)->message);
        const char *got = stream->node->outputs[0].partitioned_by;
        FAIL_UNLESS(
            rows[i].want ? got && strcmp(got, rows[i].want) == 0 : !got, "row %u: %s", i, got ? got : "none");
        release(&s);
    }
}

static void test_declaration__given_all_options__then_nodes_say_what_they_do(void **unused)
{
    (void)unused;
    struct setup s = { 0 };
    event_type = *type_of(&s, RECORD("event", EVENT_FIELDS));
    const struct leat_type *out =
        type_of(&s, RECORD("out", FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\""))));
    s.t = leat_topology_new("test");
    leat_keyed_stream *keyed = leat_group_by(harness_source(s.t, "in", &event_type, "ts"), "keyed", "k,  s");
    leat_windowed_stream *windows = leat_window(keyed, "windows",
        &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING,
            .size_us = LEAT_MINUTES(5),
            .offset_us = -LEAT_MINUTES(4),
            .allowed_lateness_us = LEAT_SECONDS(90),
            .accumulation = LEAT_DISCARDING,
            .triggers = { LEAT_ON_COUNT(1000), LEAT_ON_WATERMARK } });
    leat_stream *late = leat_late_records(windows);
    leat_stream *totals = leat_aggregate(windows, "totals",
        &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "total") }, .out = out });
    assert_string_equal(keyed->virtual_node->detail, "by k, s");
    assert_string_equal(windows->virtual_node->detail,
        "tumbling 5m, offset 1m, lateness 1m 30s, early every 1000, discarding");
    assert_string_equal(totals->node->detail, "count, sum(v)");
    assert_ptr_equal(totals->node->inputs[0].via, windows->virtual_node);
    assert_int_equal(totals->node->inputs[0].partitioning, LEAT_HASH);
    assert_ptr_equal(late->node, totals->node);
    assert_int_equal(totals->node->late_ports[0], late->port);
    assert_ptr_equal(leat_stream_type(late), leat_stream_type(&keyed->in));
    assert_ptr_equal(leat_late_records(windows), late);
    release(&s);
}

static void test_late_records__given_asked_for_after_the_aggregate__then_its_output(void **unused)
{
    (void)unused;
    struct setup s = { 0 };
    event_type = *type_of(&s, RECORD("event", EVENT_FIELDS));
    const struct leat_type *out = type_of(&s, RECORD("out", FIELD("n", "\"long\"")));
    s.t = leat_topology_new("test");
    leat_windowed_stream *windows =
        leat_window(leat_group_by(harness_source(s.t, "in", &event_type, "ts"), "keyed", "k"), "windows",
            &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    leat_stream *totals = leat_aggregate(
        windows, "totals", &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") }, .out = out });
    assert_int_equal(totals->node->late_ports[0], -1);
    leat_stream *late = leat_late_records(windows);
    assert_ptr_equal(late->node, totals->node);
    assert_int_equal(totals->node->late_ports[0], late->port);
    release(&s);
}

/* ---- mistakes ---- */

#define KEYED(t_) leat_group_by(harness_source(t_, "in", &event_type, "ts"), "keyed", "k")
#define TEN .kind = LEAT_WINDOW_TUMBLING, .size_us = 10

struct mistake {
    const char *name;
    struct leat_window_opts window;
    struct leat_aggregate_opts aggregate; /* out: NULL, see fields */
    const char *fields; /* of the output; NULL: { n: long } */
    const char *want[3]; /* in the message of the i-th error; all errors are here */
};

static struct leat_aggregate_fn no_callbacks;
static const struct leat_aggregate_fn other_input = { .size = sizeof(struct leat_aggregate_fn),
    .name = "other",
    .in = &result_type,
    .out = NULL,
    .accumulator_size = 8,
    .accumulate = range__accumulate,
    .result = range__result_any };

static const struct mistake mistakes[] = {
    { "no kind", { .size_us = 10 }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "window \"windows\": kind: not set: give LEAT_WINDOW_TUMBLING" } },
    { "another kind", { .kind = 9, .size_us = 10 }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "kind: 9 is no kind of window" } },
    { "no size", { .kind = LEAT_WINDOW_TUMBLING }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "size_us: 0s is no size" } },
    { "negative size and lateness",
        { .kind = LEAT_WINDOW_TUMBLING, .size_us = -1, .allowed_lateness_us = -2 },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "size_us: -1us", "allowed_lateness_us: -2us is negative" } },
    { "accumulation", { TEN, .accumulation = 7 }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "accumulation: 7 is neither" } },
    { "count alone", { TEN, .triggers = { LEAT_ON_COUNT(5) } }, { .aggs = { LEAT_COUNT("n") } }, NULL,
        { "triggers: LEAT_ON_COUNT alone would never give" } },
    { "count of none", { TEN, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(0) } },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "triggers[1]: LEAT_ON_COUNT(0) would never fire" } },
    { "twice", { TEN, .triggers = { LEAT_ON_WATERMARK, LEAT_ON_COUNT(1), LEAT_ON_COUNT(2) } },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "triggers[2]: of the same kind as triggers[1]" } },
    { "another trigger", { TEN, .triggers = { { 8, 0 }, LEAT_ON_WATERMARK } },
        { .aggs = { LEAT_COUNT("n") } }, NULL, { "triggers[0]: 8 is no trigger" } },
    { "no aggregates", { TEN }, { .ordered = true }, FIELD("n", OR_NULL("\"long\"")),
        { "aggregate \"totals\": aggs: none given" } },
    { "another aggregate", { TEN }, { .aggs = { { 77, NULL, "n", NULL } } }, FIELD("n", OR_NULL("\"long\"")),
        { "aggs[0]: 77 is no aggregate" } },
    { "overflow", { TEN }, { .aggs = { LEAT_COUNT("n") }, .on_overflow = 4 }, NULL,
        { "on_overflow: 4 is none of" } },
    { "unknown input field", { TEN }, { .aggs = { LEAT_COUNT("n"), LEAT_SUM("vv", "total") } },
        FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")), { "aggs[1]: " } },
    { "unknown output field", { TEN }, { .aggs = { LEAT_COUNT("n"), LEAT_SUM("v", "totl") } },
        FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\"")),
        { "aggs[1]: no field \"totl\" in result (n, total); did you mean \"total\"?" } },
    { "no as", { TEN }, { .aggs = { { LEAT_AGGREGATE_COUNT, NULL, NULL, NULL } } },
        FIELD("n", OR_NULL("\"long\"")), { "aggs[0]: `as` is missing" } },
    { "no of", { TEN }, { .aggs = { { LEAT_AGGREGATE_SUM, NULL, "n", NULL } } }, NULL,
        { "aggs[0]: `of` is missing" } },
    { "as twice", { TEN }, { .aggs = { LEAT_COUNT("n"), LEAT_COUNT_OF("v", "n") } }, NULL,
        { "aggs[1]: aggs[0] is \"n\" already" } },
    { "sum of strings", { TEN }, { .aggs = { LEAT_SUM("s", "n") } }, NULL,
        { "aggs[0]: s is a string, and sum is for numbers" } },
    { "avg of a comparison", { TEN }, { .aggs = { LEAT_AVG("v > 1", "n") } }, NULL,
        { "aggs[0]: v > 1 is a boolean, and avg is for numbers" } },
    { "min of a comparison", { TEN }, { .aggs = { LEAT_MIN("v > 1", "n") } }, NULL,
        { "min is for numbers, timestamps and strings" } },
    { "max of null", { TEN }, { .aggs = { LEAT_MAX("null", "n") } }, NULL, { "null is always null" } },
    { "count to a double", { TEN }, { .aggs = { LEAT_COUNT("n") } }, FIELD("n", "\"double\""),
        { "aggs[0]: field \"n\" of result is of type double, and the result is a long" } },
    { "count to a timestamp", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"),
        { "and the result is a long" } },
    { "avg to a long", { TEN }, { .aggs = { LEAT_AVG("v", "n") } }, NULL, { "and the result is a double" } },
    { "min of strings to a long", { TEN }, { .aggs = { LEAT_MIN("s", "n") } }, NULL,
        { "and the result is string" } },
    { "min of longs to an int", { TEN }, { .aggs = { LEAT_MIN("v", "n") } }, FIELD("n", OR_NULL("\"int\"")),
        { "is of type int, and the result is long" } },
    { "sum of nulls to a long", { TEN }, { .aggs = { LEAT_SUM("v", "n") } }, NULL,
        { "aggs[0]: over no values the result is null, which v can have because it is nullable; field \"n\" "
          "of result can"
          " not be null" } },
    { "nothing fills it", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("region", "\"string\""),
        { "out: nothing fills field \"region\" of result" } },
    { "key of another type", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("k", "\"string\""),
        { "out: field \"k\" has the name of the key k, which is of type long, but is of type string" } },
    { "key that may be null", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("k", "\"long\""),
        { "out: field \"k\" can not be null, but the key k can" } },
    { "pane of another type", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("pane", "\"long\""),
        { "out: field \"pane\" is of type long; to show the window's it must be an int" } },
    { "pane without a symbol", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD(
            "pane", "{\"type\":\"enum\",\"name\":\"p\",\"symbols\":[\"EARLY\",\"LATE\"]}"),
        { "symbols EARLY, ON_TIME and LATE" } },
    { "pane index of another type", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("pane_index", "\"string\""), { "it must be an int or a long" } },
    { "window start as a date", { TEN }, { .aggs = { LEAT_COUNT("n") } },
        FIELD("n", "\"long\"") "," FIELD("window_start", "{\"type\":\"int\",\"logicalType\":\"date\"}"),
        { "field \"window_start\" is of type int" } },
    { "no callbacks", { TEN }, { .aggs = { LEAT_USER(&no_callbacks) } }, NULL,
        { "aggs[0]: missing: the aggregate that" } },
    { "callback of another record", { TEN }, { .aggs = { LEAT_USER(&other_input) } }, NULL,
        { "aggs[0]: other takes other_record", "aggs[0]: other makes no record, and .out is result" } },
    { "three at once", { TEN }, { .aggs = { LEAT_SUM("s", "n"), LEAT_COUNT("m"), LEAT_COUNT(NULL) } }, NULL,
        { "aggs[0]: s is", "aggs[1]: no field \"m\"", "aggs[2]: `as`" } },
};

static void check_mistake(const struct mistake *m)
{
    struct setup s = { 0 };
    char schema[600];
    uint32_t wanted = 0;
    while (wanted < COUNT_OF(m->want) && m->want[wanted])
        wanted++;
    event_type = *type_of(&s, RECORD("event", EVENT_FIELDS));
    result_type = *type_of(&s, RECORD("other_record", FIELD("x", "\"int\"")));
    (void)snprintf(
        schema, sizeof schema, RECORD("result", "%s"), m->fields ? m->fields : FIELD("n", "\"long\""));
    struct leat_aggregate_opts opts = m->aggregate;
    opts.out = type_of(&s, schema);
    s.t = leat_topology_new("test");
    leat_stream *stream = leat_aggregate(leat_window(KEYED(s.t), "windows", &m->window), "totals", &opts);
    assert_null(stream->node);
    for (uint32_t i = 0; i < wanted; i++) {
        const struct leat_topology_error *error = leat_topology_error(s.t, i);
        FAIL_UNLESS(error && strstr(error->message, m->want[i]), "%s: error %u: %s", m->name, i,
            error ? error->message : "none");
    }
    FAIL_UNLESS(leat_topology_errors_count(s.t) == wanted, "%s: also %s", m->name,
        leat_topology_error(s.t, wanted) ? leat_topology_error(s.t, wanted)->message : "?");
    release(&s);
}

static void test_mistakes__given_each__then_told_once_with_its_place(void **unused)
{
    (void)unused;
    for (uint32_t i = 0; i < COUNT_OF(mistakes); i++)
        check_mistake(&mistakes[i]);
}

static void test_mistakes__given_no_options_and_no_time__then_told(void **unused)
{
    (void)unused;
    struct setup s = { 0 };
    event_type = *type_of(&s, RECORD("event", EVENT_FIELDS));
    s.t = leat_topology_new("test");
    leat_stream *timeless = harness_source(s.t, "in", &event_type, NULL);
    leat_keyed_stream *keyed = leat_group_by(timeless, "keyed", "k");
    (void)leat_group_by(timeless, "no-fields", NULL);
    (void)leat_group_by(timeless, "no-such-field", "kk");
    (void)leat_group_by_fn(timeless, "no-fn", NULL);
    (void)leat_window(keyed, "no-window-opts", NULL);
    leat_windowed_stream *windows = leat_window(
        keyed, "windows", &(struct leat_window_opts){ .kind = LEAT_WINDOW_TUMBLING, .size_us = 10 });
    (void)leat_aggregate(windows, "no-opts", NULL);
    (void)leat_aggregate(windows, "no-time", &(struct leat_aggregate_opts){ .aggs = { LEAT_COUNT("n") } });
    static const char *const want[] = { "group by \"no-fields\": fields: missing", "no field \"kk\"",
        "group by \"no-fn\": fn: missing", "window \"no-window-opts\": no options given",
        "aggregate \"no-opts\": no options given", "has no event time",
        "aggregate \"no-time\": out: missing" };
    for (uint32_t i = 0; i < COUNT_OF(want); i++) {
        const struct leat_topology_error *error = leat_topology_error(s.t, i);
        FAIL_UNLESS(
            error && strstr(error->message, want[i]), "error %u: %s", i, error ? error->message : "none");
    }
    assert_int_equal(leat_topology_errors_count(s.t), COUNT_OF(want));
    release(&s);
}

/* ---- size, memory ---- */

#define COUNT_FIELDS \
    FIELD("k", OR_NULL("\"long\"")) "," FIELD("n", "\"long\"") "," FIELD("total", OR_NULL("\"long\""))

static void put_keys(struct harness *h, uint32_t keys, int64_t ts)
{
    for (uint32_t k = 0; k < keys;) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (; k < keys && batch->count < batch->capacity; k++)
            put_event(batch, &(struct event){ .has_k = true, .k = k, .has_v = true, .v = k, .ts = ts });
        assert_int_equal(harness_batch(h, 0, batch), 0);
    }
}

static void test_firing__given_a_window_of_many_keys__then_in_steps_and_each_key_once(void **unused)
{
    (void)unused;
    struct setup s;
    enum { KEYS = 50000 };
    static uint8_t seen[KEYS];
    start(&s, "size=10", COUNT_FIELDS, NULL);
    memset(seen, 0, sizeof seen);
    put_keys(s.h, KEYS, 5);
    assert_int_equal(s.h->counters.state_keys, KEYS);
    assert_int_equal(harness_watermark(s.h, 0, 9), 0);
    FAIL_UNLESS(s.h->steps_count > 5, "%d steps", (int)s.h->steps_count); /* the harness bounds each */
    assert_int_equal(s.h->rows_count[0], KEYS);
    for (uint32_t i = 0; i < s.h->outs_count; i++)
        for (uint32_t r = 0; r < s.h->outs[i].batch->count; r++) {
            const int64_t k = ((const struct event *)leat_batch_at(s.h->outs[i].batch, r))->k;
            assert_true(k >= 0 && k < KEYS && !seen[k]);
            seen[k] = 1;
        }
    assert_int_equal(s.h->counters.state_keys, 0);
    assert_int_equal(leat__state_bytes(s.h->state), 0);
    release(&s);
}

static void test_firing__given_each_record_fires_into_large_rows__then_in_steps(void **unused)
{
    (void)unused;
    struct setup s;
    start(&s, "size=10,count=1",
        COUNT_FIELDS "," FIELD("pad", OR_NULL("{\"type\":\"fixed\",\"name\":\"pad\",\"size\":60000}")),
        &(struct harness_opts){ .discard = true });
    put_keys(s.h, 3000, 5);
    assert_int_equal(s.h->rows_count[0], 3000);
    FAIL_UNLESS(s.h->steps_count > 100, "%d steps", (int)s.h->steps_count);
    release(&s);
}

static void test_steady_state__given_windows_that_come_and_go__then_nothing_is_allocated(void **unused)
{
    (void)unused;
    const char *const words[] = { "size=10", "size=10,ordered", "size=10,lateness=10,count=3",
        "size=10,discarding" };
    for (uint32_t i = 0; i < COUNT_OF(words); i++) {
        struct setup s;
        uint64_t calls = 0;
        start(&s, words[i], COUNT_FIELDS "," FIELD("lowest", OR_NULL("\"long\"")),
            &(struct harness_opts){ .discard = true });
        for (int64_t w = 0; w < 60; w++) {
            if (w == 30)
                calls = leat__alloc_calls();
            put_keys(s.h, 3000, w * 10 + 5);
            put_keys(s.h, 2000, w * 10 + 15);
            assert_int_equal(harness_watermark(s.h, 0, w * 10 + 9), 0);
        }
        FAIL_UNLESS(
            leat__alloc_calls() == calls, "%s: %d allocations", words[i], (int)(leat__alloc_calls() - calls));
        release(&s);
    }
}

static void test_budget__given_too_little__then_the_error_names_node_and_option(void **unused)
{
    (void)unused;
    struct setup s;
    start(&s, "size=10", COUNT_FIELDS, &(struct harness_opts){ .budget_bytes = 65536 });
    int code = 0;
    for (int64_t k = 0; code == 0 && k < 100000; k += 500) {
        struct leat_batch *batch = harness_rows(s.h, 0);
        for (int64_t i = k; i < k + 500; i++)
            put_event(batch, &(struct event){ .has_k = true, .k = i, .ts = 5 });
        code = harness_batch(s.h, 0, batch);
    }
    assert_int_equal(code, LEAT_ESTATE);
    FAIL_UNLESS(strstr(s.h->error.message, "node \"totals\" subtask 0: ") == s.h->error.message &&
            strstr(s.h->error.message, "state_budget_bytes"),
        "%s", s.h->error.message);
    release(&s);
}

static struct leat_batch *batch_for_memory(struct setup *s)
{
    struct leat_batch *batch = harness_rows(s->h, 0);
    for (int64_t i = 0; i < 200; i++)
        put_event(batch,
            &(struct event){ .has_k = true,
                .k = i % 70,
                .has_v = i % 3,
                .v = i,
                .has_s = true,
                .s = { "text", 4 },
                .ts = i });
    return batch;
}

static void run_for_memory(struct setup *s, struct leat_batch *batch)
{
    (void)harness_batch(s->h, 0, batch);
    (void)harness_watermark(s->h, 0, 150);
    (void)harness_watermark(s->h, 0, LEAT_TIME_MAX);
}

static void test_memory__given_any_allocation_fails__then_an_error_and_no_leak(void **unused)
{
    (void)unused;
    uint32_t failures = 0;
    for (uint64_t n = 1;; n++) {
        struct setup s;
        const int64_t live = leat__alloc_live();
        start(&s, "size=10,count=5,lateness=5",
            COUNT_FIELDS
            "," FIELD("smin", OR_NULL("\"string\"")) "," FIELD("double_total", OR_NULL("\"long\"")),
            &(struct harness_opts){ .batch_rows = 256 });
        struct leat_batch *batch = batch_for_memory(&s);
        leat__alloc_fail_at(n);
        run_for_memory(&s, batch);
        const bool failed = s.h->code < 0;
        leat__alloc_fail_at(0);
        FAIL_UNLESS(!failed || s.h->code == LEAT_ENOMEM || s.h->code == LEAT_ESTATE, "allocation %d: %s",
            (int)n, s.h->error.message);
        release(&s);
        assert_int_equal(leat__alloc_live(), live);
        failures += failed;
        if (!failed)
            break;
        assert_true(n < 1000);
    }
    assert_true(failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_run__given_a_naive_model__then_equal_for_every_size_of_batches),
        cmocka_unit_test(test_integer_sums__given_any_values__then_as_exact_as_128_bits),
        cmocka_unit_test(test_doubles__given_special_values__then_ieee_and_nan_last),
        cmocka_unit_test(test_doubles__given_another_order__then_the_sum_differs_in_the_last_bits_only),
        cmocka_unit_test(test_keys__given_fields_of_every_kind__then_they_come_back_as_they_were),
        cmocka_unit_test(test_keys__given_one_field_of_each_kind__then_it_comes_back),
        cmocka_unit_test(test_results__given_fields_of_other_kinds__then_values_are_kept_or_widened),
        cmocka_unit_test(test_window_fields__given_any_unit__then_converted_and_saturated),
        cmocka_unit_test(test_group_by_fn__given_a_key_made_in_memory_of_the_context__then_shown_by_its_name),
        cmocka_unit_test(
            test_partitioning__given_the_keys_in_the_output__then_it_says_so_unless_null_may_be_among_them),
        cmocka_unit_test(test_declaration__given_all_options__then_nodes_say_what_they_do),
        cmocka_unit_test(test_late_records__given_asked_for_after_the_aggregate__then_its_output),
        cmocka_unit_test(test_mistakes__given_each__then_told_once_with_its_place),
        cmocka_unit_test(test_mistakes__given_no_options_and_no_time__then_told),
        cmocka_unit_test(test_firing__given_a_window_of_many_keys__then_in_steps_and_each_key_once),
        cmocka_unit_test(test_firing__given_each_record_fires_into_large_rows__then_in_steps),
        cmocka_unit_test(test_steady_state__given_windows_that_come_and_go__then_nothing_is_allocated),
        cmocka_unit_test(test_budget__given_too_little__then_the_error_names_node_and_option),
        cmocka_unit_test(test_memory__given_any_allocation_fails__then_an_error_and_no_leak),
    };
    struct CMUnitTest files[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/window_aggregate/*.case", 0, NULL, &found) != 0) {
        print_error("there are no case files; run me at the top of the project\n");
        return 1;
    }
    for (; count < found.gl_pathc && count < COUNT_OF(files); count++)
        files[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("cases", files, count, NULL, NULL);
    globfree(&found);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
