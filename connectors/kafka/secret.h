/* connectors/kafka/secret.h -- values that nobody may read along: where they come from, and that they are in no text.
 *
 * A value of a property is itself or a reference, "${file:PATH}" (the first line of a file) or "${env:NAME}", which is resolved
 * at the last moment. A file that has a secret must not be open to others: who may write it chooses what we log in to, who
 * may read it has the secret. The second is only asked of files whose rights we could mend: what an orchestrator mounts read-only, or
 * what belongs to another user, is as it is.
 *
 * librdkafka's texts may quote what it was given; so a text that leaves goes through leat__kafka_redact. */
#ifndef LEAT_CONNECTORS_KAFKA_SECRET_H
#define LEAT_CONNECTORS_KAFKA_SECRET_H
#include "base/env.h"
#include "base/strbuf.h"
#include <leat/type.h>
#include <librdkafka/rdkafka.h>

#define LEAT_KAFKA_FILE_BYTES_MAX (64 * 1024) /* of a file of properties or a secret */

bool leat__kafka_is_reference(struct leat_sv value);
/* The value with its reference resolved, to out, which the caller wipes. `is_secret`: the file must not be open to others. */
LEAT_NODISCARD int leat__kafka_resolve(struct leat_env *env, struct leat_sv value, bool is_secret,
    struct leat_strbuf *out, struct leat_error *err);
/* The whole file, to out. */
LEAT_NODISCARD int leat__kafka_read_file(
    struct leat_env *env, const char *path, struct leat_strbuf *out, struct leat_error *err);
/* LEAT_EACCESS, with what to do, for a file that is open to others; LEAT_ENOTFOUND. */
LEAT_NODISCARD int leat__kafka_check_closed(struct leat_env *env, const char *path, struct leat_error *err);
void leat__kafka_wipe(struct leat_strbuf *text); /* overwritten and released */
/* Puts *** in place of all that the text has of secret values of the configuration. */
void leat__kafka_redact(const rd_kafka_conf_t *conf, char *text);
#endif
