/* tools/gen.h -- `leat gen`: C headers and sources from Avro schemas. */
#ifndef LEAT_TOOLS_GEN_H
#define LEAT_TOOLS_GEN_H
#include "base/strbuf.h"
#include "record/schema.h"

/* What is generated from one schema file. `notes` says, a line each, where a name had to change. */

struct leat_gen_output {
    struct leat_strbuf header, source, notes;
};

/* Generates for the schema in `text`; `stem` is the file's name without folder and ending: the names of the
 * header and its guard. LEAT_ESCHEMA for schemas that have no struct or whose top is not a record. */
LEAT_NODISCARD int leat__gen(
    const char *stem, const char *text, size_t len, struct leat_gen_output *out, struct leat_error *err);
void leat__gen_release(struct leat_gen_output *out);

/* The command: `leat gen FILE.avsc... -o DIR`. Exit code. */
int leat__gen_main(int argc, char **argv);
#endif
