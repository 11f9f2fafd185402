/* tools/input.h -- files that a command is given. */
#ifndef LEAT_TOOLS_INPUT_H
#define LEAT_TOOLS_INPUT_H
#include "base/env.h"
#include "base/strbuf.h"

#define LEAT_SCHEMA_FILE_BYTES_MAX (1u << 20)

/* The text of a schema file. LEAT_ELIMIT above LEAT_SCHEMA_FILE_BYTES_MAX; errors name the file. */
LEAT_NODISCARD int leat__input_schema(
    struct leat_env *env, const char *path, struct leat_strbuf *text, struct leat_error *err);
#endif
