// The aggregates that a query names: parsed, bound to a table, computed over slices of its rows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/exec/expression.h"
#include "proxist/exec/slices.h"
#include "proxist/exec/totals.h"
#include "proxist/query/internal/series_totals.h"
#include "proxist/query/internal/value.h"

namespace proxist::query::internal {

/// What aggregates without an argument are of, and where they stand.
struct AggregateScope {
  std::string_view what;  // the operator, for errors
  std::string price;
  std::string size;
  bool averages = false;  // moving averages are allowed
};

enum class AggregateKind : uint8_t {
  kRows,
  kCount,
  kSum,
  kMean,
  kMin,
  kMax,
  kFirst,
  kLast,
  kVwap,
  kTwap,
  kVariance,
  kVariancePopulation,
  kDeviation,
  kDeviationPopulation,
  kQuantile,
  kDistinct,
  kEma,
  kTimeEma,
};

/// An item that is one aggregate of columns of the table.
struct PlainAggregate {
  AggregateKind kind;
  std::string_view text;  // of its Aggregates
  size_t value = 0;       // of the schema's columns; nothing of kRows
  size_t size = 0;        // of kVwap
  double parameter = 0;
  column::Type type;  // of its value
};

/// Items of a list, each an expression over aggregates: `vwap`, `sum(size) as volume`,
/// `sum(price * size) / sum(size)`. One thread.
class Aggregates {
 public:
  /// INVALID_ARGUMENT names the item and the character.
  static StatusOr<Aggregates> Make(Side* side, const AggregateScope& scope,
                                   const std::vector<std::string>& items);

  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] const std::string& name(size_t item) const { return items_[item].value.name(); }
  [[nodiscard]] column::Type type(size_t item) const { return items_[item].value.type(); }
  /// What an item is where there are no rows.
  enum class Emptiness : uint8_t {
    kZero,     // it counts
    kSum,      // it adds up
    kPrice,    // open, high, low or close
    kUnknown,  // anything else
  };
  [[nodiscard]] Emptiness emptiness(size_t item) const;
  /// Moving averages alone know no window.
  [[nodiscard]] bool needs_window() const;

  /// What the totals of whole chunks must hold to stand for rows; nothing when they cannot. Bars
  /// keep their first and last rows; `ends` is a slot whose ends are wanted anyway.
  [[nodiscard]] std::optional<TotalsWish> TotalsFor(bool bars, std::optional<size_t> ends) const;

  /// The items, in order, when each is a plain aggregate.
  [[nodiscard]] std::optional<std::vector<PlainAggregate>> Plain(const Side& side) const;

  struct Rows {
    const exec::Frame* frame;
    SymbolScan* symbol;
    const exec::Slices* slices;
    std::span<const int64_t> ends;    // of each slice, for means over time
    std::span<const uint32_t> group;  // of each row, for moving averages
    size_t first_row = 0;             // where these begin
    /// What stands for rows that the slices do not list, by slice; empty: nothing.
    std::span<const hot::SpanTotals* const> totals;
    const SeriesTotals* read = nullptr;  // that gave these
  };
  /// A column for each item, a value for each slice. OUT_OF_RANGE when a sum does not fit.
  StatusOr<std::vector<exec::Column>> Compute(const Rows& rows) const;

 private:
  using Kind = AggregateKind;
  struct Function;
  struct Call {
    Kind kind;
    std::string text;  // as written, without blanks
    size_t value = 0;  // in values_
    size_t size = 0;   // of kVwap
    double parameter = 0;
    Duration half_life;
    column::Type type;
  };
  struct Item {
    exec::Expression value;
    std::vector<size_t> calls;  // that its columns are
  };
  class Resolver;

  static std::span<const Function> Functions();
  [[nodiscard]] bool UsesColumnTotals(const Call& call) const;
  [[nodiscard]] std::vector<exec::Base> BasesOf(const Call& call, const Rows& rows) const;
  StatusOr<exec::Column> ComputeCall(const Call& call, const Rows& rows,
                                     const std::vector<const exec::Column*>& values) const;

  std::vector<Value> values_;
  std::vector<Call> calls_;
  std::vector<Item> items_;
};

}  // namespace proxist::query::internal
