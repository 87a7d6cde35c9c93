// Totals stand for rows at or below the floors, where no late row lies; they end at the first one.
#include "proxist/query/internal/cold_totals.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

namespace proxist::query::internal {
namespace {

/// Symbols whose totals one request brings: history is read up to the same moment and version.
using Alike = std::pair<Timestamp, Lsn>;

bool NotExact(const Status& status) { return status.code() == absl::StatusCode::kUnimplemented; }

}  // namespace

std::optional<Timestamp> SymbolScan::TotalsEnd(Span span) const {
  if (!HistorySpan(span, {}).has_value()) return std::nullopt;
  std::optional<Timestamp> end;
  for (const Series& series : series_) {
    if (series.floor == Timestamp::Min()) continue;  // nothing of it left memory
    end = std::min(end.value_or(span.to), series.floor);
  }
  if (!end.has_value()) return std::nullopt;
  const std::optional<Timestamp> late = LateAfter(span.from, {});
  if (late.has_value() && *late <= *end) end = Before(*late);
  // A row or two are read as they are.
  if (*end <= span.from) return std::nullopt;
  return end;
}

void SymbolScan::KeepTotals(ColdTotals totals) {
  totals_ = std::make_unique<ColdTotals>(std::move(totals));
}

void SymbolScan::AppendTotals(uint32_t index, SeriesTotals* totals,
                              std::vector<Piece>* pieces) const {
  for (const size_t g : totals_->by_series[index]) {
    const history::TotalsGroup& group = (*totals_->groups)[g];
    const auto begin = static_cast<uint32_t>(group.first);
    AppendRows(pieces,
               {nullptr, totals_->batch.get(), begin, begin + static_cast<uint32_t>(group.count)});
    table_->context().explain->rows_cold += group.count;
    totals->AddCold(index, Timestamp(totals_->batch->ts[group.first]), group);
  }
}

Status TableScan::ReadTotals(std::span<SymbolScan* const> symbols, Span span,
                             history::TotalsRequest wanted) {
  PX_RETURN_IF_ERROR(context_->budget->CheckHistory());
  PX_ASSIGN_OR_RETURN(std::vector<Day> rewritten, context_->ports->rewritten_days(schema_->id));
  const Stopwatch watch(context_->budget->clock(), &context_->explain->cold);
  history::ReadRequest& rows = wanted.rows;
  FillRequest(span, &rows);
  rows.push_down = history::PushDown{std::move(rewritten), {}};
  rows.max_version = std::min(symbols[0]->persisted_, cut_->guard.cut());
  std::map<uint32_t, SymbolScan*> by_code;
  for (SymbolScan* symbol : symbols) {
    if (by_code.emplace(symbol->code(), symbol).second) rows.symbols.push_back(symbol->text());
  }
  StatusOr<history::TotalsResult> read = context_->ports->history->ReadTotals(wanted);
  if (NotExact(read.status())) return OkStatus();
  SymbolScan& first = *symbols[0];
  if (!read.ok()) return Explained(read.status(), first.text(), first.GreatestFloor({}));
  ++context_->explain->history_reads;
  PX_RETURN_IF_ERROR(CheckNotOvertaken());
  PX_RETURN_IF_ERROR(context_->budget->Charge(read->ends.batch.rows * (RowBytes() + 64) +
                                              read->groups.size() * wanted.columns.size() *
                                                  sizeof(exec::ColumnTotals)));
  const auto groups =
      std::make_shared<const std::vector<history::TotalsGroup>>(std::move(read->groups));
  const std::shared_ptr<const ColdBatch> batch = MakeBatch(std::move(read->ends));
  for (SymbolScan* symbol : symbols) {
    symbol->KeepTotals(
        {span, batch, groups, std::vector<std::vector<size_t>>(symbol->series_count())});
  }
  for (size_t g = 0; g < groups->size(); ++g) {
    const auto row = static_cast<uint32_t>((*groups)[g].first);
    PX_ASSIGN_OR_RETURN(const auto place, PlaceOf(*batch, row, by_code));
    place.first->totals_->by_series[place.second].push_back(g);
  }
  return OkStatus();
}

Status PrefetchWithTotals(std::span<SymbolScan* const> symbols, Span span,
                          const SeriesTotals& wish) {
  if (symbols.empty()) return OkStatus();
  span.from = std::max(span.from, symbols[0]->table().least());  // all are of one table
  std::map<TableScan*, std::map<Alike, std::vector<SymbolScan*>>> alike;
  for (SymbolScan* symbol : symbols) {
    TableScan& table = symbol->table();
    if (span.from > span.to || !table.PushesDown()) continue;
    if (const std::optional<Timestamp> end = symbol->TotalsEnd(span)) {
      alike[&table][{*end, symbol->persisted()}].push_back(symbol);
    }
  }
  for (auto& [table, parts] : alike) {
    for (auto& [of, members] : parts) {
      const Span cold{span.from, of.first};
      std::optional<history::TotalsRequest> request = wish.ColdRequest(cold);
      if (!request.has_value()) continue;
      PX_RETURN_IF_ERROR(table->ReadTotals(members, cold, std::move(*request)));
    }
  }
  std::map<TableScan*, std::vector<TableScan::Request>> rest;
  for (SymbolScan* symbol : symbols) {
    rest[&symbol->table()].push_back({symbol, symbol->BeyondTotals(span), {}});
  }
  for (auto& [table, requests] : rest) {
    Budget& budget = *table->context().budget;
    const uint64_t held = budget.held();
    const Status read = table->Prefetch(requests);
    if (read.ok()) continue;
    // Too much for all at once: each symbol reads its own rows when its turn comes.
    if (read.code() != absl::StatusCode::kResourceExhausted || requests.size() == 1) return read;
    for (const TableScan::Request& request : requests) request.symbol->DropHistory();
    budget.ReleaseTo(held);
  }
  return OkStatus();
}

}  // namespace proxist::query::internal
