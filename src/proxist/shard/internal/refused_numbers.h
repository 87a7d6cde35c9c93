// Which batches of a producer were refused and have to come again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "proxist/base/ids.h"
#include "proxist/shard/shard.h"

namespace proxist::shard::internal {

/// A set of numbers as runs. When there are too many runs the last two become one, with what lies
/// between them: a producer whose numbers have gaps may then be asked for a batch that it never
/// sent, but none that it did send is forgotten.
class RefusedNumbers {
 public:
  void Add(BatchNumber number);
  void Remove(BatchNumber number);
  [[nodiscard]] bool empty() const { return runs_.empty(); }
  /// The least; not of an empty set.
  [[nodiscard]] BatchNumber first() const { return BatchNumber(runs_.begin()->first); }
  [[nodiscard]] size_t runs() const { return runs_.size(); }

 private:
  std::map<uint64_t, uint64_t> runs_;  // first, last
};

}  // namespace proxist::shard::internal
