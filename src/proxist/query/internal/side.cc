// Names to slots, predicates to rows.
#include "proxist/query/internal/side.h"

#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/meta/catalog.h"

namespace proxist::query::internal {

std::string Joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::vector<const exec::Column*> ColumnsAt(const exec::Frame& frame,
                                           std::span<const size_t> slots) {
  std::vector<const exec::Column*> out;
  for (const size_t slot : slots) out.push_back(&frame.columns[slot]);
  return out;
}

std::vector<exec::PredicateColumn> PredicateColumns(const column::TableSchema& schema) {
  using column::TypeKind;
  std::vector<exec::PredicateColumn> columns = {{"symbol", {TypeKind::kSymbol, 0}},
                                                {"ts", {TypeKind::kTimestamp, 0}},
                                                {"seq", {TypeKind::kUint64, 0}}};
  for (const column::ColumnDef& def : schema.columns) {
    if (def.dropped) {
      columns.push_back({"", def.type});
    } else {
      columns.push_back({def.name, def.type, def.aliases});
    }
  }
  return columns;
}

exec::PredicateInput InputOf(const exec::Frame& frame, SymbolScan& symbol,
                             std::span<const int> slots) {
  exec::PredicateInput input;
  input.frame = &frame;
  input.symbol = symbol.code();
  input.symbols = symbol.table().cut().symbols.get();
  input.slots = slots;
  return input;
}

StatusOr<Side> Side::Make(QueryContext* context, const Selection& selection,
                          std::shared_ptr<const GivenRows> given) {
  Side side;
  if (given != nullptr) {
    side.schema_ = given->schema();
    side.given_ = std::move(given);
  } else {
    PX_ASSIGN_OR_RETURN(side.schema_, context->SchemaOf(selection.tenant, selection.table));
  }
  if (selection.where.empty()) return side;
  StatusOr<exec::Predicate> where =
      exec::Predicate::Compile(selection.where, PredicateColumns(*side.schema_));
  if (!where.ok()) {
    return Annotate(where.status(), fmt::format("predicate on {}", side.schema_->name));
  }
  PX_ASSIGN_OR_RETURN(side.where_slots_, side.SlotsOf(where->columns(), "where"));
  for (const int slot : side.where_slots_) {
    if (slot >= 0) side.read_by_where_.push_back(static_cast<size_t>(slot));
  }
  side.where_reads_keys_ = std::ranges::any_of(where->columns(), [](size_t column) {
    return column > 0 && column < exec::kFirstTableColumn;
  });
  side.conditions_ = where->NecessaryConditions();
  for (exec::ColumnCondition& condition : side.conditions_) {
    condition.column -= exec::kFirstTableColumn;
  }
  side.where_ = std::move(*where);
  return side;
}

StatusOr<size_t> Side::Slot(std::string_view name, std::string_view what) {
  const std::optional<size_t> column = schema_->Find(name);
  if (!column.has_value()) {
    std::vector<std::string> names;
    for (const column::ColumnDef& def : schema_->columns) {
      if (!def.dropped) names.push_back(def.name);
    }
    return InvalidArgument("{}: {}{} has no column '{}'; it has {}", what,
                           given_ == nullptr ? "table " : "", schema_->name, name, Joined(names));
  }
  const auto known = std::find(columns_.begin(), columns_.end(), *column);
  if (known != columns_.end()) return static_cast<size_t>(known - columns_.begin());
  PX_CHECK(scans_.empty());
  columns_.push_back(*column);
  return columns_.size() - 1;
}

StatusOr<std::vector<int>> Side::SlotsOf(std::span<const size_t> columns, std::string_view what) {
  std::vector<int> slots(schema_->columns.size(), -1);
  for (const size_t index : columns) {
    if (index < exec::kFirstTableColumn) continue;
    const size_t column = index - exec::kFirstTableColumn;
    PX_ASSIGN_OR_RETURN(const size_t slot, Slot(schema_->columns[column].name, what));
    slots[column] = static_cast<int>(slot);
  }
  return slots;
}

StatusOr<std::vector<size_t>> Side::GroupSlots(const std::vector<std::string>& names) {
  std::vector<size_t> slots;
  for (const std::string& name : names) {
    if (name == "symbol") continue;  // every operator groups by it
    PX_ASSIGN_OR_RETURN(const size_t slot, Slot(name, "by"));
    if (column::IsFloat(DefOf(slot).type.kind)) {
      return InvalidArgument("by: column '{}' is {}, and floats do not make groups", name,
                             column::FormatType(DefOf(slot).type));
    }
    if (std::find(slots.begin(), slots.end(), slot) != slots.end()) {
      return InvalidArgument("by: column '{}' is named twice", name);
    }
    slots.push_back(slot);
  }
  return slots;
}

std::vector<size_t> Side::SeriesSlots() {
  std::vector<size_t> slots;
  for (const size_t column : schema_->series) {
    slots.push_back(Slot(schema_->columns[column].name, "series").value());
  }
  return slots;
}

void Side::Select(const exec::Frame& frame, SymbolScan& symbol, std::vector<uint32_t>* rows) const {
  if (!where_.has_value()) {
    for (size_t row = 0; row < frame.rows(); ++row) rows->push_back(static_cast<uint32_t>(row));
    return;
  }
  where_->Select(InputOf(frame, symbol, where_slots_), rows);
}

std::unique_ptr<SymbolScan> Side::Open(QueryContext* context, const QuerySymbol& symbol) {
  std::unique_ptr<TableScan>& scan = scans_[symbol.cut];
  if (scan == nullptr) {
    scan = std::make_unique<TableScan>(context, symbol.cut, schema_, columns_, conditions_);
  }
  if (given_ == nullptr) return scan->Open(symbol.text, symbol.code);
  auto rows = given_->FrameOf(symbol.text, columns_, symbol.cut->symbols.get());
  return rows == nullptr ? nullptr : scan->OpenGiven(symbol.text, std::move(rows));
}

bool Side::TotalsFit(std::span<const size_t> by) const {
  const std::vector<size_t>& series = schema_->series;
  return given_ == nullptr && !has_where() && std::all_of(by.begin(), by.end(), [&](size_t slot) {
           return std::find(series.begin(), series.end(), columns_[slot]) != series.end();
         });
}

std::optional<std::vector<Side::SeriesGroup>> Side::SeriesGroups(
    const SymbolScan& symbol, std::span<const size_t> slots) const {
  std::vector<size_t> positions;  // in the series key
  for (const size_t slot : slots) {
    const auto& series = schema_->series;
    const auto at = std::find(series.begin(), series.end(), columns_[slot]);
    if (at == series.end()) return std::nullopt;
    positions.push_back(static_cast<size_t>(at - series.begin()));
  }
  std::map<std::vector<uint32_t>, std::vector<uint32_t>> groups;
  for (uint32_t i = 0; i < symbol.series_count(); ++i) {
    std::vector<uint32_t> key;
    for (const size_t position : positions) key.push_back(symbol.series_codes(i)[position]);
    groups[key].push_back(i);
  }
  std::vector<SeriesGroup> out;
  for (auto& [key, members] : groups) out.push_back({key, std::move(members)});
  return out;
}

}  // namespace proxist::query::internal
