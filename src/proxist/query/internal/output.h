// The answer on its way out: columns named once, rows cut into batches, the global limit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxist/query/engine.h"
#include "proxist/query/internal/budget.h"

namespace proxist::query::internal {

/// Batches are held back until the end or until they are many, so that a query that was overtaken
/// by a correction can start again without having shown anything. One thread.
class Output {
 public:
  using Sink = std::function<Status(ResultBatch)>;
  /// `symbols`: of the only shard that the query reads, or null when rows of several meet.
  Output(const Sink* sink, uint64_t batch_rows, std::optional<uint64_t> limit,
         std::shared_ptr<exec::Symbols> symbols)
      : sink_(sink),
        batch_rows_(batch_rows == 0 ? 1 : batch_rows),
        limit_(limit),
        shared_(std::move(symbols)) {}

  /// `safe` is asked when the first batch is full. True: nothing that the query reads can be
  /// overtaken, so batches go out as they are filled.
  void StreamIf(std::function<bool()> safe) { safe_ = std::move(safe); }
  /// Before the first Append. Names are made unique by the caller.
  void AddColumn(std::string name, column::Type type);
  /// Columns in the order of AddColumn, of equal length; symbol codes of `symbols`.
  Status Append(std::vector<exec::Column> columns,
                const std::shared_ptr<const exec::Symbols>& symbols);
  /// True when rows of these symbols may be written straight into a batch: they need no
  /// translation, and no column holds strings.
  [[nodiscard]] bool WritesInPlace(const std::shared_ptr<exec::Symbols>& symbols) const;
  /// A column without rows for each one that was added.
  [[nodiscard]] std::vector<exec::Column> EmptyColumns() const;
  /// The columns of the batch at hand, for at most `*rows` more rows, which may become fewer. The
  /// caller extends each of them by that many and says so with Wrote. There is room() for a row.
  std::span<exec::Column> InPlace(size_t* rows);
  Status Wrote(size_t rows);
  /// The limit is reached: nothing more is needed.
  [[nodiscard]] bool full() const { return limit_.has_value() && rows_ >= *limit_; }
  /// Rows that may still come out.
  [[nodiscard]] std::optional<uint64_t> room() const {
    return limit_.has_value() ? std::optional(*limit_ - rows_) : std::nullopt;
  }
  /// True once the caller has seen rows.
  [[nodiscard]] bool started() const { return started_; }
  /// Hands over the rest; an empty answer is one batch without rows.
  Status Finish();

 private:
  struct Texts;
  void Open();
  void Take(const std::vector<exec::Column>& columns, size_t begin, size_t end,
            const exec::Symbols* symbols);
  Status Cut();
  Status CutFull();
  Status Flush();

  const Sink* sink_;
  uint64_t batch_rows_;
  std::optional<uint64_t> limit_;
  std::shared_ptr<exec::Symbols> shared_;
  uint64_t rows_ = 0;
  std::vector<std::pair<std::string, column::Type>> names_;
  // The batch that is being filled.
  std::vector<exec::Column> open_;
  std::shared_ptr<exec::Symbols> symbols_;
  std::map<std::pair<const exec::Symbols*, uint32_t>, uint32_t> translated_;
  std::shared_ptr<Texts> texts_;  // bytes of strings
  std::vector<ResultBatch> held_;
  uint64_t held_bytes_ = 0;
  bool started_ = false;
  std::function<bool()> safe_;
  std::optional<bool> streams_;
};

/// `name`, with right_ in front until it differs from all of `taken`; it joins them.
std::string UniqueName(std::string name, std::vector<std::string>* taken);

}  // namespace proxist::query::internal
