// Types that may become wider ones, and values and batches of an older schema as a newer one has
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxist/column/batch.h"
#include "proxist/column/schema.h"
#include "proxist/column/type.h"

namespace proxist::column {

/// True when every value of `from` is one of `to` as well, and `to` is another type: integers to
/// wider ones, unsigned ones to wider signed ones, float32 to float64.
bool Widens(Type from, Type to);
/// True when a column of kind `now` may have stored values of kind `stored`: the same, or one that
/// it was widened from.
bool MayBeStoredAs(TypeKind stored, TypeKind now);
/// Why a column of type `from` can't become one of type `to`; they differ, and Widens is false.
std::string_view WhyNotWiden(Type from, Type to);

/// Value `i` of a column of any kind but floats and text: in 64 bits, those of a uint64 as they
/// are. `in` may be unaligned.
int64_t IntegerAt(TypeKind kind, const std::byte* in, size_t i);
/// Copies `n` values, where Widens(from, to) or Widens(to, from) holds. The latter only takes
/// values that `to` has. Either side may be unaligned.
void ConvertValues(TypeKind from, const std::byte* in, size_t n, TypeKind to, std::byte* out);

/// True when some column of `batch` is narrower than `schema` has it now.
bool IsNarrower(const Batch& batch, const TableSchema& schema);
/// `batch`, which follows `schema` or an earlier version, with the columns that it has as wide as
/// in `schema`. Its schema stays what it was.
Batch Widen(const Batch& batch, const TableSchema& schema);

}  // namespace proxist::column
