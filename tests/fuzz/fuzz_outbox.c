/* tests/fuzz/fuzz_outbox.c -- any bytes as an outbox. The first byte says what is done with the rest: read as it is;
 * or wrapped with right checksums first, as of each version, so that what is behind them is reached, too. */
#include "base/alloc.h"
#include "runtime/outbox_format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/memory_env.h"
#include <string.h>

#define PATH "outbox"

/* A header of a version, one record whose payload are the bytes, and a trailer, all with the checksums that they should have. */
static size_t wrap(char *to, char version, const uint8_t *data, size_t size)
{
    char *at = to;
    memcpy(at, LEAT_OUTBOX_MAGIC, LEAT_OUTBOX_MAGIC_BYTES);
    at[LEAT_OUTBOX_MAGIC_BYTES - 1] = version;
    leat__put_le32(at + 8, 0);
    leat__put_le32(at + 12, 1);
    at[16] = 'n';
    uint64_t chain = leat__hash(to, 17);
    leat__put_le64(at + 17, chain);
    at += 25;
    leat__put_le32(at, (uint32_t)size);
    memcpy(at + 4, data, size);
    chain = leat__outbox_chain(chain, at + 4, size);
    leat__put_le64(at + 4 + size, chain);
    at += 12 + size;
    leat__put_le32(at, 0);
    leat__put_le64(at + 4, 1);
    leat__put_le64(at + 12, 1);
    leat__put_le64(at + 20, leat__outbox_seal(chain, 1, 1));
    return (size_t)(at + 28 - to);
}

/* Has a sanitizer look at every byte. */
static void look_at(struct leat_sv text)
{
    volatile char last = 0;
    for (size_t i = 0; i < text.len; i++)
        last = text.data[i];
    (void)last;
}

static void read_records(struct leat_outbox_reader *reader, size_t size)
{
    struct leat_error err = { 0 };
    struct leat_outbox_record record;
    uint64_t bytes = 0;
    int code;
    while ((code = leat__outbox_next(reader, &record, &err)) == 1) {
        look_at(record.key);
        look_at(record.value);
        look_at(record.headers);
        look_at(record.topic);
        bytes += record.key.len + record.value.len + record.headers.len + record.topic.len;
        FUZZ_CHECK(bytes <= size);
    }
    FUZZ_CHECK(code == 0 || (code == LEAT_EDATA && err.message[0] != '\0'));
    FUZZ_CHECK((code == 0) == leat__outbox_reader_is_done(reader));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char wrapped[1 << 16];
    const int64_t live = leat__alloc_live();
    const char *path = PATH;
    struct leat_error err = { 0 };
    struct leat_outbox_reader *reader;
    if (size == 0 || size > sizeof wrapped - 128)
        return 0;
    struct leat_env *env = memory_env_new(1);
    if (data[0] % 2 == 0) {
        memory_env_put(env, PATH, data + 1, size - 1);
    } else {
        const size_t len = wrap(wrapped, data[0] % 4 == 1 ? '1' : '2', data + 1, size - 1);
        memory_env_put(env, PATH, wrapped, len);
    }
    const int code = leat__outbox_reader_open(env, &path, 1, "n", 0, 1, 1, &reader, &err);
    FUZZ_CHECK(code == 0 || code == LEAT_EDATA || code == LEAT_EUNSUPPORTED);
    if (code == 0) {
        read_records(reader, size + 64);
        leat__outbox_reader_close(reader);
    }
    memory_env_free(env);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
