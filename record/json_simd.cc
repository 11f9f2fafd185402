/* record/json_simd.cc -- the only file that sees simdjson. */
#include "record/json_simd.h"
#include <leat/error.h>
#include <memory>
#include <new>
#include <simdjson.h>

extern "C" {
#include "base/alloc.h"
}

namespace
{

constexpr size_t CAPACITY_FIRST = 4096;

const char *reason_of(simdjson::error_code code)
{
    switch (code) {
    case simdjson::EMPTY:
        return "there is nothing but white space";
    case simdjson::UNCLOSED_STRING:
        return "a string is not closed";
    case simdjson::UTF8_ERROR:
        return "it is not UTF-8";
    case simdjson::UNESCAPED_CHARS:
        return "a string has a control character (a tab or a line end is written \\t or \\n)";
    default:
        return "it can not be taken apart";
    }
}

} // namespace

struct leat_json_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> stage;
    size_t capacity;
};

int leat__json_index_new(struct leat_json_index **index)
{
    *index = nullptr;
    void *memory = leat__malloc(sizeof(leat_json_index));
    if (!memory)
        return LEAT_ENOMEM;
    auto *made = new (memory) leat_json_index{ nullptr, CAPACITY_FIRST };
    /* Depth matters to the second stage alone. */
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            CAPACITY_FIRST, 1, made->stage)) {
        leat__json_index_free(made);
        return LEAT_ENOMEM;
    }
    *index = made;
    return 0;
}

void leat__json_index_free(struct leat_json_index *index)
{
    if (!index)
        return;
    index->~leat_json_index();
    leat__free(index);
}

int leat__json_index_run(struct leat_json_index *index, const char *text, size_t len,
    const uint32_t **positions, uint32_t *count, const char **reason)
{
    if (len > index->capacity || index->capacity == 0) {
        size_t capacity = CAPACITY_FIRST;
        while (capacity < len)
            capacity *= 2;
        const bool failed = index->stage->set_capacity(capacity) != simdjson::SUCCESS;
        index->capacity = failed ? 0 : capacity; /* a failure leaves it without a table */
        if (failed)
            return LEAT_ENOMEM;
    }
    const simdjson::error_code code =
        index->stage->stage1(reinterpret_cast<const uint8_t *>(text), len, simdjson::stage1_mode::regular);
    if (code) {
        *reason = reason_of(code);
        return LEAT_EDATA;
    }
    uint32_t *found = index->stage->structural_indexes.get();
    *count = index->stage->n_structural_indexes;
    found[*count] = static_cast<uint32_t>(len);
    *positions = found;
    return 0;
}
