/* tests/differential/declare.h -- the topology of a plan. */
#ifndef LEAT_TESTS_DIFFERENTIAL_DECLARE_H
#define LEAT_TESTS_DIFFERENTIAL_DECLARE_H
#include "tests/differential/run.h"

/* Where the topology's records come from and go to. Collectors are made as they are needed, once for all
 * topologies that are declared with them. */
struct run_io {
    struct diff_row *rows[PLAN_SOURCES_MAX]; /* in equal runs for each split */
    uint64_t counts[PLAN_SOURCES_MAX];
    bool is_kit;
    struct {
        char name[24];
        leat_collector *into;
        char node[24]; /* of late sinks in the kit: whose they are */
    } sinks[ORACLE_SINKS_MAX];
    size_t sinks_count;
};

leat_topology *declare_plan(const struct plan *plan, struct run_io *io);

/* Called for each batch behind a source, with its number of rows. */
extern void (*declare_seen)(uint32_t rows);
#endif
