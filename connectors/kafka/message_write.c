/* connectors/kafka/message_write.c -- one record to key, value, headers and place of a message.
 *
 * A part (value or key) is its frame, which is the same for all messages of a topic, and its fields in their format. A field of
 * LEAT_FORMAT_RAW that is null is a part that is not there. */
#include "base/alloc.h"
#include "base/assert.h"
#include "connectors/kafka/message_private.h"
#include "connectors/kafka/schemas.h"
#include "record/avro.h"
#include "record/csv.h"
#include "record/json.h"
#include "record/trace_context.h"

#define FRAME_BYTES 10u /* before Avro: C3 01 and a fingerprint */
#define TOPIC_BYTES_MAX 249u /* of Kafka */

struct part_writer {
    const struct leat_kafka_part *part;
    struct leat_encoder *encoder; /* Avro */
    struct leat_strbuf out;
    char frame[FRAME_BYTES];
    size_t frame_bytes;
    struct leat_kafka_schemas *schemas; /* whose numbers the frames have, or NULL */
    char separator;
};

struct leat_kafka_writer {
    const struct leat_kafka_layout *layout;
    struct part_writer value, key;
    struct leat_strbuf headers;
    struct leat_strbuf links; /* value of one of them */
};

/* ---- parts ---- */

/* What stands before each of them, unless that is a number of its topic. */
static void set_fingerprint(struct part_writer *w)
{
    w->frame[0] = (char)0xC3;
    w->frame[1] = 1;
    for (unsigned i = 0; i < 8; i++)
        w->frame[2 + i] = (char)(unsigned char)(w->part->type->fingerprint >> 8 * i);
    w->frame_bytes = FRAME_BYTES;
}

static int set_number(struct part_writer *w, struct leat_sv topic, struct leat_error *err)
{
    int32_t id;
    LEAT_TRY(leat__kafka_schemas_number(w->schemas, topic, &id, err));
    w->frame[0] = 0;
    for (unsigned i = 0; i < 4; i++)
        w->frame[1 + i] = (char)(unsigned char)((uint32_t)id >> (24 - 8 * i));
    w->frame_bytes = LEAT_KAFKA_REGISTRY_BYTES;
    return 0;
}

static int open_part(struct leat_kafka_writer *writer, bool is_key, const struct leat_kafka_conn *conn,
    struct leat_env *env, struct leat_error *err)
{
    struct part_writer *w = is_key ? &writer->key : &writer->value;
    w->part = is_key ? &writer->layout->key : &writer->layout->value;
    w->separator = writer->layout->separator;
    if (!w->part->type)
        return 0;
    if (w->part->format == LEAT_FORMAT_AVRO_REGISTRY)
        LEAT_TRY(leat__kafka_schemas_new(w->part, is_key, conn, env, &w->schemas, err));
    if (w->part->format == LEAT_FORMAT_AVRO_SINGLE)
        set_fingerprint(w);
    if (w->schemas || w->part->format == LEAT_FORMAT_AVRO_BINARY ||
        w->part->format == LEAT_FORMAT_AVRO_SINGLE)
        return leat__encoder_new_part(w->part->type, &w->encoder, err);
    return 0;
}

static void close_part(struct part_writer *w)
{
    leat__encoder_free(w->encoder);
    leat__kafka_schemas_free(w->schemas);
    leat__strbuf_release(&w->out);
}

static bool is_null(const struct leat_field *field, const void *record)
{
    bool has = true;
    if (field->has_offset != LEAT_NOT_NULLABLE)
        memcpy(&has, (const char *)record + field->has_offset, sizeof has);
    return !has;
}

/* A string or bytes; the view in the record, with data even where it is empty. */
static struct leat_sv text_of(const struct leat_field *field, const void *record)
{
    struct leat_sv text;
    memcpy((void *)&text, (const char *)record + field->offset, sizeof text);
    return text.data ? text : (struct leat_sv){ "", 0 };
}

static void put_big_endian(struct leat_strbuf *out, const void *value, size_t size)
{
    uint64_t bits = 0;
    char bytes[8];
    if (size == 4) {
        uint32_t half;
        memcpy(&half, value, sizeof half);
        bits = half;
    } else {
        memcpy(&bits, value, sizeof bits);
    }
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(unsigned char)(bits >> 8 * (size - 1 - i));
    leat__strbuf_add(out, bytes, size);
}

static struct leat_sv write_raw(struct part_writer *w, const void *record)
{
    const struct leat_field *field = w->part->raw;
    if (is_null(field, record))
        return (struct leat_sv){ NULL, 0 };
    if (field->type->kind == LEAT_KIND_STRING || field->type->kind == LEAT_KIND_BYTES)
        return text_of(field, record);
    put_big_endian(&w->out, (const char *)record + field->offset, field->type->size);
    return (struct leat_sv){ w->out.data, w->out.len };
}

static int encode(struct part_writer *w, const void *record, struct leat_error *err)
{
    const struct leat_type *type = w->part->type;
    leat__strbuf_add(&w->out, w->frame, w->frame_bytes);
    switch (w->part->format) {
    case LEAT_FORMAT_JSON:
        return leat__json_encode(type, LEAT_JSON_PLAIN, record, &w->out, err);
    case LEAT_FORMAT_JSON_AVRO:
        return leat__json_encode(type, LEAT_JSON_AVRO, record, &w->out, err);
    case LEAT_FORMAT_CSV:
        LEAT_TRY(leat__csv_encode(type, w->separator, record, &w->out, err));
        if (!w->out.failed)
            w->out.data[--w->out.len] = '\0'; /* a message is one line, without its end */
        return 0;
    default:
        return leat__encode_record(w->encoder, record, &w->out, err);
    }
}

static int write_part(struct part_writer *w, const void *record, struct leat_sv topic, struct leat_sv *out,
    struct leat_error *err)
{
    *out = (struct leat_sv){ NULL, 0 };
    if (!w->part->type)
        return 0;
    leat__strbuf_clear(&w->out);
    if (w->part->format == LEAT_FORMAT_RAW) {
        *out = write_raw(w, record);
    } else {
        if (w->schemas)
            LEAT_TRY(set_number(w, topic, err));
        LEAT_TRY(encode(w, record, err));
        *out = (struct leat_sv){ w->out.data, w->out.len };
    }
    return w->out.failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a message") : 0;
}

/* ---- the writer ---- */

int leat__kafka_writer_new(const struct leat_kafka_layout *layout, const struct leat_kafka_conn *conn,
    struct leat_env *env, struct leat_kafka_writer **writer, struct leat_error *err)
{
    struct leat_kafka_writer *w = leat__calloc(1, sizeof *w);
    *writer = NULL;
    if (!w)
        return leat__error(err, LEAT_ENOMEM, "out of memory for writing messages");
    w->layout = layout;
    int code = open_part(w, false, conn, env, err);
    if (code == 0)
        code = open_part(w, true, conn, env, err);
    if (code < 0) {
        leat__kafka_writer_free(w);
        return code;
    }
    *writer = w;
    return 0;
}

void leat__kafka_writer_free(struct leat_kafka_writer *w)
{
    if (!w)
        return;
    close_part(&w->value);
    close_part(&w->key);
    leat__strbuf_release(&w->headers);
    leat__strbuf_release(&w->links);
    leat__free(w);
}

/* ---- meta ---- */

/* The field, unless it is not wanted or null here. */
static const struct leat_field *meta_of(
    const struct leat_kafka_writer *w, enum leat_kafka_meta_field which, const void *record)
{
    const struct leat_kafka_meta_place *place = &w->layout->meta[which];
    return place->is_set && !is_null(place->field, record) ? place->field : NULL;
}

static bool is_topic(struct leat_sv name)
{
    if (name.len > TOPIC_BYTES_MAX || leat_sv_eq(name, LEAT_SV(".")) || leat_sv_eq(name, LEAT_SV("..")))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '.' &&
            c != '_' && c != '-')
            return false;
    }
    return true;
}

static int write_place(const struct leat_kafka_writer *w, const void *record,
    struct leat_kafka_written *written, struct leat_error *err)
{
    const struct leat_field *topic = meta_of(w, LEAT_KAFKA_META_TOPIC, record);
    const struct leat_field *partition = meta_of(w, LEAT_KAFKA_META_PARTITION, record);
    if (topic && text_of(topic, record).len > 0) {
        written->topic = text_of(topic, record);
        if (!is_topic(written->topic))
            return leat__error(err, LEAT_EDATA,
                "%s is no name of a topic: it has letters, digits, '.', '_' and '-', at most %u", topic->name,
                TOPIC_BYTES_MAX);
    }
    if (partition) {
        memcpy(&written->partition, (const char *)record + partition->offset, sizeof written->partition);
        if (written->partition < 0)
            return leat__error(
                err, LEAT_EDATA, "%s is %d: no partition", partition->name, (int)written->partition);
    }
    return 0;
}

static void put_u32(struct leat_strbuf *out, uint32_t value)
{
    char bytes[4];
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (char)(unsigned char)(value >> 8 * i);
    leat__strbuf_add(out, bytes, sizeof bytes);
}

void leat__kafka_put_header(struct leat_strbuf *out, struct leat_sv name, struct leat_sv value)
{
    put_u32(out, (uint32_t)name.len);
    leat__strbuf_add(out, name.data, name.len);
    put_u32(out, value.data ? (uint32_t)value.len : UINT32_MAX);
    leat__strbuf_add(out, value.data, value.len);
}

static int put_header(
    struct leat_strbuf *out, struct leat_sv name, struct leat_sv value, struct leat_error *err)
{
    if (name.len > INT32_MAX || value.len > INT32_MAX)
        return leat__error(err, LEAT_EDATA, "a header is too long");
    leat__kafka_put_header(out, name, value);
    return 0;
}

static int put_map_header(
    struct leat_strbuf *out, const struct leat_type *map, const char *entry, struct leat_error *err)
{
    struct leat_sv name, value = { NULL, 0 };
    const struct leat_type *type = map->item;
    const char *at = entry + map->value_offset;
    bool has = true;
    memcpy((void *)&name, entry, sizeof name);
    if (type->kind == LEAT_KIND_OPTIONAL) {
        memcpy(&has, at, sizeof has);
        at += type->value_offset;
    }
    if (has) {
        memcpy((void *)&value, at, sizeof value);
        if (!value.data)
            value.data = "";
    }
    return put_header(out, name, value, err);
}

/* Of a record that tells its trace, the headers that it was read with tell an old one. */
static bool is_replaced(const struct leat_kafka_layout *layout, struct leat_sv name)
{
    return layout->has_trace &&
        ((layout->meta[LEAT_KAFKA_META_TRACEPARENT].is_set &&
             (leat_sv_eq(name, LEAT_SV(LEAT_KAFKA_TRACEPARENT)) ||
                 leat_sv_eq(name, LEAT_SV(LEAT_KAFKA_TRACESTATE)))) ||
            (layout->meta[LEAT_KAFKA_META_TRACE_LINKS].is_set &&
                leat_sv_eq(name, LEAT_SV(LEAT_KAFKA_TRACE_LINKS))));
}

/* Those of meta.headers; how many were put. */
static int put_headers(
    struct leat_kafka_writer *w, const struct leat_field *field, const void *record, struct leat_error *err)
{
    const struct leat_kafka_layout *layout = w->layout;
    struct leat_array items; /* a map has the same shape */
    int count = 0;
    memcpy((void *)&items, (const char *)record + field->offset, sizeof items);
    if (items.count > INT32_MAX - 8)
        return leat__error(err, LEAT_EDATA, "%s: too many headers", field->name);
    for (size_t i = 0; i < items.count; i++) {
        const char *item = (const char *)items.items + i * field->type->entry_size;
        struct leat_sv name;
        if (layout->headers_are_map)
            memcpy((void *)&name, item, sizeof name);
        else
            name = text_of(layout->header_name, item);
        if (is_replaced(layout, name))
            continue;
        if (layout->headers_are_map)
            LEAT_TRY(put_map_header(&w->headers, field->type, item, err));
        else
            LEAT_TRY(put_header(&w->headers, name,
                is_null(layout->header_value, item) ? (struct leat_sv){ NULL, 0 }
                                                    : text_of(layout->header_value, item),
                err));
        count++;
    }
    return count;
}

/* Adds the traceparents that are well formed to w->links. */
static void add_link(struct leat_kafka_writer *w, struct leat_sv text)
{
    struct leat_traceparent ignored;
    if (!leat__traceparent_read(text, &ignored))
        return;
    if (w->links.len > 0)
        leat__strbuf_char(&w->links, ',');
    leat__strbuf_add(&w->links, text.data, text.len);
}

static int put_links(struct leat_kafka_writer *w, const struct leat_field *field, const void *record)
{
    struct leat_array items;
    leat__strbuf_clear(&w->links);
    if (field->type->kind == LEAT_KIND_STRING) {
        add_link(w, text_of(field, record));
    } else {
        memcpy((void *)&items, (const char *)record + field->offset, sizeof items);
        for (size_t i = 0; i < items.count; i++) {
            struct leat_sv text;
            memcpy((void *)&text, (const char *)items.items + i * field->type->entry_size, sizeof text);
            add_link(w, text);
        }
    }
    w->headers.failed |= w->links.failed;
    if (w->links.len == 0 || w->links.failed)
        return 0;
    leat__kafka_put_header(
        &w->headers, LEAT_SV(LEAT_KAFKA_TRACE_LINKS), (struct leat_sv){ w->links.data, w->links.len });
    return 1;
}

/* How many headers tell of traces. */
static int put_trace(struct leat_kafka_writer *w, const void *record)
{
    const struct leat_field *parent = meta_of(w, LEAT_KAFKA_META_TRACEPARENT, record);
    const struct leat_field *state = meta_of(w, LEAT_KAFKA_META_TRACESTATE, record);
    const struct leat_field *links = meta_of(w, LEAT_KAFKA_META_TRACE_LINKS, record);
    struct leat_traceparent ignored;
    int count = 0;
    if (parent && leat__traceparent_read(text_of(parent, record), &ignored)) {
        leat__kafka_put_header(&w->headers, LEAT_SV(LEAT_KAFKA_TRACEPARENT), text_of(parent, record));
        count++;
        if (state && text_of(state, record).len > 0) {
            leat__kafka_put_header(&w->headers, LEAT_SV(LEAT_KAFKA_TRACESTATE), text_of(state, record));
            count++;
        }
    }
    return links ? count + put_links(w, links, record) : count;
}

static int write_headers(struct leat_kafka_writer *w, const void *record, struct leat_kafka_written *written,
    struct leat_error *err)
{
    const struct leat_field *field = meta_of(w, LEAT_KAFKA_META_HEADERS, record);
    int count = 0;
    if (!field && !w->layout->has_trace)
        return 0;
    leat__strbuf_clear(&w->headers);
    put_u32(&w->headers, 0);
    if (field)
        count = put_headers(w, field, record, err);
    LEAT_TRY(count);
    if (w->layout->has_trace)
        count += put_trace(w, record);
    if (w->headers.failed)
        return leat__error(err, LEAT_ENOMEM, "out of memory for headers");
    if (count == 0)
        return 0;
    for (unsigned i = 0; i < 4; i++)
        w->headers.data[i] = (char)(unsigned char)((uint32_t)count >> 8 * i);
    written->headers = (struct leat_sv){ w->headers.data, w->headers.len };
    return 0;
}

int leat__kafka_write(struct leat_kafka_writer *w, const void *record, int64_t event_us, bool tombstone,
    struct leat_kafka_written *written, struct leat_error *err)
{
    const struct leat_field *time = meta_of(w, LEAT_KAFKA_META_TIMESTAMP, record);
    const struct leat_field *key = meta_of(w, LEAT_KAFKA_META_KEY, record);
    const struct leat_field *no_value = meta_of(w, LEAT_KAFKA_META_TOMBSTONE, record);
    *written = (struct leat_kafka_written){ .partition = -1, .time_us = event_us };
    LEAT_TRY(write_place(w, record, written, err));
    if (time) {
        memcpy(&written->time_us, (const char *)record + time->offset, sizeof written->time_us);
        if (w->layout->timestamp_to_us)
            written->time_us = w->layout->timestamp_to_us(written->time_us);
    }
    if (no_value && !tombstone)
        memcpy(&tombstone, (const char *)record + no_value->offset, sizeof tombstone);
    LEAT_TRY(write_headers(w, record, written, err));
    const struct leat_sv topic = written->topic.data ? written->topic
        : w->layout->topic                           ? leat_sv_of(w->layout->topic)
                                                     : (struct leat_sv){ "", 0 };
    LEAT_TRY(write_part(&w->key, record, topic, &written->key, err));
    if (key)
        written->key = text_of(key, record);
    return tombstone ? 0 : write_part(&w->value, record, topic, &written->value, err);
}

int leat__kafka_write_op(struct leat_kafka_writer *w, const char *member, const char *name,
    struct leat_kafka_written *written, struct leat_error *err)
{
    struct leat_strbuf *out = &w->value.out;
    LEAT_ASSERT(out->len >= 2 && out->data[out->len - 1] == '}' && written->value.data == out->data);
    out->len--;
    leat__strbuf_printf(out, "%s%s\"%s\"}", w->value.part->type->fields_count ? "," : "", member, name);
    written->value = (struct leat_sv){ out->data, out->len };
    return out->failed ? leat__error(err, LEAT_ENOMEM, "out of memory for a message") : 0;
}
