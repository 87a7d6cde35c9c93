// From a type known at run time to the C++ type that holds its values.
#pragma once

#include <cstdint>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/column/type.h"

namespace proxist::exec::internal {

/// Calls `visit(T{})` with the C++ type of a fixed-width kind that is not a symbol.
template <typename Visit>
decltype(auto) VisitFixed(column::TypeKind kind, Visit&& visit) {
  using column::TypeKind;
  switch (kind) {
    case TypeKind::kBool:
    case TypeKind::kUint8:
      return std::forward<Visit>(visit)(uint8_t{});
    case TypeKind::kInt8:
      return std::forward<Visit>(visit)(int8_t{});
    case TypeKind::kInt16:
      return std::forward<Visit>(visit)(int16_t{});
    case TypeKind::kInt32:
      return std::forward<Visit>(visit)(int32_t{});
    case TypeKind::kUint16:
      return std::forward<Visit>(visit)(uint16_t{});
    case TypeKind::kUint32:
      return std::forward<Visit>(visit)(uint32_t{});
    case TypeKind::kUint64:
      return std::forward<Visit>(visit)(uint64_t{});
    case TypeKind::kFloat32:
      return std::forward<Visit>(visit)(float{});
    case TypeKind::kFloat64:
      return std::forward<Visit>(visit)(double{});
    case TypeKind::kInt64:
    case TypeKind::kDecimal:
    case TypeKind::kTimestamp:
      return std::forward<Visit>(visit)(int64_t{});
    case TypeKind::kString:
    case TypeKind::kSymbol:
      break;
  }
  PX_CHECK(false);
  return std::forward<Visit>(visit)(int64_t{});
}

}  // namespace proxist::exec::internal
