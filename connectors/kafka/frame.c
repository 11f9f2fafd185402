/* connectors/kafka/frame.c -- see the header. */
#include "connectors/kafka/frame.h"
#include "base/alloc.h"
#include "connectors/kafka/schemas.h"
#include <inttypes.h>

struct leat_kafka_frames {
    enum leat_format format;
    struct leat_decoder *own; /* of the one schema that is known */
    uint64_t fingerprint; /* its */
    struct leat_kafka_schemas *schemas; /* of a registry */
};

static int know_own(struct leat_kafka_frames *made, const struct leat_kafka_part *part,
    const char *written_schema, struct leat_error *err)
{
    const char *text = written_schema ? written_schema : part->type->schema;
    struct leat_schema *writer;
    LEAT_TRY(leat__schema_parse(text, strlen(text), &writer, err));
    made->fingerprint = writer->fingerprint;
    const int code = leat__decoder_new(
        writer, part->type, &(struct leat_decoder_opts){ .is_part = true }, &made->own, err);
    leat__schema_free(writer);
    return code;
}

int leat__kafka_frames_new(const struct leat_kafka_part *part, bool is_key, const char *written_schema,
    const struct leat_kafka_conn *conn, struct leat_env *env, struct leat_kafka_frames **frames,
    struct leat_error *err)
{
    struct leat_kafka_frames *made = leat__calloc(1, sizeof *made);
    *frames = NULL;
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a decoder");
    made->format = part->format;
    const int code = part->format == LEAT_FORMAT_AVRO_REGISTRY
        ? leat__kafka_schemas_new(part, is_key, conn, env, &made->schemas, err)
        : know_own(made, part, written_schema, err);
    if (code < 0)
        leat__kafka_frames_free(made);
    else
        *frames = made;
    return code;
}

void leat__kafka_frames_free(struct leat_kafka_frames *frames)
{
    if (!frames)
        return;
    leat__decoder_free(frames->own);
    leat__kafka_schemas_free(frames->schemas);
    leat__free(frames);
}

static int open_single(struct leat_kafka_frames *frames, struct leat_sv *bytes, struct leat_error *err)
{
    const unsigned char *at = (const unsigned char *)bytes->data;
    uint64_t fingerprint = 0;
    if (bytes->len < LEAT_KAFKA_SINGLE_BYTES || at[0] != 0xc3 || at[1] != 0x01)
        return leat__error(err, LEAT_EDATA,
            "it is no single object of Avro: its %zu bytes do not begin with c3 01 and a fingerprint",
            bytes->len);
    for (int i = 7; i >= 0; i--)
        fingerprint = fingerprint << 8 | at[2 + i];
    if (fingerprint != frames->fingerprint)
        return leat__error(err, LEAT_EDATA,
            "it was written with the schema of fingerprint %016" PRIx64 "; known is only %016" PRIx64
            ", that of its own type",
            fingerprint, frames->fingerprint);
    bytes->data += LEAT_KAFKA_SINGLE_BYTES;
    bytes->len -= LEAT_KAFKA_SINGLE_BYTES;
    return 0;
}

static int open_numbered(struct leat_kafka_frames *frames, struct leat_sv *bytes,
    struct leat_decoder **decoder, struct leat_error *err)
{
    const unsigned char *at = (const unsigned char *)bytes->data;
    if (bytes->len < LEAT_KAFKA_REGISTRY_BYTES || at[0] != 0)
        return leat__error(err, LEAT_EDATA,
            "it has no number of a schema registry: its %zu bytes do not begin with 00 and four more",
            bytes->len);
    const uint32_t id = (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4];
    if (id > INT32_MAX)
        return leat__error(err, LEAT_EDATA, "it names schema %" PRIu32 ", which no registry has", id);
    LEAT_TRY(leat__kafka_schemas_decoder(frames->schemas, (int32_t)id, decoder, err));
    bytes->data += LEAT_KAFKA_REGISTRY_BYTES;
    bytes->len -= LEAT_KAFKA_REGISTRY_BYTES;
    return 0;
}

int leat__kafka_frame_open(struct leat_kafka_frames *frames, struct leat_sv *bytes,
    struct leat_decoder **decoder, struct leat_error *err)
{
    *decoder = frames->own;
    if (frames->format == LEAT_FORMAT_AVRO_REGISTRY)
        return open_numbered(frames, bytes, decoder, err);
    return frames->format == LEAT_FORMAT_AVRO_SINGLE ? open_single(frames, bytes, err) : 0;
}
