/* state/entry.c -- between slots in memory and entries of the store.
 *
 *   FIXED   prefix, namespace, key                      the value; where values can be merged a sequence of
 *                                                       (length u32 little-endian, value), the oldest first
 *   LIST    prefix, namespace, key, segment u32 > 0     rows: (time i64 little-endian, flags u8, Avro)
 *           prefix, namespace, key, 0                   flags of the first rows, those that changed later
 *
 * Prefix and namespace are big-endian, the namespace with its sign flipped; a list's key is escaped as in
 * record/key.h where keys vary in length. Segments rise with every write of the state, so that an entry can be
 * added without knowing what is there.
 *
 * The store merges values by putting them one behind the other, which needs nobody who understands them; where
 * the table is open its codec makes one of them. A merge may run on any thread: mergers are only ever added to
 * their list, and one that is gone waits for those that still use it. */
#include "base/alloc.h"
#include "base/limits.h"
#include "state/state_private.h"

static int no_memory(const struct leat_table *table, struct leat_error *err)
{
    return leat__error(
        err, LEAT_ENOMEM, "state of \"%s\", table \"%s\": out of memory", table->node, table->name);
}

static int bad_entry(const struct leat_table *table, const char *what, struct leat_error *err)
{
    return leat__error(err, LEAT_EDATA,
        "state of \"%s\", table \"%s\": %s in the store is damaged or was written by another program; go "
        "back "
        "to an older checkpoint",
        table->node, table->name, what);
}

/* ---- keys ---- */

void leat__store_head(const struct leat_table *table, int64_t ns, char head[LEAT__STORE_HEAD])
{
    const uint32_t prefix = __builtin_bswap32(table->prefix);
    const uint64_t flipped = __builtin_bswap64((uint64_t)ns ^ (UINT64_C(1) << 63));
    memcpy(head, &prefix, sizeof prefix);
    memcpy(head + sizeof prefix, &flipped, sizeof flipped);
}

int64_t leat__store_ns(const char *head)
{
    uint64_t flipped;
    memcpy(&flipped, head + 4, sizeof flipped);
    return (int64_t)(__builtin_bswap64(flipped) ^ (UINT64_C(1) << 63));
}

uint32_t leat__store_end(const struct leat_table *table, int64_t ns, char end[LEAT__STORE_HEAD])
{
    if (ns < INT64_MAX) {
        leat__store_head(table, ns + 1, end);
        return LEAT__STORE_HEAD;
    }
    const uint32_t prefix = __builtin_bswap32(table->prefix + 1); /* never the meta prefix: no overflow */
    memcpy(end, &prefix, sizeof prefix);
    return sizeof prefix;
}

void leat__store_key(const struct leat_table *table, struct leat_sv key, struct leat_strbuf *out)
{
    if (table->kind != LEAT_TABLE_LIST || table->key_size) {
        if (key.len)
            leat__strbuf_add(out, key.data, key.len);
        return;
    }
    for (size_t i = 0; i < key.len; i++) {
        leat__strbuf_add(out, key.data + i, 1);
        if (key.data[i] == '\0')
            leat__strbuf_add(out, "\xff", 1);
    }
    leat__strbuf_add(out, "\0", 2);
}

int leat__store_key_read(
    bool is_list, uint32_t key_size, struct leat_sv stored, struct leat_strbuf *out, struct leat_sv *key)
{
    *key = stored;
    if (!is_list || key_size)
        return key_size && stored.len != key_size ? LEAT_EDATA : 0;
    leat__strbuf_clear(out);
    for (size_t i = 0; i < stored.len; i++) {
        if (stored.data[i] == '\0') {
            if (++i == stored.len)
                return LEAT_EDATA;
            if (stored.data[i] == '\0') {
                *key = (struct leat_sv){ out->data ? out->data : "", out->len };
                return i + 1 != stored.len ? LEAT_EDATA : out->failed ? LEAT_ENOMEM : 0;
            }
            leat__strbuf_char(out, '\0');
            continue;
        }
        leat__strbuf_char(out, stored.data[i]);
    }
    return LEAT_EDATA;
}

/* ---- values ---- */

static int encode(
    struct leat_table *table, const void *value, struct leat_strbuf *out, struct leat_error *err)
{
    if (!table->codec.encode) {
        leat__strbuf_add(out, value, table->raw_size);
        return out->failed ? no_memory(table, err) : 0;
    }
    const int code = table->codec.encode(table->codec.arg, value, out);
    if (out->failed)
        return no_memory(table, err);
    if (code < 0)
        return leat__error(err, code, "state of \"%s\", table \"%s\": a value can not be written: %s",
            table->node, table->name, leat_error_text(code));
    return 0;
}

int leat__value_write(
    struct leat_table *table, const void *value, struct leat_strbuf *out, struct leat_error *err)
{
    if (!table->codec.merge)
        return encode(table, value, out, err);
    const size_t at = out->len;
    uint32_t len = 0;
    leat__strbuf_add(out, &len, sizeof len);
    LEAT_TRY(encode(table, value, out, err));
    len = (uint32_t)(out->len - at - sizeof len);
    memcpy(out->data + at, &len, sizeof len);
    return 0;
}

static int decode(struct leat_table *table, struct leat__slice *slice, struct leat_sv data, void *value,
    struct leat_error *err)
{
    if (!table->codec.decode) {
        if (data.len != table->raw_size)
            return bad_entry(table, "a value", err);
        memcpy(value, data.data, data.len);
        return 0;
    }
    table->bytes_into = slice;
    const int code = table->codec.decode(table->codec.arg, table, slice->ns, data.data, data.len, value);
    table->bytes_into = NULL;
    if (code == LEAT_ENOMEM)
        return no_memory(table, err);
    return code < 0 ? bad_entry(table, "a value", err) : 0;
}

/* The next value of a sequence. */
static bool next_value(struct leat_sv *rest, struct leat_sv *value)
{
    uint32_t len;
    if (rest->len < sizeof len)
        return false;
    memcpy(&len, rest->data, sizeof len);
    if (len > rest->len - sizeof len)
        return false;
    *value = (struct leat_sv){ rest->data + sizeof len, len };
    rest->data += sizeof len + len;
    rest->len -= sizeof len + len;
    return true;
}

/* What the values of both sequences are together: in the data themselves, or in one of the buffers. */
static int fold(const struct leat_value_codec *codec, struct leat_sv older, struct leat_sv newer,
    struct leat_strbuf buffers[2], struct leat_sv *all)
{
    struct leat_sv value;
    uint32_t into = 0;
    bool any = false;
    while (older.len + newer.len > 0) {
        if (!next_value(older.len ? &older : &newer, &value))
            return LEAT_EDATA;
        if (!any) {
            *all = value;
            any = true;
            continue;
        }
        struct leat_strbuf *out = &buffers[into];
        leat__strbuf_clear(out);
        const int code = codec->merge(codec->arg, *all, value, out);
        if (code < 0 || out->failed)
            return code < 0 ? code : LEAT_ENOMEM;
        *all = (struct leat_sv){ out->data ? out->data : "", out->len };
        into ^= 1u;
    }
    return any ? 0 : LEAT_EDATA;
}

int leat__value_read(struct leat_table *table, struct leat__slice *slice, struct leat_sv stored, bool newer,
    void *value, struct leat_error *err)
{
    if (!table->codec.merge)
        return decode(table, slice, stored, value, err);
    struct leat_state *state = table->state;
    struct leat_strbuf buffers[2] = { 0 };
    struct leat_sv all = { NULL, 0 }, since = { NULL, 0 };
    leat__strbuf_clear(&state->scratch);
    if (newer) {
        LEAT_TRY(leat__value_write(table, value, &state->scratch, err));
        since = (struct leat_sv){ state->scratch.data, state->scratch.len };
        memset(value, 0, table->value_size);
    }
    int code = fold(&table->codec, stored, since, buffers, &all);
    if (code == 0)
        code = decode(table, slice, all, value, err);
    else if (code == LEAT_ENOMEM)
        code = no_memory(table, err);
    else
        code = bad_entry(table, "a value", err);
    leat__strbuf_release(&buffers[0]);
    leat__strbuf_release(&buffers[1]);
    return code;
}

/* ---- the store's merges ---- */

static struct leat__merger *merger_of(const struct leat_state *state, struct leat_sv key)
{
    uint32_t prefix;
    if (key.len < sizeof prefix)
        return NULL;
    memcpy(&prefix, key.data, sizeof prefix);
    prefix = __builtin_bswap32(prefix);
    struct leat__merger *m = __atomic_load_n(&state->mergers, __ATOMIC_ACQUIRE);
    while (m && m->prefix != prefix)
        m = m->next;
    return m;
}

static bool merge_values(
    struct leat__merger *m, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    struct leat_strbuf buffers[2] = { 0 };
    struct leat_sv all = { NULL, 0 };
    const bool ok = fold(&m->codec, older, newer, buffers, &all) == 0 && all.len <= UINT32_MAX;
    if (ok) {
        const uint32_t len = (uint32_t)all.len;
        leat__strbuf_add(out, &len, sizeof len);
        leat__strbuf_add(out, all.data, all.len);
    }
    leat__strbuf_release(&buffers[0]);
    leat__strbuf_release(&buffers[1]);
    return ok;
}

int leat__store_merge(
    void *state, struct leat_sv key, struct leat_sv older, struct leat_sv newer, struct leat_strbuf *out)
{
    struct leat__merger *m = merger_of(state, key);
    bool merged = false;
    if (m) {
        __atomic_fetch_add(&m->users, 1, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&m->gone, __ATOMIC_SEQ_CST))
            merged = merge_values(m, older, newer, out);
        __atomic_fetch_sub(&m->users, 1, __ATOMIC_SEQ_CST);
    }
    if (!merged) {
        leat__strbuf_add(out, older.data, older.len);
        leat__strbuf_add(out, newer.data, newer.len);
    }
    return out->failed ? LEAT_ENOMEM : 0;
}

/* ---- rows of lists ---- */

int leat__rows_write(struct leat_table *table, const struct leat_list_row *row, struct leat_strbuf *out,
    struct leat_error *err)
{
    for (; row; row = row->next) {
        leat__strbuf_add(out, &row->event_us, sizeof row->event_us);
        leat__strbuf_add(out, row->flags, 1);
        LEAT_TRY(leat__encode_record(table->encoder, row->record, out, err));
    }
    return out->failed ? no_memory(table, err) : 0;
}

static int read_row(struct leat_table *table, struct leat__slice *slice, struct leat_batch *batch,
    const uint8_t **at, const uint8_t *end, struct leat__list *list, struct leat_error *err)
{
    int64_t event_us;
    if ((size_t)(end - *at) < sizeof event_us + 1)
        return bad_entry(table, "a row", err);
    memcpy(&event_us, *at, sizeof event_us);
    const uint8_t flags = (*at)[sizeof event_us];
    *at += sizeof event_us + 1;
    batch->count = 0;
    const int64_t rows = leat__decode(table->decoder, at, end, batch, 1, err);
    if (rows == LEAT_ENOMEM)
        return no_memory(table, err);
    if (rows != 1)
        return bad_entry(table, "a row", err);
    return leat__list_add(table, slice, list, leat_batch_at(batch, 0), event_us, flags, err);
}

int leat__segment_read(struct leat_table *table, struct leat__slice *slice, struct leat_sv segment,
    struct leat__list *list, struct leat_error *err)
{
    struct leat_strbuf *scratch = &table->state->scratch; /* the decoder reads beyond the end */
    struct leat_batch *batch = NULL;
    leat__strbuf_clear(scratch);
    if (!leat__strbuf_reserve(scratch, segment.len + LEAT_BUFFER_SLACK_BYTES))
        return no_memory(table, err);
    leat__strbuf_add(scratch, segment.data, segment.len);
    if (leat__batch_get(table->pool, table->row_type, &batch) < 0)
        return no_memory(table, err);
    const uint8_t *at = (const uint8_t *)scratch->data, *end = at + segment.len;
    int code = 0;
    while (code == 0 && at < end)
        code = read_row(table, slice, batch, &at, end, list, err);
    leat__batch_release(batch);
    return code;
}

void leat__flags_read(struct leat_sv flags, struct leat__list *list)
{
    const struct leat_list_row *row = list->first;
    for (size_t i = 0; i < flags.len && row; i++, row = row->next)
        *row->flags = (uint8_t)flags.data[i];
}

/* ---- collecting ---- */

static int collect_fixed(struct leat_table *table, struct leat__run *run, unsigned char *slot, uint64_t word,
    struct leat_error *err)
{
    const enum leat_store_write write = word & LEAT__VOID ? LEAT_STORE_DELETE
        : word & LEAT__PARTIAL                            ? LEAT_STORE_MERGE
                                                          : LEAT_STORE_PUT;
    void *value = leat__slot_value(table, slot);
    if (!leat__run_begin(run, leat__slot_key(table, slot), write))
        return no_memory(table, err);
    if (write != LEAT_STORE_DELETE) {
        const int code = leat__value_write(table, value, &run->data, err);
        if (code < 0) {
            run->data.failed = true; /* not this entry */
            (void)leat__run_end(run);
            return code;
        }
    }
    if (!leat__run_end(run))
        return no_memory(table, err);
    if (write == LEAT_STORE_MERGE)
        memset(value, 0, table->value_size); /* it is the store's now: what comes next begins anew */
    return 0;
}

/* Deletes everything that the store has of a list. */
static int collect_void(struct leat_table *table, struct leat__run *run, struct leat_sv stored_key,
    const char *head, struct leat_error *err)
{
    struct leat_state *state = table->state;
    struct leat_strbuf from = { 0 };
    struct leat_store_iter *iter = NULL;
    struct leat_sv key, value;
    char end[LEAT__STORE_HEAD];
    LEAT_TRY(leat__queue_settle(state, true, err));
    struct leat_store *store = leat__store(state);
    if (!store)
        return 0;
    leat__strbuf_add(&from, head, LEAT__STORE_HEAD);
    leat__strbuf_add(&from, stored_key.data, stored_key.len);
    int code = from.failed ? no_memory(table, err) : 0;
    const uint32_t end_len = leat__store_end(table, leat__store_ns(head), end);
    if (code == 0)
        code = store->store_class->iter_new(
            store, (struct leat_sv){ from.data, from.len }, (struct leat_sv){ end, end_len }, &iter, err);
    if (code < 0 && !from.failed)
        code = leat__table_fail(table, code, err);
    while (code == 0 && (code = store->store_class->iter_next(iter, &key, &value, err)) != 0) {
        if (code < 0) {
            code = leat__table_fail(table, code, err);
            break;
        }
        if (key.len != from.len + LEAT__SEGMENT_BYTES || memcmp(key.data, from.data, from.len) != 0) {
            code = 0;
            break;
        }
        key.data += LEAT__STORE_HEAD;
        key.len -= LEAT__STORE_HEAD;
        code = leat__run_begin(run, key, LEAT_STORE_DELETE) && leat__run_end(run) ? 0 : no_memory(table, err);
    }
    if (iter)
        store->store_class->iter_free(iter);
    leat__strbuf_release(&from);
    return code;
}

static int write_flags(const struct leat_table *table, const struct leat_list_row *row,
    const struct leat_list_row *end, struct leat_strbuf *out, struct leat_error *err)
{
    for (; row && row != end; row = row->next)
        leat__strbuf_add(out, row->flags, 1);
    return out->failed ? no_memory(table, err) : 0;
}

/* One entry of a list: its flags, or the rows that the store does not have. */
static int collect_part(struct leat_table *table, struct leat__run *run, struct leat_sv stored_key,
    struct leat__list *list, bool flags, struct leat_error *err)
{
    const uint32_t segment = flags ? 0 : table->state->segment;
    if (!leat__run_begin_segment(run, stored_key, segment, LEAT_STORE_PUT))
        return no_memory(table, err);
    const int code = flags ? write_flags(table, list->first, list->unwritten, &run->data, err)
                           : leat__rows_write(table, list->unwritten, &run->data, err);
    if (code < 0) {
        run->data.failed = true;
        (void)leat__run_end(run);
        return code;
    }
    return leat__run_end(run) ? 0 : no_memory(table, err);
}

static int collect_list(struct leat_table *table, struct leat__run *run, unsigned char *slot, uint64_t word,
    const char *head, struct leat_error *err)
{
    struct leat__list *list = leat__slot_value(table, slot);
    struct leat_strbuf key = { 0 };
    struct leat_sv stored = leat__slot_key(table, slot);
    int code = 0;
    if (!table->key_size) {
        leat__store_key(table, stored, &key);
        stored = (struct leat_sv){ key.data, key.len };
        code = key.failed ? no_memory(table, err) : 0;
    }
    if (code == 0 && (word & LEAT__VOID))
        code = collect_void(table, run, stored, head, err);
    if (code == 0 && list->flagged && list->first != list->unwritten)
        code = collect_part(table, run, stored, list, true, err);
    if (code == 0 && list->unwritten)
        code = collect_part(table, run, stored, list, false, err);
    leat__strbuf_release(&key);
    if (code < 0)
        return code;
    list->unwritten = NULL;
    list->flagged = 0;
    if (word & LEAT__PARTIAL)
        list->first = list->last = NULL; /* the store has them, behind those that it had */
    return 0;
}

int leat__slot_collect(
    struct leat_table *table, struct leat__slice *slice, unsigned char *slot, struct leat_error *err)
{
    struct leat_state *state = table->state;
    char head[LEAT__STORE_HEAD];
    uint64_t word = leat__slot_word(slot);
    if (slice->flat && !(word & LEAT__VOID))
        return leat__flat_take(table, slice, slot, err);
    struct leat__run *run = leat__queue_run(state, err);
    leat__store_head(table, slice->ns, head);
    if (!run || !leat__run_group(run, head))
        return no_memory(table, err);
    const size_t before = run->data.len;
    const uint32_t count_before = run->count;
    const int code = table->kind == LEAT_TABLE_LIST ? collect_list(table, run, slot, word, head, err)
                                                    : collect_fixed(table, run, slot, word, err);
    if (code < 0) { /* as if nothing had been added: it is collected again */
        run->count = count_before;
        run->data.len = before;
        run->data.failed = false;
        return code;
    }
    if (table->kind == LEAT_TABLE_LIST)
        word &= ~(uint64_t)(leat__slot_is_key(table, slot) || (word & LEAT__PARTIAL) ? LEAT__VOID : 0);
    state->snapshot.stats.dirty_entries++;
    state->snapshot.stats.dirty_bytes += run->data.len - before;
    word &= ~(uint64_t)(LEAT__DIRTY | LEAT__EPOCH);
    word = word & LEAT__VOID ? word & ~(uint64_t)LEAT__STORED : word | LEAT__STORED;
    leat__slot_set_word(slot, word);
    slice->dirty--;
    slice->stored = true;
    slice->version += (word & LEAT__PARTIAL) != 0; /* walks must look into the store anew */
    return 0;
}
