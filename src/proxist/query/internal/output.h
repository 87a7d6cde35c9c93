// The answer on its way out: columns named once, rows cut into batches, the global limit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/query/engine.h"
#include "proxist/query/internal/budget.h"
#include "proxist/query/plan.h"

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
  /// The answer is sorted, and the limit counts after that. All rows are held until the end, at the
  /// cost of `budget`; with a limit at most about twice as many as it says.
  void SortBy(std::vector<OrderKey> order, Budget* budget) {
    order_ = std::move(order);
    budget_ = budget;
  }
  /// The whole answer is one batch, at the cost of `budget`.
  void HoldAll(Budget* budget) { budget_ = budget; }
  /// Before the first Append. Names are made unique by the caller.
  void AddColumn(std::string name, column::Type type);
  /// Columns in the order of AddColumn, of equal length; symbol codes of `symbols`.
  Status Append(std::vector<exec::Column> columns,
                const std::shared_ptr<const exec::Symbols>& symbols);
  /// Appends `rows` rows of these symbols, some at a time, until the limit is reached:
  /// `fill(at, n, columns)` extends each column by rows [at, at + n) and returns a Status. They are
  /// written straight into a batch unless they need a translation or a column holds strings.
  template <typename Fill>
  Status Write(size_t rows, const std::shared_ptr<exec::Symbols>& symbols, const Fill& fill) {
    constexpr size_t kRowsAtOnce = 65536;
    const bool in_place = WritesInPlace(symbols);
    size_t n = 0;
    for (size_t at = 0; at < rows && !full(); at += n) {
      n = std::min(rows - at, kRowsAtOnce);
      std::vector<exec::Column> own;
      if (!in_place) own = EmptyColumns();
      const std::span<exec::Column> columns = in_place ? InPlace(&n) : std::span(own);
      PX_RETURN_IF_ERROR(fill(at, n, columns));
      PX_RETURN_IF_ERROR(in_place ? Wrote(n) : Append(std::move(own), symbols));
    }
    return OkStatus();
  }
  /// Hands over what there is so far; what follows begins a batch.
  Status Cut();
  /// Takes a batch of another output without order or limit, whose columns become those of this
  /// one.
  Status Adopt(ResultBatch batch);
  /// The limit is reached: nothing more is needed.
  [[nodiscard]] bool full() const {
    return limit_.has_value() && (rows_ >= *limit_ && (order_.empty() || *limit_ == 0));
  }
  /// Rows that may still come out.
  [[nodiscard]] std::optional<uint64_t> room() const {
    return limit_.has_value() && order_.empty() ? std::optional(*limit_ - rows_) : std::nullopt;
  }
  /// Hands over the rest; an empty answer is one batch without rows.
  Status Finish();

 private:
  struct Texts;
  [[nodiscard]] bool WritesInPlace(const std::shared_ptr<exec::Symbols>& symbols) const;
  [[nodiscard]] uint64_t TextBytes() const;
  /// A column without rows for each one that was added.
  [[nodiscard]] std::vector<exec::Column> EmptyColumns() const;
  /// The columns of the batch at hand, for at most `*rows` more rows, which may become fewer: as
  /// many are then added to each, and Wrote says so. There is room() for a row.
  std::span<exec::Column> InPlace(size_t* rows);
  Status Wrote(size_t rows);
  void Open();
  void Take(const std::vector<exec::Column>& columns, size_t begin, size_t end,
            const exec::Symbols* symbols);
  void Hold();
  Status CutFull();
  /// Hands over what is held, if that is due.
  Status Show();
  Status Flush();
  Status Account();
  Status CheckOrder();
  [[nodiscard]] std::vector<int64_t> Sorted() const;
  void KeepFirst();
  void CutSorted();

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
  std::vector<std::shared_ptr<const exec::Symbols>> adopted_;  // whose codes were translated
  std::shared_ptr<Texts> texts_;  // bytes of its strings; null: it has none
  std::vector<ResultBatch> held_;
  uint64_t held_bytes_ = 0;
  std::vector<OrderKey> order_;
  std::vector<size_t> order_columns_;  // by key, once they are known
  Budget* budget_ = nullptr;           // of what is held until the end; null: nothing is
  uint64_t kept_bytes_ = 0;            // counted there
  std::function<bool()> safe_;
  std::optional<bool> streams_;
};

/// Of its values, with those of strings.
uint64_t BytesOf(const ResultBatch& batch);

/// `name`, with `prefix` in front until it differs from all of `taken`; it joins them.
std::string UniqueName(std::string name, std::vector<std::string>* taken,
                       std::string_view prefix = "right_");

}  // namespace proxist::query::internal
