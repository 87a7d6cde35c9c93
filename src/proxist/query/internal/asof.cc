// As-of: each left row with the right row that prevails, or comes next, in its group.
#include "proxist/exec/asof.h"

#include <algorithm>

#include "proxist/exec/group.h"
#include "proxist/query/internal/asof_hot.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"

namespace proxist::query::internal {
namespace {

constexpr Duration kLookBack = Duration::Seconds(60);

/// Right rows that may answer, of one symbol, gathered from the joint span and from the walk
/// beyond it.
struct RightRows {
  exec::Frame near;                // of the left rows' span
  std::vector<uint32_t> selected;  // of `near`
  std::vector<uint32_t> ids;       // of `selected`
  exec::Frame far;                 // found beyond it: at most one for each group
  std::vector<int64_t> far_of;     // by group id: row of `far`, or -1
};

class AsofJoin {
 public:
  AsofJoin(const Asof& plan, Side left, Side right, const Run& run)
      : plan_(plan),
        left_(std::move(left)),
        right_(std::move(right)),
        run_(run),
        rule_{plan.forward, plan.strict, plan.tolerance} {}

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
        [&](std::span<SymbolScan* const> symbols) { return OpenRight(symbols, span); });
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
    return AsofInMemory(symbol, RightOf(symbol), span, rule_, *in_memory_, run_.output);
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

  /// The right side of some symbols; of several, their history is read together, with what a first
  /// look before their span is likely to need.
  Status OpenRight(std::span<SymbolScan* const> symbols, Span span) {
    open_.clear();
    std::map<TableScan*, std::vector<TableScan::Request>> requests;
    for (SymbolScan* symbol : symbols) {
      auto right = right_.Open(run_.context, &symbol->table().cut(), symbol->text());
      if (right == nullptr) continue;
      const Span near{plan_.forward ? span.from : span.from.Minus(kLookBack), span.to};
      requests[&right->table()].push_back({right.get(), near, {}});
      open_[symbol->text()] = std::move(right);
    }
    if (symbols.size() == 1) return OkStatus();
    Budget& budget = *run_.context->budget;
    for (const auto& [table, wanted] : requests) {
      const uint64_t held = budget.held();
      const Status read = table->Prefetch(wanted);
      if (read.ok()) continue;
      if (read.code() != absl::StatusCode::kResourceExhausted) return read;
      for (const TableScan::Request& request : wanted) request.symbol->DropHistory();
      budget.ReleaseTo(held);
    }
    return OkStatus();
  }

  SymbolScan* RightOf(const SymbolScan& left) {
    const auto right = open_.find(left.text());
    return right == open_.end() ? nullptr : right->second.get();
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

    SymbolScan* right = RightOf(symbol);
    RightRows found;
    std::vector<int64_t> match(rows.size(), -1);
    if (right != nullptr) {
      PX_RETURN_IF_ERROR(
          ReadNear(*right, {Timestamp(ts.front()), Timestamp(ts.back())}, &grouping, &found));
      std::vector<int64_t> right_ts;
      for (const uint32_t row : found.selected) right_ts.push_back(found.near.ts[row]);
      match = exec::AsofMatch(ts, ids, right_ts, found.ids, grouping.size(), rule_);
      for (int64_t& at : match) {
        if (at >= 0) at = found.selected[static_cast<size_t>(at)];
      }
      PX_RETURN_IF_ERROR(ReadFar(*right, ts, ids, groups, match, &grouping, &found));
    }
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    return Emit(symbol, left, rows, ids, match, found);
  }

  Status ReadNear(SymbolScan& right, Span span, exec::Grouping* grouping, RightRows* found) {
    PX_ASSIGN_OR_RETURN(found->near, right.Read(span, {}));
    right_.Select(found->near, right, &found->selected);
    found->ids = grouping->Assign(ColumnsAt(found->near, right_by_), found->selected);
    return OkStatus();
  }

  /// Looks beyond the left rows' span for the groups whose outer left rows have no match yet:
  /// before it backward, after it forward, as far as tolerance admits.
  Status ReadFar(SymbolScan& right, const std::vector<int64_t>& ts,
                 const std::vector<uint32_t>& ids, size_t groups, const std::vector<int64_t>& match,
                 exec::Grouping* grouping, RightRows* found) {
    found->far_of.assign(groups, -1);
    for (const exec::Column& column : found->near.columns) {
      found->far.columns.emplace_back(column.type());
    }
    // The left row of each group that reaches furthest, and whether any is without a match.
    std::vector<bool> wanted(groups, false);
    Timestamp reach = plan_.forward ? Timestamp::Min() : Timestamp::Max();
    for (size_t i = 0; i < match.size(); ++i) {
      if (match[i] >= 0) continue;
      wanted[ids[i]] = true;
      const Timestamp at(ts[i]);
      if (plan_.forward) {
        const Timestamp limit =
            plan_.tolerance.has_value() ? at.Plus(*plan_.tolerance) : Timestamp::Max();
        reach = std::max(reach, limit);
      } else {
        const Timestamp limit =
            plan_.tolerance.has_value() ? at.Minus(*plan_.tolerance) : Timestamp::Min();
        reach = std::min(reach, limit);
      }
    }
    size_t open = static_cast<size_t>(std::count(wanted.begin(), wanted.end(), true));
    if (open == 0) return OkStatus();
    const Span span = plan_.forward ? Span{After(Timestamp(ts.back())), reach}
                                    : Span{reach, Before(Timestamp(ts.front()))};
    std::vector<bool> whole;
    std::vector<Cursor> cursors = MakeCursors(right, span, wanted, grouping, &whole);
    const auto take = [&](size_t c, const exec::Frame& frame) -> Status {
      std::vector<uint32_t> rows;
      right_.Select(frame, right, &rows);
      if (!plan_.forward) std::reverse(rows.begin(), rows.end());
      if (whole[c] && rows.size() > 1) rows.resize(1);
      const std::vector<uint32_t> right_ids = grouping->Assign(ColumnsAt(frame, right_by_), rows);
      std::vector<int64_t> kept;
      for (size_t i = 0; i < rows.size(); ++i) {
        const uint32_t id = right_ids[i];
        if (id >= groups || !wanted[id] || found->far_of[id] >= 0) continue;
        found->far_of[id] = static_cast<int64_t>(found->far.rows());
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
  std::vector<Cursor> MakeCursors(SymbolScan& right, Span span, const std::vector<bool>& wanted,
                                  exec::Grouping* grouping, std::vector<bool>* whole) const {
    std::vector<Cursor> cursors;
    const Direction direction = plan_.forward ? Direction::kForward : Direction::kBackward;
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
              const std::vector<uint32_t>& ids, const std::vector<int64_t>& match,
              const RightRows& found) {
    const std::vector<int64_t> left_rows(rows.begin(), rows.end());
    std::vector<exec::Column> columns = KeyColumns(left, symbol.code(), left_rows);
    for (const size_t slot : left_slots_) columns.push_back(PickColumn(left, slot, left_rows));
    // A match beyond the span is a row after all near ones.
    const auto near_rows = static_cast<int64_t>(found.near.rows());
    std::vector<int64_t> joined(match);
    for (size_t i = 0; i < joined.size(); ++i) {
      if (joined[i] >= 0 || found.far_of.empty() || found.far_of[ids[i]] < 0) continue;
      const int64_t far = found.far_of[ids[i]];
      if (exec::AsofAdmits(rule_, Timestamp(left.ts[rows[i]]),
                           Timestamp(found.far.ts[static_cast<size_t>(far)]))) {
        joined[i] = near_rows + far;
      }
    }
    for (const size_t slot : right_slots_) {
      exec::Column all(right_.DefOf(slot).type);
      if (slot < found.near.columns.size()) {
        all.AppendRange(found.near.columns[slot], 0, found.near.rows());
      }
      if (slot < found.far.columns.size()) {
        all.AppendRange(found.far.columns[slot], 0, found.far.rows());
      }
      exec::Column& out = columns.emplace_back(all.type());
      out.AppendGather(all, joined.data(), joined.size());
    }
    exec::Column right_seq({column::TypeKind::kUint64, 0});
    exec::Column right_ts({column::TypeKind::kTimestamp, 0});
    for (const int64_t at : joined) {
      if (at < 0) {
        right_seq.AppendNull();
        right_ts.AppendNull();
        continue;
      }
      const exec::Frame& frame = at < near_rows ? found.near : found.far;
      const auto row = static_cast<size_t>(at < near_rows ? at : at - near_rows);
      right_seq.Append(frame.seq[row]);
      right_ts.Append(frame.ts[row]);
    }
    if (right_seq_) columns.push_back(std::move(right_seq));
    columns.push_back(std::move(right_ts));
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Asof& plan_;
  Side left_;
  Side right_;
  const Run& run_;
  exec::AsofRule rule_;
  std::vector<size_t> left_slots_;
  std::vector<size_t> right_slots_;
  bool right_seq_ = false;
  std::optional<AsofColumns> in_memory_;
  std::vector<size_t> left_by_;
  std::vector<size_t> right_by_;
  std::map<std::string, std::unique_ptr<SymbolScan>> open_;  // right sides of the symbols at hand
};

}  // namespace

Status RunAsof(const Asof& plan, Side left, Side right, const Run& run) {
  return AsofJoin(plan, std::move(left), std::move(right), run).Start();
}

}  // namespace proxist::query::internal
