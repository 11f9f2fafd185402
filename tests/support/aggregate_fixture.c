/* tests/support/aggregate_fixture.c -- words to declarations; events in, lines of text out. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/unit.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct leat_type agg_event_type;

/* ---- declaring by words ---- */

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
    char by[64], zone[64], gap[64];
    const struct leat_trigger_fn *trigger;
    uint32_t triggers_count;
    bool alone; /* no LEAT_ON_WATERMARK */
    bool skip;
};

static void add_trigger(struct words *words, struct leat_trigger trigger)
{
    assert_true(words->triggers_count < COUNT_OF(words->window.triggers) - 1);
    words->window.triggers[words->triggers_count++] = trigger;
}

static bool read_trigger(struct words *words, const char *word, int64_t number)
{
    if (strncmp(word, "count=", 6) == 0)
        add_trigger(words, (struct leat_trigger)LEAT_ON_COUNT((uint64_t)number));
    else if (strncmp(word, "event=", 6) == 0)
        add_trigger(words, (struct leat_trigger)LEAT_EVERY_EVENT_TIME(number));
    else if (strncmp(word, "clock=", 6) == 0)
        add_trigger(words, (struct leat_trigger)LEAT_EVERY_PROCESSING_TIME(number));
    else if (strncmp(word, "late-count=", 11) == 0)
        add_trigger(words, (struct leat_trigger)LEAT_LATE_ON_COUNT((uint64_t)number));
    else if (strncmp(word, "late-event=", 11) == 0)
        add_trigger(words, (struct leat_trigger)LEAT_LATE_EVERY_EVENT_TIME(number));
    else if (strncmp(word, "late-clock=", 11) == 0)
        add_trigger(words, (struct leat_trigger)LEAT_LATE_EVERY_PROCESSING_TIME(number));
    else if (strcmp(word, "trigger") == 0)
        add_trigger(words, (struct leat_trigger)LEAT_ON_TRIGGER(words->trigger));
    else if (strcmp(word, "alone") == 0)
        words->alone = words->window.discard_remainder = true;
    else
        return false;
    return true;
}

static bool read_kind(struct words *words, const char *word, int64_t number)
{
    struct leat_window_opts *o = &words->window;
    if (strncmp(word, "slide=", 6) == 0) {
        o->kind = LEAT_WINDOW_HOPPING;
        o->slide_us = number;
    } else if (strncmp(word, "step=", 5) == 0) {
        o->kind = LEAT_WINDOW_CUMULATING;
        o->step_us = number;
    } else if (strncmp(word, "day=", 4) == 0 || strncmp(word, "month=", 6) == 0) {
        o->kind = LEAT_WINDOW_CALENDAR;
        o->unit = *word == 'd' ? LEAT_DAY : LEAT_MONTH;
        (void)snprintf(words->zone, sizeof words->zone, "%s", strchr(word, '=') + 1);
        o->zone = words->zone;
    } else if (strncmp(word, "last=", 5) == 0) {
        o->kind = LEAT_WINDOW_COUNT;
        o->count = (uint64_t)number;
    } else if (strncmp(word, "every=", 6) == 0)
        o->every = (uint64_t)number;
    else if (strcmp(word, "global") == 0)
        o->kind = LEAT_WINDOW_GLOBAL;
    else if (strcmp(word, "gaps") == 0)
        o->allow_gaps = true;
    else if (strcmp(word, "sliding") == 0)
        o->kind = LEAT_WINDOW_SLIDING;
    else
        return false;
    return true;
}

static bool read_session(struct words *words, const char *word, int64_t number)
{
    struct leat_window_opts *o = &words->window;
    if (strncmp(word, "max=", 4) == 0) {
        o->max_length_us = number;
        return true;
    }
    if (strncmp(word, "gap", 3) != 0 || strcmp(word, "gaps") == 0)
        return false;
    o->kind = LEAT_WINDOW_SESSION;
    if (strncmp(word, "gap=", 4) == 0) {
        o->gap_us = number;
    } else {
        (void)snprintf(words->gap, sizeof words->gap, "%s", word + 7);
        o->gap = words->gap;
    }
    return true;
}

static void read_word(struct words *words, const char *word)
{
    const char *value = strchr(word, '=');
    const int64_t number = value ? strtoll(value + 1, NULL, 10) : 0;
    if (read_trigger(words, word, number) || read_session(words, word, number) ||
        read_kind(words, word, number))
        return;
    if (strncmp(word, "size=", 5) == 0)
        words->window.size_us = number;
    else if (strncmp(word, "offset=", 7) == 0)
        words->window.offset_us = number;
    else if (strncmp(word, "lateness=", 9) == 0)
        words->window.allowed_lateness_us = strcmp(word, "lateness=never") == 0 ? LEAT_NEVER : number;
    else if (strncmp(word, "by=", 3) == 0) {
        (void)snprintf(words->by, sizeof words->by, "%s", word + 3);
        *strchr(words->by, '+') = ',';
    } else if (strcmp(word, "discarding") == 0)
        words->window.accumulation = LEAT_DISCARDING;
    else if (strcmp(word, "retracting") == 0)
        words->window.accumulation = LEAT_RETRACTING;
    else if (strcmp(word, "ordered") == 0)
        words->aggregate.ordered = true;
    else if (strcmp(word, "saturate") == 0)
        words->aggregate.on_overflow = LEAT_OVERFLOW_SATURATE;
    else if (strcmp(word, "wrap") == 0)
        words->aggregate.on_overflow = LEAT_OVERFLOW_WRAP;
    else if (strcmp(word, "skip") == 0)
        words->skip = true;
    else if (strcmp(word, "watermark") == 0 || strcmp(word, "user") == 0)
        return; /* the default; the caller has given it */
    else
        fail_msg("no such word: %s", word);
}

leat_stream *agg_declare(
    leat_stream *in, const char *text, const struct leat_type *out, const struct leat_aggregate_fn *user)
{
    return agg_declare_triggered(in, text, out, user, NULL);
}

static void read_words(struct words *words, const char *text)
{
    char copy[256];
    char *rest = NULL;
    (void)snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest))
        read_word(words, word);
    if (!words->alone && (words->triggers_count || strstr(text, "watermark")))
        add_trigger(words, (struct leat_trigger)LEAT_ON_WATERMARK);
}

leat_windowed_stream *agg_windows(leat_stream *in, const char *text, const struct leat_trigger_fn *trigger)
{
    struct words words = { .window.kind = LEAT_WINDOW_TUMBLING, .by = "k", .trigger = trigger };
    read_words(&words, text);
    return leat_window(leat_group_by(in, "keyed", words.by), "windows", &words.window);
}

leat_stream *agg_declare_triggered(leat_stream *in, const char *text, const struct leat_type *out,
    const struct leat_aggregate_fn *user, const struct leat_trigger_fn *trigger)
{
    struct words words = { .window.kind = LEAT_WINDOW_TUMBLING, .by = "k", .trigger = trigger };
    uint32_t count = 0;
    read_words(&words, text);
    for (uint32_t i = 0; i < COUNT_OF(known_aggs); i++)
        if (has_field(out, known_aggs[i].as))
            words.aggregate.aggs[count++] = known_aggs[i];
    if (user)
        words.aggregate.aggs[count++] = (struct leat_aggregate)LEAT_USER(user);
    words.aggregate.out = out;
    leat_windowed_stream *windows =
        leat_window(leat_group_by(in, "keyed", words.by), "windows", &words.window);
    (void)leat_late_records(windows);
    leat_stream *totals = leat_aggregate(windows, "totals", &words.aggregate);
    return words.skip ? leat_on_error(totals, LEAT_SKIP) : totals;
}

/* ---- a topology of its own ---- */

const struct leat_type *agg_type_of(struct agg_setup *s, const char *schema)
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

void agg_release(struct agg_setup *s)
{
    harness_free(s->h);
    leat_topology_free(s->t);
    for (uint32_t i = 0; i < s->schemas_count; i++)
        leat__schema_free(s->schemas[i]);
    leat__arena_release(&s->arena);
}

void agg_start(
    struct agg_setup *s, const char *words, const char *out_fields, const struct harness_opts *opts)
{
    char schema[4096];
    memset(s, 0, sizeof *s);
    agg_event_type = *agg_type_of(s, RECORD("event", AGG_EVENT_FIELDS));
    (void)snprintf(schema, sizeof schema, RECORD("result", "%s"), out_fields);
    s->t = leat_topology_new("test");
    leat_stream *in = harness_source(s->t, "in", &agg_event_type, "ts");
    s->h = harness_new(agg_declare(in, words, agg_type_of(s, schema), NULL), opts);
}

void agg_print_outs(const struct harness *h, struct leat_strbuf *text)
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

void agg_put(struct leat_batch *batch, const struct agg_event *event)
{
    batch->event_us[batch->count] = event->ts;
    *(struct agg_event *)leat__batch_push(batch) = *event;
}

/* ---- random numbers ---- */

static uint64_t random_state;
uint64_t agg_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
uint32_t agg_below(uint32_t n)
{
    return (uint32_t)((agg_random() >> 32) % n);
}

void agg_seed(void)
{
    const char *given = getenv("LEAT_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : 20240917;
    print_message("LEAT_SEED=%" PRIu64 "\n", seed);
    random_state = seed * 2 + 1;
}
