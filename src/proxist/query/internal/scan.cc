// What memory answers, what history must, and the two together.
#include "proxist/query/internal/scan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "proxist/base/check.h"
#include "proxist/query/internal/merge.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {
namespace {

// More symbols than this in one request make its text long and its answer late.
constexpr size_t kSymbolsPerRead = 1000;

}  // namespace

// --- SymbolScan ---

void SymbolScan::AddSeries(const hot::SeriesSnapshot& snapshot) {
  Series& series = series_.emplace_back();
  series.snapshot = snapshot;
  series.floor = snapshot.floor();
  const std::optional<Timestamp> seam = table_->context_->seam;
  if (seam.has_value() && *seam > series.floor) {
    series.floor = *seam;
    series.hot_from = After(*seam);
    return;
  }
  if (series.floor == Timestamp::Min()) return;
  const std::optional<std::span<const hot::RowRun>> boundary = snapshot.Boundary();
  series.hot_from = After(series.floor);
  if (!boundary.has_value()) return;
  series.boundary_known = true;
  series.hot_from = Timestamp::Min();
  if (boundary->empty()) return;
  series.boundary.assign(boundary->begin(), boundary->end());
  const hot::RowRun& first = series.boundary.front();
  series.boundary_ts = Timestamp(hot::TimestampsOf(*first.block)[first.begin]);
  series.hot_from = series.boundary_ts;
}

std::vector<uint32_t> SymbolScan::Chosen(std::span<const uint32_t> series) const {
  if (!series.empty()) return {series.begin(), series.end()};
  std::vector<uint32_t> all(series_.size());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

Timestamp SymbolScan::HotFrom(std::span<const uint32_t> series) const {
  Timestamp from = Timestamp::Min();
  for (const uint32_t i : Chosen(series)) from = std::max(from, series_[i].hot_from);
  return from;
}

Timestamp SymbolScan::GreatestFloor(std::span<const uint32_t> series) const {
  Timestamp floor = Timestamp::Min();
  for (const uint32_t i : Chosen(series)) floor = std::max(floor, series_[i].floor);
  return floor;
}

std::optional<Span> SymbolScan::HistorySpan(Span span, std::span<const uint32_t> series) const {
  Timestamp to = Timestamp::Min();
  for (const uint32_t i : Chosen(series)) {
    const Series& one = series_[i];
    if (one.hot_from > span.from && one.floor >= span.from) {
      to = std::max(to, std::min(span.to, one.floor));
    }
  }
  if (to < span.from) return std::nullopt;
  return Span{span.from, to};
}

const SymbolScan::ColdPart* SymbolScan::CoverOf(Span span, std::span<const uint32_t> series) const {
  const std::optional<Span> needed = HistorySpan(span, series);
  if (!needed.has_value()) return nullptr;
  for (const ColdPart& part : cold_) {
    if (part.span.from <= needed->from && needed->to <= part.span.to) return &part;
  }
  return nullptr;
}

bool SymbolScan::NeedsHistory(Span span, std::span<const uint32_t> series) const {
  return HistorySpan(span, series).has_value() && CoverOf(span, series) == nullptr;
}

std::optional<Timestamp> SymbolScan::StepBack(Timestamp at, size_t rows,
                                              std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  for (const uint32_t i : Chosen(series)) {
    const Series& one = series_[i];
    std::optional<Timestamp> bound;
    if (at > one.floor) bound = one.snapshot.StepBack(at, rows);
    if (!bound.has_value() && rows == 1 && !one.boundary.empty() && one.boundary_ts <= at) {
      bound = one.boundary_ts;
    }
    if (bound.has_value()) best = std::max(best.value_or(*bound), *bound);
  }
  return best;
}

std::optional<Timestamp> SymbolScan::StepForward(Timestamp at, size_t rows,
                                                 std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  for (const uint32_t i : Chosen(series)) {
    const Series& one = series_[i];
    std::optional<Timestamp> bound;
    if (rows == 1 && !one.boundary.empty() && one.boundary_ts >= at) {
      bound = one.boundary_ts;
    } else {
      bound = one.snapshot.StepForward(at, rows);
    }
    if (bound.has_value()) best = std::min(best.value_or(*bound), *bound);
  }
  return best;
}

std::optional<Timestamp> SymbolScan::LateBefore(Timestamp at,
                                                std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  std::vector<hot::LateRow> late;
  for (const uint32_t i : Chosen(series)) {
    late.clear();
    series_[i].snapshot.LateRows(Timestamp::Min(), at, persisted_, &late);
    if (late.empty()) continue;
    const Timestamp ts(hot::TimestampsOf(*late.back().block)[late.back().row]);
    best = std::max(best.value_or(ts), ts);
  }
  return best;
}

std::optional<Timestamp> SymbolScan::LateAfter(Timestamp at,
                                               std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  std::vector<hot::LateRow> late;
  for (const uint32_t i : Chosen(series)) {
    late.clear();
    series_[i].snapshot.LateRows(at, Timestamp::Max(), persisted_, &late);
    if (late.empty()) continue;
    const Timestamp ts(hot::TimestampsOf(*late.front().block)[late.front().row]);
    best = std::min(best.value_or(ts), ts);
  }
  return best;
}

void SymbolScan::CollectPieces(uint32_t index, Span span, const ColdPart* cold,
                               SeriesTotals* totals, std::vector<Piece>* pieces) const {
  const Series& series = series_[index];
  const Timestamp floor = series.floor;
  std::vector<hot::RowRun> runs;
  if (span.from <= floor && series.hot_from <= span.from) {
    if (!series.boundary.empty() && series.boundary_ts >= span.from &&
        series.boundary_ts <= span.to) {
      runs = series.boundary;
    }
  } else if (span.from <= floor) {
    std::vector<hot::LateRow> late;
    const Timestamp to = std::min(span.to, floor);
    series.snapshot.LateRows(span.from, to, persisted_, &late);
    std::span<const uint32_t> rows;
    if (cold != nullptr) {
      const std::vector<int64_t>& ts = cold->batch->ts;
      const std::vector<uint32_t>& all = cold->rows[index];
      const auto first = std::partition_point(
          all.begin(), all.end(), [&](uint32_t row) { return Timestamp(ts[row]) < span.from; });
      const auto last = std::partition_point(
          first, all.end(), [&](uint32_t row) { return Timestamp(ts[row]) <= to; });
      rows = {first, last};
    }
    Resolve(cold == nullptr ? nullptr : cold->batch.get(), rows, late, pieces);
  }
  size_t from_history = 0;
  for (const Piece& piece : *pieces) from_history += piece.end - piece.begin;
  table_->context_->explain->rows_cold += from_history;
  if (span.to > floor) {
    const Timestamp end = span.to == Timestamp::Max() ? span.to : After(span.to);
    if (totals == nullptr) {
      series.snapshot.Runs(std::max(span.from, After(floor)), end, &runs);
    } else {
      totals->Read(series.snapshot, index, std::max(span.from, After(floor)), end, &runs);
    }
  }
  for (const hot::RowRun& run : runs) {
    if (run.begin == run.end) continue;
    table_->context_->explain->rows_hot += run.end - run.begin;
    pieces->push_back({run.block, nullptr, run.begin, run.end});
  }
}

std::optional<std::vector<Piece>> SymbolScan::HotPieces(Span span) {
  span.from = std::max(span.from, kMinRowTimestamp);
  if (span.from > span.to) return std::vector<Piece>();
  if (HistorySpan(span, {}).has_value()) return std::nullopt;
  if (series_.size() == 1) {
    std::vector<Piece> pieces;
    CollectPieces(0, span, nullptr, nullptr, &pieces);
    return pieces;
  }
  std::vector<std::vector<Piece>> by_series(series_.size());
  for (uint32_t i = 0; i < series_.size(); ++i) {
    CollectPieces(i, span, nullptr, nullptr, &by_series[i]);
  }
  return Merge(by_series);
}

StatusOr<exec::Frame> SymbolScan::Read(Span span, std::span<const uint32_t> series) {
  return ReadRows(span, series, nullptr);
}

StatusOr<exec::Frame> SymbolScan::ReadWithTotals(Span span, SeriesTotals* totals) {
  return ReadRows(span, {}, totals);
}

StatusOr<exec::Frame> SymbolScan::ReadRows(Span span, std::span<const uint32_t> series,
                                           SeriesTotals* totals) {
  span.from = std::max(span.from, kMinRowTimestamp);
  if (span.from > span.to) return MakeFrame({}, table_->columns_, table_->schema());
  if (NeedsHistory(span, series)) {
    const TableScan::Request request{this, span, {series.begin(), series.end()}};
    PX_RETURN_IF_ERROR(table_->Prefetch({&request, 1}));
  }
  const Stopwatch watch(table_->context_->budget->clock(), &table_->context_->explain->hot);
  const ColdPart* cold = CoverOf(span, series);
  std::vector<std::vector<Piece>> by_series;
  for (const uint32_t i : Chosen(series)) {
    CollectPieces(i, span, cold, totals, &by_series.emplace_back());
  }
  if (totals != nullptr) {
    table_->context_->explain->rows_in_totals += totals->rows();
    PX_RETURN_IF_ERROR(table_->context_->budget->Charge(totals->bytes()));
  }
  uint64_t rows = 0;
  for (const std::vector<Piece>& pieces : by_series) {
    for (const Piece& piece : pieces) rows += piece.end - piece.begin;
  }
  if (rows > UINT32_MAX) {
    return ResourceExhausted("{} rows of {} at once: narrow the time range", rows, text_);
  }
  PX_RETURN_IF_ERROR(table_->context_->budget->Charge(rows * table_->RowBytes()));
  exec::Frame frame = MakeFrame(Merge(by_series), table_->columns_, table_->schema());
  if (cold != nullptr) frame.keepalive.push_back(cold->batch);
  return frame;
}

// --- TableScan ---

TableScan::TableScan(QueryContext* context, ShardCut* cut, column::SchemaPtr schema,
                     std::vector<size_t> columns)
    : context_(context), cut_(cut), schema_(std::move(schema)), columns_(std::move(columns)) {
  row_bytes_ = sizeof(int64_t) + sizeof(uint64_t);
  for (const size_t column : columns_) {
    row_bytes_ += exec::Column(schema_->columns[column].type).stride();
  }
}

std::unique_ptr<SymbolScan> TableScan::Open(std::string_view symbol) {
  const uint32_t code = cut_->symbols->Code(symbol);
  if ((code & exec::Symbols::kLocalBit) != 0) return nullptr;
  std::vector<hot::SeriesSnapshot> snapshots;
  cut_->guard.SeriesOf(schema_->id, code, &snapshots);
  if (snapshots.empty()) return nullptr;
  auto scan = std::make_unique<SymbolScan>();
  scan->table_ = this;
  scan->text_ = symbol;
  scan->code_ = code;
  scan->series_.reserve(snapshots.size());
  for (const hot::SeriesSnapshot& snapshot : snapshots) scan->AddSeries(snapshot);
  scan->persisted_ = cut_->guard.persisted();
  NoteSeam(*scan);
  return scan;
}

void TableScan::NoteSeam(const SymbolScan& symbol) {
  const Timestamp floor = symbol.GreatestFloor({});
  for (Explain::Seam& seam : context_->explain->seams) {
    if (seam.shard != cut_->view->id() || seam.table != schema_->name) continue;
    seam.floor = std::max(seam.floor, floor);
    seam.persisted = std::max(seam.persisted, symbol.persisted_);
    return;
  }
  context_->explain->seams.push_back(
      {cut_->view->id(), schema_->name, cut_->guard.cut(), symbol.persisted_, floor});
}

StatusOr<std::span<const Day>> TableScan::Days() {
  if (!days_.has_value()) {
    if (context_->ports->history == nullptr) return Explained(OkStatus(), "", Timestamp::Min());
    const Stopwatch watch(context_->budget->clock(), &context_->explain->cold);
    PX_RETURN_IF_ERROR(context_->budget->CheckDeadline());
    StatusOr<std::vector<Day>> days = context_->ports->history->Days(*schema_);
    if (!days.ok()) return Explained(days.status(), "", Timestamp::Min());
    ++context_->explain->history_reads;
    days_ = std::move(*days);
  }
  return std::span<const Day>(*days_);
}

Status TableScan::Explained(const Status& status, std::string_view symbol, Timestamp floor) const {
  std::string where = fmt::format("table {}", schema_->name);
  if (!symbol.empty()) {
    where += fmt::format(", symbol {}, floor {}", symbol, FormatIso8601(floor));
  }
  if (status.ok()) {
    return FailedPrecondition(
        "the answer needs rows at or below the hot floor ({}), and this server runs without "
        "history",
        where);
  }
  if (status.code() == absl::StatusCode::kUnavailable) {
    return Unavailable(
        "the answer needs rows at or below the hot floor ({}), and history is unavailable: {}",
        where, Message(status));
  }
  return Annotate(status, fmt::format("reading history ({})", where));
}

Status TableScan::Prefetch(std::span<const Request> requests) {
  struct Need {
    SymbolScan* symbol;
    Span span;
  };
  std::vector<Need> needs;
  for (const Request& request : requests) {
    const Span span{std::max(request.span.from, kMinRowTimestamp), request.span.to};
    if (span.from > span.to || !request.symbol->NeedsHistory(span, request.series)) continue;
    needs.push_back({request.symbol, *request.symbol->HistorySpan(span, request.series)});
  }
  std::sort(needs.begin(), needs.end(),
            [](const Need& a, const Need& b) { return a.span.from < b.span.from; });
  // Spans that overlap share a request; so do short ones that lie close together.
  for (size_t i = 0; i < needs.size();) {
    Span all = needs[i].span;
    std::vector<SymbolScan*> symbols{needs[i].symbol};
    size_t next = i + 1;
    for (; next < needs.size() && symbols.size() < kSymbolsPerRead; ++next) {
      const Duration length(all.to.ns() - all.from.ns());
      if (needs[next].span.from > all.to.Plus(length).Plus(Duration::Seconds(60))) break;
      all.to = std::max(all.to, needs[next].span.to);
      symbols.push_back(needs[next].symbol);
    }
    PX_RETURN_IF_ERROR(ReadHistory(symbols, all));
    i = next;
  }
  return OkStatus();
}

Status TableScan::ReadHistory(std::span<SymbolScan* const> symbols, Span span) {
  SymbolScan& first = *symbols[0];
  if (context_->ports->history == nullptr) {
    return Explained(OkStatus(), first.text(), first.GreatestFloor({}));
  }
  PX_RETURN_IF_ERROR(context_->budget->CheckDeadline());
  const Stopwatch watch(context_->budget->clock(), &context_->explain->cold);
  history::ReadRequest request;
  request.schema = schema_;
  request.shard = cut_->view->id();
  request.from = span.from;
  request.to = std::min(span.to, kMaxRowTimestamp);
  // One request serves symbols that were opened at different moments: it reads up to the greatest
  // of their persisted LSNs, and each takes what lies at or below its own. What lies above is in
  // memory for it.
  std::map<uint32_t, SymbolScan*> by_code;
  for (SymbolScan* symbol : symbols) {
    if (!by_code.emplace(symbol->code(), symbol).second) continue;
    request.symbols.push_back(symbol->text());
    request.max_version =
        std::max(request.max_version, std::min(symbol->persisted_, cut_->guard.cut()));
  }
  request.columns = columns_;
  request.timeout = context_->budget->Remaining();
  const uint64_t row_bytes = RowBytes() + 32;
  request.max_rows = static_cast<size_t>(
      std::max<uint64_t>(1, (context_->budget->limit() - context_->budget->held()) / row_bytes));
  StatusOr<history::ReadResult> read = context_->ports->history->Read(request);
  if (!read.ok()) return Explained(read.status(), first.text(), first.GreatestFloor({}));
  ++context_->explain->history_reads;
  if (cut_->view->RewriteHandedToFlush(schema_->id) > cut_->guard.cut()) {
    context_->overtaken = true;
    return Aborted("corrections of {} reached history during the query", schema_->name);
  }
  PX_RETURN_IF_ERROR(context_->budget->Charge(read->batch.rows * row_bytes));
  std::vector<size_t> mapped = columns_;
  mapped.insert(mapped.end(), schema_->series.begin(), schema_->series.end());
  const auto batch =
      std::make_shared<const ColdBatch>(std::move(*read), mapped, cut_->symbols.get());
  for (const auto& [code, symbol] : by_code) {
    symbol->cold_.push_back(
        {span, batch, std::vector<std::vector<uint32_t>>(symbol->series_count())});
  }
  std::vector<uint32_t> codes(schema_->series.size());
  for (uint32_t row = 0; row < batch->ts.size(); ++row) {
    const auto symbol = by_code.find(batch->SymbolAt(row));
    if (symbol == by_code.end()) {
      return Internal("history answered with a symbol that it was not asked for");
    }
    for (size_t i = 0; i < codes.size(); ++i) {
      const size_t column = schema_->series[i];
      codes[i] = batch->column_codes[column][batch->result.batch.columns[column].At<uint32_t>(row)];
    }
    SymbolScan& scan = *symbol->second;
    if (batch->result.versions[row] > scan.persisted_.value()) continue;
    size_t series = 0;
    while (series < scan.series_count() &&
           !std::equal(codes.begin(), codes.end(), scan.series_codes(series).begin())) {
      ++series;
    }
    if (series == scan.series_count()) {
      return Internal("history holds a series of {} in {} that the manifest does not list",
                      scan.text(), schema_->name);
    }
    scan.cold_.back().rows[series].push_back(row);
  }
  return OkStatus();
}

}  // namespace proxist::query::internal
