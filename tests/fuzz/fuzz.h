/* tests/fuzz/fuzz.h -- what a fuzz target defines. It returns 0; it fails by FUZZ_CHECK or by a sanitizer. */
#ifndef LEAT_TESTS_FUZZ_H
#define LEAT_TESTS_FUZZ_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold for every input. */
#define FUZZ_CHECK(condition_) \
    do { \
        if (!(condition_)) { \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition_); \
            abort(); \
        } \
    } while (0)
#endif
