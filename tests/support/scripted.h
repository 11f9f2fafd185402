/* tests/support/scripted.h -- a source whose splits follow scripts, and a sink that writes down what comes:
 * for tests of the runtime's source host and of the order of messages. Records are facts (tests/schemas). */
#ifndef LEAT_TESTS_SUPPORT_SCRIPTED_H
#define LEAT_TESTS_SUPPORT_SCRIPTED_H
#include "fact.h"
#include "topology/graph.h"

/* A script is what one split says, words separated by blanks:
 *   12      a row with event time 12, key 1 and value 12
 *   12:3    the same with key 3
 *   null    a row without event time
 *   |       the read ends here; there is more at once
 *   +500    the read ends here; there is nothing before 500 us from now
 * The split ends behind the last word. Positions are where the next word is. */
struct scripted_source_opts {
    const char *const *splits; /* scripts, borrowed */
    uint32_t splits_count;
    int64_t max_out_of_orderness_us, idle_timeout_us, max_ahead_us;
    enum leat_policy on_error;
};
leat_stream *scripted_source(leat_topology *t, const char *name, const struct scripted_source_opts *opts);

/* What a sink has seen: "(12 15)" a batch by its rows' event times, "late<20(7)" one of rows behind 20, "w20"
 * a watermark, "end" the last one; separated by blanks. For one subtask. */
struct scripted_log {
    char text[8192];
    size_t len;
    bool rows_only; /* no watermarks */
    int prepare_result, commit_result; /* what the sink answers; 0: fine */
    void (*on_commit)(void *arg); /* called by commit; may be NULL */
    void *on_commit_arg;
    uint32_t commits, discards;
};
void scripted_sink(leat_stream *in, const char *name, struct scripted_log *log);
#endif
