/* tests/fuzz/fuzz_manifest.c -- any bytes as a manifest: once as they are, once with the checksum that they need.
 * What is read is written again and read again: it must be the same. */
#include "base/alloc.h"
#include "base/hash.h"
#include "runtime/manifest.h"
#include "tests/fuzz/fuzz.h"
#include <inttypes.h>
#include <string.h>

static void check_names(const struct leat_manifest *m)
{
    for (uint32_t i = 0; i < m->files_count; i++) {
        FUZZ_CHECK(m->files[i].name[0] != '/' && m->files[i].name[0] != '\0');
        FUZZ_CHECK(strstr(m->files[i].name, "/../") == NULL && strncmp(m->files[i].name, "../", 3) != 0);
    }
    FUZZ_CHECK(m->parallelism > 0 && m->parallelism <= LEAT_WORKERS_MAX);
    for (uint32_t i = 0; i < m->parts_count; i++)
        FUZZ_CHECK(m->parts[i].node_name && m->parts[i].inputs_count <= LEAT_NODE_INPUTS_MAX);
}

static void read_bytes(const char *data, size_t size)
{
    struct leat_manifest m, again;
    struct leat_error err = { 0 };
    struct leat_strbuf first = { 0 }, second = { 0 };
    const int result = leat__manifest_read(data, size, &m, &err);
    FUZZ_CHECK(result == 0 || (err.code == result && err.message[0]));
    if (result == 0) {
        check_names(&m);
        FUZZ_CHECK(leat__manifest_write(&m, &first) == 0);
        FUZZ_CHECK(leat__manifest_read(first.data, first.len, &again, &err) == 0);
        FUZZ_CHECK(leat__manifest_write(&again, &second) == 0);
        FUZZ_CHECK(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        leat__manifest_release(&again);
    }
    leat__manifest_release(&m);
    leat__strbuf_release(&first);
    leat__strbuf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t live = leat__alloc_live();
    struct leat_strbuf text = { 0 };
    read_bytes((const char *)data, size);
    leat__strbuf_add(&text, data, size);
    leat__strbuf_char(&text, '\n');
    leat__strbuf_printf(&text, "xxh3 %016" PRIx64 "\n", leat__hash(text.data, text.len));
    read_bytes(text.data, text.len);
    leat__strbuf_release(&text);
    FUZZ_CHECK(leat__alloc_live() == live);
    return 0;
}
