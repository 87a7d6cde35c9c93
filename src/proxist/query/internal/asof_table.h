// One right side of an as-of join: which of its rows answers each left row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxist/exec/asof.h"
#include "proxist/exec/group.h"
#include "proxist/query/internal/asof_hot.h"
#include "proxist/query/internal/choice.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/right_scans.h"
#include "proxist/query/plan.h"

namespace proxist::query::internal {

/// One thread.
class AsofTable {
 public:
  AsofTable(const AsofRight& plan, Side side);

  /// Resolves names; `left` reads what groups its rows. INVALID_ARGUMENT.
  Status Resolve(Side* left);
  [[nodiscard]] const Choice& choice() const { return choice_; }
  /// seq comes after the chosen columns.
  [[nodiscard]] bool shows_seq() const { return seq_; }
  /// What AsofInMemory takes of this side, if it can answer such a plan.
  [[nodiscard]] std::optional<AsofColumns> InMemory() const;
  [[nodiscard]] const exec::AsofRule& rule() const { return rules_[0]; }
  [[nodiscard]] const Side& side() const { return side_; }

  /// Before the left symbols' rows of `span` are matched.
  Status Open(QueryContext* context, std::span<SymbolScan* const> left, Span span);
  /// The right rows of an opened symbol; nullptr: there are none.
  [[nodiscard]] SymbolScan* Of(const SymbolScan& left) const { return open_.Of(left); }

  /// A value for each left row, null without a match.
  struct Matches {
    std::vector<exec::Column> columns;  // as chosen, then seq if it is shown
    exec::Column times{{column::TypeKind::kTimestamp, 0}};
    std::vector<std::shared_ptr<const void>> keepalive;  // of string bytes
  };
  /// Of `rows` of `left`, which ascend.
  StatusOr<Matches> Match(SymbolScan& symbol, const exec::Frame& left,
                          std::span<const uint32_t> rows);

 private:
  /// Right rows that may answer, of one symbol, gathered from the joint span and from the walk
  /// beyond it.
  struct Found {
    exec::Frame near;                // of the left rows' span
    std::vector<uint32_t> selected;  // of `near`
    std::vector<uint32_t> ids;       // of `selected`
    exec::Frame far;                 // found beyond it: at most one for each group and direction
  };
  /// By group id: a row of Found::far, or -1.
  using FarRows = std::vector<int64_t>;

  Status ReadNear(SymbolScan& right, Span span, exec::Grouping* grouping, Found* found) const;
  StatusOr<std::vector<int64_t>> MatchBy(const exec::AsofRule& rule, SymbolScan& right,
                                         const std::vector<int64_t>& ts,
                                         const std::vector<uint32_t>& ids, size_t groups,
                                         exec::Grouping* grouping, Found* found) const;
  Status ReadFar(const exec::AsofRule& rule, SymbolScan& right, const std::vector<int64_t>& ts,
                 const std::vector<uint32_t>& ids, const std::vector<int64_t>& match,
                 exec::Grouping* grouping, Found* found, FarRows* far_of) const;
  std::vector<Cursor> MakeCursors(const exec::AsofRule& rule, SymbolScan& right, Span span,
                                  const std::vector<bool>& wanted, exec::Grouping* grouping,
                                  std::vector<bool>* whole) const;

  const AsofRight& plan_;
  Side side_;
  std::vector<exec::AsofRule> rules_;  // of the same distance the first one's match wins
  Choice choice_;
  bool seq_ = false;
  std::vector<size_t> left_by_;
  std::vector<size_t> by_;
  RightScans open_;
};

}  // namespace proxist::query::internal
