/* tests/support/container_file.h -- small container files in memory, written with the writer and read with
 * the reader; records are {"x": long} encoded and decoded by hand, so that a row is one varint. Row i has the
 * value 1000 i. */
#ifndef LEAT_TESTS_SUPPORT_CONTAINER_FILE_H
#define LEAT_TESTS_SUPPORT_CONTAINER_FILE_H
#include "record/container.h"
#include "tests/support/unit.h"

#define CONTAINER_SCHEMA \
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":\"long\"}]}"
#define CONTAINER_PATH "dir/x.avro"
#define CONTAINER_ROWS_MAX 4096
#define CONTAINER_CODECS_COUNT 4

extern const uint8_t container_sync[LEAT_SYNC_BYTES];
extern const enum leat_codec container_codecs[CONTAINER_CODECS_COUNT];

struct container_fixture {
    struct leat_env *env; /* in memory */
    struct leat_pool *pool;
    struct leat_strbuf file; /* what was written last */
    struct leat_error err;
};

struct container_rows {
    int64_t values[CONTAINER_ROWS_MAX];
    size_t count;
    size_t blocks_count;
};

/* For cmocka: *state becomes a struct container_fixture. The teardown checks that nothing is left open or
 * allocated. */
int container_setup(void **state);
int container_teardown(void **state);

void container_put_long(struct leat_strbuf *out, int64_t value);
/* Writes blocks of the given numbers of rows to f->file and puts it at CONTAINER_PATH. */
void container_write_file(
    struct container_fixture *f, enum leat_codec codec, const uint32_t *blocks, size_t blocks_count);
/* The same with a header and `tail` as all that follows. */
void container_write_raw(struct container_fixture *f, enum leat_codec codec, const struct leat_strbuf *tail);
/* Read on to the end, a range, the file: they append to `rows` (read_file begins anew); 0 or the error. */
int container_read_on(
    struct container_fixture *f, struct leat_container_reader *reader, struct container_rows *rows);
int container_read_range(
    struct container_fixture *f, uint64_t from, uint64_t to, struct container_rows *rows);
int container_read_file(struct container_fixture *f, struct container_rows *rows);
/* Fails unless rows from .. count-1 have their values. */
void container_assert_counting(const struct container_rows *rows, size_t from, size_t count);
#endif
