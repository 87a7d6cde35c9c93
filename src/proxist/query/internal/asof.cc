// As-of: each left row with the right row that prevails, or comes next, in its group.
#include "proxist/exec/asof.h"

#include <algorithm>

#include "proxist/exec/group.h"
#include "proxist/exec/int128.h"
#include "proxist/query/internal/asof_hot.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/right_scans.h"

namespace proxist::query::internal {
namespace {

constexpr Duration kLookBack = Duration::Seconds(60);

/// Right rows that may answer, of one symbol, gathered from the joint span and from the walk
/// beyond it.
struct RightRows {
  exec::Frame near;                // of the left rows' span
  std::vector<uint32_t> selected;  // of `near`
  std::vector<uint32_t> ids;       // of `selected`
  exec::Frame far;                 // found beyond it: at most one for each group and direction
};

/// By group id: a row of RightRows::far, or -1.
using FarRows = std::vector<int64_t>;

class AsofJoin {
 public:
  AsofJoin(const Asof& plan, Side left, Side right, const Run& run)
      : plan_(plan), left_(std::move(left)), right_(std::move(right)), run_(run) {
    if (plan.nearest || !plan.forward) rules_.push_back({false, plan.strict, plan.tolerance});
    if (plan.nearest || plan.forward) rules_.push_back({true, plan.strict, plan.tolerance});
  }

  Status Start() {
    if (plan_.left.tenant != plan_.right.tenant) {
      return InvalidArgument("asof: both tables must belong to one tenant");
    }
    if (plan_.tolerance.has_value() && *plan_.tolerance < Duration(0)) {
      return InvalidArgument("asof: a tolerance may not be negative");
    }
    PX_ASSIGN_OR_RETURN(left_slots_, ChosenSlots(&left_, plan_.columns));
    PX_ASSIGN_OR_RETURN(std::tie(left_by_, right_by_),
                        GroupSlotsOfBoth(&left_, &right_, plan_.by, "asof"));
    PX_RETURN_IF_ERROR(ChooseRight());
    AddColumns();
    ChooseInMemory();
    const Span span = SpanOf(plan_.begin, plan_.end);
    return ForEachSymbol(
        run_, &left_, [&](const SymbolScan&) { return span; },
        [&](SymbolScan& symbol) -> Status {
          PX_ASSIGN_OR_RETURN(const bool answered, InMemory(symbol, span));
          if (answered) return OkStatus();
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
          return OneSymbol(symbol, frame);
        },
        [&](std::span<SymbolScan* const> symbols) {
          // What a first look before their span is likely to need is read with it.
          const Timestamp from = rules_[0].forward ? span.from : span.from.Minus(kLookBack);
          return open_.Open(&right_, run_.context, symbols, {from, span.to});
        });
  }

 private:
  /// Right columns as named; without names all but the by columns. seq may be named as well.
  Status ChooseRight() {
    std::vector<std::string> names = plan_.right_columns;
    if (names.empty()) {
      for (const column::ColumnDef& def : right_.schema()->columns) {
        if (std::find(plan_.by.begin(), plan_.by.end(), def.name) == plan_.by.end()) {
          names.push_back(def.name);
        }
      }
      if (names.empty()) return OkStatus();
    }
    right_seq_ = std::find(names.begin(), names.end(), "seq") != names.end();
    std::erase(names, "seq");
    if (names.empty()) return OkStatus();
    PX_ASSIGN_OR_RETURN(right_slots_, ChosenSlots(&right_, names));
    return OkStatus();
  }

  /// What AsofInMemory takes, if it can answer such a plan.
  void ChooseInMemory() {
    if (rules_.size() > 1) return;
    if (left_.has_where() || right_.has_where() || !left_by_.empty()) return;
    AsofColumns columns;
    for (const size_t slot : left_slots_) {
      if (left_.DefOf(slot).type.kind == column::TypeKind::kString) return;
      columns.left.push_back(left_.ColumnOf(slot));
    }
    for (const size_t slot : right_slots_) {
      const column::TypeKind kind = right_.DefOf(slot).type.kind;
      if (kind == column::TypeKind::kString) return;
      columns.right.push_back({right_.ColumnOf(slot), column::WidthOf(kind)});
    }
    columns.right_seq = right_seq_;
    in_memory_ = std::move(columns);
  }

  StatusOr<bool> InMemory(SymbolScan& symbol, Span span) {
    if (!in_memory_.has_value()) return false;
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->hot);
    return AsofInMemory(symbol, open_.Of(symbol), span, rules_[0], *in_memory_, run_.output);
  }

  void AddColumns() {
    std::vector<std::string> taken;
    const auto add = [&](const std::string& name, column::Type type) {
      run_.output->AddColumn(UniqueName(name, &taken), type);
    };
    add("symbol", {column::TypeKind::kSymbol, 0});
    add("ts", {column::TypeKind::kTimestamp, 0});
    add("seq", {column::TypeKind::kUint64, 0});
    for (const size_t slot : left_slots_) add(left_.DefOf(slot).name, left_.DefOf(slot).type);
    for (const size_t slot : right_slots_) add(right_.DefOf(slot).name, right_.DefOf(slot).type);
    if (right_seq_) add("seq", {column::TypeKind::kUint64, 0});
    add("right_ts", {column::TypeKind::kTimestamp, 0});
  }

  Status OneSymbol(SymbolScan& symbol, const exec::Frame& left) {
    std::vector<uint32_t> rows;
    left_.Select(left, symbol, &rows);
    if (run_.output->room().has_value() && rows.size() > *run_.output->room()) {
      rows.resize(*run_.output->room());
    }
    if (rows.empty()) return OkStatus();
    exec::Grouping grouping;
    const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(left, left_by_), rows);
    const size_t groups = grouping.size();
    std::vector<int64_t> ts;
    for (const uint32_t row : rows) ts.push_back(left.ts[row]);

    SymbolScan* right = open_.Of(symbol);
    RightRows found;
    std::vector<int64_t> match(rows.size(), -1);
    if (right != nullptr) {
      PX_RETURN_IF_ERROR(
          ReadNear(*right, {Timestamp(ts.front()), Timestamp(ts.back())}, &grouping, &found));
      for (const exec::AsofRule& rule : rules_) {
        PX_ASSIGN_OR_RETURN(const std::vector<int64_t> one,
                            MatchBy(rule, *right, ts, ids, groups, &grouping, &found));
        for (size_t i = 0; i < match.size(); ++i) {
          if (Nearer(ts[i], one[i], match[i], found)) match[i] = one[i];
        }
      }
    }
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    return Emit(symbol, left, rows, match, found);
  }

  /// For each left row its right row: a row of found->near, or after all of these one of
  /// found->far; -1: none.
  StatusOr<std::vector<int64_t>> MatchBy(const exec::AsofRule& rule, SymbolScan& right,
                                         const std::vector<int64_t>& ts,
                                         const std::vector<uint32_t>& ids, size_t groups,
                                         exec::Grouping* grouping, RightRows* found) {
    std::vector<int64_t> right_ts;
    for (const uint32_t row : found->selected) right_ts.push_back(found->near.ts[row]);
    std::vector<int64_t> match =
        exec::AsofMatch(ts, ids, right_ts, found->ids, grouping->size(), rule);
    for (int64_t& at : match) {
      if (at >= 0) at = found->selected[static_cast<size_t>(at)];
    }
    FarRows far_of(groups, -1);
    PX_RETURN_IF_ERROR(ReadFar(rule, right, ts, ids, match, grouping, found, &far_of));
    const auto near_rows = static_cast<int64_t>(found->near.rows());
    for (size_t i = 0; i < match.size(); ++i) {
      const int64_t far = far_of[ids[i]];
      if (match[i] >= 0 || far < 0) continue;
      if (exec::AsofAdmits(rule, Timestamp(ts[i]),
                           Timestamp(found->far.ts[static_cast<size_t>(far)]))) {
        match[i] = near_rows + far;
      }
    }
    return match;
  }

  static int64_t TimeOf(int64_t at, const RightRows& found) {
    const size_t near_rows = found.near.rows();
    const auto row = static_cast<size_t>(at);
    return row < near_rows ? found.near.ts[row] : found.far.ts[row - near_rows];
  }

  /// True when `candidate` is a match and nearer to `ts` than `match`.
  static bool Nearer(int64_t ts, int64_t candidate, int64_t match, const RightRows& found) {
    if (candidate < 0 || match < 0) return candidate >= 0;
    const auto distance = [&](int64_t at) {
      const auto way = static_cast<exec::Int128>(TimeOf(at, found)) - ts;
      return way < 0 ? -way : way;
    };
    return distance(candidate) < distance(match);
  }

  Status ReadNear(SymbolScan& right, Span span, exec::Grouping* grouping, RightRows* found) {
    PX_ASSIGN_OR_RETURN(found->near, right.Read(span, {}));
    right_.Select(found->near, right, &found->selected);
    found->ids = grouping->Assign(ColumnsAt(found->near, right_by_), found->selected);
    for (const exec::Column& column : found->near.columns) {
      found->far.columns.emplace_back(column.type());
    }
    return OkStatus();
  }

  /// Looks beyond the left rows' span for the groups whose outer left rows have no match yet:
  /// before it backward, after it forward, as far as tolerance admits.
  Status ReadFar(const exec::AsofRule& rule, SymbolScan& right, const std::vector<int64_t>& ts,
                 const std::vector<uint32_t>& ids, const std::vector<int64_t>& match,
                 exec::Grouping* grouping, RightRows* found, FarRows* far_of) {
    const size_t groups = far_of->size();
    // The left row of each group that reaches furthest, and whether any is without a match.
    std::vector<bool> wanted(groups, false);
    Timestamp reach = rule.forward ? Timestamp::Min() : Timestamp::Max();
    for (size_t i = 0; i < match.size(); ++i) {
      if (match[i] >= 0) continue;
      wanted[ids[i]] = true;
      const Timestamp at(ts[i]);
      if (rule.forward) {
        const Timestamp limit =
            rule.tolerance.has_value() ? at.Plus(*rule.tolerance) : Timestamp::Max();
        reach = std::max(reach, limit);
      } else {
        const Timestamp limit =
            rule.tolerance.has_value() ? at.Minus(*rule.tolerance) : Timestamp::Min();
        reach = std::min(reach, limit);
      }
    }
    size_t open = static_cast<size_t>(std::count(wanted.begin(), wanted.end(), true));
    if (open == 0) return OkStatus();
    const Span span = rule.forward ? Span{After(Timestamp(ts.back())), reach}
                                   : Span{reach, Before(Timestamp(ts.front()))};
    std::vector<bool> whole;
    std::vector<Cursor> cursors = MakeCursors(rule, right, span, wanted, grouping, &whole);
    const auto take = [&](size_t c, const exec::Frame& frame) -> Status {
      std::vector<uint32_t> rows;
      right_.Select(frame, right, &rows);
      if (!rule.forward) std::reverse(rows.begin(), rows.end());
      if (whole[c] && rows.size() > 1) rows.resize(1);
      const std::vector<uint32_t> right_ids = grouping->Assign(ColumnsAt(frame, right_by_), rows);
      std::vector<int64_t> kept;
      for (size_t i = 0; i < rows.size(); ++i) {
        const uint32_t id = right_ids[i];
        if (id >= groups || !wanted[id] || (*far_of)[id] >= 0) continue;
        (*far_of)[id] = static_cast<int64_t>(found->far.rows());
        found->far.ts.push_back(frame.ts[rows[i]]);
        found->far.seq.push_back(frame.seq[rows[i]]);
        kept.push_back(rows[i]);
        --open;
      }
      for (size_t k = 0; k < frame.columns.size(); ++k) {
        found->far.columns[k].AppendGather(frame.columns[k], kept.data(), kept.size());
      }
      auto& alive = found->far.keepalive;
      if (!kept.empty()) alive.insert(alive.end(), frame.keepalive.begin(), frame.keepalive.end());
      if (open == 0) {
        for (Cursor& cursor : cursors) cursor.Stop();
      } else if (whole[c] && !rows.empty()) {
        cursors[c].Stop();
      }
      return OkStatus();
    };
    return Walk(cursors, take);
  }

  /// One walk for each wanted group of series when the by columns are series columns, else one for
  /// all. `whole`: the first row that a walk selects is all that it is for.
  std::vector<Cursor> MakeCursors(const exec::AsofRule& rule, SymbolScan& right, Span span,
                                  const std::vector<bool>& wanted, exec::Grouping* grouping,
                                  std::vector<bool>* whole) const {
    std::vector<Cursor> cursors;
    const Direction direction = rule.forward ? Direction::kForward : Direction::kBackward;
    constexpr size_t kFilteredStep = 8;
    const auto groups = right_.SeriesGroups(right, right_by_);
    if (right_by_.empty() || !groups.has_value()) {
      whole->push_back(right_by_.empty());
      cursors.emplace_back(&right, std::vector<uint32_t>(), direction, span,
                           right_.has_where() || !whole->back() ? kFilteredStep : 1);
      return cursors;
    }
    for (const Side::SeriesGroup& group : *groups) {
      std::vector<exec::Column> key;
      for (const uint32_t code : group.key) {
        key.emplace_back(column::Type{column::TypeKind::kSymbol, 0}).Append(code);
      }
      std::vector<const exec::Column*> columns;
      for (const exec::Column& column : key) columns.push_back(&column);
      const uint32_t row = 0;
      const uint32_t id = grouping->Assign(columns, {&row, 1})[0];
      if (id >= wanted.size() || !wanted[id]) continue;
      whole->push_back(true);
      cursors.emplace_back(&right, group.series, direction, span,
                           right_.has_where() ? kFilteredStep : 1);
    }
    return cursors;
  }

  Status Emit(SymbolScan& symbol, const exec::Frame& left, const std::vector<uint32_t>& rows,
              const std::vector<int64_t>& match, const RightRows& found) {
    const std::vector<int64_t> left_rows(rows.begin(), rows.end());
    std::vector<exec::Column> columns = KeyColumns(left, symbol.code(), left_rows);
    for (const size_t slot : left_slots_) columns.push_back(PickColumn(left, slot, left_rows));
    for (const size_t slot : right_slots_) {
      exec::Column all(right_.DefOf(slot).type);
      if (slot < found.near.columns.size()) {
        all.AppendRange(found.near.columns[slot], 0, found.near.rows());
      }
      if (slot < found.far.columns.size()) {
        all.AppendRange(found.far.columns[slot], 0, found.far.rows());
      }
      exec::Column& out = columns.emplace_back(all.type());
      out.AppendGather(all, match.data(), match.size());
    }
    exec::Column right_seq({column::TypeKind::kUint64, 0});
    exec::Column right_ts({column::TypeKind::kTimestamp, 0});
    for (const int64_t at : match) {
      if (at < 0) {
        right_seq.AppendNull();
        right_ts.AppendNull();
        continue;
      }
      const auto row = static_cast<size_t>(at);
      const size_t near_rows = found.near.rows();
      right_seq.Append(row < near_rows ? found.near.seq[row] : found.far.seq[row - near_rows]);
      right_ts.Append(TimeOf(at, found));
    }
    if (right_seq_) columns.push_back(std::move(right_seq));
    columns.push_back(std::move(right_ts));
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Asof& plan_;
  Side left_;
  Side right_;
  const Run& run_;
  std::vector<exec::AsofRule> rules_;  // of the same distance the first one's match wins
  std::vector<size_t> left_slots_;
  std::vector<size_t> right_slots_;
  bool right_seq_ = false;
  std::optional<AsofColumns> in_memory_;
  std::vector<size_t> left_by_;
  std::vector<size_t> right_by_;
  RightScans open_;
};

}  // namespace

Status RunAsof(const Asof& plan, Side left, Side right, const Run& run) {
  return AsofJoin(plan, std::move(left), std::move(right), run).Start();
}

}  // namespace proxist::query::internal
