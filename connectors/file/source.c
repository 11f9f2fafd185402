/* connectors/file/source.c -- the file source: its declaration, and the class that hands each split to the
 * reader of its format (read_avro.c, read_lines.c). paths.c finds the splits. */
#include "connectors/file/file_private.h"
#include "record/csv.h"
#include <stdlib.h>

#define SPLIT_BYTES_DEFAULT (UINT64_C(64) << 20)

/* ---- the class ---- */

static struct leat_file_reader *self(struct leat_reader *reader)
{
    return (struct leat_file_reader *)(void *)reader;
}

static int file_list_splits(
    const struct leat_node *node, struct leat_env *env, struct leat_split_list *list, struct leat_error *err)
{
    return leat__file_find(node->spec, env, list, err);
}

static int file_open(struct leat_reader *reader)
{
    struct leat_file_reader *r = self(reader);
    r->spec = reader->node->spec;
    r->file = reader->split->data;
    r->read_class = r->file->format == LEAT_FORMAT_AVRO ? &leat__file_read_avro : &leat__file_read_lines;
    return r->read_class->open(r);
}

static int file_read(struct leat_reader *reader, struct leat_batch *batch)
{
    return self(reader)->read_class->read(self(reader), batch);
}

static int file_position(struct leat_reader *reader, struct leat_strbuf *out)
{
    return self(reader)->read_class->position(self(reader), out);
}

static int file_seek(struct leat_reader *reader, const char *position, size_t len)
{
    return self(reader)->read_class->seek(self(reader), position, len);
}

static void file_close(struct leat_reader *reader)
{
    if (self(reader)->read_class)
        self(reader)->read_class->close(self(reader));
}

/* Readers keep where a row is in its event_us: a line's offset, or that of the block that the row is in. */
static int64_t file_row_position(
    const struct leat_reader *reader, const struct leat_batch *batch, uint32_t row)
{
    (void)reader;
    return batch->event_us[row];
}

static const struct leat_source_class file_source_class = {
    .kind = "file source",
    .reader_size = sizeof(struct leat_file_reader),
    .list_splits = file_list_splits,
    .open = file_open,
    .read = file_read,
    .position = file_position,
    .seek = file_seek,
    .close = file_close,
    .row_position = file_row_position,
};

/* ---- positions, for the readers ---- */

/* Digits from *at on; false without any, or beyond 64 bits. */
static bool read_number(const char **at, const char *end, uint64_t *value)
{
    const char *p = *at;
    *value = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (unsigned)(*p - '0'), value))
            return false;
    }
    const bool any = p > *at;
    *at = p;
    return any;
}

bool leat__file_position(const char *text, size_t len, uint64_t *first, uint64_t *second)
{
    const char *end = text + len;
    if (!read_number(&text, end, first) || text == end || *text++ != ' ')
        return false;
    return read_number(&text, end, second) && text == end;
}

int leat__file_bad_position(struct leat_file_reader *r, const char *position, size_t len)
{
    return leat__fail(r->reader.ctx, LEAT_EDATA, "split %s: \"%.*s\" is no position of a file source",
        r->reader.split->id, (int)(len < 100 ? len : 100), position);
}

/* ---- the declaration ---- */

static void check_path(
    struct leat_node *node, const struct leat_file_source_opts *o, struct leat_file_source *spec)
{
    if (!o->path || !*o->path) {
        leat__declare_error(node, "path", LEAT_EDECLARE,
            "missing: a file, a directory, a pattern, or \"-\" for the standard input");
        return;
    }
    spec->path = leat__spec_str(node, o->path);
    if (o->format && !leat__file_format_is_known(o->format))
        leat__declare_error(
            node, "format", LEAT_EDECLARE, "%d is not one of " LEAT_FILE_FORMATS, (int)o->format);
    spec->format = o->format ? o->format : leat__file_format(o->path);
    if (spec->format)
        return;
    const char *ending = leat__file_ending(o->path);
    if (strcmp(o->path, "-") == 0)
        leat__declare_error(node, "format", LEAT_EDECLARE,
            "missing: the standard input has no name that says it; set .format = LEAT_FORMAT_JSON or "
            "LEAT_FORMAT_CSV");
    else if (*ending && !strpbrk(ending, "*?["))
        leat__declare_error(node, "path", LEAT_EDECLARE,
            "%s: the ending %s says no format (known are " LEAT_FILE_ENDINGS
            "): set .format, or end the path with a slash if it is a directory",
            o->path, ending);
}

static void check_format(
    struct leat_node *node, const struct leat_file_source_opts *o, struct leat_file_source *spec)
{
    struct leat_error err = { 0 };
    spec->separator = o->separator ? o->separator : ',';
    if (spec->format == LEAT_FORMAT_CSV && o->type && leat__csv_check(o->type, &err) < 0)
        leat__declare_error_of(node, "type", &err);
    if (o->separator && spec->format && spec->format != LEAT_FORMAT_CSV)
        leat__declare_error(node, "separator", LEAT_EDECLARE, "only CSV has one, but the format is %s",
            leat__file_format_name(spec->format));
    if (o->separator == '"' || o->separator == '\n' || o->separator == '\r')
        leat__declare_error(node, "separator", LEAT_EDECLARE,
            "a quote or a line end can not separate columns: take , ; | or a tab");
    spec->split_asked = o->split_bytes > 0;
    spec->split_bytes = o->split_bytes ? o->split_bytes : o->event_time ? 0 : SPLIT_BYTES_DEFAULT;
    if (o->split_bytes && spec->format == LEAT_FORMAT_CSV)
        leat__declare_error(node, "split_bytes", LEAT_EDECLARE,
            "a CSV file is read as a whole (quotes and header do not allow cuts): leave it out");
    if (spec->path && strcmp(spec->path, "-") == 0 && spec->format == LEAT_FORMAT_AVRO)
        leat__declare_error(node, "path", LEAT_EUNSUPPORTED,
            "an Avro file is read by blocks from a file, not from the standard input: name the file, or send "
            "JSON "
            "lines");
}

/* What one source takes from the standard input is lost to another. */
static void check_shared(struct leat_node *node, const struct leat_file_source *spec)
{
    for (uint32_t i = 0; spec->path && strcmp(spec->path, "-") == 0 && i < node->t->nodes_count; i++) {
        const struct leat_node *other = node->t->nodes[i];
        if (other == node || other->source != &file_source_class ||
            strcmp(((const struct leat_file_source *)other->spec)->path, "-") != 0)
            continue;
        leat__declare_error(node, "path", LEAT_EDECLARE,
            "the standard input is read by the file source \"%s\" already: use its stream twice",
            other->name);
        return;
    }
}

leat_stream *leat_file_source_sized(
    leat_topology *t, const char *name, const struct leat_file_source_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(t, name, LEAT_NODE_SOURCE, file_source_class.kind);
    struct leat_file_source_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat_file_source *spec = leat__spec(node, sizeof *spec);
    if (!spec || !opts)
        return leat__stream(node, 0);
    spec->type = o.type;
    check_path(node, &o, spec);
    check_format(node, &o, spec);
    check_shared(node, spec);
    leat__output(node, o.type, NULL);
    leat__source_time(
        node, o.type, o.event_time, o.max_out_of_orderness_us, o.idle_timeout_us, o.max_ahead_us, o.on_error);
    leat__source_align(node, o.align, o.max_drift_us);
    node->source = &file_source_class;
    node->spec = spec;
    node->detail =
        leat__spec_printf(node, "%s, %s", spec->path ? spec->path : "", leat__file_format_name(spec->format));
    return leat__stream(node, 0);
}
