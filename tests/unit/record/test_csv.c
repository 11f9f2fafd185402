/* tests/unit/record/test_csv.c -- CSV: headers, cells, quotes, values, and that writing and reading are each
 * other's inverse. */
#include "base/alloc.h"
#include "base/limits.h"
#include "record/csv.h"
#include "record/json.h"
#include "tests/support/random_record.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct leat_pool *pool;
    struct leat_error err;
    int64_t live; /* allocations when the test began */
};

struct bench {
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_csv_decoder *decoder;
    struct leat_batch *batch;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->live = leat__alloc_live();
    assert_int_equal(leat__pool_new(16, &f->pool), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    leat__pool_free(f->pool);
    const int64_t live = f->live;
    free(f);
    assert_int_equal(leat__alloc_live(), live);
    return 0;
}

static void bench_open(struct fixture *f, struct bench *b, const char *schema)
{
    memset(b, 0, sizeof *b);
    memset(&f->err, 0, sizeof f->err);
    FAIL_UNLESS(leat__schema_parse(schema, strlen(schema), &b->schema, &f->err) == 0, "%s", f->err.message);
    FAIL_UNLESS(leat__schema_type(b->schema, &b->arena, &b->type, &f->err) == 0, "%s", f->err.message);
    assert_int_equal(leat__batch_get(f->pool, b->type, &b->batch), 0);
}

static void bench_close(struct bench *b)
{
    leat__batch_release(b->batch);
    leat__csv_decoder_free(b->decoder);
    leat__arena_release(&b->arena);
    leat__schema_free(b->schema);
}

struct row {
    const char *name;
    const char *line;
    const char *text; /* of the record as plain JSON, or ! and the error */
};

static void check_rows(struct fixture *f, const char *schema, char separator, const char *header,
    const struct row *rows, size_t count)
{
    struct bench b;
    struct leat_strbuf out = { 0 };
    bench_open(f, &b, schema);
    const int opened = leat__csv_decoder_new(b.type, separator, header, strlen(header), &b.decoder, &f->err);
    FAIL_UNLESS(opened == 0, "%s", f->err.message);
    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(rows[i].line);
        char *line = malloc(len ? len : 1); /* so that a memory checker sees a step too far */
        assert_non_null(line);
        memcpy(line, rows[i].line, len);
        leat__batch_rows(b.batch, 0);
        memset(&f->err, 0, sizeof f->err);
        const int code = leat__csv_decode(b.decoder, line, len, b.batch, &f->err);
        free(line);
        if (rows[i].text[0] == '!') {
            FAIL_UNLESS(code == LEAT_EDATA, "%s: code %d", rows[i].name, code);
            FAIL_UNLESS(strcmp(f->err.message, rows[i].text + 1) == 0, "%s: \"%s\", not \"%s\"", rows[i].name,
                f->err.message, rows[i].text + 1);
            assert_int_equal(b.batch->count, 0);
            continue;
        }
        FAIL_UNLESS(code == 0, "%s: %s", rows[i].name, f->err.message);
        assert_int_equal(b.batch->count, 1);
        leat__strbuf_clear(&out);
        assert_int_equal(
            leat__json_encode(b.type, LEAT_JSON_PLAIN, leat_batch_at(b.batch, 0), &out, &f->err), 0);
        FAIL_UNLESS(
            strcmp(out.data, rows[i].text) == 0, "%s: %s, not %s", rows[i].name, out.data, rows[i].text);
    }
    leat__strbuf_release(&out);
    bench_close(&b);
}

#define RECORD(fields_) "{\"type\":\"record\",\"name\":\"r\",\"fields\":[" fields_ "]}"
#define FIELD(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"
#define DEFAULT(name_, type_, default_) "{\"name\":\"" name_ "\",\"type\":" type_ ",\"default\":" default_ "}"
#define ID_AND_NAME RECORD(FIELD("id", "\"int\"") "," FIELD("name", "\"string\""))

static void test_csv__given_cells__when_decoded__then_quotes_are_honoured(void **state)
{
    static const struct row rows[] = {
        { "plain", "1,abc", "{\"id\":1,\"name\":\"abc\"}" },
        { "line end", "1,abc\n", "{\"id\":1,\"name\":\"abc\"}" },
        { "CRLF", "1,abc\r\n", "{\"id\":1,\"name\":\"abc\"}" },
        { "CR alone is the rest of a line end", "1,abc\r", "{\"id\":1,\"name\":\"abc\"}" },
        { "empty", "1,", "{\"id\":1,\"name\":\"\"}" },
        { "quoted empty", "1,\"\"", "{\"id\":1,\"name\":\"\"}" },
        { "quoted", "\"1\",\"abc\"", "{\"id\":1,\"name\":\"abc\"}" },
        { "separator inside", "1,\"a,b\"", "{\"id\":1,\"name\":\"a,b\"}" },
        { "line ends inside", "1,\"a\r\nb\n\"", "{\"id\":1,\"name\":\"a\\r\\nb\\n\"}" },
        { "doubled quotes", "1,\"\"\"a\"\"\"\"b\"", "{\"id\":1,\"name\":\"\\\"a\\\"\\\"b\"}" },
        { "only a doubled quote", "1,\"\"\"\"", "{\"id\":1,\"name\":\"\\\"\"}" },
        { "quote behind a letter", "1,5\" pipe", "{\"id\":1,\"name\":\"5\\\" pipe\"}" },
        { "spaces stay in text", "1, a ", "{\"id\":1,\"name\":\" a \"}" },
        { "spaces around a number", " 1\t,a", "{\"id\":1,\"name\":\"a\"}" },
        { "UTF-8", "1,\xe2\x82\xac", "{\"id\":1,\"name\":\"\xe2\x82\xac\"}" },
        { "not closed", "1,\"abc", "!column name: a quote is not closed" },
        { "text behind a quote", "1,\"abc\"d",
            "!column name: text follows the closing quote; write a quote within a cell twice" },
        { "quote in the middle", "1,a-\"b\"",
            "!column name: a quote within a cell; put the cell in quotes and write the quote twice" },
        { "too few cells", "1", "!column name is missing: the line has 1 cells, the header 2 columns" },
        { "no cells", "", "!column id: expected a whole number (int), found an empty cell" },
        { "too many cells", "1,a,b,c",
            "!the line has more cells than the header's 2 columns: the first is \"b,c\"" },
        { "an empty cell too many", "1,a,",
            "!the line has more cells than the header's 2 columns: the first is \"\"" },
        { "no number", "x,a", "!column id: expected a whole number (int), found \"x\"" },
        { "long cell in an error", "0123456789012345678901234567890123456789x,a",
            "!column id: expected a whole number (int), found "
            "\"0123456789012345678901234567890123456789\"..." },
    };
    check_rows(*state, ID_AND_NAME, ',', "id,name", rows, COUNT_OF(rows));
}

static void test_csv__given_values__when_decoded__then_by_type(void **state)
{
    static const char schema[] =
        RECORD(FIELD("b", "\"boolean\"") "," FIELD("i", "\"int\"") "," FIELD("l", "\"long\"") "," FIELD(
            "f", "\"float\"") "," FIELD("d", "\"double\"") "," FIELD("y", "\"bytes\"") "," FIELD("e",
            "{\"type\":\"enum\",\"name\":\"color\",\"symbols\":[\"RED\",\"GREEN\"]}") "," FIELD("x",
            "{\"type\":\"fixed\",\"name\":\"two\",\"size\":2}") "," FIELD("t",
            "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"));
    static const struct row rows[] = {
        { "ordinary", "true,-5,9223372036854775807,0.1,1.5e3,ab,GREEN,xy,1000",
            "{\"b\":true,\"i\":-5,\"l\":9223372036854775807,\"f\":0.1,\"d\":1500.0,\"y\":\"ab\",\"e\":"
            "\"GREEN\",\"x\":\"xy\",\"t\":1000}" },
        { "other forms", "0,+5,-9223372036854775808,.5,1.,,RED,\xc3\xbf\n,1970-01-01T00:00:01Z",
            "{\"b\":false,\"i\":5,\"l\":-9223372036854775808,\"f\":0.5,\"d\":1.0,\"y\":\"\",\"e\":\"RED\","
            "\"x\":\"\xc3\xbf\\n\",\"t\":1000}" },
        { "case and quotes", "\"TRUE\",\" 1 \",\"2\",\"3\",\"4\",\"\",\"RED\",\"ab\",\"5\"",
            "{\"b\":true,\"i\":1,\"l\":2,\"f\":3.0,\"d\":4.0,\"y\":\"\",\"e\":\"RED\",\"x\":\"ab\",\"t\":"
            "5}" },
        { "not finite (null in JSON)", "False,1,2,NaN,-inf,,RED,ab,5",
            "{\"b\":false,\"i\":1,\"l\":2,\"f\":null,\"d\":null,\"y\":\"\",\"e\":\"RED\",\"x\":\"ab\",\"t\":"
            "5}" },
        { "boolean", "yes,", "!column b: expected true or false, found \"yes\"" },
        { "int point", "1,1.0", "!column i: expected a whole number (int), found \"1.0\"" },
        { "int range", "1,2147483648",
            "!column i: expected a whole number within the range of int, found \"2147483648\"" },
        { "int beyond long", "1,99999999999999999999",
            "!column i: expected a whole number within the range of int, found \"99999999999999999999\"" },
        { "long range", "1,1,9223372036854775808",
            "!column l: expected a whole number within the range of long, found \"9223372036854775808\"" },
        { "float range", "1,1,1,1e39",
            "!column f: expected a number within the range of its type, found \"1e39\"" },
        { "hexadecimal", "1,1,1,1,0x10", "!column d: expected a number, found \"0x10\"" },
        { "two signs", "1,+-1", "!column i: expected a whole number (int), found \"+-1\"" },
        { "signed nan", "1,1,1,1,-nan", "!column d: expected a number, found \"-nan\"" },
        { "symbol", "1,1,1,1,1,,GREN",
            "!column e: expected a symbol of color: RED, GREEN, found \"GREN\"; did you mean \"GREEN\"?" },
        { "no symbol", "1,1,1,1,1,,",
            "!column e: expected a symbol of color: RED, GREEN, found an empty cell" },
        { "fixed", "1,1,1,1,1,,RED,abc", "!column x: expected 2 characters from 0 to 255, found \"abc\"" },
        { "fixed, short", "1,1,1,1,1,,RED,a", "!column x: expected 2 characters from 0 to 255, found \"a\"" },
        { "fixed, beyond", "1,1,1,1,1,,RED,a\xe2\x82\xac",
            "!column x: expected 2 characters from 0 to 255, found \"a\xe2\x82\xac\"" },
        { "fixed, cut sequence", "1,1,1,1,1,,RED,a\xc3",
            "!column x: expected 2 characters from 0 to 255, found \"a\xc3\"" },
        { "time", "1,1,1,1,1,,RED,ab,today",
            "!column t: expected a whole number or an RFC 3339 timestamp, found \"today\"" },
    };
    check_rows(*state, schema, ',', "b,i,l,f,d,y,e,x,t", rows, COUNT_OF(rows));
}

static void test_csv__given_nullable_fields__when_cells_are_empty__then_null_unless_quoted(void **state)
{
    static const struct row rows[] = {
        { "null", ",", "{\"s\":null,\"i\":null}" },
        { "values", "a,1", "{\"s\":\"a\",\"i\":1}" },
        { "empty string", "\"\",", "{\"s\":\"\",\"i\":null}" },
        { "quoted empty number", ",\"\"", "!column i: expected a whole number (int), found an empty cell" },
        { "the word null is text", "null,2", "{\"s\":\"null\",\"i\":2}" },
    };
    check_rows(*state, RECORD(FIELD("s", "[\"null\",\"string\"]") "," FIELD("i", "[\"int\",\"null\"]")), ',',
        "s,i", rows, COUNT_OF(rows));
}

static void test_csv__given_headers__when_columns_differ__then_found_ignored_or_defaulted(void **state)
{
    static const char schema[] = RECORD(FIELD("id", "\"int\"") "," DEFAULT("n", "\"long\"", "7") "," DEFAULT(
        "s", "\"string\"", "\"dd\"") "," FIELD("o", "[\"null\",\"string\"]"));
    static const struct row reordered[] = { { "reordered", "x,5,y",
        "{\"id\":5,\"n\":7,\"s\":\"x\",\"o\":\"y\"}" } };
    static const struct row extra[] = { { "ignored columns may hold anything", "\"a\"\"\n\",5,,z",
        "{\"id\":5,\"n\":7,\"s\":\"dd\",\"o\":null}" } };
    static const struct row quoted[] = { { "quoted", "5;8", "{\"id\":5,\"n\":8,\"s\":\"dd\",\"o\":null}" } };
    struct fixture *f = *state;
    check_rows(f, schema, ',', "s,id,o", reordered, 1);
    check_rows(f, schema, ',', "who,id,what,what\r\n", extra, 1);
    check_rows(f, schema, ';', "\xef\xbb\xbf\"id\";\"n\"\n", quoted, 1);
    check_rows(f, schema, '\t', "id\tn", &(const struct row){ "tab", "5\t8", quoted[0].text }, 1);
    check_rows(f, schema, '|', "id|n", &(const struct row){ "bar", "5|8", quoted[0].text }, 1);
}

static void test_csv__given_bad_headers__when_compiled__then_refused_with_a_near_miss(void **state)
{
    static const struct {
        const char *name, *header;
        char separator;
        int code;
        const char *text;
    } rows[] = {
        { "missing, near", "id,nam", ',', LEAT_EDATA,
            "no column \"name\", and the field has no default and can not be null (columns: id, nam); did "
            "you mean \"nam\"?" },
        { "missing, far", "id,total", ',', LEAT_EDATA,
            "no column \"name\", and the field has no default and can not be null (columns: id, total)" },
        { "case counts", "ID,name", ',', LEAT_EDATA,
            "no column \"id\", and the field has no default and can not be null (columns: ID, name); did you "
            "mean \"ID\"?" },
        { "other separator", "id;name", ',', LEAT_EDATA,
            "no column \"id\", and the field has no default and can not be null (columns: id;name)" },
        { "twice", "id,name,id", ',', LEAT_EDATA, "column \"id\" is there twice, as number 1 and number 3" },
        { "empty", "", ',', LEAT_EDATA, "the header line is empty: it must name the columns" },
        { "line end only", "\r\n", ',', LEAT_EDATA, "the header line is empty: it must name the columns" },
        { "quote", "id,\"name", ',', LEAT_EDATA, "header, column 2: a quote is not closed" },
        { "separator is a letter", "id,name", 'x', LEAT_EINVAL,
            "the byte 0x78 can not separate CSV cells: use a tab or a punctuation mark but a quote" },
        { "separator is a quote", "id,name", '"', LEAT_EINVAL,
            "the byte 0x22 can not separate CSV cells: use a tab or a punctuation mark but a quote" },
        { "separator is a line end", "id,name", '\n', LEAT_EINVAL,
            "the byte 0x0a can not separate CSV cells: use a tab or a punctuation mark but a quote" },
    };
    struct fixture *f = *state;
    struct bench b;
    bench_open(f, &b, ID_AND_NAME);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const int code = leat__csv_decoder_new(
            b.type, rows[i].separator, rows[i].header, strlen(rows[i].header), &b.decoder, &f->err);
        FAIL_UNLESS(code == rows[i].code && !b.decoder, "%s: code %d", rows[i].name, code);
        FAIL_UNLESS(strcmp(f->err.message, rows[i].text) == 0, "%s: \"%s\"", rows[i].name, f->err.message);
    }
    bench_close(&b);
}

static void test_csv__given_nested_types__when_checked__then_unsupported_with_the_field(void **state)
{
    static const struct {
        const char *schema, *text;
    } rows[] = {
        { RECORD(FIELD("a", "{\"type\":\"array\",\"items\":\"int\"}")),
            "CSV has no nested values: field a of r is an array; use JSON or Avro, or a flat type" },
        { RECORD(FIELD("i", "\"int\"") "," FIELD("m", "{\"type\":\"map\",\"values\":\"int\"}")),
            "CSV has no nested values: field m of r is a map; use JSON or Avro, or a flat type" },
        { RECORD(FIELD("q", "[\"null\",{\"type\":\"record\",\"name\":\"s\",\"fields\":[]}]")),
            "CSV has no nested values: field q of r is a record; use JSON or Avro, or a flat type" },
        { RECORD(FIELD("u", "[\"int\",\"string\"]")),
            "CSV has no nested values: field u of r is a union; use JSON or Avro, or a flat type" },
        { RECORD(""), "CSV needs a record with fields; r has none" },
        { "\"long\"", "CSV needs a record type, not long" },
        { RECORD(FIELD("i", "[\"null\",\"int\"]") "," FIELD("s", "\"string\"")), NULL },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bench b;
        bench_open(f, &b, rows[i].schema);
        const int code = leat__csv_check(b.type, &f->err);
        assert_int_equal(code, rows[i].text ? LEAT_EUNSUPPORTED : 0);
        if (rows[i].text) {
            assert_string_equal(f->err.message, rows[i].text);
            assert_int_equal(
                leat__csv_decoder_new(b.type, ',', "a", 1, &b.decoder, &f->err), LEAT_EUNSUPPORTED);
        }
        bench_close(&b);
    }
}

static void test_csv__given_text__when_split__then_records_end_outside_of_quotes(void **state)
{
    static const struct {
        const char *text;
        size_t end;
    } rows[] = {
        { "", 0 },
        { "abc", 0 },
        { "\n", 1 },
        { "a,b\nc", 4 },
        { "a,b\r\nc", 5 },
        { "\"a\nb\"\nc", 6 },
        { "\"a\nb", 0 },
        { "x,\"a\n\"\"\n\"\nc", 10 },
        { "x,\"\"\nc\n", 5 },
        { "x,\"\"\"\nc\n", 0 },
        { "5\" pipe\n\"\n", 8 },
        { "a \"b\nc\"\n", 5 },
        { "\xc3\xa9\"\n\"\n", 4 },
        { "\xef\xbb\xbf\"a\nb\"\n", 9 },
        { "a;\"\n\"\n", 6 },
        { "a\t\"\n\"|\"\n\"\n", 10 },
        { "\"\"\n", 3 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const size_t len = strlen(rows[i].text);
        char *text = malloc(len ? len : 1);
        assert_non_null(text);
        memcpy(text, rows[i].text, len);
        const size_t end = leat__csv_record_end(text, len);
        FAIL_UNLESS(end == rows[i].end, "%s: %zu, not %zu", rows[i].text, end, rows[i].end);
        /* No shorter text has a whole record, and more text changes nothing. */
        for (size_t cut = 0; end > 0 && cut < end; cut++)
            assert_int_equal(leat__csv_record_end(text, cut), 0);
        free(text);
    }
}

#define ALL_KINDS \
    RECORD(FIELD("a", "\"string\"") "," FIELD("b", "[\"null\",\"string\"]") "," FIELD( \
        "c", "\"long\"") "," FIELD("d", "[\"null\",\"double\"]") "," FIELD("e", "\"float\"") "," FIELD("f", \
        "\"bytes\"") "," FIELD("g", "[\"null\",\"bytes\"]") "," FIELD("h", \
        "{\"type\":\"fixed\",\"name\":\"fx\",\"size\":4}") "," FIELD("i", \
        "{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"S0\",\"S1\"]}") "," FIELD("j", \
        "\"boolean\"") "," FIELD("k", "[\"null\",\"int\"]"))

static void round_trip(struct fixture *f, const char *schema, char separator, uint64_t seed)
{
    struct random_source r = { seed, false, false };
    struct leat_strbuf out = { 0 };
    struct bench b;
    bench_open(f, &b, schema);
    leat__csv_encode_header(b.type, separator, &out);
    assert_int_equal(leat__csv_record_end(out.data, out.len), out.len);
    assert_int_equal(leat__csv_decoder_new(b.type, separator, out.data, out.len, &b.decoder, &f->err), 0);
    for (int i = 0; i < 20; i++) {
        leat__batch_rows(b.batch, 0);
        leat__strbuf_clear(&out);
        void *row = leat__batch_push(b.batch);
        random_fill(&r, b.type, row, b.batch);
        assert_int_equal(leat__csv_encode(b.type, separator, row, &out, &f->err), 0);
        FAIL_UNLESS(leat__csv_record_end(out.data, out.len) == out.len, "seed %llu: %s",
            (unsigned long long)seed, out.data);
        FAIL_UNLESS(leat__csv_decode(b.decoder, out.data, out.len, b.batch, &f->err) == 0,
            "seed %llu: %s: %s", (unsigned long long)seed, out.data, f->err.message);
        FAIL_UNLESS(random_equal(b.type, row, leat_batch_at(b.batch, 1)), "seed %llu: %s",
            (unsigned long long)seed, out.data);
    }
    bench_close(&b);
    leat__strbuf_release(&out);
}

static void test_csv__given_random_records__when_encoded_and_decoded__then_the_same(void **state)
{
    static const char separators[] = ",;\t|";
    for (uint64_t seed = 1; seed <= 100; seed++) {
        round_trip(*state, ALL_KINDS, separators[seed % 4], seed * 7919);
        round_trip(*state, RECORD(FIELD("s", "\"string\"")), ',', seed * 104729);
        round_trip(*state, RECORD(FIELD("s", "[\"null\",\"string\"]")), ',', seed * 31);
    }
}

static void test_csv__given_a_bad_enum__when_encoded__then_refused_and_output_kept(void **state)
{
    struct fixture *f = *state;
    struct bench b;
    struct leat_strbuf out = { 0 };
    const int32_t index = 3;
    bench_open(f, &b, RECORD(FIELD("e", "{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"A\"]}")));
    leat__strbuf_str(&out, "before");
    memcpy(leat__batch_push(b.batch), &index, sizeof index);
    assert_int_equal(leat__csv_encode(b.type, ',', leat_batch_at(b.batch, 0), &out, &f->err), LEAT_EDATA);
    assert_string_equal(f->err.message, "column e: enum en has no symbol 3: its symbols are 0 to 0");
    assert_string_equal(out.data, "before");
    leat__strbuf_release(&out);
    bench_close(&b);
}

static void test_csv__given_long_records__when_decoded__then_taken_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    struct bench b;
    bench_open(f, &b, ID_AND_NAME);
    assert_int_equal(leat__csv_decoder_new(b.type, ',', "id,name", 7, &b.decoder, &f->err), 0);
    char *text = malloc(LEAT_LINE_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, 'a', LEAT_LINE_BYTES_MAX + 1);
    memcpy(text, "1,", 2);
    assert_int_equal(leat__csv_decode(b.decoder, text, LEAT_LINE_BYTES_MAX, b.batch, &f->err), 0);
    assert_int_equal(
        leat__csv_decode(b.decoder, text, LEAT_LINE_BYTES_MAX + 1, b.batch, &f->err), LEAT_EDATA);
    assert_string_equal(f->err.message, "a record of 16777217 bytes; at most 16777216 are possible");
    assert_int_equal(b.batch->count, 1);
    free(text);
    bench_close(&b);
}

static void test_csv__given_every_byte_of_a_file__when_changed__then_no_crash_and_a_text(void **state)
{
    static const char file[] = "a,b,c,d,e,f,g,h,i,j,k\n\"x\"\"y\",,5,0.5,1,\"q\nr\",,abcd,S1,true,\n";
    static const char others[] = "\"\n\r,;a \xff\x01";
    struct fixture *f = *state;
    struct bench b;
    char text[sizeof file];
    bench_open(f, &b, ALL_KINDS);
    for (size_t i = 0; i < sizeof file - 1; i++) {
        for (size_t k = 0; k < sizeof others; k++) {
            memcpy(text, file, sizeof file);
            text[i] = others[k];
            size_t at = leat__csv_record_end(text, sizeof file - 1);
            memset(&f->err, 0, sizeof f->err);
            b.decoder = NULL;
            int code = leat__csv_decoder_new(b.type, ',', text, at, &b.decoder, &f->err);
            while (code == 0 && at < sizeof file - 1) {
                const size_t len = leat__csv_record_end(text + at, sizeof file - 1 - at);
                const size_t end = len ? at + len : sizeof file - 1;
                leat__batch_rows(b.batch, 0);
                const int got = leat__csv_decode(b.decoder, text + at, end - at, b.batch, &f->err);
                assert_true(got == 0 || got == LEAT_EDATA);
                at = end;
            }
            assert_true(code == 0 || (code == LEAT_EDATA && f->err.message[0]));
            leat__csv_decoder_free(b.decoder);
        }
    }
    b.decoder = NULL;
    bench_close(&b);
}

static void test_csv__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak(void **state)
{
    static const char header[] = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s";
    static const char line[] = "\"x\"\"y\",,5,0.5,1,\"q\nr\",,abcd,S1,true,,,,,,,,,";
    struct fixture *f = *state;
    struct bench b;
    bench_open(f, &b, ALL_KINDS);
    int code = LEAT_ENOMEM;
    for (uint64_t n = 1; code < 0; n++) {
        struct leat_csv_decoder *decoder = NULL;
        struct leat_strbuf out = { 0 };
        struct leat_batch *batch;
        struct leat_pool *pool;
        assert_int_equal(leat__pool_new(16, &pool), 0);
        assert_int_equal(leat__batch_get(pool, b.type, &batch), 0);
        leat__alloc_fail_at(n);
        code = leat__csv_decoder_new(b.type, ',', header, sizeof header - 1, &decoder, &f->err);
        if (code == 0)
            code = leat__csv_decode(decoder, line, sizeof line - 1, batch, &f->err);
        if (code == 0)
            code = leat__csv_encode(b.type, ',', leat_batch_at(batch, 0), &out, &f->err);
        leat__alloc_fail_at(0);
        FAIL_UNLESS(code == 0 || code == LEAT_ENOMEM, "allocation %llu: %d %s", (unsigned long long)n, code,
            f->err.message);
        leat__csv_decoder_free(decoder);
        leat__batch_release(batch);
        leat__pool_free(pool);
        leat__strbuf_release(&out);
    }
    bench_close(&b);
}

#define UNIT(name_) cmocka_unit_test_setup_teardown(name_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_csv__given_cells__when_decoded__then_quotes_are_honoured),
        UNIT(test_csv__given_values__when_decoded__then_by_type),
        UNIT(test_csv__given_nullable_fields__when_cells_are_empty__then_null_unless_quoted),
        UNIT(test_csv__given_headers__when_columns_differ__then_found_ignored_or_defaulted),
        UNIT(test_csv__given_bad_headers__when_compiled__then_refused_with_a_near_miss),
        UNIT(test_csv__given_nested_types__when_checked__then_unsupported_with_the_field),
        UNIT(test_csv__given_text__when_split__then_records_end_outside_of_quotes),
        UNIT(test_csv__given_random_records__when_encoded_and_decoded__then_the_same),
        UNIT(test_csv__given_a_bad_enum__when_encoded__then_refused_and_output_kept),
        UNIT(test_csv__given_long_records__when_decoded__then_taken_up_to_the_limit),
        UNIT(test_csv__given_every_byte_of_a_file__when_changed__then_no_crash_and_a_text),
        UNIT(test_csv__given_every_allocation__when_it_fails__then_out_of_memory_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
