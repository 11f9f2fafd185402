/* runtime/models/commit.pml -- checkpoint, commit and recovery of a job with two kinds of sinks.
 *
 * A job reads records 1..NREC and hands each to both of its sinks: a file sink (rows lie in a hidden part until
 * it is renamed) and a transactional sink (rows lie in an outbox of the checkpoint until a transaction with a
 * marker has sent them). It takes checkpoints; each step of which is a step here, and after each step the
 * process may be killed or the machine may lose its power. Attempts may be given up. The outside system may
 * end a transaction by itself, and the request to end one may be answered, be lost, or come late.
 *
 * What is on disk has two sides: what processes see (`_seen`) and what outlives a loss of power (`_kept`); at a
 * loss of power everything in between happens or does not. A second process waits for the lock all the
 * time: it takes over when the first is gone, while requests of the first are still on their way.
 *
 * Proved: no record is ever visible twice in either sink; at the end each is there, and stays after a loss of
 * power. Not in the model: torn files (the checksum of the manifest rejects them), alignment (barrier.pml),
 * keyed state (snapshot.pml).
 *
 * Labels are the steps of the code, which names them: (model: commit.pml, manifest_renamed).
 * Code: runtime/checkpoint.c, runtime/checkpoint_store_local.c, runtime/recovery.c, runtime/delivery.c,
 *       connectors/file/commit.c.
 *
 * Each -D below breaks one rule; the checker must then find a loss or a double:
 *   COMMIT_FIRST        sinks commit before the manifest is there
 *   NO_MANIFEST_SYNC    the manifest's directory is not synced before sinks commit
 *   NO_RECOVERY_SYNC    recovery commits again by a manifest that may not be kept
 *   NO_REPLAY           recovery takes up a checkpoint without committing its sinks again
 *   NO_PART_SYNC        parts (the files, or the directory that names them) are not synced before the manifest
 *   NO_SYNC_WHEN_DONE   committing a part that has its name already does not sync the directory
 *   DISCARD_GIVEN_UP    parts and outbox of an attempt that was given up are thrown away, and the job goes on
 *   PRUNE_FIRST         the old checkpoint goes before the new manifest is there
 *   NO_LOCK             two processes run at once
 *   NO_MARKER           the transaction has no marker: what was unknown is taken for lost
 *   NO_FENCE            recovery reads the marker without shutting out the old producer first
 *   KEEP_PRODUCER       a producer goes on after an end whose answer is unknown */
#ifndef NREC
#define NREC 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef POWER_CUTS
#define POWER_CUTS 1
#endif
#ifndef GIVE_UPS
#define GIVE_UPS 1
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1
#endif
#ifndef LATE_ENDS
#define LATE_ENDS 1
#endif
#ifndef PROCESSES
#define PROCESSES 2
#endif
#define IDS 5 /* checkpoints 1 .. IDS - 1; ids are used again only where no manifest was ever seen */
#define ALL ((1 << NREC) - 1)
#define BIT(i) (1 << (i))
#define NOBODY 255

/* Disk: manifests with what they say, and hidden or visible parts of the file sink. */
bool manifest_seen[IDS], manifest_kept[IDS];
byte manifest_position[IDS];
byte manifest_parts[IDS]; /* ids of the parts to commit */
byte manifest_outbox[IDS]; /* records of the outbox */
#define NONE 0
#define HIDDEN 1
#define VISIBLE 2
byte part_seen[IDS], part_kept[IDS], part_records[IDS];

/* The outside system: the producer's epoch, the transaction, and what readers see. */
byte producer;
bool open;
byte sent, sent_marker;
byte marker, box;
bool late_end; /* a request to end is on its way */
byte late_producer;

byte holder = NOBODY; /* of the lock */
byte crashes, power_cuts, give_ups, timeouts, late_ends;
byte finished; /* processes that are through */
byte i; /* of atomic loops */
byte overlap; /* of atomic loops */

inline end_transaction() /* by whoever is entitled to */
{
    assert((box & sent) == 0); /* no record twice */
    box = box | sent;
    if
    :: sent_marker > marker -> marker = sent_marker
    :: else
    fi;
    open = false; sent = 0; sent_marker = 0
}
inline abort_transaction()
{
    open = false; sent = 0; sent_marker = 0
}
inline fence()
{
    producer++; mine = producer;
    abort_transaction()
}

/* Parts that are visible hold no record twice. */
inline check_files()
{
    overlap = 0; i = 1;
    do
    :: i < IDS ->
        if
        :: part_seen[i] == VISIBLE -> assert((overlap & part_records[i]) == 0);
            overlap = overlap | part_records[i]
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0; overlap = 0
}

/* All that is seen and not kept is decided now, one by one. */
inline lose_power()
{
    i = 1;
    do
    :: i < IDS ->
        if
        :: manifest_seen[i] != manifest_kept[i] ->
            if
            :: manifest_seen[i] = manifest_kept[i]
            :: manifest_kept[i] = manifest_seen[i]
            fi
        :: else
        fi;
        if
        :: part_seen[i] != part_kept[i] ->
            if
            :: part_seen[i] = part_kept[i]
            :: part_kept[i] = part_seen[i]
            fi
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

#define FORGET position = 0; id = 0; top = 0; rows = 0; parts = 0; outbox = 0; todo = 0; mine = 0; fenced = false
#ifdef NO_LOCK
#define LEAVE skip
#define MAY_CUT false /* it would end the other one too */
#else
#define LEAVE holder = NOBODY
#define MAY_CUT true
#endif

/* Between any two steps: nothing, the end of the process, or a loss of power. */
#define STEP \
    if \
    :: atomic { crashes < CRASHES -> crashes++; FORGET; LEAVE; goto start } \
    :: atomic { MAY_CUT && power_cuts < POWER_CUTS -> power_cuts++; lose_power(); FORGET; LEAVE; goto start } \
    :: skip \
    fi

active proctype Outside()
{
end:
    do
    :: atomic { open && timeouts < TIMEOUTS -> timeouts++; producer++; abort_transaction() }
    :: atomic { late_end ->
            late_end = false;
            if
            :: open && late_producer == producer -> end_transaction()
            :: else
            fi; late_producer = 0 }
    od
}

active [PROCESSES] proctype Process()
{
    byte position; /* records read */
    byte id; /* of the checkpoint that is made or committed */
    byte top; /* highest id used by this process */
    byte rows; /* read since the last barrier */
    byte parts; /* closed and not in a manifest yet, attempts that were given up included */
    byte outbox; /* the same for the outbox */
    byte todo; /* sinks that have not committed */
    byte mine; /* my producer's epoch */
    bool fenced; /* my producer is the one */

start:
#ifndef NO_LOCK
locked:
    atomic { holder == NOBODY -> holder = _pid }
#endif
restore_chosen: /* the newest one */
    atomic {
        id = IDS - 1;
        do
        :: id > 0 && !manifest_seen[id] -> id--
        :: else -> break
        od;
        top = id;
        position = (id > 0 -> manifest_position[id] : 0)
    }
    STEP;
#ifndef NO_RECOVERY_SYNC
restore_synced: /* only what is kept may be committed by */
    atomic {
        i = 1;
        do
        :: i < IDS -> manifest_kept[i] = manifest_seen[i]; i++
        :: else -> break
        od;
        i = 0
    }
    STEP;
#endif
    if
    :: id == 0 -> goto restore_cleaned
    :: else -> skip
    fi;
#ifdef NO_REPLAY
    goto restore_cleaned;
#else
    goto commit;
#endif

restore_cleaned: /* hidden parts that no manifest lists; their removal is repeated by the next recovery */
    atomic {
        i = 1;
        do
        :: i < IDS ->
            if
            :: part_seen[i] == HIDDEN && (id == 0 || (manifest_parts[id] & BIT(i)) == 0) ->
                part_seen[i] = NONE; part_kept[i] = NONE; part_records[i] = 0
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
    STEP;

work:
    do
    :: position < NREC ->
        atomic { rows = rows | BIT(position); position++ }
    :: (rows != 0 || parts != 0 || outbox != 0) && top + 1 < IDS -> break
    :: position == NREC && rows == 0 && parts == 0 && outbox == 0 -> goto finish
    od;

barrier: /* the epoch is closed: its rows are in a hidden part and in the outbox of this attempt */
    atomic {
        top++; id = top;
        part_seen[id] = HIDDEN; part_records[id] = rows;
        parts = parts | BIT(id); outbox = outbox | rows;
        rows = 0
    }
    STEP;
#ifndef NO_PART_SYNC
sink_synced: /* what parts hold, and the directory that names them */
    atomic {
        i = 1;
        do
        :: i < IDS ->
            if
            :: (parts & BIT(i)) && part_seen[i] == HIDDEN -> part_kept[i] = HIDDEN
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
    STEP;
#endif
    if
    :: give_ups < GIVE_UPS && top + 1 < IDS -> goto given_up
    :: skip
    fi;
#ifdef PRUNE_FIRST
    d_step {
        i = 1;
        do
        :: i < id -> manifest_seen[i] = false; manifest_kept[i] = false; i++
        :: else -> break
        od;
        i = 0
    }
    STEP;
#endif
#ifdef COMMIT_FIRST
    d_step { manifest_parts[id] = parts; manifest_outbox[id] = outbox };
    goto commit;
publish:
#endif
    goto manifest_renamed;

given_up: /* the job goes on: parts and outbox are the next checkpoint's */
    atomic {
        give_ups++;
#ifdef DISCARD_GIVEN_UP
        part_seen[id] = NONE; part_kept[id] = NONE; part_records[id] = 0;
        parts = parts & ~BIT(id);
        outbox = 0;
#endif
        goto work
    }

manifest_renamed: /* complete under its name; the file was synced before, the directory was not */
    atomic {
        manifest_position[id] = position; manifest_parts[id] = parts; manifest_outbox[id] = outbox;
        manifest_seen[id] = true;
        parts = 0; outbox = 0
    }
    STEP;
#ifndef NO_MANIFEST_SYNC
manifest_durable: /* the decision: from here on the checkpoint must be completed */
    manifest_kept[id] = true;
    STEP;
#endif
#ifdef COMMIT_FIRST
    goto prune;
#endif

commit:
    todo = 3;
commit_next:
    do
    :: todo & 1 -> /* the file sink */
commit_file_renamed:
        atomic {
            i = 1;
            do
            :: i < IDS ->
                if
                :: manifest_parts[id] & BIT(i) ->
                    assert(part_seen[i] != NONE); /* what a manifest lists is there */
#ifdef NO_SYNC_WHEN_DONE
                    if
                    :: part_seen[i] == VISIBLE -> todo = todo | 4
                    :: else
                    fi;
#endif
                    part_seen[i] = VISIBLE
                :: else
                fi;
                i++
            :: else -> break
            od;
            i = 0;
            check_files()
        }
        STEP;
commit_file_synced: /* also when it had its name before */
        atomic {
            i = 1;
            do
            :: i < IDS ->
                if
                :: part_seen[i] == VISIBLE && (todo & 4) == 0 -> part_kept[i] = VISIBLE
                :: else
                fi;
                i++
            :: else -> break
            od;
            i = 0;
            todo = todo & 2
        }
        STEP
    :: todo & 2 -> /* the transactional sink */
        if
        :: !fenced ->
outbox_fenced: /* whoever held the slot is shut out, and what it had open is gone */
#ifndef NO_FENCE
            atomic { fence() }
#else
            mine = producer;
#endif
            STEP;
outbox_marker: /* the outside system says which outbox it has */
            atomic {
                fenced = true;
#ifndef NO_MARKER
                if
                :: marker >= id -> todo = todo & 1; goto commit_next
                :: else
                fi
#endif
            }
        :: else -> skip
        fi;
outbox_sending: /* a part of it */
        atomic {
            if
            :: mine == producer -> open = true; sent = manifest_outbox[id] & (0 - manifest_outbox[id])
            :: else -> fenced = false; goto commit_next
            fi
        }
        STEP;
outbox_sent: /* all of it, and the marker */
        atomic {
            if
            :: mine == producer && open ->
                sent = manifest_outbox[id];
#ifndef NO_MARKER
                sent_marker = id
#endif
            :: else -> fenced = false; goto commit_next
            fi
        }
        STEP;
outbox_ended:
        atomic {
            if
            :: mine == producer && open -> end_transaction(); todo = todo & 1 /* and the answer came */
            :: mine == producer && open -> end_transaction(); goto outbox_unknown
            :: mine == producer && open && late_ends < LATE_ENDS && !late_end -> /* applied, and sent again */
                late_ends++; end_transaction(); late_end = true; late_producer = mine; goto outbox_unknown
            :: mine == producer && open && late_ends < LATE_ENDS && !late_end -> /* under way */
                late_ends++; late_end = true; late_producer = mine; goto outbox_unknown
            :: !(mine == producer && open) -> fenced = false; goto commit_next
            fi
        }
        STEP
    :: todo == 0 -> break
    od;
    goto commit_all;

outbox_unknown: /* this producer has ended: fence, read the marker, decide */
    STEP;
#ifdef KEEP_PRODUCER
    todo = todo & 1;
#else
    fenced = false;
#endif
    goto commit_next;

commit_all:
    STEP;
#ifdef COMMIT_FIRST
    if
    :: !manifest_seen[id] -> goto publish
    :: else -> skip
    fi;
#endif
prune: /* old manifests; a loss of power may bring one back, which is harmless: the newest is taken */
    atomic {
        i = 1;
        do
        :: i < id -> manifest_seen[i] = false; i++
        :: else -> break
        od;
        i = 0
    }
    STEP;
    if
    :: rows == 0 && parts == 0 && outbox == 0 && position == manifest_position[id] -> goto restore_cleaned
    :: else -> goto work
    fi;

finish:
    atomic {
        assert(box == ALL);
        overlap = 0; i = 1;
        do
        :: i < IDS ->
            if
            :: part_kept[i] == VISIBLE -> overlap = overlap | part_records[i]
            :: else
            fi;
            i++
        :: else -> break
        od;
        assert(overlap == ALL);
        i = 0; overlap = 0;
        FORGET;
        LEAVE;
        finished++
    }
}
