/* tests/unit/operators/test_process.c -- process functions: state, timers and time to live as text
 * (tests/operators/process/), and what text can not say. */
#include "base/alloc.h"
#include "state/state.h"
#include "tally.h"
#include "tests/support/aggregate_fixture.h"
#include "tests/support/cases.h"
#include "tests/support/golden.h"
#include "tests/support/process_script.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- case files ---- */

static leat_stream *declare_case(const struct case_setup *setup)
{
    return script_process(setup->inputs[0], "script", setup->file->operator_name);
}

static void run_file(void **path)
{
    static const char *const names[] = { "plain", "skip", "ttl=100", "ttl=100,read", "ttl=100,processing" };
    struct case_operator operators[COUNT_OF(names)];
    for (uint32_t i = 0; i < COUNT_OF(names); i++)
        operators[i] = (struct case_operator){ names[i], declare_case };
    case_run_file(*path, operators, COUNT_OF(operators));
}

/* ---- scripts from a seed ---- */

static void put_step(struct leat_batch *batch, const char *k, int64_t ts, const char *commands)
{
    struct step step = { .k = leat_sv_of(k), .ts = ts, .do_ = leat_sv_of(commands) };
    struct leat_copier *copier;
    assert_int_equal(leat__copier_new(&step_type, &copier), 0);
    batch->event_us[batch->count] = ts;
    assert_int_equal(leat__copy_push(copier, batch, &step), 0);
    leat__copier_free(copier);
}

static uint64_t next_random(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 33;
}

/* Any commands, some of which refuse at the end. */
static void random_commands(uint64_t *random, int64_t ts, char *text, size_t size)
{
    static const char *const forms[] = { "+ %d", "count", "clear", "note t%d u%d", "notes", "clear-note",
        "add %d", "list", "size", "clear-list", "put k%d %d", "get k%d", "del k%d", "map", "keys",
        "clear-map", "agg %d", "result", "clear-agg", "add %d", "put k%d %d", "put k%d %d" };
    size_t len = 0;
    text[0] = '\0';
    for (uint64_t n = 1 + next_random(random) % 5; n > 0; n--) {
        const uint64_t pick = next_random(random) % (COUNT_OF(forms) + 6);
        const int a = (int)(next_random(random) % 9), b = (int)(next_random(random) % 100);
        const long long at = ts + (long long)(next_random(random) % 300) - 50;
        if (pick < COUNT_OF(forms)) {
            /* NOLINTNEXTLINE(clang-diagnostic-format-nonliteral) */
            len += (size_t)snprintf(text + len, size - len, forms[pick], a, b);
        } else {
            static const char *const timers[] = { "et %lld", "-et %lld", "et %lld", "pt %lld", "-pt %lld",
                "fail %lld" };
            len += (size_t)snprintf(text + len, size - len, timers[pick - COUNT_OF(forms)], at);
        }
        len += (size_t)snprintf(text + len, size - len, ";");
    }
    if (next_random(random) % 4 == 0)
        (void)snprintf(text + len, size - len, "plan count; map; agg 1; + 1; add 7");
}

struct shape {
    uint32_t batch_rows;
    bool with_store;
    uint64_t budget_bytes;
    uint32_t crash_every; /* records, about; 0: never */
};

static void print_outs(const struct harness *h, struct leat_strbuf *text)
{
    static const char *const ports[] = { "out", "side" };
    for (uint32_t port = 0; port < 2; port++)
        for (uint32_t late = 0; late < 2; late++)
            for (uint32_t i = 0; i < h->outs_count; i++) {
                const struct leat_batch *batch = h->outs[i].batch;
                for (uint32_t r = 0; h->outs[i].port == port && batch->late == late && r < batch->count;
                     r++) {
                    const struct told *told = leat_batch_at(batch, r);
                    leat__strbuf_printf(text, "%s %.*s %.*s %lld @%lld %lld\n", ports[port], (int)told->k.len,
                        told->k.data, (int)told->what.len, told->what.data, (long long)told->n,
                        (long long)batch->event_us[r], late ? (long long)batch->late_wm_us : 0);
                }
            }
}

/* What a script from the seed tells, in a topology run that way. */
static void run_script(uint64_t seed, const char *words, const struct shape *shape, struct leat_strbuf *text)
{
    uint64_t random = seed, crashes = seed * 31 + 7;
    leat_topology *t = leat_topology_new("script");
    const struct harness_opts opts = {
        .batch_rows = shape->batch_rows, .with_store = shape->with_store, .budget_bytes = shape->budget_bytes
    };
    struct harness *h =
        harness_new(script_process(harness_source(t, "in", &step_type, "ts"), "script", words), &opts);
    struct leat_batch *batch = NULL;
    int64_t w = 0;
    for (uint32_t i = 0; i < 300; i++) {
        char commands[512], key[32];
        const int64_t ts = w + 1 + (int64_t)(next_random(&random) % 40);
        random_commands(&random, ts, commands, sizeof commands);
        (void)snprintf(key, sizeof key, "key-%s%d", next_random(&random) % 2 ? "that-is-quite-long-" : "",
            (int)(next_random(&random) % 6));
        if (!batch)
            batch = harness_rows(h, 0);
        put_step(batch, key, ts, commands);
        const bool moves = next_random(&random) % 12 == 0;
        if (!moves && batch->count < shape->batch_rows)
            continue;
        assert_int_equal(harness_batch(h, 0, batch), 0);
        batch = NULL;
        if (shape->crash_every && next_random(&crashes) % shape->crash_every == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
        if (!moves)
            continue;
        w += (int64_t)(next_random(&random) % 60);
        assert_int_equal(harness_watermark(h, 0, w), 0);
        if (shape->crash_every && next_random(&crashes) % shape->crash_every == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
        assert_int_equal(harness_advance(h, (int64_t)(next_random(&random) % 30)), 0);
    }
    if (batch)
        assert_int_equal(harness_batch(h, 0, batch), 0);
    assert_int_equal(harness_end(h, 0), 0);
    print_outs(h, text);
    leat__strbuf_printf(text, "dropped %llu\n", (unsigned long long)h->counters.dropped_records);
    harness_free(h);
    leat_topology_free(t);
}

static void test_scripts__given_any_seed__when_crashed_and_spilled__then_they_tell_the_same(void **unused)
{
    static const struct shape shapes[] = { { 1024, false, 0, 0 }, { 1, false, 0, 0 }, { 1, true, 0, 3 },
        { 1024, true, 1, 0 }, { 7, true, 1, 2 }, { 1024, true, 20000, 2 } };
    static const char *const words[] = { "skip", "skip,ttl=100", "skip,ttl=60,read",
        "skip,ttl=80,processing" };
    (void)unused;
    for (uint64_t seed = 1; seed <= 4; seed++)
        for (uint32_t k = 0; k < COUNT_OF(words); k++) {
            struct leat_strbuf want = { 0 };
            run_script(seed, words[k], &shapes[0], &want);
            assert_true(want.len > 5000);
            for (uint32_t i = 1; i < COUNT_OF(shapes); i++) {
                struct leat_strbuf got = { 0 };
                run_script(seed, words[k], &shapes[i], &got);
                if (strcmp(want.data, got.data) != 0) {
                    char *diff = golden_diff(want.data, got.data);
                    fail_msg("seed %d, %s, shape %u:\n%.3000s", (int)seed, words[k], i, diff);
                }
                leat__strbuf_release(&got);
            }
            leat__strbuf_release(&want);
        }
}

/* ---- very many timers ---- */

enum { TIMERS = 300000 };
static struct {
    uint32_t fired;
    int64_t last_us;
    bool in_order;
} seen;

static void set_many(struct leat_ctx *ctx, const struct step *step)
{
    for (int64_t i = 0; i < 100; i++)
        leat_timer_set(
            ctx, LEAT_EVENT_TIME, step->ts % 1000 == 0 ? 5000000 : 1000000 + step->ts * 7919 % 300000000 + i);
}

static void count_timer(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    (void)ctx;
    (void)kind;
    seen.in_order = seen.in_order && time_us >= seen.last_us;
    seen.last_us = time_us;
    seen.fired++;
}
LEAT_DEFINE_PROCESS(many, step, set_many, count_timer);

static leat_stream *declare_many(leat_topology *t, const struct leat_process_fn *fn)
{
    return leat_process(leat_group_by(harness_source(t, "in", &step_type, "ts"), "by-k", "k"), "many",
        &(struct leat_process_opts){ .fn = fn, .out = &told_type });
}

static void test_timers__given_very_many__then_in_order_and_in_steps_also_after_a_crash(void **unused)
{
    (void)unused;
    leat_topology *t = leat_topology_new("timers");
    struct harness *h =
        harness_new(declare_many(t, &many_process), &(struct harness_opts){ .with_store = true });
    seen.fired = 0;
    seen.last_us = 0;
    seen.in_order = true;
    uint32_t want = 0;
    for (uint32_t i = 0; i < TIMERS / 100;) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (; i < TIMERS / 100 && batch->count < 1000; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%u", i);
            put_step(batch, key, i, "");
            want += i % 1000 == 0 ? 1 : 100;
        }
        assert_int_equal(harness_batch(h, 0, batch), 0);
    }
    assert_int_equal(harness_watermark(h, 0, 12000000), 0);
    const uint32_t before = seen.fired;
    assert_true(before > 10000 && before < want);
    assert_int_equal(harness_crash(h, NULL), 0);
    assert_int_equal(harness_watermark(h, 0, 12000001), 0);
    assert_int_equal(harness_end(h, 0), 0);
    assert_int_equal(seen.fired, want);
    assert_true(seen.in_order);
    FAIL_UNLESS(h->steps_count > 50, "%d steps", (int)h->steps_count);
    harness_free(h);
    leat_topology_free(t);
}

/* All of one time: the bucket is more than is kept in memory. */
static void set_one_time(struct leat_ctx *ctx, const struct step *step)
{
    (void)step;
    leat_timer_set(ctx, LEAT_EVENT_TIME, 1000);
}
LEAT_DEFINE_PROCESS(one_time, step, set_one_time, count_timer);

static void test_timers__given_more_of_one_time_than_are_kept_in_memory__then_each_goes_off_once(
    void **unused)
{
    (void)unused;
    enum { KEYS = 200000 };
    leat_topology *t = leat_topology_new("timers");
    struct harness *h = harness_new(declare_many(t, &one_time_process), NULL);
    seen.fired = 0;
    for (uint32_t i = 0; i < KEYS;) {
        struct leat_batch *batch = harness_rows(h, 0);
        for (; i < KEYS && batch->count < 1024; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%u", i);
            put_step(batch, key, 1, "");
        }
        assert_int_equal(harness_batch(h, 0, batch), 0);
    }
    assert_int_equal(harness_watermark(h, 0, 999), 0);
    assert_int_equal(seen.fired, 0);
    assert_int_equal(harness_watermark(h, 0, 1000), 0);
    assert_int_equal(seen.fired, KEYS);
    assert_int_equal(harness_watermark(h, 0, LEAT_MINUTES(5)), 0); /* behind the bucket's end */
    assert_int_equal(leat__state_bytes(h->state), 0);
    harness_free(h);
    leat_topology_free(t);
}

/* ---- another version of the schemas ---- */

struct tally2 {
    int64_t n;
    struct leat_sv label; /* new, with a default */
    int64_t steps; /* was an int */
};
static struct leat_type tally2_type;
struct note2 {
    struct leat_sv text;
    int64_t stars; /* new; `also` and `parts` are gone */
};
static struct leat_type note2_type;

static void tell(struct leat_ctx *ctx, struct leat_sv what, int64_t n)
{
    *(struct told *)leat_out(ctx) = (struct told){ leat_key_sv(ctx, 0), what, n };
}

static void on_version2(struct leat_ctx *ctx, const struct step *step)
{
    (void)step;
    const struct tally2 *tally = leat_state_find(ctx, 0);
    tell(ctx, tally ? tally->label : LEAT_SV("-"), tally ? tally->n * 100 + tally->steps : -1);
    const struct note2 *note = leat_state_find(ctx, 1);
    tell(ctx, note ? note->text : LEAT_SV("-"), note ? note->stars : -1);
    for (const struct tally2 *row = NULL; (row = leat_list_next(ctx, 2, row)) != NULL;)
        tell(ctx, row->label, row->n);
    for (struct leat_map_item item = { 0 }; leat_map_next(ctx, 3, &item);) {
        const struct tally2 *entry = item.value;
        tell(ctx, item.key.sv, entry->n + (int64_t)entry->label.len);
    }
    if (tally)
        ((struct tally2 *)leat_state(ctx, 0))->label = LEAT_SV("seen");
}
LEAT_DEFINE_PROCESS(version2, step, on_version2, NULL);

static leat_stream *declare_version2(leat_topology *t)
{
    return leat_process(leat_group_by(harness_source(t, "in", &step_type, "ts"), "by-k", "k"), "script",
        &(struct leat_process_opts){ .fn = &version2_process,
            .state = { LEAT_VALUE("tally", &tally2_type), LEAT_VALUE("note", &note2_type),
                LEAT_LIST("list", &tally2_type), LEAT_MAP("map", LEAT_KIND_STRING, &tally2_type) },
            .out = &told_type });
}

static void step_once(struct harness *h, int64_t ts, const char *commands)
{
    struct leat_batch *batch = harness_rows(h, 0);
    put_step(batch, "a", ts, commands);
    FAIL_UNLESS(harness_batch(h, 0, batch) == 0, "%s", h->error.message);
}

static void expect_told(struct harness *h, const char *want)
{
    struct leat_strbuf text = { 0 };
    print_outs(h, &text);
    assert_string_equal(text.data ? text.data : "", want);
    leat__strbuf_release(&text);
    harness_forget_outs(h);
}

static void test_schemas__given_another_version__when_restored__then_records_are_of_the_new_one(void **unused)
{
    (void)unused;
    struct agg_setup types = { 0 };
    tally2_type = *agg_type_of(&types,
        RECORD("tally",
            FIELD("n", "\"long\"") ",{\"name\":\"label\",\"type\":\"string\",\"default\":\"none\"}," FIELD(
                "steps", "\"long\"")));
    note2_type = *agg_type_of(&types,
        RECORD("note", FIELD("text", "\"string\"") ",{\"name\":\"stars\",\"type\":\"long\",\"default\":5}"));
    leat_topology *t1 = leat_topology_new("one"), *t2 = leat_topology_new("two"),
                  *t3 = leat_topology_new("three");
    struct harness *h =
        harness_new(script_process(harness_source(t1, "in", &step_type, "ts"), "script", "plain"),
            &(struct harness_opts){ .with_store = true });
    step_once(h, 1, "+ 3; + 4; note hello you; add 1; add 2; put x 10; put y 20");
    FAIL_UNLESS(harness_crash(h, declare_version2(t2)) == 0, "%s", h->error.message);
    step_once(h, 2, "");
    expect_told(h,
        "out a none 702 @2 0\nout a hello 5 @2 0\nout a none 1 @2 0\nout a none 2 @2 0\nout a x 14 @2 0\n"
        "out a y 24 @2 0\n");
    FAIL_UNLESS(harness_crash(h, declare_version2(t3)) == 0, "%s", h->error.message);
    step_once(h, 3, "");
    expect_told(h,
        "out a seen 702 @3 0\nout a hello 5 @3 0\nout a none 1 @3 0\nout a none 2 @3 0\nout a x 14 @3 0\n"
        "out a y 24 @3 0\n");
    harness_free(h);
    leat_topology_free(t1);
    leat_topology_free(t2);
    leat_topology_free(t3);
    agg_release(&types);
}

static void test_schemas__given_one_that_does_not_resolve__when_restored__then_node_and_state_are_named(
    void **unused)
{
    (void)unused;
    struct agg_setup types = { 0 };
    tally2_type = *agg_type_of(&types,
        RECORD(
            "tally", FIELD("n", "\"long\"") "," FIELD("label", "\"string\"") "," FIELD("steps", "\"long\"")));
    note2_type = *agg_type_of(&types,
        RECORD("note", FIELD("text", "\"string\"") ",{\"name\":\"stars\",\"type\":\"long\",\"default\":5}"));
    leat_topology *t1 = leat_topology_new("one"), *t2 = leat_topology_new("two");
    struct harness *h =
        harness_new(script_process(harness_source(t1, "in", &step_type, "ts"), "script", "plain"),
            &(struct harness_opts){ .with_store = true });
    step_once(h, 1, "+ 3");
    assert_int_equal(harness_crash(h, declare_version2(t2)), LEAT_ESCHEMA);
    FAIL_UNLESS(strstr(h->error.message, "script") && strstr(h->error.message, "tally") &&
            strstr(h->error.message, "label"),
        "%s", h->error.message);
    harness_free(h);
    leat_topology_free(t1);
    leat_topology_free(t2);
    agg_release(&types);
}

/* ---- wrong use ---- */

static uint32_t misuse;
static void on_misuse(struct leat_ctx *ctx, const struct step *step)
{
    const struct leat_sv key = LEAT_SV("k");
    (void)step;
    switch (misuse) {
    case 0:
        ((struct told *)leat_state(ctx, 9))->n = 1;
        break;
    case 1:
        leat_list_add(ctx, 0, step);
        break;
    case 2:
        *(struct told *)leat_map_put(ctx, 0, &key) = (struct told){ .n = 1 };
        break;
    case 3:
        leat_timer_set(ctx, LEAT_PROCESSING_TIME, 5);
        break;
    case 4:
        *(struct told *)leat_out_to(ctx, 0) = (struct told){ .n = 1 };
        break;
    default:
        leat_timer_set(ctx, (enum leat_time_kind)7, 5);
        break;
    }
}
LEAT_DEFINE_PROCESS(misuse, step, on_misuse, NULL);

static void test_misuse__given_a_state_timer_or_output_that_is_not_there__then_the_job_fails_and_says_so(
    void **unused)
{
    static const char *const want[] = { "misuse asked for state 9, and there are 1: add it to .state",
        "misuse used state 0, \"told\", as a list, and it is a value",
        "misuse used state 0, \"told\", as a map, and it is a value",
        "leat_timer_set, but misuse has no callback for timers",
        "misuse asked for side output 0, and there are 0: add it to .sides",
        "leat_timer_set: 7 is neither LEAT_EVENT_TIME nor LEAT_PROCESSING_TIME" };
    (void)unused;
    for (misuse = 0; misuse < COUNT_OF(want); misuse++) {
        leat_topology *t = leat_topology_new("misuse");
        struct harness *h = harness_new(
            leat_process(leat_group_by(harness_source(t, "in", &step_type, "ts"), "by-k", "k"), "node",
                &(struct leat_process_opts){
                    .fn = &misuse_process, .state = { LEAT_VALUE("told", &told_type) }, .out = &told_type }),
            NULL);
        struct leat_batch *batch = harness_rows(h, 0);
        put_step(batch, "a", 1, "");
        assert_int_equal(harness_batch(h, 0, batch), LEAT_EINVAL);
        FAIL_UNLESS(strstr(h->error.message, want[misuse]) && strstr(h->error.message, "node \"node\""), "%s",
            h->error.message);
        harness_free(h);
        leat_topology_free(t);
    }
}

/* Elsewhere than in a process function they refuse the record. */
static void elsewhere(struct leat_ctx *ctx, const struct step *step)
{
    (void)step;
    (void)leat_state(ctx, 0);
}
LEAT_DEFINE_PEEK(elsewhere, step);

static void test_misuse__given_another_operator__then_its_record_is_refused(void **unused)
{
    (void)unused;
    leat_topology *t = leat_topology_new("misuse");
    struct harness *h =
        harness_new(leat_peek(harness_source(t, "in", &step_type, "ts"), "look", &elsewhere_peek), NULL);
    struct leat_batch *batch = harness_rows(h, 0);
    put_step(batch, "a", 1, "");
    assert_int_equal(harness_batch(h, 0, batch), LEAT_EUSER);
    FAIL_UNLESS(strstr(h->error.message, "leat_state is for the callbacks of process functions only"), "%s",
        h->error.message);
    harness_free(h);
    leat_topology_free(t);
}

/* ---- memory ---- */

static void run_for_memory(struct harness *h, struct leat_batch *batch)
{
    (void)harness_batch(h, 0, batch);
    (void)harness_watermark(h, 0, 150);
    (void)harness_advance(h, 1000);
    (void)harness_end(h, 0);
}

static void test_memory__given_any_allocation_fails__then_an_error_and_no_leak(void **unused)
{
    (void)unused;
    uint32_t failures = 0;
    for (uint64_t n = 1;; n++) {
        const int64_t live = leat__alloc_live();
        leat_topology *t = leat_topology_new("memory");
        struct harness *h =
            harness_new(script_process(harness_source(t, "in", &step_type, "ts"), "script", "ttl=100"), NULL);
        struct leat_batch *batch = harness_rows(h, 0);
        for (int64_t i = 0; i < 60; i++)
            put_step(batch, i % 2 ? "a" : "a-key-that-is-longer-than-what-is-inline", 1 + i,
                "+ 1; note some text; add 1; add 2; list; put x 1; put y 2; put z 3; map; agg 1; result; et "
                "100; pt "
                "50; side x; plan count; notes; del x; clear-list");
        leat__alloc_fail_at(n);
        run_for_memory(h, batch);
        const bool failed = h->code < 0;
        leat__alloc_fail_at(0);
        FAIL_UNLESS(!failed || h->code == LEAT_ENOMEM || h->code == LEAT_ESTATE, "allocation %d: %s", (int)n,
            h->error.message);
        harness_free(h);
        leat_topology_free(t);
        assert_int_equal(leat__alloc_live(), live);
        failures += failed;
        if (!failed)
            break;
        assert_true(n < 1000);
    }
    assert_true(failures > 5);
}

/* State with views that is written over, removed and made again, for a long time. */
static void churn(bool with_store)
{
    leat_topology *t = leat_topology_new("churn");
    struct harness *h =
        harness_new(script_process(harness_source(t, "in", &step_type, "ts"), "script", "plain"),
            &(struct harness_opts){ .with_store = with_store, .discard = true });
    uint64_t most = 0;
    for (int64_t i = 0; i < 24000; i++) {
        char key[64];
        struct leat_batch *batch = harness_rows(h, 0);
        for (int k = 0; k < 4; k++) {
            (void)snprintf(key, sizeof key, "a-key-that-does-not-fit-into-a-slot-%d", (int)(i * 4 + k) % 50);
            put_step(batch, key, 1 + i,
                (i / 50) % 2 ? "clear-note; clear-list; clear-map; notes; size; keys"
                             : "note some-text-of-some-length and-more-of-it; add 1; add 2; add 3; put "
                               "a-map-key-that-is-long 1; "
                               "put b 2");
        }
        FAIL_UNLESS(harness_batch(h, 0, batch) == 0, "%s", h->error.message);
        if (with_store && i % 4000 == 0)
            assert_int_equal(harness_crash(h, NULL), 0);
        const uint64_t bytes = leat__state_bytes(h->state);
        most = bytes > most ? bytes : most;
    }
    FAIL_UNLESS(most < 5u << 20, "%llu bytes", (unsigned long long)most);
    harness_free(h);
    leat_topology_free(t);
}

static void test_memory__given_state_that_comes_and_goes_for_long__then_it_is_used_again(void **unused)
{
    (void)unused;
    churn(false);
    churn(true);
}

/* Sessions of keys that come and go, as a value without views and a timer: what most process functions are. */
static void on_visit(struct leat_ctx *ctx, const struct step *step)
{
    struct tally *tally = leat_state(ctx, 0);
    leat_timer_delete(ctx, LEAT_EVENT_TIME, tally->n);
    tally->n = step->ts + 100;
    tally->steps++;
    leat_timer_set(ctx, LEAT_EVENT_TIME, tally->n);
}

static void on_silence(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    const struct tally *tally = leat_state_find(ctx, 0);
    (void)kind;
    *(struct told *)leat_out(ctx) =
        (struct told){ leat_key_sv(ctx, 0), LEAT_SV("visit"), tally ? tally->steps : -1 };
    (void)time_us;
    leat_state_clear(ctx, 0);
}
LEAT_DEFINE_PROCESS(visits, step, on_visit, on_silence);

static void test_steady_state__given_keys_that_come_and_go__then_nothing_is_allocated(void **unused)
{
    (void)unused;
    uint64_t calls = 0;
    leat_topology *t = leat_topology_new("steady");
    struct harness *h = harness_new(
        leat_process(leat_group_by(harness_source(t, "in", &step_type, "ts"), "by-k", "k"), "visits",
            &(struct leat_process_opts){
                .fn = &visits_process, .state = { LEAT_VALUE("tally", &tally_type) }, .out = &told_type }),
        &(struct harness_opts){ .discard = true });
    struct leat_batch *batches[2000];
    for (int64_t i = 0; i < 2000; i++) { /* made first: the records are the test's */
        batches[i] = harness_rows(h, 0);
        for (int64_t k = 0; k < 50; k++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%d", (int)(i * 7 + k) % 5000);
            put_step(batches[i], key, i * 20 + 1, "");
        }
    }
    for (int64_t i = 0; i < 2000; i++) {
        if (i == 1000)
            calls = leat__alloc_calls();
        assert_int_equal(harness_batch(h, 0, batches[i]), 0);
        assert_int_equal(harness_watermark(h, 0, i * 20), 0);
    }
    FAIL_UNLESS(leat__alloc_calls() == calls, "%d allocations", (int)(leat__alloc_calls() - calls));
    assert_true(h->rows_count[0] > 10000);
    harness_free(h);
    leat_topology_free(t);
}

/* ---- wrong declarations ---- */

static void expect_mistake(const struct leat_process_opts *opts, const char *time_field, const char *want)
{
    leat_topology *t = leat_topology_new("wrong");
    (void)leat_process(
        leat_group_by(harness_source(t, "in", &step_type, time_field), "by-k", "k"), "node", opts);
    FAIL_UNLESS(
        leat_topology_errors_count(t) == 1, "%zu errors, not: %s", leat_topology_errors_count(t), want);
    const char *message = leat_topology_error(t, 0)->message;
    FAIL_UNLESS(strstr(message, want) && strstr(message, "process \"node\""), "%s, not: %s", message, want);
    leat_topology_free(t);
}

static void test_declaration__given_a_mistake__then_it_is_told(void **unused)
{
    static const struct leat_type no_schema = {
        .kind = LEAT_KIND_RECORD, .name = "bare", .size = 8, .align = 8
    };
    const struct leat_process_opts good = {
        .fn = &visits_process, .state = { LEAT_VALUE("tally", &tally_type) }, .out = &told_type
    };
    struct leat_process_opts o;
    (void)unused;
    o = good, o.fn = NULL;
    expect_mistake(&o, "ts", "fn: missing: the function that LEAT_DEFINE_PROCESS makes");
    o = good, o.out = NULL;
    expect_mistake(&o, "ts", "out: missing: the type of the output record");
    o = good, o.state[0].name = "Tally";
    expect_mistake(&o, "ts", "state[0]: \"Tally\" is no name of a state");
    o = good, o.state[1] = o.state[0];
    expect_mistake(&o, "ts", "state[1]: the name \"tally\" is taken by state[0]");
    o = good, o.state[0].list = &tally_type;
    expect_mistake(&o, "ts", "state \"tally\" has several kinds: give exactly one of");
    o = good, o.state[0].value = NULL;
    expect_mistake(&o, "ts", "state \"tally\" has no kind: give exactly one of");
    o = good, o.state[0].value = &no_schema;
    expect_mistake(&o, "ts", "state \"tally\" is of bare, which has no schema");
    o = good, o.state[0] = (struct leat_keyed_state)LEAT_MAP("map", LEAT_KIND_ARRAY, &tally_type);
    expect_mistake(&o, "ts", "map_key of \"map\" is");
    o = good, o.state[0].map_key = LEAT_KIND_LONG;
    expect_mistake(&o, "ts", "map_key is given, and \"tally\" is no map");
    o = good, o.state[2] = o.state[0];
    expect_mistake(&o, "ts", "states go up to the first without a name, and there is more behind");
    o = good, o.state[0].ttl.us = -1;
    expect_mistake(&o, "ts", "the time to live of \"tally\" is negative");
    o = good, o.state[0].ttl.on_read = true;
    expect_mistake(&o, "ts", "ttl of \"tally\" has options but no duration");
    o = good, o.state[0].ttl.us = 5;
    expect_mistake(&o, NULL, "the time to live of \"tally\" is by event time, and the input has none");
    o = good, o.sides[0].name = "side";
    expect_mistake(&o, "ts", "side output \"side\" has no type");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts__given_any_seed__when_crashed_and_spilled__then_they_tell_the_same),
        cmocka_unit_test(test_timers__given_very_many__then_in_order_and_in_steps_also_after_a_crash),
        cmocka_unit_test(
            test_timers__given_more_of_one_time_than_are_kept_in_memory__then_each_goes_off_once),
        cmocka_unit_test(test_schemas__given_another_version__when_restored__then_records_are_of_the_new_one),
        cmocka_unit_test(
            test_schemas__given_one_that_does_not_resolve__when_restored__then_node_and_state_are_named),
        cmocka_unit_test(
            test_misuse__given_a_state_timer_or_output_that_is_not_there__then_the_job_fails_and_says_so),
        cmocka_unit_test(test_misuse__given_another_operator__then_its_record_is_refused),
        cmocka_unit_test(test_declaration__given_a_mistake__then_it_is_told),
        cmocka_unit_test(test_memory__given_any_allocation_fails__then_an_error_and_no_leak),
        cmocka_unit_test(test_memory__given_state_that_comes_and_goes_for_long__then_it_is_used_again),
        cmocka_unit_test(test_steady_state__given_keys_that_come_and_go__then_nothing_is_allocated),
    };
    struct CMUnitTest files[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/process/*.case", 0, NULL, &found) != 0) {
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
