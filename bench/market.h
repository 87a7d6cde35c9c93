// A simulated market: quotes and trades of many symbols on many venues, as feeds really send them.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"

namespace proxist::bench {

struct MarketOptions {
  uint64_t seed = 1;
  size_t symbols = 200;
  size_t venues = 8;
  Timestamp start{1'710'509'400'000'000'000};  // 2024-03-15T13:30:00Z
  double late_share = 0.02;                    // rows up to 30 s of market time behind
  double correction_share = 0.005;             // rows that rewrite the values of an earlier key
  double cancel_share = 0.002;                 // rows that cancel an earlier key
};

/// A feed of one venue: 200 series, in order, nothing corrected.
MarketOptions OneVenue();
/// Everything at once: 8,000 series, late rows, corrections and cancels.
MarketOptions AllVenues();

/// The declared tables `quotes` and `trades`: series by venue, seq given by the producer.
column::TableSchema QuotesTable();
column::TableSchema TradesTable();

/// Gives the same rows for the same options and calls. Timestamps have whole milliseconds, so many
/// rows of a series tie. One thread.
class Market {
 public:
  explicit Market(const MarketOptions& options);
  ~Market();

  /// The rows of the next `span` of market time: `rows` of them, none of a key twice.
  column::Batch NextQuotes(Duration span, size_t rows);
  column::Batch NextTrades(Duration span, size_t rows);
  /// Moves market time on; NextQuotes and NextTrades fill the span that starts here.
  void Advance(Duration span) { now_ = now_.Plus(span); }
  [[nodiscard]] Timestamp now() const { return now_; }

 private:
  struct Feed;
  struct Tick;
  column::Batch Next(Feed* feed, Duration span, size_t rows);
  Tick NewTick(Feed* feed, Duration span, size_t index, size_t rows);
  void AddTick(const Feed& feed, const Tick& tick, column::BatchBuilder* out);

  MarketOptions options_;
  Timestamp now_;
  std::mt19937_64 random_;
  std::vector<std::string> symbols_;
  std::vector<std::string> venues_;
  std::vector<int64_t> mid_;  // price of each symbol in ten-thousandths
  std::unique_ptr<Feed> quotes_;
  std::unique_ptr<Feed> trades_;
};

}  // namespace proxist::bench
