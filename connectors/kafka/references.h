/* connectors/kafka/references.h -- schemas of a registry that name types of other subjects: made one text, as the rest reads it.
 *
 * What a schema refers to is fetched, and what that refers to; then each name stands where it is first used with its definition,
 * and after that as a name. Answers are not trusted: their number, and how deep they lie, are bounded. */
#ifndef LEAT_CONNECTORS_KAFKA_REFERENCES_H
#define LEAT_CONNECTORS_KAFKA_REFERENCES_H
#include "base/error.h"
#include "base/strbuf.h"
#include <jansson.h>

#define LEAT_REGISTRY_REFERENCES_MAX 200u
#define LEAT_REGISTRY_DEPTH_MAX 32u /* of references to references, and of types in a schema */

/* The registry's answer for a version of a subject, to be released; NULL with *code and err. */
typedef json_t *(*leat_registry_version_fn)(
    void *arg, const char *subject, json_int_t version, int *code, struct leat_error *err);

/* The schema in `answer` ({ schema, references }) as one text, appended to out. `what` is for errors: "schema 7".
 * LEAT_EUNSUPPORTED for what is not Avro, LEAT_ESCHEMA for what is no schema, LEAT_ELIMIT; or what fetch has failed with. */
LEAT_NODISCARD int leat__registry_inline(const json_t *answer, const char *what,
    leat_registry_version_fn fetch, void *arg, struct leat_strbuf *out, struct leat_error *err);
#endif
