#include "bench/market.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace proxist::bench {
namespace {

constexpr size_t kRecentTicks = 8192;
constexpr int64_t kLateNs = 30'000'000'000;
constexpr int64_t kTimestampNs = 1'000'000;
constexpr int64_t kCent = 100;  // of prices in ten-thousandths

column::TableSchema Declare(std::string name, std::vector<column::ColumnDef> columns) {
  column::TableSchema schema;
  schema.name = std::move(name);
  schema.columns = std::move(columns);
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    schema.columns[i].id = ColumnId(static_cast<uint32_t>(i + 1));
  }
  schema.series = {0};
  return schema;
}

column::ColumnDef Column(std::string name, column::TypeKind kind, uint8_t scale = 0,
                         bool nullable = false) {
  return {.id = {}, .name = std::move(name), .type = {kind, scale}, .nullable = nullable};
}

}  // namespace

MarketOptions OneVenue() {
  return {.symbols = 200, .venues = 1, .late_share = 0, .correction_share = 0, .cancel_share = 0};
}

MarketOptions AllVenues() { return {.symbols = 1000, .venues = 8}; }

column::TableSchema QuotesTable() {
  using column::TypeKind;
  return Declare("quotes",
                 {Column("venue", TypeKind::kSymbol), Column("bid", TypeKind::kDecimal, 4),
                  Column("bid_size", TypeKind::kInt64), Column("ask", TypeKind::kDecimal, 4),
                  Column("ask_size", TypeKind::kInt64)});
}

column::TableSchema TradesTable() {
  using column::TypeKind;
  return Declare(
      "trades",
      {Column("venue", TypeKind::kSymbol), Column("price", TypeKind::kDecimal, 4),
       Column("size", TypeKind::kInt64), Column("condition", TypeKind::kSymbol, 0, true)});
}

struct Market::Tick {
  uint32_t symbol = 0;
  uint32_t venue = 0;
  Timestamp ts;
  uint64_t seq = 0;
  int64_t price = 0;
  int64_t size = 0;
  column::Op op = column::Op::kPut;
};

/// One table's rows: the next seq, and what was sent recently and may be corrected.
struct Market::Feed {
  column::SchemaPtr schema;
  bool quotes;
  uint64_t next_seq = 1;
  std::vector<Tick> recent;
  size_t oldest = 0;

  void Remember(const Tick& tick) {
    if (recent.size() < kRecentTicks) {
      recent.push_back(tick);
    } else {
      recent[oldest] = tick;
      oldest = (oldest + 1) % kRecentTicks;
    }
  }
};

Market::Market(const MarketOptions& options)
    : options_(options),
      now_(options.start),
      random_(options.seed),
      quotes_(new Feed{std::make_shared<column::TableSchema>(QuotesTable()), true, 1, {}, 0}),
      trades_(new Feed{std::make_shared<column::TableSchema>(TradesTable()), false, 1, {}, 0}) {
  for (size_t i = 0; i < options.symbols; ++i) {
    symbols_.push_back(fmt::format("S{:03}", i));
    mid_.push_back(200'000 + static_cast<int64_t>(random_() % 4'000'000) / kCent * kCent);
  }
  for (size_t i = 0; i < options.venues; ++i) {
    venues_.push_back(std::string(1, static_cast<char>('A' + i % 26)) +
                      (i < 26 ? "" : std::to_string(i / 26)));
  }
}

Market::~Market() = default;

column::Batch Market::NextQuotes(Duration span, size_t rows) {
  return Next(quotes_.get(), span, rows);
}
column::Batch Market::NextTrades(Duration span, size_t rows) {
  return Next(trades_.get(), span, rows);
}

Market::Tick Market::NewTick(Feed* feed, Duration span, size_t index, size_t rows) {
  std::uniform_real_distribution<double> unit(0, 1);
  Tick tick;
  // A few symbols make most of the market.
  const double skewed = unit(random_) * unit(random_);
  tick.symbol = static_cast<uint32_t>(skewed * static_cast<double>(symbols_.size()));
  tick.venue = static_cast<uint32_t>(random_() % venues_.size());
  int64_t ns = now_.ns() + span.ns() / static_cast<int64_t>(rows) * static_cast<int64_t>(index);
  if (unit(random_) < options_.late_share) ns -= static_cast<int64_t>(unit(random_) * kLateNs);
  tick.ts = std::max(options_.start, Timestamp(ns / kTimestampNs * kTimestampNs));
  tick.seq = feed->next_seq++;
  int64_t& mid = mid_[tick.symbol];
  mid = std::max<int64_t>(100 * kCent, mid + (static_cast<int64_t>(random_() % 3) - 1) * kCent);
  tick.price = mid;
  tick.size = 100 * (1 + static_cast<int64_t>(random_() % 20));
  return tick;
}

void Market::AddTick(const Feed& feed, const Tick& tick, column::BatchBuilder* out) {
  out->AddRow(symbols_[tick.symbol], tick.ts, tick.seq, tick.op);
  out->SetText(0, venues_[tick.venue]);
  if (feed.quotes) {
    out->SetInt(1, tick.price - kCent);
    out->SetInt(2, tick.size);
    out->SetInt(3, tick.price + kCent);
    out->SetInt(4, 100 + tick.size / 2);
    return;
  }
  out->SetInt(1, tick.price);
  out->SetInt(2, tick.size);
  if (tick.seq % 16 == 0) out->SetText(3, tick.seq % 32 == 0 ? "odd" : "cross");
}

column::Batch Market::Next(Feed* feed, Duration span, size_t rows) {
  std::uniform_real_distribution<double> unit(0, 1);
  column::BatchBuilder out(feed->schema);
  std::vector<Tick> fresh;
  std::set<uint64_t> rewritten;
  for (size_t i = 0; i < rows; ++i) {
    const double draw = unit(random_);
    if (draw < options_.correction_share + options_.cancel_share && !feed->recent.empty()) {
      Tick tick = feed->recent[random_() % feed->recent.size()];
      if (rewritten.insert(tick.seq).second) {
        tick.op = draw < options_.cancel_share ? column::Op::kCancel : column::Op::kPut;
        tick.price += kCent;
        AddTick(*feed, tick, &out);
        continue;
      }
    }
    fresh.push_back(NewTick(feed, span, i, rows));
    AddTick(*feed, fresh.back(), &out);
  }
  for (const Tick& tick : fresh) feed->Remember(tick);
  return out.Build();
}

}  // namespace proxist::bench
