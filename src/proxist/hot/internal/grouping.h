// The rows of a batch by series.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "proxist/column/dictionary.h"
#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/epochs.h"
#include "proxist/hot/internal/series.h"
#include "proxist/hot/internal/table.h"

namespace proxist::hot::internal {

/// Used again for every batch, so that its memory is. The writer's thread.
class Grouping {
 public:
  /// Groups the rows of `source` by their batch-local codes, and looks in the store once per
  /// combination of them. Series that are not there yet are added.
  void Run(Table* table, BatchSource* source, const column::Dictionary& dictionary, Epochs* epochs);

  // Until the next Run.
  /// Groups in the order of their first rows.
  [[nodiscard]] std::span<Series* const> groups() const { return groups_; }
  /// The group's rows, ascending.
  [[nodiscard]] std::span<const uint32_t> rows(size_t group) const {
    return {rows_.data() + offsets_[group], rows_.data() + offsets_[group + 1]};
  }
  [[nodiscard]] uint32_t new_series() const { return new_series_; }

 private:
  void FindGroups(const BatchSource& source);
  void FindGroupsSparsely(const BatchSource& source);
  uint32_t NewGroup(const SeriesKey& local);
  void FindSeries(Table* table, BatchSource* source, const column::Dictionary& dictionary,
                  Epochs* epochs);
  void SortRows();

  // By combination of local codes, its group + 1; all zero between batches.
  std::vector<uint32_t> dense_;
  std::vector<size_t> combinations_;  // of each group
  std::vector<SeriesKey> keys_;       // of each group: local codes, then the store's
  std::vector<uint32_t> group_of_;    // of each row
  std::vector<uint32_t> offsets_;     // of each group's rows, and where they end
  std::vector<uint32_t> rows_;
  std::vector<Series*> groups_;
  std::vector<uint32_t> used_;  // local codes of one column, each once
  std::vector<uint8_t> seen_;   // by local code
  uint32_t new_series_ = 0;
};

}  // namespace proxist::hot::internal
