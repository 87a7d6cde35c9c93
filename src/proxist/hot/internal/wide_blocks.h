// Blocks as a reader's schema has them, where they were made for another version of it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/hot/row_block.h"
#include "proxist/hot/store.h"

namespace proxist::hot::internal {

/// Columns whose types are other ones are converted once for each block, everything else is shared
/// with it. One thread; lives as long as the pin of its reader.
class WideBlocks {
 public:
  WideBlocks();
  ~WideBlocks();

  /// From now on blocks of the table are shown as `schema` has them. It outlives this.
  void Use(const column::TableSchema& schema) { schemas_[schema.id] = &schema; }
  /// nullptr: nothing was said of the table.
  [[nodiscard]] const column::TableSchema* SchemaOf(TableId table) const {
    const auto found = schemas_.find(table);
    return found == schemas_.end() ? nullptr : found->second;
  }
  /// `block`, or what stands for it: rows that it has by now.
  const RowBlock* As(const column::TableSchema& schema, const RowBlock* block);
  /// A run that stays where it is.
  std::span<const RowRun> Keep(const RowRun& run) { return {&kept_.emplace_back(run), 1}; }

 private:
  struct Wide;
  std::map<TableId, const column::TableSchema*> schemas_;
  std::map<std::pair<const RowBlock*, const column::TableSchema*>, std::unique_ptr<Wide>> blocks_;
  std::deque<RowRun> kept_;
};

/// Columns that both have are of the same types.
bool SameKinds(const column::TableSchema& a, const column::TableSchema& b);

}  // namespace proxist::hot::internal
