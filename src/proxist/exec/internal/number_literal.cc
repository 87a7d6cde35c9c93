// Decimal text to exact digits, and digits to a column's scale without rounding.
#include "proxist/exec/internal/number_literal.h"

#include <cmath>
#include <cstdlib>
#include <string>

namespace proxist::exec::internal {
namespace {

constexpr int kMaxDigits = 36;  // with a factor of 10 to spare, they fit 128 bits
constexpr int32_t kMaxExponent = 400;
constexpr Int128 kOutside = static_cast<Int128>(1) << 70;

}  // namespace

StatusOr<NumberLiteral> ParseNumber(std::string_view text, bool negative) {
  NumberLiteral out;
  int digits = 0;
  bool point = false;
  size_t i = 0;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      point = true;
      continue;
    }
    if (out.digits != 0 || text[i] != '0') ++digits;
    if (digits > kMaxDigits) {
      return InvalidArgument("a number may have at most {} digits", kMaxDigits);
    }
    out.digits = out.digits * 10 + (text[i] - '0');
    if (point) ++out.scale;
  }
  if (i < text.size()) {
    const bool down = text[i + 1] == '-';
    if (text[i + 1] == '-' || text[i + 1] == '+') ++i;
    int32_t exponent = 0;
    for (++i; i < text.size(); ++i) {
      exponent = exponent * 10 + (text[i] - '0');
      if (exponent > kMaxExponent) {
        return InvalidArgument("the exponent of a number lies within {}", kMaxExponent);
      }
    }
    out.scale += down ? exponent : -exponent;
  }
  out.real = std::strtod(std::string(text).c_str(), nullptr);
  if (negative) {
    out.digits = -out.digits;
    out.real = -out.real;
  }
  return out;
}

Threshold Rescale(const NumberLiteral& literal, uint8_t scale) {
  Threshold out;
  out.floor = literal.digits;
  int32_t at = literal.scale;
  for (; at < scale && out.floor != 0; ++at) {
    if (out.floor >= kOutside || out.floor <= -kOutside) break;
    out.floor *= 10;
  }
  // Each step floors; floor(floor(x / 10) / 10) is floor(x / 100).
  for (; at > scale && out.floor != 0; --at) {
    const Int128 digit = out.floor % 10;
    out.floor /= 10;
    if (digit != 0) out.exact = false;
    if (digit < 0) --out.floor;
    if (out.floor == -1 && !out.exact) break;
  }
  if (out.floor >= kOutside) return {kOutside, true};
  if (out.floor <= -kOutside) return {-kOutside, true};
  return out;
}

int CompareIntegerToReal(Int128 a, double b) {
  constexpr double kBeyond = 1e30;  // further than any column's integer
  if (b >= kBeyond) return -1;
  if (b <= -kBeyond) return 1;
  const double whole = std::floor(b);
  const auto b_floor = static_cast<Int128>(whole);
  if (a != b_floor) return a < b_floor ? -1 : 1;
  return b > whole ? -1 : 0;
}

}  // namespace proxist::exec::internal
