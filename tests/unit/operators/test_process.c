/* tests/unit/operators/test_process.c -- process functions: state, timers and time to live as text
 * (tests/operators/process/), and what text can not say. */
#include "base/alloc.h"
#include "state/state.h"
#include "tests/support/cases.h"
#include "tests/support/process_script.h"
#include "tests/support/unit.h"
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
    glob_t files;
    if (glob("tests/operators/process/*.case", 0, NULL, &files) != 0)
        return 1;
    const struct CMUnitTest others[] = {
        { NULL, NULL, NULL, NULL, NULL },
    };
    struct CMUnitTest *tests = calloc(files.gl_pathc + COUNT_OF(others), sizeof *tests);
    if (!tests)
        return 1;
    size_t count = 0;
    for (size_t i = 0; i < files.gl_pathc; i++)
        tests[count++] = (struct CMUnitTest){ files.gl_pathv[i], run_file, NULL, NULL, files.gl_pathv[i] };
    for (size_t i = 0; others[i].name; i++)
        tests[count++] = others[i];
    const int failed = _cmocka_run_group_tests("process", tests, count, NULL, NULL);
    free(tests);
    globfree(&files);
    return failed;
}
