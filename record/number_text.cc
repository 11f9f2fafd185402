/* record/number_text.cc -- numbers as text by <charconv>: correctly rounded, shortest, and free of the
 * locale.
 *
 * std::to_chars in scientific form gives the digits; layout is ours, because "1e+05" for 100000 is shorter
 * but not what people expect to read. Exponents from -6 to 20 are written out, others get an exponent. */
#include "record/number_text.h"
#include <charconv>
#include <cmath>
#include <cstring>
#include <leat/error.h>

namespace
{

constexpr int EXPONENT_WRITTEN_OUT_MIN = -6;
constexpr int EXPONENT_WRITTEN_OUT_MAX = 20;

const char DIGIT_PAIRS[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

char *put(char *to, const char *from, int count)
{
    std::memcpy(to, from, static_cast<size_t>(count));
    return to + count;
}

char *put_zeros(char *to, int count)
{
    std::memset(to, '0', static_cast<size_t>(count));
    return to + count;
}

/* The value is 0.d1d2d3... * 10^point. */
size_t lay_out(char *text, bool negative, const char *digits, int count, int point)
{
    char *at = text;
    if (negative)
        *at++ = '-';
    if (point - 1 < EXPONENT_WRITTEN_OUT_MIN || point - 1 > EXPONENT_WRITTEN_OUT_MAX) {
        *at++ = digits[0];
        if (count > 1) {
            *at++ = '.';
            at = put(at, digits + 1, count - 1);
        }
        *at++ = 'e';
        at = std::to_chars(at, at + 8, point - 1).ptr;
    } else if (point <= 0) {
        at = put(at, "0.", 2);
        at = put_zeros(at, -point);
        at = put(at, digits, count);
    } else if (point < count) {
        at = put(at, digits, point);
        *at++ = '.';
        at = put(at, digits + point, count - point);
    } else {
        at = put(at, digits, count);
        at = put_zeros(at, point - count);
        at = put(at, ".0", 2);
    }
    return static_cast<size_t>(at - text);
}

template <typename T> size_t print(T value, char *text)
{
    constexpr T integer_max = sizeof(T) == 8 ? T(9007199254740992) : T(16777216);
    const T magnitude = std::fabs(value);
    if (magnitude < integer_max && magnitude == std::floor(magnitude)) {
        char *at = text;
        if (std::signbit(value))
            *at++ = '-';
        at += leat__i64_print(static_cast<int64_t>(magnitude), at);
        return static_cast<size_t>(put(at, ".0", 2) - text);
    }
    char raw[LEAT_DOUBLE_TEXT_MAX];
    const char *end = std::to_chars(raw, raw + sizeof raw, magnitude, std::chars_format::scientific).ptr;
    const char *e = end;
    while (e[-1] != 'e')
        e--;
    int exponent = 0;
    (void)std::from_chars(*e == '+' ? e + 1 : e, end, exponent);
    char digits[LEAT_DOUBLE_TEXT_MAX];
    int count = 0;
    for (const char *p = raw; p < e - 1; p++)
        if (*p != '.')
            digits[count++] = *p;
    return lay_out(text, std::signbit(value), digits, count, exponent + 1);
}

/* Out of range either way: a number below one is too small, any other too large. Walks to the first digit
 * that counts and works out its place. */
bool is_tiny(const char *at, const char *end)
{
    long place = 0; /* of the first non-zero digit: 0 for d.ddd */
    long whole_digits = 0;
    bool seen = false, behind_point = false;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        seen = seen || *at != '0';
        if (!behind_point)
            whole_digits += seen ? 1 : 0;
        else if (!seen)
            place--;
    }
    if (!seen)
        return true; /* 0e999999 */
    place += whole_digits;
    long exponent = 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && *at == '+')
            at++;
        const bool negative = at < end && *at == '-';
        if (std::from_chars(at, end, exponent).ec == std::errc::result_out_of_range)
            return negative;
    }
    return exponent < -place;
}

template <typename T> int parse(const char *text, size_t len, T *value)
{
    const char *at = text;
    const char *end = text + len;
    const bool negative = len > 0 && *at == '-';
    if (len > 0 && (*at == '-' || *at == '+'))
        at++;
    if (at == end || ((*at < '0' || *at > '9') && *at != '.')) /* also keeps "inf" and "nan" out */
        return LEAT_EINVAL;
    T magnitude = 0;
    const std::from_chars_result result = std::from_chars(at, end, magnitude, std::chars_format::general);
    if (result.ec == std::errc::invalid_argument || result.ptr != end)
        return LEAT_EINVAL;
    if (result.ec == std::errc::result_out_of_range) {
        if (!is_tiny(at, end))
            return LEAT_EOVERFLOW;
        magnitude = 0;
    }
    *value = negative ? -magnitude : magnitude;
    return 0;
}

} // namespace

size_t leat__double_print(double value, char text[LEAT_DOUBLE_TEXT_MAX])
{
    return print(value, text);
}

size_t leat__float_print(float value, char text[LEAT_DOUBLE_TEXT_MAX])
{
    return print(value, text);
}

/* Two digits at a time from the end: half the divisions, and no need to know the length first. */
size_t leat__i64_print(int64_t value, char text[LEAT_I64_TEXT_MAX])
{
    char digits[LEAT_I64_TEXT_MAX];
    char *at = digits + sizeof digits;
    uint64_t left = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    while (left >= 100) {
        const uint64_t rest = left / 100;
        at -= 2;
        std::memcpy(at, DIGIT_PAIRS + 2 * (left - 100 * rest), 2);
        left = rest;
    }
    if (left >= 10) {
        at -= 2;
        std::memcpy(at, DIGIT_PAIRS + 2 * left, 2);
    } else {
        *--at = static_cast<char>('0' + left);
    }
    if (value < 0)
        *--at = '-';
    const size_t len = static_cast<size_t>(digits + sizeof digits - at);
    std::memcpy(text, at, len);
    return len;
}

int leat__double_parse(const char *text, size_t len, double *value)
{
    return parse(text, len, value);
}

int leat__float_parse(const char *text, size_t len, float *value)
{
    return parse(text, len, value);
}

int leat__i64_parse(const char *text, size_t len, int64_t *value)
{
    const char *at = text;
    const char *end = text + len;
    if (len > 1 && *at == '+' && at[1] != '-')
        at++;
    const std::from_chars_result result = std::from_chars(at, end, *value);
    if (result.ec == std::errc::invalid_argument || result.ptr != end)
        return LEAT_EINVAL;
    return result.ec == std::errc::result_out_of_range ? LEAT_EOVERFLOW : 0;
}
