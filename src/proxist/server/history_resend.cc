#include "proxist/server/history_resend.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "proxist/env/clock.h"

namespace proxist::server {
namespace {

using column::TypeKind;

/// Rows of one block at most, all days together.
constexpr size_t kBlockRows = 200'000;
constexpr size_t kMaxExamples = 3;

/// One table of one shard.
class TableResend {
 public:
  TableResend(const history::WatchedHistory& history, column::SchemaPtr schema,
              const ResendSource& source, std::string incarnation, ResendReport* report)
      : history_(history),
        schema_(std::move(schema)),
        source_(source),
        through_(source.left_behind.contains(schema_->id) ? source.persisted : source.flushed),
        incarnation_(std::move(incarnation)),
        report_(report) {}

  Status Run() {
    PX_RETURN_IF_ERROR(history_.history->EnsureTable(*schema_));
    std::vector<uint32_t> symbols;
    source_.store->Read().SymbolsOf(schema_->id, &symbols);
    for (const uint32_t symbol : symbols) {
      AddSymbol(symbol);
      if (rows_ >= kBlockRows) PX_RETURN_IF_ERROR(Send());
    }
    PX_RETURN_IF_ERROR(Send());
    if (missing_.series > 0) report_->missing.push_back(std::move(missing_));
    return OkStatus();
  }

 private:
  struct DayRows {
    explicit DayRows(column::SchemaPtr schema) : builder(std::move(schema)) {}
    column::BatchBuilder builder;
    std::vector<Lsn> lsns;
  };

  // A guard lives for one symbol only: what eviction and compaction free waits for it.
  void AddSymbol(uint32_t symbol) {
    hot::ReadGuard guard = source_.store->Read();
    if (!guard.ReadAs(*schema_)) {
      failed_.Update(Aborted("table {} was changed meanwhile: resend again", schema_->name));
      return;
    }
    std::vector<hot::SeriesSnapshot> series;
    guard.SeriesOf(schema_->id, symbol, &series);
    for (const hot::SeriesSnapshot& one : series) {
      NoteFloor(one);
      std::vector<hot::RowRun> runs;
      one.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
      for (const hot::RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) AddRow(symbol, *run.block, row);
      }
    }
  }

  void NoteFloor(const hot::SeriesSnapshot& series) {
    if (series.floor() == Timestamp::Min()) return;
    missing_.table = schema_;
    missing_.shard = source_.shard;
    ++missing_.series;
    missing_.through_least = std::min(missing_.through_least, series.floor());
    missing_.through_greatest = std::max(missing_.through_greatest, series.floor());
    if (missing_.examples.size() >= kMaxExamples) return;
    std::string name(source_.store->dictionary().At(series.symbol_code()));
    for (const uint32_t code : series.series_codes()) {
      name += fmt::format("/{}", source_.store->dictionary().At(code));
    }
    missing_.examples.push_back(std::move(name));
  }

  void AddRow(uint32_t symbol, const hot::RowBlock& block, uint32_t row) {
    const Lsn lsn = hot::LsnOf(block, row);
    if (lsn > through_) return;  // the flush sends it
    const Timestamp ts(hot::TimestampsOf(block)[row]);
    if (ts < source_.Least(schema_->id)) return;  // beyond the retention
    const Day day = DayOf(ts);
    if (IsPresent(day, lsn)) {
      ++report_->rows_present;
      return;
    }
    auto& rows = days_[day];
    if (rows == nullptr) rows = std::make_unique<DayRows>(WithSeq());
    rows->builder.AddRow(source_.store->dictionary().At(symbol), ts, hot::SeqsOf(block)[row],
                         hot::OpOf(block, row));
    for (size_t column = 0; column < schema_->columns.size(); ++column) {
      if (hot::IsValid(block, column, row)) SetCell(block, column, row, &rows->builder);
    }
    rows->lsns.push_back(lsn);
    ++rows_;
  }

  void SetCell(const hot::RowBlock& block, size_t column, uint32_t row,
               column::BatchBuilder* out) const {
    const std::byte* values = hot::ValuesOf(block, column);
    switch (schema_->columns[column].type.kind) {
      case TypeKind::kSymbol:
        return out->SetText(column, source_.store->dictionary().At(LoadAt<uint32_t>(values, row)));
      case TypeKind::kString:
        return out->SetText(column, AsText(hot::TextOf(block, column, row)));
      case TypeKind::kFloat32:
        return out->SetFloat(column, LoadAt<float>(values, row));
      case TypeKind::kFloat64:
        return out->SetFloat(column, LoadAt<double>(values, row));
      case TypeKind::kBool:
      case TypeKind::kUint8:
        return out->SetInt(column, LoadAt<uint8_t>(values, row));
      case TypeKind::kInt8:
        return out->SetInt(column, LoadAt<int8_t>(values, row));
      case TypeKind::kInt16:
        return out->SetInt(column, LoadAt<int16_t>(values, row));
      case TypeKind::kUint16:
        return out->SetInt(column, LoadAt<uint16_t>(values, row));
      case TypeKind::kInt32:
        return out->SetInt(column, LoadAt<int32_t>(values, row));
      case TypeKind::kUint32:
        return out->SetInt(column, LoadAt<uint32_t>(values, row));
      default:
        return out->SetInt(column, LoadAt<int64_t>(values, row));
    }
  }

  /// What history already holds was sent by an earlier try, or never went.
  bool IsPresent(Day day, Lsn lsn) {
    auto held = held_.find(day);
    if (held == held_.end()) {
      auto versions = history_.monitor->Versions(*schema_, source_.shard, day);
      failed_.Update(versions.status());
      held = held_.emplace(day, versions.ok() ? std::move(*versions) : std::vector<Lsn>()).first;
    }
    return std::binary_search(held->second.begin(), held->second.end(), lsn);
  }

  /// The builder gives no seq to a table that assigns them, yet history stores them.
  [[nodiscard]] column::SchemaPtr WithSeq() const {
    auto schema = std::make_shared<column::TableSchema>(*schema_);
    schema->seq = column::SeqMode::kProducer;
    return schema;
  }

  Status Send() {
    PX_RETURN_IF_ERROR(failed_);
    for (auto& [day, rows] : days_) {
      history::VersionedRows block{source_.shard, day, rows->builder.Build(), std::move(rows->lsns),
                                   env::SystemClock().Now()};
      block.batch.schema = schema_;
      const std::string token =
          fmt::format("resend-{}-{}.{}-{}-{}-{}-{}", incarnation_, schema_->id.value(),
                      schema_->version.value(), day.value(), source_.shard.value(),
                      env::SystemClock().Now().ns(), ++blocks_);
      PX_RETURN_IF_ERROR(history_.monitor->Restore(block, token));
      report_->rows_sent += block.batch.rows;
    }
    days_.clear();
    rows_ = 0;
    return OkStatus();
  }

  const history::WatchedHistory& history_;
  const column::SchemaPtr schema_;
  const ResendSource& source_;
  const Lsn through_;
  const std::string incarnation_;
  ResendReport* const report_;
  ResendReport::Missing missing_;
  std::map<Day, std::unique_ptr<DayRows>> days_;
  std::map<Day, std::vector<Lsn>> held_;
  size_t rows_ = 0;
  uint64_t blocks_ = 0;
  Status failed_;
};

}  // namespace

StatusOr<ResendReport> ResendHistory(const history::WatchedHistory& history,
                                     const meta::Catalog& catalog,
                                     const std::vector<ResendSource>& sources,
                                     std::string_view incarnation) {
  PX_ASSIGN_OR_RETURN(const std::string stored, history.history->Incarnation(""));
  if (!stored.empty() && stored != incarnation) {
    return FailedPrecondition(
        "history belongs to data directory {}, this one is {}: nothing was sent", stored,
        incarnation);
  }
  ResendReport report;
  for (const column::SchemaPtr& schema : catalog.Tables()) {
    for (const ResendSource& source : sources) {
      PX_RETURN_IF_ERROR(
          TableResend(history, schema, source, std::string(incarnation), &report).Run());
    }
  }
  // Last: from now on history counts as whole.
  PX_RETURN_IF_ERROR(history.history->Incarnation(incarnation).status());
  return report;
}

}  // namespace proxist::server
