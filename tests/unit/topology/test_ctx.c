/* tests/unit/topology/test_ctx.c -- contexts: what callbacks may ask, memory, refusals under each policy,
 * dead letters; and what sources and sinks hand over: bad rows, splits, handles. */
#include "base/alloc.h"
#include "tests/support/fake_nodes.h"
#include "tests/support/unit.h"
#include "topology/sink.h"
#include "topology/source.h"
#include <stdio.h>
#include <string.h>

#define LETTERS_MAX 64

/* A context whose output is kept. */
struct world {
    struct leat_node node;
    struct leat__ctx ctx;
    struct leat_counters counters;
    struct leat_error error;
    struct leat_batch *emitted[LETTERS_MAX];
    uint32_t emitted_count;
    int emit_code; /* what emit gives back */
    bool emit_is_keyed; /* emit begins and ends in the context, as an exchange with a key does */
};

static int world_emit(struct leat__ctx *ctx, uint32_t port, struct leat_batch *batch)
{
    struct world *world = ctx->host;
    assert_int_equal(port, 1);
    assert_true(batch->count > 0);
    assert_null(batch->next);
    if (world->emit_is_keyed) {
        leat__ctx_begin(ctx, batch, NULL);
        assert_int_equal(leat__ctx_end(ctx, batch, batch), 0);
    }
    if (world->emit_code < 0) {
        leat__batch_release(batch);
        return leat__fail(ctx, world->emit_code, "the sink is full");
    }
    assert_true(world->emitted_count < LETTERS_MAX);
    world->emitted[world->emitted_count++] = batch;
    return 0;
}

static int64_t world_now(const struct leat__ctx *ctx)
{
    (void)ctx;
    return 77;
}

static const struct leat_ctx_api world_api = { world_emit, world_now };

static void world_open(struct world *world, enum leat_policy policy, uint32_t batch_rows)
{
    memset(world, 0, sizeof *world);
    world->node.name = "price";
    world->node.policy = policy;
    world->node.dead_letters_port = policy == LEAT_DEAD_LETTER ? 1 : -1;
    world->ctx = (struct leat__ctx){ .user = { .engine = &world->ctx },
        .api = &world_api,
        .host = world,
        .node = &world->node,
        .subtask = 2,
        .parallelism = 4,
        .counters = &world->counters,
        .error = &world->error,
        .watermark_us = 40 };
    assert_int_equal(leat__pool_new(batch_rows, &world->ctx.pool), 0);
}

static void world_close(struct world *world)
{
    for (uint32_t i = 0; i < world->emitted_count; i++)
        leat__batch_release(world->emitted[i]);
    leat__ctx_release(&world->ctx);
    leat__pool_free(world->ctx.pool);
}

/* Orders with ids 0, 1, ... and event times 100, 101, ... */
static struct leat_batch *orders(struct world *world, uint32_t count)
{
    struct leat_batch *batch;
    assert_int_equal(leat__batch_get(world->ctx.pool, &fake_order_type, &batch), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct fake_order *order = leat__batch_push(batch);
        order->order_id = i;
        order->status = LEAT_SV("NEW");
        batch->event_us[i] = 100 + i;
        batch->keep[i] = i % 2;
    }
    return batch;
}

static void refuse(struct world *world, uint32_t row, const char *why)
{
    world->ctx.user.row = row;
    leat_fail(&world->ctx.user, "%s", why);
}

static const struct leat_dead_letter *letter(const struct world *world, uint32_t i)
{
    for (uint32_t b = 0; b < world->emitted_count; b++) {
        if (i < world->emitted[b]->count)
            return leat_batch_at(world->emitted[b], i);
        i -= world->emitted[b]->count;
    }
    fail_msg("letter %u is missing", i);
    return NULL;
}

static void assert_sv(struct leat_sv got, const char *want)
{
    FAIL_UNLESS(leat_sv_eq(got, leat_sv_of(want)), "got \"%.*s\", not \"%s\"", (int)got.len, got.data, want);
}

static void test_ctx__given_a_callback__when_it_asks__then_it_gets_the_subtasks_answers(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_FAIL, 8);
    struct leat_batch *batch = orders(&world, 3);
    struct leat_ctx *ctx = &world.ctx.user;
    assert_true(leat_ctx_event_us(ctx) == LEAT_TIME_MIN); /* about no record */
    leat__ctx_begin(&world.ctx, batch, NULL);
    ctx->row = 2;
    assert_int_equal(leat_ctx_event_us(ctx), 102);
    assert_int_equal(leat_ctx_watermark_us(ctx), 40);
    assert_int_equal(leat_ctx_now_us(ctx), 77);
    assert_string_equal(leat_ctx_node(ctx), "price");
    assert_int_equal(leat_ctx_subtask(ctx), 2);
    assert_int_equal(leat_ctx_parallelism(ctx), 4);
    assert_int_equal(leat__ctx_end(&world.ctx, batch, batch), 0);
    assert_int_equal(batch->count, 3);
    leat__batch_release(batch);
    world_close(&world);
}

static void test_ctx__given_an_output_batch__when_memory_is_asked_for__then_it_lives_with_the_batch(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_FAIL, 8);
    struct leat_batch *batch = orders(&world, 1);
    leat__ctx_begin(&world.ctx, batch, batch);
    char *p = leat_alloc(&world.ctx.user, 5);
    assert_int_equal((uintptr_t)p % 8, 0);
    memcpy(p, "hello", 5);
    const struct leat_sv copy = leat_copy(&world.ctx.user, (struct leat_sv){ p, 5 });
    const struct leat_sv text = leat_printf(&world.ctx.user, "%s-%d", "x", 42);
    const struct leat_sv empty = leat_copy(&world.ctx.user, (struct leat_sv){ NULL, 0 });
    assert_int_equal(leat__ctx_end(&world.ctx, batch, batch), 0);
    leat__ctx_begin(&world.ctx, NULL, NULL);
    assert_null(world.ctx.scratch);
    assert_sv(copy, "hello");
    assert_true(copy.data != p);
    assert_sv(text, "x-42");
    assert_sv(empty, "");
    leat__batch_release(batch);
    world_close(&world);
}

static void
test_ctx__given_no_output_batch__when_memory_is_asked_for__then_it_lives_until_the_next_such_begin(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_FAIL, 8);
    struct leat_batch *batch = orders(&world, 1);
    leat__ctx_begin(&world.ctx, batch, NULL);
    const struct leat_sv key = leat_printf(&world.ctx.user, "key");
    assert_int_equal(leat__ctx_end(&world.ctx, batch, NULL), 0);
    leat__ctx_begin(&world.ctx, batch, batch);
    assert_sv(key, "key");
    assert_int_equal(leat__ctx_end(&world.ctx, batch, batch), 0);
    assert_non_null(world.ctx.scratch);
    leat__ctx_begin(&world.ctx, batch, NULL);
    assert_null(world.ctx.scratch);
    const uint64_t made = leat__pool_made_count(world.ctx.pool);
    for (int i = 0; i < 100; i++) { /* recycled: the steady state makes nothing */
        leat__ctx_begin(&world.ctx, batch, NULL);
        assert_non_null(leat_alloc(&world.ctx.user, 100));
        assert_int_equal(leat__ctx_end(&world.ctx, batch, NULL), 0);
    }
    assert_int_equal(leat__pool_made_count(world.ctx.pool), made);
    leat__batch_release(batch);
    world_close(&world);
}

static void test_ctx__given_policy_fail__when_rows_are_refused__then_the_first_is_the_jobs_error(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_FAIL, 8);
    struct leat_batch *batch = orders(&world, 5);
    leat__ctx_begin(&world.ctx, batch, batch);
    refuse(&world, 3, "no price for 7");
    refuse(&world, 1, "later");
    assert_int_equal(world.ctx.user.failures_count, 2);
    assert_int_equal(leat__ctx_end(&world.ctx, batch, batch), LEAT_EUSER);
    assert_int_equal(world.error.code, LEAT_EUSER);
    assert_string_equal(world.error.message,
        "node \"price\" subtask 2: row 3 of its batch (event time 103 us) was refused: no price for 7 "
        "(leat_on_error "
        "with LEAT_SKIP, or leat_dead_letters, goes on without such records)");
    leat__batch_release(batch);
    world_close(&world);
}

static void test_ctx__given_policy_skip__when_rows_are_refused__then_they_go_and_marks_stay_with_their_rows(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_SKIP, 600);
    struct leat_batch *batch = orders(&world, 600);
    for (int round = 0; round < 2; round++) { /* the second finds no old marks */
        batch->count = 600;
        for (uint32_t i = 0; i < 600; i++) {
            ((struct fake_order *)leat_batch_at(batch, i))->order_id = i;
            batch->event_us[i] = 100 + i;
            batch->keep[i] = i % 2;
        }
        leat__ctx_begin(&world.ctx, batch, batch);
        refuse(&world, 0, "a");
        refuse(&world, 0, "once a row");
        refuse(&world, 5, "b");
        leat__ctx_refuse(&world.ctx, 599, "overflow");
        assert_int_equal(world.ctx.user.failures_count, 3);
        assert_int_equal(leat__ctx_end(&world.ctx, batch, batch), 0);
        assert_int_equal(world.ctx.user.failures_count, 0);
        assert_int_equal(batch->count, 597);
        uint32_t row = 0;
        for (uint32_t id = 0; id < 600; id++) {
            if (id == 0 || id == 5 || id == 599)
                continue;
            const struct fake_order *order = leat_batch_at(batch, row);
            FAIL_UNLESS(
                order->order_id == id && batch->event_us[row] == 100 + id && batch->keep[row] == id % 2,
                "row %u: %lld", row, (long long)order->order_id);
            row++;
        }
    }
    assert_int_equal(world.counters.dropped_records, 6);
    assert_int_equal(world.counters.dead_letters, 0);
    leat__batch_release(batch);
    world_close(&world);
}

static void test_ctx__given_dead_letters__when_rows_are_refused__then_letters_say_what_and_why(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_DEAD_LETTER, 4);
    world.emit_is_keyed = true;
    struct leat_batch *batch = orders(&world, 4);
    leat__ctx_begin(&world.ctx, batch, batch);
    refuse(&world, 2, "no price");
    refuse(&world, 0, "too old");
    assert_int_equal(leat__ctx_end(&world.ctx, batch, batch), 0);
    assert_int_equal(batch->count, 2); /* although emitting began and ended in between */
    assert_int_equal(((struct fake_order *)leat_batch_at(batch, 0))->order_id, 1);
    assert_int_equal(((struct fake_order *)leat_batch_at(batch, 1))->order_id, 3);
    assert_int_equal(world.emitted_count, 1);
    assert_int_equal(world.emitted[0]->count, 2);
    assert_int_equal(world.counters.dead_letters, 2);
    const struct leat_dead_letter *first = letter(&world, 0);
    assert_sv(first->node, "price");
    assert_sv(first->split, "");
    assert_int_equal(first->position, -1);
    assert_sv(first->error, "too old");
    assert_int_equal(first->failed_at, 77);
    assert_sv(first->raw, "{\"order_id\":0,\"status\":\"NEW\",\"note\":null,\"total\":0,\"ordered_at\":0}");
    assert_sv(letter(&world, 1)->error, "no price");
    leat__batch_release(batch);
    world_close(&world);
}

static void test_ctx__given_more_refusals_than_reasons_are_kept__when_it_ends__then_all_rows_become_letters(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_DEAD_LETTER, 40);
    struct leat_batch *batch = orders(&world, 40), *out = orders(&world, 40);
    leat__ctx_begin(&world.ctx, batch, out);
    for (uint32_t i = 0; i < 40; i++)
        refuse(&world, i, "bad");
    assert_int_equal(leat__ctx_end(&world.ctx, batch, out), 0);
    assert_int_equal(out->count, 0);
    assert_int_equal(batch->count, 40);
    assert_int_equal(world.counters.dead_letters, 40);
    assert_sv(letter(&world, LEAT_FAILURES_KEPT_MAX - 1)->error, "bad");
    assert_sv(letter(&world, LEAT_FAILURES_KEPT_MAX)->error,
        "refused (more records of its batch were refused than reasons are kept)");
    assert_sv(letter(&world, 39)->raw,
        "{\"order_id\":39,\"status\":\"NEW\",\"note\":null,\"total\":0,\"ordered_at\":0}");
    leat__batch_release(batch);
    leat__batch_release(out);
    world_close(&world);
}

static void test_ctx__given_small_batches__when_many_letters_are_written__then_several_batches_are_emitted(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_DEAD_LETTER, 3);
    for (int round = 0; round < 2; round++) {
        struct leat_batch *batch = orders(&world, 3);
        leat__ctx_begin(&world.ctx, NULL, batch); /* no input rows: what was made is ignored */
        for (uint32_t i = 0; i < 3; i++)
            refuse(&world, i, "bad");
        leat__ctx_refuse(&world.ctx, 7, "beyond");
        assert_int_equal(leat__ctx_end(&world.ctx, NULL, batch), 0);
        assert_int_equal(batch->count, 0);
        leat__batch_release(batch);
    }
    assert_int_equal(world.emitted_count, 4);
    assert_sv(letter(&world, 3)->error, "beyond");
    assert_sv(letter(&world, 3)->raw, "");
    world_close(&world);
}

static void test_ctx__given_a_full_sink_of_dead_letters__when_it_ends__then_the_job_fails_and_nothing_leaks(
    void **state)
{
    struct world world;
    const int64_t live = leat__alloc_live();
    (void)state;
    world_open(&world, LEAT_DEAD_LETTER, 2);
    world.emit_code = LEAT_ENOSPC;
    struct leat_batch *batch = orders(&world, 2);
    leat__ctx_begin(&world.ctx, NULL, NULL);
    for (uint32_t i = 0; i < 7; i++)
        leat__ctx_refuse(&world.ctx, i, "bad");
    assert_int_equal(leat__ctx_end(&world.ctx, NULL, NULL), LEAT_ENOSPC);
    leat__batch_release(batch);
    world_close(&world);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_ctx__given_no_memory__when_callbacks_need_it__then_the_job_fails_with_it(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_SKIP, 8);
    struct leat_batch *batch = orders(&world, 2);
    leat__ctx_begin(&world.ctx, batch, NULL);
    leat__alloc_fail_at(1);
    assert_null(leat_alloc(&world.ctx.user, 1 << 20));
    leat__alloc_fail_at(1);
    assert_sv(leat_printf(&world.ctx.user, "x"), "");
    leat__alloc_fail_at(1);
    assert_sv(leat_copy(&world.ctx.user, LEAT_SV("x")), "");
    leat__alloc_fail_at(0);
    assert_int_equal(leat__ctx_end(&world.ctx, batch, NULL), LEAT_ENOMEM);
    assert_string_equal(
        world.error.message, "node \"price\" subtask 2: out of memory for the records that it makes");
    leat__ctx_begin(&world.ctx, batch, NULL);
    leat__alloc_fail_at(1);
    refuse(&world, 0, "no memory for the mark"); /* a row that can not be marked must not pass */
    leat__alloc_fail_at(0);
    assert_int_equal(leat__ctx_end(&world.ctx, batch, NULL), LEAT_ENOMEM);
    leat__ctx_begin(&world.ctx, batch, NULL);
    assert_int_equal(leat__ctx_end(&world.ctx, batch, NULL), 0);
    leat__batch_release(batch);
    world_close(&world);
}

static void test_ctx__given_no_memory_at_some_point__when_letters_are_written__then_it_fails_cleanly(
    void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct world world;
        const int64_t live = leat__alloc_live();
        world_open(&world, LEAT_DEAD_LETTER, 2);
        struct leat_batch *batch = orders(&world, 2);
        leat__ctx_begin(&world.ctx, batch, batch);
        leat__alloc_fail_at(n);
        for (uint32_t i = 0; i < 5; i++)
            leat__ctx_refuse(&world.ctx, i, "bad");
        const int code = leat__ctx_end(&world.ctx, batch, batch);
        leat__alloc_fail_at(0);
        assert_true(code == 0 || code == LEAT_ENOMEM);
        leat__batch_release(batch);
        world_close(&world);
        assert_int_equal(leat__alloc_live(), live);
        if (code == 0)
            break;
        assert_true(n < 1000);
    }
}

static void test_ctx__given_an_error_with_its_place__when_passed_on__then_the_place_is_said_once(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_FAIL, 8);
    assert_int_equal(leat__fail(&world.ctx, LEAT_ESTATE, "put: %s", "full"), LEAT_ESTATE);
    assert_int_equal(leat__fail_here(&world.ctx), LEAT_ESTATE);
    assert_string_equal(world.error.message, "node \"price\" subtask 2: put: full");
    (void)leat__error(&world.error, LEAT_EIO, "read: broken");
    assert_int_equal(leat__fail_here(&world.ctx), LEAT_EIO);
    assert_string_equal(world.error.message, "node \"price\" subtask 2: read: broken");
    world_close(&world);
}

static int bad_row(struct world *world, int64_t position, const char *cause, const char *raw)
{
    const struct leat_split split = { .id = "a.jsonl" };
    struct leat_reader reader = { .node = &world->node, .split = &split, .ctx = &world->ctx };
    if (cause)
        (void)leat__error(&world->error, LEAT_EDATA, "%s", cause);
    return leat__reader_bad_row(&reader, position, raw, raw ? strlen(raw) : 0);
}

static int flush(struct world *world)
{
    struct leat_reader reader = { .node = &world->node, .ctx = &world->ctx };
    return leat__reader_flush(&reader);
}

static void test_reader__given_policy_fail__when_a_row_is_bad__then_split_position_and_cause_are_told(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_FAIL, 8);
    assert_int_equal(bad_row(&world, 4711, "total: a number, not a string", "{}"), LEAT_EDATA);
    assert_string_equal(world.error.message,
        "node \"price\" subtask 2: split \"a.jsonl\" at 4711: total: a number, not a string (set .on_error "
        "to LEAT_SKIP "
        "or LEAT_DEAD_LETTER to go on without such records)");
    world.error = (struct leat_error){ 0 };
    assert_int_equal(bad_row(&world, -1, NULL, NULL), LEAT_EDATA);
    assert_non_null(strstr(world.error.message, "split \"a.jsonl\": a record can not be decoded"));
    world_close(&world);
}

static void test_reader__given_policy_skip__when_a_row_is_bad__then_it_is_counted_and_the_error_forgotten(
    void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_SKIP, 8);
    assert_int_equal(bad_row(&world, 1, "bad", "{}"), 0);
    assert_int_equal(world.error.code, 0);
    assert_string_equal(world.error.message, "");
    assert_int_equal(world.counters.dropped_records, 1);
    world_close(&world);
}

static void test_reader__given_dead_letters__when_a_row_is_bad__then_its_bytes_are_in_the_letter(void **state)
{
    struct world world;
    (void)state;
    world_open(&world, LEAT_DEAD_LETTER, 8);
    assert_int_equal(bad_row(&world, 4711, "bad", "{\"x\": \xff"), 0);
    assert_int_equal(bad_row(&world, -1, "worse", NULL), 0);
    assert_int_equal(world.error.code, 0);
    assert_int_equal(world.emitted_count, 0);
    assert_int_equal(flush(&world), 0);
    assert_int_equal(flush(&world), 0);
    assert_int_equal(world.emitted_count, 1);
    assert_int_equal(world.counters.dead_letters, 2);
    assert_int_equal(world.counters.dropped_records, 0);
    assert_sv(letter(&world, 0)->raw, "{\"x\": \xff");
    assert_sv(letter(&world, 0)->split, "a.jsonl");
    assert_sv(letter(&world, 0)->error, "bad");
    assert_int_equal(letter(&world, 0)->position, 4711);
    assert_sv(letter(&world, 1)->raw, "");
    assert_int_equal(letter(&world, 1)->position, -1);
    world.emit_code = LEAT_ENOSPC;
    assert_int_equal(bad_row(&world, 1, "bad", "{}"), 0);
    assert_int_equal(flush(&world), LEAT_ENOSPC);
    assert_string_equal(world.error.message, "node \"price\" subtask 2: the sink is full");
    world_close(&world);
}

static void test_reader__given_many_bad_rows__when_flushed__then_full_batches_go_at_once_and_the_rest_then(
    void **state)
{
    struct world world;
    const int64_t live = leat__alloc_live();
    (void)state;
    world_open(&world, LEAT_DEAD_LETTER, 4);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(bad_row(&world, i, "bad", "{}"), 0);
    assert_int_equal(world.emitted_count, 2);
    assert_int_equal(flush(&world), 0);
    assert_int_equal(world.emitted_count, 3);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(letter(&world, i)->position, i);
    assert_int_equal(bad_row(&world, 11, "bad", "{}"), 0); /* never flushed: released with the context */
    world_close(&world);
    assert_int_equal(leat__alloc_live(), live);
}

static void test_lists__given_many_items__when_added__then_all_are_kept_and_released(void **state)
{
    struct leat_split_list splits = { 0 };
    struct leat_handle_list handles = { 0 };
    const struct leat_node node = { .name = "out" };
    const int64_t live = leat__alloc_live();
    char id[32];
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof id, "part-%u", i);
        struct leat_split *split = leat__split_add(&splits, id);
        assert_non_null(split);
        assert_int_equal(split->from, 0);
        split->from = i;
        assert_int_equal(leat__handle_add(&handles, &node, id, i % 5), 0);
    }
    assert_int_equal(splits.count, 1000);
    assert_int_equal(handles.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof id, "part-%u", i);
        assert_string_equal(splits.splits[i].id, id);
        assert_int_equal(splits.splits[i].from, i);
        assert_int_equal(handles.handles[i].len, i % 5);
        assert_memory_equal(handles.handles[i].data, "part", i % 5);
        assert_ptr_equal(handles.handles[i].node, &node);
    }
    leat__split_list_release(&splits);
    leat__handle_list_release(&handles, leat__env_posix());
    assert_int_equal(leat__alloc_live(), live);
    assert_int_equal(splits.count + handles.count, 0);
}

static void test_lists__given_no_memory__when_added__then_it_is_told_and_the_list_stays_whole(void **state)
{
    struct leat_split_list splits = { 0 };
    struct leat_handle_list handles = { 0 };
    (void)state;
    leat__alloc_fail_at(1);
    assert_null(leat__split_add(&splits, "a"));
    leat__alloc_fail_at(1);
    assert_int_equal(leat__handle_add(&handles, NULL, "a", 1), LEAT_ENOMEM);
    leat__alloc_fail_at(0);
    assert_int_equal(splits.count + handles.count, 0);
    assert_non_null(leat__split_add(&splits, "a"));
    assert_int_equal(leat__handle_add(&handles, NULL, NULL, 0), 0);
    leat__split_list_release(&splits);
    leat__handle_list_release(&handles, leat__env_posix());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ctx__given_a_callback__when_it_asks__then_it_gets_the_subtasks_answers),
        cmocka_unit_test(
            test_ctx__given_an_output_batch__when_memory_is_asked_for__then_it_lives_with_the_batch),
        cmocka_unit_test(
            test_ctx__given_no_output_batch__when_memory_is_asked_for__then_it_lives_until_the_next_such_begin),
        cmocka_unit_test(
            test_ctx__given_policy_fail__when_rows_are_refused__then_the_first_is_the_jobs_error),
        cmocka_unit_test(
            test_ctx__given_policy_skip__when_rows_are_refused__then_they_go_and_marks_stay_with_their_rows),
        cmocka_unit_test(test_ctx__given_dead_letters__when_rows_are_refused__then_letters_say_what_and_why),
        cmocka_unit_test(
            test_ctx__given_more_refusals_than_reasons_are_kept__when_it_ends__then_all_rows_become_letters),
        cmocka_unit_test(
            test_ctx__given_small_batches__when_many_letters_are_written__then_several_batches_are_emitted),
        cmocka_unit_test(
            test_ctx__given_a_full_sink_of_dead_letters__when_it_ends__then_the_job_fails_and_nothing_leaks),
        cmocka_unit_test(test_ctx__given_no_memory__when_callbacks_need_it__then_the_job_fails_with_it),
        cmocka_unit_test(
            test_ctx__given_no_memory_at_some_point__when_letters_are_written__then_it_fails_cleanly),
        cmocka_unit_test(
            test_ctx__given_an_error_with_its_place__when_passed_on__then_the_place_is_said_once),
        cmocka_unit_test(
            test_reader__given_policy_fail__when_a_row_is_bad__then_split_position_and_cause_are_told),
        cmocka_unit_test(
            test_reader__given_policy_skip__when_a_row_is_bad__then_it_is_counted_and_the_error_forgotten),
        cmocka_unit_test(
            test_reader__given_dead_letters__when_a_row_is_bad__then_its_bytes_are_in_the_letter),
        cmocka_unit_test(
            test_reader__given_many_bad_rows__when_flushed__then_full_batches_go_at_once_and_the_rest_then),
        cmocka_unit_test(test_lists__given_many_items__when_added__then_all_are_kept_and_released),
        cmocka_unit_test(test_lists__given_no_memory__when_added__then_it_is_told_and_the_list_stays_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
