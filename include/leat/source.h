/* include/leat/source.h -- what all sources have in common: where event time comes from.
 *
 * Watermarks are made per split (a file, a range of one, a generator's part) and merged by minimum. A record
 * is late where its time <= the watermark of its split (semantics 1 and docs/decisions/0002). Every source's options
 * carry these fields, with these meanings:
 *   event_time               field path of the event time; its logical type gives the unit (a plain long:
 *                            microseconds). NULL: the source's records have no event time, and no operator that needs
 *                            one may follow
 *   max_out_of_orderness_us  how far behind the newest record of its split a record may come: watermark = newest -
 *                            this - 1
 *   idle_timeout_us          a split without records for this long is left out of the watermark; 0: never
 *   max_ahead_us             a time further ahead of the wall clock than this is bad data; 0: no limit
 *   on_error                 what to do with rows that can not be decoded or have no usable time (LEAT_FAIL)
 *   align, max_drift_us      the name of a group of sources that go through time together, and how far the watermark
 *                            of a split may be ahead of that of the slowest split of the group, over all sources and
 *                            workers: a split that is further is not read until the others have come after it, so that
 *                            joins need not keep what one side is ahead. Splits that have ended or are idle hold
 *                            nobody back; a source that may be silent needs an idle_timeout_us. Never changes a
 *                            result. NULL: no group */
#ifndef LEAT_SOURCE_H
#define LEAT_SOURCE_H
#include <leat/stream.h>

enum leat_format {
    LEAT_FORMAT_AVRO = 1, /* object container file */
    LEAT_FORMAT_JSON, /* JSON lines, plain */
    LEAT_FORMAT_JSON_AVRO, /* JSON lines in Avro's JSON encoding */
    LEAT_FORMAT_CSV, /* with a header line */
    /* Of messages, not of files: */
    LEAT_FORMAT_AVRO_BINARY, /* one bare record */
    LEAT_FORMAT_AVRO_SINGLE, /* a record behind the fingerprint of its schema (Avro's single object encoding) */
    LEAT_FORMAT_AVRO_REGISTRY, /* a record behind the number that a schema registry has for its schema */
    LEAT_FORMAT_RAW, /* one field, as it is: string, bytes; int and long big-endian, double in IEEE form, as Java's
                        serializers write them */
};
#endif
