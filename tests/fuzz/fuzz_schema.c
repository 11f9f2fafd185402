/* tests/fuzz/fuzz_schema.c -- any text as a schema. One that is read has a canonical form that is read as the
 * same (without name spaces: Avro's form can not say "no name space" inside one), a type that is found to be
 * its own, and programs. */
#include "base/alloc.h"
#include "record/avro.h"
#include "record/copy.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static void check_canonical(const struct leat_schema *schema)
{
    struct leat_schema *again;
    struct leat_error err = { 0 };
    const int code = leat__schema_parse(schema->canonical, strlen(schema->canonical), &again, &err);
    if (!strchr(schema->canonical, '.')) {
        FUZZ_CHECK(code == 0);
        FUZZ_CHECK(strcmp(again->canonical, schema->canonical) == 0);
        FUZZ_CHECK(again->fingerprint == schema->fingerprint);
    }
    leat__schema_free(again);
}

static void check_programs(const struct leat_schema *schema, const struct leat_type *type)
{
    struct leat_error err = { 0 };
    struct leat_decoder *decoder;
    struct leat_encoder *encoder;
    struct leat_copier *copier;
    const int decodes = leat__decoder_new(schema, type, NULL, &decoder, &err);
    FUZZ_CHECK(decodes == 0 || decodes == LEAT_ELIMIT);
    const int encodes = leat__encoder_new(type, &encoder, &err);
    FUZZ_CHECK(encodes == 0 || encodes == LEAT_ELIMIT);
    const int copies = leat__copier_new(type, &copier);
    FUZZ_CHECK(copies == 0 || copies == LEAT_ELIMIT);
    leat__copier_free(copier);
    leat__encoder_free(encoder);
    leat__decoder_free(decoder);
}

static void check_type(const struct leat_schema *schema)
{
    struct leat_arena arena = { 0 };
    struct leat_error err = { 0 };
    const struct leat_type *type;
    const int code = leat__schema_type(schema, &arena, &type, &err);
    if (code == 0) {
        struct leat_strbuf text = { 0 };
        leat__type_print(&text, type);
        FUZZ_CHECK(!text.failed && text.len > 0);
        leat__strbuf_release(&text);
        FUZZ_CHECK(leat__type_check(type, &err) == 0);
        check_programs(schema, type);
    } else {
        FUZZ_CHECK(code == LEAT_ESCHEMA || code == LEAT_ELIMIT);
        FUZZ_CHECK(err.message[0] != '\0');
    }
    leat__arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = leat__alloc_live();
    struct leat_error err = { 0 };
    struct leat_schema *schema;
    const int code = leat__schema_parse((const char *)data, size, &schema, &err);
    if (code == 0) {
        check_canonical(schema);
        check_type(schema);
    } else {
        FUZZ_CHECK(code == LEAT_ESCHEMA || code == LEAT_ELIMIT);
        FUZZ_CHECK(err.code == code && err.message[0] != '\0');
    }
    leat__schema_free(schema);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
