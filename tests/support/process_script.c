/* tests/support/process_script.c -- a process function that does what its records say. */
#include "tests/support/process_script.h"
#include "note.h"
#include "tally.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TALLY, NOTE, LIST, MAP, SUM, PLAN };

/* ---- the aggregate ---- */

struct sum {
    int64_t total, count;
};

static void sum__add(struct leat_ctx *ctx, const struct tally *tally, struct sum *sum)
{
    (void)ctx;
    sum->total += tally->n;
    sum->count++;
}

static void sum__merge(struct leat_ctx *ctx, struct sum *into, const struct sum *from)
{
    (void)ctx;
    into->total += from->total;
    into->count += from->count;
}

static void sum__result(struct leat_ctx *ctx, const struct sum *sum, struct told *out)
{
    out->what = leat_printf(ctx, "sum of %lld", (long long)sum->count);
    out->n = sum->total;
}
LEAT_DEFINE_AGGREGATE(sum, tally, sum, told);

/* ---- telling ---- */

static struct told *tell(struct leat_ctx *ctx, const char *what, int64_t n)
{
    struct told *row = leat_out(ctx);
    row->k = leat_key_sv(ctx, 0);
    row->what = leat_printf(ctx, "%s", what);
    row->n = n;
    return row;
}

static void tell_note(struct leat_ctx *ctx)
{
    const struct note *note = leat_state_find(ctx, NOTE);
    char text[256];
    if (!note) {
        tell(ctx, "no note", 0);
        return;
    }
    (void)snprintf(text, sizeof text, "%.*s/%.*s/%zu parts", (int)note->text.len, note->text.data,
        note->has_also ? (int)note->also.len : 1, note->has_also ? note->also.data : "-", note->parts.count);
    tell(ctx, text, (int64_t)note->text.len);
}

static void tell_list(struct leat_ctx *ctx)
{
    for (const struct tally *t = NULL; (t = leat_list_next(ctx, LIST, t)) != NULL;)
        tell(ctx, "item", t->n);
}

static void tell_map(struct leat_ctx *ctx)
{
    char text[256];
    for (struct leat_map_item item = { 0 }; leat_map_next(ctx, MAP, &item);) {
        (void)snprintf(text, sizeof text, "entry %.*s", (int)item.key.sv.len, item.key.sv.data);
        tell(ctx, text, ((const struct tally *)item.value)->n);
    }
}

/* ---- commands ---- */

static void set_note(struct leat_ctx *ctx, const char *a, const char *b)
{
    struct note *note = leat_state(ctx, NOTE);
    struct leat_sv *parts = leat_alloc(ctx, 2 * sizeof *parts);
    if (!parts)
        return;
    note->text = leat_copy(ctx, leat_sv_of(a));
    note->has_also = *b != '\0';
    note->also = leat_copy(ctx, leat_sv_of(b));
    parts[0] = note->text;
    parts[1] = note->also;
    note->parts = (struct leat_array){ parts, note->has_also ? 2 : 1 };
}

static void do_state(struct leat_ctx *ctx, const char *verb, const char *a, const char *b)
{
    const struct leat_sv key = leat_sv_of(a);
    const int64_t n = strtoll(a, NULL, 10);
    if (strcmp(verb, "+") == 0) {
        struct tally *tally = leat_state(ctx, TALLY);
        tally->n += n;
        tally->steps++;
    } else if (strcmp(verb, "count") == 0) {
        const struct tally *tally = leat_state_find(ctx, TALLY);
        tell(ctx, "count", tally ? tally->n : -1);
    } else if (strcmp(verb, "note") == 0) {
        set_note(ctx, a, b);
    } else if (strcmp(verb, "notes") == 0) {
        tell_note(ctx);
    } else if (strcmp(verb, "add") == 0) {
        leat_list_add(ctx, LIST, &(struct tally){ .n = n });
    } else if (strcmp(verb, "list") == 0) {
        tell_list(ctx);
    } else if (strcmp(verb, "size") == 0) {
        tell(ctx, "size", (int64_t)leat_list_count(ctx, LIST));
    } else if (strcmp(verb, "put") == 0) {
        ((struct tally *)leat_map_put(ctx, MAP, &key))->n = strtoll(b, NULL, 10);
    } else if (strcmp(verb, "get") == 0) {
        const struct tally *tally = leat_map_get(ctx, MAP, &key);
        tell(ctx, "got", tally ? tally->n : -1);
    } else if (strcmp(verb, "del") == 0) {
        leat_map_remove(ctx, MAP, &key);
    } else if (strcmp(verb, "map") == 0) {
        tell_map(ctx);
    } else if (strcmp(verb, "keys") == 0) {
        tell(ctx, "keys", (int64_t)leat_map_count(ctx, MAP));
    } else if (strcmp(verb, "agg") == 0) {
        leat_aggregate_add(ctx, SUM, &(struct tally){ .n = n });
    } else if (strcmp(verb, "result") == 0) {
        struct told *row = tell(ctx, "no sum", 0);
        (void)leat_aggregate_result(ctx, SUM, row);
    } else {
        leat_fail(ctx, "no such command: %s", verb);
    }
}

static void do_one(struct leat_ctx *ctx, const char *verb, const char *a, const char *b, int64_t now_us)
{
    const int64_t n = strtoll(a, NULL, 10);
    static const char *const clears[] = { "clear", "clear-note", "clear-list", "clear-map", "clear-agg" };
    for (uint32_t i = 0; i < sizeof clears / sizeof clears[0]; i++)
        if (strcmp(verb, clears[i]) == 0) {
            leat_state_clear(ctx, i);
            return;
        }
    if (strcmp(verb, "et") == 0)
        leat_timer_set(ctx, LEAT_EVENT_TIME, n);
    else if (strcmp(verb, "-et") == 0)
        leat_timer_delete(ctx, LEAT_EVENT_TIME, n);
    else if (strcmp(verb, "pt") == 0)
        leat_timer_set(ctx, LEAT_PROCESSING_TIME, SCRIPT_WALL_US + n);
    else if (strcmp(verb, "-pt") == 0)
        leat_timer_delete(ctx, LEAT_PROCESSING_TIME, SCRIPT_WALL_US + n);
    else if (strcmp(verb, "say") == 0)
        tell(ctx, a, 0);
    else if (strcmp(verb, "side") == 0)
        *(struct told *)leat_out_to(ctx, 0) =
            (struct told){ leat_key_sv(ctx, 0), leat_printf(ctx, "%s", a), 1 };
    else if (strcmp(verb, "at") == 0)
        leat_out_at(ctx, n);
    else if (strcmp(verb, "w") == 0)
        tell(ctx, "w", leat_ctx_watermark_us(ctx));
    else if (strcmp(verb, "again") == 0) {
        if (now_us + n <= strtoll(b, NULL, 10))
            leat_timer_set(ctx, LEAT_EVENT_TIME, now_us + n);
    } else if (strcmp(verb, "back") == 0) {
        if (now_us > strtoll(b, NULL, 10))
            leat_timer_set(ctx, LEAT_EVENT_TIME, n);
    } else if (strcmp(verb, "fail") == 0)
        leat_fail(ctx, "%s", a);
    else
        do_state(ctx, verb, a, b);
}

static void do_all(struct leat_ctx *ctx, struct leat_sv commands, int64_t now_us)
{
    char text[1024], verb[32], a[128], b[128];
    (void)snprintf(text, sizeof text, "%.*s", (int)commands.len, commands.data);
    char *rest = text;
    while (rest && *rest) {
        rest += strspn(rest, " ");
        if (strncmp(rest, "plan ", 5) == 0) {
            struct note *plan = leat_state(ctx, PLAN);
            plan->text = leat_copy(ctx, leat_sv_of(rest + 5));
            return;
        }
        char *one = strsep(&rest, ";");
        verb[0] = a[0] = b[0] = '\0';
        if (sscanf(one, "%31s %127s %127s", verb, a, b) >= 1)
            do_one(ctx, verb, a, b, now_us);
    }
}

static void on_step(struct leat_ctx *ctx, const struct step *step)
{
    do_all(ctx, step->do_, leat_ctx_event_us(ctx));
}

static void on_timer(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    const struct note *plan = leat_state_find(ctx, PLAN);
    tell(ctx, kind == LEAT_EVENT_TIME ? "et" : "pt",
        kind == LEAT_EVENT_TIME ? time_us : time_us - SCRIPT_WALL_US);
    if (plan)
        do_all(ctx, plan->text, time_us);
}
LEAT_DEFINE_PROCESS(commands, step, on_step, on_timer);

/* ---- declaring ---- */

static struct leat_ttl ttl_of(const char *words)
{
    const char *us = strstr(words, "ttl=");
    struct leat_ttl ttl = { 0 };
    if (!us)
        return ttl;
    ttl.us = strtoll(us + 4, NULL, 10);
    ttl.time = strstr(words, "processing") ? LEAT_PROCESSING_TIME : LEAT_EVENT_TIME;
    ttl.on_read = strstr(words, "read") != NULL;
    return ttl;
}

leat_stream *script_process(leat_stream *in, const char *name, const char *words)
{
    char group[64];
    (void)snprintf(group, sizeof group, "%s-key", name);
    const struct leat_ttl ttl = ttl_of(words);
    leat_stream *out = leat_process(leat_group_by(in, group, "k"), name,
        &(struct leat_process_opts){ .fn = &commands_process,
            .state = { { .name = "tally", .value = &tally_type, .ttl = ttl },
                { .name = "note", .value = &note_type, .ttl = ttl },
                { .name = "list", .list = &tally_type, .ttl = ttl },
                { .name = "map", .map = &tally_type, .map_key = LEAT_KIND_STRING, .ttl = ttl },
                { .name = "sum", .aggregate = &sum_aggregate, .ttl = ttl }, LEAT_VALUE("plan", &note_type) },
            .out = &told_type,
            .sides = { { "side", &told_type } } });
    return strstr(words, "skip") ? leat_on_error(out, LEAT_SKIP) : out;
}
