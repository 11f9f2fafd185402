/* tests/support/case_parse.c -- reading case files. */
#include "base/strbuf.h"
#include "tests/support/cases.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 5u
#define CASES_MAX 256u
#define LINES_MAX 512u /* of one case */

/* A line of the header or of a case: words separated by blanks, the last of which may be all that is left. */
struct parser {
    struct case_file *file;
    struct leat_error *err;
    const char *text, *end, *at;
    uint32_t line;
    char *words[WORDS_MAX];
    uint32_t words_count;
};

static int fail(const struct parser *p, const char *what, const char *word)
{
    return leat__error(p->err, LEAT_EDATA, "line %u: %s%s%s%s", p->line, what, word ? " \"" : "",
        word ? word : "", word ? "\"" : "");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The length of the line at p->at, its newline excluded. */
static size_t line_len(const struct parser *p, const char *at)
{
    const char *newline = memchr(at, '\n', (size_t)(p->end - at));
    return newline ? (size_t)(newline - at) : (size_t)(p->end - at);
}

static bool is_comment(const char *at, size_t len)
{
    while (len && is_blank(*at)) {
        at++;
        len--;
    }
    return len == 0 || *at == '#';
}

/* The next line with its continuations as one string of the arena; comments are skipped. NULL at the end,
 * with *code set when there was no memory. Continuations are for headers: a line of a case is one line. */
static char *next_line(struct parser *p, int *code)
{
    *code = 0;
    while (p->at < p->end) {
        size_t len = line_len(p, p->at);
        const char *from = p->at;
        p->at += len + (p->at + len < p->end);
        p->line++;
        if (is_comment(from, len))
            continue;
        while (p->at < p->end && is_blank(*p->at) && !is_comment(p->at, line_len(p, p->at))) {
            p->at += line_len(p, p->at);
            len = (size_t)(p->at - from);
            p->at += p->at < p->end;
            p->line++;
        }
        char *copy = leat__arena_strn(&p->file->arena, from, len);
        if (!copy)
            *code = leat__error(p->err, LEAT_ENOMEM, "out of memory");
        for (char *c = copy; c && *c; c++)
            *c = *c == '\n' || *c == '\r' || *c == '\t' ? ' ' : *c;
        return copy;
    }
    return NULL;
}

/* Splits into at most `max` words; the last takes the rest. */
static void split(struct parser *p, char *line, uint32_t max)
{
    p->words_count = 0;
    while (p->words_count < max) {
        while (is_blank(*line))
            line++;
        if (!*line)
            return;
        p->words[p->words_count++] = line;
        if (p->words_count == max)
            break;
        while (*line && !is_blank(*line))
            line++;
        if (*line)
            *line++ = '\0';
    }
    for (char *last = line + strlen(line); last > line && is_blank(last[-1]);)
        *--last = '\0';
}

static int parse_time(const struct parser *p, const char *word, int64_t *value)
{
    char *end;
    if (strcmp(word, "min") == 0 || strcmp(word, "max") == 0) {
        *value = word[1] == 'i' ? LEAT_TIME_MIN : LEAT_TIME_MAX;
        return 0;
    }
    errno = 0;
    const long long number = strtoll(word, &end, 10);
    if (errno || *end || end == word)
        return fail(p, "no time:", word);
    *value = number;
    return 0;
}

static int find_input(const struct parser *p, const char *name, uint32_t *input)
{
    for (*input = 0; *input < p->file->inputs_count; ++*input)
        if (strcmp(p->file->inputs[*input].name, name) == 0)
            return 0;
    return fail(p, "no input", name);
}

/* ---- header ---- */

static int add_schema(struct parser *p)
{
    struct case_file *file = p->file;
    struct leat_error err = { 0 };
    if (p->words_count < 3 || file->schemas_count == CASE_SCHEMAS_MAX)
        return fail(p, p->words_count < 3 ? "schema: a name and JSON are needed" : "too many schemas", NULL);
    struct leat_schema *schema = NULL;
    if (leat__schema_parse(p->words[2], strlen(p->words[2]), &schema, &err) < 0)
        return fail(p, err.message, NULL);
    const uint32_t i = file->schemas_count++;
    file->schemas[i].name = p->words[1];
    file->schemas[i].schema = schema;
    if (leat__schema_type(schema, &file->arena, &file->schemas[i].type, &err) < 0)
        return fail(p, err.message, NULL);
    return 0;
}

static int add_input(struct parser *p)
{
    struct case_file *file = p->file;
    if (p->words_count < 3 || file->inputs_count == CASE_INPUTS_MAX)
        return fail(
            p, p->words_count < 3 ? "input: a name and a schema are needed" : "too many inputs", NULL);
    for (uint32_t i = 0; i < file->schemas_count; i++)
        if (strcmp(file->schemas[i].name, p->words[2]) == 0) {
            file->inputs[file->inputs_count++] = (struct case_input){ .name = p->words[1],
                .time_field = p->words_count > 3 && strcmp(p->words[3], "-") != 0 ? p->words[3] : NULL,
                .changes = p->words_count > 4 && strcmp(p->words[4], "changes") == 0,
                .type = file->schemas[i].type };
            return 0;
        }
    return fail(p, "no schema", p->words[2]);
}

static int parse_header(struct parser *p, char *line)
{
    const bool is_input = strncmp(line, "input ", 6) == 0;
    split(p, line, is_input ? 5 : 3);
    if (strcmp(p->words[0], "operator") == 0 && p->words_count == 2) {
        p->file->operator_name = p->words[1];
        return 0;
    }
    if (strcmp(p->words[0], "schema") == 0)
        return add_schema(p);
    if (is_input)
        return add_input(p);
    return fail(p, "expected operator, schema, input or case, not", p->words[0]);
}

/* ---- cases ---- */

static const struct {
    const char *word;
    enum case_verb verb;
    bool has_input, has_time, has_json;
    enum leat_change change;
} verbs[] = {
    { "record", CASE_RECORD, true, false, true, LEAT_INSERT },
    { "insert", CASE_RECORD, true, false, true, LEAT_INSERT },
    { "update_before", CASE_RECORD, true, false, true, LEAT_UPDATE_BEFORE },
    { "update_after", CASE_RECORD, true, false, true, LEAT_UPDATE_AFTER },
    { "delete", CASE_RECORD, true, false, true, LEAT_DELETE },
    { "late", CASE_LATE, true, true, true, LEAT_INSERT },
    { "watermark", CASE_WATERMARK, true, true, false, LEAT_INSERT },
    { "idle", CASE_IDLE, true, false, false, LEAT_INSERT },
    { "advance", CASE_ADVANCE, false, true, false, LEAT_INSERT },
    { "flush", CASE_FLUSH, false, false, false, LEAT_INSERT },
    { "end", CASE_END, true, false, false, LEAT_INSERT },
    { "barrier", CASE_BARRIER, false, false, false, LEAT_INSERT },
    { "crash", CASE_CRASH, false, false, false, LEAT_INSERT },
    { "restore", CASE_RESTORE, false, false, false, LEAT_INSERT },
};

static int parse_verb(struct parser *p, struct case_one *one, char *line, uint32_t v)
{
    const uint32_t want = 1 + verbs[v].has_input + verbs[v].has_time + verbs[v].has_json;
    uint32_t at = 1;
    if (one->lines_count == LINES_MAX)
        return fail(p, "the case is too long", NULL);
    struct case_line *to = &one->lines[one->lines_count++];
    *to = (struct case_line){ .verb = verbs[v].verb, .change = verbs[v].change, .line = p->line };
    split(p, line, want);
    if (verbs[v].verb == CASE_END && p->words_count == 1) {
        to->verb = CASE_END_ALL;
        return 0;
    }
    if (p->words_count < want)
        return fail(p, "more words are needed behind", verbs[v].word);
    one->crashes = one->crashes || to->verb == CASE_BARRIER;
    if (to->verb == CASE_CRASH && !one->crashes)
        return fail(p, "there is no barrier before this", "crash");
    if ((to->verb == CASE_RESTORE) != (one->lines_count > 1 && to[-1].verb == CASE_CRASH))
        return fail(p, "restore stands behind crash, and nothing else does:", verbs[v].word);
    if (verbs[v].has_input)
        LEAT_TRY(find_input(p, p->words[at++], &to->input));
    if (verbs[v].has_time)
        LEAT_TRY(parse_time(p, p->words[at++], &to->time_us));
    if (verbs[v].has_json)
        to->json = p->words[at];
    return 0;
}

static bool begins_with(const char *line, const char *word)
{
    const size_t len = strlen(word);
    return strncmp(line, word, len) == 0 && (line[len] == '\0' || is_blank(line[len]));
}

static int parse_line(struct parser *p, struct case_one *one, char *line)
{
    for (uint32_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++)
        if (begins_with(line, verbs[v].word))
            return parse_verb(p, one, line, v);
    split(p, line, 2);
    if (strcmp(p->words[0], "unordered") == 0 && p->words_count == 1) {
        one->unordered = true;
        return 0;
    }
    if (strcmp(p->words[0], "batch") == 0 && p->words_count == 2) {
        int64_t rows;
        LEAT_TRY(parse_time(p, p->words[1], &rows));
        if (rows < 1 || rows > (int64_t)LEAT_BATCH_ROWS_MAX)
            return fail(p, "no size of batches:", p->words[1]);
        one->batch = (uint32_t)rows;
        return 0;
    }
    return fail(p, "unknown word", p->words[0]);
}

/* The lines up to the next case; blank ones at the end belong to nobody. */
static int parse_expected(struct parser *p, struct case_one *one)
{
    struct leat_strbuf lines = { 0 };
    one->expected_from = one->expected_to = (size_t)(p->at - p->text);
    while (p->at < p->end) {
        const size_t len = line_len(p, p->at);
        if (len >= 5 && memcmp(p->at, "case ", 5) == 0)
            break;
        if (!is_comment(p->at, len)) {
            leat__strbuf_add(&lines, p->at, len);
            leat__strbuf_char(&lines, '\n');
        }
        const bool counts = !is_comment(p->at, len);
        p->at += len + (p->at + len < p->end);
        p->line++;
        if (counts)
            one->expected_to = (size_t)(p->at - p->text);
    }
    one->expected = lines.failed ? NULL : leat__arena_str(&p->file->arena, lines.data ? lines.data : "");
    leat__strbuf_release(&lines);
    return one->expected ? 0 : leat__error(p->err, LEAT_ENOMEM, "out of memory");
}

static int parse_case(struct parser *p, char *line)
{
    int code;
    if (p->file->cases_count == CASES_MAX)
        return fail(p, "too many cases in one file", NULL);
    struct case_one *one = &p->file->cases[p->file->cases_count++];
    one->line = p->line;
    split(p, line, 2);
    if (p->words_count < 2)
        return fail(p, "the case needs a name", NULL);
    one->name = p->words[1];
    one->lines = leat__arena_array(&p->file->arena, LINES_MAX, sizeof *one->lines);
    if (!one->lines)
        return leat__error(p->err, LEAT_ENOMEM, "out of memory");
    while ((line = next_line(p, &code))) {
        if (strcmp(line, "----") == 0)
            return parse_expected(p, one);
        LEAT_TRY(parse_line(p, one, line));
    }
    return code < 0 ? code : fail(p, "the case has no ----:", one->name);
}

static int parse_file(struct parser *p)
{
    char *line;
    int code;
    p->file->cases = leat__arena_array(&p->file->arena, CASES_MAX, sizeof *p->file->cases);
    if (!p->file->cases)
        return leat__error(p->err, LEAT_ENOMEM, "out of memory");
    while ((line = next_line(p, &code))) {
        if (begins_with(line, "case"))
            LEAT_TRY(parse_case(p, line));
        else if (p->file->cases_count == 0)
            LEAT_TRY(parse_header(p, line));
        else
            return fail(p, "expected a case, not", line);
    }
    LEAT_TRY(code);
    if (!p->file->operator_name || p->file->inputs_count == 0)
        return fail(p, "an operator and an input are needed", NULL);
    return 0;
}

int case_parse(const char *text, size_t len, struct case_file *file, struct leat_error *err)
{
    struct parser p = { .file = file, .err = err, .text = text, .end = text + len, .at = text };
    *file = (struct case_file){ 0 };
    const int code = memchr(text, '\0', len) ? fail(&p, "a NUL byte in the text", NULL) : parse_file(&p);
    if (code < 0)
        case_release(file);
    return code;
}

void case_release(struct case_file *file)
{
    for (uint32_t i = 0; i < file->schemas_count; i++)
        leat__schema_free(file->schemas[i].schema);
    leat__arena_release(&file->arena);
    *file = (struct case_file){ 0 };
}
