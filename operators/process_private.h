/* operators/process_private.h -- the parts of a process function, from its declaration to a callback's wishes.
 *
 *   process_declare.c   options -> struct leat__process_spec, with all mistakes told
 *   process.c           the operator: which callback comes next, and what becomes of what it did
 *   process_output.c    rows that callbacks make, late ones apart
 *   process_state.c     keyed state: opening, the calls that all kinds have in common, writing back
 *   process_cell.c      a record (or accumulator) in state: as bytes, and as the copy that a callback gets
 *   process_list.c, process_map.c
 *   process_expiry.c    time to live: timers of the engine's own that find what is gone
 *
 * A callback works on copies. When it returns, the operator either *commits*: writes what was changed, or
 * *forgets*: drops the copies. Between callbacks there are none. So no pointer into a table lives longer than
 * one call, and a refused record leaves no trace. */
#ifndef LEAT_OPERATORS_PROCESS_PRIVATE_H
#define LEAT_OPERATORS_PROCESS_PRIVATE_H
#include "operators/aggregate_private.h"
#include "operators/timers_private.h"
#include "base/hash.h"
#include "record/avro.h"
#include <leat/process.h>

#define LEAT__STATES_MAX 16u
#define LEAT__SIDES_MAX 8u
_Static_assert(
    sizeof((struct leat_process_opts *)0)->state / sizeof(struct leat_keyed_state) == LEAT__STATES_MAX,
    "as declared");
_Static_assert(sizeof((struct leat_process_opts *)0)->sides / sizeof(struct leat_side) == LEAT__SIDES_MAX,
    "as declared");
_Static_assert(LEAT__SIDES_MAX + 2 <= LEAT_NODE_OUTPUTS_MAX, "main, sides, dead letters");

enum leat__state_kind { LEAT__STATE_VALUE = 1, LEAT__STATE_LIST, LEAT__STATE_MAP, LEAT__STATE_AGGREGATE };

struct leat__state_spec {
    enum leat__state_kind kind;
    const char *name;
    const struct leat_type *type; /* of the records; NULL: an accumulator */
    uint32_t size; /* of the struct, or of the accumulator */
    enum leat_kind map_key;
    const struct leat_aggregate_fn *fn;
    struct leat_ttl ttl;
    uint32_t id; /* of the name: which state an expiry is of */
    const char *format, *index_name, *entry_key, *index_format; /* of the tables */
};

struct leat__process_spec {
    const struct leat_type *in;
    const struct leat_key *key;
    const char *key_types;
    struct leat_process_fn fn;
    struct leat__state_spec states[LEAT__STATES_MAX];
    uint32_t states_count;
    uint32_t sides_count;
    bool has_event_time;
    struct leat__key_parts key_parts;
    struct leat_schema *schemas[LEAT__STATES_MAX]; /* of the types, for decoders */
};

struct leat__process;

/* ---- cells (process_cell.c) ---- */

/* What stands in a table: [stamp, 8 bytes, where there is a time to live] [the struct | struct leat__blob]. A
 * record that holds views is kept as its Avro bytes. */
struct leat__blob {
    char *data;
    uint32_t capacity, len;
};

/* Puts bytes into the blob, in place where they fit. LEAT_ESTATE without memory, LEAT_ELIMIT. */
LEAT_NODISCARD int leat__blob_keep(
    struct leat_table *table, int64_t ns, struct leat__blob *blob, const char *data, size_t len);

/* How the records of a state are kept. `arg` of the table's codec. */
struct leat__serde {
    const struct leat_type *type; /* NULL: plain bytes */
    uint32_t size;
    bool flat; /* no views: kept as the struct */
    bool has_stamp;
    uint32_t fingerprint; /* lower half of the schema's; 0: plain bytes */
    struct leat_encoder *encoder;
    struct leat_decoder *decoder;
    struct leat_decoder *saved_decoder; /* of the schema that was restored, where it differs, or NULL */
    uint32_t saved_fingerprint;
    struct leat_pool *pool;
    struct leat_batch *rows; /* where decoders put a row, and what it shows */
    struct leat_strbuf bytes; /* of encoders */
};
LEAT_NODISCARD int leat__serde_init(struct leat__serde *serde, struct leat__ctx *ctx,
    const struct leat__state_spec *spec, const struct leat_schema *schema);
void leat__serde_release(struct leat__serde *serde);
uint32_t leat__serde_value_size(const struct leat__serde *serde);
struct leat_value_codec leat__serde_codec(struct leat__serde *serde);
/* leat_table_opts.accept_format of a table with that codec. */
int leat__serde_accept(void *arg, const char *saved_format, const char *saved_schema, struct leat_error *err);
/* After a callback: gives back what decoding has used, if that is much. */
LEAT_NODISCARD int leat__serde_relax(struct leat__serde *serde);

/* The copy of a value that a callback works on. */
struct leat__cell {
    void *record; /* serde.size bytes, or NULL: not looked for yet */
    bool existed; /* in the table, gone or not */
    bool visible; /* there, for this callback */
    bool written; /* to be written when the callback returns, or, not visible, removed */
    bool read; /* by leat_state_find and the like: for ttl.on_read */
    int64_t stamp; /* of the table */
    uint32_t shown_bytes; /* of leat__table_bytes that its value has there */
    void *value; /* where it stood in the table, */
    uint64_t version; /* and the table's version then */
    struct leat_sv key; /* of the table */
    uint64_t hash;
};

/* ---- state (process_state.c) ---- */

struct leat__keyed_state {
    const struct leat__state_spec *spec;
    struct leat_table *table;
    bool touched; /* by this callback */
    bool cleared; /* list, map: what the table has is to be removed first */
    struct leat__serde serde; /* not of lists */
    struct leat__cell cell; /* value, aggregate */
    void *record; /* memory of `cell` */

    struct { /* list */
        struct leat_copier *copier;
        struct leat_batch *first, *last; /* rows that the callback has added */
        struct leat_batch *cleared; /* and has cleared again: it may still look at them */
        const void **rows; /* all rows as the callback sees them, once it has asked */
        size_t count, capacity;
        size_t given; /* index of the row that was asked for last */
        bool loaded;
    } list;

    struct { /* map */
        struct leat_table *index; /* key -> the map's keys, in order, as one blob */
        struct leat__cell *cells; /* entries that the callback has touched */
        uint32_t cells_count, cells_capacity;
        uint32_t *slots; /* open addressing over cells: index + 1 */
        uint32_t slots_capacity;
        struct leat_sv *keys; /* the index, once it is needed */
        uint32_t keys_count, keys_capacity;
        uint32_t index_bytes; /* of leat__table_bytes that the table has of it */
        bool loaded, changed;
        struct leat__cell passing; /* of leat_map_next: no cell of its own */
        void *passing_record;
    } map;
};

LEAT_NODISCARD int leat__states_open(struct leat__process *p, struct leat__ctx *ctx);
void leat__states_close(struct leat__process *p);
/* Writes what the callback has changed. */
LEAT_NODISCARD int leat__states_commit(struct leat__process *p);
void leat__states_forget(struct leat__process *p);
uint64_t leat__states_keys_count(const struct leat__process *p);

/* The time by which values of this state are judged in this callback. */
int64_t leat__state_now(struct leat__process *p, const struct leat__state_spec *spec);
/* When what has this stamp is gone; LEAT_TIME_MAX: never. */
static inline int64_t leat__state_gone_at(const struct leat__state_spec *spec, int64_t stamp)
{
    return spec->ttl.us == 0 || stamp == LEAT_TIME_MIN ? LEAT_TIME_MAX : leat__time_add(stamp, spec->ttl.us);
}

/* The state with this index and kind (any of two), touched; NULL with the failure noted. */
struct leat__keyed_state *leat__state_of(
    struct leat__process *p, uint32_t index, enum leat__state_kind kind, enum leat__state_kind other);

/* Looks the cell's key up and copies the value into cell->record. */
LEAT_NODISCARD int leat__cell_load(
    struct leat__process *p, struct leat__keyed_state *state, struct leat__cell *cell);
/* Writes the cell as a commit does. */
LEAT_NODISCARD int leat__cell_commit(
    struct leat__process *p, struct leat__keyed_state *state, struct leat__cell *cell);
/* The callback will write it: makes it where it is not visible. */
void *leat__cell_write(struct leat__keyed_state *state, struct leat__cell *cell);
/* The stamp of a value that stands in the table, and the bytes of leat__table_bytes that it has. */
int64_t leat__cell_stamp(const struct leat__serde *serde, const void *value);
uint32_t leat__cell_shown_bytes(const struct leat__serde *serde, const void *value);

LEAT_NODISCARD int leat__list_commit(struct leat__process *p, struct leat__keyed_state *state);
void leat__list_forget(struct leat__keyed_state *state);
void leat__list_clear(struct leat__keyed_state *state);
/* Removes rows that are gone at `now_us`; *next_us: when the next ones will be. */
LEAT_NODISCARD int leat__list_expire(struct leat__process *p, struct leat__keyed_state *state,
    struct leat_sv key, int64_t now_us, int64_t *next_us);

LEAT_NODISCARD int leat__map_open(
    struct leat__process *p, struct leat__ctx *ctx, struct leat__keyed_state *state);
LEAT_NODISCARD int leat__map_commit(struct leat__process *p, struct leat__keyed_state *state);
void leat__map_forget(struct leat__keyed_state *state);
void leat__map_clear(struct leat__process *p, struct leat__keyed_state *state);
LEAT_NODISCARD int leat__map_expire(struct leat__process *p, struct leat__keyed_state *state,
    struct leat_sv key, int64_t now_us, int64_t *next_us);

/* ---- expiry (process_expiry.c) ---- */

/* What this key has in the state may be gone at that time. */
LEAT_NODISCARD int leat__expiry_arm(
    struct leat__process *p, const struct leat__state_spec *spec, struct leat_sv key, int64_t gone_us);
/* An expiry goes off: `entry` is id | key. */
LEAT_NODISCARD int leat__expiry_fire(
    struct leat__process *p, enum leat_time_kind kind, int64_t time_us, struct leat_sv entry);

/* ---- output (process_output.c) ---- */

enum { LEAT__ON_TIME, LEAT__LATE, LEAT__LANES };

/* Batches in the order in which they were begun, linked by next; only the last is open. */
struct leat__lane {
    struct leat_batch *first, *last;
    struct leat_batch *mark_last; /* where the callback began */
    uint32_t mark_count;
};

struct leat__outs {
    struct leat__lane lanes[1 + LEAT__SIDES_MAX][LEAT__LANES];
    struct leat_copier *copiers[1 + LEAT__SIDES_MAX];
    uint32_t made; /* rows by this callback */
    int64_t default_us; /* their time */
    int64_t bound_us; /* rows at or behind it are late */
    uint32_t row_port; /* of the row made last, */
    void *row; /* NULL: none in this callback */
    uint32_t row_lane;
    bool moves; /* a row has got a time that belongs into the other lane */
};

LEAT_NODISCARD int leat__outs_open(struct leat__process *p, struct leat__ctx *ctx);
void leat__outs_close(struct leat__process *p);
/* The rows of the callback stand on their own from now on. */
LEAT_NODISCARD int leat__outs_commit(struct leat__process *p);
void leat__outs_forget(struct leat__process *p);
/* The row made last, in this callback, is taken back. */
void leat__outs_take_back(struct leat__process *p);
/* Emits full batches, or all. 1: there are more, but this call has given enough. */
LEAT_NODISCARD int leat__outs_emit(struct leat__process *p, bool all);

/* ---- the operator (process.c) ---- */

enum leat__pass { LEAT__PASS_NONE, LEAT__PASS_BATCH, LEAT__PASS_WATERMARK, LEAT__PASS_TIME };

struct leat__process {
    struct leat_op op;
    const struct leat__process_spec *spec;
    struct leat__ctx *ctx;
    struct leat_key_scratch *key_scratch;
    struct leat__keyed_state states[LEAT__STATES_MAX];
    struct leat__outs outs;
    struct leat__timers timers[LEAT__TIMERS_KINDS];
    struct leat__timers expiry[LEAT__TIMERS_KINDS];
    struct leat_batch *work; /* memory of what callbacks see */

    /* The callback that runs. */
    int code; /* sticky: the first failure */
    struct leat_sv key;
    uint64_t hash;
    bool touched; /* any state */
    int64_t event_now_us, processing_now_us;
    struct leat__timer_wishes wishes;
    void *spare; /* LEAT_ROW_BYTES_MAX bytes, for callbacks that get nothing better */

    /* What is being worked on. */
    enum leat__pass pass;
    struct leat_batch *in;
    uint32_t at;
    const struct leat_sv *keys;
    struct leat_sv *own_keys; /* of a callback's key: copies */
    uint32_t own_keys_capacity;
    struct leat_strbuf own_bytes;
    struct leat_strbuf timer_key;
    int64_t until_us; /* timers up to this */
    int64_t forwarded_us; /* the watermark that others have */
    uint32_t batches_given, calls_made; /* in this call */
};

/* Notes a failure that has no other way out; the first one counts. */
void leat__process_fail(struct leat__process *p, int code);
/* Memory until the callback returns, zeroed; NULL with the failure noted. */
void *leat__process_alloc(struct leat__process *p, size_t size);
/* The process function whose callback has this context; NULL, with the record refused, in another's. */
struct leat__process *leat__process_of(struct leat_ctx *ctx, const char *call);

/* Declares the parts of a process function and its outputs, behind leat__input: for the engine's own as well. */
void leat__process_declare(struct leat_node *node, struct leat__process_spec *spec,
    const struct leat_keyed_stream *in, const struct leat_process_opts *o);

extern const struct leat_op_class leat__process_class;
#endif
