/* tests/fuzz/fuzz_case.c -- any bytes as a case file (tests/support/cases.h): a file that is taken makes
 * sense, one that is not says where, and nothing is left behind. */
#include "base/alloc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/cases.h"
#include <string.h>

static void check_line(const struct case_file *file, const struct case_line *line)
{
    FUZZ_CHECK(line->input < file->inputs_count);
    FUZZ_CHECK((line->json != NULL) == (line->verb == CASE_RECORD || line->verb == CASE_LATE));
    FUZZ_CHECK(line->verb >= CASE_RECORD && line->verb <= CASE_RESTORE);
}

static void check_case(const struct case_file *file, const struct case_one *one, size_t size)
{
    FUZZ_CHECK(one->name && one->name[0] != '\0');
    FUZZ_CHECK(one->expected_from <= one->expected_to && one->expected_to <= size);
    const size_t len = strlen(one->expected);
    FUZZ_CHECK(len == 0 || one->expected[len - 1] == '\n');
    for (uint32_t i = 0; i < one->lines_count; i++)
        check_line(file, &one->lines[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct case_file file;
    struct leat_error err = { 0 };
    const int64_t live = leat__alloc_live();
    if (case_parse((const char *)data, size, &file, &err) < 0) {
        FUZZ_CHECK(err.code == LEAT_EDATA && strncmp(err.message, "line ", 5) == 0);
    } else {
        FUZZ_CHECK(file.operator_name && file.inputs_count > 0);
        for (uint32_t i = 0; i < file.cases_count; i++)
            check_case(&file, &file.cases[i], size);
        case_release(&file);
    }
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
