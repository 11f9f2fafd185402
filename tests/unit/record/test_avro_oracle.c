/* tests/unit/record/test_avro_oracle.c -- our codec beside avro-c: random schemas of what avro-c can, random
 * data, both directions. LEAT_SEED=<number> replays a run; the seed is printed. */
#include "base/alloc.h"
#include "base/env.h"
#include "record/avro.h"
#include "record/copy.h"
#include "tests/support/unit.h"
#include <avro.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SCHEMAS 300
#define RECORDS 20
#define BYTES_MAX (1 << 20)

static uint64_t seed_state;

static uint64_t random_bits(void)
{
    seed_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(random_bits() % n);
}

/* Values of every length on the wire. */
static int64_t random_long(void)
{
    return (int64_t)(random_bits() >> below(64)) * (below(2) ? 1 : -1);
}

/* ---- schemas ---- */

struct writing {
    struct leat_strbuf *out;
    unsigned names; /* for unique names */
};

static void write_type(struct writing *w, unsigned depth, bool in_union);

static void write_record(struct writing *w, unsigned depth)
{
    leat__strbuf_printf(w->out, "{\"type\":\"record\",\"name\":\"r%u\",\"fields\":[", w->names++);
    const unsigned fields = 1 + below(6);
    for (unsigned i = 0; i < fields; i++) {
        leat__strbuf_printf(w->out, "%s{\"name\":\"f%u\",\"type\":", i ? "," : "", i);
        write_type(w, depth + 1, false);
        leat__strbuf_char(w->out, '}');
    }
    leat__strbuf_str(w->out, "]}");
}

static void write_enum(struct writing *w)
{
    leat__strbuf_printf(w->out, "{\"type\":\"enum\",\"name\":\"e%u\",\"symbols\":[", w->names++);
    const unsigned symbols = 1 + below(5);
    for (unsigned i = 0; i < symbols; i++)
        leat__strbuf_printf(w->out, "%s\"S%u\"", i ? "," : "", i);
    leat__strbuf_str(w->out, "]}");
}

/* Branches of different kinds, so that no two are alike. */
static void write_union(struct writing *w, unsigned depth)
{
    static const char *const simple[] = { "null", "boolean", "int", "long", "float", "double", "bytes",
        "string" };
    const unsigned from = below(6), count = 1 + below(3);
    leat__strbuf_char(w->out, '[');
    for (unsigned i = 0; i < count; i++)
        leat__strbuf_printf(w->out, "%s\"%s\"", i ? "," : "", simple[(from + i) % COUNT_OF(simple)]);
    if (below(2)) {
        leat__strbuf_char(w->out, ',');
        write_record(w, depth + 1);
    }
    if (below(3) == 0) {
        leat__strbuf_str(w->out, ",{\"type\":\"array\",\"items\":");
        write_type(w, depth + 1, false);
        leat__strbuf_char(w->out, '}');
    }
    leat__strbuf_char(w->out, ']');
}

static void write_type(struct writing *w, unsigned depth, bool in_union)
{
    static const char *const simple[] = { "null", "boolean", "int", "long", "float", "double", "bytes",
        "string" };
    const unsigned kind = below(depth > 3 ? 10 : 16);
    if (kind < 8) {
        leat__strbuf_printf(w->out, "\"%s\"", simple[kind]);
    } else if (kind == 8) {
        leat__strbuf_printf(
            w->out, "{\"type\":\"fixed\",\"name\":\"x%u\",\"size\":%u}", w->names++, 1 + below(20));
    } else if (kind == 9) {
        write_enum(w);
    } else if (kind < 12) {
        write_record(w, depth);
    } else if (kind == 12) {
        leat__strbuf_str(w->out, "{\"type\":\"array\",\"items\":");
        write_type(w, depth + 1, false);
        leat__strbuf_char(w->out, '}');
    } else if (kind == 13) {
        leat__strbuf_str(w->out, "{\"type\":\"map\",\"values\":");
        write_type(w, depth + 1, false);
        leat__strbuf_char(w->out, '}');
    } else if (kind == 14 && !in_union) {
        leat__strbuf_str(w->out, below(2) ? "[\"null\"," : "[");
        const bool null_first = w->out->data[w->out->len - 1] == ',';
        leat__strbuf_str(w->out, below(2) ? "\"string\"" : "\"long\"");
        leat__strbuf_str(w->out, null_first ? "]" : ",\"null\"]");
    } else if (!in_union) {
        write_union(w, depth);
    } else {
        leat__strbuf_str(w->out, "\"int\"");
    }
}

/* ---- data ---- */

static void fill(avro_value_t *value);

static void fill_text(avro_value_t *value, bool is_string)
{
    char text[300];
    const size_t len = below(4) ? below(20) : below(sizeof text - 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('!' + below(90));
    text[len] = '\0';
    if (is_string)
        assert_int_equal(avro_value_set_string_len(value, text, len + 1), 0);
    else
        assert_int_equal(avro_value_set_bytes(value, text, len), 0);
}

static void fill_items(avro_value_t *value, bool is_map)
{
    const unsigned count = below(3) ? below(4) : 0;
    for (unsigned i = 0; i < count; i++) {
        avro_value_t item;
        char key[16];
        (void)snprintf(key, sizeof key, "key%u", i);
        if (is_map)
            assert_int_equal(avro_value_add(value, key, &item, NULL, NULL), 0);
        else
            assert_int_equal(avro_value_append(value, &item, NULL), 0);
        fill(&item);
    }
}

static void fill_parts(avro_value_t *value)
{
    avro_schema_t schema = avro_value_get_schema(value);
    avro_value_t part;
    size_t count = 0;
    char fixed[32];
    switch (avro_value_get_type(value)) {
    case AVRO_RECORD:
        assert_int_equal(avro_value_get_size(value, &count), 0);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(avro_value_get_by_index(value, i, &part, NULL), 0);
            fill(&part);
        }
        return;
    case AVRO_UNION:
        assert_int_equal(
            avro_value_set_branch(value, (int)below((uint32_t)avro_schema_union_size(schema)), &part), 0);
        fill(&part);
        return;
    case AVRO_ENUM:
        assert_int_equal(
            avro_value_set_enum(value, (int)below((uint32_t)avro_schema_enum_number_of_symbols(schema))), 0);
        return;
    case AVRO_FIXED:
        for (size_t i = 0; i < sizeof fixed; i++)
            fixed[i] = (char)random_bits();
        assert_int_equal(avro_value_set_fixed(value, fixed, (size_t)avro_schema_fixed_size(schema)), 0);
        return;
    default:
        fail_msg("unexpected type");
    }
}

static void fill(avro_value_t *value)
{
    switch (avro_value_get_type(value)) {
    case AVRO_NULL:
        assert_int_equal(avro_value_set_null(value), 0);
        return;
    case AVRO_BOOLEAN:
        assert_int_equal(avro_value_set_boolean(value, (int)below(2)), 0);
        return;
    case AVRO_INT32:
        assert_int_equal(avro_value_set_int(value, (int32_t)random_long()), 0);
        return;
    case AVRO_INT64:
        assert_int_equal(avro_value_set_long(value, random_long()), 0);
        return;
    case AVRO_FLOAT:
        assert_int_equal(avro_value_set_float(value, (float)random_long() / 3), 0);
        return;
    case AVRO_DOUBLE:
        assert_int_equal(avro_value_set_double(value, (double)random_long() / 7), 0);
        return;
    case AVRO_STRING:
    case AVRO_BYTES:
        fill_text(value, avro_value_get_type(value) == AVRO_STRING);
        return;
    case AVRO_ARRAY:
    case AVRO_MAP:
        fill_items(value, avro_value_get_type(value) == AVRO_MAP);
        return;
    default:
        fill_parts(value);
    }
}

/* ---- one schema ---- */

struct subject {
    struct leat_strbuf text;
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
    struct leat_decoder *decoder;
    struct leat_encoder *encoder;
    struct leat_copier *copier;
    avro_schema_t avro;
    avro_value_iface_t *class_;
};

/* False when the schema has no layout (too large, or a row of nothing): rare, and counted. */
static bool prepare(struct subject *s)
{
    struct writing w = { .out = &s->text };
    struct leat_error err = { 0 };
    write_record(&w, 0);
    if (leat__schema_parse(s->text.data, s->text.len, &s->schema, &err) < 0)
        fail_msg("%s: %s", s->text.data, err.message);
    if (leat__schema_type(s->schema, &s->arena, &s->type, &err) < 0)
        return false;
    if (leat__decoder_new(s->schema, s->type, NULL, &s->decoder, &err) < 0)
        fail_msg("%s: %s", s->text.data, err.message);
    assert_int_equal(leat__encoder_new(s->type, &s->encoder, &err), 0);
    assert_int_equal(leat__copier_new(s->type, &s->copier), 0);
    if (avro_schema_from_json_length(s->text.data, s->text.len, &s->avro) != 0)
        fail_msg("avro-c: %s: %s", s->text.data, avro_strerror());
    s->class_ = avro_generic_class_from_schema(s->avro);
    assert_non_null(s->class_);
    return true;
}

static void release(struct subject *s)
{
    if (s->class_) {
        avro_value_iface_decref(s->class_);
        avro_schema_decref(s->avro);
    }
    leat__copier_free(s->copier);
    leat__encoder_free(s->encoder);
    leat__decoder_free(s->decoder);
    leat__schema_free(s->schema);
    leat__arena_release(&s->arena);
    leat__strbuf_release(&s->text);
}

static size_t write_with_avro(struct subject *s, char *bytes)
{
    avro_writer_t writer = avro_writer_memory(bytes, BYTES_MAX);
    for (int i = 0; i < RECORDS; i++) {
        avro_value_t value;
        assert_int_equal(avro_generic_value_new(s->class_, &value), 0);
        fill(&value);
        assert_int_equal(avro_value_write(writer, &value), 0);
        avro_value_decref(&value);
    }
    const size_t len = (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
    return len;
}

/* What we wrote, avro-c reads, and every byte of it. */
static void read_with_avro(struct subject *s, const struct leat_strbuf *out)
{
    avro_reader_t reader = avro_reader_memory(out->data, (int64_t)out->len);
    for (int i = 0; i < RECORDS; i++) {
        avro_value_t value;
        assert_int_equal(avro_generic_value_new(s->class_, &value), 0);
        if (avro_value_read(reader, &value) != 0)
            fail_msg("avro-c can not read row %d of %s: %s", i, s->text.data, avro_strerror());
        avro_value_decref(&value);
    }
    avro_reader_free(reader);
}

/* Every copy of a record is encoded to the same bytes. */
static void check_copies(
    struct subject *s, struct leat_pool *pool, struct leat_batch *batch, const char *bytes)
{
    struct leat_batch *copies;
    struct leat_strbuf out = { 0 };
    struct leat_error err = { 0 };
    assert_int_equal(leat__batch_get(pool, s->type, &copies), 0);
    for (uint32_t i = 0; i < batch->count; i++)
        assert_int_equal(leat__copy_push(s->copier, copies, leat_batch_at(batch, i)), 0);
    assert_int_equal(leat__encode(s->encoder, copies, 0, copies->count, &out, NULL, &err), 0);
    assert_memory_equal(out.data, bytes, out.len);
    leat__batch_release(copies);

    leat__strbuf_clear(&out);
    for (uint32_t i = 0; i < batch->count; i++) {
        const void *row = leat_batch_at(batch, i);
        const size_t size = leat__copy_size(s->copier, row);
        void *first = leat__malloc(size), *second = leat__malloc(size);
        leat__copy_to(s->copier, row, first);
        memcpy(second, first, size);
        leat__copy_rebase(s->copier, second, (char *)second - (char *)first);
        memset(first, 0xdd, size);
        leat__free(first);
        assert_int_equal(leat__encode_record(s->encoder, second, &out, &err), 0);
        leat__free(second);
    }
    assert_memory_equal(out.data, bytes, out.len);
    leat__strbuf_release(&out);
}

static void check_bytes(struct subject *s, struct leat_pool *pool, const char *bytes, size_t len)
{
    struct leat_batch *batch;
    struct leat_strbuf out = { 0 };
    struct leat_error err = { 0 };
    const uint8_t *at = (const uint8_t *)bytes, *skipped = at, *end = at + len;
    assert_int_equal(leat__batch_get(pool, s->type, &batch), 0);
    const int64_t rows = leat__decode(s->decoder, &at, end, batch, RECORDS, &err);
    if (rows != RECORDS || at != end)
        fail_msg("%s: %d rows: %s", s->text.data, (int)rows, err.message);
    uint32_t done = 0;
    assert_int_equal(leat__encode(s->encoder, batch, 0, RECORDS, &out, &done, &err), 0);
    assert_int_equal(done, RECORDS);
    if (out.len != len || memcmp(out.data, bytes, len) != 0)
        fail_msg("%s: other bytes", s->text.data);
    read_with_avro(s, &out);
    check_copies(s, pool, batch, bytes);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(leat__decode_skip(s->decoder, &skipped, end, &err), 0);
    assert_ptr_equal(skipped, end);
    leat__batch_release(batch);
    leat__strbuf_release(&out);
}

/* Cut anywhere, the data gives fewer rows or an error, and never reads on: the slack behind is poison that a
 * reader would stumble over. */
static void check_cuts(struct subject *s, struct leat_pool *pool, const char *bytes, size_t len)
{
    for (int i = 0; i < 20 && len; i++) {
        const size_t cut = below((uint32_t)len);
        uint8_t *copy = malloc(cut + LEAT_BUFFER_SLACK_BYTES);
        struct leat_batch *batch;
        struct leat_error err = { 0 };
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        memset(copy + cut, 0xff, LEAT_BUFFER_SLACK_BYTES);
        const uint8_t *at = copy;
        assert_int_equal(leat__batch_get(pool, s->type, &batch), 0);
        const int64_t rows = leat__decode(s->decoder, &at, copy + cut, batch, RECORDS, &err);
        if (rows < 0)
            assert_int_equal(rows, LEAT_EDATA);
        assert_true(at <= copy + cut);
        assert_true(batch->count < RECORDS || at == copy + cut);
        leat__batch_release(batch);
        free(copy);
    }
}

static uint64_t choose_seed(void)
{
    const char *text = getenv("LEAT_SEED");
    struct leat_env *env = leat__env_posix();
    return text ? strtoull(text, NULL, 0) : env->random(env) >> 16;
}

static void test_avro__given_random_schemas_and_data__when_coded_beside_avro_c__then_the_bytes_agree(
    void **state)
{
    (void)state;
    const uint64_t seed = choose_seed();
    print_message("LEAT_SEED=%" PRIu64 "\n", seed);
    seed_state = seed;
    char *bytes = calloc(1, BYTES_MAX + LEAT_BUFFER_SLACK_BYTES);
    struct leat_pool *pool;
    unsigned without_layout = 0;
    assert_non_null(bytes);
    assert_int_equal(leat__pool_new(64, &pool), 0);
    for (int i = 0; i < SCHEMAS; i++) {
        struct subject s = { 0 };
        if (prepare(&s)) {
            const size_t len = write_with_avro(&s, bytes);
            check_bytes(&s, pool, bytes, len);
            check_cuts(&s, pool, bytes, len);
        } else {
            without_layout++;
        }
        release(&s);
    }
    assert_true(without_layout < SCHEMAS / 10);
    leat__pool_free(pool);
    free(bytes);
}

/* ---- projections ---- */

/* A reader with some of the fields of the writer's record, in another order. */
static void write_projection(
    const struct leat_schema *writer, struct leat_strbuf *out, struct leat_strbuf *text)
{
    const struct leat_schema_node *root = writer->root;
    leat__strbuf_printf(out, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[", root->name);
    bool first = true;
    for (uint32_t i = root->fields_count; i > 0; i--) {
        char mark[48];
        if (below(3) == 0 && !first)
            continue;
        (void)snprintf(mark, sizeof mark, "{\"name\":\"f%u\",\"type\":", i - 1);
        const char *begin = NULL;
        int depth = 0;
        const char *p = strchr(text->data, '[') + 1;
        for (; *p && !begin; p++) { /* only objects of the field list itself */
            if (depth == 0 && strncmp(p, mark, strlen(mark)) == 0)
                begin = p;
            depth += *p == '{' || *p == '[';
            depth -= *p == '}' || *p == ']';
        }
        assert_non_null(begin);
        const char *end = begin;
        depth = 0;
        do {
            depth += *end == '{' || *end == '[';
            depth -= *end == '}' || *end == ']';
            end++;
        } while (depth > 0);
        if (!first)
            leat__strbuf_char(out, ',');
        leat__strbuf_add(out, begin, (size_t)(end - begin));
        first = false;
    }
    leat__strbuf_str(out, "]}");
}

static void compare_fields(const struct leat_batch *full, const struct leat_batch *part, const char *text)
{
    for (uint32_t i = 0; i < full->count; i++) {
        for (uint32_t f = 0; f < part->type->fields_count; f++) {
            static char a[1 << 16], b[1 << 16];
            struct leat_place x, y;
            struct leat_error err = { 0 };
            const char *name = part->type->fields[f].name;
            assert_int_equal(leat_record_find(full->type, name, &x, &err), 0);
            assert_int_equal(leat_record_find(part->type, name, &y, &err), 0);
            const unsigned char *row = leat_batch_at(full, i), *other = leat_batch_at(part, i);
            assert_int_equal(leat_record_is_null(row, &x), leat_record_is_null(other, &y));
            if (leat_record_is_null(row, &x))
                continue;
            (void)leat_record_print(row + x.offset, x.type, a, sizeof a);
            (void)leat_record_print(other + y.offset, y.type, b, sizeof b);
            if (strcmp(a, b) != 0)
                fail_msg("row %u, field %s of %s:\n%s\n%s", i, name, text, a, b);
        }
    }
}

static void check_projection(struct subject *s, struct leat_pool *pool, const char *bytes, size_t len)
{
    struct leat_strbuf text = { 0 };
    struct leat_error err = { 0 };
    struct leat_schema *reader;
    struct leat_arena arena = { 0 };
    const struct leat_type *type;
    struct leat_decoder *decoder;
    struct leat_batch *full, *part;
    write_projection(s->schema, &text, &s->text);
    if (leat__schema_parse(text.data, text.len, &reader, &err) < 0)
        fail_msg("%s: %s", text.data, err.message);
    assert_int_equal(leat__schema_type(reader, &arena, &type, &err), 0);
    if (leat__decoder_new(s->schema, type, NULL, &decoder, &err) < 0)
        fail_msg("%s as %s: %s", s->text.data, text.data, err.message);
    assert_int_equal(leat__batch_get(pool, s->type, &full), 0);
    assert_int_equal(leat__batch_get(pool, type, &part), 0);
    const uint8_t *at = (const uint8_t *)bytes, *end = at + len;
    assert_int_equal(leat__decode(s->decoder, &at, end, full, RECORDS, &err), RECORDS);
    at = (const uint8_t *)bytes;
    const int64_t rows = leat__decode(decoder, &at, end, part, RECORDS, &err);
    if (rows != RECORDS || at != end)
        fail_msg("%s as %s: %s", s->text.data, text.data, err.message);
    compare_fields(full, part, text.data);
    leat__batch_release(full);
    leat__batch_release(part);
    leat__decoder_free(decoder);
    leat__schema_free(reader);
    leat__arena_release(&arena);
    leat__strbuf_release(&text);
}

static void test_avro__given_random_schemas__when_projected__then_the_fields_agree_with_a_full_read(
    void **state)
{
    (void)state;
    const uint64_t seed = choose_seed();
    print_message("LEAT_SEED=%" PRIu64 "\n", seed);
    seed_state = seed;
    char *bytes = calloc(1, BYTES_MAX + LEAT_BUFFER_SLACK_BYTES);
    struct leat_pool *pool;
    assert_non_null(bytes);
    assert_int_equal(leat__pool_new(64, &pool), 0);
    for (int i = 0; i < SCHEMAS; i++) {
        struct subject s = { 0 };
        if (prepare(&s))
            check_projection(&s, pool, bytes, write_with_avro(&s, bytes));
        release(&s);
    }
    leat__pool_free(pool);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_avro__given_random_schemas_and_data__when_coded_beside_avro_c__then_the_bytes_agree),
        cmocka_unit_test(
            test_avro__given_random_schemas__when_projected__then_the_fields_agree_with_a_full_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
