/* tests/unit/runtime/test_shell_background.c -- tasks on libuv's thread pool: each runs once, on another thread,
 * and wakes its owner; waiting for one needs no loop. */
#include "runtime/shell_background.h"
#include "tests/support/unit.h"
#include <string.h>

#define TASKS 200u

struct counted {
    struct leat_task task; /* first */
    uv_thread_t thread;
    uint32_t runs;
    int64_t sum;
};

struct owner {
    uv_loop_t loop;
    uv_async_t wake;
    uint32_t woken;
    struct leat_shell_background background;
    struct leat_background tasks;
};

static void on_wake(uv_async_t *handle)
{
    ((struct owner *)handle->data)->woken++;
}

static void open_owner(struct owner *owner)
{
    memset(owner, 0, sizeof *owner);
    assert_int_equal(uv_loop_init(&owner->loop), 0);
    assert_int_equal(uv_async_init(&owner->loop, &owner->wake, on_wake), 0);
    owner->wake.data = owner;
    assert_int_equal(leat__shell_background_open(&owner->background, &owner->loop, &owner->wake), 0);
    owner->tasks = leat__shell_background_of(&owner->background);
}

static void close_owner(struct owner *owner)
{
    leat__shell_background_drain(&owner->background);
    uv_close((uv_handle_t *)&owner->wake, NULL);
    while (uv_run(&owner->loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_int_equal(uv_loop_close(&owner->loop), 0);
    leat__shell_background_close(&owner->background);
}

static void run_counted(struct leat_task *task)
{
    struct counted *counted = (struct counted *)task;
    counted->thread = uv_thread_self();
    counted->runs++;
    for (int64_t i = 0; i < 1000; i++)
        counted->sum += i;
}

static void check(const struct counted *counted)
{
    const uv_thread_t self = uv_thread_self();
    assert_true(leat__task_is_done(&counted->task));
    assert_int_equal(counted->runs, 1);
    assert_int_equal(counted->sum, 499500);
    assert_false(uv_thread_equal(&self, &counted->thread));
}

static void test_background__given_tasks__when_the_loop_runs__then_their_owner_is_woken(void **state)
{
    static struct counted tasks[TASKS];
    struct owner owner;
    (void)state;
    open_owner(&owner);
    memset(tasks, 0, sizeof tasks);
    for (uint32_t i = 0; i < TASKS; i++) {
        tasks[i].task.run = run_counted;
        leat__task_submit(&owner.tasks, &tasks[i].task);
    }
    for (uint32_t i = 0; i < TASKS; i++)
        while (!leat__task_is_done(&tasks[i].task))
            (void)uv_run(&owner.loop, UV_RUN_ONCE); /* a sleeping worker: only a wake-up ends it */
    for (uint32_t i = 0; i < TASKS; i++)
        check(&tasks[i]);
    close_owner(&owner);
    assert_true(owner.woken > 0);
}

static void test_background__given_tasks__when_they_are_waited_for__then_no_loop_has_to_run(void **state)
{
    struct counted first = { .task = { .run = run_counted } }, second = { .task = { .run = run_counted } };
    struct owner owner;
    (void)state;
    open_owner(&owner);
    leat__task_submit(&owner.tasks, &first.task);
    leat__task_submit(&owner.tasks, &second.task);
    leat__task_wait(&owner.tasks, &second.task);
    check(&second);
    leat__task_wait(&owner.tasks, &first.task);
    check(&first);
    leat__task_wait(&owner.tasks, &first.task); /* at once */
    close_owner(&owner);
}

static void test_background__given_a_task_under_way__when_its_owner_closes__then_it_is_done(void **state)
{
    static struct counted tasks[TASKS];
    struct owner owner;
    (void)state;
    open_owner(&owner);
    memset(tasks, 0, sizeof tasks);
    for (uint32_t i = 0; i < TASKS; i++) {
        tasks[i].task.run = run_counted;
        leat__task_submit(&owner.tasks, &tasks[i].task);
    }
    close_owner(&owner);
    for (uint32_t i = 0; i < TASKS; i++)
        check(&tasks[i]);
}

static void test_background__given_none__then_a_task_runs_at_once(void **state)
{
    struct counted task = { .task = { .run = run_counted } };
    (void)state;
    leat__task_submit(NULL, &task.task);
    assert_true(leat__task_is_done(&task.task));
    assert_int_equal(task.runs, 1);
    leat__task_wait(NULL, &task.task);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_background__given_tasks__when_the_loop_runs__then_their_owner_is_woken),
        cmocka_unit_test(test_background__given_tasks__when_they_are_waited_for__then_no_loop_has_to_run),
        cmocka_unit_test(test_background__given_a_task_under_way__when_its_owner_closes__then_it_is_done),
        cmocka_unit_test(test_background__given_none__then_a_task_runs_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
