// Integers go through 64 bits, whose low ones are the value in every narrower type.
#include "proxist/column/widen.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/check.h"

namespace proxist::column {
namespace {

bool IsSigned(TypeKind kind) { return kind >= TypeKind::kInt8 && kind <= TypeKind::kInt64; }

/// What keeps the values of widened columns, and the batch that the others are views into.
struct WidenedOwner {
  std::shared_ptr<const void> before;
  std::vector<std::vector<std::byte>> values;
};

}  // namespace

int64_t IntegerAt(TypeKind kind, const std::byte* in, size_t i) {
  switch (kind) {
    case TypeKind::kInt8:
      return LoadAt<int8_t>(in, i);
    case TypeKind::kInt16:
      return LoadAt<int16_t>(in, i);
    case TypeKind::kInt32:
      return LoadAt<int32_t>(in, i);
    case TypeKind::kBool:
    case TypeKind::kUint8:
      return LoadAt<uint8_t>(in, i);
    case TypeKind::kUint16:
      return LoadAt<uint16_t>(in, i);
    case TypeKind::kUint32:
      return LoadAt<uint32_t>(in, i);
    default:
      return LoadAt<int64_t>(in, i);
  }
}

bool Widens(Type from, Type to) {
  if (from.kind == TypeKind::kFloat32) return to.kind == TypeKind::kFloat64;
  if (!IsInteger(from.kind) || !IsInteger(to.kind)) return false;
  if (WidthOf(to.kind) <= WidthOf(from.kind)) return false;
  return IsSigned(to.kind) || !IsSigned(from.kind);
}

bool MayBeStoredAs(TypeKind stored, TypeKind now) {
  return stored == now || Widens({stored, 0}, {now, 0});
}

std::string_view WhyNotWiden(Type from, Type to) {
  if (IsText(from.kind) != IsText(to.kind)) return "text and values are not stored alike";
  if (IsText(from.kind)) return "symbols are stored as codes, strings as they are: add a column";
  if (from.kind == TypeKind::kDecimal && to.kind == TypeKind::kDecimal) {
    return "the stored values would mean others: add a column";
  }
  if (Widens(to, from)) return "stored values may not fit";
  if (IsInteger(from.kind) && IsInteger(to.kind)) return "it has no place for all values";
  return "its values are not exact there: add a column";
}

void ConvertValues(TypeKind from, const std::byte* in, size_t n, TypeKind to, std::byte* out) {
  if (from == TypeKind::kFloat32 && to == TypeKind::kFloat64) {
    for (size_t i = 0; i < n; ++i) {
      const double value = LoadAt<float>(in, i);
      std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
    return;
  }
  if (from == TypeKind::kFloat64 && to == TypeKind::kFloat32) {
    for (size_t i = 0; i < n; ++i) {
      const auto value = static_cast<float>(LoadAt<double>(in, i));
      std::memcpy(out + i * sizeof value, &value, sizeof value);
    }
    return;
  }
  PX_CHECK(IsInteger(from) && IsInteger(to));
  const size_t width = WidthOf(to);
  for (size_t i = 0; i < n; ++i) {
    const int64_t value = IntegerAt(from, in, i);
    std::memcpy(out + i * width, &value, width);  // little-endian: the low bytes
  }
}

bool IsNarrower(const Batch& batch, const TableSchema& schema) {
  const size_t n = std::min(batch.columns.size(), schema.columns.size());
  for (size_t c = 0; c < n; ++c) {
    if (Widens(batch.columns[c].type, schema.columns[c].type)) return true;
  }
  return false;
}

Batch Widen(const Batch& batch, const TableSchema& schema) {
  Batch out = batch;
  auto owner = std::make_shared<WidenedOwner>();
  owner->before = batch.owner;
  const size_t n = std::min(batch.columns.size(), schema.columns.size());
  for (size_t c = 0; c < n; ++c) {
    const Type wide = schema.columns[c].type;
    if (!Widens(batch.columns[c].type, wide)) continue;
    std::vector<std::byte>& values = owner->values.emplace_back(batch.rows * WidthOf(wide.kind));
    ConvertValues(batch.columns[c].type.kind, batch.columns[c].values.data(), batch.rows, wide.kind,
                  values.data());
    out.columns[c].type = wide;
    out.columns[c].values = values;
  }
  out.owner = std::move(owner);
  return out;
}

}  // namespace proxist::column
