/* connectors/kafka/message_read.c -- a message becomes a row: value, key, and the fields of meta.
 *
 * What a row points to is copied into the batch's arena in one piece per message, and decoded from there: messages lie in
 * buffers of librdkafka as large as a fetch, and one row must not keep one alive. Key fields are decoded into a row of their
 * own first and moved over, since decoders make whole rows. */
#include "base/alloc.h"
#include "connectors/kafka/frame.h"
#include "record/csv.h"
#include "record/json.h"
#include "record/trace_context.h"

/* Decodes one part of messages. */
struct part_reader {
    const struct leat_kafka_part *part; /* part->type NULL: there is none */
    struct leat_kafka_frames *frames;
    struct leat_json_decoder *json;
    struct leat_csv_decoder *csv;
};

struct leat_kafka_reader {
    const struct leat_kafka_layout *layout;
    struct part_reader value, key;
    bool has_meta; /* any field of it */
    int64_t timestamp_factor; /* units of meta.timestamp in a millisecond */
    unsigned char *key_row; /* what the key has given, on its way to the row */
    struct leat_sv topic; /* in the arena of the batch whose first row is being made or was */
};

/* ---- making ---- */

static int new_csv(const struct leat_kafka_layout *layout, const struct leat_type *type,
    struct leat_csv_decoder **decoder, struct leat_error *err)
{
    struct leat_strbuf header = { 0 };
    leat__csv_encode_header(type, layout->separator, &header);
    const int code = header.failed
        ? leat__error(err, LEAT_ENOMEM, "out of memory for a decoder")
        : leat__csv_decoder_new(type, layout->separator, header.data, header.len, decoder, err);
    leat__strbuf_release(&header);
    return code;
}

static int open_part(struct leat_kafka_reader *r, bool is_key, const struct leat_kafka_conn *conn,
    struct leat_env *env, struct leat_error *err)
{
    const struct leat_kafka_layout *layout = r->layout;
    const struct leat_kafka_part *part = is_key ? &layout->key : &layout->value;
    struct part_reader *p = is_key ? &r->key : &r->value;
    p->part = part;
    if (!part->type)
        return 0;
    switch (part->format) {
    case LEAT_FORMAT_JSON:
        return leat__json_decoder_new(part->type, LEAT_JSON_PLAIN, &p->json, err);
    case LEAT_FORMAT_JSON_AVRO:
        return leat__json_decoder_new(part->type, LEAT_JSON_AVRO, &p->json, err);
    case LEAT_FORMAT_CSV:
        return new_csv(layout, part->type, &p->csv, err);
    case LEAT_FORMAT_RAW:
        return 0;
    default:
        return leat__kafka_frames_new(
            part, is_key, is_key ? NULL : layout->written_schema, conn, env, &p->frames, err);
    }
}

static void close_part(struct part_reader *p)
{
    leat__kafka_frames_free(p->frames);
    leat__json_decoder_free(p->json);
    leat__csv_decoder_free(p->csv);
}

/* Units of the field in a millisecond, from the function that makes microseconds of it. */
static int64_t timestamp_factor(int64_t (*to_us)(int64_t value))
{
    if (!to_us)
        return 1000;
    return to_us(1) == 1000 ? 1 : 1000000;
}

int leat__kafka_reader_new(const struct leat_kafka_layout *layout, const struct leat_kafka_conn *conn,
    struct leat_env *env, struct leat_kafka_reader **reader, struct leat_error *err)
{
    struct leat_kafka_reader *r = leat__calloc(1, sizeof *r);
    *reader = NULL;
    if (!r)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a reader of messages");
    r->layout = layout;
    for (uint32_t i = 0; i < LEAT_KAFKA_META_COUNT; i++)
        r->has_meta = r->has_meta || layout->meta[i].is_set;
    r->timestamp_factor = timestamp_factor(layout->timestamp_to_us);
    int code = open_part(r, false, conn, env, err);
    if (code == 0)
        code = open_part(r, true, conn, env, err);
    if (code == 0 && layout->key.type) {
        r->key_row = leat__calloc(1, layout->type->size);
        code = r->key_row ? 0 : leat__error(err, LEAT_ENOMEM, "out of memory for a reader of messages");
    }
    if (code < 0) {
        leat__kafka_reader_free(r);
        return code;
    }
    *reader = r;
    return 0;
}

void leat__kafka_reader_free(struct leat_kafka_reader *reader)
{
    if (!reader)
        return;
    close_part(&reader->value);
    close_part(&reader->key);
    leat__free(reader->key_row);
    leat__free(reader);
}

/* ---- parts ---- */

static int no_memory(struct leat_error *err)
{
    return leat__error(err, LEAT_ENOMEM, "out of memory for the fields of messages");
}

static int copy_bytes(
    struct leat_batch *batch, const void *data, size_t len, struct leat_sv *to, struct leat_error *err)
{
    char *copy = leat__batch_alloc(batch, len ? len : 1, 1);
    if (!copy)
        return no_memory(err);
    if (len)
        memcpy(copy, data, len);
    *to = (struct leat_sv){ copy, len };
    return 0;
}

static uint64_t big_endian(struct leat_sv bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++)
        value = value << 8 | (unsigned char)bytes.data[i];
    return value;
}

static void put_has(unsigned char *row, const struct leat_field *field, bool has)
{
    if (field->has_offset != LEAT_NOT_NULLABLE)
        row[field->has_offset] = has;
}

/* The field as it is: `bytes` live as long as the batch. */
static int put_raw(
    unsigned char *row, const struct leat_field *field, struct leat_sv bytes, struct leat_error *err)
{
    unsigned char *to = row + field->offset;
    const enum leat_kind kind = field->type->kind;
    if (kind == LEAT_KIND_STRING || kind == LEAT_KIND_BYTES) {
        memcpy(to, &bytes, sizeof bytes);
    } else {
        const size_t size = kind == LEAT_KIND_INT ? 4 : 8;
        if (bytes.len != size)
            return leat__error(err, LEAT_EDATA, "field \"%s\" has %zu bytes, and %s as it is has %zu",
                field->name, bytes.len, field->type->name, size);
        const uint64_t value = big_endian(bytes);
        const uint32_t small = (uint32_t)value;
        memcpy(to, size == 4 ? (const void *)&small : (const void *)&value, size);
    }
    put_has(row, field, true);
    return 0;
}

static int read_avro(
    struct part_reader *p, struct leat_sv bytes, struct leat_batch *batch, struct leat_error *err)
{
    struct leat_decoder *decoder;
    LEAT_TRY(leat__kafka_frame_open(p->frames, &bytes, &decoder, err));
    const uint8_t *at = (const uint8_t *)bytes.data, *end = at + bytes.len;
    const int64_t rows = leat__decode(decoder, &at, end, batch, 1, err);
    if (rows == 1 && at == end)
        return 0;
    if (rows == 1) {
        batch->count--;
        return leat__error(err, LEAT_EDATA, "%zu bytes follow the record", (size_t)(end - at));
    }
    return rows < 0 ? (int)rows : leat__error(err, LEAT_EDATA, "it has no bytes, and a record has some");
}

static int read_raw(const struct leat_kafka_part *part, struct leat_sv bytes, struct leat_batch *batch,
    struct leat_error *err)
{
    const int code = put_raw(leat__batch_push(batch), part->raw, bytes, err);
    if (code < 0)
        batch->count--;
    return code;
}

/* Adds a row with the fields of the part. `bytes` live as long as the batch, which has room. */
static int read_part(
    struct part_reader *p, struct leat_sv bytes, struct leat_batch *batch, struct leat_error *err)
{
    if (p->frames)
        return read_avro(p, bytes, batch, err);
    if (p->json)
        return leat__json_decode(p->json, bytes.data, bytes.len, batch, err);
    if (p->csv)
        return leat__csv_decode(p->csv, bytes.data, bytes.len, batch, err);
    return read_raw(p->part, bytes, batch, err);
}

/* JSON and CSV copy what they keep; of the rest views of the message's own bytes would stay. */
static int read_bytes(
    struct part_reader *p, const void *data, size_t len, struct leat_batch *batch, struct leat_error *err)
{
    struct leat_sv bytes = { data, len };
    if (!p->json && !p->csv)
        LEAT_TRY(copy_bytes(batch, data, len, &bytes, err));
    return read_part(p, bytes, batch, err);
}

/* ---- the key ---- */

static bool all_nullable(const struct leat_type *type)
{
    for (uint32_t i = 0; i < type->fields_count; i++)
        if (type->fields[i].has_offset == LEAT_NOT_NULLABLE)
            return false;
    return true;
}

/* Decodes the key's fields to key_row. */
static int read_key(struct leat_kafka_reader *r, const rd_kafka_message_t *message, struct leat_batch *batch,
    struct leat_error *err)
{
    memset(r->key_row, 0, r->layout->type->size);
    if (!message->key) {
        if (all_nullable(r->layout->key.type))
            return 0;
        return leat__error(err, LEAT_EDATA, "key: the message has none, and field \"%s\" can not be null",
            r->layout->key.type->fields[0].name);
    }
    const int code = read_bytes(&r->key, message->key, message->key_len, batch, err);
    if (code < 0)
        return leat__error_prefix(err, "key");
    batch->count--;
    memcpy(r->key_row, leat_batch_at(batch, batch->count), r->layout->type->size);
    return 0;
}

static void move_key(const struct leat_kafka_reader *r, unsigned char *row)
{
    const struct leat_type *type = r->layout->key.type;
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct leat_field *field = &type->fields[i];
        memcpy(row + field->offset, r->key_row + field->offset, field->type->size);
        if (field->has_offset != LEAT_NOT_NULLABLE)
            row[field->has_offset] = r->key_row[field->has_offset];
    }
}

/* ---- meta ---- */

static void put_text(unsigned char *row, const struct leat_field *field, struct leat_sv text)
{
    memcpy(row + field->offset, &text, sizeof text);
    put_has(row, field, true);
}

static void put_timestamp(const struct leat_kafka_reader *r, const rd_kafka_message_t *message,
    unsigned char *row, const struct leat_field *field)
{
    rd_kafka_timestamp_type_t type;
    int64_t time = rd_kafka_message_timestamp(message, &type);
    const bool has =
        type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && !__builtin_mul_overflow(time, r->timestamp_factor, &time);
    time = has ? time : 0;
    memcpy(row + field->offset, &time, sizeof time);
    put_has(row, field, has);
}

/* A value of a header; NULL is null where that can be told, else empty. */
static int put_header_value(struct leat_batch *batch, unsigned char *item, size_t offset, size_t has_offset,
    const void *value, size_t len, struct leat_error *err)
{
    struct leat_sv copy = { NULL, 0 };
    if (value)
        LEAT_TRY(copy_bytes(batch, value, len, &copy, err));
    memcpy(item + offset, &copy, sizeof copy);
    if (has_offset != LEAT_NOT_NULLABLE)
        item[has_offset] = value != NULL;
    return 0;
}

/* The entry of that name, or a new one. */
static unsigned char *find_entry(unsigned char *entries, size_t size, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++) {
        struct leat_sv key;
        memcpy(&key, entries + i * size, sizeof key);
        if (leat_sv_eq(key, leat_sv_of(name)))
            return entries + i * size;
    }
    return entries + size * (*count)++;
}

/* Fills packed items or entries; how many there are then. */
static int fill_headers(const struct leat_kafka_layout *layout, const rd_kafka_headers_t *headers,
    struct leat_batch *batch, const struct leat_type *type, unsigned char *items, size_t *count,
    struct leat_error *err)
{
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++) {
        struct leat_sv copy;
        LEAT_TRY(copy_bytes(batch, name, strlen(name), &copy, err));
        if (!layout->headers_are_map) {
            unsigned char *item = items + type->entry_size * (*count)++;
            memcpy(item + layout->header_name->offset, &copy, sizeof copy);
            LEAT_TRY(put_header_value(batch, item, layout->header_value->offset,
                layout->header_value->has_offset, value, len, err));
            continue;
        }
        unsigned char *entry = find_entry(items, type->entry_size, count, name);
        const bool optional = type->item->kind == LEAT_KIND_OPTIONAL;
        memcpy(entry, &copy, sizeof copy);
        LEAT_TRY(
            put_header_value(batch, entry, type->value_offset + (optional ? type->item->value_offset : 0),
                optional ? type->value_offset : LEAT_NOT_NULLABLE, value, len, err));
    }
    return 0;
}

static int put_headers(const struct leat_kafka_layout *layout, const rd_kafka_message_t *message,
    struct leat_batch *batch, unsigned char *row, const struct leat_field *field, struct leat_error *err)
{
    rd_kafka_headers_t *headers = NULL;
    struct leat_array array = { NULL, 0 }; /* a map has the same two members */
    _Static_assert(
        sizeof(struct leat_array) == sizeof(struct leat_map), "views of arrays and maps are alike");
    const rd_kafka_resp_err_t got = rd_kafka_message_headers(message, &headers);
    if (got && got != RD_KAFKA_RESP_ERR__NOENT)
        return leat__error(err, LEAT_EDATA, "headers: %s", rd_kafka_err2str(got));
    const size_t max = headers ? rd_kafka_header_cnt(headers) : 0;
    if (max > 0) {
        unsigned char *items = leat__batch_alloc(batch, max * field->type->entry_size, 16);
        if (!items)
            return no_memory(err);
        memset(items, 0, max * field->type->entry_size);
        LEAT_TRY(fill_headers(layout, headers, batch, field->type, items, &array.count, err));
        array.items = items;
    }
    memcpy(row + field->offset, &array, sizeof array);
    put_has(row, field, true);
    return 0;
}

static int put_topic(struct leat_kafka_reader *r, const rd_kafka_message_t *message, struct leat_batch *batch,
    unsigned char *row, const struct leat_field *field, struct leat_error *err)
{
    if (batch->count == 1) { /* all messages of a batch are of one partition */
        const char *name = rd_kafka_topic_name(message->rkt);
        LEAT_TRY(copy_bytes(batch, name, strlen(name), &r->topic, err));
    }
    put_text(row, field, r->topic);
    return 0;
}

/* The last header of that name; data NULL: there is none. */
static struct leat_sv find_header(const rd_kafka_headers_t *headers, const char *name)
{
    const void *value;
    size_t len;
    if (rd_kafka_header_get_last(headers, name, &value, &len) || !value)
        return (struct leat_sv){ NULL, 0 };
    return (struct leat_sv){ value, len };
}

/* As a tracestate is: so it is a string, too. */
static bool is_printable(struct leat_sv text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

static int put_trace_text(struct leat_batch *batch, unsigned char *row, const struct leat_field *field,
    struct leat_sv text, struct leat_error *err)
{
    struct leat_sv copy;
    LEAT_TRY(copy_bytes(batch, text.data, text.len, &copy, err));
    put_text(row, field, copy);
    return 0;
}

/* A malformed traceparent is none, and a tracestate without one is none. */
static int put_trace(const struct leat_kafka_layout *layout, const rd_kafka_message_t *message,
    struct leat_batch *batch, unsigned char *row, struct leat_error *err)
{
    const struct leat_kafka_meta_place *state = &layout->meta[LEAT_KAFKA_META_TRACESTATE];
    rd_kafka_headers_t *headers;
    struct leat_traceparent ignored;
    if (rd_kafka_message_headers(message, &headers))
        return 0;
    const struct leat_sv parent = find_header(headers, LEAT_KAFKA_TRACEPARENT);
    if (!parent.data || !leat__traceparent_read(parent, &ignored))
        return 0;
    LEAT_TRY(put_trace_text(batch, row, layout->meta[LEAT_KAFKA_META_TRACEPARENT].field, parent, err));
    if (!state->is_set)
        return 0;
    const struct leat_sv text = find_header(headers, LEAT_KAFKA_TRACESTATE);
    if (text.len == 0 || !is_printable(text))
        return 0;
    return put_trace_text(batch, row, state->field, text, err);
}

static int put_meta(struct leat_kafka_reader *r, const rd_kafka_message_t *message, struct leat_batch *batch,
    unsigned char *row, struct leat_error *err)
{
    const struct leat_kafka_meta_place *meta = r->layout->meta;
    const struct leat_field *field;
    if (meta[LEAT_KAFKA_META_TOPIC].is_set)
        LEAT_TRY(put_topic(r, message, batch, row, meta[LEAT_KAFKA_META_TOPIC].field, err));
    if (meta[LEAT_KAFKA_META_PARTITION].is_set) {
        field = meta[LEAT_KAFKA_META_PARTITION].field;
        memcpy(row + field->offset, &message->partition, sizeof message->partition);
        put_has(row, field, true);
    }
    if (meta[LEAT_KAFKA_META_OFFSET].is_set) {
        field = meta[LEAT_KAFKA_META_OFFSET].field;
        memcpy(row + field->offset, &message->offset, sizeof message->offset);
        put_has(row, field, true);
    }
    if (meta[LEAT_KAFKA_META_TIMESTAMP].is_set)
        put_timestamp(r, message, row, meta[LEAT_KAFKA_META_TIMESTAMP].field);
    if (meta[LEAT_KAFKA_META_HEADERS].is_set)
        LEAT_TRY(put_headers(r->layout, message, batch, row, meta[LEAT_KAFKA_META_HEADERS].field, err));
    if (meta[LEAT_KAFKA_META_KEY].is_set && message->key) {
        struct leat_sv key;
        LEAT_TRY(copy_bytes(batch, message->key, message->key_len, &key, err));
        put_text(row, meta[LEAT_KAFKA_META_KEY].field, key);
    }
    if (r->layout->has_trace)
        LEAT_TRY(put_trace(r->layout, message, batch, row, err));
    if (meta[LEAT_KAFKA_META_TOMBSTONE].is_set)
        row[meta[LEAT_KAFKA_META_TOMBSTONE].field->offset] = message->payload == NULL;
    return 0;
}

/* ---- messages ---- */

static int read_value(struct leat_kafka_reader *r, const rd_kafka_message_t *message,
    struct leat_batch *batch, struct leat_error *err)
{
    if (message->payload)
        return read_bytes(&r->value, message->payload, message->len, batch, err);
    if (!r->layout->meta[LEAT_KAFKA_META_TOMBSTONE].is_set)
        return leat__error(err, LEAT_EDATA,
            "the message has no value (it deletes its key), and the record has no field that tells "
            "(meta.tombstone)");
    (void)leat__batch_push(batch);
    return 0;
}

int leat__kafka_read(struct leat_kafka_reader *reader, const rd_kafka_message_t *message,
    struct leat_batch *batch, struct leat_error *err)
{
    /* What is in the value as well is read from there. */
    const bool reads_key = reader->layout->key.type && (reader->layout->key_only || !message->payload);
    if (reads_key)
        LEAT_TRY(read_key(reader, message, batch, err));
    LEAT_TRY(read_value(reader, message, batch, err));
    unsigned char *row = (unsigned char *)leat_batch_at(batch, batch->count - 1);
    if (reads_key)
        move_key(reader, row);
    if (!reader->has_meta)
        return 0;
    const int code = put_meta(reader, message, batch, row, err);
    if (code < 0)
        batch->count--;
    return code;
}
