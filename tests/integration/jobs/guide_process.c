/* tests/integration/jobs/guide_process.c -- the program of docs/guide/process.md: carts that nobody pays for. What
 * it prints is in the guide (tests/integration/test-guide). */
#include "cart.h"
#include "cart_line.h"
#include "reminder.h"
#include "shop_event.h"
#include <leat/leat.h>
#include <stdio.h>

#define NOON INT64_C(1767268800000) /* 2026-01-01T12:00:00Z, in milliseconds */

enum { CART, LINES }; /* the states, in the order of .state */
enum { PAID }; /* the side outputs */

static void close_cart(struct leat_ctx *ctx, struct reminder *row)
{
    for (struct leat_map_item item = { 0 }; leat_map_next(ctx, LINES, &item);) {
        const struct cart_line *line = item.value;
        if (row->products++ == 0)
            row->first = item.key.sv;
        row->pieces += line->pieces;
    }
    row->visitor = leat_key_sv(ctx, 0);
    leat_state_clear(ctx, CART);
    leat_state_clear(ctx, LINES);
}

static void change_line(struct leat_ctx *ctx, const struct shop_event *event)
{
    struct cart_line *line = leat_map_put(ctx, LINES, &event->product);
    line->pieces += event->pieces;
    if (line->pieces <= 0)
        leat_map_remove(ctx, LINES, &event->product);
}

static void on_event(struct leat_ctx *ctx, const struct shop_event *event)
{
    struct cart *cart = leat_state(ctx, CART);
    if (cart->reminds_at)
        leat_timer_delete(ctx, LEAT_EVENT_TIME, cart->reminds_at);
    if (event->product.len == 0) {
        close_cart(ctx, leat_out_to(ctx, PAID));
        return;
    }
    change_line(ctx, event);
    cart->events++;
    cart->reminds_at = leat_ctx_event_us(ctx) + LEAT_MINUTES(15);
    leat_timer_set(ctx, LEAT_EVENT_TIME, cart->reminds_at);
}

static void on_silence(struct leat_ctx *ctx, int64_t time_us, enum leat_time_kind kind)
{
    (void)time_us;
    (void)kind;
    if (leat_map_count(ctx, LINES) > 0)
        close_cart(ctx, leat_out(ctx));
    else
        leat_state_clear(ctx, CART);
}
LEAT_DEFINE_PROCESS(carts, shop_event, on_event, on_silence);

static leat_topology *declare(void)
{
    leat_topology *t = leat_topology_new("shop");
    leat_stream *events = leat_file_source(t, "events",
        &(struct leat_file_source_opts){
            .path = "events.jsonl",
            .type = &shop_event_type,
            .event_time = "at",
            .max_out_of_orderness_us = LEAT_SECONDS(5),
        });
    leat_stream *reminders = leat_process(leat_group_by(events, "by-visitor", "visitor"), "carts",
        &(struct leat_process_opts){
            .fn = &carts_process,
            .state = { LEAT_VALUE("cart", &cart_type), LEAT_MAP("lines", LEAT_KIND_STRING, &cart_line_type) },
            .out = &reminder_type,
            .sides = { { "paid", &reminder_type } },
        });
    leat_file_sink(reminders, "remind", &(struct leat_file_sink_opts){ .path = "reminders.jsonl" });
    leat_file_sink(
        leat_side_output(reminders, "paid"), "paid", &(struct leat_file_sink_opts){ .path = "paid.jsonl" });
    return t;
}

static void tell(leat_test *test, const char *sink)
{
    const char *line;
    while ((line = leat_test_read_json(test, sink)) != NULL)
        printf(
            "%s %s at 12:%02d\n", sink, line, (int)((leat_test_event_us(test, sink) / 1000 - NOON) / 60000));
}

static void pipe_event(leat_test *test, int minute, const char *visitor, const char *product, int pieces)
{
    leat_test_pipe(test, "events",
        &(struct shop_event){ .visitor = leat_sv_of(visitor),
            .product = leat_sv_of(product),
            .pieces = pieces,
            .at = NOON + minute * 60000 });
    tell(test, "remind");
    tell(test, "paid");
}

int main(void)
{
    leat_topology *t = declare();
    leat_test *test = leat_test_new(t, NULL);
    pipe_event(test, 0, "ada", "rope", 1);
    pipe_event(test, 1, "bob", "lamp", 2);
    pipe_event(test, 5, "ada", "axe", 1);
    pipe_event(test, 6, "bob", "", 0);
    pipe_event(test, 19, "cem", "lamp", 1);
    pipe_event(test, 30, "cem", "lamp", -1);
    leat_test_end(test, "events");
    tell(test, "remind");
    const int code = leat_test_error(test)->code;
    if (code < 0)
        printf("%s\n", leat_test_error(test)->message);
    leat_test_free(test);
    leat_topology_free(t);
    return code < 0;
}
