/* record/expr_regex.c -- expressions: x matches 'pattern', x ~ 'pattern', regex_extract.
 *
 * PCRE2, compiled when the expression is, to machine code where that is possible. A pattern matches anywhere
 * in the text unless it is anchored; text is UTF-8, and malformed bytes match nothing; \d and \w are ASCII.
 * The compiled pattern is shared; the memory of a match belongs to the scratch. A match may take
 * LEAT_REGEX_STEPS_MAX steps, so that a pattern that backtracks without end stops the job with its name
 * instead of a worker for ever. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "record/expr_private.h"
#include "base/alloc.h"
#include <pcre2.h>

#define HEAP_KIB_MAX 16384u
#define STACK_BYTES_MIN (32u * 1024u)
#define STACK_BYTES_MAX (512u * 1024u)

struct expr_regex {
    struct expr_regex *next;
    pcre2_code *code;
    uint32_t captures;
    uint32_t group; /* of regex_extract */
};

struct expr_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *allocate(size_t size, void *ignored)
{
    (void)ignored;
    return leat__malloc(size);
}

static void release(void *p, void *ignored)
{
    (void)ignored;
    leat__free(p);
}

void leat__expr_regexes_free(struct expr_regex *regexes)
{
    for (; regexes; regexes = regexes->next)
        pcre2_code_free(regexes->code);
}

void leat__expr_matcher_free(struct expr_matcher *matcher)
{
    if (!matcher)
        return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_jit_stack_free(matcher->stack);
    leat__free(matcher);
}

int leat__expr_matcher_new(uint32_t captures_max, struct expr_matcher **matcher)
{
    struct expr_matcher *made = leat__calloc(1, sizeof *made);
    *matcher = made;
    if (!made)
        return LEAT_ENOMEM;
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    if (memory) {
        made->data = pcre2_match_data_create(captures_max + 1, memory);
        made->context = pcre2_match_context_create(memory);
        made->stack = pcre2_jit_stack_create(STACK_BYTES_MIN, STACK_BYTES_MAX, memory);
        pcre2_general_context_free(memory);
    }
    if (!made->data || !made->context) {
        leat__expr_matcher_free(made);
        *matcher = NULL;
        return LEAT_ENOMEM;
    }
    pcre2_set_match_limit(made->context, LEAT_REGEX_STEPS_MAX);
    pcre2_set_heap_limit(made->context, HEAP_KIB_MAX);
    if (made->stack) /* without it the machine's stack serves */
        pcre2_jit_stack_assign(made->context, NULL, made->stack);
    return 0;
}

/* 1: a match, 0: none, else an error that is set. */
static int match(struct expr_frame *f, const struct expr_instr *in, uint32_t i, struct leat_sv text)
{
    const struct expr_regex *regex = in->extra;
    struct expr_matcher *matcher = leat__expr_matcher(f);
    const int got = pcre2_match(regex->code, (PCRE2_SPTR)(text.len ? text.data : ""), text.len, 0, 0,
        matcher->data, matcher->context);
    if (got >= 0 || got == PCRE2_ERROR_NOMATCH)
        return got >= 0;
    if (got == PCRE2_ERROR_NOMEMORY)
        return leat__expr_row_fail(f, in, i, LEAT_ENOMEM, "out of memory while matching");
    PCRE2_UCHAR why[128] = "";
    (void)pcre2_get_error_message(got, why, sizeof why);
    return leat__expr_row_fail(f, in, i, LEAT_ELIMIT,
        "matching a text of %zu bytes was given up (%s, at most %u steps); simplify the pattern", text.len,
        (const char *)why, LEAT_REGEX_STEPS_MAX);
}

static int matches_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_vec *a = EXPR_ARG(f, in, 0);
    uint8_t *out = EXPR_DST(f, in)->data;
    EXPR_EACH_LIVE(f, in, i, out, 0)
    {
        const int found = match(f, in, i, EXPR_AT(struct leat_sv, a, i));
        LEAT_TRY(found);
        out[i] = (uint8_t)found;
    }
    return 0;
}

static int extract_kernel(struct expr_frame *f, const struct expr_instr *in)
{
    const struct expr_regex *regex = in->extra;
    const struct expr_vec *a = EXPR_ARG(f, in, 0), *d = EXPR_DST(f, in);
    struct leat_sv *out = (struct leat_sv *)(void *)d->data;
    EXPR_EACH_LIVE(f, in, i, out, LEAT_SV(""))
    {
        const struct leat_sv text = EXPR_AT(struct leat_sv, a, i);
        const int found = match(f, in, i, text);
        LEAT_TRY(found);
        const PCRE2_SIZE *pairs = pcre2_get_ovector_pointer(leat__expr_matcher(f)->data);
        const PCRE2_SIZE from = pairs[2 * regex->group], to = pairs[2 * regex->group + 1];
        out[i] = LEAT_SV("");
        if (!found || from == PCRE2_UNSET || from > to)
            d->nulls[i] = 1;
        else if (to > from)
            out[i] = (struct leat_sv){ text.data + from, to - from };
    }
    return 0;
}

/* The byte of the source that byte `offset` of a text literal at `at` comes from. */
static uint32_t source_of(const struct expr_source *source, uint32_t at, size_t offset)
{
    if (source->text[at] != '\'')
        return at; /* put together from parts */
    uint32_t i = at + 1;
    for (; offset > 0 && i + 1 < source->len; offset--)
        i += source->text[i] == '\'' ? 2 : 1;
    return i;
}

static int compile(struct expr_compiler *c, const struct expr_node *node, struct expr_regex *regex)
{
    const struct leat_sv pattern = node->value.as.string;
    const uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    int code;
    PCRE2_SIZE offset;
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    if (context)
        regex->code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.len, options, &code, &offset, context);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (!context || (!regex->code && code == PCRE2_ERROR_HEAP_FAILED))
        return leat__expr_no_memory(&c->source);
    if (!regex->code) {
        PCRE2_UCHAR why[128] = "";
        (void)pcre2_get_error_message(code, why, sizeof why);
        return leat__expr_fail(&c->source, source_of(&c->source, node->at, offset),
            "the regular expression is wrong here: %s", (const char *)why);
    }
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* where there is none it is interpreted */
    (void)pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->captures);
    return 0;
}

/* The pattern at args[1] is compiled and leaves the arguments. *regex is NULL when it is null. */
static int take_pattern(
    struct expr_compiler *c, struct expr_node *node, const char *usage, struct expr_regex **regex)
{
    const struct expr_node *pattern = node->args[1];
    *regex = NULL;
    LEAT_TRY(leat__expr_want_arg(c, node, 0, 's', usage));
    LEAT_TRY(leat__expr_want_arg(c, node, 1, 's', usage));
    if (!leat__expr_is_literal(node->args[1]))
        return leat__expr_fail(&c->source, pattern->at,
            "the pattern must be a constant text, since it is compiled once; like takes patterns from "
            "fields");
    if (node->args[1]->value.is_null)
        return 0;
    struct expr_regex *made = leat__arena_alloc(c->arena, sizeof *made);
    if (!made)
        return leat__expr_no_memory(&c->source);
    LEAT_TRY(compile(c, pattern, made));
    made->next = c->expr->regexes;
    c->expr->regexes = made;
    if (made->captures > c->expr->captures_max)
        c->expr->captures_max = made->captures;
    node->args_count = 1;
    *regex = made;
    return 0;
}

int leat__expr_type_matches(struct expr_compiler *c, struct expr_node *node)
{
    const struct expr_op op = { matches_kernel, EXPR_STRICT | EXPR_GUARDED };
    struct expr_regex *regex;
    LEAT_TRY(take_pattern(c, node, "text matches pattern", &regex));
    return leat__expr_apply(c, node, op, LEAT_VALUE_BOOL, regex);
}

int leat__expr_type_regex_extract(struct expr_compiler *c, struct expr_node *node)
{
    static const char usage[] = "regex_extract(text, pattern, group)";
    const struct expr_op op = { extract_kernel, EXPR_STRICT | EXPR_GUARDED | EXPR_GIVES_NULL };
    struct expr_regex *regex;
    LEAT_TRY(leat__expr_want_args(c, node, usage, 3, 3));
    LEAT_TRY(leat__expr_want_arg(c, node, 2, 'i', usage));
    const struct expr_node *group = node->args[2];
    LEAT_TRY(take_pattern(c, node, usage, &regex));
    if (!leat__expr_is_literal(group) || group->value.is_null)
        return leat__expr_fail(&c->source, group->at, "%s: the group must be a constant integer", usage);
    if (regex && (group->value.as.integer < 0 || group->value.as.integer > regex->captures))
        return leat__expr_fail(&c->source, group->at,
            "the pattern has groups up to %u and 0 for the whole match", regex->captures);
    if (regex)
        regex->group = (uint32_t)group->value.as.integer;
    return leat__expr_apply(c, node, op, LEAT_VALUE_STRING, regex);
}
