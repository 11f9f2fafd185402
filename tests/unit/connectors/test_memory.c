/* tests/unit/connectors/test_memory.c -- the user's memory as source, collectors as sinks. */
#include "tests/support/unit.h"
#include "tests/support/connector_harness.h"
#include "base/alloc.h"
#include <leat/memory.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 41 };

static struct order rows[ROWS];

static void make_rows(void)
{
    static char names[ROWS][16];
    for (int i = 0; i < ROWS; i++) {
        const int len = snprintf(names[i], sizeof names[i], "name-%d", i);
        rows[i] = (struct order){ .id = i, .name = { names[i], (size_t)len }, .price = i / 2.0 };
        rows[i].has_note = i % 2 != 0;
        if (rows[i].has_note)
            rows[i].note = LEAT_SV("odd");
    }
}

/* The rows as Avro binary with the slack that the option asks for. */
static void make_avro(struct leat_strbuf *out)
{
    struct leat_error err = { 0 };
    struct leat_encoder *encoder;
    make_rows();
    assert_int_equal(leat__encoder_new(harness_order_type(), &encoder, &err), 0);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(leat__encode_record(encoder, &rows[i], out, &err), 0);
    leat__encoder_free(encoder);
    assert_true(leat__strbuf_reserve(out, 16));
}

static struct leat_node *declare(leat_topology *t, const struct leat_memory_source_opts *opts)
{
    struct leat_memory_source_opts o = *opts;
    o.type = harness_order_type();
    leat_stream *stream = leat_memory_source(t, "in", &o);
    FAIL_UNLESS(stream->node, "%s", leat_topology_error(t, 0)->message);
    return stream->node;
}

/* ---- the source ---- */

static void test_memory__given_rows_in_splits__when_read__then_each_once_in_order(void **state)
{
    static const uint32_t splits[] = { 0, 1, 2, 3, ROWS, ROWS + 5 };
    static const uint32_t batch_rows[] = { 1, 7, 1024 };
    (void)state;
    struct leat_strbuf want = { 0 };
    make_rows();
    harness_order_lines(&want, 0, ROWS);
    for (size_t s = 0; s < COUNT_OF(splits); s++) {
        for (size_t b = 0; b < COUNT_OF(batch_rows); b++) {
            leat_topology *t = leat_topology_new("test");
            struct harness h;
            harness_init(&h, leat__env_posix(),
                declare(
                    t, &(struct leat_memory_source_opts){ .rows = rows, .count = ROWS, .splits = splits[s] }),
                batch_rows[b]);
            assert_int_equal(harness_read_all(&h), 0);
            assert_int_equal(h.splits.count, splits[s] ? splits[s] : 1);
            uint64_t bytes = 0;
            for (uint32_t k = 0; k < h.splits.count; k++) {
                assert_in_range(h.splits.splits[k].to - h.splits.splits[k].from, ROWS / h.splits.count,
                    ROWS / h.splits.count + 1);
                bytes += h.splits.splits[k].bytes;
            }
            assert_int_equal(bytes, sizeof rows);
            assert_int_equal(h.counters.bytes_in, sizeof rows);
            assert_string_equal(h.rows.data, want.data);
            harness_release(&h);
            leat_topology_free(t);
        }
    }
    leat__strbuf_release(&want);
}

static void test_memory__given_avro__when_read__then_strings_show_the_users_bytes(void **state)
{
    static const uint32_t batch_rows[] = { 1, 7, 1024 };
    (void)state;
    struct leat_strbuf avro = { 0 }, want = { 0 };
    make_avro(&avro);
    harness_order_lines(&want, 0, ROWS);
    for (size_t b = 0; b < COUNT_OF(batch_rows); b++) {
        leat_topology *t = leat_topology_new("test");
        struct harness h;
        harness_init(&h, leat__env_posix(),
            declare(t, &(struct leat_memory_source_opts){ .avro = avro.data, .avro_bytes = avro.len }),
            batch_rows[b]);
        assert_int_equal(harness_read_all(&h), 0);
        assert_string_equal(h.rows.data, want.data);
        assert_int_equal(h.counters.bytes_in, avro.len);
        struct leat_reader *reader = harness_reader(&h, 0, NULL);
        struct leat_batch *batch;
        assert_int_equal(leat__batch_get(h.pool, harness_order_type(), &batch), 0);
        assert_true(reader->source_class->read(reader, batch) > 0);
        const struct order *first = leat_batch_at(batch, 0);
        assert_true(first->name.data > avro.data && first->name.data < avro.data + avro.len);
        leat__batch_release(batch);
        harness_close_reader(reader);
        harness_release(&h);
        leat_topology_free(t);
    }
    leat__strbuf_release(&want);
    leat__strbuf_release(&avro);
}

static void test_memory__given_avro_that_is_cut__when_read_in_splits__then_each_has_its_records(void **state)
{
    (void)state;
    struct leat_strbuf avro = { 0 }, want = { 0 };
    make_avro(&avro);
    harness_order_lines(&want, 0, ROWS);
    size_t cuts[2] = { 0, 0 };
    leat_topology *t = leat_topology_new("test");
    struct harness h;
    harness_init(&h, leat__env_posix(),
        declare(t, &(struct leat_memory_source_opts){ .avro = avro.data, .avro_bytes = avro.len }), 1);
    assert_int_equal(harness_list(&h), 0);
    struct leat_reader *reader = harness_reader(&h, 0, NULL);
    for (int row = 0; row < ROWS / 2; row++)
        (void)harness_read(&h, reader);
    char *position = harness_position(&h, reader);
    cuts[0] = cuts[1] = (size_t)strtoull(position, NULL, 10); /* the second split is empty */
    free(position);
    harness_close_reader(reader);
    harness_release(&h);
    leat_topology_free(t);
    t = leat_topology_new("test");
    harness_init(&h, leat__env_posix(),
        declare(t,
            &(struct leat_memory_source_opts){
                .avro = avro.data, .avro_bytes = avro.len, .splits = 3, .avro_cuts = cuts }),
        7);
    assert_int_equal(harness_read_all(&h), 0);
    assert_int_equal(h.splits.count, 3);
    assert_string_equal(h.rows.data, want.data);
    assert_int_equal(h.counters.bytes_in, avro.len);
    harness_release(&h);
    leat_topology_free(t);
    leat__strbuf_release(&want);
    leat__strbuf_release(&avro);
}

static void test_memory__given_each_position__when_resumed__then_the_rows_behind_it(void **state)
{
    (void)state;
    struct leat_strbuf avro = { 0 }, want = { 0 };
    make_avro(&avro);
    harness_order_lines(&want, 0, ROWS);
    const struct leat_memory_source_opts opts[] = { { .rows = rows, .count = ROWS },
        { .avro = avro.data, .avro_bytes = avro.len } };
    for (size_t i = 0; i < COUNT_OF(opts); i++) {
        leat_topology *t = leat_topology_new("test");
        struct harness h;
        harness_init(&h, leat__env_posix(), declare(t, &opts[i]), 1);
        assert_int_equal(harness_list(&h), 0);
        struct leat_reader *reader = harness_reader(&h, 0, NULL);
        const char *rest = want.data;
        for (int row = 0; row <= ROWS; row++) {
            char *position = harness_position(&h, reader);
            leat__strbuf_clear(&h.rows);
            assert_int_equal(harness_read_split(&h, 0, position), 0);
            assert_string_equal(h.rows.data ? h.rows.data : "", rest);
            free(position);
            (void)harness_read(&h, reader);
            if (row < ROWS)
                rest = strchr(rest, '\n') + 1;
        }
        harness_close_reader(reader);
        assert_null(harness_reader(&h, 0, "1000000"));
        assert_int_equal(h.err.code, LEAT_EDATA);
        assert_null(harness_reader(&h, 0, "x"));
        harness_release(&h);
        leat_topology_free(t);
    }
    leat__strbuf_release(&want);
    leat__strbuf_release(&avro);
}

static void test_memory__given_bad_avro__when_read__then_refused_with_its_place_or_skipped(void **state)
{
    (void)state;
    struct leat_strbuf avro = { 0 };
    make_avro(&avro);
    for (int policy = LEAT_FAIL; policy <= LEAT_SKIP; policy++) {
        leat_topology *t = leat_topology_new("test");
        struct harness h;
        harness_init(&h, leat__env_posix(),
            declare(t,
                &(struct leat_memory_source_opts){
                    .avro = avro.data, .avro_bytes = avro.len - 3, .on_error = (enum leat_policy)policy }),
            8);
        const int code = harness_read_all(&h);
        assert_int_equal(h.rows_count, policy == LEAT_FAIL ? 40 / 8 * 8 : ROWS - 1);
        if (policy == LEAT_FAIL) {
            assert_int_equal(code, LEAT_EDATA);
            assert_non_null(strstr(h.err.message, "record 41 at byte "));
        } else {
            assert_int_equal(code, 0);
            assert_int_equal(h.counters.dropped_records, 1);
        }
        harness_release(&h);
        leat_topology_free(t);
    }
    leat__strbuf_release(&avro);
}

static const size_t cuts[] = { 0, 4, 2 };

static const struct {
    const char *name;
    struct leat_memory_source_opts opts;
    const char *want; /* NULL: it is right */
} source_cases[] = {
    { "nothing at all", { .rows = NULL }, NULL },
    { "rows without a pointer", { .count = 1 }, "rows: missing: 1 records are announced" },
    { "Avro without a pointer", { .avro_bytes = 1 }, "avro: missing: 1 bytes are announced" },
    { "both", { .rows = rows, .avro = rows }, "avro: given beside .rows" },
    { "a count of Avro", { .avro = rows, .count = 3 }, "count: counts .rows" },
    { "splits of Avro", { .avro = rows, .avro_bytes = 3, .splits = 2 },
        "splits: Avro records can not be cut" },
    { "cuts of one split", { .avro = rows, .avro_bytes = 3, .avro_cuts = cuts }, "avro_cuts: says where" },
    { "cuts of rows", { .rows = rows, .count = 3, .splits = 2, .avro_cuts = cuts }, "avro_cuts: says where" },
    { "a cut that is beyond the end", { .avro = rows, .avro_bytes = 3, .splits = 3, .avro_cuts = cuts },
        "avro_cuts: [1] is 4" },
    { "a cut before the one before", { .avro = rows, .avro_bytes = 9, .splits = 4, .avro_cuts = cuts },
        "avro_cuts: [2] is 2" },
    { "cuts at both ends", { .avro = rows, .avro_bytes = 4, .splits = 3, .avro_cuts = cuts }, NULL },
    { "too many splits", { .rows = rows, .count = 3, .splits = 1000000 }, "splits: 1000000 are more than" },
    { "a negative timeout", { .rows = rows, .event_time = "id", .idle_timeout_us = -1 }, "idle_timeout_us" },
};

static void test_memory__given_wrong_options__when_declared__then_the_option_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(source_cases); i++) {
        struct leat_memory_source_opts opts = source_cases[i].opts;
        leat_topology *t = leat_topology_new("test");
        opts.type = harness_order_type();
        (void)leat_memory_source(t, "in", &opts);
        const size_t errors = leat_topology_errors_count(t);
        FAIL_UNLESS(errors == (source_cases[i].want ? 1 : 0), "%s: %zu errors", source_cases[i].name, errors);
        if (source_cases[i].want)
            FAIL_UNLESS(strstr(leat_topology_error(t, 0)->message, source_cases[i].want), "%s: %s",
                source_cases[i].name, leat_topology_error(t, 0)->message);
        leat_topology_free(t);
    }
}

/* ---- the sink ---- */

struct sink_fixture {
    leat_topology *t;
    leat_collector *collector;
    struct harness h;
};

static void set_up_sink(struct sink_fixture *f, bool timed, struct leat_memory_sink_opts opts)
{
    f->t = leat_topology_new("test");
    f->collector = opts.into;
    leat_stream *in = leat_memory_source(f->t, "in",
        &(struct leat_memory_source_opts){ .type = harness_order_type(), .event_time = timed ? "id" : NULL });
    leat_memory_sink(in, "out", &opts);
    FAIL_UNLESS(leat_topology_errors_count(f->t) == 0, "%s", leat_topology_error(f->t, 0)->message);
    harness_init(&f->h, leat__env_posix(), f->t->nodes[1], 16);
}

static void tear_down_sink(struct sink_fixture *f)
{
    harness_release(&f->h);
    leat_collector_free(f->collector);
    leat_topology_free(f->t);
}

static void collect(struct sink_fixture *f, uint32_t subtask, int64_t from, uint32_t count)
{
    struct leat_sink *sink = harness_sink(&f->h, subtask, 4);
    assert_non_null(sink);
    assert_int_equal(harness_write(&f->h, sink, from, count), 0);
    assert_int_equal(harness_prepare(&f->h, sink), 0);
    harness_close_sink(&f->h, sink);
}

static void expect_order(const leat_collector *collector, uint64_t i, int64_t id)
{
    char name[32];
    const struct order *order = leat_collector_record(collector, i);
    assert_non_null(order);
    assert_int_equal(order->id, id);
    const int len = snprintf(name, sizeof name, "name-%lld", (long long)id);
    assert_int_equal(order->name.len, len);
    assert_memory_equal(order->name.data, name, (size_t)len);
    assert_int_equal(order->has_note, id % 2 != 0);
    assert_int_equal(leat_collector_event_us(collector, i), id * 1000);
}

static void test_memory__given_subtasks__when_committed_in_any_order__then_by_subtask_and_arrival(
    void **state)
{
    (void)state;
    struct sink_fixture f;
    set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = leat_collector_new() });
    collect(&f, 3, 30000, 10000);
    collect(&f, 1, 10000, 1);
    collect(&f, 2, 20000, 0);
    collect(&f, 0, 0, 5000);
    assert_int_equal(leat_collector_count(f.collector), 0);
    assert_null(leat_collector_record(f.collector, 0));
    assert_int_equal(leat_collector_event_us(f.collector, 0), LEAT_TIME_MIN);
    assert_int_equal(harness_commit(&f.h), 0);
    assert_int_equal(leat_collector_count(f.collector), 15001);
    for (uint64_t i = 0; i < 15001; i++)
        expect_order(f.collector, i, i < 5000 ? (int64_t)i : i == 5000 ? 10000 : (int64_t)i - 5001 + 30000);
    for (uint64_t i = 15001; i-- > 0; i -= i % 7)
        expect_order(f.collector, i, i < 5000 ? (int64_t)i : i == 5000 ? 10000 : (int64_t)i - 5001 + 30000);
    assert_null(leat_collector_record(f.collector, 15001));
    tear_down_sink(&f);
}

static void test_memory__given_a_commit__when_repeated_or_discarded__then_the_rows_stay_once(void **state)
{
    (void)state;
    struct sink_fixture f;
    set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = leat_collector_new() });
    collect(&f, 0, 0, 10);
    assert_int_equal(harness_commit(&f.h), 0);
    assert_int_equal(harness_commit(&f.h), 0);
    assert_int_equal(harness_discard(&f.h), 0);
    assert_int_equal(leat_collector_count(f.collector), 10);
    expect_order(f.collector, 9, 9);
    tear_down_sink(&f);
}

static void test_memory__given_no_commit__when_discarded_or_closed__then_nothing_is_collected_or_leaked(
    void **state)
{
    (void)state;
    struct sink_fixture f;
    const int64_t live = leat__alloc_live();
    set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = leat_collector_new() });
    collect(&f, 0, 0, 10);
    assert_int_equal(harness_discard(&f.h), 0);
    struct leat_sink *sink = harness_sink(&f.h, 1, 4);
    assert_int_equal(harness_write(&f.h, sink, 0, 100), 0);
    harness_close_sink(&f.h, sink);
    assert_int_equal(leat_collector_count(f.collector), 0);
    tear_down_sink(&f);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_memory__given_epochs__when_some_are_committed__then_only_their_rows_in_order(void **state)
{
    (void)state;
    struct sink_fixture f;
    const int64_t live = leat__alloc_live();
    set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = leat_collector_new() });
    assert_true(f.h.node->sink->is_volatile); /* its handles mean nothing to another process */
    struct leat_sink *sink = harness_sink(&f.h, 0, 1);
    for (uint64_t epoch = 1; epoch <= 5; epoch++) {
        if (epoch != 3) /* that one has no rows */
            assert_int_equal(harness_write(&f.h, sink, (int64_t)epoch * 10, 10), 0);
        assert_int_equal(harness_prepare_epoch(&f.h, sink, epoch, false), 0);
        assert_int_equal(f.h.handles.count,
            epoch == 2       ? 2
                : epoch == 3 ? 0
                             : 1); /* 1 was given up: 2 has it */
        if (epoch == 1)
            continue;
        if (epoch < 5)
            assert_int_equal(harness_commit(&f.h), 0);
        else
            assert_int_equal(harness_discard(&f.h), 0);
        harness_forget(&f.h);
    }
    assert_int_equal(harness_write(&f.h, sink, 90, 10), 0);
    harness_close_sink(&f.h, sink); /* the job has failed */
    assert_int_equal(leat_collector_count(f.collector), 30);
    for (uint64_t i = 0; i < 30; i++)
        expect_order(f.collector, i, (int64_t)(i < 20 ? 10 + i : 20 + i));
    tear_down_sink(&f);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_memory__given_records_without_time__when_collected__then_none_is_shown(void **state)
{
    (void)state;
    struct sink_fixture f;
    set_up_sink(&f, false, (struct leat_memory_sink_opts){ .into = leat_collector_new() });
    collect(&f, 0, 7, 1);
    assert_int_equal(harness_commit(&f.h), 0);
    assert_int_equal(leat_collector_event_us(f.collector, 0), LEAT_TIME_MIN);
    tear_down_sink(&f);
}

static void test_memory__given_two_sinks__when_they_share_a_collector__then_in_order_of_the_sinks(
    void **state)
{
    (void)state;
    leat_collector *collector = leat_collector_new();
    leat_topology *t = leat_topology_new("test");
    leat_stream *in = leat_memory_source(
        t, "in", &(struct leat_memory_source_opts){ .type = harness_order_type(), .event_time = "id" });
    leat_memory_sink(in, "one", &(struct leat_memory_sink_opts){ .into = collector });
    leat_memory_sink(in, "two", &(struct leat_memory_sink_opts){ .into = collector });
    for (int i = 2; i >= 1; i--) {
        struct harness h;
        harness_init(&h, leat__env_posix(), t->nodes[i], 16);
        struct leat_sink *sink = harness_sink(&h, 0, 1);
        assert_int_equal(harness_write(&h, sink, i * 100, 10), 0);
        assert_int_equal(harness_prepare(&h, sink), 0);
        harness_close_sink(&h, sink);
        assert_int_equal(harness_commit(&h), 0);
        assert_int_equal(leat_collector_count(collector), i == 2 ? 10 : 20);
        harness_release(&h);
    }
    expect_order(collector, 0, 100);
    expect_order(collector, 10, 200);
    leat_topology_free(t);
    expect_order(collector, 19, 209); /* they outlive the topology */
    leat_collector_free(collector);
}

static void *commit_one(void *arg)
{
    return harness_commit(arg) == 0 ? arg : NULL;
}

static void test_memory__given_commits_on_several_threads__when_joined__then_all_rows(void **state)
{
    enum { THREADS = 8 };
    (void)state;
    leat_collector *collector = leat_collector_new();
    leat_topology *t[THREADS];
    struct harness h[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        struct sink_fixture f;
        set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = collector });
        for (uint32_t subtask = 0; subtask < 50; subtask++)
            collect(&f, subtask, subtask * 10, 10);
        t[i] = f.t;
        h[i] = f.h;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, commit_one, &h[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *done;
        assert_int_equal(pthread_join(threads[i], &done), 0);
        assert_ptr_equal(done, &h[i]);
    }
    assert_int_equal(leat_collector_count(collector), THREADS * 500);
    for (uint64_t i = 0; i < THREADS * 500; i++)
        expect_order(collector, i, (int64_t)(i / (THREADS * 10) * 10 + i % 10));
    for (int i = 0; i < THREADS; i++) {
        harness_release(&h[i]);
        leat_topology_free(t[i]);
    }
    leat_collector_free(collector);
}

static void test_memory__given_encode__when_written__then_the_bytes_are_counted_and_dropped(void **state)
{
    (void)state;
    struct sink_fixture f;
    struct leat_strbuf avro = { 0 };
    make_avro(&avro);
    set_up_sink(&f, true, (struct leat_memory_sink_opts){ .encode = true });
    collect(&f, 0, 0, ROWS);
    assert_int_equal(f.h.counters.bytes_out, avro.len);
    assert_int_equal(f.h.handles.count, 0);
    tear_down_sink(&f);
    leat__strbuf_release(&avro);
}

static void test_memory__given_no_collector__when_written__then_batches_are_released(void **state)
{
    (void)state;
    struct sink_fixture f;
    set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = NULL });
    collect(&f, 0, 0, 100);
    const uint64_t made = leat__pool_made_count(f.h.pool);
    collect(&f, 0, 0, 1000);
    assert_int_equal(leat__pool_made_count(f.h.pool), made);
    assert_int_equal(f.h.handles.count, 0);
    tear_down_sink(&f);
}

static void test_memory__given_wrong_sink_options__when_declared__then_the_option_is_named(void **state)
{
    (void)state;
    static const char text[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"}]}";
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    struct leat_arena arena = { 0 };
    const struct leat_type *other;
    assert_int_equal(leat__schema_parse(text, strlen(text), &schema, &err), 0);
    assert_int_equal(leat__schema_type(schema, &arena, &other, &err), 0);
    leat_collector *collector = leat_collector_new();
    leat_topology *t = leat_topology_new("test");
    leat_stream *in =
        leat_memory_source(t, "in", &(struct leat_memory_source_opts){ .type = harness_order_type() });
    leat_stream *in2 = leat_memory_source(t, "in2", &(struct leat_memory_source_opts){ .type = other });
    leat_memory_sink(in, "both", &(struct leat_memory_sink_opts){ .into = collector, .encode = true });
    leat_memory_sink(in, "fine", &(struct leat_memory_sink_opts){ .into = collector });
    leat_memory_sink(in2, "other", &(struct leat_memory_sink_opts){ .into = collector });
    assert_int_equal(leat_topology_errors_count(t), 2);
    assert_non_null(
        strstr(leat_topology_error(t, 0)->message, "memory sink \"both\": encode: drops the records"));
    assert_non_null(
        strstr(leat_topology_error(t, 1)->message, "memory sink \"other\": into: the collector has records"));
    leat_topology_free(t);
    leat_collector_free(collector);
    leat__arena_release(&arena);
    leat__schema_free(schema);
}

static void test_memory__given_each_allocation_failing__when_collected__then_no_memory_and_no_leak(
    void **state)
{
    (void)state;
    int code = LEAT_ENOMEM;
    for (uint64_t n = 1; code < 0; n++) {
        struct sink_fixture f;
        set_up_sink(&f, true, (struct leat_memory_sink_opts){ .into = leat_collector_new() });
        struct leat_batch *batch;
        assert_int_equal(leat__batch_get(f.h.pool, harness_order_type(), &batch), 0);
        leat__batch_rows(batch, batch->capacity);
        const int64_t live = leat__alloc_live();
        leat__alloc_fail_at(n);
        struct leat_sink *sink = harness_sink(&f.h, 0, 1);
        code = f.h.err.code;
        if (sink) {
            leat__batch_ref(batch);
            code = sink->sink_class->on_batch(sink, &f.h.ctx, batch);
            if (code == 0)
                code = harness_prepare(&f.h, sink);
            harness_close_sink(&f.h, sink);
        }
        leat__alloc_fail_at(0);
        assert_true(code == 0 || code == LEAT_ENOMEM);
        assert_int_equal(harness_discard(&f.h), 0);
        leat__handle_list_release(&f.h.handles, f.h.ctx.env);
        assert_int_equal(leat__alloc_live(), live);
        leat__batch_release(batch);
        tear_down_sink(&f);
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory__given_rows_in_splits__when_read__then_each_once_in_order),
        cmocka_unit_test(test_memory__given_avro__when_read__then_strings_show_the_users_bytes),
        cmocka_unit_test(test_memory__given_avro_that_is_cut__when_read_in_splits__then_each_has_its_records),
        cmocka_unit_test(test_memory__given_each_position__when_resumed__then_the_rows_behind_it),
        cmocka_unit_test(test_memory__given_bad_avro__when_read__then_refused_with_its_place_or_skipped),
        cmocka_unit_test(test_memory__given_wrong_options__when_declared__then_the_option_is_named),
        cmocka_unit_test(
            test_memory__given_subtasks__when_committed_in_any_order__then_by_subtask_and_arrival),
        cmocka_unit_test(test_memory__given_a_commit__when_repeated_or_discarded__then_the_rows_stay_once),
        cmocka_unit_test(
            test_memory__given_no_commit__when_discarded_or_closed__then_nothing_is_collected_or_leaked),
        cmocka_unit_test(test_memory__given_epochs__when_some_are_committed__then_only_their_rows_in_order),
        cmocka_unit_test(test_memory__given_records_without_time__when_collected__then_none_is_shown),
        cmocka_unit_test(
            test_memory__given_two_sinks__when_they_share_a_collector__then_in_order_of_the_sinks),
        cmocka_unit_test(test_memory__given_commits_on_several_threads__when_joined__then_all_rows),
        cmocka_unit_test(test_memory__given_encode__when_written__then_the_bytes_are_counted_and_dropped),
        cmocka_unit_test(test_memory__given_no_collector__when_written__then_batches_are_released),
        cmocka_unit_test(test_memory__given_wrong_sink_options__when_declared__then_the_option_is_named),
        cmocka_unit_test(
            test_memory__given_each_allocation_failing__when_collected__then_no_memory_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
