// Book: the live price levels of each symbol, from the last row of each level or order.
#include <algorithm>
#include <unordered_map>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/group.h"
#include "proxist/exec/number_order.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/value.h"

namespace proxist::query::internal {
namespace {

using column::TypeKind;

/// 0: bids, 1: asks.
constexpr uint8_t kNoSide = 2;

class BookBuilder {
 public:
  BookBuilder(const Book& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run) {}

  Status Start() {
    PX_RETURN_IF_ERROR(Resolve());
    Output& output = *run_.output;
    output.AddColumn("symbol", {TypeKind::kSymbol, 0});
    output.AddColumn("side", side_.DefOf(side_slot_).type);
    output.AddColumn("level", {TypeKind::kInt64, 0});
    output.AddColumn("price", side_.DefOf(price_).type);
    output.AddColumn("size", exec::SumType(side_.DefOf(size_).type));
    output.AddColumn("orders", {TypeKind::kInt64, 0});
    const Span span{std::max(plan_.since, kMinRowTimestamp), plan_.at};
    return ForEachSymbol(
        run_, &side_, [&](const SymbolScan&) { return span; },
        [&](SymbolScan& symbol) -> Status {
          if (span.from > span.to) return OkStatus();
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
          return OneSymbol(symbol, frame);
        });
  }

 private:
  Status Resolve() {
    if (plan_.depth == 0) return InvalidArgument("book: a depth of 0 shows nothing");
    if (plan_.bid == plan_.ask) {
      return InvalidArgument("book: bids and asks are both '{}'", plan_.bid);
    }
    PX_ASSIGN_OR_RETURN(side_slot_, side_.Slot(plan_.side, "book: side"));
    const column::Type type = side_.DefOf(side_slot_).type;
    if (!column::IsText(type.kind) && type.kind != TypeKind::kBool) {
      return InvalidArgument("book: side column '{}' is {}, not text or bool", plan_.side,
                             column::FormatType(type));
    }
    PX_RETURN_IF_ERROR(Numeric(plan_.price, &price_));
    PX_RETURN_IF_ERROR(Numeric(plan_.size, &size_));
    PX_ASSIGN_OR_RETURN(key_, side_.GroupSlots(plan_.key));
    PX_ASSIGN_OR_RETURN(remove_, Condition::Make(&side_, plan_.remove, "book: remove"));
    PX_ASSIGN_OR_RETURN(clear_, Condition::Make(&side_, plan_.clear, "book: clear"));
    return OkStatus();
  }

  Status Numeric(const std::string& name, size_t* slot) {
    PX_ASSIGN_OR_RETURN(*slot, side_.Slot(name, "book"));
    const column::Type type = side_.DefOf(*slot).type;
    if (column::IsNumeric(type.kind)) return OkStatus();
    return InvalidArgument("book: column '{}' is {}, not a number", name, column::FormatType(type));
  }

  /// Which side each row is of.
  [[nodiscard]] std::vector<uint8_t> Sides(const exec::Frame& frame, SymbolScan& symbol) const {
    const exec::Column& column = frame.columns[side_slot_];
    const exec::Symbols& symbols = *symbol.table().cut().symbols;
    std::vector<uint8_t> out(frame.rows(), kNoSide);
    for (size_t row = 0; row < out.size(); ++row) {
      if (!column.IsValid(row)) continue;
      std::string_view text;
      if (column.type().kind == TypeKind::kBool) {
        text = column.data<uint8_t>()[row] != 0 ? "true" : "false";
      } else if (column.type().kind == TypeKind::kString) {
        text = column.data<std::string_view>()[row];
      } else {
        text = symbols.Text(column.data<uint32_t>()[row]);
      }
      if (text == plan_.bid) out[row] = 0;
      if (text == plan_.ask) out[row] = 1;
    }
    return out;
  }

  /// Rows that count: selected, and not before the last one that clears the book.
  void Counting(const exec::Frame& frame, SymbolScan& symbol, std::vector<uint32_t>* rows) const {
    side_.Select(frame, symbol, rows);
    std::vector<uint32_t> clears;
    clear_.Select(frame, symbol, &clears);
    if (clears.empty()) return;
    rows->erase(rows->begin(), std::ranges::upper_bound(*rows, clears.back()));
  }

  /// The last row of each order, or of each price of each side; those without a key are left out.
  [[nodiscard]] std::vector<uint32_t> LastOfKeys(const exec::Frame& frame,
                                                 const std::vector<uint32_t>& rows,
                                                 const std::vector<uint8_t>& sides) const {
    std::vector<uint32_t> last;
    if (!key_.empty()) {
      exec::Grouping grouping;
      const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(frame, key_), rows);
      last.resize(grouping.size());
      for (size_t i = 0; i < rows.size(); ++i) last[ids[i]] = rows[i];
      return last;
    }
    const exec::NumberOrder prices(frame.columns[price_]);
    std::unordered_map<uint64_t, uint32_t> levels[2];
    for (const uint32_t row : rows) {
      if (sides[row] == kNoSide || !prices.IsNumber(row)) continue;
      levels[sides[row]][prices.Key(row)] = row;
    }
    for (const auto& of_side : levels) {
      for (const auto& [price, row] : of_side) last.push_back(row);
    }
    return last;
  }

  Status OneSymbol(SymbolScan& symbol, const exec::Frame& frame) {
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    std::vector<uint32_t> rows;
    Counting(frame, symbol, &rows);
    const std::vector<uint8_t> sides = Sides(frame, symbol);
    std::vector<uint32_t> removed;
    remove_.Select(frame, symbol, &removed);
    const exec::NumberOrder prices(frame.columns[price_]);
    const exec::NumberOrder sizes(frame.columns[size_]);
    std::vector<uint32_t> live;
    for (const uint32_t row : LastOfKeys(frame, rows, sides)) {
      if (sides[row] == kNoSide || !prices.IsNumber(row) || !sizes.IsAboveZero(row)) continue;
      if (!std::ranges::binary_search(removed, row)) live.push_back(row);
    }
    std::ranges::sort(live, [&](uint32_t a, uint32_t b) {
      if (sides[a] != sides[b]) return sides[a] < sides[b];
      const int sign = prices.Compare(a, b);
      if (sign != 0) return sides[a] == 0 ? sign > 0 : sign < 0;
      return a < b;
    });
    exec::Slices levels;
    std::vector<int64_t> depth;  // of each level
    for (size_t i = 0; i < live.size(); ++i) {
      const bool same_side = i > 0 && sides[live[i]] == sides[live[i - 1]];
      if (same_side && prices.Compare(live[i], live[i - 1]) == 0) {
        ++levels.end.back();
        continue;
      }
      levels.begin.push_back(static_cast<uint32_t>(i));
      levels.end.push_back(static_cast<uint32_t>(i + 1));
      depth.push_back(same_side ? depth.back() + 1 : 1);
    }
    levels.order = std::move(live);
    return Emit(symbol, frame, levels, depth);
  }

  Status Emit(SymbolScan& symbol, const exec::Frame& frame, const exec::Slices& levels,
              const std::vector<int64_t>& depth) {
    std::vector<int64_t> shown;
    std::vector<int64_t> sample;
    for (size_t k = 0; k < depth.size(); ++k) {
      if (static_cast<uint64_t>(depth[k]) > plan_.depth) continue;
      shown.push_back(static_cast<int64_t>(k));
      sample.push_back(levels.order[levels.begin[k]]);
    }
    PX_ASSIGN_OR_RETURN(const exec::Column sizes,
                        exec::Sum(levels, frame.columns[size_], "book: size"));
    const exec::Column orders = exec::CountRows(levels);
    std::vector<exec::Column> columns;
    exec::Column& symbols = columns.emplace_back(column::Type{TypeKind::kSymbol, 0});
    exec::Column level(column::Type{TypeKind::kInt64, 0});
    for (const int64_t k : shown) {
      symbols.Append(symbol.code());
      level.Append(depth[static_cast<size_t>(k)]);
    }
    columns.push_back(PickColumn(frame, side_slot_, sample));
    columns.push_back(std::move(level));
    columns.push_back(PickColumn(frame, price_, sample));
    for (const exec::Column* of : {&sizes, &orders}) {
      exec::Column& out = columns.emplace_back(of->type());
      out.AppendGather(*of, shown.data(), shown.size());
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Book& plan_;
  Side side_;
  const Run& run_;
  size_t side_slot_ = 0;
  size_t price_ = 0;
  size_t size_ = 0;
  std::vector<size_t> key_;
  Condition remove_;
  Condition clear_;
};

}  // namespace

Status RunBook(const Book& plan, Side side, const Run& run) {
  return BookBuilder(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
