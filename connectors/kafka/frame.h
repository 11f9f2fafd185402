/* connectors/kafka/frame.h -- what stands before the bytes of a record in a message.
 *
 *   AVRO_BINARY    nothing: the writer's schema is the node's to know
 *   AVRO_SINGLE    C3 01 and the fingerprint of the writer's schema, 8 bytes, little endian
 *   AVRO_REGISTRY  00 and the number that a schema registry has for it, 4 bytes, big endian (schemas.h)
 *
 * Opening a frame gives the record's bytes and the decoder for them. There is one decoder for each schema that was met, and
 * they are made when they are first needed; messages in a row with the same schema find theirs by a comparison. */
#ifndef LEAT_CONNECTORS_KAFKA_FRAME_H
#define LEAT_CONNECTORS_KAFKA_FRAME_H
#include "connectors/kafka/message_private.h"
#include "record/avro.h"

#define LEAT_KAFKA_SINGLE_BYTES 10u

struct leat_kafka_frames; /* of one part of messages, for one thread at a time */
/* `written_schema`: of AVRO_BINARY; NULL: the part's own. LEAT_ESCHEMA where the type can not be read from it. */
LEAT_NODISCARD int leat__kafka_frames_new(const struct leat_kafka_part *part, bool is_key,
    const char *written_schema, const struct leat_kafka_conn *conn, struct leat_env *env,
    struct leat_kafka_frames **frames, struct leat_error *err);
void leat__kafka_frames_free(struct leat_kafka_frames *frames); /* NULL is fine */
/* The decoder of the record in `bytes`, which becomes what is behind the frame. LEAT_EDATA for what is no frame, or names
 * a schema that is not known or can not be read as the type; other errors are of the registry. */
LEAT_NODISCARD int leat__kafka_frame_open(struct leat_kafka_frames *frames, struct leat_sv *bytes,
    struct leat_decoder **decoder, struct leat_error *err);
#endif
