// The queries that measurements ask, each time about another symbol and moment.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "bench/market.h"
#include "proxist/base/time.h"
#include "proxist/query/plan.h"

namespace proxist::bench {

/// Of market time from MarketOptions::start on: where the moments lie.
inline constexpr Duration kAskedSpan = Duration::Seconds(600);

/// One kind of query over the tables of a Market. One thread.
class Asked {
 public:
  Asked(uint32_t symbols, uint64_t seed) : symbols_(symbols), random_(seed) {}
  virtual ~Asked() = default;
  virtual query::Plan Next() = 0;

 protected:
  std::vector<std::string> Symbol();
  Timestamp Time();

 private:
  uint32_t symbols_;
  std::mt19937_64 random_;
};

/// The last quote of a symbol at a moment, or now.
class LastByAsked final : public Asked {
 public:
  LastByAsked(uint32_t symbols, uint64_t seed, bool now = false)
      : Asked(symbols, seed), now_(now) {}
  query::Plan Next() override;

 private:
  const bool now_;
};

/// The trades of a symbol in `span` from a moment on, each with the quote that prevails.
class AsofAsked final : public Asked {
 public:
  AsofAsked(uint32_t symbols, uint64_t seed, Duration span) : Asked(symbols, seed), span_(span) {}
  query::Plan Next() override;

 private:
  const Duration span_;
};

}  // namespace proxist::bench
