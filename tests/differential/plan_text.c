/* tests/differential/plan_text.c -- plans as text, one line each for the run, a source, a node, a step:
 *
 *   # anything
 *   run mode=1 parallelism=2 batch=7
 *   source splits=1 ooo=5
 *   node kind=7 in=0 keys=1 window=1 size=10 trigger.kind=1 agg.kind=1 agg.kind=2 agg.of=1
 *   row k1=1 v=2 at=10
 *
 * Numbers that are 0 are left out; each "trigger.kind" and "agg.kind" begins another trigger, another aggregate. */
#include "tests/differential/plan.h"
#include <leat/join.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER(struct_, name_) \
    { \
#name_, offsetof(struct struct_, name_) \
    }
#define NUMBERS(array_) \
    { \
        (array_), sizeof(array_) / sizeof((array_)[0]) \
    }

static const struct plan_number row_numbers[] = { NUMBER(plan_row, step), NUMBER(plan_row, source),
    NUMBER(plan_row, split), NUMBER(plan_row, nulls), NUMBER(plan_row, k1), NUMBER(plan_row, k2),
    NUMBER(plan_row, v), NUMBER(plan_row, d), NUMBER(plan_row, s), NUMBER(plan_row, b), NUMBER(plan_row, gap),
    NUMBER(plan_row, at) };
static const struct plan_number source_numbers[] = { NUMBER(plan_source, splits), NUMBER(plan_source, ooo),
    NUMBER(plan_source, idle) };
static const struct plan_number node_numbers[] = { NUMBER(plan_node, kind), NUMBER(plan_node, in),
    NUMBER(plan_node, in2), NUMBER(plan_node, expr), NUMBER(plan_node, keys), NUMBER(plan_node, before),
    NUMBER(plan_node, after), NUMBER(plan_node, form), NUMBER(plan_node, outer), NUMBER(plan_node, where),
    NUMBER(plan_node, merge), NUMBER(plan_node, window), NUMBER(plan_node, size), NUMBER(plan_node, slide),
    NUMBER(plan_node, step), NUMBER(plan_node, offset), NUMBER(plan_node, lateness),
    NUMBER(plan_node, accumulation), NUMBER(plan_node, unit), NUMBER(plan_node, zone), NUMBER(plan_node, gap),
    NUMBER(plan_node, gap_of_row), NUMBER(plan_node, max_length), NUMBER(plan_node, count),
    NUMBER(plan_node, every), NUMBER(plan_node, gaps), NUMBER(plan_node, discard_remainder) };
static const struct plan_number trigger_numbers[] = { NUMBER(plan_trigger, kind), NUMBER(plan_trigger, n),
    NUMBER(plan_trigger, late) };
static const struct plan_number agg_numbers[] = { NUMBER(plan_agg, kind), NUMBER(plan_agg, of),
    NUMBER(plan_agg, where), NUMBER(plan_agg, by), NUMBER(plan_agg, n), NUMBER(plan_agg, q) };
static const struct plan_number run_numbers[] = { NUMBER(plan_run, mode), NUMBER(plan_run, seed),
    NUMBER(plan_run, parallelism), NUMBER(plan_run, batch), NUMBER(plan_run, channel),
    NUMBER(plan_run, budget), NUMBER(plan_run, checkpoint_every), NUMBER(plan_run, crash_behind),
    NUMBER(plan_run, crash_at), NUMBER(plan_run, crash_again), NUMBER(plan_run, stop_at),
    NUMBER(plan_run, parallelism2) };

const struct plan_numbers plan_row_numbers = NUMBERS(row_numbers),
                          plan_source_numbers = NUMBERS(source_numbers),
                          plan_node_numbers = NUMBERS(node_numbers), plan_run_numbers = NUMBERS(run_numbers),
                          plan_trigger_numbers = NUMBERS(trigger_numbers),
                          plan_agg_numbers = NUMBERS(agg_numbers);

/* ---- plans ---- */

void plan_free(struct plan *plan)
{
    if (plan)
        free(plan->rows);
    free(plan);
}

struct plan *plan_copy(const struct plan *plan)
{
    struct plan *copy = malloc(sizeof *copy);
    if (!copy)
        abort();
    *copy = *plan;
    copy->rows = malloc((plan->rows_count + 1) * sizeof *copy->rows);
    if (!copy->rows)
        abort();
    if (plan->rows_count > 0)
        memcpy(copy->rows, plan->rows, plan->rows_count * sizeof *copy->rows);
    return copy;
}

const char *plan_text(int64_t index, size_t *len)
{
    static const struct {
        const char *text;
        size_t len;
    } texts[PLAN_TEXTS] = { { "", 0 }, { "a", 1 }, { "ab", 2 }, { "b", 1 }, { "a\0", 2 }, { "zz", 2 },
        { "\303\244", 2 }, { "B", 1 }, { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 40 }, { "0", 1 },
        { "a,b", 3 }, { "\xf0\x9f\x98\x80", 4 } };
    const size_t at = (size_t)(index < 0 ? 0 : index % PLAN_TEXTS);
    *len = texts[at].len;
    return texts[at].text;
}

size_t plan_streams_count(const struct plan *plan)
{
    return plan->sources_count + plan->nodes_count;
}

bool plan_gives_results(const struct plan *plan, size_t stream)
{
    if (stream < plan->sources_count)
        return false;
    const struct plan_node *node = &plan->nodes[stream - plan->sources_count];
    if (node->kind == PLAN_AGGREGATE || node->kind == PLAN_GROUP || node->kind == PLAN_COGROUP ||
        node->kind == PLAN_WINDOW_JOIN)
        return true;
    return node->kind == PLAN_UNION && plan_gives_results(plan, (size_t)node->in);
}

/* What can be behind a stream of changes: more of the same, or what adds them up. */
static bool passes_changes(const struct plan_node *node)
{
    return node->kind == PLAN_FILTER || node->kind == PLAN_MAP || node->kind == PLAN_AGAIN;
}

bool plan_gives_changes(const struct plan *plan, size_t stream)
{
    if (stream < plan->sources_count)
        return false;
    const struct plan_node *node = &plan->nodes[stream - plan->sources_count];
    if (node->kind == PLAN_JOIN_TABLES)
        return node->outer > LEAT_JOIN_INNER || plan_gives_changes(plan, (size_t)node->in) ||
            plan_gives_changes(plan, (size_t)node->in2);
    if (node->kind == PLAN_GROUP || node->kind == PLAN_TOP || node->kind == PLAN_UPSERT ||
        (node->kind == PLAN_DEDUPLICATE && (node->expr & 3)) ||
        (node->kind == PLAN_AGGREGATE && node->accumulation == LEAT_RETRACTING))
        return true;
    return passes_changes(node) && plan_gives_changes(plan, (size_t)node->in);
}

bool plan_idles(const struct plan *plan)
{
    bool any = false;
    for (size_t i = 0; i < plan->sources_count; i++)
        any = any || plan->sources[i].idle > 0;
    return any && plan->run.mode == PLAN_KIT;
}

bool plan_has_own_sink(const struct plan_node *node)
{
    return node->kind == PLAN_AGGREGATE || node->kind == PLAN_GROUP || node->kind == PLAN_COGROUP ||
        node->kind == PLAN_JOIN_TABLES;
}

bool plan_has_two_inputs(const struct plan_node *node)
{
    return node->kind == PLAN_UNION || node->kind == PLAN_JOIN || node->kind == PLAN_ASOF_JOIN ||
        node->kind == PLAN_WINDOW_JOIN || node->kind == PLAN_TABLE_JOIN || node->kind == PLAN_JOIN_TABLES ||
        node->kind == PLAN_COGROUP;
}

bool plan_is_keyed(const struct plan_node *node)
{
    return node->kind == PLAN_JOIN || node->kind == PLAN_AGGREGATE || node->kind == PLAN_GROUP ||
        node->kind == PLAN_ALARM || node->kind == PLAN_TALLY ||
        (node->kind >= PLAN_DEDUPLICATE && node->kind != PLAN_ASYNC);
}

bool plan_is_read(const struct plan *plan, size_t stream)
{
    for (size_t i = 0; i < plan->nodes_count; i++)
        if (plan->nodes[i].in == (int64_t)stream ||
            (plan_has_two_inputs(&plan->nodes[i]) && plan->nodes[i].in2 == (int64_t)stream))
            return true;
    return false;
}

/* At most one row per key of the join: what keeps one by the same key. */
static bool is_table(const struct plan *plan, const struct plan_node *join, size_t stream)
{
    if (!plan_gives_changes(plan, stream))
        return !plan_gives_results(plan, stream); /* each record replaces the one before */
    const struct plan_node *node = &plan->nodes[stream - plan->sources_count];
    const bool keeps_one = node->kind == PLAN_UPSERT ||
        (node->kind == PLAN_DEDUPLICATE && (node->expr & 3) && node->size == INT64_MAX);
    return keeps_one && node->keys == join->keys && join->form == PLAN_SAME;
}

static bool is_sound_node(const struct plan *plan, size_t i)
{
    const struct plan_node *node = &plan->nodes[i];
    const int64_t below = (int64_t)(plan->sources_count + i);
    if (node->kind <= 0 || node->kind >= PLAN_KINDS || node->in < 0 || node->in >= below)
        return false;
    const bool results = plan_gives_results(plan, (size_t)node->in);
    if (plan_is_keyed(node) && (node->keys < PLAN_BY_K1 || node->keys > PLAN_BY_BOTH))
        return false;
    const int64_t part = node->window == LEAT_WINDOW_HOPPING ? node->slide : node->step;
    const bool many = part > 0 && node->size / part > PLAN_WINDOWS_MAX;
    if (many && (node->window == LEAT_WINDOW_HOPPING || node->window == LEAT_WINDOW_CUMULATING))
        return false;
    if (node->kind == PLAN_OTHERWISE)
        return node->in >= (int64_t)plan->sources_count &&
            plan->nodes[node->in - (int64_t)plan->sources_count].kind == PLAN_BRANCH;
    if (plan_has_two_inputs(node) &&
        (node->in2 < 0 || node->in2 >= below || plan_gives_results(plan, (size_t)node->in2) != results))
        return false;
    if (node->form < 0 || node->form >= PLAN_FORMS)
        return false;
    if (node->kind == PLAN_TABLE_JOIN)
        return !results && !plan_gives_changes(plan, (size_t)node->in) &&
            is_table(plan, node, (size_t)node->in2);
    const bool changes = plan_gives_changes(plan, (size_t)node->in) ||
        (plan_has_two_inputs(node) && plan_gives_changes(plan, (size_t)node->in2));
    if (changes && !passes_changes(node) && node->kind != PLAN_GROUP && node->kind != PLAN_TOP &&
        node->kind != PLAN_JOIN_TABLES)
        return false;
    return node->kind == PLAN_UNION || results == (node->kind == PLAN_AGAIN);
}

bool plan_is_sound(const struct plan *plan)
{
    if (plan->sources_count == 0 || plan->run.parallelism < 1)
        return false;
    for (size_t i = 0; i < plan->sources_count; i++)
        if (plan->sources[i].splits < 1 || plan->sources[i].splits > PLAN_SPLITS_MAX ||
            plan->sources[i].idle < 0)
            return false;
    if (plan_idles(plan) && plan->run.parallelism > PLAN_LANES_MAX)
        return false;
    for (size_t i = 0; i < plan->nodes_count; i++)
        if (!is_sound_node(plan, i))
            return false;
    for (size_t i = 0; i < plan->rows_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        if (row->source < 0 || row->source >= (int64_t)plan->sources_count || row->split < 0 ||
            row->split >= plan->sources[row->source].splits)
            return false;
    }
    return true;
}

/* ---- printing ---- */

struct text {
    char *data;
    size_t len, capacity;
};

static void append(struct text *text, const char *more)
{
    const size_t len = strlen(more);
    if (text->len + len + 1 > text->capacity) {
        text->capacity = 2 * (text->len + len + 1);
        text->data = realloc(text->data, text->capacity);
        if (!text->data)
            abort();
    }
    memcpy(text->data + text->len, more, len + 1);
    text->len += len;
}

static void append_numbers(
    struct text *text, const char *prefix, const struct plan_numbers *numbers, const void *part)
{
    for (size_t i = 0; i < numbers->count; i++) {
        char word[96];
        int64_t value;
        memcpy(&value, (const char *)part + numbers->at[i].offset, sizeof value);
        if (value == 0)
            continue;
        (void)snprintf(word, sizeof word, " %s%s=%" PRIi64, prefix, numbers->at[i].name, value);
        append(text, word);
    }
}

char *plan_print(const struct plan *plan)
{
    struct text text = { 0 };
    append(&text, "run");
    append_numbers(&text, "", &plan_run_numbers, &plan->run);
    for (size_t i = 0; i < plan->sources_count; i++) {
        append(&text, "\nsource");
        append_numbers(&text, "", &plan_source_numbers, &plan->sources[i]);
    }
    for (size_t i = 0; i < plan->nodes_count; i++) {
        const struct plan_node *node = &plan->nodes[i];
        append(&text, "\nnode");
        append_numbers(&text, "", &plan_node_numbers, node);
        for (size_t t = 0; t < PLAN_TRIGGERS_MAX && node->triggers[t].kind; t++)
            append_numbers(&text, "trigger.", &plan_trigger_numbers, &node->triggers[t]);
        for (size_t a = 0; a < PLAN_AGGS_MAX && node->aggs[a].kind; a++)
            append_numbers(&text, "agg.", &plan_agg_numbers, &node->aggs[a]);
    }
    for (size_t i = 0; i < plan->rows_count; i++) {
        append(&text, "\nrow");
        append_numbers(&text, "", &plan_row_numbers, &plan->rows[i]);
    }
    append(&text, "\n");
    return text.data;
}

/* ---- reading ---- */

/* Sets the number of that name; false where there is none. */
static bool set_number(
    const struct plan_numbers *numbers, void *part, const char *name, size_t len, int64_t value)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (strlen(numbers->at[i].name) == len && memcmp(numbers->at[i].name, name, len) == 0) {
            memcpy((char *)part + numbers->at[i].offset, &value, sizeof value);
            return true;
        }
    return false;
}

/* A word of a node: of its own numbers, of its last trigger or of its last aggregate. */
static bool set_node_number(struct plan_node *node, const char *name, size_t len, int64_t value)
{
    size_t triggers = 0, aggs = 0;
    while (triggers < PLAN_TRIGGERS_MAX && node->triggers[triggers].kind)
        triggers++;
    while (aggs < PLAN_AGGS_MAX && node->aggs[aggs].kind)
        aggs++;
    const bool begins = len > 5 && memcmp(name + len - 5, ".kind", 5) == 0;
    if (len > 8 && memcmp(name, "trigger.", 8) == 0) {
        triggers -= begins ? 0 : 1;
        return triggers < PLAN_TRIGGERS_MAX &&
            set_number(&plan_trigger_numbers, &node->triggers[triggers], name + 8, len - 8, value);
    }
    if (len > 4 && memcmp(name, "agg.", 4) == 0) {
        aggs -= begins ? 0 : 1;
        return aggs < PLAN_AGGS_MAX &&
            set_number(&plan_agg_numbers, &node->aggs[aggs], name + 4, len - 4, value);
    }
    return set_number(&plan_node_numbers, node, name, len, value);
}

/* The part that a line is about, made at the end of its list; NULL for an unknown word or one too many. */
static void *begin_part(struct plan *plan, const char *word, size_t len, const struct plan_numbers **numbers)
{
    *numbers = NULL;
    if (len == 3 && memcmp(word, "run", 3) == 0) {
        *numbers = &plan_run_numbers;
        return &plan->run;
    }
    if (len == 6 && memcmp(word, "source", 6) == 0 && plan->sources_count < PLAN_SOURCES_MAX) {
        *numbers = &plan_source_numbers;
        return &plan->sources[plan->sources_count++];
    }
    if (len == 4 && memcmp(word, "node", 4) == 0 && plan->nodes_count < PLAN_NODES_MAX)
        return &plan->nodes[plan->nodes_count++];
    if (len != 3 || memcmp(word, "row", 3) != 0)
        return NULL;
    plan->rows = realloc(plan->rows, (plan->rows_count + 1) * sizeof *plan->rows);
    if (!plan->rows)
        abort();
    *numbers = &plan_row_numbers;
    plan->rows[plan->rows_count] = (struct plan_row){ 0 };
    return &plan->rows[plan->rows_count++];
}

static bool parse_line(struct plan *plan, const char *line, const char *end)
{
    if (line == end || *line == '#')
        return true;
    const struct plan_numbers *numbers;
    const char *word = line;
    const char *stop = memchr(word, ' ', (size_t)(end - word));
    void *part = begin_part(plan, word, (size_t)((stop ? stop : end) - word), &numbers);
    while (part && stop) {
        word = stop + 1;
        const char *is = memchr(word, '=', (size_t)(end - word));
        if (!is)
            return false;
        char *after;
        const int64_t value = strtoll(is + 1, &after, 10);
        const size_t len = (size_t)(is - word);
        if (numbers ? !set_number(numbers, part, word, len, value) : !set_node_number(part, word, len, value))
            return false;
        if (after != end && *after != ' ')
            return false;
        stop = after == end ? NULL : after;
    }
    return part != NULL;
}

struct plan *plan_parse(const char *text, int *line)
{
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        abort();
    *line = 1;
    for (const char *at = text; *at; (*line)++) {
        const char *end = strchr(at, '\n');
        end = end ? end : at + strlen(at);
        if (!parse_line(plan, at, end)) {
            plan_free(plan);
            return NULL;
        }
        at = *end ? end + 1 : end;
    }
    if (plan_is_sound(plan))
        return plan;
    *line = 0;
    plan_free(plan);
    return NULL;
}
