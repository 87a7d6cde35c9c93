// Finds the rows first, then copies them column by column.
#include "proxist/query/internal/last_hot.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "proxist/query/internal/budget.h"
#include "proxist/query/internal/cut.h"

namespace proxist::query::internal {
namespace {

template <typename T>
void Copy(std::span<const hot::LastRow> rows, size_t column, std::byte* out) {
  for (const hot::LastRow& row : rows) {
    const std::byte* values = hot::ValuesOf(*row.run.block, column);
    if (values != nullptr) std::memcpy(out, values + row.run.begin * sizeof(T), sizeof(T));
    out += sizeof(T);
  }
}

void Append(std::span<const hot::LastRow> rows, size_t column, exec::Column* out) {
  std::byte* to = out->Extend(rows.size());
  switch (out->stride()) {
    case 1:
      Copy<uint8_t>(rows, column, to);
      break;
    case 2:
      Copy<uint16_t>(rows, column, to);
      break;
    case 4:
      Copy<uint32_t>(rows, column, to);
      break;
    default:
      Copy<uint64_t>(rows, column, to);
      break;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!hot::IsValid(*rows[i].run.block, column, rows[i].run.begin)) out->SetNull(i);
  }
}

ResultBatch MakeBatch(const column::TableSchema& schema, std::span<const size_t> columns,
                      std::span<const hot::LastRow> rows, std::span<const uint32_t> codes) {
  using column::TypeKind;
  ResultBatch batch;
  batch.columns.reserve(3 + columns.size());
  const auto add = [&](const char* name, TypeKind kind) -> std::byte* {
    exec::NamedColumn& named = batch.columns.emplace_back();
    named.name = name;
    named.column = exec::Column({kind, 0});
    return named.column.Extend(rows.size());
  };
  std::byte* symbol = add("symbol", TypeKind::kSymbol);
  std::byte* ts = add("ts", TypeKind::kTimestamp);
  std::byte* seq = add("seq", TypeKind::kUint64);
  for (size_t i = 0; i < rows.size(); ++i) {
    const hot::RowRun& run = rows[i].run;
    std::memcpy(symbol + i * sizeof(uint32_t), &codes[i], sizeof(uint32_t));
    std::memcpy(ts + i * sizeof(int64_t), hot::TimestampsOf(*run.block) + run.begin,
                sizeof(int64_t));
    std::memcpy(seq + i * sizeof(uint64_t), hot::SeqsOf(*run.block) + run.begin, sizeof(uint64_t));
  }
  for (const size_t column : columns) {
    exec::NamedColumn& named = batch.columns.emplace_back();
    named.name = schema.columns[column].name;
    named.column = exec::Column(schema.columns[column].type);
    Append(rows, column, &named.column);
  }
  return batch;
}

const ShardView* ShardOf(const LastBy& op, const Engine::Ports& ports) {
  if (op.from.symbols.size() == 1) {
    return ports.shard_of(column::SlotOf(op.from.tenant, op.from.symbols[0]));
  }
  return op.from.symbols.empty() && ports.shards.size() == 1 ? ports.shards[0] : nullptr;
}

/// The symbols that have a row, and these rows, in the order of the symbols. False: go the long
/// way.
struct Found {
  std::vector<hot::LastRow> rows;
  std::vector<uint32_t> codes;
  Timestamp floor = Timestamp::Min();

  bool Find(const ShardCut& cut, TableId table, std::span<const uint32_t> symbols, Timestamp at) {
    rows.resize(symbols.size());
    codes.resize(symbols.size());
    cut.guard.LastRows(table, symbols, at, rows.data());
    size_t n = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const hot::LastRow row = rows[i];
      if (!row.known) return false;
      floor = std::max(floor, row.floor);
      if (row.run.block == nullptr) continue;
      codes[n] = symbols[i];
      rows[n++] = row;
    }
    rows.resize(n);
    codes.resize(n);
    return true;
  }
  /// Rows before `least` do not exist.
  void Hide(Timestamp least) {
    size_t n = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const hot::RowRun& run = rows[i].run;
      if (Timestamp(hot::TimestampsOf(*run.block)[run.begin]) < least) continue;
      codes[n] = codes[i];
      rows[n++] = rows[i];
    }
    rows.resize(n);
    codes.resize(n);
  }
};

}  // namespace

bool MemoryMayAnswer(const LastBy& op) {
  const Selection& from = op.from;
  return !op.first && op.count == 1 && op.by.empty() && from.where.empty() &&
         from.rows == nullptr && from.query == nullptr;
}

std::optional<std::vector<size_t>> FixedColumns(const column::TableSchema& schema,
                                                const std::vector<std::string>& names) {
  std::vector<size_t> columns;
  columns.reserve(std::max(names.size(), names.empty() ? schema.columns.size() : 0));
  if (names.empty()) {
    for (size_t i = 0; i < schema.columns.size(); ++i) {
      if (!schema.columns[i].dropped) columns.push_back(i);
    }
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const auto earlier = names.begin() + static_cast<ptrdiff_t>(i);
    if (std::find(names.begin(), earlier, names[i]) != earlier) return std::nullopt;
    if (names[i] == "symbol" || names[i] == "ts" || names[i] == "seq") continue;  // always there
    const std::optional<size_t> column = schema.Find(names[i]);
    // An earlier name of a column stays its name in the answer.
    if (!column.has_value() || schema.columns[*column].name != names[i]) return std::nullopt;
    columns.push_back(*column);
  }
  for (const size_t column : columns) {
    if (schema.columns[column].type.kind == column::TypeKind::kString) return std::nullopt;
  }
  return columns;
}

std::optional<ResultBatch> LastInMemory(const Plan& plan, const Engine::Ports& ports,
                                        const QueryOptions& options, SymbolOrders* orders,
                                        Explain* explain) {
  const auto* op = std::get_if<LastBy>(&plan.op);
  if (op == nullptr || !MemoryMayAnswer(*op)) return std::nullopt;
  const ShardView* view = ShardOf(*op, ports);
  if (view == nullptr || plan.limit.has_value() || !plan.order.empty()) return std::nullopt;
  const StatusOr<column::SchemaPtr> schema = ports.catalog->Find(op->from.tenant, op->from.table);
  if (!schema.ok()) return std::nullopt;
  const auto columns = FixedColumns(**schema, op->columns);
  if (!columns.has_value()) return std::nullopt;

  const ShardCut cut(view);
  Found found;
  const TableId table = (*schema)->id;
  if (op->from.symbols.empty()) {
    const auto symbols = orders->Of(cut, table);
    if (symbols->size() > options.batch_rows) return std::nullopt;
    if (!found.Find(cut, table, *symbols, op->at)) return std::nullopt;
  } else {
    const uint32_t code = cut.symbols->Code(op->from.symbols[0]);
    if (!found.Find(cut, table, {&code, 1}, op->at)) return std::nullopt;
  }
  if (!cut.guard.ShowsPlainly(**schema)) return std::nullopt;
  if (const Timestamp floor = FloorOf(ports, **schema); floor > kMinRowTimestamp) found.Hide(floor);
  if (explain != nullptr) {
    explain->attempts = 1;
    explain->rows_hot = found.rows.size();
    explain->seams.push_back(
        {view->id(), (*schema)->name, cut.guard.cut(), cut.guard.persisted(), found.floor});
  }
  ResultBatch batch = MakeBatch(**schema, *columns, found.rows, found.codes);
  batch.symbols = cut.symbols;
  return batch;
}

}  // namespace proxist::query::internal
