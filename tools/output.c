/* tools/output.c -- see the header. */
#include "tools/output.h"
#include "base/units.h"
#include "record/time_text.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GAP "  "

enum leat_cli_output leat__output_choose(enum leat_cli_output wanted)
{
    if (wanted != LEAT_OUTPUT_AUTO)
        return wanted;
    return isatty(STDOUT_FILENO) == 1 ? LEAT_OUTPUT_TABLE : LEAT_OUTPUT_TSV;
}

int leat__output_print(struct leat_strbuf *out)
{
    const bool made = !out->failed;
    const bool written =
        made && fwrite(out->data ? out->data : "", 1, out->len, stdout) == out->len && fflush(stdout) == 0;
    if (!written)
        (void)fprintf(
            stderr, "leat: cannot write to standard output: %s\n", made ? strerror(errno) : "out of memory");
    leat__strbuf_release(out);
    return written ? 0 : 1;
}

/* Bytes of the UTF-8 character at the beginning, at most `len`; 0: none, or one that moves the cursor. */
static size_t character_bytes(const unsigned char *c, size_t len)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t bytes = *c < 0x80 ? 1 : *c >> 5 == 6 ? 2 : *c >> 4 == 14 ? 3 : *c >> 3 == 30 ? 4 : 0;
    if (bytes == 0 || bytes > len)
        return 0;
    uint32_t code = bytes == 1 ? *c : *c & (0x7Fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if (c[i] >> 6 != 2)
            return 0;
        code = code << 6 | (c[i] & 0x3Fu);
    }
    const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
        (code >= 0x2066 && code <= 0x2069) || code == 0x200E || code == 0x200F;
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    return control || surrogate || code < least[bytes] || code > 0x10FFFF ? 0 : bytes;
}

void leat__output_escape(struct leat_strbuf *out, const char *data, size_t len, size_t max)
{
    const unsigned char *c = (const unsigned char *)data;
    size_t shown = 0;
    for (size_t i = 0; i < len; shown++) {
        if (max > 0 && shown == max) {
            leat__strbuf_str(out, "...");
            return;
        }
        const size_t bytes = character_bytes(c + i, len - i);
        if (bytes == 0)
            leat__strbuf_printf(out, "\\x%02x", c[i]);
        else if (c[i] == '\\')
            leat__strbuf_str(out, "\\\\");
        else
            leat__strbuf_add(out, data + i, bytes);
        i += bytes ? bytes : 1;
    }
}

int leat__output_fail(const struct leat_error *err)
{
    struct leat_strbuf text = { 0 };
    leat__output_escape(&text, err->message, strlen(err->message), 0);
    (void)fprintf(stderr, "leat: error: %s\n", text.failed ? "out of memory" : text.data);
    leat__strbuf_release(&text);
    return leat_error_exit_code(err->code);
}

/* ---- columns ---- */

void leat__grid_release(struct leat_grid *grid)
{
    leat__strbuf_release(&grid->shown);
    leat__strbuf_release(&grid->plain);
    grid->cells = 0;
}

void leat__grid_both(struct leat_grid *grid, const char *shown, const char *plain)
{
    leat__strbuf_add(&grid->shown, shown, strlen(shown) + 1);
    leat__strbuf_add(&grid->plain, plain, strlen(plain) + 1);
    grid->cells++;
}

void leat__grid_bytes(struct leat_grid *grid, const char *data, size_t len, size_t max)
{
    leat__output_escape(&grid->shown, data, len, max);
    leat__strbuf_char(&grid->shown, '\0');
    leat__output_escape(&grid->plain, data, len, 0);
    leat__strbuf_char(&grid->plain, '\0');
    grid->cells++;
}

void leat__grid_text(struct leat_grid *grid, const char *text)
{
    leat__grid_bytes(grid, text, strlen(text), 0);
}

void leat__grid_count(struct leat_grid *grid, uint64_t count)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    leat__grid_both(grid, text, text);
}

void leat__grid_size(struct leat_grid *grid, uint64_t bytes)
{
    char shown[LEAT_UNITS_TEXT_MAX], plain[32];
    leat__size_print(bytes, shown);
    (void)snprintf(plain, sizeof plain, "%llu", (unsigned long long)bytes);
    leat__grid_both(grid, shown, plain);
}

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text >> 6) != 2;
    return count;
}

static const char *heading(const struct leat_grid *grid, uint32_t column)
{
    return grid->headings[column] + (grid->headings[column][0] == '>');
}

static void print_cell(
    const struct leat_grid *grid, uint32_t column, const char *text, size_t width, struct leat_strbuf *out)
{
    const int fill = (int)(width - characters(text));
    const bool last = column + 1 == grid->columns;
    if (grid->headings[column][0] == '>')
        leat__strbuf_printf(out, "%*s%s", fill, "", text);
    else
        leat__strbuf_printf(out, "%s%*s", text, last ? 0 : fill, "");
    leat__strbuf_str(out, last ? "\n" : GAP);
}

static void print_aligned(const struct leat_grid *grid, uint32_t indent, struct leat_strbuf *out)
{
    size_t widths[LEAT_GRID_COLUMNS_MAX];
    const char *cell = grid->shown.data;
    for (uint32_t c = 0; c < grid->columns; c++)
        widths[c] = characters(heading(grid, c));
    for (uint32_t i = 0; i < grid->cells; i++, cell += strlen(cell) + 1)
        if (characters(cell) > widths[i % grid->columns])
            widths[i % grid->columns] = characters(cell);
    leat__strbuf_printf(out, "%*s", (int)indent, "");
    for (uint32_t c = 0; c < grid->columns; c++)
        print_cell(grid, c, heading(grid, c), widths[c], out);
    cell = grid->shown.data;
    for (uint32_t i = 0; i < grid->cells; i++, cell += strlen(cell) + 1) {
        if (i % grid->columns == 0)
            leat__strbuf_printf(out, "%*s", (int)indent, "");
        print_cell(grid, i % grid->columns, cell, widths[i % grid->columns], out);
    }
}

static void print_separated(const struct leat_grid *grid, struct leat_strbuf *out)
{
    const char *cell = grid->plain.data;
    for (uint32_t c = 0; c < grid->columns; c++)
        leat__strbuf_printf(out, "%s%c", heading(grid, c), c + 1 == grid->columns ? '\n' : '\t');
    for (uint32_t i = 0; i < grid->cells; i++, cell += strlen(cell) + 1)
        leat__strbuf_printf(out, "%s%c", cell, (i + 1) % grid->columns == 0 ? '\n' : '\t');
}

void leat__grid_print(
    const struct leat_grid *grid, enum leat_cli_output output, uint32_t indent, struct leat_strbuf *out)
{
    if (grid->shown.failed || grid->plain.failed)
        out->failed = true;
    else if (grid->cells > 0 && output == LEAT_OUTPUT_TSV)
        print_separated(grid, out);
    else if (grid->cells > 0)
        print_aligned(grid, indent, out);
}

/* ---- JSON ---- */

static void put_name(struct leat_strbuf *out, const char *name)
{
    if (out->len > 0 && !strchr("{[:\n", out->data[out->len - 1]))
        leat__strbuf_char(out, ',');
    if (name)
        leat__strbuf_printf(out, "\"%s\":", name);
}

void leat__json_begin(struct leat_strbuf *out, const char *name, char bracket)
{
    put_name(out, name);
    leat__strbuf_char(out, bracket);
}

void leat__json_end(struct leat_strbuf *out, char bracket)
{
    leat__strbuf_char(out, bracket);
}

void leat__json_bytes(struct leat_strbuf *out, const char *name, const char *data, size_t len)
{
    put_name(out, name);
    leat__strbuf_json(out, data ? data : "", len);
}

void leat__json_text(struct leat_strbuf *out, const char *name, const char *text)
{
    if (text)
        leat__json_bytes(out, name, text, strlen(text));
    else
        leat__json_null(out, name);
}

void leat__json_count(struct leat_strbuf *out, const char *name, uint64_t count)
{
    put_name(out, name);
    leat__strbuf_printf(out, "%llu", (unsigned long long)count);
}

void leat__json_number(struct leat_strbuf *out, const char *name, int64_t number)
{
    put_name(out, name);
    leat__strbuf_printf(out, "%lld", (long long)number);
}

void leat__json_bool(struct leat_strbuf *out, const char *name, bool value)
{
    put_name(out, name);
    leat__strbuf_str(out, value ? "true" : "false");
}

void leat__json_null(struct leat_strbuf *out, const char *name)
{
    put_name(out, name);
    leat__strbuf_str(out, "null");
}

void leat__json_time(struct leat_strbuf *out, const char *name, int64_t us)
{
    char text[LEAT_TIME_TEXT_MAX];
    (void)leat__time_print(us, text);
    leat__json_text(out, name, text);
}

void leat__json_watermark(struct leat_strbuf *out, const char *name, int64_t us)
{
    if (us == LEAT_TIME_MIN)
        leat__json_null(out, name);
    else if (us == LEAT_TIME_MAX)
        leat__json_text(out, name, "end");
    else
        leat__json_time(out, name, us);
}

/* ---- times ---- */

void leat__moment_print(int64_t us, char text[LEAT_MOMENT_TEXT_MAX])
{
    const int64_t part = us > INT64_MIN + 1000000 ? us % 1000000 : 0;
    const int64_t second = part < 0 ? us - part - 1000000 : us - part;
    (void)leat__time_print(second, text);
}

void leat__watermark_print(int64_t us, char text[LEAT_MOMENT_TEXT_MAX])
{
    if (us == LEAT_TIME_MIN || us == LEAT_TIME_MAX)
        (void)snprintf(text, LEAT_MOMENT_TEXT_MAX, "%s", us == LEAT_TIME_MIN ? "none yet" : "end");
    else
        (void)leat__time_print(us, text);
}
