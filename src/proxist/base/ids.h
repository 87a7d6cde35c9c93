// Explicit types for everything that would otherwise be a bare integer.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>

namespace proxist {

/// An integer that converts to no other one. `Tag` names the concept.
template <typename Tag, typename Rep>
class StrongInt {
 public:
  using rep = Rep;
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongInt&) const = default;
  [[nodiscard]] constexpr StrongInt Next() const { return StrongInt(static_cast<Rep>(value_ + 1)); }
  static constexpr StrongInt Max() { return StrongInt(std::numeric_limits<Rep>::max()); }

 private:
  Rep value_ = 0;
};

/// A shard's row number; 0 means "before the first row". Also the row's version in history.
using Lsn = StrongInt<struct LsnTag, uint64_t>;
/// One opening of a shard's log; every record carries it.
using Epoch = StrongInt<struct EpochTag, uint32_t>;
using ShardId = StrongInt<struct ShardTag, uint16_t>;
/// hash(tenant, symbol) mod kSlotCount.
using SlotId = StrongInt<struct SlotTag, uint16_t>;
inline constexpr uint16_t kSlotCount = 4096;
using TenantId = StrongInt<struct TenantTag, uint32_t>;
using TableId = StrongInt<struct TableTag, uint32_t>;
/// Stable within a table, never reused.
using ColumnId = StrongInt<struct ColumnTag, uint32_t>;
using SchemaVersion = StrongInt<struct SchemaVersionTag, uint32_t>;
/// A metadata revision; every change of the store raises it.
using Revision = StrongInt<struct RevisionTag, int64_t>;
/// A producer's own number for a batch: 1, 2, 3... without gaps.
using BatchNumber = StrongInt<struct BatchNumberTag, uint64_t>;
/// A data key of the node; 0: none.
using KeyId = StrongInt<struct KeyTag, uint32_t>;
/// Days since the Unix epoch, UTC.
using Day = StrongInt<struct DayTag, int32_t>;

}  // namespace proxist

template <typename Tag, typename Rep>
struct std::hash<proxist::StrongInt<Tag, Rep>> {
  size_t operator()(proxist::StrongInt<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
