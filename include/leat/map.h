/* include/leat/map.h -- make other records: one for one (map), any number (flat map), by expressions
 * (project). */
#ifndef LEAT_MAP_H
#define LEAT_MAP_H
#include <leat/stream.h>

/* One record in, one out; made by LEAT_DEFINE_MAP. */
struct leat_map_fn {
    size_t size;
    const char *name;
    const struct leat_type *in, *out;
    void (*map)(struct leat_ctx *ctx, const struct leat_batch *in, struct leat_batch *out);
};

/* One record in, any number out; made by LEAT_DEFINE_FLAT_MAP. */
struct leat_out;
struct leat_flat_map_fn {
    size_t size;
    const char *name;
    const struct leat_type *in, *out;
    void (*flat_map)(struct leat_ctx *ctx, const void *record, struct leat_out *out);
};

/* A side output of a flat map. */
struct leat_side {
    const char *name;
    const struct leat_type *type;
};

struct leat_flat_map_opts {
    const struct leat_flat_map_fn *fn;
    struct leat_side sides[8]; /* more outputs, taken with leat_side_output */
};

/* An output field and the expression that fills it. */
struct leat_projection {
    const char *expr; /* "quantity * price" */
    const char
        *as; /* field of the output type; NULL: the expression is a field path and its last name is meant */
};

struct leat_project_opts {
    const struct leat_type
        *out; /* NULL: a type of its own, fields in the order given, types from the expressions */
    struct leat_projection fields[64]; /* up to the first without `expr`; fields of `out` that are not named
                       are taken from the input field of the same name, else must be nullable */
};

LEAT_BEGIN_DECLS

/* The output record starts zeroed; its views may show the input's strings, static text or leat_alloc's
 * memory. Its event time is the input's. */
LEAT_API leat_stream *leat_map(leat_stream *in, const char *name, const struct leat_map_fn *fn);
LEAT_API leat_stream *leat_flat_map_sized(
    leat_stream *in, const char *name, const struct leat_flat_map_opts *opts, size_t size);
static inline leat_stream *leat_flat_map(
    leat_stream *in, const char *name, const struct leat_flat_map_opts *opts)
{
    return leat_flat_map_sized(in, name, opts, sizeof *opts);
}
LEAT_API leat_stream *leat_project_sized(
    leat_stream *in, const char *name, const struct leat_project_opts *opts, size_t size);
static inline leat_stream *leat_project(
    leat_stream *in, const char *name, const struct leat_project_opts *opts)
{
    return leat_project_sized(in, name, opts, sizeof *opts);
}

/* In a flat map's callback: a new zeroed record of the main output, and of the i-th side output; NULL when
 * out of memory (the job then fails). Valid until the next one is asked for. */
LEAT_API void *leat_out_row(struct leat_out *out);
LEAT_API void *leat_out_side(struct leat_out *out, uint32_t side);
/* Sets the event time of the record made last (default: that of the input record). One at or behind the
 * watermark makes the record late for what follows. Without effect on a stream without event time. */
LEAT_API void leat_out_event_us(struct leat_out *out, int64_t event_us);

/* A side output of the node that gives this stream, by name; an error on the topology if it has none. */
LEAT_API leat_stream *leat_side_output(leat_stream *stream, const char *name);

LEAT_END_DECLS

/* After `static void price(struct leat_ctx *, const struct order *, struct priced *out)`: defines price_map.
 */
#define LEAT_DEFINE_MAP(fn_, in_, out_) \
    static void fn_##__map(struct leat_ctx *ctx, const struct leat_batch *in, struct leat_batch *out) \
    { \
        for (uint32_t i = 0; i < in->count; i++) { \
            ctx->row = i; \
            fn_(ctx, (const struct in_ *)leat_batch_at(in, i), (struct out_ *)leat_batch_at(out, i)); \
        } \
    } \
    static const struct leat_map_fn fn_##_map = { sizeof(struct leat_map_fn), #fn_, &in_##_type, \
        &out_##_type, fn_##__map }

/* After `static void split(struct leat_ctx *, const struct line *, struct leat_out *out)`: defines
 * split_flat_map. */
#define LEAT_DEFINE_FLAT_MAP(fn_, in_, out_) \
    static void fn_##__flat_map(struct leat_ctx *ctx, const void *record, struct leat_out *out) \
    { \
        fn_(ctx, (const struct in_ *)record, out); \
    } \
    static const struct leat_flat_map_fn fn_##_flat_map = { sizeof(struct leat_flat_map_fn), #fn_, \
        &in_##_type, &out_##_type, fn_##__flat_map }
#endif
