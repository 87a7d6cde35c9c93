// The sums that aggregates of float64 take, over rows of memory where they lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/exec/bar_sums.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/cold_rows.h"

namespace proxist::query::internal {

/// Of aggregates that are `count`, and `sum`, `mean` and `vwap` of float64,
/// weighted by int64. One thread; keeps its memory from symbol to symbol.
class SweptSums {
 public:
  struct Item {
    AggregateKind kind;
    size_t sums = 0;  // in of(); nothing of counts
  };
  /// Nothing when an aggregate is another one.
  static std::optional<SweptSums> Make(const Side& side, const Aggregates& aggregates);

  [[nodiscard]] std::span<const Item> items() const { return items_; }
  [[nodiscard]] size_t size() const { return sums_.size(); }
  [[nodiscard]] exec::BarSums& of(size_t sums) { return sums_[sums].of; }

  /// Of all sums, as BarSums has them.
  void Restart();
  bool RestartWider();
  [[nodiscard]] bool Fits(uint32_t longest) const;

  /// Where the values of a piece lie, and what they are weighted by, if by
  /// anything.
  [[nodiscard]] const double* Values(const Piece& piece, size_t sums) const;
  [[nodiscard]] const int64_t* Weights(const Piece& piece, size_t sums) const;
  /// The rows that come after those that are worked on; null: none.
  [[nodiscard]] exec::internal::Ahead Ahead(const Piece* piece, size_t sums) const;
  /// Asks for the rows of a piece from the `skip`-th on; the kernels ask for
  /// those before it.
  void AskFor(const Piece& piece, size_t skip) const;

 private:
  struct Sums {
    size_t value;                // of the schema's columns
    std::optional<size_t> size;  // the same
    exec::BarSums of;
  };
  size_t SumsOf(size_t value, std::optional<size_t> size);

  std::vector<Item> items_;
  std::vector<Sums> sums_;
};

}  // namespace proxist::query::internal
