/* tests/support/pattern_script.c -- patterns as text. */
#include "tests/support/pattern_script.h"
#include "base/assert.h"
#include <stdlib.h>
#include <string.h>

/* ---- telling ---- */

/* The callback gets no options: names of steps are a, b, c ... by convention, and told by index. */
static void tell(struct leat_ctx *ctx, const struct leat_match *match, struct pattern_told *out)
{
    out->what = (struct leat_sv){ "", 0 };
    for (uint32_t step = 0; step < 16; step++)
        for (uint32_t i = 0; i < leat_match_count(match, step); i++) {
            const struct pattern_row *row = leat_match_at(match, step, i);
            const bool first = out->what.len == 0;
            out->what = leat_printf(ctx, "%.*s%s%c%lld", (int)out->what.len, out->what.data, first ? "" : " ",
                (char)('a' + step), (long long)row->v);
            out->k = row->k;
            if (row->v == 666)
                leat_fail(ctx, "not this one");
        }
}
LEAT_DEFINE_MATCH(tell, pattern_row, pattern_told);

/* ---- parsing ---- */

static enum leat_contiguity contiguity_of(const char *word)
{
    return strcmp(word, "next") == 0 ? LEAT_NEXT : strcmp(word, "any") == 0 ? LEAT_FOLLOWED_BY_ANY : 0;
}

static uint32_t number(char **rest)
{
    const char *word = strtok_r(NULL, " ", rest);
    return word ? (uint32_t)strtoul(word, NULL, 10) : 0;
}

static void parse_skip(struct pattern_script *s, char **rest)
{
    static const char *const words[] = { "none", "next", "past", "first", "last" };
    const char *word = strtok_r(NULL, " ", rest);
    for (uint32_t i = 0; word && i < 5; i++)
        if (strcmp(words[i], word) == 0)
            s->opts.skip = (enum leat_skip)(LEAT_SKIP_NONE + i);
    s->opts.skip_to = strtok_r(NULL, " ", rest);
}

static bool parse_option(struct pattern_script *s, const char *word, char **rest)
{
    if (strcmp(word, "within") == 0)
        s->opts.within_us = number(rest);
    else if (strcmp(word, "skip") == 0)
        parse_skip(s, rest);
    else if (strcmp(word, "runs") == 0)
        s->opts.runs_max = number(rest);
    else if (strcmp(word, "timed-out") == 0)
        s->opts.timed_out.fn = &tell_match;
    else if (strcmp(word, "frequency") == 0) {
        s->frequency = number(rest);
        s->overlapping = strtok_r(NULL, " ", rest) != NULL;
    } else
        return false;
    return true;
}

static void parse_step(struct pattern_script *s, char *word, char **rest, char *where)
{
    struct leat_pattern_step *step = &s->opts.steps[s->steps_count++];
    step->where = where;
    for (; word; word = strtok_r(NULL, " ", rest)) {
        if (contiguity_of(word))
            step->contiguity = contiguity_of(word);
        else if (strcmp(word, "not") == 0)
            step->not_ = true;
        else if (strcmp(word, "opt") == 0)
            step->optional = true;
        else if (strcmp(word, "greedy") == 0)
            step->greedy = true;
        else if (strcmp(word, "inner") == 0)
            step->inner = contiguity_of(strtok_r(NULL, " ", rest));
        else if (strcmp(word, "until-v") == 0)
            step->until = number(rest) == 8 ? "v == 8" : "v == 9";
        else if (strcmp(word, "times") == 0) {
            step->times_min = number(rest);
            step->times_max = number(rest);
            if (step->times_max == 0)
                step->times_max = LEAT_UNBOUNDED;
        } else
            step->name = word;
    }
}

void pattern_script_parse(struct pattern_script *s, const char *text)
{
    char *parts = NULL, *rest = NULL;
    LEAT_ASSERT(strlen(text) < sizeof s->memory);
    memset(s, 0, sizeof *s);
    memcpy(s->memory, text, strlen(text));
    s->opts.match.fn = &tell_match;
    for (char *part = strtok_r(s->memory, ";", &parts); part; part = strtok_r(NULL, ";", &parts)) {
        char *where = strchr(part, ':');
        if (where)
            *where++ = '\0';
        char *word = strtok_r(part, " ", &rest);
        if (word && !parse_option(s, word, &rest))
            parse_step(s, word, &rest, where);
    }
}

leat_stream *pattern_script_declare(leat_stream *in, const char *text)
{
    struct pattern_script script;
    pattern_script_parse(&script, text);
    leat_keyed_stream *by_k = leat_group_by(in, "by-k", "k");
    if (script.frequency)
        return leat_frequency(by_k, "pattern",
            &(struct leat_frequency_opts){ .where = script.opts.steps[0].where,
                .count = script.frequency,
                .within_us = script.opts.within_us,
                .overlapping = script.overlapping,
                .match = { .fn = &tell_match } });
    return leat_on_error(leat_pattern(by_k, "pattern", &script.opts), LEAT_SKIP);
}
