// Last-by and first-by: the rows nearest to a moment, of each symbol or group.
#include <algorithm>

#include "proxist/exec/group.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"

namespace proxist::query::internal {
namespace {

constexpr size_t kSymbolsAtOnce = 1024;
// A predicate selects few rows as often as many; a first step of this size costs little.
constexpr size_t kFilteredStep = 8;
constexpr uint64_t kMostStepRows = 8192;

/// The rows found so far of one symbol, in the order of the frames' columns.
struct Found {
  std::unique_ptr<SymbolScan> symbol;
  exec::Grouping groups;
  std::vector<uint64_t> count;  // by group id
  exec::Frame rows;
};

class NearestRows {
 public:
  NearestRows(const LastBy& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run) {}

  Status Start() {
    if (plan_.count == 0) return InvalidArgument("last-by: 0 rows of each group are none");
    PX_ASSIGN_OR_RETURN(choice_, Choice::Make(&side_, plan_.columns));
    PX_ASSIGN_OR_RETURN(by_, side_.GroupSlots(plan_.by));
    series_ = side_.SeriesSlots();
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
    output.AddColumn("seq", {column::TypeKind::kUint64, 0});
    for (size_t i = 0; i < choice_.size(); ++i) output.AddColumn(choice_.name(i), choice_.type(i));
    for (size_t begin = 0; begin < run_.symbols.size() && !output.full(); begin += kSymbolsAtOnce) {
      PX_RETURN_IF_ERROR(run_.context->budget->CheckDeadline());
      PX_RETURN_IF_ERROR(Some(begin, std::min(run_.symbols.size(), begin + kSymbolsAtOnce)));
    }
    return OkStatus();
  }

 private:
  /// Symbols [begin, end) of the run. Walks of one table scan go together.
  Status Some(size_t begin, size_t end) {
    std::vector<Found> found(end - begin);
    struct Walks {
      std::vector<Cursor> cursors;
      std::vector<Found*> owners;
      std::vector<uint64_t> missing;  // rows of a cursor whose series are one group; 0: of several
    };
    std::map<TableScan*, Walks> walks;
    for (size_t i = begin; i < end; ++i) {
      Found& one = found[i - begin];
      one.symbol = side_.Open(run_.context, run_.symbols[i]);
      if (one.symbol == nullptr) continue;
      Walks& these = walks[&one.symbol->table()];
      const auto groups = side_.SeriesGroups(*one.symbol, by_);
      const auto add = [&](std::vector<uint32_t> series, bool whole) {
        const Span span =
            plan_.first ? Span{plan_.at, Timestamp::Max()} : Span{Timestamp::Min(), plan_.at};
        these.cursors.emplace_back(one.symbol.get(), std::move(series),
                                   plan_.first ? Direction::kForward : Direction::kBackward, span,
                                   std::min(plan_.count, kMostStepRows) *
                                       (side_.has_where() || !whole ? kFilteredStep : 1));
        these.owners.push_back(&one);
        these.missing.push_back(whole ? plan_.count : 0);
      };
      if (!groups.has_value()) {
        add({}, false);
      } else if (by_.empty()) {
        add({}, true);
      } else {
        for (const Side::SeriesGroup& group : *groups) add(group.series, true);
      }
    }
    for (auto& [table, these] : walks) {
      const auto take = [&, &these = these](size_t i, const exec::Frame& frame) -> Status {
        uint64_t& missing = these.missing[i];
        const uint64_t taken = Take(these.owners[i], frame);
        if (missing > 0 && (missing -= std::min(missing, taken)) == 0) these.cursors[i].Stop();
        return OkStatus();
      };
      PX_RETURN_IF_ERROR(Walk(these.cursors, take));
    }
    for (Found& one : found) {
      if (one.symbol != nullptr) PX_RETURN_IF_ERROR(Emit(one));
    }
    return OkStatus();
  }

  /// Keeps the nearest selected rows of each group that has too few yet; returns how many.
  uint64_t Take(Found* found, const exec::Frame& frame) {
    std::vector<uint32_t> rows;
    side_.Select(frame, *found->symbol, &rows);
    if (!plan_.first) std::reverse(rows.begin(), rows.end());
    if (by_.empty() && rows.size() > plan_.count) rows.resize(plan_.count);
    const std::vector<uint32_t> ids = found->groups.Assign(ColumnsAt(frame, by_), rows);
    found->count.resize(found->groups.size(), 0);
    std::vector<int64_t> nearest;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (found->count[ids[i]] == plan_.count) continue;
      ++found->count[ids[i]];
      nearest.push_back(rows[i]);
    }
    exec::Frame& kept = found->rows;
    if (kept.columns.empty()) {
      for (const exec::Column& column : frame.columns) kept.columns.emplace_back(column.type());
    }
    for (const int64_t row : nearest) {
      kept.ts.push_back(frame.ts[static_cast<size_t>(row)]);
      kept.seq.push_back(frame.seq[static_cast<size_t>(row)]);
    }
    for (size_t c = 0; c < frame.columns.size(); ++c) {
      kept.columns[c].AppendGather(frame.columns[c], nearest.data(), nearest.size());
    }
    if (!nearest.empty()) {
      kept.keepalive.insert(kept.keepalive.end(), frame.keepalive.begin(), frame.keepalive.end());
    }
    return nearest.size();
  }

  Status Emit(const Found& found) {
    const exec::Frame& frame = found.rows;
    const exec::Symbols& symbols = *found.symbol->table().cut().symbols;
    std::vector<int64_t> order(frame.rows());
    for (size_t i = 0; i < order.size(); ++i) {  // the later ones were found first
      order[i] = static_cast<int64_t>(plan_.first ? i : order.size() - 1 - i);
    }
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      const auto x = static_cast<size_t>(a);
      const auto y = static_cast<size_t>(b);
      if (frame.ts[x] != frame.ts[y]) return frame.ts[x] < frame.ts[y];
      if (frame.seq[x] != frame.seq[y]) return frame.seq[x] < frame.seq[y];
      for (const size_t slot : series_) {
        const exec::Column& column = frame.columns[slot];
        const int sign = exec::CompareValues(column, x, column, y, symbols);
        if (sign != 0) return sign < 0;
      }
      return false;
    });
    std::vector<exec::Column> columns = KeyColumns(frame, found.symbol->code(), order);
    choice_.Append(frame, *found.symbol, order, &columns);
    return run_.output->Append(std::move(columns), found.symbol->table().cut().symbols);
  }

  const LastBy& plan_;
  Side side_;
  const Run& run_;
  Choice choice_;
  std::vector<size_t> by_;
  std::vector<size_t> series_;
};

}  // namespace

Status RunLastBy(const LastBy& plan, Side side, const Run& run) {
  return NearestRows(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
