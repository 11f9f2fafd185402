/* connectors/file/format.c -- formats by the endings of file names, and the small words that both sides
 * share. */
#include "connectors/file/file_private.h"

static const struct {
    const char *ending;
    enum leat_format format;
} endings[] = {
    { ".avro", LEAT_FORMAT_AVRO },
    { ".jsonl", LEAT_FORMAT_JSON },
    { ".ndjson", LEAT_FORMAT_JSON },
    { ".json", LEAT_FORMAT_JSON },
    { ".csv", LEAT_FORMAT_CSV },
};

const char *leat__file_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *leat__file_ending(const char *path)
{
    const char *base = leat__file_base(path);
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? dot : "";
}

enum leat_format leat__file_format(const char *path)
{
    const char *ending = leat__file_ending(path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(ending, endings[i].ending) == 0)
            return endings[i].format;
    }
    return (enum leat_format)0;
}

bool leat__file_format_is_known(enum leat_format format)
{
    return format >= LEAT_FORMAT_AVRO && format <= LEAT_FORMAT_CSV;
}

const char *leat__file_format_name(enum leat_format format)
{
    switch (format) {
    case LEAT_FORMAT_AVRO:
        return "Avro";
    case LEAT_FORMAT_JSON:
        return "JSON lines";
    case LEAT_FORMAT_JSON_AVRO:
        return "JSON lines (Avro's encoding)";
    case LEAT_FORMAT_CSV:
        return "CSV";
    default: /* of messages */
        break;
    }
    return "by ending";
}
