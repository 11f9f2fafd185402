/* tests/unit/operators/test_session_aggregate.c -- the operator: its rules at their bounds as text
 * (tests/operators/session_aggregate/), a random run against a naive model, size and memory. */
#include "base/alloc.h"
#include "state/state.h"
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

int main(void)
{
    struct CMUnitTest files[64];
    size_t count = 0;
    glob_t found = { 0 };
    if (glob("tests/operators/session_aggregate/*.case", 0, NULL, &found) != 0) {
        print_error("there are no case files; run me at the top of the project\n");
        return 1;
    }
    for (; count < found.gl_pathc && count < COUNT_OF(files); count++)
        files[count] = (struct CMUnitTest){
            .name = found.gl_pathv[count], .test_func = run_file, .initial_state = found.gl_pathv[count]
        };
    const int failed = _cmocka_run_group_tests("cases", files, count, NULL, NULL);
    globfree(&found);
    return failed;
}
