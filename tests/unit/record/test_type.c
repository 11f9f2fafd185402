/* tests/unit/record/test_type.c -- types: the layout is the compiler's, differences are found, fields are
 * reached by path, records are printed. */
#include "base/alloc.h"
#include "record/schema.h"
#include "tests/support/unit.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct made {
    struct leat_schema *schema;
    struct leat_arena arena;
    const struct leat_type *type;
};

static int try_type(const char *text, struct made *m, struct leat_error *err)
{
    memset(m, 0, sizeof *m);
    if (leat__schema_parse(text, strlen(text), &m->schema, err) < 0)
        fail_msg("%s: %s", text, err->message);
    return leat__schema_type(m->schema, &m->arena, &m->type, err);
}

static struct made make_type(const char *text)
{
    struct made m;
    struct leat_error err = { 0 };
    if (try_type(text, &m, &err) < 0)
        fail_msg("%s: %s", text, err.message);
    return m;
}

static void free_type(struct made *m)
{
    leat__schema_free(m->schema);
    leat__arena_release(&m->arena);
}

#define R(fields_) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields_ "]}"
#define F(name_, type_) "{\"name\":\"" name_ "\",\"type\":" type_ "}"

/* ---- layout ---- */

/* As leat gen would write it. */
struct inner {
    bool flag;
    int64_t n;
};

struct all_kinds {
    bool b;
    int32_t i;
    bool b2;
    int64_t l;
    float f;
    double d;
    struct leat_sv s;
    uint8_t x[3];
    int32_t e;
    struct inner r;
    struct leat_array a;
    struct leat_map m;
    bool has_oi;
    int32_t oi;
    bool has_ob;
    bool ob;
    bool has_place;
    struct inner place;
    struct {
        int32_t tag;
        union {
            int64_t branch_long;
            struct leat_sv branch_string;
            uint8_t branch_y[21];
        } as;
    } u;
    struct {
        int32_t tag;
        union {
            bool branch_boolean;
            uint8_t branch_z[3];
        } as;
    } small;
    bool last;
};

static const char all_kinds_text[] = "{\"type\":\"record\",\"name\":\"all_kinds\",\"fields\":[" F(
    "b", "\"boolean\"") "," F("i", "\"int\"") "," F("b2", "\"boolean\"") "," F("l", "\"long\"") "," F("f",
    "\"float\"") "," F("d", "\"double\"") "," F("s", "\"string\"") "," F("x",
    "{\"type\":\"fixed\",\"name\":\"x\",\"size\":3}") "," F("e",
    "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}") "," F("r",
    "{\"type\":\"record\",\"name\":\"inner\",\"fields\":[" F("flag", "\"boolean\"") "," F(
        "n", "\"long\"") "]}") "," F("a", "{\"type\":\"array\",\"items\":\"inner\"}") "," F("m",
    "{\"type\":\"map\",\"values\":\"boolean\"}") "," F("oi", "[\"null\",\"int\"]") "," F("ob",
    "[\"boolean\",\"null\"]") "," F("place", "[\"null\",\"inner\"]") "," F("u",
    "[\"null\",\"long\",\"string\",{\"type\":\"fixed\",\"name\":\"y\",\"size\":21}]") "," F("small",
    "[\"boolean\",{\"type\":\"fixed\",\"name\":\"z\",\"size\":3}]") "," F("last", "\"boolean\"") "]}";

#define PLACE(name_) \
    { \
#name_, offsetof(struct all_kinds, name_), LEAT_NOT_NULLABLE, sizeof(((struct all_kinds *)0)->name_) \
    }
#define NULLABLE(name_) \
    { \
#name_, offsetof(struct all_kinds, name_), offsetof(struct all_kinds, has_##name_), \
            sizeof(((struct all_kinds *)0)->name_) \
    }
static const struct {
    const char *name;
    size_t offset, has_offset, size;
} all_kinds_fields[] = {
    PLACE(b),
    PLACE(i),
    PLACE(b2),
    PLACE(l),
    PLACE(f),
    PLACE(d),
    PLACE(s),
    PLACE(x),
    PLACE(e),
    PLACE(r),
    PLACE(a),
    PLACE(m),
    NULLABLE(oi),
    NULLABLE(ob),
    NULLABLE(place),
    PLACE(u),
    PLACE(small),
    PLACE(last),
};

static void test_type__given_a_record_of_all_kinds__when_laid_out__then_it_is_the_compilers_struct(
    void **state)
{
    (void)state;
    struct made m = make_type(all_kinds_text);
    assert_int_equal(m.type->size, sizeof(struct all_kinds));
    assert_int_equal(m.type->align, _Alignof(struct all_kinds));
    assert_int_equal(m.type->fields_count, COUNT_OF(all_kinds_fields));
    for (size_t i = 0; i < COUNT_OF(all_kinds_fields); i++) {
        const struct leat_field *field = &m.type->fields[i];
        assert_string_equal(field->name, all_kinds_fields[i].name);
        FAIL_UNLESS(field->offset == all_kinds_fields[i].offset &&
                field->type->size == all_kinds_fields[i].size &&
                field->has_offset == all_kinds_fields[i].has_offset,
            "%s: offset %u, has %u, size %u", field->name, field->offset, field->has_offset,
            field->type->size);
    }
    const struct leat_type *a = m.type->fields[10].type, *map = m.type->fields[11].type,
                           *u = m.type->fields[15].type;
    assert_int_equal(a->entry_size, sizeof(struct inner));
    assert_int_equal(map->value_offset, 16);
    assert_int_equal(map->entry_size, 24);
    assert_int_equal(u->fields_count, 4);
    assert_string_equal(u->fields[0].name, "null");
    assert_string_equal(u->fields[3].name, "y");
    assert_int_equal(u->value_offset, 8);
    assert_int_equal(m.type->fields[16].type->value_offset, 4);
    assert_string_equal(m.type->schema, all_kinds_text);
    assert_true(m.type->fingerprint == m.schema->fingerprint);
    free_type(&m);
}

static const struct {
    const char *name, *text;
    enum leat_kind kind;
    uint32_t size, align, value_offset;
} layouts[] = {
    { "empty record", R(""), LEAT_KIND_RECORD, 1, 1, 0 },
    { "record of null", R(F("n", "\"null\"")), LEAT_KIND_RECORD, 1, 1, 0 },
    { "null beside an int", R(F("n", "\"null\"") "," F("i", "\"int\"")), LEAT_KIND_RECORD, 4, 4, 0 },
    { "fixed of nothing", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":0}", LEAT_KIND_FIXED, 0, 1, 0 },
    { "optional long", "[\"null\",\"long\"]", LEAT_KIND_OPTIONAL, 16, 8, 8 },
    { "optional boolean", "[\"boolean\",\"null\"]", LEAT_KIND_OPTIONAL, 2, 1, 1 },
    { "optional string", "[\"null\",\"string\"]", LEAT_KIND_OPTIONAL, 24, 8, 8 },
    { "union of one", "[\"boolean\"]", LEAT_KIND_UNION, 8, 4, 4 },
    { "union of null", "[\"null\"]", LEAT_KIND_UNION, 4, 4, 4 },
    { "union of two values", "[\"int\",\"double\"]", LEAT_KIND_UNION, 16, 8, 8 },
    { "array", "{\"type\":\"array\",\"items\":\"int\"}", LEAT_KIND_ARRAY, 16, 8, 0 },
    { "map of doubles", "{\"type\":\"map\",\"values\":\"double\"}", LEAT_KIND_MAP, 16, 8, 16 },
    { "long", "\"long\"", LEAT_KIND_LONG, 8, 8, 0 },
};

static void test_type__given_small_types__when_laid_out__then_sizes_are_as_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(layouts); i++) {
        struct made m = make_type(layouts[i].text);
        FAIL_UNLESS(m.type->kind == layouts[i].kind && m.type->size == layouts[i].size &&
                m.type->align == layouts[i].align && m.type->value_offset == layouts[i].value_offset,
            "%s: kind %d, size %u, align %u, value at %u", layouts[i].name, (int)m.type->kind, m.type->size,
            m.type->align, m.type->value_offset);
        assert_non_null(m.type->schema);
        free_type(&m);
    }
}

static const struct {
    const char *name, *text;
    int code;
    const char *message;
} impossible[] = {
    { "recursive record",
        "{\"type\":\"record\",\"name\":\"n.Node\",\"fields\":[" F("next", "[\"null\",\"Node\"]") "]}",
        LEAT_ESCHEMA,
        "record n.Node, field next: record n.Node contains itself: a C struct can not hold a recursive type; "
        "refer to "
        "the other record by a key" },
    { "recursion through an array",
        "{\"type\":\"record\",\"name\":\"Tree\",\"fields\":[" F(
            "kids", "{\"type\":\"array\",\"items\":\"Tree\"}") "]}",
        LEAT_ESCHEMA,
        "record Tree, field kids: record Tree contains itself: a C struct can not hold a recursive type; "
        "refer to the "
        "other record by a key" },
    { "union of nothing", R(F("u", "[]")), LEAT_ESCHEMA,
        "record R, field u: a union without branches has no values" },
    { "row too large", R(F("x", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":65537}")), LEAT_ELIMIT,
        "record R, field x: fixed F takes 65537 bytes in memory; at most 65536" },
    { "record too large", R(F("x", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":40000}") "," F("y", "\"F\"")),
        LEAT_ELIMIT, "record R takes more than 65536 bytes in memory" },
};

static void test_type__given_a_schema_without_layout__when_laid_out__then_the_reason_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(impossible); i++) {
        struct made m;
        struct leat_error err = { 0 };
        const int code = try_type(impossible[i].text, &m, &err);
        FAIL_UNLESS(code == impossible[i].code && strcmp(err.message, impossible[i].message) == 0,
            "%s: %d \"%s\"", impossible[i].name, code, err.message);
        assert_null(m.type);
        free_type(&m);
    }
}

/* Each record has two arrays of the one before: small as a graph, 2^30 parts as a tree. */
static void test_type__given_a_type_that_unfolds__when_laid_out__then_the_limit_is_told(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    struct made m;
    struct leat_error err = { 0 };
    leat__strbuf_str(&text, "[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    for (int i = 1; i <= 30; i++)
        leat__strbuf_printf(&text,
            ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"array\","
            "\"items\":"
            "\"R%d\"}},{\"name\":\"b\",\"type\":{\"type\":\"array\",\"items\":\"R%d\"}}]}",
            i, i - 1, i - 1);
    leat__strbuf_char(&text, ']');
    assert_int_equal(try_type(text.data, &m, &err), LEAT_ELIMIT);
    assert_non_null(strstr(err.message, "unfolds to more than 65536 parts: make it simpler"));
    free_type(&m);
    /* A chain that is deep without nested text. */
    leat__strbuf_clear(&text);
    leat__strbuf_str(&text, "[{\"type\":\"record\",\"name\":\"R0\",\"fields\":[]}");
    for (int i = 1; i <= 100; i++)
        leat__strbuf_printf(&text,
            ",{\"type\":\"record\",\"name\":\"R%d\",\"fields\":[{\"name\":\"a\",\"type\":\"R%d\"}]}", i,
            i - 1);
    leat__strbuf_str(&text, "]");
    struct made chain = make_type(text.data); /* in the order of the text every step finds the one before */
    assert_int_equal(chain.type->fields_count, 101);
    free_type(&chain);
    leat__strbuf_release(&text);
}

/* ---- comparing and checking ---- */

static const struct {
    const char *name, *a, *b;
    bool equal;
} pairs[] = {
    { "the same", R(F("a", "\"int\"")), R(F("a", "\"int\"")), true },
    { "other record name", R(F("a", "\"int\"")),
        "{\"type\":\"record\",\"name\":\"S\",\"fields\":[" F("a", "\"int\"") "]}", true },
    { "other field name", R(F("a", "\"int\"")), R(F("b", "\"int\"")), false },
    { "other kind", R(F("a", "\"int\"")), R(F("a", "\"float\"")), false },
    { "other logical type", R(F("a", "\"long\"")),
        R(F("a", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}")), false },
    { "other scale",
        R(F("a", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}")),
        R(F("a", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":4,\"scale\":2}")), false },
    { "nullable", R(F("a", "\"int\"")), R(F("a", "[\"null\",\"int\"]")), false },
    { "null first or last", R(F("a", "[\"int\",\"null\"]")), R(F("a", "[\"null\",\"int\"]")), true },
    { "one field more", R(F("a", "\"int\"")), R(F("a", "\"int\"") "," F("b", "\"null\"")), false },
    { "other symbols", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"B\"]}", false },
    { "more symbols", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", false },
    { "other items", "{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":\"float\"}",
        false },
    { "other branches", "[\"int\",\"string\"]", "[\"int\",\"bytes\"]", false },
    { "other order of branches", "[\"int\",\"string\"]", "[\"string\",\"int\"]", false },
};

static void test_type__given_two_types__when_compared__then_layout_and_meaning_decide(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct made a = make_type(pairs[i].a), b = make_type(pairs[i].b);
        FAIL_UNLESS(leat__type_equal(a.type, b.type) == pairs[i].equal, "%s", pairs[i].name);
        FAIL_UNLESS(leat__type_equal(b.type, a.type) == pairs[i].equal, "%s, the other way", pairs[i].name);
        assert_true(leat__type_equal(a.type, a.type));
        free_type(&a);
        free_type(&b);
    }
}

static void test_type__given_a_descriptor__when_checked__then_the_differing_field_is_named(void **state)
{
    (void)state;
    struct made m = make_type(R(F("a", "\"int\"") "," F("s",
        "{\"type\":\"record\",\"name\":\"S\",\"fields\":[" F("x", "\"int\"") "," F("y", "\"long\"") "]}")));
    struct leat_error err = { 0 };
    assert_int_equal(leat__type_check(m.type, &err), 0);

    struct leat_field fields[2] = { m.type->fields[0], m.type->fields[1] };
    struct leat_field inner[2] = { fields[1].type->fields[0], fields[1].type->fields[1] };
    struct leat_type sub = *fields[1].type, type = *m.type;
    type.fields = fields;
    fields[1].type = &sub;
    sub.fields = inner;
    assert_int_equal(leat__type_check(&type, &err), 0);
    inner[1].offset = 4;
    assert_int_equal(leat__type_check(&type, &err), LEAT_ESCHEMA);
    assert_string_equal(err.message, "R: compiled with another layout of field s.y; run leat gen again");
    inner[1].offset = 8;
    type.size++;
    assert_int_equal(leat__type_check(&type, &err), LEAT_ESCHEMA);
    assert_string_equal(err.message, "R: compiled with another layout; run leat gen again");
    type.size--;
    type.fields_count = 1;
    assert_int_equal(leat__type_check(&type, &err), LEAT_ESCHEMA);
    assert_string_equal(err.message, "R: compiled with another layout of field s; run leat gen again");
    type.fields_count = 2;
    type.fingerprint++;
    assert_int_equal(leat__type_check(&type, &err), LEAT_ESCHEMA);
    assert_string_equal(err.message, "R: the fingerprint is not that of the schema text; run leat gen again");
    free_type(&m);
}

static const struct {
    const char *text, *printed;
} printed[] = {
    { R(F("id", "\"long\"") "," F("note", "[\"null\",\"string\"]")),
        "record R {id: long, note: string or null}" },
    { R(F("t", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}")),
        "record R {t: long (timestamp-millis)}" },
    { "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}", "bytes (decimal 9.2)" },
    { "{\"type\":\"enum\",\"name\":\"n.E\",\"symbols\":[\"A\",\"B\"]}", "enum n.E {A, B}" },
    { "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}", "fixed F[4]" },
    { "{\"type\":\"array\",\"items\":[\"null\",\"int\"]}", "array of (int or null)" },
    { "{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"int\"}}", "map of array of int" },
    { "[\"int\",\"string\",\"null\"]", "int or string or null" },
};

static void test_type__given_types__when_printed__then_they_read_well(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(printed); i++) {
        struct made m = make_type(printed[i].text);
        struct leat_strbuf out = { 0 };
        leat__type_print(&out, m.type);
        assert_string_equal(out.data, printed[i].printed);
        leat__strbuf_release(&out);
        free_type(&m);
    }
}

static void test_type__given_failing_memory__when_laid_out__then_it_says_so_and_leaks_nothing(void **state)
{
    (void)state;
    struct leat_schema *schema;
    struct leat_error err = { 0 };
    assert_int_equal(leat__schema_parse(all_kinds_text, strlen(all_kinds_text), &schema, &err), 0);
    const int64_t live = leat__alloc_live();
    bool fails = true;
    for (uint64_t n = 1; fails; n++) {
        struct leat_arena arena = { 0 };
        const struct leat_type *type;
        leat__alloc_fail_at(n);
        int code = leat__schema_type(schema, &arena, &type, &err);
        if (code == 0)
            code = leat__type_check(type, &err);
        leat__alloc_fail_at(0);
        leat__arena_release(&arena);
        assert_int_equal(leat__alloc_live(), live);
        fails = code != 0;
        if (fails)
            assert_int_equal(code, LEAT_ENOMEM);
    }
    leat__schema_free(schema);
}

/* ---- fields by path ---- */

struct address {
    struct leat_sv city;
    bool has_zip;
    int32_t zip;
};

struct person {
    int64_t id;
    bool has_home;
    struct address home;
    struct address work;
    double height;
    float weight;
    int32_t color;
    uint8_t mark[2];
    bool married;
    struct {
        int32_t tag;
        union {
            int32_t branch_int;
            struct leat_sv branch_string;
        } as;
    } choice;
};

static const char person_text[] =
    "{\"type\":\"record\",\"name\":\"person\",\"fields\":[" F("id", "\"long\"") "," F("home",
        "[\"null\",{\"type\":\"record\",\"name\":\"address\",\"fields\":[" F("city", "\"string\"") "," F(
            "zip", "[\"null\",\"int\"]") "]}]") "," F("work", "\"address\"") "," F("height",
        "\"double\"") "," F("weight", "\"float\"") "," F("color",
        "{\"type\":\"enum\",\"name\":\"color\",\"symbols\":[\"RED\",\"BLUE\"]}") "," F("mark",
        "{\"type\":\"fixed\",\"name\":\"mark\",\"size\":2}") "," F("married", "\"boolean\"") "," F("choice",
        "[\"null\",\"int\",\"string\"]") "]}";

static const struct person ann = {
    .id = 7,
    .has_home = true,
    .home = { .city = { "Ulm", 3 }, .has_zip = true, .zip = 89073 },
    .work = { .city = { "", 0 } },
    .height = 1.7,
    .weight = 60.1f,
    .color = 1,
    .mark = { 'a', 'b' },
    .married = true,
    .choice = { .tag = 1, .as = { .branch_int = 5 } },
};

static struct leat_place find(const struct leat_type *type, const char *path)
{
    struct leat_place place;
    struct leat_error err = { 0 };
    if (leat_record_find(type, path, &place, &err) < 0)
        fail_msg("%s: %s", path, err.message);
    return place;
}

static const struct {
    const char *path;
    bool is_null;
    int i64_code;
    int64_t i64;
    int f64_code;
    double f64;
    int sv_code;
    const char *sv;
} read_fields[] = {
    { "id", false, 0, 7, 0, 7, LEAT_EINVAL, NULL },
    { "home.city", false, LEAT_EINVAL, 0, LEAT_EINVAL, 0, 0, "Ulm" },
    { "home.zip", false, 0, 89073, 0, 89073, LEAT_EINVAL, NULL },
    { "work.city", false, LEAT_EINVAL, 0, LEAT_EINVAL, 0, 0, "" },
    { "work.zip", true, LEAT_EINVAL, 0, LEAT_EINVAL, 0, LEAT_EINVAL, NULL },
    { "height", false, LEAT_EINVAL, 0, 0, 1.7, LEAT_EINVAL, NULL },
    { "weight", false, LEAT_EINVAL, 0, 0, 60.1f, LEAT_EINVAL, NULL },
    { "color", false, 0, 1, LEAT_EINVAL, 0, 0, "BLUE" },
    { "mark", false, LEAT_EINVAL, 0, LEAT_EINVAL, 0, 0, "ab" },
    { "married", false, 0, 1, LEAT_EINVAL, 0, LEAT_EINVAL, NULL },
    { "choice", false, LEAT_EINVAL, 0, LEAT_EINVAL, 0, LEAT_EINVAL, NULL },
    { "home", false, LEAT_EINVAL, 0, LEAT_EINVAL, 0, LEAT_EINVAL, NULL },
};

static void test_type__given_a_record__when_read_by_path__then_values_come_widened(void **state)
{
    (void)state;
    struct made m = make_type(person_text);
    assert_int_equal(m.type->size, sizeof(struct person));
    for (size_t i = 0; i < COUNT_OF(read_fields); i++) {
        const struct leat_place place = find(m.type, read_fields[i].path);
        int64_t i64 = 0;
        double f64 = 0;
        struct leat_sv sv = { NULL, 0 };
        const char *path = read_fields[i].path;
        FAIL_UNLESS(leat_record_is_null(&ann, &place) == read_fields[i].is_null, "%s: null", path);
        FAIL_UNLESS(
            leat_record_get_i64(&ann, &place, &i64) == read_fields[i].i64_code && i64 == read_fields[i].i64,
            "%s: %lld", path, (long long)i64);
        const int f64_code = leat_record_get_f64(&ann, &place, &f64);
        FAIL_UNLESS(f64_code == read_fields[i].f64_code && fabs(f64 - read_fields[i].f64) < 1e-12, "%s: %g",
            path, f64);
        FAIL_UNLESS(leat_record_get_sv(&ann, &place, &sv) == read_fields[i].sv_code, "%s: string", path);
        if (read_fields[i].sv)
            assert_true(leat_sv_eq(sv, leat_sv_of(read_fields[i].sv)));
    }
    free_type(&m);
}

static void test_type__given_null_steps_on_the_way__when_read__then_the_value_is_null(void **state)
{
    (void)state;
    struct made m = make_type(person_text);
    struct person bob = ann;
    int64_t value;
    const struct leat_place zip = find(m.type, "home.zip"), choice = find(m.type, "choice"),
                            color = find(m.type, "color");
    bob.has_home = false;
    assert_true(leat_record_is_null(&bob, &zip));
    assert_int_equal(leat_record_get_i64(&bob, &zip, &value), LEAT_EINVAL);
    bob.choice.tag = 0;
    assert_true(leat_record_is_null(&bob, &choice));
    bob.choice.tag = 9;
    assert_false(leat_record_is_null(&bob, &choice));
    bob.color = 2;
    struct leat_sv symbol;
    assert_int_equal(leat_record_get_sv(&bob, &color, &symbol), LEAT_EINVAL);
    free_type(&m);
}

static const struct {
    const char *path, *message;
    int code;
} unknown[] = {
    { "idd",
        "no field \"idd\" in person (id, home, work, height, weight, color, mark, married, choice); did you "
        "mean \"id\"?",
        LEAT_ENOTFOUND },
    { "home.citty", "no field \"citty\" in address (city, zip); did you mean \"city\"?", LEAT_ENOTFOUND },
    { "home.street", "no field \"street\" in address (city, zip)", LEAT_ENOTFOUND },
    { "id.x", "no field \"id.x\": id is of type long, not a record", LEAT_ENOTFOUND },
    { "", "no field \"\" in person (id, home, work, height, weight, color, mark, married, choice)",
        LEAT_ENOTFOUND },
    { "home.", "no field \"\" in address (city, zip)", LEAT_ENOTFOUND },
};

static void test_type__given_a_wrong_path__when_looked_for__then_a_near_miss_is_offered(void **state)
{
    (void)state;
    struct made m = make_type(person_text);
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        struct leat_place place;
        struct leat_error err = { 0 };
        const int code = leat_record_find(m.type, unknown[i].path, &place, &err);
        FAIL_UNLESS(code == unknown[i].code && strcmp(err.message, unknown[i].message) == 0, "%s: %d \"%s\"",
            unknown[i].path, code, err.message);
    }
    struct made top = make_type("\"long\"");
    struct leat_place place;
    struct leat_error err = { 0 };
    assert_int_equal(leat_record_find(top.type, "x", &place, &err), LEAT_ENOTFOUND);
    assert_string_equal(err.message, "no field \"x\": the type is of type long, not a record");
    free_type(&top);
    free_type(&m);
}

static void test_type__given_many_nullable_steps__when_looked_for__then_four_are_the_limit(void **state)
{
    (void)state;
    struct leat_strbuf text = { 0 };
    for (int i = 0; i < 6; i++)
        leat__strbuf_printf(&text,
            "%s{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",",
            i ? "" : "", i);
    leat__strbuf_str(&text, "\"int\"");
    for (int i = 0; i < 6; i++)
        leat__strbuf_str(&text, "]}]}");
    struct made m = make_type(text.data);
    struct leat_place place;
    struct leat_error err = { 0 };
    assert_int_equal(leat_record_find(m.type, "n.n.n.n.n", &place, &err), 0);
    unsigned char *row = calloc(1, m.type->size);
    assert_non_null(row);
    for (int i = 0; i < 4; i++) {
        assert_true(leat_record_is_null(row, &place));
        row[place.outer_has[i]] = 1;
    }
    assert_true(leat_record_is_null(row, &place));
    row[place.has_offset] = 1;
    assert_false(leat_record_is_null(row, &place));
    free(row);
    assert_int_equal(leat_record_find(m.type, "n.n.n.n.n.n", &place, &err), LEAT_ELIMIT);
    assert_string_equal(err.message, "\"n.n.n.n.n.n\" passes more than 4 nullable records");
    free_type(&m);
    leat__strbuf_release(&text);
}

/* ---- printing records ---- */

static void test_type__given_a_record__when_printed__then_it_is_a_line_of_json(void **state)
{
    (void)state;
    struct made m = make_type(person_text);
    char text[512];
    const char *want = "{\"id\":7,\"home\":{\"city\":\"Ulm\",\"zip\":89073},\"work\":{\"city\":\"\",\"zip\":"
                       "null},\"height\":1.7,"
                       "\"weight\":60.1,\"color\":\"BLUE\",\"mark\":\"ab\",\"married\":true,\"choice\":5}";
    assert_int_equal(leat_record_print(&ann, m.type, text, sizeof text), strlen(want));
    assert_string_equal(text, want);
    /* Cut like snprintf. */
    assert_int_equal(leat_record_print(&ann, m.type, text, 10), strlen(want));
    assert_string_equal(text, "{\"id\":7,\"");
    assert_int_equal(leat_record_print(&ann, m.type, NULL, 0), strlen(want));
    /* Bad data is shown, not refused. */
    struct person bad = ann;
    bad.has_home = false;
    bad.color = 77;
    bad.choice.tag = -2;
    bad.height = NAN;
    bad.work.city = LEAT_SV("a\"\n\xff");
    (void)leat_record_print(&bad, m.type, text, sizeof text);
    assert_string_equal(text,
        "{\"id\":7,\"home\":null,\"work\":{\"city\":\"a\\\"\\n\xef\xbf\xbd\",\"zip\":null},\"height\":null,"
        "\"weight\":60.1,"
        "\"color\":77,\"mark\":\"ab\",\"married\":true,\"choice\":\"bad union tag -2\"}");
    free_type(&m);
}

static void test_type__given_doubles__when_printed__then_they_read_back_the_same(void **state)
{
    (void)state;
    static const double values[] = { 0, -0.0, 0.1, 1.0 / 3, 1e300, 5e-324, 123456789012345678.0, 2.5 };
    struct made d = make_type("\"double\""), f = make_type("\"float\"");
    char text[64];
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        (void)leat_record_print(&values[i], d.type, text, sizeof text);
        assert_true(strtod(text, NULL) == values[i]);
        const float single = (float)(values[i] > 1e30 ? 1e30 : values[i]);
        (void)leat_record_print(&single, f.type, text, sizeof text);
        assert_true(strtof(text, NULL) == single);
    }
    free_type(&d);
    free_type(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_type__given_a_record_of_all_kinds__when_laid_out__then_it_is_the_compilers_struct),
        cmocka_unit_test(test_type__given_small_types__when_laid_out__then_sizes_are_as_documented),
        cmocka_unit_test(test_type__given_a_schema_without_layout__when_laid_out__then_the_reason_is_told),
        cmocka_unit_test(test_type__given_a_type_that_unfolds__when_laid_out__then_the_limit_is_told),
        cmocka_unit_test(test_type__given_two_types__when_compared__then_layout_and_meaning_decide),
        cmocka_unit_test(test_type__given_a_descriptor__when_checked__then_the_differing_field_is_named),
        cmocka_unit_test(test_type__given_types__when_printed__then_they_read_well),
        cmocka_unit_test(test_type__given_failing_memory__when_laid_out__then_it_says_so_and_leaks_nothing),
        cmocka_unit_test(test_type__given_a_record__when_read_by_path__then_values_come_widened),
        cmocka_unit_test(test_type__given_null_steps_on_the_way__when_read__then_the_value_is_null),
        cmocka_unit_test(test_type__given_a_wrong_path__when_looked_for__then_a_near_miss_is_offered),
        cmocka_unit_test(test_type__given_many_nullable_steps__when_looked_for__then_four_are_the_limit),
        cmocka_unit_test(test_type__given_a_record__when_printed__then_it_is_a_line_of_json),
        cmocka_unit_test(test_type__given_doubles__when_printed__then_they_read_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
