/* tests/support/process_script.h -- a process function that does what its records say, so that tests of state
 * and timers are text.
 *
 * A record's `do` has commands, by ';'. What it says goes out as { key, what, n }.
 *
 *   + 5, count, clear      the value "tally" (no views): adds, tells n (-1: none), forgets
 *   note a b, notes        the value "note" (views): sets text a, also b, parts a, b; tells "a/b/2 parts"
 *   clear-note
 *   add 5, list, size      the list "list" of tallies: adds one, tells all of them, how many; clear-list
 *   put a 5, get a         the map "map": sets n, tells it (-1: none); del a, map (tells all), keys (how many)
 *   clear-map
 *   agg 5, result          the aggregate "sum": adds, tells sum and how many; clear-agg
 *   et 10, pt 10           sets a timer by event or processing time; -et 10, -pt 10 deletes it; pt's times count
 *                          from 2020-01-01
 *   plan ...               everything behind it is what the timers of this key do besides telling "et 10"
 *   say x, side x, at 10   a row, one for the side output "side", the event time of the row made last
 *   w                      tells the watermark
 *   again 10 30            in a timer: sets the next one, 10 later, up to 30; back 3 5: one at 3, if it is after 5 now
 *   fail x                 refuses */
#ifndef LEAT_TESTS_SUPPORT_PROCESS_SCRIPT_H
#define LEAT_TESTS_SUPPORT_PROCESS_SCRIPT_H
#include "step.h"
#include "told.h"
#include <leat/leat.h>

#define SCRIPT_WALL_US INT64_C(1577836800000000)

/* Behind `in`, records of step, grouped by k. `words`, by commas: ttl=100 processing read (of all states),
 * plain. */
leat_stream *script_process(leat_stream *in, const char *name, const char *words);
#endif
