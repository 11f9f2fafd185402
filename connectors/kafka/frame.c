/* connectors/kafka/frame.c -- see the header. */
#include "connectors/kafka/frame.h"
#include "base/alloc.h"
#include <inttypes.h>

struct leat_kafka_frames {
    enum leat_format format;
    struct leat_decoder *own; /* of the one schema that is known */
    uint64_t fingerprint; /* its */
};

int leat__kafka_frame_check(enum leat_format format, const char *option, struct leat_error *err)
{
    if (format != LEAT_FORMAT_AVRO_REGISTRY)
        return 0;
    return leat__error(err, LEAT_EUNSUPPORTED,
        "%s: LEAT_FORMAT_AVRO_REGISTRY can not be read yet: take LEAT_FORMAT_AVRO_BINARY or _AVRO_SINGLE",
        option);
}

int leat__kafka_frames_new(const struct leat_kafka_part *part, const char *written_schema,
    struct leat_kafka_frames **frames, struct leat_error *err)
{
    const char *text = written_schema ? written_schema : part->type->schema;
    struct leat_schema *writer;
    struct leat_kafka_frames *made = leat__calloc(1, sizeof *made);
    *frames = NULL;
    if (!made)
        return leat__error(err, LEAT_ENOMEM, "out of memory for a decoder");
    made->format = part->format;
    int code = leat__schema_parse(text, strlen(text), &writer, err);
    if (code == 0) {
        made->fingerprint = writer->fingerprint;
        code = leat__decoder_new(
            writer, part->type, &(struct leat_decoder_opts){ .is_part = true }, &made->own, err);
        leat__schema_free(writer);
    }
    if (code < 0) {
        leat__free(made);
        return code;
    }
    *frames = made;
    return 0;
}

void leat__kafka_frames_free(struct leat_kafka_frames *frames)
{
    if (!frames)
        return;
    leat__decoder_free(frames->own);
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

int leat__kafka_frame_open(struct leat_kafka_frames *frames, struct leat_sv *bytes,
    struct leat_decoder **decoder, struct leat_error *err)
{
    *decoder = frames->own;
    return frames->format == LEAT_FORMAT_AVRO_SINGLE ? open_single(frames, bytes, err) : 0;
}
