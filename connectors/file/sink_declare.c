/* connectors/file/sink_declare.c -- the file sink's declaration: where, in which format, with which options. */
#include "base/near.h"
#include "connectors/file/sink_private.h"
#include "record/csv.h"

/* The part of a path before its last slash, as a directory: "." where there is none, "" for the root. */
static const char *parent_of(struct leat_node *node, const char *path)
{
    const char *base = leat__file_base(path);
    size_t len = (size_t)(base - path);
    if (len == 0)
        return ".";
    while (len > 0 && path[len - 1] == '/')
        len--;
    char *dir = leat__spec(node, len + 1);
    return dir ? memcpy(dir, path, len) : "";
}

static void check_path(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    if (!o->path || !*o->path) {
        leat__declare_error(node, "path", LEAT_EDECLARE,
            "missing: a directory for part files, a file name that ends in .avro, .jsonl, .ndjson or .csv, "
            "or \"-\" "
            "for the standard output");
        return;
    }
    const size_t len = strlen(o->path);
    target->path = leat__spec_str(node, o->path);
    target->is_stdout = strcmp(o->path, "-") == 0;
    if (!target->is_stdout && leat__file_format(o->path)) {
        target->dir = parent_of(node, o->path);
        target->base = leat__spec_str(node, leat__file_base(o->path));
    } else if (!target->is_stdout) {
        target->dir =
            parent_of(node, o->path[len - 1] == '/' ? o->path : leat__spec_printf(node, "%s/", o->path));
    }
    if (len + 64 > LEAT_FILE_PATH_MAX || (target->base && strlen(target->base) + 16 > LEAT_FILE_NAME_MAX))
        leat__declare_error(node, "path", LEAT_ELIMIT,
            "too long with %zu bytes: a path has at most %u, and a file's name in it %u", len,
            LEAT_FILE_PATH_MAX - 64, LEAT_FILE_NAME_MAX - 16);
}

/* Two sinks that write the same file would each believe that the other's is not there. */
static void check_shared(struct leat_node *node, const struct leat_file_target *target)
{
    const bool mixes =
        target->is_stdout && target->format != LEAT_FORMAT_AVRO && target->format != LEAT_FORMAT_CSV;
    for (uint32_t i = 0; target->path && !mixes && i < node->t->nodes_count; i++) {
        const struct leat_node *other = node->t->nodes[i];
        if (other == node || other->sink != &leat__file_sink_class)
            continue;
        const struct leat_file_target *o = other->spec;
        const bool same = target->is_stdout || o->is_stdout
            ? target->is_stdout && o->is_stdout
            : strcmp(target->dir, o->dir) == 0 && (target->base != NULL) == (o->base != NULL) &&
                (!target->base || strcmp(target->base, o->base) == 0);
        if (same) {
            leat__declare_error(node, "path", LEAT_EDECLARE,
                "%s is written by the file sink \"%s\" too: give each sink a path of its own", target->path,
                other->name);
            return;
        }
    }
}

static void check_codec(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    static const char *const names[] = { "null", "deflate", "snappy", "zstandard" };
    target->codec = leat__codec_find(o->codec);
    if (o->codec && target->format != LEAT_FORMAT_AVRO) {
        leat__declare_error(node, "codec", LEAT_EDECLARE,
            "only Avro files have one, but the format is %s: leave it out",
            leat__file_format_name(target->format));
    } else if (!target->codec) {
        const int near = leat__near(o->codec, names, sizeof names / sizeof names[0]);
        leat__declare_error(node, "codec", LEAT_EDECLARE,
            "unknown codec \"%s\" (known are null, deflate, snappy, zstandard)%s%s%s", o->codec,
            near < 0 ? "" : "; did you mean \"", near < 0 ? "" : names[near], near < 0 ? "" : "\"?");
    }
}

static void check_format(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    static const char *const endings[] = { "", ".avro", ".jsonl", ".jsonl", ".csv" };
    struct leat_error err = { 0 };
    const struct leat_type *type = target->type;
    if (o->format && !leat__file_format_is_known(o->format)) {
        leat__declare_error(
            node, "format", LEAT_EDECLARE, "%d is not one of " LEAT_FILE_FORMATS, (int)o->format);
        return;
    }
    target->format = o->format ? o->format
        : target->path         ? leat__file_format(target->path)
                               : LEAT_FORMAT_AVRO;
    if (!target->format)
        target->format = LEAT_FORMAT_AVRO;
    target->ending = endings[target->format];
    target->separator = o->separator ? o->separator : ',';
    check_codec(node, o, target);
    if (o->separator && target->format != LEAT_FORMAT_CSV)
        leat__declare_error(node, "separator", LEAT_EDECLARE, "only CSV has one, but the format is %s",
            leat__file_format_name(target->format));
    if (o->separator == '"' || o->separator == '\n' || o->separator == '\r')
        leat__declare_error(node, "separator", LEAT_EDECLARE,
            "a quote or a line end can not separate columns: take , ; | or a tab");
    if (type && target->format == LEAT_FORMAT_CSV && leat__csv_check(type, &err) < 0)
        leat__declare_error_of(node, "format", &err);
    if (type && target->format == LEAT_FORMAT_AVRO && !type->schema)
        leat__declare_error(node, "format", LEAT_EUNSUPPORTED,
            "the records of its input (%s) have no Avro schema: write JSON lines, or map them to a type with "
            "one",
            type->name);
    if (o->part_bytes_max && (target->base || target->is_stdout))
        leat__declare_error(node, "part_bytes_max", LEAT_EDECLARE,
            "only a directory has several part files: leave it out, or give a directory as the path");
    target->part_bytes_max = o->part_bytes_max;
    target->overwrite = o->overwrite;
}

static bool is_member_name(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && *p != '_' &&
            !(*p >= '0' && *p <= '9' && p > name))
            return false;
    return *name != '\0';
}

static void check_op(
    struct leat_node *node, const struct leat_file_sink_opts *o, struct leat_file_target *target)
{
    const struct leat_type *type = target->type;
    if (!o->op_field)
        return;
    if (target->format != LEAT_FORMAT_JSON && target->format != LEAT_FORMAT_JSON_AVRO)
        leat__declare_error(node, "op_field", LEAT_EDECLARE,
            "only JSON lines have one, but the format is %s: put leat_changelog before it, with a field of "
            "the "
            "record for it",
            leat__file_format_name(target->format));
    if (!is_member_name(o->op_field))
        leat__declare_error(node, "op_field", LEAT_EDECLARE,
            "\"%s\" is no name of a member: it may have letters, digits and _, and begins with no digit",
            o->op_field);
    for (uint32_t i = 0; type && i < type->fields_count; i++)
        if (strcmp(type->fields[i].name, o->op_field) == 0)
            leat__declare_error(node, "op_field", LEAT_EDECLARE,
                "%s has a field \"%s\" of its own: take another name", type->name, o->op_field);
    target->op_json = leat__spec_printf(node, "\"%s\":", o->op_field);
}

void leat_file_sink_sized(
    leat_stream *in, const char *name, const struct leat_file_sink_opts *opts, size_t size)
{
    struct leat_node *node = leat__declare(in->t, name, LEAT_NODE_SINK, leat__file_sink_class.kind);
    struct leat_file_sink_opts o;
    leat__opts_copy(node, &o, sizeof o, opts, size);
    struct leat_file_target *target = leat__spec(node, sizeof *target);
    if (!target || !opts) {
        leat__input(node, 0, in, LEAT_FORWARD, NULL);
        return;
    }
    check_path(node, &o, target);
    const bool single = target->base || target->is_stdout;
    if (o.op_field)
        leat__takes_changes(node, 0);
    leat__input(node, 0, in, single ? LEAT_GATHER : LEAT_FORWARD, NULL);
    target->type = leat__input_type(node, 0);
    check_format(node, &o, target);
    check_op(node, &o, target);
    check_shared(node, target);
    node->parallelism = single ? 1 : 0;
    node->sink = &leat__file_sink_class;
    node->spec = target;
    node->detail = leat__spec_printf(node, "%s, %s%s%s", target->path ? target->path : "",
        leat__file_format_name(target->format), target->codec && o.codec ? " " : "",
        target->codec && o.codec ? leat__codec_name(target->codec) : "");
}
