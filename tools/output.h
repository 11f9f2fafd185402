/* tools/output.h -- how the leat command shows things: aligned columns, JSON, bytes that are no text.
 *
 * Everything goes into a struct leat_strbuf first and is printed once, so that a full disk is an error and not
 * half an answer. What comes from data (positions, names, handles) never reaches a terminal as it is: control
 * characters and bytes that are no UTF-8 are written \x1b. */
#ifndef LEAT_TOOLS_OUTPUT_H
#define LEAT_TOOLS_OUTPUT_H
#include "base/error.h"
#include "base/strbuf.h"

enum leat_cli_output { LEAT_OUTPUT_AUTO = 0, LEAT_OUTPUT_TABLE, LEAT_OUTPUT_TSV, LEAT_OUTPUT_JSON };

/* AUTO: aligned columns on a terminal, tab-separated figures in a pipe. */
enum leat_cli_output leat__output_choose(enum leat_cli_output wanted);
/* Writes it to standard output; the exit code, 1 with a message when that does not work. Takes the text. */
int leat__output_print(struct leat_strbuf *out);
/* Prints an error to standard error; its exit code. */
int leat__output_fail(const struct leat_error *err);

/* At most `max` characters of the bytes (0: all), then "...". */
void leat__output_escape(struct leat_strbuf *out, const char *data, size_t len, size_t max);

/* ---- columns ---- */

#define LEAT_GRID_COLUMNS_MAX 12u

/* Cells row by row. A zeroed struct with `headings` set is ready for use. */
struct leat_grid {
    const char *const *headings; /* ">SIZE" is aligned to the right */
    uint32_t columns;
    struct leat_strbuf shown; /* texts of all cells, NUL between them */
    struct leat_strbuf plain; /* the same for machines */
    uint32_t cells;
};
void leat__grid_release(struct leat_grid *grid);
/* The next cell, for both. */
void leat__grid_text(struct leat_grid *grid, const char *text);
void leat__grid_bytes(struct leat_grid *grid, const char *data, size_t len, size_t max); /* escaped */
void leat__grid_count(struct leat_grid *grid, uint64_t count);
/* The next cell: "1.2 MB" for people, the number for machines. */
void leat__grid_size(struct leat_grid *grid, uint64_t bytes);
void leat__grid_both(struct leat_grid *grid, const char *shown, const char *plain);
/* With headings and `indent` blanks before each line; TSV: as it is. No rows: nothing. */
void leat__grid_print(
    const struct leat_grid *grid, enum leat_cli_output output, uint32_t indent, struct leat_strbuf *out);

/* ---- JSON ---- */

/* Puts a comma where one belongs. `name` NULL: an element of an array, or the document. */
void leat__json_begin(struct leat_strbuf *out, const char *name, char bracket); /* '{' or '[' */
void leat__json_end(struct leat_strbuf *out, char bracket);
void leat__json_text(struct leat_strbuf *out, const char *name, const char *text); /* NULL: null */
void leat__json_bytes(struct leat_strbuf *out, const char *name, const char *data, size_t len);
void leat__json_count(struct leat_strbuf *out, const char *name, uint64_t count);
void leat__json_number(struct leat_strbuf *out, const char *name, int64_t number);
void leat__json_bool(struct leat_strbuf *out, const char *name, bool value);
void leat__json_null(struct leat_strbuf *out, const char *name);
void leat__json_time(struct leat_strbuf *out, const char *name, int64_t us); /* RFC 3339 */
void leat__json_watermark(struct leat_strbuf *out, const char *name, int64_t us); /* null, "end" or a time */

/* "2026-01-01T00:00:00Z", to the second; "none yet" and "end" for watermarks at the ends of time. */
#define LEAT_MOMENT_TEXT_MAX 48u
void leat__moment_print(int64_t us, char text[LEAT_MOMENT_TEXT_MAX]);
void leat__watermark_print(int64_t us, char text[LEAT_MOMENT_TEXT_MAX]);
#endif
