// The types a column may have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxist/base/status.h"

namespace proxist::column {

/// Values are durable (log, metadata, wire): never renumbered.
enum class TypeKind : uint8_t {
  kBool = 1,
  kInt8 = 2,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint8 = 6,
  kUint16 = 7,
  kUint32 = 8,
  kUint64 = 9,
  kFloat32 = 10,
  kFloat64 = 11,
  kDecimal = 12,    // int64 scaled by 10^scale, |value| < 10^18
  kTimestamp = 13,  // int64 nanoseconds since the epoch
  kString = 14,     // any bytes
  kSymbol = 15,     // dictionary-coded string of low cardinality
};

/// |decimal| stays below this; larger values are refused at the door.
inline constexpr int64_t kDecimalLimit = 1'000'000'000'000'000'000;
inline constexpr uint8_t kMaxDecimalScale = 18;

struct Type {
  TypeKind kind = TypeKind::kInt64;
  uint8_t scale = 0;  // decimals only
  bool operator==(const Type&) const = default;
};

/// Bytes of one value in a fixed-width buffer: symbols are uint32 codes; strings have none (0).
size_t WidthOf(TypeKind kind);
inline bool IsInteger(TypeKind k) { return k >= TypeKind::kInt8 && k <= TypeKind::kUint64; }
inline bool IsFloat(TypeKind k) { return k == TypeKind::kFloat32 || k == TypeKind::kFloat64; }
/// Integers, floats and decimals: what sums and means accept.
inline bool IsNumeric(TypeKind k) { return IsInteger(k) || IsFloat(k) || k == TypeKind::kDecimal; }
inline bool IsText(TypeKind k) { return k == TypeKind::kString || k == TypeKind::kSymbol; }

/// "int64", "decimal(4)", "timestamp_ns", ... as tables are declared.
std::string FormatType(Type type);
StatusOr<Type> ParseType(std::string_view text);

/// `value` / 10^scale without loss: "47.5000" has exactly `scale` digits after the point.
std::string FormatDecimal(int64_t value, uint8_t scale);
/// Exact; more digits than `scale` are an error unless they are zeros. |result| < 10^18.
StatusOr<int64_t> ParseDecimal(std::string_view text, uint8_t scale);
/// The shortest text that reads back bit-identical; "nan", "inf", "-inf".
std::string FormatFloat64(double value);
std::string FormatFloat32(float value);

}  // namespace proxist::column
