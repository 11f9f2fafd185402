/* tests/unit/operators/test_session_aggregate.c -- sessions and sliding windows: their rules at their bounds as text
 * (tests/operators/session_aggregate/, sliding_aggregate/), and random runs against all records at once. */
#include "tests/support/aggregate_fixture.h"
#include "tests/support/cases.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- case files ---- */

static leat_stream *declare_case(const struct case_setup *setup)
{
    agg_event_type = *case_type(setup, "event");
    assert_int_equal(agg_event_type.size, sizeof(struct agg_event));
    return agg_declare(setup->inputs[0], setup->file->operator_name, case_type(setup, "result"), NULL);
}

/* The operator's name are its words: whatever the file says. */
static void run_file(void **path)
{
    char line[512], name[256] = "";
    FILE *file = fopen(*path, "r");
    assert_non_null(file);
    while (name[0] == '\0' && fgets(line, sizeof line, file))
        (void)sscanf(line, "operator %255s", name);
    (void)fclose(file);
    const struct case_operator named = { name, declare_case };
    case_run_file(*path, &named, 1);
}

/* ---- random runs against all records at once ---- */

#define ROWS 90u
#define LINES_MAX 4096u

struct random_row {
    int64_t k, ts, v;
};

struct random_plan {
    const char *words;
    int64_t gap; /* of sessions; 0: that of `v` */
    int64_t size; /* of sliding windows; 0: sessions */
    struct random_row rows[ROWS]; /* in order of arrival */
};

static int by_key_and_time(const void *left, const void *right)
{
    const struct random_row *a = left, *b = right;
    if (a->k != b->k)
        return a->k < b->k ? -1 : 1;
    return a->ts < b->ts ? -1 : a->ts > b->ts;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(left, right);
}

typedef char line[128];
static line want[LINES_MAX], got[LINES_MAX];
static uint32_t want_count, got_count;

static void want_line(int64_t k, int64_t from, int64_t to, int64_t n, int64_t total, int64_t lowest)
{
    (void)snprintf(want[want_count++], sizeof(line),
        "%" PRIi64 " [%" PRIi64 ", %" PRIi64 ") n %" PRIi64 " total %" PRIi64 " lowest %" PRIi64, k, from, to,
        n, total, lowest);
}

/* The sessions, or the sliding windows, of all rows. */
static void want_all(const struct random_plan *plan)
{
    struct random_row sorted[ROWS];
    memcpy(sorted, plan->rows, sizeof sorted);
    qsort(sorted, ROWS, sizeof *sorted, by_key_and_time);
    want_count = 0;
    for (uint32_t i = 0; i < ROWS;) {
        int64_t n = 0, total = 0, lowest = INT64_MAX;
        uint32_t from = i, to = i;
        int64_t end = sorted[i].ts;
        if (plan->size) {
            while (to < ROWS && sorted[to].k == sorted[i].k && sorted[to].ts == sorted[i].ts)
                to++;
            while (from > 0 && sorted[from - 1].k == sorted[i].k &&
                sorted[from - 1].ts >= sorted[i].ts - plan->size)
                from--;
        } else {
            for (; to < ROWS && sorted[to].k == sorted[i].k && (to == i || sorted[to].ts <= end); to++) {
                const int64_t reach = sorted[to].ts + (plan->gap ? plan->gap : sorted[to].v);
                end = reach > end ? reach : end;
            }
        }
        for (uint32_t r = from; r < to; r++) {
            n++;
            total += sorted[r].v;
            lowest = sorted[r].v < lowest ? sorted[r].v : lowest;
        }
        if (plan->size)
            want_line(sorted[i].k, sorted[i].ts - plan->size, sorted[i].ts + 1, n, total, lowest);
        else
            want_line(sorted[i].k, sorted[i].ts, end, n, total, lowest);
        i = to;
    }
    qsort(want, want_count, sizeof(line), by_text);
}

struct random_result {
    bool has_k;
    int64_t k, window_start, window_end, n;
    bool has_total;
    int64_t total;
    bool has_lowest;
    int64_t lowest;
};

/* What stands after all changes. */
static void fold(const struct harness *h)
{
    got_count = 0;
    for (uint32_t i = 0; i < h->outs_count; i++) {
        const struct leat_batch *batch = h->outs[i].batch;
        for (uint32_t r = 0; h->outs[i].port == 0 && r < batch->count; r++) {
            const struct random_result *row = leat_batch_at(batch, r);
            const uint8_t change = leat__batch_change(batch, r);
            line text;
            (void)snprintf(text, sizeof text,
                "%" PRIi64 " [%" PRIi64 ", %" PRIi64 ") n %" PRIi64 " total %" PRIi64 " lowest %" PRIi64,
                row->k, row->window_start, row->window_end, row->n, row->total, row->lowest);
            if (change == LEAT_INSERT || change == LEAT_UPDATE_AFTER) {
                assert_true(got_count < LINES_MAX);
                memcpy(got[got_count++], text, sizeof text);
                continue;
            }
            uint32_t at = 0;
            while (at < got_count && strcmp(got[at], text) != 0)
                at++;
            FAIL_UNLESS(at < got_count, "taken back, and never given: %s", text);
            memcpy(got[at], got[--got_count], sizeof text);
        }
    }
    qsort(got, got_count, sizeof(line), by_text);
}

static void run_random(const struct random_plan *plan, uint32_t batch_rows, bool crashes)
{
    struct agg_setup s;
    int64_t w = LEAT_TIME_MIN;
    int64_t mark = LEAT_TIME_MIN;
    struct leat_batch *batch = NULL;
    agg_start(&s, plan->words,
        FIELD("k", OR_NULL("\"long\"")) "," FIELD("window_start", "\"long\"") "," FIELD(
            "window_end", "\"long\"") "," FIELD("n", "\"long\"") "," FIELD("total",
            OR_NULL("\"long\"")) "," FIELD("lowest", OR_NULL("\"long\"")),
        &(struct harness_opts){ .batch_rows = batch_rows,
            .with_store = crashes,
            .budget_bytes = crashes ? 1 + agg_below(20000) : 0 });
    for (uint32_t i = 0; i <= ROWS; i++) {
        const struct random_row *row = &plan->rows[i < ROWS ? i : 0];
        const int64_t row_mark = i < ROWS && row->ts <= w ? w : LEAT_TIME_MIN;
        const int64_t next_w = agg_below(8) == 0 ? row->ts - (int64_t)agg_below(60) : LEAT_TIME_MIN;
        if (batch && (i == ROWS || next_w > w || row_mark != mark || batch->count == batch->capacity)) {
            assert_int_equal(harness_batch(s.h, 0, batch), 0);
            batch = NULL;
        }
        if (!batch && crashes && agg_below(6) == 0)
            assert_int_equal(harness_crash(s.h, NULL), 0);
        if (!batch && next_w > w) {
            w = next_w;
            assert_int_equal(harness_watermark(s.h, 0, w), 0);
        }
        if (i == ROWS)
            break;
        if (!batch) {
            batch = harness_rows(s.h, 0);
            batch->late = row->ts <= w;
            mark = batch->late_wm_us = batch->late ? w : LEAT_TIME_MIN;
        }
        agg_put(batch,
            &(struct agg_event){ .has_k = true, .k = row->k, .has_v = true, .v = row->v, .ts = row->ts });
    }
    assert_int_equal(harness_watermark(s.h, 0, LEAT_TIME_MAX), 0);
    FAIL_UNLESS(s.h->counters.late_records == 0, "%s, batches of %u: %d late", plan->words, batch_rows,
        (int)s.h->counters.late_records);
    if (!crashes) /* else it is an upper bound */
        assert_int_equal(s.h->counters.state_keys, 0);
    fold(s.h);
    agg_release(&s);
}

static void check_same(const struct random_plan *plan, uint32_t round, uint32_t batch_rows, bool crashes)
{
    for (uint32_t i = 0; i < want_count || i < got_count; i++) {
        const char *wanted = i < want_count ? want[i] : "nothing";
        const char *found = i < got_count ? got[i] : "nothing";
        FAIL_UNLESS(strcmp(wanted, found) == 0, "%s, round %u, batches of %u%s: wanted %s, got %s",
            plan->words, round, batch_rows, crashes ? ", crashes" : "", wanted, found);
    }
}

/* Whatever the order of arrival, the watermarks, the batches and the crashes: what stands at the end is what all
 * records at once make. */
static void test_random_run__given_all_records_at_once__then_the_changes_add_up_to_that(void **unused)
{
    (void)unused;
    static struct random_plan plans[] = {
        { .words = "gap=10,lateness=never,retracting", .gap = 10 },
        { .words = "gap=7,lateness=never,retracting,count=2", .gap = 7 },
        { .words = "gap=10,lateness=never,retracting,event=15,late-count=3,ordered", .gap = 10 },
        { .words = "gap_by=v,lateness=never,retracting,count=3,late-event=20" },
        { .words = "size=20,sliding,lateness=never,retracting", .size = 20 },
        { .words = "size=1000,sliding,lateness=never,retracting,ordered", .size = 1000 },
        { .words = "size=20,sliding,lateness=never,retracting,late-count=1", .size = 20 },
        { .words = "size=30,sliding,lateness=never,retracting,count=3,event=7,late-count=2", .size = 30 },
    };
    const uint32_t sizes[] = { 1, 7, 1024 };
    agg_seed();
    for (uint32_t round = 0; round < 20 * COUNT_OF(plans); round++) {
        struct random_plan *plan = &plans[round % COUNT_OF(plans)];
        const uint32_t disorder = agg_below(2) ? 40 : 600;
        for (uint32_t i = 0; i < ROWS; i++)
            plan->rows[i] = (struct random_row){ agg_below(3), (int64_t)i * 6 - (int64_t)agg_below(disorder),
                1 + (int64_t)agg_below(25) };
        want_all(plan);
        for (uint32_t b = 0; b < 2 * COUNT_OF(sizes); b++) {
            run_random(plan, sizes[b % 3], b >= 3);
            check_same(plan, round, sizes[b % 3], b >= 3);
        }
    }
}

int main(void)
{
    static const char *const folders[] = { "session_aggregate", "sliding_aggregate" };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_run__given_all_records_at_once__then_the_changes_add_up_to_that),
    };
    struct CMUnitTest files[64];
    size_t count = 0;
    glob_t found = { 0 };
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof pattern, "tests/operators/%s/*.case", folders[i]);
        if (glob(pattern, i ? GLOB_APPEND : 0, NULL, &found) != 0) {
            print_error("%s: there are none; run me at the top of the project\n", pattern);
            return 1;
        }
    }
    for (; count < found.gl_pathc && count < COUNT_OF(files); count++)
        files[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("cases", files, count, NULL, NULL);
    globfree(&found);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
