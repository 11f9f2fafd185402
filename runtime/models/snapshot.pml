/* runtime/models/snapshot.pml -- tables as a write-back cache, and what a checkpoint of the store holds.
 *
 * A worker has two tables with one key each (a chunk of entries in the code), of two instances, which pass the
 * barrier one after the other. A value is a number that upserts add to. It lies in memory, in the store, or in
 * both; a blind upsert begins at zero, without reading, and is merged with what the store has. The
 * background writes what was collected, later and by itself.
 *
 *   frozen   the table is to be in the snapshot as it is now; nothing was copied
 *   run      collected entries on their way to the store: puts, or merges where memory had only a part
 *   dropped  forgotten, but the store still has it: deleted when no snapshot is under way
 *
 * Proved: the store's checkpoint holds each table as it was at its instance's barrier; what is read is always what
 * was written; so it is when a snapshot is given up, and in the next one.
 *
 * Code: state/snapshot.c, state/entry.c, state/spill.c, state/table_memory.c.
 *
 * Each -D below breaks one rule; the checker must then find a wrong checkpoint or a wrong read:
 *   WRITE_FROZEN     a frozen entry is written to before it was collected
 *   SPILL_AT_ONCE    entries go to the store while a snapshot is under way
 *   DELETE_AT_ONCE   the store forgets a dropped entry while a snapshot is under way
 *   CLEAN_WHEN_DONE  collected entries become clean when the run is written, not when they are collected
 *   RUN_FORGOTTEN    a snapshot that is given up takes its run with it
 *   PART_KEPT        a part that was collected as a merge stays in memory
 *   DROP_LATE        a drop from before the table's barrier waits like one from behind it
 *   DROP_UNCOLLECTED a frozen entry is dropped before it was collected
 *   OLD_SEEN         a read does not know that the store's entry is dropped */
#ifndef UPSERTS
#define UPSERTS 4 /* in all */
#endif
#ifndef SNAPSHOTS
#define SNAPSHOTS 2
#endif
#ifndef SPILLS
#define SPILLS 2
#endif
#ifndef DROPS
#define DROPS 1
#endif
#define KEYS 2

/* Memory and store, by key. */
bool present[KEYS]; /* in memory */
bool partial[KEYS]; /* the store may have an older part */
bool dirty[KEYS]; /* memory has what the store has not */
byte memory[KEYS];
byte store[KEYS]; /* 0: nothing */
bool dropped[KEYS];
bool early[KEYS]; /* dropped while a snapshot was under way, and before the table's own barrier */

/* The snapshot. */
bool passed[KEYS]; /* the instance has passed the barrier */
bool frozen[KEYS];
bool in_run[KEYS], run_merges[KEYS];
byte value_of_run[KEYS];
bool writing; /* the background has the run */
bool under_way; /* from the first freeze to the end */

/* What must be. */
byte truth[KEYS], at_barrier[KEYS];

byte upserts, snapshots, spills, drops;
byte key;

/* Takes a frozen entry out: what memory has of it goes into the run. */
inline collect(k)
{
    if
    :: frozen[k] && present[k] && dirty[k] ->
        in_run[k] = true; value_of_run[k] = memory[k]; run_merges[k] = partial[k];
#ifndef CLEAN_WHEN_DONE
        dirty[k] = false;
#endif
#ifndef PART_KEPT
        if
        :: partial[k] -> memory[k] = 0; present[k] = false /* the next one begins at zero again */
        :: else
        fi
#endif
    :: else
    fi;
    frozen[k] = false
}

inline write_run(k)
{
    if
    :: in_run[k] ->
        if
        :: run_merges[k] -> store[k] = store[k] + value_of_run[k]
        :: else -> store[k] = value_of_run[k]
        fi;
        in_run[k] = false; value_of_run[k] = 0; run_merges[k] = false
    :: else
    fi
}

inline drop_early(k)
{
    if
    :: early[k] -> store[k] = 0; early[k] = false
    :: else
    fi
}

/* Whoever needs an entry that is on its way waits until it is in the store. */
inline settle(k)
{
    if
    :: in_run[k] && (!present[k] || partial[k]) -> drop_early(k); write_run(k)
    :: else
    fi
}

/* The store's entry comes into memory. */
#ifdef OLD_SEEN
#define STORED(k) store[k]
#else
#define STORED(k) (dropped[k] || early[k] -> 0 : store[k])
#endif
inline load(k)
{
    if
    :: present[k] && !partial[k]
    :: present[k] && partial[k] -> memory[k] = memory[k] + STORED(k); partial[k] = false
    :: !present[k] -> memory[k] = STORED(k); present[k] = true; partial[k] = false; dirty[k] = false
    fi
}

#ifdef WRITE_FROZEN
#define BEFORE_WRITE(k) skip
#else
#define BEFORE_WRITE(k) collect(k)
#endif
#ifdef SPILL_AT_ONCE
#define MAY_SPILL true
#else
#define MAY_SPILL !under_way
#endif

active proctype Worker()
{
end:
    do
    :: atomic { upserts < UPSERTS -> /* reads what it adds to */
            select (key : 0 .. KEYS - 1);
            upserts++;
collected: /* copy on write: a frozen entry is collected before its first change */
            BEFORE_WRITE(key);
            settle(key);
            load(key);
            memory[key] = memory[key] + 1; dirty[key] = true; truth[key] = truth[key] + 1;
            assert(memory[key] == truth[key]); key = 0 }
    :: atomic { upserts < UPSERTS -> /* blind */
            select (key : 0 .. KEYS - 1);
            upserts++;
            BEFORE_WRITE(key);
            if
            :: !present[key] -> present[key] = true; memory[key] = 0;
                partial[key] = !dropped[key] && (in_run[key] || (!early[key] && store[key] != 0))
            :: else
            fi;
            memory[key] = memory[key] + 1; dirty[key] = true; truth[key] = truth[key] + 1; key = 0 }
    :: atomic { spills < SPILLS && MAY_SPILL ->
spilled: /* never while a snapshot is under way: the store is about to become the checkpoint */
            select (key : 0 .. KEYS - 1);
            if
            :: present[key] ->
                spills++;
                if
                :: dropped[key] -> store[key] = 0; dropped[key] = false
                :: else
                fi;
                if
                :: dirty[key] && partial[key] -> store[key] = store[key] + memory[key]
                :: dirty[key] && !partial[key] -> store[key] = memory[key]
                :: else
                fi;
                present[key] = false; partial[key] = false; dirty[key] = false; memory[key] = 0
            :: else
            fi; key = 0 }
    :: atomic { drops < DROPS ->
            select (key : 0 .. KEYS - 1);
            drops++;
#ifndef DROP_UNCOLLECTED
            collect(key);
#endif
            frozen[key] = false;
            present[key] = false; partial[key] = false; dirty[key] = false; memory[key] = 0; truth[key] = 0;
            if
            :: store[key] != 0 || in_run[key] ->
#ifdef DELETE_AT_ONCE
                store[key] = 0
#else
                if
                :: under_way -> /* drop_delayed: before the barrier it is part of the snapshot */
#ifdef DROP_LATE
                    dropped[key] = true
#else
                    if
                    :: passed[key] -> dropped[key] = true
                    :: else -> early[key] = true
                    fi
#endif
                :: else -> store[key] = 0
                fi
#endif
            :: else
            fi; key = 0 }
    :: atomic { snapshots < SNAPSHOTS && (!passed[0] || !passed[1]) && !writing ->
frozen_at_barrier: /* at a cost that does not depend on size */
            if
            :: !passed[0] -> key = 0
            :: !passed[1] -> key = 1
            fi;
            under_way = true; passed[key] = true; frozen[key] = true; at_barrier[key] = truth[key]; key = 0 }
    :: atomic { passed[0] && passed[1] && !writing && (frozen[0] || frozen[1]) ->
snapshot_step: /* between other work */
            if
            :: frozen[0] -> collect(0)
            :: frozen[1] -> collect(1)
            fi }
    :: atomic { passed[0] && passed[1] && !frozen[0] && !frozen[1] && !writing ->
drops_before_run: /* drops from before the barrier are in the snapshot, and before what came after them */
            drop_early(0); drop_early(1);
            writing = true }
    :: atomic { under_way && !writing ->
snapshot_given_up: /* what was collected still goes to the store */
            drop_early(0); drop_early(1); /* in the order in which they came */
#ifndef RUN_FORGOTTEN
            write_run(0); write_run(1);
#endif
            in_run[0] = false; in_run[1] = false; value_of_run[0] = 0; value_of_run[1] = 0;
            run_merges[0] = false; run_merges[1] = false;
            goto ended }
    :: atomic { writing && !in_run[0] && !in_run[1] ->
store_linked: /* the store's checkpoint: each table as it was at its barrier */
            assert(store[0] == at_barrier[0]);
            assert(store[1] == at_barrier[1]);
            writing = false }
ended:
        atomic {
#ifdef CLEAN_WHEN_DONE
            dirty[0] = false; dirty[1] = false;
#endif
            snapshots++; under_way = false;
            passed[0] = false; passed[1] = false; frozen[0] = false; frozen[1] = false;
            at_barrier[0] = 0; at_barrier[1] = 0;
            if
            :: dropped[0] -> store[0] = 0; dropped[0] = false
            :: else
            fi;
            if
            :: dropped[1] -> store[1] = 0; dropped[1] = false
            :: else
            fi }
    :: atomic { !in_run[0] && !in_run[1] -> /* whoever looks: what is read is what was written */
            assert(truth[0] == (present[0] -> memory[0] + (partial[0] -> STORED(0) : 0) : STORED(0)));
            assert(truth[1] == (present[1] -> memory[1] + (partial[1] -> STORED(1) : 0) : STORED(1))) }
    od
}

/* Writes the run, an entry at a time. */
active proctype Background()
{
end:
    do
    :: atomic { writing && in_run[0] -> write_run(0) }
    :: atomic { writing && in_run[1] -> write_run(1) }
    od
}
