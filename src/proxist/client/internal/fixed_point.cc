// Decimal text as an integer times a power of ten, exactly.
#include "proxist/client/internal/fixed_point.h"

#include <array>
#include <limits>

#include <fmt/format.h>

#include "proxist/base/check.h"

namespace proxist::client {
namespace {

constexpr unsigned kMaxScale = 18;

constexpr std::array<int64_t, kMaxScale + 1> PowersOfTen() {
  std::array<int64_t, kMaxScale + 1> powers{};
  int64_t power = 1;
  for (unsigned i = 0; i <= kMaxScale; ++i) {
    powers[i] = power;
    if (i < kMaxScale) power *= 10;
  }
  return powers;
}
constexpr auto kPowersOfTen = PowersOfTen();

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Grows `value` by one digit towards the sign of the number, so that the least int64 is reachable.
bool PushDigit(int64_t* value, char digit, bool negative) {
  const int64_t d = digit - '0';
  return !__builtin_mul_overflow(*value, int64_t{10}, value) &&
         !__builtin_add_overflow(*value, negative ? -d : d, value);
}

}  // namespace

NumberFault ParseFixedPoint(std::string_view text, unsigned scale, int64_t* out) {
  PX_CHECK(scale <= kMaxScale);
  size_t at = 0;
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    at = 1;
  }
  int64_t value = 0;
  bool fits = true;
  bool any_digit = false;
  for (; at < text.size() && IsDigit(text[at]); ++at) {
    any_digit = true;
    fits = fits && PushDigit(&value, text[at], negative);
  }
  unsigned fraction_digits = 0;
  bool lost = false;
  if (at < text.size() && text[at] == '.') {
    for (++at; at < text.size() && IsDigit(text[at]); ++at) {
      any_digit = true;
      if (fraction_digits < scale) {
        ++fraction_digits;
        fits = fits && PushDigit(&value, text[at], negative);
      } else {
        lost = lost || text[at] != '0';
      }
    }
  }
  if (!any_digit || at != text.size()) return NumberFault::kNotANumber;
  if (lost) return NumberFault::kTooFine;
  if (!fits || __builtin_mul_overflow(value, kPowersOfTen[scale - fraction_digits], &value)) {
    return NumberFault::kTooLarge;
  }
  *out = value;
  return NumberFault::kNone;
}

NumberFault Rescale(int64_t value, unsigned from, unsigned to, int64_t* out) {
  PX_CHECK(from <= kMaxScale && to <= kMaxScale);
  if (to >= from) {
    return __builtin_mul_overflow(value, kPowersOfTen[to - from], out) ? NumberFault::kTooLarge
                                                                       : NumberFault::kNone;
  }
  const int64_t divisor = kPowersOfTen[from - to];
  if (value % divisor != 0) return NumberFault::kTooFine;
  *out = value / divisor;
  return NumberFault::kNone;
}

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 40;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  out += '\'';
  if (text.size() > kShown) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

}  // namespace proxist::client
