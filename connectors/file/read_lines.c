/* connectors/file/read_lines.c -- JSON lines and CSV as splits.
 *
 * A window over the file: its unread bytes are data[at .. len), the next byte of the file behind them is
 * `file_at`. When no whole record lies in it, what is unread moves to the front and more is read behind it;
 * the window grows with the longest record, up to LEAT_LINE_BYTES_MAX. Decoders copy what they keep, so the
 * window is reused at once.
 *
 * A record belongs to the range in which its first byte lies. A range that does not begin with the file
 * therefore reads from the byte before it, and passes over all up to the first line end: it then stands at
 * its first record. Only JSON lines have ranges; the line ends in CSV's quotes, and its header, want the file
 * whole.
 *
 * A byte order mark counts as a part of the first record, whatever the range.
 *
 * A position is "<offset of the next record> <its line>", or "start" before the first. Lines count from 1, in
 * the file or, in a range, from its first. A stream of which something was read has "stream <offset> <line>":
 * nothing can go on from there, since what was read of it is gone.
 *
 * Bad data. A line that can not be decoded is reported and passed over. One that is too long is reported with
 * its beginning, and passed over up to its end. A CSV record whose quote is never closed would swallow what
 * is behind it: only its first line is passed over.
 *
 * Invariants: (1) LEAT_LINE_SLACK_BYTES readable bytes are behind data[len]; (2) file_at - (len - at) is the
 * file offset of the next record; (3) in `passing` the next bytes up to a line end belong to no record. */
#include "connectors/file/file_private.h"
#include "base/alloc.h"
#include "record/csv.h"
#include "record/json.h"

#define WINDOW_BYTES (128u * 1024u)
#define LINE_SLACK_BYTES 64u /* what the JSON decoder may read behind a line */
#define RAW_BYTES_MAX (64u * 1024u) /* of a line that is too long, in a dead letter */
#define STREAM_WAIT_US LEAT_MILLIS(5)

struct line_reader {
    leat_fd fd;
    bool is_csv;
    bool has_header;
    bool header_is_one_cell; /* then an empty line is a record */
    struct leat_json_decoder *json;
    struct leat_csv_decoder *csv;
    char *data;
    size_t at, len, capacity;
    uint64_t file_at;
    uint64_t line; /* of the next record */
    uint64_t mark; /* bytes of the byte order mark */
    bool started; /* the next record is the range's, behind byte order mark and header */
    bool passing;
    bool at_eof; /* nothing is behind data[len] */
};

/* A record without its line end. */
struct line {
    const char *text;
    size_t len;
    uint64_t offset;
    uint64_t number;
};

/* next_line and its helpers: a record was found; the split has ended; nothing yet on a stream. */
enum { LINE_END = 0, LINE_FOUND = 1, LINE_WAIT = 2 };

static int fail_file(struct leat_file_reader *r)
{
    (void)leat__error_prefix(r->reader.ctx->error, "%s", r->file->path);
    return leat__fail_here(r->reader.ctx);
}

static uint64_t next_offset(const struct line_reader *l)
{
    return l->file_at - (l->len - l->at);
}

/* ---- open and close ---- */

static int lines_open(struct leat_file_reader *r)
{
    struct leat__ctx *ctx = r->reader.ctx;
    struct line_reader *l = leat__calloc(1, sizeof *l);
    if (!l)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for reading it", r->file->path);
    r->state = l;
    l->fd = -1;
    l->line = 1;
    l->is_csv = r->file->format == LEAT_FORMAT_CSV;
    l->capacity = WINDOW_BYTES;
    l->data = leat__malloc(l->capacity + LINE_SLACK_BYTES);
    if (!l->data)
        return leat__fail(ctx, LEAT_ENOMEM, "%s: out of memory for reading it", r->file->path);
    if (!l->is_csv) {
        const enum leat_json_mode mode =
            r->file->format == LEAT_FORMAT_JSON_AVRO ? LEAT_JSON_AVRO : LEAT_JSON_PLAIN;
        if (leat__json_decoder_new(r->spec->type, mode, &l->json, ctx->error) < 0)
            return fail_file(r);
    }
    if (r->reader.split->from > 0) {
        l->file_at = r->reader.split->from - 1;
        l->passing = true;
    }
    if (strcmp(r->file->path, "-") == 0)
        l->fd = 0;
    else if (ctx->env->fs_open(ctx->env, r->file->path, LEAT_OPEN_READ, &l->fd, ctx->error) < 0)
        return leat__fail_here(ctx);
    return 0;
}

static void lines_close(struct leat_file_reader *r)
{
    struct line_reader *l = r->state;
    struct leat_env *env = r->reader.ctx->env;
    if (!l)
        return;
    if (l->fd > 0)
        env->fs_close(env, l->fd);
    leat__json_decoder_free(l->json);
    leat__csv_decoder_free(l->csv);
    leat__free(l->data);
    leat__free(l);
    r->state = NULL;
}

/* ---- the window ---- */

static int make_room(struct leat_file_reader *r, struct line_reader *l)
{
    if (l->at > 0) {
        memmove(l->data, l->data + l->at, l->len - l->at);
        l->len -= l->at;
        l->at = 0;
    }
    if (l->len < l->capacity)
        return 0;
    char *data = leat__realloc(l->data, 2 * l->capacity + LINE_SLACK_BYTES);
    if (!data)
        return leat__fail(r->reader.ctx, LEAT_ENOMEM, "%s: out of memory for a line of more than %zu bytes",
            r->file->path, l->capacity);
    l->data = data;
    l->capacity *= 2;
    return 0;
}

/* Reads more behind the unread bytes: LINE_FOUND when there are more or the end of the file was seen, or
 * LINE_WAIT. */
static int read_more(struct leat_file_reader *r, struct line_reader *l)
{
    struct leat__ctx *ctx = r->reader.ctx;
    LEAT_TRY(make_room(r, l));
    char *to = l->data + l->len;
    const size_t room = l->capacity - l->len;
    const int64_t got = r->file->is_stream
        ? ctx->env->fs_read(ctx->env, l->fd, to, room, ctx->error)
        : ctx->env->fs_pread(ctx->env, l->fd, to, room, l->file_at, ctx->error);
    if (got == LEAT_EAGAIN_NOW)
        return LINE_WAIT;
    if (got < 0)
        return fail_file(r);
    l->len += (size_t)got;
    l->file_at += (uint64_t)got;
    l->at_eof = got == 0;
    memset(l->data + l->len, 0, LINE_SLACK_BYTES);
    leat__count(&ctx->counters->bytes_in, (uint64_t)got);
    return LINE_FOUND;
}

/* ---- cutting records out of the window ---- */

static uint64_t count_line_ends(const char *text, size_t len)
{
    uint64_t count = 0;
    const char *end = text + len;
    while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        count++;
        text++;
    }
    return count;
}

/* Length of the record at the front of the unread bytes, with its line end; 0 when it is not whole. `text`
 * may be written to behind `len`. */
static size_t record_length(const struct line_reader *l, char *text, size_t len)
{
    if (l->is_csv) {
        const size_t whole = leat__csv_record_end(text, len);
        if (whole > 0 || !l->at_eof)
            return whole;
        text[len] = '\n'; /* in the slack: the last record may do without */
        const size_t with_end = leat__csv_record_end(text, len + 1);
        text[len] = '\0';
        return with_end > len ? len : 0;
    }
    const char *end = memchr(text, '\n', len);
    return end ? (size_t)(end - text) + 1 : l->at_eof ? len : 0;
}

/* Takes `len` unread bytes as a record, and the line end off it. */
static void take_line(struct line_reader *l, size_t len, struct line *line)
{
    line->text = l->data + l->at;
    line->offset = next_offset(l);
    line->number = l->line;
    l->line += l->is_csv ? count_line_ends(line->text, len) : 1;
    l->at += len;
    if (len > 0 && line->text[len - 1] == '\n')
        len--;
    if (len > 0 && line->text[len - 1] == '\r')
        len--;
    line->len = len;
}

/* Passes over bytes up to and including the next line end. */
static int pass_line(struct leat_file_reader *r, struct line_reader *l)
{
    while (l->passing) {
        const char *end = memchr(l->data + l->at, '\n', l->len - l->at);
        if (end) {
            l->at = (size_t)(end - l->data) + 1;
            l->passing = false;
            break;
        }
        l->at = l->len;
        if (l->at_eof) {
            l->passing = false;
            break;
        }
        const int got = read_more(r, l);
        if (got != LINE_FOUND)
            return got;
    }
    return LINE_FOUND;
}

/* Refuses a line; ctx->error has the cause. */
static int refuse(struct leat_file_reader *r, const struct line *line)
{
    struct leat_error *err = r->reader.ctx->error;
    if (r->reader.split->from > 0)
        (void)leat__error_prefix(
            err, "%s: line at byte %llu", r->file->path, (unsigned long long)line->offset);
    else
        (void)leat__error_prefix(err, "%s: line %llu (byte %llu)", r->file->path,
            (unsigned long long)line->number, (unsigned long long)line->offset);
    return leat__reader_bad_row(&r->reader, (int64_t)line->offset, line->text, line->len);
}

/* The unread bytes begin with a record that has no end: its first line is bad. */
static int refuse_endless(struct leat_file_reader *r, struct line_reader *l)
{
    struct leat_error *err = r->reader.ctx->error;
    struct line line;
    const size_t unread = l->len - l->at;
    if (l->is_csv && !l->has_header)
        return leat__fail(r->reader.ctx, LEAT_EDATA,
            "%s: the header line has a quote that is never closed, or is longer than %u bytes", r->file->path,
            LEAT_LINE_BYTES_MAX);
    const char *end = memchr(l->data + l->at, '\n', unread);
    if (end) {
        take_line(l, (size_t)(end - (l->data + l->at)) + 1, &line);
        (void)leat__error(err, LEAT_EDATA, "a quote that is never closed");
    } else if (l->at_eof) {
        take_line(l, unread, &line);
        (void)leat__error(err, LEAT_EDATA, "a quote that is never closed");
    } else {
        take_line(l, unread, &line);
        line.len = line.len < RAW_BYTES_MAX ? line.len : RAW_BYTES_MAX;
        l->passing = true;
        l->line++;
        (void)leat__error(err, LEAT_EDATA, "longer than %u bytes", LEAT_LINE_BYTES_MAX);
    }
    return refuse(r, &line);
}

/* The next record, bad or not. */
static int next_line(struct leat_file_reader *r, struct line_reader *l, struct line *line)
{
    for (;;) {
        if (l->passing) {
            const int got = pass_line(r, l);
            if (got != LINE_FOUND)
                return got;
        }
        const size_t unread = l->len - l->at;
        if (unread == 0 && l->at_eof)
            return LINE_END;
        const size_t len = unread > 0 ? record_length(l, l->data + l->at, unread) : 0;
        if (len > 0) {
            take_line(l, len, line);
            return LINE_FOUND;
        }
        if (l->at_eof || unread >= LEAT_LINE_BYTES_MAX) {
            LEAT_TRY(refuse_endless(r, l));
        } else {
            const int got = read_more(r, l);
            if (got != LINE_FOUND)
                return got;
        }
    }
}

/* ---- beginning ---- */

/* Passes over a byte order mark: it is at the front of the file or nowhere. */
static int pass_mark(struct leat_file_reader *r, struct line_reader *l)
{
    while (l->len - l->at < 3 && !l->at_eof) {
        const int got = read_more(r, l);
        if (got != LINE_FOUND)
            return got;
    }
    if (l->len - l->at >= 3 && memcmp(l->data + l->at, "\xef\xbb\xbf", 3) == 0)
        l->mark = 3;
    l->at += l->mark;
    return LINE_FOUND;
}

static int read_csv_header(struct leat_file_reader *r, struct line_reader *l)
{
    struct leat__ctx *ctx = r->reader.ctx;
    struct line line;
    const int got = next_line(r, l, &line);
    if (got != LINE_FOUND)
        return got;
    l->has_header = true;
    if (leat__csv_decoder_new(r->spec->type, r->spec->separator, line.text, line.len, &l->csv, ctx->error) <
        0)
        return fail_file(r);
    l->header_is_one_cell = memchr(line.text, r->spec->separator, line.len) == NULL;
    return LINE_FOUND;
}

/* Goes to the first record; may be called again after LINE_WAIT. */
static int start(struct leat_file_reader *r, struct line_reader *l)
{
    int got = LINE_FOUND;
    if (next_offset(l) == 0)
        got = pass_mark(r, l);
    if (got == LINE_FOUND && l->is_csv)
        got = read_csv_header(r, l);
    if (got == LINE_FOUND && l->passing) {
        got = pass_line(r, l);
        l->line = 1;
    }
    l->started = got == LINE_FOUND;
    return got;
}

/* ---- reading ---- */

static bool is_blank(const struct line_reader *l, const struct line *line)
{
    if (l->is_csv)
        return line->len == 0 && !l->header_is_one_cell;
    for (size_t i = 0; i < line->len; i++) {
        if (line->text[i] != ' ' && line->text[i] != '\t' && line->text[i] != '\r')
            return false;
    }
    return true;
}

static int decode_line(
    struct leat_file_reader *r, struct line_reader *l, const struct line *line, struct leat_batch *batch)
{
    struct leat__ctx *ctx = r->reader.ctx;
    if (is_blank(l, line))
        return 0;
    const int code = l->is_csv ? leat__csv_decode(l->csv, line->text, line->len, batch, ctx->error)
                               : leat__json_decode(l->json, line->text, line->len, batch, ctx->error);
    if (code == LEAT_EDATA || code == LEAT_ELIMIT || code == LEAT_EOVERFLOW)
        return refuse(r, line);
    if (code < 0)
        return fail_file(r);
    if (r->reader.node->time.field) /* for file_row_position */
        batch->event_us[batch->count - 1] = (int64_t)line->offset;
    return 0;
}

/* Rows until the batch is full, the split ends or there is nothing yet. */
static int lines_read(struct leat_file_reader *r, struct leat_batch *batch)
{
    struct line_reader *l = r->state;
    int got = l->started ? LINE_FOUND : start(r, l);
    size_t bytes = 0;
    while (got == LINE_FOUND && !leat__batch_is_full(batch) && bytes < LEAT_FILE_READ_BYTES) {
        struct line line;
        if (next_offset(l) >= r->reader.split->to && next_offset(l) > l->mark)
            return LEAT_READ_END;
        got = next_line(r, l, &line);
        if (got != LINE_FOUND)
            break;
        LEAT_TRY(decode_line(r, l, &line, batch));
        bytes += line.len + 1;
    }
    if (got == LINE_WAIT && batch->count == 0) {
        r->reader.wake_us = r->reader.ctx->api->now_us(r->reader.ctx) + STREAM_WAIT_US;
        return LEAT_READ_WAIT;
    }
    return got == LINE_END ? LEAT_READ_END : got < 0 ? got : LEAT_READ_ROWS;
}

/* ---- positions ---- */

static int lines_position(struct leat_file_reader *r, struct leat_strbuf *out)
{
    const struct line_reader *l = r->state;
    if (r->file->is_stream && l->file_at > 0)
        leat__strbuf_str(out, "stream ");
    if ((l->started && next_offset(l) > l->mark) || (r->file->is_stream && l->file_at > 0))
        leat__strbuf_printf(
            out, "%llu %llu", (unsigned long long)next_offset(l), (unsigned long long)l->line);
    else
        leat__strbuf_str(out, "start");
    return out->failed ? leat__fail(r->reader.ctx, LEAT_ENOMEM, "out of memory for a position") : 0;
}

/* A file that has become shorter than what was read of it is another one. */
static int check_size(struct leat_file_reader *r, uint64_t offset)
{
    struct leat__ctx *ctx = r->reader.ctx;
    struct leat_file_info info;
    if (ctx->env->fs_stat(ctx->env, r->file->path, &info, ctx->error) < 0)
        return leat__fail_here(ctx);
    return offset <= info.size
        ? 0
        : leat__fail(ctx, LEAT_EDATA,
              "%s has %llu bytes, but %llu were read of it before: the file has changed", r->file->path,
              (unsigned long long)info.size, (unsigned long long)offset);
}

static int lines_seek(struct leat_file_reader *r, const char *position, size_t len)
{
    struct line_reader *l = r->state;
    uint64_t offset, line;
    if (len == 5 && memcmp(position, "start", 5) == 0)
        return 0;
    const size_t word = len > 7 && memcmp(position, "stream ", 7) == 0 ? 7 : 0;
    if (!leat__file_position(position + word, len - word, &offset, &line))
        return leat__file_bad_position(r, position, len);
    if (word || r->file->is_stream)
        return leat__fail(r->reader.ctx, LEAT_EUNSUPPORTED,
            "%s: a stream can not be read again from byte %llu: begin new, without the checkpoint, or read "
            "from a "
            "file",
            strcmp(r->file->path, "-") == 0 ? "standard input" : r->file->path, (unsigned long long)offset);
    LEAT_TRY(check_size(r, offset));
    if (l->is_csv) { /* its header says how to read on */
        const int got = start(r, l);
        if (got < 0)
            return got;
    }
    l->at = l->len = 0;
    l->file_at = offset;
    l->line = line;
    l->started = true;
    l->passing = l->at_eof = false;
    return 0;
}

const struct leat_file_read_class leat__file_read_lines = {
    .open = lines_open,
    .read = lines_read,
    .position = lines_position,
    .seek = lines_seek,
    .close = lines_close,
};
