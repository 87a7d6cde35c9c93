// Names, widths and text forms of column types and their values.
#include "proxist/column/type.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "proxist/base/check.h"

namespace proxist::column {
namespace {

constexpr std::array<std::pair<std::string_view, TypeKind>, 14> kNames{{
    {"bool", TypeKind::kBool},
    {"int8", TypeKind::kInt8},
    {"int16", TypeKind::kInt16},
    {"int32", TypeKind::kInt32},
    {"int64", TypeKind::kInt64},
    {"uint8", TypeKind::kUint8},
    {"uint16", TypeKind::kUint16},
    {"uint32", TypeKind::kUint32},
    {"uint64", TypeKind::kUint64},
    {"float32", TypeKind::kFloat32},
    {"float64", TypeKind::kFloat64},
    {"timestamp_ns", TypeKind::kTimestamp},
    {"string", TypeKind::kString},
    {"symbol", TypeKind::kSymbol},
}};

Status UnknownType(std::string_view text) {
  return InvalidArgument(
      "type '{}': expected bool, int8..int64, uint8..uint64, float32, float64, decimal(0..{}), "
      "timestamp_ns, string or symbol",
      text, kMaxDecimalScale);
}

Status BadDecimal(std::string_view text, uint8_t scale, std::string_view why) {
  return InvalidArgument("'{}' is no decimal({}): {}", text, scale, why);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

template <typename Float>
std::string FormatFloat(Float value) {
  if (std::isnan(value)) return "nan";
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end.ptr};
}

}  // namespace

size_t WidthOf(TypeKind kind) {
  switch (kind) {
    case TypeKind::kBool:
    case TypeKind::kInt8:
    case TypeKind::kUint8:
      return 1;
    case TypeKind::kInt16:
    case TypeKind::kUint16:
      return 2;
    case TypeKind::kInt32:
    case TypeKind::kUint32:
    case TypeKind::kFloat32:
    case TypeKind::kSymbol:
      return 4;
    case TypeKind::kInt64:
    case TypeKind::kUint64:
    case TypeKind::kFloat64:
    case TypeKind::kDecimal:
    case TypeKind::kTimestamp:
      return 8;
    case TypeKind::kString:
      return 0;
  }
  return 0;
}

std::string FormatType(Type type) {
  if (type.kind == TypeKind::kDecimal) return fmt::format("decimal({})", type.scale);
  for (const auto& [name, kind] : kNames) {
    if (kind == type.kind) return std::string(name);
  }
  return fmt::format("type {}", static_cast<int>(type.kind));
}

StatusOr<Type> ParseType(std::string_view text) {
  for (const auto& [name, kind] : kNames) {
    if (name == text) return Type{kind, 0};
  }
  constexpr std::string_view kPrefix = "decimal(";
  if (text.size() <= kPrefix.size() + 1 || text.substr(0, kPrefix.size()) != kPrefix ||
      text.back() != ')') {
    return UnknownType(text);
  }
  const std::string_view digits = text.substr(kPrefix.size(), text.size() - kPrefix.size() - 1);
  uint8_t scale = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), scale);
  if (error != std::errc() || end != digits.data() + digits.size() || scale > kMaxDecimalScale) {
    return UnknownType(text);
  }
  return Type{TypeKind::kDecimal, scale};
}

std::string FormatDecimal(int64_t value, uint8_t scale) {
  PX_CHECK(scale <= kMaxDecimalScale);
  const uint64_t magnitude =
      value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  std::string digits = std::to_string(magnitude);
  if (digits.size() <= scale) digits.insert(0, scale + 1 - digits.size(), '0');
  if (scale > 0) digits.insert(digits.size() - scale, 1, '.');
  if (value < 0) digits.insert(0, 1, '-');
  return digits;
}

StatusOr<int64_t> ParseDecimal(std::string_view text, uint8_t scale) {
  PX_CHECK(scale <= kMaxDecimalScale);
  size_t at = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) ++at;
  constexpr uint64_t kLimit = kDecimalLimit;  // ten times it still fits in 64 bits unsigned
  uint64_t value = 0;
  size_t digits = 0;
  size_t fraction = 0;
  bool point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (!IsDigit(c))
      return BadDecimal(text, scale, "only a sign, digits and one point are allowed");
    ++digits;
    if (point && ++fraction > scale) {
      if (c != '0') return BadDecimal(text, scale, "too many digits after the point");
      continue;
    }
    value = value * 10 + static_cast<uint64_t>(c - '0');
    if (value >= kLimit) return BadDecimal(text, scale, "its size is 10^18 units or more");
  }
  if (digits == 0) return BadDecimal(text, scale, "it has no digits");
  for (; fraction < scale && value != 0; ++fraction) {
    value *= 10;
    if (value >= kLimit) return BadDecimal(text, scale, "its size is 10^18 units or more");
  }
  const auto magnitude = static_cast<int64_t>(value);
  return negative ? -magnitude : magnitude;
}

std::string FormatFloat64(double value) { return FormatFloat(value); }
std::string FormatFloat32(float value) { return FormatFloat(value); }

}  // namespace proxist::column
