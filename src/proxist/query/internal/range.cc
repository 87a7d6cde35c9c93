// Range: the selected rows of a span, or the different ones among them.
#include <algorithm>

#include "proxist/exec/group.h"
#include "proxist/exec/number_order.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {

namespace {

/// Appends the rows of pieces of memory.
Status AppendPieces(std::span<const Piece> pieces, std::span<const size_t> columns,
                    const SymbolScan& symbol, Output* output) {
  size_t rows = 0;
  for (const Piece& piece : pieces) rows += piece.end - piece.begin;
  PieceReader reader(pieces);
  std::vector<Piece> taken;
  const auto fill = [&](size_t /*at*/, size_t n, std::span<exec::Column> out) {
    reader.Take(n, &taken);
    AppendKeys(taken, n, symbol.code(), out);
    for (size_t c = 0; c < columns.size(); ++c) {
      AppendValues(taken, n, columns[c], &out[kKeyColumns + c]);
    }
    return OkStatus();
  };
  return output->Write(rows, symbol.table().cut().symbols, fill);
}

/// What an answer has shown of one symbol.
class Shown {
 public:
  /// Appends the rows at which `columns` say something new.
  void SelectNew(std::span<const exec::Column> columns, std::vector<int64_t>* rows) {
    std::vector<exec::Column> own;  // of floats: equal keys for equal values
    own.reserve(columns.size());
    std::vector<const exec::Column*> keys;
    for (const exec::Column& column : columns) {
      const bool floats = column::IsFloat(column.type().kind);
      keys.push_back(floats ? &own.emplace_back(KeysOf(column)) : &column);
    }
    std::vector<uint32_t> all(columns[0].rows());
    for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    const std::vector<uint32_t> ids = groups_.Assign(keys, all);
    for (size_t row = 0; row < ids.size(); ++row) {
      if (ids[row] < shown_) continue;
      ++shown_;
      rows->push_back(static_cast<int64_t>(row));
    }
  }

 private:
  static exec::Column KeysOf(const exec::Column& column) {
    const exec::NumberOrder order(column);
    exec::Column keys({column::TypeKind::kUint64, 0});
    for (uint32_t row = 0; row < column.rows(); ++row) {
      if (column.IsValid(row)) {
        keys.Append(order.Key(row));
      } else {
        keys.AppendNull();
      }
    }
    return keys;
  }

  exec::Grouping groups_;
  size_t shown_ = 0;
};

class RangeRows {
 public:
  RangeRows(const Range& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run), span_(SpanOf(plan.begin, plan.end)) {}

  Status Start() {
    PX_ASSIGN_OR_RETURN(choice_, plan_.distinct ? Choice::WithKeys(&side_, plan_.columns)
                                                : Choice::Make(&side_, plan_.columns));
    AddColumns();
    ChooseFixed();
    // With a limit, history is not read ahead: a window of it is often enough.
    limited_ = run_.output->room().has_value();
    return ForEachSymbol(
        run_, &side_,
        [&](const SymbolScan&) {
          return limited_ ? Span{Timestamp::Max(), span_.to} : span_;
        },
        [&](SymbolScan& symbol) { return OneSymbol(symbol); });
  }

 private:
  void AddColumns() {
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    if (!plan_.distinct) {
      output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
      output.AddColumn("seq", {column::TypeKind::kUint64, 0});
    }
    for (size_t i = 0; i < choice_.size(); ++i) output.AddColumn(choice_.name(i), choice_.type(i));
  }

  /// The columns, when rows of memory may go out as they lie there.
  void ChooseFixed() {
    if (side_.has_where() || plan_.distinct) return;
    const std::optional<std::vector<size_t>> slots = choice_.Slots();
    if (!slots.has_value()) return;
    std::vector<size_t> columns;
    for (const size_t slot : *slots) {
      if (side_.DefOf(slot).type.kind == column::TypeKind::kString) return;
      columns.push_back(side_.ColumnOf(slot));
    }
    fixed_ = std::move(columns);
  }

  Status OneSymbol(SymbolScan& symbol) {
    if (fixed_.has_value() && !limited_) {
      const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->hot);
      if (const auto pieces = symbol.HotPieces(span_)) {
        return AppendPieces(*pieces, *fixed_, symbol, run_.output);
      }
    }
    constexpr size_t kStepRows = 65536;
    Shown shown;
    Cursor cursor(&symbol, {}, Direction::kForward, span_,
                  std::min<uint64_t>(run_.output->room().value_or(kStepRows), kStepRows));
    if (!limited_ && symbol.HotFrom({}) > span_.from) {
      PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span_, {}));
      return Append(symbol, frame, &shown);
    }
    return Walk({&cursor, 1}, [&](size_t, const exec::Frame& frame) -> Status {
      PX_RETURN_IF_ERROR(Append(symbol, frame, &shown));
      if (run_.output->full()) cursor.Stop();
      return OkStatus();
    });
  }

  Status Append(SymbolScan& symbol, const exec::Frame& frame, Shown* shown) {
    std::vector<uint32_t> selected;
    side_.Select(frame, symbol, &selected);
    const std::vector<int64_t> rows(selected.begin(), selected.end());
    std::vector<exec::Column> columns = KeyColumns(frame, symbol.code(), rows);
    if (plan_.distinct) columns.resize(1);  // the symbol
    choice_.Append(frame, symbol, rows, &columns);
    if (plan_.distinct) {
      std::vector<int64_t> fresh;
      shown->SelectNew(columns, &fresh);
      std::vector<exec::Column> all = std::exchange(columns, {});
      uint64_t bytes = 0;
      for (const exec::Column& column : all) {
        columns.emplace_back(column.type()).AppendGather(column, fresh.data(), fresh.size());
        bytes += fresh.size() * column.stride();
      }
      PX_RETURN_IF_ERROR(run_.context->budget->Charge(bytes));
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Range& plan_;
  Side side_;
  const Run& run_;
  const Span span_;
  Choice choice_;
  bool limited_ = false;
  std::optional<std::vector<size_t>> fixed_;
};

}  // namespace

Status RunRange(const Range& plan, Side side, const Run& run) {
  return RangeRows(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
