/* tests/fuzz/fuzz_csv.c -- the first byte picks a separator; the rest is a CSV file: a header and records.
 * Each record that is taken must come back when it is written, and be one record to the splitter. */
#include "record/csv.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

static const char schema_text[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"a\",\"type\":[\"null\",\"string\"]},{\"name\":\"b\",\"type\":\"string\",\"default\":\"x,y\"}"
    ","
    "{\"name\":\"c\",\"type\":\"int\",\"default\":1},{\"name\":\"d\",\"type\":[\"null\",\"double\"]},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"A\",\"BC\"]},\"default\":"
    "\"A\"},"
    "{\"name\":\"f\",\"type\":[\"null\",{\"type\":\"fixed\",\"name\":\"fx\",\"size\":2}]},"
    "{\"name\":\"g\",\"type\":[\"null\",\"boolean\"]},{\"name\":\"h\",\"type\":[\"null\",\"bytes\"]},"
    "{\"name\":\"i\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}]},"
    "{\"name\":\"j\",\"type\":\"float\",\"default\":0.5}]}";

struct target {
    const struct leat_type *type;
    struct leat_csv_decoder *decoder, *own; /* by the input's header; by the one that is written */
    struct leat_batch *batch;
    struct leat_error err;
    char separator;
};

static void come_back(struct target *t)
{
    struct leat_strbuf first = { 0 }, second = { 0 };
    FUZZ_CHECK(leat__csv_encode(t->type, t->separator, leat_batch_at(t->batch, 0), &first, &t->err) == 0);
    FUZZ_CHECK(leat__csv_record_end(first.data, first.len) == first.len);
    FUZZ_CHECK(leat__csv_decode(t->own, first.data, first.len, t->batch, &t->err) == 0);
    FUZZ_CHECK(leat__csv_encode(t->type, t->separator, leat_batch_at(t->batch, 1), &second, &t->err) == 0);
    FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    leat__strbuf_release(&first);
    leat__strbuf_release(&second);
}

static void read_records(struct target *t, const char *text, size_t len)
{
    while (len > 0) {
        const size_t end = leat__csv_record_end(text, len);
        FUZZ_CHECK(end <= len);
        const size_t take = end ? end : len; /* the last one may have no line end */
        leat__batch_rows(t->batch, 0);
        const int code = leat__csv_decode(t->decoder, text, take, t->batch, &t->err);
        FUZZ_CHECK(code == 0 || (code == LEAT_EDATA && t->err.message[0] != '\0'));
        FUZZ_CHECK(t->batch->count == (code == 0));
        if (code == 0)
            come_back(t);
        text += take;
        len -= take;
    }
}

/* Made once: parsing a schema takes longer than reading a file. */
static const struct leat_type *get_type(void)
{
    static const struct leat_type *type;
    static struct leat_arena arena;
    static struct leat_schema *schema;
    struct leat_error err = { 0 };
    if (!type) {
        FUZZ_CHECK(leat__schema_parse(schema_text, strlen(schema_text), &schema, &err) == 0);
        FUZZ_CHECK(leat__schema_type(schema, &arena, &type, &err) == 0);
    }
    return type;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char separators[] = ",;\t|";
    static struct leat_csv_decoder *own[4];
    struct leat_pool *pool;
    struct leat_strbuf header = { 0 };
    if (size == 0)
        return 0;
    struct target t = { .type = get_type(), .separator = separators[data[0] % 4] };
    const char *text = (const char *)data + 1;
    size--;
    FUZZ_CHECK(leat__pool_new(16, &pool) == 0);
    FUZZ_CHECK(leat__batch_get(pool, t.type, &t.batch) == 0);
    leat__csv_encode_header(t.type, t.separator, &header);
    if (!own[data[0] % 4])
        FUZZ_CHECK(leat__csv_decoder_new(
                       t.type, t.separator, header.data, header.len, &own[data[0] % 4], &t.err) == 0);
    t.own = own[data[0] % 4];

    const size_t end = leat__csv_record_end(text, size);
    const size_t take = end ? end : size;
    const int code = leat__csv_decoder_new(t.type, t.separator, text, take, &t.decoder, &t.err);
    FUZZ_CHECK(code == 0 || (code == LEAT_EDATA && t.err.message[0] != '\0'));
    if (code == 0)
        read_records(&t, text + take, size - take);

    leat__csv_decoder_free(t.decoder);
    leat__strbuf_release(&header);
    leat__batch_release(t.batch);
    leat__pool_free(pool);
    return 0;
}
