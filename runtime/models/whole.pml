/* runtime/models/whole.pml -- a namespace that a snapshot collects as a whole: all of it, clean or dirty, instead of what
 * the store has.
 *
 * Two keys lie in an array of slots. The collector goes from slot to slot and takes what was there at the barrier;
 * between its steps keys are written to, come and go, and slots move. It may find the array growing: then slots
 * 0 and 1 are the old array, 2 and 3 the new one, which is gone through first; old slots move when they are taken.
 * At any moment the whole may be given up: what was taken is then written beside what the store has, and what is dirty
 * since before the barrier with it.
 *
 *   clean   the store has what the slot has
 *   frozen  dirty since before the barrier
 *   since   dirty since the barrier
 *
 * Proved: what the store has in the end is what was there at the barrier, and no key is taken twice.
 *
 * Code: state/flat.c, state/snapshot.c, state/table_memory_grow.c, state/table_memory_slice.c.
 *
 * Each -D below breaks one rule; the checker must then find a wrong store or a key that is taken twice:
 *   WRITE_UNTAKEN      a clean slot that is not taken yet is written to
 *   MOVE_UNSEEN        a slot moves over the collector's place
 *   GROW_UNSEEN        slots of the old array move before the snapshot has taken them, and it goes on
 *   OLD_FIRST          the old array is gone through first
 *   GIVEN_UP_REPLACES  what was given up replaces what the store has
 *   DIRTY_ONLY         what is clean is not taken */
#ifndef CHANGES
#define CHANGES 4
#endif
#define KEYS 2
#define SLOTS 4
#define OLD_SLOTS 2
#define NOWHERE 9

mtype = { clean, frozen, since };

/* Memory, store, and what must be. 0: nothing. */
byte slot[KEYS], value[KEYS], store[KEYS], at_barrier[KEYS];
mtype state_of[KEYS];
bool growing;

/* The collector. */
byte at; /* slots before it (of the array that it goes through) are done */
bool is_whole, done;
byte rows[KEYS]; /* what was taken */
byte changes, key, to;

#define IS_OLD(s) (growing && s < OLD_SLOTS)
#ifdef OLD_FIRST
#define IS_AHEAD(s) (s >= at)
#else
#define IS_AHEAD(s) (IS_OLD(s) || s >= at)
#endif
#ifdef DIRTY_ONLY
#define IS_WANTED(k) (slot[k] != NOWHERE && state_of[k] == frozen)
#else
#define IS_WANTED(k) (slot[k] != NOWHERE && (state_of[k] == frozen || (is_whole && state_of[k] == clean && IS_AHEAD(slot[k]))))
#endif

inline take(k)
{
    if
    :: IS_WANTED(k) -> assert(rows[k] == 0); rows[k] = value[k]; state_of[k] = clean
    :: else
    fi
}

#define IS_FREE(s) (slot[0] != s && slot[1] != s)

active proctype Worker()
{
    /* Anything may be there. */
    if
    :: growing = true
    :: growing = false
    fi;
    do
    :: key < KEYS ->
        atomic {
            if
            :: slot[key] = NOWHERE; state_of[key] = clean
            :: select (to : 0 .. SLOTS - 1);
                if
                :: key == 1 && slot[0] == to -> slot[key] = NOWHERE; state_of[key] = clean
                :: else -> slot[key] = to; value[key] = 1; at_barrier[key] = 1;
                    if
                    :: state_of[key] = clean; store[key] = 1
                    :: state_of[key] = frozen; store[key] = 7 /* older */
                    :: state_of[key] = frozen
                    fi
                fi
            fi;
            key++; to = 0
        }
    :: else -> break
    od;
begun: /* at the barrier: from the new array on, where there are two */
    is_whole = true;
#ifndef OLD_FIRST
    at = (growing -> OLD_SLOTS : 0);
#endif
    key = 0;
    do
    :: atomic { !done && changes < CHANGES -> /* a key is written to */
            select (key : 0 .. KEYS - 1);
            if
            :: slot[key] != NOWHERE ->
                changes++;
taken_before_write:
#ifdef WRITE_UNTAKEN
                if
                :: state_of[key] == frozen -> take(key)
                :: else
                fi;
#else
                take(key);
#endif
                value[key] = value[key] + 1; state_of[key] = since
            :: else
            fi; key = 0 }
    :: atomic { !done && changes < CHANGES -> /* a key comes, or one that the store need not forget goes */
            select (key : 0 .. KEYS - 1);
            select (to : 0 .. SLOTS - 1);
            changes++;
            if
            :: slot[key] == NOWHERE && at_barrier[key] == 0 && IS_FREE(to) ->
                slot[key] = to; value[key] = 3; state_of[key] = since
            :: slot[key] != NOWHERE && state_of[key] == since && at_barrier[key] == 0 ->
                slot[key] = NOWHERE
            :: else
            fi; key = 0; to = 0 }
    :: atomic { !done && changes < CHANGES -> /* a slot moves into a gap of its array */
            select (key : 0 .. KEYS - 1);
            select (to : 0 .. SLOTS - 1);
            if
            :: slot[key] != NOWHERE && IS_FREE(to) && IS_OLD(slot[key]) == IS_OLD(to) ->
                changes++;
moved_over: /* over the collector's place: it would be taken twice, or not at all */
#ifndef MOVE_UNSEEN
                if
                :: (slot[key] < at) != (to < at) -> is_whole = false
                :: else
                fi;
#endif
                slot[key] = to
            :: else
            fi; key = 0; to = 0 }
    :: atomic { !done && growing && changes < CHANGES -> /* an old slot moves because keys come */
            select (key : 0 .. KEYS - 1);
            select (to : OLD_SLOTS .. SLOTS - 1);
            if
            :: slot[key] != NOWHERE && IS_OLD(slot[key]) && IS_FREE(to) ->
                changes++;
grown: /* the whole is given up first */
#ifndef GROW_UNSEEN
#ifndef OLD_FIRST
                is_whole = false;
#endif
#endif
                slot[key] = to
            :: else
            fi; key = 0; to = 0 }
    :: atomic { !done && is_whole && at < SLOTS -> /* the collector goes on */
            if
            :: slot[0] == at -> take(0)
            :: slot[1] == at -> take(1)
            :: else
            fi;
            at++ }
    :: atomic { !done && is_whole && at == SLOTS && growing -> /* the old slots, all that move at a time */
taken_and_moved:
            if
            :: slot[0] != NOWHERE && IS_OLD(slot[0]) -> take(0);
                if
                :: IS_FREE(2) -> slot[0] = 2
                :: else -> slot[0] = 3
                fi
            :: slot[1] != NOWHERE && IS_OLD(slot[1]) -> take(1);
                if
                :: IS_FREE(2) -> slot[1] = 2
                :: else -> slot[1] = 3
                fi
            :: else -> growing = false
            fi }
    :: atomic { !done && is_whole -> is_whole = false } /* given up, for whatever reason */
    :: atomic { !done && ((is_whole && at == SLOTS && !growing) || !is_whole) ->
replaced: /* instead of what the store has; or beside it, with what is still to be collected */
#ifdef GIVEN_UP_REPLACES
            store[0] = 0; store[1] = 0;
#else
            if
            :: is_whole -> store[0] = 0; store[1] = 0
            :: else
            fi;
#endif
            if
            :: !is_whole ->
                for (key : 0 .. KEYS - 1) {
                    take(key)
                }
            :: else
            fi;
            for (key : 0 .. KEYS - 1) {
                if
                :: rows[key] != 0 -> store[key] = rows[key]
                :: else
                fi;
                assert(store[key] == at_barrier[key])
            }
            key = 0; done = true }
    :: done -> break
    od
}
