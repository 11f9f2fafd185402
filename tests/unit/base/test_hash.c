/* tests/unit/base/test_hash.c -- values that are in files on disk: if one of these fails, the code is wrong,
 * never the expectation. And how key groups spread over hashes and workers. */
#include "base/hash.h"
#include "base/limits.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <string.h>

static void test_hash__given_texts__when_hashed__then_the_golden_values(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
        uint32_t group; /* of 128 */
    } cases[] = {
        { "", UINT64_C(0x2d06800538d394c2), 22 },
        { "a", UINT64_C(0xe6c632b61e964e1f), 115 },
        { "abc", UINT64_C(0x78af5f94892f3950), 60 },
        { "PENDING", UINT64_C(0xd847b939dc808492), 108 },
        { "customer-42", UINT64_C(0xf40925ac7f7b5e61), 122 },
        { "0123456789abcdef", UINT64_C(0x64439946d8fa212d), 50 },
        { "0123456789abcdef0", UINT64_C(0xc92e2385daf36034), 100 },
        { "the quick brown fox jumps over the lazy dog", UINT64_C(0xe4541a9cacf545aa), 114 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const uint64_t hash = leat__hash(cases[i].text, strlen(cases[i].text));
        FAIL_UNLESS(hash == cases[i].hash, "\"%s\": %016llx", cases[i].text, (unsigned long long)hash);
        FAIL_UNLESS(leat__key_group(hash, 128) == cases[i].group, "\"%s\": group %u", cases[i].text,
            leat__key_group(hash, 128));
    }
}

/* The algorithm changes its way at 16, 128 and 240 bytes. */
static void test_hash__given_long_inputs__when_hashed__then_the_golden_values(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } cases[] = {
        { 8, UINT64_C(0x60539db630471163) },
        { 128, UINT64_C(0x67425a03650261bf) },
        { 129, UINT64_C(0xc664bf3311c6abc4) },
        { 240, UINT64_C(0x64556dc6b462a6cf) },
        { 241, UINT64_C(0x8beadd3a8874fe17) },
        { 1000, UINT64_C(0x6c4f14bd97bd9e82) },
    };
    unsigned char room[1000 + 7];
    (void)state;
    for (size_t shift = 0; shift < 8; shift++) { /* the address must not matter */
        for (size_t i = 0; i < 1000; i++)
            room[shift + i] = (unsigned char)(i * 7 + 3);
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            const uint64_t hash = leat__hash(room + shift, cases[i].len);
            FAIL_UNLESS(hash == cases[i].hash, "%zu bytes at +%zu: %016llx", cases[i].len, shift,
                (unsigned long long)hash);
        }
    }
}

/* From the schema tests of the Avro project. */
static void test_hash__given_primitive_schemas__when_fingerprinted__then_as_avro_says(void **state)
{
    static const struct {
        const char *canonical;
        int64_t fingerprint;
    } cases[] = {
        { "\"null\"", INT64_C(7195948357588979594) },
        { "\"boolean\"", INT64_C(-6970731678124411036) },
        { "\"int\"", INT64_C(8247732601305521295) },
        { "\"long\"", INT64_C(-3434872931120570953) },
        { "\"float\"", INT64_C(5583340709985441680) },
        { "\"double\"", INT64_C(-8181574048448539266) },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const uint64_t crc = leat__crc64_avro(cases[i].canonical, strlen(cases[i].canonical));
        FAIL_UNLESS(crc == (uint64_t)cases[i].fingerprint, "%s: %016llx", cases[i].canonical,
            (unsigned long long)crc);
    }
    assert_true(leat__crc64_avro("\"int\"", 5) == UINT64_C(0x7275d51a3f395c8f));
    assert_true(leat__crc64_avro("", 0) == UINT64_C(0xc15d213aa4d7a795));
}

static const uint32_t group_counts[] = { 1, 2, 3, 7, 100, 128, 129, 1000, LEAT_MAX_PARALLELISM_MAX };

static void test_hash__given_the_ends_of_the_hash__when_grouped__then_first_and_last_group(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(group_counts); i++) {
        assert_int_equal(leat__key_group(0, group_counts[i]), 0);
        assert_int_equal(leat__key_group(UINT64_MAX, group_counts[i]), group_counts[i] - 1);
    }
}

static void test_hash__given_equally_spaced_hashes__when_grouped__then_even_and_in_order(void **state)
{
    static uint32_t counts[LEAT_MAX_PARALLELISM_MAX];
    const uint32_t steps = 1u << 20;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(group_counts); i++) {
        const uint32_t groups = group_counts[i];
        uint32_t last = 0;
        memset(counts, 0, sizeof counts);
        for (uint32_t step = 0; step < steps; step++) {
            const uint32_t group = leat__key_group((uint64_t)step << 44, groups);
            assert_in_range(group, last, last + 1);
            counts[group]++;
            last = group;
        }
        for (uint32_t g = 0; g < groups; g++)
            FAIL_UNLESS(counts[g] == steps / groups || counts[g] == steps / groups + 1,
                "group %u of %u has %u hashes", g, groups, counts[g]);
    }
}

static void test_hash__given_many_real_keys__when_grouped__then_no_group_is_far_from_the_mean(void **state)
{
    uint32_t counts[128] = { 0 };
    char key[32];
    (void)state;
    for (int i = 0; i < 128000; i++) {
        const int len = snprintf(key, sizeof key, "customer-%d", i);
        counts[leat__key_group(leat__hash(key, (size_t)len), 128)]++;
    }
    for (int g = 0; g < 128; g++)
        assert_in_range(counts[g], 840, 1160); /* mean 1000, five standard deviations */
}

static void test_hash__given_workers__when_groups_are_owned__then_contiguous_and_nearly_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(group_counts); i++) {
        const uint32_t groups = group_counts[i];
        for (uint32_t workers = 1; workers <= groups && workers <= LEAT_WORKERS_MAX; workers++) {
            uint32_t owned = 0, last = 0;
            for (uint32_t group = 0; group <= groups; group++) {
                const uint32_t owner =
                    group < groups ? leat__key_group_owner(group, groups, workers) : workers;
                if (owner != last) {
                    FAIL_UNLESS(owner == last + 1, "group %u of %u: worker %u follows %u", group, groups,
                        owner, last);
                    FAIL_UNLESS(owned == groups / workers || owned == groups / workers + 1,
                        "worker %u of %u owns %u of %u groups", last, workers, owned, groups);
                    owned = 0;
                    last = owner;
                }
                owned++;
            }
        }
    }
}

static void test_hash__given_more_workers_than_groups__when_owned__then_each_group_has_its_own(void **state)
{
    (void)state;
    for (uint32_t group = 1; group < 4; group++) {
        assert_true(leat__key_group_owner(group, 4, 10) > leat__key_group_owner(group - 1, 4, 10));
        assert_in_range(leat__key_group_owner(group, 4, 10), 0, 9);
    }
}

static void test_hash__given_bytes_in_pieces__when_hashed_as_a_stream__then_as_if_whole(void **state)
{
    (void)state;
    unsigned char bytes[5000];
    struct leat_hash_stream *stream = leat__hash_stream_new();
    assert_non_null(stream);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 7);
    assert_int_equal(leat__hash_stream_value(stream), leat__hash(bytes, 0));
    for (size_t piece = 1; piece < sizeof bytes; piece = piece * 3 + 1) {
        leat__hash_stream_clear(stream);
        for (size_t at = 0; at < sizeof bytes; at += piece)
            leat__hash_stream_add(stream, bytes + at, piece < sizeof bytes - at ? piece : sizeof bytes - at);
        FAIL_UNLESS(
            leat__hash_stream_value(stream) == leat__hash(bytes, sizeof bytes), "pieces of %zu", piece);
    }
    leat__hash_stream_free(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash__given_texts__when_hashed__then_the_golden_values),
        cmocka_unit_test(test_hash__given_long_inputs__when_hashed__then_the_golden_values),
        cmocka_unit_test(test_hash__given_primitive_schemas__when_fingerprinted__then_as_avro_says),
        cmocka_unit_test(test_hash__given_the_ends_of_the_hash__when_grouped__then_first_and_last_group),
        cmocka_unit_test(test_hash__given_equally_spaced_hashes__when_grouped__then_even_and_in_order),
        cmocka_unit_test(test_hash__given_many_real_keys__when_grouped__then_no_group_is_far_from_the_mean),
        cmocka_unit_test(test_hash__given_workers__when_groups_are_owned__then_contiguous_and_nearly_equal),
        cmocka_unit_test(test_hash__given_more_workers_than_groups__when_owned__then_each_group_has_its_own),
        cmocka_unit_test(test_hash__given_bytes_in_pieces__when_hashed_as_a_stream__then_as_if_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
