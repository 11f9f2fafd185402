/* tests/fuzz/fuzz_strbuf_json.c -- any bytes become a JSON string that jansson reads; valid UTF-8 comes back
 * as it went in. */
#include "base/alloc.h"
#include "base/strbuf.h"
#include "tests/fuzz/fuzz.h"
#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_strbuf s = { 0 };
    const char *text = (const char *)data;
    const int64_t live = leat__alloc_live();

    leat__strbuf_json(&s, text, size);
    FUZZ_CHECK(!s.failed && s.data[s.len] == '\0');
    json_t *read = json_loadb(s.data, s.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    FUZZ_CHECK(json_is_string(read));

    json_t *direct = json_stringn(text, size); /* NULL where the bytes are no UTF-8 */
    FUZZ_CHECK(!direct || json_equal(direct, read));
    FUZZ_CHECK(json_string_length(read) >= size); /* a bad byte becomes three good ones */

    json_decref(direct);
    json_decref(read);
    leat__strbuf_release(&s);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
