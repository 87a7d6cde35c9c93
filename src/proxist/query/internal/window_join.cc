// Window join: each left row with aggregates of the right rows around it.
#include <algorithm>
#include <tuple>

#include "proxist/exec/group.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/beyond.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/right_scans.h"

namespace proxist::query::internal {
namespace {

class JoinedWindows {
 public:
  JoinedWindows(const WindowJoin& plan, Side left, Side right, const Run& run)
      : plan_(plan),
        left_(std::move(left)),
        right_(std::move(right)),
        run_(run),
        from_(Duration(-plan.before.ns())) {}

  Status Start() {
    if (plan_.left.tenant != plan_.right.tenant) {
      return InvalidArgument("window-join: both tables must belong to one tenant");
    }
    if (from_ > plan_.after) {
      return InvalidArgument("window-join: the window ends before it begins");
    }
    PX_ASSIGN_OR_RETURN(choice_, Choice::Make(&left_, plan_.columns));
    PX_ASSIGN_OR_RETURN(std::tie(left_by_, right_by_),
                        GroupSlotsOfBoth(&left_, &right_, plan_.by, "window-join"));
    const AggregateScope scope{"window-join", plan_.price, plan_.size};
    PX_ASSIGN_OR_RETURN(Aggregates aggregates, Aggregates::Make(&right_, scope, plan_.aggregates));
    aggregates_ = std::move(aggregates);
    AddColumns();
    const Span span = SpanOf(plan_.begin, plan_.end);
    return ForEachSymbol(
        run_, &left_, [&](const SymbolScan&) { return span; },
        [&](SymbolScan& symbol) -> Status {
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
          return OneSymbol(symbol, frame);
        },
        [&](std::span<SymbolScan* const> symbols) {
          return open_.Open(&right_, run_.context, symbols,
                            {span.from.Plus(from_), span.to.Plus(plan_.after)});
        });
  }

 private:
  void AddColumns() {
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
    output.AddColumn("seq", {column::TypeKind::kUint64, 0});
    std::vector<std::string> taken = {"symbol", "ts", "seq"};
    for (size_t i = 0; i < choice_.size(); ++i) {
      output.AddColumn(UniqueName(choice_.name(i), &taken), choice_.type(i));
    }
    for (size_t i = 0; i < aggregates_->size(); ++i) {
      output.AddColumn(UniqueName(aggregates_->name(i), &taken), aggregates_->type(i));
    }
  }

  /// What the windows of left rows in `span` hold, of the groups known so far.
  StatusOr<exec::Frame> ReadRight(SymbolScan& right, Span span, exec::Grouping* grouping) {
    const Span read{std::max(span.from.Plus(from_), kMinRowTimestamp), span.to.Plus(plan_.after)};
    exec::Frame all;
    if (plan_.prevailing) {
      const BeyondRequest request{&right_, &right, right_by_, grouping, grouping->size(), 1};
      PX_ASSIGN_OR_RETURN(
          all, ReadBeyond(request, Direction::kBackward, {Timestamp::Min(), Before(read.from)}));
    }
    if (read.from > read.to) return all;
    PX_ASSIGN_OR_RETURN(const exec::Frame near, right.Read(read, {}));
    AppendFrame(near, &all);
    return all;
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
    std::vector<int64_t> ts;
    for (const uint32_t row : rows) ts.push_back(left.ts[row]);
    exec::Frame right;
    if (SymbolScan* scan = open_.Of(symbol)) {
      PX_ASSIGN_OR_RETURN(
          right, ReadRight(*scan, {Timestamp(ts.front()), Timestamp(ts.back())}, &grouping));
    }
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    for (size_t slot = right.columns.size(); slot < right_.slots(); ++slot) {
      right.columns.emplace_back(right_.DefOf(slot).type);  // nothing was read
    }
    std::vector<uint32_t> selected;
    right_.Select(right, symbol, &selected);
    const std::vector<uint32_t> right_ids = grouping.Assign(ColumnsAt(right, right_by_), selected);
    std::vector<int64_t> right_ts;
    for (const uint32_t row : selected) right_ts.push_back(right.ts[row]);
    exec::JoinSlices join = exec::MakeJoinSlices(ts, ids, right_ts, right_ids, grouping.size(),
                                                 from_, plan_.after, plan_.prevailing);
    for (uint32_t& row : join.slices.order) row = selected[row];
    std::vector<int64_t> ends;
    for (const uint32_t row : join.left) {
      ends.push_back(Timestamp(ts[row]).Plus(plan_.after).ns());
    }
    const Aggregates::Rows of{&right, &symbol, &join.slices, ends, {}, 0, {}, nullptr};
    PX_ASSIGN_OR_RETURN(const std::vector<exec::Column> values, aggregates_->Compute(of));
    return Emit(symbol, left, rows, join, values);
  }

  Status Emit(SymbolScan& symbol, const exec::Frame& left, const std::vector<uint32_t>& rows,
              const exec::JoinSlices& join, const std::vector<exec::Column>& values) {
    const std::vector<int64_t> left_rows(rows.begin(), rows.end());
    std::vector<exec::Column> columns = KeyColumns(left, symbol.code(), left_rows);
    choice_.Append(left, symbol, left_rows, &columns);
    std::vector<int64_t> position(rows.size());
    for (size_t k = 0; k < join.left.size(); ++k) {
      position[join.left[k]] = static_cast<int64_t>(k);
    }
    for (const exec::Column& of : values) {
      exec::Column& out = columns.emplace_back(of.type());
      out.AppendGather(of, position.data(), position.size());
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const WindowJoin& plan_;
  Side left_;
  Side right_;
  const Run& run_;
  const Duration from_;
  Choice choice_;
  std::vector<size_t> left_by_;
  std::vector<size_t> right_by_;
  std::optional<Aggregates> aggregates_;
  RightScans open_;
};

}  // namespace

Status RunWindowJoin(const WindowJoin& plan, Side left, Side right, const Run& run) {
  return JoinedWindows(plan, std::move(left), std::move(right), run).Start();
}

}  // namespace proxist::query::internal
