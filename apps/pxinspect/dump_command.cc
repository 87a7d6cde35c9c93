// pxinspect dump: every version of a table's rows that a data directory holds.
#include "dump_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "data_directory.h"
#include "dump_source.h"

namespace proxist::pxinspect {
namespace {

constexpr size_t kFlushBytes = size_t{1} << 16;

std::string_view NameOf(column::Op op) { return op == column::Op::kCancel ? "cancel" : "put"; }

/// Rows as text on standard output.
class RowPrinter {
 public:
  RowPrinter(const DumpOptions& options, column::SchemaPtr schema)
      : options_(options), schema_(std::move(schema)) {
    if (options_.json) return;
    text_ = "symbol,ts,seq,lsn,shard,op,producer,batch";
    for (const column::ColumnDef& column : schema_->columns) text_ += "," + column.name;
    text_ += "\n";
  }

  void Print(const RowVersion& row, ShardId shard, const Origin* origin) {
    options_.json ? AddJson(row, shard, origin) : AddCsv(row, shard, origin);
    if (text_.size() >= kFlushBytes) Flush();
  }
  void Flush() {
    fmt::print("{}", text_);
    text_.clear();
  }

 private:
  void AddCsv(const RowVersion& row, ShardId shard, const Origin* origin) {
    const column::Batch& batch = *row.batch;
    column::AppendCsvCell(batch.symbol, row.row, options_.time, &text_);
    text_ += ',';
    column::AppendCell(batch.ts, row.row, options_.time, &text_);
    text_ += fmt::format(",{},{},{},{},", row.seq, row.lsn.value(), shard.value(),
                         NameOf(batch.OpAt(row.row)));
    if (origin != nullptr) {
      column::AppendCsvText(origin->producer, &text_);
      text_ += fmt::format(",{}", origin->number.value());
    } else {
      text_ += ',';
    }
    for (size_t c = 0; c < schema_->columns.size(); ++c) {
      text_ += ',';
      // A batch of an older version of the table lacks the later columns.
      if (c >= batch.columns.size()) continue;
      column::AppendCsvCell(batch.columns[c], row.row, options_.time, &text_);
    }
    text_ += '\n';
  }

  void AddJson(const RowVersion& row, ShardId shard, const Origin* origin) {
    const column::Batch& batch = *row.batch;
    text_ += "{\"symbol\":";
    column::AppendJsonCell(batch.symbol, row.row, options_.time, &text_);
    text_ += ",\"ts\":";
    column::AppendJsonCell(batch.ts, row.row, options_.time, &text_);
    text_ += fmt::format(R"(,"seq":{},"lsn":{},"shard":{},"op":"{}","producer":)", row.seq,
                         row.lsn.value(), shard.value(), NameOf(batch.OpAt(row.row)));
    if (origin != nullptr) {
      column::AppendJsonText(origin->producer, &text_);
      text_ += fmt::format(R"(,"batch":{})", origin->number.value());
    } else {
      text_ += R"(null,"batch":null)";
    }
    text_ += ",\"columns\":{";
    for (size_t c = 0; c < schema_->columns.size(); ++c) {
      if (c > 0) text_ += ',';
      column::AppendJsonText(schema_->columns[c].name, &text_);
      text_ += ':';
      if (c < batch.columns.size()) {
        column::AppendJsonCell(batch.columns[c], row.row, options_.time, &text_);
      } else {
        text_ += "null";
      }
    }
    text_ += "}}\n";
  }

  const DumpOptions& options_;
  const column::SchemaPtr schema_;
  std::string text_;
};

StatusOr<DumpSelection> Select(const DumpOptions& options, const meta::Catalog& catalog) {
  DumpSelection selection;
  PX_ASSIGN_OR_RETURN(selection.table, catalog.Find(options.tenant, options.table));
  selection.keys = options.keys;
  selection.symbols = options.symbols;
  std::ranges::sort(selection.symbols);
  if (!options.from.empty()) {
    PX_ASSIGN_OR_RETURN(selection.from, ParseTimestamp(options.from));
  }
  if (!options.to.empty()) {
    PX_ASSIGN_OR_RETURN(selection.to, ParseTimestamp(options.to));
  }
  return selection;
}

}  // namespace

Status Dump(const DumpOptions& options) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<MetadataCopy> metadata,
                      MetadataCopy::Open(options.directory));
  PX_ASSIGN_OR_RETURN(const DumpSelection selection, Select(options, metadata->catalog()));
  std::vector<std::unique_ptr<ShardDump>> shards;
  std::vector<std::pair<SeriesName, ShardDump*>> series;
  Status missing;
  for (uint64_t number = 0; number < metadata->shards(); ++number) {
    const hot::FileIdentity identity{metadata->incarnation(),
                                     ShardId(static_cast<uint16_t>(number))};
    PX_ASSIGN_OR_RETURN(
        auto shard, ShardDump::Open(options.directory, identity, metadata->catalog(), selection));
    for (const std::string& note : shard->notes()) {
      fmt::print(stderr, "pxinspect: shard {}: {}\n", number, note);
    }
    if (missing.ok()) missing = shard->missing();
    for (SeriesName& name : shard->Series()) series.emplace_back(std::move(name), shard.get());
    shards.push_back(std::move(shard));
  }
  std::ranges::stable_sort(series, {}, &std::pair<SeriesName, ShardDump*>::first);
  RowPrinter printer(options, selection.table);
  for (const auto& [name, shard] : series) {
    PX_ASSIGN_OR_RETURN(const std::span<const RowVersion> rows, shard->Read(name));
    for (const RowVersion& row : rows) {
      printer.Print(row, shard->shard(), shard->OriginOf(row.lsn));
    }
  }
  printer.Flush();
  return missing;
}

}  // namespace proxist::pxinspect
