/* bench/nexmark/generator.h -- the Nexmark events: persons, auctions and bids of an online auction house.
 *
 * Each event is made from its number alone, so that any part of the stream can be made by itself and the same
 * stream comes out whatever the number of makers. Of each 50 events in a row, the first is a person, the next
 * three are auctions, the rest are bids. The random numbers of an event are those of Java's SplittableRandom with
 * the event's id as seed; what is drawn, and in which order, follows the generator of Flink's Nexmark.
 *
 * Views in records show memory of the generator's own or of the caller's text buffer. */
#ifndef NEXMARK_GENERATOR_H
#define NEXMARK_GENERATOR_H
#include "auction.h"
#include "bid.h"
#include "person.h"

#define NEXMARK_BASE_MS INT64_C(1436918400000) /* 2015-07-15T00:00:00Z */
#define NEXMARK_BLOCK 50u /* events, of which */
#define NEXMARK_PERSONS 1u
#define NEXMARK_AUCTIONS 3u
#define NEXMARK_BIDS 46u
#define NEXMARK_TEXT_BYTES 256u /* of a record beyond what is shared by all */

enum nexmark_kind { NEXMARK_PERSON = 1, NEXMARK_AUCTION, NEXMARK_BID };

struct nexmark_config {
    uint64_t rate_per_s; /* events a second of event time: how far times are apart */
    uint64_t
        group; /* events come in disorder within groups of so many, a multiple of NEXMARK_BLOCK; 1: in order */
};

/* Once, before anything else; makes what all events share. False: out of memory. */
bool nexmark_init(const struct nexmark_config *config);

/* The id of the event that comes as number `number`. */
uint64_t nexmark_event_id(uint64_t number);
enum nexmark_kind nexmark_kind(uint64_t event_id);
/* The id of the person, auction or bid that comes as the i-th of its kind. */
uint64_t nexmark_nth(enum nexmark_kind kind, uint64_t i);
/* How many events of that kind are among the first `events`. */
uint64_t nexmark_count(enum nexmark_kind kind, uint64_t events);

/* The event with that id, which must be of that kind. `text`: NEXMARK_TEXT_BYTES for its strings. */
void nexmark_person(uint64_t event_id, struct person *p, char *text);
void nexmark_auction(uint64_t event_id, struct auction *a, char *text);
void nexmark_bid(uint64_t event_id, struct bid *b);
#endif
