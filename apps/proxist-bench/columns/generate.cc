// Times from gaps that come in bursts, symbols by Zipf's law, prices as random walks.
#include "apps/proxist-bench/columns/generate.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <vector>

#include "bench/market.h"
#include "proxist/env/file_system.h"

namespace proxist::bench {
namespace {

constexpr int64_t kDayNs = 23'400'000'000'000;  // 6.5 hours of trading
constexpr int64_t kTickNs = 1000;               // resolution of times
constexpr double kTieShare = 0.15;              // rows at the time of the one before
constexpr double kBurstShare = 0.002;           // rows that start a burst
constexpr uint64_t kMostBurstRows = 200;
constexpr double kBurstGap = 0.02;  // of a usual gap
constexpr int64_t kCents = 100;

using Random = std::mt19937_64;

double Unit(Random* random) { return static_cast<double>((*random)() >> 11) * 0x1p-53; }

/// Symbol i comes with weight 1 / (i + 1).
class Zipf {
 public:
  explicit Zipf(uint32_t symbols) {
    double sum = 0;
    for (uint32_t i = 0; i < symbols; ++i) ends_.push_back(sum += 1.0 / (i + 1));
  }
  int32_t Draw(Random* random) const {
    const double at = Unit(random) * ends_.back();
    const auto found = std::upper_bound(ends_.begin(), ends_.end(), at);
    return static_cast<int32_t>(
        std::min<ptrdiff_t>(found - ends_.begin(), static_cast<ptrdiff_t>(ends_.size()) - 1));
  }

 private:
  std::vector<double> ends_;
};

/// When and of which symbol each row is; in a burst every second row is of one symbol.
struct Rows {
  std::vector<int64_t> ts;
  std::vector<int32_t> symbol;
};

Rows MakeRows(uint64_t count, const Zipf& zipf, Random* random) {
  Rows rows;
  std::vector<double> at;
  double now = 0;
  uint64_t burst = 0;
  int32_t busy = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (burst == 0 && Unit(random) < kBurstShare) {
      burst = 1 + (*random)() % kMostBurstRows;
      busy = zipf.Draw(random);
    }
    double gap = -std::log(1 - Unit(random));
    if (burst > 0) gap *= kBurstGap;
    if (Unit(random) >= kTieShare) now += gap;
    at.push_back(now);
    rows.symbol.push_back(burst > 0 && burst % 2 == 0 ? busy : zipf.Draw(random));
    if (burst > 0) --burst;
  }
  const double scale = static_cast<double>(kDayNs / kTickNs - 1) / std::max(now, 1e-9);
  const int64_t t0 = MarketOptions().start.ns();
  for (const double moment : at) {
    rows.ts.push_back(t0 + static_cast<int64_t>(moment * scale) * kTickNs);
  }
  return rows;
}

template <typename T>
Status Write(const std::string& path, const std::vector<T>& values) {
  return env::PosixFileSystem().WriteAtomically(path, std::as_bytes(std::span(values)));
}

/// A price in cents for each symbol, moved by a cent or stays.
class Prices {
 public:
  Prices(uint32_t symbols, Random* random) : random_(random) {
    for (uint32_t i = 0; i < symbols; ++i) {
      cents_.push_back(static_cast<int64_t>(20 * kCents + (*random)() % (400 * kCents)));
    }
  }
  int64_t Next(int32_t symbol) {
    int64_t& cents = cents_[static_cast<size_t>(symbol)];
    cents = std::max<int64_t>(kCents, cents + static_cast<int64_t>((*random_)() % 3) - 1);
    return cents;
  }

 private:
  Random* random_;
  std::vector<int64_t> cents_;
};

double Dollars(int64_t cents) { return static_cast<double>(cents) / kCents; }
int64_t Lots(Random* random) { return 100 * (1 + static_cast<int64_t>((*random)() % 20)); }

Status WriteQuotes(const GenerateOptions& options, const Zipf& zipf, Prices* prices,
                   Random* random) {
  const Rows rows = MakeRows(options.quotes, zipf, random);
  std::vector<double> bid;
  std::vector<double> ask;
  std::vector<int64_t> bsize;
  std::vector<int64_t> asize;
  for (const int32_t symbol : rows.symbol) {
    const int64_t cents = prices->Next(symbol);
    bid.push_back(Dollars(cents));
    ask.push_back(Dollars(cents + 1 + static_cast<int64_t>((*random)() % 3)));
    bsize.push_back(Lots(random));
    asize.push_back(Lots(random));
  }
  const std::string base = options.directory + "/quotes.";
  PX_RETURN_IF_ERROR(Write(base + "ts.i64", rows.ts));
  PX_RETURN_IF_ERROR(Write(base + "sym.i32", rows.symbol));
  PX_RETURN_IF_ERROR(Write(base + "bid.f64", bid));
  PX_RETURN_IF_ERROR(Write(base + "ask.f64", ask));
  PX_RETURN_IF_ERROR(Write(base + "bsize.i64", bsize));
  return Write(base + "asize.i64", asize);
}

Status WriteTrades(const GenerateOptions& options, const Zipf& zipf, Prices* prices,
                   Random* random) {
  const Rows rows = MakeRows(options.trades, zipf, random);
  std::vector<double> price;
  std::vector<int64_t> size;
  for (const int32_t symbol : rows.symbol) {
    price.push_back(Dollars(prices->Next(symbol)));
    size.push_back(Lots(random));
  }
  const std::string base = options.directory + "/trades.";
  PX_RETURN_IF_ERROR(Write(base + "ts.i64", rows.ts));
  PX_RETURN_IF_ERROR(Write(base + "sym.i32", rows.symbol));
  PX_RETURN_IF_ERROR(Write(base + "price.f64", price));
  return Write(base + "size.i64", size);
}

/// Half of the keys are of symbols as rows have them, half of any symbol.
Status WriteKeys(const GenerateOptions& options, const Zipf& zipf, Random* random) {
  std::vector<int32_t> symbol;
  std::vector<int64_t> ts;
  for (uint32_t i = 0; i < options.keys; ++i) {
    symbol.push_back(i % 2 == 0 ? zipf.Draw(random)
                                : static_cast<int32_t>((*random)() % options.symbols));
    ts.push_back(MarketOptions().start.ns() +
                 static_cast<int64_t>(Unit(random) * static_cast<double>(kDayNs)));
  }
  PX_RETURN_IF_ERROR(Write(options.directory + "/keys.sym.i32", symbol));
  return Write(options.directory + "/keys.ts.i64", ts);
}

}  // namespace

Status Generate(const GenerateOptions& options) {
  PX_RETURN_IF_ERROR(env::PosixFileSystem().CreateDirectories(options.directory));
  Random random(options.seed);
  const Zipf zipf(options.symbols);
  Prices prices(options.symbols, &random);
  PX_RETURN_IF_ERROR(WriteQuotes(options, zipf, &prices, &random));
  PX_RETURN_IF_ERROR(WriteTrades(options, zipf, &prices, &random));
  PX_RETURN_IF_ERROR(WriteKeys(options, zipf, &random));
  const std::string manifest = fmt::format(
      "n_quotes {}\nn_trades {}\nn_symbols {}\nn_keys {}\nt0 {}\nday_ns {}\n", options.quotes,
      options.trades, options.symbols, options.keys, MarketOptions().start.ns(), kDayNs);
  return env::PosixFileSystem().WriteAtomically(options.directory + "/manifest.txt",
                                                AsBytes(manifest));
}

}  // namespace proxist::bench
