/* record/trace_context.h -- the text of a W3C traceparent: 00-<32 hex>-<16 hex>-<2 hex>, lower case.
 *
 * A later version may have more behind it, after a '-', and is read as far as it is known. What is malformed is none: it
 * is dropped, never an error (https://www.w3.org/TR/trace-context/). */
#ifndef LEAT_RECORD_TRACE_CONTEXT_H
#define LEAT_RECORD_TRACE_CONTEXT_H
#include <leat/type.h>

#define LEAT_TRACE_ID_BYTES 16u
#define LEAT_TRACE_SPAN_BYTES 8u
#define LEAT_TRACEPARENT_CHARS 55u
#define LEAT_TRACE_SAMPLED 1u

struct leat_traceparent {
    uint8_t trace[LEAT_TRACE_ID_BYTES], span[LEAT_TRACE_SPAN_BYTES];
    uint8_t flags;
};
bool leat__traceparent_read(struct leat_sv text, struct leat_traceparent *parent);
/* As version 00, without NUL. */
void leat__traceparent_print(const struct leat_traceparent *parent, char text[LEAT_TRACEPARENT_CHARS]);
#endif
