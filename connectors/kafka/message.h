/* connectors/kafka/message.h -- between messages and records: values, keys, headers and the rest of meta.
 *
 * A *layout* is compiled once from type, formats, key and meta: which field comes from where. Fields of the value are those
 * that are neither of meta nor of a key that is `only` there. The value's schema is the record's less the other fields,
 * under the same name, and is what Avro formats write (and register). Layouts are immutable and shared by workers; a
 * reader or writer has buffers of its own and belongs to one worker. Nothing is allocated per message in the steady state:
 * strings of a value that was decoded live in the batch. */
#ifndef LEAT_CONNECTORS_KAFKA_MESSAGE_H
#define LEAT_CONNECTORS_KAFKA_MESSAGE_H
#include "base/strbuf.h"
#include "connectors/kafka/client.h"
#include "record/batch.h"

struct leat_kafka_layout;
struct leat_kafka_layout_opts {
    const struct leat_type *type;
    enum leat_format format;
    const char *value_schema; /* reading AVRO_BINARY; NULL: the value's own */
    struct leat_kafka_key key;
    struct leat_kafka_meta meta;
    char separator;
    bool writing;
    const char *topic; /* writing: of records that name none; borrowed. NULL: each names its own */
};
/* LEAT_EDECLARE names the option ("meta.offset") and what its field should be. Copies what it keeps into the arena. */
LEAT_NODISCARD int leat__kafka_layout_new(const struct leat_kafka_layout_opts *opts, struct leat_arena *arena,
    const struct leat_kafka_layout **layout, struct leat_error *err);
/* Schemas of value and key as JSON text: what a registry gets. key: NULL without key fields in an Avro format. */
const char *leat__kafka_value_schema(const struct leat_kafka_layout *layout);
const char *leat__kafka_key_schema(const struct leat_kafka_layout *layout);

/* ---- reading (message_read.c) ---- */
struct leat_kafka_reader;
LEAT_NODISCARD int leat__kafka_reader_new(const struct leat_kafka_layout *layout,
    const struct leat_kafka_conn *conn, struct leat_env *env, struct leat_kafka_reader **reader,
    struct leat_error *err);
void leat__kafka_reader_free(struct leat_kafka_reader *reader); /* NULL is fine */
/* Adds the message as a row of the batch, which has room; everything is copied out of the message. LEAT_EDATA: it is a bad
 * row, with the cause in err; the batch has no new row then. */
LEAT_NODISCARD int leat__kafka_read(struct leat_kafka_reader *reader, const rd_kafka_message_t *message,
    struct leat_batch *batch, struct leat_error *err);

/* ---- writing (message_write.c) ---- */
struct leat_kafka_writer;
/* What a record becomes; valid until the writer's next use. */
struct leat_kafka_written {
    struct leat_sv topic; /* data NULL: the sink's own */
    int32_t partition; /* -1: not chosen by the record */
    struct leat_sv key, value; /* data NULL: none */
    int64_t time_us;
    /* u32 count, then for each: u32 name size, name, i32 value size (-1: null), value; little endian */
    struct leat_sv headers;
};
LEAT_NODISCARD int leat__kafka_writer_new(const struct leat_kafka_layout *layout,
    const struct leat_kafka_conn *conn, struct leat_env *env, struct leat_kafka_writer **writer,
    struct leat_error *err);
void leat__kafka_writer_free(struct leat_kafka_writer *writer); /* NULL is fine */
/* `tombstone`: only the key. LEAT_EDATA for a record that can not be written. */
LEAT_NODISCARD int leat__kafka_write(struct leat_kafka_writer *writer, const void *record, int64_t event_us,
    bool tombstone, struct leat_kafka_written *written, struct leat_error *err);
/* Adds a last member to the JSON object that was just written; `member`: "op": with its quotes and colon. */
LEAT_NODISCARD int leat__kafka_write_op(struct leat_kafka_writer *writer, const char *member,
    const char *name, struct leat_kafka_written *written, struct leat_error *err);
/* One of written->headers, below 2 GiB; value.data NULL: null. */
void leat__kafka_put_header(struct leat_strbuf *out, struct leat_sv name, struct leat_sv value);
#endif
