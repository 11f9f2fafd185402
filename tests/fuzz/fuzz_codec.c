/* tests/fuzz/fuzz_codec.c -- the first byte picks a codec. The rest is unpacked as it is; and packed and
 * unpacked it must come back. */
#include "base/limits.h"
#include "record/codec_private.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct leat_codec_state *codecs[LEAT_CODEC_ZSTANDARD + 1]; /* kept: their tables are large */
    struct leat_pool *pool;
    struct leat_buffer *buffer;
    struct leat_strbuf packed = { 0 };
    struct leat_error err = { 0 };
    size_t unpacked;
    if (size == 0)
        return 0;
    const enum leat_codec which = (enum leat_codec)(LEAT_CODEC_NULL + data[0] % LEAT_CODEC_ZSTANDARD);
    data++;
    size--;
    FUZZ_CHECK(leat__pool_new(16, &pool) == 0);
    if (!codecs[which])
        FUZZ_CHECK(leat__codec_new(which, &codecs[which], &err) == 0);
    struct leat_codec_state *codec = codecs[which];

    int code = leat__codec_unpack(codec, pool, data, size, &buffer, &unpacked, &err);
    FUZZ_CHECK(code == 0 || (code == LEAT_EDATA && err.message[0] != '\0' && !buffer));
    FUZZ_CHECK(code < 0 || unpacked <= LEAT_BLOCK_BYTES_MAX);
    leat__buffer_release(buffer);

    FUZZ_CHECK(leat__codec_pack(codec, data, size, &packed, &err) == 0);
    code =
        leat__codec_unpack(codec, pool, (const uint8_t *)packed.data, packed.len, &buffer, &unpacked, &err);
    FUZZ_CHECK(code == 0 && unpacked == size);
    FUZZ_CHECK(size == 0 || memcmp(buffer->data, data, size) == 0);
    leat__buffer_release(buffer);

    leat__strbuf_release(&packed);
    leat__pool_free(pool);
    return 0;
}
