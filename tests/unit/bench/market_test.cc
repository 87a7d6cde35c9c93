// The simulated market: valid batches, the promised irregularities, the same rows for the same
// seed.
#include "bench/market.h"

#include <map>
#include <set>
#include <string>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::bench {
namespace {

using Key = std::tuple<std::string, std::string, int64_t, uint64_t>;

Key KeyOf(const column::Batch& batch, size_t row) {
  return {std::string(batch.symbol.TextAt(row)), std::string(batch.columns[0].TextAt(row)),
          batch.ts.At<int64_t>(row), batch.seq.At<uint64_t>(row)};
}

struct Seen {
  size_t rows = 0, late = 0, rewritten = 0, cancelled = 0, ties = 0;
  std::set<std::string> symbols;
};

Seen Watch(Market* market, int rounds) {
  Seen seen;
  std::map<Key, int> keys;
  std::map<std::tuple<std::string, std::string, int64_t>, int> moments;
  for (int round = 0; round < rounds; ++round) {
    const column::Batch batch = market->NextTrades(Duration::Millis(100), 1000);
    EXPECT_TRUE(column::ValidateBatch(batch).ok()) << column::ValidateBatch(batch);
    for (size_t row = 0; row < batch.rows; ++row) {
      const Key key = KeyOf(batch, row);
      const bool known = keys[key]++ > 0;
      seen.rewritten += known && batch.OpAt(row) == column::Op::kPut;
      seen.cancelled += batch.OpAt(row) == column::Op::kCancel;
      EXPECT_TRUE(known || batch.OpAt(row) == column::Op::kPut) << "cancels a row never sent";
      seen.late += !known && batch.ts.At<int64_t>(row) < market->now().ns() - 1'000'000;
      if (!known) {
        seen.ties += moments[{std::get<0>(key), std::get<1>(key), std::get<2>(key)}]++ > 0;
      }
      seen.symbols.insert(std::get<0>(key));
    }
    seen.rows += batch.rows;
    market->Advance(Duration::Millis(100));
  }
  return seen;
}

TEST(MarketTest, HasEveryIrregularityInItsShare) {
  Market market({.seed = 3, .symbols = 20, .venues = 3});
  const Seen seen = Watch(&market, 100);
  EXPECT_EQ(seen.rows, 100'000u);
  EXPECT_EQ(seen.symbols.size(), 20u);
  EXPECT_THAT(seen.late, testing::AllOf(testing::Gt(1200u), testing::Lt(2800u)));
  EXPECT_THAT(seen.rewritten, testing::AllOf(testing::Gt(300u), testing::Lt(700u)));
  EXPECT_THAT(seen.cancelled, testing::AllOf(testing::Gt(100u), testing::Lt(300u)));
  EXPECT_GT(seen.ties, 1000u);
}

TEST(MarketTest, GivesTheSameRowsForTheSameSeed) {
  Market first({.seed = 5});
  Market second({.seed = 5});
  Market other({.seed = 6});
  bool differs = false;
  for (int round = 0; round < 20; ++round) {
    const column::Batch a = first.NextQuotes(Duration::Millis(10), 50);
    const column::Batch b = second.NextQuotes(Duration::Millis(10), 50);
    const column::Batch c = other.NextQuotes(Duration::Millis(10), 50);
    for (size_t row = 0; row < a.rows; ++row) {
      ASSERT_EQ(KeyOf(a, row), KeyOf(b, row));
      ASSERT_EQ(a.columns[1].At<int64_t>(row), b.columns[1].At<int64_t>(row));
      differs |= KeyOf(a, row) != KeyOf(c, row);
    }
  }
  EXPECT_TRUE(differs);
}

TEST(MarketTest, NoRowLiesBeforeTheStart) {
  const MarketOptions options{.late_share = 0.5};
  Market market(options);
  const column::Batch batch = market.NextQuotes(Duration::Millis(1), 2000);
  for (size_t row = 0; row < batch.rows; ++row) {
    EXPECT_GE(batch.ts.At<int64_t>(row), options.start.ns());
  }
}

}  // namespace
}  // namespace proxist::bench
