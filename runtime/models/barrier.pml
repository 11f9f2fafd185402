/* runtime/models/barrier.pml -- barriers through a diamond, over channels that hold CAPACITY messages.
 *
 *   long source --+--> left --+--> join      each record of the long source takes one of the two ways;
 *                 +-----------+      |       the short source ends early
 *   short source --------------------+
 *
 * The coordinator asks for checkpoints, one at a time, and may give one up at any moment; ids are never used
 * again. Sources note their position and send the barrier on every output before anything else. An instance
 * holds an input that has brought the barrier until all have, or have ended; it gives up when the attempt is
 * over, and ignores barriers of attempts that are over.
 *
 * Proved: a checkpoint that completes has in the join exactly the records up to the positions of its sources;
 * nothing deadlocks, whatever the capacity; the last checkpoint, behind the end of all inputs, has all records.
 *
 * Code: runtime/barrier.c, runtime/coordinator.c.
 *
 * Each -D below breaks one rule; the checker must then find a wrong checkpoint or a deadlock:
 *   NO_ALIGNMENT    an input goes on behind its barrier (this is delivery at least once)
 *   BARRIER_LATER   a source sends records on one output between the barriers of one checkpoint
 *   END_WAITS       an input that has ended is waited for
 *   REUSED_ID       an id that was given up is used again
 *   STALE_TAKEN     barriers of an attempt that is over are taken for the one that is under way
 *   HELD_FOR_EVER   inputs that were held for an attempt stay held when it is given up
 *   NEEDS_ALL       the join takes a record only when each input has one */
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef RECORDS
#define RECORDS 2 /* of the long source */
#endif
#ifndef SHORT_RECORDS
#define SHORT_RECORDS 1
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 3 /* attempts */
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1
#endif

mtype = { RECORD, BARRIER, END };
chan to_left = [CAPACITY] of { mtype, byte };
chan from_left = [CAPACITY] of { mtype, byte };
chan from_right = [CAPACITY] of { mtype, byte };
chan from_short = [CAPACITY] of { mtype, byte };

/* The coordinator's: read by all. */
byte asked; /* the newest checkpoint that was begun */
byte over; /* the newest one that is complete or given up */
bool closing; /* no further one will be begun */

/* What the parts of the checkpoint under way say; the id tells which one they are about. */
byte long_part, long_position;
byte short_part, short_position;
byte join_part, join_long, join_short;
byte end_long, end_short; /* of a join that has ended */
bool long_ended, short_ended, join_ended;
byte give_ups;

inline note_long()
{
    long_part = asked; long_position = sent
}
inline note_short()
{
    short_part = asked; short_position = sent
}

active proctype Coordinator()
{
    byte id;
    do
    :: id < CHECKPOINTS && !join_ended ->
barrier_asked:
#ifdef REUSED_ID
        atomic { id++; asked++; if :: over >= asked -> over = asked - 1 :: else fi }
#else
        atomic { id++; asked = id }
#endif
        if
        :: atomic { join_part == asked || join_ended ->
                /* Complete: each source's part is what it noted at the barrier, or its end. */
                if
                :: join_part == asked ->
                    if
                    :: long_part == asked -> assert(join_long == long_position)
                    :: else -> assert(long_ended && join_long == RECORDS)
                    fi;
                    if
                    :: short_part == asked -> assert(join_short == short_position)
                    :: else -> assert(short_ended && join_short == SHORT_RECORDS)
                    fi
                :: else -> assert(end_long == RECORDS && end_short == SHORT_RECORDS)
                fi;
                over = asked }
        :: atomic { give_ups < GIVE_UPS -> /* timeout, or a part that failed */
given_up:
                give_ups++; over = asked
#ifdef REUSED_ID
                ; asked--
#endif
            }
        fi
    :: else -> break
    od;
    closing = true;
    join_ended /* the end is reached whatever became of the checkpoints */
}

active proctype LongSource()
{
    byte sent, barrier;
    xs to_left; xs from_right;
    do
    :: asked > barrier ->
barrier_sent: /* position first, then the barrier on each output and nothing in between */
        atomic { barrier = asked; note_long() }
        to_left ! BARRIER(barrier);
#ifdef BARRIER_LATER
        if
        :: sent < RECORDS -> from_right ! RECORD(0); sent++
        :: skip
        fi;
#endif
        from_right ! BARRIER(barrier)
    :: sent < RECORDS ->
        if
        :: to_left ! RECORD(0)
        :: from_right ! RECORD(0)
        fi;
        sent++
    :: sent == RECORDS -> break
    od;
source_ended: /* from here on its part is its end */
    long_ended = true;
    to_left ! END(0);
    from_right ! END(0)
}

active proctype ShortSource()
{
    byte sent, barrier;
    xs from_short;
    do
    :: asked > barrier ->
        atomic { barrier = asked; note_short() }
        from_short ! BARRIER(barrier)
    :: sent < SHORT_RECORDS -> from_short ! RECORD(0); sent++
    :: sent == SHORT_RECORDS -> break
    od;
    short_ended = true;
    from_short ! END(0)
}

/* One input: the barrier passes at once. */
active proctype Left()
{
    mtype kind;
    byte id;
    xr to_left; xs from_left;
    do
    :: to_left ? kind, id ->
        from_left ! kind, id;
        if
        :: kind == END -> break
        :: else
        fi
    od
}

#define LEFT 1
#define RIGHT 2
#define SHORT 4
#define EVERY 7
#define MAY_TAKE(side) ((held & side) == 0 && (ended & side) == 0)
#ifdef NEEDS_ALL
#define READY(side, in) (MAY_TAKE(side) && nempty(in) && \
    (nempty(from_left) || (held & LEFT) || (ended & LEFT)) && \
    (nempty(from_right) || (held & RIGHT) || (ended & RIGHT)) && \
    (nempty(from_short) || (held & SHORT) || (ended & SHORT)))
#else
#define READY(side, in) (MAY_TAKE(side) && nempty(in))
#endif

#ifdef NO_ALIGNMENT
#define HOLD(side) skip
#else
#define HOLD(side) held = held | side
#endif

/* A barrier has come on an input. */
inline on_barrier(side)
{
#ifndef STALE_TAKEN
    if
    :: id <= over || id < aligning -> skip /* barrier_stale: its attempt is over */
    :: else ->
        if
        :: id > aligning -> /* a new attempt: what was held for an older one is let go */
            aligning = id; came = 0; held = 0
        :: else
        fi;
        came = came | side;
        HOLD(side)
    fi
#else
    if
    :: aligning == 0 -> aligning = id
    :: else
    fi;
    came = came | side;
    HOLD(side)
#endif
}
inline take(side, in, counter)
{
    in ? kind, id;
    if
    :: kind == RECORD -> counter++
    :: kind == BARRIER -> on_barrier(side)
    :: kind == END -> ended = ended | side
    fi
}

#ifdef END_WAITS
#define ALIGNED (aligning && came == EVERY)
#else
#define ALIGNED (aligning && (came | ended) == EVERY)
#endif

active proctype Join()
{
    mtype kind;
    byte id, held, came, ended, aligning;
    byte longs, shorts;
    xr from_left; xr from_right; xr from_short;
    do
    :: atomic { READY(LEFT, from_left) -> take(LEFT, from_left, longs) }
    :: atomic { READY(RIGHT, from_right) -> take(RIGHT, from_right, longs) }
    :: atomic { READY(SHORT, from_short) -> take(SHORT, from_short, shorts) }
    :: atomic { ALIGNED && aligning > over ->
aligned: /* all inputs have brought it, or have ended: the state is frozen, the inputs go on */
            join_part = aligning; join_long = longs; join_short = shorts;
            aligning = 0; came = 0; held = 0 }
#ifndef HELD_FOR_EVER
    :: atomic { aligning && aligning <= over ->
let_go: /* the attempt is over without this instance */
            aligning = 0; came = 0; held = 0 }
#endif
    :: ended == EVERY && (!aligning || aligning <= over) -> break
    od;
    atomic { end_long = longs; end_short = shorts; join_ended = true } /* what it said at a barrier stays */
}
