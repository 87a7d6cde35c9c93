// Dense ids for rows that agree in some columns.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxist/exec/frame.h"

namespace proxist::exec {

/// Gives rows with equal keys the same id, 0, 1, 2... in order of first sight; null equals null.
/// Symbols compare by code, so all columns must share one Symbols. Floats are not accepted as keys
/// by the callers. One thread.
class Grouping {
 public:
  /// The ids of `rows` of `columns` (all of equal types between calls). No columns: all ids are 0.
  std::vector<uint32_t> Assign(std::span<const Column* const> columns,
                               std::span<const uint32_t> rows);
  /// Ids given so far.
  [[nodiscard]] size_t size() const { return size_; }

 private:
  std::unordered_map<uint64_t, uint32_t> codes_;    // keys of one symbol column
  std::unordered_map<std::string, uint32_t> keys_;  // all others, as bytes
  size_t size_ = 0;
};

/// Orders two values of one column as text, numbers by value, null first: negative, 0, positive.
int CompareValues(const Column& a, size_t a_row, const Column& b, size_t b_row,
                  const Symbols& symbols);

}  // namespace proxist::exec
