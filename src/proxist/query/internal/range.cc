// Range: the selected rows of a span.
#include <algorithm>

#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {

namespace {

/// Appends the rows of pieces of memory.
Status AppendPieces(std::span<const Piece> pieces, std::span<const size_t> columns,
                    const SymbolScan& symbol, Output* output) {
  constexpr size_t kRowsAtOnce = 65536;
  size_t left = 0;
  for (const Piece& piece : pieces) left += piece.end - piece.begin;
  const auto& symbols = symbol.table().cut().symbols;
  const bool in_place = output->WritesInPlace(symbols);
  PieceReader reader(pieces);
  std::vector<Piece> taken;
  for (size_t rows = 0; left > 0; left -= rows) {
    rows = std::min(left, kRowsAtOnce);
    std::vector<exec::Column> own;
    if (!in_place) own = output->EmptyColumns();
    const std::span<exec::Column> out = in_place ? output->InPlace(&rows) : std::span(own);
    rows = reader.Take(rows, &taken);
    AppendKeys(taken, rows, symbol.code(), out);
    for (size_t c = 0; c < columns.size(); ++c) {
      AppendValues(taken, rows, columns[c], &out[kKeyColumns + c]);
    }
    PX_RETURN_IF_ERROR(in_place ? output->Wrote(rows) : output->Append(std::move(own), symbols));
  }
  return OkStatus();
}

}  // namespace

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
  std::vector<size_t> columns;
  bool fixed = !side.has_where();  // rows of memory go out as they lie there
  for (const size_t slot : slots) {
    columns.push_back(side.ColumnOf(slot));
    fixed = fixed && side.DefOf(slot).type.kind != column::TypeKind::kString;
  }
  // With a limit, history is not read ahead: a window of it is often enough.
  const bool limited = output.room().has_value();
  return ForEachSymbol(
      run, &side,
      [&](const SymbolScan&) {
        return limited ? Span{Timestamp::Max(), span.to} : span;
      },
      [&](SymbolScan& symbol) -> Status {
        if (fixed && !limited) {
          const Stopwatch watch(run.context->budget->clock(), &run.context->explain->hot);
          if (const auto pieces = symbol.HotPieces(span)) {
            return AppendPieces(*pieces, columns, symbol, &output);
          }
        }
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
