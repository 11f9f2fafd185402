/* tests/differential/oracle.h -- what a plan must give, by the page of semantics in its plainest form: the whole
 * input in memory, one record after the other, windows in a list that is searched from one end to the other. It
 * shares the record types with the engine, and nothing else. */
#ifndef LEAT_TESTS_DIFFERENTIAL_ORACLE_H
#define LEAT_TESTS_DIFFERENTIAL_ORACLE_H
#include "tests/differential/words.h"

/* How much of a stream does not depend on timing (docs/decisions/0002). */
enum oracle_level {
    ORACLE_NOTHING = 0,
    ORACLE_FINAL, /* what all panes of a window come to in the end */
    ORACLE_EXACT, /* every record */
};

struct oracle_row {
    const void *record; /* DiffRow or DiffOut */
    int64_t event_us;
    int change; /* enum leat_change, of streams of changes */
    size_t step; /* in the kit: of the input, that has caused it */
};

struct oracle_sink {
    char name[24];
    enum oracle_level level;
    bool results; /* DiffOut */
    bool changes;
    bool timeless; /* event times are not compared */
    bool stepwise; /* in the kit: what a step's changes come to is compared as well */
    const struct plan_node *node; /* the aggregate that gave them; NULL: none */
    struct oracle_row *rows;
    size_t count, capacity;
};
enum { ORACLE_SINKS_MAX = 3 * PLAN_STREAMS_MAX };

/* Mistakes that the oracle makes on purpose, to see that the machine finds them. */
enum oracle_mistake {
    ORACLE_RIGHT = 0,
    MISTAKE_TUMBLING_ROUNDS_TO_ZERO, /* negative times */
    MISTAKE_LATE_ONE_EARLIER, /* dropped when w >= end - 2 + lateness */
    MISTAKE_LATE_ONE_LATER, /* dropped when w > end - 1 + lateness */
    MISTAKE_FIRES_ONE_LATER, /* when w >= end */
    MISTAKE_HOPPING_WITHOUT_LAST, /* the window that begins at the record is missing */
    MISTAKE_HOPPING_ONE_TOO_MANY, /* ts - size <= start */
    MISTAKE_SESSION_GAP_EXCLUSIVE,
    MISTAKE_NULLS_COUNTED, /* count(field) counts nulls */
    MISTAKE_NULL_KEY_IS_ZERO,
    MISTAKE_JOIN_BEFORE_EXCLUSIVE,
    MISTAKE_JOIN_TIME_IS_LEFT, /* the result's time is not the later one */
    MISTAKE_COUNT_TRIGGER_NOT_RESET, /* by a firing of another trigger */
    MISTAKE_DISCARDING_KEEPS, /* discarding panes are as accumulating ones */
    MISTAKE_CUMULATING_WITHOUT_LAST,
    MISTAKE_SLIDING_EXCLUSIVE, /* the record at t - size is not in */
    MISTAKE_WHERE_IGNORED,
    MISTAKE_LATE_PANE_ON_TIME,
    MISTAKE_RETRACTIONS_IGNORED,
    MISTAKE_OUTER_ALWAYS, /* a record that has matched also gives one without a partner */
    MISTAKE_ASOF_FIRST_OF_EQUALS, /* of right records of one time, the first to arrive */
    MISTAKE_ASOF_WITHOUT_EQUAL, /* a right record of the left one's time is not taken */
    MISTAKE_ASOF_LATER_OF_TWO, /* of two that are as far away the later one */
    MISTAKE_SELF_JOIN_WITHOUT_ITSELF, /* a record of a stream that is joined with itself is no partner of its own */
    MISTAKE_COGROUP_FIRST_SIDE, /* records of the second stream are not seen */
    MISTAKE_TABLE_NEWEST, /* the table as it is in the end, not at the time of the record */
    MISTAKE_PATTERN_WITHIN_INCLUSIVE, /* a record at first + within is not too late */
    MISTAKE_IDLE_HOLDS_BACK, /* what is idle counts as before */
    MISTAKE_IDLE_COUNTS_AT_ONCE, /* what was idle counts again at its first record, whatever its time */
    MISTAKE_IDLE_KEEPS_LEAST, /* when all are idle, the newest of them does not come out */
    MISTAKE_IDLE_ONE_LATER, /* a split is idle one behind its timeout */
    MISTAKE_IDLE_LATE_BY_OWN, /* a join judges who was idle by its own watermark */
    MISTAKES,
};

struct oracle_answer {
    struct oracle_sink sinks[ORACLE_SINKS_MAX];
    size_t count;
    void *memory; /* the oracle's */
};

/* `plan` lives as long as the answer. */
struct oracle_answer *oracle_ask(const struct plan *plan, enum oracle_mistake mistake);
void oracle_free(struct oracle_answer *answer);
#endif
