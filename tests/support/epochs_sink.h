/* tests/support/epochs_sink.h -- a sink with epochs whose handles are its rows: what was committed, and only
 * that, stands in a bag of lines. Rows that were written before a barrier are in the handle of that barrier. */
#ifndef LEAT_TESTS_SUPPORT_EPOCHS_SINK_H
#define LEAT_TESTS_SUPPORT_EPOCHS_SINK_H
#include "tests/support/lines.h"
#include <leat/stream.h>

struct epochs {
    void (*print)(const void *record, int64_t event_us, char *text, size_t size); /* a row as a line */
    const char *word; /* before each; NULL: none */
    int prepare_result; /* what prepare answers instead; 0: it works */
    struct lines committed;
    uint32_t commits;
};
/* Borrows `epochs`; several sinks and topologies may share one. */
void epochs_sink(leat_stream *in, const char *name, struct epochs *epochs);
#endif
