/* tools/gen_names.c -- from the names of a schema to names that C and C++ take.
 *
 * Structs, enums and members are called as in the schema; types in lower case with underscores. A name that
 * is not free gets underscores at its end until it is, and the notes tell it. Not free are: members keywords,
 * words that common headers define as macros, other members of the record tags       the same, what the
 * standard library calls a struct, leat_*, other tags of the schema constants  macros of the standard headers
 * (an enum Size with a symbol MAX), constants of other enums */
#include "base/alloc.h"
#include "tools/gen_private.h"
#include <ctype.h>
#include <string.h>

/* Keywords of C and C++, and object-like macros of common headers and of compilers in their GNU mode. */
static const char *const reserved_words[] = { "BUFSIZ", "EOF", "FILE", "I", "INFINITY", "NAN", "NULL", "WEOF",
    "_Alignas", "_Alignof", "_Atomic", "_BitInt", "_Bool", "_Complex", "_Decimal128", "_Decimal32",
    "_Decimal64", "_Float128", "_Generic", "_Imaginary", "_Noreturn", "_Static_assert", "_Thread_local",
    "__alignof", "__asm", "__attribute", "__auto_type", "__complex", "__const", "__extension__", "__imag",
    "__inline", "__int128", "__label__", "__null", "__real", "__restrict", "__signed", "__thread", "__typeof",
    "__volatile", "alignas", "alignof", "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break",
    "case", "catch", "char", "char16_t", "char32_t", "char8_t", "class", "co_await", "co_return", "co_yield",
    "compl", "complex", "concept", "const", "const_cast", "consteval", "constexpr", "constinit", "continue",
    "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "errno", "explicit",
    "export", "extern", "false", "float", "for", "friend", "goto", "i386", "if", "imaginary", "inline", "int",
    "int32_t", "int64_t", "linux", "long", "mutable", "namespace", "new", "noexcept", "noreturn", "not",
    "not_eq", "nullptr", "offsetof", "operator", "or", "or_eq", "private", "protected", "public", "register",
    "reinterpret_cast", "requires", "restrict", "return", "short", "signed", "sizeof", "static",
    "static_assert", "static_cast", "stderr", "stdin", "stdout", "struct", "switch", "template", "this",
    "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "typeof_unqual",
    "uint8_t", "union", "unix", "unsigned", "using", "virtual", "void", "volatile", "wchar_t", "while", "xor",
    "xor_eq" };

/* Structs and types of the standard headers. */
static const char *const library_tags[] = { "int16_t", "int32_t", "int64_t", "int8_t", "lconv", "max_align_t",
    "ptrdiff_t", "size_t", "ssize_t", "timespec", "tm", "uint16_t", "uint32_t", "uint64_t", "uint8_t" };

/* Macros of the standard headers that look like the constant of an enum; x_MAX, x_MIN and x_C are told by x.
 */
static const char *const library_constants[] = { "CHAR_BIT", "CLOCKS_PER_SEC", "CLOCK_MONOTONIC",
    "CLOCK_REALTIME", "DECIMAL_DIG", "EXIT_FAILURE", "EXIT_SUCCESS", "FILENAME_MAX", "FOPEN_MAX",
    "FP_INFINITE", "FP_NAN", "FP_NORMAL", "FP_SUBNORMAL", "FP_ZERO", "HUGE_VAL", "HUGE_VALF", "HUGE_VALL",
    "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LINE_MAX",
    "MB_CUR_MAX", "MB_LEN_MAX", "M_E", "M_PI", "NAME_MAX", "PATH_MAX", "RAND_MAX", "SEEK_CUR", "SEEK_END",
    "SEEK_SET", "SIG_BLOCK", "SIG_DFL", "SIG_ERR", "SIG_IGN", "SIG_SETMASK", "SIG_UNBLOCK", "STDERR_FILENO",
    "STDIN_FILENO", "STDOUT_FILENO", "TIME_UTC", "TMP_MAX" };
static const char *const library_numbers[] = { "CHAR", "SCHAR", "UCHAR", "SHRT", "USHRT", "INT", "UINT",
    "LONG", "ULONG", "LLONG", "ULLONG", "SIZE", "SSIZE", "PTRDIFF", "WCHAR", "WINT", "SIG_ATOMIC", "INTPTR",
    "UINTPTR", "INTMAX", "UINTMAX", "FLT", "DBL", "LDBL", "INT8", "INT16", "INT32", "INT64", "UINT8",
    "UINT16", "UINT32", "UINT64" };

#define IS_ONE_OF(name_, words_) is_one_of((name_), (words_), sizeof(words_) / sizeof(words_)[0])
static bool is_one_of(const char *name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

/* __x__ is what compilers call macros and words of their own; __x___ is no such word any more. */
static bool is_reserved_word(const char *name)
{
    const size_t len = strlen(name);
    const bool compiler =
        len > 4 && memcmp(name, "__", 2) == 0 && memcmp(name + len - 2, "__", 2) == 0 && name[len - 3] != '_';
    return compiler || IS_ONE_OF(name, reserved_words);
}

static bool is_library_constant(struct gen *g, const char *name)
{
    static const char *const ends[] = { "MAX", "MIN", "C", "WIDTH", "EPSILON", "DIG" };
    const char *end = strrchr(name, '_');
    if (IS_ONE_OF(name, library_constants))
        return true;
    if (!end || !IS_ONE_OF(end + 1, ends))
        return false;
    return IS_ONE_OF(leat__gen_printf(g, "%.*s", (int)(end - name), name), library_numbers);
}

static bool is_taken(const struct gen_words *words, const char *name)
{
    return is_one_of(name, words->words, words->count);
}

static void take(struct gen *g, struct gen_words *words, const char *name)
{
    if (words->count == words->capacity) {
        const uint32_t capacity = words->capacity ? words->capacity * 2 : 32;
        const char **more = leat__realloc((void *)words->words, capacity * sizeof *more);
        if (!more) {
            g->failed = true;
            return;
        }
        words->words = more;
        words->capacity = capacity;
    }
    words->words[words->count++] = name;
}

const char *leat__gen_printf(struct gen *g, const char *format, ...)
{
    struct leat_strbuf s = { 0 };
    va_list args;
    va_start(args, format);
    leat__strbuf_vprintf(&s, format, args);
    va_end(args);
    const char *text = s.failed ? NULL : leat__arena_strn(&g->arena, s.data ? s.data : "", s.len);
    leat__strbuf_release(&s);
    g->failed = g->failed || !text;
    return text ? text : "";
}

const char *leat__gen_snake(struct gen *g, const char *name)
{
    struct leat_strbuf s = { 0 };
    for (size_t i = 0; name[i]; i++) {
        const unsigned char c = (unsigned char)name[i], before = i ? (unsigned char)name[i - 1] : '_';
        const bool begins =
            islower(before) || isdigit(before) || (isupper(before) && islower((unsigned char)name[i + 1]));
        if (isupper(c) && begins)
            leat__strbuf_char(&s, '_');
        leat__strbuf_char(&s, c == '.' ? '_' : (char)tolower(c));
    }
    const char *text = leat__gen_printf(g, "%s", s.data ? s.data : "");
    g->failed = g->failed || s.failed;
    leat__strbuf_release(&s);
    return text;
}

/* A copy with each byte mapped. */
static const char *map_bytes(struct gen *g, const char *text, int (*map)(int))
{
    char *copy = leat__arena_str(&g->arena, text);
    g->failed = g->failed || !copy;
    for (char *p = copy; p && *p; p++)
        *p = (char)map((unsigned char)*p);
    return copy ? copy : "";
}

const char *leat__gen_upper(struct gen *g, const char *name)
{
    return map_bytes(g, name, toupper);
}

static int identifier_byte(int c)
{
    return c < 0x80 && isalnum(c) ? c : '_';
}

const char *leat__gen_identifier(struct gen *g, const char *text)
{
    return map_bytes(g, text, identifier_byte);
}

const char *leat__gen_simple(const char *full_name)
{
    const char *dot = strrchr(full_name, '.');
    return dot ? dot + 1 : full_name;
}

/* ---- tags ---- */

/* The type for notes; one without a name by the record that all is in. */
static const char *named_near(const struct gen *g, const struct leat_type *type)
{
    const bool named =
        type->kind == LEAT_KIND_RECORD || type->kind == LEAT_KIND_ENUM || type->kind == LEAT_KIND_FIXED;
    return named ? type->name : g->root->name;
}

/* What is declared beside `struct x` for a type of this kind: `struct x_entry`, `enum x_tag`. */
static const char *companion(struct gen *g, const char *name, enum leat_kind kind)
{
    if (kind != LEAT_KIND_MAP && kind != LEAT_KIND_UNION)
        return NULL;
    return leat__gen_printf(g, "%s%s", name, kind == LEAT_KIND_MAP ? "_entry" : "_tag");
}

/* Why the tag can not be used; NULL when it can. */
static const char *tag_problem(struct gen *g, const char *name, enum leat_kind kind)
{
    const char *beside = companion(g, name, kind);
    if (is_reserved_word(name))
        return "a word of C";
    if (IS_ONE_OF(name, library_tags))
        return "of the standard library";
    if (strcmp(name, "leat") == 0 || (strncmp(name, "leat_", 5) == 0 && name[strlen(name) - 1] != '_'))
        return "Leat's own";
    if (is_taken(&g->tags, name) || (beside && is_taken(&g->tags, beside)))
        return "taken";
    return NULL;
}

const char *leat__gen_claim_tag(struct gen *g, const char *wish, const struct leat_type *of)
{
    const char *name = wish, *first = tag_problem(g, wish, of->kind);
    while (!g->failed && tag_problem(g, name, of->kind))
        name = leat__gen_printf(g, "%s_", name);
    if (name != wish)
        leat__strbuf_printf(
            &g->out->notes, "%s: the C name is %s, since %s is %s\n", named_near(g, of), name, wish, first);
    take(g, &g->tags, name);
    const char *beside = companion(g, name, of->kind);
    if (beside)
        take(g, &g->tags, beside);
    return name;
}

const char *leat__gen_claim_constant(struct gen *g, const char *wish, const struct leat_type *of)
{
    const char *name = wish;
    const bool library = is_library_constant(g, wish);
    while (!g->failed && (is_library_constant(g, name) || is_taken(&g->constants, name)))
        name = leat__gen_printf(g, "%s_", name);
    if (name != wish)
        leat__strbuf_printf(&g->out->notes, "%s: the constant is %s, since %s is %s\n", named_near(g, of),
            name, wish, library ? "a macro of the standard library" : "taken");
    take(g, &g->constants, name);
    return name;
}

/* ---- members ---- */

/* Whether a member or flag other than member i has this name. Fields that have no member name yet will want
 * their own. */
static bool member_is_taken(
    const struct leat_type *record, const struct gen_members *members, uint32_t i, const char *name)
{
    for (uint32_t k = 0; k < record->fields_count; k++) {
        const char *other = members->names[k] ? members->names[k] : record->fields[k].name;
        if ((k != i && strcmp(other, name) == 0) ||
            (members->flags[k] && strcmp(members->flags[k], name) == 0))
            return true;
    }
    return false;
}

static void name_member(
    struct gen *g, const struct leat_type *record, struct gen_members *members, uint32_t i)
{
    const char *wish = record->fields[i].name, *name = wish;
    while (
        !g->failed && (is_reserved_word(name) || (name != wish && member_is_taken(record, members, i, name))))
        name = leat__gen_printf(g, "%s_", name);
    members->names[i] = name;
    if (name != wish)
        leat__strbuf_printf(&g->out->notes, "%s: field %s is the member %s, since it is a word of C\n",
            record->name, wish, name);
}

static void name_flag(struct gen *g, const struct leat_type *record, struct gen_members *members, uint32_t i)
{
    const char *wish = leat__gen_printf(g, "has_%s", record->fields[i].name), *name = wish;
    while (!g->failed && member_is_taken(record, members, record->fields_count, name))
        name = leat__gen_printf(g, "%s_", name);
    members->flags[i] = name;
    if (name != wish)
        leat__strbuf_printf(&g->out->notes, "%s: the flag of %s is %s, since %s is taken\n", record->name,
            record->fields[i].name, name, wish);
}

bool leat__gen_members(struct gen *g, const struct leat_type *record, struct gen_members *members)
{
    members->names = leat__arena_array(&g->arena, record->fields_count + 1, sizeof *members->names);
    members->flags = leat__arena_array(&g->arena, record->fields_count + 1, sizeof *members->flags);
    g->failed = g->failed || !members->names || !members->flags;
    for (uint32_t i = 0; i < record->fields_count && !g->failed; i++)
        name_member(g, record, members, i);
    for (uint32_t i = 0; i < record->fields_count && !g->failed; i++)
        if (record->fields[i].has_offset != LEAT_NOT_NULLABLE)
            name_flag(g, record, members, i);
    return !g->failed;
}

/* ---- branches ---- */

static bool branch_is_ambiguous(struct gen *g, const struct leat_type *type, uint32_t i)
{
    const char *name = leat__gen_snake(g, leat__gen_simple(type->fields[i].name));
    for (uint32_t k = 0; k < type->fields_count; k++)
        if (k != i && strcmp(leat__gen_snake(g, leat__gen_simple(type->fields[k].name)), name) == 0)
            return true;
    return false;
}

bool leat__gen_branches(struct gen *g, const struct leat_type *type, struct gen_branches *branches)
{
    branches->members = leat__arena_array(&g->arena, type->fields_count + 1, sizeof *branches->members);
    branches->tags = leat__arena_array(&g->arena, type->fields_count + 1, sizeof *branches->tags);
    g->failed = g->failed || !branches->members || !branches->tags;
    for (uint32_t i = 0; i < type->fields_count && !g->failed; i++) {
        const char *full = type->fields[i].name;
        const char *wish =
            leat__gen_snake(g, branch_is_ambiguous(g, type, i) ? full : leat__gen_simple(full));
        const char *name = wish;
        while (!g->failed && (is_reserved_word(name) || is_one_of(name, branches->members, i)))
            name = leat__gen_printf(g, "%s_", name);
        branches->members[i] = name;
        branches->tags[i] = leat__gen_upper(g, wish);
    }
    return !g->failed;
}
