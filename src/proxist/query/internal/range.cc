// Range: the selected rows of a span.
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"

namespace proxist::query::internal {

Status RunRange(const Range& plan, Side side, const Run& run) {
  PX_ASSIGN_OR_RETURN(const std::vector<size_t> slots, ChosenSlots(&side, plan.columns));
  Output& output = *run.output;
  output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
  output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
  output.AddColumn("seq", {column::TypeKind::kUint64, 0});
  for (const size_t slot : slots) output.AddColumn(side.DefOf(slot).name, side.DefOf(slot).type);
  const Span span = SpanOf(plan.begin, plan.end);
  const auto append = [&](SymbolScan& symbol, const exec::Frame& frame) {
    std::vector<uint32_t> selected;
    side.Select(frame, symbol, &selected);
    const std::vector<int64_t> rows(selected.begin(), selected.end());
    std::vector<exec::Column> columns = KeyColumns(frame, symbol.code(), rows);
    for (const size_t slot : slots) columns.push_back(PickColumn(frame, slot, rows));
    return output.Append(std::move(columns), symbol.table().cut().symbols);
  };
  // With a limit, history is not read ahead: a window of it is often enough.
  const bool limited = output.room().has_value();
  return ForEachSymbol(
      run, &side,
      [&](const SymbolScan&) {
        return limited ? Span{Timestamp::Max(), span.to} : span;
      },
      [&](SymbolScan& symbol) -> Status {
        constexpr size_t kStepRows = 65536;
        Cursor cursor(&symbol, {}, Direction::kForward, span,
                      std::min<uint64_t>(output.room().value_or(kStepRows), kStepRows));
        if (!limited && symbol.HotFrom({}) > span.from) {
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
          return append(symbol, frame);
        }
        return Walk({&cursor, 1}, [&](size_t, const exec::Frame& frame) -> Status {
          PX_RETURN_IF_ERROR(append(symbol, frame));
          if (output.full()) cursor.Stop();
          return OkStatus();
        });
      });
}

}  // namespace proxist::query::internal
