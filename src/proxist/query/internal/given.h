// Rows that no table holds: a caller's list, or the answer of an inner query.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/query/engine.h"

namespace proxist::query::internal {

/// Immutable once made.
class GivenRows {
 public:
  /// Sorts the rows by symbol, ts, seq and place. `what` names them in errors, "the list of rows".
  /// INVALID_ARGUMENT when symbol or ts is missing, null, or of another type, a time lies outside
  /// of what rows may have, seq is not uint64, or a name comes twice.
  static StatusOr<std::shared_ptr<const GivenRows>> Make(std::shared_ptr<const ResultBatch> batch,
                                                         std::string_view what);

  [[nodiscard]] const std::string& what() const { return schema_->name; }
  /// The columns beside symbol, ts and seq, as a table without series would declare them.
  [[nodiscard]] const column::SchemaPtr& schema() const { return schema_; }
  /// By text.
  [[nodiscard]] std::vector<std::string> Symbols() const;
  /// The rows of a symbol with `columns` of the schema; symbols as codes of `symbols`. nullptr:
  /// there are none.
  [[nodiscard]] std::shared_ptr<const exec::Frame> FrameOf(std::string_view symbol,
                                                           std::span<const size_t> columns,
                                                           exec::Symbols* symbols) const;

 private:
  std::shared_ptr<const ResultBatch> batch_;
  column::SchemaPtr schema_;
  std::vector<size_t> columns_;  // by column of the schema: where it stands in the batch
  const exec::Column* ts_ = nullptr;
  const exec::Column* seq_ = nullptr;                              // null: rows are numbered
  std::map<std::string, std::vector<int64_t>, std::less<>> rows_;  // of each symbol, in order
};

}  // namespace proxist::query::internal
