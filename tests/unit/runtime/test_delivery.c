/* tests/unit/runtime/test_delivery.c -- outboxes reach an outside system exactly once: whatever becomes of answers,
 * of the process that sends, of others that send too (docs/recovery.md rows 12-14, 19, 22-26). */
#include "tests/support/memory_env.h"
#include "tests/support/outbox_world.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_ROWS 20u

static void must(struct outbox_world *w, int code)
{
    FAIL_UNLESS(code == 0, "%d %s", code, w->h.err.message);
}

/* Writes epoch n (orders (n-1)*20 .. n*20-1, spread over the slots) and has its manifest made. */
static void make_epoch(struct outbox_world *w, uint64_t epoch, struct outbox_manifest *m)
{
    const int64_t from = (int64_t)(epoch - 1) * EPOCH_ROWS;
    for (uint32_t i = 0; i < EPOCH_ROWS; i++)
        must(w, outbox_world_write(w, i % w->slots, from + i, 1));
    must(w, outbox_world_checkpoint(w, epoch, m));
    outbox_world_settle(w);
}

static void expect_epochs(struct outbox_world *w, uint64_t epochs)
{
    outbox_world_expect(w, 0, (int64_t)epochs * EPOCH_ROWS);
}

/* ---- all is well ---- */

static void test_delivery__given_epochs__when_sent__then_each_once_and_in_order(void **state)
{
    (void)state;
    for (uint32_t slots = 1; slots <= 4; slots++) {
        struct leat_env *env = memory_env_new(1);
        struct outbox_world w;
        struct outbox_manifest m;
        struct ledger_faults faults = { 0 };
        outbox_world_begin(&w, env, slots, &faults);
        for (uint64_t epoch = 1; epoch <= 5; epoch++) {
            make_epoch(&w, epoch, &m);
            must(&w, outbox_world_send(&w, &m));
            expect_epochs(&w, epoch);
            must(&w, outbox_world_send(&w, &m)); /* nothing more */
            expect_epochs(&w, epoch);
        }
        assert_int_equal(faults.fences, slots); /* once in a life */
        assert_int_equal(faults.ends, 5 * slots);
        outbox_world_end(&w, true);
        memory_env_free(env);
    }
}

static void test_delivery__given_no_records__when_cut__then_no_outbox_and_nothing_sent(void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    outbox_world_begin(&w, env, 3, NULL);
    must(&w, outbox_world_checkpoint(&w, 1, &m));
    assert_int_equal(m.count, 0);
    must(&w, outbox_world_write(&w, 1, 0, 5));
    must(&w, outbox_world_checkpoint(&w, 2, &m));
    assert_int_equal(m.count, 1);
    assert_int_equal(m.files[0].slot, 1);
    assert_int_equal(m.files[0].records, 5);
    must(&w, outbox_world_send(&w, &m));
    outbox_world_expect(&w, 0, 5);
    assert_int_equal(ledger_marker(env, OUTBOX_WORLD_LEDGER, "job-life/out/1"), 2);
    assert_int_equal(ledger_marker(env, OUTBOX_WORLD_LEDGER, "job-life/out/0"), 0);
    outbox_world_end(&w, true);
    memory_env_free(env);
}

static void test_delivery__given_a_checkpoint_that_was_given_up__when_the_next_is_sent__then_it_has_both(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    outbox_world_begin(&w, env, 2, NULL);
    must(&w, outbox_world_write(&w, 0, 0, 10));
    must(&w, outbox_world_checkpoint(&w, 1, &m)); /* given up: no settle */
    must(&w, outbox_world_write(&w, 0, 10, 10));
    must(&w, outbox_world_write(&w, 1, 20, 5));
    must(&w, outbox_world_checkpoint(&w, 2, &m));
    must(&w, outbox_world_write(&w, 0, 25, 5));
    must(&w, outbox_world_checkpoint(&w, 3, &m));
    assert_int_equal(m.count, 4);
    outbox_world_settle(&w);
    must(&w, outbox_world_send(&w, &m));
    outbox_world_expect(&w, 0, 30);
    struct ledger_view view;
    must(&w, ledger_read(env, OUTBOX_WORLD_LEDGER, &view, &w.h.err));
    assert_int_equal(view.transactions, 2); /* one a slot */
    ledger_view_release(&view);
    outbox_world_end(&w, true);
    memory_env_free(env);
}

/* ---- answers that do not come ---- */

/* A job of five epochs that goes on whatever happens, as long as errors may pass. */
static void run_with_faults(const struct ledger_faults *given, uint32_t slots)
{
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    struct ledger_faults faults = *given;
    outbox_world_begin(&w, env, slots, &faults);
    for (uint64_t epoch = 1; epoch <= 5; epoch++) {
        make_epoch(&w, epoch, &m);
        int code = outbox_world_send(&w, &m);
        if (code < 0) {
            assert_true(leat_error_is_retriable(code));
            code = outbox_world_send(&w, &m);
        }
        must(&w, code);
        expect_epochs(&w, epoch);
    }
    outbox_world_end(&w, true);
    memory_env_free(env);
}

static void test_delivery__given_a_fault_at_each_end__when_sent__then_each_record_once(void **state)
{
    (void)state;
    for (uint32_t slots = 1; slots <= 3; slots++) {
        for (uint32_t n = 1; n <= 5 * slots; n++) {
            run_with_faults(&(struct ledger_faults){ .answer_lost_at = n }, slots);
            run_with_faults(&(struct ledger_faults){ .end_lost_at = n }, slots);
            run_with_faults(&(struct ledger_faults){ .end_late_at = n }, slots);
            run_with_faults(&(struct ledger_faults){ .expire_at = n }, slots);
            run_with_faults(&(struct ledger_faults){ .end_late_at = n, .end_lost_at = n + 1 }, slots);
            run_with_faults(
                &(struct ledger_faults){ .answer_lost_at = n, .fence_fails_at = slots + 1 }, slots);
            run_with_faults(&(struct ledger_faults){ .end_late_at = n, .answer_lost_at = n + 1 }, slots);
        }
        for (uint32_t n = 1; n <= slots; n++)
            run_with_faults(&(struct ledger_faults){ .fence_fails_at = n }, slots);
    }
}

/* The reason for the fence: without it a late end commits half of the next transaction. So the ledger would show
 * it, if a delivery did so. */
static void test_delivery__given_a_late_end__when_nobody_fences__then_the_ledger_shows_the_damage(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    struct ledger_view view;
    struct leat_outbox_reader *reader;
    struct ledger_faults faults = { .end_late_at = 1 };
    const struct leat_slot slot = { "job-life", "out", 0 };
    uint64_t marker;
    outbox_world_begin(&w, env, 1, &faults);
    const struct leat_sink_class *class = w.h.node->sink;
    must(&w, class->fence(w.h.node, env, &slot, &marker, &w.h.err));
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        make_epoch(&w, epoch, &m);
        const char *path = m.files[0].path;
        must(&w, leat__outbox_reader_open(env, &path, 1, "out", 0, epoch, EPOCH_ROWS, &reader, &w.h.err));
        const int code = class->transact(w.h.node, env, &slot, epoch, reader, &w.h.err);
        assert_int_equal(code, epoch == 1 ? LEAT_ETIMEOUT : 0);
        leat__outbox_reader_close(reader);
    }
    must(&w, ledger_read(env, OUTBOX_WORLD_LEDGER, &view, &w.h.err));
    assert_true(view.records != 2 * EPOCH_ROWS || view.refused > 0);
    ledger_view_release(&view);
    outbox_world_end(&w, true);
    memory_env_free(env);
}

/* ---- processes that die ---- */

/* Sends epochs 1 and 2 and dies at the n-th file call of the second; then recovers, dying again at the k-th call
 * of the recovery, and once more. false when the send has not so many calls. */
static bool die_and_recover(uint64_t n, uint64_t k, uint32_t slots)
{
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    uint64_t marker;
    outbox_world_begin(&w, env, slots, NULL);
    make_epoch(&w, 1, &m);
    must(&w, outbox_world_send(&w, &m));
    make_epoch(&w, 2, &m);
    memory_env_fail_at(env, n, LEAT_EIO);
    const bool died = outbox_world_send(&w, &m) < 0;
    memory_env_fail_at(env, 0, 0);
    outbox_world_end(&w, true);

    outbox_world_begin(&w, env, slots, NULL);
    memory_env_fail_at(env, k, LEAT_EIO);
    (void)outbox_world_recover(&w, &m, false, &marker);
    memory_env_fail_at(env, 0, 0);
    outbox_world_end(&w, true);

    outbox_world_begin(&w, env, slots, NULL);
    must(&w, outbox_world_recover(&w, &m, false, &marker));
    assert_true(marker <= 2);
    expect_epochs(&w, 2);
    make_epoch(&w, 3, &m);
    must(&w, outbox_world_send(&w, &m));
    expect_epochs(&w, 3);
    outbox_world_end(&w, true);
    memory_env_free(env);
    return died;
}

static void test_delivery__given_a_death_at_each_call__when_recovered_again_and_again__then_each_record_once(
    void **state)
{
    (void)state;
    for (uint32_t slots = 1; slots <= 2; slots++) {
        uint64_t n = 1;
        for (; die_and_recover(n, 1 + n % 7, slots); n++)
            for (uint64_t k = 1; k < 60; k += 3)
                (void)die_and_recover(n, k, slots);
        assert_in_range(n, 10, 500);
    }
}

/* What a process leaves that dies in the middle of a line. */
static void test_delivery__given_a_ledger_cut_at_each_byte__when_recovered__then_each_record_once(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest one, two;
    size_t before, after;
    uint64_t marker;
    outbox_world_begin(&w, env, 1, NULL);
    make_epoch(&w, 1, &one);
    must(&w, outbox_world_send(&w, &one));
    (void)memory_env_get(env, OUTBOX_WORLD_LEDGER, &before);
    make_epoch(&w, 2, &two);
    must(&w, outbox_world_send(&w, &two));
    outbox_world_end(&w, true);
    const void *bytes = memory_env_get(env, OUTBOX_WORLD_LEDGER, &after);
    char *copy = malloc(after);
    memcpy(copy, bytes, after);
    for (size_t size = before; size <= after; size++) {
        memory_env_put(env, OUTBOX_WORLD_LEDGER, copy, size);
        outbox_world_begin(&w, env, 1, NULL);
        must(&w, outbox_world_recover(&w, &two, false, &marker));
        expect_epochs(&w, 2);
        outbox_world_end(&w, true);
    }
    free(copy);
    memory_env_free(env);
}

/* ---- others that write ---- */

static void test_delivery__given_a_zombie__when_it_wakes_after_a_takeover__then_it_is_refused_and_stays_so(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world zombie, heir;
    struct outbox_manifest two, three, late;
    uint64_t marker;
    outbox_world_begin(&zombie, env, 1, NULL);
    make_epoch(&zombie, 1, &two);
    must(&zombie, outbox_world_send(&zombie, &two));
    make_epoch(&zombie, 2, &two);
    must(&zombie, outbox_world_write(&zombie, 0, 40, EPOCH_ROWS));
    must(&zombie, outbox_world_checkpoint(&zombie, 99, &late)); /* its own idea of epoch 3 */
    late.epoch = 3;

    outbox_world_begin(&heir, env, 1, NULL);
    must(&heir, outbox_world_recover(&heir, &two, false, &marker));
    expect_epochs(&heir, 2);
    assert_int_equal(outbox_world_send(&zombie, &two), LEAT_EEXISTS);
    assert_int_equal(outbox_world_send(&zombie, &two), LEAT_EEXISTS);
    assert_int_equal(outbox_world_send(&zombie, &late), LEAT_EEXISTS);
    assert_non_null(strstr(zombie.h.err.message, "ledger sink \"out\" slot 0"));
    assert_false(leat_error_is_retriable(LEAT_EEXISTS));
    make_epoch(&heir, 3, &three);
    must(&heir, outbox_world_send(&heir, &three));
    expect_epochs(&heir, 3);
    outbox_world_end(&zombie, false);
    outbox_world_end(&heir, true);
    memory_env_free(env);
}

/* A process that was stopped between a begun transaction and its end. */
static void test_delivery__given_a_zombie_with_an_open_transaction__when_taken_over__then_it_never_counts(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world zombie, heir;
    struct outbox_manifest m;
    struct ledger_faults lost = { .end_lost_at = 1, .fence_fails_at = 2 };
    uint64_t marker;
    outbox_world_begin(&zombie, env, 1, &lost);
    make_epoch(&zombie, 1, &m);
    assert_int_equal(outbox_world_send(&zombie, &m), LEAT_ETIMEOUT); /* stopped here */
    outbox_world_begin(&heir, env, 1, NULL);
    must(&heir, outbox_world_recover(&heir, &m, false, &marker));
    expect_epochs(&heir, 1);
    outbox_world_end(&zombie, false);
    outbox_world_end(&heir, true);
    memory_env_free(env);
}

static void test_delivery__given_two_jobs_of_one_name__when_both_send__then_the_second_says_so(void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world a, b;
    struct outbox_manifest m;
    outbox_world_begin(&a, env, 1, NULL);
    make_epoch(&a, 1, &m);
    must(&a, outbox_world_send(&a, &m));
    must(&a, env->fs_unlink(env, m.files[0].path, &a.h.err)); /* the other has a directory of its own */
    outbox_world_begin(&b, env, 1, NULL);
    must(&b, outbox_world_write(&b, 0, 500, 3));
    must(&b, outbox_world_checkpoint(&b, 1, &m));
    assert_int_equal(outbox_world_send(&b, &m), LEAT_EEXISTS);
    assert_non_null(strstr(b.h.err.message, "another job writes under its name"));
    expect_epochs(&a, 1);
    outbox_world_end(&a, false);
    outbox_world_end(&b, true);
    memory_env_free(env);
}

static void test_delivery__given_fewer_subtasks__when_recovered__then_old_slots_are_finished_and_fenced(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world old, new;
    struct outbox_manifest m, three;
    struct ledger_view view;
    struct ledger_faults lost = { .end_lost_at = 7, .fence_fails_at = 5 }; /* third slot of epoch 2 */
    uint64_t marker;
    outbox_world_begin(&old, env, 4, &lost);
    make_epoch(&old, 1, &m);
    must(&old, outbox_world_send(&old, &m));
    make_epoch(&old, 2, &m);
    assert_int_equal(outbox_world_send(&old, &m), LEAT_ETIMEOUT);
    must(&old, ledger_read(env, OUTBOX_WORLD_LEDGER, &view, &old.h.err));
    ledger_view_release(&view);
    outbox_world_begin(&new, env, 2, NULL);
    must(&new, outbox_world_recover(&new, &m, false, &marker));
    must(&new, ledger_read(env, OUTBOX_WORLD_LEDGER, &view, &new.h.err));
    assert_false(view.has_open); /* nothing holds readers back */
    ledger_view_release(&view);
    make_epoch(&new, 3, &three);
    must(&new, outbox_world_send(&new, &three));
    expect_epochs(&new, 3);
    assert_int_equal(outbox_world_send(&old, &m), LEAT_EEXISTS); /* slots that are no more are shut, too */
    expect_epochs(&new, 3);
    outbox_world_end(&old, false);
    outbox_world_end(&new, true);
    memory_env_free(env);
}

/* Its markers were removed, or the whole of it was made anew (row 27). */
static void test_delivery__given_an_outside_system_that_forgot__when_fenced_again__then_nothing_is_sent(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    struct ledger_faults faults = { .end_lost_at = 3 };
    size_t size;
    outbox_world_begin(&w, env, 1, &faults);
    for (uint64_t epoch = 1; epoch <= 2; epoch++) {
        make_epoch(&w, epoch, &m);
        must(&w, outbox_world_send(&w, &m));
    }
    make_epoch(&w, 3, &m);
    faults.fence_fails_at = faults.fences + 1;
    assert_int_equal(outbox_world_send(&w, &m), LEAT_ETIMEOUT); /* it will have to ask for the marker */
    memory_env_put(env, OUTBOX_WORLD_LEDGER, "", 0);
    assert_int_equal(outbox_world_send(&w, &m), LEAT_EDATA);
    assert_non_null(strstr(w.h.err.message, "has forgotten that it has epoch 2 (it says 0)"));
    (void)memory_env_get(env, OUTBOX_WORLD_LEDGER, &size);
    outbox_world_expect(&w, 0, 0);
    outbox_world_end(&w, true);
    memory_env_free(env);
}

/* ---- going back ---- */

static void test_delivery__given_a_marker_above_the_checkpoint__when_recovered__then_refused_unless_forced(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest one, m;
    uint64_t marker;
    outbox_world_begin(&w, env, 1, NULL);
    make_epoch(&w, 1, &one);
    must(&w, outbox_world_send(&w, &one));
    make_epoch(&w, 2, &m);
    must(&w, outbox_world_send(&w, &m));
    outbox_world_end(&w, true);

    outbox_world_begin(&w, env, 1, NULL);
    assert_int_equal(outbox_world_recover(&w, &one, false, &marker), LEAT_ESTATE);
    assert_non_null(strstr(w.h.err.message, "has committed checkpoint 2 already"));
    must(&w, outbox_world_recover(&w, &one, true, &marker));
    assert_int_equal(marker, 2);
    expect_epochs(&w, 2); /* what epoch 1 had is there */
    must(&w, outbox_world_write(&w, 0, 40, 20));
    must(&w, outbox_world_checkpoint(&w, 2, &m)); /* an id that was used */
    assert_int_equal(outbox_world_send(&w, &m), LEAT_EEXISTS); /* never passed over in silence */
    outbox_world_settle(&w);
    must(&w, outbox_world_write(&w, 0, 40, 20));
    must(&w, outbox_world_checkpoint(&w, 3, &m));
    must(&w, outbox_world_send(&w, &m));
    expect_epochs(&w, 3);
    outbox_world_end(&w, true);
    memory_env_free(env);
}

static void test_delivery__given_an_outbox_that_is_damaged__when_sent__then_nothing_of_it_is_visible(
    void **state)
{
    (void)state;
    struct leat_env *env = memory_env_new(1);
    struct outbox_world w;
    struct outbox_manifest m;
    size_t size;
    outbox_world_begin(&w, env, 1, NULL);
    make_epoch(&w, 1, &m);
    const char *bytes = memory_env_get(env, m.files[0].path, &size);
    char *copy = malloc(size);
    memcpy(copy, bytes, size);
    copy[size - 40] ^= 4; /* near its end: most records are in the transaction then */
    memory_env_put(env, m.files[0].path, copy, size);
    assert_int_equal(outbox_world_send(&w, &m), LEAT_EDATA);
    assert_non_null(strstr(w.h.err.message, m.files[0].path));
    outbox_world_expect(&w, 0, 0);
    copy[size - 40] ^= 4;
    memory_env_put(env, m.files[0].path, copy, size);
    must(&w, outbox_world_send(&w, &m));
    expect_epochs(&w, 1);
    free(copy);
    outbox_world_end(&w, true);
    memory_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery__given_epochs__when_sent__then_each_once_and_in_order),
        cmocka_unit_test(test_delivery__given_no_records__when_cut__then_no_outbox_and_nothing_sent),
        cmocka_unit_test(
            test_delivery__given_a_checkpoint_that_was_given_up__when_the_next_is_sent__then_it_has_both),
        cmocka_unit_test(test_delivery__given_a_fault_at_each_end__when_sent__then_each_record_once),
        cmocka_unit_test(
            test_delivery__given_a_late_end__when_nobody_fences__then_the_ledger_shows_the_damage),
        cmocka_unit_test(
            test_delivery__given_a_death_at_each_call__when_recovered_again_and_again__then_each_record_once),
        cmocka_unit_test(
            test_delivery__given_a_ledger_cut_at_each_byte__when_recovered__then_each_record_once),
        cmocka_unit_test(
            test_delivery__given_a_zombie__when_it_wakes_after_a_takeover__then_it_is_refused_and_stays_so),
        cmocka_unit_test(
            test_delivery__given_a_zombie_with_an_open_transaction__when_taken_over__then_it_never_counts),
        cmocka_unit_test(test_delivery__given_two_jobs_of_one_name__when_both_send__then_the_second_says_so),
        cmocka_unit_test(
            test_delivery__given_fewer_subtasks__when_recovered__then_old_slots_are_finished_and_fenced),
        cmocka_unit_test(
            test_delivery__given_an_outside_system_that_forgot__when_fenced_again__then_nothing_is_sent),
        cmocka_unit_test(
            test_delivery__given_a_marker_above_the_checkpoint__when_recovered__then_refused_unless_forced),
        cmocka_unit_test(
            test_delivery__given_an_outbox_that_is_damaged__when_sent__then_nothing_of_it_is_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
