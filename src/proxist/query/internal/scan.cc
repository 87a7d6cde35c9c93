// What memory answers, what history must, and the two together.
#include "proxist/query/internal/scan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "proxist/base/check.h"
#include "proxist/query/internal/cold_cache.h"
#include "proxist/query/internal/cold_totals.h"
#include "proxist/query/internal/explain.h"
#include "proxist/query/internal/merge.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {
namespace {

// More symbols than this in one request make its text long and its answer late.
constexpr size_t kSymbolsPerRead = 1000;

}  // namespace

// --- SymbolScan ---

SymbolScan::SymbolScan() = default;
SymbolScan::~SymbolScan() = default;

SeriesFloors SymbolScan::Floors() const {
  SeriesFloors out{text_, {}};
  for (const Series& series : series_) {
    const std::span<const uint32_t> codes = series.snapshot.series_codes();
    out.floors.emplace(std::vector<uint32_t>(codes.begin(), codes.end()), series.floor);
  }
  return out;
}

Span SymbolScan::BeyondTotals(Span span) const {
  if (totals_ == nullptr || totals_->span.from != span.from) return span;
  // One that is empty: nothing is left of it.
  if (totals_->span.to >= span.to) return {Timestamp::Max(), span.to};
  return {After(totals_->span.to), span.to};
}

void SymbolScan::AddSeries(const hot::SeriesSnapshot& snapshot) {
  Series& series = series_.emplace_back();
  series.snapshot = snapshot;
  series.floor = snapshot.floor();
  if (table_->as_of_.has_value()) {
    // Memory resolved versions already: history alone has those of then.
    series.floor = std::max(series.floor, kMaxRowTimestamp);
    series.hot_from = After(kMaxRowTimestamp);
    return;
  }
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
  if (series.boundary_ts < table_->least()) {
    series.boundary.clear();  // nothing that exists lies at or below the floor
    return;
  }
  series.hot_from = series.boundary_ts;
}

template <typename Each>
void SymbolScan::ForChosen(std::span<const uint32_t> series, const Each& each) const {
  for (const uint32_t i : series) each(i, series_[i]);
  if (!series.empty()) return;
  for (uint32_t i = 0; i < series_.size(); ++i) each(i, series_[i]);
}

Timestamp SymbolScan::HotFrom(std::span<const uint32_t> series) const {
  Timestamp from = Timestamp::Min();
  ForChosen(series, [&](uint32_t, const Series& one) { from = std::max(from, one.hot_from); });
  return from;
}

Timestamp SymbolScan::GreatestFloor(std::span<const uint32_t> series) const {
  Timestamp floor = Timestamp::Min();
  ForChosen(series, [&](uint32_t, const Series& one) { floor = std::max(floor, one.floor); });
  return floor;
}

std::optional<Span> SymbolScan::HistorySpan(Span span, std::span<const uint32_t> series) const {
  Timestamp to = Timestamp::Min();
  ForChosen(series, [&](uint32_t, const Series& one) {
    if (one.hot_from > span.from && one.floor >= span.from) {
      to = std::max(to, std::min(span.to, one.floor));
    }
  });
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
  if (given_ != nullptr) {
    const std::vector<int64_t>& ts = given_->ts;
    const auto end = std::upper_bound(ts.begin(), ts.end(), at.ns());
    const auto before = static_cast<size_t>(end - ts.begin());
    return before < rows ? best : Timestamp(ts[before - rows]);
  }
  ForChosen(series, [&](uint32_t, const Series& one) {
    std::optional<Timestamp> bound;
    if (at > one.floor) bound = one.snapshot.StepBack(at, rows);
    if (!bound.has_value() && rows == 1 && !one.boundary.empty() && one.boundary_ts <= at) {
      bound = one.boundary_ts;
    }
    if (bound.has_value()) best = std::max(best.value_or(*bound), *bound);
  });
  return best;
}

uint64_t SymbolScan::MostRowsInMemory() const {
  if (given_ != nullptr) return given_->rows();
  uint64_t rows = 0;
  for (const Series& series : series_) rows += series.snapshot.MostRows();
  return rows;
}

std::optional<Timestamp> SymbolScan::StepForward(Timestamp at, size_t rows,
                                                 std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  if (given_ != nullptr) {
    const std::vector<int64_t>& ts = given_->ts;
    const auto first = std::lower_bound(ts.begin(), ts.end(), at.ns());
    const auto after = static_cast<size_t>(ts.end() - first);
    return after < rows ? best : Timestamp(first[static_cast<ptrdiff_t>(rows) - 1]);
  }
  ForChosen(series, [&](uint32_t, const Series& one) {
    std::optional<Timestamp> bound;
    if (rows == 1 && !one.boundary.empty() && one.boundary_ts >= at) {
      bound = one.boundary_ts;
    } else {
      bound = one.snapshot.StepForward(at, rows);
    }
    if (bound.has_value()) best = std::min(best.value_or(*bound), *bound);
  });
  return best;
}

std::optional<Timestamp> SymbolScan::LateBefore(Timestamp at,
                                                std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  std::vector<hot::LateRow> late;
  ForChosen(series, [&](uint32_t, const Series& one) {
    late.clear();
    one.snapshot.LateRows(Timestamp::Min(), at, late_above_, &late);
    if (late.empty()) return;
    const Timestamp ts(hot::TimestampsOf(*late.back().block)[late.back().row]);
    best = std::max(best.value_or(ts), ts);
  });
  return best;
}

std::optional<Timestamp> SymbolScan::LateAfter(Timestamp at,
                                               std::span<const uint32_t> series) const {
  std::optional<Timestamp> best;
  std::vector<hot::LateRow> late;
  ForChosen(series, [&](uint32_t, const Series& one) {
    late.clear();
    one.snapshot.LateRows(at, Timestamp::Max(), late_above_, &late);
    if (late.empty()) return;
    const Timestamp ts(hot::TimestampsOf(*late.front().block)[late.front().row]);
    best = std::min(best.value_or(ts), ts);
  });
  return best;
}

void SymbolScan::CollectPieces(uint32_t index, Span span, const ColdPart* cold,
                               SeriesTotals* totals, std::vector<Piece>* pieces) const {
  const Series& series = series_[index];
  const Timestamp floor = series.floor;
  const uint64_t before = RowsOf(*pieces);
  std::vector<hot::RowRun>& runs = table_->runs_room_;
  runs.clear();
  if (span.from <= floor && series.hot_from <= span.from) {
    if (!series.boundary.empty() && series.boundary_ts >= span.from &&
        series.boundary_ts <= span.to) {
      runs = series.boundary;
    }
  } else if (span.from <= floor) {
    std::vector<hot::LateRow> late;
    const Timestamp to = std::min(span.to, floor);
    // Without history the boundary is what memory knows of its time, late rows included.
    const bool boundary = table_->context_->without_history && !series.boundary.empty() &&
                          series.boundary_ts >= span.from && series.boundary_ts <= to;
    if (boundary) runs = series.boundary;
    series.snapshot.LateRows(span.from, boundary ? Before(series.boundary_ts) : to, late_above_,
                             &late);
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
  table_->context_->explain->rows_cold += RowsOf(*pieces) - before;
  if (span.to > floor) {
    const Timestamp end = span.to == Timestamp::Max() ? span.to : After(span.to);
    if (totals == nullptr) {
      series.snapshot.Runs(std::max(span.from, After(floor)), end, &runs);
    } else {
      totals->Read(series.snapshot, index, std::max(span.from, After(floor)), end, &runs);
    }
  }
  pieces->reserve(pieces->size() + runs.size());
  for (const hot::RowRun& run : runs) {
    if (run.begin == run.end) continue;
    table_->context_->explain->rows_hot += run.end - run.begin;
    pieces->push_back({run.block, nullptr, run.begin, run.end});
  }
}

std::optional<std::vector<Piece>> SymbolScan::HotPieces(Span span) {
  span.from = std::max(span.from, table_->least());
  if (span.from > span.to) return std::vector<Piece>();
  if (given_ != nullptr || HistorySpan(span, {}).has_value()) return std::nullopt;
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

void SymbolScan::Uncount(uint64_t rows) { table_->context_->explain->rows_hot -= rows; }

void SymbolScan::Count(uint64_t rows) { table_->context_->explain->rows_hot += rows; }

void SymbolScan::CountInPlace(uint64_t rows) { table_->context_->explain->rows_in_place += rows; }

StatusOr<exec::Frame> SymbolScan::Read(Span span, std::span<const uint32_t> series) {
  return ReadRows(span, series, nullptr);
}

StatusOr<exec::Frame> SymbolScan::ReadWithTotals(Span span, SeriesTotals* totals) {
  return ReadRows(span, {}, totals);
}

StatusOr<exec::Frame> SymbolScan::ReadRows(Span span, std::span<const uint32_t> series,
                                           SeriesTotals* totals) {
  span.from = std::max(span.from, table_->least());
  if (span.from > span.to) return MakeFrame({}, table_->columns_, table_->schema());
  if (given_ != nullptr) return ReadGiven(span);
  // What totals of history stand for is not read again.
  const Span rest = totals == nullptr ? span : BeyondTotals(span);
  if (rest.from <= rest.to && NeedsHistory(rest, series)) {
    const TableScan::Request request{this, rest, {series.begin(), series.end()}};
    PX_RETURN_IF_ERROR(table_->Prefetch({&request, 1}));
  }
  const Stopwatch watch(table_->context_->budget->clock(), &table_->context_->explain->hot);
  const ColdPart* cold = rest.from <= rest.to ? CoverOf(rest, series) : nullptr;
  const bool from_totals = rest.from != span.from;
  std::vector<std::vector<Piece>> by_series;
  ForChosen(series, [&](uint32_t i, const Series& one) {
    std::vector<Piece>& pieces = by_series.emplace_back();
    if (from_totals && one.floor != Timestamp::Min()) {
      AppendTotals(i, totals, &pieces);
      if (rest.from <= rest.to) CollectPieces(i, rest, cold, totals, &pieces);
    } else {
      CollectPieces(i, span, cold, totals, &pieces);
    }
  });
  if (totals != nullptr) {
    table_->context_->explain->rows_in_totals += totals->rows();
    PX_RETURN_IF_ERROR(table_->context_->budget->Charge(totals->bytes()));
  }
  uint64_t rows = 0;
  for (const std::vector<Piece>& pieces : by_series) rows += RowsOf(pieces);
  if (rows > UINT32_MAX) {
    return ResourceExhausted("{} rows of {} at once: narrow the time range", rows, text_);
  }
  PX_RETURN_IF_ERROR(table_->context_->budget->Charge(rows * table_->RowBytes()));
  exec::Frame frame = MakeFrame(Merge(by_series), table_->columns_, table_->schema());
  if (cold != nullptr) frame.keepalive.push_back(cold->batch);
  if (from_totals) frame.keepalive.push_back(totals_->batch);
  return frame;
}

StatusOr<exec::Frame> SymbolScan::ReadGiven(Span span) const {
  const std::vector<int64_t>& ts = given_->ts;
  const auto first = std::lower_bound(ts.begin(), ts.end(), span.from.ns());
  const auto last = std::upper_bound(first, ts.end(), span.to.ns());
  const auto begin = static_cast<size_t>(first - ts.begin());
  const auto end = static_cast<size_t>(last - ts.begin());
  PX_RETURN_IF_ERROR(table_->context_->budget->Charge((end - begin) * table_->RowBytes()));
  exec::Frame frame;
  frame.ts.assign(first, last);
  frame.seq.assign(given_->seq.begin() + (first - ts.begin()),
                   given_->seq.begin() + (last - ts.begin()));
  for (const exec::Column& column : given_->columns) {
    frame.columns.emplace_back(column.type()).AppendRange(column, begin, end);
  }
  frame.keepalive = {given_};
  return frame;
}

// --- TableScan ---

TableScan::TableScan(QueryContext* context, ShardCut* cut, column::SchemaPtr schema,
                     std::vector<size_t> columns, std::vector<exec::ColumnCondition> conditions)
    : context_(context),
      cut_(cut),
      schema_(std::move(schema)),
      columns_(std::move(columns)),
      conditions_(std::move(conditions)),
      least_(context->FloorOfTable(schema_->id)),
      as_of_(context->AsOf(schema_->id, cut->view->id())) {
  row_bytes_ = sizeof(int64_t) + sizeof(uint64_t);
  for (const size_t column : columns_) {
    row_bytes_ += exec::Column(schema_->columns[column].type).stride();
  }
}

std::unique_ptr<SymbolScan> TableScan::Open(std::string_view symbol, uint32_t code) {
  if ((code & exec::Symbols::kLocalBit) != 0) return nullptr;
  snapshots_room_.clear();
  cut_->guard.SeriesOf(schema_->id, code, &snapshots_room_);
  if (snapshots_room_.empty()) return nullptr;
  auto scan = std::make_unique<SymbolScan>();
  scan->table_ = this;
  scan->text_ = symbol;
  scan->code_ = code;
  scan->series_.reserve(snapshots_room_.size());
  for (const hot::SeriesSnapshot& snapshot : snapshots_room_) scan->AddSeries(snapshot);
  scan->persisted_ = as_of_.value_or(cut_->guard.persisted());
  scan->late_above_ = as_of_.has_value() ? Lsn::Max() : scan->persisted_;
  NoteSeam(*scan);
  return scan;
}

std::unique_ptr<SymbolScan> TableScan::OpenGiven(std::string_view symbol,
                                                 std::shared_ptr<const exec::Frame> given) {
  auto scan = std::make_unique<SymbolScan>();
  scan->table_ = this;
  scan->text_ = symbol;
  scan->code_ = cut_->symbols->Code(symbol);
  scan->given_ = std::move(given);
  return scan;
}

void TableScan::NoteSeam(const SymbolScan& symbol) {
  AddSeam(context_->explain, cut_->view->id(), schema_->name, cut_->guard.cut(), symbol.persisted_,
          symbol.GreatestFloor({}));
}

StatusOr<std::span<const Day>> TableScan::Days() {
  if (!days_.has_value() && context_->without_history) days_.emplace();
  if (!days_.has_value()) {
    if (context_->ports->history == nullptr) return Explained(OkStatus(), "", Timestamp::Min());
    const Stopwatch watch(context_->budget->clock(), &context_->explain->cold);
    PX_RETURN_IF_ERROR(context_->budget->CheckHistory());
    StatusOr<std::vector<Day>> days = context_->ports->history->Days(*schema_, Bounds());
    if (!days.ok()) return Explained(days.status(), "", Timestamp::Min());
    ++context_->explain->history_reads;
    days_ = std::move(*days);
  }
  return std::span<const Day>(*days_);
}

history::ReadBounds TableScan::Bounds() const {
  return {context_->budget->Remaining(), context_->budget->cancelled()};
}

void TableScan::NoteMissing(Span span) {
  for (Explain::Missing& missing : context_->explain->missing) {
    if (missing.shard != cut_->view->id() || missing.table != schema_->name) continue;
    missing.from = std::min(missing.from, span.from);
    missing.to = std::max(missing.to, span.to);
    return;
  }
  context_->explain->missing.push_back({cut_->view->id(), schema_->name, span.from, span.to});
}

Status TableScan::Explained(const Status& status, std::string_view symbol, Timestamp floor) {
  if (status.ok() || status.code() == absl::StatusCode::kUnavailable) {
    context_->history_away = true;
  }
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
    const Span span{std::max(request.span.from, least_), request.span.to};
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
  if (context_->without_history) {
    NoteMissing(span);
    history::ReadResult nothing;
    nothing.batch.columns.resize(schema_->columns.size());
    const std::shared_ptr<const ColdBatch> batch = MakeBatch(std::move(nothing));
    for (SymbolScan* symbol : symbols) {
      symbol->cold_.push_back(
          {span, batch, std::vector<std::vector<uint32_t>>(symbol->series_count())});
    }
    return OkStatus();
  }
  if (context_->ports->history == nullptr) {
    return Explained(OkStatus(), first.text(), first.GreatestFloor({}));
  }
  PX_RETURN_IF_ERROR(context_->budget->CheckHistory());
  const Stopwatch watch(context_->budget->clock(), &context_->explain->cold);
  history::ReadRequest request;
  FillRequest(span, &request);
  if (PushesDown() && !conditions_.empty()) {
    PX_ASSIGN_OR_RETURN(std::vector<Day> rewritten, context_->ports->rewritten_days(schema_->id));
    request.push_down = history::PushDown{std::move(rewritten), conditions_};
  }
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
  StatusOr<history::ReadResult> read = Ask(request, symbols);
  if (!read.ok()) return Explained(read.status(), first.text(), first.GreatestFloor({}));
  PX_RETURN_IF_ERROR(CheckNotOvertaken());
  PX_RETURN_IF_ERROR(context_->budget->Charge(read->batch.rows * ColdRowBytes()));
  const std::shared_ptr<const ColdBatch> batch = MakeBatch(std::move(*read));
  for (const auto& [code, symbol] : by_code) {
    symbol->cold_.push_back(
        {span, batch, std::vector<std::vector<uint32_t>>(symbol->series_count())});
  }
  for (uint32_t row = 0; row < batch->ts.size(); ++row) {
    // A block that was kept may hold more than this request asks for.
    if (Timestamp(batch->ts[row]) < span.from || Timestamp(batch->ts[row]) > span.to ||
        (context_->cache != nullptr && !by_code.contains(batch->SymbolAt(row)))) {
      continue;
    }
    PX_ASSIGN_OR_RETURN(const auto place, PlaceOf(*batch, row, by_code));
    SymbolScan& scan = *place.first;
    if (batch->result.versions[row] > scan.persisted_.value()) continue;
    scan.cold_.back().rows[place.second].push_back(row);
  }
  return OkStatus();
}

StatusOr<history::ReadResult> TableScan::Ask(const history::ReadRequest& request,
                                             std::span<SymbolScan* const> symbols) {
  if (context_->cache == nullptr) {
    ++context_->explain->history_reads;
    return context_->ports->history->Read(request);
  }
  std::vector<SeriesFloors> series;
  for (const SymbolScan* symbol : symbols) series.push_back(symbol->Floors());
  const Lsn rewritten = cut_->view->RewriteHandedToFlush(schema_->id);
  if (const auto kept = context_->cache->Find(request, series, rewritten)) return *kept;
  ++context_->explain->history_reads;
  PX_ASSIGN_OR_RETURN(history::ReadResult read, context_->ports->history->Read(request));
  // What a correction may have changed while it was read is not kept.
  if (cut_->view->RewriteHandedToFlush(schema_->id) <= request.max_version) {
    context_->cache->Keep(request, std::move(series),
                          std::make_shared<const history::ReadResult>(read));
  }
  return read;
}

void TableScan::FillRequest(Span span, history::ReadRequest* request) const {
  request->schema = schema_;
  request->shard = cut_->view->id();
  request->from = span.from;
  request->to = std::min(span.to, kMaxRowTimestamp);
  request->columns = columns_;
  const Budget& budget = *context_->budget;
  request->bounds = Bounds();
  request->max_rows =
      static_cast<size_t>(std::max<uint64_t>(1, (budget.limit() - budget.held()) / ColdRowBytes()));
}

Status TableScan::CheckNotOvertaken() {
  // Nothing that is kept in all versions is ever replaced.
  if (schema_->versions == column::Versions::kAll) return OkStatus();
  if (cut_->view->RewriteHandedToFlush(schema_->id) <= cut_->guard.cut()) return OkStatus();
  context_->overtaken = true;
  return Aborted("corrections of {} reached history during the query", schema_->name);
}

std::shared_ptr<const ColdBatch> TableScan::MakeBatch(history::ReadResult read) {
  std::vector<size_t> mapped = columns_;
  mapped.insert(mapped.end(), schema_->series.begin(), schema_->series.end());
  return std::make_shared<const ColdBatch>(std::move(read), mapped, cut_->symbols.get());
}

StatusOr<std::pair<SymbolScan*, size_t>> TableScan::PlaceOf(
    const ColdBatch& batch, uint32_t row, const std::map<uint32_t, SymbolScan*>& by_code) const {
  const auto symbol = by_code.find(batch.SymbolAt(row));
  if (symbol == by_code.end()) {
    return Internal("history answered with a symbol that it was not asked for");
  }
  SymbolScan& scan = *symbol->second;
  const std::vector<size_t>& columns = schema_->series;
  const auto is_series = [&](size_t series) {
    const std::span<const uint32_t> codes = scan.series_codes(series);
    for (size_t i = 0; i < columns.size(); ++i) {
      const column::ColumnView& view = batch.result.batch.columns[columns[i]];
      if (batch.column_codes[columns[i]][view.At<uint32_t>(row)] != codes[i]) return false;
    }
    return true;
  };
  for (size_t series = 0; series < scan.series_count(); ++series) {
    if (is_series(series)) return std::pair(&scan, series);
  }
  return Internal("history holds a series of {} in {} that the manifest does not list", scan.text(),
                  schema_->name);
}

}  // namespace proxist::query::internal
